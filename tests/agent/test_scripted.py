"""A script plays replies, and fails when what is asked is not what it foresaw."""

import asyncio
import json

import pytest

from gemmagraph import errors
from gemmagraph.backends.base import Request
from gemmagraph.backends.scripted import ScriptedBackend, ScriptError, Step
from gemmagraph.prompts.messages import Usage


def test_replies_come_in_their_order_and_the_requests_are_kept(ask):
    with ScriptedBackend(["One.", Step("Two.", usage=Usage(5, 2)), {"text": "Three."}]) as backend:
        assert [ask(backend, max_tokens=number).text for number in range(3)] == ["One.", "Two.", "Three."]
    assert [request.max_tokens for request in backend.requests] == [0, 1, 2]


def test_a_step_comes_in_pieces_with_thoughts_usage_and_stop(ask):
    backend = ScriptedBackend([Step("Hello", thought="Hm.", chunk=2, stop="length", usage=Usage(5, 2))])
    heard = ask(backend)
    assert [(chunk.thought, chunk.text) for chunk in heard.chunks] == [
        ("Hm", ""),
        (".", ""),
        ("", "He"),
        ("", "ll"),
        ("", "o"),
        ("", ""),
    ]
    assert (heard.chunks[-1].stop, heard.chunks[-1].usage) == ("length", Usage(5, 2))


def test_a_function_sees_the_request_and_says_the_reply(ask):
    backend = ScriptedBackend([lambda request: request.messages[0]["content"].upper(), lambda _: Step("!")])
    assert [ask(backend).text, ask(backend).text] == ["SAY HELLO.", "!"]


def test_an_error_comes_after_the_text():
    backend = ScriptedBackend([Step("Half", error=errors.TruncatedReply("cut"))])
    got = []

    async def run():
        async for chunk in backend.stream(Request("any", prompt="Say.")):
            got.append(chunk.text)  # noqa: PERF401 - the error comes after it

    with pytest.raises(errors.TruncatedReply):
        asyncio.run(run())
    assert got == ["Half"]


@pytest.mark.parametrize(
    "changes", [{}, {"messages": None, "prompt": "<start_of_turn>user\nSay hello.<end_of_turn>"}]
)
def test_what_a_step_expects_is_looked_for_in_prompt_and_messages(ask, changes):
    backend = ScriptedBackend([Step("Yes.", expect=("user", "hello")), Step("No.", expect="goodbye")])
    assert ask(backend, **changes).text == "Yes."
    with pytest.raises(ScriptError, match="Request 2 does not hold 'goodbye'") as caught:
        ask(backend, **changes)
    assert "Say hello." in caught.value.__notes__[0]


def test_asking_past_the_end_is_an_error_that_shows_the_request(ask):
    backend = ScriptedBackend(["One."])
    ask(backend)
    with pytest.raises(ScriptError, match="Request 2 came after the last of the 1 replies") as caught:
        ask(backend)
    assert "Say hello." in caught.value.__notes__[0]


def test_steps_left_over_are_an_error_when_the_script_is_closed(ask):
    backend = ScriptedBackend(["One.", "Two.", "Three."])
    ask(backend)
    words = "2 of the 3 replies of the script were not asked for; the first is 'Two.'"
    with pytest.raises(ScriptError, match=words):
        asyncio.run(backend.close())
    with pytest.raises(AssertionError, match=words), backend:
        pass


def test_the_first_failure_of_a_test_is_not_hidden_by_steps_left_over():
    with pytest.raises(ZeroDivisionError), ScriptedBackend(["One."]):
        _ = 1 / 0


def test_a_slow_step_can_be_cancelled(hear):
    async def run():
        task = asyncio.create_task(hear(ScriptedBackend([Step("Late.", delay=60)])))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task}, timeout=5)
        return task.cancelled()

    assert asyncio.run(run())


def test_a_script_file_holds_one_step_a_line(tmp_path, ask):
    file = tmp_path / "script.jsonl"
    steps = [
        "One\u2028.",
        {"text": "Two.", "expect": "hello", "chunk": 2, "stop": "length", "thought": "Hm.", "delay": 0},
        {"text": "Three.", "expect": ["Say", "hello"], "usage": {"input_tokens": 5}},
        {"error": {"kind": "ServerError", "message": "broken"}},
    ]
    file.write_text("\n\n".join(json.dumps(step, ensure_ascii=False) for step in steps) + "\n", "utf-8")
    backend = ScriptedBackend.from_file(file)
    heard = [ask(backend) for _ in range(3)]
    assert [each.text for each in heard] == ["One\u2028.", "Two.", "Three."]
    assert (heard[1].chunks[-1].stop, heard[1].thought) == ("length", "Hm.")
    assert heard[2].chunks[-1].usage == Usage(5, 0)
    with pytest.raises(errors.ServerError, match="broken"):
        ask(backend)
    backend.check()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "Expecting property name"),
        ("5", "a step is a text or an object, not 5"),
        ('{"txt": "Hi"}', "no field 'txt'; did you mean 'text'?"),
        ('{"text": 5}', "'text' cannot be 5"),
        ('{"chunk": 0}', "'chunk' cannot be 0"),
        ('{"stop": "end"}', "'stop' cannot be 'end'"),
        ('{"usage": {"tokens": 5}}', "'usage' cannot be"),
        ('{"usage": {"input_tokens": "5"}}', "'usage' cannot be"),
        ('{"error": {"kind": "ToolError"}}', "'error' cannot be"),
        ('{"error": "ServerError"}', "'error' cannot be 'ServerError'"),
        ('{"error": {"message": "x"}}', "'error' cannot be"),
        ('{"expect": [5]}', "'expect' cannot be [5]"),
        ('{"expect": 5}', "'expect' cannot be 5"),
        ('{"delay": -1}', "'delay' cannot be -1"),
        ('{"delay": NaN}', "'delay' cannot be nan"),
        ('{"delay": "1"}', "'delay' cannot be '1'"),
        ("[" * 100_000, "recursion"),
        ("\xff", "codec can't decode"),
    ],
)
def test_a_line_that_is_no_step_is_named_by_file_and_line(tmp_path, line, words):
    file = tmp_path / "script.jsonl"
    file.write_bytes(b'"One."\n\n' + line.encode("latin-1") + b"\n")
    with pytest.raises(errors.AgentError) as caught:
        ScriptedBackend.from_file(file)
    assert f"{file}, line 3: " in caught.value.message
    assert words in caught.value.message


@pytest.mark.parametrize("name", ["missing.jsonl", "."])
def test_a_script_that_cannot_be_read_is_named(tmp_path, name):
    with pytest.raises(errors.AgentError, match="cannot be read"):
        ScriptedBackend.from_file(tmp_path / name)
