"""The wording of the prompted notations: text files in `templates/`, in place of which a user's own may stand.

In such a text `{tools}` stands for the declarations. The paragraph that holds `{user}` and `{call}` is for examples:
it is written once for each of them, and left out where there are none.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

from gemmagraph.prompts.errors import InvalidArguments, NotationError
from gemmagraph.prompts.messages import ToolCall, ToolSpec
from gemmagraph.prompts.notation import Notation, notation_named
from gemmagraph.prompts.toolset import Toolset

_MOST_EXAMPLES: Final = 5
_BLANK_LINES: Final = re.compile(r"\n\s*\n")
_OF_AN_EXAMPLE: Final = re.compile(r"\{(user|call)\}")


@cache
def wording(name: str) -> str:
    """The template called `name`."""
    return (Path(__file__).parent.parent / "templates" / f"{name}.txt").read_text(encoding="utf-8").strip()


def declared(
    wording: str,
    tools: Toolset,
    declaration: Callable[[ToolSpec], str],
    write_calls: Callable[[Sequence[ToolCall]], str],
    between: tuple[str, str, str] = ("\n", "\n", "\n\n"),
) -> str:
    """A wording with the tools filled in, one declaration after the other, and with their examples; "" without tools.

    Args:
        wording: the text of a template.
        tools: what the model is told of.
        declaration: writes one tool.
        write_calls: writes the calls of the examples.
        between: what stands between declarations, between examples, and between paragraphs.
    """
    if not len(tools):
        return ""
    between_tools, between_examples, between_paragraphs = between
    declarations = between_tools.join(map(declaration, tools))
    shown = _examples(tools, write_calls)
    paragraphs = []
    for paragraph in _BLANK_LINES.split(wording):
        if not _OF_AN_EXAMPLE.search(paragraph):
            paragraphs.append(paragraph.replace("{tools}", declarations))
        elif shown:
            paragraphs.append(between_examples.join(_example(paragraph, user, call) for user, call in shown))
    return between_paragraphs.join(paragraphs)


def _example(paragraph: str, user: str, call: str) -> str:
    return _OF_AN_EXAMPLE.sub(lambda place: user if place.group(1) == "user" else call, paragraph)


def _examples(tools: Toolset, write_calls: Callable[[Sequence[ToolCall]], str]) -> list[tuple[str, str]]:
    """What a person says and the call that follows, from the tools' own examples: the first good one of a tool, and
    not many in all, for they are paid for with every prompt."""
    found: list[tuple[str, str]] = []
    for spec in tools:
        if len(found) == _MOST_EXAMPLES:
            break
        example = _first_example(spec, tools)
        if example:
            found.append((example[0], write_calls([example[1]])))
    return found


def _first_example(spec: ToolSpec, tools: Toolset) -> tuple[str, ToolCall] | None:
    """The first example of a tool that holds what a person says, and arguments that are valid."""
    for example in spec.examples:
        user, arguments = example.get("user"), example.get("args", {})
        if not isinstance(user, str) or not user.strip() or not isinstance(arguments, Mapping):
            continue
        try:
            return " ".join(user.split()), ToolCall("", spec.name, tools.check(spec.name, arguments))
        except InvalidArguments:
            continue
    return None


@runtime_checkable
class Worded(Protocol):
    """A notation that tells of its tools in words."""

    wording: str


def use_wording(notation: str | Notation, path: str | Path) -> Notation:
    """The notation, but with the wording in the file at `path` in place of its own.

    Raises:
        NotationError: the file cannot be read or lacks something; or the notation has no wording: those that a
            model was trained on have a fixed one.
    """
    made = notation_named(notation) if isinstance(notation, str) else notation
    if made.turns is not None or not isinstance(made, Worded):
        raise NotationError(f"The notation {made.name!r} has no wording that could be another.")
    changed = copy.copy(made)
    changed.wording = _wording_in(Path(path))
    return changed


def _wording_in(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8-sig").strip()
    except OSError as exc:
        raise NotationError(f"The wording in {path} can not be read: {exc.strerror or exc}.") from exc
    except UnicodeDecodeError as exc:
        raise NotationError(f"The wording in {path} is not UTF-8 text: {exc.reason} at byte {exc.start}.") from exc
    if (count := text.count("{tools}")) != 1:
        raise NotationError(
            f"The wording in {path} holds {{tools}} {count} times, not once.",
            hint="The declarations of the tools are put in its place.",
        )
    _check_examples(path, [part for part in _BLANK_LINES.split(text) if _OF_AN_EXAMPLE.search(part)])
    return text


def _check_examples(path: Path, paragraphs: Sequence[str]) -> None:
    """Refuses paragraphs for examples that could not be filled in."""
    if len(paragraphs) > 1:
        raise NotationError(
            f"The wording in {path} holds {{user}} or {{call}} in {len(paragraphs)} paragraphs, not in one."
        )
    for paragraph in paragraphs:
        missing = [place for place in ("{user}", "{call}") if place not in paragraph]
        if missing:
            raise NotationError(f"The wording in {path} lacks {missing[0]} in its paragraph for examples.")
        if "{tools}" in paragraph:
            raise NotationError(f"The wording in {path} holds {{tools}} in its paragraph for examples.")
