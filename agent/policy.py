"""May this call run, for whom: allow, ask or deny, with the reason. What cannot be evaluated denies.

Rules are evaluated again each time a call is about to run; nothing of a decision is kept here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import translate
from functools import cached_property
from typing import Any, Final

from gemmagraph.errors import AgentError
from gemmagraph.prompts.messages import JSON
from gemmagraph.tools import Tool, ToolContext
from gemmagraph.tools.declared.units import seconds
from gemmagraph.tools.ruling import EXPIRES, Consent, PassedOver, Ruling, Verdict
from gemmagraph.tools.tool import Gate

_GROUP: Final = "group:"
_STRICTNESS: Final = {"allow": 0, "ask": 1, "deny": 2}


@dataclass(frozen=True)
class Rule:
    """One rule of a policy."""

    then: Verdict
    tool: str = "*"
    """A glob on the tool's name."""
    args: Mapping[str, JSON] = field(default_factory=dict)
    """Globs on arguments that are texts; any other scalar must be equal."""
    users: tuple[str, ...] | None = None
    """User ids and `group:NAME`; None: whoever it is."""
    channels: tuple[str, ...] | None = None
    approvers: tuple[str, ...] | None = None
    four_eyes: bool | None = None
    expires: float | None = None
    """Seconds until the question is answered with no."""
    place: str = ""
    """File and line."""

    def __post_init__(self) -> None:
        # What no call could ever fit would make a deny rule that lets everything pass.
        if self.then not in _STRICTNESS:
            raise AgentError(f"{self.name}: then={self.then!r} is none of 'allow', 'ask' and 'deny'.")
        if not isinstance(self.tool, str) or not isinstance(self.args, Mapping):
            raise AgentError(f"{self.name}: tool= is a text, args= a mapping.")
        object.__setattr__(self, "args", dict(self.args))  # whoever made it may change theirs
        for name, wanted in self.args.items():
            if not isinstance(wanted, str | int | float | None):
                raise AgentError(
                    f"{self.name}: {name} is compared with {wanted!r}, which is no text, number, true, false or null."
                )
        for what in (self.users, self.channels, self.approvers):
            if isinstance(what, str):
                raise AgentError(f"{self.name}: {what!r} stands where a list is needed.", hint=f"Write [{what!r}].")
        if self.expires is not None and not self.expires > 0:
            raise AgentError(f"{self.name}: expires={self.expires!r}; it must be more than 0 seconds.")
        for entry in (*(self.users or ()), *(self.channels or ())):
            if "*" in entry:
                raise AgentError(
                    f"{self.name}: {entry!r} is compared as it stands, so it would fit nobody.",
                    hint="Name each id, or a group: of them; leave the key out for everybody.",
                )

    @property
    def name(self) -> str:
        """What it is called where its author reads."""
        return f"the rule at {self.place}" if self.place else self.title

    @property
    def title(self) -> str:
        """What it is called in a reason: the model may read that, and where policies stand is not for it."""
        return f"the rule for {self.tool!r}"

    @cached_property
    def _globs(self) -> dict[str, re.Pattern[str]]:
        return {name: re.compile(translate(value)) for name, value in self.args.items() if isinstance(value, str)}

    @cached_property
    def _tool(self) -> re.Pattern[str]:
        return re.compile(translate(self.tool))

    def names(self, tool: str) -> bool:
        """Whether it speaks of a tool of this name."""
        return self._tool.match(tool) is not None

    def misses(self, arguments: Mapping[str, JSON]) -> str | None:
        """Why its `args` do not fit, or None. What cannot be compared, an absent argument, a list or an object,
        never lets a call pass, and never lets one slip."""
        for name, wanted in self.args.items():
            if name not in arguments or isinstance(arguments[name], list | dict):
                if self.then == "allow":
                    found = "is not given" if name not in arguments else "is no single value"
                    return f"{name} {found}, which an allow rule never fits"
            elif not self._fits(name, wanted, arguments[name]):
                return f"{name} is {arguments[name]!r}, not {wanted!r}"
        return None

    def _fits(self, name: str, wanted: JSON, value: JSON) -> bool:
        if isinstance(value, str):
            return name in self._globs and self._globs[name].match(value) is not None
        same_kind = isinstance(value, bool) is isinstance(wanted, bool)
        return same_kind and not isinstance(wanted, str) and value == wanted


