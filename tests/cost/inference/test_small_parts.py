"""What an answer is made of before anything is computed, and what stands beside it, by hand."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import thermoflop as tf
from kit.made_up import DEVICE, MIXTURE, decoder, rates
from thermoflop.base.record import replace
from thermoflop.cost.catalogue.devices import find_device
from thermoflop.cost.engines.engine import find_engine
from thermoflop.cost.engines.footprint import Load
from thermoflop.cost.hardware.precision import choose_precision
from thermoflop.cost.inference import setting as setting_module
from thermoflop.cost.inference.arguments import default_format, default_sizes, in_16_bits, written
from thermoflop.cost.inference.formats import choose_formats
from thermoflop.cost.inference.hosted import hosted_s
from thermoflop.cost.inference.remedies import _goes_to_host
from thermoflop.cost.inference.room import room_of
from thermoflop.cost.inference.setting import Setting
from thermoflop.cost.inference.steady import InFlight, chunk_of, steady_steps
from thermoflop.cost.inference.unequal import Split, _filled
from thermoflop.cost.sweep.grid import Grid
from thermoflop.cost.why.table import _measured_text
from thermoflop.cost.work.share import Layout
from thermoflop.cost.work.steps import decode_step
from thermoflop.cost.work.weights import stored_checkpoint
from thermoflop.errors import UsageError
from thermoflop.model.config.stored_files import StoredWeights
from thermoflop.model.media import Media


@pytest.mark.parametrize(
    ("gpu", "default", "bf16", "fp32"),
    [
        ("h100", "bf16", "bf16", "fp32"),
        ("v100", "fp16", "fp16", "fp32"),  # NVIDIA's before Ampere and AMD's MI50 lack bf16
        ("MI50 16GB", "fp16", "fp16", "fp32"),
        ("Apple M1", "bf16", "bf16", "fp32"),  # one name for both
        ("Arc A750", "bf16", "bf16", "fp32"),
        ("AMD EPYC 7742", "fp32", "bf16", "fp32"),  # no other
    ],
)
def test_a_device_has_its_format_where_none_is_given(gpu, default, bf16, fp32):
    device = find_device(gpu)
    assert default_format(device) == default
    assert (in_16_bits(device, "bf16"), in_16_bits(device, "fp32")) == (bf16, fp32)


def positions(most, generates=True):
    return SimpleNamespace(max_positions=most, generates=generates)


@pytest.mark.parametrize(
    ("most", "prompt", "generate", "media", "found"),
    [
        (None, None, None, 0, (1024, 128)),
        (10**6, None, None, 0, (1024, 128)),
        (512, None, None, 0, (512 - 128, 128)),
        (512, None, None, 100, (412 - 128, 128)),
        (200, None, None, 0, (100, 100)),  # half of what is left
        (512, 500, None, 0, (500, 12)),
        (512, 300, None, 200, (300, 12)),
        (512, 600, None, 0, (600, 128)),  # too many are refused later
        (512, None, 500, 0, (12, 500)),
        (512, None, 600, 0, (1, 600)),
        (None, 7, 9, 0, (7, 9)),
    ],
)
def test_sizes_that_are_not_given_are_what_there_is_room_for(most, prompt, generate, media, found):
    assert default_sizes(positions(most), prompt, generate, media) == found
    _, nothing = default_sizes(positions(most, generates=False), prompt, None, media)
    assert nothing == 0


def test_a_page_has_up_to_two_to_the_twentieth_tokens():
    sizes = {"batch": 1, "prompt": 10, "generate": 2}
    assert tf.fit(decoder(), DEVICE, page=2**20, **sizes).memory.kv_bytes > 0
    for page in (2**20 + 1, 0):
        with pytest.raises(UsageError, match=r"expected a whole number from 1 to 1,048,576"):
            tf.fit(decoder(), DEVICE, page=page, **sizes)
    assert (written("prompt", "2k"), written("batch", "2k")) == (2048, 2000)


def test_layers_on_the_host_are_read_at_four_fifths_of_its_bandwidth_after_the_device():
    """Three of four GB on the host, and one of cache, at 80 of 100 GB/s: a twentieth of a second; a
    quarter of 40 ms on the device; 0.28 ms at each of ten layers."""
    placed = SimpleNamespace(host_active_bytes=3e9, active_bytes=4e9, host_layers=10)
    assert hosted_s(placed, 0.04, 100, 1e9) == pytest.approx(0.01 + 0.05 + 0.0028)
    assert hosted_s(placed, 0.04, 100) == pytest.approx(0.01 + 0.0375 + 0.0028)


def test_what_prompts_bring_is_brought_by_each_sequence():
    setting = Setting(
        decoder(), DEVICE, Layout(), choose_precision("bf16"), rates(), media=Media(2, 3, 50)
    )
    whole = setting.whole_prompt(100, 4, 10)
    assert (whole.images, whole.audio, whole.new, whole.batch, whole.cached) == (8, 12, 100, 4, 10)
    (weight, first), *steps = setting.prompt_steps(100, 4, 10)
    assert (weight, first.images, first.audio, first.new) == (1.0, 8, 12, 0)
    assert sum(times * step.new for times, step in steps) == 100
    plain = Setting(decoder(), DEVICE, Layout(), choose_precision("bf16"), rates())
    assert not plain.whole_prompt(100, 4).images
    assert len(plain.prompt_steps(100, 4)) == len(steps)
    assert plain.check_step(5, 4, 10).new == 5


@pytest.mark.parametrize(("layout", "held"), [(Layout(2), 4.0), (Layout(2, ep=2), 2.0)])
def test_an_engine_knows_the_experts_of_a_device_and_how_many_a_token_chooses(
    monkeypatch, layout, held
):
    """Of four experts a token chooses two, wherever they lie."""
    asked = []
    monkeypatch.setattr(
        setting_module, "apply_engine", lambda works, *more: asked.append(more[-3:]) or works
    )
    model = decoder(**{**MIXTURE, "num_local_experts": 4})
    setting = Setting(model, DEVICE, layout, choose_precision("bf16"), rates())
    setting.works(decode_step(10, 4))
    assert asked == [(held, layout.ep, 2 / 4)]


@pytest.mark.parametrize(
    ("prompt", "cached", "tokens", "chunk"),
    [(100, 20, 100, (1, 100, 20)), (100, 20, 250, (2.5, 100, 20)), (100, 20, 40, (1, 40, 50))],
)
def test_a_chunk_is_of_whole_prompts_or_from_the_middle_of_one(prompt, cached, tokens, chunk):
    step = chunk_of(prompt, cached, tokens)
    assert (step.batch, step.new, step.cached) == chunk


@pytest.mark.parametrize(
    ("device", "engine", "goes"),
    [("rtx 4090", None, True), ("rtx 4090", "llama.cpp", True), ("rtx 4090", "vllm", False),
     ("rx 7900 xtx", None, True), ("m4 max", None, False), ("m4 max", "llama.cpp", False),
     ("ryzen ai max+ 395", None, False), ("dgx spark", "llama.cpp", False),
     ("jetson agx orin 64gb", None, False), ("mi300a", None, False), ("mi300x", None, True),
     ("epyc 9654", "llama.cpp", False)],
)  # fmt: skip
def test_weights_go_to_a_host_that_has_memory_of_its_own(device, engine, goes):
    room = room_of(decoder(), find_device(device), None, None, None, engine, None)
    assert _goes_to_host(room) is goes


@pytest.mark.parametrize(
    ("share", "formats", "wide", "factor"),
    [
        (1.1, {"BF16": 9}, 2.0, 1.1), (1.24, {"BF16": 9}, 2.0, 1.24), (0.81, {"F16": 9}, 2.0, 0.81),
        (1.26, {"BF16": 9}, 2.0, None), (0.79, {"BF16": 9}, 2.0, None),
        (1.1, {"BF16": 8, "F32": 9}, 4.0, 1.1), (1.1, {"F64": 9, "Q4_K": 99}, 8.0, 1.1),
        (1.1, {"Q4_K": 99}, 2.0, 1.1),
    ],
)  # fmt: skip
def test_files_of_another_size_than_is_counted_are_not_the_models(share, formats, wide, factor):
    """Up to a quarter more or less; what most of what is not quantized has is the wide format."""
    model = decoder()
    files = StoredWeights(round(share * wide * model.params), 1, {}, formats)
    found = stored_checkpoint(replace(model, stored=files), None)
    assert (found.wide, found.stored) == (wide, factor is not None)
    assert found.factor == pytest.approx(factor or 1.0)


@pytest.mark.parametrize(
    ("gpu", "named", "dtype", "computed", "bits", "by_matrix"),
    [
        ("h100", None, None, "bf16", 16, False), ("v100", None, None, "fp16", 16, False),
        ("h100", None, "fp8", "fp8", 8, False), ("v100", None, "bf16", "fp16", 16, False),
        # what a name says, in the device's own 16 bits, or as a form that a device may lack
        ("v100", "bf16", None, "fp16", 16, False), ("h100", "fp16", None, "bf16", 16, False),
        ("h100", "fp8", None, "fp8", 8, True), ("a100", "fp8", None, "bf16", 8, True),
        ("h100", "q4_k_m", None, "fp16", None, False), ("h100", "fp8", "bf16", "bf16", 16, False),
    ],
)  # fmt: skip
def test_a_run_is_in_the_format_that_is_asked_for_or_named(
    gpu, named, dtype, computed, bits, by_matrix
):
    model = replace(decoder(), named_format=named)
    precision, checkpoint = choose_formats(model, find_device(gpu), dtype, None)
    assert precision.compute in ((computed, "bf16") if named == "q4_k_m" else (computed,))
    assert bits is None or precision.weight_bits == pytest.approx(bits, rel=0.01)
    assert (checkpoint is not None) is by_matrix
    files = StoredWeights(2 * model.params, 1, {}, {"BF16": 9})
    kept, checkpoint = choose_formats(replace(model, stored=files), find_device(gpu), dtype, None)
    assert (checkpoint is not None) is (dtype is None), "files say it where nothing is asked for"
    assert kept.weight_bits == pytest.approx(precision.weight_bits if dtype else 16, rel=0.01)


@pytest.mark.parametrize(("bits", "name"), [(2.0, "bf16"), (4.0, "fp32"), (8.0, "fp32")])
def test_files_wider_than_16_bits_run_in_fp32(bits, name):
    model = decoder()
    formats = {"BF16" if bits == 2 else "F32" if bits == 4 else "F64": 9}
    files = StoredWeights(int(bits * model.params), 1, {}, formats)
    precision, checkpoint = choose_formats(replace(model, stored=files), DEVICE, None, None)
    assert (precision.name, checkpoint.wide) == (name, bits)
    assert precision.form == f"{name} as stored"


@pytest.mark.parametrize("generate", [0, 1, 4])
def test_prompts_end_as_often_as_sequences_do(generate):
    """Eight sequences of four tokens: two a step; of one token or none, eight."""
    steps = steady_steps(find_engine("sglang"), InFlight(8, 100, generate, 500, 30))
    assert [share for share, _ in steps] == [1.0, 8 / max(generate, 1)]
    assert (steps[1][1].new, steps[1][1].cached) == (100, 30)


@pytest.mark.parametrize(
    ("rooms", "counts"),
    [((10, 9, 6), [2, 2, 2]), ((10, 9, 5.9), None), ((22, 1, 1), [6, 0, 0]),
     ((12, 12, 1), [3, 3, 0]), ((3, 22, 0), [0, 6, 0])],
)  # fmt: skip
def test_each_card_takes_as_many_layers_as_it_holds(rooms, counts):
    """Five layers of 3 and a cache of 1, and an output of 2, beside 100 that are taken already."""
    parts = [(3.0, 1.0)] * 5 + [(2.0, 0.0)]
    memories = [SimpleNamespace(capacity_bytes=100.0 + room, total_bytes=100.0) for room in rooms]
    assert _filled(parts, memories) == counts


@pytest.mark.parametrize(("layers", "fewest"), [(2, 1), (90, 1), (140, 2), (165, 3), (200, None)])
def test_the_fewest_of_several_cards_are_the_largest_that_hold_it(layers, fewest):
    """Layers of 25.6 MB on cards of 3, 2 and 1 GB, half a GB of each for the engine,
    and 51 MB for its buffer: of 256 tokens 3 x (256 + 16,384) states in 4 bytes."""
    model = decoder(num_hidden_layers=layers, intermediate_size=16_384)
    cards = tuple(replace(DEVICE, memory_bytes=each * 1e9) for each in (1, 3, 2))
    room = room_of(model, cards[0], None, None, None, "llama.cpp", None)
    split = Split(room, cards, room.share(Layout()))
    assert split.fewest(Load(1, 10, 20)) == fewest
    placed = split.place(Load(1, 10, 20))
    assert sum(card.layers for card in placed) == layers
    assert sum(card.output for card in placed) == 1
    assert sum(card.memory.kv_bytes for card in placed) > 0


def test_a_draft_is_four_tokens_of_which_seven_in_ten_are_right():
    sizes = {"prompt": 10, "generate": 2, "profile": rates()}
    plain = tf.speculate(decoder(), decoder(), DEVICE, **sizes)
    assert plain == tf.speculate(decoder(), decoder(), DEVICE, drafted=4, acceptance=0.7, **sizes)
    assert (plain.drafted, plain.acceptance) == (4, 0.7)
    two = tf.speculate(decoder(), decoder(), DEVICE, batch=2, **sizes)
    again = tf.speculate(decoder(), decoder(), DEVICE, batch=2, devices=1, **sizes)
    assert two == again
    assert two.plain_step_s > plain.plain_step_s


def test_a_grid_asks_for_one_sequence_of_1024_and_128_tokens():
    grid = Grid(("m",), ("d",))
    assert (grid.batch, grid.prompt, grid.generate) == ((1,), (1024,), (128,))
    assert grid.rows == 100_000
    assert (grid.tp, grid.pp, grid.dp, grid.ep, grid.dtypes) == ((1,), (1,), (1,), (1,), (None,))


def test_measured_times_are_explained_by_their_own_numbers():
    efficiency = replace(rates().efficiency(DEVICE, choose_precision("bf16")),
                         kernel_gap_s=5e-6, step_s=1e-3)  # fmt: skip
    made = SimpleNamespace(rates=SimpleNamespace(
        curves=SimpleNamespace(tables=[1, 2, 3], scale=1.25), peak_flops_s=2e12,
        bandwidth_bytes_s=3e10, efficiency=efficiency,
    ))  # fmt: skip
    text = _measured_text(made)
    assert "classes: 3," in text
    assert "times 1.25:" in text
    assert "launch = 5.00 µs; best rates 2.00 TFLOP/s, 30.0 GB/s:" in text
