"""A killed logger keeps what it acknowledged; ``tests/kill9.py`` is the long campaign."""

from __future__ import annotations

import kill9


def test_kill_9_loses_no_acknowledged_line() -> None:
    """Two kills here, fifty in the campaign."""
    for result in kill9.campaign(2, seed=7):
        assert result.acknowledged > 0
        assert result.lost == 0
        assert result.readable
