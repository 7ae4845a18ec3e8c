"""Names of published forms of weights, such as ``gptq-int4-g128``: what the method writes of a
model of which nothing else is said.

Bits, blocks and scales are those of ``quantization_formats``, which reads the same methods from
configurations.
"""

from __future__ import annotations

import re

from thermoflop.errors import UsageError
from thermoflop.model.architecture.quantization import Quantization
from thermoflop.model.config.quantization import read_quantization

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Methods with a number of bits and a group: awq-int4-g64, gptq-3bit-g32, mlx-int4, hqq-int2-g16.
_GROUPED = re.compile(
    r"(awq|gptq|hqq|mlx|auto-round|marlin)(?:-(?:int|w)?(\d)(?:bits?)?)?(?:-g(-?\d{1,6}))?"
)
_BITS = {"hqq": "nbits"}
# compressed-tensors by what weights and activations are: w4a16-g128, w8a16, w8a8, w4a16-asym-g32.
_WIDTHS = re.compile(r"w([2-8])a(8|16)(-asym)?(?:-g(\d{1,6}))?")
_FP8 = re.compile(r"fp8-block(\d{1,4})(?:x(\d{1,4}))?")
# Cards of such repositories leave wide what sees, and the small inputs of Qwen's linear attention.
_WIDE_BESIDE = ["visual", "vision_tower", "multi_modal_projector", "lm_head", "in_proj_ba"]
_SCHEMES: dict[str, dict[str, Any]] = {
    "bnb-nf4": {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"},
    "bnb-nf4-dq": {
        "load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True,
    },
    "bnb-fp4": {"load_in_4bit": True, "bnb_4bit_quant_type": "fp4"},
    "bnb-fp4-dq": {
        "load_in_4bit": True, "bnb_4bit_quant_type": "fp4", "bnb_4bit_use_double_quant": True,
    },
    "bnb-int8": {"load_in_8bit": True},
    "fp8-tensor": {"quant_method": "fp8"},
    "fp8-channel": {"quant_method": "ptpc_fp8"},
    "fp8-dynamic": {"quant_method": "ptpc_fp8"},
    "mxfp8": {"quant_method": "mxfp8"},
    "modelopt-nvfp4": {"quant_algo": "NVFP4"},
    "modelopt-nvfp4-mlp": {"quant_algo": "NVFP4", "exclude_modules": ["self_attn", "lm_head"]},
    "modelopt-nvfp4-o": {
        "quant_algo": "NVFP4",
        "exclude_modules": ["q_a_proj", "q_b_proj", "kv_a_proj", "kv_b_proj", "q_proj", "lm_head"],
    },
    # of models with gated delta rules: those, what sees and what drafts stay wide
    "nvfp4-delta": {
        "quant_algo": "NVFP4",
        "exclude_modules": ["linear_attn", "visual", "projector", "mtp", "lm_head"],
    },
    "modelopt-nvfp4-wo": {"quant_algo": "W4A16_NVFP4"},
    # AMD Quark: weights and inputs in OCP's MXFP4, as amd/Llama-3.3-70B-Instruct-MXFP4-Preview
    "quark-mxfp4": {
        "quant_method": "quark",
        "global_quant_config": {
            "weight": {"dtype": "fp4", "qscheme": "per_group", "group_size": 32,
                       "scale_format": "e8m0"},
            "input_tensors": {"dtype": "fp4", "qscheme": "per_group", "group_size": 32,
                              "scale_format": "e8m0", "is_dynamic": True},
        },
        "exclude": ["lm_head"],
    },
    "eetq-int8": {"quant_method": "eetq"},
    "quanto-int8": {"quant_method": "quanto", "weights": "int8"},
    "quanto-int4": {"quant_method": "quanto", "weights": "int4", "group_size": 128},
    "torchao-int8": {"quant_method": "torchao", "quant_type": "int8_weight_only"},
    "torchao-int4": {
        "quant_method": "torchao", "quant_type": "int4_weight_only",
        "quant_type_kwargs": {"group_size": 128},
    },
}  # fmt: skip
# What MLX's own conversion writes (``mlx_lm.convert --q-bits``), from the widest on.
MLX_FORMS = ("mlx-8bit", "mlx-6bit", "mlx-5bit", "mlx-4bit", "mlx-3bit")
FORM_NAMES = (*_SCHEMES, "gptq-int4-g128", "awq-int4-g64", "hqq-int4-g64", "mlx-int4-g64",
              "fp8-block128", "w4a16-g128", "w8a8")  # fmt: skip


def published_form(name: str) -> Quantization:
    """The formats that a published form gives the matrices of any model. UsageError for a name
    that is none."""
    block = _SCHEMES.get(name)
    for pattern, block_of in ((_GROUPED, _grouped), (_WIDTHS, _widths), (_FP8, _fp8)):
        match = pattern.fullmatch(name)
        block = block_of(match) if match and block is None else block
    found = None if block is None else read_quantization({"quantization_config": block})[0]
    if found is None:
        raise UsageError(f"{name!r:.40} is no published form: expected {', '.join(FORM_NAMES)}")
    return found


def _grouped(match: re.Match[str]) -> dict[str, Any]:
    method, bits, group = match.groups()
    block: dict[str, Any] = {"quant_method": method, _BITS.get(method, "bits"): int(bits or 4)}
    return block if group is None else {**block, "group_size": int(group)}


def _widths(match: re.Match[str]) -> dict[str, Any]:
    bits, inputs, points, group = match.groups()
    weights = {"num_bits": int(bits), "type": "int", "symmetric": points is None}
    if group is not None:
        weights["group_size"] = int(group)
    scheme: dict[str, Any] = {"weights": weights, "targets": ["Linear"]}
    if inputs == "8":
        scheme["input_activations"] = {"num_bits": 8, "type": "int"}
    block = {"quant_method": "compressed-tensors", "config_groups": {"group_0": scheme}}
    return {**block, "ignore": ["lm_head"]}


def _fp8(match: re.Match[str]) -> dict[str, Any]:
    rows = int(match[1])
    block: dict[str, Any] = {"quant_method": "fp8", "modules_to_not_convert": _WIDE_BESIDE}
    return {**block, "weight_block_size": [rows, int(match[2] or rows)]}
