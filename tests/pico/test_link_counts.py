"""The link's counts equal what the cable did; ``tests/soak.py`` is the long campaign."""

from __future__ import annotations

from pathlib import Path

import soak


def test_the_counts_of_the_link_agree_with_what_the_cable_did(tmp_path: Path) -> None:
    """No bad sample believed, every loss counted, over the real firmware and a bad cable."""
    for row in soak.campaign(3000, seed=3, out=tmp_path, troubles=4).rows:
        assert row.agrees, row
