"""What a published row says in seconds, worked out by hand beside it."""

from __future__ import annotations

import pytest
import thermoflop as tf
from thermoflop.base.record import replace
from thermoflop.cost.catalogue.profiles import find_profile
from thermoflop.cost.inference.question import answer
from thermoflop.cost.published.names import config_of, model_of, precision_of
from thermoflop.cost.published.row import Skipped, by_reason, rows_of
from thermoflop.cost.published.serving import serving_row
from thermoflop.cost.published.training import is_training, narayanan_flops, training_row
from thermoflop.cost.training.memory import training_memory
from thermoflop.cost.work.steps import decode_step
from thermoflop.model.load import load_model

SERVED = {
    "id": "r1", "source": "s", "model": "gpt2", "engine": "vllm", "gpu_key": "H100-SXM-80GB",
    "precision": "bf16", "batch": 4, "input_len": 100, "output_len": 20,
    "shape": {"hidden": 768, "layers": 12, "heads": 12, "ffn": 3072, "vocab": 50257},
}  # fmt: skip
# a metric with its value: the phase it measures, seconds, whether its steps carry prefills
READINGS = [
    ({"metric": "end_to_end_latency_ms", "value": 250}, "total", 0.25, False),
    ({"metric": "end_to_end_latency_s", "value": 3}, "total", 3.0, False),
    ({"metric": "ttft_ms", "value": 40}, "prefill", 0.04, False),
    ({"metric": "prefill_tokens_per_s", "value": 8000}, "prefill", 4 * 100 / 8000, False),
    ({"metric": "tpot_ms", "value": 12}, "token", 0.012, False),
    ({"metric": "decode_tokens_per_s", "value": 200}, "token", 4 / 200, False),
    ({"metric": "ms_per_token_per_sequence", "value": 5}, "token", 4 * 0.005, True),
    ({"metric": "ms_per_token_per_sequence (wall per generated token / batch)", "value": 5},
     "total", 4 * 20 * 0.005, False),
    ({"metric": "phase_latency_s", "phase": "prefill", "value": 2}, "prefill", 2.0, False),
    ({"metric": "phase_latency_s", "phase": "decode", "value": 2}, "token", 2 / 20, False),
    ({"metric": "phase_latency_s", "phase": "decode", "value": 2, "output_len": None}, "token", 2.0,
     False),
    ({"metric": "phase_latency_s", "phase": "decode", "value": 2, "output_len": 1}, "token", 2.0,
     False),
    ({"metric": "tokens_per_s_(see note)", "value": 160}, "total", 4 * 20 / 160, False),
    ({"metric": "(prompt+generated)_tokens_per_s", "value": 240}, "total", 4 * 120 / 240, False),
    ({"metric": "output_tokens_per_s", "value": 160}, "total", 0.5, False),
    ({"metric": "output_tokens_per_s_per_gpu", "value": 10, "tp": 2, "pp": 3}, "total",
     4 * 20 / (10 * 2 * 3), False),
    ({"metric": "output_tokens_per_s_per_gpu", "value": 10}, "total", 4 * 20 / 10, False),
    ({"metric": "output_tokens_per_s_per_gpu", "value": 10, "tp": 2}, "total", 4 * 20 / 20, False),
    ({"metric": "output_tokens_per_s", "value": 1, "mean_step_ms_from_throughput": 7}, "token",
     0.007, True),
    ({"metric": "output_tokens_per_s", "value": 1, "itl_ms": 9}, "token", 0.009, False),
    ({"metric": "output_tokens_per_s", "value": 1, "tpot_ms": 8}, "token", 0.008, False),
]  # fmt: skip


@pytest.mark.parametrize(("reading", "phase", "seconds", "mixes"), READINGS)
def test_a_serving_metric_is_the_seconds_of_a_phase(reading, phase, seconds, mixes):
    row = serving_row({**SERVED, **reading})
    assert (row.phase, row.question.mixes_prefill) == (phase, mixes)
    assert row.measured_s == pytest.approx(seconds, rel=1e-12)


