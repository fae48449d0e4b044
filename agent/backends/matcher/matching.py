"""Which tool a request asks for, by the words they share: no language model.

A tool scores for each word of the request that its name, description, parameters or examples have too, by
the same stem or the same meaning, rare words counting more; for values that its parameters can take; and
loses for words that nothing explains. Requests to leave tools alone, to change something, to write or to
explain are not matched at all.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gemmagraph.backends.matcher.filling import fill
from gemmagraph.backends.matcher.mentions import Piece, Said, stems_of
from gemmagraph.backends.matcher.params import Filling, Param, params_of
from gemmagraph.prompts.errors import InvalidArguments
from gemmagraph.prompts.messages import JSON, ToolSpec
from gemmagraph.prompts.toolset import Toolset
from gemmagraph.tools.selection.words import STOP_WORDS, concepts, phrase_concepts, stem, word_set


@dataclass(frozen=True, slots=True)
class Match:
    """The call that a request asks for."""

    tool: str
    arguments: Mapping[str, JSON]


@dataclass(frozen=True, slots=True)
class Incomplete:
    """A tool fits the request, but the request lacks values it cannot run without."""

    tool: str
    missing: tuple[Param, ...]


THRESHOLD = 0.55
"""The least score of a call."""
COMMON = 0.25
"""What a word that every tool has is worth, next to one that only one tool has."""
SAME_MEANING = 0.75
SAME_PHRASE = 0.9
"""What another word, or a phrase, of the same meaning is worth, next to the word itself."""
IN_VALUE = 0.3
"""What a word is worth that is part of a value as well."""
WHOLE_NAME = 0.3
"""For a request that says every word of a tool's name."""
UNEXPLAINED = 0.35
"""The loss for one word that neither names the tool nor is a value; each further one costs a little less."""
UNFILLED = 0.6
"""The loss for a required parameter without value."""
CANDIDATES = 8
"""How many tools, best words first, are looked at closely."""
LONGEST = 4_000
"""Characters of a request; more is no request for one tool, but a text about something."""
MOST_PARTS = 4
"""How many requests may be joined in one."""


class Matcher:
    """Matches requests to the tools of one toolset."""

    def __init__(self, tools: Toolset) -> None:
        self.tools = tools
        self._entries = [_Entry(spec) for spec in tools]
        shares: dict[str, float] = {}
        for entry in self._entries:
            for key, weight in entry.keys.items():
                shares[key] = shares.get(key, 0.0) + weight
        most = len(self._entries) + 1
        self._rarity = {
            key: COMMON + (1 - COMMON) * math.log(most / max(share, 1.0), most) for key, share in shares.items()
        }
        self._verbs = frozenset(verb for entry in self._entries for verb in entry.verbs)

    def match(self, request: str) -> tuple[Match, ...] | Incomplete | None:
        """The calls the request asks for: usually one; one for each part if several requests are joined."""
        if len(request) > LONGEST or is_declined(request) or _is_for_no_tool(request, self._verbs):
            return None
        parts = _parts(request)
        if 1 < len(parts) <= MOST_PARTS:
            found = [self._match_one(part) for part in parts]
            matches = tuple(one for one in found if isinstance(one, Match))
            if len(matches) == len({one.tool for one in matches}) == len(parts):
                return matches
        whole = self._match_one(request)
        return (whole,) if isinstance(whole, Match) else whole

    def _match_one(self, request: str) -> Match | Incomplete | None:
        said = Said(request)
        meanings = [_meanings(said.pieces, at) for at in range(len(said.pieces))]
        ranked = sorted(self._entries, key=lambda entry: -sum(self._worth(entry, keys) for keys in meanings))
        judged = [(entry, *self._judge(entry, said, meanings)) for entry in ranked[:CANDIDATES]]
        if not judged:
            return None
        entry, score, filling = max(judged, key=lambda one: one[1])
        if score < THRESHOLD:
            return None
        if filling.missing:
            return Incomplete(entry.spec.name, filling.missing)
        try:
            return Match(entry.spec.name, self.tools.check(entry.spec.name, filling.arguments))
        except InvalidArguments:
            return None

    def _worth(self, entry: _Entry, keys: Mapping[str, float]) -> float:
        """What a word of the request says for a tool."""
        shared = (weight * entry.keys[key] * self._rarity[key] for key, weight in keys.items() if key in entry.keys)
        return max(shared, default=0.0)

    def _judge(self, entry: _Entry, said: Said, meanings: Sequence[Mapping[str, float]]) -> tuple[float, Filling]:
        """How well a tool fits, and with which arguments."""
        matched = frozenset(at for at, keys in enumerate(meanings) if not entry.keys.keys().isdisjoint(keys))
        filling = fill(entry.params, said, matched)
        score = filling.evidence - UNFILLED * len(filling.missing)
        counted: set[str] = set()
        unexplained = 0.0
        for at, piece in enumerate(said.pieces):
            worth = self._worth(entry, meanings[at])
            if at in filling.used:
                score += worth * IN_VALUE
            elif at in matched:
                best = max((key for key in meanings[at] if key in entry.keys), key=entry.keys.__getitem__)
                score += worth if best not in counted else 0.0
                counted.add(best)
            elif not piece.stop and piece.plain not in _HERE:
                unexplained += 1.0 if piece.kind in ("word", "number") else 2.5
        score -= UNEXPLAINED * unexplained**0.7
        named = {part for at in matched - filling.used for part in said.pieces[at].stems}
        if entry.name and entry.name <= named and not filling.missing:
            score += WHOLE_NAME
        return score, filling


