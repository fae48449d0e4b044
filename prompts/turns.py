"""The turn formats: which marks open and close a turn, who may speak, where the system text goes, what stops.

A turn format knows nothing of tools; notations know nothing of turns. Sources: the chat templates that Google
publishes with each generation, ai.google.dev/gemma/docs/formatting and, for Gemma 4, its prompt-formatting page.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gemmagraph.prompts.errors import NotationError

SPECIAL_MARKS: Final = frozenset(
    {
        "<bos>",
        "<eos>",
        "<pad>",
        "<unk>",
        "<mask>",
        "<start_of_image>",
        "<end_of_image>",
        "<image_soft_token>",
        "<audio_soft_token>",
        "<start_of_audio>",
        "<end_of_audio>",
    }
)
"""Control tokens of Gemma 1 to 3n beside the turn marks."""


@dataclass(frozen=True, slots=True)
class TurnFormat:
    """How one generation writes turns."""

    name: str
    bos: str
    open: str
    """In front of the role."""
    close: str
    """Behind the text of a turn, with the line end that follows it."""
    stops: tuple[str, ...]
    """Strings at which generation ends."""
    marks: frozenset[str]
    """Every control mark: what untrusted text may not contain."""
    system_role: str = ""
    """The role of a turn of its own for the system text; "" if it stands in front of the first user turn."""
    think: str = ""
    """At the top of the system turn: switches thinking on."""
    thought: tuple[str, str] = ("", "")
    """Around a thought in a model turn; empty where models do not think."""


GEMMA: Final = TurnFormat(
    name="gemma",
    bos="<bos>",
    open="<start_of_turn>",
    close="<end_of_turn>\n",
    stops=("<end_of_turn>", "<start_of_turn>"),
    marks=SPECIAL_MARKS | {"<start_of_turn>", "<end_of_turn>"},
)
"""Gemma 1, 2, 3 and 3n: `<start_of_turn>user⏎…<end_of_turn>⏎<start_of_turn>model⏎`."""

FUNCTIONGEMMA: Final = TurnFormat(
    name="functiongemma",
    bos="<bos>",
    open="<start_of_turn>",
    close="<end_of_turn>\n",
    stops=("<end_of_turn>", "<start_of_turn>", "<start_function_response>"),
    marks=GEMMA.marks
    | {
        "<start_function_declaration>",
        "<end_function_declaration>",
        "<start_function_call>",
        "<end_function_call>",
        "<start_function_response>",
        "<end_function_response>",
        "<escape>",
    },
    system_role="developer",
)
"""FunctionGemma: the turns of Gemma 3, a developer turn, and marks around declarations, calls, results, strings."""

GEMMA4: Final = TurnFormat(
    name="gemma4",
    bos="<bos>",
    open="<|turn>",
    close="<turn|>\n",
    stops=("<turn|>", "<|turn>", "<|tool_response>"),
    marks=frozenset(
        {
            "<bos>",
            "<eos>",
            "<pad>",
            "<unk>",
            "<mask>",
            "<|turn>",
            "<turn|>",
            "<|tool>",
            "<tool|>",
            "<|tool_call>",
            "<tool_call|>",
            "<|tool_response>",
            "<tool_response|>",
            '<|"|>',
            "<|channel>",
            "<channel|>",
            "<|think|>",
            "<|image>",
            "<image|>",
            "<|image|>",
            "<|audio>",
            "<audio|>",
            "<|audio|>",
            "<|video|>",
        }
    ),
    system_role="system",
    think="<|think|>\n",
    thought=("<|channel>thought\n", "<channel|>"),
)
"""Gemma 4: `<|turn>user⏎…<turn|>⏎<|turn>model⏎`, with a system turn."""

_FORMATS: Final = {each.name: each for each in (GEMMA, FUNCTIONGEMMA, GEMMA4)}

ALL_MARKS: Final = GEMMA.marks | FUNCTIONGEMMA.marks | GEMMA4.marks
"""The control marks of every family."""


def turn_format(name: str) -> TurnFormat:
    """The turn format called `name`.

    Raises:
        NotationError: there is none; the message lists those there are.
    """
    try:
        return _FORMATS[name]
    except KeyError:
        raise NotationError(f"There is no turn format {name!r}.", hint=f"Known are: {', '.join(_FORMATS)}.") from None
