"""Recording over a pseudo-terminal: complete, acknowledged only when written, honest at its end."""

from __future__ import annotations

import errno
import json
import os
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from kit.board_lines import Pty, event_line, introduction, sample_line, seal, settings_line
from kit.talking_board import TalkingBoard
from thermoflop.errors import BoardError, StorageError, UsageError
from thermoflop.pico.drain import DRAIN
from thermoflop.pico.track import BadLine, BoardLine, HostEvent, Item
from thermoflop.pico.wire import Sample
from thermoflop.runs.folder import store
from thermoflop.runs.folder.reader import RunReader, read_run
from thermoflop.runs.folder.store import Reserve
from thermoflop.runs.record.log import RunResult, record
from thermoflop.runs.record.queue import ItemQueue


def links() -> int:
    """How many ports are open and being drained."""
    own = sum(thread.name == "thermoflop-link" for thread in threading.enumerate())
    return own + len(DRAIN._ready)


class Recording:
    """A recorder in a thread, its stop, and what it acknowledged."""

    def __init__(self, port: str, out: Path, **options: Any) -> None:
        self.stop = options.pop("stop", None) or threading.Event()
        self.acknowledged: list[BoardLine] = []
        self.result: RunResult | None = None
        self.error: BaseException | None = None
        options.setdefault("on_line", self.acknowledged.append)
        self._arguments = (port, out, options)
        self._thread = threading.Thread(target=self._run, daemon=True)
        n_links = links()
        self._thread.start()
        while links() == n_links and self._thread.is_alive():
            time.sleep(0.005)  # opening a port throws away what was said before

    def _run(self) -> None:
        port, out, options = self._arguments
        try:
            self.result = record(port, out, stop=self.stop, **options)
        except BaseException as error:
            self.error = error

    def wait_for(self, n_lines: int) -> None:
        """Until so many lines are acknowledged."""
        end_s = time.monotonic() + 10
        while len(self.acknowledged) < n_lines and self._thread.is_alive():
            assert time.monotonic() < end_s, len(self.acknowledged)
            time.sleep(0.01)

    def end(self) -> RunResult:
        """Stop and give the result."""
        self.stop.set()
        return self.wait()

    def wait(self) -> RunResult:
        """The result, or the error."""
        self._thread.join(10)
        if self.error:
            raise self.error
        assert self.result is not None
        return self.result


def test_everything_that_was_said_is_in_the_run(tmp_path: Path) -> None:
    """Lines, bad lines and gaps, in order; run.json agrees."""
    with Pty() as pty:
        recording = Recording(pty.path, tmp_path)
        pty.say(b"\n" + introduction() + sample_line(0) + b"no\x00ise\n" + sample_line(2))
        pty.say(event_line(0))
        recording.wait_for(5)
        result = recording.end()
    items: list[Item] = list(RunReader(result.folder))
    assert [type(item) for item in items] == [
        BoardLine, BoardLine, BoardLine, BadLine, HostEvent, BoardLine, BoardLine,
    ]  # fmt: skip
    run = read_run(result.folder)
    assert run["ended"]["end"] == result.end == "stopped"
    assert run["board"]["hello"]["uid"] == "e6616408432a2c2e"
    assert run["board"]["settings"] == {"on_c": 29.0, "off_c": 28.0}
    assert run["counters"]["bad"] == {"not_ascii": 1}
    assert run["counters"]["gap_samples"] == 1
    assert run["summary"]["samples"] == 2
    assert run["lines_written"] == 5
    assert run["port"]["url"] == pty.path
    assert run["started"]["mono_s"] <= run["ended"]["mono_s"]


def test_a_line_is_acknowledged_only_after_it_is_in_the_file(tmp_path: Path) -> None:
    """At every acknowledgement the file already has the line."""
    missing: list[bytes] = []
    acknowledged: list[BoardLine] = []

    def check(item: BoardLine) -> None:
        (folder,) = tmp_path.iterdir()
        if item.line not in (folder / "samples.jsonl").read_bytes():
            missing.append(item.line)
        acknowledged.append(item)

    with Pty() as pty:
        recording = Recording(pty.path, tmp_path, on_line=check)
        recording.acknowledged = acknowledged
        pty.say(introduction() + b"".join(sample_line(n) for n in range(50)))
        recording.wait_for(52)
        result = recording.end()
    assert missing == []
    assert result.lines_written == 52


