"""Answers stay within their bounds of bytes and time; certificates are checked against the name that was asked."""

from __future__ import annotations

import asyncio
import gzip
import shutil
import socket
import ssl
import subprocess
import threading
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import httpcore
import httpx
import pytest
from recorded import LONG, Answers, Recorded, Rerouted, Resolved, Seen, answered, recorded, redirected

from gemmagraph.tools.errors import ToolError
from gemmagraph.tools.guards.answers import bounded
from gemmagraph.tools.guards.transport import GuardedTransport, guarded_client, trusted

T = TypeVar("T")


def run(work: Callable[[], Awaitable[T]]) -> T:
    async def main() -> T:
        return await asyncio.wait_for(work(), 20)

    return asyncio.run(main())


def got(answer: Answers, max_bytes: int = 10_000, method: str = "GET") -> bytes:
    """What a client gets of an answer."""
    with recorded(answer) as server:

        async def asked() -> bytes:
            async with guarded_client(base_url=server.url, max_bytes=max_bytes) as client:
                return (await client.request(method, "/")).content

        return run(asked)


def packed(data: bytes, coding: str) -> bytes:
    match coding:
        case "gzip":
            return gzip.compress(data)
        case "deflate":
            return zlib.compress(data)
    raw = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return raw.compress(data) + raw.flush()


def unsized(*pieces: bytes, coding: str = "") -> Iterator[bytes]:
    yield answered(length=False, headers={"Content-Encoding": coding} if coding else {})
    yield from pieces


TEXT = b"What is said here. " * 100


@pytest.mark.parametrize("coding", ["gzip", "deflate", "raw"])
@pytest.mark.parametrize("piece", [1, 7, 10_000])
def test_a_packed_answer_is_unpacked(coding: str, piece: int) -> None:
    data = packed(TEXT, coding)
    pieces = [data[at : at + piece] for at in range(0, len(data), piece)]
    assert got(lambda seen: unsized(*pieces, coding="deflate" if coding == "raw" else coding)) == TEXT


@pytest.mark.parametrize("coding", ["gzip", "deflate", "raw"])
@pytest.mark.parametrize("first", [1, 2, 3])
def test_a_packed_answer_may_arrive_byte_by_byte(coding: str, first: int) -> None:
    data = packed(TEXT, coding)

    async def pieces() -> AsyncIterator[bytes]:
        yield data[:first]
        for at in range(first, len(data)):
            yield data[at : at + 1]

    async def read() -> bytes:
        headers = [(b"Content-Encoding", b"deflate" if coding == "raw" else coding.encode())]
        answer = httpcore.Response(200, headers=headers, content=pieces())
        return await bounded(answer, httpx.Request("GET", "http://h/"), limit=10_000, deadline=None).aread()

    assert run(read) == TEXT


def test_only_what_can_be_unpacked_is_asked_for() -> None:
    with recorded() as server:

        async def asked() -> None:
            async with guarded_client(base_url=server.url) as client:
                await client.get("/", headers={"Accept-Encoding": "br, zstd"})

        run(asked)
    assert server.requests[0].header("Accept-Encoding") == "gzip, deflate"


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip", "x"])
def test_an_answer_packed_otherwise_is_refused(coding: str) -> None:
    with pytest.raises(ToolError, match="was not asked for"):
        got(lambda seen: answered(b"x", headers={"Content-Encoding": coding}))


@pytest.mark.parametrize("cut", [1, 8, -1])
def test_a_packed_answer_that_broke_off_or_is_none_is_no_answer(cut: int) -> None:
    with pytest.raises(httpx.DecodingError):
        got(lambda seen: answered(gzip.compress(TEXT)[:cut], headers={"Content-Encoding": "gzip"}))
    with pytest.raises(httpx.DecodingError):
        got(lambda seen: answered(TEXT, headers={"Content-Encoding": "gzip"}))


@pytest.mark.parametrize(
    "answer",
    [
        lambda seen: answered(bytes(10_001)),
        lambda seen: unsized(*[bytes(1_000)] * 11),
        lambda seen: answered(gzip.compress(bytes(10_001)), headers={"Content-Encoding": "gzip"}),
        lambda seen: unsized(gzip.compress(bytes(100)) + bytes(20_000), coding="gzip"),
    ],
    ids=["sized", "unsized", "packed", "behind what is packed"],
)
def test_an_answer_that_is_too_large_is_refused(answer: Answers) -> None:
    with pytest.raises(ToolError, match="larger than 10,000 bytes"):
        got(answer)


