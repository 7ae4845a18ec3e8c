"""What engines make of a device, against the lines that they print when they start.

vLLM 0.19 on H100 with gpu_memory_utilization=0.95: github:jgchn/llm-d-planner
accuracy/results/v0.19.0/results_raw.csv. SGLang: pull request 4760 of sgl-project/sglang and issue
2468. llama.cpp: pull request 370 of ikawrakow/ik_llama.cpp.
"""

from __future__ import annotations

import pytest
import thermoflop as tf
from thermoflop.errors import InputError, ThermoflopError, UsageError

LOGGED = {"gpu_memory_utilization": 0.95, "version": "0.19"}
MIB = 2**20


# tokens of the cache, and how many sequences of 8,192 at once
@pytest.mark.parametrize(
    ("model", "tp", "tokens", "at_once", "within"),
    [
        ("llama-3.1-8b", 1, 476_016, 58.11, 0.005),
        ("llama-3.1-8b", 2, 1_044_688, 127.53, 0.005),
        ("qwen2.5-7b", 1, 1_096_000, 133.79, 0.005),
        ("gemma-2-2b", 1, 670_160, 81.73, 0.005),  # windows of 4,096: no gain at 8,192
        ("gemma-3-12b", 1, 130_304, 15.88, 0.02),  # 8 layers of 48 keep everything, in 6 groups
        ("deepseek-v2-lite", 1, 1_505_552, 183.78, 0.01),  # a latent of 576 elements
        ("mixtral-8x7b", 2, 465_936, 56.88, 0.005),
        ("qwen2.5-72b", 2, 19_920, 2.43, 0.05),
    ],
)
def test_vllms_cache_is_what_it_prints(model, tp, tokens, at_once, within):
    found = tf.fit(model, "h100", devices=tp, prompt=8191, generate=1, profile="vllm",
                   engine_options=LOGGED).budget  # fmt: skip
    assert found.cache_tokens == pytest.approx(tokens, rel=within)
    assert found.sequences == pytest.approx(at_once, rel=within)


def test_an_fp8_cache_holds_twice_as_many_tokens():
    options = {**LOGGED, "kv_cache_dtype": "fp8"}
    found = tf.fit("llama-3.1-8b", "h100", profile="vllm", engine_options=options).budget
    assert found.cache_tokens == pytest.approx(952_032, rel=0.005)


@pytest.mark.parametrize(
    ("model", "device", "options", "tokens"),
    [
        ("llama-3.1-8b", "h100", {"mem_fraction_static": 0.88}, 442_750),
        ("mistral-7b", "rtx 4090", {"mem_fraction_static": 0.88}, 56_524),
    ],
)
def test_sglangs_cache_is_what_it_prints(model, device, options, tokens):
    found = tf.fit(model, device, profile="sglang", engine_options=options).budget
    assert found.cache_tokens == pytest.approx(tokens, rel=0.01)


def test_cards_without_links_hold_a_smaller_communicator():
    """0.15 GiB on each of four L4 (SGLang's log: 0.13 after init), 65,536 B of Qwen2.5-32B a token:
    0.85 of it is a share of the cache."""
    options = {"mem_fraction_static": 0.85, "chunked_prefill_size": 2048}
    cards = tf.fit("qwen2.5-32b", "l4", devices=4, profile="sglang", engine_options=options).budget
    alone = tf.fit("qwen2.5-32b", "l4", profile="sglang", engine_options=options).budget
    assert alone.usable_bytes - alone.activation_bytes - (
        cards.usable_bytes - cards.activation_bytes
    ) == pytest.approx(0.85 * 0.15 * 2**30)


