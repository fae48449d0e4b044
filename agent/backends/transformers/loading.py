"""A model of `transformers` brought into memory, and what the library says when it cannot be, or fails later."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from gemmagraph.backends.transformers.hub import Left, Progress, Watch
from gemmagraph.errors import AgentError, BackendError, BadRequest, ServerError

_LOADING: Final = threading.Lock()
"""One model of the process after the other: what watches the loading of one is global."""
_NO_MEMORY: Final = ("out of memory", "allocate memory", "enough memory")


def best_device() -> str:
    """The accelerator that there is, else the processor."""
    import torch  # type: ignore[import-not-found, unused-ignore] # an extra

    found = torch.accelerator.current_accelerator(check_available=True)
    return "cpu" if found is None else str(found.type)


def vocabulary(file: Path) -> Any:
    """The tokenizer in a `tokenizer.json`. Several threads may use it at once."""
    from tokenizers import Tokenizer

    found = Tokenizer.from_file(str(file))
    found.no_truncation()
    found.no_padding()
    return found


def loaded(path: Path, device: str, dtype: str | None, watch: Watch) -> Any:
    """The model in a folder.

    Raises:
        Left: nobody does.
        Exception: whatever the library raises; see `named`.
    """
    import torch  # type: ignore[import-not-found, unused-ignore] # an extra
    from transformers import AutoModelForCausalLM  # type: ignore[import-not-found, unused-ignore] # an extra

    # Gemma overflows in float16, the only small one on older cards.
    old = device.startswith("cuda") and not torch.cuda.is_bf16_supported(including_emulation=False)
    with _alone(watch), _told_to(watch):
        both: Any = AutoModelForCausalLM.from_pretrained(
            path,
            dtype=dtype or ("float32" if old else "auto"),
            device_map={"": device},
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
        )
    model, found = both
    missing = sorted(found["missing_keys"])
    if missing:  # the library fills them with random numbers
        raise ServerError(
            f"The weights in {str(path)!r} are not whole: {len(missing)} of them are missing, {missing[0]} for one.",
            hint="Download them once more.",
        )
    return model.eval()


def named(exc: Exception, name: str) -> BackendError:
    """The error for what a library raised.

    Args:
        name: of the model.
    """
    if isinstance(exc, BackendError):
        return exc
    if isinstance(exc, AgentError):  # a model of the hub that turns out to be no Gemma
        return BadRequest(exc.message, hint=exc.hint)
    words, kind = " ".join(str(exc).split()), type(exc).__name__
    if (
        kind == "OutOfMemoryError"
        or isinstance(exc, MemoryError)
        or any(each in words.lower() for each in _NO_MEMORY)
    ):
        return ServerError(
            f"The memory is too small for {name}.",
            hint="Take a smaller model or less context (context=); TransformersBackend(device=, dtype=) can put it "
            "elsewhere, or make it smaller.",
        )
    if kind == "SafetensorError":
        return ServerError(f"The weights of {name} are not whole: {words[:120]}.", hint="Download them once more.")
    if isinstance(exc, ImportError):
        return ServerError(
            f"transformers cannot run {name}: {words[:160]}.", hint='Run: pip install -U "gemmagraph[transformers]"'
        )
    return ServerError(
        f"transformers failed with {name}: {kind}: {words[:160]}.",
        hint="A newer transformers may know a model that this one does not.",
    )


@contextlib.contextmanager
def _alone(watch: Watch) -> Iterator[None]:
    while not _LOADING.acquire(timeout=0.1):
        if watch.left():
            raise Left
    try:
        yield
    finally:
        _LOADING.release()


@contextlib.contextmanager
def _told_to(watch: Watch) -> Iterator[None]:
    """Has what this thread loads told by bars of ours."""
    from transformers.utils import logging  # type: ignore[import-not-found, unused-ignore] # an extra

    ours = threading.get_ident()

    def made(factory: Callable[..., Any], args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        return Progress(*args, **named, watch=watch) if threading.get_ident() == ours else factory(*args, **named)

    before = logging.set_tqdm_hook(made)
    try:
        yield
    finally:
        logging.set_tqdm_hook(before)
