"""What the maker of a tool says about it, beside what its function says: facts, limits, what is done around calls."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypedDict

from gemmagraph.prompts.messages import JSON, ToolSpec
from gemmagraph.tools.declared.units import seconds
from gemmagraph.tools.errors import Fault, ToolDefinitionError
from gemmagraph.tools.ruling import Consent, Verdict
from gemmagraph.tools.shaping.shape import MIN_CHARS, Shape

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_RESERVED = frozenset(("auto", "any", "required", "none"))


class Facts(TypedDict, total=False):
    """The keywords of `@tool`, named as the fields of a `Tool`. Durations may be texts: `10s`, `2m`."""

    read_only: bool | None
    idempotent: bool | None
    destructive: bool | None
    open_world: bool | None
    timeout: float | str | None
    retries: int
    cache: float | str | None
    max_chars: int
    result: Shape | Mapping[str, Any] | None
    concurrency: int | None
    sequential: bool
    return_direct: bool
    pinned: bool
    approval: Verdict | Consent | Mapping[str, Any] | None


def normal(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Facts as a `Tool` has them: durations in seconds, an approval as a `Consent`, a result as a `Shape`.

    Raises:
        ToolDefinitionError: one of them is none.
    """
    normal = dict(facts)
    for key in ("timeout", "cache"):
        if isinstance(normal.get(key), str):
            normal[key] = _seconds(key, normal[key])
    if isinstance(approval := normal.get("approval"), Mapping):
        normal["approval"] = _consent(approval)
    if isinstance(result := normal.get("result"), Mapping):
        chars = {"max_chars": normal["max_chars"]} if "max_chars" in normal else {}
        normal["result"] = Shape.of({**chars, **result})
    return normal


def _consent(approval: Mapping[str, Any]) -> Consent:
    expires = approval.get("expires")
    unknown = [key for key in approval if key not in Consent.__slots__]
    if unknown or "mode" not in approval:
        wrong = f"has the unknown key {unknown[0]!r}" if unknown else "has no mode"
        raise ToolDefinitionError(
            f"The approval {dict(approval)!r} {wrong}.", faults=[Fault(("approval",), f"{wrong}.")]
        )
    return Consent(
        approval["mode"],
        approvers=tuple(approval["approvers"]) if approval.get("approvers") is not None else None,
        four_eyes=approval.get("four_eyes"),
        expires=_seconds("approval", expires) if isinstance(expires, str) else expires,
    )


def _seconds(key: str, duration: str) -> float:
    try:
        return seconds(duration)
    except ValueError as problem:
        raise ToolDefinitionError(f"{key}: {problem}.", faults=[Fault((key,), f"{problem}.")]) from problem


def check_name(name: str, source: str) -> None:
    """Raises ToolDefinitionError if a tool made from `source` cannot have this name."""
    if _NAME.fullmatch(name) and name.lower() not in _RESERVED:
        return
    wrong = "a word that model servers keep for themselves" if name.lower() in _RESERVED else "not a tool's name"
    raise ToolDefinitionError(
        f"{name!r} is {wrong} ({source}).",
        hint="Give name=, of at most 64 letters, digits, _ . and -, a letter or _ first.",
    )


def contradiction(facts: Any, reads: bool) -> str | None:
    """What is wrong with the facts of a tool, in words that go on after its name.

    Args:
        facts: has them as attributes.
        reads: whether it changes nothing.
    """
    approval = facts.approval.mode if isinstance(facts.approval, Consent) else facts.approval
    if facts.read_only and facts.destructive:
        return "is marked both read-only and destructive"
    if facts.timeout is not None and not facts.timeout > 0:
        return f"has a timeout of {facts.timeout!r}; it must be more than 0 seconds, or None"
    if facts.max_chars < MIN_CHARS:
        return f"has max_chars={facts.max_chars!r}; it must be at least {MIN_CHARS}"
    if facts.concurrency is not None and facts.concurrency < 1:
        return f"has concurrency={facts.concurrency!r}; it must be at least 1, or None"
    if facts.retries < 0:
        return f"has retries={facts.retries!r}; it must be 0 or more"
    if facts.cache is not None and not reads:
        return "keeps results (cache) but is not marked read-only"
    if approval not in (None, "allow", "ask", "deny"):
        return f"has approval={approval!r}; it must be 'allow', 'ask' or 'deny'"
    return None


def argument_faults(spec: ToolSpec) -> list[Fault]:
    """What is wrong with the arguments of a tool's examples: undeclared ones, and required ones that are missing."""
    if example_problem(spec.examples):
        return []  # which a `Tool` refuses
    declared = spec.parameters.get("properties")
    faults: list[Fault] = []
    closed = spec.parameters.get("additionalProperties") is False and isinstance(declared, Mapping)
    required = spec.parameters.get("required")
    for index, example in enumerate(spec.examples):
        args, key = example["args"], ("examples", index, "args")
        names = args if isinstance(args, Mapping) else {}
        strange = [name for name in names if closed and isinstance(declared, Mapping) and name not in declared]
        missing = [name for name in required if name not in names] if isinstance(required, list) else []
        faults += [Fault((*key, name), f"there is no parameter {name!r}.") for name in strange]
        faults += [Fault(key, f"the argument {name!r} is missing.") for name in missing]
    return faults


def example_problem(examples: tuple[Mapping[str, JSON], ...]) -> str | None:
    """What is wrong with the examples of a tool, in words that go on after its name."""
    if any(not isinstance(example, Mapping) or "args" not in example for example in examples):
        return "has an example without args; write {'user': 'what a person says', 'args': {...}}"
    return None
