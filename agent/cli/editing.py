"""Lines put into an assistant file: everything else in it, comments too, stays as it was.

What comes out is read again before it takes the place of the file: it has to say what the file said before, and what
was added.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from gemmagraph.errors import AgentError
from gemmagraph.tools.declared.document import Document, SourceFile
from gemmagraph.tools.declared.loading import load_document
from gemmagraph.tools.declared.nodes import Node, plain
from gemmagraph.tools.declared.problems import FileErrors, find
from gemmagraph.tools.declared.scalars import core_value
from gemmagraph.tools.declared.source import read_source

Section: TypeAlias = Literal["tools", "imports"]

_PLAIN: Final = re.compile(r"(?:[A-Za-z_/~]|\.{1,2}/|--?[A-Za-z])[A-Za-z0-9_./~+=:@%-]*(?<!:)")
_NOTHING: Final = re.compile(r"\[ *\]")
_PIN: Final = re.compile(r"""(["']?)sha256:[0-9a-f]{64}\1""")


def scalar(text: str) -> str:
    """A text as it is written in YAML, inside of brackets too."""
    if _PLAIN.fullmatch(text) and core_value(text) == text:
        return text
    return json.dumps(text, ensure_ascii=False)


def append(document: Document, section: Section, lines: Sequence[str]) -> int:
    """Puts an entry behind the last one of a section of the file itself; the section is made if there is none.

    Args:
        lines: of the entry, the first one without its dash.

    Returns:
        The line where it stands, counted from 1.

    Raises:
        AgentError: something would be wrong with the file, or it is written in a way that is not understood here;
            it is left as it was.
    """
    file = document.files[0]
    text = _read(file)
    node = find(file.root, (section,))
    entry = [("- " if index == 0 else "  ") + line for index, line in enumerate(lines)]
    if node is None:
        new = _inserted(text, len(text.rstrip().split("\n")), ["", f"{section}:", *(f"  {line}" for line in entry)])
    elif nothing := _NOTHING.match(text.split("\n")[node.mark.line], node.mark.column):
        source = text.splitlines(keepends=True)
        line = source[node.mark.line]
        source[node.mark.line] = line[: node.mark.column].rstrip() + line[nothing.end() :]
        new = _inserted("".join(source), node.mark.line + 1, [f"  {each}" for each in entry])
    else:
        at = _end_of(text, node, dashes=True)
        spaced = any(not line.strip() for line in text.split("\n")[node.mark.line : at])
        new = _inserted(text, at, [*([""] if spaced else []), *(" " * node.mark.column + line for line in entry)])
    before: Any = plain(file.root)

    def right(after: Any) -> bool:
        entries = after.pop(section)
        own = before.pop(section, [])
        return bool(before == after and entries[:-1] == own and len(entries) == len(own) + 1)

    shown = "\n".join(["", f"{section}:", *(f"  {line}" for line in entry)])
    changed = _replaced(document, file, new, right, f"Write it there yourself:{shown}")
    count = len(file.values.get(section) or ())
    return changed.place((section, count)).line


def set_pin(document: Document, index: int, pin: str) -> str:
    """Writes the pin of an import, in the file where it stands; returns the name of that file.

    Raises:
        AgentError: that file is written in a way that is not understood here; it is left as it was.
    """
    file, own = _home(document, index)
    text = _read(file)
    lines = text.split("\n")
    old = find(file.root, ("imports", own, "pin"))
    node = find(file.root, ("imports", own))
    assert node is not None, "an import that was read stands somewhere"
    line, column = (old or node).mark.line, (old or node).mark.column
    if old is not None:
        lines[line] = lines[line][:column] + _PIN.sub(pin, lines[line][column:], count=1)
        new = "\n".join(lines)
    elif lines[line][column : column + 1] == "{":
        lines[line] = f"{lines[line][: column + 1]}pin: {pin}, {lines[line][column + 1 :]}"
        new = "\n".join(lines)
    else:
        new = _inserted(text, _end_of(text, node, dashes=False), [f"{' ' * column}pin: {pin}"])
    expected: Any = plain(file.root)
    expected["imports"][own]["pin"] = pin
    _replaced(document, file, new, lambda after: bool(after == expected), f"Write it there yourself: pin: {pin}")
    return file.name


def _home(document: Document, index: int) -> tuple[SourceFile, int]:
    """The file in which an import stands, and its place there."""
    for file in document.files:
        count = len(file.values.get("imports") or ())
        if index < count:
            return file, index
        index -= count
    raise AssertionError("an import stands in one of the files")


def _read(file: SourceFile) -> str:
    return file.path.read_bytes().decode()  # line ends stay as they are


def _end_of(text: str, node: Node, *, dashes: bool) -> int:
    """How many lines there are up to the last one of a block.

    Args:
        dashes: whether it is a list, whose lines are those that begin with a dash, and what is indented more.
    """
    column, last = node.mark.column, node.mark.line
    for number, line in enumerate(text.split("\n")[node.mark.line + 1 :], node.mark.line + 1):
        indent = len(line) - len(line.lstrip(" "))
        said = line.strip()
        if said and (indent > column or (indent == column and (said[0] == "-" if dashes else said[0] != "#"))):
            last = number
        elif said and said[0] != "#":
            break
    return last + 1


def _inserted(text: str, at: int, new: Sequence[str]) -> str:
    """A text with lines put behind its first so many."""
    end = "\r\n" if "\r\n" in text else "\n"
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += end
    return "".join([*lines[:at], *(line + end for line in new), *lines[at:]])


def _replaced(
    document: Document, file: SourceFile, new: str, right: Callable[[Any], bool], otherwise: str
) -> Document:
    """Puts a text in the place of a file, if it says what it should; returns what is read then."""
    root = read_source(new).root
    after = plain(root) if root is not None else None
    if not isinstance(after, dict) or not right(after):
        raise AgentError(f"{file.name} is not written in a way that can be added to.", hint=otherwise)
    before = _read(file)
    _write(file.path, new)
    try:
        return load_document(document.files[0].name, document.kind)
    except FileErrors as exc:
        _write(file.path, before)
        wrong = "; ".join(problem.message for problem in exc.problems)
        raise AgentError(f"{file.name} stays as it was: with this, {wrong}.") from exc


def _write(path: Path, text: str) -> None:
    """At once or not at all. A link stays one, and rights stay what they were."""
    real = Path(os.path.realpath(path))
    beside = real.with_name(f".{real.name}.new")
    try:
        beside.write_bytes(text.encode())
        shutil.copymode(real, beside)
        os.replace(beside, real)
    finally:
        beside.unlink(missing_ok=True)
