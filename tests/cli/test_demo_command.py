"""``demo`` from the shell, in real time: it says that the board is simulated, and what it did."""

from __future__ import annotations

import json
import signal
from pathlib import Path

from kit.commands import run, start


def test_it_works_warms_cools_and_leaves_a_run_with_a_report(tmp_path: Path) -> None:
    done = run("demo", "--duration", "3", "--out", str(tmp_path), "--json")
    assert "simulated" in done.stderr
    assert "thermoflop flash" in done.stderr
    result = json.loads(done.stdout)
    # a machine that gives the work too little time cannot warm the board; that is exit code 1
    assert done.returncode == (0 if result["fan_off_s"] is not None else 1)
    assert result["tokens"] > 0
    assert result["counters"]["samples"] > 20
    folder = Path(result["folder"])
    assert folder.parent == tmp_path
    for name in ("run.json", "samples.jsonl", "child.log", "picture.svg", "report.html"):
        assert (folder / name).stat().st_size > 0
    measured = {row["key"] for row in result["predicted"] if row["measured"] is not None}
    assert {"ttft_s", "token_s", "total_s", "tokens_per_s"} <= measured
    assert json.loads((folder / "run.json").read_text())["ended"]["end"] == "done"


def test_ctrl_c_ends_it_with_what_there_is(tmp_path: Path) -> None:
    process = start("demo", "--plain", "--out", str(tmp_path))
    assert process.stderr is not None
    while b"tokens" not in process.stderr.readline():
        pass
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=20)
    assert process.returncode == 130
    assert b"folder" in output
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run("demo", "--out", str(tmp_path / "file"))
    assert done.returncode == 6
    assert "file" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_time_that_makes_no_sense_is_refused() -> None:
    assert run("demo", "--duration", "0").returncode == 2
