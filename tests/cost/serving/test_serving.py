"""tf.serving: what it says of a server, and what it refuses."""

from __future__ import annotations

import json

import numpy as np
import pytest
import thermoflop as tf
from kit.made_up import DEVICE, decoder
from thermoflop.cli import main
from thermoflop.cost.serving.lengths import draw_lengths, lengths_of, lengths_of_trace
from thermoflop.cost.serving.result import serving_json
from thermoflop.cost.serving.trace import read_trace
from thermoflop.errors import InputError, UsageError


def test_replicas_share_users_and_throughput_adds_up():
    one = tf.serving("llama-3-8b", "h100", users=16)
    two = tf.serving("llama-3-8b", "h100", users=32, dp=2)
    assert two.token_s == pytest.approx(one.token_s)
    assert two.tokens_per_s == pytest.approx(2 * one.tokens_per_s)
    assert two.largest_batch == 2 * one.largest_batch


def test_largest_batch_is_that_of_fit():
    served = tf.serving("llama-3-8b", "h100", users=1, prompt=2048, generate=512)
    assert (
        served.largest_batch
        == tf.fit("llama-3-8b", "h100", prompt=2048, generate=512).largest_batch
    )


def test_a_cached_prefix_brings_the_first_token_sooner():
    cold, warm = (
        tf.serving("llama-3-8b", "h100", rate=4, prompt=4096, prefix_hit=hit) for hit in (0.0, 0.9)
    )
    assert warm.first_s[1] < cold.first_s[1] / 2
    assert warm.prompt_share < cold.prompt_share


@pytest.mark.parametrize("users", [2, 16, 64])
@pytest.mark.parametrize("engine", ["vllm", "sglang", "tensorrt-llm"])
def test_a_benchmark_and_requests_in_flight_have_one_first_token_at_a_client(users, engine):
    asked = {"prompt": 1024, "generate": 256, "profile": engine}
    served = tf.serving("llama-3-8b", "h100", users=users, **asked)
    found = tf.estimate("llama-3-8b", "h100", batch=users, **asked).client_first_token
    assert served.benchmark_first_s == pytest.approx(found.expected_s, rel=0.005)


def test_certain_acceptance_divides_a_steps_time_by_its_tokens():
    """Four tokens a step; checking four at once costs little more while memory binds."""
    plain = tf.serving("llama-3-70b", "h100", tp=4, users=1)
    drafted = tf.serving("llama-3-70b", "h100", tp=4, users=1, draft_tokens=3, acceptance=1.0)
    assert plain.token_s[1] / 4 < drafted.token_s[1] < plain.token_s[1] / 3


@pytest.mark.parametrize(("tokens", "said"), [(1200, True), (1005, False)])
def test_a_draft_that_chooses_from_other_tokens_is_said(tokens, said):
    draft = decoder(vocab_size=tokens)
    served = tf.serving(decoder(), DEVICE, users=2, draft=draft, draft_tokens=3)
    assert any("(1,000 and 1,200 tokens)" in each for each in served.notes) is said


def test_a_rate_beyond_capacity_is_said_to_pile_up():
    most = tf.serving("llama-3-8b", "h100", rate=1).most_requests_per_s
    served = tf.serving("llama-3-8b", "h100", rate=2 * most, ttft_s=100)
    assert served.saturated
    assert served.meets is False
    assert "OVERLOADED" in str(served)
    assert served.tokens_per_s == pytest.approx(most * 256)
    assert (served.rate, served.load) == (2 * most, pytest.approx(2))


def test_simulated_and_closed_form_agree_where_it_is_trusted():
    served = tf.serving("llama-3-8b", "h100", rate=3, simulate=3000, tpot_s=1.0)
    assert not served.unknown
    assert served.simulation.token_mean_s == pytest.approx(served.token_s[1], rel=0.05)
    assert served.simulation.first_mean_s == pytest.approx(served.first_s[1], rel=0.15)
    assert served.simulation.within == 1.0


