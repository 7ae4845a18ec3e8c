"""Models of the catalogue against what the Hub says of their checkpoints.

``tests/data/hub_totals.json`` has of each its name, its repository, the parameters of its
safetensors as the Hub's API counts them, and layers, width, heads, KV heads and vocabulary of its
config.json (null where it is gated), all as llmfit 1.1.17 on PyPI lists them (September 2026).
Further down are those of other lists.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import thermoflop as tf
from thermoflop.model.config.catalogue import entry, names

ROWS: list[list[Any]] = json.loads(
    (Path(__file__).resolve().parents[1] / "data" / "hub_totals.json").read_text()
)
# what a key of config.json is also called
KEYS = (
    ("num_hidden_layers", "n_layer", "num_layers", "n_layers"),
    ("hidden_size", "n_embd", "d_model"),
    ("num_attention_heads", "n_head", "num_heads", "n_heads"),
    ("num_key_value_heads",),
    ("vocab_size",),
)
# numbers in a checkpoint that no model of it has: heads that are tied and stored again, and masks
# of causal attention, one byte a pair of positions
MORE = {
    "falcon-180b": 65_024 * 14_848,
    "falcon-40b": 65_024 * 8192,
    "falcon-7b": 65_024 * 4544,
    "granite-3.0-3b-a800m": 49_155 * 1536,
    "qwen3-0.6b": 151_936 * 1024,
    "qwen3-1.7b": 151_936 * 2048,
    "starcoder": 49_152 * 6144,
    "gpt2": 12 * 1024**2,
    "gpt2-medium": 24 * 1024**2,
    "gpt2-large": 36 * 1024**2,
    "gpt2-xl": 48 * 1024**2,
    "distilgpt2": 6 * 1024**2,
    "openai-gpt": 12 * 512**2,
    "gpt-neo-125m": 6 * 2048**2,
    "gpt-neo-1.3b": 12 * 2048**2,
    "gpt-neo-2.7b": 16 * 2048**2,
    "gpt-neox-20b": 44 * 2048**2,
    "pythia-70m": 6 * 2048**2,
    "pythia-160m": 12 * 2048**2,
    "pythia-410m": 24 * 2048**2,
    "pythia-1b": 16 * 2048**2,
    "pythia-1.4b": 24 * 2048**2,
    "pythia-2.8b": 32 * 2048**2,
    "pythia-6.9b": 32 * 2048**2,
    "pythia-12b": 36 * 2048**2,
    # keys and values of ten layers that read another's, and the norms of these keys
    "gemma-3n-e2b": 10 * (2 * 2048 * 512 + 256),
    # the same of fifteen layers, and what sees and hears, as E2B has it (below)
    "gemma-3n-e4b-text": 15 * (2 * 2048 * 512 + 256) + 983_281_504,
    # adapters of images, r=256, and of sound, r=320, for all matrices of 32 layers
    "phi-4-multimodal": 32
    * (256 + 320)
    * ((3072 + 5120) + (3072 + 3072) + (3072 + 16384) + (8192 + 3072)),
    # a layer that predicts further ahead: attention, feed-forward, two halves to one, four norms
    "ernie-4.5-21b-a3b": 2 * 2560 * (20 + 4) * 128 + 3 * 2560 * 12_288 + 2 * 2560**2 + 4 * 2560,
    "k-exaone-236b-a23b": 2 * 6144 * (64 + 8) * 128
    + 3 * 6144 * 18_432
    + 2 * 6144**2
    + 5 * 6144
    + 2 * 128,
    # what sees, as Scout has it: with and without
    "llama-4-maverick-text": 108_641_793_536 - 107_769_861_120,
    # such a layer with 129 experts, and its own copies of embedding and head
    "glm-4.5-air": 2 * 4096 * (96 + 8) * 128
    + (96 + 2 * 8) * 128
    + 129 * 3 * 4096 * 1408
    + 128 * (4096 + 1)
    + 2 * 4096**2
    + 5 * 4096
    + 2 * 151_552 * 4096,
}


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_a_model_has_the_parameters_and_sizes_that_the_hub_states(row: list[Any]) -> None:
    """Up to 2e-5 of them, which are biases of routers and tables of positions in checkpoints."""
    name, _, total, *sizes = row
    assert tf.load_model(name).params + MORE.get(name, 0) == pytest.approx(total, rel=2e-5)
    named = entry(name)
    assert named is not None
    config = named["config"]
    for key in ("text_config", "llm_config", "language_config"):
        config = config.get(key, config)
    for keys, size in zip(KEYS, sizes, strict=True):
        said = next((config[key] for key in keys if key in config), None)
        assert None in (said, size) or said == size, keys[0]


# n_parameters of the models of embeddings and images in mteb 2.26.24 on PyPI
MTEB = {
    "all-mpnet-base-v2": 109_486_464,
    "clip-vit-base-patch16": 149_620_737,
    "clip-vit-base-patch32": 151_277_313,
    "clip-vit-h-14": 986_109_441,
    "clip-vit-large-patch14": 427_616_513,
    "dinov2-base": 86_580_480,
    "dinov2-giant": 1_136_480_768,
    "dinov2-large": 304_368_640,
    "dinov2-small": 22_056_576,
    "dinov3-vitl16": 303_129_600,
    "granite-embedding-107m": 106_994_304,
    "granite-embedding-125m": 124_645_632,
    "granite-embedding-278m": 278_043_648,
    "granite-embedding-30m": 30_295_296,
    "gte-multilingual-base": 305_368_320,
    "ms-marco-minilm-l12-v2": 33_360_385,
    "ms-marco-minilm-l6-v2": 22_713_601,
    "nomic-embed-text-v1.5": 136_731_648,
    "nomic-embed-text-v2-moe": 475_292_928,
    "paraphrase-multilingual-minilm-l12-v2": 117_653_760,
    "qwen3-reranker-0.6b": 595_776_512,
    "qwen3-reranker-4b": 4_021_784_576,
    "qwen3-reranker-8b": 8_188_548_096,
    "siglip-so400m-patch14-384": 877_960_498,
    "siglip2-base-patch16-224": 375_187_970,
    "siglip2-so400m-patch14-384": 1_136_008_498,
}


@pytest.mark.parametrize("name", MTEB)
def test_an_embedder_has_the_parameters_that_mteb_states(name: str) -> None:
    assert tf.load_model(name).params == MTEB[name]


# parameters of the presets of keras-hub 0.32.0 on PyPI, and what these leave out (or add)
KERAS = [
    ("bge-base-en-v1.5", 109_482_240, 0),
    ("bge-large-en-v1.5", 335_141_888, 0),
    ("deberta-v3-xsmall", 70_682_112, 0),
    ("deberta-v3-small", 141_304_320, 0),
    ("deberta-v3-base", 183_831_552, 0),
    ("deberta-v3-large", 434_012_160, 0),
    ("flan-t5-small", 76_961_152, 0),
    ("flan-t5-base", 247_577_856, 0),
    ("flan-t5-large", 783_150_080, 0),
    ("flan-t5-xxl", 11_135_332_352, 0),  # t5_1.1_xxl
    ("t5-large", 737_668_096, 0),
    ("t5gemma-9b-2b", 12_292_375_296, 0),
    ("t5gemma-9b-9b", 20_333_401_088, 0),
    ("multilingual-e5-small", 117_653_760, 0),
    ("mistral-7b-v0.3", 7_248_023_552, 0),
    ("whisper-base", 72_593_920, 0),
    ("whisper-small", 241_734_912, 0),
    ("whisper-medium", 763_857_920, 0),
    ("whisper-large-v2", 1_543_304_960, 0),
    ("vaultgemma-1b", 1_038_741_120, 0),
    ("qwen3.5-0.8b", 852_985_920, 0),
    ("qwen3.5-2b", 2_213_241_664, 0),
    # the indices of 577 positions are a weight there
    ("clip-vit-large-patch14-336", 427_944_770, -577),
    ("vit-large-patch16-224", 303_301_632, 1000 * (1024 + 1)),  # its classes
    # two projections to 3072 and back
    ("embeddinggemma-300m", 307_581_696, -2 * 768 * 3072),
    # BART counts positions from 2, at either stack; cnn has a word less
    ("bart-base", 139_417_344, 4 * 768),
    ("bart-large-cnn", 406_287_360, 4 * 1024 - 1024),
    # heads that predict words: a matrix, its norm, a bias a word
    ("distilbert-base-uncased", 66_362_880, 768 * (768 + 3) + 30_522),
    ("esm2-650m", 649_400_320, 1280 * (1280 + 3) + 33 + 33 * 20 + 1),  # and of contacts
    # RoBERTa counts positions from 2, and has a kind of text
    ("roberta-large", 354_307_072, 1024 * (1024 + 3) + 50_265 + 3 * 1024),
    ("xlm-roberta-base", 277_450_752, 768 * (768 + 3) + 250_002 + 3 * 768),
    ("xlm-roberta-large", 558_837_760, 1024 * (1024 + 3) + 250_002 + 3 * 1024),
    # the same, and a pooler
    ("multilingual-e5-base", 277_450_752, 768 * (768 + 1) + 3 * 768),
    ("bge-m3", 566_702_080, 1024 * (1024 + 1) + 3 * 1024),
    # a head that predicts words for a pooler
    ("bert-large-uncased", 335_141_888, 2 * 1024 + 30_522),
    # a layer and a class
    ("bge-reranker-base", 277_450_752, 768 * (768 + 1) + 3 * 768 + 768 + 1),
]


@pytest.mark.parametrize(("name", "total", "beside"), KERAS, ids=[row[0] for row in KERAS])
def test_a_model_has_the_parameters_of_its_preset(name: str, total: int, beside: int) -> None:
    assert tf.load_model(name).params == total + beside


@pytest.mark.parametrize(
    ("name", "total", "width"),
    [("gte-qwen2-1.5b", 1_543_268_864, 1536), ("gte-qwen2-7b", 7_069_121_024, 3584)],
)
def test_mteb_leaves_heads_out(name: str, total: int, width: int) -> None:
    assert tf.load_model(name).params == total + 151_646 * width


def test_a_text_has_what_is_left_of_its_whole() -> None:
    """Towers and projectors of Gemma 3n: E2B on the Hub (unused keys and values with it) less
    its text. CLIP's: an image of 24 layers of 1024, 257 positions, both projections, a scale."""
    whole = tf.load_model("gemma-3n-e2b")
    assert whole.params + MORE["gemma-3n-e2b"] == 5_439_438_272
    named = entry("gemma-3n-e2b")
    assert named is not None
    text = {**named["config"]["text_config"], "architectures": ["Gemma3nForCausalLM"]}
    assert whole.params - tf.load_model(text).params == 983_281_504
    block = 12 * 1024**2 + 13 * 1024
    eyes = 24 * block + 1024 * (3 * 14 * 14 + 257 + 1) + 2 * 2 * 1024
    clip = eyes + (1024 + 768) * 768 + 1
    assert tf.load_model("clip-text-encoder-sd15").params == 427_616_513 - clip


