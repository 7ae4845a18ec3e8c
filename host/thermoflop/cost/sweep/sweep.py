"""``tf.sweep``: the parts of a sweep made in processes of this machine, or by a Dask cluster.

Each part is a file of its own, whole or not there; what is there is not made again. So a sweep that
was killed goes on where it stopped, several machines may share one folder, and a part that was made
twice is the same bytes twice.
"""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Any

from thermoflop.base.files import replace_file
from thermoflop.base.progress import say
from thermoflop.base.record import record
from thermoflop.cost.catalogue.devices import find_device
from thermoflop.cost.catalogue.profiles import find_profile
from thermoflop.cost.sweep.grid import Grid, grid_of, read_grid, shard_of
from thermoflop.cost.sweep.part import COLUMNS, part_name, write_part
from thermoflop.errors import InputError, MissingExtra, StorageError, UsageError
from thermoflop.model.load import load_model

Made = tuple[int, int, str | None]  # what write_part says of a part
MANIFEST = "_sweep.json"  # readers of a folder of Parquet pass over what begins so
FORMAT = 1
MISSING_DASK = "--dask needs Dask: pip install 'thermoflop[dask]'"
_AHEAD = 4  # parts that are given out at once, for each process


@record
class SweepResult:
    """What ``sweep`` did.

    Attributes:
        folder: where the parts are.
        parts: parts of the whole sweep.
        rows: rows of the whole sweep.
        made: parts that were made now.
        made_rows: rows in them.
        kept: parts of this shard that were there already.
        refused_rows: rows made now that have no figures, as the estimator refused them.
        refusal: why the first of these; None where there is none.

    Example:
        >>> import tempfile
        >>> import thermoflop as tf
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     first = tf.sweep({"models": "gpt2", "devices": "h100", "prompt": 64}, folder)
        ...     again = tf.sweep({"models": "gpt2", "devices": "h100", "prompt": 64}, folder)
        >>> (first.made, first.kept), (again.made, again.kept)
        ((1, 0), (0, 1))
    """

    folder: str
    parts: int
    rows: int
    made: int
    made_rows: int
    kept: int
    refused_rows: int = 0
    refusal: str | None = None


def sweep(
    grid: str | PathLike[str] | dict[str, Any],
    out: str | PathLike[str],
    *,
    shard: str = "1/1",
    jobs: int | None = None,
    dask: str | None = None,
) -> SweepResult:
    """Estimate every combination of a grid into Parquet files, resuming what is there.

    Args:
        grid: a TOML file, or a dictionary of the same keys: ``models``, ``devices``, ``dtypes``,
            ``tp``, ``pp``, ``dp``, ``ep``, ``batch``, ``prompt``, ``generate`` (numbers, lists, or
            ranges such as ``"1:512"``, ``"128:8192:*2"``), ``profile``, ``rows`` (of a part).
        out: the folder, made where it is missing. Another sweep's is refused.
        shard: which of how many shares of the parts to make, as ``"3/16"`` (all).
        jobs: processes (one for each processor).
        dask: address of a Dask scheduler, or ``"local"`` for a cluster on this machine; its workers
            must see ``out`` under the same path. None: processes of our own.

    Returns:
        What was made.

    Raises:
        InputError: for a grid or a name that makes no sense, or a folder of another sweep.
        UsageError: for a shard or a number of jobs that makes none.
        MissingExtra: without pyarrow, or Dask where that is asked for.
        StorageError: when a part cannot be written.

    Example:
        >>> import tempfile
        >>> import thermoflop as tf
        >>> grid = {"models": "gpt2", "devices": ["h100", "rtx-4090"], "batch": "1:8"}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     done = tf.sweep(grid, folder, jobs=1)
        >>> done.parts, done.rows
        (2, 16)
    """
    known = grid_of(grid) if isinstance(grid, dict) else read_grid(Path(grid))
    which, of = shard_of(shard)
    if jobs is not None and jobs < 1:
        raise UsageError(f"jobs {jobs}: expected at least 1")
    _check_names(known)
    folder = Path(out)
    _claim(folder, known)
    mine = range(which - 1, known.parts, of)
    due = [number for number in mine if not (folder / part_name(number)).exists()]
    made_rows = refused_rows = 0
    refusal: str | None = None
    try:
        parts = _by_dask(known, folder, due, dask) if dask else _here(known, folder, due, jobs)
        for done, (n_rows, n_refused, why) in enumerate(parts, 1):
            made_rows += n_rows
            refused_rows += n_refused
            refusal = refusal or why
            say(done, len(due), f"{made_rows:,} rows")
    except OSError as error:
        raise StorageError(f"cannot write into {folder}: {error.strerror or error}") from error
    return SweepResult(
        str(folder), known.parts, known.total_rows, len(due), made_rows, len(mine) - len(due),
        refused_rows, refusal,
    )  # fmt: skip


