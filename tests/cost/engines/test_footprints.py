"""What engines take of a device, from what their logs and sources say and from counts by hand."""

from __future__ import annotations

import pytest
from kit.made_up import DEVICE, HEADS, INNER, KEY_WIDTH, LAYERS, MIXTURE, TOKENS, WIDTH, decoder
from thermoflop.base.record import replace
from thermoflop.cost.catalogue.devices import find_device
from thermoflop.cost.engines.budget import engine_memory
from thermoflop.cost.engines.footprint import (
    Footprint,
    Load,
    _captured,
    _from,
    experts_bytes,
    forward_bytes,
    sglang_share,
    sglang_sizes,
    visible_bytes,
)
from thermoflop.cost.hardware.precision import choose_precision
from thermoflop.cost.memory import kv_bytes, weight_bytes
from thermoflop.cost.work.share import Layout, Share

GIB, MIB = 2.0**30, 2.0**20
CARD = replace(DEVICE, vendor="NVIDIA", memory_bytes=80 * GIB)


def share(tp=1, pp=1, dtype="bf16", **changes):
    return Share(decoder(**changes).description, Layout(tp, pp), choose_precision(dtype))


@pytest.mark.parametrize(
    ("vendor", "gib", "visible"),
    [
        # of nvidia-smi's GiB, CUDA's: H100, H200, RTX 4090, L40S, V100
        ("NVIDIA", 79.65, 79.19), ("NVIDIA", 140.4, 139.8), ("NVIDIA", 23.99, 23.64),
        ("NVIDIA", 45.0, 44.5), ("NVIDIA", 16.0, 15.77),
        # recommendedMaxWorkingSetSize that llama.cpp prints, in MB of 1e6 bytes
        ("Apple", 16.0, 12_713.12e6 / GIB), ("Apple", 24.0, 19_069.67e6 / GIB),
        ("Apple", 32.0, 26_800.60e6 / GIB), ("Apple", 36.0, 30_150.67e6 / GIB),
        ("Apple", 48.0, 40_200.90e6 / GIB), ("Apple", 64.0, 55_662.79e6 / GIB),
        ("Apple", 128.0, 115_448.73e6 / GIB), ("Apple", 512.0, 498_216.21e6 / GIB),
        ("Apple", 8.0, 8 * 2 / 3),
        ("AMD", 192.0, 192.0),
    ],
)  # fmt: skip
def test_a_program_sees_what_its_driver_leaves(vendor, gib, visible):
    device = replace(DEVICE, vendor=vendor, memory_bytes=gib * GIB)
    assert visible_bytes(device) / GIB == pytest.approx(visible, abs=0.17 if gib < 100 else 0.1)
    if vendor != "NVIDIA":
        assert visible_bytes(device) / GIB == pytest.approx(visible, rel=1e-5)


def test_a_driver_hides_three_tenths_of_a_gib_and_a_five_hundredth():
    assert visible_bytes(CARD) == pytest.approx((80 * 0.998 - 0.3) * GIB)


def test_graphs_are_captured_of_1_2_4_eights_to_256_and_sixteens_to_512():
    """vllm/config: [1, 2, 4] + range(8, 256, 8) + range(256, 513, 16)."""
    assert [_captured(size) for size in (1, 3, 4, 7, 8, 248, 256, 271, 272, 512)] == [
        1, 2, 3, 3, 4, 34, 35, 35, 36, 51,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("version", "longest", "tokens", "sequences"),
    [("0.7", 1024, 2048, 256), ("0.6", 20_000, 20_000, 256), ("0.7", 32_768, 32_768, 256),
     ("0.7", 131_072, 2048, 256), ("0.8", 20_000, 8192, 1024), ("0.19", 1024, 8192, 1024)],
)  # fmt: skip
def test_vllm_reads_whole_prompts_before_v1(version, longest, tokens, sequences):
    """A log of 0.6 with a context of 20,000 says max_num_batched_tokens=20000."""
    options = {"version": version, "max_model_len": longest}
    room, _ = engine_memory("vllm", find_device("h100"), options)
    footprint, _ = room.divide(share(), Load(16, 32, 1))
    assert (footprint.settled["max_num_batched_tokens"], footprint.in_flight) == (tokens, tokens)
    assert footprint.settled["max_num_seqs"] == sequences


@pytest.mark.parametrize(
    ("version", "value"), [((0, 21), 3), ((1, 3), 3), ((0, 20), 2), ((0, 17), 2), ((0, 1), 1)]
)
def test_a_table_by_version_holds_from_its_first_on(version, value):
    assert _from({(0, 21): 3, (0, 17): 2, (0, 0): 1}, version) == value


@pytest.mark.parametrize(
    ("mib", "chunk", "alone", "group"),
    [
        # _handle_gpu_memory_settings of server_args.py: below 20, 35, 60, 90, 160 GiB, and beyond
        (20 * 1024 - 1, 2048, 8, 8), (20 * 1024, 2048, 24, 80), (35 * 1024 - 1, 2048, 24, 80),
        (35 * 1024, 4096, 32, 160), (60 * 1024, 8192, 256, 512), (90 * 1024 - 1, 8192, 256, 512),
        (90 * 1024, 8192, 256, 512), (160 * 1024, 16384, 512, 512),
    ],
)  # fmt: skip
def test_sglang_reads_chunks_and_captures_graphs_by_the_memory(mib, chunk, alone, group):
    device = replace(DEVICE, memory_bytes=mib * MIB)
    options = {"cuda_graph_max_bs": None, "chunked_prefill_size": None}
    assert sglang_sizes(device, 3, options) == (chunk, alone)
    assert sglang_sizes(device, 4, options) == (chunk, group)
    asked = {"cuda_graph_max_bs": 7, "chunked_prefill_size": 99}
    assert sglang_sizes(device, 1, asked) == (99, 7)


