"""What is written down about the machine."""

from __future__ import annotations

from pathlib import Path

import pytest
from thermoflop.bench.limits import processor_cache_bytes


@pytest.mark.parametrize(
    ("sizes", "found"), [(["32K", "1M", "48M"], 48 << 20), (["512K", "?"], 512 << 10), ([], 0)]
)
def test_the_largest_cache_is_found_among_other_files(
    tmp_path: Path, sizes: list[str], found: int
) -> None:
    """Linux lays a file ``uevent`` beside the folders of the caches."""
    (tmp_path / "uevent").write_text("")
    for index, size in enumerate(sizes):
        (tmp_path / f"index{index}").mkdir()
        (tmp_path / f"index{index}" / "size").write_text(f"{size}\n")
    assert processor_cache_bytes(tmp_path) == found


def test_no_cache_is_known_where_no_system_states_one(tmp_path: Path) -> None:
    assert processor_cache_bytes(tmp_path / "nowhere") == 0
