"""Ollama, over `/api/chat` streamed, with a prompted notation: tools are written into the messages by us.

Chat streams are read by our own reader (`gemmagraph.backends.http`): Ollama's client takes a reply that was
cut for a whole one, and splits lines at characters that belong to the text. It asks the small questions.
What the server's words mean is in `gemmagraph.backends.ollama_words`.
"""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from gemmagraph.backends.base import Chunk, ModelInfo, Request, Transport
from gemmagraph.backends.http import Answer, Bounds, Http, Waiting, translated
from gemmagraph.backends.ollama_pull import Progress, pulled
from gemmagraph.backends.ollama_words import address, label_of, missing, named_error, refusal
from gemmagraph.backends.queue import queue_for
from gemmagraph.backends.words import bearer, key_given, probably_cut, smaller_window
from gemmagraph.errors import (
    BackendError,
    BackendUnavailable,
    BadRequest,
    ContextOverflow,
    EmptyReply,
    ModelNotFound,
    ServerError,
    TruncatedReply,
)
from gemmagraph.prompts.messages import JSON, Usage

if TYPE_CHECKING:
    import ollama

T = TypeVar("T")

DOWN = "Start it with `ollama serve`, or name its address in OLLAMA_HOST."
SLOW = "It may still be loading the model (`ollama ps` shows it): try again, or take a smaller model."

OPTIONS = frozenset(
    {
        *("seed", "temperature", "top_k", "top_p", "min_p", "typical_p"),
        *("repeat_last_n", "repeat_penalty", "presence_penalty", "frequency_penalty"),
        *("num_keep", "num_batch", "num_gpu", "main_gpu", "use_mmap", "num_thread", "draft_num_predict"),
    }
)
"""What the server understands; it ignores other names without a word."""
ALIASES = {"repetition_penalty": "repeat_penalty", "typical": "typical_p"}


