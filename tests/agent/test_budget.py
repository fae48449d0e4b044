"""What is left out of a prompt that no longer fits, and what tokens are taken to be."""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import AsyncGenerator, Sequence
from itertools import pairwise
from typing import Any

import pytest

from gemmagraph import Agent, Gemma, tool
from gemmagraph.backends.base import ModelInfo, Request
from gemmagraph.backends.scripted import ScriptedBackend, Step, shown
from gemmagraph.budget import IMAGE_TOKENS, Budget, Fitted, Window, told_by
from gemmagraph.cli.display import Display
from gemmagraph.cli.terminal import Terminal
from gemmagraph.errors import AgentError, BackendUnavailable, BadRequest, ContextOverflow
from gemmagraph.events import ContextDropped, Event
from gemmagraph.prompts.messages import Image, Role, Text, Thought, ToolCall, ToolResult, ToolSpec, Turn, Usage
from gemmagraph.prompts.notation import notation_named
from gemmagraph.prompts.prompt import PromptWriter, Transcript
from gemmagraph.prompts.tokens import estimate
from gemmagraph.prompts.toolset import Toolset
from gemmagraph.prompts.turns import GEMMA, GEMMA4
from gemmagraph.tokens import Counter

TOOLS = Toolset([ToolSpec("look", "Looks something up.", {"type": "object", "properties": {"at": {}}})])
SYSTEM = Turn("system", (Text("Be brief."),))
WORDS = "the river carries gravel for a few miles and drops it again in the next bend of its bed"


def said(role: Role, text: str) -> Turn:
    return Turn(role, (Text(text),))


def words(count: int, mark: str = "") -> str:
    """Text of about so many tokens."""
    every = WORDS.split()
    return " ".join([mark, *(every[place % len(every)] for place in range(count))])


def question(number: int, result: int = 200) -> list[Turn]:
    """A question, a call, its result, and the answer."""
    call = ToolCall(f"c{number}", "look", {"at": f"place {number}"})
    return [
        said("user", words(20, f"Question {number}?")),
        Turn("model", (call,)),
        Turn("tool", (ToolResult(call.id, "look", words(result, f"Result {number}")),)),
        said("model", words(20, f"Answer {number}.")),
    ]


def writer(tools: Toolset = TOOLS) -> PromptWriter:
    return PromptWriter(GEMMA, notation_named("function_call"), tools)


def window(budget: Budget | None = None, *, context: int = 1500, backend: Any = None, **options: Any) -> Window:
    counter = Counter(backend or ScriptedBackend([]), "gemma3:4b")
    return Window(budget or Budget(), counter, context=context, reserved=500, **options)


def fit(kept: Window, turns: Sequence[Turn], transcript: Transcript | None = None) -> Fitted:
    return asyncio.run(kept.fit(turns, transcript or Transcript(writer())))


def prompt(turns: Sequence[Turn]) -> str:
    transcript = Transcript(writer())
    transcript.update(turns)
    return transcript.completion()


def size(turns: Sequence[Turn]) -> int:
    """The tokens of the whole prompt; each mark of the family is one."""
    pieces = re.split("|".join(map(re.escape, GEMMA.marks)), prompt(turns))
    return len(pieces) - 1 + estimate("".join(pieces))


def talk(questions: int, *last: Turn, result: int = 200) -> list[Turn]:
    turns = [SYSTEM]
    for number in range(questions):
        turns += question(number, result)
    return [*turns, *(last or (said("user", "And now?"),))]


# --- what is left out -----------------------------------------------------------------------------------


def test_what_fits_stays_as_it_is() -> None:
    turns = talk(1)
    fitted = fit(window(), turns)
    assert fitted.turns is turns
    assert not fitted.events


def test_nothing_is_counted_while_even_the_bytes_fit() -> None:
    assert fit(window(context=100_000), talk(2)).estimated == 0


def test_old_results_go_first_and_the_newest_stays() -> None:
    kept = window(context=1840)
    turns = talk(4)
    fitted = fit(kept, turns)
    (dropped,) = fitted.events
    results = [part.content for turn in fitted.turns for part in turn.parts if isinstance(part, ToolResult)]
    assert (dropped.what, dropped.count, dropped.window) == ("results", 3, kept.room)
    length = len(words(200, "Result 0"))
    assert results == [f"[result dropped: {length:,} characters]"] * 3 + [words(200, "Result 3")]
    assert len(fitted.turns) == len(turns)
    assert size(fitted.turns) <= 0.7 * kept.room


