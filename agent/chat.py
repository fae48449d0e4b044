"""ChatGemma: a `Gemma` as a LangChain chat model, for chains and agents that are built on one."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import Any, Final, Literal

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import LanguageModelInput, ModelProfile
from langchain_core.language_models.base import LangSmithParams
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.output_parsers import JsonOutputParser, PydanticOutputParser
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable, RunnableLambda, RunnableMap, RunnablePassthrough
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool
from langchain_core.utils.pydantic import is_basemodel_subclass
from pydantic import ConfigDict, Field, PrivateAttr, SecretStr

from gemmagraph.backends.base import Transport
from gemmagraph.budget import IMAGE_TOKENS, Budget, Overflow
from gemmagraph.convert import Conversation, ai_message, message_chunk, messages_of
from gemmagraph.errors import AgentError, BadRequest
from gemmagraph.events import Rerouted, TextDelta, ThoughtDelta
from gemmagraph.fallback import Model, Route
from gemmagraph.model import Gemma
from gemmagraph.openai_forms import answer_of, answered, choice_of, function_of
from gemmagraph.patience import patiently
from gemmagraph.prompts.messages import Image, Reply, ToolSpec
from gemmagraph.prompts.prompt import Transcript, images_of
from gemmagraph.prompts.tokens import estimate
from gemmagraph.prompts.toolset import Toolset
from gemmagraph.tools import run_sync

_NO_OPTIONS: Final = {
    *("model", "tools", "tool_choice", "response_format", "ls_structured_output_format", "strict"),
    *("parallel_tool_calls", "stream", "stream_usage", "stream_options"),
}
"""What a call may be given that is no option: it is read elsewhere, or done anyway."""
_BESIDE_GEMMA: Final = frozenset({"gemma", "timeout", "max_retries", "stop", "streaming"})
_MOST_TOOLSETS: Final = 16
"""Sets of tools whose declarations are kept."""
_MOST_OTHERS: Final = 8
"""Other models of the same server that are kept."""


class ChatGemma(BaseChatModel):
    """A Gemma model as a LangChain chat model: calls are rendered, read and checked by gemmagraph on any server.

    The arguments are those of `Gemma`; sampling options that are not named here go into `sampling`. A `Gemma` that
    is there already, a `Fallback` or an `Escalate` is given as `gemma`.

    `timeout` is for a whole reply, in seconds. Backends ask again by themselves where that is safe; `max_retries` is
    how often a reply of which nothing came is asked for beyond that. One call can go to another model of the same
    server: `invoke(…, model="gemma3:12b")`.

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
    _asked: Model = PrivateAttr()
    _others: dict[str, Model] = PrivateAttr(default_factory=dict)
    _toolsets: dict[str, Toolset] = PrivateAttr(default_factory=dict)

    def model_post_init(self, context: Any, /) -> None:
        others = self.model_fields_set - _BESIDE_GEMMA - BaseChatModel.model_fields.keys()
        if self.gemma is not None and others:
            raise AgentError(
                f"{', '.join(sorted(others))} cannot be said beside gemma=.", hint="Say it where the Gemma is made."
            )
        self._asked = self.gemma or self._made(self.model)

    def _made(self, model: str) -> Gemma:
        named = {name: getattr(self, name) for name in ("temperature", "top_p", "top_k", "seed")}
        return Gemma(
            model,
            base_url=self.base_url,
            api_key=self.api_key.get_secret_value() if self.api_key else None,
            notation=self.notation,
            context=self.context,
            max_tokens=self.max_tokens,
            thinking=self.thinking,
            transport=self.transport,
            overflow=self.overflow,
            **{name: value for name, value in named.items() if value is not None},
            **self.sampling,
        )

    def _model_for(self, name: str | None) -> Model:
        """The model that one call is for.

        Raises:
            AgentError: there is no server by name whose models these could be.
        """
        if name in (None, self.model):
            return self._asked
        if self.gemma is not None:
            raise AgentError(
                f"model={name!r} is for a call of a ChatGemma that was made from a name.",
                hint="Make a second ChatGemma for that model.",
            )
        kind = self.model.partition(":")[0] + ":"
        full = kind + name.removeprefix(kind)
        if full not in self._others:
            while len(self._others) >= _MOST_OTHERS:
                self._others.pop(next(iter(self._others)))
            self._others[full] = self._made(full)
        return self._others[full]

    def _tuned(self, gemma: Model, kwargs: Mapping[str, Any]) -> Model:
        """The model with the options that were given for one call.

        Raises:
            AgentError: it is a route to several, each with options of its own.
        """
        changed = {name: value for name, value in kwargs.items() if name not in _NO_OPTIONS and value is not None}
        if not changed:
            return gemma
        if not isinstance(gemma, Gemma):
            raise AgentError(
                f"A call to {gemma.name} has no options of its own ({', '.join(changed)}).",
                hint="Give them to the Gemmas that it is made of.",
            )
        return gemma.tuned(**changed)

    @property
    def _llm_type(self) -> str:
        return "gemmagraph"

    @property
    def _identifying_params(self) -> Mapping[str, Any]:
        settled = ("sampling", "max_tokens", "context", "thinking", "transport")
        gemma = self._asked
        return {
            "model": gemma.name,
            "notation": gemma.notation.name,
            "stop": self.stop,
            **{name: getattr(gemma, name) for name in settled if hasattr(gemma, name)},
        }

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        params = super()._get_ls_params(stop=stop, **kwargs)
        params["ls_provider"] = "gemmagraph"
        return params

    def _resolve_model_profile(self) -> ModelProfile | None:
        family = self._asked.family
        return {
            "name": family.name,
            "max_input_tokens": self._asked.context,
            "max_output_tokens": self._asked.max_tokens,
            "text_inputs": True,
            "image_inputs": self._asked.sees,
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
        """The tokens of a text: counted where the server or engine counts, else estimated, seldom too few.

        Raises:
            BackendError: the server cannot be asked.
        """
        if self.custom_get_token_ids is not None:
            return len(self.get_token_ids(text))
        return run_sync(self._counted(text))

    def get_num_tokens_from_messages(self, messages: list[BaseMessage], tools: Sequence[Any] | None = None) -> int:
        """The tokens of the whole prompt for `messages`: tools, marks and pictures are counted with them.

        Raises:
            BackendError: the server cannot be asked.
        """
        writer = self._asked.writer(self._toolset([convert_to_openai_tool(tool) for tool in tools or ()]))
        turns = Conversation(writer).turns(messages_of(messages))
        transcript = Transcript(writer)
        transcript.update(
            [replace(turn, parts=tuple(part for part in turn.parts if not isinstance(part, Image))) for turn in turns]
        )
        pictures = sum(len(images_of(turn)) for turn in turns)
        return self.get_num_tokens(transcript.completion()) + pictures * IMAGE_TOKENS.get(
            self._asked.family.turn_format, 0
        )

    async def _counted(self, text: str) -> int:
        gemma = self._asked
        while isinstance(gemma, Route):
            gemma = gemma.models[0]
        count = getattr(gemma.backend, "count", None)
        if count is not None:
            with suppress(BadRequest):  # this server does not count after all
                return int(await count(gemma.model, text))
        return estimate(text)

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
        declared = [convert_to_openai_tool(tool) for tool in tools]
        return self.bind(tools=declared, tool_choice=choice_of(tool_choice), **kwargs)

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
        parser: Runnable[Any, Any]
        if isinstance(schema, type) and is_basemodel_subclass(schema):
            parser = PydanticOutputParser(pydantic_object=schema)
        else:
            parser = JsonOutputParser()
        described = convert_to_openai_tool(schema)
        model = self.bind(ls_structured_output_format={"kwargs": {"method": method}, "schema": described})
        if not include_raw:
            return model | parser
        parsed = RunnablePassthrough.assign(
            parsed=RunnableLambda(lambda found: found["raw"]) | parser, parsing_error=lambda _: None
        )
        failed = RunnablePassthrough.assign(parsed=lambda _: None)
        return RunnableMap(raw=model) | parsed.with_fallbacks([failed], exception_key="parsing_error")

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
                if run_manager is not None:
                    await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                yield chunk

    async def _said(
        self, messages: list[BaseMessage], stop: list[str] | None, kwargs: Mapping[str, Any]
    ) -> AsyncGenerator[TextDelta | ThoughtDelta | AIMessage, None]:
        """Pieces of text and thought as they come, and last the whole message."""
        gemma = self._tuned(self._model_for(kwargs.get("model")), kwargs)
        reply = patiently(
            lambda: self._once(gemma, messages, stop, kwargs),
            name=gemma.name,
            timeout=self.timeout,
            retries=self.max_retries,
        )
        async with aclosing(reply) as pieces:
            async for piece in pieces:
                yield piece

    async def _once(
        self, gemma: Model, messages: list[BaseMessage], stop: list[str] | None, kwargs: Mapping[str, Any]
    ) -> AsyncGenerator[TextDelta | ThoughtDelta | AIMessage, None]:
        answer = answer_of(kwargs.get("response_format"))
        tools = self._toolset(kwargs.get("tools") or (), answer)
        writer = gemma.writer(tools)
        turns = Conversation(writer).turns(messages_of(messages))
        choice = choice_of(kwargs.get("tool_choice"))
        if answer is not None:
            choice = {"auto": "required", "none": answer.name}.get(choice, choice)
        ends = tuple(stop or self.stop or ())
        name = gemma.model
        held = answer is not None or choice != "auto" or gemma.takes_back
        async with aclosing(gemma.stream(turns, tools, tool_choice=choice, stop=ends)) as events:
            async for event in events:
                if isinstance(event, ThoughtDelta) or (isinstance(event, TextDelta) and not held):
                    yield event
                elif isinstance(event, Rerouted):
                    name = event.answers
                elif isinstance(event, Reply):
                    reply = event if answer is None else answered(event, answer)
                    if kwargs.get("parallel_tool_calls") is False and len(reply.calls) > 1:
                        reply = replace(reply, calls=reply.calls[:1], repaired=True)
                    if held and reply.text:  # LangChain adds piece to piece: none can be taken back
                        yield TextDelta(reply.text)
                    message = ai_message(reply, writer)
                    message.response_metadata.update(
                        model_name=name, model_provider="gemmagraph", finish_reason=reply.stop
                    )
                    yield message

    def _toolset(self, tools: Sequence[Mapping[str, Any]], answer: ToolSpec | None = None) -> Toolset:
        """The tools as they are declared; the same object for the same tools, since much is kept with it."""
        key = json.dumps([tools, answer and [answer.name, answer.description, answer.parameters]], sort_keys=True)
        found = self._toolsets.get(key)
        if found is None:
            declared = [function_of(tool) for tool in tools]
            found = Toolset([*declared, *([answer] if answer else [])])
            while len(self._toolsets) >= _MOST_TOOLSETS:
                self._toolsets.pop(next(iter(self._toolsets)))
            self._toolsets[key] = found
        return found
