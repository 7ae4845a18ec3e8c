"""A wrapped command: its exit code, its log, its marks, and a run that survives what goes wrong."""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kit.talking_board import TalkingBoard
from thermoflop.errors import (
    BoardError,
    CommandNotFound,
    CommandNotRunnable,
    StorageError,
    UsageError,
)
from thermoflop.pico.track import BoardLine, HostEvent
from thermoflop.runs.analysis.analyze import analyze
from thermoflop.runs.folder.reader import RunReader, read_run
from thermoflop.runs.gpu.sample import GpuSample
from thermoflop.runs.gpu.simulated import SimulatedNvml
from thermoflop.runs.record.gate import Gate
from thermoflop.runs.record.plan import Plan, trials
from thermoflop.runs.record.session import Outcome, record_command


def shell(script: str) -> list[str]:
    """A command that is a line of shell."""
    return ["sh", "-c", script]


def python(script: str) -> list[str]:
    """A command that is a piece of Python."""
    return [sys.executable, "-c", script]


def do(tmp_path: Path, command: list[str], **options: Any) -> Outcome:
    """Record quietly, without a board and a GPU unless asked."""
    options = {"port": "none", "gpu": "none", "echo": (None, None), **options}
    return record_command(Plan(command, out=tmp_path / "runs", **options))


def events(outcome: Outcome) -> list[HostEvent]:
    """The host's events of the run."""
    return [item for item in RunReader(outcome.folder) if isinstance(item, HostEvent)]


def named(outcome: Outcome, ev: str) -> list[HostEvent]:
    """Those of one name."""
    return [event for event in events(outcome) if event.ev == ev]


@pytest.mark.parametrize(
    ("script", "code"),
    [("exit 0", 0), ("exit 3", 3), ("kill -KILL $$", 137), ("kill -TERM $$", 143)],
)
def test_the_exit_code_is_the_commands(tmp_path: Path, script: str, code: int) -> None:
    """128+n when signal n ended it; also in run.json."""
    outcome = do(tmp_path, shell(script))
    assert outcome.exit_code == code
    run = read_run(outcome.folder)
    assert run["exit_code"] == code
    assert run["trials"][0]["exit_code"] == code
    assert run["ended"]["end"] == "done"


def test_neither_board_nor_gpu_is_recorded_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command runs all the same."""
    monkeypatch.setitem(sys.modules, "pynvml", None)
    outcome = do(tmp_path, shell("true"), gpu="auto", port="none")
    assert outcome.absent == {"board": "not asked for", "gpu": "nvidia-ml-py is not installed"}
    assert read_run(outcome.folder)["absent"] == outcome.absent


def test_a_board_that_was_named_and_is_not_there_is_an_error(tmp_path: Path) -> None:
    """Before anything ran, and without a folder."""
    with pytest.raises(BoardError, match="there is no port"):
        do(tmp_path, shell("true"), port="/dev/ttyACM_nope")
    assert not (tmp_path / "runs").exists()


def test_a_command_that_is_not_there_has_the_code_of_a_shell(tmp_path: Path) -> None:
    """127 and 126, and no folder."""
    with pytest.raises(CommandNotFound) as missing:
        do(tmp_path, ["thermoflop-no-such-command"])
    assert missing.value.exit_code == 127
    plain = tmp_path / "plain"
    plain.write_text("no program")
    with pytest.raises(CommandNotRunnable) as refused:
        do(tmp_path, [str(plain)])
    assert refused.value.exit_code == 126
    assert not (tmp_path / "runs").exists()


def test_the_log_has_every_byte_of_output_and_error(tmp_path: Path) -> None:
    """NULs and a missing last newline included."""
    data = bytes(range(256)) * 4096
    (tmp_path / "data").write_bytes(data)
    outcome = do(tmp_path, shell(f"cat {tmp_path}/data; printf err >&2"))
    log = (outcome.folder / "child.log").read_bytes()
    assert len(log) == len(data) + 3
    assert log.replace(b"err", b"", 1) == data
    assert outcome.run["output"] == {
        "bytes": len(log),
        "lost_bytes": 0,
        "lines_not_looked_at": 0,
        "phases_left_out": 0,
    }


def test_a_grandchild_is_waited_for(tmp_path: Path) -> None:
    """Its output is in the log, and nothing is left when the run ends."""
    outcome = do(tmp_path, shell("(sleep 0.4; echo late) & echo early; exit 5"))
    trial = outcome.trials[0]
    assert outcome.exit_code == 5
    assert (outcome.folder / "child.log").read_bytes() == b"early\nlate\n"
    assert trial.left_behind >= 1
    assert trial.all_ended_s is not None
    assert trial.ended_s is not None
    assert trial.all_ended_s - trial.ended_s > 0.2


def test_a_grandchild_in_a_process_group_of_its_own_is_waited_for(tmp_path: Path) -> None:
    """As an interactive shell's jobs are."""
    script = "import os,time\nif os.fork()==0:\n os.setpgid(0,0); time.sleep(.4); print('late')\n"
    outcome = do(tmp_path, python(script))
    assert (outcome.folder / "child.log").read_bytes() == b"late\n"


