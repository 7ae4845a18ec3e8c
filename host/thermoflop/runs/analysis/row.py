"""A run in a row: the few figures by which runs are listed, sorted and followed over time.

They cost an analysis, so they are kept beside the run in ``.figures.json`` and taken from there as
long as its files are the same; where the folder cannot be written to, they are made anew.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thermoflop import __version__
from thermoflop.base.files import read_json, write_text
from thermoflop.base.plain import finite, inside
from thermoflop.errors import InputError, StorageError
from thermoflop.runs.folder.store import RUN, SAMPLES, is_being_written

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from thermoflop.runs.analysis.figures import Analysis

KEPT = ".figures.json"
_MOST_BYTES = 10_000


@dataclass(frozen=True, slots=True)
class RunRow:
    """What a run is listed with; None where it is not known of all of it. ``throttled`` is 0 to 1.

    Tokens and energy are means over the trials, warm-ups apart; the peak is of the command's own
    GPUs, without any of the boards. ``tokens_per_s`` and ``joules_per_token`` are of all tokens
    that a run counted, prompts too, over all of its time; ``decode_tokens_per_s`` is of the tokens
    and the time of its phases named decode, or what its benchmark said, where that was predicted.
    """

    tokens_per_s: float | None = None
    peak_c: float | None = None
    joules_per_token: float | None = None
    throttled: float | None = None
    decode_tokens_per_s: float | None = None


def row_of(folder: Path) -> RunRow:
    """The figures of the run in a folder; none of one that goes on, or cannot be read."""
    from thermoflop.runs.analysis.analyze import analyze

    known = kept_row(folder)
    if known is not None:
        return known
    if is_being_written(folder):
        return RunRow()
    try:
        return keep(analyze(folder))
    except InputError:
        return RunRow()


def keep(analysis: Analysis) -> RunRow:
    """The figures of an analysed run, kept for the next time where that can be done."""
    trials = [row for row in analysis.trials if row.window.counts]
    hottest = analysis.hottest
    shares = [v for gpu, v in analysis.throttled_share.items() if gpu in analysis.data.own]
    seen = analysis.throttling_watched
    energies = [trial.joules_per_token for trial in trials if trial.window.sums.get("tokens")]
    row = RunRow(
        tokens_per_s=_mean([trial.tokens_per_s for trial in trials]),
        peak_c=None if hottest is None else hottest.peak_c,
        joules_per_token=_mean(energies) if None not in energies else None,
        throttled=max(shares, default=None) if seen is None or seen.is_whole else None,
        decode_tokens_per_s=_decoding(analysis),
    )
    folder = analysis.data.folder
    of = _state(folder)
    if of is not None and not is_being_written(folder):
        with contextlib.suppress(StorageError, ValueError):
            write_text(str(folder / KEPT), json.dumps({"of": of, **asdict(row)}, allow_nan=False))
    return row


def _decoding(analysis: Analysis) -> float | None:
    """Tokens over seconds of all phases named decode whose times are known; else what the run said
    itself of what was predicted."""
    phases = [phase.window for phase in analysis.phases if phase.window.name.lower() == "decode"]
    timed = [window for window in phases if window.counts and not window.untimed]
    tokens = sum(window.sums.get("tokens", 0.0) for window in timed)
    seconds = sum(window.duration_s for window in timed)
    if tokens > 0 and seconds > 0:
        return tokens / seconds
    said = (each for each in analysis.predicted if each.how.startswith("said as"))
    return next((each.measured for each in said if each.key == "decode_tokens_per_s"), None)


def model_of(run: Mapping[str, Any]) -> str:
    """The model of a run: the one predicted for, or its label; "" where neither is there."""
    for facts in ("predictions", "labels"):
        name = inside(run, facts, "model")
        if isinstance(name, str):
            return name
    return ""


def kept_row(folder: Path) -> RunRow | None:
    """The figures that were kept; None where there are none, or the run has changed since."""
    try:
        data = read_json(str(folder / KEPT), "a run's figures", _MOST_BYTES, links=False)
    except InputError:
        return None
    if data.pop("of", None) != _state(folder) or data.keys() != set(RunRow.__slots__):
        return None
    return RunRow(*(finite(data[key]) for key in RunRow.__slots__))


def _state(folder: Path) -> list[Any] | None:
    """What the figures are of: when it is another, they are made anew."""
    try:
        files = [(folder / name).lstat() for name in (SAMPLES, RUN)]
    except OSError:
        return None
    return [__version__, *(n for file in files for n in (file.st_size, file.st_mtime_ns))]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
