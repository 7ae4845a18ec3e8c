"""Benchmarks of engines, and servers that run already, recorded without a change to them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from kit.commands import ENVIRONMENT, command
from thermoflop.runs.analysis.analyze import analyze
from thermoflop.runs.folder.reader import read_run

BARE = ("--port", "none", "--gpu", "none", "--no-report")


def record(tmp_path: Path, *words: str, **more: Any) -> subprocess.CompletedProcess[str]:
    """A recording, with the programs of ``tmp_path`` in the path."""
    path = f"{tmp_path}:{os.environ['PATH']}"
    return subprocess.run(
        command("record", *BARE, "--out", str(tmp_path / "runs"), *words),
        env={**ENVIRONMENT, "PATH": path}, capture_output=True, text=True, timeout=120,
        check=False, **more,
    )  # fmt: skip


def program(tmp_path: Path, name: str, text: str) -> None:
    """A program of that name, which prints ``text`` and ends with 3."""
    path = tmp_path / name
    path.write_text(f"#!/bin/sh\ncat <<'E'\n{text}\nE\nexit 3\n")
    path.chmod(0o755)


def only_run(tmp_path: Path) -> Path:
    """The folder of the one run."""
    (folder,) = (tmp_path / "runs").iterdir()
    return folder


def test_vllm_bench_needs_no_other_word(tmp_path: Path) -> None:
    """Predicted from its own command line, and measured by what it printed."""
    program(tmp_path, "vllm", "loading\nAvg latency: 0.75 seconds\n10% percentile latency: 0.7")
    words = "vllm bench latency --model openai-community/gpt2 --batch-size 4 --output-len 64"
    done = record(tmp_path, "--hardware", "h100", "--", *words.split())
    assert done.returncode == 3
    run = read_run(only_run(tmp_path))
    predicted = run["predictions"]
    assert (predicted["batch"], predicted["prompt"], predicted["generate"]) == (4, 32, 64)
    assert predicted["profile"].startswith("profile vllm")
    measured = {each.key: each.measured for each in analyze(only_run(tmp_path)).predicted}
    assert measured["total_s"] == 0.75
    assert "750 ms" in done.stderr


def test_a_benchmark_of_a_named_model_is_predicted_for_its_own_sizes_and_told_another_format(
    tmp_path: Path,
) -> None:
    """llama-bench reads 512 tokens unless told, and prints the format that its file is in."""
    row = "| llama 8B Q4_K - Medium | 4.58 GiB | 8.03 B | CUDA | 99 | "
    table = f"""\
