"""What stays on a device beside a host, and what the host holds, moves and steps, by hand."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from kit.made_up import decoder
from thermoflop.cost.training.host import (
    GRADIENT_BYTES,
    HOST_MEMORY_BYTES_S,
    host_use,
    left_on_device,
)


def iteration(*parts, zero=1, lora=None, pp=1, beside=0.0, layers=8, optimizer="adamw"):
    """Weights of four bytes, activations of two; links of 10 bytes a second, four devices."""
    offload = SimpleNamespace(parts=frozenset(parts), link_bytes_s=10.0, sharing=4)
    return SimpleNamespace(
        offload=offload if parts else None, recipe=SimpleNamespace(weight=4.0, beside=beside),
        zero=zero, lora=lora, precision=SimpleNamespace(activation_bytes=2.0), optimizer=optimizer,
        plan=SimpleNamespace(pp=pp), model=decoder(num_hidden_layers=layers), micro_batches=3.0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("one", "left"),
    [
        (iteration(), (8, 6, 16, 100)),
        # the host keeps the masters: weights in the format of activations are left
        (iteration("optimizer"), (4, 6, 0, 100)), (iteration("optimizer", zero=2), (4, 0, 0, 100)),
        (iteration("optimizer", beside=4.0), (8, 6, 0, 100)),  # they lay beside the weights
        (iteration("optimizer", lora=object()), (8, 6, 0, 100)),
        (iteration("parameters"), (0, 6, 16, 100)),
        # two of eight layers, two of the four of a stage, and never more than there are
        (iteration("activations"), (8, 6, 16, 25)),
        (iteration("activations", pp=2), (8, 6, 16, 50)),
        (iteration("activations", layers=1), (8, 6, 16, 100)),
        (iteration("optimizer", "parameters", "activations"), (0, 6, 0, 25)),
    ],
)  # fmt: skip
def test_what_is_offloaded_is_not_on_the_device(one, left):
    assert left_on_device(one, (8.0, 6.0, 16.0), 100.0) == left


@pytest.mark.parametrize(
    ("parts", "zero", "host", "down", "up"),
    [
        # moments of eight bytes, a master of four and a gradient of four of 5 parameters
        (["optimizer"], 1, 5 * 16, 5 * 2, 5 * 2),
        (["optimizer"], 2, 5 * 16, 3 * 5 * 2, 5 * 2),  # each micro-batch's gradients
        (["parameters"], 3, 30, 0, 2 * 3 * 30),  # forward and back
        (["activations"], 1, 7, 3 * 7, 3 * 7),
        (["activations", "optimizer", "parameters"], 2, 80 + 30 + 7, 30 + 21, 10 + 180 + 21),
    ],
)
@pytest.mark.parametrize("busy_s", [0.0, 2.0, 1e3])
def test_what_the_host_moves_is_waited_for_as_far_as_computing_does_not_hide_it(
    parts, zero, host, down, up, busy_s
):
    """Its step reads and writes gradients, moments and masters of four devices at once."""
    assert GRADIENT_BYTES == 4
    found = host_use(iteration(*parts, zero=zero), 5.0, 30.0, 7.0, busy_s)
    step_s = 5 * (4 + 2 * 12 + 2) * 4 / HOST_MEMORY_BYTES_S if "optimizer" in parts else 0.0
    assert (found.parts, found.host_bytes, found.moved_bytes) == (tuple(parts), host, down + up)
    assert found.step_s == pytest.approx(step_s)
    assert found.exposed_s == pytest.approx(step_s + max(0, max(down, up) / 10 - busy_s))
    assert (found.link_bytes_s, found.sharing) == (10, 4)


def test_nothing_is_asked_of_a_host_that_keeps_nothing():
    assert host_use(iteration(), 5.0, 30.0, 7.0, 1.0) is None
