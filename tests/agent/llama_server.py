"""A real llama.cpp server in its own process, with a tiny random model of Gemma's architecture.

Run as a script it prints a line of JSON and ends when its standard input does: its `url`, the `ids` of its tokens,
and the `options` under which it says something else each time. Needs the packages of `tiny_gemma.py`, and
`xllamacpp`, which holds llama.cpp.

    python llama_server.py CONTEXT [tools]

With `tools` its chat template shows tools, calls and results. The server sees from it how calls are written, and its
model writes some under these options: where they may begin, go on or end, it likes to.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent))

import tiny_gemma
import xllamacpp

TEMPLATE = """{% for message in messages %}<start_of_turn>{{ message.role }}
{% if loop.first %}{% for tool in tools %}{{ tool | tojson }}{% endfor %}{% endif %}
{% if message.content %}{{ message.content }}{% endif %}
{% for call in message.tool_calls %}
<|tool_call>{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}<tool_call|>
{%- endfor %}<end_of_turn>
{% endfor %}"""
LIKED = {"<|tool_call>": 9.0, "<tool_call|>": 4.0, '"': 2.0, "}": 2.0, "<eos>": 8.0}


def main(context: int, has_tools: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        params = xllamacpp.CommonParams()
        params.model.path = str(tiny_gemma.write_tiny_gemma(Path(folder) / "tiny-gemma.gguf"))
        params.n_ctx = context
        params.n_parallel = 1
        params.cpuparams.n_threads = 1  # two are slower as soon as something else runs
        params.cpuparams_batch.n_threads = 1
        params.verbosity = -1
        params.endpoint_slots = True
        params.hostnames = ["127.0.0.1"]
        params.port = 0
        if has_tools:
            params.chat_template = TEMPLATE
        server = xllamacpp.Server(params)
        options = {name: value for name, value in tiny_gemma.FLAT_AND_HOT.items() if name != "cache_prompt"}
        if has_tools:
            biases = zip(tiny_gemma.ids(*LIKED), LIKED.values(), strict=True)
            options["logit_bias"] = [*options["logit_bias"], *map(list, biases)]
        ids = {text: place for place, (text, _) in enumerate(tiny_gemma.TOKENS)}
        print(json.dumps({"url": server.listening_address, "ids": ids, "options": options}), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(int(sys.argv[1]), has_tools="tools" in sys.argv)
