"""A real Matrix homeserver for tests: Synapse, on this machine alone, started once and stopped at the end."""

from __future__ import annotations

import asyncio
import atexit
import base64
import hashlib
import hmac
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
NAME = "localhost.test"
PYTHON = os.environ.get("GEMMAGRAPH_SYNAPSE", "")
"""Read at once: tests do not see it."""
_FREELY = {"per_second": 10000, "burst_count": 10000}


def python_of_synapse() -> Path:
    """The Python that has Synapse; skips the test aloud where there is none."""
    python = Path(PYTHON) if PYTHON else ROOT / ".synapse" / "bin" / "python"
    if not python.exists():
        pytest.skip(f"No Synapse at {python}: `make synapse` gets it, or name its Python in GEMMAGRAPH_SYNAPSE.")
    return python


class Synapse:
    """A homeserver with its data in a folder of its own."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="synapse-"))
        self.secret = secrets.token_hex(16)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None
        self.count = 0
        self._configure()

    def _configure(self) -> None:
        seed = base64.b64encode(secrets.token_bytes(32)).decode().rstrip("=")
        (self.folder / "signing.key").write_text(f"ed25519 a_test {seed}\n")
        limited = ("message", "registration", "login", "joins", "invites", "admin_redaction", "media_create")
        config: dict[str, Any] = {
            "server_name": NAME,
            "public_baseurl": f"{self.url}/",
            "pid_file": str(self.folder / "pid"),
            "listeners": [
                {
                    "port": self.port,
                    "bind_addresses": ["127.0.0.1"],
                    "type": "http",
                    "tls": False,
                    "resources": [{"names": ["client"]}],
                }
            ],
            "database": {"name": "sqlite3", "args": {"database": str(self.folder / "homeserver.db")}},
            "media_store_path": str(self.folder / "media"),
            "signing_key_path": str(self.folder / "signing.key"),
            "registration_shared_secret": self.secret,
            "macaroon_secret_key": self.secret,
            "form_secret": self.secret,
            "report_stats": False,
            "trusted_key_servers": [],
            "suppress_key_server_warning": True,
            "url_preview_enabled": False,
            "federation_domain_whitelist": [],
            "bcrypt_rounds": 4,
            "presence": {"enabled": False},
            **{f"rc_{what}": _FREELY for what in limited},
        }
        config["rc_login"] = dict.fromkeys(("address", "account", "failed_attempts"), _FREELY)
        config["rc_joins"] = dict.fromkeys(("local", "remote"), _FREELY)
        config["rc_invites"] = dict.fromkeys(("per_room", "per_user", "per_issuer"), _FREELY)
        (self.folder / "homeserver.yaml").write_text(json.dumps(config))  # JSON is YAML

    def start(self) -> None:
        command = [
            str(python_of_synapse()),
            "-m",
            "synapse.app.homeserver",
            "-c",
            str(self.folder / "homeserver.yaml"),
        ]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=self.folder, env={**os.environ, "PYTHONPATH": ""}
            )

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/_matrix/client/versions", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    async def ready(self, seconds: float = 60.0) -> None:
        end = time.monotonic() + seconds
        while not await asyncio.to_thread(self.answers):
            if time.monotonic() > end or self.process is None or self.process.poll() is not None:
                raise TimeoutError(f"Synapse does not start:\n{(self.folder / 'log').read_text()[-2000:]}")
            await asyncio.sleep(0.1)

    def kill(self) -> None:
        """As a power cut would."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def ask(self, method: str, path: str, token: str = "", content: object = None) -> dict[str, Any]:
        """One request, now: for what a world does without waiting."""
        body = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(f"{self.url}{path}", body, method=method)
        request.add_header("Content-Type", "application/json")
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        with urllib.request.urlopen(request, timeout=10) as answer:
            said: dict[str, Any] = json.load(answer)
        return said

    def register(self, name: str, called: str = "", admin: bool = False) -> dict[str, Any]:
        """A new account: `user_id`, `access_token`, `device_id`."""
        path = "/_synapse/admin/v1/register"
        nonce = self.ask("GET", path)["nonce"]
        said = "\0".join((nonce, name, f"pw-{name}", "admin" if admin else "notadmin"))
        mac = hmac.new(self.secret.encode(), said.encode(), hashlib.sha1).hexdigest()
        account = {"nonce": nonce, "username": name, "password": f"pw-{name}", "admin": admin, "mac": mac}
        account |= {"displayname": called or name}
        return self.ask("POST", path, content=account)


_running: list[Synapse] = []


async def synapse() -> Synapse:
    """The one of this test session, running."""
    if not _running:
        python_of_synapse()
        server = Synapse()
        _running.append(server)
        atexit.register(server.close)
    server = _running[0]
    if server.process is None or server.process.poll() is not None:
        server.start()
    await server.ready()
    return server
