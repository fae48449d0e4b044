"""`gemmagraph init`, `gemmagraph schema` and `gemmagraph check`: the file that an assistant is."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout

import click

from gemmagraph.cli.options import debug_option, file_option, json_option, known


@click.command()
@click.argument("folder", default=".")
@debug_option
def init(folder: str) -> None:
    """Begin: write assistant.yaml and ops.py into FOLDER.

    The assistant answers questions about this machine, with tools that work on it. Nothing is overwritten.
    """
    from gemmagraph.cli.starting import started

    sys.stdout.write(f"{started(folder)}\n")


@click.command()
@click.option("--tools", "of_tools", is_flag=True, help="Of a file of tools, which others include.")
@click.option("-o", "--output", metavar="FILE", help="Write it there instead of printing it.")
@debug_option
def schema(of_tools: bool, output: str | None) -> None:
    """Print the JSON Schema of assistant.yaml.

    Editors complete and check by it. Written with -o assistant.schema.json, most find it by a first line of:

    # yaml-language-server: $schema=./assistant.schema.json
    """
    import json

    from gemmagraph.tools.declared.format import assistant_schema, tools_schema

    text = json.dumps(tools_schema() if of_tools else assistant_schema(), ensure_ascii=False, indent=2) + "\n"
    if output is None:
        sys.stdout.write(text)
    else:
        with click.open_file(output, "w", encoding="utf-8") as written:
            written.write(text)


@click.command()
@click.argument("tool", required=False)
@click.argument("arguments", nargs=-1, metavar="[key=text|key:=JSON]…")
@click.option("--as", "user", callback=known, metavar="USER", help="Who calls; unless said, you. '' is nobody.")
@click.option("--in", "channel", callback=known, metavar="CHANNEL", help="Where; unless said, in no channel.")
@file_option
@json_option
@debug_option
@click.pass_context
def check(
    ctx: click.Context,
    /,
    tool: str | None,
    arguments: tuple[str, ...],
    user: str | None,
    channel: str | None,
    file: str | None,
    as_json: bool,
) -> None:
    """Say whether a call may run, and which rule decides.

    Nothing is called. Each rule that does not decide is told with the reason. Texts are turned into what the tool
    declares. In a channel of a bot, what the bot does there is told too: --in slack:T1/C0123, or --in slack:direct
    for direct messages.

    Without TOOL: in which channels the bots of the file answer, whom, with which tools; with --in, whether one
    answers there.

    Ends with 0 if the call may run, 3 if a person is asked, 4 if it is refused or the bot would not come to it; 1 if
    the file is wrong, or what it says of a bot. What is only missing here, a token or a library, is told. Of
    channels and users of rules to which no bot of the file can ever come, there are warnings.
    """
    from gemmagraph.assistant import load_assistant
    from gemmagraph.bots.explaining import doubts
    from gemmagraph.cli.assistants import local_user, needed_file
    from gemmagraph.cli.checking import checked, checked_bots
    from gemmagraph.cli.terminal import plain
    from gemmagraph.tools import ToolContext

    assistant = load_assistant(needed_file(file))
    for doubt in doubts(assistant):
        click.echo(plain(f"Warning: {doubt}"), err=True)
    asker = ToolContext(local_user() if user is None else user or None, channel=channel or None)
    with redirect_stdout(sys.stderr):  # what a file prints while it loads is not our output
        if tool is None:
            text, code = checked_bots(assistant, asker.user, asker.channel, as_json=as_json)
        else:
            text, code = checked(assistant, tool, arguments, asker, as_json=as_json)
    sys.stdout.write(f"{text}\n")
    ctx.exit(code)
