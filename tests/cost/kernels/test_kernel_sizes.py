"""What a row of a table says of a kernel's sizes, and every term of a class's time by itself."""

from __future__ import annotations

import numpy as np
import pytest
from thermoflop.base.record import replace
from thermoflop.cost.catalogue.devices import find_device
from thermoflop.cost.kernels.columns import sizes_of
from thermoflop.cost.kernels.form import norm
from thermoflop.cost.kernels.forms import FORMS
from thermoflop.cost.kernels.rates import kernel_rates
from thermoflop.cost.kernels.rows import group_names, kernels_of
from thermoflop.cost.kernels.sheet import attention_flops_s, sheet_of

WORDS = {"dtype": ["fp8"], "kv_dtype": ["fp8"], "kernel": ["gated"], "distribution": ["power_law"]}


@pytest.mark.parametrize(
    ("table", "numbers", "words", "sizes"),
    [
        # 3 x 5 weights in 4 bits with a scale of 8 for 16
        ("gemm", {"m": 2, "n": 3, "k": 5}, {"dtype": ["nvfp4"]},
         {"m": 2, "n": 3, "k": 5, "weight_bytes": 4.5 / 8, "activation_bytes": 4.5 / 8,
          "quantizes": 1, "read_bytes": 15 * 4.5 / 8}),
        ("gemm", {"m": 2, "n": 3, "k": 5}, {"dtype": ["int4_wo"]},  # a scale of 16 bits for 128
         {"weight_bytes": (4 + 16 / 128) / 8, "activation_bytes": 2, "quantizes": 0}),
        ("gemm", {"m": 2, "n": 3, "k": 5}, {"dtype": ["w4a8_mxfp4_mxfp8"]},  # one of 8 for 32
         {"weight_bytes": (4 + 8 / 32) / 8, "activation_bytes": 1 + 1 / 32, "quantizes": 1}),
        ("gemm", {"m": 2, "n": 3, "k": 5}, {"dtype": ["fp8_block"]},  # 32 bits for 128 x 128
         {"weight_bytes": 1 + 4 / 128**2, "activation_bytes": 1, "quantizes": 1}),
        ("attention_decode",
         {"batch": 2, "new": 1, "context": 7, "heads": 6, "kv_heads": 3, "head_dim": 4}, WORDS,
         {"dim": 4, "out_dim": 4, "cache_bytes": 1, "context": 7, "read_bytes": 2 * 2 * 7 * 3 * 4}),
        ("mla_decode", {"batch": 2, "context": 7, "heads": 6}, WORDS,
         {"dim": 512 + 64, "out_dim": 512, "cache_bytes": 1, "read_bytes": 2 * 7 * 576}),
        ("mla_decode", {"batch": 2, "context": 7, "heads": 6}, {"kv_dtype": ["bfloat16"]},
         {"cache_bytes": 2, "read_bytes": 2 * 7 * 576 * 2}),
        ("attention_decode",
         {"batch": 2, "new": 1, "context": 7, "heads": 6, "kv_heads": 3, "head_dim": 4},
         {"kv_dtype": ["bfloat16"]}, {"cache_bytes": 2, "read_bytes": 2 * 2 * 7 * 3 * 4 * 2}),
        ("mla_context", {"batch": 2, "new": 7, "heads": 6}, WORDS,
         {"kv_heads": 6, "dim": 128 + 64, "out_dim": 128, "cache_bytes": 2}),
        ("moe", {"tokens": 6, "hidden": 3, "topk": 2, "experts": 4, "tp": 1, "ep": 2, "inter": 5},
         WORDS, {"inner": 5, "matrices": 3, "skewed": 1, "weight_bytes": 1}),
        ("moe", {"tokens": 6, "hidden": 3, "topk": 2, "experts": 4, "tp": 1, "ep": 2, "inter": 5},
         {**WORDS, "kernel": ["nongated_x"], "distribution": ["balanced"]},
         {"matrices": 2, "skewed": 0}),
        ("all_reduce", {"gpus": 4, "elements": 8}, {"dtype": ["half"]},
         {"devices": 4, "message_bytes": 16, "passes": 2}),
        ("nccl_all_gather", {"gpus": 4, "elements": 8}, {"dtype": ["float32"]},
         {"message_bytes": 32, "passes": 1}),
    ],
)  # fmt: skip
def test_a_row_of_a_table_has_these_sizes(table, numbers, words, sizes):
    columns = {name: np.array([float(value)]) for name, value in {**numbers, "us": 1}.items()}
    found = sizes_of(table, columns, {name: np.array(each) for name, each in words.items()})
    assert {name: float(found[name][0]) for name in sizes} == pytest.approx(sizes)


