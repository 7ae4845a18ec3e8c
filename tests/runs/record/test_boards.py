"""Several boards in one run: each apart, by name, and none at another's cost."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from kit.board_lines import sample_line
from kit.run_folder import board_line, event, trial, write
from kit.talking_board import TalkingBoard
from thermoflop.errors import BoardError, UsageError
from thermoflop.pico.track import BadLine, BoardLine, HostEvent
from thermoflop.report.html.page import page
from thermoflop.report.terminal.terminal import lines
from thermoflop.runs.analysis.analyze import analyze
from thermoflop.runs.folder.export import rows
from thermoflop.runs.folder.reader import RunReader, parse, read_run
from thermoflop.runs.folder.records import FurtherLine
from thermoflop.runs.folder.store import encode
from thermoflop.runs.record.gate import Gate
from thermoflop.runs.record.plan import Plan
from thermoflop.runs.record.session import Outcome, record_command


@pytest.fixture
def boards() -> Iterator[list[TalkingBoard]]:
    """Three that talk, at 20, 40 and 60 degrees."""
    with ExitStack() as stack:
        each = [stack.enter_context(TalkingBoard()) for _ in range(3)]
        for number, board in enumerate(each):
            board.temp_c = 20.0 * (number + 1)
        yield each


def do(out: Path, script: str, *ports: str, gate: Gate | None = None) -> Outcome:
    """Record a line of shell with these boards."""
    return record_command(
        Plan(["sh", "-c", script], out=out, port=ports[0], further_ports=ports[1:], gpu="none",
             echo=(None, None), gate=gate)
    )  # fmt: skip


def test_each_board_is_recorded_apart_under_its_port(
    tmp_path: Path, boards: list[TalkingBoard]
) -> None:
    """Samples, facts and figures; those of the first one as if it were alone."""
    ports = [board.pty.path for board in boards]
    outcome = do(tmp_path, "sleep 0.5; exit 3", *ports)
    assert outcome.exit_code == 3
    run = read_run(outcome.folder)
    assert [each["name"] for each in run["boards"]] == [f"board {port}" for port in ports]
    assert [each["summary"]["max_c"] for each in run["boards"]] == [20.0, 40.0, 60.0]
    first = {key: value for key, value in run["boards"][0].items() if key != "name"}
    assert first.items() <= run.items()
    data = analyze(outcome.folder).data
    assert [board.name for board in data.boards.values()] == [f"board {port}" for port in ports]
    for number, board in data.boards.items():
        assert set(board.temp_c) == {20.0 * (number + 1)}
        assert not board.stretch.any()
        assert len(board.t_s) > 10
    firsts = [item for item in RunReader(outcome.folder) if isinstance(item, BoardLine)]
    assert len(firsts) == run["lines_written"]


def test_a_board_that_is_not_there_costs_itself_alone(
    tmp_path: Path, boards: list[TalkingBoard]
) -> None:
    """Its reason is kept, and the next one is the run's first."""
    said: list[str] = []
    plan = Plan(
        ["true"], out=tmp_path, port="/dev/nope", further_ports=[boards[0].pty.path], gpu="none",
        echo=(None, None),
    )  # fmt: skip
    outcome = record_command(plan, said.append)
    assert outcome.exit_code == 0
    run = read_run(outcome.folder)
    assert "there is no port /dev/nope" in run["absent"]["board at /dev/nope"]
    assert any("/dev/nope" in sentence for sentence in said)
    assert run["port"]["url"] == boards[0].pty.path
    assert "boards" not in run


def test_no_board_of_those_named_is_an_error(tmp_path: Path) -> None:
    """As with one port; and "none" beside a port is a slip."""
    with pytest.raises(BoardError, match="/dev/nope1"):
        do(tmp_path, "true", "/dev/nope1", "/dev/nope2")
    with pytest.raises(UsageError, match="stands alone"):
        do(tmp_path, "true", "none", "/dev/nope2")
    assert not list(tmp_path.iterdir())


