from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemmagraph.tools.errors import Fault
from gemmagraph.tools.fields import ABSENT, FieldError, compile_field, compile_tree

ROOTS = ("args", "bind", "context")
SCOPE = {
    "args": {"n": 3, "on": True, "none": None, "text": "a b/c", "list": [1, "x"], "deep": {"a": [{"b": "here"}]}},
    "bind": {"who": "ann"},
}


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("plain", "plain"),
        ("", ""),
        ("{{ args.n }}", 3),
        ("{{args.n}}", 3),
        ("{{ args.on }}", True),
        ("{{ args.none }}", None),
        ("{{ args.list }}", [1, "x"]),
        ("{{ args.list[1] }}", "x"),
        ("{{ args.deep.a[0].b }}", "here"),
        ("n={{ args.n }}", "n=3"),
        ("{{ args.n }}{{ args.n }}", "33"),
        (" {{ args.n }}", " 3"),
        ("on={{ args.on }} none={{ args.none }}", "on=true none=null"),
        ("{{ args.text }} by {{ bind.who }}", "a b/c by ann"),
        ("list {{ args.list }}", 'list [1,"x"]'),
        ("{{ args.gone }}", ABSENT),
        ("x{{ args.gone }}", ABSENT),
        ("{{ args.list[7] }}", ABSENT),
        ("{{ args.n.a }}", ABSENT),
        ("{{ args.list.a }}", ABSENT),
        ("{{ context.user }}", ABSENT),
        ('{"a": {"b": 1}}', '{"a": {"b": 1}}'),
        ("{ args.n }", "{ args.n }"),
    ],
)
def test_a_placeholder_becomes_its_value(source: str, value: object) -> None:
    assert compile_field(source, ROOTS).value(SCOPE) == value


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("{{ args.n", "not closed"),
        ("a {{ args.n } b", "not closed"),
        ("{{ }}", "no path"),
        ("{{ args.n | upper }}", "no path"),
        ("{{ args.n() }}", "no path"),
        ("{{ args['n'] }}", "no path"),
        ("{{ 3 }}", "no path"),
        ("{{ args..n }}", "no path"),
        ("{{ args[-1] }}", "no path"),
        ("{{ {{ args.n }} }}", "no path"),
        ("{{ args }}", "all of 'args'"),
        ("{{ secrets.key }}", "What can be named here: args, bind, context"),
        ("{{ n }}", "What can be named here"),
        ("{{ args.é }}", "no path"),
    ],
)
def test_what_is_no_look_up_is_refused(source: str, why: str) -> None:
    with pytest.raises(FieldError, match=r".*") as refused:
        compile_field(source, ROOTS)
    assert why in str(refused.value)


def test_each_value_in_a_text_is_escaped_and_the_text_is_not() -> None:
    field = compile_field("a/b?{{ args.text }}&{{ args.n }}", ROOTS)
    assert field.text(SCOPE, lambda text: f"<{text}>") == "a/b?<a b/c>&<3>"
    assert (field.prefix, field.lone, field.literal) == ("a/b?", False, None)


@given(st.text())
def test_a_value_is_never_read_as_a_placeholder(value: str) -> None:
    assert compile_field("{{ args.n }}!", ROOTS).value({"args": {"n": value}}) == f"{value}!"


def test_what_is_absent_drops_its_key_and_its_place() -> None:
    faults: list[Fault] = []
    body = {
        "n": "{{ args.n }}",
        "gone": "{{ args.gone }}",
        "many": ["{{ args.gone }}", "{{ args.on }}", 1],
        "k": None,
    }
    assert compile_tree(body, ROOTS, ("json",), faults).value(SCOPE) == {"n": 3, "many": [True, 1], "k": None}
    assert faults == []


def test_all_faults_of_a_tree_are_found_with_their_keys() -> None:
    faults: list[Fault] = []
    compile_tree({"a": "{{ x }}", "b": [1, {"c": "{{ args.n"}]}, ROOTS, ("http", "json"), faults)
    assert [str(fault).partition(":")[0] for fault in faults] == ["http.json.a", "http.json.b[1].c"]
