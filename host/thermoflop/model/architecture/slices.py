"""The slices that MiniCPM-V cuts an image into, and their sizes in patches.

``get_sliced_grid``, ``find_best_resize`` and ``get_refine_size`` of image_processing_minicpmv.py
(beside the weights of 2.5 to 4.5) and of ``MiniCPMV4_6ImageProcessor`` of transformers 5.24, with
the settings published: nine slices at most, each of the area of 448 x 448 pixels.
"""

from __future__ import annotations

from math import ceil, log, sqrt

MOST_SLICES = 9
SIDE = 448


def sliced(height: int, width: int, patch: int, step: int) -> list[tuple[int, int, int]]:
    """The image whole, and its slices: how many, their rows and their columns of patches.

    Rows and columns are multiples of ``step``, the side of what becomes one token.
    """
    across, down = _arrangement(height, width)
    count, unit = across * down, patch * step
    rows, columns = _resized(height, width, unit)
    pieces = [(1, rows // patch, columns // patch)]
    if count > 1:
        refined = (_nearest(height, down) / down, _nearest(width, across) / across)
        rows, columns = _resized(*refined, unit)
        pieces.append((count, rows // patch, columns // patch))
    return pieces


def _arrangement(height: int, width: int) -> tuple[int, int]:
    """Columns and rows: as many slices as the image is large, one fewer or one more, of the shape
    nearest by its logarithm, the taller of two alike."""
    wanted = min(ceil(height * width / SIDE**2), MOST_SLICES)
    if wanted <= 1:
        return 1, 1
    counts = [n for n in (wanted - 1, wanted, wanted + 1) if n != 1 and n <= MOST_SLICES]
    shapes = [(n // rows, rows) for n in counts for rows in range(1, n + 1) if n % rows == 0]
    aim = log(width / height)
    return min(shapes, key=lambda shape: (abs(aim - log(shape[0] / shape[1])), -shape[1]))


def _resized(height: float, width: float, unit: int) -> tuple[int, int]:
    """The area of a slice in the shape of the image, in whole units."""
    ratio = width / height
    tall = int(SIDE / sqrt(ratio))
    return _nearest(tall, unit), _nearest(int(tall * ratio), unit)


def _nearest(length: float, unit: int) -> int:
    """``ensure_divide``: the nearest multiple, one at least."""
    return max(round(length / unit) * unit, unit)
