from dataclasses import replace

import pytest

from gemmagraph.prompts.catalog import Family, family_of, register_family
from gemmagraph.prompts.errors import NotationError

# What a prompt needs to know: name, turn format, context, images, audio, tools, empty thought.
FACTS = {
    "gemma": ("gemma", "gemma", 8192, False, False, True, False),
    "gemma2": ("gemma2", "gemma", 8192, False, False, True, False),
    "gemma3 small": ("gemma3", "gemma", 32768, False, False, True, False),
    "gemma3": ("gemma3", "gemma", 131072, True, False, True, False),
    "gemma3n": ("gemma3n", "gemma", 32768, True, True, True, False),
    "functiongemma": ("functiongemma", "functiongemma", 32768, False, False, True, False),
    "gemma4 small": ("gemma4", "gemma4", 131072, True, True, True, False),
    "gemma4 12b": ("gemma4", "gemma4", 262144, True, True, True, True),
    "gemma4 large": ("gemma4", "gemma4", 262144, True, False, True, True),
    "codegemma": ("codegemma", "gemma", 8192, False, False, True, False),
    "codegemma 2b": ("codegemma", "gemma", 8192, False, False, False, False),
    "recurrentgemma": ("recurrentgemma", "gemma", 8192, False, False, True, False),
    "datagemma": ("datagemma", "gemma", 8192, False, False, True, False),
    "txgemma": ("txgemma", "gemma", 8192, False, False, True, False),
    "medgemma": ("medgemma", "gemma", 131072, True, False, True, False),
    "medgemma text": ("medgemma", "gemma", 131072, False, False, True, False),
    "diffusiongemma": ("diffusiongemma", "gemma4", 262144, True, False, True, True),
    "translategemma": ("translategemma", "gemma", 2048, True, False, False, False),
    "shieldgemma": ("shieldgemma", "gemma", 8192, False, False, False, False),
    "paligemma": ("paligemma", "gemma", 8192, True, False, False, False),
    "embeddinggemma": ("embeddinggemma", "gemma", 2048, False, False, False, False),
    "t5gemma": ("t5gemma", "gemma", 8192, False, False, False, False),
    "vaultgemma": ("vaultgemma", "gemma", 1024, False, False, False, False),
}

