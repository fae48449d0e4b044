"""The tests that users run on their backends, on our own."""

import asyncio
import doctest
import subprocess
import sys
import threading
from contextlib import aclosing, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest
import tiny_gemma
import tiny_transformers
from llama import llama_or_skip

from gemmagraph.backends.builtin import BuiltinBackend
from gemmagraph.backends.gemini.backend import GeminiBackend
from gemmagraph.backends.gguf.backend import GgufBackend
from gemmagraph.backends.network.http import Bounds
from gemmagraph.backends.ollama.backend import OllamaBackend
from gemmagraph.backends.openai.backend import OpenAIBackend
from gemmagraph.backends.scripted import ScriptedBackend, Step
from gemmagraph.backends.transformers.backend import TransformersBackend
from gemmagraph.conformance import BackendTests
from gemmagraph.errors import BackendError, ModelNotFound, ServerError
from gemmagraph.prompts.messages import Usage

BOUNDS = Bounds(connect=2, first_byte=10, between=10, total=20, pause=0.01)
NOWHERE = "http://127.0.0.1:9"
COUNTED = " ".join(("one two three four five six seven eight nine ten",) * 4)
REPLIES = 30
"""More than a test asks for."""
NO_MODEL = "it says what it was told to, whatever it is asked"
CHOOSES = "test_a_choice_of_tools_is_kept_where_that_is_promised"
TOKENS = "test_a_reply_ends_at_its_most_tokens"
STOPS = "test_a_reply_ends_before_a_stop_text"
FITS = "test_a_prompt_that_does_not_fit_is_refused_and_never_cut"
BABBLES = "the server allows any text in front of a call, and a random model writes that until it is cut"
FLAT = {name: value for name, value in tiny_gemma.FLAT_AND_HOT.items() if name != "cache_prompt"} | {"seed": 7}


def shown():
    """What docs/backends.md shows, by name."""
    page = Path(__file__).parent.parent.parent / "docs" / "backends.md"
    names = {"__name__": __name__}
    for example in doctest.DocTestParser().get_examples(page.read_text("utf-8")):
        if not example.want and "register_backend(" not in example.source:
            exec(example.source, names)
    return names


SHOWN = shown()
Words, TestWords = SHOWN["Words"], SHOWN["TestWords"]


class TestOllama(BackendTests):
    model = "gemma3:4b"
    not_for_it: ClassVar = {"test_a_schema_holds_or_is_refused": f"of the stand-in: {NO_MODEL}"}

    @pytest.fixture
    def backend(self, ollama):
        ollama.plays(*[COUNTED] * REPLIES)
        return OllamaBackend(ollama.url, bounds=BOUNDS)

    @pytest.fixture
    def dead_backend(self):
        return OllamaBackend(NOWHERE, bounds=BOUNDS)


class TestOpenAI(BackendTests):
    model = "gemma3:4b"
    not_for_it = dict.fromkeys(
        ["test_a_schema_holds_or_is_refused", CHOOSES, TOKENS, STOPS],
        f"of the stand-in: {NO_MODEL}",
    )

    @pytest.fixture
    def backend(self, openai):
        openai.plays(*[COUNTED] * REPLIES)
        return OpenAIBackend(f"{openai.url}/v1", bounds=BOUNDS)

    @pytest.fixture
    def dead_backend(self):
        return OpenAIBackend(f"{NOWHERE}/v1", bounds=BOUNDS)


@pytest.fixture(scope="module")
def llama():
    yield from llama_or_skip("4096", "tools")


class TestLlamaCpp(BackendTests):
    model = "tiny-gemma"
    options = FLAT
    not_for_it: ClassVar = {
        "test_an_unknown_model_is_not_found": "a llama.cpp server runs its one model for any name",
        f"{CHOOSES}[required]": BABBLES,
        f"{CHOOSES}[wash]": BABBLES,
    }

    @pytest.fixture
    def backend(self, llama):
        return OpenAIBackend(f"{llama['url']}/v1", bounds=BOUNDS)


@pytest.fixture(scope="module")
def gguf_file(tmp_path_factory):
    for package in ("gguf", "numpy", "xllamacpp"):
        pytest.importorskip(package, reason=f"{package} is not installed, or has no wheel here")
    return tiny_gemma.write_tiny_gemma(tmp_path_factory.mktemp("models") / "gemma-3-tiny.gguf")


class TestGguf(BackendTests):
    model = "gguf"
    options = FLAT

    @pytest.fixture
    def backend(self, gguf_file):
        return GgufBackend(gguf_file, threads=1)


class TestGemini(BackendTests):
    model = "gemma-4-31b-it"
    overflow = 60_000
    not_for_it = dict.fromkeys(
        ["test_a_schema_holds_or_is_refused", CHOOSES, TOKENS, STOPS], f"of the stand-in: {NO_MODEL}"
    )

    @pytest.fixture
    def backend(self, gemini):
        gemini.plays(*[COUNTED] * REPLIES, window=65_536)
        return GeminiBackend(self.model, gemini.url, "AIza-not-a-real-key", bounds=BOUNDS)

    @pytest.fixture
    def dead_backend(self):
        return GeminiBackend(self.model, NOWHERE, "AIza-not-a-real-key", bounds=BOUNDS)


@pytest.fixture(scope="module")
def gemma_folder(tmp_path_factory):
    for package in ("torch", "transformers", "accelerate"):
        pytest.importorskip(package, reason=f"{package} is not installed")
    return tiny_transformers.write_tiny_gemma_folder(tmp_path_factory.mktemp("models") / "gemma3-tiny")


