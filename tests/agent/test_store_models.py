"""Approvals, turns and spending against simple models of them, in many orders of what may happen."""

import asyncio
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from gemmagraph import Agent, Approve, Gemma, Reject, Respond, tool
from gemmagraph.approvals import decision_as_json
from gemmagraph.backends.scripted import ScriptedBackend
from gemmagraph.errors import AgentError, NeedsDecision, TurnLost
from gemmagraph.prompts.messages import ToolCall
from gemmagraph.store.spending import Allowance
from gemmagraph.store.store import Store
from gemmagraph.store.turns import Turn, _leave
from gemmagraph.tools import ToolContext

HEALTHY = [HealthCheck.too_slow, HealthCheck.filter_too_much]
EVERYDAY = settings(max_examples=8, stateful_step_count=15, deadline=None, suppress_health_check=HEALTHY)
LONG = settings(max_examples=200, stateful_step_count=30, deadline=None, suppress_health_check=HEALTHY)


class OnStore(RuleBasedStateMachine):
    """A store in a file, with a clock that can be set."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.time = 1_000.0
        self.stores: list[Store] = []

    def store(self) -> Store:
        """As another process opens it."""
        store = Store(Path(self.folder.name) / "agent.db", lease=15)
        open_session = store._workers._open_session

        def opened():
            session = open_session()
            session.now = lambda: self.time
            session._connection.execute("PRAGMA synchronous=OFF")
            return session

        store._workers._open_session = opened
        self.stores.append(store)
        return store

    def teardown(self) -> None:
        for store in self.stores:
            store.close()
        self.folder.cleanup()


def says(request):
    last = request.messages[-1]["content"]
    return 'FUNCTION_CALL: destroy(n="a")' if "please, destroy it" in last else "Fine."


DECISIONS = {"approve": Approve(), "reject": Reject("no"), "respond": Respond("done by hand")}


class Approvals(OnStore):
    """Calls of ann's, which only she may decide about."""

    def __init__(self) -> None:
        super().__init__()
        self.done: Counter[str | None] = Counter()
        self.agents = [self.agent(), self.agent()]
        self.asked: list[tuple[str, str, float]] = []
        """Thread, id, and when it expires."""
        self.decided: dict[str, str] = {}
        self.resumed: set[str] = set()

    def agent(self) -> Agent:
        @tool(destructive=True)
        def destroy(n: str, context: ToolContext) -> str:
            """Destroys."""
            self.done[context.thread] += 1
            return "destroyed"

        return Agent(Gemma(ScriptedBackend([says] * 500)), [destroy], store=self.store())

    @rule(who=st.integers(0, 1))
    def ask(self, who):
        thread = f"t{len(self.asked)}"
        result = self.agents[who].run("please, destroy it", thread=thread, user="ann")
        assert result.stop == "needs_approval"
        (approval,) = result.pending
        self.asked.append((thread, approval.id, self.time + 900))

    def pick(self, data):
        return data.draw(st.sampled_from(self.asked))

    def late(self, identity, expires):
        """Whether its time is over; then it is refused."""
        if identity not in self.decided and expires < self.time:
            self.decided[identity] = "expired"
        return identity in self.decided

    @precondition(lambda self: self.asked)
    @rule(
        who=st.integers(0, 1),
        data=st.data(),
        word=st.sampled_from(sorted(DECISIONS)),
        by=st.sampled_from(["ann", "bob", None]),
        stale=st.booleans(),
    )
    def resume_with(self, who, data, word, by, stale):
        thread, identity, expires = self.pick(data)
        foreign = [other for other, *_ in self.asked if other != thread]
        if stale and foreign:
            with pytest.raises(AgentError, match="is no approval of the thread"):
                self.agents[who].resume(foreign[0], {identity: DECISIONS[word]}, by=by)
            return
        if self.late(identity, expires) or by != "ann":
            with pytest.raises(AgentError):
                self.agents[who].resume(thread, {identity: DECISIONS[word]}, by=by)
            return
        self.decided[identity] = word
        self.resumed.add(thread)
        assert self.agents[who].resume(thread, {identity: DECISIONS[word]}, by=by).text == "Fine."

    @precondition(lambda self: self.asked)
    @rule(who=st.integers(0, 1), data=st.data(), word=st.sampled_from(sorted(DECISIONS)))
    def decide_elsewhere(self, who, data, word):
        """Only written down: whoever did it died before the thread was resumed."""
        _, identity, expires = self.pick(data)
        store = self.agents[who]._store
        asked = asyncio.run(store.questions.get(identity)).approval
        late = self.late(identity, expires)
        kept = decision_as_json(DECISIONS[word], asked.digest, "ann")
        question, mine = asyncio.run(store.questions.decide(identity, kept, "ann"))
        assert mine != late
        self.decided.setdefault(identity, word)
        assert question.decision["type"] == {"expired": "reject"}.get(*[self.decided[identity]] * 2)

    @precondition(lambda self: self.asked)
    @rule(who=st.integers(0, 1), data=st.data())
    def resume(self, who, data):
        thread, identity, expires = self.pick(data)
        result = self.agents[who].resume(thread)
        if self.late(identity, expires):
            self.resumed.add(thread)
            assert result.text == "Fine."
        else:
            assert [approval.id for approval in result.pending] == [identity]

    @precondition(lambda self: self.asked)
    @rule(who=st.integers(0, 1), data=st.data())
    def say_more(self, who, data):
        thread, identity, expires = self.pick(data)
        if self.late(identity, expires):
            self.resumed.add(thread)
            assert self.agents[who].run("thanks", thread=thread, user="ann").text == "Fine."
        else:
            with pytest.raises(NeedsDecision):
                self.agents[who].run("thanks", thread=thread, user="ann")

    @rule(seconds=st.sampled_from([1, 400, 901]))
    def time_passes(self, seconds):
        self.time += seconds

    @rule(who=st.integers(0, 1))
    def restart(self, who):
        self.agents[who]._store.close()
        self.agents[who] = self.agent()

    @invariant()
    def what_was_approved_runs_once_and_nothing_else_runs(self):
        for thread, identity, _ in self.asked:
            approved = thread in self.resumed and self.decided.get(identity) == "approve"
            assert self.done[thread] == int(approved)