class Policy:
    """Rules and groups: a `Gate` for tools.

    Args:
        rules: in their order; `deny` rules come first wherever they stand, then the first that fits decides.
        groups: the user ids of each group.

    Raises:
        AgentError: a rule names a group that is not there, or is none.
    """

    def __init__(
        self, rules: Iterable[Rule | Mapping[str, Any]] = (), groups: Mapping[str, Iterable[str]] | None = None
    ) -> None:
        self.rules = tuple(as_rule(rule) for rule in rules)
        self.groups = {name: frozenset(ids) for name, ids in (groups or {}).items()}
        for rule in self.rules:
            for entry in (*(rule.users or ()), *(rule.approvers or ())):
                if entry.startswith(_GROUP) and entry.removeprefix(_GROUP) not in self.groups:
                    known = ", ".join(sorted(self.groups)) or "none"
                    raise AgentError(f"{rule.name} names {entry!r}.", hint=f"Groups that there are: {known}.")
        self._of_tool: dict[str, tuple[Rule, ...]] = {}

    def __call__(self, tool: Tool, arguments: Mapping[str, JSON], context: ToolContext) -> Ruling:
        """Whether a call with checked arguments may run."""
        return self._decide(tool, arguments, context, None)

    def explain(self, tool: Tool, arguments: Mapping[str, JSON], context: ToolContext) -> Ruling:
        """The same, with each rule that was passed over and why."""
        passed: list[PassedOver] = []
        ruling = self._decide(tool, tool.filled(arguments), context, passed)
        return replace(ruling, passed=tuple(passed))

    def verdicts(self, tool: Tool, context: ToolContext) -> set[Verdict]:
        """What it may say of a call, by the arguments that the call has."""
        found: set[Verdict] = set()
        for rule in self._about(tool.name):
            if self._elsewhere(rule, tool.name, context) is None:
                found.add(rule.then)
                if not rule.args:
                    return found
        return found | {tool.own_ruling().verdict}

    def guarded(self, tools: Iterable[Tool]) -> list[Tool]:
        """The tools with this policy in front of them. One that has another already keeps it: the stricter of the
        two decides."""
        return [replace(tool, gate=self._beside(tool.gate)) if self.rules else tool for tool in tools]

    def _beside(self, other: Gate | None) -> Gate:
        if other is None or other is self:
            return self

        def stricter(tool: Tool, arguments: Mapping[str, JSON], context: ToolContext) -> Ruling:
            rulings = (gate(tool, arguments, context) for gate in (other, self))
            return max(rulings, key=lambda ruling: _STRICTNESS[ruling.verdict])

        return stricter

    def _decide(
        self, tool: Tool, arguments: Mapping[str, JSON], context: ToolContext, passed: list[PassedOver] | None
    ) -> Ruling:
        for rule in self._ordered if passed is not None else self._about(tool.name):
            try:
                why = self._misses(rule, tool.name, arguments, context)
            except Exception as problem:  # noqa: BLE001 - a guard fails closed
                return Ruling("deny", f"{rule.title} cannot be evaluated: {problem}", place=rule.place or None)
            if why is None:
                fits = "" if passed is None else _fitting(rule, arguments, context)
                return replace(_ruling(rule, tool), fits=fits)
            if passed is not None:
                passed.append(PassedOver(rule.place or f"{rule.title}, {rule.then}", why))
        return tool.own_ruling()

    def _about(self, tool: str) -> tuple[Rule, ...]:
        """The rules that speak of a tool, `deny` first."""
        found = self._of_tool.get(tool)
        if found is None:
            about = [rule for rule in self._ordered if rule.names(tool)]
            found = self._of_tool[tool] = tuple(about)
        return found

    @cached_property
    def _ordered(self) -> tuple[Rule, ...]:
        return tuple(sorted(self.rules, key=lambda rule: rule.then != "deny"))

    def _misses(self, rule: Rule, tool: str, arguments: Mapping[str, JSON], context: ToolContext) -> str | None:
        """Why a rule does not decide, or None if it does."""
        return self._elsewhere(rule, tool, context) or rule.misses(arguments)

    def _elsewhere(self, rule: Rule, tool: str, context: ToolContext) -> str | None:
        """Why a rule does not speak of a tool, this person or this channel, or None if it does."""
        if not rule.names(tool):
            return f"it is for {rule.tool!r}"
        if rule.users is not None and not self.includes(rule.users, context.user):
            return _not_for(rule.users, context.user, "user")
        if rule.channels is not None and not _among(rule.channels, context.channel):
            return _not_for(rule.channels, context.channel, "channel")
        return None

    def includes(self, entries: Sequence[str], user: str | None) -> bool:
        """Whether a user is meant by ids and `group:NAME`s. An unknown user never is."""
        if not user or user.startswith(_GROUP):
            return False
        return any(
            user in self.groups.get(entry.removeprefix(_GROUP), frozenset())
            if entry.startswith(_GROUP)
            else user == entry
            for entry in entries
        )


