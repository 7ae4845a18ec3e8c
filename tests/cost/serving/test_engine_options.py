"""What an engine's options change of a server and of a plan: memory, sequences at once, tokens of a
step."""

from __future__ import annotations

import pytest
import thermoflop as tf
from thermoflop.cli import main
from thermoflop.cost.engines.at_once import (
    TOKENS_AT_ONCE,
    lowered,
    tokens_apart,
    tokens_asked,
)
from thermoflop.cost.engines.budget import engine_memory
from thermoflop.cost.engines.options import OPTIONS, option_defaults
from thermoflop.cost.plan.launch import GIVEN, given_flags
from thermoflop.cost.serving.result import serving_json, serving_text
from thermoflop.cost.work.share import Layout
from thermoflop.errors import UsageError

MODEL, SIZES = "llama-3-8b", {"prompt": 4096, "generate": 1024}


def served(model=MODEL, device="h100", users=4000, **asked):
    return tf.serving(model, device, users=users, **{**SIZES, **asked})


def options(engine, **given):
    """The engine's memory with options, on any device."""
    return engine_memory(engine, tf.find_device("h100"), given)[0]


@pytest.mark.parametrize(
    ("profile", "option"),
    [("sglang", {"mem_fraction_static": 0.5}), ("tensorrt-llm", {"free_gpu_memory_fraction": 0.4}),
     ("sglang", {})],
)  # fmt: skip
def test_a_server_holds_as_many_sequences_as_fit_says(profile, option):
    found = served(profile=profile, engine_options=option)
    fit = tf.fit(MODEL, "h100", profile=profile, engine_options=option, **SIZES)
    assert found.largest_batch == fit.largest_batch
    assert found.engine_options == (option or None)
    assert serving_json(found)["engine_options"] == (option or None)
    said = "\n".join(f"{profile}: {name}={value}" for name, value in option.items())
    assert said in serving_text(found)
    assert (f"\n{profile}: " in serving_text(found)) is bool(option)


def test_more_memory_holds_more_sequences_in_proportion():
    """SGLang's static part less 16 GB of weights: 0.8 of what is free against 0.5."""
    low, high = (served(profile="sglang", engine_options={"mem_fraction_static": part})
                 for part in (0.5, 0.8))  # fmt: skip
    free = (79.65 * 0.998 - 0.3 - 0.51) * 2**30
    weights = 16.06e9
    wanted = (0.8 * free - weights) / (0.5 * free - weights)
    assert high.largest_batch / low.largest_batch == pytest.approx(wanted, rel=0.02)


@pytest.mark.parametrize(
    ("profile", "option", "most"),
    [("vllm", {"max_num_seqs": 7}, 7), ("sglang", {"max_running_requests": 5}, 5),
     ("tensorrt-llm", {"max_batch_size": 9}, 9), ("tensorrt-llm", {}, 2048)],
)  # fmt: skip
def test_an_engines_limit_is_no_limit_of_memory(profile, option, most):
    found = tf.serving(MODEL, "h200", users=9000, prompt=64, generate=64, profile=profile,
                       engine_options=option, tp=2)  # fmt: skip
    assert found.most_sequences == most
    assert found.largest_batch > most
    assert found.limit in ("batch", "prompts")
    name = next(iter(option), "max_batch_size")
    assert found.limited_by == name
    both = tf.serving(MODEL, "h200", users=9000, prompt=512, generate=512, profile=profile,
                      engine_options={name: 7}, dp=2)  # fmt: skip
    assert f"(7 a replica by {name}; " in " ".join(serving_text(both).split())
    if found.limit == "batch":
        assert f"({most:,} by {name}; --engine-option {name}=N" in " ".join(
            serving_text(found).split()
        )


def test_slots_beyond_the_engines_limit_are_lowered_aloud():
    found = tf.serving(MODEL, "h200", users=9000, prompt=64, generate=64, profile="tensorrt-llm",
                       slots=5000, tp=2)  # fmt: skip
    assert found.most_sequences == 2048
    said = " ".join(found.notes)
    assert "slots=5,000 of a replica: tensorrt-llm runs 2,048 at once (max_batch_size)" in said
    raised = tf.serving(MODEL, "h200", users=9000, prompt=64, generate=64, profile="tensorrt-llm",
                        slots=5000, tp=2, engine_options={"max_batch_size": 5000})  # fmt: skip
    assert raised.most_sequences == min(5000, raised.largest_batch)
    assert not [note for note in raised.notes if "slots" in note]


