"""EmbeddingGemma 2, as the classes of transformers 5.24 build it: Gemma 4's layers, both ways."""

from __future__ import annotations

from thermoflop.model.architecture.description import Placed
from thermoflop.model.architecture.parts import Linear, Norm
from thermoflop.model.config import projectors
from thermoflop.model.config.families import (  # noqa: F401 - parents are there
    dense,
    other_towers,
    towers,
)
from thermoflop.model.config.families.patterns import every
from thermoflop.model.config.families.per_layer import by_layer, overrides, own_input
from thermoflop.model.config.families.sections import ears_of, eyes_of, text_of, wrapper
from thermoflop.model.config.family import family, mapping, sizes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from thermoflop.model.config.keys import Config


def _inputs(config: Config) -> tuple[Placed, ...]:
    """The inputs of all layers, by a map of the embedding, and one norm for them."""
    layers, width = config["num_hidden_layers"], config["hidden_size_per_layer_input"]
    name, role = "per_layer_model_proj", "per_layer_input"
    return (
        Placed(Linear(name, role, role, config["hidden_size"], layers * width)),
        Placed(Norm("per_layer_model_norm", width)),
    )


def _embedded(config: Config) -> tuple[Placed, ...]:
    """Every state's map to the width of embeddings."""
    sizes = (config["hidden_size"], config["embedding_dim"])
    return (Placed(Linear("embedding_projection", "pooler", "pooler", *sizes)),)


def _kinds(config: Config) -> Sequence[str]:
    """The last layer attends to everything, whatever ``layer_types`` says."""
    return [*every(6)(config)[:-1], "full"]


def _shapes(config: Config) -> Sequence[Mapping[str, Any]]:
    """Full attention has wider heads, and fewer of keys."""
    changed = by_layer(config["per_layer_config"])
    if changed is None:
        wide = {"head_dim": 512, "kv_heads": 1}
        return [wide if kind == "full" else {} for kind in _kinds(config)]
    layers = range(config["num_hidden_layers"])
    return [overrides(changed.get(index, {})) for index in layers]


family(
    "embedding_gemma2_text",
    "gemma3_text",
    keys={
        **sizes(vocab=262144, hidden=512, inner=2048, layers=24, heads=4, kv_heads=2, head_dim=256),
        "sliding_window": 512,
        "per_layer_config": mapping(),
        "hidden_size_per_layer_input": 512,
        "embedding_dim": 768,
    },
    traits={
        "kinds": _kinds,
        "shapes": _shapes,
        "window": lambda config: config["sliding_window"] + 1,
        "causal": False,
        "v_norm": True,
        "front": _inputs,
        "others": own_input,
        "tail": _embedded,
        "class": "Model",
    },
    drop=("sliding_window_pattern", "use_bidirectional_attention"),
)
wrapper(
    "embedding_gemma2",
    text_of("embedding_gemma2_text", fixed=True),
    eyes_of("gemma4_vision", fixed=True, optional=True),
    projectors.embedder,
    ears=(ears_of("gemma4_audio", fixed=True, optional=True), projectors.embedded_sound),
)
