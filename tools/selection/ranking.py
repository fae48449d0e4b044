"""Which of many tools a request needs, by the words they share: no model is asked.

A tool is found by its name, description, examples, parameters and their allowed values: BM25 over these fields, on
stems. What is said in other words is found by groups of meaning (`words.py`), by another ending of the same word,
and, where a word is known in no form, by its letters, which forgives typos and finds the parts of compounds. What
stands for a value, such as an address or an amount, speaks for tools with such a parameter.

The same request always gets the same tools in the same order.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from gemmagraph.prompts.messages import JSON, ToolSpec
from gemmagraph.tools.selection.words import STOP_WORDS, concepts, phrase_concepts, stem, word_set

_IN_NAME: Final = 3.0
_IN_EXAMPLE: Final = 2.0
_IN_DESCRIPTION: Final = 2.0
_IN_PARAMETER: Final = 1.0
_IN_VALUES: Final = 1.0
_IN_PARAMETER_DESCRIPTION: Final = 0.6
"""What a word is worth by where a tool has it."""

_SATURATION: Final = 1.5
_LENGTH: Final = 0.5
"""The two numbers of BM25: how soon saying a word again stops counting, and how much a long text counts less."""

_SAME_MEANING: Final = 0.8
_SAME_PHRASE: Final = 0.9
_SAME_PHRASE_APART: Final = 0.7
_SAME_ROOT: Final = 0.8
_SAME_LETTERS: Final = 0.7
_VALUE: Final = 0.8
"""What is worth less than the word itself, and by how much."""

_VAGUELY: Final = 0.5
_VAGUE: Final = frozenset(
    map(
        stem,
        word_set(
            "second minute hour day week month year today people person one two three four five six ten first third"
        ),
    )
)
"""Words that say when, how many or for whom; what is asked for they seldom say."""
_NEAR: Final = 2
_FAR: Final = 5
"""So many words on, the end of a phrase is looked for: "roll the last deployment back"."""

_LONGEST: Final = 4_000
"""Characters of a request that are looked at: the first half of them from its beginning, the rest from its end."""
_MOST_WORDS: Final = 120
_LONGEST_FIELD: Final = 2_000
_DEPTH: Final = 4


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
        found = [_counted(spec) for spec in kept]
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

    def best(self, text: str, k: int, pinned: Collection[str] = ()) -> tuple[Picked, ...]:
        """The `k` tools that fit the request best, best first, and the pinned ones, which take no place of them.

        Fewer if fewer have anything in common with it: a request that names nothing gets the pinned ones alone.
        """
        scores: dict[int, float] = defaultdict(float)
        for keys in self._meanings(text):
            worth: dict[int, float] = {}
            for key, share in keys.items():
                for at, weight in self._postings.get(key, ()):
                    if share * weight > worth.get(at, 0.0):
                        worth[at] = share * weight
            for at, value in worth.items():
                scores[at] += value
        ranked = sorted(scores, key=lambda at: (-scores[at], at))
        kept = [at for at in ranked if self._names[at] not in pinned][: max(k, 0)]
        kept += [at for at, name in enumerate(self._names) if name in pinned]
        kept.sort(key=lambda at: (-scores.get(at, 0.0), at))
        return tuple(Picked(self._names[at], round(scores.get(at, 0.0), 4)) for at in kept)

    def _meanings(self, text: str) -> Iterator[Mapping[str, float]]:
        """For each word of a request what it may stand for, and how surely."""
        if len(text) > _LONGEST:
            text = f"{text[: _LONGEST // 2]} {text[-_LONGEST // 2 :]}"
        said = list(_words(text))
        seen: set[str] = set()
        for at, word in enumerate(said):
            following = tuple(one.stem for one in said[at + 1 : at + 1 + _FAR])
            keys = dict.fromkeys(phrase_concepts(word.stem, following), _SAME_PHRASE_APART)
            keys |= dict.fromkeys(phrase_concepts(word.stem, following[:_NEAR]), _SAME_PHRASE)
            joined = f"{word.plain}{said[at + 1].plain}" if following else ""
            if joined in self._postings:
                keys[joined] = 1.0
            if not word.small and word.stem not in seen:
                seen.add(word.stem)
                share = _VAGUELY if word.stem in _VAGUE else 1.0
                keys = {key: share * worth for key, worth in self._known(word.stem).items()} | keys
            if keys:
                yield keys
            if len(seen) >= _MOST_WORDS:
                break
        for shape, hints in _SHAPES:
            if shape.search(text):
                yield from ({hint: _VALUE} for hint in hints)

    def _known(self, word: str) -> dict[str, float]:
        """What a word stands for in the words of these tools."""
        keys = dict.fromkeys(concepts(word), _SAME_MEANING)
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


# --- the words of a text ----------------------------------------------------------------------------------

_WORDS = re.compile(r"([\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+)|([^\W_]+(?:['’][^\W_]+)*)")
_HUMPS = re.compile(r"(?<=[a-z\d])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_ACCENTS = re.compile("[\u0300-\u036f]")


@dataclass(frozen=True, slots=True)
class _Word:
    plain: str
    stem: str
    small: bool
    """Whether it says nothing by itself."""


def _words(text: str) -> Iterator[_Word]:
    """The words of a text; of `camelCase` the parts and the whole; of writing without spaces each two letters."""
    if not text.isascii():
        text = unicodedata.normalize("NFC", _ACCENTS.sub("", unicodedata.normalize("NFKD", text)))
    for run, word in _WORDS.findall(text):
        if run:
            yield from (_Word(pair, pair, False) for pair in (run[at : at + 2] for at in range(max(1, len(run) - 1))))
            continue
        parts = _HUMPS.split(word)
        for part in (word, *parts) if len(parts) > 1 else parts:
            plain = part.lower().replace("’", "'")
            yield _Word(plain, stem(plain), plain.isdecimal() or plain.partition("'")[0] in STOP_WORDS)


_SHAPES: Final = tuple(
    (re.compile(shape), tuple(stem(word) for word in words.split()))
    for shape, words in (
        (r"https?://", "url link page"),
        (r"[\w.+-]@[\w-]{1,60}\.\w", "email mail"),
        (r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])", "ip host"),
        (r"(?<!\w)#[A-Za-z]", "channel tag"),
        (r"\w\.(?:org|com|net|io|de|dev)\b", "host domain"),
        (r"\w\.(?:pdf|docx?|xlsx?|csv|txt|md|png|jpe?g|mp[34]|zip|json|ya?ml)\b", "file"),
        (r"(?<!\w)~?/[\w.-]+", "path folder"),
        (r"[€$£¥]|\b(?:euros?|dollars?|pounds?|EUR|USD)\b", "amount currency"),
        (r"(?<!\d)\d{4}-\d\d-\d\d(?!\d)", "date"),
        (r"\+\d[\d ]{6,}", "phone number"),
        (r"\b[A-Z]{2}\d{2}[A-Z\d]{11,30}\b", "iban"),
        (r"\b[A-Z][A-Z\d]+-\d+\b", "key issue ticket"),
        (r"(?<!\w)#\d+", "number issue"),
        (r"\bv\d+\.\d|(?<![\d.])\d+\.\d+\.\d+(?![\d.])", "version revision release"),
        (r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}/\d", "cidr"),
        (r"(?i)\b(?:mon|tues|wednes|thurs|fri|satur|sun)day\b|\b\d{1,2}(?::\d\d)? ?[ap]m\b", "appointment"),
        (r"\d *[+*×÷^] *\d|\d +[-/] +\d|\d *% +of\b|\d (?:plus|minus|times|divided)\b", "arithmetic expression"),
        (r"\w\([^()]{0,200}\[\d+[smhdw]\]", "promql expression"),
        (r"(?i)\bselect\b.{1,200}?\bfrom\b", "sql statement"),
        (r"(?<!\w)\^\S|\S\$(?!\S)|\.\*|\[\w-\w\]|\\[dws]", "regular expression pattern regex"),
    )
)
"""What a value looks like, and the words of parameters that take such."""


# --- the words of a tool ----------------------------------------------------------------------------------


def _counted(spec: ToolSpec) -> dict[str, float]:
    """The stems and meanings of a tool's words, each with what they are worth together."""
    found: dict[str, float] = defaultdict(float)
    for weight, text in _fields(spec):
        said = list(_words(text[:_LONGEST_FIELD]))
        for at, word in enumerate(said):
            following = tuple(one.stem for one in said[at + 1 : at + 1 + _NEAR])
            keys = set(phrase_concepts(word.stem, following))
            if not word.small:
                keys |= {word.stem, *concepts(word.stem)}
            for key in keys:
                found[key] += weight
    return found


def _fields(spec: ToolSpec) -> Iterator[tuple[float, str]]:
    yield _IN_NAME, spec.name
    yield _IN_DESCRIPTION, spec.description
    for example in spec.examples:
        yield _IN_EXAMPLE, str(example.get("user", ""))
    yield from _schema_fields(spec.parameters, _DEPTH)


def _schema_fields(schema: JSON, depth: int) -> Iterator[tuple[float, str]]:
    """The names of properties, what is said of them, and the values they allow."""
    if not isinstance(schema, Mapping) or depth == 0:
        return
    allowed = schema.get("enum")
    if isinstance(allowed, list):
        yield _IN_VALUES, " ".join(value for value in allowed[:100] if isinstance(value, str))
    properties = schema.get("properties")
    for name, inner in properties.items() if isinstance(properties, Mapping) else ():
        yield _IN_PARAMETER, str(name)
        if isinstance(inner, Mapping):
            yield _IN_PARAMETER_DESCRIPTION, str(inner.get("description", ""))
        yield from _schema_fields(inner, depth - 1)
    for key in ("items", "anyOf", "oneOf", "allOf"):
        inner = schema.get(key)
        for one in inner if isinstance(inner, list) else (inner,):
            yield from _schema_fields(one, depth - 1)
