"""tf.plan: the best it finds is the best there is, meets what was asked, and starts."""

from __future__ import annotations

import json
import re
from itertools import pairwise

import numpy as np
import pytest
import thermoflop as tf
from thermoflop.base.record import replace
from thermoflop.cli import main
from thermoflop.cost.data import read_data
from thermoflop.cost.plan.launch import published_in
from thermoflop.cost.plan.layouts import powers
from thermoflop.cost.plan.prices import read_prices
from thermoflop.cost.plan.unit import Loads, grid, up_to
from thermoflop.errors import InputError, UsageError
from thermoflop.model.load import load_model

FLAGS = read_data("launch_flags")


def test_no_layout_tried_one_by_one_beats_the_plan():
    """Every tp x pp on 4 devices through tf.serving, users doubled until the target is missed."""
    found = tf.plan("llama-3-8b", "h100", max_devices=4, tpot_s=0.02, dtypes=["bf16"])
    best = 0.0
    for tp in powers(4):
        for pp in powers(4 // tp):
            for users in (4, 32, 64, 96):
                served = tf.serving("llama-3-8b", "h100", tp=tp, pp=pp, users=users, profile="vllm")
                if served.token_s[1] <= 0.02:
                    best = max(best, served.tokens_per_s_device)
    assert best > 0
    assert found.choices[0].per_device[1] >= 0.995 * best


def test_stages_that_are_worth_less_than_a_thirtieth_come_after_a_device_each():
    """Two H100s as stages hold 932 users of an 8B in fp8, one 433, at the same tokens a second."""
    found = tf.plan("llama-3.1-8b", "h100", dtypes=["fp8"]).choices[0]
    assert (found.plan.devices, found.replicas) == (1, 8)
    one, two = (
        tf.serving("llama-3.1-8b", "h100", dtype="fp8", profile="vllm", pp=pp, tp=1, users=470 * pp)
        for pp in (1, 2)
    )
    assert 1 < two.tokens_per_s_device / one.tokens_per_s_device < 1.03


@pytest.mark.parametrize(
    ("device", "options", "engine"),
    [("h100", {}, "vllm"), ("h100", {"profile": "sglang@0.4"}, "sglang@0.4"),
     ("m4-max", {}, "llama.cpp")],
)  # fmt: skip
def test_a_plan_says_under_which_engine_it_is(device, options, engine):
    found = tf.plan("llama-3-8b", device, max_devices=1, dtypes=["bf16"], **options)
    assert found.question.endswith(f"output tokens, under {engine}")


def test_a_plan_says_whose_rates_it_has_where_nothing_fits_and_where_no_engine_is_named():
    none = tf.plan("llama-3-70b", "rtx 4090", max_devices=1, profile="sglang")
    assert not none.choices
    assert none.question.endswith("output tokens, under sglang")
    pooled = tf.plan("llama-3-8b", "h100", max_devices=1, dtypes=["bf16"], profile=None)
    assert pooled.question.endswith("output tokens, at the rates of all engines pooled")


def test_what_serving_says_of_a_choice_is_what_the_plan_said():
    found = tf.plan("llama-3-70b", "h100", users=64, tpot_s=0.035, max_devices=16)
    choice = found.choices[0]
    each = round(choice.users / choice.replicas)
    layout = choice.plan
    served = tf.serving(
        "llama-3-70b", "h100", users=each, tp=layout.tp, pp=layout.pp, dtype=choice.dtype,
        profile="vllm",
    )  # fmt: skip
    assert served.token_s[1] == pytest.approx(choice.token_s[1], rel=0.02)
    assert served.first_s[1] == pytest.approx(choice.first_s[1], rel=0.03)
    assert choice.token_s[1] <= 0.035


@pytest.mark.parametrize(
    ("profile", "users", "stages"), [("vllm", 1, 4), ("vllm", 2, 4), ("transformers", 6, 1)]
)
def test_users_fewer_than_the_stages_or_of_one_batch_are_as_serving_has_them(
    profile, users, stages
):
    """Of 4 stages each has a group of sequences: one user is in one of them, 3 are idle."""
    sizes = {"users": users, "prompt": 900, "generate": 90, "profile": profile}
    small = replace(tf.find_device("h100"), memory_bytes=8e9)
    found = tf.plan("llama-3-8b", small, max_devices=4, dtypes=["bf16"], top=50, **sizes)
    choices = [each for each in found.choices if each.plan.pp == stages]
    assert choices
    for choice in choices:
        layout = choice.plan
        served = tf.serving(
            "llama-3-8b", small, tp=layout.tp, pp=layout.pp, dp=layout.dp * choice.replicas,
            ep=layout.ep, dtype="bf16", **sizes,
        )  # fmt: skip
        assert choice.users == users
        assert choice.tokens_per_s == pytest.approx(served.tokens_per_s, rel=0.02)
        assert choice.token_s == pytest.approx(served.token_s, rel=0.02)
        assert choice.first_s == pytest.approx(served.first_s, rel=0.02)


def test_of_an_engine_that_reads_a_batch_as_a_whole_as_many_users_keep_the_targets_as_in_serving():
    asked = {"prompt": 500, "generate": 100, "profile": "transformers"}
    asked |= {"tpot_s": 0.05, "ttft_s": 0.2}
    found = tf.plan("llama-3-8b", "h200", max_devices=1, dtypes=["bf16"], **asked).choices[0]
    served = tf.serving("llama-3-8b", "h200", dtype="bf16", **asked)
    assert served.meets
    assert found.users == pytest.approx(served.most_within, rel=0.05)
    assert found.first_s[1] <= 0.2
    assert found.tokens_per_s == pytest.approx(served.tokens_per_s, rel=0.05)


def test_an_engine_that_reads_a_batch_as_a_whole_is_planned_at_no_rate():
    for ask in (tf.plan, tf.serving):
        with pytest.raises(UsageError, match="ask for users, not for a rate"):
            ask("llama-3-8b", "h100", rate=1, profile="transformers")


@pytest.mark.parametrize("profile", ["vllm", "sglang", "tensorrt-llm", "llama.cpp"])
def test_every_printed_flag_is_documented_by_its_engine(profile):
    known = FLAGS[profile]
    assert known["source"]
    narrow = "q8_0" if profile == "llama.cpp" else "fp8"
    asked = [("llama-3-8b", "h100", 2, None), ("mixtral-8x7b", "h100", 4, narrow)]
    for model, gpu, devices, cache in asked:
        found = tf.plan(
            model, gpu, max_devices=devices, profile=profile, kv_dtype=cache, lengths="uniform",
            top=20,
        )  # fmt: skip
        assert found.choices
        for choice in found.choices:
            assert choice.launch.startswith(known["program"])
            flags = re.findall(
                r"(?<!\S)--?[a-z][\w-]*", choice.launch.removeprefix(known["program"])
            )
            assert flags
            assert set(flags) <= set(known["flags"]), choice.launch
            assert choice.launch.count(" --") == len(set(flags)), "no flag twice"
            held = {flag: choice.launch.partition(f" {flag} ")[2].split(" ")[0] for flag in flags}
            assert held.items() >= started_with(profile, choice).items(), choice.launch


def started_with(profile, choice):
    """What a command says of a layout, and of the longest sequence: inputs of 1024 and outputs of
    256 tokens that are a quarter longer at most. TensorRT-LLM's and SGLang's tensor parallelism
    counts the copies of attention, too."""
    layout = choice.plan
    names = {
        "vllm": ("--tensor-parallel-size", "--pipeline-parallel-size", "--data-parallel-size"),
        "sglang": ("--tp-size", "--pp-size", "--dp-size", "--ep-size"),
        "tensorrt-llm": ("--tp_size", "--pp_size", "", "--ep_size"),
    }.get(profile)
    longest = (1024 + 256) * 5 // 4
    if names is None:
        slots = int(choice.launch.partition("--parallel ")[2].split(" ")[0])
        return {"--ctx-size": str(slots * longest)}
    over = layout.tp if profile == "vllm" else layout.tp * layout.dp
    degrees = (layout.pp, layout.dp, layout.ep)
    said = {name: str(each) for name, each in zip(names[1:], degrees, strict=False)
            if name and each > 1}  # fmt: skip
    if layout.dp > 1 and profile == "tensorrt-llm":
        said["--config"] = "enable_attention_dp.yaml"
    length = {"vllm": "--max-model-len", "sglang": "--context-length"}
    return {names[0]: str(over), length.get(profile, "--max_seq_len"): str(longest), **said}


@pytest.mark.parametrize(("lengths", "times"), [("fixed", 1), ("lognormal", 4)])
def test_the_longest_sequence_is_that_of_the_lengths(lengths, times):
    found = tf.plan("llama-3-8b", "h100", max_devices=1, lengths=lengths, profile="vllm", top=1)
    assert f"--max-model-len {times * (1024 + 256)} " in f"{found.choices[0].launch} "
    assert found.candidates == 2 * len(grid())  # each load of bf16 and of fp8 on one device


def test_a_long_prompt_is_split_over_devices_where_its_first_token_is_asked_soon():
    """65,536 tokens within 4 s; vLLM alone is started so, and shorter prompts are never split."""
    asked = {"ttft_s": 4.0, "max_devices": 16, "dtypes": ["fp8"], "generate": 512, "top": 1}
    found = tf.plan("llama-3.1-70b", "h100", prompt=65_536, **asked)
    choice = found.choices[0]
    assert choice.plan.cp > 1
    assert choice.first_s[1] <= 4.0
    assert choice.devices == choice.replicas * choice.plan.tp * choice.plan.pp * choice.plan.cp
    flags = re.findall(r"(?<!\S)--[a-z][\w-]*", choice.launch)
    assert set(flags) <= set(FLAGS["vllm"]["flags"])
    assert f"--prefill-context-parallel-size {choice.plan.cp}" in choice.launch
    assert any("context parallel" in note for note in found.notes)
    for other in ({"prompt": 65_536, "profile": "sglang"}, {"prompt": 16_000}):
        choices = tf.plan("llama-3.1-70b", "h100", **asked, **other).choices
        assert all(each.plan.cp == 1 for each in choices)


@pytest.mark.parametrize(
    ("dtype", "name"), [("int4", "Q4_0"), ("q4_k_m", "Q4_K_M"), ("bf16", "BF16")]
)
def test_a_gguf_file_is_named_by_its_encoding(dtype, name):
    """As ggml's docs/gguf.md names files: Model-ENCODING.gguf, of encodings that there are."""
    launch = tf.plan("gpt2", "m2 ultra", dtypes=[dtype], top=1).choices[0].launch
    assert f"--model gpt2-{name}.gguf " in launch


def test_a_choice_keeps_its_targets_and_its_devices():
    found = tf.plan(
        "deepseek-v3", "h200", rate=2, ttft_s=1.5, tpot_s=0.06, max_devices=16, disaggregate=True
    )
    assert found.choices
    for choice in found.choices:
        assert choice.devices <= 16
        assert choice.token_s[1] <= 0.06
        assert choice.first_s[1] <= 1.5
        assert choice.requests_per_s >= 2 * 0.999


def test_pools_of_prefill_and_decode_keep_pace():
    """Prompts read a second are answers a second, within a replica."""
    from thermoflop.cost.catalogue.profiles import find_profile
    from thermoflop.cost.plan.choice import Question
    from thermoflop.cost.plan.disaggregated import pooled, read_s
    from thermoflop.cost.plan.search import Search
    from thermoflop.cost.serving.lengths import lengths_of
    from thermoflop.cost.serving.targets import Targets

    model, device = tf.load_model("llama-3-8b"), tf.find_device("h100")
    profile = find_profile("vllm")
    search = Search(model, [device], profile, "vllm", lengths_of(4096, 256), 0.0, None, None)
    units = search.units(8, ["bf16"], None)
    question = Question(Targets(2.0, 0.02), None, None, 8, {})
    for found in pooled(units, question):
        pools = found.pools
        assert pools.devices == found.devices <= 8
        load = found.rate * read_s(pools.prefill) / (pools.prefill_replicas * pools.prefill.groups)
        assert 0 < load <= 0.8 + 1e-9
        assert pools.prompt_s < found.first_s <= 2.0
        # keys and values of 4,096 tokens are 537 MB, over links of 450 GB/s a lane
        lanes = min(
            pools.prefill.layout.tp * pools.prefill.layout.pp,
            found.unit.layout.tp * found.unit.layout.pp,
        )
        assert pools.transfer_s == pytest.approx(4096 * 131072 / (lanes * device.link_bytes_s))
        # half the mean wait of M/G/1 with equal prompts, the prompt, its way, half a step's wait
        waits = load * pools.prompt_s / (2 * (1 - load))
        first = waits + pools.prompt_s + pools.transfer_s + found.token_s / 2
        assert found.first_s == pytest.approx(first)
        # Little: whoever came within the time to an answer's end is there
        assert found.users == pytest.approx(found.rate * (first + 256 * found.token_s))
        assert found.prompt_share == 0  # what decodes reads none
        assert found.limit == ("memory" if found.sequences >= found.unit.slots else "target")


def test_what_blocks_is_said():
    too_fast = tf.plan("llama-3-70b", "h100", tpot_s=1e-4)
    assert not too_fast.choices
    assert "time between tokens" in too_fast.nearest
    too_many = tf.plan("llama-3-8b", "h100", users=100_000, max_devices=8)
    assert "number of devices" in too_many.nearest
    too_large = tf.plan("llama-3-70b", "rtx 4090", max_devices=1)
    assert "not one sequence fits" in too_large.nearest


@pytest.mark.parametrize(("most", "users"), [(1, 10), (3, 250), (1, None)])
def test_the_devices_that_would_do_are_the_fewest_that_do(most, users):
    """Asked with as many it is done, with one fewer not."""
    gpu = "h100" if users else "rtx 4090"
    said = tf.plan("llama-3-70b", gpu, max_devices=most, users=users).nearest
    count = int(re.search(r"([\d,]+) x [^;]* would do", said)[1])
    assert most < count < 10
    done = tf.plan("llama-3-70b", gpu, max_devices=count, users=users)
    assert done.choices[0].devices == count
    assert not tf.plan("llama-3-70b", gpu, max_devices=count - 1, users=users).choices


def test_a_loose_target_leaves_the_interval_as_it_is():
    asked = {"users": 1, "dtypes": ["fp8"], "top": 1}
    free, loose = (tf.plan("llama-3-70b", "h100", tpot_s=t, **asked).choices[0] for t in (None, 1))
    assert loose.per_device == pytest.approx(free.per_device)
    low, expected, high = loose.token_s
    assert loose.per_device[0] == pytest.approx(loose.per_device[1] * expected / high)
    assert loose.per_device[2] == pytest.approx(loose.per_device[1] * expected / low)
    assert loose.limit == "users"


def test_a_device_too_old_for_vllm_is_started_with_llama_cpp_unless_it_stands_beside_another():
    assert "llama-server" in str(tf.plan("gpt2", "p40", top=1, max_devices=1))
    mixed = str(tf.plan("gpt2", "p40,h100", top=1, max_devices=1))
    assert "vllm serve" in mixed
    assert "left out, as vllm does not run on P40" in mixed


def test_a_mac_is_started_with_llama_cpp_unless_an_engine_is_named():
    assert tf.plan("gpt2", "m2 ultra", top=1).choices[0].launch.startswith("llama-server")
    named = tf.plan("gpt2", "m2 ultra", top=1, profile="vllm").choices[0]
    assert named.launch.startswith("vllm serve")


@pytest.mark.parametrize("asked", [{"tpot_s": 0.03}, {}])
def test_every_user_that_is_promised_has_a_slot(asked):
    """Those whose prompt is read have one as well as those that decode. Users are whole: as many
    are printed as have a slot."""
    for choice in tf.plan("llama-3-70b", "h100", max_devices=8, **asked).choices:
        slots = int(re.search(r"--max-num-seqs (\d+)", choice.launch)[1])
        copies = choice.replicas * choice.plan.dp
        assert choice.users == slots * copies


@pytest.mark.parametrize("asked", [{"users": 5}, {"rate": 2.0}])
def test_a_server_is_started_for_the_load_that_is_asked_for(asked):
    """Five users have five slots; requests at random three deviations more than their mean."""
    for profile, flag in (("vllm", "--max-num-seqs"), ("llama.cpp", "--parallel")):
        for choice in tf.plan("gpt2", "h100", max_devices=2, profile=profile, **asked).choices:
            mean = asked.get("users", choice.users) / choice.replicas
            slots = int(re.search(rf"{flag} (\d+)", choice.launch)[1])
            assert mean <= slots <= mean + 3 * mean**0.5 * ("rate" in asked) + 2


def test_loads_end_where_every_slot_is_taken():
    """Half way between 8 and 12 users there are 10."""
    rising = np.array([4.0, 8.0, 12.0])
    loads = Loads(rising / 2, rising / 100, rising / 10, rising / 4, rising, rising / 99)
    cut = up_to(loads, 10.0)
    assert cut.users.tolist() == [4.0, 8.0, 10.0]
    assert cut.rate.tolist() == [1.0, 2.0, 2.5]
    assert up_to(loads, 12.0) is loads
    assert up_to(loads, 3.0).users.tolist() == [3.0]


def test_a_small_load_is_served_by_one_device_that_could_do_more():
    choice = tf.plan("llama-3-8b", "h100", rate=0.01, tpot_s=0.02).choices[0]
    assert (choice.devices, choice.requests_per_s) == (1, 0.01)
    assert choice.per_device[0] <= choice.per_device[1] <= choice.per_device[2]
    assert choice.limit == "rate"
    assert "--max-num-seqs 2 " in choice.launch


def test_requests_at_random_leave_a_tenth_of_a_replica_free():
    """Users are those in flight: the rate times how long an answer takes (Little 1961)."""
    most = tf.serving("llama-3-8b", "h100", dtype="bf16", profile="vllm").most_requests_per_s
    one, two = (
        tf.plan("llama-3-8b", "h100", rate=load * most, dtypes=["bf16"], max_devices=2).choices[0]
        for load in (0.85, 0.95)
    )
    assert (one.devices, two.devices) == (1, 2)
    answer_s = one.first_s[1] + 255 * one.token_s[1]
    assert one.users == pytest.approx(one.requests_per_s * answer_s)


def test_dollars_are_price_over_tokens():
    choice = tf.plan("llama-3-8b", "h100", price=3.6).choices[0]
    assert choice.dollars_per_million == pytest.approx(3.6 / 3600 / choice.per_device[1] * 1e6)


LIST = """
[[price]]
device = "h100"
dollars_per_hour = 9.0
date = 2025-01-01
[[price]]
device = "H100 SXM"
dollars_per_hour = 2.5
date = 2026-11-01
source = "ours"
"""


def test_the_latest_price_of_a_device_counts(tmp_path):
    path = tmp_path / "prices.toml"
    path.write_text(LIST, encoding="utf-8")
    prices = read_prices(str(path))
    assert [price.dollars for price in prices.values()] == [2.5]
    found = tf.plan("llama-3-8b", "h100", price=str(path))
    assert "2026-11-01" in str(found)
    with pytest.raises(InputError, match="no price of H200"):
        tf.plan("llama-3-8b", "h200", price=str(path))


def test_the_frontier_trades_one_speed_for_the_other():
    points = tf.plan("llama-3-70b", "h100,h200").frontier
    for device in {point.device for point in points}:
        here = [point for point in points if point.device == device]
        assert all(a.tokens_per_s_user < b.tokens_per_s_user for a, b in pairwise(here))
        assert all(a.tokens_per_s_device > b.tokens_per_s_device for a, b in pairwise(here))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"users": 1, "rate": 1}, "users and rate"),
        ({"max_devices": 0}, "max_devices=0"),
        ({"max_devices": 4097}, "from 1 to 4,096"),
        ({"top": 1001}, "from 1 to 1,000"),
        ({"budget": 2**20 + 1}, "from 16 to 1,048,576"),
        ({"tpot_s": -1}, "tpot_s=-1"),
        ({"price": -3}, "price=-3"),
        ({"dtypes": ["fp7"]}, "fp7"),
        ({"top": 0}, "top=0"),
        ({"prefix_hit": 2}, "prefix_hit=2"),
        ({"dtypes": ["nvfp4"], "profile": "tensorrt-llm"}, "does not compute in nvfp4"),
    ],
)
def test_nonsense_is_named(asked, said):
    with pytest.raises(UsageError, match=said):
        tf.plan("llama-3-8b", "h100", **asked)


