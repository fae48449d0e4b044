"""The house rules that a machine can hold: who imports whom, by which door libraries enter, how long things are."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Literal

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = {"agent": "gemmagraph", "tools": "gemmagraph.tools", "prompts": "gemmagraph.prompts"}

ORDER = """
    prompts/errors  prompts/messages  prompts/tokens  prompts/defuse  prompts/turns  prompts/checking/formats
    prompts/checking/number  prompts/checking/parameters  prompts/checking/verdict  prompts/checking/quickcheck
    prompts/checking/complaint  prompts/checking/coerce  prompts/checking/example  prompts/checking/faults
    prompts/checking/arguments  prompts/checking/schemas  prompts/toolset  prompts/reading/escapes
    prompts/reading/scan  prompts/reading/spelling  prompts/reading/doubt  prompts/notation  prompts/reading/echoes
    prompts/reading/literals  prompts/reading/progress  prompts/reading/plain  prompts/reading/stretch
    prompts/reading/quoting  prompts/reading/outcomes  prompts/reading/bodies  prompts/reading/behind
    prompts/reading/made_up  prompts/reading/blocks  prompts/reading/thoughts  prompts/reading/said
    prompts/reading/quotes  prompts/native/marks  prompts/native/bare  prompts/native/frames  prompts/native/texts
    prompts/native/arguments  prompts/native/block  prompts/notations/tags  prompts/notations/prompted
    prompts/notations/wording  prompts/notations/writing  prompts/notations/function_call  prompts/notations/json_call
    prompts/notations/stubs  prompts/notations/tool_code  prompts/notations/pythonic  prompts/native/reader
    prompts/native/schema  prompts/native/writing  prompts/native/declaration  prompts/native/notations
    prompts/grammar/gbnf  prompts/grammar/texts  prompts/grammar/numbers  prompts/grammar/merging
    prompts/grammar/values  prompts/grammar/calls  prompts/grammar/reply  prompts/catalog  prompts/prompt

    tools/errors  tools/context  tools/fields  tools/secrets  tools/ruling  tools/runtime  tools/results
    tools/declared/units  tools/bodies/base  tools/shaping/spill  tools/shaping/texts  tools/shaping/shape
    tools/facts  tools/docstrings  tools/defaults  tools/hints  tools/signature  tools/attempts  tools/failures
    tools/cache  tools/tool  tools/langchain  tools/forms  tools/sources  tools/files  tools/shaping/spill_reader
    tools/selection/meanings  tools/selection/words  tools/selection/machines  tools/selection/office
    tools/selection/trade  tools/selection/everyday  tools/selection/tongues  tools/selection/hints
    tools/selection/reading  tools/selection/ranking  tools/guards/addresses  tools/guards/targets  tools/guards/hosts
    tools/guards/answers  tools/guards/transport  tools/guards/launcher  tools/guards/sandbox  tools/guards/processes
    tools/guards/paths  tools/guards/databases_statement  tools/guards/databases_binds  tools/guards/databases_rows
    tools/guards/databases_running  tools/guards/databases_failures  tools/guards/databases_address
    tools/guards/databases_sqlite  tools/guards/databases_postgres  tools/guards/databases  tools/bodies/http_answers
    tools/bodies/http_connection  tools/bodies/http_request  tools/bodies/http  tools/bodies/shell
    tools/bodies/sql_binds  tools/bodies/sql  tools/declaring  tools/declared/nodes  tools/declared/scalars
    tools/declared/source  tools/declared/problems  tools/declared/settings  tools/declared/forms
    tools/declared/structures  tools/declared/vocabulary  tools/declared/connections  tools/declared/bodies
    tools/declared/tools  tools/declared/imports  tools/declared/people  tools/declared/bots  tools/declared/format
    tools/declared/document  tools/declared/parameters  tools/declared/checks_values  tools/declared/checks_tools
    tools/declared/checks_people  tools/declared/checks  tools/declared/loading  tools/declared/reference
    tools/declared/needs  tools/declared/making  tools/imports/foreign  tools/imports/patterns  tools/imports/texts
    tools/imports/schemas  tools/imports/openapi_yaml  tools/imports/openapi_document  tools/imports/openapi_texts
    tools/imports/openapi_schemas  tools/imports/openapi_styles  tools/imports/openapi_request
    tools/imports/openapi_contents  tools/imports/openapi_arguments  tools/imports/openapi_servers
    tools/imports/openapi_operations  tools/imports/openapi_body  tools/imports/openapi  tools/imports/mcp_definitions
    tools/imports/mcp_results  tools/imports/mcp_failures  tools/imports/mcp_streams  tools/imports/mcp_process
    tools/imports/mcp_http  tools/imports/mcp_session  tools/imports/mcp_targets  tools/imports/mcp
    tools/imports/importing

    agent/errors  agent/ids  agent/limits  agent/approvals  agent/events  agent/threads  agent/store/address
    agent/progress  agent/store/session  agent/store/owners  agent/store/rows  agent/store/workers
    agent/store/serialising  agent/store/latest  agent/store/held  agent/store/tables  agent/store/sqlite
    agent/store/postgres  agent/store/saver  agent/store/waiting  agent/store/turns  agent/journal  agent/store/inputs
    agent/store/questions  agent/store/spending  agent/store/store  agent/asked  agent/backends/base
    agent/backends/recorded/cassettes  agent/backends/recorded/likeness  agent/backends/recorded/recording
    agent/backends/network/again  agent/backends/network/closing  agent/backends/network/lines
    agent/backends/network/sse  agent/backends/network/queue  agent/backends/network/coming
    agent/backends/network/wire  agent/backends/network/failures  agent/backends/network/http  agent/backends/words
    agent/backends/ollama/words  agent/backends/ollama/pull  agent/backends/ollama/models  agent/backends/ollama/tools
    agent/backends/ollama/request  agent/backends/ollama/reply  agent/backends/ollama/backend
    agent/backends/openai/kinds  agent/backends/openai/words  agent/backends/openai/probe
    agent/backends/openai/messages  agent/backends/openai/request  agent/backends/openai/count
    agent/backends/openai/calls  agent/backends/openai/reply  agent/backends/openai/backend
    agent/backends/gemini/words  agent/backends/gemini/request  agent/backends/gemini/client
    agent/backends/gemini/reply  agent/backends/gemini/backend  agent/backends/gguf/file  agent/backends/engine_thread
    agent/backends/gguf/count  agent/backends/gguf/engine  agent/backends/gguf/backend
    agent/backends/transformers/folder  agent/backends/transformers/options  agent/backends/transformers/words
    agent/backends/transformers/hub  agent/backends/transformers/memory  agent/backends/transformers/loading
    agent/backends/transformers/engine  agent/backends/transformers/backend  agent/backends/matcher/english
    agent/backends/matcher/mentions  agent/backends/matcher/params  agent/backends/matcher/naming
    agent/backends/matcher/filling  agent/backends/matcher/matching  agent/backends/builtin  agent/backends/scripted
    agent/server_calls  agent/reading  agent/transports  agent/toolchoice  agent/tokens  agent/ledger  agent/budget
    agent/masking  agent/model  agent/chat_telling  agent/fallback  agent/policy  agent/pictures  agent/convert
    agent/output  agent/offering  agent/run  agent/given  agent/enclosing  agent/allowances  agent/forking
    agent/choice  agent/state  agent/judging  agent/calls  agent/lean  agent/naming  agent/callbacks  agent/recounting
    agent/uncounted  agent/nodes  agent/graph  agent/stepping  agent/remembered  agent/handing  agent/finishing
    agent/durable  agent/deciding  agent/stored_thread
    agent/running  agent/threaded  agent/subagents  agent/assistant  agent/agent  agent/patience  agent/openai_forms
    agent/chat_forms  agent/chat_kept  agent/chat

    agent/bots/errors  agent/bots/bodies  agent/bots/text  agent/bots/base  agent/bots/keeping
    agent/bots/slack/text  agent/bots/slack/events  agent/bots/slack/missed  agent/bots/slack/socket
    agent/bots/slack/api  agent/bots/slack/adapter
    agent/bots/telegram/text  agent/bots/telegram/api  agent/bots/telegram/adapter  agent/bots/discord/text
    agent/bots/discord/cursor  agent/bots/discord/client  agent/bots/discord/events  agent/bots/discord/listening
    agent/bots/discord/adapter  agent/bots/mattermost/text  agent/bots/mattermost/rest  agent/bots/mattermost/posts
    agent/bots/mattermost/adapter  agent/bots/irc/lines  agent/bots/irc/text  agent/bots/irc/link
    agent/bots/irc/people  agent/bots/irc/signon  agent/bots/irc/session  agent/bots/irc/adapter
    agent/bots/matrix/text  agent/bots/matrix/events  agent/bots/matrix/server  agent/bots/matrix/adapter
    agent/bots/inbox  agent/bots/outbox  agent/bots/audit  agent/bots/lease  agent/bots/line  agent/bots/rooms
    agent/bots/declared  agent/bots/explaining  agent/bots/files  agent/bots/wording  agent/bots/answer
    agent/bots/decisions  agent/bots/commands  agent/bots/conversation  agent/bots/bot  agent/bots/serving
    agent/bots/logs

    agent/cli/options  agent/cli/terminal  agent/bots/terminal/text  agent/bots/terminal/shown
    agent/bots/terminal/keys  agent/bots/terminal/notes  agent/bots/terminal/screen  agent/bots/terminal/input
    agent/bots/terminal/adapter  agent/cli/openai_json  agent/cli/assistants  agent/cli/keeping  agent/cli/toolfiles
    agent/cli/approving  agent/cli/waiting  agent/cli/display  agent/cli/parse  agent/cli/render  agent/cli/session
    agent/cli/once  agent/cli/chat  agent/cli/talk  agent/cli/threadshow  agent/cli/threads  agent/cli/approvalshow
    agent/cli/settling  agent/cli/approvals  agent/cli/texts  agent/cli/costs  agent/cli/listing  agent/cli/toolshow
    agent/cli/trying  agent/cli/tooldocs  agent/cli/editing  agent/cli/adding  agent/cli/pinning  agent/cli/tools
    agent/cli/checking  agent/cli/starter_ops  agent/cli/starting  agent/cli/declared  agent/cli/published
    agent/cli/seen  agent/cli/pull  agent/cli/models  agent/cli/doctor  agent/cli/servers  agent/cli/bots
    agent/cli/app  agent/asking  agent/conformance  agent/pytest_plugin  agent/__main__
