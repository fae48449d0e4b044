"""The token budget of a prompt: what is left out when a conversation no longer fits.

The conversation itself keeps everything; only the prompt is shorter. What was left out stays out, also in the next
run on the same conversation, so that the prompt only grows again until it is full the next time: a server's cache
holds in between.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import pairwise
from typing import Any, Final, Literal, TypeAlias, get_args
from weakref import WeakKeyDictionary

from gemmagraph.errors import AgentError, ContextOverflow
from gemmagraph.events import ContextDropped
from gemmagraph.ledger import Ledger
from gemmagraph.prompts.messages import Image, Reply, Text, ToolResult, Turn, Usage
from gemmagraph.prompts.notations.writing import shown_json
from gemmagraph.prompts.prompt import Transcript
from gemmagraph.prompts.tokens import estimate
from gemmagraph.prompts.toolset import Toolset
from gemmagraph.tokens import Counter
from gemmagraph.transports import in_words

Overflow: TypeAlias = Literal["drop", "summarize", "refuse"]
Summarizer: TypeAlias = Callable[[Sequence[Turn]], "Awaitable[str] | str"]
"""Tells turns in short. The first of them may be what was told of those before."""

IMAGE_TOKENS: Final[Mapping[str, int]] = {"gemma": 256 + 6, "functiongemma": 0, "gemma4": 280 + 6}
"""Of a picture with the marks around it, by turn format: Gemma 3 and 3n always have 256, Gemma 4 at most 280 if
nobody sets `max_soft_tokens`."""

_NEAR: Final = 0.75
"""Share of the room from which on it is worth asking the backend how much it is."""
_SMALLEST: Final = 1_024
"""Tokens of a prompt that fits any window."""
_WORTH: Final = 12
"""Tokens that have to be won by putting a marker in the place of a result."""
_IN_SHORT: Final = 0.15
"""Share of the room that a summary may take."""
_MOST_PLANS: Final = 256
"""Times that something was left out, as far as it is remembered."""

_SUMMARY: Final = "[What was said before, in short] {}"
_TELL: Final = (
    "Below is the first part of a conversation. Write down in short what of it is needed to go on: what was asked "
    "for, what was found out and done, names, numbers, what is still open. At most {} words, no introduction.\n\n{}"
)


@dataclass(frozen=True, slots=True)
class Budget:
    """What becomes of a conversation that no longer fits the context window.

    Raises:
        AgentError: there is no such policy, or a share is none.
    """

    overflow: Overflow = "drop"
    """`drop` leaves out old results of tools first, then the oldest questions with all that belongs to them;
    `summarize` does so too, and has one turn tell in short what those questions came to; `refuse` raises
    `ContextOverflow`."""
    summarizer: Summarizer | None = None
    """Who tells in short; the model itself if None."""
    target: float = 0.7
    """Share of the room that is filled after something was left out."""
    margin: float = 0.02
    """Share of the window that stays free, for what the count does not see."""

    def __post_init__(self) -> None:
        if self.overflow not in get_args(Overflow):
            raise AgentError(f"overflow is {self.overflow!r}.", hint="Say drop, summarize or refuse.")
        if not (0 < self.target <= 1 and 0 <= self.margin < 1):
            raise AgentError("The target and the margin of a Budget are shares, such as 0.7.")


@dataclass(frozen=True, slots=True)
class Fitted:
    """A conversation that fits."""

    turns: Sequence[Turn]
    events: tuple[ContextDropped, ...] = ()
    counted: int = 0
    """Tokens that were counted, and that were estimated; none if it was clear without."""
    estimated: int = 0


class Window:
    """Keeps conversations within the context window of a model.

    Args:
        budget: what goes first.
        counter: counts.
        context: tokens of the window.
        reserved: tokens of it that the reply may take; at most half are kept for it.
        image: tokens of a picture.
        summarizer: tells turns in short, if the budget has nobody for that.
        settled: asks the server for the tokens of its window, if it is not for us to say: 0 if it has settled none,
            None if it cannot be asked now. It is asked when a small one would be full, and not before.
    """

    def __init__(
        self,
        budget: Budget,
        counter: Counter,
        *,
        context: int,
        reserved: int,
        image: int = IMAGE_TOKENS["gemma4"],
        summarizer: Summarizer | None = None,
        settled: Callable[[], Awaitable[int | None]] | None = None,
    ) -> None:
        self.budget = budget
        self.counter = counter
        self._settled = settled
        self._most_reserved = reserved
        self._measure(context)
        self._image = image
        self._summarizer = budget.summarizer or summarizer
        self._ledgers: WeakKeyDictionary[Transcript, Ledger] = WeakKeyDictionary()
        self._plans: OrderedDict[bytes, Mapping[int, Turn | None]] = OrderedDict()
        """What was put in the place of turns, by a digest of the conversation as it was then."""

    def _measure(self, context: int) -> None:
        self.context = context
        self.reserved = min(self._most_reserved, context // 2)
        self.room = context - self.reserved - round(self.budget.margin * context)
        """Tokens that a prompt may have."""
        self._short = round(_IN_SHORT * self.room)

    async def fit(self, turns: Sequence[Turn], transcript: Transcript) -> Fitted:
        """The conversation as it fits, and what had to be left out for that.

        Raises:
            ContextOverflow: it does not fit, whatever may be left out.
            BackendError: the model could not tell it in short.
        """
        ledger = self._ledger(turns, transcript)
        if self._settled is not None and not ledger.surely_below(_SMALLEST):
            window = await self._settled()
            if window is not None:
                self._settled = None
                self._measure(window or self.context)
        if ledger.surely_below(self.room):
            return Fitted(turns)
        ledger.measure()
        if ledger.total > _NEAR * self.room and self.counter.asks:
            await ledger.ask()
        events: list[ContextDropped] = []
        try:
            if ledger.total > self.room and self.budget.overflow != "refuse":
                events = await self._shorten(ledger)
            if ledger.total > self.room:
                raise self._overflow(ledger)
        except BaseException:
            del self._ledgers[transcript]  # what it has left out nobody was told of
            raise
        if events:
            self._remember(ledger)
        shown = ledger.shown() if ledger.changed else turns
        return Fitted(shown, tuple(events), ledger.counted, ledger.estimated)

    def learn(self, fitted: Fitted, usage: Usage | None) -> None:
        """Takes note of what the server counted in the prompt."""
        if usage is not None and usage.input_tokens and (fitted.counted or fitted.estimated):
            self.counter.learn(fitted.counted, fitted.estimated, usage.input_tokens)

    def _ledger(self, turns: Sequence[Turn], transcript: Transcript) -> Ledger:
        ledger = self._ledgers.get(transcript)
        if ledger is None or not ledger.goes_on(turns):
            ledger = Ledger(transcript.writer, self.counter, self._image)
            ledger.changed.update(self._recalled(turns))
            self._ledgers[transcript] = ledger
        ledger.take(turns)
        return ledger

    def _recalled(self, turns: Sequence[Turn]) -> Mapping[int, Turn | None]:
        """What was left out of this conversation the last time."""
        found: Mapping[int, Turn | None] = {}
        if self._plans:
            for digest in _digests(turns):
                found = self._plans.get(digest, found)
        return found

    def _remember(self, ledger: Ledger) -> None:
        *_, now = _digests(ledger.turns)
        while len(self._plans) >= _MOST_PLANS:
            self._plans.popitem(last=False)
        self._plans[now] = dict(ledger.changed)

    async def _shorten(self, ledger: Ledger) -> list[ContextDropped]:
        """Leaves out what goes first, until the prompt is well below the window."""
        questions = _questions(ledger)
        last, newest = questions[-1], _newest_results(ledger.turns)
        told = self.budget.overflow == "summarize" and self._summarizer is not None
        goal = round(self.budget.target * self.room)
        events = self._mark(ledger, set(range(ledger.system, last)) - newest, goal)
        before = ledger.total
        dropped = _cut(ledger, questions, goal - self._short if told else goal)
        if dropped:
            freed = before - ledger.total
            summary = await self._tell(ledger, dropped) if told else ""
            events.append(ContextDropped("turns", len(dropped), freed, self.room, summary))
        if ledger.total > self.room:  # what the model works on, only where nothing else is left
            events += self._mark(ledger, set(range(last, len(ledger.turns))) - newest, goal)
        return events + self._cut_results(ledger, newest)

    def _cut_results(self, ledger: Ledger, newest: Iterable[int]) -> list[ContextDropped]:
        """Cuts the newest results to what there is room for, the longest first: where nothing else is left to do."""
        before, count = ledger.total, 0
        for place in sorted(newest, key=lambda place: -ledger.tokens(place, place + 1)):
            turn, excess = ledger.part(place), ledger.total - self.room
            if excess <= 0 or turn is None:
                break
            share = 1 - (excess + _WORTH) / max(1, ledger.tokens(place, place + 1))
            ledger.put(place, replace(turn, parts=tuple(_shortened(part, max(0.1, share)) for part in turn.parts)))
            count += len(turn.parts)
        return [ContextDropped("results", count, before - ledger.total, self.room)] if count else []

    def _mark(self, ledger: Ledger, places: Iterable[int], goal: int) -> list[ContextDropped]:
        """Puts markers in the place of results, the oldest first."""
        before, count = ledger.total, 0
        for place in sorted(places):
            if ledger.total <= goal:
                break
            turn = ledger.part(place)
            if turn is None or turn.role != "tool" or place in ledger.changed:
                continue
            short = replace(turn, parts=tuple(map(_marker, turn.parts)), raw=None)
            if ledger.tokens(place, place + 1) - ledger.estimate(short) >= _WORTH:
                ledger.put(place, short)
                count += len(turn.parts)
        return [ContextDropped("results", count, before - ledger.total, self.room)] if count else []

    async def _tell(self, ledger: Ledger, dropped: Sequence[Turn]) -> str:
        """Has the turns that were left out told in short, in their place."""
        assert self._summarizer is not None
        written = self._summarizer(dropped)
        text = _cut_short((written if isinstance(written, str) else await written).strip(), self._short)
        if text:
            ledger.put(ledger.system, Turn("user", (Text(_SUMMARY.format(text)),)))
        return text

    def _overflow(self, ledger: Ledger) -> ContextOverflow:
        last, system = _questions(ledger)[-1], ledger.tokens(0, ledger.system)
        rest = ledger.tokens(last, len(ledger.turns))
        before = ledger.total - system - ledger.tools - rest
        return ContextOverflow(
            f"The prompt has about {ledger.total:,} tokens, and {self.room:,} of the {self.context:,} tokens of "
            f"context are left for it: {self.reserved:,} are kept for the reply. System text {system:,}, tools "
            f"{ledger.tools:,}, the last question and what came of it {rest:,}, what was before {max(0, before):,}.",
            hint="Take a larger context, fewer tools, a smaller max_tokens, or a shorter text.",
        )


def told_by(
    stream: Callable[[Sequence[Turn], Toolset], AsyncGenerator[Any, None]], has_room: Callable[[], int]
) -> Summarizer:
    """A summarizer that asks a model, by its `stream`, with at most half of the room at a time."""

    async def tell(turns: Sequence[Turn]) -> str:
        said, room = "", has_room()
        for text in _pieces([f"{turn.role}: {in_words(turn)}" for turn in turns], room // 2):
            asked = _TELL.format(max(40, room // 12), f"{said}\n\n{text}".strip())
            async with aclosing(stream([Turn("user", (Text(asked),))], Toolset())) as events:
                async for event in events:
                    if isinstance(event, Reply):
                        said = _cut_short(event.text, room // 4)
        return said

    return tell


def _cut_short(text: str, most: int) -> str:
    tokens = estimate(text)
    return text if tokens <= most else text[: len(text) * most // tokens] + " …"


def _pieces(texts: Sequence[str], most: int) -> Iterator[str]:
    """The texts joined, in pieces of about so many tokens."""
    together: list[str] = []
    tokens = 0
    for text in texts:
        size = estimate(text)
        if size > most:  # its beginning and its end say the most
            half = len(text) * most // size // 2
            text, size = f"{text[:half]}\n…\n{text[len(text) - half :]}", most
        if together and tokens + size > most:
            yield "\n\n".join(together)
            together, tokens = [], 0
        together.append(text)
        tokens += size
    yield "\n\n".join(together)


def _questions(ledger: Ledger) -> list[int]:
    """Where questions begin, the first thing said among them; each ends where the next begins. One that was never
    answered is one too."""
    turns, first = ledger.turns, ledger.system
    return [first] + [place for place in range(first + 1, len(turns)) if turns[place].role == "user"]


def _newest_results(turns: Sequence[Turn]) -> set[int]:
    """The results of the last calls."""
    end = next((place for place in range(len(turns), 0, -1) if turns[place - 1].role == "tool"), 0)
    begin = end
    while begin and turns[begin - 1].role == "tool":
        begin -= 1
    return set(range(begin, end))


def _cut(ledger: Ledger, questions: Sequence[int], goal: int) -> list[Turn]:
    """Leaves out the oldest questions with all that belongs to them; never the last."""
    dropped: list[Turn] = []
    for begin, end in pairwise(questions):
        if ledger.total <= goal:
            break
        for place in range(begin, end):
            turn = ledger.part(place)
            if turn is not None:
                dropped.append(turn)
                ledger.put(place, None)
    return dropped


def _marker(part: Any) -> Any:
    if not isinstance(part, ToolResult):
        return part
    content = part.content if isinstance(part.content, str) else str(part.content)
    return replace(part, content=f"[result dropped: {len(content):,} characters]")


def _shortened(part: Any, share: float) -> Any:
    """A result with its beginning and its end only, which say the most."""
    if not isinstance(part, ToolResult):
        return part
    content = part.content if isinstance(part.content, str) else shown_json(part.content)
    half = int(len(content) * share * 0.9) // 2
    end = len(content) - half
    return replace(part, content=f"{content[:half]}\n[… {end - half:,} characters left out …]\n{content[end:]}")


def _digests(turns: Sequence[Turn]) -> Iterator[bytes]:
    """One for each turn, over all up to it. What a turn's raw text is makes no difference."""
    chain = blake2b(digest_size=16)
    for turn in turns:
        chain.update(turn.role.encode())
        for part in turn.parts:
            chain.update(part.data if isinstance(part, Image) else repr(part).encode(errors="surrogatepass"))
        yield chain.digest()
