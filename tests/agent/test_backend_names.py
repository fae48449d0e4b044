"""Backends by name."""

import subprocess
import sys

import pytest

from gemmagraph.backends import backend_for, register_backend
from gemmagraph.backends.scripted import ScriptedBackend
from gemmagraph.errors import AgentError


@pytest.fixture
def script(tmp_path):
    file = tmp_path / "my script: one.jsonl"
    file.write_text('"One."\n')
    return file


def test_a_name_is_a_backend_and_its_model(script):
    backend, model = backend_for("ollama:gemma3:4b", base_url="box", api_key="key")
    assert (backend.name, backend.label, model) == ("ollama", "Ollama at http://box:11434", "gemma3:4b")
    backend, model = backend_for("ollama:hf.co/unsloth/gemma-3-4b-it-GGUF:Q4_K_M")
    assert model == "hf.co/unsloth/gemma-3-4b-it-GGUF:Q4_K_M"
    backend, model = backend_for(f"scripted:{script}")
    assert (backend.name, backend.transports, model) == ("scripted", {"chat", "completion"}, str(script))
    backend, model = backend_for("builtin")
    assert (backend.name, backend.read_only_tools, model) == ("builtin", True, "builtin")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("gemma3:4b", "'gemma3:4b' does not say where the model runs. Did you mean 'ollama:gemma3:4b'?"),
        ("gemma3", "Did you mean 'ollama:gemma3'?"),
        ("google/gemma-3-4b-it", "Did you mean 'ollama:google/gemma-3-4b-it'?"),
        ("hf.co/unsloth/gemma-3:Q4", "Did you mean 'ollama:hf.co/unsloth/gemma-3:Q4'?"),
        ("olama:gemma3:4b", "There is no backend 'olama'. Did you mean 'ollama:gemma3:4b'?"),
        ("Ollama:gemma3", "Did you mean 'ollama:gemma3'?"),
        ("buildin", "Did you mean 'builtin'?"),
        ("openapi:gpt-oss", "There is no backend 'openapi'. Did you mean 'openai:gpt-oss'?"),
        ("vllm:gpt-oss", "There is no backend 'vllm'. There are: builtin, gemini, gguf, ollama, openai, scripted"),
        ("gguf:/no/such/gemma.gguf", "There is no file '/no/such/gemma.gguf'."),
        ("models/gemma-3-4b.gguf", "Did you mean 'gguf:models/gemma-3-4b.gguf'?"),
        ("gguf", "Say which: gguf:FILE.gguf."),
        ("ollama", "'ollama' names no model. Say which: ollama:gemma3:4b."),
        ("ollama:", "names no model"),
        ("openai", "Say which: openai:google/gemma-3-4b-it."),
        ("scripted", "Say which: scripted:FILE.jsonl."),
        ("builtin:small", "'builtin' has no models"),
        ("", "does not say where the model runs"),
        ("scripted:/no/such/file", "cannot be read"),
    ],
)
def test_a_name_that_is_none_is_refused_with_what_was_meant(name, words):
    with pytest.raises(AgentError) as caught:
        backend_for(name)
    assert words in str(caught.value)


@pytest.mark.parametrize("given", [{"base_url": "box"}, {"api_key": "key"}])
def test_what_asks_no_server_takes_no_address(given):
    with pytest.raises(AgentError, match="asks no server"):
        backend_for("builtin", **given)


def test_a_backend_of_ones_own_is_found_by_its_name():
    asked = []

    def make(model, base_url, api_key):
        asked.append((model, base_url, api_key))
        return ScriptedBackend([])

    register_backend("mine-1", make)
    backend, model = backend_for("mine-1:big:one", base_url="box")
    assert (backend.name, model, asked) == ("scripted", "big:one", [("big:one", "box", None)])
    for name in ("mine-1", "ollama", "Mine", "a:b", ""):
        with pytest.raises(AgentError, match=r"already|cannot name"):
            register_backend(name, make)


def test_importing_backends_loads_no_third_party_package():
    code = """if True:
        import sys
        import gemmagraph.backends, gemmagraph.backends.network.http, gemmagraph.backends.ollama.backend
        import gemmagraph.backends.network.queue, gemmagraph.backends.scripted
        names = {name.partition(".")[0] for name in sys.modules}
        print(sorted(names & {"httpx", "ollama", "pydantic", "anyio", "jsonschema", "langchain_core"}))
        """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.strip() == "[]"
