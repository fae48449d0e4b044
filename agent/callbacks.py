"""A reply as LangChain's callbacks hear it, piece by piece: LangGraph's stream mode `messages`, and who traces."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from langchain_core.callbacks import AsyncCallbackManager, AsyncCallbackManagerForLLMRun
from langchain_core.messages import AIMessage, AnyMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, LLMResult
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import get_async_callback_manager_for_config, var_child_runnable_config

from gemmagraph.chat_telling import Telling
from gemmagraph.convert import ai_message, message_chunk
from gemmagraph.events import Reasked, TextDelta, ThoughtDelta
from gemmagraph.lean import listened_to
from gemmagraph.model import ModelEvent
from gemmagraph.naming import Naming
from gemmagraph.prompts.messages import Reply
from gemmagraph.run import Run


def listening() -> AsyncCallbackManager | None:
    """Who listens to the step that is at work; None: nobody."""
    config: RunnableConfig = var_child_runnable_config.get() or {}
    return get_async_callback_manager_for_config(config) if listened_to(config.get("callbacks")) else None


async def heard(
    listeners: AsyncCallbackManager,
    run: Run,
    asked: Sequence[AnyMessage],
    events: AsyncGenerator[ModelEvent, None],
    naming: Naming,
    *,
    held: bool,
) -> AsyncGenerator[ModelEvent, None]:
    """The events of a reply, which the listeners hear as they come.

    Args:
        asked: what the model is sent.
        naming: has the id of the reply; the pieces of one that is asked for again had another.
        held: whether its text may turn out to be no answer, and is told only at the end.
    """
    name = run.kit.gemma.name
    (listener,) = await listeners.on_chat_model_start({"name": name}, [[*asked]], name=name)
    told, writer = Telling(held), run.transcript.writer
    try:
        async with aclosing(events):
            async for event in events:
                if isinstance(event, Reply):
                    message = ai_message(event, writer, naming.id)
                    if rest := told.end(event)[0]:
                        await _tell(listener, TextDelta(rest), naming.id)
                    await _tell(listener, message, naming.id)
                elif isinstance(event, Reasked):
                    told = Telling(held=True)  # which of the tries is the reply is known at its end
                elif (piece := told.piece(event)) is not None:
                    await _tell(listener, piece, naming.id)
                yield event
        await listener.on_llm_end(LLMResult(generations=[[ChatGeneration(message=message)]]))
    except BaseException as exc:
        await listener.on_llm_error(exc)
        raise


async def _tell(
    listener: AsyncCallbackManagerForLLMRun, piece: TextDelta | ThoughtDelta | AIMessage, identity: str
) -> None:
    chunk = message_chunk(piece)
    chunk.id = identity
    await listener.on_llm_new_token(chunk.text, chunk=ChatGenerationChunk(message=chunk))
