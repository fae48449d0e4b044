"""An assistant with one tool. A tool is a function: the model reads its docstring and its type hints.

Uses the model that GEMMAGRAPH_MODEL names, else a Gemma on a reachable Ollama, else the built-in matcher, which is
no language model and calls only tools that are marked read-only.
"""

from datetime import date

from gemmagraph import Agent, tool


@tool(read_only=True)
def days_until(day: date) -> str:
    """Count the days from today until a date.

    Args:
        day: The date, for example 2030-12-31.
    """
    return f"{(day - date.today()).days} days from today until {day:%d %B %Y}"


with Agent(tools=[days_until]) as agent:
    print(agent.run("How many days until 2030-12-31?"))
