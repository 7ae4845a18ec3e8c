"""Speculative decoding: a small model drafts k tokens, the large one checks them in one step.

With each drafted token accepted with probability a, independently, a check yields
(1 - a^(k+1)) / (1 - a) tokens (Leviathan, Kalman and Matias 2023, eq. 1) and costs k steps of the
draft and one step of the large model on k + 1 tokens for each sequence.

Engines log the tokens of a check ("Mean acceptance length" of vLLM, "accept len" of SGLang), or the
share of all that was drafted which was accepted ("draft acceptance rate" of llama.cpp): one less,
over k. That share is below a, since nothing after the first refusal counts.
"""

from __future__ import annotations

from copy import copy
from os import PathLike
from typing import Any

from thermoflop.base.plain import checked_within
from thermoflop.base.record import record, replace
from thermoflop.base.units import digits, gigabytes, seconds
from thermoflop.cost.catalogue.profile import Profile
from thermoflop.cost.hardware.device import Device
from thermoflop.cost.inference.arguments import as_model, checked_whole, validate_arguments
from thermoflop.cost.inference.estimate import estimate
from thermoflop.cost.inference.held_to import setting_of
from thermoflop.cost.inference.result import Estimate
from thermoflop.cost.inference.setting import Setting
from thermoflop.cost.memory import beside_bytes, memory_of
from thermoflop.cost.work.shard import shard
from thermoflop.cost.work.share import Layout, Share
from thermoflop.cost.work.steps import decode_step, middle_context
from thermoflop.cost.work.weights import layers_of
from thermoflop.errors import UsageError
from thermoflop.model.architecture.description import Description, draft_of, without_ahead
from thermoflop.model.architecture.parts import StatesMap, Table
from thermoflop.model.load import load_model
from thermoflop.model.model import Model
from thermoflop.model.operators.step import Step

