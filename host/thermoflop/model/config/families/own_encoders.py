"""Encoders of text that mix or map tokens in their own way: kernels of the text, groups, hashes.

Defaults and structure are those of the classes of transformers 5.24.
"""

from __future__ import annotations

from thermoflop.errors import InputError
from thermoflop.model.architecture.description import Placed
from thermoflop.model.architecture.parts import Convolution, Linear, Norm, Part, Table, Vector
from thermoflop.model.config.architectures import class_name
from thermoflop.model.config.decoder import head_width
from thermoflop.model.config.families import encoders  # noqa: F401 - a parent is there
from thermoflop.model.config.family import family, indices, names, sizes, spaced, use
from thermoflop.model.config.keys import Config, is_count

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


_CLASSES = ("masked", "sequence", "token", "question", "choice", "bare")


def _even_groups(config: Config, sizes: dict[str, tuple[str, ...]]) -> None:
    """InputError unless every size divides into the groups of its map."""
    for key, widths in sizes.items():
        for width in widths:
            if config[width] % config[key]:
                raise InputError(
                    f"{width} {config[width]} does not divide into {config[key]} groups ({key})"
                )


def _attending(config: Config) -> int:
    """ConvBERT's heads that attend; the others are convolutions."""
    heads: int = config["num_attention_heads"] // config["head_ratio"]
    return max(1, heads)


def _half_width(config: Config) -> int:
    """Elements of each of those heads: half of the hidden state is theirs."""
    heads, hidden = _attending(config), int(config["hidden_size"])
    if head_width(hidden, heads) % 2:
        raise InputError(f"a hidden size of {hidden} does not halve into {heads} heads")
    return hidden // heads // 2


def _convolved(config: Config) -> tuple[Placed, ...]:
    """The other half of the heads: convolutions whose kernels are made of queries and neighbours.

    Jiang et al. 2020 (ConvBERT), section 3: the kernel of each token and head is a softmax over
    taps; the half's part of the output map has no second bias.
    """
    hidden, taps, half = config["hidden_size"], config["conv_kernel_size"], _half_width(config)
    if taps % 2 == 0:
        raise InputError(f"conv_kernel_size {taps} is even: its convolutions would add a token")
    half, names = half * _attending(config), ("attn", "attn_proj")
    parts: list[Part] = [
        Convolution("key_conv depthwise", *names, 1, hidden, taps),
        Linear("key_conv pointwise", *names, hidden, half, bias=True),
        Linear("conv_kernel", *names, half, taps * _attending(config), bias=True),
        Linear("conv_out", *names, hidden, half, bias=True),
        # every element sums over its taps; the kernel is the token's, not the model's
        Linear("conv_of_taps", *names, taps, half, tied=True),
        Linear("o_proj of the rest", *names, half, hidden),
    ]
    return tuple(Placed(part) for part in parts)


def _feed_groups(config: Config) -> tuple[int, int]:
    """Groups of ConvBERT's feed-forward."""
    _even_groups(config, {"num_groups": ("hidden_size", "intermediate_size")})
    return config["num_groups"], config["num_groups"]


family(
    "convbert",
    "electra",
    keys={
        **sizes(hidden=768, inner=3072, heads=12),
        "embedding_size": 768,
        "head_ratio": 2,
        "conv_kernel_size": 9,
        "num_groups": 1,
    },
    traits={
        "heads": _attending,
        "head_dim": _half_width,
        "others": _convolved,
        "mlp_groups": _feed_groups,
        "output_group": None,
        "choice_dense": lambda config: config.raw.get("summary_use_proj") is True,
        "discriminates": False,
        "classes": _CLASSES,
    },
    ignored=(
        "add_cross_attention",
        "linear_groups",
    ),  # an older name, which the class does not read
)


