"""The adapter of Discord, through the library discord.py at a stand-in of the service."""

import asyncio
import logging
import statistics
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from chats.discord import IDS, World
from chats.discord_service import BOT, TOKEN, VOICE
from chats.discord_view import View
from chats.world import Full, Heard, Upload, until
from hypothesis import given, settings
from hypothesis import strategies as st

from gemmagraph.bots.base import Choice, Deleted, Edited, File, Message, Place, Pressed
from gemmagraph.bots.discord.adapter import DiscordAdapter
from gemmagraph.bots.discord.cursor import Cursor, id_at
from gemmagraph.bots.discord.text import render
from gemmagraph.bots.errors import BotError, NotThere, Revoked, TooFast, Unreachable
from gemmagraph.bots.text import Code, Paragraph, Span, as_text, blocks_of, plain, split

pytestmark = pytest.mark.long

YES, NO = Choice("approve", "A7", "Approve"), Choice("reject", "A7", "Reject")


@asynccontextmanager
async def listening(world: World, heard: Heard) -> AsyncIterator[DiscordAdapter]:
    """A bot that is there, with everything read that it has missed."""
    adapter, up, cursor = world.adapter(), heard.up, heard.cursor
    task = asyncio.create_task(adapter.listen(heard))
    try:
        await until(lambda: task.done() or (heard.up > up and heard.cursor), "the connection")
        if cursor and not task.done():
            await until(lambda: adapter._listening and not adapter._listening._unread, "what was missed")
        if task.done():
            task.result()
        yield adapter
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, BotError):
            await task


def with_bot(check: Callable[[World, DiscordAdapter, Heard], Any]) -> None:
    async def run() -> None:
        async with World() as world:
            heard = Heard()
            async with listening(world, heard) as adapter:
                await check(world, adapter, heard)

    asyncio.run(asyncio.wait_for(run(), 30))


def test_a_message_is_heard_with_all_that_is_known_of_it() -> None:
    async def check(world: World, adapter: DiscordAdapter, heard: Heard) -> None:
        number = await world.say("ann", "hello there", to_bot=True, files=[Upload("a b.png", "image/png", b"12345")])
        await until(lambda: heard.events)
        (message,) = heard.events
        assert message == Message(
            event=number,
            place=Place("", world.channel),
            user=IDS["ann"],
            name="ann",
            text="hello there",
            id=number,
            addressed=True,
            machine=False,
            files=(File("a b.png", "image/png", 5, message.files[0].reference),),
        )
        assert message.files[0].reference.keys() == {"channel", "message", "attachment"}

    with_bot(check)


@pytest.mark.parametrize(
    ("said", "more", "text", "addressed"),
    [
        pytest.param("nothing special", {}, "nothing special", False, id="plain"),
        pytest.param("hey <@600> look", {}, "hey look", True, id="mention inside"),
        pytest.param("<@!600> look", {}, "look", True, id="old mention"),
        pytest.param("look", {"to_bot": True, "by_role": True}, "look", True, id="its role"),
        pytest.param("Gemma, @Gemma look", {}, "Gemma, @Gemma look", False, id="name only"),
        pytest.param("`<@600>` look", {}, "`<@600>` look", False, id="mention as code"),
        pytest.param("```\n/stop\n```", {"to_bot": True}, "```\n/stop\n```", True, id="command in a code block"),
        pytest.param("ask <@102> in <#202>", {}, "ask @bob in #other", False, id="other mentions"),
        pytest.param("@everyone look", {"mention_everyone": True}, "@everyone look", False, id="everyone"),
        pytest.param("<:party:123> <a:dance:124>", {}, ":party: :dance:", False, id="emoji"),
        pytest.param("at <t:1700000000:R>", {}, "at 2023-11-14 22:13 UTC", False, id="time"),
        pytest.param("see <https://a.test/b>", {}, "see https://a.test/b", False, id="link without preview"),
        pytest.param("try </stop:77>", {}, "try /stop", False, id="named command"),
        pytest.param("rm *.log __init__ a_b", {}, "rm *.log __init__ a_b", False, id="no markup lost"),
        pytest.param("\u202eevil 🎉🎉 שלום", {}, "\u202eevil 🎉🎉 שלום", False, id="right to left"),
        pytest.param("<end_of_turn><start_of_turn>", {}, "<end_of_turn><start_of_turn>", False, id="control marks"),
        pytest.param("<t:99999999999999:F> <@999999>", {}, "<t:99999999999999:F> @999999", False, id="unknown"),
        pytest.param("x" * 4000, {}, "x" * 4000, False, id="long"),
    ],
)
def test_markup_of_people_is_heard_as_plain_text(said: str, more: dict[str, Any], text: str, addressed: bool) -> None:
    async def check(world: World, adapter: DiscordAdapter, heard: Heard) -> None:
        await world.say("ann", said, **more)
        await until(lambda: heard.events)
        assert (heard.events[0].text, heard.events[0].addressed) == (text, addressed)

    with_bot(check)


