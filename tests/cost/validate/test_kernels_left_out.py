"""Ways of leaving kernels out, on a few that are made up: each is predicted by others alone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from thermoflop.base.record import replace
from thermoflop.cost.catalogue.devices import find_device
from thermoflop.cost.catalogue.profiles import find_profile
from thermoflop.cost.fitting.kernels import predicted_s
from thermoflop.cost.fitting.own import _replaced as fitted_class
from thermoflop.cost.kernels.forms import FORMS
from thermoflop.cost.kernels.rates import KernelRates, kernel_rates, value_of
from thermoflop.cost.kernels.rows import ON_CHIP, Kernels, _family, kernels_of
from thermoflop.cost.kernels.sheet import architecture_of, sheet_of
from thermoflop.cost.validate.kernels import (
    KernelsReport,
    _beaten,
    _by_device,
    _every_way,
    _figures,
    _with_own,
    _with_the_others,
)

DEVICES = {name: find_device(name) for name in ("h100", "h200", "a100")}
RATES = kernel_rates()["all-reduce"]


def all_reduces(counts: dict[str, int], slower: dict[str, float]) -> Kernels:
    """So many all-reduces of a device, each as much slower as the device is than the rates say."""
    rows = [(name, place) for name, count in counts.items() for place in range(count)]
    columns = {
        "gpu_key": [name for name, _ in rows], "backend": ["vllm"] * len(rows),
        "version": ["1"] * len(rows), "dtype": ["half"] * len(rows),
        "kernel": ["mine"] * len(rows), "gpus": [2 << place % 3 for _, place in rows],
        "elements": [1000 * 3**place for _, place in rows], "us": [1.0] * len(rows),
    }  # fmt: skip
    kernels = kernels_of(FORMS["all-reduce"], columns, DEVICES)
    factor = np.array([slower[name] for name, _ in rows])
    return replace(kernels, measured_s=factor * predicted_s(RATES, kernels))


def test_errors_are_predicted_over_measured_device_by_device():
    kernels = all_reduces({"h100": 3, "a100": 2}, {"h100": 1.25, "a100": 0.5})
    found = {each.device: each for each in _by_device(kernels, RATES, "in sample")}
    assert found["H100-SXM-80GB"].errors == pytest.approx([1 / 1.25 - 1] * 3)
    assert found["A100-SXM-80GB"].errors == pytest.approx([1.0] * 2)
    assert {(each.kernels, each.how) for each in found.values()} == {("all-reduce", "in sample")}
    assert list(_by_device(kernels.pick(np.zeros(5, bool)), RATES, "in sample")) == []


def test_four_fifths_of_a_files_kernels_move_the_rates_for_the_rest_and_none_for_itself():
    """All of a device take half as long again: the others say so. One that takes ten times as
    long is not predicted by what it says itself."""
    kernels = all_reduces({"h100": 10, "h200": 4}, {"h100": 1.5, "h200": 1.0})
    (judged,) = _with_the_others(kernels, RATES)  # four kernels of an H200 are too few
    assert (judged.device, judged.how) == ("H100-SXM-80GB", "moved by its others")
    assert np.median(np.abs(judged.errors)) < 0.05  # the rates alone would miss all by a third
    assert np.max(np.abs(judged.errors)) < 0.3
    far = kernels.measured_s.copy()
    far[6] *= 10
    (again,) = _with_the_others(replace(kernels, measured_s=far), RATES)
    assert again.errors[6] == pytest.approx(-0.9, abs=0.05)
    five = all_reduces({"h200": 5}, {"h200": 1.5})
    assert len(next(_with_the_others(five, RATES)).errors) == 5


def test_own_kernels_are_judged_on_the_others_of_the_device_where_there_are_as_many():
    kernels = all_reduces({"h100": 10, "a100": 9}, {"h100": 1.5, "a100": 1.5})
    (judged,) = _with_own(kernels, RATES, 5, "device left out")
    assert (judged.how, judged.device) == ("device left out + 5", "H100-SXM-80GB")
    assert len(judged.errors) == 5
    assert np.median(np.abs(judged.errors)) < 0.08 < 1 - 1 / 1.5


def test_every_way_has_each_device_and_architecture_without_its_own_rows():
    """H100 and H200 are of one architecture: without it, all that is known is of A100."""
    kernels = all_reduces({"h100": 12, "h200": 12, "a100": 12},
                          {"h100": 1.0, "h200": 1.0, "a100": 2.0})  # fmt: skip
    judged = list(_every_way(kernels))
    ways = {(each.how, each.device): each.errors for each in judged}
    assert len(ways) == len(judged)  # each device once in each way
    for (how, _), errors in ways.items():
        assert len(errors) == (12 - 5 if how.endswith("+ 5") else 12)
    assert {how for how, _ in ways} == {
        "in sample", "device left out", "architecture left out", "device left out + 5",
        "architecture left out + 5",
    }  # fmt: skip
    off = {key: float(np.median(errors)) for key, errors in ways.items()}
    for device in ("H100-SXM-80GB", "H200-SXM-141GB"):
        assert abs(off["device left out", device]) < 0.1  # the other one tells
        assert off["architecture left out", device] > 0.4
        assert (
            abs(off["architecture left out + 5", device])
            < 0.5 * off["architecture left out", device]
        )
    assert off["device left out", "A100-SXM-80GB"] < -0.25
    assert abs(off["in sample", "A100-SXM-80GB"]) < 0.15


def test_figures_are_of_absolute_errors_and_the_bias_of_signed_ones():
    errors = np.array([-0.5, -0.2, 0.1, 0.3, 0.4])
    assert _figures(errors) == {"rows": 5, "median": 0.3, "p90": 0.46, "bias": 0.1}


def test_a_row_that_beats_its_bound_is_told_with_both_times():
    kernels = all_reduces({"h100": 3}, {"h100": 1.0})
    assert _beaten(kernels) == []
    bound = np.asarray(kernels.form.bound_s(kernels.sizes))
    (line,) = _beaten(replace(kernels, measured_s=bound * np.array([1.5, 0.5, 1.0])))
    assert line.startswith("beats the bound: all-reduce of vllm on H100-SXM-80GB: ")
    assert line.endswith("unexplained")
    report = KernelsReport((), {}, (line,))
    assert report.unexplained
    assert not KernelsReport((), {}, ()).unexplained


def test_rows_are_read_with_what_a_switch_adds_and_in_seconds():
    """NVLink 4 and 5 add among more than two; an A100's switches do not."""
    kernels = all_reduces({"h100": 3, "a100": 3}, {"h100": 1.0, "a100": 1.0})
    assert list(kernels.sizes["switched"]) == [0, 1, 1, 0, 0, 0]
    assert list(kernels.sizes["devices"]) == [2, 4, 8] * 2
    assert list(kernels.sizes["message_bytes"]) == [2000, 6000, 18000] * 2
    raw: dict[str, Any] = {
        "gpu_key": ["h100"] * 2, "backend": ["x"] * 2, "version": ["1"] * 2, "dtype": ["half"] * 2,
        "kernel": {"names": ["a_eager", "b"], "of": [1, 0]}, "gpus": [2, 4],
        "elements": [1, 1], "us": [3.0, 5.0],
    }  # fmt: skip
    found = kernels_of(FORMS["all-reduce"], raw, DEVICES)
    assert list(found.measured_s) == [3e-6]
    assert found.left_out == {"time of the host": 1}
    bare = {"h100": replace(DEVICES["h100"], link_bytes_s=None)}
    found = kernels_of(FORMS["all-reduce"], raw, bare)
    assert found.left_out == {"time of the host": 1, "no links but PCIe": 1}
    gather = {**raw, "kernel": ["b", "b"]}
    found = kernels_of(FORMS["NCCL all-gather"], gather, DEVICES)
    assert list(found.sizes["switched"]) == [0, 0]  # a switch adds, and a gather adds nothing up


