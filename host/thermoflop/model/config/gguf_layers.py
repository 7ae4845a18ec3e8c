"""What single architectures of GGUF say otherwise than by a key of the same meaning: layers of
several kinds, state spaces, latents, and what only tensors tell."""

from __future__ import annotations

from thermoflop.errors import UnknownModel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from thermoflop.model.config.gguf_metadata import Metadata

_KV, _HEADS, _INNER = "attention.head_count_kv", "attention.head_count", "feed_forward_length"
_CHANNELS = "ssm.inner_size"


def sliding_layers(data: Metadata) -> list[str] | None:
    """The kind of each layer, where the file has an array that says which ones slide."""
    if not isinstance(data.get("attention.sliding_window_pattern"), list):
        return None
    slides = data.by_layer("attention.sliding_window_pattern")
    return ["sliding_attention" if each else "full_attention" for each in slides]


def _attends(data: Metadata, otherwise: str, attends: str = "full_attention") -> list[str]:
    """The kind of each layer: those without key heads are the other kind."""
    return [attends if count else otherwise for count in data.by_layer(_KV)]


def _set(config: dict[str, Any], data: Metadata, key: str, behind: str, kind: str = "") -> None:
    """The number that the layers of a kind have, or without one those that have any; UnknownModel
    for several."""
    counts = set(data.by_layer(behind)) - {0}
    if kind:
        each_layer = zip(sliding_layers(data) or [], data.by_layer(behind), strict=False)
        counts = {count for its_kind, count in each_layer if its_kind == kind}
    if len(counts) > 1:
        data.refuse_differing(behind)
    if counts:
        config[key] = counts.pop()


def _llama(config: dict[str, Any], data: Metadata) -> None:
    """Mixtral is a llama with experts; Mistral one without biases either way."""
    experts = data.count("expert_count", 0)
    if experts:
        config.update(model_type="mixtral", num_local_experts=experts)


def _phi3(config: dict[str, Any], _data: Metadata) -> None:
    """A head is the model's width by their number."""
    config.pop("head_dim", None)


def _latent(config: dict[str, Any], data: Metadata) -> None:
    """Heads of the expanded latent; later files say them as those of multi-head attention."""
    of_heads = data.get("attention.key_length_mla") is not None
    suffix = "_mla" if of_heads else ""
    rope, key = data.count("rope.dimension_count"), data.count(f"attention.key_length{suffix}")
    value = data.get(f"attention.value_length{suffix}")
    config["qk_nope_head_dim"] = key - rope
    if value is not None:
        config["v_head_dim"] = value
    config.setdefault("q_lora_rank", None)
    for name in ("num_key_value_heads", "head_dim"):
        config.pop(name, None)


def _deepseek(config: dict[str, Any], data: Metadata) -> None:
    """V3 chooses experts by a sigmoid (2) with a bias; a model without experts is all dense."""
    _latent(config, data)
    if data.get("expert_gating_func") == 2 or data.has("exp_probs_b.bias"):
        config["model_type"] = "deepseek_v3"
    if not data.count("expert_count", 0):
        for key in ("n_routed_experts", "n_shared_experts", "moe_intermediate_size"):
            config.pop(key, None)
        config["first_k_dense_replace"] = data.layers


def _sparse_latent(config: dict[str, Any], data: Metadata) -> None:
    """Layers whose indexer chooses keys for those that follow, where some have none."""
    _latent(config, data)
    config.pop("first_k_dense_replace", None)
    dense = data.count("leading_dense_block_count", 0)
    config["mlp_layer_types"] = _dense_first(dense, data.layers)
    indexed = data.get("attention.indexer.types")
    if isinstance(indexed, list) and data.name == "glm-dsa":
        full = data.by_layer("attention.indexer.types")
    elif data.name == "glm-dsa" and data.has("indexer.proj.weight"):
        with_one = set(data.parts["indexer.proj.weight"])
        full = [int(layer in with_one) for layer in range(data.layers)]
    else:
        return
    config["indexer_types"] = ["full" if each else "shared" for each in full]


def _dense_first(dense: int, layers: int) -> list[str]:
    return ["dense" if layer < dense else "sparse" for layer in range(layers)]


def _compressed(config: dict[str, Any], data: Metadata) -> None:
    """DeepSeek V4: how many keys become one, layer by layer."""
    config["compress_ratios"] = data.by_layer("attention.compress_ratios")
    config.pop("intermediate_size", None)


def _kimi_linear(config: dict[str, Any], data: Metadata) -> None:
    """Layers without key heads have delta attention, of as many heads as the others."""
    _latent(config, data)
    config["layer_types"] = _attends(data, "linear_attention")
    heads = max(data.by_layer(_HEADS), default=0)
    config.update(num_attention_heads=heads, linear_num_heads=heads)


