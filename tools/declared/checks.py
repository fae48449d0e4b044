"""What no JSON Schema can say of a file: names that must be known, keys that must fit each other.

`CHECKS` is the whole list. Each looks at the merged values, in which parts that did not fit their form are missing.
What would be wrong only because of such a part is not found: it may be right once that is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Final

from gemmagraph.tools.declared import checks_people as people
from gemmagraph.tools.declared import checks_tools as tools
from gemmagraph.tools.declared.checks_values import Finding
from gemmagraph.tools.declared.document import Document
from gemmagraph.tools.declared.problems import MOST_SHOWN, Problem


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    says: str
    """What must hold."""
    look: Callable[[Document], Iterable[Finding]]


def check(document: Document) -> list[Finding]:
    """What the checks find, as much as can be shown."""
    return [*islice((finding for one in CHECKS for finding in one.look(document)), MOST_SHOWN)]


def check_tool_names(document: Document, names: Collection[str]) -> list[Problem]:
    """Names and globs that mean none of `names`: all tools, those of imports too."""
    return [document.problem(*finding) for finding in islice(people.unmatched(document, set(names)), MOST_SHOWN)]


MADE: Final = (
    "A path begins with a slash, and has no query and no step `..`.",
    "A `base_url` has no query, no fragment and no user.",
    "A GET or HEAD request sends nothing.",
    "A program is a name on the PATH or a path, without placeholders.",
    "Folders (`cwd`, and `write` of a sandbox) are paths without placeholders; those of a sandbox whole ones.",
    "A `select` is JMESPath; a template names the result, and a text under `errors` arguments or the response.",
    "A `max_chars` with a unit is from 200 to 2,000,000 too.",
)
"""What is found where the bodies and results of tools are made."""

CHECKS: Final = (
    Check("tool-twice", "No two tools have the same name.", tools.tool_twice),
    Check("clash", "Files that belong together say the same under the same name.", tools.clash),
    Check("connection", "A tool's connection is there, and of its kind.", tools.connection),
    Check("secret", "A secret that is used is there.", tools.secret),
    Check("setting", "A setting that is used is there.", tools.setting),
    Check(
        "placeholder", "Placeholders outside of tool bodies are paths, of what can be named there.", tools.placeholder
    ),
    Check("argument", "Placeholders of tool bodies name declared arguments and bound values.", tools.argument),
    Check("flag", "An `if` among the arguments of a program names a boolean.", tools.flag),
    Check("bind", "A bound name is no parameter's name.", tools.bind),
    Check("keyword", "Words of JSON Schema are not misspelt.", tools.keyword),
    Check("required", "Required arguments are declared.", tools.required),
    Check("example", "Examples have the declared arguments, and all required ones.", tools.example),
    Check("marks", "No tool is both read-only and destructive.", tools.marks),
    Check("cache", "Only read-only tools have a cache.", tools.cache),
    Check("retries", "Only read-only and idempotent tools have retries.", tools.retries),
    Check("asking", "Approvers, four eyes and expiry stand where somebody is asked.", people.asking),
    Check("group", "Groups that are named are there.", people.group),
    Check("toolset", "Toolsets that are named are there.", people.toolset),
    Check("channel", "Beside bots, channels of rules are called as their services call them.", people.channel),
    Check("irc-channel", "No two channels of IRC differ in capitals only.", people.irc_channel),
    Check("toolset-circle", "No toolset extends itself.", people.toolset_circle),
    Check("tool-name", "Names and globs of tools mean some tool.", people.tool_name),
    Check("same-call", "A run ends later than it warns.", people.same_call),
    Check("pin", "An OpenAPI document from a URL is pinned.", tools.pin),
)
