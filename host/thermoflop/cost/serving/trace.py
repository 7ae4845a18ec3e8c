"""Recorded requests from a file, as people have them: CSV, JSON lines or a JSON list.

Columns are found by name, whatever their case and the signs in them: those of published traces
(Azure's LLM inference, BurstGPT, Mooncake, Vidur's of Splitwise) and of logs in OpenAI's words,
where ``usage`` may be an object. A time is seconds, or what its name or size says, or a date.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from thermoflop.base.messages import reason
from thermoflop.base.record import record
from thermoflop.errors import InputError

TIMES = (
    "timestamp", "arrival", "arrivals", "arrivaltime", "arrivedat", "arrivaltimestamp", "time",
    "createdat", "created", "datetime", "date", "requesttime", "starttime", "start", "ts",
)  # fmt: skip
PROMPTS = (
    "inputlength", "contexttokens", "requesttokens", "prompt", "prompttokens", "inputtokens",
    "numprefilltokens", "promptlength", "promptlen", "inputlen", "inputsequencelength", "isl",
    "numprompttokens", "numinputtokens", "input",
)  # fmt: skip
OUTPUTS = (
    "outputlength", "generatedtokens", "responsetokens", "generate", "completiontokens",
    "outputtokens", "numdecodetokens", "generationtokens", "responselength", "outputlen",
    "responselen", "outputsequencelength", "osl", "numoutputtokens", "numgeneratedtokens", "output",
)  # fmt: skip
UNITS = {"s": 1.0, "sec": 1.0, "seconds": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
# Mooncake's trace counts milliseconds under a name that others count seconds under.
MOONCAKE = ("timestamp", "input_length", "output_length")
# Seconds since 1970 are ten digits until 2286; thirteen, sixteen and nineteen are finer ones.
EPOCHS = ((1e17, 1e-9), (1e14, 1e-6), (1e11, 1e-3))
MOST_REQUESTS = 20_000_000
EXPECTED = (
    "a CSV with a header, JSON lines or a JSON list, with a time such as arrival_s or timestamp, a "
    "number of tokens such as prompt or input_tokens, and one such as generate or output_tokens"
)


@record
class Trace:
    """Recorded requests in order of arrival: seconds (none where the file has no time), prompt
    tokens, output tokens."""

    arrivals_s: list[float]
    prompts: list[int]
    outputs: list[int]


@record
class _Columns:
    """The names of a file's columns, and what a unit of its time is in seconds."""

    time: str | None
    prompt: str
    output: str
    unit_s: float


def read_trace(path: str) -> Trace:
    """Requests from a file. InputError for what is no trace."""
    from pathlib import Path

    requests, columns = [], None
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            for number, row in enumerate(_rows(file, path), 1):
                if number > MOST_REQUESTS:
                    raise InputError(f"{path} has more than {MOST_REQUESTS:,} requests")
                columns = columns or _columns(row, path)
                requests.append(_request(row, columns, path, number))
    except (OSError, TypeError, ValueError) as error:
        raise InputError(f"{path!s:.100} cannot be read as a trace: {reason(error)}") from error
    if len(requests) < 2:
        raise InputError(
            f"{path} holds {len(requests)} requests: expected at least 2, in {EXPECTED}"
        )
    requests.sort()
    start = requests[0][0]
    timed = columns is not None and columns.time is not None
    arrivals = [arrival - start for arrival, _, _ in requests] if timed else []
    return Trace(
        arrivals, [prompt for _, prompt, _ in requests], [output for _, _, output in requests]
    )


def _rows(file: Any, path: str) -> Iterator[dict[str, Any]]:
    """The requests of a file as dictionaries, one by one, without those that are empty."""
    import json

    first = next(filter(str.strip, file), "")
    file.seek(0)
    if first.lstrip().startswith("["):
        try:
            yield from (_flat(each, path, n) for n, each in enumerate(json.load(file), 1))
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path} is no JSON list ({error!s:.60})") from error
        return
    if not first.lstrip().startswith("{"):
        yield from _table(file, first, path)
        return
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path}, line {number}: no JSON object ({error!s:.60})") from error
        yield _flat(row, path, number)


