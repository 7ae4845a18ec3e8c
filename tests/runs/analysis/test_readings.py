"""Readings as columns of numbers: the same figures as one by one, in memory that does not grow."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.board_lines import sample_line
from kit.run_folder import START_S, board_line, board_sample, trial, write
from thermoflop.runs.analysis import readings
from thermoflop.runs.analysis.analyze import analyze
from thermoflop.runs.analysis.data import load
from thermoflop.runs.folder import usual
from thermoflop.runs.folder.reader import RunReader, parse
from thermoflop.runs.folder.store import encode
from thermoflop.runs.gpu.sample import MEASURED, GpuSample
from thermoflop.runs.summary import Summarizer

RATE_HZ, LASTS_S = 10, 400
some = st.none() | st.floats(-1e6, 1e9, allow_nan=False)
whole = st.none() | st.integers(0, 1 << 40)


def gpu_samples() -> list[GpuSample]:
    """Two GPUs of 200 ± 50 W with an exact counter, throttled from 100 to 200 s, hot once."""
    samples = []
    for n in range(LASTS_S * RATE_HZ + 1):
        t_s = n / RATE_HZ
        for gpu in (0, 1):
            # the integral of 200 + 50 sin(t / 20) from 0 on
            joules = 200 * t_s + 1000 * (1 - math.cos(t_s / 20))
            samples.append(
                GpuSample(
                    START_S + t_s, 0.0, gpu,
                    temp_c=88.0 if n == 1234 else 60.0 + 10 * gpu,
                    power_w=200 + 50 * math.sin(t_s / 20),
                    energy_j=joules,
                    reasons=4 if 100 <= t_s < 200 else 0,
                )
            )  # fmt: skip
    return samples


@pytest.mark.parametrize("n", [1, 4, 16])
def test_a_run_too_long_to_keep_each_reading_has_the_same_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n: int
) -> None:
    """Energy between two moments by counter and by integral, the highest temperature, and how long
    it throttled, within one of the merged steps; and it says how many were taken as one."""
    most = math.ceil(2 * LASTS_S * RATE_HZ / n) + 64
    monkeypatch.setattr(readings, "MOST_READINGS", most)
    monkeypatch.setattr(readings, "_BLOCK", 100)
    analysis = analyze(write(tmp_path, [*trial(10, 390), *gpu_samples()]))
    assert analysis.data.taken_as_one == n
    assert sum(len(columns["t_s"]) for columns in analysis.data.gpus.values()) <= most
    energy = analysis.trials[0].energy[0]
    expected_j = 200 * 380 + 1000 * (math.cos(10 / 20) - math.cos(390 / 20))
    assert energy.why is None
    assert energy.counter_j == pytest.approx(expected_j, rel=1e-4)
    assert energy.integral_j == pytest.approx(expected_j, rel=1e-4)
    assert [heat.max_c for heat in analysis.heat] == [88.0, 88.0]
    assert analysis.trials[0].throttled_s == pytest.approx(100, abs=2 * n / RATE_HZ)
    said = [text for text in analysis.warnings if "taken as one" in text]
    assert len(said) == (n > 1)


@given(
    st.tuples(
        st.integers(0, 9999),
        *(whole if m in ("mem_used_bytes", "reasons") else some for m in MEASURED),
    )
)
def test_a_gpus_line_says_the_same_without_json(values: tuple[float, ...]) -> None:
    """Each field, given or not."""
    line = encode(GpuSample(12.5, 1.75e9, *values))[:-1]  # type: ignore[arg-type]
    match, item = usual.gpu_sample(line), parse(line)
    assert isinstance(item, GpuSample)
    assert match is not None
    assert float(match[1]) == item.mono_s
    assert int(match[2]) == item.gpu
    for name, text in zip(MEASURED, match.groups()[2:], strict=True):
        assert (None if text is None else float(text)) == getattr(item, name)


@pytest.mark.parametrize(
    "line",
    [
        b'{"mono_s":1.5,"wall_s":2.5,"src":"gpu","gpu":0,"temp_c":061}',
        b'{"mono_s":01.5,"wall_s":2.5,"src":"gpu","gpu":0,"temp_c":61}',
        b'{"mono_s":1.5,"wall_s":2.5,"src":"gpu","gpu":0,"temp_c":true}',
        b'{"mono_s":1.5,"wall_s":2.5,"src":"gpu","gpu":0,"temp_c":61}}',
    ],
)
def test_what_is_no_record_is_none_without_json_either(line: bytes) -> None:
    """It is counted as foreign, as it always was."""
    assert parse(line) is None
    assert usual.gpu_sample(line) is None


def test_damaged_lines_are_counted_as_by_who_reads_them_one_by_one(tmp_path: Path) -> None:
    """A board's line with another digit, one that is no record, and a torn one."""
    folder = write(tmp_path, [board_sample(0.2 * n, n, temp_c=25.0) for n in range(9)])
    path = folder / "samples.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    lines[3] = lines[3].replace(b"25.0", b"26.0")
    path.write_bytes(b"".join([*lines, b"foreign\n", b'{"mono_s":1']))
    reader = RunReader(folder)
    items = list(reader)
    data = load(folder)
    assert data.counts == reader.counts
    assert (data.counts.bad_crc, data.counts.foreign, data.counts.torn) == (1, 1, 1)
    assert data.board is not None
    assert len(data.board.t_s) == len(items) == 8
    assert list(data.board.stretch) == [0, 0, 0, 1, 1, 1, 1, 1]


@given(
    st.lists(
        st.tuples(st.integers(-1, 3), st.floats(-1, 80), st.integers(0, 1), st.booleans()),
        min_size=1, max_size=40,
    )
)  # fmt: skip
def test_the_fans_share_is_that_of_the_recorders_summary(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, float, int, bool]]
) -> None:
    """Over gaps, reboots, stamps that run backwards, and steps that are too long."""
    seq, up_s, boot, summarizer, records = 10, 100.0, 0, Summarizer(), []
    for n, (ahead, dt_s, fan, reboots) in enumerate(steps):
        seq, up_s, boot = max(0, seq + ahead), max(0.0, round(up_s + dt_s, 3)), boot + reboots
        line = board_line(n, sample_line(seq, boot=f"{0xAA00 + boot:04x}", up_s=up_s, fan=fan))
        summarizer.add(line.message)  # type: ignore[arg-type]
        records.append(line)
    data = load(write(tmp_path_factory.mktemp("run"), records))
    assert data.board is not None
    expected = summarizer.summary().fan_duty
    assert data.board.fan_duty == (None if expected is None else pytest.approx(expected))
    assert np.isfinite(data.board.t_s).all()
