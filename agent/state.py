"""The graph's state, and how writes to it are merged.

Messages and JSON only, so that it can be stored and read back strictly.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal, TypeAlias, cast, get_args

from langchain_core.messages import (
    AIMessage,
    AnyMessage,
    BaseMessage,
    BaseMessageChunk,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
    convert_to_messages,
    message_chunk_to_message,
)
from langgraph.channels.delta import DeltaChannel
from langgraph.graph.message import REMOVE_ALL_MESSAGES
from typing_extensions import TypedDict  # below Python 3.12 pydantic, asked for the graph's schema, takes no other

from gemmagraph.ids import new_id

StepName: TypeAlias = Literal["model", "approval", "tools"]
STEPS: Final[tuple[StepName, ...]] = get_args(StepName)
"""The graph's steps. What they have saved of a thread is found by a graph that has the same."""

_ORDINARY: Final = frozenset({AIMessage, HumanMessage, SystemMessage, ToolMessage})
_MEMO_SIZE: Final = 64
_SNAPSHOT: Final = 1_000
_known: OrderedDict[int, tuple[list[AnyMessage], set[str]]] = OrderedDict()
"""The ids in lists that `merge` made last, so that appending costs what is appended. Used from several threads:
each step on it is one that none can come between."""


def merge(messages: list[AnyMessage], added: Sequence[Any]) -> list[AnyMessage]:
    """Messages with others added: new ones at the end, one of a known id in the place of the old one,
    `RemoveMessage` takes one or all away. As LangGraph's `add_messages`, given one message after the other.

    Raises:
        ValueError: a message that is to be removed is not there.
    """
    new = _messages(added)
    memo = _known.pop(id(messages), None)
    ids = memo[1] if memo is not None and memo[0] is messages else {message.id or "" for message in messages}
    fresh: set[str] = set()
    plain = True
    for message in new:
        if message.id is None:
            message.id = new_id()
        if message.id in ids or message.id in fresh or isinstance(message, RemoveMessage):
            plain = False
        fresh.add(message.id)
    if plain:
        merged = [*messages, *new]
        ids |= fresh
    else:
        merged = _merge_by_id(messages, new)
        ids = {message.id or "" for message in merged}
    _remember(merged, ids)
    return merged


def holds(messages: list[AnyMessage], identity: str) -> bool:
    """Whether there is a message of this id. `merge`, given the same list, need not look again."""
    memo = _known.get(id(messages))
    ids = memo[1] if memo is not None and memo[0] is messages else {message.id or "" for message in messages}
    _remember(messages, ids)
    return identity in ids


def _remember(messages: list[AnyMessage], ids: set[str]) -> None:
    if len(_known) >= _MEMO_SIZE:
        _known.popitem(last=False)
    _known[id(messages)] = (messages, ids)


def _messages(added: Any) -> list[AnyMessage]:
    """What a node or somebody else's code wrote, in any form that LangChain takes."""
    found = added if isinstance(added, list) else [added]
    if _ORDINARY.issuperset(map(type, found)):  # `isinstance` is slow for such classes
        return cast("list[AnyMessage]", found)
    if all(isinstance(message, BaseMessage) and not isinstance(message, BaseMessageChunk) for message in found):
        return cast("list[AnyMessage]", found)
    whole = [message_chunk_to_message(cast(BaseMessageChunk, message)) for message in convert_to_messages(found)]
    return cast("list[AnyMessage]", whole)


def _merge_by_id(messages: Sequence[AnyMessage], added: Sequence[AnyMessage]) -> list[AnyMessage]:
    for index in range(len(added) - 1, -1, -1):
        if added[index].id == REMOVE_ALL_MESSAGES:
            messages, added = [], added[index + 1 :]
            break
    merged: dict[str, AnyMessage] = {message.id or "": message for message in messages}
    for message in added:
        identity = message.id or ""
        if isinstance(message, RemoveMessage):
            if identity not in merged:
                raise ValueError(f"There is no message {identity!r} to remove.")
            del merged[identity]
        else:
            merged[identity] = message
    return list(merged.values())


def merge_all(messages: list[AnyMessage], writes: Sequence[Sequence[Any]]) -> list[AnyMessage]:
    """Messages with all that several writes add."""
    return merge(messages, [message for added in writes for message in _messages(added)])


def latest(old: dict[str, Any] | None, new: dict[str, Any] | None) -> dict[str, Any]:
    """The decisions of this turn; None takes them away."""
    return {} if new is None else {**(old or {}), **new}


class State(TypedDict, total=False):
    """What the graph remembers between steps."""

    messages: Annotated[list[AnyMessage], merge]
    decisions: Annotated[dict[str, Any], latest]
    """What people said to calls that were asked for, by call id."""


class StoredState(TypedDict, total=False):
    """The same where it is saved: a step writes only what it adds, so that a long conversation costs no more than a
    short one. A whole copy is saved after so many steps that reading it stays quick."""

    messages: Annotated[list[AnyMessage], DeltaChannel(merge_all, snapshot_frequency=_SNAPSHOT)]
    decisions: Annotated[dict[str, Any], latest]


class AskedCall(TypedDict):
    """What the step that asks about one call is given."""

    call: dict[str, Any]
    ruling: dict[str, Any]
