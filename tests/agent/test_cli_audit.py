"""`gemmagraph audit`, and which bots `gemmagraph bot` starts."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gemmagraph.bots.audit import Audit
from gemmagraph.bots.serving import Serving
from gemmagraph.cli import main
from gemmagraph.store.store import Store


def audit(folder: Path, *args: str) -> Result:
    return CliRunner().invoke(main, ["audit", "--store", f"sqlite:///{folder}/bot.db", *args])


def noted(folder: Path, *people: str) -> None:
    async def work() -> None:
        store = Store(folder / "bot.db")
        await store.check()
        for person in people:
            await Audit(store, "desk/irc").note("message", person, "irc:#ops", event="e")
        await asyncio.to_thread(store.close)

    asyncio.run(work())


@pytest.mark.parametrize("args", [[], ["--json"]], ids=["text", "JSON"])
@pytest.mark.parametrize("damage", ["details = '{'", "details = x'ff00'", "at = 'abc'"])
def test_damaged_rows_are_named_and_hide_no_others(tmp_path: Path, damage: str, args: list[str]) -> None:
    noted(tmp_path, "irc:ann", "irc:bob", "irc:eve")
    with closing(sqlite3.connect(tmp_path / "bot.db")) as database, database:
        database.execute(f"UPDATE bot_audit SET {damage} WHERE number = 2")
    done = audit(tmp_path, *args)
    assert done.exit_code == 1
    assert done.stderr == "Row 2 cannot be read: the audit was changed.\n"
    assert [who for who in ("irc:ann", "irc:bob", "irc:eve") if who in done.stdout] == ["irc:ann", "irc:eve"]


def test_an_empty_audit_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noted(tmp_path)
    done = audit(tmp_path)
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr.startswith("Nothing is in the audit of ")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["audit"])
    assert done.exit_code == 0
    assert done.stderr.endswith(": it is not there.\n")


FILE = """\
bots:
  irc: {server: irc.example.org, nick: gemma, channels: {"#ops": null}}
"""


def test_a_bot_that_is_named_twice_is_started_once(tmp_path: Path) -> None:
    (tmp_path / "assistant.yaml").write_text(FILE)
    serving = Serving(tmp_path / "assistant.yaml", ["irc", "irc"], store=tmp_path / "bot.db")
    assert [service.name for service in serving.services] == ["irc"]


def test_a_bot_that_is_not_there_is_told_with_one_that_is_near(tmp_path: Path) -> None:
    (tmp_path / "assistant.yaml").write_text(FILE)
    done = CliRunner().invoke(main, ["bot", "icr", "-f", str(tmp_path / "assistant.yaml")])
    assert done.exit_code == 1
    assert "has no bot 'icr'. Did you mean 'irc'?" in done.stderr
