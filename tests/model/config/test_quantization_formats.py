"""Every method's format beside what its code writes: bits, groups, scales, inputs.

``Stored``: name, bits, elements that share a scale, a block's sides, format of inputs, bits of a
scale, bits of a matrix besides.
"""

from __future__ import annotations

from typing import Any

import pytest
from thermoflop.errors import InputError
from thermoflop.model.architecture.quantization import Stored
from thermoflop.model.config.quantization_formats import algorithm, default_format, scheme

TWO = 64  # an fp32 scale of the weights, and one of the inputs
METHODS: list[tuple[str, dict[str, Any], Stored]] = [
    # AutoAWQ, AutoGPTQ: fp16 scales, and zero points as wide as a weight
    ("awq", {}, Stored("int4", 4, 128, None, None, 16 + 4)),
    ("awq_marlin", {"bits": 8}, Stored("int8", 8, 128, None, None, 16 + 8)),
    ("gptq", {"bits": 3}, Stored("int3", 3, 128, None, None, 16 + 3)),
    ("gptq_marlin", {"bits": 8, "group_size": 0}, Stored("int8", 8, None, None, None, 16 + 8)),
    ("auto-round", {}, Stored("int4", 4, 128, None, None, 16 + 4)),
    ("intel/auto-round", {}, Stored("int4", 4, 128, None, None, 16 + 4)),
    # Marlin and HIGGS without zero points
    ("marlin", {}, Stored("int4", 4, 128, None, None, 16)),
    ("higgs", {}, Stored("int4", 4, 256, None, None, 16)),
    # HQQ, SINQ, Metal, MLX: scale and zero point, or bias, in 16 bits each
    ("hqq", {}, Stored("int4", 4, 64, None, None, 2 * 16)),
    ("sinq", {}, Stored("int4", 4, 64, None, None, 2 * 16)),
    ("metal", {}, Stored("int4", 4, 64, None, None, 2 * 16)),
    ("mlx", {}, Stored("int4", 4, 64, None, None, 2 * 16)),
    ("mlx", {"mode": "mxfp4", "group_size": 32}, Stored("mxfp4", 4, 32, None, None, 8)),
    # SpQR: 3 bits each for scale and zero point, 64 bits for 16 groups
    ("spqr", {}, Stored("int3", 3, 16, None, None, 3 + 3 + 64 / 16)),
    # bits on average; what they are made of is not counted apart
    ("exl2", {"bits": 4.25}, Stored("exl2", 4.25, None, None, None, 0)),
    ("exl3", {"bits": 3.5}, Stored("exl3", 3.5, None, None, None, 0)),
    ("gemma", {}, Stored("int4", 4, None, None, None, 0)),
    # one format each
    ("fbgemm_fp8", {}, Stored("fp8", 8, None, None, "fp8", 32)),
    ("ptpc_fp8", {}, Stored("fp8", 8, None, None, "fp8", 32)),
    ("mxfp4", {}, Stored("mxfp4", 4, 32, None, None, 8)),
    ("mxfp8", {}, Stored("mxfp8", 8, 32, None, "mxfp8", 8)),
    ("nvfp4", {}, Stored("nvfp4", 4, 16, None, "nvfp4", 8)),
    ("eetq", {}, Stored("int8", 8, None, None, None, 16)),
    ("experts_int8", {}, Stored("int8", 8, None, None, None, 32)),
    ("bitnet", {}, Stored("ternary", 2, None, None, "int8", 0)),
    # fp8 of a tensor, or in blocks with an fp32 scale each
    ("fp8", {}, Stored("fp8", 8, None, None, "fp8", 0, TWO)),
    ("fp8", {"weight_block_size": [64, 128]}, Stored("fp8", 8, None, (64, 128), "fp8", 32)),
    # LLM.int8's SCB; QLoRA's fp32 for 64 elements, or 8 bits and one of 32 for 256 of these
    ("bitsandbytes", {}, Stored("int8", 8, None, None, "int8", 32)),
    ("bitsandbytes", {"load_in_4bit": True}, Stored("fp4", 4, 64, None, None, 32)),
    ("bitsandbytes", {"_load_in_4bit": True, "bnb_4bit_quant_type": "nf4",
     "bnb_4bit_use_double_quant": True}, Stored("nf4", 4, 64, None, None, 8 + 32 / 256)),
    # codebooks of 2^8 vectors of 4 elements in fp16, two of them
    ("aqlm", {"num_codebooks": 2, "nbits_per_codebook": 8, "in_group_size": 4},
     Stored("aqlm", 2 * 8 / 4, 4, None, None, 0, 2 * 256 * 4 * 16)),
    ("aqlm", {}, Stored("aqlm", 2, 8, None, None, 0, 65_536 * 8 * 16)),
    # by a word
    ("quanto", {}, Stored("int8", 8, None, None, None, 16)),
    ("quanto", {"weights": "int4", "group_size": 64}, Stored("int4", 4, 64, None, None, 32)),
    ("fp_quant", {}, Stored("nvfp4", 4, 16, None, None, 8)),
    ("fp_quant", {"forward_dtype": "mxfp4"}, Stored("mxfp4", 4, 32, None, None, 8)),
    ("fouroversix", {}, Stored("nvfp4", 4, 16, None, None, 8)),
    ("torchao", {"quant_type": "int8_dynamic_activation_int4_weight",
     "quant_type_kwargs": {"group_size": 32}}, Stored("int4", 4, 32, None, "int8", 32)),
    ("torchao", {"quant_type": {"default": {"_data": {"weight_dtype": {"_data": "torch.int4"},
     "activation_dtype": "int8", "group_size": 16}}}}, Stored("int4", 4, 16, None, "int8", 32)),
    ("torchao", {"quant_type": {"default": {"_type": "MXFP8Config"}}},
     Stored("mxfp8", 8, 32, None, None, 8)),
    ("quark", {"global_quant_config": {"weight": [{"dtype": "fp8_e4m3", "qscheme": "per_tensor"}],
     "input_tensors": {"dtype": "fp8_e4m3"}}}, Stored("fp8", 8, None, None, "fp8", 0, TWO)),
    ("quark", {"global_quant_config": {"weight": {"dtype": "fp4", "qscheme": "per_group",
     "group_size": 16}}}, Stored("nvfp4", 4, 16, None, None, 8)),
    ("quark", {"global_quant_config": {"weight": {"dtype": "int8", "group_size": 16}}},
     Stored("int8", 8, None, None, None, 16)),
]  # fmt: skip
# ModelOpt's names (modelopt/torch/export/quant_utils.py and TensorRT-LLM's QuantAlgo)
ALGORITHMS: list[tuple[str, Stored]] = [
    ("NVFP4", Stored("nvfp4", 4, 16, None, "nvfp4", 8, TWO)),
    ("NVFP4_AWQ", Stored("nvfp4", 4, 16, None, "nvfp4", 8, TWO)),
    ("W4A16_NVFP4", Stored("nvfp4", 4, 16, None, None, 8, TWO)),
    ("W4A8_NVFP4_FP8", Stored("nvfp4", 4, 16, None, "fp8", 8, TWO)),
    ("FP8", Stored("fp8", 8, None, None, "fp8", 0, TWO)),
    ("FP8_PER_CHANNEL_PER_TOKEN", Stored("fp8", 8, None, None, "fp8", 32)),
    ("FP8_PB_WO", Stored("fp8", 8, None, (128, 128), None, 32)),
    ("fp8_block_scales", Stored("fp8", 8, None, (128, 128), "fp8", 32)),
    ("MXFP8", Stored("mxfp8", 8, 32, None, "mxfp8", 8)),
    ("MXFP4", Stored("mxfp4", 4, 32, None, "mxfp4", 8)),
    ("W4A16_MXFP4", Stored("mxfp4", 4, 32, None, None, 8)),
    ("W4A8_MXFP4_FP8", Stored("mxfp4", 4, 32, None, "fp8", 8)),
    ("W4A16_AWQ", Stored("int4", 4, 128, None, None, 16)),
    ("W4A8_AWQ", Stored("int4", 4, 128, None, "fp8", 16)),
    ("W4A16", Stored("int4", 4, None, None, None, 32)),
    ("W8A16", Stored("int8", 8, None, None, None, 32)),
    ("W8A8_SQ_PER_CHANNEL", Stored("int8", 8, None, None, "int8", 32)),
    ("W8A8_SQ_PER_CHANNEL_PER_TOKEN_PLUGIN", Stored("int8", 8, None, None, "int8", 32)),
    ("INT8", Stored("int8", 8, None, None, "int8", 0, TWO)),
]
# compressed-tensors: what shares a scale, in what form
INT, FLOAT = {"num_bits": 4, "type": "int"}, {"num_bits": 8, "type": "float"}
FP4 = {"num_bits": 4, "type": "float"}
SCHEMES: list[tuple[dict[str, Any], dict[str, Any], Stored]] = [
    (INT, {}, Stored("int4", 4, None, None, None, 16)),
    ({**INT, "symmetric": False, "group_size": 128}, {}, Stored("int4", 4, 128, None, None, 20)),
    ({**INT, "num_bits": 8, "strategy": "tensor"}, {}, Stored("int8", 8, None, None, None, 0, TWO)),
    ({**INT, "strategy": "tensor", "group_size": 32}, {}, Stored("int4", 4, 32, None, None, 16)),
    (FLOAT, {}, Stored("fp8", 8, None, None, None, 16)),
    ({**FLOAT, "strategy": "tensor"}, {}, Stored("fp8", 8, None, None, None, 0, TWO)),
    ({**FLOAT, "block_structure": [128, 64]}, {}, Stored("fp8", 8, None, (128, 64), None, 32)),
    ({**FLOAT, "group_size": 32}, {}, Stored("mxfp8", 8, 32, None, None, 8)),
    ({**FP4, "group_size": 16}, {}, Stored("nvfp4", 4, 16, None, None, 8, TWO)),
    ({**FP4, "group_size": 32}, {}, Stored("mxfp4", 4, 32, None, None, 8)),
    (FP4, {"format": "mxfp4-pack-quantized"}, Stored("mxfp4", 4, None, None, None, 8)),
]  # fmt: skip


