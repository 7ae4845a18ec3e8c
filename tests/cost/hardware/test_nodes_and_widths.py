"""Devices in nodes on a network of one's own, widths of caches, and names that carry a number."""

from __future__ import annotations

import pytest
from kit.made_up import DEVICE
from thermoflop.base.record import replace
from thermoflop.cost.hardware.device import device_from, is_switched, pcie_bytes_s
from thermoflop.cost.hardware.nodes import joining_bytes_s, network_text, with_network
from thermoflop.cost.hardware.precision import asked_for, choose_precision, is_precision
from thermoflop.errors import InputError, UsageError


@pytest.mark.parametrize(
    ("link", "link_gb_s", "pcie", "devices", "gb_s"),
    [
        ("NVLink 4", 450, "PCIe 5 x16", 8, 450), ("NVLink bridge", 56, "PCIe 4 x16", 2, 56),
        ("NVLink bridge", 56, "PCIe 4 x16", None, 56),
        ("NVLink bridge", 56, "PCIe 4 x16", 3, 32), ("NVLink for a pair", 56, "PCIe 3 x8", 4, 8),
        ("2- or 4-way bridge", 300, "PCIe 5 x16", 4, 300), ("", None, "PCIe 4 x16", 2, 32),
        ("2- or 4-way bridge", 300, "PCIe 5 x16", 5, 64), ("", None, "", 2, 16),
    ],
)  # fmt: skip
def test_more_devices_than_a_bridge_joins_meet_over_pcie(link, link_gb_s, pcie, devices, gb_s):
    rate = None if link_gb_s is None else link_gb_s * 1e9
    device = replace(DEVICE, link=link, link_bytes_s=rate, pcie=pcie, note="PCIe 5 x16")
    assert joining_bytes_s(device, devices) == gb_s * 1e9


def test_a_node_and_a_network_of_ones_own_replace_the_usual_ones_each_by_itself():
    """Cards: eight in a server at 100 Gbit/s."""
    usual = DEVICE.network
    assert (usual.node_size, usual.bytes_s) == (8, 12.5e9)
    node, net = with_network(DEVICE, 4, None).network, with_network(DEVICE, None, 50).network
    assert (node.node_size, node.bytes_s, node.what) == (4, 12.5e9, usual.what)
    assert (net.node_size, net.bytes_s, net.what) == (8, 50e9, "as stated")
    assert with_network(DEVICE, None, None) == DEVICE
    assert with_network(DEVICE, 1_000_000, 999_999.0).network.node_size == 1_000_000
    for asked in ((0, None), (1_000_001, None), (True, None), (None, 0), (None, 1e6), (None, True)):
        with pytest.raises(UsageError, match="makes no sense"):
            with_network(DEVICE, *asked)


def test_what_joins_devices_is_said_with_its_rate():
    device = replace(DEVICE, link="NVLink 4", pcie="PCIe 4 x16", note="a note")
    assert network_text(device, 8, 100e9) == "8 devices in a node at 100 GB/s a device (NVLink 4)"
    assert network_text(device, 8, 32e9) == "8 devices in a node at 32.0 GB/s a device (PCIe 4 x16)"
    assert "(no link known, assumed)" in network_text(replace(device, pcie=""), 8, 16e9)
    assert network_text(device, 9, 100e9) == (
        "nodes of 8 at 100 GB/s a device (NVLink 4), between them 12.5 GB/s a device (Ethernet or "
        "InfiniBand at 100 Gbit/s)"
    )


@pytest.mark.parametrize(
    ("link", "switched"),
    [("NVLink 4, 18 links", True), ("NVLink 5", True), ("NVLink 3", False), ("", False)],
)
def test_switches_add_from_hopper_on(link, switched):
    assert is_switched(replace(DEVICE, link=link)) is switched


@pytest.mark.parametrize(
    ("pcie", "gb_s"),
    [("PCIe 1 x4", 1), ("PCIe 3 x1", 1), ("PCIe 3 x16", 16), ("PCIe 5 x8", 32), ("PCIe 6 x16", 128),
     ("PCIe 5", 0), ("SXM", 0), ("", 0), ("PCIe 4 x16 2", 0)],
)  # fmt: skip
def test_each_generation_of_pcie_doubles_a_gigabyte_a_second_a_lane(pcie, gb_s):
    assert pcie_bytes_s(pcie) == gb_s * 1e9


@pytest.mark.parametrize("field", ["memory_gb", "power_w", "link_gb_s", "network_gb_s"])
def test_a_sheets_numbers_lie_above_nothing_and_below_a_billion(field):
    sheet = {"memory_gb": 48, "bandwidth_gb_s": 900, "dense_tflops": {"bf16": 200}}
    assert device_from({**sheet, field: 999_999_999}).name == "the device"
    assert device_from({**sheet, field: 0.001}, "mine").name == "mine"
    for value in (0, 1e9, float("nan"), "9"):
        with pytest.raises(InputError, match=f"{field}="):
            device_from({**sheet, field: value})
    for peak in (0, 1e9, True):
        with pytest.raises(InputError, match="bf16="):
            device_from({**sheet, "dense_tflops": {"bf16": peak}})
    assert device_from({**sheet, "dense_tflops": {"bf16": 999_999_999}}).peaks["bf16"] > 9e20


