"""A model that plays what LangChain's suites ask for, by the tools that it is offered and what was said."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from gemmagraph import Gemma
from gemmagraph.backends import register_backend
from gemmagraph.backends.base import Backend, Request
from gemmagraph.backends.scripted import ScriptedBackend, Step
from gemmagraph.prompts.checking.arguments import write_plainly
from gemmagraph.prompts.messages import Usage

JOKE = {"setup": "Why do cats sit on keyboards?", "punchline": "They want the mouse."}
ARGUMENTS: dict[str, dict[str, Any]] = {
    "magic_function": {"input": 3},
    "magic_function_no_args": {},
    "greeting_generator": {"answer_style": "pirate"},
    "get_weather": {"location": "San Francisco, CA"},
    "my_adder_tool": {"a": 3, "b": 4},
    "color_picker": {"fav_color": "green"},
    "add": {"a": 1, "b": 2},
    "Joke": JOKE,
    "JokeDict": JOKE,
    "Sum": {"value": 3},
}
"""What each tool of the suites is called with."""
NAME = "played"
MOST = 200
"""Replies that one test may ask for."""


def reply(request: Request) -> Step:
    said = request.turns[-1]
    if "JSON" in said.text:
        text = json.dumps(JOKE)
    elif request.tools and said.role == "user":
        text = f"FUNCTION_CALL: {call(request)}"
    elif request.tools and "Sum" in request.tools.names:
        text = f"FUNCTION_CALL: {write_plainly('Sum', ARGUMENTS['Sum'])}"
    else:
        text = "Hello, said the cat."
    return Step(text, chunk=4, usage=Usage(20, 5))


def call(request: Request) -> str:
    """A call of the first tool, with the name that the question holds in quotes, where it holds one."""
    name = request.tools.names[0]
    quoted = re.search(r"'(.+?)'", request.turns[-1].text)
    customer = {"customer_name": quoted[1] if quoted else "?", "description": "A company."}
    return write_plainly(name, customer if name == "unicode_customer" else ARGUMENTS[name])


class PlayedBackend(ScriptedBackend):
    """Ends with replies left over: how many a suite asks for is its own affair."""

    def check(self) -> None:
        """Nothing."""


def saying(reply: Callable[[Request], str]) -> Gemma:
    """A model that says what `reply` gives."""
    return Gemma(PlayedBackend([reply] * MOST))


def played(model: str, base_url: str | None, api_key: str | None) -> Backend:
    return PlayedBackend([reply] * MOST, model=model)


register_backend(NAME, played)
