"""examples/chatops: its stack really runs, its tools really work on it, and its policy lets those do what may."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import re
import select
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import yaml
from click.testing import CliRunner

sys.path.append(str(Path(__file__).parent.parent))  # `chats` and `test_docs` are for tests in more than one folder

from chats.memory import MemoryAdapter, MemoryWorld
from chats.team import by_bot, run
from chats.world import until
from test_docs import blocks, commands, fits

from gemmagraph import Gemma
from gemmagraph.assistant import Assistant, load_assistant
from gemmagraph.backends.scripted import ScriptedBackend, Step
from gemmagraph.bots.base import Place
from gemmagraph.bots.rooms import Rooms
from gemmagraph.bots.serving import Serving
from gemmagraph.cli import main
from gemmagraph.prompts.errors import InvalidArguments
from gemmagraph.tools import Tool, ToolContext, run_sync

if TYPE_CHECKING:
    from conftest import Toolset

FOLDER = Path(__file__).parents[2] / "examples" / "chatops"
ANN = ToolContext(user="local:ann")


class Stack:
    """The example in a folder of its own, with what `stack.py up` has started."""

    def __init__(self, folder: Path, url: str, process: subprocess.Popen[str]) -> None:
        self.folder = folder
        self.url = url
        self.process = process

    def services(self) -> dict[str, dict[str, Any]]:
        """What runs, past the assistant."""
        found = self.ask("GET", "/services")[1]
        return {f"{one['environment']} {one['service']}": one for one in found}

    def ask(self, method: str, path: str, body: str | None = None, kind: str = "application/json") -> tuple[int, Any]:
        with closing(http.client.HTTPConnection("127.0.0.1", urlsplit(self.url).port or 0, timeout=20)) as connection:
            connection.request(method, path, body, {"Content-Type": kind})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.folder / "var" / "ops.db")) as database:
            return database.execute(statement).fetchall()


@contextmanager
def started(folder: Path) -> Iterator[Stack]:
    shutil.copytree(FOLDER, folder, ignore=shutil.ignore_patterns("var", "__pycache__"))
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "stack.py", "up", "--hours", "0.1"],
        cwd=folder,
        env=os.environ | {"STACK_URL": "http://127.0.0.1:0"},
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        try:
            yield Stack(folder, process.stdout.readline().split()[4], process)
        finally:
            process.terminate()
            process.communicate(timeout=20)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with started(tmp_path_factory.mktemp("chatops") / "example") as stack:
        yield stack


@pytest.fixture
def stack(running: Stack, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """Used in the order of this file; each test says what runs when it begins."""
    monkeypatch.chdir(running.folder)
    monkeypatch.setenv("STACK_URL", running.url)
    return running


@pytest.fixture
def tools(stack: Stack, loaded: Callable[[Path], Toolset]) -> Toolset:
    return loaded(stack.folder / "assistant.yaml")


def cells(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")] for line in table.splitlines()[1:]]


def test_the_readme_shows_what_its_commands_print(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command with what the ones before it have left behind."""
    found = [pair for block in blocks(FOLDER / "README.md") if block.kind == "console" for pair in commands(block)]
    assert len(found) >= 6
    with started(tmp_path / "example") as stack:
        monkeypatch.chdir(stack.folder)
        monkeypatch.setenv("STACK_URL", stack.url)
        for asked, shown in found:
            told = printed(asked)
            assert fits(told, shown), f"{asked}\n{told}"
        assert stack.services()["production web"]["version"] == "1.4.2"
        assert stack.rows("SELECT author, text FROM notes") == [("local:ann", "Prices are back with web 1.4.2.")]


