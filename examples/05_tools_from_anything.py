"""Tools do not have to be functions with type hints: pydantic models, JSON Schemas and LangChain tools will do."""

from langchain_core.tools import tool as langchain_tool
from pydantic import BaseModel, Field

from gemmagraph import Agent, tool, tool_from_schema
from gemmagraph.tools import to_tool


class Invoice(BaseModel):
    """Read an invoice into a form: number and total."""

    number: str = Field(description="The invoice number, for example A-17.", pattern=r"^[A-Z]-\d+$")
    total: float = Field(description="The total in euros.", ge=0)


@langchain_tool
def count_letters(word: str) -> int:
    """Count the letters of a word."""
    return len(word)


area = tool_from_schema(
    "room_area",
    "Calculate the area of a room from its length and width in meters.",
    {
        "type": "object",
        "properties": {"length": {"type": "number"}, "width": {"type": "number"}},
        "required": ["length", "width"],
    },
    lambda length, width: f"{length * width:g} square meters",
    read_only=True,
)
counter = tool(to_tool(count_letters), read_only=True)  # LangChain does not say whether a tool changes anything

with Agent(tools=[Invoice, area, counter]) as agent:
    print(agent.run("What is the room area for length 4.5 and width 3?"))
    print(agent.run('Count the letters of the word "gemma".'))
    print(agent.run("Read the invoice into a form: number A-17, total 99.5"))
