"""Energy is judged before it is shown: counter against integral, power against limit, time watched.

A GPU of 300 W over 6 s takes 1800 J; what its driver says of that is made up here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from kit.run_folder import START_S, event, mark, trial, write
from thermoflop.report.html.page import page
from thermoflop.report.terminal.terminal import lines
from thermoflop.runs.analysis.analyze import analyze
from thermoflop.runs.analysis.energy import Energy
from thermoflop.runs.analysis.figures import Analysis
from thermoflop.runs.gpu.sample import GpuSample

POWER_W, END_S, EVERY_S = 300.0, 6.0, 0.1


def right_j(t_s: float) -> float | None:
    """A counter that works; it counts since the driver was loaded."""
    return 1e6 + POWER_W * (t_s + 1)


def right_w(_: float) -> float | None:
    """A power that is right."""
    return POWER_W


def times(from_s: float = -0.5, to_s: float = END_S + 0.5, every_s: float = EVERY_S) -> list[float]:
    """When it was read."""
    return [from_s + n * every_s for n in range(round((to_s - from_s) / every_s) + 1)]


def readings(
    counter_j: Callable[[float], float | None] = right_j,
    power_w: Callable[[float], float | None] = right_w,
    at_s: Iterable[float] | None = None,
    gpu: int = 0,
) -> list[GpuSample]:
    """What the driver gave."""
    return [
        GpuSample(START_S + t, 0.0, gpu, power_w=power_w(t), energy_j=counter_j(t))
        for t in (times() if at_s is None else at_s)
    ]


def analyzed(tmp_path: Path, samples: list[GpuSample], limit_w: float | None = 700.0) -> Analysis:
    """A trial of 6 s, with a phase of 100 tokens."""
    marks = [mark(0, "decode"), mark(END_S - 0.001, tokens=100)]
    devices = [{"index": gpu, "power_limit_w": limit_w} for gpu in {s.gpu for s in samples}]
    return analyze(write(tmp_path, [*trial(0, END_S), *marks, *samples], gpu={"devices": devices}))


def energy(tmp_path: Path, samples: list[GpuSample], limit_w: float | None = 700.0) -> Energy:
    """The energy of GPU 0 in the trial."""
    return analyzed(tmp_path, samples, limit_w).trials[0].energy[0]


def no(_: float) -> float | None:
    """A field that the driver lacks."""
    return None


@pytest.mark.parametrize(
    ("counter_j", "power_w", "source"),
    [
        (right_j, right_w, "counter"),
        (no, right_w, "integral"),
        (right_j, no, "counter"),
        (right_j, lambda t: 0.0, "counter"),  # a power that stands at 0 is none
        (lambda t: 0.0, right_w, "integral"),
        (lambda t: 123456.789, right_w, "integral"),
        (lambda t: POWER_W * (t // 5 * 5), right_w, "integral"),  # renewed every 5 s
        (lambda t: POWER_W * (t // 0.5 * 0.5), right_w, "counter"),  # off by 150 J of 1800 at most
        (lambda t: POWER_W * (t if t < 3 else t - 3), right_w, "integral"),  # reset at 3 s
        (right_j, lambda t: 4294967.295 if 2 < t < 2.3 else POWER_W, "counter"),
        (no, lambda t: 4294967.295 if 2 < t < 2.3 else POWER_W, "integral"),
        (no, lambda t: 1401.0 if 2 < t < 2.3 else POWER_W, "integral"),  # over twice 700 W
        (no, lambda t: -1.0 if 2 < t < 2.3 else POWER_W, "integral"),
    ],
)
def test_the_energy_shown_is_1800_joules_whatever_one_of_the_two_says(
    tmp_path: Path,
    counter_j: Callable[[float], float | None],
    power_w: Callable[[float], float | None],
    source: str,
) -> None:
    """300 W for 6 s; the one of counter and integral that can be right."""
    found = energy(tmp_path, readings(counter_j, power_w))
    assert found.source == source
    assert found.why is None
    assert found.joules == pytest.approx(1800, rel=0.085 if source == "counter" else 1e-6)


def test_a_counter_that_stands_still_is_told(tmp_path: Path) -> None:
    """In a note of the run, with how long it stood."""
    analysis = analyzed(tmp_path, readings(lambda t: 0.0))
    assert "GPU 0: the energy counter stood still for 7.0 s while it drew power" in " ".join(
        analysis.warnings
    )


def test_a_counter_alone_that_stands_still_is_no_energy(tmp_path: Path) -> None:
    """0 J is never shown for a GPU that is on."""
    found = energy(tmp_path, readings(lambda t: 5.0, no))
    assert (found.joules, found.why) == (None, "the energy counter stood still")


@pytest.mark.parametrize(("factor", "said"), [(0.5, "900 J"), (2.0, "3.60 kJ"), (1e3, "1.80 MJ")])
def test_where_counter_and_integral_disagree_neither_is_shown(
    tmp_path: Path, factor: float, said: str
) -> None:
    """Nothing says which of the two is wrong; both are named."""
    found = energy(tmp_path, readings(lambda t: factor * POWER_W * (t + 1)))
    assert found.joules is None
    assert f"its counter says {said}, " in str(found.why)
    assert "integral of its power 1.80 kJ" in str(found.why)


def test_readings_that_no_gpu_draws_are_counted(tmp_path: Path) -> None:
    """And do not count: the highest power is that of the others."""
    samples = readings(no, lambda t: 4294967.295 if 1.95 < t < 2.25 else POWER_W)
    analysis = analyzed(tmp_path, samples, limit_w=None)
    assert analysis.trials[0].energy[0].max_w == POWER_W
    assert "GPU 0: 3 readings of power that no GPU draws do not count" in analysis.warnings


@pytest.mark.parametrize("counter_j", [right_j, no])
def test_a_gpu_lost_midway_has_no_energy_of_the_whole(
    tmp_path: Path, counter_j: Callable[[float], float | None]
) -> None:
    """Of 6 s 2 were watched: 600 J are shown as that, and nothing is made of them."""
    analysis = analyzed(tmp_path, readings(counter_j, at_s=times(to_s=2.0)))
    found = analysis.trials[0]
    assert found.energy[0].seen_j == pytest.approx(600)
    assert found.energy[0].seen_s == pytest.approx(2.0)
    assert (found.joules, found.joules_per_token) == (None, None)
    seen = "GPU 0: 600 J in 2.0 of 6.0 s watched"
    assert found.joules_why == seen
    assert analysis.to_json()["trials"][0]["joules_why"] == seen
    for text in ("\n".join(lines(analysis)), page([analysis])):
        assert "600 J in 2.0 of 6.0 s watched" in text
        assert "J/token" not in text.split("<footer>")[0].split("run.json")[0]


@pytest.mark.parametrize(
    ("from_s", "to_s", "share"), [(4.0, 6.5, "2.0 of 6.0 s"), (1.0, 5.0, "4.0 of 6.0 s")]
)
def test_a_gpu_that_came_late_or_left_early_was_watched_in_part(
    tmp_path: Path, from_s: float, to_s: float, share: str
) -> None:
    """Whichever end is missing."""
    found = energy(tmp_path, readings(at_s=times(from_s, to_s)))
    assert found.joules is None
    assert share in str(found.why)


def test_a_counter_counts_on_while_nobody_reads(tmp_path: Path) -> None:
    """From 1 to 5 s there is no reading: the counter is whole, the integral is not."""
    at_s = [t for t in times() if not 1.05 < t < 4.95]
    whole = energy(tmp_path, readings(at_s=at_s))
    assert (whole.source, whole.joules) == ("counter", pytest.approx(1800))
    part = energy(tmp_path / "part", readings(no, at_s=at_s))
    assert part.joules is None
    assert part.why == "600 J in 2.0 of 6.0 s watched"


def test_the_energy_of_two_gpus_needs_both(tmp_path: Path) -> None:
    """One of them was lost: the other's joules are no sum."""
    samples = readings() + readings(gpu=1, at_s=times(to_s=2.0))
    trial_figures = analyzed(tmp_path, samples).trials[0]
    assert trial_figures.energy[0].joules == pytest.approx(1800)
    assert trial_figures.joules is None
    assert trial_figures.joules_why == "GPU 1: 600 J in 2.0 of 6.0 s watched"
    both = analyzed(tmp_path / "both", readings() + readings(gpu=1)).trials[0]
    assert both.joules == pytest.approx(3600)


