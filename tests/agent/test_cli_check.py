"""`gemmagraph check`: which rule decides, and why the others do not."""

import json
import os
import sys
from pathlib import Path
from pkgutil import resolve_name
from pwd import getpwuid

import pytest
from click.testing import CliRunner, Result

from gemmagraph.bots.declared import ADAPTERS, PLATFORMS
from gemmagraph.cli import main

FILE = """\
tools:
  - name: deploy
    description: Deploys.
    parameters:
      required: [place]
      properties:
        place: {type: string}
        times: {type: integer, default: 1}
        tags: {type: array, items: {type: string}}
    shell: ["true", "{{ args.place }}"]
    approval: {mode: ask, approvers: ["local:boss"], expires: 5m}
  - name: look
    python: ./kit.py:look
  - name: lost
    python: ./nowhere.py:lost
groups:
  ops: [local:ann, "slack:T1/U1"]
policy:
  - {tool: deploy, args: {place: "prod*"}, users: ["group:ops"], then: allow}
  - {tool: deploy, args: {times: 3}, then: ask, four_eyes: true}
  - {tool: "*", channels: ["slack:T1/C1"], then: deny}
"""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "assistant.yaml").write_text(FILE)
    (tmp_path / "kit.py").write_text('def look() -> str:\n    """Looks."""\n    return "seen"\nprint("loading")\n')
    monkeypatch.chdir(tmp_path)


def check(*args: str) -> Result:
    return CliRunner().invoke(main, ["check", *args])


def test_the_deciding_rule_and_those_passed_over_are_named_by_line() -> None:
    done = check("deploy", "place=prod-1", "--as", "local:ann")
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        'deploy(place="prod-1", times=1)',
        "  by local:ann (in ops), in no channel",
        "allow: the rule for 'deploy' says 'allow' (assistant.yaml:19)",
        "  the rule fits: it is for 'deploy', local:ann is among group:ops, place is 'prod-1', as 'prod*' says",
        "passed over:",
        "  assistant.yaml:21: no channel is known; the rule is for slack:T1/C1",
    ]


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (["place=prod", "--as", "local:bob"], 3, "ask: deploy is set to 'ask' (assistant.yaml:2)"),
        (["place=prod", "--as", "local:bob"], 3, "  decided by local:boss, within 5 min"),
        (["place=prod", "--as", "local:bob"], 3, "  assistant.yaml:19: local:bob is not among group:ops"),
        (["place=prod", "--as", ""], 3, "  by nobody known, in no channel"),
        (["place=x", "times=3"], 3, "ask: the rule for 'deploy' says 'ask' (assistant.yaml:20)"),
        (["place=x", "times=3"], 3, "  decided by local:boss, somebody else than who asked, within 5 min"),
        (["place=x", "times=2"], 3, "  assistant.yaml:20: times is 2, not 3"),
        (["place=x", 'tags:=["a"]'], 3, 'deploy(place="x", tags=["a"], times=1)'),
        (
            ["place=prod", "--as", "slack:T1/U1", "--in", "slack:T1/C1"],
            4,
            "deny: the rule for '*' says 'deny' (assistant.yaml:21)",
        ),
    ],
)
def test_verdicts_have_their_codes_and_reasons(args: list[str], code: int, says: str) -> None:
    done = check("deploy", *args)
    assert done.exit_code == code, done.output
    assert says in done.stdout.splitlines()


def test_without_as_it_is_whoever_sits_here() -> None:
    done = check("look", "--json")
    assert done.exit_code == 0
    told = json.loads(done.stdout)  # what kit.py prints is not in it
    assert told["user"] == f"local:{getpwuid(os.getuid()).pw_name}"
    assert (told["verdict"], told["groups"], told["channel"], told["place"]) == ("allow", [], None, None)
    assert [rule["place"] for rule in told["passed"]] == [f"assistant.yaml:{line}" for line in (21, 19, 20)]


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (["deploi"], 1, "Error: There is no tool 'deploi'. Did you mean 'deploy'?"),
        (["a.yaml"], 1, "Error: There is no tool 'a.yaml'. To check that file: gemmagraph check -f a.yaml"),
        (["lost"], 1, "Error: lost is unavailable: There is no file './nowhere.py'."),
        (["deploy"], 1, 'Error: deploy: "place" is missing'),
        (["deploy", "place=x", "times=often"], 1, 'Error: deploy: "times" was "often"'),
        (["deploy", "place"], 2, "'place' is not key=value."),
        (["deploy", "place:={"], 2, "What stands behind place:= is no JSON"),
        (["deploy", "place=x", "--as", "ann"], 2, "'ann' names no service."),
        (["deploy", "-f", "other.yaml"], 1, "other.yaml:1:1: cannot read 'other.yaml': No such file or directory"),
    ],
)
def test_what_cannot_be_checked_is_said(args: list[str], code: int, says: str) -> None:
    done = check(*args)
    assert done.exit_code == code
    assert says in done.stderr


