"""`gemmagraph render` and `gemmagraph parse`: what a model is shown, and what is read from what it wrote."""

from __future__ import annotations

import sys

import click

from gemmagraph.cli.options import debug_option, model_options, tools_option


@click.command()
@click.argument("message", required=False)
@tools_option
@model_options
@click.option(
    "--transport",
    type=click.Choice(["chat", "completion", "tools"]),
    help="Chat messages, the whole prompt, or the server's own field for tools; by default what suits the model.",
)
@click.option(
    "--conversation",
    type=click.Path(),
    metavar="FILE.json",
    help="OpenAI-style messages with tool calls and results, or an object with `messages` and `tools`; - is stdin.",
)
@debug_option
def render(
    message: str | None,
    sources: tuple[str, ...],
    model: str | None,
    notation: str | None,
    system: str,
    transport: str | None,
    conversation: str | None,
) -> None:
    """Print what a model would be sent.

    That is the exact prompt, or the chat messages as JSON. No server is asked. The model is gemma3:4b on Ollama
    if neither -m nor GEMMAGRAPH_MODEL names another.
    """
    from gemmagraph.cli.render import rendered
    from gemmagraph.cli.terminal import plain

    if (message is None) == (conversation is None):
        raise click.UsageError("Give a MESSAGE or --conversation FILE.json.")
    text = rendered(message, conversation, sources, model, notation, system, transport)
    shown = plain(text) if sys.stdout.isatty() else text
    sys.stdout.write(shown if shown.endswith("\n") else f"{shown}\n")


@click.command()
@click.option("--notation", required=True, metavar="NAME", help="How calls are written, for example function_call.")
@click.option("--chunk", type=click.IntRange(min=1), metavar="N", help="Feed N characters at a time.")
@debug_option
def parse(notation: str, chunk: int | None) -> None:
    """Print the calls in model outputs.

    They are read from standard input, a line each: {"output": TEXT, "tools": [OpenAI-style tool objects]}, with
    "stop": "length" if the output was cut by a token limit. Each is answered by a line: {"calls": [{"name",
    "arguments"}], "text": TEXT or null, "errors": [{"kind", "tool", "message", "raw"}]}.
    """
    from gemmagraph.cli.parse import parsed_lines

    for answer in parsed_lines(sys.stdin.buffer, notation, chunk):
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()