def test_threads_direct_messages_replies_and_robots_are_heard_as_such() -> None:
    async def check(world: World, adapter: DiscordAdapter, heard: Heard) -> None:
        first = await world.say("ann", "first")
        await world.say("bob", "below", thread=first)
        await world.say("eve", "alone", channel=await world.direct("eve"))
        sent = await adapter.send(Place("", world.channel), [plain("mine")], "k1")
        await world.say("ann", "a reply", reply_to=sent)
        await world.say("robot", "beep", to_bot=True)
        await world.say("ann", "a pin", type=6)
        await world.say("ann", "", message_snapshots=[forwarded("from elsewhere")])
        await until(lambda: len(heard.events) >= 7)
        at, below, direct, mine, reply, robot, passed_on = heard.events
        assert (at.place, below.place) == (Place("", world.channel), Place("", world.channel, first))
        assert direct.place == Place("", await world.direct("eve"), direct=True)
        assert (mine.user, mine.machine, mine.id) == (BOT, True, sent)
        assert (reply.addressed, reply.machine) == (True, False)
        assert (robot.user, robot.machine, robot.addressed) == (IDS["robot"], True, True)
        assert passed_on.text == "from elsewhere"

    with_bot(check)


def forwarded(text: str) -> dict[str, Any]:
    kept = {"type": 0, "content": text, "embeds": [], "attachments": [], "timestamp": "2024-01-01T00:00:00+00:00"}
    return {"message": {**kept, "edited_timestamp": None, "flags": 0, "components": [], "mentions": []}}


def test_a_renamed_person_keeps_the_id() -> None:
    async def check(world: World, adapter: DiscordAdapter, heard: Heard) -> None:
        await world.rename("eve", "ann")
        await world.say("eve", "I am ann")
        await until(lambda: heard.events)
        assert (heard.events[0].user, heard.events[0].name) == (IDS["eve"], "ann")

    with_bot(check)


def test_changes_and_deletions_are_heard() -> None:
    async def check(world: World, adapter: DiscordAdapter, heard: Heard) -> None:
        one, two, three = [await world.say("ann", text) for text in ("one", "two", "three")]
        await world.change("ann", world.channel, one, "one and a half")
        await world.preview(world.channel, two)
        mine = await adapter.send(Place("", world.channel), [plain("mine")], "k")
        await adapter.edit(Place("", world.channel), mine, [plain("my own edits are not news")])
        await world.delete("ann", world.channel, one)
        await world.delete("ann", world.channel, two, three)
        await until(lambda: len([event for event in heard.events if isinstance(event, Deleted)]) == 3)
        edits = [event for event in heard.events if isinstance(event, Edited)]
        assert [(edit.message.id, edit.message.text) for edit in edits] == [(one, "one and a half")]
        assert edits[0].event not in {one, two, three}
        assert [event.id for event in heard.events if isinstance(event, Deleted)] == [one, two, three]
        assert all(event.place == Place("", world.channel) for event in heard.events if isinstance(event, Deleted))

    with_bot(check)


def test_what_is_delivered_again_has_the_same_events() -> None:
    async def check(world: World, adapter: DiscordAdapter, heard: Heard) -> None:
        one = await world.say("ann", "one")
        two = await world.say("ann", "two")
        await world.change("ann", world.channel, one, "uno")
        await world.delete("ann", world.channel, two)
        sent = await adapter.send(Place("", world.channel), [plain("sure?")], "k", [YES, NO])
        await world.press("bob", world.channel, sent, "approve")
        await until(lambda: len(heard.events) == 6)
        await world.redeliver()
        await until(lambda: len(heard.events) == 12)
        events = [event.event for event in heard.events]
        assert events[:6] == events[6:]
        assert len(set(events)) == 6

    with_bot(check)


