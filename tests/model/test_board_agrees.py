"""The board's counter and the host's give the same digits."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from thermoflop.model.mults import (
    DecoderShape,
    exact_mults,
    page_mults,
    script_mults,
    script_params,
)

BOARD = Path(__file__).resolve().parents[2] / "firmware" / "mults.py"
spec = spec_from_file_location("board_mults", BOARD)
assert spec is not None
assert spec.loader is not None
mults = module_from_spec(spec)
spec.loader.exec_module(mults)
FORMS = {"page": page_mults, "script": script_mults, "exact": exact_mults, "params": script_params}


@settings(max_examples=100, deadline=None)
@given(st.tuples(*[st.integers(0, 10**7)] * 7))
def test_host_and_board_count_the_same_digits(sizes: tuple[int, ...]) -> None:
    layers, heads, d_model, d_head, n_ctx, d_ff, vocab = sizes
    shape = DecoderShape(layers, heads, d_model, d_head, n_ctx, d_ff, vocab)
    named = dict(zip(mults.NAMES, sizes, strict=True))
    for form, count in FORMS.items():
        assert mults.count(form, named) == count(shape)
