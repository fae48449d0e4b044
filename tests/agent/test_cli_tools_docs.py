"""`gemmagraph tools docs`."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from gemmagraph.cli import main

FILE = """\
tools:
  - name: log
    description: "Shows a *log* | of <b>a service</b>."
    parameters:
      required: [service]
      properties:
        service: {type: string, enum: [web, worker], description: Which one.}
        lines: {type: integer, default: 30}
    shell: [no-such-program-anywhere, "{{ args.service }}"]
    annotations: {readOnlyHint: true}
    examples: [{user: "what says `web`?", args: {service: web}}]
  - name: lost
    python: ./nowhere.py:lost
toolsets:
  few: {tools: [log]}
  more: {extends: few, tools: ["l*"]}
"""
PAGE = r"""# Tools

| toolset | tools |
| --- | --- |
| `few` | `log` |
| `more` | those of `few`, `l*` |

## `log`

Shows a \*log\* \| of \<b\>a service\</b\>.

| argument | type | default | what it is |
| --- | --- | --- | --- |
| `service` | "web", "worker" | required | Which one. |
| `lines` | integer | `30` |  |

Changes nothing; runs without asking, unless a policy says otherwise. Acts by a program.

Not available here: the program no-such-program-anywhere is not on the PATH.

For example:

- what says \`web\`? → `log(service="web")`

## Not available

- `lost`: There is no file './nowhere.py'.
"""


def test_a_page_tells_people_what_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("assistant.yaml").write_text(FILE)
    printed = CliRunner().invoke(main, ["tools", "docs"])
    assert (printed.exit_code, printed.stdout) == (0, PAGE)
    kept = CliRunner().invoke(main, ["tools", "docs", "-o", "TOOLS.md"])
    assert (kept.exit_code, kept.output) == (0, "")
    assert Path("TOOLS.md").read_text() == PAGE
