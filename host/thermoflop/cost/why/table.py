"""Why a number is what it is: operator by operator, the formula filled in and what binds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermoflop.base.record import record
from thermoflop.base.units import digits, scaled, seconds, table, wrapped
from thermoflop.cost.why.labels import labels
from thermoflop.cost.why.memory import explained, why_memory
from thermoflop.cost.why.steps import parts_shown
from thermoflop.model.architecture.mixers import LatentAttention

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from thermoflop.cost.engines.engine import Engine
    from thermoflop.cost.hardware.device import Device
    from thermoflop.cost.inference.result import Estimate
    from thermoflop.cost.inference.setting import Setting
    from thermoflop.cost.roofline.rates import Rates
    from thermoflop.cost.work.share import Layout
    from thermoflop.cost.work.work import Work

_CALLED = {"mla": "latent attention", "expert_reads": "weights of experts"}
BELOW = " " * 12  # further lines of a formula stand below its right side


@record
class Reason:
    """One operator: its counts over all occurrences, its times in seconds, what binds it; ``label``
    is its name among those of a step."""

    name: str
    part: str
    kind: str
    times: float
    flops: float
    bytes: float
    intensity: float
    compute_s: float
    memory_s: float
    launch_s: float
    time_s: float
    binds: str
    label: str = ""


def reasons(works: Sequence[Work], rates: Rates) -> list[Reason]:
    """Why each operator takes what it takes."""
    named = zip(works, labels(works), strict=True)
    return [_reason(work, rates, label) for work, label in named]


def _reason(work: Work, rates: Rates, label: str) -> Reason:
    computing, moving = rates.compute_s(work), rates.memory_s(work)
    launching = rates.gap_s(work)
    flops = 0.0 if work.kind == "network" else work.flops + work.element_flops
    return Reason(
        work.name, work.part, work.kind, work.times, work.times * flops, work.times * work.bytes,
        flops / work.bytes if work.bytes else 0.0, work.times * computing, work.times * moving,
        work.times * launching, rates.operator_s(work), rates.binding(work), label,
    )  # fmt: skip


def shares_by_class(operators: Iterable[Reason]) -> dict[str, tuple[float, float]]:
    """Shares of FLOPs and of time by class of operator (Ivanov et al. 2021).

    FLOPs of norms and element-wise work are their operations on single elements: below a hundredth
    of all, in a far larger share of the time.
    """
    flops: dict[str, float] = {}
    time: dict[str, float] = {}
    for reason in operators:
        flops[reason.kind] = flops.get(reason.kind, 0.0) + reason.flops
        time[reason.kind] = time.get(reason.kind, 0.0) + reason.time_s
    all_flops, all_time = sum(flops.values()) or 1.0, sum(time.values()) or 1.0
    return {kind: (flops[kind] / all_flops, time[kind] / all_time) for kind in flops}


LEAST = ("class", "FLOP/B", "x", "bytes", "FLOP")  # what a narrow page goes without, in order


def reasons_text(title: str, operators: list[Reason], overhead_s: float) -> str:
    """A table of the operators of a step, largest times first, and the shares of the classes."""
    total = sum(reason.time_s for reason in operators) + overhead_s
    rows = [["operator", "class", "x", "FLOP", "bytes", "FLOP/B", "time", "%", "binds"]]
    for reason in sorted(operators, key=lambda each: -each.time_s):
        if reason.time_s > 0.0005 * total:
            rows.append(_reason_row(reason, total))
    overhead = ["host and scheduler", "", "", "", "", "", seconds(overhead_s),
                f"{100 * overhead_s / total:.1f}", "step"]  # fmt: skip
    shares = [
        f"  {kind}: {100 * flops:.2f} % of FLOPs, {100 * time:.1f} % of time"
        for kind, (flops, time) in shares_by_class(operators).items()
    ]
    return "\n".join(
        [f"{title}: {seconds(total)}", table([*rows, overhead], left=2, least=LEAST), *shares]
    )


def _reason_row(reason: Reason, total: float) -> list[str]:
    return [
        (reason.label or reason.name)[:40],
        reason.kind[:13],
        f"{reason.times:g}",
        scaled(reason.flops, "") if reason.flops else "-",
        scaled(reason.bytes, "B"),
        digits(reason.intensity),
        seconds(reason.time_s),
        f"{100 * reason.time_s / total:.1f}",
        reason.binds,
    ]


def formula_text(setting: Setting) -> str:
    """The formula of an operator's time with this device's numbers filled in."""
    if setting.rates.curves is not None:
        return _measured_text(setting)
    rates, efficiency = setting.rates, setting.rates.efficiency
    peak, bandwidth = scaled(rates.peak_flops_s, "FLOP/s"), scaled(rates.bandwidth_bytes_s, "B/s")
    ridge = rates.peak_flops_s * efficiency.matmul / rates.bandwidth_bytes_s / efficiency.weights
    taken_in = rates.core_hz * efficiency.weight_bytes_per_core_cycle
    few = setting.profile.engine.vectors
    by_row = f"            {efficiency.m_half / ((few or 0) + 1):.1f} for each of up to {few} rows"
    return "\n".join(
        [
            "time of a row = x times (kernels x gap + max(compute, memory)), 1 kernel if unsaid",
            wrapped(
                f"  compute = (FLOP + {efficiency.m_half:.0f} rows of padding) / ({peak} x e), "
                f"e = {efficiency.matmul:.2f} in products, {efficiency.attention:.2f} in attention",
                BELOW,
            ),
            *([by_row] if few else []),
            *_in_tiles(setting),
            *_other_peaks(rates, setting.profile.engine),
            wrapped(
                f"  memory  = bytes / ({bandwidth} x e), e = {efficiency.weights:.2f} for weights, "
                f"{efficiency.cache:.2f} cache, {efficiency.activations:.2f} activations",
                BELOW,
            ),
            f"            + bytes of weights / {scaled(taken_in, 'B/s')} that the cores take in",
            wrapped(
                f"  gap     = {seconds(efficiency.kernel_gap_s)}; a step "
                f"{seconds(efficiency.step_s)}, a sequence {seconds(efficiency.sequence_s)}, a "
                f"prompt {seconds(efficiency.prompt_s)}; ridge {digits(ridge)} FLOP/B",
                BELOW,
            ),
            _launching(rates),
            *network_lines(setting.device, setting.plan, rates),
        ]
    )


def _in_tiles(setting: Setting) -> list[str]:
    """What llama.cpp's kernels fill for experts, and at what rate they run a recurrence."""
    engine, rates = setting.engine, setting.rates
    widest = "their mean number, up to " if engine.fits else ""
    tiles = f"            rows of an expert in tiles of {widest}{engine.tile}"
    scan_flops_s = rates.scan_flops_s * rates.efficiency.attention
    scanned = f"            {scaled(scan_flops_s, 'FLOP/s')} in scans, token after token"
    return [
        *([tiles] if engine.tile > 1 and setting.routes else []),
        *([scanned] if engine.ggml and setting.scans else []),
    ]