# Names as published, or as people type them. One a line: Ollama, Hugging Face, files, hosted APIs.
NAMES = {
    "gemma": """
        gemma
        gemma:latest
        gemma:2b
        gemma:7b
        gemma:instruct
        gemma:7b-instruct
        gemma:2b-instruct-v1.1-q4_0
        google/gemma-2b
        google/gemma-2b-it
        google/gemma-7b-it
        google/gemma-1.1-2b-it
        google/gemma-1.1-7b-it
        gemma-7b-it
        @hf/google/gemma-7b-it
        gemma_instruct_2b_en
        lmstudio-community/gemma-1.1-2b-it-GGUF
        gemma2b
    """,
    "gemma2": """
        gemma2
        gemma2:latest
        gemma2:2b
        gemma2:9b
        gemma2:27b
        gemma2:2b-instruct-q8_0
        gemma2:9b-instruct-q5_K_M
        google/gemma-2-2b-it
        google/gemma-2-2b-jpn-it
        google/gemma-2-9b-it
        gemma-2-27b-it
        gemma2-9b-it
        bartowski/gemma-2-9b-it-GGUF
        bartowski/gemma-2-27b-it-SimPO-37K-GGUF
        gemma-2-2b-it-Q6_K_L.gguf
        mlx-community/gemma-2-9b-it-4bit
        gemma2_instruct_9b_en
        dolphin-2.9.4-gemma2-2b
        gemma29b
    """,
    "gemma3 small": """
        gemma3:270m
        gemma3:1b
        gemma3:1b-it-qat
        gemma3:270m-it-fp16
        google/gemma-3-270m-it
        google/gemma-3-1b-it
        google/gemma-3-1b-it-qat-q4_0-gguf
        unsloth/gemma-3-270m-it-GGUF
        ggml-org/gemma-3-1b-it-GGUF
        Gemma3-1B-IT_multi-prefill-seq_q4_ekv2048.task
        gemma3_1b
        publishers/google/models/gemma3@gemma-3-1b-it
    """,
    "gemma3": """
        gemma3
        gemma3:latest
        gemma3:4b
        gemma3:12b
        gemma3:27b
        gemma3:4b-it-qat
        gemma3:27b-it-q4_K_M
        gemma3:27b-cloud
        ollama:gemma3:4b
        google/gemma-3-4b-it
        google/gemma-3-12b-it-qat-q4_0-gguf
        google/gemma-3-27b-it:free
        gemma-3-27b-it
        models/gemma-3-27b-it
        models/gemma-3-4b-it
        google.gemma-3-12b-it
        accounts/fireworks/models/gemma-3-27b-it
        @cf/google/gemma-3-12b-it
        hf.co/unsloth/gemma-3-12b-it-GGUF:Q4_K_M
        hf.co/bartowski/google_gemma-3-4b-it-GGUF
        huggingface.co/bartowski/google_gemma-3-27b-it-GGUF:IQ4_XS
        lmstudio-community/gemma-3-4b-it-GGUF
        mlx-community/gemma-3-4b-it-4bit
        mlx-community/gemma-3-27b-it-qat-4bit
        ISTA-DASLab/gemma-3-27b-it-GPTQ-4b-128g
        RedHatAI/gemma-3-27b-it-quantized.w4a16
        unsloth/gemma-3-4b-it-unsloth-bnb-4bit
        google/gemma-3/transformers/gemma-3-4b-it
        /models/gemma-3-4b-it-Q4_K_M.gguf
        C:\\models\\Gemma-3-12B-it-Q8_0.gguf
        /srv/gemma-3-4b-it/model.safetensors
        /cache/models--google--gemma-3-4b-it/snapshots/1a2b3c
        /home/gemma/models/gemma-3-4b-it.gguf
        PetrosStav/gemma3-tools:4b
        lukaspetrik/gemma3-tools:27b
        gemma3-finetuned-x
        samuser3/Gemma-3-4B-VL-it-Gemini-Pro
        GEMMA3:4B
        Gemma_3_27B_it
        Gemma 3 12B
        gemma34b
        gemma327b
    """,
    "gemma3n": """
        gemma3n
        gemma3n:latest
        gemma3n:e2b
        gemma3n:e4b
        gemma3n:e4b-it-q4_K_M
        google/gemma-3n-E2B-it
        google/gemma-3n-E4B-it
        google/gemma-3n-E4B-it-litert-lm
        google_genai gemma-3n-e4b-it
        gemma-3n-e2b-it
        google/gemma-3n-e2b-it:free
        unsloth/gemma-3n-E4B-it-GGUF
        mlx-community/gemma-3n-E4B-it-lm-4bit
        gemma-3n-E2B-it-int4.task
        allisterb/gemma3n_e4b_tools_test
        gemma3ne4b
    """,
    "functiongemma": """
        functiongemma
        functiongemma:latest
        functiongemma:270m
        functiongemma:270m-it-fp16
        google/functiongemma-270m-it
        unsloth/functiongemma-270m-it-GGUF
        hf.co/unsloth/functiongemma-270m-it-GGUF:BF16
        litert-community/functiongemma-270m-ft-mobile-actions
        FunctionGemma-270M
        function_gemma
    """,
    "gemma4 small": """
        gemma4
        gemma4:latest
        gemma4:e2b
        gemma4:e4b
        gemma4:e2b-it-q4_K_M
        gemma4:e4b-mlx
        google/gemma-4-E2B-it
        google/gemma-4-E4B-it
        gemma-4-e4b-it
        google/gemma-4-e2b
        unsloth/gemma-4-E4B-it-GGUF
        hf.co/unsloth/gemma-4-E2B-it-GGUF:Q8_0
        gemma-4-E2B-it.litertlm
        MobiusDevelopment/gemma-4-E2B-it-qat-q4_0-gguf:latest
        gemma4e4b
    """,
    "gemma4 12b": """
        gemma4:12b
        gemma4:12b-mlx-bf16
        google/gemma-4-12B-it
        google/gemma-4-12B
    """,
    "gemma4 large": """
        gemma4:26b
        gemma4:31b
        gemma4:31b-cloud
        gemma-4-31b-it
        gemma-4-26b-a4b-it
        models/gemma-4-31b-it
        google/gemma-4-31B-it
        google/gemma-4-26b-a4b-it:free
        google/gemma-4-26b-a4b
        lmstudio-community/gemma-4-26B-A4B-it-GGUF
        mlx-community/gemma-4-31b-it-4bit
        gemma-4-26B-A4B-it-UD-Q4_K_XL.gguf
    """,
    "codegemma": """
        codegemma
        codegemma:7b
        codegemma:7b-instruct-v1.1-q4_K_M
        google/codegemma-7b-it
        google/codegemma-1.1-7b-it
    """,
    "codegemma 2b": "codegemma:2b\ngoogle/codegemma-1.1-2b",
    "recurrentgemma": "recurrentgemma\ngoogle/recurrentgemma-2b-it\ngoogle/recurrentgemma-9b-it",
    "datagemma": "datagemma\ngoogle/datagemma-rig-27b-it\nbartowski/datagemma-rag-27b-it-GGUF",
    "txgemma": "txgemma\ngoogle/txgemma-9b-chat\ngoogle/txgemma-27b-chat",
    "medgemma": """
        medgemma
        medgemma:4b
        medgemma1.5:4b
        google/medgemma-4b-it
        google/medgemma-1.5-4b-it
        unsloth/medgemma-27b-it-GGUF
    """,
    "medgemma text": "google/medgemma-27b-text-it",
    "diffusiongemma": "diffusiongemma:26b\ngoogle/diffusiongemma-26B-A4B-it",
    "translategemma": "translategemma\ntranslategemma:12b\ngoogle/translategemma-4b-it",
    "shieldgemma": "shieldgemma:2b\ngoogle/shieldgemma-9b\ngoogle/shieldgemma-2-4b-it",
    "paligemma": "paligemma2\ngoogle/paligemma-3b-mix-224\ngoogle/paligemma2-10b-mix-448",
    "embeddinggemma": "embeddinggemma\nembeddinggemma:300m\ngoogle/embeddinggemma-300m",
    "t5gemma": "t5gemma\ngoogle/t5gemma-2b-2b-prefixlm-it\ngoogle/t5gemma-2-270m-270m",
    "vaultgemma": "vaultgemma\ngoogle/vaultgemma-1b",
}
ROWS = [(name.strip(), facts) for facts, names in NAMES.items() for name in names.strip().splitlines()]