@pytest.mark.parametrize(
    ("slots", "most", "said"), [(None, 3, ""), (3, 3, ""), (3, None, ""), (4, 3, "runs 3 at once")]
)
def test_nothing_is_said_of_slots_that_an_engine_has(slots, most, said):
    found = lowered(options("vllm"), slots, (most, "max_num_seqs"))
    assert said in found
    assert bool(said) == bool(found)
    assert lowered(None, 4, (3, "")) == ""


def test_sequences_of_several_replicas_are_said_to_be_of_all():
    one, four = (served(users=100, profile="vllm", dp=dp) for dp in (1, 4))
    each = one.most_sequences
    assert four.most_sequences == 4 * each
    assert f"of {4 * each:,} sequences in 4 replicas (memory holds" in serving_text(four)
    assert f"of {each:,} sequences (memory holds" in serving_text(one)


@pytest.mark.parametrize("engine", TOKENS_AT_ONCE)
def test_tokens_of_a_step_are_an_option_of_each_engine(engine):
    name = TOKENS_AT_ONCE[engine]
    assert name in [option.name for option in OPTIONS[engine]]
    assert tokens_asked(options(engine), {}) is None
    assert tokens_asked(options(engine, **{name: 3000}), {name: 3000}) == 3000
    spelled = f"--{name.replace('_', '-')}"
    assert tokens_asked(options(engine, **{spelled: 3000}), {spelled: 3000}) == 3000
    assert tokens_asked(None, {name: 3000}) is None
    with pytest.raises(UsageError, match=f"{name}=15 makes no sense: expected 16 to 1,048,576"):
        tokens_asked(options(engine), {name: 15})


@pytest.mark.parametrize(
    ("device", "layout", "asked", "tokens"),
    [
        # 16,384 tokens on cards beyond 160 GiB, 8,192 below, over 8 replicas of one server
        ("b200", Layout(dp=8, ep=8), None, 2048), ("h200", Layout(dp=8, ep=8), None, 1024),
        ("h200", Layout(dp=8, ep=8), 65536, 8192), ("h200", Layout(dp=8, ep=8), 64, 16),
        # replicas that share nothing are servers of their own
        ("b200", Layout(dp=8), None, 16384), ("b200", Layout(tp=8, ep=8), 4096, 4096),
        ("rtx 4090", Layout(), None, 2048),
    ],
)  # fmt: skip
def test_sglang_divides_the_tokens_of_a_pass_by_replicas_whose_attention_is_apart(
    device, layout, asked, tokens
):
    given = {} if asked is None else {"chunked_prefill_size": asked}
    engine = engine_memory("sglang", tf.find_device(device), given)[0]
    found, said = tokens_apart(engine, asked, layout)
    assert found == tokens
    apart = layout.ep > layout.tp
    assert (f", of {tokens or 0:,} tokens a replica" in said) is apart
    assert tokens_apart(options("vllm"), asked, layout) == (asked, "")
    assert tokens_apart(None, asked, layout) == (asked, "")


def test_a_server_says_how_many_tokens_of_a_pass_each_replica_has():
    apart = {"model": "qwen3-30b-a3b", "profile": "sglang", "dp": 4, "ep": 4, "users": 64}
    found = served(**apart)
    assert found.budget == 8192 / 4
    assert "of 2,048 tokens a replica (chunked_prefill_size=8192 over 4)" in found.policy
    assert served(**apart, budget=4096).budget == 4096
    assert "a replica" not in served(**apart, budget=4096).policy


def test_tokens_of_a_step_go_by_the_short_name_too():
    assert tokens_asked(options("llama.cpp"), {"b": 256}) == 256
    found = served(profile="llama.cpp", users=4, engine_options={"b": 256})
    assert found.budget == 256
    assert "fills 256 tokens" in found.policy


def test_an_option_says_how_many_tokens_a_step_has_unless_a_budget_does():
    given = {"max_num_batched_tokens": 4096}
    assert served(profile="vllm", users=4, engine_options=given).budget == 4096
    assert served(profile="vllm", users=4, engine_options=given, budget=1000).budget == 1000
    assert served(profile="vllm", users=4).budget == 8192