@pytest.mark.parametrize(("sequences", "fraction"), [(64, 0.9), (2048, 0.5)])
def test_tensorrts_engines_hold_logits_of_every_sequence(sequences, fraction):
    """22 B of 128,256 logits a sequence, less what the PyTorch backend holds: 0.85 GiB."""
    asked = {"max_batch_size": sequences, "free_gpu_memory_fraction": fraction}

    def pool(backend):
        return tf.fit("llama-3.1-8b", "h100", profile="tensorrt-llm",
                      engine_options={**asked, "backend": backend}).budget.cache_bytes  # fmt: skip

    beside = 22 * 128_256 * sequences - 0.85 * 2**30
    assert pool("pytorch") - pool("tensorrt") == pytest.approx(fraction * beside)


def test_sglangs_share_is_its_own_rule():
    """H200, tp=8: 143,771 MiB less 512 + 1.5 x 8192 + 2 x 512 + 1024: 0.897."""
    found = tf.fit("llama-3.1-70b", "h200", devices=8, profile="sglang").budget
    assert found.options["mem_fraction_static"] == 0.897


def test_llama_cpp_lays_its_cache_and_its_buffer_out():
    """Qwen3-30B-A3B, 32,768 cells: 3072 MiB of cache; of builds before May 2026 304.75 of buffer
    with two hidden states."""
    found = tf.fit("qwen3-30b-a3b", "rtx 3090", prompt=32_767, generate=1, dtype="q4_k_m",
                   profile="llama.cpp", engine_options={"build": 5000})  # fmt: skip
    assert found.memory.kv_bytes == 3072 * MIB
    assert found.budget.activation_bytes == 4 * 512 * (151_936 + 2048)
    assert found.budget.host_bytes == 151_936 * 2048 * 4.5 / 8


def test_a_window_is_laid_out_with_a_micro_batch():
    """gpt-oss-20b: 12 layers of 8 x 64 keep all of 8,192, 12 keep 128 + 512 in rows of 256."""
    found = tf.fit("gpt-oss-20b", "rtx 3090", prompt=8191, generate=1, profile="llama.cpp")
    assert found.memory.kv_bytes == 12 * 2 * 512 * 2 * (8192 + 768)


def test_keys_and_values_may_be_kept_in_different_formats():
    options = {"ctk": "q8_0", "ctv": "q4_0"}
    found = tf.fit("llama-3-8b", "rtx 3090", profile="llama.cpp", engine_options=options)
    assert found.precision.kv_bytes == (34 + 18) / 64


def test_layers_on_the_host_leave_the_device():
    """One layer of 32 on the device: no more than a 20th of the weights, the rest on the host."""
    found = tf.fit("llama-3-8b", "rtx 3090", profile="llama.cpp", engine_options={"ngl": 1})
    assert found.memory.weight_bytes < 16.1e9 / 20
    whole = found.memory.weight_bytes + found.budget.host_bytes
    assert whole == pytest.approx(2 * 8_030_261_248, rel=1e-6)


@pytest.mark.parametrize(
    ("profile", "options", "words"),
    [
        ("sglang", {"gpu_memory_utilization": 0.5}, "did you mean mem_fraction_static"),
        ("vllm", {"gpu_mem": 0.5}, "vllm has no option gpu_mem: expected one of gpu_memory_util"),
        ("vllm", {"gpu_memory_utilization": 1.5}, "expected a share above 0, up to 1"),
        ("vllm", {"max_num_seqs": "many"}, "max_num_seqs=many makes no sense: expected a whole"),
        ("vllm", {"max_num_seqs": -1}, "max_num_seqs=-1 makes no sense: expected a whole number f"),
        ("vllm", {"max_num_batched_tokens": "all"}, "max_num_batched_tokens=all makes no sense"),
        ("vllm", {"kv_cache_dtype": "q8_0"}, "expected one of fp32, bf16"),
        ("gpt-fast", {"x": 1}, "engine 'gpt-fast' has no options of its memory: vllm, sglang"),
        (None, {"ngl": 1}, "engine_options need the engine: name it with profile"),
        ("llama.cpp", "ngl=1", "is no dictionary of names and values"),
        ("sglang", {"page_size": True}, "page_size=True makes no sense"),
    ],
)
def test_an_option_that_an_engine_does_not_know_is_named(profile, options, words):
    with pytest.raises(UsageError, match=words):
        tf.fit("llama-3-8b", "h100", profile=profile, engine_options=options)


