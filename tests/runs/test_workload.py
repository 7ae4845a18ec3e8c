"""The multiplying process counts exactly, reports honestly, and ends when it should."""

from __future__ import annotations

import threading
import time

import pytest
from thermoflop.runs import multiply
from thermoflop.runs.multiply import LAYER, Product, Work
from thermoflop.runs.workload import MAX_THREADS, Report, Workload, usable_cores


def test_a_product_counts_one_multiplication_per_term() -> None:
    assert Product("x", 2, 3, 5, 7).mults == 2 * 3 * 5 * 7


def test_a_layer_is_that_of_gpt2_small() -> None:
    # weights met by each token: 12 h^2 = 4 h^2 in attention and 8 h^2 in the feed-forward
    weights = 12 * 768 * 768
    scores_and_values = 2 * 12 * multiply.TOKENS * 64
    assert sum(p.mults for p in LAYER) == multiply.TOKENS * (weights + scores_and_values)


def test_the_count_grows_by_whole_products() -> None:
    work, stop = Work(), threading.Event()
    thread = threading.Thread(target=work.until, args=(stop,))
    thread.start()
    deadline_s = time.monotonic() + 30
    while not work.mults and time.monotonic() < deadline_s:
        time.sleep(0.01)
    stop.set()
    thread.join()
    rest = work.mults % sum(p.mults for p in LAYER)
    partial = [sum(p.mults for p in LAYER[:n]) for n in range(len(LAYER))]
    assert work.mults > 0
    assert rest in partial


def test_it_works_from_go_to_finish_and_gives_heat_meanwhile() -> None:
    workload = Workload(30.0)
    try:
        workload.wait_ready(30.0)
        assert workload.watts(0.0) == 0.0
        workload.go()
        deadline_s = time.monotonic() + 30
        while not (workload.last.mults and workload.watts(0.0)) and time.monotonic() < deadline_s:
            time.sleep(0.05)
        assert 0 < workload.watts(0.0) <= 30.0
        last = workload.finish()
        assert last.mults > 0
        assert last.cpu_s > 0
        assert last.mults_per_s == pytest.approx(last.mults / last.t_s)
        assert workload.watts(0.0) == 0.0
        assert not workload.has_died
    finally:
        workload.close()
    workload.close()


def test_a_process_that_is_never_started_ends_with_us() -> None:
    workload = Workload(30.0)
    workload.wait_ready(30.0)
    workload.close()
    assert workload.last == Report(0.0, 0.0, 0)
    assert not workload.has_died


def test_one_processor_is_left_for_the_sampling() -> None:
    workload = Workload(30.0)
    workload.close()
    assert 1 <= workload.threads <= min(MAX_THREADS, max(1, usable_cores() - 1))
