"""What a run tells those who watch: each kind of event, and how far a call is."""

import asyncio
import re
import sys
import threading
import typing
from collections import Counter
from contextlib import aclosing
from pathlib import Path

import mcp_server
import pytest

from gemmagraph import Agent, Approve, Gemma, Limits, ToolContext, events, tool
from gemmagraph.backends.scripted import ScriptedBackend, Step
from gemmagraph.events import (
    ApprovalAsked,
    ApprovalDecided,
    ArgumentsDelta,
    CallProposed,
    CallStarted,
    Event,
    PromptSent,
    ReplyReceived,
    RunFinished,
    StepStarted,
    TextDelta,
    ThoughtDelta,
    ToolFinished,
    ToolProgress,
    ToolRetried,
    ToolStarted,
)
from gemmagraph.tools import run_sync
from gemmagraph.tools import secrets as masking
from gemmagraph.tools.imports.mcp import McpServer

PATIENCE = 20
ROOT = Path(__file__).parent.parent.parent


def scripted(*steps, tools=(), **options) -> Agent:
    options.setdefault("limits", Limits(wall_time=PATIENCE))
    return Agent(Gemma(ScriptedBackend(steps)), tools, **options)


def collected(stream) -> list:
    async def collect():
        async with aclosing(stream) as found:
            return [event async for event in found]

    return asyncio.run(asyncio.wait_for(collect(), PATIENCE))


def kinds() -> set[str]:
    return {kind.__name__ for kind in typing.get_args(Event)}


def test_every_event_is_told_of_in_the_docs() -> None:
    made = {
        name
        for name, found in vars(events).items()
        if isinstance(found, type) and found.__module__ == events.__name__
    }
    page = (ROOT / "docs" / "agents.md").read_text(encoding="utf-8")
    assert made == kinds() == set(re.findall(r"^\| `([A-Z]\w+)(?:\([^`]*\))?` \|", page, re.MULTILINE))


def test_a_live_view_can_be_drawn_of_a_whole_run() -> None:
    @tool(destructive=True)
    def wipe(context: ToolContext, disk: str) -> str:
        """Wipes."""
        context.progress("half of it", 0.5)
        return f"wiped {disk}"

    agent = scripted(
        Step('Well.\nFUNCTION_CALL: wipe(disk="a")', thought="It is dirty.", chunk=5),
        "Done.",
        tools=[wipe],
        approve=lambda approval: Approve(),
    )
    seen = collected(agent.stream("go"))
    assert list(dict.fromkeys(type(event) for event in seen)) == [
        StepStarted,
        PromptSent,
        ThoughtDelta,
        TextDelta,
        CallStarted,
        ArgumentsDelta,
        CallProposed,
        ReplyReceived,
        ApprovalAsked,
        ApprovalDecided,
        ToolStarted,
        ToolProgress,
        ToolFinished,
        RunFinished,
    ]
    assert "".join(event.text for event in seen if isinstance(event, ArgumentsDelta)).count('"a"') == 1
    calls = [
        event.call for event in seen if isinstance(event, CallProposed | ToolStarted | ToolProgress | ToolFinished)
    ]
    (approval,) = [event.approval for event in seen if isinstance(event, ApprovalAsked)]
    assert {(call.id, call.name) for call in calls} == {(approval.call, "wipe")}


def test_a_call_has_one_id_also_if_others_were_proposed_before_it() -> None:
    @tool(read_only=True)
    def look(at: str) -> str:
        """Looks."""
        return at

    def calls(*places: str) -> str:
        return "\n".join(f'FUNCTION_CALL: look(at="{place}")' for place in places)

    agent = scripted("FUNCTION_CALL: look(", calls("a", "b"), calls("c"), "Done.", tools=[look])
    seen = collected(agent.stream("go"))
    proposed, started = (
        [(event.call.id, event.call.arguments["at"]) for event in seen if isinstance(event, kind)]
        for kind in (CallProposed, ToolStarted)
    )
    assert proposed == started
    assert [place for _, place in proposed] == ["a", "b", "c"]
    assert len({identity for identity, _ in proposed}) == 3


# --- how far a call is ------------------------------------------------------------------------------------


def progress(seen) -> list[tuple[str, float | None]]:
    return [(event.text, event.fraction) for event in seen if isinstance(event, ToolProgress)]


def test_of_many_words_on_a_call_the_latest_are_told_and_the_last_always() -> None:
    @tool
    def count(context: ToolContext) -> str:
        """Counts, in a thread."""
        assert context.watched
        for number in range(10_000):
            context.progress(f"{number + 1} of 10000", (number + 1) / 10_000)
        return "counted"

    told = progress(collected(scripted("FUNCTION_CALL: count()", "Done.", tools=[count]).stream("go")))
    assert told[-1] == ("10000 of 10000", 1.0)
    assert len(told) < 1_000
    assert [fraction for _, fraction in told] == sorted(fraction for _, fraction in told)


def test_what_is_told_while_a_call_goes_on_is_not_kept_until_its_end() -> None:
    """Also the second of two words, which comes too soon behind the first to be told at once."""
    seen = asyncio.Event()

    @tool
    async def wait(context: ToolContext) -> str:
        """Waits for whoever watches."""
        context.progress("one")
        context.progress("two")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        context.progress("three")
        await seen.wait()
        return "waited"

    async def watch():
        told = []
        async with aclosing(scripted("FUNCTION_CALL: wait()", "Done.", tools=[wait]).stream("go")) as found:
            async for event in found:
                told += progress([event])
                if told and told[-1][0] == "three":
                    seen.set()
        return told

    assert asyncio.run(asyncio.wait_for(watch(), PATIENCE))[-1] == ("three", None)


