"""The page comes after the evidence: whatever becomes of it, the run and its exit code stand."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from kit.commands import ENVIRONMENT, command
from thermoflop.runs.folder.reader import read_run

# a long run in a moment: the command itself appends 300,000 readings of a GPU, 10 s of reading
LONG = """
import glob, sys
line = '{"mono_s":%.6f,"wall_s":1.000,"src":"gpu","gpu":0,"temp_c":50,"power_w":%.3f,"x":0}\\n'
with open(glob.glob(sys.argv[1] + "/*/samples.jsonl")[0], "a") as file:
    file.writelines(line % (n / 10, 200 + n % 7) for n in range(300_000))
sys.exit(7)
"""


def record(out: Path, *child: str) -> list[str]:
    """The words of a recording without board and GPU."""
    words = ("record", "--port", "none", "--gpu", "none", "--out", str(out), "--")
    return command(*words, *child)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 7), (signal.SIGTERM, 7), (signal.SIGKILL, -9)]
)
def test_a_page_that_is_ended_while_it_is_made_costs_the_page_alone(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    """By Ctrl-C or SIGTERM the exit code is the command's; after a kill it stands in run.json."""
    recorder = subprocess.Popen(
        record(tmp_path, sys.executable, "-c", LONG, str(tmp_path)),
        env=ENVIRONMENT,
        stderr=subprocess.PIPE,
    )
    assert recorder.stderr is not None
    for line in recorder.stderr:
        if b"kept in" in line:
            break
    recorder.send_signal(number)
    _, err = recorder.communicate(timeout=60)
    assert recorder.returncode == code
    assert b"Traceback" not in err
    (folder,) = tmp_path.iterdir()
    run = read_run(folder)
    assert run["exit_code"] == run["trials"][0]["exit_code"] == 7
    assert run["ended"]["end"] == "done"
    assert not (folder / "report.html").exists()


def test_a_page_that_cannot_be_written_is_said_in_a_sentence(tmp_path: Path) -> None:
    """A folder of its name is in the way; the exit code is the command's."""
    script = f'mkdir "$(ls -d {tmp_path}/*)/report.html"; exit 4'
    done = subprocess.run(
        record(tmp_path, "sh", "-c", script), env=ENVIRONMENT, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 4
    assert "no report: " in done.stderr
    assert "Traceback" not in done.stderr


def test_a_ctrl_c_that_was_caught_is_not_what_the_process_ends_by(tmp_path: Path) -> None:
    """Wherever it came: in the text of a namedtuple, too, of which CPython takes a note."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, signal, thermoflop.cli\n"
        "TEXT = 'import os, signal; os.kill(os.getpid(), signal.SIGINT); sum(range(10**5))'\n"
        "def main():\n"
        "    signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "    try:\n"
        "        exec(TEXT)\n"
        "    except KeyboardInterrupt:\n"
        "        return 7\n"
        "thermoflop.cli.main = main\n",
        encoding="utf-8",
    )
    path = os.pathsep.join((str(tmp_path), *sys.path))
    done = subprocess.run(
        command("ops", "gpt2"), env={**ENVIRONMENT, "PYTHONPATH": path}, timeout=60, check=False
    )
    assert done.returncode == 7
