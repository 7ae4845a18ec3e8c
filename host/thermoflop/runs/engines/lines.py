"""The lines of a program's output, and the numbers in them."""

from __future__ import annotations

import re

MOST_BYTES = 64 << 10  # of the end of an output: results come last
NUMBER = r"(\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)"
_MARKED = re.compile("[:=|│,]").search  # each line that is read has one of these
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")


def lines_of(output: bytes) -> list[str]:
    """The lines of an output's end that may say something, as a terminal leaves them."""
    text = _ESCAPES.sub("", output[-MOST_BYTES:].decode("utf-8", "replace"))
    lines = [line.rpartition("\r")[2].strip() for line in text.replace("\r\n", "\n").split("\n")]
    return [line for line in lines if _MARKED(line)]


def matched(lines: list[str], patterns: dict[str, tuple[str, float]]) -> dict[str, float]:
    """key -> the number in the last line that its expression matches, times the factor."""
    values = {}
    compiled = {key: (re.compile(text), factor) for key, (text, factor) in patterns.items()}
    for line in lines:
        for key, (pattern, factor) in compiled.items():
            if match := pattern.fullmatch(line):
                values[key] = float(match[1]) * factor
    return values


def labelled(label: str) -> str:
    return rf"{label}:\s*{NUMBER}"
