"""The house's rules of direction: see ``[tool.importlinter]`` in pyproject.toml.

A lazy import and an import for the type checker are arrows like any other. What import-linter
cannot see is an import by a name that is made at run time, so the files that do that are listed
here.
"""

from __future__ import annotations

import ast
import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

ROOT = Path(__file__).resolve().parents[1]
HOST = ROOT / "host"
MODULES = sorted(
    ".".join(path.relative_to(HOST).with_suffix("").parts).removesuffix(".__init__")
    for path in (HOST / "thermoflop").rglob("*.py")
    if path.name not in ("__main__.py", "onboard.py") and "_firmware" not in path.parts
)
# Where a module is imported by a name that is put together: public names, commands, families,
# the readers that families name, and the firmware in the simulator.
BY_NAME = {
    "thermoflop/__init__.py",
    "thermoflop/cli/__init__.py",
    "thermoflop/model/config/families/__init__.py",
    "thermoflop/model/load.py",
    "thermoflop/pico/simulated/module_space.py",
}


def test_arrows_point_down_and_there_is_no_circle(monkeypatch):
    monkeypatch.chdir(ROOT)
    status = lint_imports(config_filename="pyproject.toml", no_cache=True)
    assert status == EXIT_STATUS_SUCCESS, "run `lint-imports` to see which import breaks a rule"


@pytest.mark.parametrize("name", MODULES)
def test_every_module_imports(name):
    importlib.import_module(name)


def test_ops_starts_without_what_is_slow_to_import():
    """Where a record or an annotation needed them, each would cost more than counting does."""
    code = (
        "import sys; before = set(sys.modules); from thermoflop.cli import main; "
        "main(['ops', 'gpt2']); print(*set(sys.modules) - before, file=sys.stderr)"
    )
    env = os.environ | {"PYTHONPATH": str(HOST)}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    slow = {"typing", "dataclasses", "inspect", "pathlib", "numpy", "sympy", "rich", "serial"}
    assert run.returncode == 0, run.stderr
    assert not slow & set(run.stderr.split())


def test_only_the_listed_files_import_by_a_name_made_at_run_time():
    found = set()
    for path in (HOST / "thermoflop").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            called = node.func if isinstance(node, ast.Call) else None
            name = getattr(called, "attr", getattr(called, "id", ""))
            if name in ("import_module", "__import__"):
                found.add(path.relative_to(HOST).as_posix())
    assert found == BY_NAME
