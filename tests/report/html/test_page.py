"""The page: self-contained, escaped, the same figures as the analysis; exports and the shelf."""

from __future__ import annotations

import csv
import json
import re
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from kit.run_folder import START_S, board_sample, board_settings, event, mark, trial, write
from thermoflop.cli import main
from thermoflop.errors import InputError, MissingExtra, UsageError
from thermoflop.report.html.page import page, write_report
from thermoflop.report.html.series import MAX_POINTS, run_series, thin
from thermoflop.report.pictures.panels_png import write_figure
from thermoflop.report.pictures.panels_svg import write_still
from thermoflop.report.terminal.terminal import lines
from thermoflop.runs.analysis.analyze import analyze
from thermoflop.runs.folder.export import COLUMNS, export
from thermoflop.runs.folder.index import Entry, choose, entries, find
from thermoflop.runs.gpu.sample import GpuSample

EVIL = "</script><img src=x onerror=alert(1)><!--\x1b[31m'\"&"


def full_run(out: Path, **run: Any) -> Path:
    """A run with everything in it: board, GPU, phases, throttling, marks."""
    records: list[Any] = [*trial(0, 10), mark(1, EVIL, tokens=10, bound_s=3.0, expected_s=4.0)]
    records += [mark(5, "decode"), *(mark(5.5 + n / 2, tokens=4) for n in range(8))]
    records += [event(3, "gpu_lost", gpu=0, why=EVIL), event(4, "gpu_back", gpu=0)]
    records += [board_settings(0, 29.0, 28.0)]
    records += [
        board_sample(0.2 * n + 0.2, n, temp_c=25 + n / 10, fan=int(n > 25)) for n in range(50)
    ]
    records += [
        GpuSample(START_S + n / 10, 0.0, 0, temp_c=40 + n / 5, power_w=200.0, energy_j=20.0 * n,
                  sm_mhz=1980.0, reasons=4 if n > 60 else 0)
        for n in range(100)
    ]  # fmt: skip
    return write(out, records, labels={EVIL: EVIL}, command=["echo", EVIL], **run)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Such a run."""
    return full_run(tmp_path / "runs", name=EVIL)


def test_nothing_a_run_brings_along_becomes_markup(run: Path) -> None:
    """Names, labels, commands, phases and the log's tail are text; no script can be closed."""
    (run / "child.log").write_bytes(EVIL.encode() * 3)
    text = write_report([run]).read_text()
    assert "<img" not in text
    assert "\x1b" not in text
    assert text.count("</script>") == 2
    assert text.count("<!--") == 0
    island = re.search(r'id="series">(.*?)</script>', text, re.DOTALL)
    assert island is not None
    assert json.loads(island[1])[0]["phases"][0]["name"] == EVIL


def test_the_page_needs_nothing_else(run: Path) -> None:
    """No address to load from, and a policy that forbids it."""
    text = write_report([run]).read_text()
    outside = set(re.findall(r"(?:https?:)?//[a-z][^\s\"'<]*", text)) - {
        "http://www.w3.org/2000/svg"
    }
    assert {address for address in outside if address.startswith("http")} == set()
    assert not re.search(r"<(link|img|iframe)\b|<[^<>]*\bsrc=|@import|url\((?!#)", text)
    assert "default-src 'none'" in text


def test_paper_keeps_the_colours_and_leaves_out_what_only_a_screen_can_do(run: Path) -> None:
    """Samples of legends are backgrounds, which printers drop unless told; nobody points at ink."""
    text = page([analyze(run)])
    on_paper = text[text.index("@media print{") : text.index("</style>")]
    assert "print-color-adjust:exact" in on_paper
    (hidden,) = re.findall(r"([^{}]+)\{display:none\}", on_paper)
    assert {"." + name for name in ("tools", "reading")} == set(hidden.strip().split(","))
    for hint in ("Point at a curve", "drag over a stretch"):
        assert re.search(rf'class="(tools|reading)[^>]*>(?:(?!</div>|</p>).)*{hint}', text)


def test_the_page_says_what_the_analysis_says(run: Path) -> None:
    """Figures in words, readable without the curves."""
    found = analyze(run)
    text = page([found])
    assert f"{found.heat[0].max_c:.1f} °C" in text
    assert "power limit reached" in text
    assert "faster than its bound" not in text
    assert "a GPU was lost 1 time" in text
    assert "3 s" in text


