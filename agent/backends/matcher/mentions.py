"""What a request says, piece by piece: words, quotes, numbers, paths, addresses, dates, expressions.

Read once per request; which tool or parameter a piece belongs to is decided elsewhere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

from gemmagraph.backends.matcher.english import (
    CURRENCIES,
    CURRENCY_CODES,
    DETERMINERS,
    NUMBER_WORDS,
    PREPOSITIONS,
    SCALES,
    UNITS,
)
from gemmagraph.tools.selection.words import STOP_WORDS, stem

Kind: TypeAlias = Literal["word", "id", "quoted", "number", "date", "path", "url", "email", "hashtag", "mark"]

_PIECES = re.compile(
    r"""
      (?P<quoted>"[^"\n]+"|“[^”\n]*”|`[^`\n]+`|(?<!\w)['‘](?:[^'’\n]|(?<=\w)['’](?=\w))+['’](?!\w))
    | (?P<url>\bhttps?://[^\s<>"']*[^\s<>"'.,;:!?)\]])
    | (?P<email>\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+)
    | (?P<date>\b\d{4}-\d{2}-\d{2}\b)
    | (?P<path>(?<![\w/.~])(?:(?:~|\.{1,2})?/(?:[\w@+~-]|[./](?=[\w@+~.-]))*/?|~(?!\w)
        |[\w-]+(?:/[\w.-]*\w){2,}|[\w-]+(?:/[\w-]+)*\.[A-Za-z][A-Za-z0-9]{0,4}\b(?!\.\w)))
    | (?P<hashtag>\#\w[\w-]*)
    | (?P<number>(?<![\w.])(?P<sign>[$€£¥]\s?)?
        (?P<digits>[-−]?\d{1,3}(?:,\d{3}){1,5}(?:\.\d{1,9})?|[-−]?\d{1,18}(?:\.\d{1,18})?)
        (?P<scale>\s?(?:million|billion|thousand)\b|[kKM](?![\w])|bn\b)?(?P<unit>\s?%|\s?°?[CFK]\b|[a-zA-Z]+(?![\w-]))?
        (?!\w|-\w|[.:]\d))
    | (?P<id>(?=[\w.-]*[\d_])[A-Za-z0-9_]+(?:[.:-][A-Za-z0-9_]+)*=*)
    | (?P<word>[^\W\d_]+(?:['’][^\W\d_]+)*(?:-[^\W\d_]+)*)
    | (?P<mark>[^\w\s])
    """,
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece of the request, as written, with where it stands."""

    kind: Kind
    text: str
    start: int
    end: int
    value: float | int | str = ""
    """The number; for a quote, what stands inside."""
    unit: str = ""
    """Behind a number: `%`, a unit, or a currency's code."""
    stems: tuple[str, ...] = ()

    @property
    def lower(self) -> str:
        return self.text.lower()

    @property
    def stop(self) -> bool:
        """Whether it carries no meaning by itself."""
        return self.kind == "mark" or (self.kind == "word" and self.plain in STOP_WORDS)

    @property
    def plain(self) -> str:
        """A word without `'s`, `'re` and the like, in lower case."""
        return re.split("['’]", self.lower, maxsplit=1)[0]

    @property
    def preposition(self) -> bool:
        return self.kind == "word" and self.lower in PREPOSITIONS

    @property
    def determiner(self) -> bool:
        return self.kind == "word" and self.lower in DETERMINERS

    @property
    def capital(self) -> bool:
        return self.kind == "word" and self.text[0].isupper() and self.text != "I" and self.plain not in ("i",)


class Said:
    """A request, read once for all tools."""

    __slots__ = ("expression", "pieces", "summands", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.pieces = pieces_of(text)
        self.expression = expression_in(text, self.pieces)
        """An arithmetic expression in symbols, and where it starts and ends."""
        start, end = self.expression[1:] if self.expression else (0, 0)
        spoken = any(char.isalpha() for char in text[start:end])
        self.summands = frozenset(() if spoken else self.between(start, end))
        """Pieces of an expression that was written in symbols: no values by themselves."""

    def between(self, start: int, end: int) -> list[int]:
        """The pieces that stand between two characters."""
        return [at for at, piece in enumerate(self.pieces) if piece.start >= start and piece.end <= end]


def stems_of(text: str) -> tuple[str, ...]:
    """The stems of a word, and of its parts where it has a hyphen (`to-do`: todo, to, do)."""
    parts = re.findall(r"[^\W_]+(?:['’]\w+)?", text)
    joined = [stem("".join(parts))] if len(parts) > 1 else []
    return (*joined, *(stem(part) for part in parts))


def pieces_of(request: str) -> list[Piece]:
    """The request cut into pieces, number words read as numbers."""
    return _join_number_words([piece for match in _PIECES.finditer(request) for piece in _pieces(match)])


def _pieces(match: re.Match[str]) -> list[Piece]:
    bounds = re.fullmatch(r"(\d+)[-–](\d+)", match.group())
    if bounds is None:
        return [_piece(match)]
    return [
        Piece(
            "number",
            bounds[n],
            match.start() + bounds.start(n),
            match.start() + bounds.end(n),
            int(bounds[n]),
        )
        for n in (1, 2)
    ]


def _piece(match: re.Match[str]) -> Piece:
    kind: Kind = match.lastgroup  # type: ignore[assignment]  # the pattern's outer groups are the kinds
    text, start, end = match.group(), match.start(), match.end()
    if match.group("number") is not None:
        return _number(match)
    if kind == "quoted":
        return Piece(kind, text, start, end, text[1:-1])
    if kind == "hashtag":
        return Piece(kind, text, start, end, text[1:])
    if kind == "mark":
        return Piece(kind, text, start, end)
    return Piece(kind, text, start, end, text, stems=stems_of(text))


def _number(match: re.Match[str]) -> Piece:
    digits = match["digits"].replace(",", "").replace("−", "-")
    value: int | float = float(digits) if "." in digits else int(digits)
    unit = (match["unit"] or "").strip().lstrip("°")
    factor = {"k": 1_000, "m": 1_000_000, "bn": SCALES["billion"]} | SCALES
    if match["scale"]:
        value = _tidy(value * factor[match["scale"].strip().lower()])
    if unit and unit != "%" and unit not in CURRENCY_CODES and unit.lower() not in UNITS | CURRENCIES.keys():
        text = match.group()
        return Piece("id", text, match.start(), match.end(), text, stems=stems_of(text))
    if match["sign"]:
        unit = CURRENCIES[match["sign"].strip()]
    return Piece("number", match.group(), match.start(), match.end(), value, unit)


def _tidy(value: int | float) -> int | float:
    return int(value) if value == int(value) else round(value, 9)


def _join_number_words(pieces: list[Piece]) -> list[Piece]:
    joined: list[Piece] = []
    run: list[Piece] = []
    for piece in [*pieces, None]:
        words = [] if piece is None or piece.kind != "word" else piece.lower.split("-")
        if piece and words and all(word in NUMBER_WORDS or word in SCALES for word in words):
            run.append(piece)
            continue
        if run:
            joined += _number_of(run)
            run = []
        if piece:
            joined.append(piece)
    return joined


def _number_of(run: list[Piece]) -> list[Piece]:
    words = [word for piece in run for word in piece.lower.split("-")]
    if words == ["one"]:  # "which one", "one of them"
        return run
    total, current = 0, 0
    for word in words:
        if word in SCALES:
            current = max(current, 1) * SCALES[word]
            if word != "hundred":
                total, current = total + current, 0
        else:
            current += NUMBER_WORDS[word]
    text = " ".join(piece.text for piece in run)
    return [Piece("number", text, run[0].start, run[-1].end, total + current)]


_SPOKEN = {
    ("plus",): "+",
    ("add",): "+",
    ("and", "add"): "+",
    ("minus",): "-",
    ("times",): "*",
    ("multiplied", "by"): "*",
    ("divided", "by"): "/",
    ("modulo",): "%",
    ("mod",): "%",
    ("to", "the", "power", "of"): "**",
    ("squared",): "** 2",
    ("cubed",): "** 3",
}
_SYMBOLS = re.compile(r"(?:\*\*|[-+*/%^×÷−().]|\d[\d,]*(?:\.\d+)?|\s)+")
_OPERATION = re.compile(r"[\d)]\s*(?:\*\*|[-+*/%^×÷−])\s*[-−(]*\d|[\d)]\s*[*×]?\s*\(")
_AS_WRITTEN = str.maketrans({"×": "*", "÷": "/", "−": "-", "^": "**"})


def expression_in(request: str, pieces: list[Piece]) -> tuple[str, int, int] | None:
    """The first arithmetic expression, in symbols, and where it starts and ends."""
    for match in _SYMBOLS.finditer(request):
        text = _balanced(match.group().strip().rstrip(".").strip())
        start = request.index(text, match.start())
        around = request[max(start - 1, 0) : start] + request[start + len(text) : start + len(text) + 1]
        dated = re.search(r"\d{4}-\d\d-\d\d", text)
        if _OPERATION.search(text) and not dated and not any(char.isalnum() for char in around):
            return text.translate(_AS_WRITTEN), start, start + len(text)
    return _spoken_expression(pieces)


def _balanced(text: str) -> str:
    """Without a parenthesis at either end that belongs to the sentence."""
    if text.count("(") > text.count(")"):
        return text.removeprefix("(").strip()
    if text.count(")") > text.count("("):
        return text.removesuffix(")").strip()
    return text


def _spoken_expression(pieces: list[Piece]) -> tuple[str, int, int] | None:
    best: tuple[str, int, int] | None = None
    for at, piece in enumerate(pieces):
        if best or piece.kind != "number":
            continue
        written, index, end = [_plain(piece)], at + 1, piece.end
        while (operator := _operator(pieces, index)) is not None:
            symbol, index = operator
            complete = symbol.startswith("** ")
            if not complete and (index >= len(pieces) or pieces[index].kind != "number"):
                break
            written.append(symbol)
            end = pieces[index - 1].end
            if not complete:
                written.append(_plain(pieces[index]))
                end, index = pieces[index].end, index + 1
        if len(written) > 1:
            best = " ".join(written), piece.start, end
    return best


def _operator(pieces: list[Piece], index: int) -> tuple[str, int] | None:
    """The operator that begins at `index`, and the index behind it."""
    if index < len(pieces) and pieces[index].text in ("+", "-", "*", "/", "×", "÷"):
        return pieces[index].text.translate(_AS_WRITTEN), index + 1
    for words, symbol in _SPOKEN.items():
        if tuple(piece.lower for piece in pieces[index : index + len(words)]) == words:
            return symbol, index + len(words)
    if index < len(pieces) and pieces[index].lower == "of" and pieces[index - 1].unit == "%":
        return "/ 100 *", index + 1
    return None


def _plain(piece: Piece) -> str:
    return str(piece.value)
