"""`gemmagraph` itself: the group of commands, and the outermost door, where an error becomes one sentence.

Whoever asks for help waits for every import, so the files with commands import click only; the rest is
imported inside the commands.
"""

from __future__ import annotations

import errno
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import click

from gemmagraph import __version__
from gemmagraph.cli.approvals import approvals
from gemmagraph.cli.bots import audit, bot
from gemmagraph.cli.declared import check, init, schema
from gemmagraph.cli.options import DEBUG, INTERRUPTED, debug_option
from gemmagraph.cli.servers import doctor, models, pull
from gemmagraph.cli.talk import chat, run
from gemmagraph.cli.terminal import plain, sentence
from gemmagraph.cli.texts import parse, render
from gemmagraph.cli.threads import threads
from gemmagraph.cli.tools import tools


class Door(click.Group):
    """What no command has dealt with ends here."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        _open_what_is_closed()
        for stream in (sys.stdout, sys.stderr):
            with suppress(AttributeError):  # somebody put another kind of stream there
                stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a terminal may be ASCII
        with suppress(AttributeError):
            sys.stdin.reconfigure(errors="replace")  # type: ignore[union-attr]  # as above
        try:
            with _warnings_as_lines():
                return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except KeyboardInterrupt:
            click.echo("Stopped.", err=True)
            ctx.exit(INTERRUPTED)
        except Exception as exc:  # the outermost door
            if isinstance(exc, OSError) and exc.errno == errno.EPIPE:
                raise  # whoever read our output has left: click ends it quietly
            if ctx.meta.get(DEBUG):
                from gemmagraph.tools.secrets import masked_trace

                click.echo(plain(masked_trace(exc)), err=True)
            click.echo(_told(exc), err=True)
            ctx.exit(1)


def _told(error: Exception) -> str:
    """An error for a person. What is wrong with a file is a line each, which editors and CI understand."""
    from gemmagraph.prompts.errors import GemmagraphError
    from gemmagraph.tools.declared.problems import FileErrors
    from gemmagraph.tools.secrets import mask

    if isinstance(error, FileErrors):
        return plain(mask(error.message))
    if isinstance(error, GemmagraphError) and "\n" in error.hint:  # lines of a file, which are to be copied
        return plain(mask(f"Error: {error.message} {error.hint}"))
    return f"Error: {sentence(error)}"


@contextmanager
def _warnings_as_lines() -> Iterator[None]:
    """What our own code warns of is a sentence for whoever sits here; where it was said is not."""
    usual = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        if category.__module__.partition(".")[0] == "gemmagraph":
            click.echo(plain(f"Warning: {message}"), err=True)
        else:
            usual(message, category, *where, **more)

    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = usual


def _open_what_is_closed() -> None:
    """A process may be started without standard streams: then nothing is read, and nobody sees what is written."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115 - to the end of the process


@click.group(cls=Door, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="gemmagraph %(version)s")
@debug_option
def main() -> None:
    """Tools for Google's open Gemma models, on any server.

    Without -m the model is the one that assistant.yaml names, else GEMMAGRAPH_MODEL, else a Gemma on a reachable
    Ollama, else the built-in matcher, which is no language model and calls read-only tools only.
    """


for command in (init, run, chat, bot, threads, approvals, audit, tools, check, schema):
    main.add_command(command)
for command in (render, parse, models, pull, doctor):
    main.add_command(command)
