"""What a server said is recorded, and played back without one; what was not recorded is said so."""

import asyncio
import json
import re
import subprocess
import sys
from contextlib import aclosing
from dataclasses import fields

import pytest

from gemmagraph import Agent, Gemma, tool
from gemmagraph.backends.base import Chunk, ModelInfo, Request, ServerCall
from gemmagraph.backends.recorded.cassettes import MASK, CassetteError
from gemmagraph.backends.recorded.recording import NOT_SET_UP, Cassette, NotRecorded, RecordingBackend
from gemmagraph.backends.scripted import ScriptedBackend, ScriptError, Step
from gemmagraph.errors import AgentError, BackendError, ServerError
from gemmagraph.events import TextDelta
from gemmagraph.prompts.messages import Reply, Text, ToolSpec, Turn, Usage
from gemmagraph.prompts.toolset import Toolset

pytest_plugins = ["pytester"]

NOWHERE = "http://127.0.0.1:9"
KEY = "sk-2b9f7c4e81"
PATIENCE = 20
ASKED = Request("gemma3:4b", messages=({"role": "user", "content": "Say hello."},), context=8192)


@tool(read_only=True)
def disk(path: str = "/") -> str:
    """How full a disk is."""
    return f"{path} is 40% full"


@pytest.fixture
def place(tmp_path):
    return tmp_path / "cassettes" / "x.jsonl"


def recording(place, *steps, **options) -> RecordingBackend:
    return RecordingBackend(ScriptedBackend(steps), Cassette(place, **options))


def silent(place, **options) -> RecordingBackend:
    """Plays back; whoever asks the server finds that it has nothing to say."""
    return recording(place, **options)


def said(text: str) -> dict:
    return {"messages": ({"role": "user", "content": text},)}


def collected(stream) -> list:
    async def collect():
        async with aclosing(stream) as events:
            return [event async for event in events]

    return asyncio.run(asyncio.wait_for(collect(), PATIENCE))


def steady(events: list) -> str:
    """The events without what is new in each run: seconds, the ids of messages, their seals."""
    told = re.sub(r"m_[0-9a-f]{32}", "m_", "\n".join(map(repr, events)))
    return re.sub(r"seconds=[\d.e-]+|'seal': '[0-9a-f]+'", "", told)


# --- recording and playing back -------------------------------------------------------------------------


def test_a_run_with_tools_is_the_same_without_the_server(ollama, place):
    def agent(url):
        return Agent(Gemma("ollama:gemma3:4b", base_url=url, record=place), [disk], instructions="Be brief.")

    ollama.plays(
        {"text": 'I look.\nFUNCTION_CALL: disk(path="/a")\nFUNCTION_CALL: disk(path="/b")', "thought": "Hm."},
        {"text": "FUNCTION_CALL: disc()"},
        {"text": "Both are 40% full.", "piece": 3},
    )
    with agent(ollama.url) as first:
        recorded = collected(first.stream("how full?"))
    asked = len(ollama.seen()["requests"])
    with agent(NOWHERE) as second:
        replayed = collected(second.stream("how full?"))
    assert steady(replayed) == steady(recorded)
    assert replayed[-1].result.text == "Both are 40% full."
    assert (asked, len(ollama.seen()["requests"])) == (3, 3)


def test_all_that_a_chunk_says_is_kept_with_its_borders(ask, place):
    step = Step("Hello,\u2028wörld \ud800!", thought="Hm…", chunk=2, stop="length", usage=Usage(5, 2))

    class Talkative(ScriptedBackend):
        async def stream(self, request):
            yield Chunk(notice="loading")
            yield Chunk(calls=(ServerCall("disk", {"deep": [1, None]}), ServerCall("disk", '{"path": ')))
            async for chunk in super().stream(request):
                yield chunk

    recorded = ask(RecordingBackend(Talkative([step]), Cassette(place)))
    assert ask(silent(place)).chunks == recorded.chunks
    told = [{each.name for each in fields(Chunk) if getattr(chunk, each.name)} for chunk in recorded.chunks]
    assert set().union(*told) == {each.name for each in fields(Chunk)}


