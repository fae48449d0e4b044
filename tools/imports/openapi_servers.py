"""Which server an operation is asked of, and who we are to it.

A server that the document names is somebody else's word: it must be a public one. `base_url` is the word of who
imports the document, and may be private.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin

from gemmagraph.prompts.messages import JSON
from gemmagraph.tools.bodies.http_connection import HttpConnection
from gemmagraph.tools.errors import Fault, ToolDefinitionError, ToolError
from gemmagraph.tools.guards.hosts import Hosts, Origin, split_base
from gemmagraph.tools.imports.openapi_document import Document, Part
from gemmagraph.tools.secrets import Secrets

if TYPE_CHECKING:
    from gemmagraph.tools.guards.transport import Resolver

_VARIABLE: Final = re.compile(r"\{([^{}]{1,100})\}")
_BASE_URL: Final = "Write `base_url: https://…`, the server to ask."
"""The hint where a document names no server that can be asked."""


@dataclass
class Servers:
    """The connections of one import, made when an operation needs them and shared by all that do."""

    document: Document
    base_url: str | None = None
    auth: Mapping[str, str | Mapping[str, str]] | None = None
    secrets: Secrets | None = None
    resolver: Resolver | None = None
    _made: dict[str, HttpConnection] = field(default_factory=dict)

    def connection(self, item: Part, operation: Part) -> HttpConnection:
        """
        Raises:
            ToolDefinitionError: the document names no server that may be asked, or `auth` is wrong.
        """
        base = self.base_url or self._named(item, operation)
        if base not in self._made:
            self._made[base] = self._connection(base)
        return self._made[base]

    def _connection(self, base: str) -> HttpConnection:
        if self.base_url:
            return HttpConnection(self.base_url, auth=self.auth, secrets=self.secrets, resolver=self.resolver)
        # Elsewhere than at the document's own server, credentials would be news to somebody.
        auth = self.auth if _public(base) == self._home() else None
        return HttpConnection(base, auth=auth, secrets=self.secrets, resolver=_only_public(self.resolver))

    def _home(self) -> Origin | None:
        try:
            return _public(self._named(self.document.root))
        except ToolDefinitionError:
            return None

    def _named(self, *parts: Part) -> str:
        """The base URL that the document names for an operation: the nearest one."""
        for part in (*reversed(parts), self.document.root):
            if (server := next(part.items("servers"), None)) is not None:
                return self._filled(server)
        return self._absolute("/")

    def _filled(self, server: Part) -> str:
        def value(found: re.Match[str]) -> str:
            default = server.get("variables").get(found[1]).value
            default = default.get("default") if isinstance(default, Mapping) else None
            if default is None:
                raise _refused(f"The server {server.text('url')[:200]!r} has no default for {found[1]!r}.")
            return str(default)

        return self._absolute(_VARIABLE.sub(value, server.text("url")))

    def _absolute(self, url: str) -> str:
        absolute = urljoin(self.document.url, url) if self.document.url else url
        if not re.match(r"https?://", absolute, re.IGNORECASE):
            raise _refused(f"{self.document.name} names no server, only {url[:200]!r}.")
        return absolute


def _public(base: str) -> Origin:
    """The origin of a server that a document names.

    Raises:
        ToolDefinitionError: it is none that can be asked.
    """
    try:
        origin = split_base(base)[0]
        Hosts(None, ["*"]).checked(origin.host, origin.port, [origin.host] if _is_address(origin.host) else [])
        if origin.host == "localhost" or origin.host.endswith(".localhost"):
            raise ToolError(f"{origin.host} is this machine.")
    except (ValueError, ToolError) as problem:
        raise _refused(f"The server {base[:200]!r} that the document names cannot be asked: {problem}") from problem
    return origin


def _is_address(host: str) -> bool:
    return ":" in host or re.fullmatch(r"[0-9.]+", host) is not None


def _only_public(resolver: Resolver | None) -> Resolver:
    async def resolved(host: str, port: int) -> Sequence[str]:
        from gemmagraph.tools.guards.transport import resolve

        addresses = await (resolver or resolve)(host, port)
        try:
            Hosts(None, ["*"]).checked(host, port, addresses)
        except ToolError as problem:
            raise ToolError(f"{problem.message} Only `base_url` may name such a server.") from None
        return addresses

    return resolved


def _refused(message: str) -> ToolDefinitionError:
    return ToolDefinitionError(message, faults=[Fault(("base_url",), message, _BASE_URL)])


@dataclass(frozen=True, slots=True)
class Scheme:
    """One way to prove who we are, as a document names it."""

    name: str
    kind: str
    """As `type` says it, of http with the scheme: `apiKey`, `http bearer`, `oauth2`."""
    place: str = ""
    """Of an API key: `header`, `query` or `cookie`."""
    key: str = ""

    @property
    def spelled(self) -> str:
        """What to write under `auth`; empty where it can only be given otherwise."""
        secret = "{{ secrets.NAME }}"
        if self.kind == "apiKey" and self.place in ("header", "query"):
            return f'{{{self.place}: {{name: {self.key}, value: "{secret}"}}}}'
        if self.kind == "apiKey":
            return f'{{header: {{name: Cookie, value: "{self.key}={secret}"}}}}'
        if self.kind == "http basic":
            return f'{{basic: {{user: …, password: "{secret}"}}}}'
        return f'{{bearer: "{secret}"}}' if self.kind in ("http bearer", "oauth2", "openIdConnect") else ""


def schemes_of(document: Document) -> dict[str, Scheme]:
    """The security schemes of a document, by name."""
    found = {}
    for name, entry in document.root.get("components").entries("securitySchemes"):
        part = entry.followed()
        kind = part.text("type")
        if kind == "http":
            kind += f" {part.text('scheme').lower()}"
        found[name] = Scheme(name, kind, part.text("in"), part.text("name"))
    return found


def carried(schemes: Mapping[str, Scheme], auth: Mapping[str, JSON] | None) -> frozenset[tuple[str, str]]:
    """The places and names that credentials fill, which are no arguments of a tool."""
    places = [(scheme.place, scheme.key) for scheme in schemes.values() if scheme.kind == "apiKey"]
    places += [(place, str(said.get("name"))) for place, said in (auth or {}).items() if isinstance(said, Mapping)]
    return frozenset((place, name.lower() if place == "header" else name) for place, name in places)


def lacking(document: Document, operation: Part, schemes: Mapping[str, Scheme], given: bool) -> str:
    """What an operation asks for that nobody gave; empty if it can be asked.

    Args:
        given: whether there is an `auth`.
    """
    holder = operation if "security" in operation.value else document.root
    ways = [[*way.value] for way in holder.items("security") if isinstance(way.value, Mapping)]
    if not ways or any(len(way) <= given for way in ways):
        return ""
    if given:
        fewest = sorted(ways, key=len)[0]
        return f"it asks for several credentials at once ({', '.join(fewest)[:200]}), and `auth` is one"
    hint = next(_spelled(ways, schemes), "")
    return "it asks for credentials, and there is no `auth`" + (f"; write auth: {hint}" if hint else "")


def _spelled(ways: Sequence[Sequence[str]], schemes: Mapping[str, Scheme]) -> Iterator[str]:
    for way in ways:
        for name in way:
            if name in schemes and schemes[name].spelled:
                yield schemes[name].spelled