def _projection_groups(config: Config) -> tuple[int, ...]:
    """Groups of queries, keys, values and output."""
    keys = ("q_groups", "k_groups", "v_groups", "post_attention_groups")
    _even_groups(config, dict.fromkeys(keys, ("hidden_size",)))
    width = config["embedding_size"]
    if width != config["hidden_size"]:
        raise InputError(f"embedding_size {width} is not hidden_size, which squeezebert needs")
    return tuple(config[key] for key in keys)


def _squeezed_groups(config: Config) -> tuple[int, ...]:
    """Groups of SqueezeBERT's feed-forward."""
    keys = ("intermediate_groups", "output_groups")
    _even_groups(config, dict.fromkeys(keys, ("hidden_size", "intermediate_size")))
    return tuple(config[key] for key in keys)


family(
    "squeezebert",
    "bert",
    keys={
        "embedding_size": 768,
        "q_groups": 4,
        "k_groups": 4,
        "v_groups": 4,
        "post_attention_groups": 1,
        "intermediate_groups": 4,
        "output_groups": 4,
    },
    traits={
        "groups": _projection_groups,
        "mlp_groups": _squeezed_groups,
        "output_group": None,
        "pooler": _CLASSES,
        "classes": _CLASSES,
    },
    ignored=("four_groups",),
)


def _of_words(config: Config) -> tuple[Placed, ...]:
    """A second embedding, which the first and the last full layer add to their values."""
    width = config["num_key_value_heads"] * config["head_dim"]
    return (Placed(Table("value_embeddings", "embed_tokens", config["vocab_size"], width)),)


def _gates(config: Config, heads: int, _kv_heads: int, dim: int) -> tuple[Part, ...]:
    """A gate of each element, and how much of its own value a head's result leaves out."""
    gate = Linear("gate_proj", "attn", "attn_proj", config["hidden_size"], heads * dim)
    return (gate, Vector("alpha", "attn", heads))


def _unembedding(config: Config) -> tuple[Placed, ...]:
    """What follows the last norm: the embedding's projection backwards, or a retriever's map."""
    name, hidden, role = class_name(config, "ForMaskedLM"), config["hidden_size"], "head_transform"
    if name.endswith("ForRetrieval"):
        role = "classifier"
        return (Placed(Linear("multi_vector_head", role, role, hidden, config["embedding_dim"])),)
    if not name.endswith("ForMaskedLM"):
        return ()
    rank, tied = config["embedding_rank"], config["tie_word_embeddings"]
    return (Placed(Linear("unembedding", role, role, hidden, rank, tied=tied)),)


def _of_patches(config: Config) -> tuple[Placed, ...]:
    """What makes states of image patches, three colours each; no text runs through it."""
    pixels, hidden, role = 3 * config["patch_size"] ** 2, config["hidden_size"], "embed_patch"
    parts: list[Part] = [
        Norm("patch_norm", pixels, "layer", bias=True),
        Linear("patch_up", role, role, pixels, 2 * hidden),
        Linear("patch_down", role, role, 2 * hidden, hidden, bias=True),
    ]
    return tuple(Placed(part, "none") for part in parts)


family(
    "neomme",
    reader="encoder",
    keys={
        **sizes(vocab=131072, hidden=1024, inner=3584, layers=17, heads=16, kv_heads=4, patch=32),
        "head_dim": 64,
        "embedding_rank": 256,
        "hidden_act": "relu2",
        "mlp_bias": False,
        "attention_bias": False,
        "embedding_dim": 128,
        "tie_word_embeddings": True,
    },
    traits={
        "norm": "rms",
        "norm_weight": False,
        "norm_bias": False,
        "qk_norm": "head",
        "rotary": True,
        "q_bias": use("attention_bias"),
        "o_bias": use("attention_bias"),
        "up_bias": use("mlp_bias"),
        "embed_width": use("embedding_rank"),
        "always_projects": True,
        "embed_bias": False,
        "extra_tables": _of_words,
        "attention_extras": _gates,
        "kept": lambda _config: (Vector("lambdas", "norm", 2),),
        "final_norm": True,
        "after": _unembedding,
        "transform": False,
        "bias_group": None,
        "extras": _of_patches,
        "pooler": (),
        "classes": ("masked", "retrieval", "bare"),
        "note": "a text without images is counted",
    },
    # windows narrow what is attended, not what is counted: every query meets every key
    ignored=("layer_types", "sliding_window", "per_layer_config"),
)


