"""T5Gemma and its halves. Defaults are those of the classes of transformers 5.24."""

from __future__ import annotations

from thermoflop.model.config.families import dense  # noqa: F401 - gemma2 is defined there
from thermoflop.model.config.family import family, mapping

family("t5_gemma_module", "gemma2")
family(
    "t5gemma",
    reader="t5gemma",
    keys={"encoder": mapping(), "decoder": mapping(), "tie_word_embeddings": True},
    ignored=("vocab_size",),
)
