"""A sweep's parts: every row once, the same bytes whoever makes them, ``estimate``'s figures."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
import thermoflop as tf
from kit.commands import ENVIRONMENT, command
from thermoflop.cost.sweep.grid import grid_of, shard_of
from thermoflop.cost.sweep.part import COLUMNS, part_name
from thermoflop.errors import InputError, ThermoflopError, UsageError

GRID: dict[str, Any] = {
    "models": ["gpt2", "llama-3-8b"], "devices": ["h100", "rtx-4090"], "dtypes": ["bf16", "fp8"],
    "tp": [1, 2], "batch": "1:64:*4", "prompt": [128, 1024], "generate": [1, 64], "rows": 10,
    "profile": "vllm",
}  # fmt: skip
ROWS = 2 * 2 * 2 * 2 * 4 * 2 * 2


def all_rows(folder: Path) -> list[dict[str, Any]]:
    """The rows of all parts."""
    return [
        row for path in sorted(folder.glob("*.parquet")) for row in pq.read_table(path).to_pylist()
    ]


def contents(folder: Path) -> dict[str, bytes]:
    """The bytes of every file."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole sweep, by one process."""
    folder = tmp_path_factory.mktemp("sweep")
    done = tf.sweep(GRID, folder, jobs=1)
    assert (done.rows, done.made_rows, done.made, done.kept) == (ROWS, ROWS, 32, 0)
    return folder


def test_every_combination_is_there_once(swept: Path) -> None:
    rows = all_rows(swept)
    keys = {tuple(row[name] for name in COLUMNS[:10]) for row in rows}
    assert len(rows) == len(keys) == ROWS
    assert {row["batch"] for row in rows} == {1, 4, 16, 64}
    assert tuple(pq.read_schema(swept / part_name(0)).names) == COLUMNS


def test_a_reader_of_the_folder_finds_the_rows_and_nothing_else(swept: Path) -> None:
    assert pyarrow.dataset.dataset(swept, format="parquet").count_rows() == ROWS


@pytest.mark.parametrize("at", [0, 77, 133, ROWS - 1])
def test_a_row_is_what_estimate_says(swept: Path, at: int) -> None:
    row = all_rows(swept)[at]
    sizes = {name: row[name] for name in ("batch", "prompt", "generate", "tp")}
    made = tf.estimate(row["model"], row["device"], dtype=row["dtype"], profile="vllm", **sizes)
    spans = {"ttft": made.first_token, "token": made.per_token, "total": made.total}
    for name, span in spans.items():
        for end in ("bound", "expected", "low", "high"):
            seconds = getattr(span, f"{end}_s")
            assert row[f"{name}_{end}_s"] == pytest.approx(seconds, rel=1e-12)
    assert row["tokens_per_s"] == pytest.approx(made.tokens_per_s, rel=1e-12)
    assert row["memory_bytes"] == pytest.approx(made.memory.total_bytes, rel=1e-12)
    assert made.energy is not None
    assert row["joules_per_token"] == pytest.approx(made.energy.per_token_j, rel=1e-12)
    assert row["fits"] == made.fits
    assert row["refused"] is None


def test_what_is_refused_has_its_reason_and_no_figures(tmp_path: Path) -> None:
    """gpt2 has 1,024 positions: 1000 + 24 are all of them; and no layout of 5 divides 12 heads."""
    grid = {
        "models": "gpt2",
        "devices": "h100",
        "prompt": [1000, 1001],
        "generate": 24,
        "tp": [1, 5],
    }
    done = tf.sweep(grid, tmp_path, jobs=1)
    assert (done.made_rows, done.refused_rows) == (4, 3)
    assert done.refusal == "longer than the model's context of 1024 tokens"
    long = [row for row in all_rows(tmp_path) if row["tp"] == 1]
    assert [row["refused"] for row in long] == [
        None, "longer than the model's context of 1024 tokens",
    ]  # fmt: skip
    assert math.isnan(long[1]["total_expected_s"])
    assert not long[1]["fits"]
    assert all("5" in row["refused"] for row in all_rows(tmp_path) if row["tp"] == 5)


