"""Tools from the document of a real service: each operation is called, and what it does there is seen."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from recorded import answered, recorded

from gemmagraph.prompts.errors import InvalidArguments
from gemmagraph.prompts.messages import JSON
from gemmagraph.tools.declared.loading import load_document
from gemmagraph.tools.declared.making import Maker
from gemmagraph.tools.errors import BodyError, ToolDefinitionError, ToolError
from gemmagraph.tools.imports.foreign import Surroundings
from gemmagraph.tools.imports.importing import imports_of
from gemmagraph.tools.imports.openapi import openapi_import, openapi_pin, openapi_tools
from gemmagraph.tools.secrets import Secret, Secrets
from gemmagraph.tools.tool import Tool

sys.path.append(str(Path(__file__).parent.parent))

from openapi_service import Service, service


@pytest.fixture(scope="module")
def running() -> Iterator[Service]:
    with service() as found:
        yield found


@pytest.fixture
def shop(running: Service) -> Service:
    running.items.clear()
    running.seen.clear()
    return running


def tools_of(shop: Service, *include: Mapping[str, str], **more: Any) -> dict[str, Tool]:
    found = openapi_tools(shop.document, include=include, base_url=shop.url, **more)
    return {tool.name: tool for tool in found}


def one(shop: Service, name: str, **more: Any) -> Tool:
    return tools_of(shop, {"operationId": name}, **more)[name]


def done(tool: Tool, /, **arguments: JSON) -> JSON:
    """What a checked call gives back."""

    async def call() -> JSON:
        assert tool.body is not None
        try:
            outcome = await asyncio.wait_for(tool.run(tool.check(arguments)), 20)
        finally:
            await tool.body.close()
        if outcome.error is not None:
            raise outcome.error
        return outcome.content

    return asyncio.run(call())


def test_a_tag_brings_its_operations_as_the_service_describes_them(shop: Service) -> None:
    tools = tools_of(shop, {"tag": "items"})
    assert list(tools) == [
        *("find_items", "add_item", "get_item", "has_item", "rename_item", "delete_item", "set_price"),
    ]
    find = tools["find_items"].spec
    assert find.description == "Find items.\nThose with all of the tags."
    properties = find.parameters["properties"]
    assert list(properties) == ["q", "tag", "color", "limit"]
    assert properties["q"]["description"] == "A part of the name."
    assert properties["limit"] == {"type": "integer", "maximum": 50, "minimum": 1, "default": 10}
    assert find.parameters["$defs"]["Color"] == {"type": "string", "enum": ["red", "green"]}


def test_every_operation_does_there_what_it_says(shop: Service) -> None:
    tools = tools_of(shop, {"tag": "items"})
    item = {
        "name": "Red bike",
        "color": "green",
        "size": {"width": 1.5},
        "tags": ["a", "b"],
        "parts": [{"name": "Bell", "parts": [{"name": "Screw"}]}],
    }
    assert done(tools["add_item"], **item) == {"id": 1}
    assert shop.items[1]["size"] == {"width": 1.5, "height": None}
    assert shop.items[1]["parts"][0]["parts"][0]["name"] == "Screw"
    found = done(tools["get_item"], item_id=1, x_trace_id="t 1", theme="dark; x", detailed=True)
    assert (found["trace"], found["detailed"], found["name"]) == ("t 1", True, "Red bike")
    assert found["theme"] == "dark%3B%20x"
    assert done(tools["find_items"], q="a&b=c", tag=["x y", "z,1"], color="red", limit="5") == {
        "q": "a&b=c",
        "tag": ["x y", "z,1"],
        "color": "red",
        "limit": 5,
        "count": 1,
    }
    assert done(tools["set_price"], item_id=1, amount=2.5) == {"amount": 2.5, "currency": "EUR"}
    assert done(tools["has_item"], item_id=1)["status"] == 200
    assert done(tools["rename_item"], path_item_id=1, body_item_id=77, name="Bike") == {"ok": True}
    assert shop.items[1] == {"name": "Bike", "old": 77}
    assert done(tools["delete_item"], item_id=1) == "Done: 204 No Content."
    assert shop.items == {}


def test_an_optional_body_is_sent_only_if_there_is_one(shop: Service) -> None:
    shop.items[1] = {}
    tool = one(shop, "set_price")
    assert done(tool, item_id=1) is None
    assert tool.spec.parameters["properties"]["currency"] == {"description": "(Default: EUR.)", "type": "string"}
    assert tool.render({"item_id": 1}).shown == f"PATCH {shop.url}/items/1/price"


def test_what_a_change_leaves_out_is_not_changed(shop: Service) -> None:
    facts = one(shop, "set_price").render({"item_id": 1, "amount": 2.5}).facts
    assert facts["json"] == {"amount": 2.5}


@pytest.mark.parametrize(
    ("name", "arguments", "result"),
    [
        ("login", {"name": "Ann Ü", "password": "a&b=c+d", "scopes": ["x", "y z"]}, None),
        ("write_note", {"body": "Hi\n“you”"}, "Hi\n“you”"),
        ("add_up", {"body": [1, 2, 3]}, 6),
        ("get_file", {"folder": "a b", "name": "ü?.txt"}, ["a b", "ü?.txt"]),
        ("report", {}, "a,b\n1,text/plain, */*;q=0.1"),
        ("old_way", {}, "old"),
    ],
)
def test_bodies_and_answers_of_other_kinds(
    shop: Service, name: str, arguments: dict[str, JSON], result: JSON
) -> None:
    assert done(one(shop, name), **arguments) == (arguments if result is None else result)


def test_what_is_deprecated_says_so(shop: Service) -> None:
    assert one(shop, "old_way").description == "(Deprecated.) Old Way.\nThe way it was done."


def test_what_sends_files_is_unavailable(shop: Service) -> None:
    tool = one(shop, "upload")
    assert tool.body is not None
    assert "multipart/form-data" in (tool.body.unavailable() or "")
    with pytest.raises(ToolError, match="multipart/form-data"):
        tool.render({})
    assert shop.seen == []


AUTHS: list[tuple[str, Any, JSON]] = [
    ("with_bearer", {"bearer": "{{ secrets.key }}"}, "[secret key]"),
    ("with_basic", {"basic": {"user": "ann", "password": "{{ secrets.key }}"}}, ["ann", "[secret key]"]),
    ("with_header", {"header": {"name": "X-Api-Key", "value": "{{ secrets.key }}"}}, ["[secret key]"] * 2),
    ("with_query", {"query": {"name": "api_key", "value": "{{ secrets.key }}"}}, ["[secret key]", 1]),
    ("with_cookie", {"header": {"name": "Cookie", "value": "sid={{ secrets.key }}"}}, "[secret key]"),
]


@pytest.mark.parametrize(("name", "auth", "result"), AUTHS, ids=[row[0] for row in AUTHS])
def test_credentials_are_sent_and_are_no_arguments(
    shop: Service, monkeypatch: pytest.MonkeyPatch, name: str, auth: Any, result: JSON
) -> None:
    secrets = Secrets({"key": Secret("key", env="KEY_OF_THIS_TEST")})
    tool = one(shop, name, auth=auth, secrets=secrets)
    assert tool.body is not None
    assert "KEY_OF_THIS_TEST" in (tool.body.unavailable() or "")
    monkeypatch.setenv("KEY_OF_THIS_TEST", "a-key-of-this-test")
    assert tool.body.unavailable() is None
    assert list(tool.spec.parameters["properties"]) == (["n"] if name == "with_query" else [])
    assert "a-key" not in tool.render({}).shown
    assert done(tool) == result


@pytest.mark.parametrize(("name", "auth", "result"), AUTHS, ids=[row[0] for row in AUTHS])
def test_without_credentials_the_reason_says_what_to_write(shop: Service, name: str, auth: Any, result: JSON) -> None:
    reason = one(shop, name).body.unavailable()  # type: ignore[union-attr]  # it is no function
    assert reason is not None
    assert "there is no `auth`; write auth: {" + next(iter(auth)) in reason


def test_credentials_in_a_cookie_leave_no_room_for_other_cookies(shop: Service) -> None:
    auth = {"header": {"name": "cookie", "value": "sid=1"}}
    reason = one(shop, "get_item", auth=auth).body.unavailable()  # type: ignore[union-attr]  # it is no function
    assert reason == "its cookies would take the place of the credentials"


def test_reading_methods_read_and_delete_is_marked(shop: Service) -> None:
    tools = tools_of(shop, {"tag": "items"})
    verdicts = {name: tool.own_ruling().verdict for name, tool in tools.items()}
    reading = ("find_items", "get_item", "has_item")
    assert verdicts == {name: "allow" if name in reading else "ask" for name in tools}
    assert [name for name, tool in tools.items() if tool.destructive] == ["delete_item"]
    assert all(tool.read_only is None and tool.idempotent is None for tool in tools.values())


def test_overrides_say_otherwise(shop: Service) -> None:
    overrides = {
        "add_item": {"name": "new_item", "description": "Puts something on sale.", "approval": "allow"},
        "delete_item": {"annotations": {"readOnlyHint": True}, "errors": {"404": "Gone."}, "timeout": "5s"},
    }
    tools = tools_of(shop, {"operationId": "add_item"}, {"method": "delete"}, overrides=overrides)
    assert list(tools) == ["new_item", "delete_item"]
    assert tools["new_item"].description == "Puts something on sale."
    assert tools["new_item"].own_ruling().verdict == "allow"
    assert (tools["delete_item"].read_only, tools["delete_item"].destructive) == (True, None)
    assert tools["delete_item"].timeout == 5.0


@pytest.mark.parametrize(
    ("include", "overrides", "said"),
    [
        ([{"operationId": "get_itm"}], {}, r"include\[0\]\.operationId: .*Did you mean 'get_item'\?"),
        ([{"tag": "item"}], {}, r"include\[0\]\.tag: .*Did you mean 'items'\?"),
        ([{"path": "/items/{id}"}], {}, r"include\[0\]\.path: .*'/items/\{item_id\}'"),
        ([{"method": "TRACE"}], {}, r"include\[0\]\.method"),
        ([{"tag": "files", "method": "POST"}], {}, r"include\[0\]: no operation has tag 'files', method 'POST' at"),
        ([{"operationID": "get_item"}], {}, r"include\[0\]\.operationID: .*did you mean 'operationId'"),
        ([{}], {}, r"include\[0\]"),
        ([], {}, "include: it chooses nothing"),
        ([{"operationId": "get_item"}], {"get_itm": {}}, r"overrides\.get_itm: .*did you mean 'get_item'"),
        ([{"operationId": "get_item"}], {"get_item": {"desciption": "x"}}, r"desciption: .*'description'"),
        ([{"operationId": "get_item"}], {"get_item": {"name": "a b"}}, r"overrides\.get_item: 'a b' is not"),
        ([{"operationId": "get_item"}], {"get_item": {"errors": {"404": "{{ x"}}}, r"get_item\.errors\.404"),
        ([{"tag": "items"}], {"get_item": {"name": "add_item"}}, "would both be 'add_item'"),
    ],
)
def test_what_chooses_nothing_or_says_nothing_is_a_fault(
    shop: Service, include: Any, overrides: Any, said: str
) -> None:
    with pytest.raises(ToolDefinitionError, match=said) as info:
        openapi_tools(shop.document, include=include, overrides=overrides, base_url=shop.url)
    assert info.value.faults


def test_wrong_arguments_never_leave(shop: Service) -> None:
    tools = tools_of(shop, {"tag": "items"}, {"tag": "files"})
    for name, arguments in (
        ("get_item", {}),
        ("get_item", {"item_id": 0}),
        ("find_items", {"limit": 99}),
        ("find_items", {"color": "blue"}),
        ("add_item", {"name": "1"}),
        ("add_item", {"name": "A", "size": {"width": 0}}),
        ("add_item", {"name": "A", "other": 1}),
    ):
        with pytest.raises(InvalidArguments):
            done(tools[name], **arguments)
    for value in ("..", "", "a/../b", "%2e%2e"):
        with pytest.raises(ToolError, match=r"name: .* cannot stand in a path"):
            done(tools["get_file"], folder="x", name=value)
    assert shop.seen == []


def test_what_the_service_refuses_is_told(shop: Service) -> None:
    with pytest.raises(BodyError, match="404 Not Found: There is no item 9") as info:
        done(one(shop, "get_item"), item_id=9)
    assert info.value.kinds == ("404", "4xx")


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_a_file_of_tools_imports_a_file_beside_it(
    shop: Service, tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import yaml

    write = json.dumps if form == "json" else yaml.safe_dump
    (tmp_path / f"shop.{form}").write_text(write(shop.document), "utf-8")
    said = {
        "openapi": f"./shop.{form}",
        "include": [{"operationId": "get_item"}],
        "overrides": {"get_item": {"name": "item"}},
        "base_url": shop.url,
        "pin": openapi_pin(tmp_path / f"shop.{form}"),
    }
    made = openapi_import(said, Surroundings(tmp_path, Secrets(), "tools.yaml:3"))
    assert (made.name, made.kind, made.place) == (f"./shop.{form}", "openapi", "tools.yaml:3")
    (tool,) = asyncio.run(made.open())
    assert (tool.name, tool.place) == ("item", "tools.yaml:3")
    shop.items[1] = {"name": "Bike"}
    assert done(tool, item_id=1)["name"] == "Bike"
    (tmp_path / f"shop.{form}").write_text(write({**shop.document, "info": {}}), "utf-8")
    with pytest.raises(ToolDefinitionError, match="not what was pinned"):
        asyncio.run(made.open())


STATUSPAGE = """
openapi: 3.0.3
info: {title: Status, version: "1"}
servers: [{url: /v1}]
security: [{key: []}]
paths:
  /incidents:
    get: {operationId: listIncidents, tags: [incidents], summary: All incidents, responses: {}}
    post: {operationId: openIncident, tags: [incidents], responses: {}}
  /incidents/{id}:
    parameters:
      - {name: id, in: path, required: true, schema: {type: string}}
      - {name: x-api-key, in: header, schema: {type: string}}
    get: {operationId: getIncident, responses: {}}
