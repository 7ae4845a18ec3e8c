"""How a model is spread over devices: tensor, pipeline, data, expert and context parallel.

``devices = tp * pp * dp * cp``; experts are spread over ``ep`` of the devices that hold a stage.
"""

from __future__ import annotations

from math import prod

from thermoflop.base.number import is_array
from thermoflop.base.record import record, replace
from thermoflop.cost.work.network import (
    collective_work,
    expert_parallel_works,
    pipeline_works,
    steps_of,
    tensor_parallel_works,
)
from thermoflop.cost.work.weights import (
    Checkpoint,
    element_bytes,
    has_experts,
    layers_of,
    mixed_rows,
)
from thermoflop.cost.work.work import Work, as_run, works_of
from thermoflop.errors import UsageError
from thermoflop.model.architecture.parameters import mixtures
from thermoflop.model.operators.build import build_operators

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    from thermoflop.cost.hardware.precision import Precision
    from thermoflop.model.architecture.description import Description
    from thermoflop.model.operators.operator import Operator
    from thermoflop.model.operators.step import Step

    T = TypeVar("T")


# A generation is cut where windows fill or measured contexts end, into some twenty pieces of two
# steps each (``Setting.ends``).
# Kept steps have so many numbers of each kind, of which a step has as many as it has elements, and
# counts as the least: 64 steps, or fewer of larger arrays.
MOST_KEPT, LEAST_ELEMENTS = 4096, 64


@record
class Layout:
    """How a model is spread over devices: degrees of parallelism.

    Attributes:
        tp: tensor-parallel degree: heads and MLPs are split; 1 by default, as all degrees.
        pp: pipeline stages: layers are split.
        dp: data-parallel replicas: the batch is split.
        ep: expert-parallel degree: experts are spread over these devices of a stage.
        cp: context-parallel degree: the sequence is split.
        sequence: whether norms and residuals are split along with ``tp``; False by default.
        overlap: share of the network's time that hides behind computing, 0.0 (default) to 1.0.
        node_size: devices that fast links join; 0 (default): all of them.

    Example:
        >>> import thermoflop as tf
        >>> plan = tf.estimate("llama-3-70b", "h100", devices=8, pp=2).plan
        >>> plan.devices, plan.tp, plan.label
        (8, 4, 'tp=4 pp=2')
    """

    tp: int = 1
    pp: int = 1
    dp: int = 1
    ep: int = 1
    cp: int = 1
    sequence: bool = False
    overlap: float = 0.0
    node_size: int = 0

    @property
    def devices(self) -> int:
        """Devices in all: tp x pp x dp x cp."""
        return self.tp * self.pp * self.dp * self.cp

    @property
    def label(self) -> str:
        """``tp=8 pp=4``; ``one device`` when nothing is split."""
        degrees = {name: getattr(self, name) for name in ("tp", "pp", "dp", "ep", "cp")}
        said = " ".join(f"{name}={degree}" for name, degree in degrees.items() if degree > 1)
        return said or "one device"


def check_degrees(**degrees: int | None) -> None:
    """UsageError for a degree, or a number of devices, that makes no sense. What is left over goes
    to devices and tp alone: no other may be None."""
    for name, value in degrees.items():
        if value is None and name in ("devices", "tp"):
            continue
        if type(value) is not int or not 1 <= value <= 1_000_000:
            raise UsageError(
                f"{name}={value!r:.40} makes no sense: expected a whole number from 1 to 1,000,000"
            )


def left_over(devices: int | None, **degrees: int) -> int:
    """What degrees leave of the devices for one more; 1 where no number of them is given.
    UsageError, naming none that is 1, if they do not divide it."""
    taken = prod(degrees.values())
    if devices is None:
        return 1
    if devices % taken:
        said = " x ".join(f"{name}={degree}" for name, degree in degrees.items() if degree > 1)
        raise UsageError(
            f"{said} does not divide devices={devices}: expected degrees that multiply to the "
            "number of devices"
        )
    return devices // taken


def choose_layout(
    devices: int | None = None,
    tp: int | None = None,
    pp: int = 1,
    dp: int = 1,
    ep: int = 1,
    cp: int = 1,
    sequence: bool = False,
    overlap: float = 0.0,
    node_size: int = 0,
) -> Layout:
    """A layout; what no degree is given for goes to tensor parallelism. UsageError if the
    degrees do not multiply to ``devices``."""
    check_degrees(devices=devices, tp=tp, pp=pp, dp=dp, ep=ep, cp=cp)
    others = pp * dp * cp
    if tp is None:
        tp = left_over(devices, pp=pp, dp=dp, cp=cp)
    if devices is not None and tp * others != devices:
        raise UsageError(
            f"tp={tp} x pp={pp} x dp={dp} x cp={cp} is not devices={devices}: "
            "expected degrees that multiply to the number of devices"
        )
    if ep > 1 and (tp * dp * cp) % ep:
        raise UsageError(f"ep={ep} does not divide the {tp * dp * cp} devices of a stage")
    if not isinstance(overlap, int | float) or not 0 <= overlap <= 1:
        raise UsageError(f"overlap={overlap!r:.40} makes no sense: expected a share of 0 to 1")
    return Layout(tp, pp, dp, ep, cp, sequence, overlap, node_size)


