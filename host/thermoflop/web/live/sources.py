"""The live sources of one server: boards, GPUs and recordings."""

from __future__ import annotations

import math
import os
import threading
import time
from typing import TYPE_CHECKING

from thermoflop.errors import BoardError, InputError, ThermoflopError, UsageError
from thermoflop.pico.ports import PortInfo, Target, choose, list_ports
from thermoflop.pico.simulated.heat import is_file
from thermoflop.pico.simulated.options import parse_url
from thermoflop.pico.wire import printable
from thermoflop.web.live.board import BoardSource
from thermoflop.web.live.gpus import GpuSource
from thermoflop.web.live.recordings import Recording, RecordingRequest, Recordings
from thermoflop.web.live.simboard import SimBoard

if TYPE_CHECKING:
    from thermoflop.web.site import Site

MAX_BOARDS = 8
RETRY_TURNS = 3  # seconds between attempts to open a port
FOUND_S = 2.0  # how long a look at the machine's ports is good for
SIMULATED = "sim://"


class LiveSources:
    """All live sources. Methods may be called from any thread."""

    def __init__(self, site: Site, most_boards: int = MAX_BOARDS, *, history: bool = True) -> None:
        """Opens nothing; ``most_boards`` at most will be open at once, each with its past or with
        its newest reading alone."""
        self._most_boards = most_boards
        self._history = history
        self.boards: dict[str, BoardSource] = {}
        self.gpus = GpuSource(site.gpu)
        self.recordings = Recordings(site.runs)
        self._own_port = site.board_port
        self.version = 0  # of which boards and recordings there are
        self._lock = threading.RLock()
        self._made = 0
        self._ports: list[PortInfo] = []
        self._looked_s = -math.inf
        self._stop = threading.Event()
        self._watch = threading.Thread(target=self._look_around, daemon=True)

    def start(self, port: str | None) -> None:
        """Follow running recordings; open ``port``, or the board if there is only one."""
        self.gpus.start()
        self._meet(self.recordings.look())
        if port is not None:
            if not self._has(port):
                self.open(port)
        elif not self.boards:
            unread_ports = self.unread_ports()
            if len(unread_ports) == 1:
                self.watch(unread_ports[0].device, unread_ports[0].serial_number)
        self._watch.start()

    def stop(self) -> None:
        """Close all ports; recordings go on."""
        self._stop.set()
        # at once: pyserial takes a third of a second to close a port behind TCP
        ending = [threading.Thread(target=board.end) for board in list(self.boards.values())]
        for thread in ending:
            thread.start()
        for thread in ending:
            thread.join()
        self.gpus.stop()

    def unread_ports(self) -> list[PortInfo]:
        """Ports of boards on USB that the page does not read yet."""
        with self._lock:  # every viewer asks this again and again
            if time.monotonic() - self._looked_s > FOUND_S:
                self._ports = [port for port in list_ports() if port.is_board]
                self._looked_s = time.monotonic()
        known = {board.target.url for board in self.boards.values()}
        return [port for port in self._ports if port.device not in known]

    def named(self, port: str) -> str:
        """A port that a viewer named, without blanks; UsageError for what is not for viewers.

        A page has more users than its owner: on loopback everybody on this machine may ask. What
        it opens in its owner's name is a serial port that the system lists, a simulated board that
        reads no file, or an address; and of every other path it says the same.
        """
        port = port.strip()
        if port.lower().startswith(SIMULATED):
            if is_file(parse_url(port)[1].heat):
                raise UsageError("a simulated board on the page takes no heat from a file")
        elif "://" not in port and port != self._own_port:
            ports = {each.device for each in list_ports()}
            if port not in ports and os.path.realpath(port) not in ports:
                raise UsageError(
                    f"there is no port {printable(port)[:100]} among the serial ports of this "
                    "machine; name any other to `thermoflop serve --port`"
                )
        return port

    def open(self, port: str) -> BoardSource:
        """Read the board at ``port``, in a process of its own where it is simulated."""
        if self._has(port):
            raise UsageError(f"{port} is open already")
        if len(self.boards) >= self._most_boards:
            raise UsageError(f"{self._most_boards} boards are open already: close one first")
        simulated = SimBoard(port) if port.startswith(SIMULATED) else None
        try:
            target = Target(simulated.address) if simulated else choose(port)
            board = self._new(target, simulated)
            board.open()
        except ThermoflopError:
            if simulated is not None:
                simulated.end()
            raise
        self._add(board)
        return board

    def watch(self, port: str, serial: str | None = None) -> str:
        """Read the board at ``port``, or wherever one of this number is, from when it can be
        opened; why not now, or nothing."""
        try:
            self.open(port)
        except BoardError as error:
            board = self._new(Target(port, serial))
            board.trouble(str(error))
            self._add(board)
            return str(error)
        return ""

    def close(self, key: str) -> None:
        """Close a board's port; a recording of it goes on."""
        with self._lock:
            board = self.boards.pop(key, None)
            self.version += 1
        if board is not None:
            board.end()

    def record(self, request: RecordingRequest, key: str | None) -> Recording:
        """Start a recording, with the board ``key`` or without one."""
        board = self.boards.get(key) if key else None
        if key and board is None:
            raise InputError("that board is not open any more")
        if board is not None and board.run is not None:
            raise BoardError(f"the board is being recorded already, in {board.run.name}")
        recording = (
            self._record(request, board) if board else self.recordings.start(request, "none")
        )
        self.version += 1
        return recording

    def _record(self, request: RecordingRequest, board: BoardSource) -> Recording:
        """Pass the board's port to a recorder and follow its run folder."""
        board.given_away = True
        board.release()
        try:
            recording = self.recordings.start(request, board.target.url)
            recording.board = board.key
            board.follow(recording.folder)
        except ThermoflopError:
            board.take_back()
            raise
        finally:
            board.given_away = False
        return recording

    def _look_around(self) -> None:
        turn = 0
        while not self._stop.wait(1.0):
            turn += 1
            self._meet(self.recordings.look())
            for recording in self.recordings.ended():
                self.version += 1
                board = self.boards.get(recording.board or "")
                if board is not None and board.run == recording.folder:
                    if board.of_run:
                        self.close(board.key)
                    else:
                        board.take_back()
            if turn % RETRY_TURNS == 0:
                self._retry()

    def _retry(self) -> None:
        """Try again to open ports that could not be opened."""
        for board in list(self.boards.values()):
            if board.is_idle:
                board.try_to_open()

    def _meet(self, recordings: list[Recording]) -> None:
        """Follow the boards of recordings started elsewhere or before a restart."""
        for recording in recordings:
            self.version += 1
            port = recording.port
            if port is None or not recording.is_ours:
                continue  # when it has ended its port is opened, whatever stands there
            # each opening of sim:// is another board: what two of them say is never one curve
            of_run = port.startswith(SIMULATED)
            board = next(
                (f for f in self.boards.values() if f.target.url == port and not of_run), None
            )
            if board is None:
                board = self._new(Target(port, recording.serial_number))
                board.of_run = of_run
                self._add(board)
            recording.board = board.key
            board.follow(recording.folder)

    def _has(self, port: str) -> bool:
        urls = (f.simulated.url if f.simulated else f.target.url for f in self.boards.values())
        return port in urls and not port.startswith(SIMULATED)

    def _new(self, target: Target, simulated: SimBoard | None = None) -> BoardSource:
        """A board that is neither opened nor shown yet."""
        with self._lock:
            self._made += 1
            key = f"board{self._made}"
        return BoardSource(key, target, simulated, history=self._history)

    def _add(self, board: BoardSource) -> None:
        with self._lock:
            self.boards[board.key] = board
            self.version += 1
