"""The first token of a benchmark that starts all its users at once, part by part."""

from __future__ import annotations

import pytest
import thermoflop as tf
from thermoflop.cost.catalogue.devices import find_device
from thermoflop.cost.catalogue.profiles import find_profile
from thermoflop.cost.hardware.precision import choose_precision
from thermoflop.cost.inference.setting import Setting
from thermoflop.cost.work.mixed import Mixed
from thermoflop.cost.work.share import Layout
from thermoflop.cost.work.steps import decode_step, prefill_step

# Fitted to 884 published runs of 2025-26: seconds, seconds a token of the prompt, times the step
# that carries it, times a token, times what each of the others' prompts adds.
FITTED = {"vllm": (0.006, 1e-5, 0.71, 4.2, 0.067), "tensorrt-llm": (0.038, 1e-5, 0.72, 2.5, 0.067),
          "llama.cpp": (0, 0, 1, 1, 0.067)}  # fmt: skip


@pytest.mark.parametrize("engine", FITTED)
@pytest.mark.parametrize("hit", [0.0, 0.5])
def test_one_user_waits_for_the_parts_that_were_fitted(engine, hit):
    """1,024 tokens, of which a half may be cached: one step carries what is left."""
    asked = {"users": 1, "prompt": 1024, "generate": 257, "dtype": "bf16", "prefix_hit": hit}
    served = tf.serving("llama-3-8b", "h100", profile=engine, **asked)
    setting = Setting(tf.load_model("llama-3-8b"), find_device("h100"), Layout(),
                      choose_precision("bf16"), find_profile(engine))  # fmt: skip
    new, context = 1024 * (1 - hit), 1024 + 257 / 2
    decode = decode_step(context, 1.0)
    alone = float(setting.step_s(decode))
    both = float(setting.step_s(Mixed(decode, prefill_step(new, 1.0, 1024 - new))))
    lone = both - alone + setting.rates.efficiency.prompt_s
    fixed, each, step, token, burst = FITTED[engine]
    parts = fixed + each * new + step * (lone + alone) + token * served.token_s[1] + burst * lone
    assert served.benchmark_first_s == pytest.approx(parts, rel=1e-3)


def test_a_rate_starts_no_users_at_once():
    assert tf.serving("llama-3-8b", "h100", rate=1, profile="vllm").benchmark_first_s is None