class TestTransformers(BackendTests):
    model = "transformers"

    @pytest.fixture
    def backend(self, gemma_folder):
        return TransformersBackend(gemma_folder)


class TestBuiltin(BackendTests):
    model = "builtin"
    not_for_it = dict.fromkeys([TOKENS, STOPS, FITS], "it is no language model: it has no tokens and no window")

    @pytest.fixture
    def backend(self):
        return BuiltinBackend()


class Unfinished(ScriptedBackend):
    """A script that may be left before its end."""

    def check(self):
        """Nothing."""


class TestScripted(BackendTests):
    model = "scripted"
    not_for_it = dict.fromkeys(
        [
            "test_an_unknown_model_is_not_found",
            TOKENS,
            STOPS,
            FITS,
        ],
        NO_MODEL,
    )

    @pytest.fixture
    def backend(self):
        return Unfinished([Step(COUNTED, chunk=4)] * REPLIES)


HOLDS = "test_a_grammar_holds_or_is_refused"
LEFT = "test_a_reply_that_is_left_is_over_and_another_can_be_asked_for"
PIECES = "test_a_reply_comes_in_pieces_and_the_last_says_why_it_ended"
LISTED = "test_what_it_lists_can_be_asked_about"
UNKNOWN = "test_an_unknown_model_is_not_found"
FAULTS = {
    "stop is ignored": STOPS,
    "max_tokens is ignored": TOKENS,
    "a prompt is cut": FITS,
    "a grammar is ignored": HOLDS,
    "a schema is ignored": "test_a_schema_holds_or_is_refused",
    "any transport is taken": "test_a_form_that_it_does_not_take_is_refused",
    "usage comes early": PIECES,
    "the last chunk does not say so": PIECES,
    "the reply has no text": PIECES,
    "info() calls it something else": LISTED,
    "info() promises what is refused": HOLDS,
    "a task is left": LEFT,
    "it answers once": LEFT,
    "it closes once": "test_closing_ends_what_is_under_way_and_can_be_repeated",
    "an error is of another kind": UNKNOWN,
    "an error has no hint": UNKNOWN,
}
"""What a backend may do wrong, and the test that finds it."""
ASKED = {
    "stop is ignored": {"stop": ()},
    "max_tokens is ignored": {"max_tokens": None},
    "a prompt is cut": {"context": None},
    "a grammar is ignored": {"grammar": None},
    "a schema is ignored": {"schema": None},
    "any transport is taken": {"prompt": None, "messages": ({"role": "user", "content": COUNTED},)},
}
"""What is changed of requests."""
SAID = {
    ("usage comes early", False): {"usage": Usage(1, 1)},
    ("the last chunk does not say so", True): {"stop": None},
    ("the reply has no text", False): {"text": ""},
}
"""What is changed of the last chunk, or of the others."""
TOLD = {
    "info() calls it something else": {"name": "gemma"},
    "info() promises what is refused": {"constraints": frozenset({"grammar"})},
}
"""What is changed of models."""


class Wrong(Words):
    """The backend of the page, but for one fault."""

    def __init__(self, fault):
        super().__init__("gemma3:4b")
        self.fault = fault
        self.asked = 0
        self.closed = False

    async def stream(self, request):
        self.asked += 1
        if self.fault == "a task is left":
            self.task = asyncio.create_task(asyncio.Event().wait())
        if self.fault == "it answers once" and self.asked > 1:
            await asyncio.Event().wait()
        async with aclosing(super().stream(replace(request, **ASKED.get(self.fault, {})))) as chunks:
            async for chunk in chunks:
                yield replace(chunk, **SAID.get((self.fault, bool(chunk.stop)), {}))

    async def info(self, model):
        try:
            return replace(await super().info(model), **TOLD.get(self.fault, {}))
        except ModelNotFound as exc:
            kind = ServerError if self.fault == "an error is of another kind" else ModelNotFound
            raise kind(exc.message, hint="" if self.fault == "an error has no hint" else exc.hint) from exc

    async def close(self):
        if self.fault == "it closes once" and self.closed:
            raise RuntimeError("It is closed.")
        self.closed = True


class Impatient(TestWords):
    patience = 0.5


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_promise_is_found(fault):
    test = getattr(Impatient(), FAULTS[fault])
    case = {"transport": "completion"} if fault == "any transport is taken" else {}
    test(Words("gemma3:4b"), **case)
    with pytest.raises((AssertionError, pytest.fail.Exception, BackendError, RuntimeError, TimeoutError, ValueError)):
        test(Wrong(fault), **case)


@pytest.mark.parametrize("found", [False, True], ids=["a moment", "long"])
def test_a_thread_may_take_a_moment_to_end(found):
    over = threading.Event()

    class Slow(Words):
        async def close(self):
            threading.Thread(target=over.wait, args=(30 if found else 0.1,)).start()

    try:
        with pytest.raises(AssertionError, match="still running") if found else nullcontext():
            getattr(Impatient(), FAULTS["a task is left"])(Slow("gemma3:4b"))
    finally:
        over.set()


def test_it_is_said_what_to_do_where_pytest_is_missing():
    code = "import sys; sys.modules['pytest'] = None; import gemmagraph.conformance"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "Run: pip install pytest" in ran.stderr.splitlines()[-1]