def test_fields_of_a_sheet_keep_their_names_and_units():
    sheet = {"memory_gb": 48, "bandwidth_gb_s": 900, "dense_tflops": {"bf16": 200}}
    given = {"vendor": "a", "memory_kind": "b", "link": "c", "pcie": "d", "note": "e",
             "source": "f", "confidence": "read", "cores": 3, "boost_mhz": 5.0, "power_w": 7.0,
             "idle_w": 11.0, "max_c": 13.0, "slowdown_c": 17.0, "shutdown_c": 19.0,
             "thermal_resistance_c_per_w": 0.23, "node_devices": 29}  # fmt: skip
    scaled = {"half_accumulate_tflops": 31, "link_gb_s": 37, "network_gb_s": 41, "cache_mb": 43}
    found = device_from({**sheet, **given, **scaled, "read": ["memory_gb", "link"]})
    assert {name: getattr(found, name) for name in given} == given
    assert (found.half_accumulate_flops_s, found.link_bytes_s) == (31e12, 37e9)
    assert (found.network_bytes_s, found.cache_bytes, found.read) == (
        41e9, 43e6, ("memory_gb", "link"),
    )  # fmt: skip
    assert not found.recalls("memory")
    recalled = replace(found, confidence="recalled")
    assert [recalled.recalls(name) for name in ("memory", "link", "bandwidth")] == [
        False, False, True,
    ]  # fmt: skip
    assert not replace(recalled, read=("all",)).recalls("bandwidth")
    assert (found.has_peak("fp16"), found.has_peak("fp8")) == (True, False)


# Bytes of a block of 32 elements (ggml-common.h): a scale of 16 bits, a minimum besides in _1.
BLOCKS = {"q8_0": 32 + 2, "q5_1": 16 + 4 + 4, "q5_0": 16 + 4 + 2, "q4_1": 16 + 4, "q4_0": 16 + 2,
          "iq4_nl": 16 + 2}  # fmt: skip
# ExLlama's Q4 and NVFP4 have half a bit an element for scales; int4 16 bits for 64 elements.
OTHERS = {"fp32": 4, "bf16": 2, "fp16": 2, "fp8": 1, "int8": 1, "q4": (4 + 0.5) / 8,
          "nvfp4": (4 + 8 / 16) / 8, "int4": (4 + 16 / 64) / 8}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "size"), [*((name, size / 32) for name, size in BLOCKS.items()), *OTHERS.items()]
)
def test_a_cached_element_takes_its_part_of_a_block(name, size):
    assert choose_precision("bf16", name).kv_bytes == size
    assert choose_precision("bf16", name).activation_bytes == 2


@pytest.mark.parametrize(
    ("name", "bits", "kept", "family"),
    [
        ("int4-g1", 4 + 20, 16, "4w"), ("int4-g32", 4 + 20 / 32, 16, "4w"),
        ("int4-g999999", 4 + 20 / 999_999, 16, "4w"), ("exl2-1.5", 1.5, 6, "4w"),
        ("exl2-5.9", 5.9, 6, "4w"), ("exl2-6", 6, 6, "8w"), ("exl2-6.5", 6.5, 16, "8w"),
        ("exl2-8", 8, 16, "8w"),
    ],
)  # fmt: skip
def test_a_name_carries_its_group_or_its_bits(name, bits, kept, family):
    """ExLlamaV2's convert.py: a head of 6 bits up to 6 bits a weight, else of 16."""
    found = choose_precision(name)
    assert (found.weight_bits, found.kept_bits, found.family) == (bits, kept, family)
    assert (found.weight_bytes, found.kept_bytes) == (bits / 8, kept / 8)
    assert (found.compute, found.activation_bytes, found.label) == ("fp16", 2, name)
    assert is_precision(name)


@pytest.mark.parametrize(
    "name",
    ["int4-g0", "int4-g1000000", "exl2-1", "exl2-8.1", "exl2-x", "int4-g", "int4-g9999999999"],
)
def test_a_group_or_bits_that_make_no_sense_are_no_format(name):
    with pytest.raises(UsageError, match="is not a number format"):
        choose_precision(name)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("4bit", "expected one of 4 bits, such as "),
        ("w8", "expected one of 8 bits, such as "),
        ("bf17", "did you mean bf16?"),
        ("nonsense", "expected one such as bf16, fp8, awq"),
    ],
)
def test_a_name_that_says_how_many_bits_is_answered_with_formats_of_so_many(asked, said):
    known = ["bf16", "fp8", "int8", "int4", "awq", "gptq", "q8_0", "q4_0", "mxfp4", "exl2-4.0"]
    found = asked_for(asked, known)
    assert found.startswith(said)
    if asked == "4bit":
        named = found.removeprefix(said).split(", ")
        assert named[0] == "q4_k_m"  # what people mean by it most
        assert sorted(named[1:]) == ["awq", "exl2-4.0", "gptq", "int4", "mxfp4", "q4_0"]
    many = asked_for("4", [f"q4_{number}" for number in range(20)])
    assert many.count("q4_") + many.count("awq") + many.count("gptq") == 10
