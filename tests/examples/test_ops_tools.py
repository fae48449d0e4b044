"""The tools of examples/ops, each measured against the machine that the tests run on."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from gemmagraph.tools.errors import ToolError
from gemmagraph.tools.tool import Tool

OPS = Path(__file__).parents[2] / "examples" / "ops"
UNITS = {"bytes": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"examples_ops_{name}", OPS / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


ops = load("tools")
calculator = load("calculator")


def sizes(answer: str) -> list[float]:
    """The sizes that an answer names, in bytes."""
    found = re.findall(r"([\d.e+]+) (bytes|[KMGT]iB)\b", answer)
    return [float(number) * UNITS[unit] for number, unit in found]


@pytest.mark.parametrize("module", [ops, calculator], ids=["tools", "calculator"])
def test_what_the_module_offers_are_tools_that_only_read(module: ModuleType) -> None:
    for name in module.__all__:
        tool = getattr(module, name)
        assert isinstance(tool, Tool)
        assert tool.read_only


def test_disk_usage_is_that_of_the_disk(tmp_path: Path) -> None:
    disk = shutil.disk_usage(tmp_path)
    used, total, free = sizes(ops.disk_usage(str(tmp_path)))
    assert total == pytest.approx(disk.total, rel=0.01)
    assert used == pytest.approx(disk.used, rel=0.05)
    assert free == pytest.approx(disk.free, rel=0.05)


def test_disk_usage_says_what_is_wrong_with_a_path() -> None:
    with pytest.raises(ToolError, match=r"'/no/such/folder': No such file or directory"):
        ops.disk_usage("/no/such/folder")


def test_memory_usage_is_that_of_the_machine() -> None:
    used, total, available = sizes(ops.memory_usage())
    assert total == pytest.approx(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), rel=0.1)
    assert used + available == pytest.approx(total, rel=0.01)


def test_load_average_names_the_load_and_the_cores() -> None:
    before, answer, after = os.getloadavg(), ops.load_average(), os.getloadavg()
    loads = [float(number) for number in re.findall(r"\d+\.\d\d", answer)]
    assert loads in [[round(load, 2) for load in then] for then in (before, after)]
    assert f"on {os.cpu_count()} processor cores" in answer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "deep" / "deeper").mkdir(parents=True)
    for name, kilobytes in {"small": 8, "deep/big": 800, "deep/deeper/middle": 80}.items():
        (tmp_path / name).write_bytes(os.urandom(kilobytes * 1024))
    return tmp_path


def test_biggest_files_come_in_order_from_all_folders_below(folder: Path) -> None:
    answer = ops.biggest_files(str(folder))
    assert re.findall(r"(\w+)$", answer, re.MULTILINE) == ["big", "middle", "small"]
    assert sizes(answer) == pytest.approx([800 * 1024, 80 * 1024, 8 * 1024], rel=0.2, abs=4096)


def test_biggest_files_lists_as_many_as_asked_for(folder: Path) -> None:
    assert ops.biggest_files(str(folder), 1).count("\n") == 0


def test_biggest_files_follows_no_links(folder: Path) -> None:
    inside = folder / "deep" / "deeper"
    (inside / "up").symlink_to(folder)
    (inside / "other").symlink_to(folder / "small")
    assert re.findall(r"(\w+)$", ops.biggest_files(str(inside)), re.MULTILINE) == ["middle"]


def test_biggest_files_is_not_fooled_by_a_sparse_file(folder: Path) -> None:
    with (folder / "hollow").open("wb") as hollow:
        hollow.truncate(2**40)
    assert ops.biggest_files(str(folder), 1).endswith("big")


def test_a_folder_that_cannot_be_read_is_left_out_and_told(folder: Path) -> None:
    at = os.open(folder, os.O_RDONLY)
    for _ in range(20):  # deeper than any path may be long: that even root cannot open
        os.mkdir("x" * 250, dir_fd=at)
        below = os.open("x" * 250, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)
    answer = ops.biggest_files(str(folder))
    assert "deep/big\n" in answer
    assert answer.endswith("\n1 folders could not be read.")


def test_biggest_files_stops_at_its_bound_and_says_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ops, "MAX_ENTRIES", 3)
    assert "Stopped after 3 files and folders" in ops.biggest_files(str(folder))


def test_an_empty_folder_has_no_files_and_a_missing_one_is_an_error(tmp_path: Path) -> None:
    assert ops.biggest_files(str(tmp_path)) == f"There are no files in {tmp_path}."
    with pytest.raises(ToolError, match="is not a folder"):
        ops.biggest_files(str(tmp_path / "missing"))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    file = tmp_path / "service.log"
    rows = [f"12:00:{i:02} {'ERROR disk [full' if i % 10 == 5 else 'ok'} no. {i}" for i in range(60)]
    file.write_text("\n".join(rows))
    return file


def test_search_log_shows_the_newest_lines_with_the_text(log: Path) -> None:
    head, *lines = ops.search_log(str(log), "error disk [", 2).splitlines()
    assert head.startswith(f"6 lines of {log} have 'error disk [', the newest 2")
    assert lines == ["12:00:45 ERROR disk [full no. 45", "12:00:55 ERROR disk [full no. 55"]


def test_search_log_reads_no_more_than_the_end(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ops, "MAX_LOG_BYTES", 300)
    assert ops.search_log(str(log), "error").splitlines()[1:] == ["12:00:55 ERROR disk [full no. 55"]


def test_search_log_survives_bytes_and_endless_lines(log: Path) -> None:
    log.write_bytes(b"\xff\xfe error \x00\n" + b"x" * 1_000_000 + b" error\n")
    answer = ops.search_log(str(log), "error")
    assert answer.startswith("2 lines")
    assert len(answer) < 1000


def test_search_log_says_when_there_is_nothing(log: Path) -> None:
    assert ops.search_log(str(log), "panic") == f"No line of {log} has 'panic'."


@pytest.mark.parametrize("path", ["/no/such.log", "/dev/zero", "/"])
def test_search_log_refuses_what_is_no_file(path: str) -> None:
    with pytest.raises(ToolError, match=f"{path}'"):
        ops.search_log(path, "error")


def test_find_process_finds_a_process_and_not_itself() -> None:
    name = f"needle-{os.getpid()}"
    program = [
        sys.executable,
        "-c",
        "import sys; print('up', flush=True); sys.stdin.read()",
        name,
        "--password=secret",
    ]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()  # until then it may still be a copy of this process
        answer = ops.find_process(name.upper())
        process.communicate()
    assert answer.startswith(f"pid {process.pid} ")
    assert answer.count("pid ") == 1
    assert answer.endswith(name)
    assert "secret" not in answer
    assert sizes(answer)[0] > 2**20
    assert ops.find_process(name) == f"No running process has {name!r} in its command line."


@pytest.mark.parametrize(
    ("expression", "result"),
    {
        "(3 + 4) * 2.5": "17.5",
        "0.1 + 0.2": "0.3",
        "2 ** 10": "1024",
        "2^10": "1024",
        "7 // 2 - 7 % 4": "0",
        "-3 + +5": "2",
        "10 / 4": "2.5",
        "sqrt(16) + abs(-2)": "6",
        "max(1, 2, 3) * min(4, 5)": "12",
        "round(2 * pi, 2)": "6.28",
        "log(e)": "1",
        "2 ** 200": str(2**200),
        " 1 ": "1",
    }.items(),
)
def test_calculate(expression: str, result: str) -> None:
    assert calculator.calculate(expression).removeprefix(f"{expression} = ") == result


@pytest.mark.parametrize(
    "expression",
    [
        "9**9**9",
        "2 ** 5000",
        "10.0 ** 1000",
        "*".join(["9**999"] * 5),
        "1e308 * 10",
        "1 / 0",
        "(-8) ** 0.5",
        "sqrt(-1)",
        "log(0)",
        "min()",
        "1 +",
        "",
        "1 if 2 else 3",
        "True + 1",
        "'a' * 10**9",
        "[1] * 9",
        "x + 1",
        "__import__('os').getpid()",
        "(1).__class__",
        "max(*[1])",
        "round(number=1)",
        "(lambda: 1)()",
        "(" * 300 + "1" + ")" * 300,
        "-" * 500 + "1",
        "1+" * 250 + "1",
        "1\0",
    ],
)
def test_calculate_refuses_in_words_for_the_model(expression: str) -> None:
    with pytest.raises(ToolError) as caught:
        calculator.calculate(expression)
    assert len(str(caught.value)) < 700


@pytest.mark.parametrize(
    ("value", "from_unit", "to_unit", "result"),
    [
        (26.2, "miles", "km", 42.1648128),
        (1, "Inch", "cm", 2.54),
        (6, "feet", "m", 1.8288),
        (5, "lbs", "kg", 2.26796185),
        (100, "°C", "F", 212),
        (-40, "fahrenheit", "celsius", -40),
        (0, "K", "c", -273.15),
        (1, "GiB", "MB", 1073.741824),
        (100, "Mbit", "MB", 12.5),
        (1.5, "hours", "minutes", 90),
        (250, "ms", "s", 0.25),
        (100, "km/h", "mph", 62.13711922),
        (1, "gallon", "litres", 3.785411784),
        (1, "hectare", "m2", 10000),
    ],
)
def test_convert_units(value: float, from_unit: str, to_unit: str, result: float) -> None:
    answer = calculator.convert_units(value, from_unit, to_unit)
    assert answer == f"{value:.10g} {from_unit} = {result:.10g} {to_unit}"


def test_an_unknown_unit_is_answered_with_near_ones() -> None:
    with pytest.raises(ToolError, match=r"no unit 'milles'.*\bmile\b"):
        calculator.convert_units(1, "milles", "km")
    with pytest.raises(ToolError, match=r"no unit 'zzz'.*\bcelsius\b"):
        calculator.convert_units(1, "km", "zzz")


def test_units_of_different_kinds_are_refused() -> None:
    with pytest.raises(ToolError, match="km is a unit of length, but kg one of mass"):
        calculator.convert_units(1, "km", "kg")
