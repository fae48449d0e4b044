"""`gemmagraph models`, against stand-ins."""

import json

import pytest
from click.testing import CliRunner, Result

from gemmagraph.cli import main
from gemmagraph.cli.models import PUBLISHED, Row, Use, _table
from gemmagraph.prompts.catalog import family_of

LONG = "hf.co/unsloth/gemma-3-12b-it-qat-GGUF:Q4_K_XL"


@pytest.fixture(autouse=True)
def _nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:1")


@pytest.fixture
def hosted(openai) -> str:
    """The base URL of a server behind OpenAI's protocol."""
    openai.plays(kind="vllm")
    return f"{openai.url}/v1"


def ran(*args: str) -> Result:
    return CliRunner().invoke(main, ["models", *args])


def test_local_models_are_listed_with_how_they_would_be_used(ollama, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", ollama.url)
    result = ran()
    assert result.exit_code == 0, result.output
    local, known = result.stdout.split("\n\n")
    lines = local.splitlines()
    assert lines[0] == f"Ollama 0.33.0 at {ollama.url}: 3 models"
    assert [line.split() for line in lines[1:]] == [
        ["model", "size", "context", "tools", "notation", "transport"],
        ["gemma3:1b", "815", "MB", "32,768", "yes", "function_call", "chat"],
        ["gemma3:4b", "3.3", "GB", "131,072", "yes", "function_call", "chat"],
        ["gemma4:e4b", "9.6", "GB", "131,072", "yes", "gemma4", "tools"],
    ]
    names = [line.split()[0] for line in known.splitlines()[2:]]
    assert "gemma3:4b" not in names
    assert "gemma3:12b" in names
    assert result.stderr == ""


def test_what_calls_no_tools_is_listed_with_the_reason() -> None:
    lines = ran().stdout.splitlines()
    assert next(line for line in lines if "embeddinggemma" in line).endswith("no     turns text into vectors")
    assert all(len(line) <= 80 for line in lines)


def test_no_ollama_is_said_beside_what_is_known() -> None:
    result = ran()
    assert result.exit_code == 0
    assert "cannot be reached" in result.stderr
    assert "ollama serve" in result.stderr
    assert "gemma3:4b" in result.stdout


def test_a_server_behind_openai_s_protocol_is_listed(hosted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for result in (ran("--base-url", hosted), (monkeypatch.setenv("OPENAI_BASE_URL", hosted), ran())[1]):
        assert result.exit_code == 0, result.output
        assert f"vLLM 0.14.1 at {hosted}: 2 models" in result.stdout
        assert "google/gemma-3-27b-it" in result.stdout


def test_an_ollama_can_be_meant_by_the_address_too(ollama) -> None:
    assert ran("--base-url", ollama.url).stdout.startswith("Ollama 0.33.0 at ")


def test_a_named_server_that_is_down_is_an_error() -> None:
    result = ran("--base-url", "http://anna:pa55word@127.0.0.1:1/v1")
    assert result.exit_code == 1
    assert "cannot be reached" in result.stderr
    assert "pa55word" not in result.output


@pytest.mark.parametrize("url", ["[nonsense", "ftp://127.0.0.1", "http://127.0.0.1:99999"])
def test_an_address_that_is_none_is_an_error(url: str) -> None:
    result = ran("--base-url", url)
    assert result.exit_code == 1
    assert "Traceback" not in result.stderr
    assert "This should not happen" not in result.stderr


def test_json_holds_the_same(ollama, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", ollama.url)
    found = json.loads(ran("--json").stdout)
    (server,) = found["servers"]
    assert (server["backend"], server["version"], server["problem"]) == ("ollama", "0.33.0", None)
    assert server["models"][0] == {
        "name": "gemma3:1b",
        "size": 815_319_791,
        "context": 32_768,
        "tools": True,
        "why": "it has no notation of its own: tools are described in the prompt",
        "notation": "function_call",
        "transport": "chat",
    }
    assert {entry["name"] for entry in found["published"]} == PUBLISHED.keys() - {
        entry["name"] for entry in server["models"]
    }


def test_every_published_name_is_of_the_family_that_it_begins_with() -> None:
    for name in PUBLISHED:
        assert family_of(name).name == name.partition(":")[0]
        assert not family_of(name).guessed


def test_a_long_name_does_not_push_the_table_over_the_edge() -> None:
    use = Use("function_call", "chat", 8192)
    rows = [Row("gemma3:4b", 3.3e9, 131_072, use), Row(LONG, 8.1e9, 131_072, use), Row("llama3", None, None, Use())]
    lines = _table(rows, 80)
    assert max(map(len, lines)) <= 80
    assert f"  {LONG}" in lines
    assert lines[1].index("yes") == lines[3].index("yes")
    assert f"  {LONG}  " in _table(rows, 120)[2]


@pytest.mark.parametrize(
    ("columns", "last"), [(80, "transport"), (61, "transport"), (60, "notation"), (50, "notation"), (49, "tools")]
)
def test_a_narrow_terminal_has_fewer_columns(columns: int, last: str) -> None:
    rows = [
        Row("gemma3:4b", 3.3e9, 131_072, Use("function_call", "chat", 8192)),
        Row("x:1b", 1e9, 8192, Use(why="b" * 90)),
    ]
    head, *lines = _table(rows, columns)
    assert head.split()[-1] == last
    assert max(map(len, (head, *lines))) <= columns
