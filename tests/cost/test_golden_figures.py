"""Figures of the public functions, each beside the arithmetic that it must come to.

Model, device and rates are made up (``kit.made_up``): no figure here was copied from the program.
"""

from __future__ import annotations

import re

import pytest
import thermoflop as tf
from kit.made_up import (
    BANDWIDTH,
    DEVICE,
    HEAD,
    HEAD_MATRIX,
    HEADS,
    INNER,
    KEY_HEADS,
    KEY_WIDTH,
    LAYERS,
    LINK,
    MATRICES,
    MEMORY,
    NORMS,
    PEAK,
    POWER,
    TOKENS,
    WIDTH,
    decoder,
    rates,
)
from thermoflop.base.record import replace
from thermoflop.cost.roofline.bound import sums_of
from thermoflop.cost.work.network import steps_of, wire_bytes

BF16 = 2
# Bytes of weights that a step of one token reads: one row of the embedding, all else once.
READ_ONCE = BF16 * (LAYERS * (MATRICES + NORMS) + WIDTH + HEAD_MATRIX)
TOKEN_WEIGHTS = READ_ONCE + BF16 * WIDTH
# Bytes that one token adds to the cache: keys and values of every layer.
TOKEN_CACHE = BF16 * LAYERS * 2 * KEY_WIDTH
# Kernels of a step: a layer has norm, one product for q, k and v, attention, output; norm, one
# product for gate and up, activation, down; residuals. Outside: embedding, last norm, head.
KERNELS = LAYERS * 9 + 3


def exactly(value: float) -> object:
    """To rounding."""
    return pytest.approx(value, rel=1e-9)


def about(value: float) -> object:
    """To the last digit that is printed."""
    return pytest.approx(value, rel=6e-3)


def test_parameters_are_the_matrices_norms_embedding_and_head() -> None:
    assert decoder().params == LAYERS * (MATRICES + NORMS) + WIDTH + 2 * HEAD_MATRIX


def test_flops_of_a_prompt_are_two_a_weight_and_token_and_four_a_pair() -> None:
    tokens, sequences = 50, 3
    table = decoder().operators(new=tokens, batch=sequences)
    products = 2 * (LAYERS * MATRICES + HEAD_MATRIX) * tokens * sequences
    pairs = tokens * tokens * sequences  # every query meets every key
    assert table.flops == products + 4 * LAYERS * HEADS * HEAD * pairs
    causal = decoder().operators(new=tokens, batch=sequences, attention="causal")
    under_mask = sequences * tokens * (tokens + 1) // 2
    assert causal.flops == products + 4 * LAYERS * HEADS * HEAD * under_mask


def test_cache_is_keys_and_values_of_every_token_and_layer() -> None:
    found = tf.fit(decoder(), DEVICE, batch=7, prompt=90, generate=10)
    assert found.memory.kv_bytes == 7 * 100 * TOKEN_CACHE
    assert found.memory.weight_bytes == BF16 * decoder().params


def test_decoding_is_bound_by_the_weights_and_cache_that_each_token_reads() -> None:
    """Two steps follow the first token; they read 101 and 102 tokens of cache, and write one."""
    found = tf.estimate(decoder(), DEVICE, prompt=100, generate=3, profile=rates())
    moved = TOKEN_WEIGHTS + TOKEN_CACHE * ((101 + 102) / 2 + 1)
    assert found.per_token.bound_s == exactly(moved / BANDWIDTH)


def test_decoding_of_many_sequences_is_bound_by_compute_where_that_takes_longer() -> None:
    batch, slow = 64, replace(DEVICE, peaks={"bf16": 1e12})
    found = tf.estimate(decoder(), slow, batch=batch, prompt=1, generate=2, profile=rates())
    products = 2 * (LAYERS * MATRICES + HEAD_MATRIX)
    attention = 4 * LAYERS * HEADS * HEAD * 2  # the new query meets the old key and its own
    assert found.per_token.bound_s == exactly(batch * (products + attention) / 1e12)


