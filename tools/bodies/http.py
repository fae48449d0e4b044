"""One HTTP request as a tool: the `http:` of a tools file, and the same from Python."""

from __future__ import annotations

import json as json_text
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final, cast

from gemmagraph.prompts.messages import JSON
from gemmagraph.tools.bodies.base import Rendered
from gemmagraph.tools.bodies.http_answers import refusal, value_of
from gemmagraph.tools.bodies.http_connection import MAX_BYTES, HttpConnection, Sending, missing_secret
from gemmagraph.tools.bodies.http_request import BODIES, compile_shape
from gemmagraph.tools.context import ToolContext
from gemmagraph.tools.errors import Fault, ToolDefinitionError, ToolError, refuse
from gemmagraph.tools.fields import Scope
from gemmagraph.tools.guards.hosts import split_base
from gemmagraph.tools.secrets import Secrets, mask, mask_json

if TYPE_CHECKING:
    import ssl

    from gemmagraph.tools.guards.transport import Resolver

_URL: Final = re.compile(r"(https?://[^/?#{}]+)([/?#].*)?", re.IGNORECASE | re.DOTALL)
_STATUS: Final = re.compile(r"[1-5](?:[0-9]{2}|xx)")


class HttpBody:
    """One HTTP request. In `path`, `query`, `headers` and the body, `{{ args.NAME }}` stands for a value.

    Args:
        connection: the service. Without one, `base_url` or `url` says where, and the arguments from `auth` on how.
        url: host and path at once; beside a connection, one of its `allow_hosts`, which gets no credentials.
        method: GET if nothing is sent, else POST.
        query, form: an absent value drops its name, a list repeats it.
        json: each text that is one placeholder keeps the type of its value.
        expect: the statuses that are no failure: numbers, or `2xx`.

    Raises:
        ToolDefinitionError: something is wrong with these; it holds all that is.
    """

    kind = "http"

    def __init__(
        self,
        connection: HttpConnection | None = None,
        *,
        base_url: str | None = None,
        url: str | None = None,
        method: str | None = None,
        path: str = "",
        query: Mapping[str, JSON] | None = None,
        json: JSON = None,
        form: Mapping[str, JSON] | None = None,
        body: str | None = None,
        headers: Mapping[str, str] | None = None,
        expect: Sequence[int | str] = ("2xx",),
        auth: Mapping[str, str | Mapping[str, str]] | None = None,
        allow_hosts: Sequence[str] = (),
        redirects: int = 0,
        max_bytes: str | int = MAX_BYTES,
        secrets: Secrets | None = None,
        resolver: Resolver | None = None,
        verify: ssl.SSLContext | None = None,
    ) -> None:
        secrets = secrets if secrets is not None else connection.secrets if connection else Secrets()
        faults: list[Fault] = []
        base, path, path_key = _place(connection, base_url, url, path, faults)
        if connection and (auth or allow_hosts or redirects or max_bytes != MAX_BYTES):
            faults.append(Fault(("http",), "auth, allow_hosts, redirects and max_bytes belong to the connection."))
        self._base = base if connection else ""
        """Where another host than the connection's is asked."""
        own = partial(HttpConnection, base, auth=auth, allow_hosts=allow_hosts, redirects=redirects)
        own = partial(own, max_bytes=max_bytes, secrets=secrets, resolver=resolver, verify=verify)
        self._connection = connection or (_made(own, faults) if base else None)
        self._own = connection is None
        contents = dict(zip(BODIES, (json, form, body), strict=True))
        self._shape = compile_shape(
            method=method,
            path=path,
            query=query,
            headers=headers,
            contents=contents,
            secrets=secrets,
            path_key=path_key,
            faults=faults,
        )
        for index, status in enumerate(expect):
            if not _STATUS.fullmatch(str(status)):
                faults.append(Fault(("http", "expect", index), f"{status!r} is no status.", "Write 201, or 2xx."))
        self._expect = frozenset(map(str, expect))
        self._secrets = secrets
        refuse("The HTTP request", faults)

    @property
    def reads(self) -> bool:
        return self._shape.method in ("GET", "HEAD")

    @property
    def connection(self) -> HttpConnection:
        assert self._connection is not None  # or it would not have been made
        return self._connection

    def unavailable(self) -> str | None:
        return self.connection.unavailable() or missing_secret(self._shape.fields, self._secrets)

    def render(self, scope: Scope) -> Rendered:
        # Secrets are put in when it is sent: what is looked at or tried out needs none.
        facts = self._shape.facts(scope, self._base or self.connection.shown, self._secrets)
        return rendered_request(facts, scope)

    async def perform(self, rendered: Rendered, context: ToolContext) -> JSON:
        scope = cast(Scope, rendered.live)
        sending = self._shape.sending({**scope, "secrets": self._secrets}, self._base)
        sending = replace(sending, key=context.idempotency_key)
        return await result_of(self.connection, sending, self._expect)

    async def close(self) -> None:
        """Ends what it keeps open, if the connection is its own."""
        if self._own:
            await self.connection.close()


