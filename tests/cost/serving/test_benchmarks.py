"""The first token of a benchmark that starts all its users at once, where there is one."""

from __future__ import annotations

from itertools import pairwise

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


# What once fell from one user to the next, or from prompt to prompt: small models and long prompts.
LOADS = [("qwen3-0.6b", "rtx 4090", 64), ("qwen3-30b-a3b", "h100", 6000)]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("model", "gpu", "prompt"), LOADS)
def test_more_users_wait_longer_and_make_more_tokens(engine, model, gpu, prompt):
    asked = {"profile": engine, "prompt": prompt}
    users = (1, 2, 3, 4, 16, 64)
    served = [tf.serving(model, gpu, users=each, **asked) for each in users]
    clients = [tf.estimate(model, gpu, batch=each, **asked).client_first_token for each in users]
    for rising in (
        [each.benchmark_first_s for each in served], [each.first_s[1] for each in served],
        [each.token_s[1] for each in served], [each.tokens_per_s for each in served],
        [each.expected_s for each in clients if each],
    ):  # fmt: skip
        assert all(after >= before * (1 - 1e-9) for before, after in pairwise(rising))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("users", [1, 2, 16])
def test_longer_prompts_wait_longer(engine, users):
    """Across what an engine reads at once: 512 tokens, 2,048, 8,192."""
    prompts = (1, 64, 512, 513, 2047, 2049, 6000)
    served = [
        tf.serving("llama-3-8b", "h100", profile=engine, users=users, prompt=each)
        for each in prompts
    ]
    for rising in ([each.first_s[1] for each in served],
                   [each.benchmark_first_s for each in served]):  # fmt: skip
        assert all(after >= before * (1 - 1e-9) for before, after in pairwise(rising))


def test_a_rate_starts_no_users_at_once():
    assert tf.serving("llama-3-8b", "h100", rate=1, profile="vllm").benchmark_first_s is None
