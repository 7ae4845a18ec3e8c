"""Entry: fan on first, then run; decides what an exception or Ctrl-C means.

``import board`` drives the fan pin on, so it stays the first statement. An exception turns the fan
on, says so, and resets; three in a row start the board in safe mode, and a crash there, or three
hangs, leave a prompt, fan on, for a person to mend it. Ctrl-C turns the fan on and leaves a prompt
that stays. Only when ``import board`` fails does this file touch the pin itself.
"""

try:
    import board

    problem = None
except BaseException as error:
    # board.py is damaged, for another chip, or still in /next after an installation that was cut
    import machine

    machine.Pin(2, machine.Pin.OUT, value=1)
    board = None  # type: ignore[assignment]
    problem = error

import os
import sys

SAFE_AFTER = 3  # crashes in a row
HANGS_IN_SAFE_MODE = 3  # that the watchdog ends before a person is asked to help


def finish_update():
    """Move a complete new firmware from /next into place; True when there was one.

    /next appears in one rename, after every file in it was verified. main.py goes first: it is the
    one file that can finish the rest after a power cut, whatever stood there before.
    """
    try:
        names = os.listdir("/next")
    except OSError:
        return False
    for name in sorted(names, key=lambda name: name != "main.py"):
        os.rename("/next/" + name, "/" + name)
    os.rmdir("/next")
    return True


def speak(error):
    """Send the traceback as log lines; in the worst case as it is."""
    if not board:
        sys.print_exception(error)
        return
    try:
        import io

        import wire

        trace = io.StringIO()
        sys.print_exception(error, trace)
        line = wire.Line()
        for text in trace.getvalue().split("\n"):
            if text:
                line.start("log").text("boot", board.BOOT).text("text", text).end()
                sys.stdout.write(bytes(line.buf[: line.length]).decode())
    except Exception:
        sys.stdout.write(repr(error) + "\n")


def hand_over():
    """Leave the board to a person, even one who presses Ctrl-C twice, as mpremote may."""
    while True:
        try:
            if board:
                board.hand_over()
            return
        except KeyboardInterrupt:
            pass


def start():
    """Finish an update, or run until something ends it."""
    if finish_update():
        import board as installed

        installed.reset()
    if problem:
        raise problem
    import app

    chip = board.Board()
    if chip.crashes >= SAFE_AFTER + HANGS_IN_SAFE_MODE:
        chip.clear_crashes()  # who restarts the board now has a reason to try again
        speak(RuntimeError("it hangs in safe mode too: fan on, and a reset tries again"))
        hand_over()
    else:
        app.run(chip, SAFE_AFTER)


def crashed(error):
    """Cool first, then speak, then restart, unless that was tried often enough."""
    if not board:
        speak(error)
        return  # nothing here can reset the chip, and no watchdog runs: the prompt stays
    board.FAN.value(1)
    speak(error)
    if board.note_crash() > SAFE_AFTER:
        hand_over()
    else:
        board.reset()


def main():
    """Run; a person who presses Ctrl-C gets the board, also from a board that keeps crashing."""
    try:
        try:
            start()
        except Exception as error:
            crashed(error)
    except KeyboardInterrupt:
        hand_over()
        sys.stdout.write("fan on, watchdog off: the board is yours; a reset starts it again\n")


if __name__ == "__main__":
    main()