@pytest.mark.parametrize(
    "load",
    [
        {"users": 1, "prompt": 4000, "generate": 16},  # no prompt of its own between its tokens
        {"users": 1, "dp": 2},  # fewer users than replicas
        {"users": 3, "dp": 2},
        {"users": 16, "profile": "sglang"},  # equal outputs: who begins together ends together
        {"users": 4, "slots": 1, "prompt": 2000, "generate": 10},
        {"rate": 0.5, "profile": "sglang"},
        {"rate": 4, "lengths": "uniform"},
    ],
)
def test_slots_that_never_fill_are_no_reason_to_disagree(load):
    """The loop's own arrivals are what a rate is judged by: it draws a few more or less."""
    served = tf.serving("llama-3-8b", "h100", **{"profile": "vllm", **load}, simulate=2000)
    loop = served.simulation
    assert served.token_s[1] == pytest.approx(loop.token_mean_s, rel=0.01)
    assert served.first_s[1] == pytest.approx(loop.first_mean_s, rel=0.06)
    assert served.rate == pytest.approx(loop.requests_per_s, rel=0.01 if "users" in load else 0.05)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"users": 3, "rate": 2}, "users and rate"),
        ({"users": 0}, "users=0"),
        ({"users": 10**9 + 1}, "from 1 to 1,000,000,000"),
        ({"rate": -1}, "rate=-1"),
        ({"rate": float("nan")}, "rate=nan"),
        ({"prefix_hit": 1}, "prefix_hit=1"),
        ({"budget": 1}, "budget=1"),
        ({"lengths": "odd"}, "lengths='odd'"),
        ({"ttft_s": 0}, "ttft_s=0"),
        ({"draft": "gpt2", "draft_tokens": 0}, "draft_tokens"),
        ({"draft_tokens": -1}, "draft_tokens=-1"),
        ({"draft_tokens": 65}, "draft_tokens=65"),
        ({"simulate": 3}, "simulate=3"),
        ({"burstiness": 0}, "burstiness=0"),
        ({"burstiness": None}, "burstiness=None"),
        ({"generate": 0}, "generates nothing"),
        ({"generate": 1}, "generate=1"),
        ({"seed": -1}, "seed=-1"),
        ({"seed": 2**32 + 1}, "from 0 to 4,294,967,296"),
        ({"dtype": "fp32", "hardware": "rtx 4070"}, "does not fit"),
    ],
)  # fmt: skip
def test_nonsense_is_named(asked, said):
    hardware = asked.pop("hardware", "h100")
    with pytest.raises(UsageError, match=said):
        tf.serving("llama-3-8b", hardware, **asked)


@pytest.mark.parametrize("asked", [{"users": 4}, {"users": 4, "budget": 512, "slots": 8}])
def test_whole_numbers_of_numpy_are_answered_as_python_s_own(asked):
    numpy_s = {name: np.int64(value) for name, value in asked.items()}
    found, same = (tf.serving("llama-3-8b", "h100", **each) for each in (numpy_s, asked))
    assert str(found) == str(same)
    assert json.dumps(serving_json(found)) == json.dumps(serving_json(same))


def test_a_batch_that_is_read_and_generated_whole_has_no_prompts_between_tokens():
    """Its throughput is its tokens over reading all prompts and then all steps."""
    served = tf.serving("llama-3-8b", "h100", users=16, generate=101, profile="transformers")
    cycle = served.first_s[1] + 100 * served.token_s[1]
    assert served.rate == pytest.approx(16 / cycle)
    with pytest.raises(UsageError, match="ask for users"):
        tf.serving("llama-3-8b", "h100", rate=1.0, profile="transformers")


def test_models_that_serve_no_prompts_are_named():
    with pytest.raises(UsageError, match="an encoder and a decoder"):
        tf.serving("whisper-large-v3", "h100")
    with pytest.raises(UsageError, match="generates nothing"):
        tf.plan("bert-base-uncased", "h100")


def test_transformers_has_no_queue_to_simulate():
    with pytest.raises(UsageError, match="no continuous batching"):
        tf.serving("llama-3-8b", "h100", profile="transformers", simulate=100)