@pytest.mark.parametrize(
    ("change", "steps"),
    [
        ({}, 20),  # 70b_fp8_h200_trt_slurm.sh: batch_wait_timeout_iters below 8 devices
        ({"tp": 8}, 0), ({"output_len": 7373}, 0), ({"engine": "vLLM 0.19 (InferenceX)"}, 0),
        ({"model": "Llama-3.1-8B"}, 0), ({"engine": "TensorRT-LLM 1.2"}, 0),
    ],
)  # fmt: skip
def test_prompts_are_held_back_as_the_recipe_of_a_benchmark_says(change, steps):
    measured = {"metric": "ttft_ms", "value": 40, "max_concurrency": 4, "tp": 4, "gpu_count": 4}
    named = {"engine": "TensorRT-LLM (InferenceX)", "model": "Llama-3.1-70B"}
    lengths = {"input_len": 922, "output_len": 922}
    row = serving_row({**SERVED, **measured, **named, **lengths, **change})
    assert (row.phase, row.question.held) == ("client", steps)


@pytest.mark.parametrize(
    ("split", "engine", "layout"),
    [
        ({"gpu_count": 2}, "vllm", (2, 1, 1)),
        ({"gpu_count": 4}, "vllm", (4, 1, 1)),  # serving engines divide the heads
        ({"gpu_count": 4}, "llama.cpp", (1, 4, 1)),  # llama.cpp the layers
        ({"gpu_count": 4, "tp": 2, "pp": 2}, "vllm", (2, 2, 1)),
        ({"gpu_count": 2, "ep": 2}, "vllm", (2, 1, 2)),
        ({"gpu_count": 8, "ep": 8}, "vllm", (8, 1, 8)),  # attention over those who share experts
        ({}, "vllm", (1, 1, 1)),
    ],
)
def test_a_layout_that_is_not_stated_is_what_the_engine_does(split, engine, layout):
    row = serving_row({**SERVED, **split, "engine": engine, "metric": "tpot_ms", "value": 9})
    found = row.question.plan
    assert (found.tp, found.pp, found.ep) == layout


@pytest.mark.parametrize(
    ("lengths", "prompt", "generate", "cached"),
    [
        ({"input_len": 64, "output_len": 32}, 64, 32, 0),
        ({"input_len": None, "context_len": 300, "output_len": None}, 300, 128, 0),
        ({"input_len": 64, "cached_len": 1000, "output_len": 0}, 1064, 0, 1000),
        ({"task": "no such task", "mean_output_len": 41.6}, 500, 42, 0),
        ({"task": "lm-arena-chat", "mean_output_len": 0.3}, 100, 1, 0),
        ({"input_len": None, "output_len": 9}, 16, 9, 0),
    ],
)
def test_lengths_that_are_not_stated_are_assumed(lengths, prompt, generate, cached):
    workload = serving_row({**SERVED, **lengths, "metric": "tpot_ms", "value": 9}).question.workload
    assert (workload.prompt, workload.generate) == (prompt, generate)
    assert workload.prefix == cached


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"value": 0}, "no measured value"),
        ({"value": True}, "no measured value"),
        ({"value": 2e15}, "no measured value"),
        ({"oom": True}, "no measured value"),
        ({"usable": False}, "configuration incomplete in the source"),
        ({"lowest_offload_device": "CPU"}, "weights off the device: not modelled"),
        ({"engine": "Petals"}, "weights off the device: not modelled"),
        ({"engine": "ds-zero"}, "weights gathered from other devices in each step: not modelled"),
        ({"batch": 0}, "batch unknown"),
        ({"gpu_key": "A100 + H100"}, "devices of two kinds"),
        ({"gpu_key": "abacus"}, "device unknown, or not in the catalogue"),
        ({"metric": "smiles"}, "metric 'smiles' is not compared"),
    ],
)
def test_a_serving_row_that_cannot_be_used_says_why(change, reason):
    rows, skipped = rows_of([{**SERVED, "metric": "tpot_ms", "value": 9, **change}], serving_row)
    assert not rows
    assert by_reason(skipped) == {reason: 1}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"tp": 4}, True), ({"tp": 5}, False),  # of 12 heads
        ({"tp": 4, "experts": 6}, True), ({"tp": 4, "ep": 4, "experts": 6}, False),
        ({"tp": 4, "ep": 4, "experts": 8}, True),
    ],
)  # fmt: skip
def test_a_layout_that_does_not_divide_the_model_checks_the_bound_alone(change, expected):
    experts = {"experts": change.pop("experts"), "experts_per_token": 2, "gated": True} if (
        "experts" in change) else {}  # fmt: skip
    row = serving_row({**SERVED, "metric": "tpot_ms", "value": 9, "gpu_count": 4, **change,
                       "shape": {**SERVED["shape"], **experts}})  # fmt: skip
    assert row.expected is expected
    assert row.reason.startswith("checks the bound only: ") is not expected


