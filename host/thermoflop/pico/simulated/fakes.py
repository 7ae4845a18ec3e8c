"""A Pico W without a Pico: the modules that firmware/board.py imports, over one ``World``.

Written in the subset that MicroPython and CPython both run, because the firmware's tests use it on
both; the simulated Pico puts a thermal plant behind it by overriding the hooks of ``World``. Times
are milliseconds, codes 12-bit.
"""

TICKS = 0x3FFFFFFF
WATCHDOG_ENABLE = 1 << 30
REG_REASON = 0x40058008
REG_SCRATCH_4 = 0x4005801C
REG_CTRL_CLEAR = 0x4005B000
REG_USB_FRAME = 0x50110048
SCRATCH_4_RUNNING = 0x6AB73121
POLLIN = 1
POLLOUT = 4
FAN_PIN = 2


class Restart(BaseException):
    """The chip was reset: ``cause`` is reset, watchdog, bootsel or power."""

    def __init__(self, cause):
        super().__init__(cause)
        self.cause = cause


class Stop(BaseException):
    """The test or the simulator ends the firmware's endless loop."""


class PowerCut(BaseException):
    """The flash lost power in the middle of a write."""


class Flash:
    """Files as littlefs keeps them: a rename is one step, a cut write leaves a short new file."""

    def __init__(self):
        self.files = {}  # absolute path -> bytes
        self.folders = set()
        self.cut_after = None  # bytes and steps until the power goes, None for never
        self.full = False
        self.tears = False  # a cut leaves the bytes written so far, instead of an empty file

    def path(self, name):
        return name if name.startswith("/") else "/" + name

    def spend(self, amount=1):
        """Use up what is left before the power cut; returns how much of it there was."""
        if self.cut_after is None:
            return amount
        had = min(amount, self.cut_after)
        self.cut_after -= had
        return had

    def step(self):
        if not self.spend():
            raise PowerCut()

    def open(self, name, mode="r", **_):
        path = self.path(name)
        if "w" in mode:
            self.step()
            self.files[path] = b""
            return File(self, path, "b" in mode)
        if path not in self.files:
            raise OSError(2, "ENOENT")
        return File(self, path, "b" in mode)

    def rename(self, old, new):
        old, new = self.path(old), self.path(new)
        if old not in self.files and old not in self.folders:
            raise OSError(2, "ENOENT")
        self.step()
        if old in self.folders:
            self.folders.remove(old)
            self.folders.add(new)
            for path in [path for path in self.files if path.startswith(old + "/")]:
                self.files[new + path[len(old) :]] = self.files.pop(path)
        else:
            self.files[new] = self.files.pop(old)

    def rmdir(self, name):
        path = self.path(name)
        if path not in self.folders:
            raise OSError(2, "ENOENT")
        self.step()
        self.folders.remove(path)

    def listdir(self, name="/"):
        path = self.path(name)
        if path != "/" and path not in self.folders:
            raise OSError(2, "ENOENT")
        under = path if path == "/" else path + "/"
        inside = [other[len(under) :] for other in self.files if other.startswith(under)]
        inside += [other[len(under) :] for other in self.folders if other.startswith(under)]
        return sorted(other for other in inside if other and "/" not in other)


class File:
    """An open file of the fake flash, binary or text."""

    def __init__(self, flash, path, binary):
        self._flash = flash
        self._path = path
        self._binary = binary

    def read(self, most=-1):
        data = self._flash.files[self._path]
        data = data if most < 0 else data[:most]
        return data if self._binary else data.decode()

    def write(self, data):
        if self._flash.full:
            raise OSError(28, "ENOSPC")
        raw = data if self._binary else data.encode()
        kept = self._flash.spend(len(raw))
        if kept < len(raw):
            if self._flash.tears:
                self._flash.files[self._path] += bytes(raw[:kept])
            raise PowerCut()
        self._flash.files[self._path] = self._flash.files[self._path] + bytes(raw)
        return len(data)

    def close(self):
        pass


