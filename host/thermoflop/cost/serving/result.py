"""The result of ``tf.serving``, and its text."""

from __future__ import annotations

from typing import Any

from thermoflop.base.paper import hanging
from thermoflop.base.record import plain, record
from thermoflop.base.units import counted, digits, kwh_per_million, seconds, wrapped
from thermoflop.cost.hardware.device import Device
from thermoflop.cost.hardware.precision import Precision, format_name
from thermoflop.cost.serving.simulation import Simulation
from thermoflop.cost.work.share import Layout

# What keeps a server from answering more requests a second.
LIMITS = {
    "users": "users: fewer ask than could be served at once",
    "rate": "rate: fewer requests come than could be answered",
    "memory": "memory: no more sequences fit beside the weights",
    "batch": "batch: the engine runs no more sequences at once",
    "full": "steps: more users would only make them longer",
    "prompts": "prompts: more sequences would only wait for more prompts",
    "target": "target: more sequences would make tokens slower than asked",
    "first": "target: more sequences would make the first token come late",
}


@record
class Bounds:
    """What no server of these sizes beats: see ``serving.bounds``.

    Attributes:
        token_s: least mean seconds between a user's tokens, where each is sent as it is made.
        first_s: least mean seconds to the first token.
        tokens_per_s: most output tokens a second of all replicas.

    Example:
        >>> import thermoflop as tf
        >>> served = tf.serving("llama-3-8b", "h100", users=8)
        >>> served.bounds.token_s < served.token_s[0]
        True
    """

    token_s: float
    first_s: float
    tokens_per_s: float


@record
class Serving:
    """A server in steady state, made by ``serving``. Print it for a report.

    Attributes:
        model_name: the model's name.
        device: the device.
        plan: how the model is spread over devices, replicas included.
        precision: the number formats of the run.
        engine: the engine whose profile and policy this is.
        policy: how it mixes prompts with decoding, as a sentence.
        budget: tokens that a step runs at most.
        prompt: mean tokens of a prompt.
        generate: mean tokens of an output.
        prefix_hit: share of each prompt that the cache holds already.
        users: users who ask again as soon as they are answered; None where a rate is given.
        rate: requests a second; of ``users`` what they come to.
        saturated: whether requests arrive faster than they can be answered, and pile up: then all
            times are those of a server that is full.
        sequences: sequences that decode at once, in all replicas.
        largest_batch: sequences that memory holds, in all replicas.
        most_sequences: sequences that can run at once: those, or as many as the engine runs.
        token_s: seconds between a user's tokens: low end, expectation, high end (80 %).
        first_s: mean seconds to a request's first token, likewise; waiting included.
        queue_s: seconds of that before its prompt is begun.
        benchmark_first_s: the same as a benchmark of ten requests a user sees that starts them all
            at once, the mean of all requests; None where a rate is given.
        prompt_share: share of a step's time that goes to prompts.
        most_requests_per_s: requests a second that can be kept up.
        tokens_per_s_interval: low and high end (80 %) of ``tokens_per_s``.
        load: ``rate`` over that.
        limit: what keeps it from more, the first that is hit: users, rate, memory, batch, full,
            prompts, target or first.
        meets: whether the targets are met; None without any.
        joules_per_token: joules of all devices for each output token; None without a power.
        unknown: what the closed form does not know of this state, as sentences.
        simulation: the event loop on the same question, or None.
        most_within: where the targets are missed, or no load was named, the most users (or requests
            a second) that meet them, 0 where not one does; else None.
        provenance: what the times rest on, as a sentence.
        notes: what an engine would not do as it is asked, as sentences.
        benchmark_interval_s: low and high end (80 %) of ``benchmark_first_s``; None likewise.
        limited_by: the engine's option that says how many sequences run at once; "" where none
            does, or what was asked for.
        engine_options: the engine's options that were given; None, the default: none.
        benchmark_token_s: ``token_s`` of a benchmark that starts all its users at once, where
            outputs that are all alike, and prompts that are read before any of them decodes, keep
            those together; None, the default: as others.
        bounds: what no server beats; None, the default, where ``serving`` did not make this.

    Example:
        >>> import thermoflop as tf
        >>> served = tf.serving("llama-3-70b", "h100", tp=4, dtype="fp8", users=64)
        >>> low, expected, high = served.token_s
        >>> low < expected < high and served.tokens_per_s_device == served.tokens_per_s / 4
        True
    """

    model_name: str
    device: Device
    plan: Layout
    precision: Precision
    engine: str
    policy: str
    budget: int
    prompt: float
    generate: float
    prefix_hit: float
    users: int | None
    rate: float
    saturated: bool
    sequences: float
    largest_batch: int
    most_sequences: int
    token_s: tuple[float, float, float]
    first_s: tuple[float, float, float]
    queue_s: float
    benchmark_first_s: float | None
    prompt_share: float
    most_requests_per_s: float
    tokens_per_s_interval: tuple[float, float]
    load: float
    limit: str
    meets: bool | None
    joules_per_token: float | None
    unknown: tuple[str, ...]
    simulation: Simulation | None = None
    most_within: float | None = None
    provenance: str = ""
    notes: tuple[str, ...] = ()
    benchmark_interval_s: tuple[float, float] | None = None
    limited_by: str = ""
    engine_options: dict[str, Any] | None = None
    benchmark_token_s: tuple[float, float, float] | None = None
    bounds: Bounds | None = None

    @property
    def tokens_per_s(self) -> float:
        """Output tokens a second of all replicas."""
        return min(self.rate, self.most_requests_per_s) * self.generate

    @property
    def tokens_per_s_device(self) -> float:
        """Output tokens a second and device."""
        return self.tokens_per_s / self.plan.devices

    @property
    def tokens_per_s_user(self) -> float:
        """Tokens a second that a user sees."""
        return 1 / self.token_s[1]

    def __str__(self) -> str:
        return serving_text(self)


