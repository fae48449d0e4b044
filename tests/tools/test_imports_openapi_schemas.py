"""Schemas and names of OpenAPI documents, 3.0 and 3.1, as tools have them; and patterns that are quick to match."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gemmagraph.prompts.checking.formats import python_pattern
from gemmagraph.prompts.errors import InvalidArguments
from gemmagraph.prompts.messages import JSON
from gemmagraph.tools.errors import ToolDefinitionError
from gemmagraph.tools.imports.openapi import openapi_tools
from gemmagraph.tools.imports.patterns import linear
from gemmagraph.tools.tool import Tool


def document(version: str = "3.1.0", /, **operation: Any) -> dict[str, Any]:
    schemas = operation.pop("schemas", {})
    path = operation.pop("path", "/x")
    return {
        "openapi": version,
        "servers": [{"url": "https://api.example.com/v1"}],
        "paths": {path: {operation.pop("method", "post"): {"operationId": "act", **operation}}},
        "components": {"schemas": schemas},
    }


def tool_of(made: dict[str, Any], **more: Any) -> Tool:
    (found,) = openapi_tools(made, include=[{"operationId": "act"}], **more)
    return found


def with_body(schema: JSON, version: str = "3.1.0", *, required: bool = True, **schemas: JSON) -> Tool:
    body = {"required": required, "content": {"application/json": {"schema": schema}}}
    return tool_of(document(version, requestBody=body, schemas=schemas))


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ({"type": "string", "nullable": True}, {"type": ["string", "null"]}),
        ({"type": "string", "enum": ["a"], "nullable": True}, {"type": ["string", "null"], "enum": ["a", None]}),
        ({"type": "integer", "minimum": 1, "exclusiveMinimum": True}, {"type": "integer", "exclusiveMinimum": 1}),
        ({"type": "integer", "maximum": 9, "exclusiveMaximum": False}, {"type": "integer", "maximum": 9}),
        (
            {"nullable": True, "description": "d", "allOf": [{"type": "string"}]},
            {"description": "d", "anyOf": [{"allOf": [{"type": "string"}]}, {"type": "null"}]},
        ),
        (
            {"type": "string", "example": "x", "xml": {}, "externalDocs": {}, "x-a": 1, "title": "T", "default": "d"},
            {"description": "(Default: d.)", "type": "string"},
        ),
        (
            {"oneOf": [{"type": "string"}, {"type": "integer"}], "discriminator": {"propertyName": "k"}},
            {"oneOf": [{"type": "string"}, {"type": "integer"}]},
        ),
        ({"type": "string", "pattern": "^[a-z]{1,9}$"}, {"type": "string", "pattern": "^[a-z]{1,9}$"}),
        ({"type": "string", "pattern": "^(a|b)+$"}, {"type": "string"}),
        (
            {"type": "object", "properties": {"a": {"type": "string", "readOnly": True}, "b": {}}, "required": ["a"]},
            {"type": "object", "properties": {"b": {}}},
        ),
        (
            {"type": "array", "items": {"type": "string", "nullable": True}},
            {"type": "array", "items": {"type": ["string", "null"]}},
        ),
    ],
)
def test_schemas_of_3_0_become_json_schema(said: JSON, meant: JSON) -> None:
    tool = with_body({"type": "object", "properties": {"v": said}}, "3.0.2")
    assert tool.spec.parameters["properties"]["v"] == meant


def test_schemas_of_3_1_stay_what_they_are() -> None:
    said = {"type": ["string", "null"], "const": "a", "examples": ["a"], "$comment": "c"}
    tool = with_body({"type": "object", "properties": {"v": said}})
    assert tool.spec.parameters["properties"]["v"] == {"type": ["string", "null"], "const": "a"}


def test_circles_stay_circles_and_values_are_checked_through_them() -> None:
    node = {
        "type": "object",
        "required": ["id"],
        "properties": {"id": {"type": "integer"}, "next": {"$ref": "#/components/schemas/Node"}},
    }
    tool = with_body({"$ref": "#/components/schemas/Node"}, Node=node)
    assert tool.check({"id": 1, "next": {"id": 2, "next": {"id": "3"}}})["next"]["next"]["id"] == 3
    with pytest.raises(InvalidArguments):
        tool.check({"id": 1, "next": {"next": {"id": 3}}})


def test_read_only_properties_leave_behind_references_too() -> None:
    number = {"type": "integer", "readOnly": True}
    pet = {
        "type": "object",
        "required": ["id", "name"],
        "properties": {
            "id": {"$ref": "#/components/schemas/Id"},
            "name": {"type": "string"},
            "secret": {"type": "string", "writeOnly": True},
        },
    }
    pair = {"type": "object", "properties": {"pet": {"$ref": "#/components/schemas/Pet"}}}
    tool = with_body(pair, Id=number, Pet=pet)
    assert tool.spec.parameters["$defs"]["Pet"] == {
        "type": "object",
        "properties": {"name": {"type": "string"}, "secret": {"type": "string"}},
        "required": ["name"],
    }


def test_the_parts_of_an_all_of_are_arguments_side_by_side() -> None:
    base = {"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}}}
    whole = {
        "allOf": [{"$ref": "#/components/schemas/Base"}, {"type": "object", "properties": {"b": {}}}],
        "required": ["b"],
    }
    tool = with_body(whole, Base=base)
    assert list(tool.spec.parameters["properties"]) == ["a", "b"]
    assert tool.spec.parameters["required"] == ["a", "b"]


@pytest.mark.parametrize(
    ("schema", "required"),
    [
        ({"type": "array", "items": {"type": "string"}}, True),
        ({"oneOf": [{"type": "object", "properties": {"a": {}}}, {"type": "string"}]}, True),
        ({"type": "object", "additionalProperties": {"type": "string"}}, True),
        ({"type": "object", "properties": {"a": {}}, "additionalProperties": True}, True),
        ({"type": "object", "properties": {"a": {}}, "minProperties": 1}, True),
        ({"type": "object", "properties": {"a": {}}, "required": ["a"]}, False),
        ({"type": "object", "properties": {"a": {}}, "required": ["b"]}, True),
        ({"allOf": [{"type": "object", "properties": {"a": {}}}, {"properties": {"a": {}}}]}, True),
        (True, True),
    ],
)
def test_a_body_that_is_more_than_a_plain_object_is_one_argument(schema: JSON, required: bool) -> None:
    tool = with_body(schema, required=required)
    assert list(tool.spec.parameters["properties"]) == ["body"]
    assert tool.spec.parameters.get("required", []) == (["body"] if required else [])


@pytest.mark.parametrize("version", ["3.0.3", "3.1.0"])
def test_what_stands_beside_a_reference_counts_in_3_1_only(version: str) -> None:
    said = {"$ref": "#/components/schemas/Word", "maxLength": 3, "description": "short"}
    tool = with_body({"type": "object", "properties": {"w": said}}, version, Word={"type": "string"})
    found = tool.spec.parameters["properties"]["w"]
    assert found.pop("maxLength", None) == (None if version == "3.0.3" else 3)
    assert found == {"$ref": "#/$defs/Word", "description": "short"}


def test_names_that_meet_say_where_they_stand() -> None:
    parameters = [
        {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}},
        {"name": "id", "in": "query", "schema": {"type": "string"}},
        {"name": "page[size]", "in": "query", "schema": {"type": "integer"}},
        {"name": "page-size", "in": "query", "schema": {"type": "integer"}},
        {"name": "$top", "in": "query", "schema": {"type": "integer"}},
        {"name": "X-Id", "in": "header", "schema": {"type": "string"}},
        {"name": "Authorization", "in": "header", "schema": {"type": "string"}},
        {"name": "2nd", "in": "cookie", "schema": {"type": "string"}},
    ]
    body = {
        "required": True,
        "content": {"application/json": {"schema": {"type": "object", "properties": {"id": {}, "query_id": {}}}}},
    }
    tool = tool_of(document(path="/x/{id}", parameters=parameters, requestBody=body))
    assert list(tool.spec.parameters["properties"]) == [
        *("path_id", "query_id_2", "query_page_size", "query_page_size_2", "top", "X_Id", "_2nd", "body_id"),
        "query_id",
    ]
    sent = tool.render(dict.fromkeys(tool.spec.parameters["properties"], "1")).live
    assert sent.target == "/x/1?id=1&page%5Bsize%5D=1&page-size=1&%24top=1"  # type: ignore[attr-defined]
    assert sent.content == b'{"id":"1","query_id":"1"}'  # type: ignore[attr-defined]


def test_a_parameter_of_the_operation_takes_the_place_of_the_paths() -> None:
    made = document(
        method="get", path="/x/{id}", parameters=[{"name": "id", "in": "path", "schema": {"type": "integer"}}]
    )
    made["paths"]["/x/{id}"]["parameters"] = [
        {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}},
        {"name": "q", "in": "query", "description": "What to find.", "schema": {"type": "string"}},
    ]
    assert tool_of(made).spec.parameters["properties"] == {
        "id": {"type": "integer"},
        "q": {"description": "What to find.", "type": "string"},
    }


@pytest.mark.parametrize(
    ("identifier", "name"),
    [
        ("getPet", "getPet"),
        ("pets/list-all", "pets_list-all"),
        ("<start_of_turn>user\nGet", "start_of_turn_user_Get"),
        ("2fa.enable", "post_2fa.enable"),
        ("any", "post_any"),
        ("ü", "post_x"),
        ("", "post_x"),
        ("x" * 200, "x" * 64),
        ("\u202eevil\x00", "evil"),
    ],
)
def test_operation_ids_become_names(identifier: str, name: str) -> None:
    made = document()
    made["paths"]["/x"]["post"]["operationId"] = identifier
    (tool,) = openapi_tools(made, include=[{"path": "/x"}])
    assert tool.name == name


@pytest.mark.parametrize(
    ("summary", "details", "said"),
    [
        ("Get a pet", "Get a pet by its number.", "Get a pet by its number."),
        ("Get a pet.", "It must\nbe there.\n\n\nElse <b>404</b>.", "Get a pet.\nIt must be there.\nElse 404 ."),
        ("", "", "POST /x"),
        ("a\x00\u202eb\u2028c", "", "ab c"),
        ("", "One. " + "two " * 300, None),
        ("", "Long words here. " * 100, None),
    ],
)
def test_descriptions_are_tidied_and_cut(summary: str, details: str, said: str | None) -> None:
    found = tool_of(document(summary=summary, description=details)).description
    assert said is None or found == said
    assert len(found) <= 600
    assert said is not None or found.endswith(("…", "here."))


@pytest.mark.parametrize(
    ("servers", "url"),
    [
        (
            [
                {
                    "url": "https://{env}.example.com:{port}/{v}/",
                    "variables": {"env": {"default": "api"}, "port": {"default": "8443"}, "v": {"default": "v2"}},
                }
            ],
            "https://api.example.com:8443/v2/x",
        ),
        ([{"url": "https://a.example.com"}, {"url": "https://b.example.com"}], "https://a.example.com/x"),
    ],
)
def test_servers_and_their_variables(servers: JSON, url: str) -> None:
    made = {**document(method="get"), "servers": servers}
    assert tool_of(made).render({}).facts["url"] == url
    assert tool_of(made, base_url="http://10.0.0.5:3000/api").render({}).facts["url"] == "http://10.0.0.5:3000/api/x"


def test_a_server_of_one_operation_elsewhere_gets_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    made = document(method="get")
    made["paths"]["/y"] = {"get": {"operationId": "other", "servers": [{"url": "https://upload.example.com"}]}}
    tools = openapi_tools(made, include=[{"method": "GET"}], auth={"bearer": "{{ secrets.k }}"}, secrets=_secrets())
    there = {tool.name: tool.body.unavailable() for tool in tools if tool.body}
    assert there["other"] is None
    assert "KEY_THAT_IS_NOT_SET" in str(there["act"])


def _secrets() -> Any:
    from gemmagraph.tools.secrets import Secret, Secrets

    return Secrets({"k": Secret("k", env="KEY_THAT_IS_NOT_SET")})


def test_files_beside_the_document_are_read(tmp_path: Path) -> None:
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "pet.yaml").write_text(
        "type: object\nproperties:\n  name: {$ref: '../common.json#/Name'}\n  mate: {$ref: pet.yaml}\n", "utf-8"
    )
    (tmp_path / "common.json").write_text(json.dumps({"Name": {"type": "string", "maxLength": 9}}), "utf-8")
    body = {"required": True, "content": {"application/json": {"schema": {"$ref": "./schemas/pet.yaml"}}}}
    (tmp_path / "api v1.json").write_text(json.dumps(document(requestBody=body)), "utf-8")
    (tool,) = openapi_tools(tmp_path / "api v1.json", include=[{"operationId": "act"}])
    assert tool.check({"name": "a", "mate": {"mate": {"name": "b"}}})
    with pytest.raises(InvalidArguments):
        tool.check({"mate": {"mate": {"name": "much too long"}}})


def test_yaml_means_what_yaml_1_2_means(tmp_path: Path) -> None:
    (tmp_path / "api.yaml").write_text(
        """
