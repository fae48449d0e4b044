"""For users' tests: the pytest fixture `cassette`, one file of recorded replies per test.

    def test_the_clerk_knows_the_weather(cassette):
        assert "rain" in Agent(Gemma("ollama:gemma3:4b", record=cassette), [weather]).run("Paris?").text

Every pytest run loads this module where gemmagraph is installed, so it imports nothing before a test uses it.
"""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from gemmagraph.backends.recorded.recording import Cassette

_LONGEST = 120
"""Characters of a file name; file systems bear 255 bytes."""


class UnusedRecordings(UserWarning):
    """A cassette holds replies that its test did not ask for."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("gemmagraph").addoption(
        "--gemmagraph-record",
        choices=("once", "new", "none", "all"),
        default="once",
        help="what tests with the fixture `cassette` ask of the model server: everything if there is no file yet, "
        "else nothing (once); what the file does not hold (new); nothing (none); everything, anew (all)",
    )


@pytest.fixture
def cassette(request: pytest.FixtureRequest) -> Iterator[Cassette]:
    """Recorded replies of a model, for `Gemma(…, record=cassette)`: kept in `cassettes/` beside the test's file."""
    from gemmagraph.backends.recorded.recording import Cassette

    failed_before = request.session.testsfailed
    made = Cassette(_place(request.node), mode=request.config.getoption("gemmagraph_record"))
    yield made
    unused = made.unused()
    if unused and request.session.testsfailed == failed_before:  # a test that failed may not have come so far
        lines = ", ".join(str(exchange.line) for exchange in unused)
        warnings.warn(
            f"{made.path} holds replies that were not asked for (line {lines}). "
            "Record it anew (--gemmagraph-record=all) if the test is right.",
            UnusedRecordings,
            stacklevel=1,
        )


def _place(node: pytest.Item) -> Path:
    """`cassettes/test_file/test_name[case].jsonl`, whatever the case is called."""
    name = node.nodeid.split("::", 1)[-1].replace("::", ".")
    plain = re.sub(r"[^\w.=+\[\]-]", "_", name)[:_LONGEST]
    if plain != name:  # two cases may have become the same
        plain += "-" + hashlib.sha256(name.encode()).hexdigest()[:8]
    return node.path.parent / "cassettes" / node.path.stem / f"{plain}.jsonl"
