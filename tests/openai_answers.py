"""What servers behind OpenAI's protocol refuse, and answer beside replies: the rest of `openai_server.py`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import stand_in

MODELS = ["gemma3:4b", "google/gemma-3-27b-it"]
OWNERS = {
    "llamacpp": "llamacpp",
    "vllm": "vllm",
    "lmstudio": "organization_owner",
    "ollama": "library",
    "plain": "system",
}


class Refused(Exception):
    """An answer that is no reply."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(status)
        self.status, self.body = status, body


class State(stand_in.State):
    @property
    def kind(self) -> str:
        return str(self.settings.get("kind", "plain"))


STATE = State()


def check(asked: dict[str, Any]) -> None:
    """Refuses what such a server refuses."""
    model, window = asked.get("model"), STATE.settings.get("window", 8192)
    if model not in MODELS:
        raise Refused(404, error(f"The model `{model}` does not exist.", "NotFoundError", 404))
    check_room(asked, count(asked), window)
    if asked.get("tools") and "no_tools" in STATE.settings:
        raise refused("no_tools")
    if "image_url" in json.dumps(asked.get("messages")) and "no_images" in STATE.settings:
        raise refused("no_images")
    check_choice(asked)
    check_messages(asked.get("messages", ()))


def check_room(asked: dict[str, Any], tokens: int, window: int) -> None:
    """As vLLM does: prompt and reply must fit together. llama.cpp, LM Studio and Ollama look at the prompt only."""
    most = asked.get("max_tokens") if STATE.kind in ("vllm", "plain") else None
    if tokens + (most or 0) <= window:
        return
    age = STATE.settings.get("words", "between")
    if age == "newest" and (most or 0) > window:
        said = (
            f"max_tokens={most} cannot be greater than max_model_len=max_total_tokens={window}. Please request fewer "
            "output tokens."
        )
    elif age == "newest":  # it has cut the prompt where it had to end, so it does not know how long that is
        said = (
            f"This model's maximum context length is {window} tokens. However, you requested {most or 0} output "
            f"tokens and your prompt contains at least {window - (most or 0) + 1} input tokens, for a total of at "
            f"least {window + 1} tokens. Please reduce the length of the input prompt or the number of requested "
            "output tokens."
        )
    elif tokens >= window:
        said = (
            f"This model's maximum context length is {window} tokens. However, your request has {tokens} input "
            "tokens. Please reduce the length of the input messages."
        )
    elif age == "oldest":
        said = (
            f"This model's maximum context length is {window} tokens. However, you requested {tokens + most} tokens "
            f"({tokens} in the messages, {most} in the completion). Please reduce the length of the messages or "
            "completion."
        )
    else:
        said = (
            f"'max_tokens' or 'max_completion_tokens' is too large: {most}. This model's maximum context length is "
            f"{window} tokens and your request has {tokens} input tokens ({most} > {window} - {tokens})."
        )
    raise Refused(400, error(said, "BadRequestError", 400))


def refused(setting: str) -> Refused:
    status, words = STATE.settings[setting]
    return Refused(status, error(words, "invalid_request_error", status))


def check_choice(asked: dict[str, Any]) -> None:
    """How servers take a `tool_choice`. llama.cpp takes an object for `auto`; Ollama takes anything."""
    choice = asked.get("tool_choice", "auto")
    if STATE.kind == "lmstudio" and isinstance(choice, dict):
        said = "Invalid tool_choice type: 'object'. Supported string values: none, auto, required"
        raise Refused(400, {"error": said})
    if isinstance(choice, str) and choice not in ("auto", "none", "required") and STATE.kind != "ollama":
        raise Refused(400, error(f"Invalid tool_choice: {choice}", "invalid_request_error", 400))
    names = [tool["function"]["name"] for tool in asked.get("tools", ())]
    if isinstance(choice, dict) and choice["function"]["name"] not in names:
        raise Refused(400, error("The tool in `tool_choice` is not among the tools.", "invalid_request_error", 400))
    if "tool_choice" in asked and not names:
        raise Refused(400, error("`tool_choice` is only allowed with `tools`.", "invalid_request_error", 400))


def check_messages(messages: list[dict[str, Any]]) -> None:
    """As OpenAI does: each call is followed by its result, and nothing stands between."""
    open_calls: list[str] = []
    for message in messages:
        answers = message["role"] == "tool"
        if answers and message["tool_call_id"] not in open_calls:
            said = "messages with role 'tool' must be a response to a preceding message with 'tool_calls'"
            raise Refused(400, error(said, "invalid_request_error"))
        if answers:
            open_calls.remove(message["tool_call_id"])
        elif open_calls:
            said = f"tool_call_ids did not have response messages: {open_calls}"
            raise Refused(400, error(said, "invalid_request_error"))
        for call in message.get("tool_calls", ()):
            if len(call["id"]) > 40 or not isinstance(json.loads(call["function"]["arguments"]), dict):
                raise Refused(400, error(f"no call: {call}", "invalid_request_error"))
            open_calls.append(call["id"])


