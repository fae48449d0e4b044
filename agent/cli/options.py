"""The options that several commands have."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

DEBUG = "gemmagraph.debug"
"""In a context's `meta`: whether errors are shown with their traceback."""
INTERRUPTED = 130
"""The exit code after Ctrl-C, as shells have it."""


def _note_debug(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    ctx.meta[DEBUG] = ctx.meta.get(DEBUG, False) or value


def debug_option(command: F) -> F:
    return click.option(
        "--debug",
        is_flag=True,
        expose_value=False,
        callback=_note_debug,
        envvar="GEMMAGRAPH_DEBUG",
        help="Show the traceback of an error.",
    )(command)


def tools_option(command: F) -> F:
    return click.option(
        "--tools",
        "sources",
        multiple=True,
        metavar="FILE.py|MODULE",
        help="Tools: what __all__ of the file lists, else its Tools and public functions. May be repeated.",
    )(command)


def file_option(command: F) -> F:
    return click.option(
        "-f",
        "--file",
        metavar="FILE",
        help="The assistant's file; ./assistant.yaml, if it is there.",
    )(command)


def toolset_option(command: F) -> F:
    return click.option("--toolset", metavar="NAME", help="Only the tools of this toolset of the file.")(command)


def json_option(command: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")(command)


def _pairs(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, Any]:
    """Each NAME=VALUE: a number, true, false or null in JSON's spelling is one, anything else a text."""
    pairs = {}
    for pair in values:
        name, equals, value = pair.partition("=")
        if not (name and equals):
            raise click.BadParameter(f"{pair!r} is not NAME=VALUE.", ctx, param)
        try:
            pairs[name] = json.loads(value)
        except (ValueError, RecursionError):
            pairs[name] = value
    return pairs


def context_option(command: F) -> F:
    return click.option(
        "--context",
        multiple=True,
        callback=_pairs,
        metavar="NAME=VALUE",
        help="What tools find as {{ context.NAME }}; the model never sees it. May be repeated.",
    )(command)


def store_option(command: F) -> F:
    return click.option(
        "--store",
        metavar="URL",
        help="Where threads are kept: sqlite:///FILE or postgresql://…; unless said, where the assistant's file says,"
        " else in a file of your own.",
    )(command)


def thread_option(command: F) -> F:
    return click.option("--thread", metavar="NAME", help="Go on with this thread, or begin it.")(command)


def known(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """A user or a channel as policies know them."""
    if value and ":" not in value:
        example = "slack:T1/C0AA" if param.name == "channel" else "local:ann or slack:T1/U024"
        raise click.BadParameter(f"{value!r} names no service. Write it as policies do: {example}.", ctx, param)
    return value


def model_options(command: F) -> F:
    """`-m`, `--notation`, `--system`: what a prompt depends on."""
    for option in (
        click.option("--system", default="", metavar="TEXT", help="What the assistant is and how it should behave."),
        click.option("--notation", metavar="NAME", help="How calls are written; by default as the model does best."),
        click.option("-m", "--model", metavar="MODEL", help="For example ollama:gemma3:4b, or builtin."),
    ):
        command = option(command)
    return command


def session_options(command: F) -> F:
    """What a session needs to know: the fields of `Wanted`, and `verbose`."""
    return agent_options(context_option(command))


def agent_options(command: F) -> F:
    """The same for a thread that goes on: what tools find as context was said when it began."""
    for option in (
        click.option("-v", "--verbose", is_flag=True, help="Show prompt, raw reply, tokens and time of each step."),
        click.option("--base-url", metavar="URL", help="Where the model server is."),
        model_options,
        tools_option,
        toolset_option,
        file_option,
    ):
        command = option(command)
    return command
