"""``thermoflop flash`` with the real mpremote, against the raw REPL of the real MicroPython VM.

The board is tests/vm/repl_board.py: a flash that survives, main.py running until Ctrl-C, resets. A
pulled cable is the end of its process at a chosen step of the flash or byte of the transfer; what
the flash holds then is started again and asked which firmware it is.
"""

from __future__ import annotations

import json
import os
import re
import tty
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from kit.flash import first_line, make_firmware, on_flash, says_after_start, small_files
from thermoflop.cli import main
from thermoflop.errors import BoardError
from thermoflop.pico import firmware, mpremote, ports
from thermoflop.pico import flash as flashing
from thermoflop.pico.flash import flash
from thermoflop.pico.ports import Target
from vm import runner
from vm.repl_board import ReplBoard, read_image, write_image

needs_vm = pytest.mark.skipif(bool(runner.missing()), reason=runner.missing())
STEPS = 15  # the folder, open and close of four files, the commit, four moves, the folder's end
NO_CUT = ("cut_at_step", STEPS + 1)
CUTS = [
    *(("cut_at_step", step) for step in range(1, STEPS + 1)),
    *(("cut_at_byte", byte) for byte in (1, 20, 3000, 6000, 9000, 13000)),
    NO_CUT,
]
Cut = tuple[str, int]
CutRun = tuple[Path, str, bool]  # the flash, what was said, whether the cut came
SETTINGS = b"on_c 31.000\n"


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return tmp_path / "flash.image"


def words_of(error: BaseException) -> str:
    """The error's text, which must be one sentence on one line."""
    text = str(error)
    assert "\n" not in text
    assert "Traceback" not in text
    return text


@needs_vm
def test_flash_replaces_a_running_firmware_keeps_settings_and_hears_the_new_one(
    image: Path,
) -> None:
    package = firmware.load()
    here = on_flash({file.name: file.path.read_bytes() for file in package.files})
    older = here | {"/app.py": here["/app.py"].replace(b'FIRMWARE = "', b'FIRMWARE = "0.')}
    write_image(image, older | {"/settings.txt": SETTINGS, "/notes.txt": b"mine"})
    steps: list[str] = []
    with ReplBoard(image) as board:
        report = flash(Target(board.port), package, progress=steps.append)
        files = board.files()
    assert report.copied == ("app.py",)
    assert len(report.unchanged) == len(package.files) - 1
    assert report.hello is not None
    assert report.hello.fw == package.version
    kept = {"/notes.txt": b"mine", "/settings.bad": SETTINGS}  # no crc: the firmware put it aside
    assert files == here | kept
    assert "copying 1 of 1: app.py" in steps


@needs_vm
def test_flash_installs_on_a_board_with_another_program_and_keeps_that(image: Path) -> None:
    blink = b"print('blink')\n" * 40
    write_image(image, {"/main.py": blink, "/next.part/": b"", "/next.part/left": b"over"})
    package = firmware.load()
    with ReplBoard(image) as board:
        report = flash(Target(board.port), package)
        files = board.files()
    assert report.hello is not None
    assert report.kept == "main.old.py"
    assert files.pop("/main.old.py") == blink
    assert files == on_flash({file.name: file.path.read_bytes() for file in package.files})


@needs_vm
def test_a_dry_run_changes_nothing_and_the_board_runs_again(image: Path, tmp_path: Path) -> None:
    write_image(image, on_flash(small_files("old")))
    new = make_firmware(tmp_path / "new", "new")
    with ReplBoard(image) as board:
        report = flash(Target(board.port), new, dry_run=True)
    assert report.copied == tuple(new.names)
    assert read_image(image) == on_flash(small_files("old"))


