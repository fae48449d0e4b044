"""The estimate of tokens beside the real vocabulary of Gemma 4, on texts that it was not fitted to.

The texts in `tests/data/tokens` were written for this test: prose in ten scripts, code, JSON, logs.
"""

from __future__ import annotations

import base64
import random
import statistics
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from test_reference import Vocabulary, reference, vocabulary  # noqa: F401 - fixtures

from gemmagraph.prompts.tokens import estimate

FILES = sorted((Path(__file__).parent.parent / "data" / "tokens").glob("*.txt"))
EMOJI = "😀😂🥳😴🤖👍🏽🙏🔥✅❌⚠️🚀🎉📦🐛💡❤️🇩🇪🇯🇵👩‍💻"
WHITE = (" ", "  ", "    ", "\t", "\n", "\n\n", "\r\n", "        ", " " * 40, "\n" * 20, "x", "end", "return", "1")


def piece(chance: random.Random, text: str) -> str:
    """40 to 600 characters of it, from anywhere."""
    length = int(40 * 15 ** chance.random())
    start = chance.randrange(max(1, len(text) - length))
    return text[start : start + length]


def made(chance: random.Random, bit: Callable[[random.Random], str], between: str = " ") -> str:
    return between.join(bit(chance) for _ in range(chance.randint(4, 60)))


MADE: Mapping[str, Callable[[random.Random], str]] = {
    "base64": lambda chance: base64.b64encode(chance.randbytes(chance.randint(30, 600))).decode(),
    "hex": lambda chance: made(chance, lambda chance: chance.randbytes(chance.choice((4, 16, 20))).hex()),
    "uuids": lambda chance: made(chance, lambda chance: str(uuid.UUID(int=chance.getrandbits(128))), "\n"),
    "numbers": lambda chance: made(chance, lambda chance: f"{chance.uniform(-9999, 9999):.{chance.randint(0, 6)}f}"),
    "emoji": lambda chance: made(chance, lambda chance: chance.choice(["ok", "done", *EMOJI]), ""),
    "white space": lambda chance: made(chance, lambda chance: chance.choice(WHITE), ""),
}


def texts() -> dict[str, list[str]]:
    """500 texts, by kind."""
    chance = random.Random("tokens")
    found = {file.stem: [piece(chance, file.read_text("utf-8")) for _ in range(30)] for file in FILES}
    left, kinds = 500 - 30 * len(FILES), len(MADE)
    for place, (kind, make) in enumerate(MADE.items()):
        found[kind] = [make(chance) for _ in range(left * (place + 1) // kinds - left * place // kinds)]
    return found


@pytest.fixture(scope="module")
def ratios(vocabulary: Vocabulary) -> dict[str, list[float]]:  # noqa: F811
    """What is estimated for each text, by what it has."""
    return {
        kind: [estimate(text) / len(vocabulary.encode(text)) for text in those] for kind, those in texts().items()
    }


def below(ratios: list[float]) -> float:
    return sum(ratio < 1 for ratio in ratios) / len(ratios)


def test_the_estimate_is_seldom_too_low_and_not_far_too_high(ratios: dict[str, list[float]]) -> None:
    for kind, those in ratios.items():
        print(f"{kind:12} median {statistics.median(those):.2f}, too low {below(those):.0%}")
    everything = [ratio for those in ratios.values() for ratio in those]
    print(f"{'all':12} median {statistics.median(everything):.2f}, too low {below(everything):.1%}")
    assert len(everything) == 500
    assert below(everything) <= 0.03
    assert statistics.median(everything) <= 1.2


def test_no_script_is_far_off(ratios: dict[str, list[float]]) -> None:
    far = {kind: those for kind, those in ratios.items() if min(those) < 0.85 or statistics.median(those) > 1.35}
    assert not far


@pytest.mark.parametrize(
    ("text", "tokens"),
    [("", 0), ("1" * 100, 100), (" " * 31, 1), ("\n" * 62, 2), ("=" * 80, 5), ("\x00\ud800\U0010ffff\u0378", 9)],
    ids=["nothing", "digits", "spaces", "lines", "a rule", "what is in no vocabulary"],
)
def test_a_text_costs_what_it_is_made_of(text: str, tokens: int) -> None:
    assert tokens <= estimate(text) <= tokens * 1.2 + 2


@pytest.mark.parametrize("text", ["x", "aB", "a1", "Ärger ", "日本", "<|", " ", "\n ", "😀", "ы"])
def test_a_long_text_costs_no_more_for_each_character(text: str) -> None:
    def seconds(times: int) -> float:
        asked = text * times
        begun = time.process_time()
        estimate(asked)
        return time.process_time() - begun

    assert min(seconds(100_000) for _ in range(3)) < 30 * min(seconds(10_000) for _ in range(3)) + 0.01
