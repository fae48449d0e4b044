"""Each server over each transport, asked for each thing: it is done, or refused with what to do instead.

A row is a server and a transport, a column is what is asked. Rows marked `real` run the engine itself, with a tiny
model that is random or was taught a few replies; the others ask our stand-ins for servers that no test can start.
"""

import asyncio
import base64
import json
import shutil
import threading
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal

import httpx
import pytest
import tiny_gemma
import tiny_transformers
from forced import forced
from llama import llama_or_skip

from gemmagraph import Agent, Gemma, tool
from gemmagraph.backends.base import Transport
from gemmagraph.backends.gguf.backend import GgufBackend
from gemmagraph.backends.openai.backend import OpenAIBackend
from gemmagraph.backends.scripted import ScriptedBackend, Step
from gemmagraph.errors import BackendError, GemmagraphError
from gemmagraph.events import HeldTo, PromptSent, TextDelta
from gemmagraph.prompts.messages import Text, Turn
from gemmagraph.prompts.toolset import Toolset
from gemmagraph.tools import run_sync

PATIENCE = 20
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(20))
QUESTION, REQUEST = "What is the weather in Paris?", "Tell me the weather in Paris."
ANSWER = "It is sunny in Paris."
CALL, FINAL = ("get_weather", "Paris"), ("final_answer", "Paris")
FORM = {
    "type": "object",
    "properties": {"city": {"enum": ["Paris", "Rome"]}},
    "required": ["city"],
    "additionalProperties": False,
}
SPACE = "\u2581"
"""As the vocabulary writes it."""
RANDOM = {name: value for name, value in tiny_gemma.FLAT_AND_HOT.items() if name != "cache_prompt"} | {"seed": 3}
LETTERS = {
    **RANDOM,
    "logit_bias": [
        *(
            [id, False]
            for id, (text, _) in enumerate(tiny_gemma.TOKENS)
            if len(text) > 1 or not (text.isalpha() or text == SPACE)
        ),
        [tiny_gemma.ids(SPACE)[0], 2.0],
    ],
}
"""Words of letters, and no end."""


@tool(read_only=True)
def get_weather(city: Literal["Paris", "Rome"]) -> str:
    """Tells the weather.

    Args:
        city: where.
    """
    return "sunny"


@tool(read_only=True)
def get_time(city: Literal["Paris", "Rome"]) -> str:
    """Tells the time.

    Args:
        city: where.
    """
    return "noon"


TOOLS = Toolset([get_weather.spec, get_time.spec])


@dataclass(frozen=True)
class Row:
    """A server over a transport."""

    server: str
    transport: Transport
    model: str = "gemma3:4b"
    held: HeldTo = ""
    """What makes it call a tool, or none; where nothing does, it is asked again."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Columns that it does not have, with words of the error."""
    real: bool = False
    at_once: bool = False
    """Whether replies are over at once, so that there is nothing to leave."""

    def __str__(self) -> str:
        return f"{self.server} {self.transport}{' for real' if self.real else ''}"


