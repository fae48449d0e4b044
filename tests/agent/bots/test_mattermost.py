"""The adapter for Mattermost against a small server of ours, over its REST interface and its websocket."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import ssl
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from chats.listening import listening
from chats.mattermost import BOT, World
from chats.mattermost_client import in_browser, on_phone
from chats.mattermost_server import Server
from chats.team import run
from chats.world import Full, Heard, Seen, Slow, Upload, until

from gemmagraph.bots.base import Adapter, Choice, Deleted, Edited, File, Inbound, Message, Place, Pressed
from gemmagraph.bots.errors import BotError, NotThere, Revoked, TooFast, Unreachable
from gemmagraph.bots.mattermost.adapter import MattermostAdapter
from gemmagraph.bots.mattermost.text import said, written
from gemmagraph.bots.text import Block, Code, Paragraph, Span, as_text, blocks_of, plain

pytestmark = pytest.mark.long

CHOICES = (Choice("approve", "7F3K", "Approve"), Choice("reject", "7F3K", "Reject"))


async def told(heard: Heard, kind: type[Inbound], number: int = 1) -> list[Any]:
    """The events of a kind, once there are so many different ones; the bot's own messages left out."""
    await until(lambda: len(_told(heard, kind)) >= number, f"{number} of {kind.__name__}")
    return _told(heard, kind)


def _told(heard: Heard, kind: type[Inbound]) -> list[Any]:
    found: dict[str, Any] = {}
    for one in heard.events:
        if isinstance(one, kind) and getattr(one, "name", "") != BOT:
            found.setdefault(one.event, one)
    return list(found.values())


async def sent(world: World, adapter: Adapter, blocks: Sequence[Block], place: Place | None = None) -> Seen:
    place = place or Place("", world.channel)
    name = await adapter.send(place, blocks, "key")
    return next(one for one in await world.seen(place.channel) if one.id == name)


KEYS = {
    "no url": ({"token": "t0ken"}, "mattermost needs the key 'url'"),
    "no token": ({"url": "https://chat.example.org"}, "mattermost needs the key 'token'"),
    "token is a number": ({"url": "https://chat.example.org", "token": 5}, "mattermost needs the key 'token'"),
    "empty token": ({"url": "https://chat.example.org", "token": " "}, "mattermost needs the key 'token'"),
    "typo": ({"url": "https://chat.example.org", "tokn": "t0ken"}, "no key 'tokn'; is it 'token'?"),
    "no web address": ({"url": "ftp://chat.example.org", "token": "t0ken"}, "must look like"),
    "no scheme": ({"url": "chat.example.org", "token": "t0ken"}, "must look like"),
    "no host": ({"url": "https://", "token": "t0ken"}, "must look like"),
    "a name in it": ({"url": "https://t0ken:x@chat.example.org", "token": "t0ken"}, "must look like"),
    "no port": ({"url": "https://chat.example.org:http", "token": "t0ken"}, "must look like"),
}


@pytest.mark.parametrize(("keys", "why"), KEYS.values(), ids=KEYS)
def test_wrong_keys_are_named(keys: dict[str, Any], why: str) -> None:
    with pytest.raises(BotError) as refused:
        MattermostAdapter(keys)
    assert why in str(refused.value)
    assert "t0ken" not in str(refused.value)


def test_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "websockets", None)
    with pytest.raises(BotError, match=r'pip install "gemmagraph\[mattermost\]"'):
        MattermostAdapter({"url": "https://chat.example.org", "token": "t0ken"})


def test_message_is_told_with_all_that_is_known_of_it() -> None:
    async def test() -> None:
        async with World() as world, listening(world) as (_, heard):
            root = await world.say("ann", "deploy web", to_bot=True)
            await world.say("bob", "why?", thread=root)
            await world.say("eve", "psst", channel=await world.direct("eve"))
            group = world.server.add_channel("G", world.people["ann"], world.people["bob"], world.bot)
            await world.say("ann", "we three", channel=group)
            first, second, third, fourth = await told(heard, Message, 4)
            assert first == Message(
                event=f"post:{root}",
                place=Place("", world.channel),
                user=world.people["ann"],
                name="ann",
                text="deploy web",
                id=root,
                addressed=True,
            )
            assert (second.place, second.text, second.addressed) == (Place("", world.channel, root), "why?", False)
            assert third.place == Place("", await world.direct("eve"), direct=True)
            assert fourth.place == Place("", group)
            assert not any(one.machine for one in (first, second, third, fourth))

    run(test)


