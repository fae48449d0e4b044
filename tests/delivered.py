"""What a reply says by the bytes that were delivered: read whole, in the plainest way, by none of our readers."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Delivered:
    """A reply, as far as it came."""

    text: str = ""
    thoughts: str = ""
    calls: list[tuple[str, Any]] = field(default_factory=list)
    """Names and arguments, as the server gave them."""
    reason: str = ""
    usage: tuple[int, int] | None = None
    is_whole: bool = False
    is_broken: bool = False
    """Whether something before its end is no frame of a reply, or an error."""
    is_broken_later: bool = False
    """The same behind its end, where readers may look or not."""

    @property
    def is_good(self) -> bool:
        return self.is_whole and not self.is_broken and bool(self.text or self.calls or self.thoughts)


def split(answer: bytes) -> tuple[int, str, bytes, bool]:
    """Status, media type and body of an HTTP answer, as far as it is sound, and whether it ended in order."""
    head, end, body = answer.partition(b"\r\n\r\n")
    while end and re.match(rb"HTTP/1.1 1\d\d", head):
        head, end, body = body.partition(b"\r\n\r\n")
    found = re.match(rb"HTTP/1.1 (\d{3}) ", head)
    if not end or not found:
        return 0, "", b"", False
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
    is_ended = True
    if b"transfer-encoding" in fields:
        body, is_ended = dechunked(body)
    elif length := re.fullmatch(rb"\d{1,20}", fields.get(b"content-length", b"")):
        is_ended, body = len(body) >= int(length[0]), body[: int(length[0])]
    return int(found[1]), fields.get(b"content-type", b"").decode("latin-1"), body, is_ended


def dechunked(data: bytes) -> tuple[bytes, bool]:
    body = b""
    while found := re.match(rb"([0-9a-fA-F]{1,16})\r\n", data):
        size, data = int(found[1], 16), data[found.end() :]
        body += data[:size]
        if data[size : size + 2] != b"\r\n":
            break
        if not size:
            return body, True
        data = data[size + 2 :]
    return body, False


def lines(body: bytes) -> list[tuple[bytes, bool]]:
    """The lines, and whether each is ended."""
    *whole, rest = body.split(b"\n")
    return [(line, True) for line in whole] + ([(rest, False)] if rest else [])


def events(body: bytes) -> list[tuple[bytes, bool]]:
    """What server-sent events say, by the standard, and whether each is ended."""
    found, said = [], []
    for line, is_ended in lines(body.replace(b"\r\n", b"\n").replace(b"\r", b"\n")):
        name, _, value = line.partition(b":")
        if name in (b"data", b"error"):
            said.append(value.removeprefix(b" "))
        elif is_ended and not line and said:
            found.append((b"\n".join(said), True))
            said = []
    return found + ([(b"\n".join(said), False)] if said else [])


def read(path: str, body: bytes, ceiling: int, in_order: bool = True) -> Delivered:
    """The reply in the body of an answer to a request for that page.

    Args:
        ceiling: the most bytes of a frame.
        in_order: whether the body ended in order: only then its last line need not be ended.
    """
    by_page = {
        "/api/chat": ollama,
        "/api/generate": ollama,
        "/chat/completions": chat,
        "/completions": completion,
        "/completion": llama,
    }
    take = next(take for page, take in by_page.items() if path.endswith(page))
    found = Delivered()
    for said, is_ended in lines(body) if take is ollama else events(body):
        if not (is_ended or in_order) and len(said) <= ceiling:
            break
        if take is not ollama and said.strip() in (b"", b"[DONE]"):
            if said.strip():
                found.is_whole = True
                break
            continue
        was_whole = found.is_whole
        try:
            frame = json.loads(said)
            if not isinstance(frame, dict):
                raise TypeError
            if frame.get("error") or (take is ollama and "error" in frame) or frame.get("object") == "error":
                raise ValueError
            if take(found, frame):
                break
        except (ValueError, TypeError, AttributeError, RecursionError):
            if not is_ended and len(said) <= ceiling:
                break
            if was_whole:
                found.is_broken_later = True
            else:
                found.is_broken = True
            break
    return found


def text_of(value: Any) -> str:
    if value and not isinstance(value, str):
        raise TypeError
    return value or ""


def ollama(found: Delivered, frame: dict[str, Any]) -> bool:
    """Takes a frame; returns whether it is the last."""
    message = frame.get("message") or {}
    text = text_of(message.get("content")) or text_of(frame.get("response"))
    thoughts = text_of(message.get("thinking"))
    for call in message.get("tool_calls") or ():
        function = call.get("function") or {}
        arguments = function.get("arguments")
        named = (text_of(function.get("name")), {} if arguments is None else arguments)
        if not (call.get("id") and (call["id"], *named) in seen(found)):
            found.calls.append(named)
            seen(found).append((call.get("id"), *named))
    found.text += text
    found.thoughts += thoughts
    if frame.get("done") is True:
        found.is_whole = True
        found.reason = str(frame.get("done_reason", ""))
        found.usage = counts(frame, "prompt_eval_count", "eval_count")
    return found.is_whole


def seen(found: Delivered) -> list[Any]:
    """Calls with their ids: one that is told twice is one call."""
    kept: list[Any] = found.__dict__.setdefault("ids", [])
    return kept


def chat(found: Delivered, frame: dict[str, Any]) -> bool:
    for choice in frame.get("choices") or ():
        delta = choice.get("delta") or {}
        text = text_of(delta.get("content"))
        thoughts = text_of(delta.get("reasoning_content")) or text_of(delta.get("reasoning"))
        for piece in delta.get("tool_calls") or ():
            call_piece(found, piece)
        found.text += text
        found.thoughts += thoughts
        finish(found, choice)
    count_openai(found, frame)
    return False


def call_piece(found: Delivered, piece: dict[str, Any]) -> None:
    function, by_index = piece.get("function") or {}, found.__dict__.setdefault("by_index", {})
    name, arguments = text_of(function.get("name")), function.get("arguments")
    place = by_index.get(piece.get("index"))
    if place is None and not name and not piece.get("id") and found.calls:
        place = len(found.calls) - 1
    if place is None:
        place = by_index[piece.get("index")] = len(found.calls)
        found.calls.append((name, arguments or ""))
        return
    known, so_far = found.calls[place]
    if isinstance(so_far, str) and isinstance(arguments, str) and not (name and so_far == arguments):
        so_far += arguments
    found.calls[place] = (known or name, so_far)


def completion(found: Delivered, frame: dict[str, Any]) -> bool:
    for choice in frame.get("choices") or ():
        found.text += text_of(choice.get("text"))
        finish(found, choice)
    count_openai(found, frame)
    return False


def llama(found: Delivered, frame: dict[str, Any]) -> bool:
    found.text += text_of(frame.get("content"))
    if frame.get("stop") is True:
        found.is_whole = True
        found.reason = "length" if frame.get("stop_type") in ("limit", "length") else "stop"
        found.usage = counts(frame, "tokens_evaluated", "tokens_predicted")
    return found.is_whole


def finish(found: Delivered, choice: dict[str, Any]) -> None:
    if choice.get("finish_reason"):
        found.is_whole, found.reason = True, str(choice["finish_reason"])


def count_openai(found: Delivered, frame: dict[str, Any]) -> None:
    usage = frame.get("usage")
    if isinstance(usage, dict):
        found.usage = counts(usage, "prompt_tokens", "completion_tokens") or found.usage


def counts(said: dict[str, Any], *names: str) -> tuple[int, int] | None:
    found = [said.get(name) for name in names]
    if not any(isinstance(count, int) for count in found):
        return None
    read, wrote = (count if isinstance(count, int) else 0 for count in found)
    return read, wrote
