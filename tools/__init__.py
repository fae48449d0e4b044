"""Tools: made from functions, schemas, models and LangChain tools, and run within limits."""

from gemmagraph.tools.context import ToolContext
from gemmagraph.tools.errors import ToolDefinitionError, ToolError
from gemmagraph.tools.files import load_python_tools
from gemmagraph.tools.forms import Form, form_of
from gemmagraph.tools.results import Outcome
from gemmagraph.tools.runtime import in_thread, run_sync
from gemmagraph.tools.sources import to_tool, to_tools
from gemmagraph.tools.tool import Tool, tool, tool_from_schema

__all__ = [
    "Form",
    "Outcome",
    "Tool",
    "ToolContext",
    "ToolDefinitionError",
    "ToolError",
    "form_of",
    "in_thread",
    "load_python_tools",
    "run_sync",
    "to_tool",
    "to_tools",
    "tool",
    "tool_from_schema",
]