components:
  securitySchemes:
    key: {type: apiKey, in: header, name: X-Api-Key}
"""
TOOLS = """
secrets:
  status_key: {{env: STATUSPAGE_KEY_OF_THIS_TEST}}
imports:
  - openapi: ./specs/statuspage.yaml
    include: [{{operationId: getIncident}}, {{tag: incidents, method: GET}}]
    overrides:
      getIncident:
        name: status_incident
        description: Details of one incident.
        result: {{select: "incident.{{name: name, state: status}}"}}
    auth: {{header: {{name: X-Api-Key, value: "{{{{ secrets.status_key }}}}"}}}}
    base_url: {url}
"""


def test_the_import_of_the_format_is_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATUSPAGE_KEY_OF_THIS_TEST", "a-key-of-this-test")
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "statuspage.yaml").write_text(STATUSPAGE, "utf-8")
    incident = json.dumps({"incident": {"name": "Slow", "status": "open", "more": "…"}})
    told = {"Content-Type": "application/json"}
    with recorded(lambda seen: answered(incident, headers=told)) as server:
        (tmp_path / "tools.yaml").write_text(TOOLS.format(url=server.url), "utf-8")
        maker = Maker(load_document(tmp_path / "tools.yaml"))
        (made,) = imports_of(maker)
        maker.finish()
        tools = asyncio.run(made.open())
        assert [tool.name for tool in tools] == ["status_incident", "listIncidents"]
        assert list(tools[0].spec.parameters["properties"]) == ["id"]
        assert tools[0].place == f"{tmp_path / 'tools.yaml'}:5"
        assert done(tools[0], id="a/7") == {"name": "Slow", "state": "open"}
    (seen,) = server.requests
    assert (seen.method, seen.target) == ("GET", "/incidents/a%2F7")
    assert seen.header("X-Api-Key") == "a-key-of-this-test"


@pytest.mark.parametrize(
    ("more", "key"),
    [
        ({"openapi": "https://api.example.com/openapi.json"}, ("openapi",)),
        ({"auth": {"bearer": "{{ secrets.none }}"}}, ("auth", "bearer")),
        ({"auth": {"header": {"name": "Host", "value": "x"}}}, ("auth", "header", "name")),
        ({"base_url": "ftp://x"}, ("base_url",)),
        ({"base_url": "http://169.254.169.254"}, ("base_url",)),
    ],
)
def test_faults_of_an_import_are_found_before_it_is_opened(
    tmp_path: Path, more: dict[str, Any], key: tuple[str, ...]
) -> None:
    said = {"openapi": "none.yaml", "include": [{"tag": "x"}], **more}
    with pytest.raises(ToolDefinitionError) as info:
        openapi_import(said, Surroundings(tmp_path, Secrets(), "tools.yaml:3"))
    assert [fault.key for fault in info.value.faults] == [key]


def test_a_document_comes_from_a_url_if_it_is_pinned(shop: Service) -> None:
    text = json.dumps({**shop.document, "servers": [{"url": "/api"}]})
    with recorded(lambda seen: answered(text if seen.target == "/openapi.json" else "[]")) as server:
        url = f"{server.url}/openapi.json"
        with pytest.raises(ToolDefinitionError, match="not pinned"):
            openapi_tools(url, include=[{"operationId": "get_item"}])
        pin = openapi_pin(url)
        with pytest.raises(ToolDefinitionError, match="not what was pinned"):
            openapi_tools(url, include=[{"operationId": "get_item"}], pin="sha256:" + "0" * 64)
        (tool,) = openapi_tools(url, include=[{"operationId": "get_item"}], pin=pin, base_url=f"{server.url}/v2")
        done(tool, item_id=3)
    assert server.targets == ["/openapi.json"] * 3 + ["/v2/items/3?detailed=false"]


ODD = """
openapi: 3.1.0
info: {title: Odd, version: "1"}
servers: [{url: "https://odd.example"}]
paths:
  /fine:
    get: {operationId: fine, tags: [t], responses: {}}
    post:
      operationId: hosted
      tags: [t]
      parameters: [{name: Host, in: header, schema: {type: string}}]
      responses: {}
    put:
      operationId: outside
      tags: [t]
      parameters: [{$ref: "https://elsewhere.example/p.yaml"}]
      responses: {}
    delete:
      operationId: circle
      tags: [t]
      parameters: [{$ref: "#/components/parameters/p"}]
      responses: {}
  /a path:
    get: {operationId: spaced, tags: [t], responses: {}}
  /nowhere:
    $ref: "#/components/pathItems/none"
