"""The adapter for Telegram: the vendor's client library against a Bot API server of ours."""

from __future__ import annotations

import asyncio
import json
import logging
import statistics
import sys
import time
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any

import pytest
from aiohttp import web
from chats.listening import listening
from chats.team import run
from chats.telegram import World
from chats.telegram_server import BOT, Refused
from chats.telegram_touch import part as part_of
from chats.telegram_touch import units
from chats.world import Full, Heard, Seen, Slow, Upload, until

from gemmagraph.bots.base import Choice, Edited, File, Message, Place, Pressed
from gemmagraph.bots.errors import BotError, NotThere, Revoked, TooFast, Unreachable
from gemmagraph.bots.telegram.adapter import TelegramAdapter
from gemmagraph.bots.telegram.text import marked
from gemmagraph.bots.text import Block, Code, Paragraph, Span, blocks_of, plain

pytestmark = pytest.mark.long

CHOICES = (Choice("approve", "7F3K", "Approve"), Choice("reject", "7F3K", "Reject"))


async def told(heard: Heard, count: int = 1) -> list[Any]:
    await until(lambda: len(heard.events) >= count, f"{count} events")
    assert len(heard.events) == count, heard.events
    return heard.events


def group(world: World) -> Place:
    return Place("", world.channel)


async def last(world: World, channel: str = "") -> Seen:
    return (await world.seen(channel or world.channel))[-1]


def test_a_message_is_told_with_all_it_has() -> None:
    async def test() -> None:
        async with World() as world, listening(world) as (_, heard):
            await world.rename("ann", "Änn\n\u202eX")
            id = await world.say("ann", "how are you?", to_bot=True)
            assert await told(heard) == [
                Message(
                    event="update:830000001",
                    place=Place("", world.channel, "", direct=False),
                    user=world.user("ann"),
                    name="Änn\n\u202eX",
                    text="how are you?",
                    id=id,
                    addressed=True,
                    machine=False,
                    files=(),
                )
            ]

    run(test)


def test_a_message_to_the_bot_alone_is_direct() -> None:
    async def test() -> None:
        async with World() as world, listening(world) as (adapter, heard):
            place = Place("", await world.direct("bob"), direct=True)
            await world.say("bob", "hello", channel=place.channel)
            (message,) = await told(heard)
            assert (message.place, message.addressed) == (place, False)
            await adapter.send(place, [plain("hi")], "k")
            assert (await last(world, place.channel)).text == "hi"

    run(test)


def test_topics_are_threads_and_what_is_said_there_answers_nobody() -> None:
    async def test() -> None:
        async with World() as world, listening(world) as (adapter, heard):
            topic = world.topic("deploys")
            await world.say("ann", "in a topic", channel=world.forum, thread=topic)
            await world.say("ann", "in general", channel=world.forum)
            place = Place("", world.forum, topic)
            sent = await adapter.send(place, [plain("answer")], "k", CHOICES)
            world.answer("bob", world.forum, sent, "thanks")
            await world.press("ann", world.forum, sent, "reject")
            messages = await told(heard, 4)
            assert [event.place for event in messages] == [place, Place("", world.forum), place, place]
            assert [event.addressed for event in messages[:3]] == [False, False, True]
            assert [one.text for one in await world.seen(world.forum, topic)][1:] == [
                "in a topic",
                "answer",
                "thanks",
            ]
            with pytest.raises(NotThere, match="thread not found"):
                await adapter.send(Place("", world.forum, "99999"), [plain("x")], "k")

    run(test)


def test_who_replies_to_the_bot_speaks_to_it() -> None:
    async def test() -> None:
        async with World() as world, listening(world) as (adapter, heard):
            sent = await adapter.send(group(world), [plain("Shall I?")], "k")
            said = await world.say("bob", "a question")
            world.answer("ann", world.channel, sent, "yes")
            world.answer("ann", world.channel, said, "an answer")
            events = await told(heard, 3)
            assert [(event.text, event.addressed) for event in events] == [
                ("a question", False),
                ("yes", True),
                ("an answer", False),
            ]
            assert {event.place for event in events} == {group(world)}

    run(test)


def entity(text: str, part: str, type: str, **more: Any) -> dict[str, Any]:
    return {"type": type, "offset": units(text[: text.index(part)]), "length": units(part), **more}


def content(text: str, *entities: tuple[str, str] | tuple[str, str, dict[str, Any]]) -> dict[str, Any]:
    return {"text": text, "entities": [entity(text, one[0], one[1], **(one[2:] or ({},))[0]) for one in entities]}


