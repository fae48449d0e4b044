"""Fallback and Escalate: who is asked, why one is left, and what each is shown of what another said."""

import asyncio
from contextlib import aclosing
from itertools import pairwise
from pathlib import Path

import pytest
from langchain_core.tools import tool as langchain_tool

from gemmagraph import Agent, ChatGemma, Escalate, Fallback, Gemma, errors, tool
from gemmagraph.backends.network.http import Bounds
from gemmagraph.backends.ollama.backend import OllamaBackend
from gemmagraph.backends.scripted import ScriptedBackend, ScriptError, Step, shown
from gemmagraph.cli.display import Display
from gemmagraph.cli.terminal import Terminal
from gemmagraph.events import Reasked, Rerouted, RunFinished, TextDelta
from gemmagraph.prompts.messages import Reply, Text, Turn, Usage
from gemmagraph.prompts.toolset import Toolset

HELLO = [Turn("user", (Text("Hello."),))]
GOOD = 'FUNCTION_CALL: disk(path="/")'
BAD = "I will look.\nFUNCTION_CALL: disc()"
DOWN = errors.BackendUnavailable("Nothing answers.", hint="Start it.")


@tool(read_only=True)
def disk(path: str) -> str:
    """How full a disk is."""
    return f"{path} is 40% full"


TOOLS = Toolset([disk.spec])


def gemma(*steps, name="a", model="", **options) -> Gemma:
    return Gemma(ScriptedBackend(steps, name=name, model=model), **options)


def down(*, times=1, error=DOWN, name="a", model="") -> Gemma:
    return gemma(*[Step(error=error)] * times, name=name, model=model)


def requests(model) -> list:
    return model.backend.requests


async def heard(model, **options):
    async with aclosing(model.stream(HELLO, options.pop("tools", TOOLS), **options)) as events:
        return [event async for event in events]


def ask(model, **options):
    """The events and the reply."""
    events = asyncio.run(asyncio.wait_for(heard(model, **options), 20))
    assert isinstance(events[-1], Reply)
    return events[:-1], events[-1]


def watched(agent: Agent, said="how full?", **options):
    async def watch():
        return [event async for event in agent.stream(said, **options)]

    events = asyncio.run(asyncio.wait_for(watch(), 20))
    assert isinstance(events[-1], RunFinished)
    return events, events[-1].result


def receipts(events) -> list[tuple[str, str, str]]:
    """By the names that the scripts were given."""
    return [
        (event.left[0], event.reason, event.answers[0]) for event in events if isinstance(event, Rerouted)
    ]  # fmt: skip


# --- Fallback: when the next one is asked -----------------------------------------------------------------


@pytest.mark.parametrize(
    "kind",
    [
        errors.BackendUnavailable,
        errors.BackendTimeout,
        errors.RateLimited,
        errors.ServerError,
        errors.ModelNotFound,
    ],
)
def test_the_next_one_answers_where_one_cannot(kind):
    both = Fallback([down(error=kind("It cannot.", hint="Mend it.")), gemma("Hi.", name="b")])
    events, reply = ask(both)
    assert reply.text == "Hi."
    assert receipts(events) == [("a", "It cannot.", "b")]
    (receipt,) = (event for event in events if isinstance(event, Rerouted))
    assert (receipt.left, receipt.answers) == tuple(model.name for model in both.models)
    assert [event.text for event in events if isinstance(event, TextDelta)] == ["Hi."]


@pytest.mark.parametrize(
    "kind",
    [
        errors.BadRequest,
        errors.ContextOverflow,
        errors.Unauthorized,
        errors.TruncatedReply,
        errors.EmptyReply,
    ],
)
def test_what_a_person_must_put_right_is_not_hidden_behind_the_next_one(kind):
    second = gemma("Hi.", name="b")
    with pytest.raises(kind, match="Look at it"):
        ask(Fallback([down(error=kind("Look at it.")), second]))
    assert requests(second) == []


def test_every_kind_of_error_was_decided_on():
    decided = {
        *("BackendUnavailable", "BackendTimeout", "RateLimited", "ServerError", "ModelNotFound"),
        *("BadRequest", "ContextOverflow", "Unauthorized", "TruncatedReply", "EmptyReply", "ChoiceIgnored"),
    }
    assert {kind.__name__ for kind in errors.BackendError.__subclasses__()} == decided


