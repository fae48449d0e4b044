"""The models that are there and those that can be pulled, and how each would be used."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from gemmagraph.backends.base import Constraint, ModelInfo
from gemmagraph.cli.published import PUBLISHED, order
from gemmagraph.cli.pull import gigabytes
from gemmagraph.cli.seen import Kind, Seen, configured, load, look, masked
from gemmagraph.cli.terminal import Terminal, one_line, shortened, width_of
from gemmagraph.errors import BackendUnavailable
from gemmagraph.model import Gemma
from gemmagraph.prompts.catalog import Family, family_of
from gemmagraph.prompts.errors import NotationError
from gemmagraph.prompts.messages import JSON, Text, ToolSpec, Turn
from gemmagraph.prompts.prompt import Transcript
from gemmagraph.prompts.toolset import Toolset
from gemmagraph.toolchoice import constraint, wish

Held: TypeAlias = Literal["grammar", "schema", "tool_choice", ""]

PING: Final = ToolSpec(
    "ping",
    "Answer a ping.",
    {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]},
)
"""The tool of all probes."""
NO_GEMMA: Final = "no Gemma by its name"
UNLISTED: Final = (
    "Check the address, which ends in /v1 for most servers; `gemmagraph doctor -m openai:MODEL --live` asks a model."
)
"""What to do about a server behind OpenAI's protocol that lists no models: some do not."""
_WITHOUT_TOOLS: Final = {
    "codegemma": "fills gaps in code",
    "embeddinggemma": "turns text into vectors",
    "paligemma": "answers about pictures only",
    "shieldgemma": "judges texts only",
    "t5gemma": "holds no conversations",
    "translategemma": "translates only",
    "vaultgemma": "holds no conversations",
}
"""Why families of the catalogue call no tools."""
_LEAST_NAME: Final = 12
"""Columns for the names of models at least."""
_HEAD: Final = ("model", "size", "context", "tools", "notation", "transport")


@dataclass(frozen=True, slots=True)
class Use:
    """What a call to a model would use."""

    notation: str = ""
    transport: str = ""
    context: int = 0
    """Tokens that a request has there."""
    settled: bool = False
    """Whether it is the server that says so."""
    held: Held = ""
    """What a call that must be made is held by."""
    why: str = ""
    """Why this notation; of a model that calls no tools, why not."""

    @property
    def tools(self) -> bool:
        return bool(self.notation)


@dataclass(frozen=True, slots=True)
class Row:
    """A model in the list."""

    name: str
    size: float | None
    """Bytes."""
    context: int | None
    use: Use


def use_of(kind: Kind, model: ModelInfo) -> Use:
    """What a call to a model on a server of this kind would use; no server is asked."""
    try:
        family = family_of(model.name)
    except NotationError:
        return Use(why=NO_GEMMA)
    if not family.tools:
        return Use(why=_WITHOUT_TOOLS.get(family.name, "holds no conversations"))
    unasked = Gemma(f"{kind}:{model.name}", base_url="http://127.0.0.1", api_key="none")
    return use_by(unasked, model)


def use_by(gemma: Gemma, model: ModelInfo) -> Use:
    """What a call by `gemma` would use.

    Args:
        model: what its server or engine says of it.
    """
    return Use(
        gemma.notation.name,
        gemma.transport,
        model.window or min(gemma.context, model.context or gemma.context),
        bool(model.window),
        _held(gemma, model.constraints),
        _why(gemma.family, gemma),
    )


def _held(gemma: Gemma, able: frozenset[Constraint]) -> Held:
    """What a call that must come is held to."""
    if gemma.transport == "tools":
        return "tool_choice" if "tool_choice" in able else _held(gemma.in_prompt(), able)
    writer = gemma.writer(Toolset([PING]))
    request = gemma.request(Transcript(writer), [Turn("user", (Text("Ping."),))])
    grammar, schema = constraint(wish("required", writer.tools), request, writer, able)
    return "grammar" if grammar else "schema" if schema else ""


def _why(family: Family, gemma: Gemma) -> str:
    if gemma.notation.name != family.notation:
        return f"its own, {family.notation}, needs the whole prompt, and requests go as chat messages here"
    if gemma.transport == "tools":
        return "it was trained on it, and its server writes and reads it"
    if gemma.notation.turns is not None:
        return "it was trained on it"
    return "it has no notation of its own: tools are described in the prompt"