def test_what_is_checked_was_from_memory_and_most_of_that_is_checked() -> None:
    found = [entry(name) or {} for name in names()]
    recalled = [each for each in found if each.get("recalled")]
    assert all(each.get("recalled") for each in found if each.get("checked"))
    assert sum(bool(each.get("checked")) for each in recalled) >= 0.98 * len(recalled)


def test_layers_and_caches_of_models_that_were_others() -> None:
    """KV bytes of a token in bf16 by their published config.json."""
    kimi = 7 * (512 + 64) * 2  # seven layers of latent attention
    assert tf.load_model("kimi-linear-48b-a3b").kv_bytes(1) == kimi == 8064
    phi = 32 * 2 * 8 * 128 * 2
    assert tf.load_model("phi-4-multimodal").kv_bytes(1) == phi
    assert tf.load_model("phi-4-mini").kv_bytes(1) == phi
    assert tf.load_model("recurrentgemma-2b").kv_bytes(1) == 8 * 2 * 1 * 256 * 2
    assert tf.load_model("vaultgemma-1b").kv_bytes(1) == 26 * 2 * 4 * 256 * 2
    # five matrices of 2560 and 80 heads of 64, in 54 layers
    assert tf.load_model("zamba2-2.7b").params == 2_662_214_560


@pytest.mark.parametrize(
    ("name", "method", "bits"),
    [
        ("minimax-m2.7", "fp8", 8),  # its config.json
        ("deepseek-v4-pro", "fp8", 8),
        ("mistral-small-4-119b", "fp8", 8),
        ("glm-5.1", None, 16),
    ],
)
def test_a_model_is_counted_in_the_format_that_it_is_published_in(
    name: str, method: str | None, bits: int
) -> None:
    model = tf.load_model(name)
    found = model.quantization
    assert (found and found.method) == method
    assert (found.default.bits if found and found.default else 16) == bits


