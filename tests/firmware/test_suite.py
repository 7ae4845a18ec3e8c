"""The firmware's tests: every function of cases/case_*.py, on CPython and on the MicroPython VM."""

from __future__ import annotations

from pathlib import Path

import pytest
from cpython_machine import Space
from vm import runner

TESTS = [(case, name) for case in runner.case_files() for name in runner.test_names(case)]
IDS = [f"{case.stem.removeprefix('case_')}::{name}" for case, name in TESTS]
_on_vm: dict[Path, dict[str, runner.Result]] = {}


def on_vm(case: Path) -> dict[str, runner.Result]:
    """All results of a case file, from one start of the VM a session."""
    if case not in _on_vm:
        _on_vm[case] = runner.run_case(case)
    return _on_vm[case]


@pytest.mark.parametrize("machine", ["cpython", "vm"])
@pytest.mark.parametrize(("case", "name"), TESTS, ids=IDS)
def test_firmware(case: Path, name: str, machine: str) -> None:
    if machine == "cpython":
        Space(runner.suite_files()).run(case.stem, name)
        return
    if runner.missing():
        pytest.skip(runner.missing())
    result = on_vm(case)[name]
    if not result.ok:
        pytest.fail(result.text, pytrace=False)
