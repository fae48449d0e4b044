"""The events of a run as lines on the terminal: the answer as it comes, each call once it has its result."""

from __future__ import annotations

import asyncio
import json
import os
import time
import traceback
from collections.abc import Mapping
from typing import Final

from gemmagraph.cli.terminal import Style, Terminal, one_line, plain, shortened, width_of
from gemmagraph.events import (
    ApprovalAsked,
    ContextDropped,
    Event,
    Notice,
    PromptSent,
    Reasked,
    ReplyReceived,
    Rerouted,
    RunFinished,
    StepStarted,
    TextDelta,
    ThoughtDelta,
    ToolFinished,
    ToolProgress,
    ToolStarted,
)
from gemmagraph.prompts.checking.arguments import write_plainly
from gemmagraph.prompts.messages import JSON, Reply
from gemmagraph.run import Result

_PATIENCE: Final = 1.0
"""Seconds until a wait is worth a word."""
_TICK: Final = 0.5
_CALL_COLUMNS: Final = 42
"""Where the results of short calls begin, if the terminal is wide enough."""
_RESULT_COLUMNS: Final = 24
"""What a result needs beside its call; with less it stands below."""


class Display:
    """Shows one run after the other.

    Args:
        terminal: where.
        model: how the model is called.
        verbose: whether prompts and raw replies are shown.
        debug: whether a tool's bug is shown with its traceback.
        holds_answer: whether the answer is somebody else's to print.
    """

    def __init__(
        self,
        terminal: Terminal,
        model: str,
        *,
        verbose: bool = False,
        debug: bool = False,
        holds_answer: bool = False,
    ) -> None:
        self.verbose = verbose
        self._terminal = terminal
        self._model = model
        self._debug = debug
        self._holds = holds_answer
        self.begin()

    def begin(self, asked: str = "") -> None:
        """A run begins.

        Args:
            asked: the call whose question is the last thing on the screen.
        """
        self.running: dict[str, str] = {}
        """Calls that have begun and not ended, by id."""
        self._said = ""
        self._saying: list[str] = []
        self._shown: tuple[Mapping[str, JSON], ...] | str = ()
        self._asked = asked
        self._step = 0
        self._receipts: set[str] = set()
        self._wait_for(f"{self._model} …")

    async def tick(self) -> None:
        """Says what is waited for, for as long as it is not cancelled."""
        while True:
            await asyncio.sleep(_TICK)
            waited = time.monotonic() - self._since
            if waited >= _PATIENCE:
                self._terminal.status(f"{self._waiting} {waited:.0f} s")

    def show(self, event: Event) -> None:
        match event:
            case StepStarted(step):
                self._step = step
                self._keep_said()
                self._wait_for(f"{self._model} …")
            case PromptSent(prompt) if self.verbose:
                self._prompt(prompt)
            case Notice(text):
                self._asked = ""
                self._terminal.note(text, "dim")
            case ThoughtDelta():
                self._waiting = f"{self._model} thinks …"
            case TextDelta(text):
                self._text(text)
            case Reasked(reason):
                self._reasked(reason)
            case Rerouted(left, reason, answers):
                self._rerouted(f"{answers} is asked in place of {left}: {reason}")
            case ContextDropped():
                self._dropped(event)
            case ReplyReceived(reply, seconds):
                self._terminal.settle()
                if self.verbose:
                    self._reply(reply, seconds)
            case ApprovalAsked(approval):
                self._asked = approval.call
            case ToolStarted(call):
                self.running[call.id] = write_plainly(call.name, call.arguments)
                self._wait_for(", ".join(self.running.values()) + " …")
            case ToolProgress(call, text):
                self._waiting = f"{call.name}: {text} …"
            case ToolFinished():
                self._tool(event)
            case RunFinished(result):
                self._finished(result)

    def end(self) -> None:
        """The run is over, however it went."""
        self._terminal.settle()

    def stopped(self) -> str:
        """What to say of a run that was stopped."""
        if not self.running:
            return "Stopped."
        return f"Stopped while {', '.join(self.running.values())} ran: what came of it is unknown."

    def _wait_for(self, what: str) -> None:
        self._waiting = what
        self._since = time.monotonic()

    def _line(self, text: str, style: Style = "") -> None:
        self._asked = ""
        self._terminal.line(text, style)

    def _text(self, text: str) -> None:
        self._saying.append(text)
        self._asked = ""
        if self._terminal.streams and not self._holds:
            self._terminal.answer(text)

    def _keep_said(self) -> None:
        self._said = "".join(self._saying) or self._said
        self._saying.clear()

    def _reasked(self, reason: str) -> None:
        withdrawn = "the text above is withdrawn, " if self._saying and self._terminal.streams else ""
        self._saying.clear()
        self._asked = ""
        self._terminal.note(f"↺ {withdrawn}asked again: {reason}", "dim")
        self._wait_for(f"{self._model} …")

    def _rerouted(self, receipt: str) -> None:
        if receipt not in self._receipts:  # else each step of the run would say so again
            self._receipts.add(receipt)
            self._asked = ""
            self._terminal.note(f"↪ {receipt}", "dim")
        self._wait_for(f"{self._model} …")

    def _dropped(self, event: ContextDropped) -> None:
        """Says what the model no longer sees, and what it is told of it instead."""
        what = "old result" if event.what == "results" else "old turn"
        self._asked = ""
        self._terminal.note(
            f"✂ {_number(event.count, what)} left out of the prompt, about {event.tokens:,} tokens: "
            f"it holds {event.window:,}",
            "dim",
        )
        if event.summary:
            self._terminal.note(f"told in short: {one_line(event.summary)}", "dim", 4)

    def _tool(self, event: ToolFinished) -> None:
        call = write_plainly(event.call.name, event.call.arguments)
        self.running.pop(event.call.id, None)
        short, style = _short(event)
        seconds = f"{event.seconds:.1f} s   " if event.status not in ("refused", "unknown") else ""
        if self._asked != event.call.id:
            side_by_side = _columns(f"  {one_line(call)}", f"{seconds}{short}", self._terminal.columns)
            if side_by_side and (event.status == "ok" or not side_by_side.endswith("…")):
                self._line(side_by_side, style)
                short = ""
            else:
                self._line(shortened(f"  {one_line(call)}", self._terminal.columns), style)
        if short:
            if event.status == "ok":
                self._line(shortened(f"    {seconds}{short}", self._terminal.columns))
            else:
                self._terminal.note(f"{seconds}{short}", style, 4)
        if event.status == "failed" and event.error is not None and self._debug:
            self._line("".join(traceback.format_exception(event.error)).rstrip(), "dim")
        self._wait_for(", ".join(self.running.values()) + " …" if self.running else f"{self._model} …")

    def _prompt(self, prompt: str | tuple[Mapping[str, JSON], ...]) -> None:
        self._line(f"── step {self._step}: prompt ──", "bold")
        before, self._shown = self._shown, prompt
        if isinstance(prompt, str):
            goes_on = isinstance(before, str) and before and prompt.startswith(before)
            self._line(f"(as before)\n{prompt[len(before) :]}" if goes_on else prompt)
            return
        known = len(before)
        if not known or isinstance(before, str) or prompt[:known] != before:
            known = 0
        if known:
            self._line(f"(the {known} messages before stay)" if known > 1 else "(the first message stays)", "dim")
        for message in prompt[known:]:
            self._line(f"{message['role']}:", "dim")
            self._line(_indented(str(message["content"])))

    def _reply(self, reply: Reply, seconds: float) -> None:
        usage = reply.usage
        tokens = f", {usage.input_tokens:,} tokens read, {usage.output_tokens:,} written" if usage else ""
        self._line(f"── step {self._step}: reply in {seconds:.1f} s{tokens} ──", "bold")
        if reply.thoughts:
            self._line("thoughts:", "dim")
            self._line(_indented(reply.thoughts), "dim")
        self._line(_indented(reply.raw))
        for bad in reply.bad_calls:
            self._terminal.note(f"not usable ({bad.kind}): {bad.message}", "yellow")

    def _finished(self, result: Result) -> None:
        self._keep_said()
        shown = self._terminal.streams and result.text == self._said
        if not self._holds and result.text and not shown and result.stop != "needs_approval":
            self._terminal.settle()
            self._terminal.answer(f"{result.text}\n")
        if self.verbose:
            used = result.usage
            self._line(
                f"── {_number(self._step, 'step')}, {_number(len(result.calls), 'call')}, "
                f"{used.input_tokens:,} tokens read, {used.output_tokens:,} written ──",
                "bold",
            )
        if result.stop == "limit":
            self._terminal.note(f"Stopped before the end: {result.reason}.", "red", 0)
        elif result.stop == "failed":
            self._terminal.note(f"No answer: {result.reason}", "red", 0)
        elif result.stop == "cancelled":
            self._terminal.note("Stopped from elsewhere. What was done is kept.", "yellow", 0)