| model | size | params | backend | ngl | test | t/s |
| ----- | ---: | -----: | ------- | --: | ---: | --: |
{row}pp512 | 2000.0 ± 1.0 |
{row}tg128 | 50.0 ± 0.1 |"""
    program(tmp_path, "llama-bench", table)
    words = ("--model", "llama-3.1-8b", "--hardware", "rtx-3060", "--profile", "llama.cpp")
    done = record(tmp_path, *words, "--", "llama-bench", "-m", "x.gguf")
    analysis = analyze(only_run(tmp_path))
    predicted = analysis.data.run["predictions"]
    assert (predicted["prompt"], predicted["generate"]) == (512, 128)
    assert [text for text in analysis.warnings if "another run" in text] == [
        "predicted is another run: it ran in q4_k_m, and bf16 was predicted for (--dtype)"
    ]
    assert "another run" in done.stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("vllm bench latency --model nobody/knows-this", "no prediction can be made"),
        ("vllm bench serve --model gpt2", "no prediction for vllm bench serve: the layout is"),
    ],
)
def test_a_benchmark_that_cannot_be_predicted_is_recorded_and_told_why(
    tmp_path: Path, words: str, sentence: str
) -> None:
    program(tmp_path, "vllm", "Avg latency: 0.75 seconds")
    done = record(tmp_path, "--", *words.split())
    assert done.returncode == 3
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert read_run(only_run(tmp_path))["predictions"] is None


def test_ollama_is_predicted_in_the_format_of_its_download(tmp_path: Path) -> None:
    program(tmp_path, "ollama", "eval count:    100 token(s)\neval duration: 1s")
    words = ("--model", "auto", "--hardware", "rtx-3060", "--prompt", "26", "--generate", "100")
    record(tmp_path, *words, "--", "ollama", "run", "--verbose", "llama3.1:8b", "hello")
    predicted = read_run(only_run(tmp_path))["predictions"]
    assert predicted["dtype"] == "q4_k_m"
    assert (predicted["prompt"], predicted["generate"]) == (26, 100)


@pytest.mark.parametrize(
    "words", ["true", "vllm bench serve --model gpt2", "ollama run llama3.1:8b hello"]
)
def test_model_auto_insists(tmp_path: Path, words: str) -> None:
    done = record(tmp_path, "--model", "auto", "--", *words.split())
    assert done.returncode == 2
    assert "--model auto cannot tell" in done.stderr


def test_what_the_run_says_itself_counts_before_what_its_engine_prints(tmp_path: Path) -> None:
    program(tmp_path, "mine", "total_s=0.5\nAvg latency: 0.75 seconds")
    record(tmp_path, "--", "mine")
    (trial,) = analyze(only_run(tmp_path)).trials
    assert trial.window.last["total_s"] == 0.5
    assert trial.window.sums["total_s"] == 0.5


def sleeper(seconds: float) -> subprocess.Popen[bytes]:
    """A process of somebody else."""
    return subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({seconds})"])


def test_a_process_that_runs_already_is_recorded_until_it_ends(tmp_path: Path) -> None:
    process = sleeper(3.0)
    try:
        done = record(tmp_path, "--attach", str(process.pid))
    finally:
        process.wait(30)
    assert done.returncode == 0
    run = read_run(only_run(tmp_path))
    assert run["labels"]["attached"] == f"process {process.pid}"
    assert run["ended"]["end"] == "done"


def test_attached_for_a_while_or_until_ctrl_c_the_process_goes_on(tmp_path: Path) -> None:
    process = sleeper(60.0)
    try:
        assert record(tmp_path, "--attach", str(process.pid), "--duration", "300ms").returncode == 0
        recorder = subprocess.Popen(
            command("record", *BARE, "--out", str(tmp_path / "b"), "--attach", str(process.pid)),
            env=ENVIRONMENT, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        end_s = time.monotonic() + 30
        while (
            not list((tmp_path / "b").glob("*/samples.jsonl"))
            or b"child_start" not in next((tmp_path / "b").glob("*/samples.jsonl")).read_bytes()
        ):
            assert time.monotonic() < end_s
            time.sleep(0.05)
        time.sleep(1.0)  # for the waiting child to take its signals over
        os.killpg(recorder.pid, signal.SIGINT)
        _, err = recorder.communicate(timeout=30)
        assert recorder.returncode == 0, err
        assert process.poll() is None
    finally:
        process.kill()
        process.wait(30)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--attach", "0"), "there is no such process"),
        (("--attach", "999999999"), "there is no such process"),
        (("--attach", "1", "--", "true"), "there is no command then"),
        (("--duration", "3s", "--", "true"), "--duration is of --attach"),
        (("--scrape", "8000", "--", "true"), "expected http://HOST:PORT/metrics"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(
    tmp_path: Path, words: tuple[str, ...], sentence: str
) -> None:
    done = record(tmp_path, *words)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "runs").exists()


def test_a_server_that_does_not_answer_costs_its_notes_alone(tmp_path: Path) -> None:
    words = ("--json", "--scrape", "http://127.0.0.1:9", "--", "sh", "-c", "sleep 1.5; exit 4")
    done = record(tmp_path, *words)
    assert done.returncode == 4
    assert any("gave no metrics" in text for text in json.loads(done.stdout)["notices"])
