"""``tf.plan``: which devices, layout and format serve a load at the least cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from thermoflop.base.record import replace
from thermoflop.base.units import counted, digits, seconds
from thermoflop.cost.catalogue.devices import as_devices
from thermoflop.cost.catalogue.profile import Profile
from thermoflop.cost.catalogue.profiles import find_profile
from thermoflop.cost.engines.abilities import no_device
from thermoflop.cost.engines.engine import is_ollama, named_engine
from thermoflop.cost.hardware.precision import format_name
from thermoflop.cost.inference.arguments import as_model, checked_whole, validate_arguments, written
from thermoflop.cost.inference.formats import as_named, as_planned, lacking, unread
from thermoflop.cost.inference.held_to import engine_of_files, not_run
from thermoflop.cost.plan.blocked import REPLICA, Tried, blocked
from thermoflop.cost.plan.choice import (
    Question,
    best_load,
    cheaper_in_others,
    cheaper_in_stages,
    cost,
    own_first,
    replicated,
    stages_behind,
)
from thermoflop.cost.plan.disaggregated import no_pools, pooled
from thermoflop.cost.plan.launch import launch_notes
from thermoflop.cost.plan.layouts import check_formats
from thermoflop.cost.plan.nodes import node_notes
from thermoflop.cost.plan.outcome import Context, choice_of, frontier_of, in_flight, settled
from thermoflop.cost.plan.prices import prices_of
from thermoflop.cost.plan.result import Choice, PlanResult
from thermoflop.cost.plan.search import Search
from thermoflop.cost.plan.unit import Unit
from thermoflop.cost.serving.asked import (
    OUTPUT,
    checked_load,
    checked_share,
    checked_target,
    generating,
)
from thermoflop.cost.serving.lengths import Lengths, lengths_of
from thermoflop.cost.serving.policy import check_rate, policy_of
from thermoflop.cost.serving.targets import Targets
from thermoflop.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from os import PathLike

    from thermoflop.cost.hardware.device import Device
    from thermoflop.cost.plan.choice import Found
    from thermoflop.model.model import Model


def plan(
    model: Model | str | PathLike[str] | dict[str, Any],
    hardware: str | Device | Sequence[str | Device],
    *,
    prompt: int | str | None = None,
    generate: int | str | None = None,
    lengths: str = "fixed",
    prefix_hit: float = 0.0,
    users: int | None = None,
    rate: float | None = None,
    ttft_s: float | None = None,
    tpot_s: float | None = None,
    max_devices: int = 8,
    dtypes: Sequence[str] | None = None,
    kv_dtype: str | None = None,
    profile: str | Profile | None = "auto",
    engine_options: dict[str, Any] | None = None,
    budget: int | None = None,
    disaggregate: bool = False,
    price: float | str | Mapping[str, float] | None = None,
    top: int = 5,
) -> PlanResult:
    """The layouts that serve a load within targets at the least cost, best first.

    Every tensor-, pipeline- and expert-parallel layout, with attention under data parallelism for
    models with experts and, on vLLM, prompts of 16,384 tokens and more split over devices (context
    parallel), in every format that model and device have, is taken under every load up to the most
    that fits. With ``users`` or a ``rate`` the fewest devices (or dollars) win; without, the most
    tokens a second and device (or dollar). A layout with pipeline stages comes before one without
    only where it is worth 10 %; a note says where it would be the cheaper one.

    Args:
        model: a ``Model``, or what ``load_model`` takes: a path, a dictionary or a name.
        hardware: a device or several: ``Device``, or what ``find_device`` takes; names may be
            joined by commas.
        prompt: mean tokens of a prompt; ``32k`` is 32,768. None: 1024, or as many as the model has
            room for.
        generate: mean tokens of an output. None: 256.
        lengths: how they spread: ``fixed`` (default), ``uniform`` or ``lognormal``, as in
            ``serving``.
        prefix_hit: share of each prompt that the cache holds already, 0.0 (default) to below 1.0.
        users: users at once who must be served. None: see above.
        rate: requests a second that must be answered, at random: replicas are loaded to 90 % at
            most. None: see above.
        ttft_s: mean seconds to a first token at most. None: any.
        tpot_s: mean seconds between a user's tokens at most. None: any.
        max_devices: devices in all at most, 8 by default.
        dtypes: formats to try, as in ``estimate``. None: as published, and those that the device
            computes in; where none of these fits, weights in 4 bits.
        kv_dtype: number format of the cache. None: as published, else as the activations.
        profile: whose efficiency, policy and command: ``vllm``, ``sglang``, ``tensorrt-llm``,
            ``llama.cpp``, ...; None: all engines pooled; ``auto`` (default): ``vllm``, or
            ``llama.cpp`` where a device is Apple's, or vLLM does not read the weights.
        engine_options: options of that engine, by its own names, as in ``serving``; the command has
            them too. None: its defaults.
        budget: tokens that a step runs at most. None: as the engine does.
        disaggregate: whether pools of prefill and decode replicas are tried as well; not by
            default.
        price: dollars for a device and hour; those of each by its name, as ``{"h100": 2.5}``; or
            the path of a price list in TOML. None: unknown.
        top: choices to return, 5 by default.

    Returns:
        The best choices with their commands, and the frontier; what comes nearest where nothing
        meets the targets.

    Raises:
        UsageError: for a value that makes no sense, naming it.
        InputError: for a device that is not known, or a file that is not what it should be.
        UnknownModel: an InputError, for a model that is not known.

    Example:
        >>> import thermoflop as tf
        >>> found = tf.plan("llama-3-70b", "h100", max_devices=8, tpot_s=0.03)
        >>> best = found.choices[0]
        >>> best.token_s[1] <= 0.03 and best.devices <= 8
        True
    """
    users, rate = checked_load(users, rate), None if rate is None else float(rate)
    max_devices = checked_whole("max_devices", max_devices, 1, 4096)
    top = checked_whole("top", top, 1, 1000)
    if getattr(prompt, "ndim", 0):
        checked_whole("prompt", prompt, 1)
    check_formats(dtypes)
    devices = as_devices(hardware)
    known = generating(as_model(model), written("generate", generate))
    known, _, workload = validate_arguments(known, devices[0], 1, prompt, generate, output=OUTPUT)
    cached = checked_share("prefix_hit", prefix_hit)
    asked_for = _engine(devices, known, dtypes) if profile == "auto" else profile
    chosen = find_profile(asked_for)
    known = as_named(known, chosen)
    devices, left_out = _run_by(chosen, devices)
    if not dtypes:
        known, other = as_planned(known, asked_for, named=profile != "auto")
        if profile == "auto" and not other:
            known, other = _in_others(known, chosen, devices)
        left_out += (f"note: {other}",) if other else ()
    targets = Targets(checked_target("ttft_s", ttft_s), checked_target("tpot_s", tpot_s))
    prices = prices_of(price, devices)
    question = Question(
        targets, users, rate, max_devices, {name: each.dollars for name, each in prices.items()}
    )
    if rate is not None:
        check_rate(policy_of(chosen.engine, devices[0]))
    shape = lengths_of(workload.prompt, workload.generate, lengths)
    search = Search(
        known, devices, chosen, asked_for or chosen, shape, cached, budget, engine_options
    )

    wanted: Sequence[str | None] | None = dtypes

    def solve(most: int) -> Tried:
        """On so many devices; replicas beyond what was asked for are of a bounded size."""
        every = search.units(min(most, max(max_devices, REPLICA)), wanted, kv_dtype)
        wider = replace(context, question=replace(question, most=most))
        return _tried(every, wider, disaggregate, top)

    said = f"{asked(known, devices, shape, question)}, {_under(chosen, asked_for)}"
    context = Context(known, prices, question, said, left_out, engine_options, bool(dtypes))
    tried, usual = solve(max_devices), [] if dtypes else search.formats()
    if not tried.units and not dtypes and (narrower := search.in_4_bits(usual)):
        wanted = narrower
        tried = solve(max_devices)
    named = [name or "the published format" for name in wanted or usual]
    lacks = "" if tried.choices else blocked(question, tried, solve, () if dtypes else named)
    result = _result(context, tried, lacks)
    refused = (f"note: not tried: {why}" for why in search.refused)
    result = replace(result, notes=(*result.notes, *_said(tried), *refused))
    if dtypes or not wanted or not tried.choices:
        return result
    said = f"note: nothing in {' or '.join(named[:-1])} fits: so in 4 bits"
    return replace(result, notes=(said, *result.notes))


def _tried(every: list[Unit], context: Context, pools: bool, top: int) -> Tried:
    """The best of the units' loads."""
    question = context.question
    free = replace(question, users=None)  # how many each bears, whoever asks
    found = [best for unit in every if (best := best_load(unit, question.targets)) is not None]
    found = [own for each in found if (own := _as_served(each, free)) is not None]
    paired = _pools(every, question) if pools else []
    found += paired
    enough = [each for one in found if (each := replicated(one, question)) is not None]
    enough = [each for one in enough if (each := _as_served(one, question)) is not None]
    ready, others = _in_order(enough, context)
    kinds = (settled(each, question) for each in _different([*ready, *others]))
    plain, made = _in_order([each for each in kinds if each is not None], context)
    shown = [*plain, *made][:top]
    choices = [choice_of(each, context) for each in shown]
    stages = cheaper_in_stages(ready or others, question) or stages_behind(shown, question)
    cheaper = [cheaper_in_others(ready, others, question, context.model), stages]
    if pools and choices and not any(each.disaggregated for each in choices):
        cheaper.append(no_pools(every, paired, [*ready, *others], question))
    return Tried(every, found, choices, tuple(filter(None, cheaper)))