def test_a_phase_of_no_length_has_no_energy(tmp_path: Path) -> None:
    """Nothing was watched in it; 0 J for its tokens would be a figure."""
    records = [*trial(0, END_S), mark(1, "prefill", tokens=5), mark(1, "decode"), *readings()]
    phase = analyze(write(tmp_path, records)).phases[0]
    assert phase.window.duration_s == 0
    assert phase.energy[0].why == "it has no length"
    assert (phase.joules, phase.joules_per_token) == (None, None)


@pytest.mark.parametrize("length_s", [0.05, 0.15, 0.3])
def test_a_short_phase_beside_a_dead_counter_has_the_integral(
    tmp_path: Path, length_s: float
) -> None:
    """Shorter than two readings, too."""
    samples = readings(lambda t: 0.0)
    records = [*trial(0, END_S), mark(1, "prefill"), mark(1 + length_s, "decode"), *samples]
    phase = analyze(write(tmp_path, records)).phases[0]
    assert phase.joules == pytest.approx(POWER_W * length_s)


def test_a_driver_that_tells_neither_has_no_energy(tmp_path: Path) -> None:
    """And says so."""
    found = energy(tmp_path, readings(no, no))
    assert (found.joules, found.why) == (None, "there is no reading of power or energy")


def in_two_phases(t_s: float) -> float:
    """300 W until 3 s, 100 W after."""
    return 300.0 if t_s < 3 else 100.0


