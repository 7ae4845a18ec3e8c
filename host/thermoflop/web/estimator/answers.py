"""From inputs to what is shown, whatever the mode; and the same as files."""

from __future__ import annotations

import csv
import io
import json
from functools import lru_cache
from typing import TYPE_CHECKING

from thermoflop.base.record import fields_of
from thermoflop.errors import ThermoflopError
from thermoflop.web.estimator.fields import FieldError
from thermoflop.web.estimator.inputs import PACKED, fits_address, to_query

if TYPE_CHECKING:
    from typing import Any

    from thermoflop.base.explanation import Explanation
    from thermoflop.web.estimator.answer import Answer
    from thermoflop.web.estimator.inputs import Inputs


@lru_cache(maxsize=64)
def answer(inputs: Inputs) -> Answer:
    """Everything that the page shows. FieldError names the input that makes no sense."""
    if inputs.corrected:
        from thermoflop.web.estimator.corrected_answer import corrected_answer

        return corrected_answer(inputs)
    from thermoflop.web.estimator.original import original_answer

    return original_answer(inputs)


def formulas() -> tuple[tuple[str, str, str], ...]:
    """The original's formulas: kernel, FLOP, bytes; none where sympy is not installed."""
    from thermoflop.web.estimator.original import original_formulas

    return original_formulas()


def why(inputs: Inputs, key: str) -> Explanation:
    """What is behind the number of a key. FieldError where there is no such number."""
    try:
        if inputs.corrected:
            from thermoflop.web.estimator.corrected import corrected_why

            return corrected_why(inputs, key)
        from thermoflop.web.estimator.original import original_why

        return original_why(inputs, key)
    except FieldError:
        raise
    except ThermoflopError as error:
        raise FieldError("mode", str(error)) from None


def as_json(found: Answer) -> str:
    """The inputs and every number with its unit, as one object."""
    inputs = {name: value for name, value in fields_of(found.inputs).items() if name != PACKED}
    shown: dict[str, Any] = {
        "title": found.title,
        "inputs": inputs,
        "address": to_query(found.inputs),
        "address_is_complete": fits_address(found.inputs),
        "fits": found.fits,
        "figures": [
            {"key": each.key, "label": each.label, "value": each.value, "unit": each.unit}
            for each in found.figures()
        ],
        "notes": list(found.notes),
    }
    return json.dumps(shown, ensure_ascii=False, indent=1, allow_nan=False)


def as_csv(found: Answer) -> str:
    """One line for each number; no cell is taken for a formula by a spreadsheet."""
    from thermoflop.runs.folder.export import safe_cell

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(["key", "label", "value", "unit"])
    writer.writerow(["title", "", safe_cell(found.title), ""])
    for name, value in fields_of(found.inputs).items():
        if name != PACKED:
            writer.writerow([f"input.{name}", "", safe_cell(value), ""])
    for each in found.figures():
        row = (each.key, each.label, each.value, each.unit)
        writer.writerow([safe_cell("" if cell is None else cell) for cell in row])
    return text.getvalue()
