"""Questions as flat arrays: every operator of every row, so that a fit costs one pass of numpy.

The time of a row is a sum over its steps of the larger of what the host takes to launch them and of
``max(compute, memory) + gap`` over their operators, with the same formulas as
``thermoflop.cost.roofline.rates``. The share of a row's time that depends on a parameter is also the
derivative of its logarithm, so the Jacobian costs nothing more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thermoflop.cost.roofline.bound import bound_step_s, limits_of
from thermoflop.cost.engines.engine import attention_peak_of, find_engine, peak_of
from thermoflop.cost.engines.overheads import as_run
from thermoflop.cost.work.share import Plan, Share
from thermoflop.cost.roofline.rates import MOVING, fastest_peak
from thermoflop.cost.work.steps import decode_step, prefill_step
from thermoflop.errors import UsageError
from thermoflop.base.record import record, replace

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TypeAlias

    import numpy.typing as npt

    from thermoflop.cost.published.names import Question
    from thermoflop.cost.published.training import TrainingQuestion
    from thermoflop.cost.work.work import Work
    from thermoflop.model.operators.step import Step

    Asked: TypeAlias = Question | TrainingQuestion
    Array = npt.NDArray[np.float64]
    Indices = npt.NDArray[np.int64]

PARAMETERS = (
    "matmul",
    "attention",
    "weights",
    "cache",
    "activations",
    "link",
    "pad_rows",
    "launch_s",
    "step_s",
    "sequence_s",
    "collective_s",
    "stream",
    "host_s",
    "prompt_s",
    "pad_queries",
    "uneven",
)
_AT = {name: place for place, name in enumerate(PARAMETERS)}
# Efficiencies divide a time, the rest multiplies one.
SIGNS = np.array([-1.0] * 6 + [1.0] * 5 + [-1.0] + [1.0] * 4)
# What an operator adds to, each by one parameter; padding is divided by an efficiency as well.
_COMPUTING = ("matmul", "pad_rows", "attention", "pad_queries", "uneven")
_MOVING = ("weights", "cache", "activations", "link", "stream")
_GAPS = ("launch_s", "collective_s")
_COLUMNS = _COMPUTING + _MOVING + _GAPS
_PLACES = [_AT[name] for name in _COLUMNS]
_DIVIDING = np.array([SIGNS[place] < 0 for place in _PLACES])


class Terms:
    """Seconds at the data sheet's rates, one line for each operator of each step of each row.

    ``owner`` is the step of a line, ``step_row`` the row of a step, ``hosted`` how many
    launches the host pays for in it.
    """

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.bound_s: Array = np.zeros(rows)
        self.steps: Array = np.zeros(rows)
        self.sequence_steps: Array = np.zeros(rows)
        self.prompts: Array = np.zeros(rows)
        self._lines: list[tuple[float, ...]] = []
        self._owner: list[int] = []
        self._step_row: list[int] = []
        self._hosted: list[float] = []
        self.owner: Indices = np.zeros(0, np.int64)
        self.step_row: Indices = np.zeros(0, np.int64)
        self.hosted: Array = np.zeros(0)
        self.columns: Array = np.zeros((0, len(_COLUMNS)))

    def add(
        self, row: int, weight: float, found: Iterable[Work], question: Asked, host: float
    ) -> None:
        """The operators of one step, run ``weight`` times; ``host``: launches that each costs."""
        step, launched = len(self._step_row), 0.0
        speeds = _speeds(question)
        for work in found:
            count = weight * work.times
            self._lines.append(tuple(count * value for value in _line(work, speeds)))
            self._owner.append(step)
            launched += count * work.launches
        self._step_row.append(row)
        self._hosted.append(launched * host)

    def close(self) -> Terms:
        """Turn the lines into arrays."""
        self.columns = np.array(self._lines, dtype=float).reshape(-1, len(_COLUMNS))
        self.owner = np.array(self._owner, dtype=np.int64)
        self.step_row = np.array(self._step_row, dtype=np.int64)
        self.hosted = np.array(self._hosted)
        self._lines, self._owner, self._step_row, self._hosted = [], [], [], []
        return self

    def pick(self, rows: Indices) -> Terms:
        """The terms of some rows alone, renumbered in that order."""
        chosen = Terms(len(rows))
        place = np.full(self.rows, -1)
        place[rows] = np.arange(len(rows))
        steps = np.flatnonzero(place[self.step_row] >= 0)
        number = np.full(len(self.step_row), -1)
        number[steps] = np.arange(len(steps))
        keep = number[self.owner] >= 0
        chosen.owner, chosen.columns = number[self.owner[keep]], self.columns[keep]
        chosen.step_row, chosen.hosted = place[self.step_row[steps]], self.hosted[steps]
        chosen.bound_s, chosen.steps = self.bound_s[rows], self.steps[rows]
        chosen.sequence_steps, chosen.prompts = self.sequence_steps[rows], self.prompts[rows]
        return chosen

    def seconds(self, logs: Array) -> tuple[Array, Array]:
        """Seconds of every row, and how much of them each parameter stands for.

        ``logs`` holds the logarithms of ``PARAMETERS``, one line for each row. Returns times of
        shape (rows,) and d(log time)/d(log parameter) of shape (rows, parameters).
        """
        own = np.exp(logs)
        factors = own[:, _PLACES]
        factors = np.where(_DIVIDING, 1 / factors, factors)
        factors[:, [1, 4]] /= own[:, [_AT["matmul"]]]
        factors[:, 3] /= own[:, _AT["attention"]]
        parts = self.columns * factors[self.step_row][self.owner]
        computing, moving = parts[:, :5].sum(axis=1), parts[:, 5:10].sum(axis=1)
        faster = computing > moving
        parts[:, :5] *= faster[:, None]
        parts[:, 5:10] *= ~faster[:, None]
        steps = len(self.step_row)
        by_step = np.stack([np.bincount(self.owner, part, steps) for part in parts.T], axis=1)
        host = self.hosted * own[self.step_row, _AT["host_s"]]
        waits = host > by_step.sum(axis=1)
        by_step[waits] = 0.0
        by_row = [np.bincount(self.step_row, part, self.rows) for part in by_step.T]
        shares = np.zeros((self.rows, len(PARAMETERS)))
        for place, summed in zip(_PLACES, by_row, strict=True):
            shares[:, place] = summed
        shares[:, _AT["host_s"]] = np.bincount(self.step_row, host * waits, self.rows)
        counted = (("step_s", self.steps), ("sequence_s", self.sequence_steps),
                   ("prompt_s", self.prompts))  # fmt: skip
        for name, count in counted:
            shares[:, _AT[name]] = count * own[:, _AT[name]]
        total = shares.sum(axis=1)
        # Padding is computed at the rate of what it pads: both parameters move it.
        shares[:, _AT["matmul"]] += shares[:, _AT["pad_rows"]] + shares[:, _AT["uneven"]]
        shares[:, _AT["attention"]] += shares[:, _AT["pad_queries"]]
        return total, SIGNS * shares / np.maximum(total, 1e-12)[:, None]


@record
class _Speeds:
    """The data sheet's rates that a question's operators are held against."""

    peak: float
    attention: float
    bandwidth: float
    link: float
    core_hz: float


def _speeds(question: Asked) -> _Speeds:
    device, compute = question.device, question.precision.compute
    engine = find_engine(question.engine)
    return _Speeds(
        peak_of(engine, device, compute),
        attention_peak_of(engine, device, compute),
        device.bandwidth_bytes_s,
        device.fabric_bytes_s,
        device.core_hz,
    )


def _line(work: Work, speeds: _Speeds) -> tuple[float, ...]:
    """What one occurrence adds to ``_COLUMNS``."""
    if work.kind == "network":
        wire = work.activation_bytes / speeds.link
        return (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, wire, 0.0, 0.0, float(work.flops))
    plain = work.kind == "contraction"
    still = work.kind in MOVING
    return (
        work.flops / speeds.peak if plain else 0.0,
        work.row_flops / speeds.peak if plain else 0.0,
        0.0 if plain or still else work.flops / speeds.attention,
        0.0 if plain or still else work.row_flops / speeds.attention,
        work.uneven * work.flops / speeds.peak if plain else 0.0,
        work.weight_bytes / speeds.bandwidth,
        work.kv_bytes / speeds.bandwidth,
        work.activation_bytes / speeds.bandwidth,
        0.0,
        work.weight_bytes / speeds.core_hz,
        float(work.launches),
        0.0,
    )


def terms_of(questions: list[Question]) -> Terms:
    """All terms of all rows."""
    terms = Terms(len(questions))
    for row, question in enumerate(questions):
        share, alike = _share(question)
        peak = fastest_peak(question.device, question.precision)
        limits = limits_of(question.device, peak, question.pp)
        engine, precision = find_engine(question.engine), question.precision
        terms.prompts[row] = 0.0 if question.phase == "token" else 1.0
        for weight, step in _steps(question):
            found = share.works(step)
            kernels = "eager" if engine.unfused else "fused"
            run = as_run(share.works(replace(step, kernels=kernels)), engine, precision)
            recorded = engine.graphs and (step.encode is False or question.mixes_prefill)
            terms.add(row, weight, run, question, 0.0 if recorded else engine.host)
            terms.steps[row] += weight
            terms.sequence_steps[row] += weight * step.batch
            bound = bound_step_s(found, limits, step.batch * step.new)
            terms.bound_s[row] += weight * max(0.0, bound) / alike
    return terms.close()


def training_terms_of(questions: list[TrainingQuestion]) -> Terms:
    """The terms of training iterations; their kernels are long, so the host never lags behind."""
    from thermoflop.cost.training.work import bound_training_s, trained

    terms = Terms(len(questions))
    for row, question in enumerate(questions):
        for weight, found in trained(question):
            terms.add(row, weight, found, question, host=0.0)
        terms.steps[row] = 1.0
        terms.bound_s[row] = bound_training_s(question)
    return terms.close()


def _share(question: Question) -> tuple[Share, int]:
    """A device's share, and by how much the bound of an uneven split is still to be divided."""
    whole = question.model.description
    plan = Plan(question.tp, question.pp, ep=question.ep)
    try:
        return Share(whole, plan, question.precision), 1
    except UsageError:
        return Share(whole, Plan(), question.precision), question.devices


