"""The backend `transformers`: a model in this process, with tiny models of Gemma's architectures.

They run wherever the packages of the extra `transformers` are installed. What needs none is in
`test_transformers_words.py`.
"""

import asyncio
import gc
import json
import os
import socket
import subprocess
import sys
import threading
import weakref
from contextlib import aclosing

import pytest
import tiny_transformers

from gemmagraph import Agent, Gemma, errors
from gemmagraph.backends.base import Request
from gemmagraph.backends.scripted import ScriptedBackend
from gemmagraph.backends.transformers import loading as transformers_loading
from gemmagraph.backends.transformers.backend import TransformersBackend
from gemmagraph.backends.transformers.hub import Left, Watch
from gemmagraph.backends.transformers.loading import named
from gemmagraph.backends.transformers.memory import Memory
from gemmagraph.prompts.grammar.calls import Grammar
from gemmagraph.prompts.messages import Image, Text, Turn

NOT_THERE = "IS NOT INSTALLED: NO MODEL IS RUN BY TRANSFORMERS. Run: pip install -e '.[transformers]'"
torch = pytest.importorskip("torch", reason=f"torch {NOT_THERE}")
transformers = pytest.importorskip("transformers", reason=f"transformers {NOT_THERE}")
accelerate = pytest.importorskip("accelerate", reason=f"accelerate {NOT_THERE}")
safetensors = pytest.importorskip("safetensors.torch", reason=f"safetensors {NOT_THERE}")

KINDS = ("gemma2", "gemma3_text", "gemma3", "gemma4")
long = pytest.mark.long
SEED = {"seed": 3}


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    """`written(kind)`: the folder of a tiny model."""
    made = {}

    def folder(kind="gemma3", **settings):
        key = (kind, *settings.items())
        if key not in made:
            place = tmp_path_factory.mktemp("models") / f"{kind.replace('_', '-')}-tiny"
            made[key] = tiny_transformers.write_tiny_gemma_folder(place, kind, **settings)
        return made[key]

    return folder


@pytest.fixture
def backend(written):
    made = TransformersBackend(written())
    yield made
    asyncio.run(made.close())


@pytest.fixture
def say(ask):
    """`say(backend, prompt, **changes)`: all that it says."""

    def said(backend, prompt="Hi", **changes):
        asked = {"model": "transformers", "messages": None, "prompt": prompt, "max_tokens": 12, "options": SEED}
        return ask(backend, **asked | {"context": None} | changes)

    return said


def request(**changes):
    return Request(**{"model": "transformers", "prompt": "Hi", "max_tokens": 12, "options": SEED} | changes)


def none_at_work():
    """Whether no thread of ours runs; one that has said that it ends gets a second for it."""
    ours = [thread for thread in threading.enumerate() if thread.name == "gemmagraph-engine"]
    for thread in ours:
        thread.join(1)
    return not any(thread.is_alive() for thread in ours)


# --- replies ----------------------------------------------------------------------------------------------


def test_it_says_what_it_runs_and_runs_no_other(written, say):
    path = written()
    gemma = Gemma(f"transformers:{path}")
    assert (gemma.transport, gemma.family.name, gemma.notation.name) == ("completion", "gemma3", "function_call")
    assert gemma.name == f"{path} on transformers in this process"
    [listed] = asyncio.run(gemma.backend.models())
    assert (listed.name, listed.context, listed.constraints) == (str(path), 4096, frozenset())
    assert listed.size == (path / "model.safetensors").stat().st_size
    with pytest.raises(errors.ModelNotFound, match=r"runs 'gemma3-tiny', not 'gemma3:4b'"):
        say(gemma.backend, model="gemma3:4b")


@pytest.mark.parametrize("kind", KINDS)
def test_every_architecture_writes_what_the_library_writes_by_itself(written, say, kind):
    prompt = "<bos>" + "Some words. " * 30  # more than a sliding window holds, and more than a batch
    backend = TransformersBackend(written(kind))
    heard = say(backend, prompt, max_tokens=60, options={"temperature": 0})
    asyncio.run(backend.close())
    model = transformers.AutoModelForCausalLM.from_pretrained(written(kind))
    tokenizer = transformers.AutoTokenizer.from_pretrained(written(kind))
    asked = tokenizer(prompt, return_tensors="pt")
    with torch.no_grad():
        ids = model.generate(**asked, max_new_tokens=60, do_sample=False, top_k=None, top_p=None)[0]
    assert heard.text == tokenizer.decode(ids[asked.input_ids.shape[1] :], skip_special_tokens=False)
    assert heard.chunks[-1].usage.input_tokens == asked.input_ids.shape[1]
    assert len([chunk for chunk in heard.chunks if chunk.text]) > 30
    assert (heard.chunks[-1].stop, heard.chunks[-1].usage.output_tokens) == ("length", 60)


