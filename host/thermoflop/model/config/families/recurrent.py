"""State-space models and hybrids: parameters, projections and convolutions exact.

The scan is counted from the published recurrence (``operators.scan``). Defaults are
those of the configuration classes of transformers 5.
"""

from __future__ import annotations

from thermoflop.base.messages import quote_value
from thermoflop.errors import InputError, UnknownModel
from thermoflop.model.architecture.recurrences import Mamba, Mamba2
from thermoflop.model.config.families import mixtures  # noqa: F401 - parents are defined there
from thermoflop.model.config.families.patterns import LAYER_KINDS
from thermoflop.model.config.family import anything, at_least_zero, family, maybe, names, sizes, use
from thermoflop.model.config.keys import Config, is_count, is_factor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


def _rank(value: Any, hidden: int) -> int:
    """``time_step_rank``: a number, or ``auto`` for hidden / 16 rounded up."""
    if value is None or value == "auto":
        return -(-hidden // 16)
    if not is_count(value):
        raise InputError(f"a time step rank of {quote_value(value)} makes no sense")
    return value


def _expanded(value: Any, hidden: int) -> int:
    """``expand`` times the hidden size; the classes cut it to a whole number."""
    if not is_factor(value):
        raise InputError(f"expand is {quote_value(value)} where a positive number is expected")
    return int(value * hidden)


def _mamba(config: Config) -> Mamba:
    hidden = config["hidden_size"]
    expand = 2 if config["expand"] is None else config["expand"]
    # falcon-mamba-7b as published says expand 16 and means its intermediate_size
    return Mamba(
        hidden,
        config["intermediate_size"] or _expanded(expand, hidden),
        config["state_size"],
        config["conv_kernel"],
        _rank(config["time_step_rank"], hidden),
        config["use_bias"],
        config["use_conv_bias"],
    )


family(
    "mamba",
    keys={
        **sizes(vocab=50280, hidden=768, layers=32, inner=None),
        "state_size": 16,
        "expand": anything(),
        "conv_kernel": 4,
        "use_bias": False,
        "use_conv_bias": True,
        "time_step_rank": anything(),
        "tie_word_embeddings": True,
    },
    traits={
        "blocks": True,
        "inner": None,
        "kinds": lambda config: ["mamba"] * config["num_hidden_layers"],
        "recurrent": _mamba,
    },
    aliases={"n_layer": "num_hidden_layers", "d_model": "hidden_size"},
    ignored=("d_inner", "ssm_cfg", "use_falcon_mambapy"),
)

# the norms on the step and both selections have no weights
family("falcon_mamba", "mamba")


def _mamba2(config: Config) -> Mamba2:
    hidden, heads, dim = config["hidden_size"], config["num_heads"], config["head_dim"]
    expand = 2 if config["expand"] is None else config["expand"]
    if _expanded(expand, hidden) != heads * dim:
        raise InputError(
            f"{heads} heads of {dim} are not the {expand} x {hidden} channels of mamba2"
        )
    return Mamba2(
        hidden,
        heads,
        dim,
        config["n_groups"],
        config["state_size"],
        config["conv_kernel"],
        config["use_bias"],
        config["use_conv_bias"],
    )


family(
    "mamba2",
    "mamba",
    keys={
        **sizes(vocab=32768, hidden=4096, layers=64, head_dim=64),
        "num_heads": 128,
        "state_size": 128,
        "n_groups": 8,
        "tie_word_embeddings": False,
    },
    traits={"recurrent": _mamba2},
    drop=("time_step_rank",),
    ignored=("intermediate_size",),
)


def _jamba_mamba(config: Config) -> Mamba:
    hidden = config["hidden_size"]
    return Mamba(
        hidden,
        config["mamba_expand"] * hidden,
        config["mamba_d_state"],
        config["mamba_d_conv"],
        _rank(config["mamba_dt_rank"], hidden),
        config["mamba_proj_bias"],
        config["mamba_conv_bias"],
        inner_norms=True,
    )


def _periodic(config: Config, what: str, period: str, offset: str) -> list[bool]:
    """True at ``offset`` of every ``period`` layers."""
    step, first = config[period], config[offset]
    if first >= step:
        raise InputError(f"{offset} = {first} leaves no {what} in a period of {step} layers")
    return [index % step == first for index in range(config["num_hidden_layers"])]


def _jamba_kinds(config: Config) -> Sequence[str]:
    attends = _periodic(config, "attention", "attn_layer_period", "attn_layer_offset")
    return ["full" if attend else "mamba" for attend in attends]


def _jamba_sparse(config: Config) -> Sequence[bool]:
    if config["num_experts"] == 1:
        return [False] * config["num_hidden_layers"]
    return _periodic(config, "experts", "expert_layer_period", "expert_layer_offset")


family(
    "jamba",
    keys={
        **sizes(vocab=65536, hidden=4096, inner=14336, layers=32, heads=32, kv_heads=maybe(8)),
        "hidden_act": "silu",
        "num_experts": 16,
        "num_experts_per_tok": 2,
        "expert_layer_period": 2,
        "expert_layer_offset": at_least_zero(1),
        "attn_layer_period": 8,
        "attn_layer_offset": at_least_zero(4),
        "mamba_d_state": 16,
        "mamba_d_conv": 4,
        "mamba_expand": 2,
        "mamba_dt_rank": anything(),
        "mamba_conv_bias": True,
        "mamba_proj_bias": False,
        "tie_word_embeddings": False,
    },
    traits={
        "rotary": False,
        "kinds": _jamba_kinds,
        "sparse": _jamba_sparse,
        "recurrent": _jamba_mamba,
    },
    aliases={"num_local_experts": "num_experts"},
    ignored=("mamba_inner_layernorms",),
)

_PATTERN = {"M": "mamba", "E": "moe", "*": "full", "-": "mlp"}
_BLOCK_KINDS = {**LAYER_KINDS, "linear_attention": "mamba"}


def _nemotron_h_kinds(config: Config) -> Sequence[str]:
    """One letter of ``hybrid_override_pattern``, or one word of ``layers_block_type``, a layer."""
    pattern, blocks = config["hybrid_override_pattern"], config["layers_block_type"]
    if blocks is None and not pattern:
        raise InputError("nemotron_h needs hybrid_override_pattern or layers_block_type")
    table = _PATTERN if blocks is None else _BLOCK_KINDS
    kinds = list(pattern if blocks is None else blocks)
    unknown = next((kind for kind in kinds if kind not in table), None)
    if unknown is not None:
        raise InputError(
            f"{quote_value(unknown)} in the layer pattern is no kind of layer of nemotron_h"
        )
    stated = config["num_hidden_layers"]
    if stated is not None and stated != len(kinds):
        raise InputError(f"the pattern names {len(kinds)} layers, num_hidden_layers says {stated}")
    return [table[kind] for kind in kinds]


def _nemotron_h_ahead(config: Config) -> list[list[tuple[str, bool, dict[str, Any]]]] | None:
    """The layers of a module that predicts further: one letter or one word each."""
    keys = ("mtp_hybrid_override_pattern", "mtp_layers_block_type")
    stated = next((config.raw[key] for key in keys if config.raw.get(key)), None)
    if stated is None:
        return None
    table = {**_BLOCK_KINDS, **_PATTERN}
    if not isinstance(stated, str | list) or any(kind not in table for kind in stated):
        raise InputError(f"{quote_value(stated)} is no pattern of layers of nemotron_h")
    return [[(table[kind], False, {}) for kind in stated]]


def _nemotron_h_mamba(config: Config) -> Mamba2:
    return Mamba2(
        config["hidden_size"],
        config["mamba_num_heads"],
        config["mamba_head_dim"],
        config["n_groups"],
        config["ssm_state_size"],
        config["conv_kernel"],
        config["use_bias"],
        config["use_conv_bias"],
    )


def _nemotron_h_bias(config: Config) -> bool:
    """NVIDIA's code has the bias that transformers' class leaves out: which one is not known."""
    if config["attention_bias"]:
        raise UnknownModel(
            "attention_bias = true is not understood for nemotron_h: its two implementations differ"
        )
    return False


family(
    "nemotron_h",
    keys={
        **sizes(vocab=131072, hidden=4096, inner=21504, layers=None, heads=32, kv_heads=maybe(8)),
        "head_dim": maybe(128),
        "hybrid_override_pattern": "",
        "layers_block_type": names(),
        "attention_bias": False,
        "mlp_bias": False,
        "mlp_hidden_act": "relu2",
        "ssm_state_size": 128,
        "mamba_num_heads": 128,
        "mamba_head_dim": 64,
        "n_groups": 8,
        "conv_kernel": 4,
        "use_bias": False,
        "use_conv_bias": True,
        "n_routed_experts": 8,
        "n_shared_experts": at_least_zero(1),
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 7688,
        "moe_shared_expert_intermediate_size": 7688,
        "moe_latent_size": None,
        "tie_word_embeddings": False,
    },
    traits={
        "blocks": True,
        "kinds": _nemotron_h_kinds,
        "ahead": _nemotron_h_ahead,
        "layers": lambda config: len(_nemotron_h_kinds(config)),
        "recurrent": _nemotron_h_mamba,
        "gated": False,
        "activation": use("mlp_hidden_act"),
        "q_bias": _nemotron_h_bias,
        "rotary": False,
        "expert_latent": use("moe_latent_size"),
        "shared_inner": use("moe_shared_expert_intermediate_size"),
        "tied": False,  # whatever tie_word_embeddings says: the class ties no weights
    },
    aliases={
        "attention_head_dim": "head_dim",
        "layer_types": "layers_block_type",
        "num_local_experts": "n_routed_experts",
    },
    ignored=("expand", "is_mamba2", "sliding_window", "mamba_proj_bias"),
)


# what a block of a Puzzle says of itself, by the traits that are read from it
_BLOCK_TRAITS = {
    "n_routed_experts": "experts",
    "num_experts_per_tok": "top_k",
    "moe_intermediate_size": "expert_inner",
    "moe_shared_expert_intermediate_size": "shared_inner",
}


def _blocks(config: Config, key: str) -> list[tuple[str, dict[str, Any]]]:
    """Of each block its kind, and the traits that are its own."""
    listed, found = config[key], []
    if not listed:
        raise InputError(f"{config.family.name} needs {key}")
    for block in listed if isinstance(listed, list) else [listed]:
        rest = dict(block) if isinstance(block, dict) else {}
        kind = rest.pop("block_type", None)
        strange = next((each for each in rest if each not in _BLOCK_TRAITS), None)
        if kind not in _BLOCK_KINDS or strange or not all(map(is_count, rest.values())):
            raise InputError(
                f"{key} holds {quote_value(block)} where a block_type and the sizes of its experts "
                "are expected"
            )
        found.append((_BLOCK_KINDS[kind], {_BLOCK_TRAITS[name]: rest[name] for name in rest}))
    return found


def _puzzle_ahead(config: Config) -> list[list[tuple[str, bool, dict[str, Any]]]] | None:
    if not config["mtp_block_configs"]:
        return None
    return [[(kind, False, own) for kind, own in _blocks(config, "mtp_block_configs")]]


# Nemotron 3 after a search of what each block needs (arXiv 2411.19146), as SGLang builds it
family(
    "nemotron_h_puzzle",
    "nemotron_h",
    keys={"block_configs": anything(), "mtp_block_configs": anything()},
    traits={
        "kinds": lambda config: [kind for kind, _ in _blocks(config, "block_configs")],
        "shapes": lambda config: [own for _, own in _blocks(config, "block_configs")],
        "layers": lambda config: len(_blocks(config, "block_configs")),
        "ahead": _puzzle_ahead,
    },
    # said again by the blocks
    ignored=("layers_block_type", "hybrid_override_pattern", "num_hidden_layers"),
)
