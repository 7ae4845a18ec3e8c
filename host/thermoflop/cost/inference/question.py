"""One question to the estimator: which time of which run is asked for, and its answer.

What people measured and published is such a question with a measurement beside it, so that
profiles are fitted and validated through the same functions that ``tf.estimate`` calls.
"""

from __future__ import annotations

from thermoflop.base.number import Number
from thermoflop.base.record import record, replace
from thermoflop.cost.catalogue.profile import Profile
from thermoflop.cost.hardware.device import Device
from thermoflop.cost.hardware.precision import Precision
from thermoflop.cost.inference.arguments import Workload
from thermoflop.cost.inference.estimate import (
    decoding_s,
    decoding_sums,
    one,
    prompt_s,
    read_at_once,
)
from thermoflop.cost.inference.setting import Setting
from thermoflop.cost.inference.steady import AnyStep, InFlight, client_s, steady_s, steady_steps
from thermoflop.cost.roofline.span import Span
from thermoflop.cost.work.share import Layout, Share
from thermoflop.cost.work.steps import decode_step, generation_steps, middle_context
from thermoflop.cost.work.weights import Checkpoint
from thermoflop.model.model import Model

# Many rows ask about the same part of the same model, whose operators are counted once. The model
# is kept with its part, so that no other one gets its identity.
_shares: dict[tuple[int, Layout, Precision], tuple[Model, Share]] = {}


@record
class Question:
    """``phase`` is ``prefill`` (the first token), ``client`` (the first token that a client of a
    full server sees), ``token`` (one decode step) or ``total``.

    ``mixes_prefill``: each decode step carries its share of the prompts of other sequences, as it
    does while a server is full. ``date``: when it was measured, such as ``2026-04``, or empty.
    ``held``: steps for which the server holds a prompt back: see ``steady``.
    ``checkpoint``: the formats of the matrices as published; None: one width for all.
    """

    engine: str
    model: Model
    device: Device
    plan: Layout
    precision: Precision
    workload: Workload
    phase: str
    mixes_prefill: bool = False
    date: str = ""
    held: float = 0.0
    checkpoint: Checkpoint | None = None

    def setting(self, profile: Profile) -> Setting:
        """What the answer is made of. UsageError for a layout that does not divide the model."""
        key = id(self.model), self.plan, self.precision
        known = _shares.get(key)
        setting = Setting(
            self.model, self.device, self.plan, self.precision, profile, self.checkpoint,
            prefix=self.workload.prefix, share=known and known[1],
        )  # fmt: skip
        _shares[key] = self.model, setting.share
        return setting

    def steps(self, setting: Setting) -> list[tuple[Number, AnyStep]]:
        """The steps that the time is made of, a generation's decode steps as the middle one."""
        workload = self.workload
        prompt = setting.prompt_steps(
            workload.prompt - workload.prefix, workload.batch, workload.prefix
        )
        if self.phase == "prefill":
            return [*prompt]
        if self.phase == "total":
            whole = workload.prompt, workload.generate, workload.batch
            return [*generation_steps(prompt, *whole)]
        if self.mixes:
            return steady_steps(setting.profile.engine, self.in_flight)
        return [(1.0, decode_step(self.context, workload.batch))]

    @property
    def context(self) -> Number:
        """Cached tokens of the middle one of the decode steps."""
        return middle_context(self.workload.prompt, self.workload.generate)

    @property
    def mixes(self) -> bool:
        """Whether a step carries prompts of others: see ``steady``."""
        return self.mixes_prefill and self.workload.prompt > self.workload.prefix

    @property
    def in_flight(self) -> InFlight:
        """What a full server has at work."""
        load, new = self.workload, self.workload.prompt - self.workload.prefix
        return InFlight(load.batch, new, load.generate, self.context, load.prefix, self.held)

    def prompts(self, profile: Profile) -> float:
        """Prompts whose own cost the time holds: those that end in a step of a full server."""
        if self.phase != "token":
            return 1.0
        counted = self.mixes and profile.counts_prompts
        return float(self.workload.batch / max(self.workload.generate, 1)) if counted else 0.0


def answer(question: Question, profile: Profile) -> Span:
    """Bound, expectation and interval of the time that is asked for."""
    setting, workload = question.setting(profile), question.workload
    if question.phase == "total":
        return one(setting, workload).total
    if question.phase == "prefill":
        reading = read_at_once(setting, workload)
        return setting.span("prefill", *prompt_s(setting, workload, reading))
    if question.phase == "client":
        return setting.span("client", *client_s(setting, question.in_flight))
    if question.mixes:
        return setting.span("token", *steady_s(setting, question.in_flight))
    workload = replace(workload, prompt=question.context, prefix=0, generate=2)
    _, least = decoding_sums(setting, workload)
    return setting.span("token", *decoding_s(setting, workload, least))
