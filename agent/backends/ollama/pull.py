"""Ollama gets a model from its registry: what it tells meanwhile, added up, and what its refusals mean.

The server keeps what has come, so a connection that breaks is made anew and the download goes on from there.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from gemmagraph.errors import (
    BackendError,
    BackendTimeout,
    BackendUnavailable,
    BadRequest,
    ModelNotFound,
    ServerError,
    TruncatedReply,
    Unauthorized,
)

if TYPE_CHECKING:
    import ollama

TRIES: Final = 7
"""Connections in a row that may break without a byte having come; with the pauses, half a minute."""
SILENCE: Final = 600.0
"""Seconds without a word. Long: while it verifies a large model on a slow disk the server says nothing."""
LINE: Final = 64 * 1024
"""Bytes in a line; Ollama's have some hundred."""
MOST_IDLE: Final = 20_000
"""Lines in a row that tell nothing new: where nothing comes, Ollama says so some sixteen times a second."""
MOST_NEWS: Final = 1_000
"""Layers, and things that are done; a model has about ten of each."""
_GOES_ON: Final = "Run it again: it goes on where it stopped."


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a model has come, all its layers together."""

    doing: str
    """The server's words: `pulling manifest`, `verifying sha256 digest` …"""
    done: int = 0
    total: int = 0
    """Bytes of the layers that the server has named so far; the large ones come first."""
    fresh: int = 0
    """Bytes that came since we look; the rest of `done` was there before."""
    notice: str = ""
    """Something the user should know: that the connection broke."""


@dataclass(slots=True)
class Layers:
    """The layers of a model as the server reports them."""

    total: dict[str, int] = field(default_factory=dict)
    done: dict[str, int] = field(default_factory=dict)
    fresh: int = 0
    _met: set[str] = field(default_factory=set)
    """Layers of which this connection has told: what the first report says was there before."""
    _doings: set[str] = field(default_factory=set)
    _idle: int = 0
    """Lines since the last that told something new."""

    def take(self, state: ollama.ProgressResponse, label: str) -> Progress:
        """What a line tells, all layers together.

        Raises:
            ServerError: the server, which errors call `label`, tells of no end of things, or of nothing.
        """
        before = self.fresh, len(self._doings), len(self.total)
        self._count(state)
        self._doings.add(state.status or "")
        news = self.fresh, len(self._doings), len(self.total)
        self._idle = self._idle + 1 if news == before else 0
        if self._idle > MOST_IDLE or max(news[1:]) > MOST_NEWS:
            what = f"{MOST_IDLE:,} times in a row nothing new" if self._idle else f"of more than {MOST_NEWS:,} layers"
            raise ServerError(f"{label} told {what}.", hint=f"Check the address, and look at its log. {_GOES_ON}")
        return self.now(state.status or "")

    def _count(self, state: ollama.ProgressResponse) -> None:
        if state.total:
            layer, done = state.digest or state.status or "", min(state.completed or 0, state.total)
            if layer in self._met:
                self.fresh += max(done - self.done[layer], 0)
            self._met.add(layer)
            self.total[layer], self.done[layer] = state.total, done

    def now(self, doing: str, notice: str = "") -> Progress:
        return Progress(doing, sum(self.done.values()), sum(self.total.values()), self.fresh, notice)

    def connected_anew(self) -> None:
        self._met.clear()


async def pulled(
    connect: Callable[[float], AbstractAsyncContextManager[ollama.AsyncClient]],
    model: str,
    label: str,
    pause: float,
) -> AsyncGenerator[Progress, None]:
    """What the server tells while it gets a model; returns when it has it.

    Args:
        connect: makes a client that waits so many seconds for the next word, takes no endless line, and raises our
            errors.
        label: how errors call the server.
        pause: seconds in front of the second try; doubles with each further one.

    Raises:
        BackendError: it did not get it.
    """
    layers = Layers()
    begun, failures, got = False, 0, 0
    while True:
        try:
            async with connect(SILENCE) as client, aclosing(_told(client, model, label, begun)) as states:
                async for state in states:
                    begun = True
                    yield layers.take(state, label)
                    if state.status == "success":
                        return
                raise TruncatedReply("It ended without saying that it is done.")
        except (BackendUnavailable, BackendTimeout, TruncatedReply) as exc:
            failures, got = (failures + 1, got) if layers.fresh == got else (1, layers.fresh)
            if not begun:
                raise
            if failures == TRIES:
                raise TruncatedReply(
                    f"The connection to {label} broke {TRIES} times in a row.", hint=_GOES_ON
                ) from exc
        yield layers.now("connecting again", f"The connection to {label} broke; it is made anew.")
        layers.connected_anew()
        await asyncio.sleep(pause * 2 ** (failures - 1) * random.uniform(0.5, 1))


async def _told(
    client: ollama.AsyncClient, model: str, label: str, begun: bool
) -> AsyncGenerator[ollama.ProgressResponse, None]:
    """What one connection brings."""
    import ollama

    try:
        async for state in await client.pull(model, stream=True):
            begun = True
            yield state
    except ollama.ResponseError as exc:
        if exc.status_code in (-1, 400, 500):  # -1: an error line behind status 200
            raise _refusal(str(exc.error), model, label) from exc
        raise
    except ValueError as exc:
        if not begun:
            raise
        raise TruncatedReply("A line was cut.") from exc


def _refusal(words: str, model: str, label: str) -> BackendError:
    """The error that the server's words describe."""
    said = re.sub(r"\?[^\s\"']*", "", " ".join(words.split()))[:300].rstrip(".")  # URLs with signatures
    lower = said.lower()
    if re.search(r"file does not exist|not found|invalid model name", lower):
        return ModelNotFound(f"{label} knows no model {model!r} to pull.", hint="Look at the name.")
    if "no space left" in lower:
        return ServerError(
            f"{label} has no space left for {model!r}.",
            hint=f"Free some on the disk where it keeps its models (OLLAMA_MODELS). {_GOES_ON}",
        )
    if "newer version" in lower:
        return BadRequest(f"{model!r} needs a newer Ollama than {label}.", hint="Get it: https://ollama.com/download")
    if re.search(r"unauthorized|access denied|forbidden", lower):
        return Unauthorized(
            f"{label} may not pull {model!r}: {said}.",
            hint="Look at the name, or sign in there: ollama signin",
        )
    if re.search(r"max retries|eof\b|timeout|no such host|dial tcp|connection (?:reset|refused)|tls|network", lower):
        return ServerError(
            f"{label} does not get through to the registry: {said}.",
            hint=f"Look at its network and at its disk. {_GOES_ON}",
        )
    return ServerError(f"{label} could not pull {model!r}: {said}.", hint=f"Look at its log. {_GOES_ON}")
