from __future__ import annotations

import base64
import json
import random
import re
import tracemalloc
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemmagraph.tools import secrets
from gemmagraph.tools.secrets import (
    Masker,
    Secret,
    SecretMissing,
    Secrets,
    ShortSecret,
    Shown,
    beginning,
    ending,
    mask,
    mask_json,
    remember,
)

VALUE = 's3cr/et+väl"ue?'


WRITTEN = {
    "plain": str,
    "json": json.dumps,
    "json-unicode": lambda value: json.dumps(value, ensure_ascii=False),
    "url": lambda value: quote(value, safe=""),
    "url-lower": lambda value: re.sub("%..", lambda found: found[0].lower(), quote(value, safe="")),
    "url-path": quote,
    "form": quote_plus,
    "base64": lambda value: base64.b64encode(value.encode()).decode(),
    "base64-url": lambda value: base64.urlsafe_b64encode(value.encode()).decode(),
    "base64-offset-1": lambda value: base64.b64encode(b"u" + value.encode() + b"x").decode(),
    "base64-offset-2": lambda value: base64.b64encode(b"us:" + value.encode() + b"xy").decode(),
    "basic-auth": lambda value: base64.b64encode(f"user:{value}".encode()).decode(),
}


@pytest.mark.parametrize("written", WRITTEN.values(), ids=WRITTEN)
def test_a_secret_is_masked_however_it_is_written(written) -> None:
    remember("key", VALUE)
    text = f"before {written(VALUE)} behind"
    masked = mask(text)
    assert "[secret key]" in masked
    assert masked.startswith("before ")
    assert masked.endswith(" behind")
    assert longest_common(written(VALUE), masked) < 8  # "user:" in base64 has seven


def longest_common(one: str, other: str) -> int:
    """Characters of the longest piece of `one` that stands in `other`."""
    return max(
        end - start for start in range(len(one)) for end in range(start, len(one) + 1) if one[start:end] in other
    )


def test_short_values_are_left_alone_and_warned_of_once_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIN", "1234567")
    pin = Secret("pin", env="PIN")
    with pytest.warns(ShortSecret) as told:
        pin.reveal()
    assert [str(one.message) for one in told] == [
        "The secret 'pin' has fewer than 8 characters: it is not masked where it turns up."
    ]
    pin.reveal()  # a second warning would be an error here
    assert mask("call 1234567") == "call 1234567"


PIECE = re.compile("|".join(re.escape(("T0k3n-" * 7)[start : start + 8]) for start in range(6)))


@pytest.mark.parametrize("place", range(60))
def test_no_piece_of_a_secret_is_left_where_a_text_is_cut(place: int) -> None:
    value = ("T0k3n-" * 7)[:40]
    remember("torn", value)
    text = f"{'a' * (70 - place)}{value}{'b' * (30 + place)}"
    assert PIECE.search(text)
    assert not PIECE.search(beginning(text, 70))
    assert not PIECE.search(ending(text, 70))
    assert beginning(text, 70).startswith("a" * min(70 - place, 30))
    assert ending(text, 70).endswith("b" * 30)


def test_an_end_that_is_nothing_but_secrets_is_masked_all_the_same() -> None:
    value = "Wh0le-value-of-40-characters-and-no-less"
    remember("s", value)
    assert set(ending(value * 500, 4_001).split("[secret s]")) <= {"", "cret s]"}


def test_long_secrets_cost_no_memory_for_each_of_their_beginnings() -> None:
    value = "".join(random.Random(7).choices("abcdefghijklmnop\n", k=4_000))
    tracemalloc.start()
    try:
        remember("long", value)
        assert tracemalloc.get_traced_memory()[0] < 2_000_000
    finally:
        tracemalloc.stop()
    masker = Masker()
    shown = "".join(masker.feed(char) for char in f"before {value} behind") + masker.close()
    assert shown == "before [secret long] behind"


def test_json_values_are_masked_in_texts_and_keys_and_the_rest_is_kept() -> None:
    value = {"a": [1, None, {VALUE: f"x{VALUE}"}], "b": True}
    assert mask_json(value) is value
    remember("key", VALUE)
    assert mask_json(value) == {"a": [1, None, {"[secret key]": "x[secret key]"}], "b": True}


def test_a_secret_comes_from_the_environment_or_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("THE_KEY", "from-environment")
    (tmp_path / "key").write_text("from-a-file\n")
    known = Secrets({"a": Secret("a", env="THE_KEY"), "b": Secret("b", file=str(tmp_path / "key"))})
    assert (known["a"], known["b"]) == ("from-environment", "from-a-file")
    assert "from-" not in repr(known) + repr(known.declared)
    assert mask("from-environment from-a-file") == "[secret a] [secret b]"
    assert dict(Shown(known)) == {"a": "[secret a]", "b": "[secret b]"}


@pytest.mark.parametrize(
    ("secret", "why"),
    [
        (Secret("key", env="NOT_SET_ANYWHERE"), "the variable NOT_SET_ANYWHERE is not set"),
        (Secret("key", file="/not/there"), "the file /not/there cannot be read"),
    ],
)
def test_a_missing_secret_says_what_to_set(secret: Secret, why: str) -> None:
    assert secret.missing == why
    with pytest.raises(SecretMissing, match="'key' has no value: " + why):
        secret.reveal()


@given(st.data())
def test_a_stream_shows_no_secret_however_it_is_cut(data: st.DataObject) -> None:
    values = ["abcabcab", "cabcabx9", "abcabcabcd", "bbbbbbbbb"]
    known = secrets._Known()
    for number, value in enumerate(values):
        known.add(f"k{number}", value)
    before, secrets._known = secrets._known, known
    try:
        text = "".join(data.draw(st.lists(st.sampled_from([*values, "abc", "b", "x9", "d", " "]), max_size=12)))
        cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
        masker = Masker()
        pieces = [masker.feed(text[a:b]) for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        shown = "".join(pieces) + masker.close()
        for value in values:
            assert value not in shown
        if not any(value in text for value in values):
            assert shown == text
    finally:
        secrets._known = before


def test_a_stream_is_held_back_only_where_a_secret_may_begin() -> None:
    remember("key", "sesame-open")
    masker = Masker()
    assert masker.feed("say se") == "say "
    assert masker.feed("ven; ses") == "seven; "
    assert masker.feed("ame-open!") == "[secret key]!"
    assert masker.close() == ""


def test_two_hundred_secrets_leave_ordinary_text_alone() -> None:
    dice = random.Random(7)
    for number in range(200):
        remember(f"k{number}", "".join(dice.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=40)))
    masker = Masker()
    text = "The quick brown fox jumps over the lazy dog. " * 20
    assert "".join(masker.feed(text[at : at + 4]) for at in range(0, len(text), 4)) + masker.close() == text
