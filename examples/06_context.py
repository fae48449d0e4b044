"""What the application knows and the model must not decide: who asks, and for which customer."""

from gemmagraph import Agent, ToolContext, ToolError, tool

ORDERS = {"acme": ["printer", "paper"], "initech": ["stapler"]}


@tool(read_only=True)
def list_orders(context: ToolContext, newest: int = 10) -> str:
    """List the orders of the customer.

    Args:
        newest: How many orders to list.
    """
    orders = ORDERS.get(str(context.values.get("customer")))
    if orders is None:
        raise ToolError("Nobody is logged in.")  # the model reads this, and can say it in its own words
    return f"{context.user} may see: {', '.join(orders[:newest])}"


print(list_orders.spec.parameters["properties"])  # what the model is told: no trace of the context

with Agent(tools=[list_orders]) as agent:
    print(agent.run("List the orders.", user="ann", context={"customer": "acme"}))
    print(agent.run("List the orders.", user="bob", context={"customer": "initech"}))
    print(agent.run("List the orders."))
