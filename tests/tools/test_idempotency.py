"""A call is the same call however often it is tried, and the other side can tell."""

from __future__ import annotations

import asyncio

import pytest
from recorded import Seen, answered, recorded

from gemmagraph.tools import ToolContext
from gemmagraph.tools.declaring import http_tool

CALL = ToolContext(idempotency_key="m_1-0")
SCHEMA = {"properties": {"text": {"type": "string"}}}


def keys(seen: list[Seen]) -> list[str | None]:
    return [{name.lower(): value for name, value in request.headers}.get("idempotency-key") for request in seen]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_each_try_of_a_call_has_its_key(method: str) -> None:
    replies = iter([answered(b"", "503 Service Unavailable"), answered(b"ok")])
    with recorded(lambda seen: next(replies)) as server:
        tool = http_tool(
            "say", "Says.", SCHEMA, base_url=server.url, path="/x", method=method, idempotent=True, retries=1
        )
        assert asyncio.run(tool.run({"text": "a"}, CALL)).status == "ok"
    assert keys(server.requests) == ["m_1-0", "m_1-0"]


def test_a_request_that_reads_has_none_and_a_declared_one_counts() -> None:
    with recorded() as server:
        read = http_tool("read", "Reads.", SCHEMA, base_url=server.url, path="/x")
        own = http_tool(
            "say",
            "Says.",
            SCHEMA,
            base_url=server.url,
            path="/x",
            json={},
            headers={"Idempotency-Key": "{{ args.text }}"},
        )
        asyncio.run(read.run({"text": "a"}, CALL))
        asyncio.run(own.run({"text": "mine"}, CALL))
    assert keys(server.requests) == [None, "mine"]
