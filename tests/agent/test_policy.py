"""Rules 5 and 6: a table of cases, and a thousand made-up policies against a second reading of the rules' text."""

import json
import random
import sys
from pathlib import Path

import pytest

from gemmagraph.assistant import load_assistant
from gemmagraph.errors import AgentError
from gemmagraph.policy import Policy, Rule
from gemmagraph.tools import ToolContext, run_sync, tool_from_schema
from gemmagraph.tools.bodies.base import Rendered
from gemmagraph.tools.declaring import http_tool, shell_tool, sql_tool
from gemmagraph.tools.guards.databases import SqlConnection
from gemmagraph.tools.tool import Tool

sys.path.append(str(Path(__file__).parent))

from slow_policy import Decision, decide

CASES = [
    json.loads(line)
    for line in (Path(__file__).parent.parent / "data/policy/cases.jsonl").read_text(encoding="utf-8").splitlines()
]
BODIES = ("http_read", "http_write", "sql_read", "sql_write", "python", "shell", "mcp")


class Foreign:
    """A body of somebody else's tool, as an import makes one."""

    kind = "mcp"
    reads = False

    def unavailable(self):
        return None

    def render(self, scope):
        return Rendered("mcp", "a call", {}, None)

    async def perform(self, rendered, context):
        return "done"

    async def close(self):
        pass


def made(said) -> Tool:
    """A tool from its description in a case."""
    name, body, keys = said["name"], said["body"], ("A tool.", {})
    facts = {"read_only": said.get("readOnlyHint"), "destructive": said.get("destructiveHint")}
    facts["approval"] = said.get("approval")
    if body.startswith("http"):
        method = "GET" if body == "http_read" else "POST"
        return http_tool(name, *keys, url="http://127.0.0.1:9/", method=method, **facts)
    if body.startswith("sql"):
        connection = SqlConnection(dsn="sqlite:///none.db", read_only=body == "sql_read")
        return sql_tool(name, *keys, connection=connection, statement="SELECT 1", **facts)
    if body == "shell":
        return shell_tool(name, *keys, argv=["true"], **facts)
    made = tool_from_schema(name, *keys, lambda: None, **facts)
    return made if body == "python" else Tool(**{**_fields(made), "body": Foreign()})


def _fields(made):
    names = ("spec", "function", "plan", "read_only", "destructive", "approval")
    return {name: getattr(made, name) for name in names}


def decided(policy, tool, arguments, user, channel) -> Decision:
    """What the product decides, in the words of the slow reading."""
    ruling = policy(tool, arguments, ToolContext(user=user, channel=channel))
    by = int(ruling.place) if ruling.place else "tool" if tool.approval is not None else "table"
    if ruling.verdict != "ask":
        return Decision(ruling.verdict, by)
    return Decision("ask", by, ruling.approvers, ruling.four_eyes, ruling.expires)


def numbered(rules):
    return [{**rule, "place": str(index)} for index, rule in enumerate(rules)]


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_a_call_is_decided_as_the_rules_say(case) -> None:
    said = case.get("tool", {"name": "act", "body": "python"})
    rules, groups, arguments = case.get("rules", []), case.get("groups", {}), case.get("args", {})
    user, channel = case.get("user", "local:ann"), case.get("channel", "slack:T1/C1")
    policy = Policy(numbered(rules), groups)
    found = decided(policy, made(said), arguments, user, channel)
    assert f"{found.verdict} by {found.by}" == case["expect"]
    if asked := case.get("asked"):
        people = None if asked["approvers"] is None else tuple(asked["approvers"])
        assert (found.approvers, found.four_eyes, found.expires) == (people, asked["four_eyes"], asked["expires"])
    assert decide(said, rules, groups, arguments, user, channel) == found
    explained = policy.explain(made(said), arguments, ToolContext(user=user, channel=channel))
    assert (explained.verdict, explained.place) == (found.verdict, str(found.by) if rules_decide(found) else None)


def rules_decide(found) -> bool:
    return isinstance(found.by, int)


