"""The words a model reads and writes: turns, prompts, notations, and the readers of replies.

Needs nothing but this room: what a model wrote can be read without a server, and without LangGraph.
"""

from gemmagraph.prompts.catalog import Family, family_of, register_family
from gemmagraph.prompts.errors import GemmagraphError, InvalidArguments, NotationError
from gemmagraph.prompts.messages import BadCall, Reply, Text, Thought, ToolCall, ToolResult, ToolSpec, Turn, Usage
from gemmagraph.prompts.notation import (
    ArgumentsRead,
    BadCallRead,
    CallBegun,
    CallRead,
    Notation,
    Reader,
    TextRead,
    ThoughtRead,
    notation_named,
    notation_names,
    read,
    register_notation,
)
from gemmagraph.prompts.notations.wording import use_wording
from gemmagraph.prompts.prompt import PromptWriter, Transcript
from gemmagraph.prompts.toolset import Toolset
from gemmagraph.prompts.turns import TurnFormat, turn_format

__all__ = [
    "ArgumentsRead",
    "BadCall",
    "BadCallRead",
    "CallBegun",
    "CallRead",
    "Family",
    "GemmagraphError",
    "InvalidArguments",
    "Notation",
    "NotationError",
    "PromptWriter",
    "Reader",
    "Reply",
    "Text",
    "TextRead",
    "Thought",
    "ThoughtRead",
    "ToolCall",
    "ToolResult",
    "ToolSpec",
    "Toolset",
    "Transcript",
    "Turn",
    "TurnFormat",
    "Usage",
    "family_of",
    "notation_named",
    "notation_names",
    "read",
    "register_family",
    "register_notation",
    "turn_format",
    "use_wording",
]
