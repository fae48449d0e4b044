"""HTTP that stays where it may be: each host checked by name and by address, each redirect checked again.

The address that was checked is the one that is connected to, so a name that changes its mind in between gains
nothing. The host's name stays in the Host header and is what the certificate is checked against. No proxy, no
`.netrc`, no cookies.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from itertools import count
from typing import Any, Final, TypeAlias
from urllib.parse import quote, urlencode

import httpcore
import httpx

from gemmagraph.tools.errors import ToolError
from gemmagraph.tools.guards.addresses import Address
from gemmagraph.tools.guards.answers import ACCEPTED, as_httpx, bounded
from gemmagraph.tools.guards.hosts import Hosts, Origin, literal_address, origin_of, split_base
from gemmagraph.tools.guards.targets import Prefix
from gemmagraph.tools.secrets import beginning, mask_logs

Resolver: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a name and a port."""

MAX_BYTES: Final = 1024 * 1024
CONNECT: Final = 10.0
"""Seconds for resolving a name and connecting to it."""

ANSWERED: Final = "gemmagraph_answered"
"""Set among a request's extensions once an answer began, be it a redirect: from then on it may have had effects."""

_REDIRECTED: Final = "gemmagraph_redirected"
"""The last request and the answers to those before it, among the extensions of an answer that redirects led to."""
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_OF_A_BODY = frozenset({b"content-type", b"content-length", b"content-encoding", b"transfer-encoding"})
_HARMLESS = frozenset({b"accept", b"accept-language", b"user-agent", b"range", *_OF_A_BODY})
"""The headers that go to other origins too. Any other may hold a key."""

# They write addresses with their queries, and the headers of answers.
mask_logs("httpx", "httpcore")