def test_whole_questions_go_next_with_all_that_belongs_to_them() -> None:
    kept = window()
    fitted = fit(kept, talk(12))
    assert [event.what for event in fitted.events] == ["results", "turns"]
    assert fitted.turns[0] == SYSTEM
    assert fitted.turns[1].role == "user"
    assert fitted.turns[1].text.startswith("Question")
    assert fitted.turns[-1].text == "And now?"
    called = {part.id for turn in fitted.turns for part in turn.parts if isinstance(part, ToolCall)}
    answered = {part.call_id for turn in fitted.turns for part in turn.parts if isinstance(part, ToolResult)}
    assert called == answered
    assert size(fitted.turns) <= 0.7 * kept.room


def test_results_of_the_question_under_way_go_only_where_nothing_else_is_left() -> None:
    steps = [turn for number in range(8) for turn in question(number)[1:3]]
    turns = [*talk(2, said("user", "Look everywhere.")), *steps]
    fitted = fit(window(), turns)
    assert [event.what for event in fitted.events] == ["results", "turns", "results"]
    assert "Look everywhere." in [turn.text for turn in fitted.turns]
    assert fitted.turns[-1] == steps[-1]


def test_tokens_of_an_event_are_those_that_were_won() -> None:
    kept = window(context=1840)
    turns = talk(4)
    before = size(turns)
    (dropped,) = fit(kept, turns).events
    after = size(fit(kept, turns).turns)
    assert before - after == pytest.approx(dropped.tokens, rel=0.15)


def test_a_conversation_is_only_added_to_until_the_window_is_full_again() -> None:
    chance = random.Random("budget")
    kept, transcript = window(context=3000), Transcript(writer())
    turns: list[Turn] = [SYSTEM]
    before: Sequence[Turn] = ()
    drops = 0
    for number in range(300):
        for turn in question(number, chance.randint(1, 300)):
            turns.append(turn)
            if turn.role in ("user", "tool"):
                fitted = fit(kept, turns, transcript)
                assert size(fitted.turns) <= kept.room
                grown = list(fitted.turns[: len(before)]) == list(before)
                assert grown == (not fitted.events)
                drops += bool(fitted.events)
                before = list(fitted.turns)
    assert 10 < drops < 200
    assert len(turns) == 1201


def test_the_next_run_on_a_conversation_leaves_out_the_same() -> None:
    kept = window()
    fitted = fit(kept, talk(9))
    assert fitted.events
    again = fit(kept, [*talk(9), said("model", "Nothing."), said("user", "Sure?")])
    assert not again.events
    assert list(again.turns) == [*fitted.turns, said("model", "Nothing."), said("user", "Sure?")]
    other = fit(kept, [*talk(8), *question(99), said("user", "And now?")])
    assert other.events


def test_a_conversation_that_was_changed_is_looked_at_anew() -> None:
    kept, transcript = window(), Transcript(writer())
    assert fit(kept, talk(9), transcript).events
    short = talk(1)
    assert fit(kept, short, transcript).turns is short


# --- what cannot be left out ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("turns", "tools"),
    [
        ([SYSTEM, said("user", words(2000))], TOOLS),
        ([said("system", words(2000)), said("user", "Hi")], TOOLS),
        ([SYSTEM, said("user", "Hi")], Toolset([ToolSpec("big", words(2000))])),
        ([], Toolset([ToolSpec("big", words(2000))])),
    ],
    ids=["question", "system text", "tools", "nothing said"],
)
def test_what_cannot_fit_is_an_error_with_the_numbers(turns: list[Turn], tools: Toolset) -> None:
    kept = window()
    with pytest.raises(
        ContextOverflow, match=f"{kept.room:,} of the 1,500 tokens of context .* 500 are kept"
    ) as info:
        fit(kept, turns, Transcript(writer(tools)))
    for part in ("System text", "tools", "the last question", "what was before"):
        assert part in info.value.message
    assert "larger context" in (info.value.hint or "")


