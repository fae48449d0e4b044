"""Arguments of a program that are there only if a value is true."""

from __future__ import annotations

from typing import Any

import pytest

from gemmagraph.tools import ToolContext
from gemmagraph.tools.bodies.shell import ShellBody
from gemmagraph.tools.declaring import shell_tool
from gemmagraph.tools.errors import ToolDefinitionError, ToolError

FLAG = {"if": "{{ args.all }}", "then": "--all"}


def argv(*elements: Any, **scope: Any) -> list[str]:
    rendered = ShellBody(["ls", *elements]).render({"args": scope})
    given = rendered.facts["argv"]
    assert isinstance(given, list)
    return [str(argument) for argument in given[1:]]


@pytest.mark.parametrize(
    ("scope", "given"),
    [({"all": True}, ["--all"]), ({"all": False}, []), ({"all": None}, []), ({}, [])],
    ids=["true", "false", "null", "absent"],
)
def test_a_flag_is_there_only_if_its_value_is_true(scope: dict[str, Any], given: list[str]) -> None:
    assert argv("-l", FLAG, "--", "x", **scope) == ["-l", *given, "--", "x"]


@pytest.mark.parametrize("value", ["true", "--version", 1, 0, "", ["x"], {"a": 1}], ids=repr)
def test_no_other_value_decides(value: Any) -> None:
    with pytest.raises(ToolError, match="all must be true or false here"):
        argv(FLAG, all=value)


def test_a_flag_ends_no_options_and_lets_no_value_become_one() -> None:
    assert argv({"if": "{{ args.all }}", "then": "--"}, "x", all=True) == ["--", "x"]
    with pytest.raises(ToolError, match="must not begin with '-' here"):
        argv({"if": "{{ args.all }}", "then": "--"}, "{{ args.name }}", all=True, name="--version")
    assert argv("--", FLAG, "{{ args.name }}", all=True, name="--version") == ["--", "--all", "--version"]


def test_a_bound_value_may_decide() -> None:
    flag = {"if": "{{ bind.all }}", "then": "-a"}
    tool = shell_tool("look", "Looks.", {}, argv=["ls", flag], bind={"all": "{{ context.all }}"})
    assert tool.render({}, ToolContext(values={"all": True})).shown == "ls -a"
    assert tool.render({}, ToolContext(values={"all": False})).shown == "ls"


@pytest.mark.parametrize(
    ("element", "key", "says"),
    [
        ({"if": "{{ args.a }}"}, (1,), "does not hold `if` and `then`"),
        ({"if": "{{ args.a }}", "then": "-a", "else": "-b"}, (1,), "does not hold `if` and `then`"),
        ({"if": True, "then": "-a"}, (1,), "does not hold `if` and `then`"),
        ({"if": "yes", "then": "-a"}, (1, "if"), "is not one placeholder and nothing else"),
        ({"if": "x{{ args.a }}", "then": "-a"}, (1, "if"), "is not one placeholder and nothing else"),
        ({"if": "{{ secrets.a }}", "then": "-a"}, (1, "if"), "names a secret"),
        ({"if": "{{ nothing.a }}", "then": "-a"}, (1, "if"), "names 'nothing'"),
        ({"if": "{{ args.a }}", "then": "-{{ args.b }}"}, (1, "then"), "has a placeholder"),
        ({"if": "{{ args.a }}", "then": "-\0"}, (1, "then"), "NUL"),
    ],
)
def test_what_is_no_flag_is_refused_when_the_tool_is_made(element: Any, key: tuple[Any, ...], says: str) -> None:
    with pytest.raises(ToolDefinitionError) as caught:
        ShellBody(["ls", element])
    (fault,) = caught.value.faults
    assert fault.key == ("shell", "argv", *key)
    assert says in fault.message


def test_the_program_itself_is_no_flag() -> None:
    with pytest.raises(ToolDefinitionError, match="is the program, and has a placeholder"):
        ShellBody([FLAG])