def test_a_daemon_that_left_the_session_is_not_waited_for(tmp_path: Path) -> None:
    """Not even while it holds our pipes open."""
    before_s = time.monotonic()
    outcome = do(tmp_path, shell("setsid sleep 20 & echo done"))
    assert outcome.exit_code == 0
    assert time.monotonic() - before_s < 15


def test_marks_and_key_value_lines_are_on_the_time_axis(tmp_path: Path) -> None:
    """Between the start and the end of their trial."""
    script = (
        "import thermoflop as tf\ntf.mark('prefill', tokens=8)\nprint('tokens=3', flush=True)\n"
        "print('phase=decode')"
    )
    os.environ["PYTHONPATH"] = ":".join(sys.path)
    outcome = do(tmp_path, python(script))
    marks = named(outcome, "mark")
    assert {mark.detail.get("phase", "-") for mark in marks} == {"prefill", "decode", "-"}
    trial = outcome.trials[0]
    assert trial.started_s is not None
    assert trial.all_ended_s is not None
    assert all(trial.started_s <= mark.mono_s <= trial.all_ended_s for mark in marks)


def test_trials_go_a_b_a_b_after_the_warm_ups() -> None:
    """So that heat favours neither command."""
    order = trials(Plan(["a"], against=["b"], repeats=2, warmups=1))
    assert [(t.variant, t.warmup) for t in order] == [
        ("A", True), ("B", True), ("A", False), ("B", False), ("A", False), ("B", False),
    ]  # fmt: skip


def test_repeats_and_comparison_are_one_folder(tmp_path: Path) -> None:
    """With each trial's own part of the log."""
    outcome = do(tmp_path, shell("echo a"), against=shell("echo bb"), repeats=2)
    log = (outcome.folder / "child.log").read_bytes()
    parts = [log[t.log_from_bytes : t.log_to_bytes] for t in outcome.trials]
    assert parts == [b"a\n", b"bb\n", b"a\n", b"bb\n"]
    assert len(list((tmp_path / "runs").iterdir())) == 1


def test_a_trial_that_fails_ends_the_series(tmp_path: Path) -> None:
    """Its exit code is the run's."""
    outcome = do(tmp_path, shell("true"), against=shell("exit 4"), repeats=3)
    assert outcome.exit_code == 4
    assert [t.exit_code for t in outcome.trials] == [0, 4, None, None, None, None]


def test_gpu_samples_are_recorded_around_the_command(tmp_path: Path) -> None:
    """A lost GPU is said, and the run goes on."""
    fake = SimulatedNvml(load=lambda _: 1.0, lost={0: (0.35, float("inf"))})
    outcome = do(tmp_path, shell("sleep 0.8"), gpu="auto", gpu_library=fake, rate_hz=50)
    samples = [i for i in RunReader(outcome.folder) if isinstance(i, GpuSample)]
    assert len(samples) >= 4
    assert len(named(outcome, "gpu_lost")) == 1
    assert outcome.exit_code == 0
    assert "GPU 0 was lost during the run: GPU is lost" in outcome.notices
    assert outcome.run["gpu"]["devices"][0]["name"] == "Simulated GPU 300W"
    assert fake.started == 0


@pytest.fixture
def board() -> Iterator[TalkingBoard]:
    """A board that talks."""
    with TalkingBoard() as talking:
        yield talking