MENTIONS = {
    "in front": (f"@{BOT} status", "status", True),
    "comma": (f"@{BOT}, status", "status", True),
    "colon": (f"@{BOT}: status", "status", True),
    "at the end": (f"status please @{BOT}", "status please", True),
    "sentence end": (f"ask @{BOT}.", "ask .", True),
    "upper case": (f"@{BOT.upper()} status", "status", True),
    "in the middle": (f"could @{BOT} look?", "could look?", True),
    "two lines": (f"@{BOT}\nstatus", "status", True),
    "only the name": (f"{BOT} is a bot", f"{BOT} is a bot", False),
    "another name": (f"@{BOT}-two status", f"@{BOT}-two status", False),
    "longer name": (f"@{BOT}s status", f"@{BOT}s status", False),
    "dotted name": (f"@{BOT}.two status", f"@{BOT}.two status", False),
    "mail address": (f"ann@{BOT} wrote", f"ann@{BOT} wrote", False),
    "code span": (f"write `@{BOT} status`", f"write `@{BOT} status`", False),
    "code block": (f"```\n@{BOT} status\n```", f"```\n@{BOT} status\n```", False),
    "open code block": (f"~~~sh\n@{BOT} status", f"~~~sh\n@{BOT} status", False),
    "after a lone backtick": (f"it's ` odd @{BOT} status", "it's ` odd status", True),
    "before and in code": (f"@{BOT} what is\n```\n@{BOT}\n```", f"what is\n```\n@{BOT}\n```", True),
    "everybody": ("@all @channel @here", "@all @channel @here", False),
    "spaces kept": ("  two  spaces ", "  two  spaces ", False),
}


@pytest.mark.parametrize(("text", "plain_text", "addressed"), MENTIONS.values(), ids=MENTIONS)
def test_mention_of_the_bot_is_taken_out(text: str, plain_text: str, addressed: bool) -> None:
    async def test() -> None:
        async with World() as world, listening(world) as (_, heard):
            await world.say("ann", text)
            [message] = await told(heard, Message)
            assert (message.text, message.addressed) == (plain_text, addressed)

    run(test)


def test_many_backticks_are_read_at_once() -> None:
    text = "@gemma " + "".join(f"{'`' * (number % 40 + 1)}a" for number in range(3_000))
    before = time.process_time()
    assert said(text, "gemma")[1]
    assert time.process_time() - before < 1.0


MACHINES = {
    "webhook": {"from_webhook": "true", "override_username": "ann"},
    "plugin": {"from_plugin": "true"},
    "application": {"from_oauth_app": "true"},
}


@pytest.mark.parametrize("props", MACHINES.values(), ids=MACHINES)
def test_what_no_person_typed_is_of_a_machine(props: dict[str, str]) -> None:
    async def test() -> None:
        async with World() as world, listening(world) as (_, heard):
            await world.server.post(world.people["ann"], world.channel, "deploy", props=props)
            [message] = await told(heard, Message)
            assert message.machine

    run(test)


def test_bots_are_machines_and_the_server_itself_is_not_told() -> None:
    async def test() -> None:
        async with World() as world, listening(world) as (adapter, heard):
            await world.server.post(world.people["ann"], world.channel, "ann joined", type="system_join_channel")
            await world.say("robot", "build failed")
            own = await adapter.send(Place("", world.channel), [plain("hello")], "k")
            await until(lambda: len(heard.events) == 2)
            assert [(one.text, one.machine) for one in heard.events] == [("build failed", True), ("hello", True)]
            assert heard.events[1].id == own

    run(test)


def test_redelivered_events_have_the_same_names() -> None:
    async def test() -> None:
        async with World() as world, listening(world) as (adapter, heard):
            own = await adapter.send(Place("", world.channel), [plain("Deploy?")], "k")
            message = await world.say("ann", "hello")
            await world.change("ann", world.channel, message, "hello!")
            await world.press("ann", world.channel, own, "approve")
            await world.delete("ann", world.channel, message)
            await until(lambda: len(heard.events) == 5)
            names = [one.event for one in heard.events]
            await world.redeliver()
            await until(lambda: len(heard.events) == 10)
            assert [one.event for one in heard.events[5:]] == names
            assert len(set(names)) == 5

    run(test)


def test_changes_and_deletions_are_told() -> None:
    async def test() -> None:
        async with World() as world, listening(world) as (adapter, heard):
            message = await world.say("ann", "restart web", to_bot=True)
            await world.change("ann", world.channel, message, f"@{BOT} restart db")
            [edited] = await told(heard, Edited)
            assert (edited.message.id, edited.message.text, edited.message.user) == (
                message,
                "restart db",
                world.user("ann"),
            )
            await world.server.rewrite(message, f"@{BOT} restart db")  # pinned, say
            own = await adapter.send(Place("", world.channel), [plain("one")], "k")
            await adapter.edit(Place("", world.channel), own, [plain("two")])
            await world.delete("ann", world.channel, message)
            [deleted] = await told(heard, Deleted)
            assert deleted == Deleted(f"delete:{message}", Place("", world.channel), message)
            assert len(_told(heard, Edited)) == 1

    run(test)


