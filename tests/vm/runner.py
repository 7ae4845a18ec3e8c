"""Runs the firmware's test cases on the real MicroPython VM: Node, one process a case file.

``missing()`` says what this machine lacks for it. ``run_case`` returns one ``Result`` a test; one
that hangs costs its own time limit twice and nothing else, because the rest is started again
without it.
"""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
ROOT = TESTS.parent
FIRMWARE = ROOT / "firmware"
CASES = TESTS / "firmware" / "cases"
FAKES = ROOT / "host" / "thermoflop" / "pico" / "simulated" / "fakes.py"
PACKAGE = Path("@micropython", "micropython-webassembly-pyscript", "micropython.mjs")
LIMIT_S = 120.0  # for one process, and again for what a hung test left undone


@dataclass(frozen=True)
class Result:
    """How one test ended; ``trace`` is MicroPython's traceback, empty when it passed."""

    ok: bool
    trace: str = ""
    output: str = ""

    @property
    def text(self) -> str:
        """The traceback, and what the test printed."""
        return f"{self.trace}\nprinted:\n{self.output}" if self.output else self.trace


def find_package() -> Path | None:
    """micropython.mjs, in THERMOFLOP_NODE_MODULES or beside this file."""
    folders = [Path(os.environ.get("THERMOFLOP_NODE_MODULES") or "."), TESTS / "vm/node_modules"]
    return next((folder / PACKAGE for folder in folders if (folder / PACKAGE).is_file()), None)


@cache
def missing() -> str:
    """Why the VM cannot run here; empty when it can."""
    if shutil.which("node") is None:
        return "node is not installed: the real MicroPython VM needs Node 18 or later"
    if find_package() is None:
        return "MicroPython for Node is not installed: npm install --no-package-lock in tests/vm"
    return ""


def suite_files() -> dict[str, Path]:
    """Path on the board -> file here: the firmware in the root, the rest in /suite."""
    files = {f"/{path.name}": path for path in sorted(FIRMWARE.glob("*.py"))}
    for path in [FAKES, *sorted(CASES.glob("*.py"))]:
        files[f"/suite/{path.name}"] = path
    return files


def case_files() -> list[Path]:
    """The files that hold tests."""
    return sorted(CASES.glob("case_*.py"))


def test_names(case: Path) -> list[str]:
    """Names of a case file's test functions, in their order."""
    tree = ast.parse(case.read_text(encoding="utf-8"), str(case))
    functions = (node for node in tree.body if isinstance(node, ast.FunctionDef))
    return [node.name for node in functions if node.name.startswith("test_")]


def run_case(
    case: Path, names: list[str] | None = None, limit_s: float = LIMIT_S
) -> dict[str, Result]:
    """Run these tests of a case file, by default all of them; test name -> result."""
    todo = test_names(case) if names is None else list(names)
    results: dict[str, Result] = {}
    again: set[str] = set()  # what ran when the time of all was up may not be what took it
    while todo:
        done, hung = _run(case, todo, limit_s)
        results.update(done)
        left = [name for name in todo if name not in results]
        if left and hung is None:
            raise AssertionError(f"the VM ended before {left[0]} of {case.name}")
        todo = [name for name in left if name != hung]
        if hung in again:
            results[hung] = Result(False, f"no end within {limit_s:g} s, or the VM crashed")
        elif hung is not None:
            again.add(hung)
            todo.insert(0, hung)
    return results


def _run(case: Path, tests: list[str], limit_s: float) -> tuple[dict[str, Result], str | None]:
    """Results of one Node process, and the test that it did not get through."""
    paths = suite_files() | {f"/suite/{case.name}": case}
    files = {path: file.read_text(encoding="utf-8") for path, file in paths.items()}
    job = {"package": str(find_package()), "files": files, "case": case.stem, "tests": tests}
    command = ["node", str(TESTS / "vm" / "run.mjs")]
    try:
        run = subprocess.run(
            command, input=json.dumps(job).encode(), capture_output=True, timeout=limit_s
        )
        out, errors = run.stdout, run.stderr
    except subprocess.TimeoutExpired as expired:
        out, errors = expired.stdout or b"", b""
    results: dict[str, Result] = {}
    started: str | None = None
    for line in out.decode(errors="replace").splitlines():
        said = json.loads(line)
        started = said.get("start", started)
        if "test" in said:
            results[said["test"]] = Result(said["ok"], said["trace"], said["output"])
    if started is None:
        raise AssertionError(f"node did not start the VM: {errors.decode(errors='replace')[-800:]}")
    return results, None if started in results else started