def _table(file: Any, header: str, path: str) -> Iterator[dict[str, Any]]:
    """The rows of a CSV, whose header says what divides its columns."""
    import csv

    divider = max(",;\t|", key=header.count)
    lines = (line for line in file if line.strip())
    try:
        for row in csv.DictReader(lines, delimiter=divider):
            if any(value for value in row.values()):
                yield row
    except csv.Error as error:
        raise InputError(f"{path} is no trace: {error}") from error


def _flat(row: Any, path: str, number: int) -> dict[str, Any]:
    """A JSON object with the members of its objects beside its own."""
    if not isinstance(row, dict):
        raise InputError(
            f"{path}, request {number}: expected an object of a trace, not {row!r:.40}"
        )
    inner = (value for value in row.values() if isinstance(value, dict))
    return {name: value for each in (*inner, row) for name, value in each.items()}


def _columns(row: dict[str, Any], path: str) -> _Columns:
    """Which column is which, by the first request."""
    names = {_plain(name): name for name in reversed(row)}
    prompt, output = (
        next((names[name] for name in known if name in names), None) for known in (PROMPTS, OUTPUTS)
    )
    if prompt is None or output is None:
        which = "prompts" if prompt is None else "outputs"
        found = ", ".join(str(name) for name in row)
        raise InputError(
            f"{path} is no trace: no column of {which} among {found[:120]}: expected {EXPECTED}"
        )
    for name in TIMES:
        for unit, unit_s in {"": 1.0, **UNITS}.items():
            if name + unit in names:
                time = names[name + unit]
                mooncake = (time, prompt, output) == MOONCAKE
                return _Columns(time, prompt, output, 1e-3 if mooncake else unit_s)
    return _Columns(None, prompt, output, 1.0)


def _plain(name: Any) -> str:
    """A column's name in small letters and digits alone."""
    return "".join(sign for sign in str(name).lower() if sign.isalnum())


def _request(
    row: dict[str, Any], columns: _Columns, path: str, number: int
) -> tuple[float, int, int]:
    """Arrival in seconds, prompt and output tokens of a row; a failed request counts one token."""
    try:
        when = 0.0
        if columns.time is not None:
            when = _seconds(row.get(columns.time), columns.unit_s)
        return when, _tokens(row, columns.prompt), _tokens(row, columns.output)
    except ValueError as error:
        raise InputError(f"{path}, request {number} of the trace: {error!s:.120}") from error


def _tokens(row: dict[str, Any], name: str) -> int:
    """A whole number of tokens, also where a table wrote it with a decimal point."""
    value = row.get(name)
    try:
        tokens = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        tokens = float("nan")
    if not 0 <= tokens < 1e12:
        raise ValueError(f"{name}={value!r:.40} is no number of tokens")
    return max(1, round(tokens))


def _seconds(value: Any, unit_s: float) -> float:
    """A time in seconds, from a number or a date; one without a zone is taken as UTC."""
    from math import isfinite

    try:
        number = float(value)
        finer = next((finer for least, finer in EPOCHS if number > least), unit_s)
        seconds = number * (finer if unit_s == 1.0 else unit_s)
    except (TypeError, ValueError):
        seconds = _date(value)
    if not isfinite(seconds):
        raise ValueError(f"{value!r:.40} is no time")
    return seconds


def _date(value: Any) -> float:
    """Seconds of a date as ISO 8601 writes it, with up to nine digits of a second."""
    import re
    from datetime import UTC, datetime

    text = re.sub(r"(\.\d{6})\d+", r"\1", str(value).strip())
    try:
        when = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{value!r:.40} is no time: expected seconds or an ISO date") from error
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