@pytest.mark.parametrize(
    ("profile", "options", "longest", "words"),
    [
        ("vllm", {"max_model_len": 1000}, 1000, "max_model_len=1000 takes 1,000 tokens a seq"),
        ("llama.cpp", {"c": 2048, "np": 2}, 1024, "ctx_size=2048 takes 1,024 tokens a sequence"),
        ("ollama", {"num_ctx": 1024, "num_parallel": 4}, 1024, "num_ctx=1024 takes 1,024 tokens"),
    ],
)
def test_a_sequence_is_no_longer_than_the_options_allow(profile, options, longest, words):
    with pytest.raises(UsageError, match=words):
        tf.fit("llama-3-8b", "h100", profile=profile, engine_options=options)
    shorter = tf.fit("llama-3-8b", "h100", prompt=500, generate=12, profile=profile,
                     engine_options=options)  # fmt: skip
    assert shorter.longest_context == longest


def test_a_model_that_keeps_nothing_has_no_limit_of_sequences_by_its_cache():
    found = tf.fit("bert-base", "h100", profile="vllm")
    assert found.budget.sequences is None
    assert "vllm: no cache to hold; it runs 1,024 at once" in str(found)


def test_a_version_of_vllm_may_stand_in_the_profile():
    """Sampling sorted its logits until 0.17: 2.85 GiB more of Llama's at 1,024 sequences."""
    old, new = (
        tf.fit("llama-3.1-8b", "h100", profile=f"vllm {version}").budget
        for version in ("0.11", "0.19")
    )
    assert old.activation_bytes - new.activation_bytes == pytest.approx(2.87 * 2**30, rel=0.1)


def test_a_run_that_does_not_fit_says_what_would():
    found = tf.fit("qwen3-235b-a22b", "rtx 5090", dtype="q4_k_m", profile="llama.cpp")
    kinds = {remedy.kind: remedy for remedy in found.remedies}
    assert not found.fits
    assert set(kinds) == {"devices", "experts on the host", "layers on the host"}
    experts = kinds["experts on the host"]
    options = {"n_cpu_moe": experts.value}
    assert tf.fit("qwen3-235b-a22b", "rtx 5090", dtype="q4_k_m", profile="llama.cpp",
                  engine_options=options).fits  # fmt: skip
    # experts alone are read a few at a time: much less than whole layers
    assert experts.tokens_per_s > 1.3 * kinds["layers on the host"].tokens_per_s


def test_experts_on_the_host_are_counted_by_the_layers_that_have_them():
    """DeepSeek-V3: 61 layers, the first three without experts (its config's first_k_dense_replace),
    which -ncmoe counts all the same."""
    found = tf.fit(
        "deepseek-v3", "rtx 5090", dtype="q4_k_m", profile="llama.cpp", host_bandwidth=80
    )
    (experts,) = [each for each in found.remedies if each.kind == "experts on the host"]
    said = f"experts of {experts.value - 3} of 58 layers in the computer's memory (-ncmoe"
    assert experts.text.startswith(f"{said} {experts.value}, which counts those without experts: ")


def test_twice_the_bandwidth_of_the_host_is_nearly_twice_as_fast():
    slow, fast = (
        tf.fit("llama-3-70b", "rtx 3090", profile="llama.cpp", host_bandwidth=gb).remedies[-1]
        for gb in (50, 100)
    )
    assert slow.kind == "layers on the host"
    assert 1.8 < fast.tokens_per_s / slow.tokens_per_s <= 2


