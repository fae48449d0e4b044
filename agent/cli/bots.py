"""`gemmagraph bot` and `gemmagraph audit`: the assistant in chat channels."""

from __future__ import annotations

import sys

import click

from gemmagraph.cli.options import DEBUG, debug_option, file_option, json_option, store_option


@click.command()
@click.argument("services", nargs=-1, metavar="[SERVICE]…")
@file_option
@click.option("-m", "--model", metavar="MODEL", help="In place of the one that the file names.")
@store_option
@click.option("--parallel", type=click.IntRange(1), metavar="N", help="Turns that may ask the model at once.")
@click.option(
    "--grace", type=click.FloatRange(0), default=30.0, show_default=True, help="Seconds for turns at work at the end."
)
@click.option("--log", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@debug_option
@click.pass_context
def bot(
    ctx: click.Context,
    /,
    services: tuple[str, ...],
    file: str | None,
    model: str | None,
    store: str | None,
    parallel: int | None,
    grace: float,
    form: str,
) -> None:
    """Answer in the chat channels that the file names below `bots:`, until Ctrl-C.

    SERVICE is slack, matrix, discord, telegram, irc, mattermost, terminal; unless said, all that the file names but
    the terminal. `gemmagraph bot terminal` tries it all here, with several pretended people; what they say is kept
    apart from what is kept for others, unless --store says where.

    What was said and not answered when the process ends is answered after it was started again. Several processes on
    one PostgreSQL store stand in for each other: one listens for each bot.

    Ends with 0 after Ctrl-C or SIGTERM and at the end of what a terminal has to say, 1 if no bot can go on.
    """
    import asyncio

    from gemmagraph.bots.logs import begin_log
    from gemmagraph.bots.serving import Serving, serve
    from gemmagraph.cli.assistants import needed_file

    begin_log(form, debug=ctx.meta[DEBUG], quiet=services == ("terminal",))
    serving = Serving(needed_file(file), services, model=model, store=store, places=parallel)
    try:
        ended = asyncio.run(serve(serving, grace=grace))
    finally:
        serving.store.close()
    ctx.exit(0 if ended else 1)


@click.command()
@store_option
@file_option
@json_option
@debug_option
@click.pass_context
def audit(ctx: click.Context, /, store: str | None, file: str | None, as_json: bool) -> None:
    """Print who did what with the bots of a store, the first first.

    Ends with 1 if a row was changed since it was written, or one between others is gone; such rows are named.
    """
    import json

    from gemmagraph.asked import clock
    from gemmagraph.bots.audit import audit_of
    from gemmagraph.cli.keeping import is_there, kept
    from gemmagraph.cli.terminal import plain
    from gemmagraph.tools import run_sync

    with kept(store, file) as found:
        there = is_there(found)
        entries, wrong = run_sync(audit_of(found)) if there else ([], {})
        nothing = f"Nothing is in the audit of {found.address}{'' if there else ': it is not there'}."
    for entry in entries:
        if as_json:
            row = {name: getattr(entry, name) for name in entry.__slots__}
            sys.stdout.write(f"{json.dumps(row, ensure_ascii=False)}\n")
        else:
            details = " ".join(f"{key}={value}" for key, value in entry.details.items())
            line = f"{clock(entry.at)}  {entry.what:<8}  {entry.person}  {entry.conversation}  {details}"
            sys.stdout.write(f"{plain(line.rstrip())}\n")
    for number, why in wrong.items():
        click.echo(f"Row {number} {why}.", err=True)
    if not entries and not wrong:
        click.echo(nothing, err=True)
    ctx.exit(1 if wrong else 0)
