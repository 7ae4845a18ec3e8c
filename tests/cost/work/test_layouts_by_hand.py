"""What a device of a layout holds of each kind of mixer, and what it sends, work by work."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import thermoflop as tf
from kit.made_up import INNER, KEY_WIDTH, LAYERS, MIXTURE, WIDTH, decoder
from thermoflop.base.record import replace
from thermoflop.cost.hardware.precision import choose_precision
from thermoflop.cost.work.network import network_work
from thermoflop.cost.work.shard import _mixer, shard
from thermoflop.cost.work.share import Layout, Share, choose_layout
from thermoflop.cost.work.steps import decode_step, prefill_step
from thermoflop.errors import UsageError
from thermoflop.model.architecture.mixers import Attention

BF16 = choose_precision("bf16")


def mixer_of(name: str, kind: str) -> Any:
    """The first mixer of a kind in a model."""
    stacks = tf.load_model(name).description.stacks
    mixers = (mixer for stack in stacks for run in stack.runs for mixer in run.layer.mixers)
    return next(mixer for mixer in mixers if type(mixer).__name__ == kind)


@pytest.mark.parametrize(
    ("name", "kind", "tp", "parts"),
    [
        ("mamba-codestral-7b", "Mamba2", 4, {"heads": 128 // 4, "groups": 8 // 4}),
        ("mamba-codestral-7b", "Mamba2", 16, {"heads": 128 // 16, "groups": 1}),
        ("falcon-mamba-7b", "Mamba", 4, {"inner": 8192 // 4, "state": 16, "dt_rank": 256}),
        ("qwen3-next-80b-a3b", "GatedDelta", 4, {"key_heads": 16 // 4, "value_heads": 32 // 4}),
        ("qwen3-next-80b-a3b", "GatedDelta", 32, {"key_heads": 1, "value_heads": 1}),
        ("minimax-text-01", "Lightning", 8, {"heads": 64 // 8, "dim": 128}),
        ("kimi-k3", "KimiDelta", 8, {"heads": 96 // 8, "dim": 128}),
        ("recurrentgemma-2b", "GatedRecurrence", 5, {"heads": 10 // 5, "inner": 2560 // 5}),
        ("rwkv-4-169m", "TimeMix", 3, {"inner": 768 // 3}),
        ("deepseek-v4-flash", "CompressedAttention", 8, {"heads": 64 // 8, "o_groups": 1}),
        ("deepseek-r1", "LatentAttention", 8, {"heads": 128 // 8, "kv_rank": 512, "q_rank": 1536}),
        ("lfm2-1.2b", "ShortConvolution", 2, {"hidden": 2048}),
    ],
)  # fmt: skip
def test_a_mixer_is_divided_by_its_heads_or_channels(name, kind, tp, parts):
    """A group of keys or of a state that fewer devices share than there are is on each."""
    whole = mixer_of(name, kind)
    found = _mixer(whole, tp)
    assert {each: getattr(found, each) for each in parts} == parts
    same = {each: value for each, value in whole.__dict__.items() if each not in parts}
    assert {each: found.__dict__[each] for each in same} == same


def test_key_heads_are_copied_where_they_divide_the_devices():
    plain = Attention(256, 12, 4, 64)
    assert [(_mixer(plain, tp).heads, _mixer(plain, tp).kv_heads) for tp in (1, 2, 4, 12)] == [
        (12, 4), (6, 2), (3, 1), (1, 1),
    ]  # fmt: skip
    with pytest.raises(UsageError, match="kv_heads=4 does not divide the devices of a KV head"):
        _mixer(plain, 6)


def test_mixers_side_by_side_are_each_divided():
    (both,) = {
        run.layer.mixer for run in tf.load_model("falcon-h1-1.5b").description.stacks[0].runs
    }
    found = _mixer(both, 2)
    for one, half in zip(both.mixers, found.mixers, strict=True):
        assert half.heads == one.heads // 2


def sent(step: Any, model: Any = None, **layout: Any) -> dict[str, tuple[float, float, float]]:
    """Of each collective: how often, bytes of one, those of them to other nodes."""
    share = Share((model or decoder()).description, Layout(**layout), BF16)
    works = [work for work in share.works(step) if work.kind == "network"]
    return {work.name: (work.times, work.activation_bytes, work.far_bytes) for work in works}


TOKENS = 3 * 10  # of three prompts of ten
STREAM = TOKENS * WIDTH * 2  # bytes of all of them


def test_every_degree_sends_its_own():
    """Two all-reduces a layer over tp, 2 (t - 1)/t of the stream; a share of the tokens to two
    experts of four devices and back; the stream over the boundary of two stages."""
    step, model = prefill_step(10, 3), decoder(**MIXTURE)
    layout = {"tp": 2, "pp": 2, "dp": 2, "ep": 4}
    once = STREAM / 2  # a tensor-parallel device sends its part
    assert sent(step, model, **layout) == {
        "all-reduce": (2 * LAYERS, 2 * STREAM / 2, 0),
        "all-to-all": (2 * LAYERS, pytest.approx(once * 2 * 3 / 4), 0),
        "send": (1, STREAM, 0),
    }
    # nodes of two: a token meets 2 (1 - (1/2)^2) = 3/2 of two nodes, one of them its own half of
    # the time; within a node half of what goes to its experts is the device's own
    far = once * (1 - 1 / 4)
    assert sent(step, model, **layout, node_size=2) == {
        "all-reduce": (2 * LAYERS, STREAM, 0),
        "all-to-all": (2 * LAYERS, pytest.approx(far + once * 2 / 2), pytest.approx(far)),
        "send to a node": (1, STREAM, STREAM),
    }
    hidden = sent(step, model, **layout, overlap=0.25)
    assert [times for times, *_ in hidden.values()] == [
        0.75 * 2 * LAYERS, 0.75 * 2 * LAYERS, 0.75,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("stages", "node", "near", "far"), [(4, 0, 3, 0), (4, 4, 2, 1), (4, 2, 0, 3), (4, 3, 0, 3)]
)
def test_boundaries_within_a_node_are_told_from_those_between_nodes(stages, node, near, far):
    """A stage is a pair of devices: two fill a node of four, one a node of two or three."""
    model = decoder(num_hidden_layers=4)
    found = sent(prefill_step(10, 3), model, tp=2, pp=stages, node_size=node)
    assert found.get("send", (0,))[0] == near
    assert found.get("send to a node", (0,))[0] == far


def test_keys_and_values_pass_round_a_ring_of_parts_of_the_sequence():
    """Keys and values of thirty tokens, 3/4 of them from other devices; with two tensor-parallel
    devices in each of four parts and nodes of four, half of a key head's go to the other node."""
    kv = TOKENS * KEY_WIDTH * 2 * 2
    assert sent(prefill_step(10, 3), cp=4) == {"ring KV": (LAYERS, pytest.approx(kv * 3 / 4), 0)}
    found = sent(prefill_step(10, 3), cp=4, tp=2, node_size=4)
    assert found["ring KV"] == (
        LAYERS, pytest.approx(kv / 2 * 3 / 4), pytest.approx(kv / 2 / 2 * 1 / 2),
    )  # fmt: skip
    assert found["all-reduce"] == (2 * LAYERS, STREAM / 4, 0)


