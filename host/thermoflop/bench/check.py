"""Whether a backend computes what a decoder computes: against float64, at small size."""

from __future__ import annotations

from typing import Any

from thermoflop.bench.backend import Backend
from thermoflop.bench.decoder import Decoder
from thermoflop.bench.numpy_backend import NumpyBackend
from thermoflop.errors import ThermoflopError

# Largest difference of a logit, over the largest logit: rounding of a few layers in each format.
ALLOWED = {"fp64": 1e-12, "fp32": 1e-4, "fp16": 0.02, "bf16": 0.1}
SMALL: dict[str, dict[str, Any]] = {
    "gpt2": {
        "model_type": "gpt2", "n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 64,
        "vocab_size": 300,
    },
    "llama": {
        "model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 96,
        "vocab_size": 300, "max_position_embeddings": 64,
    },
    "mixtral": {
        "model_type": "mixtral", "hidden_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 96,
        "vocab_size": 300, "num_local_experts": 4, "num_experts_per_tok": 2,
        "max_position_embeddings": 64,
    },
}  # fmt: skip


def check(backend: Backend) -> float:
    """The largest error over three small decoders. ThermoflopError where it is too large."""
    worst = max(decoder_error(backend, name) for name in SMALL)
    if not worst <= ALLOWED[backend.dtype]:
        raise ThermoflopError(
            f"{backend.name} on {backend.device} in {backend.dtype} computes a decoder wrong: "
            f"logits differ from float64 by {worst:.2g}, "
            f"expected at most {ALLOWED[backend.dtype]:g}"
        )
    return worst


def decoder_error(backend: Backend, name: str) -> float:
    """Prompt in one step and six tokens one by one, on the backend and, all at once, in float64."""
    import numpy as np

    from thermoflop.model.load import load_model

    model, reference = load_model(SMALL[name]), NumpyBackend("fp64")
    ids = np.random.default_rng(0).integers(0, 300, (2, 16))
    reference_decoder = Decoder(model, reference, 2, 16)
    exact_logits = reference_decoder.forward(ids.reshape(-1), 0)
    decoder = Decoder(model, backend, 2, 16, reference_decoder.weights.onto(backend, reference))
    decoder.forward(backend.ids(ids[:, :10].reshape(-1)), 0)
    logits = None
    for at in range(10, 16):
        logits = decoder.forward(backend.ids(ids[:, at]), at)
    return float(np.max(np.abs(backend.get(logits) - exact_logits)) / np.max(np.abs(exact_logits)))
