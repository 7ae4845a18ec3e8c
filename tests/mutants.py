"""Takes each rule out of the firmware in turn and shows which tests notice; and wrong formulas.

    python tests/mutants.py            every mutant against the tests that carry its rule's name
    python tests/mutants.py --all      every mutant against the whole firmware suite
    python tests/mutants.py --rule 6   only the mutants of one rule
    python tests/mutants.py --host --n 120 --seed 7
                                       mutants of the model and its cost, drawn with this seed

A mutant is one edit of one firmware file. It is killed when a test fails that passes without it;
the exit code is 0 only when every mutant was killed. Runs on CPython, no board needed.

Mutants of the host are made by rule (``kit.host_mutants``) and run against the tests that import
their module (``kit.campaign``), those marked slow left out; the exit code is 0 when at least 95 %
of them were killed; fewer than 20 show that the campaign works, and nothing of a rate. Survivors
are listed; what the nearest tests do not notice within a minute of the processor is among them.
``--of cost/plan`` draws in that folder only. ``--passed``: the tests were just run without a
mutant, and need not be again. ``--times FILE``: what each test file that passed without a mutant
took is kept there, for the order in which they are asked; those in it are not run so again.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from firmware.cpython_machine import Space
from vm import runner


@dataclass(frozen=True)
class Mutant:
    """One edit: in ``file``, ``old`` (which must be there once) becomes ``new``."""

    rule: int
    file: str
    old: str
    new: str


_CRASHED = """\
        try:
            start()
        except Exception as error:
            crashed(error)