def test_it_needs_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    done = check("deploy")
    assert done.exit_code == 2
    assert "There is no assistant.yaml here. Name a file with -f, or begin: gemmagraph init" in done.stderr


BOTS = """\
secrets:
  slack: {env: A_TOKEN_THAT_IS_NOT_THERE}
tools:
  - {name: deploy, description: Deploys., shell: ["true"]}
  - {name: look, description: Looks., shell: ["true"], annotations: {readOnlyHint: true}}
groups:
  ops: ["slack:T1/U1"]
  boss: ["slack:T1/U2", "matrix:@ann:example.org"]
toolsets:
  see: {tools: [look]}
  act: {extends: see, tools: [deploy]}
policy:
  - {tool: deploy, channels: ["slack:T1/C2"], then: deny}
bots:
  slack:
    token: "{{ secrets.slack }}"
    app_token: "{{ secrets.slack }}"
    channels:
      C1: act
      C2: {toolset: act, users: ["group:ops", "slack:T1/U9"], listen: mentions}
      C3: see
      direct:
  matrix:
    homeserver: https://matrix.example.org
    token: t
    users: ["group:boss"]
    channels: {"*": act}
  irc: {server: irc.example.org, nick: gemma, channels: {"#Ops": see}}
  terminal: {}
"""


@pytest.fixture
def bots(tmp_path: Path) -> None:
    (tmp_path / "assistant.yaml").write_text(BOTS)


@pytest.mark.usefixtures("bots")
def test_without_a_tool_it_tells_what_bots_do_in_their_channels() -> None:
    done = check()
    assert done.exit_code == 0, done.output
    assert (
        done.stdout
        == """\
slack: cannot be started here: The secret 'slack' has no value: the variable A_TOKEN_THAT_IS_NOT_THERE is not set.
  CHANNEL  TOOLS  ANSWERS                 HEARS
  C1       act    everybody               mentions, and its threads
  C2       act    group:ops, slack:T1/U9  mentions
  C3       see    everybody               mentions, and its threads
  direct   all    group:ops, group:boss   everything
  In all other channels it is silent.
matrix
  CHANNEL  TOOLS  ANSWERS     HEARS
  *        act    group:boss  mentions, and its threads
  direct   act    group:boss  everything
irc
  CHANNEL  TOOLS  ANSWERS    HEARS
  #ops     see    everybody  mentions, and its threads
  In all other channels it is silent.
terminal
  CHANNEL  TOOLS  ANSWERS                HEARS
  *        all    everybody              mentions, and its threads
  direct   all    group:ops, group:boss  everything
"""
    )


@pytest.mark.usefixtures("bots")
def test_programs_are_told_the_same() -> None:
    slack, matrix, _, terminal = json.loads(check("--json").stdout)
    assert (slack["name"], slack["channels"][1]["answers"]) == ("slack", "group:ops, slack:T1/U9")
    assert "A_TOKEN_THAT_IS_NOT_THERE" in slack["lacks"]
    assert (matrix["lacks"], matrix["channels"][0]["toolset"]) == ("", "act")
    assert [(row["channel"], row["toolset"]) for row in terminal["channels"]] == [("*", None), ("direct", None)]


