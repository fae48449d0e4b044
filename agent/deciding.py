"""What people decide about calls that wait, checked before any of it is written down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from gemmagraph.approvals import Approval, Approve, Decision, Edit, checked, decision_as_json
from gemmagraph.errors import AgentError, InvalidArguments
from gemmagraph.limits import storable
from gemmagraph.prompts.messages import JSON
from gemmagraph.store.questions import CANCELLED, TOO_LATE, Question, Questions
from gemmagraph.tools import Tool
from gemmagraph.tools.secrets import mask_all

_SMALLER: Final = "Write a smaller one, or a text where the tool takes that."


async def decide(
    questions: Questions,
    tools: Mapping[str, Tool] | None,
    thread: str,
    decisions: Mapping[str, Any] | Sequence[Any],
    by: str | None,
) -> None:
    """Writes down what was decided about the calls that wait on a thread.

    Args:
        tools: those of the agent whose thread it is; None if they are not known here. Then changed arguments are
            checked when the call is made.
        decisions: by the id of the approval or the call, or all of them in their order; each one of ours, or as
            LangChain's review of calls by people writes it.
        by: who decides.

    Raises:
        AgentError: nothing was written down: one of them is no decision, is about nothing that waits, is not this
            person's to make, or changes arguments to what the tool does not take.
    """
    asked = await questions.of(thread)
    waiting = [question.approval for question in asked if question.decision is None]
    settled: dict[str, Mapping[str, JSON]] = {}
    for approval, said in _paired(thread, decisions, asked, waiting):
        decision = mask_all(checked(said, f"The decision about {approval.tool}", approval.tool))
        if why := approval.refuses(by):
            raise AgentError(
                f"{by or 'Nobody in particular'} cannot decide about {approval.tool}: {why}.",
                hint="Say who decides: by= of resume(), or --as USER of `gemmagraph approvals`.",
            )
        if approval.id in settled:
            raise AgentError(f"Two decisions were given about the same call, {approval.tool} ({approval.id}).")
        settled[approval.id] = decision_as_json(_fitting(tools, approval, decision), approval.digest, by)
    if (late := await questions.decide_all(settled, by)) is not None:
        raise AgentError(_late(late))


def _paired(
    thread: str,
    decisions: Mapping[str, Any] | Sequence[Any],
    asked: Sequence[Question],
    waiting: Sequence[Approval],
) -> list[tuple[Approval, Any]]:
    """Each decision with what it is about."""
    if isinstance(decisions, Mapping) and isinstance(decisions.get("decisions"), list):
        decisions = decisions["decisions"]  # LangChain's shape for a whole turn
    if not isinstance(decisions, Mapping):
        if not isinstance(decisions, Sequence) or isinstance(decisions, str):
            raise AgentError(
                f"{decisions!r} does not say which call it is about.",
                hint="Give a mapping: {approval.id: Approve()}.",
            )
        if len(decisions) != len(waiting):
            raise AgentError(
                f"The number of decisions ({len(decisions)}) is not that of the calls that wait ({len(waiting)}).",
                hint="Give one for each in their order, or a mapping with the ids of those that you decide.",
            )
        return [*zip(waiting, decisions, strict=True)]
    paired = []
    for identity, said in decisions.items():
        found = [question for question in asked if identity in (question.approval.id, question.approval.call)]
        if not found:
            there = ", ".join(approval.id for approval in waiting) or "nothing"
            raise AgentError(
                f"{identity!r} is no approval of the thread {thread!r}.", hint=f"What waits there: {there}."
            )
        if found[0].decision is not None:
            raise AgentError(_late(found[0]))
        paired.append((found[0].approval, said))
    return paired


def _fitting(tools: Mapping[str, Tool] | None, approval: Approval, decision: Decision) -> Decision:
    """The decision with arguments as the tool takes them."""
    tool = None if tools is None else tools.get(approval.tool)
    if tools is not None and tool is None and isinstance(decision, Approve | Edit):
        raise AgentError(f"There is no tool {approval.tool!r} here any more.", hint="Reject the call, or respond.")
    if tool is not None and isinstance(decision, Edit):
        try:
            decision = Edit(tool.check(decision.arguments))
        except InvalidArguments as problem:
            raise AgentError(f"The changed arguments do not fit {tool.name}: {problem.message}") from problem
    if isinstance(decision, Edit) and not storable(decision.arguments):
        raise AgentError(f"An integer in the changed arguments of {approval.tool} is beyond 64 bits.", hint=_SMALLER)
    return decision


def _late(question: Question) -> str:
    said = (question.decision or {}).get("type")
    if (question.decision or {}).get("reason") == TOO_LATE:
        return f"The approval {question.approval.id} has expired: {TOO_LATE}."
    if question.decider is None and (question.decision or {}).get("reason") == CANCELLED:
        return f"The approval {question.approval.id} is closed: {CANCELLED}."
    return f"The approval {question.approval.id} was decided before: {said}, by {question.decider or 'nobody'}."
