"""Makes the pictures of a Matrix room: `.venv/bin/python docs/pictures/matrix.py`, after `make synapse`.

Synapse, the room, the bot and its approvals are real; what the model says is a script, and the service is a number.
Somebody in the room reads it over the client-server API, `room.html` beside this file says how that looks, and
Chromium takes the picture. `pngquant` makes the files smaller, if it is there.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from chats import synapse
from chats.matrix import World
from chats.team import Team

from gemmagraph import Agent, Gemma, tool
from gemmagraph.backends.scripted import ScriptedBackend, Step

HERE = Path(__file__).parent
CALLED = {"ann": "Ann", "bob": "Bob", "cem": "Cem", "bot": "Gemma bot"}
COLOURS = {"ann": "#b4532a", "bob": "#2f6f4f", "cem": "#75548f", "bot": "#2b5fb3"}
WIDTH = 780
MOST = 250_000
"""Bytes of a picture."""

SCRIPT = [
    'FUNCTION_CALL: service_status(service="web")',
    Step(
        "web is up but answers nobody: **0 of 8 workers** are free. All wait for the database, whose 20 connections "
        "are in use. A restart of web would let them go.",
        expect="0 of 8 workers free, 20 of 20",
    ),
    'FUNCTION_CALL: restart_service(service="web")',
    Step('FUNCTION_CALL: service_status(service="web")', expect="web was restarted"),
    Step(
        "web answers again: **8 of 8 workers** are free, and 2 of the 20 connections are in use.",
        expect="8 of 8 workers free, 2 of 20",
    ),
]
POLICY = {
    "tool": "restart_service",
    "then": "ask",
    "approvers": ["group:oncall", "group:leads"],
    "four_eyes": True,
    "expires": "10m",
}


def agent(policy: Any, store: Any) -> Agent:
    free = {"web": 0}

    @tool(read_only=True)
    def service_status(service: str) -> str:
        """How a service is doing."""
        return f"running, {free[service]} of 8 workers free, {2 if free[service] else 20} of 20 connections in use"

    @tool(read_only=False, destructive=True)
    async def restart_service(service: str) -> str:
        """Restarts a service."""
        await asyncio.sleep(2)  # long enough for people to see it at work
        free[service] = 8
        return f"{service} was restarted"

    backend = ScriptedBackend(SCRIPT, model="gemma3:4b")
    return Agent(Gemma(backend), [service_status, restart_service], policy=policy, store=store)


async def people(world: World) -> None:
    """Accounts whose names can be shown, and the room in which they are."""
    for name, called in CALLED.items():
        world.accounts[name] = await asyncio.to_thread(world.server.register, name, called)
    world.keys |= {"user": world.user("bot"), "token": world.token("bot")}
    world.channel = await world.room("ann", ("bob", "cem", "bot"), name="Operations", topic="Services, day and night")


async def talk(folder: Path) -> None:
    synapse.NAME = "example.org"  # what people read; the server is on this machine alone all the same
    async with World() as world:
        await people(world)
        team = Team(folder, world, policy=[POLICY], make=agent)
        async with team.bot():
            await say(world, "bob", "The shop is slow since this morning. Does anybody see why?")
            root = await say(world, "ann", "the web service hangs, have a look please", to_bot=True)
            await until(world, "0 of 8 workers")
            await say(world, "ann", "Then restart it.", thread=root)
            question = await until(world, "May this run?", reactions=2)
            await world.press("ann", world.channel, question, "approve")
            await until(world, "somebody else")
            await asyncio.to_thread(picture, "matrix-asked", await read(world), folder)
            await world.press("bob", world.channel, question, "approve")
            await until(world, "Done: ", edited=True)
            await until(world, "Approved by", reactions=2, edited=True)
            thanks = {"rel_type": "m.annotation", "event_id": (await read(world))[-1]["event_id"], "key": "🎉"}
            await world.put("ann", world.channel, "m.reaction", {"m.relates_to": thanks})
            await asyncio.to_thread(picture, "matrix", await read(world), folder)


async def say(world: World, person: str, text: str, *, to_bot: bool = False, thread: str = "") -> str:
    content: dict[str, Any] = {"msgtype": "m.text", "body": text, "m.mentions": {}}
    if to_bot:
        pill = f'<a href="https://matrix.to/#/{world.user("bot")}">{CALLED["bot"]}</a>'
        content |= {"body": f"{CALLED['bot']} {text}", "format": "org.matrix.custom.html"}
        content |= {"formatted_body": f"{pill} {escape(text)}", "m.mentions": {"user_ids": [world.user("bot")]}}
    if thread:
        content["m.relates_to"] = {"rel_type": "m.thread", "event_id": thread}
    return await world.put(person, world.channel, "m.room.message", content)


async def read(world: World) -> list[dict[str, Any]]:
    """The room as Cem sees it: messages as they stand, in their order, each with its reactions."""
    path = f"v3/rooms/{quote(world.channel)}/messages"
    events = (await world.ask("cem", "GET", path, dir="f", limit="500"))["chunk"]
    names = {world.user(name): name for name in CALLED}
    shown: dict[str, dict[str, Any]] = {}
    for event in events:
        content = event["content"]
        relation = content.get("m.relates_to", {})
        kind, target = relation.get("rel_type"), shown.get(relation.get("event_id", ""))
        if event["type"] == "m.reaction" and target and kind == "m.annotation":
            target["reactions"].setdefault(relation["key"], []).append(names[event["sender"]])
        elif event["type"] == "m.room.message" and kind == "m.replace" and target:
            if event["sender"] == target["sender"]:
                target |= {"content": content["m.new_content"], "edited": True}
        elif event["type"] == "m.room.message" and content:
            thread = relation["event_id"] if kind == "m.thread" else ""
            who = names[event["sender"]]
            shown[event["event_id"]] = event | {"who": who, "thread": thread, "edited": False, "reactions": {}}
    return list(shown.values())


async def until(world: World, text: str, *, reactions: int = 0, edited: bool = False) -> str:
    """Waits until a message holds this; gives its id."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        for one in await read(world):
            there = text in one["content"]["body"] and sum(map(len, one["reactions"].values())) == reactions
            if there and edited in (False, one["edited"]):
                return str(one["event_id"])
        await asyncio.sleep(0.1)
    said = [one["content"]["body"] for one in await read(world)]
    raise TimeoutError(f"Nobody says {text!r}: {said}")


