"""What a signature becomes: the schema that the model is shown, and the values that the function gets."""

import asyncio
import dataclasses
import datetime
import decimal
import enum
import functools
import pathlib
import sys
import typing
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, NewType, NotRequired, Optional, TypedDict, Union

import jsonschema
import pytest
import typing_extensions
from pydantic import BaseModel, ConfigDict, Field, field_validator

from gemmagraph.tools import ToolContext, ToolDefinitionError, tool


class Color(enum.Enum):
    RED = "red"
    GREEN = "green"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Shape(enum.Enum):
    """Its values are no JSON."""

    LINE = (1, 0)
    AREA = (1, 1)


class Size(enum.StrEnum):
    S = enum.auto()
    M = enum.auto()


class Place(TypedDict):
    """Where it is."""

    city: str
    zip: NotRequired[str]


class Stop(TypedDict, total=False):
    place: typing.Required[Place]
    color: Color


class Foreign(typing_extensions.TypedDict):
    n: int


class Endless(TypedDict):
    more: list["Endless"]


class Dangling(TypedDict):
    more: "Nowhere"  # type: ignore[name-defined]  # noqa: F821


@dataclasses.dataclass
class Point:
    x: int
    y: int = 0


@dataclasses.dataclass
class Line:
    start: Point
    end: Point


class Person(BaseModel):
    name: str
    born: datetime.date | None = None


class Node(BaseModel):
    value: int
    children: list["Node"] = []


class Strict(BaseModel):
    model_config = ConfigDict(strict=True)
    when: datetime.datetime


class Even(BaseModel):
    n: int

    @field_validator("n")
    @classmethod
    def even(cls, n: int) -> int:
        if n % 2:
            raise ValueError("must be even")
        return n


UserId = NewType("UserId", int)
Code = NewType("Code", Annotated[str, Field(pattern="^[a-z]+$")])

STR, INT, NUM, BOOL, NULL = ({"type": t} for t in ("string", "integer", "number", "boolean", "null"))
PLACE = {
    "type": "object",
    "description": "Where it is.",
    "properties": {"city": STR, "zip": STR},
    "required": ["city"],
    "additionalProperties": False,
}
COLOR = {"type": "string", "enum": ["red", "green"]}
DAY = datetime.date(2026, 3, 1)
NOON = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)
UUID4 = uuid.UUID("12345678-1234-4678-9234-567812345678")


def taking(hint: Any) -> tuple[Any, list[Any]]:
    """A tool with one parameter `value` of that type, and the list of the values that it was called with."""
    seen: list[Any] = []

    def probe(value):  # type: ignore[no-untyped-def]  # the row says which type
        seen.append(value)

    probe.__annotations__ = {"value": hint}
    return tool(probe), seen


