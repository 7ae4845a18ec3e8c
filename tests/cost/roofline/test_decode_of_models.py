"""The closed form of a generation on models of the catalogue: apart from its sums, for its time."""

from __future__ import annotations

import pytest
import thermoflop as tf
from kit.decode_loop import loop_decode_s
from thermoflop.cost.hardware.precision import choose_precision
from thermoflop.cost.roofline.decode import decode_s
from thermoflop.cost.roofline.formula import Efficiency
from thermoflop.cost.roofline.rates import Rates
from thermoflop.cost.work.share import Layout, Share
from thermoflop.cost.work.steps import decode_step
from thermoflop.cost.work.work import window_ends


@pytest.mark.parametrize(
    "name",
    ["gemma-3-4b", "deepseek-v2-lite", "mixtral-8x7b", "mamba-130m", "jamba-v0.1", "whisper-tiny",
     "llama-4-scout-text", "gpt-oss-20b", "t5-small", "qwen3-next-80b-a3b"],
)  # fmt: skip
@pytest.mark.parametrize("start", [0, 1, 127, 1023, 8190])
def test_closed_form_of_every_kind_of_layer(name, start):
    """Windows, chunks, latents, mixtures, recurrences and cross attention, across their borders."""
    model = tf.load_model(name)
    share = Share(model.description, Layout(), choose_precision("bf16"))
    speeds = Rates(
        1e14, 2e12, 1e11, 1e11, 1e14, Efficiency(matmul=0.6, attention=0.2, kernel_gap_s=3e-6)
    )

    def works_at(cached):
        return share.works(decode_step(cached, 3))

    closed = decode_s(works_at, start, 40, 3, speeds, window_ends(model.description))
    assert closed == pytest.approx(loop_decode_s(works_at, start, 40, 3, speeds), rel=1e-9)
