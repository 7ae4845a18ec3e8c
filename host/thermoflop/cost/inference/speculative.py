"""Speculative decoding: a small model drafts k tokens, the large one checks them in one step.

With each drafted token accepted with probability a, independently, a check yields
(1 - a^(k+1)) / (1 - a) tokens (Leviathan, Kalman and Matias 2023, eq. 1) and costs k steps of the
draft and one step of the large model on k + 1 tokens for each sequence.
"""

from __future__ import annotations

from os import PathLike
from typing import Any

from thermoflop.base.record import record, replace
from thermoflop.base.units import digits, seconds
from thermoflop.cost.catalogue.cards import pooled, unlike
from thermoflop.cost.catalogue.profiles import Profile
from thermoflop.cost.hardware.device import Device
from thermoflop.cost.inference.arguments import checked_size, validate_arguments
from thermoflop.cost.inference.held_to import check_cards, setting_of
from thermoflop.cost.work.share import check_degrees, choose_layout
from thermoflop.cost.work.steps import decode_step, middle_context
from thermoflop.errors import UsageError
from thermoflop.model.architecture.description import draft_of, without_ahead
from thermoflop.model.load import load_model
from thermoflop.model.model import Model

PADDED = 1.01  # of a vocabulary's size, which makers round up


@record
class Speculation:
    """Speculative decoding in the middle of a generation, made by ``speculate``; scalars.

    Attributes:
        model_name: the large model's name.
        draft_name: the small model's name.
        drafted: tokens that it drafts for one check.
        acceptance: probability that a drafted token is accepted, 0 to 1.
        tokens_per_check: expected tokens of a check: the accepted ones, and one of the large model.
        draft_step_s: expected seconds of a step of the small model.
        check_s: expected seconds of the large model on the drafted tokens.
        plain_step_s: expected seconds of a step of the large model without a draft.
        vocabularies: tokens that the large and the small model choose from; (), the default: not
            known.

    Example:
        >>> import thermoflop as tf
        >>> s = tf.speculate("llama-3-70b", "llama-3-8b", "h200", devices=4, acceptance=0.8)
        >>> s.per_token_s == (4 * s.draft_step_s + s.check_s) / s.tokens_per_check
        True
        >>> s.speed_up == s.plain_step_s / s.per_token_s
        True
    """

    model_name: str
    draft_name: str
    drafted: int
    acceptance: float
    tokens_per_check: float
    draft_step_s: float
    check_s: float
    plain_step_s: float
    vocabularies: tuple[int, ...] = ()

    @property
    def per_token_s(self) -> float:
        """Seconds for each token of a sequence."""
        return (self.drafted * self.draft_step_s + self.check_s) / self.tokens_per_check

    @property
    def speed_up(self) -> float:
        """How many times faster than without a draft; below 1 it is slower."""
        return self.plain_step_s / self.per_token_s

    def __str__(self) -> str:
        return (
            f"drafting {self.drafted} tokens with {self.draft_name}, {self.acceptance:.0%} "
            f"accepted:\n  {seconds(self.per_token_s)} a token instead of "
            f"{seconds(self.plain_step_s)}, {digits(self.speed_up)} times as fast\n"
            f"  {digits(self.tokens_per_check)} tokens a check of {seconds(self.check_s)}, a draft "
            f"step {seconds(self.draft_step_s)}"
            + (f"\n  {said}" if (said := apart(self.vocabularies)) else "")
        )


def apart(vocabularies: tuple[int, ...]) -> str:
    """A sentence where models do not choose from the same tokens: the sizes of one vocabulary
    differ by its padding alone (152,064 and 151,936 of Qwen2.5); else ""."""
    if len(vocabularies) < 2 or max(vocabularies) <= PADDED * min(vocabularies):
        return ""
    large, small = vocabularies
    return (
        f"vocabularies differ ({large:,} and {small:,} tokens): most engines check no drafts of "
        "another"
    )


def vocabularies_of(*models: Model) -> tuple[int, ...]:
    """Tokens that models choose from, of those that have a head."""
    return tuple(each.description.head.outputs for each in models if each.description.head)


def tokens_per_check(acceptance: float, drafted: int) -> float:
    """Expected tokens of a check: the accepted ones and one more. UsageError outside 0 to 1."""
    if not 0 <= acceptance <= 1:
        raise UsageError(f"acceptance={acceptance!r:.40} makes no sense: expected 0 to 1")
    if acceptance == 1:
        return drafted + 1.0
    return float((1 - acceptance ** (drafted + 1)) / (1 - acceptance))


