"""The type of a column of a run: values beside the times at which they were taken."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Column = NDArray[np.float64]
Stretch = NDArray[np.int_]