def _cache_said(precision: Precision) -> str:
    """The width of the cache, where that is not the activations'."""
    bits = 8 * precision.kv_bytes
    return "" if bits == 8 * precision.activation_bytes else f", cache in {bits:g} bits"


def serving_text(served: Serving) -> str:
    """A report, at most 100 columns wide."""
    plan, users = served.plan, served.users
    asked = "" if users is None else f"{users:,} user{'s' * (users != 1)} at once, "
    engine = "no engine named" if served.engine == "default" else served.engine
    cached = f", {served.prefix_hit:.0%} cached" if served.prefix_hit else ""
    head = f"{served.model_name} on {plan.devices} x {served.device.name} ({plan.label}), "
    sizes = f"{counted(served.prompt)} prompt{cached} + {counted(served.generate)} output tokens"
    rows = [[f"  {name}", value, more] for name, value, more in _figures(served)]
    lines = [
        wrapped(head + f"{format_name(served.precision)}{_cache_said(served.precision)}, {engine}"),
        f"{asked}{digits(served.rate)} requests/s; {sizes}",
        *([wrapped(served.precision.said)] if served.precision.said else []),
        *_verdict(served),
        "",
        *(hanging(f"{name}  {value}  ", more) for name, value, more in _aligned(rows)),
    ]
    lines += ["", wrapped(f"limit: {_limit(served)}"), wrapped(f"engine: {served.policy}")]
    if served.engine_options:
        given = ", ".join(f"{name}={value}" for name, value in served.engine_options.items())
        lines.append(wrapped(f"{engine}: {given}"))
    lines += [wrapped(served.provenance)] if served.provenance else []
    if served.simulation is not None:
        lines += ["", simulation_text(served.simulation)]
    return "\n".join(lines)


def _limit(served: Serving) -> str:
    """What keeps it from more, with the option that would let it."""
    said = LIMITS[served.limit]
    if served.limit == "batch" and served.limited_by:
        name, each = served.limited_by, served.most_sequences // served.plan.dp
        of_each = " a replica" if served.plan.dp > 1 else ""
        said += f" ({each:,}{of_each} by {name}; --engine-option {name}=N changes that)"
    return said


def _in_benchmark(served: Serving) -> list[tuple[str, str, str]]:
    """The first token that a benchmark sees."""
    if served.benchmark_first_s is None:
        return []
    ends = " to ".join(map(seconds, served.benchmark_interval_s or ()))
    between = f"({ends}), " if ends else ""
    said = f"{between}mean if all start at once and ask ten times"
    return [("  in a benchmark", seconds(served.benchmark_first_s), said)]


def _in_step(served: Serving) -> list[tuple[str, str, str]]:
    """The tokens that a benchmark sees whose users begin and end together."""
    if served.benchmark_token_s is None:
        return []
    low, token, high = map(seconds, served.benchmark_token_s)
    said = f"({low} to {high}), where all start, and so end, at once"
    return [("  in a benchmark", token, said)]


def _verdict(served: Serving) -> list[str]:
    """What matters more than any figure, which stands before them."""
    lines = []
    if served.saturated:
        come, most = digits(served.rate), digits(served.most_requests_per_s)
        lines.append(wrapped(
            f"OVERLOADED: {come} requests/s come and {most} can be answered: the wait grows "
            "without end; the times below are those of a full server, without that wait"
        ))  # fmt: skip
    elif served.users is not None and served.users > served.most_sequences:
        wait = served.users - served.most_sequences
        lines.append(wrapped(
            f"FULL: of {served.users:,} users {wait:,} wait for a slot at any time, each "
            f"{seconds(served.queue_s)} of the time to its first token"
        ))  # fmt: skip
    if served.meets is not None:
        lines.append(f"targets: {_met(served) if served.meets else _missed(served)}")
    lines += [wrapped(f"not known: {sentence}") for sentence in served.unknown]
    lines += [wrapped(f"note: {sentence}") for sentence in served.notes]
    return ["", *lines] if lines else []


