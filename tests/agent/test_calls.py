"""The calls of a turn: what runs beside what, what the model is told of it, and what a tool cannot break."""

import asyncio
import logging
import threading

import pytest

from gemmagraph import Agent, Gemma, Limits, ToolError, tool
from gemmagraph.backends.scripted import ScriptedBackend, Step
from gemmagraph.tools.runtime import abandoned

PATIENCE = 20


def scripted(*steps, tools=(), **options) -> Agent:
    return Agent(
        Gemma(ScriptedBackend(steps)), tools, limits=options.pop("limits", Limits(wall_time=PATIENCE)), **options
    )


def told(result) -> list[tuple[str, str]]:
    """What the model was told of its calls."""
    return [(message.name, message.content) for message in result.messages if message.type == "tool"]


def calls(*written: str) -> str:
    return "\n".join(f"FUNCTION_CALL: {call}" for call in written)


@tool(read_only=True)
def echo(text: str) -> str:
    """Says it again."""
    return text


# --- side by side ---------------------------------------------------------------------------------------


def test_calls_of_a_turn_run_at_the_same_time_and_results_keep_the_order_of_the_calls():
    done: list[int] = []
    turn = [asyncio.Event() for _ in range(4)]

    @tool
    async def wait(n: int) -> str:
        """Ends only after the call behind it has ended."""
        if n < 3:
            await turn[n + 1].wait()
        done.append(n)
        turn[n].set()
        return f"result {n}"

    agent = scripted(calls(*(f"wait(n={n})" for n in range(4))), "Done.", tools=[wait])
    result = agent.run("go")
    assert done == [3, 2, 1, 0]
    assert told(result) == [("wait", f"result {n}") for n in range(4)]
    assert [call.result for call in result.calls] == [f"result {n}" for n in range(4)]


def test_blocking_functions_run_at_the_same_time():
    meeting = threading.Barrier(3, timeout=PATIENCE)

    @tool
    def meet(n: int) -> str:
        """Waits for the others."""
        meeting.wait()
        return str(n)

    result = scripted(calls("meet(n=1)", "meet(n=2)", "meet(n=3)"), "Done.", tools=[meet]).run("go")
    assert told(result) == [("meet", "1"), ("meet", "2"), ("meet", "3")]


def test_one_failing_call_leaves_the_others_alone():
    failed = asyncio.Event()

    @tool
    async def break_down() -> str:
        """Breaks."""
        failed.set()
        raise ToolError("The bridge is out.")

    @tool
    async def go_on() -> str:
        """Ends after the other has failed."""
        await failed.wait()
        return "here"

    result = scripted(calls("go_on()", "break_down()"), "Done.", tools=[break_down, go_on]).run("go")
    assert told(result) == [("go_on", "here"), ("break_down", "The bridge is out.")]
    assert [call.status for call in result.calls] == ["ok", "error"]


def running_at_once(**facts):
    """A tool that notes how many of its calls run at the same time, and in which order they began."""
    notes = {"now": 0, "most": 0, "order": []}

    @tool(**facts)
    async def note(n: int) -> str:
        """Notes."""
        notes["now"] += 1
        notes["most"] = max(notes["most"], notes["now"])
        notes["order"].append(n)
        for _ in range(5):
            await asyncio.sleep(0)
        notes["now"] -= 1
        return str(n)

    return note, notes


def test_sequential_tools_run_one_after_another():
    note, notes = running_at_once(sequential=True)
    scripted(calls(*(f"note(n={n})" for n in range(5))), "Done.", tools=[note]).run("go")
    assert (notes["most"], notes["order"]) == (1, [0, 1, 2, 3, 4])


def test_other_tools_run_beside_a_sequential_one():
    both = threading.Barrier(2, timeout=PATIENCE)

    @tool(sequential=True)
    def alone() -> str:
        """Alone."""
        both.wait()
        return "a"

    @tool
    def beside() -> str:
        """Beside."""
        both.wait()
        return "b"

    result = scripted(calls("alone()", "beside()"), "Done.", tools=[alone, beside]).run("go")
    assert told(result) == [("alone", "a"), ("beside", "b")]


