"""Tools: how they are made, what they promise when they run."""

import asyncio
import dataclasses
import functools
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from gemmagraph.prompts.errors import InvalidArguments
from gemmagraph.tools import (
    Outcome,
    Tool,
    ToolContext,
    ToolDefinitionError,
    ToolError,
    run_sync,
    runtime,
    tool,
    tool_from_schema,
)

SHORT = 0.05
"""Seconds after which a call that hangs is given up here."""
LONG = 10.0
"""Seconds that a test waits for what should come at once."""


def add(a: int, b: int = 2) -> int:
    """Adds."""
    return a + b


async def add_later(a: int, b: int = 2) -> int:
    """Adds."""
    return a + b


def run(made: Tool, **arguments: Any) -> Outcome:
    return asyncio.run(made.run(arguments))


# Making one


def test_decorator_without_parentheses_makes_a_tool() -> None:
    made = tool(add)

    assert isinstance(made, Tool)
    assert (made.name, made.description) == ("add", "Adds.")
    assert (made.read_only, made.idempotent, made.destructive, made.open_world) == (None, None, None, None)
    assert (made.timeout, made.max_chars, made.concurrency) == (60.0, 8_000, None)
    assert (made.sequential, made.return_direct, made.approval, made.examples) == (False, False, None, ())
    assert repr(made) == "<Tool add>"


def test_decorator_with_facts_makes_a_tool_that_has_them() -> None:
    example = {"user": "2 and 3?", "args": {"a": 2, "b": 3}}

    @tool(
        name="plus",
        description="Sums up.",
        read_only=True,
        idempotent=True,
        destructive=False,
        open_world=False,
        timeout=None,
        max_chars=500,
        concurrency=2,
        sequential=True,
        return_direct=True,
        approval="ask",
        examples=[example],
    )
    def add(a: int, b: int) -> int:
        """Adds."""
        return a + b

    assert (add.name, add.description) == ("plus", "Sums up.")
    assert (add.read_only, add.idempotent, add.destructive, add.open_world) == (True, True, False, False)
    assert (add.timeout, add.max_chars, add.concurrency) == (None, 500, 2)
    assert (add.sequential, add.return_direct, add.approval, add.examples) == (True, True, "ask", (example,))
    assert dataclasses.replace(add, approval="deny").approval == "deny"


def test_tool_can_be_made_again_with_other_facts() -> None:
    made = tool(add, read_only=True, examples=[{"args": {"a": 1}}])
    other = tool(made, name="plus", description="Sums up.", timeout=5)

    assert (other.name, other.description, other.timeout) == ("plus", "Sums up.", 5)
    assert (other.read_only, other.examples) == (True, made.examples)
    assert (made.name, made.timeout) == ("add", 60)
    assert run(other, a=1).content == 3


def test_tool_can_still_be_called_like_the_function() -> None:
    assert tool(add)(2, b=3) == 5
    assert asyncio.run(tool(add_later)(2, 3)) == 5


@pytest.mark.parametrize("name", ["a", "_a", "A1_b.c-d", "x" * 64])
def test_usual_names_are_taken(name: str) -> None:
    assert tool(add, name=name).name == name


@pytest.mark.parametrize("name", ["", "1a", "-a", "a b", "größe", "x" * 65, "a\n", "auto", "any", "required", "None"])
def test_name_that_servers_would_refuse_is_refused_with_what_to_do(name: str) -> None:
    with pytest.raises(ToolDefinitionError, match=r"add\(\).*Give name=") as caught:
        tool(add, name=name)
    assert repr(name) in str(caught.value)


def test_lambda_needs_a_name() -> None:
    with pytest.raises(ToolDefinitionError, match=r"'<lambda>'.*Give name="):
        tool(lambda: 1)
    assert tool(lambda: 1, name="one").name == "one"


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "contradiction": ({"read_only": True, "destructive": True}, "both read-only and destructive"),
    "timeout": ({"timeout": 0}, "timeout of 0"),
    "timeout-nan": ({"timeout": float("nan")}, "timeout of nan"),
    "max_chars": ({"max_chars": 10}, "max_chars=10"),
    "concurrency": ({"concurrency": 0}, "concurrency=0"),
    "approval": ({"approval": "yes"}, "approval='yes'"),
    "examples": ({"examples": [{"a": 1}]}, "example without args"),
}


@pytest.mark.parametrize(("facts", "message"), WRONG.values(), ids=WRONG)
def test_facts_that_cannot_be_are_refused(facts: dict[str, Any], message: str) -> None:
    with pytest.raises(ToolDefinitionError, match=f"The tool add .*{message}"):
        tool(add, **facts)