@pytest.mark.parametrize(
    ("change", "drafted"),
    [
        # nvidia-master.yaml of InferenceX: qwen3.5-fp8-b200-sglang-mtp has tp 4 and ep 1, the plain
        # recipe tp 8 and ep 1, or tp 4 and ep 4; other versions and cards have plain ones of tp 4
        ({}, True), ({"engine": "SGLang 0.5.9 (NVIDIA gap analysis)"}, True),
        ({"tp": 8, "gpu_count": 8}, False), ({"ep": 4}, False), ({"precision": "nvfp4"}, False),
        ({"gpu_key": "B300-SXM"}, False), ({"engine": "SGLang 0.5.10.post1"}, False),
        ({"model": "DeepSeek-V3"}, False), ({"tp": 8, "drafts": 3}, True),
    ],
)  # fmt: skip
def test_a_recipe_that_drafts_tokens_is_not_compared(change, drafted):
    plain = {"metric": "tpot_ms", "value": 9, "engine": "SGLang 0.5.9 (InferenceX)", "gpu_count": 4,
             "gpu_key": "B200-SXM", "precision": "fp8", "tp": 4, "ep": 1, "shape": None,
             "model": "Qwen3.5-397B-A17B"}  # fmt: skip
    rows, skipped = rows_of([{**SERVED, **plain, **change}], serving_row)
    assert bool(rows) is not drafted
    assert [reason for _, reason in skipped] == ["its tokens were drafted"] * drafted


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("Falcon 40 B", "falcon-40b"), ("Llama 2 70 B", "llama-2-70b"),
        ("phi-1.5 1.3 B", "phi-1.5"),
        ("DeepSeek 33B", "deepseek-coder-33b"), ("meta/Llama-2-70b-chat-hf", "llama-2-70b"),
    ],
)  # fmt: skip
def test_a_model_is_known_whatever_its_size_is_written_like(name, known):
    row = serving_row({**SERVED, "model": name, "shape": None, "metric": "tpot_ms", "value": 9})
    assert row.question.model.params == load_model(known).params


def test_throughput_at_its_highest_and_unknown_formats_check_the_bound_alone():
    reading = {"metric": "output_tokens_per_s", "value": 9}
    assert serving_row({**SERVED, **reading}).expected
    engine = {**SERVED, **reading, "engine": "TensorRT-LLM 0.8"}
    assert not serving_row(engine).expected
    assert serving_row({**engine, "metric": "tpot_ms"}).expected
    # 12 heads do not go over 8 devices
    assert not serving_row({**SERVED, **reading, "gpu_count": 8}).expected


@pytest.mark.parametrize(
    ("shape", "phase"), [({"encoder": True}, "prefill"), ({"gated": True}, "total")]
)
def test_all_that_an_encoder_does_is_a_prefill(shape, phase):
    """As many tokens a second as it takes in is its whole run; of a decoder it is a generation."""
    row = serving_row({
        **SERVED, "metric": "end_to_end_latency_ms", "value": 9,
        "shape": {**SERVED["shape"], **shape},
    })  # fmt: skip
    assert (row.phase, row.question.phase) == ("total", phase)


TRAINED = {
    "id": "t1", "source": "Narayanan et al.", "gpu_key": "A100-SXM-80GB", "precision": "fp16",
    "seq_len": 1000, "global_batch": 64, "micro_batch": 2, "gpu_count": 16, "tp": 2, "pp": 4,
    "shape": {"hidden": 1024, "layers": 8, "heads": 16, "ffn": 4096, "vocab": 50000},
}  # fmt: skip


def narayanan_by_hand() -> float:
    """96 B s L h^2 (1 + s/6h + V/16Lh)."""
    return 96 * 64 * 1000 * 8 * 1024**2 * (1 + 1000 / 6144 + 50000 / (16 * 8 * 1024))


@pytest.mark.parametrize(
    ("reading", "seconds"),
    [
        ({"metric": "iteration_time_s", "value": 3.5}, 3.5),
        ({"metric": "mfu_pct", "iteration_time_s": 2.5, "value": 40}, 2.5),
        ({"metric": "iteration_time_ms", "value": 750}, 0.75),
        ({"metric": "mfu_pct", "iteration_time_ms": 600, "value": 40}, 0.6),
        ({"metric": "tokens_per_s_per_gpu", "tokens_per_s_per_gpu": 500, "value": 500},
         64 * 1000 / (500 * 16)),
        ({"metric": "tokens_per_s", "value": 8000}, 64 * 1000 / 8000),
        ({"metric": "achieved_tflops_per_gpu", "value": 100},
         narayanan_by_hand() / (100e12 * 16)),
    ],
)  # fmt: skip
def test_a_training_metric_is_the_seconds_of_an_iteration(reading, seconds):
    assert training_row({**TRAINED, **reading}).measured_s == pytest.approx(seconds, rel=1e-12)


