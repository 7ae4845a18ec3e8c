"""The golden transcript: what the board says over a whole life, the same to the byte everywhere.

After a deliberate change: ``python tests/firmware/test_golden.py`` writes it anew; read the diff.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from thermoflop.pico import wire
from vm import runner

GOLDEN = runner.TESTS / "golden"
TRANSCRIPT = GOLDEN / "transcript.jsonl"
SCRIPT = GOLDEN / "script.py"


def on_cpython() -> str:
    from firmware.cpython_machine import Space

    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        Space(runner.suite_files() | {f"/suite/{SCRIPT.name}": SCRIPT}).run("script", "test_play")
    return out.getvalue()


def test_cpython_gives_the_golden_transcript() -> None:
    assert on_cpython() == TRANSCRIPT.read_text(encoding="ascii")


def test_the_real_vm_gives_the_golden_transcript() -> None:
    if runner.missing():
        pytest.skip(runner.missing())
    result = runner.run_case(SCRIPT)["test_play"]
    assert result.ok, result.trace
    assert result.output + "\n" == TRANSCRIPT.read_text(encoding="ascii")


def test_the_golden_transcript_has_everything_in_it() -> None:
    lines = TRANSCRIPT.read_text(encoding="ascii").splitlines()
    told = [json.loads(line) for line in lines]
    faults = {line["fault"] for line in told if line.get("ev") == "fault"}
    assert faults >= {"open", "short", "range", "fast", "noisy", "frozen", "stale", "pin", "hot"}
    assert {line["k"] for line in told} == {"hello", "units", "settings", "t", "e", "r", "m", "log"}
    assert len({line["boot"] for line in told if line["k"] == "hello"}) == 3
    assert any(line["drops"] for line in told if line["k"] == "t")


def test_the_host_accepts_every_golden_line() -> None:
    for line in TRANSCRIPT.read_bytes().splitlines():
        assert not isinstance(wire.decode(line), wire.Bad), line


if __name__ == "__main__":
    TRANSCRIPT.write_text(on_cpython(), encoding="ascii")
