"""Tools and answers in the forms that LangChain's people give them in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from langchain_core.messages import AIMessage
from langchain_core.output_parsers import JsonOutputParser, PydanticOutputParser
from langchain_core.runnables import Runnable, RunnableLambda, RunnableMap, RunnablePassthrough
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool
from langchain_core.utils.pydantic import is_basemodel_subclass

from gemmagraph.errors import AgentError
from gemmagraph.prompts.checking.schemas import changed
from gemmagraph.prompts.messages import JSON
from gemmagraph.tools.hints import model_schema
from gemmagraph.tools.langchain import LangChainTool


def declared(tool: Mapping[str, Any] | type | Callable[..., Any] | BaseTool) -> dict[str, Any]:
    """A tool in OpenAI's form.

    Of a pydantic class LangChain leaves out what is below a reference to itself, and of a JSON Schema all of it if
    there are no properties.

    Raises:
        AgentError: it is a JSON Schema, and not that of an object.
        ToolDefinitionError: it is a class whose values are no objects.
    """
    found: dict[str, Any] = convert_to_openai_tool(tool)
    function = found.get("function")
    if not isinstance(function, Mapping):
        return found
    form = tool.tool_call_schema if isinstance(tool, BaseTool) and tool.args_schema is not None else tool
    parameters = function.get("parameters")
    if isinstance(tool, LangChainTool):
        parameters = dict(tool.original.spec.parameters)
    elif isinstance(form, type) and is_basemodel_subclass(form):
        parameters = model_schema(form)
        parameters.pop("description", None)
    elif isinstance(tool, Mapping):
        parameters = parameters or _properties_of(tool)
    elif not isinstance(form, Mapping):
        parameters = changed(parameters, _as_python_takes)
    return {**found, "function": {**function, "parameters": parameters}} if parameters else found


def _properties_of(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters in a JSON Schema in which LangChain found none."""
    found = {key: value for key, value in schema.items() if key not in ("title", "description")}
    if "title" not in schema or not found:
        return {}
    if found.get("type") != "object":
        raise AgentError(
            f"The schema {schema['title']!r} is not that of an object.", hint="Put the value into a property."
        )
    return found


def _as_python_takes(schema: dict[str, JSON]) -> dict[str, JSON]:
    """A schema that was made of Python's types, whose times need no offset."""
    if schema.get("format") in ("date-time", "time"):
        return {**schema, "format": f"{schema['format']}-or-local"}
    return schema


def read_as_json(
    model: Runnable[Any, AIMessage], schema: Mapping[str, Any] | type, *, include_raw: bool
) -> Runnable[Any, Any]:
    """A model whose answers are read as JSON, and as values of a pydantic class where `schema` is one.

    Args:
        model: answers.
        schema: what the values are of.
        include_raw: give a dict of `raw`, `parsed` and `parsing_error` in place of the value alone.
    """
    parser: Runnable[Any, Any] = JsonOutputParser()
    if isinstance(schema, type) and is_basemodel_subclass(schema):
        parser = PydanticOutputParser(pydantic_object=schema)
    if not include_raw:
        return model | parser
    parsed = RunnablePassthrough.assign(
        parsed=RunnableLambda(lambda found: found["raw"]) | parser, parsing_error=lambda _: None
    )
    failed = RunnablePassthrough.assign(parsed=lambda _: None)
    return RunnableMap(raw=model) | parsed.with_fallbacks([failed], exception_key="parsing_error")
