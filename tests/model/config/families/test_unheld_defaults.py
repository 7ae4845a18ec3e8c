"""What a few families have where their files say nothing: kinds of layers, loops, learned sums."""

from __future__ import annotations

import pytest
import thermoflop as tf
from thermoflop.errors import InputError
from thermoflop.model.config.keys import is_count, is_factor, is_layer_count

DORY = {"model_type": "dory", "hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 16, "vocab_size": 100, "sliding_window": 10,
        "num_hidden_layers": 9, "n_input_layers": 2, "n_output_layers": 3,
        "n_recurrent_loops": 5}  # fmt: skip


def test_every_fourth_layer_of_dory_attends_to_all_and_the_middle_runs_several_times() -> None:
    """Of nine layers the fourth and the eighth; two and three run once, four between five times."""
    (stack,) = tf.load_model(DORY).description.stacks
    full = sum(run.sets for run in stack.runs if run.layer.mixer.window is None)
    sliding = sum(run.sets for run in stack.runs if run.layer.mixer.window == 10)
    assert (full, sliding) == (2, 7)
    assert sum(run.times for run in stack.runs) == 2 + 4 * 5 + 3
    runs_of_full = sum(run.times for run in stack.runs if run.layer.mixer.window is None)
    assert runs_of_full == 5 + 1  # the fourth is in the middle, the eighth behind it


@pytest.mark.parametrize("layers", [2, 5])
def test_a_learned_sum_of_layers_has_a_weight_for_each_and_for_what_enters_them(layers) -> None:
    """Wav2Vec2ForSequenceClassification: ``num_hidden_layers + 1``."""
    config = {"model_type": "wav2vec2", "architectures": ["Wav2Vec2ForSequenceClassification"],
              "num_hidden_layers": layers, "hidden_size": 64, "num_attention_heads": 4,
              "intermediate_size": 96}  # fmt: skip
    plain, summed = (
        tf.load_model({**config, "use_weighted_layer_sum": used}).params for used in (False, True)
    )
    assert summed - plain == layers + 1


def test_every_language_of_xmod_has_an_adapter_in_every_layer() -> None:
    """Down to half of 64 and up again, with biases; one where no language is named."""
    config = {"model_type": "xmod", "hidden_size": 64, "num_hidden_layers": 3,
              "num_attention_heads": 4, "intermediate_size": 96, "vocab_size": 100}  # fmt: skip
    counts = [
        tf.load_model({**config, "languages": languages}).params
        for languages in ([], ["en_XX"], ["en_XX", "de_DE", "fr_XX"])
    ]
    adapter = 64 * 32 + 32 + 32 * 64 + 64
    assert counts[1] == counts[0]
    assert counts[2] - counts[0] == 3 * 2 * adapter


@pytest.mark.parametrize(("tail", "keys"), [(True, 512 + 15), (False, 512)])
def test_glm_5_3_attends_to_whole_pools_and_the_tokens_that_fill_none_yet(tail, keys) -> None:
    config = {"model_type": "glm5_next_text", "num_hidden_layers": 4, "index_topk": 512,
              "index_kpool": 16, "index_kpool_always_select_tail": tail}  # fmt: skip
    stacks = tf.load_model(config).description.stacks
    mixers = {m for stack in stacks for run in stack.runs for m in run.layer.mixers}
    limited = [each for each in mixers if getattr(each, "limit", None)]
    assert {each.limit for each in limited} == {keys}
    indexers = {each.indexer for each in limited if each.indexer is not None}
    assert {(each.top_k, each.block) for each in indexers} == {(512 // 16, 16)}


def test_a_count_is_a_whole_number_from_one_below_a_million_million() -> None:
    assert [is_count(each) for each in (1, 10**12 - 1)] == [True, True]
    assert not any(map(is_count, (0, -1, 10**12, True, 1.0, "1", None)))


def test_a_factor_is_a_number_above_zero_and_below_a_thousand() -> None:
    assert all(map(is_factor, (0.001, 1, 2.5, 999.9)))
    assert not any(map(is_factor, (0, -1, 1000, True, "2", None, float("nan"), float("inf"))))


def test_layers_are_a_hundred_thousand_at_most() -> None:
    assert [is_layer_count(each) for each in (1, 10**5)] == [True, True]
    assert not any(map(is_layer_count, (0, -1, 10**5 + 1, True, 1.0, None)))


def test_hunyuan_has_one_number_of_experts_a_token_in_all_layers() -> None:
    config = {"model_type": "hunyuan_v1_moe", "num_experts": 8, "num_hidden_layers": 2}
    for given in (2, [2, 2]):
        (feed,) = {
            run.layer.feed
            for run in tf.load_model({**config, "moe_topk": given}).description.stacks[0].runs
        }
        assert feed.top_k == 2
    with pytest.raises(InputError, match="moe_topk differs between layers"):
        tf.load_model({**config, "moe_topk": [2, 3]})


@pytest.mark.parametrize("kinds", [["local"], ["lsh", "lsh"], ["local", "lsh", "local"]])
def test_reformer_may_have_layers_of_one_kind(kinds) -> None:
    """A hashed layer has one map for queries and keys."""
    config = {"model_type": "reformer", "attn_layers": kinds, "num_hidden_layers": None}
    stacks = tf.load_model(config).description.stacks
    named = [part.name for stack in stacks for run in stack.runs for part in run.layer.parts()
             for _ in range(int(run.times))]  # fmt: skip
    assert sum(run.times for stack in stacks for run in stack.runs) == len(kinds)
    assert named.count("o_proj") == named.count("k_proj") == len(kinds)
    assert named.count("v_proj") == kinds.count("local")  # else the second of two maps
    with pytest.raises(InputError, match="something else than local and lsh"):
        tf.load_model({**config, "attn_layers": [*kinds, "full"]})