def test_a_prompts_keys_are_read_from_no_cache():
    columns = {"batch": 2, "new": 7, "context": 7, "heads": 6, "kv_heads": 3, "head_dim": 4}
    numbers = {name: np.array([float(value)]) for name, value in columns.items()}
    found = sizes_of("attention_context", numbers, {"kv_dtype": np.array(["bfloat16"])})
    assert "read_bytes" not in found
    assert found["cache_bytes"] == 2


# A sheet on which each rate is another power of two, so that no two can stand for each other.
SHEET = {"peak": 2.0, "peak16": 4.0, "peak_best": 8.0, "bandwidth": 16.0, "clock": 32.0,
         "cores": 64.0, "exp": 128.0, "link": 256.0, "on_chip_bytes": 5.0}  # fmt: skip
SIZES = {"m": 3.0, "n": 5.0, "k": 7.0, "weight_bytes": 1.5, "activation_bytes": 2.5,
         "quantizes": 1.0, "batch": 3.0, "context": 11.0, "new": 11.0, "heads": 6.0,
         "kv_heads": 2.0, "dim": 5.0, "out_dim": 3.0, "cache_bytes": 1.5, "tokens": 6.0,
         "topk": 2.0, "experts": 8.0, "ep": 2.0, "tp": 2.0, "hidden": 3.0, "inner": 10.0,
         "matrices": 3.0, "skewed": 0.0, "devices": 4.0, "message_bytes": 8.0, "passes": 2.0,
         "switched": 1.0}  # fmt: skip


def p(power: float, *terms: float) -> float:
    """The norm of this power."""
    return sum(term**power for term in terms) ** (1 / power)


def by_hand(name: str, r: dict[str, float]) -> float:
    """Seconds of each class as its module's first lines say it, written out once more."""
    if name == "gemm":
        rows = 3 * (7 * 2.5 + 2 * 5)
        moving = (5 * 7 * 1.5 / r["weights"] + rows / r["activations"]) / 16
        computing = 2 * (3 + r["m_half"]) * 5 * (7 + r["k_half"]) / (2 * r["compute"])
        quantizing = r["quantize_s"] + 3 * 7 * (2 + 2.5) / r["activations"] / 16
        return r["fixed_s"] + quantizing + p(2, computing, moving, r["cycles_per_k"] * 7 / 32)
    if name.endswith("decode attention"):
        # 4 positions up to the knee, 7 beyond it at a fiftieth
        walking = r["cycles_per_key"] * (4 + 0.02 * 7) / 32
        if name.startswith("latent"):
            moved, flops = 3 * 11 * 5 * 1.5, 2 * 3 * 11 * (6 + r["q_half"]) * (5 + 3)
            once = 2 * 3 * 6 * (5 + 3) / 16
        else:
            moved, flops = 2 * 3 * 11 * 2 * 5 * 1.5, 4 * 5 * 3 * 2 * (3 + r["q_half"]) * 11
            once = 4 * 3 * 6 * 5 / 16
        busy = p(4, moved / (16 * r["cache"]), flops / (4 * r["compute"]))
        return r["fixed_s"] + busy + walking + once
    if name.endswith("prompt attention"):
        pairs = 3 * 6 * 11 * (11 + r["half"]) / 2
        each = p(2, 2 * 8 / (2 * r["compute"]), 1 / (64 * 32 * 128 * r["softmax"]))
        moved = 3 * 11 * (2 * 6 * 8 + 2 * 8 * 1.5) / (16 * r["activations"])
        return r["fixed_s"] + p(3, pairs * each, r["cycles_per_query"] * 11 / 32) + moved
    if name == "experts":  # 6 rows of 4 experts on each of 2 devices, inner width 5
        matrix, rows = 3 * 3 * 5, 6.0
        computing = 2 * matrix * (rows + r["m_half"] * 4) / (2 * r["compute"])
        moving = matrix * 1.5 * 4 / (16 * r["weights"])
        passed = rows * (4 * 3 + 6 * 5) / (16 * r["activations"])
        return r["fixed_s"] + p(3, computing, moving) + passed + r["token_s"] * 6
    latency = r["fixed_s"] + 2 * r["device_s"]
    sending = 2 * 3 / 4 * 8 / (256 * r["link"] * r["switch"])
    return latency + sending + r["overlap"] * (latency * sending) ** 0.5


