"""SGLang's pools of tokens, windows and states, from its own sources and from counts by hand."""

from __future__ import annotations

import pytest
import thermoflop as tf
from kit.made_up import decoder
from thermoflop.cost.engines.footprint import GIB, Load
from thermoflop.cost.engines.options import read_options
from thermoflop.cost.engines.pools import Kind
from thermoflop.cost.engines.sglang_cache import _pools, sglang_layout, states_note
from thermoflop.cost.engines.sglang_choices import (
    apart,
    is_compressed,
    is_recurrent,
    most_requests,
    settled,
    states_asked,
    states_each,
)
from thermoflop.cost.hardware.precision import choose_precision
from thermoflop.cost.work.share import Layout, Share
from thermoflop.errors import UsageError
from thermoflop.model.load import load_model

PLAIN, WINDOWED = [Kind(6, 100.0)], [Kind(2, 100.0), Kind(4, 100.0, 128.0)]
MIXED, ALONE = [Kind(2, 100.0), Kind(4, 0.0, None, 9000.0)], [Kind(4, 0.0, None, 9000.0)]


def share(model=None, **degrees):
    known = decoder() if model is None else load_model(model)
    return Share(known.description, Layout(**degrees), choose_precision("bf16"))


def options(**given):
    return read_options("sglang", given)


def laid_out(kinds, context, **given):
    usual = {"page_size": 16, "swa_full_tokens_ratio": 0.8, "mamba_full_memory_ratio": 0.9,
             "mamba_radix_cache_strategy": "no_buffer"}  # fmt: skip
    asked = options(**{**usual, **given})
    return _pools(share(), Load(1, 1, context), asked, kinds)


@pytest.mark.parametrize(
    ("kinds", "context", "sequence", "token"),
    [
        (PLAIN, 161, 11 * 16 * 600, 600),
        # the pool of windows has 0.8 times the tokens: 8 + 1 pages of 16 for a window of 128
        (WINDOWED, 64, 5 * 16 * 520, 520),
        (WINDOWED, 160, 11.25 * 16 * 520, 520),
        (WINDOWED, 320, 20 * 16 * 520, 520),
        ([Kind(4, 100.0, 128.0)], 320, 9 * 16 * 400, 400),  # no other pool to be a share of
        # states have 0.9 parts of room beside 1 of tokens, a sequence 3 states, and it takes the
        # larger share
        (MIXED, 1, 3 * 36_000 * 1.9 / 0.9, 380),
        (MIXED, 1600, 1600 * 200 * 1.9, 380),
        (ALONE, 1600, 3 * 36_000, None),
    ],
)
def test_pools_are_apart_and_a_sequence_takes_the_largest_share(kinds, context, sequence, token):
    made = laid_out(kinds, context)
    assert made.sequence_bytes == pytest.approx(sequence)
    if token is not None:
        assert made.unit_bytes * made.token_units / made.block_size == pytest.approx(token)
    else:
        assert (made.unit_bytes, made.block_size, made.token_units) == (36_000, 1, 0)


@pytest.mark.parametrize(
    ("given", "states"),
    [
        ({}, 3), ({"mamba_radix_cache_strategy": "extra_buffer"}, 5),
        ({"mamba_radix_cache_strategy": "extra_buffer_lazy"}, 4),
        ({"disable_radix_cache": True}, 1),
        ({"speculative_num_draft_tokens": 4}, 7),
    ],
)  # fmt: skip
def test_a_running_sequence_has_several_states(given, states):
    """One more for each drafted token: main states and intermediate ones share the pool."""
    made = laid_out(MIXED, 1, **given)
    assert made.sequence_bytes == pytest.approx(states * 36_000 * 1.9 / 0.9)
    assert made.states_each == states


def test_a_pool_of_states_may_be_as_large_as_that_of_tokens_or_larger():
    made = laid_out(MIXED, 1, mamba_full_memory_ratio=2.0)
    assert made.sequence_bytes == pytest.approx(3 * 36_000 * 3 / 2)
    assert made.token_units == 3


