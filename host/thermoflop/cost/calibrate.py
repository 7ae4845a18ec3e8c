"""``python -m thermoflop.cost.calibrate``: the old name of ``thermoflop.cost.fitting.profiles``.

Kept for one release; say ``thermoflop calibrate --rows ROWS.json`` instead.
"""

from __future__ import annotations

import sys

from thermoflop.cost.fitting.profiles import main

if __name__ == "__main__":
    main(sys.argv[1:])
