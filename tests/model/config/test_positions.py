"""The longest sequence: under each of its names, from a class, or none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import thermoflop as tf
from thermoflop.errors import InputError
from thermoflop.model.config.catalogue import names
from thermoflop.model.config.positions import CLASS_POSITIONS

WRITTEN = {"transformers_version": "4.50.0"}
# What has no end: slopes (ALiBi) and relative positions instead of numbered ones, a state instead
# of a cache, a window over a state, sound of any length.
ENDLESS = {
    *("bloom-176b", "bloom-1b7", "bloom-3b", "bloom-560m", "bloom-7b1", "falcon-rw-1b"),
    *("byt5-base", "byt5-small", "switch-base-8", "umt5-small"),
    *("t5-v1_1-xxl-encoder", "rwkv-4-169m", "recurrentgemma-2b"),
    *("mamba-1.4b", "mamba-130m", "mamba-2.8b", "mamba-370m", "mamba-790m"),
    *("mamba-codestral-7b", "mamba2-130m", "falcon-mamba-7b"),
    *("hubert-large-ls960-ft", "wav2vec2-base-960h", "wav2vec2-large-xlsr-53-english"),
    *("parakeet-ctc-1.1b", "parakeet-tdt-0.6b-v2", "parakeet-tdt-0.6b-v3"),
}
# Each from the config.json of its repository, or from the class that the file leaves it to.
PUBLISHED = {
    "apertus-70b": 65_536,
    "aya-23-8b": 8_192,
    "baichuan2-13b": 4_096,
    "cwm-32b": 131_072,
    "ernie-4.5-300b-a47b": 131_072,
    "eurobert-210m": 8_192,
    "falcon-180b": 2_048,
    "falcon-40b": 2_048,
    "falcon-7b": 2_048,
    "gemma-3-12b": 131_072,
    "gemma-3-27b": 131_072,
    "gemma-3-4b": 131_072,
    "gemma-3n-e4b-text": 32_768,
    "kimi-linear-48b-a3b": 1_048_576,
    "llava-onevision-qwen2-0.5b": 32_768,
    "minicpm3-4b": 32_768,
    "moonlight-16b-a3b": 8_192,
    "paligemma-3b-224": 8_192,
    "phi-3.5-vision": 131_072,
    "seed-oss-36b": 524_288,
    "solar-open-100b": 131_072,
    "t5gemma-9b-2b": 8_192,
    "trinity-mini": 131_072,
    "vaultgemma-1b": 1_024,
    "zamba2-2.7b": 4_096,
}


# Name, repository and positions of what llmfit 1.1.17 on PyPI lists of the Hub's configurations,
# but for those that it stretches by the factor of their rotation, and its 4,096 for none.
DATA = Path(__file__).resolve().parents[2] / "data"
HUB: list[tuple[str, str, int]] = json.loads((DATA / "hub_positions.json").read_text())


def longest(**config: Any) -> int | None:
    return tf.load_model(config).max_positions


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_named_model_has_the_positions_of_its_published_configuration(name: str) -> None:
    assert tf.load_model(name).max_positions == PUBLISHED[name]


def test_named_models_have_the_positions_that_the_hub_lists() -> None:
    known = {name: tf.load_model(name).max_positions for name, _, _ in HUB}
    assert known == {name: most for name, _, most in HUB}
    assert len(known) > 150


def test_only_what_has_no_numbered_positions_has_no_longest_sequence() -> None:
    assert {each for each in names() if tf.load_model(each).max_positions is None} <= ENDLESS


@pytest.mark.parametrize("key", ["n_ctx", "max_seq_len", "seq_length", "model_max_length"])
def test_positions_are_read_under_each_of_their_names(key: str) -> None:
    assert longest(model_type="llama", **{key: 4096}) == 4096


def test_a_tokenizers_number_without_an_end_is_no_longest_sequence() -> None:
    assert longest(model_type="llama", model_max_length=10**30) is None


def test_a_tokenizers_length_yields_to_the_positions_of_the_model() -> None:
    said = {"max_position_embeddings": 8192, "model_max_length": 2048}
    assert longest(model_type="llama", **said) == 8192


def test_a_text_section_is_asked_under_each_of_its_names() -> None:
    text = {"model_type": "qwen3", "max_position_embeddings": 40960}
    assert longest(model_type="internvl_chat", llm_config=text) == 40960
    half = {"model_type": "t5_gemma_module", "max_position_embeddings": 4096}
    assert longest(model_type="t5gemma", decoder=half) == 4096


def test_a_file_of_transformers_leaves_out_what_its_class_takes() -> None:
    # Gemma3TextConfig 131,072, FalconConfig 2,048 and Qwen2Config 32,768 of transformers 5.24
    assert longest(model_type="gemma3", **WRITTEN) == 131_072
    assert longest(model_type="falcon", **WRITTEN) == 2_048
    assert longest(model_type="llava_onevision", **WRITTEN) == 32_768


def test_a_file_that_transformers_did_not_write_has_no_unsaid_end() -> None:
    assert longest(model_type="gemma3") is None


def test_slopes_have_no_end_whatever_their_class_takes() -> None:
    assert longest(model_type="falcon", alibi=True, **WRITTEN) is None


def test_the_positions_of_a_class_are_those_that_it_states() -> None:
    stated = json.loads((DATA / "class_positions.json").read_text())
    assert {name: stated[name] for name in CLASS_POSITIONS} == CLASS_POSITIONS
    assert stated["mistral"] == 4096 * 32  # configuration_mistral.py writes the product


def test_zamba2_has_other_positions_where_it_says_a_long_context() -> None:
    # configuration_zamba2.py of transformers 5.24 sets them, whatever the file says
    said = {"use_long_context": True, "max_position_embeddings": 4096}
    assert longest(model_type="zamba2", **said) == 16_384
    assert longest(model_type="zamba2", **{**said, "use_long_context": False}) == 4096


@pytest.mark.parametrize("none", [0, -1, None])
def test_a_key_that_says_no_bound_leaves_it_to_the_next(none: int | None) -> None:
    assert longest(model_type="llama", n_ctx=none, seq_length=4096) == 4096
    assert longest(model_type="llama", max_position_embeddings=none) is None


def test_a_file_that_says_no_bound_does_not_get_that_of_its_class() -> None:
    assert longest(model_type="llama", max_position_embeddings=-1, **WRITTEN) is None


def test_positions_that_are_no_number_are_refused() -> None:
    with pytest.raises(InputError, match="seq_length is '2048' where a whole number is expected"):
        longest(model_type="llama", seq_length="2048")


def test_five_adapters_of_jina_are_counted_beside_its_encoder() -> None:
    # rank 4: on tables of 250,002 words and one type, and in 24 layers of 1024 and 4096
    layer = (1024 + 3 * 1024) + (1024 + 1024) + 2 * (1024 + 4096)
    adapters = 5 * 4 * ((250_002 + 1024) + (1 + 1024) + (1024 + 1024) + 24 * layer)
    bare = tf.load_model({
        "model_type": "jina_embeddings_v3", "architectures": ["JinaEmbeddingsV3Model"]
    })  # fmt: skip
    assert tf.load_model("jina-embeddings-v3").params == bare.params + adapters == 572_310_396


def test_the_text_of_gemma_3n_e4b_is_that_of_its_published_total() -> None:
    whole = tf.load_model({"model_type": "gemma3n", "text_config": {"model_type": "gemma3n_text"}})
    # google/gemma-3n-E4B-it on the Hub (llmfit 1.1.17 on PyPI), less keys and values of 15 layers
    # that read another's, and the norms of these keys
    assert whole.params == 7_849_978_192 - 15 * (2 * 2048 * 512 + 256)