@pytest.mark.parametrize("kind", [errors.BackendUnavailable, errors.BackendTimeout, errors.ServerError])
@pytest.mark.parametrize(
    "begun",
    [{"text": "The disk "}, {"text": 'FUNCTION_CALL: disk(path="'}, {"thought": "Hm."}],
    ids=["text", "a call", "a thought"],
)
@pytest.mark.parametrize("told", [True, False], ids=["watched", "not watched"])
def test_a_reply_that_had_begun_is_not_begun_anew_elsewhere(kind, begun, told):
    second = gemma("Hi.", name="b")
    with pytest.raises(kind):
        ask(Fallback([gemma(Step(**begun, error=kind("Gone."))), second]), watched=told)
    assert requests(second) == []


def test_one_that_died_in_the_middle_of_its_reply_is_passed_over_the_next_time():
    both = Fallback([gemma(Step("The d", error=errors.BackendTimeout("Silent."))), gemma("Hi.", name="b")])
    with pytest.raises(errors.BackendTimeout):
        ask(both)
    events, _ = ask(both)
    assert receipts(events) == [("a", "Silent.", "b")]


def test_if_all_fail_one_error_names_each_and_its_reason():
    first, second = down(), down(error=errors.RateLimited("Too many."), name="b")
    with pytest.raises(errors.BackendUnavailable) as caught:
        ask(Fallback([first, second]))
    assert caught.value.message == (
        f"None of 2 models can answer. {first.name}: Nothing answers. Start it. {second.name}: Too many."
    )
    assert caught.value.__cause__ is not None


def test_a_failure_of_the_next_one_tells_why_it_was_asked():
    with pytest.raises(errors.BadRequest) as caught:
        ask(Fallback([down(), down(error=errors.BadRequest("No."), name="b")]))
    assert caught.value.__notes__ == ["Asked before: a (1 replies): Nothing answers. Start it."]


def test_a_script_that_ran_out_is_no_server_that_is_down():
    with pytest.raises(ScriptError):
        ask(Fallback([gemma(), gemma("Hi.")]))


# --- Fallback: who is asked the next time -----------------------------------------------------------------


def test_one_that_could_not_answer_is_passed_over_and_each_reply_has_its_receipt():
    both = Fallback([down(), gemma("One.", "Two.", name="b")])
    for said in ("One.", "Two."):
        events, reply = ask(both)
        assert (reply.text, receipts(events)) == (said, [("a", "Nothing answers.", "b")])
    assert len(requests(both.models[0])) == 1


def test_it_is_asked_again_once_it_has_rested():
    both = Fallback([gemma(Step(error=DOWN), "Back."), gemma("One.", name="b")], rest=0)
    assert ask(both)[1].text == "One."
    events, reply = ask(both)
    assert (reply.text, receipts(events)) == ("Back.", [])


def test_one_that_rests_is_asked_all_the_same_if_no_other_answers():
    both = Fallback([gemma(Step(error=DOWN), "Back.", "Still."), gemma("One.", Step(error=DOWN), name="b")])
    assert ask(both)[1].text == "One."
    events, reply = ask(both)
    assert reply.text == "Back."
    assert [(left, answers) for left, _, answers in receipts(events)] == [("a", "b"), ("b", "a")]
    events, reply = ask(both)
    assert (reply.text, receipts(events)) == ("Still.", []), "it answers, so it rests no more"


def test_if_all_rest_all_are_asked_in_their_order():
    both = Fallback([gemma(Step(error=DOWN), "Back."), down(name="b")])
    with pytest.raises(errors.BackendUnavailable):
        ask(both)
    events, reply = ask(both)
    assert (reply.text, receipts(events)) == ("Back.", [])


def test_one_that_answers_again_goes_before_those_that_rest():
    both = Fallback([down(times=2), gemma(Step(error=DOWN), "Back.", "Still.", name="b")])
    with pytest.raises(errors.BackendUnavailable):
        ask(both)
    assert [ask(both)[1].text for _ in range(2)] == ["Back.", "Still."]
    assert len(requests(both.models[0])) == 2


