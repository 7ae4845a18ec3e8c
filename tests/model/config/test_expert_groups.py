"""Groups of experts among which a token chooses, as files state them."""

from __future__ import annotations

import pytest
import thermoflop as tf
from thermoflop.model.architecture.feedforward import Moe
from thermoflop.model.config.expert_groups import expert_groups


@pytest.mark.parametrize(
    ("raw", "groups"),
    [
        ({"n_group": 8, "topk_group": 4, "topk_method": "noaux_tc"}, (8, 4)),
        ({"n_group": 8, "topk_group": 3, "topk_method": "group_limited_greedy"}, (8, 3)),
        ({"n_group": 8, "topk_group": 3, "topk_method": "greedy"}, (1, 1)),
        ({"n_group": 1, "topk_group": 1}, (1, 1)),
        ({"n_group": 8, "topk_group": 8}, (1, 1)),  # among all of them
        ({"n_group": 8, "topk_group": 0}, (1, 1)),
        ({"n_group": 7, "topk_group": 4}, (1, 1)),  # 256 experts are not 7 equal groups
        ({"n_group": None, "topk_group": None}, (1, 1)),
        ({"n_group": 8}, (1, 1)),
        ({"n_group": "8", "topk_group": 4}, (1, 1)),
    ],
)
def test_a_token_chooses_among_groups_where_a_file_says_so(raw, groups):
    assert expert_groups(raw, 256) == groups


def test_keys_that_are_absent_are_those_of_the_class():
    """DeepseekV3Config: n_group=8, topk_group=4; Glm4MoeConfig: 1 of 1."""
    assert expert_groups({}, 256, "deepseek_v3") == (8, 4)
    assert expert_groups({"n_group": 16}, 256, "deepseek_v3") == (16, 4)
    assert expert_groups({"topk_group": 3}, 256, "deepseek_v3") == (8, 3)
    assert expert_groups({"n_group": 1, "topk_group": 1}, 256, "deepseek_v3") == (1, 1)
    assert expert_groups({}, 128, "glm4_moe") == (1, 1)


@pytest.mark.parametrize(
    ("name", "groups"), [("deepseek-v3", (8, 4)), ("kimi-k2", (1, 1)), ("ling-1t", (8, 4))]
)
def test_published_mixtures_have_the_groups_of_their_files(name, groups):
    runs = tf.load_model(name).description.stack("decoder").runs
    assert {run.layer.feed.groups for run in runs if isinstance(run.layer.feed, Moe)} == {groups}