# id: (hint, schema of the parameter, JSON value, the function's value, JSON value that the schema refuses)
TYPES: dict[str, tuple[Any, Any, Any, Any, Any]] = {
    "str": (str, STR, "a", "a", 1),
    "int": (int, INT, 3, 3, 3.5),
    "float": (float, NUM, 2.5, 2.5, "2.5"),
    "float-of-integer": (float, NUM, 2, 2.0, None),
    "bool": (bool, BOOL, True, True, 1),
    "none": (None, NULL, None, None, 0),
    "any": (Any, {}, {"a": [1]}, {"a": [1]}, ...),
    "object": (object, {}, [1], [1], ...),
    "literal-str": (Literal["a", "b"], {"type": "string", "enum": ["a", "b"]}, "a", "a", "c"),
    "literal-int": (Literal[1, 2], {"type": "integer", "enum": [1, 2]}, 2, 2, 3),
    "literal-mixed": (Literal["a", 1, None], {"enum": ["a", 1, None]}, None, None, "b"),
    "literal-member": (Literal[Color.RED], {"type": "string", "enum": ["red"]}, "red", Color.RED, "green"),
    "literal-members": (
        Literal[Shape.LINE, "none"] | None,
        {"anyOf": [{"type": "string", "enum": ["LINE", "none"]}, NULL]},
        "LINE",
        Shape.LINE,
        "AREA",
    ),
    "enum": (Color, COLOR, "red", Color.RED, "blue"),
    "enum-int": (Level, {"type": "integer", "enum": [1, 2]}, 2, Level.HIGH, 3),
    "enum-str": (Size, {"type": "string", "enum": ["s", "m"]}, "m", Size.M, "M"),
    "enum-by-name": (Shape, {"type": "string", "enum": ["LINE", "AREA"]}, "AREA", Shape.AREA, [1, 1]),
    "optional": (Optional[int], {"anyOf": [INT, NULL]}, None, None, "a"),  # noqa: UP045 - the old spelling too
    "optional-bar": (int | None, {"anyOf": [INT, NULL]}, 4, 4, "a"),
    "optional-enum": (Color | None, {"anyOf": [COLOR, NULL]}, "green", Color.GREEN, "blue"),
    "optional-float": (float | None, {"anyOf": [NUM, NULL]}, 1, 1.0, "a"),
    "union": (int | str, {"anyOf": [INT, STR]}, "a", "a", 1.5),
    "union-old": (
        Union[int, list[str]],  # noqa: UP007 - the old spelling too
        {"anyOf": [INT, {"type": "array", "items": STR}]},
        ["a"],
        ["a"],
        "a",
    ),
    "union-none": (int | str | None, {"anyOf": [INT, STR, NULL]}, None, None, []),
    "union-float": (float | str, {"anyOf": [NUM, STR]}, 3, 3, None),
    "union-date": (
        int | datetime.date,
        {"anyOf": [INT, {"type": "string", "format": "date"}]},
        "2026-03-01",
        DAY,
        None,
    ),
    "list": (list[int], {"type": "array", "items": INT}, [1, 2], [1, 2], ["a"]),
    "list-bare": (list, {"type": "array"}, [1, "a"], [1, "a"], {}),
    "list-any": (list[Any], {"type": "array"}, [1, "a"], [1, "a"], {}),
    "list-old": (typing.List[str], {"type": "array", "items": STR}, ["a"], ["a"], [1]),  # noqa: UP006
    "list-enum": (list[Color], {"type": "array", "items": COLOR}, ["red"], [Color.RED], ["x"]),
    "list-date": (
        list[datetime.date],
        {"type": "array", "items": {"type": "string", "format": "date"}},
        ["2026-03-01"],
        [DAY],
        [1],
    ),
    "list-optional": (
        list[int | None],
        {"type": "array", "items": {"anyOf": [INT, NULL]}},
        [None],
        [None],
        ["a"],
    ),
    "sequence": (Sequence[str], {"type": "array", "items": STR}, ["a"], ["a"], "a"),
    "iterable": (Iterable[float], {"type": "array", "items": NUM}, [1], [1.0], 1),
    "set": (set[int], {"type": "array", "items": INT, "uniqueItems": True}, [1, 2], {1, 2}, [1, 1]),
    "frozenset": (
        frozenset[str],
        {"type": "array", "items": STR, "uniqueItems": True},
        ["a"],
        frozenset({"a"}),
        [1],
    ),
    "tuple": (
        tuple[int, str],
        {"type": "array", "prefixItems": [INT, STR], "minItems": 2, "maxItems": 2},
        [1, "a"],
        (1, "a"),
        [1],
    ),
    "tuple-open": (tuple[int, ...], {"type": "array", "items": INT}, [1, 2, 3], (1, 2, 3), ["a"]),
    "dict": (dict[str, int], {"type": "object", "additionalProperties": INT}, {"a": 1}, {"a": 1}, {"a": "b"}),
    "dict-bare": (dict, {"type": "object"}, {"a": 1}, {"a": 1}, []),
    "dict-any": (dict[str, Any], {"type": "object"}, {"a": []}, {"a": []}, []),
    "dict-int-keys": (
        dict[int, str],
        {"type": "object", "additionalProperties": STR},
        {"1": "a"},
        {1: "a"},
        {"1": 1},
    ),
    "mapping-enum": (
        Mapping[str, Color],
        {"type": "object", "additionalProperties": COLOR},
        {"a": "red"},
        {"a": Color.RED},
        {"a": "x"},
    ),
    "typed-dict": (Place, PLACE, {"city": "Rome"}, {"city": "Rome"}, {"zip": "1"}),
    "typed-dict-closed": (
        Place,
        PLACE,
        {"city": "A", "zip": "1"},
        {"city": "A", "zip": "1"},
        {"city": "A", "n": 1},
    ),
    "typed-dict-nested": (
        Stop,
        {
            "type": "object",
            "properties": {"place": PLACE, "color": COLOR},
            "required": ["place"],
            "additionalProperties": False,
        },
        {"place": {"city": "Rome"}, "color": "red"},
        {"place": {"city": "Rome"}, "color": Color.RED},
        {"color": "red"},
    ),
    "typed-dict-foreign": (
        Foreign,
        {"type": "object", "properties": {"n": INT}, "required": ["n"], "additionalProperties": False},
        {"n": 1},
        {"n": 1},
        {},
    ),
    "list-typed-dict": (
        list[Place],
        {"type": "array", "items": PLACE},
        [{"city": "A"}],
        [{"city": "A"}],
        [{}],
    ),
    "newtype": (UserId, INT, 7, 7, "7"),
    "newtype-annotated": (Code, {"type": "string", "pattern": "^[a-z]+$"}, "ab", "ab", "A"),
    "datetime": (
        datetime.datetime,
        {"type": "string", "format": "date-time-or-local"},
        "2026-03-01T12:00:00Z",
        NOON,
        1,
    ),
    "date": (datetime.date, {"type": "string", "format": "date"}, "2026-03-01", DAY, 1),
    "time": (datetime.time, {"type": "string", "format": "time-or-local"}, "12:30:00", datetime.time(12, 30), 1),
    "timedelta": (
        datetime.timedelta,
        {"type": "string", "format": "duration"},
        "PT90S",
        datetime.timedelta(seconds=90),
        1,
    ),
    "uuid": (uuid.UUID, {"type": "string", "format": "uuid"}, str(UUID4), UUID4, 1),
    "path": (pathlib.Path, {"type": "string", "format": "path"}, "/tmp/a", pathlib.Path("/tmp/a"), 1),
    "annotated-text": (Annotated[int, "How many."], {**INT, "description": "How many."}, 1, 1, "a"),
    "annotated-field": (
        Annotated[int, Field(ge=1, le=9, description="How many.")],
        {**INT, "minimum": 1, "maximum": 9, "description": "How many."},
        5,
        5,
        10,
    ),
    "annotated-both": (
        Annotated[str, "A code.", Field(max_length=3, examples=["abc"])],
        {**STR, "maxLength": 3, "examples": ["abc"], "description": "A code."},
        "ab",
        "ab",
        "abcd",
    ),
    "annotated-list": (
        Annotated[list[Color], Field(max_length=1)],
        {"type": "array", "items": {"$ref": "#/$defs/Color"}, "maxItems": 1},
        ["red"],
        [Color.RED],
        ["red", "red"],
    ),
    "annotated-inside": (
        list[Annotated[str, "A word."]],
        {"type": "array", "items": {**STR, "description": "A word."}},
        ["a"],
        ["a"],
        [1],
    ),
    "annotated-doc": (
        Annotated[str, typing_extensions.Doc("A word.")],
        {**STR, "description": "A word."},
        "a",
        "a",
        1,
    ),
    "forward-reference": ("Color", COLOR, "red", Color.RED, "blue"),
    "forward-inside": (list["Color"], {"type": "array", "items": COLOR}, ["red"], [Color.RED], ["blue"]),
    "dataclass": (Point, {"$ref": "#/$defs/Point"}, {"x": 1}, Point(1, 0), {"y": 1}),
    "dataclass-nested": (
        Line,
        {"$ref": "#/$defs/Line"},
        {"start": {"x": 1}, "end": {"x": 2, "y": 3}},
        Line(Point(1), Point(2, 3)),
        {"start": {}},
    ),
    "list-dataclass": (
        list[Point],
        {"type": "array", "items": {"$ref": "#/$defs/Point"}},
        [{"x": 1}],
        [Point(1)],
        [{}],
    ),
    "optional-dataclass": (
        Point | None,
        {"anyOf": [{"$ref": "#/$defs/Point"}, NULL]},
        {"x": 1},
        Point(1),
        {"x": "a"},
    ),
    "model": (
        Person,
        {"$ref": "#/$defs/Person"},
        {"name": "Ann", "born": "2026-03-01"},
        Person(name="Ann", born=DAY),
        {"born": None},
    ),
    "model-recursive": (
        Node,
        {"$ref": "#/$defs/Node"},
        {"value": 1, "children": [{"value": 2}]},
        Node(value=1, children=[Node(value=2)]),
        {"children": []},
    ),
    "model-strict": (Strict, ..., {"when": "2026-03-01T12:00:00Z"}, Strict(when=NOON), {"when": 1}),
    "model-or-int": (Person | int, ..., {"name": "Ann"}, Person(name="Ann"), "Ann"),
}