DRAFTED = 4  # tokens for one check, where nothing is said
PADDED = 1.01  # of a vocabulary's size, which makers round up
NGRAM = "ngram"  # what drafts by looking up what stood in the text before: nothing is read
LOOKED_UP = "n-grams of the text"
MTP = "'s mtp"  # after the name of a model whose own layer drafts


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
        spread: factors within which a token's time lies in 80 % of runs; (1.0, 1.0), the default:
            not known.
        draft_bytes: weights and cache of the small model on a device; (0.0, 0.0), the default:
            none of its own, or not counted.
        again_s: expected seconds of the small model on all tokens of a check, where the engine runs
            them through it as well (llama.cpp); 0.0, the default: it does not.

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
    spread: tuple[float, float] = (1.0, 1.0)
    draft_bytes: tuple[float, float] = (0.0, 0.0)
    again_s: float = 0.0

    @property
    def per_token_s(self) -> float:
        """Seconds for each token of a sequence."""
        drafts_s = self.drafted * self.draft_step_s + self.again_s
        return (drafts_s + self.check_s) / self.tokens_per_check

    @property
    def speed_up(self) -> float:
        """How many times faster than without a draft; below 1 it is slower."""
        return self.plain_step_s / self.per_token_s

    @property
    def interval_s(self) -> tuple[float, float]:
        """80 % interval of the seconds for each token, wider than that of a plain one: no fitted
        run drafts."""
        return self.per_token_s * self.spread[0], self.per_token_s * self.spread[1]

    def __str__(self) -> str:
        low, high = map(seconds, self.interval_s)
        between = f"\n  80 % interval {low} .. {high} a token, if as many are accepted"
        between += "; no fitted run drafts: widened"
        known = self.spread != (1.0, 1.0)
        held = "\n  of a device the draft takes {} of weights and {} of cache".format(
            *map(gigabytes, self.draft_bytes)
        )
        return (
            f"drafting {self.drafted} token{'s' * (self.drafted > 1)} with {self.draft_name} at an "
            f"acceptance of {self.acceptance:.0%}:\n"
            f"  {seconds(self.per_token_s)} a token instead of {seconds(self.plain_step_s)}, "
            f"{digits(self.speed_up)} times as fast"
            f"{between * known}\n"
            f"  {digits(self.tokens_per_check)} tokens a check of {seconds(self.check_s)}"
            + f", a draft step {seconds(self.draft_step_s)}" * bool(self.draft_step_s)
            + f", and {seconds(self.again_s)} to read what was checked" * bool(self.again_s)
            + held * any(self.draft_bytes)
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
    """Tokens that models choose from, of those that have a head; () where one is made for the
    other's states, and knows which of its tokens it chooses from."""
    if any(map(_map_of_states, models)):
        return ()
    return tuple(each.description.head.outputs for each in models if each.description.head)


def _map_of_states(draft: Model) -> StatesMap | None:
    """What maps the states of the model that a head drafts for; None for a model of its own."""
    parts = (placed.part for placed in draft.description.stacks[0].front)
    return next((part for part in parts if isinstance(part, StatesMap)), None)


def check_draft(large: Model, small: Model) -> None:
    """UsageError for a head that was made for states of another width (EAGLE-3's ``fc``)."""
    states = _map_of_states(small)
    if states is None:
        return
    if states.block:
        raise UsageError(f"{small.name} drafts a block in one step, whose time is not described")
    read = states.inputs // states.states
    wide = [stack.hidden for stack in large.description.stacks if stack.role == "decoder"]
    if read not in wide:
        own = " and ".join(f"{each:,}" for each in wide) or "none"
        raise UsageError(
            f"{small.name} drafts for a model whose states are {read:,} wide, and those "
            f"of {large.name} are {own}"
        )


def tokens_per_check(acceptance: float, drafted: int) -> float:
    """Expected tokens of a check: the accepted ones and one more. UsageError outside 0 to 1."""
    if acceptance is None:
        raise UsageError("acceptance=None makes no sense: expected 0 to 1")
    checked_within("acceptance", acceptance, 0, 1, "0 to 1")
    if acceptance == 1:
        return drafted + 1.0
    return float((1 - acceptance ** (drafted + 1)) / (1 - acceptance))


def acceptance_of(tokens: float, drafted: int) -> float:
    """The acceptance at which a check yields so many tokens on average, ``tokens_per_check`` turned
    round. UsageError for fewer than one or more than were drafted and one."""
    most = drafted + 1
    checked_within("tokens_per_check", tokens, 1, most, f"1 to {most}, the drafted and one")
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        below = tokens_per_check(middle, drafted) < tokens
        low, high = (middle, high) if below else (low, middle)
    return high if tokens > 1 else 0.0


def halves(model: Model) -> tuple[Model, Model]:
    """The model without its layers that predict further, and one of them, which drafts for it.
    UsageError where it has none, or was not loaded with them."""
    draft = draft_of(model.description)
    if draft is None:
        has = any(note.startswith("the layers that predict tokens further") for note in model.notes)
        how = ": load it with mtp=True (--mtp)" if has else ", and no draft of its own"
        raise UsageError(f"{model.name} has no layers that predict further{how}")
    return _without_ahead(model), replace(model, name=model.name + MTP, description=draft)


def is_own(draft: object) -> bool:
    """Whether a draft is the model's own layer, as ``halves`` and ``drafting_of`` name it."""
    return isinstance(draft, Model) and draft.name.endswith(MTP)


def _without_ahead(model: Model) -> Model:
    return replace(model, description=without_ahead(model.description))


def own_share(drafting: Setting) -> Share:
    """What a device holds of a model's own layer that drafts: its table and its head are the
    model's."""
    (stack,) = drafting.model.description.stacks
    front = tuple(placed for placed in stack.front if not isinstance(placed.part, Table))
    alone = replace(drafting.model.description, stacks=(replace(stack, front=front),), head=None)
    return Share(alone, drafting.plan, drafting.precision, drafting.share.checkpoint)


def speculate(
    model: Model | str | PathLike[str] | dict[str, Any],
    draft: Model | str | PathLike[str] | dict[str, Any],
    hardware: str | Device,
    *,
    drafted: int = 4,
    acceptance: float = 0.7,
    batch: int | None = None,
    prompt: int | None = None,
    generate: int | None = None,
    dtype: str | None = None,
    devices: int | None = None,
    profile: str | Profile | None = None,
    tp: int | None = None,
    pp: int = 1,
    dp: int = 1,
    ep: int = 1,
    cp: int = 1,
    kv_dtype: str | None = None,
) -> Speculation:
    """What a draft model gains: it drafts tokens, and the large model checks them in one step.

    Sizes are single whole numbers, not arrays. Source: Leviathan, Kalman and Matias 2023, eq. 1,
    each drafted token accepted independently.

    Args:
        model: the large model: a ``Model``, or what ``load_model`` takes.
        draft: the small model, likewise; it is split over the devices as the large one is, as
            servers do it, or runs on one where its heads do not divide. It may be an EAGLE-3 head
            (its config.json). ``mtp``: the large model's own layer that predicts a token further
            ahead. ``ngram``: a lookup in the text before, which costs nothing here.
        hardware: a ``Device``, or what ``find_device`` takes: a name such as ``h100``, or the path
            of a TOML file; or several, as in ``estimate``.
        drafted: tokens drafted for one check, 4 by default.
        acceptance: probability that a drafted token is accepted where those before it are, 0 to 1;
            0.7 by default.
        batch: sequences in all replicas. None: one in each.
        prompt: tokens of each prompt. None: 1024, or as many as the large model has room for.
        generate: tokens generated after each; steps are those in their middle. None: 128, or what
            there is room for.
        dtype: number format of both models, as in ``estimate``. None: bf16, or fp32 where the
            device does no other.
        devices: devices over which the large model is split: its layers where the profile's engine
            does so, else its heads. None: as many as ``hardware`` names, or the degrees' product.
        profile: whose efficiency, as in ``estimate``. None: all engines pooled.
        tp: tensor-parallel degree, as in ``estimate``. None: what ``devices`` leaves over.
        pp: pipeline stages, 1 by default.
        dp: data-parallel replicas, 1 by default, which share the batch.
        ep: expert-parallel degree, 1 by default: devices of a stage over which experts are spread.
        cp: context-parallel degree, 1 by default.
        kv_dtype: number format of both caches. None: as published, else as the activations.

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
    if draft == "mtp":
        loaded = model if isinstance(model, Model) else load_model(model, mtp=True)
        model, draft = halves(loaded)
    for name, size in {"batch": batch, "prompt": prompt, "generate": generate}.items():
        if getattr(size, "ndim", 0):
            checked_whole(name, size, 1)
    run = estimate(
        model, hardware, devices=devices, tp=tp, pp=pp, dp=dp, ep=ep, cp=cp, batch=batch,
        prompt=prompt, generate=generate, dtype=dtype, kv_dtype=kv_dtype, profile=profile,
    )  # fmt: skip
    return drafted_run(run, draft, drafted, acceptance, dtype, kv_dtype)[0]


def drafted_run(
    run: Estimate, draft: Model | str | PathLike[str] | dict[str, Any], drafted: int,
    acceptance: float, dtype: str | None = None, kv_dtype: str | None = None,
) -> tuple[Speculation, Estimate]:  # fmt: skip
    """What a draft gains in a run, whose formats were asked for so, and the run with the draft's
    weights and cache in its memory. Of cards that are not alike these are not counted."""
    drafted = checked_whole("drafted", drafted, 1)
    expected = tokens_per_check(acceptance, drafted)
    plain, plan = run.setting, run.plan
    large, own = _without_ahead(plain.model), is_own(draft)
    big = plain
    if large.description != plain.model.description:
        big = setting_of(
            large, plain.device, plan, dtype, kv_dtype, plain.asked, prefix=plain.prefix,
            chunk=plain.chunk, media=plain.media, cards=plain.cards,
        )  # fmt: skip
    little = None
    if draft != NGRAM:
        # a draft has the context of its model, whatever its file says (eagle_worker.py of SGLang)
        small = replace(as_model(draft), max_positions=large.max_positions)
        small, _, _ = validate_arguments(small, plain.device, run.batch, run.prompt, run.generate)
        check_draft(large, small)
        layout = plan_of_draft(plan, small.description, whole=own)
        little = setting_of(small, plain.device, layout, dtype, kv_dtype, plain.asked)
    middle = middle_context(run.prompt, run.generate)
    step = decode_step(middle, run.batch / plan.dp)
    check = big.check_step(drafted + 1, step.batch, middle)
    is_table = big is plain and run.generate > 1
    spread = big.spread("token").wider(("drafts",))
    with_draft = run if little is None or plain.cards else _holding(run, little)
    held = beside_bytes(with_draft.setting.share, run.prompt + run.generate, step.batch)
    mirrors = plain.engine.mirrors and not own
    return Speculation(
        large.name, LOOKED_UP if little is None else little.model.name,
        drafted, acceptance, expected,
        0.0 if little is None else float(little.steps_s([(1.0, step)])),
        _checked_s(big, check),
        float(run.per_token.expected_s if is_table else big.steps_s([(1.0, step)])),
        () if little is None else vocabularies_of(large, little.model),
        (float(spread.low), float(spread.high)), (float(held[0]), float(held[1])),
        _checked_s(little, replace(check, logits="last")) if little and mirrors else 0.0,
    ), with_draft  # fmt: skip


def _checked_s(setting: Setting, step: Step) -> float:
    """Seconds of a model on the tokens of a check."""
    rates = setting.rates
    return float(rates.step_s(setting.works(step), step.batch, recorded=rates.graphs))


def plan_of_draft(plan: Layout, description: Description, *, whole: bool = False) -> Layout:
    """How a draft is spread beside its model: vLLM, SGLang and TensorRT-LLM split its heads as
    often, llama.cpp its layers; on one device where that does not go. A ``whole`` layer of the
    model's own has all of its degrees but stages."""
    if whole:
        return replace(plan, pp=1)
    pp = plan.pp if plan.pp <= layers_of(description) else 1
    try:
        shard(description, plan.tp, 1)
    except UsageError:
        return Layout(pp=pp, node_size=plan.node_size)
    return Layout(plan.tp, pp, node_size=plan.node_size)


def _holding(run: Estimate, little: Setting) -> Estimate:
    """The run with a draft in the memory of its devices."""
    setting = copy(run.setting)
    setting.share = setting.share.with_beside(
        own_share(little) if is_own(little.model) else little.share
    )
    sizes = run.prompt, run.generate, run.batch / run.plan.dp
    memory = memory_of(setting.share, run.device, *sizes, run.memory.page_tokens)
    return replace(run, memory=memory, setting=setting)