def test_loading_is_told_with_how_far_it_is(written, say):
    backend = TransformersBackend(written(), pause=0)
    notices = say(backend).notices
    assert notices[0] == "loading gemma3-tiny (0.7 MB) to cpu"
    assert notices[-1] == "loading gemma3-tiny: 100 %"
    assert len(notices) > 20
    assert say(backend).notices == []
    asyncio.run(backend.close())
    assert say(backend).notices[:1] == ["loading gemma3-tiny (0.7 MB) to cpu"]
    asyncio.run(backend.close())


def test_the_same_seed_says_the_same_and_no_seed_something_else(backend, say):
    before = torch.get_rng_state()
    texts = [say(backend, options=options).text for options in (SEED, {"seed": 4}, SEED, {}, {})]
    assert texts[0] == texts[2]
    assert len(set(texts)) == 4
    assert torch.equal(before, torch.get_rng_state())  # what others draw is not ours to change


def test_options_reach_the_engine(backend, say):
    greedy = say(backend, options={"temperature": 0}).text
    assert say(backend, options={"top_k": 1, "seed": 7}).text == greedy
    assert say(backend, options={"temperature": 0.001, "seed": 8}).text == greedy
    assert say(backend, options={"min_p": 1, "seed": 9}).text == greedy
    repeated = say(backend, max_tokens=100, options={"temperature": 0, "no_repeat_ngram_size": 1}).text
    assert len(repeated) > len(greedy)


def test_control_marks_are_shown_unless_they_are_stop_strings(written, say):
    backend = TransformersBackend(written("gemma4"))
    shown = say(backend, max_tokens=300).text
    assert "<|turn>" in shown
    assert "<|tool_call>" in shown
    first = min(shown.index("<|turn>"), shown.index("<|tool_call>"))
    heard = say(backend, max_tokens=300, stop=("<|turn>", "<|tool_call>"))
    assert heard.text == shown[:first]
    assert heard.chunks[-1].stop == "stop"
    asyncio.run(backend.close())


def test_a_stop_string_of_several_tokens_is_never_shown(backend, say):
    whole = say(backend, max_tokens=60).text
    stop = whole[20:24]
    heard = say(backend, max_tokens=60, stop=(stop,))
    assert heard.text == whole[: whole.index(stop)]
    assert heard.chunks[-1].stop == "stop"
    assert heard.chunks[-1].usage.output_tokens < 60


def test_settings_as_published_models_have_them_are_no_hindrance(written, tmp_path, say, caplog):
    folder = copied(written(), tmp_path / "published")
    file = folder / "generation_config.json"
    settings = json.loads(file.read_text())
    published = {"cache_implementation": "hybrid", "top_k": 64, "top_p": 0.95, "max_length": 20, "max_time": 0.0}
    file.write_text(json.dumps(settings | published))
    backend = TransformersBackend(folder)
    for options in ({"temperature": 0}, {}, {"top_k": 1}):
        assert say(backend, options=options, max_tokens=40).chunks[-1].usage.output_tokens == 40
    assert caplog.messages == []
    asyncio.run(backend.close())


def test_a_reply_that_the_model_ends_itself_is_whole(written, say):
    backend = TransformersBackend(written(endless=False))
    heard = say(backend, max_tokens=3000)
    assert heard.chunks[-1].stop == "stop"
    assert not any(mark in heard.text for mark in ("<eos>", "<end_of_turn>"))
    asyncio.run(backend.close())


def test_every_prompt_begins_with_one_bos(backend, say):
    assert {say(backend, prompt).chunks[-1].usage.input_tokens for prompt in ("<bos>Hi", "Hi")} == {3}


@pytest.mark.parametrize("text", ["", "Hi", "the a é \U0001f600", "<start_of_turn>user\n", "half \ud800"])
def test_what_is_counted_is_what_is_read(backend, say, text):
    assert 1 + asyncio.run(backend.count("transformers", text)) == say(backend, text).chunks[-1].usage.input_tokens