def test_a_press_tells_who_and_what_and_is_answered_once_it_is_kept() -> None:
    @dataclass
    class Slow(Heard):
        kept: asyncio.Event = field(default_factory=asyncio.Event)

        async def accept(self, events: Any, cursor: str | None = None) -> None:
            if any(isinstance(event, Pressed) for event in events):
                await self.kept.wait()
            await super().accept(events, cursor)

    async def run() -> None:
        async with World() as world:
            heard = Slow()
            async with listening(world, heard) as adapter:
                root = await world.say("ann", "do it")
                sent = await adapter.send(Place("", world.channel, root), [plain("sure?")], "k", [YES, NO])
                assert (await world.seen(world.channel))[-1].offers == ("approve", "reject")
                await world.press("bob", world.channel, sent, "reject")
                await adapter.edit(Place("", world.channel, root), sent, [plain("sure??")], [YES, NO])
                assert not world.service.answers
                heard.kept.set()
                assert await world.answered() == {"type": 6}
                (press,) = [event for event in heard.events if isinstance(event, Pressed)]
                place = Place("", world.channel, root)
                assert press == Pressed(press.event, place, IDS["bob"], "bob", sent, "reject", "A7")

    asyncio.run(asyncio.wait_for(run(), 30))


def test_a_slash_command_is_a_message_and_is_answered_in_the_channel() -> None:
    async def check(world: World, adapter: DiscordAdapter, heard: Heard) -> None:
        await until(lambda: world.service.commands)
        number = await world.command("ann", "status")
        answered = await world.answered(number)
        assert (answered["type"], answered["data"]["flags"]) == (4, 64)
        (message,) = heard.events
        assert (message.text, message.addressed, message.user) == ("/status", True, IDS["ann"])
        await adapter.send(replace(message.place, thread=message.id), [plain("all fine")], "k")
        assert [(seen.text, seen.thread) for seen in await world.seen(world.channel)] == [("all fine", "")]

    with_bot(check)


def test_slash_commands_are_made_known_only_when_they_have_changed() -> None:
    async def run() -> None:
        async with World() as world:
            heard = Heard()
            for _ in range(2):
                async with listening(world, heard):
                    await until(lambda: len(world.service.commands) == 7)
            assert world.service.command_writes == 1
            world.service.commands.pop()
            async with listening(world, heard):
                await until(lambda: world.service.command_writes == 2)

    asyncio.run(asyncio.wait_for(run(), 30))


def test_an_answer_makes_the_thread_of_its_message_once() -> None:
    async def check(world: World, adapter: DiscordAdapter, heard: Heard) -> None:
        root = await world.say("ann", "restart **web-1** please", to_bot=True)
        await until(lambda: heard.events)
        place = Place("", world.channel, root)
        with pytest.raises(NotThere):
            await adapter.edit(place, "99", [plain("there is no thread yet")])
        first = await adapter.send(place, [plain("one")], "k1")
        await adapter.send(place, [plain("two")], "k2")
        await adapter.edit(place, first, [plain("uno")])
        said = [(seen.text, seen.thread, seen.edits) for seen in await world.seen(world.channel, root)]
        assert said == [("uno", root, 1), ("two", root, 0)]
        assert world.service.channels[root]["name"] == "restart **web-1** please"

    with_bot(check)


def test_a_thread_that_is_there_already_is_used_and_voice_chats_have_none() -> None:
    async def check(world: World, adapter: DiscordAdapter, heard: Heard) -> None:
        root = await world.say("ann", "one")
        await world.say("ann", "in it", thread=root)
        await adapter.send(Place("", world.channel, root), [plain("answer")], "k")
        assert [seen.text for seen in await world.seen(world.channel, root)] == ["in it", "answer"]
        spoken = await world.say("ann", "beside the talk", channel=world.voice)
        assert world.service.channels[world.voice]["type"] == VOICE
        sent = await adapter.send(Place("", world.voice, spoken), [plain("answer")], "k2")
        await adapter.edit(Place("", world.voice, spoken), sent, [plain("changed")])
        assert [(seen.text, seen.thread) for seen in await world.seen(world.voice)][-1] == ("changed", "")
        unknown = world.service.add_channel("299", VOICE, "new", bitrate=64000, user_limit=0)
        spoken = await world.say("ann", "in a channel that the bot was not told of", channel=unknown)
        await adapter.send(Place("", unknown, spoken), [plain("answer")], "k3")
        assert [(seen.text, seen.thread) for seen in await world.seen(unknown)][-1] == ("answer", "")

    with_bot(check)


def test_a_thread_that_slept_when_the_bot_came_is_known_by_its_first_message() -> None:
    async def run() -> None:
        async with World() as world:
            root = await world.say("ann", "old")
            await world.say("ann", "old, inside", thread=root)
            world.archive(root)
            heard = Heard()
            async with listening(world, heard):
                await world.say("bob", "awake", thread=root)
                await until(lambda: heard.events)
                assert heard.events[0].place == Place("", world.channel, root)

    asyncio.run(asyncio.wait_for(run(), 30))


