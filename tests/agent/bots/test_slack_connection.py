"""Slack: connections that end, what was missed meanwhile, acknowledgements, tokens."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import statistics
import sys
import time
from typing import Any

import pytest
from chats.slack import World, direct
from chats.slack_bot import Bot, blocks, listening
from chats.slack_service import APP_TOKEN, BOT, TOKEN
from chats.world import Full, Heard, Slow

from gemmagraph.bots.base import Place
from gemmagraph.bots.errors import BotError, Revoked
from gemmagraph.bots.slack.adapter import SlackAdapter

pytestmark = pytest.mark.long

OURS = re.compile("slack_sdk|bots/slack|aiohttp/client")
"""Where tasks of the bot come from."""
KEYS = {"token": "xoxb-1", "app_token": "xapp-1"}


def test_what_was_said_before_the_first_start_is_not_told() -> None:
    async def run() -> None:
        async with World() as world:
            root = await world.say("ann", "before", to_bot=True)
            async with listening(world) as bot:
                await world.redeliver()
                await world.say("ann", "after", thread=root)
                await world.drop()
                await bot.until(lambda: "after" in bot.texts)
                await bot.quiet()
                assert sorted(bot.texts) == ["after", "mark"]

    asyncio.run(run())


def test_what_was_said_while_the_bot_was_not_running_is_told_at_its_next_start() -> None:
    async def run() -> None:
        async with World() as world:
            async with listening(world) as bot:
                old = await world.say("ann", "a thread of long ago")
                await world.say("ann", "in it", thread=old)
                await bot.told(2)
                cursor = bot.heard.cursor
            assert cursor is not None
            world.service.tell = lambda event: None  # type: ignore[method-assign]  # hours pass: nothing is delivered
            await world.say("ann", "one", to_bot=True)
            await world.say("bob", "in the old thread", thread=old)
            new = await world.say("bob", "a new thread", channel=world.other)
            for number in range(450):
                await world.say("bob", f"reply {number}", channel=world.other, thread=new)
            await world.say("eve", "the first word to the bot", channel=direct("eve"))
            await world.say("robot", "beep")
            async with listening(world, cursor) as later:
                await later.until(lambda: {"one", "the first word to the bot", "reply 449"} <= set(later.texts))
                told = {event.text: event for event in later.events}
                assert told.keys() >= {
                    "in the old thread",
                    "a new thread",
                    "beep",
                    *(f"reply {n}" for n in range(450)),
                }
                assert told["one"].addressed
                assert told["one"].user == world.user("ann")
                assert told["beep"].machine
                assert told["in the old thread"].place.thread == old
                assert told["the first word to the bot"].place.direct
                assert [text for text in later.texts if text.startswith("reply")] == [
                    f"reply {n}" for n in range(450)
                ]
                assert told["one"].event == f"ts:{world.channel}:{told['one'].id}"

    asyncio.run(run())


def test_a_cursor_stays_small_and_of_another_adapter_is_a_first_start() -> None:
    async def run() -> None:
        async with World() as world:
            async with listening(world) as bot:
                for number in range(200):
                    channel = f"C{number:010}"
                    world.service.messages[channel] = []
                    root = await world.say("ann", "x", channel=channel)
                    await world.say("ann", "y", channel=channel, thread=root)
                await bot.told(400)
                assert bot.heard.cursor is not None
                assert len(bot.heard.cursor) < 2000
            async with listening(world, "s72594_4483_1934") as other:
                await other.quiet()
                assert other.texts == ["mark"]
                assert other.heard.cursor is not None
                assert json.loads(other.heard.cursor)["since"] == other.events[-1].id

    asyncio.run(run())


def test_nothing_is_lost_over_50_dropped_connections() -> None:
    async def run() -> None:
        async with World() as world, listening(world) as bot:
            back = []
            for number in range(50):
                began, up = time.monotonic(), bot.heard.up
                await world.say("ann", f"before {number}")
                await world.drop()
                await world.say("ann", f"during {number}", channel=direct("ann"))
                await bot.until(lambda up=up: bot.heard.up > up, "the next connection")  # type: ignore[misc]  # a default
                back.append(time.monotonic() - began)
            said = {f"{when} {number}" for when in ("before", "during") for number in range(50)}
            await bot.until(lambda: said <= set(bot.texts), "all of it")
            assert len(bot.heard.down) == 50
            assert statistics.median(back) < 5
            print(f"back after {statistics.median(back):.2f} s (median), {max(back):.2f} s at most")

    asyncio.run(run())


def test_slack_may_ask_for_another_connection_and_have_two_at_once() -> None:
    async def run() -> None:
        async with World() as world, listening(world) as bot:
            for reason in ("warning", "refresh_requested"):
                [socket], up = world.service.sockets, bot.heard.up
                await socket.send_json({"type": "disconnect", "reason": reason, "debug_info": {"host": "applink-1"}})
                await world.say("ann", reason)
                await bot.until(lambda up=up: bot.heard.up > up, "the next connection")  # type: ignore[misc]  # a default
            async with listening(world, bot.heard.cursor) as second:
                assert len(world.service.sockets) == 2
                for number in range(20):
                    await world.say("ann", f"n{number}")
                both = lambda: set(bot.texts) | set(second.texts)  # noqa: E731
                await bot.until(lambda: both() >= {"warning", "refresh_requested", *(f"n{n}" for n in range(20))})
                assert bot.texts
                assert second.texts

    asyncio.run(run())


def test_a_connection_that_is_refused_is_tried_again() -> None:
    async def run() -> None:
        async with World() as world:
            world.service.turned_away = 1
            world.service.failing = [(503, "text/html", "<html>")]
            async with listening(world) as bot:
                assert (bot.heard.up, len(bot.heard.down)) == (1, 2)

    asyncio.run(run())


def test_what_could_not_be_kept_is_not_acknowledged_and_comes_again() -> None:
    async def run() -> None:
        async with World() as world:
            bot = Bot(world, Full(failures=1))
            await bot.until(lambda: bot.heard.up and bot.heard.cursor)
            await world.say("ann", "one")
            await bot.until(lambda: bot.heard.down, "the refusal")
            assert world.service.answered == []
            await bot.told()
            await bot.until(lambda: world.service.answered, "the acknowledgement")
            assert bot.texts == ["one"]
            assert all("disk is full" in why for why in bot.heard.down)
            bot.task.cancel()
            await asyncio.gather(bot.task, return_exceptions=True)

    asyncio.run(run())


def test_a_thousand_events_are_acknowledged_at_once() -> None:
    async def run() -> None:
        async with World() as world:
            bot = Bot(world, Slow())
            await bot.until(lambda: bot.heard.up and bot.heard.cursor)
            for number in range(1000):
                await world.say("ann", f"n{number}")
                await asyncio.sleep(0.001)
            await bot.until(lambda: len(world.service.answered) == 1000, "all acknowledgements")
            took = sorted(world.service.answered)
            print(f"acknowledged in {took[500] * 1000:.0f} ms (median), {took[990] * 1000:.0f} ms (p99)")
            assert took[990] < 0.5
            assert [event.text for event in bot.heard.events] == [f"n{number}" for number in range(1000)]
            bot.task.cancel()
            await asyncio.gather(bot.task, return_exceptions=True)

    asyncio.run(run())


@pytest.mark.parametrize("how", ["the token", "an event", "the app"])
def test_a_bot_that_is_not_let_in_any_more_says_so_within_seconds(how: str) -> None:
    async def run() -> None:
        async with World() as world, listening(world) as bot:
            if how == "the token":
                world.revoke()
            elif how == "an event":
                world.service.tell({"type": "tokens_revoked", "tokens": {"oauth": [], "bot": [BOT]}})
            else:
                world.service.tell({"type": "app_uninstalled"})
            with pytest.raises(Revoked):
                await asyncio.wait_for(asyncio.shield(bot.task), 3)
            if how == "the token":
                with pytest.raises(Revoked):
                    await bot.adapter.send(Place("T", world.channel), blocks("x"), "k")

    with pytest.raises(Revoked):
        asyncio.run(run())


@pytest.mark.parametrize("key", ["token", "app_token"])
def test_a_wrong_token_is_no_reason_to_try_again(key: str) -> None:
    async def run() -> None:
        async with World() as world:
            world.keys[key] += "x"
            with pytest.raises(Revoked, match="invalid_auth"):
                await asyncio.wait_for(world.adapter().listen(Heard()), 3)

    asyncio.run(run())


def test_cancelled_it_leaves_nothing_behind() -> None:
    async def run() -> None:
        async with World() as world:
            for pause in (0.0, 0.005, 0.01, 0.02, 0.05, 0.3):
                before = asyncio.all_tasks()
                task = asyncio.create_task(world.adapter().listen(Heard()))
                await asyncio.sleep(pause)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                await world.until_gone()
                left = [one for one in asyncio.all_tasks() - before if OURS.search(repr(one))]
                assert left == []

    asyncio.run(run())


def test_no_log_line_holds_a_token_an_address_of_a_socket_or_what_was_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def run() -> None:
        async with World() as world, listening(world) as bot:
            await world.say("ann", "the password is hunter2", to_bot=True)
            await bot.told()
            world.service.turned_away = 1
            await world.drop()
            await bot.until(lambda: bot.heard.up == 2, "the next connection")
            await bot.adapter.send(bot.place, blocks("hunter2 it is"), "k")
            world.service.tell({"type": "message", "text": "hunter2", "ts": 7, "channel": 3, "blocks": 1})
            await bot.quiet()

    with caplog.at_level(logging.DEBUG):
        logging.getLogger("slack_sdk").setLevel(logging.DEBUG)
        asyncio.run(run())
    lines = "\n".join(f"{record.name} {record.getMessage()} {record.exc_info}" for record in caplog.records)
    assert "gemmagraph.bots.slack.adapter" in lines
    assert not re.search(rf"{TOKEN}|{APP_TOKEN}|ticket|hunter2", lines)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({**KEYS, "tokne": "x"}, "no key 'tokne'"),
        ({"token": "xoxb-1"}, "needs the key 'app_token'"),
        ({"app_token": "xapp-1"}, "needs the key 'token'"),
        ({"token": "xapp-1", "app_token": "xoxb-1"}, "does not begin with xoxb-"),
        ({"token": "xoxb-1", "app_token": 7}, "does not begin with xapp-"),
        ({**KEYS, "base_url": "slack.example"}, "does not begin with http"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_wrong_keys_are_named_without_their_values(keys: dict[str, Any], words: str) -> None:
    with pytest.raises(BotError, match=words) as failed:
        SlackAdapter(keys)
    assert "xapp-1" not in str(failed.value)


def test_without_its_packages_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "slack_sdk"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "slack_sdk", None)
    with pytest.raises(BotError, match=r"gemmagraph\[slack\]"):
        SlackAdapter(KEYS)


def test_why_there_is_no_connection_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        caplog.set_level(logging.INFO, "gemmagraph.bots")
        async with World() as world:
            world.service.failing = [(503, "text/plain", "")] * 2
            async with listening(world) as bot:
                assert (bot.heard.up, len(bot.heard.down)) == (1, 1)
                assert not [record for record in caplog.records if record.name.startswith("gemmagraph")]

    asyncio.run(run())
