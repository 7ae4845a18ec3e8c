"""Weights as the checkpoint is published: matrix by matrix, in memory and in what steps read."""

from __future__ import annotations

from typing import Any

import pytest
import thermoflop as tf
from kit.made_up import decoder
from thermoflop.base.record import replace
from thermoflop.cost.hardware.precision import choose_precision
from thermoflop.cost.inference.formats import (
    as_downloaded,
    as_gguf,
    as_planned,
    choose_formats,
    formats_line,
)
from thermoflop.cost.why.memory import explained, why_memory
from thermoflop.cost.work.share import Layout, Share
from thermoflop.cost.work.steps import decode_step
from thermoflop.errors import UsageError
from thermoflop.model.architecture.quantization import Stored
from thermoflop.model.config.catalogue import entry
from thermoflop.model.config.stored_files import StoredWeights
from thermoflop.model.load import load_model

LLAMA = load_model("llama-3-8b")
# Elements of the layers' matrices of Llama 3 8B, and of what stays in 16 bits: embedding, head,
# 65 norms (h 4096, ffn 14336, 8 of 32 heads, 128,256 words, 32 layers).
MATRICES = 32 * (2 * 4096**2 + 2 * 4096 * 1024 + 3 * 4096 * 14336)
REST = 2 * 128256 * 4096 + 65 * 4096


def weights(model: str, device: str = "h100", **options: Any) -> float:
    return float(tf.fit(model, device, **options).memory.weight_bytes)


def test_a_checkpoint_in_mxfp4_is_weighed_to_the_byte() -> None:
    """65,248,815,744 B on disk (alvarobartt/hf-mem#60)."""
    assert weights("gpt-oss-120b") == 65_248_815_744
    assert weights("gpt-oss-120b", dtype="mxfp4") == 65_248_815_744
    assert tf.fit("gpt-oss-120b", "h100").fits


def test_meta_leaves_attention_and_two_layers_wide() -> None:
    """57.75 GiB on each of 8 (vllm-project/vllm#6746), asked for by either name."""
    for name, dtype in (("llama-3.1-405b-fp8", None), ("llama-3.1-405b", "fp8")):
        assert weights(name, devices=8, dtype=dtype) == pytest.approx(57.75 * 2**30, rel=0.02)


def test_a_list_that_leaves_the_routers_wide_leaves_nothing_else_so() -> None:
    """MiniMax-M3-MXFP8 is some 444 GB on disk (smg pull 2553), and M3 itself 2 bytes a weight."""
    assert weights("minimax-m3-mxfp8") == pytest.approx(444e9, rel=0.01)
    assert weights("minimax-m3") == 2 * 427_040_132_864


def test_deepseek_fits_eight_h200_in_fp8() -> None:
    capacity = tf.fit("deepseek-v3", "h200", devices=8)
    assert capacity.fits
    assert capacity.precision.label == "fp8 as published"
    assert tf.fit("deepseek-v3", "h200", devices=8, dtype="bf16").precision.label == "bf16"


@pytest.mark.parametrize(
    ("form", "bits"),
    [
        # bits an element: what the method's own code writes (see quantization_formats)
        ("gptq-int4-g128", 4 + (16 + 4) / 128),
        ("gptq-int8-g32", 8 + (16 + 8) / 32),
        ("awq-int4-g64", 4 + (16 + 4) / 64),
        ("bnb-nf4", 4 + 32 / 64),
        ("bnb-nf4-dq", 4 + 8 / 64 + 32 / (64 * 256)),
        ("hqq-int4-g64", 4 + 32 / 64),
        ("w4a16-g128", 4 + 16 / 128),
        ("w4a16-asym-g128", 4 + (16 + 4) / 128),
        ("mxfp8", 8 + 8 / 32),
        ("fp8-block128", 8 + 32 / 128**2),
    ],
)
def test_a_named_form_has_its_scales(form: str, bits: float) -> None:
    assert weights("llama-3-8b", dtype=form) == pytest.approx(MATRICES * bits / 8 + 2 * REST)


def test_mlx_narrows_head_and_embedding_as_well() -> None:
    """A scale and a bias in 16 bits for 64 elements, of every matrix."""
    whole = MATRICES + 2 * 128256 * 4096
    assert weights("llama-3-8b", dtype="mlx-int4-g64") == whole * 4.5 / 8 + 2 * 65 * 4096


def test_a_name_that_is_no_form_is_refused() -> None:
    for name in ("gptq-int4-gx", "bnb-nf5", "fp8-block", "w9a16"):
        with pytest.raises(UsageError, match=name):
            weights("llama-3-8b", dtype=name)


