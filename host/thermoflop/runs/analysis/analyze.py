"""One run, analysed: everything that the report shows and ``--json`` prints, in one pass."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thermoflop.base.plain import finite, inside, is_number, mapping
from thermoflop.runs.analysis import coverage
from thermoflop.runs.analysis.compare import Spread, paired, spread
from thermoflop.runs.analysis.data import RunData, load, simulated
from thermoflop.runs.analysis.energy import Meter
from thermoflop.runs.analysis.figures import Analysis, Heat, WindowFigures
from thermoflop.runs.analysis.phases import (
    HELD_BACK,
    Window,
    pauses,
    phase_windows,
    trial_windows,
)
from thermoflop.runs.analysis.predicted import assume_work, compared, unlike
from thermoflop.runs.analysis.thermal import fit_heat, steady_state
from thermoflop.runs.analysis.throughput import (
    HeatEffect,
    Step,
    heat_effect,
    lost_to_throttling,
    over_peak,
    steps,
    throttled_s,
)
from thermoflop.runs.analysis.watched import Watched, least, watched
from thermoflop.runs.gpu.throttle import ThrottleSpan, seconds_by_reason

if TYPE_CHECKING:
    from thermoflop.runs.analysis.columns import Column


MAX_NAMES = 6  # of phases in one sentence
_LEFT_OUT = {
    "phases_left_out": "phases came too fast: their numbers count for the trial alone",
    "lines_not_looked_at": "lines of output were not looked at: sums and rates are too low",
}
NEIGHBOUR = " (neighbour)"  # behind the name of a GPU that the command cannot use


def analyze(folder: Path) -> Analysis:
    """Analyse the run in ``folder``; InputError when it is not one."""
    return analyze_data(load(folder))


def analyze_data(data: RunData) -> Analysis:
    """Analyse a run that was read."""
    trials = trial_windows(data)
    phases = phase_windows(data, trials)
    for window in phases:
        assume_work(window, data.run.get("predictions"))
    made = _made(phases or trials)
    first = next(iter(data.own_gpus), None)
    spans = coverage.in_trials(data.throttled, trials)
    own_spans = [span for span in spans if span.gpu in data.own]
    meters = {gpu: Meter(columns) for gpu, columns in data.gpus.items()}
    own = coverage.of_gpus(data)
    analysis = Analysis(
        data=data,
        trials=[_figures(data, window, own_spans, meters, own) for window in trials],
        phases=[_figures(data, window, own_spans, meters, own) for window in phases],
        heat=_heat(data, min((trial.start_s for trial in trials), default=0.0)),
        spans=data.throttled,
        throttled_share=_shares(data, trials, spans),
        seconds_by_reason=seconds_by_reason(own_spans),
        fan_duty=data.board.fan_duty if data.board else None,
        lost=lost_to_throttling(made, own_spans, first),
        heat_effects=_effects(data, made),
        durations=_durations(trials),
        b_over_a=paired(*_rounds(trials)),
    )
    analysis.watched = coverage.coverage(data, own, trials)
    analysis.warnings = [
        *_warnings(data, own_spans), *coverage.cut_short(trials), *_untimed(phases),
        *over_peak(phases), *coverage.warnings(analysis.watched), *_energy_warnings(analysis),
    ]  # fmt: skip
    analysis.predicted = compared(analysis)
    analysis.warnings += unlike(analysis)
    return analysis


def _made(windows: list[Window]) -> list[Step]:
    """The steps that count; a phase of two commands is two, each with rates of its own."""
    several = len({window.variant for window in windows}) > 1
    return [
        replace(step, phase=f"{step.phase} ({window.variant})") if several else step
        for window in windows
        for step in steps(window)
        if not window.warmup
    ]


def _shares(data: RunData, trials: list[Window], spans: list[ThrottleSpan]) -> dict[int, float]:
    """Of each GPU that said whether it throttled, of the time of the trials that it was watched."""
    watched_s = {gpu: known_s for gpu, known_s in data.watched_s.items() if known_s > 0}
    if trials:
        stretches = coverage.pieces(data, trials)
        watched_s = {gpu: watched(data.gpus[gpu]["t_s"]).of(stretches).seen_s for gpu in watched_s}
    return {
        gpu: min(1.0, sum(s.duration_s for s in spans if s.gpu == gpu) / seen_s)
        for gpu, seen_s in watched_s.items()
        if seen_s > 0
    }


def _figures(
    data: RunData,
    window: Window,
    spans: list[ThrottleSpan],
    meters: dict[int, Meter],
    own: dict[int, Watched],
) -> WindowFigures:
    if window.untimed:
        return WindowFigures(window, {}, 0.0, None, None)
    stopped = pauses(data) if window.paused_s > 0 else ()
    stretches = coverage.pieces(data, [window])
    boards = {
        board.name: _max_within([(board.t_s, board.temp_c)], window)
        for board in data.boards.values()
    }
    return WindowFigures(
        window=window,
        energy={g: m.energy(window.start_s, window.end_s, stopped) for g, m in meters.items()},
        throttled_s=throttled_s(spans, window.start_s, window.end_s),
        max_gpu_c=_max_within(data.own_temps, window),
        max_board_c=boards.get(data.board.name) if data.board else None,
        own=tuple(data.own),
        max_boards_c=boards,
        watched=least([each.of(stretches) for each in own.values()]),
    )


def _max_within(sensors: list[tuple[Column, Column]], window: Window) -> float | None:
    import numpy as np

    highest = []
    for t_s, temp_c in sensors:
        inside = (t_s >= window.start_s) & (t_s <= window.end_s) & np.isfinite(temp_c)
        if inside.any():
            highest.append(float(temp_c[inside].max()))
    return max(highest, default=None)


def _heat(data: RunData, from_s: float) -> list[Heat]:
    """What each sensor says, its peak from a moment on."""
    sensors = []
    for gpu, columns in data.gpus.items():
        if "temp_c" in columns:
            name = f"GPU {gpu}" + ("" if gpu in data.own else NEIGHBOUR)
            power_w = columns.get("power_w")
            seen = watched(columns["t_s"])
            sensors.append(_sensor(name, columns["t_s"], columns["temp_c"], power_w, seen, from_s))
    for board in data.boards.values():
        power_w = _power_at(data, board.t_s)
        seen = watched(board.t_s, board.stretch)
        sensors.append(_sensor(board.name, board.t_s, board.temp_c, power_w, seen, from_s))
    return [heat for heat in sensors if heat is not None]


def _power_at(data: RunData, t_s: Column) -> Column | None:
    """The power of all GPUs at these moments: what warms the board, if anything known does."""
    import numpy as np

    total = np.zeros(len(t_s))
    for columns in data.gpus.values():
        if "power_w" not in columns or len(columns["t_s"]) < 2:
            return None
        inside = (t_s >= columns["t_s"][0] - 1) & (t_s <= columns["t_s"][-1] + 1)
        at_w = np.interp(t_s, columns["t_s"], columns["power_w"])
        total += np.where(inside, at_w, np.nan)
    return total if data.gpus else None


def _sensor(
    name: str, t_s: Column, temp_c: Column, power_w: Column | None, seen: Watched, from_s: float
) -> Heat | None:
    import numpy as np

    is_known = np.isfinite(temp_c)
    good = temp_c[is_known]
    if not len(good):
        return None
    # a reading holds until the next one, as in the summary of a log
    held_s = np.where(seen.is_unbroken & is_known[:-1], np.diff(t_s), 0.0)
    mean_c = float(np.nan_to_num(temp_c[:-1]) @ held_s / held_s.sum()) if held_s.any() else None
    late_c = temp_c[is_known & (t_s >= from_s)]
    return Heat(
        name=name,
        min_c=float(good.min()),
        mean_c=float(good.mean()) if mean_c is None else mean_c,
        max_c=float(good.max()),
        rise_c=float(good.max() - good[0]),
        peak_c=float(late_c.max() if len(late_c) else good.max()),
        fit=fit_heat(t_s, temp_c, power_w),
        steady=steady_state(t_s, temp_c),
    )


def _effects(data: RunData, made: list[Any]) -> list[HeatEffect]:
    board = [] if data.board is None else [(data.board.t_s, data.board.temp_c)]
    sensors = [*data.own_temps, *board]
    return heat_effect(made, *sensors[0]) if sensors else []


def _durations(trials: list[Window]) -> dict[str, Spread]:
    return {
        variant: figures
        for variant in dict.fromkeys(trial.variant for trial in trials)
        if (figures := spread(_measured_s(trials, variant))) is not None
    }


def _rounds(trials: list[Window]) -> tuple[list[float], list[float]]:
    """The seconds of A and of B in the rounds in which both ended well."""
    a, b = ([t for t in trials if t.variant == variant and not t.warmup] for variant in "AB")
    pairs = [each for each in zip(a, b, strict=False) if all(t.exit_code == 0 for t in each)]
    return [a.duration_s for a, _ in pairs], [b.duration_s for _, b in pairs]


def _measured_s(trials: list[Window], variant: str) -> list[float]:
    return [t.duration_s for t in trials if t.variant == variant and t.is_measured]


def _warnings(data: RunData, spans: list[ThrottleSpan]) -> list[str]:
    notices = data.run.get("notices")
    warnings = [str(notice) for notice in notices] if isinstance(notices, list) else []
    if simulated(data.run):
        warnings.append(
            f"{simulated(data.run)} simulated: heat, power and energy are no measurement"
        )
    if not data.run:
        warnings.append(
            "run.json is missing or damaged: nothing is known of the command and the machine, nor "
            "whether its sources were simulated"
        )
    elif data.run.get("ended") is None:
        warnings.append("the recorder was killed or has not ended: the run has no end of its own")
    if spans:
        warnings.append("a GPU throttled: compare with other runs only with that in mind")
    names = {"clock_step": "the wall clock was set", "reboot": "the board restarted",
             "gpu_lost": "a GPU was lost", "not_written": "records could not be written",
             "lost": "the board's port went away"}  # fmt: skip
    told = [e for e in data.events if e.ev in names and not e.detail.get("slept_s")]
    seen = Counter((e.ev, data.source(e)) for e in told)
    for (ev, source), n in sorted(seen.items(), key=lambda each: list(names).index(each[0][0])):
        what = names[ev].replace("the board", f"the {source}")
        warnings.append(f"{what} {n} time{'s' if n > 1 else ''} during the run")
    slept_s = sum(finite(e.detail.get("slept_s")) or 0.0 for e in data.events)
    if slept_s > 0:
        warnings.append(f"this machine slept for {slept_s:.0f} s: no part of the times")
    warnings += [
        f"the clocks of the {board.name} and of this machine went apart, as when a machine sleeps: "
        "its samples stand where they came"
        for board in data.boards.values()
        if board.is_apart
    ]
    missing = inside(data.run, "predictions", "shortfall_bytes")
    if is_number(missing) and missing > 0:
        warnings.append(
            f"predicted not to fit: {missing / 1e9:.3g} GB of memory missing on a device"
        )
    if data.bad_lines:
        warnings.append(f"{data.bad_lines} lines of the board were not believed")
    stopped_s = sum(end_s - start_s for start_s, end_s in pauses(data))
    if stopped_s > 0:
        warnings.append(f"stopped for {stopped_s:.1f} s (Ctrl-Z): no part of times and energy")
    for key, text in _LEFT_OUT.items():
        missing = inside(data.run, "output", key)
        if isinstance(missing, int) and missing > 0:
            warnings.append(f"{missing} {text}")
    return list(dict.fromkeys(warnings))


def _energy_warnings(analysis: Analysis) -> list[str]:
    """Whose the energy is, and what is wrong with it, of each GPU once."""
    warnings = _whose(analysis.data)
    if (n := analysis.data.taken_as_one) > 1:
        warnings.append(f"so long a run: {n} readings of a GPU each are taken as one")
    for gpu, n in analysis.data.disbelieved.items():
        readings = f"{n} reading{'s' if n > 1 else ''} of power"
        warnings.append(f"GPU {gpu}: {readings} that no GPU draws do not count")
    for trial in analysis.trials:
        for gpu, energy in trial.energy.items():
            for text in filter(None, (energy.note, energy.why)):
                warnings.append(f"GPU {gpu}: {text}")
    return list(dict.fromkeys(warnings))


def _untimed(phases: list[Window]) -> list[str]:
    names = dict.fromkeys(window.name for window in phases if window.untimed)
    if not names:
        return []
    shown = ", ".join(list(names)[:MAX_NAMES]) + (", …" if len(names) > MAX_NAMES else "")
    text = f"when these phases began and ended is not known: {shown}; {HELD_BACK}. "
    return [text + "Let the command flush each line of its output, or call thermoflop.mark"]


def _whose(data: RunData) -> list[str]:
    facts, warnings = mapping(data.run, "gpu"), []
    others = [index for index in data.gpus if index not in data.own]
    if others:
        own = ", ".join(map(str, data.own)) or "none"
        warnings.append(
            f"figures are of the command's own GPUs ({own}: {facts.get('own_from')}); its "
            f"neighbours' are apart ({', '.join(map(str, others))})"
        )
    if facts.get("own_note"):
        warnings.append(str(facts["own_note"]))
    return warnings
