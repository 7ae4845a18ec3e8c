"""What one of several devices holds, part by part."""

from __future__ import annotations

import pytest
import thermoflop as tf
from thermoflop.cost.work.shard import shard
from thermoflop.errors import UsageError
from thermoflop.model.architecture import parameters

LLAMA = {
    "model_type": "llama", "vocab_size": 1001, "hidden_size": 256, "intermediate_size": 512,
    "num_hidden_layers": 3, "num_attention_heads": 8, "num_key_value_heads": 2,
    "tie_word_embeddings": False,
}  # fmt: skip


def groups(model, tp: int, ep: int = 1) -> dict[str, int]:
    return parameters.by_group(shard(tf.load_model(model).description, tp, ep))


@pytest.mark.parametrize(("tp", "heads", "key_heads"), [(2, 4, 1), (4, 2, 1), (8, 1, 1)])
def test_heads_neurons_and_rows_are_divided_and_a_key_head_is_copied(tp, heads, key_heads):
    found = groups(LLAMA, tp)
    assert found["attn"] == 3 * 256 * 32 * (2 * heads + 2 * key_heads)
    assert found["mlp"] == 3 * 3 * 256 * 512 // tp
    # the last device's rows are padded: 1001 over 2 are 501, over 4 are 251, over 8 are 126
    assert found["embed_tokens"] == found["lm_head"] == {2: 501, 4: 251, 8: 126}[tp] * 256
    assert found["norm"] == 7 * 256


def test_a_norm_of_each_head_is_of_those_on_the_device():
    """Qwen3-32B: 64 heads over 8 keys', of 128 each; over 16 devices a key head is copied."""
    model = tf.load_model("qwen3-32b").description
    for tp, counts in ((1, (64, 8)), (4, (16, 2)), (16, (4, 1))):
        (run,) = shard(model, tp, 1).stacks[0].runs
        q_norm, k_norm = run.layer.mixer.q_norm, run.layer.mixer.k_norm
        assert (q_norm.vectors, k_norm.vectors) == counts
        assert (q_norm.width, q_norm.copies, k_norm.width) == (128, 1, 128)


def test_whole_experts_are_divided_and_then_their_neurons():
    """Mixtral: 32 layers of 8 experts of 3 x 4096 x 14336."""
    expert = 3 * 4096 * 14336 * 32
    assert groups("mixtral-8x7b", 1, 4)["experts"] == 2 * expert
    assert groups("mixtral-8x7b", 4, 2)["experts"] == 4 * expert // 2
    assert groups("mixtral-8x7b", 2, 1)["experts"] == 8 * expert // 2
    assert groups("mixtral-8x7b", 2, 8)["experts"] == expert


def test_a_token_meets_its_share_of_the_experts_here():
    """2 of 8 a token: over 4 devices half a one each, of 2 that are here."""
    runs = shard(tf.load_model("mixtral-8x7b").description, 4, 4).stacks[0].runs
    (feed,) = {run.layer.feed for run in runs}
    assert (feed.experts, feed.top_k, feed.expert.copies) == (2, 2 / 4, 2)


def test_every_device_scores_all_experts():
    """A router of 4096 x 8 in each of 32 layers, on however many devices its experts lie."""
    description = tf.load_model("mixtral-8x7b").description
    for ep in (1, 2, 8):
        assert groups("mixtral-8x7b", 1, ep)["router"] == 32 * 4096 * 8
        feed = shard(description, 1, ep).stacks[0].runs[0].layer.feed
        assert (feed.experts, feed.scored) == (8 // ep, 8)


def test_the_latent_is_everywhere_and_its_heads_are_divided():
    """DeepSeek-V2-Lite: 27 layers of 16 heads of 128 + 64 and 128, a latent of 512 + 64."""
    whole = 2048 * 16 * 192 + 512 * 16 * 256 + 16 * 128 * 2048
    everywhere = 2048 * (512 + 64)
    assert groups("deepseek-v2-lite", 4)["attn"] == 27 * (whole // 4 + everywhere)


@pytest.mark.parametrize(
    ("config", "group", "one"),
    [
        # inner 512, state 16, 4 taps, step of rank 8: in, x, dt, out, conv, A, D
        ({"model_type": "mamba", "hidden_size": 256, "num_hidden_layers": 1, "state_size": 16,
          "vocab_size": 64, "time_step_rank": 8}, "ssm",
         lambda inner: 256 * 2 * inner + inner * 40 + 9 * inner + inner * 256 + 5 * inner
         + 17 * inner),
    ],
)  # fmt: skip
def test_the_channels_of_a_state_space_are_divided(config, group, one):
    assert groups(config, 1)[group] == one(512)
    assert groups(config, 4)[group] == one(128)


@pytest.mark.parametrize(
    ("tp", "ep", "said"),
    [
        (3, 1, "tp=3 does not divide the attention heads .32."),
        (1, 3, "ep=3 does not divide the experts .8."),
        (64, 1, "tp=64 does not divide"),
    ],
)
def test_what_does_not_divide_is_named(tp, ep, said):
    with pytest.raises(UsageError, match=said):
        shard(tf.load_model("mixtral-8x7b").description, tp, ep)
