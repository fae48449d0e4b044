"""The backend `gguf`: llama.cpp in this process, with a tiny model that says something else each time."""

import asyncio
import json
import os
import subprocess
import sys
import threading
from contextlib import aclosing
from pathlib import Path
from typing import Literal

import jsonschema
import pytest
import tiny_gemma
from forced import ENDLESS, forced

from gemmagraph import Agent, Gemma, errors
from gemmagraph.backends import backend_for
from gemmagraph.backends.base import Request
from gemmagraph.backends.gguf.backend import GgufBackend
from gemmagraph.backends.gguf.engine import Engine
from gemmagraph.prompts.catalog import family_of
from gemmagraph.prompts.grammar.calls import Grammar, grammar
from gemmagraph.prompts.messages import Text, ToolSpec, Turn
from gemmagraph.prompts.notation import notation_named, read
from gemmagraph.prompts.prompt import PromptWriter, Transcript
from gemmagraph.prompts.toolset import Toolset
from gemmagraph.prompts.turns import turn_format

NOT_THERE = "is not installed, or has no wheel here: no GGUF file is run in this process"
for package in ("numpy", "xllamacpp"):
    pytest.importorskip(package, reason=f"{package} {NOT_THERE}")
gguf = pytest.importorskip("gguf", reason=f"gguf {NOT_THERE}")

CONTEXT = 8192
FLAT = {name: value for name, value in tiny_gemma.FLAT_AND_HOT.items() if name != "cache_prompt"} | {"seed": 3}
TOOLS = Toolset(
    [
        ToolSpec(
            "get_weather",
            "Tells the weather.",
            {
                "type": "object",
                "properties": {"city": {"type": "string", "maxLength": 12}, "days": {"type": "integer"}},
                "required": ["city"],
            },
        )
    ]
)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tiny_gemma.write_tiny_gemma(tmp_path_factory.mktemp("models") / "gemma-3-tiny.gguf")


@pytest.fixture(scope="module")
def backend(path):
    made = GgufBackend(path, threads=1)  # two are slower as soon as something else runs
    yield made
    asyncio.run(made.close())


@pytest.fixture
def say(ask):
    """`say(backend, prompt, **changes)`: all that it says, flat and hot."""

    def said(backend, prompt="Hi", **changes):
        asked = {"model": "gguf", "messages": None, "prompt": prompt, "max_tokens": 8, "options": FLAT}
        return ask(backend, **asked | changes)

    return said


def request(**changes):
    asked = {"model": "gguf", "prompt": "Hi", "max_tokens": 8, "options": FLAT, "context": CONTEXT}
    return Request(**asked | changes)


def at_work():
    """The engine's threads of ours."""
    return [thread for thread in threading.enumerate() if thread.name == "gemmagraph-engine"]


def none_at_work():
    for thread in at_work():
        thread.join(1)  # it has said that it ends
    return not at_work()


# --- the file ---------------------------------------------------------------------------------------------


def headed(file, architecture, **facts):
    """A GGUF file without a model."""
    writer = gguf.GGUFWriter(str(file), architecture)
    for name, fact in facts.items():
        writer.add_string(f"general.{name}", fact)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return file


@pytest.mark.parametrize(
    ("name", "architecture", "facts", "family"),
    [
        ("gemma-3-4b-it-Q4_K_M", "gemma3", {}, "gemma3"),
        ("model", "gemma3", {"name": "Gemma 3 4b It"}, "gemma3"),
        ("model", "gemma3", {"basename": "functiongemma", "size_label": "270M"}, "functiongemma"),
        ("functiongemma-270m-it", "gemma3", {"size_label": "270M"}, "functiongemma"),
        ("gemma", "gemma4", {"basename": "gemma-4", "size_label": "E4B"}, "gemma4"),
        ("gemma", "gemma3", {}, "gemma3"),
        ("acme-tools", "gemma3", {"name": "Acme Tools", "size_label": "1B"}, "gemma3"),
        ("gemma-2-2b", "gemma3n", {"name": "My Gemma"}, "gemma3n"),
    ],
)
def test_the_family_is_found_from_what_the_file_says_or_from_its_name(tmp_path, name, architecture, facts, family):
    backend, _ = backend_for(f"gguf:{headed(tmp_path / f'{name}.gguf', architecture, **facts)}")
    assert family_of(backend.model).name == family
    if facts.get("size_label") == "1B":
        assert not family_of(backend.model).images


