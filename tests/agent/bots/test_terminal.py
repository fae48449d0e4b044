"""The terminal as a chat service: what is typed is told, and what is said is shown."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from chats.listening import listening
from chats.team import run
from chats.terminal import World
from chats.world import Heard, Upload, until
from screens import CTRL_C, CTRL_D, Screen

from gemmagraph.bots.base import Choice, Deleted, Edited, File, Message, Place, Pressed
from gemmagraph.bots.declared import ADAPTERS
from gemmagraph.bots.errors import BotError, NotThere
from gemmagraph.bots.rooms import PretendedRooms, Rooms
from gemmagraph.bots.serving import Serving
from gemmagraph.bots.terminal.adapter import TerminalAdapter
from gemmagraph.bots.terminal.keys import Keys
from gemmagraph.bots.text import Block, Code, Paragraph, Span, blocks_of, plain
from gemmagraph.errors import StoreError
from gemmagraph.policy import Policy

pytestmark = pytest.mark.long

OPS = Place("", "#ops")
OFFERED = (Choice("approve", "ab12", "Approve"), Choice("reject", "ab12", "Reject"))


def typed(*lines: str, count: int = 1) -> list[Any]:
    """What the bot is told when somebody types these lines."""
    heard = Heard()

    async def work() -> None:
        async with World() as world, listening(world, heard):
            world.type(*lines)
            await until(lambda: len(heard.events) >= count)

    run(work)
    return heard.events


def test_a_message_tells_who_where_and_what() -> None:
    (said,) = typed(".as ann", ".in #dev", "hello")
    assert said == Message("m1", Place("", "#dev"), "ann", "ann", "hello", "t1")


@pytest.mark.parametrize(
    ("text", "told", "addressed"),
    [
        ("@bot hello", "hello", True),
        ("@bot: hello", "hello", True),
        ("@Bot, hello", "hello", True),
        ("hello @bot", "hello ", True),
        ("well, @bot hello", "well, hello", True),
        ("@bot", "", True),
        ("bot hello", "bot hello", False),
        ("@bots hello", "@bots hello", False),
        ("@bot-2 hello", "@bot-2 hello", False),
        ("ann@bot hello", "ann@bot hello", False),
        ("@ann hello", "@ann hello", False),
        ("... hello", "... hello", False),
        (". hello", ". hello", False),
    ],
)
def test_a_mention_is_taken_out(text: str, told: str, addressed: bool) -> None:
    (said,) = typed(text)
    assert (said.text, said.addressed) == (told, addressed)


@pytest.mark.parametrize(
    ("lines", "place"),
    [
        ([".in #dev"], Place("", "#dev")),
        ([".in slack:T1/C0AA"], Place("", "slack:T1/C0AA")),
        ([".in local:dev"], Place("", "dev")),
        ([".as ann", ".direct"], Place("", "@ann", direct=True)),
        ([".direct", ".as slack:T1/U077"], Place("", "@slack:T1/U077", direct=True)),
        (["one", ".thread 1"], Place("", "#ops", "t1")),
        (["one", ".thread #1"], Place("", "#ops", "t1")),
        (["one", ".thread 1", "two", ".in", ".thread 2"], Place("", "#ops", "t1")),
        (["one", ".in #dev", ".thread 1"], Place("", "#ops", "t1")),
        (["one", ".thread 1", ".in"], OPS),
        (["one", ".thread 1", ".in #dev"], Place("", "#dev")),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_one_can_be_in_many_places(lines: list[str], place: Place) -> None:
    said = [line for line in lines if not line.startswith(".")]
    assert typed(*lines, "here", count=len(said) + 1)[-1].place == place


def test_a_reply_stays_a_single_one() -> None:
    _, reply, more = typed("one", ".reply 1 two", "three", count=3)
    assert (reply.text, reply.place, more.place) == ("two", Place("", "#ops", "t1"), OPS)


@pytest.mark.parametrize(("who", "user"), [("bob", "bob"), ("local:bob", "bob"), ("slack:T1/U077", "slack:T1/U077")])
def test_one_can_be_anybody(who: str, user: str) -> None:
    (said,) = typed(f".as {who}", "hello")
    assert (said.user, said.machine) == (user, False)


def test_edits_and_deletions_are_told_of_ones_own_messages_only() -> None:
    steps = [".as ann", "@bot one", ".edit 1 @bot two", ".as bob", ".edit 1 no", ".delete 1", ".as ann", ".delete 1"]
    said, edited, deleted = typed(*steps, count=3)
    assert isinstance(edited, Edited)
    assert (edited.message.id, edited.message.text, edited.message.addressed) == (said.id, "two", True)
    assert isinstance(deleted, Deleted)
    assert (deleted.id, deleted.user, deleted.place) == (said.id, "ann", OPS)
    assert len({said.event, edited.event, deleted.event}) == 3


def test_all_is_told_once_more_as_it_was() -> None:
    events = typed("one", "two", ".edit 2 three", ".redeliver", count=6)
    assert events[:3] == events[3:]


def test_lines_can_go_on() -> None:
    one, two, three = typed("one\\", "two", "three\\\\", "four\n```\nfive\n```", count=3)
    assert (one.text, two.text, three.text) == ("one\ntwo", "three\\", "four\n```\nfive\n```")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (".foo", "There is no .foo"),
        (".as", "Who? .as bob"),
        (".as two words", "Who? .as bob"),
        (".as @ann", "Who? .as bob"),
        (".in @ann", "Where? .in #dev"),
        (".thread 7", "Which message?"),
        (".thread x", "Which message?"),
        (".press 1 approve", "There is nothing to press under #1"),
        (".press 1 what", "What? .press 1 approve"),
        (".file /no/such/file", "There is no file"),
        (".file /", "There is no file"),
        (".edit 1 x", "#1 is not of eve"),
    ],
)
def test_what_cannot_be_done_is_said(line: str, told: str) -> None:
    async def work() -> None:
        async with World() as world, listening(world) as (_, heard):
            world.type(".as ann", "one", ".as eve", line, "more")
            await until(lambda: told in world.screen and len(heard.events) == 2)

    run(work)


def test_a_button_carries_its_approval_and_who_pressed_it() -> None:
    async def work() -> None:
        async with World() as world, listening(world) as (adapter, heard):
            question = await adapter.send(OPS, [plain("May it?")], "k", OFFERED)
            (seen,) = await world.until(lambda seen: seen)
            assert seen.offers == ("approve", "reject")
            await world.press("bob", "#ops", seen.id, "reject")
            await until(lambda: heard.events)
            (pressed,) = heard.events
            assert isinstance(pressed, Pressed)
            assert (pressed.message, pressed.verb, pressed.approval) == (question, "reject", "ab12")
            assert (pressed.user, pressed.place) == ("bob", OPS)
            await adapter.edit(OPS, question, [plain("No.")])
            await world.until(lambda seen: not seen[0].offers and seen[0].text == "No.")
            world.type(f".press {seen.id} approve", "x")
            await until(lambda: f"nothing to press under #{seen.id}" in world.screen)

    run(work)


def test_numbers_go_on_after_a_restart() -> None:
    async def work() -> None:
        heard = Heard()
        async with World() as world:
            async with listening(world, heard) as (adapter, _):
                world.type("one")
                await until(lambda: heard.events)
                question = await adapter.send(OPS, [plain("May it?")], "k", OFFERED)
            heard.up = 0
            async with listening(world, heard) as (adapter, _):
                world.type(".as bob", "three", ".press 2 approve")
                await until(lambda: len(heard.events) == 3)
                await adapter.edit(OPS, question, [plain("Yes.")])
                await world.until(lambda seen: "Yes." in [one.text for one in seen])
        said, pressed = heard.events[1:]
        assert (said.event, said.id) == ("m3", "t3")
        assert (pressed.message, pressed.approval) == (question, "")

    run(work)


def test_a_message_is_sent_once() -> None:
    async def work() -> None:
        async with World() as world, listening(world) as (adapter, _):
            first = await adapter.send(OPS, [plain("one")], "k")
            assert await adapter.send(OPS, [plain("one")], "k") == first == await adapter.find(OPS, "k")
            await adapter.send(OPS, [plain("one!")], "k")
            await adapter.send(OPS, [plain("two")], "l")
            seen = await world.until(lambda seen: "two" in [one.text for one in seen])
            assert [one.text for one in seen] == ["one!", "two"]

    run(work)


def test_what_the_bot_cannot_keep_is_said_not_to_be_heard() -> None:
    class Deaf(Heard):
        async def accept(self, events: Any, cursor: str | None = None) -> None:
            if any(event.text == "one" for event in events):
                raise StoreError("The disk is full.")
            await super().accept(events, cursor)

    async def work() -> None:
        async with World() as world, listening(world, Deaf()) as (_, heard):
            world.type("one", "two")
            await until(lambda: heard.events)
            assert [event.text for event in heard.events] == ["two"]
            assert "The bot did not hear it: The disk is full." in world.screen

    run(work)


def test_a_file_goes_with_what_is_said_next_and_is_read_to_its_bound(tmp_path: Path) -> None:
    async def work() -> None:
        async with World() as world, listening(world) as (adapter, heard):
            await world.say("ann", "look", files=[Upload("my notes.txt", "text/plain", b"plum")])
            world.type("more")
            await until(lambda: len(heard.events) == 2)
            (file,) = heard.events[0].files
            assert (file.name, file.mime, file.size) == ("my notes.txt", "text/plain", 4)
            assert not heard.events[1].files
            assert await adapter.fetch(file, 4) == b"plum"
            with pytest.raises(NotThere, match="too large"):
                await adapter.fetch(file, 3)
            gone = File("x", "text/plain", 1, {"path": str(tmp_path / "gone")})
            with pytest.raises(NotThere, match="cannot be read"):
                await adapter.fetch(gone, 3)

    run(work)


# What is shown

NASTY = {
    "escapes": ("\x1b[31mred\x1b[0m", "\\u001b[31mred\\u001b[0m"),
    "a title": ("\x1b]0;title\x07", "\\u001b]0;title\\u0007"),
    "a link of the terminal": ("\x1b]8;;https://evil.example\x1b\\x", "\\u001b]8;;https://evil.example\\u001b\\x"),
    "clears": ("\x1b[2J\x1b[H", "\\u001b[2J\\u001b[H"),
    "C1": ("\x9b31m \x90", "\\u009b31m \\u0090"),
    "a bell": ("\x07", "\\u0007"),
    "a backspace": ("ab\x08c", "ab\\u0008c"),
    "a delete": ("ab\x7fc", "ab\\u007fc"),
    "a return": ("abc\rd", "abcd"),
    "a vertical tab": ("a\x0bb", "a\\u000bb"),
    "a form feed": ("a\x0cb", "a\\u000cb"),
    "a shift": ("\x0eqqq\x0f", "\\u000eqqq\\u000f"),
    "an answerback": ("\x05", "\\u0005"),
    "nothing": ("a\x00b", "a\\u0000b"),
    "right to left": ("a\u202egnp.exe\u202c", "a\\u202egnp.exe\\u202c"),
    "isolates": ("\u2066a\u2069", "\\u2066a\\u2069"),
    "half a pair": ("a\ud800b", "a\\ud800b"),
    "a tab": ("a\tb", "a   b"),
    "a message": ("#9 ann@#ops: @bot yes", "#9 ann@#ops: @bot yes"),
    "a message in the next line": ("yes\n#9 ann@#ops: @bot yes", "yes\n#9 ann@#ops: @bot yes"),
    "a remark": ("yes\n· ann presses approve", "yes\n· ann presses approve"),
    "a prompt": ("yes\nann@#ops> ", "yes\nann@#ops>"),
    "a button": ("[approve]", "[approve]"),
    "an address": ("https://evil.example/?k=1 ann@evil.example", "https://evil.example/?k=1 ann@evil.example"),
    "markup": ("**a** _b_ `c` ~d~ <b>e</b> &amp; \\n", "**a** _b_ `c` ~d~ <b>e</b> &amp; \\n"),
    "placeholders": ("{person} {} %s {{ secrets.x }}", "{person} {} %s {{ secrets.x }}"),
    "wide": ("漢字 🎉 e\u0301", "漢字 🎉 e\u0301"),
    "mentions": ("@bot @everyone @here", "@bot @everyone @here"),
}


@pytest.mark.parametrize(("text", "shown"), NASTY.values(), ids=NASTY)
def test_text_is_shown_as_it_is_and_acts_on_nothing(text: str, shown: str) -> None:
    async def work() -> None:
        async with World() as world, listening(world) as (adapter, _):
            await adapter.send(OPS, [Paragraph((Span(text),))], "k")  # as if nobody had cleaned it before
            await adapter.send(OPS, [Code(text)], "l")
            await adapter.send(OPS, [plain("end")], "m")
            one, two, end = await world.until(lambda seen: len(seen) == 3)
            assert (one.text, two.text.strip(), end.text) == (shown, shown, "end")
            assert {one.who, two.who} == {"bot"}

    run(work)


class Small(World):
    columns, rows = 40, 8


def test_rows_are_broken_between_words_and_indented() -> None:
    text = "A paragraph of **some** words which is longer than the screen is wide. " + "x" * 50
    assert shown(blocks_of(text)) == [
        "#1 bot@#ops: A paragraph of some words",
        "    which is longer than the screen is",
        "    wide.",
        "    xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "    xxxxxxxxxxxxxxx",
    ]


def test_code_keeps_its_blanks_and_wide_letters_count_twice() -> None:
    assert shown([Code("if a:\n    b\n" + "漢" * 20)]) == [
        "#1 bot@#ops:",
        "    │ if a:",
        "    │     b",
        "    │ " + "漢" * 16,
        "    │ " + "漢" * 4,
    ]


def shown(blocks: list[Block]) -> list[str]:
    """The rows of a message on a small screen."""
    rows: list[str] = []

    async def work() -> None:
        async with Small() as world, listening(world) as (adapter, _):
            await adapter.send(OPS, blocks, "k")
            await adapter.send(OPS, [plain("end")], "l")
            await until(lambda: "end" in world.screen)
            begin = next(at for at, row in enumerate(world.eyes.rows) if row.startswith("#1"))
            rows.extend(row.rstrip() for row in world.eyes.rows[begin:] if "#2" not in row and ">" not in row)

    run(work)
    return rows


def test_a_message_changes_in_its_place_while_that_is_on_the_screen() -> None:
    async def work() -> None:
        async with Small() as world, listening(world) as (adapter, _):
            first = await adapter.send(OPS, [plain("one")], "a")
            second = await adapter.send(OPS, [plain("two")], "b")
            await adapter.edit(OPS, first, [plain("one is now longer than it was before, by a line")])
            await adapter.edit(OPS, second, [plain("two, too")])
            await adapter.edit(OPS, first, [plain("one")])
            await until(lambda: world.screen.endswith("#1 bot@#ops: one\n#2 bot@#ops: two, too\n" + world.prompt))
            assert world.screen.count("#1 ") == 1

    run(work)


def test_what_has_left_the_screen_is_shown_again_when_it_changes() -> None:
    async def work() -> None:
        async with Small() as world, listening(world) as (adapter, _):
            first = await adapter.send(OPS, [plain("one")], "a")
            for number in range(Small.rows):
                await adapter.send(OPS, [plain("more")], f"b{number}")
            await adapter.edit(OPS, first, [plain("one!")])
            await until(lambda: "#1 bot@#ops (changed): one!" in world.screen)
            assert "#1 bot@#ops: one\n" in world.screen
            await adapter.edit(OPS, first, [plain("one?")])
            await until(lambda: "#1 bot@#ops (changed): one?" in world.screen)
            assert world.screen.count("one!") == 0

    run(work)


def test_what_is_being_typed_stays_below_what_comes() -> None:
    async def work() -> None:
        async with World() as world, listening(world) as (adapter, heard):
            os.write(world.keyboard, b".as ann\rhalf a l")
            await until(lambda: world.screen.endswith("ann@#ops> half a l"))
            await adapter.send(OPS, [plain("one")], "a")
            await until(lambda: world.screen.endswith("#1 bot@#ops: one\nann@#ops> half a l"))
            os.write(world.keyboard, b"ine\r")
            await until(lambda: heard.events)
            assert heard.events[0].text == "half a line"

    run(work)


@pytest.mark.parametrize(
    ("keys", "lines"),
    [
        ("ab\x7fc\r", ["ac"]),
        ("ab\x1b[Dc\r", ["acb"]),
        ("ab\x1b[D\x1b[D\x1b[3~\r", ["b"]),
        ("ab\x01c\x05d\r", ["cabd"]),
        ("one two\x17x\r", ["onex"]),
        ("one\x15two\r", ["two"]),
        ("one\x01\x06\x0b\r", ["o"]),
        ("one\rtwo\r\x1b[A\x1b[A\r", ["one", "two", "one"]),
        ("one\r\x1b[A\x1b[B\r", ["one", ""]),
        ("\x1b[200~a\r\nb\x1b[201~\r", ["a\nb"]),
        ("\x1b[200~.as x\r.in y\x1b[201~\r", [".as x\n.in y"]),
        ("one\x03two\r", ["two"]),
        ("a\x1bb\x1b[5;2~\x1bOPc\r", ["ac"]),
        ("\x03", [b"stop"]),
        ("\x04", [b"end"]),
        ("ab\x01\x04\r", ["b"]),
        ("ü漢🎉\x7f\r", ["ü漢"]),
    ],
)
def test_keys_edit_the_line(keys: str, lines: list[str | bytes]) -> None:
    whole, piecewise = Keys(), Keys()
    assert [*whole.typed(keys.encode())] == lines
    assert [event for byte in keys.encode() for event in piecewise.typed(bytes([byte]))] == lines


def test_the_terminal_is_left_as_it_was() -> None:
    async def work() -> None:
        async with World() as world:
            before = termios.tcgetattr(world.line)
            async with listening(world):
                assert termios.tcgetattr(world.line) != before
                tasks = asyncio.all_tasks()
                assert len(tasks) > 1
            assert termios.tcgetattr(world.line) == before
            assert asyncio.all_tasks() == {asyncio.current_task()}
            await until(lambda: world.eyes.rows[-1] == "")

    run(work)


def test_who_does_not_want_to_wait_for_the_end_leaves_nothing_behind() -> None:
    class Busy(Heard):
        async def rest(self) -> None:
            await asyncio.Event().wait()

    async def work() -> None:
        async with World() as world, listening(world, Busy()):
            os.write(world.keyboard, CTRL_D.encode())
            await until(lambda: "finishes what it has begun" in world.screen)
            os.write(world.keyboard, CTRL_C.encode())
            await until(lambda: len(asyncio.all_tasks()) == 1)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(work)


# Pipes


def piped(text: bytes, heard: Heard | None = None, source: int | None = None) -> tuple[str, Heard]:
    """What is written when this comes through a pipe, and what the bot was told."""
    heard = heard or Heard()
    theirs, ours = os.pipe()
    result, out = os.pipe()
    os.write(ours, text)
    os.close(ours)
    try:
        run(lambda: TerminalAdapter({}, theirs if source is None else source, out).listen(heard))
    finally:
        os.close(theirs)
        os.close(out)
    with os.fdopen(result, encoding="utf-8") as written:
        return written.read(), heard


def test_a_pipe_is_read_to_its_end_and_nothing_is_coloured() -> None:
    written, heard = piped(b".as ann\none\r\ntwo\\\nthree\n\nfour \xff")
    assert [event.text for event in heard.events] == ["one", "two\nthree", "four \ufffd"]
    assert written.splitlines()[2:] == [
        "#1 ann@#ops: one",
        "#2 ann@#ops: two",
        "    three",
        "#3 ann@#ops: four \ufffd",
    ]
    assert "\x1b" not in written


def test_a_file_is_read_like_a_pipe(tmp_path: Path) -> None:
    file = tmp_path / "lines"
    file.write_text("one\ntwo\n")
    with file.open() as opened:
        _, heard = piped(b"", source=opened.fileno())
    assert [event.text for event in heard.events] == ["one", "two"]


def test_each_line_of_a_pipe_waits_until_all_before_is_answered() -> None:
    order: list[str] = []

    class Slow(Heard):
        async def accept(self, events: Any, cursor: str | None = None) -> None:
            order.extend(event.text for event in events)

        async def rest(self) -> None:
            await asyncio.sleep(0)
            order.append("rest")

    piped(b"one\ntwo\n", Slow())
    assert order == ["rest", "one", "rest", "two", "rest"]


def test_a_key_that_there_is_not_is_refused() -> None:
    with pytest.raises(BotError, match="no key 'token'"):
        TerminalAdapter({"token": "x"})


# Who one is to policies

POLICY = Policy([], {"oncall": ["slack:T1/U077", "local:ann"]})


def test_only_at_the_terminal_is_somebody_who_they_say() -> None:
    at_the_terminal = PretendedRooms("local", {"channels": {"*": None}}, POLICY)
    assert at_the_terminal.person("slack:T1/U077") == "slack:T1/U077"
    assert at_the_terminal.person("ann") == "local:ann"
    assert at_the_terminal.channel(Place("", "slack:T1/C0AA")) == "slack:T1/C0AA"
    assert at_the_terminal.channel(Place("", "@slack:T1/U077", direct=True)) == "local:@slack:T1/U077"
    for platform in ("slack", "irc", "local"):
        elsewhere = Rooms(platform, {"channels": {"*": None}}, POLICY)
        assert elsewhere.person("slack:T1/U077") == f"{platform}:slack:T1/U077"
        assert elsewhere.channel(Place("", "slack:T1/C0AA")) == f"{platform}:slack:T1/C0AA"


FILE = """
model: scripted:script.jsonl
groups: {oncall: ["slack:T1/U077"]}
toolsets: {look: {tools: [look]}}
tools:
  - {name: look, python: "./ops.py:look"}
  - {name: restart, python: "./ops.py:restart"}