def test_faster_than_its_bound_is_said_in_so_many_words(tmp_path: Path) -> None:
    """One of the two is wrong, and a reader must see it."""
    folder = write(tmp_path, [*trial(0, 2), mark(0.5, "x", bound_s=9.0), mark(1, None)])
    assert "faster than its bound" in page([analyze(folder)])


def test_several_runs_share_a_page(tmp_path: Path, run: Path) -> None:
    """With a table that compares them, and one chart each."""
    other = full_run(tmp_path / "runs", name="other")
    text = write_report([run, other], tmp_path / "two.html").read_text()
    assert 'id="chart1"' in text
    assert "All of other" in text


def test_a_comparison_leaves_the_page_of_a_run_as_it_is(tmp_path: Path, run: Path) -> None:
    """It has a name of its own in the first run's folder."""
    other = full_run(tmp_path / "runs", name="other")
    alone = write_report([run]).read_text()
    both = write_report([run, other])
    assert both == run / "compare.html"
    assert 'id="chart1"' in both.read_text()
    assert (run / "report.html").read_text() == alone


def test_a_list_keeps_to_the_lines_of_a_terminal_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A program that reads it gets the whole of a long command."""
    write(tmp_path, [*trial(0, 1)], command=["echo", "x" * 99])
    monkeypatch.delenv("COLUMNS", raising=False)
    assert main(["runs", "--in", str(tmp_path)]) == 0
    assert "x" * 99 in capsys.readouterr().out
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["runs", "--in", str(tmp_path)]) == 0
    assert max(len(line) for line in capsys.readouterr().out.splitlines()) <= 80


def test_what_was_simulated_is_said(tmp_path: Path) -> None:
    """On the page and in the terminal; of what was there nothing is said."""
    gpu = {"devices": [], "driver": "simulated"}
    sim = write(tmp_path / "a", [*trial(0, 1)], port={"url": "sim://?heat=cpu"}, gpu=gpu)
    real = write(tmp_path / "b", [*trial(0, 1)], port={"url": "/dev/ttyACM0"}, gpu={"driver": "5"})
    assert "board and GPU simulated" in page([analyze(sim)])
    assert "board and GPU simulated" in "\n".join(lines(analyze(sim)))
    assert "simulated:" not in page([analyze(real)])


def test_phases_of_repeated_trials_say_which(tmp_path: Path) -> None:
    """The first one, too."""
    marks = [mark(t, "decode") for t in (0.5, 2.5)]
    folder = write(tmp_path, [*trial(0, 1), *trial(2, 3, 1), *marks])
    text = page([analyze(folder)])
    assert "decode (trial 0)" in text
    assert "decode (trial 1)" in text
    said = [line for line in lines(analyze(folder)) if line.startswith("decode")]
    assert [line.rpartition(", ")[2] for line in said] == ["trial 0", "trial 1"]


def test_trials_and_phases_of_a_second_command_are_told_from_those_of_the_first(
    tmp_path: Path,
) -> None:
    marks = [mark(t, "decode") for t in (0.5, 2.5)]
    folder = write(tmp_path, [*trial(0, 1), *trial(2, 3, 1, "B"), *marks])
    text = page([analyze(folder)])
    assert "decode (trial 0)" in text
    assert "decode (trial 1 B)" in text
    said = lines(analyze(folder))
    assert [line[:9].strip() for line in said if line.startswith("trial")] == [
        "trial 0",
        "trial 1 B",
    ]
    assert next(line for line in reversed(said) if line.startswith("decode")).endswith("trial 1 B")


def test_a_run_without_board_gpu_and_trials_has_a_page(tmp_path: Path) -> None:
    """There is little to say, and it is said."""
    folder = write(tmp_path, [event(0, "x")], absent={"gpu": "no driver"})
    assert "no driver" in write_report([folder]).read_text()
    assert lines(analyze(folder))


@pytest.mark.parametrize(
    ("tokens", "panels"),
    [
        # 500 in a second against 10 a second: a curve of the one would lie on the other's axis
        (500, ["Throughput of prefill", "Throughput of decode"]),
        (30, ["Throughput"]),
    ],
)
def test_rates_that_are_far_apart_have_panels_of_their_own(
    tmp_path: Path, tokens: int, panels: list[str]
) -> None:
    notes = [mark(1.0 + n, tokens=10) for n in range(1, 4)]
    steps = [mark(0, "prefill"), mark(1.0, "decode", tokens=0)]
    records = [*trial(0, 4), steps[0], mark(0.99, tokens=tokens), steps[1], *notes]
    drawn = run_series(analyze(write(tmp_path, records)))["panels"]
    assert [panel["title"] for panel in drawn] == panels


def test_a_still_picture_is_well_formed(run: Path, tmp_path: Path) -> None:
    """XML that parses, with every panel that has data."""
    root = ElementTree.parse(write_still(run, tmp_path / "still.svg")).getroot()  # noqa: S314
    words = " ".join(root.itertext())
    assert "GPU temperature, °C" in words
    assert "Board temperature, °C" in words
    assert "Throughput" in words


def test_a_png_is_drawn_without_a_screen(run: Path, tmp_path: Path) -> None:
    """A whole picture, whatever signs the run's own words are made of."""
    import struct

    for folder in (run, write(tmp_path / "bare", [event(0, "x")], name="$a_{b$ \\frac")):
        data = write_figure(folder, tmp_path / "still.png").read_bytes()
        assert data[:8] == b"\x89PNG\r\n\x1a\n"
        assert data[-8:-4] == b"IEND"
        width, height = struct.unpack(">II", data[16:24])
        assert width == 1440
        assert height >= 390


