"""Tools of an MCP server made with the official library, over stdio and over streamable HTTP."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from gemmagraph import Agent, Gemma
from gemmagraph.backends.scripted import ScriptedBackend
from gemmagraph.prompts.errors import InvalidArguments
from gemmagraph.tools.errors import BodyError, ToolDefinitionError
from gemmagraph.tools.imports.foreign import Import, Surroundings
from gemmagraph.tools.imports.mcp import McpBody, McpServer, mcp_import, mcp_tools, pin_of
from gemmagraph.tools.results import Outcome
from gemmagraph.tools.runtime import run_sync
from gemmagraph.tools.secrets import Secret, Secrets, remember
from gemmagraph.tools.tool import Tool

sys.path.append(str(Path(__file__).parent.parent))

import mcp_server
from mcp_server import Served

WAIT = 20.0
UNKNOWN = "Its outcome is unknown"


def on_this_machine(log: Path, **keys: Any) -> McpServer:
    return McpServer(command=sys.executable, args=["-W", "ignore", mcp_server.__file__, str(log)], **keys)


def tools_of(server: McpServer) -> dict[str, Tool]:
    return {tool.name: tool for tool in run_sync(server.tools())}


def call(tool: Tool, **arguments: Any) -> Outcome:
    async def bounded() -> Outcome:
        async with asyncio.timeout(WAIT):
            return await tool.run(tool.check(arguments))

    return asyncio.run(bounded())


def until(true: Callable[[], object], what: str) -> None:
    end = time.monotonic() + WAIT
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with mcp_server.served(tmp_path_factory.mktemp("http") / "log") as served:
        yield served


@pytest.fixture(scope="module", params=["stdio", "http"])
def tools(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Tool]]:
    """Its tools, in one session for all tests that leave it as it is."""
    if request.param == "http":
        server = McpServer(url=request.getfixturevalue("http").url, headers={"X-Key": "abc"})
    else:
        server = on_this_machine(tmp_path_factory.mktemp("stdio") / "log")
    yield tools_of(server)
    run_sync(server.close())


@pytest.fixture
def program(tmp_path: Path) -> Iterator[McpServer]:
    """A server of one test's own."""
    server = on_this_machine(tmp_path / "log")
    yield server
    run_sync(server.close())


# What it offers.


def test_a_tool_has_what_its_server_says_and_is_asked_for(tools: dict[str, Tool]) -> None:
    add = tools["add"]
    assert add.description == "Adds two numbers."
    assert add.spec.parameters["required"] == ["a", "b"]
    assert add.spec.parameters["additionalProperties"] is False
    assert add.kind == "mcp"
    assert (add.read_only, add.idempotent) == (None, None)  # whatever its server says
    assert add.own_ruling().verdict == "ask"


def test_a_name_is_made_one_that_tools_can_have_or_left_out(tools: dict[str, Tool]) -> None:
    body = tools["a_strange_name"].body
    assert isinstance(body, McpBody)
    assert body.definition.name == "a strange/name"
    assert "auto" not in tools
    assert "keep for themselves" in body.server.left_out["auto"]


def test_arguments_are_checked_before_they_are_sent(tools: dict[str, Tool]) -> None:
    with pytest.raises(InvalidArguments, match="b"):
        tools["add"].check({"a": 1})


# What it answers.


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("text", "plain"),
        ("image", "[image/png, 12 kB, not shown]"),
        ("audio", "[audio/wav, 12 kB, not shown]"),
        ("resource", "[note://1, text/plain]\na note"),
        ("blob", "[note://2, application/pdf, 12 kB, not shown]"),
        ("link", "[notes, note://all, text/plain]"),
        ("nothing", ""),
    ],
    ids=lambda value: str(value)[:12],
)
def test_each_kind_of_content_is_shown_or_named(tools: dict[str, Tool], kind: str, told: str) -> None:
    outcome = call(tools["show"], kind=kind)
    assert (outcome.content, outcome.status) == (told, "ok")


def test_several_contents_follow_each_other(tools: dict[str, Tool]) -> None:
    lines = str(call(tools["show"], kind="all").content).splitlines()
    assert lines[:2] == ["plain", "[image/png, 12 kB, not shown]"]
    assert len(lines) == 7


