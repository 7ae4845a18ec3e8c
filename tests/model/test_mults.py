"""The published formulas for multiplications per token, with sizes that are primes."""

from __future__ import annotations

import thermoflop as tf
from thermoflop.model.mults import (
    EXACT,
    PAGE,
    SCRIPT,
    DecoderShape,
    exact_mults,
    mults_record,
    mults_text,
    page_mults,
    script_mults,
    script_params,
    shape_of,
)

L, H, D, W, T, F, V = 2, 3, 11, 5, 13, 7, 17  # layers, heads, widths, context, neurons, words
SHAPE = DecoderShape(L, H, D, W, T, F, V)
# grouped heads, a gated MLP: neither formula's network
LLAMA = {"model_type": "llama", "hidden_size": 22, "num_attention_heads": 6, "head_dim": 5,
         "num_key_value_heads": 2, "num_hidden_layers": 3, "intermediate_size": 7, "vocab_size": 17,
         "max_position_embeddings": 19}  # fmt: skip


def test_a_formula_counts_what_its_text_says() -> None:
    sizes = {"L": L, "h": H, "d_model": D, "d_head": W, "n_ctx": T, "d_ff": F, "vocab": V}
    for count, text in ((page_mults, PAGE), (script_mults, SCRIPT), (exact_mults, EXACT)):
        assert count(SHAPE) == eval(text, sizes)  # noqa: S307 - it is the module's own constant
    # L (4 h d_model d_head + 2 d_ff d_model) + d_model V
    assert script_params(SHAPE) == 2 * (4 * 3 * 11 * 5 + 2 * 7 * 11) + 11 * 17


def test_the_sizes_are_those_of_the_model() -> None:
    model = tf.load_model(LLAMA)
    assert shape_of(model) == DecoderShape(3, 6, 22, 5, 19, 7, 17)
    assert shape_of(model, 8, 9) == DecoderShape(3, 6, 22, 5, 8, 7, 9)


def test_the_report_says_every_count_and_what_tells_them_apart() -> None:
    found = mults_record(tf.load_model(LLAMA), context=8, vocab=None)
    # q and o of 6 heads, k and v of 2, scores and values of 8 keys, three matrices, the logits
    exact = 3 * (22 * 5 * (2 * 6 + 2 * 2) + 2 * 6 * 5 * 8 + 3 * 22 * 7) + 22 * 17
    plain = 3 * (6 * 5 * (4 * 22 + 2 * 8) + 2 * 22 * 7) + 22 * 17
    assert (found["exact_model"], found["exact_plain"]) == (exact, plain)
    text = mults_text(found)
    counts = ("page", "script", "exact_plain", "exact_model", "script_parameters", "parameters")
    for name in counts:
        assert f" {found[name]:,}\n" in text, name
    said = " ".join(text.split())  # however its lines are broken
    over, output = 3 * 6 * 8 * (22 - 5), 3 * 6 * (22 * 22 - 2 * 22 * 5)
    assert f"alone: {over:,} too many in both" in said
    assert f"{output:,} too many; and it has no logits: {22 * 17:,} too few" in said
    assert f"make {exact - plain:+,} multiplications" in said
    # what each formula has too many is what the text says
    shape = shape_of(tf.load_model(LLAMA), 8)
    assert script_mults(shape) - plain == over
    assert page_mults(shape) - plain == over + output - 22 * 17


def test_a_plain_decoder_is_the_network_of_the_formulas() -> None:
    gpt2 = {"model_type": "gpt2", "n_embd": 12, "n_head": 3, "n_layer": 2, "vocab_size": 17}
    text = " ".join(mults_text(mults_record(tf.load_model(gpt2), context=8)).split())
    assert "This model is exactly that network" in text
    assert "This model is not that network" not in text
