"""LangChain BaseTool <-> our tools. Imported only where LangChain is in use already.

What a `Tool` needs of a BaseTool is read here; the face that a `Tool` shows to LangChain is made here.
Neither needs `Tool` itself.
"""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Callable, Container, Mapping
from typing import Any, Protocol
from uuid import uuid4

from langchain_core.messages import ToolMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, InjectedToolCallId, StructuredTool, ToolException
from langchain_core.tools import Tool as OneInputTool
from pydantic import BaseModel, PrivateAttr, ValidationError

from gemmagraph.prompts.checking.schemas import standard
from gemmagraph.prompts.errors import InvalidArguments
from gemmagraph.prompts.messages import JSON, ToolSpec
from gemmagraph.tools.context import ToolContext
from gemmagraph.tools.errors import ToolDefinitionError, ToolError
from gemmagraph.tools.hints import closed, model_schema, untitled
from gemmagraph.tools.results import Outcome
from gemmagraph.tools.ruling import Ruling
from gemmagraph.tools.runtime import run_sync
from gemmagraph.tools.secrets import masked_trace
from gemmagraph.tools.signature import refusal

_log = logging.getLogger("gemmagraph.tools")

_HINTS = {
    "readOnlyHint": "read_only",
    "idempotentHint": "idempotent",
    "destructiveHint": "destructive",
    "openWorldHint": "open_world",
}
"""MCP's annotations, as LangChain's adapters keep them in a tool's metadata, and our words for them."""


class Runs(Protocol):
    """What the face needs of a tool."""

    @property
    def spec(self) -> ToolSpec: ...
    @property
    def return_direct(self) -> bool: ...
    def check(self, arguments: Mapping[str, object]) -> dict[str, JSON]: ...
    def ruling(self, arguments: Mapping[str, JSON], context: ToolContext) -> Ruling: ...
    async def run(self, arguments: Mapping[str, JSON], context: ToolContext) -> Outcome: ...


class LangChainTool(BaseTool):
    """A tool of ours as LangChain sees it."""

    _tool: Any = PrivateAttr()

    def __init__(self, tool: Runs) -> None:
        hints = {hint: getattr(tool, fact) for hint, fact in _HINTS.items()}
        super().__init__(
            name=tool.spec.name,
            description=tool.spec.description,
            args_schema=standard(tool.spec.parameters),
            return_direct=tool.return_direct,
            metadata={hint: value for hint, value in hints.items() if value is not None} or None,
            handle_tool_error=True,
        )
        self._tool = tool

    @property
    def original(self) -> Any:
        """The tool behind it."""
        return self._tool

    # The tool's arguments come as keywords, so no name of ours may stand in their way.
    def _run(self, /, *, _run_config_: RunnableConfig, **arguments: Any) -> Any:
        return run_sync(self._answer(arguments, _run_config_))

    async def _arun(self, /, *, _run_config_: RunnableConfig, **arguments: Any) -> Any:
        return await self._answer(arguments, _run_config_)

    async def _answer(self, arguments: Mapping[str, object], config: RunnableConfig) -> Any:
        tool: Runs = self._tool
        try:
            checked = tool.check(arguments)
        except InvalidArguments as exc:
            raise ToolException(str(exc)) from exc
        context = _context(config)
        ruling = tool.ruling(checked, context)
        if ruling.verdict != "allow":
            raise ToolException(
                f"{self.name} was not run: {ruling.reason}."
                + (" It needs a person's approval, and nobody can be asked here." if ruling.verdict == "ask" else "")
            )
        outcome = await tool.run(checked, context)
        content = outcome.content
        if outcome.status == "failed":
            _log.error("Tool %s failed.\n%s", self.name, masked_trace(outcome.error))
        if outcome.status != "ok":
            raise ToolException(content) from outcome.error
        # LangChain takes a list for one of content blocks.
        return json.dumps(content, ensure_ascii=False) if isinstance(content, list) else content