APPROVALS: dict[str, tuple[dict[str, Any], str, str]] = {
    "read-only": ({"read_only": True}, "allow", "read-only"),
    "destructive": ({"destructive": True}, "ask", "destructive"),
    "neither": ({}, "allow", "not marked destructive"),
    "said-to-change": ({"read_only": False}, "allow", "not marked destructive"),
    "own-word-first": ({"read_only": True, "approval": "ask"}, "ask", "'ask'"),
    "destructive-allowed": ({"destructive": True, "approval": "allow"}, "allow", "'allow'"),
    "denied": ({"approval": "deny"}, "deny", "'deny'"),
}


@pytest.mark.parametrize(("facts", "verdict", "reason"), APPROVALS.values(), ids=APPROVALS)
def test_facts_decide_who_is_asked(facts: dict[str, Any], verdict: str, reason: str) -> None:
    ruling = tool(add, **facts).own_ruling()

    assert ruling.verdict == verdict
    assert ruling.reason.startswith("add is ")
    assert reason in ruling.reason


def test_plain_functions_need_no_third_party_package() -> None:
    program = """
import sys
import gemmagraph.tools as tools

def add(a: int, b: list[float] | None = None, *, c: dict[str, int] = {}) -> int:
    '''Adds.

    Args:
        a: One.
    '''

tools.to_tools([add, tools.tool(add, name="plus")])
print(sorted({"pydantic", "langchain_core", "jsonschema", "httpx"} & set(sys.modules)))
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)

    assert ended.stdout == "[]\n"


# From a schema

PARAMETERS = {
    "required": ["repo"],
    "properties": {
        "repo": {"type": "string", "enum": ["web", "api"]},
        "labels": {"type": "array", "items": {"type": "string"}, "default": ["new"]},
        "since": {"type": "string", "format": "date"},
    },
}


def test_tool_from_schema_gets_json_and_the_schemas_defaults() -> None:
    def issues(context: ToolContext, **arguments: Any) -> Any:
        return [arguments, context.user]

    made = tool_from_schema("issues", "Lists.", PARAMETERS, issues, read_only=True)

    assert made.spec.parameters == {"type": "object", "additionalProperties": False, **PARAMETERS}
    assert (made.description, made.read_only) == ("Lists.", True)
    outcome = asyncio.run(made.run({"repo": "web", "since": "2026-03-01"}, ToolContext(user="ann")))
    assert outcome.content == [{"repo": "web", "since": "2026-03-01", "labels": ["new"]}, "ann"]


def test_default_of_a_schema_is_not_shared_between_calls() -> None:
    def issues(repo: str, labels: list[str], since: str = "") -> list[str]:
        labels.append("seen")
        return labels

    made = tool_from_schema("issues", "", PARAMETERS, issues)

    assert run(made, repo="web").content == ["new", "seen"]
    assert run(made, repo="web").content == ["new", "seen"]


def too_few(repo: str) -> None: ...
def too_many(repo: str, labels: list[str], since: str, more: int) -> None: ...
def needs_optional(repo: str, labels: list[str], since: str) -> None: ...


@pytest.mark.parametrize("function", [too_few, too_many, needs_optional])
def test_function_that_does_not_fit_its_schema_is_refused(function: Callable[..., Any]) -> None:
    with pytest.raises(ToolDefinitionError, match=rf"does not fit.*{function.__name__}\(\)"):
        tool_from_schema("issues", "", PARAMETERS, function)


@pytest.mark.parametrize("schema", [{"type": "array"}, {"type": "object", "properties": []}])
def test_parameters_that_are_no_object_are_refused(schema: Mapping[str, Any]) -> None:
    with pytest.raises(ToolDefinitionError, match="must be an object"):
        tool_from_schema("probe", "", schema, lambda: None)


def test_check_refuses_wrong_arguments_in_words_for_the_model() -> None:
    made = tool(add)

    assert made.check({"a": 1}) == {"a": 1}
    with pytest.raises(InvalidArguments, match="add"):
        made.check({"a": "one"})
    with pytest.raises(InvalidArguments):
        made.check({"a": 1, "c": 2})


# Running one


@pytest.mark.parametrize("function", [add, add_later, functools.partial(add, b=2), lambda a: add_later(a)])
def test_result_comes_with_status_and_time(function: Callable[..., Any]) -> None:
    outcome = run(tool(function, name="add"), a=1)

    assert (outcome.content, outcome.status, outcome.error) == (3, "ok", None)
    assert 0 < outcome.seconds < LONG


def test_async_callable_object_runs_on_the_loop() -> None:
    class Adder:
        async def __call__(self, a: int) -> str:
            return f"{a} {threading.current_thread() is main}"

    main = threading.current_thread()

    assert run(tool(Adder(), name="adder"), a=1).content == "1 True"


def test_blocking_function_runs_in_another_thread() -> None:
    assert run(tool(lambda: threading.get_ident(), name="ident")).content != threading.get_ident()


def raise_tool_error() -> None:
    raise ToolError("There is no city 'Rom'.", hint="Did you mean 'Rome'?")


async def raise_tool_error_later() -> None:
    raise_tool_error()


@pytest.mark.parametrize("function", [raise_tool_error, raise_tool_error_later])
def test_tool_error_is_told_to_the_model(function: Callable[..., Any]) -> None:
    outcome = run(tool(function))

    assert outcome.status == "error"
    assert outcome.content == "There is no city 'Rom'. Did you mean 'Rome'?"
    assert isinstance(outcome.error, ToolError)


def failing(error: BaseException) -> list[Callable[[], Any]]:
    def fail() -> None:
        raise error

    async def fail_later() -> None:
        raise error

    return [fail, fail_later]


FAILURES: dict[str, tuple[BaseException, str]] = {
    "bug": (KeyError("secret"), "secret"),
    "timeout-of-its-own": (TimeoutError("secret"), "secret"),
    "exit": (SystemExit(3), "SystemExit"),
    "stop-iteration": (StopIteration(), "StopIteration"),
    "cancelled-itself": (asyncio.CancelledError(), "ancelled"),
    "generator-exit": (GeneratorExit(), "GeneratorExit"),
    "group": (ExceptionGroup("secret", [KeyError()]), "secret"),
}


@pytest.mark.parametrize(("error", "shown"), FAILURES.values(), ids=FAILURES)
def test_any_other_exception_is_for_the_developer_only(error: BaseException, shown: str) -> None:
    for function in failing(error):
        outcome = run(tool(function, name="probe"))

        assert (outcome.status, outcome.content) == ("failed", "The tool probe failed.")
        assert shown in repr(outcome.error)


def test_interrupt_raised_in_a_thread_is_a_failure_of_the_tool() -> None:
    outcome = run(tool(failing(KeyboardInterrupt())[0], name="probe"))

    assert (outcome.status, outcome.content) == ("failed", "The tool probe failed.")


@pytest.mark.parametrize(
    ("facts", "after"),
    [
        ({}, "Its outcome is unknown"),
        ({"destructive": True}, "Its outcome is unknown"),
        ({"read_only": True}, "Calling it again is safe."),
        ({"idempotent": True}, "Calling it again is safe."),
    ],
    ids=["neither", "destructive", "read-only", "idempotent"],
)
def test_timeout_says_whether_the_outcome_is_known(facts: dict[str, Any], after: str, gate: threading.Event) -> None:
    def hang() -> None:
        gate.wait(LONG)

    async def hang_later() -> None:
        await asyncio.Event().wait()

    for function in (hang, hang_later):
        outcome = run(tool(function, name="probe", timeout=SHORT, **facts))

        assert outcome.status == "timeout"
        assert outcome.content.startswith("probe did not finish within 0.05 s. " + after)
        assert isinstance(outcome.error, TimeoutError)


def test_timeout_cancels_an_async_function() -> None:
    steps: list[str] = []

    @tool(timeout=SHORT)
    async def probe() -> str:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            steps.append("cleaned up")
        return "never"

    assert run(probe).status == "timeout"
    assert steps == ["cleaned up"]


def test_async_function_that_ignores_being_cancelled_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "CANCEL_GRACE", SHORT)
    patience = 3

    @tool(timeout=SHORT)
    async def stubborn() -> None:
        nonlocal patience
        while patience:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                patience -= 1

    async def main() -> Outcome:
        task = asyncio.create_task(stubborn.run({}))
        return await asyncio.wait_for(task, LONG)

    # `asyncio.run` cancels what is left once more, and again, until it has ended.
    with asyncio.Runner() as runner:
        assert runner.run(main()).status == "timeout"
        while patience:
            for task in asyncio.all_tasks(runner.get_loop()):
                task.cancel()
            runner.run(asyncio.sleep(0))


def test_hanging_function_does_not_hold_up_the_others(gate: threading.Event) -> None:
    def hang() -> None:
        gate.wait(LONG)

    async def main() -> tuple[Outcome, list[Outcome]]:
        slow = asyncio.create_task(tool(hang, timeout=LONG).run({}))
        quick = await asyncio.gather(*(tool(add).run({"a": n}) for n in range(20)))
        assert not slow.done()
        gate.set()
        return await slow, quick

    slow, quick = asyncio.run(main())
    assert slow.status == "ok"
    assert [outcome.content for outcome in quick] == list(range(2, 22))


def test_cancelling_reaches_an_async_function() -> None:
    started = asyncio.Event()
    steps: list[str] = []

    @tool
    async def probe() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            steps.append("cancelled")
            raise

    async def main() -> None:
        task = asyncio.create_task(probe.run({}))
        await asyncio.wait_for(started.wait(), LONG)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(main())
    assert steps == ["cancelled"]


def test_cancelling_leaves_a_blocking_function_behind(gate: threading.Event) -> None:
    started = threading.Event()

    @tool
    def hang() -> None:
        started.set()
        gate.wait(LONG)

    async def main() -> None:
        task = asyncio.create_task(hang.run({}))
        assert await asyncio.to_thread(started.wait, LONG)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert runtime.abandoned() == 1

    asyncio.run(asyncio.wait_for(main(), LONG))


def test_past_the_cap_of_abandoned_functions_the_model_is_told(
    gate: threading.Event, all_ended: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "MAX_ABANDONED", 1)
    hang = tool(lambda: gate.wait(LONG), name="hang", timeout=SHORT)

    assert run(hang).status == "timeout"
    refused = run(tool(add), a=1)
    assert (refused.status, "not started" in refused.content) == ("error", True)
    assert run(tool(add_later), a=1).content == 3
    gate.set()
    all_ended()
    assert run(tool(add), a=1).content == 3


def test_call_that_found_no_thread_in_time_was_not_started(
    gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "_pool", runtime._Pool())
    monkeypatch.setattr(runtime, "MAX_THREADS", 1)
    ran: list[int] = []

    async def main() -> tuple[Outcome, Outcome]:
        first = asyncio.create_task(tool(lambda: gate.wait(LONG), name="first").run({}))
        await asyncio.sleep(0)
        second = await tool(lambda: ran.append(1), name="second", timeout=SHORT).run({})
        gate.set()
        return await first, second

    first, second = asyncio.run(main())
    assert (first.status, second.status) == ("ok", "error")
    assert second.content == "second was not started: too many other calls are running."
    assert ran == []


@pytest.mark.parametrize("blocking", [True, False], ids=["blocking", "async"])
@pytest.mark.parametrize("limit", [1, 3, None])
def test_as_many_calls_run_at_once_as_the_tool_allows(limit: int | None, blocking: bool) -> None:
    lock, running, most = threading.Lock(), 0, 0
    allowed = limit or 6
    together = threading.Barrier(allowed)

    @tool(concurrency=limit, name="probe")
    def probe() -> None:
        enter()
        together.wait(LONG)
        leave()

    def enter() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)

    def leave() -> None:
        nonlocal running
        with lock:
            running -= 1

    async def main() -> list[str]:
        together_here = asyncio.Barrier(allowed)

        async def probe_later() -> None:
            enter()
            await together_here.wait()
            leave()

        made = probe if blocking else tool(probe_later, concurrency=limit)
        return [outcome.status for outcome in await asyncio.gather(*(made.run({}) for _ in range(6)))]

    # In two loops, one after the other: each has slots of its own.
    assert asyncio.run(asyncio.wait_for(main(), LONG)) == ["ok"] * 6
    assert run_sync(asyncio.wait_for(main(), LONG)) == ["ok"] * 6
    assert most == allowed


def test_call_that_hangs_keeps_its_slot_until_it_ends(gate: threading.Event, all_ended: Callable[[], None]) -> None:
    hang = tool(lambda: gate.wait(LONG), name="hang", timeout=SHORT, concurrency=1)

    async def main() -> list[Outcome]:
        first, second = await hang.run({}), await hang.run({})
        gate.set()
        await asyncio.to_thread(all_ended)
        return [first, second, await hang.run({})]

    first, second, third = asyncio.run(main())
    assert (first.status, second.status, third.status) == ("timeout", "error", "ok")
    assert second.content == "hang is busy with earlier calls. This one was not started."


def test_context_reaches_the_function_whole() -> None:
    @tool
    def probe(context: ToolContext) -> Any:
        return dataclasses.asdict(context)

    context = ToolContext("ann", "t1", "c1", "k1", {"tenant": 7})

    assert asyncio.run(probe.run({}, context)).content == {
        "user": "ann",
        "thread": "t1",
        "channel": "c1",
        "idempotency_key": "k1",
        "values": {"tenant": 7},
    }


def test_arguments_are_left_as_they_were() -> None:
    arguments = {"a": 1}
    asyncio.run(tool(add).run(arguments))

    assert arguments == {"a": 1}


def test_awaitable_of_a_plain_function_is_awaited_within_the_timeout() -> None:
    def probe() -> Awaitable[None]:
        return asyncio.sleep(LONG)

    assert run(tool(probe, timeout=SHORT)).status == "timeout"


def test_sync_door_runs_a_tool_inside_a_running_loop() -> None:
    async def main() -> Outcome:
        return run_sync(tool(add).run({"a": 1}))

    assert asyncio.run(main()).content == 3


def test_an_example_must_have_the_arguments_of_the_function() -> None:
    def look(at: str) -> str:
        """Looks."""
        return at

    with pytest.raises(ToolDefinitionError, match=r"examples\[0\].args.where: there is no parameter 'where'"):
        tool(examples=[{"args": {"where": "x"}}])(look)