@pytest.mark.parametrize(("hint", "schema", "sent", "got", "refused"), TYPES.values(), ids=TYPES)
def test_type_hint_becomes_schema_and_the_function_gets_values_of_its_type(
    hint: Any, schema: Any, sent: Any, got: Any, refused: Any
) -> None:
    made, seen = taking(hint)
    parameters = made.spec.parameters
    assert parameters["required"] == ["value"]
    assert parameters["additionalProperties"] is False
    found = parameters["properties"]["value"]
    if schema is not ...:
        assert found == schema
    validator = jsonschema.Draft202012Validator(parameters)
    validator.check_schema(parameters)
    assert validator.is_valid({"value": sent})
    assert refused is ... or not validator.is_valid({"value": refused})

    outcome = asyncio.run(made.run({"value": sent}))

    assert outcome.status == "ok", outcome.error
    assert seen == [got]
    assert type(seen[0]) is type(got)


def test_definitions_of_all_parameters_stand_together_and_have_no_titles() -> None:
    def route(start: Point, line: Line, people: list[Person]) -> str:
        return ""

    parameters = tool(route).spec.parameters

    assert sorted(parameters["$defs"]) == ["Line", "Person", "Point"]
    assert "title" not in repr(parameters)


def test_property_named_title_survives() -> None:
    class Book(BaseModel):
        title: str

    made, _ = taking(Book)

    assert "title" in made.spec.parameters["$defs"]["Book"]["properties"]


