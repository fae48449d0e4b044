"""For tests of functions that hang: they hang at a gate, which is opened in the end."""

import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gemmagraph.tools import runtime

sys.path.append(str(Path(__file__).parent))  # `recorded` is for several tests here

LONG = 10.0
"""Seconds that a test waits for what should come at once."""


@pytest.fixture
def all_ended() -> Callable[[], None]:
    """Waits until no abandoned function is running any more."""

    def wait() -> None:
        pause = threading.Event()
        for _ in range(1_000):
            if runtime.abandoned() == 0:
                return
            pause.wait(LONG / 1_000)
        raise AssertionError("an abandoned function is still running")

    return wait


@pytest.fixture
def gate(all_ended: Callable[[], None]) -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()
    all_ended()
