"""A module of families is imported when one of its names is looked up, whichever is the first."""

from __future__ import annotations

import subprocess
import sys

import pytest
from thermoflop.model.config.families import MODULES


@pytest.mark.parametrize("module", MODULES)
def test_a_module_of_families_brings_the_families_that_it_builds_on(module: str) -> None:
    name = f"thermoflop.model.config.families.{module}"
    done = subprocess.run([sys.executable, "-c", f"import {name}"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
