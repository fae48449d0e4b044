"""OpenAPI documents of hundreds of operations, and those that somebody wrote to do harm."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from recorded import Resolved, answered, recorded

from gemmagraph.prompts.errors import InvalidArguments
from gemmagraph.prompts.messages import JSON
from gemmagraph.tools.errors import ToolDefinitionError, ToolError
from gemmagraph.tools.imports.openapi import openapi_pin, openapi_tools
from gemmagraph.tools.results import Outcome
from gemmagraph.tools.tool import Tool

OPERATIONS = 320


def large(version: str, seed: int) -> dict[str, Any]:
    """A document as tools write them: each operation with parameters and a body, schemas that refer in circles."""
    chance = random.Random(seed)
    count = OPERATIONS * 2
    schemas: dict[str, Any] = {}
    for number in range(count):
        near = [f"#/components/schemas/Model{chance.randrange(count)}" for _ in range(2)]
        optional: dict[str, Any] = {"type": "string", "nullable": True}
        properties = {
            **{f"field_{each}": {"type": "string", "description": "What it is, and why. " * 5} for each in range(8)},
            "id": {"type": "integer", "format": "int64", "readOnly": True},
            "kind": {"type": "string", "enum": ["one", "two", "three"]},
            "code": {"type": "string", "pattern": "^[A-Z]{2}-[0-9]{1,9}$"},
            "note": optional if version.startswith("3.0") else {"type": ["string", "null"]},
        }
        if number % 4:  # a quarter refers to nothing, else each would bring along all of them
            properties["parent"] = {"$ref": f"#/components/schemas/Model{number}"}
        if number % 16 == 1:
            properties |= {"one": {"$ref": near[0]}, "many": {"type": "array", "items": {"$ref": near[1]}}}
        schemas[f"Model{number}"] = {"type": "object", "required": ["kind", "id"], "properties": properties}
    paths: dict[str, Any] = {}
    for number in range(OPERATIONS // 2):
        path = f"/groups/{{group}}/things{number}/{{id}}"
        answer = {"content": {"application/json": {"schema": {"$ref": f"#/components/schemas/Model{number}"}}}}
        body = {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/Model{2 * number}"}}},
        }
        shared = {"tags": [f"tag{number % 20}"], "description": "Long words. " * 40, "responses": {"200": answer}}
        paths[path] = {
            "parameters": [{"$ref": "#/components/parameters/Group"}, {"$ref": "#/components/parameters/Id"}],
            "get": {
                **shared,
                "operationId": f"getThing{number}",
                "parameters": [{"name": "q", "in": "query", "schema": {"type": "string"}}],
            },
            "put": {**shared, "operationId": f"putThing{number}", "requestBody": body},
        }
    text = {"type": "string"}
    parameters = {
        "Group": {"name": "group", "in": "path", "required": True, "schema": text},
        "Id": {"name": "id", "in": "path", "required": True, "schema": text},
    }
    return {
        "openapi": version,
        "info": {"title": "Large", "version": "1"},
        "servers": [{"url": "https://large.example.com/v1"}],
        "paths": paths,
        "components": {"schemas": schemas, "parameters": parameters},
    }


@pytest.mark.parametrize(
    ("version", "seed", "form", "most"),
    [("3.0.3", 1, "json", 1.0), ("3.1.0", 2, "json", 1.0), ("3.0.1", 3, "yaml", 10.0)],
    ids=["3.0-json", "3.1-json", "3.0-yaml"],
)
def test_a_large_document_is_read_in_reasonable_time(
    tmp_path: Path, version: str, seed: int, form: str, most: float
) -> None:
    made = large(version, seed)
    file = tmp_path / f"large.{form}"
    dump = json.dumps if form == "json" else lambda value: yaml.dump(value, Dumper=yaml.CSafeDumper, sort_keys=False)
    file.write_text(dump(made), "utf-8")
    assert file.stat().st_size > 1_000_000
    include = [{"operationId": "getThing7"}, {"operationId": "putThing9"}, {"tag": "tag3", "method": "PUT"}]
    begun = time.process_time()
    tools = openapi_tools(file, include=include)
    took = time.process_time() - begun
    assert [tool.name for tool in tools[:3]] == ["getThing7", "putThing9", "putThing3"]
    assert len(tools) == 2 + OPERATIONS // 2 // 20
    put = tools[1]
    checked = put.check({"group": "g", "id": "1", "kind": "one", "code": "AB-12"})
    assert put.render(checked).facts["json"] == {"kind": "one", "code": "AB-12"}
    assert took < most


def test_only_what_is_chosen_is_looked_at() -> None:
    made = large("3.1.0", 4)
    for number in range(OPERATIONS // 2):
        if number != 5:
            made["paths"][f"/groups/{{group}}/things{number}/{{id}}"]["get"]["parameters"] = [{"$ref": "#/nowhere"}]
    (tool,) = openapi_tools(made, include=[{"operationId": "getThing5"}])
    assert tool.name == "getThing5"


def bomb(depth: int, width: int, keyword: str, **last: JSON) -> dict[str, Any]:
    """Schemas that would be width ** depth, were each reference written out."""
    return {
        f"B{level}": {keyword: [{"$ref": f"#/components/schemas/B{level + 1}"} for _ in range(width)]}
        for level in range(depth)
    } | {f"B{depth}": {"type": "object", "properties": last}}


def document(schema: JSON = None, path: str = "/x", server: str = "https://api.example.com", **schemas: JSON) -> Any:
    body = {"required": True, "content": {"application/json": {"schema": schema}}}
    operation = {"operationId": "act", **({"requestBody": body} if schema is not None else {})}
    return {
        "openapi": "3.1.0",
        "servers": [{"url": server}],
        "paths": {path: {"post": operation}},
        "components": {"schemas": schemas},
    }


def tool_of(made: Any, **more: Any) -> Tool:
    (found,) = openapi_tools(made, include=[{"method": "POST"}], **more)
    return found


def ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def nested(depth: int) -> JSON:
    schema: JSON = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


HOSTILE: dict[str, tuple[Any, str]] = {
    "ref to itself": (document(ref("A"), A=ref("A")), "in a circle"),
    "ref in a circle": (document(ref("A"), A=ref("B"), B=ref("A")), "in a circle"),
    "allOf of itself": (document(ref("A"), A={"allOf": [ref("A")]}), "leads back to itself"),
    "property without end in place": (
        document({"type": "object", "properties": {"a": ref("A")}}, A={"anyOf": [ref("A"), {"type": "string"}]}),
        "leads back to itself",
    ),
    "a chain of references": (
        document(ref("C0"), **{f"C{n}": ref(f"C{n + 1}") for n in range(500)}, C500={}),
        "in a circle",
    ),
    "deep nesting": (document(nested(200)), "nested more than 40 deep"),
    "an enum of 100,000": (
        document({"type": "object", "properties": {"a": {"enum": [*range(100_000)]}}}),
        "too large",
    ),
    "an enum of 64 KiB": (document({"type": "object", "properties": {"a": {"enum": ["x" * 70_000]}}}), "64|65,536"),
    "600 properties": (
        document(
            {
                "type": "object",
                "properties": {"o": {"type": "object", "properties": {f"p{n}": {} for n in range(600)}}},
            }
        ),
        "at most 500|At most 65,536 bytes and 500",
    ),
    "600 parameters": (
        {
            **document(),
            "paths": {
                "/x": {
                    "post": {
                        "operationId": "act",
                        "parameters": [{"name": f"p{n}", "in": "query"} for n in range(600)],
                    }
                }
            },
        },
        "600 parameters",
    ),
    "remote ref": (document({"$ref": "https://evil.example/schema.json"}), "another machine"),
    "remote ref without a scheme": (document({"$ref": "//evil.example/schema.json"}), "another machine"),
    "file ref": (document({"$ref": "file:///etc/passwd"}), "another machine"),
    "ref to a file": (document({"$ref": "./other.yaml"}), "leads nowhere"),
    "ref to nowhere": (document({"$ref": "#/components/schemas/None"}), "leads nowhere"),
    "ref into a text": (document({"$ref": "#/openapi/0/a"}), "leads nowhere"),
    "ref to an anchor": (document({"$ref": "#here"}), "leads nowhere"),
    "dynamic ref": (document({"$dynamicRef": "#x"}), r"\$dynamicRef"),
    "no schema": (document("string"), "expected"),
    "a type that is none": (document({"type": "object", "properties": {"a": {"type": "strnig"}}}), "It must be"),
    "server with steps": (document(server="https://api.example.com/../admin"), "cannot be asked"),
    "server with encoded steps": (document(server="https://api.example.com/%2e%2e/admin"), "cannot be asked"),
    "server with a password": (document(server="https://a:b@evil.example"), "cannot be asked"),
    "server with a query": (document(server="https://evil.example/?x="), "cannot be asked"),
    "server of another scheme": (document(server="file:///etc"), "names no server"),
    "server without a host": (document(server="/api/v3"), "names no server"),
    "server of metadata": (document(server="http://169.254.169.254/latest"), "cannot be asked"),
    "server of this machine": (document(server="http://127.0.0.1:8080"), "cannot be asked"),
    "server of this machine by name": (document(server="http://localhost:8080"), "cannot be asked"),
    "server in another spelling": (document(server="http://0x7f.1/"), "cannot be asked"),
    "server of a private network": (document(server="http://10.1.2.3"), "cannot be asked"),
    "server of a private network, IPv6": (document(server="http://[::ffff:10.1.2.3]"), "cannot be asked"),
    "path with steps": (document(path="/a/../../admin"), "step"),
    "path with encoded steps": (document(path="/%2e%2e/admin"), "step"),
    "path with a query": (document(path="/a?admin=1"), "query"),
    "path with a fragment": (document(path="/a#b"), "query"),
    "path that is an URL": (document(path="https://evil.example/a"), "slash"),
    "path with a line break": (document(path="/a\r\nHost: evil"), "cannot stand"),
    "path with a name of nothing": (document(path="/a/{b}"), "no parameter 'b'"),
    "path with no name": (document(path="/a/{}"), "no parameter ''"),
    "header that ends the header": (
        {**document(), "paths": {"/x": {"post": {"parameters": [{"name": "X\r\nEvil", "in": "header"}]}}}},
        "no name of a header",
    ),
    "header Host": (
        {**document(), "paths": {"/x": {"post": {"parameters": [{"name": "Host", "in": "header"}]}}}},
        "set by the connection",
    ),
    "parameter of nowhere": (
        {**document(), "paths": {"/x": {"post": {"parameters": [{"name": "a", "in": "body"}]}}}},
        "no place",
    ),
    "OpenAPI 2": ({"swagger": "2.0", "paths": {}}, "version '2.0'"),
    "OpenAPI 4": ({"openapi": "4.0.0", "paths": {}}, "version '4.0.0'"),
    "no document": ({"paths": {}}, "has no `openapi"),
}


@pytest.mark.parametrize(("made", "said"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_document_is_refused_by_name_and_soon(made: Any, said: str) -> None:
    begun = time.process_time()
    with pytest.raises(ToolDefinitionError, match=said):
        tool_of(made)
    assert time.process_time() - begun < 2.0


@pytest.mark.long
@pytest.mark.parametrize("keyword", ["allOf", "anyOf", "oneOf"])
@pytest.mark.parametrize("last", [{}, {"a": {"type": "string"}}], ids=["empty", "full"])
@pytest.mark.parametrize("inside", [False, True], ids=["body", "inside"])
def test_references_to_references_are_never_written_out(keyword: str, last: Any, inside: bool) -> None:
    begun = time.process_time()
    schema = {"type": "object", "properties": {"b": ref("B0")}} if inside else ref("B0")
    tool = tool_of(document(schema, **bomb(30, 4, keyword, **last)))
    assert len(json.dumps(tool.spec.parameters)) < 20_000
    (name,) = tool.spec.parameters["properties"]
    with pytest.raises(InvalidArguments):
        tool.check({name: 5})
    assert time.process_time() - begun < 10.0


def aliased(body: str) -> str:
    """A document in which `*a39` stands for a list of 10 ** 39 texts."""
    bombs = "".join(f"  a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 40))
    head = "openapi: 3.1.0\nservers: [{url: https://api.example.com}]\nx:\n  a0: &a0 [x]\n"
    return head + bombs + f"paths: {{/x: {{post: {{requestBody: {{required: true, {body}}}}}}}}}"


TEXTS: dict[str, tuple[Callable[[], str], str]] = {
    "10 MB": (lambda: '{"openapi": "3.1.0", "x": "' + "a" * 10_000_000 + '"}', "more than 8 MiB"),
    "deep JSON": (lambda: '{"openapi": "3.1.0", "x": ' + "[" * 200_000 + "]" * 200_000 + "}", "neither JSON nor"),
    "deep YAML": (lambda: "openapi: 3.1.0\nx: " + "[" * 200_000, "nested too deeply"),
    "deep YAML blocks": (lambda: "".join(" " * n + "a:\n" for n in range(500)), "nested too deeply"),
    "many values": (lambda: "openapi: 3.1.0\nx: [" + "a," * 600_000 + "]", "too many values"),
    "aliases of aliases in a value": (
        lambda: aliased("content: {application/json: {schema: {type: object, properties: {a: {default: *a39}}}}}"),
        "too large",
    ),
    "aliases of aliases for a schema": (
        lambda: aliased("content: {application/json: {schema: *a39}}"),
        "a schema is expected",
    ),
    "alias of what is not there": (lambda: "openapi: 3.1.0\nx: &a [*a]", "stands for nothing"),
    "tag": (lambda: "openapi: !!python/object/apply:os.system [id]", "is a tag"),
    "aliases of aliases for a parameter": (
        lambda: aliased("content: {}}, parameters: [{in: *a39, name: x}], x-more: {a: 1"),
        "has no name, or no place",
    ),
    "key twice": (lambda: "openapi: 3.1.0\nopenapi: 3.1.0", "line 2: the key 'openapi' is there twice"),
    "merge key": (lambda: "a: &a {b: 1}\nc: {<<: *a}", "a key is no text"),
    "two documents": (lambda: "openapi: 3.1.0\n---\na: 1", "a second document"),
    "no text": (lambda: "\udcff", "neither JSON nor YAML"),
    "empty": (lambda: "", "it is empty"),
    "NaN": (lambda: '{"openapi": NaN}', "NaN is no JSON"),
    "a number without end": (lambda: '{"openapi": ' + "9" * 5_000 + "}", "neither JSON nor YAML"),
    "not a mapping": (lambda: "[1, 2]", "has no `openapi"),
}


@pytest.mark.parametrize(("text", "said"), TEXTS.values(), ids=TEXTS)
def test_a_hostile_text_is_refused_by_name_and_soon(tmp_path: Path, text: Callable[[], str], said: str) -> None:
    file = tmp_path / "api.yaml"
    file.write_bytes(text().encode("utf-8", "surrogateescape"))
    begun = time.process_time()
    with pytest.raises(ToolDefinitionError, match=said):
        tool_of(file)
    assert time.process_time() - begun < 10.0


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("../outside.yaml", "not in the folder"),
        ("sub/../../outside.yaml", "not in the folder"),
        ("%2e%2e/outside.yaml", "leads out of its folder"),
        ("link.yaml", "symbolic link"),
        ("/etc/hostname", "not in the folder"),
        ("none.yaml", "There is no"),
        ("big.yaml", "too large"),
    ],
)
def test_references_stay_in_the_documents_folder(tmp_path: Path, reference: str, said: str) -> None:
    folder = tmp_path / "api"
    folder.mkdir()
    (tmp_path / "outside.yaml").write_text("type: object\nproperties: {a: {}}", "utf-8")
    (folder / "link.yaml").symlink_to(tmp_path / "outside.yaml")
    (folder / "big.yaml").write_text("#" * 9_000_000, "utf-8")
    (folder / "api.json").write_text(json.dumps(document({"$ref": reference})), "utf-8")
    with pytest.raises(ToolDefinitionError, match=said):
        tool_of(folder / "api.json")


def test_a_pinned_document_refers_to_no_other_file(tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text("type: object\nproperties: {a: {}}", "utf-8")
    (tmp_path / "api.json").write_text(json.dumps(document({"$ref": "other.yaml"})), "utf-8")
    assert tool_of(tmp_path / "api.json").spec.parameters["properties"] == {"a": {}}
    with pytest.raises(ToolDefinitionError, match="may refer to no other file"):
        tool_of(tmp_path / "api.json", pin=openapi_pin(tmp_path / "api.json"))


def ran(tool: Tool) -> Outcome:
    async def call() -> Outcome:
        assert tool.body is not None
        try:
            return await asyncio.wait_for(tool.run({}), 20)
        finally:
            await tool.body.close()

    return asyncio.run(call())


@pytest.mark.parametrize("addresses", [["10.1.2.3"], ["127.0.0.1"], ["169.254.169.254"], ["93.184.216.34", "::1"]])
def test_a_server_that_the_document_names_must_be_public(addresses: Sequence[str]) -> None:
    tool = tool_of(document(server="http://api.example.com"), resolver=Resolved([{"*": addresses}]))
    outcome = ran(tool)
    assert isinstance(outcome.error, ToolError)
    assert "may not reach it" in str(outcome.error)


def test_credentials_do_not_follow_a_redirect() -> None:
    with recorded(lambda seen: answered(status="302 Found", headers={"Location": "http://evil.example/"})) as server:
        tool = tool_of(document(), base_url=server.url, auth={"bearer": "a-key-of-this-test"})
        outcome = ran(tool)
    assert outcome.status == "error"
    assert server.targets == ["/x"]
