"""`result:` of a tool: a part selected, written as a table or by a template, and cut, kept or refused."""

import collections
import json
import random
import re
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from gemmagraph.tools import ToolDefinitionError, ToolError
from gemmagraph.tools.results import MOST_CHARS
from gemmagraph.tools.secrets import mask_json, remember
from gemmagraph.tools.shaping.shape import Shape
from gemmagraph.tools.shaping.spill import Owner, Spill

MOST = 400
ISSUE = {"number": 12, "html_url": "https://x.example/12", "labels": [{"name": "bug"}], "closed": None}
ORDERS = [{"id": 1, "status": "open"}, {"id": 2, "status": None, "note": "a|b\nc"}, {"id": 3, "items": [1, {"a": 2}]}]

# id: (keys, raw result, what the model gets)
SHAPED: dict[str, tuple[dict[str, Any], Any, Any]] = {
    "nothing-said": ({}, ISSUE, ISSUE),
    "select-field": ({"select": "number"}, ISSUE, 12),
    "select-object": (
        {"select": "{number: number, url: html_url}"},
        ISSUE,
        {"number": 12, "url": "https://x.example/12"},
    ),
    "select-list": ({"select": "labels[].name"}, ISSUE, ["bug"]),
    "select-empty-list": ({"select": "labels[?name == 'x']"}, ISSUE, []),
    "select-with-function": ({"select": "length(labels)"}, ISSUE, 1),
    "select-in-text-that-is-json": ({"select": "number"}, json.dumps(ISSUE), 12),
    "select-and-template": (
        {"select": "{number: number, url: html_url}", "template": "Created #{{ result.number }}: {{ result.url }}"},
        ISSUE,
        "Created #12: https://x.example/12",
    ),
    "template-of-list": ({"template": "{{ result[0].id }} and {{ result[2].items }}"}, ORDERS, '1 and [1,{"a":2}]'),
    "template-of-text": ({"template": "It said: {{ result.text }}"}, "hello", "It said: hello"),
    "template-of-null": ({"template": "closed: {{ result.closed }}"}, ISSUE, "closed: null"),
    "template-is-not-read-again": ({"template": "{{ result.text }}"}, "{{ result.text }}", "{{ result.text }}"),
    "json-of-text": ({"format": "json"}, '{"a": 1}', {"a": 1}),
    "json-of-other-text": ({"format": "json"}, "{no json", "{no json"),
    "json-stays-text-unasked": ({}, '{"a": 1}', '{"a": 1}'),
    "text": ({"format": "text"}, {"a": {"b": [1, 2]}, "c": True}, "a:\n  b:\n    - 1\n    - 2\nc: yes"),
    "text-of-text": ({"format": "text"}, "as it is", "as it is"),
    "table": (
        {"format": "table"},
        ORDERS,
        'id | status | note | items\n1 | open |  | \n2 | null | a\\|b\\nc | \n3 |  |  | [1, {"a": 2}]',
    ),
    "table-of-selection": ({"select": "[].{id: id}", "format": "table"}, ORDERS, "id\n1\n2\n3"),
    "table-of-lists": ({"format": "table"}, [["a", 1], ["b", None, 2]], "a | 1\nb | null | 2"),
    "table-of-scalars": ({"format": "table"}, ["a", 1], "a\n1"),
    "table-of-mixed-rows": ({"format": "table"}, [{"a": 1}, [2, 3], 4], "a\n1\n2 | 3\n4"),
    "table-of-no-rows": ({"format": "table"}, [], "(no rows)"),
    "table-of-object": ({"format": "table"}, {"a": 1, "b": "x"}, "a | 1\nb | x"),
    "table-inside-of-object": (
        {"format": "table"},
        {"rows": [{"a": 1}, {"a": 2}], "truncated": True},
        "a\n1\n2\ntruncated: yes",
    ),
    "table-of-text-with-json": ({"format": "table"}, '[{"a": 1}]', "a\n1"),
    "table-of-text": ({"format": "table"}, "plain", "plain"),
}


