"""Slack: what people do there, as the core is told of it, and what the bot says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from chats.slack import IDS, World, direct
from chats.slack_bot import Bot, blocks, listening
from chats.slack_service import TEAM, Refused
from chats.world import Upload

from gemmagraph.bots.base import Choice, Deleted, Edited, File, Message, Place, Pressed
from gemmagraph.bots.errors import BotError, NotThere, Revoked, TooFast, Unreachable
from gemmagraph.bots.slack.adapter import SlackAdapter
from gemmagraph.bots.text import Code, Paragraph, Span, plain, split

pytestmark = pytest.mark.long

CHOICES = (Choice("approve", "A-17", "Approve"), Choice("reject", "A-17", "Reject"))


def in_slack(test: Callable[[World, Bot], Awaitable[None]]) -> None:
    async def run() -> None:
        async with World() as world, listening(world) as bot:
            await test(world, bot)

    asyncio.run(run())


def test_a_message_is_told_with_all_that_the_core_asks_for() -> None:
    async def test(world: World, bot: Bot) -> None:
        ts = await world.say("ann", "restart <web>", to_bot=True, files=[Upload("log.txt", "text/plain", b"12345")])
        [message] = await bot.told()
        address = f"{world.service.url}/files-pri/{TEAM}-F00000000/download"
        assert message == Message(
            event=f"ts:{world.channel}:{ts}",
            place=Place(TEAM, world.channel),
            user=f"{TEAM}/{IDS['ann']}",
            name="Ann",
            text="restart <web>",
            id=ts,
            addressed=True,
            machine=False,
            files=(File("log.txt", "text/plain", 5, {"id": "F00000000", "url": address}),),
        )

    in_slack(test)


def test_a_mention_that_comes_twice_is_one_event() -> None:
    async def test(world: World, bot: Bot) -> None:
        await world.say("ann", "hello", to_bot=True)
        await bot.until(lambda: len(world.service.answered) == 2, "both acknowledgements")
        await world.redeliver()
        kinds = [payload["event"]["type"] for _, payload in world.service.delivered]
        assert sorted(kinds) == ["app_mention", "message"]
        assert len(bot.heard.events) >= 3
        assert set(bot.heard.events) == set(bot.events[:1])

    in_slack(test)


def test_places_are_told_apart() -> None:
    async def test(world: World, bot: Bot) -> None:
        root = await world.say("ann", "root")
        await world.say("ann", "reply", thread=root)
        await world.say("ann", "alone", channel=direct("ann"))
        alone = await world.say("ann", "with the assistant", channel=direct("bob"))
        await world.say("ann", "more", channel=direct("bob"), thread=alone)
        await bot.told(5)
        assert {event.text: event.place for event in bot.events} == {
            "root": Place(TEAM, world.channel),
            "reply": Place(TEAM, world.channel, root),
            "alone": Place(TEAM, direct("ann"), "", direct=True),
            "with the assistant": Place(TEAM, direct("bob"), "", direct=True),
            "more": Place(TEAM, direct("bob"), alone, direct=True),
        }

    in_slack(test)


def raw(world: World, **message: Any) -> dict[str, Any]:
    return {"type": "message", "team": TEAM, "ts": world.service.ts(), "text": "hi", **message}


@pytest.mark.parametrize(
    ("message", "user", "name", "machine"),
    [
        pytest.param({"user": IDS["ann"]}, f"{TEAM}/{IDS['ann']}", "Ann", False, id="a person"),
        pytest.param(
            {"user": "U0GUEST00", "user_team": "T0OTHER00", "source_team": "T0OTHER00"},
            "T0OTHER00/U0GUEST00",
            "U0GUEST00",
            False,
            id="somebody of another company, of whom Slack tells nothing",
        ),
        pytest.param(
            {"subtype": "bot_message", "bot_id": "B0HOOK000", "username": "Ann"},
            f"{TEAM}/B0HOOK000",
            "Ann",
            True,
            id="a webhook that calls itself as a person",
        ),
        pytest.param(
            {"user": IDS["ann"], "bot_id": "B0APP0000"}, f"{TEAM}/{IDS['ann']}", "Ann", True, id="an app for a person"
        ),
        pytest.param({"user": "USLACKBOT"}, f"{TEAM}/USLACKBOT", "USLACKBOT", True, id="Slackbot"),
        pytest.param({"user": IDS["bot"]}, f"{TEAM}/{IDS['bot']}", "Bot", True, id="the bot itself"),
        pytest.param(
            {"user": IDS["ann"], "subtype": "thread_broadcast"}, f"{TEAM}/{IDS['ann']}", "Ann", False, id="broadcast"
        ),
        pytest.param({"user": IDS["ann"], "subtype": "me_message"}, f"{TEAM}/{IDS['ann']}", "Ann", False, id="/me"),
    ],
)
def test_who_has_said_it(message: dict[str, Any], user: str, name: str, machine: bool) -> None:
    async def test(world: World, bot: Bot) -> None:
        world.service.put(world.channel, raw(world, **message))
        [told] = await bot.told()
        assert (told.user, told.name, told.machine) == (user, name, machine)

    in_slack(test)


def test_another_workspace_with_the_same_app_is_not_ours() -> None:
    async def test(world: World, bot: Bot) -> None:
        event = {**raw(world, user=IDS["ann"]), "channel": world.channel}
        elsewhere = {"authorizations": [{"team_id": "T0OTHER00", "user_id": "U0BOT0001", "is_bot": True}]}
        for gone in (event, {"type": "app_uninstalled"}):
            payload = {"type": "event_callback", "team_id": "T0OTHER00", "event": gone, **elsewhere}
            assert await world.service.attempt("events_api", payload)
        shared = {"type": "event_callback", "team_id": "T0OTHER00", "event": {**event, "text": "shared"}}
        payload = {**shared, "authorizations": [{"team_id": TEAM, "user_id": IDS["bot"], "is_bot": True}]}
        assert await world.service.attempt("events_api", payload)
        await bot.quiet()
        assert bot.texts == ["shared", "mark"]

    in_slack(test)


def test_what_nobody_says_is_not_told() -> None:
    async def test(world: World, bot: Bot) -> None:
        for subtype in ("channel_join", "channel_topic", "channel_archive", "message_replied", "pinned_item"):
            world.service.put(world.channel, raw(world, user=IDS["ann"], subtype=subtype))
        world.service.tell({"type": "reaction_added", "user": IDS["ann"], "item": {}, "reaction": "eyes"})
        world.service.tell({"type": "assistant_thread_started", "assistant_thread": {"channel_id": direct("ann")}})
        await bot.quiet()
        assert bot.texts == ["mark"]

    in_slack(test)


@pytest.mark.parametrize(
    "event",
    [
        {"type": "message"},
        {"type": "message", "channel": "C0OPS0000", "ts": "9999999999.000001", "blocks": 7},
        {"type": "message", "channel": "C0OPS0000", "ts": "9999999999.000001", "blocks": [[]]},
        {"type": "message", "channel": "C0OPS0000", "ts": "9999999999.000001", "files": [3]},
        {"type": "message", "subtype": "message_changed", "channel": "C0OPS0000"},
        {"type": "message", "subtype": "message_deleted", "channel": "C0OPS0000"},
        {"type": "user_change"},
        {"type": "tokens_revoked"},
        {},
    ],
    ids=str,
)
def test_what_cannot_be_read_stops_nothing(event: dict[str, Any]) -> None:
    async def test(world: World, bot: Bot) -> None:
        world.service.tell(event)
        await bot.quiet()
        assert bot.texts == ["mark"]
        await bot.until(lambda: len(world.service.answered) == 2, "both acknowledgements")

    in_slack(test)


def test_edits_are_told_and_what_only_looks_like_one_is_not() -> None:
    async def test(world: World, bot: Bot) -> None:
        ts = await world.say("ann", "stop db1", to_bot=True)
        kept = world.service.message(world.channel, ts)
        assert kept is not None
        world.service.changed(
            world.channel, {**kept, "attachments": [{"from_url": "https://x.org"}]}, kept
        )  # a preview
        sent = await bot.adapter.send(bot.place, blocks("one"), "k")
        await bot.adapter.edit(bot.place, sent, blocks("two"))
        await world.change("ann", world.channel, ts, "stop db2")
        world.service.changed(world.channel, {**kept, "reply_count": 3}, kept)
        await bot.quiet()
        [edit] = [event for event in bot.events if isinstance(event, Edited)]
        assert (edit.message.id, edit.message.text, edit.message.user) == (ts, "stop db2", world.user("ann"))
        assert edit.event not in {event.event for event in bot.events if event is not edit}

    in_slack(test)


def test_deletions_are_told_also_where_a_thread_goes_on() -> None:
    async def test(world: World, bot: Bot) -> None:
        first = await world.say("ann", "first")
        reply = await world.say("bob", "reply", thread=first)
        second = await world.say("ann", "second")
        await world.delete("ann", world.channel, second)
        await world.delete("ann", world.channel, first)
        await world.delete("bob", world.channel, reply)
        await bot.told(6)
        gone = [(event.id, event.place.thread) for event in bot.events if isinstance(event, Deleted)]
        assert gone == [(second, ""), (first, ""), (reply, first)]

    in_slack(test)


def test_a_button_carries_the_approval_and_who_pressed_it() -> None:
    async def test(world: World, bot: Bot) -> None:
        root = await world.say("ann", "deploy")
        place = Place(TEAM, world.channel, root)
        sent = await bot.adapter.send(place, blocks("May I?"), "k", CHOICES)
        [*_, seen] = await world.seen(world.channel)
        assert seen.offers == ("approve", "reject")
        await world.press("bob", world.channel, sent, "reject")
        await bot.until(lambda: any(isinstance(event, Pressed) for event in bot.events))
        [pressed] = [event for event in bot.events if isinstance(event, Pressed)]
        assert pressed == Pressed(pressed.event, place, world.user("bob"), "Bob", sent, "reject", "A-17")
        await world.press("bob", world.channel, sent, "reject")
        await bot.until(lambda: len([event for event in bot.events if isinstance(event, Pressed)]) == 2)

    in_slack(test)


def test_an_edit_without_choices_takes_the_buttons_away() -> None:
    async def test(world: World, bot: Bot) -> None:
        sent = await bot.adapter.send(bot.place, blocks("May I?"), "k", CHOICES)
        await bot.adapter.edit(bot.place, sent, blocks("Still?"), CHOICES[:1])
        assert (await world.seen(world.channel))[-1].offers == ("approve",)
        await bot.adapter.edit(bot.place, sent, blocks("Ann said yes."))
        seen = (await world.seen(world.channel))[-1]
        assert (seen.id, seen.text, seen.offers, seen.edits) == (sent, "Ann said yes.", (), 2)

    in_slack(test)


def test_what_is_delivered_again_is_the_same_event() -> None:
    async def test(world: World, bot: Bot) -> None:
        ts = await world.say("ann", "one", to_bot=True)
        await world.change("ann", world.channel, ts, "two")
        sent = await bot.adapter.send(bot.place, blocks("May I?"), "k", CHOICES)
        await world.press("ann", world.channel, sent, "approve")
        await world.delete("ann", world.channel, ts)
        await bot.told(5)
        before = bot.events
        for _ in range(3):
            await world.redeliver()
        assert len(bot.heard.events) >= 4 * 5
        assert bot.events == before
        assert max(one.get("retry_attempt", 0) for one in world.service.envelopes) == 1

    in_slack(test)


def test_a_renamed_user_keeps_the_id() -> None:
    async def test(world: World, bot: Bot) -> None:
        await world.say("ann", "one")
        await bot.told()
        await world.rename("ann", "Bob")
        await world.say("ann", "two")
        first, second = await bot.told(2)
        assert (first.name, second.name) == ("Ann", "Bob")
        assert first.user == second.user == world.user("ann")

    in_slack(test)


def test_a_message_is_found_by_its_key_in_channels_and_threads() -> None:
    async def test(world: World, bot: Bot) -> None:
        root = await world.say("ann", "root")
        thread = Place(TEAM, world.channel, root)
        sent = await bot.adapter.send(bot.place, blocks("a"), "key-1")
        replied = await bot.adapter.send(thread, blocks("b"), "key-2")
        await bot.adapter.edit(thread, replied, blocks("c"))
        world.service.messages[world.channel] += [raw(world, user=IDS["ann"]) for _ in range(450)]
        assert await bot.adapter.find(bot.place, "key-1") == sent
        assert await bot.adapter.find(thread, "key-2") == replied
        assert await bot.adapter.find(bot.place, "key-2") is None
        assert await bot.adapter.find(bot.place, "key-3") is None

    in_slack(test)


def test_a_message_of_the_greatest_length_is_taken_by_slack() -> None:
    async def test(world: World, bot: Bot) -> None:
        for text in ("&" * 9000, "👍" * 5000, "word " * 3000, "```\n" + "<x>\n" * 4000 + "```"):
            parts = split(blocks(text), bot.adapter.length, bot.adapter.traits.most)
            assert len(parts) > 1
            for part in parts:
                sent = await bot.adapter.send(bot.place, part, "k")
                await bot.adapter.edit(bot.place, sent, part, CHOICES)
        shown = "".join(one.text for one in await world.seen(world.channel)).replace("\n", "").replace(" ", "")
        assert shown == "&" * 9000 + "👍" * 5000 + "word" * 3000 + "<x>" * 4000

    in_slack(test)


LINK = "https://ok.example.org/a?b=1&c=2"
NASTY = [
    "<!channel> <!here> <!everyone>",
    "<@U0ANN0000> <@U0ANN0000|ann>",
    "<!subteam^S0TEAM000|@ops>",
    "<#C0DEV0000|dev>",
    "@channel @here @everyone @ann",
    "<https://evil.example/?k=1|click>",
    "<mailto:ann@example.org|mail>",
    "<!date^1392734382^{date}|now>",
    "&lt;!channel&gt; &amp;lt;",
    "a & b < c > d",
    "*bold* _italic_ ~strike~",
    "`code` ``` fence",
    "> quote\n&gt; quote",
    "1. one\n• two",
    "evil.example.org/path evil.com",
    "ann@example.org",
    "javascript:alert(1) data:text/html,x",
    "https://evil.example/?k=SECRET",
    "http://[::1]/ http://127.0.0.1:80/",
    ":wave: :+1::skin-tone-2:",
    "\u202egnp.exe",
    "שלום abc ١٢٣",
    "👩‍👩‍👧‍👦🇪🇺",
    "<start_of_turn>model\n<|turn>",
    '{"type": "button"}',
    "\\<!channel> \\u003c!channel\\u003e",
    "%3C!channel%3E",
    "line one\n\n\nline four",
    " leading and trailing ",
    "\ttab",
    "'\"quotes\"'",
    "/remind me to pay",
]


@pytest.mark.parametrize("text", NASTY, ids=ascii)
def test_slack_shows_exactly_the_text_and_nothing_of_it_is_live(text: str) -> None:
    async def test(world: World, bot: Bot) -> None:
        for style in ("", "bold", "italic", "code"):
            sent = await bot.adapter.send(bot.place, [Paragraph((Span(text, style),))], style)  # type: ignore[arg-type]
            [*_, seen] = await world.seen(world.channel)
            assert (seen.text, seen.live, seen.pings) == (text, (), ())
            await bot.adapter.edit(bot.place, sent, [Code(text), plain("end")])
            [*_, seen] = await world.seen(world.channel)
            assert (seen.text, seen.live, seen.pings) == (f"{text}\nend", (), ())

    in_slack(test)


def test_only_a_link_is_live() -> None:
    async def test(world: World, bot: Bot) -> None:
        await bot.adapter.send(bot.place, blocks(f"see {LINK} and https://evil.example/x\n\nand **bold** `x`"), "k")
        [*_, seen] = await world.seen(world.channel)
        assert seen.text == f"see {LINK} and https://evil.example/x\n\nand bold x"
        assert seen.live == (LINK,)

    in_slack(test)


async def said_no(world: World, bot: Bot, error: str, **more: Any) -> None:
    def refused(arguments: dict[str, Any]) -> dict[str, Any]:
        raise Refused(error, **more)

    world.service._do_chat_postMessage = refused  # type: ignore[method-assign]  # the stand-in is ours
    await bot.adapter.send(bot.place, blocks("x"), "k")


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        ("not_in_channel", NotThere, "/invite"),
        ("channel_not_found", NotThere, "/invite"),
        ("is_archived", NotThere, "is_archived"),
        ("msg_too_long", NotThere, "msg_too_long"),
        ("restricted_action", NotThere, "restricted_action"),
        ("missing_scope", NotThere, "chat:write"),
        ("token_revoked", Revoked, "token_revoked"),
        ("invalid_auth", Revoked, "new tokens"),
        ("account_inactive", Revoked, "account_inactive"),
        ("not_allowed_token_type", Revoked, "xapp-"),
        ("internal_error", Unreachable, "internal_error"),
        ("service_unavailable", Unreachable, "service_unavailable"),
        ("ratelimited", TooFast, "30 s"),
    ],
)
def test_a_refusal_says_what_it_means(error: str, kind: type[BotError], words: str) -> None:
    async def test(world: World, bot: Bot) -> None:
        with pytest.raises(kind, match=words) as failed:
            await said_no(world, bot, error, needed="chat:write")
        assert "xoxb" not in f"{failed.value!r} {failed.value.__cause__!r}".replace("(xoxb-…)", "")

    in_slack(test)


def test_who_is_too_fast_learns_for_how_long_and_nothing_is_sent_twice() -> None:
    async def test(world: World, bot: Bot) -> None:
        world.refuse(7, times=2)
        for _ in range(2):
            with pytest.raises(TooFast) as failed:
                await bot.adapter.send(bot.place, blocks("x"), "k")
            assert failed.value.seconds == 7
        await bot.adapter.send(bot.place, blocks("x"), "k")
        assert [one.refused for one in world.requests if one.what == "send"] == [7, 7, 0]
        assert len(await world.seen(world.channel)) == 1

    in_slack(test)


@pytest.mark.parametrize(
    "answer",
    [
        (500, "text/html", "<html>sorry</html>"),
        (503, "application/json", '{"ok": false}'),
        (502, "text/plain", "bad gateway"),
        (200, "text/html", "<html>log in to this network</html>"),
        (200, "text/plain", "hello"),
        (200, "application/json", "{cut"),
        (200, "application/json", "[1]"),
        (200, "application/json", '"ok"'),
    ],
    ids=str,
)
def test_a_failing_slack_is_asked_once(answer: tuple[int, str, str]) -> None:
    async def test(world: World, bot: Bot) -> None:
        world.service.failing = [answer]
        with pytest.raises(Unreachable):
            await bot.adapter.send(bot.place, blocks("x"), "k")
        assert not await world.seen(world.channel)
        assert [one.what for one in world.requests].count("send") == 1

    in_slack(test)


def test_no_slack_at_all_is_unreachable() -> None:
    async def test(world: World, bot: Bot) -> None:
        nowhere = SlackAdapter({**world.keys, "base_url": "http://127.0.0.1:9/api/"})
        with pytest.raises(Unreachable, match="ClientConnectorError"):
            await nowhere.send(bot.place, blocks("x"), "k")

    in_slack(test)


def test_what_is_gone_or_forbidden_is_not_there() -> None:
    async def test(world: World, bot: Bot) -> None:
        sent = await bot.adapter.send(bot.place, blocks("x"), "k")
        await world.delete("ann", world.channel, sent)
        with pytest.raises(NotThere, match="message_not_found"):
            await bot.adapter.edit(bot.place, sent, blocks("y"))
        there = await bot.adapter.send(bot.place, blocks("x"), "k")
        world.forbid(world.channel)
        with pytest.raises(NotThere, match="restricted_action"):
            await bot.adapter.send(bot.place, blocks("x"), "k")
        with pytest.raises(NotThere, match="restricted_action"):
            await bot.adapter.edit(bot.place, there, blocks("y"))
        with pytest.raises(NotThere, match="/invite"):
            await bot.adapter.send(Place(TEAM, "C0NOWHERE"), blocks("x"), "k")

    in_slack(test)
