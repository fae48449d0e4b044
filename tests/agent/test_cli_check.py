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


@pytest.mark.usefixtures("bots")
@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (
            'channels: ["slack:T1/C9"]',
            "assistant.yaml:13: no bot comes to slack:T1/C9: it is not among the channels of",
        ),
        ('channels: ["irc:#dev"]', "no bot comes to irc:#dev: it is not among the channels of irc."),
        ('channels: ["irc:#OPS"]', ""),
        ('channels: ["slack:T1/D9"]', ""),  # a direct message
        ('channels: ["matrix:!any:example.org"]', ""),
        ('channels: ["local:#any"]', ""),
        ('channels: ["telegram:-100"]', "no bot comes to telegram:-100: the file has no bot for telegram."),
        (
            'channels: ["web:lobby"]',
            "no bot comes to web:lobby: the file has no bot for web, and that is none of ours.",
        ),
        ('users: ["slack:U024"]', "slack:U024 is nobody: people there are such as slack:T1/U024."),
        ('users: ["slack:T1/U024", "irc:ann"]', ""),
    ],
)
def test_rules_that_can_never_fit_are_told(tmp_path: Path, rule: str, said: str) -> None:
    file = tmp_path / "assistant.yaml"
    file.write_text(file.read_text().replace('channels: ["slack:T1/C2"]', rule))
    done = check()
    assert done.exit_code == 0
    assert done.stderr.count("Warning: ") == bool(said)
    assert said in done.stderr


@pytest.mark.usefixtures("bots")
@pytest.mark.parametrize("tool", [[], ["look"]])
def test_a_channel_that_cannot_be_is_no_channel_of_a_bot(tool: list[str]) -> None:
    done = check(*tool, "--in", "slack:C1")
    assert (done.exit_code, done.stdout) == (1, "")
    said = "There can be no channel 'slack:C1'. Channels of slack are such as slack:T1/C0123."
    assert done.stderr == f"Error: {said}\n"


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
from gemmagraph.bots.base import Traits

print("loading")
TIMES = 3


class Chat:
    platform = "chat"
    traits = Traits(most=100)

    def __init__(self, keys):
        self.token = keys["token"]

    async def listen(self, receiver): ...
    async def send(self, place, blocks, key, choices=()): ...
    async def edit(self, place, message, blocks, choices=()): ...
    async def find(self, place, key): ...
    async def fetch(self, file, most): ...
    def length(self, blocks): ...

class Half:
    platform = "chat"
    find = send = Chat.send


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
        ("./chats.py:Half", "the adapter ./chats.py:Half has no listen, edit, fetch, length."),
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
        "class Chat:\n    platform = 'chat'\n    listen = send = edit = find = fetch = length = print\n"
        "    def __init__(self, keys):\n        raise ValueError(keys['token'])\n"
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
        (
            "irc: {server: 'a.example:6697', nick: c, channels: {}}",
            "irc: 'server' cannot be 'a.example:6697'. It is the host alone, such as irc.example.org; its port stands"
            " under `port`.",
        ),
        ("irc: {server: a, nick: '#c', channels: {}}", "irc: 'nick' cannot be '#c'. It is one word of at most 64"),
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
    said = 'discord: cannot be started here: Discord needs more packages. Run: pip install "gemmagraph[discord]"\n'
    assert done.stdout.startswith(said)


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
