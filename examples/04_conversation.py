"""A conversation is a thread: runs with the same name know what was said before, others do not.

A script plays the model and checks what it is shown: `expect` fails the run if the words are not there.
"""

from gemmagraph import Agent, Gemma
from gemmagraph.backends.scripted import ScriptedBackend, Step

model = ScriptedBackend(
    [
        "Nice to meet you, Ann.",
        Step("Your name is Ann.", expect=("My name is Ann.", "Nice to meet you, Ann.")),
        lambda request: "I do not know." if len(request.turns) == 1 else "This should be a new conversation.",
    ]
)

with Agent(Gemma(model)) as agent:
    print(agent.run("My name is Ann.", thread="first"))
    print(agent.run("What is my name?", thread="first"))
    print(agent.run("What is my name?", thread="second"))

    for message in agent.history("first"):
        print(f"{message.type}: {message.content}")
