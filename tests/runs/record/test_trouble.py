"""What may go wrong around a command: the run is kept, says what happened, and passes its code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from kit.board_lines import Pty, introduction, sample_line
from thermoflop.pico.track import BoardLine, HostEvent
from thermoflop.report.html.page import page
from thermoflop.runs.analysis.analyze import analyze
from thermoflop.runs.folder.reader import RunReader, read_run
from thermoflop.runs.gpu import sampler
from thermoflop.runs.gpu.sample import GpuSample
from thermoflop.runs.gpu.simulated import Body, SimulatedNvml
from thermoflop.runs.record.plan import Plan
from thermoflop.runs.record.session import Outcome, record_command

QUIET = (None, None)


def do(out: Path, script: str, **options: Any) -> Outcome:
    """Record a line of shell quietly, without board and GPU unless asked."""
    given = {"port": "none", "gpu": "none", "echo": QUIET, **options}
    return record_command(Plan(["sh", "-c", script], out=out, **given))


def names(outcome: Outcome) -> list[str]:
    """The host's events in order of time."""
    items = [item for item in RunReader(outcome.folder) if isinstance(item, HostEvent)]
    return [item.ev for item in sorted(items, key=lambda item: item.mono_s)]


def samples(outcome: Outcome) -> list[Any]:
    """The board's samples."""
    lines = [item for item in RunReader(outcome.folder) if isinstance(item, BoardLine)]
    return [line.message for line in lines if hasattr(line.message, "temp_c")]


def test_a_command_that_ends_at_once_is_whole(tmp_path: Path) -> None:
    """Ten of a few milliseconds each: every byte, mark and exit code."""
    outcome = do(tmp_path, "echo phase=a; printf x; exit 0", repeats=10)
    assert outcome.exit_code == 0
    assert (outcome.folder / "child.log").read_bytes() == b"phase=a\nx" * 10
    analysis = analyze(outcome.folder)
    assert len(analysis.trials) == len(analysis.phases) == 10
    assert all(t.window.exit_code == 0 for t in analysis.trials)
    assert all(0 < t.window.duration_s < 5 for t in analysis.trials)


def test_a_simulated_board_unplugged_plugged_in_again_and_rebooted(tmp_path: Path) -> None:
    """The same command, one run: lost, back, another boot, and samples of after each."""
    url = "sim://?speed=10&fault=unplug@10:10,reboot@35"
    outcome = do(tmp_path, "sleep 5; exit 3", port=url)
    assert outcome.exit_code == 3
    seen = names(outcome)
    assert {"lost", "reconnect", "reboot"} <= set(seen)
    assert seen.index("lost") < seen.index("reconnect") < seen.index("reboot")
    boots = list(dict.fromkeys(sample.boot for sample in samples(outcome)))
    assert len(boots) == 2
    counters = read_run(outcome.folder)["counters"]
    assert (counters["reconnects"], counters["reboots"]) == (1, 1)
    text = page([analyze(outcome.folder)])
    assert "the board restarted 1 time" in text
    assert "port went away 1 time" in text


class Talker(threading.Thread):
    """A board that says who it is and a sample, again and again, on a terminal of its own."""

    def __init__(self, boot: str, link: Path | None = None) -> None:
        super().__init__()
        self.pty = Pty(link)
        self._boot = boot
        self._stop_it = threading.Event()
        self.start()

    def run(self) -> None:
        """Until it is unplugged."""
        seq = 0
        while not self._stop_it.wait(0.02):
            self.pty.say(introduction(self._boot) * (seq % 10 == 0))
            self.pty.say(sample_line(seq, self._boot))
            seq += 1

    def unplug(self) -> None:
        """Stop and close both ends."""
        self._stop_it.set()
        self.join()
        self.pty.unplug()


def test_a_board_on_a_terminal_that_comes_back_is_recorded_on(tmp_path: Path) -> None:
    """Under the same name, as a replugged cable does, and with another boot."""
    link, runs, enough = tmp_path / "ttyPICO", tmp_path / "runs", tmp_path / "enough"
    done: list[Outcome] = []
    script = f"while [ ! -e {enough} ]; do sleep 0.05; done; exit 4"
    talker = Talker("aa0001", link)
    recording = threading.Thread(target=lambda: done.append(do(runs, script, port=str(link))))
    recording.start()
    try:
        wait_for(lambda: b'"aa0001","seq"' in written(runs))
        talker.unplug()
        wait_for(lambda: b'"ev":"lost"' in written(runs))
        talker = Talker("bb0002", link)
        wait_for(lambda: b'"bb0002","seq"' in written(runs))
    finally:
        enough.touch()
        recording.join(30)
        talker.unplug()
    assert done[0].exit_code == 4
    assert {sample.boot for sample in samples(done[0])} == {"aa0001", "bb0002"}
    assert {"lost", "reconnect", "reboot"} <= set(names(done[0]))


