"""Calls that wait for a person, for people."""

from __future__ import annotations

import json
from collections.abc import Sequence
from textwrap import indent

from gemmagraph.approvals import Approval
from gemmagraph.asked import clock, left, settled, whose
from gemmagraph.cli.terminal import one_line, plain, shortened
from gemmagraph.store.questions import Question


def listed(approvals: Sequence[Approval], columns: int) -> str:
    """Two lines each: what would be done, and who decides about it."""
    lines = []
    for approval in approvals:
        lines.append(shortened(f"{approval.id}  {one_line(approval.request)}", columns))
        facts = [f"asked by {approval.user or 'nobody known'}", f"decided by {whose(approval)}".rstrip(",")]
        lines.append(shortened(f"  {' · '.join([left(approval.expires), *facts])}", columns))
    return "\n".join(lines)


def shown(question: Question) -> str:
    """All that is to be known before one decides."""
    approval = question.approval
    state = settled(question) if question.decision is not None else f"It waits, {left(approval.expires)}."
    where = f" in {approval.channel}" if approval.channel else ""
    lines = [
        f"{approval.id} · {approval.tool}",
        f"  asked by {approval.user or 'nobody known'}{where}, {clock(approval.created)}, thread {approval.thread}",
        f"  because {approval.reason}",
        f"  decided by {whose(approval)}".rstrip(","),
    ]
    if approval.deciders is not None and approval.deciders != approval.approvers:
        lines.append(f"  who that is: {', '.join(approval.deciders) or 'nobody'}")
    lines += ["", indent(approval.request, "  "), ""]
    lines.append(f"  arguments: {json.dumps(dict(approval.arguments), ensure_ascii=False)}")
    if approval.digest:
        lines.append(f"  digest: {approval.digest[:12]}")
    if question.decision is not None and question.decision["type"] == "edit":
        lines.append(f"  changed to: {json.dumps(question.decision['arguments'], ensure_ascii=False)}")
    if question.decision is not None and question.decision["type"] == "respond":
        lines.append(f"  answer: {question.decision['text']}")
    return plain("\n".join([*lines, f"  {state}"]))
