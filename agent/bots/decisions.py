"""Calls that wait for a person, in a channel: asked about in the conversation, decided by a button, a reaction or a
typed code. What counts is who decides: by the id that the service vouches for."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from gemmagraph import deciding
from gemmagraph.approvals import Approval, Approve, Decision, Edit, Reject
from gemmagraph.asked import settled
from gemmagraph.bots import wording
from gemmagraph.bots.base import Place
from gemmagraph.bots.inbox import Talk
from gemmagraph.bots.text import plain
from gemmagraph.errors import AgentError
from gemmagraph.store.questions import CANCELLED, SHORTEST, TOO_LATE, Question

if TYPE_CHECKING:
    from gemmagraph.agent import Agent
    from gemmagraph.bots.audit import Audit
    from gemmagraph.bots.base import Adapter
    from gemmagraph.bots.outbox import Outbox
    from gemmagraph.bots.text import Block
    from gemmagraph.prompts.messages import JSON
    from gemmagraph.store.session import Session
    from gemmagraph.store.store import Store

_CODE: Final = re.compile(r"[0-9a-f]{1,12}")
_ASK: Final = "ask:"
_END: Final = "/end"
"""Around an approval's id: the keys of its question, and of what was decided."""
_NOTED: Final = "/noted"
"""Behind it: the key of that the decision is in the audit."""
_REASON: Final = 500
"""Characters of a reason that are kept."""
_LOOK: Final = 2.0
"""Seconds between two looks at what was decided elsewhere, or not in time."""


