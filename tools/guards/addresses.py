"""Which network an IP address leads to, also one that hides an IPv4 address inside an IPv6 one.

`ipaddress.is_global` is no substitute: it calls the 6to4 and NAT64 forms of 127.0.0.1 global, and knows no
metadata services.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final, Literal, TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address
Reach: TypeAlias = Literal["public", "private", "never"]
"""Whom a tool may ask there: anyone; only the host that was named to it; nobody."""


@dataclass(frozen=True, slots=True)
class Place:
    reach: Reach
    what: str
    """As an error says it: `a loopback address`."""


def place_of(address: Address) -> Place:
    """Where `address` leads. What is not known to be public or private is neither."""
    return _place_of_v4(address) if isinstance(address, IPv4Address) else _place_of_v6(address)


def _place_of_v4(address: IPv4Address) -> Place:
    return next((place for network, place in _V4 if address in network), _PUBLIC)


def _place_of_v6(address: IPv6Address) -> Place:
    if address.scope_id is not None:
        return _LINK_LOCAL
    if any(address in network for network in _SAME_AS_V4):
        return _place_of_v4(_low(address))
    place = next((place for network, place in _V6 if address in network), None)
    if place is None:
        place = _PUBLIC if address in _GLOBAL_UNICAST else _RESERVED
    if int(address) >> 32 & 0xFDFFFFFF == 0x5EFE and _place_of_v4(_low(address)).reach != "public":
        return _TUNNEL  # ISATAP: any prefix, then 0000:5efe or 0200:5efe, then an IPv4 address
    return place


def _low(address: IPv6Address) -> IPv4Address:
    return IPv4Address(int(address) & 0xFFFFFFFF)


_PUBLIC: Final = Place("public", "a public address")
_LOOPBACK: Final = Place("private", "a loopback address")
_PRIVATE: Final = Place("private", "a private address")
_LINK_LOCAL: Final = Place("never", "a link-local address")
_METADATA: Final = Place("never", "the metadata service of a cloud")
_MULTICAST: Final = Place("never", "a multicast address")
_RESERVED: Final = Place("never", "a reserved address")
_TUNNEL: Final = Place("never", "an IPv6 address that hides an IPv4 one")

_V4: Final = tuple(
    (IPv4Network(network), place)
    for network, place in (
        ("168.63.129.16/32", _METADATA),  # Azure's, at a public address
        ("100.100.100.200/32", _METADATA),  # Alibaba's, inside of what carriers share
        ("169.254.169.254/32", _METADATA),
        ("169.254.0.0/16", _LINK_LOCAL),
        ("127.0.0.0/8", _LOOPBACK),
        ("10.0.0.0/8", _PRIVATE),
        ("172.16.0.0/12", _PRIVATE),
        ("192.168.0.0/16", _PRIVATE),
        ("100.64.0.0/10", _PRIVATE),  # shared by carriers, and used by private overlay networks
        ("198.18.0.0/15", _PRIVATE),  # meant for benchmarks, likewise
        ("0.0.0.0/8", _RESERVED),
        ("192.0.0.0/24", _RESERVED),  # Oracle's metadata among them
        ("192.0.2.0/24", _RESERVED),
        ("192.88.99.0/24", _RESERVED),
        ("198.51.100.0/24", _RESERVED),
        ("203.0.113.0/24", _RESERVED),
        ("224.0.0.0/4", _MULTICAST),
        ("240.0.0.0/4", _RESERVED),
    )
)
"""What is not public; the first that fits."""

_SAME_AS_V4: Final = (IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b::/96"))
"""IPv4 in today's use: mapped by the socket, or reached through NAT64, by whose names IPv6-only networks live."""

_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")

_V6: Final = tuple(
    (IPv6Network(network), place)
    for network, place in (
        ("::1/128", _LOOPBACK),
        ("fd00:ec2::254/128", _METADATA),  # Amazon's
        ("fd20:ce::254/128", _METADATA),  # Google's
        ("fd00:c1::a9fe:a9fe/128", _METADATA),  # Oracle's
        ("fc00::/7", _PRIVATE),
        ("fe80::/10", _LINK_LOCAL),
        ("fec0::/10", _RESERVED),  # site-local, given up
        ("ff00::/8", _MULTICAST),
        ("::/96", _TUNNEL),  # IPv4-compatible
        ("::ffff:0:0:0/96", _TUNNEL),  # IPv4-translated
        ("64:ff9b:1::/48", _TUNNEL),  # NAT64 of a local network: where the IPv4 address stands is up to it
        ("2001::/32", _TUNNEL),  # Teredo
        ("2002::/16", _TUNNEL),  # 6to4
        ("2001::/23", _RESERVED),
        ("2001:db8::/32", _RESERVED),
        ("3fff::/20", _RESERVED),
    )
)
"""What needs a word of its own; the first that fits. A public IPv4 address inside of a tunnel form is refused
with the others: nobody writes it by good intent."""