def test_the_same_key_is_shown_once() -> None:
    async def check(world: World, adapter: DiscordAdapter, heard: Heard) -> None:
        place = Place("", world.channel)
        first = await adapter.send(place, [plain("once")], "turn-1:0")
        assert await adapter.send(place, [plain("once")], "turn-1:0") == first
        assert await adapter.send(place, [plain("once")], "turn-2:0") != first
        assert len(await world.seen(world.channel)) == 2
        assert await adapter.find(place, "turn-1:0") is None
        assert adapter.traits.keyed
        assert not adapter.traits.findable

    with_bot(check)


def test_an_edit_without_choices_takes_the_buttons_away() -> None:
    async def check(world: World, adapter: DiscordAdapter, heard: Heard) -> None:
        place = Place("", world.channel)
        sent = await adapter.send(place, [plain("sure?")], "k", [YES, NO])
        await adapter.edit(place, sent, [plain("done")])
        (seen,) = await world.seen(world.channel)
        assert (seen.text, seen.offers, seen.edits) == ("done", (), 1)

    with_bot(check)


NASTY = [
    ("everyone", "@everyone @here look"),
    ("mentions", "<@101> <@!101> <@&650> <#202>"),
    ("bold", "a **b** __c__ ***d***"),
    ("italic", "*a* _b_ a_b_c _x_"),
    ("struck", "~~a~~ ||b|| | c | d"),
    ("code", "`a` ``b`` ```c```"),
    ("open fence", "```sh\nrm -rf"),
    ("backslashes", "C:\\_dir\\*x \\\\*y* \\`z`"),
    ("shrug", "¯\\_(ツ)_/¯"),
    ("masked link", "[click](https://evil.test/a) [b](<https://evil.test/c>)"),
    ("link", "https://evil.test/?k=SECRET and http://evil.test."),
    ("angle link", "<https://evil.test/x> <HTTPS://evil.test>"),
    ("bare domain", "evil.test/x www.evil.test discord.gg/abc discord.com/invite/abc"),
    ("mail", "<ann@example.org> mailto:ann@example.org ann@example.org"),
    ("phone", "<+4912345678> <tel:+4912345678>"),
    ("emoji", ":smile: :+1: a:tada:b"),
    ("own emoji", "<:party:1234> <a:dance:1234>"),
    ("time", "<t:1700000000:R> <t:1>"),
    ("named command", "</stop:123> <id:customize>"),
    ("headings", "# a\n## b\n### c\n  # d"),
    ("small print", "-# tiny\n  -# tiny too"),
    ("quotes", "> a\n>>> b\n> > c"),
    ("lists", "- a\n* b\n+ c\n  - d"),
    ("numbers", "5. five\n7. seven\n3) three"),
    ("control marks", "<start_of_turn>user\n<|tool_call>x<tool_call|>"),
    ("right to left", "abc \u202e gpj.exe"),
    ("emoji only", "😀👨‍👩‍👧🏳️‍🌈"),
    ("zalgo", "Z\u0351\u036b\u0343a\u0363l\u0368g\u0369o"),
    ("markup at edges", "*"),
    ("nested", "**[*`@everyone`*](https://evil.test)**"),
    ("spoiler link", "||https://evil.test||"),
    ("steam", "steam://run/1 javascript://x discord://x"),
]


@pytest.mark.parametrize("style", ["", "bold", "italic"])
def test_nasty_texts_are_shown_as_they_are_and_do_nothing(style: Any) -> None:
    async def check(world: World, adapter: DiscordAdapter, heard: Heard) -> None:
        for name, text in NASTY:
            shown = plain(text).spans[0].text
            sent = await adapter.send(Place("", world.channel), [Paragraph((Span(shown, style),))], name)
            seen = next(seen for seen in await world.seen(world.channel) if seen.id == sent)
            assert (name, seen.text) == (name, shown.strip())
            assert (name, seen.live, seen.pings) == (name, (), ())
            assert world.service.messages[world.channel][sent]["flags"] & 4, "previews"

    with_bot(check)


PIECES = st.sampled_from([*"*_~|`<>@#:[]()\\-+.! \na19é", "```", "https://e.test/", "<@101>", "@everyone", ":smile:"])
STYLES = st.sampled_from(["", "bold", "italic", "code"])
SPANS = st.lists(
    st.builds(Span, st.lists(PIECES, min_size=1, max_size=9).map("".join), STYLES), min_size=1, max_size=3
)


@given(SPANS)
@settings(max_examples=300, deadline=None)
def test_any_text_in_any_style_is_shown_as_it_is(spans: list[Span]) -> None:
    view = View()
    shown = view.show(render([Paragraph(tuple(spans))]).strip())
    assert shown.strip() == "".join(span.text for span in spans).strip()
    assert (view.live, view.mentions) == ([], [])


