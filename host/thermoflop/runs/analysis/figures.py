"""The figures of an analysed run, as the report shows them and ``--json`` prints them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from thermoflop.base.plain import attributes, is_number
from thermoflop.base.record import plain
from thermoflop.runs.analysis.compare import Spread
from thermoflop.runs.analysis.data import RunData
from thermoflop.runs.analysis.energy import Energy
from thermoflop.runs.analysis.phases import Window
from thermoflop.runs.analysis.quantity import Compared
from thermoflop.runs.analysis.thermal import (
    Steady,
    ThermalFit,
)
from thermoflop.runs.analysis.throughput import (
    HeatEffect,
    Lost,
)
from thermoflop.runs.analysis.watched import Coverage, gpu_name, least
from thermoflop.runs.gpu.throttle import ThrottleSpan


@dataclass(slots=True)
class Heat:
    """What one temperature sensor says about the run; ``peak_c`` is the highest since its first
    command began: a device that had to cool down first was hotter before."""

    name: str
    min_c: float
    mean_c: float
    max_c: float
    rise_c: float
    peak_c: float
    fit: ThermalFit | None
    steady: Steady | None


@dataclass(slots=True)
class WindowFigures:
    """A trial or phase in figures; amounts per second use its own length."""

    window: Window
    energy: dict[int, Energy]
    throttled_s: float
    max_gpu_c: float | None
    max_board_c: float | None
    # GPUs that the command can use; all figures but ``energy`` are of these
    own: tuple[int, ...] = ()
    max_boards_c: dict[str, float | None] = field(default_factory=dict)  # of several, by name
    watched: Coverage | None = None  # that of the own GPU which was watched least

    @property
    def duration_s(self) -> float | None:
        """Its length; None where its times are not known (``window.untimed`` says why)."""
        return None if self.window.untimed else self.window.duration_s

    @property
    def tokens_per_s(self) -> float | None:
        """Tokens a second, when the run noted its tokens."""
        return self._per_s("tokens")

    @property
    def own_energy(self) -> dict[int, Energy]:
        """That of the command's own GPUs."""
        return {gpu: e for gpu, e in self.energy.items() if gpu in self.own}

    @property
    def neighbours_energy(self) -> dict[int, Energy]:
        """That of all other GPUs."""
        return {gpu: e for gpu, e in self.energy.items() if gpu not in self.own}

    @property
    def neighbours_joules(self) -> float | None:
        """Of all other GPUs."""
        return _joules(self.neighbours_energy)

    @property
    def joules(self) -> float | None:
        """Of the command's own GPUs; None where that of any is not known: see ``joules_why``."""
        return None if self.joules_why else _joules(self.own_energy)

    @property
    def joules_why(self) -> str | None:
        """Why the energy is not known; None where it is, or there is no GPU."""
        if not self.own and self.energy:
            return "the command can use no GPU"
        known = self.own_energy
        whys = {gpu: known[gpu].why if gpu in known else "it was not read" for gpu in self.own}
        return "; ".join(f"GPU {gpu}: {why}" for gpu, why in whys.items() if why) or None

    @property
    def joules_per_token(self) -> float | None:
        """Energy per token."""
        tokens, joules = self.window.sums.get("tokens"), self.joules
        return joules / tokens if tokens and joules is not None else None

    @property
    def mfu(self) -> float | None:
        """Share of the peak FLOP rate, when the run noted its FLOPs and the peak."""
        return self._share("flops", "flops_per_token", "peak_flops_per_s")

    @property
    def mbu(self) -> float | None:
        """Share of the peak bandwidth, when the run noted its bytes and the peak."""
        return self._share("bytes", "bytes_per_token", "peak_bytes_per_s")

    def _per_s(self, key: str) -> float | None:
        total, seconds = self.window.sums.get(key), self.duration_s
        return total / seconds if total and seconds else None

    def _share(self, key: str, per_token: str, peak: str) -> float | None:
        rate = self._per_s(key)
        last = self.window.last
        if rate is None and is_number(last.get(per_token)):
            tokens_per_s = self.tokens_per_s
            rate = tokens_per_s * float(last[per_token]) if tokens_per_s else None
        top = last.get(peak)
        if rate is None or not is_number(top) or top <= 0:
            return None
        return rate / float(top)

    def to_json(self) -> dict[str, Any]:
        """As a dictionary."""
        known = asdict(replace(self.window, notes=[]))
        window = {k: v for k, v in known.items() if k not in ("notes", "read_s")}
        if self.window.untimed:
            window |= {"start_s": None, "end_s": None}
        return {
            **window,
            **attributes(self, "duration_s", "tokens_per_s", "joules", "joules_why"),
            "own_gpus": list(self.own),
            **attributes(self, "neighbours_joules", "joules_per_token", "mfu", "mbu"),
            **attributes(self, "throttled_s", "max_gpu_c", "max_board_c"),
            "watched": None if self.watched is None else self.watched.to_json(),
            **({"max_boards_c": self.max_boards_c} if len(self.max_boards_c) > 1 else {}),
            "energy": {str(gpu): e.to_json() for gpu, e in self.energy.items()},
        }


