"""Put the firmware on a board, so that it always holds one version whole: the old or the new.

All changed files go into ``/next.part``; the board hashes them; one rename to ``/next`` commits.
From there main.py's own ``finish_update`` moves them into place, called by this program at once
and, should the cable be pulled, by main.py at the next start. settings.txt is never touched.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar

from thermoflop.errors import BoardError
from thermoflop.pico.firmware import Firmware, FirmwareFile
from thermoflop.pico.lines import LineSplitter
from thermoflop.pico.mpremote import Mpremote, source_of
from thermoflop.pico.ports import Target, is_simulated, open_port
from thermoflop.pico.wire import Hello, decode, encode_command, printable

OLDEST = (1, 22)  # from there on a write to USB says how many bytes it took
WAIT_S = 20.0  # for the hello after a restart that first moves the files
_BLOCK_BYTES = 4096  # of littlefs on the chip: a file takes whole ones
_RESET_QUIET_S = 8.0  # after a failure; to start mpremote alone takes seconds on a busy computer
_ASK_EVERY_S = 2.0  # REPLY_S of the client: one question at a time

OLD_KEPT = "the board keeps its old firmware"
EITHER_KEPT = "the board holds its old firmware or the new one, whole; run flash again"

Progress = Callable[[str], None]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Report:
    """What was done. ``hello`` is the board's after its restart, None if not awaited."""

    port: str
    board: str
    version: str
    copied: tuple[str, ...]
    unchanged: tuple[str, ...]
    copied_bytes: int
    finished_earlier: bool  # an update that had been committed before was still to be moved in
    kept: str | None  # where a program that was not ours went
    hello: Hello | None = None

    def to_json(self) -> dict[str, object]:
        """The report as ``thermoflop flash --json`` prints it."""
        done, hello = asdict(self), self.hello
        del done["hello"]
        return {**done, "running": None if hello is None else {"fw": hello.fw, "boot": hello.boot}}


def flash(
    target: Target,
    firmware: Firmware,
    *,
    dry_run: bool = False,
    wait_s: float | None = WAIT_S,
    progress: Progress = lambda _: None,
) -> Report:
    """Install ``firmware``; with ``dry_run`` only look. Either way the board restarts.

    ``wait_s`` is how long to wait for the board's hello, None for not at all. BoardError says in
    one sentence what went wrong and which firmware the board now holds.
    """
    if is_simulated(target.url):
        raise BoardError(f"{target.url} is a simulated board, which has no flash to write to")
    port = target.find()
    open_port(port).close()  # busy, forbidden, no serial port: said better than mpremote would
    remote = Mpremote(port)
    progress(f"asking the board at {port}")
    try:
        report, changed = _look(remote, firmware, dry_run)
        if changed and not dry_run:
            _install(remote, changed, progress)
    except BaseException:
        with suppress(BoardError):
            Mpremote(port, quiet_s=_RESET_QUIET_S).run("reset")  # its own firmware cools again
        raise
    progress("restarting the board")
    with suppress(BoardError):  # the port may go before mpremote has closed it
        remote.run("reset")
    if wait_s is None or dry_run:
        return report
    return replace(report, hello=await_hello(target, firmware.version, wait_s))


def _look(remote: Mpremote, firmware: Firmware, dry_run: bool) -> tuple[Report, list[FirmwareFile]]:
    """What the board has, and the files that it needs; finishes an update that is committed."""
    board_state = _saying(OLD_KEPT, remote.call, "look", firmware.names)
    _check_board(board_state)
    kept = "main.old.py" if board_state["main"] == "foreign" else None
    pending = bool(board_state["pending"])
    if pending and not dry_run:
        _saying(EITHER_KEPT, remote.call, "apply")
        board_state = _saying(EITHER_KEPT, remote.call, "look", firmware.names)
    changed = [file for file in firmware.files if board_state["files"][file.name] != file.sha256]
    _check_room(board_state, changed)
    names = tuple(file.name for file in changed)
    report = Report(
        port=remote.port,
        board=printable(str(board_state["board"])),
        version=firmware.version,
        copied=names,
        unchanged=tuple(name for name in firmware.names if name not in names),
        copied_bytes=sum(file.n_bytes for file in changed),
        finished_earlier=pending,
        kept=kept,
    )
    return report, changed


