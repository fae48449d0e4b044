"""Checks of who may do what, and how much of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any, Final

from gemmagraph.tools.declared.bots import impossible
from gemmagraph.tools.declared.checks_values import (
    Finding,
    items,
    listed,
    mapping,
    table,
    tools_and_overrides,
    unknown,
)
from gemmagraph.tools.declared.document import Document
from gemmagraph.tools.declared.nodes import KeyPath

_ASKING: Final = ("approvers", "four_eyes", "expires")


def asking(document: Document) -> Iterator[Finding]:
    for path, rule in items(document, "policy"):
        yield from _idle_asking(path, rule, "then")
    for path, tool in tools_and_overrides(document):
        yield from _idle_asking((*path, "approval"), mapping(tool.get("approval")), "mode")


def _idle_asking(path: KeyPath, said: Mapping[str, Any], verdict: str) -> Iterator[Finding]:
    if said.get(verdict) in ("allow", "deny"):
        for key in _ASKING:
            if key in said:
                hint = f"Leave it out, or say {verdict}: ask."
                yield (*path, key), f"nobody is asked with {verdict}: {said[verdict]}", hint


def group(document: Document) -> Iterator[Finding]:
    known = table(document, "groups")
    if not document.lists("groups"):
        return
    lists: list[tuple[KeyPath, Any]] = []
    for path, rule in items(document, "policy"):
        lists += [((*path, key), rule.get(key)) for key in ("users", "approvers")]
    for path, bot in _bots(document):
        lists.append(((*path, "users"), bot.get("users")))
        for channel, room in mapping(bot.get("channels")).items():
            lists.append(((*path, "channels", channel, "users"), mapping(room).get("users")))
    if document.kind == "assistant":  # a tools file's groups are those of the file that includes it
        for path, tool in tools_and_overrides(document):
            lists.append(((*path, "approval", "approvers"), mapping(tool.get("approval")).get("approvers")))
    for path, people in lists:
        for index, who in enumerate(listed(people)):
            if not isinstance(who, str) or not who.startswith("group:") or not document.fits((*path, index)):
                continue
            if who.removeprefix("group:") not in known:
                yield unknown("group", who.removeprefix("group:"), known, (*path, index))


def toolset(document: Document) -> Iterator[Finding]:
    known = table(document, "toolsets")
    said: list[tuple[KeyPath, Any]] = [
        (("toolsets", name, "extends"), mapping(one).get("extends")) for name, one in known.items()
    ]
    for bot, keys in _bots(document):
        for channel, room in mapping(keys.get("channels")).items():
            place = (*bot, "channels", channel)
            said += [(place, room), ((*place, "toolset"), mapping(room).get("toolset"))]
    for path, name in said if document.lists("toolsets") else ():
        if isinstance(name, str) and name not in known and document.fits(path):
            yield unknown("toolset", name, known, path)


def _bots(document: Document) -> Iterator[tuple[KeyPath, Any]]:
    for name, keys in table(document, "bots").items():
        yield ("bots", name), mapping(keys)


def channel(document: Document) -> Iterator[Finding]:
    bots = table(document, "bots")
    for path, rule in items(document, "policy") if bots else ():
        for index, said in enumerate(listed(rule.get("channels"))):
            at = (*path, "channels", index)
            if isinstance(said, str) and document.fits(at) and (why := impossible(said, bots)):
                yield at, *why


def irc_channel(document: Document) -> Iterator[Finding]:
    first: dict[str, KeyPath] = {}
    path = ("bots", "irc", "channels")
    for said in mapping(mapping(table(document, "bots").get("irc")).get("channels")):
        if (earlier := first.setdefault(said.lower(), (*path, said))) != (*path, said):
            there = f"{earlier[-1]!r} stands at {document.place(earlier)} already"
            yield (*path, said), f"the channel is there twice; {there}, and IRC has no case", "Keep one of them."


def toolset_circle(document: Document) -> Iterator[Finding]:
    known = table(document, "toolsets")
    done: set[str] = set()
    for first in known:
        way: dict[str, None] = {}
        name = first
        while name in known and name not in done:
            done.add(name)
            way[name] = None
            name = str(mapping(known[name]).get("extends"))
        if name in way:
            circle = list(way)[list(way).index(name) :]
            yield ("toolsets", circle[-1], "extends"), f"a circle: {_way([*circle, name])}", ""


def _way(names: list[str]) -> str:
    return " → ".join(names if len(names) <= 8 else [*names[:4], "…", *names[-3:]])


def tool_name(document: Document) -> Iterator[Finding]:
    if listed(document.values.get("imports")) or not document.lists("imports"):
        return  # whose tools are known later: `check_tool_names`
    names = [tool.get("name") for _, tool in items(document, "tools")]
    if document.lists("tools") and all(isinstance(name, str) for name in names):
        yield from unmatched(document, {*map(str, names)})


def unmatched(document: Document, names: Collection[str]) -> Iterator[Finding]:
    said: list[tuple[KeyPath, Any]] = [
        ((*path, "tool"), rule.get("tool")) for path, rule in items(document, "policy")
    ]
    for name, toolset in table(document, "toolsets").items():
        tools = listed(mapping(toolset).get("tools"))
        said += [(("toolsets", name, "tools", index), tool) for index, tool in enumerate(tools)]
    for path, pattern in said:
        if not isinstance(pattern, str) or pattern == "*" or pattern in names or not document.fits(path):
            continue
        if not any(character in pattern for character in "*?["):
            yield unknown("tool", pattern, names, path)
        elif not any(fnmatchcase(name, pattern) for name in names):
            yield path, f"{pattern!r} fits no tool", ""


def same_call(document: Document) -> Iterator[Finding]:
    said = mapping(table(document, "limits").get("same_call"))
    warn, stop = said.get("warn_at"), said.get("stop_at")
    if isinstance(warn, int) and isinstance(stop, int) and warn >= stop:
        yield ("limits", "same_call", "stop_at"), f"must be more than warn_at, which is {warn}", ""
