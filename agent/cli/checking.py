"""`gemmagraph check`: what the policy says of one call, and why; and what bots do in their channels."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import click

from gemmagraph.assistant import Assistant
from gemmagraph.bots.explaining import There, bots_of, there
from gemmagraph.cli.terminal import one_line, plain
from gemmagraph.errors import AgentError
from gemmagraph.prompts.checking.arguments import write_plainly
from gemmagraph.prompts.messages import JSON
from gemmagraph.tools import Tool, ToolContext, run_sync
from gemmagraph.tools.declared.problems import did_you_mean
from gemmagraph.tools.errors import Unavailable
from gemmagraph.tools.ruling import Ruling

CODES: Final = {"allow": 0, "ask": 3, "deny": 4}
"""Exit codes; 1 and 2 are errors, as everywhere."""


def checked(
    assistant: Assistant, name: str, written: Sequence[str], asker: ToolContext, *, as_json: bool
) -> tuple[str, int]:
    """What is decided, with the reasons, and the exit code.

    Args:
        name: the tool.
        written: its arguments, each `key=text` or `key:=JSON`.
        asker: who calls, and where: if that is a channel of a bot of the file, the bot must answer there.

    Raises:
        AgentError: there is no such tool, or the bot can be started nowhere.
        InvalidArguments: the arguments do not fit it.
    """
    tool = _tool(assistant, name)
    arguments = tool.filled(tool.check(_arguments(written)))
    ruling = assistant.policy.explain(tool, arguments, asker)
    groups = [group for group, users in assistant.policy.groups.items() if asker.user in users]
    bot = there(assistant, asker.user, asker.channel, tool.name) if asker.channel else None
    code = CODES[ruling.verdict if bot is None or bot.doing == "answers" else "deny"]
    if as_json:
        told = _as_json(tool, arguments, asker, groups, ruling) | {"bot": bot and bot.as_json()}
        return json.dumps(told, ensure_ascii=False, indent=2), code
    first, second, *rest = _lines(tool, arguments, asker, groups, ruling)
    return plain("\n".join([first, second, *([] if bot is None else [_said(bot)]), *rest])), code


def checked_bots(assistant: Assistant, user: str | None, channel: str | None, *, as_json: bool) -> tuple[str, int]:
    """What the bots of the file do, channel by channel, or in one channel; and the exit code, 1 if one of them can be
    started nowhere.

    Args:
        user: who says something in `channel`.

    Raises:
        AgentError: there is no bot for the channel, or it can be started nowhere.
    """
    if channel is None:
        bots = bots_of(assistant)
        code = 1 if any(bot.wrong for bot in bots) else 0
        if as_json:
            return json.dumps([bot.as_json() for bot in bots], ensure_ascii=False, indent=2), code
        return plain("\n".join(line for bot in bots for line in bot.lines()) or _NO_BOTS), code
    bot = there(assistant, user, channel)
    if bot is None:
        known = f"Bots that there are: {', '.join(assistant.bots)}." if assistant.bots else _NO_BOTS
        raise AgentError(f"There is no bot for {channel!r}.", hint=known)
    code = CODES["allow" if bot.doing == "answers" else "deny"]
    return json.dumps(bot.as_json(), ensure_ascii=False, indent=2) if as_json else plain(_said(bot)), code


_NO_BOTS: Final = "The file has no bots."


def _said(bot: There) -> str:
    return f"the bot {bot.bot}: {one_line(bot.why)}"


def _tool(assistant: Assistant, name: str) -> Tool:
    """The tool of this name; others are left alone, unless it is from an import."""
    for entry in assistant.entries:
        if entry.name == name:
            try:
                return entry.tool or entry.make()
            except Unavailable as exc:
                why = entry.unavailable or str(exc)
                raise AgentError(f"{name} is unavailable: {why}") from exc
    tools = {tool.name: tool for tool in run_sync(assistant.open())} if assistant.imports else {}
    if name in tools:
        return tools[name]
    known = [*(entry.name for entry in assistant.entries), *tools]
    lost = [f"{one.name} cannot be opened" for one in assistant.imports if one.name in assistant.unavailable]
    near = did_you_mean(name, known).replace("did", "Did", 1) or f"There are: {', '.join(known)}."
    if name.endswith((".yaml", ".yml")):
        near = f"To check that file: gemmagraph check -f {name}"
    raise AgentError(f"There is no tool {name!r}{''.join(f', and {one}' for one in lost)}.", hint=near)


def _arguments(written: Sequence[str]) -> dict[str, Any]:
    arguments: dict[str, Any] = {}
    for one in written:
        key, equals, value = one.partition("=")
        if not key.removesuffix(":") or not equals:
            raise click.UsageError(f"{one!r} is not key=value. A value that is no text is written key:=JSON.")
        if not key.endswith(":"):
            arguments[key] = value
            continue
        try:
            arguments[key[:-1]] = json.loads(value)
        except (ValueError, RecursionError) as exc:
            raise click.UsageError(f"What stands behind {key}= is no JSON: {exc}.") from exc
    return arguments


def _lines(
    tool: Tool, arguments: Mapping[str, JSON], asker: ToolContext, groups: Sequence[str], ruling: Ruling
) -> list[str]:
    who = f"{asker.user} (in {', '.join(groups)})" if groups else asker.user or "nobody known"
    lines = [one_line(write_plainly(tool.name, arguments))]
    lines.append(f"  by {who}, in {asker.channel or 'no channel'}")
    lines.append(f"{ruling.verdict}: {one_line(ruling.told)}")
    if ruling.fits:
        lines.append(f"  the rule fits: {one_line(ruling.fits)}")
    if ruling.verdict == "ask":
        deciders = ", ".join(ruling.approvers) if ruling.approvers is not None else "whoever asked"
        four_eyes = ", somebody else than who asked" if ruling.four_eyes else ""
        lines.append(f"  decided by {deciders}{four_eyes}, within {ruling.expires / 60:g} min")
    if ruling.passed:
        lines.append("passed over:")
        lines += [f"  {rule.place}: {one_line(rule.why)}" for rule in ruling.passed]
    return lines


def _as_json(
    tool: Tool, arguments: Mapping[str, JSON], asker: ToolContext, groups: Sequence[str], ruling: Ruling
) -> dict[str, JSON]:
    return {
        "tool": tool.name,
        "arguments": dict(arguments),
        "user": asker.user,
        "groups": list(groups),
        "channel": asker.channel,
        "verdict": ruling.verdict,
        "reason": ruling.reason,
        "place": ruling.place,
        "fits": ruling.fits,
        "approvers": None if ruling.approvers is None else list(ruling.approvers),
        "four_eyes": ruling.four_eyes,
        "expires": ruling.expires,
        "passed": [{"place": rule.place, "why": rule.why} for rule in ruling.passed],
    }
