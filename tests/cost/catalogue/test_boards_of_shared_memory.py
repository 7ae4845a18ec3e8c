"""Boards whose memory is their host's have what CUDA shows of it, not what their name says."""

from __future__ import annotations

import pytest
import thermoflop as tf
from thermoflop.cost.engines.footprint import visible_bytes

GIB, MIB = 2**30, 2**20


@pytest.mark.parametrize(
    ("name", "bytes_shown"),
    [
        ("jetson thor", 122.82 * GIB),  # "Free memory on device (57.93/122.82 GiB)" of vLLM
        ("dgx spark", 121.69 * GIB),  # "(109.83/121.69 GiB)" of vLLM, 124,610 MiB by llama.cpp
        ("jetson agx orin 64gb", 62_827 * MIB),  # "VRAM: 62827 MiB" of llama.cpp
        ("jetson orin nano 8gb", 7_607 * MIB),  # "VRAM: 7607 MiB"
        # boards of which no log was read, less what those of their chip keep
        ("jetson orin nx 8gb", 7_607 * MIB), ("jetson orin nano 4gb", (4096 - 8192 + 7607) * MIB),
        ("jetson thor t4000", (64 - 128 + 122.82) * GIB),
    ],
)  # fmt: skip
def test_a_program_may_allocate_what_is_shown_of_a_board(name, bytes_shown):
    assert visible_bytes(tf.find_device(name)) == pytest.approx(bytes_shown, rel=1e-4)


def test_a_share_of_a_board_is_one_of_what_is_shown():
    """vLLM: "desired GPU memory utilization (0.7, 85.98 GiB)" of 122.82."""
    options = {"gpu_memory_utilization": 0.7, "version": "0.19"}
    fitted = tf.fit("qwen3-0.6b", "jetson thor", profile="vllm", engine_options=options)
    assert fitted.budget.usable_bytes / GIB == pytest.approx(85.98, abs=0.01)


def test_a_card_has_less_than_the_driver_says():
    """H100: 79.65 GiB by nvidia-smi, 79.19 by CUDA."""
    assert visible_bytes(tf.find_device("h100")) / GIB == pytest.approx(79.19, abs=0.01)


def test_the_h20_of_141_gb_computes_as_the_one_of_96():
    small, large = (tf.find_device(name) for name in ("h20", "NVIDIA H20-3e"))
    assert large.peaks == small.peaks
    assert (large.bandwidth_bytes_s, large.memory_bytes) == (4.8e12, 143_771 * MIB)
