"""What no JSON Schema can say: each check finds its fault, at its place, and nothing where there is none."""

from __future__ import annotations

import copy
import random
import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from gemmagraph.tools.declared.checks import CHECKS, check_tool_names
from gemmagraph.tools.declared.format import assistant_schema
from gemmagraph.tools.declared.loading import load_document
from gemmagraph.tools.declared.nodes import plain
from gemmagraph.tools.declared.problems import FileErrors
from gemmagraph.tools.declared.source import read_source

SCHEMA = Draft202012Validator(assistant_schema())

SLACK = "bots: {slack: {token: a, app_token: b, channels: {'*': }}}"

# name of the check: a file with the fault, marked by « in front of its place, and the words for it
FAULTS: dict[str, tuple[str, str]] = {
    "tool-twice": (
        "tools: [{name: a, python: 'm:a'}, {name: «a, python: 'm:b'}]",
        "tools[1] (a) → name: there are two tools 'a'; the first is at FILE:1:16",
    ),
    "connection": (
        "connections: {db: {sql: {dsn: 'sqlite://'}}}\n"
        "tools: [{name: a, description: a, sql: {connection: «dbs, statement: SELECT 1}}]",
        "there is no sql connection 'dbs'; did you mean 'db'?",
    ),
    "connection of another kind": (
        "connections: {db: {sql: {dsn: 'sqlite://'}}}\n"
        "tools: [{name: a, description: a, http: {connection: «db}}]",
        "the connection 'db' is not one for http",
    ),
    "secret": (
        "secrets: {token: {env: T}}\nmodel: {name: m, api_key: «'{{ secrets.tokem }}'}",
        "model.api_key: there is no secret 'tokem'; did you mean 'token'?",
    ),
    "secret in a tool": (
        "tools: [{name: a, description: a, http: {url: 'https://x.example', headers: {X: «'{{secrets.t}}'}}}]",
        "http.headers.X: there is no secret 't'. The file has no secrets.",
    ),
    "setting": (
        "settings: {region: {env: REGION}}\nstore: «'sqlite:///{{ settings.regoin }}.db'",
        "store: there is no setting 'regoin'; did you mean 'region'?",
    ),
    "setting in a tool": (
        "tools: [{name: a, description: a, shell: [x, «'{{ settings.t }}']}]",
        "shell.argv[1]: there is no setting 't'. The file has no settings.",
    ),
    "argument": (
        "tools: [{name: a, description: a, shell: [x, «'{{ args.wo }}'], parameters: {properties: {who: {}}}}]",
        "shell.argv[1]: there is no parameter 'wo'; did you mean 'who'?",
    ),
    "argument in the text of a failure": (
        "tools: [{name: a, description: a, shell: [x], errors: {other: «'No {{ args.who }}.'}}]",
        "errors.other: there is no parameter 'who'. The tool has no parameters.",
    ),
    "argument that is bound": (
        "tools: [{name: a, description: a, http: {url: 'https://x.example', query: {w: «'{{ bind.wo }}'}}, bind: "
        "{who: x}}]",
        "http.query.w: there is no bound value 'wo'; did you mean 'who'?",
    ),
    "flag": (
        "tools: [{name: a, description: a, shell: [x, {if: «'{{ args.n }}', then: -n}], parameters: {properties: "
        "{n: {type: integer}}}}]",
        "shell.argv[1].if: 'n' is declared as 'integer', which is never true or false. Write type: boolean.",
    ),
    "keyword": (
        "tools: [{name: a, description: a, shell: [x], parameters: {properties: {a: {maxLenght: «3}}}}]",
        "parameters.properties.a.maxLenght: no word of JSON Schema; did you mean 'maxLength'?",
    ),
    "placeholder": ("store: «'{{ args.x }}'", "store: {{ args.x }} names 'args'. What can be named here: secrets."),
    "placeholder that is open": ("bots: {telegram: {token: «'{{ secrets.x', channels: {}}}", "is not closed"),
    "secret of a bot": (
        "bots: {telegram: {token: «'{{ secrets.x }}', channels: {}}}",
        "bots.telegram.token: there is no secret 'x'. The file has no secrets.",
    ),
    "placeholder in bind": (
        "tools: [{name: a, python: 'm:a', bind: {who: «'{{ args.x }}'}}]",
        "What can be named here: context.",
    ),
    "placeholder in an import": ("imports: [{mcp: {url: «'{{ url }}'}}]", "names 'url'"),
    "bind": (
        "tools: [{name: a, description: a, shell: [x], parameters: {properties: {who: {}}}, bind: {who: «b}}]",
        "bind.who: 'who' is a parameter too",
    ),
    "required": (
        "tools: [{name: a, description: a, shell: [x], parameters: {required: [«wo], properties: {who: {}}}}]",
        "parameters.required[0]: there is no property 'wo'; did you mean 'who'?",
    ),
    "example": (
        "tools: [{name: a, description: a, shell: [x], parameters: {properties: {who: {}}}, examples: "
        "[{args: {wo: «1}}]}]",
        "examples[0].args.wo: there is no parameter 'wo'; did you mean 'who'?",
    ),
    "example that lacks something": (
        "tools: [{name: a, description: a, shell: [x], parameters: {required: [b], properties: {b: {}}}, examples: "
        "[{args: «{}}]}]",
        "examples[0].args: the argument 'b' is missing",
    ),
    "marks": (
        "tools: [{name: a, python: 'm:a', annotations: «{readOnlyHint: true, destructiveHint: true}}]",
        "annotations: a tool cannot be both",
    ),
    "cache": ("tools: [{name: a, description: a, shell: [x], cache: «1h}]", "cache: only a read-only tool"),
    "cache of what may destroy": (
        "tools: [{name: a, description: a, http: {url: 'https://x.example'}, annotations: {destructiveHint: true}, "
        "cache: «1h}]",
        "cache: only a read-only tool",
    ),
    "retries": (
        "tools: [{name: a, description: a, http: {url: 'https://x.example', method: POST}, retries: «2}]",
        "retries: only a read-only or idempotent tool",
    ),
    "asking": ("policy: [{tool: '*', then: deny, expires: «1h}]", "expires: nobody is asked with then: deny"),
    "asking of a tool": (
        "tools: [{name: a, python: 'm:a', approval: {mode: allow, four_eyes: «true}}]",
        "approval.four_eyes: nobody is asked with mode: allow",
    ),
    "group": (
        "groups: {oncall: [local:ann]}\npolicy: [{tool: '*', then: deny, users: [«group:oncal]}]",
        "users[0]: there is no group 'oncal'; did you mean 'oncall'?",
    ),
    "group of a tool": (
        "model: m\ntools: [{name: a, python: 'm:a', approval: {mode: ask, approvers: [«group:x]}}]",
        "there is no group 'x'",
    ),
    "toolset": (
        "toolsets: {base: {instructions: x}, more: {extends: «bass}}",
        "toolsets.more.extends: there is no toolset 'bass'; did you mean 'base'?",
    ),
    "toolset of a bot": (
        "toolsets: {base: {instructions: x}}\nbots: {telegram: {token: t, channels: {'-1': «other}}}",
        "bots.telegram.channels.-1: there is no toolset 'other'. There are: base.",
    ),
    "toolset of a bot's room": (
        "toolsets: {base: {instructions: x}}\nbots: {terminal: {channels: {'#a': {toolset: «bas}}}}",
        "bots.terminal.channels.#a.toolset: there is no toolset 'bas'; did you mean 'base'?",
    ),
    "group of a bot": (
        "groups: {oncall: [local:ann]}\nbots: {terminal: {users: [local:bob, «group:oncal]}}",
        "bots.terminal.users[1]: there is no group 'oncal'; did you mean 'oncall'?",
    ),
    "group of a bot's room": (
        "bots: {company: {adapter: 'c:Chat', channels: {direct: {users: [«group:oncall]}}}}",
        "bots.company.channels.direct.users[0]: there is no group 'oncall'. The file has no groups.",
    ),
    "channel": (
        f"{SLACK}\npolicy: [{{tool: '*', channels: [«'slack:C0123'], then: deny}}]",
        "policy[0].channels[0]: there can be no channel 'slack:C0123'. Channels of slack are such as slack:T1/C0123.",
    ),
    "channel with a name": (
        f"{SLACK}\npolicy: [{{tool: '*', channels: ['slack:T1/C1', «'slack:T1/#ops'], then: deny}}]",
        "there can be no channel 'slack:T1/#ops'",
    ),
    "all channels": (
        f"{SLACK}\npolicy: [{{tool: '*', channels: [«'slack:*'], then: deny}}]",
        "there can be no channel 'slack:*'",
    ),
    "channel of IRC": (
        f"{SLACK}\npolicy: [{{tool: '*', channels: [«'irc:ops'], then: deny}}]",
        "there can be no channel 'irc:ops'. Channels of irc are such as irc:#ops.",
    ),
    "channel of the terminal": (
        f"{SLACK}\npolicy: [{{tool: '*', channels: [«'terminal:#ops'], then: deny}}]",
        "there is no service 'terminal' for 'terminal:#ops'; did you mean 'local'?",
    ),
    "channel of a misspelt service": (
        f"{SLACK}\npolicy: [{{tool: '*', channels: [«'slak:T1/C1'], then: deny}}]",
        "there is no service 'slak' for 'slak:T1/C1'; did you mean 'slack'?",
    ),
    "irc-channel": (
        "toolsets: {look: {tools: []}, act: {tools: []}}\n"
        "bots:\n  irc:\n    server: a\n    nick: b\n    channels:\n      '#ops': look\n      '#OPS': «act",
        "the channel is there twice; '#ops' stands at FILE:7:15 already, and IRC has no case. Keep one of them.",
    ),
    "toolset-circle": ("toolsets: {a: {extends: b}, b: {extends: «a}}", "a circle: a → b → a"),
    "toolset of itself": ("toolsets: {a: {extends: «a}}", "a circle: a → a"),
    "tool-name": (
        "tools: [{name: restart, python: 'm:a'}]\npolicy: [{tool: «restrat, then: ask}]",
        "policy[0].tool: there is no tool 'restrat'; did you mean 'restart'?",
    ),
    "glob of nothing": (
        "tools: [{name: restart, python: 'm:a'}]\ntoolsets: {a: {tools: [«'git_*']}}",
        "toolsets.a.tools[0]: 'git_*' fits no tool",
    ),
    "same-call": ("limits: {same_call: {warn_at: 4, stop_at: «4}}", "must be more than warn_at, which is 4"),
    "pin": (
        "imports: [{openapi: «'https://x.example/api.json', include: [{tag: a}]}]",
        "openapi: a document from a URL must be pinned",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FAULTS)
def test_a_fault_that_no_schema_sees_is_found_at_its_place(case: str, tmp_path: Path) -> None:
    marked, said = FAULTS[case]
    before = marked.partition("«")[0].split("\n")
    text = marked.replace("«", "")
    root = read_source(text).root
    assert root is not None
    assert SCHEMA.is_valid(plain(root))
    file = tmp_path / "assistant.yaml"
    file.write_text(text, "utf-8")
    with pytest.raises(FileErrors) as caught:
        load_document(file)
    found = [one for one in caught.value.problems if said.replace("FILE", str(file)) in str(one)]
    assert found, str(caught.value)
    assert (found[0].place.line, found[0].place.column) == (len(before), len(before[-1]) + 1)


def test_each_check_is_shown_by_a_fault() -> None:
    by_two_files = {"clash"}  # in test_declared_loading.py
    assert {check.name for check in CHECKS} - by_two_files <= FAULTS.keys()


RIGHT = """
model: {name: m, api_key: "{{ secrets.key }}"}
secrets: {key: {env: KEY}}
connections:
  web: {http: {base_url: "https://x.example", auth: {bearer: "{{ secrets.key }}"}}}
  ro: {sql: {dsn: "{{ secrets.key }}"}}
  rw: {sql: {dsn: "sqlite:///x.db", read_only: false}}
tools:
  - {name: a, python: "m:a", cache: 1h, retries: 2}
  - {name: b, description: b, http: {connection: web, path: /x}, cache: 1h, retries: 1}
  - {name: c, description: c, sql: {connection: ro, statement: SELECT 1}, cache: 1h}
  - {name: d, description: d, sql: {connection: rw, statement: DELETE FROM x}, retries: 0}
  - name: e
    description: e
    http: {connection: web, path: /x, json: {a: "{{ args.a }}"}}
    annotations: {idempotentHint: true}
    retries: 3
    parameters: {required: [z], properties: {a: {}}, additionalProperties: true}
    examples: [{args: {z: 1, anything: 2}}]
    approval: {mode: ask, approvers: ["group:g"], expires: 5m}
groups: {g: ["slack:T/U"]}
toolsets: {x: {tools: [a, "[bc]", "*"]}, y: {extends: x, instructions: i}, z: {extends: y, tools: [e]}}
policy: [{tool: "?", users: ["group:g"], then: ask, four_eyes: true}]
bots:
  slack:
    token: "{{ secrets.key }}"
    app_token: "{{ secrets.key }}"
    users: ["group:g", "slack:T/V"]
    channels: {"*": z, C1: null, direct: {toolset: x, users: ["group:g"], listen: mentions}}
"""


def test_a_file_in_which_all_fits_has_no_problem(tmp_path: Path) -> None:
    file = tmp_path / "assistant.yaml"
    file.write_text(RIGHT, "utf-8")
    assert len(load_document(file).values["tools"]) == 5


def test_names_of_tools_wait_for_imports(tmp_path: Path) -> None:
    file = tmp_path / "assistant.yaml"
    file.write_text("imports: [{mcp: {command: x}}]\npolicy: [{tool: git_lok, then: ask}]\n", "utf-8")
    document = load_document(file)
    assert check_tool_names(document, ["git_lok"]) == []
    (problem,) = check_tool_names(document, ["git_log", "git_diff"])
    assert str(problem) == f"{file}:2:17: policy[0].tool: there is no tool 'git_lok'; did you mean 'git_log'?"


def test_checks_stand_what_did_not_fit_its_form(tmp_path: Path) -> None:
    """Whatever is torn out of a file, problems are told; nothing breaks."""
    chance = random.Random(6)
    words = re.findall(r"[A-Za-z_]+|[{}\[\]:,]|\S", RIGHT)
    file = tmp_path / "assistant.yaml"
    refused = 0
    for _ in range(300):
        text = RIGHT
        for _ in range(chance.randint(1, 4)):
            word = chance.choice(words)
            text = text.replace(word, copy.copy(chance.choice(["", "x", "[]", "{}", "1", "null", "[a]"])), 1)
        file.write_text(text, "utf-8")
        refused += is_refused(file)
    assert refused > 200


def is_refused(file: Path) -> bool:
    try:
        load_document(file)
    except FileErrors as error:
        return bool(error.problems)
    return False
