"""The event loop: what it does, worked out by hand and by a loop that jumps over nothing."""

from __future__ import annotations

import numpy as np
import pytest
from thermoflop.cost.serving.loop import Requests, _Scheduler, run_loop
from thermoflop.cost.serving.times import StepTable

W, CHUNK = 0.01, 0.002  # seconds of a decode step, and what each prompt token adds
SLOTS, BUDGET = 8, 64


def table(slope=0.0, per_prompt=0.0):
    """Every step takes ``W`` and ``slope`` for a token of mean context; prompts add evenly."""
    rows = [[CHUNK * tokens for tokens in range(BUDGET + 1)] for _ in range(SLOTS + 1)]
    return StepTable([0.0] + [W] * SLOTS, [0.0] + [slope] * SLOTS, rows, 1.0, 0.0, per_prompt)


def every_cost():
    """What a step takes differs by the sequences beside it, in columns of 4 tokens; pairs of tokens
    within a prompt and prompts themselves take time, too."""
    places = range(SLOTS + 1)
    rows = [[(1 + n / 5) * 4 * CHUNK * column**1.5 for column in range(17)] for n in places]
    return StepTable([0.0, *(W * (1 + n / 7) for n in places[1:])],
                     [0.0, *(1e-4 * n for n in places[1:])], rows, 4.0, 3e-6, 2e-3)  # fmt: skip


def plainly(table, requests, slots, budget, passes):
    """The same rules, one step at a time: first and last tokens, steps that decode, and seconds of
    decoding sequences together."""
    count, given = len(requests.prompts), requests.step_tokens
    first, last = [None] * count, [None] * count
    arrivals = list(requests.arrivals_s)
    running, now, head, read = {}, 0.0, 0, 0  # index -> [steps left, context]
    steps, decoding_s = 0, 0.0
    while None in last:
        room = budget - (0 if passes else len(running))
        taken, done, free, pairs = 0, [], slots - len(running), 0.0
        while head < len(arrivals) and arrivals[head] <= now and room and len(done) < free:
            took = min(room, requests.prompts[head] - read)
            # each token meets what is cached, what was read, and the mean half of its own chunk
            pairs += took * (requests.cached[head] + read + took / 2)
            taken, room, read = taken + took, room - took, read + took
            if read < requests.prompts[head]:
                break
            done.append(head)
            head, read = head + 1, 0
        decodes = len(running) if not (passes and taken) else 0
        if not decodes and not taken:
            now = arrivals[head]
            continue
        row = table.rows[0 if passes else len(running)]
        step_s = np.interp(taken, table.spacing * np.arange(len(row)), row)
        step_s += table.square * pairs + table.prompt_s * len(done)
        if decodes:
            mean = np.mean([context for _, context in running.values()])
            step_s += table.base[decodes] + table.slope[decodes] * mean
            steps += 1
        now += step_s
        decoding_s += len(running) * step_s
        for index in list(running) if decodes else []:
            running[index][0] -= 1
            running[index][1] += given
            if running[index][0] == 0:
                last[index] = now
                del running[index]
                if len(arrivals) < count:
                    arrivals.append(now)
        for index in done:
            first[index] = now
            held = requests.cached[index] + requests.prompts[index]
            running[index] = [requests.outputs[index] - 1, held]
            if requests.outputs[index] == 1:
                last[index] = now
                del running[index]
                if len(arrivals) < count:
                    arrivals.append(now)
    return first, last, steps, decoding_s


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
    same(done, plainly(table(slope), requests, SLOTS, BUDGET, passes))


def same(done, plain):
    first, last, steps, decoding_s = plain
    np.testing.assert_allclose(done.first_s, first, rtol=1e-9)
    np.testing.assert_allclose(done.last_s, last, rtol=1e-9)
    assert done.steps == steps
    assert done.decoding_s == pytest.approx(decoding_s, rel=1e-9)


@pytest.mark.parametrize("passes", [False, True])
@pytest.mark.parametrize("clients", [0, 6])
def test_every_cost_of_a_step_is_counted_as_it_comes(passes, clients):
    """Prompts of several chunks behind what is cached of them, and steps of three tokens each."""
    random = np.random.default_rng(5)
    count = 80
    arrivals = [0.0] * clients if clients else np.cumsum(random.exponential(0.4, count)).tolist()
    sizes = [random.integers(*ends, count).tolist() for ends in ((1, 200), (0, 90), (1, 25))]
    requests = Requests(arrivals, *sizes, step_tokens=3.0)
    done = run_loop(every_cost(), requests, SLOTS, BUDGET, passes=passes)
    same(done, plainly(every_cost(), requests, SLOTS, BUDGET, passes))


@pytest.mark.parametrize("slope", [0.0, 1e-5, 1e-3])
def test_steps_between_two_events_are_one_jump(monkeypatch, slope):
    """The steps until the second request comes, those beside it, and those after it."""
    jumps = []
    jump = _Scheduler._jump

    def counted(self, most, until):
        jumps.append(most)
        jump(self, most, until)

    monkeypatch.setattr(_Scheduler, "_jump", counted)
    requests = Requests([0.0, 20.5 * W], [10, 10], [0, 0], [2001, 101])
    done = run_loop(table(slope), requests, SLOTS, BUDGET)
    same(done, plainly(table(slope), requests, SLOTS, BUDGET, passes=False))
    assert len(jumps) == 3


def test_a_full_server_runs_no_more_than_its_slots():
    count = 40
    requests = Requests([0.0] * count, [1] * count, [0] * count, [11] * count)
    done = run_loop(table(), requests, SLOTS, BUDGET)
    starts, ends = np.array(done.first_s), np.array(done.last_s)
    most = max(int(((starts <= at) & (ends > at)).sum()) for at in starts)
    assert most == SLOTS
