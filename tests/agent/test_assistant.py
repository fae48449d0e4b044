"""What an assistant file does beyond its tools: model, toolsets, policy, limits, what is not there, and its doors."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from declared_assistants import call, module_of, scripted, told
from langchain_core.messages import HumanMessage
from recorded import recorded

from gemmagraph import Agent, Approve, ChatGemma, Gemma
from gemmagraph.approvals import Approval
from gemmagraph.assistant import load_assistant, load_tools
from gemmagraph.backends.scripted import ScriptedBackend
from gemmagraph.calls import _REPEATED
from gemmagraph.errors import AgentError
from gemmagraph.events import Rerouted, RunFinished, ToolsPicked
from gemmagraph.prompts.errors import GemmagraphError
from gemmagraph.tools import run_sync
from gemmagraph.tools.declared.problems import FileErrors

OPS = '''
import asyncio

running, most = 0, 0


async def look(what: str = "") -> str:
    """Looks.

    Args:
        what: At what.
    """
    global running, most
    running += 1
    most = max(most, running)
    for _ in range(5):
        await asyncio.sleep(0)
    running -= 1
    return f"seen {what}"


async def hang() -> str:
    """Hangs."""
    await asyncio.sleep(60)
    return "never"
'''
LOOK = "tools: [{name: look, python: './ops.py:look'}]\n"
ANN = {"user": "local:ann", "channel": "terminal:here"}

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(text: str, **others: str) -> Path:
        (tmp_path / "ops.py").write_text(OPS)
        for name, other in others.items():
            (tmp_path / f"{name}.yaml").write_text(other, "utf-8")
        file = tmp_path / "assistant.yaml"
        file.write_text(text, "utf-8")
        return file

    return written


def results(file: Path, *replies: str, asking: Any = ANN, **options: Any) -> list[str]:
    with Agent.from_file(file, model=scripted(*replies), **options) as agent:
        return list(told(agent, **asking))


# --- model


def test_the_model_is_asked_as_the_file_says(write: Write, openai: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY_OF_THIS_TEST", "key-of-this-very-test")
    file = write(
        f"""
model:
  name: openai:gemma3:4b
  base_url: {openai.url}/v1
  api_key: "{{{{ secrets.key }}}}"
  temperature: 0.25
  seed: 7
  max_tokens: 123
  notation: json
instructions: Be brief.
secrets: {{key: {{env: KEY_OF_THIS_TEST}}}}
{LOOK}"""
    )
    openai.plays('{"name": "look", "arguments": {"what": "a"}}', "Done.", key="key-of-this-very-test")
    with Agent.from_file(file) as agent:
        assert agent.run("Go on.").text == "Done."
        assert agent.name == "assistant"
    first = openai.seen()["requests"][0]
    assert first["headers"]["Authorization"] == "Bearer key-of-this-very-test"
    asked = first["body"]
    assert (asked["model"], asked["temperature"], asked["seed"], asked["max_tokens"]) == ("gemma3:4b", 0.25, 7, 123)
    assert "Be brief." in json.dumps(asked["messages"])


def test_a_fallback_answers_where_the_model_does_not(write: Write, ollama: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("OLLAMA_HOST", ollama.url)
    ollama.plays("Hello.")
    model = "{name: 'openai:gemma3:4b', base_url: 'http://127.0.0.1:1/v1', fallback: ['ollama:gemma3:4b']}"
    agent = Agent.from_file(write(f"model: {model}"))

    async def events() -> list[Any]:
        async with agent:
            return [event async for event in agent.stream("Hi.")]

    seen = asyncio.run(asyncio.wait_for(events(), 20))
    assert any(isinstance(event, Rerouted) for event in seen)
    assert isinstance(seen[-1], RunFinished)
    assert seen[-1].result.text == "Hello."


def test_a_key_that_is_not_there_is_said_when_the_model_is_made(write: Write) -> None:
    secret = "secrets: {key: {env: NOT_SET_ANYWHERE}}"
    file = write(f"model: {{name: 'openai:gemma3:4b', api_key: '{{{{ secrets.key }}}}'}}\n{secret}")
    with pytest.raises(GemmagraphError, match="'key' has no value: the variable NOT_SET_ANYWHERE is not set"):
        Agent.from_file(file)
    with Agent.from_file(file, model=scripted("Hello.")) as agent:  # which stands in for that of the file
        assert agent.run("Hi.").text == "Hello."


def test_without_a_model_one_is_chosen(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMMAGRAPH_MODEL", "builtin")
    with Agent.from_file(write(LOOK)) as agent:
        assert isinstance(agent.model, Gemma)
        assert agent.model.model == "builtin"


# --- files and toolsets


def test_an_included_file_adds_tools_with_what_it_says_of_them(write: Write) -> None:
    more = (
        "defaults: {timeout: 3s}\ntools: [{name: also, python: './ops.py:look', annotations: {readOnlyHint: true}}]"
    )
    tools = [
        tool.original
        for tool in load_tools(write(f"include: [more.yaml]\ndefaults: {{timeout: 5s}}\n{LOOK}", more=more))
    ]
    assert [(tool.name, tool.timeout, tool.read_only) for tool in tools] == [("look", 5, None), ("also", 3, True)]


def test_a_tools_file_is_loaded_by_itself(write: Write) -> None:
    assert [tool.name for tool in load_tools(write(LOOK))] == ["look"]


TOOLSETS = """
instructions: Be brief.
tools:
  - {name: look, python: './ops.py:look'}
  - {name: look_twice, python: './ops.py:look'}
  - {name: hang, python: './elsewhere.py:hang'}
