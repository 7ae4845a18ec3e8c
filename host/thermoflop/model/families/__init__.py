"""The families of models, as data: one line for each key, in modules by kinship."""

from __future__ import annotations

from thermoflop.model.families import classic, dense, mixtures  # noqa: F401 - they register
from thermoflop.model.families import encoders, recurrent, seq2seq, vision  # noqa: F401
from thermoflop.model.families.core import FAMILIES, Family

__all__ = ["FAMILIES", "Family"]