FP8 = {"quant_method": "fp8", "weight_block_size": [128, 128]}
KEYS: dict[str, Any] = {
    "model_type": "llama", "hidden_size": 1024, "num_hidden_layers": 6, "intermediate_size": 4096,
    "num_attention_heads": 16, "num_key_value_heads": 4, "vocab_size": 1000,
}  # fmt: skip


def share(config: dict[str, Any], plan: Layout) -> Share:
    model = load_model(config)
    precision, checkpoint = choose_formats(model, tf.find_device("h100"), None, None)
    return Share(model.description, plan, precision, checkpoint)


@pytest.mark.parametrize(
    ("wide", "narrow_layers"), [([], 6), (["model.layers.0", "re:.*layers\\.5\\..*"], 4)]
)
def test_a_decode_step_reads_the_bytes_that_memory_holds(
    wide: list[str], narrow_layers: int
) -> None:
    """All matrices but the embedding once: time and memory count the same."""
    block = {**FP8, "modules_to_not_convert": wide}
    each = 2 * 1024**2 + 2 * 1024 * 256 + 3 * 1024 * 4096
    blocks = 4 * (2 * 8 * 8 + 2 * 8 * 2 + 3 * 8 * 32)
    expected = narrow_layers * (each + blocks) + (6 - narrow_layers) * 2 * each + 2 * 1000 * 1024
    one = share({**KEYS, "quantization_config": block}, Layout())
    works = one.works(decode_step(10, 1))
    read = sum(work.times * work.weight_bytes for work in works if work.kind == "contraction")
    assert read == pytest.approx(expected, rel=1e-12)


def test_layers_of_one_stage_count_as_they_are() -> None:
    """Of 6 layers in fp8 but the last two, the second of two stages is the fullest."""
    block = {**FP8, "modules_to_not_convert": ["model.layers.4", "model.layers.5"]}
    config = {**KEYS, "quantization_config": block}
    from thermoflop.cost.memory import weight_bytes

    each = 2 * 1024**2 + 2 * 1024 * 256 + 3 * 1024 * 4096
    scales = 4 * (2 * 8 * 8 + 2 * 8 * 2 + 3 * 8 * 32)
    norms = 3 * 2 * 1024 * 2
    stage = each + scales + 2 * 2 * each + norms + 1000 * 1024 * 2
    assert weight_bytes(share(config, Layout(pp=2))) == stage


def test_tensor_parallel_blocks_are_those_of_the_part() -> None:
    """A block that is cut has a scale on both sides: 4096 / 64 rows are half a block of 128."""
    from thermoflop.cost.memory import weight_bytes

    config = {**KEYS, "quantization_config": FP8, "num_key_value_heads": 16}
    one, many = (share(config, Layout(tp=tp)) for tp in (1, 16))
    matrices = 6 * (4 * 1024**2 + 3 * 1024 * 4096)
    part = matrices / 16 + 6 * 4 * (4 * 8 + 3 * 8 * 2)
    whole = 2 * 1000 * 1024 * 2
    assert weight_bytes(many) == part + 2 * 2 * 63 * 1024 + 13 * 1024 * 2
    assert weight_bytes(one) == matrices + 6 * 4 * (4 * 64 + 3 * 8 * 32) + whole + 13 * 1024 * 2


def test_products_are_computed_in_what_the_device_has() -> None:
    """Without fp8 units the weights are read in fp8 and multiplied in 16 bits (Marlin)."""
    on_h100, on_a100 = (tf.fit("qwen3-32b-fp8", name).precision for name in ("h100", "a100"))
    assert (on_h100.compute, on_h100.family) == ("fp8", "8")
    assert (on_a100.compute, on_a100.family) == ("bf16", "8w")
    assert on_h100.weight_bits == on_a100.weight_bits == pytest.approx(8 + 32 / 128**2, rel=1e-4)


def test_no_expectation_passes_the_bound_and_why_names_what_stays_wide() -> None:
    e = tf.estimate("gpt-oss-120b", "h100", prompt=512, generate=64)
    for span in (e.first_token, e.per_token, e.total):
        assert span.bound_s <= span.low_s <= span.expected_s <= span.high_s
    why = explained(why_memory(e, "memory.weights"))
    assert "experts" in why
    assert "mxfp4 in groups of 32" in why
    assert "left wide by name: model.layers.*.self_attn" in why


def test_widths_of_a_plain_format_are_untouched() -> None:
    """Llama 3 8B in bf16 and awq as before: no checkpoint is made up where none is published."""
    assert choose_formats(LLAMA, tf.find_device("h100"), None, None)[1] is None
    assert choose_formats(LLAMA, tf.find_device("h100"), "awq", None) == (
        choose_precision("awq"), None,
    )  # fmt: skip


