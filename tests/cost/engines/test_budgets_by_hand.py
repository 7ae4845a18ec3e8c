"""The memory of a device as each engine divides it, field by field, and the options that it has."""

from __future__ import annotations

from math import hypot
from typing import Any

import pytest
import thermoflop as tf
from kit.made_up import DEVICE, HEADS, INNER, KEY_WIDTH, LAYERS, MIXTURE, TOKENS, WIDTH, decoder
from thermoflop.base.record import replace
from thermoflop.cost.engines.budget import (
    DEVICE_SLACK,
    MOST_AT_ONCE,
    SPREAD,
    WEIGHTS_SLACK,
    Budget,
    EngineMemory,
    _notes,
    budget_text,
    engine_memory,
)
from thermoflop.cost.engines.footprint import Footprint, Load, forward_bytes, seen_bytes
from thermoflop.cost.engines.options import (
    LARGEST,
    OPTIONS,
    options_of,
    read_options,
    version_numbers,
)
from thermoflop.cost.engines.pools import Layout as Pool
from thermoflop.cost.engines.raised import raised
from thermoflop.cost.hardware.precision import choose_precision
from thermoflop.cost.memory import kv_bytes, weight_bytes
from thermoflop.cost.work.share import Layout, Share
from thermoflop.errors import UsageError

GIB, MIB = 2.0**30, 2.0**20
CARD = replace(DEVICE, name="H100", vendor="NVIDIA", memory_bytes=80 * GIB, confidence="read")
SMALL = replace(CARD, name="card", memory_bytes=24 * GIB)
LOAD = Load(4, 1000, 1100)
# What CUDA sees, and the fullest moment of a token in a layer: see ``test_footprints``.
VISIBLE = (80 * 0.998 - 0.3) * GIB
FULLEST = 4 * WIDTH + max(3 * INNER, 2 * WIDTH + 2 * KEY_WIDTH)


def share(layout: Layout | None = None, **changes: Any) -> Share:
    return Share(decoder(**changes).description, layout or Layout(), choose_precision("bf16"))


def footprint(engine: str, device: Any = CARD, part: Share | None = None, **options: Any) -> Any:
    memory, _ = engine_memory(engine, device, options)
    return memory.divide(part or share(), LOAD)[0]


def exactly(value: float) -> object:
    return pytest.approx(value, rel=1e-12)


HUGE = replace(CARD, name="B200", memory_bytes=180 * GIB)


@pytest.mark.parametrize(
    ("device", "tokens", "sequences"),
    [(CARD, 8192, 1024), (replace(CARD, name="A100"), 2048, 256), (SMALL, 2048, 256),
     (HUGE, 16_384, 1024)],
)  # fmt: skip
def test_vllm_reads_and_samples_by_the_card(device, tokens, sequences):
    """get_batch_defaults: large cards but A100 read 8,192 tokens and run 1,024 sequences; the
    largest 16,384 from 0.28 on."""
    before = footprint("vllm", device, version="0.27")
    assert before.in_flight == min(tokens, 8192)
    found = footprint("vllm", device)
    assert (found.in_flight, found.sequences) == (tokens, sequences)
    assert found.settled == {"gpu_memory_utilization": 0.92, "max_num_seqs": sequences,
                             "max_num_batched_tokens": tokens}  # fmt: skip


def test_vllms_footprint_of_today_is_its_forward_pass_or_its_sampling_and_graphs():
    """Sampling: 14.8 bytes a logit of 1,024 sequences and the hidden states; of graphs 51 sizes in
    two kinds, of each layer 0.265 MiB; outside of torch 0.25 GiB."""
    plain = footprint("vllm")
    assert plain.usable_bytes == exactly(0.92 * VISIBLE)
    assert plain.activation_bytes == exactly(2 * 8192 * FULLEST)
    assert plain.overhead_bytes == exactly(0.25 * GIB)
    assert plain.graph_bytes == exactly(0.265 * MIB * LAYERS * 2 * 51)
    assert plain.outside_bytes == exactly(0.51 * GIB)
    large = footprint("vllm", part=share(vocab_size=100_000))
    assert large.activation_bytes == exactly(14.8 * 100_000 * 1024 + 8192 * WIDTH * 2)
    few = footprint("vllm", part=share(vocab_size=100_000), max_num_seqs=9,
                    max_num_batched_tokens=4)  # fmt: skip
    assert few.activation_bytes == exactly(14.8 * 100_000 * 4 + 4 * WIDTH * 2)
    assert few.graph_bytes == exactly(0.265 * MIB * LAYERS * (5 + 4))  # 1 to 16, and 1 to 8
    assert footprint("vllm", enforce_eager=True).graph_bytes == 0
    mixture = footprint("vllm", part=share(**MIXTURE))
    dense = 2 * 8192 * (4 * WIDTH + 2 * WIDTH + 2 * KEY_WIDTH)
    sampled = 14.8 * TOKENS * 1024 + 8192 * WIDTH * 2
    experts = 2 * 8192 * 2 * (WIDTH + 2 * INNER)
    assert mixture.activation_bytes == exactly(max(dense, sampled) + experts)
    assert plain.cache_bytes == exactly(
        0.92 * VISIBLE - weight_bytes(share()) - plain.activation_bytes - 0.25 * GIB
        - plain.graph_bytes
    )  # fmt: skip


