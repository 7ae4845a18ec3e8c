"""``thermoflop calibrate --kernels FILE``: single kernels of this machine, by the classes and sizes
that the forms of ``cost.kernels`` have.

The extremes come first: a product of many rows and one of few with large weights, the smallest and
the largest cache, long prompts side by side and a short one; then what lies between. Each is timed
with its weights or cache coming from memory. The file has the format of the published kernels, with
the device beside, so that ``validate kernels FILE`` judges it, and rates can be moved by it. torch
has no kernel of its own for experts, and collectives need several processes: neither is measured.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from statistics import median
from typing import Any

from thermoflop.base.progress import tracked
from thermoflop.base.record import record, replace
from thermoflop.bench.backend import Backend, times
from thermoflop.bench.calibrate.busy import Patience
from thermoflop.bench.kernels import Pool, kernel
from thermoflop.bench.limits import find_best, open_pool
from thermoflop.cost.catalogue.devices import find_device, is_known
from thermoflop.cost.catalogue.machine import machine
from thermoflop.cost.hardware.precision import Precision, choose_precision
from thermoflop.cost.work.work import Work, work_of
from thermoflop.model.operators.kinds import Attend, MatMul

_WHERE = ("calibration", "calibration", 1)
DIM = 128
LEAST_S = 0.03
# What the tables of published kernels call a number format.
FORMATS = {"bf16": "bfloat16", "fp16": "half", "fp32": "float32"}
# m, n, k of products, extremes first.
PRODUCTS = (
    (16384, 8192, 8192), (1, 28672, 8192), (1, 1024, 1024), (16, 28672, 8192), (64, 4096, 4096),
    (2048, 4096, 4096), (256, 8192, 8192), (8, 14336, 4096), (512, 1536, 7168), (4096, 8192, 1024),
    (32, 8192, 8192), (128, 4096, 14336), (1024, 6144, 4096), (1, 4096, 4096), (8192, 4096, 14336),
    (16, 2048, 7168), (64, 28672, 8192), (256, 1024, 4096), (2048, 28672, 8192), (128, 1024, 1024),
)  # fmt: skip
# batch, context, heads, key heads of decoding.
CACHES = (
    (1, 128, 32, 8), (64, 8192, 32, 8), (1, 16384, 32, 8), (256, 256, 32, 8), (8, 1024, 32, 8),
    (32, 2048, 32, 32), (128, 512, 64, 8), (16, 4096, 16, 2), (4, 512, 32, 32), (2, 8192, 64, 8),
)  # fmt: skip
# batch, tokens, heads, key heads of prompts.
PROMPTS = (
    (8, 8192, 32, 8), (1, 128, 32, 8), (1, 8192, 32, 8), (64, 128, 32, 8), (1, 2048, 32, 8),
    (4, 1024, 32, 32), (16, 512, 32, 8), (2, 4096, 16, 2), (32, 256, 40, 8), (1, 512, 32, 32),
    (8, 2048, 64, 8), (4, 128, 8, 8), (2, 1024, 16, 4), (1, 4096, 64, 8), (16, 1024, 8, 1),
)  # fmt: skip


@record
class Sizes:
    """How much smaller a processor's kernels are: rows, sides of a matrix, sequences, tokens."""

    rows: int = 1
    side: int = 1
    batch: int = 1
    tokens: int = 1


GPU, CPU = Sizes(), Sizes(rows=16, side=4, batch=8, tokens=8)


@record
class Kernel:
    """One kernel to measure: its table, its row without the time, and its work."""

    table: str
    row: dict[str, Any]
    work: Work


