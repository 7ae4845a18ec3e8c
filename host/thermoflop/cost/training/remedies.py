"""What to do where training does not fit, the least change first; each is tried by its memory.

First what changes no result: a smaller micro-batch, a loss in chunks, recomputation, states shared
out (ZeRO) or kept by the host; then an optimizer of 8 bits; all of these together; more devices;
and adapters beside frozen weights, which train something else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from thermoflop.base.record import record, replace
from thermoflop.base.units import gigabytes
from thermoflop.cost.inference.formats import choose_formats, is_understood
from thermoflop.cost.inference.remedies import Remedy
from thermoflop.cost.inference.room import MOST_DEVICES
from thermoflop.cost.training.lora import ALL, choose_lora
from thermoflop.cost.training.memory import training_memory
from thermoflop.cost.training.offload import choose_offload
from thermoflop.cost.work.weights import is_mix
from thermoflop.errors import UsageError
from thermoflop.model.operators.again import FINE_GRAINED
from thermoflop.model.operators.training import RECOMPUTE

if TYPE_CHECKING:
    from thermoflop.cost.training.iteration import Iteration

RANK = 16  # what PEFT's and unsloth's examples take
IN_8_BITS = ("adamw-8bit", "adamw-8bit-bf16")


@record
class Change:
    """A change of an iteration, as a kind, a value and the options that ask for it."""

    kind: str
    value: str | int
    text: str
    iteration: Iteration


def training_remedies(iteration: Iteration) -> tuple[Remedy, ...]:
    """Every change by which an iteration fits, the least first; () where it fits."""
    if training_memory(iteration).fits:
        return ()
    alone = [next(filter(_fits, kind(iteration)), None) for kind in KINDS]
    found = [change for change in alone if change is not None]
    if not found and _fits(_together(iteration)):
        found.append(_needed(iteration))
    for more in (_devices, _adapters):
        if first := next(filter(_fits, more(iteration)), None):
            found.append(first)
    if not found:
        lean, saved = _together(iteration), _together(iteration, JOINED[:-1])
        for change in (
            *_devices(lean.iteration, lean.text),
            *_adapters(saved.iteration, saved.text),
        ):
            if _fits(change):
                return (_remedy(change),)
    return tuple(_remedy(change) for change in found)


def _remedy(change: Change) -> Remedy:
    memory = training_memory(change.iteration)
    text = f"{change.text}: {gigabytes(memory.total_bytes)} a device"
    return Remedy(change.kind, change.value, text)


def _fits(change: Change) -> bool:
    try:
        return training_memory(change.iteration).fits
    except UsageError:
        return False


def _micro_batch(iteration: Iteration) -> Iterator[Change]:
    of_replica = int(iteration.global_batch) // iteration.plan.dp
    for size in range(int(iteration.micro_batch) - 1, 0, -1):
        if of_replica % size == 0:
            smaller = replace(iteration, micro_batch=float(size))
            yield Change("micro_batch", size, f"--micro-batch {size}", smaller)


def _loss(iteration: Iteration) -> Iterator[Change]:
    for loss in ("chunked", "fused") if iteration.loss == "full" else ():
        yield Change("loss", loss, f"--loss {loss}", replace(iteration, loss=loss))


def _recompute(iteration: Iteration) -> Iterator[Change]:
    # scores that never leave the chip leave nothing to "selective"
    useless = {"selective"} if iteration.fused else set()
    more = RECOMPUTE[RECOMPUTE.index(iteration.recompute) + 1 :]
    if iteration.recompute == "selective":
        fine = replace(iteration, recompute=FINE_GRAINED, recomputed=0.0)
        more = (*((FINE_GRAINED,) if _kept(fine) < _kept(iteration) else ()), *more)
    for how in more:
        if how not in useless:
            again = replace(iteration, recompute=how, recomputed=0.0, by_operator=False)
            yield Change("recompute", how, f"--recompute {how}", again)


def _kept(iteration: Iteration) -> float:
    return training_memory(iteration).activation_bytes


def _zero(iteration: Iteration) -> Iterator[Change]:
    for stage in range(iteration.zero + 1, 4) if iteration.shared_by > 1 else ():
        yield Change("zero", stage, f"--zero {stage}", replace(iteration, zero=stage))


def _offload(iteration: Iteration) -> Iterator[Change]:
    if iteration.offload is None and iteration.lora is None:
        kept = choose_offload(
            iteration.device, "optimizer", None, iteration.zero, iteration.plan.devices
        )
        host = replace(iteration, offload=kept)
        yield Change("offload", "optimizer", "--offload optimizer, to the host", host)


def _optimizer(iteration: Iteration) -> Iterator[Change]:
    known = iteration.optimizer in ("adamw", "adamw-bf16", *IN_8_BITS) and iteration.lora is None
    for name in IN_8_BITS if known else ():
        if name != iteration.optimizer:
            narrow = replace(iteration, optimizer=name)
            yield Change("optimizer", name, f"--optimizer {name}", narrow)


Kinds = tuple[Callable[["Iteration"], "Iterator[Change]"], ...]
KINDS: Kinds = (_micro_batch, _loss, _recompute, _zero, _offload, _optimizer)
# What goes together: a host that keeps states, and moments in 8 bits, are two ways to one end.
JOINED: Kinds = (_micro_batch, _loss, _recompute, _zero, _optimizer)


def _together(iteration: Iteration, kinds: Kinds = JOINED) -> Change:
    """The last change of each kind, all at once."""
    texts: list[str] = []
    for kind in kinds:
        for last in list(kind(iteration))[-1:]:
            iteration, texts = last.iteration, [*texts, last.text]
    return Change("together", len(texts), " ".join(texts), iteration)


def _needed(iteration: Iteration) -> Change:
    """Of all kinds together those that cannot be done without, the largest left out first."""
    kinds: Kinds = JOINED
    for kind in reversed(JOINED):
        fewer = tuple(each for each in kinds if each is not kind)
        if _fits(_together(iteration, fewer)):
            kinds = fewer
    return _together(iteration, kinds)


def _devices(iteration: Iteration, besides: str = "") -> Iterator[Change]:
    """More replicas that share all states (ZeRO-3, FSDP), as the batch can be shared out."""
    plan, inner = iteration.plan, iteration.plan.devices // iteration.plan.dp
    for dp in range(plan.dp + 1, MOST_DEVICES // inner + 1):
        if iteration.global_batch % (dp * iteration.micro_batch) == 0:
            more = replace(iteration, plan=replace(plan, dp=dp), zero=3, shard=None)
            text = f"--devices {dp * inner} --zero 3 {besides.replace('--zero 3', '')}"
            yield Change("devices", dp * inner, " ".join(text.split()), more)


def _adapters(iteration: Iteration, besides: str = "") -> Iterator[Change]:
    """LoRA beside weights as they are published, then in 4 bits (QLoRA)."""
    model, device = iteration.model, iteration.device
    if is_mix(model.named_format or ""):
        model = replace(model, named_format=None)
    for base in (None, "nf4") if iteration.lora is None and is_understood(model) else ("nf4",):
        formats = choose_formats(model, device, base, None)
        rank = RANK if iteration.lora is None else iteration.lora.rank
        lora = choose_lora(model.description, rank, ALL, *formats)
        text = f"--lora {rank}" + (f" --base {base} " if base else " ") + besides
        yield Change("lora", base or rank, text.rstrip(), replace(iteration, lora=lora))
