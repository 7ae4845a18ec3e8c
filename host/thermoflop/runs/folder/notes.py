"""What a user writes about a run: a text file of its own in the run's folder, beside the evidence.

``note.txt`` is replaced whole; samples and facts of the run are never opened for writing.
"""

from __future__ import annotations

from pathlib import Path

from thermoflop.base.files import read_bytes, write_text
from thermoflop.errors import InputError

NOTE = "note.txt"
MAX_LETTERS = 2000
_MOST_BYTES = 4 * MAX_LETTERS


def read_note(folder: Path) -> str:
    """The note of a run; "" where there is none, or what lies there is no text of ours."""
    try:
        data = read_bytes(str(folder / NOTE), "a note", _MOST_BYTES, links=False)
    except InputError:
        return ""
    return _tidy(data.decode("utf-8", "replace"))


def write_note(folder: Path, text: str) -> str:
    """Keep a note, in place of the one before; an empty one takes it away.

    Returns:
        What is kept: without control characters, ends trimmed.

    Raises:
        InputError: more than ``MAX_LETTERS``.
        StorageError: the folder cannot be written to.
    """
    note = _tidy(text)
    if len(note) > MAX_LETTERS:
        raise InputError(f"a note has at most {MAX_LETTERS} letters, and this has {len(note)}")
    if note or (folder / NOTE).is_file():
        write_text(str(folder / NOTE), f"{note}\n" if note else "")
    return note


def _tidy(text: str) -> str:
    """Lines of what can be printed; half of a surrogate pair is no letter."""
    lines = text.replace("\r\n", "\n").split("\n")
    kept = ("".join(c if c.isprintable() else " " for c in line).rstrip() for line in lines)
    return "\n".join(kept).strip()
