"""Encoders that differ from BERT in a trait or two. Defaults are those of transformers 5."""

from __future__ import annotations

from thermoflop.base.record import replace
from thermoflop.errors import InputError
from thermoflop.model.architecture.description import Placed
from thermoflop.model.architecture.parts import Linear, Table
from thermoflop.model.config.families import encoders  # noqa: F401 - parents are there
from thermoflop.model.config.family import (
    at_least_zero,
    called,
    family,
    indices,
    sizes,
    spaced,
    use,
)
from thermoflop.model.config.keys import Config

_PRE_NORM = {"embed_norm": False, "final_norm": True}
_ALWAYS_POOLED = ("masked", "causal", "token", "pre-training", "sequence", "choice", "bare")


def _table(name: str, rows: int, width: int, group: str = "embed_type") -> Placed:
    return Placed(Table(name, group, rows, width))


def _task_types(config: Config) -> tuple[Placed, ...]:
    """ERNIE marks the task where it is told to."""
    rows, width = config["task_type_vocab_size"], config["hidden_size"]
    return (_table("embed_tasks", rows, width),) if config["use_task_id"] else ()


def _places(config: Config) -> tuple[Placed, ...]:
    """LayoutLM: x and y of two corners, height and width, from four tables."""
    rows, width = config["max_2d_position_embeddings"], config["hidden_size"]
    return tuple(_table(f"embed_{axis}", rows, width, "embed_pos") for axis in "xyhw")


def _table_types(config: Config) -> tuple[Placed, ...]:
    """TAPAS: a table for each of seven properties of a cell."""
    sizes = config["type_vocab_sizes"] or [3, 256, 256, 2, 256, 256, 10]
    if any(rows < 1 for rows in sizes):
        raise InputError(f"type_vocab_sizes holds {min(sizes)}: expected sizes from 1")
    width = config["hidden_size"]
    return tuple(_table(f"embed_types {n}", rows, width) for n, rows in enumerate(sizes))


def _sounds_and_shapes(config: Config) -> tuple[Placed, ...]:
    """RoCBert: how a character sounds and looks, beside it or added to it."""
    hidden, widths, placed = config["hidden_size"], [config["hidden_size"]], []
    for kind in ("pronunciation", "shape"):
        width = config[f"{kind}_embed_dim"]
        table = _table(f"embed_{kind}", config[f"{kind}_vocab_size"], width)
        used = config[f"enable_{kind}"]
        placed.append(table if used else replace(table, rows="none"))
        widths += [width] if used else []
    if config["concat_input"]:
        role = "embed_proj"
        project = Linear("map_inputs", role, role, sum(widths), hidden, bias=True)
        return (*placed, Placed(project))
    if any(width != hidden for width in widths):
        raise InputError(
            "roc_bert adds embeddings of different widths: concat_input has to be true"
        )
    return tuple(placed)