def test_facts_of_models_are_played_back_as_often_as_asked(place):
    facts = ModelInfo("gemma3", 8192, ("completion", "vision"), 3, frozenset({"grammar", "schema"}), 4096)
    assert all(getattr(facts, each.name) for each in fields(ModelInfo))

    class Knowing(ScriptedBackend):
        async def info(self, model):
            return facts

        async def models(self):
            return [facts, ModelInfo("other")]

    async def both(backend):
        return [await backend.info("gemma3"), *await backend.models()]

    recorded = asyncio.run(both(RecordingBackend(Knowing([]), Cassette(place))))
    backend = silent(place)
    assert asyncio.run(both(backend)) == asyncio.run(both(backend)) == recorded == [facts, facts, ModelInfo("other")]
    with pytest.raises(NotRecorded, match="does not hold the facts of 'gemma4'"):
        asyncio.run(backend.info("gemma4"))


def test_the_same_request_has_its_replies_in_their_order_and_no_more(ask, place):
    backend = recording(place, "One.", "Two.")
    assert [ask(backend).text, ask(backend).text] == ["One.", "Two."]
    again = silent(place)
    assert len(again.cassette.unused()) == 2
    assert [ask(again).text, ask(again).text] == ["One.", "Two."]
    assert again.cassette.unused() == []
    with pytest.raises(
        NotRecorded, match=r"holds 2 replies to this request \(line 2, 3\), and it was made once more"
    ):
        ask(again)


def test_a_backend_that_was_not_asked_is_not_closed(ask, place):
    backend = recording(place, "One.", "Two.")
    ask(backend)
    with pytest.raises(ScriptError, match="not asked for"):
        asyncio.run(backend.close())
    again = recording(place, "One.", "Two.")
    ask(again)
    asyncio.run(again.close())


def test_requests_at_once_have_each_its_own_reply(hear, place):
    async def crowd(backend, texts):
        heard = await asyncio.gather(*(hear(backend, **said(text)) for text in texts))
        return [reply.text for reply in heard]

    def answer(number, delay):
        return lambda request: Step(f"{number} to {request.messages[0]['content']}", chunk=2, delay=delay)

    texts = [*(f"question {number}" for number in range(20)), "the same", "the same"]
    slowest_first = [answer(number, (22 - number) / 500) for number in range(22)]
    recorded = asyncio.run(crowd(recording(place, *slowest_first), texts))
    lines = [json.loads(line).get("number") for line in place.read_text("utf-8").splitlines()]
    assert lines[1:] != sorted(lines[1:])
    assert asyncio.run(crowd(silent(place), texts)) == recorded
    assert asyncio.run(crowd(silent(place), texts[:20][::-1])) == recorded[:20][::-1]


@pytest.mark.parametrize("kind", [BackendError, *BackendError.__subclasses__()])
def test_an_error_is_played_back_after_what_came_before_it(ask, place, kind):
    async def hear(backend):
        chunks = []
        try:
            async with aclosing(backend.stream(ASKED)) as stream:
                async for chunk in stream:
                    chunks.append(chunk)  # noqa: PERF401 - the error comes after them
        except kind as exc:
            return chunks, exc.message, exc.hint, exc.usage, type(exc)
        return chunks

    class Own(kind):
        usage = Usage(5, 2)

    steps = ["Fine.", Step("Half", error=kind("Gone.", hint="Wait.")), Step(error=Own("Away."))]
    backend = recording(place, *steps)
    ask(backend)
    recorded = [asyncio.run(hear(backend)) for _ in range(2)]
    backend = silent(place)
    ask(backend)
    assert [asyncio.run(hear(backend)) for _ in range(2)] == [recorded[0], (*recorded[1][:4], kind)]


