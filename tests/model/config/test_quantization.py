"""What published configurations say of their number formats: every form, and the modules named."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest
import thermoflop as tf
from thermoflop.errors import UsageError
from thermoflop.model.architecture.module_names import matches, names_of
from thermoflop.model.architecture.parts import Linear
from thermoflop.model.architecture.quantization import Quantization, matrices
from thermoflop.model.config.quantization import read_quantization

DATA = Path(__file__).resolve().parents[2] / "data"
BLOCKS: dict[str, Any] = json.loads(
    gzip.decompress((DATA / "quantization_blocks.json.gz").read_bytes())
)
LLAMA = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 100,
}
# As the files themselves say it: format of a matrix (group, matrix, layer), or None: wide.
Q, UP, EXPERT = ("attn", "q_proj"), ("mlp", "up_proj"), ("experts", "expert up")
SHARED, ROUTER, HEAD = ("shared_experts", "shared up"), ("router", "router"), ("lm_head", "lm_head")
FP8, NVFP4, MXFP4 = "fp8 in blocks of 128 x 128", "nvfp4 in groups of 16", "mxfp4 in groups of 32"
SAYS: list[tuple[str, tuple[str, str], int | None, str | None]] = [
    ("Qwen--Qwen3-32B-FP8", UP, 0, FP8),
    ("Qwen--Qwen3-32B-FP8", HEAD, None, None),
    ("deepseek-ai--DeepSeek-R1", EXPERT, 3, FP8),
    ("deepseek-ai--DeepSeek-R1", ROUTER, 3, None),
    ("MiniMaxAI--MiniMax-M2.5", ROUTER, 0, None),  # "gate"
    ("MiniMaxAI--MiniMax-M2.5", Q, 0, FP8),
    ("MiniMaxAI--MiniMax-M2.5", ("experts", "expert gate"), 0, FP8),  # gate_proj is no "gate"
    ("deepseek-ai--DeepSeek-V4-Flash", EXPERT, 0, MXFP4),  # expert_dtype: fp4
    ("deepseek-ai--DeepSeek-V4-Flash", SHARED, 0, FP8),
    ("nvidia--DeepSeek-V4-Flash-NVFP4", EXPERT, 42, NVFP4),  # layers.42.ffn.experts
    ("nvidia--DeepSeek-V4-Flash-NVFP4", Q, 42, FP8),
    ("sgl-project--DeepSeek-V4-Flash-FP8", EXPERT, 0, FP8),
    ("moonshotai--Kimi-K3", EXPERT, 1, MXFP4),
    ("moonshotai--Kimi-K3", Q, 1, None),  # re:.*self_attn.*
    ("moonshotai--Kimi-K3", SHARED, 1, None),
    ("moonshotai--Kimi-K3", UP, 0, None),  # re:.*mlp\.(gate|up|gate_up|down)_proj.*
    ("moonshotai--Kimi-K3", HEAD, None, None),
    ("nvidia--DeepSeek-V3.2-NVFP4", ("attn", "kv_a_proj"), 0, None),  # kv_a_proj_with_mqa
    ("nvidia--DeepSeek-V3.2-NVFP4", ("attn", "o_proj"), 0, NVFP4),
    ("nvidia--DeepSeek-V3.2-NVFP4", ("indexer", "index_q"), 60, None),
    ("nvidia--GLM-5-NVFP4", ("attn", "o_proj"), 0, None),
    ("nvidia--GLM-5-NVFP4", EXPERT, 3, NVFP4),
    ("nvidia--GLM-5.2-NVFP4", UP, 1, None),  # model.layers.1.*
    ("nvidia--GLM-5.2-NVFP4", EXPERT, 10, NVFP4),  # and that is not layer 10
    ("nvidia--GLM-5.2-NVFP4", SHARED, 10, None),
    ("nvidia--Gemma-4-31B-IT-NVFP4", Q, 5, None),
    ("nvidia--Gemma-4-31B-IT-NVFP4", UP, 5, NVFP4),
    ("nvidia--Kimi-K2.6-NVFP4", UP, 0, None),  # language_model.model.layers.0*
    ("nvidia--Kimi-K2.6-NVFP4", EXPERT, 1, NVFP4),
    ("nvidia--Kimi-K2.6-NVFP4", SHARED, 1, None),
    ("nvidia--MiniMax-M2.7-NVFP4", Q, 61, None),
    ("nvidia--MiniMax-M2.7-NVFP4", EXPERT, 61, NVFP4),
    ("nvidia--Qwen3-235B-A22B-NVFP4", Q, 0, NVFP4),
    ("nvidia--Qwen3-235B-A22B-NVFP4", ROUTER, 93, None),
    ("nvidia--Qwen3.5-397B-A17B-NVFP4", ("linear_attn", "in_proj_qkvz"), 0, None),
    ("nvidia--Qwen3.5-397B-A17B-NVFP4", EXPERT, 0, NVFP4),
    ("nvidia--Qwen3.5-397B-A17B-NVFP4", SHARED, 0, None),
    ("nvidia--Qwen3.6-35B-A3B-NVFP4", ("linear_attn", "in_proj_qkvz"), 0, "fp8"),
    ("nvidia--Qwen3.6-35B-A3B-NVFP4", ("linear_attn", "in_proj_ba"), 0, None),
    ("nvidia--Qwen3.6-35B-A3B-NVFP4", Q, 3, "fp8"),
    ("nvidia--Qwen3.6-35B-A3B-NVFP4", EXPERT, 39, NVFP4),
    ("nvidia--Qwen3.6-35B-A3B-NVFP4", HEAD, None, NVFP4),
    ("nvidia--NVIDIA-Nemotron-3-Nano-30B-A3B-NVFP4", EXPERT, 1, NVFP4),
    ("nvidia--NVIDIA-Nemotron-3-Super-120B-A12B-NVFP4", HEAD, None, None),
    ("openai--gpt-oss-120b", EXPERT, 0, MXFP4),
    ("openai--gpt-oss-120b", Q, 35, None),  # model.layers.*.self_attn
    ("stepfun-ai--Step-3.7-Flash-FP8", UP, 0, FP8),
    ("zai-org--GLM-5-FP8", ("indexer", "index_weights"), 0, None),  # indexers_proj
    ("zai-org--GLM-5-FP8", ("indexer", "index_q"), 0, FP8),
    ("kimi-k2.5", EXPERT, 1, NVFP4),
    ("kimi-k2.5", Q, 1, None),
    ("mimo-v2-flash", Q, 0, FP8),
    ("nvidia--MiniMax-M3-NVFP4", UP, 0, "mxfp8 in groups of 32"),  # quantized_layers
    ("nvidia--MiniMax-M3-NVFP4", ("indexer", "index_q"), 59, "mxfp8 in groups of 32"),
    ("nvidia--MiniMax-M3-NVFP4", SHARED, 59, "mxfp8 in groups of 32"),
    ("nvidia--MiniMax-M3-NVFP4", ROUTER, 59, None),
    ("nvidia--MiniMax-M3-NVFP4", EXPERT, 3, NVFP4),
    ("bitnet-b1.58-2b", UP, 0, "ternary"),
    ("deepseek-ai--DeepSeek-V3.2", EXPERT, 3, FP8),
    ("deepseek-v3.2", ROUTER, 3, None),
    ("deepseek-v4-flash", EXPERT, 0, MXFP4),
    ("devstral-2-123b", Q, 0, "fp8"),
    ("devstral-small-2-24b", UP, 0, "fp8"),
    ("devstral-small-2-24b", HEAD, None, None),
    ("moonshotai--Kimi-K2-Instruct", Q, 60, FP8),
    ("nvidia--GLM-5.3-NVFP4", UP, 2, None),
    ("nvidia--Kimi-K2.7-Code-NVFP4", EXPERT, 60, NVFP4),
    ("nvidia--Kimi-K2.7-Code-NVFP4", HEAD, None, None),
    ("nvidia--NVIDIA-Nemotron-3-Ultra-550B-A55B-NVFP4", EXPERT, 1, NVFP4),
    ("zai-org--GLM-5.1-FP8", UP, 0, FP8),
    ("qwen3-4b-2507-bnb-4bit", Q, 0, "nf4 in groups of 64"),
    ("qwen3-4b-2507-bnb-4bit", HEAD, None, None),
]


def read(block: dict[str, Any], **more: Any) -> Quantization:
    found, note, _ = read_quantization({"quantization_config": block, **more})
    assert found is not None, note
    assert note == ""
    return found


@pytest.mark.parametrize("name", sorted(BLOCKS))
def test_every_published_block_is_understood(name: str) -> None:
    found, note, _ = read_quantization(BLOCKS[name]["config"], BLOCKS[name]["beside"])
    assert found is not None
    assert note == ""
    assert {said for said, *_ in SAYS if said == name} == {name}, "say something of it above"


@pytest.mark.parametrize(("name", "matrix", "layer", "says"), SAYS)
def test_a_matrix_is_stored_as_the_file_says(
    name: str, matrix: tuple[str, str], layer: int | None, says: str | None
) -> None:
    found, *_ = read_quantization(BLOCKS[name]["config"], BLOCKS[name]["beside"])
    assert found is not None
    stored = found.format_of(*matrix, layer=layer)
    assert (None if stored is None else str(stored)) == says


@pytest.mark.parametrize(
    ("name", "cache"),
    [
        ("nvidia--GLM-5.2-NVFP4", "fp8"),  # kv_cache_scheme of 8 bits, float
        ("nvidia--DeepSeek-V3.2-NVFP4", "fp8"),  # kv_cache_quant_algo of hf_quant_config.json
        ("nvidia--Qwen3.6-35B-A3B-NVFP4", "fp8"),  # config.json is silent, the other file is not
        ("nvidia--DeepSeek-V4-Flash-NVFP4", None),
        ("Qwen--Qwen3-32B-FP8", None),
    ],
)
def test_the_format_of_the_cache(name: str, cache: str | None) -> None:
    found, *_ = read_quantization(BLOCKS[name]["config"], BLOCKS[name]["beside"])
    assert found is not None
    assert found.kv_cache == cache


TORCHAO = {"_type": "Float8DynamicActivationFloat8WeightConfig", "_data": {}}
SCHEME = {"num_bits": 8, "type": "int", "strategy": "channel", "group_size": None}


@pytest.mark.parametrize(
    ("block", "says", "inputs"),
    [
        ({"quant_method": "awq", "bits": 4, "group_size": 128}, "int4 in groups of 128", None),
        ({"quant_method": "awq", "w_bit": 4, "q_group_size": 64}, "int4 in groups of 64", None),
        ({"quant_method": "gptq", "bits": 8, "group_size": -1}, "int8", None),
        ({"quant_method": "auto-round", "bits": 2, "group_size": 32}, "int2 in groups of 32", None),
        ({"load_in_8bit": True}, "int8", "int8"),
        ({"load_in_4bit": True}, "fp4 in groups of 64", None),
        ({"quant_method": "hqq", "quant_config": {"weight_quant_params": {"nbits": 3,
          "group_size": 64}}}, "int3 in groups of 64", None),
        ({"quant_method": "eetq"}, "int8", None),
        ({"quant_method": "fbgemm_fp8"}, "fp8", "fp8"),
        ({"quant_method": "quanto", "weights": "float8"}, "fp8", None),
        ({"quant_method": "aqlm", "num_codebooks": 2, "nbits_per_codebook": 8,
          "in_group_size": 8}, "aqlm in groups of 8", None),
        ({"quant_method": "torchao", "quant_type": "int8_weight_only"}, "int8", None),
        ({"quant_method": "torchao", "quant_type": {"default": TORCHAO}}, "fp8", "fp8"),
        ({"quant_method": "compressed-tensors", "config_groups": {"group_0": {
          "targets": ["Linear"], "weights": SCHEME, "input_activations": SCHEME}}}, "int8", "int8"),
        ({"quant_method": "quark", "global_quant_config": {"weight": {"dtype": "fp4",
          "qscheme": "per_group", "group_size": 32}}}, "mxfp4 in groups of 32", None),
        ({"quant_method": "modelopt", "quant_algo": "W4A8_AWQ"}, "int4 in groups of 128", "fp8"),
        ({"quant_method": "fp_quant", "forward_dtype": "mxfp4"}, "mxfp4 in groups of 32", None),
        ({"bits": 4, "group_size": 64}, "int4 in groups of 64", None),  # MLX
    ],
)  # fmt: skip
def test_every_method_names_its_format(
    block: dict[str, Any], says: str, inputs: str | None
) -> None:
    stored = read(block).format_of("attn", "q_proj", layer=0)
    assert stored is not None
    assert (str(stored), stored.activations) == (says, inputs)


@pytest.mark.parametrize(
    ("method", "says"),
    [
        # the defaults of transformers' src/transformers/utils/quantization_config.py, and of mlx_lm
        ("awq", "int4 in groups of 128"), ("awq_marlin", "int4 in groups of 128"),
        ("marlin", "int4 in groups of 128"), ("auto-round", "int4 in groups of 128"),
        ("intel/auto-round", "int4 in groups of 128"), ("hqq", "int4 in groups of 64"),
        ("sinq", "int4 in groups of 64"), ("metal", "int4 in groups of 64"),
        ("mlx", "int4 in groups of 64"), ("higgs", "int4 in groups of 256"),
        ("spqr", "int3 in groups of 16"), ("gemma", "int4"),
    ],
)  # fmt: skip
def test_a_method_alone_means_its_own_bits_and_groups(method: str, says: str) -> None:
    assert str(read({"quant_method": method}).default) == says


@pytest.mark.parametrize("method", ["gptq", "gptq_marlin"])
def test_groups_of_gptq_are_128_where_its_bits_alone_are_said(method: str) -> None:
    assert str(read({"quant_method": method, "bits": 4}).default) == "int4 in groups of 128"


def test_bits_of_a_codebook_are_of_its_group() -> None:
    block = {"quant_method": "aqlm", "num_codebooks": 1, "nbits_per_codebook": 16}
    default = read(block).default
    assert default is not None
    assert default.bits == 16 / 8  # 8 elements share an index of 16 bits


def test_the_older_name_and_a_block_inside_a_text_config_are_read() -> None:
    block = {"quant_method": "eetq"}
    assert read_quantization({"compression_config": block})[0] == read(block)
    for key in ("compression_config", "quantization", "quantization_config"):
        assert tf.load_model({**LLAMA, key: block}).quantization == read(block)
    inside = read_quantization({"text_config": {"quantization_config": block}})[0]
    assert inside is not None
    assert inside.default == read(block).default


def test_a_block_inside_a_text_config_says_nothing_of_what_sees() -> None:
    """Of the seven matrices of a layer, those of the tower and what is between stay wide."""
    block = {"quant_method": "eetq"}
    text = {**LLAMA, "quantization_config": block}
    model = tf.load_model({"model_type": "llava", "text_config": text})
    of_text = sum(tf.load_model(LLAMA).params_by_group[group] for group in ("attn", "mlp"))
    assert model.quantization is not None
    narrow = [
        sets * part.matrix_parameters
        for part, sets, stored in matrices(model.description, model.quantization)
        if stored is not None and isinstance(part, Linear)
    ]
    assert sum(narrow) == of_text


def test_sixteen_bits_of_a_module_leave_it_as_it_is() -> None:
    """AutoRound says so of routers and heads; eight bits are a format of their own."""
    said = {"lm_head": {"bits": 16, "data_type": "float"}, "up_proj": {"bits": 8}}
    found = read({"quant_method": "auto-round", "bits": 4, "group_size": 128, "extra_config": said})
    assert found.format_of("lm_head", "lm_head") is None
    up, down = (found.format_of("mlp", name, 0) for name in ("up_proj", "down_proj"))
    assert up is not None
    assert down is not None
    assert (up.name, down.name) == ("int8", "int4")


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ({"quant_method": "zebra"}, "'zebra' is not known"),
        ({"quant_method": ["x"]}, "is not known"),
        ([1], "expected an object"),
        ({"quant_method": "fp8", "weight_block_size": 7}, "weight_block_size is 7"),
        ({"quant_method": "gptq"}, "bits is None"),
        ({"quant_method": "awq", "ignore": 5}, "a list of modules"),
        ({"quant_method": "modelopt", "quant_algo": "NVFP5"}, "'NVFP5', which is not known"),
        ({"quant_method": "modelopt", "quantized_layers": {"a": 1}}, "quantized_layers says 1"),
        ({"quant_method": "eetq", "exclude": ["a" * 1000]}, "at most 200 letters"),
        ({"quant_method": "eetq", "exclude": [f"a{n}" for n in range(9999)]}, "at most 3,000"),
    ],
)
def test_what_is_not_understood_is_a_note_and_changes_no_count(block: Any, words: str) -> None:
    model = tf.load_model({**LLAMA, "quantization_config": block})
    assert model.params == tf.load_model(LLAMA).params
    assert model.quantization is None
    assert words in model.notes[-1]
    assert model.notes[-1].startswith("the quantization is left out: ")
    assert model.format_said == model.notes[-1]
    assert model.notes[-1].endswith(model.format_unknown)
    # bytes do depend on it: refused, by what is not understood, where no format is named
    for refused in (lambda: tf.fit(model, "h100"), lambda: tf.plan(model, ["h100"])):
        with pytest.raises(UsageError, match=re.escape(words)):
            refused()
    assert tf.fit(model, "h100", dtype="int4").fits
    # what is trained is as wide whatever was published; what is frozen is not
    trained = tf.train(model, "h100", devices=8)
    assert "are published in a format that is not understood" in str(trained)
    with pytest.raises(UsageError, match=re.escape(words)):
        tf.train(model, "h100", devices=8, lora=8)


def test_a_block_that_names_no_format_of_weights_leaves_them_wide() -> None:
    block = {"quant_method": "modelopt", "quant_algo": None, "kv_cache_quant_algo": "FP8"}
    model = tf.load_model({**LLAMA, "quantization_config": block})
    assert "names no format of weights" in model.notes[-1]
    assert tf.fit(model, "h100").precision.name == "bf16"


def test_the_file_beside_is_read_and_a_broken_one_is_a_note(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    beside = tmp_path / "hf_quant_config.json"
    said = {"quant_algo": "FP8", "kv_cache_quant_algo": "FP8", "exclude_modules": ["lm_head"]}
    beside.write_text(json.dumps({"quantization": said}))
    model = tf.load_model(tmp_path)
    assert model.quantization is not None
    line = "quantized by modelopt: attn, mlp in fp8; embed_tokens, lm_head wide"
    assert model.notes == (f"{line}; keys and values in fp8",)
    beside.write_text("{")
    assert "not valid JSON" in tf.load_model(tmp_path).notes[0]


def test_a_group_that_is_narrow_in_part_says_which_share() -> None:
    """One of four layers' MLP and the head stay as they were."""
    block = {"quant_method": "fp8", "weight_block_size": [128, 128],
             "modules_to_not_convert": ["model.layers.0.mlp", "lm_head"]}  # fmt: skip
    model = tf.load_model({**LLAMA, "num_hidden_layers": 4, "quantization_config": block})
    assert model.quantization is not None
    assert model.quantization.line(model.description) == (
        "quantized by fp8: attn, mlp (75%) in fp8 in blocks of 128 x 128; "
        "embed_tokens, mlp (25%), lm_head wide"
    )


