"""What the stand-ins for model servers have in common: a process, a port, an end with its standard input; what they
are told to say, what they remember, and how they write."""

from __future__ import annotations

import json
import select
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LONGEST = 30.0
"""Seconds that anything here may take."""


class Gone(Exception):
    """The client has left."""


@dataclass
class State:
    """What a server knows; guarded by `changed`."""

    changed: threading.Condition = field(default_factory=threading.Condition)
    replies: list[dict[str, Any]] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    requests: list[dict[str, Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def tell(self, asked: dict[str, Any], forget: Callable[[], None] = lambda: None) -> None:
        """Takes what tests set.

        Args:
            forget: does the rest of what a reset does.
        """
        with self.changed:
            if asked.get("reset"):
                self.replies, self.settings, self.requests, self.asked = [], {}, [], []
                forget()
            self.replies.extend(asked.get("replies", ()))
            self.settings.update(asked.get("settings", {}))

    def wait(self, query: dict[str, list[str]]) -> None:
        """Waits until so many replies have begun and ended as a query asks for; not for ever."""
        begun, ended = (int(query.get(name, ["0"])[0]) for name in ("begun", "ended"))
        with self.changed:
            self.changed.wait_for(
                lambda: len(self.requests) >= begun and sum(1 for each in self.requests if each["ended"]) >= ended,
                timeout=10,
            )


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = LONGEST
    json_type = "application/json"

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: standard error is pytest's."""

    def pause(self, seconds: float) -> None:
        """Waits, unless the client leaves meanwhile.

        Raises:
            Gone: it left.
        """
        readable, _, _ = select.select([self.connection], [], [], min(seconds, LONGEST))
        if readable and not self.connection.recv(1, socket.MSG_PEEK):
            raise Gone

    def answer(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        """A page, or what is no text as JSON."""
        if isinstance(body, str):
            self.whole(status, body.encode(), "text/html", headers)
        else:
            self.whole(status, json.dumps(body).encode(), self.json_type, headers)

    def whole(self, status: int, body: bytes, media: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", media)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def begin(self, media: str) -> None:
        """Begins a reply in chunks."""
        self.send_response(200)
        self.send_header("Content-Type", media)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def end(self) -> None:
        self.wfile.write(b"0\r\n\r\n")

    def drop(self) -> None:
        """Breaks the connection off."""
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients may leave at any moment; anything else is shown."""
        if not isinstance(sys.exc_info()[1], OSError):
            traceback.print_exc()


def serve(handler: type[BaseHTTPRequestHandler]) -> None:
    """Serves on a free port, which it prints, until standard input ends."""
    server = Server(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()