@pytest.mark.usefixtures("bots")
@pytest.mark.parametrize(
    ("tool", "user", "channel", "code", "says"),
    [
        ("deploy", "slack:T1/U5", "slack:T1/C1", 3, "it answers with the toolset act, and hears mentions, and"),
        ("deploy", "slack:T1/U1", "slack:T1/C2", 4, "it answers with the toolset act, and hears mentions"),
        ("look", "slack:T1/U1", "slack:T1/C2", 0, "it answers with the toolset act, and hears mentions"),
        ("look", "slack:T1/U5", "slack:T1/C2", 4, "it does not answer slack:T1/U5: “you are not among those I"),
        ("look", "", "slack:T1/C2", 4, "it does not answer them: “I do not know for certain who you are”"),
        ("look", "", "slack:T1/C3", 0, "it answers with the toolset see"),
        ("deploy", "slack:T1/U1", "slack:T1/C3", 4, "it has the toolset see there, and deploy is not among them"),
        ("look", "slack:T1/U1", "slack:T1/C9", 4, "the channel is not among its channels, so it is silent there"),
        ("look", "slack:T1/U1", "slack:direct", 0, "it answers with all tools, and hears everything"),
        ("look", "slack:T1/U9", "slack:direct", 4, "it does not answer slack:T1/U9"),
        ("look", "local:ann", "slack:T1/C1", 4, "local:ann is nobody there: people there are slack:…"),
        ("look", "irc:ann", "irc:#OPS", 0, "it answers with the toolset see"),
        ("look", "local:ann", "local:#ops", 0, "it answers with all tools"),
        ("look", "slack:T1/U9", "local:direct", 4, "it does not answer slack:T1/U9"),
        ("look", "matrix:@ann:example.org", "matrix:!a/b:example.org", 0, "it answers with the toolset act"),
    ],
)
def test_in_a_channel_of_a_bot_it_tells_what_the_bot_does_there(
    tool: str, user: str, channel: str, code: int, says: str
) -> None:
    done = check(tool, "--as", user, "--in", channel)
    assert done.exit_code == code, done.output
    said = done.stdout.splitlines()[2]
    told = json.loads(check(tool, "--as", user, "--in", channel, "--json").stdout)
    assert said.startswith(f"the bot {told['bot']['name']}: {says}")
    assert said.endswith(told["bot"]["why"])
    alone = check("--as", user, "--in", channel)
    assert (alone.exit_code == 4) == (told["bot"]["does"] in ("silent", "refuses"))


@pytest.mark.usefixtures("bots")
def test_channels_of_no_bot_are_left_to_the_policy() -> None:
    done = check("look", "--as", "web:ann", "--in", "web:lobby", "--json")
    assert (done.exit_code, json.loads(done.stdout)["bot"]) == (0, None)
    alone = check("--in", "web:lobby")
    assert alone.exit_code == 1
    assert "There is no bot for 'web:lobby'. Bots that there are: slack, matrix, irc, terminal." in alone.stderr


def test_a_file_without_bots_says_so() -> None:
    assert check().stdout == "The file has no bots.\n"


def test_a_bot_without_channels_is_said_to_be_silent(tmp_path: Path) -> None:
    (tmp_path / "assistant.yaml").write_text("bots: {irc: {server: a, nick: b, channels: {}}}\n")
    assert check().stdout == "irc\n  It is silent everywhere.\n"


def test_an_adapter_that_is_not_there_is_named_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "assistant.yaml").write_text("bots:\n  chat: {adapter: 'nowhere.chat:Adapter', channels: {}}\n")
    done = check("--in", "chat:lobby")
    assert done.exit_code == 1
    assert "assistant.yaml:2:9: the adapter nowhere.chat:Adapter cannot be loaded: There is no module" in done.stderr


@pytest.mark.parametrize("name", ADAPTERS)
def test_ids_of_people_begin_as_their_service_says(name: str) -> None:
    assert resolve_name(ADAPTERS[name]).platform == PLATFORMS.get(name, name)


OWN = """
print("loading")
TIMES = 3


class Chat:
    platform = "chat"

    def __init__(self, keys):
        self.token = keys["token"]


class Other(Chat):
    platform = "other"
"""


def of_own(folder: Path, adapter: str, *keys: str) -> Result:
    """What is told of a file with one's own adapter."""
    (folder / "chats.py").write_text(OWN)
    said = ", ".join([f"adapter: '{adapter}'", "channels: {lobby: }", *keys])
    (folder / "assistant.yaml").write_text(
        f"bots:\n  irc: {{server: a, nick: b, channels: {{}}}}\n  chat: {{{said}}}\n"
    )
    return check()


def test_a_bot_that_can_be_started_says_no_more(tmp_path: Path) -> None:
    done = of_own(tmp_path, "./chats.py:Chat", "token: t")
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[2:4] == ["chat", "  CHANNEL  TOOLS  ANSWERS    HEARS"]


