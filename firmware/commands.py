"""Verbs from the host, each a small function that answers or refuses.

A command is ``!<id> <verb> [args]``. Its reply carries the same id; a refusal says what was wrong
with which value. The same id and text sent twice is applied once, so a host that saw no reply may
simply send again. Only verbs in QUERIES are answered anew each time.
"""

import faults
import mults
import settings
import thermistor
import thermostat
from wire import MAX_COMMAND, quoted, split_command

QUERIES = ("id", "get", "faults", "help", "sync")
ALLOWED_SAFE = QUERIES + ("clear", "reset", "bootsel")
_REMEMBERED = 4


class Refused(ValueError):
    """The sentence that goes back to the host."""


class Commands:
    """Applies commands to the app that owns it."""

    def __init__(self, app):
        self.app = app
        self._recent = []

    def handle(self, text):
        """Apply one command and queue its reply; False when it is no command at all."""
        command = split_command(text)
        if command is None:
            return False
        number, words = command
        verb = words[0]
        for seen, was_ok in self._recent:
            if seen == text and verb not in QUERIES:
                self._reply(number, was_ok, [("dup", "true")])
                return True
        extra, refusal = (), None
        try:
            if len(text) >= MAX_COMMAND:
                raise Refused("a command has at most %d characters" % MAX_COMMAND)
            extra = self._apply(number, verb, words[1:]) or ()
        except ValueError as error:  # Refused and BadSetting
            refusal = error
        self._recent = [(text, refusal is None)] + self._recent[: _REMEMBERED - 1]
        self._reply(number, refusal is None, extra, refusal)
        return True

    def _reply(self, number, ok, extra, refusal=None):
        """``extra`` are keys with values that are JSON already."""
        line = self.app.line.start("r").number("id", number).add("ok", "true" if ok else "false")
        for key, json in extra:
            line.add(key, json)
        if refusal is not None:
            line.text("err", refusal)
        self.app.say(line)

    def _apply(self, number, verb, args):
        """Obey; keys for the reply with their values as JSON, or None."""
        verbs = VERBS
        if verb not in verbs:
            raise Refused("no verb %s; help lists them" % verb)
        if self.app.safe_mode and verb not in ALLOWED_SAFE:
            raise Refused("safe mode after crashes: only %s" % " ".join(ALLOWED_SAFE))
        function, low, high, usage = verbs[verb]
        if not low <= len(args) <= high:
            raise Refused("usage: %s" % usage)
        return function(self.app, number, args)


def _id(app, number, args):
    app.introduce()
    return [("ignored", str(app.reader.ignored)), ("lost", str(app.lost))]


def _get(app, number, args):
    if not args:
        app.send_settings()
        return None
    settings.row_of(args[0])
    return [(args[0], token(args[0], app.values[args[0]]))]


def token(key, value):
    """A setting as JSON."""
    text = settings.show(key, value)
    return '"%s"' % text if settings.row_of(key)[1] == "word" else text


def _set(app, number, args):
    key, text = args
    app.use(settings.changed(app.values, key, text), key)
    app.event_settings("set", key)
    return [(key, token(key, app.values[key]))]


def _rate(app, number, args):
    return _set(app, number, ["rate_ms", args[0]])


def _save(app, number, args):
    try:
        settings.save(app.board, app.values)
    except OSError as error:
        app.event_settings("save_failed")
        raise Refused("the settings could not be saved: %s" % error) from None
    app.event_settings("saved")


def _defaults(app, number, args):
    app.use(settings.defaults(), None)
    app.event_settings("defaults")


def _fan(app, number, args):
    what = args[0]
    if what == "auto" and len(args) == 1:
        app.thermostat.auto()
    elif what == "on":
        seconds = _seconds(args[1], 86400) if len(args) == 2 else None
        app.thermostat.override(1, thermostat.FOREVER if seconds is None else seconds * 1000)
    elif what == "off" and len(args) == 2:
        app.thermostat.override(0, _seconds(args[1], 600) * 1000)
    else:
        raise Refused("usage: fan auto, fan on [s], fan off s")


def _seconds(text, most):
    seconds = settings.parse_int(text)
    if not 1 <= seconds <= most:
        raise Refused("seconds must be 1 to %d, not %s" % (most, text))
    return seconds


def _sync(app, number, args):
    return [("token", quoted(args[0])), ("up_s", app.up_text())]


def _mults(app, number, args):
    if app.counter is not None:
        raise Refused("still counting; wait for its last m line")
    sizes = {"vocab": 0}
    for name, text in zip(mults.NAMES, args):
        if not text.isdigit():
            raise Refused("%s must be a whole number, not %s" % (name, text))
        sizes[name] = int(text)
    app.counter = mults.Counter(sizes)
    app.counter_id = number


def _faults(app, number, args):
    flags = app.flags()
    for row in faults.TABLE:
        if flags & row[0]:
            app.event_fault(row, 1)
    return [("faults", app.flag_names(flags))]


def _clear(app, number, args):
    app.clear()


def _reset(app, number, args):
    app.pending = "reset"


def _bootsel(app, number, args):
    app.pending = "bootsel"


def _help(app, number, args):
    return [("verbs", quoted(" ".join(sorted(VERBS))))]


def _cal(app, number, args):
    """Make the present reading read what a better thermometer says, by R25 or by an offset."""
    what, true_mc = args[0], settings.parse_milli(args[1])
    if app.sampler.faults & faults.SENSOR:
        raise Refused("the sensor has a fault; calibrate on a good reading")
    if what == "offset":
        key = "offset_c"
        value = app.values["offset_c"] + true_mc - app.sampler.temp_mc
    elif what == "r25" and not app.values["model"]:
        key = "r25_ohm"
        value = thermistor.solve_r25_ohm(app.sampler.code_x16, true_mc, app.values)
        if value is None:
            raise Refused("no R25 of 1000 to 100000 ohm reads %s here" % args[1])
    else:
        raise Refused("usage: cal r25 C (model beta), cal offset C")
    return _set(app, number, [key, settings.show(key, value)])


# verb -> function, fewest and most arguments, usage
VERBS = {
    "id": (_id, 0, 0, "id"),
    "get": (_get, 0, 1, "get [key]"),
    "set": (_set, 2, 2, "set key value"),
    "save": (_save, 0, 0, "save"),
    "defaults": (_defaults, 0, 0, "defaults"),
    "fan": (_fan, 1, 2, "fan auto, fan on [s], fan off s"),
    "rate": (_rate, 1, 1, "rate ms"),
    "sync": (_sync, 1, 1, "sync token"),
    "mults": (_mults, 6, 7, "mults L h d_model d_head n_ctx d_ff [vocab]"),
    "faults": (_faults, 0, 0, "faults"),
    "clear": (_clear, 0, 0, "clear"),
    "reset": (_reset, 0, 0, "reset"),
    "bootsel": (_bootsel, 0, 0, "bootsel"),
    "help": (_help, 0, 0, "help"),
    "cal": (_cal, 2, 2, "cal r25 C, cal offset C"),
}