"""
_FORCED = "if (found | self.latched) & faults.LATCHING:"
_CLEAR = "machine.mem32[_WATCHDOG_CTRL_CLEAR] = _WATCHDOG_ENABLE"

MUTANTS = (
    # 1 the fan is on first
    Mutant(1, "board.py", "Pin(2, Pin.OUT, value=1)", "Pin(2, Pin.OUT)"),
    Mutant(1, "board.py", "Pin(2, Pin.OUT, value=1)", "Pin(2, Pin.OUT, value=0)"),
    Mutant(1, "thermostat.py", "self.fan = 1", "self.fan = 0"),
    Mutant(
        1,
        "board.py",
        "from machine import Pin\n",
        "import select\nselect.poll()\nfrom machine import Pin\n",
    ),
    Mutant(1, "board.py", 'if "RP2040" not in os.uname().machine:', "if False:"),
    Mutant(1, "main.py", "    machine.Pin(2, machine.Pin.OUT, value=1)\n", ""),
    Mutant(1, "main.py", "except BaseException as error:", "except ImportError as error:"),
    # 2 off only when all is well
    Mutant(2, "thermostat.py", _FORCED, "if False:"),
    Mutant(2, "thermostat.py", "not self.off_mc < self.on_mc < self.t_max_mc:", "False:"),
    Mutant(2, "thermostat.py", "if found & faults.SETTINGS or not", "if not"),
    Mutant(2, "thermostat.py", "self._override_ms -= dt_ms", "pass"),
    Mutant(2, "thermostat.py", "if forced:", "if forced and not self._override:"),
    Mutant(2, "faults.py", "LATCHING = const(255 | 2048)", "LATCHING = const(127 | 2048)"),
    # 3 a fault acts at once and lets go after 10 s
    Mutant(3, "thermostat.py", "if forced:", "if forced and self._held_ms >= self.min_off_ms:"),
    Mutant(3, "thermostat.py", "if self._good_ms >= GOOD_MS:", "if True:"),
    Mutant(3, "thermostat.py", "if self._good_ms >= GOOD_MS:", "if self._good_ms > GOOD_MS:"),
    Mutant(3, "thermostat.py", "self.latched |= found & faults.LATCHING", "pass"),
    Mutant(
        3, "thermostat.py", "& faults.LATCHING\n            self._good_ms = 0", "& faults.LATCHING"
    ),
    # 4 the maximum temperature outranks commands
    Mutant(3, "faults.py", "LATCHING = const(255 | 2048)", "LATCHING = const(255)"),
    Mutant(3, "faults.py", "SENSOR = const(127 | 2048)", "SENSOR = const(127)"),
    Mutant(3, "sampler.py", "elif self.temp_mc < self.t_min_mc:", "elif False:"),
    Mutant(3, "app.py", '        self.sampler.t_min_mc = values["t_min_c"]\n', ""),
    Mutant(
        3,
        "sampler.py",
        "thermistor = thermistor\n        self._has_last = False",
        "thermistor = thermistor\n        self._forget()",
    ),
    Mutant(4, "thermostat.py", "if temp_mc >= self.t_max_mc:", "if False:"),
    Mutant(
        4,
        "thermostat.py",
        "if self._hot:\n            self.mode",
        "if self._hot and not self._override:\n            self.mode",
    ),
    Mutant(
        4, "thermostat.py", "temp_mc < self.t_max_mc - HOT_HYSTERESIS_MC", "temp_mc < self.t_max_mc"
    ),
    # 5 hysteresis and minimum times, on the clock
    Mutant(5, "thermostat.py", "if temp_mc <= self.off_mc:", "if temp_mc < self.off_mc:"),
    Mutant(5, "thermostat.py", "if temp_mc <= self.off_mc:", "if temp_mc < self.on_mc:"),
    Mutant(5, "thermostat.py", "temp_mc >= self.on_mc and", "temp_mc > self.on_mc and"),
    Mutant(5, "thermostat.py", "if self._held_ms < self.min_on_ms:", "if False:"),
    Mutant(5, "thermostat.py", " and self._held_ms >= self.min_off_ms", ""),
    Mutant(5, "thermostat.py", "self._held_ms + dt_ms", "self._held_ms + 100"),
    # 6 the watchdog is fed by whole ticks only
    Mutant(6, "app.py", "if well or self.safe_mode:", "if True:"),
    Mutant(6, "app.py", "if well or self.safe_mode:", "if False:"),
    Mutant(6, "app.py", "return fresh and not self._pin_fault", "return fresh"),
    Mutant(6, "app.py", "return fresh and not self._pin_fault", "return not self._pin_fault"),
    Mutant(6, "app.py", "faults.PIN\n", "0\n"),
    Mutant(6, "app.py", "self.board.start_watchdog()", "pass"),
    # 7 exceptions: cool, speak, reset; three lead to safe mode
    Mutant(7, "main.py", "board.FAN.value(1)\n    speak(error)", "speak(error)"),
    Mutant(7, "main.py", "(1)\n    speak(error)\n", "(1)\n"),
    Mutant(7, "main.py", "        board.reset()", "        pass"),
    Mutant(7, "main.py", "if board.note_crash() > SAFE_AFTER:", "if False:"),
    Mutant(7, "main.py", "if chip.crashes >= SAFE_AFTER + HANGS_IN_SAFE_MODE:", "if False:"),
    Mutant(7, "main.py", "HANGS_IN_SAFE_MODE = 3", "HANGS_IN_SAFE_MODE = 2"),
    Mutant(7, "main.py", "        chip.clear_crashes()", "        pass"),
    Mutant(7, "app.py", "board.crashes >= safe_after", "False"),
    Mutant(7, "app.py", "if self.safe_mode:\n            return settings.defaults(), None\n", ""),
    Mutant(7, "board.py", "note_crash() if bitten else ", ""),
    Mutant(
        7,
        "app.py",
        "                self.board.clear_crashes()\n\n    def _restart",
        "                pass\n\n    def _restart",
    ),
    Mutant(7, "thermostat.py", "if self.safe_mode:\n", "if False:\n"),
    # 8 Ctrl-C: fan on, a prompt that stays
    Mutant(8, "board.py", "    FAN.value(1)\n    " + _CLEAR, "    " + _CLEAR),
    Mutant(8, "main.py", "except BaseException as error:", "except Exception as error:"),
    Mutant(8, "board.py", "    " + _CLEAR + "\n", ""),
    Mutant(8, "board.py", "    machine.mem32[_SCRATCH_4] = 0\n", ""),
    Mutant(
        8,
        "main.py",
        "crashed(error)\n    except KeyboardInterrupt:",
        "crashed(error)\n    except OSError:",
    ),
    Mutant(
        8,
        "main.py",
        _CRASHED,
        "        start()\n    except Exception as error:\n        crashed(error)\n",
    ),
    Mutant(
        8, "main.py", "return\n        except KeyboardInterrupt:", "return\n        except OSError:"
    ),
    # 9 the host changes nothing
    Mutant(9, "board.py", "for _ in self._out.ipoll(0):", "for _ in (0,):"),
    Mutant(9, "app.py", "for _ in range(_MOST_IN):", "while True:"),
    Mutant(
        9,
        "app.py",
        "self.outbox.pump(self.board.send, _PIECE)",
        "self.outbox.pump(self.board.send, 9999)",
    ),
    Mutant(9, "app.py", "if not self.outbox.used or not self.board.host_awake():", "if False:"),
    Mutant(9, "app.py", "_PIECE = const(32)", "_PIECE = const(64)"),
    Mutant(9, "app.py", "_MOST_OUT = const(20)", "_MOST_OUT = const(21)"),
    Mutant(9, "app.py", "_MOST_OUT = const(20)", "_MOST_OUT = const(19)"),
    Mutant(9, "board.py", "if machine.mem32[_USB_FRAME] != frame:", "if True:"),
    Mutant(
        9, "app.py", "                return  # one a tick", "                pass  # one a tick"
    ),
    # 10 settings: sound, or defaults; saved, or not
    Mutant(10, "settings.py", "if at < 0 or data[at:] != crc_line(data, at):", "if False:"),
    Mutant(10, "settings.py", "files.rename(FILE, BAD)", "pass"),
    Mutant(
        10,
        "settings.py",
        "files.write(NEW, data)",
        "files.write(NEW, data)\n    files.write(FILE, data)",
    ),
    Mutant(10, "settings.py", "if files.read(NEW) != data:", "if False:"),
    Mutant(10, "app.py", '            self.event_settings("bad", why=problem)\n', ""),
    Mutant(10, "app.py", "self._settings_fault = faults.SETTINGS", "pass"),
    Mutant(10, "settings.py", "if files.read(BAD) is None:", "if True:"),
    Mutant(10, "board.py", "file.read(_MOST_READ)", "file.read()"),
    # 11 a fan that does not help
    Mutant(11, "thermostat.py", "self._nocool = True", "pass"),
    Mutant(11, "app.py", "            self.thermostat.start_watch()\n", ""),
    Mutant(
        11,
        "thermostat.py",
        "if self._nocool:\n            self.mode",
        "if False:\n            self.mode",
    ),
    Mutant(11, "thermostat.py", "if self.rise_mc > STILL_HEATING_MC:", "if True:"),
)


def tests_of(rule: int | None) -> list[tuple[Path, str]]:
    """(case file, test) of the tests that carry this rule's name; all of them for None."""
    return [
        (case, name)
        for case in runner.case_files()
        for name in runner.test_names(case)
        if rule is None or name.startswith(f"test_rule_{rule}_")
    ]


