"""What the stand-in `ollama_server.py` answers, as values: models, refusals, frames of a reply."""

from __future__ import annotations

import re
from typing import Any

STARTED = "2026-01-02T03:04:05.678901Z"

MODELS = {
    "gemma3:4b": ("gemma3", 3_338_801_804, 131_072, ["completion", "vision"]),
    "gemma3:1b": ("gemma3", 815_319_791, 32_768, ["completion"]),
    "gemma4:e4b": ("gemma4", 9_608_350_245, 131_072, ["completion", "vision", "tools", "thinking"]),
}


class Refused(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status = status
        self.error = error


def check(asked: dict[str, Any]) -> None:
    """What Ollama refuses before it looks for a runner."""
    model = asked.get("model")
    if not model:
        raise Refused(400, "model is required")
    if model not in MODELS:
        raise Refused(404, f"model '{model}' not found")
    can = MODELS[model][3]
    if asked.get("tools") and "tools" not in can:
        raise Refused(400, f"registry.ollama.ai/library/{model} does not support tools")
    if asked.get("think") and "thinking" not in can:
        raise Refused(400, f'"{model}" does not support thinking')
    for name in ("num_ctx", "num_predict", "top_k", "seed"):
        value = asked.get("options", {}).get(name)
        if value is not None and type(value) is not int:
            raise Refused(500, f'option "{name}" must be of type integer')


def shown(asked: dict[str, Any]) -> dict[str, Any]:
    name = asked.get("model") or asked.get("name")
    if name not in MODELS:
        raise Refused(404, f"model '{name}' not found")
    family, _, context, can = MODELS[name]
    return {
        "modelfile": f"FROM {name}\n",
        "parameters": 'stop                           "<end_of_turn>"\n',
        "template": "{{ .Prompt }}",
        "details": details(name),
        "model_info": {"general.architecture": family, f"{family}.context_length": context},
        "capabilities": can,
        "modified_at": STARTED,
    }


def listed(name: str) -> dict[str, Any]:
    digest = f"{len(name):064x}"
    size = MODELS[name][1]
    return {
        "name": name,
        "model": name,
        "modified_at": STARTED,
        "size": size,
        "digest": digest,
        "details": details(name),
    }


def details(name: str) -> dict[str, Any]:
    family = MODELS[name][0]
    return {
        "parent_model": "",
        "format": "gguf",
        "family": family,
        "families": [family],
        "parameter_size": re.sub(r".*?([0-9]+)b$", r"\1B", name),
        "quantization_level": "Q4_K_M",
    }


def count(messages: list[dict[str, Any]]) -> int:
    """Tokens, plausibly: four letters each, and the marks around a message."""
    return sum(4 + -(-len(message.get("content") or "") // 4) for message in messages)


def limited(asked: dict[str, Any], reply: dict[str, Any], room: int) -> tuple[list[str], str]:
    """The pieces that may be said (each counts as a token), and why the reply ends."""
    options = asked.get("options", {})
    text = reply.get("text", "")
    for stop in options.get("stop") or ():
        text = text.partition(stop)[0]
    size = reply.get("piece", 4)
    pieces = [text[at : at + size] for at in range(0, len(text), size)] * reply.get("repeat", 1)
    most = options.get("num_predict") if (options.get("num_predict") or -1) > 0 else len(pieces)
    if asked.get("shift", True) is False:
        most = min(most, room)
    return pieces[:most], "length" if most < len(pieces) else "stop"


def extras(reply: dict[str, Any], asked: dict[str, Any]) -> dict[str, Any]:
    """Thoughts and calls, where there are any."""
    extra = {}
    if reply.get("thought") and asked.get("think") is not False:
        extra["thinking"] = reply["thought"]
    if reply.get("tool_calls"):
        extra["tool_calls"] = reply["tool_calls"]
    return extra


def frame(model: str, content: str, **extra: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": content, **extra}
    return {"model": model, "created_at": STARTED, "message": message, "done": False}


def last_frame(model: str, reason: str, read: int, written: int) -> dict[str, Any]:
    return {
        **frame(model, ""),
        "done": True,
        "done_reason": reason,
        "total_duration": 9_000_000,
        "load_duration": 1_000_000,
        "prompt_eval_count": read,
        "prompt_eval_duration": 4_000_000,
        "eval_count": written,
        "eval_duration": 4_000_000,
    }
