"""Encoders of text with parts that BERT has not: bottlenecks, adapters, entities, other mixing.

Defaults and structure are those of the classes of transformers 5.24. Attention that a class
computes in part, by landmarks, hashes, blocks or windows, is counted in full, and a note says so.
"""

from __future__ import annotations

from thermoflop.errors import InputError
from thermoflop.model.architecture.description import Placed
from thermoflop.model.architecture.parts import Convolution, Linear, Part, Table, Vector
from thermoflop.model.config import encoder
from thermoflop.model.config.architectures import class_name
from thermoflop.model.config.blocks import layer_norm
from thermoflop.model.config.families import embedders, encoders  # noqa: F401 - parents are there
from thermoflop.model.config.family import Key, family, names, sizes, spaced, use

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from thermoflop.model.config.keys import Config

_TWO_MORE = {"positions": lambda config: config["max_position_embeddings"] + 2}
_CLASSES = ("masked", "sequence", "token", "question", "choice", "bare")


def _full(what: str, **traits: Any) -> dict[str, Any]:
    """The traits of an encoder whose attention is counted in full."""
    return {"note": f"its attention {what} is counted in full", "classes": _CLASSES, **traits}


def _square(config: Config, *names: str) -> tuple[Part, ...]:
    """Projections of each layer that no text runs through."""
    hidden = config["hidden_size"]
    return tuple(Linear(name, "attn", "attn_proj", hidden, hidden, bias=True) for name in names)


family(
    "longformer",
    "roberta",
    keys={"vocab_size": 30522},
    traits=_full(
        "within windows",
        kept=lambda config: _square(config, "query_global", "key_global", "value_global"),
    ),
    ignored=("attention_window",),
)


