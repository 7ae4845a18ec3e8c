"""Hybrids of full and linear attention: Kimi Linear (and Kimi K3's text), MiniMax-01, Qwen3-Next.

Defaults are those of the configuration classes of transformers 5 (``configuration_*.py``). Kimi
K3's keys, which that class does not know, are as its report and its published weights have them.
"""

from __future__ import annotations

from thermoflop.base.messages import quote_value
from thermoflop.base.record import replace
from thermoflop.errors import InputError, UnknownModel
from thermoflop.model.architecture.linear import GatedDelta, KimiDelta, Lightning
from thermoflop.model.architecture.parts import Linear, Norm, Part
from thermoflop.model.config.families import mixtures  # noqa: F401 - qwen3_moe is there
from thermoflop.model.config.families.latent import latent_attention
from thermoflop.model.config.families.patterns import by_words, every, sparse_by_mlp_types
from thermoflop.model.config.family import (
    at_least_zero,
    family,
    indices,
    mapping,
    maybe,
    names,
    sizes,
    spaced,
    use,
)
from thermoflop.model.config.keys import Config, is_count

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any


_FULL_OR_LINEAR = {"full_attention": "full", "linear_attention": "linear"}


def _linear_key(config: Config, key: str, nested: str) -> int:
    """A size of the linear layers: in ``linear_attn_config``, or under a key of its own."""
    count = (config["linear_attn_config"] or {}).get(nested, config[key])
    if not is_count(count):
        raise InputError(f"{nested} is {quote_value(count)} where a whole number is expected")
    return count


def _kimi_kinds(config: Config) -> Sequence[str]:
    """``layer_types``, or the lists of ``linear_attn_config``, of which one says what the other
    does, or every fifth layer full, but the first: layers 4, 8 and so on, counted from 0."""
    layers, nested = config["num_hidden_layers"], config["linear_attn_config"] or {}
    kinds = by_words(config, _FULL_OR_LINEAR)
    if kinds is not None:
        return kinds
    lists = [_numbers(nested, key) for key in ("full_attn_layers", "kda_layers")]
    if lists == [None, None]:
        return ["full" if index and index % 4 == 0 else "linear" for index in range(layers)]
    numbered = set(range(1, layers + 1))
    said = [set(numbers or ()) for numbers in lists]
    full = numbered - said[1] if lists[0] is None else said[0]
    linear = numbered - said[0] if lists[1] is None else said[1]
    wrong = (full & linear) | (numbered ^ (full | linear))
    if wrong:
        raise InputError(
            f"full_attn_layers and kda_layers do not name each of the layers 1 to {layers} once: "
            f"layer {min(wrong)}"
        )
    return ["full" if number in full else "linear" for number in range(1, layers + 1)]


def _numbers(nested: Mapping[str, Any], key: str) -> list[int] | None:
    """A list of layers; the other list names the rest where there is none."""
    numbers = nested.get(key)
    if numbers is None:
        return None
    if not isinstance(numbers, list) or not all(map(is_count, numbers)):
        raise InputError(
            f"{key} is {quote_value(numbers)} where a list of whole numbers from 1 is expected"
        )
    return numbers


def kimi_delta(config: Config) -> KimiDelta:
    full_gate = (config["linear_attn_config"] or {}).get("use_full_rank_gate", False)
    return KimiDelta(
        config["hidden_size"],
        _linear_key(config, "linear_num_heads", "num_heads"),
        _linear_key(config, "linear_head_dim", "head_dim"),
        _linear_key(config, "linear_conv_kernel_dim", "short_conv_kernel_size"),
        full_gate is True,
    )


def _depth_attention(config: Config) -> tuple[Part, ...]:
    """What weighs the results of blocks of layers before attention and before the feed-forward.

    Attention Residuals (Kimi Team 2026): a norm and one query each. Its work, a few vectors a
    layer, is under a ten-thousandth of the FLOPs, and is not listed.
    """
    if config["attn_res_block_size"] is None:
        return ()
    hidden = config["hidden_size"]
    return (*depth_query(hidden, "attention"), *depth_query(hidden, "feed-forward"))


def depth_query(hidden: int, name: str) -> tuple[Norm, Linear]:
    group = "depth_attn"
    query = Linear(f"depth query ({name})", group, group, hidden, 1, unquantized=True)
    return Norm(f"depth norm ({name})", hidden), query


