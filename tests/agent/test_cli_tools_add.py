"""`gemmagraph tools add` and `gemmagraph tools pin`: lines come into the file, and all else in it stays."""

import difflib
import json
import re
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gemmagraph.assistant import load_assistant
from gemmagraph.cli import main
from gemmagraph.tools.declared.loading import load_document
from gemmagraph.tools.imports.openapi_document import digest

TIME = str(Path(sys.executable).with_name("mcp-server-time"))
"""A published MCP server."""
KIT = '''
def look(at: str) -> str:
    """Looks."""
    return at

def Shout(text: str) -> str:
    """Shouts."""
    return text.upper()

class Inner:
    @staticmethod
    def whisper(text: str) -> str:
        """Whispers."""
        return text.lower()
'''
FALLBACK = "Write it there yourself:\ntools:\n  - name: look\n"
PINNED = f"sha256:{'0' * 64}"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kit.py").write_text(KIT)
    operations = {
        "get": {"operationId": "getPet", "summary": "Look at a pet.", "responses": {"200": {"description": "It."}}},
        "post": {"operationId": "addPet", "responses": {"200": {"description": "It."}}},
    }
    document = {
        "openapi": "3.1.0",
        "info": {"title": "Shop", "version": "1"},
        "servers": [{"url": "https://shop.example"}],
        "paths": {"/pet": operations},
    }
    (tmp_path / "shop.json").write_text(json.dumps(document))
    monkeypatch.chdir(tmp_path)


def tools(*args: str) -> Result:
    return CliRunner().invoke(main, ["tools", *args])


def written(text: str) -> Path:
    file = Path("assistant.yaml")
    file.write_bytes(text.encode())
    return file


def new_lines(before: str, after: str) -> list[str]:
    """What has come in; nothing may have gone."""
    changes = [*difflib.ndiff(before.splitlines(), after.splitlines())]
    assert not [line for line in changes if line.startswith("- ")]
    return [line[2:] for line in changes if line.startswith("+ ")]


LIST = """\
# a comment
tools:  # another
  - name: first
    python: kit:look  # a third

  # of the second
  - name: second
    description: >
      Folded, and
      on two lines
    shell: [ls, "# no comment"]
  # of nothing

policy: []
"""


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ("model: builtin", ["", "tools:", "  - name: look", "    python: ./kit.py:look"]),
        ("# nothing yet\nmodel: builtin\n", ["", "tools:", "  - name: look", "    python: ./kit.py:look"]),
        (LIST, ["", "  - name: look", "    python: ./kit.py:look"]),
        ("tools:\n- name: ls\n  description: |\n    Lists.\n\n    - all\n  shell: [ls]\nmodel: builtin\n", None),
        ("tools:\n- name: ls\n  description: Lists.\n  shell:\n  - ls\n# end", None),
        ("tools:\n      - {name: a, python: kit:look}\n      - {name: b, python: kit:look}\n", None),
        ("model: builtin\r\ntools:\r\n- {name: a, python: kit:look}\r\n", None),
    ],
    ids=["no line end", "no tools", "comments", "indentless", "no end", "deep", "windows"],
)
def test_an_entry_comes_behind_the_last_one(before: str, expected: list[str] | None) -> None:
    file = written(before)
    done = tools("add", "python", "kit.py:look")
    assert done.exit_code == 0, done.output
    after = file.read_bytes().decode()
    lines = new_lines(before, after)
    assert [line.strip() for line in lines if line.strip() != "tools:"][-2:] == [
        "- name: look",
        "python: ./kit.py:look",
    ]
    if expected is not None:
        assert lines == expected
    assert after.count("\r\n") in (0, after.count("\n"))
    entry = load_assistant().entries[-1]
    assert (entry.name, entry.make().name) == ("look", "look")
    assert done.stdout == f"Added at {entry.place}:\n  look(at: string)\n    Looks.\n"


def test_an_empty_list_can_be_added_to() -> None:
    file = written("model: builtin\ntools: [ ]  # none yet\npolicy: []\n")
    assert tools("add", "python", "kit.py:look").exit_code == 0
    added = "tools:  # none yet\n  - name: look\n    python: ./kit.py:look\n"
    assert file.read_text() == f"model: builtin\n{added}policy: []\n"


def test_a_link_stays_a_link_and_rights_stay(tmp_path: Path) -> None:
    real = tmp_path / "real.yaml"
    real.write_text("model: builtin\n")
    real.chmod(0o640)
    Path("assistant.yaml").symlink_to(real)
    assert tools("add", "python", "kit.py:look").exit_code == 0
    assert Path("assistant.yaml").is_symlink()
    assert (real.stat().st_mode & 0o777, "look" in real.read_text()) == (0o640, True)


