"""LangChain's tools as ours, ours as LangChain's, and both ways round."""

import asyncio
import json
import logging
import threading
from typing import Annotated, Any

import pytest
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, InjectedToolArg, InjectedToolCallId, StructuredTool, ToolException
from langchain_core.tools import Tool as OneInputTool
from langchain_core.tools import tool as langchain_tool
from langchain_core.utils.function_calling import convert_to_openai_tool
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import InjectedState, ToolNode, ToolRuntime
from langgraph.types import Command
from pydantic import BaseModel, Field

from gemmagraph.tools import Tool, ToolContext, ToolDefinitionError, ToolError, to_tool, tool


@langchain_tool
def multiply(a: int, b: Annotated[int, "The other."] = 2) -> int:
    """Multiplies."""
    return a * b


@langchain_tool
async def multiply_later(a: int, b: int = 2) -> int:
    """Multiplies."""
    return a * b


@langchain_tool(response_format="content_and_artifact", return_direct=True)
def with_artifact(a: int) -> tuple[dict[str, int], object]:
    """Has an artifact."""
    return {"a": a}, object()


@langchain_tool
def with_call_id(a: int, call: Annotated[str, InjectedToolCallId]) -> str:
    """Knows its call."""
    return f"{a} {call.startswith('call_')}"


@langchain_tool
def with_hidden(a: int, key: Annotated[str, InjectedToolArg] = "k") -> str:
    """Has a hidden argument."""
    return f"{a} {key}"


@langchain_tool
def blocks(a: int) -> list[Any]:
    """Answers in blocks."""
    return [{"type": "text", "text": f"a={a}"}, {"type": "image", "base64": "x" * 10_000}]


class Search(BaseTool):
    name: str = "search"
    description: str = "Searches."

    def _run(self, query: str, most: int = 3) -> str:
        return f"{query} {most}"


class Remote(BaseTool):
    """As an MCP adapter makes them: a JSON Schema, async only, annotations in the metadata."""

    name: str = "remote"
    description: str = "Far away."

    def _run(self, q: str) -> str:
        raise NotImplementedError

    async def _arun(self, q: str) -> str:
        return f"{q} from afar"


