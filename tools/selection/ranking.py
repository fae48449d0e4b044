"""Which of many tools a request needs, by the words they share: no model is asked.

A tool is found by its name, description, examples, parameters and their allowed values: BM25 over these fields, on
stems; more so the more of its name is meant. What is said in other words is found by groups of meaning (`words.py`),
by what people's words hint at (`hints.py`), by another ending of the same word, by the two parts of a compound, and,
where a word is known in no form, by its letters, which forgives typos. What stands for a value, such as an address or
an amount, speaks for tools with such a parameter; what is quoted counts less.

The same request always gets the same tools in the same order.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from gemmagraph.prompts.messages import ToolSpec
from gemmagraph.tools.selection.hints import hints, phrase_hints
from gemmagraph.tools.selection.reading import Word, parted, values_in, words_of, words_of_name, words_of_tool
from gemmagraph.tools.selection.words import concepts, phrase_concepts, stem, word_set

_SATURATION: Final = 1.5
_LENGTH: Final = 0.5
"""The two numbers of BM25: how soon saying a word again stops counting, and how much a long text counts less."""

_SAME_MEANING: Final = 0.8
_SAME_PHRASE: Final = 0.9
_SAME_PHRASE_APART: Final = 0.7
_SAME_ROOT: Final = 0.8
_SAME_LETTERS: Final = 0.7
_VALUE: Final = 0.8
_HINT: Final = 0.7
_PHRASE_HINT: Final = 0.8
_PHRASE_HINT_APART: Final = 0.5
"""What is worth less than the word itself, and by how much."""

_IN_QUOTES: Final = 0.5
"""A quotation is seldom what is asked for, more often what to do it with."""
_WHOLE_NAME: Final = 0.5
"""How much more a tool is worth if all words of its name are meant."""
_VAGUELY: Final = 0.5
_VAGUE: Final = frozenset(
    map(
        stem,
        word_set(
            "second minute hour day week month year today tonight tomorrow yesterday morning afternoon evening night "
            "weekend now moment next last past previous people person one two three four five six ten first third"
        ),
    )
)
"""Words that say when, how many or for whom; what is asked for they seldom say."""
_NEAR: Final = 2
_FAR: Final = 5
"""So many words on, the end of a phrase is looked for: "roll the last deployment back"."""

_IN_COMPOUND: Final = 0.5
_SHORTEST_PART: Final = 3
"""A word of a tool may be made of two others, as `timezone` is; then they count, too, so much less."""

_LONGEST: Final = 4_000
"""Characters of a request that are looked at: the first half of them from its beginning, the rest from its end."""
_MOST_WORDS: Final = 120


@dataclass(frozen=True, slots=True)
class Picked:
    """A tool, and how well it fits the request; 0 for a pinned one that shares nothing with it."""

    name: str
    score: float


class Ranking:
    """The tools of one toolset, made ready once."""

    def __init__(self, specs: Iterable[ToolSpec]) -> None:
        kept = tuple(specs)
        self._names = tuple(spec.name for spec in kept)
        fields = [words_of_tool(spec) for spec in kept]
        plain = {word.plain for said in fields for _, words in said for word in words if not word.small}
        compounds = {word: parts for word in plain if (parts := _parts(word, plain))}
        found = [_counted(said, compounds) for said in fields]
        lengths = [sum(counts.values()) for counts in found]
        usual = sum(lengths) / len(lengths) if lengths else 1.0
        holders = Counter(key for counts in found for key in counts)
        rarity = {key: math.log(1 + (len(kept) - n + 0.5) / (n + 0.5)) for key, n in holders.items()}
        self._postings: dict[str, list[tuple[int, float]]] = defaultdict(list)
        for at, counts in enumerate(found):
            fullness = _SATURATION * (1 - _LENGTH + _LENGTH * lengths[at] / usual)
            for key, count in counts.items():
                self._postings[key].append((at, rarity[key] * count / (count + fullness)))
        self._postings.default_factory = None
        named = [[word.stem for word in words_of_name(name) if not word.small] for name in self._names]
        self._name_lengths = [len(stems) for stems in named]
        self._in_names: dict[str, list[tuple[int, int]]] = {}
        for at, stems in enumerate(named):
            for number, part in enumerate(stems):
                for key in {part, *concepts(part)}:
                    self._in_names.setdefault(key, []).append((at, 1 << number))

    def best(self, text: str, k: int, pinned: Collection[str] = ()) -> tuple[Picked, ...]:
        """The `k` tools that fit the request best, best first, and the pinned ones, which take no place of them.

        Fewer if fewer have anything in common with it: a request that names nothing gets the pinned ones alone.
        """
        scores: dict[int, float] = defaultdict(float)
        meant: set[str] = set()
        for keys in self._meanings(text):
            meant.update(keys)
            worth: dict[int, float] = {}
            for key, share in keys.items():
                for at, weight in self._postings.get(key, ()):
                    if share * weight > worth.get(at, 0.0):
                        worth[at] = share * weight
            for at, value in worth.items():
                scores[at] += value
        for at, part in self._named(meant):
            scores[at] *= 1 + _WHOLE_NAME * part
        ranked = sorted(scores, key=lambda at: (-scores[at], at))
        kept = [at for at in ranked if self._names[at] not in pinned][: max(k, 0)]
        kept += [at for at, name in enumerate(self._names) if name in pinned]
        kept.sort(key=lambda at: (-scores.get(at, 0.0), at))
        return tuple(Picked(self._names[at], round(scores.get(at, 0.0), 4)) for at in kept)

    def _named(self, meant: Iterable[str]) -> Iterator[tuple[int, float]]:
        """The tools of whose names something is meant, and which part of the name."""
        found: dict[int, int] = defaultdict(int)
        for key in meant:
            for at, word in self._in_names.get(key, ()):
                found[at] |= word
        for at, words in found.items():
            yield at, words.bit_count() / self._name_lengths[at]

    def _meanings(self, text: str) -> Iterator[Mapping[str, float]]:
        """For each word of a request what it may stand for, and how surely."""
        if len(text) > _LONGEST:
            text = f"{text[: _LONGEST // 2]} {text[-_LONGEST // 2 :]}"
        own, quoted = parted(text)
        yield from self._said(own)
        for keys in self._said(quoted):
            yield {key: share * _IN_QUOTES for key, share in keys.items()}

    def _said(self, text: str) -> Iterator[Mapping[str, float]]:
        said = list(words_of(text))
        seen: set[str] = set()
        for at, word in enumerate(said):
            following = tuple(one.stem for one in said[at + 1 : at + 1 + _FAR])
            keys = _phrased(word.stem, following)
            joined = f"{word.plain}{said[at + 1].plain}" if following else ""
            if joined in self._postings:
                keys[joined] = 1.0
            if word.plain.isdecimal():
                keys |= dict.fromkeys(hints(word.plain), _HINT)
            elif not word.small and word.stem not in seen:
                seen.add(word.stem)
                share = _VAGUELY if word.stem in _VAGUE else 1.0
                keys = {key: share * worth for key, worth in self._known(word.stem).items()} | keys
            if keys:
                yield keys
            if len(seen) >= _MOST_WORDS:
                break
        yield from ({hint: _VALUE} for hint in values_in(text))

    def _known(self, word: str) -> dict[str, float]:
        """What a word stands for in the words of these tools."""
        keys = dict.fromkeys(hints(word), _HINT)
        keys |= dict.fromkeys(concepts(word), _SAME_MEANING)
        keys |= dict.fromkeys(self._akin(word), _SAME_ROOT)
        if word in self._postings:
            keys[word] = 1.0
        if not any(key in self._postings for key in keys):
            keys |= self._alike(word)
        return keys

    def _akin(self, word: str) -> Iterator[str]:
        """Words that begin alike and end otherwise: `translation` for `translate`."""
        for other in self._beginnings.get(word[:_ROOT], ()):
            shared = next((n for n, (a, b) in enumerate(zip(word, other, strict=False)) if a != b), None)
            shared = min(len(word), len(other)) if shared is None else shared
            if shared >= _SHARED * max(len(word), len(other)) and other != word:
                yield other

    @cached_property
    def _beginnings(self) -> Mapping[str, list[str]]:
        found: dict[str, list[str]] = {}
        for word in self._postings:
            if len(word) >= _ROOT and word.isalpha():
                found.setdefault(word[:_ROOT], []).append(word)
        return found

    def _alike(self, word: str) -> dict[str, float]:
        """Words of nearly the same letters, or one inside the other, for a word that no tool has."""
        if not _SHORTEST_TYPO <= len(word) <= _LONGEST_TYPO or not word.isalpha():
            return {}
        grams = _trigrams(word)
        shared = Counter(other for gram in grams for other in self._by_trigram.get(gram, ()))
        found: dict[str, float] = {}
        for other, count in shared.most_common(_CANDIDATES):
            likeness = 2 * count / (len(grams) + len(other) + 1)
            inside = other in word or word in other
            if inside or likeness >= _LIKENESS or _one_slip(word, other):
                found[other] = _SAME_LETTERS * max(likeness, 0.5)
        return found

    @cached_property
    def _by_trigram(self) -> Mapping[str, list[str]]:
        found: dict[str, list[str]] = {}
        for word in self._postings:
            if len(word) >= _SHORTEST_TYPO and word.isalpha():
                for gram in _trigrams(word):
                    found.setdefault(gram, []).append(word)
        return found


_ROOT: Final = 4
_SHARED: Final = 0.6
"""Two words have one root if they share their first letters: at least so many, and such a part of the longer."""
_SHORTEST_TYPO: Final = 4
_LONGEST_TYPO: Final = 60
_LIKENESS: Final = 0.55
_CANDIDATES: Final = 24


def _trigrams(word: str) -> list[str]:
    """Three letters each, the first and the last with the edge of the word."""
    padded = f"^{word}$"
    return [padded[at : at + 3] for at in range(len(word))]


def _one_slip(word: str, other: str) -> bool:
    """Whether one letter is wrong, missing or too many, or two neighbours changed places."""
    if abs(len(word) - len(other)) > 1:
        return False
    start = next((n for n, (a, b) in enumerate(zip(word, other, strict=False)) if a != b), min(len(word), len(other)))
    a, b = word[start:], other[start:]
    return a[1:] == b[1:] or a[1:] == b or a == b[1:] or (a[:2] == b[:2][::-1] and a[2:] == b[2:])


def _phrased(first: str, following: tuple[str, ...]) -> dict[str, float]:
    """What the phrases stand for that begin with the stem `first`."""
    keys = dict.fromkeys(phrase_concepts(first, following), _SAME_PHRASE_APART)
    keys |= dict.fromkeys(phrase_concepts(first, following[:_NEAR]), _SAME_PHRASE)
    for hint, as_one in phrase_hints(first, following):
        keys[hint] = max(keys.get(hint, 0.0), _PHRASE_HINT if as_one else _PHRASE_HINT_APART)
    return keys


def _counted(
    fields: Iterable[tuple[float, list[Word]]], compounds: Mapping[str, tuple[str, str]]
) -> dict[str, float]:
    """The stems and meanings of a tool's words, each with what they are worth together."""
    found: dict[str, float] = defaultdict(float)
    for weight, said in fields:
        for at, word in enumerate(said):
            following = tuple(one.stem for one in said[at + 1 : at + 1 + _NEAR])
            keys = set(phrase_concepts(word.stem, following))
            if not word.small:
                keys |= {word.stem, *concepts(word.stem)}
                for part in compounds.get(word.plain, ()):
                    found[part] += weight * _IN_COMPOUND
            for key in keys:
                found[key] += weight
    return found


def _parts(word: str, plain: Collection[str]) -> tuple[str, str] | None:
    """The stems of the two words that a word is made of."""
    for at in range(_SHORTEST_PART, len(word) - _SHORTEST_PART + 1):
        if word[:at] in plain and word[at:] in plain:
            return stem(word[:at]), stem(word[at:])
    return None
