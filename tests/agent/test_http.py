"""One request over the network, against servers that send exactly these bytes."""

import asyncio
import email.utils
import random
import socket
import time
from contextlib import aclosing, asynccontextmanager, suppress

import httpx
import pytest

from gemmagraph import errors
from gemmagraph.backends.network.again import Again
from gemmagraph.backends.network.coming import AHEAD
from gemmagraph.backends.network.failures import KINDS, translated
from gemmagraph.backends.network.http import Bounds, Http, Waiting

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nConnection: close\r\n\r\n"
QUICK = Bounds(pause=0.01, total=10)
DIRECT = []
"""Whether the test at hand goes over a socket of our own, not over httpx."""


@pytest.fixture(autouse=True, params=[True, False], ids=["own socket", "httpx"])
def _both_roads(request):
    DIRECT.append(request.param)
    yield
    DIRECT.clear()


@asynccontextmanager
async def listening(converse):
    """The address of a server that talks so with each client: `converse(head, reader, writer)`."""
    under_way = set()

    async def one(reader, writer):
        under_way.add(asyncio.current_task())
        with suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(2)
            await converse(head, reader, writer)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    server = await asyncio.start_server(one, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        if under_way:
            await asyncio.wait(under_way, timeout=5)


@asynccontextmanager
async def serving(*conversations):
    """An Http to a server; each connection, in order, gets one of the conversations: pieces of bytes, pauses
    in seconds, and then the end."""
    asked = []

    async def converse(head, reader, writer):
        asked.append(head)
        for said in conversations[min(len(asked), len(conversations)) - 1]:
            if isinstance(said, bytes):
                writer.write(said)
                await writer.drain()
            elif await left_within(reader, said):
                break

    async with listening(converse) as address:
        http = Http(address, label="The server", refusal=refused, bounds=QUICK, down="Start it.", slow="Wait.")
        http.asked = asked
        assert http.direct
        http.direct = DIRECT[-1]
        yield http
        await http.close()


async def left_within(reader, seconds):
    """Whether the client goes away in this time."""
    try:
        return await asyncio.wait_for(reader.read(1), seconds) == b""
    except TimeoutError:
        return False


def refused(answer):
    return errors.ServerError(f"refused with {answer.status}: {answer.text}")


async def read(http):
    async with aclosing(http.lines("/", b"{}")) as items:
        return [item async for item in items]


def run(conversations, bounds=QUICK):
    async def reading():
        async with serving(*conversations) as http:
            http.bounds = bounds
            return await asyncio.wait_for(read(http), 10), len(http.asked)

    return asyncio.run(reading())


def test_lines_are_the_same_however_the_bytes_arrive():
    body = 'a\u2028b\u0085c\r\n\n{"x":1}\nthe last'.encode()
    whole = [b"a\xe2\x80\xa8b\xc2\x85c\r\n", b"\n", b'{"x":1}\n', b"the last"]
    cuts = [[HEAD, body[:at], 0.001, body[at:]] for at in range(1, len(body))]

    async def reading():
        async with serving(*cuts) as http:
            return [await read(http) for _ in cuts]

    assert asyncio.run(reading()) == [whole] * len(cuts)


def test_a_line_ends_the_request_when_it_is_longer_than_the_ceiling():
    bounds = Bounds(line=1000)
    assert run([[HEAD, b"x" * 1000 + b"\n"]], bounds)[0] == [b"x" * 1000 + b"\n"]
    for body in (b"x" * 1001 + b"\n", b"x" * 70_000):
        with pytest.raises(errors.ServerError, match="line of more than 1,000 bytes"):
            run([[HEAD, body, 5]], bounds)


@pytest.mark.parametrize(
    "death", [[], [b"HTTP/1.1 200 OK\r\n"], [HEAD.replace(b"close", b"close\r\nContent-Length: 9")]]
)
def test_a_connection_that_dies_before_the_first_byte_is_tried_again(death):
    items, asked = run([death, [HEAD, b"yes\n"]])
    assert [type(item) for item in items] == [Waiting, bytes]
    assert "closed the connection before it answered" in items[0].failed.message
    assert asked == 2


def test_a_connection_that_dies_later_is_not():
    with pytest.raises(errors.TruncatedReply, match="broke after 5 bytes"):
        run([[HEAD.replace(b"close", b"close\r\nContent-Length: 9"), b"five\n"]])


def test_nonsense_instead_of_http_is_an_error_after_all_tries():
    with pytest.raises(errors.BackendUnavailable, match=r"closed the connection .*Start it"):
        run([[b"SSH-2.0-OpenSSH_9.2\r\n"]])


@pytest.mark.parametrize("status", [408, 429, 502, 503, 504])
def test_a_passing_failure_is_tried_again(status):
    refusal = b"HTTP/1.1 %d No\r\nContent-Length: 2\r\n\r\nno" % status
    items, asked = run([[refusal], [refusal], [HEAD, b"yes\n"]])
    assert items[-1] == b"yes\n"
    assert [item.failed.message for item in items[:-1]] == [f"refused with {status}: no"] * 2
    assert asked == 3


@pytest.mark.parametrize("status", [400, 401, 404, 409, 413, 500, 501])
def test_a_lasting_failure_is_not(status):
    async def reading():
        async with serving([b"HTTP/1.1 %d No\r\nContent-Length: 2\r\n\r\nno" % status]) as http:
            with pytest.raises(errors.ServerError, match=f"refused with {status}: no"):
                await read(http)
            return len(http.asked)

    assert asyncio.run(reading()) == 1


@pytest.mark.parametrize("date", [False, True])
def test_the_pause_a_server_asks_for_is_kept(date):
    asked_at = time.time()
    value = email.utils.format_datetime(email.utils.localtime()) if date else "0"
    busy = b"HTTP/1.1 503 No\r\nContent-Length: 0\r\nRetry-After: %s\r\n\r\n" % value.encode()
    assert run([[busy], [HEAD, b"yes\n"]])[1] == 2
    long = email.utils.formatdate(asked_at + 3600, usegmt=True) if date else "3600"
    busy = b"HTTP/1.1 503 No\r\nContent-Length: 0\r\nRetry-After: %s\r\n\r\n" % long.encode()
    with pytest.raises(errors.ServerError, match="503"):
        run([[busy], [HEAD, b"never\n"]])


@pytest.mark.parametrize("value", ["soon", "-5", "", "1.5", "\u00b2"])
def test_a_pause_that_is_none_is_ignored(value):
    busy = b"HTTP/1.1 503 No\r\nContent-Length: 0\r\nRetry-After: %s\r\n\r\n" % value.encode("latin-1")
    assert run([[busy], [HEAD, b"yes\n"]])[1] == 2


HALF_REFUSAL = b"HTTP/1.1 500 No\r\nContent-Length: 9\r\n\r\nno"
LATE = {
    "no header": ([5], Bounds(first_byte=0.1), "no reply began within 0.1 s"),
    "no byte after the header": ([HEAD, 5], Bounds(first_byte=0.1), "no reply began within 0.1 s"),
    "no end of a refusal": ([HALF_REFUSAL, 5], Bounds(first_byte=0.1), "no reply began within 0.1 s"),
    "no next byte": ([HEAD, b"one\n", 5], Bounds(between=0.1), "nothing more came for 0.1 s"),
    "not all in time": ([HEAD, *[b"one\n", 0.05] * 100], Bounds(total=0.2), "not complete within 0.2 s"),
}


@pytest.mark.parametrize(("said", "bounds", "words"), LATE.values(), ids=LATE)
def test_what_comes_too_late_is_a_timeout_that_says_what_was_awaited(said, bounds, words):
    with pytest.raises(errors.BackendTimeout) as caught:
        run([said], bounds)
    assert words in caught.value.message
    assert caught.value.hint == "Wait."


def test_who_waits_is_told_so():
    items, _ = run([[0.2, HEAD, b"yes\n"]], Bounds(notice=0.05))
    assert items == [Waiting(), b"yes\n"]


def test_cancelling_twice_still_closes_the_connection():
    async def reading():
        begun, left = asyncio.Event(), asyncio.Event()

        async def converse(head, reader, writer):
            writer.write(HEAD + b"one\n")
            if await left_within(reader, 5):
                left.set()

        async def reads(address):
            http = Http(address, label="The server", refusal=refused)
            http.direct = DIRECT[-1]
            async with aclosing(http.lines("/", b"{}")) as items:
                async for _ in items:
                    begun.set()

        async with listening(converse) as address:
            task = asyncio.create_task(reads(address))
            await asyncio.wait_for(begun.wait(), 5)
            for _ in range(3):
                task.cancel()
                await asyncio.sleep(0)
            await asyncio.wait({task}, timeout=5)
            assert task.cancelled()
            await asyncio.wait_for(left.wait(), 5)

    asyncio.run(reading())


def test_a_reply_that_nobody_reads_on_leaves_nothing_behind(swept):
    async def reading():
        async with serving([HEAD, b"one\n", 5]) as http:
            async for _ in http.lines("/", b"{}"):
                break

    asyncio.run(reading())


@pytest.mark.parametrize(
    ("said", "error"),
    [([5], errors.BackendUnavailable), ([HEAD, b"one\n", 5], errors.TruncatedReply)],
    ids=["unanswered", "begun"],
)
def test_closing_ends_a_reply_for_good(said, error):
    async def reading():
        async with serving(said) as http, aclosing(http.lines("/", b"{}")) as items:
            http.bounds = Bounds(pause=0.01, total=10, notice=0.05)
            await anext(items)
            await http.close()
            with pytest.raises(error):
                await asyncio.wait_for(anext(items), 3)
            assert len(http.asked) == 1

    asyncio.run(reading())


def test_closing_ends_a_reply_of_which_more_has_come_than_is_read_ahead():
    line = b"x" * 999 + b"\n"

    async def rest(items):
        return [item async for item in items]

    async def reading():
        lines = [HEAD, line * (AHEAD // 500), 5]
        async with serving(lines) as http, aclosing(http.lines("/", b"{}")) as items:
            await anext(items)
            await asyncio.sleep(0.2)  # it reads as much as it will
            await http.close()
            with pytest.raises(errors.TruncatedReply):
                await asyncio.wait_for(rest(items), 3)

    asyncio.run(reading())


def test_event_loops_of_others_will_do():
    uvloop = pytest.importorskip("uvloop")

    async def reading():
        async with serving([HEAD, b"one\n"]) as http:
            return await read(http)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(reading()) == [b"one\n"]


@pytest.mark.parametrize("status", [b"304 Not Modified", b"300 Multiple Choices"])
def test_a_redirect_to_nowhere_is_refused(status):
    with pytest.raises(errors.ServerError, match=r"^refused with 30\d: "):
        run([[b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n"]])


def test_an_address_that_is_none_is_an_error_that_says_so():
    for address in ("box://127.0.0.1", "127.0.0.1:80"):
        http = Http(address, label="The server", refusal=refused)
        with pytest.raises(errors.BadRequest, match="Check its address"):
            asyncio.run(read(http))


def exceptions_of_httpx():
    found = [getattr(httpx, name) for name in httpx.__all__]
    return [kind for kind in found if isinstance(kind, type) and issubclass(kind, Exception)]


@pytest.mark.parametrize("kind", exceptions_of_httpx(), ids=lambda kind: kind.__name__)
def test_every_exception_of_httpx_has_an_error_of_ours(kind):
    assert {base.__name__ for base in kind.__mro__} & set(KINDS)
    exc = kind.__new__(kind)
    Exception.__init__(exc, "its words")
    for received in (0, 7):
        error = translated(exc, "The server", received=received)
        assert isinstance(error, errors.BackendError)
        assert "its words" in error.message


@pytest.mark.parametrize(
    ("address", "proxied"),
    [
        ("http://127.0.0.1:1", False),
        ("http://127.8.9.1", False),
        ("http://localhost:1", False),
        ("http://me.localhost", False),
        ("http://[::1]:1", False),
        ("http://10.0.0.5", True),
        ("https://models.example", True),
    ],
)
def test_a_proxy_is_used_for_other_machines_only(address, proxied):
    assert Http(address, label="", refusal=refused).through_proxy is proxied


def test_a_proxy_of_the_environment_does_not_catch_requests_to_this_machine(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert run([[HEAD, b"yes\n"]])[0] == [b"yes\n"]


@pytest.mark.parametrize(
    ("address", "variable", "direct"),
    [
        ("http://127.0.0.1:1", "", True),
        ("http://[::1]:1", "", True),
        ("http://10.0.0.5:8080/models", "", True),
        ("http://10.0.0.5", "HTTP_PROXY", False),
        ("http://10.0.0.5", "ALL_PROXY", False),
        ("http://127.0.0.1:1", "HTTP_PROXY", True),
        ("https://models.example", "", False),
        ("http://me:word@10.0.0.5", "", False),
        ("http://modèles.example", "", False),
        ("http://models.example/a b", "", False),
    ],
)
def test_httpx_is_asked_where_more_than_plain_http_is_needed(monkeypatch, address, variable, direct):
    if variable:
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    assert Http(address, label="", refusal=refused).direct is direct


def test_a_header_that_cannot_be_sent_is_named():
    async def reading():
        async with serving([HEAD, b"yes\n"]) as http:
            http.headers["Authorization"] = "Bearer one\ntwo"
            await read(http)

    with pytest.raises(errors.BadRequest, match="API key"):
        asyncio.run(reading())


def test_a_proxy_that_cannot_be_used_is_named(monkeypatch):
    monkeypatch.setenv("ALL_PROXY", "socks9://127.0.0.1:9")
    with pytest.raises(errors.BadRequest, match="ALL_PROXY"):
        asyncio.run(read(Http("http://models.example", label="The server", refusal=refused)))


def test_tests_cannot_reach_other_machines():
    for connect in (
        lambda: socket.create_connection(("192.0.2.1", 80), timeout=1),
        lambda: socket.getaddrinfo("models.example", 80),
    ):
        with pytest.raises(Exception, match="Tests must not reach"):
            connect()


def test_what_comes_in_pieces_is_put_together_also_in_the_head():
    said = b"HTTP/1.1 103 Early Hints\r\n\r\n" + HEAD
    cuts = [[said[:at], 0.002, said[at:], b"yes\n"] for at in range(1, len(said), 7)]

    async def reading():
        async with serving(*cuts) as http:
            return [await read(http) for _ in cuts]

    assert asyncio.run(reading()) == [[b"yes\n"]] * len(cuts)


def test_the_body_and_headers_are_sent_as_given():
    async def reading():
        async with serving([HEAD, b"yes\n"]) as http:
            http.headers["Authorization"] = "Bearer key"
            await read(http)
            return http.asked[0].lower()

    sent = asyncio.run(reading())
    assert sent.startswith(b"post / http/1.1\r\n")
    assert b"authorization: bearer key" in sent
    assert b"accept-encoding: identity" in sent


@pytest.mark.parametrize("attempt", [1, 2, 3, 4])
def test_tries_are_spread_over_the_whole_of_a_pause_that_doubles(attempt):
    async def pauses(retry_after=None):
        http = Http("http://127.0.0.1:1", label="The server", refusal=refused, bounds=Bounds(tries=9))
        failed = Again(errors.BackendUnavailable("no"), retry_after)
        deadline = asyncio.get_running_loop().time() + 1000
        return [http._pause(attempt, failed, deadline) for _ in range(300)]

    before, most = random.getstate(), 0.5 * 2 ** (attempt - 1)
    random.seed(11)
    try:
        found = sorted(asyncio.run(pauses()))
        assert min(asyncio.run(pauses(retry_after=3.0))) >= 3.0, "no sooner than a server asks"
    finally:
        random.setstate(before)
    assert 0 <= found[0] < 0.05 * most
    assert 0.95 * most < found[-1] <= most
    assert 0.4 * most < found[150] < 0.6 * most
