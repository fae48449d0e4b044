"""Fills a tool's parameters from a request: each takes the pieces that its schema and name ask for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from gemmagraph.backends.matcher.english import CURRENCIES, CURRENCY_CODES, UNITS, WEEKDAYS
from gemmagraph.backends.matcher.mentions import Piece, Said
from gemmagraph.backends.matcher.naming import enumeration, fill_strings
from gemmagraph.backends.matcher.params import Filling, Param, ParamKind
from gemmagraph.prompts.messages import JSON
from gemmagraph.tools.selection.words import STOP_WORDS, concepts, stem, word_set


def fill(params: Sequence[Param], said: Said, matched: frozenset[int]) -> Filling:
    """What the request says for these parameters. Optional ones that it does not speak of, or sets to their
    default, are left out."""
    filling = Filling(said, matched)
    for kinds, fill_kind in _FILLERS:
        group = [param for param in params if param.kind in kinds]
        if group:
            fill_kind(filling, group)
    filling.missing = tuple(p for p in params if p.required and p.name not in filling.arguments)
    filling.arguments = {
        param.name: filling.arguments[param.name]
        for param in params
        if param.name in filling.arguments
        and (param.required or filling.arguments[param.name] != param.schema.get("default"))
    }
    return filling


def _fill_enums(filling: Filling, params: Sequence[Param]) -> None:
    for param in params:
        for member in sorted(param.schema["enum"], key=lambda member: -len(str(member).split())):
            found = _mention_of(filling, str(member))
            unsaid = str(member) in STOP_WORDS and member != "today" and not param.required
            if found and not unsaid:
                filling.take(param, member, found, 0.4)
                break


def _mention_of(filling: Filling, member: str) -> list[int] | None:
    """Where an enum's member is said, in any form of its words."""
    wanted = [stem(word) for word in re.findall(r"[^\W_]+", member)]
    pieces = filling.said.pieces
    for at in range(len(pieces) - len(wanted) + 1):
        run = list(range(at, at + len(wanted)))
        if wanted and all(
            n not in filling.used and (want in pieces[n].stems or str(pieces[n].value) == want)
            for n, want in zip(run, wanted, strict=True)
        ):
            return run
    return None


def _fill_literal(kind: str, evidence: float) -> Callable[[Filling, Sequence[Param]], None]:
    def fill_kind(filling: Filling, params: Sequence[Param]) -> None:
        for param in params:
            for at, piece in filling.left(kind):
                filling.take(param, piece.text, [at], evidence)
                break

    return fill_kind


def _fill_days(filling: Filling, params: Sequence[Param]) -> None:
    for param in params:
        for at, piece in filling.left("word", "date"):
            relative = piece.plain in {"today", "tomorrow", "yesterday", "tonight"} or piece.plain in WEEKDAYS
            if piece.kind == "date" or relative:
                filling.take(param, piece.text.removesuffix("'s"), [at], 0.4)
                break


def _fill_shapes(filling: Filling, params: Sequence[Param]) -> None:
    for param in params:
        for pattern, evidence in zip(param.shapes, (0.9, 0.5), strict=True):
            covered = _covered(filling, pattern)
            if covered and param.name not in filling.arguments:
                filling.take(param, covered[0], covered[1], evidence)


def _covered(filling: Filling, pattern: re.Pattern[str]) -> tuple[str, list[int]] | None:
    for match in pattern.finditer(filling.said.text):
        pieces = filling.said.between(match.start(), match.end())
        if pieces and not filling.used & set(pieces):
            return match.group(), pieces
    return None


def _fill_expressions(filling: Filling, params: Sequence[Param]) -> None:
    if filling.said.expression is not None:
        text, start, end = filling.said.expression
        filling.take(params[0], text, filling.said.between(start, end), 1.0)


def _fill_measures(filling: Filling, params: Sequence[Param]) -> None:
    """Units and currencies: the one at the number, or after "from", goes to the first parameter."""
    found = list(_measures(filling, params[0].kind))
    found.sort(key=lambda one: not (one[2] or filling.plain(one[1] - 1) == "from"))
    targets = sorted(
        params, key=lambda param: bool(param.words & {"to", "target", "into"} and "from" not in param.words)
    )
    for param, (value, at, _) in zip(targets, found, strict=False):
        filling.take(param, value, [at] if filling.said.pieces[at].kind == "word" else [], 0.5)


def _measures(filling: Filling, kind: ParamKind) -> Iterator[tuple[str, int, bool]]:
    """(value, where, whether it stands at a number)."""
    for at, piece in filling.left("word", "number"):
        said = piece.unit if piece.kind == "number" else piece.text
        before = filling.said.pieces[at - 1] if at else piece
        at_number = piece.kind == "number" or (before.kind == "number" and not before.unit)
        if kind == "currency":
            code = said if said in CURRENCY_CODES else CURRENCIES.get(said.lower())
            if code:
                yield code, at, at_number
        elif said.lower() in UNITS and (at_number or (len(said) > 1 and said != "in")):
            yield said, at, at_number


def _fill_booleans(filling: Filling, params: Sequence[Param]) -> None:
    for param in params:
        wanted = [stem(word) for word in re.findall(r"[A-Za-z]+", param.name) if word not in STOP_WORDS]
        found = [at for word in wanted if (at := _said_at(filling, word)) is not None]
        if found and len(found) == len(wanted):
            denied = {filling.plain(found[0] - 1), filling.plain(found[0] - 2)} & _DENIALS
            filling.take(param, not denied, found, 0.2)


