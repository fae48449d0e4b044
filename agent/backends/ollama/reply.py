"""A streamed reply of an Ollama server, frame by frame."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from gemmagraph.backends.base import Chunk, ServerCall, Transport
from gemmagraph.backends.ollama.words import named_error
from gemmagraph.errors import BackendError, EmptyReply, ServerError, TruncatedReply
from gemmagraph.prompts.messages import JSON, Usage

_KEYS: Final = frozenset({"message", "response", "done", "error"})
"""What frames have; each has one of them."""


class StreamedReply:
    """A reply so far.

    Args:
        transport: how it was asked for: the calls that the server read belong to it only with `tools`.
        label: how errors call the server.
    """

    def __init__(self, transport: Transport, label: str) -> None:
        self.letters = 0
        """Characters of text."""
        self.thought = False
        """Whether the model has thought."""
        self.calls = 0
        """Calls that the server took out of the text."""
        self.done = False
        self.reason = ""
        self.usage: Usage | None = None
        self._by_server = transport == "tools"
        self._label = label
        self._is_known = False
        """Whether there was anything of Ollama's in it."""
        self._shown = ""
        """How it began."""
        self._told: set[str] = set()
        """The calls so far, as they came."""

    @property
    def begun(self) -> bool:
        """Whether anything of it was passed on."""
        return bool(self.letters or self.thought or (self.calls and self._by_server))

    @property
    def only_loaded(self) -> bool:
        """Whether the server did something else than ask the model."""
        return self.reason in ("load", "unload")

    def worth_another_try(self, failed: BackendError) -> bool:
        """Whether the same request may bring more than this reply. What the server's own parser of calls has
        swallowed, it would swallow again."""
        swallowed = self._by_server and isinstance(failed, EmptyReply) and not self.only_loaded
        return not self.begun and self.reason != "length" and not swallowed

    def take(self, line: bytes) -> Chunk:
        """What the next line of the stream brings.

        Raises:
            BackendError: it is an error of the server, or no frame at all.
        """
        try:
            frame = json.loads(line)
            self._is_known |= not _KEYS.isdisjoint(frame)
            self._shown = self._shown or _beginning(line)
            if "error" in frame:
                raise named_error(None, json.dumps(frame), self._label)
            said = frame.get("message") or {}
            text, thought = said.get("content") or frame.get("response") or "", said.get("thinking") or ""
            calls = tuple(_call(call) for call in said.get("tool_calls") or () if self._is_new(call))
            if not isinstance(text, str) or not isinstance(thought, str):
                raise TypeError
            self.letters += len(text)
            self.thought |= bool(thought)
            self.calls += len(calls)
            self.done = frame.get("done") is True
        except (ValueError, TypeError, AttributeError, RecursionError) as exc:
            if line.startswith(b"{") and not line.endswith(b"\n"):
                raise TruncatedReply("The last line of the reply was cut.") from exc
            raise self._no_frame(_beginning(line)) from exc
        if self.done:
            self.reason = str(frame.get("done_reason", ""))
            self.usage = _usage(frame)
        return Chunk(text=text, thought=thought, calls=calls if self._by_server else ())

    def _is_new(self, call: Mapping[str, JSON]) -> bool:
        """Whether a call was not told before. With the id of another it is that, once more, and must not run twice;
        without one there is no telling."""
        told = json.dumps(call)
        if call.get("id") and told in self._told:
            return False
        self._told.add(told)
        return True

    def cut(self) -> BackendError:
        """The error for a reply that ends before it is whole, or has not begun with all that came."""
        if self._shown and not self._is_known:
            return self._no_frame(self._shown)
        return TruncatedReply(
            f"The reply of {self._label} ended after {self.letters:,} characters without its last frame.",
            hint="Ask again; if it happens again, look at the server's log.",
        )

    def _no_frame(self, shown: str) -> ServerError:
        return ServerError(
            f"{self._label} sent a line that is no frame of a reply: {shown!r}.", hint="Check the address."
        )

    def refuse_if_empty(self, model: str) -> None:
        """Refuses a reply that is whole and holds nothing. With the transport `tools`, thoughts alone are nothing:
        behind them was a call that the server could not read.

        Raises:
            EmptyReply: it does.
        """
        if self.letters or (self.thought and not self._by_server) or (self.calls and self._by_server):
            return
        if self.calls:
            raise EmptyReply(
                f"The server took {self.calls} tool call(s) out of the reply of {model!r}; nothing is left.",
                hint="Use a model whose calls the server leaves in the text, such as gemma3.",
            )
        if self.only_loaded:
            raise EmptyReply(f"The server only {self.reason}ed {model!r} and wrote nothing.", hint="Ask again.")
        hint = "Ask again, or differently; the model may have stopped at once."
        if self.reason == "length":
            hint = "Allow it more tokens (max_tokens)."
        elif self._by_server:
            hint = 'The server may have lost a call that it could not read: transport="chat" leaves reading to us.'
        raise EmptyReply(f"{model!r} sent an empty reply.", hint=hint)

    def notices(self) -> list[str]:
        """What the user should know about the reply."""
        if not self.calls or self._by_server:
            return []
        return [f"{self._label} took {self.calls} tool call(s) out of the reply; they were not run"]


def _beginning(line: bytes) -> str:
    return line[:80].decode("utf-8", "replace").strip()


def _call(call: Mapping[str, JSON]) -> ServerCall:
    """A call as the server read it; one without a name is what it could not read."""
    function = call.get("function") or {}
    name, arguments = function.get("name") or "", function.get("arguments")
    if not isinstance(name, str):
        raise TypeError
    if not isinstance(arguments, dict | str):
        arguments = {} if arguments is None else json.dumps(arguments)
    return ServerCall(name, arguments)


def _usage(frame: Mapping[str, JSON]) -> Usage | None:
    read, written = frame.get("prompt_eval_count"), frame.get("eval_count")
    if not isinstance(read, int) and not isinstance(written, int):
        return None
    return Usage(read if isinstance(read, int) else 0, written if isinstance(written, int) else 0)
