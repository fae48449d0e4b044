"""Signature + docstring -> ToolSpec, and the plan by which a call's arguments reach the function."""

from __future__ import annotations

import contextlib
import functools
import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import Parameter
from types import UnionType
from typing import Annotated, Any, Optional, Union

from gemmagraph.prompts.errors import InvalidArguments
from gemmagraph.prompts.messages import JSON, ToolSpec
from gemmagraph.tools.context import ToolContext
from gemmagraph.tools.defaults import Defaults
from gemmagraph.tools.docstrings import parse_docstring
from gemmagraph.tools.errors import ToolDefinitionError
from gemmagraph.tools.hints import Convert, HintReader
from gemmagraph.tools.results import as_json

MAX_REFUSAL = 240
"""Characters of a message about wrong arguments, as for those that the schema finds."""

_TYPE_HINT = "Use a type that JSON can hold, or a pydantic model."


@dataclass(frozen=True, slots=True)
class CallPlan:
    """How checked arguments become a call of the function. Made once per tool."""

    converts: tuple[tuple[str, Convert], ...] = ()
    positional: tuple[tuple[str, object], ...] = ()
    """Positional-only parameters, with the default of each."""
    contexts: tuple[str, ...] = ()
    """Parameters that get the `ToolContext`."""
    defaults: Defaults | None = None
    """Fills in what a given schema has defaults for."""

    def bind(self, arguments: Mapping[str, JSON], context: ToolContext) -> tuple[list[object], dict[str, object]]:
        """The positional and keyword arguments for the function.

        Raises:
            InvalidArguments: a type refuses a value that its schema admits; the message is for the model.
        """
        values: dict[str, object] = dict(self.defaults.fill(arguments) if self.defaults else arguments)
        for name, convert in self.converts:
            if name in values:
                try:
                    values[name] = convert(values[name])
                except (ValueError, LookupError, OverflowError) as exc:
                    raise InvalidArguments(refusal(exc, name)) from exc
        for name in self.contexts:
            values[name] = context
        return [values.pop(name, default) for name, default in self.positional], values


def read_function(function: Callable[..., Any]) -> tuple[ToolSpec, CallPlan]:
    """What the model is told about `function`, and how it is called.

    Raises:
        ToolDefinitionError: a parameter cannot be declared to a model.
    """
    parameters = _parameters(function)
    hints = _resolved(function, parameters)
    contexts = tuple(name for name, hint in hints.items() if _is_context(hint))
    shown = [parameter for parameter in parameters if parameter.name not in contexts]
    docstring = parse_docstring(_docstring(function), [parameter.name for parameter in parameters])

    reader = HintReader()
    properties: dict[str, dict[str, JSON]] = {}
    converts: list[tuple[str, Convert]] = []
    for parameter in shown:
        try:
            found = reader.read(_with_default(hints[parameter.name], parameter.default))
        except ToolDefinitionError as exc:
            raise ToolDefinitionError(
                f"Parameter {parameter.name!r} of {spelled(function)}: {exc.message}",
                hint=exc.hint or _TYPE_HINT,
            ) from exc
        properties[parameter.name] = found.schema
        if found.convert:
            converts.append((parameter.name, found.convert))
    try:
        defs = reader.definitions()
    except ToolDefinitionError as exc:
        raise ToolDefinitionError(f"{spelled(function)}: {exc.message}", hint=_TYPE_HINT) from exc
    for parameter in shown:
        _complete(
            properties[parameter.name],
            parameter.default,
            docstring.parameters.get(parameter.name),
            described_by_hint=typing.get_origin(hints[parameter.name]) is Annotated,
        )
    positional = [p for p in parameters if p.kind is Parameter.POSITIONAL_ONLY]
    plan = CallPlan(tuple(converts), tuple((p.name, p.default) for p in positional), contexts)
    required = [parameter.name for parameter in shown if parameter.default is Parameter.empty]
    bare = below_partials(function)
    name = getattr(bare, "__name__", type(bare).__name__)
    return ToolSpec(name, docstring.description, _object_schema(properties, required, defs)), plan


def fit_function(function: Callable[..., Any], parameters: Mapping[str, JSON]) -> CallPlan:
    """The plan for a function that takes the properties of a given schema, values as they are in JSON.

    Raises:
        ToolDefinitionError: the function does not take them.
    """
    properties: Mapping[str, JSON] = parameters["properties"]
    optional = [name for name, found in properties.items() if isinstance(found, Mapping) and "default" in found]
    defaults = Defaults(parameters, nulls=True)
    try:
        signature = inspect.signature(function)
    except (ValueError, TypeError):
        return CallPlan(defaults=defaults)
    hints = _resolved(function, list(signature.parameters.values()))
    contexts = tuple(name for name, hint in hints.items() if _is_context(hint))
    try:
        signature.bind(**dict.fromkeys([*parameters.get("required", []), *optional, *contexts]))
        signature.bind(**dict.fromkeys([*properties, *contexts]))
    except TypeError as exc:
        raise ToolDefinitionError(
            f"The schema does not fit the signature of {spelled(function)}: {exc}.",
            hint="Each property needs a parameter of its name, or **arguments that takes them all.",
        ) from exc
    return CallPlan(contexts=contexts, defaults=defaults)