class Decisions:
    """Of one bot.

    Args:
        agent_of: gives the agent of a conversation, if it answers there still.
        talk_of: gives the conversation that a thread of the store is.
        soon: does something that may take long, as what is said does when the service wants a pause.
    """

    def __init__(
        self,
        store: Store,
        adapter: Adapter,
        outbox: Outbox,
        audit: Audit,
        agent_of: Callable[[Place], Agent | None],
        talk_of: Callable[[str], Talk | None],
        soon: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self._store = store
        self._adapter = adapter
        self._outbox = outbox
        self._audit = audit
        self._agent_of = agent_of
        self._talk_of = talk_of
        self._soon = soon
        self._waiting: dict[str, tuple[Talk, asyncio.Event]] = {}
        """By approval."""
        self._asked: dict[str, asyncio.Event] = {}
        """By conversation: people see the question."""
        self._deciding = asyncio.Lock()
        """Held until a decision made here is in the audit, too."""

    async def ask(self, talk: Talk, pending: Sequence[Approval]) -> None:
        """Asks, and returns when at least one of these is decided, wherever and however."""
        news = asyncio.Event()
        for approval in pending:
            self._waiting[approval.id] = talk, news
        try:
            for approval in pending:
                asked = await self._outbox.said(_key(approval)) is not None
                if not asked:
                    await self._audit.note(
                        "asked", approval.user or "", talk.key, approval=approval.id, tool=approval.tool
                    )  # first: somebody may decide as soon as it is shown
                if not asked or self._adapter.traits.forgets:
                    await self._show(talk, Question(approval))
            self._asked[talk.key] = news
            await news.wait()
        finally:
            self._asked.pop(talk.key, None)
            for approval in pending:
                self._waiting.pop(approval.id, None)

    def waits(self, talk: str) -> bool:
        """Whether a conversation waits for people, who can see what for."""
        return talk in self._asked and not self._asked[talk].is_set()

    def wake(self, talk: str) -> None:
        """Lets a conversation look for itself."""
        for waiting, news in self._waiting.values():
            if waiting.key == talk:
                news.set()

    async def settle(self, talk: Talk) -> None:
        """Shows what was decided in a conversation."""
        for identity in await self._store.do(lambda session: _standing(session, talk)):
            question = await self._store.questions.get(identity)
            if question.decision is not None:
                await self._show(talk, question)

    async def watch(self) -> None:
        """Looks for decisions made elsewhere, and for those that nobody makes in time; without end."""
        while True:
            await asyncio.sleep(_LOOK)
            if not self._waiting:
                continue
            open_ones = {question.approval.id for question in await self._store.questions.pending()}
            for identity, (_, news) in list(self._waiting.items()):
                if identity not in open_ones:
                    news.set()

    async def pending(self, place: Place) -> list[Approval]:
        """What waits in the channel of a place."""
        waiting = await self._store.questions.pending()
        return [one.approval for one in waiting if self._talk_in(place, one.approval) is not None]

    async def decide(self, identity: str, decision: Decision, person: str | None, place: Place) -> str:
        """Writes a decision down; gives what the person should be told: nothing, if it counts or was made before.

        Args:
            identity: of the approval, or how it begins.
            place: where it was decided: the channel in which it was asked.
        """
        if len(identity) < SHORTEST:
            return f"{identity!r} is too short: give at least {SHORTEST} characters of the code."
        question = await self._meant(identity.lower(), place)
        talk = None if question is None else self._talk_in(place, question.approval)
        agent = None if talk is None else self._agent_of(talk.place)
        if question is None or talk is None or agent is None:
            return f"There is no approval {identity[:12]!r} in this channel."
        approval = question.approval
        if question.decision is not None:
            self._soon(self._show(talk, question))
            same = question.decider == person and person is not None and _is(decision, question)
            return "" if same else f"It was decided before: {settled(question)}"
        if person is None:
            return "I do not know for certain who you are, so you cannot decide."
        async with self._deciding:
            try:
                await deciding.decide(
                    self._store.questions, agent.tools, talk.thread, {approval.id: decision}, person
                )
            except AgentError as exc:
                await self._audit.note("refused", person, talk.key, approval=approval.id, why=exc.message)
                return exc.message
            await self._note(talk, approval, person, said=_verb(decision))
        if approval.id in self._waiting:
            self._waiting[approval.id][1].set()
        return ""

    async def knows(self, identity: str, place: Place) -> bool:
        """Whether there is such an approval in the channel of a place, decided or not."""
        question = await self._meant(identity.lower(), place)
        return question is not None and self._talk_in(place, question.approval) is not None

    async def _meant(self, identity: str, place: Place) -> Question | None:
        """The approval that begins so: what waits in this channel before what was decided, or is elsewhere."""
        if not _CODE.fullmatch(identity):
            return None
        waiting = [one for one in await self._store.questions.pending() if one.approval.id.startswith(identity)]
        here = [one for one in waiting if self._talk_in(place, one.approval) is not None]
        if len(here) == 1:
            return here[0]
        try:
            return await self._store.questions.get(identity)
        except AgentError:  # there is none, or there are several
            return None

    def _talk_in(self, place: Place, approval: Approval) -> Talk | None:
        """The conversation that an approval is of, if that is in the channel of a place."""
        talk = self._talk_of(approval.thread or "")
        return talk if talk is not None and talk.place.shares_channel(place) else None

    async def _note(self, talk: Talk, approval: Approval, person: str, **said: JSON) -> None:
        once = f"{_key(approval)}{_NOTED}"
        await self._audit.note("decision", person, talk.key, once, approval=approval.id, **said)

    async def _note_elsewhere(self, talk: Talk, question: Question) -> None:
        """Notes what was decided by way of the store, or by nobody in time."""
        decision = question.decision or {}
        nobody = question.decider is None and decision.get("reason") in (TOO_LATE, CANCELLED)
        how = {"why": decision["reason"]} if nobody else {"way": "store"}
        async with self._deciding:
            await self._note(talk, question.approval, question.decider or "", said=decision["type"], **how)

    async def _show(self, talk: Talk, question: Question) -> None:
        place, key, traits = talk.place, _key(question.approval), self._adapter.traits
        over = f"{key}{_END}"
        if question.decision is None:
            blocks = self._fitting(lambda most: wording.question(question.approval, traits.command, most))
            await self._outbox.put(key, place, blocks, wording.choices(question.approval))
        elif await self._outbox.said(key) is not None and await self._outbox.said(over) is None:
            await self._note_elsewhere(talk, question)
            if traits.edits:
                await self._outbox.put(key, place, self._fitting(lambda most: wording.decided(question, most)))
                await self._outbox.note(over)
            else:
                await self._outbox.put(over, place, [plain(settled(question))])

    def _fitting(self, blocks: Callable[[int], list[Block]]) -> list[Block]:
        """With as much of a request as one message has room for."""
        most = wording.REQUEST
        while most > 50 and self._adapter.length(blocks(most)) > self._adapter.traits.most:
            most = most * 3 // 4
        return blocks(most)


def _key(approval: Approval) -> str:
    return f"{_ASK}{approval.id}"


def _standing(session: Session, talk: Talk) -> list[str]:
    """The approvals of a conversation whose question stands there, and not yet what was decided."""
    said = "EXISTS (SELECT 1 FROM bot_outbox WHERE bot = ? AND key = '{}' || id || '{}' AND state = 'sent')"
    rows = session.rows(
        f"SELECT id FROM approvals WHERE thread = ? AND {said.format(_ASK, '')} AND NOT {said.format(_ASK, _END)}"
        " ORDER BY created, id",
        *(talk.thread, talk.bot, talk.bot),
    )
    return [identity for (identity,) in rows]


def approval_of(key: str | None) -> str:
    """The approval that a message of the bot asks about, by the key of the message; empty if it asks nothing."""
    return key.removeprefix(_ASK) if key is not None and key.startswith(_ASK) else ""


def _verb(decision: Decision) -> str:
    return type(decision).__name__.lower()


def _is(decision: Decision, question: Question) -> bool:
    """Whether this is what was decided; other words of a reason are no other decision."""
    kept = question.decision or {}
    if isinstance(decision, Edit) and kept.get("arguments") != decision.arguments:
        return False
    return kept.get("type") == _verb(decision)


def decision_of(verb: str, reason: str = "", arguments: Mapping[str, JSON] | None = None) -> Decision:
    if verb == "approve":
        return Approve()
    if verb == "edit" and arguments is not None:
        return Edit(arguments)
    return Reject(reason[:_REASON])
