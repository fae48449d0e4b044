"""Plays a script instead of a model, and fails when steps are left over: for our tests and users' tests.

    with ScriptedBackend(['FUNCTION_CALL: now()', Step("It is noon.", expect="12:00")]) as backend:
        ...  # what is under test asks `backend` twice

A script file (`scripted:FILE`) holds one step a line, as JSON: a string, or an object with the
fields of `Step`.
"""

from __future__ import annotations

import asyncio
import difflib
import json
import math
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeAlias, get_args

from gemmagraph import errors
from gemmagraph.backends.base import Chunk, Constraint, ModelInfo, Request, Transport
from gemmagraph.errors import AgentError, BackendError, BadRequest
from gemmagraph.prompts.messages import JSON, StopReason, Usage


class ScriptError(AgentError, AssertionError):
    """What was asked is not what the script foresaw. A test fails with it, and nothing recovers from it."""


@dataclass(frozen=True, slots=True)
class Step:
    """One reply."""

    text: str = ""
    thought: str = ""
    chunk: int | None = None
    """Characters in a piece; the whole text is one piece if None."""
    stop: StopReason = "stop"
    usage: Usage | None = None
    error: BackendError | None = None
    """Raised where the reply would have ended. In a file: `{"kind": "ServerError", "message": "…"}`."""
    expect: str | tuple[str, ...] = ()
    """What the prompt or the messages must hold."""
    delay: float = 0.0
    """Seconds until the reply begins."""

    @classmethod
    def of(cls, written: str | Mapping[str, JSON]) -> Step:
        """A step from its text, or from a mapping as it stands in a script file.

        Raises:
            ValueError: a field is unknown or of the wrong type; its text says which.
        """
        if isinstance(written, str):
            return cls(written)
        if not isinstance(written, Mapping):
            raise ValueError(f"a step is a text or an object, not {written!r}")
        made = {}
        for name, value in written.items():
            if name not in _FIELDS:
                near = difflib.get_close_matches(str(name), _FIELDS, n=1)
                raise ValueError(f"no field {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
            try:
                made[name] = _FIELDS[name](value)
            except (ValueError, TypeError, LookupError, AttributeError) as exc:
                raise ValueError(f"{name!r} cannot be {value!r}") from exc
        return cls(**made)


Written: TypeAlias = str | Step | Mapping[str, JSON] | Callable[[Request], str | Step]
"""A step as a script may hold it; a function sees the request and says what comes back."""


class ScriptedBackend:
    """Gives the replies of a script, one to each request, in their order.

    Args:
        steps: what it says.
        name: how errors call the script.
        model: the model whose part it plays, such as `gemma4:e4b`; by default one of Gemma 3.
    """

    name = "scripted"
    transports: frozenset[Transport] = frozenset({"chat", "completion"})
    read_only_tools = False

    def __init__(self, steps: Iterable[Written], *, name: str = "the script", model: str = "") -> None:
        self._steps = [step if isinstance(step, Step) or callable(step) else Step.of(step) for step in steps]
        self._script = name
        self.model = model or self.name
        self.label = f"{name} ({len(self._steps)} replies)"
        self.requests: list[Request] = []
        """What was asked, in order."""

    @classmethod
    def from_file(cls, path: str | Path) -> ScriptedBackend:
        """The script in a file of JSON lines.

        Raises:
            AgentError: there is no such file, or a line is no step.
        """
        try:
            lines = Path(path).read_bytes().split(b"\n")
        except OSError as exc:
            raise AgentError(f"The script {str(path)!r} cannot be read: {exc.strerror}.") from exc
        steps = []
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                steps.append(Step.of(json.loads(line)))
            except (ValueError, RecursionError) as exc:
                raise AgentError(
                    f"{path}, line {number}: {exc}.",
                    hint='A line is a JSON text, or an object such as {"text": "Hello", "expect": "Hi"}.',
                ) from exc
        return cls(steps, name=str(path))

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        await self._refuse(request)
        step = self._next(request)
        await asyncio.sleep(step.delay)
        for thought in _pieces(step.thought, step.chunk):
            yield Chunk(thought=thought)
            await asyncio.sleep(0)
        for text in _pieces(step.text, step.chunk):
            yield Chunk(text=text)
            await asyncio.sleep(0)
        if step.error is not None:
            raise step.error
        yield Chunk(usage=step.usage, stop=step.stop)

    async def _refuse(self, request: Request) -> None:
        """Does what every backend has to, before a step is used up.

        Raises:
            BadRequest: the script does not take such requests, or does not promise to hold replies to that.
        """
        if request.transport not in self.transports:
            raise BadRequest(
                f"{self._script} does not take requests over {request.transport!r}.",
                hint=f"Say transport={min(self.transports)!r}.",
            )
        held: set[Constraint] = {"grammar"} if request.grammar is not None else set()
        if request.schema is not None:
            held.add("schema")
        if held and not held & (await self.info(request.model)).constraints:
            raise BadRequest(
                f"{self._script} cannot hold a reply to a {min(held)}.",
                hint="Have a subclass say in info() what it can, or ask without.",
            )

    def _next(self, request: Request) -> Step:
        """The step that answers `request`.

        Raises:
            ScriptError: there is none, or it expects something else.
        """
        self.requests.append(request)
        number = len(self.requests)
        if number > len(self._steps):
            raise _unforeseen(
                request,
                f"Request {number} came after the last of the {len(self._steps)} replies of {self._script}.",
            )
        written = self._steps[number - 1]
        if not isinstance(written, Step):
            said = written(request)
            written = Step(said) if isinstance(said, str) else said
        for part in (written.expect,) if isinstance(written.expect, str) else written.expect:
            if part not in shown(request):
                raise _unforeseen(request, f"Request {number} does not hold {part!r}, which {self._script} expects.")
        return written

    async def models(self) -> list[ModelInfo]:
        return [ModelInfo(self._script)]

    async def info(self, model: str) -> ModelInfo:
        return ModelInfo(model)

    def check(self) -> None:
        """That nothing is left over.

        Raises:
            ScriptError: replies were not asked for.
        """
        left = self._steps[len(self.requests) :]
        if left:
            raise ScriptError(
                f"{len(left)} of the {len(self._steps)} replies of {self._script} were not asked for; "
                f"the first is {left[0].text[:200] if isinstance(left[0], Step) else left[0]!r}."
            )

    async def close(self) -> None:
        self.check()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:  # else the first failure is the one to see
            self.check()


def shown(request: Request) -> str:
    """The words of a request: what `Step.expect` looks in."""
    if request.prompt is not None:
        return request.prompt
    return "\n".join(f"{message['role']}: {message['content']}" for message in request.messages or ())


def _unforeseen(request: Request, message: str) -> ScriptError:
    error = ScriptError(message)
    error.add_note(f"The request was:\n{shown(request)}")
    return error


def _pieces(text: str, size: int | None) -> list[str]:
    size = size or len(text) or 1
    return [text[start : start + size] for start in range(0, len(text), size)]


def _text(value: JSON) -> str:
    if not isinstance(value, str):
        raise ValueError
    return value


def _length(value: JSON) -> int | None:
    if value is not None and (not isinstance(value, int) or value < 1):
        raise ValueError
    return value


def _stop(value: JSON) -> StopReason:
    if value not in get_args(StopReason):
        raise ValueError
    reason: StopReason = value
    return reason


def _usage(value: JSON) -> Usage:
    usage = value if isinstance(value, Usage) else Usage(**value)
    if not isinstance(usage.input_tokens, int) or not isinstance(usage.output_tokens, int):
        raise ValueError
    return usage


def _error(value: JSON) -> BackendError:
    if isinstance(value, BackendError):
        return value
    kind = getattr(errors, value["kind"])
    if not issubclass(kind, BackendError):
        raise ValueError
    error: BackendError = kind(value.get("message", "The script has an error here."))
    return error


def _expected(value: JSON) -> tuple[str, ...]:
    return tuple(_text(part) for part in ([value] if isinstance(value, str) else value))


def _seconds(value: JSON) -> float:
    if isinstance(value, bool) or not 0 <= value < math.inf:
        raise ValueError
    return float(value)


_FIELDS: Mapping[str, Callable[[JSON], Any]] = {
    "text": _text,
    "thought": _text,
    "chunk": _length,
    "stop": _stop,
    "usage": _usage,
    "error": _error,
    "expect": _expected,
    "delay": _seconds,
}
"""The fields of a written step, each with what makes its value, or raises."""
