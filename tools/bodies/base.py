"""What every declared tool's body promises: it says what will happen before it makes it happen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from gemmagraph.prompts.messages import JSON
from gemmagraph.tools.context import ToolContext
from gemmagraph.tools.fields import Scope


@dataclass(frozen=True, slots=True)
class Rendered:
    """One call, with its values in their places. Nothing has happened yet."""

    kind: str
    """`http`, `shell`, `sql`, `mcp`."""
    shown: str
    """What a person reads before they approve it: a method and an URL, an argv, a statement. Secrets stand there
    as their names."""
    facts: Mapping[str, JSON]
    """All that will happen, as JSON: what the digest of an approval covers. Secrets stand there as their names."""
    live: object = field(repr=False, compare=False)
    """What `perform` sends, secrets included."""


class Body(Protocol):
    """How one tool acts on the world. Made once; safe to use from several calls at once."""

    @property
    def kind(self) -> str:
        """The YAML key that names it: `http`, `shell`, `sql`, `mcp`."""

    @property
    def reads(self) -> bool:
        """Whether it cannot change anything by its nature: an HTTP GET, SQL on a read-only connection."""

    def unavailable(self) -> str | None:
        """Why it cannot run here, or None: a program, a variable or a package is missing. Starts nothing."""

    def render(self, scope: Scope) -> Rendered:
        """What will happen.

        Args:
            scope: `args`, `bind` and `context`. Secrets are known to the body.

        Raises:
            ToolError: a value cannot stand in its place; the message tells the model which and why.
        """

    async def perform(self, rendered: Rendered, context: ToolContext) -> object:
        """Makes it happen: the result as a JSON value or a text. When it is cancelled, it ends what it began.

        Raises:
            BodyError: it failed out there.
        """

    async def close(self) -> None:
        """Ends what is kept between calls: connections, processes."""
