"""A call that waits for a person, or waited, in words and as JSON."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Final

from gemmagraph.approvals import Approval
from gemmagraph.prompts.messages import JSON
from gemmagraph.store.questions import CANCELLED, TOO_LATE, Question

_SETTLED: Final = {"approve": "approved", "edit": "changed and approved", "reject": "rejected", "respond": "answered"}
_MINUTE: Final = 60
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR
_END: Final = datetime(9999, 12, 30, tzinfo=UTC).timestamp()


def settled(question: Question, where: str = "") -> str:
    """What was decided, and by whom, as a sentence."""
    decision = question.decision or {}
    reason = str(decision.get("reason") or "")
    if question.decider is None and reason in (TOO_LATE, CANCELLED):
        return f"{reason[0].upper()}{reason[1:]}."
    said = f"{_SETTLED[str(decision['type'])]} by {question.decider or 'nobody in particular'}{where}"
    return f"{said[0].upper()}{said[1:]}{f': {reason}' if reason else ''}."


def whose(approval: Approval) -> str:
    """Who decides."""
    but = f", not {approval.user}," if approval.four_eyes and approval.user else ""
    return f"{_deciders(approval)}{but}"


def who_decides(approval: Approval) -> str:
    """The same as a sentence."""
    verb = "decide" if len(approval.approvers or ()) > 1 else "decides"
    but = f", but not {approval.user}" if approval.four_eyes and approval.user else ""
    return f"{_deciders(approval)} {verb}{but}"


def _deciders(approval: Approval) -> str:
    if approval.approvers is not None:
        return ", ".join(approval.approvers) or "nobody"
    return "somebody" if approval.four_eyes or approval.user is None else approval.user


def ago(at: float) -> str:
    """How long ago that was."""
    past = time.time() - at
    if past < _MINUTE:
        return "just now"
    if past < _HOUR:
        return f"{past / _MINUTE:.0f} min ago"
    if past < 2 * _DAY:
        return f"{past / _HOUR:.0f} h ago"
    return f"{past / _DAY:.0f} days ago"


def left(until: float) -> str:
    """How long that is from now."""
    ahead = until - time.time()
    if ahead <= 0:
        return "no time left"
    if ahead < _MINUTE:
        return f"{ahead:.0f} s left"
    if ahead < 2 * _HOUR:
        return f"{ahead / _MINUTE:.0f} min left"
    return f"{ahead / _HOUR:.0f} h left" if ahead < 2 * _DAY else f"{ahead / _DAY:.0f} days left"


def clock(at: float) -> str:
    """A point in time as this machine's clock shows it."""
    return datetime.fromtimestamp(_told(at)).strftime("%Y-%m-%d %H:%M")


def utc(at: float | None) -> str | None:
    """A point in time for programs."""
    if not at:
        return None
    return datetime.fromtimestamp(_told(at), UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _told(at: float) -> float:
    """A point in time, or the nearest that a calendar has."""
    return min(max(at, 0.0), _END)


def approval_as_json(approval: Approval) -> dict[str, JSON]:
    """For programs. What is not there has `null`."""
    return {
        "id": approval.id,
        "call": approval.call,
        "tool": approval.tool,
        "arguments": dict(approval.arguments),
        "request": approval.request,
        "reason": approval.reason,
        "user": approval.user,
        "channel": approval.channel,
        "thread": approval.thread,
        "approvers": None if approval.approvers is None else list(approval.approvers),
        "four_eyes": approval.four_eyes,
        "digest": approval.digest,
        "created": utc(approval.created),
        "expires": utc(approval.expires),
    }


def question_as_json(question: Question) -> dict[str, JSON]:
    """The same, with what was decided."""
    decision = question.decision
    said = None if decision is None else {key: decision[key] for key in decision if key not in ("by", "digest")}
    return approval_as_json(question.approval) | {
        "decision": said,
        "by": question.decider,
        "decided": utc(question.decided),
    }
