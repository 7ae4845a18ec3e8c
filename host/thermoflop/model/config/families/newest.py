"""Families of autumn 2026: latent and linear attention in one model, choices that layers share.

Defaults and structure are those of the classes of transformers 5.24.
"""

from __future__ import annotations

from thermoflop.base.messages import quote_value
from thermoflop.base.record import replace
from thermoflop.errors import InputError, UnknownModel
from thermoflop.model.architecture.compressed import Streams
from thermoflop.model.architecture.linear import GatedDelta, KimiDelta
from thermoflop.model.architecture.parts import Norm, Vector
from thermoflop.model.architecture.sparse import Compressor
from thermoflop.model.config.families import linear, sparse  # noqa: F401 - parents are there
from thermoflop.model.config.families.latent import indexed, indexer_kinds, latent_attention
from thermoflop.model.config.families.patterns import (
    every,
    from_layer_types,
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
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from thermoflop.model.architecture.mixers import LatentAttention, Mixer
    from thermoflop.model.config.keys import Config

_MLP_TYPES = {"drop": ("moe_layer_freq",), "ignored": ("moe_layer_freq",)}


def _bailing_kinds(config: Config) -> Sequence[str]:
    """``layer_types``, or full attention at the end of each group of layers."""
    if str(config.raw.get("architectures")).startswith("['BailingMoeV2"):
        # Ling 2.5 has the same model_type, and Lightning attention by code beside its weights
        raise UnknownModel("bailing_hybrid with Lightning attention (Ling 2.5) is not described")
    layers, group = config["num_hidden_layers"], config["layer_group_size"]
    return from_layer_types(config, layers) or [
        "linear" if (index + 1) % group else "full" for index in range(layers)
    ]


def _ling_delta(config: Config) -> KimiDelta:
    """Sizes of attention, or under names of their own, as the class writes them itself."""
    own = {"linear_num_heads": "num_attention_heads", "linear_head_dim": "head_dim"}
    own["linear_conv_kernel_dim"] = "short_conv_kernel_size"
    heads, dim, taps = (config[key] or config[other] for key, other in own.items())
    return KimiDelta(config["hidden_size"], heads, dim, taps, full_gate=True, full_decay=True)


family(
    "bailing_hybrid",
    "deepseek_v3",
    keys={
        "vocab_size": 157184,
        "hidden_size": 2560,
        "intermediate_size": 6144,
        "moe_intermediate_size": 768,
        "num_hidden_layers": 42,
        "num_attention_heads": 32,
        "q_lora_rank": None,
        "n_routed_experts": 512,
        "first_k_dense_replace": at_least_zero(2),
        "head_dim": 128,
        "short_conv_kernel_size": 4,
        "linear_head_dim": None,
        "linear_num_heads": None,
        "linear_conv_kernel_dim": None,
        "layer_group_size": 6,
        "layer_types": names(),
        "mlp_layer_types": names(),
    },
    traits={
        "kinds": _bailing_kinds,
        "sparse": sparse_by_mlp_types,
        "recurrent": _ling_delta,
        "mla": lambda config: replace(latent_attention(config), head_gate=True),
        "tied": False,  # the class ties nothing
    },
    aliases={
        "num_experts_per_token": "num_experts_per_tok",
        "num_shared_experts": "n_shared_experts",
    },
    drop=("moe_layer_freq",),
    ignored=(
        *("moe_layer_freq", "kda_safe_gate", "kda_lower_bound", "mtp_loss_scaling_factor"),
        *("moe_renormalize", "num_expert_group", "model_max_length", "num_mtp_layers"),
        "qk_head_dim",
    ),
)


def _olmo_delta(config: Config) -> GatedDelta:
    """Keys take three quarters of the hidden state, values twice as much, where nothing is said."""
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    keys = config["linear_num_key_heads"] or heads
    dim = config["linear_key_head_dim"] or int(0.75 * hidden / keys)
    return GatedDelta(
        hidden,
        keys,
        config["linear_num_value_heads"] or heads,
        dim,
        config["linear_value_head_dim"] or 2 * dim,
        config["linear_conv_kernel_dim"],
    )


def _olmo_kinds(config: Config) -> Sequence[str]:
    kinds = every(4, others="linear")(config)
    return kinds if "full" in kinds else [*kinds[:-1], "full"]


family(
    "olmo_hybrid",
    "olmo2",
    keys={
        "vocab_size": 100352,
        "hidden_size": 3840,
        "num_attention_heads": 30,
        "layer_types": names(),
        "linear_num_key_heads": None,
        "linear_num_value_heads": None,
        "linear_key_head_dim": None,
        "linear_value_head_dim": None,
        "linear_conv_kernel_dim": 4,
    },
    traits={"kinds": _olmo_kinds, "recurrent": _olmo_delta},
    ignored=(
        *("linear_a_log_min", "linear_a_log_max", "linear_dt_min", "linear_dt_max"),
        *("linear_dt_init_floor", "linear_allow_neg_eigval"),
    ),
)


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
        "vocab_size": 204800,
        "intermediate_size": 24576,
        "moe_intermediate_size": 6144,
        "num_hidden_layers": 72,
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


def _hy_kinds(config: Config) -> Sequence[str]:
    if config["indexer_types"] is not None:
        return words(config, "indexer_types", ("full", "shared"))
    layers = range(config["num_hidden_layers"])
    return ["full" if index == 0 or (index - 1) % 4 == 0 else "shared" for index in layers]


def _hy_mixers(config: Config) -> dict[str, tuple[Mixer, str]]:
    sinks = Vector("sinks", "attn", config["num_attention_heads"])
    whole = replace(indexed(config), gate=True, extras=(sinks,))
    return {
        "full": (whole, "indexed attention"),
        "shared": (replace(whole, indexer=None), "attention to the same keys"),
    }


family(
    "hy_v4",
    "glm_moe_dsa",
    keys={
        "vocab_size": 120832,
        "hidden_size": 2816,
        "intermediate_size": 6912,
        "moe_intermediate_size": 768,
        "num_hidden_layers": 34,
        "num_attention_heads": 32,
        "q_lora_rank": 1536,
        "index_n_heads": 16,
        "hc_mult": 4,
    },
    traits={
        "kinds": _hy_kinds,
        "mixers": _hy_mixers,
        "streams": lambda config: Streams(config["hidden_size"], config["hc_mult"], mixing=False),
        "collapse": collapsed_streams,
    },
    drop=(
        *("first_k_dense_replace", "index_topk_pattern"),
        *("index_topk_freq", "index_skip_topk_offset"),
    ),
    ignored=("hc_magnitude", "hc_eps", "learnable_sink_init", "swiglu_limit"),
)


def _glm_kinds(config: Config) -> Sequence[str]:
    """Three layers of linear attention, then one that chooses keys or takes a choice."""
    layers = config["num_hidden_layers"]
    kinds = ["linear" if index % 4 != 3 else "full" for index in range(layers)]
    if config["layer_types"] is not None:
        table = {"linear_attention": "linear"}
        table.update(full_attention="full", indexed_attention="full")
        kinds = [table[kind] for kind in words(config, "layer_types", table)]
    chosen = zip(kinds, indexer_kinds(config), strict=True)
    return [kind if kind == "linear" else chooses for kind, chooses in chosen]


def _glm_sparse(config: Config) -> Sequence[bool]:
    if config["mlp_layer_types"]:
        return sparse_by_mlp_types(config)
    return [index > 2 for index in range(config["num_hidden_layers"])]


def _pooled_indexer(config: Config) -> LatentAttention:
    """GLM 5.3: the indexer chooses pools of tokens, and the last ones, which fill no pool yet."""
    whole, pool = indexed(config), config["index_kpool"]
    dim, top_k = config["index_head_dim"], config["index_topk"]
    if config["qk_rope_head_dim"] or top_k % pool:
        raise InputError(
            f"glm5_next with qk_rope_head_dim {config['qk_rope_head_dim']}, index_topk {top_k} and "
            f"index_kpool {pool}: its class wants no rotation, and whole pools"
        )
    keys = Compressor(config["hidden_size"], dim, pool, 1, "indexer", "indexer_proj", "layer")
    assert whole.indexer is not None  # noqa: S101 - it has just been made
    indexer = replace(whole.indexer, top_k=top_k // pool, block=pool, compressor=keys)
    tail = pool - 1 if config["index_kpool_always_select_tail"] else 0
    return replace(whole, indexer=indexer, limit=top_k + tail, rotation=False)


family(
    "glm5_next_text",
    "glm_moe_dsa",
    keys={
        "hidden_size": 4096,
        "num_hidden_layers": 45,
        "n_routed_experts": 288,
        "q_lora_rank": 1536,
        "qk_rope_head_dim": at_least_zero(0),
        "qk_nope_head_dim": 256,
        "layer_types": names(),
        "linear_attn_config": mapping(),
        "linear_head_dim": 128,
        "linear_num_heads": 64,
        "linear_conv_kernel_dim": 4,
        "hc_mult": 4,
        "hc_sinkhorn_iters": at_least_zero(20),
        "index_kpool": 16,
        "index_kpool_always_select_tail": True,
    },
    traits={
        "kinds": _glm_kinds,
        "sparse": _glm_sparse,
        "recurrent": linear.kimi_delta,
        "mixers": lambda config: {
            "full": (_pooled_indexer(config), "indexed attention"),
            "shared": (
                replace(_pooled_indexer(config), indexer=None),
                "attention to the same keys",
            ),
        },
        "streams": lambda config: Streams(
            config["hidden_size"], config["hc_mult"], config["hc_sinkhorn_iters"]
        ),
    },
    drop=("first_k_dense_replace",),
    ignored=("hc_eps", "swiglu_limit", "linear_lower_bound", "first_k_dense_replace"),
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
    wrong = next((n for n in sizes.values() if type(n) is not int or not 0 < n < 10**6), None)
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
    flags = step if isinstance(step, list) else [index % step == 0 for index in range(layers)]
    if len(flags) < layers:
        raise InputError(f"moe_layer_freq names {len(flags)} of {layers} layers")
    return [index >= first and bool(flags[index]) for index in range(layers)]


family(
    "dots3_note_text",
    "deepseek_v32",
    keys={
        "vocab_size": 152064,
        "hidden_size": 5120,
        "intermediate_size": 13824,
        "moe_intermediate_size": 1536,
        "num_hidden_layers": 46,
        "q_lora_rank": 1024,
        "first_k_dense_replace": at_least_zero(1),
        "moe_layer_freq": anything(1),
        "layer_types": names(),
        "use_dsa": anything(),
        "use_sliding_window": True,
        "sliding_window": maybe(512),
        "sliding_window_size": 512,
        "per_layer_config": mapping(),
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
    ignored=("swa_num_key_value_heads", "swa_rope_theta"),
)
