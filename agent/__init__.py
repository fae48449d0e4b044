"""gemmagraph: tools for Google's open Gemma models, any generation, on any server.

Names are loaded when they are first used: `import gemmagraph` alone costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gemmagraph.agent import Agent as Agent
    from gemmagraph.approvals import Approval as Approval
    from gemmagraph.approvals import Approve as Approve
    from gemmagraph.approvals import Edit as Edit
    from gemmagraph.approvals import Reject as Reject
    from gemmagraph.approvals import Respond as Respond
    from gemmagraph.assistant import load_tools as load_tools
    from gemmagraph.backends import register_backend as register_backend
    from gemmagraph.chat import ChatGemma as ChatGemma
    from gemmagraph.errors import AgentError as AgentError
    from gemmagraph.errors import BackendError as BackendError
    from gemmagraph.errors import GemmagraphError as GemmagraphError
    from gemmagraph.fallback import Escalate as Escalate
    from gemmagraph.fallback import Fallback as Fallback
    from gemmagraph.limits import Limits as Limits
    from gemmagraph.model import Gemma as Gemma
    from gemmagraph.policy import Policy as Policy
    from gemmagraph.policy import Rule as Rule
    from gemmagraph.prompts.catalog import register_family as register_family
    from gemmagraph.prompts.notation import register_notation as register_notation
    from gemmagraph.run import CallRecord as CallRecord
    from gemmagraph.run import Result as Result
    from gemmagraph.tools import Tool as Tool
    from gemmagraph.tools import ToolContext as ToolContext
    from gemmagraph.tools import ToolError as ToolError
    from gemmagraph.tools import tool as tool
    from gemmagraph.tools import tool_from_schema as tool_from_schema
    from gemmagraph.tools.bodies.http_connection import HttpConnection as HttpConnection
    from gemmagraph.tools.declared.problems import FileErrors as FileErrors
    from gemmagraph.tools.declaring import http_tool as http_tool
    from gemmagraph.tools.declaring import shell_tool as shell_tool
    from gemmagraph.tools.declaring import sql_tool as sql_tool
    from gemmagraph.tools.guards.databases import SqlConnection as SqlConnection
    from gemmagraph.tools.guards.paths import Root as Root
    from gemmagraph.tools.guards.transport import guarded_client as guarded_client
    from gemmagraph.tools.imports.mcp import mcp_tools as mcp_tools
    from gemmagraph.tools.imports.openapi import openapi_tools as openapi_tools

__version__ = "0.1.0"

_HOMES = {
    "Agent": "agent",
    "AgentError": "errors",
    "Approval": "approvals",
    "Approve": "approvals",
    "BackendError": "errors",
    "CallRecord": "run",
    "ChatGemma": "chat",
    "Edit": "approvals",
    "Escalate": "fallback",
    "Fallback": "fallback",
    "FileErrors": "tools.declared.problems",
    "Gemma": "model",
    "GemmagraphError": "errors",
    "HttpConnection": "tools.bodies.http_connection",
    "Limits": "limits",
    "Policy": "policy",
    "Reject": "approvals",
    "Respond": "approvals",
    "Result": "run",
    "Root": "tools.guards.paths",
    "Rule": "policy",
    "SqlConnection": "tools.guards.databases",
    "Tool": "tools",
    "ToolContext": "tools",
    "ToolError": "tools",
    "guarded_client": "tools.guards.transport",
    "http_tool": "tools.declaring",
    "load_tools": "assistant",
    "mcp_tools": "tools.imports.mcp",
    "openapi_tools": "tools.imports.openapi",
    "register_backend": "backends",
    "register_family": "prompts.catalog",
    "register_notation": "prompts.notation",
    "shell_tool": "tools.declaring",
    "sql_tool": "tools.declaring",
    "tool": "tools",
    "tool_from_schema": "tools",
}
"""Where each public name lives."""

__all__ = [
    "Agent",
    "AgentError",
    "Approval",
    "Approve",
    "BackendError",
    "CallRecord",
    "ChatGemma",
    "Edit",
    "Escalate",
    "Fallback",
    "FileErrors",
    "Gemma",
    "GemmagraphError",
    "HttpConnection",
    "Limits",
    "Policy",
    "Reject",
    "Respond",
    "Result",
    "Root",
    "Rule",
    "SqlConnection",
    "Tool",
    "ToolContext",
    "ToolError",
    "__version__",
    "guarded_client",
    "http_tool",
    "load_tools",
    "mcp_tools",
    "openapi_tools",
    "register_backend",
    "register_family",
    "register_notation",
    "shell_tool",
    "sql_tool",
    "tool",
    "tool_from_schema",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'gemmagraph' has no attribute {name!r}")
    found = getattr(import_module(f"gemmagraph.{home}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
