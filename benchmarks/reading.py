"""What it costs to read a reply, piece by piece as it arrives and as a whole."""

from __future__ import annotations

import ast
import re
from typing import Any

from measure import Effort, Row, Spread, cpu, in_turns, microseconds, ratio, settle

_PIECE = 4
_SHORT, _LONG = 800, 12_800
_PROSE = (
    "The disk of the web server is nearly full, and it's the third time this month; the logs of last week take "
    "12 GB. Please rotate them, keep what is newer than seven days, and tell the people on call what you did.\n"
)


def _prose(length: int) -> str:
    return (_PROSE * (length // len(_PROSE) + 1))[:length]


def _call(length: int) -> str:
    inside = _prose(length).replace("\n", "\\n")[:length].rstrip("\\")
    return f'FUNCTION_CALL: note(text="{inside}", urgent=True)'


def rows(effort: Effort) -> list[Row]:
    texts = {
        f"an answer of {_SHORT} characters": _prose(_SHORT),
        f"a call with {_SHORT} characters inside": _call(_SHORT),
        f"a call with {_LONG:,} characters inside": _call(_LONG),
    }
    toolset, reader = _notation()

    def by_piece(text: str) -> Any:
        pieces = [text[start : start + _PIECE] for start in range(0, len(text), _PIECE)]

        def read() -> None:
            reading = reader(toolset)
            for piece in pieces:
                reading.feed(piece)
            reading.close("stop")

        return len(pieces), read

    work = {what: by_piece(text) for what, text in texts.items()}
    settle()
    measured = in_turns({what: cpu(read, effort.seconds) for what, (_, read) in work.items()}, effort.rounds)
    rounds = {what: [seconds / work[what][0] for seconds in found] for what, found in measured.items()}
    rows = [
        Row(
            f"{what}, {_PIECE} at a time",
            f"{Spread.of(second * 1e6 for second in seconds)} µs a piece",
            reach="≤ 3 µs",
            met=Spread.of(seconds).median <= 3e-6,
        )
        for what, seconds in rounds.items()
    ]
    _, short, long = rounds
    grown = ratio(rounds, long, short)
    rows.append(
        Row(
            f"{_LONG:,} characters against {_SHORT}",
            "",
            ratio=grown,
            reach="≤ 1.3 x",
            met=grown.median <= 1.3,
        )
    )
    return [*rows, _whole(effort)]


def _whole(effort: Effort) -> Row:
    toolset, reader = _notation()
    text = f"I will write that down.\n{_call(_SHORT)}"

    def ours() -> Any:
        reading = reader(toolset)
        reading.feed(text)
        return reading.close("stop")[1]

    (call,) = ours().calls
    assert {"name": call.name, "arguments": call.arguments} == _by_regex(text)[0]
    rounds = in_turns(
        {"ours": cpu(ours, effort.seconds), "regex": cpu(lambda: _by_regex(text), effort.seconds)}, effort.rounds
    )
    times = ratio(rounds, "ours", "regex")
    return Row(
        f"a reply with {_SHORT} characters inside a call, at once",
        microseconds(rounds["ours"]),
        f"a regular expression and ast {microseconds(rounds['regex'])}",
        times,
        reach="≤ 2 x",
        met=times.median <= 2,
    )


def _by_regex(text: str) -> list[dict[str, Any]]:
    """The short way: trusts what stands there, checks nothing."""
    calls = []
    for found in re.finditer(r"FUNCTION_CALL:\s*(\w+)\((.*)\)", text):
        tree = ast.parse(f"f({found.group(2)})", mode="eval").body
        assert isinstance(tree, ast.Call)
        arguments = {str(word.arg): ast.literal_eval(word.value) for word in tree.keywords}
        calls.append({"name": found.group(1), "arguments": arguments})
    return calls


def _notation() -> tuple[Any, Any]:
    from gemmagraph import tool
    from gemmagraph.prompts.notation import notation_named
    from gemmagraph.prompts.toolset import Toolset

    def note(text: str, urgent: bool = False) -> str:
        """Writes something down."""
        return text

    return Toolset([tool(note).spec]), notation_named("function_call").reader