def test_a_prompt_is_bound_by_its_flops_under_the_mask_with_logits_of_the_last_token() -> None:
    tokens, cached = 4000, 1000
    products = 2 * LAYERS * MATRICES
    found = tf.estimate(decoder(), DEVICE, prompt=tokens, generate=1, profile=rates())
    pairs = tokens * (tokens + 1) / 2
    flops = products * tokens + 2 * HEAD_MATRIX + 4 * LAYERS * WIDTH * pairs
    assert found.first_token.bound_s == exactly(flops / PEAK)
    rest = tf.estimate(decoder(), DEVICE, prompt=tokens, prefix=cached, generate=1, profile=rates())
    fewer = pairs - cached * (cached + 1) / 2
    flops = products * (tokens - cached) + 2 * HEAD_MATRIX + 4 * LAYERS * WIDTH * fewer
    assert rest.first_token.bound_s == exactly(flops / PEAK)


def test_a_token_takes_its_bytes_at_their_rates_and_a_gap_for_every_kernel() -> None:
    """Memory binds every operator. Elements of activations: what a kernel reads and writes; keys
    and values are written to the cache, the gate's product stays on the chip."""
    found = tf.estimate(
        decoder(), DEVICE, prompt=100, generate=3,
        profile=rates(matmul=0.5, weights=0.5, cache=0.25, activations=0.2, kernel_gap_s=10e-6),
    )  # fmt: skip
    norms, products = 2 * 2 * WIDTH, 2 * WIDTH + 2 * WIDTH + 2 * WIDTH  # q, k and v, output
    attention, residuals = 2 * WIDTH, 2 * 2 * WIDTH
    feed = 3 * (WIDTH + INNER)
    layer = norms + products + attention + feed + residuals
    activations = BF16 * (LAYERS * layer + WIDTH + 2 * WIDTH + WIDTH + TOKENS)
    cache = TOKEN_CACHE * ((101 + 102) / 2 + 1)
    moving = TOKEN_WEIGHTS / 0.5 + cache / 0.25 + activations / 0.2
    assert found.per_token.expected_s == exactly(moving / BANDWIDTH + KERNELS * 10e-6)


def test_a_prompt_takes_its_flops_at_their_rates_and_a_gap_for_every_kernel() -> None:
    """On a memory without limits, products run at half of the peak, attention at a quarter."""
    fast, tokens = replace(DEVICE, bandwidth_bytes_s=1e21), 4000
    setting = {"prompt": tokens, "generate": 1}
    own = {"matmul": 0.5, "attention": 0.25}
    found = tf.estimate(decoder(), fast, profile=rates(**own, kernel_gap_s=10e-6), **setting)
    products = 2 * LAYERS * MATRICES * tokens + 2 * HEAD_MATRIX
    attention = 4 * LAYERS * WIDTH * tokens * (tokens + 1) / 2
    seconds = products / (0.5 * PEAK) + attention / (0.25 * PEAK)
    assert found.first_token.expected_s == exactly(seconds + KERNELS * 10e-6)
    costs = rates(**own, step_s=3e-3, prompt_s=5e-3, sequence_s=7e-3)
    more = tf.estimate(decoder(), fast, batch=2, profile=costs, **setting)
    assert more.first_token.expected_s == exactly(2 * seconds + 3e-3 + 5e-3 + 2 * 7e-3)


@pytest.mark.parametrize("key_heads", [1, KEY_HEADS, HEADS])
def test_heads_that_share_a_key_are_padded_to_one_tile_in_decoding(key_heads: int) -> None:
    """16 rows for each key."""
    fast, cached = replace(DEVICE, bandwidth_bytes_s=1e21), 1000
    padded, plain = (
        tf.estimate(
            decoder(num_key_value_heads=key_heads), fast, prompt=cached, generate=2, batch=3,
            profile=rates(q_half=pad),
        ).per_token.expected_s
        for pad in (16, 0)
    )  # fmt: skip
    added = 3 * 4 * LAYERS * HEAD * key_heads * 16 * (cached + 1)
    assert padded - plain == pytest.approx(added / PEAK, rel=1e-6)


