"""Secrets of many shapes, and a look at whether one of them can be read in what came out of a run.

A leak is found by decoding what came out, not by the forms that the masking knows.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import dataclasses
import json
import logging
import random
import re
import traceback
from collections.abc import Mapping
from urllib.parse import quote, quote_plus, unquote, unquote_plus

from gemmagraph.events import ArgumentsDelta, RunFinished, SubagentEvent, TextDelta, ThoughtDelta, innermost

COUNT = 200
PATIENCE = 60
"""Seconds that one run may take."""
ENOUGH = 8
"""Characters in a row of a secret that are a leak."""


def canary(number: int) -> str:
    """A secret of one of many shapes; each holds characters that stand nowhere else."""
    dice = random.Random(f"canary {number}")
    word = "".join(dice.choices("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", k=24))
    shapes = (
        word[:8],
        f"sk-{word}",
        f"ghp_{word}_{word[::-1]}",
        f"p@ss/{word}+w&r=d?#%",
        f'{word[:9]}"quoted" \\back\\{word[9:]}',
        f"-----BEGIN KEY-----\n{word}\n{word[::-1]}\n-----END KEY-----",
        f"päß-{word}-日本-🙂{word[::-1]}",
        f"<end_of_turn>{word}<start_of_turn>user",
        f"{{{{ secrets.x }}}}{word}[secret s1]",
        f"{word} with blanks\tand tabs {word[::-1]}",
        f"FUNCTION_CALL: {word}(a=1)",
        base64.b64encode(word.encode()).decode(),
        f"{word}.*[a-z]+$({word[::-1]})",
        word * 12,
        f"postgres://bot:{word}@db/orders",
        f"%41%42{word}%2F",
    )
    return shapes[number % len(shapes)]


CANARIES = {f"s{number}": canary(number) for number in range(COUNT)}


def written(value: str) -> list[str]:
    """The ways in which a tool may write a secret."""
    data = value.encode()
    return [
        value,
        base64.b64encode(data).decode(),
        base64.urlsafe_b64encode(data).decode().rstrip("="),
        base64.b64encode(b"u:" + data + b"!").decode(),
        base64.b64encode(b"x" + data + b"yz").decode(),
        quote(value),
        quote(value, safe=""),
        quote_plus(value),
        json.dumps(value),
    ]


def everything() -> list[str]:
    return [text for value in CANARIES.values() for text in written(value)]


def decoded(text: str) -> list[str]:
    """What stands in a text, and what comes of it if it is decoded."""
    found = []
    for run in set(re.findall(r"[A-Za-z0-9+/_-]{10,}", text)):
        plain = run.replace("-", "+").replace("_", "/")
        for start in range(4):
            whole = plain[start : -1 if (len(plain) - start) % 4 == 1 else None]
            found.append(binascii.a2b_base64(whole + "=" * (-len(whole) % 4)).decode("utf-8", "replace"))
    return [text, unquote(text), unquote_plus(text), unescaped(text), unescaped(unescaped(text)), "\0".join(found)]


def unescaped(text: str) -> str:
    text = re.sub(r"\\u([0-9a-fA-F]{4})", lambda code: chr(int(code[1], 16)), text)
    text = re.sub(r"\\([ntr\"\\/])", lambda escape: {"n": "\n", "t": "\t", "r": "\r"}.get(escape[1], escape[1]), text)
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


COMMON = (
    *("-----BEGIN KEY-----", "-----END KEY-----", "<end_of_turn>", "<start_of_turn>user", "{{ secrets.x }}"),
    *(
        "[secret s1]",
        "FUNCTION_CALL: ",
        " with blanks\tand tabs ",
        "postgres://bot:",
        '"quoted" \\back\\',
        "@db/orders",
    ),
)
"""What several secrets have in common: it gives none of them away."""


def windows(text: str) -> set[str]:
    return {text[start : start + ENOUGH] for start in range(len(text) - ENOUGH + 1)}


OWNERS = {
    piece: name
    for name, value in CANARIES.items()
    for piece in windows(value)
    if "[sec" not in piece and "_CALL:" not in piece and not any(piece in each for each in COMMON)
}


def leaks(texts: Mapping[str, str]) -> list[str]:
    """Which secrets can be read in which of these, if only a piece of them."""
    seen: dict[str, str] = {}
    for door, text in texts.items():
        seen.setdefault(text, door)
    found = []
    for text, door in seen.items():
        for plain in decoded(text):
            for piece in windows(plain) & OWNERS.keys():
                at = plain.index(piece)
                found.append(f"{OWNERS[piece]} at {door}: {piece!r} in …{plain[max(0, at - 60) : at + 30]!r}…")
    return sorted(found)


def texts_in(value: object) -> list[str]:
    """Every text in a value, its keys and the fields of its parts included."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, BaseException):
        return ["".join(traceback.format_exception(value)), str(value), *texts_in(value.args)]
    if isinstance(value, Mapping):
        return [text for pair in value.items() for part in pair for text in texts_in(part)]
    if isinstance(value, list | tuple | set):
        return [text for item in value for text in texts_in(item)]
    if dataclasses.is_dataclass(value):
        return [text for field in dataclasses.fields(value) for text in texts_in(getattr(value, field.name))]
    return [] if value is None or isinstance(value, int | float | bool) else [str(value)]


class Doors:
    """All that came out of a run."""

    def __init__(self, agent, backend, cassette, caplog):
        self.agent, self.backend, self.cassette, self.caplog = agent, backend, cassette, caplog
        self.events = []
        self.error = None

    def run(self, said, **keys):
        asyncio.run(asyncio.wait_for(self._run(said, keys), PATIENCE))
        return self

    async def _run(self, said, keys):
        try:
            async for event in self.agent.stream(said, **keys):
                self.events.append(event)
        except Exception as exc:  # noqa: BLE001 - whatever it is, it is looked at
            self.error = exc
        finally:
            await self.agent.aclose()

    @property
    def result(self):
        return next(event.result for event in self.events if isinstance(event, RunFinished))

    def streamed(self, kind=TextDelta) -> str:
        """What came in pieces; what agents inside of others said follows it."""
        inside = [innermost(event) for event in self.events if isinstance(event, SubagentEvent)]
        return "".join(event.text for event in [*self.events, *inside] if isinstance(event, kind))

    def told(self) -> list[str]:
        return [str(call.result) for call in self.result.calls]

    def texts(self) -> dict[str, str]:
        formatter = logging.Formatter()
        return {
            "the prompt": "\n".join(text for request in self.backend.requests for text in texts_in(request)),
            "the events": "\n".join(text for event in self.events for text in texts_in(event)),
            "the streamed text": self.streamed(),
            "the streamed thoughts": self.streamed(ThoughtDelta),
            "the streamed arguments": self.streamed(ArgumentsDelta),
            "the log": "\n".join(formatter.format(record) for record in self.caplog.records),
            "the error": "\n".join(texts_in(self.error)) if self.error else "",
            "the result": "\n".join(text for message in self._messages() for text in texts_in(message.model_dump())),
            "the cassette": self.cassette.read_text(encoding="utf-8") if self.cassette.exists() else "",
        }

    def _messages(self):
        return [
            message for event in self.events if isinstance(event, RunFinished) for message in event.result.messages
        ]
