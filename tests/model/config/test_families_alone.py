"""A module of families is imported when one of its names is looked up, whichever is the first."""

from __future__ import annotations

import subprocess
import sys

import pytest
from thermoflop import load_model
from thermoflop.model.config.families import MODULES


@pytest.mark.parametrize("module", MODULES)
def test_a_module_of_families_brings_the_families_that_it_builds_on(module: str) -> None:
    name = f"thermoflop.model.config.families.{module}"
    done = subprocess.run([sys.executable, "-c", f"import {name}"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["big_bird", "bigbird_pegasus", "led", "longt5"])
def test_attention_that_is_counted_beyond_what_a_class_computes_is_told(name: str) -> None:
    assert any("counted in full" in note for note in load_model({"model_type": name}).notes)