def test_narayanans_flops_are_equation_3():
    shape = TRAINED["shape"]
    assert narayanan_flops(shape, 64, 1000) == pytest.approx(narayanan_by_hand(), rel=1e-12)


@pytest.mark.parametrize(
    ("split", "layout"),
    [
        ({}, (2, 4, 2, 1)),  # 16 devices over 2 x 4: two replicas
        ({"dp": 2}, (2, 4, 2, 1)),
        ({"dp": 5}, (2, 4, 2, 1)),  # 2 x 4 x 5 are not 16: what is left over
        ({"cp": 2}, (2, 4, 1, 2)),
        ({"tp": None, "pp": None}, (1, 1, 16, 1)),
        ({"dp": 16}, (2, 4, 2, 1)),
        ({"tp": 1, "pp": 1, "dp": 16}, (1, 1, 16, 1)),
        ({"gpu_count": 4}, (2, 4, 1, 1)),  # fewer devices than the degrees: one replica
    ],
)
def test_what_the_degrees_leave_over_is_data_parallel(split, layout):
    row = training_row({**TRAINED, **split, "metric": "iteration_time_s", "value": 1})
    found = row.question.plan
    assert (found.tp, found.pp, found.dp, found.cp) == layout
    assert ("parallelism" in row.reason) == (split == {"tp": None, "pp": None})


@pytest.mark.parametrize(
    ("change", "batch", "micro"),
    [
        ({}, 64, 2),
        ({"global_batch": None, "tokens_per_step": 32_400}, 32, 2),
        ({"global_batch": None, "batch_tokens_m": 0.0486}, 49, 2),
        ({"global_batch": None}, 4 * 2, 2),  # four for each of two replicas
        ({"global_batch": None, "tokens_per_step": 500}, 2, 1),  # one for each replica at least
        ({"micro_batch": None}, 64, 4),
        ({"micro_batch": None, "global_batch": 6}, 6, 3),
        ({"micro_batch": 64}, 64, 32),  # not more than a replica has
    ],
)
def test_batches_that_are_not_stated_are_assumed(change, batch, micro):
    row = training_row({**TRAINED, **change, "metric": "iteration_time_s", "value": 1})
    assert (row.question.global_batch, row.question.micro_batch) == (batch, micro)


@pytest.mark.parametrize(
    ("source", "devices", "hidden"),
    [("Megatron-LM images/tables.tex", 1024, 0.9), ("Megatron-LM images/tables.tex", 512, 0.0),
     ("Narayanan et al.", 1024, 0.0), ("Megatron-Bridge", 1024, 0.9)],
)  # fmt: skip
def test_gradients_hide_behind_computing_where_trainer_or_run_let_them(source, devices, hidden):
    """Megatron-LM's README: its 8.3B was run with PyTorch's wrapper, smaller ones without."""
    raw = {**TRAINED, "source": source, "gpu_count": devices, "global_batch": 2048}
    row = training_row({**raw, "metric": "iteration_time_s", "value": 1})
    assert row.question.plan.overlap == hidden


@pytest.mark.parametrize(
    ("layers", "pp", "change", "chunks"),
    [
        (8, 4, {}, 2), (12, 4, {}, 3), (16, 4, {}, 2), (15, 1, {}, 1), (18, 2, {}, 3),
        (4, 4, {}, 1), (10, 2, {}, 5), (8, 4, {"vp": 7}, 7), (8, 4, {"interleave": 4}, 4),
        (8, 4, {"source": "Korthikanti"}, 1),
    ],
)  # fmt: skip
def test_narayanans_stages_are_in_as_few_chunks_as_divide_them(layers, pp, change, chunks):
    """Of two layers a stage two, of three three, of nine three; one where it is one layer."""
    shape = {**TRAINED["shape"], "layers": layers}
    raw = {**TRAINED, "shape": shape, "pp": pp, "gpu_count": 2 * pp, **change}
    row = training_row({**raw, "metric": "iteration_time_s", "value": 1})
    assert row.question.virtual == chunks


