"""What a device holds while a model runs: weights of stages and checkpoints, cache, activations."""

from __future__ import annotations

from typing import Any

import pytest
import thermoflop as tf
from kit.made_up import (
    DEVICE,
    HEAD_MATRIX,
    INNER,
    KEY_WIDTH,
    LAYERS,
    MATRICES,
    MIXTURE,
    NORMS,
    TOKENS,
    WIDTH,
    decoder,
)
from thermoflop.base.record import replace
from thermoflop.base.sheet import figures_of
from thermoflop.cost.engines.placement import outside_bytes, place, placed_layers
from thermoflop.cost.hardware.precision import choose_precision
from thermoflop.cost.memory import (
    Memory,
    activation_bytes,
    copies_of_cache,
    kv_bytes,
    memory_of,
    memory_sheet,
    occupied_text,
    parameters_held,
    tokens_in_flight,
    too_little,
)
from thermoflop.cost.work.share import Layout, Share
from thermoflop.cost.work.steps import decode_step
from thermoflop.cost.work.weights import (
    Checkpoint,
    Uniform,
    element_bytes,
    weights_held,
    weights_on_fullest,
)
from thermoflop.model.architecture.quantization import Quantization, Stored

BF16 = choose_precision("bf16")
TABLE = HEAD_MATRIX
# Four bits and a scale of 16 for 32 elements of a row, and 64 bits once a matrix; biases are wide.
FOUR = Stored("int4", 4.0, 32, scale_bits=16.0, matrix_bits=64.0)
NARROW = 4 / 8 + 16 / 32 / 8
BIASES = WIDTH + 2 * KEY_WIDTH + WIDTH  # of q, k, v and o


def share(model: Any = None, layout: Layout | None = None, dtype: Any = BF16) -> Share:
    return Share((model or decoder()).description, layout or Layout(), dtype)


def exactly(value: float) -> object:
    return pytest.approx(value, rel=1e-12)


def test_layers_and_what_lies_outside_have_widths_of_their_own() -> None:
    found = weights_on_fullest(decoder().description, 1, Uniform(0.5, 4.0))
    assert found == 0.5 * LAYERS * MATRICES + 4 * (LAYERS * NORMS + WIDTH + 2 * TABLE)
    biased = decoder(attention_bias=True)
    more = weights_on_fullest(biased.description, 1, Uniform(0.5, 4.0)) - found
    assert more == 4 * LAYERS * BIASES


@pytest.mark.parametrize(("layers", "pp", "largest"), [(2, 2, 1), (5, 2, 3), (5, 3, 2), (7, 4, 2)])
def test_the_fullest_stage_has_the_most_layers_and_the_larger_of_table_and_head(
    layers: int, pp: int, largest: int
) -> None:
    model = decoder(num_hidden_layers=layers)
    found = weights_on_fullest(model.description, pp, Uniform(2.0, 2.0))
    assert found == 2 * (largest * (MATRICES + NORMS) + TABLE)
    held = share(model, Layout(pp=pp))
    assert parameters_held(held) == pytest.approx(largest * (MATRICES + NORMS) + TABLE)
    assert parameters_held(share(model)) == model.params


# A dense layer of 2048 neurons, then three with 4 experts of 64.
UNLIKE: Any = {
    "model_type": "qwen3_moe", "vocab_size": 10, "hidden_size": WIDTH, "head_dim": 64,
    "intermediate_size": 2048, "num_hidden_layers": 4, "num_attention_heads": 4,
    "num_key_value_heads": 2, "mlp_only_layers": [0], "num_experts": 4,
    "num_experts_per_tok": 2, "moe_intermediate_size": 64, "tie_word_embeddings": False,
}  # fmt: skip
OF_ATTENTION = 2 * WIDTH * WIDTH + 2 * WIDTH * KEY_WIDTH + NORMS + 2 * 64
DENSE, SPARSE = OF_ATTENTION + 3 * WIDTH * 2048, OF_ATTENTION + 4 * WIDTH + 4 * 3 * WIDTH * 64


def test_a_stage_of_unlike_layers_is_the_largest_run_of_them() -> None:
    model = tf.load_model(UNLIKE)
    found = weights_on_fullest(model.description, 2, Uniform(1.0, 1.0))
    assert found == DENSE + SPARSE + 10 * WIDTH
    assert float(activation_bytes(share(model), 10, 3)) == (
        30 * 2 * (2 * WIDTH + 2 * 2048) + 4 * 10 * 3
    )