def printed(asked: str) -> str:
    """What a command of the README prints; what takes no keyboard runs in this process, since that is quicker."""
    asked, _, source = asked.partition(" < ")
    program, *arguments = shlex.split(asked)
    if program == "gemmagraph" and not source:
        run = CliRunner().invoke(main, arguments)
        assert run.exit_code in (0, 3), run.output  # 3: `check` says "ask"
        return run.stdout
    command = [sys.executable, *(["-m", program] if program == "gemmagraph" else []), *arguments]
    with open(source or os.devnull) as keyboard:
        done = subprocess.run(command, stdin=keyboard, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_port_that_is_taken_is_told_in_a_line(stack: Stack) -> None:
    second = subprocess.run(
        [sys.executable, "stack.py", "up"], cwd=stack.folder, capture_output=True, text=True, timeout=60
    )
    assert second.returncode == 1
    assert "Say another: export STACK_URL=" in second.stderr
    assert second.stderr.count("\n") == 1


def test_the_services_that_the_readme_adds_fit_the_file(tmp_path: Path) -> None:
    (added,) = [block.body for block in blocks(FOLDER / "README.md") if block.kind == "yaml"]
    told = yaml.safe_load((FOLDER / "assistant.yaml").read_text(encoding="utf-8"))
    for key, value in yaml.safe_load(added).items():
        for name, said in value.items():
            told.setdefault(key, {})[name] = [*told[key].get(name, []), *said] if key == "groups" else said
    (tmp_path / "assistant.yaml").write_text(yaml.safe_dump(told), encoding="utf-8")
    assert load_assistant(tmp_path / "assistant.yaml").bots == ["matrix", "slack", "terminal"]


def test_links_of_the_readmes_lead_somewhere() -> None:
    for readme in (FOLDER / "README.md", FOLDER.parent / "deploy" / "README.md"):
        for link in re.findall(r"\]\((?![a-z]+://)([^)#]*)", readme.read_text(encoding="utf-8")):
            assert (readme.parent / link).exists(), link


def test_what_only_looks_sees_what_is_there(stack: Stack, tools: Toolset) -> None:
    assert cells(tools.told("service_status", environment="production")) == [
        ["production", "web", "1.4.1", "degraded"],
        ["production", "worker", "2.0.0", "ok"],
    ]
    assert "web 1.4.1 starts" in tools.told("service_log", environment="production", service="web")
    assert [row[0] for row in cells(tools.told("releases", service="web"))] == ["1.4.1", "1.4.2", "1.5.0-rc1"]
    assert cells(tools.told("incidents", incident=1))[0][:3] == ["1", "production", "web"]


def test_the_one_on_call_is_who_the_schedule_says(stack: Stack, tools: Toolset) -> None:
    today = date.today()
    monday = today - timedelta(days=today.weekday())
    ((person, pager, since),) = cells(tools.told("on_call"))
    assert [(person, pager)] == stack.rows(f"SELECT person, pager FROM oncall WHERE starts = '{since}'")
    assert since in (monday.isoformat(), (monday + timedelta(days=7)).isoformat())  # midnight may have passed
    ((following, _, next_monday),) = cells(tools.told("on_call", day=(monday + timedelta(days=13)).isoformat()))
    assert next_monday == (monday + timedelta(days=7)).isoformat()
    assert {following, stack.rows(f"SELECT person FROM oncall WHERE starts = '{monday}'")[0][0]} == {"ann", "bob"}
    with pytest.raises(InvalidArguments):
        tools.run("on_call", day="soon")


def test_a_release_replaces_the_process_and_a_rollback_brings_the_old_one_back(stack: Stack, tools: Toolset) -> None:
    before = stack.services()["staging worker"]
    assert before["version"] == "2.0.1"
    told = tools.told("deploy", ANN, environment="staging", service="worker", version="2.0.0")
    assert told == "Done: worker in staging: 2.0.1 replaced by 2.0.0, for local:ann"
    after = stack.services()["staging worker"]
    assert (after["version"], after["health"]) == ("2.0.0", "ok")
    assert after["pid"] != before["pid"]
    assert "worker 2.0.1 ends" in tools.told("service_log", environment="staging", service="worker")
    assert "already" in tools.told("deploy", ANN, environment="staging", service="worker", version="2.0.0")
    assert stack.services()["staging worker"]["pid"] == after["pid"]
    assert "2.0.0 replaced by 2.0.1" in tools.told("rollback", ANN, environment="staging", service="worker")
    assert stack.services()["staging worker"]["version"] == "2.0.1"
    assert stack.rows(
        "SELECT version, person FROM deployments WHERE service = 'worker' AND person <> 'the stack'"
    ) == [("2.0.0", "local:ann"), ("2.0.1", "local:ann")]


def test_a_restart_is_a_new_process_of_the_same_version(stack: Stack, tools: Toolset) -> None:
    before = stack.services()["production worker"]
    tools.told("restart_service", ANN, environment="production", service="worker")
    after = stack.services()["production worker"]
    assert (after["version"], after["health"]) == (before["version"], "ok")
    assert after["pid"] != before["pid"]


def test_a_service_that_died_is_down_until_somebody_restarts_it(stack: Stack, tools: Toolset) -> None:
    os.kill(stack.services()["staging web"]["pid"], signal.SIGKILL)
    assert ["staging", "web", "1.4.2", "down"] in cells(tools.told("service_status"))
    tools.told("restart_service", ANN, environment="staging", service="web")
    assert ["staging", "web", "1.4.2", "ok"] in cells(tools.told("service_status", service="web"))


def test_a_release_that_does_not_start_changes_nothing(stack: Stack, tools: Toolset) -> None:
    before = stack.services()
    told = tools.refused("deploy", ANN, environment="staging", service="web", version="1.5.0-rc1")
    assert "web 1.5.0-rc1 does not start; the one that ran goes on" in told
    assert {name: one["pid"] for name, one in stack.services().items()} == {
        name: one["pid"] for name, one in before.items()
    }
    assert "FATAL" in tools.told("service_log", environment="staging", service="web")
    assert "no release 9.9.9" in tools.refused("deploy", ANN, environment="staging", service="web", version="9.9.9")
    assert "no other version" in tools.refused("rollback", ANN, environment="production", service="web")


def test_a_note_is_written_once_by_who_asked(stack: Stack, tools: Toolset) -> None:
    text = "Prices'); DROP TABLE notes; --"
    for _ in range(2):
        assert tools.told("add_incident_note", ANN, incident=1, text=text) == "Noted at incident 1."
    assert stack.rows("SELECT incident, author, text FROM notes") == [(1, "local:ann", text)]
    assert text in tools.told("incidents")
    assert "no such incident" in tools.refused("add_incident_note", ANN, incident=7, text="nothing")
    assert tools.run("add_incident_note", ToolContext(), incident=1, text="by nobody").status == "error"
    assert len(stack.rows("SELECT * FROM notes")) == 1


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("service_log", {"environment": "../../", "service": "web"}),
        ("service_log", {"environment": "staging", "service": "--help"}),
        ("deploy", {"environment": "staging", "service": "web", "version": "1.4.2; reboot"}),
        ("deploy", {"environment": "prod", "service": "web", "version": "1.4.2"}),
        ("deploy", {"environment": "staging", "service": "web", "version": "1.4.2", "person": "local:bob"}),
        ("add_incident_note", {"incident": 1, "text": "by Bob", "author": "local:bob"}),
    ],
)
def test_arguments_that_are_not_declared_so_reach_nothing(
    tools: Toolset, tool: str, arguments: dict[str, Any]
) -> None:
    with pytest.raises(InvalidArguments):
        tools.run(tool, ANN, **arguments)