@pytest.mark.parametrize(
    ("version", "part", "logit", "beside", "counts"),
    [("0.16", 0.9, 38.6, 0.13, False), ("0.17", 0.9, 14.8, 0.13, False),
     ("0.18", 0.9, 14.8, 0.25, False), ("0.20", 0.9, 14.8, 0.25, False),
     ("0.21", 0.92, 14.8, 0.25, True)],
)  # fmt: skip
def test_vllms_versions_differ_in_what_they_count(version, part, logit, beside, counts):
    found = footprint("vllm", part=share(vocab_size=100_000), version=version)
    graphs = 0.265 * MIB * LAYERS * 2 * 51
    assert found.usable_bytes == exactly(part * VISIBLE)
    assert found.activation_bytes == exactly(logit * 100_000 * 1024 + 8192 * WIDTH * 2)
    assert found.overhead_bytes == exactly(beside * GIB)
    assert found.graph_bytes == exactly(graphs if counts else 0)
    assert found.outside_bytes == exactly(0.51 * GIB + (0 if counts else graphs))


def test_vllms_groups_hold_buffers_of_their_own_and_stages_capture_their_layers():
    """2.1 GiB from 0.17 on, 0.55 before; a communicator of 1.02 with links, 0.15 without."""
    two = share(Layout(tp=2))
    assert footprint("vllm", part=two).overhead_bytes == exactly(2.1 * GIB)
    assert footprint("vllm", part=two).group_bytes == exactly(1.4 * GIB)
    assert footprint("vllm").group_bytes == 0
    assert footprint("vllm", part=two, version="0.16").overhead_bytes == exactly(0.55 * GIB)
    assert footprint("vllm", part=two).outside_bytes == exactly((0.51 + 1.02) * GIB)
    apart = replace(CARD, link_bytes_s=None)
    assert footprint("vllm", apart, two).outside_bytes == exactly((0.51 + 0.15) * GIB)
    assert footprint("vllm", part=share(Layout(dp=4))).outside_bytes == exactly(0.51 * GIB)
    stages = footprint("vllm", part=share(Layout(pp=2)))
    assert stages.graph_bytes == exactly(0.265 * MIB * 1 * 2 * 51)
    assert stages.overhead_bytes == exactly(0.25 * GIB)


@pytest.mark.parametrize(
    ("name", "version", "more"),
    [("H100", None, 0.0), ("H20-96GB", "0.31", 0.0), ("A100", "0.18", 0.0), ("A100", "0.19", 0.4),
     ("RTX 5090", None, 0.4)],
)  # fmt: skip
def test_cards_that_are_no_hopper_hold_more_since_0_19(name, version, more):
    given = {} if version is None else {"version": version}
    found = footprint("vllm", replace(CARD, name=name), **given)
    assert found.overhead_bytes == exactly((0.25 + more) * GIB)


