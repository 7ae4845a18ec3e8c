"""What fits as it is added up, and servers that would not hold it."""

from __future__ import annotations

import pytest
import thermoflop as tf


@pytest.mark.parametrize("ask", [tf.estimate, tf.fit])
def test_without_an_engine_it_is_said_which_servers_would_not_hold_it(ask) -> None:
    """595 GB over eight devices of 85.5, of which vLLM takes 92 % and its own buffers."""
    found = ask("kimi-k2.5", "h100", devices=8)
    servers = {name: tf.fit("kimi-k2.5", "h100", devices=8, profile=name)
               for name in ("vllm", "sglang", "tensorrt-llm")}  # fmt: skip
    assert found.fits
    assert [each.fits for each in servers.values()] == [False, False, True]
    said = "added up alone: vllm and sglang would not hold it (as vllm divides it"
    assert said in " ".join(str(found).split())
    assert "added up alone" not in str(ask("llama-3-8b", "h100"))
    assert "added up alone" not in str(ask("kimi-k2.5", "h100", devices=8, profile="mlc"))


def test_an_estimate_names_the_servers_that_fit_names_on_a_small_device_too() -> None:
    """Less than 0.6 of each device is added up, beside which SGLang keeps more than 3 GB and vLLM
    2.5 GiB of a group on such cards, its share, and graphs."""
    asked = {"devices": 4, "prompt": 64, "generate": 64}
    found, fitted = (ask("llama-3-8b", "rtx 3050", **asked) for ask in (tf.estimate, tf.fit))
    assert found.memory.total_bytes < 0.6 * found.memory.capacity_bytes
    said = "added up alone: vllm and sglang would not hold it"
    assert [said in " ".join(str(each).split()) for each in (found, fitted)] == [True, True]


def said_of(result: object) -> str:
    return " ".join(str(result).split())


SAID = "no engine's memory is counted; sequences at once as engines divide it: "


def test_without_an_engine_fit_says_how_many_sequences_servers_would_hold() -> None:
    asked = {"devices": 8, "prompt": 4000, "generate": 184}
    alone = tf.fit("qwen3-235b-a22b", "h100", **asked)
    held = {name: tf.fit("qwen3-235b-a22b", "h100", profile=name, **asked).largest_batch
            for name in ("tensorrt-llm", "vllm", "sglang")}  # fmt: skip
    assert all(each < 0.9 * alone.largest_batch for each in held.values())
    told = ", ".join(f"{name} {most}" for name, most in held.items())
    assert f"{SAID}{told}" in said_of(alone)
    for profile in ("vllm", "gpt-fast"):
        assert SAID not in said_of(tf.fit("qwen3-235b-a22b", "h100", profile=profile, **asked))
    assert SAID not in said_of(tf.fit("bert-base", "h100"))  # holds no sequences
    assert SAID not in said_of(tf.fit("llama-3-8b", "m4 max"))  # as llama.cpp divides it


def test_what_servers_would_hold_is_of_all_replicas_as_the_largest_batch_is() -> None:
    one, eight = (tf.fit("llama-3-8b", "h100", batch=8, dp=dp) for dp in (1, 8))
    assert eight.largest_batch == 8 * one.largest_batch
    held = tf.fit("llama-3-8b", "h100", batch=8, dp=8, profile="vllm").largest_batch
    assert f"{SAID}vllm {held:,}, " in said_of(eight)


def test_serving_says_so_where_more_are_decoded_than_a_server_would_hold() -> None:
    asked = {"tp": 8, "prompt": 4000, "generate": 184}
    many, few = (tf.serving("qwen3-235b-a22b", "h100", users=users, **asked) for users in (64, 30))
    assert SAID in said_of(many)
    assert many.notes[-1].startswith(SAID)
    assert SAID not in said_of(few)
    named = tf.serving("qwen3-235b-a22b", "h100", users=64, profile="vllm", **asked)
    assert SAID not in said_of(named)