def test_reactions_to_the_bots_own_messages_decide() -> None:
    async def test() -> None:
        async with World() as world, listening(world) as (adapter, heard):
            root = await world.say("ann", "deploy")
            own = await adapter.send(Place("", world.channel, root), [plain("Deploy?")], "k", CHOICES)
            assert [one.offers for one in await world.seen(world.channel, root)] == [("approve", "reject")]
            await world.press("eve", world.channel, root, "approve")  # that is not the bot's
            await world.server.react(world.people["eve"], own, "tada")
            await world.press("bob", world.channel, own, "reject")
            await world.server.react(world.people["bob"], own, "+1")
            first, second = await told(heard, Pressed, 2)
            place = Place("", world.channel, root)
            assert first == Pressed(first.event, place, world.user("bob"), "bob", own, "reject")
            assert (second.verb, second.approval) == ("approve", "")
            assert {one.user for one in _told(heard, Pressed)} == {world.user("bob")}

    run(test)


def test_reaction_to_a_message_of_an_earlier_process_is_told() -> None:
    async def test() -> None:
        async with World() as world:
            direct = await world.direct("bob")
            own = await world.adapter().send(Place("", direct, direct=True), [plain("Deploy?")], "k", CHOICES)
            async with listening(world) as (_, heard):
                await world.press("bob", direct, own, "approve")
                [pressed] = await told(heard, Pressed)
                assert (pressed.place, pressed.verb) == (Place("", direct, direct=True), "approve")

    run(test)


def test_what_was_missed_while_the_connection_was_lost_is_told_in_order() -> None:
    async def test() -> None:
        async with World() as world, listening(world) as (adapter, heard):
            own = await adapter.send(Place("", world.channel), [plain("Deploy?")], "k")
            old = await world.say("ann", "old")
            gone = await world.say("ann", "gone")
            await told(heard, Message, 2)
            await world.drop()
            await world.say("ann", "one", to_bot=True)
            await world.say("bob", "two", channel=world.other)
            await asyncio.sleep(0.002)  # the server counts milliseconds
            await world.change("ann", world.channel, old, "new")
            await asyncio.sleep(0.002)
            await world.delete("ann", world.channel, gone)
            await asyncio.sleep(0.002)
            await world.press("bob", world.channel, own, "approve")
            await until(lambda: heard.up == 2)
            assert [one.text for one in await told(heard, Message, 4)] == ["old", "gone", "one", "two"]
            [edited], [deleted], [pressed] = (_told(heard, kind) for kind in (Edited, Deleted, Pressed))
            assert (edited.message.text, deleted.id, deleted.user) == ("new", gone, world.user("ann"))
            assert (pressed.user, pressed.message) == (world.user("bob"), own)
            order = [one.event for one in heard.events if one in (edited, deleted, pressed)]
            assert order == [edited.event, deleted.event, pressed.event]
            assert len(heard.down) == 1

    run(test)


def test_a_new_process_goes_on_at_the_cursor() -> None:
    async def test() -> None:
        async with World() as world:
            await world.say("ann", "long ago", to_bot=True)
            heard = Heard()
            async with listening(world, heard):
                await world.say("ann", "live")
                await told(heard, Message)
            await world.say("ann", "while nobody was there")
            again = Heard(cursor=heard.cursor)
            async with listening(world, again):
                texts = [one.text for one in await told(again, Message, 2)]
            assert texts == ["live", "while nobody was there"]  # the first once more, under its name
            assert len(heard.cursor or "") < 2_000

    run(test)


def test_nothing_from_before_the_first_start_is_told_also_after_a_loss() -> None:
    async def test() -> None:
        async with World() as world:
            for number in range(5):
                await world.say("ann", f"long ago {number}", to_bot=True)
            async with listening(world) as (_, heard):
                await world.drop()
                await until(lambda: heard.up == 2)
                await world.say("ann", "now")
                assert [one.text for one in await told(heard, Message)] == ["now"]

    run(test)


def test_unreadable_cursor_is_said() -> None:
    async def test() -> None:
        async with World() as world:
            heard = Heard(cursor="12")
            task = asyncio.create_task(world.adapter().listen(heard))
            await until(lambda: heard.down)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert "cursor" in heard.down[0]

    run(test)


def test_missing_number_among_events_is_filled_without_a_new_connection() -> None:
    async def test() -> None:
        async with World() as world, listening(world) as (_, heard):
            world.server.swallowed = 2
            await world.say("ann", "one")
            await world.say("ann", "two")
            await world.say("ann", "three")
            assert [one.text for one in await told(heard, Message, 3)] == ["one", "two", "three"]
            assert (heard.up, heard.down) == (1, [])

    run(test)


def test_more_is_missed_than_one_answer_holds() -> None:
    async def test() -> None:
        async with World() as world, listening(world) as (_, heard):
            await world.drop()
            for number in range(1_250):
                await world.say("ann", f"{number}")
            texts = [one.text for one in await told(heard, Message, 1_250)]
            assert sorted(texts, key=int) == [f"{number}" for number in range(1_250)]

    run(test)


def test_what_could_not_be_kept_is_told_again() -> None:
    async def test() -> None:
        async with World() as world, listening(world, Full()) as (_, heard):
            await world.say("ann", "keep me")
            assert [one.text for one in await told(heard, Message)] == ["keep me"]
            assert heard.down == ["The disk is full."]

    run(test)