def test_while_sglang_drafts_48_requests_run_and_states_take_more():
    plain = served("qwen3-next-80b-a3b", "h200", profile="sglang", tp=2, dtype="fp8")
    drafting = served("qwen3-next-80b-a3b", "h200", profile="sglang", tp=2, dtype="fp8",
                      draft_tokens=3)  # fmt: skip
    assert plain.most_sequences > 48 == drafting.most_sequences
    # five states against five and one for each of four tokens that are checked
    assert drafting.largest_batch / plain.largest_batch == pytest.approx(5 / 9, rel=0.02)
    assert drafting.limited_by == "max_running_requests"


@pytest.mark.parametrize(
    ("profile", "given", "said"),
    [
        ("llama.cpp", {"n_cpu_moe": 2}, "n_cpu_moe=2"), ("llama.cpp", {"ngl": 2}, "n_gpu_layers=2"),
        ("llama.cpp", {"ngl": 0}, "n_gpu_layers=0"),
        ("llama.cpp", {"cpu_moe": True}, "cpu_moe=true"),
        ("ollama", {"num_gpu": 2}, "num_gpu=2"),
    ],
)  # fmt: skip
def test_layers_in_the_computers_memory_are_not_served(profile, given, said):
    with pytest.raises(UsageError, match=f"{said} leaves layers in the computer's memory"):
        tf.serving("gpt-oss-20b", "rtx 3090", profile=profile, engine_options=given)
    if profile == "llama.cpp":
        with pytest.raises(UsageError, match=f"{said} leaves layers in the computer's memory"):
            tf.plan("gpt-oss-20b", "rtx 3090", profile=profile, engine_options=given)


@pytest.mark.parametrize("given", [{"ngl": 99}, {"n_cpu_moe": 8}, {"cpu_moe": True}])
def test_options_that_leave_no_layer_are_served(given):
    """A dense model of 32 layers: all of them on the device, and no experts."""
    asked = {"profile": "llama.cpp", "users": 4}
    assert served(**asked, engine_options=given).token_s == served(**asked).token_s


@pytest.mark.parametrize("ask", [tf.serving, tf.plan])
def test_lengths_beyond_what_an_option_allows_are_refused(ask):
    given = {"max_model_len": 5000}
    with pytest.raises(UsageError, match="takes 5,000 tokens a sequence: 5,120 are asked for"):
        ask(MODEL, "h100", users=4, profile="vllm", engine_options=given, **SIZES)


def test_llama_cpps_context_is_shared_by_the_sequences_that_run():
    """16,384 tokens are three sequences of 5,120; of ten times as many 32 have room, each of which
    takes 131,072 B a token beside the others, and not the whole."""
    for size, most in ((16_384, 3), (163_840, 32)):
        found = served(profile="llama.cpp", engine_options={"ctx_size": size})
        assert found.most_sequences == most
        assert found.limited_by == "ctx_size"
        assert found.largest_batch > most


def test_a_limit_of_recurrent_states_is_told_by_its_own_option():
    """100 states of which a sequence takes five."""
    found = served("qwen3-next-80b-a3b", "h200", profile="sglang", tp=2, dtype="fp8",
                   engine_options={"max_mamba_cache_size": 100})  # fmt: skip
    assert (found.most_sequences, found.limited_by) == (20, "max_mamba_cache_size")


def test_options_without_an_engine_are_refused():
    with pytest.raises(UsageError, match="name it with profile"):
        served(engine_options={"mem_fraction_static": 0.5})


def test_a_plan_counts_with_the_options_and_its_command_has_them():
    few, many = (
        tf.plan(MODEL, "h100", max_devices=1, dtypes=["bf16"], top=1, **SIZES, profile="vllm",
                engine_options={"gpu_memory_utilization": part}).choices[0]
        for part in (0.5, 0.9)
    )  # fmt: skip
    assert few.users < many.users / 2
    assert few.launch.endswith("--gpu-memory-utilization 0.5")


def test_a_plan_of_an_engine_that_runs_fewer_starts_fewer():
    found = tf.plan(MODEL, "h100", max_devices=1, dtypes=["bf16"], top=1, profile="sglang",
                    engine_options={"max_running_requests": 3}, **SIZES).choices[0]  # fmt: skip
    assert "--max-running-requests 3 " in found.launch


