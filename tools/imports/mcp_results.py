"""What a tool of an MCP server answers, as a value or a text for the model. Pictures and sounds are named only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from gemmagraph.prompts.messages import JSON
from gemmagraph.tools.errors import BodyError
from gemmagraph.tools.imports.texts import readable

if TYPE_CHECKING:
    from mcp_types import CallToolResult

_MOST_OF_A_NAME: Final = 200
_MOST_OF_AN_ERROR: Final = 4_000


def value_of(result: CallToolResult, tool: str, *, structured: bool) -> JSON:
    """What a call gives back.

    Args:
        structured: whether the tool declares the shape of its results: then the value, if there is one, stands for
            the text.

    Raises:
        BodyError: the tool says that it failed.
    """
    value, text = result.structured_content, _text(result.content)
    if result.is_error:
        said = readable(text, _MOST_OF_AN_ERROR).strip() or f"The tool {tool} failed, and did not say why."
        raise BodyError(said, kinds=("error",), scope={"response": {"text": text, "json": value}})
    if value is not None and (structured or not text):
        return value
    return text


def _text(blocks: Sequence[Any]) -> str:
    return "\n".join(filter(None, map(_block, blocks)))


def _block(block: Any) -> str:
    match block.type:
        case "text":
            text: str = block.text
            return text
        case "image" | "audio":
            return _unseen(block.mime_type, block.data)
        case "resource":
            return _resource(block.resource)
        case "resource_link":
            return f"[{', '.join(_names(block.title or block.name, block.uri, block.mime_type))}]"
    return f"[{readable(str(block.type), _MOST_OF_A_NAME)}, not shown]"


def _resource(resource: Any) -> str:
    named = _names(resource.uri, resource.mime_type)
    text: str | None = getattr(resource, "text", None)
    if text is not None:
        return f"[{', '.join(named)}]\n{text}"
    return _unseen(", ".join(named), resource.blob)


def _names(*said: str | None) -> list[str]:
    return [readable(one, _MOST_OF_A_NAME) for one in said if one]


def _unseen(what: str, encoded: str) -> str:
    """A note in the place of what is encoded in base64."""
    count = len(encoded) * 3 // 4 - encoded[-2:].count("=")
    size = f"{count:,} bytes" if count < 1_000 else f"{count / 1_000:,.0f} kB"
    return f"[{readable(what, 2 * _MOST_OF_A_NAME)}, {size}, not shown]"