def test_a_run_that_fits_in_no_memory_recomputed_all_of_its_layers():
    """Where a source does not say, as little as its memory allows: from none to everything."""
    known = {**TRAINED, "source": "MaxText", "precision": "bf16", "tp": 1, "pp": 1, "gpu_count": 1,
             "metric": "iteration_time_s", "value": 1, "global_batch": 4}  # fmt: skip
    shares = [
        training_row({**known, "micro_batch": 1, "shape": {**TRAINED["shape"], "hidden": hidden,
                      "layers": 24, "ffn": 4 * hidden}, "seq_len": tokens}).question.recomputed
        for hidden, tokens in ((1024, 1000), (1024, 60_000), (8192, 8000))
    ]  # fmt: skip
    assert shares[0] == 0
    assert 0 < shares[1] <= 1
    assert shares[2] == 1


def test_what_must_have_been_recomputed_makes_a_run_just_fit():
    """The memory of the share that is found is the device's; between none and all it is a line."""
    raw = {**TRAINED, "source": "MaxText", "precision": "bf16", "tp": 1, "pp": 1, "gpu_count": 1,
           "global_batch": 4, "micro_batch": 1, "metric": "iteration_time_s", "value": 1,
           "shape": {**TRAINED["shape"], "layers": 24}}  # fmt: skip
    found = [training_row({**raw, "seq_len": tokens}).question for tokens in (60_000, 80_000)]
    for each in found:
        assert 0 < each.recomputed < 1
        none, every = (training_memory(replace(each, recomputed=share)) for share in (0.0, 1.0))
        left = none.total_bytes - each.recomputed * (none.total_bytes - every.total_bytes)
        assert left == pytest.approx(none.capacity_bytes)


@pytest.mark.parametrize(
    ("source", "expected"),
    [  # trainer, scores on the chip, ZeRO, parts of norms, GB/s, compiled, recomputed, share
        ("bigscience", ("megatron-deepspeed", False, 0, False, 6.25, True, "full", 0.0)),
        ("llm-foundry", ("llm-foundry", True, 3, False, 25.0, False, "none", 0.0)),
        ("torchtitan", ("torchtitan", True, 0, True, 25.0, True, "none", 0.0)),
        ("Megatron-Bridge", ("megatron-bridge", True, 1, True, 25.0, True, "none", 0.0)),
        ("Megatron-LM README", ("megatron-bridge", True, 1, True, 25.0, True, "none", 0.0)),
        ("Narayanan", ("megatron-lm", False, 0, False, 25.0, True, "full", 0.0)),
        ("MaxText", ("maxtext", True, 0, False, 25.0, True, "none", 0.0)),
        ("LLMQ", ("llmq", True, 0, False, 25.0, True, "none", 0.0)),
        ("somebody", ("other", True, 0, False, 25.0, True, "none", 0.0)),
    ],
)
def test_a_source_is_a_trainer_with_its_habits(source, expected):
    """What each divides, keeps, fuses and recomputes where the row does not say; the network of an
    A100's node has 200 Gbit/s a device, that of Jean Zay 4 x 100 for 8 of them."""
    made = training_row(
        {**TRAINED, "source": source, "metric": "iteration_time_s", "value": 1}
    ).question
    network = made.device.network.bytes_s / 1e9
    assert (
        made.engine, made.fused, made.zero, made.plan.sequence, network, made.compiled,
        made.recompute, made.recomputed,
    ) == expected  # fmt: skip
    assert made.plan.overlap == (0.0 if source in ("bigscience", "Narayanan") else 0.9)


def trained(**changes):
    return training_row({**TRAINED, "metric": "iteration_time_s", "value": 1, **changes}).question


def test_a_build_that_differs_from_the_sheet_has_its_own_memory_and_clock():
    """96 GB of HBM2e at 500 W in place of 700: products are as fast as 2/3 power of the watts."""
    here, usual = (
        trained(source=source, gpu_key="H100-SXM-80GB").device
        for source in ("llama3_h100_202412_torchtitan", "torchtitan")
    )
    assert (here.bandwidth_bytes_s, usual.bandwidth_bytes_s) == (2.4e12, 3.352e12)
    for name, peak in usual.peaks.items():
        assert here.peaks[name] == pytest.approx((500 / 700) ** (2 / 3) * peak)
    assert usual.peaks["bf16"] == 989.4e12


