"""`gemmagraph threads`: conversations that are kept."""

from __future__ import annotations

import json
import shutil
import sys
from typing import Any

import click

from gemmagraph.cli.options import DEBUG, agent_options, debug_option, file_option, json_option, store_option


@click.group()
def threads() -> None:
    """Look at conversations that are kept, go on with one, take one away.

    They are in the store that --store names, else in that of the assistant's file, else in your own.
    """


@threads.command("list")
@store_option
@file_option
@json_option
@debug_option
def list_(store: str | None, file: str | None, as_json: bool) -> None:
    """List them, the one that was used last first.

    One is idle; or running; or waiting for a person; or unfinished: its process is gone, or nobody decided in time,
    and resume brings it to its end; or failed: its last turn went wrong, and resume tries it again.
    """
    from gemmagraph.cli.keeping import is_there, kept
    from gemmagraph.cli.threadshow import listed, thread_as_json
    from gemmagraph.tools import run_sync

    with kept(store, file) as found:
        there = run_sync(found.threads()) if is_there(found) else []
        if as_json:
            text = json.dumps({"threads": [thread_as_json(thread) for thread in there]}, ensure_ascii=False, indent=2)
        elif there:
            columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else sys.maxsize
            text = listed(there, columns)
        else:
            text = f"No threads are kept in {found.address}."
    sys.stdout.write(f"{text}\n")


@threads.command()
@click.argument("name")
@store_option
@file_option
@debug_option
def show(name: str, store: str | None, file: str | None) -> None:
    """Print the conversation: what was said, the calls with their results, who approved what."""
    from gemmagraph.cli.threadshow import shown

    sys.stdout.write(f"{shown(_conversation(name, store, file))}\n")


@threads.command()
@click.argument("name")
@click.option("--format", "form", type=click.Choice(["json", "markdown"]), default="json", show_default=True)
@click.option("-o", "--output", metavar="FILE", help="Write it there instead of printing it.")
@store_option
@file_option
@debug_option
def export(name: str, form: str, output: str | None, store: str | None, file: str | None) -> None:
    """Print all of it, for programs or as a page."""
    from gemmagraph.cli.threadshow import as_json, as_markdown

    found = _conversation(name, store, file)
    text = as_json(found) if form == "json" else as_markdown(found)
    if output is None:
        sys.stdout.write(text)
    else:
        with click.open_file(output, "w", encoding="utf-8") as written:
            written.write(text)


@threads.command()
@click.argument("name")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@store_option
@file_option
@debug_option
def delete(name: str, yes: bool, store: str | None, file: str | None) -> None:
    """Take it away for good, with its calls and approvals."""
    from gemmagraph.cli.keeping import kept, thread_of
    from gemmagraph.cli.terminal import one_line
    from gemmagraph.errors import StoreError
    from gemmagraph.tools import run_sync

    with kept(store, file) as found:
        try:
            title = one_line(thread_of(found, name).title)
        except StoreError as exc:  # it is damaged: that may be why
            title = str(exc)
        if not yes:
            click.confirm(f"Delete {name} ({title})?", abort=True, err=True)
        run_sync(found.delete(name))
    sys.stdout.write(f"Deleted {name}.\n")


@threads.command()
@click.argument("name")
@store_option
@file_option
@debug_option
def cancel(name: str, store: str | None, file: str | None) -> None:
    """Ask the process that is at work on it to stop; or, where it waits for a person or its process is gone, end what
    was begun: nobody is asked any more. What was done is kept."""
    from gemmagraph.cli.keeping import ended, kept, thread_of
    from gemmagraph.errors import AgentError
    from gemmagraph.tools import run_sync

    with kept(store, file) as found:
        thread = thread_of(found, name)
        if run_sync(found.turns.cancel(name)):
            said = "is asked to stop"
        elif ended(found, thread):
            said = "is cancelled. What was done is kept"
        else:
            again = f"Its last turn failed: `gemmagraph threads resume {name}` tries it again."
            hint = again if thread.state == "failed" else "It waits for nobody either."
            raise AgentError(f"Nothing runs on the thread {name!r}.", hint=hint)
    sys.stdout.write(f"{name} {said}.\n")


@threads.command()
@click.argument("name")
@agent_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, with the calls, instead of the text.")
@store_option
@debug_option
@click.pass_context
def resume(ctx: click.Context, /, name: str, verbose: bool, as_json: bool, **wanted: Any) -> None:
    """Bring to its end what was begun on it.

    With the assistant of ./assistant.yaml or -f, or the tools and the model that are named, as run has them. Calls
    that wait are asked about here, if standard input is a terminal and you may decide.

    Ends with 0 if there is an answer, 3 if a person must decide first, 1 if it went wrong.
    """
    from gemmagraph.cli.once import resumed
    from gemmagraph.cli.session import Wanted

    ctx.exit(resumed(Wanted(**wanted, keeps="always", thread=name), verbose, ctx.meta[DEBUG], as_json=as_json))


def _conversation(name: str, store: str | None, file: str | None) -> Any:
    from gemmagraph.cli.keeping import kept, thread_of
    from gemmagraph.stored_thread import stored_thread
    from gemmagraph.tools import run_sync

    with kept(store, file) as found:
        thread_of(found, name)
        return run_sync(stored_thread(found, name))