def test_cards_that_are_not_alike_share_layers_by_memory():
    found = tf.fit("llama-3-70b", "rtx-3060 + 2 x rtx-3090", dtype="q4_k_m", profile="llama.cpp")
    small, *large = found.cards
    assert sum(card.layers for card in found.cards) == 80
    assert small.layers * 1.8 < large[0].layers
    assert [card.output for card in found.cards] == [False, False, True]
    assert found.fits == all(card.memory.fits for card in found.cards)


def test_engines_that_divide_heads_take_the_smallest_card():
    found = tf.fit("llama-3-8b", "rtx-3090 + rtx-4090", profile="vllm")
    assert (found.plan.tp, found.device.name) == (2, "RTX 4090")


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        # 32 layers of 8 key heads of 128 in every layer; llama.cpp's llama knows no window
        ("mistral-7b-v0.1", 32 * 2 * 8 * 128 * 2 * 16_384),
        # Gemma 3 27B: 10 of 62 layers see all, the rest 1,024 tokens and a micro-batch of 512
        ("gemma-3-27b", 2 * 16 * 128 * 2 * (10 * 16_384 + 52 * 1536)),
    ],
)
def test_llama_cpp_keeps_windows_of_models_that_have_other_layers_besides(name, cells):
    found = tf.fit(name, "h100", prompt=16_383, generate=1, profile="llama.cpp")
    assert found.memory.kv_bytes == cells


def test_cards_in_a_command_that_takes_one_are_named():
    with pytest.raises(InputError, match="names several cards: expected one here; fit, estimate"):
        tf.plan("llama-3-8b", "2 x rtx-3090 + rtx-4090")
    with pytest.raises(InputError, match="is not in the catalogue of devices"):
        tf.estimate("llama-3-8b", "rtx-3090 + no-such-card")


@pytest.mark.parametrize(
    "text", ["rtx-3090 +", "0 x rtx-3090 + rtx-4090", "x x a + b", "99 x a + b"]
)
def test_a_list_of_cards_that_names_none_is_refused(text):
    with pytest.raises(ThermoflopError):
        tf.fit("gpt2", text)


def test_the_tower_of_a_model_that_sees_is_no_layer_of_llama_cpp():
    """Qwen2.5-VL-7B: 28 layers of text; the 676,550,144 weights of what sees are on the device
    where their file is given."""
    options = {"n_gpu_layers": 0}
    text = tf.fit("qwen2.5-vl-7b", "rtx 3090", profile="llama.cpp", engine_options=options)
    assert text.memory.weight_bytes == 0
    assert any("mmproj=true, 1.35 GB" in note for note in text.budget.notes)
    options = {"n_gpu_layers": 0, "mmproj": True}
    nothing = tf.fit("qwen2.5-vl-7b", "rtx 3090", profile="llama.cpp", engine_options=options)
    assert nothing.memory.weight_bytes == pytest.approx(2 * 676_550_144, rel=1e-6)
    assert nothing.memory.kv_bytes == 0
    assert not nothing.budget.notes
    two = tf.fit("qwen2.5-vl-7b", "rtx 3060", devices=2, profile="llama.cpp")
    # 14 layers a card, 4 KV heads of 128 for keys and values in 2 bytes, 1,152 in cells of 256
    assert two.fits
    assert two.memory.kv_bytes == 14 * 2 * 4 * 128 * 2 * 1280
    unlike = tf.fit("qwen2.5-vl-7b", "rtx 3060 + rtx 3090", profile="llama.cpp")
    assert sum(card.layers for card in unlike.cards) == 28
    weights = sum(card.memory.weight_bytes for card in unlike.cards)
    text = 2 * (8_292_166_656 - 676_550_144) - two.budget.host_bytes
    assert weights == pytest.approx(text, rel=1e-6)


