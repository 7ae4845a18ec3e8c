"""The slowest stage of a pipeline, whose pace the others keep."""

from __future__ import annotations

from typing import Any

import pytest
import thermoflop as tf
from kit.made_up import DEVICE, HEAD_MATRIX, decoder
from thermoflop.cost.training.stages import is_head
from thermoflop.cost.training.work import trained

SIZES: dict[str, Any] = {"global_batch": 16, "sequence": 1000, "profile": "megatron-lm"}
# Products of a layer with a token, and attention to the 500.5 tokens that one meets at the mean:
# three times the former and three and a half times the latter in a step. The head: three times.
LAYER = 3 * (2 * 256 * 256 + 2 * 256 * 128 + 3 * 256 * 512) + 3.5 * 2 * 256 * 500.5
HEAD = 3 * HEAD_MATRIX


def heads(layers: int, stages: int, **more: Any) -> set[float]:
    """How many heads the slowest stage works for in an iteration: forward and two backward."""
    model = decoder(num_hidden_layers=layers)
    phases = trained(tf.train(model, DEVICE, pp=stages, devices=stages, **SIZES, **more).question)
    return {
        round(sum(phase.weight * work.times for phase in phases[:2]) / 3, 9)
        for work in phases[1].works
        if is_head(work) and work.kind == "contraction"
    }


def test_the_last_of_equal_stages_has_the_head_besides_with_each_of_its_own_micro_batches():
    """16 sequences in micro-batches of one: none is of the stages that it waits for."""
    assert heads(4, 1) == heads(4, 2) == heads(8, 4) == heads(8, 4, virtual=2) == {16}


def test_of_stages_that_cannot_be_equal_the_last_one_has_fewer_layers_for_it():
    """Seven layers in two stages leave one out: what the head is worth more than a layer."""
    assert HEAD < LAYER
    assert heads(7, 2) == {0}
    wide = tf.train(decoder(num_hidden_layers=7, vocab_size=4000), DEVICE, pp=2, devices=2, **SIZES)
    (head,) = (work for work in trained(wide.question)[1].works if work.name == "lm_head")
    waited = 16 / (16 + 1)  # the other stage's, of the passes that an iteration takes
    assert head.times * 4 / 7 / 3 == pytest.approx(waited * (1 - LAYER / (4 * HEAD)))