family(
    "kimi_linear",
    "deepseek_v3",
    keys={
        **sizes(vocab=163840, hidden=2304, inner=9216, layers=27, heads=32),
        "moe_intermediate_size": 1024,
        "q_lora_rank": None,
        "mlp_layer_types": names(),
        "layer_types": names(),
        "linear_attn_config": mapping(),
        "linear_head_dim": 128,
        "linear_num_heads": 32,
        "linear_conv_kernel_dim": 4,
        "first_k_dense_replace": at_least_zero(1),
        "routed_expert_hidden_size": None,
        "latent_moe_use_norm": False,
        "mla_use_output_gate": False,
        "attn_res_block_size": None,
    },
    traits={
        "kinds": _kimi_kinds,
        "recurrent": kimi_delta,
        "mla": lambda config: replace(
            latent_attention(config), gate=config["mla_use_output_gate"], rotation=False
        ),
        "sparse": sparse_by_mlp_types,
        "expert_latent": use("routed_expert_hidden_size"),
        "expert_latent_norm": use("latent_moe_use_norm"),
        "kept": _depth_attention,
        "collapse": lambda config: (
            ()
            if config["attn_res_block_size"] is None
            else depth_query(config["hidden_size"], "output")
        ),
        "tied": False,  # the class has no key to tie
    },
    aliases={
        "num_experts": "n_routed_experts",
        "num_experts_per_token": "num_experts_per_tok",
        "num_shared_experts": "n_shared_experts",
    },
    ignored=spaced(
        "moe_layer_freq moe_renormalize num_expert_group use_grouped_topk mla_use_nope"
        " moe_router_activation_func activation_situ_beta activation_situ_linear_beta"
        " tie_word_embeddings"
    ),
)


def _minimax_kinds(config: Config) -> Sequence[str]:
    """``layer_types``, or 1 for each full layer of ``attn_type_list``, or every second from 0."""
    layers, types = config["num_hidden_layers"], config["attn_type_list"]
    kinds = by_words(config, _FULL_OR_LINEAR)
    if kinds is not None:
        return kinds
    if types is None:
        return ["linear" if index % 2 else "full" for index in range(layers)]
    if len(types) < layers or any(kind not in (0, 1) for kind in types):
        raise InputError(f"attn_type_list is no 0 or 1 for each of {layers} layers")
    return ["full" if kind else "linear" for kind in types[:layers]]


def _lightning(config: Config) -> Lightning:
    heads, hidden = config["num_attention_heads"], config["hidden_size"]
    return Lightning(hidden, heads, config["head_dim"] or hidden // heads)


family(
    "minimax",
    "mixtral",
    keys={"layer_types": names(), "attn_type_list": indices()},
    traits={"kinds": _minimax_kinds, "recurrent": _lightning},
    ignored=(
        *("sliding_window", "block_size", "postnorm"),
        *(
            f"{part}_{factor}_factor"
            for part in ("full_attn", "linear_attn", "mlp")
            for factor in ("alpha", "beta")
        ),
    ),
)


def next_delta(config: Config) -> GatedDelta:
    keys, values = config["linear_num_key_heads"], config["linear_num_value_heads"]
    if values % keys:
        raise InputError(f"{values} value heads do not divide into {keys} key heads")
    return GatedDelta(
        config["hidden_size"],
        keys,
        values,
        config["linear_key_head_dim"],
        config["linear_value_head_dim"],
        config["linear_conv_kernel_dim"],
    )


family(
    "qwen3_next",
    "qwen3_moe",
    keys={
        **sizes(inner=5632, layers=48, heads=16, kv_heads=maybe(2), head_dim=256),
        "num_experts": at_least_zero(512),
        "num_experts_per_tok": 10,
        "moe_intermediate_size": 512,
        "shared_expert_intermediate_size": 512,
        "linear_conv_kernel_dim": 4,
        "linear_key_head_dim": 128,
        "linear_value_head_dim": 128,
        "linear_num_key_heads": 16,
        "linear_num_value_heads": 32,
        "full_attention_interval": 4,
        "layer_types": names(),
    },
    traits={
        "kinds": every("full_attention_interval", others="linear"),
        "recurrent": next_delta,
        "output_gate": True,
        "shared_gate": True,
    },
    ignored=("use_sliding_window", "sliding_window"),
)


def _qwen3_5_gate(config: Config) -> bool:
    """The class gates always; a file that says otherwise is of another implementation."""
    if not config["attn_output_gate"]:
        raise UnknownModel(
            "attn_output_gate = false is not understood: the class gates attention in any case"
        )
    return True


family(
    "qwen3_5_moe_text",
    "qwen3_next",
    keys={
        **sizes(vocab=248320, layers=40),
        "num_experts": 256,
        "num_experts_per_tok": 8,
        "attn_output_gate": True,
    },
    traits={"output_gate": _qwen3_5_gate, "sparse": None},
    ignored=spaced(
        "intermediate_size decoder_sparse_step mlp_only_layers mtp_num_hidden_layers"
        " mtp_use_dedicated_embeddings"
    ),
)
family(
    "qwen3_5_text",
    "qwen3_5_moe_text",
    keys=sizes(hidden=4096, inner=12288, layers=32, kv_heads=maybe(4)),
    drop=spaced(
        "num_experts num_experts_per_tok moe_intermediate_size shared_expert_intermediate_size"
    ),
)