def test_nvfp4_with_its_head_and_the_layer_ahead_in_16_bits_is_as_large_as_published() -> None:
    """CortexLM/GLM-5.1-NVFP4-MTP: about 441 GB with 19.9 GB of mtp.safetensors in bf16; lm_head is
    wide, every other Linear in 4 bits with an fp8 scale for 16."""
    ahead = tf.load_model("glm-5.1", mtp=True).params - tf.load_model("glm-5.1").params
    assert 2 * ahead == pytest.approx(19.9e9, rel=1e-3)
    held = tf.fit("glm-5.1", "b200", dtype="modelopt-nvfp4").memory.weight_bytes
    assert held + 2 * ahead == pytest.approx(441e9, rel=2e-3)


def test_nvfp4_with_all_of_attention_wide_is_as_large_as_published() -> None:
    """AH22-neb/GLM-4.6-NVFP4: about 220 GB; MLP and experts in 4 bits, self-attention and lm_head
    in bf16. GLM-4.6 has the shape of GLM-4.5."""
    found = entry("glm-4.5")
    assert found is not None
    said = {"quant_method": "modelopt", "quant_algo": "NVFP4", "ignore": ["lm_head", "*self_attn*"]}
    model = tf.load_model({**found["config"], "quantization_config": said})
    fitted = tf.fit(model, "b200")
    assert fitted.memory.weight_bytes == pytest.approx(220e9, rel=0.01)
    assert "attn" in str(fitted).split("in nvfp4", 1)[1].split("wide")[0]


AWQ = "meta-llama/Llama-3.1-8B-Instruct-AWQ"


@pytest.mark.parametrize(
    ("name", "engine", "named", "said"),
    [
        (AWQ, "llama.cpp", True, "no GGUF file is in awq-int4-g128"),
        (AWQ, "llama.cpp", False, "no GGUF file is in awq-int4-g128"),
        ("Qwen/Qwen3-8B-FP8", "llama.cpp", True, "no GGUF file is in fp8-block128"),
        ("Qwen/Qwen3-8B-FP8", "exllama", False, "exllama reads no weights in fp8-block128"),
        ("Qwen/Qwen3-8B-FP8", "exllama", True, ""),  # who named the engine is told so elsewhere
        ("Qwen/Qwen3-8B-FP8", "vllm", False, ""), ("llama-3-8b", "exllama", False, ""),
    ],
)  # fmt: skip
def test_a_format_that_an_engine_reads_not_is_left_and_said(name, engine, named, said):
    model = load_model(name)
    found, sentence = as_planned(model, engine, named=named)
    if not said:
        assert (found, sentence) == (model, "")
        return
    assert sentence == f"{said}: other formats are tried"
    assert (found.quantization, found.stored, found.named_format, found.format_said) == (
        None, None, None, "",
    )  # fmt: skip
    assert found.description == model.description


def test_a_plan_holds_a_model_as_ollamas_download_does():
    """Ollama keeps in 16 bits what llama.cpp's own files of gpt-oss have in q8_0 (8.5 bits)."""
    model = load_model("gpt-oss-20b")
    planned = {name: as_planned(model, name, named=True)[0] for name in ("ollama", "llama.cpp")}
    assert planned["ollama"] == model == as_downloaded(model, "ollama")
    assert planned["llama.cpp"] == as_downloaded(model, "llama.cpp") != model


def test_formats_that_a_file_states_itself_stay_in_a_gguf_file():
    model = load_model("gpt-oss-20b")
    own = model.quantization
    assert own is not None
    stated = replace(own, targets=((Stored("q6_k", 6), ("*.mlp.*",)),))
    found = as_gguf(replace(model, quantization=stated), "llama.cpp").quantization
    assert found is not None
    assert [each.name for each, _ in found.targets] == ["q6_k", "q8_0"]


@pytest.mark.parametrize(
    ("named", "counted", "said"),
    [
        ("bf16", "fp16", True), ("bf16", "bf16", True), (None, "bf16", True),
        ("awq", "bf16", False), ("bf16", "fp8", False), ("fp8", "fp8", True),
    ],
)  # fmt: skip
def test_what_a_name_means_is_said_where_it_is_counted_so(named, counted, said):
    """Sixteen bits are sixteen bits."""
    model = replace(load_model("gpt2"), named_format=named, format_said="as its name means")
    line = formats_line(model, None, choose_precision(counted))
    assert line == ("as its name means" if said else "")


@pytest.mark.parametrize(
    ("config", "name"),
    [
        ({"quant_method": "eetq"}, "int8-wo"),  # weights alone
        ({"load_in_8bit": True}, "int8"),  # LLM.int8(): both sides
        ({"quant_method": "gptq", "bits": 4, "group_size": 128}, "gptq"),
    ],
)
def test_8_bits_of_weights_alone_are_called_so(config, name):
    """Products of what has inputs of 16 bits are not those of int8."""
    found = tf.estimate(decoder(quantization_config=config), "h100", batch=1, prompt=9)
    assert found.precision.name == name


