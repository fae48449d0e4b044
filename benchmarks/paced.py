"""The tests' stand-in for a server, at the pace of a model: `python paced.py ollama` (or `openai`).

It prints its port, and ends when its standard input does. Its replies have two fields more: `delay`, the seconds
until it begins, and `wait`, those between two pieces.
"""

from __future__ import annotations

import sys
import threading
import time
from contextlib import suppress
from http.server import HTTPServer
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parent.parent / "tests"))

import ollama_server
import openai_server

_AT_ONCE = 16


class Ollama(ollama_server.Handler):
    disable_nagle_algorithm = True  # as servers of models do: a small piece must not wait for the one before

    def generate(self, asked: dict[str, Any], reply: dict[str, Any], *rest: Any) -> None:
        time.sleep(reply.get("delay", 0.0))
        super().generate(asked, reply, *rest)


class OpenAI(openai_server.Handler):
    disable_nagle_algorithm = True

    def stream(self, asked: dict[str, Any], reply: dict[str, Any], is_chat: bool) -> None:
        time.sleep(reply.get("delay", 0.0))
        super().stream(asked, reply, is_chat)

    def frame(self, value: dict[str, Any], reply: dict[str, Any]) -> None:
        super().frame(value, reply)
        time.sleep(reply.get("wait", 0.0))


def serve(server: HTTPServer) -> None:
    """Serves one connection after another."""
    while True:
        request, address = server.get_request()
        with suppress(OSError):  # clients may leave at any moment
            server.process_request(request, address)


def main(protocol: str) -> None:
    # Threads that wait for connections: to start one for each takes a millisecond that no real server takes.
    server = HTTPServer(("127.0.0.1", 0), {"ollama": Ollama, "openai": OpenAI}[protocol])
    for _ in range(_AT_ONCE):
        threading.Thread(target=serve, args=[server], daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1])
