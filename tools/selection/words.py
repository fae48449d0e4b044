"""Words: stems, small words, and which words mean much the same. What finds a tool by words looks here.

Nothing here knows a tool.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache


def word_set(text: str) -> frozenset[str]:
    return frozenset(text.split())


STOP_WORDS = word_set(
    """
    a about above after again all already also am an and another any anybody anyone anything are as at
    be been being below between both but by can cannot could currently did do does doing done each
    either else ever every everything exist exists few for from get gets getting give got had has have
    having he hello her here hey hi him his how i if in into is it its just kindly know let lets like
    list look looking made make makes many may me might mine more most much must my named need needs no
    nor not now of off ok okay on one ones only onto or our out over own per please present quick
    quickly really right same see shall she should show so some somebody someone something still such
    tell than thank thanks that the their them then there these they thing things this those through to
    today too under until up upon us very want wants was we were what whatever when where whether which
    while who whom whose why will with within without would yes yet you your called titled s t m d re ve
    ll whats wheres whos hows im id ive
    """
)

_WHOLE = word_set("latest interest request number")
"""Words whose end only looks like an ending."""


@lru_cache(maxsize=20_000)
def stem(word: str) -> str:
    """The word without its usual endings; not always a word, but the same for its forms."""
    word = word.lower().replace("’", "'").removesuffix("'s").replace("'", "")
    if not word.isalpha() or len(word) < 4:
        return word
    word = _singular(word)
    for endings in (("ing", "ed"), ("est", "er", "ly", "able")):
        for ending in endings if word.endswith(endings) else ():
            if word.endswith(ending) and len(word) - len(ending) >= 3 and word not in _WHOLE:
                word = word.removesuffix(ending)
                break
    doubled = len(word) > 4 and word[-1] == word[-2] and word[-1] not in "ls"
    if doubled or (len(word) > 3 and word.endswith("e")):
        word = word[:-1]
    return word[:-1] + "i" if len(word) > 2 and word.endswith("y") else word


def _singular(word: str) -> str:
    if word.endswith("ies"):
        return word[:-3] + "y"
    if word.endswith(("sses", "shes", "ches", "xes")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is")) else word


@cache
def _concepts() -> tuple[Mapping[str, tuple[str, ...]], Mapping[str, tuple[tuple[str, str], ...]]]:
    """The groups of each word; for each word that begins a phrase, its second word and the group."""
    from gemmagraph.tools.selection.meanings import GROUPS

    single: dict[str, dict[str, None]] = {}
    phrases: dict[str, dict[tuple[str, str], None]] = {}
    for number, group in enumerate(GROUPS.split("|")):
        concept = f"~{number}"
        for entry in group.split():
            first, *rest = (stem(part) for part in entry.split("_"))
            if rest:
                phrases.setdefault(first, {})[rest[0], concept] = None
            else:
                single.setdefault(first, {})[concept] = None
    return (
        {word: tuple(found) for word, found in single.items()},
        {word: tuple(found) for word, found in phrases.items()},
    )


def concepts(word: str) -> tuple[str, ...]:
    """The groups that a stem stands in."""
    return _concepts()[0].get(word, ())


def phrase_concepts(first: str, following: tuple[str, ...]) -> list[str]:
    """The groups of the phrases that begin with the stem `first` and end in one of those that follow it."""
    return [concept for second, concept in _concepts()[1].get(first, ()) if second in following]
