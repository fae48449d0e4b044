"""Calls that need a person: who is asked, what is shown, and what each decision does."""

import asyncio
import threading

import pytest
from langgraph.errors import NodeCancelledError

from gemmagraph import Agent, Approve, Edit, Gemma, Limits, Reject, Respond, shell_tool, tool
from gemmagraph.backends.scripted import ScriptedBackend, Step
from gemmagraph.errors import AgentError
from gemmagraph.events import ApprovalAsked, ApprovalDecided, RunFinished, ToolStarted

PATIENCE = 20


def scripted(*steps, tools=(), **options) -> Agent:
    options.setdefault("limits", Limits(wall_time=PATIENCE))
    return Agent(Gemma(ScriptedBackend(steps)), tools, **options)


def told(result) -> list[str]:
    return [message.content for message in result.messages if message.type == "tool"]


@pytest.fixture
def removed():
    """What was really removed."""
    return []


@pytest.fixture
def remove(removed):
    @tool(destructive=True)
    def remove(path: str, times: int = 1) -> str:
        """Removes a file."""
        removed.append((path, times))
        return f"removed {path}"

    return remove


CALL = 'FUNCTION_CALL: remove(path="/tmp/a")'


def approve(approval):
    return Approve()


async def approve_async(approval):
    await asyncio.sleep(0)
    return Approve()


class Approver:
    def __call__(self, approval):
        return Approve()


class AsyncApprover:
    async def __call__(self, approval):
        return Approve()


@pytest.mark.parametrize(
    "approver",
    [
        approve,
        approve_async,
        Approver(),
        AsyncApprover(),
        Approver().__call__,
        lambda approval: approve_async(approval),
    ],
    ids=["function", "async function", "object", "async object", "method", "function that returns an awaitable"],
)
def test_an_approved_call_runs(remove, removed, approver):
    result = scripted(CALL, Step("Done.", expect="removed /tmp/a"), tools=[remove], approve=approver).run("go")
    assert (removed, result.text, result.calls[0].status) == ([("/tmp/a", 1)], "Done.", "ok")


def test_an_approver_may_block_without_holding_up_the_loop(remove, removed):
    ticks = threading.Event()

    def wait_for_a_tick(approval):
        assert ticks.wait(PATIENCE)
        return Approve()

    async def both():
        run = asyncio.create_task(scripted(CALL, "Done.", tools=[remove], approve=wait_for_a_tick).arun("go"))
        asyncio.get_running_loop().call_later(0.01, ticks.set)
        return await run

    assert asyncio.run(both()).text == "Done."


def test_a_person_sees_what_will_run_why_and_for_whom(remove):
    seen = []

    def look(approval):
        seen.append(approval)
        return Reject()

    agent = scripted(CALL, "Fine.", tools=[remove], approve=look)
    result = agent.run("go", user="ann", thread="t")
    approval = seen[0]
    assert (approval.tool, approval.arguments, approval.user, approval.thread) == (
        "remove",
        {"path": "/tmp/a"},
        "ann",
        "t",
    )
    assert approval.request == 'remove(path="/tmp/a", times=1)'
    assert approval.reason == "remove is marked destructive"
    assert approval.call == result.messages[1].tool_calls[0]["id"]


def test_what_runs_is_what_was_shown_whatever_the_approver_does_to_it(remove, removed):
    def meddle(approval):
        approval.arguments["path"] = "/"
        return Approve()

    result = scripted(CALL, "Done.", tools=[remove], approve=meddle).run("go")
    assert removed == [("/tmp/a", 1)]
    assert result.messages[1].tool_calls[0]["args"] == {"path": "/tmp/a"}


def test_edited_arguments_run_and_the_model_is_told(remove, removed):
    edit = Edit({"path": "/tmp/b", "times": 2})
    agent = scripted(CALL, Step("Done.", expect="removed /tmp/b"), tools=[remove], approve=lambda _: edit)
    result = agent.run("go")
    assert removed == [("/tmp/b", 2)]
    assert told(result) == ['removed /tmp/b\n(A person changed the call to remove(path="/tmp/b", times=2).)']
    assert result.calls[0].arguments == {"path": "/tmp/b", "times": 2}


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"path": ["/tmp/b"]}, "path"),
        ({}, "path"),
        ({"path": "/tmp/b", "force": True}, "force"),
        ({"path": "/tmp/b", "times": 2**64}, "64 bits"),
    ],
    ids=["wrong type", "missing", "unknown", "beyond 64 bits"],
)
def test_edited_arguments_are_checked_again(remove, removed, arguments, why):
    result = scripted(CALL, "Fine.", tools=[remove], approve=lambda _: Edit(arguments)).run("go")
    assert (removed, result.calls[0].status, result.text) == ([], "refused", "Fine.")
    assert told(result)[0].startswith("Not run: ")
    assert why in told(result)[0]


