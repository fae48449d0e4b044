"""What type checkers know of Gemma, Agent and what a run comes to. Checked by mypy (test_typing.py), never run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, assert_type

from langchain_core.messages import AnyMessage

from gemmagraph import Agent, Approval, Approve, CallRecord, Edit, Gemma, Limits, Reject, Respond, Result, tool
from gemmagraph.events import Event, RunFinished, ToolStarted
from gemmagraph.fallback import Model
from gemmagraph.prompts.messages import JSON
from gemmagraph.tools import Tool


def disk_free(path: str = "/") -> str:
    """How much room is left on the disk that holds this path?"""
    return path


@tool(destructive=True)
def restart(service: str) -> str:
    """Restarts a service."""
    return service


def by_rule(approval: Approval) -> Approve | Reject:
    return Approve() if approval.tool == "restart" else Reject("not today")


async def by_asking(approval: Approval) -> Edit | Respond:
    return Edit({**approval.arguments, "service": "web"}) if approval.user else Respond("nobody is there")


gemma = Gemma("ollama:gemma3:4b", notation="json", context=16_384, thinking=False, temperature=0.2)
agent = Agent(gemma, [disk_free, [restart]], instructions="Be brief.", limits=Limits(steps=4), approve=by_rule)

assert_type(gemma.name, str)
assert_type(agent.model, Model)
assert_type(agent.tools["restart"], Tool)
assert_type(agent.history("t"), list[AnyMessage])
assert_type(agent.cancel("t"), bool)
assert_type(agent.steps("t")[0].time, float | None)
assert_type(agent.fork("t", 3), str)
assert_type(agent.as_tool(), Tool)
assert_type(Agent("builtin", [[agent]], handover=[agent]), Agent)
assert_type(Limits(per_user={"runs": "30/min", "tokens": "200k/day"}), Limits)

result = agent.run("how full is the disk?", thread="t", user="ann", context={"site": "north"})
assert_type(result, Result)
assert_type(result.text, str)
assert_type(result.messages, list[AnyMessage])
assert_type(result.calls, tuple[CallRecord, ...])
assert_type(result.calls[0].arguments, Mapping[str, JSON])
assert_type(result.stop, Literal["answered", "needs_approval", "limit", "cancelled", "failed"])

with Agent("builtin", approve=by_asking) as other:
    assert_type(other, Agent)


async def in_async_code() -> None:
    async with Agent() as agent:
        assert_type(agent, Agent)
        assert_type(await agent.arun([("user", "hello")]), Result)
        async for event in agent.stream("hello"):
            assert_type(event, Event)
            if isinstance(event, ToolStarted):
                assert_type(event.call.name, str)
            elif isinstance(event, RunFinished):
                assert_type(event.result, Result)


# What must not pass; an ignored error that is none is one (warn_unused_ignores).
Agent(4)  # type: ignore[arg-type]
Agent(tools=disk_free)  # type: ignore[arg-type]
Agent(instruction="Be brief.")  # type: ignore[call-arg]
Agent(approve=lambda approval: "yes")  # type: ignore[arg-type, return-value]
Gemma("builtin", context="large")  # type: ignore[arg-type]
Limits(step=3)  # type: ignore[call-arg]
Reject(reason=None)  # type: ignore[arg-type]
agent.run(3)  # type: ignore[arg-type]
result.text = "other"  # type: ignore[misc]
