"""The `shell` body: one program of this machine, run with an argv. There is no shell that could read a value.

A value stands in one argument. It may not begin with `-`, unless a literal text stands before it in its argument or a
literal `--` before its argument. An argument of which a value is absent or null is left out; a list that stands alone
in its argument becomes as many arguments as it has items, each held to the same. `{"if": …, "then": …}` is a literal
argument that is there only if a value is true. What a program itself reads into a value (`@file`, `of=...`,
`ext::...`) only the tool's parameters can bound.
"""

from __future__ import annotations

import difflib
import os
import re
import shlex
import signal
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, TypeAlias, cast

from gemmagraph.prompts.messages import JSON
from gemmagraph.tools.bodies.base import Rendered
from gemmagraph.tools.context import ToolContext
from gemmagraph.tools.errors import BodyError, Fault, ToolDefinitionError, ToolError, refuse
from gemmagraph.tools.fields import ABSENT, Absent, Field, Scope, as_text, field_or_fault
from gemmagraph.tools.guards.processes import Finished, ProcessLimits, find_program, run_process, unsupported
from gemmagraph.tools.guards.sandbox import Sandbox
from gemmagraph.tools.results import Partial
from gemmagraph.tools.secrets import Secrets, Shown, mask

MAX_ARGV: Final = 128 * 1024 - 1
"""Bytes of all arguments together. The system allows one of them as many."""
MAX_STDIN: Final = 1 << 20
"""Bytes of the text given to a program to read."""
MAX_SAID: Final = 4_000
"""Characters of a failed program's output that its error repeats."""

_CALL: Final = ("args", "bind", "context")
_FLAG: Final = 'Write {"if": "{{ args.all }}", "then": "--all"}.'
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECRET: Final = re.compile(r"\{\{\s*secrets\b")

Key: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class _Argument:
    """One element of the argv."""

    field: Field
    guarded: bool
    """Whether its values may become an option, and so must not look like one."""
    when: Field | None = None
    """A value that must be true, or it is left out."""


@dataclass(frozen=True, slots=True)
class _Command:
    """What is run, with all values in their places."""

    argv: list[str]
    stdin: str = field(repr=False)
    env: dict[str, str] = field(repr=False)
    cwd: str


