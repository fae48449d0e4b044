"""An agent with a terminal: made from the options of a command, asked turn by turn."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, aclosing, contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Literal, Self, TypeAlias

from gemmagraph.agent import Agent
from gemmagraph.backends.ollama.words import PORT
from gemmagraph.choice import choose_model
from gemmagraph.cli.approving import Person
from gemmagraph.cli.assistants import (
    assistant_of,
    in_short,
    local_user,
    model_name,
    with_model_keys,
)
from gemmagraph.cli.display import Display
from gemmagraph.cli.keeping import options, store_of
from gemmagraph.cli.terminal import Interrupts, Terminal, sentence
from gemmagraph.cli.toolfiles import left_out, load_tools
from gemmagraph.cli.waiting import Waiting
from gemmagraph.errors import AgentError, GemmagraphError, StoreError
from gemmagraph.events import ApprovalAsked, RunFinished, innermost
from gemmagraph.fallback import Model, Route
from gemmagraph.limits import Limits
from gemmagraph.model import Gemma
from gemmagraph.prompts.messages import JSON
from gemmagraph.run import Result
from gemmagraph.store.store import Store
from gemmagraph.tools import Tool, run_sync

Keeps: TypeAlias = Literal["nothing", "no thread", "where named", "always"]
"""Whether threads are kept: only where the command line or the assistant's file names a store, or else in the user's
own. Where a run is on no thread, there is a store if the limits of one user are counted in it."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line says of an agent."""

    sources: tuple[str, ...] = ()
    """Files and modules with tools."""
    model: str | None = None
    notation: str | None = None
    system: str = ""
    base_url: str | None = None
    file: str | None = None
    """The assistant's file; unless named, the one in the current folder, if it is there."""
    toolset: str | None = None
    context: Mapping[str, JSON] = field(default_factory=dict)
    store: str | None = None
    thread: str | None = None
    keeps: Keeps = "no thread"

    @property
    def options(self) -> str:
        """With what else `gemmagraph threads` and `approvals` find the same store."""
        return options(self.store, self.file)


