"""Which hosts may be asked: names, spellings of addresses, and where addresses lead."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gemmagraph.tools.errors import ToolError
from gemmagraph.tools.guards.addresses import place_of
from gemmagraph.tools.guards.hosts import Hosts, Origin, origin_of, split_base
from gemmagraph.tools.guards.targets import Prefix, climbs, segment

PLACES = {
    "public": "8.8.8.8 1.1.1.1 93.184.216.34 172.32.0.1 100.128.0.1 2606:4700::1111 2a00:1450:4001::1 ::ffff:8.8.8.8 "
    "64:ff9b::808:808 2600::5efe:808:808",
    "private": "127.0.0.1 127.255.255.254 10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 100.64.0.1 198.18.0.1 ::1 "
    "fc00::1 fd12:3456::1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 64:ff9b::7f00:1 64:ff9b::a00:1",
    "never": "169.254.169.254 169.254.0.1 168.63.129.16 100.100.100.200 192.0.0.192 0.0.0.0 0.1.2.3 192.0.2.1 "
    "192.88.99.1 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255 :: fe80::1 fe80::1%1 "
    "fec0::1 ff02::1 fd00:ec2::254 fd20:ce::254 fd00:c1::a9fe:a9fe ::127.0.0.1 ::8.8.8.8 ::ffff:169.254.169.254 "
    "64:ff9b::a9fe:a9fe ::ffff:0:127.0.0.1 64:ff9b:1::7f00:1 2002:7f00:1:: 2002:808:808:: 2002:a9fe:a9fe:: "
    "2001:0:4136:e378:8000:63bf:80ff:fffe 2001:db8::1 3fff::1 2001:10::1 100::1 4000::1 "
    "2600::5efe:7f00:1 2600::200:5efe:a00:1 fc00::5efe:7f00:1",
}


@pytest.mark.parametrize(
    ("address", "reach"), [(address, reach) for reach, addresses in PLACES.items() for address in addresses.split()]
)
def test_an_address_leads_where_its_network_lies(address: str, reach: str) -> None:
    assert place_of(ip_address(address)).reach == reach


@settings(max_examples=500)
@given(st.integers(0, 2**32 - 1).map(IPv4Address) | st.integers(0, 2**128 - 1).map(IPv6Address))
def test_no_address_is_public_that_the_standard_library_does_not_call_global(
    address: IPv4Address | IPv6Address,
) -> None:
    if place_of(address).reach == "public":
        unpacked = (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
        assert unpacked.is_global


@settings(max_examples=200)
@given(st.integers(0, 2**32 - 1).map(IPv4Address), st.sampled_from(["::ffff:0:0", "64:ff9b::"]))
def test_an_address_within_another_is_judged_by_itself(address: IPv4Address, prefix: str) -> None:
    assert place_of(IPv6Address(int(IPv6Address(prefix)) + int(address))) == place_of(address)


NO_HOSTS = (
    "2130706433 0x7f000001 0X7F000001 017700000001 127.1 127.0.1 0177.0.0.1 0x7f.0.0.1 0x7f.1 127.0.0.1. 127.0.0.01 "
    "127.0.0.0x1 0 0x 00 1.2.3.4.5 256.256.256.256 999 example.0x1 host.1 example.com. a..b .a -a a- a_b-.c "
    "a%20b 127%2e0%2e0%2e1 a/b a\\b a@b a:b [::1 ::1%25 ::g a\tb a\nb a\0b 127.0.0.1\n ①②⑦.⓪.⓪.① "
    "１２７.0.0.1 127。0。0。1 ⓛⓞⓒⓐⓛⓗⓞⓢⓣ loc\u00adalhost bücher.example " + "a" * 64
).split(" ")


@pytest.mark.parametrize("host", ["", " ", *filter(None, NO_HOSTS)])
def test_what_is_no_plain_name_or_address_is_no_host(host: str) -> None:
    with pytest.raises(ToolError, match="is not a host"):
        origin_of("http", host, None)


@pytest.mark.parametrize(
    ("host", "plain"),
    [
        ("LOCALHOST", "localhost"),
        ("api.github.com", "api.github.com"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("my_host", "my_host"),
        ("1e100.net", "1e100.net"),
        ("[0:0:0:0:0:0:0:1]", "::1"),
        ("::FFFF:127.0.0.1", str(IPv6Address("::ffff:127.0.0.1"))),
        ("10.0.0.1", "10.0.0.1"),
    ],
)
def test_a_host_has_one_spelling(host: str, plain: str) -> None:
    assert origin_of("https", host, None) == Origin("https", plain, 443)


@pytest.mark.parametrize("scheme", ["file", "ftp", "gopher", "ws", "unix", ""])
def test_only_http_is_asked(scheme: str) -> None:
    with pytest.raises(ToolError, match="not http or https"):
        origin_of(scheme, "example.com", None)


ALLOWED = [
    ("api.example.com", "https://api.example.com", True),
    ("api.example.com", "http://api.example.com", True),
    ("api.example.com", "https://api.example.com:8443", False),
    ("api.example.com:8443", "https://api.example.com:8443", True),
    ("api.example.com:8443", "https://api.example.com", False),
    ("API.example.com", "https://api.example.com", True),
    ("api.example.com", "https://evil-api.example.com", False),
    ("api.example.com", "https://api.example.com.evil.com", False),
    ("*.example.com", "https://a.b.example.com", True),
    ("*.example.com", "https://example.com", False),
    ("*.example.com", "https://evilexample.com", False),
    ("*", "https://anything.org", True),
    ("*", "https://anything.org:22", False),
    ("[2606:4700::1111]:8443", "https://[2606:4700:0::1111]:8443", True),
]


@pytest.mark.parametrize(("entry", "url", "allowed"), ALLOWED, ids=[f"{entry} {url}" for entry, url, _ in ALLOWED])
def test_an_entry_allows_what_it_names_and_no_more(entry: str, url: str, allowed: bool) -> None:
    hosts, origin = Hosts(None, [entry]), split_base(url)[0]
    if allowed:
        hosts.check(origin)
    else:
        with pytest.raises(ToolError, match="is not one of the hosts"):
            hosts.check(origin)


@pytest.mark.parametrize(
    "entry", ["", "https://a.com", "a.com/x", "*.", "a*.com", "*a.com", "a.com:x", "a.com:99999", "127.1", "*.*"]
)
def test_an_entry_that_is_no_host_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match="is no host"):
        Hosts(None, [entry])


@pytest.mark.parametrize(
    ("base", "asked", "home"),
    [
        ("http://grafana:3000", "http://grafana:3000", True),
        ("http://grafana:3000", "http://grafana:22", False),
        ("http://grafana:3000", "http://grafana", False),
        ("http://grafana", "https://grafana", True),
        ("http://grafana", "http://grafana:22", False),
        ("http://grafana", "http://loki", False),
    ],
)
def test_only_the_named_host_at_its_port_may_be_private(base: str, asked: str, home: bool) -> None:
    hosts, origin = Hosts(split_base(base)[0], ["*", "*:22"]), split_base(asked)[0]
    hosts.check(origin)
    if home:
        assert hosts.checked(origin.host, origin.port, ["10.1.2.3"]) == [IPv4Address("10.1.2.3")]
    else:
        with pytest.raises(ToolError, match="a private address"):
            hosts.checked(origin.host, origin.port, ["10.1.2.3"])


@pytest.mark.parametrize("address", PLACES["never"].split())
def test_not_even_the_named_host_may_lie_where_nothing_is_asked(address: str) -> None:
    hosts = Hosts(Origin("http", "grafana", 80))
    with pytest.raises(ToolError, match="may not reach"):
        hosts.checked("grafana", 80, [address])


def test_one_wrong_address_among_right_ones_refuses_them_all() -> None:
    with pytest.raises(ToolError, match="a loopback address"):
        Hosts(None, ["*"]).checked("example.com", 443, ["93.184.216.34", "127.0.0.1"])


@pytest.mark.parametrize(
    "url",
    [
        "example.com",
        "ftp://example.com",
        "https://",
        "https://user:key@example.com",
        "https://example.com?x=1",
        "https://example.com/#x",
        "https://example.com/a/../b",
        "https://example.com/%2e%2e/b",
        "https://example.com/a b",
        "https://example.com/%zz",
        "https://bücher.example",
        "https://example.com\\@evil.com",
        "https://example.com\n",
        "http://2130706433",
        "http://127.1",
        "http://169.254.169.254",
        "http://[fd00:ec2::254]/latest",
        "http://0.0.0.0:80",
        "http://[fe80::1]",
        "https://example.com:0",
        "https://example.com:99999",
    ],
)
def test_a_base_url_is_plain_and_leads_somewhere(url: str) -> None:
    with pytest.raises(ValueError):
        split_base(url)


STEPS = [
    *("", ".", "..", "...", " ", ". .", "..;", ".;x", "..;/x", "a/..", "../a", "a/../b", "a//b", "/a", "a/", "a/./b"),
    *(
        "..\\a",
        "a\\..\\b",
        "%2e",
        "%2E%2e",
        "%2e%2e",
        ".%2e",
        "%252e%252e",
        "%25252e%25252e",
        "a%2f..%2fb",
        "%2f",
        "%5c..",
    ),
    *(
        "．．",
        "‥",
        "…",
        "․․",
        "．/．",
        "%ef%bc%8e%ef%bc%8e",
        "\0",
        "a\0",
        "a\nb",
        "a\r\nHost: x",
        "%00",
        "%0d%0a",
        "a%250a",
    ),
    *("\x7f", "\x85", "\ud800", "%" + "25" * 20 + "2e"),
]


@pytest.mark.parametrize("value", STEPS)
def test_a_value_that_is_no_segment_is_refused(value: str) -> None:
    with pytest.raises(ToolError, match="cannot stand in a path"):
        segment(value)


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        ("web", "web"),
        ("a b", "a%20b"),
        ("group/project", "group%2Fproject"),
        ("a?b#c", "a%3Fb%23c"),
        ("50%", "50%25"),
        ("a%2Fb", "a%252Fb"),
        ("..a", "..a"),
        ("v1.2", "v1.2"),
        (".env", ".env"),
        ("ü", "%C3%BC"),
        ("a;b=c", "a%3Bb%3Dc"),
        ("-rf", "-rf"),
        ("~", "~"),
    ],
)
def test_a_segment_is_encoded_whole(value: str, encoded: str) -> None:
    assert segment(value) == encoded
    assert not climbs(f"/x/{encoded}/y")


@settings(max_examples=500)
@given(st.text(alphabet="./\\%25eE;aA0 ．‥", max_size=12))
def test_no_segment_climbs(value: str) -> None:
    try:
        encoded = segment(value)
    except ToolError:
        return
    assert "/" not in encoded
    assert not climbs(f"/api/{encoded}")
    assert not climbs(f"/api/{encoded}/x")


@pytest.mark.parametrize(
    ("target", "inside"),
    [
        ("/api", True),
        ("/api/", True),
        ("/api?x=../..", True),
        ("/api/a//b", True),
        ("/apis", False),
        ("/", False),
        ("/api/../x", False),
        ("/api/%2e%2e/x", False),
        ("/api/..%2fx", False),
        ("/api/%252e%252e/x", False),
        ("/api/..;/x", False),
        ("//api/x", False),
        ("/API/x", False),
    ],
)
def test_requests_stay_below_the_prefix(target: str, inside: bool) -> None:
    if inside:
        Prefix("/api/").check(target)
    else:
        with pytest.raises(ToolError):
            Prefix("/api/").check(target)