def test_only_so_many_calls_run_at_once():
    note, notes = running_at_once()
    limits = Limits(parallel=2, wall_time=PATIENCE)
    scripted(calls(*(f"note(n={n})" for n in range(6))), "Done.", tools=[note], limits=limits).run("go")
    assert notes["most"] == 2


# --- copies ---------------------------------------------------------------------------------------------


def test_exact_copies_of_a_read_only_call_run_once():
    ran = []

    @tool(read_only=True)
    def look(place: str, deep: bool = False) -> dict:
        """Looks."""
        ran.append(place)
        return {"seen": place}

    written = calls('look(place="a", deep=True)', 'look(place="b")', 'look(deep=True, place="a")')
    agent = scripted(written, Step("Done.", expect='{"seen": "a"}'), tools=[look])
    result = agent.run("go")
    assert sorted(ran) == ["a", "b"]
    assert [content for _, content in told(result)] == ['{"seen": "a"}', '{"seen": "b"}', '{"seen": "a"}']
    results = [message for message in result.messages if message.type == "tool"]
    assert [message.tool_call_id for message in results] == [call["id"] for call in result.messages[1].tool_calls]
    assert len({message.id for message in result.messages}) == len(result.messages)


def test_of_exact_copies_of_a_writing_call_only_the_first_runs_when_nobody_can_be_asked():
    ran = []

    @tool
    def book(seat: str) -> str:
        """Books."""
        ran.append(seat)
        return "booked"

    result = scripted(calls('book(seat="1A")', 'book(seat="1A")', 'book(seat="1B")'), "Done.", tools=[book]).run("go")
    assert sorted(ran) == ["1A", "1B"]
    assert told(result)[0][1] == told(result)[2][1] == "booked"
    assert "same arguments in the same turn" in told(result)[1][1]
    assert "nobody can be asked here" in told(result)[1][1]


# --- the repeat guard -----------------------------------------------------------------------------------


def test_the_model_is_warned_of_a_repeated_call_and_then_the_run_ends():
    agent = scripted(*[calls('echo(text="a")')] * 4, "It says a.", tools=[echo])
    result = agent.run("go")
    contents = [content for _, content in told(result)]
    assert contents[0] == "a"
    assert all(content.startswith("a\n(You made this very call before") for content in contents[1:4])
    assert result.text == "It says a."
    assert (result.stop, result.reason) == ("limit", 'the model made the same call 4 times: echo(text="a")')


def test_a_call_with_another_result_is_no_repetition():
    count = iter(range(10))

    @tool(read_only=True)
    def clock() -> int:
        """Counts."""
        return next(count)

    result = scripted(*[calls("clock()")] * 6, "Done.", tools=[clock]).run("go")
    assert (result.stop, [content for _, content in told(result)]) == ("answered", ["0", "1", "2", "3", "4", "5"])


def test_a_call_that_is_refused_again_and_again_is_a_repetition():
    @tool(approval="deny")
    def format_disk() -> str:
        """Formats."""
        raise AssertionError("must not run")

    result = scripted(*[calls("format_disk()")] * 4, "It may not be done.", tools=[format_disk]).run("go")
    assert result.stop == "limit"
    assert "You made this very call before" in told(result)[1][1]


# --- return_direct --------------------------------------------------------------------------------------


@tool(read_only=True, return_direct=True)
def report(n: int) -> str:
    """Reports."""
    if n < 0:
        raise ToolError("There is no such report.")
    return f"Report {n}"


def test_a_direct_result_is_the_answer():
    agent = scripted(calls("report(n=1)", "report(n=2)"), Step("You are welcome.", expect="Report 1"), tools=[report])
    result = agent.run("go", thread="t")
    assert (result.text, result.stop, result.messages[-1].type) == ("Report 1\n\nReport 2", "answered", "tool")
    assert agent.run("thanks", thread="t").text == "You are welcome."


@pytest.mark.parametrize(
    "written",
    [calls("report(n=1)", 'echo(text="a")'), calls("report(n=-1)"), calls("report(n=1)", "nope()")],
    ids=["beside another tool", "failed", "beside a bad call"],
)
def test_the_model_answers_where_not_every_result_is_a_direct_one(written):
    assert scripted(written, "Done.", tools=[report, echo]).run("go").text == "Done."


# --- what tools do --------------------------------------------------------------------------------------


