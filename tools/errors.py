"""The errors of tools. Each has one reader: the model reads `ToolError`, the developer `ToolDefinitionError`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gemmagraph.prompts.errors import GemmagraphError
from gemmagraph.prompts.messages import JSON


class ToolError(GemmagraphError):
    """Raised inside a tool to tell the *model* what went wrong, in words that help it to try again.

    Anything else that a tool raises is a bug: the developer sees it in full, the model only that the tool failed.
    """


class BodyError(ToolError):
    """A call that was made and failed out there: a server's refusal, an exit code, a database's complaint."""

    def __init__(
        self,
        message: str,
        *,
        kinds: Sequence[str],
        scope: Mapping[str, Mapping[str, JSON]] | None = None,
        transient: bool = False,
        retry_after: float | None = None,
        unknown: bool = False,
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.kinds = tuple(kinds)
        """The keys of `errors:` that fit it, the most specific first: `("422", "4xx")`, `("exit_3", "exit")`."""
        self.scope = scope or {}
        """What a text under `errors:` may name: `{"response": {"status": 422, ...}}`."""
        self.transient = transient
        """Whether another try may help."""
        self.retry_after = retry_after
        """Seconds that the other side asked for before the next try."""
        self.unknown = unknown
        """Whether it may have taken effect all the same."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a declared tool."""

    key: tuple[str | int, ...]
    """Where: the path inside of what was declared, as in `("http", "path")`."""
    message: str
    hint: str = ""

    def __str__(self) -> str:
        where = spelled_key(self.key)
        return f"{where}: {self.message}" + (f" {self.hint}" if self.hint else "")


class ToolDefinitionError(GemmagraphError):
    """A tool cannot be made from what was given. Read by the developer."""

    def __init__(self, message: str, *, hint: str = "", faults: Sequence[Fault] = ()) -> None:
        super().__init__(message, hint=hint)
        self.faults = tuple(faults)
        """Each thing that is wrong, with its key; empty when the message says all."""


class Unavailable(ToolDefinitionError):
    """A tool cannot be made here: a file, a module or a package that it needs is missing, or fails on this machine.
    What was given may be right elsewhere."""


def refuse(what: str, faults: Sequence[Fault]) -> None:
    """Does nothing if there are no faults.

    Raises:
        ToolDefinitionError: there are; it holds them all, and its message says them.
    """
    if faults:
        raise ToolDefinitionError(f"{what}: {'; '.join(str(fault).rstrip('.') for fault in faults)}.", faults=faults)


def spelled_key(key: Sequence[str | int]) -> str:
    """A path of keys as people write it: `http.headers`, `shell.argv[3]`."""
    text = ""
    for step in key:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text
