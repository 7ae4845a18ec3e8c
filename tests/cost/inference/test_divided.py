"""Whether a run fits: one rule for ``estimate``, its JSON, a sweep's column and ``fit``."""

from __future__ import annotations

import numpy as np
import pytest
import thermoflop as tf
from thermoflop.cost.inference.result import estimate_json
from thermoflop.cost.inference.what_fits import fit_json

UNLIKE = "rtx-4090 + rtx-3060-12gb"
ASKED = {"prompt": 4096, "generate": 512, "dtype": "bf16"}


@pytest.mark.parametrize(
    ("hardware", "profile"),
    [(UNLIKE, None), (UNLIKE, "llama.cpp"), (UNLIKE, "transformers"), (UNLIKE, "vllm"),
     ("rtx-3060-12gb + rtx-4090", None), ("2x4090", "vllm 0.11"), ("2x4090", "ollama"),
     ("m4-max", None), ("rtx-4090", None), ("p40", None)],
)  # fmt: skip
def test_estimate_says_of_the_largest_batch_of_fit_and_of_one_more_what_fit_says(
    hardware, profile
) -> None:
    asked = {**ASKED, "profile": profile}
    most = max(1, tf.fit("llama-3-8b", hardware, **asked).largest_batch)
    for batch in (most, most + 1):
        estimated = tf.estimate("llama-3-8b", hardware, batch=batch, **asked)
        assert estimated.fits == tf.fit("llama-3-8b", hardware, batch=batch, **asked).fits
        contents = estimate_json(estimated)
        assert contents["fits"] == contents["memory"]["fits"] == estimated.fits


def test_the_object_names_what_the_model_needs_and_what_its_engine_takes() -> None:
    """vLLM uses 92 % of a device, and the sum of what a model needs leaves it 97 %."""
    asked = {**ASKED, "batch": 12, "profile": "vllm"}
    contents = estimate_json(tf.estimate("llama-3-8b", "rtx-4090", **asked))
    fitted = fit_json(tf.fit("llama-3-8b", "rtx-4090", **asked))
    assert contents["as_divided"] == {"engine": "vllm", **fitted["memory"]}
    assert contents["memory"]["shortfall_bytes"] == fitted["memory"]["shortfall_bytes"] > 0
    alone = estimate_json(tf.estimate("gpt2", "rtx-4090", prompt=64))
    assert alone["as_divided"] is None


@pytest.mark.parametrize("profile", [None, "vllm", "llama.cpp"])
def test_of_arrays_it_says_which_rows_fit_as_one_by_one(profile) -> None:
    batches, prompts = np.arange(1, 40, 6).reshape(-1, 1), np.array([[1000, 7000, 2000]])
    asked = {"generate": 100, "dtype": "bf16", "profile": profile}
    found = tf.estimate("llama-3-8b", "rtx-4090", batch=batches, prompt=prompts, **asked).fits
    rows = [
        [tf.fit("llama-3-8b", "rtx-4090", batch=int(batch), prompt=int(prompt), **asked).fits
         for prompt in prompts[0]] for batch in batches[:, 0]
    ]  # fmt: skip
    assert found.tolist() == rows
    assert {True, False} == {fits for row in rows for fits in row}


@pytest.mark.parametrize("profile", [None, "llama.cpp", "vllm"])
def test_a_server_on_cards_that_are_not_alike_holds_what_fit_says(profile) -> None:
    asked = {"prompt": 2000, "generate": 500, "dtype": "q4_k_m", "profile": profile}
    served = tf.serving("llama-3-8b", UNLIKE, users=1, **asked)
    fitted = tf.fit("llama-3-8b", UNLIKE, **asked)
    if profile == "vllm":  # which lays nothing aside for what is not generated yet
        assert f"about {served.largest_batch:,} run at once" in fitted.budget.notes[-1]
        assert served.largest_batch > fitted.largest_batch
    else:
        assert served.largest_batch == fitted.largest_batch


def test_what_an_engine_divides_is_said_within_the_page() -> None:
    """A cache of 36 GB, for 7 x 163,857 tokens of 30 layers with 2 x 2 x 128 elements of 16 bits,
    on 25.8: a part of it goes to the host."""
    model = tf.load_model("starcoder2-3b", beyond_context=True)
    asked = {"batch": 7, "prompt": 163_840, "generate": 17, "dtype": "q6_k"}
    said = str(tf.estimate(model, "rtx-4090", profile="llama.cpp", **asked))
    assert "with a part on the host: `fit --profile llama.cpp`" in " ".join(said.split())
    assert max(map(len, said.split("\n"))) <= 100
