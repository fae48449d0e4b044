"""How a parameter's value is written where it stands: the styles of OpenAPI.

    style           explode  [1, 2]            {"a": 1, "b": 2}
    simple          no       1,2               a,1,b,2              path, header
    simple          yes      1,2               a=1,b=2              path, header
    form            no       n=1,2             n=a,1,b,2            query, cookie, form
    form            yes      n=1&n=2           a=1&b=2              query, form
    spaceDelimited  no       n=1%202           n=a%201%20b%202      query, form
    pipeDelimited   no       n=1%7C2           n=a%7C1%7Cb%7C2      query, form
    deepObject      -        n[0]=1&n[1]=2     n[a]=1&n[b]=2        query, form
    none is said    -        n=1&n=2           n={"a":1,"b":2}      form

Separators are written as they are, and the same characters in values are encoded. What a style does not say is
decided here: a list or an object inside of a list or an object is JSON, but in deepObject, where it adds one more
pair of brackets; null is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias
from urllib.parse import quote

from gemmagraph.prompts.messages import JSON
from gemmagraph.tools.errors import ToolError
from gemmagraph.tools.fields import as_text
from gemmagraph.tools.guards.targets import segment

Where: TypeAlias = Literal["path", "query", "header", "cookie", "body"]

DEFAULT: Final[dict[str, str]] = {"path": "simple", "query": "form", "header": "simple", "cookie": "form"}
STYLES: Final[dict[str, frozenset[str]]] = {
    "path": frozenset({"simple"}),
    "query": frozenset({"form", "spaceDelimited", "pipeDelimited", "deepObject"}),
    "header": frozenset({"simple"}),
    "cookie": frozenset({"form"}),
}
UNSAID: Final = "content"
"""The style of a form's field of which the document says none."""
_BETWEEN: Final = {"form": ",", "spaceDelimited": "%20", "pipeDelimited": "%7C"}
_RESERVED: Final = ":/?@!$'()*,;"
"""What `allowReserved` leaves as it is: of RFC 3986's reserved characters those that end nothing in a query."""
_IN_COOKIES: Final = "!#$&'()*+-./:<=>?@[]^_`{|}~"


@dataclass(frozen=True, slots=True)
class Argument:
    """Where one argument of a tool goes."""

    name: str
    """As the model says it."""
    where: Where
    wire: str
    """As the service says it."""
    style: str = "form"
    explode: bool = True
    reserved: bool = False
    json: bool = False
    """Whether it is written as JSON, whatever its style."""


def path_text(argument: Argument, value: JSON) -> str:
    """What stands in a path, encoded.

    Raises:
        ToolError: it would not stay one segment.
    """
    try:
        return ",".join(_items(argument, value, segment))
    except ToolError as problem:
        raise ToolError(f"{argument.name}: {problem.message}") from None


def query_pairs(argument: Argument, value: JSON) -> Iterator[tuple[str, str]]:
    """The names and values in a query or a form, encoded."""

    def encoded(text: str) -> str:
        return percent(text, argument.name, _RESERVED if argument.reserved else "")

    name = percent(argument.wire, argument.name)
    if argument.style == "deepObject" and isinstance(value, list | dict) and not argument.json:
        yield from _deep(name, value, encoded)
    elif not isinstance(value, list | dict) or argument.json:
        yield name, "".join(_items(argument, value, encoded))
    elif isinstance(value, dict) and argument.style == UNSAID:
        yield name, encoded(as_text(value))
    elif not argument.explode:
        if items := list(_items(argument, value, encoded)):
            yield name, _BETWEEN[argument.style].join(items)
    elif isinstance(value, list):
        yield from ((name, item) for item in _items(argument, value, encoded))
    else:
        yield from ((encoded(key), encoded(as_text(each))) for key, each in value.items() if each is not None)


def header_text(argument: Argument, value: JSON) -> str:
    """The value of a header. Whether it can be one is checked elsewhere."""
    return ",".join(_items(argument, value, str))


def cookie_text(argument: Argument, value: JSON) -> str:
    """`name=value`, encoded where a cookie cannot hold it."""
    items = _items(argument, value, lambda text: percent(text, argument.name, _IN_COOKIES))
    return f"{percent(argument.wire, argument.name, _IN_COOKIES.replace('=', ''))}={'%2C'.join(items)}"


def percent(text: str, name: str, safe: str = "") -> str:
    """
    Raises:
        ToolError: it is no text that can be sent.
    """
    try:
        return quote(text, safe=safe)
    except UnicodeEncodeError:
        raise ToolError(f"The value for {name} has half a character in it: {text[:80]!r}.") from None


def _items(argument: Argument, value: JSON, encoded: Callable[[str], str]) -> Iterator[str]:
    """What stands between the separators."""
    if argument.json or not isinstance(value, list | dict):
        yield encoded(_json(value) if argument.json else as_text(value))
    elif isinstance(value, list):
        yield from (encoded(as_text(item)) for item in value if item is not None)
    else:
        for key, each in value.items():
            if each is None:
                continue
            if argument.explode and argument.style in ("simple", "form"):
                yield f"{encoded(key)}={encoded(as_text(each))}"
            else:
                yield from (encoded(key), encoded(as_text(each)))


def _json(value: JSON) -> str:
    """A text in quotes too."""
    return as_text([value])[1:-1]


def _deep(name: str, value: JSON, encoded: Callable[[str], str]) -> Iterator[tuple[str, str]]:
    if not isinstance(value, list | dict):
        yield name, encoded(as_text(value))
        return
    for key, each in value.items() if isinstance(value, dict) else enumerate(value):
        if each is not None:
            yield from _deep(f"{name}%5B{encoded(str(key))}%5D", each, encoded)
