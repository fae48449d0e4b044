"""Watch a run: text as it is written, calls as they are made. The last event holds the result."""

import asyncio
import shutil

from gemmagraph import Agent, tool
from gemmagraph.events import Notice, RunFinished, TextDelta, ToolFinished, ToolStarted


@tool(read_only=True)
def free_space(folder: str = "/") -> str:
    """Show the free space on the disk of a folder.

    Args:
        folder: A folder on the disk, for example "/home".
    """
    return f"{shutil.disk_usage(folder).free / 2**30:.1f} GiB free"


async def main() -> None:
    async with Agent(tools=[free_space]) as agent:
        async for event in agent.stream("How much free space is on the disk of /tmp?"):
            match event:
                case Notice(text):
                    print(f"note: {text}")
                case ToolStarted(call):
                    print(f"call: {call.name} {call.arguments}")
                case ToolFinished(call, content, status):
                    print(f"{status}: {content}")
                case TextDelta(text):
                    print(text, end="", flush=True)
                case RunFinished(result):
                    print(f"\n{result.stop}, {len(result.calls)} call")


asyncio.run(main())
