"""What it costs to find the tools that a request needs among a thousand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from measure import Effort, Row, Spread, cpu, in_turns, milliseconds, settle

_MANY = 1_000
_DATA = Path(__file__).parent.parent / "tests" / "data" / "selection"


def rows(effort: Effort) -> list[Row]:
    from gemmagraph.prompts.messages import ToolSpec
    from gemmagraph.tools.selection import hints, words
    from gemmagraph.tools.selection.ranking import Ranking

    written = [ToolSpec(**json.loads(line)) for line in (_DATA / "tools.jsonl").read_text("utf-8").splitlines()]
    files = (_DATA / name for name in ("requests.jsonl", "blind.jsonl"))
    requests = [json.loads(line)["text"] for file in files for line in file.read_text("utf-8").splitlines()]
    copies = range(-(-_MANY // len(written)))
    many = [replace(spec, name=f"{spec.name}_{copy}" if copy else spec.name) for copy in copies for spec in written]
    specs = many[:_MANY]
    ranking = Ranking(specs)
    long = " ".join(requests)

    def ask_all() -> None:
        for request in requests:
            ranking.best(request, 8)

    def read_vocabulary() -> None:
        for kept in (words.stem, words._concepts, hints._tables, hints._stems):
            kept.cache_clear()
        words.concepts("")
        hints.hints("")

    settle()
    seconds = in_turns(
        {
            "one": cpu(ask_all, effort.seconds),
            "long": cpu(lambda: ranking.best(long, 8), effort.seconds),
            "read": cpu(read_vocabulary, effort.seconds),
            "made": cpu(lambda: Ranking(specs), effort.seconds),
        },
        max(2, effort.rounds // 5),
    )
    one = [figure / len(requests) for figure in seconds["one"]]
    return [
        Row(
            f"8 of {_MANY:,} tools for a request",
            milliseconds(one),
            reach="≤ 3 ms",
            met=Spread.of(one).median <= 3e-3,
        ),
        Row(f"8 of {_MANY:,} tools for a request of {len(long):,} characters", milliseconds(seconds["long"])),
        Row(f"{_MANY:,} tools made ready for it", milliseconds(seconds["made"])),
        Row(
            "the vocabulary, read once",
            milliseconds(seconds["read"]),
            reach="≤ 15 ms",
            met=Spread.of(seconds["read"]).median <= 15e-3,
        ),
    ]
