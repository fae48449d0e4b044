"""Files with those they include: what is merged, where everything stands, and how all that is wrong is told."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from gemmagraph.tools.declared.document import Document, with_defaults
from gemmagraph.tools.declared.loading import load_document
from gemmagraph.tools.declared.problems import FileErrors
from gemmagraph.tools.errors import Fault

DATA = Path(__file__).parent.parent / "data" / "declared"

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes files, the first one being the one to load, into the current folder."""
    monkeypatch.chdir(tmp_path)

    def written(text: str, **others: str) -> Path:
        Path("assistant.yaml").write_text(text, "utf-8")
        for name, other in others.items():
            Path(name.replace("__", "/")).parent.mkdir(exist_ok=True)
            Path(name.replace("__", "/") + ".yaml").write_text(other, "utf-8")
        return Path("assistant.yaml")

    return written


def problems(file: Path) -> list[str]:
    with pytest.raises(FileErrors) as caught:
        load_document(file)
    return str(caught.value).split("\n")


def test_both_examples_load() -> None:
    short = load_document(DATA / "short.yaml")
    assert [tool["name"] for tool in short.values["tools"]] == ["disk_usage", "service_log", "restart_service"]
    assert short.values["model"] == {"name": "ollama:gemma3:4b"}
    assert short.values["tools"][2]["approval"] == {"mode": "ask"}
    complete = load_document(DATA / "complete.yaml")
    assert complete.kind == "assistant"
    values = complete.values
    assert [tool["name"] for tool in values["tools"]] == [
        *("convert_currency", "create_issue", "pod_logs", "find_orders"),
        "uptime",
    ]
    assert values["tools"][0]["cache"] == 3600
    assert values["tools"][1]["approval"]["expires"] == 900
    assert values["tools"][1]["errors"].keys() == {"422"}
    assert values["connections"]["github"]["http"]["max_bytes"] == 1024**2
    assert values["limits"]["tokens"] == 20_000
    assert values["limits"]["per_user"]["runs"] == {"count": 30, "seconds": 60}
    assert values["tools"][4]["shell"] == {"argv": ["uptime", "--pretty"]}


def test_the_place_of_any_key_can_be_found() -> None:
    document = load_document(DATA / "complete.yaml")
    lines = (DATA / "complete.yaml").read_text("utf-8").splitlines()

    def line(*path: str | int) -> str:
        return lines[document.place(path).line - 1].strip()

    assert line("tools", 1, "http", "path").startswith("path: /repos/acme/")
    assert line("tools", 2, "shell", "argv", 3) == '- "--tail={{ args.lines }}"'
    assert line("policy", 2, "users", 0).startswith("- {tool: create_issue, args")
    assert line("imports", 1, "mcp", "args", 2).startswith("- mcp:")
    assert line("connections", "orders_db", "sql", "dsn").startswith("sql: {dsn:")
    assert line("bots", "slack").startswith("slack:")
    assert line("tools", 3, "sql", "nothing", "there").startswith("connection: orders_db")


def test_the_place_of_what_a_short_form_leaves_out_is_that_of_what_is_there() -> None:
    document = load_document(DATA / "short.yaml")
    place = document.place(("tools", 1, "shell", "argv", 1))
    assert (place.line, place.column) == (15, 25)
    assert document.place(("model", "name")).line == 1
    assert document.place(("tools", 2, "approval", "mode")).line == 25


def test_places_lead_into_included_files_and_to_defaults() -> None:
    document = load_document(DATA / "complete.yaml")
    assert str(document.place(("tools", 4, "shell", "argv", 1))) == f"{DATA / 'more-tools.yaml'}:4:21"
    assert document.folder(("tools", 4)) == DATA
    timeout = document.place(("tools", 4, "timeout"))
    assert timeout == document.place(("defaults", "timeout"))
    assert document.place(("tools", 2, "timeout")) != timeout


def test_faults_of_a_constructor_are_told_with_their_place(write: Write) -> None:
    document = load_document(
        write("include: [sub/more.yaml]\n", sub__more="tools:\n- name: a\n  description: x\n  shell: [ls, x]\n")
    )
    (problem,) = document.faults(("tools", 0), [Fault(("shell", "argv", 1), "cannot be.", "Leave it out.")])
    assert str(problem) == "sub/more.yaml:4:15: tools[0] (a) → shell.argv[1]: cannot be. Leave it out."
    assert document.folder(("tools", 0)).resolve() == Path("sub").resolve()