def test_a_web_page_cannot_change_the_stack(stack: Stack) -> None:
    body = json.dumps({"environment": "production", "service": "web", "version": "1.4.2"})
    assert stack.ask("POST", "/deploy", body, "text/plain")[0] == 415
    assert stack.ask("GET", "/deploy?environment=production&service=web&version=1.4.2")[0] == 405
    assert stack.services()["production web"]["version"] == "1.4.1"


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="only Linux tells of processes that are not one's own")
def test_the_services_end_with_the_stack_even_if_it_is_killed(tmp_path: Path) -> None:
    with started(tmp_path / "example") as stack:
        ended = [os.pidfd_open(one["pid"]) for one in stack.services().values()]
        stack.process.send_signal(signal.SIGKILL)
        for descriptor in ended:
            gone(descriptor)


def gone(descriptor: int) -> None:
    try:
        assert select.select([descriptor], [], [], 10)[0], "it still runs"
    finally:
        os.close(descriptor)


def deploy(environment: str, version: str = "1.4.2") -> tuple[str, dict[str, Any]]:
    return "deploy", {"environment": environment, "service": "web", "version": version}


def other(name: str, environment: str) -> tuple[str, dict[str, Any]]:
    return name, {"environment": environment, "service": "web"}


LOOK = ("service_status", {"environment": "production"})
NOTE = ("add_incident_note", {"incident": 1, "text": "It is well again."})
RULED = [
    ("ann", "#ops", LOOK, "allow"),
    ("eve", "#ops", LOOK, "allow"),
    ("eve", "#general", LOOK, "allow"),
    ("eve", "#general", ("on_call", {}), "allow"),
    ("ann", "#ops", deploy("staging"), "allow"),
    ("bob", "#ops", deploy("staging"), "allow"),
    ("eve", "#ops", deploy("staging"), "deny"),
    ("", "#ops", deploy("staging"), "deny"),
    ("ann", "#ops", deploy("staging", "1.5.0-rc1"), "allow"),
    ("ann", "#ops", deploy("production"), "ask group:leads, not who asked"),
    ("bob", "#ops", deploy("production"), "ask group:leads, not who asked"),
    ("eve", "#ops", deploy("production"), "deny"),
    ("ann", "#ops", deploy("production", "1.5.0-rc1"), "deny"),
    ("bob", "#ops", deploy("production", "1.5.0-rc1"), "deny"),
    ("bob", "#general", deploy("staging"), "no such tool"),
    ("ann", "direct", deploy("production"), "no such tool"),
    ("ann", "#ops", other("rollback", "staging"), "allow"),
    ("ann", "#ops", other("rollback", "production"), "ask group:oncall group:leads, not who asked"),
    ("eve", "#ops", other("rollback", "production"), "deny"),
    ("bob", "#general", other("rollback", "production"), "no such tool"),
    ("bob", "#ops", other("restart_service", "staging"), "allow"),
    ("ann", "#ops", other("restart_service", "production"), "ask who asked"),
    ("eve", "#ops", other("restart_service", "staging"), "deny"),
    ("ann", "#ops", NOTE, "allow"),
    ("eve", "#ops", NOTE, "deny"),
    ("ann", "#general", NOTE, "no such tool"),
    ("ann", "elsewhere", LOOK, "silent"),
]