BLIND = MappingProxyType({"image": "cannot look at pictures"})
NO_EYES = MappingProxyType({"image": "does not take images"})
NO_FORM = MappingProxyType({"structured": "did not keep to tool_choice", **BLIND})
ROWS = (
    Row("ollama", "chat", held="schema"),
    Row("ollama", "tools", "gemma4:e4b", held="schema"),
    Row("ollama", "completion", refused=BLIND),
    Row("llama.cpp", "chat", held="grammar", refused=NO_EYES, real=True),
    Row("llama.cpp", "tools", held="tool_choice", refused=NO_EYES, real=True),
    Row("llama.cpp", "completion", held="grammar", refused=BLIND, real=True),
    Row("vllm", "chat", held="grammar"),
    Row("vllm", "tools", held="tool_choice"),
    Row("vllm", "completion", held="grammar", refused=BLIND),
    Row("lmstudio", "chat", held="schema"),
    Row("lmstudio", "tools", held="schema"),
    Row("lmstudio", "completion", refused=BLIND),
    Row("plain", "chat", held="schema"),
    Row("plain", "tools", held="tool_choice"),
    Row("plain", "completion", refused=BLIND),
    Row("gemini", "chat", "gemma-3-27b-it"),
    Row("gemini", "tools", "gemma-4-31b-it", held="tool_choice"),
    Row("gguf", "completion", held="grammar", refused=BLIND, real=True),
    Row("transformers", "completion", refused=BLIND, real=True),
    Row("builtin", "chat", refused=NO_FORM, real=True, at_once=True),
    Row("scripted", "chat"),
    Row("scripted", "completion", refused=BLIND),
)
CALLING = ("tools", "forced tool", "none", "structured")
"""Columns in which a model has to be able to call."""
ABSENT = (
    (Row("gemini", "completion", "gemma-4-31b-it"), "not a finished prompt"),
    (Row("gguf", "chat", real=True), "takes a finished prompt"),
    (Row("gguf", "tools", real=True), "takes a finished prompt"),
    (Row("transformers", "chat", real=True), "takes a finished prompt"),
    (Row("transformers", "tools", real=True), "takes a finished prompt"),
    (Row("scripted", "tools"), "does not take requests over 'tools'"),
)
"""Transports that a server does not have, with words of the error."""


# What the model says, in each column


def said(row, column):
    """What it says, once for each time that it is asked. Where nothing holds it, it goes astray first."""
    right = {"tools": [CALL, ANSWER], "forced tool": [CALL], "structured": [FINAL]}.get(column, [ANSWER])
    stray = {"forced tool": [ANSWER], "none": [CALL], "structured": [ANSWER]}.get(column, [])
    return right if row.held else [*stray, *right]


def written(row, column, what):
    """The same as the server sends it."""
    by_schema = row.held == "schema" and column in ("forced tool", "none", "structured")
    if isinstance(what, str):
        return json.dumps({"answer": what}) if by_schema else what
    name, arguments = what[0], {"city": what[1]}
    if by_schema:
        return json.dumps({"name": name, "arguments": arguments})
    if row.transport != "tools":
        return f'FUNCTION_CALL: {name}(city="{what[1]}")'
    if row.server == "gemini":
        return {"calls": [{"name": name, "args": arguments}]}
    if row.server == "ollama":
        return {"tool_calls": [{"function": {"name": name, "arguments": arguments}}]}
    return {"tool_calls": [{"name": name, "arguments": json.dumps(arguments)}]}


def replies(row, column):
    """The script of what is no real model. One that is left in the middle does not come to an end."""
    if not column:
        return []
    endless = "word " * 5000 if row.server == "scripted" else {"text": ANSWER, "hang_after": 2}
    if row.server not in ("scripted", "ollama"):
        endless = {"text": ANSWER, "finish": None, "hang": True}
    return [*([endless] if column == "cancel" else []), *(written(row, column, what) for what in said(row, column))]


# Who is asked


class OverTools(OpenAIBackend):
    """Has to call first and to answer then, as a model would by itself if it could."""

    asked = 0

    def stream(self, request):
        self.asked += 1
        how = {"tool_choice": "none", "options": LETTERS} if self.asked > 1 else {"tool_choice": "required"}
        return super().stream(replace(request, **how))


@pytest.fixture(scope="module")
def llama():
    yield from llama_or_skip("8192")


@pytest.fixture(scope="module")
def llama_with_tools():
    yield from llama_or_skip("8192", "tools")


@pytest.fixture(scope="module")
def gguf_file(tmp_path_factory):
    for package in ("gguf", "numpy", "xllamacpp"):
        pytest.importorskip(package, reason=f"{package} is not installed, or has no wheel here: no GGUF file is run")
    return tiny_gemma.write_tiny_gemma(tmp_path_factory.mktemp("models") / "gemma-3-tiny.gguf")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    for package in ("torch", "transformers", "accelerate"):
        pytest.importorskip(package, reason=f"{package} IS NOT INSTALLED: NO MODEL IS RUN BY TRANSFORMERS")
    return tiny_transformers.write_tiny_gemma_folder(tmp_path_factory.mktemp("models") / "gemma3-tiny")