toolsets:
  base: {tools: [look], instructions: Look once.}
  more: {extends: base, tools: ["*_twice"], instructions: Then look twice.}
  all: {tools: ["*"]}
"""


@pytest.mark.parametrize(
    ("toolset", "names", "instructions", "missing"),
    [
        (None, ["look", "look_twice"], "Be brief.", ["hang"]),
        ("base", ["look"], "Be brief.\n\nLook once.", []),
        ("more", ["look", "look_twice"], "Be brief.\n\nLook once.\n\nThen look twice.", []),
        ("all", ["look", "look_twice"], "Be brief.", ["hang"]),
    ],
    ids=str,
)
def test_a_toolset_is_some_of_the_tools_and_nothing_of_the_others_is_touched(
    write: Write, toolset: str | None, names: list[str], instructions: str, missing: list[str]
) -> None:
    assistant = load_assistant(write(TOOLSETS), toolset=toolset)
    assert [tool.name for tool in asyncio.run(assistant.open())] == names
    assert assistant.instructions == instructions
    assert list(assistant.unavailable) == missing


def test_a_toolset_that_is_not_there_is_said_with_those_that_are(write: Write) -> None:
    with pytest.raises(AgentError, match="has no toolset 'nothing'") as caught:
        load_tools(write(TOOLSETS), toolset="nothing")
    assert "base, more, all" in str(caught.value)


# --- policy and groups

POLICY = f"""
{LOOK}
groups: {{oncall: [local:ann]}}
policy:
  - {{tool: look, users: ["group:oncall"], args: {{what: "a*"}}, then: allow}}
  - {{tool: look, channels: ["slack:T1/C1"], then: deny}}
  - {{tool: "lo*", then: ask}}
