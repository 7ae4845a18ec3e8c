"""``python -m thermoflop.cost.calibrate``: the old name of ``thermoflop calibrate --rows``.

Kept for one release.
"""

from __future__ import annotations

import sys

from thermoflop.cost.fitting.profiles import main

if __name__ == "__main__":
    print("say `thermoflop calibrate --rows ROWS.json OUT.json`: this is going", file=sys.stderr)
    main(sys.argv[1:])
