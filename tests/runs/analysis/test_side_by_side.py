"""Runs side by side: figures by arithmetic, phases from their start, what is told apart and how."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from kit.run_folder import START_S, board_sample, decoding, event, mark, readings, trial, write
from thermoflop.errors import InputError
from thermoflop.report.terminal import side_by_side as terminal
from thermoflop.report.verdict import sentences
from thermoflop.runs.analysis.analyze import analyze
from thermoflop.runs.analysis.figures import Analysis
from thermoflop.runs.analysis.settings import differing, distinct_names
from thermoflop.runs.analysis.side_by_side import WHOLE, compare_phase, extent, how, phases_of_all
from thermoflop.runs.folder.records import Record


def test_a_phase_is_compared_from_its_own_start(tmp_path: Path) -> None:
    """Five seconds of idling before it change nothing; 16 tokens a second at 300 W are 18.75 J."""
    compared = compare_phase(
        [analyze(decoding(tmp_path, 60.0)), analyze(decoding(tmp_path, 63.0, idle_s=6.0))], "decode"
    )
    heat, rate = compared.row("gpu_c"), compared.row("tokens_per_s")
    energy = compared.row("joules_per_token")
    assert heat
    assert rate
    assert energy
    assert heat.values == pytest.approx((60, 63), abs=0.01)
    (apart,) = heat.differences[1:]
    assert apart
    assert apart.value == pytest.approx(3)
    assert apart.is_real
    assert rate.values == pytest.approx((16, 16))
    assert energy.values == pytest.approx((18.75, 18.75), rel=0.01)
    assert energy.differences[1] is not None
    assert energy.differences[1].is_real is False
    assert compared.length_s == pytest.approx(20)


def test_a_gpu_of_the_command_that_was_never_read_leaves_the_energy_unknown(tmp_path: Path) -> None:
    """GPU 1 gave nothing: the power of GPU 0 alone is no energy of a token."""
    folder = decoding(tmp_path, 60.0, gpu={"own": [0, 1]})
    compared = compare_phase([analyze(folder), analyze(decoding(tmp_path, 60.0))], "decode")
    assert compared.row("gpu_c")
    assert compared.row("joules_per_token") is None


def test_the_longer_run_is_looked_at_for_as_long_as_the_shorter(tmp_path: Path) -> None:
    """10 s at 60 degrees, then 10 s at 90, beside 10 s at 60: no difference."""
    long = analyze(
        write(tmp_path, [*trial(0, 20), *readings(0, 9.9, 60.0, 1.0), *readings(10, 20, 90.0, 1.0)])
    )
    short = analyze(write(tmp_path, [*trial(0, 10), *readings(0, 9.9, 60.0, 1.0)]))
    compared = compare_phase([short, long], WHOLE)
    assert extent(compared).endswith(
        "10 s, which all have; lists and reports count all of each run"
    )
    heat = compared.row("gpu_c")
    assert heat
    assert heat.values == pytest.approx((60, 60), abs=0.1)


def repeated(tmp_path: Path, temps_c: list[float]) -> Analysis:
    """A run of several trials of 2 s, each at one temperature."""
    records: list[Record] = []
    for index, temp_c in enumerate(temps_c):
        records += [
            *trial(3 * index, 3 * index + 2, index),
            *readings(3 * index, 3 * index + 2, temp_c, 1.0),
        ]
    return analyze(write(tmp_path, records))


def test_repetitions_give_the_spread_where_both_have_them(tmp_path: Path) -> None:
    """Means 61 and 71, standard deviation 1 each, so t of 4 degrees of freedom times sqrt(2 / 3);

    and whole degrees: 1.96 times sqrt(2 / 12).
    """
    runs = [repeated(tmp_path, [60.0, 61.0, 62.0]), repeated(tmp_path, [70.0, 71.0, 72.0])]
    compared = compare_phase(runs, WHOLE)
    assert compared.is_repeated
    heat, peak = compared.row("gpu_c"), compared.row("peak_c")
    assert heat
    assert peak
    apart = heat.differences[1]
    assert apart
    assert apart.value == pytest.approx(10)
    assert apart.error == pytest.approx(math.hypot(2.776 * (2 / 3) ** 0.5, 1.96 * (2 / 12) ** 0.5))
    assert peak.values == pytest.approx((62, 72))


def test_readings_that_are_too_few_have_no_interval(tmp_path: Path) -> None:
    runs = [
        analyze(write(tmp_path, [*trial(0, 0.2), *readings(0, 0.2, t, 1.0)])) for t in (60.0, 70.0)
    ]
    heat = compare_phase(runs, WHOLE).row("gpu_c")
    assert heat
    assert heat.differences[1]
    assert heat.differences[1].is_real is None
    assert heat.differences[1].value == pytest.approx(10, abs=0.1)


def decoded(tmp_path: Path, tokens: list[int]) -> Analysis:
    """A run that decodes so many tokens in each half second."""
    notes = [mark((n + 1) / 2, tokens=each) for n, each in enumerate(tokens)]
    start, end = trial(0, len(tokens) / 2)
    return analyze(write(tmp_path, [start, mark(0, "decode"), *notes, end]))


def test_a_few_steps_tell_a_difference_with_an_interval_and_its_degrees(tmp_path: Path) -> None:
    """22, 26, 24 and 24 tokens a second against 10: four blocks, residuals -2, 2, 0 and 0, and four
    degrees of freedom of both."""
    runs = [decoded(tmp_path, [5] * 4), decoded(tmp_path, [11, 13, 12, 12])]
    compared = compare_phase(runs, "decode")
    rate = compared.row("tokens_per_s")
    assert rate
    apart = rate.differences[1]
    assert apart
    assert (apart.value, apart.degrees) == (pytest.approx(14), 4)
    assert apart.error == pytest.approx(2.776 * math.sqrt(8 / 8))
    assert "degrees of freedom are few: 4 of tokens a second. " in how(compared)


def test_a_few_steps_that_drift_tell_what_would(tmp_path: Path) -> None:
    runs = [decoded(tmp_path, [5] * 4), decoded(tmp_path, [16, 16, 8, 8])]
    (said,) = sentences(compare_phase(runs, "decode"), ["a", "b"])
    assert said.endswith("its 4 values in 2 s drift: 4 s or longer, or record -n 5, would tell.")


def test_fewer_steps_tell_the_ratio_and_what_would_tell(tmp_path: Path) -> None:
    """24 tokens a second against 10 over three steps of half a second: four take 2 s."""
    runs = [decoded(tmp_path, [5] * 3), decoded(tmp_path, [12] * 3)]
    (said,) = sentences(compare_phase(runs, "decode"), ["a", "b"])
    assert said.startswith("b was faster than a, 2.4-fold: 24 tokens/s against 10 tokens/s. ")
    assert said.endswith(
        " 3 values in 1.5 s are too few: 2 s or longer, or record -n 5, would tell."
    )


def test_a_phase_that_a_run_lacks_is_refused_with_those_that_all_have(tmp_path: Path) -> None:
    runs = [analyze(decoding(tmp_path, 60.0)), repeated(tmp_path, [60.0])]
    assert phases_of_all(runs) == [WHOLE]
    with pytest.raises(InputError, match=r"no phase 'decode': all have whole command"):
        compare_phase(runs, "decode")


def test_a_recording_without_a_command_is_compared_as_a_whole(tmp_path: Path) -> None:
    runs = [
        analyze(write(tmp_path, [event(0, "x"), *readings(0, 20, t, 9.0)])) for t in (40.0, 50.0)
    ]
    heat = compare_phase(runs, WHOLE).row("gpu_c")
    assert heat
    assert heat.differences[1]
    assert heat.differences[1].is_real


def test_settings_and_versions_that_differ_are_named() -> None:
    a = {
        "host": {"python": "3.11.7"},
        "gpu": {"devices": [{"name": "H100", "power_limit_w": 700.0}]},
    }
    b = {
        "host": {"python": "3.12.1"},
        "gpu": {"devices": [{"name": "H100", "power_limit_w": 500.0}]},
    }
    assert differing([a, b]) == [
        ("Python", ("3.11.7", "3.12.1")), ("GPU 0 power limit W", ("700", "500")),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "odd", [{}, {"host": 7, "gpu": {"devices": [1]}, "labels": [], "trials": {}}]
)
def test_facts_that_make_no_sense_differ_as_missing(odd: dict[str, Any]) -> None:
    assert differing([{"command": ["a", "b c"]}, odd]) == [("command", ("a 'b c'", "–"))]


def test_runs_of_one_name_are_told_apart_by_label_then_by_time_then_by_folder() -> None:
    def facts(name: str, minute: int, **labels: str) -> dict[str, Any]:
        return {"name": name, "labels": labels, "started": {"wall_s": 1.75e9 + 60 * minute}}

    assert distinct_names([facts("a", 0), facts("b", 0)], ["x", "y"]) == ["a", "b"]
    told = distinct_names([facts("a", 0, fan="on"), facts("a", 0, fan="off")], ["x", "y"])
    assert told == ["a · fan=on", "a · fan=off"]
    first, second = distinct_names([facts("a", 0), facts("a", 1)], ["x", "y"])
    assert first != second
    assert first.startswith("a · 2025-06-")
    assert len(set(distinct_names([facts("a", 0)] * 2, ["x", "y"]))) == 2


def test_hottest_is_one_figure_in_list_report_and_comparison(tmp_path: Path) -> None:
    """GPU 0 reaches 71 in its command, GPU 1 63 on average and 67; a neighbour stands at 90."""
    from thermoflop.report.html.sentences import sentences
    from thermoflop.runs.analysis.row import row_of
    from thermoflop.runs.gpu.sample import GpuSample

    def made(more_c: float) -> Path:
        records: list[Record] = [*trial(0, 4)]
        for n in range(41):
            temps_c = (70.0 if n == 20 else 50.0, 63.0 if n < 39 else 67.0, 90.0)
            records += [
                GpuSample(START_S + n / 10, 0.0, gpu, temp_c=temp_c + more_c)
                for gpu, temp_c in enumerate(temps_c)
            ]
        own = {"own": [0, 1], "own_from": "CUDA_VISIBLE_DEVICES"}
        return write(tmp_path, records, gpu=own)

    folders = [made(1.0), made(2.0)]
    runs = [analyze(each) for each in folders]
    assert list(runs[0].data.own) == [0, 1]
    peak = compare_phase(runs, WHOLE).row("peak_c")
    assert peak is not None
    assert peak.values == (71.0, 72.0)
    assert [row_of(each).peak_c for each in folders] == [71.0, 72.0]
    assert [each.trials[0].max_gpu_c for each in runs] == [71.0, 72.0]
    assert "hottest was GPU 0 with 71.0 °C" in " ".join(sentences(runs[0])[2])


def test_the_peak_of_a_gpu_is_never_set_against_that_of_a_board(tmp_path: Path) -> None:
    """One run has a GPU at 71 degrees, the other a board at 30 alone: nothing is compared."""
    board = [board_sample(n / 5, n, temp_c=30.0) for n in range(50)]
    runs = [
        analyze(write(tmp_path, [*trial(0, 10), *readings(0, 10, 70.0, 200.0)])),
        analyze(write(tmp_path, [*trial(0, 10), *board])),
    ]
    assert compare_phase(runs, WHOLE).row("peak_c") is None
    boards = [analyze(write(tmp_path, [*trial(0, 10), *board])) for _ in range(2)]
    peak = compare_phase(boards, WHOLE).row("peak_c")
    assert peak is not None
    assert peak.values == (30.0, 30.0)


def test_tokens_that_come_with_a_phases_mark_are_made_after_it_in_the_whole_too(
    tmp_path: Path,
) -> None:
    """Of 100 from 2 s to 4 s and 30 from then to 10 s, 100 lie in the first 4 s, 25 a second."""
    marks = [mark(2, "prefill", tokens=100), mark(4, "decode", tokens=30)]
    start, end = trial(0, 10)
    warm = readings(0, 10, 60.0, 300.0)
    long = analyze(write(tmp_path, [start, *marks, end, *warm]))
    short = analyze(write(tmp_path, [*trial(0, 4), mark(3.5, tokens=40), *readings(0, 4, 60.0, 1)]))
    rate = compare_phase([long, short], WHOLE).row("tokens_per_s")
    assert rate
    assert rate.values == pytest.approx((25, 10))


def test_what_was_simulated_is_said_of_the_run_beside_another(tmp_path: Path) -> None:
    records = [*trial(0, 10), *readings(0, 9.9, 60.0, 1.0)]
    made = write(tmp_path, records, name="made", gpu={"driver": "simulated", "devices": []})
    runs = [analyze(write(tmp_path, records, name="real")), analyze(made)]
    said = "\n".join(terminal.lines(runs))
    assert "made: GPU simulated, which is no measurement" in said
    assert "real: GPU" not in said
    assert terminal.to_json(runs)["simulated"] == {"made": "GPU"}


def test_repetitions_beside_one_run_are_said_to_stand_in_a_row(tmp_path: Path) -> None:
    """Two of 2 s beside one of 4 s: all of it has 4 s."""
    one = analyze(write(tmp_path, [*trial(0, 4), *readings(0, 4, 60.0, 1.0)]))
    compared = compare_phase([repeated(tmp_path, [60.0, 60.0]), one], WHOLE)
    assert extent(compared) == "over the first 4 s, repetitions in a row, which all have"
