"""`gemmagraph doctor`, against stand-ins."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import tiny_gemma
from click.testing import CliRunner, Result

from gemmagraph.cli import main

NOWHERE = "127.0.0.1:1"
"""Nothing listens there."""
KEY = "sk-very-secret-key"


@pytest.fixture(autouse=True)
def _nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", NOWHERE)


@pytest.fixture
def ollama_host(ollama, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OLLAMA_HOST", ollama.url)
    return ollama


@pytest.fixture
def hosted(openai) -> Callable[..., str]:
    """`hosted(*replies, **settings)`: the base URL of a server behind OpenAI's protocol."""

    def serving(*replies: str, **settings: Any) -> str:
        openai.reset()
        openai.plays(*replies, **settings)
        return f"{openai.url}/v1"

    return serving


@pytest.fixture
def dead() -> Iterator[str]:
    """The address of what takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=20) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}"


def ran(*args: str) -> Result:
    return CliRunner().invoke(main, ["doctor", *args])


def test_an_ollama_with_a_gemma_is_all_that_is_needed(ollama_host) -> None:
    result = ran()
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == f"ok    Ollama 0.33.0 at {ollama_host.url}: 3 models, 3 can call tools"
    assert "        gemma3:4b, gemma3:1b: function_call in chat messages, 8,192 tokens of context" in lines
    assert "it was trained on it, and its server writes and reads it" in " ".join(result.stdout.split())
    assert "a forced call: held to a JSON Schema" in result.stdout
    assert "ok    model ollama:gemma3:4b: could be asked now" in lines
    assert "the first Gemma there" in result.stdout
    assert lines[-1] == "A call could be made now."
    assert "→" not in result.stdout, "nothing is to be done"


def test_what_is_in_memory_is_told_with_its_context(ollama_host) -> None:
    ollama_host.plays("Hello.")
    asked = {"model": "gemma3:4b", "messages": [{"role": "user", "content": "hi"}], "options": {"num_ctx": 2048}}
    httpx.post(f"{ollama_host.url}/api/chat", json=asked, timeout=10).raise_for_status()
    shown = ran().stdout
    assert "in memory: gemma3:4b with 2,048 tokens of context; a call asks for 8,192" in shown
    assert "OLLAMA_CONTEXT_LENGTH=8192" in shown


def test_without_any_server_it_fails_and_says_what_to_do() -> None:
    result = ran()
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[0].startswith(f"fail  Ollama at http://{NOWHERE} cannot be reached")
    assert "ollama serve" in lines[1]
    assert lines[2].startswith("fail  model: No model was named and no Ollama answers")
    assert lines[3] == "        → Start Ollama or name another server. Get a Gemma with: gemmagraph pull gemma3:4b"
    assert lines[-1] == "No call could be made now."


def test_every_line_that_is_not_fine_says_what_to_do(hosted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", hosted(key=KEY))
    for args in (
        [],
        ["-m", "ollama:gemma3:4b"],
        ["-m", "gemma3"],
        ["-m", "openai:gemma3:4b"],
        ["-m", "gguf:no.gguf"],
    ):
        found = json.loads(ran("--json", *args).stdout)
        assert not found["ok"]
        amiss = [finding for finding in found["findings"] if finding["state"] != "ok"]
        assert len(amiss) >= 2
        assert all(finding["do"] for finding in amiss), amiss


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("ollama:gemma3:99b", "has no model 'gemma3:99b'"),
        ("gemma3:4b", "does not say where the model runs"),
        ("ollama:embeddinggemma:300m", "does not hold conversations"),
        ("ollama:llama3", "is not the name of a Gemma model"),
        ("gguf:nowhere.gguf", "nowhere.gguf"),
        ("ollama:", "names no model"),
    ],
)
def test_a_named_model_that_cannot_be_asked_fails(ollama_host, model: str, says: str) -> None:
    result = ran("-m", model)
    assert result.exit_code == 1
    assert f"fail  model {model}" in result.stdout
    assert says in result.stdout
    assert "Traceback" not in result.output


def test_the_environment_s_model_is_the_one_that_counts(ollama_host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMMAGRAPH_MODEL", "ollama:gemma4:e4b")
    assert "ok    model ollama:gemma4:e4b" in ran().stdout
    monkeypatch.setenv("GEMMAGRAPH_MODEL", "ollama:gemma9:e4b")
    result = ran()
    assert result.exit_code == 1
    assert "fail  model ollama:gemma9:e4b" in result.stdout


def test_the_matcher_counts_only_if_it_was_named() -> None:
    assert ran("-m", "builtin").exit_code == 0
    assert ran().exit_code == 1


SETTLED = "4,096 tokens of context, as the server has it"


@pytest.mark.parametrize(
    ("kind", "name", "held", "context", "tokens"),
    [
        ("vllm", "vLLM 0.14.1", "grammar", SETTLED, "counted there"),
        ("llamacpp", "llama.cpp b9000", "grammar", SETTLED, "counted there"),
        ("lmstudio", "LM Studio", "JSON Schema", SETTLED, "estimated"),
        ("plain", "Server", "JSON Schema", "8,192 tokens of context", "estimated"),
    ],
)
def test_servers_behind_openai_s_protocol_are_told_with_what_they_can(
    hosted, monkeypatch: pytest.MonkeyPatch, kind: str, name: str, held: str, context: str, tokens: str
) -> None:
    url = hosted(kind=kind, window=4096)
    monkeypatch.setenv("OPENAI_BASE_URL", url)
    result = ran("-m", "openai:gemma3:4b")
    assert result.exit_code == 0, result.output
    assert f"ok    {name} at {url}: 2 models, 2 can call tools" in result.stdout
    assert f"a forced call: held to a {held}" in result.stdout
    assert f"        gemma3:4b, google/gemma-3-27b-it: function_call in chat messages, {context}\n" in result.stdout
    assert f"        tokens of a prompt: {tokens}" in result.stdout
    assert "note  Ollama at" in result.stdout, "it is down, and not needed"


def test_a_model_in_this_process_is_told_with_its_context(tmp_path: Path) -> None:
    for package in ("gguf", "numpy", "xllamacpp"):
        pytest.importorskip(package, reason=f"{package} is not installed, or has no wheel here")
    file = tiny_gemma.write_tiny_gemma(tmp_path / "gemma-3-tiny.gguf")
    result = ran("-m", f"gguf:{file}")
    assert result.exit_code == 0, result.output
    assert "function_call in a whole prompt, 8,192 tokens of context\n" in result.stdout
    assert "tokens of a prompt: counted there, by the model's own vocabulary" in result.stdout


def test_a_server_that_lists_no_models_is_told_with_how_to_find_out(hosted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", hosted(no_list=True))
    result = ran("-m", "openai:gemma3:4b")
    assert result.exit_code == 0, "some servers have no list"
    assert "it lists no models, so it is not known whether it has one" in result.stdout
    assert "--live` asks a model" in result.stdout


def test_a_gemma_on_another_server_is_proposed(hosted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", hosted())
    result = ran()
    assert result.exit_code == 1
    assert "Name one that is there: -m openai:gemma3:4b" in result.stdout


def test_an_address_goes_with_the_named_model(hosted) -> None:
    assert ran("-m", "openai:gemma3:4b", "--base-url", hosted()).exit_code == 0


def test_without_a_model_an_address_is_an_ollama_s(ollama) -> None:
    assert ran("--base-url", ollama.url).exit_code == 0
    assert ran("--base-url", NOWHERE).exit_code == 1


def test_secrets_are_never_shown(hosted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", hosted(key="another-one").replace("//", "//anna:pa55word@"))
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OLLAMA_API_KEY", KEY + "2")
    for host in ("bob:hunter2@127.0.0.1:1", "http://bob:hunter2@127.0.0.1:99999", "bob:hunter2@[nonsense"):
        monkeypatch.setenv("OLLAMA_HOST", host)
        for args in ([], ["--json"], ["-m", "openai:gemma3:4b"], ["--base-url", "eve:s3same@127.0.0.1:70000"]):
            result = ran(*args)
            assert result.exit_code == 1
            for secret in ("pa55word", "hunter2", "s3same", KEY):
                assert secret not in result.output


def test_dead_hosts_cost_three_seconds_together(dead: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", dead)
    monkeypatch.setenv("OPENAI_BASE_URL", f"http://{dead}/v1")
    begun = time.monotonic()
    result = ran("-m", "openai:gemma3:4b")
    assert time.monotonic() - begun < 5, "one after the other they take six"
    assert result.exit_code == 1
    assert result.stdout.count("did not answer within 3 s") + result.stdout.count("within 3 s") >= 2


def test_live_makes_one_call(ollama_host) -> None:
    ollama_host.plays('FUNCTION_CALL: ping(word="pong")')
    result = ran("--live")
    assert result.exit_code == 0, result.output
    assert "ok    live call: gemma3:4b on Ollama at " in result.stdout
    assert " called ping in 0." in result.stdout
    (asked,) = ollama_host.seen(ended=1)["requests"]
    assert asked["body"]["options"]["num_ctx"] == 8192, "as a run would, so that the model stays loaded"


def test_a_live_call_that_does_not_come_fails(ollama_host) -> None:
    ollama_host.plays("Pong!", "Pong, I said.", "No.")
    result = ran("--live")
    assert result.exit_code == 1
    assert "fail  live call: gemma3:4b on Ollama" in result.stdout
    assert "did not keep to tool_choice" in result.stdout
    assert "→" in result.stdout


def test_a_server_that_fails_when_asked_fails_the_live_call(ollama_host) -> None:
    result = ran("--live", "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert (found["ok"], found["live"]) == (False, None)
    assert [finding["state"] for finding in found["findings"] if finding["about"] == "live call"] == ["fail"]


def test_json_holds_all(ollama_host) -> None:
    ollama_host.plays('FUNCTION_CALL: ping(word="pong")')
    result = ran("--json", "--live")
    found = json.loads(result.stdout)
    assert found["ok"] is True
    assert found["servers"][0]["counts_tokens"] is False
    assert found["model"]["name"] == "ollama:gemma3:4b"
    (server,) = found["servers"]
    assert server["version"] == "0.33.0"
    assert server["models"][0] | {"why": ""} == {
        "name": "gemma3:4b",
        "tools": True,
        "notation": "function_call",
        "transport": "chat",
        "context": 8192,
        "settled": False,
        "held": "schema",
        "loaded_context": None,
        "why": "",
    }
    assert found["live"]["seconds"] > 0
    assert found["packages"]["ollama"]
    assert found["python"].count(".") == 2