def listed(base_url: str | None, as_json: bool) -> str:
    """The list, as a person reads it or as one JSON object.

    Raises:
        GemmagraphError: the server at `base_url` cannot be asked.
    """
    load(configured())
    servers = asyncio.run(_servers(base_url))
    local = [(seen, _rows(seen)) for seen in servers]
    there = {row.name for seen, rows in local if seen.kind == "ollama" for row in rows}
    known = [_published(name, size) for name, size in PUBLISHED.items() if name not in there]
    known.sort(key=lambda row: order(row.name))
    if as_json:
        return json.dumps(_as_json(local, known), ensure_ascii=False, indent=2)
    terminal = Terminal()
    blocks = []
    for seen, rows in local:
        if seen.problem:
            terminal.note(masked(f"{seen.problem} {seen.hint}", base_url), "yellow", 0)
        else:
            title = f"{titled(seen)}: {counted(len(rows))}"
            blocks.append([title, *_table(rows, terminal.columns)])
            if not rows and seen.kind == "openai":
                terminal.note(UNLISTED, "yellow", 0)
    blocks.append(["To be had with gemmagraph pull MODEL (sizes are rough):", *_table(known, terminal.columns)])
    return "\n\n".join("\n".join(block) for block in blocks)


async def _servers(base_url: str | None) -> list[Seen]:
    """Those that are meant. What answers at a given address shows when it is asked."""
    if base_url is None:
        return list(await asyncio.gather(*map(look, configured())))
    both = await asyncio.gather(look("ollama", base_url), look("openai", base_url))
    answered = next((seen for seen in both if not seen.problem), None)
    if answered is None:
        _, other = both
        raise BackendUnavailable(masked(other.problem, base_url), hint=masked(other.hint, base_url))
    return [answered]


def _rows(seen: Seen) -> list[Row]:
    rows = [
        Row(model.name, model.size, model.window or model.context or _context(model.name), use_of(seen.kind, model))
        for model in seen.models
    ]
    return sorted(rows, key=lambda row: order(row.name))


def _published(name: str, size: float | None) -> Row:
    return Row(name, size, _context(name), use_of("ollama", ModelInfo(name)))


def _context(name: str) -> int | None:
    try:
        return family_of(name).context
    except NotationError:
        return None


def titled(seen: Seen) -> str:
    if seen.kind == "ollama":
        return one_line(masked(seen.label.replace("Ollama", f"Ollama {seen.version}", 1)))
    return one_line(masked(seen.label))


def counted(models: int) -> str:
    return "no model" if not models else "1 model" if models == 1 else f"{models} models"


def _table(rows: Sequence[Row], columns: int) -> list[str]:
    """Lines that fit the columns, with less to tell where these are few; a name that is too long stands in a line of
    its own."""
    if not rows:
        return []
    cells = [list(_HEAD), *map(_cells, rows)]
    # Why a model calls no tools stands where others have the last two, and makes neither wider.
    widths = [max(width_of(row[at]) for row in cells if at < 4 or row[5]) for at in range(len(_HEAD))]
    least = min(widths[0], _LEAST_NAME)
    shown = next((most for most in range(len(_HEAD), 4, -1) if _needed([least, *widths[1:most]]) <= columns), 4)
    name = max(least, min(widths[0], columns - _needed(widths[1:shown]) - 2))
    left = columns - _needed([name, *widths[1:4]]) - 2
    lines = []
    for row in cells:
        facts = [row[1].rjust(widths[1]), row[2].rjust(widths[2]), row[3].ljust(widths[3])]
        if row[5]:
            facts += map(str.ljust, row[4:shown], widths[4:shown])
        elif shown > 4:
            facts.append(shortened(row[4], left))
        line = "  ".join(facts).rstrip()
        if width_of(row[0]) > name:
            lines += [f"  {row[0]}", f"  {' ' * name}  {line}"]
        else:
            lines.append(f"  {row[0]}{' ' * (name - width_of(row[0]))}  {line}")
    return lines


def _needed(widths: Sequence[int]) -> int:
    return sum(widths) + 2 * len(widths)


def _cells(row: Row) -> tuple[str, ...]:
    facts = (
        one_line(row.name),
        "-" if row.size is None else gigabytes(row.size),
        "-" if row.context is None else f"{row.context:,}",
    )
    return (*facts, "yes", row.use.notation, row.use.transport) if row.use.tools else (*facts, "no", row.use.why, "")


def _as_json(local: Sequence[tuple[Seen, Sequence[Row]]], known: Sequence[Row]) -> dict[str, JSON]:
    servers: list[JSON] = [
        {
            "backend": seen.kind,
            "label": masked(seen.label),
            "version": seen.version or None,
            "problem": masked(seen.problem) or None,
            "hint": masked(seen.hint) or None,
            "models": [_object(row) for row in rows],
        }
        for seen, rows in local
    ]
    return {"servers": servers, "published": [_object(row) for row in known]}


def _object(row: Row) -> dict[str, JSON]:
    return {
        "name": row.name,
        "size": None if row.size is None else int(row.size),
        "context": row.context,
        "tools": row.use.tools,
        "why": row.use.why,
        "notation": row.use.notation or None,
        "transport": row.use.transport or None,
    }