policy:
  - {tool: restart, then: ask, approvers: ["group:oncall", "local:ann", "local:bob"], four_eyes: true}
bots:
  slack:
    token: "{{ secrets.slack }}"
    app_token: "{{ secrets.slack }}"
    channels: {C0AA: look, C0BB: null, direct: {toolset: look}}
  irc: {server: irc.example.org, nick: gemma, channels: {"#Ops/dev": look}}
  other: {adapter: "somewhere:Other", channels: {"a b": look}}
secrets: {slack: {env: NOT_THERE}}
"""
TOOLS = '''
from gemmagraph import tool

@tool(read_only=True)
def look(service: str) -> str:
    """How a service is doing."""
    print("looking")
    return f"{service} answers 502"

@tool(destructive=True)
def restart(service: str) -> str:
    """Restarts a service."""
    return f"{service} is up"
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "assistant.yaml").write_text(FILE)
    (tmp_path / "ops.py").write_text(TOOLS)
    return tmp_path


@pytest.mark.parametrize(
    ("place", "toolset"),
    [
        (OPS, "all"),
        (Place("", "slack:T1/C0AA"), "look"),
        (Place("", "slack:C0AA"), "look"),
        (Place("", "slack:T1/C0BB"), "all"),
        (Place("", "slack:T1/C0CC"), "silent"),
        (Place("", "@slack:T1/U077", direct=True), "look"),
        (Place("", "@ann", direct=True), "all"),
        (Place("", "irc:#ops/dev"), "look"),
        (Place("", "irc:#OPS/dev"), "look"),
        (Place("", "@irc:ann", direct=True), "silent"),
        (Place("", "other:a b"), "look"),
        (Place("", "matrix:!room:example.org"), "all"),
    ],
    ids=str,
)
def test_what_the_file_says_of_a_channel_holds_where_somebody_pretends_to_be_in_it(
    folder: Path, place: Place, toolset: str
) -> None:
    (service,) = Serving(folder / "assistant.yaml", ["terminal"]).services
    room = service.rooms.of(place)
    assert ("silent" if room is None else room.toolset or "all") == toolset
    assert service.rooms.toolsets == {None, "look"}


def test_no_other_service_pretends(folder: Path) -> None:
    file = folder / "assistant.yaml"
    file.write_text(FILE.replace("{{ secrets.slack }}", "x"))
    (service,) = Serving(file, ["irc"]).services
    assert type(service.rooms) is Rooms
    assert [name for name, where in ADAPTERS.items() if where.endswith(":TerminalAdapter")] == ["terminal"]


def test_what_pretended_people_do_is_kept_apart(folder: Path) -> None:
    file = folder / "assistant.yaml"
    file.write_text(f"store: real.db\n{FILE}")
    kept = {Serving(file, ["terminal"], store=store).store.address for store in (None, folder / "said.db")}
    assert not any("real.db" in str(address) for address in kept)
    assert len(kept) == 2


# The command

STEPS = [
    'FUNCTION_CALL: look(service="web")',
    "web answers **502**.",
    'FUNCTION_CALL: restart(service="web")',
    "web is up again.",
]


def write_script(folder: Path, *steps: object) -> None:
    (folder / "script.jsonl").write_text("".join(f"{json.dumps(step)}\n" for step in steps))


def test_a_service_is_restarted_with_four_eyes_through_a_pipe(folder: Path) -> None:
    write_script(folder, *STEPS)
    lines = [
        ".as ann",
        "@bot what is wrong with web?",
        ".thread 1",
        "then restart it",
        ".press 4 approve",
        ".as bob",
        ".press 4 approve",
        "/whoami",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "gemmagraph", "bot", "terminal", "-m", "scripted:script.jsonl"],
        input="\n".join(lines),
        capture_output=True,
        text=True,
        timeout=60,
        cwd=folder,
    )
    assert (done.returncode, done.stderr) == (0, "")
    written = done.stdout.split("Ctrl-D leaves\n")[1].splitlines()
    kept = [line for line in written if line.startswith(("#", "·"))]
    assert kept == [
        "#1 ann@#ops: @bot what is wrong with web?",
        "#2 bot@#ops/1: web answers 502.",
        "#3 ann@#ops/1: then restart it",
        "#4 bot@#ops/1: May this run? local:ann asked for it.",
        "· ann presses approve under #4",
        "#5 bot@#ops/1: ann: local:ann cannot decide about restart: somebody else than local:ann must decide"
        " (four eyes).",
        "· bob presses approve under #4",
        "#6 bot@#ops/1: Approved by local:bob.",
        "#7 bot@#ops/1: web is up again.",
        "#8 bob@#ops/1: /whoami",
        "#9 bot@#ops/1:",
    ]
    assert {"    [approve] [reject]: .press 4 approve", '    │ restart(service="web")', "    │ you: local:bob"} <= {
        *written
    }


@pytest.fixture
def screen(folder: Path) -> Iterator[Callable[..., Screen]]:
    opened: list[Screen] = []

    def opening(*args: str, columns: int = 100) -> Screen:
        opened.append(Screen(("bot", "terminal", "-m", "scripted:script.jsonl", *args), folder, columns, folder))
        return opened[-1]

    yield opening
    for each in opened:
        each.close()


def test_an_approval_is_decided_after_a_restart_on_a_real_terminal(folder: Path, screen: Any) -> None:
    write_script(folder, STEPS[2])
    first = screen()
    first.until("Ctrl-D leaves")
    first.keys(".as ann\r@bot restart web\r")
    first.until("#1 ann@#ops: @bot restart web", "May this run?", "[approve] [reject]: .press", "approve")
    (press,) = set(re.findall(r"\.press \d+ approve", first.text.partition("Ctrl-D leaves")[2]))
    first.keys(CTRL_D)
    assert first.end() == 0
    write_script(folder, STEPS[3])
    second = screen()
    second.until("Ctrl-D leaves", "@#ops/1 (again): May this run?", press)
    second.keys(f".as bob\r{press}\r")
    second.until("Approved by local:bob", "web is up again.")
    second.keys(CTRL_D)
    assert second.end() == 0


def test_what_is_at_work_is_finished_after_ctrl_d_and_left_after_ctrl_c(folder: Path, screen: Any) -> None:
    write_script(folder, {"text": "Here I am.", "delay": 1.5})
    first = screen()
    first.until("Ctrl-D leaves")
    first.keys(f"@bot hi\r{CTRL_D}")
    first.until("finishes what it has begun", "Here I am.")
    assert first.end() == 0
    write_script(folder, {"text": "Never.", "delay": 30})
    second = screen()
    second.until("Ctrl-D leaves")
    second.keys("@bot hi\r")
    second.until("#4 bot@#ops/3: …")
    second.keys(f"dropped{CTRL_C}")
    second.keys(CTRL_C)
    assert second.end() == 0
    assert "Never" not in second.text


def test_what_a_tool_prints_stands_above_the_line(folder: Path, screen: Any) -> None:
    write_script(folder, *STEPS[:2])
    seen = screen()
    seen.until("Ctrl-D leaves")
    seen.keys("@bot look at web\r")
    seen.until("· looking", "web answers 502.")
    seen.keys(CTRL_D)
    assert seen.end() == 0


def test_where_messages_stand_is_known_after_a_restart() -> None:
    async def work() -> None:
        heard = Heard()
        async with World() as world:
            async with listening(world, heard) as (adapter, _):
                world.type("one")
                await until(lambda: heard.events)
                await adapter.send(Place("", "#ops", "t1"), [plain("two")], "k")
            heard.up = 0
            async with listening(world, heard):
                world.type(".in #dev", ".press 2 approve", ".thread 2", "three")
                await until(lambda: len(heard.events) == 3)
        assert [event.place for event in heard.events[1:]] == [Place("", "#ops", "t1")] * 2

    run(work)


def test_other_bots_go_on_when_nobody_sits_at_the_terminal(folder: Path) -> None:
    (folder / "assistant.yaml").write_text(
        "store: sqlite:///real.db\n"
        "bots:\n"
        "  irc: {server: 127.0.0.1, port: 1, tls: false, nick: gemma, channels: {'#ops': null}}\n"
    )
    write_script(folder, "Never.")
    command = [sys.executable, "-m", "gemmagraph", "bot", "terminal", "irc", "-m", "scripted:script.jsonl"]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=folder
    ) as process:
        assert process.stderr is not None
        late = threading.Timer(30, process.kill)
        late.start()
        said = next((line for line in process.stderr if "others go on" in line), "the end")
        process.terminate()
        assert "/terminal  others=assistant/irc" in said
        assert "come to their end" in process.stderr.read()
        late.cancel()


def test_a_command_that_the_bot_does_not_hear_is_told_of() -> None:
    async def work() -> None:
        async with World() as world, listening(world) as (_, heard):
            world.type(".thread 1", "/help me", ".thread 1", "/help", ".direct", "!stop", "end")
            await until(lambda: len(heard.events) == 4)
            notes = [line for line in world.screen.splitlines() if line.startswith("·")][2:]
            assert notes == [
                "· Nothing was said yet.",
                "· The bot does not hear that here; `@bot /help` is for it.",
            ]

    run(work)


def test_whoever_sits_here_reads_why_the_model_does_not_answer(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gemmagraph", "bot", "terminal", "-m", "ollama:gemma3:4b"],
        input="@bot are you there?\n",
        env={**os.environ, "OLLAMA_HOST": "127.0.0.1:1"},
        capture_output=True,
        text=True,
        timeout=60,
        cwd=folder,
    )
    assert "My model does not answer just now" in done.stdout
    assert "why=Ollama at http://127.0.0.1:1 cannot be reached" in done.stderr
