"""The bot as a process of its own, which tests end as they like."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from chats.world import World, until

CHILD = Path(__file__).parent / "agent" / "bots" / "bot_child.py"

EFFECTS = """
import os, time

def restart(name: str) -> str:
    '''Restarts a service.'''
    with open(os.environ["EFFECTS"], "a") as effects:
        effects.write(f"{name}\\n")
        effects.flush()
        os.fsync(effects.fileno())
    time.sleep(0.15)
    return f"{name} runs"
"""

FILE = """
model: ollama:gemma3:1b
tools:
  - name: restart
    python: ./effects.py:restart
    annotations: {destructiveHint: true}
    approval: allow
"""


class Child:
    """The bot's process."""

    def __init__(self, folder: Path, world: World, store: str = "sqlite:///bot.db") -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        bots = {world.platform: {**world.keys, "channels": {world.channel: None}}}
        (folder / "effects.py").write_text(EFFECTS, "utf-8")
        (folder / "assistant.yaml").write_text(f"{FILE}\nstore: {store}\nbots: {json.dumps(bots)}\n", "utf-8")
        (folder / "effects.txt").touch()
        self.process: asyncio.subprocess.Process | None = None

    @property
    def effects(self) -> Counter[str]:
        return Counter((self.folder / "effects.txt").read_text("utf-8").split())

    async def start(self, *, listens: bool = True) -> None:
        """Returns when it listens, or at once."""
        log = self.folder / "log.txt"
        environment = {**os.environ, "EFFECTS": str(self.folder / "effects.txt")}
        with log.open("wb") as errors:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, str(CHILD), str(self.folder / "assistant.yaml")), env=environment, stderr=errors
            )
        if listens:
            await self.up()

    async def up(self) -> None:
        """Returns when it listens."""
        log = self.folder / "log.txt"
        assert self.process is not None
        process = self.process
        await until(
            lambda: b" connected " in log.read_bytes() or process.returncode is not None,
            lambda: log.read_text("utf-8"),
            30,
        )
        assert process.returncode is None, log.read_text("utf-8")

    async def kill(self, how: signal.Signals = signal.SIGKILL, *, wait: bool = True) -> int:
        assert self.process is not None
        self.process.send_signal(how)
        if not wait:
            return 0
        async with asyncio.timeout(30):
            return await self.process.wait()


def answered(said: list[Any], name: str) -> list[str]:
    """What people read of a call in the end: its result, or that nobody knows."""
    about = [one.text for one in said if re.search(rf"\b{name}\b", one.text)]
    return [text for text in about if "came to this" in text or "Outcome unknown" in text]
