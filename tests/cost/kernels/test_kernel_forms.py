"""The time of a kernel, class by class, beside the arithmetic of its form."""

from __future__ import annotations

import numpy as np
import pytest
from thermoflop.cost.kernels.forms import FORMS

# one byte a second, one FLOP a second, one cycle a second: every time is a count
UNIT = {
    "peak": 1.0, "peak16": 1.0, "peak_best": 1.0, "bandwidth": 1.0, "clock": 1.0, "cores": 1.0,
    "exp": 1.0, "link": 1.0, "on_chip_bytes": 0.0,
}  # fmt: skip
NEVER = 1e30  # a rate that costs nothing


def rates(name: str, **given: float) -> dict[str, float]:
    """Fractions of 1 and costs of 0, unless given."""
    plain = {"split": NEVER, "spread": 1.0, "switch": 1.0}
    return {
        key: given.get(key, plain.get(key, 0.0 if each.limit is None else 1.0))
        for key, each in FORMS[name].parameters.items()
    }


def seconds(name: str, sizes: dict[str, float], **given: float) -> float:
    return float(FORMS[name].seconds({**UNIT, **sizes}, rates(name, **given)))


PRODUCT = {"m": 2.0, "n": 3.0, "k": 5.0, "weight_bytes": 1.0, "activation_bytes": 2.0,
           "quantizes": 0.0}  # fmt: skip
CACHE = {"batch": 2.0, "context": 7.0, "heads": 6.0, "kv_heads": 2.0, "dim": 4.0, "out_dim": 4.0,
         "cache_bytes": 1.0, "new": 7.0}  # fmt: skip


def test_a_product_pads_rows_and_depth_and_walks_over_k():
    fast = {**PRODUCT, "bandwidth": NEVER}
    assert seconds("gemm", fast, m_half=1, k_half=4) == pytest.approx(2 * 3 * 3 * 9)
    assert seconds("gemm", {**fast, "peak": NEVER}, cycles_per_k=3) == pytest.approx(15)
    assert seconds("gemm", {**fast, "peak": NEVER}, fixed_s=2, cycles_per_k=1) == pytest.approx(7)


def test_a_product_moves_weights_and_rows_and_what_it_quantizes():
    slow = {**PRODUCT, "peak": NEVER}
    rows = 2 * (5 * 2 + 2 * 3)
    assert seconds("gemm", slow, weights=0.5) == pytest.approx(15 / 0.5 + rows)
    quantized = seconds("gemm", {**slow, "quantizes": 1.0}, quantize_s=3)
    assert quantized == pytest.approx(15 + rows + 3 + 2 * 5 * (2 + 2))


def test_decoding_reads_the_cache_once_for_the_heads_that_share_it():
    once = 4 * 2 * 6 * 4
    slow = {**CACHE, "peak16": NEVER}
    assert seconds("decode attention", slow) == pytest.approx(2 * 2 * 7 * 2 * 4 + once)
    fast = {**CACHE, "bandwidth": NEVER}
    # 3 heads and one row of padding share a key: 8 rows of 4 numbers, twice, two FLOPs each
    assert seconds("decode attention", fast, q_half=1) == pytest.approx(4 * 4 * 2 * 2 * 4 * 7)


def test_decoding_is_affine_in_the_context_on_both_sides_of_a_knee():
    """A closed form of a generation rests on it."""
    given = rates("decode attention", cycles_per_key=2, split=1000.0, fixed_s=3, q_half=1)
    contexts = np.array([100.0, 300.0, 500.0, 1100.0, 2100.0, 3100.0])
    times = FORMS["decode attention"].seconds({**UNIT, **CACHE, "context": contexts}, given)
    first, second = np.diff(times)[:2], np.diff(times)[3:]
    assert first[0] == pytest.approx(first[1])
    assert second[0] == pytest.approx(second[1])
    assert second[0] / 1000 < first[0] / 200  # beyond the knee blocks share a sequence


def test_latent_decoding_reads_one_vector_for_all_heads():
    sizes = {**CACHE, "dim": 5.0, "out_dim": 3.0, "peak16": NEVER}
    assert seconds("latent decode attention", sizes) == pytest.approx(2 * 7 * 5 + 2 * 2 * 6 * 8)
    fast = {**sizes, "peak16": 1.0, "bandwidth": NEVER}
    flops = 2 * 2 * 7 * (6 + 2) * 8
    assert seconds("latent decode attention", fast, q_half=2) == pytest.approx(flops)