def test_an_answer_that_is_just_small_enough_comes_whole() -> None:
    assert got(lambda seen: answered(bytes(10_000))) == bytes(10_000)
    assert got(lambda seen: answered(gzip.compress(bytes(10_000)), headers={"Content-Encoding": "gzip"})) == bytes(
        10_000
    )
    assert got(lambda seen: answered(length=False, headers={"Content-Length": "999999999"}), method="HEAD") == b""


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_bomb_is_refused_before_it_is_unpacked(coding: str) -> None:
    bomb = packed(bytes(64 * 1024 * 1024), coding)
    assert len(bomb) < 100_000
    with recorded(lambda seen: answered(bomb, headers={"Content-Encoding": coding})) as server:

        async def asked() -> int:
            async with guarded_client(base_url=server.url, max_bytes=1024 * 1024) as client:
                tracemalloc.start()
                try:
                    with pytest.raises(ToolError, match="larger than"):
                        await client.get("/")
                    return tracemalloc.get_traced_memory()[1]
                finally:
                    tracemalloc.stop()

        assert run(asked) < 4 * 1024 * 1024


def test_an_answer_without_end_is_cut_off_and_its_connection_closed() -> None:
    def endless(seen: Seen) -> Iterator[bytes]:
        yield answered(length=False)
        while True:
            yield bytes(1_000)

    with recorded(endless) as server:

        async def asked() -> None:
            async with guarded_client(base_url=server.url, max_bytes=100_000) as client:
                with pytest.raises(ToolError, match="larger than"):
                    await client.get("/")
                # While the client is still open: what is not read to its end cannot be used again.
                assert await asyncio.to_thread(server.left.wait, LONG)

        run(asked)


class Slow:
    """An answer that stops in the middle, until its client has left."""

    def __init__(self, *begun: bytes) -> None:
        self.begun = begun
        self.waits = threading.Event()

    def __call__(self, seen: Seen) -> Iterator[bytes]:
        yield from self.begun
        self.waits.set()
        pause = threading.Event()
        for _ in range(int(LONG / 0.02)):
            pause.wait(0.02)
            yield b"x" if self.begun else b"HTTP/1.1 100 Continue\r\n\r\n"


@pytest.mark.parametrize("begun", [(), (answered(length=False), b"some")], ids=["before the head", "in the body"])
def test_a_cancelled_request_closes_its_connection(begun: tuple[bytes, ...]) -> None:
    slow = Slow(*begun)
    with recorded(slow) as server:

        async def asked() -> None:
            async with guarded_client(base_url=server.url, timeout=None) as client:
                asking = asyncio.ensure_future(client.get("/"))
                assert await asyncio.to_thread(slow.waits.wait, LONG)
                asking.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await asking
                assert await asyncio.to_thread(server.left.wait, LONG)

        run(asked)


@pytest.mark.parametrize("begun", [(), (answered(length=False), b"some")], ids=["before the head", "in the body"])
def test_an_answer_that_drips_is_given_up_in_time(begun: tuple[bytes, ...]) -> None:
    with recorded(Slow(*begun)) as server:

        async def asked() -> None:
            async with guarded_client(base_url=server.url, timeout=0.3) as client:
                with pytest.raises(httpx.ReadTimeout):
                    await client.get("/")
                assert await asyncio.to_thread(server.left.wait, LONG)

        run(asked)


def test_redirects_do_not_add_to_the_time() -> None:
    def forever(seen: Seen) -> bytes:
        threading.Event().wait(0.05)
        return redirected("/")

    with recorded(forever) as server:

        async def asked() -> None:
            async with guarded_client(base_url=server.url, timeout=0.3, redirects=20) as client:
                with pytest.raises(httpx.ReadTimeout):
                    await client.get("/")

        run(asked)
    assert len(server.requests) < 10


def test_a_resolver_that_hangs_is_given_up_in_time() -> None:
    async def hangs(host: str, port: int) -> list[str]:
        await asyncio.sleep(LONG)
        return []

    async def asked() -> None:
        async with guarded_client(base_url="http://home.example", resolver=hangs) as client:
            with pytest.raises(httpx.ConnectTimeout):
                await client.get("/", timeout=0.1)

    run(asked)


