"""What fits in a room: layouts, the fewest devices, the longest context, the most sequences."""

from __future__ import annotations

import pytest
import thermoflop as tf
from kit.made_up import DEVICE, KEY_WIDTH, LAYERS, TOKENS, WIDTH, decoder
from thermoflop.base.record import replace
from thermoflop.cost.catalogue.profiles import find_profile
from thermoflop.cost.engines.footprint import Load
from thermoflop.cost.inference.arguments import default_sizes
from thermoflop.cost.inference.room import LARGEST, Room, largest, room_of
from thermoflop.cost.work.share import Layout
from thermoflop.errors import UsageError

TOKEN = 2 * 2 * LAYERS * KEY_WIDTH


def room(model=None, device=DEVICE, **options):
    asked = {"dtype": None, "kv_dtype": None, "page": None, "profile": None, "options": None}
    return room_of(model or decoder(), device, **{**asked, **options})


@pytest.mark.parametrize(
    ("devices", "splits", "layouts"),
    [
        (8, "heads", [(8, 1), (4, 2), (2, 4), (1, 8)]), (16, "heads", [(8, 2), (4, 4), (2, 8),
         (1, 16)]), (6, "heads", [(6, 1), (3, 2), (2, 3), (1, 6)]), (1, "heads", [(1, 1)]),
        (8, "layers", [(1, 8)]),
    ],
)  # fmt: skip
def test_heads_go_as_far_as_they_go_up_to_8_and_layers_beyond(devices, splits, layouts):
    found = list(replace(room(), splits=splits).layouts(devices))
    assert [(each.tp, each.pp) for each in found] == layouts


@pytest.mark.parametrize("most", [1, 2, 7, 8, 9, 1000])
@pytest.mark.parametrize("limit", [0, 1, 2, 3, 7, 8, 900])
def test_the_largest_is_the_last_that_holds_up_to_the_most(limit, most):
    asked = []

    def holds(value):
        asked.append(value)
        return value <= limit

    assert largest(holds, most) == min(limit, most)
    assert max(asked) <= most or most < 2
    assert len(asked) <= 24


def test_without_a_most_it_ends_at_two_to_the_forty():
    assert largest(lambda value: True) == LARGEST == 2**40


def test_a_load_takes_its_prompt_and_what_is_generated_after_it():
    """The cache of the whole context, activations of the prompt alone."""
    one = room()
    share = one.share(Layout())
    found = one.memory(share, Load(3, 100, 110))
    assert found.kv_bytes == 3 * 110 * TOKEN
    width = 2 * (2 * WIDTH + max(2 * 512, 2 * WIDTH))
    assert found.activation_bytes == 300 * width + 3 * 4 * TOKENS
    for prompt in (0, 1):  # a step reads a token at least
        assert one.memory(share, Load(3, prompt, 110)).activation_bytes == 3 * width + 12 * TOKENS
    short = one.memory(share, Load(3, 200, 110))  # a prompt is no longer than the context
    assert (short.kv_bytes, short.activation_bytes) == (
        3 * 110 * TOKEN, 330 * width + 3 * 4 * TOKENS,
    )  # fmt: skip


def test_the_most_and_the_longest_fit_and_one_more_does_not():
    one = room(decoder(max_position_embeddings=10**7), replace(DEVICE, memory_bytes=2e9))
    share, load = one.share(Layout()), Load(3, 900, 1000)
    most = one.most(share, load)
    assert one.memory(share, replace(load, sequences=most)).fits
    assert not one.memory(share, replace(load, sequences=most + 1)).fits
    longest = one.longest(share, load)
    assert one.memory(share, Load(3, longest - 100, longest)).fits
    assert not one.memory(share, Load(3, longest - 99, longest + 1)).fits
    assert longest > 100_000
    few = room(decoder(max_position_embeddings=5000))
    assert few.longest(few.share(Layout()), load) == 5000


def test_a_load_of_another_length_generates_as_much_after_a_token_of_prompt_at_least():
    assert Load(3, 900, 1000).of_length(5000) == Load(3, 4900, 5000)
    assert Load(3, 900, 1000).of_length(40) == Load(3, 1, 40)


def test_the_fewest_devices_are_those_of_which_one_fewer_does_not_hold_it():
    """Layers of 1.7 GB in all on devices of 1.5, of which 0.73 are the reserve."""
    deep = room(decoder(num_hidden_layers=1400), replace(DEVICE, memory_bytes=1.5e9))
    load = Load(1, 10, 20)
    plan = deep.fewest(load)
    assert deep.memory(deep.share(plan), load).fits
    assert plan.devices == 3
    for fewer in range(1, plan.devices):
        for other in deep.layouts(fewer):
            try:
                share = deep.share(other)
            except UsageError:  # three devices do not divide four heads
                continue
            assert not deep.memory(share, load).fits
    # no device holds more than its reserve
    none = room(decoder(), replace(DEVICE, memory_bytes=0.7e9))
    assert none.fewest(load) is None


