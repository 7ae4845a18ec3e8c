"""Weights of published checkpoints beside their size on disk, as their publisher states it.

``read`` sizes are of the model cards in TheBloke's repositories on Hugging Face ("Provided files":
bits, group size, size in GB of 1e9 bytes, as three digits and more), of
``model.safetensors.index.json`` (total_size) or of the bytes of all tensors; where each is from
stands beside it. GPTQ keeps the order of its rows besides (g_idx, 0.2 %), which engines drop.
"""

from __future__ import annotations

from typing import Any

import pytest
import thermoflop as tf
from thermoflop.base.record import replace
from thermoflop.cost.work.weights import Checkpoint, weights_on_fullest
from thermoflop.model.config.quantization import read_quantization

AWQ = {"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": True, "version": "gemm"}


def gptq(bits: int, group: int) -> dict[str, Any]:
    return {"quant_method": "gptq", "bits": bits, "group_size": group, "desc_act": True}


# model, quantization_config, GB on disk, where it is read
CARDS: list[tuple[str, dict[str, Any], float, str]] = [
    *(("llama-2-7b", gptq(*form), size, "TheBloke/Llama-2-7b-Chat-GPTQ")
      for form, size in (((4, 128), 3.90), ((4, 64), 4.02), ((4, 32), 4.28))),
    *(("llama-2-13b", gptq(*form), size, "TheBloke/LLaMA2-13B-Tiefighter-GPTQ")
      for form, size in (((4, 128), 7.26), ((4, 32), 8.00), ((8, -1), 13.36), ((8, 128), 13.65))),
    ("llama-2-13b", gptq(4, 64), 7.51, "TheBloke/MythoMax-L2-13B-GPTQ"),
    *(("mistral-7b", gptq(*form), size, "TheBloke/Mistral-7B-Instruct-v0.1-GPTQ")
      for form, size in (((4, 128), 4.16), ((4, 32), 4.57), ((8, 128), 7.68))),
    ("mistral-7b", gptq(8, -1), 7.52, "TheBloke/zephyr-7B-beta-GPTQ"),
    *(("llama-2-70b", gptq(*form), size, "TheBloke/Xwin-LM-70B-V0.1-GPTQ")
      for form, size in (((4, -1), 35.33), ((4, 128), 36.65), ((4, 32), 40.66))),
    *(("llama-2-70b", gptq(*form), size, "TheBloke/StableBeluga2-70B-GPTQ")
      for form, size in (((3, -1), 26.78), ((3, 64), 29.30))),
    *(("mixtral-8x7b", gptq(*form), size, "TheBloke/Mixtral-8x7B-Instruct-v0.1-GPTQ")
      for form, size in (((4, -1), 23.81), ((4, 128), 24.70), ((4, 32), 27.42), ((3, -1), 18.01),
                         ((3, 128), 18.85), ((8, -1), 47.04), ((8, 128), 48.10))),
    *(("codellama-34b", gptq(*form), size, "TheBloke/CodeLlama-34B-Instruct-GPTQ")
      for form, size in (((4, 128), 18.33), ((4, 64), 18.98), ((4, 32), 20.28))),
    ("codellama-34b", gptq(3, -1), 13.54, "TheBloke/Phind-CodeLlama-34B-v2-GPTQ"),
    *(("llama-30b", gptq(*form), size, "TheBloke/Wizard-Vicuna-30B-Uncensored-GPTQ")
      for form, size in (((4, -1), 16.94), ((4, 32), 19.44), ((4, 64), 18.18))),
    *(("phi-2", gptq(*form), size, "TheBloke/phi-2-GPTQ")
      for form, size in (((4, 128), 1.84), ((4, 32), 1.98))),
    ("llama-2-7b", AWQ, 3.89, "TheBloke/meditron-7B-AWQ"),
    ("llama-2-13b", AWQ, 7.25, "TheBloke/LLaMA2-13B-Tiefighter-AWQ"),
    ("llama-2-70b", AWQ, 36.61, "TheBloke/Synthia-70B-v1.2b-AWQ"),
    ("mistral-7b", AWQ, 4.15, "TheBloke/Mistral-7B-v0.1-AWQ"),
    ("llama-3.3-70b", AWQ, 39.8, "Sinensis/L3.3-MS-Nevoria-70b-AWQ, HF size"),
    ("qwen3.5-9b", {"quant_method": "mlx", "bits": 8, "group_size": 64}, 10.426433504,
     "total_size of leo-kreisman/Qwen3.5-9B-MLX-8bit"),
]  # fmt: skip


def size_of(model: Any, quantization: Any) -> float:
    return weights_on_fullest(model.description, 1, Checkpoint(quantization))


@pytest.mark.parametrize(
    ("name", "block", "stated", "where"), CARDS, ids=[f"{row[0]} {row[2]} GB" for row in CARDS]
)
def test_a_published_form_is_as_large_as_its_card_says(
    name: str, block: dict[str, Any], stated: float, where: str
) -> None:
    quantization, fault, _ = read_quantization({"quantization_config": block})
    assert not fault
    assert size_of(tf.load_model(name), quantization) / 1e9 == pytest.approx(stated, rel=0.01), (
        where
    )


def test_gpt_oss_is_as_large_as_its_tensors_to_the_byte() -> None:
    """Bytes of all tensors: alvarobartt/hf-mem#60, and total_size of openai/gpt-oss-20b's index."""
    for name, stated in (("gpt-oss-120b", 65_248_815_744), ("gpt-oss-20b", 13_761_264_768)):
        model = tf.load_model(name)
        assert size_of(model, model.quantization) == stated


def test_deepseek_v3_is_as_large_as_its_index_with_the_layer_that_looks_ahead() -> None:
    """total_size 688,586,727,753 of deepseek-ai/DeepSeek-V3; the layer's copies of embedding and
    head, 129,280 x 7,168 x 2 B each, are in the file as well."""
    model = tf.load_model("deepseek-v3", mtp=True)
    copies = 2 * 129_280 * 7168 * 2
    size = size_of(model, model.quantization)
    assert size + copies == pytest.approx(688_586_727_753, rel=0.0005)


def test_a_checkpoint_without_its_block_is_bf16() -> None:
    model = replace(tf.load_model("gpt-oss-20b"), quantization=None)
    assert tf.fit(model, "h100").memory.weight_bytes == 2 * model.params


def test_gpt_oss_is_as_large_for_llama_cpp_as_its_own_files() -> None:
    """11.27 and 59.02 GiB (llama-bench's tables of llama.cpp's discussion 15396); experts of 4.25
    bits, their biases, routers and norms as they were, attention and both tables of 201,088 x 2,880
    in 8.5 bits. Ollama's files keep these in 16."""
    for name, gib in (("gpt-oss-20b", 11.27), ("gpt-oss-120b", 59.02)):
        for dtype in (None, "mxfp4"):
            found = tf.fit(name, "b200", profile="llama.cpp", dtype=dtype)
            assert found.memory.weight_bytes + found.budget.host_bytes == pytest.approx(
                gib * 2**30, rel=0.002
            )
        ollama = tf.fit(name, "b200", profile="ollama")
        whole = ollama.memory.weight_bytes + ollama.budget.host_bytes
        assert whole == tf.fit(name, "b200").memory.weight_bytes
