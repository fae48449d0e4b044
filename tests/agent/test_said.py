"""What can be said to an agent: a text, or messages in any form of LangChain's; anything else is refused."""

import pytest
from langchain_core.messages import AIMessage, HumanMessage, RemoveMessage, SystemMessage

from gemmagraph import Agent, AgentError, Gemma
from gemmagraph.backends.scripted import ScriptedBackend


def scripted(*replies: str) -> Agent:
    return Agent(Gemma(ScriptedBackend(replies)))


def prompts(agent: Agent) -> list[list[str]]:
    """What was asked at each request: the contents of the messages."""
    return [[message["content"] for message in request.messages] for request in agent.model.backend.requests]


FORMS = {
    "text": "hi",
    "message": HumanMessage("hi"),
    "list of messages": [HumanMessage("hi")],
    "tuple of messages": (HumanMessage("hi"),),
    "role and text": [("user", "hi")],
    "one role and text": ("human", "hi"),
    "dict": [{"role": "user", "content": "hi"}],
    "one dict": {"role": "user", "content": "hi"},
    "list of texts": ["hi"],
    "blocks": [HumanMessage([{"type": "text", "text": "hi"}])],
    "block texts": [{"role": "user", "content": [{"type": "text", "text": "h"}, {"type": "text", "text": "i"}]}],
}


@pytest.mark.parametrize("said", FORMS.values(), ids=FORMS)
def test_messages_are_taken_in_every_form_of_langchain(said):
    agent = scripted("Hello.")
    agent.run(said)
    assert prompts(agent) == [["hi"]]


def test_a_conversation_from_elsewhere_is_taken_whole():
    agent = scripted("Ann.")
    agent.run([SystemMessage("Be brief."), HumanMessage("I am Ann."), AIMessage("Hi."), HumanMessage("Who am I?")])
    assert prompts(agent) == [["Be brief.\n\nI am Ann.", "Hi.", "Who am I?"]]


NO_MESSAGES = {
    "nothing": [],
    "blank": "  \n",
    "none": None,
    "bytes": b"hi",
    "number": 5,
    "unknown role": [{"role": "owner", "content": "hi"}],
    "a state": {"messages": [("user", "hi")]},
    "two texts": ("hello", "world"),
    "image": [HumanMessage([{"type": "image_url", "image_url": "x"}])],
    "removal of nothing": [RemoveMessage(id="zz"), HumanMessage("hi")],
}


@pytest.mark.parametrize("said", NO_MESSAGES.values(), ids=NO_MESSAGES)
def test_what_cannot_be_said_is_refused_and_the_thread_stays_usable(said):
    agent = scripted("One.", "Two.")
    agent.run("a", thread="t")
    with pytest.raises(AgentError) as caught:
        agent.run(said, thread="t")
    assert "\n" not in str(caught.value)
    assert agent.run("b", thread="t").text == "Two."
    assert len(agent.history("t")) == 4


def test_a_message_can_be_taken_back():
    agent = scripted("One.", "Two.")
    first = agent.run("secret", thread="t").messages[0]
    agent.run([RemoveMessage(id=first.id), HumanMessage("b")], thread="t")
    assert [message.content for message in agent.history("t")] == ["One.", "b", "Two."]
