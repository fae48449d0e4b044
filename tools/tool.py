"""Tool = ToolSpec + function + facts, made by `@tool` from a function or by `tool_from_schema`."""

from __future__ import annotations

import asyncio
import inspect
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict, Unpack, overload
from weakref import WeakKeyDictionary

from gemmagraph.prompts.arguments import ArgumentChecker
from gemmagraph.prompts.errors import InvalidArguments
from gemmagraph.prompts.messages import JSON, ToolSpec
from gemmagraph.tools.context import ToolContext
from gemmagraph.tools.errors import ToolDefinitionError, ToolError
from gemmagraph.tools.hints import closed
from gemmagraph.tools.results import Outcome, as_content, clip
from gemmagraph.tools.runtime import Errand, Job, submit
from gemmagraph.tools.signature import CallPlan, fit_function, read_function, spelled, target_of

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

Verdict: TypeAlias = Literal["allow", "ask", "deny"]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_RESERVED = frozenset(("auto", "any", "required", "none"))
_MIN_CHARS = 200


class Facts(TypedDict, total=False):
    """What the maker of a tool knows about it, beside what its function says."""

    read_only: bool | None
    idempotent: bool | None
    destructive: bool | None
    open_world: bool | None
    timeout: float | None
    max_chars: int
    concurrency: int | None
    sequential: bool
    return_direct: bool
    approval: Verdict | None


