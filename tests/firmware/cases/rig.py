"""A bench for the firmware's tests, in the subset that MicroPython and CPython both run.

``fresh(world)`` gives a loader that imports the firmware's modules anew, over that world's fake
hardware. ``sys.modules`` is the VM's own there, and one that the test runner made on CPython.
"""

import builtins
import sys

import fakes

FIRMWARE = (
    "main app board sampler thermistor thermostat wire commands settings mults faults logarithm "
    "ticks".split()
)

_modules = sys.modules


def fresh(world):
    """Drop the firmware's modules and put this world's fakes in the place of the real ones."""
    for name in FIRMWARE:
        _modules.pop(name, None)
    for name, module in world.modules().items():
        _modules[name] = module
    builtins.open = world.flash.open
    return __import__


class Bench(fakes.World):
    """A world with a little noise on its converter, as a real one has."""

    def __init__(self, code=1900, now_ms=0):
        super().__init__(now_ms)
        self.code = code
        self.noise = 1
        self.load = None
        self._dice = 12345

    def read_code(self, channel):
        code = super().read_code(channel)
        if not self.noise:
            return code
        self._dice = (self._dice * 1103 + 12345) & 0xFFFF
        return min(max(code + (self._dice >> 8) % (2 * self.noise + 1) - self.noise, 0), 4095)

    def power_on(self):
        """Forget all modules, as a reset does."""
        self.load = fresh(self)
        return self.load

    def app(self, safe_after=3):
        """The firmware's App on this world, not yet running."""
        self.power_on()
        board = self.load("board")
        return self.load("app").App(board.Board(), safe_after)

    def boot(self, for_ms=None):
        """Run main.py until time is up or the chip resets; returns how it ended."""
        if for_ms is not None:
            self.stop_ms = self.now_ms + for_ms
        self.power_on()
        try:
            self.load("main").main()
        except fakes.Restart as restart:
            self.reset(restart.cause)
            return restart.cause
        except fakes.Stop:
            return "stop"
        return "prompt"

    def lines(self, kind=None):
        """The lines sent so far, oldest first; of one kind if named."""
        found = bytes(self.outbox).decode().split("\n")
        if kind is None:
            return found[:-1]
        return [line for line in found if line.startswith('{"k":"%s"' % kind)]

    def say(self, text):
        """The host types a line."""
        self.inbox.extend((text + "\n").encode())

    def ticks(self, app, count):
        """Run whole ticks, 100 ms apart."""
        for _ in range(count):
            app.tick()
            self.advance(100)


def field(line, key):
    """The JSON token behind a key of one line."""
    start = line.index('"%s":' % key) + len(key) + 3
    if line[start] == "[":
        return line[start : line.index("]", start) + 1]
    if line[start] == '"':
        return line[start + 1 : line.index('"', start + 1)]
    end = start
    while line[end] not in ",}":
        end += 1
    return line[start:end]


def refuses(function, *args):
    """The message of the ValueError that this call must raise."""
    try:
        function(*args)
    except ValueError as error:
        return str(error)
    raise AssertionError("not refused: %s" % (args,))
