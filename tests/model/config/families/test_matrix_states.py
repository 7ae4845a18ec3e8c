"""Layers that keep matrices by rules of their own: parameters, work and states, by hand.

Totals are those of the repositories' safetensors on Hugging Face, as llmfit 1.1.17 on PyPI lists
them (October 2026); configurations are the published ones without the keys that say nothing about
sizes.
"""

from __future__ import annotations

from typing import Any

import pytest
from thermoflop.errors import UnknownModel
from thermoflop.model.architecture.cache import state_elements
from thermoflop.model.load import read_model


def goose(layers: int, hidden: int, ranks: tuple[int, ...], **more: Any) -> dict[str, Any]:
    names = ("decay", "a", "v", "gate")
    return {
        "model_type": "rwkv7", "vocab_size": 65536, "hidden_size": hidden, "head_dim": 64,
        "num_hidden_layers": layers, "intermediate_size": 4 * hidden, "hidden_act": "sqrelu",
        **{f"{name}_low_rank_dim": rank for name, rank in zip(names, ranks, strict=True)}, **more,
    }  # fmt: skip


OWN = {"architectures": ["Rwkv7ForCausalLM"], "wkv_state_dtype": "float32"}
FLA = {"architectures": ["RWKV7ForCausalLM"], "attn": None, "hidden_ratio": 4.0, "num_heads": 32,
       "norm_first": True, "fuse_norm": False, "value_dim": [768] * 12}  # fmt: skip
SMALL = goose(12, 768, (64, 64, 32, 128), **FLA)


@pytest.mark.parametrize(
    ("config", "total"),
    [
        (SMALL, 191_034_624),  # fla-hub/rwkv7-0.1B-g1
        (goose(24, 1024, (64, 64, 32, 128)), 450_767_872),  # fla-hub/rwkv7-0.4B-world
        (goose(32, 2560, (96, 96, 64, 320)), 2_947_735_040),  # fla-hub/rwkv7-2.9B-world
        # RWKV/RWKV7-G1k-1.5B-20260930, -2.9B, -7.2B and -13.3B
        (goose(24, 2048, (96, 96, 64, 256), **OWN), 1_527_668_736),
        (goose(32, 2560, (96, 96, 64, 320), **OWN), 2_948_065_280),
        (goose(32, 4096, (128, 128, 96, 480), **OWN), 7_199_932_416),
        (goose(61, 4096, (192, 192, 128, 384), **OWN), 13_270_298_624),
    ],
)
def test_a_model_is_as_large_as_its_checkpoint(config: dict[str, Any], total: int) -> None:
    assert read_model(config).params == total


def test_rwkv_7_reads_its_state_twice_and_renews_it_with_two_outer_products() -> None:
    """S = S diag(w) + (S a) b' + v k' and y = S r (``rwkv7_recurrent`` of transformers): S a and
    S r are contractions; the decay, two products and two sums renew each element."""
    model = read_model(SMALL)
    elements = 12 * 12 * 64 * 64
    (scan,) = {each.group: each for each in model.operators(1, 1, 100)
               if each.group == "linear_attn_scan"}.values()  # fmt: skip
    layer = elements // 12
    assert (scan.n, scan.k, scan.updates) == (layer, 2, 5)
    assert model.operators(1, 1, 100).by_group()["linear_attn_scan"] == 2 * 2 * elements
    # and the token before, at two places of each layer
    assert state_elements(model.description) == elements + 12 * 2 * 768


def test_the_first_layer_of_rwkv_7_takes_no_share_of_other_values() -> None:
    linears = {
        run.times: {each.name for each in run.layer.mixer.linears()}
        for run in read_model(SMALL).description.runs
    }
    assert linears[11] - linears[1] == {"v_lora_a", "v_lora_b"}


@pytest.mark.parametrize("change", [{"attn": {"layers": [3]}}, {"value_dim": [1024] * 12}])
def test_layers_of_rwkv_7_that_no_checkpoint_has_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(UnknownModel, match="rwkv7"):
        read_model({**SMALL, **change})