""".split()  # noqa: SIM905
"""Every module but the `__init__`s, which only gather names. Each imports only from those before it."""

AGAINST_THE_ORDER = {
    ("agent/bots/commands", "agent/bots/bot"): "whose commands they are; for type checkers only",
    ("agent/bots/conversation", "agent/bots/bot"): "whose conversation it is; for type checkers only",
    ("agent/errors", "agent/approvals"): "what a thread waits for; for type checkers only",
    ("agent/subagents", "agent/agent"): "an agent among the tools of another; for type checkers only",
    ("agent/events", "agent/run"): "the last event holds the result; for type checkers only",
    ("tools/tool", "tools/langchain"): "Tool.as_langchain, when it is called",
    ("agent/cli/app", "agent/__init__"): "the version",
}

DOORS = {
    "langgraph": "agent/state agent/nodes agent/lean agent/graph agent/stepping agent/finishing agent/stored_thread"
    " agent/store/*",
    "langchain_core": "agent/chat agent/chat_forms agent/convert agent/state agent/nodes agent/judging agent/calls"
    " agent/lean agent/callbacks agent/recounting agent/finishing agent/durable agent/store/* tools/langchain",
    "pydantic": "agent/chat tools/forms tools/hints tools/imports/mcp_session tools/langchain tools/sources",
    "jsonschema": "prompts/*",
    "httpx": "agent/backends/* tools/guards/answers tools/guards/transport tools/bodies/http*"
    " tools/imports/openapi_document tools/imports/mcp_http agent/bots/telegram/api agent/bots/mattermost/rest",
    "h11": "agent/backends/network/wire",
    "httpcore": "tools/guards/answers tools/guards/transport",
    "yaml": "tools/declared/source tools/imports/openapi_yaml",
    "referencing": "tools/imports/openapi_document",
    "mcp": "tools/imports/mcp*",
    "mcp_types": "tools/imports/mcp*",
    "anyio": "tools/imports/mcp*",
    "httpx2": "tools/imports/mcp_http",
    "jmespath": "tools/shaping/shape",
    "psycopg": "agent/store/postgres tools/guards/databases_postgres",
    "sqlalchemy": "tools/guards/databases* tools/bodies/sql*",
    "ollama": "agent/backends/ollama/*",
    "click": "agent/cli/*",
    "rich": "agent/cli/*",
    "pytest": "agent/asking agent/pytest_plugin",
    "typing_extensions": "agent/state",
    "xllamacpp": "agent/backends/gguf/engine",
    "torch": "agent/backends/transformers/loading agent/backends/transformers/engine",
    "transformers": "agent/backends/transformers/*",
    "tokenizers": "agent/backends/transformers/loading",
    "huggingface_hub": "agent/backends/transformers/hub",
    "google": "agent/backends/gemini/client",
    "slack_sdk": "agent/bots/slack/*",
    "aiohttp": "agent/bots/slack/* agent/bots/discord/* agent/bots/matrix/*",
    "telegram": "agent/bots/telegram/api",
    "discord": "agent/bots/discord/*",
    "nio": "agent/bots/matrix/*",
    "websockets": "agent/bots/mattermost/*",
}
"""Where a third-party library may be imported; for type checkers only, it may be anywhere."""

MOST_LINES = 400
MOST_LINES_OF_A_FUNCTION = 60


@dataclass(frozen=True)
class Import:
    module: str
    """In full: `gemmagraph.tools.tool`."""
    line: int
    when: Literal["at once", "later", "for types"]


@cache
def files() -> dict[str, Path]:
    """The modules of the rooms, such as `agent/model`."""
    found = (file for room in ROOMS for file in (ROOT / room).rglob("*.py"))
    return {file.relative_to(ROOT).with_suffix("").as_posix(): file for file in sorted(found)}


def full_name(module: str) -> str:
    """`agent/model` as it is imported: `gemmagraph.model`."""
    room, *rest = module.removesuffix("/__init__").split("/")
    return ".".join((ROOMS[room], *rest))


@cache
def module_of(name: str) -> str:
    """`gemmagraph.model` as it lies here: `agent/model`; empty if there is no such module."""
    return next((module for module in files() if full_name(module) == name), "")


@cache
def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text("utf-8"), str(file))


def imports(file: Path) -> Iterator[Import]:
    yield from _imports(parsed(file), "at once")


def _imports(node: ast.AST, when: Literal["at once", "later", "for types"]) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(name.name, child.lineno, when) for name in child.names)
        elif isinstance(child, ast.ImportFrom):
            origin = "." * child.level + (child.module or "")
            names = {f"{origin}.{name.name}" for name in child.names}
            modules = {name if module_of(name) else origin for name in names}
            yield from (Import(module, child.lineno, when) for module in sorted(modules))
        elif isinstance(child, ast.expr):
            continue  # where no import can stand
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _imports(child, "later" if when == "at once" else when)
        elif isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            yield from _imports(ast.Module(child.body, []), "for types")
            yield from _imports(ast.Module(child.orelse, []), when)
        else:
            yield from _imports(child, when)


def none(wrong: list[str]) -> None:
    assert not wrong, "\n" + "\n".join(wrong)


def test_every_module_has_its_place_in_the_order() -> None:
    there = [module for module in files() if not module.endswith("/__init__")]
    none(
        [f"{module}.py is not in ORDER" for module in there if module not in ORDER]
        + [f"{module} is in ORDER, but there is no such file" for module in ORDER if module not in there]
        + [f"{module} is in ORDER twice" for module in set(ORDER) if ORDER.count(module) > 1]
    )


def test_a_module_imports_only_from_those_before_it() -> None:
    def place(module: str) -> int:
        """Of a package: behind all that is in it."""
        if not module.endswith("/__init__"):
            return ORDER.index(module) if module in ORDER else -1
        inside = module.removesuffix("__init__")
        return max((ORDER.index(other) for other in ORDER if other.startswith(inside)), default=-1)

    needed = set()
    wrong = []
    for module, file in files().items():
        for found in imports(file) if module in ORDER else ():
            other = module_of(found.module)
            if not other or place(other) < place(module):
                continue
            needed.add((module, other))
            if (module, other) not in AGAINST_THE_ORDER:
                wrong.append(f"{module}.py:{found.line} imports {found.module}, which comes after it")
    none(wrong + [f"{pair} need no exception any more" for pair in AGAINST_THE_ORDER.keys() - needed])


def test_rooms_import_only_what_lies_below_them() -> None:
    """Also what only gathers names: a room's `__init__`."""
    allowed = {"prompts": "prompts/*", "tools": "tools/* prompts/*", "agent": "*"}
    none(
        [
            f"{module}.py:{found.line} imports {found.module}, from a room above"
            for module, file in files().items()
            for found in imports(file)
            if found.module.split(".")[0] == "gemmagraph"
            and not matches(module_of(found.module), allowed[module.split("/")[0]])
        ]
    )