def test_revoked_token_ends_listening_within_seconds() -> None:
    async def test() -> None:
        async with World() as world:
            heard = Heard()
            task = asyncio.create_task(world.adapter().listen(heard))
            await until(lambda: heard.up)
            world.revoke()
            with pytest.raises(Revoked) as refused:
                await asyncio.wait_for(task, 8)
            assert world.token not in str(refused.value)
            with pytest.raises(Revoked):
                await world.adapter().listen(heard)
            with pytest.raises(Revoked):
                await world.adapter().send(Place("", world.channel), [plain("hello")], "k")

    run(test)


def test_nothing_goes_on_after_listening_was_cancelled() -> None:
    async def test() -> None:
        async with World() as world:
            tasks = asyncio.all_tasks()
            async with listening(world) as (adapter, _):
                await adapter.send(Place("", world.channel), [plain("hello")], "k")
            await until(lambda: not world.server.listeners)
            assert {task for task in asyncio.all_tasks() - tasks if "agent" in str(task.get_coro())} == set()
            last = await adapter.send(Place("", world.channel), [plain("the end of a turn")], "l")
            assert (await world.seen(world.channel))[-1].id == last

    run(test)


def test_nothing_that_makes_no_sense_ends_listening(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        async with World() as world, listening(world) as (_, heard):
            broken = world.server.prepared({"id": "x", "delete_at": 0, "file_ids": []})
            for event, data in (
                ("posted", {}),
                ("posted", {"post": "{"}),
                ("posted", {"post": json.dumps(broken)}),
                ("posted", {"post": "[]", "channel_type": "O"}),
                ("post_edited", {"post": "5"}),
                ("reaction_added", {"reaction": '{"emoji_name": "x"}'}),
                ("user_updated", {"user": None}),
                ("never_heard_of", {"post": 5}),
            ):
                await world.server.tell(event, data)
            for listener in world.server.listeners:
                await listener.socket.send_str("no JSON")
                await listener.socket.send_str('{"event": "typing", "data": null, "seq": "x"}')
                await listener.socket.send_str("[" * 100_000)
            await world.say("ann", "still there?")
            assert [one.text for one in await told(heard, Message)] == ["still there?"]
            assert heard.down == []

    with caplog.at_level(logging.WARNING):
        run(test)
    assert "could not be read" in caplog.text


def test_renamed_person_has_the_new_name_and_the_old_id() -> None:
    async def test() -> None:
        async with World() as world, listening(world) as (_, heard):
            await world.say("ann", "one")
            await told(heard, Message)
            await world.rename("ann", "anna")
            await world.say("ann", "two")
            first, second = await told(heard, Message, 2)
            assert (first.name, second.name) == ("ann", "anna")
            assert first.user == second.user == world.user("ann")

    run(test)


def test_files_come_and_are_read_up_to_a_size() -> None:
    async def test() -> None:
        async with World() as world, listening(world) as (adapter, heard):
            content = bytes(range(256)) * 1_000
            await world.say(
                "ann", "look", files=[Upload("../a.log", "text/plain", content), Upload("b", "image/png", b"1")]
            )
            [message] = await told(heard, Message)
            first, second = message.files
            assert (first.name, first.mime, first.size) == ("../a.log", "text/plain", 256_000)
            assert (second.name, second.mime) == ("b", "image/png")
            kept = File(first.name, first.mime, first.size, json.loads(json.dumps(first.reference)))
            assert await adapter.fetch(kept, 256_000) == content
            with pytest.raises(NotThere, match="larger than 255999 bytes"):
                await adapter.fetch(kept, 255_999)
            world.server.files.clear()
            with pytest.raises(NotThere):
                await adapter.fetch(kept, 256_000)

    run(test)


REFERENCES = {
    "none": {},
    "a path": {"id": "../users/me"},
    "an address": {"id": "https://evil.example/x"},
    "no text": {"id": 5},
}


@pytest.mark.parametrize("reference", REFERENCES.values(), ids=REFERENCES)
def test_only_files_of_the_server_are_fetched(reference: dict[str, Any]) -> None:
    async def test() -> None:
        async with World() as world:
            with pytest.raises(NotThere):
                await world.adapter().fetch(File("a", "text/plain", 1, reference), 1_000)
            assert world.server.authorized == []

    run(test)


def test_the_token_goes_nowhere_else() -> None:
    async def test() -> None:
        elsewhere = Server()
        await elsewhere.start()
        elsewhere.tokens["anything"] = elsewhere.add_user("x")
        try:
            async with World() as world:
                adapter = world.adapter()
                world.server.moved_to = elsewhere.url + "/api/v4/users/me"
                with pytest.raises(Unreachable, match="points elsewhere"):
                    await adapter.fetch(File("a", "text/plain", 1, {"id": "a" * 26}), 1_000)
                with pytest.raises(Unreachable, match="points elsewhere"):
                    await adapter.send(Place("", world.channel), [plain("hello")], "k")
                world.server.moved = "websocket"
                world.server.moved_to = elsewhere.url + "/api/v4/websocket"
                heard = Heard()
                task = asyncio.create_task(adapter.listen(heard))
                await until(lambda: heard.down)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                assert elsewhere.asked == 0
        finally:
            await elsewhere.stop()

    run(test)


def test_choices_are_put_under_a_message_and_taken_away() -> None:
    async def test() -> None:
        async with World() as world:
            adapter, place = world.adapter(), Place("", world.channel)
            own = await adapter.send(place, [plain("Deploy?")], "k", CHOICES)
            await world.press("ann", world.channel, own, "approve")
            await world.adapter().edit(place, own, [plain("Deploy now?")], CHOICES)
            [seen] = await world.seen(world.channel)
            assert (seen.text, seen.offers, seen.edits) == ("Deploy now?", ("approve", "reject"), 1)
            await world.adapter().edit(place, own, [plain("Approved by ann")])
            [seen] = await world.seen(world.channel)
            assert (seen.text, seen.offers) == ("Approved by ann", ())
            await adapter.edit(place, own, [plain("Or not?")], CHOICES[1:])
            assert (await world.seen(world.channel))[0].offers == ("reject",)
            assert {one["user_id"] for one in world.server.of_post(own)} == {world.people["ann"], world.bot}

    run(test)


def test_message_goes_into_its_thread_and_place() -> None:
    async def test() -> None:
        async with World() as world:
            root = await world.say("ann", "deploy")
            direct = await world.direct("eve")
            adapter = world.adapter()
            in_thread = await adapter.send(Place("", world.channel, root), [plain("In a thread.")], "1")
            in_direct = await adapter.send(Place("", direct, direct=True), [plain("Alone.")], "2")
            assert [one.id for one in await world.seen(world.channel, root)] == [in_thread]
            assert [(one.id, one.who) for one in await world.seen(direct, "")] == [(in_direct, "bot")]

    run(test)


NASTY = {
    "stars": "2 * 3 * 4 ** 5 *a* **b**",
    "underscores": "a_b_c __init__ _x_",
    "backticks": "a ` b `` c ``` d",
    "struck": "~~gone~~ ~ ~x~",
    "backslashes": r"C:\Users\ann \* \\server\share \_ end\ ".strip(),
    "backslash at the end": "a\\\nb\\",
    "link": "[click](https://evil.example/x)",
    "image": "![x](https://evil.example/x.png)",
    "reference": "[a]: https://evil.example\n[a]",
    "address": "https://evil.example/?k=SECRET",
    "address in brackets": "<https://evil.example/x>",
    "upper case address": "HTTPS://EVIL.EXAMPLE/x",
    "other schemes": "ftp://x.example/a mailto:ann@example.org tel:+49123 git://x smb://y/z tel:5551234",
    "bare domains": "www.example.org WWW.example.org www2.example.org/x example.org/x пример.рф/x sub.example.co/y",
    "bare domain behind a mark": "_www.example.org *www.example.org x_www.example.org/y",
    "bare domain in brackets": "<www.example.org>",
    "mail address": "ann@example.org, <ann@example.org>",
    "everybody": "@all @channel @here @ALL (@all) @all. -@here",
    "people": "@ann @bob: @eve_ hello,@ann",
    "escaped mention": r"\@all &#64;all @\all",
    "mention in markup": "@**all** **@all** *@here* @_channel_",
    "channels": "~ops ~town-square (~releases) ~Ops",
    "hashtags": "#deploy #ops-2 a#b #1 ##x",
    "emoji": ":smile: :+1: :white_check_mark: a:b:c :100:",
    "emoticons": "🙂".join((":)", ";-)", ":D", ":-(", "<3", "</3", ":/", ":|", ":$", "x-d", ":'(", ":@", ":p")),
    "emoticon beside letters": "x:P 8) :o :x :]",
    "headings": "# one\n## two\n###### six\n#seven",
    "setext": "title\n===\nother\n---",
    "quotes": "> quoted\n>quoted\n>> twice",
    "lists": "- one\n* two\n+ three\n1. four\n2) five\n10. six\n-no list",
    "rules": "a\n***\n---\n___\n- - -\n===",
    "indented": "    four spaces\n\ttab\n  two",
    "fences": "```sh\nrm -rf /\n```\n~~~\nx\n~~~",
    "table": "| a | b |\n|---|---|\n| 1 | 2 |",
    "table without edges": "a | b\n--- | ---\n1 | 2",
    "tags": "<b>bold</b> <script>alert(1)</script> <!-- hidden --> <br/> <?php ?> a < b > c",
    "open bracket": "<\tann@example.org> <\n@all> a < b <",
    "entities": "&lt;b&gt; &amp; &#64;all &copy; &nbsp;x; a&b &unknown;",
    "formulas": "$x^2$ costs $5 and $6 $$y$$",
    "one dollar": "costs $5",
    "times": "12:30:45 and 10:05",
    "key and value": "host:8080 note:this http:x javascript:alert(1) data:text/html,x",
    "blank lines": "one\n\ntwo\n\n\nthree".replace("\n\n\n", "\n\n"),
    "only marks": "***",
    "brackets": "[x] [ ] (a) {b} <c>",
    "nested": "**[*_`~~@all~~`_*](https://e.example)**",
    "right to left": "abc \u05d0\u05d1 def",
    "family": "👨‍👩‍👧 🇩🇪 ✅",
    "control marks of Gemma": "<start_of_turn>user <end_of_turn> <|turn>x<turn|>",
    "slash command": "/leave",
    "long stars": "*" * 300,
    "long backslashes": "\\" * 100 + "@all",
}


@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY)
def test_text_is_shown_as_it_is_and_nothing_in_it_is_live(text: str) -> None:
    async def test() -> None:
        async with World() as world:
            blocks: list[Block] = [plain(text)]
            seen = await sent(world, world.adapter(), blocks)
            assert (seen.live, seen.pings) == ((), ())
            assert not in_browser(seen.raw).formulas
            assert seen.text.split() == text.split()
            assert seen.text.replace(" ", "") == text.replace(" ", "")
            assert _squeezed(on_phone(seen.raw)) == _squeezed(text)
            assert world.server.previewed == []

    run(test)