def test_a_server_that_says_nothing_and_hangs_up_is_an_error_of_httpx() -> None:
    with recorded(lambda seen: [b""]) as server:

        async def asked() -> None:
            async with guarded_client(base_url=server.url) as client:
                with pytest.raises(httpx.RemoteProtocolError):
                    await client.get("/")

        run(asked)


def test_nothing_that_listens_is_an_error_of_httpx() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))

        async def asked() -> None:
            async with guarded_client(base_url=f"http://127.0.0.1:{bound.getsockname()[1]}") as client:
                with pytest.raises(httpx.ConnectError):
                    await client.get("/")

        run(asked)


def test_writing_requests_get_a_fresh_connection_and_reading_ones_share() -> None:
    with recorded() as server:

        async def asked() -> list[int]:
            counts = []
            async with guarded_client(base_url=server.url) as client:
                for method in ("GET", "GET", "HEAD", "POST", "POST", "GET"):
                    await client.request(method, "/")
                    counts.append(server.connections)
            return counts

        assert run(asked) == [1, 1, 1, 2, 3, 3]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate authority of our own, and what it signed for home.example. It takes the `openssl` command."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl command to make certificates with")
    folder = tmp_path_factory.mktemp("certificates")

    def openssl(command: str) -> None:
        subprocess.run(["openssl", *command.split()], cwd=folder, check=True, capture_output=True, timeout=60)

    key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
    openssl(f"req -x509 {key} -keyout ca.key -out ca.pem -days 3650 -subj /CN=test-authority")
    openssl(f"req {key} -keyout home.key -out home.csr -subj /CN=home.example")
    (folder / "names").write_text("subjectAltName=DNS:home.example\nbasicConstraints=CA:FALSE\n")
    openssl("x509 -req -in home.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out home.pem -days 3650 -extfile names")
    return folder


@pytest.fixture
def secure(certificates: Path) -> Iterator[Recorded]:
    """A server with the certificate of home.example."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "home.pem", certificates / "home.key")
    names: list[str | None] = []
    context.sni_callback = lambda connection, name, context: names.append(name)
    with recorded(tls=context) as server:
        server.names = names
        yield server


def test_a_certificate_is_checked_against_the_name_though_the_address_is_connected_to(
    secure: Recorded, certificates: Path
) -> None:
    names = Resolved([{"home.example": ["127.0.0.1"], "other.example": ["127.0.0.1"]}])
    authority = ssl.create_default_context(cafile=str(certificates / "ca.pem"))

    async def asked(name: str) -> int:
        base = f"https://{name}:{secure.port}"
        async with guarded_client(base_url=base, resolver=names, verify=authority) as client:
            return (await client.get("/")).status_code

    assert run(lambda: asked("home.example")) == 200
    assert secure.requests[0].header("Host") == f"home.example:{secure.port}"
    for name in ("other.example", "127.0.0.1"):
        with pytest.raises(httpx.ConnectError, match=r"(?i)certificate"):
            run(lambda name=name: asked(name))  # type: ignore[misc]
    assert secure.names == ["home.example", "other.example", None]
    assert len(secure.requests) == 1


def test_two_names_at_one_address_do_not_share_a_connection(secure: Recorded, certificates: Path) -> None:
    """Else the second name's certificate would never be looked at."""
    transport = GuardedTransport(
        allow_hosts=[f"*.example:{secure.port}"],
        resolver=Resolved([{"*": ["93.184.216.34"]}]),
        network=Rerouted({"93.184.216.34": secure.port}),
        verify=ssl.create_default_context(cafile=str(certificates / "ca.pem")),
    )

    async def asked() -> None:
        async with httpx.AsyncClient(transport=transport, trust_env=False) as client:
            await client.get(f"https://home.example:{secure.port}/")
            with pytest.raises(httpx.ConnectError, match=r"(?i)certificate"):
                await client.get(f"https://other.example:{secure.port}/")

    run(asked)


def test_a_certificate_of_an_unknown_authority_is_refused_unless_it_is_named(
    secure: Recorded, certificates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def asked() -> int:
        base = f"https://home.example:{secure.port}"
        async with guarded_client(base_url=base, resolver=Resolved([{"*": ["127.0.0.1"]}])) as client:
            return (await client.get("/")).status_code

    with pytest.raises(httpx.ConnectError, match=r"(?i)certificate"):
        run(asked)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates / "ca.pem"))
    assert run(asked) == 200
    assert trusted() is trusted()
