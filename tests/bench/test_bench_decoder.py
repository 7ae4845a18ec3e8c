"""The decoder computes what a decoder computes, and multiplies what the operator table says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from kit.bench import small
from thermoflop.bench import check as checking
from thermoflop.bench.backends import open_backend
from thermoflop.bench.check import SMALL, check, decoder_error
from thermoflop.bench.decoder import Decoder, check_runs, with_layers
from thermoflop.bench.numpy_backend import NumpyBackend
from thermoflop.errors import ThermoflopError, UsageError
from thermoflop.model.load import load_model


def naive_gpt2(decoder: Decoder, ids: Any) -> Any:
    """GPT-2 written down once more, one sequence at once, without a cache. Logits of the last."""
    weights, mixer = decoder.weights, decoder.weights.blocks[0].layer.mixer
    x = weights.front[0][ids] + weights.front[1][np.arange(len(ids))]

    def norm(rows: Any, gain: Any, shift: Any) -> Any:
        return (rows - rows.mean(-1, keepdims=True)) / np.sqrt(
            rows.var(-1, keepdims=True) + 1e-5
        ) * gain + shift

    for block in weights.blocks:
        first, second = block.arrays["norms"]
        y = norm(x, *first)
        q, k, v = (
            (y @ block.arrays[name][0] + block.arrays[name][1]).reshape(len(ids), mixer.heads, -1)
            for name in ("q_proj", "k_proj", "v_proj")
        )
        mixed = np.zeros_like(q)
        for head in range(mixer.heads):
            for at in range(len(ids)):
                scores = k[: at + 1, head] @ q[at, head] / np.sqrt(mixer.head_dim)
                share = np.exp(scores - scores.max())
                mixed[at, head] = share @ v[: at + 1, head] / share.sum()
        out, bias = block.arrays["o_proj"]
        x = x + mixed.reshape(len(ids), -1) @ out + bias
        y = norm(x, *second)
        up = y @ block.arrays["up_proj"][0] + block.arrays["up_proj"][1]
        up = 0.5 * up * (1 + np.tanh(np.sqrt(2 / np.pi) * (up + 0.044715 * up**3)))
        x = x + up @ block.arrays["down_proj"][0] + block.arrays["down_proj"][1]
    return norm(x[-1], *weights.tail[0]) @ weights.head[0]


def test_the_float64_decoder_equals_gpt2_written_down_once_more() -> None:
    """Heads in a loop, positions in a loop, no cache, tanh instead of its exponential."""
    decoder = Decoder(small("gpt2"), NumpyBackend("fp64"), 2, 16)
    ids = np.random.default_rng(3).integers(0, 300, (2, 11))
    found = decoder.forward(ids.reshape(-1), 0)
    for row in range(2):
        wanted = naive_gpt2(decoder, ids[row])
        assert np.max(np.abs(found[row] - wanted)) < 1e-12 * np.max(np.abs(wanted))


@pytest.mark.parametrize("name", SMALL)
def test_tokens_one_by_one_through_the_cache_equal_the_prompt_at_once(name: str) -> None:
    """In float64 to rounding, in float32 within what it can hold."""
    assert decoder_error(NumpyBackend("fp64"), name) < 1e-12
    assert decoder_error(NumpyBackend("fp32"), name) < 1e-5


def test_a_decoder_whose_cache_is_wrong_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check can fail: here keys land one position too late."""
    keep = NumpyBackend._keep

    def late(self: Any, fresh: Any, cache: Any, at: int, h: Any) -> Any:
        return keep(self, fresh, cache, at, h) if at == 0 else cache[:, :, : at + h.new]

    monkeypatch.setattr(NumpyBackend, "_keep", late)
    with pytest.raises(ThermoflopError, match="computes a decoder wrong"):
        check(open_backend("numpy"))
    assert checking.ALLOWED["fp32"] < 1e-3


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize(("new", "cached"), [(12, 0), (1, 9)])
def test_it_multiplies_what_the_operator_table_says(
    name: str, new: int, cached: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every matrix product of a forward step, counted as it runs; experts for the tokens routed."""
    backend, flops = NumpyBackend("fp32"), 0

    def counted(original: Any, size: Any) -> Any:
        def call(*args: Any) -> Any:
            nonlocal flops
            found = original(*args)
            flops += size(found, *args)
            return found

        return call

    def product(found: Any, rows: Any, weights: Any, *_: Any) -> int:
        return 2 * rows.shape[0] * rows.shape[1] * weights.shape[-1]

    def scored(found: Any, *rest: Any) -> int:
        return 2 * int(found.size) * int(rest[-1].dim)

    def valued(found: Any, weights: Any, *rest: Any) -> int:
        return 2 * int(weights.size) * int(rest[-1].dim)

    for method, size in (("matmul", product), ("scores", scored), ("values", valued)):
        monkeypatch.setattr(backend, method, counted(getattr(backend, method), size))
    model = small(name)
    decoder = Decoder(model, backend, 2, 16)
    decoder.forward(np.arange(2 * new), cached)
    table = model.operators(2, new, cached, attention="full", logits="last", kernels="eager")
    assert flops == table.flops


@pytest.mark.parametrize("name", SMALL)
def test_its_weights_are_as_many_as_the_models(name: str) -> None:
    """To the last one, so that what is read is the model's; a tied head is kept apart."""

    def numbers(value: Any) -> int:
        if isinstance(value, tuple | list):
            return sum(numbers(each) for each in value)
        return 0 if value is None else int(value.size)

    model = small(name)
    weights = Decoder(model, NumpyBackend("fp32"), 1, 8).weights
    found = numbers([weights.front, weights.tail, weights.head])
    for block in weights.blocks:
        # a norm stands in the list, and under its name
        parts = {name: value for name, value in block.arrays.items() if "norm" not in name}
        found += numbers(list(parts.values())) + numbers(block.arrays["norms"])
    tied = int(model.description.head.matrix_parameters) if model.tied else 0
    assert found == model.params + tied


def test_fewer_layers_keep_embedding_and_head() -> None:
    """And more than there are is refused."""
    model = small("llama")
    one = with_layers(model, 1)
    part = model.params_by_group
    layers = model.params - part["embed_tokens"] - part["lm_head"] - 64
    assert one.params == model.params - layers // 2
    with pytest.raises(UsageError, match="--layers 3 makes no sense"):
        with_layers(model, 3)


@pytest.mark.parametrize("name", ["t5-small", "deepseek-v2-lite", "mamba-130m", "gemma-2-2b"])
def test_a_model_that_it_cannot_run_is_refused_by_name(name: str) -> None:
    """In a sentence that says what stands in the way."""
    with pytest.raises(UsageError, match="bench runs decoders with plain attention"):
        check_runs(load_model(name))


@pytest.mark.parametrize(
    "name", ["gpt2-xl", "llama-3-8b", "mixtral-8x7b", "qwen2-0.5b", "opt-125m", "pythia-160m",
             "qwen3-0.6b", "gpt-j-6b", "falcon-7b", "phi-2", "bloom-560m"],
)  # fmt: skip
def test_common_decoders_can_be_run(name: str) -> None:
    """Those of the suites among them."""
    check_runs(load_model(name))
