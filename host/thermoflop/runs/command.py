"""What a run ran, in the words of whoever started it."""

from __future__ import annotations

import shlex
from typing import Any

WAIT = "thermoflop.web.live.wait"  # what a recording of the page runs: it waits to be stopped
_OURS = ["-P", "-m"]  # after the interpreter, where the program starts one of its own modules


def command_text(argv: Any) -> str:
    """A recorded command as it is typed; of what the page started, what was chosen there.

    Args:
        argv: ``command`` of a run.json, where anything may stand.

    Returns:
        One line, "" where there is no command.

    Example:
        >>> command_text(["python", "bench.py", "--name", "a b"])
        "python bench.py --name 'a b'"
        >>> command_text(["/bin/python3", "-P", "-m", "thermoflop.web.live.wait", "30"])
        'recorded from the page for 30 s'
    """
    if not isinstance(argv, list):
        return "" if argv is None else str(argv)
    words = [str(word) for word in argv]
    if words[1:4] == [*_OURS, "thermoflop"]:
        return shlex.join(words[3:])
    if words[1:4] != [*_OURS, WAIT]:
        return shlex.join(words)
    seconds, *meanwhile = words[4:] or [""]
    span = f"for {seconds} s" if seconds else "until it was stopped"
    more = f", meanwhile: {command_text(meanwhile)}" if meanwhile else ""
    return f"recorded from the page {span}{more}"
