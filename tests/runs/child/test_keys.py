"""KEY=value lines: found in any chunking, never mistaken, bounded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from thermoflop.runs.child.keys import MAX_PER_S, KeyLines, parse_keys


@pytest.mark.parametrize(
    ("line", "keys"),
    [
        (b"tokens=64", {"tokens": 64.0}),
        (b"phase=decode tokens=1", {"phase": "decode", "tokens": 1.0}),
        (b"loss=2.31 lr=1e-4", {"loss": 2.31, "lr": 1e-4}),
        (b"x=nan", {"x": "nan"}),
        (b"the x=3 of it", None),
        (b"a == b", None),
        (b"=3", None),
        (b"x=", None),
        (b"for i in range(3): x=1", None),
        (b"", None),
        (b"x=" + b"9" * 600, None),
    ],
)
def test_a_line_counts_when_every_word_is_key_value(line: bytes, keys: object) -> None:
    """Prose with an equals sign in it does not."""
    assert parse_keys(line) == keys


@given(
    st.lists(
        st.sampled_from([b"tokens=1\n", b"hello\n", b"\n", b"x" * 700 + b"\n", b"y=" + b"z" * 700]),
        max_size=30,
    ),
    st.integers(1, 50),
)
def test_how_the_output_is_cut_in_chunks_does_not_matter(parts: list[bytes], size: int) -> None:
    """A pipe may tear lines anywhere."""
    text = b"".join(parts)
    whole = KeyLines().feed(text, 0.0)
    cut = KeyLines()
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    assert [keys for piece in pieces for keys in cut.feed(piece, 0.0)] == whole
    assert len(cut._rest) <= 512


def test_a_flood_is_passed_over_and_counted() -> None:
    """The rest of that second is not kept."""
    lines = KeyLines()
    assert len(lines.feed(b"x=1\n" * 1000, 5.0)) == MAX_PER_S
    assert lines.passed_over == 1000 - MAX_PER_S
    assert len(lines.feed(b"x=1\n", 6.0)) == 1