def facts_of(family: Family) -> tuple[object, ...]:
    return (
        family.name,
        family.turn_format,
        family.context,
        family.images,
        family.audio,
        family.tools,
        family.empty_thought,
    )


@pytest.mark.parametrize(("model", "facts"), ROWS, ids=[name for name, _ in ROWS])
def test_a_published_name_gives_its_family_for_certain(model: str, facts: str) -> None:
    family = family_of(model)
    assert facts_of(family) == FACTS[facts]
    assert not family.guessed


GUESSES = {
    "gemma5": "gemma4 small",
    "gemma5:40b": "gemma4 large",
    "google/gemma-6-e4b-it": "gemma4 small",
    "gemma-4b": "gemma3",
    "gemma-1b-finetune": "gemma3 small",
    "gemma-e4b": "gemma4 small",
    "gemma-31b-it": "gemma4 large",
    "TheDrummer/Tiger-Gemma-9B-v3": "gemma2",
    "TheDrummer/Tiger-Gemma-12B-v3-GGUF": "gemma3",
    "my-gemma-finetune": "gemma",
    "gemma_vision.gguf": "gemma",
    "gemmasutra": "gemma",
}


@pytest.mark.parametrize(("model", "facts"), GUESSES.items(), ids=list(GUESSES))
def test_a_name_that_leaves_the_generation_open_is_marked_as_a_guess(model: str, facts: str) -> None:
    family = family_of(model)
    assert facts_of(family) == FACTS[facts]
    assert family.guessed


def test_native_notations_go_with_their_turn_formats() -> None:
    notations = {family_of(name).turn_format: family_of(name).notation for name, _ in ROWS}
    assert notations == {"gemma": "function_call", "functiongemma": "functiongemma", "gemma4": "gemma4"}


@pytest.mark.parametrize("model", ["gemma4:e2b", "gemma4:31b", "diffusiongemma"])
def test_gemma_4_thinks_and_has_a_system_turn(model: str) -> None:
    assert family_of(model).thinks
    assert family_of(model).system_turn


@pytest.mark.parametrize("model", ["gemma:7b", "gemma2:9b", "gemma3:27b", "gemma3n:e4b"])
def test_before_gemma_4_there_is_no_thinking_and_no_system_turn(model: str) -> None:
    assert not family_of(model).thinks
    assert not family_of(model).system_turn


@pytest.mark.parametrize("model", ["gemma3:4b", "gemma3n:e4b", "functiongemma", "gemma4:31b"])
def test_sampling_is_what_google_advises(model: str) -> None:
    family = family_of(model)
    assert (family.temperature, family.top_k, family.top_p) == (1.0, 64, 0.95)


def test_sampling_is_left_open_where_google_advises_nothing() -> None:
    family = family_of("gemma2:9b")
    assert (family.temperature, family.top_k, family.top_p) == (None, None, None)


@pytest.mark.parametrize("model", ["llama3:8b", "gemini-2.5-flash", "qwen3", "gem", ""])
def test_another_model_is_refused_with_what_is_known_and_what_to_do(model: str) -> None:
    with pytest.raises(NotationError) as caught:
        family_of(model)
    said = str(caught.value)
    assert repr(model) in said
    assert "gemma3n, gemma4, functiongemma" in said
    assert "register_family(" in said


def test_the_nearest_part_of_a_path_names_the_model() -> None:
    assert family_of("/models/gemma4/gemma-3-4b-it.gguf").name == "gemma3"


def test_a_registered_name_comes_before_the_table_and_the_newest_first() -> None:
    acme = replace(family_of("gemma3:4b"), name="acme", context=4096)
    register_family("Acme-Helper*", acme)
    assert family_of("acme-helper:v2") == acme
    assert family_of("ACME-helper") == acme
    with pytest.raises(NotationError):
        family_of("my-acme-helper")

    newer = replace(acme, name="acme 2")
    register_family("acme-helper:v2", newer)
    assert family_of("acme-helper:v2") == newer
    assert family_of("acme-helper:v1") == acme
    register_family("acme-helper*", acme)
    assert family_of("acme-helper:v2") == acme


@pytest.mark.parametrize("word", ["gemma", "gemma-", "gemma-1", "gemma-1.", "gemma3/", "1b-", "/"])
def test_a_hostile_name_is_read_in_no_time(word: str) -> None:
    family_of("gemma3-" + word * 30_000)  # a reading that grows with the square would take minutes here
