"""What the stand-ins for model servers have in common: a process, a port, an end with its standard input."""

from __future__ import annotations

import sys
import threading
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


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
