"""Recording what a model server says, and playing it back without one.

`Cassette` knows which recorded exchange answers a request; `RecordingBackend` stands in front of a backend and asks
it only for what is to be recorded. How a cassette lies on disk is in `cassettes`, what makes two
requests alike in `likeness`.
"""

from __future__ import annotations

import asyncio
import os
import re
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Final, Literal, NoReturn, TypeAlias, get_args
from urllib.parse import unquote

from gemmagraph.backends.base import Backend, Chunk, ModelInfo, Request, Transport
from gemmagraph.backends.recorded.cassettes import (
    ANEW,
    CassetteError,
    Exchange,
    Secrets,
    append,
    create,
    line_of,
    read,
)
from gemmagraph.backends.recorded.likeness import asked_for, difference, likeness, matched
from gemmagraph.errors import AgentError, BackendError, BackendUnavailable, ModelNotFound, Unauthorized
from gemmagraph.prompts.messages import JSON
from gemmagraph.tools.secrets import known_forms

RecordMode: TypeAlias = Literal["once", "new", "none", "all"]
"""What is asked of the server: everything if there is no file yet, else nothing; what the file does not hold;
nothing; everything, and the file is made anew."""

NOT_SET_UP: Final = (BackendUnavailable, ModelNotFound, Unauthorized)
"""Errors of a server that is not ready yet. They are kept only once it has replied: else the next run would be told
of them although all is well by then."""

PATIENCE: Final = 1.0
"""Seconds for which a reply that was left when it was recorded waits to be left again."""

_KEYS: Final = ("OLLAMA_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY", "HF_TOKEN")
_ADDRESSES: Final = ("OLLAMA_HOST", "OPENAI_BASE_URL")
_SHORTEST_SECRET: Final = 8
"""Characters; what is shorter, like the `EMPTY` that servers without keys are given, is a word and no secret."""


class NotRecorded(CassetteError):
    """A cassette does not hold what was asked for."""

    def __init__(self, message: str, *, hint: str = "", diff: str = "") -> None:
        super().__init__(message, hint=hint)
        self.diff = diff
        """From the nearest recorded request to this one."""
        if diff:
            self.add_note(diff)