def test_a_profile_run_passes_the_largest_images_through_the_tower():
    """Qwen3.5-4B: 16,777,216 pixels in patches of 16 are 65,536, 16,384 tokens of 2,560; a layer of
    the tower holds 4 x 1,024 and gate-less 2 x 4,096 elements. 1.6 GB are more than the text's."""
    described = tf.load_model("qwen3.5-4b").description
    part = Share(described, Layout(), choose_precision("bf16"))
    alive, kept = seen_bytes(part, 2048)
    assert alive == 65_536 * (4 * 1024 + 2 * 4096) * 2
    assert kept == 16_384 * 2560 * 2
    assert seen_bytes(part, 3 * 16_384) == (3 * alive, 3 * kept)
    assert seen_bytes(share(), 2048) == (0, 0)
    # Gemma 3n sees by convolutions, which have no such layers: 256 tokens of 2,048 of an image
    described = tf.load_model("gemma-3n-e2b").description
    convolved = Share(described, Layout(), choose_precision("bf16"))
    assert seen_bytes(convolved, 2048) == (0, 8 * 256 * 2048 * 2)
    small, _ = engine_memory("vllm", SMALL, {"max_num_seqs": 8})
    assert small.divide(part, LOAD)[0].activation_bytes == alive
    large, _ = engine_memory("vllm", SMALL, {"max_num_batched_tokens": 65_536})
    computed = forward_bytes(part, 65_536)
    assert large.divide(part, LOAD)[0].activation_bytes == exactly(
        max(computed + 4 * kept, 4 * alive)
    )


@pytest.mark.parametrize("link", [True, False])
@pytest.mark.parametrize("tp", [1, 2])
def test_sglangs_static_part_is_of_what_is_free_before_loading(tp, link):
    """Reserved are 512 MiB, 1.5 for each of 8,192 tokens, 2 for each of 256 sequences and an
    eighth of 1,024 a device; buffers of an all-reduce as much again as a communicator."""
    device = CARD if link else replace(CARD, link_bytes_s=None)
    part = share(Layout(tp=tp), **MIXTURE)
    reserved = 512 + 1.5 * 8192 + 2 * 256 + tp / 8 * 1024
    static = round((81_920 - reserved) / 81_920, 3)
    group = (2 * 1.02 if link else 0.15) if tp > 1 else 0.0
    free = VISIBLE - (0.51 + group) * GIB
    work = 2 * 2048 * (4 * WIDTH + (2 * WIDTH + 2 * KEY_WIDTH) / tp)
    work += 2 * 2048 * 2 * (WIDTH + 2 * INNER / tp)
    found = footprint("sglang", device, part)
    pools = {"page_size": 1, "swa_full_tokens_ratio": 0.8}
    assert found.settled == {"mem_fraction_static": static, **pools}
    assert found.activation_bytes == exactly(work)
    assert found.usable_bytes == exactly(static * free + work)
    assert found.outside_bytes == exactly(VISIBLE - free + (512 + 2 * 256) * MIB)
    assert (found.sequences, found.overhead_bytes, found.graph_bytes) == (None, 0, 0)
    # all static: what is computed lives outside of it
    whole = footprint("sglang", device, part, mem_fraction_static=1.0, chunked_prefill_size=100)
    assert (whole.activation_bytes, whole.usable_bytes) == (0, exactly(free))
    assert whole.outside_bytes == exactly(
        VISIBLE - free + work * 100 / 2048 + (512 + 2 * 256) * MIB
    )


def test_tensorrt_takes_a_share_of_what_is_free_after_a_dry_run():
    """Its PyTorch backend holds 0.85 GiB besides; its engines 22 bytes a logit of 2,048."""
    part = share(**MIXTURE)
    work = 2 * 8192 * (4 * WIDTH + 2 * WIDTH + 2 * KEY_WIDTH) + 2 * 8192 * 2 * (WIDTH + 2 * INNER)
    for backend, beside in (("pytorch", 0.85 * GIB), ("tensorrt", 22 * 2048 * TOKENS)):
        found = footprint("tensorrt-llm", part=part, backend=backend)
        taken = weight_bytes(part) + work + 0.51 * GIB + beside
        assert found.activation_bytes == exactly(work)
        assert found.overhead_bytes == exactly(0.51 * GIB + beside)
        assert found.usable_bytes == exactly(taken + 0.9 * (VISIBLE - taken)), backend
        assert found.cache_bytes == exactly(0.9 * (VISIBLE - taken))
        assert found.sequences == 2048
    tiny = replace(CARD, memory_bytes=1 * GIB)
    full = footprint("tensorrt-llm", tiny, part)
    assert full.usable_bytes == exactly((0.998 - 0.3) * GIB)
    assert full.cache_bytes == 0