def test_a_path_may_begin_at_home_or_here(path, monkeypatch):
    monkeypatch.setenv("HOME", str(path.parent))
    monkeypatch.chdir(path.parent)
    for name in ("~/gemma-3-tiny.gguf", "gemma-3-tiny.gguf", "./gemma-3-tiny.gguf"):
        gemma = Gemma(f"gguf:{name}")
        assert gemma.name == f"{name} on llama.cpp in this process"
        assert (gemma.transport, gemma.family.name) == ("completion", "gemma3")
        assert asyncio.run(gemma.backend.info(name)).context == 32_768


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("none.gguf", None, "There is no file '{path}'. There: other.gguf."),
        ("none/none.gguf", None, "There is no .gguf file in that folder."),
        ("", None, "'{path}' is a folder. Name a file in it. There: other.gguf."),
        ("page.gguf", b"<!DOCTYPE html>", "'{path}' is no GGUF file: it begins with b'<!DO'."),
        ("empty.gguf", b"", "'{path}' is no GGUF file: "),
        ("short.gguf", b"GGUF\x03\x00\x00\x00\x05", "'{path}' is no GGUF file: "),
        ("cut.gguf", b"GGUF\x03\0\0\0" + bytes(8) + b"\x01" + bytes(7) + b"\xff" * 8, "it ends too early"),
        ("old.gguf", b"GGUF\x01\x00\x00\x00" + bytes(16), "its version is 1"),
    ],
)
def test_what_is_no_gguf_file_is_refused_with_what_is_there_instead(tmp_path, name, content, words):
    (tmp_path / "other.gguf").write_bytes(b"x")
    file = tmp_path / name
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(errors.AgentError) as caught:
        backend_for(f"gguf:{file}")
    assert words.format(path=file) in str(caught.value)


@pytest.mark.parametrize("architecture", ["llama", "clip"])
def test_a_model_that_is_no_gemma_is_refused(tmp_path, architecture):
    with pytest.raises(errors.AgentError, match=f"of the architecture '{architecture}', which is no Gemma"):
        GgufBackend(headed(tmp_path / "model.gguf", architecture))


def test_a_later_part_of_a_model_is_refused(tmp_path):
    writer = gguf.GGUFWriter(str(tmp_path / "gemma-00002-of-00002.gguf"), "gemma3")
    writer.add_uint16("split.no", 1)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    with pytest.raises(errors.AgentError, match=r"Name its first part \(-00001-of-…\)"):
        GgufBackend(tmp_path / "gemma-00002-of-00002.gguf")


