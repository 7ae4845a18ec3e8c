"""Which port: one board is taken, none and two are refused with a sentence that helps."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from kit.board_lines import Pty
from thermoflop.errors import BoardError
from thermoflop.pico import ports
from thermoflop.pico.ports import PortInfo, Target, choose, open_port


def board(device: str, number: str) -> PortInfo:
    """A Pico that runs MicroPython."""
    return PortInfo(device, "Board in FS mode", 0x2E8A, 0x0005, number)


OTHER = PortInfo("/dev/ttyUSB0", "FT232R", 0x0403, 0x6001, "A1")


@pytest.fixture
def plugged(monkeypatch: pytest.MonkeyPatch) -> list[PortInfo]:
    """The ports of a made-up machine; fill the list."""
    there: list[PortInfo] = []
    monkeypatch.setattr(ports, "list_ports", lambda: there)
    return there


def test_the_only_board_is_taken(plugged: list[PortInfo]) -> None:
    """Other serial ports do not count."""
    plugged += [OTHER, board("/dev/ttyACM0", "E66")]
    assert choose() == Target("/dev/ttyACM0", "E66")


def test_no_board_is_one_sentence_with_a_remedy(plugged: list[PortInfo]) -> None:
    """Another serial port is not opened in its place."""
    plugged += [OTHER]
    with pytest.raises(BoardError, match=r"no board found.*2e8a:0005.*--port"):
        choose()


def test_two_boards_are_listed_and_refused(plugged: list[PortInfo]) -> None:
    """With their serial numbers, to choose by."""
    plugged += [board("/dev/ttyACM0", "E66"), board("/dev/ttyACM1", "E77")]
    with pytest.raises(BoardError, match=r"2 boards found: /dev/ttyACM0 .*E66.*ttyACM1 .*E77"):
        choose()


def test_a_port_that_is_not_there_is_one_sentence(plugged: list[PortInfo]) -> None:
    """With the ports that are."""
    plugged += [OTHER]
    with pytest.raises(BoardError, match=r"no port /dev/none; .*: /dev/ttyUSB0"):
        choose("/dev/none")


@pytest.mark.parametrize("url", ["sim://finger", "socket://localhost:1"])
def test_a_url_is_taken_as_it_is(url: str) -> None:
    """It is not a file."""
    assert choose(url) == Target(url)


def test_a_replugged_board_is_found_under_its_new_name(plugged: list[PortInfo]) -> None:
    """By its serial number."""
    plugged += [board("/dev/ttyACM7", "E66")]
    assert Target("/dev/ttyACM0", "E66").find() == "/dev/ttyACM7"


def test_of_two_boards_with_one_serial_number_the_named_one_is_opened(
    plugged: list[PortInfo], tmp_path: Path
) -> None:
    """Some makers' chips all have the same; a link to a port is that port."""
    first, second = tmp_path / "ttyACM0", tmp_path / "ttyACM1"
    plugged += [board(str(first), "E66"), board(str(second), "E66"), board("COM4", "E66")]
    assert Target("COM4", "E66").find() == "COM4"  # Windows has no such file
    for port in (first, second):
        port.touch()
        assert choose(str(port)).find() == str(port)
    (tmp_path / "link").symlink_to(second)
    assert os.path.realpath(choose(str(tmp_path / "link")).find()) == str(second)


def test_the_number_of_a_closed_pseudo_terminal_is_never_opened_again() -> None:
    """By then it may be somebody's shell; a symbolic link can be renewed."""
    assert not Target("/dev/pts/3").may_return
    assert Target("/run/pico").may_return
    assert Target("/dev/ttyACM0").may_return


