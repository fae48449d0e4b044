"""A call waits in a file until somebody decides about it, in another process or tomorrow.

A script plays the model here; with a real one it is `Agent("ollama:gemma3:4b", …)`.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from gemmagraph import Agent, Gemma, tool
from gemmagraph.backends.scripted import ScriptedBackend, Step

store = Path(tempfile.mkdtemp()) / "agent.db"


@tool
def restart(service: str) -> str:
    """Restart a service."""
    return f"{service} runs again"


def assistant(*replies: str | Step) -> Agent:
    rule = {"tool": "restart", "then": "ask", "approvers": ["local:bob"]}
    return Agent(Gemma(ScriptedBackend(replies)), [restart], policy=[rule], store=store)


with assistant('FUNCTION_CALL: restart(service="web")') as agent:
    result = agent.run("The shop hangs.", thread="shop", user="local:ann")
print(f"{result.stop}: {result.pending[0].request}")

# Bob, elsewhere: gemmagraph approvals approve ID
words = ["approvals", "approve", result.pending[0].id, "--as", "local:bob", "--store", f"sqlite:///{store}"]
done = subprocess.run([sys.executable, "-m", "gemmagraph", *words], capture_output=True, text=True, check=True)
print(done.stdout.splitlines()[0])

with assistant(Step("I restarted web.", expect="web runs again")) as agent:
    print(agent.resume("shop"))
