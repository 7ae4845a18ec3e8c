"""Encoders of text after BERT, many of which embed sentences: rotary positions, gated MLPs.

Defaults are those of the classes of transformers 5.
"""

from __future__ import annotations

from thermoflop.errors import InputError
from thermoflop.model.architecture.description import Placed
from thermoflop.model.architecture.parts import Linear, Vector
from thermoflop.model.config.decoder import head_width
from thermoflop.model.config.families import dense, encoders  # noqa: F401 - what entries are like
from thermoflop.model.config.family import (
    at_least_zero,
    family,
    maybe_zero,
    names,
    required,
    sizes,
    spaced,
    use,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from thermoflop.model.config.keys import Config

family(
    "mpnet",
    "bert",
    keys={"vocab_size": 30527, "relative_attention_num_buckets": 32},
    drop=("type_vocab_size",),
    traits={
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
        "rotary": True,
        "gated": True,
        "up_bias": False,
        "down_bias": True,
        "output_group": None,
        "bias_group": "lm_head",
        "untied_bias": False,
        "pooler": ("sequence",),
        "encodings": ("absolute", "rope"),
    },
    # of the code that lay beside weights before the class was there
    ignored=spaced(
        "layer_norm_type logn_attention_clip1 logn_attention_scale pack_qkv"
        " use_memory_efficient_attention"
    ),
)
family("new", "gte", keys={"vocab_size": 30528, "type_vocab_size": at_least_zero(2)})


def _not_this_one(config: Config) -> bool:
    """Whether the MLP is gated; with norms on queries and keys it is another model."""
    if "qk-post-norm" in str(config.raw.get("auto_map")):
        raise InputError("jina_bert with norms on queries and keys is not understood")
    if config["position_embedding_type"] != "alibi":
        raise InputError("jina_bert needs position_embedding_type alibi: others are not understood")
    return bool(config["feed_forward_type"] in ("geglu", "reglu"))


family(
    "jina_bert",  # a class of its own under the model_type bert
    "bert",
    keys={
        "vocab_size": required(),
        "feed_forward_type": "original",
        "position_embedding_type": "absolute",
    },
    drop=("max_position_embeddings",),
    traits={
        "gated": _not_this_one,
        "up_bias": lambda config: config["feed_forward_type"] == "original",
        "down_bias": True,
        "encodings": ("alibi",),
    },
    ignored=("emb_pooler",),
)


def _nomic_kept(config: Config) -> list[dict[str, Any]] | None:
    """The bias that the experts of a layer share."""
    kept = {"kept": (Vector("expert_bias", "experts", config["hidden_size"], bias=True),)}
    mixtures = _nomic_sparse(config)
    return None if mixtures is None else [kept if mixture else {} for mixture in mixtures]


def _nomic_sparse(config: Config) -> list[bool] | None:
    """Every so many layers one is a mixture, in the version that has experts."""
    step, layers = config["moe_every_n_layers"], config["num_hidden_layers"]
    if not config["num_experts"] or not step:
        return None
    return [index % step == 1 for index in range(layers)]


family(
    "nomic_bert",
    "bert",
    keys={
        **sizes(vocab=30528, head_dim=None),
        "hidden_act": "silu",
        "qkv_proj_bias": False,
        "mlp_fc1_bias": False,
        "mlp_fc2_bias": False,
        "num_experts": maybe_zero(None),
        "moe_every_n_layers": at_least_zero(0),
        "moe_top_k": 1,
    },
    drop=("max_position_embeddings",),
    traits={
        "rotary": True,
        "gated": lambda config: not config["num_experts"],
        "q_bias": use("qkv_proj_bias"),
        "o_bias": use("qkv_proj_bias"),
        "up_bias": use("mlp_fc1_bias"),
        "down_bias": use("mlp_fc2_bias"),
        "experts": lambda config: config["num_experts"] or 0,
        "top_k": use("moe_top_k"),
        "sparse": _nomic_sparse,
        "shapes": _nomic_kept,
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
    ignored=spaced(
        "add_pooling_layer dense_seq_output expert_choice_router ffn_div max_trained_positions"
        " moe_impl num_shared_experts pad_vocab_size_multiple parallel_block_tied_norm"
    ),
)


def _adapters(config: Config) -> tuple[Placed, ...]:
    """Matrices of low rank beside every other, and beside tables, for each task."""
    hidden, layers = config["hidden_size"], config["num_hidden_layers"]
    ends = config["vocab_size"] + config["type_vocab_size"] + 4 * hidden  # tables, and the pooler
    ends += layers * (8 * hidden + 2 * config["intermediate_size"])
    count = config["lora_rank"] * len(config["lora_adaptations"] or ())
    return (Placed(Vector("adapters", "other", count * ends), "none"),) if count else ()


family(
    "jina_embeddings_v3",
    "gte",
    keys={
        **sizes(vocab=250002, hidden=1024, inner=4096, layers=24, heads=16),
        "lora_adaptations": names(),
        "lora_rank": 4,
    },
    traits={
        "gated": False,
        "up_bias": True,
        "untied_bias": True,
        "classifier": "dense",
        "pooler": ("bare",),
        "extras": _adapters,
        "encodings": ("absolute", "rotary"),
    },
    ignored=spaced(
        "emb_pooler load_trained_adapters lora_alpha lora_main_params_trainable task_instructions"
    ),
)
family(
    "modernbert",
    "bert",
    keys={
        **sizes(vocab=50368, inner=1152, layers=22),
        "hidden_activation": "gelu",
        "norm_bias": False,
        "attention_bias": False,
        "mlp_bias": False,
        "decoder_bias": True,
        "classifier_bias": False,
    },
    drop=("hidden_act", "max_position_embeddings", "type_vocab_size"),
    traits={
        "rotary": True,
        "gated": True,
        "norm_bias": use("norm_bias"),
        "q_bias": use("attention_bias"),
        "o_bias": use("attention_bias"),
        "up_bias": use("mlp_bias"),
        "final_norm": True,
        "first_norm": False,
        "output_group": None,
        "transform_bias": use("classifier_bias"),
        "transform_always": True,
        "encodings": ("absolute", "sans_pos"),
        "bias_group": lambda config: "lm_head" if config["decoder_bias"] else None,
        "untied_bias": False,
        "pooler": (),
    },
    # the window narrows what is attended, not what is counted: every query meets every key
    ignored=spaced(
        "local_attention global_attn_every_n_layers layer_types classifier_pooling"
        " deterministic_flash_attn reference_compile sparse_prediction sparse_pred_ignore_index"
    ),
)
family(
    "eurobert",
    "llama",
    keys={
        **sizes(vocab=128256, hidden=768, inner=3072, layers=12, heads=12),
        "classifier_pooling": "late",
    },
    reader="encoder",
    traits={
        "norm": "rms",
        "norm_bias": False,
        "norm_names": None,
        **dict.fromkeys(("q_bias", "o_bias"), use("attention_bias")),
        "up_bias": use("mlp_bias"),
        "gated": True,
        "rotary": True,
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
    ignored=("is_folding_model", "esmfold_config", "vocab_list"),
)
family(
    "esmc",
    "eurobert",
    keys=sizes(vocab=64, hidden=2560, inner=6912, layers=80, heads=40),
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
