"""What can be wrong with an answer on its way: each fault makes of it the steps in which it is sent.

A step is bytes to send, seconds to wait, `silence` until the client leaves, `reset` of the connection, `half` (no
more is sent, and the connection stays open), or something endless. After the last the connection is closed in order.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Literal

REASONS = {200: "OK", 500: "Internal Server Error"}
PAGE = b"<!DOCTYPE html>\n<html><head><title>Sorry</title></head><body><h1>Log in</h1></body></html>\n"


@dataclass(frozen=True)
class Endless:
    """Bytes that are sent again and again until the client leaves."""

    data: bytes
    pause: float = 0.0
    most: int = 100 << 20


Step = bytes | float | Endless | Literal["silence", "reset", "half"]
Steps = Iterator[Step]


@dataclass(frozen=True)
class Answer:
    """What the server said."""

    status: int
    media: str
    body: bytes


@dataclass
class Wire:
    """An answer, and a way of writing it down that the seed has chosen."""

    answer: Answer
    rng: random.Random
    page: str
    form: str = field(init=False)
    """How its end is told: chunked, length, or close."""
    keeps_open: bool = field(init=False)
    frames: list[bytes] = field(init=False)
    """The lines or events of it."""

    def __post_init__(self) -> None:
        self.form = self.rng.choices(["chunked", "length", "close"], [6, 2, 2])[0]
        self.keeps_open = self.form != "close" and self.rng.random() < 0.5
        pattern = rb"(?s).*?\n\n|.+\Z" if self.has_events else rb"[^\n]*\n|[^\n]+\Z"
        self.frames = re.findall(pattern, self.answer.body)

    @property
    def has_events(self) -> bool:
        return "event-stream" in self.answer.media

    @property
    def streams(self) -> bool:
        return self.page == "reply" and self.answer.status == 200

    def frame(self, value: object) -> bytes:
        """One more line or event."""
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        return f"data: {text}\n\n".encode() if self.has_events else f"{text}\n".encode()

    def head(
        self, status: int | None = None, media: str | None = None, *fields: str, length: int | None = None
    ) -> bytes:
        status = status or self.answer.status
        ends = {"chunked": ["Transfer-Encoding: chunked"], "length": [f"Content-Length: {length or 0}"], "close": []}
        stays = "keep-alive" if self.keeps_open else "close"
        media = media if media is not None else self.answer.media
        lines = [
            f"HTTP/1.1 {status} {REASONS.get(status, 'So')}",
            *([f"Content-Type: {media}"] if media else []),
            *ends[self.form],
            f"Connection: {stays}",
            *fields,
        ]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    def recut(self, frames: list[bytes]) -> list[bytes]:
        """The same bytes in other pieces: one by one, many at once, or as they are."""
        body = b"".join(frames)
        how = self.rng.choice(["as is", "as is", "whole", "tiny", "small"])
        if how == "as is":
            return frames
        if how == "whole":
            return [body] if body else []
        most = self.rng.randint(1, 5) if how == "tiny" and len(body) < 6000 else self.rng.randint(20, 400)
        pieces, at = [], 0
        while at < len(body):
            size = self.rng.randint(1, most)
            pieces.append(body[at : at + size])
            at += size
        return pieces

    def piece(self, data: bytes) -> bytes:
        return b"%x\r\n%s\r\n" % (len(data), data) if self.form == "chunked" else data

    @property
    def end(self) -> bytes:
        return b"0\r\n\r\n" if self.form == "chunked" else b""

    def sent(self, frames: list[bytes], *fields: str, media: str | None = None) -> list[bytes]:
        """Head, pieces and end of an answer with this body."""
        length = sum(map(len, frames))
        return [self.head(None, media, *fields, length=length), *map(self.piece, self.recut(frames)), self.end]

    def begun(self, frames: list[bytes], *, length: int | None = None) -> list[bytes]:
        """The same without an end, and if its length is told, it is said to be longer."""
        length = length if length is not None else sum(map(len, frames)) + 1000
        return [self.head(length=length), *map(self.piece, self.recut(frames))]

    def some(self) -> list[bytes]:
        """The first frames, the last not among them."""
        return self.frames[: self.rng.randrange(max(1, len(self.frames)))]

    def refusal(self, status: int, *fields: str) -> list[bytes]:
        """A refusal in one of the forms in which people write them."""
        form = self.rng.choice(["json", "object", "page", "words", "nothing"])
        error = {"message": "it cannot be done", "type": "server_error", "code": status}
        media, body = {
            "json": ("application/json", b'{"error": "it cannot be done"}'),
            "object": ("application/json", json.dumps({"error": error}).encode()),
            "page": ("text/html; charset=utf-8", PAGE),
            "words": ("text/plain", b"it cannot be done"),
            "nothing": ("", b""),
        }[form]
        pieces = [self.piece(body)] if body else []
        return [self.head(status, media, *fields, length=len(body)), *pieces, self.end]


FAULTS: dict[str, Callable[[Wire], Steps]] = {}


def fault(make: Callable[[Wire], Steps]) -> Callable[[Wire], Steps]:
    FAULTS[make.__name__.replace("_", " ")] = make
    return make


# None at all


@fault
def none(wire: Wire) -> Steps:
    yield from wire.sent(wire.frames)


@fault
def slow(wire: Wire) -> Steps:
    for piece in wire.sent(wire.frames):
        if wire.rng.random() < 0.3:
            yield wire.rng.uniform(0.001, 0.03)
        yield piece


@fault
def early_hints(wire: Wire) -> Steps:
    yield wire.rng.choice([b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"])
    yield from wire.sent(wire.frames)


@fault
def pings(wire: Wire) -> Steps:
    ping = wire.rng.choice([b": ping\n\n", b":\n", b"event: ping\n\n", b"\n", b"id: 1\nretry: 9\n\n"])
    with_pings = [part for frame in wire.frames for part in (ping, frame)]
    yield from wire.sent(with_pings if wire.has_events else wire.frames)


@fault
def odd_media_type(wire: Wire) -> Steps:
    odd = wire.rng.choice(["", "text/plain", "application/octet-stream", "APPLICATION/X-NDJSON; a=b", "nonsense"])
    yield from wire.sent(wire.frames, media=odd)


@fault
def odd_line_ends(wire: Wire) -> Steps:
    ends = [b"\r\n", b"\r"] if wire.has_events else [b"\r\n"]
    end = wire.rng.choice(ends)
    yield from wire.sent([frame.replace(b"\n", end) for frame in wire.frames])


@fault
def stale(wire: Wire) -> Steps:
    wire.keeps_open = True  # it is promised, and not kept
    yield from wire.sent(wire.frames)


@fault
def silent_at_the_end(wire: Wire) -> Steps:
    yield from wire.begun(wire.frames)
    yield "silence"


@fault
def no_end_of_chunks(wire: Wire) -> Steps:
    yield from wire.begun(wire.frames)
    if wire.rng.random() < 0.3:
        yield "half"


@fault
def more_behind_the_end(wire: Wire) -> Steps:
    more = wire.rng.choice([wire.frames[-1:], wire.frames[:1], [wire.frame("nonsense")]])
    yield from wire.sent([*wire.frames, *more])


# Instead of a reply


@fault
def passing_refusal(wire: Wire) -> Steps:
    asked = wire.rng.choice(["", "0", formatdate(0, usegmt=True), "soon", "-5", "\u00b2", "0.5", "Thu, 99 Foo 2026"])
    status = wire.rng.choice([408, 429, 502, 503, 504])
    yield from wire.refusal(status, *([f"Retry-After: {asked}"] if asked else []))


@fault
def refusal_with_a_long_pause(wire: Wire) -> Steps:
    asked = wire.rng.choice(["999999", "9" * 400, formatdate(2e9, usegmt=True), "Fri, 31 Dec 9999 23:59:59 GMT"])
    yield from wire.refusal(wire.rng.choice([429, 503]), f"Retry-After: {asked}")


@fault
def lasting_refusal(wire: Wire) -> Steps:
    yield from wire.refusal(wire.rng.choice([500, 500, 501, 507, 520, 599]))


@fault
def redirect(wire: Wire) -> Steps:
    place = wire.rng.choice(["https://elsewhere.example/", "/", "//[", "http://127.0.0.1:1/"])
    yield from wire.refusal(wire.rng.choice([301, 302, 303, 307, 308]), f"Location: {place}")


@fault
def page_for_people(wire: Wire) -> Steps:
    yield wire.head(200, "text/html; charset=utf-8", length=len(PAGE))
    yield wire.piece(PAGE) + wire.end


@fault
def endless_refusal(wire: Wire) -> Steps:
    wire.form = "close"
    yield wire.head(500, "text/plain")
    yield Endless(b"no " * 10_000)


@fault
def wrong_encoding(wire: Wire) -> Steps:
    encoding = wire.rng.choice(["gzip", "deflate"])
    yield from wire.sent(wire.frames, f"Content-Encoding: {encoding}")


# Before a reply


@fault
def no_http(wire: Wire) -> Steps:
    junk = [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46",
        b"\x00" * 40,
        PAGE,
        b"HTTP/1.1 abc Foo\r\n\r\n",
    ]
    yield wire.rng.choice([*junk, b"+OK hello\r\n", wire.rng.randbytes(200) + b"\r\n\r\n"])


@fault
def two_status_lines(wire: Wire) -> Steps:
    head, *rest = wire.sent(wire.frames)
    yield head.partition(b"\r\n")[0] + b"\r\n" + head
    yield from rest


@fault
def bad_header(wire: Wire) -> Steps:
    bad = [
        b"no colon",
        b"X-Nul: a\x00b",
        b"a b: c",
        b": empty",
        b"X: " + b"y" * 200_000,
        b"Transfer-Encoding: pigeon",
    ]
    head, *rest = wire.sent(wire.frames)
    yield head[:-2] + wire.rng.choice(bad) + b"\r\n\r\n"
    yield from rest


@fault
def bad_length(wire: Wire) -> Steps:
    wire.form = "close"
    head, *rest = wire.sent(wire.frames)
    bad = ["abc", "-1", "0x10", "1\r\nContent-Length: 2", "\u00b2"]
    yield head[:-2] + f"Content-Length: {wire.rng.choice(bad)}\r\n\r\n".encode("latin-1")
    yield from rest


@fault
def absurd_length(wire: Wire) -> Steps:
    wire.form = "close"
    head, *rest = wire.sent(wire.frames)
    yield head[:-2] + b"Content-Length: " + b"9" * wire.rng.choice([21, 5000]) + b"\r\n\r\n"
    yield from rest


@fault
def closed_at_once(wire: Wire) -> Steps:
    yield b""


@fault
def reset_at_once(wire: Wire) -> Steps:
    yield "reset"


@fault
def half_closed_at_once(wire: Wire) -> Steps:
    yield "half"


@fault
def cut_in_the_head(wire: Wire) -> Steps:
    head = wire.sent(wire.frames)[0]
    yield head[: wire.rng.randrange(1, len(head) - 1)]
    if wire.rng.random() < 0.3:
        yield "reset"


@fault
def cut_behind_the_head(wire: Wire) -> Steps:
    wire.form = wire.rng.choice(["chunked", "length"])
    yield wire.head(length=1000)


@fault
def silent_at_once(wire: Wire) -> Steps:
    yield "silence"


@fault
def silent_in_the_head(wire: Wire) -> Steps:
    head = wire.sent(wire.frames)[0]
    yield head[: wire.rng.randrange(1, len(head))]
    yield "silence"


@fault
def silent_behind_the_head(wire: Wire) -> Steps:
    yield wire.head(length=1000)
    yield "silence"


@fault
def dripping_head(wire: Wire) -> Steps:
    yield b"HTTP/1.1 200 OK\r\nX-Slow: "
    yield Endless(b"x", 0.02)


@fault
def endless_head(wire: Wire) -> Steps:
    yield b"HTTP/1.1 200 OK\r\n"
    yield Endless(b"X-More: and more\r\n" * 500)


# In the middle of a reply


def places(data: bytes, begin: int) -> list[int]:
    """Where it hurts: within characters, sizes of chunks, in front of line ends."""
    found = [at for at in range(begin, len(data)) if data[at] & 0xC0 == 0x80 or data[at] in b"\r\n"]
    return found or [len(data) - 1]


@fault
def cut(wire: Wire) -> Steps:
    head, *rest = wire.sent(wire.frames)
    data = head + b"".join(rest)
    spot = wire.rng.random()
    if spot < 0.4:
        yield data[: wire.rng.choice(places(data, len(head)))]
    elif spot < 0.6:
        yield data[: -wire.rng.randint(1, 60)]
    else:
        yield data[: wire.rng.randrange(len(head), len(data))]


@fault
def reset(wire: Wire) -> Steps:
    data = b"".join(wire.sent(wire.frames))
    yield data[: wire.rng.randrange(len(data))]
    yield "reset"


@fault
def ends_in_order_too_early(wire: Wire) -> Steps:
    body = b"".join(wire.frames)
    at = wire.rng.choice([wire.rng.randrange(len(body)), wire.rng.choice(places(body, 0))])
    yield from wire.sent([body[:at]] if at else [])


@fault
def no_last_frame(wire: Wire) -> Steps:
    """All of the text is there."""
    ends = (b'"done": true', b'"finish_reason": "', b'"stop":true')
    last = next(at for at, frame in enumerate(wire.frames) if any(end in frame for end in ends))
    yield from wire.sent(wire.frames[:last])


@fault
def length_too_short(wire: Wire) -> Steps:
    wire.form = "length"
    body = b"".join(wire.frames)
    yield wire.head(length=wire.rng.randrange(len(body)))
    yield body


@fault
def bad_chunk(wire: Wire) -> Steps:
    wire.form = "chunked"
    head, *pieces = wire.sent(wire.frames)
    at = wire.rng.randrange(len(pieces))
    size, _, rest = pieces[at].partition(b"\r\n")
    bad = [b"zz", b"-5", b"", b"f" * 40, b"%x" % (int(size, 16) + 1), b"%x" % max(0, int(size, 16) - 1)]
    pieces[at] = wire.rng.choice(bad) + b"\r\n" + rest
    yield head
    yield from pieces


@fault
def error_midway(wire: Wire) -> Steps:
    said = wire.rng.choice(
        [
            {"error": "the model has unexpectedly stopped"},
            {"error": {"message": "boom", "type": "server_error"}},
            {"error": {"message": "boom", "code": 500}, "choices": []},
        ]
    )
    yield from wire.sent([*wire.some(), wire.frame(said)])


@fault
def nonsense_midway(wire: Wire) -> Steps:
    nonsense = [
        *("null", "5", "[1]", '"x"', "{", "nonsense", "[" * 100_000, '{"message": [1], "choices": [1]}'),
        '{"message": {"content": 5}, "choices": [{"delta": {"content": 5}, "text": 5}], "content": 5}',
        '{"message": {"content": ["a"]}, "choices": [{"delta": 5, "text": [1]}], "content": {"a": 1}}',
        '{"message": {"tool_calls": [{"function": 5}]}, "choices": {"a": 1}, "content": 7}',
    ]
    some = wire.some()
    yield from wire.sent([*some, wire.frame(wire.rng.choice(nonsense)), *wire.frames[len(some) :]])


@fault
def raw_control_characters(wire: Wire) -> Steps:
    body = b"".join(wire.frames)
    for escaped, raw in ((rb"\u000b", b"\v"), (rb"\f", b"\f"), (rb"\u001c", b"\x1c"), (rb"\t", b"\t")):
        body = body.replace(escaped, raw)
    yield from wire.sent([body])


@fault
def silent_midway(wire: Wire) -> Steps:
    yield from wire.begun(wire.some())
    yield "silence"


@fault
def endless_pings(wire: Wire) -> Steps:
    wire.form = wire.rng.choice(["chunked", "close"])
    yield from wire.begun(wire.some())
    ping = [b": ping\n\n", b"\n", b"event: ping\n\n"] if wire.has_events else [b" ", b"\t", b"\r"]
    yield Endless(wire.piece(wire.rng.choice(ping)), 0.02)


@fault
def endless_text(wire: Wire) -> Steps:
    wire.form = wire.rng.choice(["chunked", "close"])
    some = wire.some()
    yield from wire.begun(some)
    yield Endless(wire.piece((some or wire.frames)[-1 if some else 0]), 0.005)


@fault
def endless_line(wire: Wire) -> Steps:
    wire.form = wire.rng.choice(["chunked", "close"])
    yield from wire.begun(wire.some())
    yield wire.piece(b'data: {"choices": [{"text": "' if wire.has_events else b'{"message": {"content": "')
    yield Endless(wire.piece(b"x" * 16_384))


SAID = rb'"(?:content|response|text|name|arguments|thinking)": ?("(?:[^"\\]|\\.)+")'
"""What a model says, in whatever frame."""


@fault
def garbled(wire: Wire) -> Steps:
    """Bits flipped, bytes lost, put in or written over: within the reply, so that HTTP itself is sound."""
    body = bytearray(b"".join(wire.frames))
    for _ in range(wire.rng.choice([1, 1, 1, 2, 5])):
        said = [found.span(1) for found in re.finditer(SAID, body)]
        begin, end = wire.rng.choice(said) if said and wire.rng.random() < 0.6 else (0, len(body))
        at = wire.rng.randrange(begin, end)
        how = wire.rng.choice(["flip", "lose", "put", "over"])
        if how == "flip":
            body[at] ^= 1 << wire.rng.randrange(8)
        elif how == "lose":
            del body[at : at + wire.rng.choice([1, 1, 3, 30])]
        elif how == "put":
            body[at:at] = wire.rng.choice(
                [wire.rng.randbytes(2), b"\n", b"}", b'"', b"\xff", b"\xe2\x80\xa8", b"\x00"]
            )
        else:
            body[at : at + 1] = wire.rng.randbytes(1)
    yield from wire.sent([bytes(body)])


@fault
def frame_twice(wire: Wire) -> Steps:
    calls = [at for at, frame in enumerate(wire.frames) if b'tool_calls": [' in frame]
    at = wire.rng.choice(calls or range(len(wire.frames)))
    yield from wire.sent([*wire.frames[: at + 1], *wire.frames[at:]])


@fault
def bytes_twice(wire: Wire) -> Steps:
    body = b"".join(wire.frames)
    begin, end = sorted(wire.rng.randrange(len(body) + 1) for _ in range(2))
    yield from wire.sent([body[:end], body[begin:]])


@fault
def frame_lost(wire: Wire) -> Steps:
    at = wire.rng.randrange(len(wire.frames))
    yield from wire.sent([*wire.frames[:at], *wire.frames[at + 1 :]])
