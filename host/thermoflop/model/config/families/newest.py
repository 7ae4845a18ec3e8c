"""Latent attention of autumn 2026: choices that layers share, gates, windows.

Defaults and structure are those of the classes of transformers 5.24.
"""

from __future__ import annotations

from thermoflop.base.messages import quote_value
from thermoflop.base.record import replace
from thermoflop.errors import InputError
from thermoflop.model.architecture.description import Placed
from thermoflop.model.architecture.parts import Linear, Norm, Vector
from thermoflop.model.architecture.sparse import Streams
from thermoflop.model.config.families import sparse  # noqa: F401 - its parent module is loaded with it
from thermoflop.model.config.families.latent import (
    choosing,
    indexed,
    indexer_kinds,
    latent_attention,
)
from thermoflop.model.config.families.patterns import (
    either_sparse,
    rotated_layers,
    sparse_by_mlp_types,
    words,
)
from thermoflop.model.config.families.sparse import collapsed_streams
from thermoflop.model.config.family import (
    anything,
    at_least_zero,
    family,
    indices,
    mapping,
    maybe,
    names,
    only,
    sizes,
    spaced,
)
from thermoflop.model.config.keys import Config, is_count

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from thermoflop.model.architecture.mixers import LatentAttention, Mixer


def _mistral_kinds(config: Config) -> Sequence[str]:
    """Whether a layer chooses keys, rotates, and keeps a latent of its own."""
    layers = config["num_hidden_layers"]
    sources = config["kv_source_layers"] or range(layers)
    if len(sources) != layers:
        raise InputError(f"kv_source_layers names {len(sources)} of {layers} layers")
    rows = zip(indexer_kinds(config), rotated_layers(config), sources, strict=True)
    return [
        f"{chooses}{' turned' * bool(turned)}{' reusing' * (source != index)}"
        for index, (chooses, turned, source) in enumerate(rows)
    ]


def _mistral_mixers(config: Config) -> dict[str, tuple[Mixer, str]]:
    heads, small, hidden = (
        config[key] for key in ("num_attention_heads", "index_n_heads", "hidden_size")
    )
    whole = indexed(config)
    assert whole.indexer is not None  # noqa: S101 - it has just been made
    before = Norm("index_input_norm", hidden, "layer", bias=True)
    scales = Vector("index_scaling", "indexer", 2 * small)
    own = replace(whole.indexer, extras=(before, scales))
    whole = replace(whole, indexer=own, extras=(Vector("softmax_scaling", "attn", 2 * heads),))
    # without rotation what would be rotated is one more plain dimension of every head
    plain = replace(whole, nope=whole.nope + whole.rope, rope=0, rotation=False)
    plain = replace(plain, indexer=replace(own, rotary=0))
    found: dict[str, tuple[Mixer, str]] = {}
    for turned, mixer in ((" turned", whole), ("", plain)):
        for reusing in ("", " reusing"):
            here = replace(mixer, shares=bool(reusing))
            found[f"full{turned}{reusing}"] = (here, "indexed attention")
            same = replace(here, indexer=None)
            found[f"shared{turned}{reusing}"] = (same, "attention to the same keys")
    return found