def test_llama_cpps_footprint_is_its_layers_one_buffer_and_a_backend():
    """Table of tokens on the host; of CUDA 0.5 GB, of Metal nothing."""
    table = 2 * TOKENS * WIDTH
    for vendor, backend in (("NVIDIA", 0.5e9), ("AMD", 0.5e9), ("Apple", 0.0)):
        found = footprint("llama.cpp", replace(CARD, vendor=vendor), parallel=3)
        assert found.overhead_bytes == backend
        assert found.weight_bytes == exactly(weight_bytes(share()) - table)
        assert (found.host_bytes, found.sequences) == (table, 3)
        # a mask of 1,280 cells; three states, gate, up and their product
        assert found.activation_bytes == 2 * 512 * 1280 + 4 * 512 * 3 * (WIDTH + INNER)
    eager = footprint("llama.cpp", flash_attn=False, ubatch_size=2048)
    assert eager.activation_bytes == 4 * 2048 * 1100 * (HEADS + 1)


def test_what_llama_cpp_leaves_to_a_host_of_the_same_memory_is_taken_from_it():
    """On a Mac first what Metal keeps back, a third: 0.3 of what weights take, of which 0.7 are
    left."""
    card = replace(CARD, vendor="AMD", memory_kind="LPDDR5X", memory_bytes=1e9)
    host = weight_bytes(share())
    for options in ({}, {"n_gpu_layers": 0}):
        apart = footprint("llama.cpp", replace(card, memory_kind="GDDR7"), **options)
        shared = footprint("llama.cpp", card, **options)
        assert shared.overhead_bytes - apart.overhead_bytes == exactly(apart.host_bytes)
    assert apart.host_bytes == exactly(host)
    mac = replace(card, vendor="Apple", memory_bytes=0.9 * host)
    assert footprint("llama.cpp", mac, n_gpu_layers=0).overhead_bytes == exactly(0.7 * host)


def made(**changes: Any) -> EngineMemory:
    """An engine with a footprint and a pool of round numbers."""
    memory, _ = engine_memory("vllm", CARD, changes)
    return memory


def test_a_budget_is_its_footprint_with_an_interval_of_what_is_left(monkeypatch):
    """Work of 7 + 3 + 11 GB within factors of 0.95 and 1.07, 0.6 % of weights, and of the device
    0.9 GiB besides, by their squares."""
    found = Footprint(90e9, 20e9, 7e9, 3e9, 11e9, 64, 100, 5e9, {"max_num_seqs": 64})
    pool = Pool(1e6, 16, 2.0, 400.0)
    monkeypatch.setattr(EngineMemory, "divide", lambda *_: (found, pool))
    budget = made().budget(share(), LOAD)
    left, parts = 49e9, (0.006 * 20e9, 0.9 * GIB)
    more, less = hypot(0.07 * 21e9, *parts), hypot(0.05 * 21e9, *parts)
    assert budget.cache_bytes == exactly(left)
    assert budget.cache_low_bytes == exactly(left - more)
    assert budget.cache_high_bytes == exactly(left + less)
    assert budget.cache_tokens == 49_000 // 2 * 16
    assert budget.sequences == exactly(49e9 / 400e6)
    assert (budget.usable_bytes, budget.weight_bytes, budget.activation_bytes) == (90e9, 20e9, 7e9)
    assert (budget.overhead_bytes, budget.graph_bytes, budget.host_bytes) == (3e9, 11e9, 5e9)
    assert (budget.block_size, budget.context, budget.most_sequences) == (16, 1100, 64)
    memory = made().memory(share(), LOAD)
    assert memory.kv_bytes == 4 * 400e6
    assert memory.activation_bytes == 7e9
    assert memory.reserve_bytes == exactly(80 * GIB - 90e9 + 14e9)
    assert memory.low_bytes == exactly(memory.total_bytes - less)
    assert memory.high_bytes == exactly(memory.total_bytes + more)
    assert memory.total_bytes == exactly(20e9 + 1.6e9 + 7e9 + memory.reserve_bytes)
    assert "max_num_seqs=64" in memory.assumption
    recalled = replace(memory, recalled=True)
    assert recalled.high_bytes == exactly(memory.high_bytes + 80 * GIB / 16)
    assert "; the device's memory is recalled, not read" in recalled.assumption
    assert recalled.low_bytes == memory.low_bytes