def _halves(model: Model, ahead: bool) -> tuple[Model, Model | None]:
    """The model without its layers that predict further, and one of them where it is to draft."""
    draft = draft_of(model.description) if ahead else None
    if ahead and draft is None:
        has = any(note.startswith("the layers that predict tokens further") for note in model.notes)
        how = ": load it with mtp=True (--mtp)" if has else ", and no draft of its own"
        raise UsageError(f"{model.name} has no layers that predict further{how}")
    large = replace(model, description=without_ahead(model.description))
    if draft is None:
        return large, None
    return large, replace(model, name=f"{model.name}'s mtp", description=draft)


def speculate(
    model: Model | str | PathLike[str] | dict[str, Any],
    draft: Model | str | PathLike[str] | dict[str, Any],
    hardware: str | Device,
    *,
    drafted: int = 4,
    acceptance: float = 0.7,
    batch: int = 1,
    prompt: int | None = None,
    generate: int | None = None,
    dtype: str | None = None,
    devices: int | None = None,
    profile: str | Profile | None = None,
) -> Speculation:
    """What a draft model gains: it drafts tokens, and the large model checks them in one step.

    Sizes are single whole numbers, not arrays. Source: Leviathan, Kalman and Matias 2023, eq. 1,
    each drafted token accepted independently.

    Args:
        model: the large model: a ``Model``, or what ``load_model`` takes.
        draft: the small model, likewise; it runs on one of the devices. ``mtp``: the large model's
            own layer that predicts a token further ahead, on all of its devices.
        hardware: a ``Device``, or what ``find_device`` takes: a name such as ``h100``, or the path
            of a TOML file; or several, as in ``estimate``.
        drafted: tokens drafted for one check, 4 by default.
        acceptance: probability that a drafted token is accepted, 0 to 1; 0.7 by default.
        batch: sequences, 1 by default.
        prompt: tokens of each prompt. None: 1024, or as many as the large model has room for.
        generate: tokens generated after each; steps are those in their middle. None: 128, or what
            there is room for.
        dtype: number format of both models, as in ``estimate``. None: bf16, or fp32 where the
            device does no other.
        devices: devices over which the large model is split: its layers where the profile's engine
            does so, else its heads. None: as many as ``hardware`` names, or one.
        profile: whose efficiency, as in ``estimate``. None: all engines pooled.

    Returns:
        Seconds for a token with and without the draft.

    Raises:
        UsageError: for a value that makes no sense, naming it, or ``mtp`` of a model that has no
            such layer or was not loaded with it.
        InputError: for a device that is not known, or a file that is not what it should be.
        UnknownModel: an InputError, for a model that is not known.

    Example:
        >>> import thermoflop as tf
        >>> s = tf.speculate("llama-3-70b", "llama-3-8b", "h200", devices=4, acceptance=0.5)
        >>> s.tokens_per_check == 1 + 1 / 2 + 1 / 4 + 1 / 8 + 1 / 16
        True
    """
    ahead = draft == "mtp"
    if ahead and not isinstance(model, Model):
        model = load_model(model, mtp=True)
    check_degrees(devices=devices)
    check_cards(profile, unlike(hardware))
    hardware, devices, tp, pp = pooled(hardware, devices, None, 1, profile)
    large, device, workload = validate_arguments(model, hardware, batch, prompt, generate)
    large, own = _halves(large, ahead)
    small, _, _ = validate_arguments(
        own or draft, device, batch, workload.prompt, workload.generate
    )
    checked_size("drafted", drafted, 1)
    big = setting_of(large, device, choose_layout(devices, tp, pp), dtype, None, profile)
    layout = choose_layout(devices if ahead else 1)
    little = setting_of(small, device, layout, dtype, None, profile)
    middle = middle_context(workload.prompt, workload.generate)
    check = big.works(big.check_step(drafted + 1, workload.batch, middle))
    return Speculation(
        large.name, small.name, drafted, acceptance, tokens_per_check(acceptance, drafted),
        float(little.steps_s([(1.0, decode_step(middle, batch))])),
        float(big.rates.step_s(check, batch, recorded=big.rates.graphs)),
        float(big.steps_s([(1.0, decode_step(middle, batch))])),
        vocabularies_of(large, small),
    )  # fmt: skip