def test_nasty_code_stays_code() -> None:
    async def check(world: World, adapter: DiscordAdapter, heard: Heard) -> None:
        for name, text in NASTY:
            shown = plain(text).spans[0].text
            for block in (Code(shown, "sh"), Code(shown), Paragraph((Span(shown, "code"),))):
                sent = await adapter.send(Place("", world.channel), [block], f"{name}{block}")
                seen = next(seen for seen in await world.seen(world.channel) if seen.id == sent)
                assert (name, seen.text, seen.live, seen.pings) == (name, shown.strip(), (), ())

    with_bot(check)


@pytest.mark.parametrize(
    ("spans", "shown", "live"),
    [
        (
            [Span("see "), Span("https://docs.test/a?b=1&c=[2]", "link"), Span(".")],
            None,
            ("https://docs.test/a?b=1&c=[2]",),
        ),
        (
            [Span("a", "bold"), Span("b", "italic"), Span("c", "bold"), Span("d", "code"), Span("e", "code")],
            "abcde",
            (),
        ),
        ([Span(" a ", "bold"), Span("b\nc", "italic")], "a b\nc", ()),
        ([Span("x`y", "code"), Span("`", "code"), Span("``` ` ``", "code")], "x`y```` ` ``", ()),
        ([Span("javascript:alert(1)", "link")], None, ()),
        ([Span("", "bold"), Span("", "code"), Span("a")], "a", ()),
        ([Span("**", "bold"), Span("_", "italic"), Span("\\", "bold")], "**_\\", ()),
    ],
    ids=["link", "side by side", "spaces", "backticks", "no web link", "empty", "marks"],
)
def test_styles_are_shown_and_only_links_are_live(
    spans: list[Span], shown: str | None, live: tuple[str, ...]
) -> None:
    async def check(world: World, adapter: DiscordAdapter, heard: Heard) -> None:
        await adapter.send(Place("", world.channel), [Paragraph(tuple(spans))], "k")
        (seen,) = await world.seen(world.channel)
        assert seen.text == (shown or "".join(span.text for span in spans))
        assert seen.live == live

    with_bot(check)


def test_a_long_answer_comes_whole_in_messages_that_discord_takes() -> None:
    async def check(world: World, adapter: DiscordAdapter, heard: Heard) -> None:
        text = "\n\n".join(
            f"## Part {n}\n\n{'word_ ' * 300}\n\n```py\n{'x = 1  # `` `' * 60}\n```\n😀" for n in range(4)
        )
        blocks = blocks_of(text)
        for at, part in enumerate(split(blocks, adapter.length, adapter.traits.most)):
            assert adapter.length(part) <= 2000
            await adapter.send(Place("", world.channel), part, f"k{at}")
        seen = await world.seen(world.channel)
        assert len(seen) > 3
        assert "".join("".join(one.text for one in seen).split()) == "".join(as_text(blocks).split())

    with_bot(check)


def test_a_refusal_for_speed_says_for_how_long_and_nothing_is_asked_before() -> None:
    async def check(world: World, adapter: DiscordAdapter, heard: Heard) -> None:
        place = Place("", world.channel)
        sent = await adapter.send(place, [plain("one")], "k1")
        world.refuse(0.5)
        begun = time.monotonic()
        with pytest.raises(TooFast) as refused:
            await adapter.edit(place, sent, [plain("two")])
        assert refused.value.seconds == pytest.approx(0.5)
        with pytest.raises(TooFast) as still:
            await adapter.edit(place, sent, [plain("two")])
        assert 0 < still.value.seconds <= 0.5
        assert time.monotonic() - begun < 0.4, "nothing was slept through"
        await asyncio.sleep(still.value.seconds + 0.02)
        await adapter.edit(place, sent, [plain("three")])
        edits = [request for request in world.requests if request.what == "edit"]
        assert [request.refused for request in edits] == [0.5, 0.0]
        assert edits[1].at - edits[0].at >= 0.5

    with_bot(check)


def test_a_full_bucket_is_not_tried() -> None:
    async def check(world: World, adapter: DiscordAdapter, heard: Heard) -> None:
        world.service.bucket = (5, 0.4)
        place, sent, refused = Place("", world.channel), 0, 0
        while sent < 12:
            try:
                await adapter.send(place, [plain(f"{sent}")], f"k{sent}")
                sent += 1
            except TooFast as exc:
                refused += 1
                await asyncio.sleep(exc.seconds + 0.01)
        assert 0 < refused <= 4
        assert not [request for request in world.requests if request.refused]
        assert [seen.text for seen in await world.seen(world.channel)] == [str(n) for n in range(12)]

    with_bot(check)