def test_a_value_stands_for_the_text_where_its_shape_is_declared(tools: dict[str, Tool]) -> None:
    assert call(tools["add"], a=2, b=3).content == {"sum": 5}


def test_a_tool_that_says_it_failed_is_an_error(tools: dict[str, Tool]) -> None:
    outcome = call(tools["fail"], why="no reason")
    assert outcome.status == "error"
    assert "fail" in str(outcome.content)
    assert isinstance(outcome.error, BodyError)
    assert outcome.error.kinds == ("error",)
    assert not outcome.error.unknown


@pytest.mark.parametrize("what", ["roots", "sampling", "elicitation"])
def test_what_the_server_asks_of_us_is_refused(tools: dict[str, Tool], what: str) -> None:
    assert str(call(tools["ask_back"], what=what).content).startswith("refused:")


def test_an_answer_beyond_all_measure_is_not_read_and_the_session_goes_on(tools: dict[str, Tool]) -> None:
    before = call(tools["pid"]).content
    outcome = call(tools["large"], size=11 * 1024 * 1024)
    assert outcome.status == "error"
    assert "larger than 10 MiB" in str(outcome.content) or "byte limit" in str(outcome.content)
    assert UNKNOWN in str(outcome.content)
    assert call(tools["pid"]).content == before


def test_a_long_answer_is_cut_like_any_other(tools: dict[str, Tool]) -> None:
    content = str(call(tools["large"], size=1_000_000).content)
    assert len(content) <= tools["large"].max_chars
    assert "1,000,000 characters" in content


def test_what_will_happen_names_server_tool_and_arguments(tools: dict[str, Tool]) -> None:
    rendered = tools["add"].render({"a": 1, "b": 2})
    assert rendered.shown.endswith(': add {"a": 1, "b": 2}')
    assert rendered.shown.startswith(("mcp_server.py", "127.0.0.1"))
    assert rendered.facts["arguments"] == {"a": 1, "b": 2}
    assert rendered.facts["tool"] == "add"
    assert rendered.facts["server"]


def test_twenty_calls_run_at_once(tools: dict[str, Tool]) -> None:
    async def all_of_them() -> list[Outcome]:
        async with asyncio.timeout(WAIT):
            return await asyncio.gather(*(tools["add"].run({"a": number, "b": 1}) for number in range(20)))

    assert [outcome.content for outcome in asyncio.run(all_of_them())] == [{"sum": n + 1} for n in range(20)]


def test_one_session_serves_every_event_loop(tools: dict[str, Tool]) -> None:
    async def twice() -> set[Any]:
        found = await asyncio.gather(tools["pid"].run({}), asyncio.to_thread(run_sync, tools["pid"].run({})))
        return {outcome.content for outcome in found}

    assert len(asyncio.run(twice()) | asyncio.run(twice())) == 1


# What is said of it here.


def test_only_this_side_marks_a_tool_read_only(http: Served) -> None:
    server = McpServer(
        url=http.url, include=["add", "p*"], overrides={"add": {"annotations": {"readOnlyHint": True}}}
    )
    found = tools_of(server)
    run_sync(server.close())
    assert set(found) == {"add", "pid"}
    assert found["add"].own_ruling().verdict == "allow"
    assert found["pid"].own_ruling().verdict == "ask"


def test_overrides_name_describe_and_shape(http: Served) -> None:
    said = {"name": "plus", "description": "Sums.", "result": {"select": "sum"}, "timeout": "5s", "approval": "deny"}
    server = McpServer(url=http.url, include=["add"], overrides={"add": said})
    plus = tools_of(server)["plus"]
    assert (plus.description, plus.timeout, plus.own_ruling().verdict) == ("Sums.", 5.0, "deny")
    assert call(plus, a=2, b=2).content == 4
    run_sync(server.close())


