"""What could be asked now: servers, models, how a call would go; and what to do where something is amiss."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import sys
import textwrap
import time
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, field, replace
from importlib import metadata
from typing import Final, Literal, TypeAlias, get_args

import click

from gemmagraph.choice import VARIABLE, choose_model
from gemmagraph.cli.models import NO_GEMMA, PING, UNLISTED, Held, Use, counted, titled, use_by, use_of
from gemmagraph.cli.seen import PATIENCE, Kind, Seen, configured, load, look, masked, resolved
from gemmagraph.cli.terminal import Terminal, one_line
from gemmagraph.errors import AgentError, GemmagraphError
from gemmagraph.model import Gemma
from gemmagraph.prompts.messages import JSON, Reply, Text, Turn
from gemmagraph.prompts.toolset import Toolset

State: TypeAlias = Literal["ok", "note", "fail"]

PACKAGES: Final = ("gemmagraph", "langgraph", "langchain-core", "ollama", "httpx", "pydantic", "jsonschema", "rich")
"""Those that decide how it works."""
_OPTIONAL: Final = ("xllamacpp", "google-genai", "transformers", "torch")
_COLOURS: Final[dict[State, str]] = {"ok": "green", "note": "yellow", "fail": "red"}
_INDENT: Final = 6
_MOST_TOKENS: Final = 256
"""Of the live call: a model that rambles is not listened to."""
_GET_ONE: Final = "Get a Gemma with: gemmagraph pull gemma3:4b"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    about: str
    state: State
    says: str
    do: str = ""
    """What to do; of everything that is not fine."""
    more: tuple[str, ...] = ()
    """Details."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The model that would be used."""

    name: str
    why: str
    use: Use | None = None
    gemma: Gemma | None = None
    problem: str = ""
    hint: str = ""


@dataclass(slots=True)
class Report:
    findings: list[Finding] = field(default_factory=list)
    servers: list[Seen] = field(default_factory=list)
    uses: list[dict[str, Use]] = field(default_factory=list)
    """What calls to the models of each server would use."""
    chosen: Chosen | None = None
    fine: bool = False
    """Whether a call could be made now."""
    live_seconds: float | None = None


def examined(model: str | None, base_url: str | None, *, live: bool, as_json: bool) -> tuple[str, bool]:
    """The report, as a person reads it or as one JSON object, and whether a call could be made now.

    Args:
        model: the one that was named, if any.
        base_url: where its server is; without a model, where Ollama is.
        live: whether a call is made.
        as_json: for programs.
    """
    terminal = Terminal()
    terminal.status("looking at the servers …")
    load(kind for kind, _ in _meant(model, base_url))
    try:
        report = asyncio.run(_report(model, base_url, live, terminal))
    finally:
        terminal.settle()
    if as_json:
        return json.dumps(_masked(_as_json(report), base_url), ensure_ascii=False, indent=2), report.fine
    return "\n".join(masked(line, base_url) for line in _lines(report, terminal)), report.fine


async def _report(model: str | None, base_url: str | None, live: bool, terminal: Terminal) -> Report:
    looks = asyncio.gather(*(look(kind, url, counting=True) for kind, url in _meant(model, base_url)))
    chosen, servers = await asyncio.gather(_chosen(model, base_url), looks)
    report = Report(servers=servers, chosen=chosen)
    report.uses = [{model.name: use_of(seen.kind, model) for model in seen.models} for seen in servers]
    report.findings += [_of_server(seen, uses, chosen) for seen, uses in zip(servers, report.uses, strict=True)]
    if chosen.name == "builtin" and chosen.problem:
        chosen = replace(chosen, hint=_instead(servers, report.uses))
    report.findings.append(_of_choice(chosen))
    report.fine = not chosen.problem
    if live and chosen.gemma is not None and report.fine:
        finding, seconds = await _called(chosen.gemma, terminal)
        report.findings.append(finding)
        report.live_seconds = seconds
        report.fine = finding.state == "ok"
    packages = _of_packages()
    report.findings.append(packages)
    report.fine = report.fine and packages.state == "ok"
    return report


def _meant(model: str | None, base_url: str | None) -> Iterator[tuple[Kind, str | None]]:
    """The servers to look at. An address goes with the model that is named, else it is that of an Ollama."""
    kind = (model or os.environ.get(VARIABLE, "")).strip().partition(":")[0]
    there = configured()
    for each in get_args(Kind):
        if each in there or each == kind:
            yield each, base_url if each == (kind or "ollama") else None