def test_each_one_that_is_passed_over_has_its_receipt():
    three = Fallback([down(), down(name="b"), gemma("One.", "Two.", name="c")])
    assert receipts(ask(three)[0]) == [("a", "Nothing answers.", "b"), ("b", "Nothing answers.", "c")]
    assert receipts(ask(three)[0]) == [("a", "Nothing answers.", "c"), ("b", "Nothing answers.", "c")]


# --- Escalate ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("steps", "choice", "reason"),
    [
        ([BAD] * 3, "auto", '"disc" is not a tool'),
        ([""] * 2, "auto", "answered with nothing at all, twice"),
        (["Hello!"] * 3, "required", "did not keep to tool_choice='required'"),
        ([Step(error=errors.EmptyReply("It is empty."))], "auto", "It is empty."),
    ],
    ids=["only bad calls", "nothing", "choice ignored", "nothing, says the server"],
)
def test_a_reply_that_cannot_be_used_is_asked_of_the_remote_one(steps, choice, reason):
    both = Escalate(gemma(*steps), gemma(GOOD, name="b"))
    events, reply = ask(both, tool_choice=choice)
    assert [call.name for call in reply.calls] == ["disk"]
    *_, reasked, receipt = (event for event in events if isinstance(event, Reasked | Rerouted))
    assert reason in receipt.reason
    assert (reasked.reason, reasked.attempt) == (receipt.reason, len(steps))
    assert receipts([receipt]) == [("a", receipt.reason, "b")]
    assert shown(requests(both.models[1])[0]) == shown(requests(both.models[0])[0]), "it sees nothing of the tries"


@pytest.mark.parametrize(
    ("found", "reason"), [(True, "The reply was not good enough."), ("Too short.", "Too short.")]
)
def test_what_is_good_enough_may_be_said_by_a_function(found, reason):
    both = Escalate(gemma("Hm."), gemma("At length.", name="b"), when=lambda reply: reply.text == "Hm." and found)
    events, reply = ask(both)
    assert (reply.text, receipts(events)) == ("At length.", [("a", reason, "b")])


def test_a_reply_that_will_do_is_not_escalated():
    both = Escalate(gemma("Hm."), gemma(name="b"), when=lambda reply: "")
    events, reply = ask(both)
    assert (reply.text, receipts(events)) == ("Hm.", [])


def test_a_bad_reply_of_the_remote_one_is_the_reply():
    _, reply = ask(Escalate(gemma(*[BAD] * 3), gemma(*[BAD] * 3, name="b")))
    assert [bad.tool for bad in reply.bad_calls] == ["disc"]


def test_a_local_one_that_is_down_is_not_escalated():
    remote = gemma("Hi.", name="b")
    with pytest.raises(errors.BackendUnavailable):
        ask(Escalate(down(), remote))
    assert requests(remote) == []


def test_a_remote_one_that_is_down_says_what_it_was_asked_for():
    with pytest.raises(errors.BackendUnavailable) as caught:
        ask(Escalate(gemma("Hm."), down(name="b"), when=lambda reply: "Too short."))
    assert caught.value.__notes__ == ["Asked before: a (1 replies): Too short."]


def test_text_of_the_local_try_is_no_part_of_the_answer():
    both = Escalate(gemma(*[BAD] * 3, "40%."), gemma(GOOD, name="b"))
    events, result = watched(Agent(both, [disk]))
    kinds = [event for event in events if isinstance(event, TextDelta | Reasked | Rerouted)]
    assert isinstance(kinds[-3], Reasked)
    assert isinstance(kinds[-2], Rerouted)
    assert (result.text, kinds[-1]) == ("40%.", TextDelta("40%."))
    assert [message.content for message in result.messages] == ["how full?", "", "/ is 40% full", "40%."]


# --- the conversation, as each of them writes it ----------------------------------------------------------

NATIVE = '<|tool_call>call:disk{path:<|"|>/<|"|>}<tool_call|>'
ODD = "FUNCTION_CALL: disk(path='/')"
"""As this notation would not write it: only the raw text holds it."""


def gemma4(*steps, name="b") -> Gemma:
    return gemma(*steps, name=name, model="gemma4:e4b", notation="gemma4")


