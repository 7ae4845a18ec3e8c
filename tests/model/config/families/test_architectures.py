"""Which head and which half ``architectures`` asks for, against what transformers builds.

``tests/data/classes.json.gz`` holds configurations (keys that are absent are at the class's
default) with the class and its number of parameters on the meta device, tied ones once.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from thermoflop.errors import InputError, UsageError
from thermoflop.model.load import read_model

DATA = Path(__file__).resolve().parents[3] / "data" / "classes.json.gz"
ROWS = json.loads(gzip.decompress(DATA.read_bytes()))["rows"]
SMALL = {"hidden_size": 32, "num_attention_heads": 2, "num_key_value_heads": 2, "vocab_size": 50}


def test_every_class_has_the_parameters_that_transformers_gives_it() -> None:
    wrong = []
    for config, name, total in ROWS:
        counted = read_model({**config, "architectures": [name]}).params
        if counted != total:
            wrong.append((config, name, total, counted))
    assert not wrong
    assert len({name for _, name, _ in ROWS}) > 150


@pytest.mark.parametrize(
    "name", ["LlamaForTextEncoding", "LlamaRewardModel", "LlamaForRewardModel", "Llama"]
)
def test_a_head_that_no_class_of_the_family_has_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="its head is not understood for llama"):
        read_model({"model_type": "llama", "architectures": [name]})


@pytest.mark.parametrize(("name", "labels"), [("Reward", 1), ("ProcessReward", 2)])
def test_a_reward_model_of_qwen_has_a_dense_layer_before_its_score(name: str, labels: int) -> None:
    """modeling_qwen2_rm.py beside Qwen2.5-Math-RM-72B: two maps with biases, h to h to labels."""
    config: dict[str, Any] = {"model_type": "qwen2", **SMALL}
    bare = read_model({**config, "architectures": ["Qwen2Model"]})
    model = read_model({**config, "architectures": [f"Qwen2For{name}Model"]})
    assert model.params - bare.params == 32 * 32 + 32 + labels * (32 + 1)
    flops = model.operators(3, 9).by_group()["classifier"]
    assert flops == 2 * 3 * 9 * (32 * 32 + labels * 32)


def test_a_classifier_of_opt_scores_the_narrow_state() -> None:
    """OPTForSequenceClassification: word_embed_proj_dim to labels, without a bias."""
    config = {"model_type": "opt", "hidden_size": 32, "num_attention_heads": 2}
    config |= {"word_embed_proj_dim": 8, "architectures": ["OPTForSequenceClassification"]}
    assert read_model(config).params_by_group["classifier"] == 2 * 8


def test_a_decoder_alone_keeps_its_cross_attention_and_never_runs_it() -> None:
    config = {"model_type": "bart", "d_model": 32, "decoder_attention_heads": 2}
    half = read_model({**config, "decoder_layers": 3, "architectures": ["BartForCausalLM"]})
    assert half.params_by_group["cross_attn"] == 3 * 4 * (32 * 32 + 32)
    assert not any(group.startswith("cross") for group in half.decode(9).by_group())
    assert half.kv_bytes(1) == 2 * 3 * 32 * 2


def test_the_encoder_of_t5_alone_encodes_in_one_step() -> None:
    model = read_model({"model_type": "t5", "architectures": ["T5EncoderModel"]})
    assert model.is_encoder
    assert not model.is_encoder_decoder
    assert model.encode(128).by_group()["attn_proj"] == 2 * 128 * 6 * 4 * 512 * 512


def test_samples_of_sound_become_positions_by_seven_convolutions() -> None:
    """(n - taps) // step + 1 seven times: a second at 16 kHz is 49 positions (Baevski 2020)."""
    model = read_model({"model_type": "wav2vec2", "architectures": ["Wav2Vec2Model"]})
    assert model.prefill(16_000).by_group()["attn_proj"] == 2 * 12 * 49 * 4 * 768 * 768
    with pytest.raises(UsageError, match="hears nothing in a clip of 399 samples"):
        model.prefill(399)
    assert model.prefill(400).by_group()["attn_proj"] == 2 * 12 * 4 * 768 * 768


def test_relative_positions_meet_content_once_a_query_and_once_a_key() -> None:
    """DeBERTa, section 3.1: two products with 2k positions beside the one with the keys."""
    config = {"model_type": "deberta-v2", "hidden_size": 32, "num_attention_heads": 4}
    config |= {"num_hidden_layers": 1, "relative_attention": True, "position_buckets": 8}
    both = read_model({**config, "pos_att_type": "c2p|p2c", "share_att_key": True})
    assert both.encode(10).by_group()["attn_score"] == 2 * 32 * 10 * (10 + 16 + 16)
    apart = read_model({**config, "pos_att_type": ["p2c"]})
    assert apart.encode(10).by_group()["attn_score"] == 2 * 32 * 10 * (10 + 16)
    assert apart.params - both.params == 32 * 32 + 32


@pytest.mark.parametrize("steps", [(4, 1), (2, 2)])
def test_a_switch_transformer_is_sparse_in_every_so_many_layers(steps: tuple[int, int]) -> None:
    sparse, times = steps
    config = {"model_type": "switch_transformers", "num_layers": 4, "num_decoder_layers": 4}
    config |= {"num_sparse_encoder_layers": sparse, "num_sparse_decoder_layers": sparse}
    experts = read_model(config).params_by_group["experts"]
    assert times * experts == 2 * 4 * 8 * 2 * 768 * 2048
