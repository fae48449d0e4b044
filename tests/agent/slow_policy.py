"""A second reading of rules 5 to 7, slow and plain, made from their text alone.

It takes what a file says (mappings and lists) and shares no line with the product. Where the text is silent, the
comment says what was chosen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Said = Mapping[str, Any]


@dataclass(frozen=True)
class Decision:
    """What happens to a call, and by which rule: its index, `tool` for the tool's own approval, `table`."""

    verdict: str
    by: int | str
    approvers: tuple[str, ...] | None = None
    four_eyes: bool | None = None
    expires: float | None = None


def decide(
    tool: Said,
    rules: Sequence[Said],
    groups: Mapping[str, Sequence[str]],
    arguments: Said,
    user: str | None,
    channel: str | None,
) -> Decision:
    """Rule 6, sentence by sentence.

    `tool` is `{"name", "body", "readOnlyHint"?, "destructiveHint"?, "approval"?}`, where body is one of `http_read`,
    `http_write`, `sql_read`, `sql_write`, `python`, `shell`, `mcp`.
    """
    who = memberships(user, groups)
    for index, rule in enumerate(rules):  # "`deny` rules first, wherever they stand"
        if broken(rule):  # "A rule that cannot be evaluated denies": it is as good as a deny rule
            return Decision("deny", index)
        if rule["then"] == "deny" and matches(rule, tool["name"], arguments, who, channel):
            return Decision("deny", index)
    for index, rule in enumerate(rules):  # "then the first rule that matches"
        if matches(rule, tool["name"], arguments, who, channel):
            return asked(rule["then"], index, rule, tool)
    if "approval" in tool:  # "else the tool's own `approval`"
        said = tool["approval"]
        return asked(said if isinstance(said, str) else said["mode"], "tool", {}, tool)
    return asked(table(tool), "table", {}, tool)  # "else the table"


def memberships(user: str | None, groups: Mapping[str, Sequence[str]]) -> set[str]:
    """What a rule may call this user: "An unknown user, channel or group is a member of nothing". Nobody is called
    like a group or not at all (the text is silent): such a user is unknown."""
    names: set[str] = set()
    if user and not user.startswith("group:"):
        names.add(user)
        for group in groups:
            for member in groups[group]:
                if member == user:
                    names.add("group:" + group)
    return names


def broken(rule: Said) -> bool:
    if set(rule) - {"tool", "args", "users", "channels", "then", "approvers", "four_eyes", "expires"}:
        return True
    if rule.get("then") not in ("allow", "ask", "deny") or not isinstance(rule.get("tool"), str):
        return True
    if not isinstance(rule.get("args", {}), dict):
        return True
    for value in rule.get("args", {}).values():
        if isinstance(value, (list, dict)):
            return True
    return any(key in rule and not isinstance(rule[key], list) for key in ("users", "channels"))


def matches(rule: Said, name: str, arguments: Said, who: set[str], channel: str | None) -> bool:
    if not glob(rule["tool"], name):
        return False
    for key, wanted in rule.get("args", {}).items():
        if not fits(wanted, arguments, key, rule["then"]):
            return False
    if "users" in rule and not [one for one in rule["users"] if one in who]:
        return False
    return "channels" not in rule or (channel is not None and channel in rule["channels"])


def fits(wanted: Any, arguments: Said, key: str, then: str) -> bool:
    """ "An absent, list or object argument never satisfies an `allow` rule and always satisfies `ask` and `deny`"."""
    if key not in arguments or isinstance(arguments[key], (list, dict)):
        return then != "allow"
    given = arguments[key]
    if isinstance(wanted, str) and isinstance(given, str):
        return glob(wanted, given)
    return same(wanted, given)


def same(one: Any, other: Any) -> bool:
    """ "scalars by equality", as JSON has it: 1 is 1.0, neither is true nor "1", and null is only null."""
    if isinstance(one, bool) or isinstance(other, bool):
        return isinstance(one, bool) and isinstance(other, bool) and one == other
    if isinstance(one, (int, float)) and isinstance(other, (int, float)):
        return one == other
    return type(one) is type(other) and bool(one == other)


def glob(pattern: str, text: str) -> bool:
    """`*`, `?` and `[…]`, over the whole text, upper and lower case apart (the text of the rules is silent)."""
    if not pattern:
        return not text
    first = pattern[0]
    if first == "*":
        return any(glob(pattern[1:], text[at:]) for at in range(len(text) + 1))
    if not text:
        return False
    if first == "?":
        return glob(pattern[1:], text[1:])
    if first == "[":
        closed = pattern.find("]", 3 if pattern[1:2] == "!" else 2)
        if closed > 0:
            inside = pattern[1:closed]
            wanted = not inside.startswith("!")
            return listed(inside.lstrip("!") if wanted else inside[1:], text[0]) is wanted and glob(
                pattern[closed + 1 :], text[1:]
            )
    return first == text[0] and glob(pattern[1:], text[1:])


def listed(inside: str, letter: str) -> bool:
    at = 0
    while at < len(inside):
        if inside[at + 1 : at + 2] == "-" and at + 2 < len(inside):
            if inside[at] <= letter <= inside[at + 2]:
                return True
            at += 3
        else:
            if inside[at] == letter:
                return True
            at += 1
    return False


def asked(verdict: str, by: int | str, rule: Said, tool: Said) -> Decision:
    """Who is asked: "from the rule, else from the tool, else: the requester, 15 minutes"."""
    if verdict != "ask":
        return Decision(verdict, by)
    own = tool.get("approval")
    places: list[Said] = [rule, own if isinstance(own, dict) else {}, {"four_eyes": False, "expires": 900}]
    found: dict[str, Any] = {}
    for key in ("approvers", "four_eyes", "expires"):
        for place in places:
            if key not in found and place.get(key) is not None:
                found[key] = place[key]
    people = found.get("approvers")  # None: the requester
    return Decision(verdict, by, None if people is None else tuple(people), found["four_eyes"], found["expires"])


def table(tool: Said) -> str:
    """Rule 5. Marked both read-only and destructive: ask, the safer of two columns (the text is silent)."""
    column = "neither"
    if tool.get("readOnlyHint") is True:
        column = "readOnly"
    if tool.get("destructiveHint") is True:
        column = "destructive"
    rows = {
        "http_read": {"readOnly": "allow", "destructive": "ask", "neither": "allow"},
        "sql_read": {"readOnly": "allow", "destructive": "ask", "neither": "allow"},
        "python": {"readOnly": "allow", "destructive": "ask", "neither": "allow"},
        "http_write": {"readOnly": "allow", "destructive": "ask", "neither": "ask"},
        "sql_write": {"readOnly": "allow", "destructive": "ask", "neither": "ask"},
        "shell": {"readOnly": "allow", "destructive": "ask", "neither": "ask"},
        "mcp": {"readOnly": "allow", "destructive": "ask", "neither": "ask"},  # of *this file's* hints alone
    }
    return rows[tool["body"]][column]