def test_a_prompt_is_half_as_fast_at_its_half_length():
    sizes = {**CACHE, "bandwidth": NEVER, "exp": NEVER}
    long = 2 * 8 * 2 * 6 * 7 * 7 / 2
    assert seconds("prompt attention", sizes) == pytest.approx(long)
    assert seconds("prompt attention", sizes, half=7) == pytest.approx(2 * long)


def test_the_softmax_of_a_prompt_has_a_unit_of_its_own():
    sizes = {**CACHE, "bandwidth": NEVER, "peak": NEVER, "cores": 2.0, "exp": 4.0}
    pairs = 2 * 6 * 7 * 7 / 2
    assert seconds("prompt attention", sizes, softmax=0.5) == pytest.approx(pairs / 8 / 0.5)


EXPERTS = {"tokens": 6.0, "topk": 2.0, "experts": 4.0, "ep": 1.0, "tp": 1.0, "hidden": 3.0,
           "inner": 5.0, "matrices": 3.0, "skewed": 0.0, "weight_bytes": 1.0}  # fmt: skip


def test_rows_are_padded_for_each_expert_that_is_chosen():
    """Beside the products go 4 bytes a hidden and 6 an inner number of each of the 12 rows."""
    passed = 12 * (4 * 3 + 6 * 5)
    fast = {**EXPERTS, "bandwidth": NEVER}
    assert seconds("experts", fast, m_half=2) == pytest.approx(2 * 45 * (12 + 2 * 4))
    one = seconds("experts", {**EXPERTS, "peak": NEVER})
    assert one == pytest.approx(45 * 4 + passed)


def test_an_expert_that_nobody_chose_is_not_read():
    """Power law with exponent 1: of 4 experts 4 (1 - 1/(1 + 12/4)) = 3 are chosen."""
    sizes = {**EXPERTS, "peak": NEVER, "skewed": 1.0}
    passed = 12 * (4 * 3 + 6 * 5)
    assert seconds("experts", sizes) == pytest.approx(45 * 3 + passed)
    # exponent 2: 4 (1 - 1/(1 + 3/2)^2) are
    chosen = 4 * (1 - 1 / 2.5**2)
    assert seconds("experts", sizes, spread=2) == pytest.approx(45 * chosen + passed)
    halved = {**sizes, "ep": 2.0}  # 2 experts and 6 rows, which skew makes 9
    chosen = 2 * (1 - 1 / (1 + 9 / 2))
    assert seconds("experts", halved, skew=0.5) == pytest.approx(45 * chosen + passed * 9 / 12)


def test_an_all_reduce_sends_twice_what_a_gather_does():
    message = {"devices": 4.0, "message_bytes": 8.0, "passes": 2.0, "switched": 0.0}
    assert seconds("all-reduce", message) == pytest.approx(12)
    assert seconds("NCCL all-gather", {**message, "passes": 1.0}) == pytest.approx(6)
    assert seconds("all-reduce", message, fixed_s=1, device_s=1, overlap=2) == pytest.approx(
        12 + 3 + 2 * 36**0.5
    )
    assert seconds("all-reduce", {**message, "switched": 1.0}, switch=2) == pytest.approx(6)


def test_bounds_are_counts_over_the_sheet():
    bound = {name: form.bound_s for name, form in FORMS.items()}
    assert bound["gemm"]({**UNIT, **PRODUCT}) == pytest.approx(2 * 2 * 3 * 5)
    on_chip = {**UNIT, **PRODUCT, "peak": NEVER, "on_chip_bytes": 10.0}
    assert bound["gemm"](on_chip) == pytest.approx(15 - 10)
    assert bound["decode attention"]({**UNIT, **CACHE}) == pytest.approx(4 * 2 * 7 * 4 * 6)
    assert bound["prompt attention"]({**UNIT, **CACHE}) == pytest.approx(2 * 8 * 2 * 6 * 28)
    assert bound["experts"]({**UNIT, **EXPERTS}) == pytest.approx(2 * 45 * 12)
