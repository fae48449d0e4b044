"""How much of a growing prompt a real llama.cpp server reads again at each step, as its `timings` tell."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

from measure import QUICK, Effort, Row
from servers import llama
from sides import versions

sys.path.append(str(Path(__file__).parent.parent / "tests"))

_STEPS, _FEW = 20, 4
_CONTEXT = 30_000
_SPARE = 32
_SETTINGS: dict[str, Any] = {"context": _CONTEXT, "max_tokens": 400, "seed": 3}
_TIMINGS = re.compile(rb'"timings":(\{.*?\})')
_LOOK_UP = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "Looks up what the weather will be like in a city, and what to take along.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"enum": ["Paris", "Rome", "Oslo", "Lima", "Cairo"], "description": "Where."}},
            "required": ["city"],
        },
    },
}
_INSTRUCTIONS = "You plan journeys. Look up each city before you say anything about it, and never guess. " * 4
_QUESTION = "Where is it warm on day {}, and what would I take along to go there?"


@dataclass(frozen=True)
class Read:
    """What the engine did with a prompt."""

    again: int
    """Tokens that it evaluated."""
    kept: int
    """Tokens that it knew."""
    took: float
    """Milliseconds."""

    @property
    def all(self) -> int:
        return self.again + self.kept


def rows(effort: Effort) -> list[Row]:
    if not all(map(find_spec, ("xllamacpp", "gguf", "numpy"))):
        return []
    steps = _FEW if effort == QUICK else _STEPS
    return asyncio.run(_rows(steps))


async def _rows(steps: int) -> list[Row]:
    found = []
    with llama(_CONTEXT) as server:
        url, options = server["url"], server["options"]
        for transport in ("completion", "chat"):
            read = await _tapped(url, partial(_calls_over, transport, options, steps))
            found.append(_row(f"over {transport}", read))
        found.append(_row("in this process", await _in_process(options, steps)))
        read = await _tapped(url, partial(_thread, options, steps))
        others = {}
        if versions()["langchain-openai"]:
            others["langchain-openai"] = _told(await _tapped(url, partial(_langchain, options, steps)))
        found.append(_row("over completion, without calls", read, others))
    with llama(_CONTEXT, "tools") as server:
        read = await _tapped(server["url"], partial(_calls_over, "tools", server["options"], steps))
        found.append(_row("over tools", read))
    return found


def _row(where: str, read: list[Read], peers: dict[str, str] | None = None) -> Row:
    return Row(
        f"{len(read)} steps on llama.cpp {where}: tokens read again in one",
        _told(read),
        f"new and last reply {median(_new(read)):,.0f}",
        peers=peers or {},
        reach=f"≤ new + last reply + {_SPARE}",
        met=_most_beyond(read) <= _SPARE,
    )


def _told(read: list[Read]) -> str:
    again, whole = (median(figures) for figures in zip(*((each.again, each.all) for each in read[1:]), strict=True))
    return f"{again:,.0f} of {whole:,.0f}, at most {_most_beyond(read):+} beyond"


def _new(read: list[Read]) -> list[int]:
    """By how much each prompt is longer than the one before: by the last reply and what was said after it."""
    return [late.all - early.all for early, late in pairwise(read)]


def _most_beyond(read: list[Read]) -> int:
    return max(each.again - new for each, new in zip(read[1:], _new(read), strict=True))


def _gemma(url: str, transport: Any, options: dict[str, Any]) -> Any:
    from gemmagraph import Gemma

    return Gemma("openai:gemma3-tiny", base_url=f"{url}/v1", transport=transport, **_SETTINGS, **options)


async def _calls_over(transport: str, options: dict[str, Any], steps: int, url: str) -> None:
    await _calls(_gemma(url, transport, options), steps)


async def _calls(gemma: Any, steps: int) -> None:
    """Steps in which the model has to call a tool, and is given the result."""
    from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage

    from gemmagraph import ChatGemma

    model = ChatGemma(gemma=gemma).bind_tools([_LOOK_UP], tool_choice="any")
    messages: list[Any] = [SystemMessage(_INSTRUCTIONS), HumanMessage(_QUESTION.format(0))]
    for step in range(steps):
        reply = await model.ainvoke(messages)
        if not reply.tool_calls:
            raise AssertionError(f"step {step} called nothing: {reply}")
        result = f"Day {step}: sunny, {10 + step} degrees, light wind from the west, no rain until the evening."
        messages.append(reply)
        messages += [ToolMessage(result, tool_call_id=call["id"], name=call["name"]) for call in reply.tool_calls]
    await gemma.close()


async def _thread(options: dict[str, Any], steps: int, url: str) -> None:
    """Steps in which somebody asks and the model says something."""
    from gemmagraph import Agent

    async with Agent(_gemma(url, "completion", options), instructions=_INSTRUCTIONS) as agent:
        for step in range(steps):
            await agent.arun(_QUESTION.format(step), thread="journey")


async def _langchain(options: dict[str, Any], steps: int, url: str) -> None:
    """The same of another client, over chat."""
    from langchain_core.messages import HumanMessage, SystemMessage
    from langchain_openai import ChatOpenAI

    asked = {**options, "max_tokens": _SETTINGS["max_tokens"], "seed": _SETTINGS["seed"]}
    model = ChatOpenAI(model="gemma3-tiny", base_url=f"{url}/v1", api_key="none", extra_body=asked)
    messages: list[Any] = [SystemMessage(_INSTRUCTIONS)]
    for step in range(steps):
        messages.append(HumanMessage(_QUESTION.format(step)))
        messages.append(await model.ainvoke(messages))


async def _in_process(options: dict[str, Any], steps: int) -> list[Read]:
    import tiny_gemma

    from gemmagraph import Gemma
    from gemmagraph.backends.gguf.backend import GgufBackend
    from gemmagraph.backends.gguf.engine import Engine
    from gemmagraph.backends.gguf.file import read_gguf

    seen: list[Read] = []

    class Watched(Engine):
        def complete(self, body: bytes, context: int, hand: Any) -> None:
            class Listening:
                left = property(lambda self: hand.left)

                def give(self, item: str | bytes) -> None:
                    if isinstance(item, bytes):
                        _take(item, seen)
                    hand.give(item)

            super().complete(body, context, Listening())

    with tempfile.TemporaryDirectory() as folder:
        path = tiny_gemma.write_tiny_gemma(Path(folder) / "gemma-3-tiny.gguf")
        backend = GgufBackend(path, threads=1)
        backend._engine = Watched(read_gguf(path), threads=1)
        await _calls(Gemma(backend, **_SETTINGS, **options), steps)
    return seen


async def _tapped(url: str, talk: Callable[[str], Awaitable[None]]) -> list[Read]:
    """What that server tells at the end of each reply while `talk` asks it through an address of ours."""
    place = urlsplit(url)
    seen: list[Read] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection(place.hostname, place.port)
        with suppress(OSError):  # who has read the end of a reply may leave
            await asyncio.gather(_pass(reader, to_server), _pass(from_server, writer, seen))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        await talk(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    return seen


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: list[Read] | None = None) -> None:
    rest = b""
    while piece := await reader.read(65_536):
        if seen is not None:
            rest += piece
            rest = _take(rest, seen)
        writer.write(piece)
        await writer.drain()
    writer.close()


def _take(said: bytes, seen: list[Read]) -> bytes:
    """Takes down what is told there, and gives what stands behind it. A reply may end in two frames that tell it."""
    end = 0
    for match in _TIMINGS.finditer(said):
        end = match.end()
        told = json.loads(match.group(1))
        read = Read(told["prompt_n"], told["cache_n"], told["prompt_ms"])
        if read not in seen[-1:]:
            seen.append(read)
    return said[end:]
