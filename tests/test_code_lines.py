"""The count of code lines, on files made up so that every line is known."""

from __future__ import annotations

from code_lines import code_lines, table

# code lines are marked; everything else is a blank, a comment or a docstring
SOURCE = '''"""A module
of two lines."""

import os  # 1: a comment beside code

# a comment alone


class Thing:  # 2
    """What it is."""

    size = (  # 3
        1,  # 4

        2,  # 5
    )  # 6

    def text(self) -> str:  # 7
        """One.

        More.
        """
        "a string that is no docstring"  # 8
        return """first  # 9

third"""  # 10


def empty() -> None:  # 11
    """A docstring is all of it."""
'''


def test_blanks_comments_and_docstrings_are_no_code() -> None:
    assert code_lines(SOURCE) == 11


def test_folders_of_the_package_are_added_up() -> None:
    files = {
        "host/thermoflop/errors.py": "a = 1\n",
        "host/thermoflop/cost/work/work.py": "a = 1\n\nb = 2\n",
        "host/thermoflop/cost/energy.py": "# nothing\n",
    }
    rows = [line.split() for line in table(files).splitlines()]
    assert rows[1:] == [["(top)", "1", "1"], ["cost/", "2", "4"], ["together", "3", "5"]]