def _squeezed(text: str) -> str:
    """Without blanks, which are drawn together, and breaks between paragraphs."""
    return "".join(text.split())


@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY)
def test_code_is_shown_as_it_is(text: str) -> None:
    for blocks in (
        [Paragraph((Span("see "), Span(text, "code"), Span(" there")))],
        [Code(text, "latex")],
        [plain("before"), Code(text, "sh"), plain("after")],
    ):
        shown = in_browser(written(blocks))
        assert (shown.live, shown.mentioned, shown.formulas) == ([], [], False)
        assert _squeezed(shown.text) == _squeezed(as_text(blocks))
        assert _squeezed(on_phone(written(blocks))) == _squeezed(as_text(blocks))


@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY)
def test_what_the_model_writes_is_never_live(text: str) -> None:
    for wrapped in (text, f"**{text}**", f"*{text}*", f"- {text}", f"# {text}", f"`{text}`"):
        shown = in_browser(written(blocks_of(wrapped, ["good.example"])))
        assert (shown.live, shown.mentioned, shown.formulas) == ([], [], False)


STYLES = {
    "bold": ([Span("a "), Span("bold", "bold"), Span(" b")], "a **bold** b"),
    "italic": ([Span("a", "italic"), Span(".")], "*a*."),
    "inside a word": ([Span("un"), Span("believ", "bold"), Span("able")], "un**believ**able"),
    "room inside": ([Span("a"), Span(" b ", "bold"), Span("c")], "a **b** c"),
    "two side by side": ([Span("a", "bold"), Span("b", "bold")], "**a**\u200b**b**"),
    "a mark before a letter": ([Span("a!", "bold"), Span("b")], "a!b"),
    "a mark at the end": ([Span("Result:", "bold"), Span(" good")], "**Result:** good"),
    "stars within": ([Span("a*b", "bold")], "a\\*b"),
    "a mark beside a mark": ([Span("("), Span("!a", "italic"), Span(")")], "(!a)"),
    "bracket before a link": (
        [Span("<"), Span("https://good.example/a", "link"), Span(">")],
        "&lt;\u200b<https://good.example/a>>",
    ),
    "name behind a dropped mark": (
        [Span("@"), Span("!all", "bold"), Span(":", "bold"), Span(")")],
        "@\u200b!all:\u200b)",
    ),
    "ticks at the beginning of a line": ([Span("a\n``b", "code"), Span("c")], "`a`\n\u200b``` ``b ```c"),
    "formula into code": ([Span("$ a "), Span("b $", "code")], "&#36; a `b $`"),
    "quote in italics": ([Span('"a"', "italic")], '"a"'),
    "code": ([Span("ls -l", "code")], "`ls -l`"),
    "code with a backtick": ([Span("a`b", "code")], "``a`b``"),
    "code that ends with one": ([Span("a`", "code")], "`` a` ``"),
    "code of two lines": ([Span("a\nb", "code")], "`a`\n`b`"),
    "code without anything": ([Span("a"), Span("  ", "code"), Span("b")], "a  b"),
    "name in two pieces": ([Span("@"), Span("all")], "@\u200ball"),
    "live link": ([Span("https://good.example/a_b?c=1", "link")], "<https://good.example/a_b?c=1>"),
    "link with an entity": ([Span("https://good.example/?a&lt;b", "link")], "`https://good.example/?a&lt;b`"),
    "link with a name in it": ([Span("https://good.example/@ann", "link")], "`https://good.example/@ann`"),
}


