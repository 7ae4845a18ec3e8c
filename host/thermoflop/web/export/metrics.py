"""A room as metrics of Prometheus.

Names and units of the GPUs are dcgm-exporter's (NVIDIA/dcgm-exporter, etc/default-counters.csv:
degrees Celsius, watts, millijoules, megahertz, MiB, percent), so that dashboards made for it read
these; the board's follow Prometheus' own rules (base units, _total). No label holds what changes
with every boot or every sample.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from thermoflop.base.plain import is_number
from thermoflop.errors import MissingExtra
from thermoflop.pico.wire import MODES
from thermoflop.report.messages import FAULT_LABELS
from thermoflop.runs.gpu.throttle import REASONS, throttling
from thermoflop.web.export.room import BoardNow, GpuNow, Room

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric

MISSING = "metrics need prometheus-client: pip install 'thermoflop[export]'"
BOARD = "thermoflop_board_"
THRESHOLDS = {"on": "on_c", "off": "off_c", "max": "t_max_c"}

# name, help, value of a board that is heard; None: there is no such series now
_BOARD_GAUGES: tuple[tuple[str, str, Callable[[Any], float | None]], ...] = (
    ("temperature_celsius", "Temperature of the thermistor", lambda sample: sample.temp_c),
    ("fan_on", "1 while the fan is on", lambda sample: sample.fan),
    ("uptime_seconds", "Time since the board started", lambda sample: sample.up_s),
)
_BOARD_COUNTERS: tuple[tuple[str, str, Callable[[Any], int]], ...] = (
    ("received_bytes", "Bytes read from the board", lambda c: c.n_bytes),
    ("samples", "Samples read from the board", lambda c: c.samples),
    ("dropped_samples", "Samples that the board could not send", lambda c: c.board_drops),
    ("lost_samples", "Samples that were sent and did not arrive", lambda c: c.lost_samples),
    ("bad_lines", "Lines of the board that were not believed", lambda c: c.bad_lines),
    ("reboots", "Starts of the board that were seen", lambda c: c.reboots),
    ("reconnects", "Times that the port came back", lambda c: c.reconnects),
)
_MODES = sorted(MODES)
_ENERGY = "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"
# name, help, what of a reading and how many times
_GPU = (
    ("DCGM_FI_DEV_GPU_TEMP", "GPU temperature (in C)", "temp_c", 1),
    ("DCGM_FI_DEV_MEMORY_TEMP", "Memory temperature (in C)", "mem_temp_c", 1),
    ("DCGM_FI_DEV_POWER_USAGE", "Power draw (in W)", "power_w", 1),
    (_ENERGY, "Energy since the driver was loaded (in mJ)", "energy_j", 1000),
    ("DCGM_FI_DEV_SM_CLOCK", "SM clock frequency (in MHz)", "sm_mhz", 1),
    ("DCGM_FI_DEV_MEM_CLOCK", "Memory clock frequency (in MHz)", "mem_mhz", 1),
    ("DCGM_FI_DEV_GPU_UTIL", "GPU utilization (in %)", "util", 100),
    ("DCGM_FI_DEV_MEM_COPY_UTIL", "Memory utilization (in %)", "mem_util", 100),
    ("DCGM_FI_DEV_FB_USED", "Memory in use (in MiB)", "mem_used_bytes", 1 / (1 << 20)),
)
_GPU_LABELS = ("gpu", "UUID", "device", "modelName", "Hostname")
_THROTTLING = sorted({name for mask in REASONS for name in throttling(mask)})


class Family(NamedTuple):
    """One metric and its series; ``kind`` is gauge, counter or unknown."""

    kind: str
    name: str
    text: str
    labels: tuple[str, ...]
    series: Sequence[tuple[tuple[str, ...], float]]  # the labels' values, and what is measured


class RoomCollector:
    """A collector for a registry of prometheus-client; asked anew for every scrape."""

    def __init__(self, room: Room) -> None:
        """Raises MissingExtra without prometheus-client."""
        try:
            from prometheus_client import core
        except ImportError as error:
            raise MissingExtra(MISSING) from error
        self._makers: dict[str, Callable[..., Any]] = {
            "gauge": core.GaugeMetricFamily,
            "counter": core.CounterMetricFamily,
            "unknown": core.UnknownMetricFamily,
        }
        self._room = room
        self._lock = threading.Lock()
        self._host = socket.gethostname()

    def describe(self) -> Iterable[Metric]:
        """Nothing: what there is depends on what is plugged in."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Every metric family with the series that there are now."""
        return map(self.metric_of, self.families())

    def metric_of(self, family: Family) -> Metric:
        """A family as prometheus-client has it."""
        metric = self._makers[family.kind](family.name, family.text, labels=family.labels)
        for labels, value in family.series:
            metric.add_metric(labels, value)
        return cast("Metric", metric)

    def families(self) -> list[Family]:
        """Every family with the series that there are now."""
        with self._lock:  # two scrapes at once
            boards = self._room.boards()
            runs = [(run.folder, run.name, run.phase) for run in self._room.runs()]
            return [
                *_board_families(boards),
                self._who(boards),
                *self._gpus(self._room.gpus()),
                _info("thermoflop_run", "A recording that goes on, and its phase",
                      ("run", "name", "phase"), runs),
            ]  # fmt: skip

    def _who(self, boards: list[BoardNow]) -> Family:
        said = self._room.said
        return _info(
            BOARD.rstrip("_"), "Who the board says it is", ("board", "model", "firmware", "uid"),
            [
                (
                    board.name,
                    said(board, "model", board.hello.board),
                    said(board, "firmware", board.hello.fw),
                    said(board, "uid", board.hello.uid),
                )
                for board in boards
                if board.hello is not None and board.sample is not None
            ],
        )  # fmt: skip

    def _gpus(self, gpus: list[GpuNow]) -> Iterator[Family]:
        known = [(self._gpu_labels(gpu), gpu.sample) for gpu in gpus]
        for name, text, field, times in _GPU:
            # dcgm-exporter's counter of energy has no _total, which prometheus-client gives each
            # counter: it is declared to be of no type, and rate() takes it as it is
            kind = "unknown" if name == _ENERGY else "gauge"
            values = [(labels, _times(getattr(sample, field), times)) for labels, sample in known]
            yield Family(kind, name, text, _GPU_LABELS, _known(values))
        held = [(labels, throttling(s.reasons)) for labels, s in known if s.reasons is not None]
        yield _each_word(
            "thermoflop_gpu_throttled", "1 for each reason that holds the clock down now",
            (*_GPU_LABELS, "reason"), held, _THROTTLING,
        )  # fmt: skip

    def _gpu_labels(self, gpu: GpuNow) -> tuple[str, ...]:
        name, uuid = (str(gpu.facts.get(key) or "") for key in ("name", "uuid"))
        return (str(gpu.index), uuid, f"nvidia{gpu.index}", name, self._host)