def test_what_was_read_before_the_end_is_written(tmp_path: Path) -> None:
    """Lines that wait in the queue when the run is stopped belong to it."""
    busy, said, stop = threading.Event(), threading.Event(), threading.Event()

    def slow(_: BoardLine) -> None:
        if not stop.is_set():
            busy.set()
            said.wait(10)
            time.sleep(0.2)  # for the link to read what was said
            stop.set()

    with Pty() as pty:
        recording = Recording(pty.path, tmp_path, on_line=slow, stop=stop)
        pty.say(introduction())
        assert busy.wait(10)
        pty.say(b"".join(sample_line(n) for n in range(20)))
        said.set()
        result = recording.wait()
    assert result.lines_written == result.counters.lines


@pytest.mark.parametrize("said", [event_line(0), b"noise\n", sample_line(9)])
def test_an_event_is_on_the_disk_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    """The board's, a bad line, a gap: not only within a second, as samples are."""
    synced: list[int] = []
    monkeypatch.setattr(store, "SYNC_EVERY_S", 1e9)
    monkeypatch.setattr(store, "_sync_data", synced.append)
    with Pty() as pty:
        recording = Recording(pty.path, tmp_path)
        pty.say(introduction() + sample_line(0))
        recording.wait_for(3)
        assert synced == []
        pty.say(said)
        end_s = time.monotonic() + 10
        while not synced and time.monotonic() < end_s:
            time.sleep(0.01)
        assert len(synced) == 1
        recording.end()


def test_a_stop_before_the_first_line_says_so(tmp_path: Path) -> None:
    """It is not the board's silence."""
    with Pty() as pty:
        recording = Recording(pty.path, tmp_path)
        with pytest.raises(BoardError, match="stopped before a line came"):
            recording.end()


def test_a_bad_name_is_refused_before_the_port_is_opened(tmp_path: Path) -> None:
    """A slip in the command is no trouble with the board."""
    with pytest.raises(UsageError, match="run name"):
        record("/dev/none", tmp_path, name="..")


def test_the_time_asked_for_ends_the_run(tmp_path: Path) -> None:
    """With the end "time"."""
    with Pty() as pty:
        recording = Recording(pty.path, tmp_path, duration_s=0.2)
        pty.say(introduction())
        assert recording.wait().end == "time"


