"""What a tool says that it needs, and what is seen of a Python tool without importing it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gemmagraph.tools.declared.loading import load_document
from gemmagraph.tools.declared.making import Entry, Maker
from gemmagraph.tools.declared.problems import FileErrors
from gemmagraph.tools.errors import Unavailable

BODIES = {
    "python": "python: './ops.py:look'",
    "http": "http: {url: 'https://x.example'}",
    "shell": "shell: [ls]",
    "sql": "sql: {connection: db, statement: SELECT 1}",
}
HEAD = "connections: {db: {sql: {dsn: 'sqlite:///x.db', read_only: false}}}\n"


@pytest.fixture
def entry(tmp_path: Path) -> Callable[[str], Entry]:
    (tmp_path / "ops.py").write_text("raise AssertionError('it was imported')")

    def read(keys: str) -> Entry:
        (tmp_path / "tools.yaml").write_text(f"{HEAD}tools: [{{name: look, description: Looks., {keys}}}]\n", "utf-8")
        maker = Maker(load_document(tmp_path / "tools.yaml"))
        (found,) = maker.entries()
        maker.finish()
        return found

    return read


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize(
    ("needs", "why"),
    [
        ("[program:ls, env:NEEDED, package:json]", None),
        ("[program:ls, program:no-such-program]", "the program no-such-program is not on the PATH"),
        ("[env:NEEDED, env:NOT_SET_ANYWHERE]", "the variable NOT_SET_ANYWHERE is not set"),
        ("[package:no_such_package]", "the package no_such_package is not installed"),
        ("[]", None),
    ],
)
def test_any_tool_is_unavailable_where_something_that_it_needs_is_missing(
    entry: Callable[[str], Entry], monkeypatch: pytest.MonkeyPatch, body: str, needs: str, why: str | None
) -> None:
    monkeypatch.setenv("NEEDED", "x")
    found = entry(f"{BODIES[body]}, needs: {needs}")
    assert (found.unavailable, found.lacking) == (why, why is not None)


@pytest.mark.parametrize("need", ["kubectl", "bin:kubectl", "env:a-b", "package:a.b", "program:", "program:a b"])
def test_a_need_says_of_what_kind_it_is(entry: Callable[[str], Entry], need: str) -> None:
    with pytest.raises(FileErrors, match=r"needs\[0\]: must be program:NAME, env:NAME or package:NAME, not"):
        entry(f"shell: [ls], needs: ['{need}']")


@pytest.mark.parametrize(
    ("python", "why"),
    [
        ("./ops.py:look", None),
        ("json:dumps", None),
        ("ops:look", None),
        ("./op.py:look", "There is no file './op.py'. Did you mean '{folder}/ops.py'?"),
        ("./elsewhere/x.py:look", "There is no file './elsewhere/x.py'."),
        ("no_such_module.inner:look", "There is no module 'no_such_module.inner'. A file ends in .py."),
    ],
)
def test_a_python_tool_that_is_not_there_is_seen_without_an_import(
    entry: Callable[[str], Entry], tmp_path: Path, python: str, why: str | None
) -> None:
    found = entry(f"python: '{python}'")
    assert found.unavailable == (why and why.format(folder=tmp_path))
    assert (found.lacking, found.tool) == (False, None)
    if why:
        with pytest.raises(Unavailable) as caught:
            found.make()
        assert str(caught.value) == found.unavailable
