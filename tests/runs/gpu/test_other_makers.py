"""A GPU that is not NVIDIA's gets one sentence that says why it is not recorded."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import pytest
from thermoflop.runs.gpu.other_makers import why_not_recorded


def card(drm: Path, number: int, vendor: str) -> None:
    """As Linux lists it."""
    device = drm / f"card{number}" / "device"
    device.mkdir(parents=True)
    (device / "vendor").write_text(vendor + "\n")


def test_an_amd_gpu_is_named_and_intel_s_is_not(tmp_path: Path) -> None:
    """By the PCI vendor id: 1002 is AMD's, 8086 Intel's, 10de NVIDIA's."""
    card(tmp_path, 0, "0x8086")
    card(tmp_path, 1, "0x10de")
    assert why_not_recorded(tmp_path) == ""
    card(tmp_path, 2, "0x1002")
    assert "AMD" in why_not_recorded(tmp_path)
    assert "amdsmi" in why_not_recorded(tmp_path)


def test_an_apple_gpu_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A Mac with Apple's own chip, not one with Intel's."""
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    assert "Apple" in why_not_recorded(tmp_path)
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    assert why_not_recorded(tmp_path) == ""
