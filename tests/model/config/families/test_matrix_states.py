"""Layers that keep matrices by rules of their own: parameters, work and states, by hand.

Totals are those of the repositories' safetensors on Hugging Face, as llmfit 1.1.17 on PyPI lists
them (October 2026); configurations are the published ones without the keys that say nothing about
sizes.
"""

from __future__ import annotations

from typing import Any

import pytest
from thermoflop.errors import InputError, UnknownModel
from thermoflop.model.architecture.cache import cache_elements, state_elements
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
JET: dict[str, Any] = {
    # jetai/modeling/configs/jetlm_4B.json of github.com/NVlabs/Jet-Nemotron
    "model_type": "jet_nemotron", "vocab_size": 151936, "hidden_size": 2048,
    "intermediate_size": 11008, "num_hidden_layers": 36, "num_attention_heads": 16,
    "num_key_value_heads": 2, "tie_word_embeddings": True, "max_window_layers": 36,
    "layer_types": [
        {"j": "jet", "s": "swa", "a": "attn"}[each]
        for each in "jjjjjsjjjjjjjjjjsajsassjjsjsjjjjajjj"
    ],
    "efficient_attention_config": {
        "jet": {"conv_size": 4, "dconv_generator_reduction": 8, "expand_v": 2, "head_dim": 128,
                "dconv_implementation": "triton", "mode": "chunk", "num_heads": 16},
        "swa": {"window_size": 2048},
    },
}  # fmt: skip
PLAMO: dict[str, Any] = {
    "model_type": "plamo2", "vocab_size": 100000, "hidden_size": 2048, "intermediate_size": 8192,
    "num_hidden_layers": 16, "num_attention_heads": 16, "num_key_value_heads": 1,
    "hidden_size_per_head": 128, "attention_window_size": 2048, "mamba_d_state": 64,
    "mamba_d_conv": 4, "mamba_num_heads": 32, "mamba_step": 2, "mamba_enabled": True,
}  # fmt: skip
XLSTM: dict[str, Any] = {
    "model_type": "xlstm", "vocab_size": 50304, "embedding_dim": 4096, "num_blocks": 32,
    "num_heads": 8, "qk_dim_factor": 0.5, "v_dim_factor": 1.0, "ffn_proj_factor": 2.667,
    "ffn_round_up_to_multiple_of": 64, "use_bias": False, "weight_mode": "single",
}  # fmt: skip


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
        (JET, 3_960_424_768),  # jet-ai/Jet-Nemotron-4B
        (PLAMO, 1_291_441_920),  # pfnet/plamo-2-1b
        (XLSTM, 6_865_424_896),  # NX-AI/xLSTM-7b, as NX-AI's fits of scaling laws count it
    ],
)
def test_a_model_is_as_large_as_its_checkpoint(config: dict[str, Any], total: int) -> None:
    assert read_model(config).params == total


