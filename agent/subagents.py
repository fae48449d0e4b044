"""Agents as tools of another: asked for something, or given the whole conversation to answer.

What runs there is a run of its own, inside a call of the other's run: with its own model, tools and limits, for the
same person, and on no thread. Its events, its tokens and its questions to people reach the run around it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from gemmagraph.errors import AgentError
from gemmagraph.events import Event, SubagentEvent
from gemmagraph.prompts.messages import JSON
from gemmagraph.run import CallContext, Result, Within
from gemmagraph.tools import Tool, ToolContext, ToolError, tool_from_schema
from gemmagraph.tools.results import MOST_CHARS

if TYPE_CHECKING:
    from gemmagraph.agent import Agent

DEEPEST: Final = 5
"""Agents that may work for one another in a row."""
_TRANSFER: Final = "transfer_to_"
_MOST_SAID: Final = 200
_REQUEST: Final[Mapping[str, JSON]] = {
    "type": "object",
    "properties": {
        "request": {"type": "string", "description": "What is wanted, in full: this conversation is not seen there."}
    },
    "required": ["request"],
}
_NOTHING: Final[Mapping[str, JSON]] = {"type": "object", "properties": {}}


class Asked:
    """An agent as the function of a tool."""

    def __init__(self, agent: Agent) -> None:
        self.agent = agent

    async def __call__(self, request: str, context: ToolContext) -> str:
        return await _answer(self.agent, request, context)


class GivenOver:
    """An agent that goes on with the conversation of another."""

    def __init__(self, agent: Agent) -> None:
        self.agent = agent

    async def __call__(self, context: ToolContext) -> str:
        if not isinstance(context, CallContext):
            raise ToolError("There is no conversation here that could be handed over.")
        # Without the message whose call this is: it has no result yet.
        return await _answer(self.agent, context.run.messages[:-1], context)


def tool_of(agent: Agent, name: str | None, description: str | None, *, handover: bool) -> Tool:
    """The tool that an agent is to another.

    Raises:
        ToolDefinitionError: that is no name of a tool.
    """
    own = re.sub(r"[^A-Za-z0-9_.-]", "_", agent.name)
    function: Asked | GivenOver
    if handover:
        said = f"Hands the conversation over to {agent.name}, which answers in your place."
        name, function = name or f"{_TRANSFER}{own}", GivenOver(agent)
    else:
        said = f"Has {agent.name}, another assistant, do something."
        name, function = name or own, Asked(agent)
    return tool_from_schema(
        name,
        description or " ".join(filter(None, (said, _known_for(agent)))),
        _NOTHING if handover else _REQUEST,
        function,
        read_only=True if all(tool.reads for tool in agent.tools.values()) else None,
        return_direct=handover,
        timeout=None,  # its own limits end it, and those of the run around it
        max_chars=MOST_CHARS if handover else 8_000,
    )


def _known_for(agent: Agent) -> str:
    """What another model should know of an agent."""
    tools = f"Its tools: {', '.join(agent.tools)}." if agent.tools else ""
    first = agent.instructions.partition("\n")[0][:_MOST_SAID]
    return " ".join(filter(None, (f'It was told: "{first}"' if first else "", tools)))


def agents_in(tools: Iterable[Tool]) -> list[Agent]:
    """The agents that are among some tools."""
    found = (tool.function.agent for tool in tools if isinstance(tool.function, Asked | GivenOver))
    return list(dict.fromkeys(found))


def check_nesting(agent: Agent) -> None:
    """
    Raises:
        AgentError: it would work for itself, or too many would work for one another.
    """
    for chain in _chains((agent,)):
        if chain[-1] in chain[:-1]:
            shown = " → ".join(each.name for each in chain)
            raise AgentError(f"The agent {chain[-1].name!r} is among its own tools: {shown}.")
        if len(chain) > DEEPEST:
            raise AgentError(f"More than {DEEPEST} agents would work for one another.", hint="Nest fewer of them.")


def _chains(chain: tuple[Agent, ...]) -> Iterator[tuple[Agent, ...]]:
    """Who works for whom, from the agent on: each chain, before what goes on from it."""
    for other in agents_in(chain[-1].tools.values()):
        yield (*chain, other)
        yield from _chains((*chain, other))


async def _answer(agent: Agent, said: str | Sequence[Any], context: ToolContext) -> str:
    """What the agent has to say.

    Raises:
        ToolError: nothing.
    """
    runs = await agent.runs()
    asker = ToolContext(context.user, context.thread, context.channel, None, context.values)
    if not isinstance(context, CallContext):  # somebody else's code calls the tool
        return _told(await runs.go(runs.new(asker, alone=True), said), agent.name)
    around, call = context.run, context.call.id
    at_work: Within | None = Within(around, call, agent.name)
    while at_work is not None:
        if at_work.run.kit is runs.kit:  # its tools were changed since it was made
            raise ToolError(f"{agent.name} is at work on this already.")
        at_work = at_work.run.within

    def tell(event: Event) -> None:
        around.emit(SubagentEvent(call, agent.name, event))

    run = runs.new(asker, tell if around.watch is not None else None, Within(around, call, agent.name))
    try:
        return _told(await runs.go(run, said), agent.name)
    finally:
        around.usage += run.usage
        around.spent[call] = run.usage


def _told(result: Result, name: str) -> str:
    """A result as the model around is told it."""
    if result.stop == "failed":
        raise ToolError(f"{name} has no answer: {result.reason}.")
    if result.stop == "answered":
        return result.text
    known = result.text or "\n".join(f"{call.name}: {call.result}" for call in result.calls)
    return f"{known}\n({name} ended before it was done: {result.reason or result.stop}.)".lstrip()
