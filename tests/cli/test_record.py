"""``record`` as a user meets it: signals, pipes, what is printed where."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from kit.run_folder import write
from thermoflop.cli.record import _degrees_c, _warmed
from thermoflop.runs.analysis.analyze import analyze
from thermoflop.runs.folder.index import choose, entries
from thermoflop.runs.folder.reader import RunReader, read_run


def start(tmp_path: Path, *words: str, **options: Any) -> subprocess.Popen[bytes]:
    """A recorder in a process of its own."""
    command = [sys.executable, "-m", "thermoflop", "record", "--port", "none"]
    command += ["--out", str(tmp_path / "runs"), *words]
    environment = {**os.environ, "PYTHONPATH": ":".join(sys.path)}
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options
    )


def run_once(tmp_path: Path, *words: str) -> tuple[int, str, str]:
    """Exit code, output and error of a whole recording."""
    process = start(tmp_path, *words)
    out, err = process.communicate(timeout=60)
    return process.returncode, out.decode(), err.decode()


def wait_for_file(path: Path) -> None:
    """Until a child has said that it is ready."""
    for _ in range(500):
        if path.exists():
            return
        time.sleep(0.02)
    raise AssertionError(f"{path} never came")


def the_run(tmp_path: Path) -> Path:
    """The only run folder."""
    (folder,) = (tmp_path / "runs").iterdir()
    return folder


def is_alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_output_and_error_pass_through_and_our_words_go_to_error(tmp_path: Path) -> None:
    """So that `record -- cmd > file` is what `cmd > file` is."""
    code, out, err = run_once(tmp_path, "--gpu", "none", "--", "sh", "-c", "echo o; echo e >&2")
    assert (code, out) == (0, "o\n")
    assert "e\n" in err
    assert "kept in" in err


def test_json_goes_to_standard_output_alone(tmp_path: Path) -> None:
    """The command's output steps aside."""
    code, out, err = run_once(
        tmp_path, "--gpu", "sim", "--json", "--label", "a=b", "--", "echo", "o"
    )
    data = json.loads(out)
    assert (code, data["exit_code"], data["labels"]) == (0, 0, {"a": "b"})
    assert "o\n" in err


def test_repetitions_end_with_their_means_and_what_the_second_command_takes_more(
    tmp_path: Path,
) -> None:
    words = ("--gpu", "none", "--no-report", "-n", "2", "--vs", "true", "--", "true")
    code, _, err = run_once(tmp_path, *words)
    *_, first, second, over = err.splitlines()
    made = analyze(the_run(tmp_path))
    ratio = made.b_over_a
    assert (code, ratio is not None) == (0, True)
    assert first.startswith(f"thermoflop record: time A: {made.durations['A'].mean:.3f} ± ")
    assert second.startswith("thermoflop record: time B: ")
    assert second.endswith(" s, 2x")
    assert over.startswith(f"thermoflop record: B over A: {100 * ratio.mean:+.2f} ± ")


COUNT = """
import signal, sys, time
hits = []
signal.signal(signal.SIGINT, lambda *_: hits.append(1))
open(sys.argv[1], "w").close()
end = time.monotonic() + 30
while not hits and time.monotonic() < end:
    time.sleep(0.01)
time.sleep(0.3)
sys.exit(40 + len(hits))
"""


