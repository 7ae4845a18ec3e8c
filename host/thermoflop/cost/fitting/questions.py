"""Published rows as lines of the design matrix: the steps that each of them timed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thermoflop.base.record import replace
from thermoflop.cost.engines.engine import attention_peak_of, find_engine, peak_of
from thermoflop.cost.engines.overheads import apply_engine
from thermoflop.cost.fitting.terms import DesignMatrix, Speeds
from thermoflop.cost.roofline.bound import bound_step_s, limits_of
from thermoflop.cost.roofline.rates import fastest_peak
from thermoflop.cost.work.share import Layout, Share
from thermoflop.cost.work.steps import decode_step, prefill_step
from thermoflop.errors import UsageError

if TYPE_CHECKING:
    from typing import TypeAlias

    import numpy.typing as npt

    from thermoflop.cost.published.names import Question
    from thermoflop.cost.training.iteration import TrainingQuestion
    from thermoflop.model.operators.step import Step

    Asked: TypeAlias = Question | TrainingQuestion
    Array = npt.NDArray[np.float64]
    Indices = npt.NDArray[np.int64]


def speeds_of(question: Asked) -> Speeds:
    device, compute = question.device, question.precision.compute
    engine = find_engine(question.engine)
    return Speeds(
        peak_of(engine, device, compute),
        attention_peak_of(engine, device, compute),
        device.bandwidth_bytes_s,
        device.fabric_bytes_s,
        device.core_hz,
    )


def terms_of(questions: list[Question]) -> DesignMatrix:
    """All terms of all rows."""
    terms = DesignMatrix(len(questions))
    for row, question in enumerate(questions):
        share, alike = _share(question)
        peak = fastest_peak(question.device, question.precision)
        limits = limits_of(question.device, peak, question.pp)
        engine, precision = find_engine(question.engine), question.precision
        terms.prompts[row] = 0.0 if question.phase == "token" else 1.0
        for weight, step in _steps(question):
            found = share.works(step)
            kernels = "eager" if engine.unfused else "fused"
            run = apply_engine(share.works(replace(step, kernels=kernels)), engine, precision)
            recorded = engine.graphs and (step.encode is False or question.mixes_prefill)
            terms.add(row, weight, run, speeds_of(question), 0.0 if recorded else engine.host)
            terms.steps[row] += weight
            terms.sequence_steps[row] += weight * step.batch
            bound = bound_step_s(found, limits, step.batch * step.new)
            terms.bound_s[row] += weight * max(0.0, bound) / alike
    return terms.close()


def training_terms_of(questions: list[TrainingQuestion]) -> DesignMatrix:
    """The terms of training iterations; their kernels are long, so the host never lags behind."""
    from thermoflop.cost.training.work import bound_training_s, trained

    terms = DesignMatrix(len(questions))
    for row, question in enumerate(questions):
        for weight, found in trained(question):
            terms.add(row, weight, found, speeds_of(question), host=0.0)
        terms.steps[row] = 1.0
        terms.bound_s[row] = bound_training_s(question)
    return terms.close()


def _share(question: Question) -> tuple[Share, int]:
    """A device's share, and by how much the bound of an uneven split is still to be divided."""
    whole = question.model.description
    plan = Layout(question.tp, question.pp, ep=question.ep)
    try:
        return Share(whole, plan, question.precision), 1
    except UsageError:
        return Share(whole, Layout(), question.precision), question.devices


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