def test_another_family_writes_the_same_conversation_anew():
    first, second = gemma(ODD, Step(error=DOWN), name="a"), gemma4("40%.")
    assert Agent(Fallback([first, second]), [disk]).run("how full?").text == "40%."
    prompt = requests(second)[0].prompt
    assert "FUNCTION_CALL" not in prompt
    assert NATIVE in prompt
    assert prompt.startswith("<bos><|turn>system\n")
    assert "/ is 40% full" in prompt
    assert requests(first)[1].messages[1]["content"] == ODD, "its own is replayed as it was"


def test_raw_text_of_another_family_is_not_replayed_to_the_first():
    first, second = gemma(Step(error=DOWN), "40%."), gemma4(NATIVE)
    assert Agent(Fallback([first, second], rest=0), [disk]).run("how full?").text == "40%."
    assert requests(first)[1].messages[1]["content"] == GOOD


def test_a_second_server_with_the_same_family_is_shown_the_raw_text():
    first, second = gemma(ODD, Step(error=DOWN)), gemma("40%.", name="b")
    assert Agent(Fallback([first, second]), [disk]).run("how full?").text == "40%."
    assert requests(second)[0].messages[1]["content"] == ODD


def test_one_with_other_marks_is_not_shown_them_in_raw_text():
    """The same notation, but what is a mark to it was none to the one who wrote it."""
    said = 'FUNCTION_CALL: disk(path="/<|image|>")'
    first = gemma(said, Step(error=DOWN))
    second = gemma("40%.", name="b", model="gemma4:e4b", notation="function_call", transport="completion")
    assert Agent(Fallback([first, second]), [disk]).run("how full?").text == "40%."
    assert requests(first)[1].messages[1]["content"] == said
    prompt = requests(second)[0].prompt
    assert 'disk(path="/\\u003c|image|>")' in prompt
    assert "<|image|>" not in prompt


@pytest.mark.parametrize("maker", [gemma4, gemma], ids=["to a native notation", "to a prompted one"])
def test_raw_text_of_another_agents_model_is_not_replayed(maker):
    other, steps = (gemma, [ODD, "40%."]) if maker is gemma4 else (gemma4, [NATIVE, "40%."])
    before = Agent(other(*steps), [disk]).run("how full?")
    model = maker("Yes.")
    Agent(model, [disk]).run([*before.messages, ("user", "really?")])
    (request,) = requests(model)
    assert (ODD if maker is gemma4 else NATIVE) not in shown(request)
    assert (NATIVE if maker is gemma4 else GOOD) in shown(request)


def test_each_one_writes_a_turn_once():
    call = '{"name": "disk", "arguments": {"path": "/"}}'
    second = gemma(call, call, "40%.", name="b", notation="json")
    Agent(Fallback([down(), second]), [disk]).run("how full?")
    before, after = (request.messages for request in requests(second)[1:])
    assert len(before) == 3
    assert [message is same for message, same in zip(before[1:], after[1:], strict=False)] == [True, True]


def test_what_is_asked_of_another_family_goes_on_from_what_was_asked():
    """Its server's prompt cache holds."""
    second = gemma4(NATIVE, NATIVE, "40%.")
    Agent(Fallback([down(), second]), [disk]).run("how full?")
    prompts = [request.prompt for request in requests(second)]
    assert len(prompts) == 3
    assert all(after.startswith(before) for before, after in pairwise(prompts))


# --- tokens, names, ends ----------------------------------------------------------------------------------


def test_tokens_of_all_tries_are_counted():
    local = gemma(*[Step(BAD, usage=Usage(10, 1))] * 3)
    remote = gemma(Step("Hi.", usage=Usage(100, 2)), name="b")
    assert ask(Escalate(local, remote))[1].usage == Usage(130, 5)
    empty = gemma(*[Step("", usage=Usage(10, 1))] * 2)
    assert ask(Escalate(empty, gemma("Hi.", name="b")), watched=False)[1].usage == Usage(20, 2)
    dies = gemma(Step("", usage=Usage(10, 1)), Step(error=DOWN))
    assert ask(Fallback([dies, gemma(Step("Hi.", usage=Usage(5, 5)), name="b")]))[1].usage == Usage(15, 6)
    assert ask(Fallback([down(), gemma("Hi.", name="b")]))[1].usage is None