family("data2vec-text", "roberta", keys={"vocab_size": 30522})
family("ibert", "data2vec-text", ignored=("quant_mode", "force_dequant"))
family(
    "ernie",
    "bert",
    keys={"task_type_vocab_size": 3, "use_task_id": False},
    traits={"extra_tables": _task_types},
)
family(
    "megatron-bert",
    "bert",
    keys=sizes(vocab=29056, hidden=1024, inner=4096, layers=24, heads=16),
    traits=_PRE_NORM,
)
family("roberta-prelayernorm", "roberta", traits={"final_norm": True})
family(
    "xlm-roberta-xl",
    "roberta",
    keys={
        **sizes(vocab=250880, hidden=2560, inner=10240, layers=36, heads=32),
        "max_position_embeddings": 514,
        "type_vocab_size": at_least_zero(1),
    },
    traits=_PRE_NORM,
)
family(
    "layoutlm",
    "bert",
    keys={"max_2d_position_embeddings": 1024},
    traits={
        "extra_tables": _places,
        "pooler": (*_ALWAYS_POOLED, "question"),
        "classes": ("masked", "sequence", "token", "question", "bare"),
    },
)
family(
    "tapas",
    "bert",
    keys={"max_position_embeddings": 1024, "type_vocab_sizes": indices()},
    drop=("type_vocab_size",),
    traits={"extra_tables": _table_types, "classes": ("masked", "sequence", "bare")},
    # of the head that answers questions, which is not described here
    ignored=spaced(
        "max_num_columns max_num_rows num_aggregation_labels aggregation_labels select_one_column"
        " reset_position_index_per_cell use_answer_as_supervision use_normalized_answer_loss"
        " use_gumbel_for_aggregation use_gumbel_for_cells average_approximation_function"
        " disable_per_token_loss answer_loss_importance no_aggregation_label_index"
        " average_logits_per_cell cell_selection_preference allow_empty_column_selection"
        " aggregation_temperature positive_label_weight huber_loss_delta"
    ),
)
family(
    "roc_bert",
    "bert",
    keys={
        "enable_pronunciation": True,
        "enable_shape": True,
        "pronunciation_embed_dim": 768,
        "pronunciation_vocab_size": 910,
        "shape_embed_dim": 512,
        "shape_vocab_size": 24858,
        "concat_input": True,
    },
    traits={
        "extra_tables": _sounds_and_shapes,
        "classes": ("masked", "causal", "sequence", "token", "question", "choice", "bare"),
    },
)
family(
    "rembert",
    "bert",
    keys={
        **sizes(vocab=250300, hidden=1152, inner=4608, layers=32, heads=18),
        "input_embedding_size": 256,
        "output_embedding_size": 1664,
    },
    traits={
        "embed_width": use("input_embedding_size"),
        "always_projects": True,
        "head_width": use("output_embedding_size"),
        "bias_group": "lm_head",
        "tied": False,
        "untied_bias": False,
    },
    ignored=("tie_word_embeddings",),
)
family(
    "roformer",
    "bert",
    keys={"vocab_size": 50000, "embedding_size": None, "max_position_embeddings": 1536},
    traits={
        "embed_width": use("embedding_size"),
        "positions": 0,
        "rotary": True,
        # the angles are kept as a table
        "extras": lambda config: (
            Placed(
                Table(
                    "embed_positions",
                    "embed_pos",
                    config["max_position_embeddings"],
                    config["hidden_size"] // config["num_attention_heads"],
                ),
                "none",
            ),
        ),
        "classifier": "dense",
        "span_labels": 2,
        "pooler": (),
        "classes": ("masked", "causal", "sequence", "token", "question", "bare"),
    },
)
family(
    "big_bird",
    "bert",
    keys={
        "vocab_size": 50358,
        "hidden_act": "gelu_new",
        "max_position_embeddings": 4096,
        "use_bias": True,
    },
    traits={
        "note": "its block-sparse attention is counted in full, as short sequences run it",
        "q_bias": use("use_bias"),
        "classifier": "dense",
        "pooler": _ALWAYS_POOLED,
        "classes": ("masked", "causal", "pre-training", "sequence", "token", "choice", "bare"),
    },
    # a sequence of up to (5 + 2 random blocks) blocks is attended in full, as counted here
    ignored=("attention_type", "block_size", "num_random_blocks", "rescale_embeddings"),
)
family(
    "xlm",
    reader="encoder",
    keys={
        "vocab_size": 30145,
        "emb_dim": 2048,
        "n_layers": 12,
        "n_heads": 16,
        "n_langs": 1,
        "use_lang_emb": True,
        "max_position_embeddings": 512,
        "tie_word_embeddings": True,
    },
    traits={
        "inner": lambda config: 4 * config["emb_dim"],
        "activation": "gelu",
        "types": lambda config: (
            config["n_langs"] if config["use_lang_emb"] and config["n_langs"] > 1 else 0
        ),
        "transform": False,
        "pooler": (),
        "classifier": "plain",
        "summaries": ("sequence",),
        "classes": ("masked", "causal", "sequence", "token", "bare"),
    },
    aliases={
        **called(hidden="emb_dim", heads="n_heads", layers="n_layers"),
        "n_words": "vocab_size",
    },
    ignored=spaced(
        "gelu_activation sinusoidal_embeddings causal is_encoder lang_id mask_index unk_index"
        " bos_index eos_index pad_index start_n_top end_n_top"
    ),
)
family("flaubert", "xlm", ignored=("pre_norm",))