def _board_families(boards: list[BoardNow]) -> Iterator[Family]:
    heard = [(board.name, board.sample) for board in boards if board.sample is not None]
    label = ("board",)
    yield Family(
        "gauge", BOARD + "up", "1 while the board is heard", label,
        [((board.name,), float(board.sample is not None)) for board in boards],
    )  # fmt: skip
    for name, text, value in _BOARD_GAUGES:
        values = _known([((b,), value(sample)) for b, sample in heard])
        yield Family("gauge", BOARD + name, text, label, values)
    yield _each_word(
        BOARD + "mode", "1 for the mode that the board is in", ("board", "mode"),
        [((b,), [sample.mode]) for b, sample in heard], _MODES,
    )  # fmt: skip
    yield _each_word(
        BOARD + "fault", "1 for each fault that the board reports", ("board", "fault"),
        [((b,), sample.flags) for b, sample in heard], FAULT_LABELS,
    )  # fmt: skip
    yield Family(
        "gauge", BOARD + "threshold_celsius", "Temperatures that the board is set to",
        ("board", "threshold"),
        _known([
            ((board.name, name), _number(board.settings.get(key)))
            for board in boards
            if board.sample is not None
            for name, key in THRESHOLDS.items()
        ]),
    )  # fmt: skip
    for name, text, count in _BOARD_COUNTERS:
        counts = [((board.name,), float(count(board.counters))) for board in boards]
        yield Family("counter", BOARD + name, text, label, counts)


def _known(
    values: list[tuple[tuple[str, ...], float | None]],
) -> list[tuple[tuple[str, ...], float]]:
    return [(labels, float(value)) for labels, value in values if value is not None]


def _each_word(
    name: str, text: str, labels: tuple[str, ...],
    said: Iterable[tuple[tuple[str, ...], Collection[str]]], words: Collection[str],
) -> Family:  # fmt: skip
    """1 for each of the words that is said now of a thing, and 0 for the others."""
    series = [((*of, word), float(word in now)) for of, now in said for word in words]
    return Family("gauge", name, text, labels, series)


def _info(
    name: str, text: str, labels: tuple[str, ...], values: Iterable[tuple[str, ...]]
) -> Family:
    return Family("gauge", name + "_info", text, labels, [(each, 1.0) for each in values])


def registry_of(collector: RoomCollector) -> CollectorRegistry:
    """A registry that holds a room and nothing else."""
    from prometheus_client import CollectorRegistry

    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    return registry


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _number(value: object) -> float | None:
    return float(value) if is_number(value) else None