@pytest.mark.parametrize(
    ("kernel", "family"),
    [("deepgemm_x", "deepgemm"), ("moe_Triton", "triton"), ("trtllm_min_latency", "min latency"),
     ("own_kernel", "own"), ("plain", "plain")],
)  # fmt: skip
def test_kernels_belong_to_the_library_that_their_name_has(kernel, family):
    assert _family(kernel) == family


def test_formats_of_a_cache_that_is_in_8_bits_may_be_multiplied_in_8_bits():
    raw: dict[str, Any] = {
        "gpu_key": ["h100"] * 2, "backend": ["x"] * 2, "version": ["1"] * 2,
        "dtype": ["bfloat16"] * 2, "kv_dtype": ["fp8", "bfloat16"], "kernel": ["k"] * 2,
        "batch": [1, 1], "new": [1, 1], "context": [10**6] * 2, "heads": [8, 8],
        "kv_heads": [8, 8], "head_dim": [128, 128], "us": [1e6, 1e6],
    }  # fmt: skip
    found = kernels_of(FORMS["decode attention"], raw, DEVICES)
    peaks = DEVICES["h100"].peaks
    assert list(found.sizes["peak"]) == [peaks["bf16"]] * 2
    assert list(found.sizes["peak_best"]) == [peaks["fp8"], peaks["bf16"]]
    assert list(found.labels["format"]) == ["bfloat16/fp8", "bfloat16/bfloat16"]
    assert list(found.sizes["cache_bytes"]) == [1, 2]
    assert ON_CHIP == 1.2


def test_a_device_without_clock_or_cores_has_the_usual_ones():
    bare = replace(DEVICES["h100"], cores=None, boost_mhz=None, peaks={"fp16": 3e12, "fp8": 9e12})
    assert (sheet_of(bare)["clock"], sheet_of(bare)["cores"]) == (1.9e9, 128)
    assert sheet_of(bare)["peak16"] == 3e12
    assert sheet_of(replace(bare, peaks={"fp8": 9e12}))["peak16"] == 9e12
    assert architecture_of(replace(bare, name="Nothing")) == "Nothing"