_DENIALS = frozenset(["not", "no", "non", "without"])


def _said_at(filling: Filling, word: str) -> int | None:
    """Where a stem is said, or something that means the same."""
    meant = {word, *concepts(word)}
    return next((at for at, _ in filling.left("word") if meant & filling.keys(at)), None)


def _fill_numbers(filling: Filling, params: Sequence[Param]) -> None:
    pairs = []
    for order, param in enumerate(params):
        for at, piece in filling.left("number"):
            if at in filling.said.summands:
                continue
            affinity = _affinity(filling, param, at, piece)
            if affinity >= (1 if param.required else 1.5) and _in_bounds(param, piece.value):
                pairs.append((-affinity, order, at))
    for _, order, at in sorted(pairs):
        param, piece = params[order], filling.said.pieces[at]
        if param.name not in filling.arguments and at not in filling.used:
            value = float(piece.value) if param.schema.get("type") == "number" else int(piece.value)
            tidy = int(value) if value == int(value) else value
            filling.take(param, tidy, [at], 0.3)


def _in_bounds(param: Param, value: JSON) -> bool:
    if param.schema.get("type") == "integer" and value != int(value):
        return False
    low, high = param.schema.get("minimum", value), param.schema.get("maximum", value)
    return bool(low <= value <= high)


def _affinity(filling: Filling, param: Param, at: int, piece: Piece) -> float:
    """How well a number suits a parameter, by the words beside it."""
    before = {filling.plain(at - 1), filling.plain(at - 2)}
    after = [filling.plain(at + 1), filling.plain(at + 2)]
    score = 1.0 if param.required else 0.0
    score += 3.0 if filling.keys(at + 1) & param.nouns else 0.0
    score += 2.0 if (filling.keys(at - 1) | filling.keys(at - 2)) & param.nouns else 0.0
    score += _as_measured(param, piece, after[0]) + _as_year(param, piece, filling.plain(at - 1))
    for bounding, bounded in ((_UPPER, _UPPER_BOUNDS), (_LOWER, _LOWER_BOUNDS)):
        score += 2.0 if before & bounding and param.words & bounded else 0.0
    if param.words & _COUNTS and not piece.unit:
        many = any(word.isalpha() and len(word) > 3 and word.endswith("s") for word in after)
        score += (2.0 if before & _ORDINAL else 0.0) + (1.5 if many else 0.0)
    return score


_UPPER = word_set("under below most to less cheaper within than max maximum")
_UPPER_BOUNDS = word_set("max maximum most highest longest below within")
_LOWER = word_set("over above least more than min minimum exceeding")
_LOWER_BOUNDS = word_set("min minimum least lowest above")
_COUNTS = word_set("count limit lines n top num size many amount number")
_ORDINAL = word_set("top last first latest next newest biggest largest best recent to most previous past")
_MONEY = frozenset(stem(word) for word in word_set("price amount cost money budget principal net borrow"))
_PERCENT = word_set("percent percentage rate interest")


def _as_measured(param: Param, piece: Piece, after: str) -> float:
    """By its unit: per cent for a rate, a currency for a price, minutes for minutes."""
    if piece.unit == "%" or after in ("percent", "%"):
        return 3.0 if param.words & _PERCENT else -2.0
    if piece.unit in CURRENCY_CODES or after in CURRENCIES:
        return 2.0 if param.nouns & _MONEY else -1.0 if piece.unit else 0.0
    if piece.unit:
        return 2.0 if stem(piece.unit) in param.nouns else 0.0
    return 0.0


def _as_year(param: Param, piece: Piece, before: str) -> float:
    """2023 is a year, where a year is asked for or "in" stands before it; 25 is none."""
    year = isinstance(piece.value, int) and 1900 <= piece.value <= 2100 and len(piece.text) == 4
    if "year" in param.name.split("_"):
        return 3.0 if year else -3.0
    return -2.0 if year and before in ("in", "since", "during") else 0.0


def _fill_lists(filling: Filling, params: Sequence[Param]) -> None:
    for param in params:
        item = param.item
        if item is None or item.kind in ("list", "object"):
            continue
        values = _elements(filling, item)
        if len(values) >= max(param.schema.get("minItems", 1), 1 if param.required else 2):
            places = [at for _, places in values for at in places]
            filling.take(param, [value for value, _ in values], places, 0.4 if len(values) > 1 else 0.0)


def _elements(filling: Filling, item: Param) -> list[tuple[JSON, list[int]]]:
    if item.kind == "number":
        return [(piece.value, [at]) for at, piece in filling.left("number") if _in_bounds(item, piece.value)]
    if item.kind == "enum":
        members = [(member, _mention_of(filling, str(member))) for member in item.schema["enum"]]
        return [(member, places) for member, places in members if places]
    return enumeration(filling)


_FILLERS: tuple[tuple[tuple[str, ...], Callable[[Filling, Sequence[Param]], None]], ...] = (
    (("expression",), _fill_expressions),
    (("enum",), _fill_enums),
    (("email",), _fill_literal("email", 0.5)),
    (("url",), _fill_literal("url", 0.5)),
    (("day",), _fill_days),
    (("date",), _fill_literal("date", 0.4)),
    (("shape",), _fill_shapes),
    (("path",), _fill_literal("path", 0.4)),
    (("unit",), _fill_measures),
    (("currency",), _fill_measures),
    (("boolean",), _fill_booleans),
    (("number",), _fill_numbers),
    (("list",), _fill_lists),
    (("name", "text"), fill_strings),
)
