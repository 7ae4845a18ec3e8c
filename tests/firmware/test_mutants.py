"""Each rule taken out of the firmware breaks a test that carries its name."""

from __future__ import annotations

from pathlib import Path

import mutants
import pytest

RULES = range(1, 12)


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_has_mutants_and_tests(rule: int) -> None:
    assert any(mutant.rule == rule for mutant in mutants.MUTANTS)
    assert mutants.tests_of(rule)


@pytest.mark.parametrize("rule", RULES)
def test_the_first_mutant_of_each_rule_is_killed(rule: int, tmp_path: Path) -> None:
    mutant = next(mutant for mutant in mutants.MUTANTS if mutant.rule == rule)
    changed = mutants.mutate(mutant, tmp_path, 0)
    assert next(mutants.failing(mutants.tests_of(rule), changed), None)
