"""One question to the estimator: which time of which run is asked for, and its answer.

What people measured and published is such a question with a measurement beside it, so that
profiles are fitted and validated through the same functions that ``tf.estimate`` calls.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermoflop.base.record import record, replace
from thermoflop.cost.inference.estimate import decoding_s, one, prompt_s, prompt_sums
from thermoflop.cost.inference.setting import Setting
from thermoflop.cost.roofline.bound import bound_step_s
from thermoflop.cost.work.steps import decode_step, generation_steps, middle_context, prefill_step

if TYPE_CHECKING:
    from thermoflop.cost.catalogue.profiles import Profile
    from thermoflop.cost.hardware.device import Device
    from thermoflop.cost.hardware.precision import Precision
    from thermoflop.cost.inference.arguments import Workload
    from thermoflop.cost.roofline.span import Span
    from thermoflop.cost.work.share import Layout
    from thermoflop.cost.work.steps import Weighted
    from thermoflop.model.model import Model


@record
class Question:
    """``phase`` is ``prefill`` (the first token), ``token`` (one decode step) or ``total``.

    ``mixes_prefill``: each decode step carries its share of the prompts of other sequences, as it
    does while a server is full.
    """

    engine: str
    model: Model
    device: Device
    plan: Layout
    precision: Precision
    workload: Workload
    phase: str
    mixes_prefill: bool = False

    def setting(self, profile: Profile) -> Setting:
        """What the answer is made of. UsageError for a layout that does not divide the model."""
        return Setting(
            self.model, self.device, self.plan, self.precision, profile,
            prefix=self.workload.prefix,
        )  # fmt: skip

    def steps(self, setting: Setting) -> Weighted:
        """The steps that the time is made of, a generation's decode steps as the middle one."""
        workload = self.workload
        prompt = setting.prompt_steps(
            workload.prompt - workload.prefix, workload.batch, workload.prefix
        )
        if self.phase == "prefill":
            return prompt
        if self.phase == "total":
            return generation_steps(prompt, workload.prompt, workload.generate, workload.batch)
        decode = decode_step(middle_context(workload.prompt, workload.generate), workload.batch)
        return [(1.0, decode), *self.mixed_steps()]

    def mixed_steps(self) -> Weighted:
        """Prompts that a decode step of a full server carries: once in each sequence's life."""
        workload = self.workload
        if not (self.mixes_prefill and workload.generate and workload.prompt > workload.prefix):
            return []
        prompt = prefill_step(workload.prompt - workload.prefix, 1, workload.prefix)
        return [(workload.batch / workload.generate, prompt)]


def answer(question: Question, profile: Profile) -> Span:
    """Bound, expectation and interval of the time that is asked for."""
    setting, workload = question.setting(profile), question.workload
    if question.phase == "total":
        return one(setting, workload).total
    if question.phase == "prefill":
        return setting.span("prefill", *prompt_s(setting, workload, prompt_sums(setting, workload)))
    middle = middle_context(workload.prompt, workload.generate)
    bound, expected = decoding_s(setting, replace(workload, prompt=middle, prefix=0, generate=2))
    recorded = setting.rates.graphs
    for weight, step in question.mixed_steps():
        least, works = setting.least_works(step), setting.works(step)
        bound = bound + weight * bound_step_s(least, setting.limits, step.batch * step.new)
        expected = expected + weight * setting.rates.step_s(works, step.batch, recorded=recorded)
    return setting.span("token", bound, expected)