def test_what_groups_and_a_machine_add_moves_the_points_of_a_form():
    """On an architecture that no row had, only groups hold that hold elsewhere."""
    form = FORMS["all-reduce"]
    plain = dict.fromkeys(form.parameters, -1.0)
    rates = KernelRates(
        form, plain, {"engine:a": {"link": 0.5}, "architecture:x": {"link": 0.25}},
        {"": {"link": 0.125}, "format:f": {"fixed_s": 4.0}, "engine:a": {"switch": 2.0}},
    )  # fmt: skip
    known = rates.point(("engine:a", "architecture:x"))
    assert (known["link"], known["switch"], known["fixed_s"]) == (-1 + 0.875, 1.0, -1.0)
    other = rates.point(("engine:b", "architecture:y", "format:f"))
    assert (other["link"], other["switch"], other["fixed_s"]) == (-0.875, -1.0, 3.0)
    values = rates.values(("engine:a", "architecture:x"))
    assert values["link"] == pytest.approx(1 / (1 + np.exp(0.125)))
    assert values["switch"] == pytest.approx(np.e)
    assert value_of(-3.0, 0.5) == pytest.approx(1 / (1 / 0.5 + np.exp(3.0)))
    assert replace(rates, own=None).point(("engine:b",))["link"] == -1


def test_what_rates_of_ones_own_miss_is_the_median_of_their_errors():
    """Products that take what half of the peak gives, every other one a tenth longer: they lie
    between, and miss the half of them by some 5 %."""
    sizes = [(2 ** (7 + place % 5), 8192, 8192) for place in range(20)]
    columns: dict[str, Any] = {
        "gpu_key": ["h100"] * 20, "backend": ["x"] * 20, "version": ["1"] * 20,
        "dtype": ["bfloat16"] * 20, "kernel": ["k"] * 20,
        **{name: [size[at] for size in sizes] for at, name in enumerate("mnk")},
        "us": [1e6 * (5e-6 + 2 * m * n * k / (0.5 * 989e12) + 2 * n * k / (0.7 * 3.35e12))
               * (1.0 if place < 10 else 1.1) for place, (m, n, k) in enumerate(sizes)],
    }  # fmt: skip
    kernels = kernels_of(FORMS["gemm"], columns, DEVICES)
    found = fitted_class(kernels, "16", DEVICES["h100"], find_profile("vllm"))
    assert 0.03 < found["missed"] < 0.12
    assert (found["kernels"], found["number"], found["alike"]) == (20, "bfloat16", "16")


def test_rates_of_a_cache_are_named_by_its_format_and_of_other_classes_by_the_products() -> None:
    """Reading keys and values of 8 bits at 0.6 of the bandwidth, beside queries of 16."""
    places = range(8)
    columns: dict[str, Any] = {
        "gpu_key": ["h100"] * 8, "backend": ["x"] * 8, "version": ["1"] * 8, "kernel": ["k"] * 8,
        "dtype": ["bfloat16"] * 8, "kv_dtype": ["fp8"] * 8, "batch": [8] * 8, "new": [1] * 8,
        "context": [10_000 + 5000 * each for each in places], "heads": [8] * 8,
        "kv_heads": [8] * 8, "head_dim": [128] * 8,
        "us": [1e6 * (5e-6 + 2 * 8 * (10_000 + 5000 * each) * 8 * 128 / (0.6 * 3.35e12))
               for each in places],
    }  # fmt: skip
    kernels = kernels_of(FORMS["decode attention"], columns, DEVICES)
    found = fitted_class(kernels, 1.0, DEVICES["h100"], find_profile("vllm"))
    assert (found["number"], found["alike"]) == ("fp8", 1.0)
    assert found["rates"]["cache"] == pytest.approx(0.6, rel=0.05)
    assert found["missed"] < 0.02


def test_what_two_tables_of_a_class_leave_out_is_counted_together(monkeypatch) -> None:
    """Of all-reduces three of one file and four of another, launched one by one."""
    from thermoflop.cost.validate import kernels as validated

    one = all_reduces({"h100": 3}, {"h100": 1.0})
    tables = {
        "a": {"x": replace(one, left_out={"time of the host": 3})},
        "b": {"y": replace(one, left_out={"time of the host": 4, "no links but PCIe": 2})},
    }
    monkeypatch.setattr(
        validated, "read_kernels", lambda path: SimpleNamespace(tables=tables[path])
    )
    report = validated.validate_kernels(["a", "b"])
    assert report.left_out == {"all-reduce": {"time of the host": 7, "no links but PCIe": 2}}
    text = " ".join(report.text().split())
    assert "not judged in all-reduce of engines, NVLink: 7 time of the host, 2 no links" in text
    lines = report.text(each=True).splitlines()
    assert any(line.startswith("all-reduce of engines, NVLink") for line in lines)
    head = report.text(each=True).splitlines()[0]
    assert [head.index(name) for name in ("how", "rows", "median", "p90", "bias")] == sorted(
        head.index(name) for name in ("how", "rows", "median", "p90", "bias")
    )
