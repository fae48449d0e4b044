"""What a file declares is what the Python constructors make; what is wrong is said with its line."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from gemmagraph.tools import Tool, ToolContext, tool
from gemmagraph.tools.bodies.http_connection import HttpConnection
from gemmagraph.tools.declared.loading import load_document
from gemmagraph.tools.declared.making import Entry, Maker
from gemmagraph.tools.declared.problems import FileErrors
from gemmagraph.tools.declaring import http_tool, shell_tool, sql_tool
from gemmagraph.tools.guards.databases import SqlConnection
from gemmagraph.tools.secrets import Secret, Secrets

PARAMETERS = {"required": ["n"], "properties": {"n": {"type": "integer"}, "q": {"type": "string", "default": "a"}}}
HEAD = """
secrets: {key: {env: KEY_OF_THIS_TEST}}
connections:
  shop: {http: {base_url: "http://127.0.0.1:1/v1", auth: {bearer: "{{ secrets.key }}"}, headers: {X-A: b}}}
  db: {sql: {dsn: "sqlite:///%s", read_only: true, max_rows: 7}}
"""
OPS = '''
def look(n: int, q: str = "a") -> str:
    """Looks.

    Args:
        n: Where.
    """
    return f"{n} {q}"
'''


@pytest.fixture
def entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Entry]]:
    """The tools of a file with these lines under `tools:`."""
    monkeypatch.setenv("KEY_OF_THIS_TEST", "key-of-this-very-test")
    (tmp_path / "ops.py").write_text(OPS)
    (tmp_path / "x.db").touch()

    def read(lines: str, head: str = HEAD % (tmp_path / "x.db")) -> list[Entry]:
        (tmp_path / "tools.yaml").write_text(f"{head.lstrip()}tools:\n{lines}", "utf-8")
        maker = Maker(load_document(tmp_path / "tools.yaml"))
        found = maker.entries()
        maker.finish()
        return found

    return read


AROUND = """
    parameters: {required: [n], properties: {n: {type: integer}, q: {type: string, default: a}}}
    timeout: 3s
    retries: 1
    cache: 1h
    concurrency: 2
    sequential: true
    pinned: true
    return_direct: true
    annotations: {readOnlyHint: true, idempotentHint: true, openWorldHint: false}
    approval: {mode: ask, approvers: [local:ann], four_eyes: true, expires: 5m}
    result: {select: "@", max_chars: 300, keep: tail, on_overflow: spill}
    errors: {404: "none at {{ args.n }}", other: no}
    bind: {who: "{{ context.user }}"}
    examples: [{user: Look., args: {n: 1}}]
