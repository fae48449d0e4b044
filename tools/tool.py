"""Tool = ToolSpec + function + facts, made by `@tool` from a function or by `tool_from_schema`."""

from __future__ import annotations

import hashlib
import inspect
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, Unpack, cast, overload

from gemmagraph.prompts.checking.arguments import ArgumentChecker, write_plainly
from gemmagraph.prompts.errors import InvalidArguments
from gemmagraph.prompts.messages import JSON, ToolSpec
from gemmagraph.tools.attempts import Expired, Slots, tried, within
from gemmagraph.tools.bodies.base import Body, Rendered
from gemmagraph.tools.cache import Cache, cache_key
from gemmagraph.tools.context import ToolContext
from gemmagraph.tools.defaults import Defaults
from gemmagraph.tools.errors import ToolDefinitionError, ToolError, refuse
from gemmagraph.tools.facts import Facts, argument_faults, check_name, contradiction, example_problem, normal
from gemmagraph.tools.failures import explained
from gemmagraph.tools.fields import Absent, Field, as_text
from gemmagraph.tools.hints import closed
from gemmagraph.tools.results import Outcome, as_content, clip
from gemmagraph.tools.ruling import EXPIRES, Consent, Ruling, Verdict, judged, unmarked
from gemmagraph.tools.runtime import Errand, Job, submit
from gemmagraph.tools.secrets import mask, mask_json, without_secrets
from gemmagraph.tools.shaping.shape import Shape
from gemmagraph.tools.shaping.spill import Owner
from gemmagraph.tools.signature import CallPlan, fit_function, read_function, spelled, target_of

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

Gate: TypeAlias = "Callable[[Tool, Mapping[str, JSON], ToolContext], Ruling]"
"""What a policy puts in front of a tool."""

