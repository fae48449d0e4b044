"""A stand-in for Ollama in its own process: speaks its protocol and plays replies that tests set.

Run as a script it prints its port, and ends when its standard input does. What Ollama does, it does: models
are loaded (again when `num_ctx`, `shift` or another load-time option differs), prompts counted against the context
window, one request generates at a time, a disconnect ends the work. What the model says is set by

    POST /_control  {"replies": [REPLY, ...], "settings": {...}, "reset": true}
    GET  /_requests {"requests": [...], "loads": n, "most_at_once": n}; ?begun=N and ?ended=N wait for chats

Fields of a REPLY, each a switch:

    text, thought, tool_calls   what the model says; text goes out in pieces of `piece` characters (4), then each call
                                in a frame of its own, or all in the last one with `calls_last` (so does the engine)
    says                        what the model writes, control tokens and all, for the server's own parser to read
    done_reason, counts         in the last frame; counts replaces prompt_eval_count
    status, body, headers       this answer instead of a reply
    drop                        the connection is closed before any answer
    late_error                  an error line after the text, status 200
    no_done                     the stream ends in order, without its last frame
    cut                         "line": ends in order within a line; "connection": breaks off within a line
    lines                       these lines, as they are, instead of frames
    hang_after                  says nothing more after so many pieces, until the client leaves
    wait                        seconds between pieces
    repeat                      the piece is sent so many times

Each of the requests comes with `shown`: the tools and results as the model would have read them.

Settings: load_seconds, context (when num_ctx is not asked for), most_context (what fits into memory), on_gpu (the
share of a model on the graphics card; there is none by default), beside (bytes that it takes beside its weights),
hosts (names that the Host check allows), cuts_silently (an old server that knows no `truncate`), close_second (a
second request on a connection finds it closed), mlx (models in that format), no_show (an old server, without
/api/show).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import stand_in
from ollama_answers import (
    FORMATS,
    MODELS,
    STARTED,
    Refused,
    check,
    count,
    create,
    forget_made,
    frame,
    last_frame,
    limited,
    listed,
    pulled,
    shown,
    thought,
)
from ollama_decoded import decoded, heard, seconds
from stand_in import LONGEST, Gone, serve

AT_LOADING = ("num_batch", "num_gpu", "main_gpu", "use_mmap", "num_thread", "draft_num_predict")
"""Options with which a model is loaded; so are `num_ctx` and `shift`."""


@dataclass
class State(stand_in.State):
    loaded: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    loads: int = 0
    most_at_once: int = 0
    runner: threading.Lock = field(default_factory=threading.Lock)


STATE = State()


class Handler(stand_in.Handler):
    json_type = "application/json; charset=utf-8"
    served = 0

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        answers: dict[str, Callable[[], Any]] = {
            "/api/version": lambda: {"version": "0.33.0"},
            "/api/tags": lambda: {"models": [listed(name) for name in MODELS]},
            "/api/ps": running,
            "/_requests": lambda: recorded(parse_qs(url.query)),
        }
        if self.refused_early():
            return
        if url.path == "/":
            self.whole(200, b"Ollama is running", "text/plain; charset=utf-8")
        elif url.path in answers:
            self.answer(200, answers[url.path]())
        else:
            self.whole(404, b"404 page not found", "text/plain")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.refused_early():
            return
        handlers = {
            "/_control": self.control,
            "/api/show": lambda asked: self.answer(200, shown(asked)),
            "/api/pull": self.pull,
            "/api/create": self.create,
            "/api/chat": self.chat,
            "/api/generate": self.chat,
        }
        if STATE.settings.get("no_show"):
            del handlers["/api/show"]
        handler = handlers.get(self.path)
        if handler is None:
            self.whole(404, b"404 page not found", "text/plain")
            return
        try:
            if not body:
                raise Refused(400, "missing request body")
            handler(json.loads(body))
        except Refused as refused:
            self.answer(refused.status, {"error": refused.error})
        except ValueError as exc:
            self.answer(400, {"error": str(exc)})
        except (Gone, OSError):
            self.close_connection = True

    def refused_early(self) -> bool:
        """The Host check, and connections that are closed just when they are used again."""
        self.served += 1
        if self.path.startswith("/_"):
            return False
        if self.served > 1 and STATE.settings.get("close_second"):
            self.close_connection = True
            return True
        host = self.headers.get("Host", "").rpartition(":")[0].strip("[]")
        if host not in STATE.settings.get("hosts", ("127.0.0.1", "localhost", "::1")):
            self.whole(403, b"", "text/plain")
            return True
        return False

    def control(self, asked: dict[str, Any]) -> None:
        def forget() -> None:
            STATE.loaded, STATE.loads, STATE.most_at_once = {}, 0, 0
            forget_made()

        STATE.tell(asked, forget)
        FORMATS.update(dict.fromkeys(STATE.settings.get("mlx", ()), "safetensors"))
        self.answer(200, {})

    def pull(self, asked: dict[str, Any]) -> None:
        states = pulled(asked)
        if "error" in states[-1] and not asked.get("stream", True):
            raise Refused(500, states[-1]["error"])
        self.told(asked, states)

    def create(self, asked: dict[str, Any]) -> None:
        create(asked)
        self.told(asked, [{"status": each} for each in ("using existing layer", "writing manifest", "success")])

    def told(self, asked: dict[str, Any], states: list[dict[str, Any]]) -> None:
        """How something goes on, or only how it ended."""
        if not asked.get("stream", True):
            self.answer(200, states[-1])
            return
        self.begin("application/x-ndjson")
        for state in states:
            self.line(state)
        self.end()

    def chat(self, asked: dict[str, Any]) -> None:
        entry = {
            "path": self.path,
            "headers": dict(self.headers),
            "body": asked,
            "sent": 0,
            "ended": "",
            "cut": 0,
            "over": False,
        }
        with STATE.changed:
            STATE.requests.append(entry)
            STATE.most_at_once = max(STATE.most_at_once, sum(not each["over"] for each in STATE.requests))
            STATE.changed.notify_all()
        try:
            self.converse(asked, entry)
            entry["ended"] = "whole"
        except (Gone, OSError):
            entry["ended"] = "disconnected"
            raise
        except Refused:
            entry["ended"] = "refused"
            raise
        finally:
            with STATE.changed:
                entry["over"] = True
                STATE.changed.notify_all()

    def converse(self, asked: dict[str, Any], entry: dict[str, Any]) -> None:
        check(asked)
        entry["shown"] = decoded(asked)
        reply = self.next_reply(asked)
        if reply.get("drop"):
            self.drop()
        elif "status" in reply or "body" in reply:
            self.answer(reply.get("status", 200), reply.get("body", ""), reply.get("headers"))
        else:
            while not STATE.runner.acquire(timeout=0.01):  # one at a time; who leaves the queue is not served
                self.pause(0.0)
            try:
                window = self.load(asked)
                tokens = fitted(asked, window, reply, entry)
                self.generate(asked, reply, entry, tokens, window)
                if seconds(asked.get("keep_alive")) == 0:
                    STATE.loaded.pop(asked["model"], None)
            finally:
                STATE.runner.release()

    def next_reply(self, asked: dict[str, Any]) -> dict[str, Any]:
        if not asked.get("messages") and not asked.get("prompt"):
            return {"done_reason": "unload" if asked.get("keep_alive") == 0 else "load", "text": ""}
        with STATE.changed:
            if not STATE.replies:
                raise Refused(500, "the stand-in has no reply left")
            return STATE.replies.pop(0)

    def load(self, asked: dict[str, Any]) -> int:
        """Loads the model unless it is loaded just so. A client that leaves meanwhile aborts it."""
        window: int = asked.get("options", {}).get("num_ctx") or STATE.settings.get("context", 4096)
        window = min(window, STATE.settings.get("most_context", window), MODELS[asked["model"]][2])
        options = asked.get("options", {})
        wanted = (window, asked.get("shift", True), *(options.get(name) for name in AT_LOADING))
        if STATE.loaded.get(asked["model"]) != wanted:
            STATE.loaded.pop(asked["model"], None)
            self.pause(STATE.settings.get("load_seconds", 0.0))
            STATE.loaded[asked["model"]] = wanted
            STATE.loads += 1
        return window

    def generate(
        self, asked: dict[str, Any], reply: dict[str, Any], entry: dict[str, Any], tokens: int, window: int
    ) -> None:
        """Writes the reply, as a stream or whole."""
        reply, calls = heard(asked, reply)
        pieces, reason = limited(asked, reply, window - tokens)
        counts = reply.get("done_reason", reason), reply.get("counts", tokens), len(pieces)
        if not asked.get("stream", True):
            both = {**thought(reply, asked), **({"tool_calls": calls} if calls else {})}
            whole = frame(asked, "".join(pieces), **both)
            self.answer(200, {**last_frame(asked, *counts), **whole, "done": True})
            return
        self.begin("application/x-ndjson")
        if thinking := thought(reply, asked):
            self.line(frame(asked, "", **thinking))
        for number, piece in enumerate(pieces):
            if number == reply.get("hang_after"):
                self.pause(LONGEST)
            self.line(frame(asked, piece))
            entry["sent"] += 1
            self.pause(reply.get("wait", 0.0))
        late = {"tool_calls": calls} if calls and reply.get("calls_last") else {}
        for call in () if late else calls:
            self.line(frame(asked, "", tool_calls=[call]))
        for line in reply.get("lines", ()):
            self.chunk(line.encode() + b"\n")
        if "late_error" in reply:
            self.line({"error": reply["late_error"]})
        elif cut := reply.get("cut"):
            self.chunk(b'{"model":"gemma3:4b","message":{"role":"assistant","conte')
            if cut == "connection":
                self.drop()
                return
        elif not reply.get("no_done") and "lines" not in reply:
            entry["over"] = True  # a client that has seen the last frame may ask again before we get any further
            self.line(last_frame(asked, *counts, **late))
        self.end()

    def line(self, value: dict[str, Any]) -> None:
        # Ollama escapes U+2028 but not U+0085; llama.cpp neither. Nothing is escaped here: the harder case.
        self.chunk(json.dumps(value, ensure_ascii=False).encode() + b"\n")


def fitted(asked: dict[str, Any], window: int, reply: dict[str, Any], entry: dict[str, Any]) -> int:
    """Tokens of the prompt once it fits the window; `entry["cut"]` says how many messages it lost."""
    messages = list(asked.get("messages") or [{"role": "user", "content": asked.get("prompt", "")}])
    if asked.get("truncate", True) is False and not STATE.settings.get("cuts_silently"):
        if (tokens := count(messages)) > window:
            facts = {
                "code": 400,
                "message": "the request exceeds the available context size, try increasing it",
                "type": "exceed_context_size_error",
                "n_prompt_tokens": tokens,
                "n_ctx": window,
            }
            raise Refused(400, json.dumps({"error": facts}))
        return tokens
    while count(messages) > window and len(messages) > 1:
        oldest = next((at for at, message in enumerate(messages[:-1]) if message["role"] != "system"), 0)
        del messages[oldest]
        entry["cut"] += 1
    return min(count(messages), window)


def running() -> dict[str, Any]:
    share, beside = STATE.settings.get("on_gpu", 0.0), STATE.settings.get("beside", 0)
    models = [
        {
            **listed(name),
            "expires_at": STARTED,
            "size": listed(name)["size"] + beside,
            "size_vram": int((listed(name)["size"] + beside) * share),
            "context_length": window,
        }
        for name, (window, *_) in STATE.loaded.items()
    ]
    return {"models": models}


def recorded(query: dict[str, list[str]]) -> dict[str, Any]:
    STATE.wait(query)
    return {"requests": STATE.requests, "loads": STATE.loads, "most_at_once": STATE.most_at_once}


if __name__ == "__main__":
    serve(Handler)