def test_what_cannot_be_sent_is_told_with_its_reason() -> None:
    async def check(world: World, adapter: DiscordAdapter, heard: Heard) -> None:
        sent = await adapter.send(Place("", world.other), [plain("a")], "k0")
        world.forbid(world.other)
        with pytest.raises(NotThere, match="lacks a right"):
            await adapter.send(Place("", world.other), [plain("a")], "k1")
        with pytest.raises(NotThere, match="lacks a right"):
            await adapter.edit(Place("", world.other), sent, [plain("a")])
        with pytest.raises(NotThere, match="make a thread"):
            await adapter.send(Place("", world.other, sent), [plain("a")], "k1")
        with pytest.raises(NotThere, match="channel is gone"):
            await adapter.send(Place("", "99"), [plain("a")], "k2")
        with pytest.raises(NotThere, match="message is gone"):
            await adapter.edit(Place("", world.channel), "99", [plain("a")])
        with pytest.raises(NotThere):
            await adapter.send(Place("", world.channel), [plain("a" * 2001)], "k3")
        with pytest.raises(NotThere):
            await adapter.send(Place("", world.channel), [plain("")], "k4")
        world.service.down = True
        with pytest.raises(Unreachable, match="503"):
            await adapter.send(Place("", world.channel), [plain("a")], "k5")
        world.service.down = False
        await adapter.send(Place("", world.channel), [plain("a")], "k6")
        await world._runner.cleanup()
        with pytest.raises(Unreachable):
            await adapter.send(Place("", world.channel), [plain("a")], "k7")

    with_bot(check)


def test_files_come_only_from_discord_without_the_token_and_not_too_large(caplog: pytest.LogCaptureFixture) -> None:
    async def check(world: World, adapter: DiscordAdapter, heard: Heard) -> None:
        content = bytes(range(256)) * 2000
        number = await world.say("ann", "look", files=[Upload("../../a.png", "image/png", content)])
        await until(lambda: heard.events)
        file = heard.events[0].files[0]
        assert await adapter.fetch(file, len(content)) == content
        with pytest.raises(NotThere, match="larger"):
            await adapter.fetch(file, len(content) - 1)
        assert set(world.service.tokens_seen_by_files) == {""}
        world.service.file_pause = 7
        with pytest.raises(TooFast) as refused:
            await adapter.fetch(file, 10**6)
        assert refused.value.seconds == 7
        world.service.file_pause = 0
        world.service.file_redirect = "http://127.0.0.1:9/elsewhere"
        with pytest.raises(NotThere, match="302"):
            await adapter.fetch(file, 10**6)
        kept = world.service.messages[world.channel][number]["attachments"][0]
        for elsewhere in (
            "http://127.0.0.1:9/x",
            "http://cdn.discordapp.com/x",
            "https://cdn.discordapp.com.evil.test/x",
        ):
            kept["url"] = elsewhere
            with pytest.raises(NotThere, match="not with Discord"):
                await adapter.fetch(file, 10**6)
        await world.delete("ann", world.channel, number)
        with pytest.raises(NotThere, match="message is gone"):
            await adapter.fetch(file, 10**6)

    with_bot(check)


def test_nothing_from_before_the_first_start_is_told_and_all_from_after_it() -> None:
    async def run() -> None:
        async with World() as world:
            old = await world.say("ann", "before the bot was there")
            await world.say("ann", "before, inside", thread=old)
            heard = Heard()
            async with listening(world, heard):
                pass
            assert heard.events == []
            missed = [await world.say("ann", f"missed {n}") for n in range(230)]
            missed += [await world.say("bob", "elsewhere", channel=world.other)]
            missed += [await world.say("bob", "inside", thread=old)]
            async with listening(world, heard):
                assert sorted(event.id for event in heard.events) == sorted(missed)
                late = await world.say("bob", "at last")
                await until(lambda: heard.events[-1].id == late)
            again = Heard(cursor=heard.cursor)
            async with listening(world, again):
                assert {event.event for event in again.events} <= {event.event for event in heard.events}

    asyncio.run(asyncio.wait_for(run(), 30))


def test_threads_that_have_gone_to_sleep_meanwhile_are_read() -> None:
    async def run() -> None:
        async with World() as world:
            root = await world.say("ann", "one")
            inside = await world.say("ann", "two", thread=root)
            await world.say("ann", "long ago", thread=await world.say("ann", "old"))
            world.archive(root)
            cursor = Cursor(None)
            cursor.since = cursor.seen = id_at(time.time() - 7200)
            heard = Heard(cursor=cursor.write())
            async with listening(world, heard):
                assert inside in {event.id for event in heard.events}

    asyncio.run(asyncio.wait_for(run(), 30))


