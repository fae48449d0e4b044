"""The Gemini API at the command line."""

import json

import pytest
from click.testing import CliRunner, Result

from gemmagraph.cli import main

KEY = "AIza-not-a-real-key"


@pytest.fixture(autouse=True)
def _only_a_key_is_set(gemini, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:1")  # nothing listens there
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", gemini.url)
    monkeypatch.setenv("GEMINI_API_KEY", KEY)


def ran(*args: str) -> Result:
    return CliRunner().invoke(main, list(args))


def test_doctor_says_how_each_gemma_would_be_asked(gemini) -> None:
    result = ran("doctor", "-m", "gemini:gemma-4-31b-it")
    assert result.exit_code == 0, result.output
    said = " ".join(result.stdout.split())
    assert f"ok Gemini API at {gemini.url}: 4 models, 4 can call tools" in said
    assert "gemma-4-26b-a4b-it, gemma-4-31b-it: gemma4 in the server's own field" in said
    assert "gemma-3-27b-it: function_call in chat messages, 131,072 tokens of context, as the server has it" in said
    assert "tokens of a prompt: counted there" in said


def test_doctor_makes_a_real_call(gemini) -> None:
    gemini.plays({"calls": [{"name": "ping", "args": {"word": "pong"}}]})
    result = ran("doctor", "-m", "gemini:gemma-4-31b-it", "--live")
    assert result.exit_code == 0, result.output
    assert "gemma-4-31b-it on Gemini API" in result.stdout
    (_, asked) = gemini.seen()["requests"]
    assert asked["body"]["toolConfig"]["functionCallingConfig"]["mode"] == "ANY"


def test_a_key_that_is_refused_is_told_without_it(gemini) -> None:
    gemini.plays(key="another")
    result = ran("doctor", "-m", "gemini:gemma-4-31b-it")
    assert (result.exit_code, KEY in result.output) == (1, False)
    assert "refuses the key" in result.stdout


def test_models_lists_them_where_there_is_a_key() -> None:
    servers = json.loads(ran("models", "--json").stdout)["servers"]
    found = {server["backend"]: [model["name"] for model in server["models"]] for server in servers}
    assert found["gemini"] == ["gemma-3-1b-it", "gemma-3-27b-it", "gemma-4-26b-a4b-it", "gemma-4-31b-it"]


def test_without_a_key_nobody_asks_google(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GEMINI_API_KEY")
    assert [server["backend"] for server in json.loads(ran("models", "--json").stdout)["servers"]] == ["ollama"]
