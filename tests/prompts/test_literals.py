"""Values as models write them: what each means, and the words for those that mean nothing for sure."""

from __future__ import annotations

import pytest

from gemmagraph.prompts.checking.number import Number
from gemmagraph.prompts.reading.doubt import is_doubtful
from gemmagraph.prompts.reading.literals import Cut, Literals, Unclear, Unreadable, json_value, same
from gemmagraph.prompts.reading.scan import MAX_DEPTH, Extent

KEYS = frozenset({"city", "days"})


def python_value(text: str) -> object:
    extent = Extent(KEYS)
    extent.feed(text, 0, True)
    return Literals(text, extent.strings, KEYS, python=True).value(0)[0]


@pytest.mark.parametrize(
    "text", ["0", "-0", "+7", "007", "0x1F", "1_000", ".5", "5.", "1e3", "1E-3", "9" * 50], ids=lambda text: text[:8]
)
def test_number_keeps_its_spelling(text: str) -> None:
    assert json_value(text, KEYS) == python_value(text) == Number(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("False", False),
        ("None", None),
        ("[]", []),
        ("{}", {}),
        ("()", []),
        ("('a')", "a"),
        ("('a',)", ["a"]),
        ("{'a', 'b'}", ["a", "b"]),
        ("['a',]", ["a"]),
        ("{'a': [true, {}]}", {"a": [True, {}]}),
        ("{'a': null,}", {"a": None}),
        ("['a', # first\n 'b' // second\n]", ["a", "b"]),
        ("{'city': 'a' 'days': 'b'}", {"city": "a", "days": "b"}),
        ("{'a': 'x', 'a': 'x'}", {"a": "x"}),
        ("'it's'", "it's"),
        ('"5" tall"', '5" tall'),
        ('"say "hi" now"', 'say "hi" now'),
        ("'''a\n'b' '''", "a\n'b' "),
        ("r'\\n'", "\\n"),
        ("f'{{a}}'", "{a}"),
        ("'\\x41\\u00e9\\101'", "AéA"),
        ('"\\ud83d\\ude00"', "\U0001f600"),
        ("'a\\q'", "a\\q"),
    ],
)
def test_value_is_read_alike_in_python_and_json(text: str, value: object) -> None:
    assert same(json_value(text, KEYS), value)
    assert same(python_value(text), value)


def test_escapes_in_double_quotes_are_those_of_the_notation() -> None:
    assert json_value('"a\\x41"', KEYS) == "a\\x41"
    assert python_value('"a\\x41"') == "aA"


@pytest.mark.parametrize(
    "literal", [r'"C:\Users\new\table.txt"', r'"\d+ \bfoo\b"'], ids=["path", "regular-expression"]
)
def test_backslashes_that_were_not_doubled_are_refused(literal: str) -> None:
    for python in (False, True):
        with pytest.raises(Unreadable, match="must be doubled"):
            python_value(literal) if python else json_value(literal, KEYS)


def test_texts_below_one_another_are_joined_as_python_does() -> None:
    assert python_value('("a"\n "b")') == "ab"
    for one_line in ('("a" "b")', '["x = ""\nprint(x)"]'):
        with pytest.raises(Unclear, match="side by side"):
            python_value(one_line)
    with pytest.raises(Unreadable):
        json_value('["a" "b"]', KEYS)


def test_bare_keys_are_read_as_json_only() -> None:
    assert json_value("{city: 'a'}", KEYS) == {"city": "a"}
    with pytest.raises(Unreadable, match=r"^city is not quoted"):
        python_value("{city: 'a'}")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("today()", "today(…) is a call inside a call; arguments must be plain values"),
        ("f'{city}'", "an f-string is not a plain value"),
        ("b'a'", "bytes are not a value that a tool can take; write a plain string"),
        ("'\\ud800'", "a text holds half a character (a lone surrogate)"),
        ("['a=' b']", "a quote inside the text 'a=' b' must be written as \\'"),
        ("['a' if x else 'b']", "a comma or ] is missing before if x else 'b']"),
        ("[1,,2]", ",2] is not a value"),
        ("{[1]: 2}", "a set can not hold a list or an object"),
        ("{'a': 1, [1]: 2}", "a key of an object must be a string"),
        ("{'a': 1, 'a': 1.0}", "a is given twice with different values"),
        ("{'a': 1, 'b'}", "a colon is missing after 'b'"),
        ("{'a' 'b'}", "a colon is missing after 'a'"),
        ('{"a" = "b"}', 'a colon is missing after "a"'),
        ("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), f"brackets are nested deeper than {MAX_DEPTH}"),
    ],
    ids=lambda text: text[:20],
)
def test_what_is_no_plain_value_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(Unreadable) as refusal:
        python_value(text)
    assert str(refusal.value) == reason


@pytest.mark.parametrize("text", ["Paris", "NULL", "home.city", "2026-09-18", "1+1", "1e", "1.2.3", "-x"])
def test_bare_word_is_named_in_the_reason(text: str) -> None:
    with pytest.raises(Unreadable) as refusal:
        python_value(text)
    assert str(refusal.value) in (f"{text} is not quoted", f"{text} is not a value")


@pytest.mark.parametrize("text", ["", "[1", '{"a":', '"open', "'''a''", "[[1]", "{'a': 'b'"])
def test_value_that_is_cut_is_told_from_one_that_is_wrong(text: str) -> None:
    with pytest.raises(Cut):
        python_value(text)


@pytest.mark.parametrize(
    ("body", "quote", "doubtful"),
    [
        ("it's", "'", False),
        ("the dogs' and the cats' food", "'", False),
        ('a 19" screen', '"', False),
        ('say "hi" now', '"', False),
        ('print("x")', '"', True),
        ('Paris, city="Rome', '"', True),
        ('a" b', '"', True),
        ('{"a": "b"}', '"', True),
        ("no quote", '"', False),
        ('escaped \\" only', '"', False),
    ],
)
def test_quote_inside_a_text_is_doubtful_where_it_could_end_it(body: str, quote: str, doubtful: bool) -> None:
    assert is_doubtful(body, quote, KEYS) is doubtful


def test_same_tells_kinds_apart() -> None:
    assert not any(same(left, right) for left, right in [(1, True), (1, 1.0), (Number("1"), Number("1.0")), (0, "0")])
