"""What each engine is known to do, its changes by version and month, and many devices."""

from __future__ import annotations

import numpy as np
import pytest
import thermoflop as tf
from kit.made_up import DEVICE
from thermoflop.base.record import replace
from thermoflop.cost.catalogue.devices import find_device
from thermoflop.cost.catalogue.profiles import find_profile
from thermoflop.cost.engines.engine import (
    DEFAULT,
    ENGINES,
    PYTHON,
    Engine,
    attention_peak_of,
    find_engine,
    named_engine,
    peak_of,
    wide_peak_of,
)
from thermoflop.cost.engines.generation import renewed
from thermoflop.cost.engines.overheads import HIGHEST_OF, apply_engine, apply_engine_to
from thermoflop.cost.hardware.precision import choose_precision
from thermoflop.cost.kernels.sheet import attention_flops_s
from thermoflop.cost.roofline.formula import Efficiency
from thermoflop.cost.roofline.rates import rates_of
from thermoflop.cost.work.work import Work

# Languages of their repositories: C++ of llama.cpp and FasterTransformer, modules of PyTorch, and
# what torch.compile and XLA make of them before a run.
COMPILED, INTERPRETED = ("llama.cpp", "fastertransformer", "gpt-fast", "jax"), ("vllm", "exllama")


def test_a_launch_through_the_interpreter_costs_the_host_several() -> None:
    """Tens of microseconds against a few."""
    assert {each.host for each in (*ENGINES, DEFAULT)} == {1.0, PYTHON}
    assert 5 <= PYTHON <= 10
    assert {named_engine(each).host for each in COMPILED} == {1.0}
    assert {named_engine(each).host for each in INTERPRETED} == {PYTHON}


@pytest.mark.parametrize("engine", [*ENGINES, DEFAULT], ids=lambda each: each.name)
def test_a_step_takes_as_many_tokens_as_vllms_does_on_a_large_card(engine: Engine) -> None:
    assert engine.budget == 8192  # max_num_batched_tokens


def test_an_engine_reads_chunks_and_writes_out_weights_as_its_sources_say() -> None:
    """ubatch of llama.cpp: 512, prefill_step_size of mlx_lm/generate.py: 2,048; from 32 rows on
    cuBLAS in 16 bits (ggml-cuda.cu of May 2024), ExLlama from 8 (q4_matmul.cu), DeepSpeed always
    (``quantized_gemm`` of its pt_binding.cpp); two chunks in flight over cards."""
    chunks = {each.name: each.chunk for each in ENGINES if each.chunk}
    assert chunks == {"llama.cpp": 512, "mlx": 2048}
    written = {each.name: each.dequantizes for each in ENGINES if each.dequantizes}
    assert written == {"llama.cpp": 32, "exllama": 8, "deepspeed": 1}
    assert {each.name: each.in_flight for each in ENGINES if each.in_flight} == {"llama.cpp": 2}


@pytest.mark.parametrize("rows", [1, 8, 9, 12, 13, 512])
def test_few_rows_are_padded_one_by_one_where_kernels_are_for_vectors(rows: int) -> None:
    """MMVQ_MAX_BATCH_SIZE of ggml-cuda/mmvq.cuh, ne11_mm_min of ggml-metal: kernels for a matrix
    and up to 8 vectors, each row a ninth of the padding; up to 12 with MLX, each a thirteenth
    (get_qmv_batch_limit); below 8 with TinyChat (WQLinear.forward of llm-awq's qmodule.py) and
    ExLlama (matmul_recons_thd of its model.py); the others run such products as any."""
    product = Work("up", "decoder", "mlp", "contraction", 2, 6.0 * rows, 6.0, 1.5, 0, 0,
                   element_bytes=0.5)  # fmt: skip
    attention = Work("attention", "decoder", "attn", "attention", 2, 6.0, 6.0, 0, 0, 0)
    plain = choose_precision("q4_0")
    for engine in ENGINES:
        made, attended = apply_engine([product, attention], engine, plain)[-2:]
        most = {"llama.cpp": 8, "mlx": 12, "exllama": 7, "tinychat": 7}.get(engine.name, 0)
        few = 6.0 * min(1.0, rows / (most + 1)) if most else 6.0
        assert made.row_flops == pytest.approx(few), engine.name
        assert attended.row_flops == 6.0
    batches = np.array([4.0, 8.0, 16.0])
    (many,) = apply_engine([replace(product, flops=6.0 * batches)], find_engine("ollama"), plain)
    assert list(many.row_flops) == pytest.approx([24 / 9, 48 / 9, 6.0])


