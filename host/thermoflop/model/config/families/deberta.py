"""DeBERTa, whose content meets relative positions. Defaults are those of transformers 5."""

from __future__ import annotations

from thermoflop.base.messages import quote_value
from thermoflop.errors import InputError, UnknownModel
from thermoflop.model.architecture.description import Placed
from thermoflop.model.architecture.mixers import Relative
from thermoflop.model.architecture.parts import Convolution, Norm, Table
from thermoflop.model.config.decoder import head_width
from thermoflop.model.config.families import encoders  # noqa: F401 - parents are there
from thermoflop.model.config.family import Key, anything, at_least_zero, family, sizes
from thermoflop.model.config.keys import Config


def _span(config: Config) -> int:
    """Relative positions to either side: as many as there are buckets, or positions."""
    buckets: int = config.get("position_buckets", -1)
    longest: int = config["max_relative_positions"]
    if buckets > 0:
        return buckets
    return longest if longest > 0 else int(config["max_position_embeddings"])


def _kinds(config: Config) -> tuple[str, ...]:
    """What meets what: content to position, position to content."""
    named = config["pos_att_type"] or ()
    words = named.lower().split("|") if isinstance(named, str) else named
    if not isinstance(words, list | tuple) or any(not isinstance(word, str) for word in words):
        raise InputError(f"pos_att_type is {quote_value(named)}: expected words such as c2p|p2c")
    return tuple(word.strip() for word in words)


def _relative(config: Config) -> Relative | None:
    """The scores of relative positions; the first DeBERTa has no buckets and shares nothing."""
    if not config["relative_attention"]:
        return None
    hidden, kinds, second = config["hidden_size"], _kinds(config), "share_att_key" in config
    return Relative(
        hidden,
        hidden,
        2 * _span(config),
        "c2p" in kinds,
        "p2c" in kinds,
        config.get("share_att_key", False),
        key_bias=second,
        clipped=not second,
    )


def _tables(config: Config) -> tuple[Placed, ...]:
    """The embeddings of relative positions, and their norm."""
    hidden, placed = config["hidden_size"], []
    if config["relative_attention"]:
        table = Table("rel_embeddings", "rel_pos_bias", 2 * _span(config), hidden, lookups=False)
        placed.append(Placed(table, "none"))
    if "layer_norm" in config.get("norm_rel_ebd", "").lower():
        placed.append(Placed(Norm("rel_norm", hidden, "layer", bias=True), "none"))
    return tuple(placed)


def _convolution(config: Config) -> tuple[Placed, ...]:
    """A convolution of the tokens beside the first layer (DeBERTa v2 of 900 M and 1.5 G)."""
    hidden, taps, groups = (
        config[key] for key in ("hidden_size", "conv_kernel_size", "conv_groups")
    )
    if not taps:
        return ()
    if hidden % groups or taps % 2 == 0:
        raise UnknownModel(
            f"conv_kernel_size = {taps} with conv_groups = {groups} is not understood"
        )
    convolution = Convolution("conv", "conv", "conv", hidden // groups, hidden, taps, bias=True)
    return Placed(convolution), Placed(Norm("conv_norm", hidden, "layer", bias=True))


def _head_dim(config: Config) -> int:
    """The output projection is square, so all heads are as wide as the hidden state."""
    dim = head_width(config["hidden_size"], config["num_attention_heads"])
    if config["attention_head_size"] not in (None, dim):
        raise UnknownModel(f"attention_head_size other than {dim} is not understood for deberta-v2")
    return dim


def _pooled_width(config: Config) -> tuple[str, ...]:
    """Heads on a pooler, which is as wide as the hidden state."""
    if config["pooler_hidden_size"] not in (None, config["hidden_size"]):
        raise UnknownModel("a pooler_hidden_size beside hidden_size is not understood for deberta")
    return ("sequence", "choice")


_SIGNED = Key("count", -1, least=-1)
family(
    "deberta",
    "bert",
    keys={
        "vocab_size": 50265,
        "type_vocab_size": at_least_zero(0),
        "relative_attention": False,
        "max_relative_positions": _SIGNED,
        "position_biased_input": True,
        "pos_att_type": anything(),
        "pooler_hidden_size": None,
    },
    traits={
        "positions": lambda config: (
            config["max_position_embeddings"] if config["position_biased_input"] else 0
        ),
        "k_bias": False,
        "relative": _relative,
        "extra_tables": _tables,
        "pooler": _pooled_width,
        "class": "Model",  # the published files name no class
        "classes": ("masked", "sequence", "token", "question", "bare"),
    },
    ignored=("legacy", "conv_act", "padding_idx"),
)
family(
    "deberta-v2",
    "deberta",
    keys={
        **sizes(vocab=128100, hidden=1536, inner=6144, layers=24, heads=24),
        "position_buckets": _SIGNED,
        "share_att_key": False,
        "norm_rel_ebd": "none",
        "conv_kernel_size": at_least_zero(0),
        "conv_groups": 1,
        "attention_head_size": None,
    },
    traits={
        "head_dim": _head_dim,
        "k_bias": True,
        "output_group": None,
        "after": _convolution,
        "classes": ("masked", "sequence", "token", "question", "choice", "bare"),
    },
)