def test_parameters_by_format_add_up_to_the_matrices_of_each_layer() -> None:
    wide = ["model.layers.0.mlp", "model.layers.2.self_attn.q_proj"]
    block = {"quant_method": "fp8", "modules_to_not_convert": wide}
    model = tf.load_model({**LLAMA, "quantization_config": block})
    assert model.quantization is not None
    mlp, q, rest = 3 * 64 * 128, 64 * 64, 64 * 64 + 2 * 64 * 32  # rest: o, k and v of a layer
    assert model.quantization.by_group(model.description) == {
        "embed_tokens": {"wide": 6400},
        "attn": {"fp8": 3 * q + 4 * rest, "wide": q},
        "mlp": {"fp8": 3 * mlp, "wide": mlp},
        "lm_head": {"wide": 6400},
    }


def test_layers_of_different_kinds_keep_their_numbers() -> None:
    """Qwen3-Next: every fourth layer attends in full."""
    model = tf.load_model({
        "model_type": "qwen3_next", "num_hidden_layers": 8,
        "quantization_config": {"quant_method": "fp8", "ignored_layers": ["layers.3.self_attn"]},
    })  # fmt: skip
    assert model.quantization is not None
    attn = model.quantization.by_group(model.description)["attn"]
    assert attn["fp8"] == attn["wide"]  # layers 3 and 7
    assert list(model.quantization.by_group(model.description)["linear_attn"]) == ["fp8"]


@pytest.mark.parametrize(
    ("pattern", "layer", "means"),
    [
        ("lm_head", 0, False),
        ("self_attn", 0, True),
        ("attn", 0, True),
        ("q_proj", 5, True),
        ("proj", 5, False),
        ("model.layers.1*", 12, True),
        ("model.layers.1.*", 12, False),
        ("model.layers.12", 12, True),
        ("re:.*layers\\.(11|12)\\.self_attn.*", 12, True),
        ("re:.*layers\\.(11|13)\\.self_attn.*", 12, False),
        ("re:model\\.layers\\.\\d+\\.self_attn\\.q_proj$", 7, True),
        ("re:(a+)+$", 0, False),
        ("model.visual*", 0, False),
        ("mtp.layers.0*", 0, False),
    ],
)
def test_patterns_mean_modules_as_whole_words(pattern: str, layer: int, means: bool) -> None:
    assert matches((pattern,), names_of("decoder", "attn", "q_proj", True), layer) is means
