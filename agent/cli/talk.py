"""`gemmagraph run` and `gemmagraph chat`."""

from __future__ import annotations

import sys
from typing import Any

import click

from gemmagraph.cli.options import DEBUG, debug_option, session_options, store_option, thread_option


@click.command()
@click.argument("prompt")
@session_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, with the calls, instead of the text.")
@click.option("--image", "images", multiple=True, metavar="FILE", help="A picture to look at. May be repeated.")
@thread_option
@store_option
@debug_option
@click.pass_context
def run(
    ctx: click.Context, /, prompt: str, as_json: bool, images: tuple[str, ...], verbose: bool, **wanted: Any
) -> None:
    """Answer PROMPT, calling tools as needed.

    A PROMPT of - is read from standard input. The answer goes to standard output, on a terminal as it is
    written; everything else to standard error. A call that needs a person's approval is asked for if standard
    input is a terminal, and refused otherwise.

    Nothing is kept unless --thread or --store is given. Then a call that nobody here may decide about waits: see
    gemmagraph approvals.

    Ends with 0 if there is an answer, 3 if a person must decide first, 1 if it went wrong.
    """
    from gemmagraph.cli.once import answer
    from gemmagraph.cli.session import Session, Wanted

    if prompt == "-":
        prompt = sys.stdin.read()
    kept = wanted["thread"] is not None or wanted["store"] is not None
    asked = Wanted(**wanted, keeps="always" if kept else "no thread")
    with Session(asked, verbose=verbose, debug=ctx.meta[DEBUG], holds_answer=as_json) as session:
        code = answer(session, prompt, images, thread=asked.thread, as_json=as_json)
    ctx.exit(code)


@click.command()
@session_options
@thread_option
@store_option
@click.option("--no-store", is_flag=True, help="Forget it all at the end.")
@debug_option
@click.pass_context
def chat(ctx: click.Context, /, verbose: bool, no_store: bool, **wanted: Any) -> None:
    """Hold a conversation.

    Ctrl-C stops an answer, Ctrl-D leaves, /help shows the commands. Works with piped input too, a line at a time.

    At a terminal the conversation is kept, and --thread goes on with one. Piped input is kept only where --thread,
    --store or the assistant's file says so.
    """
    from gemmagraph.cli.chat import converse
    from gemmagraph.cli.session import Keeps, Session, Wanted

    if no_store and (wanted["thread"] is not None or wanted["store"] is not None):
        raise click.UsageError("--no-store keeps nothing, so neither --thread nor --store can stand beside it.")
    kept: Keeps = "always" if wanted["thread"] is not None or sys.stdin.isatty() else "where named"
    asked = Wanted(**wanted, keeps="nothing" if no_store else kept)
    with Session(asked, verbose=verbose, debug=ctx.meta[DEBUG]) as session:
        code = converse(session, wanted["thread"])
    ctx.exit(code)