def _context(config: RunnableConfig | None) -> ToolContext:
    """From `config["configurable"]`: `user`, `thread_id`, `channel`, and `context` with our `values`."""
    configurable = (config or {}).get("configurable") or {}
    values = configurable.get("context")
    return ToolContext(
        user=configurable.get("user"),
        thread=configurable.get("thread_id"),
        channel=configurable.get("channel"),
        values=values if isinstance(values, Mapping) else {},
    )


def read_base_tool(base: BaseTool) -> tuple[ToolSpec, Callable[..., Any], dict[str, Any]]:
    """What a BaseTool is made of: its spec, a function that takes its arguments, its facts.

    Raises:
        ToolDefinitionError: it needs something that only LangGraph's own ToolNode gives.
    """
    spec = ToolSpec(base.name, base.description, _parameters(base))
    facts: dict[str, Any] = {"return_direct": base.return_direct}
    for hint, fact in _HINTS.items():
        if isinstance(value := (base.metadata or {}).get(hint), bool):
            facts[fact] = value
    if facts.get("read_only"):
        # In MCP the word counts only for tools that are not read-only, and is true when left out.
        facts.pop("destructive", None)

    def call(**arguments: Any) -> str:
        with _Translated(base):
            return _text(base, base.invoke(_tool_call(base, arguments)))

    async def acall(**arguments: Any) -> str:
        with _Translated(base):
            return _text(base, await base.ainvoke(_tool_call(base, arguments)))

    function = acall if _is_async(base) else call
    # Messages about the tool name what it was made from.
    source = getattr(base, "coroutine", None) or getattr(base, "func", None) or type(base)
    functools.update_wrapper(function, source, ("__module__", "__qualname__"), ())
    return spec, function, facts


def _is_async(base: BaseTool) -> bool:
    """Whether it has async code of its own. Without, `ainvoke` would use the standard threads, not ours."""
    if isinstance(base, (StructuredTool, OneInputTool)):
        return base.coroutine is not None
    return type(base)._arun is not BaseTool._arun


def _parameters(base: BaseTool) -> dict[str, JSON]:
    if isinstance(base, OneInputTool) and base.args_schema is None:
        return closed({"properties": untitled(base.args), "required": list(base.args)}, base.name)
    schema = base.tool_call_schema
    parameters = closed(untitled(schema), base.name) if isinstance(schema, dict) else model_schema(schema)
    parameters.pop("description", None)
    _refuse_injected(base, parameters["properties"])
    return parameters


def _refuse_injected(base: BaseTool, shown: Container[str]) -> None:
    schema = base.get_input_schema()
    if isinstance(base.args_schema, dict) or not issubclass(schema, BaseModel):
        return
    for name, found in schema.model_fields.items():
        if name not in shown and found.is_required() and InjectedToolCallId not in found.metadata:
            raise ToolDefinitionError(
                f"The LangChain tool {base.name!r} gets its argument {name!r} from LangGraph's ToolNode.",
                hint="Write it as a function with a ToolContext parameter, or bind the argument first.",
            )


def _tool_call(base: BaseTool, arguments: dict[str, Any]) -> dict[str, Any]:
    return {"type": "tool_call", "name": base.name, "args": arguments, "id": f"call_{uuid4().hex}"}


class _Translated:
    """Turns what a BaseTool raises into our errors."""

    def __init__(self, base: BaseTool) -> None:
        self._base = base

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ToolException):
            raise ToolError(str(error)) from error
        schema = self._base.args_schema
        if isinstance(error, ValidationError) and isinstance(schema, type) and error.title == schema.__name__:
            raise InvalidArguments(refusal(error)) from error


def _text(base: BaseTool, message: object) -> str:
    if not isinstance(message, ToolMessage):
        raise TypeError(f"{base.name} returned a {type(message).__name__}, which only LangGraph's ToolNode takes")
    content = message.content
    if not isinstance(content, str):
        content = "\n".join(block if isinstance(block, str) else _block(block) for block in content)
    if message.status == "error":
        raise ToolError(content)
    return content


def _block(block: Mapping[str, Any]) -> str:
    return str(block["text"]) if block.get("type") == "text" else f"[{block.get('type', 'content')}, not shown]"