AZURE = "TIMESTAMP,ContextTokens,GeneratedTokens\n" + "".join(
    f"2023-11-16 18:17:{n:02d}.9799600,{100 + n},{10 + n}\n" for n in range(30)
)
MOONCAKE = "".join(
    json.dumps({"timestamp": 1000 * n, "input_length": 100 + n, "output_length": 10 + n, "ids": []})
    + "\n"
    for n in range(30)
)
PLAIN = "arrival_s,prompt,generate\n" + "".join(f"{n},{100 + n},{10 + n}\n" for n in range(30))


@pytest.mark.parametrize("text", [AZURE, MOONCAKE, PLAIN], ids=["azure", "mooncake", "plain"])
def test_published_traces_are_read(tmp_path, text):
    path = tmp_path / "trace"
    path.write_text(text, encoding="utf-8")
    trace = read_trace(str(path))
    assert trace.arrivals_s == pytest.approx(list(range(30)))
    lengths = lengths_of_trace(trace)
    assert lengths.prompt == 114.5
    assert sum(share * prompt for share, prompt in lengths.prompts) == pytest.approx(114.5)
    served = tf.serving("llama-3-8b", "h100", trace=str(path), simulate=60)
    assert served.rate == 1.0
    assert served.simulation.arrivals == "trace"


USAGE = {"prompt_tokens": 100, "completion_tokens": 50}
ZONES = "\n\n".join(
    json.dumps({"created_at": f"2024-10-27T0{n}:30:00+0{n}:00", "usage": USAGE}) for n in (2, 1)
)


@pytest.mark.parametrize(
    ("text", "arrivals", "prompts"),
    [
        ("\ufeffArrival Time (s);Input Tokens;Output Tokens\r\n4;100;50\r\n\r\n1.5;200;60\r\n",
         [0, 2.5], [200, 100]),
        ("timestamp_ms\tprompt_len\toutput_len\n1000\t100.0\t0\n2000\t200\t60\n;\n"[:-2],
         [0, 1], [100, 200]),
        ("\narrived_at,num_prefill_tokens,num_decode_tokens\n1700000000123,9,5\n1700000001623,20,6\n",
         [0, 1.5], [9, 20]),
        (ZONES, [0, 0], [100, 100]),
        (json.dumps([{"time": "2024-03-31 01:59:59.123456789", "isl": 9, "osl": 8},
                     {"time": "2024-03-31 03:00:00", "isl": 7, "osl": 6}]),
         [0, 3600.876544], [9, 7]),
        ("prompt,generate\n100,50\n200,60\n", [], [100, 200]),
    ],
    ids=["semicolons", "milliseconds", "epoch", "zones", "list", "no times"],
)  # fmt: skip
def test_traces_are_read_as_people_have_them(tmp_path, text, arrivals, prompts):
    path = tmp_path / "trace"
    path.write_text(text, encoding="utf-8")
    trace = read_trace(str(path))
    assert trace.arrivals_s == pytest.approx(arrivals)
    assert trace.prompts == prompts
    assert min(trace.outputs) >= 1, "a failed request counts one token"


def test_a_trace_without_times_needs_a_load_and_lengths_have_one_source(tmp_path):
    path = tmp_path / "trace.csv"
    path.write_text("prompt,generate\n100,50\n9000,60\n", encoding="utf-8")
    with pytest.raises(UsageError, match="users or a rate"):
        tf.serving("llama-3-8b", "h100", trace=str(path))
    with pytest.raises(UsageError, match="no prompt or generate"):
        tf.serving("llama-3-8b", "h100", trace=str(path), users=2, prompt=10)
    served = tf.serving("llama-3-8b", "h100", trace=str(path), rate=2.0, simulate=20)
    assert (served.prompt, served.simulation.arrivals) == (4550, "poisson")
    assert "9,060 tokens pass the 8,192 positions" in served.notes[-1]


