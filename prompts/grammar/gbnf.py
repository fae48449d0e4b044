"""GBNF, the notation in which llama.cpp takes a grammar: rules, literals, character classes, and automata for texts.

Nothing here knows a schema or how a call is spelled. llama.cpp's guide to the notation:
github.com/ggml-org/llama.cpp/tree/master/grammars.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

NOTHING: Final = '""'
"""The expression of a text without characters."""
MOST_REPEATS: Final = 2000
"""llama.cpp refuses more repetitions, or takes `{m,n}` with a greater `n` silently for one without an end."""

CONTROLS: Final = frozenset(map(chr, range(0x20)))
_ESCAPES: Final = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"})
_CLASS_ESCAPES: Final = str.maketrans({"\\": "\\\\", "]": "\\]", "[": "\\[", "^": "\\x5E", "-": "\\x2D"})


class Rules:
    """The rules of a grammar as they come into being. What reads alike is one rule."""

    def __init__(self) -> None:
        self._bodies: dict[str, str] = {}
        self._names: dict[str, str] = {}

    def rule(self, body: str, name: str = "") -> str:
        """The name of the rule with this body.

        Args:
            body: the right side.
            name: what it is called if it is new; it must be free.
        """
        found = self._names.get(body)
        if found is None:
            found = name or self.reserve()
            self.define(found, body)
        return found

    def reserve(self, name: str = "") -> str:
        """A name for a rule whose body is not known yet."""
        name = name or f"r{len(self._bodies)}"
        self._bodies[name] = ""
        return name

    def define(self, name: str, body: str) -> None:
        self._bodies[name] = body
        self._names.setdefault(body, name)

    def include(self, rules: Iterable[tuple[str, str]]) -> None:
        """Takes finished rules over, each with its name, once."""
        for name, body in rules:
            self._bodies.setdefault(name, body)

    def __contains__(self, name: str) -> bool:
        return name in self._bodies

    def text(self, root: str) -> str:
        """The whole grammar."""
        return "".join(f"{name} ::= {body}\n" for name, body in (("root", root), *self._bodies.items()))


def literal(text: str) -> str:
    """`text` and nothing else."""
    written = text.translate(_ESCAPES)
    if not written.isprintable():
        written = "".join(char if char.isprintable() else _coded(char) for char in written)
    return f'"{written}"'


def either(options: Iterable[str]) -> str:
    """One of the expressions, in brackets if there are several."""
    found = list(dict.fromkeys(options))
    return found[0] if len(found) == 1 else f"({' | '.join(found)})"


def behind(*expressions: str) -> str:
    """The expressions one after the other, without those of nothing."""
    return " ".join(each for each in expressions if each and each != NOTHING) or NOTHING


def char_class(chars: Iterable[str], negated: bool = False) -> str:
    """One character of `chars`, or any that is not of them."""
    codes = sorted(map(ord, set(chars)))
    runs: list[list[int]] = []
    for code in codes:
        if runs and code == runs[-1][1] + 1:
            runs[-1][1] = code
        else:
            runs.append([code, code])
    written = "".join(_run(chr(first), chr(last)) for first, last in runs)
    return f"[{'^' if negated else ''}{written}]"


def _run(first: str, last: str) -> str:
    if ord(last) - ord(first) < 2:
        return "".join(map(_in_class, dict.fromkeys((first, last))))
    return f"{_in_class(first)}-{_in_class(last)}"


def _in_class(char: str) -> str:
    return char.translate(_CLASS_ESCAPES) if char.isprintable() else _coded(char)


def _coded(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02X}" if code < 0x100 else f"\\u{code:04X}" if code < 0x10000 else f"\\U{code:08X}"


Units: TypeAlias = tuple[str, ...]
"""A text in units that are not to be divided: characters, and marks."""


def factored(options: Mapping[Units, str]) -> str:
    """One of several texts, each with the expression that follows it, common beginnings written once.

    An engine follows every alternative at once, so hundreds that begin alike would cost hundreds of times more.
    """
    branches: dict[str, dict[Units, str]] = {}
    found = []
    for units, follows in options.items():
        if units:
            branches.setdefault(units[0], {})[units] = follows
        else:
            found.append(follows)
    for inner in branches.values():
        shared = _shared(list(inner))
        rest = {units[shared:]: follows for units, follows in inner.items()}
        start = spelled(next(iter(inner))[:shared])
        found.append(behind(start, next(iter(rest.values())) if len(rest) == 1 else factored(rest)))
    return either(found)


def _shared(texts: Sequence[Units]) -> int:
    """How many units all the texts have in common at their start."""
    first, last = min(texts), max(texts)
    return next((at for at, (left, right) in enumerate(zip(first, last, strict=False)) if left != right), len(first))


def spelled(units: Iterable[str]) -> str:
    """The units one after the other: a mark as the token that it is, the rest as text."""
    found = []
    text = ""
    for unit in (*units, ""):
        if len(unit) == 1:
            text += unit
            continue
        if text:
            found.append(literal(text))
            text = ""
        if unit:
            found.append(unit)
    return " ".join(found)


# Automata


@dataclass(frozen=True, slots=True)
class Step:
    """A part of a pattern: one character of some, or any number of them."""

    chars: frozenset[str]
    """OTHER among them stands for every character that no pattern names."""
    many: bool = False
    negated: bool = False
    """Whether it is a character that is not of them."""

    def takes(self, char: str) -> bool:
        return (char in self.chars) != self.negated


OTHER: Final = ""
Pattern: TypeAlias = tuple[Step, ...]
_Place: TypeAlias = tuple[int, int]
_NOWHERE: Final[Mapping[str, None]] = {}
"""A pattern, by its number, and the step in it that comes next."""


def pattern(text: str) -> Pattern:
    """The pattern of one text."""
    return tuple(Step(frozenset(char)) for char in text)


@dataclass(frozen=True, slots=True)
class Text:
    """Texts in which none of some patterns can be found.

    Written as one rule for each state of the automaton that looks for them, every rule ending in the next: an
    engine's stack stays flat, and of all the ways to read a text only one is open at a time.
    """

    name: str
    """The rule of any such text; the other rules' names begin with it. Such texts of at least one unit are
    `NAME-some`; if there is something that only must not come first, what may follow is `NAME-rest`."""
    nowhere: tuple[Pattern, ...]
    """What must not be found."""
    not_first: tuple[Pattern, ...] = ()
    """What must not be found at the start."""
    not_last: tuple[Pattern, ...] = ()
    """What must not be found at the end."""
    never: frozenset[str] = frozenset()
    """Characters that are no part of the text."""
    units: tuple[tuple[str, str], ...] = ()
    """Names of longer units, such as escapes, and how they are written. A pattern may hold a name as a character."""
    end: str = NOTHING
    """What stands behind the text."""
    end_begins: frozenset[str] = frozenset()
    """If the end is a token: the first character of its text. It cannot come where the text cannot end, because
    llama.cpp, when it checks a token, looks whether a part of it is text and then the whole of it the end."""


@lru_cache(maxsize=64)
def text_rules(text: Text) -> tuple[tuple[str, str], ...]:
    """The rules of such a text, with their names."""
    automaton = _Automaton(text)
    first = automaton.start
    names = {first: text.name}
    waiting = [first]
    found = []
    while waiting:
        state = waiting.pop()
        targets: dict[frozenset[_Place], list[str]] = {}
        for symbol, target in automaton.leaving(state):
            if target not in names:
                names[target] = f"{text.name}-{len(names) if target else 'rest'}"
                waiting.append(target)
            targets.setdefault(target, []).append(symbol)
        going_on = " | ".join(automaton.alternatives(targets, names, frozenset()))
        not_over = " | ".join(automaton.alternatives(targets, names, text.end_begins))
        found.append((names[state], f"{going_on} | {text.end}" if automaton.may_end(state) else not_over))
        if state == first:
            found.append((f"{text.name}-some", not_over))
    return tuple(found)


class _Automaton:
    """Tells where in the patterns a text may be. A state is the places behind what was read; the starts of the
    patterns, which are possible everywhere, are not in it."""

    def __init__(self, text: Text) -> None:
        self._text = text
        self._units = dict(text.units)
        self._patterns = (*text.not_first, *text.nowhere, *text.not_last)
        self._harmless = len(text.not_first) + len(text.nowhere)
        self._alike = self._symbols()
        self._chars = {symbol for each in self._alike.values() for symbol in each} - self._units.keys() - {OTHER}
        self._next = {
            (number, at): self._moves(number, at)
            for number, each in enumerate(self._patterns)
            for at in range(len(each))
        }
        everywhere = len(text.not_first)
        self.start = self._open(*((number, 0) for number in range(everywhere)))
        starts = self._open(*((number, 0) for number in range(everywhere, len(self._patterns))))
        self._begun = {symbol: self._behind(starts, symbol) for symbol in self._alike}

    def _symbols(self) -> dict[str, tuple[str, ...]]:
        """Every symbol with those that no pattern tells from it, itself the first of them."""
        steps = {step for each in self._patterns for step in each}
        named = {char for step in steps for char in step.chars}
        alike: dict[tuple[bool, ...], list[str]] = {}
        for symbol in sorted({*named, *self._units, OTHER} - self._text.never):
            alike.setdefault(tuple(step.takes(symbol) for step in steps), []).append(symbol)
        return {symbols[0]: tuple(symbols) for symbols in alike.values()}

    def _moves(self, number: int, at: int) -> dict[str, frozenset[_Place] | None]:
        """The places behind each symbol that may come at a place; None if the pattern is whole with it."""
        step = self._patterns[number][at]
        reached = self._open((number, at if step.many else at + 1))
        if number < self._harmless and (number, len(self._patterns[number])) in reached:
            return {symbol: None for symbol in self._alike if step.takes(symbol)}
        return {symbol: reached for symbol in self._alike if step.takes(symbol)}

    def _open(self, *places: _Place) -> frozenset[_Place]:
        """The places, with those that are reached by leaving out steps that may be left out."""
        found = set(places)
        for number, at in places:
            steps = self._patterns[number]
            while at < len(steps) and steps[at].many:
                at += 1
                found.add((number, at))
        return frozenset(found)

    def may_end(self, state: frozenset[_Place]) -> bool:
        return all(at < len(self._patterns[number]) for number, at in state)

    def leaving(self, state: frozenset[_Place]) -> Iterator[tuple[str, frozenset[_Place]]]:
        """Every symbol that may come, and the state behind it."""
        for symbol, begun in self._begun.items():
            further = self._behind(state, symbol)
            if begun is not None and further is not None:
                for each in self._alike[symbol]:
                    yield each, begun | further

    def _behind(self, state: frozenset[_Place], symbol: str) -> frozenset[_Place] | None:
        """The places behind `symbol`; None if a pattern is whole with it."""
        found: frozenset[_Place] = frozenset()
        for place in state:
            reached = self._next.get(place, _NOWHERE).get(symbol, frozenset())
            if reached is None:
                return None
            found |= reached
        return found

    def alternatives(
        self,
        targets: Mapping[frozenset[_Place], Sequence[str]],
        names: Mapping[frozenset[_Place], str],
        barred: frozenset[str],
    ) -> list[str]:
        """What may come in a state, but for some characters."""
        found: list[str] = []
        for target, symbols in targets.items():
            here = [symbol for symbol in symbols if symbol in self._chars and symbol not in barred]
            if OTHER in symbols:
                elsewhere = self._chars.difference(here) | self._text.never
                found.insert(0, f"{char_class(elsewhere, negated=True)} {names[target]}")
            elif here:
                found.append(f"{char_class(here)} {names[target]}")
            found += [f"{self._units[symbol]} {names[target]}" for symbol in symbols if symbol in self._units]
        return found