def test_a_board_that_is_unplugged_leaves_the_others_alone(
    tmp_path: Path, boards: list[TalkingBoard]
) -> None:
    """The run says which one it was."""
    ports = [board.pty.path for board in boards[:2]]
    timer = threading.Timer(0.3, boards[1].unplug)
    timer.start()
    outcome = do(tmp_path, "sleep 1", *ports)
    timer.join()
    items = list(RunReader(outcome.folder))
    (lost,) = [item for item in items if isinstance(item, HostEvent) and item.ev == "lost"]
    assert lost.detail["board"] == 1
    went_s = lost.mono_s
    assert sum(isinstance(item, BoardLine) and item.mono_s > went_s for item in items) > 10
    assert not any(isinstance(item, FurtherLine) and item.mono_s > went_s for item in items)
    warnings = analyze(outcome.folder).warnings
    assert any(f"board {ports[1]}'s port went away" in text for text in warnings)
    assert not any(f"board {ports[0]}'s" in text for text in warnings)


def test_the_gate_waits_for_the_hottest_board(tmp_path: Path, boards: list[TalkingBoard]) -> None:
    """Whichever it is."""
    gate = Gate(30.0, timeout_s=0.3)
    outcome = do(tmp_path, "true", *(board.pty.path for board in boards), gate=gate)
    waited = outcome.trials[0].gate
    assert waited is not None
    assert (waited.reached, waited.to_c) == (False, 60.0)


def further(t_s: float, seq: int, temp_c: float, number: int = 1) -> FurtherLine:
    """A sample of another board than the first."""
    line = board_line(t_s, sample_line(seq, boot="bb0002", temp_c=temp_c))
    return FurtherLine(number, line)


@pytest.mark.parametrize("number", [1, 2, 39])
def test_a_line_of_a_further_board_is_read_as_it_was_written(number: int) -> None:
    """Good or bad; the line stands there byte for byte, and its crc is checked again."""
    good = further(1.5, 7, 31.25, number)
    data = encode(good)
    assert parse(data[:-1]) == good
    assert isinstance(good.line, BoardLine)
    assert good.line.line in data
    damaged = parse(data[:-1].replace(b"31.25", b"37.25"))
    assert isinstance(damaged, FurtherLine)
    assert isinstance(damaged.line, BadLine)
    assert damaged.line.reason == "stored_crc"
    bad = FurtherLine(number, BadLine(12.5, 1.75e9, "crc", b'{"k":"s","x', 11))
    assert parse(encode(bad)[:-1]) == bad


def test_the_report_names_each_board_with_its_figures(tmp_path: Path) -> None:
    """Heat, fan, provenance and curves; simulated is said of the one that is."""
    samples = [
        each
        for n in range(20)
        for each in (
            board_line(0.2 * n, sample_line(n, temp_c=25.0 + n % 2)),
            further(0.2 * n, n, 50.0 + n % 2),
        )
    ]
    boards = [
        {"name": "board E661", "port": {"url": "/dev/ttyACM0"}},
        {"name": "board sim://", "port": {"url": "sim://"}},
    ]
    reboot = event(2.0, "reboot", board=1, was="a", boot="b")
    folder = write(tmp_path, [*trial(0, 4), *samples, reboot], boards=boards)
    analysis = analyze(folder)
    rows_of = {line[:14].strip(): line for line in lines(analysis)}
    assert "max 26.0" in rows_of["board E661"]
    assert "(simulated)" not in rows_of["board E661"]
    assert "max 51.0" in rows_of["board sim://"]
    assert "(simulated)" in rows_of["board sim://"]
    assert "the board sim:// restarted 1 time during the run" in analysis.warnings
    text = page([analysis])
    for words in ("board E661 max °C", "board sim:// max °C", '"board sim:// restarted"'):
        assert words in text
    data = json.loads(json.dumps(analysis.to_json()))
    assert data["trials"][0]["max_boards_c"] == {"board E661": 26.0, "board sim://": 51.0}
    assert data["trials"][0]["max_board_c"] == 26.0
    assert {row["source"] for row in rows(folder)} == {"host", "board", "board 2"}


def test_a_run_json_that_says_nonsense_of_its_boards_is_read(tmp_path: Path) -> None:
    """The samples stand, under the number of their board."""
    lines_of = [further(0.2 * n, n, 50.0, number=5) for n in range(20)]
    for boards in ([], [None], {"name": 3}, [{"name": []}] * 6, "two"):
        folder = write(tmp_path, [*trial(0, 4), *lines_of], boards=boards)
        analysis = analyze(folder)
        assert [heat.max_c for heat in analysis.heat] == [50.0]
        assert "50.0" in page([analysis])
