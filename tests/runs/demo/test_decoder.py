"""The demo's benchmark is what it says: the model's shape, a right cache, honest numbers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import thermoflop as tf
from thermoflop import marks
from thermoflop.runs.demo import decoder
from thermoflop.runs.demo.decoder import Decoder

SMALL = {"layers": 2, "d_model": 32, "heads": 4, "d_ff": 64, "words": 101, "positions": 2048}


def test_its_weights_are_as_many_as_the_models() -> None:
    """To the last one, so that what is read and multiplied is the model's."""
    assert Decoder().parameters == tf.load_model(decoder.MODEL).params


def test_a_token_after_the_cache_is_the_token_of_the_whole_prompt() -> None:
    """Reading all at once, in two parts, or one by one gives the same logits."""
    model = Decoder(**SMALL)
    tokens = [3, 77, 5, 100, 0, 42]
    whole = model.read(tokens)
    model.read(tokens[:4])
    parts = model.read(tokens[4:], 4)
    for at, token in enumerate(tokens):
        single = model.read([token], at)
    assert whole.shape == (101,)
    assert np.allclose(whole, parts, atol=1e-5)
    assert np.allclose(whole, single, atol=1e-5)
    assert not np.allclose(whole, model.read(tokens[:5]), atol=1e-5)


def test_no_token_sees_what_comes_after_it() -> None:
    """The logits of a prefix are those with more tokens behind it, by attention's mask."""
    model = Decoder(**SMALL)
    model.read([1, 2, 3])
    short = model.layers[1].values.copy()
    model.read([1, 2, 3, 4, 5])
    assert np.allclose(short, model.layers[1].values[:, :3], atol=1e-6)


def test_a_run_marks_its_phases_with_tokens_and_processor_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every prompt token in prefill, every generated one in decode."""
    path = tmp_path / "marks.jsonl"
    path.touch()
    monkeypatch.setenv(marks.ENVIRONMENT, str(path))
    monkeypatch.setattr(marks, "_fd", None)
    decoder.run(0.02, Decoder(**SMALL))
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