@pytest.mark.parametrize(("keys", "value", "content"), SHAPED.values(), ids=SHAPED)
def test_result_gets_its_shape(keys: dict[str, Any], value: Any, content: Any) -> None:
    assert Shape.of(keys).apply(value) == content


# id: (keys, raw result, what the note says)
UNFIT: dict[str, tuple[dict[str, Any], Any, str]] = {
    "nothing-there": ({"select": "a.b"}, {"error": "no such"}, "nothing at 'a.b'. It has the keys error."),
    "no-object": ({"select": "a"}, [1, 2], "nothing at 'a'. It is a list of 2."),
    "text": ({"select": "a"}, "plain", "nothing at 'a'. It is no object."),
    "wrong-type": ({"select": "length(number)"}, ISSUE, "length(number)"),
    "wrong-number-of-arguments": ({"select": "length(a, b)"}, ISSUE, "length(a, b)"),
    "template-names-what-is-missing": (
        {"template": "{{ result.number }} by {{ result.user.name }}"},
        ISSUE,
        "no result.user.name.]\n{",
    ),
    "too-much-to-select-from": ({"select": "[0]"}, ["x" * 100] * 30_000, "30,000 items, too much to select from"),
}


@pytest.mark.parametrize(("keys", "value", "note"), UNFIT.values(), ids=UNFIT)
def test_result_that_does_not_fit_its_shape_is_a_note(keys: dict[str, Any], value: Any, note: str) -> None:
    content = Shape.of(keys).apply(value)

    assert content.startswith("[")
    assert note in content


def test_what_select_leaves_out_is_not_shown_when_it_finds_nothing() -> None:
    assert "hunter2" not in Shape(select="name").apply({"password": "hunter2"})


# id: (keys, the key that is wrong, what is said of it)
WRONG: dict[str, tuple[dict[str, Any], list[str], str]] = {
    "unknown-key": ({"selekt": "a"}, ["selekt"], "is no key"),
    "bad-select": ({"select": "a["}, ["select"], "no JMESPath"),
    "empty-select": ({"select": ""}, ["select"], "no JMESPath"),
    "unknown-function": ({"select": "items[].lenght(@)"}, ["select"], "calls lenght()"),
    "select-no-text": ({"select": 3}, ["select"], "no text"),
    "unknown-root": ({"template": "{{ args.x }}"}, ["template"], "names 'args'"),
    "unclosed": ({"template": "{{ result.x"}, ["template"], "not closed"),
    "format": ({"format": "xml"}, ["format"], "'xml' is none of table, json, text"),
    "keep": ({"keep": "middle"}, ["keep"], "none of head, tail"),
    "on-overflow": ({"on_overflow": "drop"}, ["on_overflow"], "none of truncate, spill, error"),
    "few-characters": ({"max_chars": 10}, ["max_chars"], "from 200 to"),
    "many-characters": ({"max_chars": 10**9}, ["max_chars"], "from 200 to"),
    "no-number": ({"max_chars": True}, ["max_chars"], "True"),
    "two-ways-to-write": ({"template": "x", "format": "table"}, ["format"], "beside template"),
    "all-at-once": (
        {"select": "a[", "template": "{{ x }}", "keep": "no", "max_chars": 0},
        ["keep", "max_chars", "select", "template"],
        "max_chars",
    ),
}


@pytest.mark.parametrize(("keys", "wrong", "said"), WRONG.values(), ids=WRONG)
def test_faults_are_told_by_their_keys(keys: dict[str, Any], wrong: list[str], said: str) -> None:
    with pytest.raises(ToolDefinitionError) as caught:
        Shape.of(keys)

    assert sorted(fault.key for fault in caught.value.faults) == [("result", key) for key in wrong]
    assert said in str(caught.value)


# --- too long ---------------------------------------------------------------------------------------------

LOG = "\n".join(f"{number:04} something happened" for number in range(1_000))
ROWS = [{"id": number, "name": f"name {number}"} for number in range(1_000)]


def test_tail_keeps_the_end_from_the_beginning_of_a_line() -> None:
    content = Shape(keep="tail", max_chars=MOST).apply(LOG)

    assert len(content) <= MOST
    note, *lines = content.splitlines()
    assert note == f"[Cut. The whole has {len(LOG):,} characters; this is the end.]"
    assert lines == LOG.splitlines()[-len(lines) :]
    assert len(lines) > 10


