"""A measured result beside what it should be: the sizes that it prints, and the verdict."""

from __future__ import annotations

import json

import pytest
import thermoflop as tf
from thermoflop.base.paper import paper
from thermoflop.errors import InputError, UsageError
from thermoflop.model.load import load_model
from thermoflop.runs.check import check
from thermoflop.runs.judged import Check, Judged, off_text
from thermoflop.runs.measured import read_measured

LLAMA_BENCH = b"""\
ggml_cuda_init: found 1 CUDA devices:
  Device 0: NVIDIA GeForce RTX 4090, compute capability 8.9, VMM: yes
| model                  |     size | params | backend | ngl |          test |     t/s |
| ---------------------- | -------: | -----: | ------- | --: | ------------: | ------: |
| llama 8B Q4_K - Medium | 4.58 GiB | 8.03 B | CUDA    |  99 |         pp512 |11500.00 |
| llama 8B Q4_K - Medium | 4.58 GiB | 8.03 B | CUDA    |  99 | pp512 @ d4096 |  9000.00 |
| llama 8B Q4_K - Medium | 4.58 GiB | 8.03 B | CUDA    |  99 |         tg128 |   127.74 |
"""
SERVING = b"""\
============ Serving Benchmark Result ============
Backend:                                 sglang-oai
Max request concurrency:                 8
Successful requests:                     80
Total input tokens:                      81920
Total generated tokens:                  20480
Output token throughput (tok/s):         700.00
Mean TTFT (ms):                          100.00
Mean TPOT (ms):                          11.00
==================================================
"""


def test_every_test_of_llama_bench_is_judged_with_the_context_that_it_has():
    """127.74 tokens/s: a 4090 and tg512 of Llama 3 8B in Q4_K_M, as of May 2024 published."""
    measured = read_measured("-", LLAMA_BENCH)
    assert (measured.gpu, measured.dtype) == ("NVIDIA GeForce RTX 4090", "q4_k_m")
    found = check(load_model("llama-3-8b"), "rtx 4090", measured)
    assert [each.name for each in found.figures] == ["pp512", "pp512 @ d4096", "tg128"]
    deep = tf.estimate(
        "llama-3-8b", "rtx 4090", dtype="q4_k_m", profile="llama.cpp",
        prompt=4608, prefix=4096, generate=1,
    )  # fmt: skip
    assert found.figures[1].expected == 512 / deep.first_token.expected_s
    assert found.figures[2].verdict == "inside"
    assert found.is_good


def test_a_serving_benchmark_is_held_against_a_full_server_of_its_users_and_sizes():
    found = check(load_model("llama-3-8b"), "h100", read_measured("-", SERVING))
    sizes = {"prompt": 1024, "generate": 256, "prefix_hit": None}
    served = tf.serving("llama-3-8b", "h100", users=8, profile="sglang", **sizes)
    assert [each.measured for each in found.figures] == [0.1, 0.011, 700.0]
    assert found.figures[2].expected == served.tokens_per_s
    first_s, token_s, rate = (each.bound for each in found.figures)
    assert (token_s, first_s, rate) == tuple(served.bounds.__dict__.values())
    assert "8 users, 1,024 prompt + 256 output tokens" in found.title


def test_how_many_requests_ran_at_once_is_asked_for_where_no_line_says_it():
    lines = [line for line in SERVING.splitlines(keepends=True) if b"concurrency" not in line]
    with pytest.raises(UsageError, match="--users"):
        check(load_model("gpt2"), "h100", read_measured("-", b"".join(lines)))


@pytest.mark.parametrize(
    ("measured", "verdict", "is_good"),
    [(49, "slower", False), (50, "inside", True), (150, "inside", True), (160, "faster", True),
     (200, "faster", True), (201, "beyond", False)],
)  # fmt: skip
def test_a_rate_is_good_from_the_low_end_of_its_interval_up_to_its_bound(
    measured, verdict, is_good
):
    rate = Judged("while decoding", True, measured, 100, 50, 150, 200)
    time = Judged("each token", False, 1 / measured, 1 / 100, 1 / 150, 1 / 50, 1 / 200)
    assert rate.verdict == time.verdict == verdict
    assert Check("", (rate,), ()).is_good is is_good


def test_what_has_no_result_in_it_is_refused_with_what_would_have():
    with pytest.raises(InputError, match="expected what llama-bench"):
        read_measured("-", b"all is well\n")
    two = LLAMA_BENCH + LLAMA_BENCH.replace(b"llama 8B", b"qwen2 7B")
    with pytest.raises(InputError, match="keep the rows of one"):
        read_measured("-", two)


