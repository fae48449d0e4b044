"""What of the backend `transformers` needs no engine: its words, its options, its folders, its errors."""

import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemmagraph import errors
from gemmagraph.backends import backend_for
from gemmagraph.backends.transformers.folder import read_folder
from gemmagraph.backends.transformers.loading import named
from gemmagraph.backends.transformers.options import checked
from gemmagraph.backends.transformers.words import Words
from gemmagraph.prompts.catalog import family_of

# --- tokens as text ---------------------------------------------------------------------------------------


class Letters:
    """A vocabulary: bytes below 256, then the texts of a list."""

    def __init__(self, *texts):
        self.texts = texts

    def id_to_token(self, id):
        return f"<0x{id:02X}>" if id < 256 else self.texts[id - 256]

    def decode(self, ids, skip_special_tokens=True):
        assert not skip_special_tokens
        return "".join(self.texts[each - 256] for each in ids)


@pytest.mark.parametrize(
    ("tokens", "stops", "shown", "over"),
    [
        (["a", "b"], [], ["a", "b", ""], False),
        (["<|tool_call>", "call:f{}", "<tool_call|>"], [], ["<|tool_call>", "call:f{}", "<tool_call|>", ""], False),
        (["Hi", "<end_of_turn>"], ["<end_of_turn>"], ["Hi", ""], True),
        (["Hi<end", "_of", "_turn>more"], ["<end_of_turn>"], ["Hi", "", ""], True),
        (["Hi<end", "_of", "_day>"], ["<end_of_turn>"], ["Hi", "", "<end_of_day>", ""], False),
        (["a", "<", "<stop>"], ["<stop>"], ["a", "", "<"], True),
        (["x<end"], ["<end_of_turn>"], ["x", "<end"], False),
        (["one END two STOP"], ["STOP", "END"], ["one "], True),
        (["aab", "aac"], ["aac"], ["aab", ""], True),
        (["", "a"], [""], ["", "a", ""], False),
        ([0xF0, 0x9F, 0x98, 0x80, "!"], [], ["", "", "", "\U0001f600", "!", ""], False),
        ([0xE2, 0x82, "x"], [], ["", "", "\ufffdx", ""], False),
        ([0xE2, 0x82], [], ["", "", "\ufffd"], False),
        ([0xE2, "<eos>"], [], ["", "\ufffd"], True),
        (["x<end", "<eos>"], ["<end_of_turn>"], ["x", "<end"], True),
    ],
)
def test_tokens_become_text_without_half_characters_or_stop_strings(tokens, stops, shown, over):
    texts = list(dict.fromkeys(token for token in tokens if isinstance(token, str)))
    end = 256 + texts.index("<eos>") if "<eos>" in texts else -1
    words = Words(Letters(*texts), stops, {end})
    said = [words.take(token if isinstance(token, int) else 256 + texts.index(token)) for token in tokens]
    assert [*said, *([] if words.over else [words.rest()])] == shown
    assert words.over is over


@given(
    st.text(alphabet="ab<>é\U0001f600", max_size=40), st.lists(st.text("ab<>é", min_size=1, max_size=4), max_size=3)
)
def test_pieces_together_are_the_text_up_to_the_first_stop_string(text, stops):
    words = Words(Letters(), stops, ())
    said = ""
    for byte in text.encode():
        said += words.take(byte)
        if words.over:
            break
    else:
        said += words.rest()
    first = min((text.find(stop) for stop in stops if stop in text), default=len(text))
    ended = min((text.find(stop) + len(stop) for stop in stops if stop in text), default=len(text))
    # What is read letter by letter ends with the stop string that is whole first.
    assert text[:first] == said or text[:ended].startswith(said)
    assert not any(stop in said for stop in stops)
    assert words.over is any(stop in text for stop in stops)


# --- options, folders, names ------------------------------------------------------------------------------