def _met(served: Serving) -> str:
    """That they are met; where no load was named, by the most users, of whom the figures are."""
    if served.most_within is None:
        return "met"
    full = "; more would wait for a slot" if served.users == served.most_sequences else ""
    return f"met by up to {served.most_within:,.0f} user{'s' * (served.most_within != 1)}{full}"


def _missed(served: Serving) -> str:
    """By whom the targets would be met."""
    most = served.most_within or 0
    if served.users is None:
        would = f"up to {digits(most)} requests/s would meet them" if most else "no rate meets them"
    elif most:
        would = f"up to {most:,.0f} user{'s' * (most != 1)} would meet them"
    else:
        would = "not even one user meets them"
    return f"MISSED: {would}"


def _figures(served: Serving) -> list[tuple[str, str, str]]:
    """Name, value and what else to know of each figure."""
    low, token, high = served.token_s
    soon, first, late = served.first_s
    least, most = map(digits, served.tokens_per_s_interval)
    between = "" if least == most else f" ({least} to {most})"  # alike: all that is asked for
    waiting = f"{seconds(served.queue_s)} of it waiting"
    waiting = "and a wait that grows" if served.saturated else waiting
    slots, fitting = f"{served.most_sequences:,}", f"{served.largest_batch:,}"
    token_bound, first_bound, rate_bound = _bounds(served)
    figures = [
        ("a user's tokens", seconds(token),
         f"apart ({seconds(low)} to {seconds(high)}), {digits(1 / token)} tokens/s{token_bound}"),
        *_in_step(served),
        ("first token", seconds(first),
         f"({seconds(soon)} to {seconds(late)}), {waiting}{first_bound}"),
        *_in_benchmark(served),
        ("throughput", digits(served.tokens_per_s),
         f"tokens/s{between}, {digits(served.tokens_per_s_device)} a device{rate_bound}"),
        ("decoding at once", digits(served.sequences),
         f"of {slots} sequences{_replicas(served)} (memory holds {fitting})"),
        ("prompts take", f"{served.prompt_share:.0%}", "of the time"),
        ("load", f"{served.load:.0%}",
         f"of {digits(served.most_requests_per_s)} requests/s, the most that it keeps up"),
    ]  # fmt: skip
    if served.joules_per_token is not None:
        joules = served.joules_per_token
        said = f"J a token, {kwh_per_million(joules)} a million"
        figures.append(("energy", digits(joules), said))
    return figures


def _bounds(served: Serving) -> tuple[str, str, str]:
    """What stands behind the tokens, the first of them and the throughput."""
    if served.bounds is None:
        return "", "", ""
    token_s, first_s, rate = served.bounds.__dict__.values()
    most = f"; bound {digits(rate)}" + " at any rate" * (served.users is None)
    return f"; bound {seconds(token_s)}", f"; bound {seconds(first_s)}", most


def _replicas(served: Serving) -> str:
    """That they are those of all replicas, where there are several."""
    return "" if served.plan.dp == 1 else f" in {served.plan.dp} replicas"


def _aligned(rows: list[list[str]]) -> list[list[str]]:
    """Names to the left, values to the right."""
    names, values = (max(len(row[column]) for row in rows) for column in (0, 1))
    return [[name.ljust(names), value.rjust(values), more] for name, value, more in rows]


def simulation_text(simulation: Simulation) -> str:
    """Quantiles of an event loop."""
    rows = (
        ("first token", simulation.first_s, simulation.first_mean_s),
        ("a user's tokens", simulation.token_s, simulation.token_mean_s),
    )
    how = f"{simulation.requests:,} requests ({simulation.arrivals}, seed {simulation.seed})"
    lines = [f"simulated: {how}, {digits(simulation.requests_per_s)} requests/s"]
    for name, quantiles, mean in rows:
        parts = (f"p{n} {seconds(value)}" for n, value in zip((50, 90, 99), quantiles, strict=True))
        lines.append(f"  {name:<16} {', '.join(parts)}; mean {seconds(mean)}")
    if simulation.within is not None and simulation.goodput is not None:
        good = digits(simulation.goodput)
        lines.append(f"  within the target {simulation.within:.1%}: goodput {good} requests/s")
    return "\n".join(lines)


def serving_json(served: Serving) -> dict[str, Any]:
    """A server as one object."""
    follows = ("tokens_per_s", "tokens_per_s_device", "tokens_per_s_user")
    return {
        **plain(served),
        "device": served.device.name,
        **{name: getattr(served, name) for name in follows},
    }
