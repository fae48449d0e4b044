"""A streamed reply of the Gemini API, frame by frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gemmagraph.backends.base import Chunk, Request, ServerCall
from gemmagraph.backends.words import Place
from gemmagraph.errors import BackendError, BadRequest, EmptyReply, ServerError, TruncatedReply
from gemmagraph.prompts.messages import StopReason, Usage

if TYPE_CHECKING:
    from google.genai import types

_WHOLE: Final = frozenset({"STOP", "MAX_TOKENS", "CONTINUATION"})
_CUT_SHORT: Final = frozenset({"MAX_TOKENS", "CONTINUATION"})
_FILTERED: Final = frozenset({"SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII"})
"""Google's filters took the rest away."""
_NO_CALL: Final = frozenset({"MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL"})
"""The model wrote a call that Google could not read, or one of no tool that was declared. It keeps it to itself."""
_AGAIN: Final = "Ask again, or differently."


class StreamedReply:
    """A reply so far.

    Args:
        request: what was asked.
        place: how errors call the server.
    """

    def __init__(self, request: Request, place: Place) -> None:
        self.letters = 0
        """Characters of text, and of thoughts."""
        self.calls = 0
        self.reason = ""
        """Why it ended, in Google's word; empty until it has."""
        self.usage: Usage | None = None
        self._request = request
        self._place = place
        self._has_text = False

    @property
    def stop(self) -> StopReason:
        return "length" if self.reason in _CUT_SHORT else "stop"

    def worth_another_try(self, failed: BackendError) -> bool:
        """Whether the same request may bring more than this reply. Over `tools` that is left to who asked."""
        by_tools = isinstance(failed, EmptyReply) and self._request.transport == "tools"
        return not (by_tools or self.letters or self.calls or self.stop == "length")

    def take(self, frame: types.GenerateContentResponse) -> Chunk:
        """What the next frame brings.

        Raises:
            BadRequest: the prompt was refused.
        """
        self._refuse_blocked(frame)
        self._count(frame.usage_metadata)
        text = thought = ""
        calls: list[ServerCall] = []
        for candidate in (frame.candidates or ())[:1]:
            for part in (candidate.content and candidate.content.parts) or ():
                if part.thought:
                    thought += part.text or ""
                else:
                    text += part.text or ""
                if part.function_call:
                    calls.append(ServerCall(part.function_call.name or "", part.function_call.args or {}))
            if candidate.finish_reason:
                self.reason = str(candidate.finish_reason.value)
        self.letters += len(text + thought)
        self.calls += len(calls)
        self._has_text |= bool(text.strip())
        return Chunk(text=text, thought=thought, calls=tuple(calls))

    def check(self) -> None:
        """Refuses a reply that is not whole, or is and holds nothing.

        Raises:
            BackendError: of the kind that fits.
        """
        if not self.reason:
            raise self.cut()
        model, tools = self._request.model, self._request.transport == "tools"
        if self.reason not in _WHOLE | _FILTERED | _NO_CALL:
            raise ServerError(f"{self._place.label} gave up the reply of {model!r}: {self.reason}.", hint=_AGAIN)
        if self.reason in _NO_CALL and not self.calls:
            kind = ServerError if self._has_text else EmptyReply
            raise kind(f"{model!r} wrote a call that {self._place.label} could not read.", hint=_AGAIN)
        if self.calls or (self._has_text if tools else self.letters):
            return
        hint = "Ask again, or differently; the model may have stopped at once."
        if self.stop == "length":
            hint = "Allow it more tokens (max_tokens)."
        elif self.reason in _FILTERED:
            hint = f"Google's filter took it away ({self.reason}); ask in other words."
        raise EmptyReply(f"{model!r} sent an empty reply.", hint=hint)

    def cut(self) -> TruncatedReply:
        """The error for a reply that ends before it is whole."""
        return TruncatedReply(
            f"The reply of {self._place.label} ended after {self.letters:,} characters, and nothing said that it is "
            "whole.",
            hint="Ask again.",
        )

    def notices(self) -> list[str]:
        """What the user should know about the reply."""
        if self.reason in _FILTERED:
            return [f"{self._place.label} cut the reply: its filter did not let the rest through ({self.reason})"]
        if self.reason in _NO_CALL:
            return [f"{self._place.label} could not read one more call of the reply"]
        return []

    def _refuse_blocked(self, frame: types.GenerateContentResponse) -> None:
        found = frame.prompt_feedback
        if found is None or not found.block_reason:
            return
        why = " ".join(filter(None, (str(found.block_reason.value), found.block_reason_message)))
        raise BadRequest(f"{self._place.label} refuses the prompt: {why}.", hint="Ask in other words.")

    def _count(self, counts: types.GenerateContentResponseUsageMetadata | None) -> None:
        if counts is not None and counts.prompt_token_count is not None:
            wrote = (counts.candidates_token_count or 0) + (counts.thoughts_token_count or 0)
            self.usage = Usage(counts.prompt_token_count, wrote)