def test_without_the_extra_it_is_said_what_to_install(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(errors.AgentError) as caught:
        backend_for(f"gguf:{path}")
    assert 'pip install "gemmagraph[gguf]"' in str(caught.value)


def test_a_file_that_was_not_downloaded_whole_is_told_when_it_is_loaded(path, tmp_path, say):
    part = tmp_path / "gemma-3-tiny.gguf"
    part.write_bytes(path.read_bytes()[:300_000])
    with pytest.raises(errors.ServerError, match=r"is not whole: it lacks \d+,\d\d\d bytes or more. Download"):
        say(GgufBackend(part))


def test_a_file_that_cannot_be_loaded_is_an_error_each_time(tmp_path, say):
    backend = GgufBackend(headed(tmp_path / "gemma-3-4b.gguf", "gemma3"))
    for _ in range(2):
        with pytest.raises(errors.ServerError, match=r"could not load .* with 8,192 tokens of context"):
            say(backend)


def test_a_file_that_is_not_there_any_more_is_an_error(path, tmp_path, say):
    file = tmp_path / "gemma-3.gguf"
    file.write_bytes(path.read_bytes())
    backend = GgufBackend(file)
    file.unlink()
    with pytest.raises(errors.ModelNotFound, match="is not there any more"):
        say(backend)


# --- replies ----------------------------------------------------------------------------------------------


def test_it_says_what_it_runs_and_runs_no_other(backend, path, say):
    [listed] = asyncio.run(backend.models())
    assert (listed.name, listed.context, listed.size) == (str(path), 32_768, path.stat().st_size)
    assert listed.constraints == {"grammar"}
    with pytest.raises(errors.ModelNotFound, match=r"runs 'gemma-3-tiny.gguf', not 'gemma3:4b'"):
        say(backend, model="gemma3:4b")


def test_loading_is_told_with_how_far_it_is(path, say):
    backend = GgufBackend(path, threads=1, pause=0)
    assert say(backend).notices == ["loading gemma-3-tiny.gguf (0.5 MB)", "loading gemma-3-tiny.gguf: 100 %"]
    assert say(backend).notices == []
    asyncio.run(backend.close())
    assert say(backend).notices[:1] == ["loading gemma-3-tiny.gguf (0.5 MB)"]
    asyncio.run(backend.close())


def test_another_context_loads_it_anew_and_says_so(path, say):
    backend = GgufBackend(path, threads=1)
    say(backend, context=4096)
    [notice] = say(backend, context=2048).notices
    assert notice == "loading gemma-3-tiny.gguf (0.5 MB) anew, with 2,048 tokens of context and not 4,096"
    assert say(backend, context=None).notices == []
    capped, loading = say(backend, context=100_000).notices
    assert "runs with the 32,768 tokens of context that it was trained for, not with the 100,000 asked" in capped
    assert "anew, with 32,768" in loading
    assert say(backend, context=100_000).notices == []
    asyncio.run(backend.close())


def test_a_reply_is_streamed_and_counted(backend, say):
    heard = say(backend, max_tokens=60)
    assert len([chunk for chunk in heard.chunks if chunk.text]) > 20
    assert heard.chunks[-1].stop == "length"
    assert heard.chunks[-1].usage.output_tokens == 60


def test_others_go_on_while_a_reply_is_written(backend):
    async def run():
        async with aclosing(backend.stream(request(max_tokens=5000, grammar=ENDLESS))) as chunks:
            async for chunk in chunks:
                if chunk.text:
                    break
            other = asyncio.create_task(asyncio.sleep(0))
            async for _ in chunks:
                if other.done():
                    return bool(at_work())
        return False

    assert asyncio.run(asyncio.wait_for(run(), 20))


def test_every_prompt_begins_with_one_bos(backend, say):
    counts = {say(backend, prompt).chunks[-1].usage.input_tokens for prompt in ("<bos>Hi", "Hi")}
    alone = len(tiny_gemma.ids("<bos>", "\u2581", "H", "i"))
    assert counts == {alone}


COUNTED = ["Hi", "<start_of_turn>user\nHi<end_of_turn>\n", "naïve 😀 ключ", "half \ud800 a pair"]


@pytest.mark.parametrize("text", COUNTED)
def test_what_is_counted_is_what_is_read(backend, say, text):
    assert 1 + asyncio.run(backend.count("gguf", text)) == say(backend, text).chunks[-1].usage.input_tokens
    with pytest.raises(errors.ModelNotFound):
        asyncio.run(backend.count("other", text))


def test_tokens_are_counted_while_a_reply_is_written_and_after_a_close(backend):
    async def run():
        async with aclosing(backend.stream(request(max_tokens=5000, grammar=ENDLESS))) as chunks:
            async for chunk in chunks:
                if chunk.text:
                    break
            during = await backend.count("gguf", "Hi")
            still = bool(at_work())
        await backend.close()
        return during, still, await backend.count("gguf", "Hi")

    during, still, after = asyncio.run(asyncio.wait_for(run(), 20))
    assert (during, still) == (after, True)
    assert none_at_work()


def prompt_in(notation):
    made = notation_named(notation)
    transcript = Transcript(PromptWriter(turn_format(made.turns or "gemma"), made, TOOLS))
    transcript.update((Turn("user", (Text("What is the weather in Paris?"),)),))
    return transcript.completion()


@pytest.mark.parametrize("notation", ["function_call", "json", "tool_code", "pythonic", "gemma4", "functiongemma"])
def test_a_reply_held_to_a_grammar_is_a_call_that_our_reader_reads(backend, say, notation):
    made = notation_named(notation)
    complete = 0
    for seed in range(3):
        heard = say(
            backend,
            prompt_in(notation),
            grammar=grammar(notation, TOOLS, "required"),
            stop=turn_format(made.turns or "gemma").stops,
            max_tokens=400,
            options={**FLAT, "seed": seed},
        )
        if heard.chunks[-1].stop == "length":
            continue
        complete += 1
        reply = read(made, heard.text, TOOLS)
        assert reply.calls, heard.text
        assert (reply.bad_calls, reply.repaired, reply.text) == ((), False, "")
    assert complete


def test_control_marks_are_shown_and_end_a_reply_where_they_are_stop_strings(backend, say):
    call, stop = tiny_gemma.ids("<start_function_call>", "<start_function_response>")
    likely = [*FLAT["logit_bias"], [stop, 3.0], [call, 4.0]]
    shown = 0
    for seed in range(8):
        heard = say(
            backend,
            stop=turn_format("functiongemma").stops,
            max_tokens=200,
            options={**FLAT, "seed": seed, "logit_bias": likely},
        )
        assert "<start_function_response>" not in heard.text
        assert heard.chunks[-1].stop == "stop"
        shown += "<start_function_call>" in heard.text
    assert shown >= 3


def test_an_agent_calls_a_tool_and_answers(path):
    got = []

    def get_weather(city: Literal["Paris", "Rome"]) -> str:
        """Tells the weather.

        Args:
            city: where.
        """
        got.append(city)
        return "sunny"

    with Agent(Gemma(forced(GgufBackend)(path, threads=1), max_tokens=400, **FLAT), [get_weather]) as agent:
        result = agent.run("What is the weather in Paris?")
    assert result.stop == "answered"
    assert result.text.startswith("It is sunny in ")
    assert [call.result for call in result.calls] == ["sunny"]
    assert len(got) == 1


def test_an_answer_of_a_given_form_is_held_to_it_by_a_grammar(path):
    """The model says something else each time, and every time it is right."""
    form = {
        "type": "object",
        "properties": {
            "city": {"type": "string", "minLength": 1, "maxLength": 12},
            "sky": {"enum": ["clear", "cloudy"]},
            "degrees": {"type": "integer", "minimum": -50, "maximum": 50},
        },
        "required": ["city", "sky", "degrees"],
        "additionalProperties": False,
    }
    found = []
    for seed in range(12):
        gemma = Gemma(GgufBackend(path, threads=1), max_tokens=400, **FLAT | {"seed": seed})
        with Agent(gemma, output=form) as agent:
            result = agent.run("What is the weather in Paris?")
        assert (result.stop, result.reason) == ("answered", "")
        jsonschema.validate(result.output, form)
        found.append(json.dumps(result.output))
    assert len(set(found)) > 6


class Watched(Engine):
    """Keeps what the engine says beside the text."""

    def __init__(self, *given, **named):
        super().__init__(*given, **named)
        self.timings = []
        """Of whole replies."""
        self.reading = threading.Event()
        """Set when some of a prompt was read."""

    def complete(self, body, context, hand):
        watched = self

        class Listening:
            left = property(lambda self: hand.left)

            def give(self, item):
                frame = json.loads(item) if isinstance(item, bytes) else {}
                watched.timings += [frame["timings"]] if "timings" in frame else []
                read = frame.get("prompt_progress", {"processed": 0, "cache": 0})
                if read["processed"] > read["cache"]:
                    watched.reading.set()
                hand.give(item)

        super().complete(body, context, Listening())


@pytest.fixture
def watched(path):
    """A backend whose engine is a `Watched`."""
    made = GgufBackend(path, threads=1)
    made._engine = Watched(made._file, threads=1)
    yield made
    asyncio.run(made.close())


def test_a_conversation_is_read_on_from_where_it_was_left(watched, say):
    said = "<bos>" + "Some words of a long conversation. " * 20
    for step in range(5):
        if step == 3:
            say(watched, "<bos>Something else entirely. " * 10)
        heard = say(watched, said)
        said += heard.text + f"<end_of_turn>\n<start_of_turn>user\nAnd number {step}?<end_of_turn>\n"
    first, *later = [timings for place, timings in enumerate(watched._engine.timings) if place != 3]
    assert first["prompt_n"] > 600
    assert max(timings["prompt_n"] for timings in later) < 80
    assert min(timings["cache_n"] for timings in later) > 600


@pytest.mark.parametrize(
    ("context", "hint"),
    [(2048, "Shorten it, or ask for a larger one (context=)."), (32_768, "Shorten it.")],
)
def test_a_prompt_that_does_not_fit_is_an_error_with_the_numbers(path, say, context, hint):
    backend = GgufBackend(path, threads=1)
    with pytest.raises(errors.ContextOverflow) as caught:
        say(backend, "word " * 8000, context=context)
    assert f"prompt of 40,002 tokens does not fit the context window of {context:,}. {hint}" in str(caught.value)
    assert say(backend, context=context).text
    asyncio.run(backend.close())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"messages": ({"role": "user", "content": "Hi"},), "prompt": None}, "not chat messages"),
        ({"schema": {"type": "object"}}, "to a JSON Schema. Hold it to a grammar"),
        ({"options": {"temprature": 1}}, "in this process has no option 'temprature'. Did you mean 'temperature'?"),
        ({"options": {"n_ctx": 1}}, "Say context= instead"),
        ({"grammar": Grammar("root ::= (")}, "failed to parse grammar"),
    ],
)
def test_what_it_cannot_do_is_refused(backend, ask, changes, words):
    with pytest.raises(errors.BadRequest) as caught:
        ask(backend, **{"model": "gguf", "messages": None, "prompt": "Hi"} | changes)
    assert words in str(caught.value)