class Queue(OnStore):
    """The turns of one thread, for owners of which each may be silent for as long as it likes."""

    OWNERS = ("a", "b", "c", "d")

    def __init__(self) -> None:
        super().__init__()
        self.one = self.store()
        self.queue: list[tuple[str, int, float]] = []
        """Owner, ticket, and until when it need not be heard of."""
        self.held: dict[str, object] = {}
        """The turn of each owner that believes to have it."""
        self.given: list[int] = []
        self.calls = 0
        self.unwanted: set[int] = set()
        """Tickets whose run somebody wants to end, or that of one before it that is gone."""

    def do(self, work):
        def whole(session):
            with session.writing():
                return work(session)

        return asyncio.run(self.one._workers.do(whole))

    @rule(owner=st.sampled_from(OWNERS))
    def look(self, owner):
        seen = self.do(lambda session: self.one.turns._look(session, "t", owner))
        known = {who for who, *_ in self.queue}
        numbers = dict(asyncio.run(self.one._workers.do(lambda s: s.rows("SELECT owner, ticket FROM turns"))))
        if owner not in known:
            assert all(numbers[owner] > ticket for _, ticket, _ in self.queue)
            self.queue.append((owner, numbers[owner], 0))
        self.queue = [
            (who, ticket, self.time + 15 if who == owner else until)
            for who, ticket, until in self.queue
            if who == owner or until >= self.time
        ]
        assert numbers == {who: ticket for who, ticket, _ in self.queue}
        if self.unwanted - {*numbers.values()}:
            self.unwanted = self.unwanted & {*numbers.values()} | {self.queue[0][1]}
        assert seen.cancelled == (self.queue[0][1] in self.unwanted)
        if self.queue[0][0] == owner:
            assert seen.first
            assert seen.ticket == self.queue[0][1]
            self.held[owner] = Turn("t", seen.ticket)
            if seen.ticket not in self.given:
                self.given.append(seen.ticket)
        else:
            assert not seen.first

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def write(self, data):
        owner = data.draw(st.sampled_from(sorted(self.held)))
        turn = self.held[owner]
        self.calls += 1
        starts = self.one.journal.start(turn, ToolCall(f"c{self.calls}", "act", {}), repeatable=False)
        if turn.ticket in [ticket for _, ticket, _ in self.queue]:
            assert asyncio.run(starts) is None
        else:
            with pytest.raises(TurnLost):
                asyncio.run(starts)

    @rule(owner=st.sampled_from(OWNERS))
    def leave(self, owner):
        written = []
        turn = self.held.pop(owner, None)
        last = [] if turn is None else [written.append]
        asyncio.run(self.one._workers.do(lambda session: _leave(session, "t", owner, last)))
        there = owner in [who for who, *_ in self.queue]
        assert len(written) == int(there and turn is not None)
        self.unwanted -= {ticket for who, ticket, _ in self.queue if who == owner}
        self.queue = [entry for entry in self.queue if entry[0] != owner]

    @rule()
    def cancel(self):
        alive = [ticket for _, ticket, until in self.queue if until >= self.time]
        assert asyncio.run(self.one.turns.cancel("t")) == bool(alive)
        self.unwanted.update(alive[:1])

    @rule(seconds=st.sampled_from([1.0, 7.0, 15.5]))
    def time_passes(self, seconds):
        self.time += seconds

    @invariant()
    def one_at_a_time_in_their_order(self):
        there = {ticket for _, ticket, _ in self.queue}
        assert len([turn for turn in self.held.values() if turn.ticket in there]) <= 1
        assert self.given == sorted(self.given)


