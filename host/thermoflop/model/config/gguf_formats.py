"""The number formats of a GGUF file: each matrix's by its tensor, and the file's by its type.

Names of tensors are those of llama.cpp's gguf-py/gguf/constants.py.
"""

from __future__ import annotations

import re

from thermoflop.model.architecture.quantization import Quantization, Stored
from thermoflop.model.config.gguf_header import GGML_TYPES, Gguf

# Tensors of a layer and of what lies outside: the matrices here, as published files call them.
_MATRICES = {
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj mlp.o_proj", "attn_out": "self_attn.o_proj",
    "attn_qkv": "self_attn.qkv_proj linear_attn.in_proj_qkv",
    "attn_q_a": "self_attn.q_a_proj", "attn_q_b": "self_attn.q_b_proj",
    "attn_kv_a_mqa": "self_attn.kv_a_proj", "attn_kv_b": "self_attn.kv_b_proj",
    "attn_k_b": "self_attn.kv_b_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj", "ffn_gate_inp": "mlp.gate",
    "ffn_gate_exps": "mlp.experts.0.gate_proj", "ffn_up_exps": "mlp.experts.0.up_proj",
    "ffn_gate_up_exps": "mlp.experts.0.gate_proj mlp.experts.0.up_proj",
    "ffn_down_exps": "mlp.experts.0.down_proj", "ffn_gate_shexp": "mlp.shared_expert.gate_proj",
    "ffn_up_shexp": "mlp.shared_expert.up_proj", "ffn_down_shexp": "mlp.shared_expert.down_proj",
    "ffn_gate_inp_shexp": "mlp.shared_expert_gate",
    "ffn_latent_down": "latent_proj.latent_down", "ffn_latent_up": "latent_proj.latent_up",
    "ssm_in": "mamba.in_proj linear_attn.in_proj_qkvz", "ssm_ba": "linear_attn.in_proj_ba",
    "ssm_alpha": "linear_attn.in_proj_a", "ssm_out": "mamba.out_proj linear_attn.out_proj",
    "ssm_x": "mamba.x_proj", "ssm_dt": "mamba.dt_proj", "shortconv.in_proj": "conv.in_proj",
    "shortconv.out_proj": "conv.out_proj", "indexer.attn_q_b": "self_attn.indexer.wq_b",
    "indexer.attn_k": "self_attn.indexer.wk", "indexer.proj": "self_attn.indexer.weights_proj",
    "inp_gate": "per_layer_input.per_layer_gate", "proj": "per_layer_input.per_layer_proj",
    "laurel_l": "laurel.laurel_left", "laurel_r": "laurel.laurel_right",
    "attn_o": "self_attn.o_proj", "cross_attn_q": "cross_attn.q_proj",
    "cross_attn_k": "cross_attn.k_proj", "cross_attn_v": "cross_attn.v_proj",
    "cross_attn_o": "cross_attn.o_proj", "time_mix_receptance": "linear_attn.r_proj",
    "time_mix_key": "linear_attn.k_proj", "time_mix_value": "linear_attn.v_proj",
    "time_mix_output": "linear_attn.o_proj", "channel_mix_key": "mlp.up_proj",
    "channel_mix_value": "mlp.down_proj",
    **{f"time_mix_{each}1": f"linear_attn.{each}_lora_a" for each in "wavg"},
    **{f"time_mix_{each}2": f"linear_attn.{each}_lora_b" for each in "wavg"},
}  # fmt: skip
_OUTSIDE = {
    "token_embd": "embed_tokens", "output": "lm_head", "position_embd": "embed_positions",
    "per_layer_token_embd": "embed_per_layer", "per_layer_model_proj": "per_layer_model_proj",
}  # fmt: skip
_TENSOR = re.compile(r"^(?:(enc|dec)\.)?(?:blk\.(\d{1,5})\.)?([a-z0-9_.]+)\.weight$")
# experts that lie one by one, as in files of early 2024: the first stands for all
_FIRST_EXPERT = re.compile(r"^(ffn_\w+)\.0$")
_BITS = {name: 8 * size / block for name, block, size in GGML_TYPES.values()}
# Numbers of ``general.file_type`` (llama.h, enum llama_ftype) and what quantize calls them.
FILE_TYPES = {
    0: "fp32", 1: "fp16", 2: "q4_0", 3: "q4_1", 7: "q8_0", 8: "q5_0", 9: "q5_1", 10: "q2_k",
    11: "q3_k_s", 12: "q3_k_m", 13: "q3_k_l", 14: "q4_k_s", 15: "q4_k_m", 16: "q5_k_s",
    17: "q5_k_m", 18: "q6_k", 19: "iq2_xxs", 20: "iq2_xs", 21: "q2_k_s", 22: "iq3_xs",
    23: "iq3_xxs", 24: "iq1_s", 25: "iq4_nl", 26: "iq3_s", 27: "iq3_m", 28: "iq2_s", 29: "iq2_m",
    30: "iq4_xs", 31: "iq1_m", 32: "bf16", 36: "tq1_0", 37: "tq2_0", 38: "mxfp4", 39: "nvfp4",
}  # fmt: skip


def formats_of(gguf: Gguf) -> Quantization:
    """The format of every matrix by its tensor."""
    targets: dict[Stored, list[str]] = {}
    sizes: dict[Stored, int] = {}
    # one matrix of both halves, where there is no gate of its own
    gated = any(tensor.name.endswith(".ffn_gate.weight") for tensor in gguf.tensors)
    for tensor in gguf.tensors:
        match = _TENSOR.match(tensor.name)
        if match is None:
            continue
        side, layer, matrix = match.groups()
        matrix = _FIRST_EXPERT.sub(r"\1_exps", matrix)
        modules = _OUTSIDE.get(matrix) if layer is None else _MATRICES.get(matrix)
        if modules is None:
            continue
        if matrix == "ffn_up" and not gated:
            modules += " mlp.gate_proj"
        stored = Stored(tensor.dtype.lower(), _BITS[tensor.dtype])
        place = "" if layer is None else f"layers.{layer}."
        place = f"encoder.{place}" if side == "enc" else place
        targets.setdefault(stored, []).extend(f"{place}{module}" for module in modules.split())
        sizes[stored] = sizes.get(stored, 0) + tensor.size_bytes
    common = max(sizes, key=lambda stored: sizes[stored], default=None)
    listed = tuple((stored, tuple(modules)) for stored, modules in targets.items())
    return Quantization(_method(gguf, common), common, listed)


def _method(gguf: Gguf, common: Stored | None) -> str:
    """What the file is called by: its file type, or the format of most of it."""
    number = gguf.metadata.get("general.file_type")
    named = FILE_TYPES.get(number) if type(number) is int else None
    return named or ("gguf" if common is None else common.name)
