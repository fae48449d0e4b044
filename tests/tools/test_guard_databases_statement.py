"""What is read in a statement: its binds, its words, and what is wrong with it."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gemmagraph.tools.guards.databases_statement import read_statement


@pytest.mark.parametrize(
    ("statement", "names"),
    [
        ("SELECT :a, :b, :a", ("a", "b")),
        ("SELECT a FROM t WHERE a=:a", ("a",)),
        ("SELECT (:a)", ("a",)),
        ("SELECT :a::int, x::text", ("a",)),
        ("SELECT ':a', \"x:b\", `c:d`", ()),
        ("SELECT 'it''s :a', :b", ("b",)),
        ("SELECT E'it\\'s :a', :b", ("b",)),
        ("SELECT '\\', :a", ("a",)),
        ("SELECT 1 -- :a\n, :b", ("b",)),
        ("SELECT 1 /* :a\n */, :b", ("b",)),
        ("SELECT $$ :a $$, $x$ :b $$ :c $x$, :d", ("d",)),
        ("SELECT a$b$c, :d", ("d",)),
        ("SELECT '12:30', 12:30, a[1:2], a[1:n]", ()),
        ("SELECT f(a := 1, b => :b)", ("b",)),
        ("SELECT :größe, :_x1", ("größe", "_x1")),
        ("SELECT : a, :1", ()),
        ("SELECT a ? 'b', a ->> :c, a #>> '{x:y}'", ("c",)),
        ("SELECT 'a'\n':b'", ()),
    ],
)
def test_binds_stand_outside_of_what_is_quoted(statement: str, names: tuple[str, ...]) -> None:
    read = read_statement(statement)
    assert read.names == names
    assert read.faults == ()


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("SELECT {{ args.a }}", "takes no {{ }}"),
        ("SELECT '{{ args.a }}'", "takes no {{ }}"),
        ("SELECT 1; SELECT 2", "more than one statement"),
        ("SELECT 1; -- nothing\n SELECT 2", "more than one statement"),
        ("SELECT 1;; x", "more than one statement"),
        ("SELECT 'a", "' is opened"),
        ('SELECT "a', '" is opened'),
        ("SELECT 1 /* a", "/* is opened"),
        ("SELECT 1 /* a /* b */ */", "begins inside of a comment"),
        ("SELECT $1", "$1 stands for no value"),
        (" ;", "is empty"),
        ("/* */", "is empty"),
    ],
)
def test_what_is_wrong_is_named(statement: str, told: str) -> None:
    assert any(told in message for message, _ in read_statement(statement).faults)


@pytest.mark.parametrize("statement", ["SELECT 1;", "SELECT 1 ; \n", "SELECT ';'; -- done", "SELECT 1;/* ; */;"])
def test_an_end_is_no_second_statement(statement: str) -> None:
    assert read_statement(statement).faults == ()


@pytest.mark.parametrize(
    ("statement", "word"),
    [
        ("select 1", "select"),
        ("\n-- INSERT\n/* DELETE */ ((SELECT 1))", "select"),
        ("'SELECT' DELETE", "delete"),
        ("WITH a AS (SELECT 1) DELETE FROM b", "with"),
    ],
)
def test_the_first_word_stands_outside_of_comments(statement: str, word: str) -> None:
    assert read_statement(statement).begins == word


PIECES = [":a", ":", "::", "\\", "'", '"', "x", " ", "%", "--", "\n", "/*", "*/", "$$", "E'", ";", "5", "("]


@settings(deadline=None)
@given(st.lists(st.sampled_from(PIECES)))
def test_nothing_is_lost_whatever_is_written(pieces: list[str]) -> None:
    source = "".join(pieces)
    assert read_statement(source).written(lambda name: f":{name}") == source


@settings(deadline=None)
@example(["'", "'", ";", ";"])
@example([":", "5"])
@given(st.lists(st.sampled_from([*PIECES, "[", "]", "`"]).filter(lambda piece: piece not in ("$$", "E'", "[", "`"))))
def test_sqlite_finds_the_same_binds(pieces: list[str]) -> None:
    """It is asked which it misses; what is no statement it does not say."""
    read = read_statement(f"SELECT {''.join(pieces)}")
    # SQLite has no casts and no slices: it takes `::` for a part of a name, and `:5` for a name.
    if read.faults or "::" in read.source or re.search(r":\d", read.source):
        return
    with closing(sqlite3.connect(":memory:")) as connection:
        told = ""
        try:
            connection.execute(read.source, {})
        except sqlite3.ProgrammingError as missing:
            told = str(missing)
            if told.startswith("You can only execute one statement"):  # an empty one behind it counts, too
                return
        except sqlite3.Error:
            return
    # It names the first that it misses.
    assert told == (f"You did not supply a value for binding parameter :{read.names[0]}." if read.names else "")
