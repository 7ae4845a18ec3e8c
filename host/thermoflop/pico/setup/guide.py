"""The guide through a first board: each step looks, says what there is, asks, and does one thing.

Nothing is left half done, wherever it is ended: the firmware is old or new, a setting made for the
test alone is taken back, and the boot loader in the chip's ROM takes a .uf2 as often as it likes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from thermoflop.errors import BoardError, InputError, ThermoflopError, UsageError
from thermoflop.pico import firmware
from thermoflop.pico.client import say
from thermoflop.pico.flash import WAIT_S, Report, flash
from thermoflop.pico.link import Link
from thermoflop.pico.ports import Target, is_simulated
from thermoflop.pico.setup import search
from thermoflop.pico.setup.boot_disk import (
    DOWNLOAD,
    PAGES,
    BootDisk,
    check_uf2,
    copy_uf2,
    read_disk,
)
from thermoflop.pico.setup.finger import DONE, HOLD, LET_GO, Fault, Figures, FingerTest
from thermoflop.pico.track import BoardLine
from thermoflop.pico.wire import Sample, printable

SILENCE_S = 5.0
LOOK_AGAIN_S = 1.0
STEPS = 4


class Talk(Protocol):
    """Who is guided: a person at a terminal, or nobody."""

    def tell(self, text: str) -> None:
        """Say something that stays."""

    def show(self, text: str) -> None:
        """Say something that the next replaces; empty: take it away."""

    def draw(self) -> None:
        """Show the wiring."""

    def agree(self, question: str) -> bool:
        """Whether a question is answered with yes."""

    def wait_for(self, question: str) -> str:
        """Wait until somebody has done something; what was typed, stripped."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be set up, as the options of the command say it; times are seconds."""

    port: str | None = None
    uf2: Path | None = None
    disk: Path | None = None
    wait_s: float = 60.0
    unasked: bool = False  # nobody answers: what has to be done by hand is only waited for


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it ended; ``fault`` is None where the finger test was passed."""

    port: str
    flashed: Report | None
    figures: Figures
    fault: Fault | None

    def to_json(self) -> dict[str, object]:
        """The outcome as ``thermoflop setup --json`` prints it."""
        return {
            "passed": self.fault is None,
            "port": self.port,
            "flashed": None if self.flashed is None else self.flashed.to_json(),
            **asdict(self.figures),
            "fault": None if self.fault is None else asdict(self.fault),
        }


def set_up(request: Request, talk: Talk) -> Outcome:
    """Guide from whatever is plugged in to a finger test that is passed, or to a named fault.

    InputError for a .uf2 file that is none, BoardError where there is no board to go on with.
    """
    data = None if request.uf2 is None else check_uf2(request.uf2)
    if request.disk is not None and read_disk(request.disk) is None:
        raise InputError(f"{request.disk} is no boot loader's disk: it has no INFO_UF2.TXT")
    with _playing(request) as (port, touch):
        request = replace(request, port=port)
        talk.tell(_head(1, "the board"))
        now = _find(request, data, talk)
        talk.tell(_head(2, "the wiring"))
        if _wire(request, talk):
            now = _find(request, None, talk)
        talk.tell(_head(3, "the firmware"))
        report = _flash(now, talk)
        talk.tell(_head(4, "the finger test"))
        target = _target(now)
        figures, fault = _test(target, talk, touch, unasked=request.unasked)
        if fault is not None and fault.name == "swapped" and _turned(target, talk):
            figures, fault = _test(target, talk, touch, unasked=request.unasked)
    return Outcome(printable(target.url), report, figures, fault)


def _head(step: int, what: str) -> str:
    return f"{step} of {STEPS}  {what}"


def _target(now: search.Situation) -> Target:
    assert now.target is not None  # noqa: S101  # _find returns no other
    return now.target


def _find(request: Request, data: bytes | None, talk: Talk) -> search.Situation:
    """A board with a serial port; one in BOOTSEL is given MicroPython first."""
    disks = None if request.disk is None else [request.disk]
    end_s = time.monotonic() + request.wait_s
    told, is_given = "", False
    while True:
        now = search.look(request.port, disks)
        if now.text != told:
            talk.tell(f"        {now.text}")
            if now.kind == search.NONE or (now.kind == search.BOOT and now.disk is None):
                talk.tell(f"        {now.remedy if now.kind == search.BOOT else _PLUG}")
            told = now.text
        if now.kind in (search.RUNS, search.OLD, search.BARE):
            return now
        if now.kind == search.WRONG:
            raise BoardError(f"{now.text}: {now.remedy}")
        if now.kind == search.BOOT and now.disk is not None and not is_given:
            is_given = _give(data, now.disk, request, talk)
            end_s = time.monotonic() + request.wait_s
        if time.monotonic() > end_s:
            remedy = now.remedy or "pull the cable, and plug it in without the button"
            raise BoardError(f"no board within {request.wait_s:g} s ({now.text}): {remedy}")
        time.sleep(LOOK_AGAIN_S)


_PLUG = "plug the Pico in, a new one while its BOOTSEL button is held"


def _give(data: bytes | None, disk: BootDisk, request: Request, talk: Talk) -> bool:
    """Put MicroPython onto the chip; whether it was, or somebody else does it."""
    if data is None:
        for board, page in PAGES.items():
            talk.tell(f"        {board}: download {page}-....uf2 from {DOWNLOAD}{page}")
        if request.unasked:
            raise UsageError("a board in BOOTSEL needs MicroPython: name its file with --uf2")
        typed = talk.wait_for("        Its path (or drop it on the disk yourself): ").strip("'\"")
        if not typed:
            return True
        try:
            data = check_uf2(Path(typed).expanduser())
        except ThermoflopError as error:
            talk.tell(f"        {error}")
            return False
    talk.show("        copying MicroPython; leave the cable where it is")
    copy_uf2(data, disk)
    talk.show("")
    talk.tell("        MicroPython is on it, and the board restarts")
    return True


def _wire(request: Request, talk: Talk) -> bool:
    """Show the wiring; whether the board was unplugged for it."""
    talk.draw()
    if request.unasked or is_simulated(request.port or ""):
        return False
    talk.wait_for("        Pull the cable, wire it so, plug it in again; then press Enter: ")
    return True


def _flash(now: search.Situation, talk: Talk) -> Report | None:
    """Put the firmware on a board that lacks it; the report of that, None if nothing was done."""
    target = _target(now)
    if now.kind == search.RUNS or is_simulated(target.url):
        talk.tell("        is up to date")
        return None
    question = "        Put the firmware on it? A main.py of yours is kept as main.old.py. [Y/n] "
    if not talk.agree(question):
        raise BoardError("the board was left as it is; `thermoflop setup` goes on another time")
    try:
        report = flash(target, firmware.load(), wait_s=WAIT_S, progress=talk.show)
    finally:
        talk.show("")
    talk.tell(f"        {report.board} runs firmware {report.version}")
    return report


def _turned(target: Target, talk: Talk) -> bool:
    """Tell the board that thermistor and resistor stand the other way round, if that is agreed."""
    question = "        They may stay so. Tell the board, and test again? [Y/n] "
    if not talk.agree(question):
        return False
    with Link(target) as link:
        side = "low" if _settings(link).get("side", "high") == "high" else "high"
        say(link, "set", ("side", side))
        say(link, "save")
    talk.tell(f"        side is {side} now, and saved")
    return True


def _settings(link: Link) -> Mapping[str, Any]:
    say(link, "id")
    return dict(link.tracker.board.settings)


def _test(
    target: Target, talk: Talk, touch: Callable[[], None], *, unasked: bool
) -> tuple[Figures, Fault | None]:
    """The finger test on a board that runs the firmware."""
    with Link(target) as link:
        test = FingerTest(_settings(link))
        _feed(test, link, talk, lambda: not test.is_resting)
        if test.fault is None:
            rest_c = test.figures.rest_c
            talk.tell(f"        at rest {rest_c:.1f} °C")
            with _thresholds(test, link, talk) as settings:
                test.await_off(settings)
                _feed(test, link, talk, lambda: test.stage != HOLD)
                fault = test.fault or _by_hand(test, link, talk, touch, not unasked)
                return test.figures, fault
    return test.figures, test.fault


def _by_hand(
    test: FingerTest, link: Link, talk: Talk, touch: Callable[[], None], asks: bool
) -> Fault | None:
    """Hold, and let go; between them a look at what the pin drives."""
    talk.tell("        the fan is off. Hold the thermistor between two fingers, until it starts.")
    touch()
    test.held()
    _feed(test, link, talk, lambda: test.stage == HOLD)
    if test.fault is not None:
        return test.fault
    figures = test.figures
    talk.tell(
        f"        {figures.on_c:.1f} °C after {figures.on_after_s:.1f} s: the board starts the fan"
    )
    turns = not asks or talk.agree("        Does the fan turn, or the LED light? [Y/n] ")
    talk.tell("        Let go.")
    _feed(test, link, talk, lambda: test.stage == LET_GO)
    if test.fault is not None:
        return test.fault
    talk.tell(
        f"        {figures.off_c:.1f} °C after {figures.off_after_s:.1f} s: the board stops it"
    )
    stops = not asks or talk.agree("        Is it off now? [Y/n] ")
    return fan_fault(turns, stops)


def fan_fault(turns: bool, stops: bool) -> Fault | None:
    """What is wrong behind GPIO2, from what a person saw: whether it ran when on, rested when off.

    The board reads its own pin back, so the pin itself is right.
    """
    led = "an LED's long leg faces the 330 ohm"
    if turns and stops:
        return None
    if turns:
        return Fault("fan never stops", "the fan runs although pin 4 is low",
                     "pin 4 must lead to the gate of the MOSFET, and its drain to the fan; "
                     "an LED goes to pin 3 (GND) and not to 3V3")  # fmt: skip
    if stops:
        return Fault("fan does not run", "pin 4 is high, and neither fan nor LED says so",
                     f"see pins 3 and 4 of the drawing: {led}; a fan needs its own supply (VBUS) "
                     "and a logic-level MOSFET")  # fmt: skip
    return Fault("fan inverted", "it runs while pin 4 is low, and rests while it is high",
                 "the LED hangs between pin 4 and 3V3: lead it to pin 3 (GND); a fan is switched "
                 "by an N-channel MOSFET")  # fmt: skip


def _feed(test: FingerTest, link: Link, talk: Talk, goes_on: Callable[[], bool]) -> None:
    """Give the test what the board says while that is wanted; BoardError when it falls silent."""
    heard_s = time.monotonic()
    while goes_on() and test.stage != DONE:
        for item in link.inbox.take():
            if isinstance(item, BoardLine) and isinstance(item.message, Sample):
                heard_s = time.monotonic()
                if goes_on():
                    test.feed(item.message)
        if link.gone:
            raise BoardError(f"the port went away for good: {link.gone}")
        if time.monotonic() - heard_s > SILENCE_S:
            raise BoardError(link.silence(SILENCE_S) if link.tracker.boot is None else
                             "the board fell silent: is the cable still in?")  # fmt: skip
        if test.temp_c is not None:
            talk.show(f"        {test.temp_c:6.2f} °C  {test.stage}  {test.seconds:.0f} s")
        time.sleep(0.05)
    talk.show("")


@contextmanager
def _thresholds(test: FingerTest, link: Link, talk: Talk) -> Iterator[Mapping[str, Any]]:
    """The board with thresholds that a finger reaches; those it had come back, whatever happens."""
    old = dict(test.settings)
    new = test.thresholds()
    if not new or not new.keys() <= old.keys():
        yield old
        return
    talk.tell(f"        for the test alone the fan starts at {new['on_c']} °C, not {old['on_c']}")
    try:
        _set_all(link, new, old)
        yield {**old, **new}
    finally:
        with suppress(BoardError):  # a board that went away has forgotten them: nothing was saved
            _set_all(link, {key: old[key] for key in new}, {**old, **new})


def _set_all(link: Link, values: Mapping[str, Any], old: Mapping[str, Any]) -> None:
    """Set values one by one, the thresholds in the order in which off_c stays below on_c."""
    first = "on_c" if values["on_c"] > old["off_c"] else "off_c"
    for key in sorted(values, key=lambda key: key != first):
        say(link, "set", (key, str(values[key])))


@contextmanager
def _playing(request: Request) -> Iterator[tuple[str | None, Callable[[], None]]]:
    """The port, and what puts a finger on: on a real board nothing, on a simulated one a touch.

    A simulated board without heat of its own is kept as one board for the whole guide.
    """
    if not is_simulated(request.port or ""):
        yield request.port, lambda: None
        return
    from thermoflop.pico.simulated import registry
    from thermoflop.pico.simulated.board import SimulatedBoard
    from thermoflop.pico.simulated.options import for_a_finger, parse_url

    name, options = parse_url(str(request.port))
    if name:
        yield request.port, lambda: None
        return
    board = SimulatedBoard(for_a_finger(options))
    played = not options.fingers
    url = registry.put("setup", board)
    try:
        yield url, lambda: board.world.touch(FINGER_TOUCH_S) if played else None
    finally:
        registry.remove("setup")


FINGER_TOUCH_S = 12.0
