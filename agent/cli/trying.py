"""`gemmagraph tools test`: the examples of tools as tests. What only reads is called if that is asked for, all else
never."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

from gemmagraph.cli.costs import Cost, cost_table, costs_of
from gemmagraph.cli.terminal import one_line, plain, shortened
from gemmagraph.cli.toolfiles import Opened
from gemmagraph.errors import InvalidArguments
from gemmagraph.prompts.checking.arguments import ArgumentChecker, write_plainly
from gemmagraph.prompts.messages import JSON
from gemmagraph.tools import Tool, ToolContext, ToolError, run_sync
from gemmagraph.tools.fields import Absent, Path
from gemmagraph.tools.secrets import mask
from gemmagraph.tools.shaping.spill import READER

Mark: TypeAlias = Literal["ok", "note", "FAILED"]

_WIDEST = 100
"""Columns of a result."""


@dataclass(frozen=True, slots=True)
class _Finding:
    mark: Mark
    says: str


@dataclass(frozen=True, slots=True)
class _Call:
    """Arguments to try a tool with."""

    what: str
    arguments: Mapping[str, JSON]
    is_example: bool
    live: bool = True
    """Whether it may really be made."""


def tried(found: Opened, tools: Sequence[Tool], asker: ToolContext, *, live: bool, as_json: bool) -> tuple[str, bool]:
    """The report, as a person reads it or as one JSON object, and whether all is well.

    Args:
        found: where the tools come from.
        tools: those to try.
        asker: who would call.
        live: whether those that only read are really called.
        as_json: for programs.
    """
    declared = [tool for tool in tools if tool.name != READER]
    reports = {tool.name: [*_findings(tool, asker, live, found.idle.get(tool.name))] for tool in declared}
    reports |= {name: [_Finding("FAILED", why)] for name, why in found.lost.items()}
    reports |= {name: [_Finding("note", f"left out: {why}")] for name, why in found.left_out.items()}
    reports = {name: [_Finding(one.mark, mask(one.says)) for one in findings] for name, findings in reports.items()}
    failed = [name for name, findings in reports.items() if any(finding.mark == "FAILED" for finding in findings)]
    specs = [tool.spec for tool in tools]
    costs = costs_of(specs)
    if as_json:
        return json.dumps(_as_json(reports, failed, costs), ensure_ascii=False, indent=2), not failed
    parts = [_described(name, findings) for name, findings in reports.items()]
    if tools:
        parts.append(cost_table(specs, costs))
    count = f"{len(reports)} tool{'' if len(reports) == 1 else 's'}"
    parts.append(f"{count}, FAILED: {', '.join(failed)}" if failed else f"{count}, ok")
    return "\n\n".join(parts), not failed


def _findings(tool: Tool, asker: ToolContext, live: bool, idle: str | None) -> Iterator[_Finding]:
    calls = []
    dry = []
    for call in _calls(tool):
        finding, checked = _dry(tool, call, asker)
        yield finding
        if checked is not None and not call.live:
            dry.append(f"{call.what} not called: it says live: false")
        elif checked is not None and (call.is_example or not tool.spec.parameters.get("required")):
            calls.append(checked)
    if idle:
        yield _Finding("note", f"unavailable here: {idle}")
    elif live:
        yield from (_Finding("note", says) for says in dry)
        yield from _live(tool, calls, asker) if calls or not dry else ()


def _calls(tool: Tool) -> Iterator[_Call]:
    """The examples; where there is none, arguments that are made up."""
    for number, example in enumerate(tool.examples, 1):
        said = example.get("user")
        arguments: Any = example["args"]
        what = f"example {number}" + (f" {json.dumps(said, ensure_ascii=False)}" if said else "")
        yield _Call(what, arguments, True, example.get("live") is not False)
    if not tool.examples:
        yield _Call("made-up arguments", ArgumentChecker(tool.spec).example_arguments(), False)


def _dry(tool: Tool, call: _Call, asker: ToolContext) -> tuple[_Finding, dict[str, JSON] | None]:
    """What a call would do, and its arguments; nothing happens."""
    try:
        arguments = tool.check(call.arguments)
        shown = tool.render(arguments, _with_stand_ins(tool, asker)).shown
    except (InvalidArguments, ToolError) as exc:
        if call.is_example:
            return _Finding("FAILED", f"{call.what}: {exc}"), None
        return _Finding("note", f"no example, and none could be made up: {exc}"), None
    return _Finding("ok", f"{call.what}\n{shown}"), arguments


def _with_stand_ins(tool: Tool, asker: ToolContext) -> ToolContext:
    """The context, with what the application would have to give standing there under its name."""
    values: dict[Any, Any] = deepcopy(dict(asker.values))
    for path in _wanted(tool, asker):
        *outer, last = path.steps
        inner = values
        for step in outer:
            below = inner[step] if isinstance(inner.get(step), dict) else {}
            inner[step] = below
            inner = below
        inner[last] = f"{{{{ {path} }}}}"
    ours = {name: getattr(asker, name) or values.pop(name, None) for name in ("user", "thread", "channel")}
    return ToolContext(**ours, values=values)


def _wanted(tool: Tool, asker: ToolContext) -> list[Path]:
    """What the tool needs of its context, and there is none of."""
    scope = {"context": asker.scope()}
    paths = [path for field in tool.bind.values() for path in field.paths]
    return [path for path in paths if isinstance(path.find(scope), Absent)]


def _live(tool: Tool, calls: Sequence[dict[str, JSON]], asker: ToolContext) -> Iterator[_Finding]:
    if not tool.reads:
        yield _Finding("note", "not called: nothing says that it only reads")
        return
    if wanted := _wanted(tool, asker):
        yield _Finding("note", f"not called: give it --context {wanted[0].steps[0]}=…")
        return
    if not calls:
        yield _Finding("note", "not called: it has no example that could be used")
    for arguments in calls:
        ruling = tool.ruling(arguments, asker)
        call = write_plainly(tool.name, arguments)
        if ruling.verdict != "allow":
            yield _Finding("note", f"{call} not called: {ruling.told}")
            continue
        outcome = run_sync(tool.run(arguments, asker))
        content = outcome.content
        text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
        if outcome.status != "ok":
            why = f": {outcome.error}" if outcome.status == "failed" else ""
            yield _Finding("FAILED", f"called: {text.rstrip('.') if why else text}{why}")
        else:
            yield _Finding("ok", f"called, {outcome.seconds:.1f} s: {_in_short(text)}")


def _in_short(text: str) -> str:
    first, *others = text.strip().splitlines() or ["nothing"]
    more = f" … {len(others) + 1} lines" if others else ""
    return shortened(one_line(first), _WIDEST) + more


def _described(name: str, findings: Sequence[_Finding]) -> str:
    lines = [plain(name)]
    for finding in findings:
        first, *others = plain(finding.says).splitlines() or [""]
        lines += [f"  {finding.mark:<6} {first}", *(f"         {line}" for line in others)]
    return "\n".join(lines)


def _as_json(
    reports: Mapping[str, Sequence[_Finding]], failed: Sequence[str], costs: Mapping[str, Cost]
) -> dict[str, JSON]:
    listed: list[JSON] = [
        {"name": name, "ok": name not in failed, "findings": [asdict(finding) for finding in findings]}
        for name, findings in reports.items()
    ]
    return {
        "ok": not failed,
        "tools": listed,
        "characters": {name: {"once": cost.fixed, "total": cost.total} for name, cost in costs.items()},
    }
