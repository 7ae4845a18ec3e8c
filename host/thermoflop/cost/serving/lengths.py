"""How long prompts and outputs are: means, a distribution around them, or a recorded trace."""

from __future__ import annotations

import numpy as np

from thermoflop.base.messages import check_word
from thermoflop.base.record import record, replace
from thermoflop.cost.serving.trace import Trace

# Spread of the logarithm: chat traces are near 1 (Azure's of 2023: 0.9 of prompts, 0.8 of outputs).
SIGMA = 0.8
SHAPES = ("fixed", "uniform", "lognormal")


@record
class Lengths:
    """Moments of prompts and outputs in tokens: means, and mean squares. ``prompts`` are a few
    lengths, each with its share, that have the prompts' mean. Outputs are counted in steps where a
    step gives ``step_tokens``. ``recorded`` are the third and fourth moment of a trace's outputs,
    over the mean to that power."""

    prompt: float
    generate: float
    generate_square: float
    prompts: tuple[tuple[float, float], ...]
    shape: str = "fixed"
    longest: float = 0.0
    step_tokens: float = 1.0
    recorded: tuple[float, float] | None = None

    @property
    def higher(self) -> tuple[float, float]:
        """Third and fourth moment of outputs over the mean to that power: those that are recorded,
        else a lognormal's of the same mean square (equal and uniform ones differ by 0.2 %)."""
        square = self.generate_square / self.generate**2
        return self.recorded or (square**3, square**6)

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


def lengths_of(prompt: float, generate: float, shape: str = "fixed") -> Lengths:
    """Lengths with these means. UsageError for a shape that is not known.

    ``fixed``: all alike; ``uniform``: between 0.8 and 1.2 of the mean, as benchmarks draw them;
    ``lognormal``: with the spread of chat traces.
    """
    check_word("lengths", shape, SHAPES, "is no distribution")
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


def lengths_of_trace(trace: Trace) -> Lengths:
    """The moments of a trace, and the means of eighths of its prompts in order of length."""
    prompts, outputs = np.array(trace.prompts, float), np.array(trace.outputs, float)
    ratios = outputs / outputs.mean()
    parts = [part for part in np.array_split(np.sort(prompts), 8) if len(part)]
    shares = tuple((len(part) / len(prompts), float(part.mean())) for part in parts)
    return Lengths(
        float(prompts.mean()), float(outputs.mean()), float((outputs**2).mean()), shares, "trace",
        float((prompts + outputs).max()), 1.0,
        (float((ratios**3).mean()), float((ratios**4).mean())),
    )  # fmt: skip
