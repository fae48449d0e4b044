"""A model that is used without an agent: what it is told and what it says holds no secret."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage

from gemmagraph import ChatGemma, Fallback, Gemma
from gemmagraph.backends.scripted import ScriptedBackend, Step, shown
from gemmagraph.cli import main
from gemmagraph.errors import BackendUnavailable
from gemmagraph.events import Event, TextDelta
from gemmagraph.masking import Told, masked
from gemmagraph.prompts.messages import Reply, Text, Thought, ToolCall, ToolResult, Turn
from gemmagraph.prompts.prompt import Transcript
from gemmagraph.prompts.toolset import Toolset
from gemmagraph.tools import secrets as masking
from gemmagraph.tools.secrets import remember

VALUE = "c0nversation-t0ken-of-this-test"
GUESSED = f"It is {VALUE[:9]}{VALUE[9:]}, is it not?"
TURNS = [
    Turn("user", (Text(f"What is in it? Not {VALUE}."),)),
    Turn("model", (Thought(f"maybe {VALUE}"), ToolCall("1", "look", {"for": VALUE})), raw=f"look({VALUE})"),
    Turn("tool", (ToolResult("1", "look", {"found": [VALUE]}),)),
]


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masking, "_known", masking._Known())


def collected(stream: AsyncGenerator[Any, None]) -> list[Any]:
    async def collect() -> list[Any]:
        return [event async for event in stream]

    return asyncio.run(asyncio.wait_for(collect(), 20))


def test_a_conversation_is_masked_on_its_way_to_the_model() -> None:
    remember("token", VALUE)
    backend = ScriptedBackend(["Fine."])
    collected(Gemma(backend).stream(TURNS, Toolset([])))
    told = shown(backend.requests[0]) + repr(backend.requests[0])
    assert VALUE not in told
    assert told.count("[secret token]") >= 3


@pytest.mark.parametrize("route", [False, True], ids=["one model", "a fallback"])
def test_what_a_model_guessed_is_masked_where_it_is_streamed_and_in_the_reply(route: bool) -> None:
    remember("token", VALUE)
    backend = ScriptedBackend([Step(GUESSED, thought=GUESSED, chunk=2)])
    model = Fallback([Gemma(backend), Gemma(ScriptedBackend([]))]) if route else Gemma(backend)
    events = collected(model.stream(TURNS[:1], Toolset([])))
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == (
        "It is [secret token], is it not?"
    )
    assert isinstance(events[-1], Reply)
    assert events[-1].text == events[-1].raw == "It is [secret token], is it not?"
    assert VALUE not in repr(events)


def test_a_server_that_repeats_a_secret_in_its_refusal_does_not_tell_it() -> None:
    remember("token", VALUE)
    model = Gemma(ScriptedBackend([Step(error=BackendUnavailable(f"No {VALUE} here."))]))
    with pytest.raises(BackendUnavailable, match=r"No \[secret token\] here\."):
        collected(model.stream(TURNS[:1], Toolset([])))


def test_the_chat_model_of_langchain_tells_and_is_told_no_secret() -> None:
    remember("token", VALUE)
    backend = ScriptedBackend([Step(GUESSED, chunk=2), Step(GUESSED, chunk=2)])
    model = ChatGemma(gemma=Gemma(backend))
    messages = [
        HumanMessage("Look."),
        AIMessage("", tool_calls=[{"name": "look", "args": {}, "id": "1"}]),
        ToolMessage(f"found {VALUE}", tool_call_id="1"),
    ]
    assert model.invoke(messages).text == "It is [secret token], is it not?"
    chunks: list[AIMessageChunk] = list(model.stream(messages))
    assert "".join(chunk.text for chunk in chunks) == "It is [secret token], is it not?"
    assert all(VALUE not in shown(request) for request in backend.requests)


def test_of_a_conversation_that_goes_on_only_what_is_new_is_looked_at() -> None:
    remember("token", VALUE)
    told, transcript = Told(), Transcript(Gemma(ScriptedBackend([])).writer(Toolset([])))
    first = [*told.turns(TURNS[:2], transcript)]
    second = told.turns(TURNS, transcript)
    assert all(one is other for one, other in zip(first, second, strict=False))
    remember("other", "What is in it?")
    assert "[secret other] Not [secret token]." in repr(told.turns(TURNS, transcript)[0])
    assert len(told.turns(TURNS[1:], transcript)) == 2


def test_while_no_secret_is_known_nothing_is_done() -> None:
    async def said() -> AsyncGenerator[Event | Reply, None]:
        yield Reply("")

    events = said()
    assert masked(events) is events
    assert Told().turns(TURNS, Transcript(Gemma(ScriptedBackend([])).writer(Toolset([])))) is TURNS


SHORT = """
secrets:
  door_code: {env: DOOR_CODE_OF_THIS_TEST}
tools:
  - {name: look, description: Looks., shell: ["true"], annotations: {readOnlyHint: true}}
"""


@pytest.mark.filterwarnings("always::gemmagraph.tools.secrets.ShortSecret")
@pytest.mark.parametrize(
    "command", [["tools", "list"], ["run", "-m", "builtin", "look"], ["chat", "-m", "builtin"]], ids=" ".join
)
def test_a_secret_too_short_to_be_masked_is_told_in_a_line(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(masking, "_short", set())
    monkeypatch.setenv("DOOR_CODE_OF_THIS_TEST", "4711")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "assistant.yaml").write_text(SHORT)
    done = CliRunner().invoke(main, command, input="")
    assert done.exit_code == 0, done.output
    lines = [line for line in done.stderr.splitlines() if "door_code" in line]
    assert lines == [
        "Warning: The secret 'door_code' has fewer than 8 characters: it is not masked where it turns up."
    ]
    assert "4711" not in done.output
