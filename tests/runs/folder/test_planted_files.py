"""A run in a folder that others write to: no file of it leads out of it or holds up a reader."""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path

import pytest
from kit.run_folder import board_sample, write
from thermoflop.base.files import open_plain
from thermoflop.errors import InputError, ThermoflopError
from thermoflop.report.html.page import page
from thermoflop.runs.analysis.analyze import analyze
from thermoflop.runs.folder.control import CONTROL, STOP, order
from thermoflop.runs.folder.index import entries
from thermoflop.runs.folder.reader import RunReader, read_run
from thermoflop.runs.folder.store import RunStore, is_being_written
from thermoflop.web.live.recordings import Recordings
from thermoflop.web.runs.reports import Reports

WORDS = "first line of the owner"
KINDS = ["link", "chain", "pipe", "device", "socket", "folder"]


def lay(path: Path, kind: str, elsewhere: Path) -> None:
    """Put something of this kind in the place of ``path``."""
    path.unlink(missing_ok=True)
    match kind:
        case "link":
            path.symlink_to(elsewhere)
        case "chain":
            between = path.with_name("between")
            between.symlink_to(elsewhere)
            path.symlink_to(between)
        case "pipe":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "socket":
            with socket.socket(socket.AF_UNIX) as server:
                os.chdir(path.parent)  # the name of a socket has 108 bytes at most
                server.bind(path.name)
        case "folder":
            path.mkdir()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run of three samples."""
    monkeypatch.chdir(tmp_path)
    return write(tmp_path / "runs", [board_sample(t, t) for t in range(3)])


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file of the owner's, elsewhere."""
    path = tmp_path / "secret"
    path.write_text(f"{WORDS}\n")
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_plain_file_is_neither_opened_nor_waited_for(
    tmp_path: Path, secret: Path, kind: str
) -> None:
    """Of any kind that a folder can hold."""
    lay(tmp_path / "laid", kind, secret)
    for flags in (os.O_RDONLY, os.O_WRONLY | os.O_APPEND):
        with pytest.raises(OSError, match="not a plain file"):
            open_plain(str(tmp_path / "laid"), flags)


@pytest.mark.parametrize("kind", KINDS)
def test_the_log_of_a_report_is_never_a_file_from_elsewhere(
    run: Path, secret: Path, kind: str
) -> None:
    """The report is made without it."""
    lay(run / "child.log", kind, secret)
    text = page([analyze(run)])
    assert "3" in text
    assert WORDS not in text


@pytest.mark.parametrize("kind", KINDS)
def test_samples_are_never_read_from_elsewhere(run: Path, tmp_path: Path, kind: str) -> None:
    """Not those of another run either, and nobody waits for a pipe."""
    other = write(tmp_path / "private", [board_sample(t, t, temp_c=77.125) for t in range(3)])
    lay(run / "samples.jsonl", kind, other / "samples.jsonl")
    with pytest.raises(InputError):
        list(RunReader(run))
    assert not is_being_written(run)
    assert Recordings(run.parent).look() == []
    with pytest.raises(ThermoflopError):
        Reports(run.parent)._text([run.name])


@pytest.mark.parametrize("kind", KINDS)
def test_run_json_is_never_read_from_elsewhere(run: Path, tmp_path: Path, kind: str) -> None:
    """A run with such a file is listed as one that cannot be read."""
    other = tmp_path / "config.json"
    other.write_text(json.dumps({"format": 1, "name": WORDS}))
    lay(run / "run.json", kind, other)
    with pytest.raises(InputError):
        read_run(run)
    (entry,) = entries(run.parent)
    assert entry.state == "unreadable"


@pytest.mark.parametrize("kind", KINDS)
def test_a_report_that_was_laid_there_is_made_anew(run: Path, secret: Path, kind: str) -> None:
    """Although it is newer than the run."""
    os.utime(secret, (time.time() + 60, time.time() + 60))
    lay(run / "report.html", kind, secret)
    assert WORDS not in Reports(run.parent)._text([run.name])


@pytest.mark.parametrize("kind", KINDS)
def test_an_order_is_never_written_elsewhere(run: Path, secret: Path, kind: str) -> None:
    """It is for a recording, which has made its control file itself."""
    store = RunStore(run.parent)
    lay(store.folder / CONTROL, kind, secret)
    with pytest.raises(InputError):
        order(store.folder, STOP)
    assert secret.read_text() == f"{WORDS}\n"
    store.close()
