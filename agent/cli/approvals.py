"""`gemmagraph approvals`: calls that wait for a person, decided from whichever process."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

from gemmagraph.cli.options import DEBUG, agent_options, debug_option, file_option, json_option, store_option

F = TypeVar("F", bound=Callable[..., Any])


@click.group()
def approvals() -> None:
    """Decide about calls that wait for a person.

    They are in the store that --store names, else in that of the assistant's file, else in your own. ID is an
    approval's id, or the beginning of it: at least 4 characters.
    """


@approvals.command("list")
@store_option
@file_option
@json_option
@debug_option
def list_(store: str | None, file: str | None, as_json: bool) -> None:
    """List those that wait, the first first."""
    from gemmagraph.asked import approval_as_json
    from gemmagraph.cli.approvalshow import listed
    from gemmagraph.cli.keeping import is_there, kept
    from gemmagraph.tools import run_sync

    with kept(store, file) as found:
        pending = run_sync(found.questions.pending()) if is_there(found) else []
    waiting = [question.approval for question in pending]
    if as_json:
        listing = {"approvals": [approval_as_json(approval) for approval in waiting]}
        text = json.dumps(listing, ensure_ascii=False, indent=2)
    elif waiting:
        text = listed(waiting, shutil.get_terminal_size().columns if sys.stdout.isatty() else sys.maxsize)
    else:
        text = "Nothing waits for a decision."
    sys.stdout.write(f"{text}\n")


@approvals.command()
@click.argument("identity", metavar="ID")
@store_option
@file_option
@json_option
@debug_option
def show(identity: str, store: str | None, file: str | None, as_json: bool) -> None:
    """Print the whole request, why it is asked for and who may decide."""
    from gemmagraph.asked import question_as_json
    from gemmagraph.cli.approvalshow import shown
    from gemmagraph.cli.keeping import kept, question_of

    with kept(store, file) as found:
        question = question_of(found, identity)
    text = json.dumps(question_as_json(question), ensure_ascii=False, indent=2) if as_json else shown(question)
    sys.stdout.write(f"{text}\n")


def _deciding(command: F) -> F:
    """The options of commands that decide."""
    for option in (
        debug_option,
        store_option,
        agent_options,
        click.option("--resume", is_flag=True, help="Go on with the thread right away, as threads resume does."),
        click.option("--as", "user", metavar="USER", help="Who decides, as local:ann; unless said, you."),
        click.argument("identity", metavar="ID"),
    ):
        command = option(command)
    return command


@approvals.command()
@_deciding
@click.option("--edit", "edited", metavar="JSON", help="Run it with these arguments instead.")
@click.pass_context
def approve(ctx: click.Context, /, edited: str | None, **given: Any) -> None:
    """Let the call run as it is shown.

    With --edit it runs with other arguments: they are checked, and the policy is asked about them again.
    """
    from gemmagraph.approvals import Approve, Edit
    from gemmagraph.cli.settling import arguments_of

    _settle(ctx, Approve() if edited is None else Edit(arguments_of(edited)), given)


@approvals.command()
@_deciding
@click.argument("reason", nargs=-1, metavar="[REASON]…")
@click.pass_context
def reject(ctx: click.Context, /, reason: tuple[str, ...], **given: Any) -> None:
    """Do not let it run. The model is told the REASON."""
    from gemmagraph.approvals import Reject

    _settle(ctx, Reject(" ".join(reason)), given)


@approvals.command()
@_deciding
@click.argument("text", nargs=-1, required=True, metavar="TEXT…")
@click.pass_context
def respond(ctx: click.Context, /, text: tuple[str, ...], **given: Any) -> None:
    """Do not let it run; TEXT is its result."""
    from gemmagraph.approvals import Respond

    _settle(ctx, Respond(" ".join(text)), given)


def _settle(ctx: click.Context, decision: Any, given: dict[str, Any]) -> None:
    from gemmagraph.cli.assistants import local_user
    from gemmagraph.cli.session import Wanted
    from gemmagraph.cli.settling import settle

    identity, user, resume, verbose = (given.pop(name) for name in ("identity", "user", "resume", "verbose"))
    wanted = Wanted(**given, keeps="always")
    by = local_user() if user is None else user or None
    ctx.exit(settle(wanted, identity, decision, by, resume=resume, verbose=verbose, debug=ctx.meta[DEBUG]))
