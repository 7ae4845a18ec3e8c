"""What engines send and copy besides what a model asks for."""

from __future__ import annotations

import pytest
from thermoflop.cost.engines.overheads import as_sent
from thermoflop.cost.hardware.precision import choose_precision
from thermoflop.cost.work.network import network_work


@pytest.mark.parametrize(("dtype", "bytes_sent"), [("bf16", 4.0), ("fp8", 3 + 4 / 128), ("awq", 4)])
def test_tokens_go_to_experts_in_8_bits_where_those_multiply_so_and_come_back_in_16(
    dtype, bytes_sent
):
    """Of 2 + 2 bytes an element, there and back; other collectives stay as they are."""
    works = [network_work("all-to-all", 2, 1200.0, 3.0, 800.0), network_work("all-reduce", 1, 9.0)]
    sent, reduced = as_sent(works, choose_precision(dtype))
    assert sent.activation_bytes == pytest.approx(1200 * bytes_sent / 4)
    assert sent.far_bytes == pytest.approx(800 * bytes_sent / 4)
    assert reduced == works[1]