@pytest.fixture(scope="module")
def opened(running: Stack) -> Iterator[Callable[[str | None], dict[str, Tool]]]:
    """The tools of each toolset."""
    kept: dict[str | None, Assistant] = {}

    def of(toolset: str | None) -> dict[str, Tool]:
        kept.setdefault(toolset, load_assistant(running.folder / "assistant.yaml", toolset=toolset))
        return {tool.name: tool for tool in run_sync(kept[toolset].open())}

    yield of
    for assistant in kept.values():
        run_sync(assistant.close())


@pytest.mark.usefixtures("stack")
@pytest.mark.parametrize(
    ("person", "channel", "call", "verdict"),
    RULED,
    ids=[
        f"{who or 'nobody'}-{where}-{name}-{'-'.join(map(str, args.values()))}"
        for who, where, (name, args), _ in RULED
    ],
)
def test_who_may_do_what_where(
    opened: Callable[[str | None], dict[str, Tool]],
    person: str,
    channel: str,
    call: tuple[str, dict[str, Any]],
    verdict: str,
) -> None:
    assert ruled(opened, person, channel, *call) == verdict


def ruled(
    opened: Callable[[str | None], dict[str, Tool]], person: str, channel: str, name: str, args: dict[str, Any]
) -> str:
    assistant = load_assistant(FOLDER / "assistant.yaml")
    rooms = Rooms("local", assistant.bot("terminal"), assistant.policy)
    place = Place("", channel, direct=channel == "direct")
    room = rooms.of(place)
    if room is None:
        return "silent"
    tool = opened(room.toolset).get(name)
    if tool is None:
        return "no such tool"
    ruling = tool.ruling(args, ToolContext(f"local:{person}" if person else None, "t", rooms.channel(place)))
    if ruling.verdict != "ask":
        return ruling.verdict
    who = " ".join(ruling.approvers or ["who asked"])
    return f"ask {who}{', not who asked' if ruling.four_eyes else ''}"


