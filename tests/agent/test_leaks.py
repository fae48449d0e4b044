"""200 secrets, and every door that one could leave by: prompt, result, log, event, error, cassette and streamed text.
What the command line prints is in `test_leaks_cli.py`.
"""

import asyncio
import base64
import itertools
import json
import logging
import re
import sqlite3
import sys
from pathlib import Path
from urllib.parse import quote

import pytest

from gemmagraph import Agent, Approve, Edit, Gemma, Limits, Reject, Respond, ToolError, tool
from gemmagraph.backends.scripted import ScriptedBackend, Step, shown
from gemmagraph.errors import BackendUnavailable, BadRequest
from gemmagraph.events import SubagentEvent, ToolProgress, ToolRetried
from gemmagraph.tools import ToolContext
from gemmagraph.tools import secrets as masking
from gemmagraph.tools.declaring import http_tool, shell_tool, sql_tool
from gemmagraph.tools.guards.databases import SqlConnection
from gemmagraph.tools.secrets import Secret, Secrets

sys.path += [str(Path(__file__).parent), str(Path(__file__).parent.parent / "tools")]

from canaries import CANARIES, PATIENCE, Doors, everything, leaks, texts_in, written
from recorded import answered, recorded

pytestmark = pytest.mark.long  # test_leaks_cli.py runs every day


@pytest.fixture(autouse=True)
def _canaries(monkeypatch):
    """The secrets as they are referred to; what tests before knew is unknown, and afterwards is known again."""
    monkeypatch.setattr(masking, "_known", masking._Known())
    for name, value in CANARIES.items():
        monkeypatch.setenv(f"CANARY_{name.upper()}", value)


@pytest.fixture
def secrets():
    return Secrets({name: Secret(name, env=f"CANARY_{name.upper()}") for name in CANARIES})


@pytest.fixture
def watched(tmp_path, caplog):
    """`watched(*steps, tools=…)`: an agent whose every door is looked at, the log at its most talkative."""
    caplog.set_level(logging.DEBUG)

    def make(*steps, tools=(), model="", **options):
        backend = ScriptedBackend(steps, model=model)
        cassette = tmp_path / "cassette.jsonl"
        limits = Limits(wall_time=PATIENCE, same_call_stop=50)
        agent = Agent(Gemma(backend, record=cassette), tools, limits=limits, **options)
        return Doors(agent, backend, cassette, caplog)

    return make


def parrot(request) -> Step:
    """Says again all that it was shown, in small pieces."""
    return Step(
        shown(request)[-40_000:].replace("FUNCTION_CALL", "I CALLED"), thought=shown(request)[-3_000:], chunk=97
    )


# --- what tools give back ---------------------------------------------------------------------------------

MANY = 400_000


def nested():
    return {
        "list": [{"deep": [text]} for text in everything()],
        "keys": dict.fromkeys(everything(), 1),
        "in a text": json.dumps({"a": everything()}),
        "in a text in a text": json.dumps(json.dumps(CANARIES)),
    }


def chained():
    try:
        raise KeyError(*everything())
    except KeyError as cause:
        error = RuntimeError("\n".join(everything()))
        error.add_note("\n".join(CANARIES.values()))
        raise error from cause


def grouped():
    raise ExceptionGroup(everything()[0], [ValueError(text) for text in everything()])


def refuse():
    raise ToolError("\n".join(everything()))


def undecodable():
    """An error whose arguments show more than its words."""
    raise UnicodeDecodeError("utf-8", "\n".join(CANARIES.values()).encode(), 0, 1, CANARIES["s1"])


PYTHON = {
    "text": lambda: "\n".join(everything()),
    "one after another without a gap": lambda: "".join(everything()),
    "json": nested,
    "tuple": lambda: (tuple(everything()), {"a": tuple(CANARIES.values())}),
    "bytes": lambda: "\n".join(everything()).encode(),
    "an error for the model": refuse,
    "a bug": chained,
    "a group of bugs": grouped,
    "a bug with odd arguments": undecodable,
}


@pytest.mark.parametrize("make", PYTHON.values(), ids=PYTHON)
def test_what_a_function_gives_back_or_raises_shows_no_secret(watched, secrets, make) -> None:
    leak = tool(lambda: make(), name="leak", description="Leaks.", read_only=True, max_chars=MANY)
    doors = watched("FUNCTION_CALL: leak()", parrot, tools=[leak]).run("Leak.")
    assert leaks(doors.texts()) == []
    if make in (PYTHON["text"], PYTHON["json"], PYTHON["an error for the model"]):
        assert all(f"[secret {name}]" in doors.told()[0] for name in CANARIES if "secret s1]" not in CANARIES[name])


