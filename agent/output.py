"""Answers of a given form: the model gives them as the arguments of a call, which is checked as every call is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gemmagraph.prompts.messages import JSON, ToolSpec
from gemmagraph.tools import Form, Tool, form_of

ANSWER: Final = "final_answer"
"""The tool that takes the answer."""
GIVE: Final = "Gives the final answer. Call it once you know the answer, and only then."
_UNCUT: Final = 10_000_000
"""Characters of an answer: it is for a program, which can do nothing with a part."""


class Output:
    """The form of an agent's answers.

    Args:
        kind: a pydantic class, a type that pydantic knows, or a JSON Schema.

    Raises:
        ToolDefinitionError: it is none of these.
    """

    def __init__(self, kind: Any) -> None:
        self.form: Form = form_of(kind)
        description = f"{GIVE} {self.form.description}".strip()

        def take(**values: JSON) -> Mapping[str, JSON]:
            self.form.value(values)
            return values

        spec = ToolSpec(ANSWER, description, self.form.parameters)
        self.tool = Tool(spec, take, read_only=True, return_direct=True, timeout=None, max_chars=_UNCUT)

    def value(self, arguments: Mapping[str, JSON]) -> Any:
        """The answer as the type that was asked for, from the arguments of a call that was taken."""
        return self.form.value(arguments)