@pytest.mark.parametrize(
    ("needed", "outside", "value"),
    [(0.925, 5.5e9, 0.93), (0.925, 5.6e9, None), (0.905, 0.0, 0.91), (0.985, 0.0, 0.99),
     (0.995, 0.0, None)],
)  # fmt: skip
def test_a_share_is_raised_to_the_least_that_fits_and_leaves_room_outside(
    monkeypatch, needed, outside, value
):
    """Of 85.4 GB, 0.93 are 79.4: 6.0 GB are left, of which 0.42 may be work beyond what is
    expected."""

    def divide(self: EngineMemory, *_: object) -> tuple[Footprint, Pool]:
        part = self.options["gpu_memory_utilization"] or 0.9
        weights = needed * VISIBLE - 6e9 - 4 * 1e6
        settled = {"gpu_memory_utilization": part}
        found = Footprint(part * VISIBLE, weights, 1e9, 2e9, 3e9, settled=settled,
                          outside_bytes=outside)  # fmt: skip
        return found, Pool(1e6, 16, 1.0, 1.0)

    monkeypatch.setattr(EngineMemory, "divide", divide)
    found = raised(made(), share(), LOAD)
    assert (found and found.value) == value
    if found is not None:
        assert found.text == f"--gpu-memory-utilization {value} in place of 0.9"


def test_activations_of_products_in_8_bits_are_in_16():
    part = Share(decoder(vocab_size=100_000).description, Layout(), choose_precision("fp8"))
    found = footprint("vllm", part=part)
    assert found.activation_bytes == exactly(14.8 * 100_000 * 1024 + 8192 * WIDTH * 2)
    small = Share(decoder().description, Layout(), choose_precision("fp8"))
    assert footprint("vllm", part=small).activation_bytes == exactly(2 * 8192 * FULLEST)
    wide = Share(decoder(vocab_size=100_000).description, Layout(), choose_precision("fp32"))
    found = footprint("vllm", part=wide)
    assert found.activation_bytes == exactly((14.8 + 2) * 100_000 * 1024 + 8192 * WIDTH * 4)


def test_what_engines_held_lies_on_both_sides_of_what_is_predicted():
    """No spread is wider than a factor of two, nor any slack than a hundredth."""
    assert set(SPREAD) == set(OPTIONS)
    for low, high in SPREAD.values():
        assert 0.5 < low < 1 < high < 2
    for slack in (WEIGHTS_SLACK, *DEVICE_SLACK.values()):
        assert 0 < slack <= 0.015


# What each engine has where nothing is said: config/cache.py of vLLM, server_args.py of SGLang,
# llmapi/llm_args.py of TensorRT-LLM, common/arg.cpp of llama.cpp, envconfig of Ollama.
DEFAULTS: dict[str, dict[str, Any]] = {
    "vllm": {"block_size": 16, "enforce_eager": False},
    "sglang": {},
    "tensorrt-llm": {"free_gpu_memory_fraction": 0.9, "max_batch_size": 2048,
                     "max_num_tokens": 8192, "tokens_per_block": 32, "backend": "pytorch"},
    "llama.cpp": {"ubatch_size": 512, "batch_size": 2048, "flash_attn": True, "swa_full": False,
                  "n_cpu_moe": 0, "cpu_moe": False, "mmproj": False},
    "ollama": {"num_batch": 512, "flash_attention": True},
    "transformers": {"attn_implementation": "sdpa"}, "autoawq": {},
}  # fmt: skip


@pytest.mark.parametrize("engine", DEFAULTS)
def test_options_that_are_not_given_are_the_engines_own(engine):
    found = {name: value for name, value in read_options(engine, None).items() if value is not None}
    assert found == DEFAULTS[engine]


def whole_options() -> list[tuple[str, str]]:
    return [(engine, option.name) for engine in OPTIONS for option in options_of(engine)
            if option.kind == "whole"]  # fmt: skip


# None of these is meant by zero; of all others one is the least.
FROM_ZERO = {"n_gpu_layers", "ctx_size", "n_cpu_moe", "num_gpu"}


@pytest.mark.parametrize(("engine", "name"), whole_options())
def test_whole_options_begin_at_one_or_nothing_and_end_with_32_bits(engine, name):
    least = 0 if name in FROM_ZERO else 1
    for value in (least, LARGEST, str(LARGEST)):
        assert read_options(engine, {name: value})[name] == int(value)
    for value in (-2, LARGEST + 1, 1.5, True):
        with pytest.raises(UsageError, match=f"{name}="):
            read_options(engine, {name: value})
    assert LARGEST == 2**31 - 1
    if least:
        with pytest.raises(UsageError, match="expected a whole number from 1"):
            read_options(engine, {name: 0})