@pytest.mark.parametrize(
    ("adapter", "why"),
    [
        ("./chats.py:Chat", "the adapter cannot be made: KeyError: 'token'."),
        (
            "./chats.py:Chart",
            "the adapter ./chats.py:Chart cannot be loaded: ./chats.py has no 'Chart'.",
        ),
        ("./chat.py:Chat", "the adapter ./chat.py:Chat cannot be loaded: There is no file './chat.py'."),
        (
            "./chats.py:Other",
            "the bot is called 'chat', and the `platform` of its adapter ./chats.py:Other is",
        ),
        ("./chats.py:TIMES", "the bot is called 'chat', and the `platform` of its adapter ./chats.py:TIMES is None."),
    ],
)
def test_a_bot_that_can_be_started_nowhere_is_an_error(tmp_path: Path, adapter: str, why: str) -> None:
    done = of_own(tmp_path, adapter)
    assert done.exit_code == 1
    lines = done.stdout.splitlines()
    assert lines[0] == "irc"  # all others are told
    assert lines[2].startswith(f"chat: cannot be started: assistant.yaml:3:9: {why}")
    assert lines[4].split() == ["lobby", "all", "everybody", "mentions,", "and", "its", "threads"]
    irc, chat = json.loads(check("--json").stdout)
    assert (irc["wrong"], chat["lacks"], chat["wrong"]) == (
        "",
        "",
        lines[2].removeprefix("chat: cannot be started: "),
    )
    assert check("--in", "irc:#ops").exit_code == 4  # of which nothing is wrong
    alone = check("--in", "chat:lobby")
    assert (alone.exit_code, alone.stderr.splitlines()[-1]) == (1, f"Error: {chat['wrong']}")


def test_an_adapters_error_shows_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY_OF_THIS_TEST", "key-of-this-test")
    (tmp_path / "own.py").write_text(
        "class Chat:\n    platform = 'chat'\n    def __init__(self, keys):\n        raise ValueError(keys['token'])\n"
    )
    bot = "{adapter: './own.py:Chat', token: '{{ secrets.key }}', channels: {}}"
    (tmp_path / "assistant.yaml").write_text(f"secrets: {{key: {{env: KEY_OF_THIS_TEST}}}}\nbots: {{chat: {bot}}}\n")
    for done in (check(), check("--in", "chat:lobby")):
        assert done.exit_code == 1
        assert "the adapter cannot be made: ValueError: [secret key]." in done.output
        assert "key-of-this-test" not in done.output


@pytest.mark.parametrize(
    ("bot", "why"),
    [
        ("irc: {server: 'a b', nick: c, channels: {}}", "irc: 'server' cannot be 'a b'."),
        ("slack: {token: a, app_token: xapp-b, channels: {}}", "'token' of `slack:` does not begin with xoxb-."),
        ("telegram: {token: t, channels: {}}", ""),
        ("discord: {token: t, guild: here, channels: {}}", "'here' is no id of a Discord server. It is a number"),
        ("matrix: {homeserver: 'https://m.example', token: t, user: bot, channels: {}}", "The key `user` of Matrix"),
    ],
)
def test_a_key_that_the_service_cannot_take_is_an_error(tmp_path: Path, bot: str, why: str) -> None:
    (tmp_path / "assistant.yaml").write_text(f"bots:\n  {bot}\n")
    done = check()
    assert done.exit_code == 1
    name = bot.partition(":")[0]
    assert done.stdout.startswith(f"{name}: cannot be started: assistant.yaml:2:{len(name) + 5}: {why}")


def test_a_library_that_is_missing_here_is_told_and_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "discord", None)
    (tmp_path / "assistant.yaml").write_text("bots: {discord: {token: t, channels: {}}}\n")
    done = check()
    assert done.exit_code == 0
    assert done.stdout.startswith("discord: cannot be started here: Discord needs its library: pip install")


@pytest.mark.parametrize(
    ("bot", "keys", "channel", "example"),
    [
        ("slack", "token: x, app_token: y", "general", "C0123"),
        ("slack", "token: x, app_token: y", "#ops", "C0123"),
        ("matrix", "homeserver: 'https://m.example', token: t", "#ops:m.example", "!AbCdEf:example.org"),
        ("discord", "token: t", "ops", "1029384756102938475"),
        ("telegram", "token: t", "@ops", "-1001234567890"),
        ("irc", "server: a, nick: b", "ops", "#ops"),
        ("mattermost", "url: 'https://m.example', token: t", "town-square", "9yk3ws1mqbnqx8fmk1cuxf5sdh"),
    ],
)
def test_a_name_in_the_place_of_a_channels_id_is_an_error(
    tmp_path: Path, bot: str, keys: str, channel: str, example: str
) -> None:
    (tmp_path / "assistant.yaml").write_text(f"bots: {{{bot}: {{{keys}, channels: {{'{channel}': }}}}}}\n")
    done = check()
    assert done.exit_code == 1
    said = f"'{channel}' must be the id of a channel, such as {example}, or direct or *\n"
    assert done.stderr.endswith(f"bots.{bot}.channels.{channel}: {said}")
