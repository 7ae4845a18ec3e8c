"""The MHA-against-MQA page in a compatibility mode: its numbers to the last digit.

The page (a Streamlit app on multi-query attention) times twelve kernels a layer as
max(compute at half the peak, bytes at full bandwidth, 0.005 ms) and sums them over a growing
context. Its formulas are kept here as they are, mistakes included; ``CORRECTED`` lists what the
model of this package does differently.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from thermoflop.base.number import Number, maximum
from thermoflop.base.record import record
from thermoflop.base.units import wrapped
from thermoflop.errors import UsageError

FORMS = {"mha": "MHA", "mqa": "MQA"}
CORRECTED = (
    (
        "the bytes of the MQA projection leave out the matrix of the queries and the queries: "
        "1,359,744 B, not 164,736"
    ),
    (
        "the values of MQA are counted twice and the attention weights dropped: 1,326,080 B "
        "at 1024, not 1,981,440"
    ),
    "the sum leaves out the last step",
    (
        "a residual reads two arrays and writes one, GELU works on four times the width: both are "
        "counted as one narrow array in and out"
    ),
    "the launch is a cost that every kernel pays, not a floor under its time",
    "efficiency holds for compute alone; memory runs below its data sheet too",
    "no prompt, no head, no grouped heads; no steps is a division by zero there, an error here",
)
FLOOR_MS = 0.005
DEVICES: Mapping[str, tuple[float, float]] = {"A100": (312e12, 1935e9), "V100": (112e12, 900e9)}


@record
class Page:
    """The inputs of the page, at its defaults."""

    batch: int = 10
    heads: int = 16
    width: int = 768
    layers: int = 24
    start: int = 1
    end: int = 1024
    peak_flops_s: float = 312e12
    bandwidth_bytes_s: float = 1935e9
    efficiency: float = 0.5
    floor_ms: float = FLOOR_MS

    def kept_width(self, attention: str) -> Number:
        """Elements of a token's keys, and as many of its values: those of every head, or of one."""
        return self.width if attention == "mha" else self.width // self.heads

    def kernels(self, attention: str, tokens: Number) -> dict[str, tuple[Number, Number]]:
        """FLOPs and bytes of each kernel of a layer at a context, for ``mha`` or ``mqa``."""
        if attention not in FORMS:
            raise UsageError(f"attention={attention!r:.40} is not on the page: expected mha or mqa")
        b, d = self.batch, self.width
        rows, matrix = 2 * b * d, 2 * d * d
        scores = 2 * b * self.heads * tokens
        many = attention == "mha"
        kept = self.kept_width(attention)
        stored = 2 * b * tokens * kept
        attended = 2 * b * d * tokens
        project = (
            (2 * b * d * 3 * d, 3 * matrix + 4 * rows)
            if many
            else (2 * b * d * (d + 2 * kept), 2 * 2 * d * kept + rows + 2 * 2 * b * kept)
        )
        return {
            "qkv": project,
            "att1": (attended, stored + rows + scores),
            "softmax": (0, 2 * scores),
            "att2": (attended, stored + scores + rows if many else 2 * stored + rows),
            "out": (2 * b * d * d, matrix + 2 * rows),
            "ln": (0, 2 * rows),
            "mlp": (2 * b * d * 4 * d, 4 * matrix + 5 * rows),
        }

    def compute_ms(self, flops: Number) -> Number:
        """Milliseconds of computing."""
        return flops / (self.peak_flops_s * self.efficiency) * 1000

    def memory_ms(self, size: Number) -> Number:
        """Milliseconds of moving bytes."""
        return size / self.bandwidth_bytes_s * 1000

    def kernel_ms(self, flops: Number, size: Number) -> Number:
        """Milliseconds of one kernel."""
        return maximum(maximum(self.compute_ms(flops), self.memory_ms(size)), self.floor_ms)

    def layer_ms(self, attention: str, tokens: Number) -> Number:
        """One layer: norm, attention, residual and norm, MLP with its activation, residual."""
        kernels = self.kernels(attention, tokens)
        times = {name: self.kernel_ms(*counts) for name, counts in kernels.items()}
        small, mlp = times["ln"], times["mlp"]
        blocks = (
            (small,),
            tuple(times[name] for name in ("qkv", "att1", "softmax", "att2", "out")),
            (small,),
            (small,),
            (mlp, small, mlp),
            (small,),
        )
        return _added(_added(block) for block in blocks)

    def total_ms(self, attention: str) -> float:
        """The sum over the contexts, the last one left out as on the page.

        All contexts at once in numpy; ``cumsum`` adds from left to right, so the digits are those
        of the page's loop.
        """
        import numpy as np

        if self.end <= self.start:
            raise UsageError(f"start={self.start} is not below end={self.end}: no step to sum")
        each = self.layer_ms(attention, np.arange(self.start, self.end)) * self.layers
        return float(np.cumsum(each)[-1])

    def parameters(self, attention: str) -> int:
        """Parameters of the layers: no norms, no embeddings."""
        d = self.width
        return int(self.layers * (2 * d * d + 2 * d * self.kept_width(attention) + 8 * d * d))

    def config(self) -> dict[str, Any]:
        """The page's shape as a GPT-2 configuration, for the real estimator: what the page has
        not (norms, biases, embeddings, head) is there, with GPT-2's vocabulary."""
        return {
            "model_type": "gpt2",
            "n_embd": self.width,
            "n_layer": self.layers,
            "n_head": self.heads,
            "n_positions": max(1024, self.end),
            "vocab_size": 50257,
        }

    def kv_bytes(self, attention: str) -> int:
        """Bytes of keys and values at the end."""
        kept = self.kept_width(attention)
        return int(2 * 2 * self.layers * self.batch * self.end * kept)


def _added(values: Iterable[Number]) -> Number:
    """The sum from left to right in single additions: ``sum`` may round otherwise."""
    total: Number = 0.0
    for value in values:
        total = total + value
    return total


def page_numbers(page: Page) -> dict[str, dict[str, float]]:
    """The page's outputs."""
    numbers: dict[str, dict[str, float]] = {
        form: {
            "total_ms": page.total_ms(form),
            "parameters": page.parameters(form),
            "weight_gb": page.parameters(form) * 2 / 1e9,
            "kv_bytes": page.kv_bytes(form),
        }
        for form in FORMS
    }
    numbers["mqa"]["speed_up"] = numbers["mha"]["total_ms"] / numbers["mqa"]["total_ms"]
    return numbers


def page_text(page: Page) -> str:
    """The page's outputs and what is corrected in this package."""
    lines = ["the MHA-against-MQA page, its own formulas, for comparison only", ""]
    for form, numbers in page_numbers(page).items():
        listed = ", ".join(f"{key} {value!r}" for key, value in numbers.items())
        lines.append(wrapped(f"{form}: {listed}"))
    lines += ["", "what the model of this package does differently:"]
    lines += [wrapped(f"  - {line}", "    ") for line in CORRECTED]
    return "\n".join(lines)