def test_partial_results_of_a_divided_cache_meet_in_an_all_reduce():
    results = 3 * WIDTH * 2
    assert sent(decode_step(100, 3), cp=4) == {
        "merge context": (LAYERS, pytest.approx(2 * 3 / 4 * results), 0)
    }
    found = sent(decode_step(100, 3), cp=4, tp=2, node_size=4)
    assert found["merge context"] == (
        LAYERS, pytest.approx(2 * 3 / 4 * results / 2), pytest.approx(2 * 1 / 2 * results / 2 / 2),
    )  # fmt: skip
    # a token of each sequence is on every device of a part
    assert found["all-reduce"] == (2 * LAYERS, 3 * WIDTH * 2, 0)


def by_name(step: Any, **layout: int) -> dict[str, Any]:
    share = Share(decoder().description, Layout(**layout), BF16)
    return {work.name: work for work in share.works(step)}


def test_a_part_of_a_sequence_does_its_part_of_the_work():
    whole, part = (by_name(prefill_step(10, 3), cp=cp) for cp in (1, 2))
    for name, share in (("k_proj", 2), ("attention", 1)):  # keys that are written, and all read
        assert part[name].flops == whole[name].flops / 2
        assert part[name].kv_bytes == whole[name].kv_bytes / share
        assert part[name].activation_bytes == whole[name].activation_bytes / 2
        assert part[name].row_flops == whole[name].row_flops
        assert part[name].weight_bytes == whole[name].weight_bytes
    whole, part = (by_name(decode_step(100, 3), cp=cp) for cp in (1, 2))
    assert part["k_proj"] == whole["k_proj"]
    attention, half = whole["attention"], part["attention"]
    assert (half.flops, half.row_flops, half.kv_bytes) == (
        attention.flops / 2, attention.row_flops / 2, attention.kv_bytes / 2,
    )  # fmt: skip
    assert half.activation_bytes == attention.activation_bytes


