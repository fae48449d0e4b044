"""Runs on threads that are kept in a store: what was accepted is answered, whatever happens in between.

Where a thread stands is read from the tasks that its graph has saved, never guessed from what should run next:

    a question is open     it is answered by its id, if somebody decided it; else the thread waits
    tasks are left         the graph goes on with them
    the input is in it     it has been answered
    else                   the graph begins with the input
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from langchain_core.messages import AnyMessage, HumanMessage, RemoveMessage, ToolMessage
from langgraph.types import Command, PregelTask, StateSnapshot

from gemmagraph.approvals import Reject, decision_as_json
from gemmagraph.calls import close_open_calls
from gemmagraph.convert import tool_message
from gemmagraph.errors import BadRequest, ContextOverflow, NeedsDecision, StoreError
from gemmagraph.events import Notice
from gemmagraph.handing import copy_of
from gemmagraph.journal import Written
from gemmagraph.recounting import recount
from gemmagraph.run import Run
from gemmagraph.state import holds
from gemmagraph.stepping import Graph, Running, steps
from gemmagraph.store.inputs import Input
from gemmagraph.store.questions import CANCELLED
from gemmagraph.store.saver import config_of, reading_state
from gemmagraph.store.session import Session
from gemmagraph.store.store import Store
from gemmagraph.store.turns import Turn
from gemmagraph.threads import end_of, until_done
from gemmagraph.tools.secrets import mask_all

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig
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
        self._at_rest: dict[str, list[AnyMessage] | None] = {}
        """The conversation of a thread on which a turn has begun, if it is known that nothing is left to do in it."""

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
                        return await self._finish(turn, run, said)
                    run.emit(Notice(_BEFORE))
                    earlier = new_run(found)
                    messages = await self._finish(turn, earlier, found)
                    if earlier.stop == "needs_approval":  # what was said just now is answered after that
                        run.stop, run.reason, run.pending = earlier.stop, _BEFORE, earlier.pending
                        return messages
            except asyncio.CancelledError:
                turn.last.append(give_up)
                raise
        messages = await self.messages(thread)  # another process has answered it
        await self._retell(run, messages, said.id)
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
                messages = await self._finish(turn, run, found)
                if run.stop == "needs_approval":
                    break
        if not inputs:
            if not (messages := await self.messages(thread)):
                await self._store.thread(thread)
            said = [message.id or "" for message in messages if isinstance(message, HumanMessage)]
            await self._retell(run, messages, said[-1] if said else "")
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
                await self._close(turn, run, said, config_of(thread, ticket=turn.ticket))
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
        return list((await self._state(thread)).values.get("messages") or [])

    async def _state(self, thread: str) -> StateSnapshot:
        config = config_of(thread)
        with reading_state(config):
            return await self._graph.aget_state(config)

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
            self._at_rest[thread] = saver.at_rest(thread, checkpoint)
            try:
                yield turn, opened
            finally:
                self._at_rest.pop(thread, None)
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

    async def _finish(self, turn: Turn, run: Run, said: Input) -> list[AnyMessage]:
        """One input, from where it stands to its answer or to a question."""
        config = config_of(turn.thread, ticket=turn.ticket)
        run.turn, run.begun = turn, time.monotonic()
        while True:
            tasks: Sequence[PregelTask] = ()
            known_to_rest = self._at_rest.pop(turn.thread, None)
            if known_to_rest is None:
                state = await self._state(turn.thread)
                messages, tasks = list(state.values.get("messages") or []), state.tasks
            else:
                messages = known_to_rest
            known = holds(messages, said.id)
            if turn.cancelled and (tasks or not known):
                await self._close(turn, run, said, config)
                await self._recount(run, run.messages, said.id)
                return run.messages
            command: Any = None
            if not known and any(task.name != "__start__" for task in tasks):
                # Of a turn that failed: whoever asked was told. The same model is not asked once more for nothing.
                if all(task.name == "model" and not task.result for task in tasks):
                    command = {"messages": said.messages}
                else:
                    await self._end_tasks(turn, run, config)
                    run.records.clear()  # they are not of this run
                    continue
            elif any(task.interrupts for task in tasks):
                answers = await self._answers(turn, run, tasks)
                if not answers:
                    return messages
                command = Command(resume=answers)
            elif tasks:
                pass  # on with them
            elif known:
                turn.last.append(self._store.inputs.settling(turn.thread, said.id, "answered"))
                await self._recount(run, messages, said.id)
                return messages
            else:
                command = {"messages": said.messages}
            if known:
                await self._recount(run, messages, said.id)
            run.begin(messages if known else [*messages, *said.messages])
            run.waiting = False
            await self._go(turn, run, said, command, config)
            if not run.waiting:
                return run.messages

    async def _answers(self, turn: Turn, run: Run, tasks: Sequence[PregelTask]) -> dict[str, Any]:
        """What was decided of the open questions, by the id of their interrupt. If nothing was, the run waits."""
        questions = {question.approval.id: question for question in await self._store.questions.answers(turn)}
        answers: dict[str, Any] = {}
        pending = []
        for interrupt in (interrupt for task in tasks for interrupt in task.interrupts):
            question = questions.get((interrupt.value or {}).get("approval", ""))
            if question is None:  # somebody deleted it: it is asked again
                answers[interrupt.id] = {}
            elif question.decision is not None:
                answers[interrupt.id] = question.decision
            else:
                pending.append(question.approval)
        if not answers:
            run.stop, run.pending = "needs_approval", tuple(pending)
            run.reason = "a person must decide"
        return answers

    async def _go(self, turn: Turn, run: Run, said: Input, command: Any, config: RunnableConfig) -> None:
        """Lets the graph run until it has an answer, a question, or cannot go on."""
        task = asyncio.create_task(steps(self._graph, run, command, config))
        self._running[turn.thread] = (asyncio.get_running_loop(), task, run)
        try:
            await end_of(task)
        except asyncio.CancelledError:
            if run.lost is None:
                await until_done(self._close(turn, run, said, config))
            raise
        finally:
            self._running.pop(turn.thread, None)
        if run.lost is not None:
            raise run.lost
        if task.cancelled() and run.cancelled:
            await until_done(self._close(turn, run, said, config))
            return
        try:
            task.result()
        except StoreError:
            raise
        except (ContextOverflow, BadRequest) as exc:
            if run.steps == 1:  # in the conversation, it would be refused with each question to come
                removed = [RemoveMessage(id=message.id or "") for message in said.messages]
                await self._graph.aupdate_state(config, {"messages": removed}, as_node="model")
            turn.last.append(self._store.inputs.settling(turn.thread, said.id, "failed", exc))
            raise
        except Exception as exc:
            turn.last.append(self._store.inputs.settling(turn.thread, said.id, "failed", exc))
            raise
        if not run.waiting:
            if any(message.id == said.id for message in reversed(run.messages)):  # it is near the end
                run.keep()
                self._store.saver.rests(turn.thread, run.messages)
            turn.last.append(self._store.inputs.settling(turn.thread, said.id, "answered"))

    async def _close(self, turn: Turn, run: Run, said: Input, config: RunnableConfig) -> None:
        """Ends a run that was stopped, and the input with it."""
        await self._end_tasks(turn, run, config)
        run.end("cancelled", CANCELLED)
        settle = self._store.inputs.settling(turn.thread, said.id, "cancelled")

        def work(session: Session) -> None:
            with session.writing():
                turn.heard(session)
                settle(session)

        await self._store.do(work)

    async def _end_tasks(self, turn: Turn, run: Run, config: RunnableConfig) -> None:
        """Leaves nothing to do on a thread: what was done is kept, no call stays without a result, no task without an
        end."""
        await self._remember(run, turn.thread)
        await self._store.questions.refuse(turn, decision_as_json(Reject(CANCELLED), ""))
        state = await self._state(turn.thread)
        messages = list(state.values.get("messages") or [])
        closed = close_open_calls(run, messages)
        for message in closed:
            if message.tool_call_id in run.started and message.tool_call_id not in run.results:
                outcome = Written(str(message.content), "unknown", 0.0)
                await self._store.journal.finish(turn, message.tool_call_id, outcome, known=False)
        if state.tasks:
            await self._graph.aupdate_state(config, {"messages": closed}, as_node="tools" if closed else "model")
        run.messages = [*messages, *closed]

    async def _remember(self, run: Run, thread: str) -> None:
        """Takes in the calls of runs before it, from the journal."""
        for entry in await self._store.journal.entries(thread):
            if entry.call in run.results or entry.call in run.started:
                continue
            if (came := entry.outcome) is not None:
                result = tool_message(entry.call, entry.tool, came.content, came.status != "ok")
                run.results[entry.call] = result
            else:
                run.started.add(entry.call)

    async def _retell(self, run: Run, messages: Sequence[AnyMessage], since: str) -> None:
        """`_recount`, of an input that is settled."""
        await self._recount(run, messages, since)
        if await self._store.inputs.state(run.thread or "", since) == "cancelled":
            run.end("cancelled", CANCELLED)

    async def _recount(self, run: Run, messages: Sequence[AnyMessage], since: str) -> None:
        """What a run has come to by now, from what is in the conversation behind its input, and in the journal."""
        ids = [message.id for message in messages]
        behind = messages[ids.index(since) + 1 if since in ids else len(messages) :]
        called = any(isinstance(message, ToolMessage) for message in behind)
        entries = await self._store.journal.entries(run.thread or "") if called else []
        recount(run, behind, {entry.call: entry for entry in entries})
