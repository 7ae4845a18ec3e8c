"""The event loop: what it does, worked out by hand and by a loop that jumps over nothing."""

from __future__ import annotations

import numpy as np
import pytest
from thermoflop.cost.serving.loop import Requests, run_loop
from thermoflop.cost.serving.table import StepTable

W, CHUNK = 0.01, 0.002  # seconds of a decode step, and what each prompt token adds
SLOTS, BUDGET = 8, 64


def table(slope=0.0, per_prompt=0.0):
    """Every step takes ``W`` and ``slope`` for a token of mean context; prompts add evenly."""
    rows = [[CHUNK * tokens for tokens in range(BUDGET + 1)] for _ in range(SLOTS + 1)]
    return StepTable([0.0] + [W] * SLOTS, [0.0] + [slope] * SLOTS, rows, 1.0, 0.0, per_prompt)


def plainly(requests, slots, budget, slope, passes):
    """The same rules, one step at a time."""
    count = len(requests.prompts)
    first, last = [None] * count, [None] * count
    arrivals = list(requests.arrivals_s)
    running, now, head, read = {}, 0.0, 0, 0  # index -> [tokens left, context]
    while None in last:
        room = budget - (0 if passes else len(running))
        taken, done, free = 0, [], slots - len(running)
        while head < len(arrivals) and arrivals[head] <= now and room and len(done) < free:
            took = min(room, requests.prompts[head] - read)
            taken, room, read = taken + took, room - took, read + took
            if read < requests.prompts[head]:
                break
            done.append(head)
            head, read = head + 1, 0
        decodes = running and not (passes and taken)
        if not decodes and not taken:
            now = arrivals[head]
            continue
        mean = np.mean([context for _, context in running.values()]) if decodes else 0.0
        now += taken * CHUNK + (W + slope * mean if decodes else 0.0)
        for index in list(running) if decodes else []:
            running[index][0] -= 1
            running[index][1] += 1
            if running[index][0] == 0:
                last[index] = now
                del running[index]
                if len(arrivals) < count:
                    arrivals.append(now)
        for index in done:
            first[index] = now
            running[index] = [requests.outputs[index] - 1, requests.prompts[index]]
            if requests.outputs[index] == 1:
                last[index] = now
                del running[index]
                if len(arrivals) < count:
                    arrivals.append(now)
    return first, last


def test_one_request_alone_takes_its_prompt_and_its_steps():
    done = run_loop(table(), Requests([1.0], [10], [0], [5]), SLOTS, BUDGET)
    assert done.first_s[0] == pytest.approx(1.0 + 10 * CHUNK)
    assert done.last_s[0] == pytest.approx(1.0 + 10 * CHUNK + 4 * W)
    assert done.steps == 4


def test_a_prompt_longer_than_the_budget_takes_several_steps():
    prompt = 2 * BUDGET + 7
    done = run_loop(table(), Requests([0.0], [prompt], [0], [1]), SLOTS, BUDGET)
    assert done.first_s[0] == done.last_s[0] == pytest.approx(prompt * CHUNK)


@pytest.mark.parametrize("passes", [False, True])
@pytest.mark.parametrize(
    ("slope", "longest"), [(0.0, 150), (1e-4, 150), (0.02, 2)], ids=["even", "grows", "doubles"]
)
@pytest.mark.parametrize("clients", [0, 5])
def test_jumping_over_steps_changes_no_time(passes, slope, longest, clients):
    """Where a context doubles within a few steps, so does their time."""
    random = np.random.default_rng(3)
    count = 120
    arrivals = [0.0] * clients if clients else np.cumsum(random.exponential(0.12, count)).tolist()
    prompts = random.integers(1, longest, count).tolist()
    outputs = random.integers(1, 30, count).tolist()
    requests = Requests(arrivals, prompts, [0] * count, outputs)
    done = run_loop(table(slope), requests, SLOTS, BUDGET, passes=passes)
    first, last = plainly(requests, SLOTS, BUDGET, slope, passes)
    np.testing.assert_allclose(done.first_s, first, rtol=1e-9)
    np.testing.assert_allclose(done.last_s, last, rtol=1e-9)


def test_a_full_server_runs_no_more_than_its_slots():
    count = 40
    requests = Requests([0.0] * count, [1] * count, [0] * count, [11] * count)
    done = run_loop(table(), requests, SLOTS, BUDGET)
    starts, ends = np.array(done.first_s), np.array(done.last_s)
    most = max(int(((starts <= at) & (ends > at)).sum()) for at in starts)
    assert most == SLOTS
