"""What is known of a kernel before its rows: starts and widths beside what was found."""

from __future__ import annotations

from math import exp, log
from statistics import median

import pytest
from thermoflop.cost.kernels.columns import FORMATS
from thermoflop.cost.kernels.forms import FORMS
from thermoflop.cost.kernels.rates import kernel_rates

# Two MLA kernels split sequences from so far on that no row is beyond it.
UNSEEN = {("latent decode attention", "split")}
KIN = ("NCCL", "prompt attention")
CASES = [(name, each) for name, form in FORMS.items() for each in form.parameters]


def off(name: str, parameter: str) -> float:
    """How far what was found is from the start, as a logarithm; the median of those that start
    alike, which are NCCL's and attention over prompts."""
    kin = next((kin for kin in KIN if kin in name), name)
    alike = [each for each in FORMS if kin in each] if kin in KIN else [name]
    found = (kernel_rates()[each].values(())[parameter] for each in alike)
    return median(log(value / FORMS[name].parameters[parameter].start) for value in found)


@pytest.mark.parametrize(("name", "parameter"), CASES)
def test_what_was_found_lies_within_a_width_of_the_start(name: str, parameter: str) -> None:
    if (name, parameter) not in UNSEEN:
        assert abs(off(name, parameter)) <= FORMS[name].parameters[parameter].width


@pytest.mark.parametrize(("name", "parameter"), CASES)
def test_a_fraction_is_known_within_a_factor_of_two_and_a_cost_within_e(name, parameter) -> None:
    """e to 0.7 is 2.01; a switch cannot save more than its sums, a soft maximum than its root."""
    each = FORMS[name].parameters[parameter]
    most = {"switch": 1.15, "overlap": 2.01, "spread": 2.01}.get(parameter, exp(1.0))
    assert 1 < exp(each.width) < (2.02 if each.limit is not None else most + 0.01)
    assert each.limit in (None, 1.0)
    assert each.start > 0


# Bytes of a weight and of what it meets, by the names of the tables' formats: scales of 8 bits for
# 16 (nvfp4) or 32 (mxfp4, mxfp8), of 16 for 128 (int4), of 32 for 128 x 128 (blocks).
WIDTHS = {
    "bfloat16": (2, 2), "half": (2, 2), "float32": (4, 4), "fp8": (1, 1), "sq": (1, 1),
    "int8": (1, 1), "int8_wo": (1, 2), "fp8_block": (1 + 4 / 128**2, 1),
    "nvfp4": ((4 + 8 / 16) / 8, (4 + 8 / 16) / 8), "int4_wo": ((4 + 16 / 128) / 8, 2),
    "w4a16_mxfp4": ((4 + 8 / 32) / 8, 2),
    "w4a8_mxfp4_mxfp8": ((4 + 8 / 32) / 8, (8 + 8 / 32) / 8),
}  # fmt: skip


def test_a_format_is_as_wide_as_its_elements_and_scales() -> None:
    found = {name: (each.weight_bytes, each.activation_bytes) for name, each in FORMATS.items()}
    assert found == WIDTHS
    # inputs that are narrower than the 16 bits of a hidden state are narrowed by a kernel
    narrowed = {name for name, each in FORMATS.items() if each.quantizes}
    assert narrowed == {"fp8", "fp8_block", "nvfp4", "sq", "w4a8_mxfp4_mxfp8"}