def test_to_refuse_is_to_leave_out_nothing() -> None:
    with pytest.raises(ContextOverflow, match="The prompt has about"):
        fit(window(Budget("refuse")), talk(4))


@pytest.mark.parametrize("wrong", [{"overflow": "forget"}, {"target": 0}, {"target": 70}, {"margin": 1}])
def test_a_budget_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(AgentError):
        Budget(**wrong)


# --- told in short --------------------------------------------------------------------------------------


def test_questions_are_told_in_short_in_their_place() -> None:
    told: list[list[Turn]] = []

    def tell(turns: Sequence[Turn]) -> str:
        told.append(list(turns))
        return f"They asked {len(told)} times."

    kept, transcript = window(Budget("summarize", tell)), Transcript(writer())
    turns = talk(12)
    fitted = fit(kept, turns, transcript)
    assert fitted.turns[1].text == "[What was said before, in short] They asked 1 times."
    assert fitted.events[-1].summary == "They asked 1 times."
    assert told[0][0].text.startswith("Question 0?")
    turns += [turn for number in range(20, 29) for turn in question(number)] + [said("user", "Well?")]
    fitted = fit(kept, turns, transcript)
    assert told[1][0].text.endswith("They asked 1 times.")
    assert [turn.text for turn in fitted.turns].count("[What was said before, in short] They asked 2 times.") == 1
    assert "They asked 1 times." not in prompt(fitted.turns)


def test_a_summary_may_be_awaited_and_is_never_long() -> None:
    async def tell(turns: Sequence[Turn]) -> str:
        await asyncio.sleep(0)
        return words(5000)

    kept = window(Budget("summarize", tell))
    fitted = fit(kept, talk(12))
    assert estimate(fitted.events[-1].summary) < 0.2 * kept.room
    assert size(fitted.turns) <= kept.room


def test_nothing_is_left_out_without_a_word_when_nobody_could_tell_it() -> None:
    answers = iter([BackendUnavailable("Gone."), "They asked."])

    def tell(turns: Sequence[Turn]) -> str:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    kept, transcript = window(Budget("summarize", tell)), Transcript(writer())
    turns = talk(12)
    with pytest.raises(BackendUnavailable):
        fit(kept, turns, transcript)
    assert [event.what for event in fit(kept, turns, transcript).events] == ["results", "turns"]


def test_the_model_tells_in_short_in_pieces_that_fit() -> None:
    backend = ScriptedBackend([lambda request: f"Note {len(backend.requests)}."] * 40)
    gemma = Gemma(backend)
    kept = window(Budget("summarize"), summarizer=told_by(gemma.stream, lambda: 400))
    fitted = fit(kept, talk(30))
    count = len(backend.requests)
    assert count > 1
    assert fitted.events[-1].summary == f"Note {count}."
    asked = [request.messages[-1]["content"] for request in backend.requests]
    assert all(estimate(text) < 400 for text in asked)
    assert "Note 1." in asked[1]


# --- how it is counted ----------------------------------------------------------------------------------


class Counts:
    """A backend that counts a token for every four characters."""

    def __init__(self, error: Exception | None = None) -> None:
        self.asked: list[str] = []
        self.error = error

    async def count(self, model: str, text: str) -> int:
        self.asked.append(text)
        if self.error:
            raise self.error
        return len(text) // 4

    async def info(self, model: str) -> ModelInfo:
        return ModelInfo(model)


def test_a_backend_that_counts_is_asked_once_for_each_turn() -> None:
    backend = Counts()
    kept, transcript = window(backend=backend, context=3500), Transcript(writer())
    turns = talk(5, result=300)
    fitted = fit(kept, turns, transcript)
    assert fitted.counted > fitted.estimated
    before = len(backend.asked)
    turns += [said("model", "Yes."), said("user", "Why?")]
    fit(kept, turns, transcript)
    assert backend.asked[before:] == ["Why?", "Yes."]
    fit(kept, list(turns), Transcript(writer()))
    assert len(backend.asked) == before + 2


