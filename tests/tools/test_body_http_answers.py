"""What HTTP answers are to a tool, and what is wrong with HTTP tools that cannot be made."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from recorded import LONG, Answers, Seen, answered, recorded, redirected

from gemmagraph.tools.bodies.http import HttpBody
from gemmagraph.tools.bodies.http_connection import HttpConnection
from gemmagraph.tools.context import ToolContext
from gemmagraph.tools.errors import BodyError, ToolDefinitionError
from gemmagraph.tools.secrets import Secret, Secrets


def got(answer: Answers, url: str = "", **keys: Any) -> Any:
    """What a call gives back."""
    with recorded(answer) as server:
        body = HttpBody(base_url=url or server.url, **keys)

        async def call() -> object:
            try:
                return await asyncio.wait_for(body.perform(body.render({"args": {}}), ToolContext()), 20)
            finally:
                await body.close()

        return asyncio.run(call())


def refused(answer: Answers, **keys: Any) -> BodyError:
    with pytest.raises(BodyError) as info:
        got(answer, **keys)
    return info.value


PNG = b"\x89PNG\r\n\x1a\n\0\0"

RESULTS = [
    ("application/json", b'{"a": [1, null, "\xc3\xa9"]}', {"a": [1, None, "é"]}),
    ("application/json; charset=utf-8", b"\xef\xbb\xbf[1]", [1]),
    ("application/vnd.github+json", b'{"a":1}', {"a": 1}),
    ("text/json", b"1", 1),
    ("Application/JSON", b'"x"', "x"),
    ("application/json", b"not json", "not json"),
    ("application/json", b'{"a": NaN}', '{"a": NaN}'),
    ("application/json", b"[" * 100_000, "[" * 100_000),
    ("application/json", b"1" * 5_000, "1" * 5_000),
    (None, b'{"a": 1}', {"a": 1}),
    (None, b"hi", "hi"),
    (None, b"\xff\xfe\x00\xd8", "[binary: of no named type, 4 bytes]"),
    ("text/plain", b'{"a": 1}', '{"a": 1}'),
    ("text/plain; charset=iso-8859-1", b"caf\xe9", "café"),
    ("text/plain; charset=windows-1252", b"\x80", "€"),
    ("text/plain; charset=utf-16", "é".encode("utf-16"), "é"),
    ("text/plain; charset=shift_jis", "日本".encode("shift_jis"), "日本"),
    ("text/plain", b"caf\xe9", "caf\ufffd"),
    ("text/plain; charset=zip", b"x", "x"),
    ("text/plain; charset=punycode", b"x-", "x-"),
    ("text/plain; charset=utf-9", b"x", "x"),
    ("text/plain; charset", b"x", "x"),
    ("text/plain", b"a\0b", "[binary: text/plain, 3 bytes]"),
    ("text/html", b"<p>Hi", "<p>Hi"),
    ("application/xml", b"<a/>", "<a/>"),
    ("image/svg+xml", b"<svg/>", "<svg/>"),
    ("application/x-ndjson", b"{}\n{}", "{}\n{}"),
    ("image/png", PNG, "[binary: image/png, 10 bytes]"),
    ("application/octet-stream", b"text", "[binary: application/octet-stream, 4 bytes]"),
    ("application/pdf", bytes(12_345), "[binary: application/pdf, 12,345 bytes]"),
    ("application/json", b"", "Done: 200 OK."),
    ("nonsense", b"x", "[binary: nonsense, 1 bytes]"),
]


@pytest.mark.parametrize(
    ("media", "content", "value"), RESULTS, ids=[f"{media} {content[:12]!r}" for media, content, _ in RESULTS]
)
def test_an_answer_is_what_its_type_says(media: str | None, content: bytes, value: object) -> None:
    headers = {"Content-Type": media} if media is not None else {}
    assert got(lambda seen: answered(content, headers=headers)) == value


def test_an_answer_without_content_says_that_it_is_done() -> None:
    assert got(lambda seen: b"HTTP/1.1 204 No Content\r\n\r\n", method="DELETE") == "Done: 204 No Content."
    assert got(lambda seen: b"HTTP/1.1 202\r\nContent-Length: 0\r\n\r\n", method="DELETE") == "Done: 202 Accepted."


def test_the_headers_are_the_result_of_a_head_request() -> None:
    headers = {"ETag": "7", "Set-Cookie": "a=b", "Content-Length": "123456789"}
    value = got(lambda seen: answered(headers=headers), method="HEAD")
    assert (value["status"], value["headers"]["etag"]) == (200, "7")
    assert "set-cookie" not in value["headers"]


def test_what_is_packed_is_read_unpacked() -> None:
    content = gzip.compress(b'{"a":1}')
    assert got(
        lambda seen: answered(content, headers={"Content-Encoding": "gzip", "Content-Type": "application/json"})
    ) == {"a": 1}


@pytest.mark.parametrize(
    ("expect", "status", "fine"),
    [
        (("2xx",), 200, True),
        (("2xx",), 299, True),
        (("2xx",), 302, False),
        ((201,), 200, False),
        ((201,), 201, True),
        ((200, 404), 404, True),
        (("2xx", "4xx"), 418, True),
        (("404",), 404, True),
    ],
)
def test_a_status_is_a_failure_unless_it_is_expected(expect: tuple[int | str, ...], status: int, fine: bool) -> None:
    def answer(seen: Seen) -> bytes:
        return answered("{}", f"{status} Some", {"Content-Type": "application/json"})

    if fine:
        assert got(answer, expect=expect) == {}
    else:
        error = refused(answer, expect=expect)
        assert error.kinds == (str(status), f"{status // 100}xx")


@pytest.mark.parametrize(
    ("media", "content", "said"),
    [
        ("application/json", '{"message": "Validation Failed", "errors": [1]}', ": Validation Failed"),
        ("application/json", '{"error": {"message": "No such key.", "code": 3}}', ": No such key."),
        ("application/json", '{"error": "invalid_grant", "error_description": "Too old"}', ": Too old"),
        ("application/problem+json", '{"title": "Bad", "detail": "Name is\\n missing"}', ": Name is missing"),
        ("application/json", '{"errors": [{"message": "a"}, {"message": "b"}]}', ": a; b"),
        ("application/json", '{"detail": [{"loc": ["body", "x"], "msg": "required"}]}', ": required"),
        ("application/json", '{"code": 7}', ': {"code":7}'),
        ("application/json", '"no"', ": no"),
        ("application/json", "[]", "."),
        ("text/plain", "x" * 1_000, ": " + "x" * 299 + "…"),
        ("text/html", "<html><head><title>Not found</title></head><body>x</body>", ": Not found"),
        ("text/html", "<p>x", "."),
        ("text/plain", "", "."),
        ("image/png", "x", ": [binary: image/png, 1 bytes]"),
    ],
)
def test_a_refusal_says_what_the_service_says(media: str, content: str, said: str) -> None:
    error = refused(lambda seen: answered(content, "422 Unprocessable Entity", {"Content-Type": media}))
    assert str(error) == f"127.0.0.1 answered 422 Unprocessable Entity{said}"
    assert error.kinds == ("422", "4xx")
    response = error.scope["response"]
    assert response["status"] == 422
    if media.endswith("json"):
        expected = json.loads(content)
        assert response["json"] == (None if isinstance(expected, str) else expected)
    json.dumps(error.scope)


SOON = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)


@pytest.mark.parametrize(
    ("status", "method", "transient", "unknown"),
    [
        (400, "POST", False, False),
        (404, "GET", False, False),
        (429, "POST", True, False),
        (500, "GET", True, False),
        (500, "POST", True, False),
        (502, "GET", True, False),
        (502, "POST", True, True),
        (503, "DELETE", True, False),
        (504, "PUT", True, True),
        (501, "POST", False, False),
    ],
)
def test_a_refusal_says_whether_to_try_again_and_whether_it_may_have_had_effects(
    status: int, method: str, transient: bool, unknown: bool
) -> None:
    error = refused(lambda seen: answered("", f"{status} X"), method=method)
    assert (error.transient, error.unknown) == (transient, unknown)


@pytest.mark.parametrize(
    ("said", "low", "high"),
    [("7", 7, 7), (SOON, 3_000, 3_600), ("Thu, 01 Jan 1970 00:00:00 GMT", 0, 0), ("x", None, 0)],
    ids=["seconds", "date", "date in the past", "neither"],
)
def test_a_pause_that_is_asked_for_is_passed_on(said: str, low: float | None, high: float) -> None:
    asked = refused(lambda seen: answered("", "429 X", {"Retry-After": said})).retry_after
    assert asked is None if low is None else asked is not None and low <= asked <= high


def broken(seen: Seen) -> Iterator[bytes]:
    yield answered("{}", headers={"Content-Length": "100", "Connection": "close"})


FAILURES: list[tuple[str, Answers, tuple[str, ...], bool, bool]] = [
    ("hangs up", lambda seen: [b""], ("unreachable",), True, True),
    ("breaks off", broken, ("unreachable",), True, True),
    ("speaks otherwise", lambda seen: b"220 ftp\r\n\r\n", ("unreachable",), True, True),
    ("too large", lambda seen: answered(bytes(2_000)), (), False, True),
    ("packed otherwise", lambda seen: answered("x", headers={"Content-Encoding": "br"}), (), False, True),
    ("not packed", lambda seen: answered("x", headers={"Content-Encoding": "gzip"}), (), False, True),
    ("leads away", lambda seen: redirected("http://127.0.0.2/"), (), False, True),
]


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("answer", "kinds", "transient", "acted"), [row[1:] for row in FAILURES], ids=[row[0] for row in FAILURES]
)
def test_a_failure_is_of_a_kind_and_says_whether_it_may_have_had_effects(
    answer: Answers, kinds: tuple[str, ...], transient: bool, acted: bool, method: str
) -> None:
    error = refused(answer, method=method, max_bytes="1KiB", redirects=1)
    assert (error.kinds, error.transient, error.unknown) == (kinds, transient, acted and method == "POST")


def test_what_does_not_listen_was_not_reached_and_had_no_effects() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        error = refused(lambda seen: b"", url=f"http://127.0.0.1:{port}", method="POST")
    assert (error.kinds, error.transient, error.unknown) == (("unreachable",), True, False)
    assert "127.0.0.1 cannot be reached" in str(error)


def test_a_cancelled_call_closes_its_connection() -> None:
    waits = threading.Event()

    def slow(seen: Seen) -> Iterator[bytes]:
        yield answered(length=False)
        waits.set()
        pause = threading.Event()
        for _ in range(int(LONG / 0.02)):
            pause.wait(0.02)
            yield b"x"

    with recorded(slow) as server:
        body = HttpBody(base_url=server.url)

        async def call() -> None:
            asking = asyncio.ensure_future(body.perform(body.render({"args": {}}), ToolContext()))
            assert await asyncio.to_thread(waits.wait, LONG)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            assert await asyncio.to_thread(server.left.wait, LONG)
            await body.close()

        asyncio.run(call())


HOME = {"base_url": "http://home.example"}

WRONG: list[tuple[str, Mapping[str, Any], Mapping[tuple[str | int, ...], str]]] = [
    ("nowhere", {}, {("http", "url"): "one of connection, base_url and url"}),
    ("two places", {**HOME, "url": "http://x.example"}, {("http", "url"): "one of connection"}),
    ("no scheme", {"base_url": "home.example"}, {("http", "base_url"): "no base URL"}),
    ("placeholder in the host", {"base_url": "http://{{ args.a }}"}, {("http", "base_url"): "names 'args'"}),
    ("placeholder in the url", {"url": "http://{{ args.a }}.x/"}, {("http", "url"): "host that is written out"}),
    ("placeholder before the path", {"url": "http://x{{ args.a }}/"}, {("http", "url"): "host that is written out"}),
    ("link-local", {"base_url": "http://169.254.169.254"}, {("http", "base_url"): "metadata"}),
    ("odd address", {"base_url": "http://0x7f.1"}, {("http", "base_url"): "is not a host"}),
    ("no slash", {**HOME, "path": "x"}, {("http", "path"): "does not begin with a slash"}),
    ("only a placeholder", {**HOME, "path": "{{ args.a }}"}, {("http", "path"): "does not begin with a slash"}),
    ("query in the path", {**HOME, "path": "/x?a=1"}, {("http", "path"): "has a query"}),
    ("query in the url", {"url": "http://home.example/x?a=1"}, {("http", "url"): "has a query"}),
    ("step", {**HOME, "path": "/a/../b"}, {("http", "path"): "a step"}),
    ("encoded step", {**HOME, "path": "/a/%2e%2e/{{ args.a }}"}, {("http", "path"): "a step"}),
    ("space", {**HOME, "path": "/a b"}, {("http", "path"): "Write '/a%20b'"}),
    ("open braces", {**HOME, "path": "/{{ args.a"}, {("http", "path"): "not closed"}),
    ("unknown root", {**HOME, "query": {"a": ["{{ env.X }}"]}}, {("http", "query", "a", 0): "names 'env'"}),
    ("unknown secret", {**HOME, "headers": {"A": "{{ secrets.no }}"}}, {("http", "headers", "A"): "no secret 'no'"}),
    ("unknown secret in json", {**HOME, "json": {"a": "{{ secrets.no }}"}}, {("http", "json"): "no secret 'no'"}),
    ("header name", {**HOME, "headers": {"X A": "x"}}, {("http", "headers", "X A"): "no name of a header"}),
    ("header of ours", {**HOME, "headers": {"Host": "x"}}, {("http", "headers", "Host"): "set by the connection"}),
    ("two headers in one", {**HOME, "headers": {"A": "x\r\nB: y"}}, {("http", "headers", "A"): "line break"}),
    ("method", {**HOME, "method": "FETCH"}, {("http", "method"): "none of GET"}),
    ("sending GET", {**HOME, "method": "GET", "json": {}}, {("http", "json"): "sends nothing"}),
    ("two bodies", {**HOME, "json": {}, "body": "x"}, {("http", "body"): "only one of"}),
    ("body no text", {**HOME, "body": 7}, {("http", "body"): "no text"}),
    ("form no mapping", {**HOME, "form": "a=b"}, {("http", "form"): "no mapping"}),
    ("status", {**HOME, "expect": [200, "2x"]}, {("http", "expect", 1): "no status"}),
    ("two kinds of auth", {**HOME, "auth": {"bearer": "x", "basic": {}}}, {("http", "auth"): "one of bearer"}),
    ("half of basic", {**HOME, "auth": {"basic": {"user": "x"}}}, {("http", "auth", "basic"): "user and password"}),
    ("unknown auth", {**HOME, "auth": {"token": "x"}}, {("http", "auth"): "one of bearer"}),
    ("args in auth", {**HOME, "auth": {"bearer": "{{ args.a }}"}}, {("http", "auth", "bearer"): "names 'args'"}),
    ("host", {**HOME, "allow_hosts": ["a.com", "https://b.com"]}, {("http", "allow_hosts", 1): "is no host"}),
    ("redirects", {**HOME, "redirects": -1}, {("http", "redirects"): "from 0 to 20"}),
    ("size", {**HOME, "max_bytes": "a lot"}, {("http", "max_bytes"): "a size"}),
]  # fmt: skip


@pytest.mark.parametrize(("keys", "wrong"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_what_is_wrong_is_said_with_its_key(
    keys: Mapping[str, Any], wrong: Mapping[tuple[str | int, ...], str]
) -> None:
    with pytest.raises(ToolDefinitionError) as info:
        HttpBody(**keys)
    found = {fault.key: str(fault) for fault in info.value.faults}
    assert set(found) == set(wrong)
    for key, words in wrong.items():
        assert words in found[key]


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(ToolDefinitionError) as info:
        HttpBody(
            base_url="ftp://x",
            auth={"bearer": "{{ secrets.no }}"},
            path="x",
            query={"a": "{{ b }}"},
            headers={"Host": "a"},
            expect=["x"],
            max_bytes=-1,
        )
    assert {fault.key[1] for fault in info.value.faults} == {
        *("base_url", "auth", "path", "query", "headers", "expect", "max_bytes")
    }


def test_what_belongs_to_a_connection_cannot_be_said_beside_one() -> None:
    connection = HttpConnection("http://home.example")
    for keys in ({"auth": {"bearer": "x"}}, {"redirects": 2}, {"max_bytes": 5}, {"allow_hosts": ["a.com"]}):
        with pytest.raises(ToolDefinitionError, match="belong to the connection"):
            HttpBody(connection, **keys)


@pytest.mark.parametrize(("method", "reads"), [(None, True), ("HEAD", True), ("POST", False), ("OPTIONS", False)])
def test_a_body_reads_if_its_method_does(method: str | None, reads: bool) -> None:
    assert HttpBody(base_url="http://home.example", method=method).reads is reads


def test_a_secret_without_a_value_makes_a_body_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    names: Callable[..., HttpBody] = lambda **keys: HttpBody(  # noqa: E731
        base_url="http://home.example", secrets=Secrets({"key": Secret("key", env="KEY_OF_THIS_TEST")}), **keys
    )
    for body in (names(auth={"bearer": "{{ secrets.key }}"}), names(query={"a": "{{ secrets.key }}"})):
        monkeypatch.delenv("KEY_OF_THIS_TEST", raising=False)
        assert "KEY_OF_THIS_TEST" in str(body.unavailable())
        monkeypatch.setenv("KEY_OF_THIS_TEST", "x")
        assert body.unavailable() is None
