"""The options of one recorded command, and the order of its trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from thermoflop.errors import UsageError
from thermoflop.runs.child.terminal import check_terminals
from thermoflop.runs.folder.records import Record
from thermoflop.runs.gpu.sampler import MAX_RATE_HZ, RATE_HZ
from thermoflop.runs.record.gate import Gate, GateResult

if TYPE_CHECKING:
    from thermoflop.runs.predict import Wish
    from thermoflop.runs.record.boards import BoardSource

MOST_TRIALS = 1_000_000  # a year of half minutes; all of them are listed before the first
GRACE_S = 10.0  # as long as Docker gives a container to follow SIGTERM


class Watcher(Protocol):
    """Somebody who looks on while a run is made, in the thread that writes it."""

    def see(self, item: Record) -> None:
        """An item that was just written."""

    def turn(self, board: BoardSource | None) -> bool:
        """After each turn; False ends the resting after the command early."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One ``record``: command A, perhaps command B against it, and everything around them.

    ``port`` None means the only board there is, "none" no board; ``further_ports`` are of further
    boards. ``grace_s`` is how long a command may take to follow SIGTERM before it is killed.
    ``wish`` is a prediction to be made, and written into the run, before the command starts.
    """

    command: Sequence[str]
    against: Sequence[str] | None = None
    out: Path = Path("runs")
    name: str = "record"
    port: str | None = None
    further_ports: Sequence[str] = ()
    gpu: str = "auto"
    rate_hz: float = RATE_HZ
    repeats: int = 1
    warmups: int = 0
    before_s: float = 0.0
    after_s: float = 0.0
    gate: Gate | None = None
    grace_s: float = GRACE_S
    labels: Mapping[str, str] = field(default_factory=dict)
    wish: Wish | None = None
    gpu_library: Any = None  # a stand-in for pynvml
    pty: bool = False  # the command gets a terminal
    scrape: str | None = None  # the metrics of a server that the command asks
    control: bool = False  # obey control.txt in the run's folder
    echo: tuple[int | None, int | None] = (1, 2)
    watcher: Watcher | None = None

    @property
    def ports(self) -> list[str]:
        """Those that were named."""
        return [*([] if self.port is None else [self.port]), *self.further_ports]

    def check(self) -> None:
        """UsageError for what cannot be done."""
        if not self.command or (self.against is not None and not self.against):
            raise UsageError("there is no command to record: put it after --")
        if not (0 < self.repeats <= MOST_TRIALS and 0 <= self.warmups <= MOST_TRIALS):
            raise UsageError(
                f"-n must be at least 1, --warmup at least 0, and neither above {MOST_TRIALS:,}"
            )
        if not 0 < self.rate_hz <= MAX_RATE_HZ:
            raise UsageError(f"--rate {self.rate_hz:g} is not between 0 and {MAX_RATE_HZ:g} Hz")
        if self.pty:
            check_terminals()


@dataclass(slots=True)
class Trial:
    """One execution of a command; times are of the monotonic clock."""

    index: int
    variant: str
    warmup: bool
    argv: Sequence[str]
    gate: GateResult | None = None
    started_s: float | None = None
    ended_s: float | None = None  # its first process
    all_ended_s: float | None = None  # the last process of its group
    exit_code: int | None = None
    signal: str | None = None
    left_behind: int = 0
    paused_s: float = 0.0  # stopped by Ctrl-Z
    log_from_bytes: int = 0
    log_to_bytes: int = 0

    @property
    def duration_s(self) -> float | None:
        """From its start to the end of its first process, less the time that it was stopped."""
        if self.started_s is None or self.ended_s is None:
            return None
        return self.ended_s - self.started_s - self.paused_s

    def to_json(self) -> dict[str, Any]:
        """The trial as it stands in run.json."""
        data = {k: round(v, 6) if isinstance(v, float) else v for k, v in asdict(self).items()}
        data["argv"] = list(self.argv)
        data["gate"] = self.gate.to_json() if self.gate else None
        duration_s = self.duration_s
        data["duration_s"] = None if duration_s is None else round(duration_s, 6)
        return data


def trials(plan: Plan) -> list[Trial]:
    """Warm-ups first, then the repeats; with two commands A B A B, so that heat favours none."""
    commands = [("A", plan.command)]
    if plan.against is not None:
        commands.append(("B", plan.against))
    rounds = [True] * plan.warmups + [False] * plan.repeats
    order = [(variant, warm, argv) for warm in rounds for variant, argv in commands]
    return [Trial(index, *trial) for index, trial in enumerate(order)]
