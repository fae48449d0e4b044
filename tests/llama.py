"""A real llama.cpp server for tests, in its own process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parent / "agent" / "llama_server.py"


def llama_or_skip(*arguments: str) -> Iterator[dict[str, Any]]:
    """What the server says of itself while it runs: see `llama_server.py`."""
    for package in ("gguf", "numpy", "xllamacpp"):
        pytest.importorskip(package, reason=f"{package} is not installed, or has no wheel here: no real llama.cpp")
    command = [sys.executable, str(SCRIPT), *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
        process.communicate(timeout=10)
