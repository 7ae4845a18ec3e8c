"""The only file that knows the hardware of a Raspberry Pi Pico W.

Importing it drives the fan on: GPIO2 becomes an output that is high from its first moment, before
anything that could fail. Register addresses are from the RP2040 datasheet, sections 4.1 (USB) and
4.7 (watchdog).
"""

from machine import Pin

FAN = Pin(2, Pin.OUT, value=1)

import os  # noqa: E402  the fan comes first
import select  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402

import machine  # noqa: E402
from micropython import const  # noqa: E402

if "RP2040" not in os.uname().machine:
    # on the RP2350 the addresses below are the clock of its USB port
    raise RuntimeError("this firmware is for the RP2040, not %s" % os.uname().machine)

WATCHDOG_MS = const(8000)  # the hardware's most is 8388
_WATCHDOG_CTRL_CLEAR = const(0x4005B000)  # writing a bit here clears it in CTRL
_WATCHDOG_ENABLE = const(1 << 30)
_WATCHDOG_REASON = const(0x40058008)
_SCRATCH_BOOTS = const(0x4005800C)  # scratch 0 to 3 live through every reset but a power cut
_SCRATCH_CRASHES = const(0x40058010)
_SCRATCH_MAGIC = const(0x40058014)
_SCRATCH_4 = const(0x4005801C)
_MAGIC = const(0x1F10F10B)
_SCRATCH_4_RUNNING = const(0x6AB73121)  # the SDK writes it when it starts the watchdog
_USB_FRAME = const(0x50110048)  # SOF_RD: the number of the last frame, one every millisecond
_USB_IN = const(0x50100090)  # buffer control of endpoint 2 IN, which carries the console
_USB_UNREAD = const(1 << 10 | 1 << 26)  # AVAILABLE: the computer has not taken the buffer yet
_FRAME_LOOKS = const(500)  # some 5 ms of looking
_MOST_READ = const(2048)
_USB_DRAIN_MS = const(200)  # for the last lines to leave before the port goes

BOOT = "".join("%02x" % byte for byte in os.urandom(3))  # tells this start from every other