def test_the_checkpoint_of_mistral_small_4_has_two_scales_a_matrix() -> None:
    """One of weights and one of activations, as fp8 does: 36 layers of five matrices of attention,
    three of the shared expert and two of each of 128."""
    scales = 36 * 2 * (5 + 3 + 2 * 128)
    assert tf.load_model("mistral-small-4-119b").params + scales == 119_401_317_952


def test_switch_has_one_matrix_of_words() -> None:
    """Without tie_word_embeddings in its config.json, which means that they are tied."""
    attention, norm = 4 * 768**2, 768
    dense, expert = 2 * 768 * 3072, 8 * 2 * 768 * 3072 + 768 * 8
    stack = 6 * (dense + expert) + 12 * (attention + 2 * norm) + norm + 32 * 12
    crossed = 12 * (attention + norm)
    assert tf.load_model("switch-base-8").params == 32_128 * 768 + 2 * stack + crossed


@pytest.mark.parametrize(
    ("name", "positions"),
    [  # max_position_embeddings as litgpt 0.5.13 and llmfit 1.1.17 on PyPI state them
        ("qwen2.5-0.5b", 32_768), ("qwen2.5-3b", 32_768), ("qwen2.5-1.5b", 131_072),
        ("qwen2-57b-a14b", 131_072), ("qwen3-embedding-0.6b", 32_768), ("seed-oss-36b", 524_288),
    ],
)  # fmt: skip
def test_a_model_holds_the_context_that_is_published(name: str, positions: int) -> None:
    assert tf.load_model(name).max_positions == positions
