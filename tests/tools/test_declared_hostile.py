"""Files made to cost much: each is refused with a line, before it has cost a tenth of a second."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from gemmagraph.tools.declared.loading import load_document
from gemmagraph.tools.declared.problems import FileErrors

CEILING = 0.1
"""Seconds, by the issue; the best of three, of this process alone."""

K = 1024


def bomb(levels: int, width: int) -> str:
    lines = ["a0: &a0 [x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]" for n in range(1, levels)]
    return "\n".join(lines)


def tools(one: str, count: int) -> str:
    return "tools:\n" + "".join(one.replace("N", str(number)) for number in range(count))


HOSTILE: dict[str, str | bytes] = {
    "alias bomb": bomb(9, 9),
    "alias bomb of mappings": "a: &a {x: 1}\nb: &b {p: *a, q: *a}\nc: &c {p: *b, q: *b}\n",
    "alias to itself": "a: &a [*a]",
    "anchors": "".join(f"a{n}: &x{n} 1\n" for n in range(15_000)),
    "aliases": "a: &a 1\nb: [" + "*a, " * 60_000 + "]",
    "merge keys": "a: &a {x: 1}\n" + "".join(f"b{n}: {{<<: *a}}\n" for n in range(10_000)),
    "tags": "tools: [" + "!x 1, " * 40_000 + "]",
    "a tag that runs code": "tools: !!python/object/apply:os.system [id]",
    "an endless tag": "tools: !" + "x" * 250 * K,
    "an endless anchor": "tools: &" + "x" * 250 * K,
    "brackets": "[" * 250 * K,
    "brackets below a key": "tools: " + "[" * 250 * K,
    "closed brackets": "[" * 125 * K + "]" * 125 * K,
    "braces": "{" * 250 * K,
    "mappings in mappings": "{a: " * 60 * K,
    "dashes": "- " * 125 * K,
    "questions": "? " * 125 * K,
    "steps": "\n".join(" " * n + "a:" for n in range(700)),
    "a flow of keys": "{" + ", ".join(f"k{n}: 1" for n in range(22_000)) + "}",
    "a flow of keys without values": "{" + ",".join(f"k{n}" for n in range(36_000)) + "}",
    "a flow of items": "tools: [" + "1," * 125 * K + "]",
    "a block of keys": "\n".join(f"k{n}: 1" for n in range(24_000)),
    "the same key": "a: 1\n" * 50_000,
    "the same key in a flow": "{" + "a: 1, " * 40_000 + "}",
    "lists of nothing": "tools: [" + "[]," * 80_000 + "]",
    "mappings of nothing": "tools:\n" + "- {}\n" * 50_000,
    "just as many keys as may be": "\n".join(f"k{n}: 1" for n in range(7_400)),
    "just as many items as may be": "tools: [" + "1," * 14_900 + "]",
    "just as many tools as may be": tools("- {nam: tN}\n", 4_900),
    "tools of one name": tools("- {name: a, python: b:c}\n", 2_900),
    "tools of unknown connections": tools("- {name: tN, description: x, http: {connection: cN}}\n", 1_650),
    "globs of nothing": "toolsets: {a: {tools: [" + ", ".join(f"'x{n}*'" for n in range(14_900)) + "]}}",
    "a chain of toolsets": "toolsets:\n" + "".join(f"  a{n}: {{extends: a{n + 1}}}\n" for n in range(3_700)),
    "a circle of toolsets": "toolsets:\n"
    + "".join(f"  a{n}: {{extends: a{(n + 1) % 3700}}}\n" for n in range(3_700)),
    "placeholders that are open": "bots:\n" + "".join(f"  b{n}: {{x: '{{{{ secrets.'}}\n" for n in range(3_700)),
    "placeholders of unknown secrets": "bots: {b: {x: '" + "{{ secrets.x }}" * 16_000 + "'}}",
    "a placeholder without an end": "store: '" + "{{" * 125 * K + "'",
    "an endless key": "k" * 250 * K + ": 1",
    "an endless plain text": "tools: " + "x" * 250 * K,
    "an endless quoted text": "tools: '" + "x" * 250 * K + "'",
    "an endless open quote": "tools: '" + "x" * 250 * K,
    "escapes": 'tools: "' + "\\x41" * 60 * K + '"',
    "an endless block": "tools: |\n" + "  x\n" * 60 * K,
    "a folded block of empty lines": "tools: >\n" + "\n" * 250 * K,
    "lines of a plain text": "tools: a\n" + " b\n" * 80 * K,
    "an endless whole number": "version: " + "9" * 250 * K,
    "an endless fraction": "version: 0." + "9" * 250 * K,
    "an endless hexadecimal number": "version: 0x" + "f" * 250 * K,
    "almost a number": "version: " + "9" * 250 * K + "x",
    "almost a duration": "defaults: {timeout: '" + "9" * 250 * K + "x'}",
    "almost a size": "limits: {tokens: '" + "1." * 125 * K + "'}",
    "almost a name": "tools: [{name: " + "a" * 250 * K + "!, python: 'a:b'}]",
    "almost a function": "tools: [{name: a, python: " + ":a." * 80 * K + "}]",
    "almost a user": "groups: {a: ['" + "a" * 250 * K + "']}",
    "colons": "a: " + ":" * 250 * K,
    "colons and spaces": "a: b" + ": b" * 80 * K,
    "comments": "#" * 250 * K,
    "comment lines": "#\n" * 125 * K,
    "empty lines": "\n" * 250 * K,
    "documents": "---\n" * 60 * K,
    "documents with values": "--- 1\n" * 40 * K,
    "directives": "%YAML 1.2\n" * 25 * K,
    "directives of tags": "".join(f"%TAG !{n}! x\n" for n in range(15_000)) + "---\na: 1",
    "spaces": " " * 250 * K + "a",
    "tabs": "\t" * 250 * K,
    "too much": "a: 1\n" * 60_000,
    "far too much": b"x" * 8 * K * K,
    "nulls": b"\0" * 250 * K,
    "no UTF-8": b"\xff" * 250 * K,
    "no UTF-8 at the end": b"a: " + b"x" * 250 * K + b"\xc3",
    "marks of order": "\ufeff" * 80 * K,
}


def refused(file: Path) -> tuple[float, FileErrors]:
    begun = time.process_time()
    with pytest.raises(FileErrors) as caught:
        load_document(file)
    return time.process_time() - begun, caught.value


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_soon_and_with_a_line(name: str, tmp_path: Path) -> None:
    text = HOSTILE[name]
    file = tmp_path / "assistant.yaml"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    for _ in range(3):
        seconds, error = refused(file)
        if seconds < CEILING:
            break
    assert seconds < CEILING
    assert error.problems[0].place.line >= 1
    assert error.problems[0].place.file == str(file)
    assert len(str(error)) < 100 * K
    assert max(map(len, str(error).splitlines())) < 2 * K


def test_there_are_enough_of_them() -> None:
    assert len(HOSTILE) >= 40
