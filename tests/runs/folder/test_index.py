"""Deleting a run deletes that run, and nothing else whatever stands in its place."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from kit.run_folder import event, write
from thermoflop.errors import InputError
from thermoflop.runs.folder.index import delete, entries, size_bytes
from thermoflop.runs.folder.store import SAMPLES, RunStore


def a_run(shelf: Path) -> Path:
    """A small run."""
    return write(shelf, [event(0, "x")])


def test_a_run_is_gone_and_the_others_stay(tmp_path: Path) -> None:
    """With everything in it."""
    first, second = a_run(tmp_path), a_run(tmp_path)
    (first / "more").mkdir()
    (first / "more" / "file").write_text("x")
    assert size_bytes(first)[0] == 3
    delete(first, tmp_path)
    assert list(tmp_path.iterdir()) == [second]
    assert [entry.folder for entry in entries(tmp_path)] == [second]


def test_no_link_is_followed(tmp_path: Path) -> None:
    """Neither the run's own name, nor its samples, nor one inside of it."""
    shelf, outside = tmp_path / "runs", tmp_path / "outside"
    run = a_run(shelf)
    precious = a_run(outside)
    (shelf / "link").symlink_to(precious)
    (run / "inside").symlink_to(outside)
    with pytest.raises(InputError, match="is a link"):
        delete(shelf / "link", shelf)
    delete(run, shelf)
    fake = shelf / "fake"
    fake.mkdir()
    (fake / SAMPLES).symlink_to(precious / SAMPLES)
    with pytest.raises(InputError, match="is a link"):
        delete(fake, shelf)
    assert (precious / SAMPLES).is_file()


@pytest.mark.parametrize("way", ["..", ".", "../outside", "run/..", ""])
def test_no_way_leads_out_of_the_shelf(tmp_path: Path, way: str) -> None:
    """A folder that is not directly on the shelf is refused, run or not."""
    shelf = tmp_path / "runs"
    (shelf / "run").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    for folder in (tmp_path, shelf, tmp_path / "outside"):
        (folder / SAMPLES).write_text("")
    with pytest.raises(InputError):
        delete(shelf / way, shelf)
    assert (tmp_path / SAMPLES).is_file()
    assert (tmp_path / "outside" / SAMPLES).is_file()


def test_what_is_no_run_stays(tmp_path: Path) -> None:
    """A folder without samples, and one that is not there."""
    (tmp_path / "thesis").mkdir()
    for name in ("thesis", "nothing"):
        with pytest.raises(InputError, match="is not a run"):
            delete(tmp_path / name, tmp_path)
    assert (tmp_path / "thesis").is_dir()


def test_a_run_that_is_being_recorded_stays(tmp_path: Path) -> None:
    """It is shown as such, and may go when it has ended."""
    store = RunStore(tmp_path)
    store.write_run({"ended": None})
    assert [entry.state for entry in entries(tmp_path)] == ["recording"]
    with pytest.raises(InputError, match="is being recorded"):
        delete(store.folder, tmp_path)
    store.close()
    assert [entry.state for entry in entries(tmp_path)] == ["no end"]
    delete(store.folder, tmp_path)
    assert entries(tmp_path) == []


def command(*words: str) -> list[str]:
    """The program."""
    return [sys.executable, "-m", "thermoflop", "runs", "delete", *words]


ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def test_the_command_asks_and_without_a_terminal_wants_yes(tmp_path: Path) -> None:
    """A script that meant it says so."""
    run = a_run(tmp_path)
    where = ["--in", str(tmp_path)]
    done = subprocess.run(
        command(run.name, *where), env=ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True
    )
    assert (done.returncode, run.is_dir()) == (2, True)
    assert b"--yes" in done.stderr
    assert subprocess.run(command(*where, "--yes"), env=ENVIRONMENT).returncode == 2
    subprocess.run(command(run.name, *where, "--yes"), env=ENVIRONMENT, check=True)
    assert not run.exists()


@pytest.mark.parametrize(("answer", "stays"), [(b"n\n", True), (b"\n", True), (b"y\n", False)])
def test_on_a_terminal_only_a_yes_deletes(tmp_path: Path, answer: bytes, stays: bool) -> None:
    """An empty line keeps it."""
    run = a_run(tmp_path)
    ours, theirs = pty.openpty()
    os.write(ours, answer)
    done = subprocess.run(
        command(run.name, "--in", str(tmp_path)), env=ENVIRONMENT, stdin=theirs, capture_output=True
    )
    os.close(ours)
    os.close(theirs)
    assert done.returncode == 0
    assert run.exists() == stays
