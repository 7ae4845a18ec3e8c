"""Pairs of an encoder and a decoder beside transformers 5.24: parameters, and FLOPs of a step.

The numbers are those of the classes with eager attention, counted by torch's FlopCounterMode for 2
sequences: an image of 32 x 32 or 5 tokens to read, 7 to write.
"""

from __future__ import annotations

from typing import Any

import pytest
from thermoflop import load_model
from thermoflop.errors import InputError, UnknownModel

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
         "intermediate_size": 48}  # fmt: skip
IMAGE = {**SMALL, "image_size": 32, "patch_size": 8}
TEXT = {**SMALL, "vocab_size": 99, "max_position_embeddings": 20}
WRITES = {"is_decoder": True, "add_cross_attention": True}
BART = {"vocab_size": 99, "decoder_layers": 2, "decoder_attention_heads": 4, "decoder_ffn_dim": 56,
        "max_position_embeddings": 20, **WRITES}  # fmt: skip
PAIRS: list[tuple[str, dict[str, Any], dict[str, Any], int, int]] = [
    ("vision-encoder-decoder", {"model_type": "vit", **IMAGE}, {
        "model_type": "trocr", "d_model": 40, "cross_attention_hidden_size": 32, **BART,
    }, 62_392, 2_875_168),
    ("vision-encoder-decoder", {"model_type": "deit", **IMAGE}, {
        "model_type": "gpt2", "vocab_size": 99, "n_embd": 40, "n_layer": 2, "n_head": 4,
        "n_positions": 20, **WRITES,
    }, 81_824, 3_625_632),
    ("vision-encoder-decoder", {"model_type": "vit", **IMAGE}, {
        "model_type": "mbart", "d_model": 32, "encoder_layers": 1, **BART,
    }, 51_504, 2_518_144),
    ("encoder-decoder", {"model_type": "bert", **TEXT}, {
        "model_type": "bert", **TEXT, "hidden_size": 40, **WRITES}, 62_635, 1_419_296),
    ("encoder-decoder", {"model_type": "roberta", **TEXT}, {
        "model_type": "roberta", **TEXT, "tie_word_embeddings": False, **WRITES,
    }, 52_006, 1_062_016),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "encoder", "decoder", "params", "flops"), PAIRS)
def test_a_pair_counts_as_its_class(
    kind: str, encoder: dict[str, Any], decoder: dict[str, Any], params: int, flops: int
) -> None:
    model = load_model({"model_type": kind, "encoder": encoder, "decoder": decoder})
    assert model.params == params
    read = {} if kind.startswith("vision") else {"encoder": 5}
    assert model.prefill(7, 2, **read).flops == flops


def test_a_decoder_that_says_nothing_of_attention_to_the_encoder_has_none() -> None:
    """In each layer: four maps of 40 x 40 or 32 x 40, their biases, and a norm."""
    decoder = {"model_type": "bert", **TEXT, "hidden_size": 40}
    pair = {"model_type": "encoder-decoder", "encoder": {"model_type": "bert", **TEXT}}
    found = load_model({**pair, "decoder": decoder}).params
    assert found == 62_635 - 2 * (4 * 40 * 40 + 4 * 40 + 2 * 40)
    assert (
        load_model({**pair, "decoder": {**decoder, "add_cross_attention": False}}).params == found
    )


def test_trocr_base_has_the_parameters_of_its_weights() -> None:
    """microsoft/trocr-base-printed, and the decoder alone as its class builds it."""
    encoder = {"model_type": "vit", "image_size": 384, "qkv_bias": False}
    decoder = {"model_type": "trocr", "cross_attention_hidden_size": 768, **WRITES}
    pair = {"model_type": "vision-encoder-decoder", "encoder": encoder, "decoder": decoder}
    assert load_model(pair).params == 333_921_792
    assert load_model({"model_type": "trocr"}).params == 253_559_808
    plain = {"model_type": "trocr", "use_learned_position_embeddings": False}
    bare = load_model({**plain, "layernorm_embedding": False}).params
    assert bare == 253_559_808 - 514 * 1024 - 2 * 1024


@pytest.mark.parametrize("change", [
    {"encoder": {"model_type": "swin"}},
    {"decoder": {"model_type": "llama"}},
    {"decoder": {"model_type": "trocr", "cross_attention_hidden_size": 512}},
])  # fmt: skip
def test_a_pair_that_was_not_tried_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(UnknownModel):
        load_model({"model_type": "vision-encoder-decoder", **change})


def test_pix2struct_reads_patches_of_screens_as_its_class_does() -> None:
    """Built and counted in transformers 5.24.0: 2 sequences of 7 tokens, 11 patches each."""
    text = {"vocab_size": 51, "hidden_size": 4, "d_kv": 4, "d_ff": 24, "num_layers": 2,
            "num_heads": 1}  # fmt: skip
    eyes = {"hidden_size": 4, "patch_embed_hidden_size": 15, "d_ff": 5, "d_kv": 9,
            "num_hidden_layers": 2, "num_attention_heads": 3, "seq_len": 19}  # fmt: skip
    config = {"model_type": "pix2struct", "text_config": text, "vision_config": eyes}
    model = load_model({**config, "text_config": {**text, "tie_word_embeddings": True}})
    assert model.params == 2520
    assert model.prefill(7, 2, encoder=11).flops == 136_304
    assert load_model({**config, "tie_word_embeddings": True}).params == 2316
    with pytest.raises(InputError, match="fill 8"):
        load_model({**config, "text_config": {**text, "hidden_size": 8}})