def test_as_many_layers_of_a_model_that_sees_as_the_remedy_says_fit_and_no_more():
    def with_layers(count):
        return tf.fit("gemma-3-27b", "rtx 3090", profile="llama.cpp",
                      engine_options={"n_gpu_layers": count})  # fmt: skip

    kept = with_layers(62).remedies[-1]
    assert f"{62 - kept.value} of 62 layers" in kept.text
    assert with_layers(kept.value).fits
    assert not with_layers(kept.value + 1).fits


@pytest.mark.parametrize(
    ("model", "card", "profile"),
    [("phi-4", "rtx 2060", None), ("llama-3-70b", "rtx 3090 + rtx 4090", "llama.cpp"),
     ("llama-3-70b", "2 x rtx 3060 + rtx 3090", "llama.cpp")],
)  # fmt: skip
def test_no_wider_format_fits_than_the_remedy_says(model, card, profile):
    found = tf.fit(model, card, profile=profile)
    named = next(remedy.value for remedy in found.remedies if remedy.kind == "dtype")
    narrow = tf.fit(model, card, profile=profile, dtype=named)
    assert narrow.fits
    for name in ("q8_0", "q6_k", "q5_k_m", "q5_k_s", "q4_k_m", "q4_k_s", "iq4_xs", "q3_k_l",
                 "q3_k_m", "iq3_m", "q3_k_s", "iq3_xs", "iq3_xxs", "q2_k", "iq2_m"):  # fmt: skip
        wider = tf.fit(model, card, profile=profile, dtype=name)
        if wider.precision.weight_bits > narrow.precision.weight_bits:
            assert not wider.fits, name


def test_what_is_missing_on_unlike_cards_is_missing_on_all_together():
    found = tf.fit("llama-3-70b", "rtx 3090 + rtx 4090", profile="llama.cpp")
    memories = [card.memory for card in found.cards]
    missing = sum(memory.total_bytes - memory.capacity_bytes for memory in memories)
    assert missing > found.memory.shortfall_bytes
    words = " ".join(str(found).split())
    assert f"no: {missing / 1e9:.1f} GB missing on all cards together" in words


def test_heads_that_do_not_divide_are_told_what_would():
    with pytest.raises(UsageError, match=r"expected a divisor of 128, or pp=3 instead"):
        tf.fit("llama-3.1-405b", "h100", devices=3, profile="vllm")


@pytest.mark.parametrize("profile", [None, "vllm"])
def test_stages_share_the_layers_of_the_text_and_the_tower_is_on_one(profile):
    """Qwen2.5-VL-7B: of 8,292,166,656 weights 676,550,144 see; table and head have 544,997,376
    each, of which a stage holds one."""
    two = tf.fit("qwen2.5-vl-7b", "h100", pp=2, profile=profile)
    text = (8_292_166_656 - 676_550_144 - 2 * 544_997_376) / 2
    stage = 2 * (text + 544_997_376 + 676_550_144)
    assert two.memory.weight_bytes == pytest.approx(stage, rel=1e-5)


def test_a_narrower_cache_over_unlike_cards_is_one_of_llama_cpp():
    found = tf.fit("qwen3-next-80b-a3b", "rtx-3090 + rtx-4090", dtype="q4_k_m", prompt=100_000)
    [cache] = [remedy.value for remedy in found.remedies if remedy.kind == "kv_dtype"]
    assert cache in ("q8_0", "q4_0")


@pytest.mark.parametrize(("profile", "share"), [("vllm@0.11", 0.9), ("vllm 0.20", 0.9),
                                                ("vllm 0.21", 0.92), ("vllm", 0.92)])  # fmt: skip
def test_vllm_takes_a_share_of_0_92_since_it_counts_its_graphs(profile, share):
    """Pull request 38284 of vLLM; its log since says "enabled (default since v0.21.0)"."""
    budget = tf.fit("llama-3.1-8b", "h100", profile=profile).budget
    assert budget.options["gpu_memory_utilization"] == share


