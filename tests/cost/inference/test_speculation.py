"""What a draft gains (Leviathan, Kalman and Matias 2023), on a device that only moves weights."""

from __future__ import annotations

import pytest
import thermoflop as tf
from kit.made_up import (
    BANDWIDTH,
    DEVICE,
    HEAD_MATRIX,
    LAYERS,
    MATRICES,
    PEAK,
    TOKENS,
    decoder,
    rates,
)
from thermoflop.base.record import replace
from thermoflop.cost.inference.speculative import Speculation, tokens_per_check
from thermoflop.errors import UsageError


@pytest.mark.parametrize(
    ("acceptance", "drafted", "tokens"),
    [(0, 4, 1), (1, 4, 5), (0.5, 3, 1 + 1 / 2 + 1 / 4 + 1 / 8), (0.8, 1, 1.8)],
)
def test_a_check_gives_the_accepted_tokens_and_one_more(acceptance, drafted, tokens):
    assert tokens_per_check(acceptance, drafted) == pytest.approx(tokens)


@pytest.mark.parametrize("acceptance", [-0.01, 1.01])
def test_an_acceptance_that_is_no_probability_is_refused(acceptance):
    with pytest.raises(UsageError, match="expected 0 to 1"):
        tokens_per_check(acceptance, 4)


def test_a_token_takes_its_share_of_the_drafts_and_of_a_check():
    found = Speculation("large", "small", 4, 0.75, 3.0, 0.002, 0.022, 0.02)
    assert found.per_token_s == pytest.approx((4 * 0.002 + 0.022) / 3)
    assert found.speed_up == pytest.approx(2)
    assert str(found).splitlines() == [
        "drafting 4 tokens with small, 75% accepted:",
        "  10.0 ms a token instead of 20.0 ms, 2.00 times as fast",
        "  3.00 tokens a check of 22.0 ms, a draft step 2.00 ms",
    ]


def test_a_check_computes_every_drafted_token_and_the_one_before_them():
    """On a device where computing alone takes time: 5 tokens' products for 4 drafted ones."""
    big, small = decoder(num_hidden_layers=2 * LAYERS), decoder()
    computes = replace(DEVICE, bandwidth_bytes_s=1e30)
    sizes = {"prompt": 1, "generate": 2, "profile": rates()}
    found = tf.speculate(big, small, computes, drafted=4, **sizes)
    assert found.check_s == pytest.approx(5 * found.plain_step_s, rel=0.01)
    layers, head = 2 * LAYERS * MATRICES / PEAK, 2 * HEAD_MATRIX / PEAK
    assert found.draft_step_s == pytest.approx(layers + head, rel=0.01)
    assert found.plain_step_s == pytest.approx(2 * layers + head, rel=0.01)


def test_a_check_reads_the_weights_once_whatever_was_drafted():
    """On a device where reading the large matrices of a wide model takes nearly all of the time."""
    wide = {"hidden_size": 4096, "intermediate_size": 8192, "num_attention_heads": 64}
    moves = replace(DEVICE, peaks={"bf16": 1e30})
    model = decoder(**wide)
    found = tf.speculate(model, model, moves, prompt=1, generate=2, profile=rates())
    read = 2 * (model.params - TOKENS * 4096)  # the table is looked up
    assert found.plain_step_s == pytest.approx(read / BANDWIDTH, rel=0.01)
    assert found.check_s == pytest.approx(found.plain_step_s, rel=0.01)
    assert found.draft_step_s == found.plain_step_s


@pytest.mark.parametrize(
    ("sizes", "said"),
    [((128256, 151936), True), ((152064, 151936), False), ((32000,), False), ((), False)],
)
def test_a_draft_of_another_vocabulary_is_said_and_padding_is_none(sizes, said):
    found = Speculation("large", "small", 4, 0.75, 3.0, 0.002, 0.022, 0.02, sizes)
    assert ("vocabularies differ" in str(found)) is said