def test_what_a_useless_reply_has_cost_is_played_back(ollama, place):
    """One that is empty although its model had to call a tool: it is asked again with the tools in its prompt."""

    def cost(url):
        gemma = Gemma("ollama:gemma4:e4b", base_url=url, record=place)
        (reply,) = (
            event
            for event in collected(gemma.stream([Turn("user", (Text("How full is it?"),))], Toolset([disk.spec])))
            if isinstance(event, Reply)
        )
        return reply.usage

    ollama.plays({"text": "", "counts": 40}, {"text": "Full.", "counts": 50})
    recorded = cost(ollama.url)
    assert recorded.input_tokens == 90
    assert cost(NOWHERE) == recorded


def test_an_error_played_back_says_where_it_comes_from(ask, place):
    with pytest.raises(ServerError):
        ask(recording(place, Step(error=ServerError("Broken."))))
    with pytest.raises(ServerError, match="Broken") as caught:
        ask(silent(place))
    assert f"line 2 of {place}" in caught.value.__notes__[0]


@pytest.mark.parametrize("kind", NOT_SET_UP)
def test_a_server_that_is_not_ready_begins_no_cassette(ask, place, kind):
    backend = recording(place, Step(error=kind("Not yet.")), "Now.")
    with pytest.raises(kind):
        ask(backend)
    assert not place.exists()
    assert ask(backend).text == "Now."
    backend = silent(place)
    with pytest.raises(kind):
        ask(backend)
    assert ask(backend).text == "Now."


def test_a_bug_in_a_backend_is_not_recorded(ask, place):
    def broken(_):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ask(recording(place, broken))
    assert not place.exists()


def test_a_reply_that_was_left_is_left_again_or_refused(place):
    async def listen(backend, most):
        heard = []
        async with aclosing(backend.stream(ASKED)) as stream:
            async for chunk in stream:
                heard.append(chunk.text)
                if len(heard) == most:
                    break
        return heard

    assert asyncio.run(listen(recording(place, Step("abcdef", chunk=1)), 3)) == ["a", "b", "c"]
    assert asyncio.run(listen(silent(place), 3)) == ["a", "b", "c"]
    with pytest.raises(NotRecorded, match=r"line 2 of .* was left before its end"):
        asyncio.run(asyncio.wait_for(listen(silent(place), 9), PATIENCE))


def test_a_run_that_was_cancelled_is_cancelled_again(place):
    class Hanging(ScriptedBackend):
        async def stream(self, request):
            yield Chunk(text="It is so")
            await asyncio.Event().wait()

    async def run(backend):
        agent = Agent(Gemma(backend, record=place))
        async with aclosing(agent.stream("hello", thread="t")) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    for _ in range(100):  # people are slower than a recording
                        await asyncio.sleep(0)
                    agent.cancel("t")
        return event.result

    results = [
        asyncio.run(asyncio.wait_for(run(backend), PATIENCE)) for backend in (Hanging([]), ScriptedBackend([]))
    ]
    assert [(result.stop, result.text) for result in results] == [("cancelled", "It is so")] * 2


# --- what is the same -----------------------------------------------------------------------------------

ID = "6f9619ff-8b86-d011-b42d-00cf4fc964ff"
OTHER_ID = "0190a6f2-5b1c-7cc3-98c4-dc0c0c07398f"