def test_the_name_says_all():
    inner = Fallback([gemma(name="b"), gemma(name="c")])
    assert Fallback([gemma(), gemma(name="b")]).name == "a (0 replies), else b (0 replies)"
    assert Escalate(gemma(), inner).name == "a (0 replies), backed by (b (0 replies), else c (0 replies))"


def test_all_are_closed_also_when_one_cannot_be():
    class Closing(ScriptedBackend):
        closed = 0

        async def close(self):
            self.closed += 1
            await super().close()

    backends = [Closing(["left over"]), Closing([]), Closing(["left over"])]
    agent = Agent(Fallback([Gemma(backends[0]), Escalate(Gemma(backends[1]), Gemma(backends[2]))]))
    with pytest.raises(ScriptError):
        agent.close()
    assert [backend.closed for backend in backends] == [1, 1, 1]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Fallback([]), "at least two"),
        (lambda: Fallback(["ollama:gemma3:4b"]), "at least two"),
        (lambda: Fallback("ollama:gemma3:4b"), "at least two"),
        (lambda: Fallback(["ollama:gemma3:4b", "builtin"]), "understands nothing"),
        (lambda: Escalate("builtin", "ollama:gemma3:4b"), "understands nothing"),
        (lambda: Fallback(["ollama:gemma3:4b", ScriptedBackend([])]), "is no model"),
        (lambda: Fallback(["ollama:gemma3:4b", "olama:gemma3:4b"]), "olama"),
    ],
    ids=["none", "one", "a string", "matcher", "local matcher", "a backend", "no such backend"],
)
def test_what_is_no_list_of_models_is_refused(make, words):
    with pytest.raises(errors.AgentError, match=words):
        make()


def test_limits_are_those_of_the_least():
    both = Fallback([gemma(context=8192, max_tokens=100), gemma(context=4096, max_tokens=200)])
    assert (both.context, both.max_tokens) == (4096, 100)


# --- in each other, in agents, in LangChain ---------------------------------------------------------------


def test_they_work_in_each_other():
    local = Fallback([down(), gemma(*[BAD] * 3, name="b")])
    remote = Fallback([down(name="c"), gemma4(NATIVE, name="d")])
    events, reply = ask(Escalate(local, remote))
    assert [call.arguments for call in reply.calls] == [{"path": "/"}]
    kinds = [(event.left, event.answers) for event in events if isinstance(event, Rerouted)]
    assert kinds == [
        (local.models[0].name, local.models[1].name),
        (local.name, remote.name),
        (remote.models[0].name, remote.models[1].name),
    ]
    inner = Escalate(down(times=2), gemma(name="b"))
    assert ask(Fallback([inner, gemma("Hi.", name="c")]))[1].text == "Hi."
    none = Fallback([Fallback([down(), down(name="b")]), down(name="c")])
    with pytest.raises(
        errors.BackendUnavailable, match=r"None of 2 models can answer\..*None of 2 models can answer\."
    ):
        ask(none)


def test_a_thread_goes_on_with_another_model_and_back():
    first = gemma("Hello.", Step(error=DOWN), Step(error=DOWN), "Good.")
    second = gemma4(NATIVE, "40%.")
    agent = Agent(Fallback([first, second], rest=0), [disk], instructions="Be brief.")
    assert [agent.run(said, thread="t").text for said in ("hi", "how full?", "thanks")] == ["Hello.", "40%.", "Good."]
    contents = [message["content"] for message in requests(first)[-1].messages]
    assert contents[1:] == ["Hello.", "how full?", GOOD, "FUNCTION_RESULT: disk\n/ is 40% full", "40%.", "thanks"]
    assert "Be brief." in requests(second)[0].prompt
    agent.close()


def test_runs_side_by_side_each_get_their_answer():
    second = gemma(*[lambda request: f"You said {shown(request)[-1]}."] * 8, name="b")
    agent = Agent(Fallback([down(times=8), second]))

    async def all_of_them():
        return await asyncio.gather(*(agent.arun(f"{n}") for n in range(8)))

    results = asyncio.run(asyncio.wait_for(all_of_them(), 20))
    assert [result.text for result in results] == [f"You said {n}." for n in range(8)]


