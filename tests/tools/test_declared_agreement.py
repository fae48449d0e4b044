"""The loader and the JSON Schema say the same of generated files: what an editor takes is loaded, and the reverse."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from gemmagraph.tools.declared.format import ASSISTANT, TOOLS, assistant_schema, tools_schema
from gemmagraph.tools.declared.forms import Flaws
from gemmagraph.tools.declared.loading import load_document
from gemmagraph.tools.declared.nodes import plain
from gemmagraph.tools.declared.source import read_source

DATA = Path(__file__).parent.parent / "data" / "declared"
FORMS = {"assistant": ASSISTANT, "tools": TOOLS}
SCHEMAS = {"assistant": Draft202012Validator(assistant_schema()), "tools": Draft202012Validator(tools_schema())}
WAYS = ("replace", "remove", "add", "rename", "borrow")
VALID = 200
FAULTY = 200

ODD: list[Any] = [
    *(None, True, 0, -1, 1.5, 3.0, 10**6, "", "x", "two words", "10s", "0s", "20k", "30/min", "ask", "group:a"),
    *([], ["x"], [1], [None], {}, {"x": 1}, {"name": "x"}, {"env": "A", "file": "b"}),
]


def flaws_of(text: str, kind: str) -> Flaws:
    source = read_source(text)
    assert source.root is not None
    assert not source.flaws
    flaws = Flaws()
    FORMS[kind].read(source.root, flaws)
    return flaws


def agree(value: Any, kind: str) -> bool:
    """Whether both take it; that they agree is asserted."""
    text = json.dumps(value, ensure_ascii=False)
    root = read_source(text).root
    assert root is not None
    assert plain(root) == value
    flaws = flaws_of(text, kind)
    errors = [f"{list(error.absolute_path)}: {error.message}" for error in SCHEMAS[kind].iter_errors(value)]
    said = "\n".join([text, "loader:", *(flaw.message for flaw in flaws), "schema:", *errors])
    assert bool(flaws) == bool(errors), said
    return not flaws


class Maker:
    """Makes valid files up, each key in about half of the places where it may stand."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance

    def some(self, **keys: Callable[[], Any]) -> dict[str, Any]:
        return {key: make() for key, make in keys.items() if self.chance.random() < 0.5}

    def one(self, *values: Any) -> Any:
        return copy.deepcopy(self.chance.choice(values))

    def number(self) -> int:
        return self.chance.randint(1, 9)

    def duration(self) -> Any:
        return self.one("10s", "2m", "1h", "500ms", "1d", "1.5h", 3, 0.5)

    def size(self) -> Any:
        return self.one(2000, "20k", "1MiB", "4KiB", "1.5M", "100B")

    def flag(self) -> bool:
        return self.chance.random() < 0.5

    def asking(self) -> dict[str, Any]:
        people = self.one(["group:g"], ["slack:T1/U1", "local:ann"])
        return self.some(approvers=lambda: people, four_eyes=self.flag, expires=self.duration)

    def auth(self) -> dict[str, Any]:
        return self.one(
            {"bearer": "{{ secrets.s }}"},
            {"basic": {"user": "u", "password": "{{ secrets.s }}"}},
            {"header": {"name": "X-Key", "value": "{{ secrets.s }}"}},
            {"query": {"name": "key", "value": "{{ secrets.s }}"}},
        )

    def reach(self) -> dict[str, Any]:
        return self.some(
            auth=self.auth,
            allow_hosts=lambda: ["a.example"],
            redirects=lambda: self.number() - 1,
            max_bytes=self.size,
        )

    def database(self) -> dict[str, Any]:
        return self.some(
            read_only=self.flag,
            max_rows=self.number,
            max_bytes=self.size,
            timeout=self.duration,
            connections=self.number,
        )

    def result(self) -> dict[str, Any]:
        written = {"template": lambda: "{{ result.x }}"} if self.flag() else {}
        return self.some(
            select=lambda: "items[0]",
            **(written or {"format": lambda: self.one("table", "json", "text")}),
            keep=lambda: self.one("head", "tail"),
            max_chars=self.size,
            on_overflow=lambda: self.one("truncate", "spill", "error"),
        )

    def around(self) -> dict[str, Any]:
        marks = self.some(
            title=lambda: "T", idempotentHint=self.flag, openWorldHint=self.flag, destructiveHint=lambda: False
        )
        return {
            "annotations": {**marks, "readOnlyHint": True},
            **self.some(
                approval=lambda: self.one("allow", "ask", "deny", {"mode": "ask", **self.asking()}),
                result=self.result,
                errors=lambda: self.some(
                    **{"422": lambda: "a", "5xx": lambda: "b", "exit_3": lambda: "c", "timeout": lambda: "d"}
                ),
                cache=self.duration,
                timeout=self.duration,
                retries=lambda: self.one(0, 2),
                concurrency=self.number,
                sequential=self.flag,
                pinned=self.flag,
                return_direct=self.flag,
            ),
        }

    def http(self) -> dict[str, Any]:
        where = self.one(
            {"connection": "c", "path": "/x/{{ args.a }}"},
            {"connection": "c", "url": "https://b.example/x"},
            {"base_url": "http://grafana:3000", "path": "/api", **self.reach()},
            {"url": "https://a.example/x", **self.reach()},
        )
        body = self.one({}, {"json": [1, {"a": "{{ args.a }}"}]}, {"form": {"a": 1, "b": ["x", None]}}, {"body": "x"})
        more = self.some(
            method=lambda: self.one("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"),
            query=lambda: {"q": "{{ args.a }}", "n": 5, "all": True},
            headers=lambda: {"Accept": "text/plain", "X-Number": 5},
            expect=lambda: self.one([201], ["2xx", 304]),
        )
        return {**where, **body, **more}

    def shell(self) -> Any:
        flag = {"if": "{{ args.b }}", "then": self.one("-a", 5)}
        argv = ["ls", "-l", 5, *self.one([], [flag]), "{{ args.a }}"]
        more = self.some(
            stdin=lambda: "",
            env=lambda: {"PORT": 80, "A": "b"},
            cwd=lambda: "/tmp",
            sandbox=lambda: self.some(network=self.flag, write=lambda: ["/tmp"]),
            ok_exit_codes=lambda: [0, 1],
        )
        return {"argv": argv, **more} if self.flag() else argv

    def tool(self, number: int) -> dict[str, Any]:
        parameters = {"required": ["a"], "properties": {"a": {"type": "string"}, "b": True}}
        parameters |= self.some(type=lambda: "object", additionalProperties=self.flag)
        bodies: dict[str, Any] = {
            "python": "./ops.py:f",
            "http": self.http(),
            "shell": self.shell(),
            "sql": {"connection": "d", "statement": "SELECT :a"},
        }
        body = self.one(*bodies)
        example = {"user": "hi", "args": {"a": "x"}, **self.some(live=self.flag)}
        more = self.some(
            bind=lambda: {"who": "{{ context.user }}", "where": "{{ settings.v }}"},
            examples=lambda: [example],
            needs=lambda: self.one([], ["program:git", "env:TOKEN"], ["package:pandas"]),
        )
        named = {"name": f"tool_{number}", "description": "Does it."}
        return {**named, body: bodies[body], "parameters": parameters, **more, **self.around()}

    def imported(self) -> dict[str, Any]:
        override = {"name": "other", "description": "Other.", **self.around()}
        both = self.some(overrides=lambda: {"getX": override}, pin=lambda: "sha256:" + "0a" * 32)
        server = self.one(
            {"command": "uvx", **self.some(args=lambda: ["x", 1], env=lambda: {"A": "b"}, cwd=lambda: "/")},
            {"url": "https://mcp.example/", **self.some(headers=lambda: {"A": "b"}, type=lambda: "http")},
        )
        return self.one(
            {"openapi": "./x.yaml", "include": [{"operationId": "getX"}, {"tag": "t", "method": "GET"}], **both},
            {
                "openapi": "./x.yaml",
                "include": [{"path": "/x"}],
                "base_url": "https://a.example",
                "auth": self.auth(),
            },
            {"mcp": server, "include": ["git_*"], **both},
            {"mcp": server},
        )

    def tools_file(self) -> dict[str, Any]:
        return {
            **self.some(version=lambda: 1, include=list),
            "secrets": {"s": {"env": "S"}, "f": {"file": "/run/f"}},
            "settings": {"v": {"default": self.one("eu", 5), **self.some(env=lambda: "V")}, "w": {"env": "W"}},
            "connections": {
                "c": {"http": {"base_url": "https://c.example/v1", **self.reach()}},
                "d": {"sql": {"dsn": "{{ secrets.s }}", **self.database()}},
            },
            **self.some(defaults=lambda: self.some(timeout=self.duration, retries=self.number, result=self.result)),
            "tools": [self.tool(number) for number in range(self.number())],
            **self.some(imports=lambda: [self.imported()]),
        }

    def assistant(self) -> dict[str, Any]:
        toolsets = {"base": {"tools": ["tool_*"]}, "more": {"extends": "base", "instructions": "Look."}}
        rule = {
            "tool": self.one("*", "tool_0"),
            **self.some(
                args=lambda: {"a": self.one("prod*", 1, True, None)},
                users=lambda: ["group:g", "matrix:@ann:example.org"],
                channels=lambda: ["slack:T1/C1"],
            ),
        }
        model = {"name": "ollama:gemma3:4b"} | self.some(
            base_url=lambda: "https://m.example/v1",
            api_key=lambda: "{{ secrets.s }}",
            temperature=lambda: self.one(0, 0.2),
            context=self.size,
            thinking=self.flag,
            fallback=lambda: ["builtin"],
            max_tokens=self.size,
            notation=lambda: "json",
            top_p=lambda: 0.9,
            top_k=self.number,
            min_p=lambda: 0.1,
            seed=self.number,
            repeat_penalty=self.number,
            presence_penalty=self.number,
            frequency_penalty=self.number,
        )
        limits = self.some(
            steps=self.number,
            calls=self.number,
            tools=self.number,
            parallel=self.number,
            wall_time=self.duration,
            tokens=self.size,
            same_call=lambda: {"warn_at": 2, "stop_at": 4},
            per_user=lambda: self.some(runs=lambda: "30/min", calls=lambda: "9/h", tokens=lambda: "200k/day"),
        )
        return (
            self.tools_file()
            | self.some(
                model=lambda: self.one("builtin", model),
                instructions=lambda: "Be brief.",
                store=lambda: "sqlite:///agent.db",
                limits=lambda: limits,
            )
            | {
                "groups": {"g": ["slack:T1/U1"]},
                "toolsets": toolsets,
                "policy": [{**rule, "then": "allow"}, {**rule, "then": "ask", **self.asking()}],
                "bots": self.bots(),
            }
        )

    def bots(self) -> dict[str, Any]:
        secret, address = "{{ secrets.s }}", "http://127.0.0.1:8065"
        room = self.some(
            toolset=lambda: "base",
            users=lambda: ["group:g", "irc:ann"],
            listen=lambda: self.one("threads", "mentions"),
        )
        common = {"channels": {"C1": "base", "direct": None, "*": room}} | self.some(
            users=lambda: ["group:g"], links=lambda: ["wiki.example.org", "*.example.com"]
        )
        elsewhere = self.some(base_url=lambda: address)
        matrix = self.one({"token": secret}, {"user": "@bot:example.org", "password": secret, "device": "d"})
        account = self.one({}, {"password": secret}, {"account": "gemma", "password": secret})
        services: dict[str, dict[str, Any]] = {
            "slack": {"token": secret, "app_token": secret, **elsewhere},
            "matrix": {
                "homeserver": address,
                **matrix,
                **self.some(invites=lambda: ["@ann:example.org", "*:example.org"], keys_folder=lambda: "./keys"),
            },
            "discord": {"token": secret, **self.some(guild=lambda: self.one("184405311681986560", 5)), **elsewhere},
            "telegram": {"token": secret, **elsewhere},
            "irc": {
                "server": "irc.example.org",
                "nick": "gemma",
                **account,
                **self.some(port=lambda: 6667, tls=self.flag, pace=lambda: self.one(0, 0.5)),
            },
            "mattermost": {"url": address, "token": secret},
            "company": {"adapter": "company.chat:Adapter", "of_its_own": [1, {"a": None}]},
        }
        terminal = self.one({}, common)
        ids = {"matrix": "!a:b", "discord": "1", "telegram": "-1", "irc": "#ops", "mattermost": 26 * "a"}
        found = {name: {**keys, **common} for name, keys in services.items()}
        for name, channel in ids.items():
            found[name]["channels"] = {channel: "base", "direct": None, "*": room}
        return found | {"terminal": terminal}


