"""What engines send and copy besides what a model asks for."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from thermoflop.cost.catalogue.profiles import find_profile
from thermoflop.cost.engines.overheads import apply_engine, as_sent
from thermoflop.cost.hardware.precision import choose_precision
from thermoflop.cost.work.network import network_work
from thermoflop.cost.work.work import Work, launches_of


@pytest.mark.parametrize(("dtype", "bytes_sent"), [("bf16", 4.0), ("fp8", 3 + 4 / 128), ("awq", 4)])
def test_tokens_go_to_experts_in_8_bits_where_those_multiply_so_and_come_back_in_16(
    dtype, bytes_sent
):
    """Of 2 + 2 bytes an element, there and back; other collectives stay as they are."""
    works = [network_work("all-to-all", 2, 1200.0, 3.0, 800.0), network_work("all-reduce", 1, 9.0)]
    sent, reduced = as_sent(works, choose_precision(dtype))
    assert sent.activation_bytes == pytest.approx(1200 * bytes_sent / 4)
    assert sent.far_bytes == pytest.approx(800 * bytes_sent / 4)
    assert reduced == works[1]


def product(name, group, element_bytes, sets=1.0, weight_bytes=8.0):
    operator = SimpleNamespace(sets=sets)
    numbers = 1.0, 1.0, weight_bytes, 0.0, 0.0
    return Work(name, "layers", group, "contraction", 1.0, *numbers, operator=operator,
                element_bytes=element_bytes)  # fmt: skip


LAYER = (
    ("q_a_proj", "attn_proj"), ("kv_a_proj", "attn_proj"), ("absorb keys", "attn_proj"),
    ("o_proj", "attn_proj"), ("router", "router"), ("expert up", "experts"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("engine", "dtype", "layer", "kernels", "dispatched"),
    [
        # both latents at once, and a kernel that narrows before q_a, o and the experts
        ("sglang", "fp8", LAYER, 5 + 3, 5),
        ("vllm", "nvfp4", LAYER, 5, 5),  # kernels of experts narrow themselves
        ("vllm", "bf16", LAYER, 5, 5),
        ("tensorrt-llm", "nvfp4", LAYER[3:5], 2 + 1, 2),
        ("vllm", "fp8", LAYER[3:5], 2, 2),  # one scale a matrix: the kernel before narrows
        ("vllm@0.11", "fp8", LAYER, 6, 6),  # fitted without
    ],
)
def test_inputs_of_narrow_products_are_narrowed_by_a_kernel_that_the_host_does_not_dispatch(
    engine, dtype, layer, kernels, dispatched
):
    precision = choose_precision(dtype)
    works = [product(*each, precision.weight_bytes) for each in layer]
    works = apply_engine(works, find_profile(engine).engine, precision)
    assert sum(work.launches for work in works) == kernels
    assert launches_of(works) == dispatched


def test_a_matrix_that_its_checkpoint_leaves_wide_has_no_kernel_before_it():
    """Of two products of experts in fp8, one is kept in 16 bits."""
    works = [product("expert up", "experts", width) for width in (1.0, 2.0)]
    found = apply_engine(works, find_profile("sglang").engine, choose_precision("fp8"))
    assert [work.launches for work in found] == [2, 1]


@pytest.mark.parametrize(
    ("sets", "ep", "most"),
    [
        (32.0, 2, 32 + 0.564 * 4),  # of 64: 32 (1 - 32/64) = 16 is the variance
        (32.0, 8, 32 + 1.424 * 4),
        (32.0, 6, 32 + 4 * (1.029 + 0.585 * (1.424 - 1.029))),  # log2 6 = 2.585
        (63.99, 8, 64.0),  # no more than there are
        (32.0, 1, 32.0),
    ],
)
def test_devices_wait_for_the_one_whose_experts_are_chosen_most(sets, ep, most):
    """Weights that it reads: of 64 experts ``sets`` are chosen on average, a byte each."""
    works = [product("expert up", "experts", 2.0, sets, sets)]
    engine = find_profile("vllm").engine
    (read,) = apply_engine(works, engine, choose_precision("bf16"), 64.0, ep)
    assert read.weight_bytes == pytest.approx(most, rel=1e-3)
