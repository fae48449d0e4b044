"""The package as others get it: what is in wheel and sdist, and that every way of installing it works."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = {"agent": "gemmagraph", "tools": "gemmagraph/tools", "prompts": "gemmagraph/prompts"}

USE_IT = """
import importlib, pathlib, pkgutil, sys
import gemmagraph

for found in pkgutil.walk_packages(gemmagraph.__path__, "gemmagraph."):
    # The first is a program, the next are for pytest, the others are for extras.
    ours = ("__main__", "pytest_plugin", "conformance", "asking", "gemini.client", "telegram.api")
    of_mcp = ("mcp_failures", "mcp_streams", "mcp_process", "mcp_http", "mcp_session")
    of_discord = ("discord.client", "discord.events", "discord.listening")
    if not found.name.endswith((*ours, *of_mcp, *of_discord)):
        importlib.import_module(found.name)


@gemmagraph.tool(read_only=True)
def disk_space(path: str = "/") -> str:
    '''How full is the disk that holds this path?'''
    return f"{path} is 42 % full"


answer = gemmagraph.Agent("builtin", [disk_space]).run("how full is the disk?")
assert "42 % full" in answer.text, answer
print(pathlib.Path(gemmagraph.__file__).resolve())
"""


def run(*command: object, cwd: Path, limit: float = 120) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    ran = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=limit,
    )
    assert ran.returncode == 0, ran.stdout
    return ran.stdout


def copy_of_the_tree(place: Path) -> Path:
    """The files as in a fresh clone: building writes beside them."""
    left_out = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__")
    return Path(shutil.copytree(ROOT, place / "gemmagraph-source", ignore=left_out))


def environment(place: Path) -> Path:
    """The Python of a new environment, which sees the libraries that are installed here, but not our package."""
    run(sys.executable, "-m", "venv", "--without-pip", place, cwd=place.parent)
    python = place / "bin" / "python"
    site_packages = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=place).strip()
    # A line of a .pth file adds a folder to the path, without the .pth files that lie in that folder: that of
    # our own editable install among them.
    Path(site_packages, "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The sdist, and the wheel built from it."""
    place = tmp_path_factory.mktemp("distributions")
    source = copy_of_the_tree(place)
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", place / "dist", cwd=source)
    wheel, sdist = sorted((place / "dist").iterdir(), key=lambda file: file.suffix, reverse=True)
    assert (wheel.suffix, sdist.suffix) == (".whl", ".gz")
    return {"wheel": wheel, "sdist": sdist}


def test_wheel_holds_the_rooms_and_nothing_else(distributions: dict[str, Path]) -> None:
    with zipfile.ZipFile(distributions["wheel"]) as wheel:
        names = set(wheel.namelist())
    kept = {name for name in names if ".dist-info/" not in name}
    assert kept == {
        f"{package}/{file.relative_to(ROOT / room).as_posix()}"
        for room, package in ROOMS.items()
        for file in (ROOT / room).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert "gemmagraph/py.typed" in kept
    assert any(name.startswith("gemmagraph/prompts/templates/") for name in kept)
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_sdist_holds_what_it_takes_to_build_and_test(distributions: dict[str, Path]) -> None:
    with tarfile.open(distributions["sdist"]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert {"LICENSE", "CHANGELOG.md", "README.md", "pyproject.toml", "tests/test_package.py"} <= names
    assert {file.relative_to(ROOT).as_posix() for room in ROOMS for file in (ROOT / room).rglob("*.py")} <= names
    assert not [name for name in names if "__pycache__" in name or name.startswith(("build/", "benchmarks/"))]


@pytest.mark.long
@pytest.mark.parametrize("way", ["wheel", "sdist", "editable", "strict editable"])
def test_installed_package_works_outside_of_the_repository(
    way: str, distributions: dict[str, Path], tmp_path: Path
) -> None:
    python = environment(tmp_path / "environment")
    home = python.parent.parent
    if way in distributions:
        what: list[str | Path] = [distributions[way]]
    else:
        home = copy_of_the_tree(tmp_path)
        what = ["--editable", home, "--config-settings", f"editable_mode={'strict' if 'strict' in way else ''}"]
    pip = (sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check")
    # Without --ignore-installed, pip would remove the gemmagraph that shows through from the tests' own environment.
    run(*pip, "install", "--no-index", "--no-deps", "--no-build-isolation", "--ignore-installed", *what, cwd=tmp_path)
    assert Path(run(python, "-c", USE_IT, cwd=tmp_path).splitlines()[-1]).is_relative_to(home)
    assert "Usage" in run(python.with_name("gemmagraph"), "--help", cwd=tmp_path)


@pytest.mark.long
def test_wheel_works_in_an_empty_environment_with_what_it_depends_on(
    distributions: dict[str, Path], tmp_path: Path
) -> None:
    run(sys.executable, "-m", "venv", tmp_path / "environment", cwd=tmp_path)
    python = tmp_path / "environment" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", distributions["wheel"], cwd=tmp_path, limit=240)
    assert Path(run(python, "-c", USE_IT, cwd=tmp_path).splitlines()[-1]).is_relative_to(tmp_path)
    assert "Usage" in run(python.with_name("gemmagraph"), "--help", cwd=tmp_path)