class Cassette:
    """What is recorded in one file. Several models may share it, in several threads.

    Args:
        path: the file; it and its folder are made when the first reply is there.
        mode: what is asked of the server.
        mask: texts that must not come into the file, such as passwords. The key in use never does.
        ignore: patterns of what may differ between the recorded request and one that it answers, besides dates,
            times and ids.

    Raises:
        CassetteError: the file is there and is no cassette, or is damaged.
        AgentError: there is no such mode.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        mode: RecordMode = "once",
        mask: Iterable[str] = (),
        ignore: Iterable[str | re.Pattern[str]] = (),
    ) -> None:
        if mode not in get_args(RecordMode):
            raise AgentError(
                f"{mode!r} is no way to record.", hint=f"There are: {', '.join(map(repr, get_args(RecordMode)))}."
            )
        self.path = Path(path)
        self.mode = mode
        self._secrets = Secrets()
        self._known: tuple[tuple[str, str], ...] = ()
        """What is masked everywhere, as far as `_secrets` has it."""
        self.ignored: list[re.Pattern[str]] = []
        """What `ignore` has named."""
        self._lock = threading.Lock()
        there = mode != "all" and self.path.exists()
        self._exchanges = read(self.path) if there else []
        self._used: set[int] = set()
        """Lines."""
        self._matched: dict[int, JSON] = {}
        """By line: what a request must have in common with it."""
        self._asks = mode in ("new", "all") or (mode == "once" and not there)
        self._begun = there
        """Whether the file is there, and of this cassette."""
        self._number = max((exchange.number for exchange in self._exchanges), default=0)
        self._answered = False
        self._waiting: list[bytes] = []
        self.mask(*mask)
        self.ignore(*ignore)

    def mask(self, *secrets: str) -> None:
        """Keeps these texts, too, out of the file."""
        with self._lock:
            self._secrets.add(secrets)
            self._matched.clear()

    def ignore(self, *patterns: str | re.Pattern[str]) -> None:
        """Lets what these regular expressions match, too, differ from what was recorded."""
        with self._lock:
            self.ignored += [re.compile(pattern) for pattern in patterns]
            self._matched.clear()

    def unused(self) -> list[Exchange]:
        """The recorded replies that nobody has asked for yet."""
        return [each for each in self._exchanges if each.asked["asks"] == "reply" and each.line not in self._used]

    def recorded(self, asked: Mapping[str, JSON]) -> Exchange | None:
        """What was recorded of this: of several the same, the first that was not used yet. None if the server is to
        be asked.

        Raises:
            NotRecorded: it is not there, and the server is not to be asked.
        """
        with self._lock:
            self._learn()
            masked = self._secrets.masked(asked)
            wanted = matched(masked, self.ignored)
            alike = [each for each in self._exchanges if self._matched_of(each) == wanted]
            free = [each for each in alike if each.line not in self._used]
            if not free and asked["asks"] != "reply":
                free = alike[-1:]  # a fact does not wear out
            if free:
                found = min(free, key=lambda each: each.asked != masked)  # dates and ids may tell two apart after all
                self._used.add(found.line)
                return found
            if not self._asks:
                self._refuse(wanted, alike)
            return None

    def _learn(self) -> None:
        """Keeps out, too, what was read from secrets by now."""
        if (forms := known_forms()) is not self._known:
            self._known = forms
            self._secrets.add(form for form, _ in forms)
            self._matched.clear()

    def begin(self) -> int:
        """The number of an exchange that begins now."""
        with self._lock:
            self._number += 1
            return self._number

    def keep(self, exchange: Exchange) -> None:
        """Writes down an exchange.

        Raises:
            CassetteError: it cannot be written.
        """
        with self._lock:
            self._learn()
            self._waiting.append(line_of(exchange, self._secrets))
            self._answered = self._answered or not isinstance(exchange.error, NOT_SET_UP)
            if not self._answered:
                return
            lines, self._waiting = self._waiting, []
            if self._begun:
                append(self.path, lines)
            else:
                create(self.path, lines, instead=self.mode == "all")
                self._begun = True

    def _matched_of(self, exchange: Exchange) -> JSON:
        if exchange.line not in self._matched:
            self._matched[exchange.line] = matched(self._secrets.masked(exchange.asked), self.ignored)
        return self._matched[exchange.line]

    def _refuse(self, wanted: JSON, alike: list[Exchange]) -> NoReturn:
        if not self._begun:
            raise NotRecorded(f"There is no cassette {str(self.path)!r}, and nothing is to be recorded.", hint=ANEW)
        if alike:
            lines = ", ".join(str(each.line) for each in alike)
            raise NotRecorded(
                f"{self.path} holds {len(alike)} replies to this request (line {lines}), and it was made once more.",
                hint=ANEW,
            )
        if wanted["asks"] != "reply":
            what = f"the facts of {wanted['model']!r}" if "model" in wanted else "the list of models"
            raise NotRecorded(f"{self.path} does not hold {what}.", hint=ANEW)
        near = max(
            self.unused() or [each for each in self._exchanges if each.asked["asks"] == "reply"],
            key=lambda each: likeness(self._matched_of(each), wanted),
            default=None,
        )
        if near is None:
            raise NotRecorded(f"{self.path} holds no replies.", hint=ANEW)
        raise NotRecorded(
            f"{self.path} holds no reply to this request. The nearest, in line {near.line}, differs (see `diff`).",
            hint=ANEW,
            diff=difference(self._matched_of(near), wanted, f"{self.path}, line {near.line}"),
        )


class RecordingBackend:
    """A backend whose replies come from a cassette, or go into it."""

    name: str
    label: str
    transports: frozenset[Transport]
    read_only_tools: bool

    def __init__(self, backend: Backend, cassette: Cassette) -> None:
        self.backend = backend
        self.cassette = cassette
        self._asked = False
        self._look()

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        asked = asked_for(request, self.cassette.ignored)
        found = self.cassette.recorded(asked)
        chunks = self._ask(request, asked) if found is None else self._replay(found)
        async with aclosing(chunks):
            async for chunk in chunks:
                yield chunk

    async def models(self) -> list[ModelInfo]:
        return await self._facts({"asks": "models"}, self.backend.models)

    async def info(self, model: str) -> ModelInfo:
        async def ask() -> list[ModelInfo]:
            return [await self.backend.info(model)]

        return (await self._facts({"asks": "info", "model": model}, ask))[0]

    async def close(self) -> None:
        if self._asked:
            await self.backend.close()

    async def _ask(self, request: Request, asked: Mapping[str, JSON]) -> AsyncGenerator[Chunk, None]:
        number = self._begin()
        chunks: list[Chunk] = []
        error: BackendError | None = None
        left = True
        try:
            async with aclosing(self.backend.stream(request)) as stream:
                async for chunk in stream:
                    chunks.append(chunk)
                    left = chunk.stop is None  # nobody has to wait for what comes behind the last chunk
                    yield chunk
            left = False
        except BackendError as exc:
            error, left = exc, False
            raise
        except (GeneratorExit, asyncio.CancelledError):
            raise
        except BaseException:  # no answer of a server
            number = 0
            raise
        finally:
            self._look()
            if number:
                self.cassette.keep(Exchange(number, asked, tuple(chunks), error=error, left=left))

    async def _facts(
        self, asked: Mapping[str, JSON], ask: Callable[[], Awaitable[list[ModelInfo]]]
    ) -> list[ModelInfo]:
        found = self.cassette.recorded(asked)
        if found is not None:
            self._fail_as_recorded(found)
            return list(found.models)
        number = self._begin()
        try:
            models = await ask()
        except BackendError as exc:
            self.cassette.keep(Exchange(number, asked, error=exc))
            raise
        finally:
            self._look()
        self.cassette.keep(Exchange(number, asked, models=tuple(models)))
        return models

    async def _replay(self, found: Exchange) -> AsyncGenerator[Chunk, None]:
        for chunk in found.chunks:
            yield chunk
            await asyncio.sleep(0)
        self._fail_as_recorded(found)
        if found.left:
            await asyncio.sleep(PATIENCE)
            raise NotRecorded(
                f"The reply in line {found.line} of {self.cassette.path} was left before its end when it was "
                "recorded, and now it is waited for.",
                hint=ANEW,
            )

    def _fail_as_recorded(self, found: Exchange) -> None:
        if found.error is not None:
            error = type(found.error)(found.error.message, hint=found.error.hint)
            error.usage = found.error.usage
            error.add_note(f"Nobody was asked: this is line {found.line} of {self.cassette.path}. {ANEW}")
            raise error

    def _begin(self) -> int:
        self._asked = True
        return self.cassette.begin()

    def _look(self) -> None:
        """What the backend says of itself; some learn it when they ask."""
        self.name, self.label = self.backend.name, self.backend.label
        self.transports, self.read_only_tools = self.backend.transports, self.backend.read_only_tools


def recorded(
    backend: Backend,
    record: str | os.PathLike[str] | Cassette | None,
    mode: RecordMode | None,
    *,
    api_key: str | None = None,
    base_url: str | None = None,
) -> RecordingBackend:
    """`backend`, with its replies from `record` or into it; the key in use is kept out of the file.

    Raises:
        CassetteError: the file is damaged.
        AgentError: `mode` is none, or there is nothing that it could be of.
    """
    if record is None or (isinstance(record, Cassette) and mode is not None):
        raise AgentError(
            f"record_mode={mode!r} belongs to a file.", hint="Say record=FILE, or give the mode to the Cassette."
        )
    cassette = record if isinstance(record, Cassette) else Cassette(record, mode=mode or "once")
    cassette.mask(*_secrets_in_use(api_key, base_url))
    return RecordingBackend(backend, cassette)


def _secrets_in_use(api_key: str | None, base_url: str | None) -> list[str]:
    """Keys, and passwords in addresses."""
    keys = [api_key or "", *(os.environ.get(name, "") for name in _KEYS)]
    for address in (base_url or "", *(os.environ.get(name, "") for name in _ADDRESSES)):
        if login := re.match(r"(?:.*//)?[^/@:]*:([^/@]+)@", address):
            keys += [login[1], unquote(login[1])]
    return [key for key in map(str.strip, keys) if len(key) >= _SHORTEST_SECRET]