def test_direct_messages_are_read_again_where_there_were_some() -> None:
    async def run() -> None:
        async with World() as world:
            heard, direct = Heard(), await world.direct("ann")
            await world.say("ann", "before", channel=direct)
            async with listening(world, heard):
                first = await world.say("ann", "hello", channel=direct)
                await until(lambda: heard.events)
            second = await world.say("ann", "are you there?", channel=direct)
            async with listening(world, heard):
                found = {event.id for event in heard.events}
                assert found == {first, second}
                assert all(event.place == Place("", direct, direct=True) for event in heard.events)

    asyncio.run(asyncio.wait_for(run(), 30))


@pytest.mark.parametrize("resumable", [True, False], ids=["resumed", "new session"])
def test_what_was_said_while_a_connection_was_gone_is_told(resumable: bool) -> None:
    async def check(world: World, adapter: DiscordAdapter, heard: Heard) -> None:
        world.service.resumable = resumable
        first = await world.say("ann", "first")
        await until(lambda: heard.events)
        await world.drop()
        missed = [await world.say("ann", f"missed {n}") for n in range(3)]
        await until(lambda: {first, *missed} <= {event.id for event in heard.events})
        assert heard.down == ["the connection was cut"]
        await until(lambda: heard.up == 2)
        assert (world.service.resumed, world.service.identified) == ((1, 1) if resumable else (0, 2))

    with_bot(check)


def test_fifty_dropped_connections_lose_nothing() -> None:
    async def check(world: World, adapter: DiscordAdapter, heard: Heard) -> None:
        took, said = [], []
        for n in range(50):
            await world.drop()
            begun = time.monotonic()
            said.append(await world.say("ann", f"{n}"))
            await until(lambda: heard.events and heard.events[-1].id == said[-1])
            took.append(time.monotonic() - begun)
        assert [event.id for event in heard.events] == said
        assert statistics.median(took) <= 5.0
        print(f"back after a drop, median of 50: {statistics.median(took) * 1000:.1f} ms")

    with_bot(check)


def test_a_thousand_presses_are_acknowledged_soon() -> None:
    @dataclass
    class Kept(Heard):
        async def accept(self, events: Any, cursor: str | None = None) -> None:
            await asyncio.sleep(0.002)
            await super().accept(events, cursor)

    async def run() -> None:
        async with World() as world:
            heard = Kept()
            async with listening(world, heard) as adapter:
                sent = await adapter.send(Place("", world.channel), [plain("sure?")], "k", [YES, NO])
                for _ in range(1000):
                    await world.press("ann", world.channel, sent, "approve")
                    await asyncio.sleep(0.003)
                await until(lambda: len(world.service.answers) == 1000)
            took = sorted(
                world.service.answers[one][0] - world.service.pressed[one][0] for one in world.service.answers
            )
            print(f"acknowledged: median {took[500] * 1000:.1f} ms, p99 {took[989] * 1000:.1f} ms")
            assert took[989] <= 0.25, "of the three seconds that Discord gives"

    asyncio.run(asyncio.wait_for(run(), 30))


def test_what_cannot_be_kept_is_told_again_and_not_acknowledged() -> None:
    async def run() -> None:
        async with World() as world:
            heard = Full(failures=0)
            async with listening(world, heard) as adapter:
                sent = await adapter.send(Place("", world.channel), [plain("sure?")], "k", [YES])
                await until(lambda: heard.events)
                heard.failures, before = 1000, heard.cursor
                await world.press("ann", world.channel, sent, "approve")
                said = await world.say("ann", "hello")
                await until(lambda: heard.failures < 999)
                assert (world.service.answers, heard.cursor) == ({}, before)
            heard.failures = 0  # the process was ended, and is back
            async with listening(world, heard):
                assert said in {event.id for event in heard.events if isinstance(event, Message)}

    asyncio.run(asyncio.wait_for(run(), 30))


def test_an_event_that_cannot_be_read_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def check(world: World, adapter: DiscordAdapter, heard: Heard) -> None:
        nobody = {
            "id": "1",
            "application_id": BOT,
            "type": 3,
            "data": {"custom_id": "approve:1", "component_type": 2},
        }
        nobody |= {"token": "t", "version": 1, "channel": {"id": "301", "type": 1}, "attachment_size_limit": 1}
        await world.service.dispatch("INTERACTION_CREATE", nobody)  # and nobody has pressed
        await world.service.dispatch("MESSAGE_UPDATE", {"id": "1", "channel_id": world.channel})  # the library fails
        said = await world.say("ann", "still there?")
        await until(lambda: said in {event.id for event in heard.events})

    with_bot(check)
    assert {record.name for record in caplog.records if record.levelno >= logging.ERROR} >= {"gemmagraph.bots"}


