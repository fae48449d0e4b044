"""What a turn has not written yet, because no harm is done if it is lost: it goes to the database together with what
comes next, at the latest with the end of the turn.

the state that holds the input      the input itself is kept
writes of a step                    the checkpoint behind them follows at once
the last checkpoint                 the end of the turn follows at once
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver, Checkpoint, CheckpointMetadata

Write: TypeAlias = Callable[[BaseCheckpointSaver[str]], Any]


class Held:
    """By ticket."""

    def __init__(self) -> None:
        self._writes: dict[int, list[Write]] = {}
        self._inputs: dict[int, str] = {}
        """The checkpoint behind which nothing but the input is new."""

    def begin(self, ticket: int) -> None:
        """From now on something of this turn may wait: somebody sees to it at the end."""
        self._writes[ticket] = []

    def end(self, ticket: int) -> list[Write]:
        """What is left."""
        self._inputs.pop(ticket, None)
        return self._writes.pop(ticket, [])

    def has(self, ticket: int) -> bool:
        """Whether something of this turn may wait."""
        return ticket in self._writes

    def add(self, ticket: int, write: Write) -> None:
        self._writes[ticket].append(write)

    def take(self, ticket: int | None) -> list[Write]:
        """What is to be written now, in this order."""
        if ticket not in self._writes:
            return []
        self._inputs.pop(ticket, None)
        taken, self._writes[ticket] = self._writes[ticket], []
        return taken

    def may_wait(
        self, ticket: int, config: RunnableConfig, checkpoint: Checkpoint, metadata: CheckpointMetadata
    ) -> bool:
        """Whether a checkpoint is one of those."""
        if ticket not in self._writes:
            return False
        if metadata.get("source") == "input":
            self._inputs[ticket] = checkpoint["id"]
            return True
        if metadata.get("source") != "loop":
            return False
        if config["configurable"].get("checkpoint_id") == self._inputs.pop(ticket, ""):
            return True
        changed = checkpoint.get("updated_channels")
        return changed is not None and not any(name.startswith(("branch:", "__")) for name in changed)