def test_a_bug_in_a_tool_is_shown_to_the_developer_and_hidden_from_the_model(caplog):
    @tool(read_only=True)
    def divide(n: int) -> float:
        """Divides."""
        return n / 0

    agent = scripted(calls("divide(n=1)"), Step("Sorry.", expect="The tool divide failed."), tools=[divide])
    with caplog.at_level(logging.ERROR, logger="gemmagraph"):
        result = agent.run("go")
    assert result.calls[0].status == "failed"
    assert "division by zero" not in str(agent.model.backend.requests[1].messages)
    assert "divide" in caplog.records[0].getMessage()
    assert "ZeroDivisionError: division by zero" in caplog.text
    assert "return n / 0" in caplog.text


def test_a_tool_that_hangs_is_left_and_the_conversation_goes_on():
    let_go = threading.Event()

    @tool(timeout=0.05)
    def hang() -> str:
        """Hangs."""
        let_go.wait(PATIENCE)
        return "too late"

    agent = scripted(
        calls("hang()"), Step("It hangs.", expect="hang did not finish within 0.05 s."), "Fine.", tools=[hang]
    )
    assert agent.run("go", thread="t").calls[0].status == "timeout"
    assert agent.run("and now?", thread="t").text == "Fine."
    let_go.set()
    for _ in range(1000):
        if not abandoned():
            break
        threading.Event().wait(0.01)
    assert not abandoned()


@pytest.mark.parametrize(
    ("value", "start"),
    [
        (b"\x00\x01\x02", "3 bytes of binary data, not shown."),
        (b"plain", "plain"),
        ("x" * 1_000_000_000, "xxxx"),
        ([1] * 3_000_000, "[1, 1, 1"),
        ("a\udcffb", "a?b"),
        ({1: {2}}, '{"1": [2]}'),
        (None, "null"),
    ],
    ids=["binary", "text in bytes", "1 GB", "long list", "lone surrogate", "keys that are no text", "nothing"],
)
def test_whatever_a_tool_returns_the_model_gets_a_bounded_text(value, start):
    @tool(read_only=True)
    def load() -> object:
        """Loads."""
        return value

    agent = scripted(calls("load()"), "Loaded.", tools=[load])
    result = agent.run("go")
    content = told(result)[0][1]
    assert content.startswith(start)
    assert len(content) <= 8_000
    assert result.text == "Loaded."


def test_a_tool_that_changes_its_arguments_changes_nothing_else():
    @tool(read_only=True)
    def pop(items: list[str]) -> str:
        """Takes one."""
        return items.pop()

    result = scripted(calls('pop(items=["a", "b"])'), Step("Done.", expect='pop(items=["a", "b"])'), tools=[pop]).run(
        "go"
    )
    assert result.messages[1].tool_calls[0]["args"] == {"items": ["a", "b"]}
    assert result.calls[0].arguments == {"items": ["a", "b"]}


# --- bad calls ------------------------------------------------------------------------------------------


def test_a_bad_call_beside_good_ones_is_answered_in_the_same_turn():
    agent = scripted(calls('echo(text="a")', "ecko()", "echo()"), "Done.", tools=[echo])
    result = agent.run("go")
    assert len(agent.model.backend.requests) == 2
    assert [name for name, _ in told(result)] == ["echo", "ecko", "echo"]
    good, unknown, missing = (content for _, content in told(result))
    assert good == "a"
    assert '"ecko" is not a tool' in unknown
    assert "text" in missing
    assert [message.status for message in result.messages if message.type == "tool"] == ["success", "error", "error"]
    shown = agent.model.backend.requests[1].messages[-1]["content"]
    assert "FUNCTION_RESULT: echo\na" in shown
    assert "FUNCTION_ERROR: ecko\n" in shown


def test_a_stopped_turn_still_says_what_was_wrong_with_its_bad_calls():
    @tool
    async def wait() -> str:
        """Waits."""
        assert agent.cancel("t")
        await asyncio.Event().wait()
        return ""

    agent = scripted(calls("wait()", "ecko()"), tools=[wait, echo])
    result = agent.run("go", thread="t")
    assert result.stop == "cancelled"
    assert "unknown" in told(result)[0][1]
    assert '"ecko" is not a tool' in told(result)[1][1]
