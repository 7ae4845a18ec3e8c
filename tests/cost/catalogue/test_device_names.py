"""What drivers and people call a device."""

from __future__ import annotations

import json

import pytest
from thermoflop.cost.catalogue.devices import catalogue, find_device, is_known, plain_names
from thermoflop.cost.catalogue.sheets import device_names, sheet
from thermoflop.cost.data import read_data, read_lines
from thermoflop.errors import InputError


@pytest.mark.parametrize(
    ("called", "name"),
    [
        ("NVIDIA A100", "A100-SXM-80GB"),
        ("h100", "H100-SXM-80GB"),
        ("H100 NVL", "H100-NVL-94GB"),
        ("v100", "V100-SXM2-32GB"),
        ("nvidia a6000", "RTX A6000"),
        ("3070 8gb", "RTX 3070"),
        ("rtx 3080 10gb", "RTX 3080"),
        ("GeForce RTX 3080 Ti 12GB", "RTX 3080 Ti"),
        ("jetson orin", "Jetson AGX Orin 64GB"),
        ("w7800", "Radeon PRO W7800"),  # as the one name ends
        ("amd 7900 xtx", "RX 7900 XTX"),
        # what drivers call a whole one in a virtual machine (pci.ids, 74b5 and 75b3)
        ("AMD Instinct MI300X VF", "MI300X"),
        ("Instinct MI355X VF", "MI355X"),
        ("HL-325L", "Gaudi 3"),
        ("gtx 1650", "GTX 1650"),
        ("NVIDIA GeForce GTX 1660 Ti", "GTX 1660 Ti"),
        ("1650 ti", "GTX 1650 Ti Laptop"),
        ("gtx 1050 ti", "GTX 1050 Ti"),
        ("macbook air m2", "Apple M2"),
        ("MacBook Pro M3 Max", "Apple M3 Max (40c)"),
        ("macbook m3 pro", "Apple M3 Pro (18c)"),
        ("M4 Mac mini", "Apple M4"),
        ("mac studio m2 ultra (2023)", "Apple M2 Ultra (76c)"),
        ("iMac M1", "Apple M1"),
    ],
)
def test_a_device_is_found_by_what_it_is_called(called: str, name: str) -> None:
    assert find_device(called).name == name


@pytest.mark.parametrize("called", ["macbook air", "mac m9 turbo", "machine m2", "gtx 165"])
def test_a_name_that_says_no_chip_is_refused(called: str) -> None:
    assert not is_known(called)
    with pytest.raises(InputError):
        find_device(called)


def test_the_first_of_several_devices_of_a_name_is_found_and_no_name_hides_another() -> None:
    for name in catalogue():
        assert find_device(name).name == name
    assert plain_names()["gtx1060"] == ["GTX 1060 6GB"]


def test_every_device_of_the_catalogue_has_a_line_and_names_and_no_line_has_none() -> None:
    lines = [json.loads(line) for line in read_lines("devices")]
    assert [raw["name"] for raw in lines] == list(device_names()) == list(catalogue())
    assert [sheet(raw["name"])["memory_gb"] for raw in lines] == [raw["memory_gb"] for raw in lines]
    used = {raw["source"] for raw in lines}
    assert used == set(range(len(read_data("device_sources"))))


def test_cards_without_tensor_cores_have_the_peaks_of_their_cores() -> None:
    card = find_device("gtx 1650")
    # 14 multiprocessors x 64 cores x 2 FLOP at 1665 MHz; fp16 at twice the rate, DP4A at four times
    fp32 = 14 * 64 * 2 * 1665e6
    assert card.peaks["fp32"] == pytest.approx(fp32, rel=1e-3)
    assert card.peaks["fp16"] == pytest.approx(2 * fp32, rel=1e-3)
    assert card.peaks["int8"] == pytest.approx(4 * fp32, rel=1e-3)
    # 128 bits of GDDR5 at 8 Gbit/s
    assert card.bandwidth_bytes_s == pytest.approx(128 / 8 * 8e9, rel=1e-3)
