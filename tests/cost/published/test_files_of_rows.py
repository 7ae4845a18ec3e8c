"""Files of measured rows: how large they may be."""

from __future__ import annotations

import pytest
from thermoflop.cost.published.files import read_rows
from thermoflop.errors import InputError


def test_rows_of_more_than_64_mebibytes_are_not_read(tmp_path):
    """They end just within the limit: blanks, then a list."""
    path = tmp_path / "rows.json"
    with path.open("wb") as file:
        file.write(b" " * (64 * 2**20 + 1 - 2) + b"[]")
    with pytest.raises(InputError, match="has more than 67,108,864 bytes"):
        read_rows(str(path))
