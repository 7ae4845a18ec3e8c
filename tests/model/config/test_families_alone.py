"""A module of families is imported when one of its names is looked up, whichever is the first."""

from __future__ import annotations

import subprocess
import sys

import pytest
from thermoflop import load_model
from thermoflop.model.config.families import MODULES

# each in a fork of one process that has imported none of them
ALONE = """
import importlib, os, sys
import thermoflop.model.config.connectors, thermoflop.model.config.hearing
import thermoflop.model.load
assert not [name for name in sys.modules if ".families." in name]
for module in sys.argv[1:]:
    if os.fork() == 0:
        try:
            importlib.import_module(f"thermoflop.model.config.families.{module}")
        except BaseException as error:
            print(module, repr(error), flush=True)
        os._exit(0)
    os.wait()
"""


def test_a_module_of_families_brings_the_families_that_it_builds_on() -> None:
    command = [sys.executable, "-c", ALONE, *MODULES]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


@pytest.mark.parametrize("name", ["big_bird", "bigbird_pegasus", "led", "longt5"])
def test_attention_that_is_counted_beyond_what_a_class_computes_is_told(name: str) -> None:
    assert any("counted in full" in note for note in load_model({"model_type": name}).notes)
