"""Decoders with recurrences of one number a channel: RWKV-4 and RecurrentGemma.

Defaults and structure are those of the classes of transformers 5.24.
"""

from __future__ import annotations

from thermoflop.errors import InputError
from thermoflop.model.architecture.parts import Linear, Part, Vector
from thermoflop.model.architecture.recurrences import GatedRecurrence, TimeMix
from thermoflop.model.config.families import dense  # noqa: F401 - llama is defined there
from thermoflop.model.config.families.classic import LAYER_NORM
from thermoflop.model.config.family import family, maybe, names, sizes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from thermoflop.model.architecture.mixers import Mixer
    from thermoflop.model.config.keys import Config


def _time_mix(config: Config) -> Mapping[str, tuple[Mixer, str]]:
    inner = config["attention_hidden_size"] or config["hidden_size"]
    return {"full": (TimeMix(config["hidden_size"], inner), "time mixing")}


def _channel_mix(config: Config) -> tuple[Part, ...]:
    """The gate on the feed-forward, and what it takes of the token before."""
    hidden = config["hidden_size"]
    return (
        Linear("receptance", "mlp", "mlp", hidden, hidden),
        Vector("time_mix", "mlp", 2 * hidden),
    )


family(
    "rwkv",
    keys={
        **sizes(vocab=50277, hidden=4096, layers=32, inner=None),
        "attention_hidden_size": None,
        "tie_word_embeddings": False,
    },
    traits={
        **LAYER_NORM,
        "inner": lambda config: config["intermediate_size"] or 4 * config["hidden_size"],
        "activation": "relu2",
        "gated": False,
        "embed_norm": True,
        "mixers": _time_mix,
        "mlp_extras": _channel_mix,
    },
    ignored=("rescale_every",),
)


def _griffin_kinds(config: Config) -> Sequence[str]:
    """``block_types``, again and again."""
    types = config["block_types"] or ("recurrent", "recurrent", "attention")
    table = {"recurrent": "recurrent", "attention": "sliding"}
    if not {*types} <= {*table}:
        raise InputError("block_types holds what is neither recurrent nor attention")
    return [table[types[index % len(types)]] for index in range(config["num_hidden_layers"])]


def _griffin(config: Config) -> Mapping[str, tuple[Mixer, str]]:
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    inner = config["lru_width"] or hidden
    if inner % heads:
        raise InputError(f"an lru_width of {inner} does not divide into {heads} blocks")
    mixer = GatedRecurrence(hidden, inner, heads, config["conv1d_width"])
    return {"recurrent": (mixer, "gated recurrence")}


family(
    "recurrent_gemma",
    "llama",
    keys={
        **sizes(vocab=256000, hidden=2560, inner=7680, layers=26, heads=10),
        "lru_width": None,
        "attention_window_size": maybe(2048),
        "conv1d_width": 4,
        "block_types": names(),
        "hidden_activation": "gelu_pytorch_tanh",
        "tie_word_embeddings": True,
    },
    traits={
        "inner": lambda config: config["intermediate_size"] // 2,
        "o_bias": True,
        "up_bias": True,
        "kinds": _griffin_kinds,
        "mixers": _griffin,
    },
    drop=("mlp_bias", "hidden_act"),
    aliases={"sliding_window": "attention_window_size"},
    ignored=(
        *("_block_types", "layer_types", "layers_block_type"),
        "embeddings_scale_by_sqrt_dim",  # a factor of the embeddings, no weight
    ),
)
