"""Write ``data/totals.json`` anew: the table that ``pick`` looks models up in.

python tests/cost/plan/make_totals.py
"""

from __future__ import annotations

import json
from pathlib import Path

import thermoflop.cost.data
from thermoflop.cost.plan.pick import totals_of
from thermoflop.model.config.catalogue import names

PATH = Path(thermoflop.cost.data.__file__).with_name("totals.json")


def main() -> None:
    """Every model of the catalogue, one a line."""
    lines = (f'"{name}": {json.dumps(totals_of(name))}' for name in sorted(names()))
    PATH.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
