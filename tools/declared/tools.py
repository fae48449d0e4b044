"""One tool: what the model is told, and what is done around its calls."""

from __future__ import annotations

from typing import Final

from gemmagraph.tools.declared.bodies import HTTP, PYTHON, SHELL, SQL
from gemmagraph.tools.declared.forms import CHARS, DURATION, Anything, Boolean, Choice, Text, whole
from gemmagraph.tools.declared.structures import Either, Key, Keys, Listing, MapOf, Plain, Short
from gemmagraph.tools.declared.vocabulary import NAMED, NAMES, PEOPLE, SOME_TEXT, TEMPLATE, TOOL_NAME, VERDICT
from gemmagraph.tools.failures import KIND, KINDS

BODIES: Final = ("python", "http", "shell", "sql")
"""What a tool may act by."""

_OBJECT = Plain("mapping", right="a mapping")

PARAMETERS: Final = Keys(
    "parameters",
    {
        "type": Key(Choice("object"), "Always `object`; understood when it is left out."),
        "required": Key(Listing(SOME_TEXT), "The arguments that must be given."),
        "properties": Key(
            MapOf(Plain("mapping", "boolean", right="a JSON Schema")), "The arguments, each with its JSON Schema."
        ),
        "additionalProperties": Key(
            Plain("mapping", "boolean", right="true, false or a JSON Schema"),
            "What holds for arguments that are not declared; false unless said.",
        ),
    },
    says="The JSON Schema (2020-12) that arguments are validated against.",
    rest=Anything(),
)

ANNOTATIONS: Final = Keys(
    "annotations",
    {
        "title": Key(SOME_TEXT, "A name for people."),
        "readOnlyHint": Key(Boolean(), "Whether it changes nothing."),
        "destructiveHint": Key(Boolean(), "Whether it may overwrite or delete something."),
        "idempotentHint": Key(Boolean(), "Whether the same call again changes nothing more."),
        "openWorldHint": Key(Boolean(), "Whether it deals with what other people write."),
    },
    says="What is known of the tool, in MCP's words.",
)

ASKING: Final = {
    "approvers": Key(PEOPLE, "Who may decide; whoever asked, unless said."),
    "four_eyes": Key(Boolean(), "Whether somebody else than who asked must decide."),
    "expires": Key(DURATION, "How long the question stands; 15 minutes unless said."),
}

APPROVAL: Final = Either(
    Short(VERDICT, "mode"),
    Keys(
        "approval",
        {"mode": Key(VERDICT, "What happens to a call.", required=True), **ASKING},
        says="Whether a person is asked before a call, and who.",
    ),
    right="allow, ask, deny or a mapping with mode",
)

RESULT: Final = Keys(
    "result",
    {
        "select": Key(SOME_TEXT, "A JMESPath expression: what is kept of the result."),
        "template": Key(TEMPLATE, "A text made of the result: `Created #{{ result.number }}`."),
        "format": Key(Choice("table", "json", "text"), "How the result is written."),
        "keep": Key(Choice("head", "tail"), "Which end is kept when it is too long."),
        "max_chars": Key(CHARS, "The most characters of result that the model is given."),
        "on_overflow": Key(
            Choice("truncate", "spill", "error"), "What happens to more: cut, kept for `read_more`, or an error."
        ),
    },
    says="What the model is given of a result.",
    excludes={"template": ("format",)},
)

ERRORS: Final = MapOf(
    TEMPLATE,
    names=KIND,
    named=KINDS,
)

_EXAMPLE = Keys(
    "example",
    {
        "user": Key(SOME_TEXT, "What a person says."),
        "args": Key(_OBJECT, "The arguments of the call that is right then.", required=True),
        "live": Key(Boolean(), "Whether `gemmagraph tools test --live` makes the call; true unless said."),
    },
    says="An example of use; checked by `gemmagraph tools test`.",
)

NEED: Final = Text(
    pattern=r"^(program:\S+|env:[A-Za-z_][A-Za-z0-9_]*|package:[A-Za-z_][A-Za-z0-9_]*)$",
    right="program:NAME, env:NAME or package:NAME",
)

AROUND: Final = {
    "annotations": Key(ANNOTATIONS, "What is known of the tool: read-only, destructive, idempotent."),
    "approval": Key(APPROVAL, "Whether a person is asked before a call."),
    "result": Key(RESULT, "What the model is given of the result."),
    "errors": Key(ERRORS, "What the model is told of a failure, by its kind."),
    "cache": Key(DURATION, "How long a result answers the same call again; for read-only tools."),
    "timeout": Key(DURATION, "How long one try may take."),
    "retries": Key(whole(0, 10), "Further tries; for read-only and idempotent tools."),
    "concurrency": Key(whole(1), "How many calls may run at once."),
    "sequential": Key(Boolean(), "Whether its calls in one turn run one after another."),
    "pinned": Key(Boolean(), "Whether it is offered with every request, however many tools there are."),
    "return_direct": Key(Boolean(), "Whether its result is the answer, without asking the model again."),
    "examples": Key(Listing(_EXAMPLE), "Examples of use: shown to the model, and tests."),
}
"""What every tool may say, imported ones in their overrides."""

TOOL: Final = Keys(
    "tool",
    {
        "name": Key(TOOL_NAME, "What the model calls it.", required=True),
        "description": Key(SOME_TEXT, "What it does, for the model; of a Python function, its docstring."),
        "parameters": Key(PARAMETERS, "The arguments, as a JSON Schema; of a Python function, its type hints."),
        "python": Key(PYTHON, "A Python function: `./file.py:name` beside this file, or `package.module:name`."),
        "http": Key(HTTP, "An HTTP request."),
        "shell": Key(SHELL, "A program and its arguments."),
        "sql": Key(SQL, "An SQL statement."),
        "bind": Key(
            MapOf(TEMPLATE, names=NAMES, named=NAMED),
            "Values that the application fills in, unseen by the model: `{{ context.user }}`.",
        ),
        "needs": Key(
            Listing(NEED),
            "What must be there, or the tool is unavailable: `program:git`, `env:TOKEN`, `package:pandas`.",
        ),
        **AROUND,
    },
    says="A tool that the model may call.",
    one_of=BODIES,
    needs=dict.fromkeys(("http", "shell", "sql"), ("description",)),
    why={
        "openapi": "It belongs under the imports of the file.",
        "mcp": "It belongs under the imports of the file.",
    },
)

DEFAULTS: Final = Keys(
    "defaults",
    {key: AROUND[key] for key in ("timeout", "retries", "result")},
    says="What holds for each tool of the file that says nothing else; `result` is merged key by key.",
)