class OllamaBackend:
    """The models of one Ollama server.

    Args:
        base_url: where it is, in any form that OLLAMA_HOST may have; OLLAMA_HOST itself if None.
        api_key: sent as a bearer token, for servers behind a gateway; OLLAMA_API_KEY if None.
        at_once: how many requests the server gets at a time from this process; OLLAMA_NUM_PARALLEL, else 1.
            It would queue the others itself, without bound.
    """

    name = "ollama"
    transports: frozenset[Transport] = frozenset({"chat"})
    read_only_tools = False

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        bounds: Bounds | None = None,
        at_once: int | None = None,
    ) -> None:
        url = address(base_url)
        key = key_given(api_key, "OLLAMA_API_KEY", " of Ollama")
        self.label = label_of(url)
        self._http = Http(
            url,
            label=self.label,
            refusal=self._refused,
            headers=bearer(key),
            bounds=bounds,
            down=DOWN,
            slow=SLOW,
        )
        self._queue = queue_for(url, at_once or _parallel())
        self._windows: dict[tuple[str, int | None], int | None] = {}

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """One request: its text as it arrives. A reply that holds nothing is asked for once more."""
        body = _body(request)
        if self._queue.full:
            yield Chunk(notice=f"{self.label} is busy with another request of ours; waiting")
        async with self._queue:
            spent = Usage()
            for last_try in (False, True):
                reply = _Reply()
                try:
                    async with aclosing(self._reply(request, body, reply, spent)) as chunks:
                        async for chunk in chunks:
                            yield chunk
                    return
                except (EmptyReply, TruncatedReply):
                    if last_try or reply.letters or reply.reason == "length":
                        raise
                except ModelNotFound as exc:
                    raise await self._missing(request.model) from exc
                spent += reply.usage or Usage()
                yield Chunk(notice=f"{request.model} sent an empty reply; asking once more")

    async def models(self) -> list[ModelInfo]:
        """The models that were pulled."""
        listed = await self._ask(lambda client: client.list())
        return [ModelInfo(entry.model or "", size=entry.size) for entry in listed.models]

    async def info(self, model: str) -> ModelInfo:
        """What the server knows about `model`."""
        try:
            shown = await self._ask(lambda client: client.show(model))
        except ModelNotFound as exc:
            raise await self._missing(model) from exc
        facts = shown.modelinfo or {}
        context = facts.get(f"{facts.get('general.architecture')}.context_length")
        return ModelInfo(
            model,
            context=context if isinstance(context, int) else None,
            capabilities=tuple(shown.capabilities or ()),
        )

    async def version(self) -> str:
        """The server's own: `0.33.0`."""
        answer = await self._http.ask("/api/version")
        try:
            return str(json.loads(answer.text)["version"])
        except (ValueError, TypeError, KeyError):
            raise self._refused(answer) from None

    async def loaded(self) -> dict[str, int | None]:
        """The models in memory, each with the tokens of context that it was given."""
        running = (await self._ask(lambda client: client.ps())).models
        return {entry.model or entry.name or "": entry.context_length for entry in running}

    def pull(self, model: str) -> AsyncGenerator[Progress, None]:
        """Gets a model from the registry; what is told meanwhile. Closing it stops the server.

        Raises:
            ModelNotFound: the registry does not have it.
            BackendError: the server cannot be asked, or did not get it.
        """
        return pulled(self._client, model, self.label, self._http.bounds.pause)

    async def close(self) -> None:
        await self._http.close()

    async def _reply(self, request: Request, body: bytes, reply: _Reply, spent: Usage) -> AsyncGenerator[Chunk, None]:
        """One reply, checked when it ends."""
        try:
            async with aclosing(self._http.lines("/api/chat", body)) as lines:
                async for line in lines:
                    if isinstance(line, Waiting):
                        yield Chunk(notice=self._patience(request.model, line))
                        continue
                    chunk = reply.take(line, self.label)
                    if chunk.text or chunk.thought:
                        yield chunk
                    if reply.done:
                        break
        except TruncatedReply as exc:
            raise self._cut(reply) from exc
        if not reply.done:
            raise self._cut(reply)
        notices = await self._window_notices(request, reply)
        reply.refuse_if_empty(request.model)
        if reply.calls:
            notices.append(f"{self.label} took {reply.calls} tool call(s) out of the reply; they were not run")
        for notice in notices:
            yield Chunk(notice=notice)
        usage = spent + reply.usage if reply.usage else None
        yield Chunk(usage=usage, stop="length" if reply.reason == "length" else "stop")

    def _patience(self, model: str, waiting: Waiting) -> str:
        if waiting.failed is None:
            return f"waiting for {model} (the server may be loading it)"
        return f"{waiting.failed.message} Trying again."

    def _cut(self, reply: _Reply) -> TruncatedReply:
        return TruncatedReply(
            f"The reply of {self.label} ended after {reply.letters:,} characters without its last frame.",
            hint="Ask again; if it happens again, look at the server's log.",
        )

    async def _window_notices(self, request: Request, reply: _Reply) -> list[str]:
        """What the user should know about the context window of this reply.

        Raises:
            ContextOverflow: the prompt filled the window, so the server cut it.
        """
        counted = reply.usage.input_tokens if reply.usage else 0
        new = (request.model, request.context) not in self._windows
        window = await self._window(request)
        if window and counted >= window and not new:  # someone else may have made the server load it anew
            window = await self._window(request, again=True)
        if window and counted >= window:
            raise ContextOverflow(
                f"The prompt was cut: it filled the whole context window of {window:,} tokens.",
                hint=f"Ask for a larger one (context={2 * window}), or shorten the prompt.",
            )
        smaller = smaller_window(request, window) if new and window else ""
        return [notice for notice in (smaller, probably_cut(request, counted)) if notice]

    async def _window(self, request: Request, *, again: bool = False) -> int | None:
        """Tokens of context that the server gave the model, asked once; None if it does not say."""
        key = (request.model, request.context)
        if again or key not in self._windows:
            names = {request.model, f"{request.model}:latest"}
            try:
                running = (await self._ask(lambda client: client.ps())).models
            except BackendError:  # an old server, or one that just went away: the reply is here all the same
                running = []
            self._windows[key] = next(
                (entry.context_length for entry in running if names & {entry.model, entry.name}), None
            )
        return self._windows[key]

    async def _missing(self, model: str) -> ModelNotFound:
        try:
            there = [entry.name for entry in await self.models()]
        except BackendError:
            there = []
        return missing(model, there, self.label)

    def _refused(self, answer: Answer) -> BackendError:
        return refusal(answer, self.label, self._http.address)

    async def _ask(self, question: Callable[[ollama.AsyncClient], Awaitable[T]]) -> T:
        """The answer to one of the small questions."""
        async with self._client(30.0) as client:
            return await question(client)

    @asynccontextmanager
    async def _client(self, patience: float) -> AsyncGenerator[ollama.AsyncClient, None]:
        """Ollama's own client, with errors of ours; it waits so many seconds for the next word."""
        import httpx
        import ollama

        limits = httpx.Timeout(patience, connect=self._http.bounds.connect)
        try:
            async with ollama.AsyncClient(
                self._http.address,
                timeout=limits,
                headers=self._http.headers,
                trust_env=self._http.through_proxy,
                follow_redirects=False,
            ) as client:
                yield client
        except ollama.ResponseError as exc:
            raise self._refused(Answer(exc.status_code, "", str(exc.error))) from exc
        except httpx.HTTPError as exc:
            raise translated(exc, self.label, down=DOWN) from exc
        except ConnectionError as exc:  # what the client makes of httpx's ConnectError
            raise BackendUnavailable(f"{self.label} cannot be reached.", hint=DOWN) from exc
        except (ValueError, TypeError, AttributeError) as exc:  # no JSON, or JSON of another shape
            raise ServerError(
                f"What {self.label} answered is not Ollama's protocol.", hint="Check the address."
            ) from exc


