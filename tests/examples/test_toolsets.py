"""The toolsets as a whole; calculator, dates and system by what they tell."""

from __future__ import annotations

import os
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gemmagraph import Agent, Approve, Gemma
from gemmagraph.assistant import load_tools
from gemmagraph.backends.scripted import ScriptedBackend, Step
from gemmagraph.prompts.errors import InvalidArguments

if TYPE_CHECKING:
    from conftest import Toolset, Toolsets

FOLDER = Path(__file__).parents[2] / "examples" / "toolsets"
FILES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
README = (FOLDER / "README.md").read_text(encoding="utf-8")
OFFLINE = [name for name in FILES if name != "mcp_time"]  # it has tests of its own, with its server
PROGRAMS = {"git": ("git",), "system": ("ps", "journalctl")}


@pytest.fixture
def opened(toolsets: Toolsets, tmp_path: Path) -> dict[str, Toolset]:
    """All that need no server."""
    (tmp_path / "shop.db").touch()
    settings = {
        "FILES_ROOT": tmp_path,
        "SQLITE_DSN": f"sqlite:///{tmp_path}/shop.db",
        "POSTGRES_DSN": "postgresql://clerk:password@127.0.0.1:1/none",
        "NOTES_FILE": tmp_path / "notes.db",
        "API_TOKEN": "canary-of-the-api",
    }
    return {name: toolsets(name, **settings) for name in OFFLINE}


def rows() -> dict[str, list[str]]:
    """The table of the README: tools, needs and what asks, by file."""
    found = re.findall(r"^\| \[(\w+)\.yaml\]\(\1\.yaml\) \| (.*) \| (.*) \| (.*) \|$", README, re.MULTILINE)
    return {name: cells for name, *cells in found}


def test_the_readme_has_a_row_for_each_file() -> None:
    assert sorted(rows()) == FILES


@pytest.mark.skipif(
    not all(shutil.which(program) for programs in PROGRAMS.values() for program in programs),
    reason=f"a program is missing: {PROGRAMS}",
)
def test_the_readme_names_the_tools_and_what_asks(opened: dict[str, Toolset]) -> None:
    for name, tools in opened.items():
        named, _, asking = rows()[name]
        assert named.split(", ") == list(dict.fromkeys(tool for tool in tools if tool != "read_more"))
        assert asking == (", ".join(tool for tool in tools if tool in tools.asking) or "nothing")


def test_the_readme_names_the_variables_that_are_needed() -> None:
    for name, (_, needs, _) in rows().items():
        texts = [path.read_text() for path in FOLDER.glob(f"{name}.*")]
        read = {found for text in texts for found in re.findall(r"env: ([A-Z_]+)\}|environ\[\"([A-Z_]+)\"\]", text)}
        assert {variable for pair in read for variable in pair if variable} == set(re.findall(r"`([A-Z_]+)`", needs))


def test_every_tool_has_an_example_that_fits_it(opened: dict[str, Toolset]) -> None:
    for tools in opened.values():
        for name, tool in tools.items():
            assert tool.examples or name == "read_more", name
            for example in tool.examples:
                assert example["user"]
                assert tool.render(tool.check(example["args"])).shown


def test_what_a_model_reads_is_short(opened: dict[str, Toolset]) -> None:
    for tools in opened.values():
        for tool in tools.values():
            properties: dict[str, dict[str, Any]] = tool.spec.parameters.get("properties", {})
            assert len(tool.description) <= 110 or tool.name == "read_more", tool.name
            assert len(properties) <= 4, tool.name
            assert all(len(schema.get("description", "")) <= 180 for schema in properties.values()), tool.name


def test_a_file_fits_on_two_screens() -> None:
    for path in FOLDER.iterdir():
        if path.is_file():
            assert len(path.read_text(encoding="utf-8").splitlines()) <= 165, path.name


