"""A stand-in for the Gemini API (v1beta, REST), in its own process: plays replies that tests set, and refuses what
Google refuses, in its words.

Run as a script it prints its port, and ends when its standard input does.

    POST /_control  {"replies": [REPLY, ...], "settings": {...}, "reset": true}
    GET  /_requests {"requests": [...], "asked": ["GET /v1beta/models", ...]}; ?ended=N waits for so many replies

Fields of a REPLY, each a switch:

    text, thought, calls        what the model says; text goes out in pieces of `piece` characters (4)
    finish                      the finishReason; None for none
    blocked                     the blockReason of the prompt, in place of a reply
    frames                      these frames, as they are, in place of those
    status, body, headers       this answer instead of a reply; a body that is no string is sent as JSON
    drop                        the connection is closed before any answer
    late_error                  an error object in an event behind the text, status 200
    cut                         "event": ends in order within an event; "connection": breaks off within one
    hang                        says nothing more behind all that
    slow                        says nothing for so many seconds before it answers

Settings: key (the only one taken), window (tokens of context).
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import stand_in
from stand_in import LONGEST, Gone, State, serve

MODELS = ["gemma-3-1b-it", "gemma-3-27b-it", "gemma-4-26b-a4b-it", "gemma-4-31b-it", "gemini-3.5-flash"]
FIELDS = {"contents", "systemInstruction", "tools", "toolConfig", "generationConfig"}
OF_GENERATION = {
    *("temperature", "topP", "topK", "seed", "presencePenalty", "frequencyPenalty", "maxOutputTokens"),
    *("stopSequences", "responseMimeType", "responseJsonSchema", "thinkingConfig"),
}


class Refused(Exception):
    """An answer that is no reply."""

    def __init__(self, code: int, status: str, message: str, details: Any = None) -> None:
        super().__init__(message)
        error = {"code": code, "message": message, "status": status}
        self.code, self.body = code, {"error": {**error, "details": details} if details else error}


STATE = State()


class Handler(stand_in.Handler):
    json_type = "application/json; charset=UTF-8"

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path == "/_requests":
            self.answer(200, recorded(parse_qs(url.query)))
            return
        STATE.asked.append(f"GET {self.path}")
        try:
            self.check_key()
            if url.path == "/v1beta/models":
                self.answer(200, {"models": [described(model) for model in MODELS]})
            else:
                self.answer(200, described(known(url.path)))
        except Refused as refused:
            self.answer(refused.code, refused.body)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
        if self.path == "/_control":
            STATE.tell(body)
            self.answer(200, {})
            return
        STATE.asked.append(f"POST {self.path}")
        url = urlsplit(self.path)
        entry = {"path": self.path, "headers": dict(self.headers), "body": body, "ended": ""}
        with STATE.changed:
            STATE.requests.append(entry)
        try:
            self.check_key()
            path, _, action = url.path.rpartition(":")
            model = known(path)
            if action == "countTokens":
                self.answer(200, {"totalTokens": count_texts(body)})
            else:
                if (action, url.query) != ("streamGenerateContent", "alt=sse"):
                    raise Refused(404, "NOT_FOUND", f"Unknown action {action}.")
                check(model, body)
                self.converse(body)
            entry["ended"] = "whole"
        except Refused as refused:
            entry["ended"] = "refused"
            self.answer(refused.code, refused.body)
        except (Gone, OSError):
            entry["ended"] = "disconnected"
            self.close_connection = True
        finally:
            with STATE.changed:
                STATE.changed.notify_all()

    def check_key(self) -> None:
        wanted, given = STATE.settings.get("key"), self.headers.get("x-goog-api-key")
        if not given:
            said = "Method doesn't allow unregistered callers (callers without established identity)."
            raise Refused(403, "PERMISSION_DENIED", f"{said} Please use API Key.")
        if wanted and given != wanted:
            reason = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
            raise Refused(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", [reason])

    def converse(self, asked: dict[str, Any]) -> None:
        with STATE.changed:
            if not STATE.replies:
                raise Refused(500, "INTERNAL", "the stand-in has no reply left")
            reply = STATE.replies.pop(0)
        self.pause(reply.get("slow", 0))
        if reply.get("drop"):
            self.drop()
        elif "status" in reply or "body" in reply:
            self.answer(reply.get("status", 200), reply.get("body", ""), reply.get("headers"))
        else:
            self.stream(asked, reply)

    def stream(self, asked: dict[str, Any], reply: dict[str, Any]) -> None:
        self.begin("text/event-stream")
        for frame in frames(asked, reply):
            self.event(frame)
        if "late_error" in reply:
            self.event(reply["late_error"])
        if cut := reply.get("cut"):
            self.chunk(b'data: {"candidates": [{"content": {"parts": [{"te')
            if cut == "connection":
                self.drop()
                return
        if reply.get("hang"):
            self.pause(LONGEST)
        self.end()

    def event(self, frame: Any) -> None:
        said = frame if isinstance(frame, str) else json.dumps(frame, ensure_ascii=False)
        self.chunk(f"data: {said}\r\n\r\n".encode())  # Google ends lines so


def frames(asked: dict[str, Any], reply: dict[str, Any]) -> list[Any]:
    if "frames" in reply:
        return list(reply["frames"])
    counts: dict[str, int] = {"promptTokenCount": count(asked), "totalTokenCount": count(asked)}
    if "blocked" in reply:
        return [{"promptFeedback": {"blockReason": reply["blocked"]}, "usageMetadata": counts}]
    text, size = reply.get("text", ""), reply.get("piece", 4)
    parts = [{"text": reply["thought"], "thought": True}] if "thought" in reply else []
    parts += [{"text": text[begin : begin + size]} for begin in range(0, len(text), size)]
    parts += [{"functionCall": call} for call in reply.get("calls", ())]
    found = [{"candidates": [{"content": {"parts": [part], "role": "model"}, "index": 0}]} for part in parts]
    if "late_error" in reply or "cut" in reply:
        return [{**frame, "usageMetadata": counts} for frame in found]
    last: dict[str, Any] = {"content": {"parts": [{"text": ""}], "role": "model"}, "index": 0}
    if finish := reply.get("finish", "STOP"):
        last["finishReason"] = finish
    wrote = {"candidatesTokenCount": len(parts), "thoughtsTokenCount": int("thought" in reply)}
    return [*found, {"candidates": [last], "usageMetadata": {**counts, **wrote}, "modelVersion": "gemma"}]


def known(path: str) -> str:
    """The model that a path names."""
    model = path.removeprefix("/v1beta/models/")
    if model not in MODELS:
        said = f"models/{model} is not found for API version v1beta, or is not supported for generateContent."
        raise Refused(404, "NOT_FOUND", f"{said} Call ModelService.ListModels to see the list of available models.")
    return model


def check(model: str, asked: dict[str, Any]) -> None:
    """Refuses what Google refuses."""

    def refuse(said: str) -> None:
        raise Refused(400, "INVALID_ARGUMENT", said)

    generation = asked.get("generationConfig", {})
    if strange := (asked.keys() - FIELDS) | (generation.keys() - OF_GENERATION):
        refuse(f'Invalid JSON payload received. Unknown name "{min(strange)}": Cannot find field.')
    parts = [part for content in asked.get("contents", ()) for part in content["parts"]]
    if not parts:
        refuse("* GenerateContentRequest.contents: contents is not specified")
    if model.startswith("gemma-3"):
        wanted = {
            "Function calling": "tools" in asked,
            "Developer instruction": "systemInstruction" in asked,
            "JSON mode": "responseMimeType" in generation,
            "Thinking": "thinkingConfig" in generation,
            "Image input modality": model == "gemma-3-1b-it" and any("inlineData" in part for part in parts),
        }
        for what in (what for what, is_asked in wanted.items() if is_asked):
            refuse(f"{what} is not enabled for models/{model}")
    thinking = generation.get("thinkingConfig", {})
    level = thinking.get("thinkingLevel", thinking.get("thinking_level", "HIGH"))  # both spellings are good
    if model.startswith("gemma-4") and ("thinkingBudget" in thinking or level not in ("MINIMAL", "HIGH")):
        refuse(f"Thinking level {level} is not supported for this model.")
    if len(generation.get("stopSequences", ())) > 5:
        refuse("The number of stop sequences must be at most 5.")
    if not all(is_base64(part["inlineData"]["data"]) for part in parts if "inlineData" in part):
        refuse("Base64 decoding failed.")
    check_calls(asked["contents"], refuse)
    window = STATE.settings.get("window", 262_144)
    if (tokens := count(asked)) > window:
        said = f"The input token count ({tokens}) exceeds the maximum number of tokens allowed ({window})."
        refuse(said)


def check_calls(contents: list[dict[str, Any]], refuse: Any) -> None:
    """Each result stands right behind its call."""
    called = 0
    for content in contents:
        results = sum("functionResponse" in part for part in content["parts"])
        if results != called:
            refuse("Please ensure that the number of function response parts is equal to the number of function call "
                   "parts of the function call turn.")  # fmt: skip
        called = sum("functionCall" in part for part in content["parts"])
        if called and content["role"] != "model":
            refuse("Function call parts are only allowed in turns of the model.")


def is_base64(text: str) -> bool:
    try:
        base64.b64decode(re.sub("[-_]", "+", text), validate=True)
    except binascii.Error:
        return False
    return True


def described(model: str) -> dict[str, Any]:
    small = model == "gemma-3-1b-it"
    window = 32_768 if small else 131_072 if model.startswith("gemma-3") else 262_144
    thinks = {} if model.startswith("gemma-3") else {"thinking": True}
    return {
        "name": f"models/{model}",
        "version": "001",
        "displayName": model,
        "inputTokenLimit": window,
        "outputTokenLimit": 8192,
        "supportedGenerationMethods": ["generateContent", "countTokens"],
        **thinks,
    }


def count(asked: dict[str, Any]) -> int:
    return len(json.dumps(asked["contents"])) // 4


def count_texts(asked: dict[str, Any]) -> int:
    texts = [part["text"] for content in asked["contents"] for part in content["parts"]]
    if not all(texts):
        raise Refused(400, "INVALID_ARGUMENT", "A part has no text.")
    return sum(-(-len(text) // 4) for text in texts)


def recorded(query: dict[str, list[str]]) -> dict[str, Any]:
    STATE.wait(query)
    return {"requests": STATE.requests, "asked": STATE.asked}


if __name__ == "__main__":
    serve(Handler)
