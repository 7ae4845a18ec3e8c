"""The changes that are tried where training does not fit: which, in which order, of what."""

from __future__ import annotations

import pytest
import thermoflop as tf
from kit.made_up import DEVICE, decoder
from thermoflop.base.record import replace
from thermoflop.cost.training.lora import choose_lora
from thermoflop.cost.training.remedies import (
    JOINED,
    KINDS,
    _adapters,
    _devices,
    _in_backward,
    _loss,
    _micro_batch,
    _needed,
    _offload,
    _optimizer,
    _recompute,
    _together,
    _zero,
    training_remedies,
)


def asked(gpu=DEVICE, **options):
    """An iteration of 24 sequences over two replicas, four at once."""
    sizes = {"devices": 2, "global_batch": 24, "micro_batch": 4, "sequence": 1000, **options}
    return tf.train(decoder(), gpu, **sizes).question


PAGED = "paged-adamw-8bit-bf16"
PLAIN = asked()
ADAPTED = asked(lora=4)


@pytest.mark.parametrize(
    ("kind", "iteration", "values"),
    [
        (_micro_batch, PLAIN, [3, 2, 1]),  # of twelve, that three, two and one divide
        (_micro_batch, asked(micro_batch=1), []),
        (_micro_batch, asked(micro_batch=6), [4, 3, 2, 1]),
        (_loss, PLAIN, ["fused"]), (_loss, asked(loss="full"), ["chunked", "fused"]),
        (_loss, asked(loss="chunked"), ["fused"]), (_loss, asked(loss="fused"), []),
        (_recompute, PLAIN, ["fine-grained", "full"]), (_recompute, asked(recompute="full"), []),
        (_recompute, asked(flash=False), ["fine-grained", "selective", "full"]),
        (_recompute, asked(flash=False, recompute="selective"), ["full"]),
        (_recompute, asked(recompute="selective"), ["fine-grained", "full"]),
        (_recompute, asked(flash=False, recompute="full"), []),
        (_recompute, asked(recompute="fine-grained"), ["full"]),
        (_zero, PLAIN, [2, 3]), (_zero, asked(zero=0), [1, 2, 3]), (_zero, asked(zero=3), []),
        (_zero, asked(devices=1), []), (_zero, asked(tp=2), []),
        (_offload, PLAIN, ["optimizer", "activations"]), (_offload, ADAPTED, ["activations"]),
        (_offload, asked(offload="activations"), []), (_offload, asked(gpu="dgx spark"), []),
        (_optimizer, PLAIN, ["adamw-8bit", "adamw-8bit-bf16", PAGED]), (_optimizer, ADAPTED, []),
        (_optimizer, asked(gpu="m4 max"), ["adamw-8bit", "adamw-8bit-bf16"]),
        (_optimizer, asked(optimizer="adamw-8bit"), ["adamw-8bit-bf16", PAGED]),
        (_optimizer, asked(optimizer="adamw-bf16"), ["adamw-8bit", "adamw-8bit-bf16", PAGED]),
        (_in_backward, PLAIN, ["True"]), (_in_backward, asked(pp=2), []),
        (_in_backward, ADAPTED, []), (_in_backward, asked(in_backward=True, global_batch=8), []),
        (_optimizer, asked(optimizer="muon"), []), (_optimizer, asked(optimizer="sgd"), []),
    ],
)  # fmt: skip
def test_a_kind_of_change_has_these_values(kind, iteration, values):
    found = list(kind(iteration))
    assert [each.value for each in found] == values
    for each in found:
        assert kind is _in_backward or str(each.value) in each.text
        assert each.iteration != iteration


def test_a_change_is_made_of_what_it_names():
    assert [each.iteration.micro_batch for each in _micro_batch(PLAIN)] == [3, 2, 1]
    assert [each.iteration.zero for each in _zero(PLAIN)] == [2, 3]
    assert [each.iteration.loss for each in _loss(asked(loss="full"))] == ["chunked", "fused"]
    again = next(_recompute(asked(recomputed=0.5))).iteration
    assert (again.recompute, again.recomputed, again.by_operator) == ("fine-grained", 0.0, False)
    assert next(_offload(PLAIN)).iteration.offload.parts == {"optimizer"}


def test_all_together_is_the_last_of_each_kind():
    last = _together(PLAIN)
    assert last.text == (
        f"--micro-batch 1 --loss fused --recompute full --zero 3 --optimizer {PAGED}"
    )
    assert (last.kind, last.value) == ("together", 5)
    assert _together(PLAIN, JOINED[:1]).text == "--micro-batch 1"
    assert len(KINDS) == len(JOINED) + 1
    # what fits without any of them needs none
    assert _needed(PLAIN).value == 0


@pytest.mark.parametrize(
    ("iteration", "first", "count"),
    [
        # 24 sequences in fours: three or six replicas
        (PLAIN, 3, [3, 6]), (asked(micro_batch=12), None, []), (asked(tp=2), 4, [4, 6, 12]),
        (asked(micro_batch=1, devices=12), 24, [24]),
    ],
)  # fmt: skip
def test_more_devices_share_all_states_as_the_batch_is_shared_out(iteration, first, count):
    found = list(_devices(iteration, "--zero 3 --loss fused"))
    assert [each.value for each in found] == count
    for each in found:
        assert each.iteration.plan.devices == each.value
        assert (each.iteration.zero, each.iteration.shard) == (3, None)
        assert each.text == f"--devices {each.value} --zero 3 --loss fused"
    assert (found[0].value if found else None) == first


def test_adapters_lie_beside_16_bits_then_4():
    found = list(_adapters(PLAIN, "--loss fused"))
    assert [each.text for each in found] == [
        "--lora 16 --loss fused", "--lora 16 --base nf4 --loss fused",
    ]  # fmt: skip
    assert [each.value for each in found] == [16, "nf4"]
    assert [each.iteration.lora.rank for each in found] == [16, 16]
    assert [each.iteration.lora.base.name for each in found] == ["bf16", "nf4"]
    (narrow,) = _adapters(ADAPTED)
    assert (narrow.text, narrow.iteration.lora.rank) == ("--lora 4 --base nf4", 4)


def test_adapters_have_names_in_groups_and_without_endings():
    model, base = decoder(), PLAIN.precision
    found = choose_lora(model, 4, "mlp,q", base, None)
    assert found.targets == {"gate", "up", "down", "q"}
    assert choose_lora(model, 4, "q_proj k_proj, v", base, None).targets == {"q", "k", "v"}
    assert choose_lora(model, None, "q", base, None) is None
    assert {name.partition("_")[0] for name in choose_lora(
        model, 4, "all-linear", base, None).targets} == {
        "q", "k", "v", "o", "gate", "up", "down"}  # fmt: skip


def test_a_run_that_fits_with_one_change_is_told_the_least_of_each_kind():
    """Of 10 GB logits of a large vocabulary take most: fewer at once, in pieces, or not at all."""
    small = replace(DEVICE, memory_bytes=9e9)
    large = tf.train(decoder(vocab_size=200_000), small, devices=2, global_batch=24, loss="full",
                     micro_batch=4, sequence=1000).question  # fmt: skip
    found = training_remedies(large)
    assert [each.kind for each in found][:2] == ["micro_batch", "loss"]
    assert training_remedies(PLAIN) == ()