def _columns(call: str, outcome: str, columns: int) -> str:
    """A call and what came of it side by side; empty if there is no room."""
    width = max(width_of(call), min(_CALL_COLUMNS, columns // 2)) + 2
    if columns - width < min(_RESULT_COLUMNS, width_of(outcome)):
        return ""
    return call + " " * (width - width_of(call)) + shortened(outcome, columns - width)


def _short(event: ToolFinished) -> tuple[str, Style]:
    """A result in a few words."""
    content = event.content
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    if event.status == "failed":
        return f"failed: {_blamed(event.error)}", "red"
    if event.status == "unknown":
        return f"outcome unknown: {one_line(text)}", "red"
    if event.status != "ok":
        return one_line(
            f"{text} ({event.place})" if event.place else text
        ), "yellow" if event.status == "refused" else "red"
    lines = text.strip().splitlines()
    if len(lines) > 1:
        return f"{len(lines)} lines", ""
    return one_line(text) or "nothing", ""


def _blamed(error: BaseException | None) -> str:
    """What a bug raised, and where."""
    frames = traceback.extract_tb(error.__traceback__) if error is not None else []
    where = f" ({os.path.basename(frames[-1].filename)}, line {frames[-1].lineno})" if frames else ""
    return one_line(f"{type(error).__name__}: {error}{where}")


def _number(count: int, thing: str) -> str:
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def _indented(text: str) -> str:
    return "\n".join(f"  {line}".rstrip() for line in plain(text).splitlines() or [""])
