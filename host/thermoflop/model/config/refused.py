"""Model types that are known and refused, with the reason: better than a number that is wrong."""

from __future__ import annotations

REFUSED = {
    "qwen2_5_omni": "what speaks is not described here; pass its thinker_config alone",
    "minicpmo": "what speaks is not described here",
    "phi4mm": "its adapters for images and sound are not described here; its text is a phi3",
    "blt": "a patcher and three transformers on bytes and patches are not described here",
    "cpmant": "its prompt tokens, which lengthen every input, are not described here",
    "jetmoe": "attention whose projections are a mixture of experts is not described here",
    "longcat_flash": "experts that compute nothing make the work of a token depend on the token",
    "convnext": "stages of convolutions that halve the image are not described here",
    "convnextv2": "stages of convolutions that halve the image are not described here",
    "prophetnet": "a decoder that predicts several tokens in streams is not described here",
}
