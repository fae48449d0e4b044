"""What people say to the bot itself, past the model: `/help`, `/stop` and the like. `!help` works everywhere."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final

from gemmagraph.bots import wording
from gemmagraph.bots.decisions import decision_of
from gemmagraph.bots.inbox import Letter
from gemmagraph.bots.text import Block, Code, Paragraph, Span, plain
from gemmagraph.policy import Policy
from gemmagraph.tools import Tool, ToolContext

if TYPE_CHECKING:
    from gemmagraph.bots.bot import Bot

_COMMAND: Final = re.compile(r"[/!]([a-z]{2,12})(?:[ \t]+(.*))?", re.IGNORECASE | re.DOTALL)
_BARE: Final = re.compile(r"(approve|reject)[ \t]+([0-9a-f]{4,12})\b[ \t,:]*(.*)", re.IGNORECASE | re.DOTALL)
_BECAUSE: Final = re.compile(r"because\b[ \t]*", re.IGNORECASE)


def command_in(text: str) -> tuple[str, str] | None:
    """The command that a message is, with what stands behind it; None if it is none. What stands in a code block,
    or behind other words, is none."""
    text = text.strip()
    if bare := _BARE.fullmatch(text):  # what is typed where a code is asked for
        return bare.group(1).lower(), f"{bare.group(2)} {bare.group(3)}".strip()
    found = _COMMAND.fullmatch(text)
    name = found.group(1).lower() if found is not None else ""
    name = "help" if name == "start" else name  # what Telegram's apps send first
    if found is None or name not in COMMANDS:
        return None
    return name, (found.group(2) or "").strip()


async def meant(bot: Bot, letter: Letter, rest: str) -> bool:
    """Whether what `command_in` found is one. Without a mark it is, if there is such an approval in the channel:
    `approve cafe menu` is something to say."""
    if not _BARE.fullmatch(letter.message.text.strip()):
        return True
    return await bot.decisions.knows(rest.partition(" ")[0], letter.message.place)


async def carry_out(bot: Bot, letter: Letter, name: str, rest: str) -> list[Block]:
    """Does what a command says; gives what the person is told."""
    return list(await COMMANDS[name][1](bot, letter, rest))


async def _help(bot: Bot, letter: Letter, rest: str) -> Sequence[Block]:
    mark = _mark(bot)
    lines = [f"{mark}{name:<10} {says}" for name, (says, _) in COMMANDS.items()]
    return [
        plain("I answer what you ask me, with tools. For me alone:"),
        Code("\n".join(lines)),
    ]


async def _status(bot: Bot, letter: Letter, rest: str) -> Sequence[Block]:
    agent = bot.agent_of(letter.message.place)
    here = bot.conversations.get(letter.talk)
    lines = [
        f"model: {agent.model.name if agent is not None else 'none'}",
        f"this conversation: {here.state if here is not None else 'idle'}",
        f"turns at work: {bot.line.busy}, waiting: {bot.line.length}",
        f"up for {wording.uptime(bot.since)}",
    ]
    return [Code("\n".join(lines))]


async def _stop(bot: Bot, letter: Letter, rest: str) -> Sequence[Block]:
    conversation = bot.conversations.get(letter.talk)
    stopped = conversation is not None and await conversation.stop(letter.number)
    return [plain("I am stopping." if stopped else "There is nothing to stop here.")]


async def _reset(bot: Bot, letter: Letter, rest: str) -> Sequence[Block]:
    await _stop(bot, letter, rest)
    await bot.inbox.keep_beginning(letter.talk)  # it has begun when the command came
    return [plain("We begin anew: I have forgotten what was said here.")]


async def _tools(bot: Bot, letter: Letter, rest: str) -> Sequence[Block]:
    place = letter.message.place
    agent = bot.agent_of(place)
    if agent is None or not agent.tools:
        return [plain("I have no tools here.")]
    context = ToolContext(bot.rooms.person(letter.message.user), letter.talk, bot.rooms.channel(place))
    width = max(map(len, agent.tools))
    lines = []
    for name, tool in sorted(agent.tools.items()):
        says = _says(tool, context)
        first = tool.description.strip().splitlines()[0] if tool.description.strip() else ""
        lines.append(f"{name:<{width}}  {says:<11}  {first[:80]}".rstrip())
    return [Code("\n".join(lines))]


def _says(tool: Tool, context: ToolContext) -> str:
    """What becomes of a call, as far as that is known without its arguments."""
    verdicts = {tool.ruling({}, context).verdict}
    if isinstance(tool.gate, Policy):
        verdicts |= tool.gate.verdicts(tool, context)
    return _VERDICTS[verdicts.pop()] if len(verdicts) == 1 else "it depends"


async def _approvals(bot: Bot, letter: Letter, rest: str) -> Sequence[Block]:
    pending = await bot.decisions.pending(letter.message.place)
    if not pending:
        return [plain("Nothing waits for a decision in this channel.")]
    person = bot.rooms.person(letter.message.user)
    said: list[Block] = []
    for approval in pending:
        said += wording.question(approval, _mark(bot))
        if why := approval.refuses(person):
            said.append(wording.note(f"You cannot decide this one: {why}."))
    return said


async def _whoami(bot: Bot, letter: Letter, rest: str) -> Sequence[Block]:
    message = letter.message
    person, room = bot.rooms.person(message.user), bot.rooms.of(message.place)
    groups = ", ".join(bot.rooms.groups_of(person)) or "none"
    lines = [
        f"you: {person or 'not known for certain'}",
        f"groups: {groups}",
        f"channel: {bot.rooms.channel(message.place)}",
        f"tools here: {(room.toolset if room else None) or 'all'}",
    ]
    return [Code("\n".join(lines))]


async def _approve(bot: Bot, letter: Letter, rest: str) -> Sequence[Block]:
    return await _decide(bot, letter, "approve", rest)


async def _reject(bot: Bot, letter: Letter, rest: str) -> Sequence[Block]:
    return await _decide(bot, letter, "reject", rest)


async def _edit(bot: Bot, letter: Letter, rest: str) -> Sequence[Block]:
    return await _decide(bot, letter, "edit", rest)


async def _decide(bot: Bot, letter: Letter, verb: str, rest: str) -> Sequence[Block]:
    identity, _, more = rest.partition(" ")
    more = more.strip()
    arguments = None
    if verb == "edit":
        try:
            arguments = json.loads(more.strip("`") or "null")
        except (ValueError, RecursionError):  # the latter of 100,000 brackets
            arguments = None
        if not isinstance(arguments, dict):
            return [Paragraph((Span("Write it so: "), Span(f'{_mark(bot)}edit CODE {{"lines": 50}}', "code")))]
    if not identity:
        return [Paragraph((Span("Which one? Write "), Span(f"{_mark(bot)}{verb} CODE", "code")))]
    decision = decision_of(verb, _BECAUSE.sub("", more, count=1), arguments)
    person = bot.rooms.person(letter.message.user)
    why = await bot.decisions.decide(identity, decision, person, letter.message.place)
    return [plain(why)] if why else []


def _mark(bot: Bot) -> str:
    return bot.adapter.traits.command


_VERDICTS: Final = {"allow": "runs", "ask": "asks first", "deny": "not for you"}

COMMANDS: Final[dict[str, tuple[str, Callable[[Bot, Letter, str], Awaitable[Sequence[Block]]]]]] = {
    "help": ("this", _help),
    "status": ("what I am doing", _status),
    "stop": ("end what I am doing here", _stop),
    "reset": ("forget this conversation", _reset),
    "tools": ("what I can do here, for you", _tools),
    "approvals": ("what waits for a decision", _approvals),
    "approve": ("CODE: let a call run", _approve),
    "reject": ("CODE [because …]: do not let it run", _reject),
    "edit": ("CODE {arguments}: let it run with others", _edit),
    "whoami": ("who you are to me", _whoami),
}
"""What each says in `/help`, and what does it."""
