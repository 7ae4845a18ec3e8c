"""The firmware's tests: every function of cases/case_*.py, on CPython and on the MicroPython VM."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from cpython_machine import Space
from vm import runner

TESTS = [(case, name) for case in runner.case_files() for name in runner.test_names(case)]
Results = dict[str, runner.Result]
IDS = [f"{case.stem.removeprefix('case_')}::{name}" for case, name in TESTS]
CHUNK = 8  # tests that share a Node process: enough to be worth its start, few enough to spread


@pytest.fixture(scope="session")
def on_vm(request: pytest.FixtureRequest) -> Iterator[dict[tuple[Path, str], Future[Results]]]:
    """What the VM says to each test that was asked for, run by as many Nodes as there are cores."""
    wanted: dict[Path, list[str]] = {}
    for item in request.session.items:
        values = getattr(item, "callspec", None) and item.callspec.params
        if values and values.get("machine") == "vm" and "case" in values:
            wanted.setdefault(values["case"], []).append(values["name"])
    futures = {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for case, names in wanted.items():
            for chunk in (names[at : at + CHUNK] for at in range(0, len(names), CHUNK)):
                future = pool.submit(runner.run_case, case, chunk)
                futures.update({(case, name): future for name in chunk})
        yield futures
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("machine", ["cpython", "vm"])
@pytest.mark.parametrize(("case", "name"), TESTS, ids=IDS)
def test_firmware(case: Path, name: str, machine: str, request: pytest.FixtureRequest) -> None:
    if machine == "cpython":
        Space(runner.suite_files()).run(case.stem, name)
        return
    if runner.missing():
        pytest.skip(runner.missing())
    result = request.getfixturevalue("on_vm")[case, name].result()[name]
    if not result.ok:
        pytest.fail(result.text, pytrace=False)