def _over_values(key: str) -> Callable[[Config], tuple[Placed, ...]]:
    """A convolution over the values of each head, one kernel for all elements of a head."""

    def parts(config: Config) -> tuple[Placed, ...]:
        heads, taps = config["num_attention_heads"], config[key]
        if taps is None:
            return ()
        part = Convolution("conv", "attn", "attn_proj", 1, heads, taps)
        return (Placed(part, "token", config["hidden_size"] // heads),)

    return parts


_APART = {"classifier": "dense", "pooler": (), "span_labels": 2}
family(
    "nystromformer",
    "bert",
    keys={
        "vocab_size": 30000,
        "max_position_embeddings": 510,
        "conv_kernel_size": Key("count", 65, nullable=True),
    },
    traits=_full("by landmarks", others=_over_values("conv_kernel_size"), **_TWO_MORE, **_APART),
    ignored=spaced("num_landmarks segment_means_seq_len inv_coeff_init_option add_cross_attention"),
)
family(
    "mra",
    "bert",
    keys={"vocab_size": 50265, "type_vocab_size": 1},
    traits=_full("in several resolutions", **_TWO_MORE, **_APART),
    ignored=spaced(
        "add_cross_attention approx_mode block_per_row initial_prior_diagonal_n_blocks"
        " initial_prior_first_n_blocks"
    ),
)


family(
    "yoso",
    "mra",
    keys={"max_position_embeddings": 4096, "conv_window": None},
    traits=_full("by hashes", span_labels=None, others=_over_values("conv_window")),
    ignored=("hash_code_len", "lsh_backward", "num_hash", "use_expectation", "use_fast_hash"),
)
family(
    "fnet",
    "bert",
    keys={"vocab_size": 32000, "type_vocab_size": 4},
    drop=("num_attention_heads",),
    traits={
        "note": "its Fourier transforms are no matrices and are not counted",
        "heads": 1,
        "kinds": lambda config: ["none"] * config["num_hidden_layers"],
        "kept": lambda config: (layer_norm("mixing_norm", config["hidden_size"]),),
        "always_projects": True,
        "pooler": (*_CLASSES, "pre-training", "next sentence"),
        "classes": (*_CLASSES, "pre-training", "next sentence"),
    },
    ignored=("tpu_short_seq_length", "use_tpu_fourier_optimizations"),
)


def _adapter(config: Config) -> list[Part]:
    """One language's two matrices, and a norm where there is one."""
    hidden = config["hidden_size"]
    inner = hidden // config["adapter_reduction_factor"]
    if inner < 1:
        raise InputError("adapter_reduction_factor leaves nothing of the hidden size")
    down = Linear("dense1", "mlp", "mlp", hidden, inner, bias=True)
    return [down, Linear("dense2", "mlp", "mlp", inner, hidden, bias=True)]


def _languages(config: Config) -> tuple[Part, ...]:
    """Norms of adapters, and the adapters of all languages but the one that runs."""
    others = len(config["languages"] or [""]) - 1
    norm = (layer_norm("adapter_norm", config["hidden_size"]),)
    return (*(norm if config["adapter_layer_norm"] else ()), *(others * _adapter(config)))


family(
    "xmod",
    "roberta",
    keys={
        "vocab_size": 30522,
        "adapter_reduction_factor": 2,
        "adapter_layer_norm": False,
        "languages": names(),
        "pre_norm": False,
    },
    traits={
        "others": lambda config: tuple(Placed(part) for part in _adapter(config)),
        "kept": _languages,
        "final_norm": use("pre_norm"),
        "note": "the adapter of one language runs",
    },
    ignored=("adapter_reuse_layer_norm", "ln_before_adapter", "default_language"),
)


def _entities(config: Config) -> tuple[Placed, ...]:
    """LUKE's tables of entities, which stand beside the words where a text names some."""
    hidden, width, count = (
        config[key] for key in ("hidden_size", "entity_emb_size", "entity_vocab_size")
    )
    parts: list[Part] = [
        Table("embed_entities", "embed_tokens", count, width),
        Table("entity_positions", "embed_pos", config["max_position_embeddings"], hidden),
        Table("entity_types", "embed_type", config["type_vocab_size"], hidden),
        layer_norm("entity_norm", hidden),
    ]
    if width != hidden:
        parts.append(Linear("entity_dense", "embed_proj", "embed_proj", width, hidden))
    if class_name(config, "ForMaskedLM").endswith("ForMaskedLM"):
        role = "head_transform"
        parts.append(Linear("entity_transform", role, role, hidden, width, bias=True))
        parts += [layer_norm("entity_head_norm", width), Vector("entity_bias", role, count, True)]
        if not config["tie_word_embeddings"]:
            parts.append(Table("entity_head", role, count, width, lookups=False))
            parts.append(Vector("second head_bias", role, config["vocab_size"], True))
    return tuple(Placed(part, "none") for part in parts)


def _aware(config: Config) -> tuple[Part, ...]:
    """Queries between words and entities, where attention tells them apart."""
    names = ("w2e_query", "e2w_query", "e2e_query")
    return _square(config, *names) if config["use_entity_aware_attention"] else ()


family(
    "luke",
    "roberta",
    keys={
        "vocab_size": 50267,
        "entity_vocab_size": 500000,
        "entity_emb_size": 256,
        "use_entity_aware_attention": True,
    },
    traits={
        "extras": _entities,
        "kept": _aware,
        "tied": False,
        "untied_bias": False,
        "classifier": "pooled",
        "pooler": ("masked", "sequence", "choice", "bare"),
        "classes": _CLASSES,
        "note": "a text without entities is counted",
    },
)


def _bottleneck(config: Config) -> list[dict[str, Any]]:
    """MobileBERT: every layer narrows the hidden state, feeds it several times, widens it."""
    flags = ("use_bottleneck", "key_query_shared_bottleneck")
    if not all(config[key] for key in flags) or config["use_bottleneck_attention"]:
        raise InputError("mobilebert needs bottlenecks whose queries and keys share one")
    if config["true_hidden_size"] not in (None, config["intra_bottleneck_size"]):
        raise InputError("mobilebert needs a true_hidden_size equal to intra_bottleneck_size")
    hidden, width, inner = (
        config[key] for key in ("hidden_size", "intra_bottleneck_size", "intermediate_size")
    )
    feeds = [
        part
        for _ in range(config["num_feedforward_networks"] - 1)
        for part in (
            Linear("ffn up", "mlp", "mlp", width, inner, bias=True),
            Linear("ffn down", "mlp", "mlp", inner, width, bias=True),
            layer_norm("ffn_norm", width),
        )
    ]
    parts: list[Part] = [
        Linear("bottleneck", "bottleneck", "bottleneck", hidden, width, bias=True),
        Linear("bottleneck of attention", "attn", "attn_proj", hidden, width, bias=True),
        *(layer_norm(f"bottleneck_norm {n}", width) for n in range(2)),
        # values are made of the wide state: what the narrow one's matrix is short of
        Linear("v_proj of the rest", "attn", "attn_proj", hidden - width, width),
        *feeds,
        Linear("bottleneck out", "mlp", "mlp", width, hidden, bias=True),
        layer_norm("bottleneck_out_norm", hidden),
    ]
    placed = tuple(Placed(part) for part in parts)
    return [{"hidden": width, "others": placed}] * config["num_hidden_layers"]


def _trigrams(config: Config) -> tuple[Placed, ...]:
    """Positions and types as wide as the hidden state, and what three words side by side add."""
    hidden, width = config["hidden_size"], config["embedding_size"]
    rows = {"pos": config["max_position_embeddings"], "type": config["type_vocab_size"]}
    tables = [Table(f"embed_{kind}", f"embed_{kind}", rows[kind], hidden) for kind in rows]
    more = 2 * width if config["trigram_input"] else 0
    beside = Linear("trigrams", "embed_proj", "embed_proj", more, hidden)
    parts: list[Part] = [*tables, beside, layer_norm("embed_norm", hidden)]
    return tuple(Placed(part) for part in parts)


def _rest_of_head(config: Config) -> tuple[Placed, ...]:
    """The head is the table of words and, for the rest of the hidden state, a matrix of its own."""
    if not class_name(config, "ForMaskedLM").endswith(("ForMaskedLM", "ForPreTraining")):
        return ()
    rows, tied = config["vocab_size"], config["tie_word_embeddings"]
    rest = config["hidden_size"] - (config["embedding_size"] if tied else 0)
    role = "head_transform"
    second = () if tied else (Vector("second head_bias", role, rows, bias=True),)
    parts = (Table("head_rest", role, rows, rest, lookups=False), *second)
    return tuple(Placed(part, "none") for part in parts)


def _pooled(config: Config) -> tuple[str, ...]:
    """The heads that read the first token through a dense layer: none without an activation."""
    heads: tuple[str, ...] = encoder.DEFAULTS["pooler"] if config["classifier_activation"] else ()
    return heads


family(
    "mobilebert",
    "bert",
    keys={
        **sizes(hidden=512, inner=512, layers=24, heads=4),
        "hidden_act": "relu",
        "embedding_size": 128,
        "intra_bottleneck_size": 128,
        "num_feedforward_networks": 4,
        "use_bottleneck": True,
        "key_query_shared_bottleneck": True,
        "use_bottleneck_attention": False,
        "trigram_input": True,
        "classifier_activation": True,
        "true_hidden_size": None,
    },
    traits={
        "embed_width": use("embedding_size"),
        "always_projects": True,
        "positions": 0,
        "types": 0,
        "embed_norm": False,
        "extra_tables": _trigrams,
        "shapes": _bottleneck,
        "head_width": use("hidden_size"),
        "tied": True,
        "untied_bias": False,
        "head_role": "head_transform",
        "pooler": _pooled,
        "extras": _rest_of_head,
    },
    ignored=("normalization_type",),
)


def _two_maps(config: Config) -> tuple[Placed, ...]:
    """UltraBERT's head narrows the state and widens it again."""
    if not class_name(config, "ForMaskedLM").endswith("ForMaskedLM"):
        return ()
    hidden, width, role = config["hidden_size"], config["prediction_head_size"], "head_transform"
    sizes = (("linear1", hidden, width), ("linear2", width, hidden))
    return tuple(Placed(Linear(name, role, role, *size)) for name, *size in sizes)


family(
    "ultrabert",
    "eurobert",
    keys={
        **sizes(vocab=32000, hidden=4096, inner=11008, layers=32, heads=32),
        "prediction_head_size": 768,
    },
    traits={
        "after": _two_maps,
        "classifier": "pooled",
        "bias_group": None,
    },
    # the window narrows what is attended, not what is counted: every query meets every key
    ignored=("classifier_pooling", "layer_types", "sliding_window"),
)
family(
    "bert-generation",
    "bert",
    keys=sizes(vocab=50358, hidden=1024, inner=4096, layers=24, heads=16),
    drop=("type_vocab_size",),
    traits={
        "transform": False,
        "bias_group": "lm_head",
        "class": "Decoder",
        "classes": ("decoder", "encoder"),
    },
)
family(
    "tipsv2_text_model",
    "bert",
    keys={"vocab_size": 32000, "hidden_act": "relu", "max_position_embeddings": 64},
    drop=("type_vocab_size",),
    traits={
        "positions": 0,
        "embed_norm": False,
        "final_norm": True,
        "class": "TextModel",
        "classes": ("text half",),
    },
    ignored=("scale_sqrt_depth", "tie_word_embeddings"),
)
