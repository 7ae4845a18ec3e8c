"""``sim://`` is a serial port like any other to pyserial's users."""

from __future__ import annotations

import contextlib
import errno
import sys
import threading
import time

import pytest
import serial
from thermoflop.errors import BoardError, UsageError
from thermoflop.pico.ports import open_port
from thermoflop.pico.simulated import registry as desk
from thermoflop.pico.simulated.board import SimulatedBoard
from thermoflop.pico.simulated.options import parse_options
from thermoflop.pico.simulated.protocol_sim import Serial

FAST = "sim://?speed=max&heat=off"


def port(url: str = FAST, **words: object) -> Serial:
    open_port(FAST).close()  # pyserial knows the scheme from then on
    return serial.serial_for_url(url, **words)


def read_on(board: Serial) -> None:
    while True:
        board.read(100)


def test_it_opens_reads_and_closes() -> None:
    with port(timeout=5) as board:
        assert board.is_open
        data = board.read(2000)
        assert len(data) == 2000
        assert data.startswith(b'{"k":"hello"')
    assert not board.is_open
    board.close()


def test_reading_without_waiting_takes_what_is_there() -> None:
    with port("sim://?heat=off", timeout=0) as board:
        deadline_s = time.monotonic() + 5
        while not board.in_waiting and time.monotonic() < deadline_s:
            time.sleep(0.01)
        assert 0 < len(board.read(65536)) < 65536
        assert board.read(65536) == b""


def test_a_read_returns_early_when_the_timeout_has_passed() -> None:
    with port("sim://?heat=off", timeout=20) as board:
        data = board.read(1)  # it speaks, however busy the machine is
        board.timeout = 0.3
        data += board.read(1 << 20)
    assert 0 < len(data) < 1 << 20


def test_the_same_url_gives_the_same_bytes_each_time() -> None:
    reads = []
    for _ in range(2):
        with port(FAST + "&seed=9", timeout=5) as board:
            reads.append(board.read(5000))
    assert reads[0] == reads[1]


def test_what_is_written_is_answered() -> None:
    with port(timeout=5) as board:
        assert board.write(b"!5 get on_c\n") == 12
        data = b""
        while b'"id":5' not in data:
            data += board.read(500)
    assert b'"on_c":29.000' in data


def test_a_board_that_takes_nothing_times_out() -> None:
    with (
        port("sim://?heat=off&speed=0.01", write_timeout=0.1) as board,
        pytest.raises(serial.SerialTimeoutException),
    ):
        board.write(b"x" * 100_000)


def test_a_read_can_be_cancelled_from_another_thread() -> None:
    with port("sim://?heat=off&speed=0.01", timeout=None) as board:
        threading.Timer(0.1, board.cancel_read).start()
        assert len(board.read(1 << 20)) < 1 << 20


def test_closing_ends_a_read_in_another_thread() -> None:
    board = port("sim://?heat=off&speed=0.01", timeout=None)
    threading.Timer(0.1, board.close).start()
    with contextlib.suppress(serial.SerialException):  # or it returns what it has
        assert len(board.read(1 << 20)) < 1 << 20
    assert not board.is_open


def test_a_closed_port_is_not_read() -> None:
    board = port()
    board.close()
    for use in (lambda: board.read(), lambda: board.write(b"x"), lambda: board.in_waiting):
        with pytest.raises(serial.SerialException):
            use()


def test_input_can_be_thrown_away() -> None:
    with port(timeout=5) as board:
        board.read(100)
        board.reset_input_buffer()
        board.reset_output_buffer()
        board.flush()
        assert board.out_waiting == 0
        assert (board.cts, board.dsr, board.cd, board.ri) == (True, True, True, False)


def test_it_can_be_made_first_and_opened_later() -> None:
    open_port(FAST).close()
    board = serial.serial_for_url(FAST, do_not_open=True)
    assert not board.is_open
    board.open()
    with pytest.raises(serial.SerialException):
        board.open()
    board.close()
    board.open()
    board.close()


def test_an_unplugged_board_is_an_error_and_the_same_url_finds_it_again() -> None:
    url = FAST + "&fault=unplug@5:2&seed=31"
    with port(url, timeout=5) as board:
        pico = board.board
        with pytest.raises(serial.SerialException) as error:
            read_on(board)
        assert error.value.errno == errno.ENODEV
    deadline_s = time.monotonic() + 10
    while True:
        try:
            again = port(url, timeout=5)
            break
        except serial.SerialException:
            assert time.monotonic() < deadline_s
    with again:
        assert again.board is pico
        assert again.read(3000)
    with port(url, timeout=5) as other:
        assert other.board is not pico


def test_a_board_that_ends_is_an_error_not_silence() -> None:
    with port(FAST, timeout=5) as board:
        board.write(b"!1 bootsel\n")
        with pytest.raises(serial.SerialException):
            read_on(board)


def test_a_nameless_board_is_switched_off_with_its_port() -> None:
    with port() as board:
        pico = board.board
        assert pico.is_alive
    assert not pico.is_alive


def test_a_named_board_stays_on_and_is_read_by_one_at_a_time() -> None:
    url = "sim://desk-of-this-test?heat=off"
    try:
        with port(url, timeout=5) as board:
            pico = board.board
            with pytest.raises(serial.SerialException) as error:
                port(url)
            assert error.value.errno == errno.EBUSY
            with pytest.raises(BoardError, match="busy"):
                open_port(url)
        assert pico.is_alive
        with port(url) as board:
            assert board.board is pico
    finally:
        desk.remove("desk-of-this-test")
    assert not pico.is_alive


def test_a_board_made_here_can_be_put_on_the_desk() -> None:
    pico = SimulatedBoard(parse_options([("heat", "off"), ("speed", "max")]))
    url = desk.put("made-here", pico)
    try:
        with pytest.raises(UsageError, match="made-here"):
            desk.put("made-here", pico)
        with port(url, timeout=5) as board:
            assert board.board is pico
            assert board.read(100)
    finally:
        desk.remove("made-here")
        desk.remove("made-here")


@pytest.mark.parametrize(
    ("query", "word"), [("seed=x", "seed"), ("colour=red", "colour"), ("heat=nowhere", "nowhere")]
)
def test_nonsense_in_the_url_is_one_sentence_with_the_word_in_it(query: str, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        port(f"sim://?{query}")
    with pytest.raises(BoardError, match=word):
        open_port(f"sim://?{query}")


def test_opening_twice_registers_the_scheme_once() -> None:
    port().close()
    port().close()
    assert serial.protocol_handler_packages.count("thermoflop.pico.simulated") == 1


def test_a_board_that_cannot_be_imported_is_no_unknown_protocol(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """pyserial takes an ImportError of the module itself for a scheme that it does not know."""
    monkeypatch.delitem(sys.modules, Serial.__module__)
    monkeypatch.setitem(sys.modules, desk.__name__, None)
    with pytest.raises(ImportError, match="registry"):
        open_port(FAST)