def test_all_problems_of_all_files_are_told_at_once_in_order(write: Write) -> None:
    file = write(
        "tools:\n"
        "  - name: create_issue\n"
        "    description: Open an issue.\n"
        "    http: {connection: github, methd: POST}\n"
        "    timeout: soon\n"
        "include: [sub/more.yaml, gone.yaml]\n"
        "limits: {steps: none}\n",
        sub__more="model: x\ntools: [{name: A, python: 'm:a'}]\nimports: [{mcp: {}}]\n",
    )
    assert problems(file) == [
        "assistant.yaml:4:32: tools[0] (create_issue) → http.methd: unknown key; did you mean 'method'?",
        "assistant.yaml:5:14: tools[0] (create_issue) → timeout: must be a duration: 500ms, 10s, 2m, 1h, 1d or a "
        "number of seconds, not 'soon'",
        "assistant.yaml:6:26: include[1]: cannot read 'gone.yaml': No such file or directory",
        "assistant.yaml:7:17: limits.steps: must be a whole number of at least 1, not the text 'none'",
        "sub/more.yaml:1:1: model: unknown key. Only an assistant file has it, a file of tools has not.",
        "sub/more.yaml:2:16: tools[0] (A) → name: must be a name of lower-case letters, digits and _, a letter "
        "first, at most 60, not 'A'",
        "sub/more.yaml:3:17: imports[0] → mcp: one of command, url is missing",
    ]


def test_faults_of_structure_and_of_names_are_told_together(write: Write) -> None:
    file = write("policy: [{tool: x, then: aks}]\ntoolsets: {a: {extends: b}}\ntools: []\n")
    assert problems(file) == [
        "assistant.yaml:1:17: policy[0].tool: there is no tool 'x'. The file has no tools.",
        "assistant.yaml:1:26: policy[0].then: must be allow, ask or deny, not 'aks'; did you mean 'ask'?",
        "assistant.yaml:2:25: toolsets.a.extends: there is no toolset 'b'. There are: a.",
    ]


MISTAKES: dict[str, tuple[str, str]] = {
    "a text for a list": ("tools: [{name: a, description: a, shell: ls -l}]", "Write it as a list: [ls, -l]."),
    "yes": ("tools: [{name: a, python: 'm:a', pinned: yes}]", "true or false, not the text 'yes'. Write true."),
    "a quoted number": ("limits: {steps: '3'}", "not the text '3'. Leave out the quotes."),
    "a number for a text": ("model: 3", "not 3"),
    "a date": ("instructions: 1.5", 'Put it into quotes: "1.5".'),
    "nothing": ("tools:", "tools: must be a list, not nothing"),
    "no body": ("tools: [{name: a}]", "tools[0] (a): one of python, http, shell, sql is missing"),
    "two bodies": (
        "tools: [{name: a, description: a, shell: [x], http: {url: 'https://x'}}]",
        "tools[0] (a) → shell: cannot stand beside 'http'",
    ),
    "no description": ("tools: [{name: a, shell: [x]}]", "'description' is missing. 'shell' needs it."),
    "two of a body": (
        "tools: [{name: a, description: a, http: {url: 'https://x', json: 1, form: {}}}]",
        "http.form: cannot stand beside 'json'",
    ),
    "a reserved name": ("tools: [{name: auto, python: 'm:a'}]", "must not be 'auto'"),
    "upper case": ("tools: [{name: a, description: a, http: {url: 'http://x', method: get}}]", "did you mean 'GET'?"),
    "a version of later": ("version: 2", "version: must be 1, the version that is read here, not 2"),
    "a failure of no kind": ("tools: [{name: a, python: 'm:a', errors: {42x: a}}]", "'42x' must be a status (422, "),
    "a misspelt key of a bot": (
        "bots: {telegram: {token: t, chanels: {}}}",
        "assistant.yaml:1:29: bots.telegram.chanels: unknown key; did you mean 'channels'?",
    ),
    "a misspelt service": (
        "bots: {slak: {token: t, channels: {}}}",
        "assistant.yaml:1:8: bots.slak: unknown key; did you mean 'slack'?",
    ),
    "a service that is not known": (
        "bots: {whatsapp: {token: t, channels: {}}}",
        "bots.whatsapp: 'adapter' is missing. The class of your adapter. Those that need none: slack, matrix,",
    ),
    "a room with a misspelt key": (
        "bots: {terminal: {channels: {C1: {listens: threads}}}}",
        "bots.terminal.channels.C1.listens: unknown key; did you mean 'listen'?",
    ),
    "a bot that says no channels": (
        "bots: {telegram: {token: t}}",
        "bots.telegram: 'channels' is missing. The toolset of each channel",
    ),
    "a number as text": (
        "bots: {irc: {server: s, nick: n, port: '6697', channels: {}}}",
        "bots.irc.port: must be a whole number from 1 to 65535, not the text '6697'. Leave out the quotes.",
    ),
    "channels in a comment": (
        "bots:\n  irc:\n    server: s\n    nick: n\n    channels:\n      #ops: look\n",
        'bots.irc.channels: must be a mapping, not nothing. What stands behind a # is a comment; in quotes it is a'
        ' channel: "#ops".',
    ),
    "an import as a tool": ("tools: [{name: a, mcp: {command: x}}]", "unknown key. It belongs under the imports"),
    "a group in a group": ("groups: {a: ['group:b']}", "must be a user: slack:T1/U024"),
    "a name for a person": ("policy: [{tool: '*', users: [Ann], then: deny}]", "a group (group:oncall), not 'Ann'"),
    "no mapping at all": ("- a\n- b\n", "must be a mapping"),
    "a circle": ("include: [./assistant.yaml]", "'./assistant.yaml' includes this file: a circle"),
    "an address": ("include: ['https://x.example/a.yaml']", "only local files are included"),
}  # fmt: skip


