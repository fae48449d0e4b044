"""examples/deploy: the unit, the image and the composition fit each other, the program and the assistant's file."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from gemmagraph.assistant import load_assistant
from gemmagraph.cli.bots import bot

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "deploy"
UNIT = FOLDER / "gemmagraph-bot.service"
CONTAINER = (FOLDER / "Containerfile").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))
SECRETS: dict[str, Any] = yaml.safe_load((FOLDER / "assistant.yaml").read_text(encoding="utf-8"))["secrets"]


def unit() -> dict[str, list[str]]:
    """The keys of the unit, whichever section they are in."""
    found: dict[str, list[str]] = {}
    for line in UNIT.read_text(encoding="utf-8").replace("\\\n", "").splitlines():
        key, mark, value = line.partition("=")
        if mark and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


def grace(command: str) -> float:
    found = re.search(r'--grace[", ]+(\d+)', command)
    assert found is not None
    return float(found[1])


def arguments(command: str) -> list[str]:
    return re.findall(r"--[a-z]+|[^\s\",\[\]]+", command)


@pytest.mark.parametrize(
    "command",
    [unit()["ExecStart"][0], re.findall(r"^ENTRYPOINT (.*)$", CONTAINER, re.MULTILINE)[0]],
    ids=["unit", "image"],
)
def test_the_command_is_one_that_the_program_takes(command: str) -> None:
    program, name, *rest = arguments(command)
    assert (Path(program).name, name) == ("gemmagraph", "bot")
    run = CliRunner().invoke(bot, [*rest, "--help"], obj=None)
    assert run.exit_code == 0, run.output
    wrong = CliRunner().invoke(bot, [*rest, "--no-such-option"])
    assert "--no-such-option" in wrong.output


def test_whoever_ends_the_bot_waits_longer_than_the_bot_does() -> None:
    assert float(unit()["TimeoutStopSec"][0]) > grace(unit()["ExecStart"][0])
    assert float(COMPOSE["services"]["bot"]["stop_grace_period"].removesuffix("s")) > grace(CONTAINER)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is missing")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text(encoding="utf-8").replace("/opt/gemmagraph/bin/gemmagraph", "/bin/true"))
    run = subprocess.run(["systemd-analyze", "verify", copy], capture_output=True, text=True, timeout=30)
    assert (run.returncode, run.stderr) == (0, "")


def test_the_unit_lets_the_bot_write_to_its_own_folder_only() -> None:
    keys = unit()
    assert keys["ProtectSystem"] == ["strict"]
    assert keys["NoNewPrivileges"] == keys["DynamicUser"] == ["yes"]
    assert "ReadWritePaths" not in keys
    assert f"/var/lib/{keys['StateDirectory'][0]}/" in keys["ExecStart"][0]


def test_each_secret_of_the_file_is_there_in_the_container() -> None:
    wanted = {Path(secret["file"]).name for secret in SECRETS.values()}
    assert {secret["file"] for secret in SECRETS.values()} == {f"/run/secrets/{name}" for name in wanted}
    assert wanted == set(COMPOSE["services"]["bot"]["secrets"])
    used = {name for service in COMPOSE["services"].values() for name in service["secrets"]}
    assert used == COMPOSE["secrets"].keys()
    load_assistant(FOLDER / "assistant.yaml")


def test_the_image_is_of_this_version_and_its_process_is_not_root() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert f"ARG VERSION={version}\n" in CONTAINER
    assert re.findall(r"^USER (\d+)$", CONTAINER, re.MULTILINE) == re.findall(r"--uid (\d+)", CONTAINER)
