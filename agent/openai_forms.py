"""What LangChain passes to a chat model in OpenAI's forms: which tool to call, and what form the answer has to have.

An answer of a given form is asked for as the arguments of a call, which is held to its schema and checked as every
call is, and is then told as the text that LangChain reads.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gemmagraph.errors import AgentError
from gemmagraph.output import GIVE
from gemmagraph.prompts.messages import Reply, ToolSpec


def choice_of(choice: str | bool | Mapping[str, Any] | None) -> str:
    """LangChain's and OpenAI's ways to say whether to call, as one of ours.

    Raises:
        AgentError: it is none of them.
    """
    if choice is None or choice is False:
        return "auto"
    if choice is True or choice == "any":
        return "required"
    if isinstance(choice, str):
        return choice
    name = choice.get("function", choice).get("name") if isinstance(choice, Mapping) else None
    if not isinstance(name, str):
        raise AgentError(f"tool_choice is {choice!r}.", hint="Say auto, any, none, or the name of a tool.")
    return name


def answer_of(form: Mapping[str, Any] | None) -> ToolSpec | None:
    """The tool that takes an answer of this form: OpenAI's `response_format` with a JSON Schema. None if any will do.

    Raises:
        AgentError: it is no such form.
    """
    if form is None or form == {"type": "text"}:
        return None
    described = form.get("json_schema") if isinstance(form, Mapping) else None
    schema = described.get("schema") if isinstance(described, Mapping) else None
    if not isinstance(described, Mapping) or not isinstance(schema, Mapping):
        raise AgentError(
            f"response_format is {form!r}.",
            hint='Say {"type": "json_schema", "json_schema": {"name": …, "schema": …}}.',
        )
    description = described.get("description") or schema.get("description") or ""
    return ToolSpec(described.get("name") or "answer", f"{GIVE} {description}".strip(), dict(schema))


def answered(reply: Reply, answer: ToolSpec) -> Reply:
    """The reply with the answer as its text, where it was given and nothing else is called."""
    others = tuple(call for call in reply.calls if call.name != answer.name)
    given = [call for call in reply.calls if call.name == answer.name]
    if not given:
        return reply
    text = reply.text if others else json.dumps(dict(given[-1].arguments), ensure_ascii=False)
    return replace(reply, text=text, calls=others, repaired=True)


def function_of(tool: Mapping[str, Any]) -> ToolSpec:
    """A tool in OpenAI's form.

    Raises:
        AgentError: it is no function.
    """
    spec = tool.get("function")
    if not isinstance(spec, Mapping) or not isinstance(spec.get("name"), str):
        raise AgentError(f"{str(tool)[:80]} is no function.", hint="Bind functions: no server runs tools of its own.")
    return ToolSpec(spec["name"], spec.get("description") or "", spec.get("parameters") or {})