def test_boards_come_first_and_ports_that_are_nothing_not_at_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Names and numbers as pyserial gives them, cleaned for a terminal."""
    from serial.tools import list_ports as pyserial_ports
    from serial.tools.list_ports_common import ListPortInfo

    def made(device: str, vid: int | None, pid: int | None, text: str, hwid: str) -> ListPortInfo:
        info = ListPortInfo(device, skip_link_detection=True)
        info.vid, info.pid, info.description, info.hwid = vid, pid, text, hwid
        return info

    there = [
        made("/dev/ttyS0", None, None, "n/a", "n/a"),
        made("/dev/ttyACM0", 0x0403, 0x6001, "evil\x1b[2J", "USB VID:PID"),
        made("/dev/ttyACM1", 0x2E8A, 0x0005, "Board in FS mode", "USB VID:PID"),
    ]
    monkeypatch.setattr(pyserial_ports, "comports", lambda: there)
    listed = ports.list_ports()
    assert [port.device for port in listed] == ["/dev/ttyACM1", "/dev/ttyACM0"]
    assert [port.usb_id for port in listed] == ["2e8a:0005", "0403:6001"]
    assert listed[1].description == r"evil\x1b[2J"


def test_a_second_reader_is_refused() -> None:
    """It would steal bytes from the first."""
    with Pty() as pty:
        first = open_port(pty.path)
        with pytest.raises(BoardError, match="is busy"):
            open_port(pty.path)
        first.close()
        open_port(pty.path).close()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda p: p.write_text("x"), "is not a serial port"),
        (lambda p: p.mkdir(), "is not a serial port"),
        (lambda p: p.symlink_to(p.parent / "gone"), "there is no port"),
    ],
)
def test_what_is_no_serial_port_is_one_sentence(tmp_path: Path, make: object, words: str) -> None:
    """A file, a folder, a dangling link; the file stays as it was."""
    path = tmp_path / "thing"
    make(path)  # type: ignore[operator]
    with pytest.raises(BoardError, match=words):
        open_port(str(path))
    if path.is_file():
        assert path.read_text() == "x"


@pytest.mark.parametrize("url", ["nope://x", "socket://localhost:1"])
def test_a_url_that_leads_nowhere_is_one_sentence(url: str) -> None:
    """An unknown scheme, a closed door."""
    with pytest.raises(BoardError, match=r"not understood|cannot open"):
        open_port(url)


def test_no_permission_names_the_group(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The commonest first failure on Linux, with its remedy."""

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(BoardError, match=r"no permission.*dialout"):
        open_port(str(tmp_path / "ttyACM0"))


def test_a_board_that_vanishes_while_it_is_opened_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The terminal layer's own error is none of the usual ones; a reconnect meets it."""
    import termios

    def gone(*_: object) -> None:
        raise termios.error(5, "Input/output error")

    with Pty() as pty:
        monkeypatch.setattr(termios, "tcflush", gone)
        with pytest.raises(BoardError, match="cannot open"):
            open_port(pty.path)


@pytest.mark.parametrize("url", ["rfc2217://x", "socket://x", "socket://", "socket://x:abc"])
def test_a_network_port_without_a_number_is_said_in_our_words(url: str) -> None:
    with pytest.raises(BoardError, match=r"expected (rfc2217|socket)://HOST:PORT"):
        open_port(url)


def test_a_port_s_address_writes_no_file(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_text("mine")
    for url in (f"spy:///dev/null?file={kept}", f"SPY://{kept}?file={kept}", "hwgrep://.*"):
        with pytest.raises(BoardError, match="expected a device, or sim://"):
            open_port(url)
    assert kept.read_text() == "mine"


@pytest.mark.parametrize(
    ("typed", "meant"), [("sim", "sim"), ("SIM:", "sim"), ("socket", "socket")]
)
def test_a_scheme_without_its_slashes_is_named_with_them(typed: str, meant: str) -> None:
    with pytest.raises(BoardError, match=rf"there is no port {typed}; .*did you mean {meant}://\?"):
        choose(typed)


def test_a_name_longer_than_names_can_be_is_no_port() -> None:
    with pytest.raises(BoardError, match="there is no port a"):
        choose("a" * 5000)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("PermissionError(13, 'Access is denied.', None, 5)", "COM5 is busy"),
        ("PermissionError(13, 'Zugriff verweigert', None, 5)", "COM5 is busy"),
        ("PermissionError(13, 'Access denied.', None, 5)", "COM5 is busy"),
        ("WindowsError(5, 'Access is denied.')", "COM5 is busy"),
        ("FileNotFoundError(2, 'The system cannot find the file specified.', None, 2)",
         "there is no port COM5"),
    ],
)  # fmt: skip
def test_windows_words_for_a_busy_and_an_absent_port_are_known(text: str, words: str) -> None:
    """As pyserial's serialwin32.open passes them on: in its text, without a number."""
    from serial import SerialException

    error = SerialException(f"could not open port 'COM5': {text}")
    assert words in ports._why_not("COM5", error)
