"""What of a run is of a part of it: sources that were watched for a while, trials cut short.

A GPU that was lost, or a board that was unplugged, has a highest temperature of what was read. That
nothing throttled is known of no other time either.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import TYPE_CHECKING

from thermoflop.runs.analysis.phases import Window, pauses
from thermoflop.runs.analysis.watched import Coverage, Watched, gpu_name, watched, without
from thermoflop.runs.gpu.throttle import ThrottleSpan, within

if TYPE_CHECKING:
    from thermoflop.runs.analysis.data import BoardColumns, RunData
    from thermoflop.runs.analysis.figures import Analysis

_TOLD_S = 0.1  # after its command's end a process may take so long to go


def of_gpus(data: RunData) -> dict[int, Watched]:
    """When each of the command's own GPUs was read."""
    return {
        gpu: watched(data.gpus[gpu]["t_s"]) if gpu in data.gpus else Watched() for gpu in data.own
    }


def coverage(
    data: RunData, gpus: dict[int, Watched], windows: Sequence[Window]
) -> dict[str, Coverage]:
    """How much of all windows each own GPU and each board was watched, by name."""
    boards = {board.name: _told(board) for board in data.boards.values()}
    named = {gpu_name(gpu): each for gpu, each in gpus.items()} | boards
    stretches = pieces(data, windows)
    return {name: each.of(stretches) for name, each in named.items() if windows}


def _told(board: BoardColumns) -> Watched:
    """When a board gave temperatures: with a fault of its sensor it gives none."""
    import numpy as np

    is_known = np.isfinite(board.temp_c)
    return watched(board.t_s[is_known], (board.stretch + np.cumsum(~is_known))[is_known])


def pieces(data: RunData, windows: Sequence[Window]) -> list[tuple[float, float]]:
    """The windows without the time in which command and recorder were stopped."""
    stopped = pauses(data) if any(each.paused_s > 0 for each in windows) else ()
    return [span for each in windows for span in without(each.start_s, each.end_s, stopped)]


def in_trials(spans: Sequence[ThrottleSpan], trials: Sequence[Window]) -> list[ThrottleSpan]:
    """What of these lies in a trial: what a GPU does while it cools down is no command's. All of
    them where there is no trial."""
    if not trials:
        return list(spans)
    starts_s, parts = [each.start_s for each in trials], list[ThrottleSpan]()
    for span in spans:
        first = max(0, bisect_right(starts_s, span.start_s) - 1)
        for each in trials[first : bisect_left(starts_s, span.end_s)]:
            parts += within([span], each.start_s, each.end_s)
    return parts


def warnings(each: dict[str, Coverage]) -> list[str]:
    """A sentence for each source that was watched in part."""
    return [
        f"{name} was watched in {seen.text}: its temperatures and throttling are of that time"
        if name.startswith("GPU ")
        else f"the {name} gave temperatures in {seen.text}: they are of that time"
        for name, seen in each.items()
        if not seen.is_whole
    ]


def cut_short(trials: Sequence[Window]) -> list[str]:
    """Which trials were cut short or did not end with their command, and what their figures are."""
    texts = []
    for trial in trials:
        if trial.went_on_s >= _TOLD_S:
            later = f", without {trial.later_tokens:,.15g} tokens noted later"
            texts.append(
                f"{trial.name} left processes behind, which went on for {trial.went_on_s:.1f} s: "
                f"figures are of the {trial.duration_s:.1f} s before"
                + (later if trial.later_tokens else "")
            )
        if trial.exit_code == 0 or (trial.exit_code is None and not trial.left_out):
            continue
        code = trial.exit_code
        how = "has no end" if code is None else f"ended with exit code {code}"
        so = "no part of means" if trial.left_out else "figures are of what it did until then"
        texts.append(f"{trial.name} {how}: {so}")
    return texts


def of_part(analysis: Analysis) -> list[str]:
    """What of a run is of a part of it, in sentences."""
    trials = [trial.window for trial in analysis.trials]
    return cut_short(trials) + warnings(analysis.watched)