@pytest.mark.parametrize(
    "text",
    [
        "", "a,b\n1,2\n", "{\n", "[", "[1, 2]", "arrival_s,prompt,generate\n0,x,1\n",
        "arrival_s,prompt,generate\n0,-5,1\n1,2,3\n", "time,prompt,generate\nnoon,5,1\n1,2,3\n",
    ],
)  # fmt: skip
def test_what_is_no_trace_is_refused(tmp_path, text):
    path = tmp_path / "trace"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="trace"):
        read_trace(str(path))


@pytest.mark.parametrize("shape", ["fixed", "uniform", "lognormal"])
def test_drawn_lengths_have_the_moments_that_the_closed_form_uses(shape):
    lengths = lengths_of(1000.0, 300.0, shape)
    prompts, outputs = draw_lengths(lengths, 200_000, 5)
    assert sum(prompts) / len(prompts) == pytest.approx(1000, rel=0.01)
    squares = sum(output**2 for output in outputs) / len(outputs)
    assert squares == pytest.approx(lengths.generate_square, rel=0.03)
    nodes = sum(share * prompt**2 for share, prompt in lengths.prompts)
    assert sum(p**2 for p in prompts) / len(prompts) == pytest.approx(nodes, rel=0.05)


def test_the_command_prints_the_same_and_its_code_says_whether_targets_are_met(capsys):
    options = ["serving", "llama-3-8b", "--gpu", "h100", "--users", "8", "--json"]
    assert main([*options, "--tpot", "1s"]) == 0
    printed = json.loads(capsys.readouterr().out)
    served = tf.serving("llama-3-8b", "h100", users=8, tpot_s=1.0)
    assert printed["tokens_per_s"] == served.tokens_per_s
    assert printed["limit"] == served.limit
    assert main([*options, "--tpot", "1ms"]) == 1


@pytest.mark.parametrize(
    ("load", "limit"),
    [({"users": 64}, "users"), ({"rate": 1.0}, "rate"), ({"users": 5000}, "memory"),
     ({"users": 5000, "slots": 4}, "batch"), ({"users": 64, "tpot_s": 0.001}, "target")],
)  # fmt: skip
def test_the_limit_is_the_first_that_is_hit(load, limit):
    assert tf.serving("llama-3-8b", "h100", profile="vllm", **load).limit == limit


def test_no_requests_are_no_simulation(capsys):
    assert main(["serving", "gpt2", "--gpu", "h100", "--simulate", "0"]) == 2
    assert "--simulate 0 makes no sense" in capsys.readouterr().err


@pytest.mark.parametrize("slots", [2, 8])
def test_a_server_that_is_nearly_always_full_gives_the_tokens_of_one_that_is_full(slots):
    """At 98 % of what it can keep up, all slots are taken nearly always."""
    server = {"model": "llama-3-8b", "hardware": "h100", "slots": slots}
    most = tf.serving(**server, rate=1).most_requests_per_s
    full, nearly = tf.serving(**server, users=slots), tf.serving(**server, rate=0.98 * most)
    assert nearly.token_s[1] == pytest.approx(full.token_s[1], rel=0.01)


def test_four_tokens_are_drafted_where_nothing_is_said():
    asked = {"users": 2, "draft": decoder()}
    assert tf.serving(decoder(), DEVICE, **asked) == tf.serving(
        decoder(), DEVICE, **asked, draft_tokens=4
    )


@pytest.mark.parametrize("profile", [None, "vllm"])
def test_memory_holds_fewer_sequences_beside_a_draft(profile):
    """Llama 3 70B keeps 320 KiB a token, 8B 128 KiB and weighs 4 GB on each of four devices: less
    than 320 / 448 of the sequences are held. 405B, 203 GB on each, is refused."""
    asked = {"tp": 4, "users": 4, "profile": profile}
    alone, beside = (
        tf.serving("llama-3.1-70b", "h100", draft=draft, **asked).largest_batch
        for draft in (None, "llama-3.1-8b")
    )
    assert 0.8 * 320 / 448 * alone < beside < 320 / 448 * alone
    with pytest.raises(UsageError, match="405b and one request"):
        tf.serving("llama-3.1-70b", "h100", draft="llama-3.1-405b", **asked)