@pytest.mark.parametrize("shape", [{"keep": "tail"}, {"keep": "head"}, {"on_overflow": "spill"}], ids=str)
@pytest.mark.parametrize("chars", [1_000, 1_013])
def test_no_half_of_a_secret_is_left_where_a_result_is_cut(watched, secrets, shape, chars) -> None:
    text = " ".join(everything())
    leak = tool(lambda: text, name="leak", description="Leaks.", read_only=True, result={"max_chars": chars, **shape})
    steps = ["FUNCTION_CALL: leak()"]
    if "on_overflow" in shape:
        pages = itertools.count(2)

        def read_on(request):
            (handle, *_) = re.findall(r'read_more\(handle="?([^",)]+)', shown(request))
            return f'FUNCTION_CALL: read_more(handle="{handle}", page={next(pages)})'

        steps += [read_on] * 4
    doors = watched(*steps, parrot, tools=[leak]).run("Leak.", user="local:ann", thread="t")
    assert leaks(doors.texts()) == []
    assert len(doors.told()) == len(steps)


def test_what_a_program_prints_of_its_environment_shows_no_secret(watched, secrets) -> None:
    env = {name.upper(): f"{{{{ secrets.{name} }}}}" for name in CANARIES}
    short = {"env": env, "secrets": secrets, "read_only": True}
    keys = {**short, "max_chars": MANY}
    script = (
        "import os, sys, base64, json, urllib.parse as u\n"
        "for value in [v for k, v in os.environ.items() if k.startswith('S')]:\n"
        "    data = value.encode()\n"
        "    print(value, base64.b64encode(data).decode(), base64.urlsafe_b64encode(b'x' + data + b'y').decode(),"
        " u.quote(value), u.quote_plus(value), json.dumps(value), sep='\\n', file=getattr(sys, sys.argv[1]))\n"
        "sys.exit(int(sys.argv[2]))"
    )
    python = [sys.executable, "-I", "-S", "-X", "utf8", "-c", script]
    tools = [
        shell_tool("environment", "Prints its environment.", {}, argv=[*python, "stdout", "0"], **keys),
        shell_tool("complain", "Fails.", {}, argv=[*python, "stderr", "3"], **keys),
        shell_tool("fail", "Fails.", {}, argv=[*python, "stdout", "4"], **keys),
        shell_tool(
            "end", "Says.", {}, argv=[*python, "stdout", "0"], result={"keep": "tail", "max_chars": 3_000}, **short
        ),
    ]
    calls = "\n".join(f"FUNCTION_CALL: {each.name}()" for each in tools)
    doors = watched(calls, parrot, tools=tools).run("Leak.")
    assert leaks(doors.texts()) == []
    assert "[secret s17]" in doors.told()[0]


ECHOED = {"bearer": "s1", "header": "s3", "query": "s4", "basic": "s6"}


