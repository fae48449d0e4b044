"""A process that ends leaves its runs to whoever resumes their threads."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gemmagraph import Agent, Gemma
from gemmagraph.backends.scripted import ScriptedBackend, Step
from gemmagraph.errors import HandedBack
from gemmagraph.tools.secrets import Secret


class Slow(ScriptedBackend):
    """Is not missed if nobody hears it."""

    def check(self) -> None: ...


def test_a_run_that_is_handed_back_is_answered_by_whoever_resumes(tmp_path: Path) -> None:
    async def work() -> None:
        store = tmp_path / "agent.db"
        first = Agent(Gemma(Slow([Step("late", delay=30)])), store=store)
        running = asyncio.create_task(first.arun("hello", thread="t"))
        async with asyncio.timeout(10):
            while not first.hand_back("t"):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        with pytest.raises(HandedBack):
            await running
        assert not first.hand_back("t")
        await first.aclose()
        async with Agent(Gemma(ScriptedBackend(["now"])), store=store) as second:
            assert (await second.aresume("t")).text == "now"
            said = [message.text for message in await second.ahistory("t")]
            assert said == ["hello", "now"]

    asyncio.run(work())


def test_a_secret_that_somebody_types_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "correct-horse-battery")
    Secret("key", env="SOME_KEY").reveal()
    with Agent(Gemma(ScriptedBackend(["fine"])), store=tmp_path / "agent.db") as agent:
        agent.run("the key is correct-horse-battery", thread="t")
        assert "correct-horse-battery" not in agent.history("t")[0].text
    assert b"correct-horse-battery" not in (tmp_path / "agent.db").read_bytes()