@pytest.mark.parametrize(
    ("given", "many", "requests"),
    [
        ({"max_mamba_cache_size": 30}, 30, 10),
        # prefixes are not cached: a state for each request that runs
        ({"disable_radix_cache": True, "max_running_requests": 12}, 12, 12),
        # a state more for each of 2 drafted tokens of 10 requests
        ({"max_mamba_cache_size": 30, "speculative_num_draft_tokens": 2}, 50, 10),
    ],
)
def test_states_of_a_number_leave_the_rest_to_tokens(given, many, requests):
    made = laid_out_for("qwen3-next-80b-a3b", 1600, **given)
    state = made.state_bytes
    assert made.fixed_bytes == many * state
    assert made.token_units == 1
    asked = options(mamba_radix_cache_strategy="no_buffer", **given)
    assert most_requests(share("qwen3-next-80b-a3b"), asked) == requests
    room = many * state + 7.5 * made.sequence_bytes
    assert made.sequences(room) == pytest.approx(7.5)
    assert made.tokens(room) == 7.5 * 1600
    assert made.sequences(many * state / 2) == 0
    asked_for = given.get("max_mamba_cache_size", many)  # beside those of drafted tokens
    said = states_note(made, room, asked)
    assert f": {asked_for} of" in said
    assert f": {requests} at once" in said


def test_of_states_alone_as_many_are_told_as_an_option_says():
    made = laid_out_for("mamba-2.8b", 1600, max_mamba_cache_size=60)
    assert ": 60 of " in states_note(made, 100 * made.state_bytes, options())
    left = laid_out_for("mamba-2.8b", 1600)
    assert ": 100 of " in states_note(left, 100 * left.state_bytes, options())


def laid_out_for(model, context, **given):
    asked = options(mamba_radix_cache_strategy="no_buffer", **given)
    return sglang_layout(share(model), Load(1, 1, context), asked)


# Qwen3-Next: 36 of 48 layers of 32 heads with 128 x 128 in fp32, and 3 inputs of 2 x 16 x 128 and
# 32 x 128 channels in bf16; 12 layers of 2 x 2 heads of 256.
QWEN_STATE = 36 * (32 * 128 * 128 * 4 + 3 * (2 * 16 * 128 + 32 * 128) * 2)


@pytest.mark.parametrize(
    ("width", "state"),
    [(None, QWEN_STATE), ("float32", QWEN_STATE), ("bfloat16", QWEN_STATE - 36 * 32 * 128**2 * 2)],
)
def test_states_are_in_fp32_unless_an_option_says_less(width, state):
    given = {} if width is None else {"mamba_ssm_dtype": width}
    assert laid_out_for("qwen3-next-80b-a3b", 1, **given).state_bytes == state


def test_what_a_budget_says_of_states_adds_up():
    """0.9 of 1.9 parts of what is left, five states a sequence; the rest are tokens of 24 KiB."""
    found = tf.fit("qwen3-next-80b-a3b", "h200", devices=2, prompt=2048, generate=1,
                   profile="sglang").budget  # fmt: skip
    state = QWEN_STATE / 2
    states = int(found.cache_bytes * 0.9 / 1.9 / state)
    assert int(found.sequences) == pytest.approx(states / 5, abs=1)
    # of 2 heads one is on each device
    assert found.cache_tokens == pytest.approx(
        found.cache_bytes / 1.9 / (12 * 2 * 256 * 2), rel=1e-5
    )
    assert found.options["mamba_radix_cache_strategy"] == "extra_buffer"
    assert f"{states:,} of {state / 2**20:,.3g} MiB, 5 for each" in " ".join(found.notes)


@pytest.mark.parametrize(
    ("model", "strategy", "states"),
    [
        # _MAMBA_EXTRA_BUFFER_ARCHS has Qwen3-Next and Nemotron-H, and no Lfm2
        ("qwen3-next-80b-a3b", "extra_buffer", 5), ("nemotron-nano-9b-v2", "extra_buffer", 5),
        ("lfm2-1.2b", "no_buffer", 3),
    ],
)  # fmt: skip
def test_a_further_buffer_is_where_states_are_more_than_inputs_of_a_convolution(
    model, strategy, states
):
    part = share(model)
    assert is_recurrent(part)
    assert settled(part, options())["mamba_radix_cache_strategy"] == strategy
    assert states_each(part, options()) == states
    named = options(mamba_scheduler_strategy="auto")
    assert settled(part, named)["mamba_radix_cache_strategy"] == strategy
    without = options(disable_radix_cache=True)
    assert settled(part, without)["mamba_radix_cache_strategy"] is None


