"""Questions as flat arrays: every operator of every row, so that a fit costs one pass of numpy.

The time of a row is a sum over its terms of ``weight * (max(compute, memory) + launch)``, with the
same formulas as ``thermoflop.cost.rates``. The share of a row's time that depends on a parameter is
also the derivative of its logarithm, so the Jacobian costs nothing more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thermoflop.cost.bound import bound_step_s, limits_of
from thermoflop.cost.engines import attention_peak_of, find_engine, peak_of
from thermoflop.cost.plan import Plan, Share
from thermoflop.cost.rates import fastest_peak
from thermoflop.cost.steps import decode_step, prefill_step
from thermoflop.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from thermoflop.cost.rows import Question
    from thermoflop.cost.training_rows import TrainingQuestion
    from thermoflop.cost.work import Work
    from thermoflop.model.step import Step

    Asked = Question | TrainingQuestion
    Array = npt.NDArray[np.float64]

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
)
# Efficiencies divide a time, the rest multiplies one.
SIGNS = np.array([-1.0] * 6 + [1.0] * 5 + [-1.0])
_COLUMNS = ("matmul", "attention", "weights", "cache", "activations", "link", "pad", "launches",
            "collective", "stream")  # fmt: skip


class Terms:
    """Seconds at the data sheet's rates, one line for each operator of each row."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.bound_s: Array = np.zeros(rows)
        self.steps: Array = np.zeros(rows)
        self.sequence_steps: Array = np.zeros(rows)
        self._lines: list[tuple[float, ...]] = []
        self._owner: list[int] = []
        self.owner: npt.NDArray[np.int64] = np.zeros(0, np.int64)
        self.columns: Array = np.zeros((0, len(_COLUMNS)))

    def add(self, row: int, weight: float, found: Iterable[Work], question: Asked) -> None:
        """The operators of one step, run ``weight`` times."""
        device, precision = question.device, question.precision
        engine = find_engine(question.engine)
        peak = peak_of(engine, device, precision.compute)
        attention_peak = attention_peak_of(engine, device, precision.compute)
        bandwidth, link = device.bandwidth_bytes_s, device.fabric_bytes_s
        for work in found:
            count = weight * work.times
            if work.kind == "network":
                wire = work.activation_bytes / link
                line = (0.0, 0.0, 0.0, 0.0, 0.0, wire, 0.0, 0.0, work.flops, 0.0)
            else:
                computed = work.flops / peak
                plain = work.kind == "contraction"
                moving = work.kind in ("normalization", "element-wise", "gather")
                attending = 0.0 if plain or moving else work.flops / attention_peak
                line = (
                    computed if plain else 0.0,
                    attending,
                    work.weight_bytes / bandwidth,
                    work.kv_bytes / bandwidth,
                    work.activation_bytes / bandwidth,
                    0.0,
                    work.row_flops / peak if plain else 0.0,
                    float(work.launches),
                    0.0,
                    work.weight_bytes / device.core_hz,
                )
            self._lines.append(tuple(count * value for value in line))
            self._owner.append(row)

    def close(self) -> Terms:
        """Turn the lines into arrays."""
        self.columns = np.array(self._lines, dtype=float).reshape(-1, len(_COLUMNS))
        self.owner = np.array(self._owner, dtype=np.int64)
        self._lines, self._owner = [], []
        return self

    def pick(self, rows: npt.NDArray[np.int64]) -> Terms:
        """The terms of some rows alone, renumbered in that order."""
        chosen = Terms(len(rows))
        place = np.full(self.rows, -1)
        place[rows] = np.arange(len(rows))
        keep = place[self.owner] >= 0
        chosen.owner, chosen.columns = place[self.owner[keep]], self.columns[keep]
        chosen.bound_s, chosen.steps = self.bound_s[rows], self.steps[rows]
        chosen.sequence_steps = self.sequence_steps[rows]
        return chosen

    def seconds(self, logs: Array) -> tuple[Array, Array]:
        """Seconds of every row, and how much of them each parameter stands for.

        ``logs`` holds the logarithms of ``PARAMETERS``, one line for each row. Returns times of
        shape (rows,) and d(log time)/d(log parameter) of shape (rows, parameters).
        """
        value = np.exp(logs)[self.owner]
        c = self.columns
        padded = c[:, 6] * value[:, 6] / value[:, 0]
        parts = [
            c[:, 0] / value[:, 0] + padded, c[:, 1] / value[:, 1], c[:, 2] / value[:, 2],
            c[:, 3] / value[:, 3], c[:, 4] / value[:, 4], c[:, 5] / value[:, 5], padded,
            c[:, 9] / value[:, 11],
        ]  # fmt: skip
        computing = parts[0] + parts[1]
        moving = parts[2] + parts[3] + parts[4] + parts[7]
        bound_by_compute = computing > moving
        for index in (0, 1, 6):
            parts[index] = np.where(bound_by_compute, parts[index], 0.0)
        for index in (2, 3, 4, 7):
            parts[index] = np.where(bound_by_compute, 0.0, parts[index])
        parts += [c[:, 7] * value[:, 7], c[:, 8] * value[:, 10]]
        summed = [np.bincount(self.owner, part, self.rows) for part in parts]
        own = np.exp(logs)
        shares = np.empty((self.rows, len(PARAMETERS)))
        shares[:, :7] = np.stack(summed[:7], axis=1)
        shares[:, 11], shares[:, 7] = summed[7], summed[8]
        shares[:, 8] = self.steps * own[:, 8]
        shares[:, 9] = self.sequence_steps * own[:, 9]
        shares[:, 10] = summed[9]
        total = shares.sum(axis=1) - shares[:, 6]
        return total, SIGNS * shares / np.maximum(total, 1e-12)[:, None]


def terms_of(questions: list[Question]) -> Terms:
    """All terms of all rows."""
    terms = Terms(len(questions))
    for row, question in enumerate(questions):
        share, alike = _share(question)
        peak = fastest_peak(question.device, question.precision)
        limits = limits_of(question.device, peak, question.pp)
        for weight, step in _steps(question):
            found = share.works(step)
            terms.add(row, weight, found, question)
            terms.steps[row] += weight
            terms.sequence_steps[row] += weight * step.batch
            bound = bound_step_s(found, limits, step.batch * step.new)
            terms.bound_s[row] += weight * max(0.0, bound) / alike
    return terms.close()


def training_terms_of(questions: list[TrainingQuestion]) -> Terms:
    """The terms of training iterations; every operator is launched."""
    from thermoflop.cost.training_terms import bound_training_s, trained

    terms = Terms(len(questions))
    for row, question in enumerate(questions):
        for weight, found in trained(question):
            terms.add(row, weight, found, question)
        terms.steps[row] = 1.0
        terms.sequence_steps[row] = question.global_batch / question.plan.dp
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
