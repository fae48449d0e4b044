"""A model run by `transformers` in this process: loaded when it is first asked, one request at a time.

All of this blocks, and belongs in a thread.
"""

from __future__ import annotations

import copy
import gc
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from gemmagraph.backends.base import Chunk
from gemmagraph.backends.engine_thread import Hand
from gemmagraph.backends.transformers.folder import Folder, read_folder
from gemmagraph.backends.transformers.hub import Left, Watch, fetched, fetched_file
from gemmagraph.backends.transformers.loading import best_device, loaded, named, vocabulary
from gemmagraph.backends.transformers.memory import Memory
from gemmagraph.backends.transformers.options import SAMPLING
from gemmagraph.backends.transformers.words import Words
from gemmagraph.errors import ContextOverflow, ModelNotFound, ServerError
from gemmagraph.prompts.messages import Usage

VOCABULARY: Final = "tokenizer.json"
BATCH: Final = 128
"""Tokens of a prompt that a processor reads at once; a request that is given up leaves between two batches."""
BATCH_ELSEWHERE: Final = 2048
"""The same of a graphics card, which reads so many in less time."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a reply is made from."""

    prompt: str
    stop: tuple[str, ...]
    context: int | None
    max_tokens: int | None
    options: Mapping[str, int | float]


class Engine:
    """One model.

    Args:
        name: of the model on the hub, or of its folder.
        folder: None if it is on the hub.
        token: for the hub.
        device: where it runs; the accelerator that there is, else the processor, if None.
        dtype: of its weights; as they are stored if None.
        pause: seconds between two notices while it loads.
    """

    def __init__(
        self,
        name: str,
        folder: Folder | None,
        *,
        token: str = "",
        device: str | None = None,
        dtype: str | None = None,
        pause: float = 2.0,
    ) -> None:
        self._name = name
        self._place = folder.path if folder else None
        """Where it lies; None while it was not fetched."""
        self._token = token
        self._device = device
        self._dtype = dtype
        self._pause = pause
        self._lock = threading.Lock()
        self._model: Any = None
        self._words: Any = None
        """Its vocabulary, once it was needed."""
        self._words_lock = threading.Lock()
        self._settings: Any = None
        """What it generates with unless it is asked otherwise."""
        self._memory = Memory(None)
        self._told: set[int] = set()
        """Contexts that were too large for the model, of which the user was told."""

    def complete(self, asked: Asked, hand: Hand[Chunk]) -> None:
        """Gives the reply to a request; its last chunk only if nobody left. Notices come before, if the model has to
        be loaded.

        Raises:
            BackendError: it cannot be loaded, or fails.
        """
        with self._lock:
            try:
                if self._model is None:
                    self._load(hand)
                self._reply(asked, hand)
            except Left:
                return
            except Exception as exc:  # whatever the library raises
                raise named(exc, self._name) from exc

    def count(self, text: str) -> int:
        """The tokens of a text in a prompt. Does not wait for a request under way, nor load the model.

        Raises:
            BackendError: the vocabulary cannot be loaded.
        """
        try:
            return len(self._ids(text))
        except Exception as exc:  # whatever the library raises
            raise named(exc, self._name) from exc

    def unload(self) -> None:
        """Frees the memory, after the request under way."""
        with self._lock:
            if self._model is None:
                return
            kind = self._model.device.type
            self._model = None
            self._memory = Memory(None)
            gc.collect()
            if kind != "cpu":
                import torch  # type: ignore[import-not-found, unused-ignore] # an extra

                getattr(torch, kind).empty_cache()

    def _load(self, hand: Hand[Chunk]) -> None:
        told = -1

        def tell(what: str, done: int, whole: int) -> None:
            nonlocal told
            if (percent := 100 * done // whole) > told:
                told = percent
                hand.give(Chunk(notice=f"{what} {self._name}: {percent} %"))

        def watch(what: str) -> Watch:
            return Watch(partial(tell, what), lambda: hand.left, self._pause)

        self._place = self._place or fetched(self._name, self._token, watch("fetching"))
        device = self._device or best_device()
        hand.give(Chunk(notice=f"loading {self._name} ({read_folder(self._place).shown_size}) to {device}"))
        told = -1
        self._model = loaded(self._place, device, self._dtype, watch("loading"))
        self._memory = Memory(self._model.config)
        # What is None in the settings of a request would be filled in from those of the model.
        self._settings = self._model.generation_config
        self._model.generation_config = type(self._settings)()

    def _reply(self, asked: Asked, hand: Hand[Chunk]) -> None:
        ids = [self._model_token("bos"), *self._ids(asked.prompt.removeprefix("<bos>"))]
        room = self._room(len(ids), asked, hand)
        settings = self._changed(asked, room)
        words = Words(self._vocabulary, asked.stop, _ends(settings))
        cache = self._memory.going_on_with(ids)
        written: list[int] = []
        self._read(cache, ids, hand)
        if not hand.left:
            self._write(cache, ids, written, words, settings, asked.options.get("seed"), hand)
        self._memory.keep(cache, ids + written)
        if not hand.left:
            rest = "" if words.over else words.rest()
            usage = Usage(len(ids), len(written))
            hand.give(Chunk(text=rest, usage=usage, stop="stop" if words.over else "length"))

    def _room(self, prompt: int, asked: Asked, hand: Hand[Chunk]) -> int:
        """How many tokens the reply may have.

        Raises:
            ContextOverflow: none.
        """
        trained: int = self._model.config.get_text_config().max_position_embeddings
        window = min(asked.context or trained, trained)
        if asked.context and asked.context > trained and asked.context not in self._told:
            self._told.add(asked.context)
            hand.give(
                Chunk(
                    notice=f"{self._name} runs with the {trained:,} tokens of context that it was trained for, not "
                    f"with the {asked.context:,} asked for"
                )
            )
        if prompt >= window:
            raise ContextOverflow(
                f"The prompt of {prompt:,} tokens does not fit the context window of {window:,}.",
                hint="Shorten it, or ask for a larger one (context=)." if window < trained else "Shorten it.",
            )
        return min(asked.max_tokens or window, window - prompt)

    def _changed(self, asked: Asked, room: int) -> Any:
        """The model's own settings, changed to what is asked."""
        made = copy.deepcopy(self._settings)
        given = {name: value for name, value in asked.options.items() if name != "seed"}
        if SAMPLING & given.keys():
            made.do_sample = True
        if given.get("temperature") == 0:
            made.do_sample = False
        for name, value in given.items():
            setattr(made, name, value)
        if not made.do_sample:
            for name in SAMPLING:
                setattr(made, name, None)
        # What a model's own settings may say beside, and what belongs to us.
        made.max_length = made.max_time = made.stop_strings = made.cache_implementation = None
        made.max_new_tokens, made.num_beams, made.num_return_sequences = room, 1, 1
        made.eos_token_id = made.eos_token_id if made.eos_token_id is not None else self._model_token("eos")
        made.pad_token_id = made.pad_token_id if made.pad_token_id is not None else self._model_token("pad")
        return made

    def _read(self, cache: Any, ids: list[int], hand: Hand[Chunk]) -> None:
        """Reads the prompt but for its last token, in batches between which one may leave."""
        import torch  # type: ignore[import-not-found, unused-ignore] # an extra

        device = self._model.device
        size = BATCH if device.type == "cpu" else BATCH_ELSEWHERE
        with torch.no_grad():
            for begin in range(cache.get_seq_length(), len(ids) - 1, size):
                if hand.left:
                    return
                batch = torch.tensor([ids[begin : min(begin + size, len(ids) - 1)]], device=device)
                self._model(input_ids=batch, past_key_values=cache, use_cache=True, logits_to_keep=1)
        cache.activate_past_recording()  # so that a reply that is written otherwise in the next prompt can be undone

    def _write(
        self,
        cache: Any,
        ids: list[int],
        written: list[int],
        words: Words,
        settings: Any,
        seed: int | float | None,
        hand: Hand[Chunk],
    ) -> None:
        import torch  # type: ignore[import-not-found, unused-ignore] # an extra
        from transformers import StoppingCriteriaList  # type: ignore[import-not-found, unused-ignore] # an extra

        def heard(so_far: Any, _: Any, **__: Any) -> Any:
            """Is called after each token, on some devices once more after the last."""
            if not words.over and not hand.left:
                written.append(int(so_far[0, -1]))
                text = words.take(written[-1])
                if text:
                    hand.give(Chunk(text=text))
            return torch.full((1,), words.over or hand.left, dtype=torch.bool, device=so_far.device)

        device = self._model.device
        prompt = torch.tensor([ids], device=device)
        # The generator is the process's own: what others draw from it stays as it would be without us.
        forked = {"devices": [device.index or 0], "device_type": device.type} if device.type in _FORKED else {}
        with torch.random.fork_rng(**{"devices": [], **forked}):
            torch.manual_seed(secrets.randbits(63) if seed is None else int(seed))
            self._model.generate(
                prompt,
                attention_mask=torch.ones_like(prompt),
                generation_config=settings,
                past_key_values=cache,
                stopping_criteria=StoppingCriteriaList([heard]),
            )

    @property
    def _vocabulary(self) -> Any:
        with self._words_lock:
            if self._words is None:
                if self._place is None:
                    file = fetched_file(self._name, VOCABULARY, self._token)
                else:
                    file = self._place / VOCABULARY
                if not file.exists():
                    raise ModelNotFound(f"{self._name} has no {VOCABULARY}.", hint="Take it from its base model.")
                self._words = vocabulary(file)
            return self._words

    def _ids(self, text: str) -> list[int]:
        whole = text.encode("utf-8", "replace").decode()  # half a surrogate pair is no text
        found: list[int] = self._vocabulary.encode(whole, add_special_tokens=False).ids
        return found

    def _model_token(self, kind: str) -> int:
        """The id of `<bos>`, `<eos>` or `<pad>`."""
        found = self._vocabulary.token_to_id(f"<{kind}>")
        if found is None:
            raise ServerError(f"The vocabulary of {self._name} has no <{kind}>: it is none of Gemma's.")
        return int(found)


_FORKED: Final = ("cuda", "xpu")
"""Devices whose generator can be put back as it was."""


def _ends(settings: Any) -> frozenset[int]:
    """The tokens that end a reply."""
    found = settings.eos_token_id
    return frozenset([found] if isinstance(found, int) else found)