family(
    "mistral_large4_text",
    "glm_moe_dsa",
    keys={
        **sizes(vocab=204800, inner=24576, layers=72),
        "moe_intermediate_size": 6144,
        "n_routed_experts": 128,
        "num_experts_per_tok": 4,
        "qk_nope_head_dim": 64,
        "v_head_dim": 128,
        "first_k_dense_replace": at_least_zero(1),
        "no_rope_layers": indices(),
        "no_rope_layer_interval": 4,
        "kv_source_layers": indices(),
    },
    traits={
        "kinds": _mistral_kinds,
        "ahead": None,
        "mixers": _mistral_mixers,
        "extras": lambda config: (
            Vector("rotary alpha", "other", config["qk_rope_head_dim"] // 2),
        ),
    },
    drop=("q_lora_rank",),
)


def _norm_gates(config: Config) -> list[dict[str, Any]]:
    """A gate of low rank behind each norm, but the second one of a dense layer."""
    hidden, rank = config["hidden_size"], config["gated_norm_rank"]
    gate = tuple(
        Placed(Linear(name, "norm_gate", "norm_gate", *sizes))
        for name, *sizes in (("gate down", hidden, rank), ("gate up", rank, hidden))
    )
    return [{"others": gate * (2 if mixture else 1)} for mixture in either_sparse(config)]


family(
    "axk2",
    "deepseek_v32",
    keys={
        **sizes(vocab=163840, hidden=2048, inner=5120, layers=48, heads=32),
        "moe_intermediate_size": 512,
        "n_routed_experts": 128,
        "kv_lora_rank": 128,
        "q_lora_rank": 384,
        "qk_rope_head_dim": 32,
        "qk_nope_head_dim": 64,
        "v_head_dim": 64,
        "first_k_dense_replace": at_least_zero(1),
        "moe_layer_freq": 1,
        "index_n_heads": 16,
        "gated_norm_rank": 16,
    },
    traits={
        "mla": lambda config: replace(indexed(config), query_gate=True),
        "sparse": either_sparse,
        "shapes": _norm_gates,
    },
)


def _hy_kinds(config: Config) -> Sequence[str]:
    if config["indexer_types"] is not None:
        return words(config, "indexer_types", ("full", "shared"))
    layers = range(config["num_hidden_layers"])
    return ["full" if index == 0 or (index - 1) % 4 == 0 else "shared" for index in layers]


def _hy_attention(config: Config) -> LatentAttention:
    sinks = Vector("sinks", "attn", config["num_attention_heads"])
    return replace(indexed(config), gate=True, extras=(sinks,))


family(
    "hy_v4",
    "glm_moe_dsa",
    keys={
        **sizes(vocab=120832, hidden=2816, inner=6912, layers=34, heads=32),
        "moe_intermediate_size": 768,
        "q_lora_rank": 1536,
        "index_n_heads": 16,
        "hc_mult": 4,
        # what published files say of parts that the class always has
        "enable_ihc": only(True),
        "gated_mla": only(True),
        "gating_type": only("elementwise"),
        "learnable_sink": only(True),
    },
    traits={
        "kinds": _hy_kinds,
        "mixers": choosing(_hy_attention),
        "streams": lambda config: Streams(config["hidden_size"], config["hc_mult"], mixing=False),
        "collapse": collapsed_streams,
        "ahead": [[("full", True, {"streams": None})]],  # its module has one stream
    },
    drop=spaced("first_k_dense_replace index_topk_pattern index_topk_freq index_skip_topk_offset"),
    ignored=("hc_magnitude", "learnable_sink_init", "enable_lm_head_fp32"),
)


family(
    "hy_v4_vl_text",
    "hy_v4",
    keys={
        **sizes(hidden=6144, inner=18432, layers=78, heads=64),
        "moe_intermediate_size": 2048,
        "q_lora_rank": 2048,
        "index_n_heads": 32,
    },
)

_SWA = {
    "num_attention_heads": 64,
    "q_lora_rank": 1024,
    "kv_lora_rank": 1024,
    "qk_nope_head_dim": 192,
    "v_head_dim": 128,
}
_INDEXED = ("indexed_attention", "full_attention", "sliding_attention")


def _dots_kinds(config: Config) -> Sequence[str]:
    """Layers that choose keys, see everything, or slide: the first two, and every fourth from 1."""
    layers, types, dsa = config["num_hidden_layers"], config["layer_types"], config["use_dsa"]
    if dsa is None:
        dsa = "per_layer_config" not in config.raw or types is None or "full_attention" not in types
    whole = "indexed_attention" if dsa else "full_attention"
    if types is None:
        slides = config["use_sliding_window"]
        kinds = [i > 1 and i % 4 != 1 and slides for i in range(layers)]
        return ["sliding_attention" if each else whole for each in kinds]
    found = words(config, "layer_types", _INDEXED)
    return [each if each == "sliding_attention" else whole for each in found]


def _dots_sliding(config: Config) -> dict[str, int]:
    """Sizes of the layers that slide: under names of their own, or, where they differ from those of
    the others, in ``per_layer_config``."""
    if not config["per_layer_config"]:
        sizes: dict[str, int] = {key: config[f"swa_{key}"] for key in _SWA}
        rotary = config["swa_qk_rope_head_dim"]
        sizes["qk_rope_head_dim"] = (
            config["swa_head_dim"] - sizes["qk_nope_head_dim"] if rotary is None else rotary
        )
        return sizes
    own = {str(key).lstrip("0") or "0": each for key, each in config["per_layer_config"].items()}
    stated = [own.get(str(i), {}) for i, kind in enumerate(_dots_kinds(config)) if "sli" in kind]
    first = stated[0] if stated else {}
    if not isinstance(first, dict) or any(each != first for each in stated):
        raise InputError("per_layer_config says different things of layers that slide")
    sizes = {key: first.get(key, config[key]) for key in (*_SWA, "qk_rope_head_dim")}
    wrong = next((n for n in sizes.values() if not is_count(n)), None)
    if wrong is not None:
        raise InputError(f"per_layer_config holds {quote_value(wrong)} where a count is expected")
    return sizes


def _dots_mixers(config: Config) -> dict[str, tuple[Mixer, str]]:
    def normed(mla: LatentAttention) -> LatentAttention:
        return replace(mla, head_gate=True, extras=(Norm("k_rope_norm", mla.rope),))

    own, plain = _dots_sliding(config), normed(latent_attention(config))
    sliding = replace(
        plain,
        heads=own["num_attention_heads"],
        q_rank=own["q_lora_rank"],
        kv_rank=own["kv_lora_rank"],
        nope=own["qk_nope_head_dim"],
        rope=own["qk_rope_head_dim"],
        value_dim=own["v_head_dim"],
        window=config["sliding_window"] or config["sliding_window_size"],
    )
    return {
        "indexed_attention": (normed(indexed(config)), "indexed attention"),
        "full_attention": (plain, "latent attention"),
        "sliding_attention": (normed(sliding), "sliding attention"),
    }


def _dots_sparse(config: Config) -> Sequence[bool]:
    """``mlp_layer_types``, or all after the first dense ones that ``moe_layer_freq`` names."""
    layers, first, step = (
        config[key] for key in ("num_hidden_layers", "first_k_dense_replace", "moe_layer_freq")
    )
    if config["mlp_layer_types"] is not None:
        return sparse_by_mlp_types(config)
    flags = step
    if type(step) is int and step > 0:
        flags = [index % step == 0 for index in range(layers)]
    if not isinstance(flags, list) or len(flags) < layers:
        raise InputError(
            f"moe_layer_freq is {quote_value(step)} where a whole number from 1 is expected, or "
            f"a list for {layers} layers"
        )
    return [index >= first and bool(flags[index]) for index in range(layers)]


family(
    "dots3_note_text",
    "deepseek_v32",
    keys={
        # the same of published files
        "apply_mla_qkv_lora_rescale": only(True),
        "attention_gate_type": only("headwise"),
        "final_norm": only("RMSNorm"),
        "multi_latent_attention": only(True),
        "normalization": only("RMSNorm"),
        "softmax_type": only("vanilla"),
        "swa_attention_gate_type": only("headwise"),
        **sizes(vocab=152064, hidden=5120, inner=13824, layers=46),
        "moe_intermediate_size": 1536,
        "q_lora_rank": 1024,
        "first_k_dense_replace": at_least_zero(1),
        "moe_layer_freq": anything(1),
        "layer_types": names(),
        "use_dsa": anything(),
        "use_sliding_window": True,
        "sliding_window": maybe(512),
        "sliding_window_size": 512,
        "per_layer_config": mapping(),
        "n_shared_experts": 1,
        "shared_experts_intermediate_size": 1536,
        "swa_head_dim": 256,
        "swa_qk_rope_head_dim": None,
        **{f"swa_{key}": default for key, default in _SWA.items()},
    },
    traits={
        "kinds": _dots_kinds,
        "mla": None,
        "mixers": _dots_mixers,
        "sparse": _dots_sparse,
        "shared_inner": lambda config: (
            config["shared_experts_intermediate_size"] * config["n_shared_experts"]
        ),
    },
    overriding={"moe_shared_expert_intermediate_size": "shared_experts_intermediate_size"},
    ignored=("swa_num_key_value_heads",),
)
