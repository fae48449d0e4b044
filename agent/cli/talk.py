"""`gemmagraph run` and `gemmagraph chat`."""

from __future__ import annotations

import sys
from typing import Any

import click

from gemmagraph.cli.options import DEBUG, debug_option, session_options


@click.command()
@click.argument("prompt")
@session_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, with the calls, instead of the text.")
@click.option("--image", "images", multiple=True, metavar="FILE", help="A picture to look at. May be repeated.")
@debug_option
@click.pass_context
def run(
    ctx: click.Context, /, prompt: str, as_json: bool, images: tuple[str, ...], verbose: bool, **wanted: Any
) -> None:
    """Answer PROMPT, calling tools as needed.

    A PROMPT of - is read from standard input. The answer goes to standard output, on a terminal as it is
    written; everything else to standard error. A call that needs a person's approval is asked for if standard
    input is a terminal, and refused otherwise.
    """
    from gemmagraph.cli.once import answer
    from gemmagraph.cli.session import Session, Wanted

    if prompt == "-":
        prompt = sys.stdin.read()
    with Session(Wanted(**wanted), verbose=verbose, debug=ctx.meta[DEBUG], holds_answer=as_json) as session:
        code = answer(session, prompt, images, as_json=as_json)
    ctx.exit(code)


@click.command()
@session_options
@debug_option
@click.pass_context
def chat(ctx: click.Context, /, verbose: bool, **wanted: Any) -> None:
    """Hold a conversation.

    Ctrl-C stops an answer, Ctrl-D leaves, /help shows the commands. Works with piped input too, a line at a time.
    """
    from gemmagraph.cli.chat import converse
    from gemmagraph.cli.session import Session, Wanted

    with Session(Wanted(**wanted), verbose=verbose, debug=ctx.meta[DEBUG]) as session:
        code = converse(session)
    ctx.exit(code)
