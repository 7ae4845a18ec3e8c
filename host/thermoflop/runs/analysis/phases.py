"""Phases and trials on the time axis, with the numbers that the run itself gave for them.

A phase begins with a mark that names one and lasts until the next such mark or the end of its
trial. Numbers given during a phase are added up (``sums``) and the last of each kept (``last``):
tokens are a sum, a loss is a last value, and only the reader knows which is which.

``tf.mark`` stamps a mark when it is made; one that was printed is stamped when it was read. A
command that does not flush its output says several phases at once, or one as it ends: such a mark
was made at any moment since the read before, and a phase of which that is more than
``MAX_DOUBT`` has no times (``untimed`` says why). What was counted in it stands.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from thermoflop.base.plain import is_number, mapping
from thermoflop.pico.track import HostEvent
from thermoflop.runs.analysis.data import RunData
from thermoflop.runs.child.keys import below_nothing

LATE_S = 1.0  # a pipe's last output is read within a few turns of the recorder
_LATE_BESIDE_S = 0.1  # as long as other processes write to it, what comes later is theirs
MAX_DOUBT = 0.05  # of a phase's length: figures have three digits, and this costs the second
# A process writes its last buffer as it ends: at once, or after it has put a GPU's driver to rest.
_LEAVES_S, _LEAVES_LONG_S = 0.1, 0.5
HELD_BACK = "marks came late, in one piece with other output"


@dataclass(frozen=True, slots=True)
class Note:
    """What a run said at ``t_s``: the last of each value, and sum and count of each number.

    Several lines that came within a hundredth of a second are one note.
    """

    t_s: float
    values: dict[str, Any]
    sums: dict[str, float]
    counts: dict[str, int]


@dataclass(slots=True)
class Window:
    """A stretch of a run: a trial or a phase of one; times on the run's axis, in seconds."""

    name: str
    start_s: float
    end_s: float
    trial: int
    variant: str = "A"
    warmup: bool = False
    exit_code: int | None = None
    sums: dict[str, float] = field(default_factory=dict)
    last: dict[str, Any] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    untimed: str | None = None
    paused_s: float = 0.0  # within it: stopped by Ctrl-Z
    read_s: float = LATE_S  # after a trial's end: until all that it said was read
    went_on_s: float = 0.0  # after a trial's end: processes that its command had left behind
    later_tokens: float = 0.0  # that those noted
    left_out: bool = False  # of a trial that failed, where another of its command ended well

    @property
    def duration_s(self) -> float:
        """Its length, less the time that the command was stopped."""
        return self.end_s - self.start_s - self.paused_s

    @property
    def counts(self) -> bool:
        """Whether it is of the first command, no warm-up, and not cut short."""
        return self.variant == "A" and self.is_measured

    @property
    def is_measured(self) -> bool:
        """Whether its figures are part of a mean of its command's."""
        return not (self.warmup or self.left_out)


def trial_windows(data: RunData) -> list[Window]:
    """The trials that started; one whose end was never written ends with the run."""
    windows: dict[int, Window] = {}
    for event in data.events:
        index = event.detail.get("trial")
        if not isinstance(index, int):
            continue
        t_s = data.t_s(event.mono_s)
        if event.ev == "child_start":
            variant = str(event.detail.get("variant", "A"))
            warm = bool(event.detail.get("warmup", False))
            windows[index] = Window(f"trial {index}", t_s, data.end_s, index, variant, warm)
        elif event.ev == "child_end" and index in windows:
            windows[index].end_s = t_s
            windows[index].exit_code = event.detail.get("exit_code")
        elif event.ev == "trial_end" and index in windows:
            windows[index].read_s = max(0.0, t_s - windows[index].end_s)
            if event.detail.get("left_behind"):
                windows[index].went_on_s = windows[index].read_s
    well = {w.variant for w in windows.values() if w.exit_code == 0 and not w.warmup}
    for window in windows.values():  # the tokens and seconds of a crash are no repetition
        window.left_out = window.exit_code != 0 and window.variant in well
    return _less_pauses(data, sorted(windows.values(), key=lambda window: window.start_s))


def pauses(data: RunData) -> list[tuple[float, float]]:
    """When command and recorder were stopped by Ctrl-Z, on the run's axis."""
    spans: list[tuple[float, float]] = []
    start_s: float | None = None
    for event in data.events:
        if event.ev == "paused":
            start_s = data.t_s(event.mono_s)
        elif event.ev == "continued" and start_s is not None:
            spans.append((start_s, data.t_s(event.mono_s)))
            start_s = None
    return spans


def _less_pauses(data: RunData, windows: list[Window]) -> list[Window]:
    spans = pauses(data)
    for window in windows if spans else []:
        within_s = (min(b, window.end_s) - max(a, window.start_s) for a, b in spans)
        window.paused_s = sum(max(0.0, each_s) for each_s in within_s)
    return windows