class Drawn(HTMLParser):
    """`formatted_body` without what a client would not draw."""

    KEPT = frozenset(("p", "pre", "code", "strong", "em", "br"))

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.html = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in self.KEPT:
            self.html += f"<{tag}>"
        elif tag == "a":
            person = unquote(dict(attrs).get("href") or "").startswith("https://matrix.to/#/@")
            self.html += f'<a class="{"person" if person else "link"}">'

    def handle_endtag(self, tag: str) -> None:
        if tag in self.KEPT - {"br"} | {"a"}:
            self.html += f"</{tag}>"

    def handle_data(self, data: str) -> None:
        self.html += escape(data)


def drawn(content: dict[str, Any]) -> str:
    if content.get("format") != "org.matrix.custom.html":
        return f"<p>{escape(content['body'])}</p>"
    page = Drawn()
    page.feed(content["formatted_body"])
    page.close()
    return page.html if page.html.startswith(("<p>", "<pre>")) else f"<p>{page.html}</p>"


def message(one: dict[str, Any]) -> str:
    who, at = one["who"], datetime.fromtimestamp(one["origin_server_ts"] / 1000)
    when = f"{at:%H:%M}{', edited' if one['edited'] else ''}"
    chips = "".join(
        f'<span class="chip">{escape(key)} <b>{", ".join(CALLED[name] for name in people)}</b></span>'
        for key, people in one["reactions"].items()
    )
    return (
        f'<article style="--colour: {COLOURS[who]}"><div class="face">{CALLED[who][0]}</div><div>'
        f"<header><b>{CALLED[who]}</b> <time>{when}</time></header>"
        f'<div class="said">{drawn(one["content"])}</div>'
        f"{f'<footer>{chips}</footer>' if chips else ''}</div></article>"
    )


def page(room: list[dict[str, Any]]) -> str:
    parts = []
    for one in room:
        if one["thread"]:
            continue
        parts.append(message(one))
        if replies := [message(other) for other in room if other["thread"] == one["event_id"]]:
            parts.append(f"<section><h2>Thread, {len(replies)} replies</h2>{''.join(replies)}</section>")
    return (HERE / "room.html").read_text(encoding="utf-8").replace("{{ room }}", "\n".join(parts))


def picture(name: str, room: list[dict[str, Any]], folder: Path) -> None:
    source, made = folder / f"{name}.html", HERE / f"{name}.png"
    source.write_text(page(room), encoding="utf-8")
    found = re.search(r'data-height="(\d+)"', chromium(source, "--dump-dom"))
    assert found, "The page does not say how high it is."
    shot = (f"--screenshot={made}", "--force-device-scale-factor=2", f"--window-size={WIDTH},{found[1]}")
    chromium(source, *shot)
    if small := shutil.which("pngquant"):
        subprocess.run([small, "--force", "--output", made, "--strip", "64", made], check=True)
    assert made.stat().st_size <= MOST, f"{made.name} has {made.stat().st_size:,} bytes."
    print(f"{made.name}: {made.stat().st_size:,} bytes")


def chromium(source: Path, *options: str) -> str:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    assert program, "There is no Chromium."
    command = [program, "--headless=new", "--no-sandbox", "--hide-scrollbars", f"--window-size={WIDTH},600"]
    done = subprocess.run(
        [*command, *options, source.as_uri()], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        asyncio.run(talk(Path(made)))