remote = Remote(
    args_schema={"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]},
    metadata={"readOnlyHint": True, "destructiveHint": True, "openWorldHint": False},
)


class Query(BaseModel):
    words: list[str] = Field(max_length=2)


structured = StructuredTool.from_function(
    lambda words: " ".join(words), name="structured", description="Joins.", args_schema=Query
)
one_input = OneInputTool(name="shout", description="Shouts.", func=str.upper)

# id: (LangChain tool, arguments, what the model gets, names of the properties)
FROM: dict[str, tuple[BaseTool, dict[str, Any], str, list[str]]] = {
    "function": (multiply, {"a": 3}, "6", ["a", "b"]),
    "async": (multiply_later, {"a": 3, "b": 3}, "9", ["a", "b"]),
    "artifact": (with_artifact, {"a": 1}, '{"a": 1}', ["a"]),
    "call-id": (with_call_id, {"a": 1}, "1 True", ["a"]),
    "hidden": (with_hidden, {"a": 1}, "1 k", ["a"]),
    "blocks": (blocks, {"a": 1}, "a=1\n[image, not shown]", ["a"]),
    "class": (Search(), {"query": "x"}, "x 3", ["query", "most"]),
    "schema": (remote, {"q": "x"}, "x from afar", ["q"]),
    "model": (structured, {"words": ["a", "b"]}, "a b", ["words"]),
    "one-input": (one_input, {"tool_input": "hey"}, "HEY", ["tool_input"]),
}


@pytest.mark.parametrize(("base", "arguments", "content", "names"), FROM.values(), ids=FROM)
def test_langchain_tool_runs_as_ours(
    base: BaseTool, arguments: dict[str, Any], content: str, names: list[str]
) -> None:
    made = to_tool(base)
    outcome = asyncio.run(made.run(made.check(arguments)))

    assert (outcome.status, outcome.content) == ("ok", content), outcome.error
    assert (made.name, made.description) == (base.name, base.description)
    assert list(made.spec.parameters["properties"]) == names
    assert made.spec.parameters["additionalProperties"] is False
    assert made.return_direct == base.return_direct


def test_annotations_in_the_metadata_become_facts() -> None:
    made = to_tool(remote)

    # Of a tool that changes nothing, MCP's "destructive" says nothing.
    assert (made.read_only, made.destructive, made.open_world, made.idempotent) == (True, None, False, None)


def test_blocking_langchain_tool_runs_in_one_of_our_threads() -> None:
    @langchain_tool
    def where() -> str:
        """Says where."""
        return threading.current_thread().name

    assert asyncio.run(to_tool(where).run({})).content == "gemmagraph-tool"


@pytest.mark.parametrize("handled", [True, False])
def test_tool_exception_is_told_to_the_model(handled: bool) -> None:
    def fail() -> None:
        raise ToolException("no such city")

    base = StructuredTool.from_function(fail, name="fail", description="d", handle_tool_error=handled)
    outcome = asyncio.run(to_tool(base).run({}))

    assert (outcome.status, outcome.content) == ("error", "no such city")


def test_other_exception_is_for_the_developer() -> None:
    @langchain_tool
    def fail() -> None:
        """Fails."""
        raise KeyError("secret")

    outcome = asyncio.run(to_tool(fail).run({}))

    assert (outcome.status, outcome.content) == ("failed", "The tool fail failed.")
    assert isinstance(outcome.error, KeyError)


def test_value_that_only_the_model_class_refuses_is_told_to_the_model() -> None:
    class Checked(BaseModel):
        n: Annotated[int, Field(multiple_of=2)]

    base = StructuredTool.from_function(lambda n: n, name="even", description="d", args_schema=Checked)
    outcome = asyncio.run(to_tool(base).run({"n": 3}))

    assert (outcome.status, outcome.content) == ("error", "Argument 'n': Input should be a multiple of 2")


def test_command_is_a_failure_that_names_it() -> None:
    @langchain_tool
    def go() -> Command[Any]:
        """Goes."""
        return Command(goto="elsewhere")

    outcome = asyncio.run(to_tool(go).run({}))

    assert outcome.status == "failed"
    assert "Command" in str(outcome.error)


@langchain_tool
def with_state(a: int, state: Annotated[dict[str, Any], InjectedState]) -> str:
    """Needs the state."""
    return ""


@langchain_tool
def with_runtime(a: int, runtime: ToolRuntime[Any, Any]) -> str:
    """Needs the runtime."""
    return ""


@pytest.mark.parametrize(("base", "name"), [(with_state, "state"), (with_runtime, "runtime")])
def test_tool_that_needs_a_tool_node_is_refused(base: BaseTool, name: str) -> None:
    with pytest.raises(ToolDefinitionError, match=f"'{base.name}' gets its argument '{name}'"):
        to_tool(base)


# Ours as LangChain's


@tool(read_only=True)
def weather(city: str, days: int = 1, *, context: ToolContext | None = None) -> dict[str, Any]:
    """Weather of a city.

    Args:
        city: Which city.
    """
    return {"city": city, "days": days, "user": context and context.user}


@tool
async def names(self: str, config: str, run_manager: str) -> list[str]:
    """Has parameters that LangChain's own are called like."""
    return [self, config, run_manager]


@tool(destructive=True)
def wipe() -> str:
    """Deletes everything."""
    raise AssertionError("it must not run")


@tool(approval="deny")
def never() -> str:
    """Is never allowed."""
    raise AssertionError("it must not run")


@tool
def fail() -> None:
    """Fails."""
    raise KeyError("secret")


@tool
def complain() -> None:
    """Complains."""
    raise ToolError("no such city")


@tool(timeout=0.05)
async def hang() -> None:
    """Hangs."""
    await asyncio.Event().wait()


def test_face_shows_what_the_tool_says() -> None:
    face = weather.as_langchain()

    assert (face.name, face.description, face.return_direct) == ("weather", "Weather of a city.", False)
    assert face.metadata == {"readOnlyHint": True}
    assert convert_to_openai_tool(face) == {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "Weather of a city.",
            "parameters": weather.spec.parameters,
        },
    }