"""
KEYS: dict[str, Any] = {
    "timeout": "3s",
    "retries": 1,
    "cache": 3600,
    "concurrency": 2,
    "sequential": True,
    "pinned": True,
    "return_direct": True,
    "read_only": True,
    "idempotent": True,
    "open_world": False,
    "approval": {"mode": "ask", "approvers": ["local:ann"], "four_eyes": True, "expires": "5m"},
    "result": {"select": "@", "max_chars": 300, "keep": "tail", "on_overflow": "spill"},
    "errors": {"404": "none at {{ args.n }}", "other": "no"},
    "bind": {"who": "{{ context.user }}"},
    "examples": [{"user": "Look.", "args": {"n": 1}}],
}


def shop() -> HttpConnection:
    secrets = Secrets({"key": Secret("key", env="KEY_OF_THIS_TEST")})
    auth = {"bearer": "{{ secrets.key }}"}
    return HttpConnection("http://127.0.0.1:1/v1", auth=auth, headers={"X-A": "b"}, secrets=secrets)


def of_http(folder: Path, **keys: Any) -> Tool:
    json = {"q": "{{ args.q }}", "who": "{{ bind.who }}"}
    path = "/things/{{ args.n }}"
    return http_tool("look", "Looks.", PARAMETERS, connection=shop(), method="PUT", path=path, json=json, **keys)


def of_shell(folder: Path, **keys: Any) -> Tool:
    argv = ["ls", "--n={{ args.n }}", "--", "{{ args.q }}", "{{ bind.who }}"]
    return shell_tool("look", "Looks.", PARAMETERS, argv=argv, env={"A": "b"}, cwd="/", ok_exit_codes=[0, 1], **keys)


def of_sql(folder: Path, **keys: Any) -> Tool:
    statement = "SELECT :n AS n, :q AS q, :who AS who"
    connection = SqlConnection(f"sqlite:///{folder / 'x.db'}", read_only=True, max_rows=7)
    return sql_tool("look", "Looks.", PARAMETERS, connection=connection, statement=statement, **keys)


BODIES: dict[str, tuple[str, Callable[..., Tool]]] = {
    "http": (
        "http: {connection: shop, method: PUT, path: '/things/{{ args.n }}',"
        " json: {q: '{{ args.q }}', who: '{{ bind.who }}'}}",
        of_http,
    ),
    "shell": (
        "shell: {argv: [ls, '--n={{ args.n }}', '--', '{{ args.q }}', '{{ bind.who }}'], env: {A: b}, cwd: /,"
        " ok_exit_codes: [0, 1]}",
        of_shell,
    ),
    "sql": ("sql: {connection: db, statement: 'SELECT :n AS n, :q AS q, :who AS who'}", of_sql),
}
_OWN = {"body", "function", "place", "_slots", "_cache"}
"""What is made anew for each tool, and where it stands."""


@pytest.mark.parametrize("kind", BODIES)
def test_a_file_and_the_constructor_make_the_same_tool(
    entries: Callable[..., list[Entry]], tmp_path: Path, kind: str
) -> None:
    written, construct = BODIES[kind]
    (entry,) = entries(f"  - name: look\n    description: Looks.\n    {written}{AROUND}")
    assert (entry.kind, entry.unavailable) == (kind, None)
    ours, theirs = entry.make(), construct(tmp_path, **KEYS)
    for field in fields(Tool):
        if field.name not in _OWN:
            assert getattr(ours, field.name) == getattr(theirs, field.name), field.name
    ann = ToolContext("local:ann")
    assert ours.render({"n": 3}, ann) == theirs.render({"n": 3}, ann)
    assert ours.own_ruling().approvers == theirs.own_ruling().approvers == ("local:ann",)
    assert (ours.reads, ours.repeatable, ours.kind) == (theirs.reads, theirs.repeatable, kind)
    assert ours.place == f"{tmp_path / 'tools.yaml'}:6"


def test_a_file_and_the_decorator_make_the_same_tool(entries: Callable[..., list[Entry]], tmp_path: Path) -> None:
    bound = ("bind", "errors", "examples")  # which the file alone says of a function
    keys = (line for line in AROUND.splitlines() if line.strip().partition(":")[0] not in ("parameters", *bound))
    (entry,) = entries("  - name: look\n    python: ./ops.py:look" + "\n".join(keys))
    ours = entry.make()
    theirs = tool(ours.function, **{key: value for key, value in KEYS.items() if key not in bound})
    for field in fields(Tool):
        if field.name not in _OWN:
            assert getattr(ours, field.name) == getattr(theirs, field.name), field.name


def test_all_that_is_wrong_with_all_tools_is_said_at_once(entries: Callable[..., list[Entry]]) -> None:
    with pytest.raises(FileErrors) as caught:
        entries(
            """
  - name: one
    description: One.
    http: {connection: shop, path: "/a/{{ nowhere.x }}", expect: [200]}
    errors: {404: "{{ secrets.key }}"}
  - name: two
    description: Two.
    shell: [ls, "{{ secrets.key }}"]
    result: {select: "a..b"}
  - name: three
    description: Three.
    sql: {connection: db, statement: "DELETE FROM t WHERE n = :n"}
    parameters: {properties: {m: {type: strin}, o: {minimum: none}}}
  - name: four
    python: ./ops.py:look
    result: {template: "{{ args.n }}"}
