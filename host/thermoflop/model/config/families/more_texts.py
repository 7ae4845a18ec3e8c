"""More models of text: what retrieves, and what marks. Defaults and structure are those of the
classes of transformers 5.24."""

from __future__ import annotations

from thermoflop.model.architecture.description import Placed
from thermoflop.model.architecture.parts import Linear, Table
from thermoflop.model.config.blocks import classifier
from thermoflop.model.config.families import (  # noqa: F401 - parents are there
    classic,
    encoders,
    mixtures,
)
from thermoflop.model.config.family import at_least_zero, family, sizes, use

TYPE_CHECKING = False
if TYPE_CHECKING:
    from thermoflop.model.config.keys import Config


def _projected(config: Config) -> tuple[Placed, ...]:
    """A map of the first token's state to a width of its own, where there is one."""
    width, hidden = config["projection_dim"], config["hidden_size"]
    return (
        (Placed(classifier("encode_proj", hidden, width, "pooler"), "sequence"),) if width else ()
    )


family(
    "dpr",
    "bert",
    keys={"projection_dim": at_least_zero(0)},
    traits={
        "pooler": (),
        "after": _projected,
        "class": "DPRContextEncoder",
        "classes": ("encoder",),
    },
)
family(
    "splinter",
    "bert",
    traits={"pooler": (), "classes": ("bare",), "class": "Model"},
)
family(
    "openai_privacy_filter",
    "gpt_oss",
    keys={
        **sizes(vocab=200064, hidden=640, inner=640, layers=8, heads=14, kv_heads=2, head_dim=64),
    },
    traits={
        "kinds": lambda config: ["sliding"] * config["num_hidden_layers"],
        # as far as this to both sides, and no further
        "window": lambda config: config["sliding_window"] + 1,
        "causal": False,
        "class": "ForTokenClassification",
    },
    ignored=("swiglu_alpha",),
)


def _seen(config: Config) -> tuple[Placed, ...]:
    """What VisualBERT makes of regions of an image, which a text alone has none of."""
    hidden = config["hidden_size"]
    where = ("embed_proj", "embed_proj")
    regions = Linear("visual_projection", *where, config["visual_embedding_dim"], hidden, bias=True)
    parts = (
        Table("visual_types", "embed_type", config["type_vocab_size"], hidden),
        Table("visual_positions", "embed_pos", config["max_position_embeddings"], hidden),
        regions,
    )
    return tuple(Placed(part, "none") for part in parts)


family(
    "visual_bert",
    "bert",
    keys={"visual_embedding_dim": 512, "bypass_transformer": False},
    traits={
        "extra_tables": _seen,
        "pooler": ("bare", "pre-training"),
        "class": "Model",
        "classes": ("bare", "pre-training"),
        "note": "times are of text alone, without regions of images",
    },
    ignored=("special_visual_initialize",),
)
family(
    "imagegpt",
    "gpt2",
    keys={
        "vocab_size": 513,
        "n_embd": 512,
        "n_layer": 24,
        "n_head": 8,
        "n_positions": 1024,
        "activation_function": "quick_gelu",
        "tie_word_embeddings": False,
    },
    traits={
        "norm_bias": False,
        # a token more is read than is written: what starts an image
        "embed_rows": use("vocab_size"),
        "vocab": lambda config: config["vocab_size"] - 1,
        "class": "ForCausalImageModeling",
    },
)
