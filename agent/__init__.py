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
    from gemmagraph.backends import register_backend as register_backend
    from gemmagraph.chat import ChatGemma as ChatGemma
    from gemmagraph.errors import AgentError as AgentError
    from gemmagraph.errors import BackendError as BackendError
    from gemmagraph.errors import GemmagraphError as GemmagraphError
    from gemmagraph.fallback import Escalate as Escalate
    from gemmagraph.fallback import Fallback as Fallback
    from gemmagraph.limits import Limits as Limits
    from gemmagraph.model import Gemma as Gemma
    from gemmagraph.prompts.catalog import register_family as register_family
    from gemmagraph.prompts.notation import register_notation as register_notation
    from gemmagraph.run import CallRecord as CallRecord
    from gemmagraph.run import Result as Result
    from gemmagraph.tools import Tool as Tool
    from gemmagraph.tools import ToolContext as ToolContext
    from gemmagraph.tools import ToolError as ToolError
    from gemmagraph.tools import tool as tool
    from gemmagraph.tools import tool_from_schema as tool_from_schema

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
    "Gemma": "model",
    "GemmagraphError": "errors",
    "Limits": "limits",
    "Reject": "approvals",
    "Respond": "approvals",
    "Result": "run",
    "Tool": "tools",
    "ToolContext": "tools",
    "ToolError": "tools",
    "register_backend": "backends",
    "register_family": "prompts.catalog",
    "register_notation": "prompts.notation",
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
    "Gemma",
    "GemmagraphError",
    "Limits",
    "Reject",
    "Respond",
    "Result",
    "Tool",
    "ToolContext",
    "ToolError",
    "__version__",
    "register_backend",
    "register_family",
    "register_notation",
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