@pytest.mark.parametrize(
    ("text", "version"),
    [("0.9", (0, 9)), ("0.11.2", (0, 11)), ("v0.20", (0, 20)), ("0.2", (0, 2)), ("1.0", (1, 0)),
     ("999.99", (999, 99)), ("0.19.1rc1", (0, 19)), ("0.20rc2", (0, 20)),
     ("0.20.1.dev16+g7a1eb8ac2", (0, 20))],
)  # fmt: skip
def test_a_version_is_kept_as_it_is_written_and_compares_as_versions_do(text, version):
    read = read_options("vllm", {"version": text})["version"]
    assert read == text.removeprefix("v")
    assert version_numbers(read) == version
    assert version < version_numbers(None)


def test_a_version_is_printed_as_it_was_asked_for():
    for given in ({"version": "0.20"}, {"version": "v0.20"}):
        memory, _ = engine_memory("vllm", CARD, given)
        assert memory.memory(share(), LOAD).assumption.endswith("version=0.20")


@pytest.mark.parametrize("text", ["1", "1000.1", "0.100", "banana", "", "0.19x"])
def test_what_is_no_version_is_refused(text):
    with pytest.raises(UsageError, match=r"no sense: expected a release such as '0\.19', or 'new"):
        read_options("vllm", {"version": text})


@pytest.mark.parametrize("number", [0.2, 0.19, 1, True])
def test_a_version_that_is_a_number_is_asked_for_as_text(number):
    with pytest.raises(UsageError, match=r"'newest', as text: as a number 0\.20 is 0\.2$"):
        read_options("vllm", {"version": number})


@pytest.mark.parametrize("text", ["newest", "Latest"])
def test_the_newest_version_may_be_asked_for_by_that_word(text):
    assert read_options("vllm", {"version": text}) == read_options("vllm", None)


@pytest.mark.parametrize(("most", "said"), [(None, ["about 20"]), (15, ["about 15"]), (10, [])])
def test_more_that_run_than_have_room_in_full_are_told_as_far_as_the_engine_goes(most, said):
    """100 blocks, 10 of a whole sequence, 5 of one that is on its way."""
    notes = _notes(Pool(10, 16, 1, 10, running_units=5), 1000, 160, most, {})
    assert [note.partition(" run")[0] for note in notes] == said


def test_the_longest_sequence_is_asked_for_where_others_have_room_and_it_has_none():
    """70 blocks of 10 bytes for 1,105 tokens; with windows, what a sequence takes is told too."""
    pool = Pool(10, 16, 1, 69, longest=1105, longest_units=70)
    [said] = _notes(pool, 699, 1100, None, {})
    assert said.startswith("not one sequence of max_model_len 1,105 has room, without which it ")
    assert _notes(pool, 700, 1100, None, {}) == ()
    windows = replace(pool, window_units=3)
    assert len(_notes(windows, 10, 1100, None, {})) == 3
    for each in (pool, windows):
        assert _notes(each, 9, 1100, None, {}) == (), "no token has room, of whatever length"


@pytest.mark.parametrize(
    ("engine", "options", "most"),
    [("vllm", {"max_num_seqs": 3}, 3), ("sglang", {"max_running_requests": 2}, 2),
     ("tensorrt-llm", {"max_batch_size": 1}, 1), ("llama.cpp", {"parallel": 3}, 3),
     ("ollama", {"num_parallel": 2}, 2)],
)  # fmt: skip
def test_of_a_batch_beyond_an_engines_limit_the_others_wait(engine, options, most):
    """Of 4 a replica."""
    [name] = options
    memory, _ = engine_memory(engine, CARD, options)
    assert memory.waiting(share(), LOAD) == (
        f"{most} of the 4 run at once ({name}), the others wait"
    )
    assert memory.waiting(share(), LOAD, 3).startswith(f"{3 * most} of the 12 run")
    assert memory.waiting(share(), replace(LOAD, sequences=most)) == ""
    assert MOST_AT_ONCE[engine] == name


def test_every_limit_of_sequences_at_once_is_an_option_of_its_engine():
    for engine, name in MOST_AT_ONCE.items():
        assert name in [option.name for option in OPTIONS[engine]]