class _Entry:
    """A tool's words, by stem and by concept, with their weight; and its parameters."""

    __slots__ = ("keys", "name", "params", "spec", "verbs")

    def __init__(self, spec: ToolSpec) -> None:
        self.spec = spec
        self.params = params_of(spec)
        self.keys: dict[str, float] = {}
        name = re.sub(r"([a-z\d])([A-Z])", r"\1 \2", spec.name)
        self.name = {stem(word) for word in re.findall(r"[^\W_]+", name) if word.lower() not in STOP_WORDS}
        self._add(name, 1.0)
        self._add(spec.description.split("\n\n")[0], 0.7)
        for param in self.params:
            self._add(param.name, 0.4)
            self._add(param.meaning, 0.2)
            self._add(" ".join(map(str, param.schema.get("enum", ()))), 0.4)
        for example in spec.examples:
            self._add(str(example.get("user", "")), 0.8)
        starts = (re.match(r"[\W_]*([A-Za-z]+)", text) for text in (name, spec.description))
        # As an order would begin: "Add tax", not "Commits of a file".
        self.verbs = {start[1].lower() for start in starts if start}

    def _add(self, text: str, weight: float) -> None:
        words = re.findall(r"[^\W_]+(?:['’-][^\W_]+)*", text)
        stems = [one for word in words if word.lower() not in STOP_WORDS for one in stems_of(word)]
        for at, word in enumerate(stems):
            said = weight * (0.3 if word in _VAGUE and weight < 1.0 else 0.5 if word in _LOOKING else 1.0)
            for key in (word, *concepts(word), *phrase_concepts(word, tuple(stems[at + 1 : at + 3]))):
                self.keys[key] = max(self.keys.get(key, 0.0), said)


_VAGUE = frozenset(map(stem, word_set("word text name number title value item id kind string input")))
"""Words that descriptions of all sorts of tools have."""
_LOOKING = frozenset(map(stem, word_set("find search lookup check fetch query retrieve view read display")))
"""What most tools do; it hardly says which is meant."""
_HERE = word_set("machine computer system box server pc laptop device app application bot assistant")
"""Where a request is asked; it does not matter that a tool's words do not say so."""


def _meanings(pieces: Sequence[Piece], at: int) -> dict[str, float]:
    """What the piece at a place may stand for, and how surely: itself, what means the same, the phrase it
    begins with one of the next two."""
    piece = pieces[at]
    if piece.kind not in ("word", "id"):
        return {}
    keys: dict[str, float] = {}
    following = tuple(stem(nearby.plain) for nearby in pieces[at + 1 : at + 3])
    for word in (stem(piece.plain),) if piece.stop else piece.stems:
        keys |= dict.fromkeys(() if piece.stop else concepts(word), SAME_MEANING)
        keys |= dict.fromkeys(phrase_concepts(word, following), SAME_PHRASE)
        keys |= {} if piece.stop else {word: 1.0}
    return keys


# --- requests that are not for tools ----------------------------------------------------------------------

_POLITE = (
    r"(?:(?:please|hey|hi|hello|ok|okay|now|then|and|just|kindly|let's|"
    r"(?:can|could|would|will|should)\s+you|i\s+want\s+you\s+to|i\s+need\s+you\s+to|i'd\s+like\s+you\s+to)[\s,]+)*"
)

