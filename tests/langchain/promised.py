"""What ChatGemma promises to LangChain's suites, whatever the model."""

from __future__ import annotations

from gemmagraph.chat import ChatGemma


class Promised:
    chat_model_class = ChatGemma
    has_tool_choice = True
    has_structured_output = True
    supports_anthropic_inputs = True
