"""Values as they are written in prompts: literals that Python, JSON and our own readers read back exactly."""

from __future__ import annotations

import ast
import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gemmagraph.prompts.notations.writing import escape_marks, json_value, python_value, quoted
from gemmagraph.prompts.turns import ALL_MARKS

VALUES: dict[str, Any] = {
    "constants": [None, True, False],
    "numbers": [0, -1, 10**40, 1.5, -0.0, 1e300, 5e-324, 1e16],
    "empty": [[], {}, "", {"": ""}],
    "quotes": ['"', "'", '"\'"', "\\", '\\"', "it's", '"""', "'''"],
    "control-characters": "".join(map(chr, range(32))) + "\x7f\x85\u2028\u2029\ufeff",
    "beyond-the-basic-plane": "\U0001f600 é 数据",
    "markup": "<b>a</b> & </script>",
    "drives": ["Q:\n", "Q:\nWhat?\n", "C:\\new", 'C:"', "C:", ":\n", "é:\t"],
    "keys": {"a b": 1, "1": 2, "a.b": {"@type": [{"$in": [1, None]}]}},
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_value_is_read_back_by_python_and_by_json(value: Any) -> None:
    assert ast.literal_eval(python_value(value)) == value
    assert json.loads(json_value(value)) == value
    assert "\n" not in python_value(value) + json_value(value)


def test_what_is_no_json_array_but_a_tuple_is_written_as_one() -> None:
    assert json_value({"a": (1, "b")}) == '{"a": [1, "b"]}'
    assert python_value({"a": (1, "b")}) == '{"a": [1, "b"]}'


def test_letters_stay_as_they_are() -> None:
    assert quoted("é 数据 <b>") == '"é 数据 <b>"'


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("C:\nwhat?\tx", '"C:\\u000awhat?\\u0009x"'),
        ("see\nC:\nwhat?", '"see\\u000aC:\\u000awhat?"'),
        ("..\tlate", '"..\\u0009late"'),
        ("..\nlate", '"..\\nlate"'),
        ("\\alpha\nbeta", '"\\\\alpha\\u000abeta"'),
        ("\b\\\f", '"\\u0008\\\\\\u000c"'),
        ("a\r\nb\\r", '"a\\u000d\\nb\\\\r"'),
        ("Q:\nWhat?", '"Q:\\nWhat?"'),
        ("notes:\nlate", '"notes:\\nlate"'),
        ("C:\\new\\temp", '"C:\\\\new\\\\temp"'),
    ],
)
def test_text_that_looks_like_a_path_or_a_pattern_is_not_taken_for_one(text: str, written: str) -> None:
    assert quoted(text) == written
    assert json.loads(written) == ast.literal_eval(written) == text


def test_half_a_character_is_escaped_so_that_the_prompt_can_be_sent() -> None:
    written = quoted("a\ud800b\udc00")
    assert written == '"a\\ud800b\\udc00"'
    assert json.loads(written) == ast.literal_eval(written) == "a\ud800b\udc00"


@pytest.mark.parametrize("mark", sorted({*ALL_MARKS, "<unused42>"}))
def test_mark_in_a_written_call_is_escaped_and_reads_back(mark: str) -> None:
    value = {mark: f"a\\{mark}\\\\{mark}\n"}
    for write, read in ((json_value, json.loads), (python_value, ast.literal_eval)):
        escaped = escape_marks(write(value))
        assert mark not in escaped
        assert read(escaped) == value


texts = st.text() | st.lists(st.sampled_from(["\\", '"', "'", "<", ">", "<eos>", "u003c", "\n"])).map("".join)
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=10,
)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(json_values)
def test_any_value_is_read_back_exactly(value: Any) -> None:
    for write, read in ((json_value, json.loads), (python_value, ast.literal_eval)):
        back = read(escape_marks(write(value)))
        assert back == value
        assert repr(back) == repr(value)


def test_numbers_that_json_does_not_have_do_not_pass_for_others() -> None:
    assert json.loads(json_value(math.inf)) == math.inf
    assert "nan" in python_value(math.nan)