def test_the_command_writes_picture_and_csv_and_says_by_its_code(tmp_path, capsys):
    svg, csv = tmp_path / "f.svg", tmp_path / "f.csv"
    options = ["plan", "llama-3-8b", "--gpu", "h100", "--tpot", "30ms", "--price", "2"]
    assert main([*options, "--svg", str(svg), "--csv", str(csv), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert svg.read_text(encoding="utf-8").startswith("<svg")
    lines = csv.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 1 + len(printed["choices"])
    assert main(["plan", "llama-3-8b", "--tpot", "0.01ms"]) == 1
    assert "nothing meets that" in capsys.readouterr().out


def test_a_number_of_one_of_several_devices_is_told_where_it_goes():
    with pytest.raises(UsageError, match="'h100:8' says how many: expected 'h100' and max_devices"):
        tf.plan("llama-3-8b", ["h100:8", "4090"])


def test_one_engine_for_a_mac_and_another_gpu_is_said():
    assert "every device is taken to run llama.cpp" in str(tf.plan("gpt2", "h100,m2 ultra", top=1))
    assert "every device" not in str(tf.plan("gpt2", "m2 ultra", top=1))


@pytest.mark.parametrize(
    ("asked", "named", "note"),
    [
        ("qwen3-8b", "vllm serve Qwen/Qwen3-8B ", None),
        ("llama3.1-8b", "vllm serve meta-llama/Llama-3.1-8B ", None),
        ("Qwen/Qwen3-8B-Base", "vllm serve Qwen/Qwen3-8B-Base ", None),  # as it was asked for
        ("qwen3-8b-awq", "vllm serve YOUR-AWQ-CHECKPOINT-OF/Qwen3-8B ", "folder of weights in awq"),
        ("qwen3-8b-fp8", "vllm serve Qwen/Qwen3-8B ", None),  # made narrow as it is loaded
        ("qwen3:8b", "llama-server --model qwen3-8b-Q4_K_M.gguf ", "the path of your file"),
    ],
)
def test_a_command_names_what_its_engine_can_load_or_says_what_to_put_there(asked, named, note):
    """Ids as Hugging Face has them; a checkpoint in AWQ has another, which nobody said."""
    found = tf.plan(asked, "h100", max_devices=1, top=1)
    assert found.choices[0].launch.startswith(named)
    stands = [each for each in found.notes if "stands for" in each]
    assert len(stands) == (note is not None)
    assert all(note in each for each in stands)


@pytest.mark.parametrize(
    ("engine", "dtype", "named"),
    [
        ("vllm", "q4_k_m", "vllm serve YOUR-Q4_K_M-CHECKPOINT-OF/gpt2 "),
        ("vllm", "fp8", "vllm serve openai-community/gpt2 "),
        ("sglang", "int8", "--model-path YOUR-INT8-CHECKPOINT-OF/gpt2 "),
        ("tensorrt-llm", "fp8", "trtllm-serve YOUR-FP8-CHECKPOINT-OF/gpt2 "),
        ("tensorrt-llm", "bf16", "trtllm-serve openai-community/gpt2 "),
    ],
)
def test_a_format_that_an_engine_cannot_make_has_a_checkpoint_of_its_own(engine, dtype, named):
    """vLLM and SGLang make fp8 of 16 bits (--quantization fp8), TensorRT-LLM reads it alone."""
    found = tf.plan("gpt2", "h100", max_devices=1, dtypes=[dtype], profile=engine, top=1)
    assert named in found.choices[0].launch
    assert ("YOUR-" in named) == any("stands for" in note for note in found.notes)


def test_every_hugging_face_id_belongs_to_a_name_of_the_catalogue():
    from thermoflop.base.files import read_json
    from thermoflop.model.config import catalogue

    ids = read_json(catalogue._beside("hub_ids.json"))
    assert ids.keys() <= set(catalogue.names())
    for name, hub_id in ids.items():
        assert re.fullmatch(r"[\w-]+/[\w.-]+", hub_id)
        assert catalogue.hub_id(name) == hub_id
        source = re.search(r"config\.json of ([\w-]+/[\w.-]*\w)$", catalogue.entry(name)["source"])
        assert source is None or source[1].rpartition("/")[2] == hub_id.rpartition("/")[2]


def test_a_plan_that_holds_nothing_says_in_which_formats() -> None:
    """70B in 8 bits are 70 GB, on 2 x 25.8; in 4 bits 40, which is tried where nothing else is."""
    refused = tf.plan("llama-3-70b", "4090", max_devices=1)
    assert "in any layout, in bf16 or fp8 or int4 (--dtype tries others)" in refused.nearest
    narrow = tf.plan("llama-3-70b", "4090", max_devices=2)
    assert {each.dtype for each in narrow.choices} == {"int4"}
    assert narrow.notes[0] == "note: nothing in bf16 or fp8 fits: so in 4 bits"
    assert "int4" not in {each.dtype for each in tf.plan("llama-3-8b", "4090").choices}
    named = tf.plan("llama-3-70b", "4090", max_devices=2, dtypes=["fp8"])
    assert "--dtype" not in named.nearest
    assert tf.plan("llama-3-70b", "4090", max_devices=2, dtypes=["int4"]).choices


@pytest.mark.parametrize(
    ("model", "gpu", "tried"),
    [
        ("llama-3.1-405b", "b200", "in bf16 or fp8 or nvfp4 (--dtype"),  # nvfp4 has 4.5 bits
        ("gpt-oss-120b", "4090", "in the published format (--dtype"),  # mxfp4: 4.25 bits
    ],
)
def test_what_is_in_4_bits_already_is_tried_in_no_others(model: str, gpu: str, tried: str) -> None:
    assert tried in tf.plan(model, gpu, max_devices=1).nearest


def test_a_model_published_in_8_bits_is_tried_in_4() -> None:
    """671B are 671 GB of 8 x 85.5 GB, and half of that in 4 bits."""
    found = tf.plan("deepseek-r1", "h100", max_devices=8, top=1)
    assert [each.dtype for each in found.choices] == ["int4"]
    assert found.notes[0] == "note: nothing in the published format fits: so in 4 bits"
    assert any(note.endswith("of weights in int4, such as AWQ or GPTQ") for note in found.notes)


def test_formats_that_need_other_weights_come_after_those_of_the_models_own() -> None:
    """vLLM makes fp8 of 16 bits as it loads them, and reads nvfp4 alone; of 8 x 192 GB both fit."""
    found = tf.plan("llama-3-70b", "b200", max_devices=1, top=20)
    dtypes = [choice.dtype for choice in found.choices]
    assert (dtypes[0], dtypes[-1]) == ("fp8", "nvfp4")
    assert not any("CHECKPOINT" in each.launch for each in found.choices if each.dtype != "nvfp4")
    (note,) = (note for note in found.notes if "would cost" in note)
    best, other = found.choices[0], found.choices[-1]
    saved = 1 - best.per_device[1] / other.per_device[1]
    assert note.startswith(f"note: nvfp4 on 1 x B200-SXM would cost {saved:.0%} less, with weights")
    named = tf.plan("llama-3-70b", "b200", max_devices=1, dtypes=["fp8", "nvfp4"])
    assert named.choices[0].dtype == "nvfp4"
    assert not any("would cost" in note for note in named.notes)


def test_another_format_that_costs_as_much_is_said_by_its_time_and_by_who_published_it() -> None:
    """Sixteen users on one device cost the same in either; NVIDIA publishes this one."""
    asked = {"max_devices": 1, "users": 16, "prompt": 8192}
    found = tf.plan("gemma-4-31b", "rtx pro 6000", **asked)
    (note,) = (each for each in found.notes if "nvfp4" in each)
    own, other = (choice.token_s[1] for choice in found.choices)
    assert f"would take {1 - other / own:.0%} less time a token; its weights" in note
    assert note.endswith("published: plan gemma-4-31b-it-nvfp4")
    named = tf.plan("gemma-4-31b", "rtx pro 6000", dtypes=["nvfp4"], **asked)
    assert any(note.endswith("such as nvidia/Gemma-4-31B-IT-NVFP4") for note in named.notes)
    assert published_in(load_model("qwen3-235b-a22b"), "nvfp4") == "qwen3-235b-a22b-nvfp4"
    assert published_in(load_model("qwen3-235b-a22b-2507"), "nvfp4") == ""  # not the same weights
    assert published_in(load_model("google/gemma-4-31b-it"), "nvfp4") == "gemma-4-31b-it-nvfp4"


@pytest.mark.parametrize(("devices", "top", "why"), [
    (16, 40, "no pools of prefill and decode: they hold the model twice, on 32 devices at least"),
    (32, 1, "pools of prefill and decode come behind these rows: --top shows more"),
    (32, 2, "")])  # fmt: skip
def test_why_no_row_has_the_pools_that_were_asked_for_is_said(devices, top, why) -> None:
    """671 GB in 8 bits are on 16 devices of 85.5 GB at least, as layouts are powers of two."""
    asked = {"tpot_s": 0.05, "max_devices": devices, "top": top}
    found = tf.plan("deepseek-v3", "h100", disaggregate=True, **asked)
    said = [note for note in found.notes if "pools of prefill and decode" in note]
    assert any(each.disaggregated for each in found.choices) is (why == "")
    assert len(said) == 1
    assert said == [f"note: {why}"] or (why == "" and "computed" in said[0])


@pytest.mark.parametrize(
    ("load", "stages"), [({"rate": 20, "ttft_s": 0.2}, 1), ({"users": 600}, 3)]
)
def test_rows_are_in_the_order_of_what_they_show(load, stages) -> None:
    """Requests at random take devices that an even stream of them would not: those count."""
    found = tf.plan("llama-3.3-70b", "h100", max_devices=16, profile="vllm", top=20, **load)
    costs = [
        (each.devices * (1.1 if each.plan.pp > 1 else 1.0), each.plan.pp == 1 and each.token_s[1])
        for each in found.choices
    ]
    assert [each for each, _ in costs] == sorted(each for each, _ in costs)
    flat = [each for each in costs if each[1]]
    assert flat == sorted(flat)
    assert len(costs) - len(flat) >= stages
    note = "note: rows with stages (pp) stand as if they cost 10% more"
    assert (note in found.notes) is (
        "users" in load
    )  # one of them has faster tokens than before it


@pytest.mark.parametrize(("model", "said"), [("deepseek-v4-flash", True), ("qwen3-32b", False)])
def test_rows_that_stand_behind_for_their_stages_are_said_to(model, said) -> None:
    """Nowhere else is a row better than the one before."""
    asked = {"max_devices": 8, "profile": "sglang", "tpot_s": 0.03, "dtypes": ["fp8"]}
    found = tf.plan(model, "h200", **asked)
    note = "note: rows with stages (pp) stand as if they cost 10% more"
    assert (note in found.notes) is said
    rows = [(each.per_device[1], each.plan.pp) for each in found.choices]
    better = [after for before, after in pairwise(rows) if after[0] > 1.001 * before[0]]
    assert bool(better) is said
    assert all(stages > 1 for _, stages in better)


def test_a_macs_plan_runs_mlxs_files_by_the_engine_of_its_estimate():
    name = "mlx-community/Qwen3-8B-4bit"
    found = tf.plan(name, "m4 max", users=1)
    run = tf.estimate(name, "m4 max", prompt=1024, generate=256)
    assert run.setting.profile.engine.name == "mlx"
    assert {choice.dtype for choice in found.choices} == {"mlx-int4-g64"}
    assert "under mlx" in " ".join(str(found).split())
    assert "under llama.cpp" in " ".join(str(tf.plan("qwen3-8b", "m4 max", users=1)).split())
