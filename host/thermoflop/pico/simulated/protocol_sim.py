"""``sim://`` for pyserial: ``serial.serial_for_url("sim://?seed=7&finger=5:10")``.

pyserial finds this module when ``thermoflop.pico.simulated`` is in
``serial.protocol_handler_packages``; ``open_port`` puts it there. It takes an ImportError in here
for a protocol that does not exist, so the board itself is imported when a port is opened. Baud
rate and the like are accepted and mean nothing, as on USB.
"""

from __future__ import annotations

import errno
import time
from typing import TYPE_CHECKING, Any

from serial.serialutil import (
    PortNotOpenError,
    SerialBase,
    SerialException,
    SerialTimeoutException,
    to_bytes,
)

from thermoflop.errors import ThermoflopError
from thermoflop.pico.simulated.cable import LinkBusy, LinkLost

if TYPE_CHECKING:
    from thermoflop.pico.simulated.registry import Session

_LOOK_EVERY_S = 0.2  # how soon cancel_read and close are noticed by a read in another thread


class Serial(SerialBase):  # type: ignore[misc]  # pyserial has no types
    """A port whose other end is a simulated board in this process."""

    is_open: bool

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """As pyserial's own ports."""
        self._session: Session | None = None
        self._cancelled = False
        super().__init__(*args, **kwargs)

    def open(self) -> None:
        """Make or find the board. ValueError when the URL makes no sense."""
        from thermoflop.pico.simulated.registry import connect

        if self._port is None:
            raise SerialException("Port must be configured before it can be used.")
        if self.is_open:
            raise SerialException("Port is already open.")
        try:
            self._session = connect(self._port)
        except ThermoflopError as error:
            raise ValueError(str(error)) from error
        except LinkLost:
            raise SerialException(errno.ENODEV, "the simulated board is unplugged") from None
        except LinkBusy:
            raise SerialException(errno.EBUSY, "the simulated board is being read") from None
        self.is_open = True

    def close(self) -> None:
        """Close the port; a nameless board is switched off."""
        if self.is_open:
            self.is_open = False
            session, self._session = self._session, None
            if session is not None:
                session.close()

    @property
    def board(self) -> Any:
        """The SimulatedBoard at the other end."""
        return self._open_session().board

    @property
    def in_waiting(self) -> int:
        """Bytes that a read would give at once."""
        session = self._open_session()
        try:
            return session.cable.waiting(session.ticket)
        except LinkLost:
            raise self._unplugged() from None

    def read(self, size: int = 1) -> bytes:
        """``size`` bytes, fewer when the timeout passes first; SerialException when unplugged."""
        self._cancelled = False
        deadline_s = None if self._timeout is None else time.monotonic() + self._timeout
        data = bytearray()
        while len(data) < size and not self._cancelled:
            session = self._open_session()
            left_s = _LOOK_EVERY_S
            if deadline_s is not None:
                left_s = min(max(deadline_s - time.monotonic(), 0.0), left_s)
            try:
                data += session.cable.read(session.ticket, size - len(data), left_s)
            except LinkLost:
                if data:
                    break  # the next read says so
                raise self._unplugged() from None
            if deadline_s is not None and time.monotonic() >= deadline_s:
                break
        return bytes(data)

    def write(self, data: Any) -> int:
        """Type to the board; waits while it takes nothing, up to the write timeout."""
        session = self._open_session()
        octets = to_bytes(data)
        try:
            done = session.cable.write(session.ticket, octets, self._write_timeout)
        except LinkLost:
            raise self._unplugged() from None
        if done < len(octets):
            raise SerialTimeoutException("Write timeout")
        return done

    def cancel_read(self) -> None:
        """Make a read in another thread return what it has."""
        self._cancelled = True
        if self._session is not None:
            with self._session.cable.changed:
                self._session.cable.changed.notify_all()

    def reset_input_buffer(self) -> None:
        """Throw away what has arrived."""
        session = self._open_session()
        while self.in_waiting:
            session.cable.read(session.ticket, 1 << 20)

    def reset_output_buffer(self) -> None:
        """Nothing waits on this side."""
        self._open_session()

    def flush(self) -> None:
        """Writing has put everything on the cable."""
        self._open_session()

    @property
    def out_waiting(self) -> int:
        """Bytes that wait on this side: none."""
        self._open_session()
        return 0

    cts = dsr = cd = property(lambda self: self.is_open, doc="Wired to power, as it were.")
    ri = property(lambda _: False, doc="It never rings.")

    def _open_session(self) -> Session:
        if self._session is None:
            raise PortNotOpenError
        return self._session

    def _unplugged(self) -> SerialException:
        return SerialException(errno.ENODEV, "the simulated board was unplugged")

    def _reconfigure_port(self) -> None:
        """Nothing to configure."""

    _update_rts_state = _update_dtr_state = _update_break_state = _reconfigure_port
