"""GigaChat 3.5: three layers of linear attention, one of latent attention, and norms with a gate.

Keys and structure are those of SGLang's class, sizes that a file leaves out those of 432B-A28B.
"""

from __future__ import annotations

from thermoflop.base.record import replace
from thermoflop.errors import UnknownModel
from thermoflop.model.architecture.description import Placed
from thermoflop.model.architecture.parts import Linear
from thermoflop.model.config.families import latent, linear  # noqa: F401 - deepseek_v3 is there
from thermoflop.model.config.families.latent import latent_attention
from thermoflop.model.config.families.patterns import by_words, layer_indices
from thermoflop.model.config.family import (
    anything,
    at_least_zero,
    family,
    indices,
    names,
    sizes,
    spaced,
    use,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from thermoflop.model.architecture.mixers import LatentAttention
    from thermoflop.model.config.keys import Config

_NARROW = 16  # elements that the gate of a norm is made of
_GATED = ("ZeroCenteredGatedNorm", "GatedNorm")
_NORMS = (*_GATED, "ZeroCenteredRMSNorm", "LlamaRMSNorm")


def _kinds(config: Config) -> Sequence[str]:
    """``layer_types``, or ``full_attention_layers``; without linear attention all are full."""
    layers = config["num_hidden_layers"]
    linear_type = config.raw.get("linear_attention_type", "Qwen3NextGatedDeltaNet")
    if linear_type is None:
        return ["full"] * layers
    if not str(linear_type).endswith("GatedDeltaNet"):
        raise UnknownModel(f"linear_attention_type {linear_type!r:.40} is not described")
    table = {"attention": "full", "full_attention": "full", "linear_attention": "linear"}
    full = set(layer_indices(config, "full_attention_layers"))
    by_number = ["full" if at in full else "linear" for at in range(layers)]
    return by_words(config, table) or by_number


def _gate(config: Config, name: str, width: int) -> tuple[Placed, ...]:
    """The gate of one norm: through a narrow map and back; nothing for a norm without one."""
    if config["norm_type"] not in _NORMS:
        raise UnknownModel(f"norm_type {config['norm_type']!r:.40} of gigachat3_5 is not described")
    if config["norm_type"] not in _GATED:
        return ()
    where = ("norm_gate", "norm_gate")
    narrow = Linear(f"{name} gate_up", *where, width, _NARROW, unquantized=True)
    wide = Linear(f"{name} gate_down", *where, _NARROW, width, unquantized=True)
    return Placed(narrow), Placed(wide)


def _shape(config: Config, kind: str) -> dict[str, Any]:
    """The gates of a layer's norms, and of those of latents."""
    hidden, count = config["hidden_size"], _layer_norms(config)
    others = [part for at in range(count) for part in _gate(config, f"norm {at + 1}", hidden)]
    if kind == "full":
        if config["q_lora_rank"]:
            others += _gate(config, "q_norm", config["q_lora_rank"])
        others += _gate(config, "kv_norm", config["kv_lora_rank"])
    return {"others": tuple(others)}


def _layer_norms(config: Config) -> int:
    named = config["layernorm_type"] or "pre"
    if named not in ("pre", "post", "pre_post"):
        raise UnknownModel(f"layernorm_type {named!r:.40} of gigachat3_5 is not described")
    return 4 if named == "pre_post" else 2


def _latent(config: Config) -> LatentAttention:
    return replace(latent_attention(config), gate=config["gated_attention"])


family(
    "gigachat3_5",
    "deepseek_v3",
    keys={
        **sizes(vocab=128256, hidden=7168, inner=18432, layers=40, heads=64),
        "q_lora_rank": None,
        "nextn_is_sparse": False,
        "full_attention_layers": indices(),
        "layer_types": names(),
        "linear_attention_type": anything(),  # absent: of Qwen3-Next
        "linear_key_head_dim": 128,
        "linear_value_head_dim": 128,
        "linear_conv_kernel_dim": 4,
        "linear_num_key_heads": 32,
        "linear_num_value_heads": 64,
        "norm_type": "ZeroCenteredGatedNorm",
        "layernorm_type": "pre_post",
        "gated_attention": True,
        "use_shared_expert_sigmoid": False,
        "first_k_dense_replace": at_least_zero(3),
    },
    traits={
        "kinds": _kinds,
        "shapes": lambda config: [_shape(config, kind) for kind in _kinds(config)],
        "recurrent": linear.next_delta,
        "mla": _latent,
        "layer_norms": _layer_norms,
        "shared_gate": use("use_shared_expert_sigmoid"),
        "tail": lambda config: _gate(config, "final_norm", config["hidden_size"]),
        "ahead": lambda config: [
            [("full", bool(config["nextn_is_sparse"]), _shape(config, "full"))]
        ],
    },
    ignored=spaced(
        "num_key_value_heads layernorm_gating_weight linear_sigmoid_gate_scale num_krope_heads"
        " linear_gating_type linear_use_legacy_qkvz_layout"
        " use_mla_scaling_factor attention_type attention_distillation output_gate_type"
        " linear_use_short_conv qk_head_dim head_dim"
    ),
)
