"""Notes and to-dos in one SQLite file: the functions behind notes.yaml."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Literal

from gemmagraph.tools import ToolContext, ToolDefinitionError, ToolError

if not os.environ.get("NOTES_FILE"):
    raise ToolDefinitionError("The variable NOTES_FILE is not set.", hint="Set it to a file; it is made if missing.")
FILE = Path(os.environ["NOTES_FILE"]).expanduser()

TABLE = """
    CREATE TABLE IF NOT EXISTS notes (
        number INTEGER PRIMARY KEY, owner TEXT NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL,
        due TEXT, done INTEGER NOT NULL DEFAULT 0, made TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
    )
"""


def add_note(context: ToolContext, text: str, kind: Literal["note", "todo"] = "note", due: date | None = None) -> str:
    """Keep a note or a to-do for the user.

    Args:
        text: What to keep.
        kind: A todo is something to be done.
        due: Until when it has to be done, for example 2027-05-03.
    """
    with _opened() as notes:
        added = notes.execute(
            "INSERT INTO notes (owner, kind, text, due) VALUES (?, ?, ?, ?)",
            (_owner(context), kind, text, due and due.isoformat()),
        )
    return f"Kept as number {added.lastrowid}."


def list_notes(
    context: ToolContext, kind: Literal["note", "todo", "all"] = "all", text: str = "", done: bool = False
) -> str:
    """List the user's notes and open to-dos, with their numbers.

    Args:
        kind: Which ones.
        text: Only those with this text.
        done: Also to-dos that are done.
    """
    with _opened() as notes:
        rows = notes.execute(
            "SELECT number, kind, text, due, done FROM notes WHERE owner = ? AND (? = 'all' OR kind = ?)"
            " AND instr(lower(text), lower(?)) AND done <= ? ORDER BY due IS NULL, due, number LIMIT 200",
            (_owner(context), kind, kind, text, done),
        ).fetchall()
    lines = [
        f"{number}. [{'done' if is_done else kind_}] {said}" + (f" (due {due})" if due else "")
        for number, kind_, said, due, is_done in rows
    ]
    return "\n".join(lines) or "There is nothing."


def finish_todo(context: ToolContext, number: int) -> str:
    """Mark a to-do as done.

    Args:
        number: Its number in the list.
    """
    return _change(context, number, "UPDATE notes SET done = 1 WHERE kind = 'todo'", "is done", "to-do")


def delete_note(context: ToolContext, number: int) -> str:
    """Delete a note or a to-do for good.

    Args:
        number: Its number in the list.
    """
    return _change(context, number, "DELETE FROM notes WHERE 1", "is deleted", "note")


def _change(context: ToolContext, number: int, statement: str, said: str, what: str) -> str:
    with _opened() as notes:
        changed = notes.execute(f"{statement} AND owner = ? AND number = ?", (_owner(context), number))
    if not changed.rowcount:
        raise ToolError(f"There is no {what} number {number}.", hint="Look at the list of notes.")
    return f"Number {number} {said}."


def _owner(context: ToolContext) -> str:
    return context.user or ""  # where nobody is known, they are everybody's


@contextmanager
def _opened() -> Iterator[sqlite3.Connection]:
    """The notes; what was changed is kept if nothing went wrong."""
    notes = sqlite3.connect(FILE, timeout=10)
    try:
        with notes:
            notes.execute(TABLE)
            yield notes
    finally:
        notes.close()
