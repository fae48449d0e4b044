"""One operation of an OpenAPI document as a tool's body: the same request, shown and sent, as an HTTP tool's."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from gemmagraph.prompts.messages import JSON
from gemmagraph.tools.bodies.base import Rendered
from gemmagraph.tools.bodies.http import rendered_request, result_of
from gemmagraph.tools.bodies.http_connection import HttpConnection, Sending
from gemmagraph.tools.context import ToolContext
from gemmagraph.tools.errors import ToolError
from gemmagraph.tools.fields import Scope
from gemmagraph.tools.imports.openapi_request import Request


class OpenApiBody:
    """
    Args:
        connection: the service; other operations use it too.
        missing: why it cannot be asked, whatever is there: it sends what cannot be sent from here.
    """

    kind = "http"

    def __init__(self, connection: HttpConnection, request: Request, missing: str = "") -> None:
        self.connection = connection
        self._request = request
        self._missing = missing

    @property
    def reads(self) -> bool:
        return self._request.method in ("GET", "HEAD")

    def unavailable(self) -> str | None:
        return self._missing or self.connection.unavailable()

    def render(self, scope: Scope) -> Rendered:
        if self._missing:
            raise ToolError(f"This cannot be called here: {self._missing}.")
        values = scope.get("args", {})
        return rendered_request(self._request.facts(values, self.connection.shown), self._request.sending(values))

    async def perform(self, rendered: Rendered, context: ToolContext) -> JSON:
        sending = replace(cast(Sending, rendered.live), key=context.idempotency_key)
        return await result_of(self.connection, sending)

    async def close(self) -> None:
        """Ends what the service's connection keeps open, which any call opens again."""
        await self.connection.close()