WORLD = MemoryWorld()


class Here(MemoryAdapter):
    """The chat service of the test, made from a file's keys as the program makes it."""

    def __init__(self, keys: Any) -> None:
        super().__init__(WORLD.service, WORLD.traits)


DEPLOY = 'FUNCTION_CALL: deploy(environment="production", service="web", version="1.4.2")'
SCRIPT = [
    'FUNCTION_CALL: service_status(environment="production")',
    Step("web 1.4.1 is degraded.", expect="1.4.1"),
    DEPLOY,
    Step("web 1.4.2 runs.", expect="Done: web in production: 1.4.1 replaced by 1.4.2, for memory:u-ann"),
    'FUNCTION_CALL: add_incident_note(incident=1, text="Mended by web 1.4.2.")',
    Step("It is noted.", expect="Noted at incident 1."),
    DEPLOY,
    Step("I cannot do that here.", expect="deploy"),
]


def test_a_whole_evening_on_call(stack: Stack) -> None:
    """Ann asks what is wrong, asks for a release, may not approve it herself, Bob does, and she notes it."""
    file = stack.folder / "assistant.yaml"
    text = file.read_text().replace("local:", "memory:u-")
    text += f'  memory: {{adapter: "{__name__}:Here", channels: {{ops: ops, random: read_only}}}}\n'
    (stack.folder / "team.yaml").write_text(text)
    backend = ScriptedBackend(SCRIPT)

    async def work() -> None:
        serving = Serving(stack.folder / "team.yaml", ["memory"], model=Gemma(backend))
        async with serving.bots() as (bot,):
            listening = asyncio.create_task(bot.run())
            try:
                await evening()
            finally:
                listening.cancel()
                await asyncio.wait([listening])
        serving.store.close()

    async def evening() -> None:
        await until(lambda: WORLD.service.receivers)
        thread = await WORLD.say("ann", "is production well?", to_bot=True)
        await WORLD.until(lambda seen: by_bot(seen, "web 1.4.1 is degraded."))
        await WORLD.say("ann", "then deploy web 1.4.2 to production", thread=thread)
        seen = await WORLD.until(lambda seen: by_bot(seen, "May this run?"))
        question = by_bot(seen, "May this run?")[0]
        assert '"version": "1.4.2"' in question.text
        assert '"person": "memory:u-ann"' in question.text
        await WORLD.press("ann", "ops", question.id, "approve")
        await WORLD.until(lambda seen: by_bot(seen, "cannot decide about deploy"))
        assert (await asyncio.to_thread(stack.services))["production web"]["version"] == "1.4.1"
        await WORLD.press("bob", "ops", question.id, "approve")
        seen = await WORLD.until(lambda seen: by_bot(seen, "web 1.4.2 runs."))
        assert by_bot(seen, "Approved by memory:u-bob.")
        assert (await asyncio.to_thread(stack.services))["production web"]["version"] == "1.4.2"
        await WORLD.say("ann", "note that", thread=thread)
        await WORLD.until(lambda seen: by_bot(seen, "It is noted."))
        await WORLD.say("bob", "deploy it again", to_bot=True, channel="random")
        await WORLD.until(lambda seen: by_bot(seen, "I cannot do that here."), "random")

    run(work, 60)
    assert stack.rows("SELECT author, text FROM notes WHERE author LIKE 'memory:%'") == [
        ("memory:u-ann", "Mended by web 1.4.2.")
    ]
    assert stack.services()["production web"]["health"] == "ok"
    assert len(backend.requests) == len(SCRIPT)
