"""Tools as Python functions, and results in fences that nothing in a result can close."""

from __future__ import annotations

import ast
import json
import random
import re
from pathlib import Path
from typing import Any

import pytest

from gemmagraph.prompts.messages import ToolResult, ToolSpec
from gemmagraph.prompts.notation import notation_named, read
from gemmagraph.prompts.notations.stubs import stub
from gemmagraph.prompts.toolset import Toolset

DATA = Path(__file__).parent.parent / "data"

STREET = {"type": "object", "properties": {"street": {"type": "string", "description": "With number."}}}

TYPES: dict[str, tuple[Any, str]] = {
    "string": ({"type": "string"}, "str"),
    "integer": ({"type": "integer", "minimum": 1}, "int"),
    "number": ({"type": "number"}, "float"),
    "boolean": ({"type": "boolean"}, "bool"),
    "null": ({"type": "null"}, "None"),
    "list": ({"type": "array"}, "list"),
    "list-of-something": ({"type": "array", "items": {"type": "integer"}}, "list[int]"),
    "list-of-lists": (
        {"type": "array", "items": {"type": "array", "items": {"enum": [1]}}},
        "list[list[Literal[1]]]",
    ),
    "list-of-anything": ({"type": "array", "items": True}, "list"),
    "enum": ({"type": "string", "enum": ["a", 'b"', None, 1, True]}, 'Literal["a", "b\\"", None, 1, True]'),
    "enum-of-lists": ({"enum": [[1], [2]]}, "Any"),
    "const": ({"const": "a"}, 'Literal["a"]'),
    "type-list": ({"type": ["string", "null"]}, "str | None"),
    "any-of": ({"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "string"}]}, "str | int"),
    "any-of-anything": ({"anyOf": [{"type": "string"}, {}]}, "Any"),
    "one-of": ({"oneOf": [{"type": "array", "items": {"type": "string"}}, {"const": 0}]}, "list[str] | Literal[0]"),
    "object": ({"type": "object"}, "dict"),
    "object-with-keys": (STREET, "dict"),
    "object-by-its-keys": ({"properties": {"a": True}}, "dict"),
    "map": ({"type": "object", "additionalProperties": {"type": "integer"}}, "dict[str, int]"),
    "reference": ({"$ref": "#/$defs/Street"}, "dict"),
    "anything": (True, "Any"),
}


@pytest.mark.parametrize(("schema", "words"), TYPES.values(), ids=TYPES)
def test_type_is_told_as_pythons(schema: Any, words: str) -> None:
    parameters = {"properties": {"a": schema}, "required": ["a"], "$defs": {"Street": STREET}}
    written = stub(ToolSpec("f", "", parameters))
    assert written.splitlines()[0].removesuffix(" ...") == f"def f(a: {words}) -> dict:"
    assert ast.parse(written)


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "string"}, "a: str = ..."),
        ({"type": "integer", "default": 3}, "a: int = 3"),
        ({"type": "boolean", "default": False}, "a: bool = False"),
        ({"type": "string", "default": 'é"'}, 'a: str = "é\\""'),
        ({"type": "array", "default": [{"k": None}]}, 'a: list = [{"k": None}]'),
        ({"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}, "a: str = ..."),
    ],
)
def test_parameter_that_may_be_left_out_is_told_with_its_default(schema: Any, words: str) -> None:
    assert stub(ToolSpec("f", "", {"properties": {"a": schema}})) == f"def f({words}) -> dict: ..."


def test_required_parameter_behind_one_that_may_be_left_out_keeps_its_place() -> None:
    parameters = {"properties": {"a": {"type": "integer"}, "b": {}, "c": {"type": "string"}}, "required": ["b", "c"]}
    written = stub(ToolSpec("f", "", parameters))
    assert written == "def f(a: int = ..., *, b: Any, c: str) -> dict: ..."
    assert ast.parse(written)


