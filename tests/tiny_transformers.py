"""Writes very small models of Gemma's architectures with random weights, as folders that `transformers` loads.

They say nothing sensible, but are loaded, read a prompt and are sampled from as any other: the sliding windows of
Gemma 3, the layers of Gemma 4 that share what they remember, and the vision tower that published models have beside
the language model are there. Needs the packages `torch` and `transformers`.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tiny_gemma import CONTROL, TOKENS, USER_DEFINED, ids

WINDOW = 32
"""Tokens that the layers with a sliding window see."""
ENDS = ids("<eos>", "<end_of_turn>")
HIGH_BYTES = ids(*(f"<0x{byte:02X}>" for byte in range(0x80, 0x100)))
_MERGES = [("t", "h"), ("th", "e"), ("\u2581", "a")]
_LAYERS = ["sliding_attention", "sliding_attention", "full_attention"]


def write_tiny_gemma_folder(folder: Path, kind: str = "gemma3", *, context: int = 4096, endless: bool = True) -> Path:
    """A model of the architecture `kind` in the folder, the same at every call.

    Args:
        kind: `gemma3` (with a vision tower), `gemma3_text`, `gemma4` or `gemma2`.
        context: tokens it was trained for.
        endless: whether it never ends a reply by itself.
    """
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(4)
        model = _model(kind, context)
        for name, weights in model.named_parameters():
            if "lm_head" in name:  # with tied embeddings such a model says one token for ever
                torch.nn.init.normal_(weights, 0.0, 0.1)
            elif "embed_tokens." in name:
                torch.nn.init.normal_(weights, 0.0, 1.0)
    settings = model.generation_config
    settings.do_sample, settings.top_k, settings.top_p = True, 0, 1.0
    settings.eos_token_id, settings.bos_token_id, settings.pad_token_id = ENDS, *ids("<bos>", "<pad>")
    # Half characters are no text: a random model would write little else.
    settings.suppress_tokens = [*HIGH_BYTES, *(ENDS if endless else ())]
    model.save_pretrained(folder)
    _tokenizer().save_pretrained(folder)
    return folder


def _model(kind: str, context: int) -> Any:
    import transformers

    text: dict[str, Any] = {
        "vocab_size": len(TOKENS) + len(_MERGES),
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": len(_LAYERS),
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 32,
        "sliding_window": WINDOW,
        "layer_types": _LAYERS,
        "max_position_embeddings": context,
        "tie_word_embeddings": False,
        "bos_token_id": ids("<bos>")[0],
        "eos_token_id": ENDS,
        "pad_token_id": ids("<pad>")[0],
        "initializer_range": 0.3,  # with less, what it says next depends on the last token only
    }
    eyes = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
        "num_key_value_heads": 1,
        "head_dim": 16,
        "patch_size": 4,
        "image_size": 8,
    }
    if kind == "gemma2":
        return transformers.Gemma2ForCausalLM(transformers.Gemma2Config(**text))
    if kind == "gemma3_text":
        return transformers.Gemma3ForCausalLM(transformers.Gemma3TextConfig(**text))
    if kind == "gemma3":
        config = transformers.Gemma3Config(text_config=text, vision_config=eyes, tie_word_embeddings=False)
        return transformers.Gemma3ForConditionalGeneration(config)
    text |= {"hidden_size_per_layer_input": 8, "vocab_size_per_layer_input": text["vocab_size"]}
    text |= {"num_kv_shared_layers": 1, "num_hidden_layers": 4, "global_head_dim": 32}
    text |= {"layer_types": [*_LAYERS, "full_attention"]}
    config4 = transformers.Gemma4Config(text_config=text, vision_config=eyes, tie_word_embeddings=False)
    return transformers.Gemma4ForConditionalGeneration(config4)


def _tokenizer() -> Any:
    from transformers import GemmaTokenizer

    places = {text: place for place, (text, _) in enumerate(TOKENS)}
    for first, second in _MERGES:
        places[first + second] = len(places)
    made = GemmaTokenizer(vocab=places, merges=_MERGES)
    marks = [text for text, kind in TOKENS if kind in (CONTROL, USER_DEFINED)]
    made.add_special_tokens({"additional_special_tokens": marks})
    return made


def teach(folder: Path, lessons: list[tuple[str, str]], most: int = 400) -> None:
    """Trains the model in the folder until it answers each prompt with its reply, when no choice is left to chance.

    Raises:
        AssertionError: it has not learnt that in so many rounds.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    pairs = [[tokenizer.encode(text, add_special_tokens=False) for text in lesson] for lesson in lessons]
    model = AutoModelForCausalLM.from_pretrained(folder)
    model.train()
    learning = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(most):
        sure = True
        for prompt, reply in pairs:
            said = model(torch.tensor([prompt + reply]), logits_to_keep=len(reply) + 1).logits[0, :-1].float()
            wanted = torch.tensor(reply)
            loss = torch.nn.functional.cross_entropy(said, wanted)
            sure = sure and loss.item() < 0.01
            learning.zero_grad()
            loss.backward()
            learning.step()
        if sure:
            break
    else:
        raise AssertionError(f"not learnt in {most} rounds: {loss.item():.2f}")
    model.generation_config.suppress_tokens = None
    model.save_pretrained(folder)


@contextmanager
def tiny_hub(folder: Path, name: str) -> Iterator[str]:
    """The address of a stand-in for the hub that has the folder under a name. It gives out no model whose name holds
    `gated`, and knows no other."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Hub)
    server.daemon_threads = True
    _Hub.folder, _Hub.name = folder, name
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        serving.join(10)


class _Hub(BaseHTTPRequestHandler):
    folder: Path
    name: str
    commit = "a" * 40

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        file = self.folder / path.rpartition("/")[2]
        names = [each.name for each in self.folder.iterdir()]
        if "gated" in path:
            self._say(403, b"", X_Error_Code="GatedRepo")
        elif f"/{self.name}/" not in path:
            self._say(401, b"", X_Error_Code="RepoNotFound")
        elif path.endswith("/revision/main"):
            files = [*names, "pytorch_model.bin", "original/model.safetensors"]
            self._say_json({"id": self.name, "sha": self.commit, "siblings": [{"rfilename": each} for each in files]})
        elif "/tree/" in path:
            self._say_json([self._described(self.folder / each) for each in names])
        elif "/resolve/" in path and file.exists():
            etag = self._described(file)["oid"]
            self._say(200, file.read_bytes(), ETag=f'"{etag}"', X_Repo_Commit=self.commit)
        else:
            self._say(404, b"", X_Error_Code="EntryNotFound")

    do_HEAD = do_GET

    def _described(self, file: Path) -> dict[str, Any]:
        digest = hashlib.sha1(file.read_bytes(), usedforsecurity=False).hexdigest()
        return {"type": "file", "path": file.name, "size": file.stat().st_size, "oid": digest}

    def _say_json(self, said: Any) -> None:
        self._say(200, json.dumps(said).encode(), Content_Type="application/json")

    def _say(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass
