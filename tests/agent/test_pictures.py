"""Pictures: from files, bytes and messages into the conversation, and never to a model that cannot see."""

from __future__ import annotations

import base64

import pytest
from langchain_core.messages import HumanMessage

from gemmagraph import Agent, Gemma
from gemmagraph.backends.scripted import ScriptedBackend
from gemmagraph.errors import AgentError, BadRequest
from gemmagraph.prompts.messages import Image, Text, Turn
from gemmagraph.prompts.toolset import Toolset
from gemmagraph.tools import run_sync

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(20))
JPEG = b"\xff\xd8\xff\xe0" + bytes(range(20))
WEBP = b"RIFF\x10\0\0\0WEBP" + bytes(20)
CODED = base64.b64encode(PNG).decode()


class Eyes(ScriptedBackend):
    """Scripted, under the name of a model that can see or cannot."""

    def __init__(self, *replies, model="gemma3:4b", transports=("chat",)):
        super().__init__(replies)
        self.model, self.transports = model, frozenset(transports)


def shown(*replies, **how):
    return Agent(Gemma(Eyes(*replies, **how)))


def messages(agent, place=-1):
    return agent.model.backend.requests[place].messages


@pytest.mark.parametrize(
    ("picture", "kind"),
    [(PNG, "png"), (JPEG, "jpeg"), (WEBP, "webp"), (b"GIF89a..", "gif"), (b"BM......", "bmp")],
    ids=["png", "jpeg", "webp", "gif", "bmp"],
)
def test_a_picture_is_shown_with_what_is_said(tmp_path, picture, kind):
    file = tmp_path / "a.txt"  # what it is called does not count
    file.write_bytes(picture)
    image = Image(picture, f"image/{kind}")
    for given in (picture, str(file), file, image):
        agent = shown("a cat")
        assert agent.run("what is it?", images=[given]).text == "a cat"
        assert messages(agent) == ({"role": "user", "content": "what is it?", "images": (image,)},)


@pytest.mark.parametrize(
    "block",
    [
        {"type": "image", "base64": CODED, "mime_type": "image/png"},
        {"type": "image", "source_type": "base64", "data": CODED, "mime_type": "image/jpeg"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{CODED}"}},
        {"type": "image_url", "image_url": f"data:image/png;base64,{CODED}"},
        {"type": "image", "url": f"data:image/png;base64,{CODED}"},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": CODED}},
    ],
    ids=["langchain 1", "langchain 0", "openai", "openai, flat", "data address", "anthropic"],
)
def test_a_picture_in_a_message_is_understood_in_every_form(block):
    agent = shown("a cat")
    agent.run([HumanMessage([{"type": "text", "text": "see:"}, block])])
    assert messages(agent)[0]["images"] == (Image(PNG, "image/png"),)


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ({"type": "image_url", "image_url": {"url": "http://127.0.0.1/x.png"}}, "address of a picture"),
        ({"type": "image", "url": "file:///etc/passwd"}, "address of a picture"),
        ({"type": "image"}, "address of a picture"),
        ({"type": "image", "base64": "!!!"}, "no base64"),
        ({"type": "image", "base64": 7}, "no base64"),
        ({"type": "image", "base64": base64.b64encode(b"<svg>").decode(), "mime_type": "image/png"}, "no PNG"),
    ],
    ids=["http", "file", "nothing", "no base64", "a number", "svg"],
)
def test_what_is_no_picture_is_refused_and_nothing_is_fetched(block, words):
    agent = shown("a cat", "hello")
    with pytest.raises(AgentError, match=words):
        agent.run([HumanMessage([block])], thread="t")
    assert agent.run("hi", thread="t").text == "a cat"


@pytest.mark.parametrize(
    ("given", "words"),
    [(b"hello", "These bytes are no PNG"), ("nowhere.png", "No such file"), (".", "Is a directory")],
    ids=["text", "no file", "folder"],
)
def test_what_cannot_be_shown_says_why(given, words):
    with pytest.raises(AgentError, match=words):
        shown("?").run("see", images=[given])


def test_pictures_go_with_a_text():
    with pytest.raises(AgentError, match="goes with a text"):
        shown("?").run([HumanMessage("see")], images=[PNG])


@pytest.mark.parametrize(
    "how",
    [{"model": "gemma3:1b"}, {"model": "gemma2:9b"}, {"transports": ("completion",)}],
    ids=["too small", "too old", "text only"],
)
def test_a_model_without_eyes_is_shown_none_and_the_conversation_goes_on(how):
    agent = shown("one", "two", **how)
    agent.run("hi", thread="t")
    with pytest.raises(AgentError, match="cannot look at pictures"):
        agent.run("see", images=[PNG], thread="t")
    assert agent.run("hi", thread="t").text == "two"


def test_a_gemma_without_eyes_refuses_them_too():
    gemma = Gemma(Eyes("?", model="gemma3:1b"))

    async def ask():
        turns = [Turn("user", (Text("see"), Image(PNG, "image/png")))]
        return [event async for event in gemma.stream(turns, Toolset())]

    with pytest.raises(BadRequest, match="cannot look at pictures"):
        run_sync(ask())


def test_pictures_stay_with_their_messages():
    agent = shown("a cat", "both", "bye")
    agent.run("what is it?", images=[PNG], thread="t")
    agent.run("and this?", images=[JPEG, WEBP], thread="t")
    agent.run("bye", thread="t")
    roles = [(message["role"], len(message.get("images", ()))) for message in messages(agent)]
    assert roles == [("user", 1), ("assistant", 0), ("user", 2), ("assistant", 0), ("user", 0)]
    assert messages(agent, 1) == messages(agent, 2)[:3]
    assert agent.history("t")[0].content[1]["mime_type"] == "image/png"
