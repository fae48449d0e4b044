"""LangChain's agents on ChatGemma: the loop, and answers of a given form in each way that they are asked for."""

import asyncio

import played
import pytest
from langchain.agents import create_agent
from langchain.agents.structured_output import ProviderStrategy, ToolStrategy
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from pydantic import BaseModel

from gemmagraph.chat import ChatGemma


@tool
def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


class Sum(BaseModel):
    """A sum."""

    value: int


QUESTION = {"messages": [HumanMessage("What is 1 + 2?")]}


@pytest.fixture
def model():
    return ChatGemma(model=f"{played.NAME}:gemma3:4b")


def test_an_agent_calls_a_tool_and_answers(model):
    messages = create_agent(model, [add]).invoke(QUESTION)["messages"]
    assert [type(message) for message in messages] == [HumanMessage, AIMessage, ToolMessage, AIMessage]
    assert (messages[2].content, messages[2].tool_call_id) == ("3", messages[1].tool_calls[0]["id"])
    assert messages[3].text == "Hello, said the cat."


def test_an_agent_runs_in_async_code_and_streams(model):
    async def all_of_it():
        return [part async for part in create_agent(model, [add]).astream(QUESTION, stream_mode="updates")]

    assert [list(part) for part in asyncio.run(all_of_it())] == [["model"], ["tools"], ["model"]]


@pytest.mark.parametrize("tools", [[add], []], ids=["after a tool", "without tools"])
@pytest.mark.parametrize("form", [Sum, ToolStrategy(Sum), ProviderStrategy(Sum)], ids=["class", "tool", "provider"])
def test_an_agent_answers_in_the_form_that_is_asked_for(model, form, tools):
    found = create_agent(model, tools, response_format=form).invoke(QUESTION)
    assert found["structured_response"] == Sum(value=3)
    assert any(isinstance(message, ToolMessage) and message.name == "add" for message in found["messages"]) == bool(
        tools
    )


def test_a_model_that_does_not_keep_to_the_form_is_asked_again():
    said = iter(["three", 'FUNCTION_CALL: Sum(value="three")', "FUNCTION_CALL: Sum(value=3)"])
    model = ChatGemma(gemma=played.saying(lambda request: next(said)))
    found = create_agent(model, [], response_format=ProviderStrategy(Sum)).invoke(QUESTION)
    assert found["structured_response"] == Sum(value=3)
    assert next(said, None) is None
