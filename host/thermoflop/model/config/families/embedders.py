"""Encoders of text after BERT, many of which embed sentences: rotary positions, gated MLPs.

Defaults are those of the classes of transformers 5.
"""

from __future__ import annotations

from thermoflop.errors import InputError
from thermoflop.model.architecture.description import Placed
from thermoflop.model.architecture.parts import Linear
from thermoflop.model.config.decoder import head_width
from thermoflop.model.config.families import dense, encoders  # noqa: F401 - what entries are like
from thermoflop.model.config.family import at_least_zero, family, use

TYPE_CHECKING = False
if TYPE_CHECKING:
    from thermoflop.model.config.keys import Config

_POSITIONS_ARE_A_LIMIT = {"positions": 0, "rotary": True}

family(
    "mpnet",
    "bert",
    keys={"vocab_size": 30527, "relative_attention_num_buckets": 32},
    drop=("type_vocab_size",),
    traits={
        "types": 0,
        "buckets": use("relative_attention_num_buckets"),
        "output_group": None,
        "bias_group": "lm_head",
        "classifier": "dense",
        "pooler": ("bare", "choice"),
    },
)
family(
    "gte",
    "bert",
    keys={
        "vocab_size": 250048,
        "type_vocab_size": at_least_zero(1),
    },
    drop=("max_position_embeddings",),
    traits={
        **_POSITIONS_ARE_A_LIMIT,
        "gated": True,
        "up_bias": False,
        "down_bias": True,
        "output_group": None,
        "bias_group": "lm_head",
        "untied_bias": False,
        "pooler": ("sequence",),
    },
)
family(
    "nomic_bert",
    "bert",
    keys={
        "vocab_size": 30528,
        "hidden_act": "silu",
        "head_dim": None,
    },
    drop=("max_position_embeddings",),
    traits={
        **_POSITIONS_ARE_A_LIMIT,
        "gated": True,
        "q_bias": False,
        "o_bias": False,
        "up_bias": False,
        "output_group": None,
        "pooler": ("sequence",),
    },
    aliases={  # as the code beside the weights of 2024 calls them
        "n_embd": "hidden_size",
        "n_head": "num_attention_heads",
        "n_layer": "num_hidden_layers",
        "n_inner": "intermediate_size",
        "activation_function": "hidden_act",
    },
)
family(
    "jina_embeddings_v3",
    "gte",
    keys={
        "vocab_size": 250002,
        "hidden_size": 1024,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "intermediate_size": 4096,
    },
    traits={
        "gated": False,
        "up_bias": True,
        "untied_bias": True,
        "classifier": "dense",
        "pooler": ("bare",),
    },
)
family(
    "modernbert",
    "bert",
    keys={
        "vocab_size": 50368,
        "num_hidden_layers": 22,
        "intermediate_size": 1152,
        "hidden_activation": "gelu",
        "norm_bias": False,
        "attention_bias": False,
        "mlp_bias": False,
        "decoder_bias": True,
        "classifier_bias": False,
    },
    drop=("hidden_act", "max_position_embeddings", "type_vocab_size"),
    traits={
        **_POSITIONS_ARE_A_LIMIT,
        "types": 0,
        "gated": True,
        "activation": use("hidden_activation"),
        "norm_bias": use("norm_bias"),
        "q_bias": use("attention_bias"),
        "o_bias": use("attention_bias"),
        "up_bias": use("mlp_bias"),
        "final_norm": True,
        "first_norm": False,
        "output_group": None,
        "transform_bias": use("classifier_bias"),
        "transform_always": True,
        "bias_group": lambda config: "lm_head" if config["decoder_bias"] else None,
        "untied_bias": False,
        "pooler": (),
    },
    # the window narrows what is attended, not what is counted: every query meets every key
    ignored=(
        "local_attention",
        "global_attn_every_n_layers",
        "layer_types",
        "classifier_pooling",
        "deterministic_flash_attn",
        "reference_compile",
        "sparse_prediction",
        "sparse_pred_ignore_index",
    ),
)
family(
    "eurobert",
    "llama",
    keys={
        "vocab_size": 128256,
        "hidden_size": 768,
        "intermediate_size": 3072,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "classifier_pooling": "late",
    },
    reader="encoder",
    traits={
        "norm": "rms",
        "norm_bias": False,
        "norm_names": None,
        "gated": True,
        "q_bias": use("attention_bias"),
        "o_bias": use("attention_bias"),
        "up_bias": use("mlp_bias"),
        **_POSITIONS_ARE_A_LIMIT,
        "types": 0,
        "embed_norm": False,
        "final_norm": True,
        "transform": False,
        "bias_group": lambda config: "lm_head" if config["mlp_bias"] else None,
        "pooler": (),
        "classifier": lambda config: (
            "tokens" if config["classifier_pooling"] == "late" else "dense"
        ),
        "classes": ("masked", "sequence", "token", "bare"),
    },
)


def _vocabulary(config: Config) -> int:
    """ESM's class has no size of its own."""
    if config["vocab_size"] is None:
        raise InputError("vocab_size is missing, and esm has no default for it")
    return int(config["vocab_size"])


def _head_of_whole(config: Config) -> int:
    """ESM C's norms on queries and keys are as wide as the hidden state, so the heads are too."""
    dim = head_width(config["hidden_size"], config["num_attention_heads"])
    if config["head_dim"] not in (None, dim):
        raise InputError(f"head_dim is {config['head_dim']} where {dim} is expected for esmc")
    return dim


def _kept_tables(config: Config) -> tuple[Placed, ...]:
    """A head that reads the attention's own scores for contacts: kept, and run by no class."""
    scores = config["num_hidden_layers"] * config["num_attention_heads"]
    return (Placed(Linear("contact_head", "other", "other", scores, 1, bias=True), "none"),)


family(
    "esm",
    "bert",
    keys={
        "vocab_size": None,
        "max_position_embeddings": 1026,
        "position_embedding_type": "absolute",
        "emb_layer_norm_before": False,
    },
    drop=("type_vocab_size",),
    traits={
        "types": 0,
        "positions": lambda config: (
            config["max_position_embeddings"]
            if config["position_embedding_type"] == "absolute"
            else 0
        ),
        "rotary": lambda config: config["position_embedding_type"] == "rotary",
        "embed_norm": use("emb_layer_norm_before"),
        "final_norm": True,
        "vocab": _vocabulary,
        "bias_group": "lm_head",
        "untied_bias": False,
        "head_role": "other",  # a group of the published record, which counts what it cannot name
        "classifier": "dense",
        "pooler": ("bare",),
        "extras": _kept_tables,
        "encodings": ("absolute", "rotary"),
        "classes": ("masked", "sequence", "token", "bare"),
    },
    ignored=("is_folding_model", "esmfold_config", "vocab_list", "token_dropout"),
)
family(
    "esmc",
    "eurobert",
    keys={
        "vocab_size": 64,
        "hidden_size": 2560,
        "intermediate_size": 6912,
        "num_hidden_layers": 80,
        "num_attention_heads": 40,
    },
    drop=("classifier_pooling",),
    traits={
        "norm": "layer",
        "norm_bias": True,
        "qk_norm": "full",
        "head_dim": _head_of_whole,
        "final_norm_bias": False,
        "transform": True,
        "bias_group": "lm_head",
        "tied": False,
        "classifier": "dense",
    },
)
