"""Towers that hear, and those that see in a way of their own, as in transformers 5."""

from __future__ import annotations

from thermoflop.base.messages import quote_value
from thermoflop.base.record import replace
from thermoflop.errors import InputError
from thermoflop.model.architecture.description import Placed, Run, Stack
from thermoflop.model.architecture.parts import Convolution, Table, Vector
from thermoflop.model.config.blocks import layer_norm
from thermoflop.model.config.decoder import head_width
from thermoflop.model.config.families.towers import VIT, tower
from thermoflop.model.config.family import (
    anything,
    at_least_zero,
    called,
    family,
    indices,
    only,
    sizes,
    spaced,
    use,
)
from thermoflop.model.config.hearing import gemma_stack, omni_stack, phi_stack, whisper_stack
from thermoflop.model.config.keys import Config, Traits, is_factor
from thermoflop.model.config.tower import DEFAULTS as TOWER
from thermoflop.model.config.tower import layer_runs, patch_grid, tower_front

_WHISPER = {
    "num_mel_bins": 128,
    "d_model": 1280,
    "encoder_layers": 32,
    "encoder_attention_heads": 20,
    "encoder_ffn_dim": 5120,
    "max_source_positions": 1500,
    "activation_function": "gelu",
}
tower(
    "qwen2_audio_encoder",
    keys=_WHISPER,
    traits={"stack": whisper_stack},
    aliases={"hidden_size": "d_model", "num_hidden_layers": "encoder_layers"},
)
family(
    "qwen2_5_omni_audio_encoder",
    "qwen2_audio_encoder",
    keys={"output_dim": 3584},
    traits={"stack": omni_stack},
    ignored=("n_window",),
)
family(
    "voxtral_encoder",
    "qwen2_audio_encoder",
    aliases=called(heads="encoder_attention_heads", inner="encoder_ffn_dim"),
    ignored=("head_dim", "num_key_value_heads"),
)
family(
    "phi4_multimodal_audio",
    reader="tower",
    keys={
        **sizes(hidden=1024, inner=1536, heads=16),
        "num_blocks": 24,
        "ext_pw_out_channel": 1024,
        "depthwise_separable_out_channel": 1024,
        "depthwise_multiplier": 1,
        "kernel_size": 3,
        "input_size": 80,
        "time_reduction": 8,
        "bias_max_distance": 1000,
        "bias_symmetric": False,
        "nemo_conv_channels": 1024,
    },
    traits={"stack": phi_stack},
    ignored=spaced(
        "left_chunk downsample_rate feature_layer nemo_final_size conv_activation conv_glu_type"
        " nemo_activation"
    ),
)
tower(
    "phi4_multimodal_vision",
    keys={
        **VIT,
        **sizes(hidden=1152, inner=4304, layers=27, heads=16, image=448, patch=14),
        "hidden_act": "gelu_pytorch_tanh",
    },
    traits={"post_norm": True, "pooling": True},
    ignored=("crop_size", "feature_layer"),
)


def _shapes(config: Config) -> int:
    """Arrangements of tiles that the tower knows; eight where none are named."""
    shapes = config["supported_aspect_ratios"]
    if shapes is not None and not isinstance(shapes, list | tuple):
        raise InputError(f"supported_aspect_ratios is {quote_value(shapes)}: expected a list")
    return len(shapes) if shapes else 8


