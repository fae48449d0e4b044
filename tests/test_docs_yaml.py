"""`docs/yaml.md` has every key of the format: its tables are those of the schema, its examples use all keys, its
defaults are those that hold."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from gemmagraph import Limits
from gemmagraph.model import DEFAULT_CONTEXT, DEFAULT_MAX_TOKENS
from gemmagraph.tools.bodies.http import HttpBody
from gemmagraph.tools.bodies.http_connection import HttpConnection
from gemmagraph.tools.bodies.shell import ShellBody
from gemmagraph.tools.declared import reference, units
from gemmagraph.tools.declared.format import assistant_schema, tools_schema
from gemmagraph.tools.guards.databases import SqlConnection
from gemmagraph.tools.guards.sandbox import Sandbox
from gemmagraph.tools.ruling import EXPIRES
from gemmagraph.tools.shaping.shape import Shape
from gemmagraph.tools.tool import Tool

TEXT = (Path(__file__).parent.parent / "docs" / "yaml.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
SCHEMA = assistant_schema()
DEFINITIONS: dict[str, Any] = {reference.ROOT: SCHEMA, **SCHEMA["$defs"]}


def test_the_tables_are_those_of_the_schema() -> None:
    assert reference.written(TEXT) == TEXT, "run: python -m gemmagraph.tools.declared.reference docs/yaml.md"


def test_every_mapping_of_the_format_has_a_table() -> None:
    assert set(DEFINITIONS) == {line.split()[2] for line in TEXT.splitlines() if line.startswith("<!-- keys ")}


def test_every_key_stands_in_an_example() -> None:
    used = {place for example in EXAMPLES for place in keys(yaml.safe_load(example))}
    known = {(name, key) for name, form in DEFINITIONS.items() for key in form["properties"]}
    assert known - used == set()


def keys(value: Any, schema: Any = SCHEMA, name: str = reference.ROOT) -> Iterator[tuple[str, str]]:
    """The keys of a value, each with the definition that has it."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        yield from keys(value, DEFINITIONS[name], name)
    elif "if" in schema:
        there = all(key in value for key in schema["if"]["required"])
        yield from keys(value, schema["then" if there else "else"])
    elif "properties" not in schema and "anyOf" in schema:
        resolved = ({**each, "$defs": DEFINITIONS} for each in schema["anyOf"])
        yield from keys(value, next(each for each in resolved if Draft202012Validator(each).is_valid(value)))
    elif isinstance(value, list):
        for item in value:
            yield from keys(item, schema.get("items", {}))
    elif isinstance(value, dict):
        inner = schema.get("properties", {})
        for key, child in value.items():
            if key in inner:
                yield name, key
            rest = schema.get("additionalProperties")
            yield from keys(child, inner.get(key, rest if isinstance(rest, dict) else {}))


def test_a_tools_file_has_the_keys_that_the_page_names() -> None:
    sentence = TEXT.partition("A tools file has ")[2].partition(", and nothing else")[0]
    assert set(sentence.split("`")[1::2]) == set(tools_schema()["properties"])


def test_defaults_are_of_keys_that_there_are() -> None:
    said = {(name, key) for name, defaults in reference.DEFAULTS.items() for key in defaults}
    assert said <= {(name, key) for name, form in DEFINITIONS.items() for key in form["properties"]}


def signature(function: Any) -> dict[str, Any]:
    return {name: one.default for name, one in inspect.signature(function).parameters.items()}


def of_fields(made: Any) -> dict[str, Any]:
    return {one.name: one.default for one in fields(made)}


_LIMITS = of_fields(Limits)
_CONTEXT, _TOKENS = (
    f"{DEFAULT_CONTEXT}, or less where the model has less",
    f"{DEFAULT_MAX_TOKENS}, or half of the context",
)
IN_FORCE: Mapping[str, Mapping[str, Any]] = {
    "model": {"context": _CONTEXT, "max_tokens": _TOKENS},
    "http_connection": signature(HttpConnection),
    "http": signature(HttpBody) | {"method": "GET, or POST where something is sent"},
    "sql_connection": signature(SqlConnection),
    "shell": signature(ShellBody) | {"cwd": "the current folder"},
    "sandbox": of_fields(Sandbox),
    "tool": of_fields(Tool),
    "override": of_fields(Tool),
    "defaults": of_fields(Tool),
    "result": of_fields(Shape),
    "approval": {"approvers": "whoever asked", "four_eyes": False, "expires": EXPIRES},
    "limits": _LIMITS,
    "same_call": {"warn_at": _LIMITS["same_call_warn"], "stop_at": _LIMITS["same_call_stop"]},
}


@pytest.mark.parametrize("name", IN_FORCE)
def test_defaults_are_those_that_hold(name: str) -> None:
    for key, shown in reference.DEFAULTS[name].items():
        holds = IN_FORCE[name][key]
        assert alike(shown, holds), f"{name}.{key}: {shown} on the page, {holds!r} in force"


def alike(shown: str, holds: Any) -> bool:
    read: Any = shown if " " in shown else yaml.safe_load(shown)
    if isinstance(holds, tuple):
        return bool(list(holds) == read)
    if read == holds or isinstance(holds, bool):
        return bool(read == holds)
    return isinstance(holds, float) and bool(units.seconds(shown) == holds)


@pytest.mark.parametrize(("shown", "holds"), [("20s", 60.0), ("true", False), ("[1]", (0,)), ("99", 100)])
def test_a_default_that_does_not_hold_is_noticed(shown: str, holds: Any) -> None:
    assert not alike(shown, holds)