def test_experts_beyond_a_tensor_parallel_group_are_whole():
    """Of eight over four devices two whole ones; within a group of four two halves of them, where
    a token meets one expert; the shared one is divided as all neurons are."""
    model = decoder(model_type="qwen2_moe", num_experts=8, num_experts_per_tok=2,
                    moe_intermediate_size=64, shared_expert_intermediate_size=128)  # fmt: skip
    for tp, ep, held, inner, top_k, shared in (
        (1, 1, 8, 64, 2, 128), (1, 4, 2, 64, 2, 128), (2, 4, 2, 64, 1, 64), (2, 1, 8, 32, 2, 64),
        (2, 2, 4, 64, 1, 64),
    ):  # fmt: skip
        found = shard(model.description, tp, ep).stacks[0].runs[0].layer.feed
        assert (found.experts, found.expert.inner, found.top_k) == (held, inner, top_k), (tp, ep)
        assert (found.shared.inner, found.expert.copies) == (shared, held)
        share = Share(model.description, Layout(tp=tp, dp=4, ep=ep), BF16)
        assert share.experts_held == held
    assert Share(decoder().description, Layout(), BF16).experts_held == 0


def test_experts_of_a_larger_group_are_divided_by_what_is_left():
    model = decoder(**MIXTURE, num_key_value_heads=4)
    feed = shard(model.description, 4, 2).stacks[0].runs[0].layer.feed
    assert (feed.experts, feed.expert.inner, feed.top_k) == (4, INNER // 2, 2 / 2)


@pytest.mark.parametrize(
    ("asked", "layout"),
    [
        ({}, Layout()), ({"devices": 8}, Layout(8)), ({"devices": 8, "pp": 2}, Layout(4, 2)),
        ({"devices": 8, "tp": 1, "dp": 8}, Layout(1, 1, 8)), ({"tp": 4, "cp": 2}, Layout(4, cp=2)),
        ({"devices": 12, "pp": 2, "cp": 3}, Layout(2, 2, cp=3)),
        ({"devices": 1_000_000}, Layout(1_000_000)), ({"dp": 4, "ep": 4}, Layout(dp=4, ep=4)),
        ({"cp": 4, "ep": 4}, Layout(cp=4, ep=4)), ({"overlap": 1}, Layout(overlap=1)),
    ],
)  # fmt: skip
def test_what_no_degree_is_given_for_goes_to_tensor_parallelism(asked, layout):
    assert choose_layout(**asked) == layout


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"devices": 1_000_001}, "devices=1000001 makes no sense"), ({"tp": 0}, "tp=0 makes no"),
        ({"devices": 8, "tp": 3}, "tp=3 x pp=1 x dp=1 x cp=1 is not devices=8"),
        ({"devices": 9, "pp": 2}, "^pp=2 does not divide devices=9:"),
        ({"devices": 8, "pp": 2, "cp": 3}, "^pp=2 x cp=3 does not divide devices=8:"),
        ({"dp": 3, "ep": 2}, "ep=2 does not"),
        ({"tp": 2, "dp": 3, "cp": 2, "ep": 8}, "ep=8 does not divide the 12 devices of a stage"),
        ({"overlap": 1.1}, "overlap=1.1 makes no sense"), ({"overlap": -0.1}, "overlap=-0.1"),
    ],
)  # fmt: skip
def test_degrees_that_make_no_layout_are_named(asked, said):
    with pytest.raises(UsageError, match=said):
        choose_layout(**asked)


