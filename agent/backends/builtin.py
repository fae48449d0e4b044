"""The backend for when there is no model: a lexical matcher that writes `FUNCTION_CALL: name(arg="value")`.

It reads the last turn: of a person's request it makes at most a call or two, and tool results it repeats in
readable form. What it writes takes the same road as a model's output. It understands nothing, so only tools
that change nothing may be offered to it, and it says what it is whenever it cannot help.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

from gemmagraph.backends.base import Chunk, ModelInfo, Request, Transport
from gemmagraph.backends.matcher.matching import Incomplete, Matcher, is_declined
from gemmagraph.errors import BadRequest, ModelNotFound
from gemmagraph.prompts.messages import ToolCall, ToolResult, Turn
from gemmagraph.prompts.notation import read
from gemmagraph.prompts.notations.function_call import FunctionCall
from gemmagraph.prompts.toolset import Toolset
from gemmagraph.tools.shaping.texts import as_lines, as_value

WHAT_IT_IS = "This is the built-in matcher, no language model: it can only recognise which tool a request needs."
_PIECE = 80
"""Characters that come at a time."""
WHAT_HELPS = "For real answers start Ollama with a Gemma (`ollama pull gemma3:4b`), or name another model with `-m`."


class BuiltinBackend:
    """No language model. Deterministic; the same request always gives the same reply."""

    name = "builtin"
    label = "built-in matcher (no language model)"
    transports: frozenset[Transport] = frozenset({"chat", "completion"})
    read_only_tools = True

    def __init__(self) -> None:
        self._notation = FunctionCall()
        self._matcher = Matcher(Toolset())
        """Of the toolset that was asked for last: a run asks for the same one at every step."""

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """What it has to say. It has no tokens, so it counts none and keeps to no number of them."""
        self._refuse_other(request.model)
        _refuse_what_needs_a_model(request)
        last = request.turns[-1] if request.turns else None
        if last is not None and last.role == "tool":
            text = self._quoted(_told(_results(request.turns)), request.tools)
        else:
            text = self._answer(last.text if last is not None else "", request.tools)
        for begin in range(0, len(text), _PIECE):
            yield Chunk(text=text[begin : begin + _PIECE])
            await asyncio.sleep(0)
        yield Chunk(stop="stop")

    async def models(self) -> list[ModelInfo]:
        return [ModelInfo(self.name)]

    async def info(self, model: str) -> ModelInfo:
        self._refuse_other(model)
        return ModelInfo(self.name)

    async def close(self) -> None:
        pass

    def _refuse_other(self, model: str) -> None:
        if model != self.name:
            raise ModelNotFound(f"The built-in matcher has no model {model!r}.", hint="Say just 'builtin'.")

    def _answer(self, text: str, tools: Toolset) -> str:
        """The calls that a request asks for, or why there are none."""
        if self._matcher.tools is not tools:
            self._matcher = Matcher(tools)
        found = self._matcher.match(text)
        if found is None or isinstance(found, Incomplete):
            return self._quoted(_incomplete(found) if found else _no_call(text, tools), tools)
        calls = [ToolCall(str(order), one.tool, one.arguments) for order, one in enumerate(found)]
        return self._notation.write_calls(calls)

    def _quoted(self, text: str, tools: Toolset) -> str:
        """`text` so that it is read as nothing but text: a result may hold what looks like a call."""
        reply = read(self._notation, text, tools)
        if reply.text == text and not reply.calls and not reply.bad_calls:
            return text
        return "\n".join(f"> {line}".rstrip() for line in text.splitlines())


def _refuse_what_needs_a_model(request: Request) -> None:
    """Refuses what would be left out without a word.

    Raises:
        BadRequest: it would.
    """
    asks = {
        "declares no tools by itself": request.transport == "tools",
        "looks at no pictures": request.has_images,
        "holds no reply to a grammar or a JSON Schema": bool(request.grammar) or request.schema is not None,
    }
    for what in (what for what, is_asked in asks.items() if is_asked):
        raise BadRequest(f"The built-in matcher {what}.", hint=WHAT_HELPS)


def _no_call(text: str, tools: Toolset) -> str:
    refused = "No tool was called, as you asked. " if is_declined(text) else "No tool fits this request. "
    if not len(tools):
        return f"{WHAT_IT_IS} There is no tool that it may call. {WHAT_HELPS}"
    names = [spec.name for spec in tools]
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return f"{refused}{WHAT_IT_IS} The tools are: {shown}. {WHAT_HELPS}"


def _incomplete(found: Incomplete) -> str:
    wanted = [_wanted(param.name, str(param.schema.get("description", ""))) for param in found.missing]
    return (
        f"The tool {found.tool} fits this request, but something it needs was not found in it: "
        f"{'; '.join(wanted)}. Please say it again with that. {WHAT_IT_IS}"
    )


def _wanted(name: str, description: str) -> str:
    about = description.splitlines()[0].strip().rstrip(".") if description.strip() else ""
    return f"{name} ({about})" if about else name


# --- tool results in readable form ------------------------------------------------------------------------


def _results(turns: Sequence[Turn]) -> list[ToolResult]:
    """The results that no reply has followed yet."""
    found: list[ToolResult] = []
    for turn in reversed(turns):
        if turn.role != "tool":
            break
        found = [part for part in turn.parts if isinstance(part, ToolResult)] + found
    return found


def _told(results: Sequence[ToolResult]) -> str:
    if len(results) == 1:
        return _result(results[0])
    return "\n\n".join(f"{result.name}:\n{_result(result)}" for result in results)


def _result(result: ToolResult) -> str:
    content = as_value(result.content)
    text = content if isinstance(content, str) else "\n".join(as_lines(content))
    if result.is_error:
        return f"{result.name} failed: {text.strip() or 'it did not say why.'}"
    return text.rstrip() if text.strip() else f"{result.name} returned nothing."
