"""How long prompts and outputs are: means, a distribution around them, or a recorded trace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermoflop.base.messages import expected
from thermoflop.base.record import record, replace
from thermoflop.errors import InputError, UsageError

if TYPE_CHECKING:
    from typing import Any

# Spread of the logarithm: chat traces are near 1 (Azure's of 2023: 0.9 of prompts, 0.8 of outputs).
SIGMA = 0.8
SHAPES = ("fixed", "uniform", "lognormal")
# Columns of published traces: Azure's LLM inference (CSV), Mooncake's (JSON lines, milliseconds),
# BurstGPT (CSV), and plain names. The last number says how many seconds one unit of time is.
TRACES = (
    ("timestamp", "input_length", "output_length", 1e-3),
    ("TIMESTAMP", "ContextTokens", "GeneratedTokens", 1.0),
    ("Timestamp", "Request tokens", "Response tokens", 1.0),
    ("arrival_s", "prompt", "generate", 1.0),
)
MOST_LINES = 20_000_000


@record
class Lengths:
    """Moments of prompts and outputs in tokens: means, and mean squares. ``prompts`` are a few
    lengths, each with its share, that have the prompts' mean. Outputs are counted in steps where a
    step gives ``step_tokens``."""

    prompt: float
    generate: float
    generate_square: float
    prompts: tuple[tuple[float, float], ...]
    shape: str = "fixed"
    longest: float = 0.0
    step_tokens: float = 1.0

    @property
    def context(self) -> float:
        """Mean cached tokens of a decoding sequence: long outputs are met more often."""
        return self.prompt + self.step_tokens * self.generate_square / (2 * self.generate)

    @property
    def tokens(self) -> float:
        """Mean tokens of an output: one with the prompt, and those of its steps."""
        return 1 + (self.generate - 1) * self.step_tokens

    @property
    def most(self) -> float:
        """Tokens of the longest sequence that is known."""
        return max(self.longest, self.prompt + self.tokens)


@record
class Trace:
    """Recorded requests in order of arrival: seconds, prompt tokens, output tokens."""

    arrivals_s: list[float]
    prompts: list[int]
    outputs: list[int]


def lengths_of(prompt: float, generate: float, shape: str = "fixed") -> Lengths:
    """Lengths with these means. UsageError for a shape that is not known.

    ``fixed``: all alike; ``uniform``: between 0.8 and 1.2 of the mean, as benchmarks draw them;
    ``lognormal``: with the spread of chat traces.
    """
    import numpy as np

    if shape not in SHAPES:
        asked = expected(str(shape), SHAPES)
        raise UsageError(f"lengths={shape!r:.40} is no distribution: {asked}")
    points, shares, spread = np.ones(1), np.ones(1), 1.0
    if shape == "uniform":
        points, shares = np.polynomial.legendre.leggauss(3)
        points, shares, spread = 1 + 0.2 * points, shares / 2, 1 + 0.4**2 / 12
    elif shape == "lognormal":
        points, shares = np.polynomial.hermite.hermgauss(7)
        points = np.exp(SIGMA * (2**0.5 * points - SIGMA / 2))
        shares, spread = shares / shares.sum(), float(np.exp(SIGMA**2))
    prompts = tuple(zip(shares.tolist(), (prompt * points).tolist(), strict=True))
    return Lengths(prompt, generate, spread * generate**2, prompts, shape)


def in_steps(lengths: Lengths, step_tokens: float) -> Lengths:
    """The same requests where a decode step gives so many tokens of each on the average."""
    steps = 1 + (lengths.generate - 1) / step_tokens
    squares = lengths.generate_square * (steps / lengths.generate) ** 2
    return replace(lengths, generate=steps, generate_square=squares, step_tokens=step_tokens)


def draw_lengths(lengths: Lengths, count: int, seed: int) -> tuple[list[int], list[int]]:
    """Prompt and output lengths of so many requests, whole tokens of at least 1."""
    import numpy as np

    random = np.random.default_rng(seed)
    drawn = []
    for mean in (lengths.prompt, lengths.generate):
        if lengths.shape == "uniform":
            values = mean * random.uniform(0.8, 1.2, count)
        elif lengths.shape == "lognormal":
            values = mean * random.lognormal(-(SIGMA**2) / 2, SIGMA, count)
        else:
            values = np.full(count, float(mean))
        drawn.append(np.maximum(np.rint(values), 1).astype(np.int64).tolist())
    return drawn[0], drawn[1]


def read_trace(path: str) -> Trace:
    """Requests from a file of JSON lines or a CSV with a header. InputError for what is neither."""
    from pathlib import Path

    try:
        with Path(path).open(encoding="utf-8", newline="") as file:
            rows = _rows(file, path)
            requests = sorted(_request(row, path, n) for n, row in enumerate(rows, 1))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as a trace: {error}") from error
    if len(requests) < 2:
        raise InputError(f"{path} holds {len(requests)} requests: expected at least 2")
    start = requests[0][0]
    return Trace(
        [arrival - start for arrival, _, _ in requests],
        [prompt for _, prompt, _ in requests],
        [output for _, _, output in requests],
    )


def _rows(file: Any, path: str) -> Any:
    """The rows of a trace as dictionaries, one by one."""
    import csv
    import json

    first = file.readline(100_000)
    file.seek(0)
    if not first.lstrip().startswith("{"):
        yield from csv.DictReader(file)
        return
    for number, line in enumerate(file, 1):
        if number > MOST_LINES:
            raise InputError(f"{path} has more than {MOST_LINES:,} lines")
        try:
            yield json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path}, line {number}: no JSON object ({error!s:.60})") from error


def _request(row: Any, path: str, number: int) -> tuple[float, int, int]:
    """Arrival in seconds, prompt and output tokens of a row; a failed request counts one token."""
    if isinstance(row, dict):
        for time, prompt, output, unit_s in TRACES:
            if time in row and prompt in row and output in row:
                try:
                    when = _seconds(row[time], unit_s)
                    return when, max(1, int(row[prompt])), max(1, int(row[output]))
                except (TypeError, ValueError, OverflowError) as error:
                    raise InputError(f"{path}, request {number}: {error!s:.80}") from error
    known = "; ".join(", ".join(names[:3]) for names in TRACES)
    raise InputError(f"{path}, request {number}: expected the columns {known}")


def _seconds(value: Any, unit_s: float) -> float:
    """A time in seconds, from a number or a date."""
    from math import isfinite

    try:
        seconds = float(value) * unit_s
    except (TypeError, ValueError):
        from datetime import datetime

        seconds = datetime.fromisoformat(str(value)[:26]).timestamp()
    if not isfinite(seconds):
        raise ValueError(f"{value!r:.40} is no time")
    return seconds


def lengths_of_trace(trace: Trace) -> Lengths:
    """The moments of a trace, and the means of eighths of its prompts in order of length."""
    import numpy as np

    prompts, outputs = np.array(trace.prompts, float), np.array(trace.outputs, float)
    parts = [part for part in np.array_split(np.sort(prompts), 8) if len(part)]
    shares = tuple((len(part) / len(prompts), float(part.mean())) for part in parts)
    return Lengths(
        float(prompts.mean()), float(outputs.mean()), float((outputs**2).mean()), shares, "trace",
        float((prompts + outputs).max()),
    )  # fmt: skip
