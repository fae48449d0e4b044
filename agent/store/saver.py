"""LangGraph's saver on a store: its own plain one, asked from any event loop, which writes only whose turn it is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from secrets import token_hex
from typing import Any, TypeAlias, TypeVar

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
)

from gemmagraph.errors import TurnLost
from gemmagraph.store.latest import Latest
from gemmagraph.store.rows import reading
from gemmagraph.store.serialising import strict
from gemmagraph.store.session import Session
from gemmagraph.store.workers import Workers

T = TypeVar("T")

_Writes: TypeAlias = tuple[RunnableConfig, list[tuple[str, Any]], str, str]


class Saver(BaseCheckpointSaver[str]):
    """Of each thread that `tickets` names, it writes only as long as that ticket is the thread's first.

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
        self._held: dict[str, list[_Writes]] = {}
        """Writes that have not reached the database yet, by thread."""

    def get_next_version(self, current: str | None, channel: None) -> str:
        # Theirs, of either database, counts in the part in front of the point, and is compared as text. What is
        # behind it tells apart what two forks of a thread wrote: PostgreSQL's keeps one value of a version.
        count = int(str(current).partition(".")[0]) + 1 if current is not None else 1
        return f"{count:032}.{token_hex(8)}"

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        return self._workers.do_now(_getting(config))

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        await self.flush(_thread(config))
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
        return await self._workers.do(self._putting(config, checkpoint, metadata, new_versions))

    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        self._workers.do_now(self._putting_writes(config, writes, task_id, task_path))

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        thread = _thread(config)
        if thread in self._tickets and not any(channel in WRITES_IDX_MAP for channel, _ in writes):
            # The checkpoint that follows is written at once, and these with it. Were they lost, the step would be
            # made again, and what it did to the world is in the journal.
            self._held.setdefault(thread, []).append((config, [*writes], task_id, task_path))
        else:
            await self._workers.do(self._putting_writes(config, writes, task_id, task_path))

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
        return await self._workers.do(_walking(config, channels)) if known is None else known

    def last(self, thread: str) -> Callable[[Session], str]:
        """The id of a thread's last checkpoint, or nothing."""
        statement = (
            "SELECT checkpoint_id FROM checkpoints WHERE thread_id = ? AND checkpoint_ns = ''"
            " ORDER BY checkpoint_id DESC LIMIT 1"
        )
        return lambda session: str((session.rows(statement, thread) or [("",)])[0][0])

    def rests(self, thread: str, messages: Sequence[AnyMessage]) -> None:
        """Notes that a run has come to its end with these messages: nothing is left to do behind its checkpoint."""
        self._latest.rests(thread, messages)

    def at_rest(self, thread: str, checkpoint: str) -> Sequence[AnyMessage] | None:
        """The messages of a thread, if a run of this process came to its end with this checkpoint."""
        return self._latest.at_rest(thread, checkpoint)

    def drop(self, thread: str) -> None:
        """Lets go of what is held back of a thread whose turn is over."""
        self._held.pop(thread, None)

    async def flush(self, thread: str) -> None:
        """Writes what is held back of a thread."""
        if self._held.get(thread):
            await self._workers.do(self._fenced({"configurable": {"thread_id": thread}}, lambda saver: None))

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
        self, config: RunnableConfig, write: Callable[[BaseCheckpointSaver[str]], T]
    ) -> Callable[[Session], T]:
        """A write together with the question whose turn it is."""
        thread = _thread(config)
        ticket = self._tickets.get(thread)
        held = self._held.pop(thread, [])

        def work(session: Session) -> T:
            try:
                with session.writing():
                    for earlier in held:
                        session.saver.put_writes(*earlier)
                    written = write(session.saver)
                    # Last: whoever takes the thread over waits for this row, and need not for long.
                    if ticket is not None and not session.rows(
                        f"SELECT 1 FROM turns WHERE ticket = ?{session.lock}", ticket
                    ):
                        raise TurnLost(thread)
                    return written
            except BaseException:
                self._latest.forget(thread)
                raise

        return work


def _getting(config: RunnableConfig) -> Callable[[Session], CheckpointTuple | None]:
    def work(session: Session) -> CheckpointTuple | None:
        with _reading(config):
            return session.saver.get_tuple(config)

    return work


def _listing(
    config: RunnableConfig | None, filter: dict[str, Any] | None, before: RunnableConfig | None, limit: int | None
) -> Callable[[Session], list[CheckpointTuple]]:
    def work(session: Session) -> list[CheckpointTuple]:
        with _reading(config):
            return [*session.saver.list(config, filter=filter, before=before, limit=limit)]

    return work


def _walking(
    config: RunnableConfig, channels: Sequence[str]
) -> Callable[[Session], Mapping[str, DeltaChannelHistory]]:
    def work(session: Session) -> Mapping[str, DeltaChannelHistory]:
        with _reading(config):
            return session.saver.get_delta_channel_history(config=config, channels=channels)

    return work


def _reading(config: RunnableConfig | None) -> AbstractContextManager[None]:
    return reading("The threads" if config is None else f"The thread {_thread(config)!r}")


def _thread(config: RunnableConfig) -> str:
    return str(config["configurable"]["thread_id"])


def _deleting(thread: str) -> Callable[[Session], None]:
    def work(session: Session) -> None:
        with session.writing():
            session.saver.delete_thread(thread)

    return work