_DECLINED = re.compile(
    rf"""
      (?:^|[.,;:!?]\s*|\b(?:please|but|so|and|just)\s+){_POLITE}(?:do\s+not|don'?t|never)\b
        (?!\s+(?:know|remember|have|see|think|understand|forget|hesitate|worry))
    | \bwithout\s+(?:(?:using|calling|running|checking|looking|searching|touching)|(?:any\s+|the\s+)?tools?)\b
    | \bdo(?:\s+not|n'?t)\s+want\s+(?:you\s+to|any)\b | \bno\s+(?:need|reason)\s+to\b | \bno\s+tools?\b
    | \bnever\s*mind\b | \bleave\b.{{1,60}}\balone\b
    | \brather\s+(?:not\b|(?:you|we)\s+(?:did|do)\s*n[o']) | \bstop\s+(?:using|calling|checking|looking)\b
    | \byou\s+(?:(?:must|should|need)\s*n[o']t|(?:may|can)\s*not|do\s*n[o']t\s+(?:need|have)\s+to)\b
    """,
    re.VERBOSE,
)

_SMALL_TALK = re.compile(
    rf"""
      ^{_POLITE}(?:why|how\s+come|should\s+(?:i|we))\b | \bshould\s+i\b | \bjust\s+explain\b
    | ^(?:what|who)(?:'s|\s+is|\s+are)\s+(?:an?|your)\s+\w+(?:\s+\w+)?\W*$
    | ^how\s+do(?:es)?\s+(?:an?\s|.{{1,40}}\bwork\b)
    | ^(?:who|how|what)\s+are\s+you\b | ^what\s+can\s+you\s+do\b
    | ^(?:thanks|thank\s+you|hi|hello|hey|bye|good\s+(?:morning|evening|afternoon|night))
      (?:\s+(?:there|all|everyone|again|so|very|much|a|lot))*\W*$
    | ^(?:very\s+)?(?:nice|good|great|well|fine|cool|perfect|excellent|awesome|sorry)(?:\s+\w+)?\W*$
    | ^i(?:'m|\s+am)\s+(?!look|search|try|interest|wonder|curious|after\b|plan)[^?]*$
    | ^i\s+(?:like|love|hate|missed|feel|think|don'?t\s+like|dislike)\b[^?]*$
    | ^{_POLITE}make\s+(?:it|me|an?)\b | ^{_POLITE}(?:turn|switch)\b.*\b(?:on|off|up|down)\b
    """,
    re.VERBOSE,
)

_NO_QUESTIONS = word_set(
    """
    add advise alter append apply approve archive arrange assign ban buy cancel clear configure create
    decrease delete deploy disable discuss dismiss drop edit email enable erase explain fire fix forward
    hire imagine increase insert install invite kill launch lower modify move mute overwrite pause pay
    play pretend prove publish purge push reboot recommend reject remember remind remove rename reorder
    repair reply reschedule reserve reset resize restart restore resume revert rollback scale send shut
    start stop submit subscribe suggest summarise summarize suspend teach terminate transfer trigger
    truncate uninstall unlock unsubscribe update upgrade upload wipe
    """
)
"""Verbs that ask for a change, or for talk, when a request begins with them."""
_MAYBE_NO_QUESTIONS = word_set(
    """
    block book clean close commit compose design draft draw invent lock log mail merge order paint patch
    post print record save schedule set share sign sing text write
    """
)
"""The same when an object follows; else they may be nouns."""
_OBJECTS = word_set(
    "a all an another every everything her him it me my our some something that the them these this those us"
)


def is_declined(request: str) -> bool:
    """Whether the person asks not to use tools."""
    return _DECLINED.search(_plain(request)) is not None


def _is_for_no_tool(request: str, verbs: frozenset[str]) -> bool:
    """Whether it is small talk, or begins with an order that is no tool's; `verbs` are those of the tools."""
    text = _plain(request)
    if _SMALL_TALK.search(text):
        return True
    first = re.match(rf"{_POLITE}(?P<verb>[a-z]+)(?:\s+(?P<next>[a-z]+))?", text)
    if first is None or first["verb"] in verbs:
        return False
    object_follows = first["next"] in _OBJECTS
    return first["verb"] in _NO_QUESTIONS or (first["verb"] in _MAYBE_NO_QUESTIONS and object_follows)


def _plain(request: str) -> str:
    return _without_quotes(request).strip().lower().replace("’", "'")


def _without_quotes(request: str) -> str:
    """The same, as long, with nothing inside its quotes."""
    return re.sub(r'"[^"]*"|“[^”]*”', lambda quote: "_" * len(quote.group()), request)


def _parts(request: str) -> list[str]:
    """The requests that are joined in this one, quotes left whole."""
    parts, start = [], 0
    for joint in re.finditer(r"\s*;\s*|,?\s+and(?:\s+(?:then|also))?\s+", _without_quotes(request)):
        parts.append(request[start : joint.start()])
        start = joint.end()
    return [part for part in (*parts, request[start:]) if part.strip()]
