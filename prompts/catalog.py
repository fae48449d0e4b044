"""The families: a model's name -> what holds for that model, in one table, and `register_family`.

A name tells only so much. What a server says of the model it loaded (its context, whether it takes images)
goes before what stands here.

Where the facts come from: contexts, images, audio and thinking from Google's model cards
(ai.google.dev/gemma/docs, huggingface.co/google). Of Gemma 4 only E2B, E4B and 12B hear. Sampling from the
cards of Gemma 3 and 4 and, for 3n and FunctionGemma, from Unsloth's guides, which pass on Google's advice
(unsloth.ai/docs); none is given for Gemma 1 and 2. Derivatives take that of their base. The advice is meant
for conversation: for calls a lower temperature is often the better choice.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Literal, TypeAlias

from gemmagraph.prompts.errors import NotationError

TurnFormatName: TypeAlias = Literal["gemma", "functiongemma", "gemma4"]


@dataclass(frozen=True, slots=True)
class Family:
    """What holds for all models of a family, as far as prompts are concerned."""

    name: str
    context: int
    """Tokens the model was trained for."""
    turn_format: TurnFormatName = "gemma"
    notation: str = "function_call"
    """How it writes calls best: its native notation, or the prompted one where it has none."""
    system_turn: bool = False
    """Whether system text has a turn of its own; else it stands in the first user turn."""
    thinks: bool = False
    empty_thought: bool = False
    """Whether a model turn opens with an empty thought when thinking is off; else the model thinks anyway."""
    images: bool = False
    audio: bool = False
    tools: bool = True
    """False for what follows no instructions: classifiers, embedders, translators, base models."""
    temperature: float | None = None
    """This and the next two: what Google advises, None where it advises nothing."""
    top_k: int | None = None
    top_p: float | None = None
    guessed: bool = False
    """Whether the name left the generation open, so that another family could be meant."""


def family_of(model: str) -> Family:
    """The family of a model, from any spelling of its name: Ollama tag, repository, path of a file, API name.

    Raises:
        NotationError: the name says nothing of Gemma and no registered pattern fits it.
    """
    for pattern, family in reversed(_registered.items()):
        if fnmatchcase(model.lower(), pattern):
            return family
    name = _read_name(model)
    if name is None:
        known = ", ".join(dict.fromkeys(family.name for _, _, family in _TABLE))
        raise NotationError(
            f"{model!r} is not the name of a Gemma model.",
            hint=f"Known are: {known}. If it is one of them under another name, give it one that begins with theirs "
            f"(ollama cp {model} gemma3-{model.lower()}), or in Python say so once with "
            f"register_family({model.lower()!r}, family_of('gemma3:4b')).",
        )
    return _look_up(name)


def register_family(pattern: str, family: Family) -> None:
    """Makes names that match `pattern` belong to `family`; asked before the table, the newest first.

    Args:
        pattern: The whole model name, with `*` for any text and `?` for one character; case does not matter.
        family: Often a known one with a change: `replace(family_of("gemma3:4b"), name="acme", context=8192)`.
    """
    pattern = pattern.lower()
    _registered.pop(pattern, None)
    _registered[pattern] = family


_registered: dict[str, Family] = {}

_GEMMA1 = Family("gemma", 8192)
_GEMMA2 = Family("gemma2", 8192)
_GEMMA3 = Family("gemma3", 131072, images=True, temperature=1.0, top_k=64, top_p=0.95)
_GEMMA3_SMALL = replace(_GEMMA3, context=32768, images=False)
_GEMMA3N = replace(_GEMMA3, name="gemma3n", context=32768, audio=True)
_FUNCTIONGEMMA = replace(
    _GEMMA3_SMALL,
    name="functiongemma",
    turn_format="functiongemma",
    notation="functiongemma",
    system_turn=True,
)
_GEMMA4 = replace(
    _GEMMA3, name="gemma4", turn_format="gemma4", notation="gemma4", system_turn=True, thinks=True, audio=True
)
_GEMMA4_LARGE = replace(_GEMMA4, context=262144, empty_thought=True)

# Family key, size in billions from which the row holds, facts. The first row that fits counts.
_TABLE: tuple[tuple[str, float, Family], ...] = (
    ("gemma1", 0, _GEMMA1),
    ("gemma2", 0, _GEMMA2),
    ("gemma3", 2, _GEMMA3),
    ("gemma3", 0, _GEMMA3_SMALL),
    ("gemma3n", 0, _GEMMA3N),
    ("gemma4", 20, replace(_GEMMA4_LARGE, audio=False)),
    ("gemma4", 12, _GEMMA4_LARGE),
    ("gemma4", 0, _GEMMA4),
    ("functiongemma", 0, _FUNCTIONGEMMA),
    ("codegemma", 7, replace(_GEMMA1, name="codegemma")),
    ("codegemma", 0, replace(_GEMMA1, name="codegemma", tools=False)),  # 2B fills gaps in code, no more
    ("recurrentgemma", 0, replace(_GEMMA1, name="recurrentgemma")),
    ("datagemma", 0, replace(_GEMMA2, name="datagemma")),
    ("txgemma", 0, replace(_GEMMA2, name="txgemma")),
    ("medgemma", 0, replace(_GEMMA3, name="medgemma")),
    (
        "diffusiongemma",  # it denoises blocks, so sampling one token at a time is not its measure
        0,
        replace(_GEMMA4_LARGE, name="diffusiongemma", audio=False, temperature=None, top_k=None, top_p=None),
    ),
    ("translategemma", 0, replace(_GEMMA3, name="translategemma", context=2048, tools=False)),
    ("shieldgemma", 0, replace(_GEMMA2, name="shieldgemma", tools=False)),
    ("paligemma", 0, replace(_GEMMA2, name="paligemma", images=True, tools=False)),
    ("embeddinggemma", 0, Family("embeddinggemma", 2048, tools=False)),
    ("t5gemma", 0, Family("t5gemma", 8192, tools=False)),
    ("vaultgemma", 0, Family("vaultgemma", 1024, tools=False)),
)
_KEYS = frozenset(key for key, _, _ in _TABLE)

_USUAL_SIZE = {"gemma3": 4.0, "codegemma": 7.0}
"""In billions, where a name without a size does not mean the smallest."""

# `gemma-4b` is no Gemma 4: without a generation, the size says which one has such a model. Only `2b` and `7b`
# are published in that way.
_GENERATION_OF_SIZE = {
    **dict.fromkeys(("2b", "7b"), "1"),
    "9b": "2",
    **dict.fromkeys(("270m", "1b", "4b", "12b", "27b"), "3"),
    **dict.fromkeys(("e2b", "e4b", "26b", "31b"), "4"),
}

_WORD = re.compile(r"[a-z0-9]+(?:\.[0-9]+)*")
_SIZE = re.compile(r"e?([0-9]+(?:\.[0-9]+)?)([bm])")
_GENERATION = re.compile(r"([0-9]+)(?:\.[0-9]+)?(n(?=$|e[0-9]))?(e[0-9]+b)?")


@dataclass(frozen=True, slots=True)
class _Name:
    derivative: str
    """`codegemma` and the like; "" for Gemma itself."""
    generation: str
    """`3`, `3n`; "" when not said."""
    size: str
    """`4b`, `e4b`, `270m`; "" when not said."""
    bare: bool
    """Just `gemma`, with or without a tag."""
    text_only: bool


def _read_name(model: str) -> _Name | None:
    # The last part of a path says most: models/gemma/gemma-3-4b-it.gguf. A cache may name it further up.
    parts = [part for part in re.split(r"[/\\]", model.lower()) if "gemma" in part]
    if not parts:
        return None
    part = parts[-1]
    words = _WORD.findall(part)
    readings = [_read_words(words, at) for at, word in enumerate(words) if "gemma" in word]
    derivative, generation, size = next((read for read in readings if read[0] or read[1]), readings[0])
    return _Name(derivative, generation, size, part.partition(":")[0] == "gemma", "text" in words)


def _read_words(words: Sequence[str], at: int) -> tuple[str, str, str]:
    """Derivative, generation and size, from the word that holds "gemma" and those around it."""
    before, _, after = words[at].partition("gemma")
    if not before and at and f"{words[at - 1]}gemma" in _KEYS:
        before = words[at - 1]
    derivative = f"{before}gemma" if f"{before}gemma" in _KEYS else ""
    following = words[at + 1 : at + 9]  # a size stands near the name
    generation, size = _read_number(after or next(iter(following), ""))
    return derivative, generation, size or next((word for word in following if _SIZE.fullmatch(word)), "")


def _read_number(word: str) -> tuple[str, str]:
    """Generation and size: of `3`, `3n`, `1.1`, `2b`, and of both in one word, `34b`, `4e4b`."""
    if _SIZE.fullmatch(word):
        both = word not in _GENERATION_OF_SIZE and word[1:] in _GENERATION_OF_SIZE
        return (word[0], word[1:]) if both else ("", word)
    match = _GENERATION.match(word)
    return (match[1] + (match[2] or ""), match[3] or "") if match else ("", "")


def _look_up(name: _Name) -> Family:
    key, guessed = name.derivative, False
    if not key:
        generation = name.generation or _GENERATION_OF_SIZE.get(name.size, "1")
        # Read as Gemma 1, a later one loses context but not its turn marks, which held up to 3n.
        guessed = not name.generation and name.size not in ("2b", "7b") and not (name.bare and not name.size)
        key = f"gemma{generation}"
        if key not in _KEYS:
            key, guessed = "gemma4", True
    size = _SIZE.fullmatch(name.size)
    billions = float(size[1]) / (1000 if size[2] == "m" else 1) if size else _USUAL_SIZE.get(key, 0)
    family = next(row for known, least, row in _TABLE if known == key and billions >= least)
    if name.text_only:
        family = replace(family, images=False, audio=False)
    return replace(family, guessed=guessed)
