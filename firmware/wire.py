"""Lines out, lines in: JSON objects with a CRC one way, short commands the other.

A line is built in place in one buffer, keys in the order they are given (MicroPython's dicts have
none), decimals from integers, and ends in ``,"crc":"xxxx"}``: CRC-16/CCITT-FALSE (polynomial 1021,
initial ffff) over every byte before the comma. At most 256 bytes with the newline.
"""

from micropython import const

MAX_LINE = const(256)
MAX_COMMAND = const(80)
_PAGE = const(256)  # of the queue: no part of the board's memory needs a larger gap in the heap
_TAIL = const(16)  # ,"crc":"xxxx"} and the newline

_CRC_NIBBLE = (
    0x0000, 0x1021, 0x2042, 0x3063, 0x4084, 0x50A5, 0x60C6, 0x70E7,
    0x8108, 0x9129, 0xA14A, 0xB16B, 0xC18C, 0xD1AD, 0xE1CE, 0xF1EF,
)  # fmt: skip


def crc16(data, length):
    """CRC-16/CCITT-FALSE of the first ``length`` bytes, four bits at a time."""
    crc = 0xFFFF
    table = _CRC_NIBBLE
    for i in range(length):
        byte = data[i]
        crc = ((crc << 4) & 0xFFFF) ^ table[(crc >> 12) ^ (byte >> 4)]
        crc = ((crc << 4) & 0xFFFF) ^ table[(crc >> 12) ^ (byte & 15)]
    return crc


def decimal(milli):
    """Thousandths as a decimal: 25310 -> 25.310."""
    sign = "-" if milli < 0 else ""
    milli = abs(milli)
    return "%s%d.%03d" % (sign, milli // 1000, milli % 1000)


def quoted(text):
    """A JSON string of anything: what is not plain ASCII becomes a question mark."""
    plain = "".join(c if " " <= c <= "~" else "?" for c in str(text))
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'


class Line:
    """One line under construction; ``fits`` turns False when a key had no room and was left out."""

    def __init__(self):
        self.buf = bytearray(MAX_LINE)
        self.length = 0
        self.fits = True

    def start(self, kind):
        """Forget what was there and open an object of this kind."""
        self.length = 0
        self.fits = True
        self._put('{"k":"' + kind + '"')
        return self

    def add(self, key, token):
        """Append a key with a value that is JSON already, if both fit."""
        piece = ',"' + key + '":' + token
        if self.length + len(piece) + _TAIL > MAX_LINE:
            self.fits = False
        else:
            self._put(piece)
        return self

    def text(self, key, value):
        """Append a string, cut to the room that is left."""
        value = str(value)
        token = quoted(value)
        room = MAX_LINE - _TAIL - self.length - len(key) - 4
        if len(token) > room > 2:
            # cut before quoting again, or an escape could be torn in two
            token = quoted(value[: max((room - 2) // 2, 0)])
        return self.add(key, token)

    def number(self, key, value):
        """Append an integer of any size."""
        return self.add(key, str(value))

    def milli(self, key, value):
        """Append thousandths as a decimal, or null."""
        return self.add(key, "null" if value is None else decimal(value))

    def end(self):
        """Close the object with its CRC and newline; returns the length in bytes."""
        crc = crc16(self.buf, self.length)
        self._put(',"crc":"%04x"}\n' % crc)
        return self.length

    def _put(self, piece):
        end = self.length + len(piece)
        self.buf[self.length : end] = piece.encode()
        self.length = end


class Outbox:
    """A ring of whole lines waiting for the USB port; what does not fit is refused, and counted."""

    def __init__(self, size):
        self._pages = tuple(bytearray(_PAGE) for _ in range((size + _PAGE - 1) // _PAGE))
        self.size = size
        self.used = 0
        self._head = 0  # index of the oldest byte

    def put(self, line, spare=0):
        """Queue a finished line if it fits and leaves ``spare`` bytes free; True when queued."""
        length = line.length
        if self.used + length + spare > self.size:
            return False
        at = (self._head + self.used) % self.size
        for i in range(length):
            self._pages[at // _PAGE][at % _PAGE] = line.buf[i]
            at += 1
            if at == self.size:
                at = 0
        self.used += length
        return True

    def pump(self, send, most):
        """Hand up to ``most`` bytes to ``send(byte) -> bool``, until it says no."""
        while self.used and most:
            if not send(self._pages[self._head // _PAGE][self._head % _PAGE]):
                return
            self._head = (self._head + 1) % self.size
            self.used -= 1
            most -= 1


class LineReader:
    """Bytes in, commands out. What is no text is thrown away up to its newline.

    A command that is too long is cut to ``MAX_COMMAND`` characters without its ``!``, which is one
    more than a command may have: that tells it, and its sender can be answered.
    """

    def __init__(self):
        self.buf = bytearray(MAX_COMMAND + 1)
        self.length = 0
        self.ignored = 0  # lines that were no command
        self._bad = False

    def feed(self, byte):
        """Take one byte; returns a command's text, without its ``!``, when one is complete."""
        if byte in (10, 13):
            return self._finish()
        if byte < 32 or byte > 126:
            self._bad = True
        elif self.length <= MAX_COMMAND:
            self.buf[self.length] = byte
            self.length += 1
        return None

    def _finish(self):
        length, bad = self.length, self._bad
        self.length = 0
        self._bad = False
        if not length and not bad:
            return None  # an empty line, or the second half of CR LF
        if bad or self.buf[0] != 33:
            self.ignored += 1
            return None
        return bytes(self.buf[1:length]).decode()


def split_command(text):
    """``"7 set on_c 29"`` -> (7, ["set", "on_c", "29"]); None when there is no id or no verb."""
    words = text.split()
    if len(words) < 2 or len(words[0]) > 9 or not words[0].isdigit():
        return None
    return int(words[0]), words[1:]
