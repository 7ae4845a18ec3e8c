"""The link's counts equal what the cable did; ``tests/books.py`` is the long campaign."""

from __future__ import annotations

import books


def test_the_books_agree_with_what_the_cable_did() -> None:
    """No bad sample believed, every loss counted, over the real firmware and a bad cable."""
    for entry in books.compare(4000, seed=3):
        assert entry.host == entry.truth, entry
