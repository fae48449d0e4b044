"""Answers of a given form: `Agent(output=…)`."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Literal

import jsonschema
import pytest
from pydantic import AwareDatetime, BaseModel, Field, NaiveDatetime, RootModel, field_validator

from gemmagraph import Agent, Gemma, Limits, tool
from gemmagraph.backends.scripted import ScriptedBackend
from gemmagraph.errors import AgentError, ToolDefinitionError
from gemmagraph.events import Reasked, ToolFinished
from gemmagraph.output import ANSWER, Output
from gemmagraph.prompts.grammar.calls import grammar
from gemmagraph.prompts.grammar.reply import reply_schema
from gemmagraph.prompts.toolset import Toolset

PATIENCE = 30


class Disk(BaseModel):
    """A disk."""

    path: str
    percent: int = Field(ge=0, le=100)


class Report(BaseModel):
    """What was found."""

    disks: list[Disk]
    checked: date
    note: str | None = None

    @field_validator("note")
    @classmethod
    def _short(cls, note: str | None) -> str | None:
        if note and len(note) > 20:
            raise ValueError("note must be shorter than 20 characters")
        return note


@tool(read_only=True)
def disk(path: str) -> int:
    """How full a disk is."""
    return 40


def agent(*replies, output, tools=(), **options) -> Agent:
    return Agent(Gemma(ScriptedBackend(replies)), tools, output=output, **options)


def given(text: str) -> str:
    return f"FUNCTION_CALL: final_answer({text})"


def collected(stream):
    async def collect():
        async with aclosing(stream) as events:
            return [event async for event in events]

    return asyncio.run(asyncio.wait_for(collect(), PATIENCE))


@dataclass
class Point:
    x: int
    y: int = 0


MORNING = datetime(2026, 5, 4, 9, 30)


class Visit(BaseModel):
    at: datetime
    day: date


class Nested(RootModel[list["Nested"]]):
    pass


TREE = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "children": {"type": "array", "items": {"$ref": "#"}}},
    "required": ["name"],
}


@pytest.mark.parametrize(
    ("kind", "written", "value"),
    [
        (Disk, 'path="/a", percent=40', Disk(path="/a", percent=40)),
        (Disk, 'path="/a", percent="40"', Disk(path="/a", percent=40)),
        (Point, "x=3", Point(3)),
        (list[int], "answer=[1, 2]", [1, 2]),
        (RootModel[list[int]], "answer=[1, 2]", RootModel[list[int]]([1, 2])),
        (int, "answer=7", 7),
        (Literal["yes", "no"], 'answer="no"', "no"),
        (date, 'answer="2026-11-21"', date(2026, 11, 21)),
        (list[Disk], 'answer=[{"path": "/a", "percent": 1}]', [Disk(path="/a", percent=1)]),
        (Disk | None, "answer=None", None),
        ({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}, "n=3", {"n": 3}),
        ({"type": "array", "items": {"$ref": "#/$defs/n"}, "$defs": {"n": {"type": "integer"}}}, "answer=[3]", [3]),
        ({"enum": ["a", "b"], "title": "Letter"}, 'answer="b"', "b"),
        (
            Visit,
            'at="2026-05-04 09:30", day="2026-05-04"',
            Visit(at=datetime(2026, 5, 4, 9, 30), day=date(2026, 5, 4)),
        ),
        (list[NaiveDatetime], 'answer=["2026-05-04T09:30:00"]', [MORNING]),
        (time, 'answer="09:30"', time(9, 30)),
        (AwareDatetime, 'answer="2026-05-04T09:30:00Z"', MORNING.replace(tzinfo=UTC)),
        (
            TREE,
            'name="a", children=[{"name": "b", "children": [{"name": "c"}]}]',
            {"name": "a", "children": [{"name": "b", "children": [{"name": "c"}]}]},
        ),
        ({"type": "array", "items": {"$ref": "#"}}, "answer=[[], [[]]]", [[], [[]]]),
        (Nested, "answer=[[], [[]]]", Nested([Nested([]), Nested([Nested([])])])),
    ],
    ids=lambda value: getattr(value, "__name__", ascii(value))[:40] if not isinstance(value, str) else "",
)
def test_the_answer_is_of_the_type_that_was_asked_for(kind, written, value):
    result = agent(given(written), output=kind).run("?")
    assert (result.stop, result.output) == ("answered", value)
    assert type(result.output) is type(value)


@pytest.mark.parametrize(
    ("kind", "wrong", "right", "words"),
    [
        (NaiveDatetime, '"2026-05-04T09:30:00Z"', '"2026-05-04T09:30:00"', "without an offset"),
        (AwareDatetime, '"2026-05-04T09:30:00"', '"2026-05-04T09:30:00Z"', "09:30:00Z"),
        (datetime, '"in May"', '"2026-05-04T09:30:00"', "a date and time like"),
        ({"type": "string", "format": "date-time"}, '"2026-05-04T09:30:00"', '"2026-05-04T09:30:00Z"', "09:30:00Z"),
        ({"type": "array", "items": {"$ref": "#"}}, "[[], [3]]", "[[], []]", "array"),
        (Nested, "[[], [3]]", "[[], []]", "array"),
    ],
    ids=["naive", "aware", "either", "plain", "list of lists", "class of lists"],
)
def test_what_the_type_would_refuse_is_refused_with_the_reply(kind, wrong, right, words):
    events = collected(agent(given(f"answer={wrong}"), given(f"answer={right}"), output=kind).stream("?"))
    (reasked,) = [event for event in events if isinstance(event, Reasked)]
    assert words in reasked.reason
    assert events[-1].result.stop == "answered"


@pytest.mark.parametrize("kind", [TREE, {"type": "array", "items": {"$ref": "#"}}, Nested, NaiveDatetime], ids=repr)
def test_a_grammar_can_be_made_of_it(kind):
    tools = [Output(kind).tool.spec]
    assert grammar("json", tools, "required").gbnf
    schema = reply_schema(tools, "required", several=False)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    example = Toolset(tools).checker(ANSWER).example_arguments()
    assert validator.is_valid({"name": ANSWER, "arguments": example})
    assert not validator.is_valid({"name": ANSWER, "arguments": {"answer": [[[3]]], "name": 3}})


def test_tools_may_be_called_before_the_answer():
    replies = ['FUNCTION_CALL: disk(path="/a")', given('disks=[{"path": "/a", "percent": 40}], checked="2026-11-21"')]
    result = agent(*replies, output=Report, tools=[disk]).run("how full?")
    assert result.output == Report(disks=[Disk(path="/a", percent=40)], checked=date(2026, 11, 21))
    assert result.text == '{"disks": [{"path": "/a", "percent": 40}], "checked": "2026-11-21"}'
    assert [record.name for record in result.calls] == ["disk", "final_answer"]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("It is 40% full.", "Call a tool now"),
        (given('path="/a", percent=140'), "100"),
        (given('path="/a"'), "percent"),
        (given('path="/a", percent=4, more=1'), "more"),
    ],
    ids=["text", "too big", "missing", "undeclared"],
)
def test_what_is_no_such_answer_is_asked_for_again_with_the_reason(wrong, words):
    events = collected(agent(wrong, given('path="/a", percent=40'), output=Disk).stream("?"))
    (reasked,) = [event for event in events if isinstance(event, Reasked)]
    assert words in reasked.reason
    assert events[-1].result.output == Disk(path="/a", percent=40)


def test_what_only_the_type_can_refuse_is_told_to_the_model():
    disks = 'disks=[], checked="2026-11-21"'
    made = agent(given(f'{disks}, note="{"much " * 9}"'), given(f'{disks}, note="short"'), output=Report)
    events = collected(made.stream("?"))
    finished = [event for event in events if isinstance(event, ToolFinished)]
    assert [event.status for event in finished] == ["error", "ok"]
    assert "shorter than 20" in finished[0].content
    assert events[-1].result.output.note == "short"


def test_an_answer_beside_a_call_waits_for_its_result():
    early = 'FUNCTION_CALL: disk(path="/a")\n' + given('path="/a", percent=0')
    result = agent(early, given('path="/a", percent=40'), output=Disk, tools=[disk]).run("?")
    assert result.output == Disk(path="/a", percent=40)


def test_an_answer_given_too_early_and_again_is_told_without_a_word_to_the_model():
    answer = given('path="/a", percent=1')
    early = f'{answer}\nFUNCTION_CALL: disk(path="/a")'
    result = agent(early, answer, output=Disk, tools=[disk]).run("?")
    assert (result.stop, result.output) == ("answered", Disk(path="/a", percent=1))
    assert json.loads(result.text) == {"path": "/a", "percent": 1}


def test_a_model_that_gives_none_fails_the_run_and_keeps_the_conversation():
    made = agent("no", "no", "no", given('path="/a", percent=40'), output=Disk)
    result = made.run("?", thread="t")
    assert (result.stop, result.output, result.text) == ("failed", None, "")
    assert "no answer of the form" in result.reason
    assert made.run("again", thread="t").output == Disk(path="/a", percent=40)


def test_a_limit_leaves_no_answer():
    result = agent('FUNCTION_CALL: disk(path="/a")', output=Disk, tools=[disk], limits=Limits(steps=1)).run("?")
    assert (result.stop, result.output) == ("limit", None)


def test_an_answer_is_never_cut():
    result = agent(given(f'path="{"x" * 20_000}", percent=1'), output=Disk).run("?")
    assert len(result.output.path) == 20_000
    assert len(result.text) > 20_000


def test_each_question_of_a_thread_has_an_answer_of_its_own():
    made = agent(given('path="/a", percent=1'), given('path="/b", percent=2'), output=Disk)
    assert [made.run("?", thread="t").output.path for _ in range(2)] == ["/a", "/b"]


def test_without_output_there_is_none():
    assert Agent(Gemma(ScriptedBackend(["hi"]))).run("?").output is None


def test_a_tool_of_the_same_name_is_refused():
    @tool
    def final_answer() -> str:
        """Mine."""
        return ""

    with pytest.raises(AgentError, match="Rename yours"):
        agent("?", output=Disk, tools=[final_answer])


def test_what_cannot_be_filled_in_is_refused():
    class Odd:
        pass

    with pytest.raises(ToolDefinitionError, match="cannot be filled in"):
        agent("?", output=Odd)