@needs_vm
def test_the_command_prints_what_it_did_and_nothing_else(
    image: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package = firmware.load()
    with ReplBoard(image) as board:
        assert main(["flash", "--port", board.port, "--json"]) == 0
        done = json.loads(capsys.readouterr().out)
        assert main(["flash", "--port", board.port, "--dry-run"]) == 0
        again = capsys.readouterr()
    assert done["copied"] == package.names
    assert done["copied_bytes"] == sum(file.n_bytes for file in package.files)
    assert done["running"]["fw"] == package.version
    assert f"{len(package.files)} files were up to date" in again.out
    assert again.err == ""


def flash_and_cut(image: Path, new: firmware.Firmware, **cut: int) -> tuple[str, bool]:
    """Flash with one cut: what was said, and whether the cut came."""
    with ReplBoard(image, **cut) as board:
        try:
            flash(Target(board.port), new, wait_s=None)
            said = ""
        except BoardError as error:
            said = words_of(error)
        return said, board.was_cut


def prepare(folder: Path) -> tuple[Path, firmware.Firmware]:
    """A flash with the old small firmware and settings; the new firmware to put there."""
    new = make_firmware(folder / "new", "new")
    image = folder / "flash.image"
    write_image(image, on_flash(small_files("old")) | {"/settings.txt": SETTINGS})
    return image, new


@pytest.fixture
def old_and_new(image: Path, tmp_path: Path) -> firmware.Firmware:
    """``image`` holds the old small firmware; this is the new one."""
    prepared, new = prepare(tmp_path)
    assert prepared == image
    return new


def check_whole(image: Path, said: str) -> None:
    """The board starts with one firmware whole, and it is the one that the error named."""
    version = says_after_start(image).removeprefix("running ")
    assert version in ("old", "new")
    files = read_image(image)
    staged = {path for path in files if path.startswith("/next.part/")}
    rest = {path: files[path] for path in files if path not in staged}
    assert rest == on_flash(small_files(version)) | {"/settings.txt": SETTINGS}
    if flashing.OLD_KEPT in said:
        assert version == "old"
    elif flashing.EITHER_KEPT not in said:
        assert (said, version) == ("", "new")


@pytest.fixture(scope="module")
def cut_runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Cut, Future[CutRun]]]:
    """A flash run for every cut, several at a time: most of a run is waiting for a process."""

    def run(cut: Cut) -> CutRun:
        image, new = prepare(tmp_path_factory.mktemp("cut"))
        return image, *flash_and_cut(image, new, **{cut[0]: cut[1]})

    with ThreadPoolExecutor(4) as pool:
        yield {cut: pool.submit(run, cut) for cut in CUTS}


@needs_vm
@pytest.mark.parametrize("cut", CUTS, ids=lambda cut: f"{cut[0]}={cut[1]}")
def test_a_cable_pulled_at_any_step_or_byte_leaves_old_or_new_whole(
    cut_runs: dict[Cut, Future[CutRun]], cut: Cut
) -> None:
    image, said, was_cut = cut_runs[cut].result()
    assert was_cut == (cut != NO_CUT)
    if was_cut:
        assert re.search(r"^the connection to the board at \S+ broke; the |went away", said)
    check_whole(image, said)


@needs_vm
def test_after_a_pulled_cable_flash_again_finishes_the_job(
    image: Path, old_and_new: firmware.Firmware
) -> None:
    flash_and_cut(image, old_and_new, cut_at_step=6)
    said, _ = flash_and_cut(image, old_and_new)
    assert said == ""
    assert read_image(image) == on_flash(small_files("new")) | {"/settings.txt": SETTINGS}


@needs_vm
def test_a_first_install_cut_after_its_commit_is_finished_by_the_next_flash(
    image: Path, tmp_path: Path
) -> None:
    """The program that was there cannot finish it, and the error does not promise that."""
    write_image(image, {"/main.py": b"print('blink')\n"})
    new = make_firmware(tmp_path / "new", "new")
    # before the first move: folder, four files, the copy of main.py, the commit
    said, _ = flash_and_cut(image, new, cut_at_step=1 + 2 * 4 + 2 + 1 + 1)
    assert flashing.EITHER_KEPT in said
    assert read_image(image)["/main.py"] == b"print('blink')\n"
    with ReplBoard(image) as board:
        report = flash(Target(board.port), new, wait_s=None)
        files = board.files()
    assert report.finished_earlier
    assert report.copied == ()
    assert files == on_flash(small_files("new")) | {"/main.old.py": b"print('blink')\n"}


@needs_vm
def test_ctrl_c_while_copying_leaves_the_old_firmware_running(
    image: Path, old_and_new: firmware.Firmware
) -> None:
    def stop(step: str) -> None:
        if step.startswith("copying 2"):
            raise KeyboardInterrupt

    with ReplBoard(image) as board:
        with pytest.raises(KeyboardInterrupt):
            flash(Target(board.port), old_and_new, progress=stop)
        assert first_line(board.port) == "running old"
    check_whole(image, flashing.OLD_KEPT)


@needs_vm
def test_a_file_that_arrives_damaged_is_named_and_not_committed(
    image: Path, old_and_new: firmware.Firmware
) -> None:
    files = [
        replace(file, sha256="0" * 64) if file.name == "part.py" else file
        for file in old_and_new.files
    ]
    with ReplBoard(image) as board, pytest.raises(BoardError) as caught:
        flash(Target(board.port), replace(old_and_new, files=tuple(files)))
    assert words_of(caught.value) == (
        "part.py arrived damaged on the board; the board keeps its old firmware"
    )
    check_whole(image, flashing.OLD_KEPT)


