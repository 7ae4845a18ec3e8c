"""A GGUF file as a model: its metadata as the configuration of a family, its tensors as formats.

Keys are those of ggml's docs/gguf.md, names of architectures and tensors those of llama.cpp's
src/llama-arch.cpp and gguf-py/gguf/constants.py; what each key holds is written by
convert_hf_to_gguf.py, family by family.
"""

from __future__ import annotations

import re

from thermoflop.errors import InputError, UnknownModel
from thermoflop.model.architecture.quantization import Quantization, Stored
from thermoflop.model.config.gguf_header import GGML_TYPES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from thermoflop.model.config.gguf_header import Gguf

# Keys of configurations and what they are called in GGUF behind the architecture's name.
_COMMON = {
    "hidden_size": "embedding_length",
    "num_hidden_layers": "block_count",
    "intermediate_size": "feed_forward_length",
    "num_attention_heads": "attention.head_count",
    "num_key_value_heads": "attention.head_count_kv",
    "max_position_embeddings": "context_length",
    "sliding_window": "attention.sliding_window",
    "num_experts_per_tok": "expert_used_count",
}
_EXPERTS = {"num_experts": "expert_count", "moe_intermediate_size": "expert_feed_forward_length"}
_LOCAL = {"num_local_experts": "expert_count"}
_LATENT = {
    "q_lora_rank": "attention.q_lora_rank",
    "kv_lora_rank": "attention.kv_lora_rank",
    "qk_rope_head_dim": "rope.dimension_count",
    "n_routed_experts": "expert_count",
    "n_shared_experts": "expert_shared_count",
    "moe_intermediate_size": "expert_feed_forward_length",
    "first_k_dense_replace": "leading_dense_block_count",
}
_SPARSE = ("n_routed_experts", "n_shared_experts", "moe_intermediate_size", "first_k_dense_replace")
# Architecture -> family, and what else it reads.
_FAMILIES: dict[str, tuple[str, dict[str, str]]] = {
    "llama": ("llama", {}),
    "mistral": ("mistral", {}),
    "mistral3": ("mistral", {}),
    "llama4": (
        "llama4_text",
        {
            **_LOCAL,
            "intermediate_size": "expert_feed_forward_length",
            "intermediate_size_mlp": "feed_forward_length",
            "interleave_moe_layer_step": "interleave_moe_layer_step",
        },
    ),
    "qwen2": ("qwen2", {}),
    "qwen2moe": (
        "qwen2_moe",
        {**_EXPERTS, "shared_expert_intermediate_size": "expert_shared_feed_forward_length"},
    ),
    "qwen2vl": ("qwen2", {}),
    "qwen3": ("qwen3", {}),
    "qwen3vl": ("qwen3", {}),
    "qwen3moe": ("qwen3_moe", _EXPERTS),
    "qwen3vlmoe": ("qwen3_moe", _EXPERTS),
    "gemma": ("gemma", {}),
    "gemma2": ("gemma2", {}),
    "gemma3": ("gemma3_text", {}),
    "phi3": ("phi3", {}),
    "deepseek2": ("deepseek_v2", _LATENT),
    "gpt-oss": ("gpt_oss", {**_LOCAL, "intermediate_size": "expert_feed_forward_length"}),
    "starcoder2": ("starcoder2", {}),
    "command-r": ("cohere", {}),
    "cohere2": ("cohere2", {}),
    "olmo2": ("olmo2", {}),
    "olmoe": ("olmoe", {"num_experts": "expert_count"}),
    "granite": ("granite", {}),
    "glm4": ("glm4", {}),
    "glm4moe": ("glm4_moe", {key: _LATENT[key] for key in _SPARSE}),
    "exaone": ("exaone", {}),
    "smollm3": ("smollm3", {}),
    "seed_oss": ("seed_oss", {}),
    "ernie4_5": ("ernie4_5", {}),
    "hunyuan-dense": ("hunyuan_v1_dense", {}),
}
# Tensors of a layer and of what lies outside: the matrices here, as published files call them.
_MATRICES = {
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj", "attn_qkv": "self_attn.qkv_proj",
    "attn_q_a": "self_attn.q_a_proj", "attn_q_b": "self_attn.q_b_proj",
    "attn_kv_a_mqa": "self_attn.kv_a_proj", "attn_kv_b": "self_attn.kv_b_proj",
    "attn_k_b": "self_attn.kv_b_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj", "ffn_gate_inp": "mlp.gate",
    "ffn_gate_exps": "mlp.experts.0.gate_proj", "ffn_up_exps": "mlp.experts.0.up_proj",
    "ffn_down_exps": "mlp.experts.0.down_proj", "ffn_gate_shexp": "mlp.shared_expert.gate_proj",
    "ffn_up_shexp": "mlp.shared_expert.up_proj", "ffn_down_shexp": "mlp.shared_expert.down_proj",
    "ffn_gate_inp_shexp": "mlp.shared_expert_gate",
}  # fmt: skip
_OUTSIDE = {"token_embd": "embed_tokens", "output": "lm_head"}
_TENSOR = re.compile(r"^(?:blk\.(\d{1,5})\.)?([a-z0-9_]+)\.weight$")
_BITS = {name: 8 * size / block for name, block, size in GGML_TYPES.values()}
# Numbers of ``general.file_type`` (llama.h, enum llama_ftype) and what quantize calls them.
FILE_TYPES = {
    0: "fp32", 1: "fp16", 2: "q4_0", 3: "q4_1", 7: "q8_0", 8: "q5_0", 9: "q5_1", 10: "q2_k",
    11: "q3_k_s", 12: "q3_k_m", 13: "q3_k_l", 14: "q4_k_s", 15: "q4_k_m", 16: "q5_k_s",
    17: "q5_k_m", 18: "q6_k", 19: "iq2_xxs", 20: "iq2_xs", 21: "q2_k_s", 22: "iq3_xs",
    23: "iq3_xxs", 24: "iq1_s", 25: "iq4_nl", 26: "iq3_s", 27: "iq3_m", 28: "iq2_s", 29: "iq2_m",
    30: "iq4_xs", 31: "iq1_m", 32: "bf16", 36: "tq1_0", 37: "tq2_0", 38: "mxfp4", 39: "nvfp4",
}  # fmt: skip


