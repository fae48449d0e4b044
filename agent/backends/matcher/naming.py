"""Names and free text in a request: values without a form of their own, found by the words around them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gemmagraph.backends.matcher.params import Filling, Param
from gemmagraph.prompts.messages import JSON
from gemmagraph.tools.selection.words import concepts, word_set

_ROLES: dict[str, frozenset[str]] = {
    "from": word_set("from origin source start departure sender"),
    "to": word_set("to destination target recipient arrival"),
    "in": word_set(
        "in city country region namespace folder directory room warehouse repository project department "
        "place location cluster town area state"
    ),
    "at": word_set("at station place location address host server shop"),
    "by": word_set("by artist author user person owner singer creator committer sings wrote"),
    "with": word_set("with new replacement"),
}
"""Which parameters a preposition leads to, by a word of their name or description."""
_NAMING = frozenset(["called", "named", "titled", "is", ":", "labelled", "labeled"])


def fill_strings(filling: Filling, params: Sequence[Param]) -> None:
    _fill_quoted(filling, params)
    for step in (_beside_its_noun, _after_its_preposition):
        for param in filling.open(params):
            found = step(filling, param)
            if found:
                filling.take(param, _written(filling, found), found, 0.3)
    for param in filling.open(params):
        found, evidence = _remaining(filling, param) if param.required else ([], 0.0)
        if found:
            filling.take(param, _written(filling, found), found, evidence)


def _fill_quoted(filling: Filling, params: Sequence[Param]) -> None:
    pairs = []
    for order, param in enumerate(params):
        for at, _ in filling.left("quoted", "hashtag"):
            score = 1.0 if param.required else 0.0
            score += 3.0 if (filling.keys(at - 1) | filling.keys(at - 2)) & param.nouns else 0.0
            score += 3.0 if _has_role(param, filling.plain(at - 1)) else 0.0
            score += 1.0 if param.kind == "text" and filling.plain(at - 1) in ("in", "of") else 0.0
            pairs.append((-score, order, at))
    for score, order, at in sorted(pairs):
        if score < 0 and params[order].name not in filling.arguments and at not in filling.used:
            filling.take(params[order], filling.said.pieces[at].value, [at], 0.3)


def _has_role(param: Param, preposition: str) -> bool:
    return bool(param.words & _ROLES.get(preposition, frozenset()))


def _may_be_value(filling: Filling, at: int) -> bool:
    """Whether a piece can be in a name: no word of the tool, no small word, no value already."""
    piece = filling.said.pieces[at]
    if at in filling.used or piece.kind in _NO_NAMES or piece.stop or piece.plain in _TIMES:
        return False
    return at not in filling.matched or (piece.capital and at > 0)


_NO_NAMES = frozenset(["mark", "number", "date", "url", "email"])
_TIMES = word_set("lately recently soon often always usually sometimes tomorrow yesterday tonight")


def _phrase(filling: Filling, at: int) -> list[int]:
    """The name that begins at a place, determiners skipped."""
    pieces = filling.said.pieces
    while at < len(pieces) and pieces[at].determiner:
        at += 1
    found: list[int] = []
    while at < len(pieces) and _may_be_value(filling, at):
        proper = bool(found) and (pieces[found[0]].capital or pieces[found[0]].kind != "word")
        if pieces[at].preposition or (proper and pieces[at].kind == "word" and not pieces[at].capital):
            break
        found.append(at)
        if pieces[at].text.endswith(("'s", "’s")):
            break
        at += 1
    return found


def _beside_its_noun(filling: Filling, param: Param) -> list[int] | None:
    """`namespace jobs`, `the playlist called Morning`, `the payments namespace`."""
    if param.kind == "text":
        return None
    pieces = filling.said.pieces
    for at, piece in enumerate(pieces):
        if piece.kind != "word" or not set(piece.stems) & param.nouns:
            continue
        many = piece.plain.endswith("s") and not piece.plain.endswith("ss")
        after = at + 2 if filling.plain(at + 1) in _NAMING else at + 1
        if not many and after < len(pieces) and not (pieces[after].preposition or pieces[after].determiner):
            found = _phrase(filling, after)
            if found:
                return found
        introduced = at > 1 and (pieces[at - 2].determiner or pieces[at - 2].preposition)
        if introduced and _may_be_value(filling, at - 1):
            return [at - 1]
    return None


def _after_its_preposition(filling: Filling, param: Param) -> list[int] | None:
    """`from Berlin` for an origin, `in staging` for a namespace, `by Leonard Cohen` for an artist."""
    for at, piece in filling.left("word"):
        if piece.preposition and _has_role(param, piece.plain):
            found = _phrase(filling, at + 1)
            if found:
                return found
    return None


_TOPIC = frozenset(["about", "containing", "mentioning"])
_ABOUT = _TOPIC | {"on", "for", "called", "named", "titled", "of", "with", "like"}
_FORMED = frozenset(["id", "path"])


def _remaining(filling: Filling, param: Param) -> tuple[list[int], float]:
    """The best of what is left for a parameter that needs a value, and how much it speaks for the tool."""
    runs = list(_runs(filling))
    pieces = filling.said.pieces
    if param.kind == "text":
        for at, piece in filling.left("word"):
            found = _clause(filling, at + 1) if piece.plain in _ABOUT else []
            if found:
                return found, 0.3 if piece.plain in _TOPIC else 0.1
    formed = [run for run in runs if any(pieces[at].kind in _FORMED for at in run)]
    proper = [run for run in runs if any(pieces[at].capital for at in run) and run[0] > 0]
    after = [run for run in runs if run[0] and _behind_preposition(filling, run[0])]
    for choice, evidence in ((formed, 0.2), (proper, 0.2), (after, 0.1)):
        if choice:
            return choice[0], evidence
    longest = max(runs, key=len, default=[])
    everyday = all(concepts(part) for at in longest for part in pieces[at].stems)
    return longest, -0.4 if everyday else 0.0


def _behind_preposition(filling: Filling, at: int) -> bool:
    while at > 0 and filling.said.pieces[at - 1].determiner:
        at -= 1
    return at > 0 and filling.said.pieces[at - 1].preposition


def _runs(filling: Filling) -> Iterator[list[int]]:
    at = 0
    while at < len(filling.said.pieces):
        run = _phrase(filling, at)
        if run:
            yield run
        at = run[-1] + 1 if run else at + 1


def _clause(filling: Filling, at: int) -> list[int]:
    """Everything up to the end of the clause, small words at both ends left out."""
    end = at
    pieces = filling.said.pieces
    while end < len(pieces) and pieces[end].kind != "mark" and end not in filling.used:
        end += 1
    run = list(range(at, end))
    while run and (pieces[run[0]].stop or pieces[run[0]].preposition):
        run.pop(0)
    while run and (pieces[run[-1]].stop or pieces[run[-1]].preposition):
        run.pop()
    return run


def _written(filling: Filling, places: Sequence[int]) -> str:
    pieces = filling.said.pieces
    if len(places) == 1 and pieces[places[0]].kind in ("quoted", "hashtag"):
        return str(pieces[places[0]].value)
    text = filling.said.text[pieces[places[0]].start : pieces[places[-1]].end]
    return text.removesuffix("'s").removesuffix("’s")


_SEPARATORS = frozenset([",", "and", "or", "vs", "versus", "&"])


def enumeration(filling: Filling) -> list[tuple[JSON, list[int]]]:
    """The longest "a, b and c" of the request: each value, and where it stands."""
    best: list[tuple[JSON, list[int]]] = []
    current: list[tuple[JSON, list[int]]] = []
    run: list[int] = []
    for at, piece in enumerate([*filling.said.pieces, None]):
        if piece is not None and _may_be_value(filling, at):
            run.append(at)
            continue
        if run:
            current.append((_written(filling, run), run))
            run = []
        if piece is None or piece.lower not in _SEPARATORS:
            best, current = max(best, current, key=len), []
    return best