def test_numbers_of_devices_are_tried_from_what_bytes_need_and_by_whole_nodes_from_8(monkeypatch):
    """Weights and cache of 3.4 times what a device has beside its reserve: three may do, spread
    evenly; beyond 8 devices (of layers 64) they come by eights, up to 1,024."""
    asked, one = [], room()
    memory = one.memory(one.share(Layout()), Load(1, 10, 20))
    left = memory.capacity_bytes - memory.reserve_bytes
    full = replace(memory, weight_bytes=3 * left, kv_bytes=0.4 * left)
    monkeypatch.setattr(Room, "memory", lambda *_: full)
    monkeypatch.setattr(Room, "layouts", lambda _, devices: asked.append(devices) or [])
    assert one.fewest(Load(1, 10, 20)) is None
    assert asked == [*range(3, 8), *range(8, 1025, 8)]
    asked.clear()
    assert replace(one, splits="layers").fewest(Load(1, 10, 20)) is None
    assert asked == [*range(3, 64), *range(64, 1025, 8)]
    asked.clear()
    many = replace(memory, weight_bytes=70 * left, kv_bytes=5.4 * left)
    monkeypatch.setattr(Room, "memory", lambda *_: many)
    assert one.fewest(Load(1, 10, 20)) is None
    assert asked == [*range(80, 1025, 8)]
    asked.clear()
    small = replace(memory, weight_bytes=0.0, kv_bytes=0.4 * left)
    monkeypatch.setattr(Room, "memory", lambda *_: small)
    assert one.fewest(Load(1, 10, 20)) is None
    assert asked[:3] == [1, 2, 3]


def test_devices_without_a_degree_go_to_what_the_engine_splits():
    llama = room(profile="llama.cpp")
    assert llama.plan(4, None, 1, 1, 1, 1) == Layout(1, 4)
    assert llama.plan(4, None, 1, 2, 1, 1) == Layout(1, 2, 2)
    assert llama.plan(4, None, 2, 1, 1, 1) == Layout(2, 2)
    assert llama.plan(4, 4, 1, 1, 1, 1) == Layout(4)
    assert room(profile="vllm").plan(4, None, 1, 1, 1, 1) == Layout(4)
    assert room().plan(4, None, 1, 1, 1, 1) == Layout(4)


@pytest.mark.parametrize("profile", ["exllama", "llama.cpp", "transformers", "vllm", None])
def test_fit_spreads_devices_as_an_estimate_does(profile):
    asked = {"devices": 2, "batch": 2, "dtype": "bf16", "profile": profile}
    fitted, estimated = (ask(decoder(), DEVICE, **asked) for ask in (tf.fit, tf.estimate))
    assert fitted.plan.label == estimated.plan.label


def test_a_cache_is_as_an_engines_options_say():
    both = room(profile="llama.cpp", options={"ctk": "q8_0", "ctv": "q4_0"})
    assert both.precision.kv_bytes == (34 / 32 + 18 / 32) / 2
    assert both.kv_dtype is None
    one = room(profile="vllm", options={"kv_cache_dtype": "fp8"})
    assert (one.precision.kv_bytes, one.kv_dtype) == (1.0, "fp8")
    keys = room(profile="llama.cpp", options={"ctk": "q8_0"})
    assert keys.precision.kv_bytes == (34 / 32 + 2) / 2
    with pytest.raises(UsageError, match="ask for different caches"):
        room(profile="vllm", kv_dtype="bf16", options={"kv_cache_dtype": "fp8"})
    assert room(profile="vllm 0.11").engine.options["version"] == "0.11"
    assert room(profile="vllm").engine.options["version"] is None
    for same in ("vllm@0.11", find_profile("vllm@0.11")):
        assert room(profile=same).engine.options["version"] == "0.11"


@pytest.mark.parametrize(
    ("positions", "asked", "sizes"),
    [
        (100_000, (None, None), (1024, 128)), (100_000, (9, None), (9, 128)),
        (100_000, (None, 9), (1024, 9)), (1152, (None, None), (1024, 128)),
        (1151, (None, None), (1023, 128)), (200, (None, None), (100, 100)),
        (200, (150, None), (150, 50)), (200, (None, 150), (50, 150)),
        (200, (200, None), (100, 100)), (4096, (4096, None), (4096 - 128, 128)),
        # none is left: what is asked for is for its check to refuse
        (200, (201, None), (201, 128)), (200, (None, 200), (1, 200)), (200, (9, 9), (9, 9)),
    ],
)  # fmt: skip
def test_sizes_nobody_gave_fit_the_positions(positions, asked, sizes):
    model = decoder(max_position_embeddings=positions)
    assert default_sizes(model, *asked) == sizes
    assert default_sizes(decoder(max_position_embeddings=positions + 7), *asked, 7) == sizes


@pytest.mark.parametrize(
    ("name", "sizes"), [("bert-base-uncased", (512, 0)), ("t5-small", (384, 128))]
)
def test_an_encoder_alone_generates_nothing(name, sizes):
    assert default_sizes(tf.load_model(name), None, None) == sizes


def test_a_fit_says_what_was_asked_for():
    found = tf.fit(decoder(), DEVICE, batch=3, prompt=30, generate=7)
    assert (found.batch, found.prompt, found.generate) == (3, 30, 7)
