"""Training an encoder with a decoder, added up by hand from T5's and BART's shapes."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import thermoflop as tf
from thermoflop.base.record import replace
from thermoflop.cost.training.source import encoder_bytes
from thermoflop.cost.work.share import Layout
from thermoflop.errors import UsageError

# T5 base: width 768, 12 + 12 layers, heads x 64 = 768, feed-forward 3072, vocabulary 32128
H, F, L, V = 768, 3072, 12, 32128
S, T = 384, 128  # source, target
NORMS = 2 * H * L + H, 3 * H * L + H  # of the encoder and the decoder, each with a last one
BUCKETS = 32 * 12  # relative positions of each


def products(source: int, target: int) -> tuple[int, int]:
    """Multiplications of one pair without attention's scores and values: encoder, decoder."""
    encoder = source * L * (4 * H * H + 2 * H * F)
    across = L * (2 * H * H * target + 2 * H * H * source)  # q and o; k and v of the source
    return encoder, target * L * (4 * H * H + 2 * H * F) + across + target * H * V


def scores(source: int, target: int, pairs: int) -> int:
    """Multiplications of scores and values; ``pairs`` of target tokens in the decoder's own."""
    return 2 * H * L * (source * source + pairs + target * source)


def test_flops_are_three_times_the_forward_pass_of_both() -> None:
    t = tf.train("t5-base", "a100", sequence=T, encoder=S, global_batch=16)
    forward = sum(products(S, T)) + scores(S, T, T * T)
    assert t.model_flops == t.hardware_flops == 16 * 3 * 2 * forward
    again = forward - T * H * V  # all but the head
    full = tf.train("t5-base", "a100", sequence=T, encoder=S, global_batch=16, recompute="full")
    assert full.hardware_flops - full.model_flops == 16 * 2 * again