@pytest.mark.parametrize(("error", "asked"), [(BadRequest("It does not."), 1), (BackendUnavailable("Gone."), 2)])
def test_what_a_backend_does_not_count_is_estimated(error: Exception, asked: int) -> None:
    backend = Counts(error)
    kept, transcript = window(backend=backend, context=1840), Transcript(writer())
    turns = talk(3)
    assert fit(kept, turns, transcript).estimated
    turns.append(said("user", "Well?"))
    assert fit(kept, turns, transcript).counted == 0
    assert len(backend.asked) == asked


def test_an_estimate_is_never_below_what_the_server_counted() -> None:
    counter = Counter(ScriptedBackend([]), "gemma3:4b")
    for true in (700, 1100, 900, 9000, 10):
        counter.learn(0, 1000, true)
    assert counter.total(0, 1000) == 1100
    for _ in range(8):
        counter.learn(0, 1000, 800)
    assert counter.total(0, 2000) == 1600
    counter.learn(2000, 100, 2150)
    assert counter.total(2000, 100) >= 2150


def test_a_window_learns_from_replies() -> None:
    kept, transcript = window(), Transcript(writer())
    turns = talk(3, result=60)
    fitted = fit(kept, turns, transcript)
    kept.learn(fitted, None)
    kept.learn(fitted, Usage())
    assert kept.counter.factor == 1.0
    kept.learn(fitted, Usage(2 * fitted.estimated, 7))
    assert kept.counter.factor == 2.0
    turns.append(said("user", "Well?"))
    assert fit(kept, turns, transcript).events


def test_pictures_have_a_price() -> None:
    picture = Image(b"\x89PNG", "image/png")
    turns = [said("user", words(200)), said("model", "Yes."), Turn("user", (Text("And this?"), picture))]
    kept = window(image=IMAGE_TOKENS["gemma4"])
    assert fit(kept, [*turns, said("model", "No."), said("user", words(420))]).events
    assert not fit(window(image=0), [*turns, said("model", "No."), said("user", words(420))]).events


def test_thoughts_count_until_the_next_question() -> None:
    native = PromptWriter(GEMMA4, notation_named("gemma4"), TOOLS, thinking=True)
    kept, transcript = window(), Transcript(native)
    call = ToolCall("1", "look", {"at": "it"})
    turns = [said("user", words(300)), Turn("model", (Thought(words(300)), call))]
    turns.append(Turn("tool", (ToolResult("1", "look", "there"),)))
    with_thought = fit(kept, turns, transcript)
    turns += [said("model", "There."), said("user", "Where?")]
    without = fit(kept, turns, transcript)
    assert without.estimated < with_thought.estimated - 200


def test_a_step_costs_the_same_after_a_thousand_turns() -> None:
    def cost(questions: int) -> float:
        kept, transcript = window(context=60_000), Transcript(writer())
        turns = talk(questions, result=50)

        async def steps() -> float:
            await kept.fit(turns, transcript)
            begun = time.process_time()
            for number in range(40):
                turns.append(said("model", f"Yes {number}."))
                turns.append(said("user", f"And {number}?"))
                await kept.fit(turns, transcript)
            return time.process_time() - begun

        return asyncio.run(steps())

    few, many = (min(cost(questions) for _ in range(5)) for questions in (10, 250))
    assert many < 3 * few + 0.002


# --- what is shown --------------------------------------------------------------------------------------


def test_the_terminal_says_what_was_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    display = Display(Terminal(), "gemma3:4b")
    display.show(ContextDropped("results", 1, 1200, 5980))
    display.show(ContextDropped("turns", 8, 640, 5980, "They spoke of the river."))
    shown = " ".join(capsys.readouterr().err.split())
    assert "1 old result left out of the prompt, about 1,200 tokens: it holds 5,980" in shown
    assert "8 old turns left out of the prompt, about 640 tokens" in shown
    assert "They spoke of the river." in shown


# --- through the door -----------------------------------------------------------------------------------


def asked_until_it_overflows(gemma: Gemma, times: int) -> tuple[Agent, list[Event]]:
    agent = Agent(gemma)

    async def ask() -> list[Event]:
        said = (words(250, f"{number}.") for number in range(times))
        return [event for text in said async for event in agent.stream(text, thread="t")]

    return agent, asyncio.run(ask())