def test_the_fullest_card_has_the_largest_layers_with_the_output_or_what_sees() -> None:
    """Two cards of two layers each, the head and a last norm; a tower lies on the first."""
    output, two = 2 * (10 * WIDTH + WIDTH), share(tf.load_model(UNLIKE))
    assert place(two, devices=2).device_bytes == 2 * (DENSE + SPARSE) + output
    assert place(two, devices=3).device_bytes == 2 * (DENSE + SPARSE) + output
    assert place(two, devices=4).device_bytes == 2 * DENSE + output
    seen = share(tf.load_model("gemma-3-4b"))
    tables, head, tower = outside_bytes(seen)
    layers = sum(each.weight_bytes for each in placed_layers(seen))
    assert tower > head / 2 > 0 < tables
    assert place(seen, sees=True).device_bytes == exactly(layers + head + tower)
    assert place(seen).device_bytes == exactly(layers + head)  # its file is not given
    half = layers / 2
    assert place(seen, devices=2, sees=True).device_bytes == exactly(half + max(head, tower))


def test_a_checkpoint_holds_its_matrices_in_their_formats_and_biases_and_norms_wide() -> None:
    model = decoder(attention_bias=True)
    plain = Quantization("x", FOUR)
    found = weights_on_fullest(model.description, 1, Checkpoint(plain))
    wide = 2 * (LAYERS * (NORMS + BIASES) + WIDTH + 2 * TABLE)
    assert found == exactly(LAYERS * (MATRICES * NARROW + 7 * 8) + wide)
    larger = weights_on_fullest(model.description, 1, Checkpoint(plain, 4.0, 1.5))
    assert larger == exactly(1.5 * (LAYERS * (MATRICES * NARROW + 7 * 8) + 2 * wide))
    outside = Quantization("x", FOUR, outside=("lm_head", "embed_tokens"))
    both = weights_on_fullest(model.description, 1, Checkpoint(outside))
    assert found - both == exactly(2 * (TABLE * (2 - NARROW) - 8))


def test_experts_are_as_many_matrices_as_there_are() -> None:
    model = decoder(**MIXTURE)
    found = weights_on_fullest(model.description, 1, Checkpoint(Quantization("x", FOUR)))
    attention = 2 * WIDTH * WIDTH + 2 * WIDTH * KEY_WIDTH
    narrow = attention + 8 * 3 * WIDTH * INNER
    wide = 2 * (LAYERS * (NORMS + 8 * WIDTH) + WIDTH + 2 * TABLE)
    assert found == exactly(LAYERS * (narrow * NARROW + (4 + 8 * 3) * 8) + wide)


def test_an_element_of_a_matrix_is_as_wide_as_the_mean_of_its_layers_without_biases() -> None:
    """One of two layers in four bits, the other wide: halfway between."""
    model = decoder(attention_bias=True)
    half = Quantization("x", FOUR, wide=("model.layers.1",))
    widths = element_bytes(model.description, Checkpoint(half, 4.0, 1.5))
    kind = model.description.stacks[0].runs[0].layer.kind
    for name, inputs, outputs in (("q_proj", WIDTH, WIDTH), ("down_proj", INNER, WIDTH)):
        narrow = NARROW + 8 / (inputs * outputs)
        assert widths[f"decoder {kind}", name] == exactly(1.5 * (narrow + 4) / 2), name
    assert widths["head", "lm_head"] == widths["mtp head", "lm_head"] == 1.5 * 4
    tied = element_bytes(decoder(tie_word_embeddings=True).description, Checkpoint(half, 4.0))
    assert tied["head", "lm_head"] == tied["decoder front", "embed_tokens"] == 4


def test_layers_are_numbered_over_all_runs_and_outside_has_none() -> None:
    held = list(weights_held(decoder().description, Uniform(1.0, 1.0)))
    assert {each.layers for each in held} == {(), (0, 1)}
    assert sum(each.sets * each.bytes_each for each in held) == decoder().params
    assert {each.sets for each in held if each.layers} == {2}
    places = {each.where for each in held if not each.layers}
    assert places == {"decoder front", "decoder tail", "head"}


def test_a_cache_is_in_whole_pages_and_divided_as_its_layers_and_tokens_are() -> None:
    token = 2 * KEY_WIDTH * LAYERS * 2
    assert float(kv_bytes(share(), 100, 3)) == 3 * 100 * token
    assert float(kv_bytes(share(), 100, 3, 16)) == 3 * 112 * token
    assert float(kv_bytes(share(layout=Layout(pp=2)), 100, 3)) == 3 * 100 * token / 2
    assert float(kv_bytes(share(layout=Layout(cp=4)), 100, 3)) == 3 * 100 * token / 4
    assert float(kv_bytes(share(layout=Layout(tp=4)), 100, 3)) == 3 * 100 * token / 2
    narrow = choose_precision("bf16", "fp8")
    assert float(kv_bytes(share(dtype=narrow), 100, 3)) == 3 * 100 * token / 2


