"""A tool as a Python function without a body, as the notation `tool_code` declares it.

    def get_weather(city: str, days: int = 1, unit: Literal["celsius", "fahrenheit"] = ...) -> dict:
        \"\"\"The weather in a city.

        Args:
            city: Name of the city.
            days: (1 to 14)
        \"\"\"

`= ...` stands for "may be left out", as in Python's own stub files: `| None = None` would invite a None, which is not
valid where the schema does not take null.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from gemmagraph.prompts.checking import schemas
from gemmagraph.prompts.messages import JSON, ToolSpec
from gemmagraph.prompts.notations.writing import KEY, python_value, quoted

_TYPES: Final = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}


def stub(spec: ToolSpec) -> str:
    """A tool as a function. It is Python, if the tool's names are."""
    parameters = schemas.flat(spec.parameters)
    head = f"def {spec.name}({', '.join(_parameters(parameters))}) -> dict:"
    lines = [line.strip() for line in spec.description.splitlines() if line.strip()]
    arguments = [f"    {line}" for line in _arguments(parameters)]
    if arguments:
        lines += ["", "Args:", *arguments]
    if not lines:
        return f"{head} ..."
    text = "\n    ".join(lines).replace('"""', "'''").replace("\n    \n", "\n\n")
    closing = '\n    """' if len(lines) > 1 or text.endswith(('"', "\\")) else '"""'
    return f'{head}\n    """{text}{closing}'


def _parameters(schema: Mapping[str, JSON]) -> Iterator[str]:
    """What stands between the brackets, in the declared order: those without names follow it."""
    required = schema.get("required", ())
    may_be_left_out = named_only = False
    for key, inner in schema["properties"].items():
        if not KEY.fullmatch(key):
            continue
        if key in required:
            if may_be_left_out and not named_only:
                named_only = True
                yield "*"
            yield f"{key}: {_type(inner)}"
            continue
        may_be_left_out = True
        if "default" in inner:
            yield f"{key}: {_type(inner)} = {python_value(inner['default'])}"
        else:
            yield f"{key}: {_type(inner)} = ..."
    if not all(map(KEY.fullmatch, schema["properties"])):
        yield "**others"


def _arguments(schema: Mapping[str, JSON]) -> Iterator[str]:
    """What is said of each parameter beside its type, and of what is inside it by the way to it: `to["street"]`."""
    required = schema.get("required", ())
    for key, inner in schema["properties"].items():
        words = _words(inner)
        if KEY.fullmatch(key):
            if words:
                yield f"{key}: {words}"
            yield from _inside(inner, key)
            continue
        must = "" if key in required else ", optional"
        yield f"**{{{quoted(key)}: …}} ({_type(inner)}{must}){f': {words}' if words else ''}"
        yield from _inside(inner, quoted(key))


def _inside(schema: Mapping[str, JSON], path: str) -> Iterator[str]:
    """What is said of the parts of a value."""
    required = schema.get("required", ())
    for key, inner in schema.get("properties", {}).items():
        must = "" if key in required else ", optional"
        words = _words(inner)
        yield f"{path}[{quoted(key)}] ({_type(inner)}{must}){f': {words}' if words else ''}"
        yield from _inside(inner, f"{path}[{quoted(key)}]")
    if isinstance(schema.get("items"), Mapping):
        yield from _inside(schema["items"], f"{path}[…]")
    for branch in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        yield from _inside(branch, path)


def _words(schema: Mapping[str, JSON]) -> str:
    """A description, bounds, and what no Python type says."""
    found = [schemas.note(schema)]
    if schema.get("type") == "string" and isinstance(schema.get("format"), str):
        found.append(f"(a text of the form {schema['format']})")
    values = _choices(schema)
    if values and not _are_plain(values):
        found.append(f"(one of {python_value(values)})")
    return " ".join(filter(None, found))


def _type(schema: Mapping[str, JSON]) -> str:
    values = _choices(schema)
    if values is not None:
        return f"Literal{python_value(values)}" if values and _are_plain(values) else "Any"
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return _any_of(map(_type, schema[key]))
    kind = schema.get("type")
    if isinstance(kind, list):
        return _any_of(_type({**schema, "type": each}) for each in kind)
    if kind == "array":
        items = schema.get("items")
        return f"list[{_type(items)}]" if isinstance(items, Mapping) and items else "list"
    if kind == "object" or (kind is None and schema.get("properties")):
        more = schema.get("additionalProperties")
        if isinstance(more, Mapping) and more and not schema.get("properties"):
            return f"dict[str, {_type(more)}]"
        return "dict"
    return _TYPES.get(str(kind), "Any")


def _any_of(types: Iterator[str]) -> str:
    kinds = dict.fromkeys(types)
    return "Any" if "Any" in kinds or not kinds else " | ".join(kinds)


def _choices(schema: Mapping[str, JSON]) -> list[JSON] | None:
    """The only values that it takes; None if there are others."""
    if "enum" in schema:
        return list(schema["enum"])
    return [schema["const"]] if "const" in schema else None


def _are_plain(values: Sequence[JSON]) -> bool:
    """Whether `Literal[…]` can hold them."""
    return all(value is None or isinstance(value, str | int | float) for value in values)
