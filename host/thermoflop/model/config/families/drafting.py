"""Heads that draft for another model."""

from __future__ import annotations

from thermoflop.model.config.families import dense  # noqa: F401 - the parent is there
from thermoflop.model.config.family import anything, family

family(
    "eagle3",
    "llama",
    reader="eagle",
    keys={
        "num_hidden_layers": 1,
        "draft_vocab_size": None,  # None: all of vocab_size
        "target_hidden_size": None,  # None: as hidden_size
        "eagle_config": anything(),  # which layers' states it reads
        "norm_before_residual": False,
    },
)