def test_a_fit_and_an_estimate_say_how_many_of_a_batch_run_at_once():
    """vLLM's 1,024 on a card of 80 GB, in each of two replicas."""
    two = {"devices": 2, "dp": 2, "prompt": 16, "generate": 4, "profile": "vllm"}
    said = [
        " ".join(str(ask("llama-3.1-8b", "h100", batch=4000, **two)).split())
        for ask in (tf.fit, tf.estimate)
    ]
    for text in said:
        assert "2,048 of the 4,000 run at once (max_num_seqs), the others wait" in text
    assert ": it fits; 2,048 of" in said[0]
    few = tf.fit("llama-3.1-8b", "h100", batch=2048, **two)
    assert "the others wait" not in f"{few}"


def test_a_state_that_does_not_grow_and_a_model_on_the_host_have_no_limit():
    assert "longest context at this batch:    no limit\n" in f"{tf.fit('falcon-mamba-7b', 'h100')}"
    options = {"n_gpu_layers": 0}
    found = f"{tf.fit('gpt2', 'rtx 4090', profile='llama.cpp', engine_options=options)}"
    assert "largest batch at this context:    no limit on the device: the host keeps all\n" in found


@pytest.mark.parametrize(
    ("model", "options", "said"),
    [
        ("gpt2", {"n_cpu_moe": 4}, ["n_cpu_moe=4 changes nothing: gpt2 has no experts"]),
        ("gpt2", {"cpu_moe": "true"}, ["cpu_moe=true changes nothing: gpt2 has no experts"]),
        ("gpt2", {"cmoe": True, "ncmoe": 2},
         ["n_cpu_moe=2 and cpu_moe=true change nothing: gpt2 has no experts"]),
        ("gpt2", {"n_cpu_moe": 0, "cpu_moe": False}, []),
        ("gpt-oss-20b", {"n_cpu_moe": 4}, []),
    ],
)  # fmt: skip
def test_options_for_experts_are_said_to_change_nothing_where_there_are_none(model, options, said):
    found = f"{tf.fit(model, 'h100', profile='llama.cpp', engine_options=options)}".splitlines()
    assert [line for line in found if "nothing: " in line] == said


@pytest.mark.parametrize(
    ("device", "profile", "options", "reason"),
    [
        ("h100", "vllm", None, "llama.cpp and Ollama alone leave layers in the computer's memory"),
        ("h100", "mlc", None, "llama.cpp and Ollama alone leave layers in the computer's memory"),
        ("h100", None, None, "no layer is left in the computer's memory"),
        ("h100", "llama.cpp", None, "no layer is left in the computer's memory"),
        ("2xh100", "llama.cpp", {"n_gpu_layers": 3}, None),
        ("2xh100", "llama.cpp", None, "no layer is left in the computer's memory"),
        ("rtx 3090 + rtx 4090", "ollama", None, "no layer is left in the computer's memory"),
        ("h100", "llama.cpp", {"n_gpu_layers": 3}, None),
    ],
)  # fmt: skip
def test_a_bandwidth_of_the_host_is_said_to_change_nothing(device, profile, options, reason):
    said = tf.fit("gpt2", device, profile=profile, engine_options=options, host_bandwidth=80)
    words, begun = " ".join(f"{said}".split()), "the host's bandwidth changes nothing: "
    assert words.partition(begun)[2].startswith(reason) if reason else begun not in words


def test_over_devices_that_divide_matrices_no_speed_is_made_of_the_host():
    options = {"n_gpu_layers": 3}
    found = tf.fit("gpt2", "2xh100", tp=2, profile="llama.cpp", engine_options=options,
                   host_bandwidth=80)  # fmt: skip
    assert found.hosted is None
    assert "is counted over stages (pp) alone" in " ".join(f"{found}".split())


def test_a_bandwidth_of_the_host_that_a_remedy_reads_is_not_said_to_change_nothing():
    found = tf.fit("llama-3-70b", "rtx 4090", host_bandwidth=80)
    assert not found.fits
    assert "changes nothing" not in f"{found}"
