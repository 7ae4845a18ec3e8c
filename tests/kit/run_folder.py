"""Runs made by hand: a folder with events, GPU samples and board lines at chosen moments."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from thermoflop.pico.track import BoardLine, HostEvent
from thermoflop.pico.wire import Message, decode
from thermoflop.runs.folder.records import Record
from thermoflop.runs.folder.store import RunStore
from thermoflop.runs.gpu.sample import GpuSample

from kit.board_lines import sample_line, settings_line

START_S = 5000.0
WALL_S = 1.75e9


def event(t_s: float, ev: str, **detail: Any) -> HostEvent:
    """Something the host noted at ``t_s`` of the run."""
    return HostEvent(START_S + t_s, WALL_S + t_s, ev, detail)


def mark(t_s: float, phase: str | None = "", **values: Any) -> HostEvent:
    """A mark; with the default no phase begins, it is a note."""
    detail: dict[str, Any] = {"by": "mark", "values": values}
    if phase != "":
        detail["phase"] = phase
    return event(t_s, "mark", **detail)


def trial(start_s: float, end_s: float, index: int = 0, variant: str = "A") -> list[HostEvent]:
    """The start and end of a trial."""
    who = {"trial": index, "variant": variant, "warmup": False}
    return [
        event(start_s, "child_start", **who, pid=1),
        event(end_s, "child_end", trial=index, exit_code=0, signal=None),
    ]


def board_line(t_s: float, line: bytes) -> BoardLine:
    """A line of the board that arrived at ``t_s``."""
    message = decode(line.rstrip(b"\n"))
    assert isinstance(message, Message)
    return BoardLine(START_S + t_s, WALL_S + t_s, line.rstrip(b"\n"), message)


def board_sample(arrives_s: float, seq: int, **options: Any) -> BoardLine:
    """A sample of the board."""
    return board_line(arrives_s, sample_line(seq, **options))


def board_settings(t_s: float, on_c: float, off_c: float) -> BoardLine:
    """The board's thresholds."""
    return board_line(t_s, settings_line(on_c=on_c, off_c=off_c))


def write(out: Path, records: Iterable[Record], **run: Any) -> Path:
    """A run folder of these records."""
    store = RunStore(out)
    for record in records:
        store.write(record)
    head = {"name": "made", "started": {"mono_s": START_S, "utc": "2026-01-01T00:00:00Z"}}
    store.write_run({**head, "ended": {"end": "done"}, **run})
    store.close()
    return store.folder


def readings(from_s: float, to_s: float, temp_c: float, power_w: float) -> list[Record]:
    """Of GPU 0, ten a second, alternating by a degree and 2 W around these."""
    return [
        GpuSample(
            START_S + from_s + n / 10, WALL_S, 0, temp_c=temp_c + (-1) ** n,
            power_w=power_w + 2 * (-1) ** n, sm_mhz=1980.0,
        )
        for n in range(round(10 * (to_s - from_s)) + 1)
    ]  # fmt: skip


def decoding(out: Path, temp_c: float, idle_s: float = 1.0, **run: Any) -> Path:
    """A run that idles at 30 degrees, then decodes for 20 s at 300 W, 8 tokens each half second."""
    start, end = trial(0, idle_s + 20)
    notes = [mark(idle_s + n / 2, tokens=8) for n in range(1, 41)]
    cold = readings(0, idle_s - 0.1, 30.0, 50.0)
    warm = readings(idle_s, idle_s + 20, temp_c, 300.0)
    return write(out, [start, mark(idle_s, "decode"), *notes, end, *cold, *warm], **run)
