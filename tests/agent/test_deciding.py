"""Decisions that cannot be taken: each is told with what to do."""

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gemmagraph import Agent, Approve, Gemma, tool
from gemmagraph.backends.scripted import ScriptedBackend
from gemmagraph.errors import AgentError
from gemmagraph.store.store import Store

OTHER_TOOL = {"type": "edit", "edited_action": {"name": "look", "args": {}}}


@tool(destructive=True)
def wipe() -> str:
    """Wipes."""
    return "wiped"


@pytest.mark.parametrize(
    ("decisions", "by", "message", "hint"),
    [
        ([Approve(), Approve()], "ann", "The number of decisions (2) is not that of the calls that wait (1).", "ids"),
        ([Approve()], "bob", "bob cannot decide about wipe: only ann, who asked for it, may decide.", "--as USER"),
        ([Approve()], None, "Nobody in particular cannot decide about wipe: only ann, who asked", "by="),
        ({"nothing": Approve()}, "ann", "'nothing' is no approval of the thread 't'.", "What waits there"),
        (
            [OTHER_TOOL],
            "ann",
            "The decision about wipe: the call is to 'wipe' and cannot be made one to 'look'.",
            "its",
        ),
        (
            {"decisions": [OTHER_TOOL]},
            "ann",
            "The decision about wipe: the call is to 'wipe' and cannot",
            "reject it",
        ),
    ],
    ids=["too many", "somebody else", "nobody", "of nothing", "another tool", "another tool, in LangChain's shape"],
)
def test_whoever_decides_is_told_what_to_do(
    tmp_path: Path, decisions: Any, by: str | None, message: str, hint: str
) -> None:
    with closing(Store(tmp_path / "a.db")) as store:
        agent = Agent(Gemma(ScriptedBackend(["FUNCTION_CALL: wipe()"])), [wipe], store=store)
        assert agent.run("go", thread="t", user="ann").pending
        with pytest.raises(AgentError) as caught:
            agent.resume("t", decisions, by=by)
        assert caught.value.message.startswith(message)
        assert hint in (caught.value.hint or "")
        assert len(agent.approvals()) == 1


def test_an_edit_need_not_name_the_tool(tmp_path: Path) -> None:
    with closing(Store(tmp_path / "a.db")) as store:
        agent = Agent(Gemma(ScriptedBackend(["FUNCTION_CALL: wipe()", "Done."])), [wipe], store=store)
        agent.run("go", thread="t")
        assert agent.resume("t", [{"type": "edit", "edited_action": {"args": {}}}]).calls[0].status == "ok"
