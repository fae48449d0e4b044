"""Who did what, row by row; each row holds the digest of the one before, so that none can be changed unseen."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gemmagraph.prompts.messages import JSON
from gemmagraph.store.rows import read, shaped, written
from gemmagraph.store.session import Session
from gemmagraph.store.store import Store
from gemmagraph.tools.secrets import mask_all

log: Final = logging.getLogger("gemmagraph.bots")


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that somebody did."""

    number: int
    bot: str
    at: float
    """Seconds since 1970."""
    what: str
    """`message`, `refused`, `command`, `call`, `asked`, `decision`, `answer`, `failed`."""
    person: str
    conversation: str
    details: Mapping[str, JSON]
    """Without secrets, and without what was said."""
    digest: str


class Audit:
    """Of one bot in a store."""

    def __init__(self, store: Store, bot: str) -> None:
        self._store = store
        self._bot = bot

    async def note(self, what: str, person: str, conversation: str, once: str = "", **details: JSON) -> None:
        """Writes a row, and a line of the log.

        Args:
            once: a key of the outbox: nothing is written if something was noted under it before.
        """
        details = mask_all(details)

        def work(session: Session) -> bool:
            with session.writing():
                session.alone("audit")
                if once and not session.change(
                    "INSERT INTO bot_outbox VALUES (?, ?, NULL, 'sent', ?) ON CONFLICT (bot, key) DO NOTHING",
                    *(self._bot, once, session.now()),
                ):
                    return False
                last = session.rows("SELECT digest FROM bot_audit ORDER BY number DESC LIMIT 1")
                row = (self._bot, session.now(), what, person, conversation, written(details))
                session.change(
                    "INSERT INTO bot_audit (bot, at, what, person, conversation, details, digest)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?)",
                    *(*row, _digest(last[0][0] if last else "", row)),
                )
                return True

        if await self._store.do(work):
            level = logging.WARNING if what == "failed" else logging.INFO
            said = {"bot": self._bot, "person": person, "conversation": conversation, "details": details}
            log.log(level, what, extra=said)


async def audit_of(store: Store) -> tuple[list[Entry], dict[int, str]]:
    """The rows that can be read; and by their numbers, what is wrong with those that cannot be, or that do not fit to
    the one before."""
    rows = await store.do(
        lambda session: session.rows(
            "SELECT number, bot, at, what, person, conversation, details, digest FROM bot_audit ORDER BY number"
        )
    )
    entries, wrong, before = [], {}, ""
    for number, *row, digest in rows:
        if digest != _digest(before, tuple(row)):
            wrong[number] = "does not fit to the one before it: the audit was changed"
        before = digest
        try:
            said = dict(zip(("bot", "at", "what", "person", "conversation"), row, strict=False))
            entries.append(shaped(Entry, number=number, **said, details=read(row[-1]), digest=digest))
        except (ValueError, TypeError, RecursionError):
            wrong[number] = "cannot be read: the audit was changed"
    return entries, wrong


def _digest(before: str, row: tuple[object, ...]) -> str:
    return hashlib.sha256(f"{before}\n{json.dumps(row, default=repr)}".encode()).hexdigest()
