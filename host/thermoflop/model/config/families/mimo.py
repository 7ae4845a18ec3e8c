"""MiMo-V2 (2.5, 2.6): two kinds of attention by lists of its own, eyes with windows, ears on codes.

Keys and defaults are those of the code beside its weights, as mlx-vlm and vLLM have it.
"""

from __future__ import annotations

from itertools import pairwise

from thermoflop.errors import InputError
from thermoflop.model.architecture.description import Placed
from thermoflop.model.architecture.feedforward import Mlp
from thermoflop.model.architecture.mixers import Attention
from thermoflop.model.architecture.parts import UNLISTED_EARS, Linear, Norm, Table
from thermoflop.model.config.families import by_layer  # noqa: F401 - mimo_v2_flash is there
from thermoflop.model.config.families.by_layer import of_sliding
from thermoflop.model.config.families.qwen_towers import merger
from thermoflop.model.config.families.sections import eyes_of, text_of, wrapper
from thermoflop.model.config.family import (
    Key,
    anything,
    family,
    indices,
    mapping,
    maybe,
    sizes,
    spaced,
    use,
)
from thermoflop.model.config.keys import Config, is_count

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from thermoflop.model.architecture.parts import Part


def _flags(config: Config, key: str) -> list[bool]:
    """A 0 or 1 for each layer; a number is every so many layers; none where nothing is said."""
    layers, flags = config["num_hidden_layers"], config[key]
    if type(flags) is int and flags > 0:
        return [at % flags == 0 for at in range(layers)]
    if flags is None or flags == 0:
        return [False] * layers
    if not isinstance(flags, list) or len(flags) < layers or any(f not in (0, 1) for f in flags):
        raise InputError(f"{key} is no 0 or 1 for each of {layers} layers")
    return [bool(flag) for flag in flags[:layers]]


def _kinds(config: Config) -> Sequence[str]:
    return ["sliding" if each else "full" for each in _flags(config, "hybrid_layer_pattern")]


def _shapes(config: Config) -> list[dict[str, Any]]:
    """Heads of layers that slide, by default those of the others; values as wide as their keys."""
    heads, keys, dim = (
        config[f"swa_{key}"] or config[key]
        for key in ("num_attention_heads", "num_key_value_heads", "head_dim")
    )
    own = {"heads": heads, "kv_heads": keys, "head_dim": dim}
    own["value_dim"] = config["swa_v_head_dim"] or dim
    sinks = config["add_swa_attention_sink_bias"]
    return of_sliding(_kinds(config), sinks=sinks, **own)


family(
    "mimo_v2_text",
    "mimo_v2_flash",
    keys={
        "hybrid_layer_pattern": indices(),
        "moe_layer_freq": anything(),
        "sliding_window": maybe(128),
        **dict.fromkeys(
            spaced("swa_num_attention_heads swa_num_key_value_heads swa_head_dim swa_v_head_dim")
        ),
        "add_swa_attention_sink_bias": False,
        "add_full_attention_sink_bias": False,
        "num_key_value_heads": 4,
    },
    traits={
        "kinds": _kinds,
        "shapes": _shapes,
        "sinks": use("add_full_attention_sink_bias"),
        "sparse": lambda config: _flags(config, "moe_layer_freq"),
        # vLLM and mlx-vlm read the first of these
        "window": lambda config: config["sliding_window_size"] or config["sliding_window"],
        # modules that predict further slide, and are dense
        "ahead": lambda config: [[("sliding", False, of_sliding(["sliding"])[0] | _own(config))]],
    },
    drop=spaced("layer_types mlp_layer_types"),
    ignored=spaced("attention_projection_layout hybrid_block_size processor_config"),
)


def _own(config: Config) -> dict[str, Any]:
    sliding = [shape for shape in _shapes(config) if shape]
    return sliding[0] if sliding else {}


def _merger(config: Config) -> tuple[Placed, ...]:
    return merger(config, Norm("merger_norm", config["hidden_size"], "layer"), bias=False)


def _eye_shapes(config: Config) -> list[dict[str, Any]]:
    """A logit for each head in the layers that do not see everything."""
    whole = config["fullatt_block_indexes"] or ()
    sinks = config["use_sink"]
    return [{} if at in whole else {"sinks": sinks} for at in range(config["depth"])]


family(
    "mimovl",
    "qwen2_5_vl_vision",
    keys={
        **sizes(hidden=1280, inner=4608, patch=16),
        "depth": 28,
        "num_heads": 32,
        "num_key_value_heads": 8,
        "qk_channels": 64,
        "out_hidden_size": 4096,
        "fullatt_block_indexes": Key("indices", (0, 9, 18, 27)),
        "use_sink": True,
    },
    traits={
        "head_dim": use("qk_channels"),
        "norm_bias": False,
        "windowed": 0,
        "shapes": _eye_shapes,
        "tail": _merger,
    },
    aliases={"in_chans": "in_channels"},
    ignored=spaced(
        "window_size visual_token_window_size vit_window_attn_types kv_channels num_query_groups"
        " tokens_per_second spatial_patch_size"
    ),
)
# the ears' sizes, and what mlx-vlm takes where one is absent
_EARS = {
    "out_hidden_size": 4096, "audio_channels": 20, "group_size": 4, "input_local_attn_heads": 16,
    "input_local_dim": 1024, "input_local_intermediate_size": 4096, "input_local_layers": 6,
    "projection_layers": 2, "speech_vocab_size": 1280,
}  # fmt: skip


def _ears(config: Config, _hidden: int) -> tuple[Part, ...]:
    """Tables of codes, a few layers on each group of them, and what makes a token of it. Their work
    is not listed: a group is a quarter of a second."""
    said = config["audio_config"]
    if said is None:
        return ()
    found = {key: said.get(key, usual) for key, usual in _EARS.items()}
    for key, value in found.items():  # two of them are words in published files
        found[key] = int(value) if isinstance(value, str) and value.isdecimal() else value
        if not is_count(found[key]) or found[key] > 10**6:
            raise InputError(f"audio_config.{key} is {value!r:.40} where a count is expected")
    hidden, layers, out = (
        found[key] for key in ("input_local_dim", "input_local_layers", "out_hidden_size")
    )
    heads = found["input_local_attn_heads"]
    attention = Attention(hidden, heads, heads, hidden // heads, True, True, True)
    mlp = Mlp(hidden, found["input_local_intermediate_size"], True)
    layer = (*attention.parts(), *mlp.parts(), Norm("norm 1", hidden), Norm("norm 2", hidden))
    seen, codes = hidden * found["group_size"], found["audio_channels"]
    tables = Table("codes", "embed_tokens", codes * found["speech_vocab_size"], hidden)
    last = Norm("final_norm", hidden) if said.get("add_post_norm", True) else None
    widths = [seen, 4 * seen, out] if found["projection_layers"] == 2 else [seen, out]
    maps = (
        Linear(UNLISTED_EARS, "projector", "projector", before, after)
        for before, after in pairwise(widths)
    )
    return (tables, *(layer * layers), *((last,) if last else ()), *maps)


def _said(config: Config) -> str:
    sees, hears = (config[key] is not None for key in ("vision_config", "audio_config"))
    said = ["windows of its eyes are counted in full"] * sees
    return ", ".join((*said, *["the work of its ears is not counted"] * hears))


wrapper(
    "mimo_v2",
    text_of("mimo_v2_text", fixed=True, flat=True),
    eyes_of("mimovl", fixed=True, optional=True),
    keys={"audio_config": mapping()},
    traits={
        "extras": _ears,
        "note": _said,
    },
    like="mimo_v2_text",
)
