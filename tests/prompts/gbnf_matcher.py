"""Tells whether a GBNF grammar accepts a text: written for the tests, after llama.cpp's guide to the notation.

All ways to read the text are followed at once, each as a list of what must still come. A token such as `<|tool_call>`
is one unit of the text; where a rule says so it must be that, and a character class may still spell it.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field


class GrammarError(Exception):
    """The grammar is not one."""


@dataclass(frozen=True, eq=False)
class Chars:
    ranges: tuple[tuple[int, int], ...]
    negated: bool = False

    def takes(self, char: str) -> bool:
        code = ord(char)
        return any(first <= code <= last for first, last in self.ranges) != self.negated


@dataclass(frozen=True, eq=False)
class Token:
    text: str


@dataclass(frozen=True, eq=False)
class Ref:
    name: str


@dataclass(frozen=True, eq=False)
class Group:
    options: tuple[tuple[Symbol, ...], ...]


@dataclass(frozen=True, eq=False)
class Times:
    """From `least` to `most` times `what`; without an end if `most` is None."""

    what: Symbol
    least: int
    most: int | None
    fewer: list[Times] = field(default_factory=list)

    def rest(self) -> Times:
        """What is left of it behind one time."""
        if self.most is None and self.least == 0:
            return self
        if not self.fewer:
            most = None if self.most is None else self.most - 1
            self.fewer.append(Times(self.what, max(self.least - 1, 0), most))
        return self.fewer[0]


Symbol = Chars | Token | Ref | Group | Times


class Step:
    """Something that must come, and what must come behind it. The same ones are the same object."""

    __slots__ = ("first", "then")

    def __init__(self, first: Symbol | None, then: Step | None) -> None:
        self.first = first
        self.then = then


class Matcher:
    """A grammar, ready to match texts.

    Raises:
        GrammarError: it cannot be read, or a rule is missing or begins with itself.
    """

    def __init__(self, grammar: str) -> None:
        self.rules = parsed(grammar)
        for rule in self.rules.values():
            for name in _names(rule):
                if name not in self.rules:
                    raise GrammarError(f"there is no rule {name}")
        self._steps: dict[tuple[int, int], Step] = {}
        self._ready: dict[Step, tuple[Step, ...]] = {}
        self._end = Step(None, None)

    def accepts(self, text: str) -> bool:
        return self.refused_at(text) is None

    def refused_at(self, text: str) -> int | None:
        """How far the text is one that the grammar could still accept; None if it accepts all of it."""
        open_at: dict[int, set[Step]] = {0: set(self._open(self._step(Ref("root"), self._end)))}
        furthest = 0
        for pos in range(len(text)):
            for step in open_at.pop(pos, ()):
                first, behind = step.first, pos
                if isinstance(first, Token) and text.startswith(first.text, pos):
                    behind = pos + len(first.text)
                elif isinstance(first, Chars) and first.takes(text[pos]):
                    behind = pos + 1
                if behind > pos and step.then is not None:
                    open_at.setdefault(behind, set()).update(self._open(step.then))
                    furthest = max(furthest, behind)
        return None if self._end in open_at.get(len(text), ()) else furthest

    def _step(self, first: Symbol, then: Step) -> Step:
        found = self._steps.get((id(first), id(then)))
        if found is None:
            found = self._steps[id(first), id(then)] = Step(first, then)
        return found

    def _open(self, start: Step) -> tuple[Step, ...]:
        """The characters and tokens that may come next where `start` must come."""
        if start in self._ready:
            return self._ready[start]
        found, seen, waiting = [], {start}, [start]
        while waiting:
            step = waiting.pop()
            if step.first is None or isinstance(step.first, Chars | Token):
                found.append(step)
                continue
            for inner in self._into(step):
                if inner not in seen:
                    seen.add(inner)
                    waiting.append(inner)
        if len(seen) > 100_000:
            raise GrammarError("a rule begins with itself")
        self._ready[start] = tuple(found)
        return self._ready[start]

    def _into(self, step: Step) -> list[Step]:
        first, then = step.first, step.then
        assert then is not None
        if isinstance(first, Times):
            found = [] if first.least else [then]
            if first.most != 0:
                rest = then if first.most == 1 else self._step(first.rest(), then)
                found.append(self._step(first.what, rest))
            return found
        options = self.rules[first.name].options if isinstance(first, Ref) else first.options  # type: ignore[union-attr]
        found = []
        for option in options:
            behind = then
            for symbol in reversed(option):
                behind = self._step(symbol, behind)
            found.append(behind)
        return found


def _names(symbol: Symbol) -> list[str]:
    if isinstance(symbol, Ref):
        return [symbol.name]
    if isinstance(symbol, Times):
        return _names(symbol.what)
    if isinstance(symbol, Group):
        return [name for option in symbol.options for each in option for name in _names(each)]
    return []


def parsed(grammar: str) -> dict[str, Group]:
    """The rules of a grammar, one on a line.

    Raises:
        GrammarError: a line is none, or there are two of a name.
    """
    found: dict[str, Group] = {}
    for line in grammar.removesuffix("\n").split("\n"):
        name, sign, body = line.partition(" ::= ")
        if not sign or name in found or not name.replace("-", "").isalnum():
            raise GrammarError(f"this is no new rule: {line[:80]!r}")
        found[name] = _body(body)
    return found


@functools.cache
def _body(text: str) -> Group:
    return Parser(text).whole()


class Parser:
    """Reads the right side of a rule."""

    def __init__(self, body: str) -> None:
        self._line = body
        self._pos = 0

    def whole(self) -> Group:
        found = self._options()
        if self._pos != len(self._line):
            raise GrammarError(f"something is left over: {self._line[self._pos :][:40]!r}")
        return found

    def _options(self) -> Group:
        options = [self._sequence()]
        while self._takes("|"):
            options.append(self._sequence())
        return Group(tuple(options))

    def _sequence(self) -> tuple[Symbol, ...]:
        found: list[Symbol] = []
        while True:
            self._spaces()
            char = self._line[self._pos : self._pos + 1]
            if char == '"':
                text = self._literal()
                found += [Chars(((ord(each), ord(each)),)) for each in text]
                if len(text) != 1:
                    if self._line[self._pos : self._pos + 1] in ("*", "+", "?", "{"):
                        raise GrammarError("a repetition takes only the last character of a literal in some versions")
                    continue
            elif char == "[":
                found.append(self._class())
            elif char == "<":
                end = self._line.index(">", self._pos) + 1
                found.append(Token(self._line[self._pos : end]))
                self._pos = end
            elif char == "(":
                self._pos += 1
                found.append(self._options())
                if not self._takes(")"):
                    raise GrammarError("a bracket is not closed")
            elif char.isalnum():
                end = self._pos
                while self._line[end : end + 1].isalnum() or self._line[end : end + 1] == "-":
                    end += 1
                found.append(Ref(self._line[self._pos : end]))
                self._pos = end
            else:
                return tuple(found)
            if found:
                found[-1] = self._repeated(found[-1])

    def _repeated(self, symbol: Symbol) -> Symbol:
        sign = self._line[self._pos : self._pos + 1]
        simple = {"*": (0, None), "+": (1, None), "?": (0, 1)}
        if sign in simple:
            self._pos += 1
            return Times(symbol, *simple[sign])
        if sign != "{":
            return symbol
        end = self._line.index("}", self._pos)
        least, comma, most = self._line[self._pos + 1 : end].partition(",")
        self._pos = end + 1
        top = (int(most) if most else None) if comma else int(least)
        if int(least) > 2000 or (top or 0) > 2000:
            raise GrammarError("llama.cpp repeats nothing more than 2000 times")
        if top is not None and top < int(least):
            raise GrammarError("a repetition ends before it begins")
        return Times(symbol, int(least), top)

    def _literal(self) -> str:
        self._pos += 1
        text = ""
        while self._line[self._pos] != '"':
            text += self._char()
        self._pos += 1
        return text

    def _class(self) -> Chars:
        self._pos += 1
        negated = self._line[self._pos] == "^"
        self._pos += negated
        ranges = []
        while self._line[self._pos] != "]":
            first = last = self._char()
            if self._line[self._pos] == "-" and self._line[self._pos + 1] != "]":
                self._pos += 1
                last = self._char()
            if first > last:
                raise GrammarError(f"a range from {first!r} to {last!r}")
            ranges.append((ord(first), ord(last)))
        self._pos += 1
        return Chars(tuple(ranges), negated)

    def _char(self) -> str:
        char = self._line[self._pos]
        self._pos += 1
        if char != "\\":
            return char
        kind = self._line[self._pos]
        self._pos += 1
        digits = {"x": 2, "u": 4, "U": 8}.get(kind, 0)
        if digits:
            code = int(self._line[self._pos : self._pos + digits], 16)
            self._pos += digits
            return chr(code)
        return {"n": "\n", "r": "\r", "t": "\t"}.get(kind) or _itself(kind)

    def _takes(self, sign: str) -> bool:
        self._spaces()
        if self._line[self._pos : self._pos + 1] != sign:
            return False
        self._pos += 1
        return True

    def _spaces(self) -> None:
        while self._line[self._pos : self._pos + 1] == " ":
            self._pos += 1


def _itself(char: str) -> str:
    if char not in '\\"[]':
        raise GrammarError(f"there is no escape for {char!r}")
    return char
