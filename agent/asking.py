"""How the tests of `gemmagraph.conformance` ask a backend, and see that nothing of it goes on afterwards."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from gemmagraph.backends.base import Backend, Chunk, Constraint, Request, Transport
from gemmagraph.errors import BackendError, BadRequest
from gemmagraph.prompts.messages import JSON, Image, Text, Turn

try:
    import pytest as pytest  # from here it is taken elsewhere, too, so that the reason is said once
except ImportError as exc:
    raise ImportError(
        "The tests for backends run under pytest, which is not installed. Run: pip install pytest"
    ) from exc

QUESTION: Final = "Count from 1 to 30, in words."
PROMPT: Final = "<bos><start_of_turn>user\n{}<end_of_turn>\n<start_of_turn>model\n"


@dataclass(frozen=True)
class Heard:
    """A whole reply."""

    chunks: list[Chunk]

    @property
    def text(self) -> str:
        return "".join(chunk.text for chunk in self.chunks)

    @property
    def last(self) -> Chunk:
        return self.chunks[-1]


class Asking:
    """How to ask a backend."""

    model: ClassVar[str]
    """A model that the backend has, as a request names it."""
    options: ClassVar[Mapping[str, JSON]] = {"temperature": 0.0, "seed": 7}
    """Sampling options of each request. With these the same question should have the same answer."""
    context: ClassVar[int] = 4096
    """Tokens of context that each request asks for."""
    patience: ClassVar[float] = 60.0
    """Seconds that anything may take."""

    def run(self, backend: Backend, look: Callable[[], Awaitable[None]]) -> None:
        """Runs `look`, closes the backend, and sees that nothing of it goes on."""
        before = {thread for thread in threading.enumerate() if not thread.daemon}

        async def whole() -> set[asyncio.Task[Any]]:
            try:
                async with asyncio.timeout(self.patience):
                    await look()
            finally:
                async with asyncio.timeout(self.patience):
                    await backend.close()
            others = {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}
            return (await asyncio.wait(others, timeout=1))[1] if others else set()

        left = asyncio.run(whole())
        assert not left, f"still running after close(): {left}"
        threads = {thread for thread in threading.enumerate() if not thread.daemon} - before
        for thread in threads:
            thread.join(timeout=1)  # its work is done; it may be about to end
        threads = {thread for thread in threads if thread.is_alive()}
        assert not threads, f"still running after close(): {threads}"

    def run_each(
        self, backend: Backend, look: Callable[[Transport], Awaitable[None]], but: Transport | None = None
    ) -> None:
        """Runs `look` for each transport that the backend takes."""

        async def each() -> None:
            for transport in sorted(backend.transports - {but}):
                try:
                    await look(transport)
                except (Exception, pytest.fail.Exception) as exc:
                    exc.add_note(f"This was over the transport {transport}.")
                    raise

        self.run(backend, each)

    def ask(
        self,
        backend: Backend,
        transport: Transport | None = None,
        *,
        question: str = QUESTION,
        image: Image | None = None,
        **changes: Any,
    ) -> AsyncGenerator[Chunk, None]:
        transport = transport or min(backend.transports)
        turn = Turn("user", (Text(question), *([image] if image else [])))
        message: dict[str, JSON] = {"role": "user", "content": question, **({"images": (image,)} if image else {})}
        asked: dict[str, Any] = {
            "model": self.model,
            "prompt": PROMPT.format(question) if transport == "completion" else None,
            "messages": (message,) if transport == "chat" else None,
            "turns": (turn,),
            "context": self.context,
            "max_tokens": 48,
            "options": self.options,
        }
        return backend.stream(Request(**asked | changes))

    async def hear(
        self,
        backend: Backend,
        transport: Transport | None = None,
        *,
        begun: asyncio.Event | None = None,
        **asked: Any,
    ) -> Heard:
        async with aclosing(self.ask(backend, transport, **asked)) as chunks:
            heard = []
            try:
                async for chunk in chunks:
                    heard.append(chunk)
                    if begun and (chunk.text or chunk.thought):
                        begun.set()
            finally:
                if begun:
                    begun.set()
        assert heard, "the stream ended without a chunk"
        return Heard(heard)

    async def holds(self, backend: Backend, by: Constraint, check: Callable[[str], None], **asked: Any) -> None:
        """Sees that a reply is held to something or refused, and held where that is promised."""
        promised = by in (await backend.info(self.model)).constraints
        held = False
        for transport in sorted(backend.transports - {"tools"}):
            try:
                heard = await self.hear(backend, transport, **asked)
            except BadRequest as exc:
                says_what_to_do(exc)
            else:
                check(heard.text)
                held = True
        assert held or not promised, (
            f"info() promises to hold replies to a {by}, and every request with one was refused"
        )


@contextmanager
def refused(kind: type[BackendError]) -> Iterator[None]:
    """What is done in it is an error of this kind, which says what to do."""
    with pytest.raises(kind) as caught:
        yield
    says_what_to_do(caught.value)


def says_what_to_do(error: BackendError) -> None:
    assert error.message, f"a {type(error).__name__} without a message"
    assert error.hint, f"the {type(error).__name__} {error.message!r} does not say what to do"