def test_a_clock_that_is_stepped_while_a_board_is_logged_is_an_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As under a command: the wall times before and after it do not go together."""
    real, start_s = time.time, time.monotonic()
    with TalkingBoard() as board:
        recording = Recording(board.pty.path, tmp_path)
        recording.wait_for(5)
        monkeypatch.setattr(
            time, "time", lambda: real() - 3600 * (time.monotonic() > start_s + 0.3)
        )
        recording.wait_for(len(recording.acknowledged) + 25)
        folder = recording.end().folder
    events = [i for i in RunReader(folder) if isinstance(i, HostEvent) and i.ev == "clock_step"]
    (step,) = events
    assert step.detail["step_s"] == pytest.approx(-3600, abs=1)


def test_a_port_that_is_no_board_leaves_no_folder(tmp_path: Path) -> None:
    """Noise, and silence: one sentence each."""
    out = tmp_path / "runs"
    with Pty() as pty:
        recording = Recording(pty.path, out, first_line_s=1.0)
        pty.say(b"ATZ\r\nOK\r\n>>> \r\n")
        with pytest.raises(BoardError, match=r"sent 15 bytes in 1\.0 s and not one valid line"):
            recording.wait()
        with pytest.raises(BoardError, match=r"nothing came in 0\.3 s"):
            record(pty.path, out, first_line_s=0.3)
    assert not out.exists()


def test_a_board_that_is_pulled_for_good_ends_a_complete_run(tmp_path: Path) -> None:
    """In the middle of a line: what was whole is kept."""
    pty = Pty()
    recording = Recording(pty.path, tmp_path)
    pty.say(introduction() + sample_line(0) + sample_line(1)[:30])
    recording.wait_for(3)
    pty.unplug()
    result = recording.wait()
    assert (result.end, result.lines_written) == ("gone", 3)
    assert result.counters.torn_at_close == 1
    assert read_run(result.folder)["ended"]["why"] == "the device went away"


def test_two_recorders_of_two_boards_get_two_folders(tmp_path: Path) -> None:
    """At once, under one name."""
    with Pty() as one, Pty() as two:
        recordings = [Recording(pty.path, tmp_path) for pty in (one, two)]
        for pty, recording in zip((one, two), recordings, strict=True):
            pty.say(introduction())
            recording.wait_for(2)
        folders = {recording.end().folder for recording in recordings}
    assert len(folders) == 2


def test_a_disk_that_fills_up_keeps_what_was_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sentence, and a readable run whose end says why."""
    real = os.write
    room = 2000

    def write(fd: int, data: bytes) -> int:
        nonlocal room
        if not data.startswith(b'{"mono_s"'):
            return real(fd, data)  # the pseudo-terminal of the test itself
        if room < len(data):
            raise OSError(errno.ENOSPC, "No space left on device")
        room -= len(data)
        return real(fd, data)

    with Pty() as pty:
        monkeypatch.setattr(os, "write", write)
        recording = Recording(pty.path, tmp_path)
        pty.say(introduction() + b"".join(sample_line(n) for n in range(40)))
        with pytest.raises(StorageError, match="the disk is full"):
            recording.wait()
        monkeypatch.undo()
    (folder,) = tmp_path.iterdir()
    kept = [item.line for item in RunReader(folder) if isinstance(item, BoardLine)]
    assert kept == [item.line for item in recording.acknowledged]
    assert 2 < len(kept) < 42
    assert "disk is full" in read_run(folder)["ended"]["why"]


def test_a_folder_deleted_while_recording_is_noticed(tmp_path: Path) -> None:
    """At the next event, or within a second."""
    with Pty() as pty:
        recording = Recording(pty.path, tmp_path)
        pty.say(introduction())
        recording.wait_for(2)
        while any(tmp_path.iterdir()):  # its run.json may just be replaced
            shutil.rmtree(next(tmp_path.iterdir()), ignore_errors=True)
        pty.say(event_line(0))
        with pytest.raises(StorageError, match="deleted"):
            recording.wait()


def test_an_interrupted_recording_is_finished(tmp_path: Path) -> None:
    """Ctrl-C in a program that uses record() directly."""

    def interrupt(item: BoardLine) -> None:
        if isinstance(item.message, Sample):
            raise KeyboardInterrupt

    with Pty() as pty:
        recording = Recording(pty.path, tmp_path, on_line=interrupt)
        pty.say(introduction() + sample_line(0))
        with pytest.raises(KeyboardInterrupt):
            recording.wait()
    (folder,) = tmp_path.iterdir()
    assert read_run(folder)["ended"]["why"] == "interrupted"
    assert len(list(RunReader(folder))) == 3


def test_the_reader_follows_a_run_that_is_being_recorded(tmp_path: Path) -> None:
    """Line by line, while the recorder goes on."""
    with Pty() as pty:
        recording = Recording(pty.path, tmp_path)
        pty.say(introduction())
        recording.wait_for(2)
        stop = threading.Event()
        seen = 0
        for _ in RunReader(next(tmp_path.iterdir()), follow=True, stop=stop):
            seen += 1
            if seen == 2:
                pty.say(sample_line(0))
            if seen == 3:
                stop.set()
        recording.end()
    assert seen == 3


def test_a_queue_past_its_bound_counts_what_it_drops() -> None:
    """Minutes of a stalled disk; nothing is lost in silence."""
    queue = ItemQueue(max_bytes=1000)
    item = HostEvent(0.0, 0.0, "x", {})
    for _ in range(10):
        queue([item])
    assert len(queue.take(0)) + queue.dropped == 10
    assert queue.dropped == 7
    queue([item])
    assert len(queue.take(0)) == 1


