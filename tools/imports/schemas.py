"""What a schema from elsewhere may be: small, of references inside of itself, quick to check, and all to be seen."""

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
from gemmagraph.tools.imports.texts import readable, smuggled

MOST_BYTES: Final = 64 * 1024
MOST_PROPERTIES: Final = 500
MOST_OF_A_TEXT: Final = 500
_VALUES: Final = frozenset({"$ref", "const", "default", "pattern"})
"""Keywords whose texts are used as they are. Any other is for readers."""


def limited(name: str, parameters: Mapping[str, JSON]) -> dict[str, JSON]:
    """The parameters of the tool `name`, without the patterns that are not quick to match, and without what cannot be
    seen in descriptions.

    Raises:
        ToolDefinitionError: they are too large, refer to something outside, hold names or values that cannot all be
            seen, or are no JSON Schema of an object.
    """
    try:
        size = len(json.dumps(parameters, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass"))
        count = _properties(parameters)
        if size > MOST_BYTES or count > MOST_PROPERTIES:
            raise ToolDefinitionError(
                f"The parameters of {name} are too large: {size:,} bytes and {count:,} properties.",
                hint=f"At most {MOST_BYTES:,} bytes and {MOST_PROPERTIES} properties are taken.",
            )
        found: dict[str, JSON] = changed(parameters, _tamed)
        if hidden := smuggled(found):
            raise ToolDefinitionError(
                f"The parameters of {name} have a character in a name or a value that nobody sees: {hidden}."
            )
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


def _tamed(schema: dict[str, JSON]) -> dict[str, JSON]:
    """One schema without slow patterns, its texts for readers cleaned. Where patterns say which properties there may
    be, any may."""
    dropped = set()
    if isinstance(schema.get("pattern"), str) and not _plain(schema["pattern"]):
        dropped = {"pattern"}
    keys = schema.get("patternProperties")
    if isinstance(keys, Mapping) and not all(map(_plain, keys)):
        dropped |= {"patternProperties", "additionalProperties", "unevaluatedProperties"}
    return {
        keyword: readable(value, MOST_OF_A_TEXT) if isinstance(value, str) and keyword not in _VALUES else value
        for keyword, value in schema.items()
        if keyword not in dropped
    }


def _plain(pattern: str) -> bool:
    """Whether a pattern is quick to match, and can be seen."""
    return not smuggled(pattern) and linear(pattern)
