"""What a row of memory is held against: each kind of row, with its prediction by hand."""

from __future__ import annotations

import pytest
import thermoflop as tf
from thermoflop.cost.data import published
from thermoflop.cost.published.row import Skipped, rows_of
from thermoflop.cost.validate.memory import _carried, memory_row

GIB, MIB = 2.0**30, 2.0**20
# A gated model of 2 layers: width 256, 8 heads of 32, inner 512, 1,000 words.
SHAPE = {"hidden": 256, "layers": 2, "heads": 8, "ffn": 512, "vocab": 1000, "gated": True}
PARAMS = 2 * (4 * 256 * 256 + 3 * 256 * 512 + 2 * 256) + 256 + 2 * 256_000
TOKEN = 2 * 2 * 2 * 256  # bytes of a token's keys and values
# 175 billion: 96 layers of 12,288, over 8 x 8 devices; a stage of 12 layers and a table
GPT = {"hidden": 12288, "layers": 96, "heads": 96, "tp": 8, "pp": 8, "micro_batch": 1,
       "seq_len": 2048, "precision": "fp16", "gpu_key": "A100-SXM-80GB", "recompute": "none",
       "interleave": 1, "sequence_parallel": False}  # fmt: skip


def predicted(**row):
    return memory_row({"id": "x", "model": "nobody's", "value": 1.0, "shape": SHAPE,
                       "precision": "fp16", **row})  # fmt: skip


def test_weights_are_their_parameters_in_their_format_and_its_unit():
    one = predicted(kind="weights_gib", value=3.0, nature="measured")
    assert one.predicted_bytes == 2 * PARAMS
    assert one.stated_bytes == 3 * GIB
    assert (one.measured, one.fitted, one.low_bytes, one.engine) == (True, False, None, "-")
    assert one.error == pytest.approx(2 * PARAMS / (3 * GIB) - 1)
    split = predicted(kind="weights_gib", tp=2)
    norms = 2 * 2 * 256 + 256
    assert split.predicted_bytes == 2 * ((PARAMS - norms) / 2 + norms)
    assert not predicted(kind="weights_gib").measured
    known = predicted(kind="weights_gib", model="Llama-3-8B-Instruct", shape=None)
    assert known.predicted_bytes == 2 * 8_030_261_248


@pytest.mark.parametrize(
    ("unit", "size"), [("gb", 1e9), ("gib", GIB), ("mb", MIB)]
)  # fmt: skip
def test_a_run_holds_weights_cache_and_what_is_in_flight(unit, size):
    """Batch 3 of 100 + 20 tokens; the prompt's 300 in flight, of the widest layer, and logits."""
    one = predicted(kind=f"inference_peak_memory_{unit}", engine="ExLlama v1", batch=3,
                    input_len=100, output_len=20)  # fmt: skip
    width = 2 * (2 * 256 + max(2 * 512, 2 * 256))
    assert one.stated_bytes == size
    assert one.predicted_bytes == 2 * PARAMS + 3 * 120 * TOKEN + 300 * width + 3 * 4 * 1000
    bare = predicted(kind="inference_peak_memory_gb", engine="ExLlama v1")
    assert bare.predicted_bytes == 2 * PARAMS + TOKEN + width + 4 * 1000
    context = predicted(kind="inference_peak_memory_gb", engine="ExLlama v1", context_len=50)
    assert context.predicted_bytes == 2 * PARAMS + 50 * (TOKEN + width) + 4 * 1000


def test_a_whole_device_has_its_contexts_and_buffers_of_every_token():
    """2.7 GB, and 30 widths of 2 bytes for each token of the prompts."""
    one = predicted(kind="inference_total_gpu_memory_gb", engine="FasterTransformer 5.x", batch=2,
                    input_len=128, output_len=8)  # fmt: skip
    kept = 2 * PARAMS + 2 * 136 * TOKEN
    assert one.predicted_bytes == kept + 2.7e9 + 30 * 256 * 2 * 128 * 2


def test_what_an_allocator_held_is_kept_once_and_work_on_every_device():
    """transformers: its sizes are in GiB whatever the unit says; two devices each work."""
    row = {"kind": "inference_peak_memory_gb", "engine": "HF transformers", "batch": 2,
           "input_len": 100, "output_len": 10}  # fmt: skip
    one, two = predicted(**row), predicted(**row, gpu_count=2)
    assert one.stated_bytes == GIB
    kept = 2 * PARAMS + 2 * 110 * TOKEN
    work = one.predicted_bytes - kept
    assert work > 0
    assert two.predicted_bytes == pytest.approx(kept + 2 * work)
    # engines of this kind were missed by a tenth of their work, files by a fiftieth
    assert one.low_bytes == pytest.approx(0.98 * kept + 0.9 * work)
    assert one.high_bytes == pytest.approx(1.02 * kept + 1.1 * work)


