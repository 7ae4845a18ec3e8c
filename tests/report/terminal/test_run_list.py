"""A list of runs in a terminal: how each ended in the words of the page, and no empty columns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from thermoflop.report.terminal.run_list import lines
from thermoflop.runs.analysis.row import RunRow
from thermoflop.runs.folder.index import Entry
from thermoflop.web.runs.run_row import state_words


@pytest.mark.parametrize(
    ("run", "said"),
    [
        ({"ended": {"end": "time"}}, "done"),
        ({"ended": None, "name": "a"}, "cut off"),
        ({"ended": {"end": "gone"}}, "port went away"),
        ({"exit_code": 3, "ended": {"end": "done"}}, "exit 3"),
        ({"ended": {"end": "stopped"}}, "stopped"),
    ],
)
def test_a_state_is_said_in_the_words_of_the_page(
    tmp_path: Path, run: dict[str, Any], said: str
) -> None:
    entry = Entry(tmp_path, run)
    head, line = lines([(entry, RunRow(), "")]).splitlines()
    assert head.split() == ["run", "ended"]  # nothing else is known of it
    assert line.split(maxsplit=1) == [tmp_path.name, said]
    assert state_words(entry.state) == said