class Share:
    """What one device of a plan does in a step: its operators, and the collectives between.

    With a ``checkpoint`` every matrix has the format that it is published in. ``beside`` is what
    the device holds of a draft model; it takes memory, and no part in a step.
    """

    def __init__(
        self,
        description: Description,
        plan: Layout,
        precision: Precision,
        checkpoint: Checkpoint | None = None,
        beside: Share | None = None,
    ) -> None:
        layers = layers_of(description)
        if plan.pp > layers:
            raise UsageError(f"pp={plan.pp} is more stages than there are layers ({layers})")
        if plan.ep > 1 and not has_experts(description):
            raise UsageError(f"ep={plan.ep} makes no sense: the model has no experts")
        self.description = description
        if plan.tp > 1 or plan.ep > 1:
            from thermoflop.cost.work.shard import shard

            self.description = shard(description, plan.tp, plan.ep)
        self.whole, self.plan, self.precision = description, plan, precision
        self.checkpoint, self.beside = checkpoint, beside
        self.element_bytes = None
        if checkpoint is not None:
            self.element_bytes = element_bytes(self.description, checkpoint)
        elif (mix := mixed_rows(precision, description)) is not None:
            self.element_bytes = element_bytes(description, mix)
        self._built: dict[tuple[object, ...], tuple[int, list[Any]]] = {}
        self._elements = 0
        self._facts: dict[str, Any] = {}

    def with_beside(self, beside: Share | None) -> Share:
        """The same with a draft model beside it."""
        return Share(self.whole, self.plan, self.precision, self.checkpoint, beside)

    def works(self, step: Step, kernels: str = "fused") -> list[Work]:
        """Operators and collectives of one step, in one list; ``kernels`` as in ``Engine``.

        Bound, expectation and every explanation of an estimate ask for the same few steps: the last
        ones are kept, but for large arrays: the operators of one block of a grid take megabytes.
        """
        return self._kept(step, kernels, lambda: self._build(step, kernels))

    def operators(self, step: Step) -> list[Operator]:
        """The operators of one step before formats and collectives, kept likewise."""
        return self._kept(step, "operators", lambda: list(build_operators(self.description, step)))

    @property
    def experts_held(self) -> float:
        """The experts of a layer that lie on a device; 0 for a model without."""
        return self.fact("experts held", lambda: _mixture(self.description)[0])

    @property
    def chosen(self) -> float:
        """The share of a layer's experts that a token chooses; 0 for a model without."""
        return self.fact("chosen", lambda: _chosen(self.whole)) if self.experts_held else 0.0

    def routed_alike(self, works: list[Work]) -> list[Work]:
        """The works of a step whose tokens all choose the same experts, on their own devices.

        A token's experts may lie on any devices: of their weights, each is sure to read no more
        than its even share. Where experts are spread over replicas, a device's k is that of its tp.
        """
        plan, top_k = self.plan, self.fact("fewest", lambda: _fewest(self.description))
        fewest = top_k * plan.tp / plan.ep if plan.ep > plan.tp else top_k
        return [
            _reading(work, fewest) if work.group == "experts" else work
            for work in works
            if work.name != "all-to-all"
        ]

    def fact(self, name: str, build: Callable[[], T]) -> T:
        """What depends on nothing but the share, such as its bytes: built once."""
        if name not in self._facts:
            self._facts[name] = build()
        found: T = self._facts[name]
        return found

    def _kept(self, step: Step, name: str, build: Callable[[], list[T]]) -> list[T]:
        key, elements = _key(step, name)
        if elements > MOST_KEPT:
            return build()
        if key not in self._built:
            built = build()
            self._elements += elements
            while self._elements > MOST_KEPT:
                self._elements -= self._built.pop(next(iter(self._built)))[0]
            self._built[key] = elements, built
        return list(self._built[key][1])

    def _build(self, step: Step, kernels: str) -> list[Work]:
        plan, wide = self.plan, self.precision.activation_bytes
        step, joined = as_run(step, kernels)
        operators = self.operators(step)
        works = works_of(operators, self.precision, self.element_bytes, joined=joined)
        tokens, source = step.batch * step.new, step.batch * step.encoder
        if plan.cp > 1:
            split = step.encode is not False
            works = [_context_share(work, plan.cp, split) for work in works]
            context = _context_works(works, plan, split)
            tokens = tokens / plan.cp if split else tokens
        if plan.tp > 1:
            works += tensor_parallel_works(
                self.description, tokens, wide, plan.tp, plan.node_size, source
            )
        if plan.ep > plan.tp:
            share = tokens / plan.tp
            works += expert_parallel_works(
                self.whole, share, wide, plan.ep, plan.node_size, source / plan.tp
            )
        if plan.cp > 1:
            works += context
        if plan.pp > 1:
            works += pipeline_works(
                self.description, tokens, wide, plan.pp, stage=plan.devices // plan.pp,
                node_size=plan.node_size,
            )  # fmt: skip
        if plan.overlap:
            works = [_hidden(work, plan.overlap) for work in works]
        return works