@pytest.mark.parametrize("device", ["m4 max 40c", "m1 pro 16c", "rtx4090"])
@pytest.mark.parametrize("dtype", ["q4_k_m", "bf16"])
def test_all_users_of_llama_cpp_never_get_less_as_there_is_one_more(device, dtype) -> None:
    """Nine users of an M4 Max had 186 tokens/s together where eight had 306."""
    users = np.arange(1, 49)
    found = tf.estimate("llama-3-8b", device, dtype=dtype, profile="llama.cpp", prompt=512,
                        generate=64, batch=users)  # fmt: skip
    together = users / found.per_token.expected_s
    assert np.all(np.diff(together) > -1e-9 * together[1:])


def test_tensorrt_was_compiled_before_it_ran_on_pytorch() -> None:
    """Since 1.0 its steps that carry a chunk are launched kernel by kernel."""
    old, new = (find_profile(name).engine for name in ("tensorrt-llm@0.17", "tensorrt-llm"))
    assert (old.host, old.eager_chunks, old.reads, old.narrows) == (1.0, False, "passes", False)
    assert (new.host, new.eager_chunks, new.reads, new.narrows) == (PYTHON, True, "chunks", True)


@pytest.mark.parametrize(
    ("label", "dequantizes", "graphs", "kernels"),
    [
        ("llama.cpp (2024-05)", 32, False, "fused"), ("llama.cpp (2024-06)", None, True, "fused"),
        ("llama.cpp (2025-07)", None, True, "fused"), ("llama.cpp", None, True, "attention"),
        ("llama.cpp (2025-08)", None, True, "attention"), ("llama.cpp (2023)", 32, False, "fused"),
    ],
)  # fmt: skip
def test_llama_cpp_changed_in_june_2024_and_in_august_2025(
    label: str, dequantizes: int | None, graphs: bool, kernels: str
) -> None:
    """Pulls 7676 and 6766: quantized products on tensor cores, steps as graphs; 15434: attention as
    one kernel by default."""
    found = renewed(find_engine(label), label)
    assert (found.dequantizes, found.graphs, found.kernels) == (dequantizes, graphs, kernels)


@pytest.mark.parametrize(
    ("name", "compute", "peak", "attention"),
    [
        ("vllm", "bf16", 1e14, 1e14),
        ("vllm", "fp16", 2e14, 2e14),
        ("vllm", "fp8", 4e14, 1e14),
        ("llama.cpp", "fp16", 3e14, 3e14),
        ("llama.cpp", "bf16", 1e14, 1e14),
        ("llama.cpp", "int8", 5e14, 1e14),
    ],
)
def test_products_in_half_precision_may_be_summed_so_and_attention_stays_in_16_bits(
    name: str, compute: str, peak: float, attention: float
) -> None:
    peaks = {"bf16": 1e14, "fp16": 2e14, "fp8": 4e14, "int8": 5e14}
    device = replace(DEVICE, peaks=peaks, half_accumulate_flops_s=3e14)
    engine = find_engine(name)
    assert peak_of(engine, device, compute) == peak
    assert attention_peak_of(engine, device, compute) == attention
    slower = replace(device, half_accumulate_flops_s=None)
    assert peak_of(engine, slower, compute) == peaks[compute]
    narrow = replace(device, peaks={"fp16": 2e14, "fp8": 4e14})
    assert attention_peak_of(engine, narrow, "fp8") == 2e14
    assert attention_peak_of(engine, replace(device, peaks={"fp8": 4e14}), "fp8") == 4e14


@pytest.mark.parametrize(("name", "slowed"), [("vllm", True), ("vllm@0.11", False)])
def test_exponentials_slow_attention_alone_in_generations_of_today(name: str, slowed: bool) -> None:
    device = find_device("h100")
    engine, peak = find_profile(name).engine, device.peak("bf16")
    assert wide_peak_of(engine, device, "fp8") == peak
    expected = attention_flops_s(device, peak) if slowed else peak
    assert attention_peak_of(engine, device, "fp8") == expected
    rates = rates_of(device, choose_precision("bf16"), Efficiency(), engine)
    assert (rates.wide_flops_s, rates.attention_flops_s) == (peak, expected)


