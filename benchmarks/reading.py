"""What it costs to read a reply, piece by piece as it arrives and as a whole, beside the readers that people use.

Those of vLLM and SGLang are not measured: neither installs without the GPU libraries it runs models with.
"""

from __future__ import annotations

import ast
import importlib.util
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from typing import Any

from measure import Effort, Row, Spread, cpu, in_turns, microseconds, ratio, settle

_PIECE = 4
_SHORT, _LONG = 800, 12_800
_PROSE = (
    "The disk of the web server is nearly full, and it's the third time this month; the logs of last week take "
    "12 GB. Please rotate them, keep what is newer than seven days, and tell the people on call what you did.\n"
)
_Read = Callable[[str], Any]


def _prose(length: int) -> str:
    return (_PROSE * (length // len(_PROSE) + 1))[:length]


# The readers that people write for themselves: each trusts what stands there, and checks nothing.


def _by_ast(calls: str) -> list[dict[str, Any]]:
    found = []
    for node in ast.parse(calls).body:
        assert isinstance(node, ast.Expr)
        for call in node.value.elts if isinstance(node.value, ast.List) else [node.value]:
            assert isinstance(call, ast.Call)
            assert isinstance(call.func, ast.Name)
            arguments = {str(word.arg): ast.literal_eval(word.value) for word in call.keywords}
            found.append({"name": call.func.id, "arguments": arguments})
    return found


def _prefixed(text: str) -> Any:
    return [_by_ast(found.group(1))[0] for found in re.finditer(r"FUNCTION_CALL:\s*(\w+\(.*\))", text)]


def _fenced(text: str) -> Any:
    found = re.search(r"```tool_code\s*(.*?)\s*```", text, re.DOTALL)
    return _by_ast(found.group(1)) if found else []


def _listed(text: str) -> Any:
    return _by_ast(text[text.index("[") :])


def _objects(text: str) -> Any:
    return [json.loads(found.group()) for found in re.finditer(r'\{"name".*\}$', text, re.MULTILINE)]


def _marked(pattern: str, delimiter: str) -> _Read:
    """As Google's samples read the native notations."""
    calls = re.compile(pattern, re.DOTALL)
    arguments = re.compile(rf"(\w+):(?:{delimiter}(.*?){delimiter}|([^,}}]*))", re.DOTALL)

    def read(text: str) -> Any:
        found = []
        for name, inside in calls.findall(text):
            values = {key: literal(bare) if bare else given for key, given, bare in arguments.findall(inside)}
            found.append({"name": name, "arguments": values})
        return found

    def literal(bare: str) -> Any:
        try:
            return json.loads(bare)
        except ValueError:
            return bare

    return read


@cache
def _of_package(package: str, file: str) -> _Read | None:
    """`parse_tool_call` of a file in an installed package, without importing the package itself, which needs other
    hardware; None if it is not installed."""
    try:
        path = distribution(package).locate_file(file)
    except PackageNotFoundError:
        return None
    spec = importlib.util.spec_from_file_location(file.replace("/", "_").removesuffix(".py"), str(path))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    parse: _Read = module.parse_tool_call
    return parse


@dataclass(frozen=True)
class _Case:
    notation: str
    simple: _Read
    """The short way: a regular expression, and ast or json."""
    peers: Mapping[str, tuple[str, str]]
    """Package and file of readers that are in use."""


_CASES = (
    _Case("function_call", _prefixed, {}),
    _Case("json", _objects, {}),
    _Case("tool_code", _fenced, {}),
    _Case(
        "pythonic",
        _listed,
        {"mlx-lm": ("mlx-lm", "mlx_lm/tool_parsers/pythonic.py")},
    ),
    _Case(
        "functiongemma",
        _marked(r"<start_function_call>call:(\w+)\{(.*?)\}<end_function_call>", "<escape>"),
        {"mlx-lm": ("mlx-lm", "mlx_lm/tool_parsers/function_gemma.py")},
    ),
    _Case(
        "gemma4",
        _marked(r"<\|tool_call>call:(\w+)\{(.*?)\}<tool_call\|>", r"<\|\"\|>"),
        {
            "mlx-lm": ("mlx-lm", "mlx_lm/tool_parsers/gemma4.py"),
            "mlx-vlm": ("mlx-vlm", "mlx_vlm/tools/parsers/gemma4.py"),
        },
    ),
)


def rows(effort: Effort) -> list[Row]:
    return [row for case in _CASES for row in (*_by_piece(case, effort), _whole(case, effort))]


def _by_piece(case: _Case, effort: Effort) -> list[Row]:
    texts = {
        f"an answer of {_SHORT} characters": _prose(_SHORT),
        f"{_SHORT} characters in a call": _call(case.notation, _SHORT),
        f"{_LONG:,} characters in a call": _call(case.notation, _LONG),
    }
    toolset, reader = _notation(case.notation)
    pieces = {what: [text[at : at + _PIECE] for at in range(0, len(text), _PIECE)] for what, text in texts.items()}

    def reading(given: Sequence[str]) -> Callable[[], object]:
        def read() -> None:
            reading = reader(toolset)
            for piece in given:
                reading.feed(piece)
            reading.close("stop")

        return read

    settle()
    sides = {what: cpu(reading(given), effort.seconds) for what, given in pieces.items()}
    measured = in_turns(sides, effort.rounds)
    rounds = {what: [seconds / len(pieces[what]) for seconds in found] for what, found in measured.items()}
    rows = [
        Row(
            f"{case.notation}: {what}, {_PIECE} at a time",
            f"{Spread.of(second * 1e6 for second in seconds)} µs a piece",
            reach="≤ 3 µs",
            met=Spread.of(seconds).median <= 3e-6,
        )
        for what, seconds in rounds.items()
    ]
    _, short, long = rounds
    grown = ratio(rounds, long, short)
    what = f"{case.notation}: {_LONG:,} characters against {_SHORT}"
    return [*rows, Row(what, "", ratio=grown, reach="≤ 1.3 x", met=grown.median <= 1.3)]


def _whole(case: _Case, effort: Effort) -> Row:
    toolset, reader = _notation(case.notation)
    said = "I will write that down.\n"
    text, by_ast = (f"{said}{_call(notation, _SHORT)}" for notation in (case.notation, "function_call"))

    def ours() -> Any:
        reading = reader(toolset)
        reading.feed(text)
        return reading.close("stop")[1]

    (call,) = ours().calls
    assert {"name": call.name, "arguments": call.arguments} == case.simple(text)[0] == _prefixed(by_ast)[0]
    others: dict[str, _Read | None] = {"a regular expression": case.simple}
    others |= {name: _of_package(*place) for name, place in case.peers.items()}
    sides = {"ours": cpu(ours, effort.seconds), "ast": cpu(lambda: _prefixed(by_ast), effort.seconds)}
    sides |= {name: cpu(lambda parse=parse: parse(text), effort.seconds) for name, parse in others.items() if parse}
    rounds = in_turns(sides, effort.rounds)
    times = ratio(rounds, "ours", "ast")
    return Row(
        f"{case.notation}: {_SHORT} characters in a call, at once",
        microseconds(rounds["ours"]),
        f"the same as FUNCTION_CALL, by regex and ast {microseconds(rounds['ast'])}",
        times,
        peers={name: microseconds(rounds[name]) if parse else "not installed" for name, parse in others.items()},
        reach="≤ 2 x",
        met=times.median <= 2,
    )


def _call(notation: str, length: int) -> str:
    from gemmagraph.prompts.messages import ToolCall
    from gemmagraph.prompts.notation import notation_named

    return notation_named(notation).write_calls([ToolCall("", "note", {"text": _prose(length), "urgent": True})])


def _notation(name: str) -> tuple[Any, Any]:
    from gemmagraph import tool
    from gemmagraph.prompts.notation import notation_named
    from gemmagraph.prompts.toolset import Toolset

    def note(text: str, urgent: bool = False) -> str:
        """Writes something down."""
        return text

    return Toolset([tool(note).spec]), notation_named(name).reader
