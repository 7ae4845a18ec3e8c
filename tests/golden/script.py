"""A life of the board with everything in it, the same on CPython and on the MicroPython VM.

Three boots and more than 2,000 ticks: a bad settings file, heat and cold, every sensor fault, a
stuck pin, a host that stalls, floods, echoes and asks, a save, a reset, a crash. All of it follows
from the clock and one integer generator; the transcript is what the board sent.
"""

import rig

# ms since power on, what happens: "code N", "slope N" (codes a second), a command, or a mishap
SCRIPT = (
    (0, "code 1900"),
    (1000, "!1 id"),
    (3000, "!2 get"),
    (4000, "!17 clear"),
    (6000, "slope 30"),
    (16000, "slope 0"),
    (20000, "slope -40"),
    (30000, "slope 0"),
    (30500, "!3 mults 96 96 12288 128 2048 49152 50257"),
    (32000, "!4 set on_c 27.5"),
    (32500, "!5 set off_c 26.25"),
    (33000, "!5 set off_c 26.25"),
    (33500, "!6 set on_c 20"),
    (34000, "!7 dance"),
    (35000, "code 3"),
    (36000, "code 1950"),
    (48000, "code 4090"),
    (48300, "code 1950"),
    (60000, "code 60"),
    (60500, "code 1950"),
    (72000, "noise 60"),
    (73000, "noise 1"),
    (85000, "noise 0"),
    (147000, "noise 1"),
    (149000, "!8 faults"),
    (158000, "dead 1"),
    (160000, "dead 0"),
    (172000, "stuck 1"),
    (173000, "stuck -1"),
    (174000, "!9 save"),
    (175000, "!10 fan off 20"),
    (176000, "slope 100"),
    (192000, "slope -100"),
    (205000, "slope 0"),
    (205100, "room 0"),
    (212000, "room -1"),
    (213000, "echo"),
    (214000, "garbage"),
    (215000, "!11 cal offset 25"),
    (216000, "!12 defaults"),
    (217000, "!13 rate 500"),
    (219000, "!14 reset"),
    (225000, "!15 get on_c"),
    (226000, "crash"),
    (229000, "!16 sync end"),
)
END_MS = 232000


class Life(rig.Bench):
    """A bench that plays SCRIPT while time passes."""

    def __init__(self):
        super().__init__()
        self.slope = 0
        self.code_milli = 1900000
        self.ticks_done = 0
        self.todo = list(SCRIPT)
        self.crashing = False
        self.flash.files["/settings.txt"] = b"on_c 1.000\ncrc 0000\n"

    def advance(self, ms):
        self.ticks_done += 1
        self.code_milli = min(max(self.code_milli + self.slope * ms, 0), 4095000)
        self.code = self.code_milli // 1000
        while self.todo and self.todo[0][0] <= self.now_ms:
            self.happen(self.todo.pop(0)[1])
        super().advance(ms)

    def happen(self, what):
        if what.startswith("!"):
            self.say(what)
            return
        word, _, text = what.partition(" ")
        number = int(text or "0")
        if word == "code":
            self.code_milli = number * 1000
        elif word == "slope":
            self.slope = number
        elif word == "noise":
            self.noise = number
        elif word == "dead":
            self.adc_fails = bool(number)
        elif word == "stuck":
            self.stuck_pin = None if number < 0 else number
        elif word == "room":
            self.room = None if number < 0 else number
        elif word == "echo":
            self.inbox.extend(bytes(self.outbox[-500:]))
        elif word == "garbage":
            self.inbox.extend(b"\x00\xff!9\xff id\r\n" + b"x" * 300 + b"\n")
        elif word == "crash":
            self.crashing = True

    def read_code(self, channel):
        if self.crashing:
            self.crashing = False
            raise ValueError("a crash in the script")
        return super().read_code(channel)


def play():
    """Run the script; returns (transcript, ticks, how each boot ended)."""
    life = Life()
    life.stop_ms = END_MS
    ends = []
    while not ends or ends[-1] != "stop":
        ends.append(life.boot())
    return bytes(life.outbox), life.ticks_done, ends


def test_play():
    transcript, ticks, ends = play()
    print(transcript.decode(), end="")
    assert ticks >= 2000, ticks
    assert ends == ["reset", "reset", "stop"], ends