def test_no_server_gives_a_token_faster_than_its_weights_are_read():
    """15 GB of Llama 3 8B over 3.35 TB/s are 4.5 ms, and so a step of its eight users: 1,787/s."""
    fast = SERVING.replace(b"11.00", b"4.40").replace(b"700.00", b"1800.00")
    found = check("llama-3-8b", "h100", fast)
    assert [each.verdict for each in found.figures[1:]] == ["beyond", "beyond"]
    assert "each token after it, output tokens/s beyond" in found.verdict
    assert not found.is_good


def test_requests_at_a_rate_are_held_against_a_server_at_that_rate():
    """Its throughput is what came, and says nothing of the server."""
    at_rate = SERVING.replace(
        b"Max request concurrency:                 8", b"Traffic request rate: 3"
    )
    found = check("llama-3-8b", "h100", at_rate)
    served = tf.serving("llama-3-8b", "h100", rate=3, prompt=1024, generate=256, profile="sglang")
    assert [each.name for each in found.figures] == ["first token", "each token after it"]
    assert found.figures[0].expected == served.first_s[1]
    assert "3.00 requests/s, 1,024 prompt" in found.title


def test_a_first_token_among_requests_that_came_all_at_once_is_not_checked():
    burst = SERVING.replace(
        b"Max request concurrency:                 8", b"Traffic request rate: inf"
    )
    found = check("llama-3-8b", "h100", burst)
    assert [each.name for each in found.figures] == ["each token after it", "output tokens/s"]
    assert "80 users" in found.title
    assert "came at once" in found.notes[0]


def test_cached_prompts_are_read_sooner_and_what_is_said_of_them_makes_bounds_narrower():
    free, none, half = (
        check("llama-3-8b", "h100", SERVING, prefix_hit=hit).figures[0] for hit in (None, 0.0, 0.5)
    )
    assert free.expected == none.expected > half.expected
    assert free.bound < half.bound < none.bound


def test_a_file_that_counts_prompts_and_outputs_together_needs_their_sizes():
    """25 requests a second of 128 tokens are 3,200; 1,152,000 tokens of 1,000 are 1,152 each."""
    saved = b'{"elapsed_time": 40.0, "num_requests": 1000, "total_num_tokens": 1152000, '
    saved += b'"requests_per_second": 25.0, "tokens_per_second": 28800.0}'
    assert check("llama-3-8b", "h100", saved).figures[0].measured == 3200
    with pytest.raises(UsageError, match=r"counts 1,152 tokens a request, .* --generate"):
        check("llama-3-8b", "h100", saved, generate=512)


def test_a_name_of_ollamas_is_another_engines_model_as_published():
    assert ", bf16" in check("llama3.1:8b", "h100", SERVING).title
    assert ", q4_k_m" in check("llama3.1:8b", "h100", 72).title
    assert ", q8_0" in check("llama3.1:8b-instruct-q8_0", "rtx 4090", "72").title


def test_tokens_of_drafts_are_refused():
    drafted = SERVING + b"Accept length:                           2.40\n"
    with pytest.raises(UsageError, match=r"2\.40 of each check: expected a result without drafts"):
        check("llama-3-8b", "h100", drafted)


def test_a_rate_is_of_a_server_alone():
    with pytest.raises(UsageError, match="serves no requests"):
        check("llama-3-8b", "h100", 72, rate=3)
    with pytest.raises(UsageError, match="users=0 makes no sense"):
        check("llama-3-8b", "h100", 72, users=0)
    assert check("llama-3-8b", "h100", 800, users=8).title == (
        check("llama-3-8b", "h100", 800.0, batch=8).title
    )


ROW = b"| llama 8B Q4_K - Medium | 4.58 GiB | {} | CUDA | 20 | tg128 | 20.00 |\n"
HEAD = b"| model | size | params | backend | ngl | test | t/s |\n"


def test_another_model_than_llama_bench_ran_is_refused():
    """8.03 billion parameters; a file of Gemma 3 4B (4.3 billion) has 3.88, its eyes apart."""
    ran = HEAD + ROW.replace(b"{}", b"8.03 B")
    with pytest.raises(UsageError, match=r"1\.24 billion .* ran one of 8\.03 \(llama 8B Q4_K"):
        check("llama-3.2-1b", "rtx 4070", ran)
    with pytest.raises(UsageError, match=r"4\.30 billion"):
        check("gemma-3-4b", "rtx 4070", ran)
    assert check("gemma-3-4b", "rtx 4070", ran.replace(b"8.03", b"3.88")).figures
    assert check("llama-3.1-8b", "rtx 4070", ran.replace(b"8.03 B", b"8030.26 M")).figures