def test_states_are_kept_in_single_precision_whatever_the_cache_is() -> None:
    """Mamba-130M: 24 layers of 1536 channels with 16 states and 4 taps, of which 3 were seen."""
    model = tf.load_model("mamba-130m")
    states, taps = 24 * 1536 * 16, 24 * 1536 * 3
    assert float(kv_bytes(share(model), 7, 1)) == 4 * (states + taps)
    for dtype in (BF16, choose_precision("bf16", "fp8")):
        assert float(kv_bytes(share(model, dtype=dtype), 100, 2)) == 2 * 4 * (states + taps)


@pytest.mark.parametrize(
    ("name", "tp", "copies"),
    [("llama-3-8b", 1, 1), ("llama-3-8b", 8, 1), ("llama-3-8b", 16, 2), ("llama-3-8b", 32, 4),
     ("deepseek-v2-lite", 1, 1), ("deepseek-v2-lite", 8, 8), ("mamba-130m", 2, 1)],
)  # fmt: skip
def test_a_key_head_is_copied_where_devices_share_it_and_a_latent_everywhere(
    name: str, tp: int, copies: int
) -> None:
    assert copies_of_cache(share(tf.load_model(name), Layout(tp=tp))) == copies


def test_tokens_in_flight_are_a_chunk_or_one_of_each_sequence_and_all_of_an_encoder() -> None:
    plain, encoder = share(), share(tf.load_model("bert-base"))
    found = [tokens_in_flight(plain, prompt, batch) for prompt, batch in (
        (10, 3), (9000, 1), (5000, 2), (10, 10_000), (1, 10_000))]  # fmt: skip
    assert found == [30, 8192, 8192, 10_000, 10_000]
    assert tokens_in_flight(encoder, 500, 100) == 50_000


@pytest.mark.parametrize(
    ("changes", "inner"),
    [({}, 2 * INNER), ({"intermediate_size": 64}, 2 * WIDTH),
     (MIXTURE, 2 * 2 * INNER)],
)  # fmt: skip
def test_activations_are_of_the_widest_layer_and_logits_in_single_precision(
    changes: dict[str, Any], inner: int
) -> None:
    """Twice the residual stream, and gate and up of every chosen expert, or twice that again."""
    one = share(decoder(**changes))
    each = 2 * (2 * WIDTH + inner)
    assert float(activation_bytes(one, 10, 3)) == 30 * each + 4 * TOKENS * 3
    split = Share(decoder(**changes).description, Layout(cp=2), BF16)
    assert float(activation_bytes(split, 10, 3)) == 30 * each / 2 + 4 * TOKENS * 3
    plain = tf.load_model({"model_type": "gpt2", "n_embd": WIDTH, "n_layer": 2, "n_head": 4,
                           "n_inner": 4 * WIDTH, "vocab_size": TOKENS})  # fmt: skip
    found = float(activation_bytes(share(plain), 10, 3))
    assert found == 30 * 2 * (2 * WIDTH + 4 * WIDTH) + 4 * TOKENS * 3


@pytest.mark.parametrize(("memory_gb", "shared_gb"), [(80, 80), (300, 300), (301, 300), (900, 300)])
def test_a_reserve_is_of_what_was_measured_at_most(memory_gb: int, shared_gb: int) -> None:
    device = replace(DEVICE, memory_bytes=memory_gb * 1e9, confidence="read")
    found = memory_of(share(), device, 100, 20, 3, 16)
    assert found.reserve_bytes == exactly(0.7e9 + 0.02 * shared_gb * 1e9)
    assert found.kv_bytes == kv_bytes(share(), 120, 3, 16)
    assert (found.page_tokens, found.recalled, found.spread) == (16, False, (0.5, 2.0))
    assert found.capacity_bytes == memory_gb * 1e9
    assert "pages of 16; reserve 0.7 GB + 2% assumed" in found.assumption


def test_a_memory_is_the_sum_of_its_parts_with_an_interval_of_what_is_uncertain() -> None:
    found = Memory(10.0, 20.0, 3.0, 5.0, 40.0)
    assert (found.total_bytes, found.fits, found.shortfall_bytes) == (38, True, 0)
    assert (found.low_bytes, found.high_bytes) == (38 - 0.5 * 8, 38 + 8)
    assert found.assumption.startswith("logical cache; reserve")
    short = replace(found, capacity_bytes=30.0, recalled=True)
    assert (short.fits, short.shortfall_bytes) == (False, 8)
    assert short.high_bytes == 38 + 8 + 30 / 16
    exact = replace(found, capacity_bytes=38.0)
    assert exact.fits
    assert "; the device's memory is recalled, not read" in short.assumption


