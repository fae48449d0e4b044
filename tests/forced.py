"""For engines whose model says something else each time: what holds it to a conversation."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

from gemmagraph.backends.base import Chunk, Request
from gemmagraph.prompts.grammar.calls import Grammar, grammar

ENDLESS = Grammar("root ::= " + "letters " * 15 + "\nletters ::= [a-z]{1900}")
"""A reply that lasts until the model is stopped."""


def forced(backend: type[Any]) -> type[Any]:
    """The backend, with its first reply held to a call and the second to an answer, as a model would by itself if it
    could."""

    class Forced(backend):  # type: ignore[misc]
        asked = 0

        def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
            self.asked += 1
            made = grammar("function_call", request.tools, "required", several=False)
            if self.asked > 1:
                made = replace(made, gbnf='root ::= "It is sunny in " [A-Z] [a-z]{3,8} "."')
            return super().stream(replace(request, grammar=made))

    return Forced
