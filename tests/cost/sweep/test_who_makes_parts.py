"""How many parts are given out at once, and to whom: processes and a cluster that only count."""

from __future__ import annotations

import sys
from concurrent.futures import Future
from types import SimpleNamespace

import pytest
import thermoflop as tf
from thermoflop.cost.sweep import sweep as sweeps

GRID = {"models": "gpt2", "devices": "h100", "batch": "1:200", "rows": 2}  # 100 parts of 2 rows


class Pool:
    """Processes that make a part at once; how many there are, and the parts given to them."""

    def __init__(self, n, _context):
        self.n, self.given = n, []
        POOLS.append(self)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def submit(self, _make, _grid, number, _out):
        self.given.append(number)
        made = Future()
        made.set_result((2, 0, None))
        return made


POOLS = []


@pytest.mark.parametrize(("jobs", "processes"), [(3, 3), (500, 100)])
def test_each_process_is_given_four_parts_at_once(monkeypatch, tmp_path, jobs, processes):
    """One that is done is given the next, and none has to wait for it."""
    running = []

    def one_is_done(futures, return_when):
        running.append(len(futures))
        rest = set(futures)
        return {rest.pop()}, rest

    POOLS.clear()
    monkeypatch.setattr(sweeps, "ProcessPoolExecutor", Pool)
    monkeypatch.setattr(sweeps, "wait", one_is_done)
    done = tf.sweep(GRID, tmp_path, jobs=jobs)
    (pool,) = POOLS
    most = min(4 * processes, 100)
    assert pool.n == processes
    assert running == [most] * (100 - most) + list(range(most, 0, -1))
    assert pool.given == list(range(100))
    assert (done.made, done.made_rows) == (100, 200)


class Cluster:
    """A cluster that makes parts as they are asked for; what it was made of, and what waits."""

    def __init__(self, *where, **how):
        self.where, self.how, self.given, self.waiting = where, how, [], []
        POOLS.append(self)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def scheduler_info(self):
        return {"workers": dict.fromkeys(range(WORKERS))}

    def submit(self, _make, _grid, number, _out, *, pure):
        assert not pure  # a part is made again where its file is gone
        self.given.append(number)
        return SimpleNamespace(result=lambda: (2, 0, None))


WORKERS = 20


class Done:
    """The jobs in the order in which they were given; how many wait as each is done."""

    def __init__(self, jobs):
        self.jobs = POOLS[-1].jobs = list(jobs)

    def __iter__(self):
        while self.jobs:
            POOLS[-1].waiting.append(len(self.jobs))
            yield self.jobs.pop(0)

    def add(self, job):
        self.jobs.append(job)


@pytest.mark.parametrize(
    ("address", "where", "how", "workers", "most"),
    [
        ("local", (), {"processes": True}, 20, 80),
        ("tcp://h:8786", ("tcp://h:8786",), {"timeout": 10}, 2, 64),
    ],
)
def test_a_cluster_is_given_four_parts_a_worker_and_64_at_least(
    monkeypatch, tmp_path, address, where, how, workers, most
):
    POOLS.clear()
    monkeypatch.setattr(sys.modules[__name__], "WORKERS", workers)
    monkeypatch.setitem(
        sys.modules, "distributed", SimpleNamespace(Client=Cluster, as_completed=Done)
    )
    done = tf.sweep(GRID, tmp_path, dask=address)
    (cluster,) = POOLS
    assert (cluster.where, cluster.how) == (where, how)
    assert cluster.waiting == [most] * (101 - most) + list(range(most - 1, 0, -1))
    assert cluster.given == list(range(100))
    assert (done.made, done.made_rows) == (100, 200)


def test_a_process_is_made_for_each_processor_that_may_be_used(monkeypatch):
    monkeypatch.setattr(sweeps.os, "sched_getaffinity", lambda _: {1, 4, 5}, raising=False)
    assert sweeps._processors() == 3
    monkeypatch.delattr(sweeps.os, "sched_getaffinity")
    for known, processors in ((6, 6), (None, 1)):
        monkeypatch.setattr(sweeps.os, "cpu_count", lambda known=known: known)
        assert sweeps._processors() == processors


@pytest.mark.parametrize(
    ("jobs", "due", "processes"), [(None, 3, 2), (None, 1, None), (1, 9, None)]
)
def test_one_process_or_one_part_is_made_here(monkeypatch, tmp_path, jobs, due, processes):
    """Of two processors both work, unless there is a part alone."""
    POOLS.clear()
    made = []
    monkeypatch.setattr(sweeps, "_processors", lambda: 2)
    monkeypatch.setattr(sweeps, "ProcessPoolExecutor", Pool)
    monkeypatch.setattr(sweeps, "write_part", lambda *given: made.append(given[1]) or (2, 1, "no"))
    done = tf.sweep({**GRID, "batch": f"1:{2 * due}"}, tmp_path, jobs=jobs)
    assert [pool.n for pool in POOLS] == ([] if processes is None else [processes])
    assert made == ([] if POOLS else list(range(due)))
    assert (done.parts, done.made, done.made_rows) == (due, due, 2 * due)
    assert done.refused_rows == (0 if POOLS else due)
    assert done.refusal == (None if POOLS else "no")