def test_ctrl_c_reaches_the_command_once(tmp_path: Path) -> None:
    """The terminal sends it to the recorder's group; the command gets one."""
    ready = tmp_path / "ready"
    words = ["--gpu", "none", "--", sys.executable, "-c", COUNT, str(ready)]
    process = start(tmp_path, *words, start_new_session=True)
    wait_for_file(ready)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 41, err.decode()
    assert read_run(the_run(tmp_path))["ended"]["why"] == "SIGINT"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_command_without_handlers_ends_with_the_signal(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    """128+n is passed through."""
    ready = tmp_path / "ready"
    process = start(tmp_path, "--gpu", "none", "--", "sh", "-c", f"touch {ready}; exec sleep 30")
    wait_for_file(ready)
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == code


def test_a_command_that_is_stopped_wakes_to_end(tmp_path: Path) -> None:
    """SIGTERM waits for a stopped process to go on."""
    ready = tmp_path / "ready"
    script = f"trap 'exit 9' TERM; touch {ready}; kill -STOP $$; sleep 30"
    process = start(tmp_path, "--gpu", "none", "--grace", "20s", "--", "sh", "-c", script)
    wait_for_file(ready)
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 9


def test_a_quit_at_the_terminal_leaves_no_command_behind(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    words = ["--gpu", "none", "--", "sh", "-c", f"echo $$ > {ready}; exec sleep 30"]
    process = start(tmp_path, *words)
    wait_for_file(ready)
    process.send_signal(signal.SIGQUIT)
    process.communicate(timeout=60)
    assert process.returncode == 143
    assert not is_alive(int(ready.read_text()))
    assert read_run(the_run(tmp_path))["ended"]["why"] == "SIGQUIT"


def test_a_command_that_ignores_sigterm_is_killed_after_the_grace(tmp_path: Path) -> None:
    """With its grandchildren; no orphan is left."""
    ready = tmp_path / "ready"
    script = f"trap '' TERM; sh -c 'trap \"\" TERM; echo $$ > {ready}; sleep 30' & wait; sleep 30"
    process = start(tmp_path, "--gpu", "none", "--grace", "300ms", "--", "sh", "-c", script)
    wait_for_file(ready)
    time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 137
    assert not is_alive(int(ready.read_text()))


def test_kill_9_of_the_recorder_loses_nothing_written(tmp_path: Path) -> None:
    """Every whole record stays, run.json is there, and the run is seen to be unfinished."""
    process = start(tmp_path, "--gpu", "sim", "--rate", "100", "--", "sleep", "30")
    for _ in range(500):
        files = list((tmp_path / "runs").glob("*/samples.jsonl"))
        if files and files[0].stat().st_size > 4000:
            break
        time.sleep(0.02)
    child = next(
        item.detail["pid"]
        for item in RunReader(the_run(tmp_path))
        if getattr(item, "ev", "") == "child_start"
    )
    process.kill()
    process.communicate(timeout=60)
    os.kill(child, signal.SIGKILL)
    reader = RunReader(the_run(tmp_path))
    assert len(list(reader)) > 10
    assert (reader.counts.foreign, reader.counts.torn) == (0, 0)
    assert read_run(the_run(tmp_path))["ended"] is None


def test_nobody_reading_our_output_does_not_end_the_log(tmp_path: Path) -> None:
    """`record -- cmd | head` still records all of cmd."""
    process = start(tmp_path, "--gpu", "none", "--", "sh", "-c", "seq 100000; exit 6")
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    process.communicate(timeout=60)
    assert process.returncode == 6
    log = (the_run(tmp_path) / "child.log").read_bytes()
    assert log.endswith(b"\n100000\n")


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["--"], 2, "there is no command to record"),
        (["-n", "0", "--", "true"], 2, "-n must be at least 1"),
        (["-n", str(10**20), "--", "true"], 2, "neither above 1,000,000"),
        (["--warmup", str(10**20), "--", "true"], 2, "neither above 1,000,000"),
        (["--vs", "a 'b", "--", "true"], 2, "is not a command line"),
        (["--label", "x", "--", "true"], 2, "KEY=VALUE"),
        (["--batch", "3", "--", "true"], 2, "--batch 3 needs --model"),
        (["--model", "gpt2", "--gpu", "none", "--", "true"], 2, "no GPU to predict for"),
        (["--model", "gpt2", "--hardware", "x", "--", "true"], 3, "no prediction can be made"),
        (["--wait-below", "40F", "--", "true"], 2, "--wait-below '40F' makes no sense"),
        (["--gpu", "4090", "--", "true"], 2, "record --gpu-model 4090"),
        (["--rate", "5000", "--", "true"], 2, "not between 0 and 200 Hz"),
        (["--", "thermoflop-no-such"], 127, "there is no command"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(
    tmp_path: Path, words: list[str], code: int, text: str
) -> None:
    """Before anything runs, and without a folder."""
    got, _, err = run_once(tmp_path, *words)
    assert (got, text in err) == (code, True), err
    assert "Traceback" not in err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("typed", ["40", "40c", "40C", "40°C", "40 °C", "4e1"])
def test_a_temperature_may_have_its_unit(typed: str) -> None:
    assert _degrees_c(typed) == 40


@pytest.mark.parametrize(
    ("first", "says"),
    [
        ("#!/opt/none/python\n", "its interpreter /opt/none/python"),
        ("#!/etc/passwd -u\n", "its interpreter /etc/passwd"),
        ("#!/bin/sh\r\n", "carriage return"),
        ("#!\n", "names no interpreter"),
        ("echo hello\n", "no script whose first line begins with #!"),
    ],
)
def test_a_script_that_cannot_start_is_a_failed_run_and_its_interpreter_is_named(
    tmp_path: Path, first: str, says: str
) -> None:
    script = tmp_path / "script"
    script.write_bytes(first.encode())
    script.chmod(0o755)
    code, _, err = run_once(tmp_path, "--gpu", "none", "--", str(script))
    assert (code, says in err) == (126, True), err
    run = read_run(the_run(tmp_path))
    assert (run["exit_code"], run["ended"]["end"]) == (126, "failed")
    assert says in run["ended"]["why"]
    (entry,) = choose(entries(tmp_path / "runs"), failed=True)
    assert entry.state == "exit 126"


def test_a_failed_run_of_before_is_failed_though_its_exit_code_says_0(tmp_path: Path) -> None:
    folder = write(tmp_path, [], ended={"end": "failed", "why": "bug"}, exit_code=0)
    (entry,) = choose(entries(tmp_path), failed=True)
    assert (entry.folder, entry.state) == (folder, "failed")


@pytest.mark.parametrize(
    ("command", "out"),
    [
        ("echo hello", "hello\n"),
        ("python3 -c 'print(1 * 2)'", "2\n"),
        ('echo "a; b" c\\ d', "a; b c d\n"),
    ],
)
def test_a_whole_command_in_quotes_runs_by_the_words_of_a_shell(
    tmp_path: Path, command: str, out: str
) -> None:
    assert run_once(tmp_path, "--gpu", "none", "--no-report", "--", command)[:2] == (0, out)


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["seq 3 | head -1"], 2, "has '|' in it, which needs a shell: sh -c 'seq 3 | head -1'"),
        (["echo $HOME"], 2, "needs a shell"),
        (['echo "$HOME"'], 2, "needs a shell"),
        (["echo 'a b"], 2, "is not a command line"),
        (["X=1", "echo"], 127, "write env before it"),
        (["X=1 echo"], 127, "write env before it"),
        (["--vs", "a && b", "--", "true"], 2, "--vs 'a && b' has '&' in it"),
    ],
)
def test_what_needs_a_shell_is_told_how(
    tmp_path: Path, words: list[str], code: int, says: str
) -> None:
    given = words if "--" in words else ["--", *words]
    got, _, err = run_once(tmp_path, "--gpu", "none", *given)
    assert (got, says in err) == (code, True), err
    assert not (tmp_path / "runs").exists()


