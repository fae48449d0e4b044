"""The reducer of the graph's messages, held against LangGraph's own."""

import random
import threading

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, RemoveMessage
from langgraph.graph.message import REMOVE_ALL_MESSAGES, add_messages

from gemmagraph import state
from gemmagraph.state import latest, merge


def outcome(reducer, left, right):
    """What a reducer makes of two lists: ids and contents, or its refusal."""
    try:
        return [(message.id, message.content) for message in reducer(left, right)]
    except ValueError:
        return "refused"


def one_by_one(left, right):
    """`add_messages`, given one message after the other; what a removal of everything removes is not looked at."""
    for index in range(len(right) - 1, -1, -1):
        if right[index].id == REMOVE_ALL_MESSAGES:
            left, right = [], right[index + 1 :]
            break
    for message in right:
        left = add_messages(left, [message])
    return left


def random_batch(rng: random.Random, ids: list[str], size: int) -> list:
    batch = []
    for _ in range(rng.randrange(size)):
        kind = rng.random()
        if kind < 0.55:
            batch.append(HumanMessage(str(rng.random()), id=rng.choice(ids)))
        elif kind < 0.75:
            batch.append(AIMessage(str(rng.random()), id=f"new{rng.random()}"))
        elif kind < 0.95:
            batch.append(RemoveMessage(id=rng.choice(ids)))
        else:
            batch.append(RemoveMessage(id=REMOVE_ALL_MESSAGES))
    return batch


def assert_equal_to_langgraph(rng: random.Random) -> None:
    ids = [f"m{n}" for n in range(rng.randrange(2, 8))]
    ours: list = []
    for _ in range(rng.randrange(1, 8)):
        batch = random_batch(rng, ids, rng.choice([2, 4, 8]))
        expected = outcome(one_by_one, ours, batch)
        assert outcome(merge, ours, batch) == expected
        touched = [message.id for message in batch]
        if len(set(touched)) == len(touched) and REMOVE_ALL_MESSAGES not in touched:
            assert outcome(add_messages, ours, batch) == expected
        if expected != "refused":
            ours = merge(ours, batch)


def test_merge_equals_langgraphs_add_messages():
    rng = random.Random(7)
    for _ in range(300):
        assert_equal_to_langgraph(rng)


@pytest.mark.long
def test_merge_equals_langgraphs_add_messages_on_many_more_sequences():
    rng = random.Random(11)
    for _ in range(5_000):
        assert_equal_to_langgraph(rng)


def test_it_does_not_matter_how_writes_are_batched():
    rng = random.Random(3)
    for _ in range(300):
        start = [HumanMessage(str(n), id=f"m{n}") for n in range(4)]
        first, second = (random_batch(rng, ["m1", "m2", "m7"], 5) for _ in range(2))
        try:
            apart = merge(merge(start, first), second)
        except ValueError:
            continue
        assert merge(start, first + second) == apart


FORMS = {
    "text": "hi",
    "role and text": ("user", "hi"),
    "dict": {"role": "user", "content": "hi"},
    "message": HumanMessage("hi"),
    "list": [("user", "hi")],
    "list of dicts": [{"role": "user", "content": "hi"}],
}


@pytest.mark.parametrize("written", FORMS.values(), ids=FORMS)
def test_a_write_may_have_every_form_that_langgraph_takes(written):
    merged = merge([], written)
    expected = add_messages([], written)
    assert [(type(message), message.content) for message in merged] == [
        (type(message), message.content) for message in expected
    ]
    assert merged[0].id


def test_a_chunk_becomes_a_message():
    assert type(merge([], [AIMessageChunk("hi", id="a")])[0]) is AIMessage


def test_neither_list_is_changed():
    left, right = [HumanMessage("a", id="a")], [HumanMessage("b", id="b"), RemoveMessage(id="a")]
    merge(left, right)
    assert ([message.id for message in left], len(right)) == (["a"], 2)


def test_two_futures_of_one_past_do_not_know_each_other():
    past = merge([], [HumanMessage("a", id="a")])
    merge(past, [HumanMessage("b", id="b")])
    with pytest.raises(ValueError, match="'b'"):
        merge(past, [RemoveMessage(id="b")])


def test_what_is_known_of_lists_is_bounded_and_safe_across_threads():
    errors = []

    def work(name):
        try:
            for n in range(400):
                messages: list = []
                for k in range(3):
                    messages = merge(messages, [HumanMessage("x", id=f"{name}-{n}-{k}")])
                assert len(messages) == 3
        except BaseException as exc:  # noqa: BLE001 - a thread's failure is the test's
            errors.append(exc)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert errors == []
    assert len(state._known) <= state._MEMO_SIZE + 6


def test_decisions_gather():
    assert latest(None, {"a": 1}) == {"a": 1}
    assert latest({"a": 1, "b": 1}, {"b": 2}) == {"a": 1, "b": 2}