def test_the_bound_is_those_flops_at_the_peak_with_the_decoders_own_mask() -> None:
    t = tf.train("t5-base", "a100", sequence=T, encoder=S, global_batch=16)
    forward = sum(products(S, T)) + scores(S, T, T * (T + 1) // 2)
    assert t.iteration.bound_s == pytest.approx(16 * 6 * forward / 312e12, rel=1e-3)
    longer = tf.train("t5-base", "a100", sequence=T, encoder=512, global_batch=16)
    more = sum(products(512, T)) + scores(512, T, T * (T + 1) // 2)
    assert longer.iteration.bound_s / t.iteration.bound_s == pytest.approx(more / forward)
    assert longer.iteration.expected_s > t.iteration.expected_s


def test_the_rule_of_thumb_counts_each_parameter_with_the_tokens_that_it_meets() -> None:
    t = tf.train("t5-base", "a100", sequence=T, encoder=S, global_batch=16)
    encoder = L * (4 * H * H + 2 * H * F) + NORMS[0] + BUCKETS + V * H
    decoder = L * (8 * H * H + 2 * H * F) + NORMS[1] + BUCKETS
    assert t.params == encoder + decoder
    assert t.six_n_flops == 6 * 16 * (encoder * S + decoder * T)


def test_activations_are_korthikantis_with_cross_attention_beside() -> None:
    """34 bytes a token and element of a layer without scores (2 x (4 h + 8 h) inside, 10 outside).
    Cross attention keeps 4 for queries and results and 5 outside on a target token, 4 for keys and
    values on a source token, and the encoder's result once."""
    t = tf.train("t5-base", "a100", sequence=T, encoder=S, global_batch=16, micro_batch=4)
    kept = 4 * H * (34 * L * S + (34 + 4 + 5) * L * T + 4 * L * S + 2 * S)
    assert t.memory.activation_bytes == kept
    full = tf.train("t5-base", "a100", sequence=T, encoder=S, micro_batch=4, recompute="full")
    assert full.memory.activation_bytes == 4 * H * 2 * (L * S + L * T + S)
    scored = tf.train("t5-base", "a100", sequence=T, encoder=S, micro_batch=4, flash=False)
    pairs = 12 * (S * S + T * T + T * S)  # heads x pairs, 5 bytes each
    assert scored.memory.activation_bytes == kept + 4 * 5 * L * pairs


def test_logits_are_the_decoders_and_states_those_of_all_parameters() -> None:
    t = tf.train("t5-base", "a100", sequence=T, encoder=S, micro_batch=4)
    assert t.memory.logit_bytes == 2 * 4 * T * V
    assert t.memory.weight_bytes == 2 * t.params


def test_every_other_product_is_kept_where_operators_are_recomputed() -> None:
    """Encoder: q, v, up of a source token, and the result of attention. Decoder: q, v, then of
    cross attention q and v (of the source), up; two results of attention."""
    t = tf.train("t5-base", "a100", sequence=T, encoder=S, micro_batch=4, recompute="operators")
    encoder = S * L * (H + 2 * H + F + H)
    decoder = L * (T * (H + 2 * H + H + F + 2 * H) + S * H)
    assert t.memory.activation_bytes == 4 * 2 * (encoder + decoder + S * H)


def test_adapters_run_on_the_tokens_of_their_matrices() -> None:
    base = tf.train("t5-base", "a100", sequence=T, encoder=S, global_batch=16, lora=8)
    forward = sum(products(S, T)) + scores(S, T, T * T)
    square, wide = 8 * 2 * H, 8 * (H + F)
    adapters = S * L * (4 * square + 2 * wide) + T * L * (4 * square + 2 * wide)
    adapters += L * 2 * square * (T + S)
    frozen = sum(products(S, T))
    assert base.model_flops == 16 * 2 * (3 * (forward + adapters) - frozen)


def test_tensor_parallel_devices_sum_the_results_of_both() -> None:
    """Two sums an encoder layer of the source, three a decoder layer of the target, twice each for
    both passes."""
    from thermoflop.cost.training.work import trained

    question = tf.train("t5-base", "a100", sequence=T, encoder=S, tp=2, micro_batch=4).question
    assert question is not None
    works = [work for phase in trained(question) for work in phase.works]
    sums = [work for work in works if work.name == "all-reduce"]
    # 2 (t - 1)/t of a message of 2 bytes an element, for two devices as much as the message
    sizes = {work.activation_bytes: work.times for work in sums}
    assert sizes == {4 * S * H * 2: 2 * 2 * L, 4 * T * H * 2: 2 * 3 * L}


def test_a_source_is_as_long_as_the_sequence_or_as_the_model_always_has() -> None:
    assert tf.train("t5-base", "a100").encoder == 512
    whisper = tf.train("whisper-tiny", "a100", micro_batch=2)
    assert (whisper.encoder, whisper.sequence) == (1500, 448)
    # convolutions keep their results before and behind the activation: of 3000 and 1500 positions
    layers = 4 * (34 * 1500 + (34 + 4 + 5) * 448 + 4 * 1500)
    outside = 2 * (1500 + 2 * (3000 + 1500))
    assert whisper.memory.activation_bytes == 2 * 384 * (layers + outside)
    assert tf.train("led-base", "a100", encoder=16384).encoder == 16384
    assert tf.train("gpt2", "a100").encoder is None


def test_convolutions_over_frames_keep_two_of_each_position() -> None:
    """Of ten positions of 384: results of 7 over frames and of 5 over positions, before and behind
    their activation, in two bytes."""
    stack = tf.load_model("whisper-tiny").description.stack("encoder")
    first, second, *rest = stack.front
    front = [replace(placed, part=replace(placed.part, outputs=outputs))
             for placed, outputs in ((first, 7), (second, 5))]  # fmt: skip
    description = SimpleNamespace(stack=lambda _: replace(stack, front=(*front, *rest)))
    one = SimpleNamespace(
        model=SimpleNamespace(description=description), tokens=lambda _: 10,
        precision=SimpleNamespace(activation_bytes=2), plan=Layout(tp=4, sequence=True),
    )  # fmt: skip
    kept = 2 * 10 * (384 + 2 * (2 * 7 + 5))
    assert encoder_bytes(one) == kept / 4
    one.plan = Layout(tp=4)
    assert encoder_bytes(one) == kept


@pytest.mark.parametrize(
    ("model", "options", "said"),
    [
        ("gpt2", {"encoder": 64}, "gpt2 has no encoder: encoder=64"),
        ("bart-base", {"encoder": 1025}, "encoder=1025 passes the 1024 positions of bart-base's"),
        ("whisper-tiny", {"encoder": 1501}, "passes the 1500 positions"),
        ("t5-base", {"encoder": 0}, "encoder=0 makes no sense"),
        ("t5-base", {"pp": 2}, "pp=2 is not counted for t5-base"),
        ("t5-base", {"cp": 2}, "cp=2 is not counted for t5-base"),
        ("t5-base", {"lengths": 64}, "documents are not packed beside the sources"),
    ],
)
def test_what_is_not_counted_is_refused(model: str, options: dict[str, int], said: str) -> None:
    with pytest.raises(UsageError) as refused:
        tf.train(model, "a100", **options)
    assert said in str(refused.value)


def test_experts_of_an_encoder_meet_the_tokens_of_its_source() -> None:
    from thermoflop.cost.work.network import expert_parallel_works

    description = tf.load_model("switch-base-8").description
    works = expert_parallel_works(description, 100.0, 2.0, 2, source=300.0)
    # one expert a token: half of 768 elements go to the other device; six layers of each
    assert [(work.activation_bytes, work.times) for work in works] == [
        (300 * 768 * 2 / 2, 12),
        (100 * 768 * 2 / 2, 12),
    ]


def test_activations_of_products_in_8_bits_are_kept_in_16() -> None:
    wide, narrow = (
        tf.train("t5-base", "h100", sequence=T, encoder=S, dtype=dtype) for dtype in ("bf16", "fp8")
    )
    assert narrow.precision.weight_bytes < narrow.precision.activation_bytes == 2
    assert narrow.memory.activation_bytes == wide.memory.activation_bytes