def test_a_prompt_that_does_not_fit_is_an_error_with_the_numbers(backend, say):
    for context, hint in ((64, "Shorten it, or ask for a larger one (context=)."), (4096, "Shorten it.")):
        with pytest.raises(errors.ContextOverflow) as caught:
            say(backend, "x" * 5000, context=context)
        assert f"prompt of 5,001 tokens does not fit the context window of {context:,}. {hint}" in str(caught.value)
    heard = say(backend, "x" * 60, context=64, max_tokens=100)
    assert (heard.chunks[-1].usage.output_tokens, heard.chunks[-1].stop) == (3, "length")


def test_a_context_beyond_what_it_was_trained_for_is_told_once(backend, say):
    told = "gemma3-tiny runs with the 4,096 tokens of context that it was trained for, not with the 8,192 asked for"
    assert say(backend, context=8192).notices[-1] == told
    assert say(backend, context=8192).notices == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"messages": ({"role": "user", "content": "Hi"},), "prompt": None}, "not chat messages"),
        ({"prompt": None}, "not chat messages"),
        ({"schema": {"type": "object"}}, "holds no reply to a JSON Schema"),
        ({"grammar": Grammar('root ::= "a"')}, "holds no reply to a grammar"),
        ({"options": {"mirostat": 1}}, "transformers in this process has no option 'mirostat'"),
        ({"turns": (Turn("user", (Text("What?"), Image(b"", "image/png"))),)}, "looks at no pictures"),
    ],
)
def test_what_it_cannot_do_is_refused(backend, ask, changes, words):
    with pytest.raises(errors.BadRequest) as caught:
        ask(backend, **{"model": "transformers", "messages": None, "prompt": "Hi"} | changes)
    assert words in str(caught.value)


@pytest.mark.parametrize(("options", "tries"), [({}, 2), (SEED, 1)])
def test_a_reply_without_a_word_is_an_error(backend, say, options, tries):
    told = []
    greedy = {**options, "temperature": 0}
    first = say(backend, options=greedy).text[0]

    async def run():
        async for chunk in backend.stream(request(options=greedy, stop=(first,))):
            told.append(chunk.notice)  # noqa: PERF401 - they count although it fails

    with pytest.raises(errors.EmptyReply, match=r"'gemma3-tiny' sent an empty reply"):
        asyncio.run(run())
    assert told.count("gemma3-tiny sent an empty reply; asking once more") == tries - 1


# --- what goes wrong --------------------------------------------------------------------------------------


def copied(folder, to):
    to.mkdir()
    for file in folder.iterdir():
        (to / file.name).write_bytes(file.read_bytes())
    return to


def without_weights(folder):
    file = folder / "model.safetensors"
    weights = safetensors.load_file(file)
    weights.pop(next(name for name in weights if "q_proj" in name and "vision" not in name))
    safetensors.save_file(weights, file, metadata={"format": "pt"})


def with_a_layer_more(folder):
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["num_hidden_layers"] = 4
    config["text_config"]["layer_types"].append("full_attention")
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (without_weights, "are not whole: 1 of them are missing, model.language_model.layers."),
        (with_a_layer_more, "are not whole: "),
        (lambda folder: os.truncate(folder / "model.safetensors", 300_000), "not whole: .* Download them once more"),
        (lambda folder: (folder / "model.safetensors").unlink(), "transformers failed with spoilt: OSError: "),
        (lambda folder: (folder / "tokenizer.json").unlink(), "spoilt has no tokenizer.json"),
        (lambda folder: (folder / "tokenizer.json").write_text("{}"), "transformers failed with spoilt: "),
    ],
)
def test_a_folder_that_cannot_be_loaded_is_an_error_each_time(written, tmp_path, say, spoil, words):
    folder = copied(written(), tmp_path / "spoilt")
    spoil(folder)
    backend = TransformersBackend(folder)
    for _ in range(2):
        with pytest.raises(errors.BackendError, match=words):
            say(backend)
    assert none_at_work()


def test_too_little_memory_is_named(written):
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**55)
    assert isinstance(named(caught.value, "it"), errors.ServerError)
    assert "The memory is too small for it." in str(named(caught.value, "it"))


