"""What users see is typed as promised: mypy reads the files in `typing/` against the installed package."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.long
def test_type_checkers_see_the_public_names_as_promised() -> None:
    command = [sys.executable, "-m", "mypy", "tests/typing"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert ran.returncode == 0, ran.stdout + ran.stderr