def valid_files(count: int, seed: int) -> Iterator[tuple[Any, str]]:
    maker = Maker(random.Random(seed))
    for number in range(count):
        kind = "tools" if number % 4 == 0 else "assistant"
        yield (maker.tools_file() if kind == "tools" else maker.assistant()), kind


def examples() -> list[tuple[Any, str]]:
    roots = [read_source((DATA / name).read_bytes()).root for name in ("short.yaml", "complete.yaml")]
    return [(plain(root), "assistant") for root in roots if root is not None]


def containers(value: Any) -> list[Any]:
    """Every mapping and list in it that is not empty."""
    inside = list(value.values() if isinstance(value, dict) else value) if isinstance(value, dict | list) else []
    return ([value] if inside else []) + [found for child in inside for found in containers(child)]


def keys(value: Any) -> set[str]:
    return {key for found in containers(value) if isinstance(found, dict) for key in found}


def break_one(value: Any, chance: random.Random) -> str:
    """Changes one thing, for the worse or not."""
    place = chance.choice(containers(value))
    key = chance.choice(list(place) if isinstance(place, dict) else range(len(place)))
    ways = ["replace", *WAYS] if isinstance(place, dict) else ["replace", "replace", "remove"]
    way = chance.choice(ways)
    if way == "replace":
        place[key] = copy.deepcopy(chance.choice(ODD))
    elif way == "remove":
        del place[key]
    elif way == "add":
        place["surprise"] = copy.deepcopy(chance.choice(ODD))
    elif way == "rename":
        place[f"{key}s"] = place.pop(key)
    else:
        other = chance.choice([found for found in containers(value) if isinstance(found, dict)])
        borrowed = chance.choice(list(other))
        place[borrowed] = copy.deepcopy(other[borrowed])
    return way


