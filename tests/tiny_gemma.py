"""Writes a very small model with Gemma's architecture and random weights, for engines that want a real file.

It says nothing sensible, but a server loads it, tokenises with it and samples from it as from any other: with a
grammar even its words have a form. Needs the packages `gguf` and `numpy`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, BYTE = 1, 2, 3, 4, 6

GEMMA_MARKS = ("<start_of_turn>", "<end_of_turn>", "<start_of_image>", "<end_of_image>", "<image_soft_token>")
FUNCTIONGEMMA_MARKS = (
    "<start_function_declaration>",
    "<end_function_declaration>",
    "<start_function_call>",
    "<end_function_call>",
    "<start_function_response>",
    "<end_function_response>",
    "<escape>",
)
GEMMA4_MARKS = ("<|turn>", "<turn|>", "<|tool>", "<tool|>", "<|think|>", "<|image>", "<image|>", "<|image|>")
GEMMA4_USER_MARKS = (
    "<|tool_call>",
    "<tool_call|>",
    "<|tool_response>",
    "<tool_response|>",
    '<|"|>',
    "<|channel>",
    "<channel|>",
)
"""Not control tokens in Gemma 4's own vocabulary."""
WORDS = ("FUNCTION_CALL:", "```tool_code", '{"name":', "call:", "true", "false", "null", "True", "False", "None")
"""Whole words, so that calls are begun by chance too."""

TOKENS: tuple[tuple[str, int], ...] = (
    ("<pad>", CONTROL),
    ("<eos>", CONTROL),
    ("<bos>", CONTROL),
    ("<unk>", UNKNOWN),
    ("<mask>", CONTROL),
    *((mark, CONTROL) for mark in (*GEMMA_MARKS, *FUNCTIONGEMMA_MARKS, *GEMMA4_MARKS)),
    *((mark, USER_DEFINED) for mark in GEMMA4_USER_MARKS),
    *((f"<0x{byte:02X}>", BYTE) for byte in range(256)),
    *((chr(code), NORMAL) for code in range(0x21, 0x7F)),
    ("\u2581", NORMAL),
    *((word, NORMAL) for word in WORDS),
)
"""Every token with its type; its id is its place. `\u2581` is a space."""


def ids(*texts: str) -> list[int]:
    """The ids of tokens."""
    places = {text: place for place, (text, _) in enumerate(TOKENS)}
    return [places[text] for text in texts]


def write_tiny_gemma(path: Path, context: int = 32_768) -> Path:
    """The model at `path`: two layers, half a megabyte, the same at every call."""
    import gguf
    import numpy as np

    size, layers, inner, head = 64, 2, 128, 32
    writer = gguf.GGUFWriter(str(path), "gemma3")
    writer.add_context_length(context)
    writer.add_embedding_length(size)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(inner)
    writer.add_head_count(2)
    writer.add_head_count_kv(1)
    writer.add_key_length(head)
    writer.add_value_length(head)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(10_000.0)
    writer.add_tokenizer_model("llama")
    writer.add_token_list([text for text, _ in TOKENS])
    writer.add_token_scores([0.0] * len(TOKENS))
    writer.add_token_types([kind for _, kind in TOKENS])
    for add, mark in (
        (writer.add_bos_token_id, "<bos>"),
        (writer.add_eos_token_id, "<eos>"),
        (writer.add_unk_token_id, "<unk>"),
        (writer.add_pad_token_id, "<pad>"),
    ):
        add(ids(mark)[0])
    writer.add_add_bos_token(True)

    chance = np.random.default_rng(4)

    def tensor(name: str, *shape: int, spread: float = 0.02) -> None:
        writer.add_tensor(name, chance.normal(0.0, spread, shape).astype(np.float32))

    def ones(name: str, length: int) -> None:
        writer.add_tensor(name, np.ones(length, dtype=np.float32))

    tensor("token_embd.weight", len(TOKENS), size, spread=1.0)
    ones("output_norm.weight", size)
    # With tied embeddings such a model says one token for ever.
    tensor("output.weight", len(TOKENS), size, spread=0.1)
    for layer in range(layers):
        block = f"blk.{layer}"
        for norm in ("attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm"):
            ones(f"{block}.{norm}.weight", size)
        tensor(f"{block}.attn_q.weight", 2 * head, size)
        tensor(f"{block}.attn_k.weight", head, size)
        tensor(f"{block}.attn_v.weight", head, size)
        tensor(f"{block}.attn_output.weight", size, 2 * head)
        ones(f"{block}.attn_q_norm.weight", head)
        ones(f"{block}.attn_k_norm.weight", head)
        tensor(f"{block}.ffn_gate.weight", inner, size)
        tensor(f"{block}.ffn_up.weight", inner, size)
        tensor(f"{block}.ffn_down.weight", size, inner)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


class TinyGemma:
    """The model in an engine, in this process.

    Args:
        path: what `write_tiny_gemma` wrote.
    """

    def __init__(self, path: Path) -> None:
        import xllamacpp

        params = xllamacpp.CommonParams()
        params.model.path = str(path)
        params.n_ctx = 8192
        params.n_parallel = 1
        params.cpuparams.n_threads = 1  # two are slower as soon as something else runs
        params.cpuparams_batch.n_threads = 1
        params.verbosity = -1
        params.hostnames = ["127.0.0.1"]
        params.port = 0
        self._server = xllamacpp.Server(params)

    def complete(self, prompt: str, **settings: Any) -> tuple[str, bool]:
        """What it says, and whether it came to an end by itself.

        Raises:
            EngineError: the engine refuses the request, or fails.
        """
        chunks: list[dict[str, Any]] = []
        self._server.handle_completions({"prompt": prompt, "stream": True, **settings}, chunks.append)
        text, finished = "", False
        for chunk in chunks:
            if "error" in chunk:
                raise EngineError(chunk["error"].get("message", str(chunk["error"])))
            for choice in chunk.get("choices", ()):
                text += choice.get("text") or ""
                finished = finished or choice.get("finish_reason") == "stop"
        return text, finished


class EngineError(Exception):
    """What the engine said was wrong."""


FLAT_AND_HOT: dict[str, Any] = {
    "temperature": 1.0,
    "top_k": 0,
    "top_p": 1.0,
    "min_p": 0.0,
    # Half characters are no text: a random model would write little else.
    "logit_bias": [[token, False] for token in ids(*(f"<0x{byte:02X}>" for byte in range(0x80, 0x100)))],
    "cache_prompt": True,
}
"""Settings under which it says something else every time."""