def test_a_tool_that_was_forbidden_meanwhile_does_not_run_approved(remove, removed):
    def forbid(approval):
        object.__setattr__(remove, "approval", "deny")
        return Edit({"path": "/tmp/b"})

    result = scripted(CALL, "Fine.", tools=[remove], approve=forbid).run("go")
    assert (removed, told(result)) == ([], ["Not run: remove is set to 'deny'."])


@pytest.mark.parametrize(
    ("decision", "content"),
    [
        (Reject("it is still needed"), "Not run: a person refused it: it is still needed"),
        (Reject(), "Not run: a person refused it."),
    ],
)
def test_a_rejected_call_does_not_run_and_the_model_is_told_why(remove, removed, decision, content):
    agent = scripted(
        CALL, Step("Fine.", expect=f"FUNCTION_ERROR: remove\n{content}"), tools=[remove], approve=lambda _: decision
    )
    result = agent.run("go")
    assert (removed, told(result), result.calls[0].status) == ([], [content], "refused")


def test_a_person_may_answer_in_place_of_the_tool(remove, removed):
    agent = scripted(CALL, "Fine.", tools=[remove], approve=lambda _: Respond("It is gone already."))
    result = agent.run("go")
    assert (removed, told(result), result.calls[0].status) == ([], ["It is gone already."], "ok")
    assert result.messages[2].status == "success"


def test_without_anybody_to_ask_the_call_is_refused_with_the_reason(remove, removed):
    agent = scripted(CALL, "Fine.", tools=[remove])
    result = agent.run("go")
    assert (removed, result.calls[0].status) == ([], "refused")
    assert told(result) == [
        "Not run: remove is marked destructive, so a person must approve it, and nobody can be asked here."
    ]


def test_a_denied_tool_is_not_asked_for(removed):
    @tool(approval="deny")
    def remove(path: str) -> str:
        """Removes."""
        removed.append(path)
        return ""

    def ask(approval):
        raise AssertionError("nobody is to be asked")

    result = scripted(CALL, "Fine.", tools=[remove], approve=ask).run("go")
    assert (removed, told(result)) == ([], ["Not run: remove is set to 'deny'."])


def test_a_read_only_tool_can_be_asked_for_and_a_destructive_one_allowed(removed):
    asked = []

    @tool(read_only=True, approval="ask")
    def look() -> str:
        """Looks."""
        return "seen"

    @tool(destructive=True, approval="allow")
    def clean() -> str:
        """Cleans."""
        return "clean"

    agent = scripted(
        "FUNCTION_CALL: look()\nFUNCTION_CALL: look()\nFUNCTION_CALL: clean()",
        "Done.",
        tools=[look, clean],
        approve=lambda approval: asked.append(approval.tool) or Approve(),
    )
    assert told(agent.run("go")) == ["seen", "seen", "clean"]
    assert asked == ["look"]


def test_the_second_of_two_copies_of_a_writing_call_is_asked_for():
    asked = []
    booked = []

    @tool
    def book(seat: str) -> str:
        """Books."""
        booked.append(seat)
        return "booked"

    agent = scripted(
        'FUNCTION_CALL: book(seat="1A")\nFUNCTION_CALL: book(seat="1A")',
        "Done.",
        tools=[book],
        approve=lambda approval: asked.append(approval) or Approve(),
    )
    result = agent.run("go")
    assert booked == ["1A", "1A"]
    assert [approval.call for approval in asked] == [result.messages[1].tool_calls[1]["id"]]
    assert asked[0].reason == "book was called with the same arguments in the same turn"


def test_while_one_call_waits_for_a_person_the_others_of_the_turn_wait_too(remove, removed):
    ran = []

    @tool(read_only=True)
    def look() -> str:
        """Looks."""
        ran.append("look")
        return "seen"

    def ask(approval):
        assert (ran, removed) == ([], [])
        return Approve() if approval.arguments["path"] == "/tmp/b" else Reject("no")

    agent = scripted(
        f'FUNCTION_CALL: look()\n{CALL}\nFUNCTION_CALL: remove(path="/tmp/b")',
        "Done.",
        tools=[look, remove],
        approve=ask,
    )
    result = agent.run("go")
    assert told(result) == ["seen", "Not run: a person refused it: no", "removed /tmp/b"]
    assert removed == [("/tmp/b", 1)]


NONSENSE = {
    "none": None,
    "true": True,
    "a class": Approve,
    "a text": "approve",
    "edit of no arguments": Edit(None),
    "edit of a text": Edit("path"),
    "edit of what is no JSON": Edit({"path": object()}),
    "reject for no text": Reject(5),
    "response of no text": Respond(None),
}


@pytest.mark.parametrize("answer", NONSENSE.values(), ids=NONSENSE)
def test_an_answer_that_is_no_decision_runs_nothing_and_is_a_clear_error(remove, removed, answer):
    agent = scripted(CALL, "Fine.", tools=[remove], approve=lambda _: answer)
    with pytest.raises(AgentError, match=r"for remove: .* is no decision\. Give Approve\(\), Edit\(arg"):
        agent.run("go", thread="t")
    assert removed == []
    assert agent.history("t")[-1].content == "Stopped before it ran."
    assert agent.run("and now?", thread="t").text == "Fine."


@pytest.mark.parametrize("kind", [RuntimeError, KeyError, SystemExit], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("is_async", [False, True], ids=["blocking", "async"])
def test_an_approver_that_raises_runs_nothing(remove, removed, kind, is_async):
    def fail(approval):
        raise kind("the line is dead")

    async def fail_async(approval):
        fail(approval)

    agent = scripted(CALL, "Fine.", tools=[remove], approve=fail_async if is_async else fail)
    with pytest.raises(kind, match="the line is dead"):
        agent.run("go", thread="t")
    assert removed == []
    assert agent.run("and now?", thread="t").text == "Fine."


def test_an_approver_that_was_cancelled_itself_is_an_error_and_not_a_cancelled_run(remove, removed):
    async def give_up(approval):
        raise asyncio.CancelledError

    agent = scripted(CALL, "Fine.", tools=[remove], approve=give_up)
    with pytest.raises(NodeCancelledError, match="approval"):
        agent.run("go", thread="t")
    assert removed == []
    assert agent.run("and now?", thread="t").text == "Fine."


@pytest.mark.parametrize("is_async", [False, True], ids=["blocking", "async"])
def test_wall_time_ends_the_wait_for_a_person(remove, removed, is_async):
    let_go = threading.Event()

    def wait(approval):
        let_go.wait(PATIENCE)
        return Approve()

    async def wait_async(approval):
        await asyncio.Event().wait()

    agent = scripted(
        CALL, "Fine.", tools=[remove], approve=wait_async if is_async else wait, limits=Limits(wall_time=0.05)
    )
    result = agent.run("go", thread="t")
    let_go.set()
    assert (removed, result.stop, result.reason) == ([], "limit", "the limit of 0.05 seconds is reached")
    assert told(result) == ["Not run: nobody decided in time."]


def test_question_and_decision_are_events(remove):
    agent = scripted(CALL, "Fine.", tools=[remove], approve=lambda _: Reject("no"))

    async def watch():
        return [event async for event in agent.stream("go")]

    events = asyncio.run(watch())
    told_of = [event for event in events if isinstance(event, ApprovalAsked | ApprovalDecided | ToolStarted)]
    assert [type(event) for event in told_of] == [ApprovalAsked, ApprovalDecided]
    assert told_of[1].decision == Reject("no")
    assert isinstance(events[-1], RunFinished)


def test_a_person_sees_what_will_be_run_not_only_the_call():
    seen = []
    path = {"properties": {"path": {"type": "string"}}}
    delete = shell_tool("delete", "Deletes a file.", path, argv=["true", "--", "{{ args.path }}"])

    def approve(approval):
        seen.append(approval.request)
        return Reject("no")

    scripted('FUNCTION_CALL: delete(path="my file")', "Fine.", tools=[delete], approve=approve).run("Delete it.")
    assert [request.partition("true")[2] for request in seen] == [" -- 'my file'"]


def test_what_has_become_something_else_since_it_was_approved_is_not_run(tmp_path, monkeypatch):
    path = {"properties": {"path": {"type": "string"}}}
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    touch = shell_tool("make_file", "Makes a file.", path, argv=["touch", "--", "{{ args.path }}"])

    def approve(approval):
        monkeypatch.chdir(folders[1])  # the program would run there, and a person has seen another place
        return Approve()

    monkeypatch.chdir(folders[0])
    result = scripted('FUNCTION_CALL: make_file(path="x")', "Fine.", tools=[touch], approve=approve).run("Make it.")
    assert told(result) == ["Not run: what it would do has changed since a person approved it."]
    assert not any((folder / "x").exists() for folder in folders)
