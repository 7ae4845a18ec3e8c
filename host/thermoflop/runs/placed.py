"""A result beside the run that can have been: all of the model on the device, or a part of it in
the computer's memory, as ``fit`` leaves it there; and the format that the result looks like."""

from __future__ import annotations

from contextlib import suppress

from thermoflop.base.record import record
from thermoflop.base.units import digits, gigabytes, seconds
from thermoflop.cost.roofline.span import Span
from thermoflop.errors import ThermoflopError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any

    from thermoflop.cost.hardware.device import Device
    from thermoflop.cost.inference.hosted import Hosted
    from thermoflop.cost.inference.remedies import Remedy
    from thermoflop.cost.inference.result import Estimate
    from thermoflop.cost.inference.what_fits import Fit
    from thermoflop.model.model import Model
    from thermoflop.runs.engines.llama_bench import BenchTest
    from thermoflop.runs.judged import Judged

# Formats that a result is likely of which is none of the one that was named, the commonest first.
_FILES, _SERVED = ("q4_k_m", "q8_0"), ("fp8", "awq")


@record
class Times:
    """The spans of a run; ``first`` and ``total`` are None where they are not known."""

    first: Span | None
    token: Span
    total: Span | None


@record
class Part:
    """An estimate of what was measured, what fits of it, which of its times are judged, and the
    part in the computer's memory that the result itself says."""

    estimate: Estimate
    capacity: Callable[[], Fit]
    judge: Callable[[Estimate, Times], Iterable[Judged]]
    laid: Hosted | None = None

    def judged(self, times: Times) -> tuple[Judged, ...]:
        """What was measured beside these times."""
        return tuple(self.judge(self.estimate, times))


@record
class Outcome:
    """The figures, and of a ``Check`` the fields of the same names; ``others`` are notes."""

    figures: tuple[Judged, ...]
    missing: str = ""
    hosted: str = ""
    instead: str = ""
    others: tuple[str, ...] = ()


def outcome(parts: Sequence[Part], ask: Callable[[str], Sequence[Part]] | None) -> Outcome:
    """What was measured beside what can have run. ``ask`` says the same of another format; None:
    the result says its own."""
    laid = [(part, part.laid) for part in parts if part.laid is not None]
    if len(laid) == len(parts):
        each = (part.judged(hosted_times(part.estimate, hosted)) for part, hosted in laid)
        figures = tuple(figure for judged in each for figure in judged)
        return Outcome(figures, hosted=f"{laid[0][1].size} in the computer's memory")
    unfit = next((part for part in parts if not part.estimate.fits), None)
    if unfit is None:
        figures = _whole(parts)
        return Outcome(figures, instead=_like(parts[0].estimate, figures, ask))
    memory = unfit.capacity().memory
    missing = f"{gigabytes(memory.total_bytes)} of {gigabytes(memory.capacity_bytes)}"
    missing += " a device" * (unfit.estimate.plan.devices > 1)
    ways = _ways(parts)
    if not ways:
        figures = _whole(parts)
        instead = _like(unfit.estimate, figures, ask, named=True)
        return Outcome(figures, missing, "", instead, ("all is estimated as if it fitted",))
    inside = (way for way in ways if {each.verdict for each in way[1]} == {"inside"})
    text, figures = next(inside, ways[0])
    others = tuple(other for other, _ in ways if other != text)
    hosted, _, _ = text.rpartition("): ")
    instead = _like(unfit.estimate, figures, ask)
    return Outcome(figures, missing, f"{hosted})", instead, others)


def laid_by(
    model: Model, hardware: str | Device, options: dict[str, Any], test: BenchTest
) -> Hosted | None:
    """What llama-bench left in the computer's memory; None for nothing, or where it is not known
    how fast that is."""
    from thermoflop.cost.inference.capacity import fit
    from thermoflop.cost.work.weights import layers_of

    layers = layers_of(model.description)
    if test.layers is None or test.layers >= layers or options.get("profile") != "llama.cpp":
        return None
    sizes = {name: value for name, value in options.items() if name != "prefix"}
    placed = {"n_gpu_layers": test.layers}
    return fit(model, hardware, **sizes, engine_options=placed).hosted


def _whole(parts: Sequence[Part]) -> tuple[Judged, ...]:
    """All on the device, whether it fits or not."""
    figures: list[Judged] = []
    for part in parts:
        run = part.estimate
        figures += part.judged(Times(run.first_token, run.per_token, run.total))
    return tuple(figures)


