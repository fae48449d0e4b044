from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from gemmagraph.tools import Tool, ToolContext, tool_from_schema
from gemmagraph.tools.bodies.base import Rendered
from gemmagraph.tools.context import ToolContext as Context
from gemmagraph.tools.errors import BodyError
from gemmagraph.tools.fields import Scope, compile_field

SCHEMA = {"properties": {"n": {"type": "integer"}}, "required": ["n"]}


class Flaky:
    """A body that fails as often as it is told to."""

    kind = "http"
    reads = False

    def __init__(self, *failures: BaseException) -> None:
        self.failures = list(failures)
        self.seen: list[Any] = []

    def unavailable(self) -> str | None:
        return None

    def render(self, scope: Scope) -> Rendered:
        facts = {name: dict(values) for name, values in scope.items()}
        return Rendered("http", "GET /", facts, facts)

    async def perform(self, rendered: Rendered, context: Context) -> object:
        self.seen.append(rendered.live)
        if self.failures:
            raise self.failures.pop(0)
        return {"try": len(self.seen)}

    async def close(self) -> None: ...


def made(body: Flaky, **facts: Any) -> Tool:
    plain = tool_from_schema("look", "Looks.", SCHEMA, lambda n: n, **facts)
    return replace(plain, body=body)


def outcome_of(made: Tool, context: ToolContext | None = None) -> Any:
    return asyncio.run(made.run({"n": 1}, context))


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gemmagraph.tools.attempts._FIRST_WAIT", 0.001)


def busy(**more: Any) -> BodyError:
    return BodyError("busy", kinds=("503", "5xx"), transient=True, **more)


@pytest.mark.parametrize("mark", [{"read_only": True}, {"idempotent": True}], ids=str)
def test_what_is_safe_is_tried_again_after_what_may_pass(mark: dict[str, bool]) -> None:
    body = Flaky(busy(), ConnectionResetError("gone"))
    outcome = outcome_of(made(body, retries=2, **mark))
    assert (outcome.content, outcome.status) == ({"try": 3}, "ok")


def test_what_may_change_something_is_never_tried_again() -> None:
    body = Flaky(busy(unknown=True))
    outcome = outcome_of(made(body, retries=5))
    assert len(body.seen) == 1
    assert outcome.status == "error"
    assert outcome.content.startswith("busy Its outcome is unknown")


@pytest.mark.parametrize(
    "failure",
    [
        BodyError("no", kinds=("404", "4xx")),
        BodyError("later", kinds=("429",), transient=True, retry_after=3600),
        ValueError("a bug"),
    ],
    ids=["for-good", "asked-to-wait-an-hour", "bug"],
)
def test_what_will_not_pass_is_not_tried_again(failure: Exception) -> None:
    body = Flaky(failure)
    outcome_of(made(body, retries=5, read_only=True))
    assert len(body.seen) == 1


def test_after_the_last_try_the_failure_is_the_result() -> None:
    body = Flaky(*[busy() for _ in range(9)])
    outcome = outcome_of(made(body, retries=2, read_only=True))
    assert len(body.seen) == 3
    assert (outcome.content, outcome.status) == ("busy", "error")


@pytest.mark.parametrize(
    ("errors", "said"),
    [
        ({"503": "n={{ args.n }} {{ response.status }}", "5xx": "b"}, "n=1 503"),
        ({"5xx": "b", "other": "c"}, "b"),
        ({"4xx": "a", "other": "c"}, "c"),
        ({"4xx": "a"}, "busy"),
        ({"503": "{{ response.json.message }}"}, "busy"),
    ],
)
def test_a_failure_is_told_in_the_words_for_its_kind(errors: dict[str, str], said: str) -> None:
    compiled = {kind: compile_field(text, ("args", "response")) for kind, text in errors.items()}
    body = Flaky(busy(scope={"response": {"status": 503}}))
    outcome = outcome_of(replace(made(body, read_only=True), errors=compiled))
    assert outcome.content == said


def test_words_for_a_timeout_still_say_that_the_outcome_is_unknown() -> None:
    async def hang(n: int) -> int:
        await asyncio.sleep(60)
        return n

    slow = replace(
        tool_from_schema("look", "Looks.", SCHEMA, hang, timeout=0.01), errors={"timeout": compile_field("slow", ())}
    )
    assert outcome_of(slow).content.startswith("slow Its outcome is unknown")
    assert outcome_of(replace(slow, read_only=True)).content == "slow"


def test_a_result_is_kept_for_the_same_user_and_arguments() -> None:
    body = Flaky()
    kept = made(body, read_only=True, cache=60)
    ann, bob = ToolContext(user="ann"), ToolContext(user="bob")
    answers = [outcome_of(kept, who).content["try"] for who in (ann, ann, bob, ann)]
    assert answers == [1, 1, 2, 1]


def test_a_failure_is_not_kept() -> None:
    body = Flaky(BodyError("no", kinds=("404",)))
    kept = made(body, read_only=True, cache=60)
    assert [outcome_of(kept).status, outcome_of(kept).status] == ["error", "ok"]


def test_bound_values_come_from_the_application_and_a_missing_one_is_told() -> None:
    body = Flaky()
    bound = replace(made(body), bind={"who": compile_field("{{ context.user }}/{{ context.team }}", ("context",))})
    assert outcome_of(bound, ToolContext(user="ann", values={"team": "a", "user": "mallory"})).status == "ok"
    assert body.seen[0]["bind"] == {"who": "ann/a"}
    refused = outcome_of(bound, ToolContext(values={"team": "a", "user": "mallory"}))
    assert "the application gave no {{ context.user }}" in refused.content
    assert len(body.seen) == 1


def test_bound_values_reach_a_function_as_arguments() -> None:
    def greet(n: int, who: str = "") -> str:
        return f"{n} from {who}"

    bound = replace(
        tool_from_schema("greet", "Greets.", SCHEMA, greet),
        bind={"who": compile_field("{{ context.user }}", ("context",))},
    )
    assert asyncio.run(bound.run({"n": 1}, ToolContext(user="ann"))).content == "1 from ann"
