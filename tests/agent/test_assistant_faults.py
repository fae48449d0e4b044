"""All that is wrong with a file is said in one round: each fault once, at its line, and nothing that only follows."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gemmagraph.assistant import load_assistant
from gemmagraph.tools.declared.nodes import plain
from gemmagraph.tools.declared.problems import FileErrors
from gemmagraph.tools.declared.source import read_source

RIGHT = """\
model: {name: "ollama:gemma3:4b", thinking: false}
secrets:
  token: {env: FAULTS_TOKEN}
  other: {env: FAULTS_OTHER}
connections:
  shop:
    http:
      base_url: https://shop.example/v1
      auth: {bearer: "{{ secrets.token }}"}
      headers: {X-Shop: one}
      redirects: 2
  db:
    sql: {dsn: "sqlite:///x.db", max_rows: 7}
defaults:
  timeout: 10s
  result: {select: "items"}
tools:
  - name: place_order
    description: Places an order.
    parameters:
      required: [item]
      properties:
        item: {type: string}
        count: {type: integer, minimum: 1}
    http:
      connection: shop
      method: POST
      path: /orders/{{ args.item }}
      json: {count: "{{ args.count }}"}
      headers: {Accept: text/plain}
    errors: {422: "Refused {{ args.item }}"}
    concurrency: 2
  - name: list_files
    description: Lists files.
    parameters: {properties: {folder: {type: string}, all: {type: boolean}}}
    shell:
      argv: [ls, {if: "{{ args.all }}", then: "-a"}, "--", "{{ args.folder }}"]
      env: {SHOP: "{{ secrets.other }}"}
      cwd: /tmp
      ok_exit_codes: [0, 1]
    annotations: {readOnlyHint: true}
    retries: 2
    examples: [{args: {folder: here}}]
  - name: find_orders
    description: Finds orders.
    parameters: {properties: {customer: {type: integer}}}
    bind: {tenant: "{{ context.tenant }}"}
    sql:
      connection: db
      statement: SELECT 1 WHERE :customer = 1 AND :tenant = 'a'
    result: {max_chars: 2000}
    pinned: true
  - name: stock
    python: ./stock.py:stock
    result: {template: "{{ result.x }}"}
    approval: {mode: ask, approvers: ["group:staff"]}
imports:
  - openapi: ./status.yaml
    include: [{operationId: getIncident}]
    auth: {header: {name: X-Key, value: "{{ secrets.token }}"}}
    overrides:
      getIncident: {name: incident, result: {select: "incident"}, timeout: 5s}
  - mcp: {command: uvx, args: [mcp-server-git], env: {TZ: UTC}}
    include: ["git_*"]
groups: {staff: [local:ann]}
toolsets: {few: {tools: [stock]}}
policy:
  - {tool: stock, users: ["group:staff"], then: allow}
  - {tool: "*", channels: ["slack:T1/C1"], then: ask, expires: 5m}