@needs_vm
@pytest.mark.parametrize("is_seen_ahead", [True, False])
def test_a_full_flash_is_said_and_the_old_firmware_kept(
    image: Path,
    old_and_new: firmware.Firmware,
    monkeypatch: pytest.MonkeyPatch,
    is_seen_ahead: bool,
) -> None:
    if not is_seen_ahead:
        monkeypatch.setattr(flashing, "_check_room", lambda *_: None)
    size = sum(len(data) for data in small_files("old").values())
    with ReplBoard(image, capacity=size + 1000) as board, pytest.raises(BoardError) as caught:
        flash(Target(board.port), old_and_new)
    assert re.match("the board's flash is full: .*; the board keeps", words_of(caught.value))
    check_whole(image, flashing.OLD_KEPT)


@needs_vm
def test_an_update_to_another_version_than_the_board_says_is_an_error(
    image: Path, tmp_path: Path
) -> None:
    package = firmware.load()
    write_image(image, on_flash({file.name: file.path.read_bytes() for file in package.files}))
    with ReplBoard(image) as board, pytest.raises(BoardError, match=r"runs firmware \S+ after"):
        flash(Target(board.port), replace(package, version="9.9"), wait_s=2.0)


@needs_vm
def test_a_board_that_does_not_say_hello_is_an_error(
    image: Path, old_and_new: firmware.Firmware
) -> None:
    with ReplBoard(image) as board, pytest.raises(BoardError, match="within 1 s nothing was heard"):
        flash(Target(board.port), old_and_new, wait_s=1.0)


def test_the_command_says_one_sentence_and_exits_with_4_where_there_is_no_port(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["flash", "--port", "/dev/no-such-port"]) == 4
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("thermoflop flash: there is no port /dev/no-such-port")
    assert said.err.count("\n") == 1


def test_a_port_that_says_nothing_ends_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mpremote, "QUIET_S", 1.0)
    master, slave = os.openpty()
    tty.setraw(slave)
    try:
        with pytest.raises(BoardError) as caught:
            flash(Target(os.ttyname(slave)), firmware.load())
    finally:
        os.close(master)
        os.close(slave)
    assert "no answer from the board" in words_of(caught.value)


def test_a_port_in_use_and_a_port_that_is_none_end_in_one_sentence(tmp_path: Path) -> None:
    master, slave = os.openpty()
    holder = ports.open_port(os.ttyname(slave))
    try:
        with pytest.raises(BoardError, match="busy"):
            flash(Target(os.ttyname(slave)), firmware.load())
    finally:
        holder.close()
        os.close(master)
        os.close(slave)
    (tmp_path / "file").write_text("no port")
    with pytest.raises(BoardError, match="not a serial port"):
        flash(Target(str(tmp_path / "file")), firmware.load())


def test_a_simulated_board_is_refused() -> None:
    with pytest.raises(BoardError, match="sim://pico is a simulated board"):
        flash(Target("sim://pico"), firmware.load())


@pytest.mark.parametrize(
    ("said", "means"),
    [
        ("mpremote: failed to access /dev/x (it may be in use by another program)", "went away"),
        ("b'garbage'\nmpremote: could not enter raw repl", "no MicroPython|MicroPython prompt"),
        ("cp a :b\nmpremote: cp: a: No space left on device.", "full"),
        ("serial.serialutil.SerialException: device reports readiness", "broke"),
        ("mpremote: something \x1b[31mnew", r"mpremote failed: .*\\x1b"),
        ("", "no word of explanation"),
    ],
)
def test_what_mpremote_says_becomes_one_sentence(said: str, means: str) -> None:
    error = mpremote.Mpremote("/dev/x")._why(said.split("\n"))
    assert re.search(means, words_of(error))


@pytest.mark.parametrize(
    ("platform", "version", "board", "means"),
    [
        ("esp32", [1, 27, 0], "x", "for a Raspberry Pi"),
        ("rp2", [1, 19, 1], "x", "has MicroPython 1.19.1"),
        ("rp2", [1, 27, 0], "Raspberry Pi Pico 2 W with RP2350", "for the RP2040"),
    ],
)
def test_a_board_of_another_kind_or_with_an_old_micropython_is_refused(
    platform: str, version: list[int], board: str, means: str
) -> None:
    with pytest.raises(BoardError, match=means):
        flashing._check_board({"platform": platform, "version": version, "board": board})