def _check_board(board_state: dict[str, Any]) -> None:
    """BoardError unless this is an RP2040 with a MicroPython that is new enough."""
    if board_state["platform"] != "rp2":
        what = printable(f"{board_state['platform']} ({board_state['board']})")
        raise BoardError(
            f"this is MicroPython on {what}, and the firmware is for a Raspberry Pi Pico"
        )
    if "RP2350" in str(board_state["board"]):
        # the watchdog and its scratch registers lie elsewhere: firmware/board.py would write to
        # the clock of the USB (RP2350 datasheet, 2.2 Address Map)
        raise BoardError(
            f"this is {printable(str(board_state['board']))}, and the firmware is for the RP2040 "
            "of a Pico W or Pico"
        )
    if tuple(board_state["version"]) < OLDEST:
        has = ".".join(map(str, board_state["version"]))
        raise BoardError(f"the board has MicroPython {has}, and the firmware needs 1.22 or later")


def _check_room(board_state: dict[str, Any], changed: list[FirmwareFile]) -> None:
    """BoardError unless the new files fit beside the old ones; a folder takes two blocks."""
    blocks = sum(-(-file.n_bytes // _BLOCK_BYTES) for file in changed)
    needed = (blocks + 2) * _BLOCK_BYTES if changed else 0
    if board_state["free"] < needed:
        raise BoardError(
            f"the board's flash is full: the new files need {needed} bytes beside the old ones and "
            f"{board_state['free']} are free; {OLD_KEPT}"
        )


def _install(remote: Mpremote, changed: list[FirmwareFile], progress: Progress) -> None:
    """Stage, verify, commit, move into place."""
    done = 0

    def on_line(line: str) -> None:
        nonlocal done
        if line.startswith("cp ") and done < len(changed):
            done += 1
            progress(f"copying {done} of {len(changed)}: {changed[done - 1].name}")

    paths = [str(file.path) for file in changed]
    copy = ("exec", source_of("prepare"), "+", "fs", "cp", "-f", *paths, ":/next.part/")
    _saying(OLD_KEPT, lambda: remote.run(*copy, on_line=on_line))
    progress("verifying and moving into place")
    expected = {file.name: file.sha256 for file in changed}
    bad = _saying(EITHER_KEPT, remote.call, "install", expected)["bad"]
    if bad:
        raise BoardError(f"{', '.join(bad)} arrived damaged on the board; {OLD_KEPT}")


def _saying(state: str, function: Callable[..., T], *args: object) -> T:
    """Call; on a failure add to its sentence which firmware the board is left with."""
    try:
        return function(*args)
    except BoardError as error:
        raise BoardError(f"{error}; {state}") from error


def await_hello(target: Target, version: str, wait_s: float) -> Hello:
    """The hello of a board that has just restarted; BoardError when none of this version comes."""
    deadline = time.monotonic() + wait_s
    last: Hello | None = None
    while time.monotonic() < deadline:
        with suppress(BoardError, OSError):  # the port comes and goes while the board restarts
            last = _listen(target.find(), deadline) or last
        if last is not None and last.fw == version:
            return last
        time.sleep(0.1)
    if last is not None:
        raise BoardError(
            f"the board runs firmware {printable(last.fw)} after the update to {version}; "
            "run flash again"
        )
    raise BoardError(
        f"the new firmware is on the board, and within {wait_s:g} s nothing was heard from it; "
        "unplug it, plug it in again and try `thermoflop watch`"
    )


def _listen(url: str, deadline: float) -> Hello | None:
    """Ask for a hello until it comes; None at the deadline, OSError when the port goes."""
    port = open_port(url)
    try:
        splitter = LineSplitter()
        ask_at = time.monotonic() + 0.5
        while time.monotonic() < deadline:
            for line in splitter.feed(port.read(max(port.in_waiting, 1))):
                message = decode(line) if isinstance(line, bytes) else None
                if isinstance(message, Hello):
                    return message
            if time.monotonic() >= ask_at:
                port.write(encode_command(0, "id"))
                ask_at += _ASK_EVERY_S
            time.sleep(0.02)
        return None
    finally:
        port.close()
