"""Where a bracketed body ends, while it is still arriving."""

from __future__ import annotations

import pytest

from gemmagraph.prompts.reading.scan import MAX_DEPTH, Extent, State, turn_end_at

KEYS = frozenset({"city", "days"})


def end_of(text: str, size: int) -> tuple[State, int, dict[int, int]]:
    """How the body that begins `text` ends, where, and where its strings are, fed `size` characters at a time."""
    extent = Extent(KEYS)
    held, begun = "", 0
    for start in range(0, len(text), size):
        held += text[start : start + size]
        state, after = extent.feed(held, 0, start + size >= len(text))
        if state != "open":
            return state, begun + after, extent.strings
        held, begun = held[after:], begun + after
    return "open", begun, extent.strings


BODIES = {
    "call": ('(a=1, b=[2, {"c": 3}]) rest', 22),
    "bracket-in-a-text": ('(a=")", b="]") rest', 14),
    "escaped-quote": ('("a\\")") rest', 8),
    "apostrophe": ("(a='it's (not) over', days=1) rest", 29),
    "quote-inside": ('(a="say "(hi)" now") rest', 20),
    "inch": ('(a="5" tall)", b=1) rest', 19),
    "missing-quote-before-a-key": ("(city='a, days=1) rest", None),
    "comment": ("(a=1, # :-)\n b=2) rest", 17),
    "two-slashes-in-an-address": ("(a='http://x') rest", 14),
    "triple-quotes": ('("""a")"b""") rest', 13),
    "wrong-closer": ("([1) rest", 4),
    "stray-closer": ("(1]) rest", 4),
    "open-text": ("(a='b) rest", None),
    "open-bracket": ("(a=[1, 2) rest", 9),
    "bare-apostrophe": ("(a=it's) rest", 8),
    "raw-text": ("(r'\\', b=1) rest", None),
}


@pytest.mark.parametrize(("text", "end"), BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_body_ends_with_its_own_bracket(text: str, end: int | None, size: int) -> None:
    state, after, _ = end_of(text, size)
    assert (state, after if end else None) == ("closed" if end else "open", end)


@pytest.mark.parametrize("size", [1, 2, 5, 100])
def test_strings_are_measured_wherever_the_text_is_cut(size: int) -> None:
    text = """("a", 'b\\'c', \"\"\"d"e\"\"\", [''], it's)"""
    strings = end_of(text, size)[2]
    assert [text[start:end] for start, end in strings.items()] == ['"a"', "'b\\'c'", '"""d"e"""', "''"]


@pytest.mark.parametrize("size", [1, 4, 100])
@pytest.mark.parametrize("mark", ["<end_of_turn>", "<turn|>", "<eos>", "<start_of_turn>", "<|turn>"])
@pytest.mark.parametrize("before", ["(a=1", "(a='b", '(a="""b', "(a=1 # c", "('a\\"])
def test_end_of_the_turn_ends_the_body_wherever_it_stands(before: str, mark: str, size: int) -> None:
    assert end_of(f"{before}{mark}') rest", size)[:2] == ("turn_end", len(before))


@pytest.mark.parametrize("size", [1, 100])
def test_what_only_begins_like_the_end_of_a_turn_does_not_end_the_body(size: int) -> None:
    assert end_of("(a='<end_of_tur', b='<eo') rest", size)[:2] == ("closed", 26)


def test_what_nobody_would_nest_this_deep_never_closes() -> None:
    depth = 2 * MAX_DEPTH + 1
    assert end_of("(" * depth + ")" * depth, 1000)[0] == "open"


@pytest.mark.parametrize(
    ("text", "final", "ends"),
    [("<eos>", False, True), ("<eo", False, None), ("<eo", True, False), ("<b>", False, False), ("<", False, None)],
)
def test_end_of_a_turn_is_waited_for_as_long_as_it_may_come(text: str, final: bool, ends: bool | None) -> None:
    assert turn_end_at(text, 0, final) is ends
