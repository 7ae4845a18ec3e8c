"""Decoders whose layers differ in their sizes: Gemma 3n and 4, Nemotron-NAS.

Defaults are those of the configuration classes of transformers 5, or, where a family's code comes
with its weights (Nemotron-NAS), of that code.
"""

from __future__ import annotations

from thermoflop.base.messages import quote_value
from thermoflop.errors import InputError, UnknownModel
from thermoflop.model.architecture.description import Placed
from thermoflop.model.architecture.parts import Linear, Norm, Table, Vector
from thermoflop.model.config.families import dense  # noqa: F401 - gemma3_text is defined there
from thermoflop.model.config.families.patterns import every, reads_earlier_keys, stated
from thermoflop.model.config.family import (
    Key,
    anything,
    at_least_zero,
    family,
    mapping,
    sizes,
    spaced,
    use,
)
from thermoflop.model.config.keys import Config, is_count, is_factor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any


def own_input(config: Config) -> tuple[Placed, ...]:
    """What adds a layer's own input to the stream: gate, projection and norm."""
    hidden, width = config["hidden_size"], config["hidden_size_per_layer_input"]
    if width == 0:
        return ()
    where = ("per_layer_input", "per_layer_input")
    return (
        Placed(Linear("per_layer_gate", *where, hidden, width)),
        Placed(Linear("per_layer_proj", *where, width, hidden)),
        Placed(Norm("per_layer_norm", hidden)),
    )


def _own_inputs(config: Config) -> tuple[Placed, ...]:
    """The inputs of all layers: a table of their own, and a projection of the embedding."""
    layers, width = config["num_hidden_layers"], config["hidden_size_per_layer_input"]
    if width == 0:
        return ()
    rows, hidden = config["vocab_size_per_layer_input"], config["hidden_size"]
    name, role = "per_layer_model_proj", "per_layer_input"
    return (
        Placed(Table("embed_per_layer", "embed_tokens", rows, layers * width)),
        Placed(Linear(name, role, role, hidden, layers * width)),
        Placed(Norm("per_layer_model_norm", width, vectors=layers)),
    )


OWN_INPUT_KEYS = {
    "vocab_size_per_layer_input": at_least_zero(262144),
    "hidden_size_per_layer_input": at_least_zero(256),
}


def _gemma4_kinds(config: Config) -> Sequence[str]:
    """The last layer attends to everything, whatever ``layer_types`` says."""
    return [*every(6)(config)[:-1], "full"]


def _gemma4_shapes(config: Config) -> Sequence[Mapping[str, Any]]:
    """Full attention has heads of its own width and number; later layers read earlier keys."""
    kinds = _gemma4_kinds(config)
    equal, wide = config["attention_k_eq_v"], config.get("use_double_wide_mlp")
    key_heads = config["num_global_key_value_heads"] if equal else None
    changed = by_layer(config["per_layer_config"])
    inner, shapes = config["intermediate_size"], []
    for index, (kind, reads) in enumerate(
        zip(kinds, reads_earlier_keys(config, kinds), strict=True)
    ):
        shape: dict[str, Any] = {}
        if changed is not None:
            shape = overrides(changed.get(index, {}))
        elif kind == "full":
            shape = {"head_dim": config["global_head_dim"]}
            shape |= {"kv_heads": key_heads} if key_heads is not None else {}
        if reads:
            shape |= {"projects": "q", "inner": inner * (2 if wide else 1)}
        elif equal and kind == "full":
            shape["projects"] = "qk"
        shapes.append(shape)
    return shapes


def by_layer(changed: Mapping[str, Any] | None) -> dict[int, Any] | None:
    """``per_layer_config`` by the number of the layer, which may be padded with zeros ("05")."""
    if changed is None:
        return None
    for name in changed:
        if not (isinstance(name, str) and name.isdecimal() and name.isascii() and len(name) < 7):
            raise InputError(
                f"per_layer_config names a layer {quote_value(name)}: expected a number"
            )
    return {int(name): value for name, value in changed.items()}


_OVERRIDDEN = {"head_dim": "head_dim", "num_key_value_heads": "kv_heads"}


def overrides(changed: Any) -> dict[str, Any]:
    """The traits of one layer in ``per_layer_config``, as transformers writes it."""
    values = changed.items() if isinstance(changed, dict) else [("?", changed)]
    for key, value in values:
        if key not in _OVERRIDDEN or type(value) is not int or value < 1:
            raise InputError(
                f"{quote_value(key)} = {quote_value(value)} in per_layer_config is not understood: "
                f"expected a number of {' or '.join(_OVERRIDDEN)}"
            )
    return {_OVERRIDDEN[key]: value for key, value in values}


