"""The loop: every 100 ms read, decide, write the pin, read it back; then talk; then feed the dog.

``control`` is the part that keeps the machine cool; it allocates nothing and waits for nobody.
``talk`` comes after it and is bounded: so many bytes in, so many out, one slice of counting.
"""

import faults
import sampler
import settings
import thermistor
import ticks
from commands import Commands, token
from micropython import const
from sampler import Sampler
from thermostat import STILL_HEATING_MC, Thermostat
from wire import Line, LineReader, Outbox

FIRMWARE = "0.1.0"
PROTOCOL = 1
TICK_MS = const(100)
HELLO_MS = const(60000)
WELL_MS = const(60000)  # after so long without a crash, earlier ones are forgotten
_OUTBOX = const(3072)
_SPARE = const(1024)  # room that samples leave to events and replies
_MOST_IN = const(160)
_MOST_OUT = const(20)  # pieces
_PIECE = const(32)  # bytes between two looks at the host: half of what one USB packet holds
_PORT_HOLDS = const(3)  # samples that may lie in a closed port's buffers, 320 bytes, and be heard
_TERMS = const(4)
_FLUSH_MS = const(500)


class App:
    """The whole board in one object; ``tick`` is its life."""

    def __init__(self, board, safe_after=3):
        self.board = board
        self.safe_mode = board.crashes >= safe_after
        self.line = Line()
        self.outbox = Outbox(_OUTBOX)
        self.reader = LineReader()
        self.commands = Commands(self)
        self._count_from_zero(board.now_ms())
        self.values, problem = self._load()
        part = thermistor.from_settings(self.values)
        self.sampler = Sampler(board.read_code, part, self.values["t_min_c"])
        self.thermostat = Thermostat(self.values, self._last_ms, self.safe_mode)
        self.introduce()
        if problem:
            self._settings_fault = faults.SETTINGS
            self.event_settings("bad", why=problem)

    def _count_from_zero(self, now_ms):
        self.counter = None
        self.counter_id = 0
        self.pending = None
        self.up_s = 0
        self.up_ms = 0
        self.seq = 0
        self.events = 0
        self.drops = 0  # samples without room
        self.lost = 0  # other lines without room
        self._last_ms = now_ms
        self._well_ms = 0
        self._hello_ms = 0
        self._sample_ticks = 1
        self._is_closed = False
        self._unread = 0  # samples in a row that went to a closed port
        self._pending_ms = 0
        self._pin_fault = 0
        self._settings_fault = 0
        self._said_fan = 1
        self._said_flags = 0

    def _load(self):
        if self.safe_mode:
            return settings.defaults(), None
        return settings.load(self.board)

    def run(self):
        """Tick for ever."""
        self.board.start_watchdog()
        due_ms = self.board.now_ms()
        while True:
            self.tick()
            due_ms = ticks.after(due_ms, TICK_MS)
            if ticks.is_past(due_ms, self.board.now_ms()):
                due_ms = self.board.now_ms()  # late: go on from here, do not catch up in a burst
            self.board.sleep_until(due_ms)

    def tick(self):
        """One turn of the loop, in the order that keeps cooling first."""
        now_ms = self.board.now_ms()
        dt_ms = ticks.since(self._last_ms, now_ms)
        self._last_ms = now_ms
        well = self.control(now_ms)
        self._count_time(dt_ms)
        self.talk(dt_ms)
        if well or self.safe_mode:
            self.board.feed()

    def control(self, now_ms):
        """Read, decide, act, verify. True when all four were done; allocates nothing."""
        fresh = self.sampler.read(now_ms)
        found = self.sampler.faults | self._pin_fault | self._settings_fault
        fan = self.thermostat.step(now_ms, self.sampler.temp_mc, found)
        self.board.set_fan(fan)
        self._pin_fault = 0 if self.board.fan_level() == fan else faults.PIN
        return fresh and not self._pin_fault

    def talk(self, dt_ms):
        """Hear the host, tell it what changed, and send what the port will take."""
        # all was sent, and nobody has taken it since the last tick
        self._is_closed = not self.outbox.used and self.board.port_unread()
        self._listen()
        self._report_changes()
        self._hello_ms += dt_ms
        if self._hello_ms >= HELLO_MS:
            self.introduce()
        self._sample_ticks -= 1
        if self._sample_ticks <= 0:
            self._sample_ticks = self.values["rate_ms"] // TICK_MS
            self.send_sample()
        if self.counter is not None:
            self._count(self.counter)
        self._send()
        if self.pending:
            self._restart(dt_ms)

    def flags(self):
        """All faults, as bits."""
        found = self.sampler.faults | self._pin_fault | self._settings_fault
        return self.thermostat.flags(found)

    def use(self, values, key):
        """Take new settings at once; ``key`` says which one changed, None for all."""
        if key is None or settings.needs_table(key):
            self.sampler.use(thermistor.from_settings(values))
            self.thermostat.start_watch()
        self.values = values
        self.sampler.t_min_mc = values["t_min_c"]
        self.thermostat.use(values)

    def clear(self):
        """Forget alarms that a person has seen."""
        self.thermostat.clear()
        self._settings_fault = 0
        self.board.clear_crashes()

    def say(self, line):
        """Queue a line that is no sample."""
        line.end()
        if not self.outbox.put(line):
            self.lost += 1

    def introduce(self):
        """Say who this is: identity, units, settings."""
        board = self.board
        self._hello_ms = 0
        line = self.line.start("hello").number("proto", PROTOCOL).text("fw", FIRMWARE)
        line.text("board", board.name).text("uid", board.uid).text("boot", board.boot)
        line.text("reset", board.reset_cause).number("boots", board.boots)
        line.number("crashes", board.crashes).number("safe", int(self.safe_mode))
        self.say(line.add("up_s", self.up_text()))
        line = self.line.start("units").text("boot", board.boot).text("up_s", "s")
        line.text("temp_c", "degC").text("raw", "12-bit ADC code").text("fan", "1 is on")
        self.say(line.text("drops", "samples not sent"))
        self.send_settings()

    def send_settings(self):
        """All settings, in as many lines as they need."""
        third = (len(settings.KEYS) + 2) // 3
        for part in range(3):
            line = self.line.start("settings").text("boot", self.board.boot)
            line.number("part", part + 1).number("parts", 3)
            for key in settings.KEYS[part * third : (part + 1) * third]:
                line.add(key, token(key, self.values[key]))
            self.say(line)

    def send_sample(self):
        """One sample, or one more drop; ``seq`` counts both."""
        reading = self.sampler
        valid = not reading.faults & faults.SENSOR
        line = self.line.start("t").text("boot", self.board.boot).number("seq", self.seq)
        line.add("up_s", self.up_text()).milli("temp_c", reading.temp_mc if valid else None)
        line.number("raw", reading.raw).number("fan", self.thermostat.fan)
        line.text("mode", self.thermostat.mode).add("flags", self.flag_names(self.flags()))
        line.number("drops", self.drops)
        line.end()
        self.seq += 1
        self._unread = min(self._unread + 1, _PORT_HOLDS + 1) if self._is_closed else 0
        if not self.outbox.put(line, _SPARE) or self._unread > _PORT_HOLDS:
            self.drops += 1

    def up_text(self):
        """Time since boot in seconds, as a decimal."""
        return "%d.%03d" % (self.up_s, self.up_ms)

    def flag_names(self, flags):
        """Fault bits as a JSON list of names."""
        return "[" + ",".join('"%s"' % row[1] for row in faults.TABLE if flags & row[0]) + "]"

    def event(self, name):
        """Open an event line; its number advances also when the line finds no room."""
        line = self.line.start("e").text("boot", self.board.boot).number("n", self.events)
        self.events += 1
        return line.add("up_s", self.up_text()).text("ev", name)

    def event_settings(self, what, key=None, why=None):
        """Settings were changed, saved, reset, or found bad."""
        line = self.event("settings").text("what", what)
        if key:
            line.text("key", key)
        if why:
            line.text("why", why)
        self.say(line)

    def event_fault(self, row, is_set):
        """A fault came or went, with the evidence."""
        bit, name, sensor, unit, in_milli = row
        value, limit = self._evidence(bit)
        line = self.event("fault").text("fault", name).number("set", is_set)
        line.text("sensor", sensor).number("raw", self.sampler.raw)
        add = line.milli if in_milli else line.number
        add("value", value)
        add("limit", limit)
        self.say(line.text("unit", unit))

    def _evidence(self, bit):
        """(value, limit) of a fault, in the unit of its row."""
        reading = self.sampler
        if bit in (faults.OPEN, faults.SHORT):
            low = (bit == faults.OPEN) == reading.thermistor.on_high_side
            return reading.raw, sampler.RAIL_CODES if low else 4095 - sampler.RAIL_CODES
        if bit == faults.RANGE:
            cold = reading.temp_mc < sampler.COLDEST_MC
            return reading.temp_mc, sampler.COLDEST_MC if cold else sampler.HOTTEST_MC
        return {
            faults.COLD: (reading.temp_mc, reading.t_min_mc),
            faults.FAST: (reading.rate_mc_s, sampler.FAST_MC_PER_S),
            faults.FROZEN: (reading.frozen_ms, reading.frozen_limit_ms()),
            faults.NOISY: (reading.spread_codes, sampler.SPREAD_CODES),
            faults.STALE: (reading.age_ms, 0),
            faults.PIN: (self.board.fan_level(), self.thermostat.fan),
            faults.HOT: (reading.temp_mc, self.thermostat.t_max_mc),
            faults.NOCOOL: (self.thermostat.rise_mc, STILL_HEATING_MC),
            faults.SETTINGS: (1, 0),
        }[bit]

    def _report_changes(self):
        state = self.thermostat
        if state.fan != self._said_fan:
            self._said_fan = state.fan
            line = self.event("fan").number("fan", state.fan).text("reason", state.reason)
            valid = not self.sampler.faults & faults.SENSOR
            self.say(line.milli("temp_c", self.sampler.temp_mc if valid else None))
            if self.values["led"]:
                self.board.show(state.fan)
        flags = self.flags()
        changed = flags ^ self._said_flags
        if changed:
            self._said_flags = flags
            for row in faults.TABLE:
                if changed & row[0]:
                    self.event_fault(row, 1 if flags & row[0] else 0)

    def _listen(self):
        for _ in range(_MOST_IN):
            byte = self.board.receive()
            if byte < 0:
                return
            text = self.reader.feed(byte)
            if text is not None:
                if not self.commands.handle(text):
                    self.reader.ignored += 1
                return  # one a tick: a new table alone takes some half a second

    def _send(self):
        """Hand lines to the port, piece by piece: the host may fall asleep between any two."""
        for _ in range(_MOST_OUT):
            if not self.outbox.used or not self.board.host_awake():
                return
            self.outbox.pump(self.board.send, _PIECE)

    def _count(self, counter):
        for _ in range(_TERMS):
            done = counter.step()
            if done is not None:
                form, total = done
                key = "params" if form == "params" else "mults"
                line = self.line.start("m").number("id", self.counter_id).text("form", form)
                self.say(line.number(key, total))
            if counter.done:
                self.counter = None
                return

    def _count_time(self, dt_ms):
        self.up_ms += dt_ms
        self.up_s += self.up_ms // 1000
        self.up_ms %= 1000
        if self._well_ms < WELL_MS:
            self._well_ms += dt_ms
            if self._well_ms >= WELL_MS and not self.safe_mode:
                self.board.clear_crashes()

    def _restart(self, dt_ms):
        """Restart once the reply is out, or after half a second."""
        self._pending_ms += dt_ms
        if self.outbox.used and self._pending_ms < _FLUSH_MS:
            return
        if self.pending == "bootsel":
            self.board.bootloader()
        self.board.restart()


def run(board, safe_after=3):
    """Run the board until an exception."""
    App(board, safe_after).run()