limits: {steps: 5, same_call: {warn_at: 2, stop_at: 4}}
"""

# what stands in the file, what is put there instead, where that is wrong, and how
FAULTS: list[tuple[str, str, str]] = [
    ("thinking: false", "thinking: maybe", "model.thinking: must be true or false"),
    ("other: {env: FAULTS_OTHER}", "other: {env: 7}", "secrets.other.env: must be a text"),
    ("shop.example/v1", "shop.example/v1?q=1", "connections.shop.http.base_url: "),
    ("{X-Shop: one}", "{Host: one}", "connections.shop.http.headers.Host: Host is set by the connection itself."),
    ("redirects: 2\n", "redirects: many\n", "connections.shop.http.redirects: must be a whole number"),
    ("max_rows: 7", "max_row: 7", "connections.db.sql.max_row: unknown key; did you mean 'max_rows'?"),
    ("timeout: 10s", "timeout: soon", "defaults.timeout: must be a duration"),
    ('select: "items"', 'select: "a..b"', "defaults.result.select: 'a..b' is no JMESPath"),
    ("{type: string}\n        count", "{type: strin}\n        count", "parameters.properties.item.type: is 'strin'."),
    ("required: [item]", "required: [itm]", "→ parameters.required[0]: there is no property 'itm'; did you mean"),
    ("minimum: 1}", "minimun: 1}", "parameters.properties.count.minimun: no word of JSON Schema; did you mean"),
    ("path: /orders/", "path: orders/", "(place_order) → http.path: 'orders/{{ args.item }}' does not begin with a"),
    ('"{{ args.count }}"', '"{{ args.cuont }}"', "http.json.count: there is no parameter 'cuont'; did you mean"),
    ("{Accept: text/plain}", "{Accept: [text/plain]}", "(place_order) → http.headers.Accept: must be a text or a"),
    ("Refused {{ args.item }}", "Refused {{ who }}", "(place_order) → errors.422: {{ who }} names 'who'."),
    ("concurrency: 2", "concurency: 2", "(place_order) → concurency: unknown key; did you mean 'concurrency'?"),
    ('then: "-a"', 'then: "-{{ args.folder }}"', "shell.argv[1].then: has a placeholder."),
    ("{{ secrets.other }}", "{{ secrets.othr }}", "shell.env.SHOP: there is no secret 'othr'; did you mean 'other'?"),
    ("cwd: /tmp", 'cwd: "{{ args.folder }}"', "(list_files) → shell.cwd: '{{ args.folder }}' is no folder."),
    ("[0, 1]", "[0, 999]", "(list_files) → shell.ok_exit_codes[1]: must be a whole number from 0 to 255"),
    ("retries: 2", "retries: 99", "(list_files) → retries: must be a whole number from 0 to 10, not 99"),
    ("{folder: here}", "{foldr: here}", "examples[0].args.foldr: there is no parameter 'foldr'; did you mean"),
    ("{{ context.tenant }}", "{{ secrets.token }}", "→ bind.tenant: {{ secrets.token }} names 'secrets'"),
    ("WHERE :customer", "WHERE :custmer", "(find_orders) → sql.statement: :custmer is neither a parameter nor"),
    ("max_chars: 2000", "max_chars: 20", "(find_orders) → result.max_chars: must be a number of characters from 200"),
    ("pinned: true", "pinned: yes", "(find_orders) → pinned: must be true or false, not the text 'yes'."),
    ('{template: "{{ result.x }}"}', '{template: "{{ args.x }}"}', "(stock) → result.template: {{ args.x }} names"),
    ('["group:staff"]}\nimports', '["group:stuff"]}\nimports', "approval.approvers[0]: there is no group 'stuff'"),
    ("{name: X-Key", "{name: Cookie Jar", "(./status.yaml) → auth.header.name: 'Cookie Jar' is no name of"),
    ('select: "incident"', 'select: "a..b"', "(./status.yaml) → overrides.getIncident.result.select: 'a..b'"),
    ("timeout: 5s", "timeout: later", "(./status.yaml) → overrides.getIncident.timeout: must be a duration"),
    ("{TZ: UTC}", '{TZ: "{{ args.x }}"}', "imports[1] (uvx) → mcp.env.TZ: {{ args.x }} names 'args'."),
    ("tools: [stock]", "tools: [stuck]", None),  # which tools imports bring is known later
    ('users: ["group:staff"]', 'users: ["slack:*"]', "policy[0]: 'slack:*' is compared as it stands, so it would"),
    ("expires: 5m", "expires: 5", None),  # a number of seconds is right too
    ("stop_at: 4", "stop_at: 1", "limits.same_call.stop_at: must be more than warn_at, which is 2"),
    ("steps: 5", "steps: 0", "limits.steps: must be a whole number of at least 1, not 0"),
]  # fmt: skip
REAL = [fault for fault in FAULTS if fault[2] is not None]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def problems(*faults: tuple[str, str, str | None]) -> list[str]:
    """What is said of the file with these faults."""
    text = RIGHT
    for right, wrong, _ in faults:
        assert text.count(right) == 1, right
        text = text.replace(right, wrong)
    Path("assistant.yaml").write_text(text, "utf-8")
    try:
        load_assistant()
    except FileErrors as error:
        return str(error).splitlines()
    return []


def in_short(said: Iterable[str]) -> list[str]:
    """What is said, without columns: a fault moves what stands behind it."""
    return sorted(re.sub(r"^([^:]*:\d+):\d+:", r"\1:", line) for line in said)


def line_of(said: str) -> int:
    return int(said.split(":")[1])


def test_what_is_no_fault_is_not_said() -> None:
    assert problems() == []
    assert problems(*(fault for fault in FAULTS if fault[2] is None)) == []


@pytest.mark.parametrize("fault", REAL, ids=[fault[1].strip() for fault in REAL])
def test_a_fault_alone_is_one_line(fault: tuple[str, str, str]) -> None:
    (said,) = problems(fault)
    assert fault[2] in said
    assert line_of(said) == RIGHT[: RIGHT.index(fault[0])].count("\n") + 1


def test_all_faults_are_said_in_one_round_in_the_order_of_lines() -> None:
    said = problems(*REAL)
    assert len(said) == len(set(said)) == len(REAL)
    for _, _, words in REAL:
        assert sum(words in line for line in said) == 1, words
    lines = [line_of(line) for line in said]
    assert lines == sorted(lines)


@pytest.mark.parametrize("mended", REAL, ids=[fault[1].strip() for fault in REAL])
def test_to_mend_one_fault_takes_away_its_line_and_no_other(mended: tuple[str, str, str]) -> None:
    left = problems(*(fault for fault in REAL if fault is not mended))
    assert in_short(left) == in_short(line for line in problems(*REAL) if mended[2] not in line)


NAMES = {"secrets", "connections", "groups", "toolsets", "properties", "headers", "env", "json", "args", "errors"}
NAMES |= {"bind", "overrides"}
"""Keys of mappings whose own keys are names."""


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    for key, child in [*(value.items() if isinstance(value, dict) else enumerate(value))]:
        yield (*path, key)
        if isinstance(child, dict | list):
            yield from places(child, (*path, key))


def changed(path: tuple[Any, ...], change: Callable[[Any, Any], None]) -> list[str]:
    """What is said of the file after a change of what holds the last step of a path."""
    root = read_source(RIGHT).root
    assert root is not None
    value: Any = plain(root)
    holder = value
    for step in path[:-1]:
        holder = holder[step]
    change(holder, path[-1])
    Path("assistant.yaml").write_text(json.dumps(value), "utf-8")
    try:
        load_assistant()
    except FileErrors as error:
        return str(error).splitlines()
    return []


def all_places() -> list[tuple[Any, ...]]:
    root = read_source(RIGHT).root
    assert root is not None
    return [*places(plain(root))]


def test_a_misspelt_key_is_one_line_that_says_what_is_meant() -> None:
    def misspell(holder: Any, key: str) -> None:
        holder[key[:1] + key[2:] if len(key) > 3 else key + key[-1]] = holder.pop(key)

    keys = [path for path in all_places() if isinstance(path[-1], str) and not NAMES.intersection(path[-2:-1])]
    assert len(keys) > 90
    for path in keys:
        said = changed(path, misspell)
        assert len(said) == 1, (path, said)
        assert f"did you mean {path[-1]!r}?" in said[0], (path, said)


def test_whatever_stands_in_a_place_it_is_taken_or_said() -> None:
    chance = random.Random(3)
    odd = [[], {}, 5, "x y", None, True, ["x"], {"x": 1}, "{{", "{{ args.x }}", "{{ settings.x }}", "\0", -1, 10**30]
    said = 0
    for _ in range(300):
        value = chance.choice(odd)

        def put(holder: Any, key: Any, value: Any = value) -> None:
            holder[key] = value

        said += bool(changed(chance.choice(all_places()), put))
    assert said > 200


def test_any_faults_together_are_what_each_is_alone() -> None:
    alone = {fault: problems(fault) for fault in REAL}
    chance = random.Random(7)
    for _ in range(60):
        some = chance.sample(REAL, chance.randint(2, 12))
        assert in_short(problems(*some)) == in_short(line for fault in some for line in alone[fault])


def test_faults_of_included_files_and_of_defaults_are_said_once_where_they_stand() -> None:
    Path("assistant.yaml").write_text(
        """\
