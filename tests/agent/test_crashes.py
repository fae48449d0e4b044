"""A process that is killed, wherever it is: what was said is answered, what was done is not done again, and what is
not known is said. Seen from outside: the file that the tools write, the database, and processes that come after."""

import random
import signal
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

pytest_plugins = ("crashes", "postgres")

if TYPE_CHECKING:
    from crashes import Conversation

PLANS = ["act:a", "act:a act:b", "destroy:a", "destroy:a destroy:b"]


def killed_at(conversation: "Conversation", deciding: bool, at: str, n: int) -> None:
    """Kills the process that says it, or the one that decides, at a point; then it goes on."""
    if deciding:
        conversation.say()
        ended = conversation.decides(kill={"at": at, "n": n})
    else:
        ended = conversation.say(kill={"at": at, "n": n})
    assert ended["code"] == -9, f"it never came to {at} the {n}. time"
    conversation.goes_on()
    conversation.check()


NAMED = {
    "before it is accepted": (False, "before INSERT inputs", 1),
    "while it is accepted": (False, "before commit", 1),
    "when it is accepted": (False, "after commit", 1),
    "before the first checkpoint": (False, "before checkpoint", 1),
    "after the first checkpoint": (False, "after checkpoint", 1),
    "before the model's writes": (False, "before writes", 2),
    "after the model's writes": (False, "after commit", 2),
    "before the intent": (False, "before INSERT calls", 1),
    "after the intent": (False, "after INSERT calls", 1),
    "before the effect": (False, "before effect", 1),
    "in the effect": (False, "after effect", 1),
    "before the result": (False, "before UPDATE calls", 1),
    "after the result": (False, "after UPDATE calls", 1),
    "before the approval is there": (False, "before INSERT approvals", 1),
    "after the approval is there": (False, "after INSERT approvals", 1),
    "before the question": (False, "before question", 1),
    "after the question": (False, "after question", 1),
    "before the decision": (True, "before UPDATE approvals", 1),
    "between decision and resume": (True, "after UPDATE approvals", 1),
    "before the answer is saved": (True, "before writes", 1),
    "between resume and effect": (True, "before effect", 1),
    "in the effect of what was approved": (True, "after effect", 1),
    "before the last checkpoint": (True, "before checkpoint", 3),
    "before it is settled": (True, "before UPDATE inputs", 1),
}


@pytest.mark.parametrize(("deciding", "at", "n"), NAMED.values(), ids=NAMED)
def test_what_a_killed_process_left_is_brought_to_its_end(converse, deciding, at, n):
    plan = "act:a destroy:b" if deciding or "question" in at or "approvals" in at else "act:a act:b"
    killed_at(converse("t", plan), deciding, at, n)


@pytest.mark.long
@pytest.mark.parametrize("plan", PLANS)
def test_a_process_may_be_killed_at_every_single_point(converse, place, plan):
    whole = converse("whole", plan)
    whole.say()
    phases = [whole.trace()]
    if whole.results[-1]["stop"] == "needs_approval":
        whole.decides()
        phases.append(whole.trace()[len(phases[0]) :])
    kills = 0
    for deciding, trace in enumerate(phases):
        for at, times in Counter(trace).items():
            for n in range(1, times + 1):
                kills += 1
                conversation = converse(f"{deciding} {at} {n}", plan)
                killed_at(conversation, bool(deciding), at, n)
    print(f"{type(place).__name__}, {plan}: {kills} points, 0 lost, 0 repeated")


MIXED = "act:a act:b | destroy:c keep:d | act:e"
PAUSE = 0.003
"""Seconds that the model and each tool take, twice."""