class ShellBody:
    """Runs a program and gives what it writes: its standard output, or, if that is empty, its error output.

    Args:
        argv: The program, literally, and its arguments, each with placeholders for `args`, `bind` and `context`;
            `{"if": "{{ args.all }}", "then": "--all"}` for one that is left out unless a value is true.
        stdin: What it reads; here `secrets` can be named too.
        env: What it finds in its environment beside PATH, LANG and HOME. `args` cannot be named here.
        cwd: The folder where it starts, literally, instead of the current one.
        folder: Where a relative path of the program begins, refused without it, and a relative `cwd`.
        sandbox: As a mapping or a `Sandbox`; None runs it without one.
        ok_exit_codes: The exit codes that are no failure.
        limits: What it may use of this machine.

    Raises:
        ToolDefinitionError: with all that is wrong.
    """

    kind = "shell"
    reads = False

    def __init__(
        self,
        argv: Sequence[str | Mapping[str, str]],
        *,
        stdin: str = "",
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        sandbox: Sandbox | Mapping[str, object] | None = None,
        ok_exit_codes: Collection[int] = (0,),
        limits: ProcessLimits | None = None,
        secrets: Secrets | None = None,
        folder: str | os.PathLike[str] | None = None,
    ) -> None:
        faults: list[Fault] = []
        self._secrets = secrets if secrets is not None else Secrets()
        self._name, self._arguments = _read_argv(argv, faults, relative=folder is not None)
        self._program = find_program(_at(folder, self._name) if os.path.dirname(self._name) else self._name)
        self._stdin = field_or_fault(stdin, (*_CALL, "secrets"), ("shell", "stdin"), faults)
        self._env = {name: _read_variable(name, value, faults) for name, value in (env or {}).items()}
        self._cwd = _read_cwd(cwd, folder, faults)
        self._sandbox = _read_sandbox(sandbox, faults)
        self._ok = _read_exit_codes(ok_exit_codes, faults)
        self._limits = limits or ProcessLimits()
        self._named = _named_secrets({("stdin",): self._stdin, **{("env", n): f for n, f in self._env.items()}})
        faults += _unknown_secrets(self._named, self._secrets)
        refuse("A shell tool cannot be made of this", faults)

    @property
    def sandboxed(self) -> bool:
        return self._sandbox is not None

    def unavailable(self) -> str | None:
        if problem := unsupported():
            return problem
        if self._program is None:
            path = os.path.dirname(self._name)
            return f"there is no program {self._name}" if path else f"the program {self._name} is not on the PATH"
        if self._cwd is not None and not os.path.isdir(self._cwd):
            return f"there is no folder {self._cwd}"
        if self._sandbox is not None and (problem := self._sandbox.missing()):
            return problem
        missing = (self._secrets.declared[name].missing for name in self._named)
        return next(filter(None, missing), None)

    def render(self, scope: Scope) -> Rendered:
        argv = [self._program or self._name, *_arguments(self._arguments, scope)]
        if sum(len(argument.encode()) + 1 for argument in argv) > MAX_ARGV:
            raise ToolError(f"The arguments are too long together: {self._name} takes {MAX_ARGV:,} bytes.")
        cwd = self._cwd or os.getcwd()
        live = _Command(argv, *self._texts(scope, self._secrets), cwd)
        stdin, env = self._texts(scope, Shown(self._secrets))
        shown = shlex.join([self._name, *argv[1:]])
        if stdin:
            shown += f"\nwhich reads:\n{stdin}"
        facts: dict[str, object] = {"argv": argv, "stdin": stdin, "env": env, "cwd": cwd, "sandbox": None}
        if self._sandbox is not None:
            facts["sandbox"] = {"network": self._sandbox.network, "write": list(self._sandbox.write)}
        return Rendered(self.kind, shown, cast(Mapping[str, JSON], facts), live)

    async def perform(self, rendered: Rendered, context: ToolContext) -> object:
        command = rendered.live
        assert isinstance(command, _Command)
        finished = await run_process(
            command.argv,
            stdin=command.stdin,
            env=command.env,
            cwd=command.cwd,
            limits=self._limits,
            sandbox=self._sandbox,
        )
        if finished.code in self._ok and not finished.stopped:
            said = finished.stdout if finished.stdout.strip() else finished.stdout + finished.stderr
            return Partial(said) if finished.cut else said
        raise _failure(self._name, finished)

    async def close(self) -> None:
        """Nothing is kept between calls."""

    def _texts(self, scope: Scope, secrets: Mapping[str, str]) -> tuple[str, dict[str, str]]:
        """What it reads and what is in its environment; what is absent is left out."""
        whole = {**scope, "secrets": secrets}
        stdin = self._stdin.text(whole)
        stdin = "" if isinstance(stdin, Absent) else stdin
        if len(_sound(stdin, "stdin").encode()) > MAX_STDIN:
            raise ToolError(f"The text is too long: {self._name} is given {MAX_STDIN:,} bytes to read at most.")
        texts = ((name, value.text(whole)) for name, value in self._env.items())
        return stdin, {
            name: _sound(text, _names(self._env[name])) for name, text in texts if not isinstance(text, Absent)
        }