def test_a_revoked_token_ends_the_listening_and_shows_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def run() -> None:
        async with World() as world:
            adapter, heard = world.adapter(), Heard()
            task = asyncio.create_task(adapter.listen(heard))
            await until(lambda: heard.cursor)
            await world.say("ann", "a text that is nobody's business")
            await until(lambda: heard.events)
            world.service.token = "another"  # the connection stays, for the moment
            with pytest.raises(Revoked) as refused:
                await adapter.send(Place("", world.channel), [plain("a")], "k")
            with pytest.raises(Revoked):
                await asyncio.wait_for(task, 3)
            assert TOKEN not in f"{refused.value!r} {refused.value} {adapter!r}"

            world.service.token, heard = TOKEN, Heard()
            task = asyncio.create_task(adapter.listen(heard))
            await until(lambda: heard.cursor)
            world.revoke()
            with pytest.raises(Revoked, match="token"):
                await asyncio.wait_for(task, 3)
            with pytest.raises(Revoked, match="token"):
                await asyncio.wait_for(adapter.listen(Heard()), 3)

    asyncio.run(asyncio.wait_for(run(), 30))
    written = caplog.text + "".join(str(record.__dict__) for record in caplog.records)
    assert TOKEN not in written
    assert "nobody's business" not in written


def test_without_the_content_intent_the_bot_hears_what_is_meant_for_it() -> None:
    async def run() -> None:
        async with World() as world:
            world.service.content_allowed = False
            heard = Heard()
            async with listening(world, heard):
                await world.say("ann", "not for the bot")
                await world.say("ann", "for the bot", to_bot=True)
                await world.say("ann", "alone", channel=await world.direct("ann"))
                await until(lambda: len(heard.events) == 3)
                assert [event.text for event in heard.events] == ["", "for the bot", "alone"]

    asyncio.run(asyncio.wait_for(run(), 30))


def test_another_server_is_not_heard_where_one_is_named() -> None:
    async def run() -> None:
        async with World() as world:
            world.keys |= {"guild": "501"}
            heard = Heard()
            async with listening(world, heard):
                await world.say("ann", "in another server", to_bot=True)
                await world.say("ann", "alone", channel=await world.direct("ann"))
                await until(lambda: heard.events)
                assert [event.text for event in heard.events] == ["alone"]

    asyncio.run(asyncio.wait_for(run(), 30))


def test_a_bot_that_starts_before_discord_is_there_comes_up_later() -> None:
    async def run() -> None:
        async with World() as world:
            world.service.down = True
            heard = Heard()
            task = asyncio.create_task(world.adapter().listen(heard))
            await until(lambda: heard.down)
            assert not task.done()
            world.service.down = False
            await until(lambda: heard.up == 1)
            assert len(heard.down) == 1
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    asyncio.run(asyncio.wait_for(run(), 30))


def test_cancelled_listening_leaves_nothing_behind() -> None:
    async def run() -> None:
        async with World() as world:
            heard = Heard()
            for moment in (0.0, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.3):
                adapter = world.adapter()
                task = asyncio.create_task(adapter.listen(heard))
                await asyncio.sleep(moment)
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await asyncio.wait_for(task, 4)
                await until(lambda: len(world.service._sockets) == 0)
                await until(lambda: not ours(threading.enumerate()))
                with pytest.raises(Unreachable):
                    await adapter.send(Place("", world.channel), [plain("a")], "k")
            await asyncio.sleep(0)
            left = [task for task in asyncio.all_tasks() if "discord" in repr(task.get_coro())]
            assert not left

    def ours(threads: list[threading.Thread]) -> list[threading.Thread]:
        return [thread for thread in threads if thread.name.startswith("keep-alive-handler")]

    asyncio.run(asyncio.wait_for(run(), 30))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({}, "needs its token"),
        ({"token": " "}, "needs its token"),
        ({"token": "x", "tokens": "y"}, "'tokens' is no key"),
        ({"token": "x", "guild": "My server"}, "no id of a Discord server"),
    ],
    ids=["none", "empty", "unknown", "guild"],
)
def test_wrong_keys_are_named(keys: dict[str, str], message: str) -> None:
    with pytest.raises(BotError, match=message):
        DiscordAdapter(keys)


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "discord", None)
    with pytest.raises(BotError, match=r"pip install \"gemmagraph\[discord\]\""):
        DiscordAdapter({"token": "x"})


def test_the_cursor_stays_small_and_keeps_the_latest_direct_channels() -> None:
    cursor = Cursor(None)
    for n in range(500):
        cursor.see(cursor.since + n, 1_500_000_000_000_000_000 + n)
    assert len(cursor.write()) <= 2000
    assert 1_500_000_000_000_000_499 in Cursor(cursor.write()).direct
    assert Cursor(cursor.write()).write() == cursor.write()
