"""The stretches in which a phase made its tokens: none is left out, whenever they were noted."""

from __future__ import annotations

import pytest
from thermoflop.runs.analysis.phases import Note, Window
from thermoflop.runs.analysis.throughput import steps


def window(end_s: float, *notes: tuple[float, int]) -> Window:
    """A phase from 10 s on, with tokens noted so many seconds after its start."""
    said = [Note(10 + at_s, {}, {"tokens": float(n)}, {"tokens": 1}) for at_s, n in notes]
    total = {"tokens": float(sum(n for _, n in notes))}
    return Window("decode", 10.0, 10 + end_s, 0, sums=total, notes=said)


@pytest.mark.parametrize(
    ("end_s", "notes", "made"),
    [
        # after each step: made since the note before
        (2.0, [(1.0, 30), (2.0, 10)], [(0, 1, 30), (1, 2, 10)]),
        # before each step: made until the next one, or the end
        (3.0, [(0.0, 20), (1.0, 30), (2.0, 40)], [(0, 1, 20), (1, 2, 30), (2, 3, 40)]),
        # with the mark that begins the phase, and after each step: the mark's are made first
        (2.0, [(0.0, 100), (1.0, 30), (2.0, 10)], [(0, 1, 130), (1, 2, 10)]),
        # with the mark alone: over all of it
        (4.0, [(0.0, 100)], [(0, 4, 100)]),
        # after a step, and the rest of the phase made none
        (3.0, [(1.0, 30)], [(0, 1, 30)]),
    ],
)
def test_every_token_is_made_in_a_stretch(
    end_s: float, notes: list[tuple[float, int]], made: list[tuple[float, float, float]]
) -> None:
    found = [
        (step.start_s - 10, step.end_s - 10, step.tokens) for step in steps(window(end_s, *notes))
    ]
    assert found == made


def test_flops_that_the_mark_alone_says_are_made_over_all_of_the_phase() -> None:
    """400 in four seconds, of which the first stretch is one and the second three."""
    notes = [Note(10.0, {}, {"flops": 400.0}, {"flops": 1})]
    notes += [Note(at_s, {}, {"tokens": 5.0}, {"tokens": 1}) for at_s in (11.0, 14.0)]
    made = steps(Window("decode", 10.0, 14.5, 0, sums={"tokens": 10.0}, notes=notes))
    assert [(step.tokens, step.flops) for step in made] == [(5.0, 100.0), (5.0, 300.0)]
