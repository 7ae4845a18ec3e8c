"""What tests of serving share with their campaign."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

PATH = Path(__file__).with_name("campaign_steady.py")


@pytest.fixture(scope="module")
def campaign():
    """The campaign as a module."""
    spec = importlib.util.spec_from_file_location("campaign_steady", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