@pytest.fixture(scope="module")
def taught(folder, tmp_path_factory):
    """The folder of a model that was taught to say what a script says. It takes a minute."""
    row, lessons = Row("scripted", "completion"), {}
    for column in CALLING:
        script = ScriptedBackend(replies(row, column))
        COLUMNS[column](row, Gemma(script, transport="completion"))
        lessons |= zip((asked.prompt for asked in script.requests), replies(row, column), strict=True)
    copy = shutil.copytree(folder, tmp_path_factory.mktemp("models") / "gemma3-taught")
    tiny_transformers.teach(copy, [(prompt, f"{reply}<end_of_turn>") for prompt, reply in lessons.items()])
    return copy


@pytest.fixture
def model_of(request):
    """`model_of(row, column)`: the model of a row; what it is to say there is set, as far as that can be."""
    made = []

    def ready(row, column):
        made.append(gemma(row, column, request.getfixturevalue))
        return made[-1]

    yield ready
    for each in made:
        run_sync(each.close())


def gemma(row, column, fixture):
    how = {"transport": row.transport, "max_tokens": 400 if column in CALLING else 80}
    if row.server == "llama.cpp":
        server = fixture("llama_with_tools" if row.transport == "tools" else "llama")
        guided = OverTools if row.transport == "tools" else forced(OpenAIBackend)
        backend = (guided if column == "tools" else OpenAIBackend)(f"{server['url']}/v1")
        options = server["options"] | {"seed": 3} if column in CALLING else LETTERS
        return Gemma(backend, notation="function_call", **how, **options)
    if row.server == "gguf":
        backend = (forced(GgufBackend) if column == "tools" else GgufBackend)(fixture("gguf_file"), threads=1)
        return Gemma(backend, **how, **(RANDOM if column in CALLING else LETTERS))
    if row.server == "transformers":
        if column in CALLING:
            return Gemma(f"transformers:{fixture('taught')}", **how, temperature=0)
        return Gemma(f"transformers:{fixture('folder')}", **how, seed=3)
    if row.server == "builtin":
        return Gemma("builtin", **how)
    if row.server == "scripted":
        return Gemma(ScriptedBackend([Step(reply, chunk=4) for reply in replies(row, column)]), **how)
    stand_in = fixture(protocol(row))
    stand_in.plays(*replies(row, column), kind=row.server)
    url = f"{stand_in.url}/v1" if protocol(row) == "openai" else stand_in.url
    return Gemma(f"{protocol(row)}:{row.model}", base_url=url, api_key="a-key", **how)


def protocol(row):
    """The backend, and the fixture of the stand-in, for a server that is played."""
    return row.server if row.server in ("ollama", "gemini") else "openai"


# What is asked


def heard(gemma, words=QUESTION, tools=None, **changes):
    """The events of one reply, and the reply."""

    async def hear():
        async with aclosing(gemma.stream(asked(words), tools or Toolset(), **changes)) as events:
            return [event async for event in events]

    *events, reply = run_sync(asyncio.wait_for(hear(), PATIENCE))
    return events, reply


def asked(words):
    return (Turn("user", (Text(words),)),)


def plain(row, gemma):
    _, reply = heard(gemma)
    assert reply.text if row.real else reply.text == ANSWER


def tools(row, gemma):
    result = Agent(gemma, [get_weather, get_time]).run(QUESTION)
    assert result.stop == "answered"
    assert result.text if row.real else result.text == ANSWER
    assert {call.status for call in result.calls} == {"ok"}


def forced_tool(row, gemma):
    events, reply = heard(gemma, REQUEST, TOOLS, tool_choice="get_weather")
    assert held(events) == row.held
    assert {call.name for call in reply.calls} == {"get_weather"}


def none(row, gemma):
    events, reply = heard(gemma, QUESTION, TOOLS, tool_choice="none")
    assert held(events) == row.held
    assert (reply.calls, bool(reply.text)) == ((), True)


def held(events):
    return next(event.held_to for event in events if isinstance(event, PromptSent))


def structured(row, gemma):
    result = Agent(gemma, output=FORM).run(QUESTION)
    assert result.stop == "answered", result.reason
    assert result.output in ({"city": "Paris"}, {"city": "Rome"})