def test_two_classes_of_one_name_are_told_apart() -> None:
    def make(kind: type) -> Any:
        return dataclasses.make_dataclass("Same", [("n", kind)])

    def both(a, b):  # type: ignore[no-untyped-def]  # hints below
        return f"{a.n!r} {b.n!r}"

    both.__annotations__ = {"a": make(int), "b": make(str)}
    made = tool(both)
    arguments = {"a": {"n": 1}, "b": {"n": "x"}}

    assert len(made.spec.parameters["$defs"]) == 2
    jsonschema.Draft202012Validator(made.spec.parameters).validate(arguments)
    assert asyncio.run(made.run(arguments)).content == "1 'x'"


def test_typed_dict_that_contains_itself_is_refused() -> None:
    with pytest.raises(ToolDefinitionError, match=r"'value'.*Endless contains itself"):
        taking(Endless)


def test_typed_dict_that_names_what_is_unknown_is_refused() -> None:
    with pytest.raises(ToolDefinitionError, match=r"'value'.*Dangling.*Nowhere"):
        taking(Dangling)


def test_value_that_the_type_refuses_is_an_error_the_model_can_read() -> None:
    made, seen = taking(Even)

    outcome = asyncio.run(made.run({"value": {"n": 3}}))

    assert outcome.status == "error"
    assert outcome.content == "Argument 'value.n': must be even"
    assert seen == []


@pytest.mark.parametrize(
    ("hint", "value"),
    [(datetime.date, "2026-13-45"), (uuid.UUID, "x"), (decimal.Decimal, "one"), (float, 10**400)],
    ids=["date", "uuid", "decimal", "float"],
)
def test_value_that_only_the_type_can_refuse_names_the_argument(hint: Any, value: Any) -> None:
    made, seen = taking(hint)

    outcome = asyncio.run(made.run({"value": value}))

    assert outcome.status == "error"
    assert "'value'" in outcome.content
    assert len(outcome.content) <= 240
    assert seen == []


def test_decimal_keeps_its_digits() -> None:
    made, seen = taking(decimal.Decimal)

    asyncio.run(made.run({"value": "0.10000000000000000000000001"}))

    assert seen == [decimal.Decimal("0.10000000000000000000000001")]


# id: (default, what the schema says; ... where it says nothing)
DEFAULTS: dict[str, tuple[Any, Any, Any]] = {
    "int": (int, 3, 3),
    "str": (str, "", ""),
    "none": (int | None, None, None),
    "list": (list[int], [1], [1]),
    "enum": (Color, Color.RED, "red"),
    "enum-by-name": (Shape, Shape.LINE, "LINE"),
    "date": (datetime.date, DAY, "2026-03-01"),
    "dataclass": (Point, Point(1, 2), {"x": 1, "y": 2}),
    "model": (Person, Person(name="Ann"), {"name": "Ann", "born": None}),
    "path": (pathlib.Path, pathlib.Path("/a"), "/a"),
    "tuple": (tuple[int, int], (1, 2), [1, 2]),
    "infinite": (float, float("inf"), ...),
    "sentinel": (Any, object(), ...),
}