def test_the_package_is_always_imported_by_its_full_name() -> None:
    """`import agent` from the root of the repository would make a second copy of every class."""
    folders = (*ROOMS, "tests", "examples", "benchmarks")
    written = [file for folder in folders for file in (ROOT / folder).rglob("*.py") if ".venv" not in file.parts]
    none(
        [
            f"{file.relative_to(ROOT)}:{found.line} imports {found.module}"
            for file in written
            for found in imports(file)
            if found.module.split(".")[0] in ROOMS or (found.module.startswith(".") and file in files().values())
        ]
    )


def test_libraries_enter_by_their_doors() -> None:
    ours = {"", "gemmagraph", *sys.stdlib_module_names}  # "": a relative import, refused elsewhere
    wrong = []
    for module, file in files().items():
        for found in imports(file):
            library = found.module.split(".")[0]
            if library in ours or found.when == "for types":
                continue
            if library not in DOORS:
                wrong.append(f"{module}.py:{found.line} imports {library}, which has no door")
            elif not matches(module, DOORS[library]):
                wrong.append(f"{module}.py:{found.line} imports {library}, which enters by {DOORS[library]}")
    none(wrong)


def test_every_library_with_a_door_is_a_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = [line for extra, lines in project["optional-dependencies"].items() if extra != "dev" for line in lines]
    declared = {re.split(r"[^\w.-]", line, maxsplit=1)[0] for line in [*project["dependencies"], *extras]}
    there_already = {"pytest"}  # it loads its plugin itself
    named = {
        "google": "google-genai",
        "yaml": "PyYAML",
        "sqlalchemy": "SQLAlchemy",
        "discord": "discord.py",
        "nio": "matrix-nio",
        "telegram": "python-telegram-bot",
    }
    needed = {named.get(library, library.replace("_", "-")) for library in DOORS.keys() - there_already}
    none([f"{library} is no dependency" for library in sorted(needed - declared)])


