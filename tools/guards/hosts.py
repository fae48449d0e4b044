"""Which hosts an HTTP tool may ask: by name first, by address when the name is resolved.

Names are compared as the HTTP client parsed them, so that what was checked is what is connected to.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final, Literal, TypeAlias, cast

from gemmagraph.tools.errors import ToolError
from gemmagraph.tools.guards.addresses import Address, place_of
from gemmagraph.tools.guards.targets import climbs

Scheme: TypeAlias = Literal["http", "https"]
PORTS: Final = {"http": 80, "https": 443}

_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*")
_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)", re.DOTALL)
_BASE = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>/(?:[a-z0-9._~!$&'()*+,;=:@/-]|%[0-9a-f]{2})*)?",
    re.IGNORECASE | re.ASCII,
)
_ENTRY = re.compile(r"(?P<host>\[[^\]]*\]|[^:]*)(?::(?P<port>[0-9]{1,5}))?")


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port: what credentials belong to."""

    scheme: Scheme
    host: str
    """A name in lower case, or an address in its one spelling, without brackets."""
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + ("" if self.port == PORTS[self.scheme] else f":{self.port}")


class Hosts:
    """What may be asked, and where that may lie.

    Args:
        home: the origin that the tool is made for. Its host may be private; link-local and metadata addresses may
            not even be named here.
        allow: further hosts, public ones: `uploads.example.com`, `example.com:8443`, `*.example.com` (each host
            below it), `*` (every public host). Without a port, 80 and 443 are meant.

    Raises:
        ValueError: an entry is no host.
    """

    def __init__(self, home: Origin | None, allow: Sequence[str] = ()) -> None:
        self.home = home
        self._allow = tuple(_entry(entry) for entry in allow)

    def at_home(self, origin: Origin) -> bool:
        """Whether it is the host that is named: at its port, or with both of the usual ones at one of these."""
        return self.home is not None and origin.host == self.home.host and origin.port in _ports(self.home)

    def check(self, origin: Origin) -> None:
        """
        Raises:
            ToolError: this host or port is not among those that may be asked.
        """
        if not (self.at_home(origin) or any(_fits(origin, host, port) for host, port in self._allow)):
            raise ToolError(f"{origin} is not one of the hosts that this tool may reach.")

    def checked(self, host: str, port: int, addresses: Iterable[str]) -> list[Address]:
        """The addresses that `host` was resolved to, if each of them may be connected to.

        Raises:
            ToolError: one of them leads where this host may not lead.
        """
        found = [_address(address) for address in addresses]
        private = self.home is not None and host == self.home.host and port in _ports(self.home)
        for address in found:
            place = place_of(address)
            if place.reach == "never" or (place.reach == "private" and not private):
                where = f"{host} leads to {address}," if host != str(address) else f"{host} is"
                raise ToolError(f"{where} {place.what}. This tool may not reach it.")
        return found


def origin_of(scheme: str, host: str, port: int | None) -> Origin:
    """The origin of an URL, from its parts as the HTTP client parsed them.

    Raises:
        ToolError: it is none that a tool can ask: another scheme, or a host that is no name or address in its
            plain spelling. `2130706433`, `0x7f.1` and `127.1` are names to us and 127.0.0.1 to a resolver.
    """
    if scheme not in PORTS:
        raise ToolError(f"The scheme {scheme!r} is not http or https.")
    if port is not None and not 0 < port < 65536:
        raise ToolError(f"{port} is no port.")
    return Origin(cast(Scheme, scheme), _plain_host(host), port or PORTS[scheme])


def split_base(url: str) -> tuple[Origin, str]:
    """The origin and the path of a base URL. It is read by strict rules, which leave nothing to a parser's taste.

    Raises:
        ValueError: it is none that a tool can be made for.
    """
    found = _BASE.fullmatch(url)
    if found is None:
        raise ValueError(f"{url[:200]!r} is no base URL: https://, a host, and at most a port and a path.")
    try:
        origin = origin_of(found["scheme"].lower(), found["host"], int(found["port"]) if found["port"] else None)
    except ToolError as exc:
        raise ValueError(exc.message) from exc
    address = literal_address(origin.host)
    if address is not None and place_of(address).reach == "never":
        raise ValueError(f"{origin.host} is {place_of(address).what}. No tool may reach it.")
    path = found["path"] or "/"
    if climbs(path):
        raise ValueError(f"The path {path!r} has a step '.' or '..'.")
    return origin, path


def literal_address(host: str) -> Address | None:
    """The address that a checked host spells, if it is not a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None


def _plain_host(host: str) -> str:
    bare = host[1:-1] if host[:1] == "[" and host[-1:] == "]" else host
    lowered = bare.lower()
    address = literal_address(lowered) if "%" not in lowered else None  # no zone: it is of link-local addresses
    if address is not None:
        return str(address)
    if _NUMBER.fullmatch(lowered.rstrip(".")) or not _NAME.fullmatch(lowered):
        raise ToolError(f"{host!r} is not a host: neither a name nor an address in its usual spelling.")
    return lowered


def _address(text: str) -> Address:
    try:
        return ip_address(text)
    except ValueError:
        raise ToolError(f"{text!r} is no address.") from None


def _ports(home: Origin) -> frozenset[int]:
    """A private host is open at one port; a redirect from http to https is the usual one all the same."""
    usual = frozenset(PORTS.values())
    return usual if home.port in usual else frozenset({home.port})


def _entry(text: str) -> tuple[str, int | None]:
    found = _ENTRY.fullmatch(text.strip().lower())
    if found is None:
        raise ValueError(f"{text!r} is no host.")
    host, port = found["host"], int(found["port"]) if found["port"] else None
    below = "*." if host.startswith("*.") else ""
    try:
        plain = host if host == "*" else below + origin_of("https", host.removeprefix("*."), port).host
    except ToolError:
        plain = ""
    if not plain:
        raise ValueError(f"{text!r} is no host. Write a name, as in api.example.com, without https:// or a path.")
    return plain, port


def _fits(origin: Origin, host: str, port: int | None) -> bool:
    if origin.port != port and (port is not None or origin.port not in PORTS.values()):
        return False
    return host in ("*", origin.host) or (host.startswith("*.") and origin.host.endswith(host[1:]))
