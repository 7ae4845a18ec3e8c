"""Prompts of llama.cpp with a part of the model in the host's memory: the device's own time, and
that of what it is sent for every micro-batch, at 20 GB/s or three quarters of its PCIe."""

from __future__ import annotations

import pytest
import thermoflop as tf
from thermoflop.base.record import replace
from thermoflop.cost.inference.what_fits import fit_json

GPU = tf.find_device("rtx 3060")
ASKED = {"dtype": "iq4_xs", "generate": 8, "profile": "llama.cpp"}


def hosted(device=GPU, prompt=512, **options):
    model = "qwen3.6-35b-a3b"
    return tf.fit(model, device, prompt=prompt, engine_options=options, **ASKED).hosted


def alone(prompt=512):
    """The prompt on a card that holds the model, as fast as the device."""
    roomy = replace(GPU, memory_bytes=80e9)
    found = tf.estimate("qwen3.6-35b-a3b", roomy, prompt=prompt, **ASKED).first_token
    return found.low_s, found.expected_s, found.high_s


def table_bytes():
    """The table of tokens, 248,320 x 2,048 in iq4_xs's q5_k, 5.5 bits: it is not sent."""
    return 248_320 * 2_048 * 5.5 / 8


@pytest.mark.parametrize(("pcie", "sent"), [("PCIe 4 x16", 20e9), ("PCIe 3 x8", 6e9), ("", 20e9)])
@pytest.mark.parametrize(("prompt", "ubatch", "passes"), [(512, 512, 1), (1100, 512, 3)])
def test_what_the_host_holds_is_sent_once_a_micro_batch(pcie, sent, prompt, ubatch, passes):
    found = hosted(replace(GPU, pcie=pcie), prompt, n_cpu_moe=30, ubatch_size=ubatch)
    sent_s = passes * (found.host_bytes - table_bytes()) / sent
    low_s, expected_s, high_s = alone(prompt)
    ends = high_s + 2 * sent_s, expected_s + sent_s, low_s + sent_s / 2
    assert found.prompt_tokens_per_s == pytest.approx([prompt / each for each in ends], rel=0.01)


def test_larger_micro_batches_are_sent_less_often():
    small, large = (
        hosted(prompt=2048, n_cpu_moe=40, ubatch_size=size, batch_size=2048) for size in (512, 2048)
    )
    assert large.prompt_tokens_per_s[1] > 2 * small.prompt_tokens_per_s[1]


def test_the_host_computes_fewer_than_32_tokens_and_what_shares_its_memory_is_sent_nothing():
    assert hosted(prompt=31, n_cpu_moe=30).prompt_tokens_per_s is None
    assert hosted(prompt=32, n_cpu_moe=30).prompt_tokens_per_s is not None
    assert hosted("m4 max", n_cpu_moe=10).prompt_tokens_per_s is None


@pytest.mark.parametrize(
    ("device", "layers", "rate"),
    [("rtx 3060", 40, 359), ("rtx 3060", 28, 460), ("rtx 3060", 18, 584),
     ("rtx 5070", 22, 724), ("rtx 5070", 16, 965)],
)  # fmt: skip
def test_published_prompts_are_met_within_15_percent(device, layers, rate):
    """llama-bench's pp512 of Qwen3.6-35B-A3B in IQ4_XS on two desks (Vulkan; CUDA on Windows), from
    which the rate was taken."""
    low, expected, high = hosted(tf.find_device(device), n_cpu_moe=layers).prompt_tokens_per_s
    assert low < rate < high
    assert expected == pytest.approx(rate, rel=0.15)


def test_the_answer_says_so():
    found = tf.fit("qwen3.6-35b-a3b", GPU, prompt=512, engine_options={"n_cpu_moe": 30}, **ASKED)
    low, expected, high = found.hosted.prompt_tokens_per_s
    assert f", prompts at {expected:.0f} ({low:.0f} to {high:.0f})" in " ".join(str(found).split())
    assert tuple(fit_json(found)["hosted"]["prompt_tokens_per_s"]) == (low, expected, high)
