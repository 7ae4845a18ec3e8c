"""The steps behind an estimate as they are shown: the same list that its time is added up from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermoflop.base.record import record
from thermoflop.cost.work.steps import decode_step, middle_context

if TYPE_CHECKING:
    from thermoflop.cost.inference.result import Estimate
    from thermoflop.cost.inference.setting import Setting
    from thermoflop.cost.work.work import Work

# ``media``: the towers on what a prompt brings; ``remainder``: what is left of a prompt after its
# whole chunks.
PHASES = ("media", "prefill", "remainder", "decode")


@record
class Part:
    """One step as it is timed: its operators, the batch of a replica, new and cached tokens.

    The step runs ``factor`` times (chunks of a prompt, overlapped over stages). ``overhead_s`` is
    what one of them costs besides its operators: scheduler, sequences, waiting for launches, and
    the share of what each prompt costs once.
    """

    phase: str
    works: tuple[Work, ...]
    batch: float
    new: float
    cached: float
    factor: float
    label: str
    overhead_s: float

    def operators_s(self, setting: Setting) -> float:
        """Seconds of the operators of the step."""
        return float(setting.rates.device_s(self.works))


def parts_shown(estimate: Estimate) -> dict[str, Part]:
    """The steps behind an estimate: reading the prompt, and the middle decode step if any."""
    batch = estimate.batch / estimate.plan.dp
    parts = {part.phase: part for part in _prompt_parts(estimate, batch)}
    if estimate.generate > 1:
        setting = estimate.setting
        middle = middle_context(estimate.prompt, estimate.generate)
        works = tuple(setting.works(decode_step(middle, batch)))
        waits = 0.0 if setting.rates.graphs else setting.rates.waiting_s(works)
        parts["decode"] = Part(
            "decode", works, batch, 1, middle, 1.0,
            f"one token after {middle:,} cached, the middle step",
            float(setting.rates.overhead_s(batch)) + waits,
        )  # fmt: skip
    return parts


def _prompt_parts(estimate: Estimate, batch: float) -> list[Part]:
    """The steps that read the prompt; the first bears what every prompt costs besides."""
    setting = estimate.setting
    rates, new = setting.rates, estimate.prompt - setting.prefix
    once_s = rates.efficiency.prompt_s
    parts: list[Part] = []
    for weight, step in setting.prompt_steps(new, batch, setting.prefix):
        works = tuple(setting.works(step))
        overhead_s = float(rates.overhead_s(batch)) + rates.waiting_s(works) + once_s / weight
        once_s = 0.0
        read = any(part.new for part in parts)
        phase = "media" if not step.new else "remainder" if read else "prefill"
        label = _label(estimate, step.new)
        parts.append(
            Part(phase, works, batch, step.new, step.cached, float(weight), label, overhead_s)
        )
    return parts


def _label(estimate: Estimate, tokens: int) -> str:
    """What a step of reading the prompt is called."""
    setting = estimate.setting
    new = estimate.prompt - setting.prefix
    if not tokens:
        return "encoding the images and sound of each prompt"
    if tokens == new:
        return "reading the prompt" + (
            f" after {setting.prefix:,} cached" if setting.prefix else ""
        )
    if tokens == setting.chunk:
        return f"reading {tokens} tokens, the middle one of {new // tokens} chunks of the prompt"
    return f"reading the last {tokens} tokens of the prompt"
