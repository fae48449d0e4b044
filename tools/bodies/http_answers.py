"""What an HTTP answer is to a tool: a JSON value, a text, or a failure with words for the model."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import Message
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final

from gemmagraph.prompts.messages import JSON
from gemmagraph.tools.errors import BodyError, ToolError
from gemmagraph.tools.secrets import mask

_SHOWN: Final = 300
"""Characters of a refusal that the model is shown."""
_TRANSIENT: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_LOST_BEHIND: Final = frozenset({502, 504})
"""Said by what stands in front of the service: whether that has done it, nobody knows."""
_TEXTS: Final = re.compile(
    r"text/.*|application/(.*\+)?(xml|yaml|x-yaml|toml|javascript|ecmascript|sql|csv|x-ndjson|ndjson|jsonl|graphql|"
    r"x-www-form-urlencoded)|image/svg\+xml"
)
_CHARSETS: Final = re.compile(
    r"utf-?(8|16|32)(-?[bl]e)?|(iso|windows|cp|koi8|euc|gb|big5|shift|latin|us-ascii|mac)[\w-]*"
)
"""Python knows more, and not all are quick or texts: punycode, zip."""
_MESSAGES: Final = (
    "message",
    "error_description",
    "detail",
    "error",
    "title",
    "reason",
    "errors",
    "msg",
    "description",
)
"""The keys under which services say what is wrong, the most telling first."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    reason: str
    headers: Mapping[str, str]
    """Names in lower case."""
    content: bytes

    def __str__(self) -> str:
        return f"{self.status} {self.reason or _phrase(self.status)}".rstrip()


def value_of(answer: Answer, method: str) -> JSON:
    """The result: JSON where it says so, or says nothing and is; else the text; else what kind of data it is."""
    if method == "HEAD":
        return {"status": answer.status, "headers": {k: v for k, v in answer.headers.items() if k != "set-cookie"}}
    if not answer.content:
        return f"Done: {answer}."
    media, charset = _media(answer)
    if not media or media == "text/json" or re.fullmatch(r"application/(.*\+)?json", media):
        try:
            return _json(answer.content)
        except (ValueError, RecursionError):
            pass  # it is what it is: a text
    return _text(answer.content, media, charset)


def refusal(answer: Answer, host: str, *, reads: bool) -> BodyError:
    """The failure that an answer with an unexpected status is."""
    value = value_of(answer, "GET") if answer.content else ""
    text = value if isinstance(value, str) else answer.content.decode("utf-8", "replace")
    said = " ".join(mask(_said(value)).split())
    said = said if len(said) <= _SHOWN else said[: _SHOWN - 1] + "…"
    response = {"status": answer.status, "json": None if isinstance(value, str) else value, "text": text}
    return BodyError(
        f"{host} answered {answer}" + (f": {said}" if said else "."),
        kinds=(str(answer.status), f"{answer.status // 100}xx"),
        scope={"response": response},
        transient=answer.status in _TRANSIENT,
        retry_after=_retry_after(answer.headers.get("retry-after", "")),
        unknown=not reads and answer.status in _LOST_BEHIND,
    )


def failed(problem: Exception, host: str, *, reads: bool, answered: bool) -> BodyError:
    """The failure behind an exception of the guards or of httpx.

    Args:
        answered: whether an answer had begun, perhaps with a redirect.
    """
    import httpx

    acted = answered and not reads
    words = (str(problem) or type(problem).__name__).rstrip(".")
    if isinstance(problem, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout):
        certificate = "CERTIFICATE" in words.upper()
        return BodyError(
            f"{host} cannot be reached: {words}.", kinds=("unreachable",), transient=not certificate, unknown=acted
        )
    if isinstance(problem, httpx.TimeoutException):
        return BodyError(
            f"{host} did not answer in time: {words}.", kinds=("timeout",), transient=True, unknown=not reads
        )
    if isinstance(problem, httpx.LocalProtocolError | httpx.UnsupportedProtocol | httpx.InvalidURL):
        return BodyError(f"This cannot be sent to {host}: {words}.", kinds=())
    if isinstance(problem, httpx.TransportError):
        text = f"The connection to {host} broke: {words}."
        return BodyError(text, kinds=("unreachable",), transient=True, unknown=not reads)
    if isinstance(problem, ToolError):
        return BodyError(problem.message, kinds=(), hint=problem.hint, unknown=acted)
    return BodyError(f"What {host} sent cannot be read: {words}.", kinds=(), unknown=acted)


def _media(answer: Answer) -> tuple[str, str]:
    """Media type and charset, each empty if it is not said."""
    said = Message()
    said["Content-Type"] = answer.headers.get("content-type", "")
    charset = said.get_content_charset("") if answer.headers.get("content-type") else ""
    return answer.headers.get("content-type", "").partition(";")[0].strip().lower(), charset


def _json(content: bytes) -> JSON:
    def no_constant(name: str) -> None:
        raise ValueError(f"{name} is no JSON")

    return json.loads(content, parse_constant=no_constant)


def _text(content: bytes, media: str, charset: str) -> str:
    named = f"[binary: {media or 'of no named type'}, {len(content):,} bytes]"
    known = not media or media == "application/json" or media.endswith("+json") or _TEXTS.fullmatch(media)
    if not known and not charset:
        return named
    try:
        text = content.decode(charset if _CHARSETS.fullmatch(charset) else "utf-8", "replace" if media else "strict")
    except LookupError:
        text = content.decode("utf-8", "replace")
    except UnicodeDecodeError:
        return named
    return named if "\0" in text else text.removeprefix("\ufeff")


def _said(value: JSON) -> str:
    """What a refusal says, of all that it holds."""
    if isinstance(value, str):
        if not re.match(r"\s*<", value):
            return value
        title = re.search(r"<title[^>]*>([^<]*)", value, re.IGNORECASE)
        return title[1] if title else ""
    if isinstance(value, list):
        return "; ".join(filter(None, map(_said, value[:5])))
    if isinstance(value, dict):
        found = next((value[key] for key in _MESSAGES if value.get(key)), None)
        if isinstance(found, str | list | dict):
            return _said(found)
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return json.dumps(value)


def _retry_after(text: str) -> float | None:
    """Seconds, of a number or a date."""
    if text.strip().isdecimal():
        return float(text[:12])
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
