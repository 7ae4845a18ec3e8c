"""The table of devices and the page of one, every figure under its head and in its unit."""

from __future__ import annotations

import re

import pytest
from kit.made_up import DEVICE
from thermoflop.base.record import replace
from thermoflop.base.units import digits
from thermoflop.cost.catalogue.cards import mean_card, slowest_card
from thermoflop.cost.catalogue.devices import find_device
from thermoflop.cost.catalogue.devices_text import device_text, devices_named, devices_text

FULL = replace(
    DEVICE, memory_bytes=80e9, bandwidth_bytes_s=2e12, link_bytes_s=450e9, power_w=700.0,
    peaks={"bf16": 1000e12, "fp8": 2000e12, "fp32": 60e12}, confidence="read", read=("all",),
    source="a sheet", cache_bytes=50e6, cores=132, boost_mhz=1755.0,
)  # fmt: skip


def row(device) -> dict[str, str]:
    """The cells of the only device of a table, by their heads."""
    head, *lines = devices_text([device]).splitlines()
    heads = head.split()
    (line,) = [each for each in lines if each.startswith(device.name)]
    cells = line.removeprefix(device.name).split()
    return dict(zip(heads[-len(cells) :], cells, strict=True))


def test_a_row_of_the_table_has_gb_tflops_and_watts():
    """80 GB at 2 TB/s, 1,000 TFLOP/s: 500 FLOP a byte."""
    cells = list(row(FULL).values())
    for value in (80, 2000, 450, 700, 500):
        assert digits(value) in cells, value
    for peak in (1000, 2000, 60):
        assert digits(peak) in cells
    bare = replace(FULL, link_bytes_s=None, power_w=None, peaks={"fp16": 1e14})
    cells = list(row(bare).values())
    assert cells.count(digits(100)) >= 1  # where bf16 is none, fp16's
    assert digits(50) in cells
    assert cells.count("-") >= 4
    recalled = replace(FULL, confidence="recalled")
    assert "r" in row(recalled).values()


def test_a_page_has_every_fact_with_its_unit_and_leaves_out_what_is_not_known():
    text = device_text(FULL)
    for line in (
        "dense TFLOP/s: bf16 1,000, fp8 2,000, fp32 60.0", "bandwidth: 2,000 GB/s",
        "link bandwidth: 450 GB/s", "memory: 80.0 GB", "cache: 0.05 GB", "cores: 132",
        "boost: 1,755 MHz", "power: 700 W", "read in the source: all", "source: a sheet",
    ):  # fmt: skip
        assert re.search(rf"^  {re.escape(line)}$", text, re.M), (line, text)
    assert "idle: " not in text
    assert "read in the source: nothing" in device_text(replace(FULL, read=()))
    assert "others of this kind: " in device_text(find_device("h100"))
    assert "others of this kind" not in text


def test_names_are_devices_or_a_list_of_those_alike():
    one, several = devices_named(["h100"])
    assert ([each.name for each in one], several) == (["H100-SXM-80GB"], False)
    every, several = devices_named([])
    assert len(every) > 100
    assert several


def test_a_mean_card_takes_the_mean_of_the_seconds_weighed_by_memory():
    """30 and 10 GB hold three quarters and a quarter: 1 / (0.75 / 2 + 0.25 / 1) TB/s."""
    large = replace(FULL, memory_bytes=30e9, name="large")
    small = replace(FULL, memory_bytes=10e9, bandwidth_bytes_s=1e12, peaks={"bf16": 250e12},
                    power_w=300.0, link_bytes_s=100e9, cache_bytes=6e6, name="small",
                    vendor="other", boost_mhz=1000.0, cores=100)  # fmt: skip
    mean = mean_card([large, small])
    assert mean.memory_bytes == 20e9
    assert mean.bandwidth_bytes_s == pytest.approx(1e12 / (0.75 / 2 + 0.25))
    assert mean.peaks == {"bf16": pytest.approx(1e12 / (0.75 / 1000 + 0.25 / 250))}
    assert (mean.power_w, mean.link_bytes_s, mean.cache_bytes) == (500, 100e9, 6e6)
    assert (mean.name, mean.vendor, mean.idle_w) == ("mean of large + small", "", None)
    hz = 1 / (0.75 / large.core_hz + 0.25 / small.core_hz)
    assert mean.core_hz == pytest.approx(hz)
    slow = slowest_card([large, small])
    assert (slow.memory_bytes, slow.bandwidth_bytes_s) == (10e9, 1e12)
    assert slow.core_hz == pytest.approx(small.core_hz)
    same = mean_card([large, replace(large, power_w=None)])
    assert (same.power_w, same.vendor) == (None, large.vendor)
