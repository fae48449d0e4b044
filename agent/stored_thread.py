"""A thread as it lies in a store, for people and programs that have no agent at hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langgraph.graph import START, StateGraph

from gemmagraph.journal import Entry
from gemmagraph.state import STEPS, StoredState
from gemmagraph.store.questions import Question
from gemmagraph.store.saver import config_of, reading_state
from gemmagraph.store.store import Store, Thread

if TYPE_CHECKING:
    from langchain_core.messages import AnyMessage


@dataclass(frozen=True, slots=True)
class StoredThread:
    """All that is kept of one."""

    thread: Thread
    messages: list[AnyMessage]
    unanswered: list[AnyMessage]
    """What was said and has not got into the conversation yet."""
    cancelled: list[AnyMessage]
    """What was said and cancelled before it got there."""
    calls: list[Entry]
    """Those that may have changed something, as the journal has them."""
    questions: list[Question]
    """About calls that a person was asked for, decided or not."""


async def stored_thread(store: Store, thread: str) -> StoredThread:
    """What is kept of a thread. Nothing is written.

    Raises:
        AgentError: there is no such thread.
        StoreError: the database failed.
    """
    about = await store.thread(thread)
    questions = await store.questions.of(thread)
    messages = await _messages(store, thread)
    known = {message.id for message in messages}
    waiting = [message for said in await store.inputs.open(thread, failed=True) for message in said.messages]
    return StoredThread(
        about,
        messages,
        [message for message in waiting if message.id not in known],
        [message for message in await store.inputs.cancelled(thread) if message.id not in known],
        await store.journal.entries(thread),
        questions,
    )


async def _messages(store: Store, thread: str) -> list[AnyMessage]:
    """A graph puts them together from what its steps wrote: it must have these steps, whatever they do."""
    graph: StateGraph[StoredState, None, StoredState, StoredState] = StateGraph(StoredState)
    for step in STEPS:
        graph.add_node(step, _nothing)
    graph.add_edge(START, STEPS[0])
    config = config_of(thread)
    with reading_state(config):
        state = await graph.compile(store.saver).aget_state(config)
        return list(state.values.get("messages") or [])


async def _nothing(state: StoredState) -> dict[str, Any]:
    return {}