def failing(tests: list[tuple[Path, str]], changed: dict[str, Path]) -> Iterator[str]:
    """Names of the tests that fail with some firmware files replaced."""
    files = runner.suite_files() | changed
    for case, name in tests:
        try:
            Space(files).run(case.stem, name)
        except BaseException:  # whatever a broken firmware does
            yield f"{case.stem.removeprefix('case_')}::{name}"


def mutate(mutant: Mutant, folder: Path, number: int) -> dict[str, Path]:
    """The mutated file, ready to take the place of the real one."""
    text = (runner.FIRMWARE / mutant.file).read_text(encoding="utf-8")
    if text.count(mutant.old) != 1:
        raise SystemExit(f"rule {mutant.rule}: {mutant.old!r} is not once in {mutant.file}")
    place = folder / str(number)
    place.mkdir()
    path = place / mutant.file
    path.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
    return {f"/{mutant.file}": path}


def survivors(rule: int | None, everything: bool) -> int:
    """Run the mutants and print what killed each; returns how many live."""
    alive = 0
    chosen = [mutant for mutant in MUTANTS if rule in (None, mutant.rule)]
    with tempfile.TemporaryDirectory() as folder:
        for number, mutant in enumerate(chosen):
            changed = mutate(mutant, Path(folder), number)
            killers = list(failing(tests_of(None if everything else mutant.rule), changed))
            alive += not killers
            verdict = f"{len(killers)} fail, first {killers[0]}" if killers else "SURVIVED"
            print(f"rule {mutant.rule:2}  {mutant.file:14} {mutant.old.strip()[:48]!r}: {verdict}")
    print(f"{len(chosen) - alive} of {len(chosen)} mutants killed")
    return alive


