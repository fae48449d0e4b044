"""An agent with a terminal: made from the options of a command, asked turn by turn."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, aclosing, redirect_stdout, suppress
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Self

from gemmagraph.agent import Agent
from gemmagraph.backends.ollama.words import PORT
from gemmagraph.choice import choose_model
from gemmagraph.cli.approving import Person
from gemmagraph.cli.assistants import (
    assistant_of,
    in_short,
    local_user,
    model_name,
    not_in_force,
    with_model_keys,
)
from gemmagraph.cli.display import Display
from gemmagraph.cli.terminal import Interrupts, Terminal
from gemmagraph.cli.toolfiles import left_out, load_tools
from gemmagraph.errors import GemmagraphError
from gemmagraph.events import ApprovalAsked, RunFinished
from gemmagraph.fallback import Model, Route
from gemmagraph.limits import Limits
from gemmagraph.model import Gemma
from gemmagraph.prompts.messages import JSON
from gemmagraph.run import Result
from gemmagraph.tools import Tool


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
            person = Person(self.terminal, {tool.name: tool for tool in tools}) if self.terminal.asks else None
            self.agent = self._made(gemma, tools, person)
            self._person = person
            self.display = Display(self.terminal, gemma.model, **self._looks)
            self._introduce(gemma, why)
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
        """One turn, shown as it happens.

        Raises:
            GemmagraphError: the model could not be asked.
            KeyboardInterrupt: the person stopped it; it has ended.
        """
        self.display.begin()
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

    async def _take(self, said: str, thread: str | None, images: Sequence[str]) -> Result:
        ticking = asyncio.create_task(self.display.tick())
        try:
            stream = self.agent.stream(
                said, thread=thread, user=local_user(), context=self._wanted.context, images=images
            )
            async with aclosing(stream) as events:
                async for event in events:
                    self.display.show(event)
                    if isinstance(event, ApprovalAsked) and self._person is not None:
                        self._person.ask(event.approval)
                    if isinstance(event, RunFinished):
                        return event.result
        finally:
            ticking.cancel()
        raise AssertionError("a run ends with its result")

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
            approve=person,
            limits=limits,
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
            if keys := not_in_force(self._assistant):
                self.terminal.note(f"Checked, but not in force yet: {', '.join(keys)}.", "yellow")
        kept = left_out([*self.agent.tools.values()], gemma)
        if kept:
            self.terminal.note(kept, "yellow")


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