class World:
    """Time, pins, converter, USB, registers and flash. Override the hooks to build a plant."""

    def __init__(self, now_ms=0):
        self.now_ms = now_ms  # true time, never wraps; ticks_ms() wraps it
        self.code = 1900
        self.adc_fails = False
        self.pins = {}
        self.stuck_pin = None  # a level that GPIO2 shows whatever is written
        self.writes = []  # (now_ms, level) of each change of GPIO2
        self.registers = {}
        self.dog_due_ms = None
        self.flash = Flash()
        self.inbox = bytearray()
        self.outbox = bytearray()
        self.room = None  # bytes the host still takes, None for as many as there are
        self.uid = b"\xe6\x61\x64\x08\x43\x2a\x5b\x2c"
        self.machine = "Raspberry Pi Pico W with RP2040"
        self.random = 0x3FA2C1
        self.stop_ms = None

    # hooks -----------------------------------------------------------------------------------

    def read_code(self, channel):
        """One conversion of a channel, 0..4095; OSError when the converter is dead."""
        if self.adc_fails:
            raise OSError(5, "EIO")
        return self.code

    def advance(self, ms):
        """Let time pass; the watchdog and the end of the test happen in here."""
        self.now_ms += ms
        if self.dog_due_ms is not None and self.now_ms >= self.dog_due_ms:
            raise Restart("watchdog")
        if self.stop_ms is not None and self.now_ms >= self.stop_ms:
            raise Stop()

    def can_receive(self):
        return len(self.inbox) > 0

    def receive(self):
        byte = self.inbox[0]
        self.inbox = self.inbox[1:]
        return byte

    def can_send(self):
        return self.room is None or self.room > 0

    def send(self, data):
        """Take bytes; returns how many. Like the driver, wait 500 ms for room."""
        if self.room is not None:
            if len(data) > self.room:
                self.advance(500)
            data = data[: self.room]
            self.room -= len(data)
        self.outbox.extend(data)
        return len(data)

    def usb_frame(self):
        """Number of the last USB frame; it stands still while no awake computer is there."""
        return 0

    def pin_changed(self, number, level):
        """GPIO number was driven to a level that it did not have."""
        if number == FAN_PIN:
            self.writes.append((self.now_ms, level))

    @property
    def fan(self):
        """The level of the fan pin, None while it is not driven."""
        return self.pins.get(FAN_PIN)

    def drive(self, number, level):
        level = 1 if level else 0
        if self.pins.get(number) != level:
            self.pins[number] = level
            self.pin_changed(number, level)

    def level(self, number):
        if number == FAN_PIN and self.stuck_pin is not None:
            return self.stuck_pin
        return self.pins.get(number, 0)

    def reset(self, cause):
        """What the chip is like after a reset: pins let go, registers as the cause leaves them."""
        self.pins = {}
        self.dog_due_ms = None
        self.inbox = bytearray()
        if cause == "power":
            self.registers = {}
        else:
            # the SDK's own reset is a forced watchdog, with scratch 4 wiped
            self.registers[REG_REASON] = 1
            if cause != "watchdog":
                self.registers[REG_SCRATCH_4] = 0
        self.random = (self.random * 1103515245 + 12345) & 0xFFFFFF

    def modules(self):
        """Name -> module, for everything that firmware/board.py and main.py import."""
        return {
            "machine": Machine(self),
            "time": Time(self),
            "sys": Sys(self),
            "select": Select(self),
            "os": Os(self),
        }


class Machine:
    """The module ``machine``."""

    def __init__(self, world):
        self._world = world

        class Pin:
            OUT = 1
            IN = 0

            def __init__(self, number, mode=0, value=None):
                self.number = number
                if value is not None:
                    world.drive(number, value)

            def value(self, level=None):
                if level is None:
                    return world.level(self.number)
                world.drive(self.number, level)
                return None

        class ADC:
            def __init__(self, pin):
                self.channel = pin.number - 26

            def read_u16(self):
                code = world.read_code(self.channel)
                return code << 4 | code >> 8

        class WDT:
            def __init__(self, timeout):
                self.timeout = timeout
                world.registers[REG_SCRATCH_4] = SCRATCH_4_RUNNING
                self.feed()

            def feed(self):
                world.dog_due_ms = world.now_ms + self.timeout

        self.Pin = Pin
        self.ADC = ADC
        self.WDT = WDT
        self.mem32 = Registers(world)

    def unique_id(self):
        return self._world.uid

    def reset(self):
        raise Restart("reset")

    def bootloader(self):
        raise Restart("bootsel")


class Registers:
    """``machine.mem32``: the registers of watchdog and USB, as far as the firmware uses them."""

    def __init__(self, world):
        self._world = world

    def __getitem__(self, address):
        if address == REG_USB_FRAME:
            return self._world.usb_frame()
        return self._world.registers.get(address, 0)

    def __setitem__(self, address, value):
        if address == REG_CTRL_CLEAR:
            if value & WATCHDOG_ENABLE:
                self._world.dog_due_ms = None
        else:
            self._world.registers[address] = value


class Time:
    """The module ``time``: its clock moves only when the firmware sleeps."""

    def __init__(self, world):
        self._world = world

    def ticks_ms(self):
        return self._world.now_ms & TICKS

    def ticks_diff(self, end, start):
        return ((end - start + (TICKS + 1) // 2) & TICKS) - (TICKS + 1) // 2

    def sleep_ms(self, ms):
        self._world.advance(ms)


class Sys:
    """The module ``sys``, as far as the firmware uses it."""

    def __init__(self, world):
        self.stdin = Stream(world)
        self.stdout = Stream(world)

    def print_exception(self, error, file=None):
        (file or self.stdout).write(
            "Traceback (most recent call last):\n%s: %s\n" % (type(error).__name__, error)
        )


class Stream:
    """stdin and stdout, with their binary side in ``buffer``."""

    def __init__(self, world):
        self._world = world
        self.buffer = self

    def readinto(self, buf):
        if not self._world.can_receive():
            return 0
        buf[0] = self._world.receive()
        return 1

    def write(self, data):
        return self._world.send(data.encode() if isinstance(data, str) else data)


class Select:
    """The module ``select``: a poll over one stream."""

    POLLIN = POLLIN
    POLLOUT = POLLOUT

    def __init__(self, world):
        self._world = world

    def poll(self):
        return Poll(self._world)


class Poll:
    """A poll object; ipoll yields only when the stream is ready."""

    def __init__(self, world):
        self._world = world
        self._mask = 0
        self._ready = ((None, POLLIN),)

    def register(self, stream, mask):
        self._mask = mask

    def ipoll(self, timeout):
        world = self._world
        ready = world.can_receive() if self._mask == POLLIN else world.can_send()
        return self._ready if ready else ()


class Os:
    """The module ``os``, over the fake flash."""

    def __init__(self, world):
        self._world = world
        flash = world.flash
        self.rename = flash.rename
        self.listdir = flash.listdir
        self.rmdir = flash.rmdir

    def uname(self):
        return type("Name", (), {"machine": self._world.machine})

    def urandom(self, count):
        return bytes((self._world.random >> (8 * (count - 1 - i))) & 255 for i in range(count))