"""


@pytest.mark.parametrize(
    ("asking", "what", "said"),
    [
        (ANN, "apple", "seen apple"),
        (ANN, "banana", "Not run: the rule for 'lo*' says 'ask', so a person must approve it, and nobody can be"),
        ({"user": "local:bob"}, "apple", "Not run: the rule for 'lo*' says 'ask', so a person must approve it"),
        ({}, "apple", "Not run: the rule for 'lo*' says 'ask', so a person must approve it"),
        ({**ANN, "channel": "slack:T1/C1"}, "apple", "Not run: the rule for 'look' says 'deny'."),
    ],
    ids=["allowed", "other argument", "other user", "nobody known", "other channel"],
)
def test_the_policy_decides_and_says_why_but_not_where(write: Write, asking: Any, what: str, said: str) -> None:
    file = write(POLICY)
    (answer,) = results(file, call("look", what=what), "Done.", asking=asking)
    assert answer.startswith(said)
    assert file.name not in answer


def test_who_is_asked_lets_a_call_pass(write: Write) -> None:
    asked: list[Approval] = []

    def approve(approval: Approval) -> Approve:
        asked.append(approval)
        return Approve()

    assert results(write(POLICY), call("look", what="banana"), "Done.", approve=approve) == ["seen banana"]
    assert [(one.tool, one.user) for one in asked] == [("look", "local:ann")]


# --- limits


@pytest.mark.parametrize(
    ("limits", "replies", "reason"),
    [
        ("steps: 2", [call("look", what="a"), call("look", what="b")], "the limit of 2 steps is reached"),
        ("calls: 1", ["\n".join([call("look", what="a"), call("look", what="b")])], "the limit of 1 tool calls"),
        ("wall_time: 200ms", [call("hang")], "the limit of 0.2 seconds is reached"),
        (
            "same_call: {warn_at: 1, stop_at: 2}",
            [call("look"), call("look"), "So."],
            "the model made the same call 2 times",
        ),
    ],
)
def test_a_limit_ends_a_run_with_its_reason(write: Write, limits: str, replies: list[str], reason: str) -> None:
    hang = "  - {name: hang, python: './ops.py:hang'}\n"
    file = write(f"limits: {{{limits}}}\ntools:\n  - {{name: look, python: './ops.py:look'}}\n{hang}")
    with Agent.from_file(file, model=scripted(*replies)) as agent:
        result = agent.run("Go on.")
    assert result.stop == "limit"
    assert result.reason.startswith(reason)


def test_the_model_is_warned_when_it_makes_the_same_call(write: Write) -> None:
    answers = results(write(f"limits: {{same_call: {{warn_at: 1, stop_at: 3}}}}\n{LOOK}"), call("look"), "Done.")
    assert answers == [f"seen \n{_REPEATED}"]


def test_tokens_are_counted_as_the_server_says(write: Write, ollama: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", ollama.url)
    ollama.plays(call("look"), "Done.")
    with Agent.from_file(write(f"model: ollama:gemma3:4b\nlimits: {{tokens: 1}}\n{LOOK}")) as agent:
        result = agent.run("Go on.")
    assert (result.stop, result.reason) == ("limit", "the limit of 1 tokens is reached")


@pytest.mark.parametrize(
    ("keys", "most"), [("", 3), ("limits: {parallel: 2}\n", 2), ("limits: {parallel: 1}\n", 1)], ids=str
)
def test_parallel_bounds_the_calls_of_one_turn(write: Write, keys: str, most: int) -> None:
    file = write(f"{keys}{LOOK}")
    results(file, "\n".join(call("look", what=str(n)) for n in range(3)), "Done.")
    assert module_of(file.with_name("ops.py")).most == most


def test_a_sequential_tool_runs_one_call_of_a_turn_after_another(write: Write) -> None:
    file = write("tools: [{name: look, python: './ops.py:look', sequential: true}]")
    results(file, "\n".join(call("look", what=str(n)) for n in range(3)), "Done.")
    assert module_of(file.with_name("ops.py")).most == 1


def test_a_result_may_be_the_answer(write: Write) -> None:
    file = write("tools: [{name: look, python: './ops.py:look', return_direct: true}]")
    with Agent.from_file(file, model=scripted(call("look", what="a"))) as agent:
        assert agent.run("Go on.").text == "seen a"


def test_of_many_tools_the_pinned_ones_are_always_shown(write: Write) -> None:
    many = "".join(f"  - {{name: weather_{n}, python: './ops.py:look', description: Weather.}}\n" for n in range(40))
    file = write(f"tools:\n{many}  - {{name: help_me, python: './ops.py:look', description: Helps., pinned: true}}\n")
    with Agent.from_file(file, model=scripted("Sunny.")) as agent:

        async def events() -> list[Any]:
            return [event async for event in agent.stream("What is the weather?")]

        seen = asyncio.run(asyncio.wait_for(events(), 20))
    (picked,) = (event for event in seen if isinstance(event, ToolsPicked))
    assert (len(picked.names), picked.of) == (32, 41)
    assert "help_me" in picked.names


# --- what is not there

UNAVAILABLE = """
secrets: {key: {env: NOT_SET_ANYWHERE}, file_key: {file: ./no_such_file}}
connections:
  db: {sql: {dsn: "{{ secrets.key }}"}}
  shop: {http: {base_url: "http://127.0.0.1:1", auth: {bearer: "{{ secrets.file_key }}"}}}