def test_an_error_while_it_writes_is_one_of_ours_and_the_next_reply_is_right(written, say):
    """A vocabulary with more tokens than the model has."""
    folder = written()
    backend = TransformersBackend(folder)
    right = say(backend).text
    added = backend._engine._vocabulary.add_tokens(["WORD"])
    assert added == 1
    with pytest.raises(errors.ServerError, match="transformers failed with gemma3-tiny: IndexError: "):
        say(backend, "Hi WORD")
    assert none_at_work()
    assert say(backend).text == right
    asyncio.run(backend.close())


# --- going on with a conversation -------------------------------------------------------------------------


class Counted(Memory):
    """Keeps how many tokens of each prompt need not be read again."""

    def __init__(self, config):
        super().__init__(config)
        self.reused = []
        self.asked = threading.Event()

    def going_on_with(self, ids):
        cache = super().going_on_with(ids)
        self.reused.append(cache.get_seq_length())
        self.asked.set()
        return cache


def counted(backend):
    made = backend._engine._memory = Counted(backend._engine._model.config)
    return made


@pytest.mark.parametrize(
    "kind", ["gemma3", "gemma4", pytest.param("gemma2", marks=long), pytest.param("gemma3_text", marks=long)]
)
def test_a_conversation_is_read_on_from_where_it_was_left_and_says_the_same(written, say, kind):
    going_on, anew = (TransformersBackend(written(kind)) for _ in range(2))
    for backend in (going_on, anew):
        say(backend)
    memory = counted(going_on)
    said, sizes = "<bos>" + "Some words of a long conversation. " * 5, []
    for step in range(5):
        anew._engine._memory.forget()
        options = {"temperature": 0.7, "seed": step}
        heard, fresh = (say(backend, said, max_tokens=30, options=options) for backend in (going_on, anew))
        assert heard.text == fresh.text
        sizes.append(heard.chunks[-1].usage.input_tokens)
        said += heard.text + f"<end_of_turn>\n<start_of_turn>user\nAnd number {step}?<end_of_turn>\n"
    # What the model wrote may be other tokens than those by which its text is read.
    assert all(reused >= size for reused, size in zip(memory.reused[1:], sizes, strict=False))
    for backend in (going_on, anew):
        asyncio.run(backend.close())


def test_a_conversation_that_turns_out_otherwise_is_read_anew_where_it_has_to_be(backend, say):
    alone = {prompt: say(backend, prompt).text for prompt in ("x" * 100 + "abc", "x" * 50 + "abc", "xyz")}
    memory = counted(backend)
    for prompt, text in alone.items():
        assert say(backend, prompt).text == text
    assert memory.reused == [0, 0, 0]  # the window held so much less than a prompt that nothing could be taken back
    for prompt in ("xyz", "xy" + "abc"):
        say(backend, prompt)
    assert memory.reused[-2:] == [3, 3]


def test_a_reply_that_was_left_in_the_middle_leaves_the_next_one_right(backend, leaves, say):
    alone = say(backend, "x" * 100).text
    for _ in range(3):
        asyncio.run(leaves(backend, request(prompt="x" * 100, max_tokens=3000), "cancelled"))
        assert say(backend, "x" * 100).text == alone


# --- several requests, leaving, closing -------------------------------------------------------------------


def test_loading_ends_when_nobody_waits(written):
    heard = []
    watch = Watch(lambda done, whole: heard.append(done), lambda: len(heard) == 3, 0)
    with pytest.raises(Left):
        transformers_loading.loaded(written(), "cpu", None, watch)
    assert heard == [1, 2, 3]