@dataclass(slots=True)
class _Reply:
    """A reply so far."""

    letters: int = 0
    calls: int = 0
    done: bool = False
    reason: str = ""
    usage: Usage | None = None

    def take(self, line: bytes, label: str) -> Chunk:
        """What the next line of the stream brings.

        Raises:
            BackendError: it is an error of the server, or no frame at all.
        """
        try:
            frame = json.loads(line)
            if "error" in frame:
                raise named_error(None, json.dumps(frame), label)
            message = frame.get("message") or {}
            text, thought = message.get("content") or "", message.get("thinking") or ""
            self.calls += len(message.get("tool_calls") or ())
            self.letters += len(text + thought)
            self.done = frame.get("done") is True
        except (ValueError, TypeError, AttributeError, RecursionError) as exc:
            if not line.endswith(b"\n"):
                raise TruncatedReply("The last line of the reply was cut.") from exc
            shown = line[:80].decode("utf-8", "replace").rstrip()
            raise ServerError(f"{label} sent a line that is no frame of a reply: {shown!r}.") from exc
        if self.done:
            self.reason = str(frame.get("done_reason", ""))
            self.usage = _usage(frame)
        return Chunk(text=text, thought=thought)

    def refuse_if_empty(self, model: str) -> None:
        if self.letters:
            return
        if self.calls:
            raise EmptyReply(
                f"The server took {self.calls} tool call(s) out of the reply of {model!r}; nothing is left.",
                hint="Use a model whose calls the server leaves in the text, such as gemma3.",
            )
        if self.reason in ("load", "unload"):
            raise EmptyReply(f"The server only {self.reason}ed {model!r} and wrote nothing.", hint="Ask again.")
        if self.reason == "length":
            hint = "Allow it more tokens (max_tokens)."
        else:
            hint = "Ask again, or differently; the model may have stopped at once."
        raise EmptyReply(f"{model!r} sent an empty reply.", hint=hint)


def _usage(frame: Mapping[str, JSON]) -> Usage | None:
    read, written = frame.get("prompt_eval_count"), frame.get("eval_count")
    if not isinstance(read, int) and not isinstance(written, int):
        return None
    return Usage(read if isinstance(read, int) else 0, written if isinstance(written, int) else 0)


def _body(request: Request) -> bytes:
    """The JSON of a request.

    `truncate` and `shift` are off, so that what does not fit is an error and not a silent cut. They and
    `num_ctx` are the same on every request, since another value makes the server load the model anew.
    """
    if request.messages is None:
        raise BadRequest("The Ollama backend takes chat messages, not a finished prompt.")
    options: dict[str, JSON] = {}
    for name, value in request.options.items():
        options[_option(name)] = value
    if request.context is not None:
        options["num_ctx"] = request.context
    if request.max_tokens is not None:
        options["num_predict"] = request.max_tokens
    if request.stop:
        options["stop"] = list(request.stop)
    body: dict[str, JSON] = {
        "model": request.model,
        "messages": [dict(message) for message in request.messages],
        "stream": True,
        "truncate": False,
        "shift": False,
        "options": options,
    }
    if request.thinking is not None:
        body["think"] = request.thinking
    try:
        text = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError) as exc:
        raise BadRequest(f"The request cannot be written as JSON: {exc}.") from exc
    return text.encode("utf-8", "replace")  # half a surrogate pair is no text


def _option(name: str) -> str:
    known = ALIASES.get(name, name)
    if known in OPTIONS:
        return known
    if name in ("num_ctx", "num_predict", "stop"):
        proper = {"num_ctx": "context", "num_predict": "max_tokens", "stop": "stop"}[name]
        raise BadRequest(f"{name!r} is no sampling option.", hint=f"Say {proper}= instead.")
    near = difflib.get_close_matches(name, OPTIONS, n=1)
    hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(sorted(OPTIONS))}."
    raise BadRequest(f"Ollama has no option {name!r}.", hint=hint)


def _parallel() -> int:
    value = os.environ.get("OLLAMA_NUM_PARALLEL", "")
    return max(1, int(value)) if value.isdigit() else 1