async def _chosen(model: str | None, base_url: str | None) -> Chosen:
    """The model that would be used, and whether it could be asked."""
    name, why, gemma = (model or "").strip(), "named with -m", None
    is_named = bool(name or os.environ.get(VARIABLE, "").strip())
    try:
        async with asyncio.timeout(PATIENCE + 0.2):  # the choice has its own limit, and says more
            if not name:
                name, why = await _unnamed(base_url)
            gemma = Gemma(name, base_url=base_url, max_tokens=_MOST_TOKENS)
            for kind in get_args(Kind):
                if gemma.backend.name == kind:
                    await resolved(kind, base_url)
            info = await gemma.backend.info(gemma.model)
        if gemma.backend.name == "builtin" and not is_named:
            return Chosen(name, why, use_by(gemma, info), gemma, why.partition(" For a real one")[0])
        return Chosen(name, why, use_by(gemma, info), gemma)
    except GemmagraphError as exc:
        return Chosen(name, why, problem=exc.message, hint=exc.hint or "")
    except TimeoutError:
        label = gemma.backend.label if gemma else "The server"
        return Chosen(name, why, problem=f"{label} did not answer within {PATIENCE:g} s.", hint="Check its address.")
    finally:
        if gemma is not None:
            await gemma.close()


async def _unnamed(base_url: str | None) -> tuple[str, str]:
    """The choice of `gemmagraph run`."""
    if os.environ.get(VARIABLE, "").strip():
        return await choose_model(base_url)
    try:
        async with asyncio.timeout(PATIENCE - 0.1):
            await resolved("ollama", base_url)
    except TimeoutError:
        if base_url is not None:
            raise AgentError("The name of the server's host is not to be found.", hint="Check the address.") from None
        return "builtin", "No model was named and no Ollama answers, so the built-in matcher stands in."
    return await choose_model(base_url)


def _of_server(seen: Seen, uses: dict[str, Use], chosen: Chosen) -> Finding:
    about = titled(seen)
    if seen.problem:
        elsewhere = not chosen.problem and chosen.gemma is not None and chosen.gemma.backend.name != seen.kind
        return Finding(about, "note" if elsewhere else "fail", seen.problem, seen.hint)
    callers = {name: use for name, use in uses.items() if use.tools}
    says = f"{counted(len(seen.models))}, {len(callers)} can call tools"
    tokens = [_counted(seen.counts)] if callers else []
    more = (*_grouped(callers), *tokens, *_loaded(seen, callers), *_left_out(uses))
    if not seen.models and seen.kind == "openai":
        return Finding(about, "note", "it lists no models, so it is not known whether it has one", UNLISTED)
    if not callers and (seen.models or seen.kind == "ollama"):
        do = _GET_ONE if seen.kind == "ollama" else "Let it serve a Gemma, such as google/gemma-3-4b-it."
        return Finding(about, "note", says, do, more)
    return Finding(about, "ok", says, more=more)


def _instead(servers: Sequence[Seen], uses: Sequence[dict[str, Use]]) -> str:
    """What to do where no model was named and Ollama has none."""
    for seen, found in zip(servers, uses, strict=True):
        for name, use in found.items():
            if use.tools:
                return f"Name one that is there: -m {seen.kind}:{name} (or set {VARIABLE})."
    down = any(seen.kind == "ollama" and seen.problem for seen in servers)
    return f"Start Ollama or name another server. {_GET_ONE}" if down else _GET_ONE


def _grouped(uses: dict[str, Use]) -> Iterator[str]:
    """What calls would use, once for all models of which it is the same."""
    for use in dict.fromkeys(uses.values()):
        names = [name for name, other in uses.items() if other == use]
        yield f"{', '.join(names)}: {_form(use)}"
        yield f"  since {use.why}"
    helds = list(dict.fromkeys(use.held for use in uses.values()))
    for held in helds:
        names = [name for name, use in uses.items() if use.held == held] if len(helds) > 1 else []
        yield f"a forced call{' of ' if names else ''}{', '.join(names)}: {_forced(held)}"


def _form(use: Use) -> str:
    form = {"chat": "in chat messages", "completion": "in a whole prompt", "tools": "in the server's own field"}
    settled = ", as the server has it" if use.settled else ""
    return f"{use.notation} {form[use.transport]}, {use.context:,} tokens of context{settled}"


def _counted(counts: bool) -> str:
    if counts:
        return "tokens of a prompt: counted there, by the model's own vocabulary"
    return "tokens of a prompt: estimated, and put right by what the server counts in each reply"


def _forced(held: Held) -> str:
    if not held:
        return "asked for again where it does not come, at most twice; nothing there holds a model to it"
    by = {
        "grammar": "held to a grammar",
        "schema": "held to a JSON Schema",
        "tool_choice": "by the server's tool_choice",
    }
    return by[held]


def _loaded(seen: Seen, callers: dict[str, Use]) -> Iterator[str]:
    for name, context in seen.loaded.items():
        asked = callers[name].context if name in callers else None
        line = f"in memory: {name}" + (f" with {context:,} tokens of context" if context else "")
        if asked and context and asked != context:
            line += (
                f"; a call asks for {asked:,}, so it is loaded anew (OLLAMA_CONTEXT_LENGTH={asked} there spares that)"
            )
        yield line


def _left_out(uses: dict[str, Use]) -> Iterator[str]:
    for why in dict.fromkeys(use.why for use in uses.values() if not use.tools):
        names = [name for name, use in uses.items() if not use.tools and use.why == why]
        shown = ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
        hint = " (if one is a Gemma, name it so: ollama cp NAME gemma3-NAME)" if why == NO_GEMMA else ""
        yield f"no tools: {shown}: {why}{hint}"


