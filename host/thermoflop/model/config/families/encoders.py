"""Encoders of text: BERT and its relatives. Defaults are those of the classes of transformers 5."""

from __future__ import annotations

from thermoflop.model.config.family import at_least_zero, called, family, sizes, spaced, use
from thermoflop.model.config.keys import Config

BERT = {
    **sizes(vocab=30522, hidden=768, layers=12, heads=12, inner=3072),
    "hidden_act": "gelu",
    "max_position_embeddings": 512,
}
family(
    "bert",
    reader="encoder",
    keys={**BERT, "type_vocab_size": at_least_zero(2), "tie_word_embeddings": True},
    # transformers calls the attention's output projection attention.output.dense; the published
    # records count what is called output with the MLP
    traits={"bias_group": "head_transform", "untied_bias": True, "output_group": "mlp"},
    ignored=spaced(
        "position_embedding_type directionality pooler_fc_size pooler_type"
        " pooler_num_attention_heads pooler_num_fc_layers pooler_size_per_head"
    ),
)
family(
    "roberta",
    "bert",
    keys={"vocab_size": 50265},
    traits={"bias_group": "lm_head", "classifier": "dense", "pooler": ("bare", "choice")},
)
family(
    "xlm-roberta",
    "roberta",
    keys={"vocab_size": 30522},
    # of jinaai's code, which runs it with another kernel
    ignored=spaced(
        "emb_pooler load_trained_adapters lora_alpha lora_main_params_trainable lora_rank"
        " num_loras use_reentrant"
    ),
)
family("camembert", "roberta", keys={"vocab_size": 30522})


def _albert_executions(config: Config) -> int:
    """Each of the layers runs every inner layer of its group."""
    executed: int = config["num_hidden_layers"] * config["inner_group_num"]
    return executed


def _albert_sets(config: Config) -> int:
    """Layers of a group share one set of weights for each inner layer."""
    sets: int = config["num_hidden_groups"] * config["inner_group_num"]
    return sets


family(
    "albert",
    "bert",
    keys={
        **sizes(vocab=30000, hidden=4096, inner=16384, heads=64),
        "embedding_size": 128,
        "num_hidden_groups": 1,
        "inner_group_num": 1,
        "hidden_act": "gelu_new",
    },
    traits={
        "bias_group": "lm_head",
        "output_group": None,
        "embed_width": use("embedding_size"),
        "always_projects": True,
        "pair_labels": True,
        "layers": _albert_executions,
        "sets": _albert_sets,
    },
    ignored=("net_structure_type", "num_memory_blocks", "gap_size", "down_scale_factor"),
)
family(
    "distilbert",
    reader="encoder",
    keys={
        "vocab_size": 30522,
        "dim": 768,
        "n_layers": 6,
        "n_heads": 12,
        "hidden_dim": 3072,
        "activation": "gelu",
        "max_position_embeddings": 512,
        "tie_word_embeddings": True,
    },
    traits={
        "inner": use("hidden_dim"),
        "activation": use("activation"),
        "pooler": (),
        "classifier": "dense",
    },
    aliases=called(hidden="dim", heads="n_heads", layers="n_layers"),
    ignored=("tie_weights_",),
)
family(
    "electra",
    "bert",
    keys={"embedding_size": 128, **sizes(hidden=256, inner=1024, heads=4)},
    traits={
        "bias_group": "lm_head",
        "untied_bias": False,
        "embed_width": use("embedding_size"),
        "pooler": (),
        "classifier": "dense",
        "summaries": ("choice",),
        "discriminates": True,
    },
)