tools:
  - {name: look, python: "./ops.py:look"}
  - {name: no_file, python: "./elsewhere.py:look"}
  - {name: no_module, python: "no_such_module_anywhere:look"}
  - {name: no_program, description: D., shell: [no-such-program-anywhere]}
  - {name: no_variable, description: D., sql: {connection: db, statement: SELECT 1}}
  - {name: no_secret, description: D., http: {connection: shop}}
imports:
  - {mcp: {command: no-such-server-anywhere}}
"""


def test_what_is_not_there_is_listed_with_the_reason_and_the_rest_works(write: Write) -> None:
    file = write(UNAVAILABLE)
    with Agent.from_file(file, model=scripted(call("look", what="a"), "Done.")) as agent:
        assert list(agent.tools) == ["look"]
        assert told(agent) == ["seen a"]
        reasons = dict(agent.unavailable)
    for name, reason in {
        "no_file": "There is no file './elsewhere.py'",
        "no_module": "There is no module 'no_such_module_anywhere'",
        "no_program": "the program no-such-program-anywhere is not on the PATH",
        "no_variable": "the variable NOT_SET_ANYWHERE is not set",
        "no_secret": "no_such_file cannot be read",
        "no-such-server-anywhere": "there is no program no-such-server-anywhere",
    }.items():
        assert reason in reasons.pop(name), name
    assert reasons == {}


def test_what_is_not_as_the_file_says_is_an_error_of_the_file(write: Write, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("def look(:\n")
    (tmp_path / "five.py").write_text("look = 5\n")
    file = write(
        """
tools:
  - {name: no_name, python: "./ops.py:lok"}
  - {name: no_python, python: "./broken.py:look"}
  - {name: no_tool, python: "./five.py:look"}
  - {name: other, python: "./ops.py:look", parameters: {properties: {which: {type: string}}}}
  - {name: bound, python: "./ops.py:look", bind: {which: "{{ context.user }}"}}
  - {name: no_file, python: "./elsewhere.py:look"}
"""
    )
    assert [entry.unavailable for entry in load_assistant(file).entries[:5]] == [None] * 5
    with pytest.raises(FileErrors) as caught:
        load_tools(file)
    assert [str(problem).removeprefix(f"{file}:") for problem in caught.value.problems] == [
        "3:29: tools[0] (no_name) → python: ./ops.py has no 'lok'. Did you mean 'look'?",
        f"4:31: tools[1] (no_python) → python: {tmp_path}/broken.py, line 1: invalid syntax.",
        "5:29: tools[2] (no_tool) → python: 5 is no tool. Give a function, a Tool, a LangChain tool or a pydantic "
        "model class.",
        f"6:56: tools[3] (other) → parameters: The schema does not fit the signature of ops ({tmp_path}/ops.py)."
        "look(): got an unexpected keyword argument 'which'. Each property needs a parameter of its name, or "
        "**arguments that takes them all.",
        "7:58: tools[4] (bound) → bind.which: ./ops.py:look has no parameter 'which', which bind fills in. Its "
        "parameters: what.",
    ]


def test_a_package_that_a_python_file_needs_makes_its_tools_unavailable(write: Write, tmp_path: Path) -> None:
    (tmp_path / "needy.py").write_text("import json\nimport no_such_package_anywhere\ndef look(): ...\n")
    (tmp_path / "angry.py").write_text("import os\nos.environ['NOT_SET_ANYWHERE']\n")
    file = write("tools: [{name: a, python: './needy.py:look'}, {name: b, python: './angry.py:look'}]")
    assistant = load_assistant(file)
    assert asyncio.run(assistant.open()) == []
    assert assistant.unavailable == {
        "a": f"{tmp_path}/needy.py, line 2: needs the package 'no_such_package_anywhere'. Install it where "
        "gemmagraph is installed.",
        "b": f"{tmp_path}/angry.py, line 2: KeyError: 'NOT_SET_ANYWHERE'.",
    }


def test_to_read_a_file_imports_and_starts_nothing(write: Write, tmp_path: Path) -> None:
    file = write(LOOK)
    (tmp_path / "ops.py").write_text("raise AssertionError('it was imported')")
    (entry,) = load_assistant(file).entries
    assert (entry.name, entry.kind, entry.place, entry.unavailable) == ("look", "python", f"{file}:1", None)
    assert load_tools(file) == []


def test_two_tools_of_one_name_are_an_error_of_the_file(write: Write, tmp_path: Path) -> None:
    (tmp_path / "api.json").write_text(
        json.dumps(
            {
                "openapi": "3.1.0",
                "info": {"title": "A", "version": "1"},
                "servers": [{"url": "https://example.org"}],
                "paths": {
                    "/a": {"get": {"operationId": "look", "tags": ["t"], "responses": {}}},
                    "/b": {"get": {"operationId": "other", "tags": ["t"], "responses": {}}},
                },
            }
        )
    )
    twice = "- {openapi: ./api.json, include: [{tag: t}]}\n" * 2
    file = write(f"{LOOK}imports:\n{twice}")
    line = LOOK.count("\n") + 2
    with pytest.raises(FileErrors) as refused:
        load_tools(file)
    assert [(problem.place.line, problem.message.split(", from")[0]) for problem in refused.value.problems] == [
        (line, "there is a tool 'look' already"),
        (line + 1, "there is a tool 'look' already"),
        (line + 1, "there is a tool 'other' already"),
    ]


def test_a_rule_for_a_tool_that_no_import_has_is_an_error_of_the_file(write: Write, tmp_path: Path) -> None:
    document = {"openapi": "3.1.0", "info": {"title": "A", "version": "1"}, "servers": [{"url": "https://a.example"}]}
    document["paths"] = {"/a": {"get": {"operationId": "getA", "responses": {}}}}
    (tmp_path / "api.json").write_text(json.dumps(document))
    policy = "policy: [{tool: getA, then: deny}, {tool: getB, then: deny}]"
    file = write(f"{LOOK}imports: [{{openapi: ./api.json, include: [{{operationId: getA}}]}}]\n{policy}")
    with pytest.raises(FileErrors, match="there is no tool 'getB'; did you mean 'getA'"):
        load_tools(file)


# --- LangChain


def test_langchains_agents_keep_to_policy_guards_and_limits(write: Write) -> None:
    create_agent = pytest.importorskip("langchain.agents", reason="langchain is not installed").create_agent
    argv = json.dumps([sys.executable, "-c", "print('ran')", "{{ args.what }}"])
    parameters = "{properties: {what: {type: string, maxLength: 5}}}"
    file = write(
        f"""