def test_torchtitans_habits_are_those_of_its_source():
    """As many micro-batches as stages where a row assumes one; one product in two with selective
    recomputation; norms are not divided where nothing is."""
    shape = {**TRAINED["shape"], "experts": 8, "experts_per_token": 2, "gated": True}
    known = {"source": "torchtitan", "micro_batch_confidence": "assumed", "ep": 2, "shape": shape}
    assert trained(**known).micro_batch == 64 / 2 / 4
    assert trained(**{**known, "source": "MaxText"}).micro_batch == 2
    assert trained(source="torchtitan").micro_batch == 2
    half = trained(source="torchtitan", activation_recompute="selective")
    assert (half.recompute, half.recomputed, half.by_operator) == ("none", 0.5, True)
    other = trained(source="MaxText", activation_recompute="selective")
    assert (other.recompute, other.recomputed, other.by_operator) == ("selective", 0.0, False)
    whole = trained(source="torchtitan", activation_recompute="full")
    assert (whole.recompute, whole.recomputed, whole.by_operator) == ("full", 0.0, False)
    assert not trained(source="torchtitan", tp=1).plan.sequence
    assert not trained(compiled=False).compiled


def test_what_a_row_says_of_sharding_and_format_is_taken():
    assert trained(fsdp=True).zero == 3
    assert trained(zero_stage=2).zero == 2
    assert trained(fsdp=True, zero_stage=2).zero == 3
    formats = {"fp16": "fp16", "amp_bf16": "bf16", "16-bit": "bf16"}
    assert {each: trained(precision=each).precision.compute for each in formats} == formats
    older = trained(precision="bf16", gpu_key="V100-SXM2-32GB").precision
    assert older.compute == "fp16", "it has no bf16"


@pytest.mark.parametrize(
    ("shape", "tp", "heads"),
    [
        ({"hidden": 1152}, None, 9),  # nine of 128
        ({"hidden": 1152}, 2, 8),  # ten do not divide it: eight of 144 are nearer than six or 12
        ({"hidden": 1024}, 3, 1),  # nothing that three divides
        ({"hidden": 1152, "heads": 7}, None, 9),  # seven cannot be
        ({"hidden": 1152, "heads": 7, "head_dim": 128, "gated": True}, None, 7),
    ],
)
def test_heads_that_are_not_stated_are_of_some_128_dimensions(shape, tp, heads):
    found = trained(shape={"layers": 2, **shape}, tp=tp, gpu_count=12, pp=None)
    layer = found.model.description.stacks[0].runs[0].layer
    assert layer.mixer.heads == heads
    assert layer.feed.inner == 4 * shape["hidden"]
    assert sum(found.model.params_by_group.values()) >= 50304 * shape["hidden"]
    # what stands beside the shape, not in it, counts as well
    beside = trained(shape={"hidden": 1152, "layers": 2}, heads=12, vocab=100, gated=True)
    assert beside.model.description.stacks[0].runs[0].layer.mixer.heads == 12
    assert beside.model.family == "llama"
    rest = trained(shape={"hidden": 1024}, params_b=50304 * 1024 / 1e9 + 12 * 1024**2 * 5 / 1e9)
    assert sum(run.times for run in rest.model.description.stacks[0].runs) == 5


@pytest.mark.parametrize(
    ("raw", "is_one"),
    [
        ({"metric": "iteration_time_s"}, True), ({"global_batch": 8, "metric": "ttft_ms"}, True),
        ({"train_tokens_b": 3}, True), ({"metric": "ttft_ms"}, False), ({}, False), ("text", False),
    ],
)  # fmt: skip
def test_a_row_is_of_training_by_its_metric_or_its_keys(raw, is_one):
    assert is_training(raw) == is_one


