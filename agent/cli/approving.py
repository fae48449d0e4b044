"""Asking the person at the terminal about a call."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from textwrap import indent

from gemmagraph.approvals import Approval, Approve, Decision, Edit, Reject, Respond
from gemmagraph.cli.terminal import Terminal
from gemmagraph.errors import InvalidArguments
from gemmagraph.prompts.messages import JSON
from gemmagraph.tools import Tool, ToolContext, ToolError

_QUESTION = "    Run it? [y]es [n]o [e]dit [r]espond [w]hy  "
_ANSWERS = (
    "y runs it as it stands. n does not; the model is told what stands after the n. e lets you change it, and asks "
    "again. r TEXT does not run it; the model gets the text as its result."
)


class Person:
    """Whoever sits at the terminal. As an agent's `approve=`, the question is asked by whoever draws the run, once
    all that was said before it is on the screen: then the keyboard is waited for, and nothing else happens."""

    def __init__(self, terminal: Terminal, tools: Mapping[str, Tool]) -> None:
        self._terminal = terminal
        self._tools = tools
        self._decisions: dict[str, asyncio.Future[Decision]] = {}

    async def __call__(self, approval: Approval) -> Decision:
        try:
            return await self._decision(approval)
        finally:
            self._decisions.pop(approval.id, None)

    def ask(self, approval: Approval) -> None:
        """Asks, and lets the run go on with what was decided.

        Raises:
            KeyboardInterrupt: the person wants to stop it all.
        """
        self._decision(approval).set_result(self.decide(approval) or Reject("nobody answered"))

    def decide(self, approval: Approval, closed: Sequence[object] = ()) -> Decision | None:
        """What the person says to a call; None if the input ends.

        Args:
            approval: the call.
            closed: the question is of no use any more once something is in it.

        Raises:
            Closed: it is of no use any more.
            KeyboardInterrupt: the person wants to stop it all.
        """
        shown = approval
        self._terminal.line(indent(shown.request, "  "), "bold")
        while True:
            self._terminal.forget_typed()
            answer = self._terminal.read(_QUESTION, closed=closed)
            if answer is None:
                return None
            said = self._understood(shown, answer, closed)
            if isinstance(said, Approval):
                shown = said
                self._terminal.line(indent(shown.request, "  "), "bold")
            elif isinstance(said, Approve) and shown.arguments != approval.arguments:
                return Edit(shown.arguments)
            elif said is not None:
                return said

    def _decision(self, approval: Approval) -> asyncio.Future[Decision]:
        if approval.id not in self._decisions:
            self._decisions[approval.id] = asyncio.get_running_loop().create_future()
        return self._decisions[approval.id]

    def _understood(self, approval: Approval, answer: str, closed: Sequence[object]) -> Decision | Approval | None:
        """The decision an answer makes, if it makes one; or the changed call, to ask about."""
        word, _, rest = answer.strip().partition(" ")
        match word.lower(), rest.strip():
            case (("y" | "yes"), ""):
                return Approve()
            case (("n" | "no"), reason):
                return Reject(reason)
            case (("r" | "respond"), text) if text:
                return Respond(text)
            case (("e" | "edit"), ""):
                return self._edited(approval, closed)
            case (("w" | "why"), ""):
                self._why(approval)
            case _:
                self._terminal.note(_ANSWERS, "dim", 4)
        return None

    def _why(self, approval: Approval) -> None:
        self._terminal.note(f"You are asked because {approval.reason}.", "dim", 4)
        about = (
            self._tools[approval.tool].description if approval.tool in self._tools else "It is not there any more."
        )
        self._terminal.note(f"{approval.tool} says of itself: {about or 'nothing.'}", "dim", 4)
        self._terminal.note(_ANSWERS, "dim", 4)

    def _edited(self, approval: Approval, closed: Sequence[object]) -> Approval | None:
        """The call with other arguments; None if they are no good, or there are none."""
        given = json.dumps(approval.arguments, ensure_ascii=False)
        if not self._terminal.edits:
            self._terminal.line(f"    The arguments are {given}")
        written = self._terminal.read("    Arguments: ", given, closed)
        if not (written or "").strip():
            return None
        try:
            arguments = json.loads(written or "")
            if arguments == approval.arguments:
                problem = "they are the same."
            elif approval.tool not in self._tools:
                problem = "the tool is not there any more."
            elif isinstance(arguments, dict):
                return self._changed(approval, arguments)
            else:
                problem = "write them as a JSON object."
        except (InvalidArguments, ToolError) as exc:
            problem = exc.message
        except (ValueError, RecursionError) as exc:
            problem = f"this is no JSON: {exc}."
        self._terminal.note(f"Not changed: {problem}", "red", 4)
        return None

    def _changed(self, approval: Approval, arguments: Mapping[str, JSON]) -> Approval:
        """The call with these arguments, as it would run.

        Raises:
            InvalidArguments: they do not fit the tool.
            ToolError: it could not run with them.
        """
        tool = self._tools[approval.tool]
        arguments = tool.check(arguments)
        asker = ToolContext(approval.user, approval.thread, approval.channel)
        return replace(approval, arguments=arguments, request=tool.render(arguments, asker).shown)
