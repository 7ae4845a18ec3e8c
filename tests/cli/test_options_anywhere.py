"""Options stand anywhere in a command: before, between and after its operands."""

from __future__ import annotations

from itertools import permutations

import pytest
from thermoflop.cli import _parse

CASES = [
    ("validate", ["times"], ["--json"], ["rows.json", "more.json"]),
    ("estimate", ["gpt2"], ["--gpu", "t4"], ["--json"]),
    ("runs", ["show", "last"], ["--json"], ["--in", "there"]),
    ("pico", ["set", "on_c"], ["29.5"], ["--port", "sim://"]),
    ("pico", ["cal", "offset"], ["--json"], ["-1"]),
    ("report", ["one"], ["--json"], ["two"]),
    ("gpus", ["h100"], ["--json"], ["l4"]),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: " ".join(sum(case[1:], [case[0]])))
def test_every_order_means_the_same(case: tuple[str, list[str], list[str], list[str]]) -> None:
    """Operands keep their own order; options may interrupt them."""
    name, *pieces = case
    operands = [piece for piece in pieces if not piece[0].startswith("--")]
    asked = []
    for order in permutations(pieces):
        if [piece for piece in order if piece in operands] == operands:
            asked.append(vars(_parse([name, *(word for piece in order for word in piece)])))
    assert len(asked) > 2
    assert all(each == asked[0] for each in asked)


def test_options_after_the_command_of_record_are_that_commands() -> None:
    """`record` has its own before the two dashes."""
    args = _parse(["record", "-n", "2", "--", "python", "bench.py", "--json"])
    assert args.cmd[-3:] == ["python", "bench.py", "--json"]
    assert not args.json