def refusal(error: Exception, name: str = "") -> str:
    """What the model is told when a type refuses a value: which argument, and why."""
    details = getattr(error, "errors", None)  # pydantic's
    first = details()[0] if callable(details) else {"loc": (), "msg": str(error)}
    path = ".".join(map(str, ((name,) if name else ()) + tuple(first["loc"])))
    text = str(first["msg"]).removeprefix("Value error, ")
    return (f"Argument {path!r}: {text}" if path else text)[:MAX_REFUSAL]


def spelled(function: Callable[..., Any]) -> str:
    """`function` as a developer finds it: module and name."""
    target = target_of(function)
    return f"{getattr(target, '__module__', '?')}.{getattr(target, '__qualname__', repr(function))}()"


def target_of(function: Callable[..., Any]) -> Any:
    """What has name, hints and docstring: below partials; of an object without a name, its `__call__`."""
    function = below_partials(function)
    return function if hasattr(function, "__name__") else type(function).__call__


def below_partials(function: Callable[..., Any]) -> Callable[..., Any]:
    while isinstance(function, functools.partial):
        function = function.func
    return function


def _object_schema(
    properties: Mapping[str, JSON], required: Sequence[str], defs: Mapping[str, JSON]
) -> dict[str, JSON]:
    schema: dict[str, JSON] = {"type": "object", "properties": dict(properties)}
    if required:
        schema["required"] = list(required)
    schema["additionalProperties"] = False
    if defs:
        schema["$defs"] = dict(defs)
    return schema


def _is_context(hint: Any) -> bool:
    """Whether a parameter with this hint gets the `ToolContext`."""
    origin = typing.get_origin(hint)
    if origin is Annotated or origin is Union or origin is UnionType:
        return any(_is_context(member) for member in typing.get_args(hint))
    return hint is ToolContext


def _parameters(function: Callable[..., Any]) -> list[Parameter]:
    """The parameters that a caller of `function` gives: all but those that a partial has bound."""
    try:
        signature = inspect.signature(function)
    except (ValueError, TypeError) as exc:
        raise ToolDefinitionError(
            f"{spelled(function)} has no signature to read.", hint="Wrap it in a function with type hints."
        ) from exc
    bound: set[str] = set()
    while isinstance(function, functools.partial):
        bound.update(function.keywords)
        function = function.func
    parameters = [p for p in signature.parameters.values() if p.name not in bound]
    for parameter in parameters:
        if parameter.kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD):
            raise ToolDefinitionError(
                f"{spelled(function)} takes {str(parameter).split(':')[0]}: its arguments have no names.",
                hint="Give each argument a name and a type (a decorator below needs functools.wraps).",
            )
    first = parameters[0] if parameters else None
    if first and first.name in ("self", "cls") and first.annotation is Parameter.empty:
        raise ToolDefinitionError(
            f"{spelled(function)} is a method without its object.",
            hint="Make the tool from the bound method: tool(thing.method).",
        )
    return parameters


def _resolved(function: Callable[..., Any], parameters: Sequence[Parameter]) -> dict[str, Any]:
    """The parameters' hints, strings and forward references looked up; `Any` where there is none."""
    target = inspect.unwrap(target_of(function))
    names = getattr(target, "__globals__", {})

    def shim() -> None: ...

    # The result's hint is left out: it may name what is imported for the type checker only.
    shim.__annotations__ = {p.name: Any if p.annotation is Parameter.empty else p.annotation for p in parameters}
    try:
        try:
            return typing.get_type_hints(shim, names, include_extras=True)
        except NameError:
            return typing.get_type_hints(shim, {"ToolContext": ToolContext, **names}, include_extras=True)
    except (NameError, TypeError, SyntaxError) as exc:
        raise ToolDefinitionError(
            f"A type hint of {spelled(function)} cannot be looked up: {exc}.",
            hint="Define or import it at the top of the module, outside `if TYPE_CHECKING:`.",
        ) from exc


def _docstring(function: Callable[..., Any]) -> str | None:
    return target_of(function).__doc__ or below_partials(function).__doc__


def _with_default(hint: Any, default: object) -> Any:
    # `unit: str = None` has been common Python for long.
    return Optional[hint] if default is None and hint not in (Any, object) else hint  # noqa: UP045 - any hint


def _complete(schema: dict[str, JSON], default: object, text: str | None, *, described_by_hint: bool) -> None:
    """Adds what signature and docstring say to the schema of the parameter's type."""
    if text and not (described_by_hint and "description" in schema):
        schema["description"] = text
    if default is not Parameter.empty:
        # A default that JSON cannot say stays the function's own affair.
        with contextlib.suppress(TypeError):
            schema["default"] = as_json(default)