@pytest.mark.parametrize(
    ("name", "gpu", "engine", "compute"),
    [
        ("gpt-oss-20b", "b200", "tensorrt-llm", "fp8"),
        ("gpt-oss-20b", "b200", "sglang", "fp8"),
        ("gpt-oss-20b", "5090", "tensorrt-llm", "fp8"),
        ("gpt-oss-20b", "5090", "sglang", "bf16"),  # its kernels for SM120
        ("gpt-oss-20b", "gb300", "sglang", "fp8"),
        ("gpt-oss-20b", "b200", "vllm", "bf16"),  # unless a variable of the environment asks for it
        ("gpt-oss-20b", "b200", None, "bf16"),
        ("gpt-oss-20b", "h100", "tensorrt-llm", "bf16"),
        ("gpt-oss-20b", "mi355x", "sglang", "bf16"),
        ("deepseek-v4-flash", "b200", "vllm", "fp8"),
        ("deepseek-v4-flash", "b200", None, "fp8"),
        ("deepseek-v4-flash", "h200", "vllm", "bf16"),
    ],
)
def test_experts_in_mxfp4_have_inputs_of_8_bits_where_an_engine_narrows_them(
    name, gpu, engine, compute
):
    """NVIDIA's table of gpt-oss: bf16 on Hopper, mxfp8 on Blackwell."""
    model, device = load_model(name), tf.find_device(gpu)
    found, _ = choose_formats(model, device, None, None, engine)
    assert found.compute == compute
    files = replace(model, stored=StoredWeights(1, 1, {"U8": 1}, {"U8": 1}))
    assert choose_formats(files, device, None, None, engine)[0].compute == compute
    wide = choose_formats(load_model(name), tf.find_device("h100"), None, None, "vllm")[0]
    assert found.weight_bits == wide.weight_bits


@pytest.mark.parametrize("name", ["gpt-oss-20b", "qwen3-32b-fp8", "llama-3-8b"])
def test_a_mac_without_an_engine_holds_the_files_of_llama_cpp(name):
    """Whose rates it has: attention of gpt-oss in q8_0, what is published in fp8 as q8_0."""
    gpu, engines = "m3-ultra", (None, "llama.cpp")
    plain, named = (tf.estimate(name, gpu, profile=each, prompt=64, generate=8) for each in engines)
    assert plain.memory.weight_bytes == named.memory.weight_bytes
    assert plain.per_token == named.per_token
    one, other = (tf.serving(name, gpu, profile=each, users=1) for each in engines)
    assert one.token_s == other.token_s


@pytest.mark.parametrize(
    ("model", "gpu", "profile", "said"),
    [
        ("qwen3-32b-fp8", "a100", "vllm", "in fp8: vllm reads weights in it, and multiplies in 16"),
        ("qwen3-32b-fp8", "a100", None, "in fp8: multiplied in 16 bits (Marlin)"),
        ("gemma-4-31b-it-nvfp4", "h100", "vllm", "in nvfp4: vllm reads weights in it, and mult"),
        ("qwen3-32b-fp8", "h100", "vllm", ""), ("gemma-4-31b-it-nvfp4", "b200", "vllm", ""),
        ("gpt-oss-20b", "a100", "vllm", ""),  # its inputs are of 16 bits on every device
    ],
)  # fmt: skip
def test_what_is_published_narrow_says_where_it_is_multiplied_wide(model, gpu, profile, said):
    """As ``--dtype fp8`` does, behind how the weights are kept."""
    asked = {"prompt": 64, "generate": 2, "profile": profile}
    for answer in (tf.estimate(model, gpu, **asked), tf.fit(model, gpu, **asked)):
        text = " ".join(str(answer).split())
        assert "quantized by" in text
        assert (said in text) if said else ("does not compute in" not in text)


@pytest.mark.parametrize(
    ("profile", "apart"), [(None, False), ("vllm@0.11", False), ("vllm", True)]
)
def test_experts_in_4_bits_have_the_rates_of_4_bits_where_no_rows_told_them_apart(profile, apart):
    """vLLM's rows of today have experts in 4 bits beside 16, older ones whole models in 4 alone."""
    made = tf.estimate("gpt-oss-20b", "h100", profile=profile)
    setting, device = made.setting, made.device
    assert setting.precision.families == ("4w experts", "16")
    whole, plain = (
        setting.profile.efficiency(device, replace(setting.precision, besides="", family=family))
        for family in ("4w", "16")
    )
    assert whole != plain
    assert (setting.rates.efficiency != whole) is apart
    assert ("none of them in mxfp4" in made.provenance) is apart
