"""`result:` of a tool: what of its raw result the model gets, and how.

In this order: `select` takes a part (JMESPath), `template` or `format` make it text, and what is longer than
`max_chars` is cut, kept for reading on, or refused. A text that is JSON, as programs print it, is read as JSON where
one of the first three is given.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, Literal, TypeAlias, get_args

from gemmagraph.prompts.messages import JSON
from gemmagraph.tools.errors import Fault, ToolError, refuse
from gemmagraph.tools.fields import Absent, Field, Path, Scope, field_or_fault
from gemmagraph.tools.results import MOST_CHARS, Converted, Keep, as_content, beside, clip, convert, cut
from gemmagraph.tools.secrets import mask_json
from gemmagraph.tools.shaping.spill import SPILL, Owner, Spill
from gemmagraph.tools.shaping.texts import Table, as_lines, as_table, as_value

Format: TypeAlias = Literal["table", "json", "text"]
Overflow: TypeAlias = Literal["truncate", "spill", "error"]

MIN_CHARS: Final = 200
DEFAULT_CHARS: Final = 8_000
_LOOKED_AT: Final = 50
"""So many characters of JSON for each that may be shown: a table names its columns once, JSON in every row."""
_ROOT: Final = "result"
_NOBODY: Final = Owner()


class _Unfit(Exception):
    """The result is not what `select`, `template` or `format` expect; the message is for the model."""


@dataclass(frozen=True)
class Shape:
    """How a result becomes what the model gets. Compiled when it is made.

    Raises:
        ToolDefinitionError: with a fault for each key that is wrong, under `("result", KEY)`.
    """

    select: str | None = None
    template: str | None = None
    """May name values of the result: `{{ result.url }}`. A result that is a text is `{{ result.text }}`."""
    format: Format | None = None
    """`table`: rows; `text`: line by line; `json`: JSON, also of a text. None: as it is."""
    keep: Keep = "head"
    max_chars: int = DEFAULT_CHARS
    on_overflow: Overflow = "truncate"
    _search: Callable[[JSON], JSON] | None = field(init=False, repr=False, compare=False, default=None)
    _filled: Field | None = field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        faults = _wrong_values(self)
        if isinstance(self.select, str):
            object.__setattr__(self, "_search", _compiled(self.select, faults))
        if isinstance(self.template, str):
            object.__setattr__(self, "_filled", field_or_fault(self.template, (_ROOT,), (_ROOT, "template"), faults))
            if self.format is not None:
                faults.append(Fault((_ROOT, "format"), "stands beside template, which says it all.", "Drop one."))
        refuse("The result of the tool", faults)

    @classmethod
    def of(cls, keys: Mapping[str, Any]) -> Shape:
        """From `result=` of a tool.

        Raises:
            ToolDefinitionError: a key is unknown, or its value wrong.
        """
        known = [one.name for one in fields(cls) if one.init]
        unknown = [
            Fault((_ROOT, key), "is no key.", f"The keys are {', '.join(known)}.") for key in keys if key not in known
        ]
        refuse("The result of the tool", unknown)
        return cls(**keys)

    @property
    def spills(self) -> bool:
        """Whether the tool `read_more` is needed beside it."""
        return self.on_overflow == "spill"

    def apply(self, value: object, *, owner: Owner = _NOBODY, store: Spill = SPILL) -> JSON:
        """What the model gets of a raw result.

        Raises:
            ToolError: it is too long, and `on_overflow` is `error`.
            TypeError: there is no sensible text for it; the message says what was returned.
        """
        shaped = self.select is not None or self.template is not None or self.format is not None
        if not shaped and self.on_overflow == "truncate":
            return as_content(value, self.max_chars, self.keep)
        if not shaped:
            return self._fitted(convert(value, MOST_CHARS if self.spills else self.max_chars), owner, store)
        try:
            found = self._selected(value)
            if self.format == "table":
                return self._tabled(found, owner, store)
            return self._fitted(Converted(self._written(found.content), found.size, found.whole), owner, store)
        except _Unfit as unfit:
            return clip(str(unfit), self.max_chars)

    def _selected(self, value: object) -> Converted:
        """The part that `select` takes, as JSON."""
        is_text = isinstance(value, (str, bytes, bytearray, memoryview))
        whole_needed = (
            is_text or self.on_overflow != "truncate" or self._search is not None or self._filled is not None
        )
        limit = MOST_CHARS if whole_needed else min(MOST_CHARS, _LOOKED_AT * self.max_chars)
        found = convert(value, limit, "head" if whole_needed else self.keep)
        if self._search is not None and not found.whole:
            raise _Unfit(f"[The result has {found.size}, too much to select from. Ask for less.]")
        if is_text and self.keep == "tail" and not found.whole:
            return convert(value, self.max_chars, "tail")
        content = as_value(found.content)
        if self._search is None:
            return Converted(content, found.size, found.whole)
        return _selection(content, self._search, str(self.select))

    def _written(self, content: JSON) -> JSON:
        if self._filled is not None:
            return _filled(self._filled, content)
        return "\n".join(as_lines(content)) if self.format == "text" else content

    def _tabled(self, found: Converted, owner: Owner, store: Spill) -> JSON:
        if isinstance(found.content, str):
            return self._fitted(found, owner, store)
        table = as_table(mask_json(found.content))  # in a cell it would be written otherwise
        text = table.text
        if self.on_overflow == "truncate" and (len(text) > self.max_chars or not found.whole):
            return _cut_rows(table, self.max_chars, found, self.keep)
        return self._fitted(Converted(text, f"{len(text):,} characters", found.whole), owner, store)

    def _fitted(self, found: Converted, owner: Owner, store: Spill) -> JSON:
        """At most `max_chars`, by the way that `on_overflow` names."""
        text = found.text
        if found.whole and len(text) <= self.max_chars:
            return found.content
        if self.on_overflow == "error":
            raise ToolError(
                f"The result has {_size(found, text)}; at most {self.max_chars:,} characters can be shown.",
                hint="Ask for less of it.",
            )
        if self.on_overflow == "spill":
            size = "" if found.whole else found.size
            return store.put(_paged(found.content), owner, self.max_chars, self.keep, size=size, whole=found.whole)
        return cut(text, self.max_chars, _size(found, text), self.keep)


def _wrong_values(shape: Shape) -> list[Fault]:
    faults = []
    for key, allowed in (("format", Format), ("keep", Keep), ("on_overflow", Overflow)):
        value = getattr(shape, key)
        if value not in get_args(allowed) and not (key == "format" and value is None):
            faults.append(Fault((_ROOT, key), f"{value!r} is none of {', '.join(get_args(allowed))}."))
    for key in ("select", "template"):
        value = getattr(shape, key)
        if value is not None and not isinstance(value, str):
            faults.append(Fault((_ROOT, key), f"{value!r} is no text."))
    chars = shape.max_chars
    if isinstance(chars, bool) or not isinstance(chars, int) or not MIN_CHARS <= chars <= MOST_CHARS:
        faults.append(
            Fault((_ROOT, "max_chars"), f"{chars!r} is no number of characters from {MIN_CHARS} to {MOST_CHARS:,}.")
        )
    return faults


def _compiled(select: str, faults: list[Fault]) -> Callable[[JSON], JSON] | None:
    """A search, or a fault."""
    import jmespath  # type: ignore[import-untyped]  # it has no types of its own; so below
    from jmespath.exceptions import JMESPathError  # type: ignore[import-untyped]
    from jmespath.functions import Functions  # type: ignore[import-untyped]

    try:
        compiled = jmespath.compile(select)
    except JMESPathError as problem:
        reason = " ".join(str(problem).split("\n")[0].split())
        faults.append(Fault((_ROOT, "select"), f"{select!r} is no JMESPath: {reason}.", "See https://jmespath.org."))
        return None
    faults += [
        Fault((_ROOT, "select"), f"{select!r} calls {name}(), which JMESPath does not have.")
        for name in _called(compiled.parsed)
        if name not in Functions.FUNCTION_TABLE
    ]
    search: Callable[[JSON], JSON] = compiled.search
    return search


def _called(node: Mapping[str, Any]) -> list[str]:
    """The functions that a parsed expression calls: they are looked up only when it is applied."""
    own = [str(node["value"])] if node.get("type") == "function_expression" else []
    children = [child for child in node.get("children", ()) if isinstance(child, Mapping)]
    return own + [name for child in children for name in _called(child)]


def _selection(content: JSON, search: Callable[[JSON], JSON], select: str) -> Converted:
    from jmespath.exceptions import JMESPathError

    try:
        selected = search(content)
    except (JMESPathError, RecursionError) as problem:
        reason = " ".join(str(problem).split("\n")[0].split())
        raise _Unfit(f"[Nothing could be selected from the result with {select!r}: {reason}]") from None
    if selected is None:
        raise _Unfit(f"[The result has nothing at {select!r}.{_outline(content)}]")
    return convert(selected, MOST_CHARS)


def _outline(content: JSON) -> str:
    """What a value has, without its values: those are what `select` leaves out."""
    if isinstance(content, Mapping):
        names = ", ".join(list(content)[:20])
        return f" It has the keys {names}." if names else " It is empty."
    return f" It is a list of {len(content):,}." if isinstance(content, list) else " It is no object."


def _filled(template: Field, content: JSON) -> str:
    scope: Scope = {_ROOT: content if isinstance(content, Mapping | list) else {"text": content}}  # type: ignore[dict-item]  # a list has steps too
    text = template.text(scope)
    if not isinstance(text, Absent):
        return text
    missing = [path for path in template.paths if isinstance(path.find(scope), Absent)]
    return _without(missing, content)


def _without(missing: list[Path], content: JSON) -> str:
    """Instead of a text with holes: what is missing, and the value as it is."""
    names = ", ".join(dict.fromkeys(map(str, missing)))
    value = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    return f"[The result has no {names}.]\n{value}"


def _cut_rows(table: Table, max_chars: int, found: Converted, keep: Keep) -> str:
    """Whole rows under the names of the columns, and how many rows there are."""
    size = found.size if not found.whole else f"{len(table.rows):,} rows"
    where = "first" if keep == "head" else "last"
    note = f"[Cut. The whole has {size}; these are the {where} of them.]"
    below = f"{note}\n{table.beside}" if table.beside else note
    room = max(MIN_CHARS // 2, max_chars - len(table.header) - 1)
    rows = "\n".join(table.rows)
    shown = beside(rows, room, below if keep == "head" else note, keep)
    if keep == "tail" and table.beside:
        shown = beside(rows, room - len(table.beside) - 1, note, keep) + f"\n{table.beside}"
    return clip(f"{table.header}\n{shown}" if table.header else shown, max_chars)


def _size(found: Converted, text: str) -> str:
    return f"{len(text):,} characters" if found.whole and not found.partial else found.size


def _paged(content: JSON) -> str:
    """As text with line breaks, where pages can end."""
    if isinstance(content, list):
        return "[\n" + ",\n".join(json.dumps(item, ensure_ascii=False) for item in content) + "\n]"
    return content if isinstance(content, str) else json.dumps(content, ensure_ascii=False, indent=1)
