"""What a tool may know of the run it is called in, beside the model's arguments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gemmagraph.prompts.messages import JSON


@dataclass(frozen=True, slots=True)
class ToolContext:
    """Who asks, where, and what the application gave along.

    A function's parameter with this type is filled in by the run; the model neither sees nor sets it.
    """

    user: str | None = None
    thread: str | None = None
    channel: str | None = None
    idempotency_key: str | None = None
    """The same for every try of one call, so that a service can tell a repeated request from a new one."""
    values: Mapping[str, JSON] = field(default_factory=dict)
    """What the application passed as `context=`."""

    def scope(self) -> dict[str, JSON]:
        """What `{{ context.NAME }}` finds: `user`, `thread` and `channel` are ours, the rest the application's."""
        ours = {"user": self.user, "thread": self.thread, "channel": self.channel}
        given = {name: value for name, value in self.values.items() if name not in ours}
        return given | {name: value for name, value in ours.items() if value is not None}

    @property
    def watched(self) -> bool:
        """Whether anybody sees how far the call is."""
        return False

    def progress(self, text: str, fraction: float | None = None) -> None:
        """Tells those who watch how far the call is: `context.progress("3 of 10 files", 0.3)`. From any thread and as
        often as one likes: they see the latest, about ten a second. Nothing happens where nobody watches."""

    def retried(self, attempt: int, reason: str, wait: float) -> None:
        """For what runs the tool: tells those who watch that a try failed, and which one comes in `wait` seconds."""
