"""``tf.plan_training``: which layout trains a model soonest, or within days at the least cost."""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import TYPE_CHECKING, Any

from thermoflop.base.plain import checked_between
from thermoflop.base.record import record
from thermoflop.base.units import digits, gigabytes, scaled, table, wrapped
from thermoflop.cost.catalogue.devices import as_devices
from thermoflop.cost.inference.arguments import as_model, checked_whole, written
from thermoflop.cost.plan.layouts import powers
from thermoflop.cost.training.remedies import RANK
from thermoflop.cost.training.result import TrainingEstimate, training_json
from thermoflop.cost.training.train import train
from thermoflop.cost.work.weights import has_experts
from thermoflop.errors import UsageError
from thermoflop.model.operators.again import FINE_GRAINED
from thermoflop.model.operators.training import RECOMPUTE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from os import PathLike

    from thermoflop.cost.hardware.device import Device
    from thermoflop.model.model import Model

    Degrees = dict[str, Any]

MICRO_BATCHES = (1, 2, 4, 8)
ZERO = (1, 2, 3)
MOST = 2**13  # devices that are tried where fewer do not do it
SPREAD = (1, 4, 8, 16, 64)  # devices that experts are spread over
LEAST = ("micro", "zero", "recompute", "MFU", "memory")  # of the columns, on a narrow page


@record
class TrainingPlan:
    """The best ways to train, made by ``plan_training``. Print it for a report.

    Attributes:
        question: what was asked, as a sentence.
        choices: the best few that fit, best first, as ``train`` makes them; none where nothing
            does what was asked.
        nearest: what comes nearest where nothing does; "".
        candidates: configurations whose memory was computed.

    Example:
        >>> import thermoflop as tf
        >>> found = tf.plan_training("llama-3-8b", "h100", max_devices=8, tokens=1e9)
        >>> all(bool(each.memory.fits) for each in found.choices)
        True
    """

    question: str
    choices: tuple[TrainingEstimate, ...]
    nearest: str
    candidates: int

    def __str__(self) -> str:
        return training_plan_text(self)


def plan_training(
    model: Model | str | PathLike[str] | dict[str, Any],
    hardware: str | Device | Sequence[str | Device],
    *,
    tokens: float | str,
    max_devices: int = 8,
    max_days: float | None = None,
    global_batch: int = 512,
    sequence: int | None = None,
    dtype: str = "bf16",
    optimizer: str = "adamw",
    price: float | None = None,
    profile: str | None = None,
    top: int = 5,
) -> TrainingPlan:
    """The layouts that train a model soonest, or with ``max_days`` at the least device hours.

    Tensor, pipeline and expert parallel degrees, micro-batches, recomputation and stages of ZeRO
    are tried; of each layout the fastest that fits is kept.

    Args:
        model: a ``Model``, or what ``load_model`` takes: a path, a dictionary or a name.
        hardware: a device or several to choose from: ``Device``, or what ``find_device`` takes;
            names may be joined by commas. Each choice is of one kind.
        tokens: tokens of the whole run, as a number or ``15T``.
        max_devices: devices at most, 8 by default; with ``max_days`` fewer are tried as well.
        max_days: days that the run may take. None: as few as can be.
        global_batch: sequences of an iteration in all replicas, 512 by default.
        sequence: tokens of each sequence. None: 2048, or as many as the model has positions.
        dtype: number format of the products, as in ``train``; bf16 by default.
        optimizer: what keeps states, as in ``train``; ``adamw`` by default.
        price: dollars for a device and hour. None: unknown.
        profile: whose efficiency: ``megatron-lm``, ... None: all trainers pooled.
        top: choices to return, 5 by default.

    Returns:
        The best choices, each an estimate of ``train``.

    Raises:
        UsageError: for a value that makes no sense, naming it.
        InputError: for a device that is not known, or a file that is not what it should be.
        UnknownModel: an InputError, for a model that is not known.

    Example:
        >>> import thermoflop as tf
        >>> found = tf.plan_training("llama-3-8b", "h100", max_devices=16, tokens=1e10, price=2.0)
        >>> best = found.choices[0]
        >>> best.plan.devices, best.price == best.device_hours * 2.0
        (16, True)
    """
    max_devices = checked_whole("max_devices", max_devices, 1, 2**17)
    top = checked_whole("top", top, 1, 1000)
    global_batch = checked_whole("global_batch", global_batch, 1)
    if tokens is None:
        raise UsageError("tokens=None makes no sense: expected those of the whole run, as 15e12")
    checked_between("max_days", max_days, 0, 1e6, "days above 0, below 1,000,000")
    known, devices = as_model(model), as_devices(hardware)
    fixed: dict[str, Any] = {
        "global_batch": global_batch, "sequence": sequence, "dtype": dtype,
        "tokens": written("tokens", tokens),
        "optimizer": optimizer, "price": price, "profile": profile,
    }  # fmt: skip
    for device in devices:  # refuses what makes no sense
        train(known, device, dp=1, **{**fixed, "global_batch": 1})
    counts = [max_devices] if max_days is None else powers(max_devices)

    def on(count: int) -> tuple[list[TrainingEstimate], int]:
        found = [
            _best(known, device, degrees, fixed)
            for device in devices
            for degrees in _layouts(known, device, count, global_batch)
        ]
        fits = [best for best, _ in found if best is not None]
        return fits, sum(number for _, number in found)

    made = [on(count) for count in counts]
    fitting = [each for fits, _ in made for each in fits]
    asked = _asked(known, devices, max_devices, fixed["tokens"], max_days)
    within = [each for each in fitting if max_days is None or _days(each) <= max_days]
    within.sort(key=_days if max_days is None else _hours)
    nearest = ""
    if not within:
        nearest = _nearest(known, fitting, max_devices) + _would(on, fitting, max_devices, max_days)
        nearest += "" if fitting else _adapted(known, devices, fixed)
    return TrainingPlan(asked, tuple(within[:top]), nearest, sum(number for _, number in made))


