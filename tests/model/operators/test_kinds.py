"""Each kind of operator in sizes that are primes: its work and what it moves, by factors."""

from __future__ import annotations

import pytest
from thermoflop.model.architecture.formats import choose_formats
from thermoflop.model.operators.kinds import Attend, Convolve, Lookup, MatMul, Pass, Scan, Softmax
from thermoflop.model.operators.operator import Moved, Operator, Traffic
from thermoflop.model.operators.sparse import Product

WHERE = ("name", "part", "group", 2)
WEIGHTS, BIASES, IN, OUT = 19 * 17 * 7 * 11, 19 * 17 * 11, 17 * 7 * 5, 17 * 11 * 5
MATMUL = MatMul(*WHERE, 5, 7, 11, 17, 19, bias=True)
HEAD = MatMul(*WHERE, 5, 7, 11, unquantized=True)
# sequences, heads, key heads, queries, keys, dim, pairs
SIZES = (3, 6, 2, 5, 7, 11, 13)
ROWS, STORED, SCORES = 3 * 6 * 5 * 11, 3 * 2 * 7 * 11, 3 * 6 * 13
CASES: list[tuple[Operator, tuple[int, int, int, int], str, Moved]] = [
    # operator; multiplications, FLOPs, element-wise FLOPs, multiplications a row; shape; moved
    (MATMUL, (2 * 17 * 5 * 7 * 11, 4 * 17 * 5 * 7 * 11, 2 * 17 * 5 * 11, 2 * 17 * 7 * 11),
     "17 x (5 x 7)(7 x 11)", Moved(weights=WEIGHTS, unquantized=BIASES, read=IN, written=OUT)),
    (HEAD, (2 * 5 * 7 * 11, 4 * 5 * 7 * 11, 0, 2 * 7 * 11),
     "(5 x 7)(7 x 11)", Moved(unquantized=7 * 11, read=5 * 7, written=5 * 11)),
    (MatMul(*WHERE, 5, 7, 11, bias=True, unquantized=True, source="kv", target="kv"),
     (2 * 5 * 7 * 11, 4 * 5 * 7 * 11, 2 * 5 * 11, 2 * 7 * 11), "(5 x 7)(7 x 11)",
     Moved(unquantized=7 * 11 + 11, kv_read=5 * 7, kv_written=5 * 11)),
    (Attend(*WHERE, *SIZES), (2 * 3 * 6 * 11 * 13, 4 * 3 * 6 * 11 * 13, 0, 2 * 3 * 6 * 11 * 7),
     "18 x (5 x 11)(11 x 7)", Moved(read=ROWS, kv_read=STORED)),
    (Attend(*WHERE, *SIZES, values=True),
     (2 * 3 * 6 * 11 * 13, 4 * 3 * 6 * 11 * 13, 0, 2 * 3 * 6 * 11 * 7),
     "18 x (5 x 7)(7 x 11)", Moved(kv_read=STORED, written=ROWS)),
    (Attend(*WHERE, *SIZES, fused=False, cached=False),
     (2 * 3 * 6 * 11 * 13, 4 * 3 * 6 * 11 * 13, 0, 2 * 3 * 6 * 11 * 7),
     "18 x (5 x 11)(11 x 7)", Moved(read=ROWS + STORED, written=SCORES)),
    (Attend(*WHERE, *SIZES, fused=False, cached=False, values=True),
     (2 * 3 * 6 * 11 * 13, 4 * 3 * 6 * 11 * 13, 0, 2 * 3 * 6 * 11 * 7),
     "18 x (5 x 7)(7 x 11)", Moved(read=SCORES + STORED, written=ROWS)),
    (Attend(*WHERE, *SIZES, reads=False, values=True),
     (2 * 3 * 6 * 11 * 13, 4 * 3 * 6 * 11 * 13, 0, 2 * 3 * 6 * 11 * 7),
     "18 x (5 x 7)(7 x 11)", Moved(written=ROWS)),
    # five operations a score: scale, subtract, exponential, add, divide
    (Softmax(*WHERE, 6, 3, 13), (0, 0, 2 * 5 * 6 * 3 * 13, 0), "18 x 13", Moved()),
    (Softmax(*WHERE, 6, 3, 13, fused=False), (0, 0, 2 * 5 * 6 * 3 * 13, 0), "18 x 13",
     Moved(read=18 * 13, written=18 * 13)),
    (Pass(*WHERE, 5, 7, 3, inputs=2, outputs=4, weights=11), (0, 0, 2 * 5 * 7 * 3, 0), "5 x 7",
     Moved(unquantized=11, read=2 * 35, written=4 * 35)),
    (Pass(*WHERE, 5, 7, 3), (0, 0, 2 * 5 * 7 * 3, 0), "5 x 7", Moved(read=35, written=35)),
    (Pass(*WHERE, 5, 7, 3, weights=11, fused=True), (0, 0, 2 * 5 * 7 * 3, 0), "5 x 7",
     Moved(unquantized=11)),
    (Lookup(*WHERE, 5, 7), (0, 0, 0, 0), "5 x 7", Moved(unquantized=35, written=35)),
    (Convolve(*WHERE, 5, 7, 11, 3, True),
     (2 * 5 * 7 * 11, 4 * 5 * 7 * 11, 2 * 5 * 11, 2 * 7 * 11), "(5 x 7)(7 x 11)",
     Moved(unquantized=7 * 11 + 11, read=3 * 5, written=11 * 5)),
    (Convolve(*WHERE, 5, 7, 11, 3), (2 * 5 * 7 * 11, 4 * 5 * 7 * 11, 0, 2 * 7 * 11),
     "(5 x 7)(7 x 11)", Moved(unquantized=7 * 11, read=3 * 5, written=11 * 5)),
    (Scan(*WHERE, 5, 7, 11, 3, 13, 4), (2 * 5 * 7 * 11, 4 * 5 * 7 * 11, 2 * 4 * 11 * 5, 2 * 77),
     "5 x 7 x 11", Moved(kv_read=3 * 13, kv_written=3 * 13)),
    (Product(*WHERE, 5, 7, 11, 13, 17, 19), (2 * 5 * 7 * 11, 4 * 5 * 7 * 11, 0, 2 * 7 * 11),
     "(5 x 7)(7 x 11)", Moved(read=13, written=17, kv_read=19)),
]  # fmt: skip


@pytest.mark.parametrize(("operator", "work", "shape", "moved"), CASES)
def test_work_and_traffic_follow_from_the_shape(
    operator: Operator, work: tuple[int, int, int, int], shape: str, moved: Moved
) -> None:
    found = operator.multiplications, operator.flops, operator.elementwise_flops
    assert found == work[:3]
    if work[3]:
        assert operator.per_row == work[3]
    assert (operator.shape, operator.moved) == (shape, moved)


def test_elements_become_bytes_each_in_its_format() -> None:
    """int4 with groups of 128: 66 bytes; the rest of the weights is as wide as activations."""
    formats = choose_formats("fp32", weights="int4", cache="fp8")
    moved = Moved(128, 3, 5, 7, 11, 13)
    traffic = moved.traffic(formats)
    assert traffic == Traffic(66 + 3 * 4, 5 * 4, 7 * 4, 11, 13)
    assert (traffic.activations, traffic.total) == (12 * 4, 66 + 15 * 4 + 24)
    assert traffic.by_kind() == {
        "weights": 66 + 12, "activations": 48, "kv_read": 11, "kv_write": 13,
    }  # fmt: skip