def test_there_are_enough_cases_and_each_is_told_apart() -> None:
    assert len(CASES) >= 200
    assert len({case["id"] for case in CASES}) == len(CASES)


# --- a thousand policies ----------------------------------------------------------------------------------

NAMES = ("act", "act_now", "look", "git_log", "git_diff")
GLOBS = (*NAMES, "*", "act*", "git_*", "*o*", "l??k", "[ag]*", "nothing")
SCALARS = (*(1, 1.0, 0, True, False, None, 2.5), *("1", "", "a", "prod"))
VALUES = (*SCALARS, *("prod-1", "PROD", "x*", "a\nb"), [], ["a"], {}, {"a": 1})
WANTED = (*SCALARS, *("prod*", "*", "?", "[a-p]*", "[!a]*", "x[*]", "a?b"))
USERS = (None, "local:ann", "local:bob", "slack:T1/U1", "group:ops", "ops", "")
CHANNELS = (None, "slack:T1/C1", "slack:T1/C2", "local:tty", "")
PEOPLE = ("local:ann", "local:bob", "slack:T1/U1", "group:ops", "group:devs", "group:empty")
VERDICTS = ("allow", "ask", "deny")


def some(dice, what, least=1):
    return dice.sample(what, dice.randint(least, min(3, len(what))))


def any_asking(dice) -> dict:
    asking = {}
    if dice.random() < 0.3:
        asking["approvers"] = some(dice, PEOPLE)
    if dice.random() < 0.3:
        asking["four_eyes"] = dice.random() < 0.5
    if dice.random() < 0.3:
        asking["expires"] = dice.choice((1, 30, 900, 3600))
    return asking


def any_rule(dice) -> dict:
    rule = {"tool": dice.choice(GLOBS), "then": dice.choice(VERDICTS)}
    if dice.random() < 0.5:
        rule["args"] = {name: dice.choice(WANTED) for name in some(dice, "xyz")}
    if dice.random() < 0.4:
        rule["users"] = some(dice, PEOPLE)
    if dice.random() < 0.3:
        rule["channels"] = some(dice, [channel for channel in CHANNELS if channel])
    return rule | (any_asking(dice) if rule["then"] == "ask" else {})


def any_tool(dice, name) -> dict:
    tool = {"name": name, "body": dice.choice(BODIES)}
    mark = dice.choice((None, "readOnlyHint", "destructiveHint"))
    if mark:
        tool[mark] = dice.random() < 0.8
    if dice.random() < 0.3:
        mode = dice.choice(VERDICTS)
        full = {"mode": mode} | (any_asking(dice) if mode == "ask" else {})
        tool["approval"] = dice.choice((mode, full))
    return tool


def any_groups(dice) -> dict:
    people = [user for user in USERS if user and ":" in user and not user.startswith("group:")]
    return {"ops": some(dice, people, 0), "devs": some(dice, people, 0), "empty": []}


@pytest.mark.parametrize("seed", range(10))
def test_a_thousand_policies_decide_as_a_second_reading_of_the_rules(seed) -> None:
    dice = random.Random(f"policy {seed}")
    differences = []
    verdicts = set()
    for number in range(100):
        said = [any_tool(dice, name) for name in NAMES]
        rules, groups = [any_rule(dice) for _ in range(dice.randint(0, 8))], any_groups(dice)
        policy = Policy(numbered(rules), groups)
        for tool in said:
            real = made(tool)
            for _ in range(6):
                arguments = {name: dice.choice(VALUES) for name in some(dice, "xyz", 0)}
                user, channel = dice.choice(USERS), dice.choice(CHANNELS)
                wanted = decide(tool, rules, groups, arguments, user, channel)
                found = decided(policy, real, arguments, user, channel)
                verdicts.add((found.verdict, type(found.by)))
                assert found.verdict in policy.verdicts(real, ToolContext(user, channel=channel))
                if found != wanted:
                    differences.append((number, tool, rules, groups, arguments, user, channel, wanted, found))
    assert differences == []
    assert len(verdicts) == 6  # each verdict, by rules and without