tools:
  - {{name: look, python: "./ops.py:look"}}
  - {{name: hang, python: "./ops.py:hang", timeout: 50ms, annotations: {{readOnlyHint: true}}}}
  - {{name: run, description: Runs., shell: {argv}, parameters: {parameters}}}
  - name: echo
    description: Echoes.
    shell: {argv}
    parameters: {parameters}
    annotations: {{readOnlyHint: true}}
policy: [{{tool: look, args: {{what: "secret*"}}, then: deny}}]
"""
    )
    calls = [
        call("look", what="a"),
        call("look", what="secrets"),
        call("hang"),
        call("run", what="x"),
        call("echo", what="--x"),
        call("echo", what="x"),
    ]
    model = ChatGemma(gemma=Gemma(ScriptedBackend(["\n".join(calls), "Done."])))
    agent = create_agent(model, load_tools(file))
    messages = agent.invoke({"messages": [HumanMessage("Go on.")]})["messages"]
    answers = [str(message.content) for message in messages if message.type == "tool"]
    assert answers[0] == "seen a"
    assert answers[1].startswith("look was not run: the rule for 'look' says 'deny'.")
    assert answers[2].startswith("hang did not finish within 0.05 s.")
    assert answers[3].startswith(
        "run was not run: run is a program, not marked read-only. It needs a person's approval"
    )
    assert "must not begin with '-'" in answers[4]
    assert answers[5] == "ran\n"


def test_what_the_tools_share_ends_with_the_agent(write: Write) -> None:
    with recorded() as server:
        connection = f"connections: {{shop: {{http: {{base_url: '{server.url}'}}}}}}"
        file = write(f"{connection}\ntools: [{{name: look, description: D., http: {{connection: shop, path: /a}}}}]")
        with Agent.from_file(file, model=scripted(call("look"), call("look"), "Done.")) as agent:
            agent.run("Go on.")
            assert server.connections == 1
        assert run_sync(agent.tools["look"].run({})).status == "ok"
        assert (server.targets, server.connections) == (["/a"] * 3, 2)
        agent.close()
    run_sync(load_assistant(file).close())  # nothing was opened