def _mllama_stack(config: Config) -> Stack:
    """Llama 3.2's tower: all tiles of an image together, local layers, then gated global ones."""
    local = Traits(config, {**TOWER, **config.family.traits, "layers": config["num_hidden_layers"]})
    hidden, tiles = config["hidden_size"], config["max_num_tiles"]
    rows, columns = patch_grid(local)
    places, shapes = rows * columns + 1, _shapes(config) + 1
    (run,) = layer_runs(local)
    gates = (Vector("gates", "other", 2),)
    deep = Run(
        replace(run.layer, kind="global attention + MLP", kept=gates), config["num_global_layers"]
    )
    front, *rest = tower_front(local, places - 1)
    tables = (
        Table("tile positions", "embed_tokens", shapes, tiles * places * hidden, lookups=False),
        Table("tile embeddings", "embed_tokens", shapes, 2 * tiles * hidden, lookups=False),
        Vector("gates", "embed_pos", 3),
    )
    kept = tuple(Placed(part, "none") for part in tables)
    # each tile is padded to a multiple of eight positions, and an image to its most tiles
    positions = tiles * -(-places // 8) * 8
    return Stack(
        "image", hidden, (run, deep), (front, *rest, *kept),
        (Placed(layer_norm("post_norm", hidden)),), False,
        positions=positions, patches=tiles * (places - 1), pooled=tiles * places, tokens=1,
    )  # fmt: skip


tower(
    "mllama_vision_model",
    keys={
        **VIT,
        **sizes(hidden=1280, inner=5120, layers=32, heads=16, image=448, patch=14),
        "num_global_layers": 8,
        "max_num_tiles": 4,
        "vision_output_dim": 7680,
        "supported_aspect_ratios": anything(),
    },
    traits={
        "stack": _mllama_stack,
        "q_bias": False,
        "o_bias": False,
        "patch_bias": False,
        "class_tokens": 1,
        "pre_norm": True,
    },
    aliases={"attention_heads": "num_attention_heads"},
    ignored=("intermediate_layers_indices",),
)
# Kimi K3's tower: attention of a width of its own, RMS norms, biases only where they are named
family(
    "kimi_k3_vision",
    "kimi_k25_vision",
    keys={
        **sizes(hidden=1024, inner=4096, heads=12),
        "qkv_hidden_size": 1536,
        "norm_type": "rmsnorm",
        "attn_bias": False,
        "linear_bias": False,
        "patch_embed_proj_bias": False,
    },
    traits={
        "head_dim": lambda config: head_width(
            config["qkv_hidden_size"], config["num_attention_heads"]
        ),
        "norm": lambda config: "rms" if config["norm_type"] == "rmsnorm" else "layer",
        "q_bias": use("attn_bias"),
        "o_bias": use("attn_bias"),
        "up_bias": use("linear_bias"),
        "patch_bias": use("patch_embed_proj_bias"),
    },
    ignored=("activation_func", "mlp_type", "pos_emb_interpolation_mode"),
)


def _step_inner(config: Config) -> int:
    """Neurons: ``mlp_ratio`` times the hidden size, cut to a whole number as the class does."""
    ratio = 8960 / 1536 if config["mlp_ratio"] is None else config["mlp_ratio"]
    if not is_factor(ratio):
        raise InputError(f"mlp_ratio is {quote_value(ratio)} where a positive number is expected")
    return max(1, int(config["hidden_size"] * ratio))


def _step_tail(config: Config) -> tuple[Placed, ...]:
    """Two convolutions, each of which halves both sides and doubles the channels."""
    hidden, role = config["hidden_size"], "downsample"
    if config["image_size"] // config["patch_size"] % 4:
        raise InputError(f"an image_size of {config['image_size']} does not halve twice")
    first = Convolution("downsampler1", role, role, hidden, 2 * hidden, 9, bias=True)
    second = Convolution("downsampler2", role, role, 2 * hidden, 4 * hidden, 9, bias=True)
    return (Placed(first, "pooled x 4"), Placed(second, "pooled"))


tower(
    "step3p5_vision",
    keys={
        **sizes(hidden=1536, layers=47, heads=16, channels=3, image=728, patch=14),
        "hidden_act": "quick_gelu",
        "mlp_ratio": anything(),
        "use_abs_posemb": True,
        "use_ln_pre": True,
        "use_ln_post": False,
        "pool_type": only("none"),
    },
    traits={
        "inner": _step_inner,
        "patch_bias": False,
        "positions": lambda config: "grid" if config["use_abs_posemb"] else 0,
        "pre_norm": use("use_ln_pre"),
        "post_norm": use("use_ln_post"),
        "scales": 2,
        "merge": 4,
        "tail": _step_tail,
    },
    aliases={
        "width": "hidden_size",
        "layers": "num_hidden_layers",
        "heads": "num_attention_heads",
    },
    ignored=("intermediate_size", "ls_init_value", "layer_scale_init_value", "use_rope2d"),
)
tower(
    "gemma4_audio",
    keys={
        **sizes(hidden=1024, layers=12, heads=8),
        "subsampling_conv_channels": indices(),
        "conv_kernel_size": 5,
        "attention_chunk_size": 12,
        "attention_context_left": 13,
        "attention_context_right": at_least_zero(0),
        "output_proj_dims": 1536,
    },
    traits={"stack": gemma_stack},
    ignored=spaced(
        "residual_weight attention_invalid_logits_value gradient_clipping use_clipped_linears"
    ),
)
