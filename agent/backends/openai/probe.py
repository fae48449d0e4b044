"""What answers behind OpenAI's protocol: asked once, in two or three small questions.

The list of models tells the sort of server by who "owns" them; what that sort says of itself is asked then.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from gemmagraph.backends.base import Constraint, ModelInfo
from gemmagraph.backends.network.http import Answer, Http
from gemmagraph.backends.openai.kinds import LLAMA_CPP, LM_STUDIO, OLLAMA, PLAIN, VLLM, Kind
from gemmagraph.backends.openai.words import StillLoading, is_error, refusal
from gemmagraph.backends.words import Place, without_login
from gemmagraph.errors import BackendError, BackendUnavailable
from gemmagraph.prompts.messages import JSON

OWNERS: Final = {"llamacpp": LLAMA_CPP, "vllm": VLLM, "organization_owner": LM_STUDIO, "library": OLLAMA}
"""What servers say in `owned_by`."""


@dataclass(frozen=True, slots=True)
class Model:
    """A model of a server."""

    name: str
    trained: int | None = None
    """Tokens of context it was trained for."""
    window: int | None = None
    """Tokens of context that one request gets."""
    size: int | None = None
    capabilities: tuple[str, ...] = ()
    lacks: frozenset[str] = frozenset()
    """Capabilities that it certainly does not have as it runs now, `tools` and `vision` among them."""


@dataclass(frozen=True, slots=True)
class Server:
    """What is known about a server."""

    kind: Kind
    models: Mapping[str, Model] = field(default_factory=dict)
    """Empty if it does not list them."""
    version: str = ""
    at_once: int = 0
    adds_bos: bool = True

    @property
    def name(self) -> str:
        """What it is, and which version: `vLLM 0.14.0`."""
        return f"{self.kind.name} {self.version}".strip() or "Server"

    @property
    def constraints(self) -> frozenset[Constraint]:
        """Of its models; `structured_outputs` came with vLLM 0.11."""
        old = self.kind is VLLM and _release(self.version) < (0, 11)
        return frozenset() if old else self.kind.constraints

    def model(self, name: str) -> Model | None:
        """The model that is meant; servers list some with a folder in front, or a tag behind."""
        found = self.models.get(name) or self.models.get(f"{name}:latest") or self.models.get(f"models/{name}")
        if found is None and self.kind is LLAMA_CPP and len(self.models) == 1:  # it runs one, whatever it is called
            return next(iter(self.models.values()))
        return found

    def described(self, model: Model) -> ModelInfo:
        return ModelInfo(
            model.name,
            context=model.trained or model.window,
            window=model.window,
            capabilities=model.capabilities,
            size=model.size,
            constraints=self.constraints - {"tool_choice"} if "tools" in model.lacks else self.constraints,
        )


async def probe(http: Http, prefix: str, place: Place) -> Server:
    """What answers there.

    Args:
        prefix: of the pages of OpenAI's protocol, behind the address of `http`.

    Raises:
        StillLoading: it does not say all of it before it has loaded its model.
        BackendError: nothing does, or it wants a key, or it is elsewhere.
    """
    entries = await _listed(http, prefix, place)
    owners = {str(entry.get("owned_by")) for entry in entries}
    kind = next((kind for owner, kind in OWNERS.items() if owner in owners), PLAIN)
    if kind is PLAIN and http.address.startswith("http:") and (await _asked(http, "/api/version")).get("version"):
        kind = OLLAMA  # its models may have other owners
    models = {model.name: model for model in map(_model, entries)}
    return await _DETAILS.get(kind.name, _no_more)(http, Server(kind, models, at_once=kind.at_once))


async def _listed(http: Http, prefix: str, place: Place) -> list[Mapping[str, JSON]]:
    """The entries of the list of models; none if the server has no such list."""
    answer = await http.ask(f"{prefix}/models")
    entries = _entries(answer)
    if entries is not None:
        return entries
    if not prefix and _entries(await http.ask("/v1/models")) is not None:
        raise BackendUnavailable(
            f"{place.label} has its models one level below.",
            hint=f"Say base_url={without_login(http.address) + '/v1'!r}.",
        )
    is_page = answer.media_type == "text/html" and answer.status not in (404, 405)
    is_refusal = answer.status in (401, 403) or answer.status >= 500
    if is_page or is_refusal or (answer.status == 200 and is_error(answer.text)):
        raise refusal(answer, place)
    return []


def _entries(answer: Answer) -> list[Mapping[str, JSON]] | None:
    """The models in an answer, if it lists some. Together's is a bare list."""
    found = _said(answer)
    if isinstance(found, dict):
        found = found.get("data")
    if not isinstance(found, list):
        return None
    return [entry for entry in found if isinstance(entry, dict) and isinstance(entry.get("id"), str)]


