"""What can stand in `tools=`: functions, tools, models, LangChain tools, lists."""

import asyncio
import datetime
from typing import Any

import pytest
from langchain_core.tools import tool as langchain_tool
from pydantic import BaseModel, Field, RootModel, model_validator

from gemmagraph.tools import Tool, ToolDefinitionError, to_tool, to_tools, tool


def add(a: int, b: int) -> int:
    """Adds."""
    return a + b


class Other:
    def add(self, a: int) -> int:
        return a


@langchain_tool
def multiply(a: int, b: int) -> int:
    """Multiplies."""
    return a * b


class Booking(BaseModel):
    """A table in a restaurant."""

    guests: int = Field(ge=1, description="How many people.")
    day: datetime.date
    self: str = "a field may have any name"

    @model_validator(mode="after")
    def not_on_sundays(self) -> "Booking":
        if self.day.weekday() == 6:
            raise ValueError("we are closed on Sundays")
        return self


class Folder(BaseModel):
    name: str
    inside: list["Folder"] = []


class Words(RootModel[list[str]]):
    pass


def test_function_tool_and_langchain_tool_become_tools() -> None:
    made = tool(add, name="plus")

    tools = to_tools([add, made, multiply])

    assert [made.name for made in tools] == ["add", "plus", "multiply"]
    assert tools[1] is made


def test_lists_inside_the_list_are_opened() -> None:
    names = [made.name for made in to_tools([add, [multiply, (tool(add, name="plus"), [])]])]

    assert names == ["add", "multiply", "plus"]


def test_same_tool_twice_counts_once() -> None:
    made = tool(add)

    assert to_tools([made, [made]]) == [made]


@pytest.mark.parametrize("lists", [True, False])
def test_two_tools_of_one_name_are_refused_naming_both(lists: bool) -> None:
    things: list[Any] = [add, Other().add]

    with pytest.raises(ToolDefinitionError, match=r"named 'add': .*test_sources\.add\(\) and .*Other\.add\(\)"):
        to_tools([things, []] if lists else things)


def test_clash_names_what_the_tools_were_made_from() -> None:
    with pytest.raises(ToolDefinitionError, match=r"test_sources\.multiply\(\) and .*test_sources\.Booking\(\)"):
        to_tools([multiply, tool(to_tool(Booking), name="multiply")])


@pytest.mark.parametrize("thing", [1, "add", None, {"name": "add"}, Other, int, dict[str, int]], ids=repr)
def test_what_cannot_be_a_tool_is_refused_with_what_can(thing: Any) -> None:
    with pytest.raises(ToolDefinitionError):
        to_tool(thing)


def test_model_is_a_form_that_answers_with_what_was_validated() -> None:
    form = to_tool(Booking)

    assert (form.name, form.description) == ("Booking", "A table in a restaurant.")
    assert (form.read_only, form.idempotent) == (True, True)
    assert form.spec.parameters["required"] == ["guests", "day"]
    assert form.spec.parameters["properties"]["guests"] == {
        "type": "integer",
        "minimum": 1,
        "description": "How many people.",
    }
    outcome = asyncio.run(form.run(form.check({"guests": 2, "day": "2026-03-02", "self": "x"})))
    assert outcome.content == {"guests": 2, "day": "2026-03-02", "self": "x"}
    assert isinstance(form(guests=2, day="2026-03-02"), Booking)


def test_form_that_the_model_class_refuses_is_told_to_the_model() -> None:
    outcome = asyncio.run(to_tool(Booking).run({"guests": 2, "day": "2026-03-01"}))

    assert (outcome.status, outcome.content) == ("error", "we are closed on Sundays")


def test_model_that_contains_itself_is_a_form() -> None:
    form = to_tool(Folder)
    arguments = {"name": "a", "inside": [{"name": "b", "inside": []}]}

    assert list(form.spec.parameters["properties"]) == ["name", "inside"]
    assert asyncio.run(form.run(form.check(arguments))).content == arguments


def test_model_that_is_no_object_is_refused() -> None:
    with pytest.raises(ToolDefinitionError, match="Words must be an object"):
        to_tool(Words)


def test_every_source_ends_in_the_same_value() -> None:
    assert {type(made) for made in to_tools([add, multiply, Booking])} == {Tool}
