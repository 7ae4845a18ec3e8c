"""How arrays are carried, where a generation is cut, and when an encoder runs."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import thermoflop as tf
from kit.made_up import decoder
from thermoflop.base.paper import paper
from thermoflop.errors import UsageError
from thermoflop.model.operators.step import Step
from thermoflop.model.operators.totals import even_pieces


@pytest.mark.parametrize(("batch", "kind"), [(2**30, "i"), (2**39, "f"), (2**50, "f")])
def test_bytes_that_may_pass_63_bits_are_carried_as_floats(batch: int, kind: str) -> None:
    """A token of 256 elements moves more of them, with the room of a format's scales, than it has
    FLOPs: they decide first. Either way it is what whole numbers give."""
    model = decoder(num_hidden_layers=1)
    found = model.operators(np.array([batch], dtype=np.int64), 1, 1)
    exact = model.operators(batch, 1, 1)
    assert np.asarray(found.flops).dtype.kind == kind
    assert float(np.asarray(found.flops)[0]) == pytest.approx(exact.flops, rel=1e-12)
    assert float(np.asarray(found.traffic.total)[0]) == pytest.approx(
        float(exact.traffic.total), rel=1e-12
    )


def test_an_encoder_runs_where_nothing_is_cached_or_where_it_is_said() -> None:
    assert [Step(1, 1, cached).runs_encoder for cached in (0, 5)] == [True, False]
    assert [Step(1, 1, 5, encode=each).runs_encoder for each in (True, False)] == [True, False]
    arrays = [Step(1, 1, np.array(cached)).runs_encoder for cached in ([0, 0], [5, 6])]
    assert arrays == [True, False]
    with pytest.raises(UsageError, match="both zero and non-zero"):
        _ = Step(1, 1, np.array([0, 5])).runs_encoder


def test_a_generation_is_cut_where_a_chunk_begins_under_its_mask_and_where_a_window_fills() -> None:
    """Llama 4: chunks of 8,192; Mistral: a window of 4,096 is full with 4,095 cached."""
    scout = tf.load_model("llama-4-scout-text").description
    pieces = even_pieces(scout, 5000, 20_000, True)
    assert pieces[0][0] == 5000
    assert pieces[-1][1] == 20_000
    assert all(b[0] == a[1] + 1 for a, b in pairwise(pieces))
    starts = {start for start, _ in pieces}
    assert {8192, 16_384} <= starts
    assert 16_384 not in {start for start, _ in even_pieces(scout, 5000, 20_000, False)}
    assert even_pieces(scout, 16_000, 16_384, True)[-1] == (16_384, 16_384)
    mistral = tf.load_model("mistral-7b-v0.1").description
    assert even_pieces(mistral, 4000, 5000, True) == [(4000, 4094), (4095, 5000)]
    assert even_pieces(mistral, 100, 200, True) == [(100, 200)]
    assert even_pieces(decoder().description, 3, 9, True) == [(3, 9)]


def test_a_table_of_operators_fills_a_hundred_columns_and_lacks_its_least_in_fewer() -> None:
    """16 + 8 + 20 + 6 x 6 + 2 x 5 and ten blanks are 100; F/B goes first."""
    table = decoder().operators(1, 1, 10)
    heads = {}
    for width in (100, 99):
        with paper(width):
            lines = str(table).splitlines()
        (heads[width],) = (line for line in lines if line.startswith("operator"))
    assert len(heads[100]) == 100
    assert heads[100].split() == ["operator", "class", "shape", "mults", "FLOPs", "weight",
                                  "activ.", "KV", "in", "KV", "out", "F/B", "share"]  # fmt: skip
    assert heads[99].split() == [each for each in heads[100].split() if each != "F/B"]