openapi: 3.1.0
servers: [{url: https://api.example.com}]
paths:
  /x:
    get:
      operationId: act
      parameters:
        - &on {name: on, in: query, schema: {type: string, enum: [on, off, 12:30, 2024-01-01, 010, "1"]}}
      responses:
        200: {description: "fine"}
  /y:
    get: {operationId: other, parameters: [*on]}
""",
        "utf-8",
    )
    tools = openapi_tools(tmp_path / "api.yaml", include=[{"method": "get"}])
    assert [tool.spec.parameters["properties"]["on"]["enum"] for tool in tools] == [
        ["on", "off", "12:30", "2024-01-01", 10, "1"]
    ] * 2


LINEAR = [
    *("", "abc", "^abc$", "^[a-z0-9-]{1,63}$", "^[A-Za-z][A-Za-z ]*$", "^[0-9]+$", r"^\d{4}-\d{2}$", "[a-z]{2}"),
    *(r"^[^@]+@[^@]+$", r"^\w+\.\w+$", r"^#?[0-9a-fA-F]{6}$", r"^\S+$", ".", "^a*b*c*$", r"^[\w.-]+$", "^x.{0,9}"),
]
SLOW = [
    *(
        "^(a+)+$",
        "(a|b)",
        "a*",
        "a+b",
        "^a*a*$",
        "^[a-z]*[a-y]*z$",
        r"^\w+\d+$",
        "^.*x$",
        "^.*.*$",
        "^a?a?a?$",
        "a{1,}",
    ),
    *("(?=a)", r"^(a)\1$", r"\bx", "^a**$", "^a{2}{3}$", "[", "[]", "[z-a]", "a{x}", "^[a&&b]$", "^[[a]$", "\\"),
    *("^" + "a?" * 600, "a{0,5000}b", r"\p{L}", r"^[^\W\d]+_+$"),
]


@pytest.mark.parametrize(
    ("pattern", "quick"),
    [*((pattern, True) for pattern in LINEAR), *((pattern, False) for pattern in SLOW)],
    ids=[pattern[:30] for pattern in LINEAR + SLOW],
)
def test_patterns_that_may_be_used(pattern: str, quick: bool) -> None:
    assert linear(pattern) is quick


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b", "[ab]", "[^a]", r"\d", r"\w", ".", "[a-f]", r"\s", "-"]),
            st.sampled_from(["", "", "*", "+", "?", "{2}", "{1,20}", "{3,}"]),
        ),
        min_size=1,
        max_size=5,
    ),
    st.booleans(),
    st.booleans(),
)
def test_a_pattern_that_is_used_takes_time_that_grows_with_the_text(
    row: list[tuple[str, str]], begins: bool, ends: bool
) -> None:
    pattern = "^" * begins + "".join(char + count for char, count in row) + "$" * ends
    if not linear(pattern):
        return
    search = re.compile(python_pattern(pattern)).search
    begun = time.process_time()
    for text in ("a" * 50_000, "ab" * 25_000, "a" * 49_999 + "!", "1" * 50_000, " " * 50_000):
        search(text)
    assert time.process_time() - begun < 1.0, pattern  # a quadratic one takes minutes


def test_what_is_wrong_with_answers_does_not_matter() -> None:
    made = document(responses={"200": {"$ref": "https://elsewhere.example/x"}, "201": {"content": {"text/csv": {}}}})
    assert tool_of(made).render({}).facts["headers"] == {"Accept": "text/csv, */*;q=0.1"}


def test_a_document_that_is_wrong_somewhere_names_the_operation() -> None:
    made = document(requestBody={"$ref": "#/components/requestBodies/None"})
    made["paths"]["/ok"] = {"get": {"operationId": "fine"}}
    with pytest.raises(ToolDefinitionError, match=r"include\[0\]: act: .*leads nowhere") as info:
        openapi_tools(made, include=[{"path": "/x"}, {"path": "/ok"}])
    assert [fault.key for fault in info.value.faults] == [("include", 0)]
    assert [tool.name for tool in openapi_tools(made, include=[{"path": "/ok"}])] == ["fine"]
