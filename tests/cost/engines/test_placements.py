"""Where llama.cpp puts layers, experts and the output, on a made-up model, byte for byte."""

from __future__ import annotations

import pytest
import thermoflop as tf
from kit.made_up import HEAD_MATRIX, INNER, KEY_WIDTH, MATRICES, NORMS, WIDTH, decoder
from thermoflop.cost.engines import pools
from thermoflop.cost.engines.footprint import Load
from thermoflop.cost.engines.options import read_options
from thermoflop.cost.engines.placement import cache_bytes, cells_of, outside_bytes, place
from thermoflop.cost.engines.pools import (
    Kind,
    Layout,
    _blocks,
    _blocks_of,
    _running_blocks,
    kinds_of,
    paged_layout,
)
from thermoflop.cost.hardware.precision import choose_precision
from thermoflop.cost.work.share import Layout as Spread
from thermoflop.cost.work.share import Share
from thermoflop.model.architecture.cache import LayerCache

LAYERS = 6
LAYER = 2 * (MATRICES + NORMS)
OUTPUT, TABLE = 2 * (HEAD_MATRIX + WIDTH), 2 * HEAD_MATRIX


def share(layers=LAYERS, **changes):
    description = decoder(num_hidden_layers=layers, **changes).description
    return Share(description, Spread(), choose_precision("bf16"))