def _read_argv(
    argv: Sequence[str | Mapping[str, str]], faults: list[Fault], *, relative: bool
) -> tuple[str, tuple[_Argument, ...]]:
    """The program and its arguments."""
    key: Key = ("shell", "argv")
    if isinstance(argv, str) or not argv or not all(isinstance(element, str | Mapping) for element in argv):
        hint = "Write a list, the program first, each argument an element of its own; numbers in quotes."
        faults.append(Fault(key, "is not a list of texts.", hint))
        return "", ()
    name = _read_element(argv[0], (*key, 0), faults).literal if isinstance(argv[0], str) else None
    if name is None:
        faults.append(Fault((*key, 0), "is the program, and has a placeholder.", "Name one program."))
    elif not name or "\0" in name:
        faults.append(Fault((*key, 0), "names no program."))
    elif os.path.dirname(name) and not os.path.isabs(name) and not relative:
        faults.append(Fault((*key, 0), f"{name!r} is a relative path.", "Give a name on the PATH, or a whole path."))
    arguments: list[_Argument] = []
    ended = False
    for index, element in enumerate(argv[1:], 1):
        if isinstance(element, Mapping):
            arguments.append(_read_flag(element, (*key, index), faults))
            continue
        text = _read_element(element, (*key, index), faults)
        ended = ended or text.literal == "--"
        arguments.append(_Argument(text, not ended and not text.prefix))
    return name or "", tuple(arguments)


def _read_flag(element: Mapping[str, str], key: Key, faults: list[Fault]) -> _Argument:
    """An argument that is there if a value is true."""
    nothing = _Argument(Field("", ("",)), guarded=False)
    if element.keys() != {"if", "then"} or not all(isinstance(text, str) for text in element.values()):
        faults.append(Fault(key, "is no text, and does not hold `if` and `then`.", _FLAG))
        return nothing
    before = len(faults)
    when = _read_element(element["if"], (*key, "if"), faults)
    then = _read_element(element["then"], (*key, "then"), faults)
    if len(faults) == before and not when.lone:
        faults.append(Fault((*key, "if"), "is not one placeholder and nothing else.", _FLAG))
    if then.paths:
        faults.append(Fault((*key, "then"), "has a placeholder.", "Write the argument as it is."))
    return _Argument(then, guarded=False, when=when) if len(faults) == before else nothing


def _read_element(element: str, key: Key, faults: list[Fault]) -> Field:
    if _SECRET.search(element):
        hint = "Give it to the program in `env` or `stdin`."
        faults.append(Fault(key, "names a secret, and everybody on this machine sees a program's arguments.", hint))
        return Field(element, (element,))
    if "\0" in element:
        faults.append(Fault(key, "has a NUL character in it."))
    return field_or_fault(element, _CALL, key, faults)


def _read_variable(name: str, value: object, faults: list[Fault]) -> Field:
    key = ("shell", "env", name)
    if not isinstance(name, str) or not _VARIABLE.fullmatch(name):
        faults.append(Fault(key, f"{name!r} is no name of a variable."))
    if not isinstance(value, str):
        faults.append(Fault(key, f"{value!r} is not a text.", "Put it in quotes."))
        value = ""
    return field_or_fault(value, ("bind", "context", "secrets"), key, faults)


def _read_cwd(cwd: str | None, folder: str | os.PathLike[str] | None, faults: list[Fault]) -> str | None:
    if cwd is None:
        return None
    if not cwd or "{{" in cwd or "\0" in cwd:
        faults.append(Fault(("shell", "cwd"), f"{cwd!r} is no folder.", "Write its path, without placeholders."))
    return _at(folder, cwd)


def _at(folder: str | os.PathLike[str] | None, path: str) -> str:
    return os.path.abspath(os.path.join(folder or "", os.path.expanduser(path)))


def _read_sandbox(given: Sandbox | Mapping[str, object] | None, faults: list[Fault]) -> Sandbox | None:
    if given is None or isinstance(given, Sandbox):
        return given
    network, write = given.get("network", False), given.get("write", ())
    hint = "A sandbox has `network` and `write`."
    faults += (Fault(("shell", "sandbox", key), "is not known.", hint) for key in given.keys() - {"network", "write"})
    if not isinstance(network, bool):
        faults.append(Fault(("shell", "sandbox", "network"), f"{network!r} is neither true nor false."))
    if not isinstance(write, list | tuple) or not all(isinstance(path, str) for path in write):
        faults.append(Fault(("shell", "sandbox", "write"), "is not a list of paths."))
        return None
    try:
        return Sandbox(network is True, tuple(write))
    except ToolDefinitionError as exc:
        faults.append(Fault(("shell", "sandbox", "write"), exc.message, exc.hint))
        return None


