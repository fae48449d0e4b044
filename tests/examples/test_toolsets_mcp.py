"""mcp_time.yaml, with the server of the package index as a program beside us."""

from __future__ import annotations

import os
import re
import shutil
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gemmagraph import Agent, Approve, Gemma, Reject
from gemmagraph.backends.scripted import ScriptedBackend

if TYPE_CHECKING:
    from conftest import Toolset, Toolsets

PROGRAMS = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
needs_server = pytest.mark.skipif(
    not shutil.which("mcp-server-time", path=PROGRAMS), reason="the server is missing: pip install mcp-server-time"
)


@pytest.fixture
def server(toolsets: Toolsets) -> Toolset:
    return toolsets("mcp_time", PATH=PROGRAMS)


@needs_server
def test_the_servers_tools_have_the_names_and_marks_of_the_file(server: Toolset) -> None:
    assert server.keys() == {"mcp_current_time", "mcp_convert_time"}
    assert server.asking == {"mcp_convert_time"}
    assert server["mcp_current_time"].kind == "mcp"


@needs_server
def test_the_server_tells_the_time(server: Toolset) -> None:
    told = str(server.told("mcp_current_time", timezone="Asia/Tokyo"))
    found = re.search(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+09:00", told)
    assert found, told
    assert abs(datetime.fromisoformat(found[0]) - datetime.now(UTC)) < timedelta(minutes=1)
    assert "Nowhere" in server.refused("mcp_current_time", timezone="Nowhere/Land")


@needs_server
@pytest.mark.parametrize(
    "decision",
    [pytest.param(Reject("No."), id="rejected"), pytest.param(Approve(), id="approved", marks=pytest.mark.long)],
)
def test_a_tool_that_the_file_says_nothing_of_asks(server: Toolset, decision: Approve | Reject) -> None:
    call = 'mcp_convert_time(source_timezone="UTC", time="12:00", target_timezone="Asia/Tokyo")'
    model = ScriptedBackend([f"FUNCTION_CALL: {call}", "Done."])
    with Agent(Gemma(model), list(server.values()), approve=lambda approval: decision) as agent:
        told = str(agent.run("When is noon in Tokyo?").messages[-2].content)
    assert ("T21:00:00" in told) is isinstance(decision, Approve)


def test_without_the_server_its_tools_are_left_out(toolsets: Toolsets, tmp_path: Path) -> None:
    assert toolsets("mcp_time", PATH=tmp_path) == {}