def test_run_json_is_there_from_the_first_moment(tmp_path: Path) -> None:
    """Of a recorder that is killed one can still tell what it was; it has no end."""
    with Pty() as pty:
        recording = Recording(pty.path, tmp_path, command=["thermoflop", "log"])
        pty.say(introduction())
        recording.wait_for(2)
        path = next(tmp_path.iterdir()) / "run.json"
        end_s = time.monotonic() + 10
        while not (run := json.loads(path.read_text()))["board"]["hello"]:
            assert time.monotonic() < end_s, "the hello is not in it"
        recording.end()
    assert run["ended"] is None
    assert run["command"] == ["thermoflop", "log"]
    assert run["host"]["python"]


@pytest.mark.parametrize("on_c", ["1e999", "1e308", '"x"', "null"])
def test_a_settings_line_that_makes_no_sense_ends_no_recording(tmp_path: Path, on_c: str) -> None:
    """Its crc is right, so somebody made it: it is a bad line, and the settings stay."""
    bad = seal(f'{{"k":"settings","boot":"3fa2c1","part":1,"parts":1,"on_c":{on_c},"off_c":28.0')
    with Pty() as pty:
        recording = Recording(pty.path, tmp_path)
        pty.say(b"\n" + introduction() + sample_line(0) + bad + sample_line(1))
        recording.wait_for(4)
        result = recording.end()
    run = read_run(result.folder)
    assert (run["ended"]["end"], result.counters.bad) == ("stopped", {"fields": 1})
    assert run["board"]["settings"] == {"on_c": 29.0, "off_c": 28.0}


def test_new_settings_in_every_line_do_not_hold_up_the_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """run.json is replaced once a second at most, however often its facts change."""
    written: list[dict[str, Any]] = []
    write_run = store.RunStore.write_run

    def counting(self: store.RunStore, run: dict[str, Any]) -> None:
        written.append(run)
        write_run(self, run)

    monkeypatch.setattr(store.RunStore, "write_run", counting)
    n_lines = 2000
    with Pty() as pty:
        recording = Recording(pty.path, tmp_path)
        start_s = time.monotonic()
        for i in range(n_lines):
            pty.say(settings_line(on_c=29.0 + i / 1000))
        recording.wait_for(n_lines - 1)
        took_s = time.monotonic() - start_s
        recording.end()
    assert len(written) <= took_s + 4  # the first, one a second, and the last
    assert written[-1]["board"]["settings"]["on_c"] == 30.999


def test_a_disk_with_no_room_for_anything_still_gets_the_end_of_a_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """run.json is written in the room that was kept back for it."""
    real_write, real_fsync, real_give_up = os.write, os.fsync, Reserve.give_up
    room = 2000
    is_full = False

    def write(fd: int, data: bytes) -> int:
        nonlocal room, is_full
        if not data.startswith(b'{"mono_s"'):
            return real_write(fd, data)
        is_full |= room < len(data)
        if is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        room -= len(data)
        return real_write(fd, data)

    def fsync(fd: int) -> None:
        if is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        real_fsync(fd)

    def give_up(self: Reserve) -> bool:
        nonlocal is_full
        is_full = False
        return real_give_up(self)

    with Pty() as pty:
        monkeypatch.setattr(os, "write", write)
        monkeypatch.setattr(os, "fsync", fsync)
        monkeypatch.setattr(Reserve, "give_up", give_up)
        recording = Recording(pty.path, tmp_path)
        pty.say(introduction() + b"".join(sample_line(n) for n in range(40)))
        with pytest.raises(StorageError, match="the disk is full"):
            recording.wait()
        monkeypatch.undo()
    (folder,) = tmp_path.iterdir()
    assert read_run(folder)["ended"]["end"] == "failed"
    assert {path.name for path in folder.iterdir()} == {"run.json", "samples.jsonl"}
