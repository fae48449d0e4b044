"""What `gemmagraph run` prints shows no secret: `--json`, text, verbose, with tracebacks."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))

from canaries import CANARIES, PATIENCE, everything, leaks

OPS = '''
import base64, os
from urllib.parse import quote
from gemmagraph import ToolError, tool
from gemmagraph.tools.secrets import Secret, Secrets

SECRETS = Secrets({f"s{n}": Secret(f"s{n}", env=f"CANARY_S{n}") for n in range(200)})

def everything():
    values = [os.environ[f"CANARY_S{n}"] for n in range(200)]
    return [text for value in values for text in written(value)]

def written(value):
    data = value.encode()
    inside = base64.b64encode(b"x" + data + b"y").decode()
    return [value, base64.b64encode(data).decode(), inside, quote(value, safe="")]

@tool(read_only=True, max_chars=400_000)
def leak() -> str:
    """Leaks."""
    return "\\n".join(everything())

@tool(read_only=True, max_chars=400_000)
def table() -> dict:
    """Leaks."""
    return {text: [text] for text in everything()}

@tool(read_only=True, max_chars=400_000)
def refuse() -> str:
    """Refuses."""
    raise ToolError("\\n".join(everything()))

@tool(read_only=True)
def crash() -> str:
    """Crashes."""
    raise RuntimeError("\\n".join(everything()))

__all__ = ["leak", "table", "refuse", "crash"]
'''


@pytest.fixture
def command(tmp_path):
    """`command(steps, *arguments)`: `gemmagraph run` in a process of its own, with a script in a model's place."""

    def run(steps, *arguments, prompt="Leak."):
        (tmp_path / "ops.py").write_text(OPS, encoding="utf-8")
        script = tmp_path / "script.jsonl"
        script.write_text("\n".join(json.dumps(step) for step in steps), encoding="utf-8")
        line = ["run", "--tools", str(tmp_path / "ops.py"), "-m", f"scripted:{script}", *arguments, prompt]
        env = {**os.environ, "PYTHONUTF8": "1", **{f"CANARY_{name.upper()}": CANARIES[name] for name in CANARIES}}
        done = subprocess.run(
            [sys.executable, "-m", "gemmagraph", *line], capture_output=True, timeout=PATIENCE, env=env, cwd=tmp_path
        )
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    return run


CALLS = "\n".join(f"FUNCTION_CALL: {name}()" for name in ("leak", "table", "refuse", "crash"))


long = pytest.mark.long


@pytest.mark.parametrize(
    "options",
    [
        pytest.param((), id="text"),
        pytest.param(("--json", "-v", "--debug"), id="--json -v --debug"),
        pytest.param(("--json",), id="--json", marks=long),
        pytest.param(("-v", "--debug"), id="-v --debug", marks=long),
    ],
)
def test_what_the_command_prints_shows_no_secret(command, options) -> None:
    code, out, err = command([CALLS, {"text": "\n".join(everything()), "chunk": 5}], *options)
    assert code == 0, err[-2_000:]
    assert leaks({"standard output": out, "standard error": err}) == []
    if "--json" in options:
        calls = json.loads(out)["calls"]
        assert [call["status"] for call in calls] == ["ok", "ok", "error", "failed"]
        assert "[secret s199]" in calls[0]["result"]


@pytest.mark.parametrize("option", ["--debug", pytest.param("--json", marks=long)])
def test_a_failure_that_the_command_prints_shows_no_secret(command, option) -> None:
    error = {"kind": "BadRequest", "message": "You said: " + " ".join(everything())}
    code, out, err = command([{"text": "", "error": error}], option)
    assert code == 1
    assert err
    assert leaks({"standard output": out, "standard error": err}) == []


LEAKY = """\
secrets: {k: {env: CANARY_K}}
tools:
  - {name: broken, python: "./broken.py:f"}
  - {name: fine, python: "./fine.py:fine"}
imports:
  - mcp: {command: PYTHON, args: [./server.py], env: {TOKEN: "{{ secrets.k }}"}}
"""
SECRET = "super_secret_12345"


@pytest.fixture
def leaky(tmp_path):
    """A file whose tools say a secret where they cannot start, and where they describe themselves."""
    (tmp_path / "assistant.yaml").write_text(LEAKY.replace("PYTHON", sys.executable), encoding="utf-8")
    (tmp_path / "broken.py").write_text(f"raise RuntimeError('cannot start with {SECRET}')", encoding="utf-8")
    (tmp_path / "fine.py").write_text(
        f'def fine(a: str) -> str:\n    """Fine, as {SECRET} is."""\n    return a\n', encoding="utf-8"
    )
    (tmp_path / "server.py").write_text(
        "import os, sys\nsys.exit('bad token ' + os.environ['TOKEN'])", encoding="utf-8"
    )
    (tmp_path / "script.jsonl").write_text('"Hello."', encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("line", "times"),
    [
        ("run hi -m scripted:script.jsonl", 2),
        ("run hi --json -m scripted:script.jsonl", 2),
        ("tools show", 3),
        ("tools show --json", 3),
        ("tools docs", 3),
        ("tools test", 2),
        ("tools pin", 1),
        ("check broken", 1),
    ],
)
def test_what_tools_say_of_themselves_is_printed_without_secrets(leaky, line, times) -> None:
    env = {**os.environ, "PYTHONUTF8": "1", "CANARY_K": SECRET}
    done = subprocess.run(
        [sys.executable, "-m", "gemmagraph", *line.split()], capture_output=True, timeout=PATIENCE, env=env, cwd=leaky
    )
    said = (done.stdout + done.stderr).decode().replace("\\", "")
    assert SECRET not in said
    assert said.count("[secret k]") == times, said
