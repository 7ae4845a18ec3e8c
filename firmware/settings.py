"""What can be set, within which limits, and how it survives a power cut.

Values are integers: decimals are thousandths (``on_c`` 29000 is 29.000 degC), words are the index
into their choices. The file holds one ``key value`` a line and ends in a CRC line, so a torn file
is known for what it is. A save writes a new file, reads it back and renames it over the old one,
which littlefs does in one step: it happened, or it did not.
"""

from thermistor import law_from
from wire import crc16, decimal

FILE = "settings.txt"
NEW = "settings.new"
BAD = "settings.bad"

# key, kind, default, lowest, highest, whether a change needs a new table of the thermistor; for
# words: the choices in place of the limits
SPEC = (
    ("on_c", "milli", 29000, -20000, 100000, False),
    ("off_c", "milli", 28000, -25000, 99000, False),
    ("t_max_c", "milli", 60000, 0, 120000, False),
    ("min_on_s", "milli", 5000, 0, 600000, False),
    ("min_off_s", "milli", 5000, 0, 600000, False),
    ("rate_ms", "int", 200, 100, 60000, False),
    ("side", "word", 0, ("high", "low"), None, True),
    ("r_series_ohm", "int", 10000, 100, 1000000, True),
    ("model", "word", 0, ("beta", "sh"), None, True),
    ("r25_ohm", "int", 10000, 1000, 100000, True),
    ("beta_k", "int", 3950, 1000, 6000, True),
    # Steinhart-Hart: three points of the R-T table, coldest first
    ("t1_c", "milli", 0, -55000, 150000, True),
    ("r1_ohm", "int", 33621, 10, 5000000, True),
    ("t2_c", "milli", 25000, -55000, 150000, True),
    ("r2_ohm", "int", 10000, 10, 5000000, True),
    ("t3_c", "milli", 70000, -55000, 150000, True),
    ("r3_ohm", "int", 1760, 10, 5000000, True),
    ("offset_c", "milli", 0, -10000, 10000, True),
    ("led", "int", 0, 0, 1, False),
    # colder than this is no reading but another part than the one set
    ("t_min_c", "milli", 0, -40000, 50000, False),
)
KEYS = tuple(row[0] for row in SPEC)


class BadSetting(ValueError):
    """A key or value that makes no sense; the message says which and why."""


def row_of(key):
    """The specification of a key."""
    for row in SPEC:
        if row[0] == key:
            return row
    raise BadSetting("no setting %s" % key)


def needs_table(key):
    """True when the thermistor's table is made from this setting."""
    return row_of(key)[5]


def defaults():
    """A fresh set of values."""
    return {row[0]: row[2] for row in SPEC}


def parse_milli(text):
    """``"29.5"`` -> 29500, in integers; at most three decimals."""
    sign = -1 if text[:1] == "-" else 1
    whole, _, part = text.lstrip("-").partition(".")
    digits = whole + part
    if not digits.isdigit() or len(part) > 3 or len(whole) > 6 or text.count("-") > 1:
        raise BadSetting("%s is not a number with at most 3 decimals" % text)
    return sign * (int(whole or "0") * 1000 + int((part + "000")[:3]))


def parse_int(text):
    """A whole number of at most nine digits."""
    digits = text[1:] if text[:1] == "-" else text
    if not digits.isdigit() or len(digits) > 9:
        raise BadSetting("%s is not a whole number" % text)
    return int(text)


def parse(key, text):
    """A value's text as the integer that is kept, checked against its limits."""
    _, kind, _, low, high, _ = row_of(key)
    if kind == "word":
        if text not in low:
            raise BadSetting("%s must be %s, not %s" % (key, " or ".join(low), text))
        return low.index(text)
    value = parse_milli(text) if kind == "milli" else parse_int(text)
    if not low <= value <= high:
        show = decimal if kind == "milli" else str
        raise BadSetting("%s must be %s to %s, not %s" % (key, show(low), show(high), text))
    return value


def show(key, value):
    """A kept integer as text."""
    _, kind, _, low, _, _ = row_of(key)
    if kind == "word":
        return low[value]
    return decimal(value) if kind == "milli" else str(value)


def check(values):
    """Limits hold one by one; these hold between them."""
    _ordered(values, "t_min_c", "off_c")
    _ordered(values, "off_c", "on_c")
    _ordered(values, "on_c", "t_max_c")
    for low, high in (
        ("t1_c", "t2_c"),
        ("t2_c", "t3_c"),
        ("r2_ohm", "r1_ohm"),
        ("r3_ohm", "r2_ohm"),
    ):
        _ordered(values, low, high)
    if values["model"]:
        _falls(values)
    if values["rate_ms"] % 100:
        raise BadSetting("rate_ms must be a multiple of 100, not %d" % values["rate_ms"])


def _ordered(values, low, high):
    if values[low] >= values[high]:
        raise BadSetting(
            "%s %s must be above %s %s"
            % (high, show(high, values[high]), low, show(low, values[low]))
        )


def _falls(values):
    """Three points that no thermistor has may bend the curve back, and let heat read as cold."""
    law = law_from(values)
    for r_ohm in (values["r_series_ohm"] // 100, values["r_series_ohm"] * 100):
        if not law.falls_at(r_ohm):
            raise BadSetting("no thermistor has these three points: colder must mean more ohms")


def changed(values, key, text):
    """A copy of the values with one of them changed, or BadSetting and nothing changed."""
    new = dict(values)
    new[key] = parse(key, text)
    check(new)
    return new


def encode(values):
    """The file's bytes."""
    body = "".join("%s %s\n" % (key, show(key, values[key])) for key in KEYS).encode()
    return body + crc_line(body, len(body))


def crc_line(data, length):
    """The file's last line: the checksum of the bytes before it."""
    return ("crc %04x\n" % crc16(data, length)).encode()


def decode(data):
    """The values in a file's bytes. Keys it lacks keep their default; anything else is refused."""
    at = data.rfind(b"crc ")
    if at < 0 or data[at:] != crc_line(data, at):
        raise BadSetting("the checksum does not fit")
    values = defaults()
    values["t_min_c"] = None
    for line in data[:at].decode().split("\n")[:-1]:
        words = line.split(" ")
        if len(words) != 2:
            raise BadSetting("not a key and a value: %s" % line)
        values[words[0]] = parse(words[0], words[1])
    if values["t_min_c"] is None:  # a file from before: it may be of a fan that starts below zero
        values["t_min_c"] = min(defaults()["t_min_c"], values["off_c"] - 10000)
    check(values)
    return values


def load(files):
    """(values, None), or (defaults, what was wrong) with the bad file kept aside.

    While no sound file has taken its place, a bad one is a problem at every start: a restart makes
    the defaults no better known to fit the part.
    """
    try:
        data = files.read(FILE)
        if data is not None:
            return decode(data), None
        if files.read(BAD) is None:
            return defaults(), None
        return defaults(), "nothing was saved since the file was bad"
    except (ValueError, OSError) as error:
        problem = str(error)
    try:
        files.rename(FILE, BAD)
    except OSError:
        pass  # a flash that cannot rename must not keep the board from starting
    return defaults(), problem


def save(files, values):
    """Write the file whole or not at all; OSError when the flash is full or does not read back."""
    data = encode(values)
    files.write(NEW, data)
    if files.read(NEW) != data:
        raise OSError("the settings did not read back")
    files.rename(NEW, FILE)
