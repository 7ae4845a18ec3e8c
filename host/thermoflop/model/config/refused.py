"""Model types that are known and refused, with the reason: better than a number that is wrong."""

from __future__ import annotations

REFUSED = {
    "qwen2_5_omni": "what speaks is not described here; pass its thinker_config alone",
    "minicpmo": "what speaks is not described here",
    "blt": "a patcher and three transformers on bytes and patches are not described here",
    "cpmant": "its prompt tokens, which lengthen every input, are not described here",
    "jetmoe": "attention whose projections are a mixture of experts is not described here",
    "convnext": "stages of convolutions that halve the image are not described here",
    "convnextv2": "stages of convolutions that halve the image are not described here",
    # known by the code beside their weights, or by a class whose parts have no description here
    "florence2": "an image tower of convolutions and windows (DaViT) is not described here",
    "iquestloopcoder": "loops with a gate between two passes are not described here; iquest_q1 is",
    "molmo": "its image tower, which pools by attention, is not described here; molmo2 is",
    "musicgen": "a decoder of several codes at once is not described here",
    "seamless_m4t": "encoders and decoders of texts and of sound in one are not described here",
    "seamless_m4t_v2": "encoders and decoders of texts and of sound in one are not described here",
    "ultravox": "its projector is not described here; its text alone is the text_config's model",
    "csm": "a decoder of sound behind each step of another is not described here",
    "prophetnet": "a decoder that predicts several tokens in streams is not described here",
}
