"""The format that a model's name says is the one its weights are counted in."""

from __future__ import annotations

import pytest
import thermoflop as tf
from thermoflop.cost.inference.formats import choose_formats
from thermoflop.errors import InputError
from thermoflop.model.config.named_format import named_format


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("llama3.1:8b-instruct-q4_K_M", "q4_k_m"),
        ("unsloth/Qwen3-32B-GGUF:UD-Q2_K_XL", "q2_k"),
        ("bartowski/gemma-2-9b-it-IQ4_XS", "iq4_xs"),
        ("llama-3-8b-q4_K", "q4_k_m"),
        ("Llama 3 8B Q4_K_M", "q4_k_m"),
        ("llama-3-8b-UD-TQ1_0", "tq1_0"),
        ("hugging-quants/Meta-Llama-3.1-70B-Instruct-AWQ-INT4", "awq-int4-g128"),
        ("Qwen/Qwen2.5-72B-Instruct-GPTQ-Int8", "gptq-int8-g128"),
        ("mlx-community/Qwen3-8B-4bit", "mlx-int4-g64"),
        ("unsloth/llama-3-8b-bnb-4bit", "bnb-nf4-dq"),
        ("RedHatAI/Llama-3.3-70B-Instruct-quantized.w4a16", "w4a16-g128"),
        ("RedHatAI/Qwen3-235B-A22B-Instruct-2507-FP8-dynamic", "fp8-dynamic"),
        ("nvidia/DeepSeek-R1-NVFP4", "nvfp4"),
        ("meta-llama/Llama-3.1-8B-Instruct", None),
    ],
)
def test_the_word_and_what_it_means(name: str, meant: str | None) -> None:
    assert named_format(name) == meant


