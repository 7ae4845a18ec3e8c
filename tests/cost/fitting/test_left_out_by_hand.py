"""Intervals of models that were left out, on five of one row each; and a client's least wait."""

from __future__ import annotations

import numpy as np
import pytest
from kit.made_up import decoder
from kit.made_up_rows import TRUTH, row
from thermoflop.base.record import replace
from thermoflop.cost.catalogue.seen import EXTRA
from thermoflop.cost.fitting.together import LeftOut, first_bound_s
from thermoflop.cost.inference.arguments import Workload
from thermoflop.cost.inference.question import answer

OFF = np.array([-0.2, -0.1, 0.0, 0.1, 0.2])


def left(engines: tuple[str, ...] = ("vllm",) * 5, phase: str = "token") -> LeftOut:
    """Five models, each missed by its own factor."""
    rows = []
    for layers, engine in enumerate(engines, 1):
        one = row(engine, 2, phase, 16, mixes=True)
        model = decoder(num_hidden_layers=layers)
        rows.append(replace(one, question=replace(one.question, model=model)))
    return LeftOut(rows, np.array([each.measured_s for each in rows]) / np.exp(OFF))


def test_five_models_that_weigh_alike_end_at_the_outer_two() -> None:
    """Each is a fifth, its middle at 0.1, 0.3, ... 0.9: an 80 % interval ends at the first and the
    last, a sixth model's own spread besides."""
    found = left().intervals("vllm")
    end = 0.2 * np.sqrt(1 + 1 / 5)
    assert found["all"].low == pytest.approx(np.exp(-end), abs=1e-4)
    assert found["all"].high == pytest.approx(np.exp(end), abs=1e-4)
    assert (found["all"].rows, found["client"]) == (5, found["all"])
    extra = 1.2815515655446004 * EXTRA["prefill"]
    assert found["prefill"].high == pytest.approx(np.exp(np.hypot(end, extra)), abs=1e-3)
    assert found["prefill"].low == pytest.approx(np.exp(-np.hypot(end, extra)), abs=1e-3)


def test_without_a_model_the_others_alone_speak() -> None:
    """Of -0.1 ... 0.2 each a quarter: 0.1 lies before the first middle, 0.9 behind the last."""
    params = str(decoder(num_hidden_layers=1).params)
    found = left().intervals("vllm", params)["all"]
    grown = np.sqrt(1 + 1 / 4)
    assert (found.low, found.high) == pytest.approx(
        (np.exp(-0.1 * grown), np.exp(0.2 * grown)), abs=1e-4
    )
    assert found.rows == 4


def test_an_engines_own_models_weigh_more_by_as_many_times_as_it_has_models() -> None:
    """Two of sglang's at the ends, three of vllm's between them: 1, 4, 4, 4, 1 of 14; a tenth is
    1.4, between the middles 0.5 and 3. Without those three, vllm has two that weigh like them."""
    engines = ("sglang", "vllm", "vllm", "vllm", "sglang")
    found = left(engines).intervals("vllm")["all"]
    end = (0.2 - 0.1 * (1.4 - 0.5) / 2.5) * np.sqrt(1 + 1 / 5)
    assert (found.low, found.high) == pytest.approx((np.exp(-end), np.exp(end)), abs=1e-4)
    others = left(engines)._ends(np.array([True, False, False, False, True]), "vllm")
    end = 0.2 * np.sqrt(1 + 1 / 2)
    assert (others.low, others.high) == pytest.approx((np.exp(-end), np.exp(end)), abs=1e-4)


def test_what_clients_wait_for_is_missed_by_as_much_below_as_above() -> None:
    """0, 0.1, 0.1, 0.2 and 0.2 weigh 4, 4, 4, 1, 1 of 14, their middles at 2, 6, 10, 12.5, 13.5:
    eight tenths, 11.2, lie between the second 0.1 and the first 0.2."""
    engines = ("sglang", "vllm", "vllm", "vllm", "sglang")
    waits = left(engines, "client")._ends(np.full(5, True), "vllm")
    end = (0.1 + 0.1 * (11.2 - 10) / 2.5) * np.sqrt(1 + 1 / 5)
    assert (waits.low, waits.high) == pytest.approx((np.exp(-end), np.exp(end)), abs=1e-4)


def test_a_client_waits_at_least_for_what_is_not_cached_of_its_prompt() -> None:
    """400 tokens of which 100 are in the cache of all, alone on an idle device."""
    one = row("vllm", 2, "client", 16, 400, mixes=True)
    shared = replace(one, question=replace(one.question, workload=Workload(16, 400, 50, 100)))
    for each, prefix in ((one, 0), (shared, 100)):
        alone = replace(
            each.question, phase="prefill", engine="vllm", workload=Workload(1, 400, 50, prefix)
        )
        assert first_bound_s(each) == pytest.approx(answer(alone, TRUTH).bound_s)
    assert first_bound_s(shared) < first_bound_s(one)