def test_face_is_called_sync_and_async() -> None:
    face = weather.as_langchain()

    assert face.invoke({"city": "Rome"}) == {"city": "Rome", "days": 1, "user": None}
    assert asyncio.run(face.ainvoke({"city": "Rome", "days": 2})) == {"city": "Rome", "days": 2, "user": None}


def test_sync_call_of_the_face_works_inside_a_running_loop() -> None:
    async def main() -> Any:
        return weather.as_langchain().invoke({"city": "Rome"})

    assert asyncio.run(main())["city"] == "Rome"


def test_context_comes_from_the_config() -> None:
    @tool
    def probe(context: ToolContext) -> list[Any]:
        return [context.user, context.thread, context.channel, dict(context.values)]

    config: RunnableConfig = {
        "configurable": {"user": "ann", "thread_id": "t", "channel": "c", "context": {"tenant": 7}}
    }

    assert json.loads(probe.as_langchain().invoke({}, config)) == ["ann", "t", "c", {"tenant": 7}]


def test_no_parameter_name_is_in_the_way() -> None:
    arguments = {"self": "s", "config": "c", "run_manager": "r"}

    assert json.loads(asyncio.run(names.as_langchain().ainvoke(arguments))) == ["s", "c", "r"]


REFUSALS: dict[str, tuple[Tool, dict[str, Any], str]] = {
    "arguments": (weather, {"city": "Rome", "days": "many"}, "days"),
    "unknown-argument": (weather, {"city": "Rome", "unit": "C"}, "unit"),
    "destructive": (wipe, {}, "wipe was not run: wipe is marked destructive. It needs a person's approval"),
    "denied": (never, {}, "never was not run: never is set to 'deny'."),
    "tool-error": (complain, {}, "no such city"),
    "timeout": (hang, {}, "hang did not finish within 0.05 s."),
    "failure": (fail, {}, "The tool fail failed."),
}


@pytest.mark.parametrize(("made", "arguments", "message"), REFUSALS.values(), ids=REFUSALS)
def test_what_does_not_work_is_an_error_message(made: Tool, arguments: dict[str, Any], message: str) -> None:
    call = {"type": "tool_call", "name": made.name, "args": arguments, "id": "1"}
    found = made.as_langchain().invoke(call)

    assert isinstance(found, ToolMessage)
    assert found.status == "error"
    assert message in found.content
    assert "secret" not in found.content


def test_failure_is_logged_for_the_developer(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "gemmagraph.tools"):
        fail.as_langchain().invoke({})

    assert "KeyError: 'secret'" in caplog.text


def calls(*pairs: tuple[str, dict[str, Any]]) -> AIMessage:
    return AIMessage(
        "", tool_calls=[{"name": name, "args": args, "id": str(n)} for n, (name, args) in enumerate(pairs)]
    )


@pytest.mark.parametrize("way", ["sync", "async"])
def test_tool_node_runs_our_tools_beside_langchains(way: str) -> None:
    # In a graph, since only there a ToolNode has what it asks its runtime for.
    node = ToolNode([weather.as_langchain(), wipe.as_langchain(), multiply])
    graph = (
        StateGraph(MessagesState).add_node("tools", node).add_edge(START, "tools").add_edge("tools", END).compile()
    )
    state: Any = {
        "messages": [calls(("weather", {"city": "Rome"}), ("weather", {}), ("wipe", {}), ("multiply", {"a": 2}))]
    }
    config: RunnableConfig = {"configurable": {"user": "ann"}}

    result = graph.invoke(state, config) if way == "sync" else asyncio.run(graph.ainvoke(state, config))

    found = result["messages"][1:]
    assert [message.status for message in found] == ["success", "error", "error", "success"]
    assert json.loads(found[0].content) == {"city": "Rome", "days": 1, "user": "ann"}
    assert found[3].content == "4"


def test_round_trips_end_where_they_began() -> None:
    assert to_tool(weather.as_langchain()) is weather

    there = to_tool(multiply).as_langchain()
    assert there.invoke({"a": 3}) == "6"
    assert there.args["b"]["description"] == "The other."