@pytest.mark.parametrize(
    ("shape", "layers", "heads"),
    [
        ({"hidden": 1024, "vocab": 50304, "ffn": 4096}, 8, 8),  # (0.1522e9 - V h) / 12 h^2
        ({"hidden": 768, "layers": 3}, 3, 6),  # heads of 128
    ],
)
def test_a_shape_that_is_half_stated_is_filled_in(shape, layers, heads):
    row = training_row(
        {**TRAINED, "shape": shape, "params_b": 0.1522, "metric": "iteration_time_s", "value": 1}
    )
    stack = row.question.model.description.stacks[0]
    assert sum(run.times for run in stack.runs) == layers
    assert stack.runs[0].layer.mixer.heads == heads
    assert stack.runs[0].layer.feed.inner == 4 * shape["hidden"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"seq_len": None}, "sequence length unknown"),
        ({"gpu_count": None}, "number of devices unknown"),
        ({"precision": "int3"}, "format unknown"),
        ({"gpu_key": "abacus"}, "device unknown, or not in the catalogue"),
        ({"shape": {"layers": 3}}, "shape unknown"),
        (
            {"shape": {"hidden": 4096}, "params_b": 0.3},
            "its width leaves no layer",
        ),  # 0.2 the table
        ({"shape": {"hidden": 4096}, "params_b": 0.01}, "its width leaves no layer"),
        ({"ep": 2}, "mixtures of experts: shape incomplete"),
        ({"metric": "iteration_time_s", "value": -1}, "no measured value"),
        ({"metric": "mfu_pct"}, "metric 'mfu_pct' is not a time, or its convention is not known"),
    ],
)
def test_a_training_row_that_cannot_be_used_says_why(change, reason):
    raw = {**TRAINED, "metric": "iteration_time_s", "value": 1, **change}
    with pytest.raises(Skipped, match=reason):
        training_row(raw)


@pytest.mark.parametrize(
    ("label", "bits", "computed"),
    [
        ("GPTQ 3-bit", 3, "fp16"), ("gptq-int8 weights", 8, "fp16"), ("AWQ int4 g128", 4, "fp16"),
        ("nf4", 4, "bf16"), ("fp16", 16, "fp16"), ("bf16 weights", 16, "bf16"),
        ("exl2 4.65 bpw", 4.65, "fp16"),
    ],
)  # fmt: skip
def test_a_label_of_a_format_is_its_bits(label, bits, computed):
    precision = precision_of(label, None, None, 0.0)
    scales = precision.weight_bits - bits  # a group's scale adds up to half a bit a weight
    assert 0 <= scales <= 0.5
    assert precision.compute in (computed, "fp16", "bf16")


@pytest.mark.parametrize(
    ("engine", "bits", "computed", "family"),
    [("ds-inference", 8.125, "fp16", "16"), ("accelerate", 8, "int8", "8")],
)
def test_int8_is_multiplied_in_16_bits_where_it_is_written_out_before(
    engine, bits, computed, family
):
    """``quantized_gemm`` of DeepSpeed's pt_binding.cpp; LLM.int8() multiplies bytes."""
    row = {**SERVED, "engine": engine, "precision": "int8", "metric": "tpot_ms", "value": 9}
    found = serving_row(row).question.precision
    assert (found.weight_bits, found.compute, found.family) == (bits, computed, family)


@pytest.mark.parametrize("dtype", ["int8", "int8-wo"])
def test_a_question_of_deepspeed_in_int8_has_the_widths_of_its_rows(dtype):
    row = {**SERVED, "engine": "ds-inference", "precision": "int8", "metric": "tpot_ms", "value": 9}
    found = tf.estimate("llama-2-7b", "a100", dtype=dtype, profile="deepspeed")
    assert replace(found.precision, said="") == serving_row(row).question.precision
    assert "none of them in" not in str(found)
    assert f"deepspeed writes weights in {dtype} out in 16 bits" in str(found)


def test_a_stated_file_size_is_the_mean_width():
    # 3.5 GiB of 7e9 weights: 3.5 x 2^30 x 8 / 7e9 bits
    precision = precision_of("q4_0", None, 3.5, 7e9)
    assert precision.weight_bits == pytest.approx(3.5 * 2**30 * 8 / 7e9, rel=1e-12)
    assert precision.kept_bits == precision.weight_bits


@pytest.mark.parametrize(
    ("shape", "family", "parameters"),
    [
        ({}, "gpt2", 4 * 64 * 64 + 2 * 64 * 256),
        ({"gated": True}, "llama", 4 * 64 * 64 + 3 * 64 * 256),
        ({"gated": True, "kv_heads": 2}, "llama", 2 * 64 * 64 + 2 * 64 * 32 + 3 * 64 * 256),
        ({"kv_heads": 2}, "falcon", 2 * 64 * 64 + 2 * 64 * 32 + 2 * 64 * 256),
        ({"encoder": True}, "bert", 4 * 64 * 64 + 2 * 64 * 256),
        ({"experts": 3, "experts_per_token": 2}, "mixtral",
         4 * 64 * 64 + 3 * 3 * 64 * 256 + 64 * 3),
    ],
)  # fmt: skip
def test_a_shape_is_the_family_that_has_it(shape, family, parameters):
    full = {"hidden": 64, "layers": 5, "heads": 4, "ffn": 256, "vocab": 100, **shape}
    model = load_model(config_of(full))
    assert model.family == family
    matrices = sum(
        count for group, count in model.params_by_group.items()
        if group in ("attn", "mlp", "experts", "router")
    )  # fmt: skip
    biases = 5 * (4 * 64 + 64 + 256) if family in ("gpt2", "bert") else 0
    assert matrices == 5 * parameters + biases
    if family == "bert":  # positions and two segments
        groups = model.params_by_group
        assert (groups["embed_pos"], groups["embed_type"]) == (512 * 64, 2 * 64)