def test_megatrons_states_are_18_bytes_a_parameter_and_its_activations_korthikantis():
    """Korthikanti et al. 2022, table 2, of the first of eight stages, which keeps eight
    micro-batches: s b h (10 + 24/t + 5 a s / (h t)) for each of 12 layers."""
    states = predicted(kind="training_param_plus_optimizer_gib_per_gpu", **GPT)
    layers = 18 * 12 * 12288**2 * 96 / 64
    table = 18 * 51200 * 12288 / 8
    assert states.predicted_bytes == pytest.approx(layers + table, rel=2e-3)
    kept = predicted(kind="training_activation_gib_first_pipeline_stage", **GPT)
    sbh, scores = 2048 * 12288, 5 * 96 * 2048 / 12288
    assert kept.predicted_bytes == pytest.approx(96 * sbh * (10 + 24 / 8 + scores / 8))
    shared = {**GPT, "sequence_parallel": True, "recompute": "selective", "interleave": 3}
    fewer = predicted(kind="training_activation_gib_first_pipeline_stage", **shared)
    assert fewer.predicted_bytes == pytest.approx(96 * sbh * 34 / 8 * (1 + 7 / (8 * 3)))


def test_adapters_are_held_against_what_train_says_without_a_reserve_where_allocated():
    row = {"kind": "training_lora_gib", "model": "phi-1.5", "gpu_key": "A100-SXM-40GB",
           "lora_rank": 8, "lora_targets": "q,v", "micro_batch": 2, "seq_len": 512,
           "base": "bf16"}  # fmt: skip
    memory = tf.train("phi-1.5", "a100-40gb", lora=8, lora_targets="q,v", sequence=512,
                      micro_batch=2, global_batch=2, compiled=False).memory  # fmt: skip
    assert predicted(**row).predicted_bytes == memory.total_bytes
    held = predicted(**row, allocated=True)
    assert held.predicted_bytes == memory.total_bytes - memory.reserve_bytes


def test_a_row_of_training_that_states_its_memory_is_held_against_it():
    row = {"memory_gb_per_gpu": 20.0, "source": "MaxText", "gpu_key": "H100-SXM-80GB",
           "gpu_count": 1, "precision": "bf16", "seq_len": 1000, "global_batch": 2,
           "micro_batch": 1, "activation_recompute": "none", "kind": "iteration",
           "zero_stage": 1}  # fmt: skip
    one = predicted(**row)
    assert (one.kind, one.engine, one.measured) == ("training_total_gib", "maxtext", True)
    assert one.stated_bytes == 20e9
    states = (2 + 4 + 12) * PARAMS
    assert states < one.predicted_bytes < states + 3.5e9


def test_an_engines_line_is_what_fit_says_of_it():
    row = {"kind": "engine_cache_tokens", "engine": "vLLM 0.19", "model": "llama-3.1-8b",
           "gpu_key": "H100-SXM-80GB", "tp": 1, "precision": "bf16", "context_len": 8192,
           "options": {"gpu_memory_utilization": 0.95, "version": "0.19"}}  # fmt: skip
    found = tf.fit("llama-3.1-8b", "h100", prompt=8191, generate=1, profile="vllm",
                   engine_options=row["options"], dtype="bf16").budget  # fmt: skip
    one = predicted(**row)
    assert one.predicted_bytes == found.cache_tokens
    assert one.low_bytes < one.predicted_bytes < one.high_bytes
    assert one.covered is (one.low_bytes <= 1.0 <= one.high_bytes)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"kind": "weights_gib", "value": 0}, "no value"), ({"kind": "smell"}, "is not compared"),
        ({"kind": "weights_gib", "value": True}, "no value"),
        ({"kind": "weights_gib", "shape": None}, "shape unknown"),
        ({"kind": "engine_cache_gib", "engine": "vLLM"}, "lacks"),
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_compared_says_why(row, reason):
    with pytest.raises(Skipped, match=reason):
        predicted(**row)
    assert rows_of([[]], memory_row) == ([], [("row 0", "not an object")])


def test_of_training_the_rows_that_state_their_memory_are_judged() -> None:
    judged, training = _carried(), published("training")
    states = [raw for raw in training if "memory_gb_per_gpu" in raw]
    assert [raw for raw in judged if "train_tokens_b" in raw or raw in training] == states
    assert 0 < len(states) < len(training)
    assert len(judged) == len(states) + len(published("memory")) + len(published("engine_logs"))
