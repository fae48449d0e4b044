"""The tables beside LangGraph's own, and the version of their shape."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from gemmagraph.errors import StoreError
from gemmagraph.store.session import Session

VERSION: Final = "gemmagraph_version"
"""The table that says which shape the others have: where it is, all of them are ours."""
_MAKES: Final = r"^CREATE (?:TABLE|INDEX) (\w+)"
_LANGGRAPH: Final = {"checkpoint_migrations", "checkpoints", "checkpoint_blobs", "checkpoint_writes", "writes"}
"""The tables of its savers."""

_MIGRATIONS: Final[Sequence[Sequence[str]]] = (
    (
        "CREATE TABLE threads (thread TEXT PRIMARY KEY, agent TEXT NOT NULL, title TEXT NOT NULL,"
        " created DOUBLE PRECISION NOT NULL, updated DOUBLE PRECISION NOT NULL)",
        # What was said and is not lost from then on; `state`: accepted, answered, failed, cancelled.
        "CREATE TABLE inputs (thread TEXT NOT NULL, id TEXT NOT NULL, place BIGINT NOT NULL, messages TEXT NOT NULL,"
        " asker TEXT NOT NULL, state TEXT NOT NULL, at DOUBLE PRECISION NOT NULL, PRIMARY KEY (thread, id))",
        "CREATE INDEX inputs_open ON inputs (thread, place) WHERE state = 'accepted'",
        # Whose turn it is: the lowest ticket of a thread. Its number is the fence.
        "CREATE TABLE turns (ticket {identity}, thread TEXT NOT NULL, owner TEXT NOT NULL UNIQUE,"
        " until DOUBLE PRECISION NOT NULL, cancelled INTEGER NOT NULL DEFAULT 0)",
        "CREATE INDEX turns_of ON turns (thread, ticket)",
        # Calls that may change something; `state`: started, done, unknown.
        "CREATE TABLE calls (thread TEXT NOT NULL, call TEXT NOT NULL, tool TEXT NOT NULL, arguments TEXT NOT NULL,"
        " state TEXT NOT NULL, owner TEXT NOT NULL, ticket BIGINT NOT NULL, outcome TEXT,"
        " started DOUBLE PRECISION NOT NULL, ended DOUBLE PRECISION, PRIMARY KEY (thread, call))",
        "CREATE TABLE approvals (id TEXT PRIMARY KEY, thread TEXT NOT NULL, call TEXT NOT NULL, asked TEXT NOT NULL,"
        " created DOUBLE PRECISION NOT NULL, expires DOUBLE PRECISION NOT NULL,"
        " decision TEXT, decider TEXT, decided DOUBLE PRECISION)",
        "CREATE INDEX approvals_of ON approvals (thread, created)",
        "CREATE INDEX approvals_open ON approvals (created) WHERE decision IS NULL",
        "CREATE TABLE spent (run TEXT PRIMARY KEY, person TEXT NOT NULL, at DOUBLE PRECISION NOT NULL,"
        " calls BIGINT NOT NULL, tokens BIGINT NOT NULL)",
        "CREATE INDEX spent_by ON spent (person, at)",
    ),
    (
        # What was said to a bot; `state`: new, waiting (for a person), done. What is done keeps its id, for it may be
        # delivered again, and loses its text.
        "CREATE TABLE bot_inbox (number {identity}, bot TEXT NOT NULL, event TEXT NOT NULL,"
        " conversation TEXT NOT NULL, message TEXT NOT NULL, state TEXT NOT NULL, body TEXT NOT NULL,"
        " at DOUBLE PRECISION NOT NULL, UNIQUE (bot, event))",
        "CREATE INDEX bot_inbox_open ON bot_inbox (bot, number) WHERE state <> 'done'",
        "CREATE INDEX bot_inbox_old ON bot_inbox (at)",
        # What the bot says; `state`: sending, sent, given up. The key says what it is about.
        "CREATE TABLE bot_outbox (bot TEXT NOT NULL, key TEXT NOT NULL, message TEXT, state TEXT NOT NULL,"
        " at DOUBLE PRECISION NOT NULL, PRIMARY KEY (bot, key))",
        "CREATE INDEX bot_outbox_of ON bot_outbox (bot, message)",
        "CREATE INDEX bot_outbox_old ON bot_outbox (at)",
        # Where the bot talks with people, and how often they began anew.
        "CREATE TABLE bot_talks (bot TEXT NOT NULL, conversation TEXT NOT NULL, place TEXT NOT NULL,"
        " beginning INTEGER NOT NULL, at DOUBLE PRECISION NOT NULL, PRIMARY KEY (bot, conversation))",
        "CREATE TABLE bot_cursors (bot TEXT PRIMARY KEY, cursor TEXT NOT NULL)",
        # Which process listens for a bot; `number` grows with each.
        "CREATE TABLE bot_leases (bot TEXT PRIMARY KEY, owner TEXT NOT NULL, number BIGINT NOT NULL,"
        " until DOUBLE PRECISION NOT NULL)",
        # Who did what; each row holds the digest of the one before.
        "CREATE TABLE bot_audit (number {identity}, bot TEXT NOT NULL, at DOUBLE PRECISION NOT NULL,"
        " what TEXT NOT NULL, person TEXT NOT NULL, conversation TEXT NOT NULL, details TEXT NOT NULL,"
        " digest TEXT NOT NULL)",
    ),
    (
        # Why the last try failed.
        "ALTER TABLE inputs ADD COLUMN failure TEXT",
        "CREATE INDEX inputs_of ON inputs (thread, place)",
        "CREATE INDEX inputs_failed ON inputs (thread) WHERE state = 'failed'",
    ),
)
"""What each version of the shape adds to the one before; the first makes it from nothing."""


def claim(session: Session, name: str) -> None:
    """Marks a database as ours, if it is nobody's. It comes first: a process that dies behind it leaves nothing that
    is nobody's.

    Args:
        name: the store, in messages.

    Raises:
        StoreError: another program has tables of our names in it, or it is ours and cannot be used as it is.
    """
    there = session.names()
    if VERSION in there:
        version_of(session, name)
        return
    if taken := sorted(there & (_LANGGRAPH | _made(_MIGRATIONS))):
        raise StoreError(
            f"The store {name} is a database in which another program keeps its own: {', '.join(taken[:3])}.",
            hint="Name a database that is the store's alone, or a schema: ?options=-csearch_path%3DSCHEMA.",
        )
    session.change(f"CREATE TABLE IF NOT EXISTS {VERSION} (version INTEGER NOT NULL)")


def prepare(session: Session, name: str, identity: str) -> None:
    """Makes the tables of a database that was claimed, or brings those of an older version up to date.

    Args:
        identity: the type of a column that numbers its rows, never twice the same.

    Raises:
        StoreError: it cannot be used as it is.
    """
    if version_of(session, name) == len(_MIGRATIONS):
        return
    with session.writing():
        found = version_of(session, name)
        if later := sorted(session.names() & _made(_MIGRATIONS[found:])):
            raise _unread(name, f"its table {VERSION} says {found}, and {later[0]} is there, which is newer")
        for step in _MIGRATIONS[found:]:
            for statement in step:
                session.change(statement.format(identity=identity))
        session.change(f"DELETE FROM {VERSION}")
        session.change(f"INSERT INTO {VERSION} VALUES (?)", len(_MIGRATIONS))


def version_of(session: Session, name: str) -> int:
    """The version of a database that was claimed; 0 before it has tables.

    Raises:
        StoreError: it is unreadable, or newer than this gemmagraph.
    """
    rows = session.rows(f"SELECT version FROM {VERSION}")
    found = rows[0][0] if rows else 0
    if not isinstance(found, int) or found < 0:
        raise _unread(name, f"its table {VERSION} says {found!r:.40}")
    if found > len(_MIGRATIONS):
        raise StoreError(
            f"The store {name} was written by a newer gemmagraph (shape {found}; this one knows up to"
            f" {len(_MIGRATIONS)}).",
            hint="Update gemmagraph, or name another store.",
        )
    return found


def _unread(name: str, why: str) -> StoreError:
    return StoreError(
        f"The version of the store {name} cannot be read: {why}.",
        hint="It is damaged, or another program wrote it: restore the database, or name another store.",
    )


def _made(migrations: Sequence[Sequence[str]]) -> set[str]:
    """The tables and indexes that they make."""
    return {name for step in migrations for statement in step for name in re.findall(_MAKES, statement)}
