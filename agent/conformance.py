"""What every backend promises, as tests that run on yours. See docs/backends.md.

    class TestMine(BackendTests):
        model = "gemma3:4b"

        @pytest.fixture
        def backend(self):
            return MyBackend("http://127.0.0.1:8000")

Nothing here asks what a model says, only that what it says arrives as promised: a random model passes.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from contextlib import aclosing, suppress
from typing import ClassVar, Final, get_args

from gemmagraph.asking import Asking, Heard, pytest, refused, says_what_to_do
from gemmagraph.backends.base import Backend, Transport
from gemmagraph.errors import BackendError, BackendUnavailable, BadRequest, ContextOverflow, EmptyReply, ModelNotFound
from gemmagraph.prompts.grammar.calls import Grammar
from gemmagraph.prompts.messages import JSON, Image, StopReason, ToolSpec, Usage
from gemmagraph.prompts.toolset import Toolset

COLOURS: Final = ("red", "green", "blue")
HELD: Final[JSON] = {
    "type": "object",
    "properties": {"colour": {"enum": list(COLOURS)}},
    "required": ["colour"],
    "additionalProperties": False,
}
TOOLS: Final = Toolset([ToolSpec("paint", "Paints the wall.", HELD), ToolSpec("wash", "Washes the wall.", HELD)])
PIXEL: Final = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de000"
    "0000c49444154789c63f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
)
"""A picture of one dot."""


class BackendTests(Asking):
    """Subclass it, and give the fixture `backend` and the name of a `model`."""

    unknown_model: ClassVar[str] = "no-such-model-anywhere"
    """A model that it does not have."""
    overflow: ClassVar[int] = 20_000
    """Words of a prompt that is too long for the context that is asked for."""
    not_for_it: ClassVar[Mapping[str, str]] = {}
    """Tests, or single cases such as `test_it[case]`, that cannot apply, each with the reason. They are skipped, and
    the reason is shown."""

    @pytest.fixture
    def backend(self) -> Backend:
        """A new one."""
        raise NotImplementedError(f"{type(self).__name__} needs a fixture `backend` that gives a backend to test.")

    @pytest.fixture
    def dead_backend(self) -> Backend:
        """One at an address where nothing answers, for backends that have addresses."""
        pytest.skip("there is no fixture `dead_backend`: a backend at an address where nothing answers")

    @pytest.fixture(autouse=True)
    def _leave_out(self, request: pytest.FixtureRequest) -> None:
        strays = [name for name in self.not_for_it if not hasattr(self, name.partition("[")[0])]
        assert not strays, f"not_for_it names tests that there are not: {', '.join(strays)}"
        for name in (request.function.__name__, request.node.name):
            if reason := self.not_for_it.get(name):
                pytest.skip(reason)

    # --- what it says of itself ---

    def test_it_says_what_it_is(self, backend: Backend) -> None:
        assert re.fullmatch(r"[a-z][a-z0-9_-]*", backend.name), f"name is {backend.name!r}: the word before a colon"
        assert backend.label, "label is empty: people are told it"
        assert isinstance(backend.transports, frozenset), "transports is no frozenset"
        assert backend.transports, "it takes requests in no way at all"
        assert backend.transports <= set(get_args(Transport)), f"transports are {set(backend.transports)}"
        assert isinstance(backend.read_only_tools, bool), "read_only_tools is neither True nor False"

    def test_what_it_lists_can_be_asked_about(self, backend: Backend) -> None:
        async def look() -> None:
            assert (await backend.info(self.model)).name, "info() of the model gives no name"
            for listed in (await backend.models())[:5]:
                found = await backend.info(listed.name)
                assert found.name == listed.name, f"info() calls {listed.name!r} {found.name!r}"
                for fact in ("context", "size"):
                    both = {getattr(listed, fact), getattr(found, fact)} - {None}
                    assert len(both) < 2, f"models() and info() disagree on the {fact} of {listed.name!r}: {both}"

        self.run(backend, look)

    def test_an_unknown_model_is_not_found(self, backend: Backend) -> None:
        async def look() -> None:
            with refused(ModelNotFound):
                await backend.info(self.unknown_model)
            with refused(ModelNotFound):
                await self.hear(backend, model=self.unknown_model)
            await self.hear(backend)

        self.run(backend, look)

    def test_tokens_are_counted_as_they_stand_in_a_prompt(self, backend: Backend) -> None:
        count = getattr(backend, "count", None)
        if count is None:
            pytest.skip("it does not count tokens")

        async def look() -> None:
            try:
                nothing = await count(self.model, "")
            except BadRequest as exc:
                says_what_to_do(exc)
                return
            one, two = [await count(self.model, text) for text in ("one two three", "one two three four five six")]
            assert (nothing, one > 0, two > one) == (0, True, True), f"counted {nothing}, {one} and {two} tokens"

        self.run(backend, look)

    # --- replies ---

    def test_a_reply_comes_in_pieces_and_the_last_says_why_it_ended(self, backend: Backend) -> None:
        async def look(transport: Transport) -> None:
            heard = await self.hear(backend, transport)
            pieces = [chunk for chunk in heard.chunks if chunk.text or chunk.thought]
            assert len(pieces) > 1, f"the reply came in {len(pieces)} pieces"
            early = [chunk for chunk in heard.chunks[:-1] if chunk.stop or chunk.usage]
            assert not early, f"before the last chunk came {early[0]}"
            assert heard.last.stop in get_args(StopReason), f"the last chunk is {heard.last}"
            usage = heard.last.usage
            if usage is not None:
                assert isinstance(usage, Usage)
                assert usage.input_tokens >= 0
                assert usage.output_tokens > 0, f"a reply of {usage.output_tokens} tokens"

        self.run_each(backend, look)

    def test_a_reply_ends_at_its_most_tokens(self, backend: Backend) -> None:
        async def look(transport: Transport) -> None:
            heard = await self.hear(backend, transport, max_tokens=4)
            assert heard.last.stop == "length", f"it ended with {heard.last.stop!r}, not 'length'"
            written = heard.last.usage.output_tokens if heard.last.usage else 0
            assert written <= 4, f"it wrote {written} tokens, not 4"

        self.run_each(backend, look)

    def test_a_reply_ends_before_a_stop_text(self, backend: Backend) -> None:
        async def look(transport: Transport) -> None:
            text = (await self.hear(backend, transport)).text
            middle = len(text) // 2
            stop = text[middle : middle + 2]
            assert stop, f"the reply {text!r} is too short to be cut"
            with suppress(EmptyReply):  # it began with that text
                heard = await self.hear(backend, transport, stop=(stop,))
                assert stop not in heard.text, f"the stop text {stop!r} is in {heard.text!r}"

        self.run_each(backend, look)

    def test_a_prompt_that_does_not_fit_is_refused_and_never_cut(self, backend: Backend) -> None:
        async def look(transport: Transport) -> None:
            with refused(ContextOverflow):
                await self.hear(backend, transport, question="word " * self.overflow)
            await self.hear(backend, transport)

        self.run_each(backend, look)

    @pytest.mark.parametrize("transport", get_args(Transport))
    def test_a_form_that_it_does_not_take_is_refused(self, backend: Backend, transport: Transport) -> None:
        if transport in backend.transports:
            pytest.skip(f"it takes the transport {transport}")

        async def look() -> None:
            with refused(BadRequest):
                await self.hear(backend, transport)

        self.run(backend, look)

    def test_a_picture_is_taken_or_refused(self, backend: Backend) -> None:
        async def look(transport: Transport) -> None:
            try:
                await self.hear(backend, transport, image=Image(PIXEL, "image/png"))
            except BadRequest as exc:
                says_what_to_do(exc)

        self.run_each(backend, look, but="completion")

    # --- what a reply is held to ---

    def test_a_grammar_holds_or_is_refused(self, backend: Backend) -> None:
        def check(text: str) -> None:
            assert text.strip() in COLOURS, f"the grammar allows no {text!r}"

        rules = "root ::= " + " | ".join(f'"{colour}"' for colour in COLOURS)
        self.run(backend, lambda: self.holds(backend, "grammar", check, grammar=Grammar(rules)))

    def test_a_schema_holds_or_is_refused(self, backend: Backend) -> None:
        def check(text: str) -> None:
            found = json.loads(text)
            assert list(found) == ["colour"], f"the schema allows no {text!r}"
            assert found["colour"] in COLOURS, f"the schema allows no {text!r}"

        self.run(backend, lambda: self.holds(backend, "schema", check, schema=HELD))

    @pytest.mark.parametrize("choice", ["required", "wash", "none"])
    def test_a_choice_of_tools_is_kept_where_that_is_promised(self, backend: Backend, choice: str) -> None:
        if "tools" not in backend.transports:
            pytest.skip("it does not take the transport tools")

        async def look() -> None:
            able = (await backend.info(self.model)).constraints
            try:
                heard = await self.hear(backend, "tools", tools=TOOLS, tool_choice=choice, max_tokens=400)
            except BadRequest as exc:
                says_what_to_do(exc)
                if "does not support tools" not in exc.message or "tool_choice" in able:
                    raise  # it is by these words that one is asked with the tools in its prompt instead
                return
            calls = [call for chunk in heard.chunks for call in chunk.calls]
            for call in calls:
                assert isinstance(call.name, str), f"the name of a call is {call.name!r}"
                assert isinstance(call.arguments, dict | str), f"the arguments of a call are {call.arguments!r}"
            if "tool_choice" in able:
                allowed = {"required": {"paint", "wash"}, "wash": {"wash"}, "none": set()}[choice]
                assert {call.name for call in calls} <= allowed, f"{choice}: it called {calls}"
                assert bool(calls) == bool(allowed), f"{choice}: it called {calls}"

        self.run(backend, look)

    # --- many requests, and leaving them ---

    def test_two_requests_at_once_are_both_answered(self, backend: Backend) -> None:
        async def look() -> None:
            both = await asyncio.gather(self.hear(backend), self.hear(backend))
            assert all(heard.text for heard in both), "one of two replies at once is empty"

        self.run(backend, look)

    def test_a_reply_that_is_left_is_over_and_another_can_be_asked_for(self, backend: Backend) -> None:
        async def look(transport: Transport) -> None:
            async with aclosing(self.ask(backend, transport)) as chunks:
                async for chunk in chunks:
                    if chunk.text or chunk.thought:
                        break
            assert (await self.hear(backend, transport)).last.stop, "no second reply"

        self.run_each(backend, look)

    def test_a_request_that_is_cancelled_is_over_and_does_not_hold_up_others(self, backend: Backend) -> None:
        async def look() -> None:
            begun = asyncio.Event()
            first = asyncio.create_task(self.hear(backend, begun=begun))
            await begun.wait()
            waiting = asyncio.create_task(self.hear(backend))
            await asyncio.sleep(0)  # it begins, and waits where only one request is worked on at a time
            waiting.cancel()
            (ended,) = await asyncio.gather(waiting, return_exceptions=True)
            assert isinstance(ended, asyncio.CancelledError | Heard), f"a cancelled request ended with {ended!r}"
            assert (await first).text, "a reply is empty because another was cancelled"
            assert (await self.hear(backend)).text, "the next reply is empty"

        self.run(backend, look)

    def test_closing_ends_what_is_under_way_and_can_be_repeated(self, backend: Backend) -> None:
        async def look() -> None:
            begun = asyncio.Event()
            reading = asyncio.create_task(self.hear(backend, begun=begun))
            await begun.wait()
            await backend.close()
            (ended,) = await asyncio.gather(reading, return_exceptions=True)
            assert isinstance(ended, BackendError | Heard), f"a reply that was under way ended with {ended!r}"
            await backend.close()

        self.run(backend, look)

    def test_nothing_at_the_address_is_an_error_that_says_what_to_do(self, dead_backend: Backend) -> None:
        async def look() -> None:
            for ask in (dead_backend.models, lambda: dead_backend.info(self.model), lambda: self.hear(dead_backend)):
                with refused(BackendUnavailable):
                    await ask()

        self.run(dead_backend, look)
