"""The shell body, with real programs: what becomes of values, what is refused, what comes back."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from gemmagraph.prompts.messages import JSON
from gemmagraph.tools.bodies.base import Body, Rendered
from gemmagraph.tools.bodies.shell import MAX_ARGV, MAX_STDIN, ShellBody
from gemmagraph.tools.context import ToolContext
from gemmagraph.tools.declaring import shell_tool
from gemmagraph.tools.errors import BodyError, ToolDefinitionError, ToolError
from gemmagraph.tools.guards import sandbox
from gemmagraph.tools.guards.processes import ProcessLimits
from gemmagraph.tools.guards.sandbox import Sandbox
from gemmagraph.tools.secrets import Secret, SecretMissing, Secrets

pytestmark = pytest.mark.skipif(os.name != "posix", reason="no commands are run on Windows")

WAIT = 20.0
PYTHON = [sys.executable, "-I", "-S", "-c"]
ECHO = [*PYTHON, "import json, sys; print(json.dumps(sys.argv[1:]))"]


def render(body: ShellBody, args: Mapping[str, JSON] | None = None, **scope: Mapping[str, JSON]) -> Rendered:
    return body.render({"args": args or {}, "bind": {}, "context": {}, **scope})


def call(body: ShellBody, args: Mapping[str, JSON] | None = None, **scope: Mapping[str, JSON]) -> Any:
    async def bounded() -> object:
        async with asyncio.timeout(WAIT):
            return await body.perform(render(body, args, **scope), ToolContext())

    return asyncio.run(bounded())


def echoed(argv: list[str], args: Mapping[str, JSON]) -> list[str]:
    return cast(list[str], json.loads(call(ShellBody([*ECHO, *argv]), args)))


# --- what becomes of a value

PAYLOADS = [
    # for a shell
    "; touch pwned",
    "&& touch pwned",
    "| touch pwned",
    "|| touch pwned",
    "& touch pwned &",
    "$(touch pwned)",
    "`touch pwned`",
    "${IFS}touch${IFS}pwned",
    "\ntouch pwned\n",
    "\r\ntouch pwned",
    "> pwned",
    ">> pwned",
    "<(touch pwned)",
    "'; touch pwned; '",
    '"; touch pwned; "',
    "\\'; touch pwned #",
    "$'\\x3btouch pwned'",
    "!!",
    "*",
    "~root",
    "{a,b}",
    "$HOME",
    "%PATH%",
    # for whoever reads options
    "-rf",
    "--output=pwned",
    "-opwned",
    "-",
    "--",
    "--help",
    "-c touch pwned",
    "--upload-pack=touch pwned",
    "-oProxyCommand=touch pwned",
    "--checkpoint-action=exec=touch pwned",
    "-exec touch pwned ;",
    "--config=core.pager=touch pwned",
    # for whoever splits, formats or decodes
    "a b\tc",
    " --output=pwned",
    "%s%n%x",
    "{{ args.other }}",
    "{{ secrets.token }}",
    "\u2010\u2010output=pwned",
    "\uff0d\uff0doutput=pwned",
    "\x1b]0;pwned\x07",
    "é\u202e日本👩‍💻",
    "",
]
assert len(PAYLOADS) >= 40


@pytest.mark.parametrize("payload", PAYLOADS, ids=ascii)
def test_a_value_stays_in_its_argument(payload: str, tmp_path: Path) -> None:
    argv = ["--name={{ args.x }}", "{{ args.x }}:{{ args.x }}" if not payload.startswith("-") else "literal"]
    last = ["--", "{{ args.x }}", "{{ args.xs }}", "literal"]
    body = ShellBody([*ECHO, *argv, *last], cwd=str(tmp_path))
    arrived = json.loads(call(body, {"x": payload, "xs": [payload, payload]}))
    twice = f"{payload}:{payload}" if not payload.startswith("-") else "literal"
    assert arrived == [f"--name={payload}", twice, "--", payload, payload, payload, "literal"]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("payload", PAYLOADS, ids=ascii)
@pytest.mark.parametrize("element", ["{{ args.x }}", "{{ args.x }}{{ args.y }}", "{{ args.y }}{{ args.x }}", "list"])
def test_a_value_never_becomes_an_option(payload: str, element: str) -> None:
    body = ShellBody([*ECHO, "{{ args.xs }}" if element == "list" else element, "--"])
    args: dict[str, JSON] = {"x": payload, "y": "", "xs": ["a", payload]}
    if payload.startswith("-"):
        with pytest.raises(ToolError, match="must not begin with '-'"):
            render(body, args)
    else:
        arrived = json.loads(call(body, args))
        assert arrived == (["a", payload, "--"] if element == "list" else [payload, "--"])


@pytest.mark.parametrize("payload", ["-opwned", "--output=pwned", "--compress-program=touch"])
def test_a_real_program_takes_no_option_from_a_value(payload: str, tmp_path: Path) -> None:
    (tmp_path / "lines").write_text("b\na\n")
    with pytest.raises(ToolError, match="could be read as an option"):
        call(ShellBody(["sort", "{{ args.file }}"], cwd=str(tmp_path)), {"file": payload})
    with pytest.raises(BodyError, match="exit code 2"):
        call(ShellBody(["sort", "--", "{{ args.file }}"], cwd=str(tmp_path)), {"file": payload})
    assert call(ShellBody(["sort", "{{ args.file }}"], cwd=str(tmp_path)), {"file": "lines"}) == "a\nb\n"
    assert [found.name for found in tmp_path.iterdir()] == ["lines"]


@pytest.mark.parametrize("place", ["{{ args.x }}", "--name={{ args.x }}", "{{ args.xs }}"])
@pytest.mark.parametrize(("value", "said"), [("a\0b", "NUL"), ("a\ud800", "surrogate")])
def test_what_no_program_can_be_given_is_refused(place: str, value: str, said: str) -> None:
    with pytest.raises(ToolError, match=rf"xs? has .*{said}"):
        render(ShellBody([*ECHO, "--", place]), {"x": value, "xs": [value]})


def test_elements_without_their_value_are_left_out() -> None:
    argv = [
        "a",
        "--b={{ args.b }}",
        "{{ args.c }}",
        "--d={{ args.b }}{{ args.e }}",
        "{{ args.n }}",
        "{{ args.empty }}",
    ]
    assert echoed(argv, {"e": 1, "n": None, "empty": []}) == ["a"]
    assert echoed(argv, {"b": "x", "c": "y", "e": 1}) == ["a", "--b=x", "y", "--d=x1"]


def test_values_that_are_no_texts_are_written_as_json() -> None:
    argv = ["{{ args.n }}", "{{ args.t }}", "x={{ args.f }}", "{{ args.o }}", "--l={{ args.l }}", "{{ args.l }}"]
    args: dict[str, JSON] = {"n": 5, "t": True, "f": 0.5, "o": {"a": "é"}, "l": [1, "b", False]}
    assert echoed(argv, args) == ["5", "true", "x=0.5", '{"a":"é"}', '--l=[1,"b",false]', "1", "b", "false"]


@pytest.mark.parametrize("value", [-5, -0.5])
def test_a_negative_number_is_no_option_either(value: float) -> None:
    with pytest.raises(ToolError, match="must not begin with '-'"):
        render(ShellBody([*ECHO, "{{ args.n }}"]), {"n": value})
    assert echoed(["--", "{{ args.n }}"], {"n": value}) == ["--", str(value)]


@pytest.mark.parametrize("item", [None, [1], {"a": 1}])
def test_a_list_of_anything_else_is_refused(item: JSON) -> None:
    with pytest.raises(ToolError, match="xs must be a list of texts"):
        render(ShellBody([*ECHO, "{{ args.xs }}"]), {"xs": ["a", item]})


def test_too_much_is_refused_before_it_runs() -> None:
    body = ShellBody([*ECHO, "{{ args.x }}"], stdin="{{ args.y }}")
    with pytest.raises(ToolError, match="too long together"):
        render(body, {"x": "é" * (MAX_ARGV // 2)})
    with pytest.raises(ToolError, match="too long"):
        render(body, {"y": "é" * (MAX_STDIN // 2 + 1)})
    (arrived,) = echoed(["{{ args.x }}"], {"x": "x" * (MAX_ARGV - 1_000)})
    assert len(arrived) == MAX_ARGV - 1_000


# --- stdin, environment, secrets


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> Secrets:
    monkeypatch.setenv("SHELL_TEST_TOKEN", "shell-canary-7781")
    return Secrets({"token": Secret("token", env="SHELL_TEST_TOKEN"), "none": Secret("none", env="SHELL_TEST_NONE")})


def test_secrets_reach_a_program_and_are_shown_to_nobody(secrets: Secrets) -> None:
    body = ShellBody(
        [*PYTHON, "import os, sys; print(os.environ['TOKEN'] == os.environ['AGAIN'][1:], sys.stdin.read())"],
        stdin="{{ args.x }} and {{ secrets.token }}",
        env={"TOKEN": "{{ secrets.token }}", "AGAIN": "-{{ secrets.token }}"},
        secrets=secrets,
    )
    rendered = render(body, {"x": "this"})
    for seen in (rendered.shown, json.dumps(rendered.facts), repr(rendered), repr(rendered.live)):
        assert "canary" not in seen
    assert rendered.shown.endswith("\nwhich reads:\nthis and [secret token]")
    assert rendered.facts["env"] == {"TOKEN": "[secret token]", "AGAIN": "-[secret token]"}
    assert call(body, {"x": "this"}) == "True this and shell-canary-7781\n"


def test_a_secret_without_a_value_is_a_reason(secrets: Secrets) -> None:
    body = ShellBody(["true"], env={"TOKEN": "{{ secrets.none }}"}, secrets=secrets)
    assert body.unavailable() == "the variable SHELL_TEST_NONE is not set"
    with pytest.raises(SecretMissing):
        render(body)


def test_nothing_is_in_the_environment_that_is_not_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL_TEST_LEAK", "canary-0451")
    seen = call(
        ShellBody(["env"], env={"WHO": "{{ bind.who }}", "NOBODY": "{{ bind.nobody }}", "FIXED": "a b"}),
        bind={"who": "ann"},
    )
    lines = dict(line.split("=", 1) for line in seen.splitlines())
    assert {name: lines[name] for name in lines.keys() - {"PATH", "LANG", "HOME"}} == {"WHO": "ann", "FIXED": "a b"}


def test_stdin_is_empty_unless_said() -> None:
    assert call(ShellBody(["cat"])) == ""
    assert call(ShellBody(["cat"], stdin="{{ args.absent }}")) == ""
    assert call(ShellBody(["cat"], stdin="a{{ args.x }}"), {"x": "é\n"}) == "aé\n"


# --- what a person sees before


def test_what_will_happen_is_shown_and_told(tmp_path: Path) -> None:
    box = {"network": True, "write": [str(tmp_path)]}
    body = ShellBody(
        ["printf", "%s", "{{ args.x }}", "{{ context.user }}"], cwd=str(tmp_path), env={"A": "1"}, sandbox=box
    )
    rendered = render(body, {"x": "a b; c"}, context={"user": "ann"})
    assert rendered.shown == "printf %s 'a b; c' ann"
    program = cast(list[str], rendered.facts["argv"])[0]
    assert os.path.isabs(program)
    assert json.loads(json.dumps(rendered.facts)) == {
        "argv": [program, "%s", "a b; c", "ann"],
        "stdin": "",
        "env": {"A": "1"},
        "cwd": str(tmp_path),
        "sandbox": box,
    }


def test_it_is_a_body() -> None:
    body: Body = ShellBody(["true"])
    assert (body.kind, body.reads) == ("shell", False)
    asyncio.run(body.close())


# --- what comes back


@pytest.mark.parametrize(
    ("script", "given"),
    [
        ("echo out; echo err >&2", "out\n"),
        ("echo err >&2", "err\n"),
        ("echo; echo err >&2", "\nerr\n"),
        ("true", ""),
        ("printf 'a\\377b'", "a\ufffdb"),
        ("echo out; exit 1", "out\n"),
    ],
)
def test_the_result_is_what_it_writes(script: str, given: str) -> None:
    assert call(ShellBody(["sh", "-c", script], ok_exit_codes=[0, 1])) == given


def test_a_failure_has_its_exit_code_and_all_it_said() -> None:
    with pytest.raises(BodyError) as failed:
        call(ShellBody(["sh", "-c", "echo out; echo no such pod >&2; exit 3"]))
    assert str(failed.value) == "sh ended with exit code 3: no such pod"
    assert failed.value.kinds == ("exit_3", "exit")
    assert failed.value.scope == {"response": {"exit_code": 3, "stdout": "out\n", "stderr": "no such pod\n"}}
    assert not failed.value.transient
    assert not failed.value.unknown


def test_no_error_output_leaves_the_other_one() -> None:
    with pytest.raises(BodyError, match=r"^sh ended with exit code 1: out$"):
        call(ShellBody(["sh", "-c", "echo out; exit 1"]))
    with pytest.raises(BodyError, match=r"^false ended with exit code 1\.$"):
        call(ShellBody(["false"]))
    with pytest.raises(BodyError, match=r"^true ended with exit code 0\.$"):
        call(ShellBody(["true"], ok_exit_codes=[1]))


def test_a_long_error_is_cut() -> None:
    with pytest.raises(BodyError) as failed:
        call(ShellBody(["sh", "-c", "head -c 100000 /dev/zero | tr '\\0' x >&2; echo end >&2; exit 1"]))
    assert len(str(failed.value)) < 5_000
    assert str(failed.value).endswith("xend")


@pytest.mark.parametrize(
    ("script", "limits", "said", "kinds"),
    [
        ("kill -TERM $$", {}, "sh was ended by SIGTERM.", ("signal_15", "signal")),
        ("while :; do :; done", {"cpu": 1}, "it computed for too long", ("signal_24", "signal")),
        ("for i in 1 2 3 4 5 6; do sleep 60 & done; wait", {"processes": 3}, "more than 3 processes", ("stopped",)),
    ],
    ids=["signal", "computing", "processes"],
)
@pytest.mark.skipif(sys.platform != "linux", reason="processes are counted on Linux only")
def test_an_end_by_force_is_said(script: str, limits: dict[str, int], said: str, kinds: tuple[str, ...]) -> None:
    with pytest.raises(BodyError) as failed:
        call(ShellBody(["sh", "-c", script], limits=ProcessLimits(**limits)))
    assert said in str(failed.value)
    assert failed.value.kinds == kinds
    assert failed.value.unknown


def written(file: Path) -> None:
    end = time.monotonic() + WAIT
    while not (file.exists() and file.read_text()):
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_cancelled_call_ends_its_program(tmp_path: Path) -> None:
    body = ShellBody(["sh", "-c", "echo $$ > pid; exec sleep 60"], cwd=str(tmp_path))

    async def cancelled() -> float:
        task = asyncio.create_task(body.perform(render(body), ToolContext()))
        await asyncio.to_thread(written, tmp_path / "pid")
        begun = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return time.monotonic() - begun

    async def bounded() -> float:
        async with asyncio.timeout(WAIT):
            return await cancelled()

    assert asyncio.run(bounded()) < 1
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


@pytest.mark.skipif(bool(Sandbox().refusal()), reason=f"no sandbox here: {Sandbox().refusal()}")
def test_a_sandbox_is_in_force(tmp_path: Path) -> None:
    body = ShellBody(["sh", "-c", "echo x > here"], cwd=str(tmp_path), sandbox={})
    assert body.sandboxed
    assert body.unavailable() is None
    with pytest.raises(BodyError, match="Read-only"):
        call(body)
    assert not list(tmp_path.iterdir())
    call(ShellBody(["sh", "-c", "echo x > here"], cwd=str(tmp_path), sandbox=Sandbox(write=(str(tmp_path),))))
    assert (tmp_path / "here").read_text() == "x\n"


# --- where it cannot run


def test_what_is_missing_is_a_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert ShellBody(["true"]).unavailable() is None
    assert ShellBody(["no-such-program"]).unavailable() == "the program no-such-program is not on the PATH"
    assert ShellBody(["/no/such/program"]).unavailable() == "there is no program /no/such/program"
    assert ShellBody(["true"], cwd="/no/such/folder").unavailable() == "there is no folder /no/such/folder"
    monkeypatch.setattr(sandbox, "_bubblewrap", lambda: None)
    assert "bwrap" in (ShellBody(["true"], sandbox={}).unavailable() or "") or sys.platform != "linux"


def test_on_windows_it_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    body = ShellBody(["true"])
    monkeypatch.setattr(os, "name", "nt")
    assert "Windows" in (body.unavailable() or "")


def test_a_program_is_looked_for_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    body = ShellBody(["true"])
    (tmp_path / "true").write_text("#!/bin/sh\necho pwned\n")
    (tmp_path / "true").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert call(body) == ""
    assert call(ShellBody(["true"])) == "pwned\n"


# --- what cannot be declared


@pytest.mark.parametrize(
    ("declared", "key", "said"),
    [
        ({"argv": "ls -l"}, ("argv",), "not a list of texts"),
        ({"argv": []}, ("argv",), "not a list of texts"),
        ({"argv": ["sleep", 5]}, ("argv",), "numbers in quotes"),
        ({"argv": ["{{ args.program }}"]}, ("argv", 0), "is the program, and has a placeholder"),
        ({"argv": ["./tool"]}, ("argv", 0), "relative path"),
        ({"argv": [""]}, ("argv", 0), "names no program"),
        ({"argv": ["true", "{{ secrets.token }}"]}, ("argv", 1), "`env` or `stdin`"),
        ({"argv": ["true", "--token={{secrets.token}}"]}, ("argv", 1), "names a secret"),
        ({"argv": ["true", "{{ result.x }}"]}, ("argv", 1), "result"),
        ({"argv": ["true", "{{ args.x"]}, ("argv", 1), "not closed"),
        ({"argv": ["true", "a\0b"]}, ("argv", 1), "NUL"),
        ({"env": {"A": "{{ args.x }}"}}, ("env", "A"), "args"),
        ({"env": {"A=B": "x"}}, ("env", "A=B"), "no name of a variable"),
        ({"env": {"A": 5}}, ("env", "A"), "not a text"),
        ({"env": {"A": "{{ secrets.tokne }}"}}, ("env", "A"), "Did you mean 'token'?"),
        ({"stdin": "{{ secrets.other_thing }}"}, ("stdin",), "Declare it"),
        ({"cwd": "{{ args.folder }}"}, ("cwd",), "without placeholders"),
        ({"sandbox": {"netwrok": True}}, ("sandbox", "netwrok"), "not known"),
        ({"sandbox": {"network": "yes"}}, ("sandbox", "network"), "neither true nor false"),
        ({"sandbox": {"write": "/tmp"}}, ("sandbox", "write"), "not a list"),
        ({"sandbox": {"write": ["/"]}}, ("sandbox", "write"), "below /"),
        ({"ok_exit_codes": []}, ("ok_exit_codes",), "0 to 255"),
        ({"ok_exit_codes": [256]}, ("ok_exit_codes",), "0 to 255"),
        ({"ok_exit_codes": [True]}, ("ok_exit_codes",), "0 to 255"),
    ],
)
def test_a_fault_is_named_by_its_key(
    declared: dict[str, Any], key: tuple[str | int, ...], said: str, secrets: Secrets
) -> None:
    with pytest.raises(ToolDefinitionError) as refused:
        ShellBody(**{"argv": ["true"], "secrets": secrets, **declared})
    (fault,) = refused.value.faults
    assert fault.key == ("shell", *key)
    assert said in str(fault)


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(ToolDefinitionError) as refused:
        ShellBody(["{{ args.p }}", "{{ secrets.x }}", "{{ nothing"], env={"A": "{{ args.x }}"}, ok_exit_codes=[-1])
    assert [fault.key[1:] for fault in refused.value.faults] == [
        ("argv", 0),
        ("argv", 1),
        ("argv", 2),
        ("env", "A"),
        ("ok_exit_codes",),
    ]


def test_what_was_cut_while_it_was_read_was_longer_than_what_is_left() -> None:
    tool = shell_tool("many", "Writes much.", {"type": "object"}, argv=["seq", "1000000"], max_chars=500)
    said = str(asyncio.run(tool.run({})).content)
    assert "The whole has more than 1,0" in said


def test_an_unknown_keyword_is_named_with_the_near_one() -> None:
    with pytest.raises(ToolDefinitionError, match=r"shell_tool has no keyword 'agrv'\. Did you mean 'argv'\?"):
        shell_tool("a", "A.", {"type": "object"}, agrv=["ls"])  # type: ignore[call-arg]  # that is what is tried


def test_a_reserved_name_is_refused_without_a_name_of_our_own() -> None:
    with pytest.raises(ToolDefinitionError) as refused:
        shell_tool("none", "A.", {"type": "object"}, argv=["ls"])
    assert "_Call" not in str(refused.value)


@pytest.mark.parametrize(
    ("around", "said"),
    [
        ({"errors": {"zz": "x"}}, r"errors\.zz: no failure is called so"),
        ({"examples": [{"args": {"strange": 1}}]}, r"examples\[0\]\.args\.strange: there is no parameter"),
    ],
)
def test_what_a_file_may_not_say_python_may_not_either(around: Any, said: str) -> None:
    with pytest.raises(ToolDefinitionError, match=said):
        shell_tool("a", "A.", {"type": "object", "properties": {}}, argv=["ls"], **around)
