"""Redirects, names that change their mind, and what other origins get to see."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

import httpx
import pytest
from recorded import Answers, Rerouted, Resolved, Seen, answered, recorded, redirected

from gemmagraph.tools.errors import ToolError
from gemmagraph.tools.guards.transport import Credentials, GuardedTransport, guarded_client

T = TypeVar("T")

PUBLIC, OTHER = "93.184.216.34", "93.184.216.35"
"""Addresses that lead to servers on this machine, by the network of these tests."""
DNS = {"home.example": [PUBLIC], "other.example": [OTHER], "here.example": ["127.0.0.1"]}


def run(work: Callable[[], Awaitable[T]]) -> T:
    async def main() -> T:
        return await asyncio.wait_for(work(), 20)

    return asyncio.run(main())


class World:
    """A client made for home.example, and two servers: that host, and other.example."""

    def __init__(self, home: Answers, other: Answers = lambda seen: answered("other")) -> None:
        self.home, self.other = home, other
        self.at_home: list[Seen] = []
        self.abroad: list[Seen] = []

    def ask(
        self,
        method: str = "GET",
        path: str = "/start",
        *,
        base_url: str = "http://home.example",
        allow_hosts: tuple[str, ...] = ("other.example",),
        redirects: int = 10,
        **sent: object,
    ) -> httpx.Response:
        with recorded(self.home) as home, recorded(self.other) as other:
            self.at_home, self.abroad = home.requests, other.requests
            network = Rerouted({PUBLIC: home.port, OTHER: other.port})
            transport = GuardedTransport(
                base_url=base_url,
                allow_hosts=allow_hosts,
                redirects=redirects,
                credentials=lambda: Credentials({"Authorization": "Bearer key"}, {"token": "k&y"}),
                resolver=Resolved([DNS]),
                network=network,
            )

            async def asked() -> httpx.Response:
                async with httpx.AsyncClient(transport=transport, trust_env=False) as client:
                    return await client.request(method, f"http://home.example{path}", **sent)  # type: ignore[arg-type]

            return run(asked)


def to(location: str, status: str = "302 Found") -> Answers:
    return lambda seen: redirected(location, status)


def steps(*locations: str, then: bytes = answered("there")) -> Answers:
    """Redirects one after the other."""
    coming = iter([*map(redirected, locations), then])
    return lambda seen: next(coming)


def paths(seen: list[Seen]) -> list[str]:
    return [each.target.partition("?")[0] for each in seen]


def test_a_chain_of_redirects_is_followed_to_its_end() -> None:
    world = World(steps("/b", "c/d", "?x=1", "//home.example/e", "http://home.example:80/f"))
    assert world.ask(path="/a").text == "there"
    assert [seen.target.partition("token")[0] for seen in world.at_home] == [
        "/a?",
        "/b?",
        "/c/d?",
        "/c/d?x=1&",
        "/e?",
        "/f?",
    ]


@pytest.mark.parametrize("redirects", [1, 3, 10])
def test_a_chain_that_is_too_long_is_cut(redirects: int) -> None:
    world = World(steps(*(f"/{step}" for step in range(20))))
    with pytest.raises(ToolError, match=f"redirects more than {redirects} times"):
        world.ask(redirects=redirects)
    assert len(world.at_home) == redirects + 1


def test_a_loop_ends() -> None:
    world = World(to("/start"))
    with pytest.raises(ToolError, match="more than 10"):
        world.ask()
    assert len(world.at_home) == 11


def test_without_redirects_the_redirect_is_the_answer() -> None:
    world = World(to("/elsewhere"))
    answer = world.ask(redirects=0)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/elsewhere")
    assert len(world.at_home) == 1


@pytest.mark.parametrize(
    ("location", "why"),
    [
        ("http://third.example/", "is not one of the hosts"),
        ("http://other.example:8080/", "is not one of the hosts"),
        ("http://home.example:8080/", "is not one of the hosts"),
        ("http://here.example/", "is not one of the hosts"),
        ("//127.0.0.1/", "is not one of the hosts"),
        ("ftp://home.example/", "not http or https"),
        ("file:///etc/passwd", "not http or https"),
        ("javascript:alert(1)", "not http or https"),
        ("http://user:key@home.example/", "a user name or password"),
        ("http://home.example@third.example/", "a user name or password"),
        ("http://third.example\\@home.example/", "a user name or password"),
        ("http://home.example:99999/", "is no port"),
        ("http://[::1/", "is no URL"),
        ("//[/", "is not a host"),
    ],
)
def test_a_redirect_to_what_may_not_be_asked_is_refused(location: str, why: str) -> None:
    world = World(to(location))
    with pytest.raises(ToolError, match=why):
        world.ask()
    assert (len(world.at_home), len(world.abroad)) == (1, 0)


def test_a_redirect_to_a_private_address_is_refused_though_its_host_is_allowed() -> None:
    world = World(to("http://here.example/"))
    with pytest.raises(ToolError, match=r"leads to 127\.0\.0\.1, a loopback address"):
        world.ask(allow_hosts=("here.example",))


def test_a_chain_that_turns_private_in_the_end_is_refused_there() -> None:
    world = World(
        steps("/1", "/2", "/3", "http://other.example/4"),
        lambda seen: redirected("http://169.254.169.254/latest/meta-data"),
    )
    with pytest.raises(ToolError, match="the metadata service"):
        world.ask(allow_hosts=("*",))
    assert (paths(world.at_home), paths(world.abroad)) == (["/start", "/1", "/2", "/3"], ["/4"])


def test_a_redirect_out_of_the_path_of_the_base_url_is_refused() -> None:
    for location in ("/admin", "../admin", "/api/../admin", "/api/%2e%2e/admin", "/apis", "/api/..;/admin"):
        world = World(to(location))
        with pytest.raises(ToolError, match="The path"):
            world.ask(path="/api/x", base_url="http://home.example/api")
        assert paths(world.at_home) == ["/api/x"]


def test_other_origins_get_no_credentials_no_cookies_and_no_headers_that_may_be_keys() -> None:
    headers = {
        "Cookie": "session=1",
        "X-Api-Key": "k",
        "X-Request-Id": "7",
        "Accept": "text/plain",
        "User-Agent": "u",
    }
    world = World(to("http://other.example/there"))
    assert world.ask(headers=headers).text == "other"
    (home,), (other,) = world.at_home, world.abroad
    assert home.target == "/start?token=k%26y"
    assert home.header("Authorization") == "Bearer key"
    assert home.header("Cookie") == "session=1"
    assert home.header("X-Api-Key") == "k"
    assert other.target == "/there"
    assert other.header("Host") == "other.example"
    assert {name.lower() for name, _ in other.headers} == {"host", "accept", "user-agent", "accept-encoding"}


def test_the_way_back_from_another_origin_brings_no_credentials_either() -> None:
    world = World(steps("http://other.example/there"), to("http://home.example/back"))
    assert world.ask(headers={"X-Api-Key": "k"}).text == "there"
    start, back = world.at_home
    assert start.header("Authorization")
    assert (back.target, back.header("Authorization"), back.header("X-Api-Key")) == ("/back", None, None)


def test_another_host_that_is_asked_at_once_gets_no_credentials() -> None:
    with recorded() as other:
        transport = GuardedTransport(
            base_url="http://home.example",
            allow_hosts=["other.example"],
            credentials=lambda: Credentials({"Authorization": "Bearer key"}, {"token": "k"}),
            resolver=Resolved([DNS]),
            network=Rerouted({OTHER: other.port}),
        )

        async def asked() -> None:
            async with httpx.AsyncClient(transport=transport, trust_env=False) as client:
                await client.get("http://other.example/x", headers={"X-Api-Key": "k"})

        run(asked)
    (seen,) = other.requests
    assert (seen.target, seen.header("Authorization"), seen.header("X-Api-Key")) == ("/x", None, None)


def test_a_cookie_is_not_kept() -> None:
    with recorded(lambda seen: answered(headers={"Set-Cookie": "session=1; Path=/"})) as server:

        async def asked() -> None:
            async with guarded_client(base_url=server.url) as client:
                await client.get("/a")
                await client.get("/b")

        run(asked)
    assert [seen.header("Cookie") for seen in server.requests] == [None, None]


@pytest.mark.parametrize(
    ("status", "method", "then"),
    [
        ("301 Moved Permanently", "POST", "GET"),
        ("302 Found", "POST", "GET"),
        ("303 See Other", "POST", "GET"),
        ("303 See Other", "PUT", "GET"),
        ("303 See Other", "HEAD", "HEAD"),
        ("302 Found", "PUT", "PUT"),
        ("307 Temporary Redirect", "POST", "POST"),
        ("308 Permanent Redirect", "DELETE", "DELETE"),
    ],
)
def test_a_redirect_keeps_the_body_where_its_status_says_so(status: str, method: str, then: str) -> None:
    coming = iter([redirected("/there", status), answered()])
    world = World(lambda seen: next(coming))
    world.ask(method, content=b"" if method in ("HEAD", "DELETE") else b"what")
    first, second = world.at_home
    assert (first.method, second.method) == (method, then)
    assert second.body == (first.body if then == method else b"")
    if then != method:
        assert second.header("Content-Length") is None


@pytest.mark.parametrize("status", ["307 Temporary Redirect", "308 Permanent Redirect"])
def test_what_is_sent_is_not_sent_on_to_another_origin(status: str) -> None:
    world = World(to("http://other.example/there", status))
    with pytest.raises(ToolError, match="would get what was meant for the first"):
        world.ask("POST", content=b"secret")
    assert world.abroad == []


def test_what_comes_in_pieces_is_not_sent_twice() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"a"

    world = World(to("/there", "307 Temporary Redirect"))
    with pytest.raises(ToolError, match="cannot be sent again"):
        world.ask("POST", content=pieces(), headers={"Content-Length": "1"})


def test_a_name_that_turns_private_is_refused_and_never_resolved_twice_for_one_connection() -> None:
    with recorded() as public, recorded() as here:
        names = Resolved([{"home.example": [PUBLIC]}, {"home.example": ["127.0.0.1"]}])
        network = Rerouted({PUBLIC: public.port})
        transport = GuardedTransport(allow_hosts=[f"home.example:{here.port}"], resolver=names, network=network)

        async def asked() -> None:
            url = f"http://home.example:{here.port}/"
            async with httpx.AsyncClient(transport=transport, trust_env=False) as client:
                # A POST is never sent on a connection that was kept.
                assert (await client.post(url)).status_code == 200
                assert (names.asked, network.asked) == (["home.example"], [PUBLIC])
                for _ in range(3):
                    with pytest.raises(ToolError, match="a loopback address"):
                        await client.post(url)
                assert network.asked == [PUBLIC]

        run(asked)
    assert (public.connections, here.connections) == (1, 0)


@pytest.mark.parametrize("addresses", [[PUBLIC, "127.0.0.1"], ["127.0.0.1", PUBLIC], [PUBLIC, "::ffff:7f00:1"]])
def test_a_name_with_one_private_address_among_public_ones_is_refused(addresses: list[str]) -> None:
    with recorded() as public, recorded() as here:
        transport = GuardedTransport(
            allow_hosts=[f"home.example:{here.port}"],
            resolver=Resolved([{"home.example": addresses}]),
            network=Rerouted({PUBLIC: public.port}),
        )

        async def asked() -> None:
            async with httpx.AsyncClient(transport=transport, trust_env=False) as client:
                with pytest.raises(ToolError, match="a loopback address"):
                    await client.get(f"http://home.example:{here.port}/")

        run(asked)
    assert (public.connections, here.connections) == (0, 0)


def test_a_connection_that_was_kept_is_to_the_address_that_was_checked() -> None:
    with recorded() as here:
        names = Resolved([{"home.example": ["127.0.0.1"]}, {"home.example": ["169.254.169.254"]}])

        async def asked() -> None:
            async with guarded_client(base_url=f"http://home.example:{here.port}", resolver=names) as client:
                for _ in range(3):
                    assert (await client.get("/")).status_code == 200

        run(asked)
    assert (here.connections, len(here.requests), names.asked) == (1, 3, ["home.example"])


def test_the_next_address_is_tried_if_one_does_not_answer() -> None:
    with recorded() as here:
        names = Resolved([{"home.example": ["127.0.0.77", "127.0.0.1"]}])

        async def asked() -> int:
            async with guarded_client(base_url=f"http://home.example:{here.port}", resolver=names) as client:
                return (await client.get("/")).status_code

        assert run(asked) == 200


def test_a_name_without_an_address_cannot_be_reached() -> None:
    async def asked() -> None:
        async with guarded_client(base_url="http://home.example", resolver=Resolved([{}])) as client:
            with pytest.raises(httpx.ConnectError, match="has no address"):
                await client.get("/")

    run(asked)


def test_only_the_header_of_the_host_that_is_asked_is_sent() -> None:
    with recorded() as here:

        async def asked() -> None:
            async with guarded_client(base_url=here.url, headers={"Host": "admin.internal"}) as client:
                await client.get("/", extensions={"sni_hostname": "x", "target": b"http://other/"})

        run(asked)
    (seen,) = here.requests
    assert (seen.target, seen.header("Host")) == ("/", f"127.0.0.1:{here.port}")


def test_proxies_of_the_environment_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with recorded() as proxy, recorded(lambda seen: answered(json.dumps("direct"))) as here:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)

        async def asked() -> str:
            async with guarded_client(base_url=here.url) as client:
                return str((await client.get("/")).json())

        assert run(asked) == "direct"
    assert (proxy.connections, here.connections) == (0, 1)


def test_an_answer_has_the_url_that_gave_it_and_the_others_in_its_history() -> None:
    steps = {
        "/a": lambda: redirected("/b?x=1", headers={"X-Step": "1"}),
        "/b?x=1": lambda: redirected("c", "307 Temporary Redirect"),
        "/c": lambda: answered("there"),
    }
    with recorded(lambda seen: steps[seen.target]()) as here:

        async def ask() -> tuple[httpx.Response, httpx.Response]:
            async with guarded_client(base_url=here.url, redirects=2) as client:
                async with client.stream("GET", "/a") as streamed:
                    await streamed.aread()
                return await client.get("/a"), streamed

        for answer in run(ask):
            assert (answer.text, str(answer.url), answer.request.url) == ("there", f"{here.url}/c", answer.url)
            found = [(each.status_code, str(each.url), each.headers["Location"]) for each in answer.history]
            assert found == [(302, f"{here.url}/a", "/b?x=1"), (307, f"{here.url}/b?x=1", "c")]
            assert answer.history[0].headers["X-Step"] == "1"
            assert answer.raise_for_status() is answer