@dataclass(frozen=True, eq=False, repr=False)
class Tool:
    """Something a model may call. Made once; what can be computed beforehand is."""

    spec: ToolSpec
    function: Callable[..., Any]
    plan: CallPlan = field(default_factory=CallPlan)
    read_only: bool | None = None
    """Changes nothing. This and the next three: None where nobody said."""
    idempotent: bool | None = None
    """Calling it again with the same arguments changes nothing more."""
    destructive: bool | None = None
    """May overwrite or delete something."""
    open_world: bool | None = None
    """Deals with what other people write: web pages, mail."""
    timeout: float | None = 60.0
    """Seconds a call may take."""
    max_chars: int = 8_000
    """Characters of result that the model is given."""
    concurrency: int | None = None
    """Calls that may run at once."""
    sequential: bool = False
    """Its calls in one turn of the model run one after another."""
    return_direct: bool = False
    """Its result is the answer; the model is not asked again."""
    approval: Verdict | None = None
    """Overrides what the facts say about a person's approval."""
    _is_async: bool = field(init=False, default=False)
    _slots: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = field(
        init=False, default_factory=WeakKeyDictionary
    )

    def __post_init__(self) -> None:
        _check_name(self.spec.name, self.function)
        _check_facts(self)
        target = target_of(self.function)
        if inspect.isgeneratorfunction(target) or inspect.isasyncgenfunction(target):
            raise ToolDefinitionError(
                f"{spelled(self.function)} yields its result piece by piece; a model gets a result whole.",
                hint="Return a list or a text.",
            )
        object.__setattr__(self, "_is_async", inspect.iscoroutinefunction(target))

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def description(self) -> str:
        return self.spec.description

    @property
    def examples(self) -> tuple[Mapping[str, JSON], ...]:
        return self.spec.examples

    def __repr__(self) -> str:
        return f"<Tool {self.name}>"

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Calls the function itself: no checks, no time limit."""
        return self.function(*args, **kwargs)

    def check(self, arguments: Mapping[str, object]) -> dict[str, JSON]:
        """The arguments as the tool declares them, coerced without loss.

        Raises:
            InvalidArguments: they do not fit; its message is for the model.
        """
        return self._checker.check(arguments)

    @cached_property
    def _checker(self) -> ArgumentChecker:
        return ArgumentChecker(self.spec)

    def needs_approval(self) -> tuple[Verdict, str]:
        """Whether a person is asked before it runs, and why, in words that go on after "because"."""
        if self.approval is not None:
            return self.approval, f"{self.name} is set to {self.approval!r}"
        if self.destructive:
            return "ask", f"{self.name} is marked destructive"
        if self.read_only:
            return "allow", f"{self.name} is marked read-only"
        return "allow", f"{self.name} is Python code of this application, not marked destructive"

    async def run(self, arguments: Mapping[str, JSON], context: ToolContext | None = None) -> Outcome:
        """Runs it with checked arguments. Never raises, except when it is cancelled.

        An async function is cancelled too, and at its timeout. A blocking one runs in a thread and cannot be
        stopped: it is left behind.
        """
        begun = time.perf_counter()
        content: JSON
        status: Literal["ok", "error", "failed", "timeout"] = "ok"
        error: BaseException | None = None
        try:
            content = as_content(await self._result(arguments, context or ToolContext()), self.max_chars)
        except (ToolError, InvalidArguments) as exc:
            content, status, error = clip(str(exc), self.max_chars), "error", exc
        except _Expired as exc:
            content, status, error = str(exc), "timeout", TimeoutError(str(exc))
        except Exception as exc:  # noqa: BLE001 - the outermost door: whatever a tool raises, the run goes on
            content, status, error = f"The tool {self.name} failed.", "failed", exc
        return Outcome(content, status, time.perf_counter() - begun, error)

    async def _result(self, arguments: Mapping[str, JSON], context: ToolContext) -> Any:
        args, kwargs = self.plan.bind(arguments, context)
        slot = await self._slot() if self.concurrency else None
        work: Errand | Job | None = None
        try:
            work = (
                Errand(self.function(*args, **kwargs)) if self._is_async else submit(self.function, *args, **kwargs)
            )
            result = await self._within(work)
            if inspect.isawaitable(result):
                work = Errand(result)
                result = await self._within(work)
            return result
        finally:
            if slot is not None:
                # What is left behind keeps its slot until it really ends.
                if work is None or work.future.done():
                    slot.release()
                else:
                    work.future.add_done_callback(lambda _: slot.release())

    async def _slot(self) -> asyncio.Semaphore:
        """Waits for its turn: only so many calls may run at once."""
        loop = asyncio.get_running_loop()
        slot = self._slots.setdefault(loop, asyncio.Semaphore(self.concurrency or 1))
        try:
            async with asyncio.timeout(self.timeout):
                await slot.acquire()
        except TimeoutError:
            raise ToolError(f"{self.name} is busy with earlier calls. This one was not started.") from None
        return slot

    async def _within(self, work: Errand | Job) -> Any:
        """The result of `work`, if it comes in time."""
        try:
            in_time = await work.wait(self.timeout)
        except asyncio.CancelledError:
            await work.abandon()
            raise
        if not in_time:
            if not await work.abandon():
                raise ToolError(f"{self.name} was not started: too many other calls are running.")
            raise _Expired(self)
        if work.future.cancelled():
            raise RuntimeError("cancelled itself")
        error = work.future.exception()
        if error is not None and not isinstance(error, Exception):
            raise RuntimeError(f"raised {error!r}") from error
        return work.future.result()

    def as_langchain(self) -> BaseTool:
        """This tool for LangChain: arguments checked, limits in force, context hidden.

        What a person would have to approve is refused, since nobody can be asked there.
        """
        from gemmagraph.tools.langchain import LangChainTool

        return LangChainTool(self)


class _Expired(Exception):
    """A call took longer than its tool allows."""

    def __init__(self, tool: Tool) -> None:
        after = (
            "Calling it again is safe."
            if tool.read_only or tool.idempotent
            else "Its outcome is unknown: it may have taken effect. Find out before you call it again."
        )
        super().__init__(f"{tool.name} did not finish within {tool.timeout:g} s. {after}")


def _check_name(name: str, function: Callable[..., Any]) -> None:
    if _NAME.fullmatch(name) and name.lower() not in _RESERVED:
        return
    wrong = "a word that model servers keep for themselves" if name.lower() in _RESERVED else "not a tool's name"
    raise ToolDefinitionError(
        f"{name!r} is {wrong} ({spelled(function)}).",
        hint="Give name=, of at most 64 letters, digits, _ . and -, a letter or _ first.",
    )


def _check_facts(tool: Tool) -> None:
    problem = None
    if tool.read_only and tool.destructive:
        problem = "is marked both read-only and destructive"
    elif tool.timeout is not None and not tool.timeout > 0:
        problem = f"has a timeout of {tool.timeout!r}; it must be more than 0 seconds, or None"
    elif tool.max_chars < _MIN_CHARS:
        problem = f"has max_chars={tool.max_chars!r}; it must be at least {_MIN_CHARS}"
    elif tool.concurrency is not None and tool.concurrency < 1:
        problem = f"has concurrency={tool.concurrency!r}; it must be at least 1, or None"
    elif tool.approval not in (None, "allow", "ask", "deny"):
        problem = f"has approval={tool.approval!r}; it must be 'allow', 'ask' or 'deny'"
    elif any(not isinstance(example, Mapping) or "args" not in example for example in tool.examples):
        problem = "has an example without args; write {'user': 'what a person says', 'args': {...}}"
    if problem:
        raise ToolDefinitionError(f"The tool {tool.name} {problem}.")


@overload
def tool(
    function: Callable[..., Any],
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    examples: Sequence[Mapping[str, JSON]] = (),
    **facts: Unpack[Facts],
) -> Tool: ...
@overload
def tool(
    function: None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    examples: Sequence[Mapping[str, JSON]] = (),
    **facts: Unpack[Facts],
) -> Callable[[Callable[..., Any]], Tool]: ...
def tool(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    examples: Sequence[Mapping[str, JSON]] = (),
    **facts: Unpack[Facts],
) -> Tool | Callable[[Callable[..., Any]], Tool]:
    """Makes a tool of a function, from its type hints and its docstring; a decorator with or without facts.

    Given a `Tool`, makes one that differs from it in what is said.

    Raises:
        ToolDefinitionError: the function cannot be declared to a model, or the facts contradict each other.
    """
    if function is None:
        return lambda function: tool(function, name=name, description=description, examples=examples, **facts)
    said = {"name": name, "description": description, "examples": tuple(examples) or None}
    changes: dict[str, Any] = {key: value for key, value in said.items() if value is not None}
    if isinstance(function, Tool):
        return replace(function, spec=replace(function.spec, **changes), **facts)
    spec, plan = read_function(function)
    return Tool(replace(spec, **changes), function, plan, **facts)


def tool_from_schema(
    name: str,
    description: str,
    parameters: Mapping[str, JSON],
    function: Callable[..., Any],
    *,
    examples: Sequence[Mapping[str, JSON]] = (),
    **facts: Unpack[Facts],
) -> Tool:
    """Makes a tool of a JSON Schema and a function that takes the properties as keywords, values as in JSON.

    Raises:
        ToolDefinitionError: schema and function do not fit each other, or the facts contradict each other.
    """
    schema = closed(dict(parameters), name)
    spec = ToolSpec(name, description, schema, tuple(examples))
    return Tool(spec, function, fit_function(function, schema), **facts)
