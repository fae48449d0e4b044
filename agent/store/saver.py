"""LangGraph's saver on a store: its own plain one, asked from any event loop, which writes only whose turn it is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from secrets import token_hex
from typing import Any, Final, TypeAlias, TypeVar

from langchain_core.messages import AnyMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
    get_checkpoint_id,
)

from gemmagraph.errors import TurnLost
from gemmagraph.store.held import Held, Write
from gemmagraph.store.latest import Latest
from gemmagraph.store.rows import reading
from gemmagraph.store.serialising import strict
from gemmagraph.store.session import Session
from gemmagraph.store.workers import Workers

T = TypeVar("T")

_Messages: TypeAlias = list[AnyMessage]
_TICKET: Final = "__gemmagraph_ticket"


class Saver(BaseCheckpointSaver[str]):
    """With a ticket, which is in the config or else the one that `tickets` has for its thread, it writes only as long
    as that is the thread's first.

    Raises:
        StoreError: from every method, when the database failed.
        TurnLost: from those that write, when another process has taken the thread over.
    """

    def __init__(self, workers: Workers, tickets: Mapping[str, int]) -> None:
        super().__init__(serde=strict())
        self._workers = workers
        self._tickets = tickets
        """Of the turns that this process holds, by thread."""
        self._latest = Latest()
        self._held = Held()
        self._opened: dict[int, CheckpointTuple | None] = {}
        """The last checkpoint of a thread, by the ticket of the turn that has begun and not looked at it yet."""
        self._walked: dict[int, tuple[tuple[str | None, ...], Mapping[str, DeltaChannelHistory]]] = {}
        """What was found in the ancestors of a checkpoint, by the ticket of the turn that looked at it: a graph looks
        there once more before it goes on, and nothing changes there."""

    def get_next_version(self, current: str | None, channel: None) -> str:
        # Theirs, of either database, counts in the part in front of the point, and is compared as text. What is
        # behind it tells apart what two forks of a thread wrote: PostgreSQL's keeps one value of a version.
        count = int(str(current).partition(".")[0]) + 1 if current is not None else 1
        return f"{count:032}.{token_hex(8)}"

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        return self._workers.do_now(_getting(config))

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        ticket = self._ticket(config)
        if ticket in self._opened and not get_checkpoint_id(config):
            return self._opened.pop(ticket)
        await self._flush(config)
        return await self._workers.do(_getting(config))

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        yield from self._workers.do_now(_listing(config, filter, before, limit))

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        if config is not None:
            await self._flush(config)
        for found in await self._workers.do(_listing(config, filter, before, limit)):
            yield found

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        return self._workers.do_now(self._putting(config, checkpoint, metadata, new_versions))

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        ticket = self._ticket(config)
        if ticket is None or not self._held.may_wait(ticket, config, checkpoint, metadata):
            return await self._workers.do(self._putting(config, checkpoint, metadata, new_versions))
        self._hold(ticket, lambda saver: saver.put(config, checkpoint, metadata, new_versions))
        self._latest.put(config, checkpoint["id"])
        return config_of(_thread(config), checkpoint=checkpoint["id"])

    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        self._workers.do_now(self._putting_writes(config, writes, task_id, task_path))

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        ticket = self._ticket(config)
        if ticket is None or not self._held.has(ticket) or any(channel in WRITES_IDX_MAP for channel, _ in writes):
            await self._workers.do(self._putting_writes(config, writes, task_id, task_path))
        else:
            written = [*writes]  # LangGraph goes on with its own
            self._hold(ticket, lambda saver: saver.put_writes(config, written, task_id, task_path))

    def delete_thread(self, thread_id: str) -> None:
        self._workers.do_now(_deleting(thread_id))
        self._latest.forget(thread_id)

    async def adelete_thread(self, thread_id: str) -> None:
        await self._workers.do(_deleting(thread_id))
        self._latest.forget(thread_id)

    def get_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        known = self._latest.history(config, channels)
        return self._workers.do_now(_walking(config, channels)) if known is None else known

    async def aget_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        known = self._latest.history(config, channels)
        if known is not None:
            return known
        ticket = self._ticket(config)
        place = get_checkpoint_id(config), config["configurable"].get("checkpoint_ns", ""), *channels
        if ticket in self._walked and self._walked[ticket][0] == place:
            return self._walked.pop(ticket)[1]
        found = await self._workers.do(_walking(config, channels))
        if ticket is not None and self._held.has(ticket):
            self._walked[ticket] = place, found
        return found

    def opening(self, thread: str) -> Callable[[Session], CheckpointTuple | None]:
        """The last checkpoint of a thread."""
        return _getting(config_of(thread))

    def opened(self, ticket: int, found: CheckpointTuple | None) -> None:
        """Notes it for whoever asks in the turn that has begun. It ends with what `closing` gives."""
        self._opened[ticket] = found
        self._held.begin(ticket)

    def closing(self, thread: str, ticket: int) -> Sequence[Callable[[Session], None]]:
        """What writes, at the end of a turn, what is held back."""
        self._opened.pop(ticket, None)
        self._walked.pop(ticket, None)
        held = self._held.end(ticket)

        def work(session: Session) -> None:
            with self._remembered(thread):
                for write in held:
                    write(session.saver)

        return [work] if held else []

    def rests(self, thread: str, messages: _Messages) -> None:
        """Notes that a run has come to its end with these messages: nothing is left to do behind its checkpoint."""
        self._latest.rests(thread, messages)

    def at_rest(self, thread: str, last: CheckpointTuple | None) -> _Messages | None:
        """The messages of a thread, if a run of this process came to its end with this checkpoint."""
        return None if last is None else self._latest.at_rest(thread, str(get_checkpoint_id(last.config)))

    def _ticket(self, config: RunnableConfig) -> int | None:
        thread = _thread(config)
        of, ticket = config["configurable"].get(_TICKET, ("", None))
        return ticket if of == thread else self._tickets.get(thread)  # a graph inside another inherits its config

    def _hold(self, ticket: int, write: Write) -> None:
        self._opened.pop(ticket, None)
        self._held.add(ticket, write)

    async def _flush(self, config: RunnableConfig) -> None:
        """Writes what is held back."""
        if held := self._held.take(self._ticket(config)):
            await self._workers.do(self._fenced(config, lambda saver: None, held))

    def _putting(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> Callable[[Session], RunnableConfig]:
        def put(saver: BaseCheckpointSaver[str]) -> RunnableConfig:
            written = saver.put(config, checkpoint, metadata, new_versions)
            self._latest.put(config, checkpoint["id"])
            return written

        return self._fenced(config, put)

    def _putting_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str
    ) -> Callable[[Session], None]:
        writes = list(writes)  # LangGraph goes on with its own

        def put(saver: BaseCheckpointSaver[str]) -> None:
            saver.put_writes(config, writes, task_id, task_path)

        return self._fenced(config, put)

    def _fenced(
        self, config: RunnableConfig, write: Callable[[BaseCheckpointSaver[str]], T], held: Sequence[Write] = ()
    ) -> Callable[[Session], T]:
        """A write together with the question whose turn it is, and with what was held back until now."""
        thread, ticket = _thread(config), self._ticket(config)
        if ticket is not None:
            self._opened.pop(ticket, None)
        held = held or self._held.take(ticket)

        def work(session: Session) -> T:
            with self._remembered(thread), session.writing():
                for earlier in held:
                    earlier(session.saver)
                written = write(session.saver)
                # Last: whoever takes the thread over waits for this row, and need not for long.
                if ticket is not None and not session.rows(
                    f"SELECT 1 FROM turns WHERE ticket = ?{session.lock}", ticket
                ):
                    raise TurnLost(thread)
                return written

        return work

    @contextmanager
    def _remembered(self, thread: str) -> Iterator[None]:
        """Around writes: if they fail, what is remembered of the thread is wrong."""
        try:
            yield
        except BaseException:
            self._latest.forget(thread)
            raise


def config_of(thread: str, *, ticket: int | None = None, checkpoint: str | None = None) -> RunnableConfig:
    """What a graph is told of the thread that it works on, of its turn, and of where it is."""
    found: RunnableConfig = {"configurable": {"thread_id": thread, "checkpoint_ns": ""}}
    if ticket is not None:
        found["configurable"][_TICKET] = thread, ticket
    if checkpoint is not None:
        found["configurable"]["checkpoint_id"] = checkpoint
    return found


def _getting(config: RunnableConfig) -> Callable[[Session], CheckpointTuple | None]:
    def work(session: Session) -> CheckpointTuple | None:
        with reading_state(config):
            return session.saver.get_tuple(config)

    return work


def _listing(
    config: RunnableConfig | None, filter: dict[str, Any] | None, before: RunnableConfig | None, limit: int | None
) -> Callable[[Session], list[CheckpointTuple]]:
    def work(session: Session) -> list[CheckpointTuple]:
        with reading_state(config):
            return [*session.saver.list(config, filter=filter, before=before, limit=limit)]

    return work


def _walking(
    config: RunnableConfig, channels: Sequence[str]
) -> Callable[[Session], Mapping[str, DeltaChannelHistory]]:
    def work(session: Session) -> Mapping[str, DeltaChannelHistory]:
        with reading_state(config):
            return session.saver.get_delta_channel_history(config=config, channels=channels)

    return work


def reading_state(config: RunnableConfig | None) -> AbstractContextManager[None]:
    """Around all that makes sense of the checkpoints of a thread, or of all.

    Raises:
        StoreError: it makes none.
    """
    return reading(f"The {'threads' if config is None else f'thread {_thread(config)!r}'} (tables of checkpoints)")


def _thread(config: RunnableConfig) -> str:
    return str(config["configurable"]["thread_id"])


def _deleting(thread: str) -> Callable[[Session], None]:
    def work(session: Session) -> None:
        with session.writing():
            session.saver.delete_thread(thread)

    return work
