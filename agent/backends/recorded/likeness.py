"""Whether a request is one that was recorded before, and if not, where it differs."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Final

from gemmagraph.backends.base import Request
from gemmagraph.backends.recorded.cassettes import mapped
from gemmagraph.prompts.messages import JSON, Image, Text, ToolSpec, Turn

_UNMATCHED: Final = ("context", "max_tokens")
"""They may follow from the memory of the machine."""

_WIDTH: Final = 120
_MOST_LINES: Final = 60
_MOST_COMPARED: Final = 200_000
"""Characters of a prompt, from where it begins to differ."""

_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}\.?"
_YEAR = r"(?:19|20)\d\d"
_CLOCK = r"(?:[01]?\d|2[0-3]):[0-5]\d"
_SECONDS = r":[0-5]\d(?:[.,]\d+)?"
_HALF = r"(?:[ ]?[AaPp]\.?[Mm]\b\.?)?(?:[ ]?(?:Z|UTC|GMT|[+-]\d\d:?\d\d)(?![0-9A-Za-z]))?"

VARYING: Final = re.compile(
    rf"""(?<![0-9A-Za-z])(?:
      (?P<id>
          [0-9A-Fa-f]{{8}}(?:-[0-9A-Fa-f]{{4}}){{3}}-[0-9A-Fa-f]{{12}}      # UUID
        | (?=[0-9a-f]*[0-9])(?=[0-9a-f]*[a-f])[0-9a-f]{{16,64}}              # hexadecimal digits, letters among them
        | [0-7][0-9A-HJKMNP-TV-Z]{{25}}                                      # ULID
        | (?:call|chatcmpl|cmpl|msg|req|resp|run|toolu)[_-](?=[A-Za-z]*[0-9])[0-9A-Za-z]{{20,}}
        | 0x[0-9A-Fa-f]{{6,16}}                                              # an address in memory
      )
      | (?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]{{0,6}}\.?,?[ ])?(?:
          {_YEAR}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])                  # 2026-05-17
        | \d{{1,2}}(?P<mark>[./])\d{{1,2}}(?P=mark){_YEAR}                   # 17.05.2026, 5/17/2026
        | \d{{1,2}}(?:st|nd|rd|th|\.)?[ ]{_MONTH},?[ ]{_YEAR}                # 17 May 2026
        | {_MONTH}[ ]\d{{1,2}}(?:st|nd|rd|th)?,?[ ]{_YEAR}                   # May 17, 2026
      )(?:(?:,?[ ](?:at[ ])?|T){_CLOCK}(?:{_SECONDS})?{_HALF})?
      | {_CLOCK}{_SECONDS}{_HALF}                                            # 18:15:53
      | 1\d{{9}}\.\d+                                                        # what `time.time()` gives
    )(?![0-9A-Za-z])""",
    re.VERBOSE,
)
"""What may differ between a recorded request and one that it answers: ids, dates, times with seconds."""


def asked_for(request: Request, ignored: Sequence[re.Pattern[str]] = ()) -> dict[str, JSON]:
    """A request as it is recorded: what is not set is left out. Tools and grammars, which may be long, are there as
    digests, of what must not differ in them; the prompt tells of them anyway."""
    asked: dict[str, JSON] = {
        "model": request.model,
        "tools": {spec.name: _digest(_steady(_spec(spec), ignored)) for spec in request.tools},
        "stop": list(request.stop),
        "options": dict(request.options),
        "thinking": request.thinking,
        "schema": request.schema,
        "grammar": _digest(request.grammar.gbnf) if request.grammar else None,
        "context": request.context,
        "max_tokens": request.max_tokens,
        "prompt": request.prompt,
        "messages": _messages(request),
        "tool_choice": request.tool_choice if request.tool_choice != "auto" else None,
    }
    given = {name: value for name, value in asked.items() if value not in (None, [], {})}
    plain: dict[str, JSON] = json.loads(json.dumps({"asks": "reply", **given}, default=_plain))
    return plain


def _messages(request: Request) -> list[JSON] | None:
    if request.transport == "tools":
        return [{"role": turn.role, "content": turn.text, **_beside_text(turn)} for turn in request.turns]
    return None if request.messages is None else [dict(message) for message in request.messages]


def _beside_text(turn: Turn) -> dict[str, JSON]:
    rest = [part for part in turn.parts if not isinstance(part, Text)]
    return {"parts": [part if isinstance(part, Image) else asdict(part) for part in rest]} if rest else {}


def _plain(value: object) -> JSON:
    """A picture is there as a digest of it."""
    if isinstance(value, Image):
        return f"{value.mime_type} {hashlib.sha256(value.data).hexdigest()[:12]}"
    return repr(value)


def matched(asked: Mapping[str, JSON], ignored: Sequence[re.Pattern[str]] = ()) -> JSON:
    """What a request has in common with any other that the same reply answers."""
    return _steady({name: value for name, value in asked.items() if name not in _UNMATCHED}, ignored)


def likeness(one: Mapping[str, JSON], other: Mapping[str, JSON]) -> float:
    """How much two requests have in common, from 0 to 1."""
    ours, theirs = Counter(_text(one).split()), Counter(_text(other).split())
    return 2 * (ours & theirs).total() / (ours.total() + theirs.total())


def difference(recorded: Mapping[str, JSON], asked: Mapping[str, JSON], name: str) -> str:
    """A unified diff of two requests, never a long one."""
    before, after = _text(recorded), _text(asked)
    if max(len(before), len(after)) > _MOST_COMPARED:
        differ = (at for at, (one, other) in enumerate(zip(before, after, strict=False)) if one != other)
        begin = before.rfind("\n", 0, next(differ, 0)) + 1
        before, after = (text[begin : begin + _MOST_COMPARED] for text in (before, after))
    lines = [*difflib.unified_diff(_lines(before), _lines(after), name, "asked now", n=2, lineterm="")]
    if len(lines) > _MOST_LINES:
        lines[_MOST_LINES:] = [f"… and {len(lines) - _MOST_LINES} more lines"]
    return "\n".join(lines)


def _steady(value: JSON, ignored: Sequence[re.Pattern[str]]) -> JSON:
    """A JSON value without what differs from run to run. Ids become numbers, in the order in which they appear, so
    that the same one can still be told from another."""
    numbers: dict[str, int] = {}

    def told(found: re.Match[str]) -> str:
        if found["id"] is None:
            return "<time>"
        return f"<id {numbers.setdefault(found[0], len(numbers) + 1)}>"

    def change(text: str) -> str:
        for pattern in ignored:
            text = pattern.sub("<ignored>", text)
        return VARYING.sub(told, text)

    return mapped(value, change)


def _spec(spec: ToolSpec) -> JSON:
    return [spec.description, dict(spec.parameters), list(spec.examples)]


def _digest(value: JSON) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=repr).encode()).hexdigest()[:12]


def _text(asked: Mapping[str, JSON]) -> str:
    """A request as text: one fact a line, then the words."""
    facts = ("model", "options", "stop", "thinking", "schema", "grammar", "tool_choice")
    lines = [f"{name}: {json.dumps(asked[name], ensure_ascii=False)}" for name in facts if name in asked]
    lines += [f"tool {name}: {digest}" for name, digest in asked.get("tools", {}).items()]
    lines += [f"{message.get('role')}: {_content(message)}" for message in asked.get("messages", ())]
    return "\n".join(lines + ([asked["prompt"]] if "prompt" in asked else []))


def _content(message: Mapping[str, JSON]) -> str:
    rest = {name: value for name, value in message.items() if name not in ("role", "content")}
    return f"{message.get('content', '')}{' ' + json.dumps(rest) if rest else ''}"


def _lines(text: str) -> list[str]:
    """The lines of a text, long ones broken."""
    return [
        line[start : start + _WIDTH] for line in text.split("\n") for start in range(0, max(len(line), 1), _WIDTH)
    ]
