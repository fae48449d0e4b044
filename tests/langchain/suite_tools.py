"""LangChain's public suites on our tools, once for each way that a tool can act."""

import json
import sqlite3
import sys
from pathlib import Path

import pytest
import pytest_asyncio
from langchain_tests.integration_tests import ToolsIntegrationTests
from langchain_tests.unit_tests import ToolsUnitTests

sys.path.append(str(Path(__file__).parent.parent / "tools"))

from recorded import answered, recorded

from gemmagraph.assistant import load_assistant
from gemmagraph.tools import run_sync

PARAMETERS = "parameters: {required: [n], properties: {n: {type: integer}, q: {type: string, default: a}}}"
DECLARED = """
connections: {db: {sql: {dsn: "sqlite:///DATABASE", read_only: true}}}
tools:
  - {name: by_python, python: "./ops.py:look"}
  - name: by_http
    description: Looks.
    PARAMETERS
    http: {url: "SERVICE/things/{{ args.n }}", query: {q: "{{ args.q }}"}}
  - name: by_shell
    description: Looks.
    PARAMETERS
    shell: [PYTHON, -c, "import sys; print(sys.argv[1:])", "{{ args.n }}", "{{ args.q }}"]
    annotations: {readOnlyHint: true}
  - name: by_sql
    description: Looks.
    PARAMETERS
    sql: {connection: db, statement: "SELECT :n AS n, :q AS q"}
imports:
  - {openapi: ./api.json, include: [{operationId: by_openapi}], base_url: "SERVICE"}
  - mcp: {command: PYTHON, args: [-m, mcp_server_time, --local-timezone, UTC]}
    include: [get_current_time]
    overrides: {get_current_time: {name: by_mcp, annotations: {readOnlyHint: true}}}
"""
API = {
    "openapi": "3.1.0",
    "info": {"title": "Things", "version": "1"},
    "paths": {
        "/things/{n}": {
            "get": {
                "operationId": "by_openapi",
                "parameters": [
                    {"name": "n", "in": "path", "required": True, "schema": {"type": "integer"}},
                    {"name": "q", "in": "query", "schema": {"type": "string", "default": "a"}},
                ],
                "responses": {"200": {"description": "It is."}},
            }
        }
    },
}
OPS = '''
def look(n: int, q: str = "a") -> list[object]:
    """Looks."""
    return [n, q]
'''


@pytest.fixture(scope="session")
def declared(tmp_path_factory):
    """The tools by name, each as LangChain sees it."""
    folder = tmp_path_factory.mktemp("declared")
    (folder / "ops.py").write_text(OPS)
    (folder / "api.json").write_text(json.dumps(API))
    sqlite3.connect(folder / "x.db").close()
    answer = answered("[1, 2]", headers={"Content-Type": "application/json"})
    with recorded(lambda seen: answer) as server:
        text = DECLARED.replace("DATABASE", str(folder / "x.db")).replace("SERVICE", server.url)
        text = text.replace("PYTHON", sys.executable).replace("PARAMETERS", PARAMETERS)
        (folder / "assistant.yaml").write_text(text)
        assistant = load_assistant(folder / "assistant.yaml")
        tools = run_sync(assistant.open())
        assert assistant.unavailable == {}
        yield {tool.name: tool.as_langchain() for tool in tools}
        for tool in tools:
            if tool.body is not None:
                run_sync(tool.body.close())
        run_sync(assistant.close())


class Declared:
    tool_constructor = object

    @pytest_asyncio.fixture(params=["python", "http", "shell", "sql", "openapi", "mcp"])
    async def tool(self, request, declared):
        self.tool_invoke_params_example = {"timezone": "UTC"} if request.param == "mcp" else {"n": 3}
        face = declared[f"by_{request.param}"]
        yield face
        if face.original.body is not None:
            await face.original.body.close()  # what was opened in the event loop of this test


class TestUnit(Declared, ToolsUnitTests):
    tool_invoke_params_example = None  # the fixture says it


class TestIntegration(Declared, ToolsIntegrationTests):
    tool_invoke_params_example = None
