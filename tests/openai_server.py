"""A stand-in for servers behind OpenAI's protocol, in its own process: plays replies that tests set.

Run as a script it prints its port, and ends when its standard input does.

    POST /_control  {"replies": [REPLY, ...], "settings": {...}, "reset": true}
    GET  /_requests {"requests": [...], "asked": ["GET /v1/models", ...]}; ?ended=N waits for so many replies

Fields of a REPLY, each a switch:

    text, thought, tool_calls   what the model says; text goes out in pieces of `piece` characters (4)
    deltas, late_deltas         pieces of calls as they are, a list for each event; the late ones behind the finish
    thought_field               how thoughts are called: reasoning_content, or reasoning
    finish                      the finish_reason; None for none
    late_text                   more text behind it
    no_done                     no [DONE]
    status, body, headers       this answer instead of a reply; a body that is no string is sent as JSON
    drop                        the connection is closed before any answer
    late_error                  an error object in an event behind the text, status 200
    cut                         "event": ends in order within an event; "connection": breaks off within one
    events                      these events, as they are, instead of frames
    line_end, ping, split       how events are written: the end of a line; a comment in front of each; bytes per write
    counts                      prompt_tokens
    hang                        says nothing more behind the text or, with a finish_reason, behind that

Settings: kind (vllm, llamacpp, lmstudio, ollama, plain), key (the only one), window (tokens of context), version,
page (a page for people at every path); of the list of models: owner, no_list (404), bare_list, models_key (in place
of data); no_tools and no_images (status and words for requests with them), abilities (of the models, as llama.cpp and
LM Studio call them), older (LM Studio before 0.4), words (vLLM's of a reply without room, by age: oldest, between,
newest), loading (answers until llama.cpp has its model), no_tokenize.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import stand_in
from openai_answers import OWN_PAGES, STATE, TOKENIZED, Refused, check, check_loaded, count, error, listed, no_page
from stand_in import LONGEST, Gone, serve


class Handler(stand_in.Handler):
    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path == "/_requests":
            self.answer(200, recorded(parse_qs(url.query)))
            return
        STATE.asked.append(f"GET {self.path}")
        pages = {"/v1/models": listed, **OWN_PAGES.get(STATE.kind, {})}
        try:
            self.check_key()
            if url.path not in pages:
                raise no_page(f"GET {url.path}")
            check_loaded(url.path)
            self.answer(200, pages[url.path]())
        except Refused as refused:
            self.answer(refused.status, refused.body)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
        if self.path == "/_control":
            STATE.tell(body)
            self.answer(200, {})
            return
        STATE.asked.append(f"POST {self.path}")
        entry = {"path": self.path, "headers": dict(self.headers), "body": body, "ended": ""}
        with STATE.changed:
            STATE.requests.append(entry)
        try:
            self.check_key()
            check_loaded(self.path)
            if self.path == "/tokenize" and STATE.kind in TOKENIZED and "no_tokenize" not in STATE.settings:
                self.answer(200, TOKENIZED[STATE.kind](body))
                return
            if self.path not in ("/v1/chat/completions", "/v1/completions"):
                raise no_page(f"POST {self.path}")
            check(body)
            self.converse(body, is_chat=self.path.endswith("/chat/completions"))
            entry["ended"] = "whole"
        except Refused as refused:
            entry["ended"] = "refused"
            self.answer(refused.status, refused.body)
        except (Gone, OSError):
            entry["ended"] = "disconnected"
            self.close_connection = True
        finally:
            with STATE.changed:
                STATE.changed.notify_all()

    def check_key(self) -> None:
        if "page" in STATE.settings:
            raise Refused(200, STATE.settings["page"])
        wanted = STATE.settings.get("key")
        given = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if wanted and given != wanted:
            said = f"Incorrect API key provided: {given}." if given else "You didn't provide an API key."
            raise Refused(401, error(said, "invalid_request_error", "invalid_api_key"))

    def converse(self, asked: dict[str, Any], is_chat: bool) -> None:
        with STATE.changed:
            if not STATE.replies:
                raise Refused(500, error("the stand-in has no reply left", "server_error"))
            reply = STATE.replies.pop(0)
        if reply.get("drop"):
            self.drop()
        elif "status" in reply or "body" in reply:
            self.answer(reply.get("status", 200), reply.get("body", ""), reply.get("headers"))
        elif asked.get("stream"):
            self.stream(asked, reply, is_chat)
        else:
            message = {"role": "assistant", "content": reply.get("text", "")}
            choice = {"index": 0, "message": message, "finish_reason": reply.get("finish", "stop")}
            self.answer(200, {**frame(asked, "chat.completion"), "choices": [choice], "usage": usage(asked, reply)})

    def stream(self, asked: dict[str, Any], reply: dict[str, Any], is_chat: bool) -> None:
        self.begin("text/event-stream; charset=utf-8")
        for event in reply.get("events", ()):
            self.event(event, reply)
        if "events" not in reply:
            self.frames(asked, reply, is_chat)
        if cut := reply.get("cut"):
            self.chunk(b'data: {"choices": [{"delta": {"conte')
            if cut == "connection":
                self.drop()
                return
        elif reply.get("hang"):
            self.pause(LONGEST)
        elif not (reply.get("no_done") or "events" in reply):
            self.event("[DONE]", reply)
        self.end()

    def frames(self, asked: dict[str, Any], reply: dict[str, Any], is_chat: bool) -> None:
        """All but the last."""
        kind = "chat.completion.chunk" if is_chat else "text_completion"

        def say(said: dict[str, Any], finish: str | None = None) -> None:
            said = {"delta": said} if is_chat else {"text": said.get("content", "")}
            self.frame({**frame(asked, kind), "choices": [{"index": 0, **said, "finish_reason": finish}]}, reply)

        say({"role": "assistant", "content": ""})
        if thought := reply.get("thought"):
            say({reply.get("thought_field", "reasoning_content"): thought, "content": None})
        for piece in pieces(reply.get("text", ""), reply.get("piece", 4)):
            say({"content": piece})
        for deltas in reply.get("deltas", ()):
            say({"tool_calls": deltas})
        for index, call in enumerate(reply.get("tool_calls", ())):
            say({"tool_calls": [{"index": index, "id": f"call_{index}", "type": "function", "function": call}]})
            say({"tool_calls": [{"index": index, "function": {"arguments": ""}}]})
        if "late_error" in reply:
            self.frame(reply["late_error"], reply)
        elif "cut" not in reply:
            calls = reply.get("tool_calls") or reply.get("deltas") or reply.get("late_deltas")
            finish = reply.get("finish", "tool_calls" if calls else "stop")
            if finish:
                say({}, finish)
            for deltas in reply.get("late_deltas", ()):
                say({"tool_calls": deltas})
            if late := reply.get("late_text"):
                say({"content": late})
            if asked.get("stream_options", {}).get("include_usage") and not reply.get("hang"):
                self.frame({**frame(asked, kind), "choices": [], "usage": usage(asked, reply)}, reply)

    def frame(self, value: dict[str, Any], reply: dict[str, Any]) -> None:
        # Nothing is escaped: llama.cpp and vLLM send U+0085 and U+2028 as they are.
        self.event(json.dumps(value, ensure_ascii=False), reply)

    def event(self, said: str, reply: dict[str, Any]) -> None:
        end = reply.get("line_end", "\n")
        ping = f": ping{end}{end}" if reply.get("ping") else ""
        lines = "".join(f"data: {line}{end}" for line in said.split("\n"))
        whole = f"{ping}{lines}{end}".encode("utf-8", "surrogatepass")
        for begin in range(0, len(whole), step := reply.get("split", len(whole))):
            self.chunk(whole[begin : begin + step])


def frame(asked: dict[str, Any], kind: str) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "object": kind, "created": 1, "model": asked["model"]}


def usage(asked: dict[str, Any], reply: dict[str, Any]) -> dict[str, int]:
    read = reply.get("counts", count(asked))
    wrote = len(pieces(reply.get("text", ""), 4))
    return {"prompt_tokens": read, "completion_tokens": wrote, "total_tokens": read + wrote}


def pieces(text: str, size: int) -> list[str]:
    return [text[begin : begin + size] for begin in range(0, len(text), size)]


def recorded(query: dict[str, list[str]]) -> dict[str, Any]:
    STATE.wait(query)
    return {"requests": STATE.requests, "asked": STATE.asked}


if __name__ == "__main__":
    serve(Handler)
