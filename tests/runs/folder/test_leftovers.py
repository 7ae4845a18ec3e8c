"""A recorder that was killed, wherever it stood, leaves nothing that stays or goes on for ever."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from thermoflop.cli import main
from thermoflop.errors import InputError
from thermoflop.runs.folder.control import CONTROL, Control
from thermoflop.runs.folder.index import delete, entries, find
from thermoflop.runs.folder.store import RunStore
from thermoflop.web.live import recordings
from thermoflop.web.live.recordings import RecordingRequest, Recordings


def until(condition: Callable[[], object]) -> None:
    """Wait for something that must come; half a minute is for a machine that is very busy."""
    end_s = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.02)


def waiting(run: Path) -> list[int]:
    """The processes that were started for this run."""
    mark = f"THERMOFLOP_MARKS={run.absolute()}".encode()
    pids = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and mark in (entry / "environ").read_bytes():
                pids.append(int(entry.name))
        except OSError:
            continue
    return pids


@pytest.mark.parametrize("duration_s", [None, 600.0])
def test_a_killed_recorder_of_the_page_leaves_no_process_and_no_file(
    tmp_path: Path, duration_s: float | None
) -> None:
    """Its command waits for it alone; its reserve has no name; the page takes the orders away."""
    page = Recordings(tmp_path / "runs")
    recording = page.start(RecordingRequest(duration_s=duration_s, gpu="none"), "none")
    assert recording.process is not None
    until(lambda: waiting(recording.folder))
    os.kill(recording.process.pid, signal.SIGKILL)
    recording.process.wait()
    until(lambda: page.ended())
    until(lambda: not waiting(recording.folder))
    names = {path.name for path in recording.folder.iterdir()}
    assert names <= {"run.json", "samples.jsonl", "child.log", "marks.jsonl"}


def test_the_next_page_takes_away_what_a_killed_recorder_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And leaves the orders of one that goes on."""
    monkeypatch.setattr(recordings, "YOUNG_S", -1.0)
    killed, alive = RunStore(tmp_path, "killed"), RunStore(tmp_path, "alive")
    for store in (killed, alive):
        os.close(Control(store.folder)._fd)
        store.write_run({})
    killed.close()
    Recordings(tmp_path).look()
    assert not (killed.folder / CONTROL).exists()
    assert (alive.folder / CONTROL).exists()
    alive.close()


def test_a_folder_that_a_recorder_had_just_made_is_listed_and_deleted(tmp_path: Path) -> None:
    """It is empty, and has a name as a recorder gives them."""
    made = tmp_path / "20260101T000000Z-log-0a1b2c"
    made.mkdir()
    assert [(entry.folder, entry.state) for entry in entries(tmp_path)] == [(made, "unreadable")]
    assert find("0a1b2c", tmp_path) == made
    delete(made, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["thesis", "20260101T000000Z-log-0a1b2c"])
def test_a_folder_with_something_else_in_it_is_no_run(tmp_path: Path, name: str) -> None:
    """Whatever its name is."""
    (tmp_path / name).mkdir()
    (tmp_path / name / "thesis.tex").touch()
    assert entries(tmp_path) == []
    with pytest.raises(InputError, match="not a run"):
        delete(tmp_path / name, tmp_path)


def test_what_has_lost_its_samples_is_named_beside_the_list(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By its run.json, or by a name as a recorder gives them; other folders are nobody's runs."""
    for name in ("mine", "20260101T000000Z-log-0a1b2c", "thesis"):
        (tmp_path / name).mkdir()
        (tmp_path / name / ("run.json" if name == "mine" else "thesis.tex")).write_text("{}")
    (tmp_path / "20260101T000000Z-log-3d4e5f").mkdir()  # had just been made
    assert main(["runs", "--in", str(tmp_path)]) == 0
    said = capsys.readouterr().err
    assert said == "not listed, as they have no samples.jsonl: 20260101T000000Z-log-0a1b2c, mine\n"


def test_a_deletion_that_was_killed_is_finished_by_the_next_one(tmp_path: Path) -> None:
    """And nothing but such a folder goes with it."""
    store = RunStore(tmp_path)
    store.close()
    half, other = tmp_path / ".deleting-0a1b2c3d", tmp_path / ".deleting-mine"
    for folder in (half, other):
        folder.mkdir()
        (folder / "samples.jsonl").touch()
    delete(store.folder, tmp_path)
    assert list(tmp_path.iterdir()) == [other]
