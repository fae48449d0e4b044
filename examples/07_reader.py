"""Only the reader: get the calls out of what any prompted model wrote. No model, no server, no agent."""

from gemmagraph.prompts.messages import ToolSpec
from gemmagraph.prompts.notation import TextRead, notation_named, read
from gemmagraph.prompts.toolset import Toolset

weather = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}},
    "required": ["city"],
}
tools = Toolset([ToolSpec("get_weather", "The weather in a city.", weather)])
notation = notation_named("function_call")
print(notation.declare(tools), end="\n\n")  # what the model has to be told

reply = read(notation, 'Let me look.\nFUNCTION_CALL: get_weather(city="Oslo", days="3")', tools)
print(reply.text, reply.calls)

# A call that must not run is data, with words that help the model to do better.
reply = read(notation, 'FUNCTION_CALL: get_weather(town="Oslo")', tools)
print(reply.bad_calls[0].kind, "-", reply.bad_calls[0].message)

# The same as it arrives: text can be shown at once, calls once they are complete.
reader = notation_named("json").reader(tools)
for piece in ("One mom", 'ent.\n```json\n{"name": "get_wea', 'ther", "arguments": {"city": "Oslo"}}\n`', "``"):
    print([event.text for event in reader.feed(piece) if isinstance(event, TextRead)])
_, reply = reader.close()
print(reply.calls)