def _other_peaks(rates: Rates, engine: Engine) -> list[str]:
    """The peaks of what is not computed at that of the products, a line each."""
    places: dict[float, list[str]] = {}
    if engine.narrows:
        places[rates.wide_flops_s] = ["products of matrices left in 16 bits"]
    alike = not engine.narrows or rates.attention_flops_s == rates.wide_flops_s
    own = "" if alike else ", its exponentials included"
    places.setdefault(rates.attention_flops_s, []).append(f"attention{own}")
    return [
        f"            ({scaled(flops_s, 'FLOP/s')} x e) in {' and '.join(names)}"
        for flops_s, names in places.items()
        if flops_s != rates.peak_flops_s
    ]


def network_lines(device: Device, plan: Layout, rates: Rates) -> list[str]:
    """The time of a collective, and between nodes where there are several, with the numbers; none
    of a device alone."""
    if plan.devices == 1:
        return []
    e = rates.efficiency
    near, step = f"({scaled(rates.link_bytes_s, 'B/s')} x {e.link:.2f})", seconds(e.collective_s)
    if not 0 < plan.node_size < plan.devices:
        return [f"  network = bytes / {near} + {step} for each step of a collective"]
    far = f"({scaled(rates.network_bytes_s, 'B/s')} x {e.link:.2f})"
    return [
        f"  network = max(near / {near}, far / {far}) + {step} a step",
        f"            far: to other nodes of {plan.node_size}, {device.network.what}",
    ]


def _measured_text(setting: Setting) -> str:
    """The same where times were measured: what is looked up, and what it is multiplied by."""
    rates, curves = setting.rates, setting.rates.curves
    assert curves is not None  # noqa: S101 - asked by the caller
    peak, bandwidth = scaled(rates.peak_flops_s, "FLOP/s"), scaled(rates.bandwidth_bytes_s, "B/s")
    return "\n".join(
        [
            "time of an operator = launch + measured time at its size, read between measured sizes",
            f"  classes: {len(curves.tables)}, each over rows and the elements of one operand",
            f"  times {curves.scale:.2f}: what operators cost in a whole decoder, over alone",
            f"  launch = {seconds(rates.efficiency.kernel_gap_s)}; best rates {peak}, {bandwidth}:",
            "  compute or memory binds, whichever takes longer at those",
        ]
    )


def _launching(rates: Rates) -> str:
    """Whether the host's launches can be what a step waits for."""
    each = seconds(rates.efficiency.launch_overhead_s * rates.host)
    if rates.waits:
        return f"  launching costs the host {each} a kernel, and it waits for each product"
    if rates.graphs:
        return f"  launching costs the host {each} a kernel of a prompt; decode steps run as graphs"
    return f"  a step takes at least {each} of the host's time for each kernel that it launches"


def steps_of(estimate: Estimate) -> dict[str, tuple[list[Reason], float]]:
    """The reasons of reading the prompt and of the middle decode step, with their overheads.

    Of a prompt that is read in chunks it is the middle chunk and what is left after the last; the
    title says how many there are.
    """
    setting = estimate.setting
    steps = {}
    for part in parts_shown(estimate).values():
        title = part.label if part.phase != "decode" else f"one token after {part.cached:,}"
        if part.factor != 1:
            title = f"{digits(part.factor)} x {title}"
        steps[title] = (reasons(part.works, setting.rates), part.overhead_s)
    return steps


def conventions_said(estimate: Estimate) -> str:
    """How the operators are counted: the conventions that change something for this model."""
    setting, told = estimate.setting, dict(estimate.conventions)
    if not any(isinstance(each, LatentAttention) for each in setting.model.description.mixers):
        told.pop("mla", None)
    if not setting.routes:
        told.pop("expert_reads", None)
    return "; ".join(f"{_CALLED.get(name, name)}: {choice}" for name, choice in told.items())


def why_text(estimate: Estimate) -> str:
    """Everything behind an estimate."""
    setting = estimate.setting
    blocks = [formula_text(setting)]
    blocks += [reasons_text(title, *why) for title, why in steps_of(estimate).items()]
    blocks.append(wrapped(f"counted: {conventions_said(estimate)}"))
    if setting.share.checkpoint is not None:
        blocks.append(explained(why_memory(estimate, "memory.weights")))
    return "\n\n".join(blocks)
