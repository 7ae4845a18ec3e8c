"""One part of a sweep: its rows as columns, and the Parquet file of them."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

from thermoflop.base.files import replace_file
from thermoflop.base.number import Array, Flags
from thermoflop.cost.inference.estimate import estimate
from thermoflop.cost.sweep.grid import Cell, Grid
from thermoflop.errors import MissingExtra, ThermoflopError
from thermoflop.model.load import load_model
from thermoflop.model.model import Model

MISSING = "a sweep needs pyarrow: pip install 'thermoflop[parquet]'"
TEXTS = ("model", "device", "dtype", "refused")
WHOLE = ("tp", "pp", "dp", "ep", "batch", "prompt", "generate")
SPANS = {"ttft": "first_token", "token": "per_token", "total": "total"}
FIGURES = (
    *(f"{span}_{end}_s" for span in SPANS for end in ("bound", "expected", "low", "high")),
    "tokens_per_s", "memory_bytes", "joules_per_token",
)  # fmt: skip
COLUMNS = (*TEXTS[:3], *WHOLE, "fits", *FIGURES, "refused")


def part_name(number: int) -> str:
    """The file of a part."""
    return f"part-{number:07d}.parquet"


def write_part(grid: dict[str, Any], number: int, out: str) -> tuple[int, int, str | None]:
    """Make a part's file, whole or not at all; how many rows it has, how many of them the estimator
    refused, and why the first one.

    ``grid`` is ``Grid.to_json()``: what is passed to other processes. The same part has the same
    bytes whenever it is made. Raises MissingExtra without pyarrow, OSError.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingExtra(MISSING) from error
    lists: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in grid.items()}
    made = Grid(**lists)
    cell, sizes = made.part(number)
    columns = rows(made, cell, sizes)
    arrays = [
        _texts(columns[name], len(sizes)) if name in TEXTS else pa.array(columns[name])
        for name in COLUMNS
    ]
    table = pa.table(arrays, names=list(COLUMNS))

    def fill(file: BinaryIO) -> None:
        # figures hardly repeat: looking for repeats takes twice as long as writing them
        pq.write_table(table, file, compression="zstd", use_dictionary=[*TEXTS, *WHOLE])

    replace_file(str(Path(out) / part_name(number)), fill)
    refusals = [why for why in columns["refused"] if why is not None]
    return len(sizes), len(refusals), next(iter(refusals), None)


def _texts(values: Any, count: int) -> Any:
    """A column of texts: one for all rows, or one for each."""
    import pyarrow as pa

    if isinstance(values, list):
        return pa.array(values, pa.string()).dictionary_encode()
    known = [] if values is None else [values]
    places = [0 if known else None] * count
    return pa.DictionaryArray.from_arrays(
        pa.array(places, pa.int32()), pa.array(known, pa.string())
    )


def rows(grid: Grid, cell: Cell, sizes: range) -> dict[str, Any]:
    """The columns of a part; a text that all rows share stands once. What the estimator refuses has
    its sentence and no figures."""
    import numpy as np

    shape = (len(grid.batch), len(grid.prompt), len(grid.generate))
    at = np.unravel_index(np.arange(sizes.start, sizes.stop), shape)
    lists = zip(("batch", "prompt", "generate"), at, strict=True)
    columns: dict[str, Any] = {
        name: np.asarray(getattr(grid, name), dtype=np.int64)[index] for name, index in lists
    }
    n = len(sizes)
    columns |= {name: np.full(n, getattr(cell, name), dtype=np.int64) for name in WHOLE[:4]}
    columns |= {"model": cell.model, "device": cell.device}
    figures, dtype, fits, why = _estimated(grid, cell, columns)
    columns |= {"dtype": dtype, "fits": fits, "refused": why, **figures}
    return columns


def _estimated(
    grid: Grid, cell: Cell, columns: dict[str, Any]
) -> tuple[dict[str, Array], str | None, Flags, list[str | None]]:
    """Figures, format, whether it fits and why it is refused, row by row.

    Rows longer than the model's context are told apart first: one of them would refuse all.
    """
    import numpy as np

    n = len(columns["batch"])
    figures = {name: np.full(n, np.nan) for name in FIGURES}
    fits, why = np.zeros(n, dtype=bool), np.full(n, None, dtype=object)
    try:
        model = _model(cell.model)
        longest = model.max_positions or np.inf
        short = columns["prompt"] + columns["generate"] <= longest
        why[~short] = f"longer than the model's context of {longest:g} tokens"
        if not short.any():
            return figures, cell.dtype, fits, list(why)
        made = estimate(
            model, cell.device, tp=cell.tp, pp=cell.pp, dp=cell.dp, ep=cell.ep, dtype=cell.dtype,
            profile=grid.profile,
            **{name: columns[name][short] for name in ("batch", "prompt", "generate")},
        )  # fmt: skip
    except ThermoflopError as error:
        why[:] = str(error)
        return figures, cell.dtype, fits, list(why)
    for span, name in SPANS.items():
        for end in ("bound", "expected", "low", "high"):
            value = getattr(getattr(made, name), f"{end}_s")
            figures[f"{span}_{end}_s"][short] = np.nan if value is None else value
    figures["tokens_per_s"][short] = made.tokens_per_s
    figures["memory_bytes"][short] = made.memory.total_bytes
    if made.energy is not None:
        figures["joules_per_token"][short] = made.energy.per_token_j
    fits[short] = made.fits
    return figures, made.precision.name, fits, list(why)


@lru_cache(maxsize=16)
def _model(name: str) -> Model:
    return load_model(name)