@dataclass(frozen=True, slots=True)
class Credentials:
    """What proves who we are, at one origin only."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: Mapping[str, str] = field(default_factory=dict, repr=False)


def guarded_client(
    *,
    base_url: str = "",
    allow_hosts: Sequence[str] = (),
    redirects: int = 0,
    max_bytes: int = MAX_BYTES,
    timeout: float | None = 30.0,
    headers: Mapping[str, str] | None = None,
    credentials: Credentials | None = None,
    resolver: Resolver | None = None,
    verify: ssl.SSLContext | None = None,
) -> httpx.AsyncClient:
    """An `httpx.AsyncClient` that asks only the hosts it was made for. After redirects an answer has the last `url`,
    and the others' answers in `history`, without their bodies.

    Args:
        base_url: where it is made for. Only this host may be private, and only below this path it is asked.
        allow_hosts: further hosts, public ones: names, `*.example.com`, `*` for every public host.
        redirects: how many are followed; a redirect beyond is refused. With 0, it is the answer.
        max_bytes: of an answer, unpacked.
        timeout: seconds for a whole request, redirects and the answer's last byte included.
        credentials: sent to the scheme, host and port of `base_url` only, and never logged. Of `headers`, other
            origins get only the harmless ones.
        resolver: stands in for the system's.
        verify: stands in for the certificates that are trusted; see SSL_CERT_FILE.

    Raises:
        ValueError: `base_url` or a host is none that can be asked.
    """
    transport = GuardedTransport(
        base_url=base_url,
        allow_hosts=allow_hosts,
        redirects=redirects,
        max_bytes=max_bytes,
        timeout=timeout,
        credentials=(lambda: credentials) if credentials else None,
        resolver=resolver,
        verify=verify,
    )
    return _Client(
        transport=transport,
        base_url=base_url,
        headers=headers,
        timeout=httpx.Timeout(None, connect=CONNECT),
        trust_env=False,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
    )


class _Client(httpx.AsyncClient):
    """A client whose transport follows redirects: httpx knows of the first request only."""

    async def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        answer = await super().send(request, **options)
        if redirects := answer.extensions.get(_REDIRECTED):
            answer.request, answer.history = redirects
        return answer


class GuardedTransport(httpx.AsyncBaseTransport):
    """What `guarded_client` sends by. The arguments are the same, but for two: `credentials` are asked for each time,
    and `network` connects to addresses that were checked.

    Requests raise `ToolError` for what is refused, and httpx's errors for what fails.
    """

    def __init__(
        self,
        *,
        base_url: str = "",
        allow_hosts: Sequence[str] = (),
        redirects: int = 0,
        max_bytes: int = MAX_BYTES,
        timeout: float | None = None,
        credentials: Callable[[], Credentials] | None = None,
        resolver: Resolver | None = None,
        verify: ssl.SSLContext | None = None,
        network: httpcore.AsyncNetworkBackend | None = None,
    ) -> None:
        home, path = split_base(base_url) if base_url else (None, "/")
        self.hosts = Hosts(home, allow_hosts)
        self._prefix = Prefix(path)
        self._redirects = redirects
        self._max_bytes = max_bytes
        self._timeout = timeout
        self._credentials = credentials or Credentials
        self._network = _CheckedNetwork(self.hosts, resolver or resolve, network or httpcore.AnyIOBackend())
        self._verify = verify
        self._pools: dict[tuple[str, bool], httpcore.AsyncConnectionPool] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        deadline = None if self._timeout is None else asyncio.get_running_loop().time() + self._timeout
        try:
            async with asyncio.timeout_at(deadline):
                return await self._followed(request, deadline)
        except TimeoutError as exc:
            raise httpx.ReadTimeout(f"no answer within {self._timeout:g} s", request=request) from exc

    async def aclose(self) -> None:
        for pool in self._pools.values():
            await pool.aclose()

    async def _followed(self, request: httpx.Request, deadline: float | None) -> httpx.Response:
        """The answer at the end of the redirects."""
        origin = _origin(request.url)
        home = self.hosts.home or origin
        asked = request
        history: list[httpx.Response] = []
        abroad = False
        for followed in count():
            self.hosts.check(origin)
            if self.hosts.at_home(origin):
                self._prefix.check(request.url.raw_path.decode("ascii"))
            abroad = abroad or origin != home  # for good: a way back was written by a stranger
            answer = await self._sent(request, origin, abroad)
            asked.extensions[ANSWERED] = True
            try:
                location = httpx.Headers(answer.headers).get("Location") if answer.status in _REDIRECTS else None
                if location is None or not self._redirects:
                    found = bounded(answer, request, limit=self._max_bytes, deadline=deadline)
                    found.extensions |= {_REDIRECTED: (request, history)} if history else {}
                    return found
                if followed == self._redirects:
                    raise ToolError(f"{home} redirects more than {self._redirects} times.")
                history.append(_without_body(answer, request))
                request, origin = _redirected(request, origin, answer.status, location)
            except BaseException:
                await answer.aclose()
                raise
            await answer.aclose()
        raise AssertionError("unreachable")

    async def _sent(self, request: httpx.Request, origin: Origin, abroad: bool) -> httpcore.Response:
        """The head of one answer."""
        own = self._credentials() if origin == self.hosts.home and not abroad else Credentials()
        asked = httpcore.Request(
            request.method,
            httpcore.URL(
                scheme=origin.scheme,
                host=origin.host,
                port=origin.port,
                target=_with(own.query, request.url.raw_path),
            ),
            headers=_headers(request, own.headers, abroad),
            content=request.stream,
            extensions={"timeout": request.extensions.get("timeout", {"connect": CONNECT})},
        )
        with as_httpx(request):
            return await self._pool(origin.scheme, request.method).handle_async_request(asked)

    def _pool(self, scheme: str, method: str) -> httpcore.AsyncConnectionPool:
        """A connection that was kept may be closed at the other end just when a request goes out on it. Nobody
        knows then whether it arrived, which is harmless for a reading one only: others get a fresh connection."""
        reads = method in _READS
        pool = self._pools.get((scheme, reads))
        if pool is None:
            pool = httpcore.AsyncConnectionPool(
                ssl_context=(self._verify or trusted()) if scheme == "https" else None,
                max_connections=None,
                max_keepalive_connections=20 if reads else 0,
                keepalive_expiry=5.0,
                network_backend=self._network,
            )
            self._pools[scheme, reads] = pool
        return pool


def trusted() -> ssl.SSLContext:
    """The certificates that are trusted: httpx's own, or those that SSL_CERT_FILE or SSL_CERT_DIR names."""
    return _trusted(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@cache  # reading them takes 20 ms
def _trusted(file: str | None, folder: str | None) -> ssl.SSLContext:
    return httpx.create_ssl_context()


def _origin(url: httpx.URL) -> Origin:
    if url.userinfo:
        raise ToolError("An URL with a user name or password in it is not asked.")
    return origin_of(url.scheme, url.raw_host.decode("ascii"), url.port)


def _with(query: Mapping[str, str], target: bytes) -> bytes:
    if not query:
        return target
    return target + (b"&" if b"?" in target else b"?") + urlencode(query, quote_via=quote).encode()


def _headers(request: httpx.Request, own: Mapping[str, str], abroad: bool) -> list[tuple[bytes, bytes]]:
    """The headers that are sent. What the transport says itself cannot be said otherwise."""
    said = [(name.encode(), value.encode()) for name, value in own.items()]
    ours = {b"host", b"accept-encoding", *(name.lower() for name, _ in said)}
    kept = [
        (name, value)
        for name, value in request.headers.raw
        if name.lower() not in ours and (not abroad or name.lower() in _HARMLESS)
    ]
    return [(b"Host", request.url.netloc), *kept, *said, (b"Accept-Encoding", ACCEPTED)]


def _without_body(answer: httpcore.Response, request: httpx.Request) -> httpx.Response:
    """An answer of which only the head was read."""
    headers = [each for each in answer.headers if each[0].lower() not in _OF_A_BODY]
    return httpx.Response(answer.status, headers=headers, request=request)


def _redirected(request: httpx.Request, origin: Origin, status: int, location: str) -> tuple[httpx.Request, Origin]:
    """The request that a redirect asks for.

    Raises:
        ToolError: it is not one that may be followed.
    """
    try:
        url = request.url.join(location)
    except (httpx.InvalidURL, ValueError) as exc:
        raise ToolError(f"{origin} redirects to {beginning(location, 200)!r}, which is no URL.") from exc
    target = _origin(url)
    if origin.scheme == "https" and target.scheme == "http":
        raise ToolError(f"{origin} redirects to {target}, which is not encrypted.")
    get = (status == 303 and request.method != "HEAD") or (status in (301, 302) and request.method == "POST")
    if get:
        headers = [each for each in request.headers.raw if each[0].lower() not in _OF_A_BODY]
        return httpx.Request("GET", url, headers=headers), target
    if request.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in request.headers:
        if target != origin:
            raise ToolError(f"{origin} redirects to {target}, which would get what was meant for the first.")
        if not isinstance(request.stream, httpx.ByteStream):
            raise ToolError(f"{origin} redirects, and what was sent to it cannot be sent again.")
    again = httpx.Request(request.method, url, headers=request.headers.raw, stream=request.stream)
    return again, target


async def resolve(host: str, port: int) -> Sequence[str]:
    """The system's resolver."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(place[0]) for *_, place in found]


class _CheckedNetwork(httpcore.AsyncNetworkBackend):
    """Resolves a host once, checks each address, and connects to what was checked."""

    def __init__(self, hosts: Hosts, resolver: Resolver, network: httpcore.AsyncNetworkBackend) -> None:
        self._hosts = hosts
        self._resolver = resolver
        self._network = network

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            async with asyncio.timeout(timeout):
                spelled = [host] if literal_address(host) else await self._resolver(host, port)
                return await self._first(self._hosts.checked(host, port, spelled), port, timeout)
        except TimeoutError as exc:
            raise httpcore.ConnectTimeout(f"no connection to {host} within {timeout:g} s") from exc
        except OSError as exc:
            raise httpcore.ConnectError(f"{host} cannot be resolved ({exc})") from exc

    async def _first(
        self, addresses: Sequence[Address], port: int, timeout: float | None
    ) -> httpcore.AsyncNetworkStream:
        """A connection to the first address that takes one. Each has its share of the time."""
        failed: Exception = httpcore.ConnectError("the host has no address")
        for address in addresses:
            share = None if timeout is None else timeout / len(addresses)
            try:
                return await self._network.connect_tcp(str(address), port, share)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as exc:
                failed = exc
        raise failed