@pytest.mark.parametrize(
    ("engine", "given", "flags"),
    [
        ("vllm", {"block_size": 32, "enforce_eager": True}, "--block-size 32 --enforce-eager"),
        ("vllm", {"enable_prefix_caching": "off"}, "--no-enable-prefix-caching"),
        ("vllm", {"version": "0.19", "max_num_seqs": 3}, ""),
        ("sglang", {"disable_radix_cache": "off", "mamba_radix_cache_strategy": "auto"},
         "--mamba-radix-cache-strategy auto"),
        ("sglang", {"disable_radix_cache": "1", "page_size": 64},
         "--page-size 64 --disable-radix-cache"),
        ("tensorrt-llm", {"free_gpu_memory_fraction": 0.8}, "--free_gpu_memory_fraction 0.8"),
        ("llama.cpp", {"flash_attn": False, "ubatch_size": 256},
         "--ubatch-size 256 --flash-attn off"),
        ("vllm", None, ""), ("ollama", {"num_batch": 256}, ""),
    ],
)  # fmt: skip
def test_flags_of_options_are_spelled_as_the_engine_does(engine, given, flags):
    assert " ".join(given_flags(engine, given)) == flags


def test_every_flag_of_an_option_is_of_its_engine():
    for engine, names in GIVEN.items():
        assert set(names) <= set(option_defaults(engine))


@pytest.mark.parametrize("command", ["serving", "plan", "fit"])
def test_a_share_of_the_device_names_its_engine(command, capsys):
    """SGLang alone has a mem_fraction_static."""
    sizes = "--prompt 512 --generate 64 --gpu h100 --mem-fraction-static 0.6"
    more = {"plan": " --max-devices 1 --dtype bf16", "serving": " --users 2"}.get(command, "")
    assert main([command, MODEL, *f"{sizes}{more}".split()]) == 0
    printed = capsys.readouterr().out
    assert "sglang" in printed
    assert "0.6" in printed


@pytest.mark.parametrize("ask", [tf.fit, tf.estimate])
def test_a_batch_that_is_not_said_is_one_sequence_a_replica(ask):
    found = ask(MODEL, "h100", dp=4)
    assert found.batch == 4
    assert ask(MODEL, "h100").batch == 1
    with pytest.raises(UsageError, match="dp=4 does not divide batch=6"):
        ask(MODEL, "h100", dp=4, batch=6)


@pytest.mark.parametrize(
    ("model", "device", "degrees"),
    [
        ("deepseek-v4-pro", "b300", {"tp": 1, "dp": 8, "ep": 8}),
        ("deepseek-v4-pro", "h200", {"tp": 8}),
        ("qwen3-next-80b-a3b", "h200", {"tp": 2}),
        ("gpt-oss-20b", "h100", {}),
    ],
)
def test_as_many_sequences_run_as_fit_counts_whatever_pools_hold_them(model, device, degrees):
    """SGLang's pools of windows, states and compressed entries, and its requests at once."""
    found = served(model, device, profile="sglang", **degrees)
    fit = tf.fit(model, device, profile="sglang", **degrees, **SIZES)
    assert found.most_sequences == fit.largest_batch
    held = degrees.get("dp", 1) * int(fit.budget.sequences)
    assert found.largest_batch == held
    most = 256 if model == "deepseek-v4-pro" else held
    assert found.most_sequences == min(held, most)


def test_slots_stand_in_for_what_sglang_takes_where_nothing_is_said():
    """256 requests of DeepSeek V4, 48 while tokens are drafted; not for an option that is given."""
    apart = {"tp": 1, "dp": 8, "ep": 8, "profile": "sglang"}
    usual, asked = (served("deepseek-v4-pro", "b300", slots=slots, **apart) for slots in (None, 50))
    assert (usual.most_sequences, asked.most_sequences) == (256, 8 * 50)
    drafting = served(profile="sglang", draft_tokens=3, slots=70)
    assert drafting.most_sequences == 70
    assert not [note for note in (*asked.notes, *drafting.notes) if "slots" in note]
    given = served(profile="sglang", slots=100, engine_options={"max_running_requests": 60})
    assert given.most_sequences == 60
    assert "sglang runs 60 at once (max_running_requests)" in " ".join(given.notes)
