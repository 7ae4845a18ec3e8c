"""The house's rules of direction: see ``[tool.importlinter]`` in pyproject.toml.

A lazy import and an import for the type checker are arrows like any other. What import-linter
cannot see is an import by a name that is made at run time, so the files that do that are listed
here.
"""

from __future__ import annotations

import ast
import importlib
import os
import re
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
    "thermoflop/model/config/readers.py",
    "thermoflop/pico/simulated/module_space.py",
}


def test_arrows_point_down_and_there_is_no_circle(monkeypatch):
    monkeypatch.chdir(ROOT)
    status = lint_imports(config_filename="pyproject.toml", no_cache=True)
    assert status == EXIT_STATUS_SUCCESS, "run `lint-imports` to see which import breaks a rule"


def test_every_module_imports():
    for name in MODULES:
        importlib.import_module(name)


@pytest.mark.parametrize(
    "command",
    [
        ["ops", "gpt2"],
        ["estimate", "llama-3-8b", "--gpu", "h100"],
        ["estimate", "llama3.1:8b", "--gpu", "4090"],
    ],
    ids=" ".join,
)
def test_a_short_question_starts_without_what_is_slow_to_import(command):
    """Where a record or an annotation needed them, each would cost more than counting does; nor is
    read what a name without a format, a text without towers and a profile's own cache never ask."""
    code = (
        "import sys; before = set(sys.modules); from thermoflop.cli import main; "
        f"main({command!r}); print(*set(sys.modules) - before, file=sys.stderr)"
    )
    env = os.environ | {"PYTHONPATH": str(HOST)}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    slow = {"typing", "dataclasses", "inspect", "pathlib", "numpy", "sympy", "rich", "serial"}
    slow |= {"mmap", "numbers", "thermoflop.model.config.wrapper"}
    if ":" not in command[1]:  # a name of Ollama's means a format, and its rule of memory
        slow |= {"thermoflop.cost.engines.options", "thermoflop.base.written"}
        slow |= {"thermoflop.model.config.named_format"}
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


def test_the_folders_of_contributing_are_those_that_there_are():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    where = text[text.index("## Where things are") : text.index("### Where a number")]
    named = set(re.findall(r"`host/thermoflop/([a-z]+)/`", where))
    named_in_cost = set(re.findall(r"`([a-z_]+)/`", where[where.index("Inside `cost/`") :]))
    package = HOST / "thermoflop"
    assert named == _folders(package)
    assert named_in_cost - {"cost"} == _folders(package / "cost")


def test_a_printed_time_is_understood_from_eight_files_of_at_most_400_lines():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    walk = text[text.index("### Where a number") : text.index("### Where would I add")]
    files = re.findall(r"^\d\. `([a-z_/]+\.py)`", walk, re.MULTILINE)
    assert len(files) == len(set(files)) == 8
    for name in files:
        lines = (HOST / "thermoflop" / name).read_text(encoding="utf-8").splitlines()
        assert len(lines) <= 400, name


def test_every_place_that_contributing_sends_to_exists():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = text[text.index("### Where would I add") : text.index("## House rules")]
    places = re.findall(r"`((?:model|cost|report|runs|firmware)/[a-z_/.]+)`", table)
    assert len(places) >= 12
    for place in places:
        root = ROOT if place.startswith("firmware") else HOST / "thermoflop"
        assert (root / place).exists(), place


def _folders(package: Path) -> set[str]:
    return {path.name for path in package.iterdir() if (path / "__init__.py").exists()}
