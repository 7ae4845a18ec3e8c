"""The first token of a benchmark that starts all its users at once, where there is one."""

from __future__ import annotations

import pytest
import thermoflop as tf

ENGINES = ("vllm", "sglang", "tensorrt-llm", "llama.cpp", None)


@pytest.mark.parametrize("engine", ENGINES)
def test_one_user_waits_as_long_as_a_lone_client(engine):
    """Who is alone meets no steps and no prompts of others: ``estimate`` says the same time. Where
    no client was measured it is the first token itself."""
    served = tf.serving("llama-3-8b", "h100", profile=engine, users=1, prompt=1024, generate=257)
    one = tf.estimate("llama-3-8b", "h100", profile=engine, prompt=1024, generate=257)
    alone = one.client_first_token or one.first_token
    assert served.benchmark_first_s == pytest.approx(alone.expected_s)


@pytest.mark.parametrize("engine", ENGINES)
def test_more_users_wait_longer(engine):
    waits = [
        tf.serving("llama-3-8b", "h100", profile=engine, users=users).benchmark_first_s
        for users in (2, 4, 16, 64, 256)
    ]
    assert waits == sorted(waits)


def test_a_rate_starts_no_users_at_once():
    assert tf.serving("llama-3-8b", "h100", rate=1, profile="vllm").benchmark_first_s is None