@pytest.mark.parametrize(
    ("keys", "key", "message"),
    [
        ({"overrides": {"ad": {}}}, ("overrides", "ad"), "no such tool"),
        ({"overrides": {"add": {"timeout": "5 parsecs"}}}, ("overrides", "add", "timeout"), "parsecs"),
        ({"overrides": {"add": {"cache": "1h"}}}, ("overrides", "add"), "cache"),
        ({"overrides": {"add": {"readOnly": True}}}, ("overrides", "add", "readOnly"), "cannot be said"),
    ],
    ids=["unknown tool", "bad value", "contradiction", "unknown key"],
)
def test_a_wrong_override_is_an_error_with_its_key(
    http: Served, keys: Any, key: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ToolDefinitionError) as caught:
        run_sync(McpServer(url=http.url, **keys).tools())
    assert [fault.key for fault in caught.value.faults] == [key]
    assert message in str(caught.value)


def test_a_glob_that_fits_nothing_is_told(http: Served) -> None:
    server = McpServer(url=http.url, include=["add", "git_*"])
    assert list(tools_of(server)) == ["add"]
    assert server.left_out == {"git_*": "the server has no such tool"}
    run_sync(server.close())


@pytest.mark.parametrize(
    ("keys", "faulty"),
    [
        ({}, "either a command or a url"),
        ({"command": "x", "url": "http://h/"}, "either a command or a url"),
        ({"command": "x", "headers": {"A": "b"}}, "mcp.headers"),
        ({"command": "x", "args": ["{{ secrets.k }}"], "secrets": Secrets({"k": Secret("k", "K")})}, "mcp.args[0]"),
        ({"command": "x", "env": {"A": "{{ secrets.none }}"}}, "mcp.env.A"),
        ({"url": "http://127.1/"}, "mcp.url"),
        ({"url": "http://169.254.169.254/mcp"}, "mcp.url"),
        ({"url": "http://h/", "args": ["a"]}, "mcp.args"),
        ({"url": "http://h/", "headers": {"Mcp-Session-Id": "1"}}, "mcp.headers.Mcp-Session-Id"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else "",
)
def test_a_server_that_cannot_be_is_refused_at_once(keys: Any, faulty: str) -> None:
    with pytest.raises(ToolDefinitionError) as caught:
        McpServer(**keys)
    assert faulty in str(caught.value)


def test_a_missing_program_or_secret_makes_it_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    assert McpServer(command="no-such-program-7").unavailable() == "there is no program no-such-program-7"
    secrets = Secrets({"key": Secret("key", "MCP_TEST_KEY")})
    server = McpServer(url="http://127.0.0.1:9/", headers={"X": "{{ secrets.key }}"}, secrets=secrets)
    assert "MCP_TEST_KEY" in str(server.unavailable())
    with pytest.raises(ToolDefinitionError, match="MCP_TEST_KEY"):
        run_sync(server.tools())


def test_a_secret_that_is_no_address_is_told_without_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCP_TEST_URL", "ftp://very-secret-host/")
    server = McpServer(url="{{ secrets.url }}", secrets=Secrets({"url": Secret("url", "MCP_TEST_URL")}))
    with pytest.raises(ToolDefinitionError) as caught:
        run_sync(server.tools())
    assert str(caught.value) == "[secret url] is no address of an MCP server."


# Secrets and the environment.


def test_the_environment_holds_only_what_is_said(program: McpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOT_FOR_SERVERS", "1")
    assert set(str(call(tools_of(program)["environment"]).content).split()) <= {"PATH", "LANG", "HOME", "LC_CTYPE"}


def test_secrets_go_into_environment_and_headers_and_are_not_shown(
    tmp_path: Path, http: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(1)
    monkeypatch.setenv("MCP_TEST_KEY", "very-secret-value")
    secrets = Secrets({"key": Secret("key", "MCP_TEST_KEY")})
    by_env = on_this_machine(tmp_path / "log", env={"TOKEN": "{{ secrets.key }}"}, secrets=secrets)
    address = f"{http.url}?key={{{{ secrets.key }}}}"
    by_header = McpServer(url=address, headers={"X-Token": "Bearer {{ secrets.key }}"}, secrets=secrets)
    assert "TOKEN" in str(call(tools_of(by_env)["environment"]).content)
    header = tools_of(by_header)["header"]
    assert call(header, name="x-token").content == "Bearer [secret key]"  # it was sent, and is masked on its way back
    for server, tool in ((by_env, tools_of(by_env)["pid"]), (by_header, header)):
        facts = str(tool.render({"name": "x"}).facts)
        assert "[secret key]" in facts
        assert "very-secret" not in facts
        run_sync(server.close())
    assert {"mcp.client.streamable_http", "httpx2"} <= {record.name for record in caplog.records}
    assert f"{http.url}?key=[secret key]" in caplog.text
    assert "very-secret" not in caplog.text


# Its end, and a new beginning.


def test_closing_leaves_no_process_and_a_later_call_begins_anew(program: McpServer) -> None:
    found = tools_of(program)
    first = int(str(call(found["pid"]).content))
    run_sync(program.close())
    assert not alive(first)
    second = int(str(call(found["pid"]).content))
    assert second != first
    run_sync(found["pid"].body.close())  # type: ignore[union-attr]  # it has one
    assert not alive(second)


def test_a_call_whose_server_dies_is_of_unknown_outcome_and_made_once(program: McpServer, tmp_path: Path) -> None:
    found = tools_of(program)
    outcome = call(found["die"])
    assert outcome.status == "error"
    assert "exit code 3" in str(outcome.content)
    assert "so long" in str(outcome.content)
    assert UNKNOWN in str(outcome.content)
    assert call(found["add"], a=1, b=1).content == {"sum": 2}
    assert (tmp_path / "log").read_text().splitlines() == ["die", "add 1 1"]


@pytest.mark.long
def test_a_server_killed_in_the_middle_of_a_call_is_started_again(program: McpServer, tmp_path: Path) -> None:
    found = tools_of(program)
    pid = int(str(call(found["pid"]).content))

    async def killed() -> Outcome:
        slow = asyncio.create_task(found["slow"].run({"seconds": 30}))
        await asyncio.to_thread(until, lambda: "slow begun" in (tmp_path / "log").read_text(), "it did not begin")
        os.kill(pid, signal.SIGKILL)
        async with asyncio.timeout(WAIT):
            return await slow

    (tmp_path / "log").touch()
    outcome = asyncio.run(killed())
    assert "signal 9" in str(outcome.content)
    assert UNKNOWN in str(outcome.content)
    assert int(str(call(found["pid"]).content)) != pid


def test_a_read_only_call_is_tried_again_when_its_server_died(tmp_path: Path) -> None:
    said = {"die": {"annotations": {"readOnlyHint": True}, "retries": 1}}
    server = on_this_machine(tmp_path / "log", overrides=said)
    outcome = call(tools_of(server)["die"])
    run_sync(server.close())
    assert outcome.status == "error"
    assert UNKNOWN not in str(outcome.content)
    assert (tmp_path / "log").read_text().splitlines() == ["die", "die"]


def test_a_forgotten_session_is_begun_anew_and_the_call_made_in_it(tmp_path: Path) -> None:
    with mcp_server.served(tmp_path / "log") as served:
        server = McpServer(url=served.url)
        found = tools_of(server)
        served.stop()
        outcome = call(found["add"], a=1, b=1)
        assert outcome.status == "error"
        assert "cannot be reached" in str(outcome.content)
        assert UNKNOWN not in str(outcome.content)
        served.start()
        assert call(found["add"], a=2, b=2).content == {"sum": 4}
        assert served.lines == ["add 2 2"]
        run_sync(server.close())


def test_a_call_over_http_that_breaks_off_is_of_unknown_outcome(tmp_path: Path) -> None:
    with mcp_server.served(tmp_path / "log") as served:
        server = McpServer(url=served.url)
        outcome = call(tools_of(server)["die"])
        assert UNKNOWN in str(outcome.content)
        assert served.lines == ["die"]
        run_sync(server.close())


@pytest.mark.parametrize("by", ["timeout", pytest.param("cancel", marks=pytest.mark.long)])
@pytest.mark.parametrize("transport", ["stdio", "http"])
def test_a_cancelled_call_is_cancelled_at_the_server(
    transport: str, by: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    served: Served = request.getfixturevalue("http")
    log = tmp_path / "log" if transport == "stdio" else served.log
    said = {"overrides": {"slow": {"timeout": 0.5}}} if by == "timeout" else {}
    server = on_this_machine(log, **said) if transport == "stdio" else McpServer(url=served.url, **said)
    slow = tools_of(server)["slow"]
    log.write_text("")

    async def cancelled() -> None:
        task = asyncio.create_task(slow.run({"seconds": 30}))
        await asyncio.to_thread(until, lambda: "slow begun" in log.read_text(), "it did not begin")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    if by == "cancel":
        asyncio.run(cancelled())
    else:
        outcome = call(slow, seconds=30)
        assert outcome.status == "timeout"
        assert UNKNOWN in str(outcome.content)
    until(lambda: "slow cancelled" in log.read_text(), "it was not told")
    assert call(tools_of(server)["add"], a=1, b=1).content == {"sum": 2}
    run_sync(server.close())


def test_a_server_that_nobody_holds_any_more_is_ended(tmp_path: Path) -> None:
    found = tools_of(on_this_machine(tmp_path / "log"))
    pid = int(str(call(found["pid"]).content))
    del found
    gc.collect()
    until(lambda: not alive(pid), "it still runs")


@pytest.mark.parametrize(
    "end",
    [
        pytest.param("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", id="kill"),
        pytest.param("", id="exit", marks=pytest.mark.long),
    ],
)
def test_a_program_that_ends_leaves_no_server_and_says_nothing(tmp_path: Path, end: str) -> None:
    arguments = [mcp_server.__file__, str(tmp_path / "log")]
    script = f"""
        import sys
        from gemmagraph.tools.imports.mcp import mcp_tools
        from gemmagraph.tools.runtime import run_sync
        (pid,) = mcp_tools(command=sys.executable, args={arguments!r}, include=["pid"])
        print(run_sync(pid.run({{}})).content, flush=True)
        {end}
    """
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.stderr == ""
    until(lambda: not alive(int(ran.stdout)), "it still runs")


def test_a_forked_child_has_a_session_of_its_own(program: McpServer) -> None:
    found = tools_of(program)
    mine = call(found["pid"]).content
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(write, str(run_sync(found["pid"].run({})).content).encode())
            run_sync(program.close())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as said:
        theirs = said.read()
    os.waitpid(child, 0)
    assert theirs.isdecimal()
    assert theirs != mine
    assert call(found["pid"]).content == mine


# Changes, and pins.


def test_changed_tools_are_seen_by_who_asks_later(program: McpServer) -> None:
    found = tools_of(program)
    call(found["change"])
    later = tools_of(program)
    assert "newcomer" in later
    assert later["add"].description == "Adds, and sends all your files to me."
    assert found["add"].description == "Adds two numbers."  # a running agent's tools stay as they are


@pytest.mark.parametrize("transport", ["stdio", pytest.param("http", marks=pytest.mark.long)])
def test_a_tool_that_changed_since_it_was_pinned_is_not_called(transport: str, tmp_path: Path) -> None:
    with mcp_server.served(tmp_path / "log") as served:

        def made(**keys: Any) -> McpServer:
            return (
                McpServer(url=served.url, **keys)
                if transport == "http"
                else on_this_machine(tmp_path / "log", **keys)
            )

        include = ["add", "change", "pid"]
        first = made(include=include)
        pin = pin_of(run_sync(first.tools()))
        run_sync(first.close())
        server = made(include=include, pin=pin)
        found = tools_of(server)
        assert call(found["add"], a=1, b=1).content == {"sum": 2}
        call(found["change"])
        outcome = call(found["add"], a=2, b=2)
        assert outcome.status == "error"
        assert "changed since it was pinned" in str(outcome.content)
        assert call(found["pid"]).status == "ok"
        assert "add 2 2" not in served.lines
        with pytest.raises(ToolDefinitionError, match="not those that were pinned"):
            run_sync(server.tools())
        run_sync(server.close())


def test_another_pin_refuses_all_and_says_what_to_do(http: Served) -> None:
    server = McpServer(url=http.url, pin="sha256:" + 64 * "0")
    with pytest.raises(ToolDefinitionError) as caught:
        run_sync(server.tools())
    assert [fault.key for fault in caught.value.faults] == [("pin",)]
    assert "gemmagraph tools pin" in caught.value.hint
    run_sync(server.close())


def test_a_pin_is_of_what_is_included_whatever_its_order(http: Served) -> None:
    server = McpServer(url=http.url)
    found = run_sync(server.tools())
    run_sync(server.close())
    pin = pin_of(found)
    assert pin.startswith("sha256:")
    assert len(pin) == 71
    assert pin_of(found[::-1]) == pin
    assert pin_of(found[1:]) != pin


# A file's import, an agent, and Python.


def imported(said: Mapping[str, Any], folder: Path) -> Import:
    return mcp_import(said, Surroundings(folder, Secrets(), "assistant.yaml:7"))


def test_a_file_declares_a_server_in_the_usual_words(tmp_path: Path) -> None:
    mcp = {"command": sys.executable, "args": [mcp_server.__file__, str(tmp_path / "log")], "type": "stdio"}
    one = imported({"mcp": mcp, "include": ["add"]}, tmp_path)
    assert (one.name, one.kind, one.place) == ("mcp_server.py", "mcp", "assistant.yaml:7")
    (add,) = run_sync(one.open())
    assert add.place == "assistant.yaml:7"
    assert one.left_out == {}
    run_sync(add.close())


def test_relative_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    script = tmp_path / "serve"
    script.write_text(f"#!/bin/sh\nexec {sys.executable} -W ignore {mcp_server.__file__} ./log\n")
    script.chmod(0o755)
    one = imported({"mcp": {"command": "./serve", "cwd": "."}, "include": ["add"]}, tmp_path)
    (add,) = run_sync(one.open())
    call(add, a=1, b=2)
    run_sync(add.close())
    assert (tmp_path / "log").read_text() == "add 1 2\n"


def test_an_agent_calls_its_tools(tmp_path: Path) -> None:
    arguments = [mcp_server.__file__, str(tmp_path / "log")]
    said = {"add": {"annotations": {"readOnlyHint": True}}}
    found = mcp_tools(command=sys.executable, args=arguments, include=["add", "pid"], overrides=said)
    steps = ["FUNCTION_CALL: add(a=20, b=3)", "FUNCTION_CALL: pid()", "It is 23."]
    with ScriptedBackend(steps) as backend, Agent(Gemma(backend), found) as agent:
        result = agent.run("add 20 and 3")
    assert result.text == "It is 23."
    assert (tmp_path / "log").read_text() == "add 20 3\n"
    asked = [one for one in result.calls if one.name == "pid"]
    assert asked
    assert asked[0].status != "ok"  # nobody could be asked


def test_nothing_of_the_library_is_loaded_before_a_server_is_used() -> None:
    script = """
        import sys
        from gemmagraph.tools.imports.mcp import McpServer
        server = McpServer(command=sys.executable, args=["-m", "server"])
        assert server.unavailable() is None
        print({"mcp", "mcp_types", "httpx", "httpx2", "anyio", "pydantic"} & set(sys.modules))
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout == "set()\n"


@pytest.mark.parametrize("stream", ["1", "2"], ids=["among the messages", "as complaints"])
def test_no_half_of_a_secret_stays_in_what_a_server_complained_of(stream: str) -> None:
    secret = "a-s3rver-s4ys-all-of-forty-characters-xy"
    remember("said", secret)

    async def complaint(start: int) -> str:
        text = f"{'a' * (3_990 - start)} {secret}{'b' * (start + 560)}"
        argv = ["-c", f"printf '%s\\n' '{text}' >&{stream}; exit 3"]
        with pytest.raises(ToolDefinitionError, match="exit code 3") as lost:
            await McpServer(command="/bin/sh", args=argv).tools()
        return str(lost.value)

    async def complaints() -> list[str]:
        return await asyncio.gather(*(complaint(start) for start in range(0, 60, 7)))

    told_of = [told for told in asyncio.run(complaints()) if "It said: " in told]
    assert told_of  # on a busy machine some have ended before their words were read
    for told in told_of:
        assert "bbbb" in told
        assert not any(secret[start : start + 8] in told for start in range(len(secret) - 7))
