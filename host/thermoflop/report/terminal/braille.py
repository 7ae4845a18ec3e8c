"""A line plot in characters: two by four dots a cell, from the Braille block of Unicode."""

from __future__ import annotations

from collections.abc import Iterable

# the bit of each dot within a cell, by column and row from the top left
_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
_BLANK = 0x2800


class Canvas:
    """``columns`` by ``rows`` characters, twice as many dots across and four times down."""

    def __init__(self, columns: int, rows: int) -> None:
        """All blank."""
        self.columns, self.rows = columns, rows
        self.width, self.height = 2 * columns, 4 * rows
        self._cells = [[0] * columns for _ in range(rows)]

    def dot(self, x: int, y: int) -> None:
        """Set one dot; ``y`` counts from the top; outside of the canvas nothing happens."""
        if 0 <= x < self.width and 0 <= y < self.height:
            self._cells[y // 4][x // 2] |= _DOTS[x % 2][y % 4]

    def line(self, points: Iterable[tuple[int, int]]) -> None:
        """Dots joined by straight strokes."""
        last: tuple[int, int] | None = None
        for x, y in points:
            x0, y0 = last or (x, y)
            steps = max(abs(x - x0), abs(y - y0), 1)
            for n in range(steps + 1):
                self.dot(x0 + round((x - x0) * n / steps), y0 + round((y - y0) * n / steps))
            last = (x, y)

    def row(self, index: int) -> str:
        """A row of characters; a cell without a dot is a space."""
        return "".join(chr(_BLANK + bits) if bits else " " for bits in self._cells[index])