@pytest.mark.parametrize(
    ("mib", "tp", "pp", "reserved"),
    [
        # 512 MiB, 1.5 for a token of a chunk, 2 for a sequence of the largest graph, 1024 for
        # every 8 devices; 10 GiB at least beyond 60 GiB
        (81_559, 1, 1, 512 + 1.5 * 8192 + 2 * 256 + 1024 / 8),
        (81_559, 8, 2, 512 + 1.5 * 8192 + 2 * 512 + 2 * 1024),
        (24_564, 1, 1, 512 + 1.5 * 2048 + 2 * 24 + 1024 / 8),
        (46_068, 4, 1, 512 + 1.5 * 4096 + 2 * 160 + 1024 / 2),
    ],
)
def test_sglangs_static_share_is_what_its_reserve_leaves(mib, tp, pp, reserved):
    device = replace(DEVICE, memory_bytes=mib * MIB)
    options = {"cuda_graph_max_bs": None, "chunked_prefill_size": None}
    assert sglang_share(device, tp, pp, options) == round((mib - reserved) / mib, 3)
    little = {"cuda_graph_max_bs": 1, "chunked_prefill_size": 1}  # no chunk below 2,048 counts
    least = max(512 + 1.5 * 2048 + 2 + tp * pp / 8 * 1024, 10 * 1024 if mib > 60 * 1024 else 0)
    assert sglang_share(device, tp, pp, little) == round((mib - least) / mib, 3)


# The residual stream, the norm's, what comes out, and either gate, up and their product or
# queries, keys, values and results.
FULLEST = 4 * WIDTH + max(3 * INNER, 2 * WIDTH + 2 * KEY_WIDTH)


def test_a_forward_pass_holds_the_fullest_moment_of_its_widest_layer():
    assert forward_bytes(share(), 100.0) == 2 * 100 * FULLEST
    assert forward_bytes(share(dtype="fp32"), 100.0) == 4 * 100 * FULLEST
    assert forward_bytes(share(dtype="awq"), 100.0) == 2 * 100 * FULLEST
    narrow = share(intermediate_size=64)
    assert forward_bytes(narrow, 1.0) == 2 * (4 * WIDTH + 2 * WIDTH + 2 * KEY_WIDTH)
    assert forward_bytes(share(tp=2), 1.0) == 2 * (4 * WIDTH + 3 * INNER / 2)


def test_fused_experts_hold_input_gate_and_up_of_every_chosen_one():
    assert experts_bytes(share(**MIXTURE), 10.0) == 2 * 10 * 2 * (WIDTH + 2 * INNER)
    # hidden states stay in 16 bits where weights are narrow
    assert experts_bytes(share(dtype="awq", **MIXTURE), 10.0) == 2 * 10 * 2 * (WIDTH + 2 * INNER)
    assert experts_bytes(share(dtype="mxfp4", **MIXTURE), 10.0) == 0
    assert experts_bytes(share(), 10.0) == 0
    # outside its experts a layer of a mixture is no wider than its attention
    assert forward_bytes(share(**MIXTURE), 1.0) == 2 * (4 * WIDTH + 2 * WIDTH + 2 * KEY_WIDTH)


def footprint(engine, device=CARD, load=None, part=None, **options):
    memory, _ = engine_memory(engine, device, options)
    load = load or Load(4, 1000, 1100)
    part = part or share()
    return memory.divide(part, load)[0], memory.memory(part, load), part


def test_what_is_left_for_the_cache_is_what_may_be_used_less_everything_else():
    found = Footprint(100.0, 20.0, 7.0, 3.0, 11.0)
    assert found.cache_bytes == 100 - 20 - 7 - 3 - 11
    assert replace(found, weight_bytes=90.0).cache_bytes == 0


def test_transformers_holds_a_whole_prompt_and_what_the_cache_does_not_grow_into():
    """Logits of the last token in 16 and 32 bits; a score in 16, 32 and 16 bits where eager."""
    load = Load(4, 1000, 1010)
    grown = 4 * 10 * 2 * 2 * LAYERS * KEY_WIDTH
    for how, scores in (("sdpa", 0), ("eager", 8 * HEADS * 4000 * 1000)):
        found, memory, part = footprint("transformers", load=load, attn_implementation=how)
        peak = 2 * 4000 * FULLEST + 6 * TOKENS * 4 + scores
        assert memory.activation_bytes == pytest.approx(peak - grown), how
        assert memory.weight_bytes == weight_bytes(part)
        assert float(memory.kv_bytes) == float(kv_bytes(part, 1010, 4))
        assert found.overhead_bytes == pytest.approx(0.51 * GIB)


def test_autoawq_holds_scores_and_logits_of_a_whole_prompt_or_its_queries_keys_and_values_twice():
    part = share(dtype="awq")
    load = Load(2, 100, 100)
    _, memory, _ = footprint("autoawq", load=load, part=part)
    assert memory.activation_bytes == pytest.approx(8 * HEADS * 200 * 100 + 6 * TOKENS * 200)
    _, alone, _ = footprint("autoawq", load=Load(1, 1, 1), part=part)
    width = choose_precision("awq").weight_bytes
    twice = LAYERS * (WIDTH * WIDTH + 2 * WIDTH * KEY_WIDTH) * width
    assert alone.activation_bytes == pytest.approx(twice - 2 * 2 * LAYERS * KEY_WIDTH)