@dataclass(slots=True)
class Analysis:
    """A run, analysed. ``data`` has the columns behind the figures."""

    data: RunData
    trials: list[WindowFigures]
    phases: list[WindowFigures]
    heat: list[Heat]
    spans: list[ThrottleSpan]  # on the run's axis
    throttled_share: dict[int, float]
    seconds_by_reason: dict[str, float]
    fan_duty: float | None
    lost: list[Lost]
    heat_effects: list[HeatEffect]
    durations: dict[str, Spread]
    b_over_a: Spread | None
    warnings: list[str] = field(default_factory=list)
    predicted: list[Compared] = field(default_factory=list)
    watched: dict[str, Coverage] = field(default_factory=dict)  # of all trials, by sensor

    @property
    def hottest(self) -> Heat | None:
        """The sensor with the run's peak temperature: of the GPUs that the command can use, or
        else of whatever was read. Every place that says how hot a run was asks here."""
        own = set(map(gpu_name, self.data.own))
        sensors = [heat for heat in self.heat if heat.name in own] or self.heat
        return max(sensors, key=lambda heat: heat.peak_c, default=None)

    @property
    def throttling_watched(self) -> Coverage | None:
        """Of the command's own GPU that was watched least; None where there is none."""
        return least([self.watched[name] for name in map(gpu_name, self.data.own)
                      if name in self.watched])  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """As a dictionary of plain values, NaN and infinity as null."""
        board, boards = self.data.board, self.data.boards.values()
        known = {
            "folder": str(self.data.folder),
            "run": self.data.run,
            "trials": [t.to_json() for t in self.trials],
            "phases": [p.to_json() for p in self.phases],
            "heat": [asdict(h) for h in self.heat],
            "throttled_share": {str(k): v for k, v in self.throttled_share.items()},
            "throttled_s_by_reason": self.seconds_by_reason,
            "throttle_spans": [asdict(s) for s in self.spans],
            "fan_duty": self.fan_duty,
            "lost": [asdict(x) for x in self.lost],
            "heat_effects": [asdict(x) for x in self.heat_effects],
            "durations": {k: asdict(v) for k, v in self.durations.items()},
            "b_over_a": asdict(self.b_over_a) if self.b_over_a else None,
            "predicted": [x.to_json() for x in self.predicted],
            "watched": {name: each.to_json() for name, each in self.watched.items()},
            "clock_error_s": board.clock_error_s if board else None,
            "clock_drift_ppm": board.drift_ppm if board else None,
            "warnings": self.warnings,
            **({"boards": [each.to_json() for each in boards]} if len(boards) > 1 else {}),
        }
        return {key: plain(value) for key, value in known.items()}


def _joules(energy: dict[int, Energy]) -> float | None:
    """Their sum; None where there is none, or one is not known."""
    known = [e.joules for e in energy.values() if e.joules is not None]
    return sum(known) if known and len(known) == len(energy) else None