include: [more.yaml, broken.yaml]
defaults: {result: {select: "a..b"}, retries: many}
secrets: {key: {env: KEY}}
tools:
  - {name: one, description: One., http: {base_url: "https://x.example", path: one}}
  - {name: two, description: Two., http: {connection: shop, path: two}, timeout: soon}
policy:
  - {tool: nowhere, users: [somebody], then: deny}
"""
    )
    Path("more.yaml").write_text(
        """\
connections: {shop: {http: {base_url: "https://x.example/?q", auth: {bearer: "{{ secrets.kye }}"}}}}
tools:
  - {name: three, description: Three., shell: [ls, "{{ secrets.key }}"], pinnd: true}
"""
    )
    Path("broken.yaml").write_text("tools: [\n")
    with pytest.raises(FileErrors) as caught:
        load_assistant()
    said = [(one.place.file, one.place.line, one.where, one.message) for one in caught.value.problems]
    expected = [
        ("assistant.yaml", 2, "defaults.result.select", "'a..b' is no JMESPath"),
        ("assistant.yaml", 2, "defaults.retries", "must be a whole number from 0 to 10"),
        ("assistant.yaml", 5, "tools[0] (one) → http.path", "'one' does not begin with a slash"),
        ("assistant.yaml", 6, "tools[1] (two) → http.path", "'two' does not begin with a slash"),
        ("assistant.yaml", 6, "tools[1] (two) → timeout", "must be a duration"),
        ("assistant.yaml", 8, "policy[0].users[0]", "must be a user"),
        ("more.yaml", 1, "connections.shop.http.base_url", "'https://x.example/?q' is no base URL"),
        ("more.yaml", 3, "tools[0] (three) → shell.argv[1]", "names a secret"),
        ("more.yaml", 3, "tools[0] (three) → pinnd", "unknown key; did you mean 'pinned'?"),
        ("broken.yaml", 2, "", "this is not YAML"),
    ]
    assert [one[:3] for one in said] == [one[:3] for one in expected]
    assert all(one[3].startswith(words[3]) for one, words in zip(said, expected, strict=True)), said
