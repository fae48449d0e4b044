"""Whether a call of the last turn may run: by the policy as it is now, and by what a person said."""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any, Final

from langchain_core.messages import AIMessage
from langchain_core.messages.tool import ToolCall as WrittenCall

from gemmagraph.approvals import Approval, approval_id
from gemmagraph.prompts.errors import GemmagraphError, InvalidArguments
from gemmagraph.prompts.messages import JSON, ToolCall
from gemmagraph.run import Run
from gemmagraph.store.questions import TOO_LATE
from gemmagraph.tools import Tool, ToolError
from gemmagraph.tools.ruling import Ruling
from gemmagraph.tools.secrets import mask

_sorted: Final = json.JSONEncoder(sort_keys=True, default=str).encode


@dataclass(frozen=True, slots=True)
class Instead:
    """What stands in the place of a call that does not run."""

    call: ToolCall
    why: str
    """What the model is told."""
    status: str = "refused"
    place: str | None = None
    """File and line of the rule that refuses it."""


def to_ask(run: Run, message: AIMessage) -> list[tuple[WrittenCall, Ruling]]:
    """The calls that need a person, each with what was ruled."""
    asked = []
    made: set[str] = set()
    several = len(message.tool_calls) > 1
    for call in message.tool_calls:
        tool = run.kit.tools.get(call["name"])
        if tool is None:
            continue
        ruling = tool.ruling(call["args"], run.asker)
        same = same_call(call["name"], call["args"]) if several else ""
        if same in made:
            if tool.reads:
                continue  # it runs once, and is asked for once
            if ruling.verdict == "allow":
                ruling = Ruling("ask", f"{tool.name} was called with the same arguments in the same turn")
        made.add(same)
        if ruling.verdict == "ask":
            asked.append((call, ruling))
    return asked


def question(call: WrittenCall, ruling: Ruling) -> dict[str, Any]:
    """What the step that asks is given."""
    approvers = None if ruling.approvers is None else [*ruling.approvers]
    said = {"reason": ruling.told, "approvers": approvers, "four_eyes": ruling.four_eyes, "expires": ruling.expires}
    return {"call": dict(call), "ruling": said}


def judged(
    run: Run, written: WrittenCall, asked: str | None, decision: Mapping[str, Any] | None
) -> ToolCall | Instead:
    """A call as it may run, or what stands in its place.

    Args:
        asked: why a person was to be asked for it, if one was.
        decision: what that person said.
    """
    call = ToolCall(written["id"] or "", written["name"], written["args"])
    tool = run.kit.tools.get(call.name)
    if tool is None:
        return Instead(call, f"There is no tool {call.name!r} here.")
    ruling = tool.ruling(call.arguments, run.asker)
    if ruling.verdict == "deny":
        return Instead(call, f"Not run: {ruling.reason}.", place=ruling.place)
    if asked is None and ruling.verdict == "ask":
        asked = ruling.reason  # it changed since the turn began
    if asked is not None or decision is not None:  # what a person said counts, whatever is ruled by now
        return _settled(run, tool, call, replace(ruling, reason=asked or ruling.reason), decision)
    return call


def _settled(
    run: Run, tool: Tool, call: ToolCall, ruling: Ruling, decision: Mapping[str, Any] | None
) -> ToolCall | Instead:
    """What a person's decision makes of a call."""
    by = (decision or {}).get("by")
    match decision:
        case None if why := hopeless(run, call.name, call.arguments):
            return Instead(call, why, "error")
        case None:
            where = "by an assistant that works for another" if run.within else "here"
            why = f"Not run: {ruling.reason}, so a person must approve it, and nobody can be asked {where}."
            return Instead(call, why, place=ruling.place)
        case {"type": "approve", "digest": digest}:
            if why := hopeless(run, call.name, call.arguments):
                return Instead(call, why, "error")
            approval = asked_of(run, call, ruling)
            if approval.digest != digest:
                return Instead(call, "Not run: what it would do has changed since a person approved it.")
            if ruling.verdict == "ask" and (why := approval.refuses(by)):
                return Instead(call, f"Not run: a person approved it, but by now {why}.")
            return call
        case {"type": "edit", "arguments": arguments, "digest": digest}:
            shown = digest and (hopeless(run, call.name, call.arguments) or asked_of(run, call, ruling).digest)
            if shown != digest:
                return Instead(call, "Not run: what it would do has changed since a person was asked.")
            return _edited(run, tool, call, arguments, by)
        case {"type": "respond", "text": text}:
            return Instead(call, text, "ok")
        case {"type": "reject", "reason": reason} if reason == TOO_LATE:
            return Instead(call, f"Not run: {TOO_LATE}.")
        case _:
            why = str((decision or {}).get("reason") or "")
            return Instead(call, "Not run: a person refused it" + (f": {why}" if why else "."))


def _edited(
    run: Run, tool: Tool, call: ToolCall, arguments: Mapping[str, JSON], by: str | None
) -> ToolCall | Instead:
    """A call with the arguments that a person gave it."""
    try:
        changed = ToolCall(call.id, call.name, tool.check(arguments))
    except InvalidArguments as problem:
        return Instead(call, f"Not run: the arguments were changed by a person. {problem.message}")
    ruling = tool.ruling(changed.arguments, run.asker)
    if ruling.verdict == "deny":
        why = f"Not run: the arguments were changed by a person, and {ruling.reason}."
        return Instead(call, why, place=ruling.place)
    if why := hopeless(run, changed.name, changed.arguments):
        return Instead(changed, why, "error")
    if ruling.verdict == "ask" and (why := asked_of(run, changed, ruling).refuses(by)):
        return Instead(call, f"Not run: the arguments were changed by a person, and now {why}.")
    return changed


def rendered(run: Run, name: str, arguments: Mapping[str, JSON]) -> tuple[str, str]:
    """What a call will do, as a person reads it: the request, the argv or the statement that will be sent. And the
    digest of it.

    Raises:
        ToolError: a value cannot stand where the tool puts it.
    """
    tool = run.kit.tools.get(name)
    if tool is None:
        raise ToolError(f"There is no tool {name!r} here.")
    found = tool.render(arguments, run.asker)
    return found.shown, tool.digest(found, arguments, run.asker)


def hopeless(run: Run, name: str, arguments: Mapping[str, JSON]) -> str:
    """Why a call cannot even be shown, or empty. Nobody is asked about such a call: the model is told."""
    try:
        rendered(run, name, arguments)
    except GemmagraphError as exc:
        return mask(str(exc))
    return ""


def asked_of(run: Run, call: ToolCall, ruling: Ruling) -> Approval:
    """A call as a person is asked about it."""
    request, digest = rendered(run, call.name, call.arguments)
    deciders = None if ruling.approvers is None else run.kit.deciders(ruling.approvers)
    return Approval(
        id=approval_id(run.asker.thread, call.id),
        tool=call.name,
        arguments=copied(call.arguments),
        request=request,
        reason=f"{ruling.told} (asked for by {run.within.agent})" if run.within else ruling.told,
        user=run.asker.user,
        thread=run.asker.thread,
        channel=run.asker.channel,
        digest=digest,
        call=call.id,
        approvers=ruling.approvers,
        deciders=deciders,
        four_eyes=ruling.four_eyes,
    )


def copied(arguments: Mapping[str, JSON]) -> dict[str, JSON]:
    """Arguments for other people's code, which may change what it is given; what is in the state stays."""
    return {key: deepcopy(value) if isinstance(value, list | dict) else value for key, value in arguments.items()}


def same_call(name: str, arguments: JSON) -> str:
    """The same for calls with the same arguments."""
    return name + _sorted(arguments)