def _read_exit_codes(codes: Collection[int], faults: list[Fault]) -> frozenset[int]:
    sound = isinstance(codes, Collection) and codes and all(type(code) is int and 0 <= code <= 255 for code in codes)
    if not sound:
        faults.append(Fault(("shell", "ok_exit_codes"), f"{codes!r} is not a list of numbers from 0 to 255."))
        return frozenset()
    return frozenset(codes)


def _named_secrets(fields: Mapping[Key, Field]) -> dict[str, Key]:
    """The secrets that are named, each with where."""
    return {
        str(path.steps[0]): ("shell", *key)
        for key, text in fields.items()
        for path in text.paths
        if path.root == "secrets"
    }


def _unknown_secrets(named: Mapping[str, Key], secrets: Secrets) -> Iterator[Fault]:
    for name, key in named.items():
        if name not in secrets.declared:
            near = difflib.get_close_matches(name, secrets.declared, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else "Declare it under `secrets`."
            yield Fault(key, f"there is no secret {name!r}.", hint)


def _arguments(arguments: Sequence[_Argument], scope: Scope) -> Iterator[str]:
    for argument in arguments:
        if argument.when is not None and not _holds(argument.when, scope):
            continue
        values = [path.find(scope) for path in argument.field.paths]
        if any(value is ABSENT or value is None for value in values):
            continue
        names = _names(argument.field)
        if argument.field.lone and isinstance(values[0], list):
            texts = [_item(item, names) for item in values[0]]
        else:
            texts = [str(argument.field.text(scope))]
        for text in texts:
            if argument.guarded and argument.field.paths and text.startswith("-"):
                raise ToolError(f"{names} must not begin with '-' here: {text!r} could be read as an option.")
            yield _sound(text, names)


def _holds(when: Field, scope: Scope) -> bool:
    """Whether a value is true; what is absent or null is not."""
    value = when.value(scope)
    if value is not None and not isinstance(value, bool | Absent):
        raise ToolError(f"{_names(when)} must be true or false here, not {value!r}.")
    return value is True


def _item(item: JSON, names: str) -> str:
    if item is None or isinstance(item, list | dict):
        raise ToolError(f"{names} must be a list of texts, numbers or booleans here, not of {item!r}.")
    return as_text(item)


def _names(text: Field) -> str:
    """How the model knows the values of a text."""
    return " and ".join(str(path).removeprefix("args.") for path in text.paths) or repr(text.source)


def _sound(text: str, names: str) -> str:
    """The text, if a program can be given it."""
    if "\0" in text:
        raise ToolError(f"{names} has a NUL character in it, which no program can be given.")
    with suppress(UnicodeEncodeError):
        text.encode()
        return text
    raise ToolError(f"{names} has half of a character in it (a lone surrogate), which no program can be given.")


def _failure(name: str, finished: Finished) -> BodyError:
    kinds: tuple[str, ...]
    if finished.stopped:
        what, kinds = f"{name} was ended: {finished.stopped}", ("stopped",)
    elif finished.code < 0:
        what, kinds = f"{name} was ended by {_signal(-finished.code)}", (f"signal_{-finished.code}", "signal")
    else:
        what, kinds = f"{name} ended with exit code {finished.code}", (f"exit_{finished.code}", "exit")
    said = mask(finished.stderr.strip() or finished.stdout.strip())[-MAX_SAID:]
    return BodyError(
        f"{what}: {said}" if said else f"{what}.",
        kinds=kinds,
        scope={"response": {"exit_code": finished.code, "stdout": finished.stdout, "stderr": finished.stderr}},
        unknown=finished.code < 0,
    )


def _signal(number: int) -> str:
    limits = {"SIGXCPU": " (it computed for too long)", "SIGXFSZ": " (it wrote too large a file)"}
    try:
        name = signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
    return name + limits.get(name, "")