@pytest.mark.parametrize(("spans", "raw"), STYLES.values(), ids=STYLES)
def test_styles_are_written_as_markdown(spans: list[Span], raw: str) -> None:
    blocks = [Paragraph(tuple(spans))]
    assert written(blocks) == raw
    assert in_browser(raw).text == as_text(blocks)
    assert _squeezed(on_phone(raw)) == _squeezed(as_text(blocks))


def test_allowed_link_is_live_and_not_previewed() -> None:
    async def test() -> None:
        async with World() as world:
            blocks = blocks_of("see https://good.example/a?b=1 and https://evil.example", ["good.example"])
            seen = await sent(world, world.adapter(), blocks)
            assert seen.live == ("https://good.example/a?b=1",)
            assert world.server.previewed == []
            assert seen.text == "see https://good.example/a?b=1 and https://evil.example"

    run(test)


def test_length_is_what_the_server_counts() -> None:
    async def test() -> None:
        async with World() as world:
            world.server.most = 4_000
            async with listening(world) as (adapter, _):
                assert adapter.traits.most == 4_000
                fits = [plain("*" * 2_000)]
                assert adapter.length(fits) == 4_000
                await adapter.send(Place("", world.channel), fits, "1")
                with pytest.raises(NotThere, match=r"message_length") as refused:
                    await adapter.send(Place("", world.channel), [plain("*" * 2_001)], "2")
                assert "***" not in str(refused.value)

    run(test)


