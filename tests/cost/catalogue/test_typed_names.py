"""Devices as people type them."""

from __future__ import annotations

import pytest
from thermoflop.cli import main
from thermoflop.cost.catalogue.devices import counted, find_device
from thermoflop.errors import InputError

GIB = 2**30


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("a100 80gb pcie", "A100-PCIe-80GB"),
        ("a100 40 GB pcie", "A100-PCIe-40GB"),
        ("H100 SXM5 80GB HBM3", "H100-SXM-80GB"),
        ("h100 94gb", "H100-NVL-94GB"),
        ("NVIDIA GeForce RTX 4090 24GB", "RTX 4090"),
        ("4090 16gb", "RTX 4090 Laptop"),
        ("rtx5090 32gb", "RTX 5090"),
        ("rtx 5080 mobile 16gb", "RTX 5080 Laptop"),
        ("laptop 4070", "RTX 4070 Laptop"),
        ("laptop rtx 4060 8gb", "RTX 4060 Laptop"),
        ("4060 ti 16g", "RTX 4060 Ti 16GB"),
        ("tesla v100 16GB", "V100-SXM2-16GB"),
        ("T4 16GB", "T4"),
        ("MI300X 192GB", "MI300X"),
        ("rtx pro 6000 blackwell 96gb", "RTX PRO 6000 Blackwell Workstation"),
        ("dgx h100", "H100-SXM-80GB"),
        ("nvidia dgx spark 128gb", "DGX Spark (GB10)"),
        ("jetson orin nano", "Jetson Orin Nano 8GB"),
        ("i9-13900k", "Intel Core i9-13900K (DDR5-5600 2ch)"),
        ("apple m5 max", "Apple M5 Max (40c)"),
        ("rtx 2060", "RTX 2060"),
    ],
)
def test_makers_memories_and_order_do_not_matter(typed: str, name: str) -> None:
    assert find_device(typed).name == name


@pytest.mark.parametrize(
    ("typed", "name", "gib"),
    [
        ("m3 max 36gb", "Apple M3 Max (30c)", 36),
        ("m3 max 96gb", "Apple M3 Max (30c)", 96),
        ("M4 Max 36 GB", "Apple M4 Max (32c)", 36),
        ("m4 max 64", "Apple M4 Max (40c)", 64),
        ("macbook pro m3 max 128gb", "Apple M3 Max (40c)", 128),
        ("MacBook Air 13-inch M2 2022 8GB", "Apple M2", 8),
        ("mac mini m4 pro 48gb", "Apple M4 Pro (20c)", 48),
        ("strix halo 64gb", "AMD Ryzen AI Max+ 395 (LPDDR5X-8000 256-bit)", 64),
    ],
)
def test_a_machine_that_is_sold_with_several_memories_has_the_one_that_is_named(
    typed: str, name: str, gib: int
) -> None:
    device = find_device(typed)
    assert (device.name, device.memory_bytes) == (name, gib * GIB)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("4090 48gb", "RTX 4090 has 24 GB of memory, not 48"),
        ("m2 max 512gb", "Apple M2 Max (38c) has 96 GB of memory, not 512"),
        ("2x3090", "names 2 devices: expected '3090' and devices=2"),
        ("gpu", "expected its name, such as rtx-4090, or auto"),
        ("macbook pro", "lacks its chip"),
        ("rtx 6000", "nearest:"),
    ],
)
def test_what_means_no_device_is_refused_with_what_is_missing(typed: str, said: str) -> None:
    with pytest.raises(InputError) as refused:
        find_device(typed)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("typed", "count"),
    [
        ("2x3090", (2, "3090")),
        ("8 x H100", (8, "H100")),
        ("rtx3090 x2", (2, "rtx3090")),
        ("h100x8", (8, "h100")),
        ("MI300X", (None, "MI300X")),
        ("ai max 395", (None, "ai max 395")),
        ("2 x a + b", (None, "2 x a + b")),
        ("0x3090", (None, "0x3090")),
    ],
)
def test_a_number_of_devices_is_told_from_a_name(typed: str, count: tuple[int | None, str]) -> None:
    assert counted(typed) == count


@pytest.mark.parametrize("command", ["estimate", "train"])
def test_a_number_of_devices_counts_as_devices(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "gpt2", "--gpu", "2x3090"]) == 0
    assert "on 2 x RTX 3090" in capsys.readouterr().out
    assert main([command, "gpt2", "--gpu", "2x3090", "--devices", "4"]) == 2
    assert "--devices 4 say two numbers of devices" in capsys.readouterr().err


def test_a_path_that_no_system_takes_gets_a_sentence():
    with pytest.raises(InputError, match=r"^x\\x00\.toml is no device in TOML: embedded null byte"):
        find_device("x\0.toml")