def test_all_can_be_included_in_one_assistant(
    toolsets: Toolsets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "examples"
    monkeypatch.setenv("FILES_ROOT", str(folder))
    monkeypatch.setenv("NOTES_FILE", str(tmp_path / "notes.db"))
    file = folder / "assistant.yaml"
    included = ", ".join(f"toolsets/{name}.yaml" for name in OFFLINE)
    file.write_text(
        f"instructions: You help Ann.\ninclude: [{included}]\npolicy:\n  - {{tool: delete_note, then: deny}}\n"
    )
    told = "Kept as number 1."
    steps = [
        'FUNCTION_CALL: add_note(text="buy milk")',
        Step('FUNCTION_CALL: write_file(path="new/milk.txt", text="two litres")', expect=told),
        Step("FUNCTION_CALL: delete_note(number=1)", expect="Wrote 10 characters"),
        Step("FUNCTION_CALL: list_notes()", expect="Not run"),
        Step("You have to buy milk.", expect="1. [note] buy milk"),
    ]
    asked = []

    def approve(approval):
        asked.append(approval.tool)
        return Approve()

    with Agent.from_file(file, model=Gemma(ScriptedBackend(steps)), approve=approve) as agent:
        assert agent.run("Note the milk.", user="local:ann").text == "You have to buy milk."
        assert {"sqlite_query", "postgres_insert", "api_list"} <= agent.unavailable.keys()
    assert asked == ["write_file"]
    assert (folder / "new" / "milk.txt").read_text() == "two litres"


def test_one_is_loaded_in_a_line() -> None:
    tools = {tool.name: tool.original for tool in load_tools(FOLDER / "calculator.yaml")}
    assert tools["calculate"](expression="2 * 21") == "2 * 21 = 42"


@pytest.fixture
def calculator(toolsets: Toolsets) -> Toolset:
    return toolsets("calculator")


def test_numbers_are_calculated_and_converted(calculator: Toolset) -> None:
    assert calculator.told("calculate", expression="0.15 * 80") == "0.15 * 80 = 12"
    assert calculator.told("convert_units", value=1, from_unit="mile", to_unit="km") == "1 mile = 1.609344 km"


@pytest.mark.parametrize(
    "expression", ["__import__('os').system('id')", "9**9**9**9", "open('/etc/passwd')", "().__class__", "x", "1/0"]
)
def test_nothing_else_is_evaluated(calculator: Toolset, expression: str) -> None:
    calculator.refused("calculate", expression=expression)


@pytest.fixture
def dates(toolsets: Toolsets) -> Toolset:
    return toolsets("dates")


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "tokyo", "UTC", "New York"])
def test_the_time_is_that_of_now(dates: Toolset, zone: str) -> None:
    before = datetime.now(UTC).replace(second=0, microsecond=0)
    told = dates.told("current_time", zone=zone)
    found = re.search(r"(\d{4}-\d\d-\d\d \d\d:\d\d) in [\w/]+ \(UTC([+-]\d{4})\)", told)
    assert found, told
    assert before <= datetime.strptime(" ".join(found.groups()), "%Y-%m-%d %H:%M %z") <= datetime.now(UTC)


@pytest.mark.parametrize(
    ("time", "from_zone", "to_zone", "told"),
    [
        ("2027-05-03T09:00", "America/New_York", "Berlin", "Monday 2027-05-03 15:00 in Europe/Berlin (UTC+0200)"),
        ("2027-03-20T09:00", "New York", "Berlin", "Saturday 2027-03-20 14:00 in Europe/Berlin (UTC+0100)"),
        ("2027-12-31T23:30", "London", "Asia/Kolkata", "Saturday 2028-01-01 05:00 in Asia/Kolkata (UTC+0530)"),
        ("2027-05-03T09:00:00Z", "Tokyo", "UTC", "Monday 2027-05-03 09:00 in UTC (UTC+0000)"),
        ("2027-10-31T02:30", "Berlin", "UTC", "Sunday 2027-10-31 00:30 in UTC (UTC+0000)\nThis time comes twice"),
    ],
)
def test_a_time_is_converted(dates: Toolset, time: str, from_zone: str, to_zone: str, told: str) -> None:
    assert f"= {told}" in dates.told("convert_time", time=time, from_zone=from_zone, to_zone=to_zone)


def test_a_time_that_clocks_skip_and_an_unknown_zone_are_said(dates: Toolset) -> None:
    skipped = dates.refused("convert_time", time="2027-03-28T02:30", from_zone="Berlin", to_zone="UTC")
    assert "does not exist in Europe/Berlin" in skipped
    assert "Europe/Berlin" in dates.refused("current_time", zone="Europe/Berln")
    with pytest.raises(InvalidArguments):
        dates.run("convert_time", time="tomorrow", from_zone="UTC", to_zone="UTC")


