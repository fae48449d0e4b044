"""`gemmagraph tools`: what can be called."""

from __future__ import annotations

import sys

import click

from gemmagraph.cli.options import debug_option, tools_option


@click.group()
def tools() -> None:
    """Look at tools."""


@tools.command()
@tools_option
@click.option("--cost", is_flag=True, help="Also how many characters each takes in a prompt, by notation.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@debug_option
def show(sources: tuple[str, ...], cost: bool, as_json: bool) -> None:
    """Print what a model may call, what it may do, and what it costs to tell a model of it."""
    from gemmagraph.cli.toolfiles import load_tools
    from gemmagraph.cli.toolshow import shown

    if not sources:
        raise click.UsageError("Name the tools with --tools FILE.py.")
    sys.stdout.write(f"{shown(load_tools(sources), cost, as_json)}\n")
