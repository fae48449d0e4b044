"""What can be made a tool: functions, pydantic models, LangChain tools, and lists of these."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from gemmagraph.prompts.messages import JSON, ToolSpec
from gemmagraph.tools.errors import ToolDefinitionError
from gemmagraph.tools.forms import form_of_model
from gemmagraph.tools.signature import spelled
from gemmagraph.tools.tool import Tool, tool

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool
    from pydantic import BaseModel


def to_tool(thing: Any) -> Tool:
    """The tool that `thing` is or describes: a callable, a `Tool`, a LangChain tool, a pydantic model class.

    A model becomes a form: the model fills it in, and the result is what was validated.

    Raises:
        ToolDefinitionError: it cannot be one.
    """
    if isinstance(thing, Tool):
        return thing
    if isinstance(thing, _class("langchain_core.tools.base", "BaseTool")):
        return _from_langchain(thing)
    if isinstance(thing, type):
        if issubclass(thing, _class("pydantic.main", "BaseModel")):
            return _from_model(thing)
    elif callable(thing):
        function: Callable[..., Any] = thing
        return tool(function)
    raise ToolDefinitionError(
        f"{thing!r} is no tool.", hint="Give a function, a Tool, a LangChain tool or a pydantic model class."
    )


def to_tools(things: Iterable[Any]) -> list[Tool]:
    """The tools of a list, of lists inside it too. The same tool twice counts once.

    Raises:
        ToolDefinitionError: one cannot be a tool, or two have the same name.
    """
    found: dict[str, Tool] = {}
    for thing in things:
        for made in to_tools(thing) if isinstance(thing, (list, tuple)) else [to_tool(thing)]:
            other = found.setdefault(made.name, made)
            if other is not made:
                raise ToolDefinitionError(
                    f"Two tools are named {made.name!r}: {spelled(other.function)} and {spelled(made.function)}.",
                    hint="Give one of them another name: tool(function, name=…).",
                )
    return list(found.values())


def _class(module: str, name: str) -> Any:
    """A class of a third-party library, or what no object is an instance of if that was never imported."""
    return getattr(sys.modules.get(module), name, ())


def _from_langchain(base: BaseTool) -> Tool:
    from gemmagraph.tools.langchain import LangChainTool, read_base_tool

    if isinstance(base, LangChainTool):
        original: Tool = base.original
        return original
    spec, function, facts = read_base_tool(base)
    return Tool(spec, function, **facts)


def _from_model(model: type[BaseModel]) -> Tool:
    form = form_of_model(model)

    def fill_in(**values: JSON) -> object:
        return form.value(values)

    functools.update_wrapper(fill_in, model, ("__module__", "__qualname__"), ())
    return Tool(ToolSpec(form.name, form.description, form.parameters), fill_in, read_only=True, idempotent=True)