def stream(row, gemma):
    events, reply = heard(gemma)
    pieces = [event.text for event in events if isinstance(event, TextDelta)]
    assert len(pieces) > 3
    assert "".join(pieces).strip() == reply.text.strip()


def cancel(row, gemma):
    async def leave():
        async with aclosing(gemma.stream(asked(QUESTION), Toolset())) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    asyncio.current_task().cancel()

    async def left():
        task = asyncio.create_task(leave())
        await asyncio.wait({task}, timeout=PATIENCE)
        return task.cancelled()

    assert run_sync(left())


def image(row, gemma):
    assert Agent(gemma).run(QUESTION, images=[PNG]).text == ANSWER


COLUMNS = {
    "plain": plain,
    "tools": tools,
    "forced tool": forced_tool,
    "none": none,
    "structured": structured,
    "stream": stream,
    "cancel": cancel,
    "image": image,
}


# What the server has seen of it


def was_shown(row, gemma, fixture):
    """Whether the picture came through to the server."""
    if row.server == "scripted":
        return gemma.backend.requests[-1].has_images
    stand_in = fixture(protocol(row))
    return base64.b64encode(PNG).decode() in json.dumps(stand_in.seen()["requests"][-1]["body"])


def is_free(row, fixture):
    """Whether nobody works on a reply that was left."""
    if row.server == "llama.cpp":
        url = fixture("llama_with_tools" if row.transport == "tools" else "llama")["url"]
        return run_sync(asyncio.wait_for(idle(url), PATIENCE))
    if row.server in ("gguf", "transformers"):
        working = [thread for thread in threading.enumerate() if thread.name == "gemmagraph-engine"]
        for thread in working:
            thread.join(1)
        return not any(thread.is_alive() for thread in working)
    if row.server == "scripted":
        return True
    stand_in = fixture(protocol(row))
    return stand_in.seen(ended=1)["requests"][0]["ended"] == "disconnected"


async def idle(url):
    async with httpx.AsyncClient() as client:
        for _ in range(200):
            slots = (await client.get(f"{url}/slots")).json()
            if not any(slot["is_processing"] for slot in slots):
                return True
            await asyncio.sleep(0.01)
    return False


def cells():
    for row in ROWS:
        for column in COLUMNS:
            if row.at_once and column in ("stream", "cancel"):
                continue
            how = row.refused.get(column) or (row.held or "asked again" if column in ("forced tool", "none") else "")
            taught = row.server == "transformers" and column in CALLING
            marks = [pytest.mark.long] if taught else []
            yield pytest.param(row, column, id=f"{row}, {column}{': ' if how else ''}{how}", marks=marks)


@pytest.mark.parametrize(("row", "column"), list(cells()))
def test_each_server_does_each_thing_or_says_that_it_does_not(row, column, model_of, request):
    gemma = model_of(row, column)
    if column in row.refused:
        refuses(row, column, gemma)
        return
    COLUMNS[column](row, gemma)
    if column == "image":
        assert was_shown(row, gemma, request.getfixturevalue)
    if column == "cancel":
        assert is_free(row, request.getfixturevalue)
        assert heard(gemma)[1].text, "it answers the next one"


def refuses(row, column, gemma):
    """It says so, and the conversation goes on."""
    if column == "structured":
        result = Agent(gemma, output=FORM).run(QUESTION)
        assert (result.stop, result.output) == ("failed", None)
        assert row.refused[column] in result.reason
        return
    agent = Agent(gemma)
    with pytest.raises(GemmagraphError, match=row.refused[column]) as caught:
        agent.run(QUESTION, images=[PNG], thread="t")
    assert caught.value.hint
    assert agent.run(QUESTION, thread="t").text, "the picture is no part of the conversation"


@pytest.mark.parametrize(("row", "words"), ABSENT, ids=str)
def test_a_transport_that_a_server_does_not_have_is_refused(row, words, model_of):
    with pytest.raises(BackendError, match=words) as caught:
        heard(model_of(row, ""))
    assert caught.value.hint