def _gemma4_window(config: Config) -> int:
    if config["use_bidirectional_attention"] == "all":
        raise UnknownModel(
            "use_bidirectional_attention = 'all' is not understood: attention to tokens that follow"
        )
    window: int = config["sliding_window"]
    return window


GEMMA4_KEYS: dict[str, Any] = {
    **sizes(vocab=262144, layers=30),
    "global_head_dim": 512,
    "num_global_key_value_heads": None,
    "per_layer_config": mapping(),
    "sliding_window": 1024,
    "attention_k_eq_v": False,
    "num_kv_shared_layers": at_least_zero(0),
    "use_double_wide_mlp": False,
    "use_bidirectional_attention": anything(),
}
family(
    "gemma4_unified_text",
    "gemma3_text",
    keys=GEMMA4_KEYS,
    traits={
        "kinds": _gemma4_kinds,
        "shapes": _gemma4_shapes,
        "window": _gemma4_window,
        "v_norm": True,
    },
    drop=("sliding_window_pattern",),
)


def _has_experts(config: Config) -> bool:
    """A class without the key always has them (DiffusionGemma)."""
    return bool(config.get("enable_moe_block", True))


def _gemma4_experts(config: Config) -> int:
    if not _has_experts(config):
        return 0
    for key in ("num_experts", "top_k_experts", "moe_intermediate_size"):
        stated(key)(config)
    experts: int = config["num_experts"]
    return experts


family(
    "gemma4_text",
    "gemma4_unified_text",
    keys={
        **OWN_INPUT_KEYS,
        "sliding_window": 512,
        "enable_moe_block": False,
        "num_experts": None,
        "top_k_experts": None,
        "moe_intermediate_size": None,
    },
    traits={
        "front": _own_inputs,
        "others": own_input,
        "experts": _gemma4_experts,
        "top_k": use("top_k_experts"),
        "beside_mlp": True,
        "router_scales": True,
        # three more norms where a mixture works beside the MLP
        "layer_norms": lambda config: 7 if _has_experts(config) else 4,
    },
)


def _gemma3n_others(config: Config) -> tuple[Placed, ...]:
    """AltUp's mix of streams (Baykal 2023), Laurel's low-rank residual, the layer's own input.

    AltUp predicts each of its streams from all of them before the layer, and corrects them after
    it: both ask the router, and the prediction multiplies each token's streams with a matrix.
    """
    hidden, streams, rank = (
        config[key] for key in ("hidden_size", "altup_num_inputs", "laurel_rank")
    )
    altup, laurel = ("altup", "altup"), ("laurel", "laurel")
    predict = Linear("altup_predict", *altup, streams, streams, tied=True)
    return (
        Placed(Linear("altup_router", *altup, hidden, streams), times=2),
        Placed(Norm("altup_norm", hidden), times=2),
        Placed(Linear("prediction_coefs", *altup, streams, streams**2)),
        Placed(predict, times=hidden),
        Placed(Linear("correction_coefs", *altup, streams, streams)),
        Placed(Vector("output_scale", "altup", hidden), "none"),
        Placed(Linear("laurel_left", *laurel, hidden, rank)),
        Placed(Linear("laurel_right", *laurel, rank, hidden)),
        Placed(Norm("laurel_norm", hidden)),
        *own_input(config),
    )


def _streams(name: str, config: Config) -> tuple[Placed, ...]:
    """The projections between the embedding or the last state and AltUp's other streams."""
    hidden, streams = config["hidden_size"], config["altup_num_inputs"]
    if streams > 1000:
        raise InputError(f"altup_num_inputs is {streams:,}: expected at most 1,000")
    return tuple(
        Placed(Linear(f"{name}_{index}", "altup", "altup", hidden, hidden))
        for index in range(1, streams)
    )


def _gemma3n_shapes(config: Config) -> Sequence[Mapping[str, Any]]:
    """Widths of MLPs by layer, and later layers that read earlier keys and values."""
    widths, layers = config["intermediate_size"], config["num_hidden_layers"]
    widths = widths if isinstance(widths, list) else [widths] * layers
    if len(widths) != layers or any(type(width) is not int or width < 1 for width in widths):
        raise InputError(
            f"intermediate_size is {quote_value(config['intermediate_size'])} where one whole "
            f"number, or one for each of {layers} layers, is expected"
        )
    kinds = every(5)(config)
    shapes = []
    for width, reads in zip(widths, reads_earlier_keys(config, kinds), strict=True):
        shapes.append({"inner": width, "projects": "q" if reads else "qkv"})
    return shapes