def _delta(config: dict[str, Any], data: Metadata) -> None:
    """Width of a value head; which layers attend, where the file lists them."""
    config["linear_value_head_dim"] = data.share(_CHANNELS, "ssm.time_step_rank")
    if isinstance(data.get("attention.recurrent_layers"), list):
        kinds = ("full_attention", "linear_attention")
        recurrent = data.by_layer("attention.recurrent_layers")
        config["layer_types"] = [kinds[bool(each)] for each in recurrent]


def _gemma3n(config: dict[str, Any], data: Metadata) -> None:
    """Widths by layer, and what lies in tensors alone."""
    if isinstance(data.get(_INNER), list):
        config["intermediate_size"] = data.by_layer(_INNER)
    _rows_of_layers(config, data)
    rank = data.sides("blk.0.laurel_l.weight")
    if len(rank) == 2:
        config["laurel_rank"] = rank[1]


def _rows_of_layers(config: dict[str, Any], data: Metadata) -> None:
    table = data.sides("per_layer_token_embd.weight")
    rows = table[1] if len(table) == 2 else config.get("vocab_size")
    if rows is not None:
        config["vocab_size_per_layer_input"] = rows


def _gemma4(config: dict[str, Any], data: Metadata) -> None:
    """Full attention has heads of its own; where it has no values of its own, keys are them."""
    kinds = sliding_layers(data) or []
    config.pop("num_experts_per_tok", None)
    config["enable_moe_block"] = bool(config.get("num_experts"))
    if config.get("num_experts") == 0:
        for key in ("num_experts", "top_k_experts", "moe_intermediate_size"):
            config.pop(key, None)
    config["global_head_dim"] = data.count("attention.key_length")
    config["head_dim"] = data.count("attention.key_length_swa")
    _rows_of_layers(config, data)
    own = dict[str, int]()
    _set(config, data, "num_key_value_heads", _KV, "sliding_attention")
    _set(own, data, "num_global_key_value_heads", _KV, "full_attention")
    whole = [layer for layer, kind in enumerate(kinds) if kind == "full_attention"]
    if set(whole) - set(data.parts.get("attn_v.weight", whole)):
        config.update(attention_k_eq_v=True, **own)
    widths = data.by_layer(_INNER)
    config["intermediate_size"] = widths[0] if widths else None
    config["use_double_wide_mlp"] = bool(widths) and widths[-1] == 2 * widths[0]


def _granite_moe(config: dict[str, Any], _data: Metadata) -> None:
    """Granite MoE with a shared expert beside the others is a class of its own."""
    if config.get("shared_intermediate_size"):
        config["model_type"] = "granitemoeshared"
    else:
        config.pop("shared_intermediate_size", None)


def _granite_hybrid(config: dict[str, Any], data: Metadata) -> None:
    """State spaces where there are no key heads; without experts, the shared one is all."""
    _state_space(config, data)
    config["layer_types"] = _attends(data, "mamba", "attention")
    _set(config, data, "num_key_value_heads", _KV)
    experts = config.setdefault("num_local_experts", 0)
    if not experts:
        config.pop("num_experts_per_tok", None)
        config["shared_intermediate_size"] = data.count(_INNER)


def _state_space(config: dict[str, Any], data: Metadata) -> None:
    """Channels of a state space, as a width of its heads."""
    config["mamba_d_head"] = data.share(_CHANNELS, "ssm.time_step_rank")
    config["mamba_expand"] = data.share(_CHANNELS, "embedding_length")


def _nemotron_h(config: dict[str, Any], data: Metadata) -> None:
    """A layer is attention, feed-forward or state space: by which numbers are not nothing."""
    feed = "E" if data.name.endswith("moe") else "-"
    pairs = zip(data.by_layer(_KV), data.by_layer(_INNER), strict=True)
    config["hybrid_override_pattern"] = "".join(
        "*" if heads else feed if inner else "M" for heads, inner in pairs
    )
    config["mamba_head_dim"] = data.share(_CHANNELS, "ssm.time_step_rank")
    _set(config, data, "num_key_value_heads", _KV)
    _set(config, data, "intermediate_size", _INNER)
    config.pop("first_k_dense_replace", None)


def _mamba(config: dict[str, Any], data: Metadata) -> None:
    """Falcon's has norms inside its blocks."""
    if data.get("ssm.dt_b_c_rms"):
        config["model_type"] = "falcon_mamba"


def _mamba2(config: dict[str, Any], data: Metadata) -> None:
    config["head_dim"] = data.share(_CHANNELS, "ssm.time_step_rank")
    config["expand"] = data.share(_CHANNELS, "embedding_length")


def _jamba(config: dict[str, Any], data: Metadata) -> None:
    """Periods of attention and of experts, from where they first are."""
    _set(config, data, "num_key_value_heads", _KV)
    config["mamba_expand"] = data.share(_CHANNELS, "embedding_length")
    attends = [layer for layer, heads in enumerate(data.by_layer(_KV)) if heads]
    config.update(_period("attn_layer", attends, data))
    experts = sorted(set(data.parts.get("ffn_gate_inp.weight", ())))
    if data.tensors:
        config.update(_period("expert_layer", experts, data))


