"""For people who have a LangGraph already: the agent is a compiled graph, and a node of yours."""

from langchain_core.messages import HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph

from gemmagraph import Agent, tool


@tool(read_only=True)
def stock_level(article: str) -> str:
    """Look up the stock level of an article.

    Args:
        article: The article number, for example X-12.
    """
    return f"{article}: 7 in stock"


def count(state: MessagesState) -> None:
    print("messages:", *(message.type for message in state["messages"]))


with Agent(tools=[stock_level], name="clerk") as agent:
    builder = StateGraph(MessagesState)
    builder.add_node("clerk", agent.graph)
    builder.add_node("count", count)
    builder.add_edge(START, "clerk")
    builder.add_edge("clerk", "count")
    shop = builder.compile(checkpointer=InMemorySaver())

    question = HumanMessage("What is the stock level of article X-12?")
    state = shop.invoke({"messages": [question]}, {"configurable": {"thread_id": "1"}})
    print(state["messages"][-1].content)