def test_a_gpu_lost_and_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its samples stop and go on; the other GPU's do not stop."""
    monkeypatch.setattr(sampler, "RETRY_S", 0.2)
    fake = SimulatedNvml([Body(), Body()], lost={0: (0.4, 0.5)})
    outcome = do(tmp_path, "sleep 2; exit 5", gpu="auto", gpu_library=fake, rate_hz=50)
    assert outcome.exit_code == 5
    seen = names(outcome)
    assert seen.count("gpu_lost") == seen.count("gpu_back") == 1
    assert "GPU 0 was lost during the run: GPU is lost" in outcome.notices
    readings = [item for item in RunReader(outcome.folder) if isinstance(item, GpuSample)]
    t_s = {gpu: [r.mono_s for r in readings if r.gpu == gpu] for gpu in (0, 1)}
    holes = {gpu: max(b - a for a, b in pairwise(t)) for gpu, t in t_s.items()}
    assert holes[0] > 0.4 > holes[1]


def test_two_recorders_want_the_same_board(tmp_path: Path) -> None:
    """The second is refused in one sentence; the first one's command does not notice."""
    talker, enough = Talker("aa0001"), tmp_path / "enough"
    path = talker.pty.path
    try:
        script = f"while [ ! -e {enough} ]; do sleep 0.05; done; exit 6"
        first = start(tmp_path / "one", "--port", path, "--", "sh", "-c", script)
        wait_for(lambda: b'"seq"' in written(tmp_path / "one"))
        second = start(tmp_path / "two", "--port", path, "--", "true")
        _, err = second.communicate(timeout=60)
        enough.touch()
        first.communicate(timeout=60)
    finally:
        talker.unplug()
    assert (first.returncode, second.returncode) == (6, 4)
    assert err.count(b"\n") == 1
    assert not (tmp_path / "two").exists()


def test_a_killed_recorder_leaves_no_command_that_hangs(tmp_path: Path) -> None:
    """The next line of its output finds no reader: it ends, and does not wait for one."""
    script = "import time\nwhile True: print('x' * 4096, flush=True); time.sleep(0.05)"
    process = start(tmp_path / "runs", "--port", "none", "--", sys.executable, "-c", script)
    wait_for(lambda: b"child_start" in written(tmp_path / "runs"))
    (folder,) = (tmp_path / "runs").iterdir()
    pid = next(
        item.detail["pid"]
        for item in RunReader(folder)
        if isinstance(item, HostEvent) and item.ev == "child_start"
    )
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    try:
        wait_for(lambda: not is_alive(pid))
    finally:
        if is_alive(pid):
            os.kill(pid, signal.SIGKILL)
    assert read_run(folder)["ended"] is None
    assert "the recorder was killed" in page([analyze(folder)])


def test_a_folder_that_goes_away_does_not_end_the_command(tmp_path: Path) -> None:
    """Somebody deletes the run while it is made: that is said, and the code is passed on."""
    script = f"sleep 0.3; rm -r {tmp_path}/runs; sleep 1.5; exit 8"
    outcome = do(tmp_path / "runs", script, gpu="auto", gpu_library=SimulatedNvml())
    assert outcome.exit_code == 8
    assert outcome.notices


def start(out: Path, *words: str) -> subprocess.Popen[bytes]:
    """A recorder in a process of its own."""
    command = [sys.executable, "-m", "thermoflop", "record", "--gpu", "none", "--out", str(out)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(
        [*command, *words], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def written(runs: Path) -> bytes:
    """What stands in the samples of the only run so far."""
    return b"".join(path.read_bytes() for path in runs.glob("*/samples.jsonl"))


def wait_for(happened: Any) -> None:
    """Until it has, half a minute at most."""
    until_s = time.monotonic() + 30
    while not happened():
        assert time.monotonic() < until_s, "it never happened"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