@pytest.mark.parametrize("label", ["fp4", "mxfp4", "FP4"])
def test_a_row_in_4_bits_of_a_model_that_is_published_in_them_has_its_files_widths(label):
    """gpt-oss: experts in mxfp4, the rest in 16 bits; a device without 4 bits multiplies in 16."""
    raw = {
        "engine": "TensorRT-LLM 1.1", "gpu_key": "B200-SXM", "model": "openai/gpt-oss-20b",
        "precision": label, "batch": 8, "input_len": 100, "output_len": 50, "value": 10.0,
        "metric": "tpot_ms", "kv_precision": "fp8",
        "shape": {"hidden": 2880, "layers": 24, "heads": 64, "ffn": 2880, "vocab": 201088},
    }  # fmt: skip
    for gpu, compute in (("B200-SXM", "fp8"), ("H100-SXM-80GB", "bf16")):
        found = serving_row({**raw, "gpu_key": gpu}).question
        assert (found.precision.compute, found.precision.kv_bytes) == (compute, 1)
        assert found.checkpoint is not None
        assert found.model.params == load_model("gpt-oss-20b").params
        asked = tf.estimate(
            "gpt-oss-20b", gpu, profile="TensorRT-LLM 1.1", kv_dtype="fp8", batch=8, prompt=100,
            generate=50,
        )  # fmt: skip
        same = answer(found, find_profile("TensorRT-LLM 1.1"))
        assert same.expected_s == pytest.approx(asked.per_token.expected_s, rel=1e-4)
    plain = serving_row({**raw, "model": "llama-3-8b", "engine": "unheard of"}).question
    assert (plain.precision.name, plain.checkpoint) == (
        ("mxfp4" if label == "mxfp4" else "nvfp4"), None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("nvidia/DeepSeek-R1-0528-FP4-V2", "deepseek-r1"), ("Llama2-13B", "llama-2-13b"),
        ("MiniMax-M2", "minimax-m2.5"), ("zai-org/GLM-5-FP8", "glm-5-fp8"),
        ("Llama 3.1 70 b", "llama-3.1-70b"), ("phi-1.5-1.3b", "phi-1.5"),
    ],
)  # fmt: skip
def test_a_row_names_its_model_as_people_name_models(written, name):
    assert model_of({"model": written}).name == name
    with pytest.raises(Skipped, match="shape unknown"):
        model_of({"model": f"{written}-of-nobody"})


@pytest.mark.parametrize(
    ("model", "label", "name", "attention"),
    [
        ("Kimi-K2", "int4", "int4", 2.0),
        ("Kimi-K2", "nvfp4", "nvfp4", 2.0),
        ("MiniMax-M2.5", "nvfp4", "nvfp4", 2.0),
        ("Qwen3.5-397B-A17B", "nvfp4", "nvfp4", 2.0),
        ("DeepSeek-V3", "fp8", "fp8", 1.0),  # all of them
    ],
)
def test_a_model_published_in_4_bits_has_experts_alone_narrow(model, label, name, attention):
    """4 bits and a scale for 16 or 32 elements are 0.56 bytes at most; attention stays in 16."""
    raw = {
        **SERVED, "metric": "tpot_ms", "value": 9.0, "model": model, "precision": label,
        "engine": "vLLM 0.19.0", "gpu_key": "B200-SXM", "tp": 8, "gpu_count": 8,
    }  # fmt: skip
    raw.pop("shape", None)
    question = serving_row(raw).question
    assert question.precision.name == name
    assert question.precision.besides == ("16" if attention == 2 else "")
    works = question.setting(find_profile("vllm")).works(decode_step(100, 4))
    bytes_each = {work.group: work.element_bytes for work in works if work.group in PARTS}
    assert bytes_each["attn_proj"] == attention
    assert bytes_each["experts"] == pytest.approx(0.55 if attention == 2 else 1.0, abs=0.02)


PARTS = ("attn_proj", "experts")