def test_padding_adds_rows_to_products_and_queries_to_attention() -> None:
    """The head's 1000 columns are no multiple of 64: they take half as long again."""
    fast, tokens = replace(DEVICE, bandwidth_bytes_s=1e21), 100
    own = rates(m_half=32, q_half=16, tile_penalty=0.5)
    found = tf.estimate(decoder(), fast, prompt=tokens, generate=1, profile=own)
    products = 2 * LAYERS * MATRICES * (tokens + 32) + 2 * HEAD_MATRIX * (1.5 + 32)
    pairs = tokens * (tokens + 1) / 2
    attention = 4 * LAYERS * HEAD * (HEADS * pairs + KEY_HEADS * 16 * pairs / tokens)
    assert found.first_token.expected_s == exactly((products + attention) / PEAK)


def test_chunks_read_the_weights_again_and_stand_for_the_middle_one() -> None:
    """Four chunks of 25 of a prompt of 100; the middle one starts behind 37.5 tokens: it reads
    these and its own, and writes its own."""
    own = rates(weights=0.5, activations=1e9)
    fast = replace(DEVICE, peaks={"bf16": 1e24})
    found = tf.estimate(decoder(), fast, prompt=100, generate=1, chunk=25, profile=own)
    chunk = (READ_ONCE + 25 * BF16 * WIDTH) / 0.5 + TOKEN_CACHE * (37.5 + 25 + 25)
    assert found.first_token.expected_s == exactly(4 * chunk / BANDWIDTH)
    staged = tf.estimate(decoder(), fast, pp=2, prompt=100, generate=1, chunk=25, profile=own)
    sent = 25 * BF16 * WIDTH / LINK
    assert staged.first_token.expected_s == exactly((4 + 1) / 2 * (chunk / BANDWIDTH + sent))


def test_two_devices_hold_half_of_the_layers_width_each_and_reduce_twice_a_layer() -> None:
    """Norms are on both. An all-reduce of n bytes puts 2(t-1)/t n on the link of each device, and
    a tree of t devices is log2 t steps deep."""
    for tp, steps in ((2, 1), (4, 2)):
        model = decoder(num_key_value_heads=4)
        width = 4 * WIDTH * WIDTH + 3 * WIDTH * INNER
        own = rates(activations=1e9, link=0.5, collective_s=8e-6)
        found = tf.estimate(model, DEVICE, tp=tp, prompt=100, generate=2, profile=own)
        weights = BF16 * (LAYERS * (width / tp + NORMS) + WIDTH + HEAD_MATRIX / tp + WIDTH)
        cache = BF16 * LAYERS * 2 * WIDTH / tp * (101 + 1)
        wire = 2 * (tp - 1) / tp * WIDTH * BF16 / (LINK * 0.5)
        reduces = 2 * LAYERS * (wire + steps * 8e-6)
        seconds = (weights + cache) / BANDWIDTH + reduces
        assert found.per_token.expected_s == exactly(seconds)
        assert found.memory.kv_bytes == exactly(BF16 * LAYERS * 2 * WIDTH / tp * 102)


def test_a_ring_takes_2_t_minus_1_steps_to_reduce_and_half_of_them_to_gather() -> None:
    assert steps_of("all-reduce", 8) == 2 * 7
    assert steps_of("all-gather", 8) == 7
    assert steps_of("all-reduce", 8, "tree") == 2 * 3
    assert wire_bytes("all-reduce", 800, 8) == 2 * 7 * 100
    assert wire_bytes("reduce-scatter", 800, 8) == 7 * 100
    assert wire_bytes("send", 800, 8) == 800