def _in_order(found: list[Found], context: Context) -> tuple[list[Found], list[Found]]:
    """By their costs, those in formats that the engine makes apart unless formats were named."""
    if context.named:
        return sorted(found, key=lambda each: cost(each, context.question)), []
    return own_first(found, context.model, context.question)


def _as_served(found: Found, question: Question) -> Found | None:
    """What is ordered: of an engine that reads a batch as a whole its own state, where a load that
    keeps the targets leaves one."""
    apart = found.unit.policy.name == "static" and found.pools is None
    return in_flight(found, question, found.users) if apart else found


def _said(tried: Tried) -> list[str]:
    """A sentence on the format of the best choice, where another is counted than was asked for."""
    kinds = [(each.device, each.dtype) for each in tried.choices[:1]]
    said = (
        unit.setting.precision.said
        for unit in tried.units
        if (unit.setting.device.name, format_name(unit.setting.precision)) in kinds
    )
    return [f"note: {each}" for each in filter(None, [next(said, "")])]


def _result(context: Context, tried: Tried, nearest: str) -> PlanResult:
    """What was found, with what to know of it."""
    notes, choices = list(context.notes), tried.choices
    notes += [f"note: {sentence}" for sentence in tried.cheaper]
    if choices and choices[0].dtype == context.model.named_format:
        notes.append(f"note: {context.model.format_said}")
    vendors = {unit.setting.device.vendor for unit in tried.units}
    if "Apple" in vendors and len(vendors) > 1:
        engine = tried.units[0].setting.profile.engine.name
        notes.append(f"note: every device is taken to run {engine}; plan them apart for others")
    count = sum(len(unit.mixing.sequences) for unit in tried.units)
    if any(choice.disaggregated for choice in choices):
        notes.append(
            "note: pools of prefill and decode are computed, not measured anywhere; their commands "
            "need the engine's settings for sending the cache besides; their energy is not counted"
        )
    if choices and choices[0].plan.cp > 1:
        notes.append("note: context parallel layouts are computed, not measured anywhere")
    if choices:
        notes += launch_notes(choices[0].launch, context.model, choices[0].dtype)
        notes += node_notes(choices[0].launch, choices[0].plan)
        notes += _unmeasured(tried.units, choices[0])
    frontier = frontier_of(tried.units, context.question)
    found = PlanResult(context.asked, tuple(choices), frontier, nearest, count, tuple(notes))
    return found if context.question is None else replace(found, targets=context.question.targets)


