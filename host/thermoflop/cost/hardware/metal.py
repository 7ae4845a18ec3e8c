"""How much of a Mac's memory its GPU may take.

``SHARES``: Metal's recommendedMaxWorkingSetSize in start-up logs of llama.cpp under macOS 15 and
26, by GiB of memory: 12,713.12 MB of 16 GiB, 19,069.67 of 24, 26,800.60 of 32, 30,150.67 of 36,
40,200.90 of 48 (llama.cpp pull request 16634), 55,662.79 of 64, 115,448.73 of 128 (107.52 GiB:
antirez/ds4 pull request 893) and 498,216.21 of 512. Sizes between two of them are taken to have the
share of the smaller, those below 16 GiB the two thirds of earlier systems, which left a machine of
16 or 32 GiB 10,922.67 or 21,845.34 MiB, and three quarters to those of 36 on.
"""

from __future__ import annotations

from thermoflop.base.units import gigabytes

GIB = float(2**30)
SHARES = ((512, 0.90625), (128, 0.84), (64, 0.81), (32, 0.78), (16, 0.74), (0, 2 / 3))


def metal_bytes(memory_bytes: float) -> float:
    """Bytes that the GPU of a Mac with so much memory may take."""
    return memory_bytes * next(share for gib, share in SHARES if memory_bytes >= 0.99 * gib * GIB)


def metal_words(memory_bytes: float) -> str:
    """The same, as a phrase."""
    limit = gigabytes(metal_bytes(memory_bytes))
    return f"Metal lets a GPU take {limit} (sysctl iogpu.wired_limit_mb raises that)"