def _check_names(grid: Grid) -> None:
    """InputError for a name that nobody knows: a typing error is no million of refused rows."""
    for model in grid.models:
        load_model(model)
    for device in grid.devices:
        find_device(device)
    if grid.profile is not None:
        find_profile(grid.profile)


def _claim(folder: Path, grid: Grid) -> None:
    """Write down whose folder it is; InputError where it is another sweep's."""
    manifest = {
        "format": FORMAT, "grid": grid.to_json(), "columns": list(COLUMNS),
        "parts": grid.parts, "rows": grid.total_rows,
    }  # fmt: skip
    path = folder / MANIFEST
    text = json.dumps(manifest, indent=1) + "\n"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if path.exists():
            if path.read_text(encoding="utf-8") != text:
                raise InputError(f"{folder} holds another sweep ({path}): choose another folder")
        elif any(folder.glob("part-*.parquet")):
            raise InputError(f"{folder} holds parts and no {MANIFEST}: choose another folder")
        else:
            replace_file(str(path), lambda file: file.write(text.encode()))
    except OSError as error:
        raise StorageError(f"cannot write into {folder}: {error.strerror}") from error


def _here(grid: Grid, folder: Path, due: Sequence[int], jobs: int | None) -> Iterator[Made]:
    """What each part has as it is done, by processes of this machine."""
    n = min(jobs or _processors(), len(due))
    made, out = grid.to_json(), str(folder)
    if n <= 1:
        yield from (write_part(made, number, out) for number in due)
        return
    context = multiprocessing.get_context("spawn")  # a fork would copy threads' locks
    with ProcessPoolExecutor(n, context) as pool:
        rest, running = iter(due), set[Future[Made]]()
        try:
            while True:
                while len(running) < n * _AHEAD and (number := next(rest, None)) is not None:
                    running.add(pool.submit(write_part, made, number, out))
                if not running:
                    return
                done, running = wait(running, return_when=FIRST_COMPLETED)
                yield from (each.result() for each in done)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _by_dask(grid: Grid, folder: Path, due: Sequence[int], address: str) -> Iterator[Made]:
    """The same by a Dask cluster. A worker that is lost has its parts made by another."""
    try:
        from distributed import Client, as_completed
    except ImportError as error:
        raise MissingExtra(MISSING_DASK) from error
    try:
        client = Client(processes=True) if address == "local" else Client(address, timeout=10)
    except (OSError, ValueError, TimeoutError) as error:
        raise UsageError(f"--dask {address!r}: no scheduler answers there ({error})") from error
    with client:
        made, out = grid.to_json(), str(folder.resolve())
        rest = iter(due)
        at_once = max(64, _AHEAD * len(client.scheduler_info()["workers"]))
        first = list(islice(rest, at_once))
        jobs = as_completed([client.submit(write_part, made, n, out, pure=False) for n in first])
        for job in jobs:
            yield job.result()
            for number in islice(rest, 1):
                jobs.add(client.submit(write_part, made, number, out, pure=False))


def _processors() -> int:
    """Those that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