def test_paths_are_written_as_the_file_needs_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "in it"
    folder.mkdir()
    (folder / "own.yaml").write_text("model: builtin\n")
    done = tools("add", "python", "kit.py:Shout", "kit.py:Inner.whisper", "-f", "in it/own.yaml")
    assert done.exit_code == 0, done.output
    entries = load_assistant(folder / "own.yaml").entries
    assert [(entry.name, entry.make().kind) for entry in entries] == [("shout", "python"), ("whisper", "python")]
    assert "python: ../kit.py:Inner.whisper" in (folder / "own.yaml").read_text()


@pytest.mark.parametrize(
    ("before", "args", "says"),
    [
        (
            "tools: [{name: a, python: kit:look}]\n",
            ["kit.py:look"],
            FALLBACK,
        ),
        ("{model: builtin}\n", ["kit.py:look"], FALLBACK),
        (
            "tools:\n- {name: look, python: kit:look}\n",
            ["kit.py:look"],
            "assistant.yaml stays as it was: it has such a",
        ),
        ("model: builtin\n", ["kit.py:nothing"], "./kit.py has no 'nothing'."),
        ("model: builtin\n", ["kitt.py:look"], "There is no file 'kitt.py'."),
        ("model: builtin\n", ["kit.py"], "'kit.py' names no function."),
    ],
)
def test_what_cannot_be_added_leaves_the_file_alone(before: str, args: list[str], says: str) -> None:
    file = written(before)
    done = tools("add", "python", *args)
    assert done.exit_code == 1
    assert says in done.stderr
    assert file.read_text() == before
    assert sorted(path.name for path in Path().iterdir() if path.is_file()) == [
        "assistant.yaml",
        "kit.py",
        "shop.json",
    ]


def test_what_has_the_name_of_an_imported_tool_is_not_added() -> None:
    file = written("model: builtin\n")
    assert tools("add", "openapi", "shop.json", "getPet").exit_code == 0
    before = file.read_text()
    again = tools("add", "openapi", "shop.json", "addPet", "getPet", "--base-url", "http://127.0.0.1:1")
    assert again.exit_code == 1
    assert "it has such a tool already: 'getPet', from assistant.yaml:4." in again.stderr
    assert file.read_text() == before


@pytest.mark.skipif(not Path(TIME).exists(), reason="mcp-server-time is not installed")
def test_a_server_that_is_there_with_other_options_is_not_added_again() -> None:
    file = written("model: builtin\n")
    assert tools("add", "mcp", "--only", "get_*", TIME).exit_code == 0
    before = file.read_text()
    Path("now.py").write_text('def get_current_time() -> str:\n    """Now."""\n    return ""\n')
    for again in (("mcp", TIME, "--local-timezone", "UTC"), ("python", "now.py:get_current_time")):
        done = tools("add", *again)
        assert done.exit_code == 1
        assert "it has such a tool already: 'get_current_time', from assistant.yaml:4." in done.stderr
        assert file.read_text() == before


def test_operations_are_added_by_id_or_by_method_and_path() -> None:
    file = written("model: builtin\n")
    done = tools("add", "openapi", "shop.json", "getPet", "post /pet", "--base-url", "http://127.0.0.1:1/v1")
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines() == [
        "Added at assistant.yaml:4:",
        "  getPet()",
        "    Look at a pet.",
        "  addPet()   [asks a person]",
        "    POST /pet",
    ]
    assert new_lines("model: builtin\n", file.read_text()) == [
        "",
        "imports:",
        "  - openapi: ./shop.json",
        "    include: [{operationId: getPet}, {method: POST, path: /pet}]",
        "    base_url: http://127.0.0.1:1/v1",
    ]
    wrong = tools("add", "openapi", "shop.json", "getPat")
    assert (wrong.exit_code, "Did you mean 'getPet'?" in wrong.stderr) == (1, True)


