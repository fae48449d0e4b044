"""Who is measured: gemmagraph, the bare loop, and other frameworks, each with its own kind of scripted model.

A side is made of a script, tools and a number of earlier messages; it is a function that does one whole run.
"""

from __future__ import annotations

import json
import operator
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from importlib import metadata
from typing import Annotated, Any, TypedDict

from script import ANSWER, QUESTION, Script

Side = Callable[[], Awaitable[Any]]
Maker = Callable[[Script, Sequence[Callable[..., Any]], int], Side]


def _earlier(count: int) -> list[tuple[bool, str]]:
    """Earlier messages: whether a person said it, and what."""
    return [(index % 2 == 0, f"This is message number {index}, and it is old.") for index in range(count)]


def ours(script: Script, tools: Sequence[Callable[..., Any]], earlier: int = 0) -> Side:
    """gemmagraph with limits as they are by default: prompt written, reply read as text, arguments checked."""
    from langchain_core.messages import AIMessage, HumanMessage

    from gemmagraph import Agent, Gemma
    from gemmagraph.backends.base import Chunk, Request

    name = tools[0].__name__

    class Scripted:
        name = label = "scripted"
        transports = frozenset({"chat"})
        read_only_tools = False

        async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
            calls = [f"FUNCTION_CALL: {name}({_keywords(call)})" for call in script.next()]
            yield Chunk("\n".join(calls) or ANSWER)
            yield Chunk(stop="stop")

    agent = Agent(Gemma(Scripted()), tools)  # type: ignore[arg-type]  # it lacks what only `doctor` and `run` ask for
    before = [(HumanMessage if person else AIMessage)(text) for person, text in _earlier(earlier)]

    async def run() -> Any:
        return await agent.arun([*before, HumanMessage(QUESTION)] if before else QUESTION)

    return run


def _keywords(call: dict[str, Any]) -> str:
    return ", ".join(f"{key}={value!r}" for key, value in call.items())


class _BareState(TypedDict):
    messages: Annotated[list[dict[str, Any]], operator.add]


def bare(script: Script, tools: Sequence[Callable[..., Any]], earlier: int = 0) -> Side:
    """The floor: two async nodes and an async router on dicts; nothing is rendered, read, checked or bounded."""
    from langgraph.graph import END, START, StateGraph

    by_name = {tool.__name__: tool for tool in tools}
    name = tools[0].__name__

    async def model(state: _BareState) -> dict[str, Any]:
        calls = [{"name": name, "args": call, "id": f"c{index}"} for index, call in enumerate(script.next())]
        return {"messages": [{"role": "assistant", "content": "" if calls else ANSWER, "tool_calls": calls}]}

    async def act(state: _BareState) -> dict[str, Any]:
        results = []
        for call in state["messages"][-1]["tool_calls"]:
            content = str(await by_name[call["name"]](**call["args"]))
            results.append({"role": "tool", "content": content, "tool_call_id": call["id"]})
        return {"messages": results}

    async def router(state: _BareState) -> str:
        return "tools" if state["messages"][-1]["tool_calls"] else END

    graph = StateGraph(_BareState)
    graph.add_node("model", model)
    graph.add_node("tools", act)
    graph.add_edge(START, "model")
    graph.add_conditional_edges("model", router, ["tools", END])
    graph.add_edge("tools", "model")
    compiled = graph.compile()
    before = [{"role": "user" if person else "assistant", "content": text} for person, text in _earlier(earlier)]

    async def run() -> Any:
        messages = [*before, {"role": "user", "content": QUESTION}]
        return await compiled.ainvoke({"messages": messages}, {"recursion_limit": 1000})

    return run


