"""What the chip's ROM would be: runs on the MicroPython VM behind repl_board.mjs.

Puts the fake Pico's modules over the VM's own, a USB console that is the pseudo-terminal, and a
flash with littlefs' habits: a file that is being written shows its old content until it is closed,
and every step that changes the flash is a point at which the power can go.
"""

import builtins
import os
import sys

import fakes
import wires  # the JavaScript side

HIDDEN = ("rom", "tmp", "home", "dev", "proc")  # the VM's own folders
# Emscripten's error numbers -> the chip's
NUMBERS = {44: 2, 20: 17, 31: 21, 28: 22, 51: 28, 54: 20, 55: 39}
_open = builtins.open
_os = os


def chip_error(error):
    """The same OSError with the number that the chip would give."""
    return OSError(NUMBERS.get(error.errno, error.errno))


def size_of_flash():
    """Bytes in all files."""
    total = 0
    folders = ["/"]
    while folders:
        folder = folders.pop()
        for entry in Os().ilistdir(folder):
            path = folder.rstrip("/") + "/" + entry[0]
            if entry[1] == 0x4000:
                folders.append(path)
            else:
                total += entry[3]
    return total


class Writing:
    """A file open for writing: its bytes reach the flash when it is closed."""

    def __init__(self, path, mode):
        self._path = path
        self._binary = "b" in mode
        self._data = b""
        self._closed = False
        if wires.step():
            try:
                _os.stat(path)
            except OSError:
                _open(path, "wb").close()
                wires.save()

    def write(self, data):
        raw = data if self._binary else data.encode()
        if size_of_flash() + len(self._data) + len(raw) > wires.capacity():
            raise OSError(28)
        self._data += bytes(raw)
        return len(data)

    def close(self):
        if not self._closed:
            self._closed = True
            if wires.step():
                with _open(self._path, "wb") as file:
                    file.write(self._data)
                wires.save()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def chip_open(path, mode="r", **_):
    """``open`` of the chip."""
    try:
        if "w" in mode:
            return Writing(path, mode)
        return _open(path, mode)
    except OSError as error:
        raise chip_error(error) from None


class Os:
    """The module ``os``: the VM's own, with the chip's error numbers and steps that can be cut."""

    def __getattr__(self, name):
        return getattr(_os, name)

    def _step(self, function, *args):
        try:
            if wires.step():
                function(*args)
                wires.save()
        except OSError as error:
            raise chip_error(error) from None

    def rename(self, old, new):
        self._step(_os.rename, old, new)

    def remove(self, path):
        self._step(_os.remove, path)

    def mkdir(self, path):
        self._step(_os.mkdir, path)

    def rmdir(self, path):
        self._step(_os.rmdir, path)

    def stat(self, path):
        try:
            return _os.stat(path or "/")
        except OSError as error:
            raise chip_error(error) from None

    def ilistdir(self, path="/"):
        try:
            found = list(_os.ilistdir(path or "/"))
        except OSError as error:
            raise chip_error(error) from None
        for entry in found:
            if (path or "/") != "/" or entry[0] not in HIDDEN:
                whole = (path or "/").rstrip("/") + "/" + entry[0]
                yield (entry[0], entry[1], 0, _os.stat(whole)[6])

    def listdir(self, path="/"):
        return [entry[0] for entry in self.ilistdir(path)]

    def statvfs(self, path):
        free = max(wires.capacity() - size_of_flash(), 0) // 4096
        return (4096, 4096, 212, free, free, 0, 0, 0, 0, 255)


class Usb(fakes.World):
    """A world whose console is the pseudo-terminal and whose time is real."""

    def advance(self, ms):
        wires.sleep(ms)
        if wires.interrupted():
            raise KeyboardInterrupt
        super().advance(ms)

    def can_receive(self):
        return wires.waiting()

    def receive(self):
        return wires.read()

    def can_send(self):
        return wires.room()

    def send(self, data):
        return sum(wires.write(byte) for byte in data)


class Modest:
    """A module whose names are the fake's, and the real one's where the fake has none."""

    def __init__(self, fake, real):
        self._fake = fake
        self._real = real

    def __getattr__(self, name):
        try:
            return getattr(self._fake, name)
        except AttributeError:
            return getattr(self._real, name)


def restart(cause):
    """Let the chip start again; what lives through a reset is put aside for then."""
    world.reset(cause)
    wires.keep(repr([world.registers, world.random]))
    wires.restart()


def reset():
    """``machine.reset``."""
    restart("reset")
    raise fakes.Restart("reset")


world = Usb()


def power_on():
    """Put the chip's modules in place; the registers are as the last reset left them."""
    kept = wires.kept()
    if kept:
        world.registers, world.random = eval(kept)  # noqa: S307  our own repr
    modules = world.modules()
    modules["machine"].reset = reset
    modules["sys"].platform = "rp2"
    chip_os = Os()
    chip_os.uname = modules["os"].uname
    chip_os.urandom = modules["os"].urandom
    modules["os"] = chip_os
    modules["sys"] = Modest(modules["sys"], sys)
    real = sys.modules
    for name in modules:
        real[name] = modules[name]
    builtins.open = chip_open


def run_main():
    """What MicroPython does after a reset: main.py, if there is one, then the prompt."""
    try:
        with _open("/main.py") as file:
            source = file.read()
    except OSError:
        return
    try:
        exec(compile(source, "main.py", "exec"), {"__name__": "__main__"})  # noqa: S102
    except fakes.Restart as error:
        if not wires.restarting():  # the watchdog's, or bootsel
            restart(error.cause)
    except BaseException as error:
        sys.print_exception(error)
