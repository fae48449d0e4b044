"""Cassettes: files that keep what a model server was asked and what it said, one exchange a line, as JSON.

    {"cassette": 1}
    {"number": 1, "asked": {"asks": "reply", "model": "gemma3:4b", "prompt": "…"}, "chunks": [{"text": "He"}, …]}

The lines stand in the order in which replies ended, `number` counts in the order in which they were asked for. A line
is written at once and whole, and the first ones come with the file, so that there is no half a cassette. Only its
owner may read it: prompts hold what people said. What a request has to have in common with a recorded one is decided
in `gemmagraph.backends.recorded.recording`.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from gemmagraph import errors
from gemmagraph.backends.base import Chunk, ModelInfo, ServerCall
from gemmagraph.errors import AgentError, BackendError
from gemmagraph.prompts.messages import JSON, Usage

VERSION: Final = 1
MASK: Final = "<masked>"
ANEW: Final = 'Record it anew: delete the file, or say record_mode="all" (pytest: --gemmagraph-record=all).'


class CassetteError(AgentError):
    """A cassette cannot be read or written, or does not hold what was asked for. Nothing recovers from it."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """What was asked, and all that came back."""

    number: int
    asked: Mapping[str, JSON]
    """`asks` says what for: `reply`, `info` or `models`."""
    chunks: tuple[Chunk, ...] = ()
    models: tuple[ModelInfo, ...] = ()
    error: BackendError | None = None
    """What ended it."""
    left: bool = False
    """Whether whoever asked did not wait for the end."""
    line: int = 0
    """Where it stands in its file."""


class Secrets:
    """Texts that must not come into a file."""

    def __init__(self) -> None:
        self._spellings: set[str] = set()
        self._pattern: re.Pattern[str] | None = None

    def add(self, secrets: Iterable[str]) -> None:
        for secret in filter(None, secrets):
            written = {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
            self._spellings |= {secret, quote(secret, safe=""), *written}
        longest_first = sorted(self._spellings, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def masked(self, value: JSON) -> JSON:
        """A JSON value without them."""
        if self._pattern is None:
            return value
        return mapped(value, lambda text: self._pieces([text])[0])

    def masked_chunks(self, chunks: Sequence[Chunk]) -> tuple[Chunk, ...]:
        """The same chunks without them: one that spans chunks is found too, and the borders stay."""
        texts, thoughts = (self._pieces([getattr(chunk, name) for chunk in chunks]) for name in ("text", "thought"))
        return tuple(
            replace(chunk, text=text, thought=thought, notice=self.masked(chunk.notice), calls=self._calls(chunk))
            for chunk, text, thought in zip(chunks, texts, thoughts, strict=True)
        )

    def _calls(self, chunk: Chunk) -> tuple[ServerCall, ...]:
        return tuple(ServerCall(self.masked(call.name), self.masked(call.arguments)) for call in chunk.calls)

    def _pieces(self, pieces: list[str]) -> list[str]:
        whole = "".join(pieces)
        spans = [found.span() for found in self._pattern.finditer(whole)] if self._pattern else []
        if not spans:
            return pieces
        shown = []
        end = 0
        for piece in pieces:
            start, end = end, end + len(piece)
            at, kept = start, ""
            for first, last in spans:
                if first < end and last > start:
                    kept += whole[at:first] + (MASK if first >= start else "")
                    at = min(last, end)
            shown.append(kept + whole[at:end])
        return shown


def mapped(value: JSON, change: Callable[[str], str]) -> JSON:
    """A JSON value with `change` made to every text in it, in the order in which they stand there."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {mapped(key, change): mapped(inner, change) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [mapped(inner, change) for inner in value]
    return value


# --- the file -------------------------------------------------------------------------------------------