components:
  parameters:
    p: {$ref: "#/components/parameters/p"}
"""


def test_odd_operations_are_left_out_of_those_that_a_tag_chooses(tmp_path: Path) -> None:
    (tmp_path / "odd.yaml").write_text(ODD, "utf-8")
    made = openapi_import(
        {"openapi": "odd.yaml", "include": [{"tag": "t"}]}, Surroundings(tmp_path, Secrets(), "a:1")
    )
    assert [tool.name for tool in asyncio.run(made.open())] == ["fine"]
    assert [(name, why.split(".")[0]) for name, why in made.left_out.items()] == [
        ("/nowhere", "The reference '#/components/pathItems/none' leads nowhere"),
        ("hosted", "Host is set by the connection itself"),
        ("outside", "The reference 'https://elsewhere"),
        ("circle", "The reference '#/components/parameters/p' leads in a circle"),
        ("spaced", "'/a path' cannot stand in an URL"),
    ]


@pytest.mark.parametrize("entry", [{"operationId": "hosted"}, {"method": "POST", "path": "/fine"}])
def test_an_odd_operation_that_is_named_is_an_error_with_its_place(tmp_path: Path, entry: Any) -> None:
    (tmp_path / "odd.yaml").write_text(ODD, "utf-8")
    said = {"openapi": "odd.yaml", "include": [{"tag": "t"}, entry]}
    made = openapi_import(said, Surroundings(tmp_path, Secrets(), "a:1"))
    with pytest.raises(ToolDefinitionError) as refused:
        asyncio.run(made.open())
    assert [(fault.key, "Host" in fault.message) for fault in refused.value.faults] == [(("include", 0), True)]


def test_from_python_odd_operations_are_an_error_unless_they_are_taken(tmp_path: Path) -> None:
    (tmp_path / "odd.yaml").write_text(ODD, "utf-8")
    with pytest.raises(ToolDefinitionError, match="hosted"):
        openapi_tools(tmp_path / "odd.yaml", include=[{"tag": "t"}])
    left_out: dict[str, str] = {}
    tools = openapi_tools(tmp_path / "odd.yaml", include=[{"tag": "t"}], left_out=left_out)
    assert ([tool.name for tool in tools], len(left_out)) == (["fine"], 5)
