"""What a client of Discord shows of a message: its Markdown as the desktop client reads it, written down from
https://support.discord.com/hc/en-us/articles/210298617 and https://discord.com/developers/docs/reference#message-formatting.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

EMOJI = {"smile": "😄", "tada": "🎉", "+1": "👍", "fire": "🔥", "eggplant": "🍆"}
URL = r"(?:https?|steam|discord)://[^\s<]+[^<.,:;\"'\]\s]"
RULES = [
    ("block", r"```(?:([a-z0-9_+\-.#]+?)\n)?\n*([^\n].*?)\n*```"),
    ("inline", r"(`+)(.*?[^`])\1(?!`)"),
    ("escape", r"\\([^0-9A-Za-z\s])"),
    ("angle", r"<([^: >]+:/[^ >]+)>"),
    ("angle", r"<((?:mailto:)?[\w.+-]+@[\w-]+\.[\w.]+|tel:\+?\d+|\+\d{5,15})>"),
    ("mention", r"<(@!?|@&|#)(\d+)>"),
    ("custom", r"<a?:(\w{2,32}):\d+>"),
    ("time", r"<t:(-?\d{1,17})(?::[tTdDfFR])?>"),
    ("command", r"<(/[\w ]{1,64}):\d+>"),
    ("guide", r"<id:(\w+)>"),
    ("everyone", r"@(everyone|here)\b"),
    ("masked", r"\[([^\[\]\n]+)\]\(<?(https?://[^\s<>)]+)>?[^)\n]*\)"),
    ("url", rf"({URL})"),
    ("invite", r"((?:discord\.gg|discord(?:app)?\.com/invite|discord\.new|discord\.gift)/\w+)"),
    ("emoji", r":(" + "|".join(map(re.escape, EMOJI)) + "):"),
    ("styled", r"\*\*((?:\\.|[^\\])+?)\*\*(?!\*)"),
    ("styled", r"__((?:\\.|[^\\])+?)__(?!_)"),
    ("styled", r"~~((?:\\.|[^\\])+?)~~"),
    ("styled", r"\|\|((?:\\.|[^\\])+?)\|\|"),
    ("styled", r"\*(?=\S)((?:\*\*|\\.|[^\s*\\]|\s+(?:\\.|[^\s*\\]|\*\*))+?)\*(?!\*)"),
    ("styled", r"\b_((?:__|\\.|[^\\_])+?)_\b"),
]
MARKS = re.compile(r"[ \t]*(?:(?:#{1,3}|-#)[ \t]+|>(?:>>)?[ \t]+|[-*+][ \t]+|(\d+)\.[ \t]+)(?=\S)")
PATTERNS = [(name, re.compile(rule, re.DOTALL)) for name, rule in RULES]


@dataclass
class View:
    """
    Args:
        named: what stands for a mention, by its mark and id.
    """

    named: Callable[[str, str], str] = lambda mark, number: f"{mark}{number}"
    live: list[str] = field(default_factory=list)
    mentions: list[tuple[str, str]] = field(default_factory=list)
    """Marks and ids; `everyone` and `here` as their own ids."""

    def show(self, text: str) -> str:
        return self._read(text, line_start=True).replace("\u200b", "")

    def _read(self, text: str, line_start: bool) -> str:
        shown, at = "", 0
        while at < len(text):
            if line_start and (mark := MARKS.match(text, at)):
                shown += "◦ "  # a heading, a quotation, a list: not what was written
                at = mark.end()
            line_start = False
            for name, pattern in PATTERNS:
                if found := pattern.match(text, at):
                    shown += self._rule(name, found)
                    at = found.end()
                    break
            else:
                shown += text[at]
                line_start = text[at] == "\n"
                at += 1
        return shown

    def _rule(self, name: str, found: re.Match[str]) -> str:
        match name:
            case "block":
                return f"\n{found.group(2)}\n" if found.start() else f"{found.group(2)}\n"
            case "inline":
                return re.sub(r"^ (?= *`)|(` *) \Z", r"\1", found.group(2))
            case "escape":
                return found.group(1)
            case "angle" | "url" | "invite":
                self.live.append(found.group(1))
                return found.group(1)
            case "masked":
                self.live.append(found.group(2))
                return found.group(1)
            case "mention":
                self.mentions.append((found.group(1).rstrip("!"), found.group(2)))
                return self.named(found.group(1).rstrip("!"), found.group(2))
            case "everyone":
                self.mentions.append(("@", found.group(1)))
                return f"@{found.group(1)}"
            case "emoji":
                return EMOJI[found.group(1)]
            case "styled":
                return self._read(found.group(1), line_start=False)
        return f"[{name} {found.group(1)}]"