@pytest.mark.skipif(not Path(TIME).exists(), reason="mcp-server-time is not installed")
def test_an_mcp_server_is_added_with_the_pin_of_what_it_offers() -> None:
    file = written("model: builtin\n")
    done = tools("add", "mcp", "--only", "get_*", TIME, "--local-timezone", "UTC")
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines() == [
        "Added at assistant.yaml:4:",
        "  get_current_time(timezone: string)   [asks a person]",
        "    Get current time in a specific timezone",
    ]
    *_, server, only, pin = file.read_text().splitlines()
    assert server == f"  - mcp: {{command: {TIME}, args: [--local-timezone, UTC]}}"
    assert only == '    include: ["get_*"]'
    assert re.fullmatch(r"    pin: sha256:[0-9a-f]{64}", pin)
    assert "get_current_time(" in tools("show").stdout

    changed = file.read_text().replace(pin.strip(), f"pin: '{PINNED}' # by hand")
    file.write_text(changed)
    assert tools("list").exit_code == 0
    shown = tools("show")
    assert "get_current_time(" not in shown.stdout
    assert "pinned" in shown.output
    looked = tools("pin", "--dry-run").stdout.splitlines()
    assert looked[0].endswith(": changed, not pinned")
    assert looked[1:] == done.stdout.splitlines()[1:]
    assert file.read_text() == changed
    assert tools("pin").stdout.splitlines()[0].endswith(": changed, pinned in assistant.yaml")
    assert file.read_text() == changed.replace(f"'{PINNED}'", pin.strip().removeprefix("pin: "))
    assert tools("pin").stdout.splitlines() == [f"{TIME} --local-timezone UTC: as it was pinned"]


@pytest.mark.parametrize(
    ("before", "line"),
    [
        ("imports:\n  - openapi: ./shop.json\n    include:\n    - tag: x\n    pin: PIN\nmodel: builtin\n", 4),
        ("imports:\n- include: [{tag: x}]\n  pin: \"PIN\"  # kept\n  openapi: ./shop.json\n", 2),
        ("imports: [{openapi: ./shop.json, pin: PIN, include: [{tag: x}]}]\n", 0),
    ],
)  # fmt: skip
def test_the_pin_of_a_document_is_brought_up_to_date(before: str, line: int) -> None:
    file = written(before.replace("PIN", PINNED))
    now = digest(Path("shop.json").read_bytes())
    done = tools("pin")
    assert (done.exit_code, done.stdout) == (0, "./shop.json: changed, pinned in assistant.yaml\n"), done.output
    assert now in file.read_text().splitlines()[line]
    assert file.read_text() == before.replace('"PIN"', "PIN").replace("PIN", now)
    assert tools("pin").stdout == "./shop.json: as it was pinned\n"


@pytest.mark.skipif(not Path(TIME).exists(), reason="mcp-server-time is not installed")
@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(
            "- mcp: {{command: {0}}}\n  # of the next\n- openapi: ./shop.json\n  include: [{{tag: x}}]\n",
            id="flow inside",
            marks=pytest.mark.long,
        ),
        pytest.param("- mcp:\n    command: {0}\n    env:\n      A: |\n        # x\n\n", id="block"),
        pytest.param("- {{mcp: {{command: {0}}}}}\n", id="flow", marks=pytest.mark.long),
    ],
)
def test_a_pin_is_put_into_the_file_that_imports(entry: str) -> None:
    file = written("include: [./more.yaml]\n")
    Path("more.yaml").write_text("# mine\nimports:\n" + entry.format(TIME))
    before = load_document(file).values["imports"]
    done = tools("pin")
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[0] == f"{TIME}: new, pinned in more.yaml"
    after = load_document(file).values["imports"]
    pin = after[0].pop("pin")
    assert after == before
    assert Path("more.yaml").read_text().count(pin) == 1
    assert Path("more.yaml").read_text().replace(f"pin: {pin}, ", "").replace(f"\n  pin: {pin}", "") == (
        "# mine\nimports:\n" + entry.format(TIME)
    )


def test_what_cannot_be_pinned_is_said_and_the_rest_is_done() -> None:
    written(
        "imports:\n"
        "  - mcp: {command: no-such-program-anywhere}\n"
        f"  - {{openapi: ./shop.json, include: [{{tag: x}}], pin: {PINNED}}}\n"
        "  - {openapi: ./shop.json, include: [{tag: x}]}\n"
        "  - mcp: {url: '{{ settings.url }}'}\n"
        "settings: {url: {env: URL_THAT_IS_NOT_SET}}\n"
    )
    done = tools("pin")
    assert done.exit_code == 1
    first, *others = done.stdout.splitlines()
    assert first.startswith("no-such-program-anywhere: not pinned: ")
    assert others == [
        "./shop.json: changed, pinned in assistant.yaml",
        "./shop.json: a file of yours, needs no pin",
        "{{ settings.url }}: not pinned: the variable URL_THAT_IS_NOT_SET is not set",
    ]