@pytest.mark.parametrize(("hint", "default", "said"), DEFAULTS.values(), ids=DEFAULTS)
def test_default_is_declared_and_kept_for_calls_without_the_argument(hint: Any, default: Any, said: Any) -> None:
    seen = []

    def probe(value=default):  # type: ignore[no-untyped-def]  # the row says which type
        seen.append(value)

    probe.__annotations__ = {"value": hint}
    made = tool(probe)
    found = made.spec.parameters["properties"]["value"]
    asyncio.run(made.run({}))

    assert "required" not in made.spec.parameters
    assert found.get("default", ...) == said
    assert seen == [default]


def test_default_none_makes_a_type_optional() -> None:
    def probe(value: int = None) -> None: ...  # type: ignore[assignment]  # noqa: RUF013 - as people write it

    assert tool(probe).spec.parameters["properties"]["value"] == {"anyOf": [INT, NULL], "default": None}


def test_parameter_without_hint_takes_any_json() -> None:
    def probe(value, n=1):  # type: ignore[no-untyped-def]  # what it is about
        return [value, n]

    made = tool(probe)

    assert made.spec.parameters["properties"] == {"value": {}, "n": {"default": 1}}
    assert asyncio.run(made.run({"value": {"a": [None]}})).content == [{"a": [None]}, 1]


def test_function_without_parameters_declares_none() -> None:
    def now() -> str:
        return "noon"

    made = tool(now)

    assert made.spec.parameters == {"type": "object", "properties": {}, "additionalProperties": False}
    assert asyncio.run(made.run({})).content == "noon"


def test_positional_only_parameters_are_called_by_position() -> None:
    def power(base: int, exponent: int = 2, /, *, minus: int = 0) -> int:
        return int(base**exponent) - minus

    made = tool(power)

    assert asyncio.run(made.run({"base": 3})).content == 9
    assert asyncio.run(made.run({"minus": 1, "exponent": 3, "base": 2})).content == 7


def test_parameters_may_have_names_that_our_own_functions_use() -> None:
    def probe(function: str, self: int, call: str, context: str, name: str) -> str:
        return f"{function} {self} {call} {context} {name}"

    made = tool(probe)

    assert asyncio.run(made.run({"function": "f", "self": 1, "call": "c", "context": "x", "name": "n"})).content == (
        "f 1 c x n"
    )
    assert made(function="f", self=1, call="c", context="x", name="n") == "f 1 c x n"


def plain(user: str, context: ToolContext) -> str:
    return f"{user} for {context.user}"


def optional(user: str, context: ToolContext | None = None) -> str:
    return f"{user} for {context and context.user}"


def annotated(user: str, context: Annotated[ToolContext, "Who asks."]) -> str:
    return f"{user} for {context.user}"


def first(context: ToolContext, /, user: str) -> str:
    return f"{user} for {context.user}"


def as_text(user: "str", context: "ToolContext | None" = None) -> str:
    return f"{user} for {context and context.user}"


async def later(user: str, *, context: ToolContext) -> str:
    return f"{user} for {context.user}"


@pytest.mark.parametrize("function", [plain, optional, annotated, first, as_text, later])
def test_context_is_given_to_the_function_and_hidden_from_the_model(function: Callable[..., Any]) -> None:
    made = tool(function)

    assert list(made.spec.parameters["properties"]) == ["user"]
    assert made.spec.parameters["required"] == ["user"]
    assert asyncio.run(made.run({"user": "Bo"}, ToolContext(user="ann"))).content == "Bo for ann"


def test_context_imported_for_the_type_checker_only_is_understood() -> None:
    source = "def probe(user: 'str', context: 'ToolContext') -> 'Unknown':\n    return context.user"
    names: dict[str, Any] = {}
    exec(source, names)

    made = tool(names["probe"])

    assert list(made.spec.parameters["properties"]) == ["user"]
    assert asyncio.run(made.run({"user": "x"}, ToolContext(user="ann"))).content == "ann"


class Thermometer:
    def __init__(self, degrees: int) -> None:
        self.degrees = degrees

    def read(self, unit: Literal["C", "F"] = "C") -> str:
        """Reads the thermometer.

        Args:
            unit: Which scale.
        """
        return f"{self.degrees} {unit}"

    def __call__(self, unit: str) -> str:
        """Reads it when called."""
        return f"{self.degrees} {unit}"


def scale(value: float, factor: float, unit: str = "m") -> str:
    """Scales a value.

    Args:
        value: What to scale.
        factor: By how much.
    """
    return f"{value * factor} {unit}"