def kernels_to_measure(precision: Precision, sizes: Sizes, attention: bool) -> Iterator[Kernel]:
    """Every kernel, extremes first; ``attention``: whether it is one kernel here."""
    for m, n, k in PRODUCTS:
        rows, wide, deep = max(1, m // sizes.rows), n // sizes.side, k // sizes.side
        operator = MatMul("product", *_WHERE, rows, deep, wide)
        yield Kernel("gemm", {"m": rows, "n": wide, "k": deep}, work_of(operator, precision))
    if not attention:
        return
    for table, shapes in (("attention_decode", CACHES), ("attention_context", PROMPTS)):
        for batch, tokens, heads, kv in shapes:
            sequences, keys = max(1, batch // sizes.batch), max(32, tokens // sizes.tokens)
            new = 1 if table == "attention_decode" else keys
            pairs = new * keys if new == 1 else new * (new + 1) // 2
            scores = Attend("scores", *_WHERE, sequences, heads, kv, new, keys, DIM, pairs)
            row = {
                "batch": sequences, "new": new, "context": keys, "heads": heads, "kv_heads": kv,
                "head_dim": DIM,
            }  # fmt: skip
            yield Kernel(table, row, replace(work_of(scores, precision), name="attention"))


def measure_kernels(backend: Backend, quick: bool = False) -> dict[str, Any]:
    """Measure them all, or the first half of each class: the file's JSON object."""
    pool = open_pool(backend)
    sheet = _sheet(backend, pool)
    sizes = CPU if backend.device == "cpu" else GPU
    attention = backend.kernels == "attention"
    todo = list(kernels_to_measure(choose_precision(backend.dtype), sizes, attention))
    if quick:
        names = dict.fromkeys(each.table for each in todo)
        todo = [each for name in names for each in _first_half(todo, name)]
    return file_of(sheet, backend, measured_tables(todo, sheet["name"], backend, pool))


def file_of(sheet: dict[str, Any], backend: Backend, tables: dict[str, Any]) -> dict[str, Any]:
    """The file's JSON object: tables with where they were measured, and on what."""
    return {
        "source": "thermoflop calibrate --kernels",
        "unit": "us",
        "made": {
            "utc": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "machine": machine(backend.gpu()),
            "libraries": backend.describe(),
        },
        "devices": {} if is_known(sheet["name"]) else {sheet["name"]: sheet},
        "tables": tables,
    }


def measured_tables(
    todo: Sequence[Kernel], device: str, backend: Backend, pool: Pool
) -> dict[str, dict[str, list[Any]]]:
    """Columns and rows of each class; kernels that memory has no room for are left out."""
    number = FORMATS[backend.dtype]
    library = {
        "gpu_key": device, "backend": backend.name, "version": backend.describe()[backend.name],
        "dtype": number,
    }  # fmt: skip
    timed = _timer(backend, pool)
    tables: dict[str, dict[str, list[Any]]] = {}
    for each in tracked(todo, "measuring", lambda one: one.table):
        seconds = timed(each.work)
        if seconds is None:
            continue
        kv = {} if each.table == "gemm" else {"kv_dtype": number}
        row = {**library, **kv, **each.row, "us": round(1e6 * seconds, 3), "kernel": backend.name}
        table = tables.setdefault(each.table, {"columns": list(row), "rows": []})
        table["rows"].append(list(row.values()))
    return tables


def kernels_of_machine(raw: dict[str, Any]) -> dict[str, Any]:
    """The kernels that a calibration of a whole machine timed, as such a file's JSON object.

    Its nodes are those of ``grid``: products of square matrices, in place of the two aspects whose
    mean was kept, and attention of 8 key heads, or of a fourth of the heads for prompts.
    """
    made, number = raw["made"], FORMATS[raw["dtype"]]
    gpu = made["machine"].get("gpu", "")
    known = bool(gpu) and is_known(gpu)
    device = find_device(gpu).name if known else raw["device"]["name"]
    library = {
        "gpu_key": device, "backend": made["backend"], "dtype": number,
        "version": made["libraries"].get(made["backend"], ""), "kernel": made["backend"],
    }  # fmt: skip
    tables: dict[str, dict[str, list[Any]]] = {}
    for key, (table, shape) in _NODES.items():
        nodes = raw["tables"].get(key)
        if nodes is None:
            continue
        kv = {} if table == "gemm" else {"kv_dtype": number, "head_dim": DIM}
        rows = [
            {**library, **kv, **shape(rows, size), "us": 1e6 * seconds}
            for rows, line in zip(nodes["rows"], nodes["seconds"], strict=True)
            for size, seconds in zip(nodes["sizes"], line, strict=True)
        ]
        tables[table] = {"columns": list(rows[0]), "rows": [list(row.values()) for row in rows]}
    return {"made": made, "devices": {} if known else {device: raw["device"]}, "tables": tables}


def _product_node(rows: float, size: float) -> dict[str, int]:
    side = round(size**0.5)
    return {"m": int(rows), "n": side, "k": side}


def _decoding_node(group: float, size: float) -> dict[str, int]:
    keys = max(8, min(512, int(size) // 1024))
    batch = max(1, int(size) // (1024 * keys))
    return {"batch": batch, "new": 1, "context": keys, "heads": 8 * int(group), "kv_heads": 8}


def _prompt_node(queries: float, width: float) -> dict[str, int]:
    heads = min(32, int(width) // DIM)
    batch = int(width) // (heads * DIM)
    return {"batch": batch, "new": int(queries), "context": int(queries), "heads": heads,
            "kv_heads": heads // 4}  # fmt: skip


_NODES = {
    "matmul": ("gemm", _product_node),
    "attention": ("attention_decode", _decoding_node),
    "causal attention": ("attention_context", _prompt_node),
}


def _first_half(kernels: Sequence[Kernel], table: str) -> list[Kernel]:
    of_table = [each for each in kernels if each.table == table]
    return of_table[: (len(of_table) + 1) // 2]


def _sheet(backend: Backend, pool: Pool) -> dict[str, Any]:
    """The data sheet of a GPU that the catalogue has, else the best rates that were seen."""
    gpu = backend.gpu()
    if gpu and is_known(gpu):
        return {"name": find_device(gpu).name}
    best = find_best(backend, pool)
    label = gpu or machine()["processor"]
    return best.raw_device(f"{label} ({backend.name} {backend.dtype})", backend.dtype)


def _timer(backend: Backend, pool: Pool) -> Callable[[Work], float | None]:
    """Seconds of a work, the median of many calls; None where there is no room for it."""
    around = pool.pass_through() if backend.device == "cpu" else None
    patience = Patience()

    def timed(work: Work) -> float | None:
        call = kernel(work, pool)
        if call is None:
            return None
        seconds = patience.undisturbed(partial(times, backend, call, around, LEAST_S))
        return max(median(seconds), 1e-7)

    return timed