SAME = [
    ("2026-05-17", "1999-12-31"),
    ("2026-05-17T18:15:53.123Z", "2027-01-01T00:00:00+02:00"),
    ("2026-05-17 18:15", "2027-01-01 09:05"),
    ("Sun, 17 May 2026 18:15:53 GMT", "Mon, 18 May 2026 07:00:01 GMT"),
    ("Sunday, May 17, 2026 at 6:15 PM", "Monday, June 1st, 2026 at 11:02 am"),
    ("17 May 2026", "1 September 2027"),
    ("5/17/2026", "12/1/2026"),
    ("17.05.2026", "1.6.2027"),
    ("18:15:53", "06:00:00,5"),
    ("1763748953.12", "1779012345.9"),
    (ID, OTHER_ID),
    ("m_0123456789abcdef0123456789abcdef", "m_fedcba98765432100123456789abcdef"),
    ("01ARZ3NDEKTSV4RRFFQ69G5FAV", "01BX5ZZKBKACTAV9WEVGEMMVRZ"),
    ("call_AbC123xyzAbC123xyzAbC1xy", "call_0bC123xyzAbC123xyzAbC1xz"),
    ("<disk at 0x7f00deadbeef>", "<disk at 0x7f00deadbe0f>"),
    (f"{ID} {ID}", f"{OTHER_ID} {OTHER_ID}"),
]
NOT_THE_SAME = [
    ("room 1234", "room 1235"),
    ("at 7:30", "at 8:30"),
    ("May", "June"),
    ("call 1701234567", "call 1701234568"),
    ("12345678901234567890", "12345678901234567891"),
    ("1.2.3", "1.2.4"),
    ("2026-13-45", "2026-13-46"),
    ("deadbeef", "deadbee1"),
    ("run_report2024", "run_report2025"),
    (f"{ID} {ID}", f"{ID} {OTHER_ID}"),
]


@pytest.mark.parametrize(("before", "now"), SAME)
@pytest.mark.parametrize("shape", ["messages", "prompt"])
def test_dates_times_and_ids_may_differ(ask, place, before, now, shape):
    def asked(text):
        return said(f"a={text}\nso") if shape == "messages" else {"messages": None, "prompt": f"a={text}\nso"}

    ask(recording(place, "Yes."), **asked(before))
    assert ask(silent(place), **asked(now)).text == "Yes."


@pytest.mark.parametrize(("before", "now"), NOT_THE_SAME)
def test_nothing_else_may_differ(ask, place, before, now):
    ask(recording(place, "Yes."), **said(f"a={before}"))
    with pytest.raises(NotRecorded):
        ask(silent(place), **said(f"a={now}"))


def test_requests_that_differ_by_their_date_alone_keep_their_replies(ask, place):
    backend = recording(place, "Old.", "New.")
    texts = ["rain on 2026-05-17?", "rain on 2026-05-18?"]
    assert [ask(backend, **said(text)).text for text in texts] == ["Old.", "New."]
    again = silent(place)
    assert [ask(again, **said(text)).text for text in texts[::-1]] == ["New.", "Old."]


def test_what_the_user_ignores_may_differ(ask, place):
    ask(recording(place, "Yes."), **said("look into /tmp/run-1/x"))
    with pytest.raises(NotRecorded):
        ask(silent(place), **said("look into /tmp/run-2/x"))
    assert ask(silent(place, ignore=[r"/tmp/run-\d+"]), **said("look into /tmp/run-2/x")).text == "Yes."


def test_a_tool_may_not_differ_but_by_its_dates_and_what_is_ignored(ask, place):
    def asked(what):
        return {"tools": Toolset([ToolSpec("look", what)])}

    ask(recording(place, "Yes.", ignore=["in [a-z]+"]), **asked("Looks since 2026-05-17, in here."))
    again = silent(place, ignore=["in [a-z]+"])
    with pytest.raises(NotRecorded) as caught:
        ask(again, **asked("Looks until 2026-05-18, in there."))
    assert re.search(r"^\+tool look: [0-9a-f]{12}$", caught.value.diff, re.MULTILINE)
    assert ask(again, **asked("Looks since 2026-05-18, in there.")).text == "Yes."


def test_the_size_of_the_context_may_differ(ask, place):
    ask(recording(place, "Yes."), context=8192, max_tokens=2048)
    assert ask(silent(place), context=4096, max_tokens=1024).text == "Yes."


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"model": "gemma3:12b"}, '+model: "gemma3:12b"'),
        ({"options": {"temperature": 1}}, '+options: {"temperature": 1}'),
        ({"stop": ("END",)}, '+stop: ["END"]'),
        ({"thinking": True}, "+thinking: true"),
        ({"schema": {"type": "object"}}, '+schema: {"type": "object"}'),
        (said("Say goodbye."), "+user: Say goodbye."),
        ({"messages": None, "prompt": "Say."}, "+Say."),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_another_request_fails_with_what_differs(ask, place, change, line):
    backend = recording(place, "Bye.", "Hello.")
    ask(backend, **said("Something else entirely."))
    ask(backend)
    again = silent(place)
    with pytest.raises(NotRecorded, match=r'line 3, differs .* delete the file, or say record_mode="all"') as caught:
        ask(again, **change)
    assert line in caught.value.diff.splitlines()
    assert caught.value.diff in caught.value.__notes__
    assert "\n" not in str(caught.value)


