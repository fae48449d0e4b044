"""For all tests: the network ends at this machine, and `ollama` is a stand-in server that plays replies."""

from __future__ import annotations

import gc
import http.client
import importlib.util
import ipaddress
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from gemmagraph.prompts import notation
from gemmagraph.tools import secrets

ROOT = Path(__file__).parent.parent
LIVE = os.environ.get("OLLAMA_HOST", "")
"""The server of the tests marked `live`; no other test may see it."""
REACHABLE = {"localhost"}
LIVE_MODEL = os.environ.get("OLLAMA_TEST_MODEL", "")
LIVE_OPENAI = os.environ.get("OPENAI_BASE_URL", "")
"""The server behind OpenAI's protocol of the tests marked `live`, and the next two what to ask there."""
LIVE_OPENAI_KEY = os.environ.get("OPENAI_API_KEY", "")
LIVE_OPENAI_MODEL = os.environ.get("OPENAI_TEST_MODEL", "")
LIVE_KEY = os.environ.get("GEMINI_API_KEY", "")
"""The key for the Gemini API in tests marked `live`; no other test may see it."""
os.environ["OMP_NUM_THREADS"] = "1"  # torch's: two are slower as soon as something else runs
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # each program that a test starts would compile the package anew


class NetworkRefused(Exception):
    """A test tried to reach another machine."""


def refuse_network(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.connect":
        place = arguments[1]
    elif event == "socket.getaddrinfo":
        place = arguments
    else:
        return
    if isinstance(place, tuple) and not allowed(place[0]):
        raise NetworkRefused(f"Tests must not reach {place[0]!r}.")


def allowed(host: str | bytes | None) -> bool:
    name = host.decode() if isinstance(host, bytes) else host or "localhost"
    if name in REACHABLE:
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def pytest_configure() -> None:
    google = "https://generativelanguage.googleapis.com" if LIVE_KEY else ""
    for address in filter(None, (LIVE, LIVE_OPENAI, google)):
        place = urlsplit(address if "://" in address else f"//{address}").hostname or "localhost"
        REACHABLE.add(place)
        with suppress(OSError):  # it is down, and the tests marked `live` will say so
            REACHABLE.update(str(found[0]) for *_, found in socket.getaddrinfo(place, None))
    # An audit hook also sees what C code and other threads do, and no test can forget it.
    sys.addaudithook(refuse_network)


def pytest_collection_finish() -> None:
    """Thousands of tests and modules are no garbage: who looks for some need not go through them each time."""
    gc.freeze()


def missing_from_the_installed_package() -> str:
    """A file of the rooms that an editable install does not know yet, or what else is amiss."""
    found = importlib.util.find_spec("gemmagraph")
    if found is None or not found.submodule_search_locations:
        return "gemmagraph is not installed"
    installed = Path(next(iter(found.submodule_search_locations)))
    for room, place in (("agent", "."), ("tools", "tools"), ("prompts", "prompts")):
        for file in (ROOT / room).rglob("*.py"):
            if not (installed / place / file.relative_to(ROOT / room)).exists():
                return f"{file.relative_to(ROOT)} is not in the installed package"
    return ""


if missing := missing_from_the_installed_package():  # at once: the next conftest imports the package
    pytest.exit(f"{missing}: run `make setup`.", returncode=4)


@pytest.fixture(autouse=True)
def _no_notation_stays_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notation, "_registered", {})


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What this machine has set must not decide a test."""
    for name in list(os.environ):
        if name.startswith(("OLLAMA_", "OPENAI_", "GEMINI_", "GOOGLE_", "GEMMAGRAPH_")) or name.lower().endswith(
            "_proxy"
        ):
            monkeypatch.delenv(name)


class StandIn:
    """A stand-in for a server, in its own process. The docstring of its script lists replies and settings."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def plays(self, *replies: dict[str, Any] | str, **settings: Any) -> None:
        """What it will say, after what it was told to say before."""
        written = [{"text": reply} if isinstance(reply, str) else reply for reply in replies]
        self._ask("POST", "/_control", {"replies": written, "settings": settings})

    def reset(self) -> None:
        self._ask("POST", "/_control", {"reset": True})

    def seen(self, *, begun: int = 0, ended: int = 0) -> dict[str, Any]:
        """`requests` and more, once so many chats have begun and ended."""
        seen: dict[str, Any] = self._ask("GET", f"/_requests?begun={begun}&ended={ended}")
        return seen

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=20)
        try:
            connection.request(method, path, json.dumps(body).encode() if body is not None else None)
            answer = connection.getresponse()
            assert answer.status == 200, answer.read()
            return json.loads(answer.read())
        finally:
            connection.close()


def started(script: str) -> Iterator[StandIn]:
    command = [sys.executable, str(Path(__file__).with_name(script))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield StandIn(int(process.stdout.readline()))
        process.communicate(timeout=10)


@pytest.fixture(scope="session")
def _ollama_process() -> Iterator[StandIn]:
    yield from started("ollama_server.py")


@pytest.fixture(scope="session")
def _openai_process() -> Iterator[StandIn]:
    yield from started("openai_server.py")


@pytest.fixture(scope="session")
def _gemini_process() -> Iterator[StandIn]:
    yield from started("gemini_server.py")


@pytest.fixture
def ollama(_ollama_process: StandIn) -> StandIn:
    """A server that speaks Ollama's protocol, with nothing loaded and nothing to say."""
    _ollama_process.reset()
    return _ollama_process


@pytest.fixture
def openai(_openai_process: StandIn) -> StandIn:
    """A server behind OpenAI's protocol, with nothing to say."""
    _openai_process.reset()
    return _openai_process


@pytest.fixture
def gemini(_gemini_process: StandIn) -> StandIn:
    """A server that speaks the Gemini API, with nothing to say."""
    _gemini_process.reset()
    return _gemini_process


@pytest.fixture(scope="session")
def live_openai() -> tuple[str, str, str]:
    """The address in OPENAI_BASE_URL, the key in OPENAI_API_KEY and the model in OPENAI_TEST_MODEL, if there are."""
    if not LIVE_OPENAI:
        pytest.skip("OPENAI_BASE_URL is not set: no real server behind OpenAI's protocol to test against")
    return LIVE_OPENAI, LIVE_OPENAI_KEY, LIVE_OPENAI_MODEL


@pytest.fixture(scope="session")
def live_key() -> str:
    """The key in GEMINI_API_KEY."""
    if not LIVE_KEY:
        pytest.skip("GEMINI_API_KEY is not set: no real Gemini API to test against")
    return LIVE_KEY


@pytest.fixture(scope="session")
def live_ollama() -> tuple[str, str]:
    """The address of the real server named by OLLAMA_HOST, and the model to test, if one is named."""
    if not LIVE:
        pytest.skip("OLLAMA_HOST is not set: no real Ollama to test against")
    return LIVE, LIVE_MODEL


@pytest.fixture(autouse=True)
def _no_secret_is_known_to_the_next_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test has read would be masked in all that follow in this process."""
    monkeypatch.setattr(secrets, "_known", secrets._Known())
