"""A model run by Hugging Face's `transformers` in this process: `transformers:google/gemma-3-4b-it`, or a folder.

A reply is not held to a grammar: the library has none for it. Pictures are not looked at.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Final

from gemmagraph.backends.base import Chunk, ModelInfo, Request, Transport
from gemmagraph.backends.engine_thread import Hand, handed_out
from gemmagraph.backends.network.closing import shielded
from gemmagraph.backends.network.queue import Queue
from gemmagraph.backends.transformers.engine import Asked, Engine
from gemmagraph.backends.transformers.folder import CONFIG, is_name_on_the_hub, read_folder, trained
from gemmagraph.backends.transformers.hub import fetched_file
from gemmagraph.backends.transformers.options import checked
from gemmagraph.errors import AgentError, BackendUnavailable, BadRequest, EmptyReply, ModelNotFound
from gemmagraph.prompts.messages import Image, Usage

_PACKAGES: Final = ("transformers", "torch", "accelerate", "tokenizers", "huggingface_hub")


class TransformersBackend:
    """One model. It is loaded at the first request, and stays loaded until `close`.

    Args:
        model: the folder it lies in, or its name on the hub, from where it is fetched once.
        token: for the hub; by default what `hf auth login` or HF_TOKEN say.
        device: `cuda`, `cuda:1`, `mps`, `cpu`; by default the accelerator that there is.
        dtype: of the weights, `bfloat16` or `float32`; by default as they are stored, but `float32` on a graphics
            card without `bfloat16`.
        pause: seconds between two notices while it loads.

    Raises:
        AgentError: there is no such folder, no model of Gemma's in it, or the packages are not installed.
    """

    name = "transformers"
    label = "transformers in this process"
    transports: frozenset[Transport] = frozenset({"completion"})
    read_only_tools = False

    def __init__(
        self,
        model: str | Path,
        *,
        token: str = "",
        device: str | None = None,
        dtype: str | None = None,
        pause: float = 2.0,
    ) -> None:
        asked = str(model)
        self._folder = None if is_name_on_the_hub(asked) else read_folder(Path(asked).expanduser().absolute())
        missing = [package for package in _PACKAGES if importlib.util.find_spec(package) is None]
        if missing:
            raise AgentError(
                f"To run a model in this process, {' and '.join(missing)} must be installed.",
                hint='Run: pip install "gemmagraph[transformers]"',
            )
        self.model = self._folder.model if self._folder else asked
        """What tells its family."""
        self._shown = self._folder.path.name if self._folder else asked
        self._names = {self.name, self.model, asked, self._shown, str(self._folder.path if self._folder else asked)}
        self._token = token
        self._engine = Engine(self._shown, self._folder, token=token, device=device, dtype=dtype, pause=pause)
        self._queue = Queue()
        self._hand: Hand[Chunk] | None = None
        """Of the request under way."""
        self._closings = 0

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """One request: its text as it arrives. A reply that holds nothing is asked for once more, unless a seed says
        that it would be the same."""
        asked = self._asked(request)
        closings = self._closings
        spent = Usage()
        for last_try in ("seed" in asked.options, True):
            letters, last = 0, Chunk()
            async with aclosing(self._reply(asked, closings)) as chunks:
                async for last in chunks:
                    letters += len(last.text)
                    if last.stop is None:
                        yield last
            spent += last.usage or Usage()
            if letters:
                yield Chunk(text=last.text, usage=spent, stop=last.stop)
                return
            if last_try or last.stop == "length":
                hint = "Allow it more tokens (max_tokens)." if last.stop == "length" else "Ask differently."
                raise EmptyReply(f"{self._shown!r} sent an empty reply.", hint=hint)
            yield Chunk(notice=f"{self._shown} sent an empty reply; asking once more")

    async def models(self) -> list[ModelInfo]:
        """The one that was named."""
        return [await self.info(self.name)]

    async def info(self, model: str) -> ModelInfo:
        """What its `config.json` says; that of a model on the hub is fetched if it is not here yet."""
        self._refuse_other(model)
        if self._folder is not None:
            path, facts, size = str(self._folder.path), self._folder.facts, self._folder.size
        else:
            file = await asyncio.to_thread(fetched_file, self.model, CONFIG, self._token)
            path, facts, size = self.model, json.loads(file.read_bytes()), None
        return ModelInfo(path, context=trained(facts), capabilities=("completion",), size=size)

    async def count(self, model: str, text: str) -> int:
        """The tokens of a text, by the model's own vocabulary."""
        self._refuse_other(model)
        return await asyncio.to_thread(self._engine.count, text)

    async def close(self) -> None:
        """Ends the requests, and frees the memory. A later one loads the model again."""
        self._closings += 1
        if self._hand is not None:
            self._hand.leave()
        await shielded(asyncio.to_thread(self._engine.unload))

    async def _reply(self, asked: Asked, closings: int) -> AsyncGenerator[Chunk, None]:
        """One reply, which always has a last chunk."""
        if self._queue.full:
            yield Chunk(notice=f"{self._shown} is busy with another request of ours; waiting")
        chunk = Chunk()
        async with self._queue.place(self._shown) as place:
            if self._closings != closings:
                raise self._closed()
            hand = self._hand = Hand[Chunk](place.leave)
            async with aclosing(handed_out(lambda hand: self._engine.complete(asked, hand), hand)) as given:
                async for chunk in given:
                    yield chunk
        if chunk.stop is None:
            raise self._closed()

    def _asked(self, request: Request) -> Asked:
        """The request as the engine takes it.

        Raises:
            BackendError: it cannot do what is asked.
        """
        self._refuse_other(request.model)
        if request.prompt is None:
            raise BadRequest(
                f"{self.label} takes a finished prompt, not chat messages.",
                hint='Leave transport out, or say transport="completion".',
            )
        if request.grammar or request.schema is not None:
            what = "grammar" if request.grammar else "JSON Schema"
            raise BadRequest(
                f"{self.label} holds no reply to a {what}.", hint="Ask without, or run the model's GGUF file (gguf:)."
            )
        if any(isinstance(part, Image) for turn in request.turns for part in turn.parts):
            raise BadRequest(
                f"{self.label} looks at no pictures.", hint="Ask a server that does, such as ollama:gemma3:4b."
            )
        options = checked(request.options, self.label)
        return Asked(request.prompt, request.stop, request.context, request.max_tokens, options)

    def _refuse_other(self, model: str) -> None:
        if model not in self._names:
            raise ModelNotFound(
                f"{self.label} runs {self._shown!r}, not {model!r}.",
                hint=f"Make another backend for that: transformers:{model}.",
            )

    def _closed(self) -> BackendUnavailable:
        return BackendUnavailable(f"{self._shown} was closed.", hint="Ask again: that loads it anew.")
