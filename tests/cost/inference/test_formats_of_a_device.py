"""What 16 bits are on devices that lack bf16: fp16, whether bf16 is the default or asked for.

CUDA C++ Programming Guide, compute capabilities: bf16 from 8.0 (Ampere) on; T4 and RTX 20 are 7.5,
V100 7.0, GTX 10 6.1, P100 6.0.
"""

from __future__ import annotations

import pytest
import thermoflop as tf
from thermoflop.base.record import replace
from thermoflop.cost.catalogue.devices import catalogue
from thermoflop.errors import UsageError

OLD = ("t4", "v100", "rtx 2080 ti", "gtx 1080 ti", "p100", "quadro rtx 6000", "rx 6900 xt")


@pytest.mark.parametrize("name", OLD)
@pytest.mark.parametrize("dtype", [None, "bf16"])
def test_nothing_is_headed_bf16_on_a_device_without_it(name, dtype):
    asked = {} if dtype is None else {"dtype": dtype}
    found = [
        tf.fit("gpt2", name, **asked), tf.estimate("gpt2", name, **asked),
        tf.train("gpt2", name, **asked), tf.serving("gpt2", name, users=1, **asked),
    ]  # fmt: skip
    for answer in found:
        head = str(answer).partition("\n\n")[0].splitlines()
        assert not [line for line in head if "bf16" in line and "is counted as fp16" not in line]
        assert "fp16" in " ".join(head)
    assert found[0].memory.weight_bytes == tf.fit("gpt2", name, dtype="fp16").memory.weight_bytes


@pytest.mark.parametrize("name", ["rtx 3060", "m2 ultra", "h100", "rx 7900 xtx", "arc b580"])
def test_devices_that_have_it_compute_in_bf16(name):
    assert tf.fit("gpt2", name).precision.name == "bf16"


def test_no_card_before_ampere_has_bf16():
    old = ("GTX ", "RTX 206", "RTX 207", "RTX 208", "V100", "P100", "T4", "TITAN", "Quadro")
    assert not [name for name, device in catalogue().items()
                if name.startswith(old) and "bf16" in device.peaks]  # fmt: skip


def test_a_plans_command_asks_for_what_the_device_has():
    """vLLM refuses bf16 below compute capability 8.0 and names --dtype=half."""
    found = tf.plan("qwen3-0.6b", "t4", users=2, max_devices=1, profile="vllm", dtypes=["bf16"])
    assert "--dtype half" in found.choices[0].launch
    assert "--dtype" not in tf.plan("qwen3-0.6b", "l4", users=2, max_devices=1, profile="vllm",
                                    dtypes=["bf16"]).choices[0].launch  # fmt: skip


@pytest.mark.parametrize("gpu", ["mi355x", "mi350x", "trainium3"])
@pytest.mark.parametrize(
    "ask",
    [
        lambda gpu: tf.estimate("gpt2", gpu, dtype="NVFP4"),
        lambda gpu: tf.fit("gpt2", gpu, dtype="nvfp4"),
        lambda gpu: tf.serving("gpt2", gpu, users=1, dtype="nvfp4"),
        lambda gpu: tf.train("gpt2", gpu, dtype="nvfp4"),
        lambda gpu: tf.plan("gpt2", gpu, dtypes=["nvfp4"], max_devices=1),
    ],
)
def test_nvidias_4_bits_are_refused_where_a_device_multiplies_ocps(gpu, ask):
    """Scales of 8 bits for 16 (nvfp4) and powers of two for 32 (OCP MX) are other units."""
    with pytest.raises(UsageError, match="does not compute in nvfp4: its 4 bits are mxfp4"):
        ask(gpu)
    assert tf.estimate("gpt2", gpu, dtype="quark-mxfp4").precision.compute == "fp4"


def test_what_is_published_in_nvidias_4_bits_is_multiplied_in_16_on_others():
    """Its weights are as narrow on both."""
    block = {"quant_method": "modelopt", "quant_algo": "NVFP4"}
    model = tf.load_model({"model_type": "gpt2", "quantization_config": block})
    found = {gpu: tf.estimate(model, gpu).precision for gpu in ("b200", "mi355x")}
    assert [each.compute for each in found.values()] == ["fp4", "bf16"]
    assert found["b200"].weight_bits == found["mi355x"].weight_bits


@pytest.mark.parametrize(
    ("model", "asked", "form"),
    [
        ("phi-4", {}, "q4_k_m"),
        ("deepseek-r1", {}, "q4_k_m"),  # which is published in fp8
        ("gpt-oss-20b", {}, "mxfp4"),
        ("phi-4", {"dtype": "q8_0"}, "q8_0"),
        ("phi4:14b-fp16", {}, "bf16"),  # as wide as its tag says
    ],
)
def test_ollamas_profile_means_ollamas_download(model, asked, form):
    """Ollama pulls q4_K_M where no tag says another format (docs.ollama.com; issue 1543)."""
    asked = {**asked, "profile": "ollama"}
    answers = [tf.fit(model, "8xh200", **asked), tf.estimate(model, "8xh200", **asked)]
    answers.append(tf.serving(model, "8xh200", users=1, **asked))
    assert [found.precision.name for found in answers] == [form] * 3


@pytest.mark.parametrize("all_of_them", [-1, "all", "auto", 999])
def test_llama_cpps_words_for_all_layers_are_taken(all_of_them):
    whole = tf.fit("gpt2", "rtx 4090", profile="llama.cpp").memory
    options = {"ngl": all_of_them}
    assert tf.fit("gpt2", "rtx 4090", profile="llama.cpp", engine_options=options).memory == (
        replace(whole, assumed=tf.fit("gpt2", "rtx 4090", profile="llama.cpp",
                                      engine_options=options).memory.assumed)
    )  # fmt: skip