def config_of(gguf: Gguf, path: str) -> dict[str, Any]:
    """The configuration that the metadata states. UnknownModel for an architecture that is none
    of those that are read, InputError for a file without its sizes."""
    name = gguf.metadata.get("general.architecture")
    if not isinstance(name, str) or not name:
        raise InputError(f"{path} names no general.architecture")
    if name not in _FAMILIES:
        raise UnknownModel(
            f"the GGUF architecture {name[:40]!r} is not read, and nothing but its weights is "
            f"known: {_weighed(gguf)}; expected one of {', '.join(_FAMILIES)}"
        )
    family, more = _FAMILIES[name]
    config: dict[str, Any] = {"model_type": family}
    for key, behind in {**_COMMON, **more}.items():
        value = _same(gguf.metadata.get(f"{name}.{behind}"), f"{name}.{behind}", path)
        if value is not None:
            config[key] = value
    for key in ("hidden_size", "num_hidden_layers", "num_attention_heads"):
        if key not in config:
            raise InputError(f"{path} has no {name}.{_COMMON[key]}")
    _vocabulary(config, gguf, name)
    _heads(config, gguf, name)
    if name in _SPECIAL:
        _SPECIAL[name](config, gguf)
    return config


def _weighed(gguf: Gguf) -> str:
    """What the tensors are and take, whatever they are for."""
    elements = sum(tensor.elements for tensor in gguf.tensors)
    return f"{elements:,} numbers in {sum(each.size_bytes for each in gguf.tensors):,} B"


def _same(value: Any, key: str, path: str) -> Any:
    """A number, or the one that an array of layers has throughout."""
    if not isinstance(value, list):
        return value
    kinds = set(value)
    if len(kinds) == 1:
        return value[0]
    raise UnknownModel(f"{path}: {key} differs from layer to layer, which is not read of GGUF")


def _vocabulary(config: dict[str, Any], gguf: Gguf, name: str) -> None:
    """Rows of the embedding, which is the head's as well where that has no tensor."""
    names = {tensor.name: tensor for tensor in gguf.tensors}
    embedding = names.get("token_embd.weight")
    words = gguf.lengths.get("tokenizer.ggml.tokens")
    if embedding is not None and len(embedding.shape) == 2:
        words = embedding.shape[1]
    config["vocab_size"] = words or gguf.metadata.get(f"{name}.vocab_size")
    config["tie_word_embeddings"] = bool(names) and "output.weight" not in names
    if "blk.0.attn_q.bias" in names and "blk.0.attn_output.bias" in names:
        config["attention_bias"] = True