def test_options_are_known_by_their_usual_names():
    given = {"temperature": 0.5, "top_k": 0, "repeat_penalty": 1.1, "typical": 1, "min_p": None, "seed": -1}
    assert checked(given, "it") == {
        "temperature": 0.5,
        "top_k": 0,
        "repetition_penalty": 1.1,
        "typical_p": 1,
        "seed": -1,
    }


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"temprature": 1}, "it has no option 'temprature'. Did you mean 'temperature'?"),
        ({"presence_penalty": 1}, "it has no option 'presence_penalty'."),
        ({"mirostat": 1}, "There are: epsilon_cutoff, eta_cutoff, min_p,"),
        ({"max_new_tokens": 1}, "Say max_tokens= instead."),
        ({"num_ctx": 1}, "Say context= instead."),
        ({"temperature": -1}, "temperature=-1 will not do. Give a number from 0 up."),
        ({"top_p": 1.5}, "Give a number from 0 to 1."),
        ({"top_k": 2.5}, "Give a whole number from 0 up."),
        ({"top_k": True}, "top_k=True will not do."),
        ({"temperature": "hot"}, "temperature='hot' will not do."),
        ({"temperature": float("nan")}, "temperature=nan will not do."),
        ({"seed": 2**64}, "Give a whole number"),
    ],
)
def test_options_that_it_does_not_have_are_refused(options, words):
    with pytest.raises(errors.BadRequest) as caught:
        checked(options, "it")
    assert words in str(caught.value)


def folder_of(place, **facts):
    place.mkdir(parents=True)
    (place / "config.json").write_text(json.dumps(facts))
    return place


@pytest.mark.parametrize(
    ("name", "kind", "family"),
    [
        ("gemma-3-4b-it", "gemma3", "gemma3"),
        ("functiongemma-270m-it", "gemma3_text", "functiongemma"),
        ("gemma-4-E4B-it", "gemma4", "gemma4"),
        ("my-model", "gemma3", "gemma3"),
        ("my-model", "gemma3n", "gemma3n"),
        ("my-model", "gemma4_unified", "gemma4"),
        ("gemma-2-2b", "gemma3_text", "gemma3"),
        ("gemma", "gemma2", "gemma2"),
    ],
)
def test_the_family_is_found_from_the_name_or_the_architecture(tmp_path, name, kind, family):
    found = read_folder(folder_of(tmp_path / name, model_type=kind, text_config={"max_position_embeddings": 4096}))
    assert family_of(found.model).name == family
    assert found.trained == 4096


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("none/", "There is no folder '{}/none'. There: broken, llama, mine."),
        ("file.gguf", "is no folder. Name the folder that holds config.json. Did you mean 'gguf:{}/file.gguf'?"),
        ("llama", "'{}/llama' holds a model of the type 'llama', which is no Gemma."),
        ("adapter", "'{}/adapter' holds only an adapter: config.json is missing. Merge it"),
        ("cache", "'{}/cache' holds no model: config.json is missing. Did you mean '{}/cache/snapshots/a'?"),
        ("broken", "'{}/broken/config.json' cannot be read: "),
    ],
)
def test_a_folder_without_a_gemma_is_refused_with_what_is_there_instead(tmp_path, name, words):
    folder_of(tmp_path / "llama", model_type="llama")
    folder_of(tmp_path / "mine", model_type="gemma3")
    folder_of(tmp_path / "cache" / "snapshots" / "a", model_type="gemma3")
    for other in ("adapter", "broken"):
        (tmp_path / other).mkdir()
    (tmp_path / "adapter" / "adapter_config.json").write_text("{}")
    (tmp_path / "broken" / "config.json").write_text("{")
    (tmp_path / "file.gguf").write_text("x")
    with pytest.raises(errors.AgentError) as caught:
        backend_for(f"transformers:{tmp_path}/{name}")
    assert words.replace("{}", str(tmp_path)) in str(caught.value)


def test_packages_that_are_missing_are_named_with_how_to_get_them(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(errors.AgentError, match=r'torch.* installed. Run: pip install "gemmagraph\[transformers\]"'):
        backend_for("transformers:google/gemma-3-4b-it")


def test_it_asks_no_server():
    with pytest.raises(errors.AgentError, match=r"asks no server\. Leave base_url out; HF_ENDPOINT"):
        backend_for("transformers:google/gemma-3-4b-it", base_url="http://127.0.0.1:1")


@pytest.mark.parametrize(
    ("raised", "words"),
    [
        (RuntimeError("MPS backend out of memory (MPS allocated: 5 GB)"), "The memory is too small for it."),
        (MemoryError(), "The memory is too small for it."),
        (ImportError("No module named 'x'"), "transformers cannot run it: No module named 'x'. Run: pip install -U"),
        (errors.AgentError("It is no Gemma.", hint="Take one."), "It is no Gemma. Take one."),
        (KeyError("gemma9"), "transformers failed with it: KeyError: 'gemma9'."),
    ],
)
def test_what_the_library_raises_has_a_name(raised, words):
    assert words in str(named(raised, "it"))