"""
        )
    lines = [str(problem).partition("tools.yaml:")[2] for problem in caught.value.problems]
    assert [line.partition(": ")[2].partition(":")[0] for line in lines] == [
        "tools[0] (one) → http.path",
        "tools[0] (one) → errors.404",
        "tools[1] (two) → shell.argv[1]",
        "tools[1] (two) → result.select",
        "tools[2] (three) → sql.statement",
        "tools[2] (three) → sql.statement",
        "tools[2] (three) → parameters.properties.m.type",
        "tools[2] (three) → parameters.properties.o.minimum",
        "tools[3] (four) → result.template",
    ]
    assert [int(line.partition(":")[0]) for line in lines] == [9, 10, 13, 14, 17, 17, 18, 18, 21]


def test_what_is_wrong_with_a_connection_is_said_there_and_not_at_its_tools(
    entries: Callable[..., list[Entry]],
) -> None:
    with pytest.raises(FileErrors) as caught:
        entries(
            "  - {name: a, description: A., http: {connection: shop, path: /a}}\n",
            "connections: {shop: {http: {base_url: 'http://127.0.0.1:1/?q=1'}}}\n",
        )
    assert [problem.where for problem in caught.value.problems] == ["connections.shop.http.base_url"]


def test_a_tool_is_made_only_when_it_is_asked_for(entries: Callable[..., list[Entry]], tmp_path: Path) -> None:
    (entry,) = entries("  - {name: look, python: './ops.py:look'}\n")
    (tmp_path / "ops.py").write_text("def look(**anything): ...")
    assert (entry.tool, entry.unavailable) == (None, None)
    with pytest.raises(FileErrors, match=r"tools.yaml:6:26: tools\[0\] \(look\) → python: .*takes \*\*anything"):
        entry.make()


def test_a_function_may_be_a_tool_already(entries: Callable[..., list[Entry]], tmp_path: Path) -> None:
    (tmp_path / "ops.py").write_text(
        "from gemmagraph import tool\n\n"
        "@tool(read_only=True, timeout=9, examples=[{'args': {'n': 1}}])\n"
        "def look(n: int) -> int:\n    'Looks.'\n    return n\n"
    )
    (entry,) = entries("  - {name: see, python: './ops.py:look', timeout: 3s, annotations: {openWorldHint: true}}\n")
    made = entry.make()
    assert (made.name, made.description, made.examples) == ("see", "Looks.", ({"args": {"n": 1}},))
    assert (made.read_only, made.open_world, made.timeout) == (True, True, 3)
    assert asyncio.run(made.run({"n": 4})).content == 4


LATE = ("sqlalchemy", "psycopg", "mcp", "httpx", "jmespath", "yaml", "langchain_core", "langgraph", "pydantic")


@pytest.mark.parametrize(
    ("lines", "loaded"),
    [
        ("", {"yaml"}),
        ("  - {name: a, python: './ops.py:look'}\n", {"yaml"}),
        ("  - {name: a, description: A., shell: [ls]}\n", {"yaml"}),
        ("  - {name: a, description: A., http: {connection: shop}}\n", {"yaml"}),
        ("  - {name: a, description: A., sql: {connection: db, statement: SELECT 1}}\n", {"yaml"}),
        ("  - {name: a, python: './ops.py:look', result: {select: a}}\n", {"yaml", "jmespath"}),
    ],
    ids=["nothing", "python", "shell", "http", "sql", "select"],
)
def test_a_library_is_loaded_when_it_is_needed(tmp_path: Path, lines: str, loaded: set[str]) -> None:
    (tmp_path / "ops.py").write_text(OPS)
    (tmp_path / "x.db").touch()
    head = (HEAD % (tmp_path / "x.db")).replace(', auth: {bearer: "{{ secrets.key }}"}', "")
    (tmp_path / "tools.yaml").write_text(f"{head}tools:\n{lines or '  []'}\n", "utf-8")
    code = f"""
import sys
import gemmagraph.tools
assert not [name for name in {LATE!r} if name in sys.modules]
from gemmagraph.tools.declared.loading import load_document
from gemmagraph.tools.declared.making import Maker
maker = Maker(load_document({str(tmp_path / "tools.yaml")!r}))
entries = maker.entries()
maker.finish()
assert all(entry.unavailable is None for entry in entries), entries
print(*(name for name in {LATE!r} if name in sys.modules))
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert set(ran.stdout.split()) == loaded
