"""Adapters kernel by kernel, what a host does for a device, and layers that are not alike."""

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
    WIDTH,
    decoder,
)
from thermoflop.cost.training.iteration import Iteration
from thermoflop.cost.training.memory import kept_by_a_micro_batch
from thermoflop.cost.training.remedies import _devices, _micro_batch
from thermoflop.cost.training.replicas import muon_works, optimizer_work, replica_works
from thermoflop.cost.training.work import micro_step, share_of, trained
from thermoflop.errors import UsageError

RANK, TOKENS = 4, 1000
# inputs, outputs, how many there are in a layer, how many of them a token runs
ADAPTED = {
    "q": (WIDTH, WIDTH, 1, 1), "k": (WIDTH, KEY_WIDTH, 1, 1), "v": (WIDTH, KEY_WIDTH, 1, 1),
    "o": (WIDTH, WIDTH, 1, 1), "gate": (WIDTH, INNER, 8, 2), "up": (WIDTH, INNER, 8, 2),
    "down": (INNER, WIDTH, 8, 2),
}  # fmt: skip


def asked(model: Any = None, **options: Any) -> Iteration:
    """Eight micro-batches of 1000 tokens, with adapters unless told otherwise."""
    sizes = {"global_batch": 8, "sequence": TOKENS, "lora": RANK, **options}
    question = tf.train(model or decoder(), DEVICE, **sizes).question
    assert question is not None
    return question


def exactly(value: float) -> object:
    return pytest.approx(value, rel=1e-12)


def test_an_adapter_is_two_products_and_a_sum() -> None:
    """x A, then that times B, 2 FLOPs a parameter and token; the inputs, both sides of the rank
    and the result are moved in 16 bits, weights read in fp32; the sum reads two and writes one."""
    one = asked(decoder(**MIXTURE))
    assert one.lora is not None
    works = {work.name: work for work in one.lora.works(share_of(one), (1000.0, 300.0), 2.0)}
    assert len(works) == 2 * len(ADAPTED)
    for name, (inputs, outputs, copies, met) in ADAPTED.items():
        pair, added = works[f"adapter {name}"], works[f"add {name}"]
        each, seen = RANK * (inputs + outputs), 1000 * met
        assert (pair.times, pair.launches, pair.kind) == (LAYERS, 2, "contraction"), name
        assert (pair.flops, pair.row_flops) == (2 * seen * each, 2 * each), name
        assert pair.weight_bytes == 4 * each * copies, name
        assert pair.activation_bytes == seen * (inputs + 2 * RANK + outputs) * 2, name
        assert pair.kv_bytes == added.flops == added.weight_bytes == 0
        assert (added.times, added.launches, added.kind) == (LAYERS, 1, "element-wise"), name
        assert added.activation_bytes == 3 * seen * outputs * 2, name