def matches(module: str, patterns: str) -> bool:
    return any(fnmatch(module, pattern) for pattern in patterns.split())


def test_files_and_functions_stay_short() -> None:
    wrong = []
    for module, file in files().items():
        lines = len(file.read_text("utf-8").splitlines())
        if lines > MOST_LINES:
            wrong.append(f"{module}.py has {lines} lines, more than {MOST_LINES}")
        for node in ast.walk(parsed(file)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > MOST_LINES_OF_A_FUNCTION:
                    wrong.append(f"{module}.py:{node.lineno} {node.name} has {length} lines")
    none(wrong)


def test_no_file_shadows_a_room_or_says_nothing() -> None:
    everything = [path.relative_to(ROOT).as_posix() for room in ROOMS for path in (ROOT / room).rglob("*")]
    none(
        [f"{path}: name it by what it does" for path in everything if Path(path).stem.strip("_") == "utils"]
        + [f"{path} shadows a room" for path in everything if matches(path, "agent/tools* agent/prompts*")]
        + [f"{path}: tests are no package" for path in (ROOT / "tests").rglob("__init__.py")]
    )


def test_every_folder_of_the_rooms_is_in_the_distribution() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    folders = {file.parent.relative_to(ROOT).as_posix() for file in files().values()}
    assert sorted(settings["packages"]) == sorted(full_name(f"{folder}/__init__") for folder in folders)
    none([f"{folder} has no __init__.py" for folder in sorted(folders) if f"{folder}/__init__" not in files()])
    assert settings["package-dir"] == {name: room for room, name in ROOMS.items()}


@pytest.mark.parametrize("room", ["tools", "prompts", "agent/backends"])
def test_all_names_of_a_room_are_promised(room: str) -> None:
    package = parsed(files()[f"{room}/__init__"])
    gathered = {
        name.asname or name.name
        for node in package.body
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(full_name(f"{room}/__init__"))
        for name in node.names
    }
    made = {
        node.name
        for node in package.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
    }
    promised = import_module(full_name(f"{room}/__init__")).__all__
    assert gathered, f"{room}/__init__.py gathers no names"
    assert promised == sorted(promised)
    assert gathered | made <= set(promised)


def test_names_of_the_package_are_the_same_for_type_checkers_and_at_run_time() -> None:
    import gemmagraph

    typed = {
        name.asname or name.name: node.module
        for branch in parsed(files()["agent/__init__"]).body
        if isinstance(branch, ast.If)
        for node in branch.body
        if isinstance(node, ast.ImportFrom)
        for name in node.names
    }
    assert typed == {name: f"gemmagraph.{home}" for name, home in gemmagraph._HOMES.items()}
    assert gemmagraph.__all__ == sorted(gemmagraph.__all__)
    assert set(gemmagraph.__all__) == {*typed, "__version__"} <= set(dir(gemmagraph))
    none([f"{name} cannot be loaded" for name in gemmagraph.__all__ if not hasattr(gemmagraph, name)])
    with pytest.raises(AttributeError, match="no_such_name"):
        gemmagraph.no_such_name  # noqa: B018


COMMAND_LINE = "from gemmagraph.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass"
PROMPTS = "; ".join(f"import {full_name(module)}" for module in ORDER if module.startswith("prompts/"))


@pytest.mark.parametrize(
    ("code", "may_load"),
    [
        ("import gemmagraph", set()),
        ("import gemmagraph.tools", set()),
        (PROMPTS, set()),
        (COMMAND_LINE, {"click", "rich"}),
    ],
    ids=["gemmagraph", "gemmagraph.tools", "all of gemmagraph.prompts", "gemmagraph --help"],
)
def test_import_loads_no_third_party_package(code: str, may_load: set[str]) -> None:
    # What the interpreter's own start has loaded (an editable install's finder, say) is not ours.
    script = f"""
import sys
before = set(sys.modules)
{code}
loaded = set(sys.modules) - before
import json
print()
print(json.dumps([*loaded]))
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    loaded = {name.split(".")[0] for name in json.loads(ran.stdout.splitlines()[-1])}
    assert loaded - sys.stdlib_module_names - {"gemmagraph"} <= may_load


def test_everyday_tests_are_the_same_lines_in_make_and_in_ci() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8").splitlines()
    ci = (ROOT / ".ci" / "run").read_text("utf-8").splitlines()
    lines = [line.strip() for line in makefile if line.startswith("\t.venv/bin/") and "gemmagraph run" not in line]
    none([f".ci/run does not run {line!r}" for line in lines if not any(mine.endswith(line) for mine in ci)])
