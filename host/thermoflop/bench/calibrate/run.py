"""Measure this machine and keep the profile; an interrupted one leaves the old profile alone."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from functools import partial
from statistics import median
from typing import Any

from thermoflop.base.progress import part, say, tracked
from thermoflop.base.record import plain
from thermoflop.bench.backend import Backend, times
from thermoflop.bench.calibrate.busy import Others, Patience
from thermoflop.bench.calibrate.fit import agreed, spread, tables
from thermoflop.bench.calibrate.grid import CPU, GPU, QUICK, Grid, Node, fixed_works, nodes
from thermoflop.bench.kernels import Pool, kernel
from thermoflop.bench.limits import Best, cold_share, find_best, open_pool
from thermoflop.bench.measure import PHASES, Bench, Case, StepRow
from thermoflop.cost.catalogue.machine import (
    FORMAT,
    KIND,
    machine,
    machine_profile_from,
    path_of,
)
from thermoflop.cost.catalogue.own_kernels import write_own
from thermoflop.cost.catalogue.profiles import profile_of
from thermoflop.cost.hardware.precision import Precision, choose_precision
from thermoflop.cost.work.work import Work
from thermoflop.errors import UsageError
from thermoflop.model.load import load_model
from thermoflop.model.operators.kinds import MatMul

LEAST_S = 0.025  # of measuring one shape, each of two times
QUICK_S = 0.015


def _llama(hidden: int, heads: int, kv: int, inner: int, layers: int) -> dict[str, Any]:
    return {
        "model_type": "llama", "hidden_size": hidden, "num_hidden_layers": layers,
        "num_attention_heads": heads, "num_key_value_heads": kv, "intermediate_size": inner,
        "vocab_size": 20_000, "max_position_embeddings": 4096,
    }  # fmt: skip


def _gpt2(hidden: int, heads: int, layers: int) -> dict[str, Any]:
    return {
        "model_type": "gpt2", "n_embd": hidden, "n_layer": layers, "n_head": heads,
        "n_positions": 2048, "vocab_size": 30_000,
    }  # fmt: skip


# Decoders that no one has: what tables say is held against them, and the spread comes from there.
# Each with its batches and prompts; so many tokens are generated.
GENERATE, GENERATE_GPU = 12, 24
HELD_OUT: dict[str, tuple[dict[str, Any], tuple[tuple[int, int], ...]]] = {
    "wide": (_gpt2(1280, 20, 6), ((1, 100), (3, 40))),
    "grouped": (_llama(1152, 18, 6, 3200, 8), ((1, 300), (6, 24))),
    "narrow": (_gpt2(640, 10, 10), ((1, 400), (2, 80))),
    "deep": (_llama(832, 13, 13, 2300, 14), ((1, 50), (4, 90))),
}

# For a GPU they are as large as what runs there, and one has experts.
_EXPERTS = {"model_type": "mixtral", "num_local_experts": 8, "num_experts_per_tok": 2}
HELD_OUT_GPU: dict[str, tuple[dict[str, Any], tuple[tuple[int, int], ...]]] = {
    "many layers": (_gpt2(1280, 20, 24), ((1, 300), (24, 200))),
    "grouped": (_llama(3072, 24, 8, 9216, 12), ((1, 700), (40, 300))),
    "wide": (_llama(5120, 40, 8, 13824, 8), ((4, 400), (12, 900))),
    "experts": (_llama(2048, 16, 4, 6144, 10) | _EXPERTS, ((1, 400), (20, 300))),
}


def calibrate(
    name: str, backend: Backend, quick: bool = False,
    notify: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:  # fmt: skip
    """Measure, fit, and keep the profile ``name``; its JSON object.

    UsageError for a name that belongs to an engine or a device; StorageError where it cannot be
    written.
    """
    check_name(name)
    started_s, others = time.monotonic(), Others()
    pool = open_pool(backend)
    precision = choose_precision(backend.dtype)
    say(0, 1, "best rates")
    best = find_best(backend, pool)
    grid = GPU if backend.device != "cpu" else QUICK if quick else CPU
    meter = _Meter(backend, pool, best, QUICK_S if quick else LEAST_S)
    with part(0.0, 0.7):
        measured, fixed = _measured(grid, meter, backend, precision, quick)
    best = meter.best
    raw = _raw(name, backend, best, measured, fixed, quick)
    with part(0.7, 1.0):
        checks = _held_out(raw, backend, pool, best, quick)
    _set_spread(raw, *checks)
    made = raw["made"]
    made["measured_s"] = round(time.monotonic() - started_s, 1)
    shapes = sum(len(node.works) for node, _ in measured)
    steps = sum(map(len, checks[1].values()))
    made["measurements"] = 2 * shapes + len(checks[0]) + steps
    made["others_share"] = others.share()
    path = write_own(raw)
    if (made["others_share"] or 0) > Others.NOTABLE:
        notify(
            f"other programs took {made['others_share']:.0%} of the processors meanwhile: "
            "expectations may be off; make it again when they rest"
        )
    notify(f"kept as {path}")
    return raw


def check_name(name: str) -> None:
    """UsageError for a name that cannot be kept, or that means something else already."""
    from thermoflop.cost.catalogue.devices import is_known
    from thermoflop.cost.engines.engine import ENGINES

    path_of(name)
    low = name.strip().lower()
    taken = low == "default" or any(
        low == engine.name or low.startswith(engine.prefixes) for engine in ENGINES
    )
    if taken or is_known(low):
        raise UsageError(f"--name {name!r:.60} is an engine or a device already: take another")


class _Meter:
    """Times shapes, and keeps the best rates that any of them showed."""

    def __init__(self, backend: Backend, pool: Pool, best: Best, least_s: float) -> None:
        self.best = best
        self._backend, self._pool, self._least_s = backend, pool, least_s
        self._around = pool.pass_through() if backend.device == "cpu" else None
        self._cold = cold_share(pool, best)
        self._patience = Patience()

    def seconds(self, works: Sequence[Work]) -> float:
        """The mean of the medians of several shapes; 0 where one cannot be run."""
        product = 1.0
        for work in works:
            call = kernel(work, self._pool)
            if call is None:
                return 0.0
            timing = partial(times, self._backend, call, self._around, self._least_s)
            times_s = self._patience.undisturbed(timing)
            if isinstance(work.operator, MatMul):  # its weights did come from memory
                self.best = self.best.raised(work, min(times_s), self._cold)
            product *= max(median(times_s), 1e-7)
        return float(product ** (1 / len(works)))


def _measured(
    grid: Grid, meter: _Meter, backend: Backend, precision: Precision, quick: bool
) -> tuple[list[tuple[Node, float]], dict[str, float]]:  # fmt: skip
    """Every node twice, the second time after all others: what disturbs one does not the other."""
    fixed = {key: [meter.seconds([work])] for key, work in fixed_works(precision).items()}
    grid_nodes = list(nodes(grid, backend, precision, quick))
    with part(0.0, 0.5):
        first = [
            meter.seconds(node.works)
            for node in tracked(grid_nodes, "measuring", lambda node: node.key)
        ]
    measured = []
    pairs = list(zip(grid_nodes, first, strict=True))
    with part(0.5, 1.0):
        for node, once_s in tracked(pairs, "measuring again", lambda pair: pair[0].key):
            if once_s == 0:
                continue
            again_s = meter.seconds(node.works)
            measured.append((node, agreed(once_s, again_s, partial(meter.seconds, node.works))))
    for key, work in fixed_works(precision).items():
        fixed[key].append(meter.seconds([work]))
    if backend.kernels == "attention":
        return measured, {}
    return measured, {key: min(values) for key, values in fixed.items()}


def _raw(
    name: str, backend: Backend, best: Best, measured: list[tuple[Node, float]],
    fixed: dict[str, float], quick: bool,
) -> dict[str, Any]:  # fmt: skip
    small = [seconds for node, seconds in measured if node.key == "residual"]
    gpu = backend.gpu()
    label = gpu or machine()["processor"]
    device = best.raw_device(f"{label} ({name}, {backend.name} {backend.dtype})", backend.dtype)
    return {
        "format": FORMAT,
        "kind": KIND,
        "name": name.strip().lower(),
        "made": {
            "utc": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "machine": machine(gpu),
            "libraries": backend.describe(),
            "backend": backend.name,
            "device": backend.device,
            "measurements": len(measured),
            "quick": quick,
        },
        "kernels": backend.kernels,
        "dtype": backend.dtype,
        "device": device,
        "levels": plain(best.levels),
        "launch_s": min(small),
        "step_s": 0.0,
        "scale": 1.0,
        "fixed": fixed,
        "tables": tables(measured, fixed),
        "spread": {"all": (0.5, 2.0, 0)},
    }


def _held_out(
    raw: dict[str, Any], backend: Backend, pool: Pool, best: Best, quick: bool
) -> tuple[list[float], dict[str, list[float]]]:  # fmt: skip
    """Measured over expected, of operators and steps of decoders that the tables do not hold."""
    profile = profile_of(machine_profile_from(json.loads(json.dumps(raw)), raw["name"]))
    patience = Patience(4)
    operators: list[float] = []
    steps: dict[str, list[float]] = {phase: [] for phase in PHASES}
    is_cpu = backend.device == "cpu"
    decoders, generate = (HELD_OUT, GENERATE) if is_cpu else (HELD_OUT_GPU, GENERATE_GPU)
    turns = [(name, turn) for turn in range(1 if quick else 2) for name in decoders]
    for name, turn in tracked(turns, "held-out decoder", lambda one: one[0]):
        config, shapes = decoders[name]
        model = load_model(config)
        for n, (batch, prompt) in enumerate(shapes[:1] if quick else shapes):
            case = Case(name, batch, prompt, generate)
            bench = Bench(case, model, backend, pool, best, profile)
            if turn == n == 0:
                for phase in PHASES:
                    rows = list(bench.operators(phase))
                    operators += [1 + row.error for row in rows if row.error is not None]
            for row in patience.undisturbed(partial(_steps, bench)):
                if row.error is not None:
                    steps[row.phase].append(1 + row.error)
    return operators, steps


def _steps(bench: Bench) -> list[StepRow]:
    return list(bench.steps())


def _set_spread(raw: dict[str, Any], operators: list[float], steps: dict[str, list[float]]) -> None:
    """The scale of whole decoders, and the interval of each phase about what is then expected."""
    every = [ratio for ratios in steps.values() for ratio in ratios]
    raw["scale"] = scale = median(every)
    intervals = {
        "all": spread([ratio / scale for ratio in every]),
        "prefill": spread([ratio / scale for ratio in steps["prefill"]]),
        "token": spread([ratio / scale for ratio in steps["decode"]]),
    }
    if len(operators) > 1:
        intervals["operator"] = spread(operators)
    raw["spread"] = intervals