def _own_attention(config: Config) -> list[dict[str, Any]]:
    """Reformer's layers: hashed ones have one map for queries and keys, and one for values."""
    kinds = config["attn_layers"]
    if kinds is None:
        kinds = ["local", "lsh"] * 3
    if not kinds or not set(kinds) <= {"local", "lsh"}:
        raise InputError("attn_layers names something else than local and lsh layers")
    # a number of layers that a file states stands, and takes the first of these kinds
    layers = config["num_hidden_layers"] or len(kinds)
    if layers > len(kinds):
        raise InputError(f"num_hidden_layers is {layers}, and attn_layers names {len(kinds)}")
    kinds = kinds[:layers]
    return [{"projects": "qk" if kind == "lsh" else "qkv"} for kind in kinds]


def _axial(config: Config) -> tuple[Placed, ...]:
    """Positions in two tables, one for each axis of an area that the text is laid on."""
    if not config["axial_pos_embds"]:
        return ()
    sides, widths = config["axial_pos_shape"], config["axial_pos_embds_dim"]
    sides = (64, 64) if sides is None else sides
    widths = (64, 192) if widths is None else widths
    if len(sides) != 2 or len(widths) != 2 or not all(map(is_count, (*sides, *widths))):
        raise InputError("axial_pos_shape and axial_pos_embds_dim are not two counts each")
    if sum(widths) != config["hidden_size"]:
        raise InputError(f"axial_pos_embds_dim adds up to {sum(widths)}, not to hidden_size")
    pairs = enumerate(zip(sides, widths, strict=True))
    return tuple(Placed(Table(f"axis {n + 1}", "embed_pos", *each)) for n, each in pairs)


def _both_streams(config: Config) -> int:
    """The two streams of a reversible model side by side."""
    width: int = 2 * config["hidden_size"]
    return width


family(
    "reformer",
    "bert",
    keys={
        **sizes(vocab=320, hidden=256, layers=None),
        "feed_forward_size": 512,
        "hidden_act": "relu",
        "max_position_embeddings": 4096,
        "attention_head_size": 64,
        "attn_layers": names(),
        "axial_pos_embds": True,
        "axial_pos_shape": indices(),
        "axial_pos_embds_dim": indices(),
    },
    traits={
        "layers": lambda config: len(_own_attention(config)),
        "shapes": _own_attention,
        "head_dim": use("attention_head_size"),
        "inner": use("feed_forward_size"),
        "q_bias": False,
        "o_bias": False,
        "output_group": None,
        "positions": lambda config: (
            0 if config["axial_pos_embds"] else config["max_position_embeddings"]
        ),
        "extra_tables": _axial,
        "embed_norm": False,
        "after": lambda config: (
            Placed(Norm("final_norm", _both_streams(config), "layer", bias=True)),
        ),
        "transform": False,
        "head_width": _both_streams,
        "scored": _both_streams,
        "classifier": "dense",
        "pooler": (),
        "tied": False,
        "classes": ("masked", "causal", "sequence", "question", "bare"),
        "note": "its attention by hashes and within chunks is counted in full, with keys and values"
        " kept",
    },
    drop=("intermediate_size", "type_vocab_size"),
    ignored=spaced(
        "tie_word_embeddings hash_seed num_hashes num_buckets axial_norm_std chunk_size_lm_head"
        " lsh_attn_chunk_length local_attn_chunk_length local_num_chunks_before"
        " local_num_chunks_after lsh_num_chunks_before lsh_num_chunks_after num_chunks_before"
        " num_chunks_after"
    ),
)
