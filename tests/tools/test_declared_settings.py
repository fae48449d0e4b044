"""Values that differ from place to place: where they stand, what they cannot do there, and what if one is missing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gemmagraph.tools import Tool, ToolContext
from gemmagraph.tools.declared.loading import load_document
from gemmagraph.tools.declared.making import Entry, Maker
from gemmagraph.tools.declared.problems import FileErrors
from gemmagraph.tools.errors import ToolDefinitionError
from gemmagraph.tools.imports.importing import imports_of

HEAD = """
settings:
  region: {env: SETTING_REGION, default: eu}
  url: {env: SETTING_URL}
  count: {default: 5}
secrets: {key: {env: SETTING_KEY}}
connections:
  shop: {http: {base_url: "https://{{ settings.region }}.shop.example/v1"}}
  far: {http: {base_url: "{{ settings.url }}"}}
  db: {sql: {dsn: "sqlite:///{{ settings.region }}.db", read_only: false}}
tools:
"""
PLACES: dict[str, tuple[str, str]] = {
    "base_url": ("http: {connection: shop, path: /x}", "GET https://eu.shop.example/v1/x"),
    "path": ("http: {connection: shop, path: '/{{ settings.region }}/{{ args.n }}'}", "GET https://eu.shop.example/v1/eu/a"),
    "query": ("http: {connection: shop, path: /x, query: {r: '{{ settings.region }}'}}", "/v1/x?r=eu"),
    "headers": ("http: {connection: shop, path: /x, headers: {X-R: 'r={{ settings.region }}'}}", "X-R: r=eu"),
    "json": ("http: {connection: shop, path: /x, json: [{r: '{{ settings.count }}'}]}", '"r": "5"'),
    "argv": ("shell: [ls, '--region={{ settings.region }}', '{{ args.n }}']", "ls --region=eu a"),
    "bind": ("shell: [ls, '{{ bind.r }}']\n    bind: {r: '{{ settings.region }}'}", "ls eu"),
    "sql": ("sql: {connection: db, statement: SELECT :r}\n    bind: {r: '{{ settings.region }}'}", ':r = "eu"'),
}  # fmt: skip
ANN = ToolContext("local:ann")


@pytest.fixture
def entries(tmp_path: Path) -> Callable[..., list[Entry]]:
    """The tools of a file with these lines as the body of each."""

    def read(*bodies: str, head: str = HEAD) -> list[Entry]:
        parameters = "parameters: {properties: {n: {type: string}}}"
        tools = (
            f"  - name: t{n}\n    description: T.\n    {parameters}\n    {body}\n" for n, body in enumerate(bodies)
        )
        (tmp_path / "tools.yaml").write_text(head.lstrip() + ("".join(tools) or "  []"), "utf-8")
        maker = Maker(load_document(tmp_path / "tools.yaml"))
        found = maker.entries()
        maker.finish()
        return found

    return read


def made(entry: Entry) -> Tool:
    assert (entry.tool, entry.unavailable) != (None, None)
    return entry.make()


@pytest.mark.parametrize("place", PLACES)
def test_a_setting_stands_where_it_is_named_as_if_it_were_written_there(entries: Any, place: str) -> None:
    body, shown = PLACES[place]
    (entry,) = entries(body)
    assert shown in made(entry).render({"n": "a"}, ANN).shown


def test_the_environment_comes_before_the_default(entries: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SETTING_REGION", "us")
    assert "https://us.shop.example" in made(entries(PLACES["base_url"][0])[0]).render({}).shown
    monkeypatch.setenv("SETTING_REGION", "")
    assert "https://eu.shop.example" in made(entries(PLACES["base_url"][0])[0]).render({}).shown


def test_tools_and_imports_that_need_a_missing_one_are_unavailable_and_no_others(
    entries: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SETTING_URL", raising=False)
    bodies = (
        "http: {connection: far, path: /x}",
        "shell: [ls, '{{ settings.url }}']",
        "shell: [ls]\n    bind: {u: '{{ settings.url }}'}",
        "shell: [ls, '{{ settings.region }}']",
    )
    found = entries(*bodies)
    assert [entry.unavailable for entry in found] == ["the variable SETTING_URL is not set"] * 3 + [None]
    assert [entry.lacking for entry in found] == [True, True, True, False]
    with pytest.raises(ToolDefinitionError, match="the variable SETTING_URL is not set"):
        found[0].make()
    imports = (
        "imports: [{mcp: {url: '{{ settings.url }}/mcp'}}, "
        "{openapi: '{{ settings.region }}.json', include: [{tag: a}]}]"
    )
    (tmp_path / "tools.yaml").write_text(f"{HEAD.partition('tools:')[0].lstrip()}{imports}\n", "utf-8")
    maker = Maker(load_document(tmp_path / "tools.yaml"))
    far, near = imports_of(maker)
    maker.finish()
    assert (far.name, near.name) == ("{{ settings.url }}/mcp", "eu.json")
    with pytest.raises(ToolDefinitionError, match="the variable SETTING_URL is not set"):
        asyncio.run(far.open())
    monkeypatch.setenv("SETTING_URL", "https://far.example")
    assert [entry.unavailable for entry in entries(*bodies)] == [None] * 4


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("a b", "http.path: '/a b/x' cannot stand in an URL"),
        ("..", "has a step '.' or '..'"),
        ("x?y=1", "has a query in it"),
    ],
)
def test_a_value_is_held_to_what_its_place_takes(
    entries: Any, monkeypatch: pytest.MonkeyPatch, value: str, says: str
) -> None:
    monkeypatch.setenv("SETTING_REGION", value)
    head = HEAD.replace("https://{{ settings.region }}.shop", "https://shop")
    with pytest.raises(FileErrors) as caught:
        entries("http: {connection: shop, path: '/{{ settings.region }}/x'}", head=head)
    assert says in str(caught.value)


@pytest.mark.parametrize("value", ["{{ secrets.key }}", "{{ args.n }}", "{{ settings.region }}", "{{"])
def test_a_value_never_becomes_a_placeholder(entries: Any, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("SETTING_REGION", value)
    head = HEAD.replace("https://{{ settings.region }}.shop", "https://shop")
    (entry,) = entries("http: {connection: shop, path: /x, query: {q: '{{ settings.region }}'}}", head=head)
    assert entry.unavailable == "the setting region has {{ in it"
    assert entry.tool is None


def test_a_statement_takes_none(entries: Any) -> None:
    with pytest.raises(FileErrors, match=r"sql\.statement"):
        entries("sql: {connection: db, statement: \"SELECT '{{ settings.region }}'\"}")


def test_included_files_share_their_settings(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("include: [b.yaml]\nsettings: {region: {default: eu}}\n")
    (tmp_path / "b.yaml").write_text("tools: [{name: a, description: A., shell: [ls, '{{ settings.region }}']}]\n")
    (entry,) = Maker(load_document(tmp_path / "a.yaml")).entries()
    assert made(entry).render({}).shown == "ls eu"
    (tmp_path / "b.yaml").write_text("settings: {region: {default: us}}\n")
    with pytest.raises(FileErrors, match=r"settings\.region: .*says something else under the same name"):
        load_document(tmp_path / "a.yaml")
