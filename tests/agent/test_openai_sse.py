"""Bytes become events, however they are cut."""

import json

import pytest

from gemmagraph.backends.network.sse import Events
from gemmagraph.errors import ServerError

SAID = 'data: {"text": "a\u2028b\u0085c \U0001f600"}\n\n'

STREAMS = {
    "line feeds": (SAID.encode() + b"data: [DONE]\n\n", 2),
    "carriage returns and line feeds": (SAID.replace("\n", "\r\n").encode() + b"data: [DONE]\r\n\r\n", 2),
    "carriage returns": (SAID.replace("\n", "\r").encode() + b"data: [DONE]\r\r", 2),
    "comments": (b": ping\n\n:\n\n" + SAID.encode() + b": ping\n\n", 1),
    "other fields": (b"event: message\nid: 5\nretry: 10\nunknown\n" + SAID.encode(), 1),
    "no space": (SAID.replace("data: ", "data:").encode(), 1),
    "byte order mark": (b"\xef\xbb\xbf" + SAID.encode(), 1),
    "several lines": (SAID.replace(", ", ",\ndata: ").replace('": ', '":\ndata: ').encode(), 1),
    "error of an old llama.cpp": (b'error: {"message":"no"}\n\n', 1),
    "empty": (b"data\n\ndata:\n\n\n\n", 2),
}


@pytest.mark.parametrize("stream", STREAMS)
def test_events_are_the_same_however_the_bytes_arrive(stream):
    whole, count = STREAMS[stream]
    found = Events(10_000, "The server").feed(whole)
    assert len(found) == count
    assert all(event.endswith(b"\n") for event in found)
    if b"a\xe2\x80\xa8b" in whole:
        assert json.loads(found[0]) == {"text": "a\u2028b\u0085c \U0001f600"}
    for size in range(1, len(whole)):
        events = Events(10_000, "The server")
        cut = [whole[begin : begin + size] for begin in range(0, len(whole), size)]
        assert [event for piece in cut for event in events.feed(piece)] == found
        assert (events.end(), events.received) == (b"", len(whole))


@pytest.mark.parametrize("tail", [b"data: [DONE]", b"data: [DONE]\n", b"data: [DONE]\r"])
def test_an_event_that_nothing_ends_comes_last_without_a_line_feed(tail):
    events = Events(100, "The server")
    assert events.feed(b"data: 1\n\n" + tail) == [b"1\n"]
    assert events.end() == b"[DONE]"


@pytest.mark.parametrize("endless", [b"x", b"data: x\n", b"data: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n"])
def test_an_event_may_be_no_longer_than_the_ceiling(endless):
    events = Events(1000, "The server")
    assert events.feed(b"data: " + b"x" * 990 + b"\n\n") == [b"x" * 990 + b"\n"]
    fed = (events.feed(endless) for _ in range(2000))
    with pytest.raises(ServerError, match=r"The server sent an event of more than 1,000 bytes"):
        list(fed)
