"""`gemmagraph tools list`: what a file declares, without importing, connecting or starting anything."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from gemmagraph.assistant import Assistant
from gemmagraph.cli.terminal import one_line, shortened
from gemmagraph.tools.declared.making import Entry

_UNKNOWN: Final = "?"
_WIDEST: Final = 36
"""Columns of a name."""


@dataclass(frozen=True, slots=True)
class _Row:
    name: str
    kind: str
    place: str
    verdict: str | None
    """What the tool itself says of a call: allow, ask, deny; `?` where its Python has the word."""
    policy: bool
    """Whether a rule may decide before it."""
    unavailable: str | None = None
    opened: bool = True


def listed(assistant: Assistant | None, sources: Sequence[str], as_json: bool) -> str:
    """The tools and imports of a file, and the Python files that are named beside it: as a table or as JSON."""
    rows = [_source(source) for source in sources]
    if assistant is not None:
        known = zip(assistant.entries, assistant.values.get("tools") or (), strict=True)
        own = [_entry(assistant, entry, said) for entry, said in known if assistant.includes(entry.name)]
        imports = [_Row(one.name, one.kind, one.place, None, False, opened=False) for one in assistant.imports]
        rows = [*own, *imports, *rows]
    if as_json:
        return json.dumps({"tools": [asdict(row) for row in rows]}, ensure_ascii=False, indent=2)
    return _table(rows) if rows else "There are no tools."


def _source(source: str) -> _Row:
    there = Path(source).expanduser()
    missing = f"there is no file {source}" if there.suffix == ".py" and not there.is_file() else None
    return _Row(source, "python", "--tools", None, False, missing, opened=False)


def _entry(assistant: Assistant, entry: Entry, said: Mapping[str, Any]) -> _Row:
    verdict = entry.tool.own_ruling().verdict if entry.tool is not None else _verdict(said)
    policy = any(rule.names(entry.name) for rule in assistant.policy.rules)
    return _Row(entry.name, entry.kind, entry.place, verdict, policy, entry.unavailable)


def _verdict(said: Mapping[str, Any]) -> str:
    """Of what is not made here, as far as the file says."""
    if "approval" in said:
        return str(said["approval"]["mode"])
    marks = said.get("annotations") or {}
    if marks.get("destructiveHint"):
        return "ask"
    return "allow" if marks.get("readOnlyHint") else _UNKNOWN


def _table(rows: Sequence[_Row]) -> str:
    cells = [("name", "kind", "a call", "declared at")]
    cells += [(shortened(one_line(row.name), _WIDEST), row.kind, _says(row), row.place) for row in rows]
    widths = [max(len(line[column]) for line in cells) for column in range(3)]
    lines = []
    for row, line in zip([None, *rows], cells, strict=True):
        padded = [cell.ljust(width) for cell, width in zip(line, widths, strict=False)]
        lines.append("  ".join([*padded, line[3]]))
        if row is not None and row.unavailable:
            lines.append(f"  unavailable: {one_line(row.unavailable)}")
    if any(not row.opened for row in rows):
        lines += ["", "What is not opened yet shows its tools in: gemmagraph tools show"]
    if any(row.verdict == _UNKNOWN and row.kind == "python" for row in rows):
        lines += ["", "? is for its Python to say, which is not imported here."]
    return "\n".join(lines)


def _says(row: _Row) -> str:
    if not row.opened:
        return "not opened"
    return f"policy, else {row.verdict}" if row.policy else str(row.verdict)
