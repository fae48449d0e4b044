"""What a schema from elsewhere may be: small, of references inside of itself, and quick to check."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from gemmagraph.prompts.checking.parameters import prepare
from gemmagraph.prompts.checking.schemas import changed
from gemmagraph.prompts.errors import NotationError
from gemmagraph.prompts.messages import JSON, ToolSpec
from gemmagraph.tools.errors import ToolDefinitionError
from gemmagraph.tools.imports.patterns import linear

MOST_BYTES: Final = 64 * 1024
MOST_PROPERTIES: Final = 500


def limited(name: str, parameters: Mapping[str, JSON]) -> dict[str, JSON]:
    """The parameters of the tool `name`, without the patterns that are not quick to match.

    Raises:
        ToolDefinitionError: they are too large, refer to something outside, or are no JSON Schema of an object.
    """
    try:
        size = len(json.dumps(parameters, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass"))
        count = _properties(parameters)
        if size > MOST_BYTES or count > MOST_PROPERTIES:
            raise ToolDefinitionError(
                f"The parameters of {name} are too large: {size:,} bytes and {count:,} properties.",
                hint=f"At most {MOST_BYTES:,} bytes and {MOST_PROPERTIES} properties are taken.",
            )
        found: dict[str, JSON] = changed(parameters, _quick)
        prepare(ToolSpec(name, "", found))
    except NotationError as problem:
        raise ToolDefinitionError(problem.message, hint=problem.hint) from problem
    except (RecursionError, TypeError, ValueError) as problem:
        raise ToolDefinitionError(f"The parameters of {name} are nested too deeply, or no JSON.") from problem
    return found


def _properties(schema: JSON) -> int:
    """How many there are, at every depth."""
    if isinstance(schema, list):
        return sum(map(_properties, schema))
    if not isinstance(schema, Mapping):
        return 0
    own = schema.get("properties")
    return (len(own) if isinstance(own, Mapping) else 0) + sum(map(_properties, schema.values()))


def _quick(schema: dict[str, JSON]) -> dict[str, JSON]:
    """One schema without slow patterns. Where these say which properties there may be, any may."""
    dropped = set()
    if isinstance(schema.get("pattern"), str) and not linear(schema["pattern"]):
        dropped = {"pattern"}
    keys = schema.get("patternProperties")
    if isinstance(keys, Mapping) and not all(map(linear, keys)):
        dropped |= {"patternProperties", "additionalProperties", "unevaluatedProperties"}
    return {keyword: value for keyword, value in schema.items() if keyword not in dropped}
