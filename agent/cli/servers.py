"""`gemmagraph pull`, `gemmagraph models` and `gemmagraph doctor`: what model servers have, get and can do."""

from __future__ import annotations

import sys

import click

from gemmagraph.cli.options import debug_option, json_option

base_url_option = click.option("--base-url", metavar="URL", help="Where the model server is.")


@click.command()
@click.argument("model")
@click.option("--base-url", metavar="URL", help="Where Ollama is; OLLAMA_HOST by default.")
@debug_option
@click.pass_context
def pull(ctx: click.Context, /, model: str, base_url: str | None) -> None:
    """Get MODEL, such as gemma3:4b, onto an Ollama.

    What has come is kept: stopped with Ctrl-C or by an error, it goes on where it stopped when it is run again.
    """
    from gemmagraph.cli.pull import pull_model

    ctx.exit(pull_model(model, base_url))


@click.command()
@base_url_option
@json_option
@debug_option
def models(base_url: str | None, as_json: bool) -> None:
    """List the models that are there, and those that can be pulled.

    Those of Ollama, of the server in OPENAI_BASE_URL if that is set, and of the Gemini API if GEMINI_API_KEY is; or
    of the one at --base-url.
    """
    from gemmagraph.cli.models import listed

    sys.stdout.write(f"{listed(base_url, as_json)}\n")


@click.command()
@click.option("-m", "--model", metavar="MODEL", help="Look at this one, for example ollama:gemma3:4b.")
@base_url_option
@click.option("--live", is_flag=True, help="Make one real, tiny call.")
@json_option
@debug_option
@click.pass_context
def doctor(ctx: click.Context, /, model: str | None, base_url: str | None, live: bool, as_json: bool) -> None:
    """Say what works, and what to do about the rest.

    All servers that could be meant are looked at, and what a call to each of their models would use.

    Ends with 0 only if a call could be made now by the model that `gemmagraph run` would use with the same options.
    """
    from gemmagraph.cli.doctor import examined

    text, fine = examined(model, base_url, live=live, as_json=as_json)
    sys.stdout.write(f"{text}\n")
    ctx.exit(0 if fine else 1)
