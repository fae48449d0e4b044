"""Where HTTP tools send their requests: one service, who we are to it, and how far an answer may lead."""

from __future__ import annotations

import asyncio
import base64
import re
import weakref
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

from gemmagraph.prompts.errors import GemmagraphError
from gemmagraph.tools.bodies.http_answers import Answer, failed
from gemmagraph.tools.declared.units import size
from gemmagraph.tools.errors import Fault, ToolError, refuse
from gemmagraph.tools.fields import Absent, Field, Scope, field_or_fault
from gemmagraph.tools.guards.hosts import Hosts, Origin, split_base
from gemmagraph.tools.secrets import Secrets, mask, replacement

if TYPE_CHECKING:
    import ssl

    from gemmagraph.tools.guards.transport import Credentials, GuardedTransport, Resolver

Key: TypeAlias = tuple[str | int, ...]

MAX_BYTES: Final = "1MiB"
_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_NOT_IN_A_VALUE: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")
_OURS: Final = frozenset(
    (
        *("host", "content-length", "transfer-encoding", "connection", "keep-alive", "upgrade", "te", "trailer"),
        *("expect", "accept-encoding", "proxy-authorization", "proxy-connection"),
    )
)
_AUTH: Final[Mapping[str, tuple[str, ...]]] = {
    "bearer": (),
    "basic": ("user", "password"),
    "header": ("name", "value"),
    "query": ("name", "value"),
}


_ALWAYS: Final = (("Accept", "application/json, */*;q=0.8"), ("User-Agent", "gemmagraph"))

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Sending:
    """One request, each byte of it as it will go out, but for what the connection adds."""

    method: str
    target: str
    """The path below the base URL, and the query."""
    headers: tuple[tuple[str, str], ...] = ()
    content: bytes = b""
    base: str = ""
    """Another base URL than the connection's."""
    key: str | None = None
    """Stands for the call: a service that knows the header `Idempotency-Key` acts once, however often it is asked."""

    @property
    def reads(self) -> bool:
        return self.method in ("GET", "HEAD")


