"""Which Gemma of an Ollama is used when none was named, and what is said when it has none."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from gemmagraph.choice import choose_model
from gemmagraph.errors import AgentError, BackendUnavailable

NOWHERE = "127.0.0.1:1"
"""Nothing listens there."""


@pytest.fixture
def ollama_with(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """`ollama_with(*names)`: the address of an Ollama that lists these models; OLLAMA_HOST names it."""
    servers = []

    def serving(*names: str) -> str:
        class Tags(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.dumps({"models": [{"model": name, "name": name} for name in names]}).encode()
                self.send_response(200 if self.path == "/api/tags" else 404)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Nothing: standard error is pytest's."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Tags)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        servers.append(server)
        address = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("OLLAMA_HOST", address)
        return address

    yield serving
    for server in servers:
        server.shutdown()
        server.server_close()


def chosen(base_url: str | None = None) -> tuple[str, str]:
    return asyncio.run(asyncio.wait_for(choose_model(base_url), 20))


@pytest.mark.parametrize(
    ("there", "model"),
    [
        (["gemma3:1b", "gemma3:4b"], "gemma3:1b"),
        (
            ["llama3:8b", "hf.co/google/gemma-3-4b-it-gguf:Q4_0"],
            "hf.co/google/gemma-3-4b-it-gguf:Q4_0",
        ),
        (["embeddinggemma:300m", "shieldgemma:2b", "gemma2:9b"], "gemma2:9b"),
        (["functiongemma:270m", "medgemma:4b", "gemma3n:e4b"], "gemma3n:e4b"),
        (["llama3:8b", "medgemma:4b"], "medgemma:4b"),
    ],
)
def test_the_first_gemma_that_holds_conversations_is_taken(ollama_with, there: list[str], model: str) -> None:
    ollama_with(*there)
    name, why = chosen()
    assert name == f"ollama:{model}"
    assert why.startswith(f"Model: {model} on Ollama")


def test_an_ollama_without_a_gemma_is_told_from_none_at_all(ollama_with, monkeypatch: pytest.MonkeyPatch) -> None:
    ollama_with("llama3:8b", "embeddinggemma:300m")
    name, why = chosen()
    assert name == "builtin"
    assert "the Ollama that answers has no Gemma" in why
    monkeypatch.setenv("OLLAMA_HOST", NOWHERE)
    name, why = chosen()
    assert name == "builtin"
    assert "no Ollama answers" in why


def test_nothing_stands_in_for_a_server_that_was_named(ollama_with) -> None:
    address = ollama_with("llama3:8b")
    with pytest.raises(AgentError, match="has no Gemma"):
        chosen(address)
    with pytest.raises(BackendUnavailable):
        chosen(f"http://{NOWHERE}")
