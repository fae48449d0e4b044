"""What was said and has no answer yet. Once accepted it is not lost: whoever resumes the thread answers it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, cast

from gemmagraph.errors import StoreError
from gemmagraph.prompts.messages import JSON
from gemmagraph.store.rows import read, reading, written
from gemmagraph.store.session import Session
from gemmagraph.store.workers import Workers
from gemmagraph.tools import ToolContext
from gemmagraph.tools.secrets import mask, mask_all

if TYPE_CHECKING:
    from langchain_core.messages import AnyMessage

State: TypeAlias = Literal["accepted", "answered", "failed", "cancelled"]

_INPUTS: Final = "SELECT id, messages, asker, state FROM inputs WHERE thread = ?"
_LONGEST: Final = 500
"""Characters of what is kept of a failure."""
_TITLE: Final = 60
_NO_ASKER: Final = written(None)


@dataclass(frozen=True, slots=True)
class Input:
    """Messages of one turn, and who said them. Its id is that of the last of them."""

    id: str
    messages: Sequence[AnyMessage]
    asker: ToolContext
    state: State = "accepted"


class Inputs:
    """Of one store."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers

    def accepting(self, thread: str, agent: str, said: Input) -> Callable[[Session], None]:
        """Keeps what was said, and who said it. Nothing happens if it is there already, unless it failed: then it is
        to be tried again."""
        from langchain_core.messages import messages_to_dict

        messages = written(messages_to_dict(said.messages))
        asker = _written(said.asker.user, said.asker.channel, said.asker.values)

        def work(session: Session) -> None:
            now = session.now()
            session.change(
                "INSERT INTO threads (thread, agent, title, created, updated) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT (thread) DO UPDATE SET updated = excluded.updated",
                *(thread, agent, _title(said.messages), now, now),
            )
            session.change(
                "INSERT INTO inputs (thread, id, place, messages, asker, state, at)"
                " SELECT ?, ?, COALESCE(MAX(place), 0) + 1, ?, ?, 'accepted', ? FROM inputs WHERE thread = ?"
                " ON CONFLICT (thread, id) DO UPDATE SET state = 'accepted', asker = excluded.asker, failure = NULL"
                " WHERE inputs.state = 'failed'",
                *(thread, said.id, messages, asker, now, thread),
            )

        return work

    def opening(self, thread: str, *, failed: bool = False) -> Callable[[Session], list[Input]]:
        """What was accepted and has no answer, in its order.

        Args:
            failed: what failed too, if nothing was accepted after it.
        """

        def work(session: Session) -> list[Input]:
            # Two statements, for each has an index.
            found = session.rows(f"{_INPUTS} AND state = 'accepted' ORDER BY place", thread)
            if failed:
                last = session.rows(f"{_INPUTS} ORDER BY place DESC LIMIT 1", thread)
                found += [row for row in last if row[3] == "failed"]
            return [_input(thread, row) for row in found]

        return work

    def settling(
        self, thread: str, identity: str, state: State, why: Exception | None = None
    ) -> Callable[[Session], int]:
        """Writes down what came of it. What nobody will try again loses what the application gave along.

        Args:
            why: what failed.
        """
        failure = None if why is None else mask(str(why) or type(why).__name__)[:_LONGEST]

        def work(session: Session) -> int:
            settled = session.change(
                "UPDATE inputs SET state = ?, failure = ? WHERE thread = ? AND id = ?",
                *(state, failure, thread, identity),
            )
            if settled and state in ("answered", "cancelled"):
                _forget(session, thread, identity)
            return settled

        return work

    def giving_up(self, thread: str, identity: str) -> Callable[[Session], None]:
        """Writes down that nobody wants an answer any more, if there is none."""
        settle = self.settling(thread, identity, "cancelled")

        def work(session: Session) -> None:
            still = "SELECT 1 FROM inputs WHERE thread = ? AND id = ? AND state = 'accepted'"
            if session.rows(still, thread, identity):
                settle(session)

        return work

    def touch(self, session: Session, thread: str) -> None:
        """Notes that a thread is used now."""
        session.change("UPDATE threads SET updated = ? WHERE thread = ?", session.now(), thread)

    async def open(self, thread: str, *, failed: bool = False) -> list[Input]:
        """`opening`, done by itself."""
        return await self._workers.do(self.opening(thread, failed=failed))

    async def cancelled(self, thread: str) -> list[AnyMessage]:
        """What was said and cancelled, in its order; some of it may have got into the conversation before."""
        from langchain_core.messages import messages_from_dict

        query = "SELECT id, messages FROM inputs WHERE thread = ? AND state = 'cancelled' ORDER BY place"
        found = []
        for identity, messages in await self._workers.do(lambda session: session.rows(query, thread)):
            with _reading(thread, identity):
                found += messages_from_dict(read(messages))
        return cast("list[AnyMessage]", found)

    async def state(self, thread: str, identity: str) -> tuple[State, str | None] | None:
        """What came of it, and why if it failed; None if it was never accepted."""
        query = "SELECT state, failure FROM inputs WHERE thread = ? AND id = ?"
        found = await self._workers.do(lambda session: session.rows(query, thread, identity))
        return cast("tuple[State, str | None]", found[0]) if found else None

    async def settle(self, thread: str, identity: str, state: State) -> None:
        """`settling`, at once."""
        await self._workers.do(self.settling(thread, identity, state))


def _input(thread: str, row: tuple[Any, ...]) -> Input:
    from langchain_core.messages import messages_from_dict

    identity, messages, asker, state = row
    with _reading(thread, identity):
        said = cast("list[AnyMessage]", messages_from_dict(read(messages)))
        return Input(identity, said, _asker(thread, read(asker)), state)


def _reading(thread: str, identity: str) -> AbstractContextManager[None]:
    return reading(f"What was said on the thread {thread!r} (table inputs, id {identity})")


def _forget(session: Session, thread: str, identity: str) -> None:
    """Takes away the values that came with an input, and with those before it that failed."""
    found = session.rows(
        "SELECT id, asker FROM inputs WHERE thread = ? AND id = ?"
        " UNION SELECT id, asker FROM inputs WHERE thread = ? AND state = 'failed'",
        *(thread, identity, thread),
    )
    for known, asker in found:
        kept = _NO_ASKER  # what cannot be read may hold values, and stays what cannot be read
        with suppress(StoreError), _reading(thread, known):
            said = _asker(thread, read(asker))
            kept = _written(said.user, said.channel, {}) if said.values else asker
        if kept != asker:
            session.change("UPDATE inputs SET asker = ? WHERE thread = ? AND id = ?", kept, thread, known)


def _written(user: str | None, channel: str | None, values: Mapping[str, JSON]) -> str:
    return written({"user": user, "channel": channel, "values": mask_all(dict(values))})


def _asker(thread: str, said: Any) -> ToolContext:
    match said:
        case {"user": str() | None as user, "channel": str() | None as channel, "values": dict(values)}:
            return ToolContext(user, thread, channel, None, values)
    raise ValueError(f"{said!r:.40} does not say who asked")


def _title(messages: Sequence[AnyMessage]) -> str:
    line = "".join(filter(str.isprintable, " ".join(messages[-1].text.split())))
    return line if len(line) <= _TITLE else f"{line[: _TITLE - 1]}…"
