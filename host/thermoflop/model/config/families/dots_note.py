"""dots.note 3: eyes whose last layers are mixtures of more and more experts, and ears.

Defaults and structure are those of the classes of transformers 5.24.
"""

from __future__ import annotations

from thermoflop.base.messages import quote_value
from thermoflop.errors import InputError
from thermoflop.model.architecture.description import Layer, Placed, Run
from thermoflop.model.architecture.feedforward import Mlp
from thermoflop.model.architecture.grid import Grid
from thermoflop.model.architecture.mixers import Attention
from thermoflop.model.architecture.parts import Norm
from thermoflop.model.config.blocks import layer_norm, tower_stack
from thermoflop.model.config.decoder import head_width
from thermoflop.model.config.families import newest  # noqa: F401 - its text is defined there
from thermoflop.model.config.families.qwen_towers import merger
from thermoflop.model.config.families.sections import ears_of, eyes_of, text_of, wrapper
from thermoflop.model.config.families.towers import tower
from thermoflop.model.config.family import anything, mapping, names, sizes, spaced, use
from thermoflop.model.config.hearing import PHI_REDUCTION, strided_front
from thermoflop.model.config.keys import is_count
from thermoflop.model.config.projectors import linear

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from thermoflop.model.architecture.description import Stack
    from thermoflop.model.config.keys import Config

_EXPERTS = (*[-1] * 25, *range(4, 65, 4), 64)


def _counts(config: Config) -> list[tuple[int, int]]:
    """For each layer its experts, and how many a token chooses; none for one without a mixture."""
    listed, layers = config["pyramid_num_routed"], config["num_hidden_layers"]
    chosen = config["num_experts_per_tok"] or config["capacity_factor"]
    if listed is None and config["mlp_layer_types"] is not None:
        own = config["per_layer_config"] or {}
        return [
            _own(config, own.get(str(at)), chosen) if word == "sparse" else (0, 0)
            for at, word in enumerate(config["mlp_layer_types"])
        ][:layers]
    found = list(_EXPERTS) if listed is None else listed
    if not isinstance(found, list) or len(found) < layers or any(type(n) is not int for n in found):
        raise InputError(f"pyramid_num_routed is no number for each of {layers} layers")
    return [(max(0, n), min(chosen, max(0, n))) for n in found[:layers]]


def _own(config: Config, said: Any, chosen: int) -> tuple[int, int]:
    """What ``per_layer_config`` says of one layer, or what holds for all of them."""
    keys = {"num_local_experts": config["num_local_experts"], "num_experts_per_tok": chosen}
    found = {**keys, **(said or {})}
    if set(found) != set(keys) or not all(map(is_count, found.values())):
        raise InputError(f"per_layer_config says {quote_value(said)} of a layer of experts")
    return found["num_local_experts"], found["num_experts_per_tok"]


def _shapes(config: Config) -> list[dict[str, Any]]:
    return [{"experts": count, "top_k": top} if count else {} for count, top in _counts(config)]


def _merger(config: Config) -> tuple[Placed, ...]:
    norm = layer_norm("merger_norm", config["hidden_size"])
    return merger(config, norm, out=config["adapter_out_dim"])


tower(
    "dots3_note_vision_encoder",
    keys={
        **sizes(hidden=1536, inner=4224, layers=42, heads=24, channels=3, patch=14),
        "moe_intermediate_size": 2112,
        "spatial_merge_size": 2,
        "attention_bias": False,
        "mlp_bias": False,
        "mlp_layer_types": names(),
        "num_local_experts": 64,
        "num_experts_per_tok": None,
        "capacity_factor": 2,
        "pyramid_num_routed": anything(),
        "per_layer_config": mapping(),
        "adapter_out_dim": 5120,
        "hidden_act": "silu",
    },
    traits={
        "image": None,
        "rule": ("smart", 56 * 56, 28 * 28 * 1280),
        "merge": use("spatial_merge_size"),
        "gated": True,
        "norm": "rms",
        "norm_bias": False,
        "q_bias": use("attention_bias"),
        "o_bias": use("attention_bias"),
        "up_bias": use("mlp_bias"),
        "qk_norm": "head",
        "pre_norm": True,
        "post_norm": True,
        "positions": 0,
        "sparse": lambda config: [count > 0 for count, _ in _counts(config)],
        "shapes": _shapes,
        "tail": _merger,
    },
    aliases={
        "embed_dim": "hidden_size",
        "num_heads": "num_attention_heads",
        "use_bias": "attention_bias",
        "adapter_merge_size": "spatial_merge_size",
    },
    ignored=spaced("adapter_in_dim router_scaling_factor router_scale"),
)
# what published files call the sizes of the ears, in a section inside theirs
_WHISPER = {
    "hidden_size": "d_model",
    "num_attention_heads": "encoder_attention_heads",
    "num_hidden_layers": "encoder_layers",
    "intermediate_size": "encoder_ffn_dim",
    "feature_size": "num_mel_bins",
}


def _ears(config: Config) -> Stack:
    """Three strided convolutions, layers with rotation and gated MLPs, and two maps."""
    said = {**{key: config[key] for key in _WHISPER}}
    inside = config["whisper_config"] or {}
    for key, other in _WHISPER.items():
        said[key] = inside.get(other, said[key])
        if not is_count(said[key]):
            raise InputError(f"whisper_config.{other} is {quote_value(said[key])}: no count")
    hidden, heads, layers, inner, bands = (said[key] for key in _WHISPER)
    dim, biased = head_width(hidden, heads), config["attention_bias"]
    attention = Attention(
        hidden, heads, heads, dim, q_bias=biased, v_bias=biased, o_bias=biased, rotary=dim // 2
    )
    mlp = Mlp(hidden, inner, True, True, True, config["hidden_act"])
    norms = (Norm("norm 1", hidden), Norm("norm 2", hidden))
    layer = Layer("attention + MLP", hidden, norms, attention, feed=mlp)
    out = config["adapter_out_dim"]
    tail = (
        Placed(Norm("final_norm", hidden)),
        Placed(layer_norm("adapter_norm", hidden)),
        Placed(linear("adapter 1", hidden, out)),
        Placed(linear("adapter 2", out, out)),
    )
    front = strided_front(bands, config["downsample_hidden_size"], hidden)
    grid = Grid("fixed", (PHI_REDUCTION, 1))
    return tower_stack("audio", hidden, (Run(layer, layers),), front, tail, 375, grid=grid)


tower(
    "dots3_note_audio_encoder",
    keys={
        **sizes(hidden=1280, inner=5120, layers=32, heads=20),
        "feature_size": 128,
        "downsample_hidden_size": 480,
        "attention_bias": True,
        "adapter_out_dim": 5120,
        "whisper_config": mapping(),
        "hidden_act": "silu",
    },
    traits={"stack": _ears},
    aliases={
        "whisper_adapter_out_dim": "adapter_out_dim",
        "adapter_output_size": "adapter_out_dim",
    },
    ignored=spaced(
        "num_key_value_heads sampling_rate hop_length head_dim conv_output_size samples_per_token"
        " adapter_input_size whisper_adapter_in_dim"
    ),
)
wrapper(
    "dots3_note",
    text_of("dots3_note_text", fixed=True, flat=True),
    eyes_of("dots3_note_vision_encoder", fixed=True),
    ears=(ears_of("dots3_note_audio_encoder", fixed=True), None),
    like="dots3_note_text",
)