def read(path: Path) -> list[Exchange]:
    """What a cassette holds, in the order in which it was asked.

    Raises:
        CassetteError: the file cannot be read, or a line in it is no exchange; says which.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as exc:
        raise CassetteError(f"The cassette {str(path)!r} cannot be read: {exc.strerror}.") from exc
    version = _parsed(path, 1, lines, "cassette")["cassette"]
    if version != VERSION:
        raise CassetteError(f"{path} is a cassette of version {version!r}, not {VERSION}.", hint=ANEW)
    found = []
    for number, line in enumerate(lines[1:], 2):
        if line.strip():
            try:
                found.append(_exchange(_parsed(path, number, lines, "asked"), number))
            except (ValueError, TypeError, LookupError, AttributeError) as exc:
                raise CassetteError(f"{path}, line {number} is no exchange: {exc}.", hint=ANEW) from exc
    return sorted(found, key=lambda exchange: exchange.number)


def create(path: Path, lines: Iterable[bytes], *, instead: bool) -> None:
    """Makes a cassette of these lines, all at once.

    Args:
        instead: whether it may take the place of another.

    Raises:
        CassetteError: there is one, or it cannot be written.
    """
    header = json.dumps({"cassette": VERSION}).encode() + b"\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not instead and path.exists():
            raise CassetteError(
                f"Somebody else has written the cassette {str(path)!r} meanwhile.",
                hint="Give the same Cassette object to all that record into one file.",
            )
        descriptor, part = tempfile.mkstemp(prefix=".cassette-", dir=path.parent)  # only its owner may read it
        try:
            with open(descriptor, "wb") as file:
                file.writelines((header, *lines))
            os.replace(part, path)
        except BaseException:
            os.unlink(part)
            raise
    except OSError as exc:
        raise _unwritable(path, exc) from exc


def append(path: Path, lines: Iterable[bytes]) -> None:
    """Adds lines to a cassette, whole or not at all.

    Raises:
        CassetteError: it cannot be written.
    """
    rest = memoryview(b"".join(lines))
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | getattr(os, "O_BINARY", 0))
        try:
            size = os.lseek(descriptor, -1, os.SEEK_END) + 1
            if os.read(descriptor, 1) != b"\n":  # an editor has taken it
                rest = memoryview(b"\n" + rest)
            try:
                while rest:
                    rest = rest[os.write(descriptor, rest) :]
            except OSError:
                os.ftruncate(descriptor, size)
                raise
        finally:
            os.close(descriptor)
    except OSError as exc:
        raise _unwritable(path, exc) from exc


def line_of(exchange: Exchange, secrets: Secrets) -> bytes:
    """The line that keeps an exchange."""
    line: dict[str, JSON] = {"number": exchange.number, "asked": secrets.masked(exchange.asked)}
    if exchange.chunks:
        line["chunks"] = [_short(chunk) for chunk in secrets.masked_chunks(exchange.chunks)]
    if exchange.models:
        line["models"] = secrets.masked([_short(model) for model in exchange.models])
    if (error := exchange.error) is not None:
        kind = next(kind for kind in type(error).__mro__ if getattr(errors, kind.__name__, None) is kind)
        said = {"kind": kind.__name__, "message": error.message, "hint": error.hint}
        line["error"] = secrets.masked(said) | ({"usage": asdict(error.usage)} if error.usage else {})
    if exchange.left:
        line["left"] = True
    try:
        return json.dumps(line, ensure_ascii=False, default=repr).encode() + b"\n"
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can spell and UTF-8 cannot
        return json.dumps(line, default=repr).encode() + b"\n"


def _parsed(path: Path, number: int, lines: Sequence[bytes], key: str) -> dict[str, JSON]:
    """The object in a line, which has `key`."""
    try:
        value = json.loads(lines[number - 1])
    except (ValueError, RecursionError) as exc:
        if number == 1 or number < len(lines):
            raise _broken(path, number, "is no JSON") from exc
        raise _broken(path, number, "is cut") from exc
    if not isinstance(value, dict) or key not in value:
        raise _broken(path, number, f"has no {key!r}")
    return value


def _broken(path: Path, number: int, how: str) -> CassetteError:
    if number == 1:
        return CassetteError(f"{path} is no cassette: its first line {how}.", hint=ANEW)
    return CassetteError(f"{path}, line {number} {how}.", hint=ANEW)


def _unwritable(path: Path, exc: OSError) -> CassetteError:
    return CassetteError(f"The cassette {str(path)!r} cannot be written: {exc.strerror}.")


def _short(value: Chunk | ModelInfo) -> dict[str, JSON]:
    """Its fields but for those that say nothing."""
    given = {each.name for each in fields(value) if getattr(value, each.name) != each.default}
    return {
        name: sorted(inner) if isinstance(inner, frozenset) else inner
        for name, inner in asdict(value).items()
        if name in given
    }


def _exchange(line: Mapping[str, JSON], number: int) -> Exchange:
    """What a line keeps.

    Raises:
        ValueError, TypeError, LookupError, AttributeError: it is of another shape.
    """
    error = None
    if written := line.get("error"):
        kind = getattr(errors, written["kind"])
        if not issubclass(kind, BackendError):
            raise ValueError(f"{written['kind']!r} is no kind of error")
        error = kind(written["message"], hint=written.get("hint", ""))
        error.usage = Usage(**cost) if (cost := written.get("usage")) else None
    if not isinstance(line["asked"], dict) or line["asked"].get("asks") not in ("reply", "info", "models"):
        raise ValueError("it does not say what was asked")
    if line["asked"]["asks"] == "info" and not error and not line.get("models"):
        raise ValueError("it has no facts of the model")
    return Exchange(
        number=int(line["number"]),
        asked=line["asked"],
        chunks=tuple(_chunk(**chunk) for chunk in line.get("chunks", ())),
        models=tuple(_model(**model) for model in line.get("models", ())),
        error=error,
        left=bool(line.get("left")),
        line=number,
    )


def _chunk(usage: Mapping[str, int] | None = None, calls: Iterable[Mapping[str, Any]] = (), **rest: Any) -> Chunk:
    chunk = Chunk(usage=Usage(**usage) if usage else None, calls=tuple(ServerCall(**call) for call in calls), **rest)
    if not all(isinstance(text, str) for text in (chunk.text, chunk.thought, chunk.notice)):
        raise ValueError("a text is none")
    return chunk


def _model(capabilities: Iterable[str] = (), constraints: Iterable[Any] = (), **rest: Any) -> ModelInfo:
    return ModelInfo(capabilities=tuple(capabilities), constraints=frozenset(constraints), **rest)