def _model(entry: Mapping[str, JSON]) -> Model:
    """An entry of the list. What llama.cpp says beside it is in `meta`."""
    facts = _mapping(entry.get("meta"))
    window = _count(entry.get("max_model_len")) or _count(facts.get("n_ctx"))
    trained = _count(facts.get("n_ctx_train")) or _count(entry.get("context_length"))
    return Model(entry["id"], trained, window, _count(facts.get("size")))


_Details: TypeAlias = Callable[[Http, Server], Awaitable[Server]]


async def _no_more(http: Http, server: Server) -> Server:
    return server


async def _llama_cpp(http: Http, server: Server) -> Server:
    props = await _asked(http, "/props")
    window = _count(_mapping(props.get("default_generation_settings")).get("n_ctx"))
    capabilities, lacks = _abilities(props.get("modalities"), props.get("chat_template_caps"))
    models = {
        name: replace(model, window=window or model.window, capabilities=capabilities, lacks=lacks)
        for name, model in server.models.items()
    }
    empty = json.dumps({"content": "", "add_special": True}).encode()
    tokens = (await _asked(http, "/tokenize", empty)).get("tokens")
    return replace(
        server,
        models=models,
        version=str(props.get("build_info", "")).partition("-")[0],
        at_once=_count(props.get("total_slots")) or server.at_once,
        adds_bos=bool(tokens) if isinstance(tokens, list) else True,
    )


def _abilities(modalities: JSON, template: JSON) -> tuple[tuple[str, ...], frozenset[str]]:
    """What llama.cpp's server says that its model can, and what it cannot. Older ones say nothing of tools."""
    said, caps = dict(_mapping(modalities)), _mapping(template)
    if "supports_tools" in caps:
        said["tools"] = caps["supports_tools"]
    able = tuple(name for name, can in said.items() if can)
    return ("completion", *able), frozenset(said) - {*able}


async def _vllm(http: Http, server: Server) -> Server:
    version = (await _asked(http, "/version")).get("version")
    return replace(server, version=str(version or ""), adds_bos=False)


async def _lm_studio(http: Http, server: Server) -> Server:
    listed = (await _asked(http, "/api/v1/models")).get("models")
    if isinstance(listed, list):
        found = [_lm_studio_model(entry) for entry in listed if isinstance(entry, dict)]
    else:  # before 0.4
        found = [_older_lm_studio_model(entry) for entry in _entries(await http.ask("/api/v0/models")) or []]
    told = {model.name: model for model in found if model.name in server.models}
    return replace(server, models={**server.models, **told})


def _lm_studio_model(entry: Mapping[str, JSON]) -> Model:
    """What LM Studio says in its list of models. With tools it asks any model, trained for them or not."""
    loaded = entry.get("loaded_instances")
    first = _mapping(loaded[0]) if isinstance(loaded, list) and loaded else {}
    able = _mapping(entry.get("capabilities"))
    names = {"vision": "vision", "trained_for_tool_use": "tools"}
    return Model(
        str(entry.get("key")),
        _count(entry.get("max_context_length")),
        _count(_mapping(first.get("config")).get("context_length")),
        _count(entry.get("size_bytes")),
        ("completion", *(name for field, name in names.items() if able.get(field))),
        frozenset({"vision"} if able.get("vision") is False else ()),
    )


def _older_lm_studio_model(entry: Mapping[str, JSON]) -> Model:
    able = entry.get("capabilities")
    vision = ["vision"] if entry.get("type") == "vlm" else []
    tools = ["tools"] if isinstance(able, list) and "tool_use" in able else []
    return Model(
        entry["id"],
        _count(entry.get("max_context_length")),
        _count(entry.get("loaded_context_length")),
        capabilities=("completion", *vision, *tools),
        lacks=frozenset({"vision"} if entry.get("type") == "llm" else ()),
    )


async def _ollama(http: Http, server: Server) -> Server:
    return replace(server, version=str((await _asked(http, "/api/version")).get("version", "")))


_DETAILS: Final[Mapping[str, _Details]] = {
    LLAMA_CPP.name: _llama_cpp,
    VLLM.name: _vllm,
    LM_STUDIO.name: _lm_studio,
    OLLAMA.name: _ollama,
}


async def _asked(http: Http, path: str, body: bytes | None = None) -> Mapping[str, JSON]:
    """The facts at a page that not every version has."""
    try:
        return _mapping(_said(await http.ask(path, body)))
    except StillLoading:
        raise  # what it does not say now, it will say later
    except BackendError:
        return {}


def _said(answer: Answer) -> JSON:
    """The JSON of an answer; None if it is a refusal or no JSON."""
    if answer.status != 200:
        return None
    try:
        return json.loads(answer.text)
    except (ValueError, RecursionError):
        return None


def _mapping(value: JSON) -> Mapping[str, JSON]:
    return value if isinstance(value, dict) else {}


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and value > 0 else None


def _release(version: str) -> tuple[int, int]:
    found = re.match(r"v?(\d+)\.(\d+)", version)
    return (int(found[1]), int(found[2])) if found else (999, 0)