def _unmeasured(units: list[Unit], best: Choice) -> list[str]:
    """A sentence on what no row of the profile had of the best choice, where there is something."""
    asked = best.device, best.dtype
    for setting in (unit.setting for unit in units):
        about = setting.device, setting.precision, setting.model
        if (setting.device.name, format_name(setting.precision)) == asked:
            unmeasured = setting.profile.unmeasured(*about)
            return [f"note: {setting.profile.provenance(*about)}"] if unmeasured else []
    return []


def _different(found: list[Found]) -> Iterator[Found]:
    """The best of each kind, and behind one with stages the best without: layouts that differ in
    the number of stages or attention groups alone are alike."""
    seen = set()
    for each in found:
        layout, setting = each.unit.layout, each.unit.setting
        apart = layout.dp > 1, layout.ep > 1, layout.cp > 1, each.pools is not None
        kind = setting.device.name, format_name(setting.precision), layout.tp, *apart
        if (*kind, False) not in seen and (*kind, layout.pp > 1) not in seen:
            seen.add((*kind, layout.pp > 1))
            yield each


def _run_by(profile: Profile, devices: list[Device]) -> tuple[list[Device], tuple[str, ...]]:
    """The devices that a profile's engine runs on, and a sentence for each that is left out.
    UsageError where all are."""
    reasons = [not_run(profile, device) for device in devices]
    kept = [device for device, reason in zip(devices, reasons, strict=True) if not reason]
    left_out = [reason for reason in reasons if reason]
    if not kept:
        raise UsageError("; ".join(left_out))
    return kept, tuple(f"note: left out, as {reason}" for reason in left_out)


