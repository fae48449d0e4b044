"""The servers that are asked, each in a process of its own: the tests' stand-ins, and llama.cpp with a tiny model."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent
_LLAMA = _HERE.parent / "tests" / "agent" / "llama_server.py"


class Player:
    """A stand-in at `url`, which says what it is told to."""

    def __init__(self, url: str) -> None:
        self.url = url

    def plays(self, **reply: Any) -> None:
        """What it says next: a reply as `paced.py` and the stand-ins describe it."""
        body = json.dumps({"reset": True, "replies": [reply]}).encode()
        urllib.request.urlopen(f"{self.url}/_control", body, timeout=10).close()


@contextmanager
def playing(protocol: str) -> Iterator[Player]:
    """A stand-in that speaks the protocol `ollama` or `openai`."""
    with _started(_HERE / "paced.py", protocol) as port:
        yield Player(f"http://127.0.0.1:{port}")


@contextmanager
def llama(context: int, *words: str) -> Iterator[dict[str, Any]]:
    """The llama.cpp server of the tests: its `url`, and `options` under which its model says something."""
    with _started(_LLAMA, str(context), *words) as said:
        yield json.loads(said)


@contextmanager
def _started(script: Path, *words: str) -> Iterator[str]:
    """What a server says first. It ends when its standard input does."""
    command = [sys.executable, str(script), *words]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.communicate(timeout=10)