def test_head_ends_with_a_whole_line() -> None:
    *lines, note = Shape(max_chars=MOST).apply(LOG).splitlines()

    assert note.endswith("this is the beginning.]")
    assert lines == LOG.splitlines()[: len(lines)]


# id: (value, how the tail ends)
TAILS: dict[str, tuple[Any, str]] = {
    "bytes": (b"x" * 5_000 + "ß end".encode(), "ß end"),
    "bytes-cut-inside-a-character": ("€".encode() * 9_000, "€€€"),
    "list": (list(range(5_000)), "4998, 4999]"),
    "range": (range(5_000), "4998, 4999]"),
    "deque": (collections.deque(range(5_000)), "4998, 4999]"),
    "object": ({str(number): number for number in range(1_000)}, '"999": 999}'),
}


@pytest.mark.parametrize(("value", "end"), TAILS.values(), ids=TAILS)
def test_tail_of_anything_is_its_end(value: Any, end: str) -> None:
    content = Shape(keep="tail", max_chars=MOST).apply(value)

    assert len(content) <= MOST
    assert content.endswith(end)
    assert content.startswith("[Cut. The whole has")


@pytest.mark.parametrize("keep", ["head", "tail"])
def test_table_is_cut_between_rows_and_keeps_its_header(keep: Any) -> None:
    content = Shape(format="table", keep=keep, max_chars=MOST).apply(ROWS)

    assert len(content) <= MOST
    header, *lines = content.splitlines()
    note = lines.pop(-1 if keep == "head" else 0)
    assert header == "id | name"
    assert note == f"[Cut. The whole has 1,000 rows; these are the {'first' if keep == 'head' else 'last'} of them.]"
    rows = [f"{number} | name {number}" for number in range(1_000)]
    assert lines == (rows[: len(lines)] if keep == "head" else rows[-len(lines) :])
    assert len(lines) > 10


def test_what_stands_beside_the_rows_is_still_said_when_they_are_cut() -> None:
    for keep in ("head", "tail"):
        content = Shape(format="table", keep=keep, max_chars=MOST).apply({"rows": ROWS, "truncated": True})
        assert "truncated: yes" in content
        assert len(content) <= MOST


def test_header_wider_than_the_ceiling_is_cut_too() -> None:
    wide = [{f"column number {number}": number for number in range(500)}]
    content = Shape(format="table", max_chars=MOST).apply(wide)

    assert len(content) <= MOST
    assert content.startswith("column number 0 | ")


@pytest.mark.parametrize(
    "keys", [{}, {"format": "table"}, {"select": "[]"}, {"template": "{{ result[0].name }}" * 99}]
)
def test_too_long_can_be_an_error(keys: dict[str, Any]) -> None:
    shape = Shape.of({**keys, "on_overflow": "error", "max_chars": MOST})

    with pytest.raises(ToolError, match=r"(characters|items); at most 400 characters can be shown\. Ask for less"):
        shape.apply(ROWS)
    assert shape.apply([{"name": "x"}]) is not None


@pytest.mark.parametrize("keys", [{}, {"format": "table"}, {"format": "text"}, {"select": "[].name"}])
def test_too_long_can_be_kept_for_reading_on(keys: dict[str, Any]) -> None:
    owner, store = Owner("ann", "t"), Spill()
    shape = Shape.of({**keys, "on_overflow": "spill", "max_chars": MOST})
    content = shape.apply(ROWS, owner=owner, store=store)

    assert shape.spills
    assert len(content) <= MOST
    handle = content.rpartition('handle="')[2][:16]
    assert "name 5" in store.page(handle, 1, owner)
    assert shape.apply([{"name": "x"}], owner=owner, store=store) is not None


def test_more_than_can_be_kept_says_so() -> None:
    content = Shape(on_overflow="spill", max_chars=MOST).apply("x" * 3_000_000, store=Spill())
    assert "The whole has 3,000,000 characters; the first" in content


