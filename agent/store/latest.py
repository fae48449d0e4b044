"""The messages of threads on which a run of this process has come to its end, as of the last checkpoint.

LangGraph's savers find the messages of a long thread by walking through all of its checkpoints. Whoever has just
written the last of them knows what is in it. A checkpoint that another process has added has another id, and is read.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from langchain_core.messages import AnyMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import DeltaChannelHistory

_CHANNEL: Final = "messages"
_THREADS: Final = 64


class Latest:
    """Used by the threads of a store's workers."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._written: OrderedDict[str, str] = OrderedDict()
        """The checkpoint of each thread that was written last."""
        self._messages: dict[str, tuple[str, list[AnyMessage]]] = {}
        """What is in it, where a run has ended with it."""

    def put(self, config: RunnableConfig, checkpoint: str) -> None:
        """Takes in that a checkpoint was written."""
        if config["configurable"].get("checkpoint_ns"):
            return
        thread = str(config["configurable"]["thread_id"])
        with self._lock:
            self._messages.pop(thread, None)
            self._written[thread] = checkpoint
            self._written.move_to_end(thread)
            while len(self._written) > _THREADS:
                oldest, _ = self._written.popitem(last=False)
                self._messages.pop(oldest, None)

    def rests(self, thread: str, messages: list[AnyMessage]) -> None:
        """Takes in that a run has come to its end, with nothing left to do, and these messages."""
        with self._lock:
            if thread in self._written:
                self._messages[thread] = self._written[thread], messages

    def at_rest(self, thread: str, checkpoint: str) -> list[AnyMessage] | None:
        """The messages of a thread, if a run has come to its end with this checkpoint."""
        with self._lock:
            known, messages = self._messages.get(thread, ("", []))
            return messages if known and known == checkpoint else None

    def history(self, config: RunnableConfig, channels: Sequence[str]) -> dict[str, DeltaChannelHistory] | None:
        """What a saver would find in the ancestors of a checkpoint, if it is known."""
        configurable = config["configurable"]
        if [*channels] != [_CHANNEL] or configurable.get("checkpoint_ns"):
            return None
        messages = self.at_rest(str(configurable["thread_id"]), configurable.get("checkpoint_id") or "")
        return None if messages is None else {_CHANNEL: {"seed": messages, "writes": []}}

    def forget(self, thread: str) -> None:
        """Of a thread that is deleted, or that was not written as it should have been."""
        with self._lock:
            self._written.pop(thread, None)
            self._messages.pop(thread, None)
