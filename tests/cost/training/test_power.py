"""Devices of one chip multiply in training as fast as their watts."""

from __future__ import annotations

import pytest
import thermoflop as tf
from thermoflop.base.record import replace
from thermoflop.cost.training.power import at_power, speed_of
from thermoflop.cost.training.why import training_rates

SIZES = {"global_batch": 8, "sequence": 1024, "dtype": "fp8"}


def test_a_chip_with_eight_times_the_watts_is_four_times_as_fast():
    assert speed_of(1600.0, 200.0) == pytest.approx(4)


def test_devices_of_a_chip_have_its_peaks_at_their_power():
    """4.5 PFLOP/s in 8 bits and 9 in 4 at 1,000 W; 1,200 and 1,400 W to the power of two thirds."""
    for name, watts in (("gb200", 1200), ("gb300", 1400)):
        found = at_power(tf.find_device(name))
        assert found.peaks["fp8"] == pytest.approx(4.5e15 * (watts / 1000) ** (2 / 3))
        assert found.peaks["fp4"] == pytest.approx(9e15 * (watts / 1000) ** (2 / 3))
        assert found.peaks["int8"] == tf.find_device(name).peaks["int8"]
    measured = replace(tf.find_device("gb300"), peaks={"bf16": 1e15, "fp8": 2e15})
    for device in (measured, *map(tf.find_device, ("b200", "h100", "a100"))):
        assert at_power(device) is device


def test_an_iteration_runs_at_them_but_its_bound_and_mfu_are_the_data_sheets():
    found = tf.train("llama-3-8b", "gb300", **SIZES)
    rates = training_rates(found.question, None)
    assert rates.peak_flops_s == pytest.approx(4.5e15 * 1.4 ** (2 / 3))
    assert "multiplies at 1400 W" in found.why()
    assert found.mfu == pytest.approx(found.model_flops / found.iteration.expected_s / 5e15)
    assert "multiplies at" not in tf.train("llama-3-8b", "b200", **SIZES).why()