def test_pause_that_the_server_wants_is_told() -> None:
    async def test() -> None:
        async with World() as world:
            adapter, place = world.adapter(), Place("", world.channel)
            own = await adapter.send(place, [plain("hello")], "k")
            world.refuse(7.5, times=2)
            with pytest.raises(TooFast) as refused:
                await adapter.send(place, [plain("again")], "l")
            assert refused.value.seconds == 7.5
            with pytest.raises(TooFast) as refused:
                await adapter.edit(place, own, [plain("again")])
            assert refused.value.seconds == 7.5
            await adapter.edit(place, own, [plain("again")])
            assert [one.text for one in await world.seen(world.channel)] == ["again"]
            assert [one.refused for one in world.requests if one.what != "other"] == [0.0, 7.5, 7.5, 0.0]

    run(test)


HEADERS = {
    "seconds left": ({"X-RateLimit-Reset": "4"}, 4.0),
    "a time": ({"X-RateLimit-Reset": "{in 300 s}"}, 300.0),
    "both": ({"X-RateLimit-Reset": "9", "Retry-After": "2"}, 2.0),
    "neither": ({}, 1.0),
    "nonsense": ({"X-RateLimit-Reset": "soon", "Retry-After": "Sun, 22 Nov 2026 07:00:00 GMT"}, 1.0),
    "a long time": ({"Retry-After": "1e9"}, 600.0),
}


@pytest.mark.parametrize(("headers", "seconds"), HEADERS.values(), ids=HEADERS)
def test_pause_is_read_from_what_servers_send(headers: dict[str, str], seconds: float) -> None:
    async def test() -> None:
        async with World() as world:
            then = f"{time.time() + 300:.0f}"
            world.server.pause_headers = {name: value.replace("{in 300 s}", then) for name, value in headers.items()}
            world.refuse(5)
            with pytest.raises(TooFast) as refused:
                await world.adapter().send(Place("", world.channel), [plain("hello")], "k")
            assert refused.value.seconds == pytest.approx(seconds, abs=30 if seconds == 300 else 0)

    run(test)


def test_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", f"{key}", "-out", f"{certificate}"]
    subprocess.run([*command, *names], check=True, capture_output=True, timeout=20)

    async def test() -> None:
        async with World() as world:
            world.server.tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            world.server.tls.load_cert_chain(certificate, key)
            await world.server.stop()
            await world.server.start()
            world.keys["url"] = world.server.url
            with pytest.raises(Unreachable):
                await world.adapter().send(Place("", world.channel), [plain("hello")], "k")
            assert world.server.asked == 0
            os.environ["SSL_CERT_FILE"] = str(certificate)
            async with listening(world) as (_, heard):
                await world.say("ann", "hello")
                assert [one.text for one in await told(heard, Message)] == ["hello"]

    before = os.environ.get("SSL_CERT_FILE")
    try:
        run(test)
    finally:
        os.environ.pop("SSL_CERT_FILE")
        if before is not None:
            os.environ["SSL_CERT_FILE"] = before


def test_reactions_wait_if_the_server_wants_it_and_the_message_is_said_once() -> None:
    async def test() -> None:
        async with World() as world:
            world.server.pauses_of_reactions = [0.05]
            await world.adapter().send(Place("", world.channel), [plain("Deploy?")], "k", CHOICES)
            [seen] = await world.seen(world.channel)
            assert seen.offers == ("approve", "reject")
            world.server.pauses_of_reactions = [600.0]
            await world.adapter().send(Place("", world.other), [plain("Deploy?")], "l", CHOICES)
            [seen] = await world.seen(world.other)
            assert (seen.text, seen.offers) == ("Deploy?", ())

    run(test)


def test_server_that_fails_or_is_away_is_unreachable() -> None:
    async def test() -> None:
        async with World() as world:
            adapter, place = world.adapter(), Place("", world.channel)
            for status in (500, 502, 503, 504, 408):
                world.server.broken = status
                with pytest.raises(Unreachable, match=str(status)):
                    await adapter.send(place, [plain("hello")], "k")
            world.server.broken = 200  # a page that is not Mattermost's
            with pytest.raises(Unreachable, match="not Mattermost"):
                await adapter.send(place, [plain("hello")], "k")
        with pytest.raises(Unreachable):
            await adapter.send(place, [plain("hello")], "k")
        with pytest.raises(Unreachable):
            await adapter.fetch(File("a", "text/plain", 1, {"id": "a" * 26}), 10)

    run(test)