def test_rwkv_7_reads_its_state_twice_and_renews_it_with_two_outer_products() -> None:
    """S = S diag(w) + (S a) b' + v k' and y = S r (``rwkv7_recurrent`` of transformers): S a and
    S r are contractions; the decay, two products and two sums renew each element."""
    model, elements = read_model(SMALL), 12 * 12 * 64 * 64
    scans = [each for each in model.operators(1, 1, 100) if each.name == "scan"]
    assert {(each.n, each.k, each.updates) for each in scans} == {(elements // 12, 2, 5)}
    assert model.operators(1, 1, 100).by_group()["linear_attn_scan"] == 2 * 2 * elements
    # and the token before, at two places of each layer
    assert state_elements(model.description) == elements + 12 * 2 * 768


def test_the_first_layer_of_rwkv_7_takes_no_share_of_other_values() -> None:
    linears = {
        run.times: {each.name for each in run.layer.mixer.linears()}
        for run in read_model(SMALL).description.runs
    }
    assert linears[11] - linears[1] == {"v_lora_a", "v_lora_b"}


@pytest.mark.parametrize(
    "change",
    [{"attn": {"layers": [3]}}, {"value_dim": [1024] * 12}, {"value_dim": [768] * 11},
     {"value_dim": [[768]]}],
)  # fmt: skip
def test_layers_of_rwkv_7_that_no_checkpoint_has_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(UnknownModel, match="rwkv7"):
        read_model({**SMALL, **change})


def test_taps_of_jet_nemotron_are_made_of_each_token() -> None:
    """A map to 4,096 / 8 elements and one to four taps of each of 4,096 value channels, which the
    convolution takes: it has none of its own, and keeps four values of each channel."""
    model = read_model(JET)
    (jet,) = (run for run in model.description.runs if run.layer.kind.startswith("linear"))
    maps = {each.name: each for each in jet.layer.mixer.linears()}
    assert jet.times == 26
    assert maps["taps_w1"].parameters == 2048 * 512
    assert maps["taps_w2"].parameters == 512 * 4 * 4096 + 4 * 4096
    assert jet.layer.mixer.convolution().parameters == 0
    assert state_elements(model.description) == 26 * (16 * 128 * 256 + 4 * 4096)
    # three layers keep all of 5,000 tokens, seven the last 2,048: 2 keys and values of 128 elements
    assert cache_elements(model.description, 5000) == (3 * 5000 + 7 * 2048) * 2 * 2 * 128


def test_plamo_2_selects_as_mamba_does_and_scans_as_mamba_2_does() -> None:
    model = read_model(PLAMO)
    groups = model.operators(1, 1, 100).by_group()
    # every second layer: 32 heads of 128 channels and 64 states, the step through 128 elements
    assert groups["ssm_scan"] == 8 * 2 * (4096 * 64 + 128 * 32)
    assert groups["ssm_proj"] == 8 * 2 * (3 * 2048 * 4096 + 4096 * (128 + 2 * 64))
    assert cache_elements(model.description, 5000) == 8 * 2048 * 2 * 128
    whole = read_model({**PLAMO, "full_attention_idx": [1]})
    assert cache_elements(whole.description, 5000) == (7 * 2048 + 5000) * 2 * 128


def test_xlstm_reads_its_matrices_and_normalizer_once() -> None:
    """``mlstm_recurrent_step_native`` of transformers: q C and q n are contractions; a decay, a
    product and a sum renew each element."""
    model, elements = read_model(XLSTM), 32 * 8 * 256 * (512 + 1)
    (scan,) = (each for each in model.operators(1, 1, 100) if each.name == "scan")
    assert (scan.n * scan.times, scan.k, scan.updates) == (elements, 1, 3)
    assert state_elements(model.description) == elements + 32 * 8  # and the largest exponents


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({**JET, "layer_types": ["jet"] * 35}, "layer_types"),
        ({**JET, "efficient_attention_config": {"swa": {"window_size": 8}}}, "needs jet"),
        ({**JET, "efficient_attention_config": {**JET["efficient_attention_config"], "swa": {}}},
         "window_size"),
        ({**JET, "efficient_attention_config": {"jet": {"num_heads": 0}, "swa": {}}}, "num_heads"),
        ({**XLSTM, "qk_dim_factor": "half"}, "qk_dim_factor"),
        ({**XLSTM, "ffn_proj_factor": -1}, "ffn_proj_factor"),
        ({**XLSTM, "num_heads": 7}, "7 heads"),
        ({**XLSTM, "use_bias": True}, "use_bias"),
        ({**SMALL, "intermediate_size": None, "hidden_ratio": "four"}, "hidden_ratio"),
        ({**PLAMO, "full_attention_idx": [16]}, "full_attention_idx"),
    ],
)  # fmt: skip
def test_sizes_that_make_no_sense_are_refused_by_name(config: dict[str, Any], named: str) -> None:
    with pytest.raises((InputError, UnknownModel), match=named):
        read_model(config)