@pytest.mark.parametrize(
    ("vendor", "peaks", "narrow"),
    [
        ("NVIDIA", {"fp16": 60e12, "int8": 120e12}, 60e12),  # matrix units, bytes twice as fast
        ("NVIDIA", {"fp16": 12e12, "int8": 48e12}, 24e12),  # P40: four bytes an instruction
        ("NVIDIA", {"fp16": 120e12, "int8": 60e12}, 120e12),  # V100: matrix units for 16 bits alone
        ("NVIDIA", {"fp16": 20e12}, 20e12),
        ("AMD", {"fp16": 120e12, "int8": 120e12}, 60e12),  # RDNA 3: bytes take as long
        ("AMD", {"fp16": 27e12}, 27e12),
        ("Apple", {"fp16": 14e12}, 14e12),
    ],
)
def test_llama_cpp_multiplies_narrow_weights_in_8_bits_since_june_2024(
    vendor: str, peaks: dict[str, float], narrow: float
) -> None:
    """Rates are those of devices with twice the peak in 8 bits: half of it is what they share."""
    device = replace(DEVICE, vendor=vendor, peaks=peaks)
    now, before = (renewed(find_engine("llama.cpp"), label) for label in ("", "(2024-05)"))
    assert peak_of(now, device, "fp16", narrow=True) == narrow
    assert peak_of(now, device, "fp16") == peak_of(before, device, "fp16", narrow=True)
    assert peak_of(now, device, "fp16") == peaks["fp16"]
    assert peak_of(find_engine("vllm"), device, "fp16", narrow=True) == peaks["fp16"]


def test_a_consumer_card_multiplies_bytes_no_faster_than_twice_what_is_summed_in_half_precision():
    """An RTX 3090: 71 TFLOP/s, 142 summed in fp16, 284 in int8; what is stored in mxfp4, computed
    in bf16, keeps its peak (gpt-oss-20b reads 4,739 tokens/s there, llama.cpp pull 20586)."""
    peaks = {"bf16": 71e12, "fp16": 71e12, "int8": 284e12}
    device = replace(DEVICE, vendor="NVIDIA", peaks=peaks, half_accumulate_flops_s=142e12)
    now = renewed(find_engine("llama.cpp"), "")
    assert peak_of(now, device, "bf16", narrow=True) == 71e12
    assert peak_of(now, device, "fp16", narrow=True) == 142e12


@pytest.mark.parametrize("power", range(len(HIGHEST_OF)))
def test_the_highest_of_so_many_normal_numbers(power: int) -> None:
    """The mean of a maximum is the sum of x times the growth of the n-th power of the normal
    distribution, here in steps of a thousandth from -9 to 9."""
    x = np.linspace(-9, 9, 18_001)
    density = np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)
    below = np.minimum(np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2000)]), 1.0)
    grown = np.diff(below ** (2.0**power))
    mean = float(np.sum((x[1:] + x[:-1]) / 2 * grown))
    assert HIGHEST_OF[power] == pytest.approx(mean, abs=1.5e-3)


@pytest.mark.parametrize(("ep", "most"), [(256, 2.826), (1024, 2.826), (128, 2.594), (1, 0.0)])
def test_beyond_256_devices_the_fullest_is_that_of_256(ep: int, most: float) -> None:
    """Of 400 experts of a device 100 are met: the variance is 100 x 3/4."""
    from types import SimpleNamespace

    one = Work("expert up", "layers", "experts", "contraction", 1.0, 1.0, 1.0, 100.0, 0.0, 0.0,
               operator=SimpleNamespace(sets=100.0), element_bytes=2.0)  # fmt: skip
    (found,) = apply_engine([one], find_profile("vllm").engine, choose_precision("bf16"), 400.0, ep)
    assert found.weight_bytes == pytest.approx(100 + most * 75**0.5, rel=1e-3)


