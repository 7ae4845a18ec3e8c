"""Published rows as lines of the design matrix: the steps that each of them timed."""

from __future__ import annotations

from collections.abc import Sequence

from thermoflop.base.record import replace
from thermoflop.cost.catalogue.profiles import find_profile
from thermoflop.cost.catalogue.trainers import trainer_name
from thermoflop.cost.engines.engine import find_engine
from thermoflop.cost.engines.generation import profile_name
from thermoflop.cost.fitting.design_matrix import DesignMatrix
from thermoflop.cost.inference.question import Question, answer
from thermoflop.cost.published.row import Row
from thermoflop.cost.roofline.formula import Efficiency
from thermoflop.cost.roofline.rates import rates_of
from thermoflop.cost.training.iteration import Iteration
from thermoflop.cost.training.power import at_power
from thermoflop.cost.training.work import bound_training_s, trained


def asked(row: Row) -> Question:
    """The question of a row of inference."""
    if not isinstance(row.question, Question):
        raise TypeError(f"{row.row_id} is no row of inference")
    return row.question


def engine_name(question: Question | Iteration) -> str:
    """The profile that speaks for a question; an unknown engine is called by its label. A trainer
    runs models of an unusual kind at rates of their own."""
    if not isinstance(question, Question):
        return trainer_name(question.engine, question.kind)
    return profile_name(question.engine, question.date)


def matrix_of(rows: Sequence[Row]) -> DesignMatrix:
    """The steps of all rows, operator by operator, and the bound of each."""
    matrix = DesignMatrix(len(rows))
    for number, row in enumerate(rows):
        if isinstance(row.question, Question):
            _add_run(matrix, number, row.question)
        else:
            _add_iteration(matrix, number, row.question)
    return matrix.close()


def _add_run(matrix: DesignMatrix, number: int, question: Question) -> None:
    """The same steps as ``question.answer`` adds up, as the engine runs them."""
    label = f"{question.engine} {question.date}"
    profile = replace(find_profile(None), name=engine_name(question), asked=label)
    setting, engine = question.setting(profile), profile.engine
    matrix.bound_s[number] = answer(question, profile).bound_s
    matrix.prompts[number] = question.prompts(profile)
    for weight, step in question.steps(setting):
        recorded = setting.records(step) and (step.encode is False or question.phase == "token")
        matrix.add(
            number, weight, setting.works(step), setting.rates, 0.0 if recorded else engine.host
        )
        matrix.steps[number] += weight
        matrix.sequence_steps[number] += weight * step.batch


def _add_iteration(matrix: DesignMatrix, number: int, iteration: Iteration) -> None:
    """An iteration; its kernels are long, so the host never lags behind."""
    engine = find_engine(iteration.engine)
    devices = iteration.plan.devices
    device = at_power(iteration.device)
    rates = rates_of(device, iteration.precision, Efficiency(), engine, devices=devices)
    for phase in trained(iteration):
        matrix.add(number, phase.weight, phase.works, rates, 0.0, phase.behind)
    matrix.steps[number] = 1.0
    matrix.bound_s[number] = bound_training_s(iteration)
