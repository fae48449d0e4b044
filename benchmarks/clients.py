"""Who asks a server: gemmagraph at each of its doors, and the clients of others.

A side is a function that asks once and gives the text of the reply as it arrives. All ask the same: the same model,
the same words, and of Ollama the same context.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import AsyncGenerator, Callable
from typing import Any
from urllib.parse import urlsplit

from script import QUESTION
from sides import versions

Side = Callable[[], AsyncGenerator[str, None]]

MODEL = "gemma3:4b"
_CONTEXT = 8192
_MESSAGES = [{"role": "user", "content": QUESTION}]


def ours(protocol: str, url: str) -> dict[str, Side]:
    """`backend` is what only streams; the others read the reply too."""
    from gemmagraph import Agent, ChatGemma, Gemma, tool
    from gemmagraph.backends.base import Request
    from gemmagraph.events import TextDelta
    from gemmagraph.prompts.messages import Text, Turn
    from gemmagraph.prompts.toolset import Toolset

    @tool
    def note(text: str) -> str:
        """Writes something down."""
        return text

    gemma = Gemma(f"{protocol}:{MODEL}", base_url=_base(protocol, url), context=_CONTEXT)
    tools, turns = Toolset([note.spec]), (Turn("user", (Text(QUESTION),)),)
    agent, chat_gemma = Agent(gemma, [note]), ChatGemma(gemma=gemma)
    request = Request(MODEL, messages=tuple(_MESSAGES), context=_CONTEXT)

    async def backend() -> AsyncGenerator[str, None]:
        async for chunk in gemma.backend.stream(request):
            if chunk.text:
                yield chunk.text

    async def of_gemma() -> AsyncGenerator[str, None]:
        async for event in gemma.stream(turns, tools):
            if isinstance(event, TextDelta):
                yield event.text

    async def of_agent() -> AsyncGenerator[str, None]:
        async for event in agent.stream(QUESTION):
            if isinstance(event, TextDelta):
                yield event.text

    async def of_chat_gemma() -> AsyncGenerator[str, None]:
        async for chunk in chat_gemma.astream(QUESTION):
            yield str(chunk.content)

    return {"backend": backend, "Gemma": of_gemma, "Agent": of_agent, "ChatGemma": of_chat_gemma}


def others(protocol: str, url: str) -> dict[str, Side]:
    """The server's own client and LangChain's chat model, by their distributions, as far as they are installed."""
    makers = {
        "ollama": {"ollama": _ollama, "langchain-ollama": _langchain_ollama},
        "openai": {"openai": _openai, "langchain-openai": _langchain_openai},
    }
    installed = versions()
    return {name: make(_base(protocol, url)) for name, make in makers[protocol].items() if installed[name]}


def _base(protocol: str, url: str) -> str:
    return f"{url}/v1" if protocol == "openai" else url


def _ollama(url: str) -> Side:
    import ollama

    client = ollama.AsyncClient(url)

    async def say() -> AsyncGenerator[str, None]:
        async for part in await client.chat(MODEL, _MESSAGES, stream=True, options={"num_ctx": _CONTEXT}):
            yield part.message.content or ""

    return say


def _openai(url: str) -> Side:
    from openai import AsyncOpenAI

    client = AsyncOpenAI(base_url=url, api_key="none")

    async def say() -> AsyncGenerator[str, None]:
        messages: Any = _MESSAGES
        async for chunk in await client.chat.completions.create(model=MODEL, messages=messages, stream=True):
            if chunk.choices:
                yield chunk.choices[0].delta.content or ""

    return say


def _langchain_ollama(url: str) -> Side:
    from langchain_ollama import ChatOllama

    return _langchain(ChatOllama(model=MODEL, base_url=url, num_ctx=_CONTEXT))


def _langchain_openai(url: str) -> Side:
    from langchain_openai import ChatOpenAI

    return _langchain(ChatOpenAI(model=MODEL, base_url=url, api_key="none"))


def _langchain(model: Any) -> Side:
    async def say() -> AsyncGenerator[str, None]:
        async for chunk in model.astream(QUESTION):
            yield str(chunk.content)

    return say


class Bare:
    """Asks through a socket and nothing else, which stays open as long as `kept`."""

    def __init__(self, protocol: str, url: str, *, kept: bool) -> None:
        place = urlsplit(url)
        self._place, self._kept = (place.hostname, place.port), kept
        self._connection: socket.socket | None = None
        asked: dict[str, Any] = {"model": MODEL, "messages": _MESSAGES, "stream": True}
        path = "/v1/chat/completions"
        if protocol == "ollama":
            asked["options"], path = {"num_ctx": _CONTEXT}, "/api/chat"
        body = json.dumps(asked)
        head = f"POST {path} HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Length: {len(body)}\r\n\r\n"
        self._request = (head + body).encode()

    def seconds(self, text: str) -> float:
        """Until that text has arrived. The rest is received too."""
        begun = time.perf_counter()
        connection = self._connection or socket.create_connection(self._place, timeout=10)
        connection.sendall(self._request)
        seen, received = 0.0, b""
        while not received.endswith(b"\r\n0\r\n\r\n"):
            piece = connection.recv(65_536)
            received += piece
            if not seen and text.encode() in received:
                seen = time.perf_counter() - begun
            if not piece:
                raise AssertionError(f"{received!r} has no end")
        if self._kept:
            self._connection = connection
        else:
            connection.close()
        return seen

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
