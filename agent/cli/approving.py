"""Asking the person at the terminal about a call."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from textwrap import indent

from gemmagraph.approvals import Approval, Approve, Decision, Edit, Reject
from gemmagraph.cli.terminal import Terminal
from gemmagraph.errors import InvalidArguments
from gemmagraph.tools import Tool

_QUESTION = "    Run it? [y]es [n]o [e]dit [w]hy  "
_ANSWERS = "y runs it as it stands. n does not; the model is told what stands after the n. e lets you change it."


class Person:
    """What an agent's `approve=` is given. The question is asked by whoever draws the run, once all that was said
    before it is on the screen: then the keyboard is waited for, and nothing else happens."""

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
        self._terminal.line(indent(approval.request, "  "), "bold")
        decision: Decision | None = None
        while decision is None:
            self._terminal.forget_typed()
            decision = self._understood(approval, self._terminal.read(_QUESTION))
        self._decision(approval).set_result(decision)

    def _decision(self, approval: Approval) -> asyncio.Future[Decision]:
        if approval.id not in self._decisions:
            self._decisions[approval.id] = asyncio.get_running_loop().create_future()
        return self._decisions[approval.id]

    def _understood(self, approval: Approval, answer: str | None) -> Decision | None:
        """The decision an answer makes, if it makes one."""
        if answer is None:
            return Reject("nobody answered")
        word, _, rest = answer.strip().partition(" ")
        match word.lower(), rest.strip():
            case (("y" | "yes"), ""):
                return Approve()
            case (("n" | "no"), reason):
                return Reject(reason)
            case (("e" | "edit"), ""):
                return self._edited(approval)
            case (("w" | "why"), ""):
                self._why(approval)
            case _:
                self._terminal.note(_ANSWERS, "dim", 4)
        return None

    def _why(self, approval: Approval) -> None:
        self._terminal.note(f"You are asked because {approval.reason}.", "dim", 4)
        about = self._tools[approval.tool].description
        self._terminal.note(f"{approval.tool} says of itself: {about or 'nothing.'}", "dim", 4)
        self._terminal.note(_ANSWERS, "dim", 4)

    def _edited(self, approval: Approval) -> Decision | None:
        """The call with other arguments; None if they are no good, or there are none."""
        given = json.dumps(approval.arguments, ensure_ascii=False)
        if not self._terminal.edits:
            self._terminal.line(f"    The arguments are {given}")
        written = self._terminal.read("    Arguments: ", prefill=given)
        if not (written or "").strip():
            return None
        try:
            arguments = json.loads(written or "")
            if arguments == approval.arguments:
                problem = "they are the same."
            elif isinstance(arguments, dict):
                return Edit(self._tools[approval.tool].check(arguments))
            else:
                problem = "write them as a JSON object."
        except InvalidArguments as exc:
            problem = exc.message
        except (ValueError, RecursionError) as exc:
            problem = f"this is no JSON: {exc}."
        self._terminal.note(f"Not changed: {problem}", "red", 4)
        return None
