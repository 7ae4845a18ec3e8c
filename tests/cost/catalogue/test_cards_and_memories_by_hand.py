"""Cards put together field by field, memories as they are sold, and rates' way into a run."""

from __future__ import annotations

import sys
from itertools import combinations
from math import exp, hypot, log
from typing import Any

import pytest
import thermoflop as tf
from kit.made_up import DEVICE
from thermoflop.base.record import replace
from thermoflop.base.units import digits
from thermoflop.cost.catalogue.cards import _of, mean_card, named_cards, slowest_card
from thermoflop.cost.catalogue.devices import _is_sold_as, catalogue, devices_like, find_device
from thermoflop.cost.catalogue.devices_text import device_text
from thermoflop.cost.catalogue.machine import folder
from thermoflop.cost.catalogue.own_kernels import REPLACED, _replaced
from thermoflop.cost.catalogue.profile import HIGHEST, RECALLED_RATE, Spread, _value
from thermoflop.cost.catalogue.profiles import find_profile, training_profiles
from thermoflop.cost.catalogue.seen import ALONG, EXTRA, architecture_of, widened
from thermoflop.cost.catalogue.typed_names import find_typed
from thermoflop.cost.hardware.precision import choose_precision
from thermoflop.errors import InputError, UsageError

ONE = replace(
    DEVICE, name="one", vendor="Maker", memory_kind="HBM3", memory_bytes=20e9,
    bandwidth_bytes_s=100e9, peaks={"bf16": 100e12, "fp8": 300e12}, half_accumulate_flops_s=200e12,
    link="NVLink bridge", link_bytes_s=50e9, pcie="PCIe 4 x16", note="PCIe 3 x4", cache_bytes=6e6,
    cores=100, boost_mhz=2000.0, power_w=200.0, idle_w=20.0,
)  # fmt: skip
TWO = replace(
    ONE, name="two", memory_bytes=60e9, bandwidth_bytes_s=300e9, peaks={"fp16": 200e12},
    half_accumulate_flops_s=400e12, link_bytes_s=40e9, pcie="PCIe 3 x16", note="PCIe 5 x16",
    cache_bytes=4e6, cores=50, boost_mhz=1000.0, power_w=400.0,
)  # fmt: skip


def test_a_card_of_the_means_has_every_field_of_its_own():
    """A quarter of the layers on one, three quarters on two: 4 / (1 + 1) of 100 and 300 GB/s; the
    rest from the card with the slower PCIe, whose cores take the mean of cores times clock."""
    card = mean_card([ONE, TWO, TWO, ONE])
    assert card.name == "mean of 2 one + 2 two"
    assert card.memory_bytes == 40e9
    assert card.bandwidth_bytes_s == pytest.approx(1 / (0.25 / 100e9 + 0.75 / 300e9))
    assert card.peaks == {"bf16": pytest.approx(1 / (0.25 / 100e12 + 0.75 / 200e12))}
    assert card.half_accumulate_flops_s == pytest.approx(1 / (0.25 / 200e12 + 0.75 / 400e12))
    assert card.core_hz == pytest.approx(1 / (0.25 / 200e9 + 0.75 / 50e9))
    assert (card.cores, card.pcie, card.vendor) == (50, "PCIe 3 x16", "Maker")
    assert (card.link_bytes_s, card.cache_bytes, card.power_w) == (40e9, 4e6, 300.0)
    assert card.idle_w is None


def test_what_one_of_the_cards_lacks_the_card_for_all_lacks():
    bare = replace(TWO, vendor="HBM3", half_accumulate_flops_s=None, link_bytes_s=None, cores=None,
                   boost_mhz=None, power_w=None)  # fmt: skip
    card = slowest_card([ONE, bare])
    assert (card.vendor, card.half_accumulate_flops_s, card.link_bytes_s) == ("", None, None)
    assert (card.power_w, card.cores) == (None, 128)
    # without cores: 256 single-precision FLOPs a clock, a sixteenth of the fastest others
    assert card.core_hz == pytest.approx(min(200e9, 200e12 / 16 / 256))
    assert _of([ONE], "x", min, 5e9).memory_bytes == 5e9