def test_a_reply_without_a_word_is_asked_for_again_and_then_an_error(backend, say):
    ends = [*FLAT["logit_bias"], [tiny_gemma.ids("<eos>")[0], 100.0]]
    with pytest.raises(errors.EmptyReply, match=r"'gemma-3-tiny.gguf' sent an empty reply"):
        say(backend, options={**FLAT, "logit_bias": ends})


# --- several requests, leaving, closing -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "while_it"),
    [
        ("closed", "loads"),
        ("cancelled", "loads"),
        ("cancelled", "reads the prompt"),
        ("closed", "writes"),
        ("cancelled", "writes"),
    ],
)
def test_who_leaves_stops_the_engine(watched, hear, how, while_it):
    async def leave():
        there = asyncio.Event()
        prompt = "word " * 6000 if while_it == "reads the prompt" else "Hi"
        asked = request(prompt=prompt, max_tokens=20_000, grammar=ENDLESS, context=32_768)

        async def reads():
            async with aclosing(watched.stream(asked)) as chunks:
                async for chunk in chunks:
                    if chunk.text if while_it == "writes" else chunk.notice and while_it == "loads":
                        there.set()
                        if how == "closed":
                            return

        leaving = asyncio.create_task(reads())
        if while_it == "reads the prompt":
            assert await asyncio.to_thread(watched._engine.reading.wait, 10)
        else:
            await asyncio.wait_for(there.wait(), 10)
        if how == "cancelled":
            leaving.cancel()
        await asyncio.wait({leaving}, timeout=10)
        assert leaving.done()
        assert none_at_work()
        assert watched._engine.timings == []  # it would have said them at the end of the reply
        heard = await hear(
            watched, model="gguf", messages=None, prompt="Hi", max_tokens=2, options=FLAT, context=32_768
        )
        assert heard.chunks[-1].usage.output_tokens == 2
        assert len(watched._engine.timings) == 1

    asyncio.run(asyncio.wait_for(leave(), 20))


