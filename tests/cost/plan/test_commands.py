"""Commands that start a choice, word for word as the engines document them; plans of training."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import thermoflop as tf
from kit.made_up import DEVICE, decoder
from thermoflop.base.record import replace
from thermoflop.base.units import gigabytes
from thermoflop.cost.data import read_data
from thermoflop.cost.hardware.precision import choose_precision
from thermoflop.cost.plan.blocked import Tried
from thermoflop.cost.plan.launch import checkpoint, launch, launch_notes
from thermoflop.cost.plan.nodes import node_notes
from thermoflop.cost.plan.plan import _result
from thermoflop.cost.plan.training import TrainingPlan, training_plan_json, training_plan_text
from thermoflop.cost.serving.lengths import lengths_of
from thermoflop.cost.work.share import Layout

MODEL = replace(decoder(), name="made-up", hub_id="someone/made-up")


def unit(engine, layout, dtype="bf16", kv_dtype=None, shape="fixed", model=MODEL, asked=None):
    setting = SimpleNamespace(
        profile=SimpleNamespace(engine=SimpleNamespace(name=engine, serves=True)), model=model,
        precision=choose_precision(dtype, kv_dtype), asked=asked,
    )  # fmt: skip
    return SimpleNamespace(setting=setting, layout=layout, policy=SimpleNamespace(budget=4096),
                           lengths=lengths_of(1000, 24, shape))  # fmt: skip


@pytest.mark.parametrize(
    ("engine", "layout", "options", "words"),
    [
        ("vllm", Layout(2), {},
         ("vllm serve someone/made-up --tensor-parallel-size 2 --max-num-seqs 8 "
         "--max-num-batched-tokens 4096 --max-model-len 1024")),
        ("vllm", Layout(1, 2, 2, 2, 2), {"dtype": "fp8", "kv_dtype": "fp8"},
         ("vllm serve someone/made-up --tensor-parallel-size 1 --pipeline-parallel-size 2 "
         "--data-parallel-size 2 --prefill-context-parallel-size 2 --enable-expert-parallel "
         "--max-num-seqs 8 --max-num-batched-tokens 4096 --max-model-len 1024 --quantization fp8 "
         "--kv-cache-dtype fp8")),
        ("vllm", Layout(), {"dtype": "fp16", "shape": "uniform"},
         ("vllm serve someone/made-up --tensor-parallel-size 1 --max-num-seqs 8 "
         "--max-num-batched-tokens 4096 --max-model-len 1280 --dtype half")),
        ("vllm", Layout(), {"dtype": "fp32", "shape": "lognormal"},
         ("vllm serve someone/made-up --tensor-parallel-size 1 --max-num-seqs 8 "
         "--max-num-batched-tokens 4096 --max-model-len 4096")),
        ("sglang", Layout(2, 2, 2, 2), {"kv_dtype": "fp8"},
         ("python -m sglang.launch_server --model-path someone/made-up --tp-size 4 --pp-size 2 "
         "--dp-size 2 --enable-dp-attention --ep-size 2 --max-running-requests 16 "
         "--chunked-prefill-size 8192 --context-length 1024 --kv-cache-dtype fp8_e4m3")),
        ("sglang", Layout(), {},
         ("python -m sglang.launch_server --model-path someone/made-up --tp-size 1 "
         "--max-running-requests 8 --chunked-prefill-size 4096 --context-length 1024")),
        ("tensorrt-llm", Layout(2, 2, 2, 2), {},
         ("trtllm-serve someone/made-up --tp_size 4 --pp_size 2 --ep_size 2 --max_batch_size 8 "
         "--max_num_tokens 4096 --max_seq_len 1024 --enable_chunked_prefill --config "
         "enable_attention_dp.yaml")),
        ("tensorrt-llm", Layout(), {},
         ("trtllm-serve someone/made-up --tp_size 1 --max_batch_size 8 --max_num_tokens 4096 "
         "--max_seq_len 1024 --enable_chunked_prefill")),
        ("llama.cpp", Layout(), {"dtype": "q4_k_m", "kv_dtype": "q8_0"},
         ("llama-server --model made-up-Q4_K_M.gguf --n-gpu-layers all --ctx-size 8192 "
         "--parallel 8 --batch-size 4096 --cache-type-k q8_0 --cache-type-v q8_0")),
        ("llama.cpp", Layout(1, 2), {"dtype": "int4"},
         ("llama-server --model made-up-Q4_0.gguf --n-gpu-layers all --split-mode layer "
         "--ctx-size 8192 --parallel 8 --batch-size 4096")),
        ("llama.cpp", Layout(2), {"dtype": "fp16"},
         ("llama-server --model made-up-F16.gguf --n-gpu-layers all --split-mode row "
         "--ctx-size 8192 --parallel 8 --batch-size 4096")),
    ],
)  # fmt: skip
def test_a_command_has_the_flags_of_its_layout_formats_and_lengths(engine, layout, options, words):
    """1,000 and 24 tokens; a quarter more where they are drawn evenly, four times where wider."""
    assert launch(unit(engine, layout, **options), options.get("model", MODEL), 8) == words


TWO = Layout(8, 2, node_size=8)
GROUPS = Layout(2, 1, 16, 32, node_size=8)


@pytest.mark.parametrize(
    ("engine", "layout", "flags", "said"),
    [
        ("vllm", TWO, "--nnodes 2 --node-rank 0 --master-addr HEAD ",
         "start it on 2 machines, with --node-rank 0 to 1, and --headless on all but the first"),
        ("vllm", GROUPS, ("--data-parallel-size 16 --enable-expert-parallel "
         "--data-parallel-size-local 4 --data-parallel-address HEAD "),
         "start it on 4 machines, with --headless --data-parallel-start-rank 4 or 8 or 12 on all"),
        ("vllm", Layout(8, 2, 2, 16, node_size=8), "--data-parallel-backend ray ",
         "start it on one machine of a Ray cluster, with VLLM_RAY_DP_PACK_STRATEGY=span"),
        ("vllm", Layout(1, 1, 8, 8, node_size=72), "--data-parallel-size-local 4 ", "2 machines"),
        ("sglang", TWO, "--nnodes 2 --node-rank 0 --dist-init-addr HEAD:20000 ",
         "start it on 2 machines, with --node-rank 0 to 1; HEAD is the address of the first"),
        ("tensorrt-llm", TWO, ("srun -N 2 --ntasks 16 --ntasks-per-node 8 --mpi=pmix "
         "trtllm-llmapi-launch trtllm-serve "), "mpirun starts as many processes"),
        ("llama.cpp", Layout(1, 2, node_size=1), "", "start ggml-rpc-server on all machines but"),
    ],
)  # fmt: skip
def test_a_command_for_several_machines_has_their_flags_and_says_how_each_is_started(
    engine, layout, flags, said
):
    """Machines of 8, and in a rack of 72 of 4: 8 groups of 2 on 2, and so on."""
    words = launch(unit(engine, layout), MODEL, 8)
    assert flags in words
    assert [each for each in node_notes(words, layout) if said in each]
    within = replace(layout, tp=1, pp=1, dp=min(layout.dp, 2), ep=1)
    words = launch(unit(engine, within), MODEL, 8)
    assert not any(each in words for each in ("HEAD", "ray", "srun"))
    assert not [each for each in node_notes(words, within) if "machine" in each]


def test_the_file_that_a_command_names_is_said_whole():
    words = launch(unit("tensorrt-llm", Layout(1, 1, 2)), MODEL, 8)
    assert node_notes(words, Layout(1, 1, 2)) == [
        "note: enable_attention_dp.yaml holds one line: enable_attention_dp: true"
    ]


@pytest.mark.parametrize(("asked", "said"), [(None, 8192), (4096, 4096)])
def test_a_command_of_sglang_has_the_tokens_of_a_pass_that_its_server_divides(asked, said):
    """8,192 on cards of 90 to 160 GiB, as its server has by itself: it takes 1.5 MiB of memory for
    each beforehand, so that eight times as many would leave none for the weights."""
    given = {} if asked is None else {"engine_options": {"chunked_prefill_size": asked}}
    found = tf.plan("qwen3-30b-a3b", "h200", max_devices=4, profile="sglang", top=20,
                    dtypes=["bf16"], **given)  # fmt: skip
    wide = [each for each in found.choices if each.plan.dp == 4]
    assert wide
    assert all(f"--chunked-prefill-size {said} " in each.launch for each in wide)


@pytest.mark.parametrize(("budget", "any_starts"), [(8192, True), (65536, False)])
def test_a_budget_of_tokens_takes_the_memory_that_sglang_sets_aside_for_it(budget, any_starts):
    """1.5 MiB for each of two replicas at least: 26 GB of 151 a device, or 206."""
    found = tf.plan("qwen3-30b-a3b", "h200", max_devices=4, profile="sglang", top=20,
                    dtypes=["bf16"], budget=budget)  # fmt: skip
    wide = [each for each in found.choices if each.plan.dp > 1]
    assert bool(wide) is any_starts
    for each in wide:
        assert f"--chunked-prefill-size {budget * each.plan.dp} " in each.launch


def test_a_bare_name_that_ollama_has_too_is_planned_as_the_model_was_published():
    """With a tag, which no other hub has, it is the download."""
    bare, tagged = (
        tf.plan(name, "h100", users=4, max_devices=2, prompt=64, generate=8)
        for name in ("mixtral", "mixtral:8x7b")
    )
    assert bare.choices[0].launch.startswith("vllm serve mistralai/Mixtral-8x7B")
    assert tagged.choices[0].launch.startswith("llama-server")


def test_ollama_is_started_by_its_environment():
    """As its docs/faq.mdx says; it spreads a model over devices where told to (envconfig)."""
    plain = unit("llama.cpp", Layout(), asked="ollama")
    said = launch(plain, MODEL, 4)
    assert said == "OLLAMA_NUM_PARALLEL=4 OLLAMA_CONTEXT_LENGTH=1024 ollama serve"
    note, longest = launch_notes(said, MODEL, "q4_k_m")
    assert longest == (
        "note: OLLAMA_CONTEXT_LENGTH is for 1,024 tokens a request, as asked for: say more for "
        "longer"
    )
    assert "in q4_k_m" in note
    assert "num_ctx" in note
    pair = unit("llama.cpp", Layout(pp=2), kv_dtype="q8_0", asked="Ollama")
    names = read_data("launch_flags")["ollama"]["flags"]
    assert launch(pair, MODEL, 2, {"flash_attention": "false", "num_ctx": "2k"}) == (
        " ".join(map("=".join, zip(names, ("2", "2048", "q8_0", "0", "1"), strict=True)))
        + " ollama serve"
    )


def test_a_plan_for_ollama_divides_layers_alone():
    found = tf.plan(MODEL, DEVICE, max_devices=2, profile="ollama", dtypes=["bf16"], top=20)
    assert {each.plan.tp for each in found.choices} == {1}
    assert found.question.endswith("under ollama")


FLAGS = {
    "vllm": {"pp": "--pipeline-parallel-size 3", "dp": "--data-parallel-size 3",
             "cp": "--prefill-context-parallel-size 3", "ep": "--enable-expert-parallel"},
    "sglang": {"pp": "--pp-size 3", "dp": "--dp-size 3 --enable-dp-attention", "ep": "--ep-size 3"},
    "tensorrt-llm": {"pp": "--pp_size 3", "ep": "--ep_size 3",
                     "dp": "--config enable_attention_dp.yaml"},
}  # fmt: skip


@pytest.mark.parametrize("engine", FLAGS)
@pytest.mark.parametrize("degree", ["tp", "pp", "dp", "ep", "cp"])
def test_each_degree_has_its_own_flag_and_no_other(engine, degree):
    """Attention of replicas is counted in the width of SGLang and TensorRT-LLM."""
    said = launch(unit(engine, Layout(**{degree: 3})), MODEL, 8)
    for name, flag in FLAGS[engine].items():
        assert (flag in said) is (name == degree)
        assert (flag.split()[0] in said) is (name == degree)
    wide = 3 if degree == "tp" or (degree == "dp" and engine != "vllm") else 1
    width = {"vllm": "--tensor-parallel-size", "sglang": "--tp-size", "tensorrt-llm": "--tp_size"}
    assert f"{width[engine]} {wide} " in said
    both = launch(unit(engine, Layout(2, 1, 3, 5)), MODEL, 8)
    assert f"{width[engine]} {2 if engine == 'vllm' else 6} " in both
    assert ("--max-running-requests 24" in both) is (engine == "sglang")


def test_no_sequence_is_longer_than_the_model_has_positions():
    short = decoder(max_position_embeddings=1100)
    said = launch(unit("vllm", Layout(), shape="lognormal", model=short), short, 8)
    assert "--max-model-len 1100" in said


@pytest.mark.parametrize("engine", ["vllm", "sglang", "tensorrt-llm", "llama.cpp"])
def test_a_command_for_sequences_as_long_as_asked_for_says_so_where_the_model_has_room(engine):
    """1,000 of prompt and 24 of output; its slots share the context of llama.cpp."""
    roomy, full = (decoder(max_position_embeddings=n) for n in (4096, 1024))
    said = launch(unit(engine, Layout(), model=roomy), roomy, 8)
    note = " is for 1,024 tokens a request, as asked for: say more for longer"
    assert [each for each in launch_notes(said, roomy, "bf16") if each.endswith(note)]
    assert not [each for each in launch_notes(said, full, "bf16") if each.endswith(note)]


def test_weights_of_a_format_that_no_engine_makes_have_a_name_to_be_replaced():
    name, note = checkpoint(MODEL, "awq", "vllm")
    assert name == "YOUR-AWQ-CHECKPOINT-OF/made-up"
    assert note == f"note: {name} stands for the id or folder of weights in awq"
    assert checkpoint(MODEL, "fp8", "vllm") == ("someone/made-up", "")
    # TensorRT-LLM reads weights in 8 bits, and makes none
    assert checkpoint(MODEL, "fp8", "tensorrt-llm")[0] == "YOUR-FP8-CHECKPOINT-OF/made-up"
    nameless = replace(MODEL, hub_id="")
    assert checkpoint(nameless, "bf16", "vllm") == (
        "made-up", "note: made-up stands for the model's Hugging Face id or its folder",
    )  # fmt: skip
    assert launch_notes("llama-server --model made-up-F16.gguf", MODEL, "fp16") == [
        "note: made-up-F16.gguf stands for the path of your file in that format"
    ]
    assert launch_notes("vllm serve x", MODEL, "bf16") == []
    assert launch_notes("vllm serve x", MODEL, "awq") == [note]
    assert "FP8-CHECKPOINT" in launch_notes("trtllm-serve x", MODEL, "fp8")[0]


ASKED = {"tokens": 1e9, "global_batch": 8, "sequence": 1000}


@pytest.fixture(scope="module")
def planned() -> TrainingPlan:
    return tf.plan_training(decoder(), DEVICE, max_devices=2, price=3.0, **ASKED)


def test_the_fastest_layout_of_two_devices_is_the_fastest_of_all_that_train_knows(planned):
    every = [
        tf.train(decoder(), DEVICE, tp=tp, pp=pp, dp=dp, micro_batch=micro, tokens=1e9,
                 global_batch=8, sequence=1000, zero=zero).days[0]
        for tp, pp, dp in ((2, 1, 1), (1, 2, 1), (1, 1, 2))
        for micro in (1, 2, 4, 8) if 8 % (dp * micro) == 0
        for zero in ((0, 1) if dp == 2 else (1,))
    ]  # fmt: skip
    assert planned.choices[0].days[0] == min(every)
    assert [each.plan.devices for each in planned.choices] == [2] * len(planned.choices)
    assert [each.days for each in planned.choices] == sorted(each.days for each in planned.choices)
    assert {each.plan.label for each in planned.choices} == {"tp=2", "pp=2", "dp=2"}
    # micro-batches of 1, 2, 4 and 8, and of two replicas to 4: all fit without recomputation; of
    # each layout the way of least memory is tried before
    assert planned.candidates == 4 + 4 + 3 + 3
    assert "trained on 1.00 G tokens, on up to 2 x made-up" in planned.question


def test_within_days_the_fewest_device_hours_come_first(planned):
    fast = planned.choices[0].days[0]
    both = tf.plan_training(decoder(), DEVICE, max_devices=2, max_days=2.5 * fast, **ASKED)
    hours = [each.device_hours for each in both.choices]
    assert hours == sorted(hours)
    assert {each.plan.devices for each in both.choices} == {1, 2}
    assert all(each.days[0] <= 2.5 * fast for each in both.choices)
    soon = tf.plan_training(decoder(), DEVICE, max_devices=1, max_days=fast, **ASKED)
    assert not soon.choices
    assert soon.nearest.startswith("nearest: ")
    assert " on 1 x made-up (one device); blocked by the number of devices; 2 x" in soon.nearest


def test_a_plan_of_training_prints_each_choice(planned):
    lines = training_plan_text(planned).splitlines()
    for number, each in enumerate(planned.choices, 1):
        (row,) = [line for line in lines if line.startswith(f"{number}  ")]
        days, low, high = each.days
        cells = row.split()
        assert cells[1:6] == ["2", "x", "made-up", each.plan.label, str(each.micro_batch)]
        assert cells[6:8] == [each.recompute, str(each.question.zero)]
        assert cells[8] == gigabytes(each.memory.total_bytes).split()[0]
        assert cells[10] == f"{each.mfu:.0%}"
        said = [float(text) for text in " ".join(cells[11:13]).replace("(", "-").rstrip(")")
                .replace(" ", "").split("-")]  # fmt: skip
        assert said == pytest.approx([days, low, high], rel=0.006)
        assert float(cells[13]) == pytest.approx(each.price, rel=0.006)
    assert lines[-1] == f"{planned.candidates:,} tried"


@pytest.mark.parametrize(
    ("vendors", "said"),
    [(("NVIDIA", "Apple"), True), (("NVIDIA", "AMD"), False), (("Apple",), False)],
)
def test_an_engine_that_apples_and_others_share_is_said(vendors, said):
    devices = [replace(DEVICE, name=vendor, vendor=vendor) for vendor in vendors]
    found = tf.plan(decoder(), devices, max_devices=1, dtypes=["bf16"], generate=64, prompt=64)
    assert any("every device is taken to run" in note for note in found.notes) is said


@pytest.mark.parametrize(("cp", "pools"), [(1, ""), (2, ""), (1, "two pools")])
def test_what_was_never_measured_is_noted(cp, pools):
    choice = SimpleNamespace(dtype="bf16", device="", plan=Layout(cp=cp), disaggregated=pools,
                             launch="vllm serve x")  # fmt: skip
    context = SimpleNamespace(model=MODEL, notes=("prices",), question=None, asked="asked")
    found = _result(context, Tried([], [], [choice]), "")
    assert any("context parallel" in note for note in found.notes) is (cp > 1)
    assert any("pools of prefill and decode" in note for note in found.notes) is bool(pools)
    assert found.notes[0] == "prices"


def test_where_nothing_does_it_the_nearest_is_said():
    found = TrainingPlan("asked", (), "near", 3)
    assert training_plan_text(found) == "asked\n\nnothing does that\nnear"
    assert training_plan_json(found) == {
        "question": "asked", "choices": [], "nearest": "near", "candidates": 3,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("profile", "gpu", "users", "option", "flag"),
    [
        ("vllm", "rtx-4090", 300, "max_num_seqs", "--max-num-seqs"),  # 256 unless said
        ("tensorrt-llm", "h100", 2100, "max_batch_size", "--max_batch_size"),  # 2,048 unless said
        ("sglang", "h100", 300, "max_running_requests", "--max-running-requests"),  # what fits
    ],
)
def test_an_engine_runs_as_many_at_once_as_its_command_says(profile, gpu, users, option, flag):
    asked = {"users": users, "max_devices": 1, "profile": profile, "dtypes": ["bf16"],
             "prompt": 20, "generate": 200}  # fmt: skip
    (choice,) = tf.plan(decoder(), gpu, **asked).choices
    assert f"{flag} {users} " in f"{choice.launch} "
    assert not tf.plan(decoder(), gpu, engine_options={option: users - 1}, **asked).choices, (
        "what was asked for stays"
    )
