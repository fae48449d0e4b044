"""HTTP tools: what goes out, byte for byte, and what comes back."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded import LONG, Answers, Recorded, Resolved, Seen, answered, recorded, redirected

from gemmagraph.prompts.messages import JSON
from gemmagraph.tools.bodies.http import HttpBody
from gemmagraph.tools.bodies.http_connection import HttpConnection
from gemmagraph.tools.context import ToolContext
from gemmagraph.tools.errors import BodyError, ToolDefinitionError, ToolError
from gemmagraph.tools.runtime import run_sync
from gemmagraph.tools.secrets import Secret, Secrets


def done(body: HttpBody, /, **args: JSON) -> Any:
    """What a call gives back."""

    async def call() -> object:
        try:
            rendered = body.render({"args": args, "bind": {"requester": "ann"}, "context": {"user": "local:ann"}})
            return await asyncio.wait_for(body.perform(rendered, ToolContext()), 20)
        finally:
            await body.close()
            await body.connection.close()

    return asyncio.run(call())


def sent(*, base: str = "", args: Mapping[str, JSON] | None = None, **keys: Any) -> Seen:
    """The one request that a call makes."""
    with recorded() as server:
        done(HttpBody(base_url=server.url + base, **keys), **(args or {}))
    (seen,) = server.requests
    return seen


def got(answer: Answers, **keys: Any) -> Any:
    with recorded(answer) as server:
        return done(HttpBody(base_url=server.url, **keys))


def refused(answer: Answers, **keys: Any) -> BodyError:
    with recorded(answer) as server, pytest.raises(BodyError) as info:
        done(HttpBody(base_url=server.url, **keys))
    return info.value


def test_the_create_issue_tool_of_the_format_sends_what_it_says() -> None:
    secrets = Secrets({"github_token": Secret("github_token", env="GITHUB_TOKEN_OF_THIS_TEST")})
    issue = json.dumps({"number": 7, "html_url": "https://github.example/7", "title": "Slow"})
    with recorded(lambda seen: answered(issue, "201 Created", {"Content-Type": "application/json"})) as server:
        github = HttpConnection(
            server.url,
            auth={"bearer": "{{ secrets.github_token }}"},
            headers={"Accept": "application/vnd.github+json"},
            allow_hosts=["uploads.github.com"],
            secrets=secrets,
        )
        body = HttpBody(
            github,
            method="POST",
            path="/repos/acme/{{ args.repo }}/issues",
            query={},
            json={
                "title": "{{ args.title }}",
                "body": "{{ args.body }}\n\n_Requested by {{ bind.requester }}_",
                "labels": "{{ args.labels }}",
            },
            expect=[201],
        )
        assert "GITHUB_TOKEN_OF_THIS_TEST" in str(body.unavailable())
        assert body.render({"args": {"repo": "web"}}).shown.startswith(f"POST {server.url}/repos/acme/web/issues\n")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("GITHUB_TOKEN_OF_THIS_TEST", "a-token-of-this-test")
            assert body.unavailable() is None
            result = done(body, repo="web", title="Slow “page”", body="It is.", labels=["bug", "p1"])
    (seen,) = server.requests
    assert result["number"] == 7
    assert (seen.method, seen.target) == ("POST", "/repos/acme/web/issues")
    assert seen.header("Authorization") == "Bearer a-token-of-this-test"
    assert seen.header("Accept") == "application/vnd.github+json"
    assert seen.header("Content-Type") == "application/json"
    assert seen.body == (
        '{"title":"Slow “page”","body":"It is.\\n\\n_Requested by ann_","labels":["bug","p1"]}'.encode()
    )


@pytest.mark.parametrize(
    ("keys", "args", "method", "target", "media", "content"),
    [
        ({}, {}, "GET", "/", None, b""),
        ({"path": "/a"}, {}, "GET", "/a", None, b""),
        ({"base": "/api"}, {}, "GET", "/api", None, b""),
        ({"base": "/api/"}, {}, "GET", "/api/", None, b""),
        ({"base": "/api/", "path": "/x"}, {}, "GET", "/api/x", None, b""),
        ({"base": "/api", "query": {"a": 1}}, {}, "GET", "/api?a=1", None, b""),
        ({"method": "delete", "path": "/a/{{ args.x }}"}, {"x": 5}, "DELETE", "/a/5", None, b""),
        ({"path": "/a/{{ args.x }}.json"}, {"x": "ü/&"}, "GET", "/a/%C3%BC%2F%26.json", None, b""),
        ({"path": "/a%20b/it's:(x)|%7C".replace("|", "")}, {}, "GET", "/a%20b/it's:(x)%7C", None, b""),
        (
            {"query": {"q": "{{ args.q }}", "n": "{{ args.n }}", "on": True, "none": None, "all": "{{ args.all }}"}},
            {"q": "a b&c=d+é", "all": ["x", 1, None]},
            "GET",
            "/?q=a%20b%26c%3Dd%2B%C3%A9&on=true&all=x&all=1",
            None,
            b"",
        ),
        (
            {"query": {"q": "is:{{ args.q }}", "o": "{{ args.o }}", "l": ["{{ args.q }}", "{{ args.n }}"]}},
            {"q": "open", "o": {"a": [1]}},
            "GET",
            "/?q=is%3Aopen&o=%7B%22a%22%3A%5B1%5D%7D&l=open",
            None,
            b"",
        ),
        (
            {"json": {"a": "{{ args.a }}", "b": ["{{ args.b }}", "x{{ args.a }}"], "c": "{{ args.c }}"}},
            {"a": 1, "b": None},
            "POST",
            "/",
            "application/json",
            b'{"a":1,"b":[null,"x1"]}',
        ),
        ({"json": "{{ args.a }}"}, {"a": [True]}, "POST", "/", "application/json", b"[true]"),
        ({"json": [], "method": "PUT"}, {}, "PUT", "/", "application/json", b"[]"),
        (
            {"form": {"a b": "{{ args.a }}", "c": "{{ args.c }}", "d": ["x", "y"]}},
            {"a": "1 & 2=é"},
            "POST",
            "/",
            "application/x-www-form-urlencoded",
            b"a+b=1+%26+2%3D%C3%A9&d=x&d=y",
        ),
        ({"body": "Hi {{ args.a }}"}, {"a": "é\n"}, "POST", "/", "text/plain; charset=utf-8", "Hi é\n".encode()),
        (
            {"body": "<a>{{ args.a }}</a>", "headers": {"content-type": "text/xml"}},
            {"a": 1},
            "POST",
            "/",
            "text/xml",
            b"<a>1</a>",
        ),
    ],
)
def test_a_request_goes_out_as_it_was_rendered(
    keys: Mapping[str, Any],
    args: Mapping[str, JSON],
    method: str,
    target: str,
    media: str | None,
    content: bytes,
) -> None:
    seen = sent(args=args, **keys)
    assert (seen.method, seen.target, seen.header("Content-Type"), seen.body) == (method, target, media, content)
    length = seen.header("Content-Length")
    assert length == (str(len(content)) if content else None) or (not content and length == "0")


def test_headers_hold_values_and_lose_absent_ones() -> None:
    seen = sent(
        headers={"X-User": "{{ context.user }}", "X-Name": "{{ args.name }}", "X-None": "{{ args.none }}", "X-N": 3},
        args={"name": "  Jörg\t1 "},
    )
    assert seen.header("X-User") == "local:ann"
    assert seen.header("X-Name") == "Jörg\t1".encode().decode("latin-1")
    assert seen.header("X-None") is None
    assert seen.header("X-N") == "3"


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\rb", "a\0b", "a\x0bb", "a\x7f", "\ud800"])
def test_a_header_value_that_would_end_the_header_is_refused(value: str) -> None:
    body = HttpBody(base_url="http://home.example", headers={"X-Name": "{{ args.name }}"})
    with pytest.raises(ToolError, match="X-Name has a line break or another control character"):
        body.render({"args": {"name": value}})


KEY = "{{ secrets.key }}"
QUERY = "/x?a=1&api_key=k%26y%2Fof%2Bthis%3Dtest"


@pytest.mark.parametrize(
    ("auth", "header", "target"),
    [
        ({"bearer": KEY}, ("Authorization", "Bearer k&y/of+this=test"), "/x?a=1"),
        (
            {"basic": {"user": "ann", "password": KEY}},
            ("Authorization", "Basic YW5uOmsmeS9vZit0aGlzPXRlc3Q="),
            "/x?a=1",
        ),
        ({"header": {"name": "X-Api-Key", "value": KEY}}, ("X-Api-Key", "k&y/of+this=test"), "/x?a=1"),
        ({"query": {"name": "api_key", "value": KEY}}, ("Authorization", None), QUERY),
    ],
    ids=["bearer", "basic", "header", "query"],
)
def test_credentials_are_sent_and_never_shown(
    auth: Mapping[str, Any],
    header: tuple[str, str | None],
    target: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("KEY_OF_THIS_TEST", "k&y/of+this=test")
    caplog.set_level(1)
    secrets = Secrets({"key": Secret("key", env="KEY_OF_THIS_TEST")})
    with recorded() as server:
        body = HttpBody(
            base_url=server.url,
            auth=auth,
            path="/x",
            query={"a": 1},
            headers={"X-Also": "{{ secrets.key }}"},
            secrets=secrets,
        )
        rendered = body.render({"args": {}})
        done(body)
    (seen,) = server.requests
    assert seen.target == target
    assert seen.header(header[0]) == header[1]
    assert seen.header("X-Also") == "k&y/of+this=test"
    shown = "".join((rendered.shown, json.dumps(rendered.facts), repr(rendered), caplog.text))
    for form in ("k&y/of", "k%26y", "YW5uOmsm"):
        assert form not in shown
    assert "X-Also: [secret key]" in rendered.shown


@pytest.mark.filterwarnings("ignore::gemmagraph.tools.secrets.ShortSecret")
def test_what_is_shown_and_digested_is_the_request_with_secrets_as_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY_OF_THIS_TEST", "short")
    monkeypatch.setenv("BASE_OF_THIS_TEST", "http://home.example/hooks/abc")
    secrets = Secrets({"key": Secret("key", env="KEY_OF_THIS_TEST"), "base": Secret("base", env="BASE_OF_THIS_TEST")})
    body = HttpBody(
        url="{{ secrets.base }}",
        query={"k": "{{ secrets.key }}", "q": "{{ args.q }}"},
        json={"text": "{{ args.text }}", "key": "{{ secrets.key }}"},
        secrets=secrets,
    )
    rendered = body.render({"args": {"text": "Größe", "q": "a b"}})
    assert rendered.facts == {
        "method": "POST",
        "url": "[secret base]?k=[secret key]&q=a%20b",
        "json": {"text": "Größe", "key": "[secret key]"},
    }
    assert rendered.shown == (
        'POST [secret base]?k=[secret key]&q=a%20b\n\n{\n  "text": "Größe",\n  "key": "[secret key]"\n}'
    )
    json.dumps(rendered.facts)


def test_no_value_of_a_form_can_pass_for_another_field_where_people_read_it() -> None:
    body = HttpBody(base_url="http://home.example", form={"note": "{{ args.note }}"})
    assert body.render({"args": {"note": "x\nadmin=true"}}).shown.endswith('\n\nnote="x\\nadmin=true"')


def test_a_base_url_may_be_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = Secrets({"hook": Secret("hook", env="HOOK_OF_THIS_TEST")})
    with recorded() as server:
        monkeypatch.setenv("HOOK_OF_THIS_TEST", f"{server.url}/services/T0/B0/x")
        done(HttpBody(url="{{ secrets.hook }}", json={"text": "{{ args.text }}"}, secrets=secrets), text="Hi")
    assert (server.targets, server.requests[0].body) == (["/services/T0/B0/x"], b'{"text":"Hi"}')


def test_an_url_may_hold_placeholders_behind_its_host() -> None:
    with recorded() as server:
        done(HttpBody(url=server.url + "/wiki/{{ args.page }}"), page="a/b c")
    assert server.targets == ["/wiki/a%2Fb%20c"]


def test_another_host_of_the_connection_gets_no_credentials() -> None:
    home = HttpConnection("http://home.example", auth={"bearer": "key"}, allow_hosts=["up.example"])
    body = HttpBody(home, url="https://up.example/x/{{ args.a }}")
    assert body.render({"args": {"a": 1}}).shown == "GET https://up.example/x/1"
    with pytest.raises(ToolDefinitionError, match="not one of the hosts"):
        HttpBody(home, url="https://other.example/x")


ESCAPES = [
    *("", ".", "..", "../x", "..\\x", "a/../../x", "%2e%2e", "%2E.", "%252e%252e%252fx", "..;/x", "/x", "x/", "a//b"),
    *("．．", "…", "․․/x", "x\0", "x\n", "x\r\nHost: evil", " ", ". .", "...", "%00", "..%00", "%2f..%2f"),
]


@pytest.fixture(scope="module")
def shop() -> Any:
    with recorded() as server:
        yield server


@pytest.mark.parametrize("value", ESCAPES)
@pytest.mark.parametrize("path", ["/{{ args.a }}", "/{{ args.a }}/items", "/items/{{ args.a }}"])
def test_no_value_leaves_its_segment(shop: Recorded, path: str, value: str) -> None:
    before = shop.connections
    with pytest.raises(ToolError, match=r"args\.a: .* cannot stand in a path"):
        done(HttpBody(base_url=shop.url + "/api", path=path), a=value)
    assert shop.connections == before


@pytest.mark.parametrize(
    ("path", "args"),
    [
        ("/{{ args.a }}{{ args.b }}", {"a": ".", "b": "."}),
        ("/.{{ args.a }}", {"a": "."}),
        ("/%2{{ args.a }}", {"a": "e%2e"}),
        ("/{{ args.a }}/{{ args.b }}", {"a": "x", "b": ".."}),
        ("/{{ args.a }}", {}),
        ("/{{ args.a }}", {"a": None}),
        ("/{{ args.a }}", {"a": ["x"]}),
        ("/{{ args.a }}", {"a": {"x": 1}}),
    ],
)
def test_values_that_make_a_step_together_or_are_none_are_refused(path: str, args: Mapping[str, JSON]) -> None:
    try:
        body = HttpBody(base_url="http://home.example/api", path=path)
    except ToolDefinitionError:
        assert path.startswith("/%2{")
        return
    with pytest.raises(ToolError):
        body.render({"args": args})


@settings(max_examples=150, deadline=None)
@given(st.lists(st.text(max_size=8) | st.text(alphabet="./\\%25eE; ", max_size=8), min_size=1, max_size=2))
def test_what_reaches_the_server_is_below_the_path_and_decodes_to_the_values(
    shop: Recorded, values: Sequence[str]
) -> None:
    path = "".join(f"/{{{{ args.a{index} }}}}" for index in range(len(values)))
    body = HttpBody(base_url=shop.url + "/api/v1", path=path, query={"q": "{{ args.a0 }}"})
    args = {f"a{index}": value for index, value in enumerate(values)}
    before = len(shop.requests)
    try:
        done(body, **args)
    except ToolError:
        assert len(shop.requests) == before
        return
    target, _, query = shop.requests[-1].target.partition("?")
    assert [unquote(part) for part in target.split("/")] == ["", "api", "v1", *values]
    assert unquote(query) == f"q={values[0]}"


@pytest.mark.parametrize("place", ["query", "form", "json", "body"])
def test_half_a_character_is_refused_wherever_it_stands(place: str) -> None:
    value: Any = "{{ args.a }}" if place in ("json", "body") else {"x": "{{ args.a }}"}
    body = HttpBody(base_url="http://home.example", **{place: value})
    with pytest.raises(ToolError, match="half a character"):
        body.render({"args": {"a": "\ud800"}})


def test_an_absent_body_is_named() -> None:
    with pytest.raises(ToolError, match=r"args\.a is needed for the json"):
        HttpBody(base_url="http://home.example", json="{{ args.a }}").render({"args": {}})


def test_a_redirect_is_followed_if_the_connection_says_so() -> None:
    coming = iter([redirected("/there"), answered("there")])
    assert got(lambda seen: next(coming), redirects=1) == "there"
    error = refused(lambda seen: redirected("/there"))
    assert error.kinds == ("302", "3xx")


def test_one_connection_serves_several_event_loops_and_can_be_closed_twice() -> None:
    with recorded() as server:
        connection = HttpConnection(server.url)
        for _ in range(2):
            assert done(HttpBody(connection)) == "ok"
        assert server.connections == 2


def test_a_name_that_leads_nowhere_allowed_is_told_to_the_model() -> None:
    body = HttpBody(base_url="http://home.example", resolver=Resolved([{"*": ["169.254.169.254"]}]))
    with pytest.raises(BodyError, match="the metadata service of a cloud") as info:
        done(body)
    assert (info.value.kinds, info.value.unknown, info.value.transient) == ((), False, False)


def test_a_connection_that_nobody_holds_is_closed() -> None:
    with recorded() as server:
        body = HttpBody(base_url=server.url, path="/x", auth={"bearer": "of-this-test"})
        assert run_sync(body.perform(body.render({}), ToolContext())) == "ok"
        assert not server.gone.is_set()
        body.itself = body  # type: ignore[attr-defined]  # a circle, as tools and policies make them
        del body
        gc.collect()  # a socket that is still open then would warn, which fails the test
        assert server.gone.wait(LONG)


def test_a_connection_is_closed_at_the_end_of_its_event_loop_and_opens_in_the_next() -> None:
    with recorded() as server:
        body = HttpBody(base_url=server.url, path="/x")
        for _ in range(2):
            asyncio.run(body.perform(body.render({}), ToolContext()))  # type: ignore[arg-type]  # a coroutine it is
            assert server.gone.wait(LONG)
            server.gone.clear()
        assert server.connections == 2
