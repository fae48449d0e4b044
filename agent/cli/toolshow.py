"""What tools there are, what each may do, and what it costs in a prompt."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

from gemmagraph.assistant import Assistant
from gemmagraph.cli.costs import Cost, cost_table, costs_of
from gemmagraph.cli.terminal import one_line, plain
from gemmagraph.cli.toolfiles import Opened
from gemmagraph.errors import AgentError
from gemmagraph.policy import Rule
from gemmagraph.prompts.checking import schemas
from gemmagraph.prompts.messages import JSON
from gemmagraph.tools import Tool
from gemmagraph.tools.bodies.shell import ShellBody
from gemmagraph.tools.declared.problems import did_you_mean
from gemmagraph.tools.ruling import EXPIRES, Ruling
from gemmagraph.tools.secrets import mask


def shown(found: Opened, assistant: Assistant | None, names: Sequence[str], *, cost: bool, as_json: bool) -> str:
    """Tools as a person reads them, or as one JSON object.

    Args:
        found: the tools.
        assistant: whose they are.
        names: globs; of which tools, if not of all.
        cost: whether the characters are told that each of them takes in a prompt.
        as_json: for programs.

    Raises:
        AgentError: no tool has such a name.
    """
    tools = chosen(found, names)
    specs = [tool.spec for tool in tools]
    costs = costs_of(specs) if cost else {}
    lost = {} if names else found.lost | found.left_out
    settings = dict(_settings(assistant)) if assistant and not names else {}
    if as_json:
        answer = _as_json(tools, found.idle, lost, costs) | ({"settings": settings} if settings else {})
        return json.dumps(answer, ensure_ascii=False, indent=2)
    rules = assistant.policy.rules if assistant else ()
    parts = [_described(tool, found.idle.get(tool.name), rules) for tool in tools]
    if lost:
        parts.append("\n".join(f"unavailable: {one_line(name)}: {one_line(why)}" for name, why in lost.items()))
    if settings:
        parts.append("\n".join(f"setting {name}: {one_line(value)}" for name, value in settings.items()))
    return "\n\n".join([*parts, *([cost_table(specs, costs)] if costs else [])])


def _settings(assistant: Assistant) -> Iterator[tuple[str, str]]:
    """The value of each setting of the file, or why it has none."""
    for name, setting in assistant.document.settings.declared.items():
        yield name, mask(setting.missing or setting.value or "")


def chosen(found: Opened, names: Sequence[str]) -> list[Tool]:
    """The tools that one of the globs means; all, if there are none."""
    for name in names:
        if not any(fnmatchcase(tool.name, name) for tool in found.tools):
            why = (found.lost | found.left_out).get(name)
            if why is not None:
                raise AgentError(f"{name} is unavailable: {why}")
            known = [tool.name for tool in found.tools]
            near = did_you_mean(name, known)
            raise AgentError(
                f"There is no tool {name!r}.", hint=near.capitalize() or f"There are: {', '.join(known)}."
            )
    return [tool for tool in found.tools if not names or any(fnmatchcase(tool.name, name) for name in names)]


def _described(tool: Tool, unavailable: str | None, rules: Sequence[Rule]) -> str:
    """A tool in a few lines: how it is called, what it does, what it may do, how it acts."""
    lines = [schemas.signature(tool.name, schemas.flat(tool.spec.parameters))]
    lines += [f"  {line.strip()}" for line in tool.spec.description.splitlines() if line.strip()]
    lines += [f"    {name}: {about}" for name, about in _arguments(tool)]
    facts = [*_facts(tool)]
    ruling = tool.own_ruling()
    if ruling.verdict != "allow":
        facts.append(f"{'asks a person' if ruling.verdict == 'ask' else 'never runs'} ({ruling.reason})")
    policy = [f"{rule.then} at {rule.place}" for rule in rules if rule.names(tool.name)]
    if policy:
        policy[0] = f"policy, before that: {policy[0]}"
    for said in (facts, _who_decides(ruling), policy, _acting(tool), _around(tool)):
        if said:
            lines.append(f"  {' · '.join(said)}")
    if unavailable:
        lines.append(f"  unavailable: {one_line(unavailable)}")
    return plain("\n".join(lines))


def _arguments(tool: Tool) -> Iterator[tuple[str, str]]:
    """What is said of each argument."""
    properties = tool.spec.parameters.get("properties") or {}
    for name, schema in properties.items():
        if isinstance(schema, Mapping) and schema.get("description"):
            yield name, one_line(str(schema["description"]))


def _facts(tool: Tool) -> Sequence[str]:
    known = ("read_only", "idempotent", "destructive", "open_world", "return_direct", "sequential", "pinned")
    facts = [fact.replace("_", " ") for fact in known if getattr(tool, fact)]
    return ["only reads", *facts] if tool.reads and not tool.read_only else facts


def _who_decides(ruling: Ruling) -> list[str]:
    said = []
    if ruling.approvers is not None:
        said.append(f"decided by {', '.join(ruling.approvers)}")
    if ruling.four_eyes:
        said.append("by somebody else than who asked")
    if ruling.expires != EXPIRES:
        said.append(f"within {ruling.expires / 60:g} min")
    return said if ruling.verdict == "ask" else []


def _acting(tool: Tool) -> list[str]:
    """By what it acts, where it is declared, and what holds it."""
    if tool.place is None:
        return []
    said = [tool.kind, tool.place]
    if isinstance(tool.body, ShellBody):
        said.append("in a sandbox" if tool.body.sandboxed else "runs without a sandbox")
    elif tool.kind == "mcp":
        said.append("its server runs without a sandbox")
    return said


def _around(tool: Tool) -> list[str]:
    """What is done around its calls, where that is not what is usual."""

    def said() -> Iterator[str]:
        if tool.place is not None and tool.timeout != Tool.timeout:
            yield f"{tool.timeout:g} s at most" if tool.timeout is not None else "no time limit"
        if tool.retries and tool.repeatable:
            yield f"{tool.retries} more {'try' if tool.retries == 1 else 'tries'}"
        if tool.cache:
            yield f"kept for {_lasting(tool.cache)}"
        if tool.concurrency:
            yield f"{tool.concurrency} at once"
        if tool.bind:
            yield f"filled in: {', '.join(f'{name} = {field.source}' for name, field in tool.bind.items())}"

    return [*said()]


def _lasting(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length and seconds % length == 0:
            return f"{seconds / length:g} {unit}"
    return f"{seconds:g} s"


def _as_json(
    tools: Sequence[Tool],
    idle: Mapping[str, str],
    lost: Mapping[str, str],
    costs: Mapping[str, Cost],
) -> dict[str, JSON]:
    listed: list[JSON] = []
    for place, tool in enumerate(tools):
        ruling = tool.own_ruling()
        entry: dict[str, JSON] = {
            "name": tool.name,
            "description": tool.spec.description,
            "parameters": dict(tool.spec.parameters),
            "facts": list(_facts(tool)),
            "approval": {"verdict": ruling.verdict, "reason": ruling.reason},
            "kind": tool.kind,
            "place": tool.place,
            "unavailable": idle.get(tool.name),
        }
        if isinstance(tool.body, ShellBody):
            entry["sandbox"] = tool.body.sandboxed
        if costs:
            entry["characters"] = {name: cost.each[place] for name, cost in costs.items()}
        listed.append(entry)
    answer: dict[str, JSON] = {"tools": listed}
    if lost:
        answer["unavailable"] = dict(lost)
    if costs:
        answer["characters"] = {name: {"once": cost.fixed, "total": cost.total} for name, cost in costs.items()}
    return answer