@pytest.mark.parametrize(("method", "said", "stored"), METHODS)
def test_a_method_stores_what_its_code_writes(
    method: str, said: dict[str, Any], stored: Stored
) -> None:
    assert default_format(method, said) == stored


@pytest.mark.parametrize(("name", "stored"), ALGORITHMS)
def test_an_algorithm_of_modelopt_is_its_format(name: str, stored: Stored) -> None:
    assert algorithm(name) == stored
    assert default_format("modelopt", {"quant_algo": name}) == stored


def test_an_algorithm_with_a_group_of_its_own_has_that() -> None:
    assert algorithm("W4A16", 64) == Stored("int4", 4, 64, None, None, 16)


@pytest.mark.parametrize(("said", "block", "stored"), SCHEMES)
def test_a_scheme_of_compressed_tensors_is_its_format(
    said: dict[str, Any], block: dict[str, Any], stored: Stored
) -> None:
    assert scheme(said, block) == stored


def test_what_no_file_holds_is_refused_from_the_first_value_beyond() -> None:
    for method, good, bad in (
        ("auto-round", {"bits": 16}, {"bits": 17}),
        ("auto-round", {"bits": 1}, {"bits": 0}),
        # "Only support quantization to [2,3,4,8] bits" (GPTQConfig of transformers)
        ("gptq", {"bits": 3}, {"bits": 5}),
        ("awq", {"bits": 4}, {"bits": 5}),
        ("mlx", {"bits": 5}, {"bits": 7}),
        ("hqq", {"nbits": 6}, {"nbits": 7}),
        # packed into words of 32 bits, 8 of 4 bits each
        ("gptq", {"bits": 4, "group_size": 72}, {"bits": 4, "group_size": 77}),
        ("awq", {"group_size": 10**6}, {"group_size": 10**6 + 8}),
        ("awq", {"group_size": 8}, {"group_size": -2}),
        ("fp8", {"weight_block_size": [1, 1]}, {"weight_block_size": [0, 1]}),
        ("fp8", {"weight_block_size": [1, 1]}, {"weight_block_size": [1, 1, 1]}),
        ("aqlm", {"nbits_per_codebook": 32}, {"nbits_per_codebook": 33}),
        ("aqlm", {"num_codebooks": 999}, {"num_codebooks": 1000}),
        ("aqlm", {"in_group_size": 1}, {"in_group_size": 0}),
    ):
        assert default_format(method, good) is not None
        with pytest.raises(InputError):
            default_format(method, bad)
    for bits, allowed in ((0, False), (1, True), (16, True), (17, False)):
        if allowed:
            assert scheme({"num_bits": bits}, {}).bits == bits
        else:
            with pytest.raises(InputError):
                scheme({"num_bits": bits}, {})