class Session:
    """A context manager: connections end with it.

    Raises:
        GemmagraphError: tools, model or notation cannot be used.
    """

    def __init__(
        self, wanted: Wanted, *, verbose: bool = False, debug: bool = False, holds_answer: bool = False
    ) -> None:
        self._wanted = wanted
        self._looks = {"verbose": verbose, "debug": debug, "holds_answer": holds_answer}
        self.debug = debug
        self.options = wanted.options
        self._stack = ExitStack()
        self.terminal = Terminal()

    def __enter__(self) -> Self:
        # A bug in a tool is shown by the display, not by the logging of last resort.
        logging.getLogger("gemmagraph").addHandler(logging.NullHandler())
        with self._stack as stack:
            assistant = self._assistant = assistant_of(self._wanted.file, self._wanted.toolset)
            tools = load_tools(self._wanted.sources)
            # What tools print is no part of the answer.
            stack.enter_context(redirect_stdout(self.terminal.printed()))
            self._runner = stack.enter_context(asyncio.Runner())
            self.name, gemma, why = self._runner.run(self._chosen())
            if assistant is not None:
                tools = [*self._runner.run(assistant.open()), *tools]
            named = {tool.name: tool for tool in tools}
            person = Person(self.terminal, named) if self.terminal.asks else None
            self.store, lost = self._kept()
            keeps = self.store is not None and self._wanted.keeps != "no thread"
            self._person = None if keeps else person
            self.agent = self._made(gemma, tools, person)
            self.waiting: Waiting | None = None
            """Where threads are kept, those of their calls that wait for a person."""
            if self.store is not None and keeps:
                self.waiting = Waiting(
                    self.terminal, self.store, person, self.agent.tools, local_user(), self.options
                )
            self.display = Display(self.terminal, gemma.model, **self._looks)
            self._introduce(gemma, why)
            if lost:
                self.terminal.note(f"Nothing is kept: {lost}", "yellow")
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._stack:
            try:
                self._runner.run(self.agent.aclose())
                if self._assistant is not None:
                    self._runner.run(self._assistant.close())
            except GemmagraphError:
                if error is None:  # else the first failure is the one to see
                    raise

    def take(self, said: str, thread: str | None = None, images: Sequence[str] = ()) -> Result:
        """One turn, shown as it happens. On a thread that is kept, calls that need a person are asked about once the
        run has stopped for them, so that others may decide meanwhile.

        Raises:
            GemmagraphError: the model could not be asked; NeedsDecision, if the thread waits already.
            KeyboardInterrupt: the person stopped it; it has ended.
        """
        with self._broken_off(thread):
            return self._decided(self._turn(said, thread, images), thread)

    def resume(self, thread: str) -> Result:
        """Goes on with what was begun on a thread that is kept, or says who must decide first.

        Raises:
            GemmagraphError, KeyboardInterrupt: as `take` does.
        """
        assert self.waiting is not None, "only what is kept can be resumed"
        pending = self.waiting.of(thread)
        if pending and not self.waiting.ask(pending):
            self.waiting.tell(pending := self.waiting.of(thread))
            return Result("", [], stop="needs_approval", pending=tuple(pending), thread=thread)
        return self._decided(self._turn(None, thread, ()), thread)

    def _decided(self, result: Result, thread: str | None) -> Result:
        """The result, after all that this person may decide was asked, and done."""
        while self.waiting is not None and thread is not None and result.stop == "needs_approval":
            if not self.waiting.ask(result.pending):
                self.waiting.tell(self.waiting.of(thread))
                break
            result = self._turn(None, thread, ())
        return result

    @contextmanager
    def _broken_off(self, thread: str | None) -> Iterator[None]:
        """What Ctrl-C stops ends for good, also where it only waited."""
        try:
            yield
        except KeyboardInterrupt:
            if self.waiting is not None and self.store is not None and thread is not None:
                with suppress(GemmagraphError):  # nothing was begun
                    if run_sync(self.store.thread(thread)).state != "running":
                        self.agent.cancel(thread)
            raise

    def _turn(self, said: str | None, thread: str | None, images: Sequence[str]) -> Result:
        """A run of the agent.

        Raises:
            GemmagraphError, KeyboardInterrupt: as `take` does.
        """
        self.display.begin(self.waiting.last if self.waiting is not None and said is None else "")
        turn = self._runner.get_loop().create_task(self._take(said, thread, images))
        try:
            return self._end_of(turn)
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None
        except KeyboardInterrupt:
            # Out of the event loop it stops that, and nothing else: what was going on would go on in the next turn.
            while not turn.done():
                turn.cancel()
                with suppress(asyncio.CancelledError, KeyboardInterrupt, Exception):
                    self._end_of(turn)
            raise
        finally:
            if turn.done() and not turn.cancelled():
                turn.exception()  # seen: asyncio would complain about one that it has raised itself
            self.display.end()

    def _end_of(self, turn: asyncio.Task[Result]) -> Result:
        """Waits for the end of a turn; Ctrl-C brings it nearer.

        Raises:
            CancelledError: it was stopped.
            KeyboardInterrupt: it blocks the event loop, or was stopped by the answer to a question.
        """
        interrupts = self.terminal.interrupts
        with interrupts.held(), interrupts.doing(_stopping(turn, interrupts)):
            return turn.get_loop().run_until_complete(turn)

    async def _take(self, said: str | None, thread: str | None, images: Sequence[str]) -> Result:
        ticking = asyncio.create_task(self.display.tick())
        try:
            stream = self.agent.stream(
                said, thread=thread, user=local_user(), context=self._wanted.context, images=images
            )
            async with aclosing(stream) as events:
                async for event in events:
                    if isinstance(event, RunFinished) and said is None:
                        event = RunFinished(_with_answer(event.result))
                    self.display.show(event)
                    if isinstance(asked := innermost(event), ApprovalAsked) and self._person is not None:
                        self._person.ask(asked.approval)
                    if isinstance(event, RunFinished):
                        return event.result
        finally:
            ticking.cancel()
        raise AssertionError("a run ends with its result")

    def _kept(self) -> tuple[Store | None, str]:
        """The store; and why there is none, where the user's own cannot be used.

        Raises:
            GemmagraphError: one that was named cannot be used.
        """
        wanted, assistant = self._wanted, self._assistant
        named = wanted.store is not None or (assistant is not None and "store" in assistant.values)
        counted = assistant is not None and bool(assistant.limits.per_user)
        if counted and wanted.keeps == "nothing":
            raise AgentError("What one user may use (per_user) is counted in a store: leave out --no-store.")
        if not counted and (
            wanted.keeps in ("nothing", "no thread") or (wanted.keeps == "where named" and not named)
        ):
            return None, ""
        store = store_of(wanted.store, assistant)
        try:
            run_sync(store.check())
        except StoreError as exc:
            if named or counted or wanted.thread is not None:
                raise
            return None, sentence(exc)
        return store, ""

    async def _chosen(self) -> tuple[str, Model, str]:
        """The name of the model, the model, and why it is that one if nobody named it."""
        wanted = self._wanted
        if self._assistant is not None and not wanted.model:
            named = with_model_keys(self._assistant, base_url=wanted.base_url, notation=wanted.notation)
            if (model := named.model()) is not None:
                return model_name(named), model, ""
        name, why = (wanted.model, "") if wanted.model else await choose_model(wanted.base_url)
        return name, Gemma(name, base_url=wanted.base_url, notation=wanted.notation), why

    def _made(self, gemma: Model, tools: Sequence[Tool], person: Person | None) -> Agent:
        """The agent. What the command line says of it goes behind what its file says."""
        assistant = self._assistant
        said = [assistant.instructions if assistant else "", self._wanted.system.strip()]
        limits = assistant.limits if assistant else Limits()
        if person and not (assistant and "wall_time" in (assistant.values.get("limits") or {})):
            # With somebody there, Ctrl-C is the limit, and an answer may take a person longer than a run may.
            limits = replace(limits, wall_time=None)
        return Agent(
            gemma,
            tools,
            instructions="\n\n".join(filter(None, said)),
            policy=assistant.policy if assistant else (),
            approve=self._person,
            limits=limits,
            store=self.store,
            name=assistant.name if assistant else None,
        )

    def _introduce(self, gemma: Model, why: str) -> None:
        facts = [gemma.name.replace(f" at http://127.0.0.1:{PORT}", "")]
        if isinstance(gemma, Route) or not gemma.backend.read_only_tools:
            facts += [gemma.notation.name, f"{gemma.context:,} tokens of context"]
        if self._assistant is not None:
            facts.append(in_short(self._assistant))
        self.terminal.note(" · ".join(facts), indent=0)
        if why:
            self.terminal.note(why, "dim")
        if self._assistant is not None:
            missing = self._assistant.unavailable
            for name, reason in missing.items():
                self.terminal.note(f"Left out: {name}: {reason}", "yellow")
        kept = left_out([*self.agent.tools.values()], gemma)
        if kept:
            self.terminal.note(kept, "yellow")


def _with_answer(result: Result) -> Result:
    """The result of a run that went on; the answer of the thread if another process has given it meanwhile."""
    last = result.messages[-1] if result.messages else None
    if result.text or result.calls or result.stop != "answered" or last is None or last.type != "ai":
        return result
    return replace(result, text=last.text)


def _stopping(turn: asyncio.Task[Result], interrupts: Interrupts) -> Callable[[], None]:
    """What Ctrl-C does to a turn: it is cancelled, and ends cleanly, however often it is pressed. Where the last
    time has not come through, something blocks the event loop: then it strikes there."""
    loop = turn.get_loop()
    under_way = False

    def stop() -> None:
        nonlocal under_way
        if under_way:
            interrupts.strike()
        under_way = True
        loop.call_soon_threadsafe(cancel)

    def cancel() -> None:
        nonlocal under_way
        under_way = False
        turn.cancel()

    return stop