def rendered_request(facts: Mapping[str, JSON], live: object) -> Rendered:
    """A request that was put together, as people and digests get it."""
    masked = mask_json(facts)
    return Rendered("http", mask(_shown(masked)), masked, live)


async def result_of(connection: HttpConnection, sending: Sending, expect: Collection[str] = ("2xx",)) -> JSON:
    """What the service gives back.

    Raises:
        BodyError: it cannot be asked, or answers with another status.
    """
    answer = await connection.send(sending)
    status = str(answer.status)
    if status not in expect and f"{status[0]}xx" not in expect:
        raise refusal(answer, connection.host(sending), reads=sending.reads)
    return value_of(answer, sending.method)


def _made(connection: Callable[[], HttpConnection], faults: list[Fault]) -> HttpConnection | None:
    try:
        return connection()
    except ToolDefinitionError as problem:
        faults += problem.faults
        return None


def _place(
    connection: HttpConnection | None, base_url: str | None, url: str | None, path: str, faults: list[Fault]
) -> tuple[str, str, tuple[str | int, ...]]:
    """Base URL (empty: the connection's), path, and the key that holds the path."""
    given = [name for name, value in (("connection", connection), ("base_url", base_url), ("url", url)) if value]
    if len(given) != 1 and given != ["connection", "url"]:
        faults.append(Fault(("http", (given or ["url"])[-1]), "one of connection, base_url and url says where."))
    if not url:
        return base_url or "", path, ("http", "path")
    key = ("http", "url")
    if path:
        faults.append(Fault(("http", "path"), "the path stands in `url`."))
    found = _URL.fullmatch(url)
    if found is None and url.lstrip().startswith("{{"):
        return url, "", key  # a secret says all of it
    if found is None:
        faults.append(Fault(key, f"{url!r} does not begin with https:// and a host that is written out."))
        return "", "", key
    if connection is not None:
        try:
            connection.check(split_base(found[1])[0])
        except (ValueError, ToolError) as problem:
            faults.append(Fault(key, str(problem)))
    return found[1], found[2] or "", key


def _shown(facts: Mapping[str, JSON]) -> str:
    """The request as people read one."""
    lines = [f"{facts['method']} {facts['url']}"]
    lines += [f"{name}: {value}" for name, value in facts.get("headers", {}).items()]
    if "json" in facts:
        lines += ["", json_text.dumps(facts["json"], ensure_ascii=False, indent=2)]
    elif "form" in facts:
        # A line break in a value must not look like one more field.
        fields = ((name, text if text.isprintable() else json_text.dumps(text)) for name, text in facts["form"])
        lines += ["", *(f"{name}={text}" for name, text in fields)]
    elif "body" in facts:
        lines += ["", facts["body"]]
    return "\n".join(lines)
