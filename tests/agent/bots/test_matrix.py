"""The adapter for Matrix, against a real Synapse: what people do there is told, what the bot says is seen there."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import ClientError, web
from chats.matrix import World
from chats.world import Full, Heard, Upload, until

from gemmagraph.bots.base import Adapter, Choice, Deleted, Edited, File, Message, Place, Pressed
from gemmagraph.bots.errors import BotError, NotThere, Revoked, TooFast, Unreachable
from gemmagraph.bots.matrix.adapter import MatrixAdapter
from gemmagraph.bots.text import Code, Paragraph, Span, blocks_of, plain

pytestmark = pytest.mark.long

BOTH = (Choice("approve", "a1", "Approve"), Choice("reject", "a1", "Reject"))
GOOD = {"homeserver": "https://matrix.example.org", "token": "secret-token"}


@dataclass
class Bot:
    """An adapter that listens."""

    adapter: Adapter
    heard: Heard
    task: asyncio.Task[None]

    async def until(self, true: Callable[[list[Any]], Any], seconds: float = 10.0) -> Any:
        return await until(
            lambda: true(self.heard.events) or (self.task.done() and self.task.result()),
            lambda: f"something else than {self.heard}",
            seconds,
        )

    async def message(self, text: str) -> Message:
        """What was told with this text."""
        return await self.until(
            lambda events: next((e for e in events if e.__class__ is Message and e.text == text), None)
        )

    def texts(self) -> list[str]:
        return [event.text for event in self.heard.events if isinstance(event, Message)]

    async def stop(self) -> None:
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task


@asynccontextmanager
async def listening(world: World, heard: Heard | None = None, adapter: Adapter | None = None) -> AsyncIterator[Bot]:
    heard = heard or Heard()
    adapter = adapter or world.adapter()
    bot = Bot(adapter, heard, asyncio.create_task(adapter.listen(heard)))
    up = heard.up
    try:
        await bot.until(lambda _: heard.up > up, 20)
        yield bot
    finally:
        await bot.stop()


def in_world(story: Callable[[World], Awaitable[None]]) -> None:
    async def told() -> None:
        async with asyncio.timeout(120), World() as world:
            await story(world)

    asyncio.run(told())


def place(world: World, thread: str = "") -> Place:
    return Place("", world.channel, thread)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        pytest.param({**GOOD, "tokn": "x"}, "no key 'tokn'", id="unknown"),
        pytest.param({"token": "x"}, "needs `homeserver`", id="no server"),
        pytest.param({**GOOD, "homeserver": "matrix.example.org"}, "https://", id="no scheme"),
        pytest.param({"homeserver": GOOD["homeserver"]}, "`token`, or `user` and `password`", id="no secret"),
        pytest.param({"homeserver": GOOD["homeserver"], "password": "x"}, "`user` and", id="password alone"),
        pytest.param({**GOOD, "user": "bot"}, "@bot:example.org", id="short user"),
        pytest.param({**GOOD, "invites": "@ann:example.org"}, "is a list", id="invites no list"),
        pytest.param({**GOOD, "invites": ["ann"]}, "is a list", id="invites no id"),
    ],
)
def test_wrong_keys_are_named_before_anything_is_asked(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(BotError, match=said) as caught:
        MatrixAdapter(keys)
    assert "secret-token" not in str(caught.value)


def test_what_people_say_is_told_with_all_that_can_be_seen_of_it() -> None:
    async def story(world: World) -> None:
        ann, bot_id = world.user("ann"), world.user("bot")
        await world.say("ann", "from before", to_bot=True)
        async with listening(world) as bot:
            await world.rename("ann", "Ann <the> Admin")
            first = await world.say("ann", "hello bot", to_bot=True)
            told = await bot.message("hello bot")
            assert told == Message(first, place(world), ann, "Ann <the> Admin", "hello bot", first, addressed=True)
            await world.say("bob", "bot is a word, and so is @bot")
            assert not (await bot.message("bot is a word, and so is @bot")).addressed
            await world.say("bob", "me too", thread=first)
            assert (await bot.message("me too")).place == Place("", world.channel, first)
            alone = await world.direct("eve")
            await world.say("eve", "psst", channel=alone)
            assert (await bot.message("psst")).place == Place("", alone, direct=True)
            await world.say("robot", "I am one", to_bot=True)
            assert (await bot.message("I am one")).machine
            own = await bot.adapter.send(place(world, first), [plain("I, too")], "k")
            mine = await bot.message("I, too")
            assert (mine.id, mine.user, mine.machine) == (own, bot_id, True)
            assert "from before" not in bot.texts()
            assert len({event.event for event in bot.heard.events}) == len(bot.heard.events) == 6

    in_world(story)


PILL = '<a href="https://matrix.to/#/{bot}">Bot</a>'
SAID: dict[str, tuple[str, str | None, dict[str, Any] | None, str, bool]] = {
    "old pill": ("bot: x", f"<p>{PILL}, restart <b>web</b></p>", None, "restart web", True),
    "pill without mention": ("bot: x", f"{PILL}: a", {"user_ids": []}, "a", False),
    "answer to the bot": ("yes", None, {"user_ids": ["{bot}"]}, "yes", True),
    "mention without html": ("bot: yes", None, {"user_ids": ["{bot}"]}, "yes", True),
    "name within a word": ("bottle it", None, {"user_ids": ["{bot}"]}, "bottle it", True),
    "everyone": ("@room x", None, {"room": True}, "@room x", False),
    "code": ("x", "<pre><code class='language-sh'>/stop\nnow\n</code></pre>", {}, "```sh\n/stop\nnow\n```", False),
    "fence in code": ("x", "<pre>a ``` b</pre>", {}, "````\na ``` b\n````", False),
    "short code": ("x", "run <code>ls -l</code>", {}, "run `ls -l`", False),
    "link": ("x", "see <a href='https://a.example/?x&amp;y'>it</a>", {}, "see it (https://a.example/?x&y)", False),
    "bare link": ("x", "<a href='https://a.example'>https://a.example/</a>", {}, "https://a.example/", False),
    "person": ("x", "<a href='https://matrix.to/#/@eve:x.example'>Eve</a> did", {}, "@Eve did", False),
    "reply": ("x", "<mx-reply>In reply to …</mx-reply>and now", {}, "and now", False),
    "paragraphs": ("x", "<p>one</p><p>two<br>three</p>", {}, "one\n\ntwo\nthree", False),
    "list": ("x", "<ol><li>a</li><li>b</li></ol>", {}, "1. a\n2. b", False),
    "entities": ("x", "a &lt;b&gt; &amp;amp; &quot;c&quot;", {}, 'a <b> &amp; "c"', False),
    "not shown": ("x", "a <!-- hidden -->b<script>evil</script> 1 < 2", {}, "a b 1 < 2", False),
    "torn": ("x", "<<<<a href=", {}, "<<<<a href=", False),
    "emoji": ("😀👍🏽", None, {}, "😀👍🏽", False),
}


def test_messages_are_read_as_people_see_them() -> None:
    async def story(world: World) -> None:
        def own(value: Any) -> Any:
            return json.loads(json.dumps(value).replace("{bot}", world.user("bot")))

        async with listening(world) as bot:
            for case, (body, html, mentions, text, addressed) in SAID.items():
                content = {"msgtype": "m.text", "body": body}
                if html is not None:
                    content |= {"format": "org.matrix.custom.html", "formatted_body": own(html)}
                if mentions is not None:
                    content["m.mentions"] = own(mentions)
                id = await world.put("ann", world.channel, "m.room.message", content)
                told = await bot.until(lambda events, id=id: next((e for e in events if e.event == id), None))
                assert (told.text, told.addressed) == (text, addressed), case

    in_world(story)


def test_edits_and_deletions_are_told_if_they_are_by_the_author() -> None:
    async def story(world: World) -> None:
        async with listening(world) as bot:
            root = await world.say("ann", "root")
            said = await world.say("ann", "restart web", thread=root)
            await world.change("eve", world.channel, said, "restart all")
            await world.change("ann", world.channel, said, "restart db")
            edited = await bot.until(lambda events: [e for e in events if isinstance(e, Edited)])
            assert [(e.message.id, e.message.text, e.message.user) for e in edited] == [
                (said, "restart db", world.user("ann"))
            ]
            assert edited[0].message.place == Place("", world.channel, root)
            assert edited[0].event not in (said, root)
            await world.press("ann", world.channel, said, "approve")
            reaction = (await world.events(world.channel))[-1]["event_id"]
            await world.delete("ann", world.channel, reaction)
            await world.delete("ann", world.channel, said)
            deleted = await bot.until(lambda events: [e for e in events if isinstance(e, Deleted)])
            assert [(e.id, e.user, e.place.thread) for e in deleted] == [(said, world.user("ann"), root)]
            cursor = bot.heard.cursor
        # another process knows the authors, too
        async with listening(world, Heard(cursor=cursor)) as bot:
            await world.change("eve", world.channel, root, "not hers")
            await world.change("ann", world.channel, root, "hers")
            edited = await bot.until(lambda events: [e for e in events if isinstance(e, Edited)])
            assert [e.message.text for e in edited] == ["hers"]

    in_world(story)


def test_the_same_events_come_again_with_the_same_ids() -> None:
    async def story(world: World) -> None:
        async with listening(world) as bot:
            said = [await world.say("ann", f"m{number}") for number in range(3)]
            await world.change("ann", world.channel, said[0], "changed")
            await bot.until(lambda events: len(events) == 4)
            await world.redeliver()
            await bot.until(lambda events: len(events) == 8)
            events = [event.event for event in bot.heard.events]
            assert events[:4] == events[4:]
            assert bot.heard.events[:4] == bot.heard.events[4:]

    in_world(story)


def test_what_was_missed_is_read_in_order_and_nothing_twice() -> None:
    async def story(world: World) -> None:
        async with listening(world) as bot:
            await world.say("ann", "the last")
            await bot.message("the last")
        cursor = bot.heard.cursor
        assert cursor is not None
        assert len(cursor) < 2000
        # more than one answer of the server holds
        await asyncio.gather(*(world.say("ann", f"m{number}") for number in range(230)))
        expected = [one.text for one in await world.seen(world.channel)][1:]
        assert len(expected) == 230
        await world.say("ann", "elsewhere", channel=world.other)
        async with listening(world, Heard(cursor=cursor)) as later:
            await later.message("elsewhere")
            assert [text for text in later.texts() if text != "elsewhere"] == expected
            for number in range(5):
                await world.drop()
                await world.say("bob", f"d{number}")
            await later.message("d4")
            assert later.texts()[-5:] == [f"d{number}" for number in range(5)]

    in_world(story)


def test_a_killed_server_loses_nothing_and_sends_nothing_twice() -> None:
    async def story(world: World) -> None:
        async with listening(world) as bot:
            said = await bot.adapter.send(place(world), [plain("once")], "the key")
            restarted = asyncio.create_task(world.restart())
            kept: list[str] = []
            for number in range(1000):
                if restarted.done() and len(kept) > 20:
                    break
                try:
                    await world.say("ann", f"m{number}")
                    kept.append(f"m{number}")
                except (OSError, ClientError):  # people, too, cannot write while it is down
                    await asyncio.sleep(0.02)
            await restarted
            await bot.message(kept[-1])
            assert [text for text in bot.texts() if text in kept] == kept
            assert bot.heard.down
            cursor = bot.heard.cursor
        async with listening(world, Heard(cursor=cursor)) as later:
            assert await later.adapter.send(place(world), [plain("once")], "the key") == said
            assert len([one for one in await world.seen(world.channel) if one.text == "once"]) == 1

    in_world(story)


def test_the_bot_goes_where_those_invite_it_who_may_and_hears_what_is_said_since() -> None:
    async def story(world: World) -> None:
        world.keys["invites"] = [world.user("ann")]
        pending = await world.room("ann", ("bot",), join=False, name="Pending")
        await world.say("ann", "too early", channel=pending)
        async with listening(world) as bot:
            room = await world.room("ann", (), name="Later")
            await world.say("ann", "before", channel=room)
            await world.ask("ann", "POST", f"v3/rooms/{quote(room)}/invite", {"user_id": world.user("bot")})
            await world.say("ann", "welcome", channel=room)
            await bot.message("welcome")
            await world.say("ann", "pending", channel=pending)
            await bot.message("pending")
            strange = await world.room("eve", ("bot",), join=False, name="Strange")
            await world.say("ann", "and on")
            await bot.message("and on")
            members = await world.ask("eve", "GET", f"v3/rooms/{quote(strange)}/joined_members")
            assert list(members["joined"]) == [world.user("eve")]
            assert bot.texts() == ["welcome", "pending", "and on"]
        world.keys["invites"].append(world.user("eve"))
        async with listening(world, Heard(cursor=bot.heard.cursor)):
            await world.joined("bot", strange)

    in_world(story)


def test_a_private_talk_is_one_while_nobody_else_is_there() -> None:
    async def story(world: World) -> None:
        talk = await world.direct("bob")
        small = await world.room("ann", ("bob", "bot"))  # without a name, but for three
        heard = Heard()
        for round in ("first", "again"):
            async with listening(world, Heard(cursor=heard.cursor)) as bot:
                await world.say("bob", round, channel=talk)
                assert (await bot.message(round)).place == Place("", talk, direct=True)
                await world.say("bob", f"{round} of three", channel=small)
                assert (await bot.message(f"{round} of three")).place == Place("", small)
                heard = bot.heard
        await world.ask("bob", "POST", f"v3/rooms/{quote(talk)}/invite", {"user_id": world.user("eve")})
        for round in ("with eve", "still"):
            async with listening(world, Heard(cursor=heard.cursor)) as bot:
                await world.say("bob", round, channel=talk)
                assert not (await bot.message(round)).place.direct
                heard = bot.heard

    in_world(story)


def test_decisions_are_reactions_to_the_bots_own_messages() -> None:
    async def story(world: World) -> None:
        async with listening(world) as bot:
            root = await world.say("ann", "deploy")
            asked = await bot.adapter.send(place(world, root), [plain("May I?")], "q", BOTH)
            assert await bot.adapter.send(place(world, root), [plain("May I?")], "q", BOTH) == asked
            (seen,) = await world.seen(world.channel, root)
            assert (seen.id, seen.offers, seen.edits) == (asked, ("approve", "reject"), 0)
            await world.press("eve", world.channel, root, "approve")  # not the bot's message
            for key in ("👍", "yes", "✅✅"):
                relation = {"rel_type": "m.annotation", "event_id": asked, "key": key}
                await world.put("eve", world.channel, "m.reaction", {"m.relates_to": relation})
            await world.press("bob", world.channel, asked, "reject")
            pressed = await bot.until(lambda events: [e for e in events if isinstance(e, Pressed)])
            assert pressed == [
                Pressed(pressed[0].event, place(world, root), world.user("bob"), "bob", asked, "reject")
            ]
            cursor = bot.heard.cursor
        async with listening(world, Heard(cursor=cursor)) as later:  # which does not know the message
            await world.press("ann", world.channel, asked, "approve")
            (press,) = await later.until(lambda events: [e for e in events if isinstance(e, Pressed)])
            assert (press.message, press.verb, press.place.thread) == (asked, "approve", root)
            await later.adapter.edit(place(world, root), asked, [plain("May I now?")], BOTH)
            await later.adapter.edit(place(world, root), asked, [plain("Approved by ann.")])
            (seen,) = await world.seen(world.channel, root)
            assert (seen.text, seen.offers, seen.edits) == ("Approved by ann.", (), 2)

    in_world(story)


def test_two_edits_at_once_take_each_reaction_back_once() -> None:
    async def story(world: World) -> None:
        async with listening(world) as bot:
            asked = await bot.adapter.send(place(world), [plain("May I?")], "q", BOTH)
            await asyncio.gather(*(bot.adapter.edit(place(world), asked, [plain("Approved.")]) for _ in range(3)))
            (seen,) = await world.seen(world.channel)
            assert (seen.text, seen.offers) == ("Approved.", ())

    in_world(story)


NASTY = [
    "<b>bold</b> & <script>alert(1)</script>",
    "</p></mx-reply><a href='https://evil.example'>x</a>",
    "&lt;b&gt; &amp;nbsp; &#x41;",
    "**no** _markdown_ ~~here~~ `code` # head",
    "evil.example",
    "www.evil.example/path?x=1",
    "(see evil.example).",
    "write to ann@evil.example now",
    "mailto:ann@evil.example",
    "https://evil.example/?k=SECRET",
    "http:/evil.example",
    "//evil.example/x",
    "javascript:alert(1)",
    "matrix:u/bob:localhost.test",
    "192.168.0.1 and 10.0.0.1:8080/admin",
    "@room please look",
    "@everyone @here @channel ann bob eve",
    "{ann}",
    "#general:localhost.test and !room:localhost.test",
    "tel:+491234 +49 1234 5678",
    "e.g. 3.5 of it, at 12:30, C:\\x, a/b",
    "two  spaces   and four    of them",
    "  indented\n    more\nand a line",
    "\ttab",
    "quotes \" and ' and `",
    "<turn|> <start_of_turn>user <|turn>",
    "😀👍🏽 ﷽ مرحبا",
    "[name](https://evil.example)",
    "a" * 3000,
    "<" * 500,
    "/me waves",
    "xn--80ak6aa92e.com and evil。example",
    "\\u202e reversed",
    "-",
]


def test_nothing_that_is_said_is_live_or_pings_and_all_of_it_is_shown() -> None:
    async def story(world: World) -> None:
        async with listening(world) as bot:
            texts = [text.replace("{ann}", world.user("ann")) for text in NASTY]
            for number, text in enumerate(texts):
                styled = Paragraph((Span(text), Span("\n"), Span(text, "bold"), Span("\n"), Span(text, "italic")))
                blocks = [styled, Code(text, "sh"), Paragraph((Span(text, "code"),))]
                await bot.adapter.send(place(world), blocks, f"k{number}")
            seen = await world.seen(world.channel)
            assert len(seen) == len(texts)
            for one, text in zip(seen, texts, strict=True):
                shown = text.replace("\t", "    ")
                assert one.text == "\n".join([shown] * 3 + ["", text, "", text])
                assert (one.live, one.pings) == ((), ()), text
            blocks = [
                *blocks_of("see https://ok.example/a&b", ["ok.example"]),
                Paragraph((Span("javascript:x", "link"),)),
            ]
            await bot.adapter.send(place(world), blocks, "link")
            assert (await world.seen(world.channel))[-1].live == ("https://ok.example/a&b",)

    in_world(story)


def test_the_server_itself_highlights_nobody_for_what_the_bot_says() -> None:
    async def story(world: World) -> None:
        limits = iter(range(1, 10))

        async def highlights() -> int:
            fresh = json.dumps({"room": {"timeline": {"limit": next(limits)}}})  # the same is answered as before
            rooms = (await world.ask("ann", "GET", "v3/sync", filter=fresh))["rooms"]["join"]
            return int(rooms[world.channel]["unread_notifications"]["highlight_count"])

        async with listening(world) as bot:
            assert await highlights() == 0
            text = f"@room ann {world.user('ann')} {world.user('ann')[1:].split(':')[0]}"
            asked = await bot.adapter.send(place(world), [plain(text)], "k", BOTH)
            await bot.adapter.edit(place(world), asked, [plain(f"{text} again")])
            assert await highlights() == 0
            mention = {"msgtype": "m.text", "body": "ann!", "m.mentions": {"user_ids": [world.user("ann")]}}
            await world.put("bob", world.channel, "m.room.message", mention)
            assert await highlights() == 1  # so it does count them

    in_world(story)


def test_the_longest_message_is_taken_and_can_be_edited() -> None:
    async def story(world: World) -> None:
        async with listening(world) as bot:
            for unit in ("é", '"\\<&\n', "evil.example "):
                blocks = [plain(unit * 100), Code(unit * 100)]
                while bot.adapter.length(blocks) < bot.adapter.traits.most:
                    longest, blocks = blocks, [*blocks, plain(unit * 100)]
                id = await bot.adapter.send(place(world), longest, unit)
                await bot.adapter.edit(place(world), id, longest)
                (seen,) = [one for one in await world.seen(world.channel) if one.id == id]
                assert seen.edits == 1
                assert seen.text.count(unit.strip()) > 500

    in_world(story)


def test_refusals_of_the_server_are_told_apart() -> None:
    async def story(world: World) -> None:
        async with listening(world) as bot:
            send = bot.adapter.send
            mine = await send(place(world), [plain("one")], "1")
            world.refuse(7)
            with pytest.raises(TooFast) as fast:
                await send(place(world), [plain("two")], "2")
            assert fast.value.seconds == 7
            world.refuse(0.5)
            with pytest.raises(TooFast) as fast:
                await bot.adapter.edit(place(world), mine, [plain("three")])
            assert fast.value.seconds == 0.5
            assert [request.refused for request in world.requests if request.what != "other"] == [0, 7, 0.5]
            for status in (502, 404, 200):  # 404: what some proxies say while the server is down

                def page(request: web.Request, status: int = status) -> web.Response | None:
                    return web.Response(status=status, text="<html>") if request.method == "PUT" else None

                world.instead = page
                with pytest.raises(Unreachable):
                    await send(place(world), [plain("four")], "4")
            world.instead = lambda request: None
            world.forbid(world.channel)
            for where in (world.channel, "!gone:localhost.test", "nonsense"):
                with pytest.raises(NotThere):
                    await send(Place("", where), [plain("five")], "5")
            with pytest.raises(NotThere):
                await bot.adapter.edit(place(world), mine, [plain("six")])

    in_world(story)


def test_the_limit_of_a_real_server_is_understood() -> None:
    async def story(world: World) -> None:
        admin = await asyncio.to_thread(world.server.register, f"admin{world.server.count}", admin=True)
        path = f"/_synapse/admin/v1/users/{quote(world.user('bot'))}/override_ratelimit"
        limit = {"messages_per_second": 1, "burst_count": 1}
        async with listening(world) as bot:
            world.server.ask("POST", path, admin["access_token"], limit)
            sent = [bot.adapter.send(place(world), [plain("x")], f"{number}") for number in range(5)]
            with pytest.raises(TooFast) as fast:
                await asyncio.gather(*sent)
            assert 0 < fast.value.seconds <= 5

    in_world(story)


def test_a_server_that_is_down_is_unreachable_and_the_bot_waits_for_it() -> None:
    async def story(world: World) -> None:
        world.instead = lambda request: web.Response(status=503)
        heard = Heard()
        adapter = world.adapter()
        with pytest.raises(Unreachable):
            await adapter.send(place(world), [plain("x")], "1")  # it does not listen yet
        task = asyncio.create_task(adapter.listen(heard))
        await asyncio.sleep(0)
        with pytest.raises(Unreachable):
            await adapter.send(place(world), [plain("x")], "1")
        await until(lambda: heard.down)
        world.instead = lambda request: None
        await Bot(adapter, heard, task).until(lambda _: heard.up == 1)
        assert len(heard.down) == 1
        await Bot(adapter, heard, task).stop()

    in_world(story)


def test_where_the_bot_was_is_forgotten_only_if_the_server_knows_nothing_of_it() -> None:
    async def story(world: World) -> None:
        async with listening(world) as bot:
            await world.say("ann", "one")
            await bot.message("one")
            world.instead = lambda request: web.Response(status=404, text="404 page not found")
            await world.drop()
            await bot.until(lambda _: bot.heard.down)
            await world.say("ann", "two")
            world.instead = lambda request: None
            await bot.message("two")
        for cursor in ("nonsense", "[]", json.dumps({"user": world.user("bot"), "since": "nonsense"})):
            async with listening(world, Heard(cursor=cursor)) as bot:
                await world.say("ann", f"after {cursor}")
                await bot.message(f"after {cursor}")
                assert len(bot.texts()) == 1

    in_world(story)


def test_a_revoked_token_ends_it_within_seconds() -> None:
    async def story(world: World) -> None:
        async with listening(world) as bot:
            world.revoke()
            with pytest.raises(Revoked) as caught:
                await bot.adapter.send(place(world), [plain("x")], "1")
            assert world.keys["token"] not in str(caught.value)
            with pytest.raises(Revoked):
                async with asyncio.timeout(10):
                    await bot.task
        with pytest.raises(Revoked):
            await world.adapter().listen(Heard())

    with suppress(Revoked):
        in_world(story)


def test_a_password_does_and_a_wrong_one_or_another_account_does_not() -> None:
    async def story(world: World) -> None:
        name = world.user("bot")[1:].split(":")[0]
        world.keys = {**world.keys, "password": f"pw-{name}", "device": "OPS"}
        token = world.keys.pop("token")
        async with listening(world) as bot:
            said = await bot.adapter.send(place(world), [plain("x")], "1")
        async with listening(world, Heard(cursor=bot.heard.cursor)) as again:  # a new token, the same device
            assert await again.adapter.send(place(world), [plain("x")], "1") == said
        world.keys["password"] = "wrong"
        with pytest.raises(Revoked, match="does not let") as caught:
            await world.adapter().listen(Heard())
        assert "wrong" not in str(caught.value)
        world.keys |= {"token": token, "user": world.user("ann")}
        with pytest.raises(Revoked, match="the key `user` says"):
            await world.adapter().listen(Heard())

    in_world(story)


def test_files_come_from_the_homeserver_only_and_not_larger_than_allowed() -> None:
    async def story(world: World) -> None:
        content = bytes(range(256)) * 1000
        elsewhere: list[web.Request] = []
        async with listening(world) as bot:
            await world.say("ann", "the log", files=[Upload("../../etc/a b.log", "text/plain", content)])
            told = await bot.message("the log")
            (file,) = told.files
            assert (file.name, file.mime, file.size) == ("../../etc/a b.log", "text/plain", len(content))
            assert world.keys["token"] not in json.dumps(dict(file.reference))
            await world.say("ann", "", files=[Upload("a.png", "image/png", b"png"), Upload("b.bin", "x/y", b"b")])
            await bot.until(lambda events: [e for e in events if isinstance(e, Message) and e.files][2:])
            assert [(e.text, e.files[0].name) for e in bot.heard.events[-2:]] == [("", "a.png"), ("", "b.bin")]
            assert await bot.adapter.fetch(file, len(content)) == content
            with pytest.raises(NotThere, match="larger than"):
                await bot.adapter.fetch(file, len(content) - 1)
            for wrong in (
                "https://evil.example/x",
                "mxc://localhost.test/../../x",
                "mxc://a/b?c",
                "",
                "mxc://evil.example/gone",
            ):
                with pytest.raises((NotThere, Unreachable)):
                    await bot.adapter.fetch(File("x", "", None, {"mxc": wrong}), 100)
            with pytest.raises(NotThere):
                await bot.adapter.fetch(File("x", "", None, {"mxc": "mxc://localhost.test/gone"}), 100)

            async def caught(request: web.Request) -> web.Response:
                elsewhere.append(request)
                return web.Response(text="evil")

            app = web.Application()
            app.router.add_get("/{path:.*}", caught)
            runner = web.AppRunner(app)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            away = f"http://127.0.0.1:{runner.addresses[0][1]}/file"
            world.instead = lambda request: (
                web.Response(status=307, headers={"Location": away}) if "/media/" in request.path else None
            )
            with pytest.raises(NotThere):
                await bot.adapter.fetch(file, 100)
            await runner.cleanup()
            assert not elsewhere

    in_world(story)


def test_what_could_not_be_kept_is_not_acknowledged() -> None:
    async def story(world: World) -> None:
        heard = Full()
        async with listening(world, heard) as bot:
            await world.say("ann", "keep me")
            await bot.message("keep me")
            assert (bot.texts(), heard.failures, heard.down) == (["keep me"], 0, [])

    in_world(story)


def test_a_cancelled_bot_leaves_nothing_open(caplog: pytest.LogCaptureFixture) -> None:
    async def story(world: World) -> None:
        caplog.set_level(logging.DEBUG)
        before = asyncio.all_tasks()
        async with listening(world) as bot:
            await world.say("ann", "a word in private", to_bot=True)
            await bot.message("a word in private")
            await bot.adapter.send(place(world), [plain("and back")], "k")
            await world.drop()
        await world.left()
        ours = [task for task in asyncio.all_tasks() - before if "aiohttp/web" not in repr(task)]
        assert not ours
        del bot
        gc.collect()
        for secret in (world.keys["token"], "a word in private", "and back"):
            assert secret not in caplog.text

    in_world(story)


HOSTILE: list[dict[str, Any]] = [
    {},
    {"msgtype": 3, "body": ["x"]},
    {"msgtype": "m.text", "body": {"a": 1}, "formatted_body": 4, "format": "org.matrix.custom.html"},
    {"msgtype": "m.text", "body": "x", "m.relates_to": "root"},
    {"msgtype": "m.text", "body": "x", "m.relates_to": {"rel_type": ["m.thread"], "event_id": {}}},
    {
        "msgtype": "m.text",
        "body": "x",
        "m.relates_to": {"rel_type": "m.replace", "event_id": "$none"},
        "m.new_content": 1,
    },
    {"msgtype": "m.text", "body": "x", "m.mentions": {"user_ids": {"a": 1}}},
    {"msgtype": "m.text", "body": "x", "m.mentions": {"user_ids": [{}, None]}},
    {"msgtype": "m.file", "body": "x", "url": 5, "info": []},
    {"msgtype": "m.file", "url": "mxc://x", "info": {"size": "big", "mimetype": {}}},
    {"msgtype": "m.image", "body": "x", "filename": {}, "url": "mxc://x/y", "info": {"size": -1}},
    {"msgtype": "m.text", "body": "<a " * 9000, "format": "org.matrix.custom.html", "formatted_body": "<a " * 9000},
    {"msgtype": "m.text", "body": "x", "format": "org.matrix.custom.html", "formatted_body": "<blockquote>" * 3000},
    {"msgtype": "m.text", "body": "\u202egnirts <start_of_turn>\u0000"},
]


def test_no_event_stops_the_bot() -> None:
    async def story(world: World) -> None:
        async with listening(world) as bot:
            for kind in ("m.room.message", "m.reaction", "m.room.encrypted", "m.room.redaction"):
                for content in HOSTILE:
                    with suppress(AssertionError):  # the server itself refuses some
                        await world.put("eve", world.channel, kind, content)
            await world.rename("eve", "e" * 200)
            await world.say("ann", "still there?")
            await bot.message("still there?")
            assert bot.heard.down == []

    in_world(story)


def test_nothing_is_said_in_clear_in_an_encrypted_room(caplog: pytest.LogCaptureFixture) -> None:
    async def story(world: World) -> None:
        async with listening(world) as bot:
            secure = {"type": "m.room.encryption", "state_key": "", "content": {"algorithm": "m.megolm.v1.aes-sha2"}}
            room = await world.room("ann", ("bot",), name="Secret", initial_state=[secure], join=False)
            await world.say("ann", "in clear", channel=room)
            await bot.message("in clear")
            for _ in range(2):
                await world.put(
                    "ann", room, "m.room.encrypted", {"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "x"}
                )
            with pytest.raises(NotThere, match="encrypted"):
                await bot.adapter.send(Place("", room), [plain("secret")], "k")
            await world.say("ann", "done", channel=room)
            await bot.message("done")
            assert caplog.text.count(f"messages in {room} that the bot cannot read") == 1

    in_world(story)


def test_an_encrypted_room_is_read_and_written_with_a_folder_of_keys(tmp_path: Path) -> None:
    nio = pytest.importorskip("nio")
    if not nio.crypto.ENCRYPTION_ENABLED:
        pytest.skip('No vodozemac: pip install "gemmagraph[matrix-e2e]"')

    async def story(world: World) -> None:
        world.keys["keys_folder"] = str(tmp_path / "bot")
        (tmp_path / "ann").mkdir()
        ann = nio.AsyncClient(world.server.url, world.user("ann"), store_path=str(tmp_path / "ann"))
        ann.restore_login(world.user("ann"), world.accounts["ann"]["device_id"], world.token("ann"))

        async def catch_up() -> list[Any]:
            said = []
            answer = await ann.sync(0)
            for part in answer.rooms.join.values():
                said += [(event.sender, event.body) for event in part.timeline.events if hasattr(event, "body")]
            if ann.should_upload_keys:
                await ann.keys_upload()
            if ann.should_query_keys:
                await ann.keys_query()
            return said

        async def say(text: str) -> None:
            await catch_up()
            content = {"msgtype": "m.text", "body": text}
            await ann.room_send(room, "m.room.message", content, ignore_unverified_devices=True)

        await catch_up()
        secure = {"type": "m.room.encryption", "state_key": "", "content": {"algorithm": "m.megolm.v1.aes-sha2"}}
        async with listening(world) as bot:
            room = await world.room("ann", ("bot",), name="Secret", initial_state=[secure], join=False)
            await world.joined("bot", room)
            await say("for the bot only")
            assert not (await bot.message("for the bot only")).place.direct
            asked = await bot.adapter.send(Place("", room), [plain("secret answer")], "k", BOTH)
            said = await catch_up()
            assert (world.user("bot"), "secret answer") in said
            await bot.adapter.edit(Place("", room), asked, [plain("decided")])
            assert "secret" not in json.dumps(await world.events(room))
            cursor = bot.heard.cursor
        await say("while it was away")
        async with listening(world, Heard(cursor=cursor)) as later:
            await later.message("while it was away")
        await ann.close()

    in_world(story)