def phase_windows(data: RunData, trials: list[Window]) -> list[Window]:
    """The named phases in order of time."""
    windows: list[Window] = []
    for index, trial in enumerate(trials):
        # a command's last output may be read after its end, but not after the next one's start
        until_s = trials[index + 1].start_s if index + 1 < len(trials) else math.inf
        late_s = trial.end_s + (_LATE_BESIDE_S if trial.went_on_s else min(LATE_S, trial.read_s))
        until_s, all_s = min(until_s, late_s), min(until_s, trial.end_s + trial.went_on_s)
        marks = _marks(data, trial.start_s, until_s)
        later = [_note(0.0, mark.detail).sums for mark in _marks(data, until_s, all_s)]
        trial.later_tokens = sum(sums.get("tokens", 0.0) for sums in later)
        marks.sort(key=lambda mark: mark.detail.get("by") == "engine")  # the run's own come first
        windows += _phases_of(marks, trial, data)
    return _less_pauses(data, windows)


def _marks(data: RunData, from_s: float, to_s: float) -> list[HostEvent]:
    return [e for e in data.events if e.ev == "mark" and from_s <= data.t_s(e.mono_s) < to_s]


def _phases_of(marks: list[HostEvent], trial: Window, data: RunData) -> list[Window]:
    phases: list[Window] = []
    current: Window | None = None
    doubts = _Doubts(marks, trial, data)
    for mark in marks:
        t_s = min(data.t_s(mark.mono_s), trial.end_s)
        if "phase" in mark.detail or mark.detail.get("phase_left_out"):
            if current is not None:
                current.end_s = t_s
                doubts.judge(current, mark)
            current = None
            name = mark.detail.get("phase")
            if name is not None:
                current = Window(
                    str(name), t_s, trial.end_s, trial.trial, trial.variant, trial.warmup,
                    left_out=trial.left_out,
                )  # fmt: skip
                doubts.begin = mark
                phases.append(current)
        note = _note(t_s, _unsaid(mark, trial))
        for window in (current, trial):
            if window is not None and note.values:
                add_note(window, note)
    if current is not None:
        doubts.judge(current, None)
    return phases


def _unsaid(mark: HostEvent, trial: Window) -> Mapping[str, Any]:
    """Of what an engine's program printed, only what the run did not say of itself."""
    if mark.detail.get("by") != "engine":
        return mark.detail
    values = mapping(mark.detail, "values")
    return {"values": {key: value for key, value in values.items() if key not in trial.last}}


def _note(t_s: float, detail: Mapping[str, Any]) -> Note:
    values = dict(mapping(detail, "values"))
    values = {k: str(v) if _owed(k, v) else v for k, v in values.items()}
    numbers = {k: float(v) for k, v in values.items() if is_number(v)}
    if "lines" not in detail:
        return Note(t_s, values, numbers, dict.fromkeys(numbers, 1))
    sums, counts = mapping(detail, "sums"), mapping(detail, "counts")
    counts = {k: count for k, count in counts.items() if isinstance(count, int)}
    keys = [k for k in sums if is_number(sums[k]) and is_number(counts.get(k))]
    keys = [k for k in keys if not _owed(k, sums[k])]
    return Note(t_s, values, {k: float(sums[k]) for k in keys}, {k: counts[k] for k in keys})


def _owed(key: str, value: object) -> bool:
    """``tf.note(tokens=-5)`` counts no more than a line that says so does."""
    return is_number(value) and below_nothing(key, float(value))


def add_note(window: Window, note: Note) -> None:
    """Count a note for a window."""
    window.notes.append(note)
    for key, value in note.sums.items():
        window.sums[key] = window.sums.get(key, 0.0) + value
    window.last.update(note.values)


class _Doubts:
    """How long before its stamp each printed phase of a trial may have begun, and what follows."""

    def __init__(self, marks: list[HostEvent], trial: Window, data: RunData) -> None:
        self.begin: HostEvent | None = None  # the mark of the phase that runs
        self._reads: dict[int, dict[str, Any]] = {}
        printed = [mark for mark in marks if mark.detail.get("by") == "output"]
        together = Counter(mark.mono_s for mark in printed)
        phases = Counter(mark.mono_s for mark in printed if "phase" in mark.detail)
        before_s = after_s = trial.start_s
        for mark in printed:  # of a run that was recorded before reads were written down
            t_s = data.t_s(mark.mono_s)
            if t_s > after_s:
                before_s, after_s = after_s, t_s
            gap_s = t_s - before_s
            read = {"gap_s": gap_s, "lines": together[mark.mono_s], "phases": phases[mark.mono_s]}
            written = mapping(mark.detail, "read").items()
            self._reads[id(mark)] = {
                **read,
                **{k: v for k, v in written if isinstance(v, bool) or is_number(v)},
            }

    def judge(self, phase: Window, end: HostEvent | None) -> None:
        """Take its times from a phase that has ended, with a mark or with its trial."""
        doubt_s = max(self._held_s(self.begin), self._held_s(end))
        read = self._reads.get(id(self.begin))
        if end is None and read is not None:
            leaves_s = _LEAVES_LONG_S if read["lines"] > 1 else _LEAVES_S
            if phase.duration_s <= leaves_s:
                doubt_s = max(doubt_s, float(read["gap_s"]))
        if doubt_s > MAX_DOUBT * phase.duration_s:
            phase.untimed = HELD_BACK

    def _held_s(self, mark: HostEvent | None) -> float:
        read = self._reads.get(id(mark))
        if read is None or not (read["phases"] > 1 or read.get("cut")):
            return 0.0
        return float(read["gap_s"])