class Board:
    """Clock, converter, fan, USB console, files and identity; times in ms, codes 12-bit."""

    def __init__(self):
        self._adc = machine.ADC(Pin(26))
        self._dog = None
        self._led = None
        self._in = select.poll()
        self._in.register(sys.stdin, select.POLLIN)
        self._out = select.poll()
        self._out.register(sys.stdout, select.POLLOUT)
        self._stdin = sys.stdin.buffer
        self._stdout = sys.stdout.buffer
        self._one = bytearray(1)
        self._first_frame = machine.mem32[_USB_FRAME]
        self._frames_seen = False
        self._port_seen = 0  # bits: 1 with data that nobody had taken, 2 without
        self.name = os.uname().machine
        self.uid = "".join("%02x" % byte for byte in machine.unique_id())
        self.boot = BOOT
        self.reset_cause = _reset_cause()
        self.boots, self.crashes = _count_boot(self.reset_cause == "watchdog")

    def now_ms(self):
        """Milliseconds since boot, wrapping at 2**30."""
        return time.ticks_ms()

    def sleep_until(self, due_ms):
        """Wait for a time that is at most a second away; returns at once when it has passed."""
        left_ms = time.ticks_diff(due_ms, time.ticks_ms())
        if left_ms > 0:
            time.sleep_ms(min(left_ms, 1000))

    def read_code(self):
        """One conversion, 0..4095. ``read_u16`` spreads 12 bits over 16; this takes them back."""
        return self._adc.read_u16() >> 4

    def set_fan(self, on):
        """Drive the fan pin."""
        FAN.value(on)

    def fan_level(self):
        """The level that the fan pin really has."""
        return FAN.value()

    def show(self, on):
        """Mirror the fan on the W's LED. It hangs on the radio chip: slow, and allowed to fail."""
        try:
            if self._led is None:
                self._led = Pin("LED", Pin.OUT)
            self._led.value(on)
        except Exception:
            self._led = None

    def start_watchdog(self):
        """From here on the loop must feed it every 8 s."""
        self._dog = machine.WDT(timeout=WATCHDOG_MS)

    def feed(self):
        """Tell the watchdog that a whole tick went well."""
        if self._dog is not None:
            self._dog.feed()

    def receive(self):
        """The next byte from the host, or -1."""
        for _ in self._in.ipoll(0):
            if self._stdin.readinto(self._one):
                return self._one[0]
        return -1

    def send(self, byte):
        """Give one byte to USB; False when there is no room.

        One at a time: POLLOUT promises room for one byte only, and MicroPython's USB driver holds a
        longer write for up to 500 ms until all of it fits (shared/tinyusb/mp_usbd_cdc.c).
        """
        for _ in self._out.ipoll(0):
            self._one[0] = byte
            return bool(self._stdout.write(self._one))
        return False

    def host_awake(self):
        """False once the USB frames stop: the computer sleeps, or the cable is out.

        With its port left open MicroPython's driver then takes it for closed, lets POLLOUT say yes,
        and loops for ever in a write that finds no room, newer ones for 500 ms (mp_usbd_cdc_tx_strn
        in shared/tinyusb/mp_usbd_cdc.c). A board that never saw a frame writes as before.
        """
        frame = machine.mem32[_USB_FRAME]
        if frame == self._first_frame and not self._frames_seen:
            return True
        for _ in range(_FRAME_LOOKS):
            if machine.mem32[_USB_FRAME] != frame:
                self._frames_seen = True
                return True
        return not self._frames_seen

    def port_unread(self):
        """True while what was sent still waits for a reader; ask before sending, not after.

        A computer takes it within a few ms while a program has the port open. While none has,
        MicroPython's driver says yes to every byte and forgets the oldest. A register that has
        never been seen in both states is not believed.
        """
        unread = machine.mem32[_USB_IN] & _USB_UNREAD != 0
        self._port_seen |= 1 if unread else 2
        return unread and self._port_seen == 3

    def clear_crashes(self):
        """Forget the crashes so far: the board has run well, or a person says so."""
        self.crashes = 0
        machine.mem32[_SCRATCH_CRASHES] = 0

    def read(self, name):
        """A file's first bytes, far more than settings have, or None when there is no such file."""
        try:
            file = open(name, "rb")
        except OSError as error:
            if error.errno == 2:  # ENOENT
                return None
            raise
        try:
            return file.read(_MOST_READ)
        finally:
            file.close()

    def write(self, name, data):
        """Write a file whole; a cut in between leaves it short, so write beside and rename."""
        file = open(name, "wb")
        try:
            file.write(data)
        finally:
            file.close()

    def rename(self, old, new):
        """Replace ``new`` by ``old`` in one step."""
        os.rename(old, new)

    def restart(self):
        """Reset the chip; main.py starts again."""
        reset()

    def bootloader(self):
        """Restart as a USB drive that takes a new MicroPython."""
        time.sleep_ms(_USB_DRAIN_MS)
        machine.bootloader()


def reset():
    """Reset the chip, after USB had time to send what was written."""
    time.sleep_ms(_USB_DRAIN_MS)
    machine.reset()


def note_crash():
    """Count a crash where a reset does not erase it; returns how many there were in a row."""
    crashes = machine.mem32[_SCRATCH_CRASHES] + 1
    machine.mem32[_SCRATCH_CRASHES] = crashes
    return crashes


def hand_over():
    """Leave the board to a person: fan on, and a watchdog that no longer bites.

    MicroPython cannot stop its watchdog; clearing the enable bit is what the SDK's own
    watchdog_disable does. Scratch 4 is wiped so that a soft reset is not taken for a bite.
    """
    FAN.value(1)
    machine.mem32[_WATCHDOG_CTRL_CLEAR] = _WATCHDOG_ENABLE
    machine.mem32[_SCRATCH_4] = 0


def _reset_cause():
    """power, reset or watchdog. machine.reset_cause() calls every reset a watchdog's."""
    if not machine.mem32[_WATCHDOG_REASON] & 3:
        return "power"
    running = machine.mem32[_SCRATCH_4] == _SCRATCH_4_RUNNING
    return "watchdog" if machine.mem32[_WATCHDOG_REASON] & 1 and running else "reset"


def _count_boot(bitten):
    """Boots and crashes since power came, from scratch registers that a power cut clears."""
    if machine.mem32[_SCRATCH_MAGIC] != _MAGIC:
        machine.mem32[_SCRATCH_MAGIC] = _MAGIC
        machine.mem32[_SCRATCH_BOOTS] = 0
        machine.mem32[_SCRATCH_CRASHES] = 0
    boots = machine.mem32[_SCRATCH_BOOTS] + 1
    machine.mem32[_SCRATCH_BOOTS] = boots
    crashes = note_crash() if bitten else machine.mem32[_SCRATCH_CRASHES]
    return boots, crashes