def counted_in_two(t_s: float) -> float:
    """What a counter makes of that."""
    return 1e6 + 300.0 * min(t_s, 3.0) + 100.0 * max(0.0, t_s - 3.0)


@pytest.mark.parametrize("power_w", [in_two_phases, no])
def test_the_counter_says_nothing_of_a_phase_that_ended_while_nobody_read_it(
    tmp_path: Path, power_w: Callable[[float], float | None]
) -> None:
    """Read until 1 s and from 5 s on: of 300 W x 3 s = 900 J of the first phase 300 J were seen,
    of 100 W x 1 s of the next nothing, of 200 J of the last one 100 J. All 1,200 J were counted."""
    at_s = [t for t in times() if not 1.05 < t < 4.95]
    marks = [mark(0, "prefill"), mark(3, "wait"), mark(4, "decode")]
    samples = readings(counted_in_two, power_w, at_s)
    analysis = analyze(write(tmp_path, [*trial(0, END_S), *marks, *samples]))
    assert analysis.trials[0].joules == pytest.approx(1200)
    prefill, wait, decode = (phase.energy[0] for phase in analysis.phases)
    assert (prefill.why, decode.why) == ("300 J in 1.0 of 3.0 s watched",
                                         "100 J in 1.0 of 2.0 s watched")  # fmt: skip
    assert (wait.joules, wait.why) == (None, "there is no reading of power or energy")


def test_no_power_is_made_up_between_two_readings_that_lie_far_apart(tmp_path: Path) -> None:
    """The last phase drew 100 W at most; 300 W before the gap are none of it."""
    at_s = [t for t in times() if not 1.05 < t < 4.95]
    records = [*trial(0, END_S), mark(4, "decode"), *readings(no, in_two_phases, at_s)]
    assert analyze(write(tmp_path, records)).phases[0].energy[0].max_w == 100.0


@pytest.mark.parametrize("counter_j", [lambda t: 300.0 * t if t < 1 else 300.0 + 50.0 * (t - 1)
                                       if t < 5 else 500.0 + 300.0 * (t - 5), no])  # fmt: skip
def test_what_a_gpu_draws_while_the_command_is_stopped_is_none_of_its_energy(
    tmp_path: Path, counter_j: Callable[[float], float | None]
) -> None:
    """300 W for 1 s before Ctrl-Z and for 1 s after, 50 W in between: 600 J in 2 s, not 800."""
    at_s = [t for t in times() if not 1.05 < t < 4.95]
    stop = [event(1, "paused"), event(5, "continued")]
    records = [*trial(0, END_S), mark(0, "decode"), *stop, *readings(counter_j, right_w, at_s)]
    analysis = analyze(write(tmp_path, records))
    for figures in (*analysis.trials, *analysis.phases):
        assert figures.duration_s == pytest.approx(2)
        assert figures.joules == pytest.approx(600)


def test_a_stretch_that_was_watched_in_part_is_so_beside_a_pause(tmp_path: Path) -> None:
    """The pause is from 1 to 3 s, and nobody read from 3 to 5 s: 2 of 4 s."""
    at_s = [t for t in times() if not 1.05 < t < 4.95]
    stop = [event(1, "paused"), event(3, "continued")]
    records = [*trial(0, END_S), *stop, *readings(no, right_w, at_s)]
    found = analyze(write(tmp_path, records)).trials[0].energy[0]
    assert found.why == "600 J in 2.0 of 4.0 s watched"


@pytest.mark.parametrize("counter_j", [right_j, no])
@pytest.mark.parametrize("missed_s", [0.02, 0.15])
def test_the_end_after_the_last_reading_is_counted_too(
    tmp_path: Path, missed_s: float, counter_j: Callable[[float], float | None]
) -> None:
    """The last reading is taken before a command of 0.4 s ends: 300 W x 0.4 s are 120 J, not 75."""
    samples = readings(counter_j, at_s=[-0.1, 0.0, 0.1, 0.2, 0.4 - missed_s])
    found = analyze(write(tmp_path, [*trial(0, 0.4), *samples])).trials[0].energy[0]
    assert found.seen_j == pytest.approx(POWER_W * (0.4 - missed_s))
    assert found.joules == pytest.approx(120)


@pytest.mark.parametrize(("before_j", "joules"), [(1e6, 1800.0), (100.0, None)])
def test_a_gap_that_may_hide_a_reset_is_not_counted_across(
    tmp_path: Path, before_j: float, joules: float | None
) -> None:
    """From 1 to 5 s nobody reads. Had the driver been loaded anew, its counter would show some
    kJ at most: 1 MJ is no such number, and 1,900 J are one."""
    at_s = [t for t in times() if not 1.05 < t < 4.95]
    found = energy(tmp_path, readings(lambda t: before_j + POWER_W * t, at_s=at_s))
    assert found.joules == (joules if joules is None else pytest.approx(joules))
    assert found.why == (None if joules else "600 J in 2.0 of 6.0 s watched")