def create_agent(script: Script, tools: Sequence[Callable[..., Any]], earlier: int = 0) -> Side:
    """LangChain's agent. Its model declares the tools as the chat models for real servers do."""
    from langchain.agents import create_agent as make
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessage, HumanMessage
    from langchain_core.outputs import ChatGeneration, ChatResult
    from langchain_core.utils.function_calling import convert_to_openai_tool

    name = tools[0].__name__

    class Scripted(BaseChatModel):
        @property
        def _llm_type(self) -> str:
            return "scripted"

        def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
            return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], **kwargs)

        def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> ChatResult:
            calls = [
                {"name": name, "args": call, "id": f"c{len(script.stamps)}_{index}", "type": "tool_call"}
                for index, call in enumerate(script.next())
            ]
            message = AIMessage(content="" if calls else ANSWER, tool_calls=calls)
            return ChatResult(generations=[ChatGeneration(message=message)])

        async def _agenerate(
            self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
        ) -> ChatResult:
            return self._generate(messages)

    agent = make(Scripted(), list(tools))
    before = [(HumanMessage if person else AIMessage)(text) for person, text in _earlier(earlier)]

    async def run() -> Any:
        messages = [*before, HumanMessage(QUESTION)]
        return await agent.ainvoke({"messages": messages}, {"recursion_limit": 1000})

    return run


def pydantic_ai(script: Script, tools: Sequence[Callable[..., Any]], earlier: int = 0) -> Side:
    from pydantic_ai import Agent
    from pydantic_ai.messages import ModelRequest, ModelResponse, TextPart, ToolCallPart, UserPromptPart
    from pydantic_ai.models.function import FunctionModel

    name = tools[0].__name__

    async def reply(messages: Any, settings: Any) -> ModelResponse:
        calls = [ToolCallPart(name, call) for call in script.next()]
        return ModelResponse(parts=calls or [TextPart(ANSWER)])

    agent = Agent(FunctionModel(reply), tools=list(tools))
    before = [
        ModelRequest(parts=[UserPromptPart(text)]) if person else ModelResponse(parts=[TextPart(text)])
        for person, text in _earlier(earlier)
    ]

    async def run() -> Any:
        return await agent.run(QUESTION, message_history=before)

    return run


def agno(script: Script, tools: Sequence[Callable[..., Any]], earlier: int = 0) -> Side:
    from agno.agent import Agent
    from agno.models.base import Model
    from agno.models.message import Message
    from agno.models.response import ModelResponse

    name = tools[0].__name__

    class Scripted(Model):
        async def ainvoke(self, *args: Any, **kwargs: Any) -> ModelResponse:
            calls = [
                {
                    "id": f"c{len(script.stamps)}_{index}",
                    "type": "function",
                    "function": {"name": name, "arguments": json.dumps(call)},
                }
                for index, call in enumerate(script.next())
            ]
            return ModelResponse(role="assistant", content=None if calls else ANSWER, tool_calls=calls)

        def invoke(self, *args: Any, **kwargs: Any) -> Any:
            raise NotImplementedError

        invoke_stream = ainvoke_stream = _parse_provider_response = _parse_provider_response_delta = invoke

    agent = Agent(model=Scripted(id="scripted"), tools=list(tools), telemetry=False)
    before = [Message(role="user" if person else "assistant", content=text) for person, text in _earlier(earlier)]

    async def run() -> Any:
        return await agent.arun([*before, Message(role="user", content=QUESTION)] if before else QUESTION)

    return run


PEERS: dict[str, tuple[str, Maker]] = {
    "create_agent": ("langchain", create_agent),
    "pydantic-ai": ("pydantic-ai-slim", pydantic_ai),
    "agno": ("agno", agno),
}
"""Each peer's distribution and side."""
CLIENTS = ("ollama", "langchain-ollama", "openai", "langchain-openai", "xllamacpp")
"""Distributions of those that ask servers, and of the one that is a real server."""


def versions() -> dict[str, str | None]:
    """The version of everything that is compared; None where it is not installed."""
    found: dict[str, str | None] = {}
    for name in ("langgraph", "langchain-core", *(distribution for distribution, _ in PEERS.values()), *CLIENTS):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def peers(*wanted: str) -> dict[str, Maker]:
    """The peers that are installed, of those wanted or of all."""
    installed = versions()
    return {
        name: maker for name, (distribution, maker) in PEERS.items()
        if installed[distribution] and (not wanted or name in wanted)
    }  # fmt: skip
