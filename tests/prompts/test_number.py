"""A numeric literal keeps its text, and means what Python or JSON would mean."""

from __future__ import annotations

import pickle

import pytest

from gemmagraph.prompts.checking.number import MAX_DIGITS, Number, identity

VALUES: list[tuple[str, int | float]] = [
    ("0", 0),
    ("5", 5),
    ("-5", -5),
    ("+7", 7),
    ("0123", 123),
    ("00", 0),
    ("1_000", 1000),
    ("0x1F", 31),
    ("-0X1f", -31),
    ("0x_f", 15),
    ("0o17", 15),
    ("0b101", 5),
    ("5.0", 5.0),
    ("-2.50", -2.5),
    (".5", 0.5),
    ("5.", 5.0),
    ("01.5", 1.5),
    ("1e3", 1000.0),
    ("1E-3", 0.001),
    ("1_0.2_5e1_0", 1.025e11),
    ("1e-400", 0.0),
    ("9007199254740993", 9007199254740993),
    ("1" * MAX_DIGITS, int("1" * MAX_DIGITS)),
]


@pytest.mark.parametrize(("text", "value"), VALUES, ids=[row[0][:20] for row in VALUES])
def test_value_is_what_python_or_json_means(text: str, value: int | float) -> None:
    number = Number(text)
    assert repr(number.value()) == repr(value)
    assert number.text == text


NO_NUMBERS = [
    "",
    "-",
    ".",
    "e5",
    "1e",
    "1e+",
    "1__0",
    "_1",
    "1_",
    "0x",
    "0xg",
    "1.2.3",
    "1,5",
    " 1",
    "1\n",
    "5j",
    "٣",
    "²",
    "nan",
    "inf",
    "Infinity",
    "0b2",
    "--1",
    "1 000",
]


@pytest.mark.parametrize("text", NO_NUMBERS)
def test_what_is_no_number_raises_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):
        Number(text).value()


@pytest.mark.parametrize(
    "text",
    [
        "1e400",
        "-1e309",
        "9" * (MAX_DIGITS + 1),
        "9" * 3_000_000,
        "0x" + "f" * 4000,
        "0b" + "1" * 3_000_000,
        "1" * 400 + ".5",
        "1_" * 1_000_000 + "1",
        "1e" + "9" * 1_000_000,
    ],
    ids=lambda text: text[:8],
)
def test_number_out_of_bounds_raises_a_value_error_at_once(text: str) -> None:
    with pytest.raises(ValueError):
        Number(text).value()
    with pytest.raises(ValueError):
        Number(text).integer()


@pytest.mark.parametrize(
    ("text", "value"), [("1e3", 1000), ("5.00", 5), ("2.5e1", 25), ("1e22", 10**22), ("-0.0", 0)]
)
def test_literal_without_a_fraction_is_an_integer(text: str, value: int) -> None:
    assert repr(Number(text).integer()) == repr(value)


@pytest.mark.parametrize(
    "text", ["5.5", "1e-3", "1e-400", "0.1e0", "1e-999999999999999999999", "4.99999999999999999999"]
)
def test_literal_with_a_fraction_is_no_integer(text: str) -> None:
    with pytest.raises(ValueError):
        Number(text).integer()


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("5", 5),
        ("0123", "0123"),
        ("-01", "-01"),
        ("00", "00"),
        ("0", 0),
        ("0.5", 0.5),
        ("01.5", 1.5),
        ("0x1F", 31),
        ("1e-400", "1e-400"),
        ("5.0", 5.0),
        ("0e5", 0.0),
        ("5.00000000000000000001", "5.00000000000000000001"),
    ],
)
def test_where_no_schema_says_more_nothing_is_lost(text: str, meaning: object) -> None:
    assert repr(Number(text).natural()) == repr(meaning)


def test_numbers_are_equal_by_their_text() -> None:
    assert Number("5") == Number("5")
    assert Number("5") != Number("5.0")
    assert Number("5") != 5
    assert len({Number("5"), Number("5"), Number("05")}) == 2
    assert pickle.loads(pickle.dumps(Number("05"))) == Number("05")
    assert not hasattr(Number("5"), "__dict__")


def test_identity_tells_json_values_apart() -> None:
    values = [
        1,
        True,
        "1",
        None,
        [1],
        [True],
        ["1"],
        [],
        {},
        {"a": 1},
        {"a": True},
        ["bool", True],
        ["list"],
        "list",
        0,
        False,
    ]
    assert len({identity(value) for value in values}) == len(values)
    assert identity({"a": [1, 2.0], "b": 0}) == identity({"b": 0.0, "a": [1.0, 2]})