def test_a_talk_goes_on_beyond_the_window_and_its_messages_stay() -> None:
    backend = ScriptedBackend([Step(f"Answer {number}.", usage=Usage(900, 5)) for number in range(12)])
    agent, events = asked_until_it_overflows(Gemma(backend, context=2000, max_tokens=300), 12)
    drops = [event for event in events if isinstance(event, ContextDropped)]
    assert len(drops) >= 2
    assert len(agent.history("t")) == 24
    sent = [request.messages or () for request in backend.requests]
    grown = sum(later[: len(sooner)] == sooner for sooner, later in pairwise(sent))
    assert grown == len(sent) - 1 - len(drops)


def test_the_model_itself_tells_what_was_before() -> None:
    def answer(request: Request) -> str:
        return "SHORT" if "first part of a conversation" in shown(request) else "Yes."

    backend = ScriptedBackend([answer] * 30)
    asked_until_it_overflows(Gemma(backend, context=2000, max_tokens=300, overflow="summarize"), 9)
    assert any("[What was said before, in short] SHORT" in shown(request) for request in backend.requests)


def test_what_does_not_fit_is_not_sent() -> None:
    backend = ScriptedBackend(["Yes."])
    with pytest.raises(ContextOverflow):
        Agent(Gemma(backend, context=2000, max_tokens=300)).run(words(4000))
    assert not backend.requests


def test_a_script_has_no_window_unless_it_is_given_one() -> None:
    assert Agent(Gemma(ScriptedBackend(["Yes."]))).run(words(20_000)).text == "Yes."


def test_a_window_that_the_server_has_settled_counts_once_the_assumed_one_is_full() -> None:
    class Hosted(ScriptedBackend):
        name = "hosted"
        asked = 0

        async def info(self, model: str) -> ModelInfo:
            self.asked += 1
            return ModelInfo(model, window=100_000)

    backend = Hosted(["ok"] * 3, model="gemma3:4b")
    agent = Agent(Gemma(backend))
    agent.run("short", thread="t")
    assert (backend.asked, agent.model.window.context) == (0, 8_192)
    result = agent.run("word " * 20_000, thread="t")
    assert (result.text, backend.asked, agent.model.window.context) == ("ok", 1, 100_000)
    with pytest.raises(ContextOverflow, match="100,000"):
        agent.run("word " * 200_000, thread="t")


def test_a_context_that_was_named_counts_whatever_the_server_has() -> None:
    class Hosted(ScriptedBackend):
        name = "hosted"

        async def info(self, model: str) -> ModelInfo:
            return ModelInfo(model, window=100_000)

    with pytest.raises(ContextOverflow, match="4,096"):
        Agent(Gemma(Hosted(["ok"], model="gemma3:4b"), context=4_096)).run("word " * 20_000)


def test_the_newest_results_are_cut_where_nothing_else_is_left_to_do() -> None:
    @tool(read_only=True)
    def log() -> str:
        """The log."""
        return "\n".join(f"2026-11-21 10:41:{second:02} worker {second} waits" for second in range(600))[:8_000]

    backend = ScriptedBackend(["FUNCTION_CALL: log()\nFUNCTION_CALL: log(a=1)", "A deadlock."], model="gemma3:4b")
    agent = Agent(Gemma(backend, context=4_096), [log])
    events = asyncio.run(collected(agent.stream("what is wrong?")))
    (dropped,) = [event for event in events if isinstance(event, ContextDropped)]
    assert (dropped.what, dropped.count) == ("results", 1)
    assert events[-1].result.text == "A deadlock."
    assert len(events[-1].result.messages[2].content) > 7_000, "the conversation keeps all of it"
    sent = str(backend.requests[1].messages or backend.requests[1].prompt)
    assert "characters left out …]" in sent
    assert "worker 0 waits" in sent


def test_a_question_that_does_not_fit_is_no_part_of_the_conversation() -> None:
    agent = Agent(Gemma(ScriptedBackend(["Hi.", "Fine."], model="gemma3:4b"), context=2_048))
    assert agent.run("hello", thread="t").text == "Hi."
    with pytest.raises(ContextOverflow):
        agent.run("word " * 20_000, thread="t")
    assert len(agent.history("t")) == 2
    assert agent.run("how are you?", thread="t").text == "Fine."


async def collected(stream: AsyncGenerator[Event, None]) -> list[Event]:
    return [event async for event in stream]
