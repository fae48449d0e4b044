"""What it costs to make a file of a hundred tools into tools, beside libyaml alone on the same file."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from measure import Effort, Row, cpu, in_turns, milliseconds, ratio, settle

_MANY = 100
_MOST = 3
_OPS = '''
def orders(customer: int, status: str = "open", limit: int = 5) -> list[str]:
    """Orders of one customer.

    Args:
        customer: Which one.
    """
    return []
'''
_HEAD = """
instructions: You help the on-call engineer of the shop.
connections:
  shop: {http: {base_url: "http://127.0.0.1:9"}}
  db: {sql: {dsn: "sqlite:///DATABASE", read_only: true}}
defaults: {timeout: 10s, retries: 2, result: {max_chars: 2000, on_overflow: spill}}
policy:
  - {tool: "http_*", args: {status: shipped}, then: ask}
toolsets:
  web: {tools: ["http_*"]}
tools:
"""
_TOOL = """
  - name: {kind}_orders_{number}
    description: Orders of one customer in warehouse {number}, newest first.
    parameters:
      required: [customer]
      properties:
        customer: {{type: integer, description: Which customer}}
        status:   {{type: string, enum: [open, shipped, cancelled], default: open}}
        limit:    {{type: integer, minimum: 1, maximum: 20, default: 5}}
    {body}
    annotations: {{readOnlyHint: true}}
    result: {{select: "[].id", max_chars: 3000}}
    errors: {{404: "There is no customer {{{{ args.customer }}}}."}}
    examples:
      - {{user: "what did customer 42 buy lately?", args: {{customer: 42}}}}
"""
_BODIES = {
    "python": "python: ./ops.py:orders",
    "http": """http:
      connection: shop
      path: "/customers/{{ args.customer }}/orders"
      query: {status: "{{ args.status }}", limit: "{{ args.limit }}"}
      expect: [200]""",
    "shell": 'shell: [ls, "--lines={{ args.limit }}", "--status={{ args.status }}", "--", "{{ args.customer }}"]',
    "sql": """sql:
      connection: db
      statement: |
        SELECT id, status, total FROM orders
        WHERE customer_id = :customer AND (:status IS NULL OR status = :status)
        ORDER BY created_at DESC LIMIT :limit""",
}


def rows(effort: Effort) -> list[Row]:
    import yaml

    from gemmagraph.assistant import load_assistant

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "ops.py").write_text(_OPS)
        with closing(sqlite3.connect(folder / "orders.db")) as connection:
            connection.execute("CREATE TABLE orders (id, status, total, customer_id, created_at)")
        text = _HEAD.replace("DATABASE", str(folder / "orders.db")) + "".join(map(_tool, range(_MANY)))
        file = folder / "assistant.yaml"
        file.write_text(text, "utf-8")

        def ours() -> None:
            assistant = load_assistant(file)
            tools = asyncio.run(assistant.open())
            assert len(tools) == _MANY + 1, assistant.unavailable  # and `read_more`

        sides = {
            "ours": cpu(ours, effort.seconds),
            "libyaml": cpu(lambda: yaml.load(text, yaml.CSafeLoader), effort.seconds),
        }
        settle()
        seconds = in_turns(sides, effort.rounds)
    found = ratio(seconds, "ours", "libyaml")
    return [
        Row(
            f"a file of {_MANY} tools ({len(text) // 1000} kB) made into tools",
            milliseconds(seconds["ours"]),
            f"CSafeLoader alone {milliseconds(seconds['libyaml'])}",
            found,
            reach=f"≤ {_MOST}",
            met=found.median <= _MOST,
        )
    ]


def _tool(number: int) -> str:
    kinds = list(_BODIES)
    kind = kinds[number % len(kinds)]
    return _TOOL.format(kind=kind, number=number, body=_BODIES[kind])
