"""Runs and profiles that people keep: files of version 0.1.0 are read, and say what they said.

``data/before/`` is of the code of commit fe0b86d, before its modules moved: a run that it recorded
with a simulated board and GPU and a prediction, a profile that ``python -m
thermoflop.cost.calibrate`` fitted to six rows, and one of a made-up machine in the format that
``calibrate`` writes. Names of the machine and its paths were taken out. ``expected.json`` holds
what that code printed, by the command that was typed in the folder; of ``runs show --json``,
without what ``run.json`` says. Floats may differ by 1e-5: that code took the step beside the exact
middle of a generation for its energy. A device has the memory that its driver reports, where that
code took 80e9 bytes: capacity and the 2 % of it in reserve were changed by hand. A clock's error
may differ by 0.1 ms: a board's time stamp counts once the next one confirms it, which the last one
never is. What was simulated is said to be beside each figure and set against no prediction, a bound
names its peak, energy is said for a million tokens too, and a trial's figures say that they count
prompts: these words were added by hand, and the commas of thousands. How operators are counted is
told with ``--why``, an estimated rate has three digits, and one device is no devices. The interval
of an energy is that of its time, too. A mean temperature is that of the time: that code took the
mean of the readings, which came at 1.87 s and then each half second.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from thermoflop.cli import main

FOLDER = Path(__file__).parent / "data" / "before"
EXPECTED = json.loads((FOLDER / "expected.json").read_text(encoding="utf-8"))


def check_same(old: Any, new: Any, where: str) -> None:
    """Everything that was said is said: more keys are fine."""
    if isinstance(old, dict):
        for key, value in old.items():
            assert key in new, f"{where}.{key} is gone"
            check_same(value, new[key], f"{where}.{key}")
    elif isinstance(old, list):
        assert len(old) == len(new), where
        for number, pair in enumerate(zip(old, new, strict=True)):
            check_same(*pair, f"{where}[{number}]")
    elif isinstance(old, float):
        near = 1e-4 if where.endswith("clock_error_s") else 0.0
        assert new == pytest.approx(old, rel=1e-5, abs=near), where
    else:
        assert new == old, where


@pytest.mark.parametrize("command", EXPECTED)
def test_a_command_prints_what_it_printed(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(FOLDER)
    monkeypatch.delenv("COLUMNS", raising=False)  # as a program reads it: whole
    assert main(command.split()) == 0
    printed = capsys.readouterr().out
    if command.endswith("--json"):
        check_same(EXPECTED[command], json.loads(printed), command)
    else:
        assert printed.replace(" (simulated)", "").splitlines() == EXPECTED[command]


def test_a_page_is_made_of_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(FOLDER / "run", tmp_path / "runs" / "before")
    assert main(["report", "before"]) == 0
    assert capsys.readouterr().out.strip() == "runs/before/report.html"
    page = (tmp_path / "runs" / "before" / "report.html").read_text(encoding="utf-8")
    # of the prediction that was written down, and of what was measured
    assert "943 µs" in page
    assert "592 ms" in page
