"""The runs of one agent: made, brought to their end, ended from outside; and the threads they are on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from gemmagraph.enclosing import holding
from gemmagraph.errors import AgentError, HandedBack
from gemmagraph.events import Event, Notice
from gemmagraph.given import checked, named
from gemmagraph.handing import Handing
from gemmagraph.ids import new_id
from gemmagraph.model import LOOKS
from gemmagraph.run import Kit, Result, Run, Within
from gemmagraph.threads import Threads
from gemmagraph.tools import ToolContext, run_sync

if TYPE_CHECKING:
    from langchain_core.messages import AnyMessage
    from langgraph.graph.state import CompiledStateGraph

    from gemmagraph.allowances import Allowances
    from gemmagraph.durable import Durable
    from gemmagraph.forking import Step
    from gemmagraph.remembered import Remembered
    from gemmagraph.stepping import Running
    from gemmagraph.store.inputs import Input
    from gemmagraph.store.store import Store


class Runs:
    """The runs of one agent.

    Args:
        kit: what each of them is given.
        name: what the agent is called.
        choice: why its model is the one it is, if it was chosen and nobody was told yet.
    """

    def __init__(self, kit: Kit, name: str, choice: str = "") -> None:
        self.kit = kit
        self.name = name
        self._choice = choice
        self.threads = Threads()
        self._running: Running = {}
        self._handing = Handing()

    @cached_property
    def graph(self) -> CompiledStateGraph[Any, Any, Any, Any]:
        """The graph, which saves nothing by itself."""
        from gemmagraph.graph import build_graph

        return build_graph(self.kit, self.name)

    @cached_property
    def _unsaved(self) -> CompiledStateGraph[Any, Any, Any, Any]:
        """The graph as runs use it: one inside somebody's graph leaves nothing with the checkpointer of that."""
        return self.graph.copy({"checkpointer": False})

    @cached_property
    def _saved(self) -> CompiledStateGraph[Any, Any, Any, Any]:
        """The graph that saves to the store."""
        from gemmagraph.graph import build_graph

        assert self.kit.store is not None
        return build_graph(self.kit, self.name, self.kit.store.saver)

    @cached_property
    def _remembered(self) -> Remembered:
        from gemmagraph.remembered import Remembered

        return Remembered(lambda: self._unsaved, self.threads, self._running)

    @cached_property
    def durable(self) -> Durable:
        """The threads of the store."""
        from gemmagraph.durable import Durable

        assert self.kit.store is not None
        return Durable(self.kit.store, self._saved, self._running, self.name)

    @cached_property
    def _allowances(self) -> Allowances | None:
        from gemmagraph.allowances import Allowances

        kit = self.kit
        if kit.store is None or not kit.limits.per_user:
            return None
        return Allowances(kit.store.spending, kit.limits, self.name)

    def new(
        self,
        asker: ToolContext,
        watch: Callable[[Event], None] | None = None,
        within: Within | None = None,
        *,
        alone: bool = False,
    ) -> Run:
        """A run that has not begun.

        Args:
            within: the call of another run that it is made in.
            alone: whether it is on no thread, also if the asker is; inside another it is not.

        Raises:
            AgentError: a store could not keep who asks, where, or what was given along.
        """
        run = Run(self.kit, checked(asker), watch, within, alone or within is not None)
        if within is not None:
            run.asking = within.run.asking
        if self._choice and watch is not None:
            run.emit(Notice(self._choice))
            self._choice = ""
        return run

    async def go(self, run: Run, said: str | Sequence[Any] | None) -> Result:
        """One run, from what was said to the result. With None it goes on with its thread.

        Raises:
            AgentError, BackendError, StoreError: as `Agent.run` says.
        """
        with holding(self.kit.store.address if self.kit.store else self.threads, run.thread):
            return await self._go(run, said)

    async def _go(self, run: Run, said: str | Sequence[Any] | None) -> Result:
        from gemmagraph.convert import holds_images, messages_of

        if said is None:
            stored(self.kit.store, "Going on without anything new")
            if run.thread is None:
                raise AgentError("There is nothing to go on with.", hint="Say something, or name the thread=.")
            if why := await self._used_up(run.thread):
                run.end("limit", why)
                return self._result(run, await self._messages(run.thread))
            return await self._counted(run, None, lambda again: self.durable.resume(run, again))
        new = messages_of(said)
        for message in new:
            named("id", message.id)
        if not run.kit.gemma.sees and holds_images(new):  # once in the conversation, it would be there for good
            raise AgentError(f"{run.kit.gemma.name} cannot look at pictures.", hint=LOOKS)
        identity = (run.thread and new[-1].id) or new_id()  # only a thread answers the same message once
        if self._allowances is not None and (why := await self._allowances.begin(run, identity)):
            run.end("limit", why)
            return self._result(run, await self._messages(run.thread) if run.thread else [])

        async def say(again: Callable[[Input], Run]) -> tuple[Run, list[AnyMessage]]:
            if self.kit.store is not None and run.thread:
                return run, await self.durable.say(run, new, again)
            return run, await self._remembered.say(run, new)

        return await self._counted(run, identity, say)

    async def _used_up(self, thread: str) -> str:
        """Why what failed on a thread may not be tried again now. If it may, that counts as a run."""
        if self._allowances is None or self.kit.store is None:
            return ""
        failed = [one for one in await self.kit.store.inputs.open(thread, failed=True) if one.state == "failed"]
        if not failed:
            return ""
        return await self._allowances.begin(self.new(failed[-1].asker), f"{failed[-1].id}\0{new_id()}")

    async def _counted(self, run: Run, said: str | None, work: Callable[..., Any]) -> Result:
        """What `work` comes to. It is given what makes the runs of inputs that were accepted before; who watches
        this one watches them too. What each has used is written down, however it ended."""
        runs = {} if said is None else {said: run}

        def again(found: Input) -> Run:
            runs[found.id] = self.new(found.asker, run.watch)
            return runs[found.id]

        try:
            return self._result(*(await work(again)))
        finally:
            if self._allowances is not None:
                for identity, each in runs.items():
                    await self._allowances.end(each, identity)

    def cancel(self, thread: str) -> bool:
        """Ends the run on a thread, or what waits on it in a store; returns whether anything was there."""
        running = self._running.get(thread)
        if running is None or running[0].is_closed():
            return self.kit.store is not None and run_sync(self._end(self.kit.store, thread))
        loop, task, run = running
        if not run.cancelled:
            run.cancelled = True
            loop.call_soon_threadsafe(task.cancel)
        return True

    def hand_back(self, thread: str) -> bool:
        """Leaves the run on a stored thread as it is, for whoever resumes it; returns whether one was at work."""
        running = self._running.get(thread)
        if self.kit.store is None or running is None or running[0].is_closed():
            return False
        loop, task, run = running
        run.lost = run.lost or HandedBack(thread)
        loop.call_soon_threadsafe(task.cancel)
        return True

    async def _end(self, store: Store, thread: str) -> bool:
        if await store.turns.cancel(thread):
            return True
        run = self.new(ToolContext(thread=thread))
        return await self.durable.end(run, lambda found: self.new(found.asker))

    async def messages(self, thread: str) -> list[AnyMessage]:
        """The conversation so far.

        Raises:
            AgentError: there is no such thread.
        """
        if not (messages := await self._messages(thread)):
            raise AgentError(f"There is no thread {thread!r}.", hint="Threads begin with run(…, thread=…).")
        return messages

    async def _messages(self, thread: str) -> list[AnyMessage]:
        if self.kit.store is not None:
            return await self.durable.messages(thread)
        return list(self.threads.messages.get(thread, ()))

    async def steps(self, thread: str) -> list[Step]:
        """The steps of the conversation so far; `messages` tells what may go wrong."""
        from gemmagraph.forking import steps_of

        messages = await self.messages(thread)
        return steps_of(messages, await self.kit.store.questions.of(thread) if self.kit.store else ())

    async def fork(self, thread: str, step: int | None, into: str | None) -> str:
        """Makes a thread that begins as another is, or was at one of its steps; gives its name.

        Raises:
            AgentError: there is no such thread or step, or there is one of that name already.
        """
        from gemmagraph.forking import forked, steps_of

        messages = await self.messages(thread)
        decided = await self.kit.store.questions.of(thread) if self.kit.store else ()
        messages = forked(thread, messages, steps_of(messages, decided), step)
        into = into or f"{thread}-{token_hex(3)}"
        if self.kit.store is not None:
            made = await self.durable.fork(thread, into, messages)
        elif made := into not in self.threads.messages:
            self.threads.messages[into] = messages
        if not made:
            raise AgentError(f"There is a thread {into!r} already.", hint="Name another, or leave into= out.")
        return into

    def _result(self, run: Run, messages: Sequence[AnyMessage]) -> Result:
        return Result(
            text=run.said if run.stop != "failed" else "",
            messages=self._handing.out(run.thread, messages),
            calls=tuple(record for record in run.records.values() if record is not None),
            stop=run.stop,
            reason=run.reason,
            usage=run.usage,
            pending=run.pending,
            thread=run.thread,
            output=run.output,
        )


def stored(store: Store | None, what: str) -> Store:
    """The store, for what needs one.

    Raises:
        AgentError: there is none.
    """
    if store is None:
        raise AgentError(f"{what} needs threads on disk.", hint='Make the agent with store="sqlite:///agent.db".')
    return store
