"""A person decides about calls that may do harm. Without `approve=` they are refused.

A script plays the model here; with a real one it is `Agent("ollama:gemma3:4b", …)`.
"""

from gemmagraph import Agent, Approval, Approve, Edit, Gemma, Reject, tool
from gemmagraph.backends.scripted import ScriptedBackend, Step

deleted: list[str] = []


@tool(destructive=True)
def delete_file(path: str) -> str:
    """Delete a file."""
    deleted.append(path)
    return f"{path} is deleted"


def approve(approval: Approval) -> Approve | Edit | Reject:
    """Could ask in a window or a chat; this one knows what it wants. What is shown here is what will run."""
    print(f"Asked about {approval.request}, because {approval.reason}.")
    if approval.arguments["path"].startswith("/etc/"):
        return Reject("Nothing in /etc may be deleted.")
    if approval.arguments["path"] == "/tmp/*":
        return Edit({"path": "/tmp/old.log"})
    return Approve()


model = ScriptedBackend(
    [
        "\n".join(f'FUNCTION_CALL: delete_file(path="{path}")' for path in ("/tmp/a", "/tmp/*", "/etc/hosts")),
        Step("I deleted two files; /etc/hosts is still there.", expect="Nothing in /etc may be deleted."),
    ]
)
with Agent(Gemma(model), [delete_file], approve=approve) as agent:
    print(agent.run("Clean up."))
print(f"Really deleted: {deleted}")