class Limits(OnStore):
    """What two people spend."""

    ALLOWANCES = (
        Allowance("runs", 2, 60.0),
        Allowance("calls", 5, 100.0),
        Allowance("tokens", 1_000, 3_600.0),
        Allowance("runs", 4, 500.0),
    )

    def __init__(self) -> None:
        super().__init__()
        self.spending = self.store().spending
        self.runs: dict[str, list] = {}
        """Person, time, calls, tokens."""

    def used(self, person, allowance, now):
        amounts = {"runs": lambda calls, tokens: 1, "calls": lambda calls, tokens: calls}
        amount = amounts.get(allowance.what, lambda calls, tokens: tokens)
        found = [run for run in self.runs.values() if run[0] == person and now - allowance.seconds < run[1] <= now]
        return sum(amount(calls, tokens) for _, _, calls, tokens in found)

    @rule(
        person=st.sampled_from(["ann", "bob"]),
        allowances=st.lists(st.sampled_from(ALLOWANCES), min_size=1, max_size=3, unique=True),
    )
    def begin(self, person, allowances):
        run = f"r{len(self.runs)} {self.time}"
        full, wait = asyncio.run(self.spending.begin(run, person, allowances))
        over = [one for one in allowances if self.used(person, one, self.time) >= one.most]
        assert full == (over[0] if over else None)
        if full is None:
            assert wait == 0
            self.runs[run] = [person, self.time, 0, 0]
            assert asyncio.run(self.spending.begin(run, person, allowances)) == (
                None,
                0.0,
            )  # asked twice, counted once
        else:
            assert self.used(person, full, self.time + wait - 0.001) >= full.most
            assert self.used(person, full, self.time + wait) < full.most

    @precondition(lambda self: self.runs)
    @rule(data=st.data(), calls=st.integers(0, 4), tokens=st.integers(0, 900))
    def end(self, data, calls, tokens):
        run = data.draw(st.sampled_from(sorted(self.runs)))
        self.runs[run][2:] = [calls, tokens]
        asyncio.run(self.spending.end(run, calls=calls, tokens=tokens))

    @rule(seconds=st.sampled_from([1.0, 30.0, 60.0, 400.0, 3_600.0]))
    def time_passes(self, seconds):
        self.time += seconds


MACHINES = [Approvals, Queue, Limits]


@pytest.mark.parametrize("machine", MACHINES)
def test_it_is_as_its_model_in_some_orders(machine):
    run_state_machine_as_test(machine, settings=EVERYDAY)


@pytest.mark.long
@pytest.mark.parametrize("machine", MACHINES)
def test_it_is_as_its_model_in_many_orders(machine):
    run_state_machine_as_test(machine, settings=LONG)
