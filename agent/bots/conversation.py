"""One conversation: what is said in it is answered in its order, one turn at a time."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from gemmagraph.bots import wording
from gemmagraph.bots.answer import Answer, Draft
from gemmagraph.bots.errors import BotError, Revoked
from gemmagraph.bots.files import said_of
from gemmagraph.bots.inbox import Letter, Talk
from gemmagraph.bots.text import Block, plain
from gemmagraph.errors import AgentError, BackendError, GemmagraphError, HandedBack, NeedsDecision, StoreError
from gemmagraph.events import RunFinished
from gemmagraph.run import Result

if TYPE_CHECKING:
    from gemmagraph.agent import Agent
    from gemmagraph.approvals import Approval
    from gemmagraph.bots.bot import Bot

log: Final = logging.getLogger("gemmagraph.bots")

_AGAIN: Final = 2.0
"""Seconds until the store is tried again."""
_LEAVING: Final = 5.0


class Conversation:
    """Of one bot. It works by itself as long as something is to be answered."""

    def __init__(self, bot: Bot, talk: Talk) -> None:
        self.talk = talk
        self._bot = bot
        self._letters: deque[Letter] = deque()
        self._work: asyncio.Task[None] | None = None
        self._begun = False
        """Whether the model was asked about the first letter."""
        self._asking = False
        """Whether a run is at work."""
        self._stopped = asyncio.Event()
        """Set when people want no answer to the first letter any more."""

    @property
    def idle(self) -> bool:
        return self._work is None or self._work.done()

    @property
    def resting(self) -> bool:
        """Whether nothing is to be done but what people have to decide."""
        return self.idle or self._bot.decisions.waits(self.talk.key)

    @property
    def state(self) -> str:
        """What it does just now, for people."""
        if self.idle or not self._letters:
            return "idle"
        behind = len(self._letters) - 1
        more = f", {behind} more to come" if behind else ""
        waits = "waiting for a decision" if self._letters[0].state == "waiting" else "waiting for the model"
        return f"{'working' if self._begun and self._letters[0].state == 'new' else waits}{more}"

    def add(self, letter: Letter) -> None:
        self._letters.append(letter)
        if self.idle:
            self._work = asyncio.create_task(self._answer_all())
        elif self._letters[0].state == "waiting" and len(self._letters) == 2:  # once is enough
            self._bot.tell(f"later:{letter.number}", self.talk.place, [wording.after_decision()])

    def change(self, letter: Letter) -> bool:
        """Takes another text for a letter; returns whether that was in time."""
        for index, waiting in enumerate(self._letters):
            if waiting.number == letter.number and not (index == 0 and self._begun):
                self._letters[index] = letter
                return True
        return False

    async def drop(self, message: str) -> None:
        """A message was taken away: it is not answered."""
        for index, letter in enumerate(self._letters):
            if letter.message.id == message:
                if index == 0:
                    await self._stop_first()
                else:
                    del self._letters[index]
                    await self._bot.inbox.settle(letter, "done")
                return

    async def stop(self, before: int) -> bool:
        """Ends what is at work, and what waits behind it; returns whether there was anything.

        Args:
            before: the number of the letter that wants it: what was said after that is answered.
        """
        if not self._letters or self._letters[0].number > before:
            return False
        rest = [letter for letter in self._letters if letter.number < before][1:]
        for letter in rest:
            self._letters.remove(letter)
        await self._stop_first()
        for letter in rest:
            await self._bot.inbox.settle(letter, "done")
        return True

    async def _stop_first(self) -> None:
        self._stopped.set()
        if self._begun or self._letters[0].state == "waiting":
            await self._cancel()
        self._bot.decisions.wake(self.talk.key)

    async def _cancel(self) -> None:
        if (agent := self._bot.agent_of(self.talk.place)) is not None:
            await asyncio.to_thread(agent.cancel, self.talk.thread)

    async def end(self) -> None:
        """Leaves off; what is not answered stays in the inbox, and a turn at work is left to whoever goes on with
        it."""
        if self._work is None:
            return
        agent = self._bot.agent_of(self.talk.place)
        patience = time.monotonic() + _LEAVING
        while agent is not None and self._asking and not self._work.done() and time.monotonic() < patience:
            agent.hand_back(self.talk.thread)
            await asyncio.wait([self._work], timeout=0.05)
        self._work.cancel()
        await asyncio.wait([self._work])

    async def finished(self) -> None:
        """Returns when nothing is at work; what waits for people does not count."""
        while self._work is not None and self._begun and not self.resting:
            await asyncio.wait([self._work], timeout=0.1)

    async def _answer_all(self) -> None:
        while self._letters:
            self.talk = self._bot.inbox.talks[self.talk.key]  # it may have begun anew
            try:
                await self._answer_first(self._letters[0])
            except Revoked as exc:
                self._bot.fail(exc)
                return
            except StoreError as exc:
                if isinstance(exc, HandedBack):
                    return  # another process answers
                log.error("store", extra={"bot": self._bot.name, "details": {"why": exc.message}})
                await asyncio.sleep(_AGAIN)
                continue  # if another process has the turn, it is waited for, and its answer is found
            self._letters.popleft()
            self._begun = False
            self._stopped.clear()
            if self._bot.closing:
                return

    async def _answer_first(self, letter: Letter) -> None:
        bot = self._bot
        if (agent := bot.agent_of(letter.message.place)) is not None:
            try:
                async with Answer(bot.outbox, bot.adapter, f"a:{letter.number}", self.talk.place) as answer:
                    await answer.finish(await self._whole(letter, agent, answer))
            except (StoreError, Revoked):
                raise
            except Exception:  # not even that could be said
                log.exception("a bug", extra={"bot": bot.name, "conversation": self.talk.key})
        await bot.inbox.settle(letter, "done")

    async def _whole(self, letter: Letter, agent: Agent, answer: Answer) -> list[Block]:
        """The whole answer to a letter, or why there is none."""
        try:
            return await self._blocks(letter, agent, answer)
        except (StoreError, Revoked):
            raise
        except GemmagraphError as exc:
            await self._bot.audit.note("failed", self._bot.person(letter.message), self.talk.key, why=str(exc))
            if isinstance(exc, BotError | AgentError):  # written for who asks
                return [plain(exc.message)]
            return [wording.no_model() if isinstance(exc, BackendError) else wording.fault()]
        except Exception:
            log.exception("a bug", extra={"bot": self._bot.name, "conversation": self.talk.key})
            return [wording.fault()]

    async def _blocks(self, letter: Letter, agent: Agent, answer: Answer) -> list[Block]:
        bot, person = self._bot, self._bot.person(letter.message)
        result: Result | None = None
        said: Sequence[Any] | None = None
        if letter.state == "new":
            await bot.audit.note("message", person, self.talk.key, event=letter.event)
            said = await said_of(letter, bot.adapter, sees=agent.model.sees)
        while result is None or result.stop == "needs_approval":
            if result is not None or letter.state == "waiting":
                asked = await bot.store.questions.of(self.talk.thread)
                begun = wording.until_decided(result.text if result is not None else "", bot.hosts)
                await answer.leave(begun, f"a:{letter.number}:{len(asked)}")  # the same after a restart
                letter = await self._decided(letter, [one.approval for one in asked if one.decision is None])
                said = None
            try:
                async with self._place(letter, answer):
                    if self._stopped.is_set() and said is not None:
                        return [wording.note("Stopped before I began.")]
                    self._begun = True
                    if said is not None and self._letters[0] is not letter:  # it was changed while it waited in line
                        letter = self._letters[0]
                        said = await said_of(letter, bot.adapter, sees=agent.model.sees)
                    result = await self._run(agent, letter, said, answer)
            except NeedsDecision as exc:  # about what was said before; this letter was not taken yet
                await bot.decisions.ask(self.talk, exc.pending)
                await bot.decisions.settle(self.talk)
        if letter.state == "waiting":  # of several calls, some may have been decided just before the run went on
            await bot.decisions.settle(self.talk)
        if self._stopped.is_set():
            result = replace(result, stop="cancelled")
        for call in result.calls:
            await bot.audit.note("call", person, self.talk.key, tool=call.name, status=call.status)
        await bot.audit.note(
            "answer",
            person,
            self.talk.key,
            event=letter.event,
            stop=result.stop,
            read=result.usage.input_tokens,
            written=result.usage.output_tokens,
        )
        prevented = any(call.status == "refused" for call in result.calls)
        asked = await bot.store.questions.of(self.talk.thread) if prevented else []
        approved = [one.approval for one in asked if (one.decision or {}).get("type") in ("approve", "edit")]
        return wording.answer(result, agent.tools, bot.hosts, approved)

    async def _decided(self, letter: Letter, pending: Sequence[Approval]) -> Letter:
        """Waits until somebody has decided about one of these calls, and shows it."""
        bot = self._bot
        waiting = letter if letter.state == "waiting" else replace(letter, state="waiting")
        if self._letters[0].state != "waiting":
            await bot.inbox.settle(waiting, "waiting")
            self._letters[0] = waiting
        if pending and not self._stopped.is_set():
            await bot.decisions.ask(self.talk, pending)
        await bot.decisions.settle(self.talk)
        return waiting

    async def _run(self, agent: Agent, letter: Letter, said: Sequence[Any] | None, answer: Answer) -> Result:
        bot, message = self._bot, letter.message
        draft = Draft(bot.hosts)
        events = agent.stream(
            said,
            thread=self.talk.thread,
            user=bot.person(message),
            channel=bot.rooms.channel(message.place),
        )
        self._asking = True
        try:
            async with aclosing(events):
                async for event in events:
                    if isinstance(event, RunFinished):
                        return event.result
                    if self._stopped.is_set():  # perhaps it was not there yet when it was told to end
                        await self._cancel()
                    if draft.take(event):
                        answer.show(draft.blocks)
        finally:
            self._asking = False
        raise AssertionError("a run ends with RunFinished")

    @asynccontextmanager
    async def _place(self, letter: Letter, answer: Answer) -> AsyncIterator[None]:
        """A place at the model; whoever waits for long is told."""
        person = self._bot.person(letter.message)

        async def tell() -> None:
            await asyncio.sleep(self._bot.patience)
            told = -1
            while True:
                if told != (told := self._bot.line.before(person)):
                    await self._tell(letter, answer, told)
                await asyncio.sleep(1)

        telling = asyncio.create_task(tell())
        stopped = asyncio.create_task(self._stopped.wait())
        place = self._bot.line.place(person)
        coming = asyncio.ensure_future(place.__aenter__())
        try:
            await asyncio.wait([coming, stopped], return_when=asyncio.FIRST_COMPLETED)
            telling.cancel()
            if not coming.done():
                coming.cancel()  # what was stopped needs none
            yield
        finally:
            for task in (coming, stopped, telling):
                task.cancel()
            if coming.done() and not coming.cancelled():
                await place.__aexit__(None, None, None)

    async def _tell(self, letter: Letter, answer: Answer, before: int) -> None:
        if self._bot.adapter.traits.edits:
            answer.show(lambda: [wording.ahead(before)])
        else:
            await self._bot.outbox.put(f"busy:{letter.number}", self.talk.place, [wording.ahead(before)])
