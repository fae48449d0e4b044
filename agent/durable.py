"""Runs on threads that are kept in a store: what was accepted is answered, whatever happens in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from langchain_core.messages import AnyMessage, HumanMessage

from gemmagraph.errors import NeedsDecision
from gemmagraph.events import Notice
from gemmagraph.finishing import Finishing
from gemmagraph.handing import copy_of
from gemmagraph.run import Run
from gemmagraph.stepping import Graph, Running
from gemmagraph.store.inputs import Input
from gemmagraph.store.saver import config_of
from gemmagraph.store.session import Session
from gemmagraph.store.store import Store
from gemmagraph.store.turns import Turn
from gemmagraph.tools.secrets import mask_all

if TYPE_CHECKING:
    from langgraph.checkpoint.base import CheckpointTuple

_BEFORE: Final = "The turn before this one had not come to its end: that is done first."


class Durable:
    """The stored threads of one agent.

    Args:
        graph: saves with the store's saver.
        running: the run at work on each thread.
        agent: its name.
    """

    def __init__(self, store: Store, graph: Graph, running: Running, agent: str) -> None:
        self._store = store
        self._graph = graph
        self._running = running
        self._agent = agent
        self._finishing = Finishing(store, graph, running)

    async def say(self, run: Run, new: Sequence[AnyMessage], new_run: Callable[[Input], Run]) -> list[AnyMessage]:
        """Answers what was said; gives the whole conversation. It is accepted before its turn has come: were the
        process to die while it waits, it would be answered by whoever goes on with the thread. Whoever is cancelled
        does not want an answer any more.

        Args:
            new_run: makes the run of another input, which was accepted before and has no answer.

        Raises:
            NeedsDecision: the thread waits for a person; nothing was accepted.
            BackendError: the model could not be asked. `resume` tries it again; so does the next input, together.
            StoreError: the database failed; if the input was accepted, it can be resumed.
        """
        thread = run.thread or ""
        messages = list(map(copy_of, new))
        for message in messages:
            message.content = mask_all(message.content)
        identity = messages[-1].id = messages[-1].id or f"m_{uuid4().hex}"
        said = Input(identity, messages, run.asker)
        waiting = self._store.questions.waiting(thread)
        keep = self._store.inputs.accepting(thread, self._agent, said)
        give_up = self._store.inputs.giving_up(thread, said.id)

        def accept(session: Session) -> None:
            if asked := waiting(session):
                raise NeedsDecision(thread, asked)
            keep(session)

        async with self._turn(thread, accept, give_up) as (turn, inputs):
            try:
                for found in inputs:
                    if found.id == said.id:
                        return await self._finishing.finish(turn, run, said)
                    run.emit(Notice(_BEFORE))
                    earlier = new_run(found)
                    messages = await self._finishing.finish(turn, earlier, found)
                    if earlier.stop == "needs_approval":  # what was said just now is answered after that
                        run.stop, run.reason, run.pending = earlier.stop, _BEFORE, earlier.pending
                        return messages
            except asyncio.CancelledError:
                turn.last.append(give_up)
                raise
        messages = await self.messages(thread)  # another process has answered it
        await self._finishing.retell(run, messages, said.id)
        return messages

    async def resume(self, run: Run, new_run: Callable[[Input], Run]) -> tuple[Run, list[AnyMessage]]:
        """Brings to its end what was begun on a thread; gives the last of its runs, and the conversation.

        Args:
            run: stands in where there is nothing to resume, and is told what the last one came to: whoever resumes
                a thread may not have heard its answer.

        Raises:
            AgentError: there is no such thread.
            BackendError, StoreError: as `say` does.
        """
        thread = run.thread or ""
        async with self._turn(thread, failed=True) as (turn, inputs):
            for found in inputs:
                run = new_run(found)
                messages = await self._finishing.finish(turn, run, found)
                if run.stop == "needs_approval":
                    break
        if not inputs:
            if not (messages := await self.messages(thread)):
                await self._store.thread(thread)
            said = [message.id or "" for message in messages if isinstance(message, HumanMessage)]
            await self._finishing.retell(run, messages, said[-1] if said else "")
        return run, messages

    async def end(self, run: Run, new_run: Callable[[Input], Run]) -> bool:
        """Ends what was begun on a thread and is not at work: it waits for a person, or was broken off. What was done
        is kept. Returns whether there was anything.

        Raises:
            StoreError: the database failed.
        """
        thread = run.thread or ""
        async with self._turn(thread) as (turn, inputs):
            for said in inputs:
                run = new_run(said)
                run.turn = turn
                await self._finishing.close(turn, run, said)
        return bool(inputs)

    async def fork(self, thread: str, into: str, messages: Sequence[AnyMessage]) -> bool:
        """Makes a thread like another, with these messages in it; returns whether there was none of that name. It is
        there when all of it is: what a process has left that died meanwhile is not seen, and is done anew.

        Raises:
            StoreError: the database failed.
        """
        store = self._store
        if await store.do(lambda session: store.has(session, into)):
            return False

        def free(session: Session) -> bool:
            if store.has(session, into):
                return False
            session.saver.delete_thread(into)
            return True

        turns = store.turns.turn(into, lambda why: True, before=lambda session: None, begin=free)
        async with turns as (turn, is_free):
            if not is_free:
                return False
            config = config_of(into, ticket=turn.ticket)
            await self._graph.aupdate_state(config, {"messages": [*messages]}, as_node="model")
            return await store.begin(turn, like=thread)

    async def messages(self, thread: str) -> list[AnyMessage]:
        """The conversation so far."""
        return await self._finishing.messages(thread)

    @asynccontextmanager
    async def _turn(
        self,
        thread: str,
        accept: Callable[[Session], None] | None = None,
        give_up: Callable[[Session], object] | None = None,
        *,
        failed: bool = False,
    ) -> AsyncIterator[tuple[Turn, list[Input]]]:
        """The turn on a thread, with what is to be answered in it.

        Args:
            accept: keeps something new. If nothing is, what others say while this waits is left to them.
            give_up: is done if whoever waits is cancelled.
            failed: whether what failed is to be answered too.
        """
        inputs, saver = self._store.inputs, self._store.saver
        opening, last = inputs.opening(thread, failed=failed), saver.opening(thread)
        old: set[str] = set()

        def before(session: Session) -> None:
            if accept is not None:
                accept(session)
            else:
                old.update(found.id for found in opening(session))

        def begin(session: Session) -> tuple[list[Input], CheckpointTuple | None]:
            found = [one for one in opening(session) if accept is not None or one.id in old]
            if accept is None and found:
                inputs.touch(session, thread)
            return found, last(session)

        turns = self._store.turns.turn(thread, self._stopping(thread), before=before, begin=begin, given_up=give_up)
        async with turns as (turn, (opened, checkpoint)):
            saver.opened(turn.ticket, checkpoint)
            self._finishing.at_rest[thread] = saver.at_rest(thread, checkpoint)
            try:
                yield turn, opened
            finally:
                self._finishing.at_rest.pop(thread, None)
                turn.last[:0] = saver.closing(thread, turn.ticket)

    def _stopping(self, thread: str) -> Callable[[Exception | None], bool]:
        """What ends the run on a thread from outside: with an error, or because somebody wants it to. It says
        whether there was one."""

        def stop(why: Exception | None) -> bool:
            if thread not in self._running:
                return False
            _, task, run = self._running[thread]
            run.cancelled = run.cancelled or why is None
            run.lost = why
            task.cancel()
            return True

        return stop