@pytest.mark.parametrize(
    ("rows", "written"), [(31.0, False), (32.0, True), (33.0, True), (500.0, True)]
)
def test_weights_are_written_out_from_32_rows_on(rows: float, written: bool) -> None:
    """A hundred elements of half a byte: 250 bytes to write them out, 200 to read; the head and a
    matrix that is wide stay as they are."""
    engine, narrow = find_engine("llama.cpp"), choose_precision("q4_0")
    one = Work("q_proj", "layers", "attn_proj", "contraction", 1.0, 7 * rows, 7.0, 50.0, 0.0, 0.0,
               element_bytes=0.5)  # fmt: skip
    works = apply_engine([one], engine, narrow)
    sizes = [(work.kind, work.weight_bytes) for work in works]
    expected = [("element-wise", 250.0), ("contraction", 200.0)]
    assert sizes == (expected if written else [("contraction", 50.0)])
    many = replace(one, flops=np.array([7 * rows, 7 * 99.0]))
    first, second = apply_engine([many], engine, narrow)
    assert list(first.weight_bytes) == [250.0 * written, 250.0]
    assert list(second.weight_bytes) == [200.0 if written else 50.0, 200.0]
    for other in (replace(one, part="head"), replace(one, element_bytes=2.0)):
        assert [work.weight_bytes for work in apply_engine([other], engine, narrow)] == [50.0]
    assert apply_engine_to(one, engine, written=True).weight_bytes == 200.0
    assert apply_engine_to(one, engine, written=False).weight_bytes == 50.0


def test_experts_are_chosen_by_five_kernels_and_a_gate_is_one() -> None:
    engine = find_profile("vllm@0.11").engine
    works = [
        Work(name, "layers", "experts", kind, 1.0, 1.0, 1.0, 0.0, 0.0, 1.0, launches=launches)
        for name, kind, launches in (
            ("routing softmax", "element-wise", 1), ("combine experts", "element-wise", 3),
            ("silu x up", "element-wise", 0), ("expert up", "contraction", 1),
            ("expert down", "contraction", 1), ("k_proj", "contraction", 1),
        )
    ]  # fmt: skip
    found = apply_engine(works, engine, choose_precision("bf16"))
    assert [work.launches for work in found] == [5, 1, 1, 0, 1, 0]


def test_mlx_computes_layers_without_keys_for_the_last_token_of_a_prompt_alone() -> None:
    """Gemma 4 E2B: 20 of 35 layers meet the keys of the 15 before them, and keep none
    (``num_kv_shared_layers``). With MLX, and in the bound of any engine, their products have one
    row of 512, or of a sequence; llama.cpp computes all."""
    rows = {}
    bounds = []
    for name in ("mlx", "llama.cpp"):
        found = tf.estimate("gemma-4-e2b", "m4 max", profile=name, dtype="bf16", prompt=512)
        setting = found.setting
        ((_, step),) = setting.prompt_steps(512, 2)
        for whose, works in ((name, setting.works(step)),
                             (f"{name}, bound", setting.least_reading(step))):  # fmt: skip
            ups = [work for work in works if work.name == "up_proj"]
            rows[whose] = [(sum(work.times for work in ups if work.operator.m == m), m)
                           for m in sorted({work.operator.m for work in ups})]  # fmt: skip
        bounds.append(found.first_token.bound_s)
    some, every = [(20, 2), (15, 1024)], [(35, 1024)]
    assert rows == {"mlx": some, "mlx, bound": some, "llama.cpp": every, "llama.cpp, bound": some}
    assert bounds[0] == bounds[1]


def test_layers_without_keys_run_for_a_whole_prompt_where_a_later_one_makes_keys_of_it() -> None:
    """Hunyuan-Large: every other layer has keys (``cla_share_factor``), the first and the third of
    four, so that the third needs all tokens of the second, which has none."""
    config = {
        "model_type": "hunyuan", "architectures": ["HunYuanForCausalLM"], "vocab_size": 512,
        "hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 4,
        "num_attention_heads": 4, "num_key_value_heads": 2, "num_experts": 1,
        "use_cla": True, "cla_share_factor": 2,
    }  # fmt: skip
    found = tf.estimate(tf.load_model(config), "h100", prompt=64)
    works = found.setting.least_reading(found.setting.whole_prompt(64, 1))
    assert sum(work.times for work in works if work.name == "q_proj") == 4
    assert {work.operator.m for work in works if work.name == "q_proj"} == {64}
    assert "the last token" not in found.setting.least_said