def test_connection_comes_back_when_the_server_does() -> None:
    async def test() -> None:
        async with World() as world, listening(world) as (_, heard):
            world.server.broken = 502
            await world.drop()
            await until(lambda: any("502" in why for why in heard.down))
            await world.say("ann", "anybody?")
            world.server.broken = 0
            assert [one.text for one in await told(heard, Message)] == ["anybody?"]
            assert heard.up == 2

    run(test)


def test_where_the_bot_may_not_write_is_told() -> None:
    async def test() -> None:
        async with World() as world:
            adapter, place = world.adapter(), Place("", world.channel)
            own = await adapter.send(place, [plain("hello")], "k")
            root = await world.say("ann", "root")
            await world.delete("ann", world.channel, root)
            with pytest.raises(NotThere, match="root_id"):
                await adapter.send(replace(place, thread=root), [plain("hello")], "l")
            with pytest.raises(NotThere):
                await adapter.send(Place("", "nochannel"), [plain("hello")], "m")
            world.server.channels[world.other]["delete_at"] = 5
            with pytest.raises(NotThere, match="can_not_post_to_deleted"):
                await adapter.send(Place("", world.other), [plain("hello")], "n")
            world.forbid(world.channel)
            with pytest.raises(NotThere, match=r"403, api\.context\.permissions"):
                await adapter.send(place, [plain("hello")], "o")
            with pytest.raises(NotThere):
                await adapter.edit(place, own, [plain("hello")])

    run(test)


def test_message_is_found_by_its_key() -> None:
    async def test() -> None:
        async with World() as world:
            adapter, place = world.adapter(), Place("", world.channel)
            world.server.unlucky = 1
            with pytest.raises(Unreachable):
                await adapter.send(place, [plain("hello")], "k1")
            [seen] = await world.seen(world.channel)
            assert await world.adapter().find(place, "k1") == seen.id
            thread = replace(place, thread=await world.say("ann", "root"))
            in_thread = await adapter.send(thread, [plain("hello")], "k2")
            assert await adapter.find(thread, "k2") == in_thread
            assert await adapter.find(place, "k3") is None
            await world.server.post(world.people["eve"], world.channel, "mine", props={"gemmagraph_key": "k3"})
            assert await adapter.find(place, "k3") is None
            for number in range(250):
                await world.say("ann", f"{number}")
            assert await adapter.find(place, "k1") == seen.id
            assert await adapter.find(Place("", "nochannel"), "k1") is None

    run(test)


def test_the_same_key_soon_after_makes_no_second_message() -> None:
    async def test() -> None:
        async with World() as world:
            adapter, place = world.adapter(), Place("", world.channel)
            world.server.unlucky = 1
            with pytest.raises(Unreachable):
                await adapter.send(place, [plain("hello")], "k")
            again = await adapter.send(place, [plain("hello")], "k", CHOICES)
            other = await adapter.send(place, [plain("hello")], "l")
            assert [one.id for one in await world.seen(world.channel)] == [again, other]

    run(test)


def test_neither_token_nor_text_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> str:
        async with World() as world:
            async with listening(world) as (adapter, heard):
                await world.say("ann", "the launch is on friday")
                await told(heard, Message)
                await adapter.send(Place("", world.channel), [plain("the launch is on friday")], "k")
                await world.drop()
                await until(lambda: heard.up == 2)
            return world.token

    with caplog.at_level(logging.DEBUG):
        token = asyncio.run(test())
    assert "HTTP/1.1" in caplog.text  # there is a log, all the same
    assert token not in caplog.text
    assert "launch" not in caplog.text


def test_fifty_lost_connections_lose_nothing() -> None:
    async def test() -> None:
        async with World() as world, listening(world) as (_, heard):
            back = []
            for number in range(50):
                at = time.monotonic()
                await world.drop()
                await world.say("ann", f"{number}")
                await until(lambda up=number + 2: heard.up == up)
                back.append(time.monotonic() - at)
            texts = [one.text for one in await told(heard, Message, 50)]
            assert texts == [f"{number}" for number in range(50)]
            assert statistics.median(back) <= 5.0

    run(test)


def test_a_thousand_events_are_kept_at_once() -> None:
    async def test() -> None:
        heard = Slow()
        async with World() as world, listening(world, heard):
            said_at = {}
            for number in range(1_000):
                said_at[f"{number}"] = time.monotonic()
                await world.say("ann", f"{number}")
                await asyncio.sleep(0)
            await until(lambda: len(heard.kept) == 1_000)
            taken = sorted(heard.kept[text] - at for text, at in said_at.items())
            assert [one.text for one in heard.events] == [f"{number}" for number in range(1_000)]
            assert taken[989] <= 0.05, f"p99 {taken[989] * 1000:.1f} ms, median {taken[500] * 1000:.1f} ms"

    run(test)