@pytest.mark.parametrize("keep", ["head", "tail"])
@pytest.mark.parametrize("shift", range(0, 80, 7))
def test_no_part_of_a_secret_stays_at_the_cut(keep: Any, shift: int) -> None:
    secret = "tr0ub4dor-and-3-words"
    remember("shaped", secret)
    text = "." * (MOST - 100 + shift) + secret + "." * (MOST - 100 + 80 - shift)
    content = Shape(keep=keep, max_chars=MOST).apply(text)
    assert not any(secret[start : start + 4] in content for start in range(len(secret) - 3))


def huge_text() -> Any:
    return "x" * 200_000_000


def huge_bytes() -> Any:
    return b"x" * 100_000_000


def huge_rows() -> Any:
    return [{"a": 1, "b": "xyz"}] * 5_000_000


TAIL = {"keep": "tail"}


@pytest.mark.parametrize("keep", ["head", "tail"])
def test_no_part_of_a_secret_stays_where_a_text_inside_of_a_result_is_cut(keep: Any) -> None:
    secret = "t0rn-insid3-of-a-value-of-many-characters"
    remember("inside", secret)
    store = Spill()
    shape = Shape(max_chars=MOST_CHARS, on_overflow="spill", keep=keep)
    for shift in (8, 20, 35):
        value = {"a": "." * (MOST_CHARS - shift) + secret + "." * 100}
        (handle,) = re.findall('handle="([0-9a-f]+)"', str(shape.apply(value, store=store)))
        pages = store.page(handle, 1, Owner()) + store.page(handle, 2, Owner())
        assert pages.count(".") > MOST_CHARS - 100
        assert not any(secret[start : start + 8] in pages for start in range(len(secret) - 7))


def test_the_end_of_a_secret_longer_than_all_that_is_kept_is_not_kept() -> None:
    secret = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=20_000))
    remember("key file", secret)
    for value in (secret + "!", (secret + "!").encode(), {"a": secret + "!"}, [secret + "!"], [secret, "!"]):
        shown = str(mask_json(Shape(keep="tail", max_chars=400).apply(value)))
        assert not any(secret[start : start + 8] in shown for start in range(len(secret) - 7))


@pytest.mark.parametrize(
    "secret", ["pipe|in|a|secret", "two\nlines-of-it", "tab\tulated-value"], ids=["|", "line", "tab"]
)
def test_a_secret_in_a_table_is_masked_before_its_cell_is_written(secret: str) -> None:
    remember("cell", secret)
    assert Shape(format="table").apply([{"a": secret, "b": 1}]) == "a | b\n[secret cell] | 1"


@pytest.mark.parametrize(
    "keys", [{}, TAIL, {"format": "table"}, {"format": "table", **TAIL}, {"format": "text", **TAIL}], ids=str
)
@pytest.mark.parametrize("make", [huge_text, huge_bytes, huge_rows])
def test_little_of_a_huge_result_is_looked_at(make: Callable[[], Any], keys: dict[str, Any]) -> None:
    value = make()
    shape = Shape.of({**keys, "max_chars": 2_000})
    tracemalloc.start()
    try:
        content = shape.apply(value)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert len(content) <= 2_000
    assert "[Cut." in content
    assert peak < 20_000_000


@pytest.mark.parametrize("format_", ["table", "json", "text"])
def test_tail_of_a_text_too_large_to_read_is_its_end(format_: Any) -> None:
    content = Shape(format=format_, keep="tail", max_chars=MOST).apply("x" * 3_000_000 + "end")

    assert content.endswith("xend")
    assert "3,000,003 characters; this is the end" in content


def test_shapes_with_the_same_keys_are_equal() -> None:
    assert Shape(select="a", max_chars=500) == Shape.of({"select": "a", "max_chars": 500})
    assert Shape(select="a") != Shape(select="b")


def test_jmespath_is_loaded_only_for_a_selection() -> None:
    code = (
        "import sys; from gemmagraph.tools.shaping.shape import Shape; Shape(format='table').apply([1]); "
        "assert 'jmespath' not in sys.modules; Shape(select='a'); assert 'jmespath' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
