"""No request that was not meant to go there reaches a server on this machine, however its address is spelled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar
from urllib.parse import quote, unquote

import httpx
import pytest
from recorded import Recorded, Resolved, recorded, redirected

from gemmagraph.tools.bodies.http_connection import HttpConnection
from gemmagraph.tools.errors import ToolDefinitionError, ToolError
from gemmagraph.tools.guards.transport import guarded_client

T = TypeVar("T")

REFUSED = (ToolError, httpx.InvalidURL, httpx.UnsupportedProtocol)

SPELLINGS = [
    # one number, or fewer than four; hex, octal, mixed; leading zeros; a dot behind
    *("2130706433", "0x7f000001", "0X7F000001", "017700000001", "0x7f.1", "127.1", "127.0.1", "0177.0.0.1"),
    *(
        "0x7f.0.0.1",
        "0x7f.0x0.0x0.0x1",
        "0177.0000.0000.0001",
        "127.0.0.01",
        "127.0.0.0x1",
        "127.00.00.01",
        "127.0.1.",
    ),
    *("127.0.0.1.", "0", "0x0", "0.0.0.0", "2852039166", "0xA9FEA9FE", "0251.0376.0251.0376", "00000177.1"),
    # other addresses of loopback and of private networks
    *("127.0.0.1", "127.0.0.2", "127.127.127.127", "127.255.255.254", "10.0.0.1", "172.16.0.1", "172.31.255.255"),
    *("192.168.0.1", "100.64.0.1", "198.18.0.1", "[::1]", "[0:0:0:0:0:0:0:1]", "[0000::0001]", "[::]", "[fc00::1]"),
    # where clouds keep keys, and what is nobody's
    *("169.254.169.254", "168.63.129.16", "100.100.100.200", "192.0.0.192", "[fd00:ec2::254]", "[fd20:ce::254]"),
    *("[::ffff:169.254.169.254]", "[64:ff9b::a9fe:a9fe]", "[2002:a9fe:a9fe::]", "224.0.0.1", "255.255.255.255"),
    *("[fe80::1]", "[fe80::1%25lo]", "[fe80::1%25eth0]", "[fec0::1]", "[ff02::1]"),
    # IPv4 within IPv6
    *("[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:FFFF:7F00:0001]", "[::127.0.0.1]", "[::7f00:1]"),
    *("[64:ff9b::7f00:1]", "[64:ff9b::127.0.0.1]", "[64:ff9b:1::7f00:1]", "[2002:7f00:1::]", "[2002:7f00:0001::1]"),
    *("[2001:0:4136:e378:8000:63bf:80ff:fffe]", "[2600::5efe:7f00:1]", "[2600::200:5efe:7f00:1]"),
    *("[::ffff:0:127.0.0.1]", "[::ffff:0x7f.1]", "[::ffff:127.1]"),
    # look-alikes, encodings, control characters
    *(
        "①②⑦.⓪.⓪.①",
        "①②⑦.0.0.1",
        "１２７.0.0.1",
        "127。0。0。1",
        "127．0．0．1",
        "127｡0｡0｡1",
        "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ",
        "loc\u00adalhost",
    ),
    *(
        "%31%32%37.0.0.1",
        "127%2e0%2e0%2e1",
        "127.0.0.1%00",
        "127.0.0.1%00.example.com",
        "127.0.0.1%09",
        "127.0.0.1%20",
    ),
    *("%6cocalhost", "127.0.0.1%23.example.com", "²130706433", "٢١٣٠٧٠٦٤٣٣"),
    # names that lead here
    *(
        "localhost",
        "LOCALHOST",
        "localhost.",
        "ip6-localhost",
        "a.localhost",
        "127.0.0.1.nip.example",
        "local.example",
    ),
    # who is the host?
    *("user@127.0.0.1", "example.com@127.0.0.1", "127.0.0.1@example.com", "example.com%40127.0.0.1", "a:b@[::1]"),
    *("127.0.0.1\\@example.com", "example.com\\@127.0.0.1", "example.com:80@127.0.0.1", "[::1].example.com"),
]
ASKED_BY_NAME = {"localhost", "ip6-localhost", "a.localhost", "local.example", "127.0.0.1.nip.example"}
"""Those of them that are names, and lead nowhere but by a resolver."""


@pytest.fixture(scope="module")
def here() -> Iterator[Recorded]:
    """What nobody may reach."""
    with recorded() as server:
        yield server
        assert (server.connections, server.requests) == (0, [])


@pytest.fixture(scope="module")
def first() -> Iterator[Recorded]:
    """What may be asked, and sends everybody to where its query says."""
    with recorded(lambda seen: redirected(unquote(seen.target.partition("?")[2], "latin-1"))) as server:
        yield server


def run(work: Callable[[], Awaitable[T]]) -> T:
    async def main() -> T:
        return await asyncio.wait_for(work(), 20)

    return asyncio.run(main())


def everything_leads_here() -> Resolved:
    return Resolved([{"*": ["127.0.0.1", "::1"]}])


def test_there_are_more_than_eighty_spellings() -> None:
    assert len(set(SPELLINGS)) == len(SPELLINGS) > 80


@pytest.mark.parametrize("host", SPELLINGS)
def test_no_spelling_of_an_address_reaches_this_machine(here: Recorded, host: str) -> None:
    resolver = everything_leads_here()

    async def ask() -> None:
        async with guarded_client(allow_hosts=["*", f"*:{here.port}"], resolver=resolver) as client:
            with pytest.raises(REFUSED):
                await client.get(f"http://{host}:{here.port}/secret")

    run(ask)
    assert (here.connections, here.requests) == (0, [])
    assert set(resolver.asked) <= ASKED_BY_NAME


@pytest.mark.parametrize("host", SPELLINGS)
def test_no_redirect_to_such_a_spelling_is_followed(here: Recorded, first: Recorded, host: str) -> None:
    resolver = everything_leads_here()
    before = len(first.requests)

    async def ask() -> None:
        hosts = ["*", f"*:{here.port}"]
        async with guarded_client(base_url=first.url, allow_hosts=hosts, redirects=5, resolver=resolver) as client:
            with pytest.raises(REFUSED):
                await client.get("/start?" + quote(f"http://{host}:{here.port}/secret", safe=""))

    run(ask)
    assert len(first.requests) == before + 1
    assert here.connections == 0
    assert set(resolver.asked) <= ASKED_BY_NAME


@pytest.mark.parametrize("host", [host for host in SPELLINGS if host not in ASKED_BY_NAME | {"LOCALHOST"}])
def test_a_tool_can_be_made_for_a_plain_address_of_this_machine_only(here: Recorded, host: str) -> None:
    """The host of a base URL may be private, in its usual spelling."""
    usual = {"127.0.0.1", "[::1]", "[0:0:0:0:0:0:0:1]", "[0000::0001]"}
    private = {"127.0.0.2", "127.127.127.127", "127.255.255.254", "10.0.0.1", "172.16.0.1", "172.31.255.255"}
    private |= {"192.168.0.1", "100.64.0.1", "198.18.0.1", "[fc00::1]"}
    v4 = {
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[0:0:0:0:0:FFFF:7F00:0001]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b::127.0.0.1]",
    }
    if host in usual | private | v4:
        HttpConnection(f"http://{host}:{here.port}")
    else:
        with pytest.raises(ToolDefinitionError):
            HttpConnection(f"http://{host}:{here.port}")


def test_the_named_host_is_asked() -> None:
    """Without this, the counts of 0 above would prove nothing."""
    with recorded() as here:
        ask_thrice(here)


def ask_thrice(here: Recorded) -> None:

    async def ask() -> list[int]:
        async with guarded_client(base_url=here.url) as client:
            statuses = [(await client.get("/a")).status_code, (await client.get("b?c=d")).status_code]
        async with guarded_client(
            base_url=f"http://local.example:{here.port}", resolver=everything_leads_here()
        ) as client:
            return [*statuses, (await client.get("/c")).status_code]

    assert run(ask) == [200, 200, 200]
    assert here.targets == ["/a", "/b?c=d", "/c"]
    assert [seen.header("Host") for seen in here.requests[1:]] == [
        f"127.0.0.1:{here.port}",
        f"local.example:{here.port}",
    ]