def echo(seen):
    """All that came, said again in head and body."""
    user = base64.b64decode(seen.header("Authorization").split()[1]) if "Basic" in str(seen.headers) else b""
    said = json.dumps(
        {"target": seen.target, "headers": seen.headers, "body": seen.body.decode(), "user": user.decode()}
    )
    status = {"/fail": "422 No", "/auth": "401 No", "/broken": "500 No"}.get(seen.target.partition("?")[0], "200 OK")
    head = {"Content-Type": "application/json", "X-Echo": quote(seen.target)}
    if seen.target.startswith("/cut"):
        return answered(said[: len(said) // 2], "200 OK", {**head, "Content-Length": "999999", "Connection": "close"})
    if seen.target.startswith("/away"):
        return answered("", "302 Found", {"Location": f"http://169.254.169.254/{quote(seen.target)}"})
    return answered(said, status, head)


PATHS = ("ok", "fail", "auth", "broken", "cut", "away")


@pytest.mark.parametrize("auth", ECHOED)
def test_what_a_server_says_again_of_a_request_shows_no_secret(watched, secrets, auth) -> None:
    value = f"{{{{ secrets.{ECHOED[auth]} }}}}"
    how = {
        "bearer": value,
        "header": {"name": "X-Key", "value": value},
        "query": {"name": "key", "value": value},
        "basic": {"user": "bot", "password": value},
    }
    body = {name: f"{{{{ secrets.{name} }}}}" for name in CANARIES}
    with recorded(echo) as server:
        tools = [
            http_tool(
                path,
                "Asks.",
                {},
                base_url=server.url,
                path=f"/{path}",
                method="POST",
                json=body,
                query={"again": "{{ secrets.s5 }}"},
                headers={"X-More": "{{ secrets.s19 }}"},
                auth={auth: how[auth]},
                redirects=1,
                secrets=secrets,
                read_only=True,
                max_chars=MANY,
                errors={"422": "No: {{ response.json }} {{ response.text }}"},
            )
            for path in PATHS
        ]
        gone = http_tool(
            "gone", "Asks.", {}, base_url=server.url, auth={auth: how[auth]}, secrets=secrets, read_only=True
        )
        calls = "\n".join(f"FUNCTION_CALL: {each.name}()" for each in tools)
        doors = watched(calls, parrot, tools=tools).run("Ask.")
    told = watched("FUNCTION_CALL: gone()", parrot, tools=[gone]).run("Ask.")
    assert leaks(doors.texts()) == []
    assert leaks(told.texts()) == []
    assert all(CANARIES[name] in json.loads(server.requests[0].body).values() for name in CANARIES)  # it had them all
    assert "[secret s17]" in doors.told()[0]


def test_what_a_database_holds_shows_no_secret(watched, secrets, tmp_path) -> None:
    with sqlite3.connect(tmp_path / "kept.db") as database:
        database.execute("CREATE TABLE kept (name TEXT, value TEXT)")
        database.executemany("INSERT INTO kept VALUES (?, ?)", [(text, text) for text in everything()])
    database.close()
    connection = SqlConnection(dsn=f"sqlite:///{tmp_path}/kept.db", read_only=True, max_rows=5_000)
    around = {"connection": connection, "max_chars": MANY}
    tools = [
        sql_tool("rows", "Rows.", {}, statement="SELECT * FROM kept", **around),
        sql_tool(
            "shown", "Rows.", {}, statement="SELECT * FROM kept", connection=connection, result={"format": "table"}
        ),
        sql_tool("broken", "Rows.", {}, statement="SELECT json_extract(value, '$') FROM kept", **around),
    ]
    calls = "\n".join(f"FUNCTION_CALL: {each.name}()" for each in tools)
    doors = watched(calls, parrot, tools=tools).run("Look.")
    assert leaks(doors.texts()) == []
    assert "[secret s17]" in doors.told()[0]


# --- what people and the application say ------------------------------------------------------------------


def test_what_a_person_types_shows_no_secret(watched, secrets) -> None:
    doors = watched(parrot).run("These are mine:\n" + "\n".join(everything()))
    assert leaks(doors.texts()) == []


@pytest.mark.parametrize("form", ["messages", "blocks", "mappings"])
def test_what_an_application_says_in_messages_shows_no_secret(watched, secrets, form) -> None:
    text = "\n".join(everything())
    said = {
        "messages": [("system", text), ("user", text), ("assistant", text), ("user", "Go on.")],
        "blocks": [{"role": "user", "content": [{"type": "text", "text": text}]}],
        "mappings": [
            {"role": "user", "content": text},
            {
                "role": "assistant",
                "content": text,
                "tool_calls": [
                    {"id": "1", "name": "repeat", "args": {"what": text, "more": [{"a": text}]}, "type": "tool_call"}
                ],
            },
            {"role": "tool", "content": text, "tool_call_id": "1", "name": "repeat"},
        ],
    }[form]
    doors = watched(parrot).run(said)
    assert leaks(doors.texts()) == []


def test_instructions_show_no_secret(watched, secrets) -> None:
    doors = watched(parrot, instructions="\n".join(everything())).run("Hello.")
    assert leaks(doors.texts()) == []


def test_what_a_tool_says_of_itself_shows_no_secret(watched, secrets) -> None:
    text = " ".join(CANARIES.values())

    def look(what: str) -> str:
        return what

    named = tool(look, name="look", description=f"Looks. {text}", read_only=True)
    doors = watched(parrot, tools=[named]).run("Hello.")
    assert leaks(doors.texts()) == []


DECISIONS = {
    "approve": lambda text: Approve(),
    "edit": lambda text: Edit({"what": text}),
    "reject": lambda text: Reject(text),
    "respond": lambda text: Respond(text),
}


@pytest.mark.parametrize("decide", DECISIONS.values(), ids=DECISIONS)
def test_what_a_person_decides_shows_no_secret(watched, secrets, decide) -> None:
    text = "\n".join(everything())
    seen = []

    @tool(destructive=True, max_chars=MANY)
    def send(what: str, context: ToolContext) -> str:
        """Sends it."""
        seen.append(what)
        return f"{what} {context.values['note']}"

    def approve(approval):
        seen.extend(texts_in(approval))
        return decide(text)

    doors = watched('FUNCTION_CALL: send(what="a")', parrot, tools=[send], approve=approve)
    doors.run("Send it.", context={"note": text})
    assert leaks({**doors.texts(), "the approval": "\n".join(seen)}) == []


def test_a_call_that_is_refused_shows_no_secret(watched, secrets) -> None:
    values = [value for value in CANARIES.values() if "_CALL" not in value and "end_of_turn" not in value]
    bad = "\n".join(f"FUNCTION_CALL: send(wat={json.dumps(value)})" for value in values[:20])

    @tool
    def send(what: int) -> str:
        """Sends it."""
        return "sent"

    doors = watched(bad, bad, parrot, tools=[send]).run("Send it.")
    assert leaks(doors.texts()) == []


# --- what a model says ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("chunk", "number"), [(1, 0), (2, 1), (3, 2), (7, 3), (40, 0), (97, 1), (4_000, 2)])
def test_what_a_model_puts_together_is_masked_while_it_is_streamed(watched, secrets, chunk, number) -> None:
    values = everything()[number :: 81 if chunk < 40 else 3]
    text = " and ".join(values)
    doors = watched(Step(text, thought=text, chunk=chunk)).run("Guess.")
    assert leaks(doors.texts()) == []
    assert doors.streamed() == doors.result.text


@pytest.mark.parametrize("chunk", [1, 3, 50])
def test_what_a_model_puts_into_a_call_is_masked(watched, secrets, chunk) -> None:
    @tool
    def send(what: str) -> str:
        """Sends it."""
        sent.append(what)
        return f"sent {what}"

    sent = []
    plain = [value for value in CANARIES.values() if "FUNCTION_CALL" not in value and "end_of_turn" not in value]
    calls = "\n".join(f"FUNCTION_CALL: send(what={json.dumps(value, ensure_ascii=False)})" for value in plain[:30])
    doors = watched(Step(calls, chunk=chunk), parrot, tools=[send]).run("Guess.")
    assert len(sent) == 30
    assert leaks({**doors.texts(), "the call": "\n".join(sent)}) == []


# --- what goes wrong --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [BadRequest, BackendUnavailable])
def test_what_a_model_server_complains_of_shows_no_secret(watched, secrets, kind) -> None:
    cause = RuntimeError("\n".join(everything()))
    error = kind("\n".join(everything()), hint=" ".join(CANARIES.values()))
    error.__cause__ = cause
    error.add_note("\n".join(everything()))
    doors = watched(Step("So far", error=error))
    doors.run("Hello.")
    assert isinstance(doors.error, kind)
    assert leaks(doors.texts()) == []


def test_the_check_itself_finds_each_form_of_each_secret() -> None:
    for name, value in CANARIES.items():
        for text in written(value):
            assert any(found.startswith(f"{name} ") for found in leaks({"a door": f"before {text} behind"})), text


# --- what is told while a call goes on --------------------------------------------------------------------


def test_what_a_tool_tells_of_how_far_it_is_shows_no_secret(watched, secrets) -> None:
    async def work(context: ToolContext) -> str:
        for text in everything():
            context.progress(text, 0.5)
            await asyncio.sleep(0)  # or only the last would be told
        context.progress("\n".join(everything()))
        return "done"

    progress = tool(work, name="work", description="Works.", read_only=True)
    doors = watched("FUNCTION_CALL: work()", "Done.", tools=[progress]).run("Work.")
    assert leaks(doors.texts()) == []
    assert any(isinstance(event, ToolProgress) for event in doors.events)


def test_why_a_call_is_tried_again_shows_no_secret(watched, secrets) -> None:
    def fail() -> str:
        raise ConnectionError("\n".join(everything()))

    flaky = tool(fail, name="flaky", description="Fails.", read_only=True, retries=1)
    doors = watched("FUNCTION_CALL: flaky()", "Done.", tools=[flaky]).run("Try.")
    assert leaks(doors.texts()) == []
    assert any(isinstance(event, ToolRetried) for event in doors.events)


def test_what_an_agent_inside_another_hears_and_says_shows_no_secret(watched, secrets) -> None:
    leak = tool(PYTHON["text"], name="leak", description="Leaks.", read_only=True, max_chars=MANY)
    inner = Agent(Gemma(ScriptedBackend(["FUNCTION_CALL: leak()", parrot])), [leak], name="inner")
    doors = watched('FUNCTION_CALL: inner(request="Leak.")', parrot, tools=[inner]).run("Ask.")
    assert leaks(doors.texts()) == []
    assert any(isinstance(event, SubagentEvent) for event in doors.events)
