"""What somebody measured, on the page: the same verdict as ``tf.check``, in the band of its
estimate."""

from __future__ import annotations

import json

import pytest
import thermoflop as tf
from thermoflop.base.record import replace
from thermoflop.web.estimator.address import from_query, to_query
from thermoflop.web.estimator.answer import as_csv, as_json
from thermoflop.web.estimator.answers import answer
from thermoflop.web.estimator.fields import FIELDS, FieldError
from thermoflop.web.estimator.inputs import DEFAULTS

OWN = replace(DEFAULTS, model="llama3.1:8b", device="RTX 4070")


@pytest.mark.parametrize("typed", ["72", "72 tok/s", "500", "1e6", "13.9ms", "90 ms"])
@pytest.mark.parametrize("users", [1, 4])
def test_a_number_has_the_verdict_and_the_interval_of_check(typed, users):
    result = answer(replace(OWN, measured=typed, users=users))
    check = tf.check("llama3.1:8b", "rtx 4070", typed, batch=users)
    shown, judged = result.headline[-1], check.figures[0]
    assert (shown.label, shown.value) == ("You measured", judged.measured)
    assert (shown.bound, shown.low, shown.high) == (judged.bound, judged.low, judged.high)
    assert result.measured.endswith(f"measured. {check.verdict}")


def test_nothing_is_said_of_what_was_not_measured_or_is_not_estimated():
    assert answer(OWN).measured == ""
    for inputs in (replace(OWN, output=1), replace(DEFAULTS, model="bert-base-uncased", prompt=9)):
        result = answer(replace(inputs, measured="72"))
        assert result.measured == ""
        assert "You measured" not in [each.label for each in result.headline]
        assert not result.inputs.is_used("measured")


def test_what_was_measured_travels_in_the_address_and_the_files():
    inputs, wrong = from_query(to_query(replace(OWN, measured="13.9ms")).items())
    assert (inputs.measured, wrong) == ("13.9ms", [])
    exported = json.loads(as_json(answer(inputs)))
    assert "Good" in exported["measured"]
    assert "head.measured,You measured,0.0139" in as_csv(answer(inputs))


@pytest.mark.parametrize("typed", ["72,4", "fast", "9" * 40, "<b>", "/etc/passwd"])
def test_what_is_no_number_is_refused_beside_its_field(typed):
    with pytest.raises(FieldError, match="makes no sense: expected tokens/s of all users"):
        FIELDS["measured"].read(typed)
    assert FIELDS["measured"].read("  ") == ""


def test_what_does_not_fit_is_never_good_of_all_on_the_device():
    result = answer(replace(DEFAULTS, model="gpt-oss-120b", device="RTX 4090", measured="35"))
    assert not result.fits
    assert "as fast as expected with experts of 24 of 36 layers" in result.measured
    assert result.headline[-1].value == 35