@pytest.mark.parametrize("case", MISTAKES)
def test_a_message_says_what_would_be_right(case: str, write: Write) -> None:
    text, said = MISTAKES[case]
    assert said in "\n".join(problems(write(text)))


@pytest.mark.parametrize(
    "text",
    [
        "secrets: {token: hunter2-hunter2}",
        "secrets: [hunter2-hunter2]",
        "secrets: {token: {env: {a: hunter2-hunter2}}}",
        "connections: {a: {http: {base_url: 'https://x', auth: hunter2-hunter2}}}",
        "connections: {a: {http: {base_url: 'https://x', auth: {basic: hunter2-hunter2}}}}",
        "connections: {a: {http: {base_url: 'https://x', auth: {bearer: [hunter2-hunter2]}}}}",
        "connections: {a: {sql: {dsn: [hunter2-hunter2]}}}",
        "model: {name: m, api_key: {a: hunter2-hunter2}}",
    ],
)
def test_no_message_shows_what_may_be_a_secret(text: str, write: Write) -> None:
    assert "hunter2" not in "\n".join(problems(write(text)))


def test_at_most_fifty_problems_are_shown(write: Write) -> None:
    lines = problems(write("".join(f"k{n}: 1\n" for n in range(80))))
    assert len(lines) == 51
    assert lines[0].startswith("assistant.yaml:1:1: k0: unknown key")
    assert lines[-1] == "… and 30 more."


def test_included_files_add_tools_imports_secrets_and_connections(write: Write) -> None:
    document = load_document(
        write(
            "include: [a.yaml, b.yaml]\nmodel: m\nsecrets: {own: {env: A}}\ntools: [{name: own, python: 'm:a'}]\n",
            a="include: [sub/c.yaml]\nsecrets: {a: {env: A}}\ntools: [{name: a, python: 'm:a'}]\n",
            b="include: [sub/c.yaml]\nconnections: {b: {sql: {dsn: 'sqlite://'}}}\nimports: [{mcp: {command: x}}]\n",
            sub__c="tools: [{name: c, python: './c.py:c'}]\n",
        )
    )
    assert [tool["name"] for tool in document.values["tools"]] == ["own", "a", "c"]
    assert list(document.values["secrets"]) == ["a", "own"]
    assert list(document.values["connections"]) == ["b"]
    assert document.values["imports"] == [{"mcp": {"command": "x"}}]
    assert [file.name for file in document.files] == ["assistant.yaml", "a.yaml", "sub/c.yaml", "b.yaml"]
    assert str(document.place(("secrets", "a", "env"))) == "a.yaml:2:20"
    assert str(document.place(("connections", "b"))) == "b.yaml:2:18"
    assert str(document.place(("imports", 0, "mcp"))) == "b.yaml:3:17"


def test_a_longer_circle_is_found_where_it_closes(write: Write) -> None:
    file = write("include: [a.yaml]\n", a="include: [b.yaml]\n", b="tools: []\ninclude: [a.yaml]\n")
    assert problems(file) == ["b.yaml:2:11: include[0]: 'a.yaml' includes this file: a circle"]