@pytest.mark.parametrize(
    ("device", "given", "states"),
    [("mi300x", None, 3), ("h200", None, 5), ("mi300x", "auto", 3), ("mi300x", "extra_buffer", 5)],
)
def test_on_amds_devices_there_is_no_further_buffer(device, given, states):
    """Unless it is asked for."""
    asked = {} if given is None else {"mamba_radix_cache_strategy": given}
    found = tf.fit("qwen3-next-80b-a3b", device, devices=2, profile="sglang", engine_options=asked)
    assert f", {states} for each sequence" in " ".join(found.budget.notes)
    plain = tf.fit("llama-3-8b", device, profile="sglang").budget
    assert "mamba_radix_cache_strategy" not in str(plain.notes)


def test_of_a_model_without_states_nothing_is_said_of_them():
    part = share()
    assert not is_recurrent(part)
    assert not is_compressed(part)
    assert settled(part, options()) == {"page_size": 1, "swa_full_tokens_ratio": 0.8}
    assert states_asked(part, options(max_mamba_cache_size=3)) is None
    made = sglang_layout(part, Load(1, 1, 100), options())
    assert (made.fixed_bytes, made.states_each) == (0, 0)
    assert states_note(made, GIB, options()) == ""


@pytest.mark.parametrize(
    ("degrees", "groups"),
    [({}, 1), ({"tp": 8, "ep": 8}, 1), ({"dp": 4, "ep": 4}, 4), ({"dp": 4}, 1)],
)
def test_requests_of_a_server_are_divided_where_attention_is_apart(degrees, groups):
    """``max_running_requests // attn_dp_size``; replicas that share nothing are servers."""
    part = share("qwen3-30b-a3b", **degrees)
    assert apart(part.plan) == groups
    assert most_requests(part, options(max_running_requests=64)) == 64 // groups
    assert most_requests(part, options(max_running_requests=1)) == 1


def test_while_tokens_are_drafted_48_requests_run_unless_a_number_is_given():
    part = share()
    assert most_requests(part, options()) is None
    assert most_requests(part, options(speculative_num_draft_tokens=4)) == 48
    both = options(speculative_num_draft_tokens=4, max_running_requests=100)
    assert most_requests(part, both) == 100


# DeepSeek V4 Pro: 61 layers whose entries are 448 elements of 8 bits, 64 of 16 and 8 bytes of
# scales. 30 of them have an entry for 4 tokens, with a key of 128 elements and a scale in fp32, and
# two overlapping sums and scores of 512 + 128 elements in fp32, 8 rows for 128 tokens; 31 have one
# for 128 tokens, and 128 rows of a sum and a score of 512 elements for each request.
ENTRY = 448 + 64 * 2 + 8
V4_TOKEN = (
    0.1 * ENTRY * 61 + ENTRY * 30 / 4 + ENTRY * 31 / 128 + (128 + 4) * 30 / 4
    + 0.1 * 8 / 128 * (2 * 2 * (512 + 128) * 4) * 30
)  # fmt: skip
V4_REQUEST = 128 * 2 * 512 * 4 * 31


def test_deepseek_v4_keeps_compressed_entries_whatever_the_format_of_the_cache():
    """``_get_bytes_per_full_token`` and ``_get_c128_state_fixed_bytes``: rows for a request beyond
    the most, one more ring and one row, in whole 128."""
    part = share("deepseek-v4-pro")
    made = sglang_layout(part, Load(1, 8192, 9216), options())
    assert made.block_size == 256
    assert made.unit_bytes / 256 == pytest.approx(V4_TOKEN)
    assert made.fixed_bytes == pytest.approx((256 + 3) * V4_REQUEST)
    # 9,216 tokens are 36 pages; a window of 128 takes two of a pool with a tenth of them
    assert made.sequence_units == 36
    short = sglang_layout(part, Load(1, 500, 512), options())
    assert short.sequence_units == 20


def test_deepseek_v4_takes_of_a_token_what_sglang_prints():
    """ "bytes_per_full_token=13735.04, ... c128_state_fixed=1.01 GB" of 0.5.15.post1 with
    swa_full_tokens_ratio=0.15 and 512 requests over 8 groups of an MI355X each."""
    asked = options(swa_full_tokens_ratio=0.15, max_running_requests=512)
    part = share("deepseek-v4-pro", dp=8, ep=8)
    made = sglang_layout(part, Load(1, 8192, 9216), asked)
    assert made.unit_bytes / 256 == pytest.approx(13735.04, abs=0.005)
    assert made.fixed_bytes / GIB == pytest.approx(1.01, abs=0.005)


