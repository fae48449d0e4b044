"""Whether the model may call a tool, must, or must not: what holds a server to it, and whether a reply kept to it."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from gemmagraph.backends.base import Constraint, Request
from gemmagraph.errors import AgentError
from gemmagraph.prompts.errors import NotationError
from gemmagraph.prompts.messages import JSON, Reply, ToolCall
from gemmagraph.prompts.prompt import PromptWriter
from gemmagraph.prompts.toolset import Toolset

if TYPE_CHECKING:
    from gemmagraph.prompts.grammar.calls import Choice, Grammar

ToolChoice: TypeAlias = str
"""`auto` (an answer or calls), `required`, `none`, or a tool: the only one to call, once where that can be forced."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A choice, taken apart."""

    choice: Choice = "auto"
    tool: str = ""
    """The only tool to call."""

    def broken(self, reply: Reply, writer: PromptWriter) -> str:
        """What to tell a model whose reply did not keep to it; "" if it did."""
        if self.choice == "none" and reply.calls:
            return "Do not call a tool now. Answer in plain words."
        if self.choice != "required":
            return ""
        strays = [call.name for call in reply.calls if self.tool and call.name != self.tool]
        if reply.calls and not strays:
            return ""
        name = self.tool or next(iter(writer.tools.names))
        arguments = writer.tools.checker(name).example_arguments()
        example = writer.notation.write_calls([ToolCall("", name, arguments)])
        what = f"Call {self.tool} and no other tool" if self.tool else "Call a tool"
        return f"{what} now. Write only the call, like this: {example}"


def wish(choice: ToolChoice, tools: Toolset) -> Wish:
    """What is wished for.

    Raises:
        AgentError: there is no such tool, or none at all to call.
    """
    if choice in ("auto", "none"):
        return Wish("none" if choice == "none" else "auto")
    if not tools:
        raise AgentError(f"tool_choice is {choice!r}, and there are no tools.", hint="Give some tools.")
    if choice in ("required", "any") and choice not in tools:
        return Wish("required")
    if choice not in tools:
        raise AgentError(
            f"tool_choice is {choice!r}, which is no tool here.",
            hint=f"Say auto, required, none, or one of {', '.join(tools.names)}.",
        )
    return Wish("required", choice)


def constraint(
    wish: Wish, request: Request, writer: PromptWriter, able: Set[Constraint]
) -> tuple[Grammar | None, dict[str, JSON] | None]:
    """The grammar or the schema that makes a server keep to the wish; neither, if it can do nothing for it.

    Args:
        able: what the server can hold a reply to.
    """
    from gemmagraph.prompts.grammar.calls import grammar
    from gemmagraph.prompts.grammar.reply import reply_schema

    chat = request.messages is not None
    if "grammar" in able:
        try:
            found = grammar(
                writer.notation,
                writer.tools,
                wish.choice,
                tool=wish.tool,
                several=not wish.tool,
                thoughts=bool(writer.think) and not chat,
            )
        except NotationError:  # a notation of somebody's own, or a tool that nobody can call
            found = None
        if found is not None and not (chat and found.preserved_tokens):
            return found, None
    if "schema" in able and chat:
        return None, reply_schema(writer.tools, wish.choice, tool=wish.tool, several=not wish.tool)
    return None, None