def test_stages_hold_half_of_the_layers_and_a_token_passes_both() -> None:
    own = rates(activations=1e9, collective_s=8e-6)
    found = tf.estimate(decoder(), DEVICE, pp=2, prompt=100, generate=2, profile=own)
    moved = TOKEN_WEIGHTS + TOKEN_CACHE * (101 + 1)
    sent = BF16 * WIDTH / LINK + 8e-6
    assert found.per_token.expected_s == exactly(moved / BANDWIDTH + sent)
    layers = BF16 * LAYERS / 2 * (MATRICES + NORMS)
    assert found.memory.weight_bytes == exactly(layers + BF16 * HEAD_MATRIX)
    assert found.memory.kv_bytes == exactly(TOKEN_CACHE * 102 / 2)


def test_a_batch_meets_e_times_1_minus_1_minus_k_over_e_to_the_t_experts() -> None:
    experts, chosen, tokens = 8, 2, 5
    model = decoder(model_type="mixtral", num_local_experts=experts, num_experts_per_tok=chosen)
    met = experts * (1 - (1 - chosen / experts) ** tokens)
    attention = 2 * WIDTH * WIDTH + 2 * WIDTH * KEY_WIDTH
    own = rates(activations=1e9)
    found = tf.estimate(model, DEVICE, batch=tokens, prompt=10, generate=2, profile=own)
    cache = tokens * TOKEN_CACHE * (11 + 1)
    assert found.per_token.expected_s == exactly(
        (_step_weights(experts, met, tokens) + cache) / BANDWIDTH
    )
    table = model.operators(new=1, batch=tokens)
    active = attention + WIDTH * experts + chosen * 3 * WIDTH * INNER
    keys = 4 * LAYERS * WIDTH
    assert table.flops == tokens * (2 * (LAYERS * active + HEAD_MATRIX) + keys)


def _step_weights(experts: int, read: float, tokens: int) -> float:
    """Bytes of weights of a decode step that reads so many ``experts`` of each layer."""
    attention = 2 * WIDTH * WIDTH + 2 * WIDTH * KEY_WIDTH
    layer = attention + WIDTH * experts + read * 3 * WIDTH * INNER + NORMS
    return BF16 * (LAYERS * layer + tokens * WIDTH + WIDTH + HEAD_MATRIX)


def test_the_bound_of_a_batch_reads_the_experts_of_one_token_for_all_may_choose_the_same() -> None:
    experts, chosen, tokens = 8, 2, 5
    model = decoder(model_type="mixtral", num_local_experts=experts, num_experts_per_tok=chosen)
    found = tf.estimate(model, DEVICE, batch=tokens, prompt=10, generate=2, profile=rates())
    cache = tokens * TOKEN_CACHE * (11 + 1)
    assert found.per_token.bound_s == exactly(
        (_step_weights(experts, chosen, tokens) + cache) / BANDWIDTH
    )


@pytest.mark.parametrize("layout", [{"ep": 4, "dp": 4}, {"ep": 4, "tp": 4}])
def test_the_bound_gives_each_device_its_even_share_of_a_tokens_experts(layout: dict) -> None:
    """Of 2 experts on 4 devices one device reads half of one at least; the products of 16 tokens
    are shared by all, and no token need leave its device."""
    sizes = {"model_type": "mixtral", "num_local_experts": 8, "num_experts_per_tok": 2}
    more = {"num_key_value_heads": HEADS}
    found = tf.estimate(
        decoder(**sizes, **more), DEVICE, batch=16, prompt=10, generate=2, profile=rates(), **layout
    )
    sums = sums_of(found.setting.least_decoding(16 / layout.get("dp", 1))(11))
    dense = decoder(**more)
    alone = tf.estimate(
        dense, DEVICE, batch=16, prompt=10, generate=2, profile=rates(),
        **{name: degree for name, degree in layout.items() if name != "ep"},
    )  # fmt: skip
    other = sums_of(alone.setting.least_decoding(16 / layout.get("dp", 1))(11))
    mlp, router = 3 * WIDTH * INNER, 8 * WIDTH
    share = 1 / layout.get("tp", 1)
    changed = LAYERS * BF16 * (2 / 4 * mlp - share * mlp + router)
    assert sums.weight_bytes - other.weight_bytes == exactly(changed)
    assert sums.wire_bytes == other.wire_bytes