def test_a_board_is_recorded_around_the_command(tmp_path: Path, board: TalkingBoard) -> None:
    """Lines verbatim; run.json has what a plain log has."""
    outcome = do(tmp_path, shell("sleep 0.4"), port=board.pty.path)
    lines = [i for i in RunReader(outcome.folder) if isinstance(i, BoardLine)]
    run = read_run(outcome.folder)
    assert len(lines) >= 5
    assert run["lines_written"] == len(lines)
    assert run["summary"]["mean_c"] == 25.0
    assert run["board"]["hello"]["fw"] == "0.1.0"
    assert run["clocks"][0]["error_s"] >= 0.001


def test_a_board_unplugged_mid_run_leaves_the_command_alone(
    tmp_path: Path, board: TalkingBoard
) -> None:
    """The run says so."""
    timer = threading.Timer(0.3, board.unplug)
    timer.start()
    outcome = do(tmp_path, shell("sleep 0.8; exit 7"), port=board.pty.path)
    timer.join()
    assert outcome.exit_code == 7
    assert len(named(outcome, "lost")) == 1
    assert any("went away" in notice for notice in outcome.notices)


def test_the_gate_waits_until_the_board_is_cool(tmp_path: Path, board: TalkingBoard) -> None:
    """And writes down from what to what."""
    board.temp_c = 60.0
    timer = threading.Timer(0.4, setattr, (board, "temp_c", 30.0))
    timer.start()
    outcome = do(tmp_path, shell("true"), port=board.pty.path, gate=Gate(40.0, timeout_s=20))
    gate = outcome.trials[0].gate
    assert gate is not None
    assert (gate.reached, gate.from_c, gate.to_c, gate.sensor) == (True, 60.0, 30.0, "board")
    assert [e.detail["reached"] for e in named(outcome, "gate")] == [True]


def test_a_gate_that_times_out_is_said_and_the_command_runs(
    tmp_path: Path, board: TalkingBoard
) -> None:
    """The trial is flagged, not thrown away."""
    board.temp_c = 60.0
    outcome = do(tmp_path, shell("true"), port=board.pty.path, gate=Gate(40.0, timeout_s=0.2))
    assert outcome.exit_code == 0
    assert outcome.trials[0].gate is not None
    assert not outcome.trials[0].gate.reached
    assert "timed out" in outcome.notices[0]


def test_a_gate_without_a_sensor_is_refused(tmp_path: Path) -> None:
    """There is nothing to wait for."""
    with pytest.raises(UsageError, match="no board or GPU to read it"):
        do(tmp_path, shell("true"), gate=Gate(40.0))


def test_a_clock_that_is_stepped_is_an_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Durations are right all the same."""
    real = time.time
    started_s = time.monotonic()
    monkeypatch.setattr(time, "time", lambda: real() + 3600 * (time.monotonic() > started_s + 0.3))
    outcome = do(tmp_path, shell("sleep 0.7"))
    (step,) = named(outcome, "clock_step")
    assert step.detail["step_s"] == pytest.approx(3600, abs=1)
    duration_s = outcome.trials[0].duration_s
    assert duration_s is not None
    assert 0.5 < duration_s < 30


def test_a_disk_that_fills_up_does_not_touch_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log ends, samples are counted as lost, run.json says why, the exit code is passed on."""
    real = os.write
    room = 20_000

    def write(fd: int, data: bytes) -> int:
        nonlocal room
        if len(data) > room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        room -= len(data)
        return real(fd, data)

    monkeypatch.setattr(os, "write", write)
    fake = SimulatedNvml(load=lambda _: 1.0)
    command = python(
        "import time\nfor i in range(100): print('x' * 999); time.sleep(.004)\nexit(9)"
    )
    outcome = do(tmp_path, command, gpu="auto", gpu_library=fake, rate_hz=100)
    monkeypatch.undo()
    assert outcome.exit_code == 9
    run = read_run(outcome.folder)
    log_bytes = (outcome.folder / "child.log").stat().st_size
    assert run["output"]["bytes"] == log_bytes
    assert run["output"]["lost_bytes"] == 100_000 - log_bytes
    assert run["not_written"]["items"] > 0
    assert "disk is full" in run["not_written"]["why"]
    assert len(list(RunReader(outcome.folder))) > 0


