"""The tables of `docs/yaml.md`, from the schema: `python -m gemmagraph.tools.declared.reference docs/yaml.md`.

The page keeps its own words and examples. A table stands between two comments that name a definition of the schema,
and links to the headings above the others.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from gemmagraph.tools.declared import units
from gemmagraph.tools.declared.bodies import PYTHON
from gemmagraph.tools.declared.bots import HOST, INVITER
from gemmagraph.tools.declared.checks import CHECKS, MADE
from gemmagraph.tools.declared.format import assistant_schema
from gemmagraph.tools.declared.forms import DURATION, RATE, SIZE, Form
from gemmagraph.tools.declared.tools import NEED
from gemmagraph.tools.declared.vocabulary import CHANNEL, NAME, PEOPLE, PIN, TOOL_NAME, URL, USER, VALUES, WRITTEN

ROOT: Final = "assistant"
"""The file itself."""

DEFAULTS: Final[Mapping[str, Mapping[str, str]]] = {
    "assistant": {"version": "1"},
    "model": {"context": "8192, or less where the model has less", "max_tokens": "2048, or half of the context"},
    "http_connection": {"allow_hosts": "[]", "redirects": "0", "max_bytes": "1MiB"},
    "sql_connection": {
        "read_only": "true",
        "max_rows": "100",
        "max_bytes": "1MiB",
        "timeout": "30s",
        "connections": "4",
    },
    "defaults": {"timeout": "60s", "retries": "0"},
    "tool": {
        "timeout": "60s",
        "retries": "0",
        "sequential": "false",
        "pinned": "false",
        "return_direct": "false",
    },
    "parameters": {"type": "object", "additionalProperties": "false"},
    "result": {"keep": "head", "max_chars": "8000", "on_overflow": "truncate"},
    "example": {"live": "true"},
    "approval": {"approvers": "whoever asked", "four_eyes": "false", "expires": "15m"},
    "http": {
        "method": "GET, or POST where something is sent",
        "expect": "[2xx]",
        "allow_hosts": "[]",
        "redirects": "0",
        "max_bytes": "1MiB",
    },
    "shell": {"cwd": "the current folder", "ok_exit_codes": "[0]"},
    "sandbox": {"network": "false", "write": "[]"},
    "override": {
        "timeout": "60s",
        "retries": "0",
        "sequential": "false",
        "pinned": "false",
        "return_direct": "false",
    },
    "mcp_server": {"cwd": "the current folder"},
    "mcp_import": {"include": '["*"]'},
    "rule": {"approvers": "the tool's own", "four_eyes": "the tool's own", "expires": "the tool's own"},
    "limits": {"steps": "12", "calls": "40", "wall_time": "10m", "tools": "32", "parallel": "16"},
    "same_call": {"warn_at": "2", "stop_at": "4"},
    "room": {"toolset": "all tools", "listen": "threads"},
    "bot_matrix": {"device": "gemmagraph", "invites": "[]"},
    "bot_irc": {"port": "6697", "tls": "true", "pace": "1"},
}
"""What holds where a key is left out. Others have no default: then nothing is said."""

_KINDS: Final[Mapping[str, tuple[Form, str]]] = {
    "duration": (DURATION, units.DURATION.partition(": ")[2]),
    "size": (SIZE, units.SIZE.partition(": ")[2]),
    "rate": (RATE, units.RATE.partition(": ")[2]),
    "tool name": (TOOL_NAME, TOOL_NAME.right),
    "name": (NAME, NAME.right),
    "user": (USER, USER.right.partition(": ")[2]),
    "people": (PEOPLE, PEOPLE.right),
    "channel": (CHANNEL, CHANNEL.right.partition(": ")[2]),
    "URL": (URL, URL.right),
    "function": (PYTHON, PYTHON.right),
    "digest": (PIN, PIN.right),
    "need": (NEED, NEED.right),
    "host": (HOST, HOST.right.partition(": ")[2]),
    "inviter": (INVITER, INVITER.right.partition(": ")[2]),
    "text or number": (WRITTEN, f"{WRITTEN.right}, taken as it is written"),
    "values": (VALUES, "a mapping of names to texts, numbers, true, false, null, or lists of these"),
}
"""Kinds of values that have a name in the tables, each with what it looks like."""
_NAMES: Final = {json.dumps(form.schema({})): name for name, (form, _) in _KINDS.items()}
_WORDS: Final = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "`true` or `false`",
    "null": "`null`",
    "object": "mapping",
    "array": "list",
}
_MARKED: Final = re.compile(r"(<!-- (keys|kinds|checks)(?: (\w+))? -->\n).*?(<!-- end -->)", re.DOTALL)


def written(page: str) -> str:
    """The page with its tables as the schema has them now.

    Raises:
        KeyError: a comment names a definition that the schema does not have.
    """
    tables = Tables(page)
    return _MARKED.sub(lambda found: f"{found[1]}\n{tables.of(found[2], found[3])}\n{found[4]}", page)


class Tables:
    """The tables of one page.

    Args:
        page: where they stand; its headings are what they link to.
    """

    def __init__(self, page: str) -> None:
        schema = assistant_schema()
        self.definitions: dict[str, Any] = {ROOT: schema, **schema.pop("$defs")}
        self._links: dict[str, str] = {}
        heading = ""
        for line in page.splitlines():
            if line.startswith("#"):
                heading = re.sub(r"[^\w -]", "", line.lstrip("# ").lower()).replace(" ", "-")
            elif found := re.fullmatch(r"<!-- keys (\w+) -->", line):
                self._links[found[1]] = heading

    def of(self, what: str, name: str | None) -> str:
        """One table: the keys of a definition, the kinds of values, or the checks."""
        rows: Mapping[str, Callable[[], Iterator[str]]] = {
            "keys": lambda: self._keys(name or ROOT),
            "kinds": _kinds,
            "checks": _checks,
        }
        return "\n".join(rows[what]()) + "\n"

    def _keys(self, name: str) -> Iterator[str]:
        form = self.definitions[name]
        required = form.get("required", ())
        defaults = DEFAULTS.get(name, {})
        yield "| key | type | default | what it says |"
        yield "| --- | --- | --- | --- |"
        for key, schema in form["properties"].items():
            default = "**required**" if key in required else _code(defaults.get(key, ""))
            yield f"| `{key}` | {_cell(self.type_of(schema))} | {default} | {_cell(schema['description'])} |"
        if rules := [*_rules(form)]:
            yield ""
            yield " ".join(rules)

    def type_of(self, schema: Mapping[str, Any]) -> str:
        """What a value may be, in words."""
        said = {key: value for key, value in schema.items() if key != "description"}
        if known := _NAMES.get(json.dumps(said)):
            return known
        if "$ref" in said:
            name = said["$ref"].rpartition("/")[2]
            return f"[{name}](#{self._links.get(name, name)})"
        if "if" in said:
            return f"{self.type_of(said['then'])} or {self.type_of(said['else'])}"
        if "anyOf" in said:
            either = list(dict.fromkeys(self.type_of(each) for each in said["anyOf"]))
            return (", or " if " or " in "".join(either) else " or ").join(either)
        if "enum" in said:
            return ", ".join(f"`{value}`" for value in said["enum"])
        if "pattern" in said:
            return f"text like `{said['pattern'].strip('^$')}`"
        return self._plain_type(said)

    def _plain_type(self, said: Mapping[str, Any]) -> str:
        kind = said.get("type")
        if kind == "array" and "items" in said:
            return f"list of {self.type_of(said['items'])}"
        inner = said.get("additionalProperties")
        if kind == "object" and isinstance(inner, Mapping):
            return f"mapping of names to {self.type_of(inner) if inner else 'anything'}"
        if isinstance(kind, list):
            return ", ".join(_WORDS[each] for each in kind)
        least, most = said.get("minimum"), said.get("maximum")
        if least is not None and least == most:
            return f"`{least}`"
        bounds = f"{least} to {most}" if most is not None else f"at least {least}" if least is not None else ""
        return _WORDS.get(str(kind), "anything") + (f", {bounds}" if bounds else "")


def _rules(form: Mapping[str, Any]) -> Iterator[str]:
    """What the keys of a mapping say about each other."""
    if one := [each["required"][0] for each in form.get("oneOf", ())]:
        yield f"Exactly one of {_listed(one)} must be there."
    if some := [each["required"][0] for each in form.get("anyOf", ())]:
        yield f"At least one of {_listed(some)} must be there."
    if form.get("minProperties"):
        yield "At least one key must be there."
    needing: dict[str, list[str]] = {}
    for key, needed in form.get("dependentRequired", {}).items():
        needing.setdefault(_listed(needed), []).append(key)
    for others, keys in needing.items():
        yield f"{_listed(keys)} need{'s' if len(keys) == 1 else ''} {others}."
    for key, barred in form.get("dependentSchemas", {}).items():
        beside = [each["required"][0] for each in barred["not"]["anyOf"]]
        yield f"`{key}` cannot stand beside {_listed(beside)}."
    if form["additionalProperties"] is not False:
        yield "Other keys are taken too."


def _kinds() -> Iterator[str]:
    yield "| type | what it looks like |"
    yield "| --- | --- |"
    for name, (_, right) in _KINDS.items():
        yield f"| {name} | {_cell(right)} |"


def _checks() -> Iterator[str]:
    for check in CHECKS:
        yield f"- {check.says}"
    yield from (f"- {says}" for says in MADE)


def _listed(keys: list[str]) -> str:
    *first, last = [f"`{key}`" for key in keys]
    return f"{', '.join(first)} and {last}" if first else last


def _code(default: str) -> str:
    """A value as code, words as they are."""
    return default if not default or " " in default else f"`{default}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    for name in sys.argv[1:]:
        page = Path(name)
        page.write_text(written(page.read_text("utf-8")), "utf-8")