def test_bound_method_is_a_tool_without_its_object() -> None:
    made = tool(Thermometer(20).read)

    assert made.name == "read"
    assert made.description == "Reads the thermometer."
    assert made.spec.parameters["properties"] == {
        "unit": {"type": "string", "enum": ["C", "F"], "description": "Which scale.", "default": "C"}
    }
    assert asyncio.run(made.run({"unit": "F"})).content == "20 F"


def test_callable_object_is_a_tool_named_by_its_class() -> None:
    made = tool(Thermometer(20))

    assert (made.name, made.description) == ("Thermometer", "Reads it when called.")
    assert asyncio.run(made.run({"unit": "K"})).content == "20 K"


def test_what_a_partial_binds_is_hidden() -> None:
    made = tool(functools.partial(scale, factor=2, unit="km"))

    assert made.name == "scale"
    assert made.description == "Scales a value."
    assert made.spec.parameters["properties"] == {"value": {**NUM, "description": "What to scale."}}
    assert asyncio.run(made.run({"value": 3})).content == "6.0 km"
    assert list(tool(functools.partial(scale, 1.0)).spec.parameters["properties"]) == ["factor", "unit"]


def test_decorator_that_keeps_the_signature_is_looked_through() -> None:
    def loud(function: Callable[..., str]) -> Callable[..., str]:
        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> str:
            return function(*args, **kwargs).upper()

        return wrapper

    made = tool(loud(scale))

    assert list(made.spec.parameters["properties"]) == ["value", "factor", "unit"]
    assert asyncio.run(made.run({"value": 1, "factor": 2})).content == "2.0 M"


def test_cached_function_is_looked_through() -> None:
    made = tool(functools.lru_cache(scale))

    assert (made.name, made.description) == ("scale", "Scales a value.")
    assert asyncio.run(made.run({"value": 1, "factor": 2})).content == "2.0 m"


def star_args(*numbers: int) -> int:
    return sum(numbers)


def star_kwargs(**more: int) -> int:
    return 0


def unknown_name(a: "Nowhere") -> None: ...  # type: ignore[name-defined]  # noqa: F821


def broken_hint(a: "int |") -> None: ...  # type: ignore[valid-type]  # noqa: F722


def a_callback(a: Callable[[int], int]) -> None: ...


def any_class(a: Thermometer) -> None: ...


def an_iterator(a: Iterator[int]) -> None: ...


def gives_pieces(a: int) -> Iterator[int]:
    yield a


async def gives_pieces_later(a: int) -> typing.AsyncIterator[int]:
    yield a


REFUSED: dict[str, tuple[Callable[..., Any], str]] = {
    "args": (star_args, r"star_args\(\) takes \*numbers"),
    "kwargs": (star_kwargs, r"star_kwargs\(\) takes \*\*more"),
    "unknown-name": (unknown_name, r"unknown_name\(\).*'Nowhere'.*TYPE_CHECKING"),
    "broken-hint": (broken_hint, r"broken_hint\(\)"),
    "callable": (a_callback, r"a_callback\(\)"),
    "class": (any_class, r"'a' of .*any_class\(\).*Thermometer.*pydantic model"),
    "iterator": (an_iterator, r"'a' of .*an_iterator\(\)"),
    "method": (Thermometer.read, r"method without its object.*thing\.method"),
    "generator": (gives_pieces, r"gives_pieces\(\) yields"),
    "async-generator": (gives_pieces_later, r"gives_pieces_later\(\) yields"),
    "no-signature": (min, r"min\(\) has no signature"),
}


@pytest.mark.parametrize(("function", "message"), REFUSED.values(), ids=REFUSED)
def test_function_that_cannot_be_declared_is_refused_with_the_reason(
    function: Callable[..., Any], message: str
) -> None:
    with pytest.raises(ToolDefinitionError, match=message) as caught:
        tool(function)
    assert caught.value.hint


def test_result_hint_may_name_what_is_unknown() -> None:
    def probe(a: int) -> "Nowhere":  # type: ignore[name-defined]  # noqa: F821
        return a

    assert tool(probe).name == "probe"


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the syntax is new in Python 3.12")
def test_new_type_syntax_is_understood() -> None:
    names: dict[str, Any] = {}
    exec("type Ids = list[int]\ndef probe(ids: Ids) -> int:\n    return sum(ids)", names)

    assert asyncio.run(tool(names["probe"]).run({"ids": [1, 2]})).content == 3