@pytest.mark.parametrize("how", ["closed", "cancelled"])
@pytest.mark.parametrize("while_it", ["loads", "reads the prompt", "writes"])
def test_who_leaves_stops_the_engine(written, hear, how, while_it):
    backend = TransformersBackend(written(context=100_000))
    prompt = "x" * 90_000 if while_it == "reads the prompt" else "Hi"

    async def leave():
        there = asyncio.Event()

        async def reads():
            async with aclosing(backend.stream(request(prompt=prompt, max_tokens=50_000))) as chunks:
                async for chunk in chunks:
                    there.set()
                    if how == "closed" and (chunk.text or while_it == "loads"):
                        return

        leaving = asyncio.create_task(reads())
        if while_it == "reads the prompt":
            assert await asyncio.to_thread(memory.asked.wait, 10)
        else:
            await asyncio.wait_for(there.wait(), 20)
        if how == "cancelled" or while_it == "reads the prompt":
            leaving.cancel()
        await asyncio.wait({leaving}, timeout=10)
        assert leaving.done()
        assert none_at_work()

    if while_it != "loads":
        asyncio.run(hear(backend, model="transformers", messages=None, prompt="Hi", max_tokens=1))
        memory = counted(backend)
        asyncio.run(asyncio.wait_for(leave(), 30))
    else:
        with transformers_loading._LOADING:  # it cannot get further
            asyncio.run(asyncio.wait_for(leave(), 30))
        assert backend._engine._model is None
    heard = asyncio.run(hear(backend, model="transformers", messages=None, prompt="Hi", max_tokens=2))
    assert heard.chunks[-1].usage.output_tokens == 2
    asyncio.run(backend.close())


def test_requests_of_several_event_loops_are_served_in_turn(backend, serves_loops_in_turn):
    serves_loops_in_turn(backend, request(max_tokens=20), 20, patience=30)


def test_others_go_on_and_count_while_a_reply_is_written(backend):
    async def run():
        async with aclosing(backend.stream(request(max_tokens=4000))) as chunks:
            while not (await anext(chunks)).text:
                pass
            return await asyncio.wait_for(backend.count("transformers", "Hi"), 10)

    assert asyncio.run(asyncio.wait_for(run(), 20)) == 2


def test_who_waits_is_told_and_may_leave(backend):
    async def run():
        first = backend.stream(request(max_tokens=4000))
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

    told = asyncio.run(asyncio.wait_for(run(), 20))
    assert told == ("gemma3-tiny is busy with another request of ours; waiting", "length")


def test_closing_ends_replies_and_those_that_wait_and_frees_the_model(written):
    backend = TransformersBackend(written())

    async def run():
        first = backend.stream(request(max_tokens=4000))
        while not (await anext(first)).text:
            pass
        model = weakref.ref(backend._engine._model)
        second = backend.stream(request())
        await anext(second)
        waiting = asyncio.create_task(anext(second))
        await asyncio.sleep(0)
        await backend.close()
        assert none_at_work()
        with pytest.raises(errors.BackendUnavailable, match=r"gemma3-tiny was closed. Ask again"):
            async for _ in first:
                pass
        with pytest.raises(errors.BackendUnavailable, match="was closed"):
            await waiting
        return model

    model = asyncio.run(asyncio.wait_for(run(), 20))
    gc.collect()
    assert model() is None
    assert torch.get_num_threads() == 1  # nothing of the process's own was changed


ENDS_WITHOUT_CLOSING = """
import asyncio, sys
from gemmagraph.backends.base import Request
from gemmagraph.backends.transformers.backend import TransformersBackend

async def main():
    chunks = TransformersBackend(sys.argv[1]).stream(Request("transformers", prompt="Hi", max_tokens=90_000))
    while not (await anext(chunks)).text:
        pass
    kept.append(chunks)

kept = []
loop = asyncio.new_event_loop()
loop.run_until_complete(main())
print("ends", flush=True)
"""


@long
def test_a_program_that_ends_in_the_middle_of_a_reply_ends(written):
    ran = subprocess.run(
        [sys.executable, "-c", ENDS_WITHOUT_CLOSING, str(written(context=100_000))],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
    )
    assert (ran.returncode, ran.stdout) == (0, "ends\n"), ran.stderr
    assert ran.stderr == ""


# --- the hub ----------------------------------------------------------------------------------------------

ASKS_THE_HUB = """
import asyncio, json, sys
from gemmagraph import Gemma, errors
from gemmagraph.prompts.messages import Text, Turn
from gemmagraph.prompts.toolset import Toolset
from gemmagraph.backends.base import Request

async def ask(name):
    try:
        backend = Gemma(f"transformers:{name}").backend
        counted = await backend.count(name, "Hi")
        if sys.argv[1] == "count":
            return counted
        chunks = [chunk async for chunk in backend.stream(Request(name, prompt="Hi", max_tokens=3))]
        info = await backend.info(name)
        notices = [chunk.notice for chunk in chunks if chunk.notice]
        return notices, counted, chunks[-1].usage.output_tokens, info.context
    except errors.BackendError as exc:
        return type(exc).__name__, str(exc)

print(json.dumps([asyncio.run(ask(name)) for name in sys.argv[2:]]))
"""