def test_a_machine_has_at_most_64_cards():
    assert len(named_cards("rtx-3090 + 63 x rtx-4090")) == 64
    with pytest.raises(UsageError, match="65 cards are more than a machine has: expected 64"):
        named_cards("2 x rtx-3090 + 63 x rtx-4090")
    assert [card.name for card in named_cards("rtx-4090 + 2x3090")] == [
        "RTX 4090", "RTX 3090", "RTX 3090",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("memory_bytes", "gb"),
    [
        (24 * 2**30, 24), (22.5 * 2**30, 24),  # of an L4 error correction takes a sixteenth
        (140.4 * 2**30, 141), (23.99 * 2**30, 24), (288e9, 288), (80e9, 80), (11 * 2**30, 11),
        (80.0 * 2**30, 80), (79.1 * 2**30, 80),
    ],
)  # fmt: skip
def test_a_memory_is_sold_as_so_many_gb(memory_bytes, gb):
    assert _is_sold_as(memory_bytes, gb)
    for other in (gb * 92 // 100 - 1, gb * 115 // 100 + 1, 2 * gb, gb // 2, 40 * gb):
        assert not _is_sold_as(memory_bytes, other), other


def test_devices_are_listed_by_the_memory_that_they_are_sold_with():
    names = {device.name for device in devices_like("24gb")}
    assert {"RTX 4090", "RTX 3090", "A10"} <= names
    assert not {name for name in names if "80GB" in name or "48GB" in name or "16GB" in name}
    assert {device.vendor for device in devices_like("apple")} == {"Apple"}
    assert "H100-SXM-80GB" in {device.name for device in devices_like("nvidia")}


def test_a_memory_that_is_named_is_the_devices_within_what_a_driver_keeps():
    assert [each.name for each in find_typed("rtx 4090 24gb")] == ["RTX 4090"]
    assert [each.name for each in find_typed("rtx 4090 25gb")] == ["RTX 4090"]  # within 4 %
    for gib in (22, 27):
        with pytest.raises(InputError, match=f"RTX 4090 has 24 GB of memory, not {gib}"):
            find_typed(f"rtx 4090 {gib}gb")
    (mac, *_) = find_typed("m2 ultra 64gb")
    assert mac.memory_bytes == 64 * 2**30
    with pytest.raises(InputError, match="not 400"):
        find_typed("m2 ultra 400gb")


def test_a_device_is_told_with_all_of_its_figures_and_others_of_its_kind():
    text = device_text(find_device("h100"))
    said = (line.strip() for line in text.splitlines())
    (others,) = (line for line in said if line.startswith("others of this kind"))
    assert "H100-PCIe-80GB" in others
    assert "H100-SXM-80GB" not in others
    assert "others of this kind" not in device_text(find_device("rtx 4090"))
    text = device_text(ONE)
    for value in (
        "memory: 20.0 GB", "bandwidth: 100 GB/s", "link bandwidth: 50.0 GB/s",
        f"cache: {digits(0.006)} GB", "bf16 100, fp8 300", "power: 200 W", "cores: 100",
    ):  # fmt: skip
        assert value in text, (value, text)


@pytest.mark.parametrize(
    ("platform", "environment", "where"),
    [
        ("linux", {}, "/home/me/.config"), ("darwin", {}, "/home/me/Library/Application Support"),
        ("win32", {"APPDATA": "/data"}, "/data"), ("win32", {}, "/home/me"),
        ("linux", {"XDG_CONFIG_HOME": "/own"}, "/own"),
        ("linux", {"XDG_CONFIG_HOME": "own"}, "/home/me/.config"), ("linux", {"APPDATA": "/data"},
         "/home/me/.config"),
    ],
)  # fmt: skip
def test_profiles_of_ones_own_lie_where_the_platform_keeps_settings(
    monkeypatch, platform, environment, where
):
    for name in ("XDG_CONFIG_HOME", "APPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": "/home/me", **environment}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    assert folder() == f"{where}/thermoflop/profiles"


def test_a_measured_rate_is_a_share_or_a_count_of_rows():
    """Fractions and seconds lie below 1; rows of padding may be a million."""

    def raw(name: str, alike: object, **rates: float) -> dict[str, Any]:
        whole = {**dict.fromkeys(REPLACED[name], 0.5), **rates}
        return {"class": name, "rates": whole, "number": "fp8", "alike": alike, "kernels": 7,
                "missed": 0.1}  # fmt: skip

    found = _replaced(raw("gemm", "8", m_half=999_999.0))
    assert (found.rates["m_half"], found.rates["weights"], found.kernels) == (999_999.0, 0.5, 7)
    assert (found.alike, found.missed) == ("8", 0.1)
    assert _replaced(raw("decode attention", "1.0", q_half=2.0)).alike == 1.0
    for name, rates in (
        ("gemm", {"m_half": 1e6}), ("gemm", {"matmul": 1.0}), ("gemm", {"weights": 0.0}),
        ("decode attention", {"cache": 1.5}),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="makes no sense"):
            _replaced(raw(name, "8" if name == "gemm" else 1.0, **rates))


@pytest.mark.parametrize(
    ("point", "share"), [(-40.0, 0.0), (0.0, 1 / (1 / 0.95 + 1)), (40.0, 0.95)]
)
def test_a_fraction_is_near_its_exponential_below_its_limit_and_never_above(point, share):
    """1/e = 1/limit + exp(-point): where the point is far below, e is exp(point)."""
    assert _value("matmul", point) == pytest.approx(share, abs=1e-12)
    assert _value("matmul", -9.0) == pytest.approx(exp(-9.0), rel=2e-4)
    assert _value("kernel_gap_s", -9.0) == exp(-9.0)
    assert max(HIGHEST.values()) < 1


def test_every_limit_is_above_what_any_profile_reaches_by_little():
    """No carried rate comes nearer to its limit than a twentieth of it, nor lies below a third of
    it in all: a limit twice as high would say nothing."""
    profiles = [find_profile(None), *training_profiles().values()]
    device = find_device("h100")
    for name, highest in HIGHEST.items():
        reached = [
            getattr(each.efficiency(device, choose_precision("bf16")), name) for each in profiles
        ]
        assert highest / 3 < max(reached) < highest <= 0.96, name


def test_one_thing_more_that_was_never_seen_never_narrows_an_interval():
    """Over all sets of up to three of what may be unseen, and each name that may come on top: no
    more than four are not simply added by their squares (``ALONG``, and the version)."""
    assert len(ALONG) == 3
    for count in range(4):
        for names in combinations(EXTRA, count):
            low, high = widened(0.8, 1.5, names)
            for name in set(EXTRA) - {*names}:
                lower, higher = widened(0.8, 1.5, (*names, name))
                assert lower <= low, (names, name)
                assert high <= higher, (names, name)


def test_an_interval_is_widened_by_what_was_never_seen():
    """In logarithms, squares of 1.28 standard deviations added; a recalled device a factor more."""
    low, high = widened(0.8, 1.5, ("device", "format"))
    extra = 1.2815515655446004 * hypot(EXTRA["device"], EXTRA["format"])
    assert (log(low), log(high)) == (
        pytest.approx(-hypot(log(0.8), extra)), pytest.approx(hypot(log(1.5), extra)),
    )  # fmt: skip
    along = widened(0.8, 1.5, ("kind", "expert format", "version", "device"))
    # versions come with the others
    assert along == widened(0.8, 1.5, ("kind", "expert format", "device"))
    assert widened(0.8, 1.5, ("version",)) == widened(0.8, 1.5, ("kind",))
    assert widened(0.8, 1.5, ()) == (pytest.approx(0.8), pytest.approx(1.5))
    profile = replace(find_profile(None), intervals={"all": Spread(0.8, 1.5, 9)},
                      intervals_unseen_device={}, devices=("one",))  # fmt: skip
    read = replace(ONE, confidence="read")
    plain = profile.interval("token", read)
    assert (plain.low, plain.high) == (0.8, 1.5)
    other = replace(read, name="other")
    assert profile.unseen(other) == ("device", "architecture")
    extra = 1.2815515655446004 * hypot(EXTRA["device"], EXTRA["architecture"])
    wider = profile.interval("token", other)
    assert (log(wider.low), log(wider.high)) == (
        pytest.approx(-hypot(log(0.8), extra)),
        pytest.approx(hypot(log(1.5), extra)),
    )
    recalled = profile.interval("token", replace(ONE, confidence="recalled"))
    assert (recalled.low, recalled.high) == (
        pytest.approx(0.8 / RECALLED_RATE), pytest.approx(1.5 * RECALLED_RATE),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "architecture"),
    [("h100", "hopper"), ("b200", "blackwell"), ("l4", "ada"), ("rtx 3090", "consumer ampere"),
     ("a100", "ampere"), ("rtx 5090", "consumer blackwell"), ("mi300x", "AMD"),
     # compute capability 8.9, 8.6, 7.5, 7.0, 6.1 and 12.0 (developer.nvidia.com/cuda-gpus)
     ("rtx 5000 ada", "ada"), ("rtx 2000 ada", "ada"), ("rtx 3500 ada laptop", "ada"),
     ("l2", "ada"), ("a2", "consumer ampere"), ("a16", "consumer ampere"), ("t4", "turing"),
     ("rtx 2080 ti", "turing"), ("gtx 1650", "turing"), ("v100", "volta"), ("p40", "pascal"),
     ("rtx 6000 pro blackwell server", "consumer blackwell")],
)  # fmt: skip
def test_an_architecture_is_told_by_the_name(name, architecture):
    assert architecture_of(tf.find_device(name)) == architecture


def test_every_card_of_nvidia_has_an_architecture():
    for device in catalogue().values():
        if device.vendor == "NVIDIA" and not device.name.startswith("Jetson"):
            assert architecture_of(device) != "NVIDIA", device.name