def test_a_png_needs_its_extra_and_says_so(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sentence, exit code 7, and no file."""

    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    with pytest.raises(MissingExtra, match=r"thermoflop\[png\]"):
        write_figure(run, tmp_path / "still.png")
    assert not (tmp_path / "still.png").exists()


def test_a_share_above_its_peak_is_told_in_words_and_not_drawn(tmp_path: Path) -> None:
    """50 tokens of 10 bytes in 4 s, then in 1 s, at 400 bytes/s at most: 31.25 %, 125 %."""
    known = {"bytes_per_token": 10.0, "peak_bytes_per_s": 400.0}
    records = [*trial(0, 10), mark(1, "decode", **known), mark(5, tokens=50), mark(6, tokens=50)]
    analysis = analyze(write(tmp_path, [*records, mark(6, None)]))
    panel = next(p for p in run_series(analysis)["panels"] if p["title"] == "Share of peak")
    (curve,) = panel["curves"]
    assert [value for _, value in curve["points"]] == [31.25, 31.25, None, None, None]
    (said,) = [text for text in analysis.warnings if "peak" in text]
    assert "1 of 2 stretches show up to 125 % of the peak bandwidth" in said


def test_many_phases_are_gathered_by_name(tmp_path: Path) -> None:
    """With how often, how long in all, and every one of them below."""
    records: list[Any] = [*trial(0, 40)]
    for n in range(20):
        records += [mark(2.0 * n, "prefill", tokens=10), mark(2.0 * n + 0.5, "decode")]
    text = page([analyze(write(tmp_path, records))])
    assert "All 40 phases, one by one" in text
    assert re.search(r'"times"[^>]*>20</td><td data-label="seconds in all"[^>]*>10.000<', text)


def test_thinning_keeps_peaks_and_shows_gaps() -> None:
    """A hundred thousand readings, one of them a spike, and a hole."""
    import numpy as np

    t_s = np.arange(100_000) * 0.1
    t_s[50_000:] += 600
    values = np.zeros(100_000)
    values[33_333] = 99.0
    points = thin(t_s, values)
    assert len(points) <= 1.1 * MAX_POINTS
    assert max(v for _, v in points if v is not None) == 99.0
    assert sum(v is None for _, v in points) == 1


def test_csv_has_a_row_for_each_record(run: Path, tmp_path: Path) -> None:
    """And no cell that a spreadsheet would take for a formula."""
    path = tmp_path / "run.csv"
    written = export(run, path)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == written > 150
    assert tuple(rows[0]) == COLUMNS
    assert {row["source"] for row in rows} == {"host", "board", "gpu"}
    assert not any(cell[:1] in "=+@" for row in rows for cell in row.values() if cell)


def test_parquet_has_the_same_rows_as_csv(run: Path, tmp_path: Path) -> None:
    """Column by column, with numbers as numbers and what is missing as null."""
    parquet = pytest.importorskip("pyarrow.parquet")
    n = export(run, tmp_path / "run.csv")
    assert export(run, tmp_path / "run.parquet") == n
    table = parquet.read_table(tmp_path / "run.parquet")
    assert tuple(table.column_names) == COLUMNS
    with (tmp_path / "run.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for name in COLUMNS:
        values = table.column(name).to_pylist()
        for row, value in zip(rows, values, strict=True):
            if isinstance(value, str):
                assert row[name].removeprefix("'") == value
            elif value is None:
                assert row[name] == ""
            else:
                assert float(row[name]) == value
    assert table.column("energy_j").null_count < n
    assert str(table.schema.field("seq").type) == "int64"


def test_words_and_numbers_that_a_table_cannot_hold_do_not_stop_an_export(tmp_path: Path) -> None:
    """Halves of surrogates, formulas of every width, integers beyond 64 bits."""
    pytest.importorskip("pyarrow")
    records = [event(0, word) for word in ("=1+1", "\uff1d1+1", "@x", "-1", "\ud800", "\n=2")]
    huge = GpuSample(START_S, 0.0, 0, mem_used_bytes=1 << 80)
    folder = write(tmp_path / "runs", [*records, huge])
    with (tmp_path / "run.csv").open("w"):
        assert export(folder, tmp_path / "run.csv") == 7
    with (tmp_path / "run.csv").open(newline="", encoding="utf-8") as file:
        kinds = [row["kind"] for row in csv.DictReader(file)]
    assert kinds[:3] == ["'=1+1", "'\uff1d1+1", "'@x"]
    assert kinds[4:6] == ["\\ud800", "'\n=2"]
    assert export(folder, tmp_path / "run.parquet") == 7


def test_parquet_needs_its_extra_and_says_so(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sentence, exit code 7; another ending is a usage error."""

    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtra, match=r"thermoflop\[parquet\]"):
        export(run, tmp_path / "run.parquet")
    with pytest.raises(UsageError, match=r"\.csv or \.parquet"):
        export(run, tmp_path / "run.xlsx")


