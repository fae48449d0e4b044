"""The threads of an agent, as its users reach them: to read, to fork, to go on with, to end."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gemmagraph.approvals import Approval
from gemmagraph.given import named
from gemmagraph.handing import copy_of
from gemmagraph.run import Result
from gemmagraph.running import Runs, stored
from gemmagraph.store.store import Store
from gemmagraph.tools import ToolContext, run_sync

if TYPE_CHECKING:
    from langchain_core.messages import AnyMessage

    from gemmagraph.forking import Step


class Threaded:
    """What an `Agent` can do with its threads."""

    _runs: Runs | None
    """None: no model was chosen yet."""
    _store: Store | None

    @abstractmethod
    async def runs(self) -> Runs:
        """Its runs. The model is chosen now, if none was named."""

    def history(self, thread: str) -> list[AnyMessage]:
        """The messages of a thread so far.

        Raises:
            AgentError: there is no such thread.
        """
        return run_sync(self.ahistory(thread))

    async def ahistory(self, thread: str) -> list[AnyMessage]:
        """`history`, for async code."""
        return [*map(copy_of, await (await self.runs()).messages(named("thread", thread)))]

    def steps(self, thread: str) -> list[Step]:
        """The steps of a thread so far, the oldest first: what was said, what the model answered, what people
        decided, which tools ran. `fork` takes the number of one.

        Raises:
            AgentError: there is no such thread.
        """
        return run_sync(self.asteps(thread))

    async def asteps(self, thread: str) -> list[Step]:
        """`steps`, for async code."""
        return await (await self.runs()).steps(named("thread", thread))

    def fork(self, thread: str, step: int | None = None, *, into: str | None = None) -> str:
        """Makes a thread that begins as another was at one of its steps, and gives its name. The other stays as it
        is. Calls that had no result by then are not made.

        Args:
            step: its number; unless said, the last one.
            into: the name of the new thread.

        Raises:
            AgentError: there is no such thread or step, or there is a thread of that name already.
        """
        return run_sync(self.afork(thread, step, into=into))

    async def afork(self, thread: str, step: int | None = None, *, into: str | None = None) -> str:
        """`fork`, for async code."""
        if into is not None:
            named("into", into)
        return await (await self.runs()).fork(named("thread", thread), step, into)

    def resume(
        self, thread: str, decisions: Mapping[str, Any] | Sequence[Any] = (), *, by: str | None = None
    ) -> Result:
        """Goes on with a thread where it is: after people have decided, or after a process was ended in the middle.

        Args:
            decisions: what was decided about calls that wait: `Approve()`, `Edit(arguments)`, `Reject(reason)` or
                `Respond(text)`, by the id of the approval; what LangChain's review by people answers works too.
            by: who has decided.

        Raises:
            AgentError: there is no such thread, or a decision cannot be taken as it is; none of them was.
            BackendError, StoreError: as `run` does.
        """
        return run_sync(self.aresume(thread, decisions, by=by))

    async def aresume(
        self, thread: str, decisions: Mapping[str, Any] | Sequence[Any] = (), *, by: str | None = None
    ) -> Result:
        """`resume`, for async code."""
        from gemmagraph.deciding import decide

        named("thread", thread)
        store, runs = stored(self._store, "resume"), await self.runs()
        if decisions is not None and decisions != () and decisions != {} and decisions != []:
            await decide(store.questions, runs.kit.tools, thread, decisions, by)
        return await runs.go(runs.new(ToolContext(thread=thread)), None)

    def approvals(self) -> list[Approval]:
        """The calls that wait for a person, of all threads of the store; the first first.

        Raises:
            AgentError: there is no store, so nothing waits.
        """
        return run_sync(self.aapprovals())

    async def aapprovals(self) -> list[Approval]:
        """`approvals`, for async code."""
        return [question.approval for question in await stored(self._store, "approvals").questions.pending()]

    def hand_back(self, thread: str) -> bool:
        """Leaves the run on a stored thread as it is, because the process ends: it raises `HandedBack`, and whoever
        resumes the thread goes on with it. Returns whether one was at work."""
        return self._runs is not None and self._runs.hand_back(thread)

    def cancel(self, thread: str) -> bool:
        """Ends the run on `thread` cleanly: what was done is kept, and its result says `cancelled`. Returns
        whether one was running; with a store, also in another process, or waiting for a person or for `resume`."""
        named("thread", thread)
        if self._runs is None and self._store is None:
            return False
        return (self._runs or run_sync(self.runs())).cancel(thread)