@pytest.mark.parametrize(
    ("name", "said"), [("llama-3-8b-q9_x", "q9_x of .* such as q4_k_m"), ("qwen3-8b-q4", "q4 of"),
                       ("llama3.1:8b-q8", "q8 of .* such as q8_0")],
)  # fmt: skip
def test_a_format_in_a_name_that_is_none_is_refused(name: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        tf.load_model(name)


@pytest.mark.parametrize("form", ["q4_K_M", "UD-Q2_K_XL", "iq3_xxs", "tq1_0", "mxfp4_moe", "f16"])
def test_a_format_behind_a_name_of_the_catalogue_is_no_shape(form: str) -> None:
    assert tf.load_model(f"qwen3-30b-a3b-{form}").name == "qwen3-30b-a3b"


# Of a matrix of 4,096 x 4,096 and its scales: fp8 in blocks of 128, a scale of 4 bytes each; fp8
# with one scale a matrix and one of its inputs; 16 bits.
_SIDE = 4096
_BLOCKS, _TENSOR, _WIDE = _SIDE**2 + 4 * 32**2, _SIDE**2 + 8, 2 * _SIDE**2


@pytest.mark.parametrize(
    ("name", "matrix_bytes"),
    [
        # Qwen's cards: "fine-grained fp8 quantization with block size of 128"
        ("Qwen/Qwen3-8B-FP8", _BLOCKS), ("Qwen3-32B-FP8", _BLOCKS),
        ("Qwen/Qwen3-235B-A22B-Instruct-2507-FP8", _BLOCKS),
        ("Qwen/Qwen3-Next-80B-A3B-Instruct-FP8", _BLOCKS), ("Qwen/Qwen3.5-27B-FP8", _BLOCKS),
        ("Qwen/Qwen3-VL-8B-Instruct-FP8", _BLOCKS), ("RedHatAI/Qwen3-8B-FP8-block", _BLOCKS),
        ("nvidia/Qwen3-8B-FP8", _TENSOR),
        # Mistral's: "post-trained version in FP8", beside base and reasoning in BF16
        ("mistralai/Mistral-Large-3-675B-Instruct-2512", _TENSOR),
        ("mistralai/Ministral-3-3B-Instruct-2512", _TENSOR), ("ministral-3-14b", _TENSOR),
        ("mistralai/Ministral-3-8B-Instruct-2512", _TENSOR),
        ("mistralai/Ministral-3-8B-Base-2512", _WIDE),
        ("mistralai/Ministral-3-14B-Reasoning-2512", _WIDE),
        ("mistralai/Mistral-Large-3-675B-Instruct-2512-BF16", _WIDE),
        ("unsloth/DeepSeek-V3-bf16", _WIDE),
    ],
)  # fmt: skip
def test_a_published_repository_is_counted_in_the_format_of_its_card(
    name: str, matrix_bytes: int
) -> None:
    model = tf.load_model(name)
    _, checkpoint = choose_formats(model, tf.find_device("h200"), None, None)
    stored = None if checkpoint is None else checkpoint.quantization.format_of("attn", "q_proj", 0)
    assert (_WIDE if stored is None else stored.bytes_of(_SIDE, _SIDE)) == matrix_bytes


@pytest.mark.parametrize(
    ("name", "narrow"),
    [
        # "this checkpoint additionally quantizes the wo module in attention layers" (of v2)
        ("nvidia/DeepSeek-R1-0528-FP4", {"experts"}),
        ("nvidia/DeepSeek-R1-NVFP4", {"experts"}),
        ("nvidia/DeepSeek-R1-FP4-v2", {"experts", "o_proj"}),
        ("nvidia/DeepSeek-R1-0528-NVFP4-v2", {"experts", "o_proj"}),
    ],
)
def test_attention_stays_wide_where_nvidias_deepseek_keeps_it(name: str, narrow: set[str]) -> None:
    _, checkpoint = choose_formats(tf.load_model(name), tf.find_device("b200"), None, None)
    assert checkpoint is not None
    of = checkpoint.quantization.format_of
    groups = {"q_a_proj": "attn", "kv_b_proj": "attn", "o_proj": "attn", "experts": "experts"}
    found = {name for name, group in groups.items() if of(group, name, 5) is not None}
    assert found == narrow


@pytest.mark.parametrize(
    ("name", "stated_gb"),
    [
        # sizes of the cards and files that test_published_sizes and memory.json name
        ("llama-3.3-70b-instruct-awq", 39.8),
        ("TheBloke/Llama-2-13B-chat-GPTQ", 7.26),
        ("llama-3-70b:q4_K_M", 39.6 * 2**30 / 1e9),
    ],
)
def test_weights_are_counted_in_it(name: str, stated_gb: float) -> None:
    capacity = tf.estimate(name, "h100")
    assert capacity.memory.weight_bytes / 1e9 == pytest.approx(stated_gb, rel=0.012)
    assert tf.fit(name, "h100", dtype="bf16").precision.label == "bf16"
    assert any("the name means" in note for note in tf.load_model(name).notes)


# Sizes that Ollama's README states of what it downloads, in GB.
@pytest.mark.parametrize(
    ("name", "format_", "stated_gb"),
    [
        ("llama3.3", "q4_k_m", 43), ("llama3.2:3b", "q4_k_m", 2.0), ("llama3.2:1b", "q8_0", 1.3),
        ("phi4", "q4_k_m", 9.1), ("phi4-mini", "q4_k_m", 2.5), ("deepseek-r1:7b", "q4_k_m", 4.7),
        ("deepseek-r1:671b", "q4_k_m", 404), ("gemma3:27b", "q4_k_m", 17),
        ("gemma3", "q4_k_m", 3.3), ("gemma3:12b", "q4_k_m", 8.1), ("gemma3:1b", "q4_k_m", 0.815),
        ("gemma2", "q4_0", 5.5),
        ("gemma2:27b", "q4_0", 16), ("codellama:7b", "q4_0", 3.8),
        ("ollama/llama3.3", "q4_k_m", 43), ("llama4:16x17b", "q4_k_m", 67),
    ],
)  # fmt: skip
def test_a_name_of_ollamas_library_is_as_large_as_its_download(
    name: str, format_: str, stated_gb: float
) -> None:
    capacity = tf.estimate(name, "h200", generate=0, prompt=1)
    assert capacity.precision.name == format_
    assert capacity.memory.weight_bytes / 1e9 == pytest.approx(stated_gb, rel=0.026)
    said = f"is a name of Ollama's library, whose download is {format_}"
    assert said in " ".join(str(capacity).split())


@pytest.mark.parametrize(
    ("name", "format_"),
    [
        ("llama3.1:8b-instruct-fp16", "bf16"), ("llama3.1:8b-instruct-q8_0", "q8_0"),
        ("gemma3:27b-it-qat", "q4_0"), ("deepseek-r1:671b-fp16", "bf16"),
        ("gpt-oss:20b", "mxfp4"), ("llama3.1-8b", "bf16"),
        ("hf.co/Qwen/Qwen3-8B-GGUF", "q4_k_m"), ("unsloth/gpt-oss-20b-GGUF", "mxfp4"),
        ("hf.co/Qwen/Qwen3-8B-GGUF:Q8_0", "q8_0"), ("someone/llama3.1:8b", "q4_k_m"),
        ("gpt2", "bf16"),
        ("meta-llama/Llama-3.1-8B", "bf16"), ("qwen3-8b", "bf16"), ("llama-3.1-8b", "bf16"),
    ],
)  # fmt: skip
def test_a_tag_that_says_its_format_has_it_and_other_names_none(name: str, format_: str) -> None:
    assert tf.fit(name, "h200").precision.name == format_


@pytest.mark.parametrize("name", ["mistral", "qwen3", "mixtral", "codellama", "qwq", "phi4-mini"])
def test_a_name_without_a_size_is_ollamas_download_whatever_else_it_may_be(name: str) -> None:
    """One rule: ``mistral`` as ``qwen3``; a name of the catalogue is as it was published."""
    model = tf.load_model(name)
    assert (model.named_format or "").startswith("q4_")
    assert f"{name} is a name of Ollama's library" in model.format_said
    assert tf.load_model(model.name).named_format is None
    for other in ("gpt-2", "bert", "t5", "roberta", "pythia"):
        assert tf.load_model(other).named_format is None


@pytest.mark.parametrize("name", ["gpt-oss:20b", "llama3.1:8b-instruct-fp16", "qwen3:8b-q8_0"])
@pytest.mark.parametrize("device", ["rtx 5070 ti", "m4 max"])
def test_ollamas_name_is_its_own_file_under_llama_cpp_whatever_its_format(
    name: str, device: str
) -> None:
    unnamed, ollamas = (tf.fit(name, device, profile=profile) for profile in (None, "ollama"))
    assert unnamed.memory.weight_bytes == ollamas.memory.weight_bytes
    assert unnamed.longest_context == ollamas.longest_context
    assert tf.estimate(name, device).setting.profile.engine.name == "llama.cpp"


def test_ollamas_gpt_oss_keeps_16_bits_beside_its_experts_and_llama_cpps_8() -> None:
    """13.8 GB in Ollama's library; 11.27 GiB in llama.cpp's own file (its discussion 15396)."""
    for profile, size in ((None, 13.8e9), ("ollama", 13.8e9), ("llama.cpp", 11.27 * 2**30)):
        memory = tf.estimate("gpt-oss:20b", "rtx 4090", profile=profile).memory
        assert memory.weight_bytes == pytest.approx(size, rel=0.005)


def test_an_estimate_and_a_plan_say_that_the_format_is_ollamas() -> None:
    text = " ".join(str(tf.estimate("qwen3:4b", "rtx 4090")).split())
    assert "qwen3:4b is a name of Ollama's library, whose download is q4_k_m" in text
    assert "Ollama" not in str(tf.estimate("qwen3:4b", "rtx 4090", dtype="bf16"))
    found = tf.plan("qwen3:4b", "rtx 4090", max_devices=1)
    assert {choice.dtype for choice in found.choices} == {"q4_k_m"}
    assert found.choices[0].launch.startswith("llama-server")
    assert any("qwen3:4b is a name of Ollama's library" in note for note in found.notes)


def test_16_bits_are_those_that_the_device_has() -> None:
    assert tf.fit("llama3.1:8b-instruct-fp16", "v100").precision.weight_bytes == 2
    assert "says 16 bits" in str(tf.fit("llama3.1:8b-instruct-fp16", "v100"))


def test_a_device_without_the_format_reads_it_and_computes_in_16_bits() -> None:
    precision = tf.fit("llama-3.1-70b-instruct-fp8", "a100", devices=8).precision
    assert (precision.compute, precision.family) == ("bf16", "8w")


def test_an_own_entry_of_the_catalogue_says_it_by_itself() -> None:
    for name in ("qwen3-32b-fp8", "llama-3.1-8b"):
        assert tf.load_model(name).named_format is None


@pytest.mark.parametrize(
    ("name", "asked", "format_"),
    [
        ("DeepSeek-V3.1", {}, "fp8"), ("deepseek-v3.1", {}, "q4_k_m"),
        ("deepseek-v3.1", {"profile": "vllm"}, "fp8"),
        ("deepseek-v3.1", {"profile": "llama.cpp"}, "q4_k_m"),
        ("deepseek-v3.1", {"profile": "ollama"}, "q4_k_m"),
        ("DeepSeek-V3.1:671b", {}, "q4_k_m"), ("Qwen3-Coder", {}, "bf16"),
        ("qwen3-coder:30b", {"profile": "vllm"}, "q4_k_m"),
    ],
)  # fmt: skip
def test_a_makers_spelling_or_a_servers_profile_means_the_model_as_published(
    name: str, asked: dict[str, str], format_: str
) -> None:
    assert tf.fit(name, "8xh200", **asked).precision.name == format_


def test_a_plan_of_a_makers_name_serves_it_as_published() -> None:
    for name, profile in (("DeepSeek-V3.1", "auto"), ("deepseek-v3.1", "sglang")):
        found = tf.plan(name, "h200", max_devices=8, users=64, profile=profile)
        assert {choice.dtype for choice in found.choices} == {"fp8"}
