"""Encoder-decoders with a vocabulary for each side, or tokens of the layers' own.

Parameters are those of the classes of transformers 5.24.0, FLOPs those that torch's
FlopCounterMode counts of 2 sequences, 9 tokens into 7.
"""

from __future__ import annotations

import pytest
from thermoflop.errors import InputError
from thermoflop.model.load import read_model

FSMT = {"model_type": "fsmt", "d_model": 24, "encoder_layers": 2, "decoder_layers": 1,
        "encoder_attention_heads": 2, "decoder_attention_heads": 3, "encoder_ffn_dim": 30,
        "decoder_ffn_dim": 36, "max_position_embeddings": 15, "src_vocab_size": 50,
        "tgt_vocab_size": 60, "pad_token_id": 2}  # fmt: skip


def test_each_language_has_its_table_and_its_rows_behind_the_padding() -> None:
    model = read_model(FSMT)
    assert model.params == 19656
    assert model.prefill(7, batch=2, encoder=9).flops == 549_120
    longer = read_model({**FSMT, "pad_token_id": 5})
    assert longer.params - model.params == 2 * 3 * 24
    with pytest.raises(InputError, match="one size of both vocabularies"):
        read_model({**FSMT, "tie_word_embeddings": True})


def test_global_tokens_have_a_table_and_a_norm_in_each_layer_of_the_encoder() -> None:
    small = {"model_type": "pegasus_x", "d_model": 32, "vocab_size": 50, **dict.fromkeys(
        ("encoder_layers", "encoder_attention_heads", "decoder_attention_heads"), 2)}  # fmt: skip
    model, wider = (read_model({**small, "num_global_tokens": n}) for n in (4, 9))
    assert wider.params - model.params == 5 * 32
    assert any("without its global tokens" in note for note in model.notes)
    deeper = read_model({**small, "num_global_tokens": 4, "encoder_layers": 3})
    # four maps without biases, two matrices with them, and three norms
    assert deeper.params - model.params == 4 * 32**2 + 2 * 32 * 4096 + 4096 + 32 + 3 * 2 * 32