class HttpConnection:
    """One service. Made once and shared by the tools that use it; connects at first use.

    Args:
        base_url: scheme, host, port and a path that no request leaves. Its host may be private.
        auth: one of `{"bearer": token}`, `{"basic": {"user": …, "password": …}}`, `{"header": {"name": …, "value":
            …}}` and `{"query": {"name": …, "value": …}}`. Sent to the scheme, host and port of `base_url` only.
        headers: sent with each request.
        allow_hosts: further hosts that redirects may lead to, public ones.
        redirects: how many are followed.
        max_bytes: of an answer, unpacked: a number, or `1MiB`.
        secrets: what `{{ secrets.NAME }}` in these values names.
        resolver: stands in for the system's.
        verify: stands in for the certificates that are trusted.

    Raises:
        ToolDefinitionError: something is wrong with these; it holds all that is.
    """

    def __init__(
        self,
        base_url: str,
        *,
        auth: Mapping[str, str | Mapping[str, str]] | None = None,
        headers: Mapping[str, str] | None = None,
        allow_hosts: Sequence[str] = (),
        redirects: int = 0,
        max_bytes: str | int = MAX_BYTES,
        secrets: Secrets | None = None,
        resolver: Resolver | None = None,
        verify: ssl.SSLContext | None = None,
    ) -> None:
        self.secrets = secrets if secrets is not None else Secrets()
        self._fields: list[Field] = []
        faults: list[Fault] = []
        self._base = self._field(base_url, ("http", "base_url"), faults)
        if (literal := self._base.literal) is not None and not faults:
            _fault_of(partial(split_base, literal), ("http", "base_url"), faults)
        self._auth = self._auth_fields(auth or {}, faults)
        self._headers = {
            name: self._field(value, ("http", "headers", name), faults) for name, value in (headers or {}).items()
        }
        for name in self._headers:
            check_header_name(name, ("http", "headers", name), faults)
        for index, host in enumerate(allow_hosts):
            _fault_of(partial(Hosts, None, [host]), ("http", "allow_hosts", index), faults)
        if isinstance(redirects, bool) or not isinstance(redirects, int) or not 0 <= redirects <= 20:
            faults.append(Fault(("http", "redirects"), f"{redirects!r} is not a number from 0 to 20."))
        self._max_bytes = _fault_of(partial(size, max_bytes), ("http", "max_bytes"), faults)
        refuse("The HTTP connection", faults)
        self._allow_hosts = tuple(allow_hosts)
        self._redirects = redirects
        self._resolver = resolver
        self._verify = verify
        self._opened: weakref.WeakKeyDictionary[
            asyncio.AbstractEventLoop, tuple[GuardedTransport, AsyncGenerator[None, None]]
        ] = weakref.WeakKeyDictionary()
        """What is open in each event loop, with what closes it. None of it holds this connection."""
        weakref.finalize(self, self._opened.clear).atexit = False

    @property
    def shown(self) -> str:
        """The base URL, for people."""
        return _text(self._base, {"secrets": names_of(self.secrets)})

    def check(self, origin: Origin) -> None:
        """
        Raises:
            ToolError: it is not among the hosts that may be asked.
        """
        literal = self._base.literal
        Hosts(split_base(literal)[0] if literal else None, self._allow_hosts).check(origin)

    def host(self, sending: Sending) -> str:
        """The host that a request goes to."""
        return split_base(sending.base or self._revealed())[0].host

    def unavailable(self) -> str | None:
        """Why it cannot be used here: a secret without a value."""
        return missing_secret(self._fields, self.secrets)

    async def send(self, sending: Sending) -> Answer:
        """The answer, whatever its status.

        Raises:
            BodyError: there is none, or none that may be read.
        """
        import httpx

        from gemmagraph.tools.guards.transport import ANSWERED

        base = self._revealed()
        origin, path = split_base(sending.base or base)
        target = joined(path, sending.target)
        key = [("Idempotency-Key", sending.key)] if sending.key and not sending.reads else []
        headers = {name.lower(): (name, value) for name, value in (*_ALWAYS, *key, *self._said(), *sending.headers)}
        encoded = [(name.encode(), value.encode()) for name, value in headers.values()]
        asked = httpx.Request(sending.method, f"{origin}{target}", headers=encoded, content=sending.content)
        if asked.url.raw_path != target.encode():  # httpx tidies up
            raise ToolError(f"{mask(target)[:200]!r} would be sent as {mask(asked.url.raw_path.decode())[:200]!r}.")
        try:
            response = await (await self._transport(base)).handle_async_request(asked)
            try:
                content = await response.aread()
            finally:
                await response.aclose()
        except (ToolError, httpx.HTTPError, httpx.InvalidURL) as exc:
            raise failed(exc, origin.host, reads=sending.reads, answered=ANSWERED in asked.extensions) from exc
        return Answer(response.status_code, response.reason_phrase, dict(response.headers), content)

    async def close(self) -> None:
        """Ends what is kept open in this event loop. It ends by itself with the loop, or once nobody holds this."""
        opened = self._opened.pop(asyncio.get_running_loop(), None)
        if opened is not None:
            await opened[1].aclose()

    async def _transport(self, base: str) -> GuardedTransport:
        from gemmagraph.tools.guards.transport import GuardedTransport

        loop = asyncio.get_running_loop()
        if loop not in self._opened:
            transport = GuardedTransport(
                base_url=base,
                allow_hosts=self._allow_hosts,
                redirects=self._redirects,
                max_bytes=self._max_bytes or 0,
                credentials=partial(_credentials, self._auth_kind, self._auth, self.secrets),
                resolver=self._resolver,
                verify=self._verify,
            )
            closing = _closing(transport)
            await anext(closing)
            self._opened[loop] = transport, closing
        return self._opened[loop][0]

    def _revealed(self) -> str:
        base = _text(self._base, {"secrets": self.secrets})
        try:
            split_base(base)
        except ValueError:
            raise GemmagraphError(
                f"{self.shown} is no base URL: https://, a host, and at most a port and a path."
            ) from None
        return base

    def _said(self) -> Iterator[tuple[str, str]]:
        for name, value in self._headers.items():
            yield name, header_value(name, _text(value, {"secrets": self.secrets}))

    def _field(self, source: object, key: Key, faults: list[Fault]) -> Field:
        field = secret_field(source, key, self.secrets, faults)
        self._fields.append(field)
        return field

    def _auth_fields(self, auth: Mapping[str, str | Mapping[str, str]], faults: list[Fault]) -> dict[str, Field]:
        """What the one kind of `auth` is made of."""
        key: Key = ("http", "auth")
        self._auth_kind = kind = next(iter(auth), "")
        if not auth:
            return {}
        if len(auth) != 1 or kind not in _AUTH:
            faults.append(Fault(key, "it holds one of bearer, basic, header and query."))
            return {}
        parts, names = auth[kind], _AUTH[kind]
        if kind == "bearer":
            return {"bearer": self._field(parts, (*key, kind), faults)}
        if not isinstance(parts, Mapping) or set(parts) != set(names):
            faults.append(Fault((*key, kind), f"it holds {' and '.join(names)}."))
            return {}
        if kind == "header":
            check_header_name(parts["name"], (*key, kind, "name"), faults)
        return {name: self._field(parts[name], (*key, kind, name), faults) for name in names}


