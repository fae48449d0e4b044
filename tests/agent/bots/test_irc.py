"""The adapter of IRC, against a real ngircd and against a stand-in with accounts."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import shutil
import ssl
import statistics
import subprocess
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from chats.irc import BOT, PASSWORD, AccountsWorld, World
from chats.irc_people import Person
from chats.irc_server import Server
from chats.listening import listening as listening_in
from chats.world import Full, Heard, Slow, until

from gemmagraph.bots.base import Choice, File, Message, Place
from gemmagraph.bots.errors import BotError, NotThere, Revoked, TooFast, Unreachable
from gemmagraph.bots.irc.adapter import IrcAdapter
from gemmagraph.bots.irc.link import Times
from gemmagraph.bots.text import Block, Code, Paragraph, Span, blocks_of, plain, split

pytestmark = pytest.mark.long

AnyWorld = World | AccountsWorld
QUICK = Times(quiet=0.2, ready=2.0, rejoin=0.05, refused=0.1, regain=0.05)
"""For tests of what else takes minutes."""


def played(kind: type[AnyWorld], play: Callable[[Any], Awaitable[None]]) -> None:
    """Runs a play in a world, which leaves no task and no connection."""

    async def run() -> None:
        async with kind() as world:
            world.whole = False
            await play(world)
            await until(lambda: world.door.open_ways == 0, "the bot to go")
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(run())


def listening(world: AnyWorld, heard: Heard | None = None, times: Times = IrcAdapter.times, **keys: Any) -> Any:
    """An adapter that is there, and what it hears."""
    adapter = IrcAdapter({**world.keys, **keys})
    adapter.times = times
    return listening_in(world, heard, adapter)


async def told(heard: Heard, number: int = 1) -> Message:
    """The last of so many messages."""
    await until(lambda: len(heard.events) >= number, lambda: f"{number} messages, not {heard.events}")
    assert len(heard.events) == number
    message = heard.events[-1]
    assert isinstance(message, Message)
    return message


both = pytest.mark.parametrize("kind", [World, AccountsWorld])
HERE = Place("", "#ops")


# ---- hearing


@both
def test_what_is_said_in_a_channel_is_heard_with_all_there_is_to_know(kind: type[AnyWorld]) -> None:
    async def play(world: AnyWorld) -> None:
        async with listening(world) as (_, heard):
            id = await world.say("ann", "is the shop up?", to_bot=True)
            message = await told(heard)
            assert message == Message(
                event=message.id,
                place=HERE,
                user=world.user("ann"),
                name="ann",
                text="is the shop up?",
                id=message.id,
                addressed=True,
            )
            assert kind is World or message.id == id
            await world.say("bob", "it is")
            second = await told(heard, 2)
            assert (second.name, second.addressed, second.text) == ("bob", False, "it is")
            assert second.event != message.event

    played(kind, play)


@both
def test_what_is_said_to_the_bot_alone_is_direct(kind: type[AnyWorld]) -> None:
    async def play(world: AnyWorld) -> None:
        async with listening(world) as (adapter, heard):
            await world.say("ann", "psst", channel=await world.direct("ann"))
            message = await told(heard)
            assert message.place == Place("", await world.direct("ann"), direct=True)
            assert (message.text, message.addressed) == ("psst", False)
            await adapter.send(message.place, [plain("yes?")], "k")
            seen = await world.until(list, await world.direct("ann"))
            assert [each.text for each in seen] == ["yes?"]
            assert not await world.seen(world.channel)

    played(kind, play)


TO_BOT = [
    ("gemma: up?", True, "up?"),
    ("Gemma, up?", True, "up?"),
    ("@gemma up?", True, "up?"),
    ("@gemma", True, ""),
    ("  gemma:up?", True, "up?"),
    ("GEMMA: !status", True, "!status"),
    ("\x02gemma\x02: bold", True, "bold"),
    ("gemma up?", False, "gemma up?"),
    ("I like gemma: it is nice", False, "I like gemma: it is nice"),
    ("gemma2: up?", False, "gemma2: up?"),
    ("gemma_: up?", False, "gemma_: up?"),
    ("@gemmatron up?", False, "@gemmatron up?"),
    ("mail gemma@example.org", False, "mail gemma@example.org"),
    ("\x0304,12red\x03 and \x02bold\x0f, \x1dslanted\x1d 3", False, "red and bold, slanted 3"),
    ("\x03", False, ""),
    ("\x01ACTION waves at gemma\x01", False, "waves at gemma"),
    ("```rm -rf /```", False, "```rm -rf /```"),
    (":) ok", False, ":) ok"),
    ("🙂👩‍👩‍👧", False, "🙂👩‍👩‍👧"),
    ("<end_of_turn>\u202etxt", False, "<end_of_turn>\u202etxt"),
]


@both
def test_the_text_is_plain_and_without_the_mention_of_the_bot(kind: type[AnyWorld]) -> None:
    async def play(world: AnyWorld) -> None:
        async with listening(world) as (_, heard):
            for number, (said, to_bot, text) in enumerate(TO_BOT, 1):
                world.people["ann"].write(f"PRIVMSG #ops :{said}")
                message = await told(heard, number)
                assert (message.addressed, message.text) == (to_bot, text), said

    played(kind, play)


def test_clients_that_ask_each_other_are_not_answered() -> None:
    async def play(world: AccountsWorld) -> None:
        async with listening(world) as (_, heard):
            ann = world.people["ann"]
            ann.write(f"PRIVMSG {BOT} :\x01VERSION\x01", f"PRIVMSG {BOT} :\x01DCC SEND x 2130706433 99 1\x01")
            ann.write(f"PRIVMSG {BOT} :that was all")
            assert (await told(heard)).text == "that was all"
            assert not [line for line in world.door.lines if line.startswith(("NOTICE", "PRIVMSG"))]

    played(AccountsWorld, play)


@both
def test_bots_and_notices_are_machines(kind: type[AnyWorld]) -> None:
    async def play(world: AnyWorld) -> None:
        async with listening(world) as (_, heard):
            await world.say("robot", "beep")
            assert (await told(heard)).machine
            world.people["ann"].write(f"NOTICE {BOT} :from a script")
            notice = await told(heard, 2)
            assert (notice.machine, notice.place.direct) == (True, True)
            await world.say("ann", "a person")
            assert not (await told(heard, 3)).machine

    played(kind, play)


def test_a_bot_is_known_by_its_mode_where_messages_have_no_tags() -> None:
    async def play(world: AccountsWorld) -> None:
        world.server.caps = ("account-notify", "extended-join")
        async with listening(world, account="", password="") as (_, heard):
            world.people["robot"].write("PRIVMSG #ops :beep")
            assert (await told(heard)).machine

    played(AccountsWorld, play)


def test_what_the_bot_says_comes_back_as_of_a_machine_and_with_its_id() -> None:
    async def play(world: AccountsWorld) -> None:
        async with listening(world) as (adapter, heard):
            id = await adapter.send(HERE, [plain("hello")], "k")
            message = await told(heard)
            assert (message.id, message.name, message.machine, message.user) == (id, BOT, True, BOT)
            assert [each.id for each in await world.seen("#ops")] == [id]

    played(AccountsWorld, play)


def test_broken_utf8_and_lines_that_mean_nothing_do_no_harm() -> None:
    async def play(world: AccountsWorld) -> None:
        async with listening(world, times=QUICK) as (_, heard):
            bot = world.server.by_nick(BOT)
            assert bot is not None
            for line in HOSTILE:
                bot.writer.write(line + b"\r\n")
            bot.writer.write(b":ann!a@h PRIVMSG #ops :\xff\xfe caf\xc3\xa9\r\n")
            await until(lambda: heard.events and heard.events[-1].text == "\ufffd\ufffd café", "the last line")
            assert heard.up == 1

    played(AccountsWorld, play)


HOSTILE = [
    *(b"", b":", b"@", b"@ ", b"@a", b":x", b"  ", b"\x00\x00", b": :", b"@;;;= :!@ : :"),
    *(b":ann!a@h PRIVMSG", b":ann!a@h PRIVMSG #ops", b":ann!a@h NOTICE", b":ann!a@h JOIN", b":ann!a@h KICK #ops"),
    *(b":gemma!g@h NICK", b":s 005", b":s 433", b":s 354 gemma 77", b":s CAP", b":s CAP * DEL", b"BATCH", b"BATCH +"),
    *(b":s 330 a", b":s 401", b":s 474", b"PONG", b"AUTHENTICATE +", b"FAIL", b":ann!a@h QUIT", b":ann!a@h ACCOUNT"),
    b":s 005 gemma CASEMAPPING=ascii CHANTYPES=# STATUSMSG=@+ :are supported",
    b"@" + b"a" * 8190 + b" :ann!a@h NOTICE #dev",
    *(b"PING", b"PING :", b"PING :a\0b", b"PING a\rQUIT", b":gemma!g@h JOIN :#a b", b":gemma!g@h JOIN #elsewhere"),
    *(b":x KICK #elsewhere gemma :out", b":gemma!g@h PART :#a b", b":gemma!g@h NICK :x y", b":s 900", b":s 470 a b"),
]


def test_lines_of_the_greatest_length_are_read_and_endless_ones_end_the_connection() -> None:
    async def play(world: AccountsWorld) -> None:
        async with listening(world) as (_, heard):
            bot = world.server.by_nick(BOT)
            assert bot is not None
            text = b"x" * 4000
            bot.writer.write(b"@t=" + b"y" * 8180 + b" :ann!a@h PRIVMSG #ops :" + text + b"\r\n")
            assert (await told(heard)).text == text.decode()
            bot.writer.write(b"z" * 100_000)
            await until(lambda: heard.up == 2, "a new connection")
            assert heard.down[0] == "The server sent a line without an end."

    played(AccountsWorld, play)


def test_what_was_said_long_ago_is_not_told() -> None:
    async def play(world: AccountsWorld) -> None:
        await world.say("ann", "before")
        async with listening(world) as (_, heard):
            bot = world.server.by_nick(BOT)
            assert bot is not None
            bot.tell(":s BATCH +1 chathistory #ops")
            bot.tell(":ann!a@h PRIVMSG #ops :old", {"batch": "1", "msgid": "o1"})
            bot.tell(":s BATCH -1")
            await world.say("ann", "now")
            assert (await told(heard)).text == "now"

    played(AccountsWorld, play)


def test_what_operators_tell_each_other_is_no_talk_of_the_channel() -> None:
    async def play(world: AccountsWorld) -> None:
        async with listening(world) as (_, heard):
            world.people["ann"].write("PRIVMSG @#Ops :gemma: hush")
            assert (await told(heard)).place == Place("", "@#ops")

    played(AccountsWorld, play)


# ---- people


def test_a_user_is_the_account_and_never_the_nick() -> None:
    async def play(world: AccountsWorld) -> None:
        async with listening(world) as (_, heard):
            await world.rename("ann", "ann_away")
            await world.rename("eve", "ann")
            await world.say("eve", "approve 7F3K")
            assert ((await told(heard)).user, heard.events[0].name) == ("eve75", "ann")
            world.people["robot"].write("@account=Annabel;msgid=m1;+x=1 PRIVMSG #ops :I am Annabel")
            assert (await told(heard, 2)).user == ""
            await world.say("ann", "it is me")
            assert ((await told(heard, 3)).user, heard.events[2].name) == ("Annabel", "ann_away")
            world.server.log_in("ann_away", "")
            await world.say("ann", "not me any more")
            assert (await told(heard, 4)).user == ""

    played(AccountsWorld, play)


def test_without_tags_the_account_is_what_the_server_has_told_and_not_for_longer() -> None:
    async def play(world: AccountsWorld) -> None:
        world.server.caps = ("account-notify", "extended-join")

        async def user_of(person: str) -> str:
            before = len(heard.events)
            await world.say(person, "who am I?")
            return (await told(heard, before + 1)).user

        async with listening(world, account="", password="") as (_, heard):
            assert await user_of("ann") == "Annabel"  # WHOX
            world.server.log_in("ann", "")
            assert await user_of("ann") == ""
            world.server.log_in("ann", "other")
            assert await user_of("ann") == "other"
            await world.rename("ann", "anna")
            assert await user_of("ann") == ""
            world.people["bob"].write("PART #dev")
            assert await user_of("bob") == ""
            world.people["bob"].write("JOIN #dev")
            assert await user_of("bob") == "robert"  # extended-join

    played(AccountsWorld, play)


def test_without_news_of_accounts_nobody_is_known() -> None:
    async def play(world: AccountsWorld) -> None:
        world.server.caps = ("extended-join", "message-tags")
        async with listening(world, account="", password="") as (_, heard):
            world.people["ann"].write("PART #dev", "JOIN #dev")
            await world.say("ann", "who am I?")
            assert (await told(heard)).user == ""

    played(AccountsWorld, play)


def test_a_private_answer_goes_only_to_the_account_that_asked() -> None:
    async def play(world: AccountsWorld) -> None:
        async with listening(world) as (adapter, heard):
            await world.say("ann", "my salary?", channel=await world.direct("ann"))
            place = (await told(heard)).place
            await world.rename("ann", "away")
            await world.rename("eve", "ann")
            with pytest.raises(NotThere, match="not logged in as 'Annabel'"):
                await adapter.send(place, [plain("a secret")], "k")
            assert "a secret" not in str(world.people["eve"].lines)
            await world.say("eve", "and?", channel=await world.direct("eve"))
            assert (await told(heard, 2)).place != place

    played(AccountsWorld, play)


# ---- coming and going


@both
def test_a_dropped_connection_is_made_again_and_the_bot_says_that_it_was_away(kind: type[AnyWorld]) -> None:
    async def play(world: AnyWorld) -> None:
        async with listening(world) as (_, heard):
            for number in (1, 2):
                await world.say("ann", f"before {number}")
                await told(heard, 2 * number - 1)
                await world.drop()
                await until(lambda number=number: heard.up == number + 1, "the bot to be back")
                await world.say("ann", f"after {number}")
                await told(heard, 2 * number)
            assert [each.text for each in heard.events] == [
                f"{when} {number}" for number in (1, 2) for when in ("before", "after")
            ]
            assert len({each.event for each in heard.events}) == 4
            assert heard.down[:2] == [
                "The connection broke.",
                "Away from 127.0.0.1 for 1 s: what was said meanwhile is lost.",
            ]

    played(kind, play)


def test_after_a_restart_the_bot_says_how_long_it_was_away_and_at_the_first_start_nothing() -> None:
    async def play(world: World) -> None:
        async with listening(world) as (_, heard):
            assert heard.down == []
            await world.say("ann", "hello")
            await told(heard)
            cursor = json.loads(heard.cursor or "")
            assert abs(cursor["at"] - time.time()) < 5
        later = Heard(cursor=json.dumps({"at": cursor["at"] - 3 * 3600}))
        async with listening(world, later):
            assert later.down == ["Away from 127.0.0.1 for 3 h: what was said meanwhile is lost."]
            assert later.events == []
        strange = Heard(cursor="s72594_4483")
        async with listening(world, strange):
            assert strange.down == []

    played(World, play)


def test_where_nobody_speaks_the_cursor_goes_on() -> None:
    async def play(world: World) -> None:
        async with listening(world, times=QUICK) as (_, heard):
            await until(lambda: heard.cursor, "a cursor")
            assert heard.events == []

    played(World, play)


def test_a_server_that_is_killed_is_come_back_to() -> None:
    async def play(world: World) -> None:
        async with listening(world) as (adapter, heard):
            await world.stop()
            await until(lambda: heard.down, "the end")
            waiting = asyncio.create_task(adapter.send(HERE, [plain("late")], "k"))
            await world.start()
            ann = Person("ann2")
            await ann.come(world._port, "#ops", password=PASSWORD)
            await waiting
            await until(lambda: [each.text for each in ann.heard] == ["late"], "what was said late")
            ann.write("PRIVMSG #ops :welcome back")
            assert (await told(heard)).text == "welcome back"
            await ann.leave()

    played(World, play)


@both
def test_a_connection_that_is_silent_is_dead(kind: type[AnyWorld]) -> None:
    async def play(world: AnyWorld) -> None:
        async with listening(world, times=QUICK) as (_, heard):
            world.door.frozen = True
            await until(lambda: heard.down, "the silence to be noticed")
            world.door.frozen = False
            world.door.slam()
            assert heard.down == ["The server was silent for 0.4 s."]
            await until(lambda: heard.up == 2, "the bot to be back")

    played(kind, play)


@both
def test_a_nick_that_somebody_has_is_got_back(kind: type[AnyWorld]) -> None:
    async def play(world: AnyWorld) -> None:
        world.people["eve"].write(f"NICK {BOT}")
        await world.people["eve"].settled()
        async with listening(world, times=QUICK) as (adapter, heard):
            await adapter.send(HERE, [plain("who has my name?")], "k")
            await world.until(lambda seen: seen and seen[-1].text == "who has my name?")
            assert world.watcher.heard[-1].source.startswith(f"{BOT}_!")
            await world.say("ann", "up?", to_bot=True)
            await until(lambda: heard.events and heard.events[-1].text == "up?", "what ann says")
            assert heard.events[-1].addressed
            world.people["eve"].write("NICK eve")
            await until(lambda: re.search(rf":{BOT}_!\S+ NICK :?{BOT}'", str(world.watcher.lines)), "the nick")
            await adapter.send(HERE, [plain("mine")], "k2")
            await world.until(lambda seen: seen[-1].text == "mine")
            assert world.watcher.heard[-1].source.startswith(f"{BOT}!")

    played(kind, play)


def test_a_kicked_bot_comes_back_after_a_pause() -> None:
    async def play(world: AccountsWorld) -> None:
        async with listening(world, times=QUICK) as (adapter, heard):
            world.server.kick("#ops", BOT, "be quiet")
            await until(lambda: len(world.server.channels["#ops"]) == 6, "the bot to be in again")
            await world.say("ann", "better now?", to_bot=True)
            assert (await told(heard)).addressed
            await adapter.send(HERE, [plain("yes")], "k")

    played(AccountsWorld, play)


def test_a_channel_that_bans_the_bot_is_told_of_in_the_log_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    async def play(world: AccountsWorld) -> None:
        world.server.banned.add(f"#dev {BOT}")
        async with listening(world, times=QUICK) as (_, heard):
            await world.say("ann", "here?", to_bot=True)
            await told(heard)
            details = [record.__dict__["details"] for record in caplog.records if record.msg == "not in a channel"]
            assert details[0] == {"channel": "#dev", "why": "Cannot join channel (+b)"}
            world.server.banned.clear()
            await until(lambda: len(world.server.channels["#dev"]) == 6, "the bot to be let in")

    with caplog.at_level(logging.WARNING):
        played(AccountsWorld, play)


@both
def test_who_is_not_let_in_any_more_hears_it_within_seconds(kind: type[AnyWorld]) -> None:
    async def play(world: AnyWorld) -> None:
        adapter, heard = world.adapter(), Heard()
        listen = asyncio.create_task(adapter.listen(heard))
        await until(lambda: heard.up, "the bot to come")
        world.revoke()
        with pytest.raises(Revoked) as failure:
            await asyncio.wait_for(listen, 8)
        assert PASSWORD not in str(failure.value) + repr(failure.value.__cause__)
        with pytest.raises(Revoked):
            await asyncio.wait_for(adapter.send(HERE, [plain("x")], "k"), 0.1 + 20)

    played(kind, play)


@pytest.mark.parametrize("case", ["password", "account", "shunned", "server password"])
def test_who_is_refused_hears_why_and_no_secret(case: str, caplog: pytest.LogCaptureFixture) -> None:
    async def play(world: AccountsWorld) -> None:
        keys = dict(world.keys)
        if case == "password":
            keys["password"] = "wrong 123"
        elif case == "account":
            keys["account"] = "nobody"
        elif case == "shunned":
            world.server.shunned = BOT
        else:
            world.server.password, keys["account"] = "another", ""
        with pytest.raises(Revoked) as failure:
            await asyncio.wait_for(IrcAdapter(keys).listen(Heard()), 5)
        said = f"{failure.value!r} {failure.value} {caplog.text}"
        assert PASSWORD not in said
        assert "wrong 123" not in said
        assert "does not let" in said

    with caplog.at_level(logging.DEBUG):
        played(AccountsWorld, play)


def test_services_that_are_away_are_waited_for() -> None:
    async def play(world: AccountsWorld) -> None:
        caps, world.server.caps = world.server.caps, ("account-tag", "message-tags")
        heard = Heard()
        listen = asyncio.create_task(world.adapter().listen(heard))
        await until(lambda: heard.down, "the bot to have noticed")
        assert heard.down == ["127.0.0.1 offers no login with SASL PLAIN just now."]
        assert heard.up == 0
        world.server.caps = caps
        await until(lambda: heard.up, "the bot to come")
        listen.cancel()
        await asyncio.gather(listen, return_exceptions=True)

    played(AccountsWorld, play)


def test_a_certificate_must_be_of_an_authority_that_is_trusted_and_for_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl command to make certificates with")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout key -out pem -days 9"
    command += " -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    subprocess.run(command.split(), cwd=tmp_path, check=True, capture_output=True, timeout=60)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "pem", tmp_path / "key")

    async def heard_at(name: str) -> Heard:
        server, heard = Server(), Heard()
        port = await server.start(context)
        listen = asyncio.create_task(IrcAdapter({"server": name, "port": port, "nick": BOT}).listen(heard))
        await until(lambda: heard.up or heard.down, "the bot to come or not")
        listen.cancel()
        await asyncio.gather(listen, return_exceptions=True)
        await server.stop()
        return heard

    untrusted = asyncio.run(heard_at("localhost"))
    assert untrusted.up == 0
    assert "self-signed certificate" in untrusted.down[0]
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "pem"))
    assert asyncio.run(heard_at("localhost")).up == 1
    wrong = asyncio.run(heard_at("127.0.0.1"))
    assert wrong.up == 0
    assert "not valid for" in wrong.down[0]


# ---- what the receiver does


def test_what_could_not_be_kept_is_told_again() -> None:
    async def play(world: World) -> None:
        async with listening(world, Full()) as (_, heard):
            await world.say("ann", "one")
            await world.say("ann", "two")
            await told(heard, 2)
            assert [each.text for each in heard.events] == ["one", "two"]

    played(World, play)


class Stuck(Heard):
    """A store that does nothing until it is asked for the second time."""

    asked = 0

    async def accept(self, events: Sequence[Any], cursor: str | None = None) -> None:
        self.asked += 1
        if self.asked == 1:
            await asyncio.Event().wait()
        await super().accept(events, cursor)


def test_while_the_receiver_is_stuck_the_bot_stays_and_at_the_end_nothing_is_lost() -> None:
    async def play(world: AccountsWorld) -> None:
        stuck = Stuck()
        async with listening(world, stuck) as (adapter, _):
            await world.say("ann", "one")
            await until(lambda: stuck.asked, "the receiver to be stuck")
            await world.say("ann", "two")
            bot = world.server.by_nick(BOT)
            assert bot is not None
            bot.tell("PING :are you there")
            await until(lambda: "PONG :are you there" in world.door.lines, "an answer")
            await adapter.send(HERE, [plain("I am")], "k")
        assert [each.text for each in stuck.events] == ["one", "two", "I am"]

    played(AccountsWorld, play)


def test_a_thousand_messages_are_kept_in_order_each_within_fifty_milliseconds() -> None:
    async def play(world: AccountsWorld) -> None:
        slow = Slow()
        async with listening(world, slow):
            said: dict[str, float] = {}
            for number in range(1000):
                said[str(number)] = time.monotonic()
                world.people["ann"].write(f"PRIVMSG #ops :{number}")
                await asyncio.sleep(0.001)
            await until(lambda: len(slow.events) == 1000, "all of them")
            assert [each.text for each in slow.events] == list(said)
            took = [slow.kept[text] - at for text, at in said.items()]
            assert statistics.quantiles(took, n=100)[98] <= 0.05

    played(AccountsWorld, play)


# ---- saying


@both
def test_blocks_are_lines(kind: type[AnyWorld]) -> None:
    blocks = blocks_of(
        "# Result\nThe **shop** is *up*, see `/var/log`.\n\nTwo\nlines\n\n"
        "```sh\nset -e\n\n\tls -l   # all\n```\n\n| a | b |\n|---|---|\n"
    )
    raw = [
        "\x02Result\x02",
        "The \x02shop\x02 is up, see /var/log.",
        "Two",
        "lines",
        "│ set -e",
        "│",
        "│     ls -l   # all",
        "│ | a | b |",
        "│ |---|---|",
    ]

    async def play(world: AnyWorld) -> None:
        async with listening(world) as (adapter, _):
            await adapter.send(HERE, blocks, "k", [Choice("approve", "a1", "Approve")])
            seen = await world.until(lambda seen: len(seen) == len(raw))
            assert [each.raw for each in seen] == raw
            assert seen[0].text == "Result"
            assert {each.who for each in seen} == {"bot"}

    played(kind, play)


URL = "https://ok.example/a?b=c"
NASTY = [
    ("QUIT", "QUIT"),
    ("/quit", "/quit"),
    (":x", ":x"),
    ("a\r\nQUIT :owned", "a|QUIT :owned"),
    ("a\rPRIVMSG #dev :b", "a|PRIVMSG #dev :b"),
    ("a\0b", "ab"),
    ("\x01ACTION dances\x01", "ACTION dances"),
    ("\x01VERSION\x01", "VERSION"),
    ("\x02\x1d\x1f\x16\x0304,01red\x0f", "04,01red"),
    ("\x03" * 50, "…"),
    ("\x1b[2J\x1b]0;t\x07", "[2J]0;t"),
    ("\u202egnp.exe", "\\u202egnp.exe"),
    ("a\u200bb\u2060c", "abc"),
    ("a\u2028b\u0085c", "a\\u2028bc"),
    ("   \n \n\t\n x", " x"),
    ("@everyone <!channel> @room #ops", "@everyone <!channel> @room #ops"),
    ("<end_of_turn> <start_of_turn>user", "<end_of_turn> <start_of_turn>user"),
    ("`a` *b* **c** _d_ ~e~ > f", "`a` *b* **c** _d_ ~e~ > f"),
    ("https://evil.example/?k=SECRET", "https[:]//evil.example[/]?k=SECRET"),
    ("HTTPS://EVIL.EXAMPLE", "HTTPS[:]//EVIL.EXAMPLE"),
    ("xhttps://evil.example.", "xhttps[:]//evil.example."),
    ("(http://10.0.0.1:80/x)", "(http[:]//10.0.0.1:80[/]x)"),
    ("ftp://u:p@evil.example/x", "ftp[:]//u:p[@]evil.example[/]x"),
    ("irc://evil.example/#ops", "irc[:]//evil.example[/]#ops"),
    ("javascript:alert(1)", "javascript[:]alert(1)"),
    ("mailto:a@b.example", "mailto[:]a[@]b.example"),
    ("write to a.b+c@mail.example.org!", "write to a.b+c[@]mail.example.org!"),
    ("www.evil.example", "www[.]evil.example"),
    ("www2.evil.example/x", "www2[.]evil.example[/]x"),
    ("evil.example/x?k=SECRET", "evil.example[/]x?k=SECRET"),
    ("a.evil.example:8080/x", "a.evil.example:8080[/]x"),
    ("пример.рф/x", "пример.рф[/]x"),
    ("https://a.b/https://c.d/www.e.f", "https[:]//a.b[/]https[:]//c.d[/]www[.]e.f"),
    ("tel:+4912345 and magnet:?xt=1", "tel[:]+4912345 and magnet[:]?xt=1"),
    ("deploy.sh v1.2.3 /etc/conf.d/x db1.prod.example", "deploy.sh v1.2.3 /etc/conf.d/x db1.prod.example"),
    ("12:30: ok? a/b and/or c:\\x", "12:30: ok? a/b and/or c:\\x"),
    ("مرحبا שלום 🙂👩‍👩‍👧", "مرحبا שלום 🙂👩‍👩‍👧"),
]


@pytest.mark.parametrize("style", ["", "code", "bold", "italic", "block"])
def test_nothing_that_is_said_is_more_than_what_it_says(style: Any) -> None:
    async def play(world: World) -> None:
        async with listening(world) as (adapter, _):
            for number, (text, expected) in enumerate(NASTY):
                block: Block = Code(text) if style == "block" else Paragraph((Span(text, style),))
                before = len(world.watcher.lines)
                await adapter.send(HERE, [block], f"k{number}")
                end = f"end of {number}"
                await adapter.send(HERE, [plain(end)], f"e{number}")
                seen = await world.until(lambda seen, end=end: seen and seen[-1].text == end)
                seen = seen[-len(world.watcher.lines[before:]) : -1]
                said = "|".join(each.text.removeprefix("│").removeprefix(" " * (style == "block")) for each in seen)
                if style == "block" and text.strip(" \n\t") != text:
                    assert said.replace("|", "").strip() == expected.strip()
                elif style == "block":
                    assert said == ("" if expected == "…" else expected)
                else:
                    assert said == expected, text
                assert [each.live for each in seen] == [()] * len(seen), seen
                assert not [each for each in seen if set(each.raw) & set("\x01\x03\x0f\x16\x1d\x1f")]
            assert await world.seen("#dev") == []

    played(World, play)


def test_only_links_of_allowed_hosts_are_live() -> None:
    async def play(world: World) -> None:
        async with listening(world) as (adapter, _):
            text = f"See {URL}, [this]({URL}), https://evil.example/x and [that](https://evil.example/y)."
            await adapter.send(HERE, blocks_of(text, ["ok.example"]), "k")
            seen = await world.until(list)
            assert seen[0].text == (
                f"See {URL}, this ({URL}), https[:]//evil.example[/]x and that (https[:]//evil.example[/]y)."
            )
            assert [each.rstrip(",)") for each in seen[0].live] == [URL, URL]

    played(World, play)


TORN = [
    ("**https**://evil.example/x", "https[:]//evil.example[/]x", ()),
    ("`https:`//evil.example/x", "https[:]//evil.example[/]x", ()),
    ("https:*//evil*.example`/x`", "https[:]//evil.example[/]x", ()),
    ("**www**.evil.example", "www[.]evil.example", ()),
    ("evil.example`/x`", "evil.example[/]x", ()),
    ("ann`@`evil.example", "ann[@]evil.example", ()),
    (f"{URL}`.evil.example/x`", f"{URL} .evil.example[/]x", (URL,)),
    (f"[]({URL}).evil.example/x", f"{URL} .evil.example[/]x", (URL,)),
    (f"[a]({URL}).evil.example/x", f"a ({URL} ).evil.example[/]x", (URL,)),
    (f"`x`{URL}", f"x {URL}", (URL,)),
    (f"[]({URL})[]({URL})", f"{URL}  {URL}", (URL, URL)),
    (f"{URL}.\n({URL})!", f"{URL}.|({URL})!", (URL, URL)),
]


def test_an_address_in_pieces_is_as_dead_as_a_whole_one_and_a_link_leads_where_it_says() -> None:
    async def play(world: World) -> None:
        async with listening(world) as (adapter, _):
            for number, (text, expected, live) in enumerate(TORN):
                before = len(await world.seen("#ops"))
                await adapter.send(HERE, blocks_of(text, ["ok.example"]), f"k{number}")
                lines = expected.count("|") + 1
                seen = await world.until(lambda seen, count=before + lines: len(seen) == count)
                assert "|".join(each.text for each in seen[before:]) == expected
                assert tuple(url.rstrip(".)!") for each in seen[before:] for url in each.live) == live

    played(World, play)


@both
def test_long_texts_are_cut_where_no_character_is_lost(kind: type[AnyWorld]) -> None:
    family = "👩‍👩‍👧"
    prose = " ".join(f"wörd{number}" for number in range(150))
    texts: list[tuple[Block, str]] = [
        (plain(prose), prose),
        (plain(family * 120), family * 120),
        (plain("é" * 500), "é" * 500),
        (Code("x = " + "ab" * 500), "x = " + "ab" * 500),
        (Paragraph((Span("start "), Span(prose, "bold"), Span(" end"))), f"start {prose} end"),
    ]

    async def play(world: AnyWorld) -> None:
        async with listening(world) as (adapter, _):
            for number, (block, text) in enumerate(texts):
                before = len(world.watcher.heard)
                await adapter.send(HERE, [block], f"k{number}")
                await adapter.send(HERE, [plain("end")], f"e{number}")
                await world.until(lambda seen: seen and seen[-1].text == "end")
                seen = (await world.seen("#ops"))[-len(world.watcher.heard[before:]) : -1]
                assert len(seen) > 1
                joint = " " if " " in text and not isinstance(block, Code) else ""
                assert joint.join(each.text.removeprefix("│ ").removeprefix("┊ ") for each in seen) == text
                assert not [each for each in seen if each.raw.count("\x02") % 2 or each.text.startswith("\u200d")]
            assert max(len(line.encode()) for line in world.watcher.lines) <= 510

    played(kind, play)


def test_what_is_as_long_as_a_message_may_be_is_not_cut_by_the_server() -> None:
    async def play(world: World) -> None:
        async with listening(world) as (adapter, _):
            text = "\n".join(f"line {number} " + "ü" * (number % 300) for number in range(60))
            parts = split([Code(text), plain("word " * 2000)], adapter.length, adapter.traits.most)
            for number, part in enumerate(parts):
                assert adapter.length(part) <= adapter.traits.most
                await adapter.send(HERE, part, f"k{number}")
            seen = await world.until(lambda seen: "".join(each.text for each in seen).count("word") == 2000)
            code = "\n".join(each.text.removeprefix("│ ") for each in seen if each.text[0] == "│")
            assert code.replace(" \n", "\n") == text.replace(" \n", "\n")

    played(World, play)


def test_a_hundred_kilobytes_are_split() -> None:
    adapter = IrcAdapter({"server": "irc.example", "nick": BOT})
    for text in ("ü y " * 25_000, "\n" * 100_000, "a.b@" * 25_000, "http://" * 14_000):
        parts = split([plain(text)], adapter.length, adapter.traits.most)
        assert max(adapter.length(part) for part in parts) <= adapter.traits.most


@both
def test_messages_said_at_the_same_time_are_not_mixed(kind: type[AnyWorld]) -> None:
    async def play(world: AnyWorld) -> None:
        async with listening(world) as (adapter, _):
            texts = [[f"{letter}{number}" for number in range(4)] for letter in "abc"]
            await asyncio.gather(*(adapter.send(HERE, [plain("\n".join(each))], each[0]) for each in texts))
            seen = await world.until(lambda seen: len(seen) == 12)
            assert [each.text for each in seen] == [line for each in texts for line in each]

    played(kind, play)


def test_lines_are_said_no_faster_than_servers_like() -> None:
    async def play(world: World) -> None:
        async with listening(world, pace=0.1) as (adapter, _):
            await adapter.send(HERE, [plain("\n".join("abcdefgh"))], "k")
            at = [each.at for each in world.requests if each.what == "send"]
            assert len(at) == 8
            assert at[3] - at[0] < 0.1
            assert at[7] - at[3] >= 0.35

    played(World, play)


@both
def test_what_cannot_be_said_is_told(kind: type[AnyWorld]) -> None:
    async def play(world: AnyWorld) -> None:
        async with listening(world) as (adapter, _):
            world.forbid("#ops")
            await world.watcher.settled()
            with pytest.raises(NotThere, match="Cannot send to channel"):
                await adapter.send(HERE, [plain("a\nb\nc")], "k")
            for channel in ("nobody", "#nowhere", "a,b", "", "#ops b", ":x", "x\r\nQUIT"):
                with pytest.raises(NotThere):
                    await adapter.send(Place("", channel), [plain("x")], "k")
            await adapter.send(Place("", "#dev"), [plain("still here")], "k")
            with pytest.raises(NotThere, match="cannot be changed"):
                await adapter.edit(HERE, "m1", [plain("x")])
            with pytest.raises(NotThere, match="no files"):
                await adapter.fetch(File("a", "text/plain", 1), 10)
            assert await adapter.find(HERE, "k") is None

    played(kind, play)


def test_a_server_that_wants_a_pause_gets_it() -> None:
    async def play(world: AccountsWorld) -> None:
        async with listening(world) as (adapter, _):
            world.refuse(57)
            with pytest.raises(TooFast) as failure:
                await adapter.send(HERE, [plain("x")], "k")
            assert failure.value.seconds == 57
            assert [each.refused for each in world.requests if each.what == "send"] == [57]
            await adapter.send(HERE, [plain("x")], "k")
            assert len(await world.seen("#ops")) == 1

    played(AccountsWorld, play)


def test_a_server_that_never_lets_the_bot_in_is_left_and_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "gemmagraph.bots")

    async def play(world: AccountsWorld) -> None:
        world.server.caps = ()
        world.server.silent = True
        adapter, heard = IrcAdapter({**world.keys, "account": "", "password": ""}), Heard()
        adapter.times = Times(quiet=0.1, sign_on=0.3)
        listen = asyncio.create_task(adapter.listen(heard))
        await until(lambda: heard.down, "the bot to leave")
        assert heard.down == ["127.0.0.1 does not answer who signs on."]
        world.server.silent = False
        await until(lambda: heard.up, "the bot to come")
        assert not caplog.records
        listen.cancel()
        await asyncio.gather(listen, return_exceptions=True)

    played(AccountsWorld, play)


def test_without_a_connection_nothing_is_said_and_a_broken_one_does_not_count() -> None:
    async def play(world: AccountsWorld) -> None:
        async with listening(world) as (adapter, heard):
            world.server.deaf = True
            saying = asyncio.create_task(adapter.send(HERE, [plain("x")], "k"))
            await world.until(list)
            assert not saying.done()  # the server has it, but has not said so
            world.door.shut = True
            await world.drop()
            with pytest.raises(Unreachable):
                await saying
            adapter.patience = 0.05
            with pytest.raises(Unreachable, match="no connection"):
                await adapter.send(HERE, [plain("y")], "k2")
            world.server.deaf = world.door.shut = False
            await until(lambda: heard.up == 2, "the bot to be back")
            await adapter.send(HERE, [plain("z")], "k3")
            assert [each.text for each in await world.seen("#ops")] == ["x", "z"]

    played(AccountsWorld, play)


# ---- keys


KEYS = {"server": "irc.example", "nick": BOT}


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"server": "irc.example"}, "irc: needs 'nick'."),
        ({"nick": BOT}, "irc: needs 'server'."),
        ({**KEYS, "nik": "x"}, "irc: has no key 'nik'. Did you mean 'nick'?"),
        ({**KEYS, "token": "x"}, "irc: has no key 'token'. There are: server, nick"),
        ({**KEYS, "port": "6697"}, "irc: 'port' should be a number, not a str."),
        ({**KEYS, "port": 0}, "irc: 'port' cannot be 0."),
        ({**KEYS, "tls": "yes"}, "irc: 'tls' should be true or false, not a str."),
        ({**KEYS, "pace": True}, "irc: 'pace' should be a number of seconds, not a bool."),
        ({**KEYS, "nick": "two words"}, "irc: 'nick' cannot be 'two words'."),
        ({**KEYS, "server": "irc://irc.example"}, "irc: 'server' cannot be 'irc://irc.example'."),
        ({**KEYS, "server": "irc.example:6697"}, "irc: 'server' cannot be 'irc.example:6697'. It is the host alone"),
        ({**KEYS, "join": "#ops"}, "irc: 'join' should be a list of channels, not a str."),
        ({**KEYS, "join": ["ops"]}, "irc: 'join' cannot be 'ops'."),
        ({**KEYS, "join": ["#a,#b"]}, "irc: 'join' cannot be '#a,#b'."),
        ({**KEYS, "account": "gemma"}, "irc: 'account' needs 'password'."),
        ({**KEYS, "password": "se\ncret"}, "irc: 'account' and 'password' are one line each."),
        ({**KEYS, "password": "secret", "tls": False}, "irc: the password would be read by everybody on the way."),
    ],
)
def test_keys_that_cannot_be_are_named(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(BotError) as failure:
        IrcAdapter(keys)
    assert str(failure.value).startswith(said)
    assert "secret" not in repr(failure.value)


def test_a_nick_that_the_server_does_not_take_is_told() -> None:
    async def play(world: World) -> None:
        with pytest.raises(BotError, match="does not take the nick 'far-too-long-for-this-server'"):
            await asyncio.wait_for(
                IrcAdapter({**world.keys, "nick": "far-too-long-for-this-server"}).listen(Heard()), 5
            )

    played(World, play)


def test_a_channel_is_told_as_the_file_spells_it() -> None:
    async def play(world: AccountsWorld) -> None:
        async with listening(world, join=["#ops[1]"]) as (_, heard):
            bot = world.server.by_nick(BOT)
            assert bot is not None
            bot.tell(":ann!a@h PRIVMSG #Ops{1} :hello")
            assert (await told(heard)).place == Place("", "#ops[1]")

    played(AccountsWorld, play)