def _ways(parts: Sequence[Part]) -> list[tuple[str, tuple[Judged, ...]]]:
    """The ways to leave a part of the model in the computer's memory that all parts have, each in
    words and as the figures that it gives, the fastest first."""
    each = [_on_host(part) for part in parts]
    found = []
    for kind, (remedy, _) in each[0].items():
        if not all(kind in ways for ways in each):
            continue
        figures: list[Judged] = []
        for part, ways in zip(parts, each, strict=True):
            figures += part.judged(hosted_times(part.estimate, ways[kind][1]))
        if figures:
            found.append((remedy.tokens_per_s or 0.0, remedy.text, tuple(figures)))
    return [(text, figures) for _, text, figures in sorted(found, key=lambda way: -way[0])]


def _on_host(part: Part) -> dict[str, tuple[Remedy, Hosted]]:
    """What ``fit`` says of the computer's memory, by its kind."""
    from thermoflop.cost.inference.remedies import on_host

    capacity = part.capacity()
    if capacity.cards:
        return {}
    room, load, host_gb_s = capacity.room
    ways = on_host(room, capacity.plan, load, host_gb_s)
    return {remedy.kind: (remedy, hosted) for remedy, hosted in ways}


def hosted_times(estimated: Estimate, hosted: Hosted) -> Times:
    """The times of a run with a part of the model in the computer's memory. Its bound is that of
    all on the device, which reads faster. A prompt of which a part is cached is not known."""
    low, expected, high = hosted.tokens_per_s
    token = _span(estimated.per_token, 1 / expected, 1 / high, 1 / low)
    if hosted.prompt_tokens_per_s is None or estimated.setting.prefix:
        return Times(None, token, None)
    tokens, steps = estimated.batch * estimated.prompt, max(0, estimated.generate - 1)
    low, expected, high = (tokens / rate for rate in reversed(hosted.prompt_tokens_per_s))
    first = _span(estimated.first_token, expected, low, high)
    total = _span(
        estimated.total, first.expected_s + steps * token.expected_s,
        first.low_s + steps * token.low_s, first.high_s + steps * token.high_s,
    )  # fmt: skip
    return Times(first, token, total)


def _span(whole: Span, expected_s: float, low_s: float, high_s: float) -> Span:
    bound_s = whole.bound_s
    return Span(bound_s, *(max(bound_s, time_s) for time_s in (expected_s, low_s, high_s)))


def _like(
    estimated: Estimate,
    figures: Sequence[Judged],
    ask: Callable[[str], Sequence[Part]] | None,
    named: bool = False,
) -> str:
    """A sentence on a narrower format whose intervals hold what is too fast for this one, on the
    device or with a part in the computer's memory; where there is none, and one is to be ``named``,
    on the first that fits."""
    fast = named or {"faster", "beyond"} & {each.verdict for each in figures}
    if ask is None or not fast:
        return ""
    fitting = []
    for dtype, found in _narrower(estimated, ask):
        low, high = _ends(found.figures[0])
        where = found.hosted and f" with {found.hosted}"
        said = f"{dtype} (--dtype {dtype}){where}, of which {low} to {high} are expected"
        if {each.verdict for each in found.figures} == {"inside"}:
            return f"It looks like {said}."
        if not found.missing:
            fitting.append(f"It fits in {said}.")
    return fitting[0] if fitting and named else ""


def _narrower(
    estimated: Estimate, ask: Callable[[str], Sequence[Part]]
) -> Iterator[tuple[str, Outcome]]:
    """Likely formats that are narrower and can run, and what was measured beside each."""
    asked = estimated.setting.asked
    files = asked is None or estimated.setting.profile.engine.name == "llama.cpp"
    for dtype in (*_FILES, *_SERVED) if files else (*_SERVED, *_FILES):
        with suppress(ThermoflopError):  # one that the engine, the device or the model lacks
            parts = ask(dtype)
            if parts[0].estimate.precision.weight_bits >= estimated.precision.weight_bits:
                continue
            found = outcome(parts, None)
            if found.hosted or not found.missing:
                yield dtype, found


def _ends(figure: Judged) -> tuple[str, str]:
    """The interval of a figure in words."""
    if figure.is_rate:
        return digits(figure.low), f"{digits(figure.high)} tokens/s"
    return seconds(figure.low), seconds(figure.high)
