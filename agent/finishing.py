"""One input of a stored thread: from where it stands to its answer, or to a question.

Where a thread stands is read from the tasks that its graph has saved, never guessed from what should run next:

    a question is open     it is answered by its id, if somebody decided it; else the thread waits
    tasks are left         the graph goes on with them
    the input is in it     it has been answered
    else                   the graph begins with the input
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from langchain_core.messages import AnyMessage, RemoveMessage, ToolMessage
from langgraph.types import Command, PregelTask, StateSnapshot

from gemmagraph.approvals import Reject, decision_as_json
from gemmagraph.calls import close_open_calls
from gemmagraph.convert import tool_message
from gemmagraph.errors import BadRequest, ContextOverflow, StoreError
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

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig


class Finishing:
    """What becomes of inputs, within the turn of their thread.

    Args:
        graph: saves with the store's saver.
        running: the run at work on each thread.
    """

    def __init__(self, store: Store, graph: Graph, running: Running) -> None:
        self._store = store
        self._graph = graph
        self._running = running
        self.at_rest: dict[str, list[AnyMessage] | None] = {}
        """The conversation of a thread on which a turn has begun, if it is known that nothing is left to do in it."""

    async def messages(self, thread: str) -> list[AnyMessage]:
        """The conversation so far."""
        return list((await self._state(thread)).values.get("messages") or [])

    async def finish(self, turn: Turn, run: Run, said: Input) -> list[AnyMessage]:
        """One input, from where it stands to its answer or to a question."""
        config = config_of(turn.thread, ticket=turn.ticket)
        run.turn, run.begun = turn, time.monotonic()
        while True:
            tasks: Sequence[PregelTask] = ()
            known_to_rest = self.at_rest.pop(turn.thread, None)
            if known_to_rest is None:
                state = await self._state(turn.thread)
                messages, tasks = list(state.values.get("messages") or []), state.tasks
            else:
                messages = known_to_rest
            known = holds(messages, said.id)
            if turn.cancelled and (tasks or not known):
                await self.close(turn, run, said)
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
                await until_done(self.close(turn, run, said))
            raise
        finally:
            self._running.pop(turn.thread, None)
        if run.lost is not None:
            raise run.lost
        if task.cancelled() and run.cancelled:
            await until_done(self.close(turn, run, said))
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

    async def close(self, turn: Turn, run: Run, said: Input) -> None:
        """Ends a run that was stopped, and the input with it."""
        await self._end_tasks(turn, run, config_of(turn.thread, ticket=turn.ticket))
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

    async def retell(self, run: Run, messages: Sequence[AnyMessage], since: str) -> None:
        """`_recount`, of an input that is settled."""
        await self._recount(run, messages, since)
        match await self._store.inputs.state(run.thread or "", since):
            case "cancelled", _:
                run.end("cancelled", CANCELLED)
            case "failed", why:
                run.end("failed", why or "the model could not be asked")

    async def _recount(self, run: Run, messages: Sequence[AnyMessage], since: str) -> None:
        """What a run has come to by now, from what is in the conversation behind its input, and in the journal."""
        ids = [message.id for message in messages]
        behind = messages[ids.index(since) + 1 if since in ids else len(messages) :]
        called = any(isinstance(message, ToolMessage) for message in behind)
        entries = await self._store.journal.entries(run.thread or "") if called else []
        recount(run, behind, {entry.call: entry for entry in entries})

    async def _state(self, thread: str) -> StateSnapshot:
        config = config_of(thread)
        with reading_state(config):
            return await self._graph.aget_state(config)
