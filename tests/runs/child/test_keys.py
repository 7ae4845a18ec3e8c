"""KEY=value lines: found in any chunking, never mistaken, bounded."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from thermoflop.runs.child.keys import MAX_RAW_BYTES, KeyLines, parse_keys


@pytest.mark.parametrize(
    ("line", "keys"),
    [
        (b"tokens=64", {"tokens": 64.0}),
        (b"phase=decode tokens=1", {"phase": "decode", "tokens": 1.0}),
        (b"loss=2.31 lr=1e-4", {"loss": 2.31, "lr": 1e-4}),
        (b"x=nan", {"x": "nan"}),
        (b"tokens=32k flops=1.5T", {"tokens": 32_000.0, "flops": 1.5e12}),
        (b"prompt_tokens=2Ki tokens_per_s=1.2k", {"prompt_tokens": 2048.0, "tokens_per_s": 1200.0}),
        (b"model=8b tokens=many", {"model": "8b", "tokens": "many"}),  # a name, and no number
        (b"tokens=9e999T bytes=nan", {"tokens": "9e999T", "bytes": "nan"}),
        (b"tokens=-5 loss=-5", {"tokens": "-5", "loss": -5.0}),  # a loss may be below 0
        (b"prompt_tokens=-2k bytes=-1", {"prompt_tokens": "-2k", "bytes": "-1"}),
        (b"tokens=0 freed_bytes=-1", {"tokens": 0.0, "freed_bytes": -1.0}),
        (b"the x=3 of it", None),
        (b"a == b", None),
        (b"=3", None),
        (b"x=", None),
        (b"for i in range(3): x=1", None),
        (b"", None),
        (b"x=" + b"9" * 600, None),
        (b"  tokens=9\t", {"tokens": 9.0}),
        (b" 50%|##   | 5/10\rphase=decode", {"phase": "decode"}),
        (b"tokens=1\rtokens=2\rtokens=3\r", {"tokens": 3.0}),
        (b"tokens=3\r        ", None),
        (b"\x1b[32mtokens=7\x1b[0m", {"tokens": 7.0}),
        (b"\x1b[1mtokens\x1b[0m=\x1b[38;5;208m7\x1b(B\x1b[m", {"tokens": 7.0}),
        (b"\x1b]8;;https://x.org\x1b\\phase=a\x1b]8;;\x07", {"phase": "a"}),
        (b"\r\x1b[2Ktokens=1,234", {"tokens": 1234.0}),
        (b"tokens=1,234,567.5 n=1e3 k=1_000", {"tokens": 1234567.5, "n": 1e3, "k": 1000.0}),
        (b"loss=2.31, lr=1e-4; name=a,b", {"loss": 2.31, "lr": 1e-4, "name": "a,b"}),
        (b"x=1,23 y=12,34", {"x": "1,23", "y": "12,34"}),
    ],
)
def test_a_line_counts_when_every_word_is_key_value(line: bytes, keys: object) -> None:
    """Prose with an equals sign in it does not."""
    assert parse_keys(line) == keys


@given(
    st.lists(
        st.sampled_from(
            [
                *(b"tokens=1\n", b"hello\n", b"\n", b"\r", b"\r\n", b"bar\rphase=a", b"y=1\r"),
                *(b"x" * 5000 + b"\n", b"y=" + b"z" * 5000, b"  \x1b[32mk=2\x1b[0m\r\n"),
            ]
        ),
        max_size=12,
    ),
    st.sampled_from([2, 7, 50, 4096]),
)
@settings(deadline=None, max_examples=60)
def test_how_the_output_is_cut_in_chunks_does_not_matter(parts: list[bytes], size: int) -> None:
    """A pipe may tear lines anywhere; every line is what it is alone."""
    text = b"".join(parts)
    cut = KeyLines()
    found = []
    for at in range(0, len(text), size):
        found += cut.feed(text[at : at + size])
        assert len(cut._rest) <= MAX_RAW_BYTES
    found += cut.finish()
    assert found == [keys for line in text.split(b"\n") if (keys := parse_keys(line)) is not None]
