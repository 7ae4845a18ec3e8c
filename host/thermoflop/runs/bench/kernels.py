"""Each operator of a table as a numpy call of the same shape, and what the call must compute.

Products and attention run as matrix products in float32; normalizations, softmax and element-wise
passes as the arithmetic that a decoder without fused kernels does. An operator that numpy has no
sensible form for is not run, and said so. ``reference`` computes the same in float64.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from thermoflop.model.operators import Operator

MAX_ELEMENTS = 400_000_000  # of all operands together; larger shapes are not run


@dataclass(frozen=True, slots=True)
class Kernel:
    """A call on prepared operands; ``reference`` gives the same in float64."""

    operands: tuple[Any, ...]
    call: Callable[..., Any]

    def run(self) -> Any:
        """Compute once."""
        return self.call(*self.operands)

    def reference(self) -> Any:
        """The same with every operand widened to float64."""
        import numpy as np

        return self.call(*(operand.astype(np.float64) for operand in self.operands))


def kernel(operator: Operator, seed: int = 0) -> Kernel | None:
    """The kernel of one occurrence of ``operator``; None when there is none."""
    import numpy as np

    rng = np.random.default_rng(seed)
    batch, m, n = (int(getattr(operator, name)) for name in ("batch", "m", "n"))

    def normal(*shape: int) -> Any:
        return rng.standard_normal(shape, dtype=np.float32)

    kind = type(operator).__name__
    if kind in ("MatMul", "Attend"):
        k = int(operator.k)
        if batch * (m * k + k * n + m * n) > MAX_ELEMENTS:
            return None
        return Kernel((normal(batch, m, k), normal(batch, k, n)), np.matmul)
    if 3 * batch * m * n > MAX_ELEMENTS:
        return None
    if kind == "Softmax":
        return Kernel((normal(batch * m, n),), softmax)
    if kind == "Pass" and operator.kind == "normalization":
        return Kernel((normal(m, n), normal(n), normal(n)), layer_norm)
    if kind == "Pass" and "gelu" in operator.name:
        return Kernel((normal(m, n),), gelu)
    if kind == "Pass" and operator.name.startswith(("residual", "add")):
        return Kernel((normal(m, n), normal(m, n)), np.add)
    return None


def softmax(scores: Any) -> Any:
    """Over the last axis, with the maximum taken away."""
    import numpy as np

    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def layer_norm(rows: Any, gain: Any, shift: Any) -> Any:
    """Mean 0 and variance 1 of each row, then gain and shift."""
    import numpy as np

    centred = rows - rows.mean(axis=-1, keepdims=True)
    variance = np.square(centred).mean(axis=-1, keepdims=True)
    return centred / np.sqrt(variance + 1e-5) * gain + shift


def gelu(rows: Any) -> Any:
    """The tanh form."""
    import numpy as np

    return 0.5 * rows * (1 + np.tanh(0.7978845608 * (rows + 0.044715 * rows**3)))


def relative_error(kernel: Kernel) -> float:
    """Largest difference to float64, over the largest value."""
    import numpy as np

    exact = kernel.reference()
    return float(np.max(np.abs(kernel.run() - exact)) / np.max(np.abs(exact)))