def test_rules_of_files_decide_as_a_second_reading_of_the_rules(tmp_path) -> None:
    dice = random.Random("files")
    path = tmp_path / "assistant.yaml"
    for _ in range(60):
        rules = [any_rule(dice) for _ in range(dice.randint(1, 8))]
        groups = any_groups(dice)
        for rule in rules:  # a rule for a tool that is not there is an error of the file
            rule["tool"] = "*" if rule["tool"] == "nothing" else rule["tool"]
        tools = [any_tool(dice, name) | {"body": "shell"} for name in NAMES]
        path.write_text(written(tools, rules, groups), encoding="utf-8")
        made = {tool.name: tool for tool in run_sync(load_assistant(path).open())}
        for tool in tools:
            for _ in range(4):
                arguments = {name: dice.choice(VALUES) for name in some(dice, "xyz", 0)}
                user, channel = dice.choice(USERS), dice.choice(CHANNELS)
                ruling = made[tool["name"]].ruling(arguments, ToolContext(user=user, channel=channel))
                wanted = decide(tool, rules, groups, arguments, user, channel)
                assert ruling.verdict == wanted.verdict, (tool, rules, groups, arguments, user, channel)
                if isinstance(wanted.by, int):
                    line = path.read_text(encoding="utf-8").splitlines().index("policy:") + 2 + wanted.by
                    assert str(ruling.place).endswith(f"assistant.yaml:{line}")
                if wanted.verdict == "ask":
                    asked = (ruling.approvers, ruling.four_eyes, ruling.expires)
                    assert asked == (wanted.approvers, wanted.four_eyes, wanted.expires)


def written(tools, rules, groups) -> str:
    """The file, each rule in a line of its own."""
    lines = ["tools:"]
    for tool in tools:
        notes = {key: tool[key] for key in ("readOnlyHint", "destructiveHint") if key in tool}
        own = {"approval": tool["approval"]} if "approval" in tool else {}
        entry = {"name": tool["name"], "description": "A tool.", "shell": ["true"], "annotations": notes, **own}
        lines.append(f"  - {json.dumps(entry if notes else {k: v for k, v in entry.items() if k != 'annotations'})}")
    lines += [f"groups: {json.dumps(groups)}", "policy:"]
    return "\n".join([*lines, *(f"  - {json.dumps(rule)}" for rule in rules)]) + "\n"


# --- what cannot be evaluated -----------------------------------------------------------------------------

REFUSED = {
    "no verdict": {"tool": "act"},
    "an unknown verdict": {"tool": "act", "then": "maybe"},
    "an unknown key": {"tool": "act", "then": "deny", "user": ["local:ann"]},
    "a list to compare with": {"tool": "act", "then": "deny", "args": {"x": ["a", "b"]}},
    "an object to compare with": {"tool": "act", "then": "deny", "args": {"x": {"a": 1}}},
    "arguments in a list": {"tool": "act", "then": "deny", "args": ["x"]},
    "no name of a tool": {"tool": None, "then": "deny"},
    "tools in a list": {"tool": ["act"], "then": "deny"},
    "users in a text": {"tool": "act", "then": "deny", "users": "local:ann"},
    "channels in a text": {"tool": "act", "then": "deny", "channels": "slack:T1/C1"},
    "approvers in a text": {"tool": "act", "then": "ask", "approvers": "local:ann"},
    "a glob for users": {"tool": "act", "then": "deny", "users": ["local:*"]},
    "a glob for channels": {"tool": "act", "then": "deny", "channels": ["slack:*"]},
    "an unknown group": {"tool": "act", "then": "deny", "users": ["group:ops"]},
    "an unknown group of approvers": {"tool": "act", "then": "ask", "approvers": ["group:ops"]},
    "no time to answer": {"tool": "act", "then": "ask", "expires": 0},
    "a time that is none": {"tool": "act", "then": "ask", "expires": "soon"},
}


@pytest.mark.parametrize("rule", REFUSED.values(), ids=REFUSED)
def test_a_rule_that_no_call_could_be_held_against_is_refused(rule) -> None:
    with pytest.raises(AgentError):
        Policy([rule])