def test_a_full_disk_gives_up_its_reserve_to_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """run.json is written in the room that was kept back."""
    from thermoflop.pico.track import HostEvent as Event
    from thermoflop.runs.folder.resilient import ResilientStore

    store = ResilientStore(tmp_path, "x")
    reserve = store.store._reserve
    assert os.fstat(reserve._fd).st_size > 100_000
    assert [path.name for path in store.folder.iterdir()] == ["samples.jsonl"]  # it has no name
    real = os.fsync

    def fsync(fd: int) -> None:
        if reserve._fd >= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    store.write_run({"n": 1})
    assert json.loads((store.folder / "run.json").read_text())["n"] == 1
    assert reserve._fd < 0
    store.write(Event(1.0, 2.0, "x", {}))
    store.close()


def test_a_run_that_cannot_begin_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from thermoflop.runs.folder import store

    def full(n: int) -> bytes:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(store.os, "urandom", full)
    with pytest.raises(StorageError, match="the disk is full"):
        do(tmp_path, shell("true"))
    assert list((tmp_path / "runs").iterdir() if (tmp_path / "runs").exists() else []) == []
    assert not list(tmp_path.rglob("samples.jsonl"))


def test_two_recorders_at_once_keep_apart(tmp_path: Path) -> None:
    """Two folders, each complete."""
    done: list[Outcome] = []
    threads = [
        threading.Thread(target=lambda: done.append(do(tmp_path, shell("echo hi; sleep .2"))))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({outcome.folder for outcome in done}) == 2
    assert all((o.folder / "child.log").read_bytes() == b"hi\n" for o in done)


def test_a_run_is_complete_at_every_moment(tmp_path: Path) -> None:
    """run.json is there while the command runs; its end is still missing then."""
    copy = tmp_path / "copy.json"
    runs = tmp_path / "runs"
    outcome = do(tmp_path, shell(f"cp {runs}/*/run.json {copy}"))
    assert outcome.exit_code == 0
    assert json.loads(copy.read_text())["ended"] is None
    assert {p.name for p in outcome.folder.iterdir()} == {"run.json", "samples.jsonl", "child.log"}


def test_a_broken_recorder_leaves_no_orphan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of our own kills what it started before it is raised."""
    from thermoflop.runs.record import session

    def burst(self: object) -> None:
        raise RuntimeError("bug")

    pids: list[int] = []
    real = session.Child

    def child(*args: Any) -> Any:
        made = real(*args)
        pids.append(made.pid)
        monkeypatch.setattr(session.ClockWatch, "look", burst)
        return made

    monkeypatch.setattr(session, "Child", child)
    with pytest.raises(RuntimeError):
        do(tmp_path, shell("sleep 30"))
    for _ in range(100):
        try:
            os.kill(pids[0], 0)
        except ProcessLookupError:
            break
        time.sleep(0.02)
    else:
        pytest.fail("the child is still there")
    (folder,) = (tmp_path / "runs").iterdir()
    assert read_run(folder)["ended"]["why"] == "RuntimeError"


def test_signals_reach_the_handlers_of_before_again(tmp_path: Path) -> None:
    """After a run, Ctrl-C is the caller's."""
    before = signal.getsignal(signal.SIGINT)
    do(tmp_path, shell("true"))
    assert signal.getsignal(signal.SIGINT) is before


def test_a_python_that_does_not_flush_is_not_buffered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So its phases are read when they are printed; a user's own choice stands, and is noticed."""
    script = (
        "import time\nprint('phase=a')\ntime.sleep(.5)\nprint('tokens=8')\n"
        "print('phase=b')\ntime.sleep(.5)"
    )
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    known = analyze(do(tmp_path, python(script)).folder)
    assert all(p.duration_s is not None and p.duration_s > 0.4 for p in known.phases)
    monkeypatch.setenv("PYTHONUNBUFFERED", "")
    buffered = analyze(do(tmp_path, python(script)).folder)
    assert [p.window.name for p in buffered.phases] == ["a", "b"]
    assert [p.duration_s for p in buffered.phases] == [None, None]
    assert buffered.phases[0].window.sums["tokens"] == 8


def test_every_line_of_a_flood_of_tokens_counts(tmp_path: Path) -> None:
    """Half of them through a buffer of their own, and a last one without an end."""
    script = (
        "import sys\nprint('phase=decode')\n"
        "for n in range(20000): sys.stdout.write('tokens=3\\n')\n"
        "sys.stdout.write('tokens=1\\n' * 20000)\nsys.stderr.write('tokens=7')"
    )
    outcome = do(tmp_path, python(script))
    (decode,) = analyze(outcome.folder).phases
    assert decode.window.sums["tokens"] == 3 * 20000 + 20000 + 7
