"""The quick road says what the slow road says, and both say what jsonschema says of plain values."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gemmagraph.prompts.checking.arguments import ArgumentChecker, Number, example_arguments
from gemmagraph.prompts.checking.coerce import Coercion
from gemmagraph.prompts.checking.faults import Faults
from gemmagraph.prompts.checking.number import NotPlain, identity, plain
from gemmagraph.prompts.checking.parameters import prepare
from gemmagraph.prompts.checking.quickcheck import MISS, quick_check
from gemmagraph.prompts.errors import InvalidArguments
from gemmagraph.prompts.messages import ToolSpec

NAMES = st.sampled_from(["a", "b", "c"])
COUNTS = st.integers(0, 3)
BOUNDS = st.one_of(st.integers(-3, 12), st.sampled_from([0.5, 5.0, -1.5]))
TEXTS = st.sampled_from(
    [
        "",
        "a",
        "b",
        "abc",
        "true",
        "False",
        "null",
        "5",
        " 7 ",
        "1.0",
        "1.5",
        "1e1",
        "05",
        "0x1F",
        "nan",
        "1e400",
        "2026-05-04",
        "a@b",
        "[1]",
        '["a", 1.0]',
        "[[]]",
        "{}",
        '{"a": 1}',
        '{"b": "5", "a": [true]}',
        "[",
        "{'a': 1}",
    ]
)
NUMBERS = st.sampled_from(
    [
        "0",
        "1",
        "5",
        "-2",
        "05",
        "5.0",
        "1.5",
        "1e1",
        "1e-400",
        "1e400",
        "0x1F",
        "1_0",
        "12345678901234567890",
        "+7",
        "9007199254740993.0",
        "5.00000000000000000000001",
    ]
).map(Number)
SCALARS = st.one_of(
    TEXTS,
    NUMBERS,
    st.booleans(),
    st.none(),
    st.integers(-3, 12),
    st.sampled_from([0.0, 5.0, 1.5, float("nan"), 2.0**53]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=8,
)
MEMBERS = st.lists(
    st.sampled_from([1, 2.0, "1", "a", "true", True, None, "05", [1], {"a": 1}]), min_size=1, max_size=4
)


def keywords(**optional: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=optional)


def of_type(name: str, more: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return more.map(lambda found: {"type": name, **found})


RANGES = keywords(
    minimum=BOUNDS,
    maximum=BOUNDS,
    exclusiveMinimum=BOUNDS,
    multipleOf=st.sampled_from([1, 2, 0.5, 0.1]),
    enum=MEMBERS,
)
LEAVES = st.one_of(
    of_type(
        "string",
        keywords(
            minLength=COUNTS,
            maxLength=COUNTS,
            pattern=st.sampled_from(["^[0-9]+$", "a", "^$"]),
            format=st.sampled_from(["date", "email", "color"]),
            enum=MEMBERS,
        ),
    ),
    of_type("integer", RANGES),
    of_type("number", RANGES),
    st.sampled_from([{"type": "boolean"}, {"type": "null"}, {}, True, False, {"description": "any"}, {"minimum": 3}]),
    MEMBERS.map(lambda members: {"enum": members}),
    MEMBERS.map(lambda members: {"const": members[0]}),
    st.just({"$ref": "#/$defs/leaf"}),
    st.just({"$ref": "#/$defs/tree"}),
)


def composed(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    arrays = keywords(
        items=inner,
        prefixItems=st.lists(inner, min_size=1, max_size=2),
        minItems=COUNTS,
        maxItems=COUNTS,
        uniqueItems=st.booleans(),
        contains=inner,
        enum=MEMBERS,
    )
    objects = keywords(
        properties=st.dictionaries(NAMES, inner, max_size=3),
        required=st.lists(NAMES, max_size=2, unique=True),
        additionalProperties=inner,
        minProperties=COUNTS,
        maxProperties=COUNTS,
        patternProperties=st.dictionaries(st.sampled_from(["^a", "b$"]), inner, min_size=1, max_size=1),
        unevaluatedProperties=st.just(False),
        enum=MEMBERS,
    )
    branches = st.lists(inner, min_size=1, max_size=3)
    types = st.lists(
        st.sampled_from(["string", "integer", "number", "null", "array", "object"]), min_size=2, max_size=3
    )
    return st.one_of(
        of_type("array", arrays),
        of_type("object", objects),
        branches.map(lambda found: {"anyOf": found}),
        branches.map(lambda found: {"oneOf": found}),
        st.tuples(types, objects, arrays).map(lambda found: {**found[1], **found[2], "type": found[0]}),
        st.tuples(branches, objects).map(lambda found: {**found[1], "allOf": found[0]}),
        st.tuples(inner, inner).map(lambda found: {"not": found[0], "anyOf": [found[1]]}),
        of_type("integer", st.just({"nullable": True})),
    )


SCHEMAS = st.recursive(LEAVES, composed, max_leaves=6)
DEFS = {
    "leaf": {"type": "integer", "minimum": 1},
    "tree": {"type": "object", "properties": {"a": {"anyOf": [{"$ref": "#/$defs/tree"}, {"type": "null"}]}}},
}


@st.composite
def fitting(draw: st.DrawFn, schema: Any) -> Any:
    """A value that often fits, often after coercion."""
    if not isinstance(schema, dict) or draw(st.integers(0, 5)) == 0:
        return draw(VALUES)
    if "enum" in schema or "const" in schema:
        return draw(written(draw(st.sampled_from(schema.get("enum") or [schema["const"]]))))
    for choice in ("anyOf", "oneOf", "allOf"):
        if choice in schema:
            return draw(fitting(draw(st.sampled_from(schema[choice]))))
    if "$ref" in schema:
        return draw(fitting(DEFS[schema["$ref"].rpartition("/")[2]]))
    types = schema.get("type")
    name = draw(st.sampled_from(types)) if isinstance(types, list) else types
    if name == "array":
        size = draw(st.integers(schema.get("minItems", 0), 3))
        first = schema.get("prefixItems", [])
        items = [draw(fitting(first[n] if n < len(first) else schema.get("items", True))) for n in range(size)]
        return draw(written(items))
    if name == "object":
        properties = schema.get("properties", {})
        names = draw(st.sets(NAMES, max_size=3)) | set(schema.get("required", ()))
        more = schema.get("additionalProperties", True)
        return draw(written({key: draw(fitting(properties.get(key, more))) for key in sorted(names)}))
    if name in ("integer", "number"):
        return draw(st.one_of(NUMBERS, BOUNDS, BOUNDS.map(str), BOUNDS.map(lambda found: Number(str(found)))))
    if name == "boolean":
        return draw(st.sampled_from([True, False, "true", "FALSE"]))
    return draw(TEXTS) if name == "string" else draw(VALUES)


@st.composite
def written(draw: st.DrawFn, value: Any) -> Any:
    """The value, or JSON text of it."""
    if draw(st.integers(0, 4)):
        return value
    try:
        return json.dumps(plain(value))
    except NotPlain:
        return value


@st.composite
def calls(draw: st.DrawFn) -> tuple[dict[str, Any], Any]:
    schema = draw(SCHEMAS)
    return {"properties": {"v": schema}, "required": ["v"], "$defs": DEFS}, {"v": draw(fitting(schema))}


def slowly(prepared: dict[str, Any], arguments: Any) -> object:
    """What the slow road alone says; MISS if it refuses."""
    try:
        coercion = Coercion(prepared, arguments)
        found = plain(coercion.coerce(arguments, prepared))
    except NotPlain:
        return MISS
    return MISS if Faults(prepared).of(coercion.verdict.misfits(found)) else found


def exactly(value: object) -> str:
    return json.dumps(value, sort_keys=True)


def check_roads(parameters: dict[str, Any], arguments: Any) -> None:
    prepared = prepare(ToolSpec("f", "", parameters))
    quick = quick_check(prepared)
    slow = slowly(prepared, arguments)
    if quick is not None and (found := quick(arguments)) is not MISS:
        assert slow is not MISS
        assert exactly(found) == exactly(slow)
        assert list(map(type, found.values())) == list(map(type, slow.values()))  # type: ignore[attr-defined]
    checking = ArgumentChecker(ToolSpec("f", "", parameters))
    if slow is MISS:
        with pytest.raises(InvalidArguments) as refusal:
            checking.check(arguments)
        assert len(refusal.value.message) <= 240
        assert refusal.value.message.startswith("f: ")
        return
    checked = checking.check(arguments)
    assert exactly(checked) == exactly(slow)
    assert exactly(checking.check(checked)) == exactly(checked), "a second check changes nothing"


def check_verdict(parameters: dict[str, Any], arguments: Any) -> None:
    """Against jsonschema as it comes, on a schema as it was written."""
    stock = jsonschema.Draft202012Validator({**openly(parameters), "additionalProperties": False})
    checking = ArgumentChecker(ToolSpec("f", "", parameters))
    try:
        checked = checking.check(arguments)
    except InvalidArguments:
        with contextlib.suppress(NotPlain):
            assert not stock.is_valid(plain(arguments)), "a valid value is refused"
        return
    assert stock.is_valid(checked), "an invalid value is let through"
    try:
        valid_before = stock.is_valid(plain(arguments))
    except NotPlain:
        return
    if valid_before:
        assert identity(checked) == identity(plain(arguments)), "a valid value is changed"


def check_example(schema: Any) -> None:
    spec = ToolSpec("f", "", {"properties": {"v": schema}, "required": ["v"], "$defs": DEFS})
    if ArgumentChecker(spec).example:
        ArgumentChecker(spec).check(example_arguments(spec))


def openly(schema: Any) -> Any:
    """A schema in the words of the standard: `nullable` is OpenAPI's; formats and odd multiples are left to us."""
    if isinstance(schema, list):
        return [openly(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: openly(part) for key, part in schema.items() if key != "nullable"}
    return {"anyOf": [found, {"type": "null"}]} if schema.get("nullable") is True else found


def comparable(call: tuple[dict[str, Any], Any]) -> bool:
    """Whether stock jsonschema can be the judge: it counts multiples in binary, does not look at formats, and sees
    a big literal only after a float has rounded it."""
    schema = json.dumps(call[0])
    return (
        '"format"' not in schema and '"multipleOf": 0.1' not in schema and "9007199254740993.0" not in repr(call[1])
    )


FEW = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
MANY = settings(max_examples=8_000, deadline=None, suppress_health_check=list(HealthCheck))


@FEW
@given(calls())
def test_both_roads_lead_to_the_same_verdict_and_value(call: tuple[dict[str, Any], Any]) -> None:
    check_roads(*call)


@FEW
@given(calls().filter(comparable))
def test_verdict_is_that_of_jsonschema_and_valid_values_stay(call: tuple[dict[str, Any], Any]) -> None:
    check_verdict(*call)


@FEW
@given(SCHEMAS)
def test_example_that_is_shown_is_right(schema: Any) -> None:
    check_example(schema)


@pytest.mark.long
@MANY
@given(calls())
def test_both_roads_lead_to_the_same_verdict_and_value_many_times(call: tuple[dict[str, Any], Any]) -> None:
    check_roads(*call)


@pytest.mark.long
@MANY
@given(calls().filter(comparable))
def test_verdict_is_that_of_jsonschema_many_times(call: tuple[dict[str, Any], Any]) -> None:
    check_verdict(*call)


@pytest.mark.long
@settings(MANY, max_examples=1_000)
@given(SCHEMAS)
def test_example_that_is_shown_is_right_many_times(schema: Any) -> None:
    check_example(schema)
