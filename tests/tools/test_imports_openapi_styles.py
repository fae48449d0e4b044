"""Parameters as OpenAPI says that they are written: one table of styles, then what is sent on the wire."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemmagraph.prompts.messages import JSON
from gemmagraph.tools.errors import ToolError
from gemmagraph.tools.imports.openapi import openapi_tools
from gemmagraph.tools.imports.openapi_styles import Argument, query_pairs
from gemmagraph.tools.tool import Tool

LIST: JSON = ["blue", "a,b", 3, None]
DICT: JSON = {"R": 100, "G": "a,b", "on": True, "off": None}


def tool_with(parameter: dict[str, Any], path: str = "/x") -> Tool:
    (found,) = openapi_tools(
        {
            "openapi": "3.1.0",
            "servers": [{"url": "https://api.example.com"}],
            "paths": {path: {"get": {"operationId": "ask", "parameters": [{"name": "c", **parameter}]}}},
        },
        include=[{"operationId": "ask"}],
    )
    return found


def asked(parameter: dict[str, Any], value: JSON, path: str = "/x") -> Any:
    """What is sent with one value."""
    return tool_with(parameter, path).render({"c": value}).live


@pytest.mark.parametrize(
    ("style", "explode", "value", "query"),
    [
        (None, None, "a b&c", "c=a%20b%26c"),
        (None, None, "", "c="),
        (None, None, True, "c=true"),
        (None, None, 1.5, "c=1.5"),
        (None, None, [], ""),
        (None, None, None, ""),
        (None, None, LIST, "c=blue&c=a%2Cb&c=3"),
        (None, None, DICT, "R=100&G=a%2Cb&on=true"),
        ("form", True, LIST, "c=blue&c=a%2Cb&c=3"),
        ("form", False, LIST, "c=blue,a%2Cb,3"),
        ("form", False, DICT, "c=R,100,G,a%2Cb,on,true"),
        ("form", False, [], ""),
        ("form", False, [[1, 2], {"a": 1}], "c=%5B1%2C2%5D,%7B%22a%22%3A1%7D"),
        ("spaceDelimited", None, LIST, "c=blue%20a%2Cb%203"),
        ("spaceDelimited", False, DICT, "c=R%20100%20G%20a%2Cb%20on%20true"),
        ("spaceDelimited", True, LIST, "c=blue&c=a%2Cb&c=3"),
        ("pipeDelimited", None, LIST, "c=blue%7Ca%2Cb%7C3"),
        ("pipeDelimited", False, DICT, "c=R%7C100%7CG%7Ca%2Cb%7Con%7Ctrue"),
        ("deepObject", None, DICT, "c%5BR%5D=100&c%5BG%5D=a%2Cb&c%5Bon%5D=true"),
        (
            "deepObject",
            True,
            {"a": {"b": [1, {"x]&": 2}]}},
            "c%5Ba%5D%5Bb%5D%5B0%5D=1&c%5Ba%5D%5Bb%5D%5B1%5D%5Bx%5D%26%5D=2",
        ),
        ("deepObject", True, ["x", "y"], "c%5B0%5D=x&c%5B1%5D=y"),
        ("deepObject", True, "x", "c=x"),
    ],
)
def test_queries(style: str | None, explode: bool | None, value: JSON, query: str) -> None:
    said = {key: each for key, each in (("style", style), ("explode", explode)) if each is not None}
    assert asked({"in": "query", **said}, value).target == "/x" + ("?" + query if query else "")


@pytest.mark.parametrize(
    ("explode", "value", "path"),
    [
        (None, 5, "/x/5.json"),
        (None, "ü/&", "/x/%C3%BC%2F%26.json"),
        (None, LIST, "/x/blue,a%2Cb,3.json"),
        (True, LIST, "/x/blue,a%2Cb,3.json"),
        (False, DICT, "/x/R,100,G,a%2Cb,on,true.json"),
        (True, DICT, "/x/R=100,G=a%2Cb,on=true.json"),
    ],
)
def test_paths(explode: bool | None, value: JSON, path: str) -> None:
    said = {} if explode is None else {"explode": explode}
    assert asked({"in": "path", "required": True, **said}, value, "/x/{c}.json").target == path


@pytest.mark.parametrize(
    ("explode", "value", "header"),
    [
        (None, "a b", "a b"),
        (None, LIST, "blue,a,b,3"),
        (False, DICT, "R,100,G,a,b,on,true"),
        (True, DICT, "R=100,G=a,b,on=true"),
    ],
)
def test_headers(explode: bool | None, value: JSON, header: str) -> None:
    said = {} if explode is None else {"explode": explode}
    assert asked({"in": "header", **said}, value).headers == (("c", header),)


@pytest.mark.parametrize(
    ("value", "cookie"),
    [("dark", "c=dark"), ("a; b=1", "c=a%3B%20b=1"), (["x", "y,z"], "c=x%2Cy%2Cz"), (5, "c=5"), ('"%', "c=%22%25")],
)
def test_cookies(value: JSON, cookie: str) -> None:
    assert asked({"in": "cookie"}, value).headers == (("Cookie", cookie),)


def test_a_parameter_with_a_content_is_json() -> None:
    content = {"application/json": {"schema": {"type": "object"}}}
    assert asked({"in": "query", "content": content}, {"a": [1, "é"]}).target == "/x?c=" + (
        "%7B%22a%22%3A%5B1%2C%22%C3%A9%22%5D%7D"
    )
    assert asked({"in": "query", "content": content}, "a").target == "/x?c=%22a%22"


def test_reserved_characters_stay_where_they_end_nothing() -> None:
    said = {"in": "query", "allowReserved": True}
    assert asked(said, "https://x/?a=1&b#c+d [e]").target == "/x?c=https://x/?a%3D1%26b%23c%2Bd%20%5Be%5D"


@pytest.mark.parametrize(("where", "style"), [("path", "label"), ("path", "matrix"), ("query", "pipes")])
def test_other_styles_are_unavailable(where: str, style: str) -> None:
    tool = tool_with({"in": where, "style": style}, "/x/{c}" if where == "path" else "/x")
    assert tool.body is not None
    assert tool.body.unavailable() == f"the {where} parameter c has the style {style!r}, which is not written here"


@pytest.mark.parametrize("value", ["a\r\nX: 1", "a\nb", "\0", "\x7f"])
def test_a_header_that_would_end_is_refused(value: str) -> None:
    with pytest.raises(ToolError, match="line break"):
        asked({"in": "header"}, value)


@pytest.mark.parametrize("where", ["query", "path", "cookie"])
def test_half_a_character_is_refused(where: str) -> None:
    with pytest.raises(ToolError, match=r"half a character|control character"):
        asked({"in": where}, "\ud800", "/x/{c}" if where == "path" else "/x")


@pytest.mark.parametrize("value", ["", ".", "..", "../x", "a/../b", "%2e%2e", "x\0", ["a", ".."], {"..": "x"}])
def test_no_value_leaves_its_segment(value: JSON) -> None:
    with pytest.raises(ToolError, match="cannot stand in a path"):
        asked({"in": "path"}, value, "/x/{c}")


ENCODING = {
    "list": {"style": "form", "explode": False},
    "deep": {"style": "deepObject", "explode": True},
    "json": {"contentType": "application/json"},
    "wild": {"style": "unheard of"},
}


@pytest.mark.parametrize(
    ("name", "value", "content"),
    [
        ("text", "a b&c=d+é", "text=a%20b%26c%3Dd%2B%C3%A9"),
        ("text", ["x", "y z"], "text=x&text=y%20z"),
        ("text", {"a": [1]}, "text=%7B%22a%22%3A%5B1%5D%7D"),
        ("list", ["x", "y,z"], "list=x,y%2Cz"),
        ("deep", {"a": {"b": 1}}, "deep%5Ba%5D%5Bb%5D=1"),
        ("json", ["x"], "json=%5B%22x%22%5D"),
        ("wild", ["x", "y"], "wild=x&wild=y"),
    ],
)
def test_forms(name: str, value: JSON, content: str) -> None:
    media = {"schema": {"type": "object", "properties": {name: {}}}, "encoding": ENCODING}
    body = {"required": True, "content": {"application/x-www-form-urlencoded": media}}
    (tool,) = openapi_tools(
        {
            "openapi": "3.0.0",
            "servers": [{"url": "https://api.example.com"}],
            "paths": {"/x": {"post": {"operationId": "send", "requestBody": body}}},
        },
        include=[{"operationId": "send"}],
    )
    rendered = tool.render({name: value})
    assert rendered.live.content == content.encode()  # type: ignore[attr-defined]
    assert rendered.facts["form"] == [[unquote(part) for part in pair.split("=")] for pair in content.split("&")]
    json.dumps(rendered.facts)


@given(st.text(st.characters(exclude_categories=["Cs"])), st.sampled_from(["form", "deepObject", "pipeDelimited"]))
def test_a_text_arrives_as_it_is(text: str, style: str) -> None:
    ((name, sent),) = query_pairs(Argument("c", "query", "c", style), text)
    assert parse_qsl(f"{name}={sent}", keep_blank_values=True) == [("c", text)]
