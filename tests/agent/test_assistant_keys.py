"""What each key of a tool does, seen from outside: a file is loaded, its tool is called."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from declared_assistants import module_of
from recorded import answered, recorded

from gemmagraph import Tool, ToolContext
from gemmagraph.assistant import load_tools
from gemmagraph.prompts.messages import JSON
from gemmagraph.tools import Outcome
from gemmagraph.tools.declared.problems import FileErrors
from gemmagraph.tools.ruling import Ruling

OPS = '''
import asyncio

from gemmagraph.tools import ToolContext

calls, running, most = [], 0, 0
failures = []


async def look(what: str = "", user_name: str = "", context: ToolContext | None = None) -> object:
    """Looks."""
    global running, most
    calls.append((what, user_name))
    running += 1
    most = max(most, running)
    try:
        for _ in range(5):
            await asyncio.sleep(0)
        if failures:
            raise failures.pop()
        return given
    finally:
        running -= 1


async def hang() -> str:
    """Hangs."""
    await asyncio.sleep(60)
    return "never"


given = [{"name": "web", "port": 80}, {"name": "worker", "port": 9}]
'''
ANN = ToolContext("local:ann", "t1", "terminal:here", None, {"tenant": "acme"})
PATIENCE = 20

Make = Callable[..., list[Tool]]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """`make(keys, head="")`: the tools of a file with one tool that has these keys."""
    monkeypatch.setattr("gemmagraph.tools.attempts._FIRST_WAIT", 0.001)
    (tmp_path / "ops.py").write_text(OPS)

    def made(keys: str, head: str = "") -> list[Tool]:
        lines = "".join(f"    {line}\n" for line in keys.strip().split("\n"))
        (tmp_path / "assistant.yaml").write_text(f"{head}\ntools:\n  - name: look\n{lines}", "utf-8")
        return [tool.original for tool in load_tools(tmp_path / "assistant.yaml")]

    return made


@pytest.fixture
def ops(tmp_path: Path) -> Any:
    """The module that is beside the file; there once it was loaded."""
    return lambda: module_of(tmp_path / "ops.py")


def outcome(tool: Tool, context: ToolContext = ANN, **arguments: JSON) -> Outcome:
    return outcomes(tool, [arguments], context)[0]


def outcomes(tool: Tool, calls: Sequence[dict[str, JSON]], context: ToolContext = ANN) -> list[Outcome]:
    async def at_once() -> list[Outcome]:
        async with asyncio.timeout(PATIENCE):
            try:
                return await asyncio.gather(*(tool.run(tool.check(call), context) for call in calls))
            finally:
                if tool.body is not None:
                    await tool.body.close()

    return asyncio.run(at_once())


LOOK = "python: ./ops.py:look"
READS = "annotations: {readOnlyHint: true}"


# --- around a call


def test_timeout_ends_a_call(make: Make) -> None:
    (tool,) = make("python: ./ops.py:hang\ntimeout: 20ms")
    ended = outcome(tool)
    assert ended.status == "timeout"
    assert str(ended.content).startswith("look did not finish within 0.02 s.")


@pytest.mark.parametrize(
    ("keys", "head", "tries"),
    [
        (f"{READS}\nretries: 2", "", 3),
        ("annotations: {idempotentHint: true}\nretries: 1", "", 2),
        (READS, "defaults: {retries: 2}", 3),
        ("annotations: {openWorldHint: true}", "defaults: {retries: 2}", 1),
    ],
    ids=["read-only", "idempotent", "by default", "neither"],
)
def test_retries_are_made_where_they_are_safe(make: Make, ops: Any, keys: str, head: str, tries: int) -> None:
    (tool,) = make(f"{LOOK}\n{keys}", head)
    ops().failures[:] = [ConnectionError("gone")] * 5
    assert outcome(tool).status == "failed"
    assert len(ops().calls) == tries


def test_cache_answers_the_same_call_of_the_same_user(make: Make, ops: Any) -> None:
    (tool,) = make(f'{LOOK}\n{READS}\ncache: 1h\nbind: {{user_name: "{{{{ context.tenant }}}}"}}')
    others = [
        ToolContext("local:ann", "t2", "terminal:here", None, {"tenant": "acme"}),
        ToolContext("local:bob", "t1", "terminal:here", None, {"tenant": "acme"}),
        ToolContext("local:ann", "t1", "terminal:here", None, {"tenant": "other"}),
    ]
    for context in (ANN, ANN, *others):
        assert outcome(tool, context, what="x").status == "ok"
    outcome(tool, ANN, what="y")
    assert ops().calls == [("x", "acme"), ("x", "acme"), ("x", "other"), ("y", "acme")]


@pytest.mark.parametrize(("keys", "most"), [("", 3), ("concurrency: 2", 2), ("concurrency: 1", 1)])
def test_concurrency_bounds_how_many_calls_run_at_once(make: Make, ops: Any, keys: str, most: int) -> None:
    (tool,) = make(f"{LOOK}\n{keys}" if keys else LOOK)
    assert [one.status for one in outcomes(tool, [{}] * 3)] == ["ok"] * 3
    assert ops().most == most


# --- result

ROWS = "name | port\nweb | 80\nworker | 9"


@pytest.mark.parametrize(
    ("result", "content"),
    [
        ("{select: '[?port > `10`].name'}", ["web"]),
        ("{select: '{first: [0].name}', template: 'It is {{ result.first }}.'}", "It is web."),
        ("{format: table}", ROWS),
        ("{format: text}", "- name: web, port: 80\n- name: worker, port: 9"),
        ("{format: json}", [{"name": "web", "port": 80}, {"name": "worker", "port": 9}]),
    ],
    ids=["select", "template", "table", "text", "json"],
)
def test_result_says_what_the_model_is_given(make: Make, result: str, content: JSON) -> None:
    (tool,) = make(f"{LOOK}\nresult: {result}")
    assert outcome(tool).content == content


@pytest.mark.parametrize(
    ("result", "begins", "ends"),
    [
        ("{max_chars: 200}", "0 1 2", "this is the beginning.]"),
        ("{max_chars: 200, keep: tail}", "[Cut.", "998 999"),
        ("{max_chars: 200, on_overflow: error}", "The result has 3,889 characters", "Ask for less of it."),
    ],
    ids=["head", "tail", "error"],
)
def test_what_is_too_long_is_cut_or_refused(make: Make, ops: Any, result: str, begins: str, ends: str) -> None:
    (tool,) = make(f"{LOOK}\nresult: {result}")
    ops().given = " ".join(map(str, range(1000)))
    content = str(outcome(tool).content)
    assert content.startswith(begins)
    assert content.endswith(ends)
    assert len(content) <= 210


def test_what_spills_is_read_page_by_page_by_who_asked_for_it_only(make: Make, ops: Any) -> None:
    tool, reader = make(f"{LOOK}\nresult: {{max_chars: 400, on_overflow: spill}}")
    ops().given = "\n".join(map(str, range(300)))
    first = str(outcome(tool).content)
    handle = first.partition('handle="')[2].partition('"')[0]
    assert reader.name == "read_more"
    assert reader.read_only
    pages, number = [first.partition("\n[Cut.")[0]], 2
    while (page := outcome(reader, handle=handle, page=number)).status == "ok":
        pages.append(str(page.content).partition("\n[Page")[0])
        number += 1
    assert "\n".join(pages) == ops().given
    for other in (ToolContext("local:bob", "t1"), ToolContext("local:ann", "t2"), ToolContext()):
        refused = outcome(reader, other, handle=handle)
        assert refused.status == "error"
        assert str(refused.content).startswith("Nothing is kept under the handle")


def test_defaults_are_merged_key_by_key(make: Make) -> None:
    head = "defaults: {timeout: 3s, result: {max_chars: 300, keep: tail}}"
    (tool,) = make(f"{LOOK}\nresult: {{max_chars: 500}}", head)
    assert tool.timeout == 3
    assert tool.result is not None
    assert (tool.result.max_chars, tool.result.keep) == (500, "tail")


# --- errors, bind, context, secrets: in each body

SHELL = f"shell: [{sys.executable}, -c, {{code}}]"


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ('http: {url: "{url}/missing"}\nerrors: {404: "no such page", 4xx: "b"}', "no such page"),
        ('http: {url: "{url}/missing"}\nerrors: {4xx: "refused with {{ response.status }}"}', "refused with 404"),
        ('http: {url: "{url}/missing"}\nerrors: {other: "{{ response.json.why }}"}', "gone"),
        ('http: {url: "{url}/broken"}\nerrors: {5xx: "b", 503: "busy"}', "busy"),
        ('http: {url: "http://127.0.0.1:1/"}\nerrors: {unreachable: "is it down?"}', "is it down?"),
        (f'{SHELL.format(code="import sys; sys.exit(3)")}\nerrors: {{exit_3: "three", exit: "b"}}', "three"),
        (f'{SHELL.format(code="import sys; sys.exit(4)")}\nerrors: {{exit_3: "three", exit: "b"}}', "b"),
        ('python: ./ops.py:hang\ntimeout: 20ms\nerrors: {timeout: "too slow"}', "too slow"),
        ('sql: {connection: db, statement: SELECT nothing FROM nowhere}\nerrors: {database: "ask Ann"}', "ask Ann"),
    ],
)
def test_errors_say_what_the_model_is_told(make: Make, tmp_path: Path, keys: str, said: str) -> None:
    sqlite3.connect(tmp_path / "x.db").close()
    head = f"connections: {{db: {{sql: {{dsn: 'sqlite:///{tmp_path / 'x.db'}', read_only: true}}}}}}"
    statuses = {"/missing": "404 Not Found", "/broken": "503 Service Unavailable"}
    body = json.dumps({"why": "gone"})
    with recorded(lambda seen: answered(body, statuses[seen.target], {"Content-Type": "application/json"})) as server:
        lines = keys.replace("{url}", server.url)
        (tool,) = make(f"description: Looks.\n{lines}\n{READS}", head)
        assert outcome(tool).content == said


SENT = "http: {base_url: '{url}', path: '/{{ bind.tenant }}', query: {user: '{{ context.user }}', q: '{{ args.q }}'}}"
TOLD = [sys.executable, "-c", "import os, sys; print(sys.argv[1:], os.environ['TENANT'])", "{{ bind.tenant }}"]


@pytest.mark.parametrize(
    ("keys", "content"),
    [
        (SENT, "/acme?user=local%3Aann&q=a"),
        (f"shell: {{argv: {json.dumps(TOLD)}, env: {{TENANT: '{{{{ bind.tenant }}}}'}}}}", "['acme'] acme\n"),
        ("sql: {connection: db, statement: 'SELECT :tenant AS t, :q AS q'}", [{"t": "acme", "q": "a"}]),
    ],
    ids=["http", "shell", "sql"],
)
def test_bind_is_filled_in_by_the_application(make: Make, tmp_path: Path, keys: str, content: JSON) -> None:
    sqlite3.connect(tmp_path / "x.db").close()
    head = f"connections: {{db: {{sql: {{dsn: 'sqlite:///{tmp_path / 'x.db'}', read_only: true}}}}}}"
    with recorded(lambda seen: answered(seen.target)) as server:
        said = keys.replace("{url}", server.url)
        parameters = "parameters: {properties: {q: {type: string, default: a}}}"
        bind = 'bind: {tenant: "{{ context.tenant }}"}'
        (tool,) = make(f"description: Looks.\n{said}\n{bind}\n{parameters}\n{READS}", head)
        assert list(tool.spec.parameters["properties"]) == ["q"]
        assert outcome(tool).content == content
        refused = outcome(tool, ToolContext("local:ann"))
    assert refused.content == "look cannot be called here: the application gave no {{ context.tenant }}."


def test_a_function_gets_what_is_bound_and_the_model_never_sees_it(make: Make, ops: Any) -> None:
    (tool,) = make(f'{LOOK}\nbind: {{user_name: "{{{{ context.user }}}} of {{{{ context.tenant }}}}"}}')
    assert list(tool.spec.parameters["properties"]) == ["what"]
    outcome(tool, what="x")
    assert ops().calls == [("x", "local:ann of acme")]


def test_what_a_service_repeats_of_a_secret_is_masked(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY_OF_THIS_TEST", "first-value-of-this-test")
    (tmp_path / "key").write_text("second-value-of-this-test\n")
    head = "secrets: {one: {env: KEY_OF_THIS_TEST}, two: {file: key}}"
    argv = [sys.executable, "-c", "import os, sys; print(os.environ['ONE'], sys.stdin.read())"]
    env = '{ONE: "{{ secrets.one }}"}'
    (tool,) = make(
        f'description: Looks.\nshell: {{argv: {json.dumps(argv)}, env: {env}, stdin: "{{{{ secrets.two }}}}"}}', head
    )
    assert outcome(tool).content == "[secret one] [secret two]\n"
    assert "of-this-test" not in repr(tool.render({}))


# --- defaults of arguments, and what a function takes


def test_defaults_of_arguments_are_filled_in_before_anything_else(make: Make, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "x.db")) as connection:
        connection.executescript("CREATE TABLE t (n int); INSERT INTO t VALUES (1), (2), (3);")
    head = f"""