family(
    "gemma3n_text",
    "gemma3_text",
    keys={
        **OWN_INPUT_KEYS,
        "hidden_size_per_layer_input": 256,
        **sizes(vocab=262400, hidden=2048, inner=Key("any", 16384), layers=35, heads=8, kv_heads=2),
        "sliding_window": 512,
        "num_kv_shared_layers": at_least_zero(15),
        "altup_num_inputs": 4,
        "laurel_rank": 64,
    },
    traits={
        "kinds": every(5),
        "shapes": _gemma3n_shapes,
        "inner": None,
        "v_norm": True,
        "front": lambda config: (*_own_inputs(config), *_streams("altup_proj", config)),
        "tail": lambda config: _streams("altup_unembed", config),
        "others": _gemma3n_others,
    },
    drop=("sliding_window_pattern",),
    ignored=spaced(
        "activation_sparsity_pattern altup_active_idx altup_coef_clip altup_correct_scale"
    ),
)


def _multiple(value: int, of: int) -> int:
    """The next multiple."""
    return -(-value // of) * of


def _nas_blocks(config: Config) -> list[Mapping[str, Any]]:
    blocks, layers = config["block_configs"], config["num_hidden_layers"]
    if not isinstance(blocks, list) or len(blocks) != layers:
        raise InputError(f"block_configs needs a list of {layers} objects, one a layer")
    for block in blocks:
        if not isinstance(block, dict) or not all(
            isinstance(block.get(key), dict) for key in ("attention", "ffn")
        ):
            raise InputError(f"{quote_value(block)} in block_configs has no attention and ffn")
        for part, known in (("attention", _NAS_ATTENTION), ("ffn", _NAS_FFN)):
            for key, value in block[part].items():
                if key not in known and value not in (None, False):
                    raise UnknownModel(
                        f"{part}.{key} = {quote_value(value)} in block_configs is not understood"
                    )
    return blocks


_NAS_ATTENTION = ("n_heads_in_group", "no_op", "replace_with_linear", "window_length")
_NAS_FFN = ("ffn_mult", "intermediate_size", "no_op", "replace_with_linear")


def _nas_kinds(config: Config) -> Sequence[str]:
    """Layers without attention, or with a linear map in its place, have none."""
    kinds = []
    for block in _nas_blocks(config):
        attention = block["attention"]
        absent = attention.get("no_op") or attention.get("replace_with_linear")
        kinds.append("none" if absent else "sliding" if attention.get("window_length") else "full")
    return kinds


def _nas_count(block: Mapping[str, Any], key: str) -> int:
    count = block.get(key)
    if not is_count(count):
        raise InputError(f"{key} is {quote_value(count)} in block_configs: expected a whole number")
    return count


def _nas_inner(ffn: Mapping[str, Any], hidden: int) -> int:
    """``intermediate_size``, or two thirds of ``ffn_mult`` times the hidden size, in 256s."""
    if ffn.get("intermediate_size") is not None:
        return _nas_count(ffn, "intermediate_size")
    mult: Any = ffn.get("ffn_mult")
    if not is_factor(mult):
        raise InputError(f"ffn_mult is {quote_value(mult)} in block_configs: expected a number")
    return _multiple(int(2 * mult * hidden / 3), 256)


def _nas_shapes(config: Config) -> Sequence[Mapping[str, Any]]:
    hidden, heads, shapes = config["hidden_size"], config["num_attention_heads"], []
    for kind, block in zip(_nas_kinds(config), _nas_blocks(config), strict=True):
        attention, ffn = block["attention"], block["ffn"]
        shape: dict[str, Any] = {}
        others: list[Linear] = []
        if kind == "none" and not attention.get("no_op"):
            bias = config["attention_bias"]
            others.append(Linear("linear_attn", "attn", "attn_proj", hidden, hidden, bias))
        if kind != "none":
            shape["kv_heads"] = heads // _nas_count(attention, "n_heads_in_group")
        if kind == "sliding":
            shape["window"] = _nas_count(attention, "window_length")
        plain = not ffn.get("no_op") and not ffn.get("replace_with_linear")
        shape["inner"] = _nas_inner(ffn, hidden) if plain else 0
        if ffn.get("replace_with_linear") and not ffn.get("no_op"):
            others.append(Linear("linear_mlp", "mlp", "mlp", hidden, hidden, config["mlp_bias"]))
        norms = (Placed(Norm(f"norm of {each.name}", hidden)) for each in others)
        shape["others"] = (*norms, *map(Placed, others))
        shapes.append(shape)
    return shapes


family(
    "nemotron-nas",
    "llama",
    keys={"block_configs": anything(), **sizes(inner=None, kv_heads=None)},
    traits={"kinds": _nas_kinds, "shapes": _nas_shapes},
    drop=("head_dim",),
)