def test_while_tokens_are_drafted_deepseek_v4_keeps_twice_the_rows_and_a_layer_more():
    part = share("deepseek-v4-pro")
    made = sglang_layout(part, Load(1, 8192, 9216), options(speculative_num_draft_tokens=4))
    rows = 0.1 * 8 / 128 * (2 * 2 * (512 + 128) * 4) * 30
    assert made.unit_bytes / 256 == pytest.approx((V4_TOKEN + rows) * 62 / 61)
    assert made.fixed_bytes == pytest.approx((48 + 3) * 2 * V4_REQUEST)


@pytest.mark.parametrize(
    ("degrees", "most"), [({}, 256), ({"dp": 8, "ep": 8}, 32), ({"dp": 4, "ep": 4}, 64)]
)
def test_deepseek_v4_runs_256_requests_unless_a_number_is_given(degrees, most):
    part = share("deepseek-v4-pro", **degrees)
    assert most_requests(part, options()) == most
    assert most_requests(part, options(max_running_requests=512)) == 2 * most


@pytest.mark.parametrize("value", [0, -1, 101, "x", True, "inf", "nan"])
def test_a_ratio_is_a_number_above_nothing(value):
    with pytest.raises(UsageError, match="expected a number above 0, up to 100"):
        options(mamba_full_memory_ratio=value)


@pytest.mark.parametrize(
    ("asked", "states"),
    [
        # wheels of SGLang: server_args.py of 0.5.13 takes auto for no_buffer, that of 0.5.14 for
        # extra_buffer
        ({}, 5), ({"version": "newest"}, 5), ({"version": "0.5.14"}, 5),
        ({"version": "0.5.14.post1"}, 5), ({"version": "0.6"}, 5), ({"version": "0.5.13"}, 3),
        ({"version": "0.5.9"}, 3), ({"version": "0.4"}, 3), ({"version": "0.5"}, 5),
        ({"version": "0.5.9", "mamba_radix_cache_strategy": "extra_buffer"}, 5),
        ({"version": "0.5.9", "disable_radix_cache": True}, 1),
    ],
)  # fmt: skip
def test_a_version_says_how_many_states_are_left_to_the_engine(asked, states):
    assert states_each(share("qwen3-next-80b-a3b"), options(**asked)) == states


@pytest.mark.parametrize(
    ("profile", "states", "told"),
    [("sglang", 5, True), ("sglang 0.5.10", 3, False), ("sglang@0.5.14", 5, False)],
)
def test_the_name_of_a_profile_says_the_version(profile, states, told):
    """Where nothing says it, the note names the version before."""
    found = tf.fit("qwen3-next-80b-a3b", "h200", devices=2, profile=profile).budget
    assert f", {states} for each" in " ".join(found.notes)
    assert ("version=0.5.13" in " ".join(found.notes)) is told


@pytest.mark.parametrize(
    ("device", "cache", "token"),
    [
        # GLM-5.2, 78 layers: a latent of 512 and 64 rotated elements, and in every layer a key of
        # 128 and a scale in fp32. "464,768 tokens/rank in 23.91 GB" (InferenceX pull 2335)
        ("b200", "fp8", 23.91 * GIB / 464_768), ("b200", "fp8", 78 * (512 + 64 + 128 + 4)),
        ("h200", "bf16", 78 * (2 * (512 + 64) + 128 + 4)),
        # scales of 128 elements and a rotated part in 16 bits (DSATokenToKVPool)
        ("h200", "fp8", 78 * (512 + 4 * 4 + 2 * 64 + 128 + 4)),
        ("mi355x", "fp8", 78 * (512 + 64 + 128 + 4)),
    ],
)  # fmt: skip
def test_a_token_of_chosen_keys_has_a_key_of_the_indexer_in_every_layer(device, cache, token):
    found = tf.fit("glm-5.2", device, devices=8, profile="sglang", dtype="fp8", kv_dtype=cache)
    budget = found.budget
    assert budget.options["page_size"] == 64
    assert budget.cache_bytes / budget.cache_tokens == pytest.approx(token, rel=4e-4)