class Reaper:
    """Kills processes at random moments of their work."""

    def __init__(self, converse: Callable[..., "Conversation"], seed: int, plan: str, **more: object) -> None:
        self._new = converse
        self._chance = random.Random(seed)
        self._plan = plan
        self._more = {"pause": PAUSE, **more}
        whole = self.conversation("whole")
        whole.say()
        self._seconds = [whole.results[-1]["seconds"]]
        if whole.results[-1]["stop"] == "needs_approval":
            whole.decides()
            self._seconds.append(whole.results[-1]["seconds"])
        self.kills = 0

    def conversation(self, name: str) -> "Conversation":
        return self._new(name, self._plan, self._more)

    def kill_one(self) -> "Conversation":
        """A conversation in which at least one process was killed; some of those that go on with it, too."""
        while True:
            conversation = self.conversation(f"{self.kills} {self._chance.random()}")
            deciding = self._chance.random() < self._seconds[-1] / sum(self._seconds) and len(self._seconds) > 1
            if deciding:
                conversation.say()
            does = conversation.decides if deciding else conversation.say
            if self._killed(does, self._seconds[deciding]):
                break
        for _ in range(2):  # those that go on have no longer a life
            does = conversation.runs if conversation.accepted else conversation.say
            if self._chance.random() < 0.3 and not self._killed(does, self._seconds[deciding]):
                break
        conversation.goes_on()
        return conversation

    def _killed(self, does: Callable[..., dict], seconds: float) -> bool:
        killed = does(kill_after=self._chance.uniform(0, seconds))["code"] == -signal.SIGKILL
        self.kills += killed
        return killed


def survives(converse: Callable[..., "Conversation"], seed: int, kills: int) -> str:
    reaper = Reaper(converse, seed, MIXED)
    conversations = doubtful = 0
    while reaper.kills < kills:
        conversation = reaper.kill_one()
        conversation.check()
        conversations += 1
        doubtful += len(conversation.doubtful)
    return f"{reaper.kills} kills in {conversations} conversations: 0 lost, 0 repeated, {doubtful} unknown and shown"


def test_processes_may_be_killed_at_any_moment(converse, place):
    survives(converse, 7, 8 if place.url.startswith("sqlite") else 4)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(4))
def test_processes_may_be_killed_at_any_moment_hundreds_of_times(converse, place, seed):
    print(type(place).__name__, survives(converse, seed, 50 if place.url.startswith("sqlite") else 25))


@pytest.mark.long
def test_without_the_journal_the_same_kills_repeat_effects(converse):
    """The control: were it not for the journal, the tests above would find repeats."""
    reaper = Reaper(converse, 11, "act:a act:b", forget=True)
    repeated = 0
    while repeated < 10:
        assert reaper.kills < 120, f"void: only {repeated} repeats in {reaper.kills} kills"
        effects = reaper.kill_one().effects()
        repeated += sum(times - 1 for times in effects.values())
    print(f"without the journal: {repeated} effects repeated in {reaper.kills} kills")


STOPS = {
    "before the intent": ("before INSERT calls", 1, set()),
    "after the intent": ("after INSERT calls", 1, {"a"}),
    "before the effect": ("before effect", 1, {"a"}),
    "in the effect": ("after effect", 1, {"a"}),
    "after the result": ("after UPDATE calls", 1, set()),
}


@pytest.mark.parametrize(("at", "n", "unknown"), STOPS.values(), ids=STOPS)
def test_a_process_that_was_silent_for_too_long_writes_and_repeats_nothing(converse, forks, at, n, unknown):
    conversation = converse("t", "act:a", {"lease": 0.4})
    kill = {"at": at, "n": n, "by": "SIGSTOP"}
    stopped = conversation.starts(said="PLAN act:a", id=conversation.input, kill=kill)
    try:
        conversation.comes_to(at, n)
        conversation.runs()  # another waits until the turn of the first is over, and takes it
        assert conversation.results[-1]["stop"] == "answered"
    finally:
        forks.signal(stopped, signal.SIGCONT)
        ended = forks.wait(stopped)
    assert ended["code"] == 1
    assert conversation.told()["error"] == "TurnLost"
    assert conversation.effects() == {"a": 1}
    assert [status for *_, status in conversation.results[-1]["calls"]] == ["unknown" if unknown else "ok"]
    conversation.runs()
    assert conversation.results[-1]["messages"] == conversation.results[-2]["messages"]


def test_processes_on_one_thread_take_turns_in_the_order_in_which_they_came(converse, forks, place):
    first = converse("t", "act:1", {"pause": 0.15})
    pids = []
    for number in (1, 2, 3):
        pids.append(first.starts(said=f"PLAN act:{number}", id=f"i{number}"))
        first.comes_to("after INSERT turns", number)
        first.comes_to("after commit", number)
    assert [forks.wait(pid)["code"] for pid in pids] == [0, 0, 0]
    assert list(first.effects()) == ["1", "2", "3"]
    first.runs()
    said = [message["id"] for message in first.results[-1]["messages"] if message["type"] == "human"]
    assert said == ["i1", "i2", "i3"]
    assert [message["content"] for message in first.results[-1]["messages"]].count("Done.") == 3