@pytest.mark.parametrize(
    "change", [{"models": ["gpt2", "nobody"]}, {"devices": "nothing"}, {"profile": "no-engine"}]
)
def test_a_name_that_nobody_knows_starts_nothing(tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(ThermoflopError, match=r"nobody|nothing|no-engine"):
        tf.sweep({**GRID, **change}, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_killed_sweep_goes_on_and_ends_with_the_same_bytes(swept: Path, tmp_path: Path) -> None:
    """kill -9 of a run by two processes; then the rest, in three shards."""
    file = tmp_path / "grid.json"
    toml = "\n".join(f"{key} = {json.dumps(value)}" for key, value in GRID.items())
    (tmp_path / "grid.toml").write_text(toml)
    out = tmp_path / "out"
    words = ("sweep", str(tmp_path / "grid.toml"), "--out", str(out), "--jobs", "2")
    process = subprocess.Popen(command(*words), env=ENVIRONMENT, start_new_session=True)
    end_s = time.monotonic() + 60
    while len(list(out.glob("*.parquet"))) < 3:
        assert time.monotonic() < end_s
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(30)
    for path in out.glob("*.part"):
        path.unlink()  # what a killed process had begun
    made = kept = 0
    for shard in ("1/3", "2/3", "3/3"):
        done = subprocess.run(
            command(*words, "--shard", shard, "--jobs", "1", "--json"), env=ENVIRONMENT,
            capture_output=True, text=True, check=True, timeout=120,
        )  # fmt: skip
        made += json.loads(done.stdout)["made"]
        kept += json.loads(done.stdout)["kept"]
    assert made + kept == 32
    assert kept >= 3
    assert contents(out) == contents(swept)
    assert not file.exists()


def test_a_dask_cluster_makes_the_same_and_loses_nothing_with_a_worker(
    swept: Path, tmp_path: Path
) -> None:
    """A real scheduler and two workers as processes; one is killed on the way."""
    pytest.importorskip("distributed")
    script = f"""
import json, os, signal, sys, threading, time
from pathlib import Path
from distributed import Client, LocalCluster
import thermoflop as tf
def kill(pid, out):
    while len(list(Path(out).glob("*.parquet"))) < 3:
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
if __name__ == "__main__":
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        with Client(cluster) as client:
            pids = list(client.run(os.getpid).values())
        threading.Thread(target=kill, args=(pids[0], {str(tmp_path)!r}), daemon=True).start()
        done = tf.sweep({GRID!r}, {str(tmp_path)!r}, dask=cluster.scheduler_address)
    print(done.made, done.made_rows)
"""
    path = tmp_path.parent / "dask_sweep.py"
    path.write_text(script)
    done = subprocess.run(
        [sys.executable, str(path)], env=ENVIRONMENT, capture_output=True, text=True, timeout=180,
        check=False,
    )  # fmt: skip
    assert done.stdout.split() == ["32", str(ROWS)], done.stderr
    for part in tmp_path.glob("*.part"):
        part.unlink()
    assert contents(tmp_path) == contents(swept)


def test_another_sweep_s_folder_is_refused(swept: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds another sweep"):
        tf.sweep({**GRID, "batch": 1}, swept)
    (tmp_path / part_name(0)).write_bytes(b"")
    with pytest.raises(InputError, match=r"holds parts and no _sweep\.json"):
        tf.sweep(GRID, tmp_path)


@pytest.mark.parametrize(
    ("values", "numbers"),
    [(3, (3,)), ([1, 2], (1, 2)), ("1:4", (1, 2, 3, 4)), ("5:15:5", (5, 10, 15)),
     ("128:1000:*2", (128, 256, 512)), (["1", "8:10"], (1, 8, 9, 10))],
)  # fmt: skip
def test_sizes_are_numbers_lists_and_ranges(values: Any, numbers: tuple[int, ...]) -> None:
    assert grid_of({"models": "a", "devices": "b", "batch": values}).batch == numbers


def test_an_encoder_is_swept_with_nothing_to_generate() -> None:
    assert grid_of({"models": "a", "devices": "b", "generate": "0:10:5"}).generate == (0, 5, 10)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"models": []}, "models is []"),
        ({"models": None}, "models are missing"),
        ({"devices": [3]}, "names"),
        ({"models": ["a", "a"]}, "names a twice"),
        ({"batch": "1:2:3:4"}, "is no range"),
        ({"batch": "4:1"}, "is no range"),
        ({"batch": "1:8:*1"}, "is no range"),
        ({"batch": "0:8:*2"}, "is no range"),
        ({"batch": "x"}, "expected whole numbers"),
        ({"batch": 1.5}, "expected whole numbers"),
        ({"batch": -1}, "expected whole numbers"),
        ({"batch": True}, "expected whole numbers"),
        ({"batch": [1, 1]}, "a value twice"),
        ({"batch": [1, 0]}, "batch has 0: expected whole numbers of 1 or more"),
        ({"batch": "1:999999999999"}, "more than 1,000,000"),
        ({"bach": 1}, "'bach' is not known"),
        ({"batch": "1:999999", "prompt": "1:999999", "tp": "1:9"}, "rows: expected at most"),
    ],
)
def test_a_grid_that_makes_no_sense_is_one_sentence(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError) as refused:
        grid_of({"models": "gpt2", "devices": "h100", **changes})
    assert sentence in str(refused.value)


@pytest.mark.parametrize("text", ["", "3", "0/3", "4/3", "a/b", "1/0", "-1/3"])
def test_a_shard_that_makes_none_is_one_sentence(text: str) -> None:
    with pytest.raises(UsageError, match="--shard"):
        shard_of(text)


def test_the_command_without_models_says_what_is_missing(tmp_path: Path) -> None:
    done = subprocess.run(
        command("sweep", "--devices", "h100", "--out", str(tmp_path / "x")), env=ENVIRONMENT,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 3
    assert "models are missing" in done.stderr
    assert not (tmp_path / "x").exists()
