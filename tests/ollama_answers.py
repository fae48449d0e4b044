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
"""Family, bytes, tokens of context, capabilities."""
RENDERERS = {"gemma4:e4b": "gemma4"}
"""What writes prompts and reads calls for a model, where that is no template."""
FORMATS: dict[str, str] = {}
"""Formats other than GGUF."""
FIRST = tuple(MODELS)


def pulled(asked: dict[str, Any]) -> list[dict[str, Any]]:
    """What the server tells while it gets a model."""
    digest, begin = "0123456789ab", {"status": "pulling manifest"}
    if (asked.get("model") or asked.get("name")) not in MODELS:
        return [begin, {"error": "pull model manifest: file does not exist"}]
    layer = {"status": f"pulling {digest}", "digest": f"sha256:{digest}", "total": 100}
    ends = ("verifying sha256 digest", "writing manifest", "success")
    return [begin, *({**layer, "completed": part} for part in (0, 50, 100)), *({"status": end} for end in ends)]


def create(asked: dict[str, Any]) -> None:
    """Makes a model of another one. A renderer and parser of the server's own bring the capability `tools`."""
    base, name = asked.get("from"), asked["model"]
    if not base:
        raise Refused(400, "neither 'from' or 'files' was specified")
    if base not in MODELS:
        raise Refused(500, "pull model manifest: file does not exist")
    family, size, context, can = MODELS[base]
    renderer = asked.get("renderer") or RENDERERS.get(base, "")
    if renderer:
        RENDERERS[name], can = renderer, sorted({*can, "tools"})
    MODELS[name] = (family, size, context, can)


def forget_made() -> None:
    """Leaves the models that are there at first."""
    for name in [*MODELS]:
        if name not in FIRST:
            del MODELS[name]
            RENDERERS.pop(name, None)
    FORMATS.clear()


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
    if any(message.get("images") for message in asked.get("messages") or ()) and "vision" not in can:
        raise Refused(500, "failed to process inputs: this model is missing data required for image input")
    if asked.get("raw") and any(asked.get(name) for name in ("template", "system", "context")):
        raise Refused(400, "raw mode does not support template, system, or context")
    for name in ("num_ctx", "num_predict", "top_k", "seed"):
        value = asked.get("options", {}).get(name)
        if value is not None and type(value) is not int:
            raise Refused(500, f'option "{name}" must be of type integer')


def shown(asked: dict[str, Any]) -> dict[str, Any]:
    name = asked.get("model") or asked.get("name")
    if name not in MODELS:
        raise Refused(404, f"model '{name}' not found")
    family, _, context, can = MODELS[name]
    renderer = RENDERERS.get(name)
    return {
        "modelfile": f"FROM {name}\n" + (f"RENDERER {renderer}\nPARSER {renderer}\n" if renderer else ""),
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
        "format": FORMATS.get(name, "gguf"),
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


def thought(reply: dict[str, Any], asked: dict[str, Any]) -> dict[str, Any]:
    """The thought, where there is one: a model that can think does, unless it is told not to."""
    thinks = "thinking" in MODELS[asked["model"]][3] and asked.get("think") is not False
    return {"thinking": reply["thought"]} if reply.get("thought") and thinks else {}


def frame(asked: dict[str, Any], content: str, **extra: Any) -> dict[str, Any]:
    begin = {"model": asked["model"], "created_at": STARTED}
    if "messages" not in asked:
        return {**begin, "response": content, **extra, "done": False}
    return {**begin, "message": {"role": "assistant", "content": content, **extra}, "done": False}


def last_frame(asked: dict[str, Any], reason: str, read: int, written: int, **extra: Any) -> dict[str, Any]:
    return {
        **frame(asked, "", **extra),
        "done": True,
        "done_reason": reason,
        "total_duration": 9_000_000,
        "load_duration": 1_000_000,
        "prompt_eval_count": read,
        "prompt_eval_duration": 4_000_000,
        "eval_count": written,
        "eval_duration": 4_000_000,
    }
