"""ChatGemma: a `Gemma` as a LangChain chat model, for chains and agents that are built on one."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any, Final, Literal

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import LanguageModelInput, ModelProfile
from langchain_core.language_models.base import LangSmithParams
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import ConfigDict, Field, PrivateAttr, SecretStr

from gemmagraph.backends.base import Transport
from gemmagraph.backends.recorded.recording import Cassette, RecordMode
from gemmagraph.budget import IMAGE_TOKENS, Budget, Overflow
from gemmagraph.chat_forms import declared, read_as_json
from gemmagraph.chat_kept import Kept, described
from gemmagraph.chat_telling import Telling
from gemmagraph.convert import Converter, ai_message, message_chunk, messages_of
from gemmagraph.errors import AgentError
from gemmagraph.events import Rerouted, TextDelta, ThoughtDelta
from gemmagraph.fallback import Model, Route
from gemmagraph.model import Gemma
from gemmagraph.openai_forms import answer_of, answered, choice_of
from gemmagraph.patience import patiently
from gemmagraph.prompts.messages import Image, Reply
from gemmagraph.prompts.prompt import Transcript, images_of
from gemmagraph.prompts.tokens import estimate
from gemmagraph.tools import run_sync

_NO_OPTIONS: Final = {
    *("model", "tools", "tool_choice", "response_format", "ls_structured_output_format", "strict"),
    *("parallel_tool_calls", "stream", "stream_usage", "stream_options", "timeout", "max_retries"),
}
"""What a call may be given that is no option: it is read elsewhere, or done anyway."""
_MAKING: Final = (
    *("base_url", "api_key", "notation", "context", "max_tokens", "transport", "overflow", "record", "record_mode"),
)
"""Fields of which a Gemma is made. A call has no others, but for `max_tokens`."""
_TUNING: Final = ("thinking", "temperature", "top_p", "top_k", "seed")


class ChatGemma(BaseChatModel):
    """A Gemma model as a LangChain chat model: calls are rendered, read and checked by gemmagraph on any server.

    The arguments are those of `Gemma`; sampling options that are not named here go into `sampling`. A `Gemma` that
    is there already, a `Fallback` or an `Escalate` is given as `gemma`.

    `timeout` is for a whole reply, in seconds. Backends ask again by themselves where that is safe; `max_retries` is
    how often a reply of which nothing came is asked for beyond that. One call can go to another model of the same
    server, `invoke(…, model="gemma3:12b")`, and have options of its own, `invoke(…, temperature=0)`. A field that is
    set counts from the next call on.

    Text is streamed as it comes, also where tools are bound. If a bad call follows it and is asked for again, it
    stays in the message: what was streamed cannot be taken back, and the message is the same whether it was or not.

    Raises:
        AgentError, NotationError: as `Gemma`.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, populate_by_name=True, extra="forbid")

    model: str = Field(default="ollama:gemma3:4b", alias="model_name")
    base_url: str | None = Field(default=None, repr=False)
    api_key: SecretStr | None = None
    notation: str | None = None
    context: int | None = None
    max_tokens: int | None = None
    thinking: bool | None = None
    transport: Transport | None = None
    overflow: Overflow | Budget = "drop"
    record: str | os.PathLike[str] | Cassette | None = None
    record_mode: RecordMode | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    sampling: dict[str, Any] = Field(default_factory=dict)
    stop: list[str] | None = Field(default=None, alias="stop_sequences")
    timeout: float | None = Field(default=None, gt=0)
    max_retries: int = Field(default=0, ge=0)
    streaming: bool = False
    """For those who pass it: replies always stream, so there is nothing to switch on."""
    gemma: Model | None = Field(default=None, exclude=True)
    _kept: Kept = PrivateAttr(default_factory=Kept)

    def model_post_init(self, context: Any, /) -> None:
        self._model_for({})  # what is wrong is told now

    def _model_for(self, kwargs: Mapping[str, Any]) -> Model:
        """The model for a call that was given these arguments, as the fields are now.

        Raises:
            AgentError: it cannot be what they say.
        """
        given = {name: value for name, value in kwargs.items() if name not in _NO_OPTIONS and value is not None}
        fixed = sorted(given.keys() & ({*_MAKING, "gemma"} - {"max_tokens"}))
        if fixed:
            raise AgentError(f"{', '.join(fixed)} cannot be said for one call.", hint="Make a second ChatGemma.")
        tuning = {name: value for name in _TUNING if (value := getattr(self, name)) is not None}
        options = {**self.sampling, **tuning, **given.pop("sampling", {}), **given}
        model = self._given(kwargs.get("model")) or self._kept.made(self._making(kwargs.get("model")))
        return self._kept.tuned(model, options)

    def _given(self, name: str | None) -> Model | None:
        """The model that was given as `gemma`."""
        if self.gemma is None:
            return None
        fields = type(self).model_fields
        others = [
            field
            for field in (*_MAKING, *_TUNING, "sampling")
            if getattr(self, field) != fields[field].get_default(call_default_factory=True)
        ]
        if "model" in self.model_fields_set and self.model != self.gemma.model:
            others.append("model")
        if others:
            raise AgentError(
                f"{', '.join(others)} cannot be said beside gemma=.", hint="Say it where the Gemma is made."
            )
        self.__dict__["model"] = self.gemma.model  # not as a field that was set, which could not stand beside it
        if name not in (None, self.model):
            raise AgentError(
                f"model={name!r} is for a call of a ChatGemma that was made from a name.",
                hint="Make a second ChatGemma for that model.",
            )
        return self.gemma

    def _making(self, name: str | None) -> dict[str, Any]:
        """The arguments of a Gemma: of one on the same server, if there is a name."""
        found = {field: getattr(self, field) for field in _MAKING}
        key = self.api_key
        found["api_key"] = key.get_secret_value() if isinstance(key, SecretStr) else key
        kind = self.model.partition(":")[0] + ":"
        return {"model": self.model if name is None else kind + name.removeprefix(kind), **found}

    @property
    def _llm_type(self) -> str:
        return "gemmagraph"

    @property
    def _identifying_params(self) -> Mapping[str, Any]:
        return {**described(self._model_for({})), "stop": self.stop}

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        model = self._model_for({})
        params = super()._get_ls_params(stop=stop, **kwargs)
        params["ls_provider"] = "gemmagraph"
        params["ls_model_name"] = kwargs.get("model") or model.model
        params.setdefault("ls_max_tokens", model.max_tokens)
        if isinstance(model, Gemma) and "temperature" in model.sampling:
            params.setdefault("ls_temperature", model.sampling["temperature"])
        return params

    def _resolve_model_profile(self) -> ModelProfile | None:
        model = self._model_for({})
        family = model.family
        return {
            "name": family.name,
            "max_input_tokens": model.context,
            "max_output_tokens": model.max_tokens,
            "text_inputs": True,
            "image_inputs": model.sees,
            "text_outputs": True,
            "reasoning_output": family.thinks,
            "tool_calling": True,
            "tool_choice": True,
            "structured_output": True,
            "open_weights": True,
        }

    def get_token_ids(self, text: str) -> list[int]:
        """Only what `custom_get_token_ids` makes of it.

        Raises:
            AgentError: there is no such function.
        """
        if self.custom_get_token_ids is None:
            raise AgentError(
                "The ids of tokens are the server's own.", hint="get_num_tokens counts them; it needs no ids."
            )
        return super().get_token_ids(text)

    def get_num_tokens(self, text: str) -> int:
        """The tokens of a text: counted where the server or engine counts, else estimated, seldom too few."""
        if self.custom_get_token_ids is not None:
            return len(self.get_token_ids(text))
        gemma = self._model_for({})
        while isinstance(gemma, Route):
            gemma = gemma.models[0]
        counted = run_sync(gemma.window.counter.exact(text))
        return estimate(text) if counted is None else counted

    def get_num_tokens_from_messages(self, messages: list[BaseMessage], tools: Sequence[Any] | None = None) -> int:
        """The tokens of the whole prompt for `messages`: tools, marks and pictures are counted with them."""
        model = self._model_for({})
        writer = model.writer(self._kept.toolset([declared(tool) for tool in tools or ()]))
        turns = Converter(writer).turns(messages_of(messages))
        transcript = Transcript(writer)
        transcript.update(
            [replace(turn, parts=tuple(part for part in turn.parts if not isinstance(part, Image))) for turn in turns]
        )
        pictures = sum(len(images_of(turn)) for turn in turns)
        return self.get_num_tokens(transcript.completion()) + pictures * IMAGE_TOKENS.get(model.family.turn_format, 0)

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | bool | dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """This model with tools to call, in any form that LangChain takes.

        Args:
            tools: what may be called.
            tool_choice: `auto`, `any` (or `required`, or True), `none`, the name of a tool, or OpenAI's form of that.
        """
        return self.bind(tools=[declared(tool) for tool in tools], tool_choice=choice_of(tool_choice), **kwargs)

    def with_structured_output(
        self,
        schema: dict[str, Any] | type,
        *,
        method: Literal["function_calling", "json_schema", "json_mode"] = "function_calling",
        include_raw: bool = False,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, Any]:
        """This model, giving values of `schema`.

        Args:
            schema: a pydantic class, a TypedDict, a JSON Schema or a function in OpenAI's form.
            method: `function_calling` and `json_schema` have the value written as the arguments of a call that is
                required and checked; `json_mode` reads JSON out of an answer whose form the prompt has to ask for.
            include_raw: give a dict of `raw`, `parsed` and `parsing_error` in place of the value alone.

        Raises:
            ValueError: there is no such method.
        """
        if method in ("function_calling", "json_schema"):
            return super().with_structured_output(schema, include_raw=include_raw, **kwargs)
        if method != "json_mode":
            raise ValueError(f"There is no method {method!r}: say function_calling, json_schema or json_mode.")
        traced = {"kwargs": {"method": method}, "schema": convert_to_openai_tool(schema)}
        return read_as_json(self.bind(ls_structured_output_format=traced), schema, include_raw=include_raw)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return run_sync(self._agenerate(messages, stop, **kwargs))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        message = None
        async with aclosing(self._said(messages, stop, kwargs)) as pieces:
            async for piece in pieces:
                message = piece if isinstance(piece, AIMessage) else message
        assert message is not None, "a model's stream ends with its message"
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        chunks = self._astream(messages, stop, **kwargs)
        try:
            while (chunk := run_sync(anext(chunks, None))) is not None:
                if run_manager is not None:
                    run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                yield chunk
        finally:
            run_sync(chunks.aclose())

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncGenerator[ChatGenerationChunk, None]:
        async with aclosing(self._said(messages, stop, kwargs)) as pieces:
            async for piece in pieces:
                chunk = ChatGenerationChunk(message=message_chunk(piece))
                chunk.message.id = None  # ours is known at the end only, and LangChain gives all pieces the same
                if run_manager is not None:
                    await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                yield chunk

    async def _said(
        self, messages: list[BaseMessage], stop: list[str] | None, kwargs: Mapping[str, Any]
    ) -> AsyncGenerator[TextDelta | ThoughtDelta | AIMessage, None]:
        """Pieces of text and thought as they come, and last the whole message."""
        model = self._model_for(kwargs)
        reply = patiently(
            lambda: self._once(model, messages, stop, kwargs),
            name=model.name,
            timeout=kwargs.get("timeout", self.timeout),
            retries=kwargs.get("max_retries", self.max_retries),
        )
        async with aclosing(reply) as pieces:
            async for piece in pieces:
                yield piece

    async def _once(
        self, model: Model, messages: list[BaseMessage], stop: list[str] | None, kwargs: Mapping[str, Any]
    ) -> AsyncGenerator[TextDelta | ThoughtDelta | AIMessage, None]:
        answer = answer_of(kwargs.get("response_format"))
        tools = self._kept.toolset(kwargs.get("tools") or (), answer)
        writer = model.writer(tools)
        turns = Converter(writer).turns(messages_of(messages))
        choice = choice_of(kwargs.get("tool_choice"))
        if answer is not None:
            choice = {"auto": "required", "none": answer.name}.get(choice, choice)
        ends = tuple(stop or self.stop or ())
        name = model.model
        told = Telling(held=answer is not None or choice != "auto" or model.takes_back)
        async with aclosing(model.stream(turns, tools, tool_choice=choice, stop=ends)) as events:
            async for event in events:
                if isinstance(event, Rerouted):
                    name = event.answers
                elif isinstance(event, Reply):
                    reply = event if answer is None else answered(event, answer)
                    if kwargs.get("parallel_tool_calls") is False and len(reply.calls) > 1:
                        reply = replace(reply, calls=reply.calls[:1], repaired=True)
                    rest, reply = told.end(reply)
                    if rest:
                        yield TextDelta(rest)
                    message = ai_message(reply, writer)
                    message.response_metadata.update(
                        model_name=name, model_provider="gemmagraph", finish_reason=reply.stop
                    )
                    yield message
                elif (piece := told.piece(event)) is not None:
                    yield piece