def _engine(devices: list[Device], model: Model, dtypes: Sequence[str] | None) -> str:
    """The engine by default: vLLM has no GPU of Apple's, none before Volta and no kernels of most
    GGUF formats, nor of EXL2 and MLX, for which files of llama.cpp stand; that runs on all but TPUs
    and the like. On Macs alone MLX runs its own files, as in ``estimate``."""
    from thermoflop.model.config.gguf_formats import FILE_TYPES
    from thermoflop.model.config.named_format import means_download, means_file

    gguf = model.named_format in FILE_TYPES.values() or means_file(model.format_said)
    gguf = gguf and not means_download(model.format_said)
    apple = any(device.vendor == "Apple" for device in devices)
    meant = {engine_of_files(model, each, name) for each in devices for name in dtypes or (None,)}
    if meant == {"mlx"}:
        return "mlx"
    older = all(no_device(named_engine("vllm"), device) for device in devices)
    files = older or gguf or (not dtypes and lacking(named_engine("vllm"), model)[0])
    runs = any(not no_device(named_engine("llama.cpp"), device) for device in devices)
    return "llama.cpp" if apple or (files and runs) else "vllm"


def _in_others(model: Model, chosen: Profile, devices: list[Device]) -> tuple[Model, str]:
    """The model without its own format where the engine, which nobody named, runs that on none of
    the devices, and a sentence on it."""
    why = [unread(chosen.engine, model, device, None) for device in devices]
    if not all(why):
        return model, ""
    plain = replace(model, quantization=None, stored=None, named_format=None, format_said="")
    return plain, f"{why[0]}: other formats are tried"


def _pools(every: list[Unit], question: Question) -> list[Found]:
    """Pools of prefill and decode of each device and format."""
    groups: dict[tuple[str, str], list[Unit]] = {}
    for unit in every:
        key = unit.setting.device.name, format_name(unit.setting.precision)
        groups.setdefault(key, []).append(unit)
    return [found for group in groups.values() for found in pooled(group, question)]


def _under(profile: Profile, asked: str | Profile | None) -> str:
    """Whose rates a plan has, as a phrase."""
    if profile.engine.name == "default":
        return "at the rates of all engines pooled"
    return "under ollama" if is_ollama(asked) else f"under {profile.name}"


def asked(model: Model, devices: list[Device], lengths: Lengths, question: Question) -> str:
    """What was asked, as a sentence."""
    targets = question.targets
    parts = []
    if question.users is not None:
        parts.append(f"{question.users:,} user{'s' * (question.users > 1)} at once")
    if question.rate is not None:
        parts.append(f"{digits(question.rate)} requests/s")
    if targets.token_s is not None:
        parts.append(f"tokens at most {seconds(targets.token_s)} apart")
    if targets.first_s is not None:
        parts.append(f"first token within {seconds(targets.first_s)}")
    names = " or ".join(device.name for device in devices)
    sizes = f"{counted(lengths.prompt)} prompt + {counted(lengths.tokens)} output tokens"
    return ", ".join([f"{model.name} on up to {question.most:,} x {names}", sizes, *parts])