def _heads(config: dict[str, Any], gguf: Gguf, name: str) -> None:
    """Width of a head, where it is stated and not of a latent."""
    width = gguf.metadata.get(f"{name}.attention.key_length")
    if width is not None and name != "deepseek2":
        config["head_dim"] = width


def _llama(config: dict[str, Any], gguf: Gguf) -> None:
    """Mixtral is a llama with experts; Mistral one without biases either way."""
    experts = gguf.metadata.get("llama.expert_count", 0)
    if experts:
        config.update(model_type="mixtral", num_local_experts=experts)


def _deepseek(config: dict[str, Any], gguf: Gguf) -> None:
    """Heads of the expanded latent; V3 chooses experts by a sigmoid (2) with a bias."""
    data = gguf.metadata
    key = data.get("deepseek2.attention.key_length_mla", data.get("deepseek2.attention.key_length"))
    value = data.get(
        "deepseek2.attention.value_length_mla", data.get("deepseek2.attention.value_length")
    )
    rope = config.get("qk_rope_head_dim")
    if type(key) is not int or type(value) is not int or type(rope) is not int:
        raise InputError(
            "deepseek2 lacks attention.key_length, value_length or rope.dimension_count"
        )
    config.update(qk_nope_head_dim=key - rope, v_head_dim=value)
    config.setdefault("q_lora_rank", None)
    config.pop("num_key_value_heads", None)
    if data.get("deepseek2.expert_gating_func") == 2 or any(
        tensor.name.endswith("exp_probs_b.bias") for tensor in gguf.tensors
    ):
        config["model_type"] = "deepseek_v3"


def _gemma3(config: dict[str, Any], _gguf: Gguf) -> None:
    config.setdefault("sliding_window", None)


def _phi3(config: dict[str, Any], _gguf: Gguf) -> None:
    """A head is the model's width by their number; a window of no tokens is none."""
    if not config.get("sliding_window"):
        config["sliding_window"] = None
    config.pop("head_dim", None)


def _glm4_moe(config: dict[str, Any], gguf: Gguf) -> None:
    """Blocks that predict tokens further ahead are among the blocks; projections have biases, and
    their heads norms, where there are tensors of them."""
    ahead = gguf.metadata.get("glm4moe.nextn_predict_layers", 0)
    config["num_hidden_layers"] -= ahead if type(ahead) is int else 0
    names = {tensor.name for tensor in gguf.tensors}
    config["attention_bias"] = "blk.0.attn_q.bias" in names
    config["use_qk_norm"] = "blk.0.attn_q_norm.weight" in names


_SPECIAL: dict[str, Callable[[dict[str, Any], Gguf], None]] = {
    "llama": _llama, "deepseek2": _deepseek, "gemma3": _gemma3, "phi3": _phi3,
    "glm4moe": _glm4_moe,
}  # fmt: skip


def formats_of(gguf: Gguf) -> Quantization:
    """The format of every matrix by its tensor."""
    targets: dict[Stored, list[str]] = {}
    sizes: dict[Stored, int] = {}
    for tensor in gguf.tensors:
        match = _TENSOR.match(tensor.name)
        if match is None:
            continue
        layer, matrix = match[1], match[2]
        module = _OUTSIDE.get(matrix) if layer is None else _MATRICES.get(matrix)
        if module is None:
            continue
        stored = Stored(tensor.dtype.lower(), _BITS[tensor.dtype])
        place = "" if layer is None else f"layers.{layer}."
        targets.setdefault(stored, []).append(f"{place}{module}")
        sizes[stored] = sizes.get(stored, 0) + tensor.size_bytes
    common = max(sizes, key=lambda stored: sizes[stored], default=None)
    listed = tuple((stored, tuple(modules)) for stored, modules in targets.items())
    return Quantization(_method(gguf, common), common, listed)


def _method(gguf: Gguf, common: Stored | None) -> str:
    """What the file is called by: its file type, or the format of most of it."""
    named = FILE_TYPES.get(gguf.metadata.get("general.file_type", -1))
    return named or ("gguf" if common is None else common.name)
