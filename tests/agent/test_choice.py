"""Which model is used when none was named."""

import asyncio

import pytest

from gemmagraph import Agent, AgentError
from gemmagraph.choice import choose_model
from gemmagraph.events import Notice


def chosen() -> tuple[str, str]:
    return asyncio.run(asyncio.wait_for(choose_model(), 20))


def test_the_environment_goes_first(monkeypatch):
    monkeypatch.setenv("GEMMAGRAPH_MODEL", " ollama:gemma3:1b ")
    assert chosen() == ("ollama:gemma3:1b", "Model: ollama:gemma3:1b (from GEMMAGRAPH_MODEL).")


def test_without_a_server_the_matcher_stands_in_and_says_so(monkeypatch):
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")
    name, why = chosen()
    assert name == "builtin"
    assert "no language model" in why
    assert "ollama pull gemma3:4b" in why


def test_what_the_environment_names_wrongly_is_an_error(monkeypatch):
    monkeypatch.setenv("GEMMAGRAPH_MODEL", "gemma3:4b")
    with pytest.raises(AgentError, match="'ollama:gemma3:4b'"):
        Agent().run("hello")


def test_the_choice_is_told_once_to_those_who_watch(monkeypatch, tmp_path):
    script = tmp_path / "replies.jsonl"
    script.write_text('"Hi."\n' * 3)
    monkeypatch.setenv("GEMMAGRAPH_MODEL", f"scripted:{script}")

    async def watch():
        agent = Agent()
        await agent.arun("nobody watches")
        return [[event async for event in agent.stream("hello")] for _ in range(2)]

    first, second = asyncio.run(watch())
    assert Notice(f"Model: scripted:{script} (from GEMMAGRAPH_MODEL).") in first
    assert not any(isinstance(event, Notice) for event in second)


def test_the_model_can_be_asked_for_before_the_first_run(monkeypatch):
    monkeypatch.setenv("GEMMAGRAPH_MODEL", "builtin")
    assert Agent().model.name
    assert Agent().graph.name == "agent"


def test_a_gemma_on_a_reachable_ollama_goes_before_the_matcher(ollama, monkeypatch):
    monkeypatch.setenv("OLLAMA_HOST", ollama.url)
    name, why = chosen()
    assert name.startswith("ollama:gemma3")
    assert "on Ollama" in why
