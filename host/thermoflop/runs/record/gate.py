"""The cool-down gate: wait until board or GPU is cool enough, so that every trial starts alike."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from thermoflop.errors import UsageError
from thermoflop.runs.gpu.sampler import GpuSampler
from thermoflop.runs.record.boards import Boards


@dataclass(frozen=True, slots=True)
class Gate:
    """Wait until ``sensor`` reads at most ``below_c``, for ``timeout_s`` at most."""

    below_c: float
    sensor: str = "auto"
    timeout_s: float = 600.0


@dataclass(frozen=True, slots=True)
class GateResult:
    """How the wait before a trial went; ``reached`` is False when the time was up."""

    sensor: str
    below_c: float
    from_c: float | None
    to_c: float | None
    waited_s: float
    reached: bool

    def to_json(self) -> dict[str, Any]:
        """The wait as it stands in run.json."""
        return {k: round(v, 3) if isinstance(v, float) else v for k, v in asdict(self).items()}


def choose_sensor(
    gate: Gate, boards: Boards, gpus: GpuSampler | None
) -> tuple[str, Callable[[], float | None]]:
    """The sensor to wait for: with "auto" the GPU where there is one, else the boards."""
    if gate.sensor in ("auto", "gpu") and gpus is not None:
        return "gpu", lambda: hottest_c(gpus)
    if gate.sensor in ("auto", "board") and boards.all:
        return "board", boards.temp_c
    source = "board or GPU" if gate.sensor == "auto" else gate.sensor
    raise UsageError(
        f"--wait-below {gate.below_c:g} needs a temperature, and there is no {source} to read it"
    )


def hottest_c(gpus: GpuSampler) -> float | None:
    """The temperature of the hottest GPU."""
    temps = [s.temp_c for s in list(gpus.latest.values()) if s.temp_c is not None]
    return max(temps, default=None)


def wait_until_cool(
    gate: Gate,
    name: str,
    read_c: Callable[[], float | None],
    turn: Callable[[], bool],
    say: Callable[[str], None],
) -> GateResult:
    """Call ``turn`` until it is cool, the time is up or ``turn`` says to stop (False)."""
    start_s = time.monotonic()
    from_c = now_c = read_c()
    said_s = 0.0
    while now_c is None or now_c > gate.below_c:
        waited_s = time.monotonic() - start_s
        if waited_s >= gate.timeout_s or not turn():
            break
        if time.monotonic() - said_s > 1.0:
            said_s = time.monotonic()
            reads = "gives no reading" if now_c is None else f"{now_c:.1f} °C"
            say(f"waiting for {name} to cool to {gate.below_c:g} °C: {reads}, {waited_s:.0f} s")
        now_c = read_c()
        from_c = now_c if from_c is None else from_c
    reached = now_c is not None and now_c <= gate.below_c
    return GateResult(name, gate.below_c, from_c, now_c, time.monotonic() - start_s, reached)
