"""llama.cpp in this process, with the model of one file: loaded when it is first asked, one request at a time.

All of this blocks, and belongs in a thread. What makes the engine and what drops it would even stop all other threads
meanwhile (xllamacpp keeps the interpreter's lock), so both are kept short: the file is read into the system's cache
before, and the warming up is a request, which lets others run.
"""

from __future__ import annotations

import contextlib
import secrets
import struct
import threading
import time
from pathlib import Path
from typing import Any, Final, TypeAlias

from gemmagraph.backends.engine_thread import Hand
from gemmagraph.backends.gguf.count import counted
from gemmagraph.backends.gguf.file import GgufFile, missing_bytes
from gemmagraph.errors import BackendError, ModelNotFound, ServerError

Given: TypeAlias = str | bytes
"""A notice for the user, or a frame of the reply."""

BATCH: Final = 128
"""Tokens of a prompt that a processor reads at once; a request that is given up leaves between two batches. Larger
ones are hardly faster there."""
KEPT: Final = 2048
"""MiB of earlier conversations that are kept to go on with: the engine's own default would fill most of a laptop."""
_READ_AT_ONCE: Final = 8 * 1024 * 1024
_TOKEN: Final = b'{"prompt":[2],"n_predict":1,"stream":true}'


class Engine:
    """The model of one file.

    Args:
        threads: of the processor; the engine's own choice if None.
        pause: seconds between two notices while it loads.
    """

    def __init__(self, file: GgufFile, *, threads: int | None = None, pause: float = 2.0) -> None:
        self._file = file
        self._threads = threads
        self._pause = pause
        self._lock = threading.Lock()
        self._server: Any = None
        self._key = secrets.token_urlsafe(32)
        self.context: int | None = None
        """Tokens of context that it runs with; None while it is not loaded."""

    def complete(self, body: bytes, context: int, hand: Hand[Given]) -> None:
        """Gives the frames of the reply to a request, and before them notices if the model has to be loaded.

        Raises:
            BackendError: it cannot be loaded.
        """

        def take(frame: bytes) -> bool:
            hand.give(frame)
            return hand.left

        with self._lock:
            if self.context != context:
                self._load(context, hand)
            if not hand.left:
                self._server.handle_completions(body, take)

    def count(self, text: str, context: int, hand: Hand[int | str]) -> None:
        """Gives the tokens of a text. Loads the model if it is not, but does not wait for the request under way.

        Raises:
            BackendError: it cannot be loaded, or was unloaded meanwhile.
        """
        if (server := self._server) is None:
            with self._lock:
                if self._server is None:
                    self._load(context, hand)
                server = self._server
        if server is not None:
            hand.give(counted(server.listening_address, self._key, text))

    def unload(self) -> None:
        """Frees the memory, after the request under way."""
        with self._lock:
            self._drop()

    def _load(self, context: int, hand: Hand[Given] | Hand[int | str]) -> None:
        anew = f" anew, with {context:,} tokens of context and not {self.context:,}" if self.context else ""
        self._drop()  # never twice in memory
        hand.give(f"loading {self._file.path.name} ({self._file.shown_size}){anew}")
        try:
            self._read_ahead(hand)
            if hand.left:
                return
            server = _started(self._file.path, context, self._threads, self._key)
        except (OSError, RuntimeError) as exc:
            raise self._failed(context) from exc
        self._server, self.context = server, context
        self._serve_a_token()

    def _drop(self) -> None:
        if self._server is not None:
            self._serve_a_token()
        self._server = self.context = None

    def _serve_a_token(self) -> None:
        """Warms the engine up, and makes it safe to drop: it has begun, for else its thread would never end, and has
        left what a request that was given up had it do."""
        self._server.handle_completions(_TOKEN, lambda frame: False)

    def _read_ahead(self, hand: Hand[Given] | Hand[int | str]) -> None:
        """Reads the file into the system's cache, and tells how far that is: the engine does not."""
        told, read = time.monotonic(), 0
        buffer = bytearray(_READ_AT_ONCE)
        with self._file.path.open("rb", buffering=0) as file:
            while (more := file.readinto(buffer)) and not hand.left:
                read += more
                if time.monotonic() - told >= self._pause:
                    told = time.monotonic()
                    hand.give(f"loading {self._file.path.name}: {100 * read // max(self._file.size, read)} %")

    def _failed(self, context: int) -> BackendError:
        """Why it cannot be loaded: the engine does not say."""
        name = str(self._file.path)
        if not self._file.path.is_file():
            return ModelNotFound(f"The file {name!r} is not there any more.", hint="Put it back.")
        missing = 0
        with contextlib.suppress(OSError, ValueError, struct.error):
            missing = missing_bytes(self._file.path)
        if missing:
            return ServerError(
                f"{name!r} is not whole: it lacks {missing:,} bytes or more.", hint="Download it once more."
            )
        return ServerError(
            f"llama.cpp could not load {name!r} with {context:,} tokens of context.",
            hint="The memory may be too small: ask for less context (context=), or take a smaller file. "
            "A newer xllamacpp may know a model that this one does not.",
        )


def _started(path: Path, context: int, threads: int | None, key: str) -> Any:
    """The engine with a model. It also listens on a port of this machine, which cannot be switched off: there it
    hears only who has the key, and only we have it.

    Raises:
        RuntimeError: it could not be loaded.
    """
    import xllamacpp  # type: ignore[import-untyped] # has no types

    processor = xllamacpp.ggml_backend_dev_type.GGML_BACKEND_DEVICE_TYPE_CPU
    has_gpu = any(device["type"] != processor for device in xllamacpp.get_device_info())
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_ctx = context
    params.n_parallel = 1
    params.fit_params = has_gpu  # takes seconds, and what fits where is no question without one
    params.warmup = False
    params.cache_ram_mib = KEPT
    if not has_gpu:
        params.n_batch = params.n_ubatch = BATCH
    if threads is not None:
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.verbosity = -1
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_threads_http = 1
    params.api_keys = [key]
    params.ui = params.endpoint_slots = False
    return xllamacpp.Server(params)