@pytest.fixture
def of_the_hub(tmp_path):
    """`of_the_hub(address, what, *names, **environment)`: what comes of asking each model there to "count" or to
    "reply"."""

    def asked(address, what, *names, **environment):
        ours = {"HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "cache"), "HF_HUB_DISABLE_TELEMETRY": "1"}
        ran = subprocess.run(
            [sys.executable, "-c", ASKS_THE_HUB, what, *names],
            capture_output=True,
            text=True,
            timeout=100,
            env={**os.environ, **ours, **environment},
        )
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)

    return asked


def test_a_vocabulary_of_the_hub_is_fetched_once_and_found_without_it_afterwards(written, of_the_hub):
    name = "tiny/gemma-3-1b-it"
    with tiny_transformers.tiny_hub(written(), name) as address:
        counted, gated, missing = of_the_hub(address, "count", name, "x/gemma-gated", "x/gemma-missing")
    assert counted == 2
    assert gated[0] == "Unauthorized"
    assert f"Accept it at {address}/x/gemma-gated, then say who you are: run `hf auth login`" in gated[1]
    assert missing[0] == "ModelNotFound"
    assert "The hub has no 'x/gemma-missing', or does not show it to you." in missing[1]

    again, unknown = of_the_hub(address, "count", name, "x/gemma-3-1b", HF_HUB_OFFLINE="1")
    assert again == 2
    assert unknown[0] == "ModelNotFound"
    assert "HF_HUB_OFFLINE forbids to fetch it" in unknown[1]


@long
def test_a_model_of_the_hub_is_fetched_once_and_found_without_it_afterwards(written, of_the_hub, tmp_path):
    name, reply = "tiny/gemma-3-1b-it", [["loading tiny/gemma-3-1b-it (0.7 MB) to cpu"], 2, 3, 4096]
    with tiny_transformers.tiny_hub(written(), name) as address:
        [(notices, *numbers)] = of_the_hub(address, "reply", name)
    assert [notices[-1:], *numbers] == reply
    kept = {file.name for file in (tmp_path / "cache").rglob("snapshots/*/*")}
    assert kept == {file.name for file in written().iterdir()}
    assert of_the_hub(address, "reply", name, HF_HUB_OFFLINE="1") == [reply]


def test_a_hub_that_cannot_be_reached_is_told(written, of_the_hub):
    written()
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        [(kind, words)] = of_the_hub(address, "count", "google/gemma-3-4b-it")
    assert kind == "BackendUnavailable"
    assert f"is not in the cache of the hub, and {address} cannot be reached. Check the network" in words


# --- an agent ---------------------------------------------------------------------------------------------


@long
@pytest.mark.parametrize(
    ("kind", "name", "call"),
    [
        ("gemma3", "gemma3:4b", 'FUNCTION_CALL: get_weather(city="Paris")'),
        ("gemma4", "gemma4:e4b", '<|tool_call>call:get_weather{city:<|"|>Paris<|"|>}<tool_call|>'),
    ],
)
def test_an_agent_calls_a_tool_and_answers(written, tmp_path, kind, name, call):
    """A model that was taught this one conversation, and goes through it by itself."""
    got = []

    def get_weather(city: str) -> str:
        """Tells the weather."""
        got.append(city)
        return "sunny"

    question, answer = "What is the weather in Paris?", "It is sunny in Paris."
    script = ScriptedBackend([call, answer], model=name)
    with Agent(Gemma(script, transport="completion"), [get_weather]) as agent:
        agent.run(question)
    folder = copied(written(kind), tmp_path / f"{kind}-taught")
    ends = {"gemma3": "<end_of_turn>", "gemma4": "<turn|>"}[kind]
    lessons = zip((asked.prompt for asked in script.requests), (call + ends, answer + ends), strict=True)
    tiny_transformers.teach(folder, list(lessons))

    with Agent(Gemma(f"transformers:{folder}", temperature=0), [get_weather]) as agent:
        result = agent.run(question)
        assert agent.run(question).text == answer
    assert (result.stop, result.text) == ("answered", answer)
    assert [(record.name, dict(record.arguments), record.result) for record in result.calls] == [
        ("get_weather", {"city": "Paris"}, "sunny")
    ]
    assert got == ["Paris"] * 3
