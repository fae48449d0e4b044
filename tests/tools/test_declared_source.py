"""YAML 1.2, read strictly: what values are, what is refused, and where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gemmagraph.tools.declared.nodes import Mapping, Scalar, Sequence, plain
from gemmagraph.tools.declared.source import MOST_BYTES, MOST_DEPTH, MOST_VALUES, read_source, slow_parser

DATA = Path(__file__).parent.parent / "data" / "declared"

CORE: dict[str, Any] = {
    "on": "on",
    "no": "no",
    "yes": "yes",
    "Off": "Off",
    "true": True,
    "False": False,
    "TRUE": True,
    "tRUE": "tRUE",
    "null": None,
    "~": None,
    "": None,
    "nULL": "nULL",
    "010": 10,
    "-7": -7,
    "+7": 7,
    "0o10": 8,
    "0o18": "0o18",
    "0x1f": 31,
    "-0x1f": "-0x1f",
    "0b11": "0b11",
    "1_000": "1_000",
    "12:30": "12:30",
    "12:30:45": "12:30:45",
    "2024-01-01": "2024-01-01",
    "2024-01-01T10:00:00Z": "2024-01-01T10:00:00Z",
    "1.5": 1.5,
    "1.": 1.0,
    ".5": 0.5,
    "1e3": 1000.0,
    "-1.5E-2": -0.015,
    "1.2.3": "1.2.3",
    ".": ".",
    "1e": "1e",
    "18446744073709551616": 18446744073709551616,
    '"1"': "1",
    "'true'": "true",
    '"\\u00e9\\n"': "é\n",
    "nothing here": "nothing here",
    "Hello {{ args.name }}": "Hello {{ args.name }}",
    "=": "=",
    "#no": None,
    "a#b": "a#b",
    "[on, 010, null, x: 1]": ["on", 10, None, {"x": 1}],
    "{422: a, on: b, 1.5: c, ~: d}": {"422": "a", "on": "b", "1.5": "c", "~": "d"},
    "|\n  two\n  lines\n": "two\nlines\n",
    ">-\n  one\n  line\n": "one line",
    '"<<"': "<<",
}


@pytest.mark.parametrize("parser", [None, slow_parser()], ids=["libyaml", "PyYAML"])
@pytest.mark.parametrize("text", CORE)
def test_values_have_the_types_of_yaml_1_2(text: str, parser: Any) -> None:
    source = read_source(f"key: {text}", parser)
    assert source.flaws == ()
    assert source.root is not None
    found = plain(source.root)["key"]
    assert found == CORE[text]
    assert type(found) is type(CORE[text])


REFUSED: dict[str, tuple[bytes | str, int, int, str]] = {
    "twice": ("a: 1\nb:\n  c: 1\n  c: 2\n", 4, 3, "'c' is there twice; it stands in line 3"),
    "twice in a flow": ("{a: 1, a: 2}", 1, 8, "'a' is there twice"),
    "twice, spelled otherwise": ('a: 1\n"a": 2\n', 2, 1, "'a' is there twice"),
    "tag": ("a: !!python/object:os.system x", 1, 4, "is a tag"),
    "tag of a mapping": ("a: !x {b: 1}", 1, 4, "'!x' is a tag"),
    "tag of a key": ("!!str a: 1", 1, 1, "is a tag"),
    "the bare tag": ("a: ! x", 1, 4, "is a tag"),
    "anchor": ("a: &b 1\n", 1, 4, "'&b' is an anchor"),
    "anchor of a list": ("a: &b [1]\n", 1, 4, "'&b' is an anchor"),
    "anchor of a key": ("&b a: 1\n", 1, 1, "'&b' is an anchor"),
    "alias": ("a: *b\n", 1, 4, "alias"),
    "merge": ("a:\n  <<: {b: 1}\n", 2, 3, "merge key"),
    "second document": ("a: 1\n---\nb: 1\n", 2, 1, "second document"),
    "second document, after an end": ("a: 1\n...\nb: 1\n", 3, 1, ""),
    "directive": ("%YAML 1.1\n---\na: 1\n", 1, 1, "begins with %"),
    "directive of tags": ("# x\n%TAG ! tag:x,2000:\n---\na: 1\n", 2, 1, "begins with %"),
    "empty": ("", 1, 1, "empty"),
    "only a comment": ("# nothing\n", 1, 1, "empty"),
    "placeholder": ("a:\n  b: {{ args.x }}\n", 2, 6, "as a mapping"),
    "placeholder in a list": ("a: [x, {{ args.x }}]", 1, 8, "as a mapping"),
    "placeholder and more": ("a: {{ args.x }}/b\n", 1, 4, "as a mapping"),
    "list as a key": ("? [a]\n: 1\n", 1, 3, "must be a text"),
    "mapping as a key": ("? a: 1\n: 2\n", 1, 3, "must be a text"),
    "no key": ("a: 1\n?\n: 2\n", 2, ..., "no key"),
    "tab": ("a:\n\tb: 1\n", 2, 1, "a tab"),
    "tab after spaces": ("a:\n  b: 1\n \tc: 1\n", 3, 2, ""),
    "infinite": ("a: 1\nb: -.inf\n", 2, 4, "-.inf is no number"),
    "not a number": ("b: .NaN\n", 1, 4, ".NaN is no number"),
    "too large": ("b: 1e999\n", 1, 4, "too large"),
    "digits": ("b: " + "7" * 200, 1, 4, "200 digits"),
    "hexadecimal digits": ("b: 0x" + "f" * 200, 1, 4, "202 digits"),
    "UTF-8": (b"a: 1\nb: x\xff\n", 2, 5, "0xff is not UTF-8"),
    "half a character": (b"a: \xed\xa0\x80\n", 1, 4, "is not UTF-8"),
    "escaped half of a character": ('a: "\\ud800"\n', 1, ..., ""),
    "UTF-16": ("a: 1\n".encode("utf-16"), 1, 1, "UTF-16"),
    "UTF-16 without a mark": ("a: 1\n".encode("utf-16-le"), 1, 2, "U+0000"),
    "byte order mark inside": ("a: 1\nb: \ufeffx\n", 2, 4, "U+FEFF"),
    "two byte order marks": (b"\xef\xbb\xbf\xef\xbb\xbfa: 1", 1, 1, "U+FEFF"),
    "NUL": (b"a: 1\nb: x\x00\n", 2, 5, "U+0000"),
    "escape": ("a: \x1b[31m", 1, 4, "U+001B"),
    "line separator": ("a: x\u2028y", 1, 5, "U+2028"),
    "next line": ("a: x\x85y", 1, 5, "U+0085"),
    "open quote": ("a: 1\nb: 'x\nc: 1\n", ..., ..., "not YAML"),
    "open bracket": ("a: 1\nb: [1,\nc: 1\n", ..., ..., "in what begins in line 2"),
    "colon": ("a: see: this\n", 1, 7, "follows no key"),
    "at": ("a: @b\n", 1, 4, "cannot begin with @"),
    "backtick": ("a: `b`\n", 1, 4, "cannot begin with `"),
    "indentation": ("a:\n  b: 1\n c: 1\n", ..., ..., "not YAML"),
    "depth": ("[" * (MOST_DEPTH + 1) + "]" * (MOST_DEPTH + 1), 1, MOST_DEPTH + 1, "deeper than 20"),
    "depth of blocks": ("- " * (MOST_DEPTH + 1) + "x", 1, 2 * MOST_DEPTH + 1, "deeper than 20"),
    "values": ("- 1\n" * (MOST_VALUES + 1), MOST_VALUES + 1, 3, "15,000 keys"),
    "bytes": ("# 34567\n" * (MOST_BYTES // 8) + "a: 1", MOST_BYTES // 8 + 1, 1, "larger than 256 KiB"),
}  # fmt: skip


@pytest.mark.parametrize("parser", [None, slow_parser()], ids=["libyaml", "PyYAML"])
@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_is_said_with_its_place(case: str, parser: Any) -> None:
    data, line, column, message = REFUSED[case]
    flaw, *_ = read_source(data, parser).flaws
    assert message in flaw.message
    if parser is None or message:  # where the parsers themselves stop, they differ by a few columns
        assert line in (flaw.line, ...)
        assert column in (flaw.column, ...) or parser


def test_an_unquoted_placeholder_is_told_to_be_quoted() -> None:
    for text in ("a: {{ args.x }}", "a: [{{ args.x }}]", "a: {{ args.x }}/b", "a: x\nb: {c: {{ args.x }}}"):
        (flaw,) = read_source(text).flaws
        assert "quotes" in flaw.hint


def test_many_flaws_are_found_in_one_reading() -> None:
    source = read_source("a: !x 1\na: 2\nb: &y 3\nb: 4\n")
    assert [flaw.line for flaw in source.flaws] == [1, 2, 3, 4]
    assert isinstance(source.root, Mapping)
    assert list(source.root.entries) == ["a", "b"]


def test_a_file_full_of_flaws_is_left_early() -> None:
    source = read_source("a: 1\n" * 1_000)
    assert source.root is None
    assert len(source.flaws) == 21


def test_a_byte_order_mark_at_the_start_is_passed_over() -> None:
    source = read_source(b"\xef\xbb\xbfa: 1\n")
    assert isinstance(source.root, Mapping)
    assert plain(source.root) == {"a": 1}
    assert source.root.marks["a"].column == 0


def test_keys_and_values_know_their_places() -> None:
    root = read_source("a: 1\r\nlist:\r\n  - x\r\n  - {b: é, c: 'y'}\r\n").root
    assert isinstance(root, Mapping)
    items = root.entries["list"]
    assert isinstance(items, Sequence)
    inner = items.items[1]
    assert isinstance(inner, Mapping)
    places = [root.marks["list"], items.mark, inner.mark, inner.marks["c"], inner.entries["c"].mark]
    assert [(mark.line, mark.column) for mark in places] == [(1, 0), (2, 2), (3, 4), (3, 11), (3, 14)]


def test_a_scalar_keeps_how_it_is_written() -> None:
    root = read_source("a: 010\nb: '010'\n").root
    assert isinstance(root, Mapping)
    first, second = root.entries["a"], root.entries["b"]
    assert isinstance(first, Scalar)
    assert isinstance(second, Scalar)
    assert (first.value, first.text, second.value) == (10, "010", "010")


@pytest.mark.parametrize("name", ["short.yaml", "complete.yaml", "more-tools.yaml"])
def test_both_parsers_read_the_same_values_at_the_same_places(name: str) -> None:
    data = (DATA / name).read_bytes()
    fast, slow = read_source(data), read_source(data, slow_parser())
    assert fast.root is not None
    assert slow.root is not None
    assert plain(fast.root) == plain(slow.root)
    assert places(fast.root) == places(slow.root)


def places(node: Any) -> list[tuple[int, int]]:
    inside = node.entries.values() if isinstance(node, Mapping) else node.items if isinstance(node, Sequence) else []
    own = [node.mark, *node.marks.values()] if isinstance(node, Mapping) else [node.mark]
    return [(mark.line, mark.column) for mark in own] + [place for child in inside for place in places(child)]
