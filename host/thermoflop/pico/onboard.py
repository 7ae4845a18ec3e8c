"""The part of ``thermoflop flash`` that runs on the board: sent as text through the raw REPL.

Written in the subset of Python that MicroPython runs, and free of anything that an older one
lacks. Each function returns what the host wants to know. What puts a staged firmware into place is
not here: that is ``finish_update`` of the firmware's own main.py.
"""

# mypy: ignore-errors
# ruff: noqa: PTH102, PTH104, PTH106, PTH107, PTH123, PTH208, SIM115
# the chip has neither types nor pathlib

import gc
import hashlib
import os
import sys
from binascii import hexlify

STAGED = "/next.part"
COMMITTED = "/next"
KEPT = "/main.old.py"
MARK = b"def finish_update("


def is_folder(path):
    """Whether there is a folder of this name."""
    try:
        os.listdir(path)
    except OSError:
        return False
    return True


def digest(path):
    """SHA-256 of a file in hex digits, read in small pieces; empty when there is no such file."""
    sha = hashlib.sha256()
    try:
        file = open(path, "rb")
    except OSError:
        return ""
    while True:
        piece = file.read(512)
        if not piece:
            break
        sha.update(piece)
    file.close()
    return hexlify(sha.digest()).decode()


def look(names):
    """What board this is, what it holds of these files, and how much room it has (bytes)."""
    gc.collect()
    room = os.statvfs("/")
    return {
        "platform": sys.platform,
        "version": list(sys.implementation[1])[:3],
        "board": os.uname().machine,
        "free": room[0] * room[3],
        "pending": is_folder(COMMITTED),
        "main": whose("/main.py"),
        "files": {name: digest("/" + name) for name in names},
    }


def whose(path):
    """ours, foreign (a program that cannot finish an update) or none."""
    try:
        file = open(path, "rb")
    except OSError:
        return "none"
    text = file.read(8192)  # ours is shorter
    file.close()
    return "ours" if MARK in text else "foreign"


def prepare():
    """An empty folder for the new files, whatever an earlier attempt has left there."""
    if is_folder(STAGED):
        clear()
    os.mkdir(STAGED)


def clear():
    """Remove the staged files and their folder."""
    for name in os.listdir(STAGED):
        os.remove(STAGED + "/" + name)
    os.rmdir(STAGED)


def install(expected):
    """Commit to the staged files and put them into place, or return the names of damaged ones."""
    bad = commit(expected)
    if not bad:
        apply()
    return {"bad": bad}


def commit(expected):
    """Compare every staged file with its hash; when all agree, commit to them in one step.

    Returns the names that differ. A program that is not ours is copied aside before it goes.
    """
    staged = {name: digest(STAGED + "/" + name) for name in os.listdir(STAGED)}
    names = set(expected) | set(staged)
    bad = sorted(name for name in names if staged.get(name) != expected.get(name))
    if not bad:
        if whose("/main.py") == "foreign":
            keep("/main.py")
        os.rename(STAGED, COMMITTED)
    return bad


def keep(path):
    """Copy a file aside."""
    file = open(path, "rb")
    copy = open(KEPT, "wb")
    while True:
        piece = file.read(512)
        if not piece:
            break
        copy.write(piece)
    copy.close()
    file.close()


def apply():
    """Let the newest main.py on the board put the committed files into place."""
    gc.collect()
    sys.path.insert(0, COMMITTED)
    sys.modules.pop("main", None)
    import main

    main.finish_update()
    return {}