def as_rule(rule: Rule | Mapping[str, Any]) -> Rule:
    """A rule from its keys, as YAML has them.

    Raises:
        AgentError: there is a key that rules do not have, or `then` is missing.
    """
    if isinstance(rule, Rule):
        return rule
    known = set(Rule.__dataclass_fields__)
    unknown = sorted(set(rule) - known)
    if unknown or "then" not in rule:
        wrong = f"has the unknown key {unknown[0]!r}" if unknown else "has no 'then'"
        raise AgentError(f"The rule {dict(rule)!r} {wrong}.", hint=f"Keys of a rule: {', '.join(sorted(known))}.")
    changes: dict[str, Any] = {key: tuple(value) for key, value in rule.items() if isinstance(value, list)}
    if isinstance(expires := rule.get("expires"), str):
        try:
            changes["expires"] = seconds(expires)
        except ValueError as problem:
            raise AgentError(f"The rule {dict(rule)!r}: expires: {problem}.") from problem
    return Rule(**{**rule, **changes})


def _among(channels: Sequence[str], channel: str | None) -> bool:
    """Whether a channel is named. Those of IRC have no case, and bots write them in small letters."""
    if channel is None or not channel.startswith("irc:"):
        return channel in channels
    return channel.lower() in map(str.lower, channels)


def _fitting(rule: Rule, arguments: Mapping[str, JSON], context: ToolContext) -> str:
    """Why a rule decides, in words."""
    said = [f"it is for {rule.tool!r}"]
    if rule.users is not None:
        said.append(f"{context.user} is among {', '.join(rule.users)}")
    if rule.channels is not None:
        said.append(f"{context.channel} is among {', '.join(rule.channels)}")
    for name, wanted in rule.args.items():
        if name not in arguments:
            said.append(f"{name} is not given, which a rule that says {rule.then!r} always fits")
        elif isinstance(arguments[name], list | dict):
            said.append(f"{name} is no single value, which a rule that says {rule.then!r} always fits")
        else:
            exactly = arguments[name] == wanted
            said.append(f"{name} is {arguments[name]!r}" + ("" if exactly else f", as {wanted!r} says"))
    return ", ".join(said)


def _not_for(wanted: Sequence[str], found: str | None, what: str) -> str:
    """Why a rule for some is not for this one."""
    meant = ", ".join(wanted) or "none"
    return f"{found} is not among {meant}" if found else f"no {what} is known; the rule is for {meant}"


def _ruling(rule: Rule, tool: Tool) -> Ruling:
    """What a rule that fits decides. What it leaves open is the tool's to say."""
    own = tool.approval if isinstance(tool.approval, Consent) else Consent(rule.then)
    four_eyes = own.four_eyes if rule.four_eyes is None else rule.four_eyes
    return Ruling(
        rule.then,
        f"{rule.title} says {rule.then!r}",
        approvers=own.approvers if rule.approvers is None else rule.approvers,
        four_eyes=bool(four_eyes),
        expires=rule.expires or own.expires or EXPIRES,
        place=rule.place or None,
    )
