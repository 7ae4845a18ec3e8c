"""Feed-forward with experts: both products of all experts that a device holds.

Rows are padded for each expert that is chosen. Tokens that follow a power law choose fewer experts
than balanced ones (``spread``), and load the fullest device more (``skew``).
"""

from __future__ import annotations

from thermoflop.base.number import Number, maximum, minimum
from thermoflop.cost.kernels.form import Form, Parameter, Values, from_memory_s, norm


def seconds(kernel: Values, rates: Values) -> Number:
    """Sizes ``tokens`` (of all devices), ``topk``, ``experts``, ``ep``, ``tp``, ``hidden``,
    ``inner``, ``matrices`` (3 where gated, else 2), ``skewed`` 0 or 1, bytes of a weight."""
    skewed, held = kernel["skewed"], kernel["experts"] / kernel["ep"]
    uneven = skewed * minimum(kernel["ep"] - 1.0, 1.0)
    rows = kernel["tokens"] * kernel["topk"] / kernel["ep"] * (1.0 + rates["skew"] * uneven)
    chosen = held * (1.0 - (1.0 + rows / held / rates["spread"]) ** -rates["spread"])
    active = (1.0 - skewed) * minimum(held, rows) + skewed * chosen
    inner = kernel["inner"] / kernel["tp"]
    matrix = kernel["matrices"] * kernel["hidden"] * inner
    padded = 2.0 * matrix * (rows + rates["m_half"] * active)
    computing = padded / (kernel["peak"] * rates["compute"])
    weights = matrix * kernel["weight_bytes"] * active
    moving = weights / (kernel["bandwidth"] * rates["weights"])
    moved = rows * (4.0 * kernel["hidden"] + 6.0 * inner)
    passed = moved / (kernel["bandwidth"] * rates["activations"])
    choosing = rates["token_s"] * kernel["tokens"]
    return rates["fixed_s"] + norm(3, computing, moving) + passed + choosing


def bound_s(kernel: Values) -> Number:
    """The products of the fewest rows that a device may get, and the weights of one expert."""
    rows = kernel["tokens"] * kernel["topk"] / kernel["ep"]
    matrix = kernel["matrices"] * kernel["hidden"] * kernel["inner"] / kernel["tp"]
    # where tokens are spread unevenly, the device that is measured may get few of them
    certain = (1.0 - kernel["skewed"]) * rows
    weights = from_memory_s(kernel, matrix * kernel["weight_bytes"])
    return maximum(2.0 * matrix * certain / kernel["peak"], weights * minimum(rows, 1.0))


FORM = Form(
    "experts",
    "experts",
    "moe",
    {
        "compute": Parameter(0.364, 0.7, 1.0),
        "weights": Parameter(0.718, 0.5, 1.0),
        "activations": Parameter(0.516, 0.5, 1.0),
        "m_half": Parameter(40.0),
        "skew": Parameter(0.905),
        "spread": Parameter(0.99, 0.5),
        "token_s": Parameter(1.5e-8),
        "fixed_s": Parameter(2.35e-5),
    },
    seconds,
    bound_s,
    offsets=("family", "format", "cell", "architecture", "kind"),
    elsewhere=("family", "format"),
)
