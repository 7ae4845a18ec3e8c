"""Prefill and decode on devices of their own.

A pool of prefill replicas reads one prompt after the other (M/G/n queue, of which one replica's
share is M/G/1); the cache then travels to a replica that only decodes. Both pools keep pace where
prompts a second are answers a second. Nothing of this was measured: no published row is of it.
"""

from __future__ import annotations

import numpy as np

from thermoflop.cost.memory import kv_bytes
from thermoflop.cost.plan.choice import Found, Pools, Question
from thermoflop.cost.plan.unit import Unit
from thermoflop.cost.serving.targets import Targets
from thermoflop.cost.serving.times import StepTimes

BUSY = 0.8  # of the time a prefill replica reads; beyond, prompts wait for each other
MOST_POOL = 64  # replicas of a pool that are tried
KEPT = 12  # prefill units that are tried with every decode unit


def read_s(unit: Unit) -> float:
    """Seconds in which a replica reads a mean prompt, alone; attention under data parallelism reads
    one in each group."""
    times, new = StepTimes(unit.setting), unit.lengths.prompt * (1 - unit.prefix)
    chunk = min(new, float(unit.policy.budget))
    cached = unit.lengths.prompt - new + (new - chunk) / 2
    return float(times.prompts_s(chunk, cached, 1.0)) * new / chunk + times.prompt_s


def transfer_s(prefill: Unit, decode: Unit) -> float:
    """Seconds in which a prompt's cache goes from one replica to the other, over all lanes of the
    side with fewer devices; within a machine over its links."""
    share, new = prefill.setting.share, prefill.lengths.prompt
    copies, others = (
        each.layout.tp * each.layout.pp * each.layout.cp for each in (prefill, decode)
    )
    total = float(kv_bytes(share, new, 1.0)) * copies
    lanes = min(copies, others)
    device = prefill.setting.device
    near = prefill.devices + decode.devices <= device.network.node_size
    return total / (lanes * (device.fabric_bytes_s if near else device.network.bytes_s))


def pooled(units: list[Unit], question: Question) -> list[Found]:
    """The best pair of pools for each decode unit, of one device and format."""
    targets, found = question.targets, list[Found]()
    readers = sorted(((read_s(unit), unit) for unit in units), key=_per_device)
    within = [
        (seconds, unit) for seconds, unit in readers
        if targets.first_s is None or seconds < targets.first_s
    ]  # fmt: skip
    for unit in units:
        decode = _decoding(unit, targets)
        if decode is None:
            continue
        pairs = (_paired(unit, decode, reader, each, question) for each, reader in within[:KEPT])
        best = max(filter(None, pairs), key=lambda made: made.per_device, default=None)
        found += [] if best is None else [best]
    return found


def no_pools(
    units: list[Unit], paired: list[Found], enough: list[Found], question: Question
) -> str:
    """Why pools are among no choices: ``paired`` keep the targets, ``enough`` do what is asked."""
    least = min(unit.devices for unit in units)
    if any(each.pools is not None for each in enough):
        return "pools of prefill and decode come behind these rows: --top shows more"
    if 2 * least > question.most:
        need = f"hold the model twice, on {2 * least} devices at least"
        return f"no pools of prefill and decode: they {need}"
    why = "do it on so many devices" if paired else "keep the targets on so many devices"
    return f"no pools of prefill and decode {why}"


def _per_device(entry: tuple[float, Unit]) -> float:
    seconds, unit = entry
    return seconds * unit.devices / unit.groups


def _decoding(unit: Unit, targets: Targets) -> tuple[float, float] | None:
    """Sequences of a group and their step, at the highest load within the target, without
    prompts."""
    known = np.append(unit.mixing.sequences[unit.mixing.sequences < unit.slots], unit.slots)
    step = np.interp(known, unit.mixing.sequences, unit.mixing.decode)
    within = step <= (targets.token_s or np.inf)
    if not within.any():
        return None
    at = int(np.argmax(np.where(within, known / step, -1.0)))
    return float(known[at]), float(step[at])


def _paired(
    unit: Unit, decode: tuple[float, float], reader: Unit, seconds: float, question: Question
) -> Found | None:
    """Pools of whole replicas within the devices, at the best rate a device; None where the prompt
    alone comes too late."""
    sequences, step = decode
    lengths, targets = unit.lengths, question.targets
    answers = sequences * unit.groups / ((lengths.generate - 1) * step)
    sent = transfer_s(reader, unit)
    busy = _busy(seconds, seconds + sent + step / 2, targets.first_s)
    reads = reader.groups * busy / seconds
    if busy <= 0:
        return None
    best: tuple[float, int, int, float] | None = None
    for count in range(1, MOST_POOL + 1):
        needed = int(count * answers / reads)  # as many as keep pace, or one fewer
        for readers in {max(1, needed), needed + 1}:
            devices = count * unit.devices + readers * reader.devices
            rate = min(count * answers, readers * reads)
            if devices <= question.most and (best is None or rate / devices > best[0]):
                best = rate / devices, count, readers, rate
    if best is None:
        return None
    _, count, readers, rate = best
    load = rate / (readers * reader.groups) * seconds
    first = load * seconds / (2 * (1 - load)) + seconds + sent + step / 2
    devices = count * unit.devices + readers * reader.devices
    pools = Pools(reader, readers, count, seconds, sent, devices)
    users = rate * (first + lengths.generate * step)
    return Found(
        unit, 1, sequences, step, first, rate, users, 0.0,
        "memory" if sequences >= unit.slots else "target", sequences, pools,
    )  # fmt: skip


def _busy(seconds: float, own: float, target: float | None) -> float:
    """How busy a prefill replica may be: the queue of M/G/1 with equal prompts takes
    s load / (2 (1 - load)) on the average."""
    if target is None:
        return BUSY
    left = target - own
    return 0.0 if left <= 0 else min(BUSY, 2 * left / (2 * left + seconds))
