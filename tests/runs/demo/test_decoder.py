"""The demo's benchmark says what it does: phases, tokens, processor time, rates."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from thermoflop import marks
from thermoflop.bench.decoder import Decoder
from thermoflop.bench.numpy_backend import NumpyBackend
from thermoflop.model.load import load_model
from thermoflop.runs.demo import decoder

SMALL = {
    "model_type": "gpt2", "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 160,
    "vocab_size": 1000,
}  # fmt: skip


def test_a_run_marks_its_phases_with_tokens_and_processor_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every prompt token in prefill, every generated one in decode."""
    path = tmp_path / "marks.jsonl"
    path.touch()
    monkeypatch.setenv(marks.ENVIRONMENT, str(path))
    monkeypatch.setattr(marks, "_fd", None)
    decoder.run(0.02, Decoder(load_model(SMALL), NumpyBackend(), 1, 160))
    os.close(marks._fd or -1)
    said = [json.loads(line) for line in path.read_text().splitlines()]
    phase, tokens = "", {"prefill": 0, "decode": 0}
    for line in said:
        phase = line.get("phase", phase)
        if phase:
            tokens[phase] += line.get("values", {}).get("tokens", 0)
    prompts = tokens["prefill"] / decoder.PROMPT
    assert prompts == tokens["decode"] / decoder.GENERATE >= 1
    assert said[-1]["phase"] is None
    assert all(line["values"]["cpu_s"] >= 0 for line in said if "values" in line)


def test_the_rates_are_numbers_for_a_prediction() -> None:
    """From the command line, as the demo asks for them."""
    command = [sys.executable, "-m", decoder.__name__, "--rates"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, check=True, env=environment, timeout=60)
    rates = json.loads(done.stdout)
    assert rates.keys() == {"flops_per_s", "bytes_per_s"}
    assert all(1e8 < rate < 1e15 for rate in rates.values())
