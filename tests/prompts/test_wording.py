"""What a model is told around its tools: examples of use, and a wording of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gemmagraph.prompts import NotationError, PromptWriter, Toolset, ToolSpec, notation_named, read, turn_format
from gemmagraph.prompts.messages import ToolCall
from gemmagraph.prompts.notations.prompted import PromptedReader
from gemmagraph.prompts.notations.wording import use_wording

NOTATIONS = ("function_call", "json", "tool_code", "pythonic")
each_notation = pytest.mark.parametrize("notation", NOTATIONS)

CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city"],
}


def tool(name: str, *examples: Any) -> ToolSpec:
    return ToolSpec(name, "", CITY, examples)


def use(user: Any, **args: Any) -> dict[str, Any]:
    return {"user": user, "args": args}


def told(notation: str, *specs: ToolSpec) -> str:
    """What stands behind the declarations."""
    declared = notation_named(notation).declare(Toolset(specs))
    without = notation_named(notation).declare(Toolset(ToolSpec(spec.name, "", spec.parameters) for spec in specs))
    assert declared.startswith(without)
    return declared.removeprefix(without).strip()


# Examples.


@each_notation
def test_example_of_a_tool_is_shown_as_the_notation_writes_calls(notation: str) -> None:
    call = notation_named(notation).write_calls([ToolCall("", "weather", {"city": "Paris", "days": 2})])
    spec = tool("weather", use("Is it raining\n in Paris? ", city="Paris", days="2"))
    assert told(notation, spec) == f'Example: to "Is it raining in Paris?" you write:\n{call}'


@each_notation
def test_example_that_a_model_follows_is_a_call(notation: str) -> None:
    tools = Toolset([tool("weather", use("Rain?", city="Paris"))])
    shown = told(notation, *tools).partition("you write:\n")[2]
    reply = read(notation_named(notation), shown, tools)
    assert [dict(call.arguments) for call in reply.calls] == [{"city": "Paris"}]
    assert not reply.repaired


@each_notation
def test_one_example_of_a_tool_and_five_in_all_are_shown(notation: str) -> None:
    specs = [tool(f"tool{n}", use(f"Do {n}.", city="A"), use(f"Again {n}.", city="B")) for n in range(7)]
    text = told(notation, tool("quiet"), *specs)
    assert [n for n in range(7) if f'to "Do {n}." you write' in text] == [0, 1, 2, 3, 4]
    assert "Again" not in text


@each_notation
@pytest.mark.parametrize(
    "bad",
    [
        use("Rain?", city=None),
        use("Rain?"),
        use("Rain?", city="Paris", planet="Mars"),
        use("", city="Paris"),
        use(" \n", city="Paris"),
        use(None, city="Paris"),
        {"args": {"city": "Paris"}},
        {"user": "Rain?", "args": "Paris"},
        {"user": "Rain?", "args": None},
        {},
    ],
)
def test_example_that_is_none_is_left_out_and_the_next_one_shown(notation: str, bad: dict[str, Any]) -> None:
    assert told(notation, tool("weather", bad)) == ""
    assert 'to "Snow?" you write' in told(notation, tool("weather", bad, use("Snow?", city="Oslo")))


@each_notation
def test_example_without_arguments_may_leave_them_out(notation: str) -> None:
    text = told(notation, ToolSpec("now", "", {"properties": {}}, ({"user": "What time is it?"},)))
    assert text.startswith('Example: to "What time is it?" you write:\n')


@each_notation
def test_marks_in_an_example_are_defused(notation: str) -> None:
    spec = tool("weather", use("Hi<end_of_turn>", city="a<eos>b<|turn>c<tool_call|>"))
    writer = PromptWriter(turn_format("gemma"), notation_named(notation), Toolset([spec]))
    assert writer.defuse.finds(notation_named(notation).declare(writer.tools))
    assert not writer.defuse.finds(writer.declaration)
    assert 'to "Hi‹end_of_turn>" you write' in writer.declaration
    assert r"a\u003ceos>b\u003c|turn>c\u003ctool_call|>" in writer.declaration


@each_notation
def test_places_in_what_tools_say_are_not_filled_in(notation: str) -> None:
    spec = ToolSpec("f", "About {user}, {call} and {tools}.", CITY, (use("Say {call} {tools}", city="{user}"),))
    text = notation_named(notation).declare(Toolset([spec]))
    assert text.count("About {user}, {call} and {tools}.") == 1
    assert 'to "Say {call} {tools}" you write' in text
    assert '"{user}"' in text


# A wording of one's own.


def file(folder: Path, text: str | bytes) -> Path:
    path = folder / "mine.txt"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@each_notation
def test_wording_of_ones_own_stands_in(notation: str, tmp_path: Path) -> None:
    path = file(tmp_path, "\ufeffOutils :\r\n{tools}\r\n \r\nPour « {user} » :\n{call}\n\nMerci.\n")
    worded = use_wording(notation, path)
    text = worded.declare(Toolset([tool("a", use("Il pleut ?", city="Paris")), tool("b")]))
    own = notation_named(notation)
    assert text.startswith("Outils :\n")
    assert f"\n\nPour « Il pleut ? » :\n{own.write_calls([ToolCall('', 'a', {'city': 'Paris'})])}\n\nMerci." in text
    assert worded.name == notation
    assert worded.write_calls([]) == own.write_calls([])
    assert isinstance(worded.reader(Toolset()), PromptedReader)


@each_notation
def test_wording_of_ones_own_is_for_the_notation_that_got_it_only(notation: str, tmp_path: Path) -> None:
    before = notation_named(notation)
    expected = before.declare(Toolset([tool("a")]))
    use_wording(before, file(tmp_path, "{tools}"))
    assert before.declare(Toolset([tool("a")])) == expected
    assert notation_named(notation).declare(Toolset([tool("a")])) == expected


def test_wording_without_a_place_for_examples_shows_none(tmp_path: Path) -> None:
    worded = use_wording("function_call", file(tmp_path, "{tools}"))
    assert (
        worded.declare(Toolset([tool("a", use("Hi", city="Rome"))])) == "- a(city: string, days: integer (optional))"
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "holds {tools} 0 times, not once. The declarations of the tools are put in its place."),
        ("Tools: {tool}", "holds {tools} 0 times, not once. The declarations of the tools are put in its place."),
        ("{tools}\n{tools}", "holds {tools} 2 times, not once. The declarations of the tools are put in its place."),
        ("{tools}\n\n{user}", "lacks {call} in its paragraph for examples."),
        ("{tools}\n\n{call}", "lacks {user} in its paragraph for examples."),
        ("{tools}\n\n{user}\n\n{call}", "holds {user} or {call} in 2 paragraphs, not in one."),
        ("{tools}\n{user}: {call}", "holds {tools} in its paragraph for examples."),
        (b"{tools} \xff", "is not UTF-8 text: invalid start byte at byte 8."),
    ],
)
def test_wording_that_lacks_something_is_refused_with_the_file_and_what_it_is(
    tmp_path: Path, text: str | bytes, complaint: str
) -> None:
    path = file(tmp_path, text)
    with pytest.raises(NotationError) as refusal:
        use_wording("json", path)
    assert str(refusal.value) == f"The wording in {path} {complaint}"


def test_wording_that_cannot_be_read_is_refused_with_the_reason(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "no.txt", "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(NotationError) as refusal:
            use_wording("json", str(path))
        assert str(refusal.value) == f"The wording in {path} can not be read: {reason}."


@pytest.mark.parametrize("notation", ["gemma4", "functiongemma"])
def test_notation_that_a_model_was_trained_on_keeps_what_it_says(notation: str, tmp_path: Path) -> None:
    with pytest.raises(NotationError) as refusal:
        use_wording(notation, file(tmp_path, "{tools}"))
    assert str(refusal.value) == f"The notation {notation!r} has no wording that could be another."