def test_what_is_taken_of_a_device_is_said_with_what_is_missing() -> None:
    assert occupied_text(30e9, 80e9) == "memory a device: 30.0 GB of 80.0 GB, fits"
    assert occupied_text(80e9, 80e9).endswith("fits")
    assert occupied_text(90e9, 80e9).endswith("DOES NOT FIT: 10.0 GB missing")
    assert too_little(80e9, 80e9) == []
    assert "90.0 GB of 80.0 GB a device" in too_little(90e9, 80e9)[0]


def test_a_step_reads_what_a_checkpoint_holds_with_biases_wide_and_one_row_of_the_table() -> None:
    model = decoder(attention_bias=True)
    formats = Checkpoint(Quantization("x", FOUR))
    works = Share(model.description, Layout(), BF16, formats).works(decode_step(10, 1))
    read = sum(work.times * work.weight_bytes for work in works)
    held = weights_on_fullest(model.description, 1, formats)
    assert read == exactly(held - 2 * TABLE + 2 * WIDTH)
    queries = next(work for work in works if work.name == "q_proj")
    assert queries.weight_bytes == exactly(WIDTH * WIDTH * NARROW + 8 + 2 * WIDTH)
    assert queries.element_bytes == exactly(NARROW + 8 / WIDTH**2)


@pytest.mark.parametrize(
    ("dtype", "base", "fallback", "head"),
    [
        # llama.cpp's tensor_type_fallback: types of blocks of 32 stay, others take the next of them
        ("q3_k_m", 3.4375, 4.5, 8.5), ("q4_1", 5.0, 5.0, 8.5), ("q5_0", 5.5, 5.5, 8.5),
        ("q5_1", 6.0, 6.0, 8.5), ("iq1_s", 1.75, 4.5, 6.0), ("iq3_m", 3.44, 4.5, 8.5),
        ("iq4_xs", 4.25, 4.5, 8.5), ("iq4_nl", 4.5, 4.5, 8.5), ("tq2_0", 2.06, 4.5, 8.5),
    ],
)  # fmt: skip
def test_rows_of_576_take_a_type_of_blocks_of_32(dtype, base, fallback, head) -> None:
    """Rows of o and down, of 512 and 1024, are filled by blocks of 256."""
    model = decoder(hidden_size=576, head_dim=128, num_key_value_heads=4, intermediate_size=1024)
    narrow = choose_precision(dtype).weight_bits
    odd, even = 3 * 512 * 576 + 2 * 576 * 1024, 512 * 576 + 1024 * 576
    bits = LAYERS * (odd * narrow * fallback / base + even * narrow)
    bits += TOKENS * 576 * (fallback + head) + (2 * LAYERS + 1) * 576 * 32
    found = tf.estimate(model, "h100", dtype=dtype).memory.weight_bytes
    assert found == exactly(bits / 8)


def test_the_sheet_has_every_part_their_sum_and_what_the_device_has() -> None:
    cells = figures_of([memory_sheet(Memory(1e9, 2e9, 4e9, 8e9, 5e9))])
    assert {cell.key.removeprefix("memory."): cell.value for cell in cells} == {
        "weights": 1, "cache": 2, "activations": 4, "reserve": 8, "total": 15, "capacity": 5,
    }  # fmt: skip
    assert {cell.unit for cell in cells} == {"GB"}


@pytest.mark.parametrize("assumed", ["", "an engine's rule"])
@pytest.mark.parametrize("recalled", [False, True])
def test_ends_of_a_total_are_factors_of_what_is_not_known_of_it(assumed, recalled) -> None:
    """Activations and reserve, or what an engine's rule is not sure of; of a capacity that was
    recalled a sixteenth may be missing."""
    made = Memory(1.0, 2.0, 4.0, 8.0, 32.0, None, (0.75, 1.5), 6.0, assumed, recalled)
    sure = 15 - (6 if assumed else 12)
    assert made.low_bytes == sure + 0.75 * (15 - sure)
    assert made.high_bytes == sure + 1.5 * (15 - sure) + (32 / 16 if recalled else 0)
    assert (made.fits, made.shortfall_bytes) == (True, 0)
    assert replace(made, capacity_bytes=14.0).shortfall_bytes == 1


def test_a_mac_keeps_what_metal_does_not_give_to_its_gpu() -> None:
    """26,800.60 MB of 32 GiB are the GPU's (0.78): the other 7.56 GB and 0.7 GB are reserve."""
    mac = replace(DEVICE, vendor="Apple", memory_bytes=32.0 * 2**30, confidence="read")
    found = memory_of(share(), mac, 100, 20, 3)
    assert found.reserve_bytes == exactly(0.7e9 + 0.22 * 32 * 2**30)
    passing = activation_bytes(share(), 100, 3)
    assert found.high_bytes - found.total_bytes == exactly(passing + 0.7e9)
    assert "Metal lets a GPU take 26.8 GB" in found.assumption
