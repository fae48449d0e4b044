"""A streamed reply of an OpenAI-compatible server, frame by frame."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Final

from gemmagraph.backends.base import Chunk, ServerCall
from gemmagraph.backends.openai.calls import Calls
from gemmagraph.backends.openai.request import Shape
from gemmagraph.backends.openai.words import named_error
from gemmagraph.backends.words import Place
from gemmagraph.errors import BackendError, EmptyReply, ServerError, TruncatedReply
from gemmagraph.prompts.messages import JSON, StopReason, Usage

_LENGTHS: Final = frozenset({"length", "max_tokens", "limit"})
_BROKEN_OFF: Final = frozenset({"abort", "aborted", "cancelled"})


class StreamedReply:
    """A reply so far.

    Args:
        shape: whose frames it is made of.
        place: how errors call the server.
        by_server: whether the server was asked to read the calls.
    """

    def __init__(self, shape: Shape, place: Place, *, by_server: bool = False) -> None:
        self.letters = 0
        """Characters of text and thoughts."""
        self.finished = False
        """Whether the server said that the reply is whole."""
        self.over = False
        """Whether nothing more comes."""
        self.reason = ""
        self.usage: Usage | None = None
        self._place = place
        self._by_server = by_server
        self._calls = Calls()
        self._read: Callable[[Mapping[str, JSON]], tuple[str, str]] = {
            "chat": self._chat,
            "completion": self._completion,
            "llama": self._llama,
        }[shape]

    @property
    def calls(self) -> tuple[ServerCall, ...]:
        """Calls that the server took out of the text."""
        return self._calls.found(is_cut=self.stop == "length")

    @property
    def stop(self) -> StopReason:
        return "length" if self.reason in _LENGTHS else "stop"

    def worth_another_try(self, failed: BackendError) -> bool:
        """Whether the same request may bring more than this reply. A call that the server has lost it would lose
        again."""
        is_lost = isinstance(failed, EmptyReply) and self._by_server
        return not (is_lost or self.letters or self.stop == "length")

    def take(self, event: bytes) -> Chunk:
        """What the next event brings.

        Raises:
            BackendError: it is an error of the server, or no frame at all.
        """
        said = event.strip()
        if said == b"[DONE]":
            self.finished = self.over = True
        if said in (b"", b"[DONE]"):
            return Chunk()
        try:
            frame = json.loads(event)
            if frame.get("error") or frame.get("object") == "error":
                raise named_error(None, json.dumps(frame), self._place)
            text, thought = self._read(frame)
            self.letters += len(text + thought)
        except (ValueError, TypeError, AttributeError, RecursionError) as exc:
            if not event.endswith(b"\n"):
                raise TruncatedReply("The last event of the reply was cut.") from exc
            shown = self._place.masked(event[:80].decode("utf-8", "replace").rstrip())
            raise ServerError(
                f"{self._place.label} sent an event that is no frame of a reply: {shown!r}.", hint="Check base_url."
            ) from exc
        self._refuse_broken_off()
        return Chunk(text=text, thought=thought)

    def _chat(self, frame: Mapping[str, JSON]) -> tuple[str, str]:
        text = thought = ""
        for choice in frame.get("choices") or ():
            delta = choice.get("delta") or {}
            text += delta.get("content") or ""
            thought += delta.get("reasoning_content") or delta.get("reasoning") or ""
            self._calls.take(delta.get("tool_calls") or [])
            self._finish(choice.get("finish_reason"))
        self._count(frame.get("usage"), "prompt_tokens", "completion_tokens")
        return text, thought

    def _completion(self, frame: Mapping[str, JSON]) -> tuple[str, str]:
        text = ""
        for choice in frame.get("choices") or ():
            text += choice.get("text") or ""
            self._finish(choice.get("finish_reason"))
        self._count(frame.get("usage"), "prompt_tokens", "completion_tokens")
        return text, ""

    def _llama(self, frame: Mapping[str, JSON]) -> tuple[str, str]:
        if frame.get("stop") is True:
            self._finish(frame.get("stop_type") or "stop")
            self._count(frame, "tokens_evaluated", "tokens_predicted")
            self.over = True
        return frame.get("content") or "", ""

    def _finish(self, reason: object) -> None:
        if reason:
            self.finished, self.reason = True, str(reason)

    def _count(self, counts: JSON, read: str, wrote: str) -> None:
        if isinstance(counts, dict):
            found = counts.get(read), counts.get(wrote)
            if any(isinstance(count, int) for count in found):
                self.usage = Usage(*(count if isinstance(count, int) else 0 for count in found))

    def _refuse_broken_off(self) -> None:
        if self.reason in _BROKEN_OFF:
            raise TruncatedReply(
                f"{self._place.label} gave up the reply after {self.letters:,} characters.",
                hint="Ask again; if it happens again, look at the server's log.",
            )
        if self.reason == "error":
            raise ServerError(
                f"{self._place.label} failed in the middle of the reply: it does not say why.",
                hint="Ask again; if it happens again, look at the server's log.",
            )

    def cut(self) -> TruncatedReply:
        """The error for a reply that ends before it is whole."""
        return TruncatedReply(
            f"The reply of {self._place.label} ended after {self.letters:,} characters, and nothing said that it is "
            "whole.",
            hint="Ask again; if it happens again, look at the server's log.",
        )

    def refuse_if_empty(self, model: str) -> None:
        """Refuses a reply that is whole and holds nothing.

        Raises:
            EmptyReply: it does.
        """
        calls = len(self.calls)
        if self.letters or (calls and self._by_server):
            return
        if calls:
            raise EmptyReply(
                f"{self._place.label} took {calls} tool call(s) out of the reply of {model!r}; nothing is left.",
                hint="Start the server without its own tool parser.",
            )
        hint = "Ask again, or differently; the model may have stopped at once."
        if self._by_server:
            hint = 'Its server may have lost a call: ask with the tools in the prompt (transport="chat").'
        if self.stop == "length":
            hint = "Allow it more tokens (max_tokens)."
        elif self.reason == "content_filter":
            hint = "The server's filter took it away; ask in other words."
        raise EmptyReply(f"{model!r} sent an empty reply.", hint=hint)

    def notices(self) -> list[str]:
        """What the user should know about the reply."""
        found = []
        if self.calls and not self._by_server:
            found.append(
                f"{self._place.label} took {len(self.calls)} tool call(s) out of the reply; they were not run"
            )
        if self.reason == "content_filter":
            found.append(f"{self._place.label} cut the reply: its content filter did not let the rest through")
        return found
