"""The runner itself: what a failing, a hanging and a polluting test look like from here."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from vm import runner

pytestmark = pytest.mark.skipif(bool(runner.missing()), reason=runner.missing())

CASES = """
import sys

def test_passes():
    sys.modules["time"] = "left behind"
    print("said")

def test_fails_with_a_line_number():
    assert 1 == 2, "one is not two"

def test_sees_nothing_of_the_others():
    import time
    assert time.ticks_ms() >= 0

def test_leaves_the_heap_locked():
    import micropython
    micropython.heap_lock()
    micropython.heap_lock()
    [1, 2, 3]

def test_ends_the_program():
    raise SystemExit(3)

def test_hangs():
    while True:
        pass

def test_runs_after_the_one_that_hangs():
    pass
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, runner.Result]:
    case = tmp_path_factory.mktemp("cases") / "case_runner.py"
    case.write_text(CASES, encoding="utf-8")
    return runner.run_case(case, limit_s=3.0)


def test_a_pass_keeps_what_was_printed(results: dict[str, runner.Result]) -> None:
    assert results["test_passes"] == runner.Result(True, "", "said")


def test_a_failure_carries_micropythons_traceback(results: dict[str, runner.Result]) -> None:
    result = results["test_fails_with_a_line_number"]
    assert not result.ok
    assert "line 9" in result.trace
    assert "one is not two" in result.trace


def test_each_test_has_a_vm_of_its_own(results: dict[str, runner.Result]) -> None:
    assert results["test_sees_nothing_of_the_others"].ok


def test_a_heap_left_locked_and_an_exit_are_failures_with_a_trace(
    results: dict[str, runner.Result],
) -> None:
    assert "MemoryError" in results["test_leaves_the_heap_locked"].trace
    assert "SystemExit" in results["test_ends_the_program"].trace


def test_a_hanging_test_costs_only_itself(results: dict[str, runner.Result]) -> None:
    assert "no end within 3 s" in results["test_hangs"].trace
    assert results["test_runs_after_the_one_that_hangs"].ok


def test_every_firmware_file_is_on_the_board(tmp_path: Path) -> None:
    case = tmp_path / "case_files.py"
    case.write_text(
        "import os\ndef test_files():\n    print(sorted(os.listdir('/')))\n", encoding="utf-8"
    )
    printed = runner.run_case(case)["test_files"].output
    assert {path.name for path in runner.FIRMWARE.glob("*.py")} <= set(ast.literal_eval(printed))
