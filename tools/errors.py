"""The errors of tools. Each has one reader: the model reads `ToolError`, the developer `ToolDefinitionError`."""

from gemmagraph.prompts.errors import GemmagraphError


class ToolError(GemmagraphError):
    """Raised inside a tool to tell the *model* what went wrong, in words that help it to try again.

    Anything else that a tool raises is a bug: the developer sees it in full, the model only that the tool failed.
    """


class ToolDefinitionError(GemmagraphError):
    """A tool cannot be made from what was given. Read by the developer."""