def test_a_tool_that_ran_does_not_run_again_when_its_server_dies():
    ran = []

    @tool
    def restart() -> str:
        """Restarts."""
        ran.append(1)
        return "done"

    both = Fallback([gemma("FUNCTION_CALL: restart()", Step(error=DOWN)), gemma("Restarted.", name="b")])
    events, result = watched(Agent(both, [restart]))
    assert (result.text, ran) == ("Restarted.", [1])
    assert receipts(events) == [("a", "Nothing answers.", "b")]


@langchain_tool
def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


def test_langchain_gets_calls_and_the_name_of_who_answered():
    both = Fallback([down(), gemma("FUNCTION_CALL: add(a=1, b=2)", "3.", name="b")])
    model = ChatGemma(gemma=both).bind_tools([add])
    message = model.invoke("1 + 2?")
    assert [call["args"] for call in message.tool_calls] == [{"a": 1, "b": 2}]
    assert message.response_metadata["model_name"] == both.models[1].name
    whole = None
    for chunk in model.stream("1 + 2?"):
        whole = chunk if whole is None else whole + chunk
    assert whole.content == "3."
    local = Escalate(gemma(*["Hello!"] * 3), gemma("FUNCTION_CALL: add(a=1, b=2)", name="b"))
    message = asyncio.run(ChatGemma(gemma=local).bind_tools([add], tool_choice="any").ainvoke("1 + 2?"))
    assert [call["name"] for call in message.tool_calls] == ["add"]
    assert ChatGemma(gemma=local).profile["max_input_tokens"] == local.context


def test_a_name_will_do_for_a_model(ollama, monkeypatch):
    monkeypatch.setenv("OLLAMA_HOST", ollama.url)
    ollama.plays("Hi.")
    both = Fallback([down(), "ollama:gemma3:4b"])
    assert Agent(both).run("hello").text == "Hi."
    assert both.models[1].model == "gemma3:4b"


def test_the_readme_shows_what_can_be_made():
    text = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
    block = text.partition("## More than one model")[2].partition("```python\n")[2].partition("```")[0]
    made = {}
    exec(block, made)
    assert made["agent"].model.name.count("gemma") == 3


# --- at the terminal --------------------------------------------------------------------------------------


def test_the_terminal_says_once_who_answers_and_why(capsys):
    both = Fallback([down(), gemma(GOOD, "40%.", name="b")])
    events, _ = watched(Agent(both, [disk]))
    assert len(receipts(events)) == 2, "one for each reply"
    display = Display(Terminal(), both.name)
    for event in events:
        display.show(event)
    told = " ".join(capsys.readouterr().err.split())
    assert told.count("↪ b (2 replies) is asked in place of a (1 replies): Nothing answers.") == 1


# --- a real server ----------------------------------------------------------------------------------------


def served(url, **bounds) -> Gemma:
    short = {"connect": 2, "first_byte": 10, "between": 10, "total": 20, "pause": 0.01, "notice": 5}
    made = Gemma("ollama:gemma3:4b", base_url=url)
    made.backend = OllamaBackend(url, bounds=Bounds(**short | bounds))
    return made


@pytest.mark.parametrize("cut", ["connection", "line"])
def test_a_server_that_dies_in_the_middle_of_its_text_is_an_error_and_no_second_answer(ollama, cut):
    ollama.plays({"text": "The disk is", "cut": cut})
    second = gemma("Hi.", name="b")
    with pytest.raises(errors.TruncatedReply):
        ask(Fallback([served(ollama.url), second]))
    assert requests(second) == []


def test_a_server_that_closes_the_connection_before_it_answers_is_left(ollama):
    ollama.plays(*[{"drop": True}] * 3)
    first = served(ollama.url)
    events, reply = ask(Fallback([first, gemma("Hi.", name="b")]))
    assert reply.text == "Hi."
    (receipt,) = (event for event in events if isinstance(event, Rerouted))
    assert receipt.left == first.name
    assert "closed the connection" in receipt.reason


def test_a_server_that_never_begins_is_left(ollama):
    ollama.plays({"text": "Late.", "hang_after": 0})
    events, reply = ask(Fallback([served(ollama.url, first_byte=0.2), gemma("Hi.", name="b")]))
    assert reply.text == "Hi."
    assert "no reply began within 0.2 s" in receipts(events)[0][1]