def _steps(question: Question) -> list[tuple[float, Step]]:
    """The steps of a question and how often they run; the middle stands for a generation."""
    batch, prompt, generate = question.batch, question.prompt, question.generate
    if question.phase == "prefill" or question.model.is_encoder:
        return _prefills(question, prompt, batch)
    decode = decode_step(question.cached + prompt + max(0.0, (generate - 1) / 2), batch)
    if question.phase == "total":
        return [*_prefills(question, prompt, batch), (float(max(0, generate - 1)), decode)]
    if question.mixes_prefill and prompt and generate:
        return [(1.0, decode), (batch / generate, prefill_step(prompt, 1))]
    return [(1.0, decode)]


def _prefills(question: Question, prompt: int, batch: float) -> list[tuple[float, Step]]:
    """Reading the prompt: at once, or in chunks that pipeline over the stages of the model.

    ``n`` chunks over ``p`` stages take (n + p - 1)/(n p) of the time of one after the other.
    """
    if not prompt:
        return []
    chunk = question.chunk
    if chunk is None or prompt <= chunk:
        logits = "none" if question.model.is_encoder else "last"
        return [(1.0, prefill_step(prompt, batch, question.cached, logits))]
    count = -(-prompt // chunk)
    overlap = (count + question.pp - 1) / (count * question.pp)
    middle = question.cached + (prompt - chunk) / 2
    return [(overlap * prompt / chunk, prefill_step(chunk, batch, middle))]
