"""Working off an estimate: one configuration, or a grid in blocks that stay in the cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermoflop.cost.roofline.bound import bound_decode_s, bound_step_s, sums_of
from thermoflop.cost.energy import energy_of
from thermoflop.cost.inference.estimate import Estimate, Setting, Span, step_s
from thermoflop.cost.roofline.decode import decode_s
from thermoflop.cost.memory import memory_of
from thermoflop.cost.work.steps import CONVENTIONS
from thermoflop.base.number import kind_of, maximum
from thermoflop.base.record import is_record, replace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from thermoflop.cost.arguments import Asked
    from thermoflop.cost.energy import Energy
    from thermoflop.cost.memory import Memory
    from thermoflop.base.number import Number

# Elements worked on at once: a few dozen arrays of them stay in a core's own cache.
BLOCK = 16384


def in_blocks(setting: Setting, asked: Asked, chunk: int | None) -> Estimate:
    """One estimate; of a grid, the blocks' results put together again."""
    sizes = (asked.batch, asked.prompt, asked.generate, asked.prefix)
    if all(kind_of(size) != "numpy" for size in sizes):
        return one(setting, asked, chunk)
    import numpy as np

    shaped = np.broadcast_arrays(*(np.asarray(size, dtype=np.float64) for size in sizes))
    shape = shaped[0].shape
    flat = [array.reshape(-1) for array in shaped]
    parts = [
        one(setting, replace(asked, **dict(zip(_SIZES, block, strict=True))), chunk)
        for block in _blocks(flat)
    ]
    joined: Estimate = _joined(parts, shape)
    return joined


_SIZES = ("batch", "prompt", "generate", "prefix")


def _blocks(flat: list[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(flat[0]), BLOCK):
        yield [array[start : start + BLOCK] for array in flat]


def _joined(parts: list[Any], shape: tuple[int, ...]) -> Any:
    """Records of arrays, one after the other; what is no array must be the same in all."""
    import numpy as np

    first = parts[0]
    if is_record(first):
        fields = {
            name: _joined([getattr(part, name) for part in parts], shape)
            for name in type(first).__record_fields__
        }
        return type(first)(**fields)
    if isinstance(first, np.ndarray):
        return np.concatenate(parts).reshape(shape)
    return first


def prefill_s(setting: Setting, asked: Asked, chunk: int | None) -> tuple[Number, Number]:
    """Bound and expectation of reading the prompt.

    In chunks the weights are read again for each; over pipeline stages the chunks overlap, n of
    them on p stages in (n + p - 1)/(n p) of the time. The middle chunk stands for all.
    """
    batch, new = asked.batch / setting.plan.dp, asked.prompt - asked.prefix
    whole = setting.prefill(new, batch, asked.prefix)
    least = (
        setting.least_prefill(new, batch, asked.prefix) if setting.profile.engine.adds else whole
    )
    bound = bound_step_s(least, setting.limits, batch * new)
    overhead = setting.rates.efficiency.prompt_s
    if chunk is None:
        return bound, overhead + step_s(whole, batch, setting.rates)
    count = maximum(-(-new // chunk), 1)
    size = new / count
    middle = asked.prefix + (new - size) / 2
    each = step_s(setting.prefill(size, batch, middle), batch, setting.rates)
    return bound, overhead + each * (count + setting.plan.pp - 1) / setting.plan.pp


def one(setting: Setting, asked: Asked, chunk: int | None) -> Estimate:
    """The estimate of one configuration, or of one block of a grid."""
    batch = asked.batch / setting.plan.dp
    first_bound, first = prefill_s(setting, asked, chunk)
    steps = maximum(asked.generate - 1, 0)
    works_at, ends = setting.decoding(batch), setting.ends
    least_at = setting.least_decoding(batch)
    later_bound = bound_decode_s(least_at, asked.prompt, steps, setting.limits, batch, ends)
    later = decode_s(works_at, asked.prompt, steps, batch, setting.rates, ends)
    divisor = maximum(steps, 1)
    first_span = setting.span("prefill", first_bound, first)
    later_span = setting.span("token", later_bound / divisor, later / divisor)
    total = _total(first_span, later_span, first_bound + later_bound, steps)
    return Estimate(
        setting.model.name, setting.device, setting.plan, setting.precision, asked.batch,
        asked.prompt, asked.generate, first_span, later_span, total, _memory(setting, asked, batch),
        _energy(setting, asked, batch, total), setting.profile.provenance(
            setting.device, setting.precision), CONVENTIONS,
    )  # fmt: skip


def _total(first: Span, later: Span, bound: Number, steps: Number) -> Span:
    """Both phases; the interval is the phases' own, weighed by their times."""
    expected = first.expected_s + steps * later.expected_s
    low = first.low_s + steps * later.low_s
    high = first.high_s + steps * later.high_s
    return Span(bound, maximum(expected, bound), maximum(low, bound), maximum(high, bound))


def _memory(setting: Setting, asked: Asked, batch: Number) -> Memory:
    return memory_of(setting.share, setting.device, asked.prompt, asked.generate, batch, asked.page)


def _energy(setting: Setting, asked: Asked, batch: Number, total: Span) -> Energy | None:
    """Energy of the run, from the FLOPs and bytes of its first and its middle decode step."""
    if setting.device.power_w is None:
        return None
    read = sums_of(setting.least_prefill(asked.prompt - asked.prefix, batch, asked.prefix))
    steps = maximum(asked.generate - 1, 0)
    each = sums_of(setting.least_decoding(batch)(asked.prompt + steps / 2))
    plan = setting.plan
    flops = (read.flops + steps * each.flops) / plan.pp
    moved = read.weight_bytes + read.kv_bytes + steps * (each.weight_bytes + each.kv_bytes)
    tokens = asked.batch * maximum(asked.generate, 1)
    peak = setting.limits.peak_flops_s
    return energy_of(
        setting.device, plan.devices, peak, flops, moved / plan.pp, total.expected_s, tokens
    )