def _credentials(kind: str, fields: Mapping[str, Field], secrets: Secrets) -> Credentials:
    from gemmagraph.tools.guards.transport import Credentials

    said = {name: _text(value, {"secrets": secrets}) for name, value in fields.items()}
    match kind:
        case "bearer":
            return Credentials({"Authorization": header_value("Authorization", f"Bearer {said['bearer']}")})
        case "basic":
            both = f"{said['user']}:{said['password']}".encode()
            return Credentials({"Authorization": f"Basic {base64.b64encode(both).decode()}"})
        case "header":
            return Credentials({said["name"]: header_value(said["name"], said["value"])})
        case "query":
            return Credentials(query={said["name"]: said["value"]})
    return Credentials()


async def _closing(transport: GuardedTransport) -> AsyncGenerator[None, None]:
    """Closes a transport when it is ended. A generator that nobody ends is ended by its event loop: once nobody holds
    it, from whichever thread, and when the loop itself ends. Nothing else is told of both."""
    try:
        yield
    finally:
        await transport.aclose()


def secret_field(source: object, key: Key, secrets: Secrets, faults: list[Fault]) -> Field:
    """A text that may name secrets that there are, and nothing else."""
    if not isinstance(source, str):
        faults.append(Fault(key, f"{source!r} is no text."))
        return Field("", ())
    field = field_or_fault(source, {"secrets"}, key, faults)
    known_secrets(field, key, secrets, faults)
    return field


def known_secrets(field: Field, key: Key, secrets: Secrets, faults: list[Fault]) -> None:
    named = (str(path.steps[0]) for path in field.paths if path.root == "secrets")
    faults.extend(Fault(key, f"there is no secret {name!r}.") for name in named if name not in secrets.declared)


def joined(base: str, target: str) -> str:
    """A path, or an URL, and what goes on below it."""
    return (base.rstrip("/") if target.startswith("/") else base) + target


def names_of(secrets: Secrets) -> dict[str, str]:
    """What stands for each secret where people read. None is read for it."""
    return {name: replacement(name) for name in secrets.declared}


def missing_secret(fields: Iterable[Field], secrets: Secrets) -> str | None:
    """Why the fields cannot be filled here; None if they can."""
    names = {str(path.steps[0]) for field in fields for path in field.paths if path.root == "secrets"}
    return next((why for name in sorted(names) if (why := secrets.declared[name].missing)), None)


def check_header_name(name: object, key: Key, faults: list[Fault]) -> None:
    if not isinstance(name, str) or not _TOKEN.fullmatch(name):
        faults.append(Fault(key, f"{name!r} is no name of a header."))
    elif name.lower() in _OURS:
        faults.append(Fault(key, f"{name} is set by the connection itself."))


def header_value(name: str, value: str) -> str:
    """
    Raises:
        ToolError: it would end the header, or is no text.
    """
    if _NOT_IN_A_VALUE.search(value):
        raise ToolError(f"The value for the header {name} has a line break or another control character in it.")
    return value.strip()


def _text(field: Field, scope: Scope) -> str:
    text = field.text(scope)
    return "" if isinstance(text, Absent) else text


def _fault_of(read: Callable[[], T], key: Key, faults: list[Fault]) -> T | None:
    try:
        return read()
    except ValueError as problem:
        faults.append(Fault(key, str(problem)))
        return None