@pytest.mark.parametrize(
    ("named", "model", "is_other"),
    [("meta-llama/Llama-3.1-8B-Instruct", "llama-3-70b", True),
     ("meta-llama/Llama-3.1-8B-Instruct", "llama-3.1-8b", False),
     ("our-own-name", "llama-3-70b", False), ("/etc", "llama-3-70b", False)],
)  # fmt: skip
def test_another_model_than_a_result_names_is_refused(named, model, is_other):
    """Where the name is in the catalogue; a server may call its model what it likes."""
    saved = {"model_id": named, "output_throughput": 100.0, "total_output_tokens": 256,
             "total_input_tokens": 1024, "completed": 1, "max_concurrency": 1}  # fmt: skip
    data = json.dumps(saved).encode()
    if is_other:
        with pytest.raises(UsageError, match=r"70\.6 billion .* one of 8\.03 \(meta-llama/"):
            check(model, "b200", data, dtype="fp8")
    else:
        assert check(model, "b200", data, dtype="fp8").figures


def test_layers_that_llama_bench_left_with_the_processor_are_expected_there():
    ran = HEAD + ROW.replace(b"{}", b"8.03 B")
    left, whole = (
        check("llama-3.1-8b", "rtx 4070", each) for each in (ran, ran.replace(b"| 20 |", b"| 99 |"))
    )
    assert left.notes[0] == "llama-bench had 20 of 32 layers on the GPU"
    options = {"profile": "llama.cpp", "engine_options": {"n_gpu_layers": 20}}
    sizes = {"prompt": 1, "generate": 129, "dtype": "q4_k_m"}
    hosted = tf.fit("llama-3.1-8b", "rtx 4070", **sizes, **options).hosted
    assert left.figures[0].expected == pytest.approx(hosted.tokens_per_s[1])
    assert left.verdict.startswith("It is as fast as expected with 2.3")
    assert left.is_good
    assert not whole.hosted
    assert "Heat" in whole.verdict
    other = check("llama-3.1-8b", "rtx 4070", ran, profile="ollama").notes[0]
    assert other.endswith("20 of 32 layers on the GPU, and all are estimated")
    with pytest.raises(UsageError, match="ran on the processor"):
        check("llama-3.1-8b", "rtx 4070", ran.replace(b"CUDA", b"CPU"))
    assert check("llama-3.1-8b", "epyc-9654", ran.replace(b"CUDA", b"CPU")).figures


