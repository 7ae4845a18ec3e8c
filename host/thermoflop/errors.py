"""What can go wrong, as one tree; each class carries the exit code of the command line.

::

    ThermoflopError          1   anything below, and a check that found a difference
    ├── UsageError           2   an option, or a value that it cannot have: one of few, a number
    ├── InputError           3   a name that nothing has (device, profile, run), or a file that is
    │   │                        not there or not what it should be
    │   └── UnknownModel     3   a model, a family or a key that is not understood
    ├── BoardError           4   a port is missing, busy, or not a board
    │   └── BoardRefused     5   the board answered, and said no
    ├── StorageError         6   a file or folder cannot be written: there is no such folder,
    │                            no permission, or the disk is full, read-only or gone
    ├── MissingExtra         7   an optional library is not installed
    ├── CommandNotRunnable 126   the command to be wrapped cannot be executed
    └── CommandNotFound    127   there is no such command

A wrapped command that ran passes its own exit code through, 128+n when signal n ended it.

The message is one sentence that names the value and what was expected. The command line prints it
without a traceback.
"""

from __future__ import annotations


def printable(text: str) -> str:
    """The text with escapes for what would steer a terminal; the ends of lines are left."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)


class ThermoflopError(Exception):
    """Base of every error that this package raises on purpose.

    ``sentence`` is what it says, ``also`` what follows for who can read files and give options: a
    page can neither. Both are safe for a terminal: what they quote may come from anybody's file.
    """

    exit_code = 1

    def __init__(self, sentence: str = "", also: str = "") -> None:
        super().__init__(sentence + also)
        self.sentence = printable(sentence)

    def __str__(self) -> str:
        return printable(super().__str__())


class UsageError(ThermoflopError):
    """An option of the command line, or an argument of a function, is not a value it can have."""

    exit_code = 2


class InputError(ThermoflopError):
    """A name stands for nothing that is known; a file, or a value in it, is not what it should."""

    exit_code = 3


class UnknownModel(InputError):
    """A model name, a model family or a configuration key that is not understood.

    ``fitting`` is a known family that has exactly the keys of an unknown one, "" where none has.
    """

    fitting = ""


class BoardError(ThermoflopError):
    """A port is missing, busy, or does not lead to a board that speaks the protocol."""

    exit_code = 4


class BoardRefused(BoardError):
    """The board answered a command with a refusal."""

    exit_code = 5


class StorageError(ThermoflopError):
    """A file, or the folder of a run, cannot be created or written."""

    exit_code = 6


class MissingExtra(ThermoflopError):
    """An optional library is needed and not installed."""

    exit_code = 7


class CommandNotRunnable(ThermoflopError):
    """The command to be wrapped is there and cannot be executed; the exit code is a shell's."""

    exit_code = 126


class CommandNotFound(ThermoflopError):
    """There is no such command; the exit code is a shell's."""

    exit_code = 127