def test_valid_files_are_taken_by_both_and_load(tmp_path: Path) -> None:
    for number, (value, kind) in enumerate(valid_files(VALID, seed=1)):
        assert agree(value, kind)
        file = tmp_path / f"{number}.yaml"
        file.write_text(json.dumps(value), "utf-8")
        assert load_document(file).values["tools"]


def test_valid_files_have_every_key_of_the_format() -> None:
    schema = assistant_schema()
    known = {key for form in (schema, *schema["$defs"].values()) for key in form["properties"]}
    assert known <= set().union(*(keys(value) for value, _ in valid_files(VALID, seed=1)))


@pytest.mark.parametrize("part", range(4))
def test_files_with_one_thing_broken_are_refused_by_both_or_by_neither(part: int) -> None:
    chance = random.Random(part)
    starts = [*examples(), *valid_files(6, seed=part + 10)]
    refused: dict[str, int] = {}
    while sum(refused.values()) < FAULTY / 4 or len(refused) < len(WAYS):
        value, kind = copy.deepcopy(chance.choice(starts))
        way = break_one(value, chance)
        if not agree(value, kind):
            refused[way] = refused.get(way, 0) + 1
    assert set(refused) == set(WAYS)


@pytest.mark.parametrize("kind", SCHEMAS)
def test_schemas_are_schemas_and_describe_every_key(kind: str) -> None:
    schema = assistant_schema() if kind == "assistant" else tools_schema()
    Draft202012Validator.check_schema(schema)
    bare = [
        f"{path}.{key}"
        for path, place in [("", schema), *schema["$defs"].items()]
        for key, written in place.get("properties", {}).items()
        if not written.get("description", "").strip().endswith((".", "`"))
    ]
    assert not bare
    used = {name for name in schema["$defs"] if f'"#/$defs/{name}"' in json.dumps(schema)}
    assert used == set(schema["$defs"])