def host_campaign(args: argparse.Namespace) -> int:
    """Run mutants of the host and print what killed each; 0 when 95 % are killed."""
    from kit import campaign, host_mutants

    package = campaign.ROOT / "host" / campaign.PACKAGE
    drawn, of = host_mutants.sample(package, args.n, args.seed, args.of)
    print(f"{len(drawn)} of {of} mutants of the host, seed {args.seed}", flush=True)
    alive, cpu_s, start_s = [], 0.0, time.monotonic()
    times = json.loads(args.times.read_text()) if args.times and args.times.exists() else {}
    for what, outcome in campaign.outcomes(drawn, args.workers, times, passed=args.passed):
        cpu_s += outcome.cpu_s
        if isinstance(what, str):
            if outcome.failed:
                raise SystemExit(f"the unchanged host fails {outcome.failed}")
            times[what] = outcome.cpu_s
            if args.times:
                args.times.write_text(json.dumps(times))
            continue
        verdict = f"killed by {outcome.failed}" if outcome.failed else "SURVIVED"
        print(f"{what}: {verdict} ({outcome.cpu_s:.1f} s)", flush=True)
        alive += [] if outcome.failed else [what]
    killed = len(drawn) - len(alive)
    print("\n".join(["", *(f"survived: {mutant}" for mutant in alive)]))
    took_s = time.monotonic() - start_s
    print(
        f"{killed} of {len(drawn)} mutants killed ({killed / len(drawn):.1%}), seed {args.seed}: "
        f"{cpu_s:.0f} s of processor time, {took_s:.0f} s on {args.workers} workers"
    )
    return int(len(drawn) >= 20 and len(alive) > 0.05 * len(drawn))


def main() -> int:
    parser = argparse.ArgumentParser(description="take each rule out of the firmware in turn")
    parser.add_argument("--all", action="store_true", help="run the whole suite against each")
    parser.add_argument("--rule", type=int, help="only this rule's mutants, 1 to 11")
    parser.add_argument("--host", action="store_true", help="mutants of the model and its cost")
    parser.add_argument("--n", type=int, default=120, help="how many of the host's are drawn")
    parser.add_argument("--of", default="", help="only of modules whose path begins so: cost/plan")
    parser.add_argument("--seed", type=int, default=7, help="what draws them")
    parser.add_argument("--passed", action="store_true", help="the tests pass without a mutant")
    parser.add_argument("--times", type=Path, help="a file of what each test file takes")
    parser.add_argument("--workers", type=int, default=2, help="how many run at once")
    args = parser.parse_args()
    if args.host:
        return host_campaign(args)
    sound = list(failing(tests_of(args.rule if not args.all else None), {}))
    if sound:
        print(f"the unchanged firmware fails {len(sound)} tests, first {sound[0]}")
        return 1
    return 1 if survivors(args.rule, args.all) else 0


if __name__ == "__main__":
    sys.exit(main())