def test_many_threads_of_one_tool_may_tell(swept) -> None:
    @tool
    def spread(context: ToolContext) -> str:
        """Works in threads of its own."""
        threads = [threading.Thread(target=context.progress, args=(f"part {part}",)) for part in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        return "done"

    told = progress(collected(scripted("FUNCTION_CALL: spread()", "Done.", tools=[spread]).stream("go")))
    assert told
    assert {text for text, _ in told} <= {f"part {part}" for part in range(20)}


def test_nothing_is_told_of_a_call_behind_its_result() -> None:
    contexts, go, gone = [], threading.Event(), threading.Event()

    @tool(timeout=0.05)
    def hang(context: ToolContext) -> str:
        """Goes on after it was given up."""
        contexts.append(context)
        context.progress("before")
        go.wait(PATIENCE)
        context.progress("after")
        gone.set()
        return ""

    agent = scripted("FUNCTION_CALL: hang()", "FUNCTION_CALL: hang()", "Done.", tools=[hang], limits=Limits(calls=1))

    async def watch():
        told = []
        async with aclosing(agent.stream("go")) as found:
            async for event in found:
                told.append(event)
                if isinstance(event, ToolFinished) and not gone.is_set():
                    go.set()
                    assert await asyncio.to_thread(gone.wait, PATIENCE)
        return told

    seen = asyncio.run(asyncio.wait_for(watch(), PATIENCE))
    assert progress(seen) == [("before", None)]
    contexts[0].progress("the loop is closed by now")


@pytest.mark.parametrize(
    ("given", "told"),
    [(0.25, 0.25), (7, 1.0), (-1, 0.0), (float("nan"), None), (float("inf"), None), (None, None)],
    ids=str,
)
def test_a_fraction_is_one(given, told) -> None:
    @tool
    def tell(context: ToolContext) -> str:
        """Tells."""
        context.progress("x" * 500, given)
        return ""

    seen = collected(scripted("FUNCTION_CALL: tell()", "Done.", tools=[tell]).stream("go"))
    assert progress(seen) == [("x" * 200, told)]


def test_nothing_is_made_of_it_where_nobody_watches() -> None:
    watched = []

    @tool
    def tell(context: ToolContext) -> str:
        """Tells."""
        watched.append(context.watched)
        context.progress("here")
        return ""

    scripted("FUNCTION_CALL: tell()", "Done.", tools=[tell]).run("go")
    assert watched == [False]
    assert ToolContext().progress("outside of any run") is None


def test_how_far_a_call_to_an_mcp_server_is_comes_from_the_server(tmp_path) -> None:
    arguments = ["-W", "ignore", mcp_server.__file__, str(tmp_path / "log")]
    server = McpServer(
        command=sys.executable, args=arguments, include=["slow"], overrides={"slow": {"approval": "allow"}}
    )
    agent = scripted("FUNCTION_CALL: slow(seconds=0.3)", "Done.", tools=run_sync(server.tools()))

    async def watch():
        async with agent:
            return [event async for event in agent.stream("go")]

    told = progress(asyncio.run(asyncio.wait_for(watch(), 3 * PATIENCE)))
    assert told[-1] == ("99 of 100", 0.99)
    assert len(told) < 50


# --- tries ------------------------------------------------------------------------------------------------


def test_each_further_try_of_a_call_is_told_with_why_and_when() -> None:
    tries = Counter()

    @tool(read_only=True, retries=2)
    def flaky() -> str:
        """Fails twice."""
        tries["flaky"] += 1
        if tries["flaky"] < 3:
            raise ConnectionError("the line broke")
        return "there"

    seen = collected(scripted("FUNCTION_CALL: flaky()", "Done.", tools=[flaky]).stream("go"))
    told = [event for event in seen if isinstance(event, ToolRetried)]
    assert [(event.attempt, event.reason) for event in told] == [(2, "the line broke"), (3, "the line broke")]
    assert all(0 <= event.wait <= 0.4 and event.call.name == "flaky" for event in told)
    assert [event.status for event in seen if isinstance(event, ToolFinished)] == ["ok"]


def test_neither_progress_nor_reasons_show_a_secret(monkeypatch) -> None:
    monkeypatch.setattr(masking, "_known", masking._Known())
    masking.remember("key", "hunter2hunter2")
    tries = Counter()

    @tool(read_only=True, retries=1)
    def leak(context: ToolContext) -> str:
        """Leaks."""
        context.progress(f"{'.' * 195}hunter2hunter2")
        tries["leak"] += 1
        if tries["leak"] == 1:
            raise ConnectionError("no answer from http://hunter2hunter2@host")
        return "done"

    seen = collected(scripted("FUNCTION_CALL: leak()", "Done.", tools=[leak]).stream("go"))
    assert {text for text, _ in progress(seen)} == {f"{'.' * 195}[secr"}
    (tried,) = [event for event in seen if isinstance(event, ToolRetried)]
    assert tried.reason == "no answer from http://[secret key]@host"