def test_as_many_stages_as_layers_are_the_most():
    assert Share(decoder().description, Layout(pp=2), BF16).plan.pp == 2
    with pytest.raises(UsageError, match=r"pp=3 is more stages than there are layers \(2\)"):
        Share(decoder().description, Layout(pp=3), BF16)
    with pytest.raises(UsageError, match="ep=2 makes no sense: the model has no experts"):
        Share(decoder().description, Layout(dp=2, ep=2), BF16)
    # stages share the 32 layers of its text model, not the 24 that see
    with pytest.raises(UsageError, match=r"pp=40 is more stages than there are layers \(32\)"):
        Share(tf.load_model("llava-1.5-7b").description, Layout(pp=40), BF16)


def test_experts_of_an_encoder_are_sent_the_share_of_the_source_that_a_device_has():
    """Switch of width 768 with one of 8 experts a token, over 4 of 8 devices in pairs: half of the
    tokens of each pair, 3/4 of them to other devices and back, in six layers of each stack."""
    description = tf.load_model("switch-base-8").description
    share = Share(description, Layout(tp=2, dp=4, ep=4), BF16)
    step = replace(prefill_step(10, 3), encoder=50)
    works = [work for work in share.works(step) if work.name == "all-to-all"]
    assert [(work.times, work.activation_bytes) for work in works] == [
        (12, pytest.approx(3 * tokens / 2 * 768 * 2 * 3 / 4)) for tokens in (50, 10)
    ]


def test_a_matrix_of_each_head_pads_the_rows_of_all_of_them():
    """Latent attention meets its 16 heads' matrices of 128 x 512 with three tokens."""
    description = tf.load_model("deepseek-v2-lite").description
    works = Share(description, Layout(), BF16).works(decode_step(100, 3))
    found = next(work for work in works if work.name == "absorb keys")
    assert found.flops == 2 * 16 * 3 * 128 * 512
    assert found.row_flops == 2 * 16 * 128 * 512
    assert (found.sharing, found.uneven, found.element_flops) == (1, 0, 0)
    assert network_work("sum", 1, 8.0).sharing == 1


def test_the_last_steps_are_kept_and_large_arrays_are_not():
    share = Share(decoder().description, Layout(), BF16)
    first = share.works(decode_step(1, 1))[0]
    assert share.works(decode_step(1, 1))[0] is first
    small, large = np.arange(2048.0), np.arange(4097.0)
    kept = [share.works(decode_step(each, 1))[0] for each in (small, large)]
    assert share.works(decode_step(small, 1))[0] is kept[0]
    assert share.works(decode_step(large, 1))[0] is not kept[1]
    for cached in range(2, 100):
        share.works(decode_step(cached, 1))
    assert share.works(decode_step(1, 1))[0] is not first


def test_a_large_array_leaves_room_for_few_others():
    """A step is kept as operators and as their work: of two of 2,048, the operators of the first
    make room for the work of the second."""
    share = Share(decoder().description, Layout(), BF16)
    arrays = [np.arange(2048.0) + each for each in range(2)]
    first, second = (share.works(decode_step(each, 1))[0] for each in arrays)
    assert share.works(decode_step(arrays[1], 1))[0] is second
    assert share.works(decode_step(arrays[0], 1))[0] is not first


def test_operations_on_single_elements_are_those_of_the_conventions():
    """Of thirty tokens: 4 an element of an RMSNorm with weights, 7 of a LayerNorm with both, 5 for
    a gate's activation and product, 2 for the sums of a layer, 3 for turning queries and keys."""
    works = {work.name: work for work in Share(decoder().description, Layout(), BF16).works(
        prefill_step(10, 3))}  # fmt: skip
    assert works["norm 1"].element_flops == 4 * TOKENS * WIDTH
    assert works["silu x up"].element_flops == 5 * TOKENS * INNER
    assert works["residual"].element_flops == 2 * TOKENS * WIDTH
    assert works["rotary"].element_flops == 3 * TOKENS * (WIDTH + KEY_WIDTH)
    gpt2 = tf.load_model({"model_type": "gpt2", "n_embd": WIDTH, "n_layer": 2, "n_head": 4})
    works = {w.name: w for w in Share(gpt2.description, Layout(), BF16).works(prefill_step(10, 3))}
    assert works["norm 1"].element_flops == 7 * TOKENS * WIDTH