def test_a_duration_may_be_written_as_in_a_file() -> None:
    (rule,) = Policy([{"tool": "act", "then": "ask", "expires": "15m"}]).rules
    assert rule.expires == 900


@pytest.mark.parametrize("user", [["local:ann"], {"id": 1}, 7], ids=str)
def test_a_rule_that_crashes_denies(user) -> None:
    policy = Policy([{"tool": "act", "then": "allow", "users": ["group:ops"]}], {"ops": ["local:ann"]})
    ruling = policy(made({"name": "act", "body": "python"}), {}, ToolContext(user=user))
    assert ruling.verdict == "deny"
    assert "cannot be evaluated" in ruling.reason


def test_a_rule_keeps_what_it_was_made_of() -> None:
    wanted = {"x": "a*"}
    rule = Rule("deny", "act", wanted)
    policy = Policy([rule])
    wanted["x"] = "b"
    wanted["y"] = "c"
    act = made({"name": "act", "body": "python"})
    assert policy(act, {"x": "ab", "y": "d"}, ToolContext()).verdict == "deny"


def test_of_two_policies_the_stricter_decides() -> None:
    act = made({"name": "act", "body": "python"})
    for first in VERDICTS:
        for second in VERDICTS:
            (once,) = Policy([Rule(first)]).guarded([act])
            (twice,) = Policy([Rule(second)]).guarded([once])
            strictest = max(first, second, key=VERDICTS.index)
            assert twice.ruling({}, ToolContext()).verdict == strictest
    same = Policy([Rule("ask")])
    (once,) = same.guarded([act])
    assert same.guarded([once])[0].gate is once.gate


def test_a_policy_without_rules_leaves_another_in_force() -> None:
    (guarded,) = Policy([Rule("deny")]).guarded([made({"name": "act", "body": "python"})])
    assert Policy().guarded([guarded])[0].ruling({}, ToolContext()).verdict == "deny"


def test_each_rule_passed_over_is_told_with_the_reason() -> None:
    rules = [
        {"tool": "other", "then": "deny"},
        {"tool": "act", "then": "allow", "users": ["local:bob"]},
        {"tool": "act", "then": "allow", "channels": ["slack:T1/C1"]},
        {"tool": "act", "then": "allow", "args": {"x": "a"}},
        {"tool": "act", "then": "allow", "args": {"y": "a"}},
        {"tool": "act", "then": "ask"},
    ]
    act = made({"name": "act", "body": "python"})
    ruling = Policy(numbered(rules)).explain(act, {"y": "b"}, ToolContext(user="local:ann"))
    assert (ruling.verdict, ruling.place) == ("ask", "5")
    assert [(passed.place, passed.why) for passed in ruling.passed] == [
        ("0", "it is for 'other'"),
        ("1", "local:ann is not among local:bob"),
        ("2", "no channel is known; the rule is for slack:T1/C1"),
        ("3", "x is not given, which an allow rule never fits"),
        ("4", "y is 'b', not 'a'"),
    ]


def test_why_the_deciding_rule_fits_is_told() -> None:
    act = made({"name": "act", "body": "python"})
    ruling = Policy([{"tool": "act", "then": "deny", "args": {"y": "a"}}]).explain(act, {}, ToolContext())
    assert ruling.fits == "it is for 'act', y is not given, which a rule that says 'deny' always fits"


@pytest.mark.parametrize(
    ("named", "channel", "verdict"),
    [
        ("irc:#Ops", "irc:#ops", "deny"),
        ("irc:#ops", "irc:#OPS", "deny"),
        ("irc:#ops", "irc:#dev", "allow"),
        ("slack:T1/C1", "slack:T1/c1", "allow"),
        ("matrix:!Ab:x", "matrix:!ab:x", "allow"),
    ],
)
def test_channels_of_irc_have_no_case(named: str, channel: str, verdict: str) -> None:
    act = made({"name": "act", "body": "python"})
    policy = Policy([{"tool": "act", "then": "deny", "channels": [named]}, {"tool": "act", "then": "allow"}])
    assert policy(act, {}, ToolContext(channel=channel)).verdict == verdict