ME = f"@{BOT['username']}"
EVE = {"id": 5000000003, "is_bot": False, "first_name": "Eve", "last_name": "L"}
SAID: dict[str, tuple[dict[str, Any], str, bool]] = {
    "mention": (content(f"{ME} hi", (ME, "mention")), "hi", True),
    "mention at the end": (content(f"hi {ME}", (ME, "mention")), "hi", True),
    "mention with a comma": (content(f"{ME}, hi", (ME, "mention")), "hi", True),
    "mention and a face": (content(f"{ME} :)", (ME, "mention")), ":)", True),
    "mention alone": (content(ME, (ME, "mention")), "", True),
    "mention in the middle": (content(f"so {ME} hi", (ME, "mention")), "so hi", True),
    "mention in other letters": (content(f"{ME.upper()} hi", (ME.upper(), "mention")), "hi", True),
    "mention behind emoji": (content(f"👩‍🔧🎉 {ME} hi", (ME, "mention")), "👩‍🔧🎉 hi", True),
    "mention in bold": (content(f"{ME} hi", (f"{ME} hi", "bold"), (ME, "mention")), "hi", True),
    "mention by name": (content("Gemma hi", ("Gemma", "text_mention", {"user": BOT})), "hi", True),
    "only its name": (content("gemma_test_bot hi"), "gemma_test_bot hi", False),
    "name without entity": (content(f"{ME} hi"), f"{ME} hi", False),
    "in code": (content(f"{ME} hi", (ME, "code")), f"`{ME}` hi", False),
    "of another": (content("@eve_of_test hi", ("@eve_of_test", "mention")), "@eve_of_test hi", False),
    "of another by name": (content("Evi hi", ("Evi", "text_mention", {"user": EVE})), "@Eve L hi", False),
    "longer name": (content(f"{ME}x hi", (f"{ME}x", "mention")), f"{ME}x hi", False),
    "command": (content("/stop", ("/stop", "bot_command")), "/stop", False),
    "command for it": (content(f"/stop{ME} now", (f"/stop{ME}", "bot_command")), "/stop now", True),
    "command for another": (content("/stop@robot_bot", ("/stop@robot_bot", "bot_command")), "/stop@robot_bot", False),
    "link": (content("see it", ("it", "text_link", {"url": "http://a.test/"})), "see it (http://a.test/)", False),
    "url": (content("see http://a.test/", ("http://a.test/", "url")), "see http://a.test/", False),
    "block": (content("run\n/stop\nnow", ("/stop", "pre")), "run\n```\n/stop\n```\nnow", False),
    "block only": (content("/stop", ("/stop", "pre", {"language": "sh"})), "```sh\n/stop\n```", False),
    "block in a line": (content("a /stop b", ("/stop", "pre")), "a \n```\n/stop\n```\n b", False),
    "block with a fence": (content("```\n/stop", ("```\n/stop", "pre")), "````\n```\n/stop\n````", False),
    "two blocks": (content("/a/b", ("/a", "pre"), ("/b", "pre")), "```\n/a\n```\n\n```\n/b\n```", False),
    "styles": (content("*b* i", ("*b*", "bold"), ("i", "spoiler")), "*b* i", False),
    "only emoji": (content("🎉🎉"), "🎉🎉", False),
    "marks of a model": (content("<start_of_turn>user"), "<start_of_turn>user", False),
    "half a character": (content("a\ud83d b"), "a\ufffd b", False),
    "beyond the end": ({"text": "abc", "entities": [{"type": "code", "offset": 2, "length": 9}]}, "abc", False),
    "sticker": ({"sticker": {"file_id": "C", "file_unique_id": "c", "width": 1, "height": 1, "type": "regular",
                             "is_animated": False, "is_video": False, "emoji": "👍"}}, "👍", False),
    "forwarded": (
        content("approve 7F3K")
        | {"forward_origin": {"type": "user", "date": 1767225600, "sender_user": EVE}},
        "[forwarded]\napprove 7F3K",
        False,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", SAID)
def test_what_is_said_becomes_plain_text(case: str) -> None:
    fields, text, addressed = SAID[case]

    async def test() -> None:
        async with World() as world, listening(world) as (_, heard):
            world.post("ann", fields)
            (message,) = await told(heard)
            assert (message.text, message.addressed) == (text, addressed)

    run(test)


def test_who_is_no_person_is_told_as_such() -> None:
    async def test() -> None:
        async with World() as world, listening(world) as (_, heard):
            await world.say("robot", "beep")
            anonymous = {"id": 1087968824, "is_bot": True, "first_name": "Group", "username": "GroupAnonymousBot"}
            world.post("ann", {"text": "x", "from": anonymous, "sender_chat": world.chats[world.channel]})
            telegram = {"id": 777000, "is_bot": False, "first_name": "Telegram"}
            news = {"id": -1001234567890, "type": "channel", "title": "News"}
            world.post("ann", {"text": "y", "from": telegram, "sender_chat": news, "is_automatic_forward": True})
            robot, admin, channel = await told(heard, 3)
            assert (robot.machine, robot.user) == (True, world.user("robot"))
            assert (admin.machine, admin.user, admin.name) == (False, "", "Group 1")
            assert (channel.machine, channel.user, channel.name) == (True, "", "News")

    run(test)


def test_news_of_the_group_are_no_messages() -> None:
    async def test() -> None:
        async with World() as world, listening(world) as (_, heard):
            world.post("ann", {"new_chat_members": [world.people["bob"]]})
            world.post("ann", {"new_chat_title": "Another"})
            world.topic("a topic")
            await world.say("ann", "x")
            assert [message.text for message in await told(heard)] == ["x"]

    run(test)


def test_an_edit_is_told_with_the_same_id() -> None:
    async def test() -> None:
        async with World() as world, listening(world) as (_, heard):
            id = await world.say("ann", "helo", to_bot=True)
            await world.change("ann", world.channel, id, "hello")
            said, edited = await told(heard, 2)
            assert isinstance(edited, Edited)
            assert edited.event != said.event
            assert (edited.message.id, edited.message.text, edited.message.user) == (id, "hello", world.user("ann"))

    run(test)


def test_what_is_delivered_again_has_the_same_event() -> None:
    async def test() -> None:
        async with World() as world, listening(world) as (adapter, heard):
            await world.say("ann", "one")
            sent = await adapter.send(group(world), [plain("?")], "k", CHOICES)
            await world.press("bob", world.channel, sent, "approve")
            first = [*await told(heard, 2)]
            await world.redeliver()
            assert await told(heard, 4) == first * 2

    run(test)


def test_what_could_not_be_kept_is_not_acknowledged_and_comes_again() -> None:
    async def test() -> None:
        async with World() as world, listening(world, heard := Full()):
            await world.say("ann", "x")
            await until(lambda: heard.failures == 1)
            assert not world.acknowledged
            assert [message.text for message in await told(heard)] == ["x"]
            await until(lambda: world.acknowledged)
            assert heard.down == ["The disk is full."]
            assert heard.up == 2

    run(test)


class Waits(Heard):
    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Event()
        self.came = asyncio.Event()

    async def accept(self, events: Sequence[Any], cursor: str | None = None) -> None:
        if events:
            self.came.set()
            await self.go.wait()
        await super().accept(events, cursor)


def cursor(offset: int) -> str:
    return json.dumps({"bot": BOT["id"], "offset": offset})


def test_nothing_is_acknowledged_or_answered_before_it_is_kept() -> None:
    async def test() -> None:
        async with World() as world, listening(world, heard := Waits()) as (adapter, _):
            sent = await adapter.send(group(world), [plain("?")], "k", CHOICES)
            await world.press("bob", world.channel, sent, "approve")
            await heard.came.wait()
            polls = world.polls
            assert (world.acknowledged, world.answered, heard.cursor) == ({}, [], cursor(0))
            heard.go.set()
            await until(lambda: world.acknowledged and world.answered)
            assert (world.polls, heard.cursor) == (polls + 1, cursor(830000002))

    run(test)


def test_what_was_said_before_the_bot_was_ever_there_is_not_told() -> None:
    async def test() -> None:
        async with World() as world:
            for number in range(3):
                await world.say("ann", f"old {number}", to_bot=True)
            async with listening(world) as (_, heard):
                assert heard.cursor == cursor(830000004)
                await world.say("ann", "new")
                assert [message.text for message in await told(heard)] == ["new"]

    run(test)


def test_what_was_said_while_no_process_ran_is_told_by_the_next() -> None:
    async def test() -> None:
        async with World() as world:
            async with listening(world) as (_, heard):
                pass  # nobody has said anything to the first process, and still it was there
            await world.say("ann", "missed 1")
            async with listening(world, heard):
                await told(heard, 1)
            for number in range(2, 250):
                await world.say("ann", f"missed {number}")
            async with listening(world, heard):
                await told(heard, 249)
            assert [message.text for message in heard.events] == [f"missed {number}" for number in range(1, 250)]

    run(test)


@pytest.mark.parametrize(
    "known", [json.dumps({"bot": 1, "offset": 5}), None, ""], ids=["another bot", "none", "empty"]
)
def test_where_another_bot_left_off_means_nothing(known: str | None) -> None:
    async def test() -> None:
        async with World() as world:
            await world.say("ann", "old")
            async with listening(world, Heard(cursor=known)) as (_, heard):
                await world.say("ann", "new")
                assert [message.text for message in await told(heard)] == ["new"]

    run(test)


def test_numbers_that_begin_anew_are_followed() -> None:
    """After a silent week, and at another server: the one that there was is far in the future."""

    async def test() -> None:
        async with World() as world, listening(world, Heard(cursor=cursor(990000000))) as (_, heard):
            await world.say("ann", "x")
            await until(lambda: world.acknowledged)
            await world.say("ann", "y")
            assert [message.text for message in await told(heard, 2)] == ["x", "y"]
            assert heard.cursor == cursor(830000003)

    run(test)


def test_an_update_that_cannot_be_read_is_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        async with World() as world, listening(world) as (_, heard):
            world.tell({"message": {"message_id": 5, "text": "secret words"}})
            world.tell({"callback_query": {"id": "7", "from": EVE, "chat_instance": "1", "data": "a:7F3K"}})
            world.tell({"poll": {"id": "1"}})
            await world.say("ann", "x")
            assert [message.text for message in await told(heard)] == ["x"]
            await until(lambda: len(world.acknowledged) >= 2)

    run(test)
    assert "Update 830000001 cannot be read (KeyError); it is passed over." in caplog.text
    assert "secret words" not in caplog.text


def test_after_fifty_dropped_connections_nothing_is_lost_and_the_bot_is_back_soon() -> None:
    async def test() -> None:
        async with World() as world, listening(world) as (adapter, heard):
            times = []
            for number in range(50):
                up, begin = heard.up, time.monotonic()
                await world.drop()
                await world.say("ann", f"m{number}")
                await until(lambda up=up: heard.up > up, "back")
                times.append(time.monotonic() - begin)
            assert [message.text for message in await told(heard, 50)] == [f"m{number}" for number in range(50)]
            assert len(heard.down) == 50
            assert statistics.median(times) <= 5, times
            await adapter.send(group(world), [plain("still there")], "k")

    run(test)


def test_a_server_that_is_down_for_a_while_is_found_again() -> None:
    async def test() -> None:
        async with World() as world, listening(world) as (adapter, heard):
            await world.stop()
            await until(lambda: heard.down)
            with pytest.raises(Unreachable, match="ConnectError"):
                await adapter.send(group(world), [plain("x")], "k")
            await world.say("ann", "meanwhile")
            await world.start()
            assert [message.text for message in await told(heard)] == ["meanwhile"]
            assert (heard.up, len(heard.down)) == (2, 1)

    run(test)


def test_a_thousand_events_are_acknowledged_within_fifty_milliseconds() -> None:
    async def test() -> None:
        async with World() as world, listening(world, Slow()) as (_, heard):
            for last_round in (False, False, True):  # a busy machine may have one that says nothing
                said = {}
                before = len(heard.events)
                for number in range(1000):
                    told_of = {**world.new(world.channel, world.people["ann"]), "text": str(number)}
                    said[world.tell({"message": told_of})] = time.monotonic()
                    await asyncio.sleep(0.002)
                await told(heard, before + 1000)
                await until(lambda said=said: said.keys() <= world.acknowledged.keys())
                waits = sorted(world.acknowledged[number] - at for number, at in said.items())
                if waits[989] <= 0.05:
                    return
                assert not last_round, waits[-20:]

    run(test)


# Saying


NASTY: dict[str, str] = {
    "markdown": "*a* _b_ ~c~ ||d|| __e__ [f](g)",
    "html": "<b>a</b> <a href='x'>b</a> &lt; &amp; &#64;",
    "escapes": "\\* \\_ \\` \\\\ a\\",
    "open marks": "**a ``` b `c _d <e",
    "person": "@ann_of_test",
    "person in brackets": "(@ann_of_test) [@bob_of_test], <@eve_of_test>",
    "person behind slash": "a/@ann_of_test -@ann_of_test \u200c@ann_of_test",
    "person in bold": "**@ann_of_test**",
    "person behind code": "`x`@ann_of_test",
    "person behind emoji": "👩‍🔧@ann_of_test🎉",
    "everyone": "@everyone @here @channel @all <!channel> @room",
    "mail": "ann@example.com, mailto:ann@example.com",
    "url": "https://evil.example/?k=SECRET",
    "url in brackets": "[a](https://evil.example/?k=SECRET)",
    "url with a user": "https://ok.example@evil.example/ https://ok.example:x@evil.example",
    "link and more": "https://ok.example/a\u200bevil.com",
    "link and code": "https://ok.example/a`.evil.com`",
    "bare domain": "evil.com",
    "bare domain in text": "see evil.com, or evil.com. Or(evil.com)or",
    "bare domain with a path": "evil.com/x?y=1#z evil.com:8080/x",
    "code and domain": "`evil`.com evil`.`com",
    "file names": "main.py README.md a.sh archive.zip",
    "other scripts": "пример.рф 例子.中国 xn--e1afmkfd.xn--p1ai उदाहरण.भारत",
    "no space around": "请看evil.com/吧",
    "address": "10.0.0.1 and 10.0.0.1:8080/x",
    "other schemes": "tg://user?id=1 ton://transfer/x ftp://evil.com ftp.evil.com t.me/x?start=1 tg://resolve?domain=x",
    "commands": "/stop and /approve@gemma_test_bot (/stop) a /etc/passwd",
    "command behind marks": "!/stop -/stop '/stop' \u200c/stop é/stop",
    "hashtags": "#tag #9lives #тег ##no #1",
    "cashtags": "$USD $PATH $1INCH",
    "telephone": "+1 212 555 0123, +12125550123",
    "bank card": "4111 1111 1111 1111 and 4111-1111-1111-1111",
    "joiners": "evil\u200d.com a\u200db.com",
    "underscore and tilde": "a_b.com ~evil.com _evil.com_",
    "two dots": "evil..com ..evil.com.. evil.com...",
    "right to left": "שלום evil.com \u202egnp.com",
    "line ends": "a\nevil.com\n\n\n@ann_of_test\r\n/stop",
    "control characters": "a\x00b\x1bc\x07d",
    "marks of a model": "<start_of_turn>user\n<end_of_turn><|turn>",
    "many": " ".join(f"a{number}.com @user_{number}" for number in range(80)),
}


def shown(blocks: Sequence[Block]) -> str:
    """What the blocks say, character by character; apps leave out space at both ends."""
    return "\n\n".join(
        block.text if isinstance(block, Code) else "".join(span.text for span in block.spans) for block in blocks
    ).strip()


@pytest.mark.parametrize("way", ["model", "plain", "bold", "italic", "apart"])
def test_text_is_shown_as_it_is_and_nothing_is_live_but_allowed_links(way: str) -> None:
    def blocks(text: str) -> Sequence[Block]:
        match way:
            case "model":
                return blocks_of(text, ["ok.example"])
            case "plain":
                return [plain(text)]
            case "apart":  # what only becomes something because of how it was put together
                return [Paragraph(tuple(Span(one, "bold" if place % 2 else "") for place, one in enumerate(text)))]
        return [Paragraph((Span(plain(text).spans[0].text, "bold" if way == "bold" else "italic"),))]

    async def test() -> None:
        async with World() as world, listening(world) as (adapter, _):
            for name, text in NASTY.items():
                said = blocks(text if way != "apart" else plain(text).spans[0].text)
                await adapter.send(group(world), said, "k")
                seen = await last(world)
                assert (name, seen.text) == (name, shown(said))
                links = [
                    span.text
                    for block in said
                    if isinstance(block, Paragraph)
                    for span in block.spans
                    if span.style == "link"
                ]
                assert (name, seen.live, seen.pings) == (name, tuple(links), ())

    run(test)


def test_the_stand_in_makes_all_of_that_live_if_it_is_sent_as_it_is() -> None:
    """Else the test before could not fail."""

    async def test() -> None:
        async with World() as world, listening(world) as (adapter, _):
            dead = set()
            for name, text in NASTY.items():
                await adapter._api.send(int(world.channel), None, plain(text).spans[0].text, [], [])
                seen = await last(world)
                if not (seen.live or seen.pings):
                    dead.add(name)
            of_markup = {"markdown", "html", "escapes", "open marks", "code and domain"}
            assert dead == of_markup | {"control characters", "marks of a model"}

    run(test)


@pytest.mark.parametrize(
    ("one", "live", "styles"),
    [
        ("`a.com`", 0, {"code"}),
        ("https://ok.example/", 0, {"code"}),
        ("**b** *i*", 0, {"bold", "italic"}),
        ("**b** https://ok.example/ **b** *i*", 60, {"text_link", "bold", "italic"}),
    ],
    ids=["code", "links", "bold", "links and bold"],
)
def test_more_styles_than_there_may_be_make_nothing_live(one: str, live: int, styles: set[str]) -> None:
    """The service leaves out all after the hundredth."""

    async def test() -> None:
        async with World() as world, listening(world) as (adapter, _):
            await adapter.send(group(world), blocks_of(" ".join([one] * (live or 101)), ["ok.example"]), "k")
            seen = await last(world)
            entities = json.loads(seen.raw)[1]
            assert (len(entities) <= 100, len(seen.live), seen.pings) == (True, live, ())
            assert {one["type"] for one in entities} == styles

    run(test)


def test_styles_are_shown() -> None:
    async def test() -> None:
        async with World() as world, listening(world) as (adapter, _):
            inline, table = "# Res🎉lt\n**b** *i* `c` x https://ok.example/", "| a | b |\n|---|---|"
            text = f"{inline}\n\n```sh\nrm @ann_of_test\n```\n\n{table}"
            await adapter.send(group(world), blocks_of(text, ["ok.example"]), "k")
            text, entities = json.loads((await last(world)).raw)
            said = [(one["type"], part_of(text, one), one.get("language"), one.get("url")) for one in entities]
            assert said == [
                ("bold", "Res🎉lt", None, None),
                ("bold", "b", None, None),
                ("italic", "i", None, None),
                ("code", "c", None, None),
                ("text_link", "https://ok.example/", None, "https://ok.example/"),
                ("pre", "rm @ann_of_test", "sh", None),
                ("pre", table, None, None),
            ]

    run(test)


def test_the_length_is_what_the_service_counts() -> None:
    async def test() -> None:
        async with World() as world, listening(world) as (adapter, _):
            for text in ("🎉" * 2048, "x" * 4096, "x\n" * 2047 + "yz"):
                assert adapter.length([plain(text)]) == adapter.traits.most == 4096
                await adapter.send(group(world), [plain(text)], "k")
                assert (await last(world)).text == text
                with pytest.raises(NotThere, match="too long"):
                    await adapter.send(group(world), [plain(text + ".")], "k")
            with pytest.raises(NotThere, match="empty"):
                await adapter.send(group(world), [plain(" ")], "k")

    run(test)


def test_a_long_line_takes_no_long_time() -> None:
    for text in (
        "@a " * 1365,
        "a" * 4096,
        "#" * 4096,
        "#1" * 2048,
        "@" * 4096,
        "/" * 4096,
        "a." * 2048,
        "1 " * 2048,
        "+1-" * 1365,
    ):
        begin = time.process_time()
        marked([plain(text)])
        assert time.process_time() - begin < 0.2, text[:4]


def test_a_press_is_told_and_answered_and_an_edit_takes_the_buttons_away() -> None:
    async def test() -> None:
        async with World() as world, listening(world) as (adapter, heard):
            sent = await adapter.send(group(world), [plain("Deploy?")], "k", CHOICES)
            assert (await last(world)).offers == ("approve", "reject")
            await world.press("bob", world.channel, sent, "approve")
            assert await told(heard) == [
                Pressed("update:830000001", group(world), world.user("bob"), "Bob", sent, "approve", "7F3K")
            ]
            await until(lambda: world.answered)
            for _ in range(2):  # the second time nothing changes
                await adapter.edit(group(world), sent, [plain("Deploy? Approved by Bob")])
                seen = await last(world)
                assert (seen.offers, seen.text, seen.edits) == ((), "Deploy? Approved by Bob", 1)
            await adapter.edit(group(world), sent, [plain("And again?")], CHOICES)
            assert (await last(world)).offers == ("approve", "reject")

    run(test)


def test_what_no_button_of_ours_carries_is_answered_and_not_told() -> None:
    async def test() -> None:
        async with World() as world, listening(world) as (adapter, heard):
            sent = await adapter.send(group(world), [plain("Deploy?")], "k", CHOICES)
            pressed = [
                world.touch("eve", world.channel, sent, carried) for carried in ("", "a:", "approve", "x:7F3K", ":")
            ]
            world.touch("eve", world.channel, sent, "a:OTHER:1")
            (event,) = await told(heard)
            assert (event.approval, event.message) == ("OTHER:1", sent)
            await until(lambda: set(pressed) <= set(world.answered))

    run(test)


def test_a_press_below_a_message_that_is_too_old_to_be_read_is_told() -> None:
    async def test() -> None:
        async with World() as world, listening(world) as (_, heard):
            old = {"chat": world.chats[world.channel], "message_id": 7, "date": 0}
            query = {"id": "1", "from": world.people["ann"], "chat_instance": "1", "data": "r:7F3K", "message": old}
            world.tell({"callback_query": query})
            (event,) = await told(heard)
            assert (event.place, event.message, event.verb) == (group(world), "7", "reject")

    run(test)


# Files


def test_files_are_told_with_what_the_service_says_of_them_and_can_be_fetched() -> None:
    async def test() -> None:
        async with World() as world, listening(world) as (adapter, heard):
            log = Upload("../../etc/log.txt", "text/plain", b"x" * 70_000)
            await world.say("ann", "see this", files=[log], to_bot=True)
            world.post("ann", {"photo": world.photo(b"\x89PNG")})
            voice = {"file_id": "V", "file_unique_id": "v", "duration": 1, "file_size": 9}
            world.post("ann", {"voice": voice, "caption": "listen"})
            with_log, with_photo, with_voice = await told(heard, 3)
            assert (with_log.text, with_log.addressed) == ("see this", True)
            assert with_log.files == (File(log.name, "text/plain", 70_000, with_log.files[0].reference),)
            assert await adapter.fetch(with_log.files[0], 70_000) == log.content
            assert [(file.name, file.mime, file.size) for file in with_photo.files] == [
                ("photo.jpg", "image/jpeg", 4)
            ]
            assert await adapter.fetch(with_photo.files[0], 100) == b"\x89PNG"
            assert (with_voice.text, with_voice.files[0].mime) == ("listen", "audio/ogg")
            assert not any(world.token in str(file.reference) for file in with_log.files)

    run(test)


def test_an_album_is_one_message_a_file() -> None:
    async def test() -> None:
        async with World() as world, listening(world) as (_, heard):
            await world.say("ann", "two", files=[Upload(f"{name}.txt", "text/plain", b"") for name in "ab"])
            messages = await told(heard, 2)
            assert [(message.text, message.files[0].name) for message in messages] == [
                ("two", "a.txt"),
                ("", "b.txt"),
            ]

    run(test)


def test_a_file_is_refused_as_soon_as_it_is_larger_than_it_may_be() -> None:
    async def test() -> None:
        async with World() as world, listening(world) as (adapter, heard):
            await world.say("ann", "", files=[Upload("a", "text/plain", b"x" * 101)])
            (message,) = await told(heard)
            file = message.files[0]
            with pytest.raises(NotThere, match="larger than 100 bytes"):
                await adapter.fetch(file, 100)
            lie = File("a", "text/plain", 5, file.reference)
            with pytest.raises(NotThere, match="larger than 100 bytes"):
                await adapter.fetch(lie, 100)
            assert len(await adapter.fetch(lie, 101)) == 101
            world.files["big"] = bytes(21 * 1024 * 1024)
            with pytest.raises(NotThere, match="too big"):
                await adapter.fetch(File("b", "text/plain", None, {"file_id": "big"}), 10**9)

    run(test)


def test_a_file_somewhere_else_is_not_fetched() -> None:
    async def test() -> None:
        async with World() as world, listening(world) as (adapter, _):
            hits = []

            async def hit(request: web.Request) -> web.Response:
                hits.append(request.path_qs)
                return web.Response(text="x")

            runner = web.AppRunner(app := web.Application())
            app.router.add_get("/{path:.*}", hit)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            other = f"http://127.0.0.1:{runner.addresses[0][1]}/x"
            world.files["f"] = b"x"
            for code in (301, 302, 307, 308):
                world.trouble = [ok({"file_id": "f", "file_unique_id": "f", "file_path": "a/b"})]
                world.trouble.append(web.Response(status=code, headers={"Location": other}))
                with pytest.raises(NotThere, match=f"HTTP {code}"):
                    await adapter.fetch(FILE, 100)
            for path in (other, f"//{other[7:]}", "/etc/passwd", __file__, "", None):
                world.trouble = [ok({"file_id": "f", "file_unique_id": "f", "file_path": path})]
                with pytest.raises(NotThere):
                    await adapter.fetch(FILE, 100)
            world.local_paths = True
            with pytest.raises(NotThere, match="no address of its own"):
                await adapter.fetch(FILE, 100)
            assert hits == []
            await runner.cleanup()

    run(test)


FILE = File("f", "text/plain", None, {"file_id": "f"})


def ok(result: Any) -> web.Response:
    return web.json_response({"ok": True, "result": result})


# What may go wrong


def answer(code: int, text: str = "") -> web.Response:
    return web.Response(status=code, text=text, content_type="text/html")


PROBLEMS: dict[str, tuple[web.Response | Refused, type[BotError], str]] = {
    "429": (Refused(429, "Too Many Requests: retry after 7", retry_after=7), TooFast, "7 s"),
    "429 of a proxy": (answer(429, "slow down"), TooFast, "1 s"),
    "500": (Refused(500, "Internal Server Error"), Unreachable, "Internal Server Error"),
    "502": (answer(502, "<html>"), Unreachable, "HTTP 502"),
    "404 of a proxy": (answer(404, "<html>"), Unreachable, "HTTP 404"),
    "no JSON": (answer(200, "<html>"), Unreachable, "none of the Bot API"),
    "a list": (answer(200, "[]"), Unreachable, "none of the Bot API"),
    "no result": (answer(200, '{"ok": true}'), Unreachable, "another form"),
    "another result": (answer(200, '{"ok": true, "result": 5}'), Unreachable, "another form"),
    "kicked": (Refused(403, "Forbidden: bot was kicked from the supergroup chat"), NotThere, "was kicked"),
    "blocked": (Refused(403, "Forbidden: bot was blocked by the user"), NotThere, "was blocked"),
    "no chat": (Refused(400, "Bad Request: chat not found"), NotThere, "hat not found"),
    "no rights": (
        Refused(400, "Bad Request: not enough rights to send text messages to the chat"),
        NotThere,
        "rights",
    ),
    "now a supergroup": (
        Refused(400, "Bad Request: group chat was upgraded to a supergroup chat", migrate_to_chat_id=-1007),
        NotThere,
        "is now -1007: put this id",
    ),
    "token": (Refused(401, "Unauthorized"), Revoked, "@BotFather"),
    "no such bot": (Refused(404, "Not Found"), Revoked, "@BotFather"),
}


@pytest.mark.parametrize("case", PROBLEMS)
def test_what_goes_wrong_is_told_as_what_it_is(case: str) -> None:
    trouble, kind, words = PROBLEMS[case]

    async def test() -> None:
        async with World() as world, listening(world) as (adapter, _):
            requests: list[Awaitable[Any]] = [
                adapter.send(group(world), [plain("x")], "k"),
                adapter.edit(group(world), "101", [plain("x")]),
                adapter.fetch(FILE, 100),
            ]
            for request in requests:
                world.trouble = [again(trouble)]
                with pytest.raises(kind, match=words) as caught:
                    await request
                assert type(caught.value) is kind
                assert caught.value.__context__ is caught.value.__cause__ is None  # the library's hold addresses
                if isinstance(caught.value, TooFast):
                    assert caught.value.seconds == float(words.split()[0])

    run(test)


def again(trouble: web.Response | Refused) -> web.Response | Refused:
    """A response can be sent only once."""
    if isinstance(trouble, Refused):
        return trouble
    return web.Response(status=trouble.status, text=trouble.text, content_type=trouble.content_type)


@pytest.mark.parametrize(
    ("code", "kind"), [(401, Revoked), (404, NotThere), (410, NotThere), (429, TooFast), (500, Unreachable)]
)
def test_what_goes_wrong_with_a_download_is_told_as_what_it_is(code: int, kind: type[BotError]) -> None:
    async def test() -> None:
        async with World() as world, listening(world) as (adapter, _):
            found = ok({"file_id": "f", "file_unique_id": "f", "file_path": "a/b"})
            world.trouble = [found, web.Response(status=code, headers={"Retry-After": "7"})]
            with pytest.raises(kind) as caught:
                await adapter.fetch(FILE, 100)
            assert not isinstance(caught.value, TooFast) or caught.value.seconds == 7

    run(test)


def test_where_the_bot_may_not_be_it_cannot_write() -> None:
    async def test() -> None:
        async with World() as world, listening(world) as (adapter, _):
            sent = await adapter.send(group(world), [plain("x")], "k")
            await world.delete("ann", world.channel, sent)
            with pytest.raises(NotThere, match="to edit not found"):
                await adapter.edit(group(world), sent, [plain("y")])
            world.forbid(world.channel)
            with pytest.raises(NotThere, match="kicked"):
                await adapter.send(group(world), [plain("x")], "k")
            for place in (Place("", "-100999"), Place("", "ops"), Place("", world.other, "x")):
                with pytest.raises(NotThere):
                    await adapter.send(place, [plain("x")], "k")
            with pytest.raises(NotThere, match="'x' is no id"):
                await adapter.edit(Place("", world.other), "x", [plain("x")])
            world.chats[world.other]["successor"] = "-1009"
            with pytest.raises(NotThere, match="is now -1009"):
                await adapter.send(Place("", world.other), [plain("x")], "k")

    run(test)


def test_a_revoked_token_ends_listening_at_once() -> None:
    async def test() -> None:
        async with World() as world:
            task = asyncio.create_task(world.adapter().listen(heard := Heard()))
            await until(lambda: heard.up)
            world.revoke()
            with pytest.raises(Revoked, match="@BotFather gives a new one"):
                await asyncio.wait_for(task, 5)
            with pytest.raises(Revoked):
                await asyncio.wait_for(world.adapter().listen(Heard()), 5)

    run(test)


POLLING: dict[str, tuple[Refused | web.Response, str]] = {
    "two programs": (Refused(409, "Conflict: terminated by other getUpdates request"), "Someone else reads"),
    "webhook": (Refused(409, "Conflict: can't use getUpdates method while webhook is active"), "deleteWebhook"),
    "too fast": (Refused(429, "Too Many Requests", retry_after=1), "pause of 1 s"),
    "bad gateway": (answer(502, "<html>"), "HTTP 502"),
    "no updates": (answer(200, '{"ok": true, "result": 7}'), "another form"),
    "not even numbers": (answer(200, '{"ok": true, "result": [7]}'), "another form"),
}


@pytest.mark.parametrize("case", POLLING)
def test_listening_goes_on_after(case: str) -> None:
    async def test() -> None:
        async with World() as world, listening(world) as (_, heard):
            trouble, words = POLLING[case]
            world.poll_trouble = [again(trouble)]
            await world.say("ann", "before")
            await until(lambda: not world.poll_trouble and heard.up == 2)
            await world.say("ann", "after")
            assert [message.text for message in await told(heard, 2)] == ["before", "after"]
            assert len(heard.down) == 1
            assert words in heard.down[0]

    run(test)


def test_two_programs_with_one_token_are_told_so() -> None:
    async def test() -> None:
        async with World() as world, listening(world) as (_, first), listening(world):
            await until(lambda: first.down)
            assert "End the other program with this token" in first.down[0]

    run(test)


def test_the_end_of_listening_ends_all() -> None:
    async def test() -> None:
        async with World() as world:
            tasks = asyncio.all_tasks()
            async with listening(world) as (adapter, heard):
                sent = await adapter.send(group(world), [plain("x")], "k", CHOICES)
                for _ in range(20):
                    await world.press("ann", world.channel, sent, "approve")
                await told(heard, 20)
            await until(lambda: not world.connections)
            with pytest.raises(Unreachable):
                await adapter.fetch(File("f", "text/plain", None, {"file_id": "f"}), 100)
            left = {task for task in asyncio.all_tasks() - tasks if "RequestHandler" not in repr(task)}
            assert left == set()  # but for the server's own
            with pytest.raises(Unreachable):
                await adapter.send(group(world), [plain("x")], "k")
            async with asyncio.timeout(10):  # and it can begin again
                task = asyncio.create_task(adapter.listen(heard))
                await until(lambda: heard.up == 2)
                await adapter.send(group(world), [plain("again")], "k")
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    run(test)


def test_neither_token_nor_words_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def test() -> str:
        said = []
        async with World() as world, listening(world) as (adapter, heard):
            await world.say("ann", "words of ann", files=[Upload("f", "text/plain", b"inside")], to_bot=True)
            (message,) = await told(heard)
            await adapter.fetch(message.files[0], 100)
            await adapter.send(group(world), [plain("words of ours")], "k", CHOICES)
            troubles = [one for one, *_ in PROBLEMS.values()]
            for trouble in [*troubles, answer(500, f"GET /bot{world.token}/x"), Refused(400, f"bad {world.token}")]:
                world.trouble = [again(trouble)]
                with pytest.raises(BotError) as caught:
                    await adapter.send(group(world), [plain("words of ours")], "k")
                said.append(repr(caught.value))
            for wrong, _ in POLLING.values():
                world.poll_trouble = [again(wrong)]
                await world.say("ann", "words of ann")
                await until(lambda: not world.poll_trouble and heard.up == len(heard.down) + 1)
            token = world.token
            await world.stop()
            with pytest.raises(Unreachable) as caught:
                await adapter.fetch(message.files[0], 100)
            said += [repr(caught.value), repr(adapter), *heard.down]
            world.revoke()
            await world.start()
        told_to_people = "\n".join(said)
        assert token.partition(":")[2] not in told_to_people + caplog.text
        assert "words of" not in told_to_people + caplog.text
        return told_to_people

    async def all_of_it() -> None:
        assert "***" in await test()

    run(all_of_it)
    assert "HTTP Request: POST" in caplog.text


KEYS: dict[str, tuple[Mapping[str, Any], str]] = {
    "no token": ({}, "needs the key `token`"),
    "empty token": ({"token": ""}, "needs the key `token`"),
    "token of another form": ({"token": "xoxb-123"}, "of the form 123456789:AAE"),
    "token with a line end": ({"token": "1:" + "a" * 35 + "\n"}, "of the form 123456789:AAE"),
    "typo": ({"tokn": "x"}, "no key 'tokn'; did you mean 'token'"),
    "unknown": ({"nonsense": 1}, "no key 'nonsense'; it has token"),
    "address": ({"token": "1:" + "a" * 35, "base_url": "example.org"}, "no address such as https://api.telegram.org"),
    "no host": ({"token": "1:" + "a" * 35, "base_url": "http://"}, "no address such as"),
}


@pytest.mark.parametrize("case", KEYS)
def test_a_wrong_key_is_named(case: str) -> None:
    keys, words = KEYS[case]
    with pytest.raises(BotError, match=words) as caught:
        TelegramAdapter(keys)
    assert "aaa" not in str(caught.value)


def test_without_the_extra_its_name_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "gemmagraph.bots.telegram.api", raising=False)
    monkeypatch.setitem(sys.modules, "telegram", None)
    with pytest.raises(BotError, match=r'pip install "gemmagraph\[telegram\]"'):
        TelegramAdapter({"token": "1:" + "a" * 35})
