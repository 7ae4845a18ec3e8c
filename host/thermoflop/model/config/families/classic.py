"""Decoders with plain MLPs and layer norms: GPT-2 and those that came before gating.

Defaults are those of the configuration classes of transformers 5 (``configuration_*.py``).
"""

from __future__ import annotations

from thermoflop.errors import InputError
from thermoflop.model.config.families.patterns import all_sliding
from thermoflop.model.config.family import anything, called, family, maybe, sizes, spaced, use

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from thermoflop.model.config.keys import Config

LAYER_NORM = {"norm": "layer", "norm_bias": True}
ALL_BIASES = {"q_bias": True, "o_bias": True, "up_bias": True}


def four_times(inner: str, hidden: str) -> object:
    """The MLP is ``inner`` wide, or four times as wide as the hidden state."""
    return lambda config: config[inner] or 4 * config[hidden]


family(
    "gpt2",
    keys={
        "vocab_size": 50257,
        "n_embd": 768,
        "n_layer": 12,
        "n_head": 12,
        "n_inner": None,
        "n_positions": 1024,
        "activation_function": "gelu_new",
        "tie_word_embeddings": True,
    },
    traits={
        **LAYER_NORM,
        **ALL_BIASES,
        "inner": four_times("n_inner", "n_embd"),
        "gated": False,
        "positions": use("n_positions"),
        "rotary": False,
    },
    aliases={
        **called(hidden="n_embd", layers="n_layer", heads="n_head"),
        "max_position_embeddings": "n_positions",
    },
)
family(
    "gpt_bigcode",
    "gpt2",
    keys={"multi_query": True, "activation_function": "gelu_pytorch_tanh"},
    traits={"kv_heads": lambda config: 1 if config["multi_query"] else None},
    ignored=spaced(
        "inference_runner num_key_value_heads pre_allocate_kv_cache validate_runner_input"
    ),
)
family(
    "gptj",
    "gpt2",
    keys={
        "vocab_size": 50400,
        "n_embd": 4096,
        "n_layer": 28,
        "n_head": 16,
        "n_positions": 2048,
        "tie_word_embeddings": False,
    },
    traits={
        "q_bias": False,
        "o_bias": False,
        "layer_norms": 1,
        "positions": 0,
        "rotary": True,
        "head_bias": True,
    },
)
family("codegen", "gptj")


def _gpt_neo_kinds(config: Config) -> Sequence[str]:
    """GPT-Neo writes its pattern as [[[kinds], repetitions], ...]."""
    layers, pattern = config["num_layers"], config["attention_types"]
    if pattern is None:
        pattern = [[["global", "local"], 12]]
    kinds: list[str] = []
    try:
        for group, times in pattern:
            if type(times) is not int or not 0 < times * len(group) <= layers:
                raise ValueError
            kinds.extend({"global": "full", "local": "sliding"}[kind] for kind in group * times)
    except (TypeError, ValueError, KeyError):
        raise InputError(f"attention_types of {layers} layers is not understood") from None
    if len(kinds) != layers:
        raise InputError(f"attention_types names {len(kinds)} layers where num_layers is {layers}")
    return kinds


family(
    "gpt_neo",
    keys={
        **sizes(vocab=50257, hidden=2048, inner=None),
        "num_layers": 24,
        "num_heads": 16,
        "max_position_embeddings": 2048,
        "window_size": 256,
        "attention_types": anything(),
        "activation_function": "gelu_new",
        "tie_word_embeddings": True,
    },
    traits={
        **LAYER_NORM,
        "o_bias": True,
        "up_bias": True,
        "inner": four_times("intermediate_size", "hidden_size"),
        "gated": False,
        "positions": use("max_position_embeddings"),
        "rotary": False,
        "kinds": _gpt_neo_kinds,
        "window": use("window_size"),
    },
    aliases={"num_hidden_layers": "num_layers", "num_attention_heads": "num_heads"},
    ignored=("attention_layers",),
)
family(
    "gpt_neox",
    keys={
        **sizes(vocab=50432, hidden=6144, inner=24576, layers=44, heads=64),
        "hidden_act": "gelu",
        "attention_bias": True,
        "tie_word_embeddings": False,
    },
    traits={**LAYER_NORM, "up_bias": True, "gated": False},
    ignored=("use_parallel_residual",),
)
family(
    "opt",
    keys={
        **sizes(vocab=50272, hidden=768, layers=12, heads=12),
        "ffn_dim": 3072,
        "max_position_embeddings": 2048,
        "word_embed_proj_dim": None,
        "do_layer_norm_before": True,
        "_remove_final_layer_norm": False,
        "enable_bias": True,
        "layer_norm_elementwise_affine": True,
        "activation_function": "relu",
        "tie_word_embeddings": True,
    },
    traits={
        "norm": "layer",
        "norm_weight": use("layer_norm_elementwise_affine"),
        "norm_bias": use("layer_norm_elementwise_affine"),
        "inner": use("ffn_dim"),
        "gated": False,
        "q_bias": use("enable_bias"),
        "o_bias": use("enable_bias"),
        "up_bias": use("enable_bias"),
        "rotary": False,
        "positions": lambda config: config["max_position_embeddings"] + 2,
        "embed_width": use("word_embed_proj_dim"),
        "final_norm": lambda config: (
            config["do_layer_norm_before"] and not config["_remove_final_layer_norm"]
        ),
    },
)
family(
    "phi",
    keys={
        **sizes(vocab=51200, hidden=2048, inner=8192, layers=24, heads=32, kv_heads=None),
        "qk_layernorm": False,
        "hidden_act": "gelu_new",
        "tie_word_embeddings": False,
    },
    traits={
        **LAYER_NORM,
        **ALL_BIASES,
        "layer_norms": 1,
        "gated": False,
        "head_bias": True,
        "qk_norm": lambda config: "head" if config["qk_layernorm"] else None,
        "qk_norm_bias": True,
    },
)
family(
    "starcoder2",
    keys={
        **sizes(vocab=49152, hidden=3072, inner=12288, layers=30, heads=24, kv_heads=maybe(2)),
        "use_bias": True,
        "sliding_window": None,
        "hidden_act": "gelu_pytorch_tanh",
        "tie_word_embeddings": True,
    },
    traits={
        **LAYER_NORM,
        "gated": False,
        "q_bias": use("use_bias"),
        "o_bias": use("use_bias"),
        "up_bias": use("use_bias"),
        "kinds": all_sliding,
    },
    ignored=("mlp_type", "norm_type"),
)
family(
    "nemotron",
    keys={
        **sizes(vocab=256000, hidden=6144, inner=24576, layers=32, heads=48, kv_heads=None),
        "head_dim": None,
        "attention_bias": False,
        "mlp_bias": False,
        "hidden_act": "relu2",
        "tie_word_embeddings": False,
    },
    traits={**LAYER_NORM, "gated": False},
)