def _layouts(model: Model, device: Device, count: int, batch: int) -> Iterator[Degrees]:
    """Degrees on all of the devices; replicas are what the others leave."""
    experts = has_experts(model.description)
    for tp in powers(min(device.network.node_size, count)):
        for pp in powers(count // tp):
            if count % (tp * pp):
                continue
            dp = count // (tp * pp)
            if batch % dp:
                continue
            for ep in SPREAD if experts else SPREAD[:1]:
                if (tp * dp) % ep:
                    continue
                yield {"tp": tp, "pp": pp, "dp": dp, "ep": ep}


def _best(
    model: Model, device: Device, degrees: Degrees, fixed: dict[str, Any]
) -> tuple[TrainingEstimate | None, int]:
    """The fastest way of a layout that fits, and how many were tried.

    What computes less is tried first: of ways that fit, the least recomputation and the lowest
    stage of ZeRO; micro-batches all. Where not even the way of least memory fits, no other does.
    """
    found: list[TrainingEstimate] = []
    tried = 0

    @cache
    def first_that_fits(micro: int, recompute: str) -> TrainingEstimate | None:
        nonlocal tried
        for zero in ZERO if degrees["dp"] > 1 else ZERO[:1]:
            tried += 1
            made = train(
                model, device, micro_batch=micro, recompute=recompute, zero=zero, **degrees, **fixed
            )
            if made.memory.fits:
                return made
        return None

    try:
        if first_that_fits(MICRO_BATCHES[0], RECOMPUTE[-1]) is None:
            return None, tried
        for micro in MICRO_BATCHES:
            if fixed["global_batch"] % (degrees["dp"] * micro):
                break
            ways = (first_that_fits(micro, recompute) for recompute in RECOMPUTE)
            quickest = next(filter(None, ways), None)
            found += [] if quickest is None else [quickest]
    except UsageError:  # the layout does not divide the model
        return None, tried
    return min(found, key=_days, default=None), tried


def _days(each: TrainingEstimate) -> float:
    assert each.days is not None  # noqa: S101 - every question here has tokens
    return float(each.days[0])


def _hours(each: TrainingEstimate) -> float:
    return _days(each) * each.plan.devices


def _asked(
    model: Model, devices: list[Device], most: int, tokens: float, max_days: float | None
) -> str:
    """What was asked, as a sentence."""
    within = "" if max_days is None else f" within {digits(max_days)} days"
    amount = scaled(tokens, "").strip()
    names = " or ".join(device.name for device in devices)
    return f"{model.name} trained on {amount} tokens{within}, on up to {most:,} x {names}"


def _nearest(model: Model, fitting: list[TrainingEstimate], most: int) -> str:
    if not fitting:
        many = f"{most:,} devices" if most > 1 else "one device"
        return f"{model.name} with its states fits on {many} in no layout"
    best = min(fitting, key=_days)
    where = f"{best.plan.devices:,} x {best.device.name} ({best.plan.label})"
    return f"nearest: {digits(_days(best))} days on {where}; blocked by the number of devices"


def _adapted(model: Model, devices: list[Device], fixed: dict[str, Any]) -> str:
    """How adapters beside weights in 4 bits fit on one device, as the end of a sentence."""
    for how, device in product(("none", FINE_GRAINED, "full"), devices):
        options = {**fixed, "global_batch": 1, "lora": RANK, "base_dtype": "nf4", "recompute": how}
        if train(model, device, dp=1, **options).memory.fits:
            gpu = "" if len(devices) == 1 else f"{device.name} "
            said = f"train {model.name} --lora {RANK} --base nf4"
            return f"; one {gpu}trains adapters: {said}{f' --recompute {how}' * (how != 'none')}"
    return ""


def _would(
    on: Callable[[int], tuple[list[TrainingEstimate], int]],
    fitting: list[TrainingEstimate], most: int, max_days: float | None,
) -> str:  # fmt: skip
    """The least power of two above ``most`` that does what was asked, as the end of a sentence."""
    limit = float("inf") if max_days is None else max_days
    fits = fitting
    for count in powers(MOST):
        # half of what the least device hours come to: more devices recompute less, not much more
        if count <= most or count < min(map(_hours, fits), default=0.0) / limit / 2:
            continue
        here, _ = on(count)
        fits = fits + here
        best = min(here, key=_days, default=None)
        if best is not None and _days(best) <= limit:
            how = f"{best.plan.label}, {digits(_days(best))} days"
            return f"; {count:,} x {best.device.name} would do ({how})"
    return f"; nor do up to {MOST:,} devices with this global batch"


def training_plan_text(found: TrainingPlan) -> str:
    """A report, at most 100 columns wide."""
    lines = [wrapped(found.question), ""]
    if not found.choices:
        return "\n".join([*lines, "nothing does that", wrapped(found.nearest)])
    priced = found.choices[0].price_per_device_hour is not None
    heads = ["", "device", "layout", "micro", "recompute", "zero", "memory", "MFU", "days"]
    rows = [[*heads, *(["price"] if priced else [])]]
    for number, each in enumerate(found.choices, 1):
        assert each.days is not None  # noqa: S101 - every question here has tokens
        days, low, high = each.days
        price = [] if each.price is None else [digits(each.price)]
        rows.append([
            str(number), f"{each.plan.devices:,} x {each.device.name}", each.plan.label,
            str(each.micro_batch), each.recompute, str(each.question.zero),
            gigabytes(each.memory.total_bytes), f"{each.mfu:.0%}",
            f"{digits(days)} ({digits(low)}-{digits(high)})", *price,
        ])  # fmt: skip
    best = found.choices[0]
    basis = wrapped(best.provenance)
    shown = table(rows, 3, least=LEAST, alike=("device",))
    return "\n".join([*lines, shown, "", basis, f"{found.candidates:,} tried"])


def training_plan_json(found: TrainingPlan) -> dict[str, Any]:
    """A plan as one object; its choices as ``train --json`` prints them."""

    return {
        "question": found.question, "choices": [training_json(each) for each in found.choices],
        "nearest": found.nearest, "candidates": found.candidates,
    }  # fmt: skip
