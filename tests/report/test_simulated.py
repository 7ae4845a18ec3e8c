"""What was simulated is named wherever its figures stand: page, charts, terminal, pictures, log."""

from __future__ import annotations

import queue
import threading
from pathlib import Path
from typing import Any

import pytest
from kit.run_folder import START_S, board_sample, mark, trial, write
from thermoflop.pico.simulated.board import SimulatedBoard
from thermoflop.pico.simulated.options import Options
from thermoflop.pico.simulated.tcpport import serve_tcp
from thermoflop.report.html.page import page
from thermoflop.report.html.series import run_series
from thermoflop.report.pictures.run_picture import draw_run
from thermoflop.report.terminal import run_list
from thermoflop.report.terminal.terminal import lines
from thermoflop.runs.analysis.analyze import analyze
from thermoflop.runs.analysis.row import RunRow
from thermoflop.runs.folder.index import Entry
from thermoflop.runs.gpu.sample import GpuSample
from thermoflop.runs.gpu.simulated import SimulatedNvml
from thermoflop.runs.record.plan import Plan
from thermoflop.runs.record.session import record_command

SIMULATED_BOARD = {"port": {"url": "sim://?seed=7"}}
SIMULATED_GPU = {"gpu": {"driver": "simulated", "devices": [{"index": 0}]}}
REAL = {"port": {"url": "/dev/ttyACM0"}, "gpu": {"driver": "550.54", "devices": [{"index": 0}]}}


def a_run(out: Path, **run: Any) -> Path:
    """2 s with a board and a GPU."""
    samples = [
        GpuSample(START_S + n / 10, 0.0, 0, power_w=200.0, temp_c=50.0, reasons=4)
        for n in range(-2, 23)
    ]
    board = [board_sample(0.2 * (n + 1), n) for n in range(10)]
    return write(out, [*trial(0, 2), mark(0, "decode"), *samples, *board], **run)


@pytest.mark.parametrize(
    ("run", "gpu", "board"),
    [
        ({**REAL}, False, False),
        ({**REAL, **SIMULATED_GPU}, True, False),
        ({**REAL, **SIMULATED_BOARD}, False, True),
        ({**SIMULATED_GPU, **SIMULATED_BOARD}, True, True),
    ],
)
def test_each_line_of_the_terminal_says_which_source_was_simulated(
    tmp_path: Path, run: dict[str, Any], gpu: bool, board: bool
) -> None:
    """Energy and heat of the GPU, heat and fan of the board: each by itself."""
    rows = {line[:14].strip(): line for line in lines(analyze(a_run(tmp_path, **run)))}
    said = {name: "(simulated)" in line for name, line in rows.items()}
    assert said["trial 0"] == said["decode"] == said["GPU 0"] == said["throttled"] == gpu
    assert said["board"] == said["fan"] == board


@pytest.mark.parametrize(
    ("run", "words"),
    [
        ({**REAL}, ""),
        ({**REAL, **SIMULATED_GPU}, "GPU simulated"),
        ({**REAL, **SIMULATED_BOARD}, "board simulated"),
        ({**SIMULATED_GPU, **SIMULATED_BOARD}, "board and GPU simulated"),
    ],
)
def test_each_table_and_curve_of_the_page_says_it(
    tmp_path: Path, run: dict[str, Any], words: str
) -> None:
    """In the titles of the tables, beside the figures on top, and in the curves' names."""
    analysis = analyze(a_run(tmp_path, **run))
    text = page([analysis])
    for title in ("Phases", "Trials", "Heat", "Throttling"):
        assert f"<h3>{title}{f' ({words})' if words else ''}</h3>" in text
    assert ("GPU energy, all trials (simulated)" in text) == ("GPU" in words)
    names = {c["name"] for panel in run_series(analysis)["panels"] for c in panel["curves"]}
    assert ("GPU 0 (simulated)" in names) == ("GPU" in words)
    assert ("board (simulated)" in names) == ("board" in words)
    picture = draw_run(analysis.data.folder).read_text()
    assert ("simulated" in picture) == bool(words)


def test_a_comparison_says_it_of_the_run_that_was_simulated(tmp_path: Path) -> None:
    """And not of the other."""
    runs = [analyze(a_run(tmp_path / "a", **REAL)), analyze(a_run(tmp_path / "b", **SIMULATED_GPU))]
    named = page(runs).split("</ul>")[0].split("<li>")[1:]
    assert ["GPU simulated" in each for each in named] == [False, True]


def test_a_recording_says_it_before_the_command_starts(tmp_path: Path) -> None:
    """Whatever figure the terminal shows afterwards."""
    said: list[str] = []
    plan = Plan(
        command=["true"], out=tmp_path, port="none", gpu_library=SimulatedNvml(), echo=(None, None)
    )
    record_command(plan, said.append)
    assert said == ["GPU simulated: its figures are no measurement"]


def test_a_board_behind_tcp_says_itself_that_it_is_simulated(tmp_path: Path) -> None:
    """Its port does not tell; what it calls itself stands in run.json and is read from there."""
    board = SimulatedBoard(Options(speed=20.0))
    address: queue.Queue[tuple[str, int]] = queue.Queue()
    threading.Thread(
        target=serve_tcp, args=(board, ("127.0.0.1", 0), lambda *at: address.put(at)), daemon=True
    ).start()
    host, port = address.get(timeout=30)
    plan = Plan(
        command=["sleep", "0.5"], out=tmp_path, port=f"socket://{host}:{port}", gpu="none",
        echo=(None, None),
    )  # fmt: skip
    try:
        outcome = record_command(plan)
    finally:
        board.stop()
    assert outcome.run["board"]["hello"]["board"] == "Raspberry Pi Pico W with RP2040 (simulated)"
    analysis = analyze(outcome.folder)
    assert any("board simulated" in text for text in analysis.warnings)
    assert "board (simulated)" in page([analysis])


def test_a_list_of_runs_marks_the_energy_of_a_simulated_gpu_as_its_temperature(
    tmp_path: Path,
) -> None:
    """In a run of a real GPU neither has a mark."""
    row = RunRow(tokens_per_s=1000.5, decode_tokens_per_s=None, joules_per_token=1.5, peak_c=50.0)
    for facts, cells in ((SIMULATED_GPU, "50.0 (sim) 1.5 (sim)"), (REAL, "50.0 1.5")):
        text = run_list.lines([(Entry(tmp_path, facts), row, "")])
        assert cells in " ".join(text.split())
