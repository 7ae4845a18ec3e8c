"""A record is made alike the first times, when its fields are filled in, and ever after."""

from __future__ import annotations

import pytest
from thermoflop.base.record import fields_of, record, replace

MADE = 200  # more than are filled in field by field


def new_class() -> type:
    @record
    class Fan:
        pin: int
        setpoint_c: float = 30.0
        name: str = "fan"

    return Fan


def test_every_instance_has_its_fields_in_order_and_its_defaults() -> None:
    fan = new_class()
    for _ in range(MADE):
        assert list(fields_of(fan(2)).items()) == [
            ("pin", 2), ("setpoint_c", 30.0), ("name", "fan"),
        ]  # fmt: skip
        assert list(fields_of(fan(name="b", pin=3))) == ["pin", "setpoint_c", "name"]
        assert fan(2, 30.0) == fan(pin=2) != fan(2, 31.0)
        assert hash(fan(2, 30.0)) == hash(fan(name="fan", pin=2))
        assert repr(fan(2, name="b")) == "Fan(pin=2, name='b')"


@pytest.mark.parametrize("made_before", [0, 1, MADE])
@pytest.mark.parametrize(
    ("args", "kwargs", "said"),
    [
        ((), {}, "missing 1 required positional argument: 'pin'"),
        ((1, 2.0, "a", 4), {}, "takes from 2 to 4 positional arguments but 5 were given"),
        ((1,), {"pin": 2}, "got multiple values for argument 'pin'"),
        ((1,), {"pins": 2}, "got an unexpected keyword argument 'pins'"),
    ],
)
def test_wrong_arguments_are_refused_as_python_does(
    made_before: int, args: tuple[object, ...], kwargs: dict[str, object], said: str
) -> None:
    fan = new_class()
    for _ in range(made_before):
        fan(1)
    with pytest.raises(TypeError, match=said):
        fan(*args, **kwargs)
    assert fan(5).pin == 5


@pytest.mark.parametrize("made_before", [0, MADE])
def test_a_copy_has_what_was_changed_and_the_rest_as_it_was(made_before: int) -> None:
    fan = new_class()
    for _ in range(made_before):
        fan(1)
    first = fan(name="b", pin=3)
    copy = replace(first, setpoint_c=40.0)
    assert list(fields_of(copy).items()) == [("pin", 3), ("setpoint_c", 40.0), ("name", "b")]
    assert first == fan(3, 30.0, "b")
    with pytest.raises(TypeError, match="'pins'"):
        replace(first, pins=2)


def test_fields_of_a_record_that_it_derives_from_come_first() -> None:
    fan = new_class()

    @record
    class Pump(fan):  # type: ignore[valid-type,misc]
        litres: int = 1
        pipes: int = 1

    for _ in range(MADE):
        pump = Pump(3, setpoint_c=40.0, name="pump", litres=5)
    assert list(fields_of(pump)) == ["pin", "setpoint_c", "name", "litres", "pipes"]
    assert list(fields_of(fan(3))) == ["pin", "setpoint_c", "name"]
    assert repr(pump) == "Pump(pin=3, setpoint_c=40.0, name='pump', litres=5)"
    assert pump != fan(3, 40.0, "pump")
