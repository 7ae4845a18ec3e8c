"""Decoders with plain MLPs and layer norms: GPT-2 and those that came before gating.

Defaults are those of the configuration classes of transformers 5 (``configuration_*.py``).
"""

from __future__ import annotations

from thermoflop.errors import InputError, UnknownModel
from thermoflop.model.families.core import anything, family, mapping, maybe, use
from thermoflop.model.families.patterns import all_sliding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from thermoflop.model.config import Config

LAYER_NORM = {"norm": "layer", "norm_bias": True}
ALL_BIASES = {"q_bias": True, "o_bias": True, "up_bias": True}


def four_times(inner: str, hidden: str) -> object:
    """The MLP is ``inner`` wide, or four times as wide as the hidden state."""
    return lambda config: config[inner] or 4 * config[hidden]


GPT2_NAMES = {
    "hidden": use("n_embd"),
    "layers": use("n_layer"),
    "heads": use("n_head"),
    "kv_heads": None,
    "head_dim": None,
    "activation": use("activation_function"),
}
GPT2_ALIASES = {
    "hidden_size": "n_embd",
    "num_hidden_layers": "n_layer",
    "num_attention_heads": "n_head",
    "max_position_embeddings": "n_positions",
}

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
        **GPT2_NAMES,
        **LAYER_NORM,
        **ALL_BIASES,
        "inner": four_times("n_inner", "n_embd"),
        "gated": False,
        "positions": use("n_positions"),
        "rotary": False,
    },
    aliases=GPT2_ALIASES,
)
family(
    "gpt_bigcode",
    "gpt2",
    keys={"multi_query": True, "activation_function": "gelu_pytorch_tanh"},
    traits={"kv_heads": lambda config: 1 if config["multi_query"] else None},
    inert=("inference_runner", "pre_allocate_kv_cache", "validate_runner_input"),
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
        for words, times in pattern:
            if type(times) is not int or not 0 < times * len(words) <= layers:
                raise ValueError
            kinds.extend({"global": "full", "local": "sliding"}[word] for word in words * times)
    except (TypeError, ValueError, KeyError):
        raise InputError(f"attention_types of {layers} layers is not understood") from None
    if len(kinds) != layers:
        raise InputError(f"attention_types names {len(kinds)} layers where num_layers is {layers}")
    return kinds


family(
    "gpt_neo",
    keys={
        "vocab_size": 50257,
        "hidden_size": 2048,
        "num_layers": 24,
        "num_heads": 16,
        "intermediate_size": None,
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
        "layers": use("num_layers"),
        "heads": use("num_heads"),
        "kv_heads": None,
        "head_dim": None,
        "inner": four_times("intermediate_size", "hidden_size"),
        "gated": False,
        "activation": use("activation_function"),
        "positions": use("max_position_embeddings"),
        "rotary": False,
        "kinds": _gpt_neo_kinds,
        "window": use("window_size"),
    },
    aliases={"num_hidden_layers": "num_layers", "num_attention_heads": "num_heads"},
    inert=("attention_layers",),
)
family(
    "gpt_neox",
    keys={
        "vocab_size": 50432,
        "hidden_size": 6144,
        "intermediate_size": 24576,
        "num_hidden_layers": 44,
        "num_attention_heads": 64,
        "hidden_act": "gelu",
        "attention_bias": True,
        "tie_word_embeddings": False,
    },
    traits={
        **LAYER_NORM,
        "kv_heads": None,
        "head_dim": None,
        "q_bias": use("attention_bias"),
        "o_bias": use("attention_bias"),
        "up_bias": True,
        "gated": False,
    },
    inert=("use_parallel_residual",),
)
family(
    "opt",
    keys={
        "vocab_size": 50272,
        "hidden_size": 768,
        "ffn_dim": 3072,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
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
        "kv_heads": None,
        "head_dim": None,
        "inner": use("ffn_dim"),
        "activation": use("activation_function"),
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
    "bloom",
    keys={
        "vocab_size": 250880,
        "hidden_size": 64,
        "n_layer": 2,
        "n_head": 8,
        "tie_word_embeddings": True,
    },
    traits={
        **LAYER_NORM,
        **ALL_BIASES,
        "layers": use("n_layer"),
        "heads": use("n_head"),
        "kv_heads": None,
        "head_dim": None,
        "inner": lambda config: 4 * config["hidden_size"],
        "gated": False,
        "activation": "gelu",
        "embed_norm": True,
        "rotary": False,
    },
    aliases={
        "n_embed": "hidden_size",
        "num_hidden_layers": "n_layer",
        "num_attention_heads": "n_head",
    },
)


def _falcon_kv_heads(config: Config) -> int | None:
    """The new architecture groups heads; the old one has one key head, or all of them."""
    if config["new_decoder_architecture"]:
        found: int | None = config["num_kv_heads"]
        return found
    return 1 if config["multi_query"] else None


def _falcon_norms(config: Config) -> int:
    """Two norms, unless attention and MLP run side by side from the same one."""
    if not config["parallel_attn"]:
        return 2
    default = 2 if config["new_decoder_architecture"] else 1
    count: int = config["num_ln_in_parallel_attn"] or default
    if count > 2:
        raise InputError(f"num_ln_in_parallel_attn is {count} where 1 or 2 is expected")
    return count


family(
    "falcon",
    keys={
        "vocab_size": 65024,
        "hidden_size": 4544,
        "num_hidden_layers": 32,
        "num_attention_heads": 71,
        "num_kv_heads": None,
        "num_ln_in_parallel_attn": None,
        "ffn_hidden_size": None,
        "alibi": False,
        "bias": False,
        "multi_query": True,
        "new_decoder_architecture": False,
        "parallel_attn": True,
        "activation": "gelu",
        "tie_word_embeddings": True,
    },
    traits={
        **LAYER_NORM,
        "kv_heads": _falcon_kv_heads,
        "head_dim": None,
        "inner": four_times("ffn_hidden_size", "hidden_size"),
        "layer_norms": _falcon_norms,
        "gated": False,
        "activation": use("activation"),
        "q_bias": use("bias"),
        "o_bias": use("bias"),
        "up_bias": use("bias"),
        "rotary": lambda config: not config["alibi"],
    },
    aliases={"n_layer": "num_hidden_layers", "n_head": "num_attention_heads"},
)


def _mpt_attention(config: Config) -> None:
    """MPT options that the class ignores and a checkpoint might use are refused by name."""
    options = config["attn_config"] or {}
    heads = config["n_heads"]
    asked = {
        "qk_ln": options.get("qk_ln") not in (None, False),
        "kv_n_heads": options.get("kv_n_heads") not in (None, heads),
        "attn_type": options.get("attn_type") not in (None, "multihead_attention"),
        "sliding_window_size": options.get("sliding_window_size") not in (None, -1),
    }
    for name, wanted in asked.items():
        if wanted:
            raise UnknownModel(f"attn_config.{name} = {options[name]!r} is not understood for mpt")


def _mpt_inner(config: Config) -> int:
    _mpt_attention(config)
    inner: int = config["expansion_ratio"] * config["d_model"]
    return inner


family(
    "mpt",
    keys={
        "vocab_size": 50368,
        "d_model": 2048,
        "n_heads": 16,
        "n_layers": 24,
        "expansion_ratio": 4,
        "no_bias": True,
        "attn_config": mapping(),
        "tie_word_embeddings": True,
    },
    traits={
        "norm": "layer",
        "hidden": use("d_model"),
        "heads": use("n_heads"),
        "layers": use("n_layers"),
        "kv_heads": None,
        "head_dim": None,
        "inner": _mpt_inner,
        "activation": "gelu",
        "gated": False,
        "rotary": False,
    },
    aliases={
        "hidden_size": "d_model",
        "num_attention_heads": "n_heads",
        "num_hidden_layers": "n_layers",
    },
    inert=("learned_pos_emb", "norm_type", "embedding_fraction"),
)
family(
    "phi",
    keys={
        "vocab_size": 51200,
        "hidden_size": 2048,
        "intermediate_size": 8192,
        "num_hidden_layers": 24,
        "num_attention_heads": 32,
        "num_key_value_heads": None,
        "qk_layernorm": False,
        "hidden_act": "gelu_new",
        "tie_word_embeddings": False,
    },
    traits={
        **LAYER_NORM,
        **ALL_BIASES,
        "head_dim": None,
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
        "vocab_size": 49152,
        "hidden_size": 3072,
        "intermediate_size": 12288,
        "num_hidden_layers": 30,
        "num_attention_heads": 24,
        "num_key_value_heads": maybe(2),
        "use_bias": True,
        "sliding_window": None,
        "hidden_act": "gelu_pytorch_tanh",
        "tie_word_embeddings": True,
    },
    traits={
        **LAYER_NORM,
        "head_dim": None,
        "gated": False,
        "q_bias": use("use_bias"),
        "o_bias": use("use_bias"),
        "up_bias": use("use_bias"),
        "kinds": all_sliding,
        "window": use("sliding_window"),
    },
    inert=("mlp_type", "norm_type"),
)
family(
    "nemotron",
    keys={
        "vocab_size": 256000,
        "hidden_size": 6144,
        "intermediate_size": 24576,
        "num_hidden_layers": 32,
        "num_attention_heads": 48,
        "num_key_value_heads": None,
        "head_dim": None,
        "attention_bias": False,
        "mlp_bias": False,
        "hidden_act": "relu2",
        "tie_word_embeddings": False,
    },
    traits={
        **LAYER_NORM,
        "gated": False,
        "q_bias": use("attention_bias"),
        "o_bias": use("attention_bias"),
        "up_bias": use("mlp_bias"),
    },
)