def _mixture(description: Description) -> tuple[float, float]:
    """The most experts that a layer has, and how many of them a token chooses; 0 without."""
    counts = [(float(moe.experts), float(moe.top_k)) for _, moe in mixtures(description)]
    return max(counts, default=(0.0, 0.0))


def _chosen(description: Description) -> float:
    experts, top_k = _mixture(description)
    return top_k / experts


def _fewest(description: Description) -> float:
    """The fewest experts that a token chooses in a layer that has some."""
    return min(float(moe.top_k) for _, moe in mixtures(description))


def _reading(work: Work, experts: float) -> Work:
    """A product of experts that reads the weights of so many of them."""
    sets = getattr(work.operator, "sets", None)
    if sets is None:
        return work
    read, weight_bytes = sets, work.weight_bytes
    if is_array(sets):  # an expert has as many bytes in every run of a grid
        read, weight_bytes = sets.flat[0], weight_bytes.flat[0]
    return replace(work, weight_bytes=weight_bytes * min(experts / read, 1.0))


def _key(step: Step, name: str) -> tuple[tuple[object, ...], int]:
    """What tells steps apart, and how many elements they have. 2 and 2.0 count alike, but print
    differently, and stay two."""
    values = tuple(step.__dict__.values())
    key = (name, *map(type, values), *values)
    try:
        hash(key)
    except TypeError:  # arrays have no hash
        arrays = [value for value in values if getattr(value, "ndim", 0)]
        elements = max([LEAST_ELEMENTS, *(array.size for array in arrays)])
        if elements > MOST_KEPT:
            return (), elements
        return (name, *(_told_apart(value) for value in values)), elements
    return key, LEAST_ELEMENTS


def _told_apart(value: Any) -> object:
    if getattr(value, "ndim", 0):
        return value.shape, value.dtype.str, value.tobytes()
    return type(value), value


def _hidden(work: Work, overlap: float) -> Work:
    """A collective of which a share costs no time; other work as it is."""
    return replace(work, times=work.times * (1 - overlap)) if work.kind == "network" else work


def _context_share(work: Work, cp: int, split: bool) -> Work:
    """One device's part: of a prompt or a training step (``split``) its tokens, which attend to all
    keys and values; of a decode step its part of the cache alone. Weights stay whole, and every
    device runs the new token through them."""
    if split:
        cached = work.kv_bytes if work.kind == "attention" else work.kv_bytes / cp
        wide = work.activation_bytes / cp
        return replace(work, flops=work.flops / cp, kv_bytes=cached, activation_bytes=wide)
    if work.kind != "attention":
        return work
    shared = replace(work, flops=work.flops / cp, row_flops=work.row_flops / cp)
    return replace(shared, kv_bytes=work.kv_bytes / cp)


def _context_works(works: list[Work], plan: Layout, split: bool) -> list[Work]:
    """What attention sends over a divided sequence.

    Of a prompt (``split``) keys and values of all pass every device: ring attention (Liu, Zaharia,
    Abbeel 2023). Decoding over a divided cache, partial results of every head meet in an
    all-reduce. Queries in and results out are the activations of attention; the results, with a
    maximum and a sum for each head, are half of them (flash decoding, Dao et al. 2023).
    """
    name, collective, algorithm = "merge context", "all-reduce", "tree"
    if split:
        name, collective, algorithm = "ring KV", "all-gather", "ring"
    return [
        collective_work(
            name, work.times, collective, work.kv_bytes if split else work.activation_bytes / 2,
            plan.cp, steps=steps_of(collective, plan.cp, algorithm), apart=plan.tp,
            node_size=plan.node_size,
        )
        for work in works
        if work.kind == "attention"
    ]  # fmt: skip