_NOTHING: Final[Mapping[str, JSON]] = {}


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
    """Seconds that one try of a call may take."""
    retries: int = 0
    """Further tries after a failure that may pass. Only for what is read-only or idempotent."""
    cache: float | None = None
    """Seconds for which a result answers the same call of the same user again. Only for what is read-only."""
    max_chars: int = 8_000
    """Characters of result that the model is given."""
    result: Shape | None = None
    """What of a result the model is given, and how; None: all of it, cut at `max_chars`."""
    concurrency: int | None = None
    """Calls that may run at once."""
    sequential: bool = False
    """Its calls in one turn of the model run one after another."""
    return_direct: bool = False
    """Its result is the answer; the model is not asked again."""
    pinned: bool = False
    """It is offered with every request, also where there are too many tools to offer all of them."""
    approval: Verdict | Consent | None = None
    """Overrides what the facts say about a person's approval."""
    body: Body | None = None
    """How a declared tool acts; None for a function."""
    bind: Mapping[str, Field] = field(default_factory=dict)
    """What the application fills in, unseen by the model: texts that may name `context`."""
    errors: Mapping[str, Field] = field(default_factory=dict)
    """What the model is told of a failure, by its kind: `422`, `4xx`, `timeout`, `exit_3`, `other`."""
    gate: Gate | None = None
    """The policy in force; None: the tool's own `approval` and facts are."""
    place: str | None = None
    """File and line where it is declared."""
    _is_async: bool = field(init=False, default=False)
    _slots: Slots = field(init=False)
    _cache: Cache = field(init=False)

    def __post_init__(self) -> None:
        check_name(
            self.spec.name, spelled(self.function) if self.body is None else self.place or f"acts by {self.kind}"
        )
        if problem := contradiction(self, self.reads) or example_problem(self.spec.examples):
            raise ToolDefinitionError(f"The tool {self.name} {problem}.")
        target = target_of(self.function)
        if inspect.isgeneratorfunction(target) or inspect.isasyncgenfunction(target):
            raise ToolDefinitionError(
                f"{spelled(self.function)} yields its result piece by piece; a model gets a result whole.",
                hint="Return a list or a text.",
            )
        object.__setattr__(self, "_is_async", inspect.iscoroutinefunction(target))
        object.__setattr__(self, "_slots", Slots(self.concurrency or 1))
        object.__setattr__(self, "_cache", Cache(self.cache or 0.0))

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def reads(self) -> bool:
        """Whether it changes nothing: it is marked so, or its body cannot."""
        return bool(self.read_only) or (self.body is not None and self.body.reads and not self.destructive)

    @property
    def repeatable(self) -> bool:
        """Whether a call may be made again without harm."""
        return self.reads or bool(self.idempotent)

    @property
    def kind(self) -> str:
        """What it acts by: `python`, `http`, `shell`, `sql`, `mcp`."""
        return "python" if self.body is None else self.body.kind

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

    def filled(self, arguments: Mapping[str, JSON]) -> Mapping[str, JSON]:
        """Checked arguments, with the defaults of those that are not given."""
        return self._defaults.fill(arguments)

    @cached_property
    def _defaults(self) -> Defaults:
        return Defaults(self.spec.parameters)

    def ruling(self, arguments: Mapping[str, JSON], context: ToolContext) -> Ruling:
        """Whether a call with checked arguments may run: what the policy says, else the tool itself."""
        gate = self.gate
        if gate is None:
            return self.own_ruling()
        return judged(lambda: gate(self, self.filled(arguments), context), self.name)

    def own_ruling(self) -> Ruling:
        """What the tool says where no policy speaks: its `approval`, else its marks."""
        if self.approval is None:
            reads = self.body is not None and self.body.reads
            return unmarked(self.name, self.kind, reads=reads, read_only=self.read_only, destructive=self.destructive)
        own = self.approval if isinstance(self.approval, Consent) else Consent(self.approval)
        return Ruling(
            own.mode,
            f"{self.name} is set to {own.mode!r}",
            approvers=own.approvers,
            four_eyes=bool(own.four_eyes),
            expires=own.expires or EXPIRES,
            place=self.place,
        )

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
            context = context or ToolContext()
            content = self._told(await self._result(arguments, context), context)
        except (ToolError, InvalidArguments) as exc:
            said = explained(exc, self, arguments) if isinstance(exc, ToolError) else str(exc)
            content, status, error = clip(said, self.max_chars), "error", exc
        except Expired as exc:
            content, status, error = explained(exc, self, arguments), "timeout", TimeoutError(str(exc))
        except Exception as exc:  # noqa: BLE001 - the outermost door: whatever a tool raises, the run goes on
            told = ToolError(f"The tool {self.name} failed.")  # what it raised is for the developer
            content, status, error = clip(explained(told, self, arguments), self.max_chars), "failed", exc
        return Outcome(mask_json(content), status, time.perf_counter() - begun, without_secrets(error))

    def _told(self, result: object, context: ToolContext) -> JSON:
        """A result as the model is given it; a body's that is only the first part of one says so at the end."""
        if self.result is None:
            content = as_content(result, self.max_chars)
        else:
            content = self.result.apply(result, owner=Owner.of(context))
        if cut := getattr(result, "cut", ""):
            content = f"{as_text(content)}\n[{cut}]"
        return content

    async def _result(self, arguments: Mapping[str, JSON], context: ToolContext) -> Any:
        """What the function or the body gives back, after as many tries as are safe."""
        bound = self._bound(context) if self.bind else _NOTHING
        if self.body is not None:
            arguments = self.filled(arguments)
        again = self.retries if self.repeatable else 0
        if not self.cache:
            return await self._tried(arguments, bound, context, again)
        key = cache_key(context, arguments, bound)
        found = self._cache.get(key)
        if isinstance(found, Absent):
            found = await self._tried(arguments, bound, context, again)
            self._cache.put(key, found)
        return found

    def _tried(
        self, arguments: Mapping[str, JSON], bound: Mapping[str, JSON], context: ToolContext, again: int
    ) -> Awaitable[Any]:
        if not again:
            return self._once(arguments, bound, context)
        return tried(lambda: self._once(arguments, bound, context), again, context)

    async def _once(self, arguments: Mapping[str, JSON], bound: Mapping[str, JSON], context: ToolContext) -> Any:
        """One try, within the tool's time."""
        body = self.body
        work: Errand | Job | None = None
        slot = await self._slots.take(self.name, self.timeout) if self.concurrency else None
        try:
            if body is not None:
                work = Errand(body.perform(self._rendered(body, arguments, bound, context), context))
            else:
                args, kwargs = self.plan.bind({**arguments, **bound} if bound else arguments, context)
                asynchronous = self._is_async
                work = (
                    Errand(self.function(*args, **kwargs)) if asynchronous else submit(self.function, *args, **kwargs)
                )
            result = await within(work, self)
            if inspect.isawaitable(result):
                work = Errand(result)
                result = await within(work, self)
            return result
        finally:
            if slot is not None:
                # What is left behind keeps its slot until it really ends.
                if work is None or work.future.done():
                    slot.release()
                else:
                    work.future.add_done_callback(lambda _: slot.release())

    def render(self, arguments: Mapping[str, JSON], context: ToolContext | None = None) -> Rendered:
        """What a call with checked arguments will do. Nothing happens.

        Raises:
            ToolError: a value cannot stand where the tool puts it.
        """
        context = context or ToolContext()
        bound = self._bound(context)
        arguments = self.filled(arguments)
        if self.body is not None:
            return self._rendered(self.body, arguments, bound, context)
        shown = write_plainly(self.name, {**arguments, **bound})
        facts = {"function": spelled(self.function), "arguments": {**arguments, **bound}}
        return Rendered("python", mask(shown), cast(dict[str, JSON], mask_json(facts)), None)

    def digest(self, rendered: Rendered, arguments: Mapping[str, JSON], context: ToolContext) -> str:
        """Stands for all that a rendered call will do: its tool, its values, the request that will be sent. What a
        person approved is not run if it has become something else since."""
        values = [dict(arguments), self._bound(context), dict(rendered.facts)]
        said = [self.name, self.description, dict(self.spec.parameters), rendered.kind, mask_json(values)]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()

    def _rendered(
        self, body: Body, arguments: Mapping[str, JSON], bound: Mapping[str, JSON], context: ToolContext
    ) -> Rendered:
        return body.render({"args": arguments, "bind": bound, "context": context.scope()})

    def _bound(self, context: ToolContext) -> dict[str, JSON]:
        """What the application fills in.

        Raises:
            ToolError: it gave no such value.
        """
        scope = {"context": context.scope()}
        bound = {}
        for name, field_ in self.bind.items():
            value = field_.value(scope)
            if isinstance(value, Absent):
                raise ToolError(
                    f"{self.name} cannot be called here: the application gave no {field_.source.strip()}."
                )
            bound[name] = value
        return bound

    async def close(self) -> None:
        """Ends what its body keeps between calls."""
        if self.body is not None:
            await self.body.close()

    def as_langchain(self) -> BaseTool:
        """This tool for LangChain: arguments checked, limits in force, context hidden.

        What a person would have to approve is refused, since nobody can be asked there.
        """
        from gemmagraph.tools.langchain import LangChainTool

        return LangChainTool(self)


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
        return replace(function, spec=_checked(replace(function.spec, **changes)), **normal(facts))
    spec, plan = read_function(function)
    return Tool(_checked(replace(spec, **changes)), function, plan, **normal(facts))


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
    spec = _checked(ToolSpec(name, description, schema, tuple(examples)))
    return Tool(spec, function, fit_function(function, schema), **normal(facts))


def _checked(spec: ToolSpec) -> ToolSpec:
    """
    Raises:
        ToolDefinitionError: its examples do not have its arguments.
    """
    refuse(f"The tool {spec.name}", argument_faults(spec))
    return spec
