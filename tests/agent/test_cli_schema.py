"""`gemmagraph schema`."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from gemmagraph.cli import main
from gemmagraph.tools.declared.format import assistant_schema, tools_schema


@pytest.mark.parametrize(("args", "expected"), [([], assistant_schema), (["--tools"], tools_schema)])
def test_the_schema_is_printed_or_written(args: list[str], expected, tmp_path: Path) -> None:
    printed = CliRunner().invoke(main, ["schema", *args])
    file = tmp_path / "it.json"
    written = CliRunner().invoke(main, ["schema", *args, "-o", str(file)])
    assert (printed.exit_code, written.exit_code, written.output) == (0, 0, "")
    assert json.loads(printed.stdout) == json.loads(file.read_text()) == expected()
    assert printed.stdout == file.read_text()
