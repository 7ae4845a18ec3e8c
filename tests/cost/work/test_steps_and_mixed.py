"""The steps of a run with how often each runs, and two steps that run as one."""

from __future__ import annotations

import numpy as np
import pytest
from kit.made_up import decoder
from thermoflop.cost.work.mixed import Mixed, merged
from thermoflop.cost.work.steps import (
    decode_step,
    generation_steps,
    middle_context,
    prefill_step,
    prompt_steps,
)
from thermoflop.cost.work.weights import stage_share
from thermoflop.cost.work.work import Work
from thermoflop.model.architecture.description import Description


@pytest.mark.parametrize(
    ("new", "cached", "chunk", "stages", "steps"),
    [
        (100, 7, None, 4, [(1.0, 100, 7)]),
        # whole chunks stand in the middle of theirs: three of 30 begin at 0, 30 and 60
        (100, 0, 30, 1, [(3.0, 30, 30), (1.0, 10, 90)]),
        (100, 7, 30, 1, [(3.0, 30, 37), (1.0, 10, 97)]),
        (90, 0, 30, 1, [(3.0, 30, 30)]),
        (30, 5, 30, 1, [(1.0, 30, 5)]),
        (10, 5, 30, 1, [(1.0, 10, 5)]),
        # n chunks over p stages take (n + p - 1) / (n p): of four over two 5/8, of one 2/2
        (100, 0, 30, 2, [(3 * 5 / 8, 30, 30), (5 / 8, 10, 90)]),
        (90, 0, 30, 2, [(3 * 4 / 6, 30, 30)]),
        (30, 0, 30, 2, [(1.0, 30, 0)]),
    ],
)  # fmt: skip
def test_a_prompt_is_read_in_whole_chunks_and_what_is_left(new, cached, chunk, stages, steps):
    found = prompt_steps(new, 2, cached, chunk=chunk, stages=stages)
    assert [(weight, step.new, step.cached) for weight, step in found] == [
        (pytest.approx(weight), tokens, pytest.approx(at)) for weight, tokens, at in steps
    ]
    assert all((step.batch, step.logits) == (2, "last") for _, step in found)
    assert all((step.attention, step.mla) == ("causal", "expanded") for _, step in found)
    sizes = np.array([float(new)] * 2)
    arrays = prompt_steps(sizes, 2, cached, chunk=chunk, stages=stages)
    total = sum(np.broadcast_to(weight * step.new, 2) for weight, step in arrays)
    assert total == pytest.approx([sum(weight * tokens for weight, tokens, _ in steps)] * 2)


@pytest.mark.parametrize(
    ("prompt", "generate", "middle"),
    [(100, 0, 100), (100, 1, 100), (100, 2, 100), (100, 4, 101), (100, 5, 101.5), (100, 10, 104)],
)
def test_the_middle_step_is_between_the_first_and_the_last(prompt, generate, middle):
    """The first has the prompt cached, the last prompt + generate - 2."""
    assert middle_context(prompt, generate) == middle
    if generate > 1:
        assert middle == (prompt + prompt + generate - 2) / 2


def test_a_generation_is_its_prompt_and_one_step_fewer_than_tokens():
    prompt = prompt_steps(100, 3)
    *first, (times, step) = generation_steps(prompt, 100, 9, 3)
    assert first == prompt
    assert (times, step.cached, step.batch, step.new) == (8, 103.5, 3, 1)
    assert (step.mla, step.encode, step.convolution) == ("absorbed", False, "needed")
    assert generation_steps(prompt, 100, 0, 3)[-1][0] == 0
    mixed = Mixed(decode_step(50, 4), prefill_step(10, 2))
    assert (mixed.batch, mixed.encode) == (4, False)


def work(name, kind, n, **changes):
    """Counts that are the first six multiples of n."""
    fields = {"launches": 1, "element_flops": 6.0 * n, **changes}
    return Work(name, "layer", name, kind, 2, 1.0 * n, 2.0 * n, 3.0 * n, 4.0 * n, 5.0 * n,
                **fields)  # fmt: skip


def test_two_steps_share_each_matrix_and_keep_attention_apart():
    """Weights and padding are the larger of both, all else is added up; a collective's steps are
    taken once."""
    one = [
        work("up", "contraction", 1),
        work("attention", "attention", 1),
        work("scan", "scan", 1),
        work("sum", "network", 1),
        work("head", "contraction", 1),
    ]
    two = [
        work("up", "contraction", 10),
        work("attention", "attention", 10),
        work("scan", "scan", 10),
        work("sum", "network", 10),
        work("embed", "gather", 10),
    ]
    up, attention, scan, total, head, *rest = merged(one, two)
    assert (up.flops, up.row_flops, up.weight_bytes) == (11, 20, 30)
    assert (up.kv_bytes, up.activation_bytes, up.element_flops) == (44, 55, 66)
    assert (up.times, up.launches) == (2, 1)
    assert (attention, scan) == (one[1], one[2])
    assert (total.flops, total.activation_bytes) == (10, 55)
    assert head == one[4]
    assert sorted(each.name for each in rest) == ["attention", "embed", "scan"]


def test_what_is_kept_apart_of_the_chunk_runs_as_well():
    one, two = [work("attention", "attention", 1)], [work("attention", "attention", 10)]
    assert [each.flops for each in merged(one, two)] == [1, 10]
    kept = merged(one, [work("values", "attention", 10)])
    assert [each.flops for each in kept] == [1, 10]


@pytest.mark.parametrize(
    ("layers", "pp", "share"), [(8, 1, 1), (8, 2, 0.5), (9, 2, 5 / 9), (3, 8, 1 / 3), (0, 2, 1)]
)
def test_the_largest_stage_has_its_layers_rounded_up(layers, pp, share):
    description = decoder(num_hidden_layers=layers).description if layers else Description(())
    assert stage_share(description, pp) == share