# every one between the work's own sizes: no term outweighs the others
RATES = {"compute": 0.5, "weights": 0.25, "activations": 0.2, "cache": 0.125, "softmax": 1e-4,
         "m_half": 1.5, "k_half": 2.0, "q_half": 0.5, "half": 6.0, "cycles_per_k": 90.0,
         "cycles_per_key": 40.0, "cycles_per_query": 3000.0, "split": 4.0, "fixed_s": 3.0,
         "quantize_s": 2.0, "skew": 0.5, "spread": 2.0, "token_s": 0.5, "link": 0.01,
         "switch": 1.5, "device_s": 0.25, "overlap": 1.2}  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
def test_a_class_takes_what_its_terms_come_to(name):
    given = {each: RATES[each] for each in FORMS[name].parameters}
    assert float(FORMS[name].seconds({**SHEET, **SIZES}, given)) == pytest.approx(
        by_hand(name, given)
    )


@pytest.mark.parametrize(
    ("name", "seconds"),
    [
        ("gemm", max(2 * 3 * 5 * 7 / 2, (5 * 7 * 1.5 - 5) / 16)),
        ("decode attention", max(4 * 3 * 11 * 5 * 6 / 8, (2 * 3 * 11 * 5 * 2 * 1.5 - 5) / 16)),
        ("latent decode attention", max(2 * 3 * 11 * 6 * 8 / 8, (3 * 11 * 5 * 1.5 - 5) / 16)),
        ("prompt attention", 2 * (3 * 6 * 11 * 12 / 2) * 8 / 8),
        ("experts", 2 * 45 * 6 / 2),
        ("all-reduce", 3 / 4 * 8 / 256),
    ],
)
@pytest.mark.parametrize("limit", ["computing", "moving"])
def test_no_kernel_beats_its_flops_at_the_peak_or_its_bytes_at_the_bandwidth(name, seconds, limit):
    sheet = {**SHEET, **SIZES}
    if limit == "moving":  # nothing computes: what is read, less what lies on the chip
        sheet |= {"peak": 1e30, "peak_best": 1e30}
        seconds = {
            "gemm": (5 * 7 * 1.5 - 5) / 16,
            "decode attention": (2 * 3 * 11 * 5 * 2 * 1.5 - 5) / 16,
            "latent decode attention": (3 * 11 * 5 * 1.5 - 5) / 16,
            "prompt attention": 0.0,
            "experts": (45 * 1.5 - 5) / 16,  # of one expert, the fewest that tokens meet
            "all-reduce": seconds,
        }[name]
    assert float(FORMS[name].bound_s(sheet)) == pytest.approx(seconds, abs=1e-20)


def test_less_than_a_row_reads_less_than_an_expert_and_an_uneven_one_promises_no_rows():
    sheet = {**SHEET, **SIZES, "peak": 1e30, "tokens": 0.5}
    assert float(FORMS["experts"].bound_s(sheet)) == pytest.approx(0.5 * (45 * 1.5 - 5) / 16)
    uneven = {**SHEET, **SIZES, "skewed": 1.0}
    assert float(FORMS["experts"].bound_s(uneven)) == pytest.approx((45 * 1.5 - 5) / 16)


def test_a_norm_of_two_equal_terms_is_its_root_of_two_times_one():
    assert [norm(power, 3.0, 3.0) for power in (2, 3, 4)] == pytest.approx(
        [3 * 2 ** (1 / 2), 3 * 2 ** (1 / 3), 3 * 2 ** (1 / 4)]
    )


# What few rows tell apart from what else a kernel costs, or what a form shares with another one.
LOOSE = {"quantize_s", "token_s", "device_s", "q_half", "cycles_per_query", "m_half", "split"}


@pytest.mark.parametrize("name", FORMS)
def test_a_parameter_starts_where_its_rows_were_found_to_be(name):
    """Within a factor of 1.4; fractions of a rate start below their limit."""
    found = kernel_rates()[name].values(())
    for parameter, each in FORMS[name].parameters.items():
        off = abs(np.log(found[parameter] / each.start))
        assert off < np.log(1.4) or parameter in LOOSE, parameter
        assert each.limit is None or each.start < each.limit == 1.0


