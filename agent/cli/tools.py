"""`gemmagraph tools`: what can be called."""

from __future__ import annotations

import sys
from typing import Any

import click

from gemmagraph.cli.options import (
    context_option,
    debug_option,
    file_option,
    json_option,
    tools_option,
    toolset_option,
)


@click.group()
def tools() -> None:
    """Look at tools, test them, add some.

    They are those of ./assistant.yaml, or of the file that -f names; or of Python files, with --tools.
    """


def _found(file: str | None, toolset: str | None, sources: tuple[str, ...]) -> Any:
    """The assistant that is meant; None if only Python files are."""
    from gemmagraph.cli.assistants import assistant_of

    if sources and file is None and toolset is None:
        return None
    found = assistant_of(file, toolset)
    if found is None:
        raise click.UsageError(
            "There is no assistant.yaml here. Name a file with -f, or Python tools with --tools FILE.py."
        )
    return found


def _print(text: str) -> None:
    """Tools may say anything of themselves, and of why they cannot run: not the value of a secret."""
    from gemmagraph.tools.secrets import mask

    sys.stdout.write(f"{mask(text)}\n")


@tools.command("list")
@file_option
@toolset_option
@tools_option
@json_option
@debug_option
def list_(file: str | None, toolset: str | None, sources: tuple[str, ...], as_json: bool) -> None:
    """List what the file declares, and what of it can run here.

    Nothing is imported, connected or started.
    """
    from gemmagraph.cli.listing import listed

    _print(listed(_found(file, toolset, sources), sources, as_json))


@tools.command()
@click.argument("names", nargs=-1, metavar="[NAME]…")
@file_option
@toolset_option
@tools_option
@click.option("--cost", is_flag=True, help="Also how many characters each takes in a prompt, by notation.")
@json_option
@debug_option
def show(
    names: tuple[str, ...],
    file: str | None,
    toolset: str | None,
    sources: tuple[str, ...],
    cost: bool,
    as_json: bool,
) -> None:
    """Print what each tool says and may do, and how it acts.

    Python files are imported and MCP servers started. A NAME may be a glob.
    """
    from gemmagraph.cli.toolfiles import opened
    from gemmagraph.cli.toolshow import shown

    assistant = _found(file, toolset, sources)
    with opened(assistant, sources) as found:
        _print(shown(found, assistant, names, cost=cost, as_json=as_json))


@tools.command()
@click.argument("names", nargs=-1, metavar="[NAME]…")
@file_option
@toolset_option
@tools_option
@click.option("--live", is_flag=True, help="Really call those that only read, with their examples.")
@context_option
@json_option
@debug_option
@click.pass_context
def test(
    ctx: click.Context,
    /,
    names: tuple[str, ...],
    file: str | None,
    toolset: str | None,
    sources: tuple[str, ...],
    live: bool,
    context: dict[str, Any],
    as_json: bool,
) -> None:
    """Check the examples of tools, and show what each would do.

    The arguments of each example are checked, and what they would do is printed: method and URL, the program and
    its arguments, the statement with its values. Last comes what each tool takes in a prompt, in characters.

    Ends with 1 if an example is wrong, or a Python file, a document or an MCP server cannot be opened. A program, a
    variable or a database that this machine lacks is only noted.
    """
    from gemmagraph.cli.assistants import local_user
    from gemmagraph.cli.toolfiles import opened
    from gemmagraph.cli.toolshow import chosen
    from gemmagraph.cli.trying import tried
    from gemmagraph.tools import ToolContext

    with opened(_found(file, toolset, sources), sources) as found:
        asker = ToolContext(local_user(), values=context)
        text, fine = tried(found, chosen(found, names), asker, live=live, as_json=as_json)
    _print(text)
    ctx.exit(0 if fine else 1)


@tools.command()
@file_option
@toolset_option
@tools_option
@click.option("-o", "--output", metavar="FILE.md", help="Write it there instead of printing it.")
@debug_option
def docs(file: str | None, toolset: str | None, sources: tuple[str, ...], output: str | None) -> None:
    """Print a page of Markdown about the tools, for those who use them."""
    from gemmagraph.cli.tooldocs import page
    from gemmagraph.cli.toolfiles import opened

    assistant = _found(file, toolset, sources)
    with opened(assistant, sources) as found:
        text = page(found, assistant, "Tools")
    if output is None:
        sys.stdout.write(text)
    else:
        with click.open_file(output, "w", encoding="utf-8") as written:
            written.write(text)


@tools.command()
@file_option
@click.option("--dry-run", is_flag=True, help="Say what would be pinned, and write nothing.")
@debug_option
@click.pass_context
def pin(ctx: click.Context, /, file: str | None, dry_run: bool) -> None:
    """Write down what is imported now, so that a change is noticed.

    That is a digest of what each MCP server offers, and of each OpenAPI document that is from a URL or has a pin
    already. What an MCP server offers is printed where it is new or has changed: it is somebody else's text, and a
    model reads it.

    Ends with 1 if something could not be pinned.
    """
    from gemmagraph.cli.assistants import needed_file
    from gemmagraph.cli.pinning import pinned

    text, fine = pinned(needed_file(file), write=not dry_run)
    _print(text)
    ctx.exit(0 if fine else 1)


@tools.group()
def add() -> None:
    """Write an entry into the file; all else in it stays as it is."""


@add.command()
@click.argument("functions", nargs=-1, required=True, metavar="FILE.py:NAME|MODULE:NAME…")
@file_option
@debug_option
def python(functions: tuple[str, ...], file: str | None) -> None:
    """Add Python functions."""
    from gemmagraph.cli.adding import added_python
    from gemmagraph.cli.assistants import needed_file

    _print(added_python(needed_file(file), functions))


@add.command()
@click.argument("document")
@click.argument("operations", nargs=-1, required=True, metavar="OPERATION…")
@click.option("--base-url", metavar="URL", help="The server, where the document names none or another.")
@file_option
@debug_option
def openapi(document: str, operations: tuple[str, ...], base_url: str | None, file: str | None) -> None:
    """Add operations of an OpenAPI document.

    DOCUMENT is a file, or a URL, which is pinned. OPERATION is an operationId, or "GET /path".
    """
    from gemmagraph.cli.adding import added_openapi
    from gemmagraph.cli.assistants import needed_file

    _print(added_openapi(needed_file(file), document, operations, base_url))


@add.command(context_settings={"allow_interspersed_args": False})
@click.argument("command", nargs=-1, required=True, metavar="COMMAND…|URL")
@click.option("--only", "include", multiple=True, metavar="GLOB", help="Only such tools of it. May be repeated.")
@file_option
@debug_option
def mcp(command: tuple[str, ...], include: tuple[str, ...], file: str | None) -> None:
    """Add an MCP server: the command that starts it, or its URL.

    It is started once, and what it offers is pinned. Options stand before COMMAND.
    """
    from gemmagraph.cli.adding import added_mcp
    from gemmagraph.cli.assistants import needed_file

    _print(added_mcp(needed_file(file), command, include))