def test_the_interval_is_the_profiles_share_of_the_expectation() -> None:
    own = rates(kernel_gap_s=1e-3)
    found = tf.estimate(decoder(), DEVICE, prompt=100, generate=3, profile=own)
    for phase, span in (("prefill", found.first_token), ("token", found.per_token)):
        spread = own.interval(phase, DEVICE)
        assert span.low_s == exactly(spread.low * span.expected_s)
        assert span.high_s == exactly(spread.high * span.expected_s)
    first, token = found.first_token, found.per_token
    assert found.total.expected_s == exactly(first.expected_s + 2 * token.expected_s)
    assert found.total.bound_s == exactly(first.bound_s + 2 * token.bound_s)
    assert found.total.high_s == exactly(first.high_s + 2 * token.high_s)
    assert found.total.low_s == exactly(first.low_s + 2 * token.low_s)


def test_the_printed_rates_are_tokens_of_all_sequences_over_their_seconds() -> None:
    """Only gaps count here: a step takes 21 x 1 ms, and reading the prompt 79 ms more: 100 ms."""
    assert KERNELS == 21
    own = rates(
        weights=1e9,
        cache=1e9,
        activations=1e9,
        matmul=1e9,
        attention=1e9,
        kernel_gap_s=1e-3,
        prompt_s=0.079,
    )
    fast = replace(DEVICE, peaks={"bf16": 1e18}, bandwidth_bytes_s=1e18)
    found = tf.estimate(decoder(), fast, batch=6, prompt=100, generate=11, profile=own)
    assert found.first_token.expected_s == about(0.1)
    assert found.decode_tokens_per_s == about(6 / 0.021)
    printed = re.sub(r" +", " ", str(found))
    assert "\nprompt tokens 6,000 /s\n" in printed  # 6 x 100 / 0.1
    assert "\nwhile decoding 286 tokens/s\n" in printed  # 6 / 0.021
    assert "\noverall 213 tokens/s\n" in printed  # 6 x 11 / (0.1 + 10 x 0.021)
    assert re.search(r"\nfirst token of all 6 prompts \S+ \Ss 100 ms ", printed)
    assert re.search(r"\neach token after it \S+ \Ss 21.0 ms ", printed)
    assert re.search(r"\nall \S+ \Ss 310 ms ", printed)  # 100 ms and 10 x 21 ms


def test_power_follows_the_share_of_peak_and_bandwidth_that_a_run_uses() -> None:
    """0.516 + 1.514 f/f_peak + 0.272 b/b_peak of the design power (fitted to ML.ENERGY's rows)."""
    own = rates(kernel_gap_s=10e-6)
    found = tf.estimate(decoder(), DEVICE, batch=4, prompt=100, generate=3, profile=own)
    seconds = found.total.expected_s
    products = 2 * LAYERS * MATRICES
    prompt = 4 * (products * 100 + 2 * HEAD_MATRIX + 4 * LAYERS * WIDTH * 100 * 101 / 2)
    token = 4 * (products + 2 * HEAD_MATRIX + 4 * LAYERS * WIDTH * 101.5)
    flops = prompt + 2 * token
    rows = BF16 * 4 * WIDTH * (100 + 2)
    cache = 4 * TOKEN_CACHE * (100 + 100 + 101 + 102 + 2)
    moved = 3 * READ_ONCE + rows + cache
    share = 0.516 + 1.514 * flops / seconds / PEAK + 0.272 * moved / seconds / BANDWIDTH
    energy = found.energy
    assert energy is not None
    assert energy.power_w == exactly(POWER * share)
    assert energy.energy_j == exactly(POWER * share * seconds)
    assert energy.per_token_j == exactly(POWER * share * seconds / (4 * 3))
    assert energy.rise_c == exactly(POWER * share * 0.1)


