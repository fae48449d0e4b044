"""What a tool of an OpenAPI document will send: each argument written into its place."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias
from urllib.parse import unquote

from gemmagraph.prompts.messages import JSON
from gemmagraph.tools.bodies.http_connection import Sending, header_value, joined
from gemmagraph.tools.errors import ToolError
from gemmagraph.tools.fields import as_text
from gemmagraph.tools.guards.targets import climbs
from gemmagraph.tools.imports.openapi_styles import (
    UNSAID,
    Argument,
    cookie_text,
    header_text,
    path_text,
    query_pairs,
)

Form: TypeAlias = Literal["json", "form", "body"]


@dataclass(frozen=True, slots=True)
class Content:
    """The body of a request."""

    form: Form
    media: str
    """Its Content-Type."""
    whole: Argument | None
    """The argument that it is; None if several arguments are its properties."""
    required: bool


@dataclass(frozen=True, slots=True)
class Request:
    """One operation, ready for arguments."""

    method: str
    path: Sequence[str | Argument]
    """Literal pieces, and what stands between them."""
    arguments: Sequence[Argument] = ()
    """Those of the query, the headers, the cookies and the body."""
    content: Content | None = None
    accept: str = ""

    def sending(self, values: Mapping[str, JSON]) -> Sending:
        """The request, with values in their places.

        Raises:
            ToolError: one of them cannot stand there.
        """
        target = self._path(values)
        if query := _joined(self._pairs("query", values)):
            target += "?" + query
        content, media = self._written(values)
        headers = [*self._headers(values)]
        if media:
            headers.append(("Content-Type", media))
        return Sending(self.method, target, tuple(headers), content)

    def facts(self, values: Mapping[str, JSON], base: str) -> dict[str, JSON]:
        """The same for people and for a digest: JSON.

        Raises:
            ToolError: a value cannot stand in its place.
        """
        sending = self.sending(values)
        facts: dict[str, JSON] = {"method": self.method, "url": joined(base, sending.target)}
        if headers := dict(self._headers(values)):
            facts["headers"] = headers
        if self.content is not None and sending.content:
            if self.content.form == "form":
                pairs = self._form(self.content, values)
                facts["form"] = [[unquote(name), unquote(text)] for name, text in pairs]
            else:
                value = self._value(self.content, values)
                facts[self.content.form] = value if self.content.form == "json" else as_text(value)
        return facts

    def _path(self, values: Mapping[str, JSON]) -> str:
        pieces = []
        for piece in self.path:
            if isinstance(piece, Argument):
                if values.get(piece.name) is None:
                    raise ToolError(f"{piece.name} is needed for the path.")
                pieces.append(path_text(piece, values[piece.name]))
            else:
                pieces.append(piece)
        path = "".join(pieces)
        if climbs(path):
            raise ToolError(f"{path[:200]!r} is no path to ask: it has a step '.' or '..'.")
        return path

    def _pairs(self, where: str, values: Mapping[str, JSON]) -> Iterator[tuple[str, str]]:
        for argument in self.arguments:
            if argument.where == where and values.get(argument.name) is not None:
                yield from query_pairs(argument, values[argument.name])

    def _headers(self, values: Mapping[str, JSON]) -> Iterator[tuple[str, str]]:
        if self.accept:
            yield "Accept", self.accept
        cookies = []
        for argument in self.arguments:
            value = values.get(argument.name)
            if value is None:
                continue
            if argument.where == "header":
                yield argument.wire, header_value(argument.wire, header_text(argument, value))
            elif argument.where == "cookie":
                cookies.append(cookie_text(argument, value))
        if cookies:
            yield "Cookie", "; ".join(cookies)

    def _written(self, values: Mapping[str, JSON]) -> tuple[bytes, str]:
        """The body and its Content-Type; both empty if nothing is sent."""
        content = self.content
        if content is None or not (content.required or self._given(content, values)):
            return b"", ""
        if content.form == "form":
            return _joined(self._form(content, values)).encode(), content.media
        value = self._value(content, values)
        if content.form == "body":
            text = as_text(value)
        else:
            text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        try:
            return text.encode(), content.media
        except UnicodeEncodeError:
            raise ToolError(f"What is to be sent has half a character in it: {text[:80]!r}.") from None

    def _given(self, content: Content, values: Mapping[str, JSON]) -> bool:
        if content.whole is not None:
            return content.whole.name in values
        return any(argument.where == "body" and argument.name in values for argument in self.arguments)

    def _value(self, content: Content, values: Mapping[str, JSON]) -> JSON:
        if content.whole is not None:
            if content.whole.name not in values:
                raise ToolError(f"{content.whole.name} is needed for what is sent.")
            return values[content.whole.name]
        body = (argument for argument in self.arguments if argument.where == "body")
        return {argument.wire: values[argument.name] for argument in body if argument.name in values}

    def _form(self, content: Content, values: Mapping[str, JSON]) -> Iterator[tuple[str, str]]:
        if content.whole is None:
            yield from self._pairs("body", values)
            return
        whole = values.get(content.whole.name)
        for name, value in whole.items() if isinstance(whole, dict) else ():
            if value is not None:
                yield from query_pairs(Argument(name, "body", name, style=UNSAID), value)


def _joined(pairs: Iterator[tuple[str, str]]) -> str:
    return "&".join(f"{name}={text}" for name, text in pairs)