def _period(key: str, layers: Sequence[int], data: Metadata) -> dict[str, int]:
    """Every how many layers, and from which one; UnknownModel where they are not so."""
    offset = layers[0] if layers else data.layers
    period = layers[1] - offset if len(layers) > 1 else data.layers + 1
    if list(layers) != list(range(offset, data.layers, period)):
        raise UnknownModel(f"{data.path}: the layers {layers!s:.60} are not one in every {period}")
    return {f"{key}_offset": offset, f"{key}_period": period}


def _lfm2(config: dict[str, Any], data: Metadata) -> None:
    """Short convolutions where there are no key heads; the width is the rounded one."""
    config["layer_types"] = _attends(data, "conv")
    _set(config, data, "num_key_value_heads", _KV)
    if data.name == "lfm2":
        config["block_auto_adjust_ff_dim"] = False


def _mimo2(config: dict[str, Any], data: Metadata) -> None:
    """Sliding layers have twice the key heads; which layers have experts, tensors say."""
    kinds, heads = sliding_layers(data) or [], data.by_layer(_KV)
    full = {each for kind, each in zip(kinds, heads, strict=False) if kind == "full_attention"}
    count = min(full, default=0)
    if heads != [count if kind == "full_attention" else 2 * count for kind in kinds]:
        raise UnknownModel(f"{data.path}: key heads {heads!s:.60} are not those of MiMo V2")
    config["num_key_value_heads"] = count
    config["mlp_layer_types"] = _sparse_words(data)


def _sparse_words(data: Metadata) -> list[str]:
    """Sparse where there is a router; all but the first leading ones where there are no tensors."""
    if not data.tensors:
        return _dense_first(data.count("leading_dense_block_count", 1), data.layers)
    sparse = set(data.parts.get("ffn_gate_inp.weight", ()))
    return ["sparse" if layer in sparse else "dense" for layer in range(data.layers)]


def _step35(config: dict[str, Any], data: Metadata) -> None:
    """Sliding layers have a number of heads of their own."""
    _set(config, data, "num_attention_heads", _HEADS, "full_attention")
    _set(config, data, "num_sliding_attention_heads", _HEADS, "sliding_attention")
    config["mlp_layer_types"] = _sparse_words(data)


def _deci(config: dict[str, Any], data: Metadata) -> None:
    """Layers with heads, without attention or with a linear map in its place, and of any width."""
    total = max(data.by_layer(_HEADS), default=0)
    blocks = []
    for heads, keys, inner in zip(
        data.by_layer(_HEADS), data.by_layer(_KV), data.by_layer(_INNER), strict=True
    ):
        attention: dict[str, Any] = {"n_heads_in_group": total // keys if keys else None}
        if not keys:
            attention["replace_with_linear" if heads else "no_op"] = True
        blocks.append(
            {
                "attention": attention,
                "ffn": {"intermediate_size": inner} if inner else {"no_op": True},
            }
        )
    config.update(num_attention_heads=total, block_configs=blocks)


def _openelm(config: dict[str, Any], data: Metadata) -> None:
    """Heads and widths by layer."""
    hidden = config["model_dim"] = data.count("embedding_length")
    config.update(
        num_transformer_layers=data.layers, num_query_heads=data.by_layer(_HEADS),
        num_kv_heads=data.by_layer(_KV), ffn_dim_divisor=1,
        ffn_multipliers=[inner / (hidden or 1) for inner in data.by_layer(_INNER)],
        normalize_qk_projections=data.has("attn_q_norm.weight"),
        share_input_output_layers="output.weight" not in data.tensors,
    )  # fmt: skip


def _olmo2(config: dict[str, Any], data: Metadata) -> None:
    """OLMo 3 is OLMo 2 with layers that slide."""
    if data.get("attention.sliding_window"):
        config["model_type"] = "olmo3"


SPECIAL: dict[str, Callable[[dict[str, Any], Metadata], None]] = {
    "llama": _llama,
    "phi3": _phi3,
    "deepseek2": _deepseek,
    "glm4moelite": _deepseek,
    "deepseek32": _sparse_latent,
    "glm-dsa": _sparse_latent,
    "deepseek4": _compressed,
    "mistral4": _latent,
    "minicpm3": _latent,
    "kimi-linear": _kimi_linear,
    "qwen3next": _delta,
    "qwen35": _delta,
    "qwen35moe": _delta,
    "gemma3n": _gemma3n,
    "gemma4": _gemma4,
    "granitemoe": _granite_moe,
    "granitehybrid": _granite_hybrid,
    "falcon-h1": _state_space,
    "nemotron_h": _nemotron_h,
    "nemotron_h_moe": _nemotron_h,
    "mamba": _mamba,
    "mamba2": _mamba2,
    "jamba": _jamba,
    "lfm2": _lfm2,
    "lfm2moe": _lfm2,
    "mimo2": _mimo2,
    "step35": _step35,
    "deci": _deci,
    "openelm": _openelm,
    "olmo2": _olmo2,
}