def test_a_whole_name_goes_before_a_beginning_and_that_before_a_part(tmp_path: Path) -> None:
    """A name of one letter is in that of other runs, too, and may be in an id."""
    given = {"x": "1", "xy": "2", "zxy": "3", "w": "nightly"}
    made = {
        name: write(tmp_path, [event(0, "x")], name=name, labels={"gpu": label})
        for name, label in given.items()
    }
    for word, name in [("x", "x"), ("xy", "xy"), ("zx", "zxy"), ("nightly", "w"), ("gpu=2", "xy")]:
        assert find(word, tmp_path) == made[name], word
    again = write(tmp_path, [event(0, "x")], name="x")
    with pytest.raises(InputError, match="'x' means 2 runs") as refused:
        find("x", tmp_path)
    assert all(folder.name in str(refused.value) for folder in (made["x"], again))


@pytest.mark.parametrize(
    ("run", "failed"),
    [
        ({"exit_code": 0, "ended": {"end": "done"}}, False),
        ({"ended": {"end": "time"}}, False),  # a recording without a command has no exit code
        ({"ended": {"end": "stopped"}}, False),
        ({"exit_code": 3, "ended": {"end": "done"}}, True),
        ({"ended": {"end": "gone"}}, True),
        ({"exit_code": 0, "ended": {"end": "failed"}}, True),
        ({"ended": None}, True),
        ({}, True),
    ],
)
def test_a_run_that_ended_as_it_was_meant_to_did_not_fail(
    tmp_path: Path, run: dict[str, Any], failed: bool
) -> None:
    one = Entry(tmp_path, run)
    assert choose([one], failed=True) == [one] * failed


def test_the_shelf_finds_and_filters(tmp_path: Path) -> None:
    """By label, by a part of the name, by failure; two matches are refused by name."""
    shelf = tmp_path / "runs"
    good = write(shelf, [event(0, "x")], labels={"gpu": "a"}, exit_code=0)
    bad = write(shelf, [event(0, "x")], labels={"gpu": "b"}, exit_code=3)
    (shelf / "not a run").mkdir()
    known = entries(shelf)
    assert {entry.folder for entry in known} == {good, bad}
    assert [e.folder for e in choose(known, labels=[("gpu", "b")])] == [bad]
    assert [e.folder for e in choose(known, failed=True)] == [bad]
    assert find(good.name[-6:], shelf) == good
    with pytest.raises(InputError, match="means 2 runs"):
        find("run", shelf)
    with pytest.raises(InputError, match="there is no run"):
        find("nothing like that", shelf)
    with pytest.raises(InputError, match="is not a run"):
        find(str(shelf), shelf)