connections: {{db: {{sql: {{dsn: 'sqlite:///{tmp_path / "x.db"}', read_only: true}}}}}}
policy:
  - {{tool: look, args: {{most: 2}}, then: allow}}
  - {{tool: look, then: ask}}
"""
    keys = "sql: {connection: db, statement: 'SELECT n FROM t ORDER BY n LIMIT :most'}"
    parameters = "parameters: {properties: {most: {type: integer, minimum: 1, default: 2}}}"
    (tool,) = make(f"description: Looks.\n{keys}\n{parameters}", head)
    assert outcome(tool).content == [{"n": 1}, {"n": 2}]
    assert ":most = 2" in tool.render({}).shown
    assert tool.ruling({}, ANN).verdict == "allow"
    assert tool.ruling({"most": 3}, ANN).verdict == "ask"


def test_a_function_may_be_declared_otherwise_than_it_declares_itself(make: Make, ops: Any) -> None:
    parameters = "parameters: {properties: {what: {type: string, enum: [web, worker], default: worker}}}"
    (tool,) = make(f"{LOOK}\ndescription: Looks at one.\n{parameters}")
    assert tool.description == "Looks at one."
    outcome(tool)
    assert ops().calls == [("worker", "")]


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("result: {select: 'a..b'}", "tools[0] (look) → result.select: 'a..b' is no JMESPath"),
        ('errors: {404: "{{ nothing.here }}"}', "tools[0] (look) → errors.404: {{ nothing.here }} names 'nothing'"),
    ],
)
def test_what_is_wrong_around_a_function_is_said_before_it_is_imported(make: Make, keys: str, said: str) -> None:
    with pytest.raises(FileErrors) as caught:
        make(f"python: ./there_is_no_such_file.py:look\n{keys}")
    assert said in str(caught.value)
    assert "assistant.yaml:5:" in str(caught.value)


# --- marks and consent


@pytest.mark.parametrize(
    ("keys", "verdict"),
    [
        ("annotations: {destructiveHint: true}", "ask"),
        (READS, "allow"),
        ("approval: deny", "deny"),
        ("approval: {mode: ask}", "ask"),
    ],
)
def test_marks_and_approval_say_what_happens_to_a_call(make: Make, keys: str, verdict: str) -> None:
    (tool,) = make(f"{LOOK}\n{keys}")
    assert tool.ruling({}, ANN).verdict == verdict


def test_an_approval_says_who_decides_and_how_long_the_question_stands(make: Make, tmp_path: Path) -> None:
    head = "groups: {admins: [local:eve]}"
    said = 'approval: {mode: ask, approvers: ["group:admins"], four_eyes: true, expires: 5m}'
    (tool,) = make(f"{LOOK}\n{said}", head)
    assert tool.ruling({}, ANN) == Ruling(
        "ask",
        "look is set to 'ask'",
        approvers=("group:admins",),
        four_eyes=True,
        expires=300,
        place=f"{tmp_path / 'assistant.yaml'}:3",
    )


def test_the_plain_keys_are_the_facts_of_the_tool(make: Make) -> None:
    hints = "annotations: {readOnlyHint: true, idempotentHint: true, openWorldHint: true, title: Look}"
    (tool,) = make(f"{LOOK}\n{hints}\nsequential: true\npinned: true\nreturn_direct: true\nretries: 1")
    assert (tool.read_only, tool.idempotent, tool.open_world, tool.destructive) == (True, True, True, None)
    assert (tool.sequential, tool.pinned, tool.return_direct, tool.retries) == (True, True, True, 1)
