"""How often an answer of the estimator page builds the operators of a step."""

from __future__ import annotations

import sys
from collections import Counter
from types import FrameType
from typing import Any

import pytest
from thermoflop.base.record import replace
from thermoflop.cost.catalogue.profiles import profiles
from thermoflop.model.operators.build import build_operators
from thermoflop.web.estimator.answers import answer
from thermoflop.web.estimator.inputs import DEFAULTS

ASKED = replace(DEFAULTS, prompt=512, output=128)


def builds_of(inputs: Any) -> Counter[tuple[int, str]]:
    """How often each step of each description is built while these inputs are answered."""
    built: list[tuple[object, str]] = []  # holds the descriptions, so that no id is used again

    def notice(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code is build_operators.__code__:
            built.append((frame.f_locals["description"], repr(frame.f_locals["step"])))

    sys.setprofile(notice)
    try:
        answer(inputs)
    finally:
        sys.setprofile(None)
    return Counter((id(description), step) for description, step in built)


@pytest.mark.parametrize("profile", sorted(profiles()))
def test_a_move_of_a_slider_builds_each_step_of_each_model_once(profile: str) -> None:
    """And what is said of a server besides builds its own, of which it may share one."""
    device = "Apple M4 Max (40c)" if profile == "mlx" else ASKED.device
    asked = replace(ASKED, profile=profile, device=device)
    answer(replace(asked, users=16))
    builds = builds_of(replace(asked, users=18))
    assert sum(builds.values()) - len(builds) <= 1
    models = {description for description, _ in builds}
    assert len(models) == 4  # llama-3-8b, which is GQA, and its attention as MHA, MQA and MLA
    assert any("cached=575," in step for _, step in builds)  # the middle step, 512 + 127 // 2


def test_an_answer_given_before_builds_nothing() -> None:
    answer(replace(ASKED, users=20))
    assert not builds_of(replace(ASKED, users=20))
