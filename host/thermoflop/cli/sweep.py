"""``thermoflop sweep``: estimates by the million, into Parquet."""

from __future__ import annotations

import argparse
import sys
import time

from thermoflop.cli.arguments import add_shared, path, print_result
from thermoflop.errors import UsageError

EPILOG = """\
Sizes and layouts are numbers, lists and ranges: 1,8,64   1:512   128:8192:*2 (doubling).
GRID is a TOML file of the same names (models, devices, dtypes, tp, pp, dp, ep, batch, prompt,
generate, profile). What is in the folder is not made again: after a kill, the same command goes on.
On a cluster: --shard 3/16 makes one share of the parts, for any batch scheduler;
--dask scheduler:8786 gives them to a Dask cluster that sees the folder, --dask local to one here.

Columns: model, device, dtype, tp, pp, dp, ep, batch, prompt, generate, fits (as fit says), ttft_*,
token_* and total_* (bound, expected, low, high; seconds), tokens_per_s, memory_bytes (of a device,
added up), joules_per_token, refused (why, where nothing was computed). Read them with any tool:
  duckdb -c "select model, device, max(tokens_per_s)
             from 'sweep/*.parquet' where fits group by all"
  python -c "import polars as pl; print(
      pl.scan_parquet('sweep/*.parquet').filter(pl.col('fits')).group_by(
      'model', 'device').agg(pl.max('tokens_per_s')).collect())"

examples:
  thermoflop sweep --models llama-3-8b,qwen3-8b --devices h100,rtx-4090 --batch 1:64 --out sweep
  thermoflop sweep grid.toml --out sweep --shard 3/16
"""
_LISTS = {
    "models": "names or config.json files",
    "devices": "names (see gpus)",
    "dtypes": "formats, such as published,fp8 (published)",
    "tp": "tensor parallel (1)",
    "pp": "pipeline stages (1)",
    "dp": "replicas (1)",
    "ep": "devices that share the experts (1)",
    "batch": "sequences (1)",
    "prompt": "tokens (1024)",
    "generate": "new tokens (128)",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add = parser.add_argument
    add("grid", nargs="?", type=path, metavar="GRID", help="a TOML file")
    for name, meaning in _LISTS.items():
        add(f"--{name}", metavar="LIST", help=meaning)
    add_shared(parser, "--profile")
    add("--out", type=path, default="sweep", metavar="DIR", help="the folder of the parts (sweep)")
    add("--shard", default="1/1", metavar="I/N", help="make this share of the parts")
    add("--jobs", type=int, metavar="N", help="processes (one for each processor)")
    add("--dask", metavar="ADDRESS", help="a Dask scheduler, or local")
    add_shared(parser, "--json")


def run(args: argparse.Namespace) -> None:
    """Make what is missing, and say how fast."""
    from thermoflop.cost.sweep.sweep import sweep

    given = {name: getattr(args, name).split(",") for name in _LISTS if getattr(args, name)}
    given |= {} if args.profile is None else {"profile": args.profile}
    if args.grid is not None and given:
        if args.grid.suffix != ".toml" and "models" not in given:
            raise UsageError(f"GRID is a TOML file; a model is --models {args.grid}")
        raise UsageError(f"--{next(iter(given))} and a GRID file: expected one of the two")
    if args.grid is None and not given.get("models") and not given.get("devices"):
        raise UsageError(
            "a sweep is of --models and --devices, or of a GRID file: "
            "thermoflop sweep --models gpt2,llama-3-8b --devices h100 --batch 1:8"
        )
    start_s = time.monotonic()
    done = sweep(
        args.grid if args.grid is not None else given,
        args.out, shard=args.shard, jobs=args.jobs, dask=args.dask,
    )  # fmt: skip
    seconds = time.monotonic() - start_s
    rate = f", {done.made_rows / seconds:,.0f} rows/s" if done.made_rows and seconds > 0 else ""
    data = {name: getattr(done, name) for name in type(done).__annotations__}

    def text() -> str:
        refused = (
            f"{done.refused_rows:,} of the rows made have no figures (see column refused), the "
            f"first: {done.refusal}\n"
        )
        return (
            f"rows made {done.made_rows:,}, parts {done.made} ({seconds:.1f} s{rate}), "
            f"parts kept {done.kept}; the whole sweep: rows {done.rows:,}, parts {done.parts}\n"
            f"{refused if done.refused_rows else ''}"
            f"read them: duckdb -c \"from '{done.folder}/*.parquet' limit 5\""
        )

    print_result(args, lambda: {**data, "seconds": round(seconds, 3)}, text, file=sys.stdout)
