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


@pytest.mark.parametrize("options", [("--json",), (), ("-v", "--debug"), ("--json", "-v", "--debug")], ids=" ".join)
def test_what_the_command_prints_shows_no_secret(command, options) -> None:
    code, out, err = command([CALLS, {"text": "\n".join(everything()), "chunk": 5}], *options)
    assert code == 0, err[-2_000:]
    assert leaks({"standard output": out, "standard error": err}) == []
    if "--json" in options:
        calls = json.loads(out)["calls"]
        assert [call["status"] for call in calls] == ["ok", "ok", "error", "failed"]
        assert "[secret s199]" in calls[0]["result"]


@pytest.mark.parametrize("options", [("--json",), ("--debug",)], ids=" ".join)
def test_a_failure_that_the_command_prints_shows_no_secret(command, options) -> None:
    error = {"kind": "BadRequest", "message": "You said: " + " ".join(everything())}
    code, out, err = command([{"text": "", "error": error}], *options)
    assert code == 1
    assert err
    assert leaks({"standard output": out, "standard error": err}) == []
