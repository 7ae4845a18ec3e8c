"""What to do where training does not fit, the least change first; each is tried by its memory.

First what changes no result: a smaller micro-batch, a loss in chunks, recomputation, states shared
out (ZeRO) or kept by the host; then an optimizer of 8 bits; all of these together, in the end with
an optimizer that steps in the backward pass, which sums no micro-batches; more devices; and
adapters beside frozen weights, which train something else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from thermoflop.base.record import record, replace
from thermoflop.base.units import gigabytes
from thermoflop.cost.hardware.device import is_its_hosts
from thermoflop.cost.inference.formats import choose_formats, is_understood
from thermoflop.cost.inference.remedies import Remedy
from thermoflop.cost.inference.room import MOST_DEVICES
from thermoflop.cost.training.iteration import Iteration
from thermoflop.cost.training.lora import ALL, choose_lora
from thermoflop.cost.training.memory import training_memory
from thermoflop.cost.training.offload import choose_offload
from thermoflop.cost.training.states import AT_ONCE, PAGED
from thermoflop.cost.work.weights import is_mix
from thermoflop.errors import UsageError
from thermoflop.model.operators.again import FINE_GRAINED
from thermoflop.model.operators.training import RECOMPUTE

WITHOUT = ", without --optimizer-in-backward"  # in which adapters have no part
RANK = 16  # what PEFT's and unsloth's examples take
IN_8_BITS = ("adamw-8bit", "adamw-8bit-bf16", "paged-adamw-8bit-bf16")
# Losses that hold less than another, the least change first.
LESS = {
    "full": ("chunked", "fused"), "16-bit": ("chunked", "fused"),
    "compiled": ("fused",), "chunked": ("fused",), "in-place": ("fused",),
}  # fmt: skip


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
    alone = [_first(kind(iteration)) for kind in KINDS]
    found = alone if any(alone) else [_joined(iteration)]
    found += [_first(_devices(iteration)), adapters := _first(_adapters(iteration))]
    if not any(found):
        lean = _together(iteration)
        found.append(_first(_devices(lean.iteration, lean.text)))
    if not any(alone) and adapters is None:
        saved = _together(iteration, JOINED[:-1])
        found.append(_first(_adapters(saved.iteration, saved.text)))
    return tuple(_remedy(change) for change in found if change is not None)


def _joined(iteration: Iteration) -> Change | None:
    """All kinds together, those that cannot be done without; None where they do not fit."""
    for kinds in (JOINED, (*JOINED, _in_backward)):
        if _fits(_together(iteration, kinds)):
            return _needed(iteration, kinds)
    return None


def _first(changes: Iterator[Change]) -> Change | None:
    return next(filter(_fits, changes), None)


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
        text, smaller = f"--micro-batch {size}", replace(iteration, micro_batch=float(size))
        if iteration.in_backward:  # which sums none
            at_once = iteration.plan.dp * size
            text, smaller = (
                f"--global-batch {at_once} {text}",
                replace(smaller, global_batch=at_once),
            )
        elif of_replica % size:
            continue
        yield Change("micro_batch", size, text, smaller)


def _loss(iteration: Iteration) -> Iterator[Change]:
    for loss in LESS.get(iteration.loss, ()):
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
    if iteration.offload is not None or is_its_hosts(iteration.device):
        return
    for part in ("optimizer", "activations"):
        if part == "optimizer" and iteration.lora is not None:
            continue
        kept = choose_offload(iteration.device, part, None, iteration.zero, iteration.plan.devices)
        host = replace(iteration, offload=kept)
        yield Change("offload", part, f"--offload {part}, to the host", host)


def _optimizer(iteration: Iteration) -> Iterator[Change]:
    now = iteration.optimizer
    known = now in ("adamw", "adamw-bf16", *AT_ONCE, *IN_8_BITS) and iteration.lora is None
    fused = (now.replace("-torch", ""),) if now in AT_ONCE else ()
    for name in (*fused, *IN_8_BITS) if known else ():
        if name != iteration.optimizer and not (name in PAGED and is_its_hosts(iteration.device)):
            narrow = replace(iteration, optimizer=name)
            yield Change("optimizer", name, f"--optimizer {name}", narrow)


def _in_backward(iteration: Iteration) -> Iterator[Change]:
    """Gradients that are stepped with as they are made: none are summed over micro-batches."""
    plan = iteration.plan
    if iteration.in_backward or iteration.lora is not None or plan.pp > 1 or iteration.offload:
        return
    at_once = plan.dp * iteration.micro_batch
    fewer = f"--global-batch {int(at_once)} " if iteration.micro_batches > 1 else ""
    freed = replace(iteration, in_backward=True, global_batch=at_once)
    yield Change("in_backward", "True", f"{fewer}--optimizer-in-backward", freed)


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


def _needed(iteration: Iteration, all_kinds: Kinds = JOINED) -> Change:
    """Of all kinds together those that cannot be done without, the largest left out first."""
    kinds = all_kinds
    for kind in reversed(all_kinds):
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
        now = iteration.lora
        rank = RANK if now is None else now.rank
        lora = choose_lora(model, rank, ALL, *formats)
        if now is not None and lora is not None:  # what else is asked of adapters stays
            lora = replace(
                now, base=lora.base, checkpoint=lora.checkpoint, held_inputs=lora.held_inputs
            )
        text = f"--lora {rank}" + (f" --base {base} " if base else " ") + besides
        text = text.rstrip() + (WITHOUT if iteration.in_backward else "")
        beside = replace(iteration, lora=lora, in_backward=False)
        yield Change("lora", base or rank, text, beside)