def test_the_difference_is_shown_where_it_is_and_never_long(ask, place):
    before = "\n".join(f"line {number}" for number in range(50_000))
    ask(recording(place, "Yes."), **said(before))
    with pytest.raises(NotRecorded) as one:
        ask(silent(place), **said(before.replace("line 40000\n", "LINE\n")))
    assert {"-line 40000", "+LINE"} <= set(one.value.diff.splitlines())
    assert len(one.value.diff) < 300
    with pytest.raises(NotRecorded) as all_of_it:
        ask(silent(place), **said("x" * 1_000_000))
    assert len(all_of_it.value.diff) < 10_000
    assert re.search(r"… and [\d]+ more lines$", all_of_it.value.diff)


# --- secrets --------------------------------------------------------------------------------------------


def test_secrets_do_not_come_into_the_file(ask, monkeypatch, place):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-from-the-environment")
    named = 'pass "wörd"\\'
    tape = Cassette(place, mask=[named])
    steps = [Step(f"So {KEY} it is, {named}.", thought=f"{KEY}!", chunk=3), Step(error=ServerError(f"Bad {KEY}"))]
    base_url = "http://me:hunter2%40home@127.0.0.1:9"
    gemma = Gemma(ScriptedBackend(steps), api_key=KEY, base_url=base_url, record=tape)
    words = f"Use {KEY}, sk-from-the-environment, hunter2@home and {json.dumps(named)}."
    live = ask(gemma.backend, **said(words), options={"user": KEY})
    assert KEY in live.text
    with pytest.raises(ServerError, match=KEY):
        ask(gemma.backend, **said(words))
    written = place.read_text("utf-8")
    for secret in (KEY, "sk-from-the-environment", "hunter2", named, json.dumps(named)[1:-1], "wörd"):
        assert secret not in written
    replies = [json.loads(line).get("chunks", ()) for line in written.splitlines()]
    assert "".join(chunk.get("text", "") for chunk in replies[1]) == f"So {MASK} it is, {MASK}."
    gemma = Gemma(ScriptedBackend([]), api_key=KEY, base_url=base_url, record=Cassette(place, mask=[named]))
    replayed = ask(gemma.backend, **said(words), options={"user": KEY})
    assert (replayed.text, replayed.thought) == (f"So {MASK} it is, {MASK}.", f"{MASK}!")
    assert len(replayed.chunks) == len(live.chunks)


def test_a_key_that_is_a_word_is_no_secret(ask, monkeypatch, place):
    monkeypatch.setenv("OPENAI_API_KEY", "EMPTY")
    gemma = Gemma(ScriptedBackend(["The disk is EMPTY."]), record=place)
    assert ask(gemma.backend).text == "The disk is EMPTY."
    assert "The disk is EMPTY." in place.read_text("utf-8")


def test_only_its_owner_may_read_a_cassette(ask, place):
    backend = recording(place, "One.", "Two.")
    ask(backend)
    ask(backend)
    assert place.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in place.parent.iterdir()] == [place.name]


# --- modes ----------------------------------------------------------------------------------------------


def test_new_asks_only_for_what_is_not_there(ask, place):
    ask(recording(place, "Hello."))
    backend = recording(place, "Bye.", mode="new")
    assert [ask(backend).text, ask(backend, **said("Say bye.")).text] == ["Hello.", "Bye."]
    again = silent(place)
    assert [ask(again, **said("Say bye.")).text, ask(again).text] == ["Bye.", "Hello."]


