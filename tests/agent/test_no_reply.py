"""What answers at a wrong address, or in place of a model server, is named, with how it began."""

import asyncio
import gzip

import pytest

from gemmagraph import errors
from gemmagraph.backends.gemini.backend import GeminiBackend
from gemmagraph.backends.network.http import Bounds
from gemmagraph.backends.ollama.backend import OllamaBackend
from gemmagraph.backends.openai.backend import OpenAIBackend

QUICK = Bounds(pause=0.01, total=10, question=5)
BACKENDS = {
    "ollama": lambda url: OllamaBackend(url, bounds=QUICK),
    "openai": lambda url: OpenAIBackend(f"{url}/v1", bounds=QUICK),
    "gemini": lambda url: GeminiBackend("gemma-4-31b-it", url, "key", bounds=QUICK),
}
ADDRESS = ["Check "]

ANSWERS = {
    # what is answered: status, media type, body, error, words
    "text": (200, "text/plain", b"Hello world", errors.ServerError, ["'Hello world'", *ADDRESS]),
    "lines of text": (200, "text/plain", b"Hello\nworld\n", errors.ServerError, ["'Hello", *ADDRESS]),
    "page": (200, "text/html", b"<h1>It works!</h1>", errors.BackendUnavailable, ["'It works!'", *ADDRESS]),
    "page without its type": (200, "text/plain", b"<h1>Hi</h1>", errors.BackendError, ["Hi", *ADDRESS]),
    "list": (200, "application/json", b"[1, 2]", errors.ServerError, ["'[1, 2]'", *ADDRESS]),
    "word": (200, "application/json", b'"up"', errors.ServerError, ["up", *ADDRESS]),
    "other JSON": (200, "application/json", b'{"status": "ok"}', errors.ServerError, ["status", *ADDRESS]),
    "nothing": (204, "text/plain", b"", errors.ServerError, ["with nothing (status 204)", *ADDRESS]),
    "teapot": (418, "text/plain", b"short and stout", errors.BadRequest, ["418", "short and stout", *ADDRESS]),
    "bad gzip": (200, "application/x-ndjson", b"no gzip", errors.ServerError, ["cannot be understood", *ADDRESS]),
}


async def answering(status, media, body, ask):
    """What `ask(url)` says of a server that gives this answer to every POST of a reply, and 404 to all else."""

    async def one(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        is_asked = any(page in head for page in (b"/api/chat", b"/chat/completions", b":streamGenerateContent"))
        code, text = (status, body) if is_asked else (404, b"")
        encoding = b"Content-Encoding: gzip\r\n" if b"gzip" in text or text[:2] == b"\x1f\x8b" else b""
        length = b"" if code == 204 else b"Content-Length: %d\r\n" % len(text)
        first = b"HTTP/1.1 %d Well\r\nContent-Type: %s\r\n" % (code, media.encode())
        writer.write(first + encoding + length + b"Connection: close\r\n\r\n" + text)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(one, "127.0.0.1", 0)
    async with server:
        return await asyncio.wait_for(ask(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"), 20)


@pytest.mark.parametrize("server", BACKENDS)
@pytest.mark.parametrize("answer", ANSWERS)
def test_what_is_no_reply_is_an_error_that_shows_how_it_begins(hear, server, answer):
    status, media, body, kind, words = ANSWERS[answer]
    with pytest.raises(kind) as caught:
        asyncio.run(answering(status, media, body, lambda url: hear(BACKENDS[server](url))))
    said = str(caught.value)
    assert not isinstance(caught.value, errors.TruncatedReply)
    assert [word for word in words if word not in said] == [], said
    assert "\n" not in said


def test_a_reply_that_was_compressed_is_read_all_the_same(hear):
    frames = b'{"message": {"content": "Hello."}, "done": false}\n{"done": true, "done_reason": "stop"}\n'
    asked = answering(200, "application/x-ndjson", gzip.compress(frames), lambda url: hear(BACKENDS["ollama"](url)))
    assert asyncio.run(asked).text == "Hello."
