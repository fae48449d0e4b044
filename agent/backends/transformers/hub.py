"""Models on the hub: fetched once into its cache, with progress, and found there without a network afterwards."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gemmagraph.backends.transformers.folder import CONFIG
from gemmagraph.errors import BackendError, BackendUnavailable, ModelNotFound, ServerError, Unauthorized

_FILES: Final = ("*.json", "*.safetensors", "*.jinja", "*.model")
"""What is fetched of a repository: no weights in other forms, which may hold code."""


class Left(Exception):
    """Nobody waits for what was being fetched or loaded."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Who watches something being fetched or loaded."""

    tell: Callable[[int, int], None]
    """Gets what is done and the whole, every `pause` seconds."""
    left: Callable[[], bool]
    """Whether nobody waits any more."""
    pause: float


class Progress:
    """A bar as `tqdm` has them, which tells instead of drawing, and ends the work when nobody waits for it."""

    def __init__(
        self, items: Collection[Any] = (), *, watch: Watch, total: int | None = None, initial: int = 0, **_: Any
    ) -> None:
        self.total = len(items) if total is None else total
        self.n = initial
        self._items = items
        self._watch = watch
        self._told = time.monotonic()

    def update(self, more: float | None = 1) -> None:
        if self._watch.left():
            raise Left
        self.n += int(more or 0)
        if time.monotonic() - self._told >= self._watch.pause and self.total:
            self._told = time.monotonic()
            self._watch.tell(min(self.n, self.total), self.total)

    def __iter__(self) -> Iterator[Any]:
        for item in self._items:
            yield item
            self.update()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *_, **__: None  # whatever else is said to a bar is about how it looks


def fetched(name: str, token: str, watch: Watch) -> Path:
    """The folder of a model of the hub; what of it is not in the cache is fetched.

    Raises:
        BackendError: it cannot be had.
        Left: nobody waits any more.
    """
    found = _snapshot(name, token, _FILES, watch)
    if not (found / CONFIG).exists() or not any(found.glob("*.safetensors")):
        raise _lacking(name)
    return found


def fetched_file(name: str, file: str, token: str) -> Path:
    """One file of a model of the hub, from the cache if it is there.

    Raises:
        BackendError: it cannot be had.
    """
    import huggingface_hub

    with _refusals(name):
        cached = huggingface_hub.try_to_load_from_cache(name, file)
    if isinstance(cached, str):
        return Path(cached)
    # Not by itself: with a hub that cannot be reached, the library would try that for half a minute.
    found = _snapshot(name, token, (file,), Watch(lambda *_: None, lambda: False, 0)) / file
    if not found.exists():
        raise _lacking(name)
    return found


def _snapshot(name: str, token: str, files: Sequence[str], watch: Watch) -> Path:
    import huggingface_hub

    class Bar(Progress):
        def __init__(self, items: Collection[Any] = (), **named: Any) -> None:
            counts_bytes = named.get("unit") == "B"  # another one counts files
            super().__init__(items, watch=watch, **named if counts_bytes else {})
            self.total = self.total if counts_bytes else 0

    with _refusals(name):
        found = huggingface_hub.snapshot_download(
            name,
            token=token or None,
            allow_patterns=list(files),
            ignore_patterns=["*/*"],
            tqdm_class=Bar,
        )
    return Path(found)


@contextlib.contextmanager
def _refusals(name: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as exc:  # the hub's own errors are among these
        raise _refused(name, exc) from exc


def _lacking(name: str) -> ModelNotFound:
    return ModelNotFound(
        f"{name!r} on the hub is no model that transformers can load: {CONFIG}, tokenizer.json or weights in "
        "safetensors form are missing.",
        hint="Take another repository of the same model.",
    )


def _refused(name: str, exc: Exception) -> BackendError:
    """The error for what the hub, or the lack of it, says."""
    from huggingface_hub import constants, errors

    if isinstance(exc, errors.GatedRepoError):
        return Unauthorized(
            f"{name!r} is given out only to those who accept its licence.",
            hint=f"Accept it at {constants.ENDPOINT}/{name}, then say who you are: run `hf auth login`, set "
            "HF_TOKEN, or give api_key=.",
        )
    if isinstance(exc, errors.RepositoryNotFoundError):
        return ModelNotFound(
            f"The hub has no {name!r}, or does not show it to you.",
            hint="Check the name (google/gemma-3-4b-it); for a private one run `hf auth login` or set HF_TOKEN. A "
            "folder is written with a / or ./ in front.",
        )
    if isinstance(exc, errors.HFValidationError):
        return ModelNotFound(f"{name!r} is no name of a model on the hub.", hint="Write it as google/gemma-3-4b-it.")
    if constants.HF_HUB_OFFLINE:
        return ModelNotFound(
            f"{name!r} is not in the cache of the hub, and HF_HUB_OFFLINE forbids to fetch it.",
            hint="Unset HF_HUB_OFFLINE once, or name a folder.",
        )
    status = getattr(getattr(exc, "response", None), "status_code", None)
    if status in (401, 403):
        return Unauthorized(f"The hub does not give {name!r} to you.", hint="Run `hf auth login`, or set HF_TOKEN.")
    if status is not None:
        return ServerError(f"The hub answered {status} when asked for {name!r}.", hint="Try again later.")
    return BackendUnavailable(
        f"{name!r} is not in the cache of the hub, and {constants.ENDPOINT} cannot be reached.",
        hint="Check the network, or name a folder.",
    )