def test_none_never_asks(ask, place):
    with pytest.raises(NotRecorded, match="There is no cassette"):
        ask(recording(place, "Hello.", mode="none"))
    assert not place.exists()


def test_all_makes_the_file_anew_once_there_is_a_reply(ask, place):
    backend = recording(place, "Old.", "Older.")
    ask(backend)
    ask(backend, **said("More."))
    backend = recording(place, "New.", mode="all")
    assert len(place.read_bytes().splitlines()) == 3
    assert ask(backend).text == "New."
    assert len(place.read_bytes().splitlines()) == 2
    assert ask(silent(place)).text == "New."


def test_one_cassette_serves_several_models_and_two_do_not_mix(ask, place):
    tape = Cassette(place)
    gemmas = [Gemma(ScriptedBackend([text]), record=tape) for text in ("One.", "Two.")]
    stranger = recording(place, "Three.")
    assert [ask(gemma.backend).text for gemma in gemmas] == ["One.", "Two."]
    with pytest.raises(CassetteError, match="Somebody else has written"):
        ask(stranger)
    assert [each.chunks[0].text for each in Cassette(place).unused()] == ["One.", "Two."]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"record": "x.jsonl", "record_mode": "never"}, "'never' is no way to record. There are: 'once', 'new'"),
        ({"record_mode": "all"}, "belongs to a file"),
        ({"record": Cassette("x.jsonl"), "record_mode": "all"}, "give the mode to the Cassette"),
    ],
    ids=["unknown", "no file", "twice"],
)
def test_a_mode_that_makes_no_sense_is_refused(options, words):
    with pytest.raises(AgentError, match=words):
        Gemma(ScriptedBackend([]), **options)


# --- damaged files --------------------------------------------------------------------------------------

HEADER = '{"cassette": 1}\n'
GOOD = '{"number": 1, "asked": {"asks": "reply", "model": "m"}, "chunks": [{"text": "Hi"}, {"stop": "stop"}]}\n'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "x.jsonl is no cassette: its first line is no JSON"),
        ('{"text": "a script"}\n', "its first line has no 'cassette'"),
        ("[1]\n", "its first line has no 'cassette'"),
        ('{"cassette": 2}\n', "is a cassette of version 2, not 1"),
        (HEADER + GOOD + GOOD[:40], "x.jsonl, line 3 is cut. Record it anew: delete the file"),
        (HEADER + GOOD[:40] + "\n" + GOOD, "x.jsonl, line 2 is no JSON"),
        (HEADER + GOOD + "{}\n", "x.jsonl, line 3 has no 'asked'"),
        (HEADER + GOOD.replace('"reply"', '"other"'), "line 2 is no exchange: it does not say what was asked"),
        (HEADER + GOOD.replace('"reply"', '"info"'), "line 2 is no exchange: it has no facts of the model"),
        (HEADER + GOOD.replace('"text"', '"txet"'), "line 2 is no exchange: .*txet"),
        (HEADER + GOOD.replace('"Hi"', "7"), "line 2 is no exchange: a text is none"),
        (HEADER + GOOD.replace('"number": 1, ', ""), "line 2 is no exchange: 'number'"),
        (HEADER + GOOD.replace('"chunks"', '"error": {"kind": "Path"}, "x"'), "line 2 is no exchange"),
        (HEADER + "[" * 100_000 + "\n", "line 2 is no JSON"),
    ],
)
def test_a_damaged_file_is_named_with_the_line(place, text, words):
    place.parent.mkdir()
    place.write_text(text, "utf-8")
    with pytest.raises(CassetteError, match=words):
        Cassette(place)


def test_what_an_editor_leaves_is_read_and_added_to(ask, place):
    ask(recording(place, "Hello."))
    place.write_bytes(place.read_bytes().replace(b"\n", b"\r\n") + b"\r\n")
    assert ask(silent(place)).text == "Hello."
    place.write_bytes(place.read_bytes().rstrip())
    ask(recording(place, "Bye.", mode="new"), **said("Say bye."))
    assert len(Cassette(place).unused()) == 2