@pytest.mark.parametrize(
    ("model", "matrix", "sets", "ends"),
    # 10 blocks of 256 x 256; 8 groups of 64 / 8 heads of 512 elements each to 1024
    [("recurrentgemma-2b", "input_gate", 10, 256 + 256),
     ("deepseek-v4-flash", "o_a", 8, 64 // 8 * 512 + 1024)],
)  # fmt: skip
def test_a_token_runs_the_adapters_of_all_blocks_and_groups(
    model: str, matrix: str, sets: int, ends: int
) -> None:
    one = asked(model, lora_targets=matrix)
    assert one.lora is not None
    share = share_of(one)
    work = next(each for each in one.lora.works(share, (1000.0, 0.0), 2.0) if each.flops)
    assert work.flops == 2 * 1000 * sets * RANK * ends
    assert one.lora.flops(share.description, 1000) == sum(
        each.times * each.flops
        for each in one.lora.works(share, (1000.0, 0.0), 2.0) if each.kind == "contraction"
    )  # fmt: skip


def test_adapters_of_an_encoder_run_on_its_source() -> None:
    one = asked("t5-base", encoder=300, global_batch=1, sequence=200)
    assert one.lora is not None
    works = one.lora.works(share_of(one), (200.0, 300.0), 2.0)
    flops = sum(work.times * work.flops for work in works if work.kind == "contraction")
    assert flops == one.lora.flops(one.model.description, 200, 300)


def test_a_narrow_matrix_is_written_out_and_then_multiplied_in_16_bits() -> None:
    """NF4 with a scale of 32 bits for 64: 4.5 bits are read of each element and 16 written; the
    head is none of the layers', and was never narrow."""
    one = asked(base_dtype="nf4")
    assert one.lora is not None
    plain = share_of(one, one.lora).works(micro_step(TOKENS, 1, fused=True), "fused")
    done = one.lora.dequantized(plain)
    written = [work for work in done if work.name == "write out in 16 bits"]
    products = [work for work in done if work.kind == "contraction"]
    elements = LAYERS * MATRICES
    assert sum(work.times * work.activation_bytes for work in written) == exactly(
        elements * (4.5 / 8 + 2)
    )
    assert sum(work.times * work.weight_bytes for work in products) == exactly(
        2 * (elements + HEAD_MATRIX)
    )
    assert {work.kind for work in written} == {"element-wise"}
    assert [work.weight_bytes + work.kv_bytes + work.flops for work in written] == [0] * len(
        written
    )
    assert [work.flops for work in done if work.flops] == [
        work.flops for work in plain if work.flops
    ]
    wide = asked().lora
    assert wide is not None
    assert wide.dequantized(plain) == plain


@pytest.mark.parametrize(("recompute", "again"), [("none", 0), ("full", 1)])
def test_frozen_matrices_run_twice_and_adapters_thrice(recompute: str, again: int) -> None:
    one = asked(base_dtype="nf4", recompute=recompute)
    works = trained(one)[1].works
    times = {work.name: work.times for work in works if work.part != "head"}
    assert times["up_proj"] == times["write out in 16 bits"] == (2 + again) * LAYERS
    assert times["adapter up"] == times["add up"] == (3 + again) * LAYERS
    heads = [work.times for work in works if "head" in work.part and work.kind == "contraction"]
    assert heads == [2]  # back to the layers, and not again


@pytest.mark.parametrize(
    ("targets", "dropped"),
    [
        ("all-linear", 0), ("q", WIDTH + INNER), ("k", WIDTH + INNER), ("v,up", INNER),
        ("o", 2 * WIDTH + INNER), ("gate", WIDTH + INNER), ("down", 2 * WIDTH), ("up,down", WIDTH),
        ("q,down", WIDTH), ("attention", WIDTH + INNER), ("mlp", WIDTH), ("q,gate", INNER),
    ],
)  # fmt: skip
def test_an_input_is_kept_for_an_adapter_alone(targets: str, dropped: int) -> None:
    """q, k and v have one input, gate and up another; that of down is the neurons."""
    one = asked(lora_targets=targets)
    (layer,) = {run.layer for run in one.model.description.stacks[0].runs}
    assert one.lora is not None
    assert one.lora.dropped_elements(layer) == dropped


def test_neurons_of_two_experts_are_dropped_and_none_of_a_layer_without_a_feed_forward() -> None:
    one = asked(decoder(**MIXTURE), lora_targets="q,gate")
    assert one.lora is not None
    assert one.lora.dropped_elements(one.model.description.stacks[0].runs[0].layer) == 2 * INNER
    mamba = tf.load_model({"model_type": "mamba", "vocab_size": 1000, "hidden_size": WIDTH,
                           "num_hidden_layers": LAYERS, "state_size": 16})  # fmt: skip
    for target, dropped in (("in_proj", 0), ("out_proj", WIDTH)):
        one = asked(mamba, lora_targets=target)
        assert one.lora is not None
        layer = one.model.description.stacks[0].runs[0].layer
        assert one.lora.dropped_elements(layer) == dropped


def test_what_frozen_experts_read_is_not_kept() -> None:
    """Two experts of a token read 256 elements each, for gradients of their weights alone."""
    kept = {
        targets: kept_by_a_micro_batch(asked(decoder(**MIXTURE), lora_targets=targets))
        for targets in ("q,gate", "q")
    }
    each = 2 * LAYERS * TOKENS
    # and what the feed-forward reads before it is laid out by expert
    assert kept["q,gate"] - kept["q"] == each * (2 * WIDTH + WIDTH)


def test_gradients_of_adapters_are_summed_once_and_a_shared_base_is_gathered_as_it_is() -> None:
    """Over four replicas; 4.5 bits of the layers' matrices, 16 of all else, twice a micro-batch;
    within two of them where they share in twos."""
    params = decoder().params
    adapters = LAYERS * RANK * sum(i + o for i, o, _, _ in ADAPTED.values())
    base = (params - LAYERS * MATRICES) * 2 + LAYERS * MATRICES * 4.5 / 8

    def sent(**options: Any) -> list[dict[str, float]]:
        one = asked(devices=4, base_dtype="nf4", **options)
        return [{work.name: work.times * work.activation_bytes for work in works}
                for works in replica_works(one, share_of(one))]  # fmt: skip

    once = {"gradients of adapters": exactly(2 * 3 / 4 * 2 * adapters)}
    assert sent(zero=1) == sent(zero=2) == [{}, once]
    assert sent(zero=3) == [{"gather weights": exactly(2 * 3 / 4 * base)}, once]
    assert sent(zero=3, shard=2) == [{"gather weights": exactly(2 * 1 / 2 * base)}, once]
    assert sent(zero=3, shard=1) == [{}, once]
    assert sent(zero=3, cp=2) == sent(zero=3)
    staged = sent(zero=3, pp=2)
    assert staged == [{}, {"gradients of adapters": exactly(2 * 1 / 2 * 2 * adapters / 2)}]


def test_steps_of_a_collective_are_those_of_a_tree_in_every_layer() -> None:
    """Of 8 ranks three, of 5 as many; each layer sends its own."""
    for devices, steps in ((2, 1), (5, 3), (8, 3)):
        one = asked(lora=None, devices=devices, global_batch=40, zero=3)
        each, _ = replica_works(one, share_of(one))
        assert {(work.name, work.times, work.flops) for work in each} == {
            ("gather weights", 2 * LAYERS, steps), ("gradients", LAYERS, steps),
        }  # fmt: skip


def test_a_step_reads_and_writes_states_of_what_is_trained() -> None:
    """Adam of Megatron-LM's states: the gradient of 4 bytes, master and two moments of 12 read and
    written, the weight of 2; adapters keep no master. A host that steps leaves nothing to do."""
    params = decoder().params
    adapters = LAYERS * RANK * sum(i + o for i, o, _, _ in ADAPTED.values())

    def moved(**options: Any) -> float:
        one = asked(**options)
        return float(optimizer_work(one, share_of(one)).activation_bytes)

    assert moved(lora=None) == params * (4 + 2 * 12 + 2)
    assert moved(lora=None, devices=4) == params * (4 + 2 * 12 + 2) / 4
    assert moved() == adapters * (4 + 2 * 8 + 4)
    assert moved(lora=None, zero=2, offload="optimizer") == 0
    assert moved(lora=None, offload="activations") == params * (4 + 2 * 12 + 2)


def test_newton_and_schulz_move_what_their_products_read_and_write() -> None:
    """X X^T (n m + m^2), its square (2 m^2), and the sum times X with the rest: 4 n m + 4 m^2
    elements of 16 bits, five times in three kernels."""
    one = asked(
        lora=None, optimizer="muon", zero=0
    )  # nothing is shared, whatever replicas there are
    works = muon_works(one, share_of(one))
    assert len(works) == 7
    for work in works:
        short, long = {"q_proj": (WIDTH, WIDTH), "o_proj": (WIDTH, WIDTH)}.get(
            work.name.removeprefix("orthogonal "), (KEY_WIDTH, WIDTH)
        )
        if any(each in work.name for each in ("gate", "up", "down")):
            short, long = WIDTH, INNER
        assert work.activation_bytes == 5 * 2 * (4 * long * short + 4 * short**2)
        assert work.flops == 5 * (4 * long * short**2 + 2 * short**3)
        assert work.row_flops == work.flops / long
        assert (work.launches, work.weight_bytes, work.kv_bytes) == (15, 0, 0)
        assert work.times == LAYERS


def test_a_host_serves_the_devices_of_a_node_from_one_memory() -> None:
    """Four replicas step a quarter each, at a quarter of the bandwidth; of sixteen devices eight
    are in a node. Under ZeRO-1 gradients are whole once; what the link cannot hide waits."""
    params = decoder().params

    def host(**changes: Any) -> Any:
        sizes = {"global_batch": 16, "sequence": TOKENS, "offload": "optimizer"}
        return tf.train(decoder(), DEVICE, **sizes, **changes).host

    four = host(zero=2, devices=4)
    assert (four.sharing, four.step_s) == (4, exactly(30 * params / 200e9))
    assert host(zero=2, devices=16).sharing == 8
    whole = host(zero=1)
    assert whole.moved_bytes == 2 * params * 2
    assert whole.host_bytes == 16 * params
    assert whole.exposed_s == exactly(whole.step_s)  # the link is as fast as PCIe
    slow = host(zero=1, host_gb_s=1e-6)
    assert slow.exposed_s == pytest.approx(2 * params / 1e3 + slow.step_s, rel=1e-3)
    assert slow.link_bytes_s == 1e3


def test_a_frozen_base_on_the_host_is_kept_as_it_is() -> None:
    """A quarter of it for each of four replicas, and there twice a micro-batch: 2 x 2 of them."""
    base = (decoder().params - LAYERS * MATRICES) * 2 + LAYERS * MATRICES * 4.5 / 8
    found = tf.train(decoder(), DEVICE, global_batch=8, sequence=TOKENS, devices=4, zero=3, lora=4,
                     base_dtype="nf4", offload="parameters")  # fmt: skip
    assert found.host is not None
    assert found.host.host_bytes == exactly(base / 4)
    assert found.host.moved_bytes == exactly(2 * 2 * base / 4)
    assert found.host.step_s == 0


@pytest.mark.parametrize(("layers", "left"), [(1, 1), (2, 2), (8, 2)])
def test_activations_of_two_layers_stay_where_the_host_keeps_the_rest(
    layers: int, left: int
) -> None:
    found = tf.train(decoder(num_hidden_layers=layers), DEVICE, global_batch=1, sequence=TOKENS,
                     recompute="full", offload="activations")  # fmt: skip
    assert found.memory.activation_bytes == exactly(left * 2 * TOKENS * WIDTH)
    assert found.host is not None
    assert found.host.host_bytes == exactly(layers * 2 * TOKENS * WIDTH)


# A first layer of 2048 neurons, a second with 64 experts of 64, two of which run on a token: the
# one has the widest activations, the other the most parameters.
DENSE, EXPERTS, EXPERT = 2048, 64, 64
UNLIKE: Any = {
    "model_type": "qwen3_moe", "vocab_size": 10, "hidden_size": WIDTH, "intermediate_size": DENSE,
    "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 64,
    "mlp_only_layers": [0], "num_experts": EXPERTS, "num_experts_per_tok": 2,
    "moe_intermediate_size": EXPERT, "tie_word_embeddings": False,
}  # fmt: skip
OF_ATTENTION = 2 * WIDTH * WIDTH + 2 * WIDTH * KEY_WIDTH + 2 * WIDTH + 2 * 64


def test_the_fullest_moment_is_of_the_widest_layer_and_the_largest_is_gathered() -> None:
    """Recomputed: what the first layer keeps (34 bytes' way: 5 x 2 outside, q, k, v, o and three
    of its neurons inside) and gradients of its widest; gathered: the second's, twice in 16 bits
    and its gradients in fp32; of a base in 4.5 bits twice that, and its largest matrix in 16."""
    options: Any = {"global_batch": 2, "sequence": TOKENS, "devices": 2, "zero": 3}
    logits = 2 * TOKENS * 10
    kept = 2 * TOKENS * (5 * WIDTH + 2 * WIDTH + 2 * KEY_WIDTH + 3 * DENSE)
    widest = 2 * TOKENS * (2 * WIDTH + 3 * DENSE)
    largest = OF_ATTENTION + EXPERTS * WIDTH + EXPERTS * 3 * WIDTH * EXPERT
    once = tf.train(UNLIKE, DEVICE, **options).memory
    assert once.working_bytes == exactly(widest + largest * (2 * 2 + 4) - logits)
    again = tf.train(UNLIKE, DEVICE, **options, recompute="full").memory
    assert again.working_bytes == exactly(kept + widest + largest * (2 * 2 + 4) - logits)
    assert again.activation_bytes == 2 * 2 * TOKENS * WIDTH
    frozen = tf.train(UNLIKE, DEVICE, **options, lora=4, base_dtype="nf4").memory
    narrow = largest * 2 * 4.5 / 8 + 2 * WIDTH * DENSE
    assert frozen.working_bytes == exactly(widest + narrow - logits)


def test_what_is_recomputed_in_part_is_kept_whole_for_a_moment_and_narrow_products_in_16_bits() -> (
    None
):
    options: Any = {"global_batch": 2, "sequence": TOKENS, "devices": 1}
    logits = 2 * TOKENS * 10
    kept = 2 * TOKENS * (5 * WIDTH + 2 * WIDTH + 2 * KEY_WIDTH + 3 * DENSE)
    widest = 2 * TOKENS * (2 * WIDTH + 3 * DENSE)
    for dtype in ("bf16", "fp8"):
        none = tf.train(UNLIKE, "h100", **options, dtype=dtype).memory
        assert none.working_bytes == exactly(widest - logits)
        half = tf.train(UNLIKE, "h100", **options, dtype=dtype, recomputed=0.5).memory
        assert half.working_bytes == exactly(kept + widest - logits)
        padded = tf.train(UNLIKE, "h100", **options, dtype=dtype, padded=0.5).memory
        assert padded.working_bytes == exactly(widest - logits)


def test_stages_gather_weights_and_gradients_of_all_their_experts_under_zero_3() -> None:
    """Half of the layers with the table of ten words, whole besides the share of each replica."""
    options: Any = {"devices": 4, "pp": 2, "dp": 2, "global_batch": 4, "zero": 3}
    model = decoder(**MIXTURE, vocab_size=10)
    held = (model.params - 2 * 10 * WIDTH - WIDTH) / 2 + 10 * WIDTH
    found = tf.train(model, DEVICE, **options).memory
    assert found.gradient_bytes == exactly(4 * held)
    assert found.weight_bytes == exactly(2 * held / 2 + 2 * held)


@pytest.mark.parametrize(("recompute", "runs"), [("none", 3), ("full", 4)])
def test_documents_that_do_not_fill_the_sequences_count_their_part(
    recompute: str, runs: int
) -> None:
    """Of 2,000 tokens in documents of 300 six are whole and a seventh two thirds."""
    found = tf.train(decoder(), DEVICE, global_batch=2, sequence=TOKENS, lengths=300,
                     recompute=recompute)  # fmt: skip
    layers = 2 * LAYERS * MATRICES + 4 * LAYERS * WIDTH * 300
    head = 2 * HEAD_MATRIX
    assert found.model_flops == pytest.approx(2000 * 3 * (layers + head), rel=1e-9)
    assert found.hardware_flops == pytest.approx(2000 * (runs * layers + 3 * head), rel=1e-9)


def test_of_the_layers_of_a_stage_two_keep_their_activations_on_the_device() -> None:
    """Eight layers in two stages of three replicas: half of what four keep."""
    options: Any = {"devices": 6, "pp": 2, "global_batch": 6, "sequence": TOKENS}
    whole, away = (
        tf.train(decoder(num_hidden_layers=8, vocab_size=10), DEVICE, **options, offload=offload)
        for offload in (None, "activations")
    )
    assert away.memory.activation_bytes == exactly(whole.memory.activation_bytes * 2 / 4)


def test_a_rank_is_at_most_65536() -> None:
    assert asked(lora=65_536).lora is not None
    for rank in (65_537, 0, -1, 4.0):
        with pytest.raises(UsageError, match="expected a rank, a whole number from 1 to 65,536"):
            asked(lora=rank)


def test_a_smaller_micro_batch_divides_what_a_replica_has() -> None:
    """Four replicas of two expert-parallel devices have six sequences each."""
    one = asked(decoder(**MIXTURE), lora=None, devices=4, ep=2, global_batch=24, micro_batch=3)
    assert [each.value for each in _micro_batch(one)] == [2, 1]
    assert [each.value for each in _devices(one)] == [8]


def test_adapters_beside_products_in_8_bits_move_16() -> None:
    """The sum of a result with its adapter's: two of a thousand rows read and one written."""
    found = tf.train(decoder(), "h100", global_batch=8, sequence=TOKENS, lora=RANK, dtype="fp8")
    assert found.question is not None
    added = next(work for work in trained(found.question)[1].works if work.name == "add q")
    assert added.activation_bytes == 3 * TOKENS * WIDTH * 2


@pytest.mark.parametrize(("zero", "shared"), [(0, 1), (1, 1), (2, 1), (3, 4)])
def test_a_frozen_base_is_shared_out_with_the_weights_alone(zero: int, shared: int) -> None:
    """Four replicas: under ZeRO-3 each holds a quarter of the base, and of the adapters."""
    adapters = LAYERS * RANK * sum(i + o for i, o, _, _ in ADAPTED.values())
    found = tf.train(decoder(), DEVICE, global_batch=8, sequence=TOKENS, devices=4, zero=zero,
                     lora=RANK).memory  # fmt: skip
    assert found.weight_bytes == exactly((2 * decoder().params + 4 * adapters) / shared)
    assert found.gradient_bytes == exactly(4 * adapters / (4 if zero >= 2 else 1))
