"""Kernels that a machine measures: which come first, and a file that carried rates judge."""

from __future__ import annotations

import json

import pytest
from thermoflop.bench.calibrate.kernels import (
    GPU,
    Sizes,
    file_of,
    kernels_to_measure,
    measured_tables,
)
from thermoflop.bench.kernels import Pool
from thermoflop.bench.numpy_backend import NumpyBackend
from thermoflop.cost.hardware.precision import choose_precision
from thermoflop.cost.validate.kernels import validate_kernels


def of_class(table: str):
    every = kernels_to_measure(choose_precision("bf16"), GPU, attention=True)
    return [kernel.work for kernel in every if kernel.table == table]


@pytest.mark.parametrize(
    ("table", "size"),
    [("gemm", "flops"), ("attention_decode", "kv_bytes"), ("attention_context", "flops")],
)
def test_the_extremes_come_first(table, size):
    """The first four kernels of a class hold its largest and its smallest."""
    sizes = [getattr(work, size) for work in of_class(table)]
    assert {min(sizes), max(sizes)} <= set(sizes[:4])


def test_at_least_twenty_products_and_ten_of_each_attention():
    assert len(of_class("gemm")) >= 20
    assert len(of_class("attention_decode")) >= 10
    assert len(of_class("attention_context")) >= 10


def test_what_a_machine_measures_is_read_back_and_judged(tmp_path):
    """On this processor, with products small enough for a test; numpy has no attention kernel."""
    backend = NumpyBackend()
    todo = list(kernels_to_measure(choose_precision("fp32"), Sizes(1024, 32), attention=False))[:10]
    sheet = {
        "name": "made up", "memory_gb": 1, "bandwidth_gb_s": 10, "dense_tflops": {"fp32": 0.1},
    }  # fmt: skip
    tables = measured_tables(todo, "made up", backend, Pool(backend, 4e6))
    columns, rows = tables["gemm"]["columns"], tables["gemm"]["rows"]
    assert [row[columns.index("m")] for row in rows] == [kernel.row["m"] for kernel in todo]
    assert min(row[columns.index("us")] for row in rows) > 0
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(file_of(sheet, backend, tables)))
    report = validate_kernels([str(path)])
    assert [(line["how"], line["rows"]) for line in report.lines()] == [
        ("carried rates", 10),
        ("moved by its others", 10),
    ]
    assert report.judged[0].device == "made up"
