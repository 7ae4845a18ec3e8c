"""Why a GPU that is not NVIDIA's is not recorded: a sentence for the run's record."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

from thermoflop.base.processes import read_text

_DRM = Path("/sys/class/drm")
_AMD = "0x1002"  # PCI vendor id, pci-ids.ucw.cz


def why_not_recorded(drm: Path = _DRM) -> str:
    """One sentence about an AMD or Apple GPU of this machine; empty where none is known of.

    ``drm`` is where Linux lists graphics cards. Windows does not tell without its own libraries.
    """
    if sys.platform == "darwin" and platform.machine() == "arm64":
        return (
            "an Apple GPU is not recorded: macOS gives its power to root alone (powermetrics), "
            "and no energy counter"
        )
    if any(read_text(vendor) == _AMD for vendor in sorted(drm.glob("card*/device/vendor"))):
        return (
            "an AMD GPU is not recorded: its readings come from ROCm's amdsmi, which thermoflop "
            "does not read"
        )
    return ""