@pytest.mark.parametrize(
    ("changes", "reached"),
    [
        # 16 x 3 cores x 1 GHz exponentials, each for 512 FLOPs: 24.576 TFLOP/s
        ({"cores": 3, "boost_mhz": 1000.0}, (1e13**-2 + 24.576e12**-2) ** -0.5),
        ({"cores": None, "boost_mhz": 1000.0}, 1e13),
        # at 1.9 GHz where a sheet has no clock
        ({"cores": 3, "boost_mhz": None}, (1e13**-2 + (1.9 * 24.576e12) ** -2) ** -0.5),
        ({"cores": 3, "boost_mhz": 1000.0, "vendor": "AMD"}, 1e13),
    ],
)
def test_products_of_attention_take_turns_with_its_exponentials(changes, reached):
    device = replace(find_device("h100"), **changes)
    assert attention_flops_s(device, 1e13) == pytest.approx(reached)


@pytest.mark.parametrize(("name", "exp"), [("h100", 16), ("b300", 32), ("gb300", 32)])
def test_the_softmax_of_blackwell_ultra_has_twice_the_exponentials(name, exp):
    """CUDA C++ Programming Guide: 16 a multiprocessor and clock."""
    device = find_device(name)
    sheet = sheet_of(device)
    assert sheet["exp"] == exp
    assert sheet["cores"] == device.cores
    assert sheet["clock"] == (device.boost_mhz or 1900) * 1e6
    assert sheet["link"] == device.fabric_bytes_s
    assert sheet["peak16"] == device.peak("bf16")


def test_groups_of_a_kernel_are_those_that_its_form_may_move():
    gemm = group_names(FORMS["gemm"], "vllm", "fp8", "hopper", "cutlass")
    assert gemm == ("engine:vllm", "format:fp8", "cell:vllm/fp8", "architecture:hopper",
                    "kind:hopper/vllm/fp8")  # fmt: skip
    experts = group_names(FORMS["experts"], "vllm", "fp8", "hopper", "cutlass")
    assert experts[0] == "family:cutlass"
    assert experts[2] == "cell:cutlass/fp8"
    assert group_names(FORMS["all-reduce"], "vllm", "", "") == ("engine:vllm",)


def rows_of_gemm(**changes):
    """Two products on an H100: one of 100 us, one faster than its 1.07 GB come from memory."""
    row = {"gpu_key": "H100", "backend": "sglang", "version": "1", "dtype": "bfloat16", "m": 1,
           "n": 1024, "k": 1024, "us": 100.0, "kernel": "linear", **changes}  # fmt: skip
    columns = {name: [value] for name, value in row.items()}
    return kernels_of(FORMS["gemm"], columns, {"H100": find_device("h100")})


@pytest.mark.parametrize(
    ("changes", "left_out"),
    [
        ({}, {}),
        # 8192 x 2048 in 2 bytes are 33.6 MB, of 50 MB on the chip: 10 us from memory
        ({"n": 8192, "k": 2048, "us": 9.0}, {"operands on the chip": 1}),
        ({"n": 8192, "k": 2048, "us": 11.0}, {}),
        ({"n": 8192, "k": 8192, "us": 9.0}, {}),  # 134 MB: a wrong row stays, and is named
        ({"n": 1024, "k": 1024, "us": 0.5}, {}),  # 2.1 MB take 0.6 us: too short to tell
        ({"kernel": "linear_eager"}, {"time of the host": 1}),
        ({"backend": "vllm", "dtype": "fp8_block"}, {"time of the host": 1}),
        ({"backend": "vllm", "dtype": "fp8"}, {}),
        ({"backend": "sglang", "dtype": "fp8_block"}, {}),
    ],
)
def test_a_row_is_left_out_for_one_reason(changes, left_out):
    found = rows_of_gemm(**changes)
    assert found.left_out == left_out
    assert len(found) == 1 - sum(left_out.values())


@pytest.mark.parametrize(
    ("dtype", "peak", "best"),
    [("bfloat16", "bf16", "bf16"), ("fp8", "fp8", "fp8"), ("nvfp4", "fp8", "fp8"),
     ("sq", "int8", "int8"), ("int4_wo", "bf16", "bf16")],
)  # fmt: skip
def test_a_format_is_multiplied_by_the_first_unit_that_a_device_has(dtype, peak, best):
    """An H100 has none for 4 bits."""
    found = rows_of_gemm(dtype=dtype).sizes
    device = find_device("h100")
    assert (found["peak"][0], found["peak_best"][0]) == (device.peaks[peak], device.peaks[best])