def _of_choice(chosen: Chosen) -> Finding:
    if chosen.problem:
        about = f"model {chosen.name}" if chosen.name not in ("", "builtin") else "model"
        return Finding(about, "fail", chosen.problem, chosen.hint or "Name another model with -m.")
    more = [chosen.why]
    if chosen.use and chosen.gemma and chosen.gemma.backend.name not in ("builtin", *get_args(Kind)):
        more += [_form(chosen.use), f"  since {chosen.use.why}", f"a forced call: {_forced(chosen.use.held)}"]
        more.append(_counted(hasattr(chosen.gemma.backend, "count")))
    return Finding(f"model {chosen.name}", "ok", "could be asked now", more=tuple(more))


async def _called(gemma: Gemma, terminal: Terminal) -> tuple[Finding, float | None]:
    """One real call of a tool that does nothing."""
    turns = [Turn("user", (Text('Call the tool ping with word="pong". Say nothing else.'),))]
    begun = time.monotonic()
    waiting = asyncio.create_task(_ticking(terminal, gemma.name, begun))
    reply = Reply()
    try:
        asked = gemma.stream(turns, Toolset([PING]), watched=False, tool_choice="required")
        async with aclosing(asked) as events:
            async for event in events:
                reply = event if isinstance(event, Reply) else reply
    except GemmagraphError as exc:
        return Finding("live call", "fail", exc.message, exc.hint or "Name another model with -m."), None
    finally:
        waiting.cancel()
        await gemma.close()
    seconds = time.monotonic() - begun
    call = reply.calls[0]
    usage = f", {reply.usage.input_tokens:,} tokens read" if reply.usage else ""
    return Finding("live call", "ok", f"{gemma.name} called {call.name} in {seconds:.1f} s{usage}"), seconds


async def _ticking(terminal: Terminal, name: str, begun: float) -> None:
    while True:
        terminal.status(f"{name} is asked … {time.monotonic() - begun:.0f} s")
        await asyncio.sleep(0.5)


def _masked(value: JSON, base_url: str | None) -> JSON:
    """The value, each text in it masked."""
    if isinstance(value, dict):
        return {key: _masked(item, base_url) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(item, base_url) for item in value]
    return masked(value, base_url) if isinstance(value, str) else value


def versions() -> dict[str, str | None]:
    """The packages that matter; None for one that is not there."""
    found: dict[str, str | None] = {}
    for name in (*PACKAGES, *_OPTIONAL):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            if name not in _OPTIONAL:
                found[name] = None
    return found


def _of_packages() -> Finding:
    found = versions()
    missing = [name for name, version in found.items() if version is None]
    says = ", ".join([f"Python {platform.python_version()}", *(f"{name} {found[name]}" for name in found)])
    if missing:
        return Finding("packages", "fail", says, f"Install what is missing: pip install {' '.join(missing)}")
    return Finding("packages", "ok", says)


def _lines(report: Report, terminal: Terminal) -> Iterator[str]:
    coloured = terminal.streams and os.environ.get("TERM") != "dumb" and not os.environ.get("NO_COLOR")
    for finding in report.findings:
        state = finding.state.ljust(_INDENT)
        mark = click.style(state, fg=_COLOURS[finding.state]) if coloured else state
        text = finding.says if finding.says.startswith(finding.about) else f"{finding.about}: {finding.says}"
        yield mark + _folded(text, terminal, _INDENT).lstrip()
        for line in finding.more:
            yield _folded(line, terminal, _INDENT + 2)
        if finding.do:
            yield _folded(f"→ {finding.do}", terminal, _INDENT + 2)
    yield ""
    yield "A call could be made now." if report.fine else "No call could be made now."


def _folded(text: str, terminal: Terminal, indent: int) -> str:
    """The text in the columns behind the indent; a second line hangs deeper."""
    space = " " * indent
    width = terminal.columns if terminal.streams else sys.maxsize
    deeper = text[: len(text) - len(text.lstrip())]
    return textwrap.fill(
        one_line(text),
        width,
        initial_indent=space + deeper,
        subsequent_indent=f"{space}{deeper}    " if indent > _INDENT else f"{space}  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _as_json(report: Report) -> dict[str, JSON]:
    chosen = report.chosen
    return {
        "ok": report.fine,
        "model": chosen and {"name": chosen.name, "why": chosen.why, "problem": chosen.problem or None},
        "findings": [asdict(finding) for finding in report.findings],
        "servers": [
            {
                "backend": seen.kind,
                "label": seen.label,
                "version": seen.version or None,
                "counts_tokens": seen.counts,
                "models": [
                    {"name": name, "loaded_context": seen.loaded.get(name), "tools": use.tools, **asdict(use)}
                    for name, use in uses.items()
                ],
                "problem": seen.problem or None,
                "hint": seen.hint or None,
            }
            for seen, uses in zip(report.servers, report.uses, strict=True)
        ],
        "live": None if report.live_seconds is None else {"seconds": round(report.live_seconds, 3)},
        "python": platform.python_version(),
        "packages": dict(versions()),
    }
