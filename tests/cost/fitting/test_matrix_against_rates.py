"""The matrix of a fit holds the terms that an estimate adds up: both give the same seconds."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest
from kit.made_up import MIXTURE, decoder
from thermoflop.cost.fitting.design_matrix import DesignMatrix
from thermoflop.cost.fitting.regression import HUBER
from thermoflop.cost.fitting.waiting import NOISE, WIDTH
from thermoflop.cost.fitting.waiting import _fit as fit_waiting
from thermoflop.cost.hardware.precision import choose_precision
from thermoflop.cost.inference.steady import UNMEASURED, WAITING
from thermoflop.cost.roofline.formula import PARAMETERS, Efficiency
from thermoflop.cost.roofline.rates import Rates
from thermoflop.cost.training.work import Phase
from thermoflop.cost.work.share import Layout, Share
from thermoflop.cost.work.steps import decode_step, prefill_step
from thermoflop.cost.work.work import Work, launches_of

SHEET: Any = {
    "peak_flops_s": 1e12, "bandwidth_bytes_s": 1e10, "link_bytes_s": 1e9, "core_hz": 1e9,
    "attention_flops_s": 5e11, "network_bytes_s": 1e8,
}  # fmt: skip
SHARE = Share(decoder(**MIXTURE, vocab_size=999).description, Layout(tp=2, dp=2, ep=4, node_size=2),
              choose_precision("bf16"))  # fmt: skip
PROMPT, STEP = SHARE.works(prefill_step(40, 2)), SHARE.works(decode_step(50, 3))
SENT = [work for work in PROMPT if work.kind == "network"]
PARTLY = [(work, 0.25 + 0.5 * number) for number, work in enumerate(SENT[:2])]
WHOLLY = [(work, 1.0) for work in SENT]
COSTS = {"m_half": 5.0, "kernel_gap_s": 1e-6, "step_s": 1e-3, "sequence_s": 1e-4, "q_half": 3.0,
         "collective_s": 1e-5, "weight_bytes_per_core_cycle": 20.0, "launch_overhead_s": 1e-6,
         "prompt_s": 2e-3, "tile_penalty": 0.3}  # fmt: skip


def drawn(seed: int) -> dict[str, float]:
    """Every parameter apart, around usual values."""
    draw = Random(seed)
    return {
        name: COSTS[name] * 10 ** draw.uniform(-0.5, 0.5) if name in COSTS else draw.uniform(0.1, 1)
        for name in PARAMETERS
    }


def matrix() -> DesignMatrix:
    """A run of three prompts, launched one by one, with nine recorded steps of three sequences; and
    an iteration whose sending hides behind computing by a quarter, or three."""
    made, sheet = DesignMatrix(3), Rates(**SHEET, efficiency=Efficiency())
    made.add(0, 3.0, PROMPT, sheet, 8.0)
    made.add(0, 9.0, STEP, sheet, 0.0)
    made.steps[0], made.sequence_steps[0], made.prompts[0] = 12.0, 3 * 2 + 9 * 3, 1.5
    made.add(1, 2.0, PROMPT[:9], sheet, 0.0, PARTLY)
    made.add(2, 0.5, PROMPT[:2], sheet, 0.0, WHOLLY)
    return made.close()


def by_rates(values: dict[str, float]) -> list[float]:
    """The same, as an estimate adds it up."""
    rates = Rates(**SHEET, efficiency=Efficiency(**values))
    launching = values["launch_overhead_s"] * 8 * float(launches_of(PROMPT))
    run = 3 * max(float(rates.device_s(PROMPT)), launching) + 9 * float(rates.device_s(STEP))
    run += 12 * values["step_s"] + 33 * values["sequence_s"] + 1.5 * values["prompt_s"]
    hidden = Phase(2.0, PROMPT[:9], PARTLY).seconds(rates)
    return [run, hidden, Phase(0.5, PROMPT[:2], WHOLLY).seconds(rates)]


@pytest.mark.parametrize("slow_host", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_a_matrix_gives_the_seconds_of_an_estimate_and_their_slopes(
    seed: int, slow_host: bool
) -> None:
    """Slopes by differences, of the logarithm of seconds by that of every parameter."""
    values = drawn(seed)
    if slow_host:
        values["launch_overhead_s"] = 1e-3
    made, logs = matrix(), np.log(np.tile(list(values.values()), (3, 1)))
    seconds, slopes = made.seconds(logs)
    assert seconds == pytest.approx(by_rates(values), rel=1e-9)
    step = 1e-6
    for place, name in enumerate(PARAMETERS):
        moved = logs.copy()
        moved[:, place] += step
        ahead = np.log(made.seconds(moved)[0] / seconds) / step
        assert slopes[:, place] == pytest.approx(ahead, abs=1e-4), name
    picked = made.pick(np.array([2, 0]))
    assert picked.seconds(logs[:2])[0] == pytest.approx(seconds[[2, 0]])


def test_tied_experts_take_the_rates_of_other_matrices_in_every_term() -> None:
    values = drawn(9)
    alike = values | {"expert_matmul": values["matmul"], "expert_weights": values["weights"]}
    tied = matrix().tied().seconds(np.log(np.tile(list(values.values()), (3, 1))))[0]
    assert tied == pytest.approx(by_rates(alike), rel=1e-9)
    assert any(work.rated == "experts" for work in PROMPT)
    assert any(work.uneven for work in PROMPT)
    assert any(work.far_bytes for work in SENT)
    assert isinstance(PROMPT[0], Work)


def test_what_clients_wait_for_is_the_mode_of_its_posterior():
    """Of rows that contradict each other, some far off: nothing near it has a lower cost, squares
    near and lines far from each row, and squares of how far a number leaves what was known."""
    random = np.random.default_rng(4)
    parts = np.array([[1.0, 900.0, 0.05, 0.01, 0.1], [1.0, 7000.0, 0.3, 0.02, 1.0]] * 5)
    parts *= random.lognormal(0.0, 0.5, parts.shape)
    held = np.linspace(0.0, 0.1, len(parts))
    seconds = (parts @ np.array(UNMEASURED) + held) * random.lognormal(0.2, 0.6, len(parts))

    def cost(point: np.ndarray) -> float:
        off = np.abs(np.log(seconds / (parts @ np.exp(point) + held))) / NOISE
        assert (off > HUBER).any()
        assert (off < HUBER).any()
        rows = np.where(off <= HUBER, off**2, 2 * HUBER * off - HUBER**2)
        return float(rows.sum() + (((point - np.log(UNMEASURED)) / WIDTH) ** 2).sum())

    found = fit_waiting(parts, seconds, held)
    mode = np.log([found[name] for name in WAITING])
    for step in 1e-4 * np.eye(len(mode)):
        slope = (cost(mode + step) - cost(mode - step)) / 2e-4
        assert slope == pytest.approx(0, abs=2e-2)


def test_how_wrong_a_wait_is_does_not_matter_beyond_a_point() -> None:
    """Huber (1964): three times too long pulls as far as thirty times, and no further; a tenth too
    long pulls less."""
    parts = np.array([[1.0, 900.0, 0.05, 0.01, 0.1], [1.0, 7000.0, 0.3, 0.02, 1.0]] * 5)
    plain = parts @ np.array(UNMEASURED)

    def moved(factor: float) -> np.ndarray:
        seconds = plain.copy()
        seconds[3] *= factor
        found = fit_waiting(parts, seconds, np.zeros(len(parts)))
        return np.log(
            [found[name] / value for name, value in zip(WAITING, UNMEASURED, strict=True)]
        )

    little, far, farther = (moved(factor) for factor in (1.1, 3.0, 30.0))
    assert farther == pytest.approx(far, abs=1e-3)
    assert 0 < np.abs(little).max() < 0.5 * np.abs(far).max() < 0.5