def test_a_file_that_cannot_be_made_is_said_and_nothing_is_left_of_it(ask, place):
    place.mkdir(parents=True)
    with pytest.raises(CassetteError, match="cannot be written: Is a directory"):
        ask(recording(place, "Hello.", mode="all"))
    assert [*place.parent.iterdir()] == [place]


DISK_FULL = """
import asyncio, resource, sys
from gemmagraph.backends.base import Request
from gemmagraph.backends.recorded.cassettes import CassetteError
from gemmagraph.backends.recorded.recording import Cassette, RecordingBackend
from gemmagraph.backends.scripted import ScriptedBackend

async def ask(backend):
    async for chunk in backend.stream(Request("m", prompt="Say.")):
        pass

backend = RecordingBackend(ScriptedBackend(["Hello.", "x" * 5000]), Cassette(sys.argv[1]))
asyncio.run(ask(backend))
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
try:
    asyncio.run(ask(backend))
except CassetteError as exc:
    print(exc)
"""


def test_a_line_that_does_not_fit_on_the_disk_is_not_begun(place):
    command = [sys.executable, "-c", DISK_FULL, str(place)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert "cannot be written: File too large" in ran.stdout
    assert [each.chunks[0].text for each in Cassette(place).unused()] == ["Hello."]


# --- the pytest fixture ---------------------------------------------------------------------------------

WITHOUT_OTHER_PLUGINS = [
    f"-pno:{each}" for each in ("cacheprovider", "langsmith_plugin", "anyio", "hypothesispytest")
]
"""They take seconds to load."""

USERS_TEST = """
import pytest
import asyncio
from gemmagraph import Gemma
from gemmagraph.backends.scripted import ScriptedBackend
from gemmagraph.prompts import Text, Toolset, Turn

def asked(cassette, *replies):
    async def reply():
        gemma = Gemma(ScriptedBackend(replies), record=cassette)
        return [event async for event in gemma.stream([Turn("user", (Text("Hello?"),))], Toolset())][-1]
    return asyncio.run(reply()).text

@pytest.mark.parametrize("word", ["a/b", "ä"])
def test_word(cassette, word):
    assert asked(cassette, REPLIES) == "Yes."

class TestClass:
    def test_nothing(self, cassette):
        pass
"""


def test_the_fixture_keeps_one_file_per_test(pytester):
    def run(replies, *options):
        pytester.makepyfile(test_users=USERS_TEST.replace("REPLIES", replies))
        return pytester.runpytest_subprocess(*WITHOUT_OTHER_PLUGINS, *options, timeout=60)

    run('"Yes."').assert_outcomes(passed=3)
    folder = pytester.path / "cassettes" / "test_users"
    names = sorted(path.name for path in folder.iterdir())
    assert len(names) == 2
    assert all(re.fullmatch(r"test_word\[[\w\\]+\](-[0-9a-f]{8})?\.jsonl", name) for name in names), names
    run("").assert_outcomes(passed=3)
    run('"No."', "--gemmagraph-record=all").assert_outcomes(passed=1, failed=2)


def test_the_fixture_tells_of_replies_that_nobody_asked_for(pytester):
    pytester.makepyfile(test_users=USERS_TEST.replace("REPLIES", '"Yes."'))
    (pytester.path / "cassettes" / "test_users").mkdir(parents=True)
    (pytester.path / "cassettes" / "test_users" / "TestClass.test_nothing.jsonl").write_text(HEADER + GOOD)
    ran = pytester.runpytest_subprocess(*WITHOUT_OTHER_PLUGINS, "-k", "nothing", timeout=60)
    ran.assert_outcomes(passed=1, warnings=1)
    ran.stdout.fnmatch_lines(["*UnusedRecordings: *test_nothing.jsonl holds replies*(line 2)*"])


def test_the_plugin_loads_nothing_before_it_is_used():
    code = "import sys, gemmagraph.pytest_plugin; print(*(each for each in sys.modules if each.startswith('gemma')))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout.split() == ["gemmagraph", "gemmagraph.pytest_plugin"]