def check_loaded(path: str) -> None:
    """llama.cpp's server has no page but the list of models before it has loaded its model."""
    with STATE.changed:
        if not STATE.settings.get("loading") or path == "/v1/models":
            return
        STATE.settings["loading"] -= 1
    raise Refused(503, error("Loading model", "unavailable_error", 503))


def no_page(asked: str) -> Refused:
    if STATE.kind == "lmstudio":
        return Refused(200, {"error": f"Unexpected endpoint or method. ({asked})"})
    return Refused(404, {"detail": "Not Found"})


def error(message: str, kind: str, code: Any = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def listed() -> Any:
    if STATE.settings.get("no_list"):
        raise Refused(404, {"detail": "Not Found"})
    extra = {"max_model_len": STATE.settings.get("window", 8192)} if STATE.kind == "vllm" else {}
    owner = STATE.settings.get("owner", OWNERS[STATE.kind])
    data = [{"id": name, "object": "model", "created": 0, "owned_by": owner, **extra} for name in MODELS]
    if STATE.settings.get("bare_list"):
        return data
    return {"object": "list", STATE.settings.get("models_key", "data"): data}


def older_lm_studio_models() -> dict[str, Any]:
    window = STATE.settings.get("window", 8192)
    data = [
        {"id": name, "object": "model", "type": "vlm", "arch": "gemma3", "state": "loaded",
         "max_context_length": 131_072, "loaded_context_length": window}
        for name in MODELS
    ]  # fmt: skip
    return {"object": "list", "data": data}


def lm_studio_models() -> dict[str, Any]:
    if STATE.settings.get("older"):
        raise no_page("GET /api/v1/models")
    window = STATE.settings.get("window", 8192)
    abilities = STATE.settings.get("abilities", {"vision": True, "trained_for_tool_use": False})
    models: list[dict[str, Any]] = [
        {"type": "llm", "key": name, "architecture": "gemma3", "size_bytes": 3_000_000_000, "format": "gguf",
         "loaded_instances": [{"id": name, "config": {"context_length": window, "flash_attention": True}}],
         "max_context_length": 131_072, "capabilities": abilities}
        for name in MODELS
    ]  # fmt: skip
    models.append({"type": "embedding", "key": "embed", "loaded_instances": [], "max_context_length": 2048})
    return {"models": models}


def llama_props() -> dict[str, Any]:
    abilities = STATE.settings.get("abilities", {"vision": True, "supports_tools": True})
    return {
        "default_generation_settings": {"n_ctx": STATE.settings.get("window", 8192)},
        "total_slots": 2,
        "build_info": "b9000-abcdef",
        "modalities": {"vision": abilities.get("vision", False), "audio": False},
        "chat_template_caps": {name: can for name, can in abilities.items() if name != "vision"},
    }


def llama_tokens(asked: dict[str, Any]) -> dict[str, Any]:
    bos = [2] if asked.get("add_special") else []
    return {"tokens": [*bos, *range(100, 100 + len(words(asked["content"], asked.get("parse_special", True))))]}


def vllm_tokens(asked: dict[str, Any]) -> dict[str, Any]:
    if asked["model"] not in MODELS:
        raise Refused(404, error(f"The model `{asked['model']}` does not exist.", "NotFoundError", 404))
    count = len(words(asked["prompt"], True)) + asked.get("add_special_tokens", True)
    return {"count": count, "max_model_len": 8192, "tokens": list(range(count)), "token_strs": None}


def words(text: str, marks: bool) -> list[str]:
    """A tokenizer for tests: control marks and words are tokens."""
    return re.findall(r"<[^<> ]+>|[^\s<]+|<" if marks else r"\w+|[^\w\s]", text)


TOKENIZED: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {"llamacpp": llama_tokens, "vllm": vllm_tokens}


def version() -> dict[str, str]:
    return {"version": STATE.settings.get("version", "0.14.1")}


OWN_PAGES: dict[str, dict[str, Any]] = {
    "vllm": {"/version": version},
    "llamacpp": {"/props": llama_props},
    "lmstudio": {"/api/v0/models": older_lm_studio_models, "/api/v1/models": lm_studio_models},
    "ollama": {"/api/version": version},
}


def count(asked: dict[str, Any]) -> int:
    return len(json.dumps(asked.get("messages") or asked.get("prompt"))) // 4