@pytest.mark.parametrize(
    ("date", "amount", "unit", "told"),
    [
        ("2027-05-20", 3, "weeks", "Thursday 2027-06-10"),
        ("2027-01-31", 1, "months", "Sunday 2027-02-28"),
        ("2028-02-29", 1, "years", "Wednesday 2029-02-28"),
        ("2027-01-15", -1, "months", "Tuesday 2026-12-15"),
        ("2027-03-01", -1, "days", "Sunday 2027-02-28"),
    ],
)
def test_a_date_is_reckoned(dates: Toolset, date: str, amount: int, unit: str, told: str) -> None:
    assert dates.told("add_to_date", date=date, amount=amount, unit=unit) == told


@pytest.mark.parametrize("unit", ["days", "weeks", "months", "years"])
def test_a_date_beyond_all_calendars_is_refused(dates: Toolset, unit: str) -> None:
    assert "too far away" in dates.refused("add_to_date", date="2027-01-01", amount=10**12, unit=unit)


def test_days_are_counted(dates: Toolset) -> None:
    told = dates.told("days_between", start="2027-03-28", end="2027-12-25")
    assert told == "272 days (38 weeks and 6 days) from Sunday 2027-03-28 to Saturday 2027-12-25"
    assert dates.told("days_between", start="2027-01-02", end="2027-01-01").startswith("-1 days from")


@pytest.fixture
def system(toolsets: Toolsets) -> Toolset:
    return toolsets("system")


def test_disk_memory_and_load_are_those_of_the_machine(system: Toolset, tmp_path: Path) -> None:
    disk = shutil.disk_usage(tmp_path)
    told = re.search(r"of ([\d.e+]+) (\w+) used", system.told("disk_usage", path=str(tmp_path)))
    assert told
    units = {"MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
    assert float(told[1]) * units[told[2]] == pytest.approx(disk.total, rel=0.01)
    assert "available" in system.told("memory_usage")
    assert f"on {os.cpu_count()} processor cores" in system.told("load_average")


def test_processes_come_by_what_they_use(system: Toolset) -> None:
    told = system.told("busiest_processes", by="memory", count=50).splitlines()
    sizes = [int(line.split()[2].replace(",", "")) for line in told]
    assert 1 < len(told) <= 50
    assert sizes == sorted(sizes, reverse=True)
    assert len(system.told("busiest_processes", by="cpu", count=2).splitlines()) == 2
    assert f"pid {os.getpid()} " in system.told("busiest_processes", by="memory", count=50) or len(told) == 50


@pytest.mark.parametrize(
    "file",
    [
        "/etc/shadow",
        "/var/log/../../etc/shadow",
        "/var/log/./x",
        "/var/logs/x",
        "/var/log/a\n/etc/x",
        "/var/log/.x",
        "",
    ],
)
def test_only_logs_are_searched(system: Toolset, file: str) -> None:
    with pytest.raises(InvalidArguments):
        system.run("search_log", file=file, text="root")


def test_a_log_is_searched(system: Toolset) -> None:
    logs = [path for path in Path("/var/log").glob("*.log") if path.stat().st_size and os.access(path, os.R_OK)]
    if not logs:
        pytest.skip("there is nothing in /var/log that can be read")
    line = logs[0].read_text(errors="replace").splitlines()[-1]
    assert line[:300] in system.told("search_log", file=str(logs[0]), text=line[:80], lines=200)


@pytest.mark.skipif(not shutil.which("journalctl"), reason="there is no journalctl here")
def test_the_log_of_a_service_is_asked_for(system: Toolset) -> None:
    tool = system["service_log"]
    assert tool.render(tool.check({"service": "nginx", "lines": 5})).shown == (
        "journalctl --no-pager --quiet --unit=nginx --priority=info --lines=5"
    )
    assert "--unit" not in tool.render(tool.check({})).shown
    assert system.run("service_log", lines=3).status == "ok"
    for service in ("-f", "--rotate", "a b", "a\n--rotate"):
        with pytest.raises(InvalidArguments):
            system.run("service_log", service=service)
