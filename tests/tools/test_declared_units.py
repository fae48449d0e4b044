"""Durations, sizes and rates as people write them."""

from __future__ import annotations

from typing import Any

import pytest

from gemmagraph.tools.declared.units import Rate, rate, seconds, size

DURATIONS: dict[Any, float] = {
    "500ms": 0.5,
    "10s": 10,
    "2m": 120,
    "1h": 3600,
    "1d": 86400,
    "1.5h": 5400,
    "0.5s": 0.5,
    90: 90,
    0.25: 0.25,
}
SIZES: dict[Any, int] = {
    2000: 2000,
    "2000": 2000,
    "20k": 20_000,
    "20K": 20_000,
    "20kB": 20_000,
    "1.5M": 1_500_000,
    "1KiB": 1024,
    "1Ki": 1024,
    "1MiB": 1024**2,
    "2G": 2 * 10**9,
    "2GiB": 2 * 1024**3,
    "0.001k": 1,
    "100B": 100,
    3.0: 3,
}
RATES = {
    "30/min": Rate(30, 60),
    "200k/day": Rate(200_000, 86400),
    "1/s": Rate(1, 1),
    "5/h": Rate(5, 3600),
    "1.5k/hour": Rate(1500, 3600),
}


@pytest.mark.parametrize("text", DURATIONS)
def test_a_duration_is_read_as_seconds(text: Any) -> None:
    assert seconds(text) == DURATIONS[text]


@pytest.mark.parametrize("text", SIZES)
def test_a_size_is_read_as_a_whole_number(text: Any) -> None:
    assert size(text) == SIZES[text]
    assert type(size(text)) is int


@pytest.mark.parametrize("text", RATES)
def test_a_rate_is_read_as_how_many_within_how_long(text: str) -> None:
    assert rate(text) == RATES[text]


WRONG = [
    "",
    "10",
    "10 s",
    "ten seconds",
    "0s",
    "0.0h",
    "-1s",
    "1h30m",
    "10S",
    "s",
    "1e3s",
    "10s\n",
    "١s",
    "9" * 50 + "s",
]


@pytest.mark.parametrize("value", [*WRONG, 0, -1, True, float("inf"), float("nan"), None])
def test_what_is_no_duration_is_refused_with_what_would_be(value: Any) -> None:
    with pytest.raises(ValueError, match="10s, 2m, 1h"):
        seconds(value)


@pytest.mark.parametrize(
    "value", ["", "k", "0", "0k", "-5", "1.5", "1 MiB", "1mib", "1T", "1e3", "1.0001k", 0, -1, 1.5, True, None]
)
def test_what_is_no_size_is_refused_with_what_would_be(value: Any) -> None:
    with pytest.raises(ValueError, match="20k, 1MiB"):
        size(value)


@pytest.mark.parametrize("text", ["30", "30/", "/min", "0/min", "30 / min", "30/minute", "30/2min", "1.5/min"])
def test_what_is_no_rate_is_refused_with_what_would_be(text: str) -> None:
    with pytest.raises(ValueError, match="30/min"):
        rate(text)
