"""Notations by name, a notation of one's own, and what a model is told of a call that is none."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from gemmagraph.prompts.errors import NotationError
from gemmagraph.prompts.messages import BadCall, ToolCall, ToolResult, ToolSpec
from gemmagraph.prompts.notation import Reader, notation_named, notation_names, read, register_notation
from gemmagraph.prompts.toolset import Toolset

DATA = Path(__file__).parent.parent / "data"
NOTATIONS = ("function_call", "json", "tool_code", "pythonic")
each_notation = pytest.mark.parametrize("notation", NOTATIONS)
BUILT_IN = notation_names()

TOOLS = Toolset(
    [
        ToolSpec("get_weather", "", {"properties": {"city": {"type": "string"}}, "required": ["city"]}),
        ToolSpec("get_time", "", {"properties": {"city": {"type": "string"}}, "required": ["city"]}),
    ]
)
EXAMPLES = {
    "function_call": 'FUNCTION_CALL: get_weather(city="Paris")',
    "json": '{"name": "get_weather", "arguments": {"city": "Paris"}}',
    "tool_code": 'get_weather(city="Paris")',
    "pythonic": '[get_weather(city="Paris")]',
}


@each_notation
def test_notation_is_found_by_its_name(notation: str) -> None:
    assert notation_named(notation).name == notation
    assert notation in notation_names()


def test_unknown_notation_is_refused_with_those_there_are() -> None:
    with pytest.raises(NotationError) as refusal:
        notation_named("xml")
    assert str(refusal.value) == f"There is no notation 'xml'. Known are: {', '.join(BUILT_IN)}."
    assert {*NOTATIONS} <= {*BUILT_IN}


class Loud:
    """`function_call`, but each call in capitals, to be told apart."""

    name = "loud"
    turns: str | None = None

    def declare(self, tools: Toolset) -> str:
        return "SHOUT."

    def write_calls(self, calls: Sequence[ToolCall]) -> str:
        return notation_named("function_call").write_calls(calls).upper()

    def write_results(self, results: Sequence[ToolResult]) -> str:
        return "HEARD."

    def reader(self, tools: Toolset) -> Reader:
        return notation_named("function_call").reader(tools)


def test_notation_of_ones_own_is_found_beside_the_built_in_ones() -> None:
    register_notation("loud", Loud)
    assert isinstance(notation_named("loud"), Loud)
    assert notation_names() == sorted([*BUILT_IN, "loud"])


def test_notation_of_ones_own_may_take_the_place_of_a_built_in_one() -> None:
    register_notation("json", Loud)
    assert isinstance(notation_named("json"), Loud)
    assert notation_names() == BUILT_IN


ODD_NAMES = [
    "my tool", "a(b", "a)", "f:", "1st", "x" * 64, "x" * 300, "tool\nname", '"q"', "it's", "`f`", "f[0]", "f=1",
    "a,b", "", "<eos>", "<tool_call>", "</tool_call>", "ns:tool", "fs.read", "a/b", "create-pdf", "数据", "ﬁle",
    "None", "print", "\\", "# f", "FUNCTION_CALL: f", "f()", "{", "]", "```",
]  # fmt: skip


@each_notation
@pytest.mark.parametrize("name", ODD_NAMES, ids=ascii)
def test_call_is_read_back_whatever_the_tool_and_its_argument_are_named(notation: str, name: str) -> None:
    made = notation_named(notation)
    tools = Toolset([ToolSpec(name, "", {"type": "object", "additionalProperties": True}), *TOOLS])
    for key in [*ODD_NAMES, "from", "a b", "**x", "x" * 65]:
        calls = [ToolCall("", name, {key: 1}), ToolCall("", "get_time", {"city": "Rome"})]
        reply = read(made, made.write_calls(calls), tools)
        assert [(call.name, dict(call.arguments)) for call in reply.calls] == [
            (call.name, dict(call.arguments)) for call in calls
        ]
        assert (reply.text, reply.bad_calls, reply.repaired) == ("", (), False)


# What the model is told.


def bad_call(notation: str, output: str, tools: Toolset = TOOLS) -> BadCall:
    reply = read(notation_named(notation), output, tools)
    assert reply.calls == ()
    assert len(reply.bad_calls) == 1
    return reply.bad_calls[0]


def write(notation: str, name: str, **arguments: Any) -> str:
    return notation_named(notation).write_calls([ToolCall("", name, arguments)])


@each_notation
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tell_weather", '"tell_weather" is not a tool, did you mean "get_weather"? Tools: get_weather, get_time.'),
        ("getTime", '"getTime" is not a tool, did you mean "get_time"? Tools: get_weather, get_time.'),
        ("send_mail", '"send_mail" is not a tool. Tools: get_weather, get_time.'),
    ],
)
def test_unknown_tool_is_answered_with_those_that_are_near(notation: str, name: str, message: str) -> None:
    bad = bad_call(notation, write(notation, name, city="Paris"))
    assert (bad.kind, bad.tool, bad.message) == ("unknown_tool", name, message)


def test_call_without_any_tools_is_answered_with_that() -> None:
    bad = bad_call("function_call", write("function_call", "get_time"), Toolset())
    assert bad.message == '"get_time" is not a tool, and there are no others. Answer in words.'


MALFORMED = {
    "function_call": [
        ("FUNCTION_CALL: get_weather(city=Paris)", "Paris is not quoted"),
        (
            "FUNCTION_CALL: get_weather(city=today())",
            "today(…) is a call inside a call; arguments must be plain values",
        ),
        ('FUNCTION_CALL: get_weather(city="A", city="B")', "city is given twice with different values"),
        ('FUNCTION_CALL: get_weather city="Paris"', "brackets are missing behind the name"),
        ('FUNCTION_CALL: get_weather(city=f"{home}")', "an f-string is not a plain value"),
        ('FUNCTION_CALL: get_weather("Paris" + "x")', """a comma is missing before + "x")"""),
    ],
    "json": [
        ('{"name": "get_weather", "arguments": {"city": Paris}}', "Paris is not quoted"),
        (
            '{"name": "get_weather", "arguments": {"city": "A", "city": "B"}}',
            "city is given twice with different values",
        ),
        ('{"name": "get_weather", "arguments": "Paris"}', "its arguments can not be read: Paris is not quoted"),
        ('{"name": "get_weather", "arguments": 5}', "its arguments must be an object"),
        ('{"name": "get_weather", "arguments": {"city": "A", "x" "B"}}', 'a colon is missing after "x"'),
    ],
    "tool_code": [
        ("```tool_code\nget_weather(city=Paris)\n```", "Paris is not quoted"),
        ('```tool_code\nweather = get_weather(city="Paris")\n```', "only calls may stand in it"),
        (
            '```tool_code\nprint(get_weather(city="A"), get_weather(city="B"))\n```',
            "only a call may stand in print()",
        ),
    ],
    "pythonic": [
        ("[get_weather(city=Paris)]", "Paris is not quoted"),
        ("[get_weather(city=home) for home in homes]", "only whole calls may stand in a list"),
    ],
}


@pytest.mark.parametrize(
    ("notation", "output", "reason"),
    [(notation, *row) for notation, rows in MALFORMED.items() for row in rows],
)
def test_malformed_call_is_answered_with_the_reason_and_a_right_call(notation: str, output: str, reason: str) -> None:
    bad = bad_call(notation, output)
    assert (bad.kind, bad.tool) == ("malformed", "get_weather")
    assert bad.message == f"This call can not be read: {reason}. Write it like this: {EXAMPLES[notation]}"


@pytest.mark.parametrize(
    ("notation", "output"),
    [
        ("function_call", 'FUNCTION_CALL: get_weather(city="Par'),
        ("function_call", 'FUNCTION_CALL: get_weather(city="Paris"'),
        ("json", '{"name": "get_weather", "arguments": {"city": "Par'),
        ("json", '{"name": "get_weather", "arguments": {"city": "Paris"}'),
        ("tool_code", '```tool_code\nget_weather(city="Par'),
        ("tool_code", '```tool_code\nget_weather(city="Paris"'),
        ("pythonic", '[get_weather(city="Par'),
        ("pythonic", '[get_weather(city="Paris"'),
    ],
)
def test_call_that_was_cut_is_answered_with_a_whole_one(notation: str, output: str) -> None:
    bad = bad_call(notation, output)
    assert (bad.kind, bad.tool) == ("unterminated", "get_weather")
    assert bad.message == f"The call was cut off before its end. Write it like this: {EXAMPLES[notation]}"


@each_notation
def test_right_call_in_a_message_is_one(notation: str) -> None:
    """Whoever copies it is understood: over all cases on file."""
    made = notation_named(notation)
    shown = 0
    sets = json.loads((DATA / "toolsets.json").read_text("utf-8"))
    for line in (DATA / notation / "cases.jsonl").read_text("utf-8").splitlines():
        case = json.loads(line)
        functions = [tool["function"] for tool in sets[case["tools"]]]
        tools = Toolset(ToolSpec(each["name"], each["description"], each["parameters"]) for each in functions)
        for bad in read(made, case["output"], tools, case.get("stop", "stop")).bad_calls:
            assert 0 < len(bad.message) <= 240, case["id"]
            _, like, example = bad.message.partition("Write it like this: ")
            if like:
                shown += 1
                assert read(made, example, tools).calls, (case["id"], bad.message)
    assert shown > 20


LONG = "x" * 5000


@pytest.mark.parametrize(
    "output",
    [
        f'FUNCTION_CALL: get_weather(city="{LONG}',
        f"FUNCTION_CALL: get_weather(city={LONG})",
        f'FUNCTION_CALL: get_weather(city="a", {LONG}="b", {LONG}="c")',
        f"FUNCTION_CALL: get_weather(city={'[' * 300}1{']' * 300})",
        f'FUNCTION_CALL: {LONG}(city="a")',
        f'FUNCTION_CALL: {"get_weather." * 15}(city="a")',
        'FUNCTION_CALL: get_weather("' + '", "'.join("abc") + '")',
        '{"name": "' + LONG + '", "arguments": {}}',
        '{"name": "get_weather", "arguments": {"' + LONG + '": x}}',
        f'```json\n{{"name": "get_weather", "arguments": "{LONG}"}}\n```',
    ],
)  # fmt: skip
@each_notation
def test_message_stays_short_whatever_was_written(notation: str, output: str) -> None:
    for tools in (TOOLS, Toolset([ToolSpec(LONG, "", {"properties": {LONG: {"enum": [LONG]}}, "required": [LONG]})])):
        for bad in read(notation_named(notation), output, tools).bad_calls:
            assert 0 < len(bad.message) <= 240
            assert "\n" not in bad.message