@pytest.mark.parametrize(
    ("value", "share_"), [("90%", 0.9), ("0.9", 0.9), (1, 1.0), ("100%", 1.0), ("0.5%", 0.005)]
)
def test_a_share_may_be_written_in_hundredths(value, share_):
    found = read_options("vllm", {"gpu_memory_utilization": value})
    assert found["gpu_memory_utilization"] == exactly(share_)
    for bad in ("0", "101%", "1.01", True, "nan"):
        with pytest.raises(UsageError, match="expected a share above 0, up to 1"):
            read_options("vllm", {"gpu_memory_utilization": bad})


def test_ollamas_context_is_that_of_each_slot_and_its_names_are_llama_cpps():
    given = {"num_ctx": 4096, "num_parallel": 3, "kv_cache_type": "q8_0", "num_gpu": 7}
    memory, asked = engine_memory("ollama", CARD, given)
    assert (memory.options["ctx_size"], memory.options["n_gpu_layers"]) == (3 * 4096, 7)
    assert asked == ("q8_0", "q8_0")
    assert memory.longest(LOAD) == 4096
    alone, _ = engine_memory("ollama", CARD, {"num_ctx": 4096})
    assert alone.options["ctx_size"] == 4096
    shared, halves = engine_memory("llama.cpp", CARD, {"ctx_size": 4096, "ctk": "q8_0"})
    assert shared.longest(LOAD) == 4096 // 4
    assert halves == ("q8_0", "fp16")
    assert engine_memory("vllm", CARD, {"max_model_len": 77})[0].longest(LOAD) == 77
    assert engine_memory("vllm", CARD, None)[0].longest(LOAD) is None
    with pytest.raises(UsageError, match="ctx_size=4096 takes 1,024 tokens a sequence: 1,100 are"):
        shared.check(LOAD)
    assert float(kv_bytes(share(), 1100, 1)) == 1100 * 2 * 2 * LAYERS * KEY_WIDTH


BUDGET = Budget("vllm", {}, 70e9, 16e9, 512 * MIB, 3e9, 1e9, 40e9, 36e9, 41e9, 80_000, 16, 1000,
                80.9, 256, 300 * MIB)  # fmt: skip


POOL, ENDS = "vllm: KV cache 80,000 tokens", "80 % interval 72,000 .. 82,000 tokens"
LESS = "layers of a window or a state keep less of a long sequence than its tokens"
BUFFER, ON_HOST = "llama.cpp: compute buffer 512 MiB", "300 MiB stay on the host"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, [f"{POOL}; 80 sequences of 1,000 at once", ENDS]),  # two tokens a MB
        ({"sequences": 256.0}, [f"{POOL}; 256 sequences of 1,000 at once", ENDS, LESS]),
        ({"sequences": 300.0},  # 300,000 tokens in room for 80,000
         [f"{POOL}; 300 sequences of 1,000 at once (it runs at most 256)", ENDS, LESS]),
        ({"engine": "llama.cpp"}, [f"{BUFFER}; room for 80 slots of 1,000; {ON_HOST}"]),
        ({"engine": "ollama", "host_bytes": 0.0, "sequences": None},
         ["ollama: compute buffer 512 MiB; room for any number of slots of 1,000"]),
        ({"engine": "transformers", "options": {"attn_implementation": "sdpa"}},
         ["transformers: the whole prompt at once, sdpa attention"]),
        ({"sequences": None, "cache_tokens": 0},
         ["vllm: no cache to hold; it runs 256 at once"]),
        ({"sequences": None, "cache_tokens": 0, "most_sequences": None},
         ["vllm: no cache to hold; it runs any number at once"]),
    ],
)  # fmt: skip
def test_a_budget_is_told_in_the_engines_own_words(changes, said):
    assert budget_text(replace(BUDGET, **changes)) == said


@pytest.mark.parametrize(
    ("engine", "rows"), [("transformers", 1100), ("autoawq", 1100), ("llama.cpp", 5 * 256)]
)
def test_a_cache_that_is_laid_out_at_once_has_room_for_whole_sequences(engine, rows):
    """Of three and a half sequences three have room, in rows of 256 where llama.cpp lays them."""
    memory, _ = engine_memory(engine, CARD, {})
    layout = memory.divide(share(), LOAD)[1]
    each = rows * 2 * 2 * LAYERS * KEY_WIDTH
    assert layout.sequence_bytes == each
    assert layout.tokens(3.5 * each) == 3 * rows
    assert layout.sequences(3.5 * each) == exactly(3.5)
