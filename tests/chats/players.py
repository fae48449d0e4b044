"""The model's part in tests of bots: does what the last message says, however many talk to it at once."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncGenerator
from typing import Final

from gemmagraph.backends.base import Chunk, Request
from gemmagraph.backends.scripted import ScriptedBackend, shown
from gemmagraph.prompts.messages import Usage

LONG: Final = "\n\n".join(f"Paragraph {number}. " + "word " * 60 for number in range(40))


class Player(ScriptedBackend):
    """Understands, as the last thing that was said:

    restart NAME     calls `restart`, then says what came of it
    look             calls `look`
    slow             answers when `go` is set
    long             says LONG
    say TEXT         says TEXT
    anything else    says `You said: …`
    """

    def __init__(self, *, piece: int = 40, pause: float = 0.0, model: str = "gemma3:1b") -> None:
        super().__init__([], name="the player", model=model)
        self.go = asyncio.Event()
        self.asked = 0
        self.most = 0
        """Requests at the same time, at most."""
        self.now = 0
        """Requests that are at work."""
        self.answered: Counter[str] = Counter()
        self._turns: dict[str, int] = {}
        self._piece = piece
        self._pause = pause

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        self.asked += 1
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            said = last_said(request)
            self._turns[said] = shown(request).count("user: ")
            if said.startswith("slow"):
                await self.go.wait()
            text = reply(said)
            for at in range(0, len(text), self._piece):
                yield Chunk(text=text[at : at + self._piece])
                await asyncio.sleep(self._pause)
            self.answered[said] += 1
            yield Chunk(usage=Usage(10, 5), stop="stop")
        finally:
            self.now -= 1

    def longest(self, said: str) -> int:
        """How many turns of people the conversation had when this was said."""
        return max(turns for text, turns in self._turns.items() if said in text)

    def check(self) -> None: ...


def last_said(request: Request) -> str:
    """What stands last in the conversation: words of a person, or the results of calls."""
    last = shown(request).rpartition("\nuser: ")[2].strip()
    return last if last.startswith("FUNCTION_") else last.split("\n\n")[-1]


def reply(said: str) -> str:
    if said.startswith(("FUNCTION_RESULT", "FUNCTION_ERROR")):
        return f"It came to this: {said.partition(':')[2].strip()[-200:]}"
    if found := re.search(r"\brestart (\w+)", said):
        return f'FUNCTION_CALL: restart(name="{found.group(1)}")'
    if re.search(r"\blook\b", said):
        return "FUNCTION_CALL: look()"
    if said.endswith("long"):
        return LONG
    if found := re.search(r"\bsay (.*)", said, re.DOTALL):
        return found.group(1)
    return f"You said: {said[-300:]}"