@pytest.mark.parametrize(
    ("model", "device", "profile", "measured", "says", "is_good"),
    [
        # which `fit` expects at 34.7 (24.8 to 48.6) with -ncmoe 24, 17.4 with -ngl 14
        ("gpt-oss:120b", "rtx 4090", None, 35, "as fast as expected with experts of 24 of", True),
        ("gpt-oss:120b", "rtx 4090", None, 17, "as fast as expected with 22 of 36 layers", True),
        ("gpt-oss:120b", "rtx 4090", None, 8, "slower than with experts of 24 of", False),
        # 70.2 GB in 16 bits, and 20.7 in 4.7: no desktop's memory gives 140 tokens/s of the first
        ("qwen3.6-35b-a3b", "rtx 4090", None, 140, "looks like q4_k_m (--dtype q4_k_m)", False),
        ("qwen3:30b", "rtx 5070 ti", "ollama", 60, "with 6 of 48 layers", True),
        # 14.4 to 28.1 ms a token in q4_k_m with experts of 19 layers beside the 12 GB
        ("qwen3.6-35b-a3b", "rtx 3060", None, "15ms", "(--dtype q4_k_m) with experts of 19", False),
        # an engine that leaves nothing in the computer's memory
        ("qwen3-14b", "rtx 4090", "vllm", 30, "it takes 3", False),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_held_against_a_part_in_the_computers_memory(
    model, device, profile, measured, says, is_good
):
    check = tf.check(model, device, measured, profile=profile)
    assert says in check.verdict
    assert check.is_good is is_good
    assert not {"Good", "Heat"} & set(check.verdict.replace(":", " ").replace(".", " ").split())


def test_the_memory_and_the_rate_beside_what_does_not_fit_are_those_of_fit():
    check = tf.check("qwen3-coder:30b", "rtx 4060 ti 16gb", 60)
    capacity, figure = tf.fit("qwen3-coder:30b", "rtx 4060 ti 16gb"), check.figures[0]
    memory = capacity.memory
    assert (
        check.missing
        == f"{memory.total_bytes / 1e9:.1f} GB of {memory.capacity_bytes / 1e9:.1f} GB"
    )
    rates = {remedy.kind: remedy.tokens_per_s for remedy in capacity.remedies}
    assert figure.expected == pytest.approx(rates["experts on the host"])
    assert any("llama.cpp's -ngl 43" in note for note in check.notes)
    assert "as `thermoflop fit` expects it" in check.notes[-1]


def test_every_test_of_llama_bench_is_held_against_the_same_part():
    """Llama 3 70B in 42.5 GB on 24: its prompts as well."""
    ran = LLAMA_BENCH.replace(b"llama 8B", b"llama 70B").replace(b"8.03 B", b"70.55 B")
    check = tf.check("llama-3-70b", "rtx 4090", ran)
    assert [each.name for each in check.figures] == ["pp512", "tg128"]
    cached = [note for note in check.notes if "not checked, as prompts after others" in note]
    assert [note.partition(":")[0] for note in cached] == ["pp512 @ d4096"]
    assert "layers in the computer's memory" in check.hosted
    sizes = ({"prompt": 512, "generate": 1}, {"prompt": 1, "generate": 129})
    read, made = (tf.fit("llama-3-70b", "rtx 4090", dtype="q4_k_m", **each) for each in sizes)
    assert check.figures[1].expected == pytest.approx(made.remedies[-1].tokens_per_s)
    assert f"prompts at {check.figures[0].expected:.0f} (" in read.remedies[-1].text


def test_a_result_of_which_nothing_can_be_checked_has_no_verdict():
    ran = HEAD + ROW.replace(b"{}", b"8.03 B").replace(b"tg128", b"pp512 @ d4096")
    with pytest.raises(UsageError, match="nothing of this result can be checked"):
        tf.check("llama-3.1-8b", "rtx 4070", ran)


def test_a_rate_beyond_the_bound_of_16_bits_is_told_the_format_that_it_looks_like():
    """29.5 GB of Qwen3 14B over 1,008 GB/s: at most 34 a second, and in q8_0 twice that."""
    check = tf.check("qwen3-14b", "rtx 4090", 45)
    narrow = tf.check("qwen3-14b", "rtx 4090", 45, dtype="q8_0")
    assert check.verdict.startswith("Not possible")
    assert "It looks like q8_0 (--dtype q8_0)" in check.verdict
    assert narrow.is_good
    assert tf.check("qwen3-14b", "rtx 4090", 1e6).verdict.endswith("another than named here.")


def lines_at(columns, check):
    with paper(columns):
        return str(check).splitlines()


@pytest.mark.parametrize("typed", ["72", "14ms", "1e9", "1us"])
def test_a_narrow_page_keeps_the_bound_that_was_passed_and_the_rows_name(typed):
    """16.06 GB of weights in bf16 over the 4090's 1,008 GB/s: 15.9 ms, and no less than 14."""
    check = tf.check("llama-3-8b", "rtx 4090", typed)
    head, row = lines_at(80, check)[3:5]
    assert "bound" in head
    assert row.startswith(check.figures[0].name)
    assert row.endswith("beyond")
    assert len(row) <= 80


@pytest.mark.parametrize(
    ("measured", "said"),
    [(95, "-5 %"), (168, "+68 %"), (990, "+890 %"), (1050, "10.5 x"), (1e9, "> 1,000 x"),
     (1e-3, "< -99 %")],
)  # fmt: skip
def test_percent_are_said_up_to_tenfold(measured, said):
    assert off_text(Judged("", True, measured, 100, 50, 150, 200)) == said


def test_a_file_that_is_slower_and_faster_names_both_and_no_heat():
    """400 ms to the first token and 1,400 tokens/s of eight users."""
    mixed = SERVING.replace(b"100.00", b"400.00").replace(b"11.00", b"5.00")
    check = tf.check("llama-3-8b", "h100", mixed.replace(b"700.00", b"1400.00"))
    assert [each.verdict for each in check.figures] == ["slower", "faster", "faster"]
    assert check.verdict.startswith("Slower than it should be: first token; and faster: each token")
    assert "than heat" in check.verdict
    assert not check.is_good


@pytest.mark.parametrize("result", [None, [72], {"tokens_per_s": 72}])
def test_what_is_no_result_is_refused_by_its_value(result):
    with pytest.raises(UsageError, match="makes no sense: expected tokens/s, the time of a token"):
        tf.check("gpt2", "h100", result)


def test_the_format_that_a_name_means_is_said_and_so_is_a_mix_that_is_none_of_llama_cpps():
    (said,) = (n for n in tf.check("qwen3-30b-a3b:UD-Q4_K_XL", "rtx 4090", 60).notes if "name" in n)
    assert said.startswith("ud-q4_k_xl of the name is counted as q4_k_m: such mixes differ")
    assert "the name means q4_k_m: the weights are counted so" in (
        tf.check("qwen3-30b-a3b:q4_K_M", "rtx 4090", 60).notes
    )