def state(pid: int) -> str:
    """The state of a process: T when it is stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def wait_for_state(pid: int, wanted: str) -> None:
    """Until a process is stopped, or is not."""
    for _ in range(500):
        if (state(pid) == "T") == (wanted == "T"):
            return
        time.sleep(0.02)
    raise AssertionError(f"process {pid} is {state(pid)}")


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at states in /proc")
@pytest.mark.parametrize("background", ["", "sleep 30 & echo $! > {}.other; "])
def test_ctrl_z_stops_command_and_recorder_and_the_pause_is_a_span_of_the_record(
    tmp_path: Path, background: str
) -> None:
    """All of its processes; no time of the run has the pause in it."""
    ready = tmp_path / "ready"
    script = background.format(ready) + f"echo phase=a; echo $$ > {ready}; sleep 1"
    script += "; kill $!" if background else ""
    process = start(tmp_path, "--gpu", "none", "--", "sh", "-c", script)
    wait_for_file(ready)
    time.sleep(0.3)
    pids = [process.pid, int(ready.read_text())]
    pids += [int(Path(f"{ready}.other").read_text())] if background else []
    process.send_signal(signal.SIGTSTP)
    for pid in pids:
        wait_for_state(pid, "T")
    time.sleep(1.5)
    process.send_signal(signal.SIGCONT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    (paused, continued) = (
        item
        for item in RunReader(the_run(tmp_path))
        if getattr(item, "ev", "") in ("paused", "continued")
    )
    assert continued.mono_s - paused.mono_s >= 1.5
    trial = read_run(the_run(tmp_path))["trials"][0]
    assert trial["paused_s"] >= 1.5
    assert trial["duration_s"] + trial["paused_s"] == pytest.approx(
        trial["ended_s"] - trial["started_s"], abs=1e-5
    )
    analysis = analyze(the_run(tmp_path))
    for window in (analysis.trials[0].window, analysis.phases[0].window):
        assert window.duration_s == pytest.approx(window.end_s - window.start_s - window.paused_s)
        # on a busy machine the command may end well before it is written down that it goes on
        assert 1.5 <= window.paused_s <= continued.mono_s - paused.mono_s + 0.2
    assert any("Ctrl-Z" in warning for warning in analysis.warnings)


ELSEWHERE = """
import subprocess, sys
worker = "import sys, time\\n" + sys.argv[2]
p = subprocess.Popen([sys.executable, "-uc", worker], start_new_session=True)
open(sys.argv[1], "w").write(str(p.pid))
"""
SPEAKS = "for i in range(600): print(i); time.sleep(0.05)"


@pytest.mark.parametrize("presses", [2, 3])
def test_ctrl_c_ends_the_listening_to_a_process_of_another_session(
    tmp_path: Path, presses: int
) -> None:
    """It is named while it is waited for; it is not ours to end."""
    ready = tmp_path / "pid"
    words = ["--gpu", "none", "--", sys.executable, "-c", ELSEWHERE, str(ready), SPEAKS]
    process = start(tmp_path, *words)
    assert process.stderr is not None
    said = process.stderr.readline().decode()
    worker = int(ready.read_text())
    assert f"(process {worker}) goes on writing" in said
    for _ in range(presses):
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
    _, err = process.communicate(timeout=20)
    # the third press may come when the recording has ended, and ends the writing of the page
    assert process.returncode == 0 or presses == 3
    assert presses == 3 or f"(process {worker}), not of the command's session" in err.decode()
    assert read_run(the_run(tmp_path))["ended"] is not None
    assert read_run(the_run(tmp_path))["trials"][0]["left_behind"] == 1


def test_who_is_silent_and_holds_the_output_is_named_when_it_is_closed(tmp_path: Path) -> None:
    """What it says later is in no record."""
    ready = tmp_path / "pid"
    words = [sys.executable, "-c", ELSEWHERE, str(ready), "time.sleep(20)"]
    _, _, err = run_once(tmp_path, "--gpu", "none", "--", *words)
    worker = int(ready.read_text())
    assert f"(process {worker}), not of the command's session" in err
    os.kill(worker, signal.SIGKILL)


@pytest.mark.parametrize(
    ("port", "read"),
    [
        ("sim://", "sim://?heat=cpu"),
        ("sim://?seed=3", "sim://?seed=3&heat=cpu"),
        ("sim://?heat=off", "sim://?heat=off"),  # as was said
        ("sim://?finger=6:10", "sim://?finger=6:10"),  # a finger is the heat
        ("/dev/ttyACM0", "/dev/ttyACM0"),
    ],
)
def test_a_simulated_board_is_warmed_by_the_work_that_is_recorded(port: str, read: str) -> None:
    """The script that it has by itself is no part of any command's heat."""
    assert _warmed(port) == read