def test_everything_a_signature_cannot_say_stands_below_it() -> None:
    parameters = {
        "properties": {
            "to": {**STREET, "description": "Where  to.", "required": ["street"]},
            "items": {"type": "array", "minItems": 1, "items": {"properties": {"count": {"type": "integer"}}}},
            "day": {"type": "string", "format": "date"},
            "pair": {"enum": [[1, 2], [3]]},
            "share": {"type": "number", "minimum": 0, "maximum": 1},
            "x-note": {"type": "string", "description": "For us."},
            "quiet": {"type": "boolean"},
        },
        "required": ["to", "x-note"],
    }
    written = stub(ToolSpec("ship", "Ships it.\n\n  By post. ", parameters))
    assert written.splitlines() == [
        "def ship(to: dict, items: list[dict] = ..., day: str = ..., pair: Any = ..., share: float = ...,"
        " quiet: bool = ..., **others) -> dict:",
        '    """Ships it.',
        "    By post.",
        "",
        "    Args:",
        "        to: Where to.",
        '        to["street"] (str): With number.',
        "        items: (at least 1 items)",
        '        items[…]["count"] (int, optional)',
        "        day: (a text of the form date)",
        "        pair: (one of [[1, 2], [3]])",
        "        share: (0 to 1)",
        '        **{"x-note": …} (str): For us.',
        '    """',
    ]
    assert ast.parse(written)


@pytest.mark.parametrize(
    "description", ['Say "hi"', 'A """doc""" string', "ends in \\\\", "", '"', "\n\n", "a\n\n\nb"]
)
def test_description_cannot_end_the_docstring(description: str) -> None:
    """The rest of it would be code, and the next tool a part of a text."""
    written = stub(ToolSpec("f", description)) + "\n" + stub(ToolSpec("g"))
    parsed = ast.parse(written).body
    assert [each.name for each in parsed if isinstance(each, ast.FunctionDef)] == ["f", "g"]


def test_tools_on_file_are_told_in_python() -> None:
    named = 0
    for functions in json.loads((DATA / "toolsets.json").read_text("utf-8")).values():
        for function in (tool["function"] for tool in functions):
            written = stub(ToolSpec(function["name"], function["description"], function["parameters"]))
            if function["name"].isidentifier():
                (parsed,) = ast.parse(written).body
                assert isinstance(parsed, ast.FunctionDef)
                arguments = [each.arg for each in (*parsed.args.args, *parsed.args.kwonlyargs)]
                assert arguments == list(function["parameters"]["properties"])
                named += 1
    assert named > 10


# Results.


def blocks(text: str) -> list[tuple[str, str]]:
    """The fenced blocks of a Markdown text, by its own rule: a line of at least as many backticks closes one. Word
    and content; text outside of fences under the word "(text)"."""
    found: list[tuple[str, str]] = []
    fence = word = ""
    inside: list[str] = []
    for line in text.splitlines(keepends=True):
        bare = line.rstrip("\r\n")
        if fence:
            closes = re.fullmatch(r" {0,3}(`{3,})[ \t]*", bare)
            if closes and len(closes.group(1)) >= len(fence):
                found.append((word, "".join(inside)))
                fence, inside = "", []
            else:
                inside.append(line)
        elif opens := re.fullmatch(r" {0,3}(`{3,})([^`]*)", bare):
            fence, word = opens.group(1), opens.group(2).strip()
        else:
            found.append(("(text)", line))
    assert not fence
    return found


def results_text(*results: ToolResult) -> str:
    return notation_named("tool_code").write_results(results)


def test_result_is_named_and_an_error_is_told_from_it() -> None:
    text = results_text(ToolResult("", "f", {"a": [True]}), ToolResult("", "g", "no", True), ToolResult("", "h", " "))
    assert blocks(text) == [
        ("tool_output", 'f returned:\n{"a": [true]}\n'),
        ("tool_output", "g failed:\nno\n"),
        ("tool_output", "h returned:\n(empty)\n"),
    ]


def test_no_result_gets_out_of_its_fence() -> None:
    chance = random.Random("results")
    bits = (
        "`",
        "``",
        "```",
        "````",
        "\n",
        "\n```\n",
        "\r\n````",
        "```tool_code\n",
        "f()",
        " ",
        "tool_output",
        "~~~",
        "é",
    )
    for _ in range(2_000):
        contents = ["".join(chance.choices(bits, k=chance.randint(0, 12))) for _ in range(3)]
        text = results_text(*(ToolResult("", "f", content) for content in contents))
        assert blocks(text) == [
            ("tool_output", f"f returned:\n{content if content.strip() else '(empty)'}\n") for content in contents
        ]


def test_result_that_a_model_repeats_calls_nothing() -> None:
    tools = Toolset([ToolSpec("f")])
    for content in ("```tool_code\nf()\n```", "```\n```tool_code\nf()\n```", "f()", "````\nf()"):
        assert read(notation_named("tool_code"), results_text(ToolResult("", "f", content)), tools).calls == ()
