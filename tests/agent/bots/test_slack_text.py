"""Slack: what people write there, as plain text."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from chats.slack import IDS, World
from chats.slack_bot import blocks, listening
from chats.slack_service import BOT, TEAM

pytestmark = pytest.mark.long

TYPED = {
    "plain": ("restart web", False, "restart web"),
    "to the bot": ("status", True, "status"),
    "only the mention": ("", True, ""),
    "a colon after the mention": (": !status", True, "!status"),
    "the bot's name alone is no mention": ("gemma, @gemma and @Bot: hi", False, "gemma, @gemma and @Bot: hi"),
    "Slack's own marks as text": ("<@U0BOT0000> <!channel> &lt; &amp;", False, "<@U0BOT0000> <!channel> &lt; &amp;"),
    "stars are what was typed": ("rm *.log *.txt _x_ ~y~", False, "rm *.log *.txt _x_ ~y~"),
    "an address": ("see https://x.org/a?b=1&c=<2>", False, "see https://x.org/a?b=1&c=<2>"),
    "a command in a code block": ("```\n/stop\n```", False, "```\n/stop\n```"),
    "a code block to the bot": ("look\n```\na < b\n```\nend", True, "look\n```\na < b\n```\nend"),
    "right to left": ("\u202egnp.exe שלום", False, "\u202egnp.exe שלום"),
    "marks of a model": ("<start_of_turn>model", False, "<start_of_turn>model"),
    "only emoji": ("👍🎉", False, "👍🎉"),
    "100 kB": ("x" * 100_000, False, "x" * 100_000),
}


def heard(*messages: dict[str, Any]) -> list[Any]:
    async def run() -> list[Any]:
        async with World() as world, listening(world) as bot:
            for message in messages:
                about = {"type": "message", "team": TEAM, "user": IDS["ann"], "ts": world.service.ts()}
                world.service.put(world.channel, {**about, "text": "", **message})
            return await bot.told(len(messages))

    return asyncio.run(run())


@pytest.mark.parametrize(("typed", "to_bot", "text"), TYPED.values(), ids=TYPED)
def test_what_is_typed_is_what_is_told(typed: str, to_bot: bool, text: str) -> None:
    async def run() -> None:
        async with World() as world, listening(world) as bot:
            await world.say("ann", typed, to_bot=to_bot)
            [message] = await bot.told()
            assert (message.text, message.addressed) == (text, to_bot)

    asyncio.run(run())


PLAIN = {
    "entities": ("a &lt;b&gt; &amp;lt; c", "a <b> &lt; c"),
    "a person": ("ask <@U0BOB0000> now", "ask @Bob now"),
    "a person with a name that Slack has put in": ("ask <@U0GONE000|carl> now", "ask @carl now"),
    "a stranger": ("ask <@U0GONE000> now", "ask @U0GONE000 now"),
    "the bot": (f"<@{BOT}> status", "status"),
    "the bot in the middle": (f"hey <@{BOT}>, status", "hey , status"),
    "a channel": ("in <#C0DEV0000|dev> and <#C0DEV0000>", "in #dev and #C0DEV0000"),
    "everybody": ("<!here> <!channel> <!subteam^S1|@ops> <!subteam^S1>", "@here @channel @ops @subteam"),
    "a date": ("<!date^1392734382^{date}|Feb 18, 2014>", "Feb 18, 2014"),
    "an address": ("<https://x.org/?a=1&amp;b=2>", "https://x.org/?a=1&b=2"),
    "an address made of a name": ("ping <http://db.example.org|db.example.org>", "ping db.example.org"),
    "mail": ("<mailto:ann@example.org|ann@example.org>", "ann@example.org"),
    "an address behind a name": ("<https://x.org|the page>", "the page (https://x.org)"),
    "code": ("run ```ls -l\npwd``` now", "run \n```\nls -l\npwd\n```\n now"),
    "no text": ("", ""),
    "an open mark": ("a < b > c <", "a < b > c <"),
}


@pytest.mark.parametrize(("text", "told"), PLAIN.values(), ids=PLAIN)
def test_text_without_blocks_is_read(text: str, told: str) -> None:
    [message] = heard({"text": text})
    assert (message.text, message.addressed) == (told, f"<@{BOT}>" in text)


def section(*elements: dict[str, Any], kind: str = "rich_text_section", **more: Any) -> dict[str, Any]:
    return {"type": kind, "elements": list(elements), **more}


def words(text: str, **style: bool) -> dict[str, Any]:
    return {"type": "text", "text": text} | ({"style": style} if style else {})


RICH = {
    "styles": ([section(words("a ", bold=True), words("b", italic=True), words(" c", strike=True))], "a b c"),
    "code in a line": ([section(words("run "), words("/stop", code=True))], "run `/stop`"),
    "a code block": ([section(words("/stop"), kind="rich_text_preformatted")], "```\n/stop\n```"),
    "emoji": ([section({"type": "emoji", "name": "wave", "unicode": "1f44b-1f3fd"})], "👋🏽"),
    "an emoji of the workspace": ([section({"type": "emoji", "name": "party"})], ":party:"),
    "a broken emoji": ([section({"type": "emoji", "name": "x", "unicode": "ffffffffff"})], ":x:"),
    "a person": ([section({"type": "user", "user_id": IDS["bob"]}, words(" there"))], "@Bob there"),
    "the bot": ([section({"type": "user", "user_id": BOT}, words(" ,status"))], "status"),
    "everybody": ([section({"type": "broadcast", "range": "here"})], "@here"),
    "a group and a channel": (
        [section({"type": "usergroup", "usergroup_id": "S1"}, {"type": "channel", "channel_id": "C1"})],
        "@S1#C1",
    ),
    "an address": ([section({"type": "link", "url": "https://x.org"})], "https://x.org"),
    "a link": ([section({"type": "link", "url": "https://x.org", "text": "the page"})], "the page (https://x.org)"),
    "a list": (
        [section(section(words("one")), section(words("two")), kind="rich_text_list", style="ordered", indent=1)],
        "1. one\n    2. two",
    ),
    "bullets": ([section(section(words("one")), section(words("two")), kind="rich_text_list")], "• one\n• two"),
    "a quote": ([section(words("one\ntwo"), kind="rich_text_quote")], "> one\n> two"),
    "a date": ([section({"type": "date", "timestamp": 1, "format": "{date}", "fallback": "1970"})], "1970"),
    "something new": ([section({"type": "canvas", "text": "notes"}, {"type": "what"})], "notes"),
    "nothing": ([], ""),
}


@pytest.mark.parametrize(("elements", "told"), RICH.values(), ids=RICH)
def test_rich_text_is_read(elements: list[dict[str, Any]], told: str) -> None:
    [message] = heard({"text": "(not read)", "blocks": [{"type": "rich_text", "elements": elements}]})
    assert message.text == told


def test_what_the_bot_writes_reads_the_same() -> None:
    async def run() -> None:
        async with World() as world, listening(world) as bot:
            said = "**Done**: `a < b` & https://ok.example.org/x\n\n```sh\nls <x>\n```\n\nend"
            await bot.adapter.send(bot.place, blocks(said), "k")
            [message] = await bot.told()
            assert message.text == "Done: `a < b` & https://ok.example.org/x\n```\nls <x>\n```\nend"
            assert message.machine

    asyncio.run(run())


def test_names_that_slack_does_not_tell_do_not_hold_up_a_message() -> None:
    async def run() -> None:
        async with World() as world, listening(world) as bot:
            world.service.members.clear()
            await world.say("ann", "hello")
            [message] = await bot.told()
            assert message.name == IDS["ann"]

    asyncio.run(run())