def test_the_largest_batch_fills_what_weights_reserve_and_activations_leave() -> None:
    """A sequence of 10,000 tokens: its cache, its logits in fp32; 8192 tokens of the prompts are in
    flight at once, of width 2 h and the larger of 2 h and 2 x 512."""
    found = tf.fit(decoder(), DEVICE, prompt=9000, generate=1000)
    weights = BF16 * decoder().params
    reserve = 0.7e9 + 0.02 * MEMORY
    in_flight = 8192 * (2 * WIDTH + 2 * INNER) * BF16
    sequence = 10_000 * TOKEN_CACHE + 4 * TOKENS
    assert found.largest_batch == (MEMORY - weights - reserve - in_flight) // sequence
    one = tf.fit(decoder(max_position_embeddings=2**40), DEVICE, prompt=900, generate=100)
    free = MEMORY - weights - reserve - in_flight - 4 * TOKENS  # a long prompt is read by chunks
    assert one.longest_context == free // TOKEN_CACHE
    printed = re.sub(r" +", " ", str(one))
    assert "\n reserve 0.9 GB\n" in printed  # 0.7 GB and 2 % of 10 GB
    assert f"\nlargest batch at this context: {one.largest_batch:,}\n" in printed


def test_the_fewest_devices_divide_what_one_cannot_hold() -> None:
    """The reserve (0.7 GB + 2 %) is on each device, so that 3 GB of weights need two of 2.5 GB."""
    large = decoder(num_hidden_layers=2542)
    weights = BF16 * large.params
    assert 2.9e9 < weights < 3.1e9
    small = replace(DEVICE, memory_bytes=2.5e9)
    found = tf.fit(large, small, prompt=1, generate=0)
    assert not found.fits
    assert found.fewest_devices == 2
    assert found.memory.shortfall_bytes == exactly(found.memory.total_bytes - 2.5e9)


def test_drafting_gives_1_minus_a_to_the_k_plus_1_over_1_minus_a_tokens_a_check() -> None:
    """Leviathan, Kalman and Matias 2023, eq. 1; a step of either model costs its kernels' gaps."""
    own = rates(weights=1e12, cache=1e12, activations=1e12, kernel_gap_s=1e-3)
    fast = replace(DEVICE, peaks={"bf16": 1e24})
    draft = decoder(num_hidden_layers=1)
    found = tf.speculate(
        decoder(), draft, fast, drafted=3, acceptance=0.5, prompt=10, generate=4, profile=own
    )
    tokens = 1 + 0.5 + 0.25 + 0.125
    assert found.tokens_per_check == exactly(tokens)
    assert found.draft_step_s == about(12e-3)
    assert found.check_s == about(21e-3)
    assert found.per_token_s == about((3 * 12e-3 + 21e-3) / tokens)
    assert found.speed_up == about(21e-3 / ((3 * 12e-3 + 21e-3) / tokens))
    assert "30.4 ms a token instead of 21.0 ms, 0.691 times as fast" in str(found)


def test_forms_of_attention_differ_in_their_keys_alone() -> None:
    forms = {
        each.name: each
        for each in tf.compare(decoder(), DEVICE, groups=2, rank=32, prompt=100, generate=3)
    }
    for name, key_heads in (("MHA", HEADS), ("GQA(2)", KEY_HEADS), ("MQA", 1)):
        form = forms[name]
        narrower = LAYERS * 2 * WIDTH * (KEY_HEADS - key_heads) * HEAD
        assert form.params == decoder().params - narrower
        assert form.kv_bytes_per_token == BF16 * LAYERS * 2 * key_heads * HEAD
    latent = forms["MLA(32)"]
    assert latent.kv_bytes_per_token == BF16 * LAYERS * (32 + HEAD // 2)