def test_two_files_must_not_say_two_things_under_one_name(write: Write) -> None:
    same = "secrets: {same: {env: A}, other: {env: B}}\n"
    file = write(same + "include: [a.yaml]\n", a="secrets: {same: {env: A}, other: {env: C}}\n")
    (said,) = problems(file)
    assert said == (
        "assistant.yaml:1:34: secrets.other: a.yaml:1:34 says something else under the same name. Rename one of them."
    )


def test_a_file_that_is_no_yaml_does_not_hide_the_others(write: Write) -> None:
    lines = problems(write("modle: x\ninclude: [a.yaml]\ntoolsets: {x: {tools: [y]}}\n", a="tools: [\n"))
    assert [line.split(": ")[0] for line in lines] == ["assistant.yaml:1:1", "a.yaml:2:1"]


def test_a_file_that_is_not_there_is_one_problem(write: Write) -> None:
    with pytest.raises(FileErrors, match=r"^gone\.yaml:1:1: cannot read 'gone\.yaml': No such file or directory$"):
        load_document("gone.yaml")


def test_the_kind_of_a_file_follows_from_its_keys_unless_said(write: Write) -> None:
    file = write("tools: [{name: a, python: 'm:a'}]\n")
    assert load_document(file).kind == "tools"
    assert load_document(file, "assistant").kind == "assistant"
    write("model: m\n")
    assert load_document(file).kind == "assistant"
    with pytest.raises(FileErrors, match="Only an assistant file has it"):
        load_document(file, "tools")


def test_defaults_are_those_of_the_own_file_first(write: Write) -> None:
    document: Document = load_document(
        write(
            "defaults: {timeout: 5, retries: 2, result: {max_chars: 900, keep: tail}}\ninclude: [a.yaml]\n"
            "tools: [{name: own, python: 'm:a'}]\n",
            a="defaults: {timeout: 9s, result: {max_chars: 7k}}\ntools: [{name: a, python: 'm:a'}]\n",
        )
    )
    own = {"timeout": 5, "retries": 2, "result": {"max_chars": 900, "keep": "tail"}}
    assert document.defaults(("tools", 0)) == own
    assert document.defaults(("tools", 1)) == {
        "timeout": 9,
        "retries": 2,
        "result": {"max_chars": 7000, "keep": "tail"},
    }
    assert str(document.place(("tools", 1, "retries"))) == "assistant.yaml:1:33"
    assert str(document.place(("tools", 1, "result", "max_chars"))) == "a.yaml:1:45"


def test_defaults_merge_key_by_key_and_lists_replace() -> None:
    defaults = {"timeout": 1, "result": {"keep": "tail", "format": "json"}, "list": [1, 2]}
    own = {"result": {"keep": "head"}, "list": [3]}
    assert with_defaults(defaults, own) == {
        "timeout": 1,
        "result": {"keep": "head", "format": "json"},
        "list": [3],
    }


TOOL = (DATA / "complete.yaml").read_text("utf-8").split("  - name: create_issue", 1)[1].split("\n\n")[0]


def test_a_hundred_tools_are_read_in_twice_the_time_of_libyaml_alone(tmp_path: Path) -> None:
    """A ceiling that the issue lists: 3 times, of which the bodies need their part. CPU time, in turns."""
    file = tmp_path / "tools.yaml"
    tools = "".join(f"  - name: tool_{number}{TOOL}\n" for number in range(100))
    secrets = (
        "secrets: {token: {env: TOKEN}}\nconnections:\n  github:\n    http:\n      base_url: https://x.example\n"
    )
    file.write_text(f"{secrets}tools:\n{tools}", "utf-8")
    data = file.read_bytes()

    def cpu(work: Callable[[], object]) -> float:
        begun = time.process_time()
        work()
        return time.process_time() - begun

    def load() -> object:
        return yaml.load(data, yaml.CSafeLoader)

    assert len(load_document(file).values["tools"]) == 100
    pairs = [(cpu(lambda: load_document(file)), cpu(load)) for _ in range(7)]
    assert min(ours for ours, _ in pairs) <= 2 * min(theirs for _, theirs in pairs)


def test_a_pasted_folder_loads_from_anywhere(tmp_path: Path) -> None:
    shutil.copytree(DATA, tmp_path / "bot")
    assert load_document(tmp_path / "bot" / "complete.yaml").path == tmp_path / "bot" / "complete.yaml"