@pytest.mark.parametrize(
    ("gpu_layers", "devices", "on_device", "on_host", "read_of_host", "layers"),
    [
        # all layers and the output; the table of tokens stays on the host
        (None, 1, 6 * LAYER + OUTPUT, TABLE, 0, 6),
        (7, 1, 6 * LAYER + OUTPUT, TABLE, 0, 6),
        # as many as there are, but not the output
        (6, 1, 6 * LAYER, TABLE + OUTPUT, OUTPUT, 6),
        (2, 1, 2 * LAYER, TABLE + 4 * LAYER + OUTPUT, 4 * LAYER + OUTPUT, 2),
        (0, 1, 0, TABLE + 6 * LAYER + OUTPUT, 6 * LAYER + OUTPUT, 0),
        (None, 2, 3 * LAYER + OUTPUT, TABLE, 0, 6),
        (None, 4, 2 * LAYER + OUTPUT, TABLE, 0, 6),  # two layers a card, as far as they go
        (5, 2, 3 * LAYER, TABLE + LAYER + OUTPUT, LAYER + OUTPUT, 5),
    ],
)
def test_the_last_layers_are_on_the_devices(
    gpu_layers, devices, on_device, on_host, read_of_host, layers
):
    found = place(share(), gpu_layers, 0, devices)
    assert (found.device_bytes, found.host_bytes) == (on_device, on_host)
    assert (found.host_active_bytes, found.layers) == (read_of_host, layers)
    assert found.active_bytes == 6 * LAYER + OUTPUT
    assert len(found.caches) == -(-layers // devices)


def test_a_tied_output_is_the_table_again():
    tied = share(tie_word_embeddings=True)
    assert outside_bytes(share()) == (TABLE, OUTPUT, 0)
    assert outside_bytes(tied) == (TABLE, 2 * WIDTH + TABLE, 0)


@pytest.mark.parametrize("batch", [1, 3])
def test_experts_of_the_first_layers_stay_on_the_host_and_are_read_as_they_are_chosen(batch):
    """Of 8 experts a token has 2: three tokens meet 8 (1 - (3/4)^3) of them."""
    mixture = share(model_type="mixtral", num_local_experts=8, num_experts_per_tok=2)
    experts = 2 * 8 * 3 * WIDTH * INNER
    dense = 2 * (2 * WIDTH * WIDTH + 2 * WIDTH * KEY_WIDTH + NORMS + 8 * WIDTH)
    met = experts * (1 - (3 / 4) ** batch)
    found = place(mixture, None, 4, 1, batch)
    assert found.device_bytes == 6 * dense + 2 * experts + OUTPUT
    assert found.host_bytes == TABLE + 4 * experts
    assert found.host_active_bytes == pytest.approx(4 * met)
    assert found.active_bytes == pytest.approx(6 * (dense + met) + OUTPUT)
    both = place(mixture, 3, 4, 1, batch)  # three layers whole, and the experts of a fourth
    assert both.host_bytes == TABLE + 3 * (dense + experts) + experts + OUTPUT
    assert both.host_active_bytes == pytest.approx(3 * (dense + met) + met + OUTPUT)


def test_a_tied_output_is_the_table_of_tokens_again_and_no_other():
    """Gemma 4 E2B in q4_0 (tables in q6_k): 2,152.5 MiB of two tables stay on the host, as it
    prints, and the map of all layers; 1,341.76 on the device are layers and tokens' table."""
    description = tf.load_model("gemma-4-e2b").description
    part = Share(description, Spread(), choose_precision("q4_0", "fp16"))
    tables, output, _ = outside_bytes(part)
    assert tables / 2**20 == pytest.approx(2152.5, rel=0.01)
    assert output == pytest.approx(262_144 * 1536 * 210 / 256, rel=0.001)
    assert place(part).device_bytes / 2**20 == pytest.approx(1341.76, rel=0.02)


@pytest.mark.parametrize(
    ("context", "window", "ubatch", "cells"),
    [(1, None, 512, 256), (256, None, 512, 256), (257, None, 512, 512), (9000, 1024, 512, 1536),
     (9000, 1000, 512, 1536), (9000, 1025, 512, 1792), (700, 1024, 512, 768)],
)  # fmt: skip
def test_rows_are_of_256_and_a_window_has_a_micro_batch_besides(context, window, ubatch, cells):
    assert cells_of(context, window, ubatch) == cells


def test_a_cache_is_its_cells_and_states_in_fp32():
    caches = [LayerCache(elements=10, window=None), LayerCache(elements=20, window=1024),
              LayerCache(elements=0, window=None, state_elements=7)]  # fmt: skip
    found = cache_bytes(caches, 1.5, 3000, 512)
    assert found == 3072 * 10 * 1.5 + 1536 * 20 * 1.5 + 7 * 4
    assert cache_bytes(caches, 1.5, 3000, 512, True) == 3072 * 30 * 1.5 + 28


TOKEN = 2 * 2 * KEY_WIDTH


def test_layers_that_keep_every_token_are_one_kind_and_stages_share_them():
    (kind,) = kinds_of(share())
    assert (kind.layers, kind.token_bytes, kind.window, kind.state_bytes) == (6, TOKEN, None, 0)
    description = decoder(num_hidden_layers=LAYERS).description
    stages = Share(description, Spread(1, 4), choose_precision("bf16"))
    assert kinds_of(stages)[0].layers == 2
    context = Share(description, Spread(cp=2), choose_precision("bf16"))
    assert kinds_of(context)[0].token_bytes == TOKEN / 2
    windows = kinds_of(share(model_type="mistral", sliding_window=64))
    assert [(each.layers, each.window) for each in windows] == [(6, 64)]


@pytest.mark.parametrize(
    ("kinds", "block", "page", "groups"),
    [
        ([Kind(30, 100.0)], (16, 16), 30 * 16 * 100, [1]),
        # Gemma 3 12B: 8 layers keep everything, 40 a window: five groups of 8 beside one
        ([Kind(8, 100.0), Kind(40, 100.0, 1024.0)], (16, 16), 8 * 16 * 100, [1, 5]),
        # up to a quarter more are padded to the larger kind
        ([Kind(10, 100.0), Kind(12, 100.0, 64.0)], (16, 16), 12 * 16 * 100, [1, 1]),
        ([Kind(10, 100.0), Kind(13, 100.0, 64.0)], (16, 16), 10 * 16 * 100, [1, 2]),
        # blocks of attention are as large as a state: 5,000 bytes are 50 tokens, four blocks
        ([Kind(4, 100.0), Kind(12, 0.0, None, 5000.0)], (16, 64), 4 * 64 * 100, [1, 3]),
        ([Kind(4, 100.0), Kind(4, 0.0, None, 900.0)], (16, 16), 4 * 16 * 100, [1, 1]),
        ([], (16, 16), 0.0, []),
    ],
)
def test_a_block_holds_as_many_layers_as_the_smallest_kind_has(kinds, block, page, groups):
    tokens, size, made = _blocks(kinds, block[0])
    assert (min(tokens, default=block[1]), size, made) == (block[1], page, groups)


@pytest.mark.parametrize(
    ("kind", "context", "blocks"),
    [
        (Kind(1, 1.0), 160, 10), (Kind(1, 1.0), 161, 11),
        # a window of 64 with 32 in flight holds 95 tokens: six blocks and one for where it begins
        (Kind(1, 1.0, 64.0), 1000, 7), (Kind(1, 1.0, 64.0), 40, 4), (Kind(1, 0.0, None, 9.0), 9, 1),
    ],
)  # fmt: skip
def test_a_sequence_takes_blocks_of_its_context_or_window_and_one_of_a_state(kind, context, blocks):
    assert _blocks_of(kind, context, 16, 32) == blocks
    assert _blocks_of(kind, context, 16, 32, copies=2) == blocks + (kind.state_bytes > 0)


def test_a_layer_that_keeps_half_has_twice_the_tokens_in_a_block():
    """Gemma 4 31B: 50 layers of 16 x 256 twice, 10 of 4 x 512 twice, in pages of one size; with 10
    layers a group five groups keep a window of 1,024 and one keeps all."""
    kinds = [Kind(10, 8192.0), Kind(50, 16_384.0, 1024.0)]
    assert _blocks(kinds, 16) == ([32, 16], 10 * 16 * 16_384, [1, 5])
    assert _blocks([Kind(2, 30.0), Kind(2, 40.0)], 16)[0] == [16, 16]  # whole times alone


def vllm(monkeypatch, kinds, context, version, part=None, **options):
    monkeypatch.setattr(pools, "kinds_of", lambda *_, **__: kinds)
    read = read_options("vllm", {"version": version, **options})
    return pools._vllm(part or share(), Load(1, 1, context), read, 64)


@pytest.mark.parametrize(
    ("version", "pp", "options", "units", "tokens"),
    [
        # 20 blocks of a group that keeps all, 9 of a window of 65 with 64 in flight; from 0.26 on
        # two batches are, or as many as there are stages; a state and from 0.28 on two
        ("0.20", 1, {}, 20 + 9 + 1, 1000 // 3 * 16), ("0.21", 1, {}, 30, 1000 * 640 / 50),
        ("0.26", 1, {}, 20 + 13 + 1, 1000 * 640 / 54), ("0.26", 3, {}, 20 + 17 + 1, 11_034),
        ("0.28", 1, {}, 20 + 13 + 2, 1000 * 640 / 55),
        ("0.28", 1, {"enable_prefix_caching": False}, 34, 1000 * 640 / 54),
        ("0.20", 1, {"enable_prefix_caching": True}, 31, 1000 // 3 * 16),
    ],
)  # fmt: skip
def test_vllms_versions_differ_in_what_a_sequence_takes_and_in_how_tokens_are_counted(
    monkeypatch, version, pp, options, units, tokens
):
    """In 1,000 blocks; max_model_len is 640, of which 40 blocks keep all."""
    kinds = [Kind(2, 10.0), Kind(2, 10.0, 65.0), Kind(2, 0.0, None, 160.0)]
    part = Share(decoder(num_hidden_layers=3).description, Spread(pp=pp), choose_precision("bf16"))
    made = vllm(monkeypatch, kinds, 320, version, part, max_model_len=640, **options)
    assert made.sequence_units == units
    assert made.tokens(1000 * made.unit_bytes) == int(tokens)
    assert made.sequence_units - made.window_units - made.state_units == 20


def test_qwen_3_6_in_vllm_0_24_comes_out_to_the_token_that_it_printed():
    """github.com/noonghunna/club-3090/issues/612: 5.98 GiB are 567,978 tokens, 4.33 times 131,072:
    299 blocks of 10 layers x 2,146,304 bytes, of which the longest sequence takes 63 of 2,096
    tokens and two states in each of three groups."""
    fitted = tf.fit(
        "qwen3.6-35b-a3b", "rtx 5090", kv_dtype="fp8", prompt=1000, generate=1, profile="vllm 0.24",
        engine_options={"enable_prefix_caching": True, "max_model_len": 131_072},
    )  # fmt: skip
    room, load, _ = fitted.room
    made = room.engine.divide(room.share(fitted.plan), load)[1]
    assert made.unit_bytes == 10 * 2_146_304
    assert made.tokens(5.98 * 2**30) == int(299 / (63 + 6) * 131_072) == 567_978
    assert (made.sequence_units, made.state_units) == (1 + 6, 6)


def test_qwen_3_5_with_a_draft_layer_in_vllm_0_19_comes_out_to_the_token_that_it_printed():
    """A start-up log of Qwen3.5-122B-A10B in nvfp4 on a Jetson Thor: 24.05 GiB are 482,080 tokens,
    6.42 times 262,144. A state is 64 x 128 x 128 x 4 B and (3 + 1) x 12,288 x 2 B of inputs, a
    token of a layer 1,024 B: blocks of 4,192 tokens and 13 layers, 462 of them. The longest
    sequence takes 63 and, of three groups, two states and one for the drafted token."""
    fitted = tf.fit(
        tf.load_model("qwen3.5-122b-a10b", mtp=True), "jetson thor", dtype="nvfp4", kv_dtype="fp8",
        profile="vllm 0.19", prompt=1000, generate=1,
        engine_options={"max_model_len": 262_144, "enable_prefix_caching": True},
    )  # fmt: skip
    room, load, _ = fitted.room
    made = room.engine.divide(room.share(fitted.plan), load)[1]
    assert made.unit_bytes == 13 * (64 * 128 * 128 * 4 + 4 * 12_288 * 2)
    assert made.block_size == 4192
    pool = 24.05 * 2**30
    assert made.tokens(pool) == 462 // 4 * 4192 == 482_080
    assert made.counted(pool, True) / 262_144 == pytest.approx(462 / (63 + 3 * 3), abs=1e-5)


def test_each_drafted_token_has_a_state_and_inputs_in_vllm_as_options_or_serving_say():
    """Three tokens: (3 + 3) x 12,288 x 2 B of inputs beside 4,194,304 B, blocks of 4,240 tokens at
    1,024 B, and of three groups a state and three more."""
    asked = {"dtype": "nvfp4", "kv_dtype": "fp8", "profile": "vllm 0.19"}
    model = tf.load_model("qwen3.5-122b-a10b", mtp=True)
    options = {"num_speculative_tokens": 3}
    fitted = tf.fit(model, "jetson thor", prompt=1000, engine_options=options, **asked)
    room, load, _ = fitted.room
    made = room.engine.divide(room.share(fitted.plan), load)[1]
    assert made.block_size * 1024 >= 4_194_304 + 6 * 12_288 * 2 == 4240 * 1024
    assert (made.block_size, made.state_units) == (4240, 3 * 4)
    plain = tf.fit(model, "jetson thor", prompt=1000, **asked).room[0]
    assert plain.drafting(3).engine.options["num_speculative_tokens"] == 3
    assert room.drafting(2).engine.options["num_speculative_tokens"] == 3  # what was asked for
    assert plain.drafting(0) is plain


def test_a_pool_has_room_for_whole_blocks_and_sequences():
    """1,000 bytes are 33 units of 30; two a block, and three and a half a sequence."""
    layout = Layout(30.0, 16, 2.0, 3.5)
    assert layout.sequence_bytes == 105
    assert layout.tokens(1000.0) == 16 * 16
    assert layout.sequences(1000.0) == pytest.approx(1000 / 105)
    assert Layout(0.0, 16, 2.0, 3.5).tokens(1000.0) == 0
    assert Layout(30.0, 16, 0.0, 0.0).tokens(1000.0) == 0
    assert Layout(30.0, 16, 0.0, 0.0).sequences(1000.0) is None
    made = paged_layout(share(), Load(1, 161, 161), 16, 8192)
    assert (made.unit_bytes, made.token_units, made.sequence_units) == (6 * 16 * TOKEN, 1, 11)


def _held_at(cached, window, block):
    """What a scheduler that frees whole blocks left of the window holds for the next token."""
    taken = -(-(cached + 1) // block)
    return taken - (0 if window is None else max(0, cached - window + 1) // block)


@pytest.mark.parametrize("window", [None, 128, 1000, 1024])
@pytest.mark.parametrize("start", [16, 480, 4896])
def test_a_running_sequence_has_the_mean_of_what_each_step_holds(window, start):
    """Over the 16 places that the last token may have in its block; a window that is filled within
    them has a mean of its own."""
    if window is not None and start < window <= start + 17:
        return
    steps = [_held_at(cached, window, 16) for cached in range(start, start + 16)]
    found = _running_blocks(Kind(1, 1.0, window), start + 7.5, 16, 1)
    assert found == pytest.approx(sum(steps) / 16)


def test_states_of_a_running_sequence_are_as_many_as_are_kept():
    assert _running_blocks(Kind(1, 0.0, None, 900.0), 5000, 16, 2) == 2
    assert _running_blocks(Kind(1, 4.0, None, 900.0), 5000, 16, 2) == 1


def test_windows_give_back_in_decoding_what_a_prompt_may_take(monkeypatch):
    """Five layers keep everything, five times five a window of 1,024: 161 blocks each and one more
    for 5,100 tokens beside 16,384 in flight, but 4,998/16 and half a block, and 1,023/16 and one,
    on the average. Each prompt of 4,894 has 5 x 3,870/16 blocks more while it is read, for 2 of 206
    steps, and all of them never more than 16,384 tokens."""
    kinds = [Kind(5, 100.0), Kind(25, 100.0, 1024.0)]
    monkeypatch.setattr(pools, "kinds_of", lambda *_, **__: kinds)
    made = paged_layout(share(), Load(1, 4894, 5100), 16, 16384, batches=2)
    assert made.sequence_units == 319 + 5 * (319 + 1)
    running = 4998 / 16 + 15 / 32 + 5 * (1023 / 16 + 1)
    one = 5 * 3870 / 16
    assert made.running_units == pytest.approx(running)
    assert made.reading_units == pytest.approx((one, one * 2 / 206, 5 * 1024))
    few, some, many = (made.running(count * made.unit_bytes) for count in (5e3, 1e5, 1e6))
    assert few == pytest.approx((5e3 - one) / running)
    assert some == pytest.approx(1e5 / (running + one * 2 / 206))
    assert many == pytest.approx((1e6 - 5120) / running)
    assert made.running(1918 * made.unit_bytes) < 1  # not one has room
    assert made.running(1919 * made.unit_bytes) == pytest.approx((1919 - one) / running)
    short = paged_layout(share(), Load(1, 900, 1000), 16, 16384)
    assert short.reading_units == (0, 0, 0)  # no window is full
    spread = Load(1, 4894, 5100, ((0.5, 500.0), (0.5, 9000.0)))
    mean = (501 / 16 + 15 / 32 + 9001 / 16 + 15 / 32) / 2
    mean += 5 * (501 / 16 + 15 / 32 + 1023 / 16 + 1) / 2
    assert paged_layout(share(), spread, 16, 16384).running_units == pytest.approx(mean)


def test_an_engine_that_lays_aside_what_a_sequence_may_take_runs_as_many_as_have_room():
    assert Layout(30.0, 16, 2.0, 3.5).running(1000.0) == pytest.approx(1000 / 105)


@pytest.mark.parametrize(
    ("kinds", "context", "unit", "units"),
    [
        ([Kind(6, 100.0)], 161, 32 * 600, 6),
        ([Kind(6, 100.0)], 160, 32 * 600, 5),
        ([Kind(2, 100.0), Kind(4, 100.0, 128.0)], 320, 32 * 600, 10),  # windows keep all
        # a state of 4 x 9000 bytes is 5.625 blocks of 32 x 200
        ([Kind(2, 100.0), Kind(4, 0.0, None, 9000.0)], 161, 32 * 200, 6 + 5.625),
        ([Kind(4, 0.0, None, 9000.0)], 161, 36_000, 1),
    ],
)
def test_tensorrt_keeps_every_token_in_blocks_and_a_state_beside_them(
    monkeypatch, kinds, context, unit, units
):
    monkeypatch.setattr(pools, "kinds_of", lambda *_, **__: kinds)
    made = pools._tensorrt(share(), Load(1, 1, context), {"tokens_per_block": 32}, 0)
    assert (made.unit_bytes, made.sequence_units) == (unit, units)
    states_alone = unit == 36_000
    assert (made.block_size, made.token_units) == ((1, 0) if states_alone else (32, 1))