def test_requests_of_several_event_loops_are_served_in_turn(path, serves_loops_in_turn):
    backend = GgufBackend(path, threads=1)
    serves_loops_in_turn(backend, request(max_tokens=40), 40, patience=15)
    asyncio.run(backend.close())


def test_who_waits_is_told_and_may_leave(backend):
    async def run():
        first = backend.stream(request(max_tokens=5000, grammar=ENDLESS))
        while not (await anext(first)).text:
            pass
        second = backend.stream(request())
        told = await anext(second)
        waiting = asyncio.create_task(anext(second))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait({waiting})
        await first.aclose()
        third = [chunk async for chunk in backend.stream(request())]
        return told.notice, third[-1].stop

    assert asyncio.run(asyncio.wait_for(run(), 20)) == (
        "gemma-3-tiny.gguf is busy with another request of ours; waiting",
        "length",
    )


def test_closing_ends_replies_and_those_that_wait_and_frees_what_they_took(path):
    backend = GgufBackend(path, threads=1)

    def native_threads():
        return len(os.listdir("/proc/self/task")) if Path("/proc/self/task").exists() else 0

    async def run():
        before = native_threads()
        first = backend.stream(request(max_tokens=5000, grammar=ENDLESS))
        while not (await anext(first)).text:
            pass
        during = native_threads()
        second = backend.stream(request())
        await anext(second)
        waiting = asyncio.create_task(anext(second))
        await asyncio.sleep(0)
        await backend.close()
        assert none_at_work()
        closed = []
        with pytest.raises(errors.BackendUnavailable, match=r"gemma-3-tiny.gguf was closed. Ask again"):
            closed += [chunk async for chunk in first]
        with pytest.raises(errors.BackendUnavailable, match="was closed"):
            await waiting
        assert during > before + 2 or not during
        return before, native_threads()

    asyncio.run(asyncio.wait_for(run(), 20))
    assert backend._engine._server is None


ENDS_WITHOUT_CLOSING = """
import asyncio, json, sys
from gemmagraph.backends.base import Request
from gemmagraph.backends.gguf.backend import GgufBackend
from gemmagraph.prompts.grammar.calls import Grammar

async def main():
    backend = GgufBackend(sys.argv[1], threads=1)
    asked = Request("gguf", prompt="Hi", max_tokens=100_000, context=30_000, grammar=Grammar(sys.argv[2]))
    chunks = backend.stream(asked)
    while not (await anext(chunks)).text:
        pass
    kept.append(chunks)

kept = []
loop = asyncio.new_event_loop()
loop.run_until_complete(main())
print("ends", flush=True)
"""


def test_a_program_that_ends_in_the_middle_of_a_reply_ends(path):
    ran = subprocess.run(
        [sys.executable, "-c", ENDS_WITHOUT_CLOSING, str(path), ENDLESS.gbnf],
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert (ran.returncode, ran.stdout) == (0, "ends\n"), ran.stderr
