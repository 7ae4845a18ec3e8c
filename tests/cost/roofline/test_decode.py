"""The closed form of a generation equals the loop over its steps."""

from __future__ import annotations

import numpy as np
import pytest
import thermoflop as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from kit.decode_loop import loop_decode_s
from kit.made_up import decoder
from thermoflop.cost.hardware.precision import choose_precision
from thermoflop.cost.roofline.decode import Line, Pace, decode_s, positive_sum
from thermoflop.cost.roofline.formula import Efficiency
from thermoflop.cost.roofline.rates import Rates
from thermoflop.cost.work.share import Layout, Share
from thermoflop.cost.work.steps import decode_step
from thermoflop.cost.work.work import window_ends

sizes = st.integers(1, 8)


@st.composite
def models(draw):
    """A small decoder: full or sliding attention, grouped heads, dense or a mixture."""
    heads = draw(st.sampled_from([1, 2, 4, 8]))
    config = {
        "model_type": "mistral",
        "hidden_size": 16 * heads,
        "num_hidden_layers": draw(sizes),
        "num_attention_heads": heads,
        "num_key_value_heads": draw(st.sampled_from([h for h in (1, 2, 4, 8) if heads % h == 0])),
        "intermediate_size": 32 * draw(sizes),
        "vocab_size": 64 * draw(sizes),
        "max_position_embeddings": 1 << 20,
        "sliding_window": draw(st.one_of(st.none(), st.integers(1, 400))),
    }
    return tf.load_model(config)


@st.composite
def rates(draw):
    """Hardware of any balance."""
    speed = st.floats(6, 13).map(lambda power: 10.0**power)
    share = st.floats(0.05, 0.95)
    return Rates(
        draw(speed), draw(speed), draw(speed), draw(speed), draw(speed),
        Efficiency(
            matmul=draw(share), attention=draw(share), weights=draw(share), cache=draw(share),
            activations=draw(share), m_half=draw(st.floats(0, 64)),
            kernel_gap_s=draw(st.floats(0, 1e-4)), step_s=draw(st.floats(0, 1e-3)),
            sequence_s=draw(st.floats(0, 1e-4)),
            weight_bytes_per_core_cycle=draw(st.floats(1, 1e6)),
            launch_overhead_s=10.0 ** draw(st.floats(-12, 0)), q_half=draw(st.floats(0, 32)),
        ),
        graphs=draw(st.booleans()), host=draw(st.sampled_from([1.0, 8.0])),
        waits=draw(st.booleans()),
    )  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(models(), rates(), st.integers(1, 16), st.integers(0, 600), st.integers(0, 100))
def test_closed_form_equals_loop(model, speeds, batch, start, steps):
    """On random models, hardware and lengths, within 1e-9."""
    share = Share(model.description, Layout(), choose_precision("bf16", "int4"))
    ends = window_ends(model.description)

    def works_at(cached):
        return share.works(decode_step(cached, batch))

    closed = decode_s(works_at, start, steps, batch, speeds, ends)
    loop = loop_decode_s(works_at, start, steps, batch, speeds)
    assert closed == pytest.approx(loop, rel=1e-9, abs=1e-18)


# The host takes so long for a launch: less than the device, as long after some steps, or longer.
# A step of two sequences takes 0.108 us a launch after 20 tokens and 0.172 where a window is full.
HOST_US = (0.01, 0.12, 0.15, 0.1721, 1.0)


@pytest.mark.parametrize("host_us", HOST_US)
def test_a_host_that_is_slower_at_first_is_waited_for_until_the_context_is_long(host_us):
    """The sum of max(host, device) over steps, wherever the two cross: scalar, loop and array."""
    model = decoder(model_type="mistral", sliding_window=60)
    share = Share(model.description, Layout(), choose_precision("bf16"))
    efficiency = Efficiency(
        weights=0.8, cache=0.05, attention=0.001, launch_overhead_s=host_us * 1e-6
    )
    speeds = Rates(1e14, 2e12, 1e11, 1e11, 1e14, efficiency, graphs=False)

    def works_at(cached):
        return share.works(decode_step(cached, 2))

    ends = window_ends(model.description)
    loop = loop_decode_s(works_at, 20, 90, 2, speeds)
    assert decode_s(works_at, 20, 90, 2, speeds, ends) == pytest.approx(loop, rel=1e-9)
    starts, steps = np.array([20.0, 20.0]), np.array([90.0, 90.0])
    arrays = decode_s(works_at, starts, steps, 2, speeds, ends)
    assert arrays == pytest.approx(loop, rel=1e-9)


def test_cost_does_not_grow_with_the_length():
    """As many steps are built for 64 tokens as for a million."""
    model = tf.load_model("gemma-3-4b")
    share = Share(model.description, Layout(), choose_precision())
    calls = []

    def works_at(cached):
        calls.append(cached)
        return share.works(decode_step(cached, 1))

    speeds = Rates(1e15, 1e12, 1e11, 1e11, 1e15, Efficiency())
    counts = []
    for steps in (64, 1_000_000):
        calls.clear()
        decode_s(works_at, 5000, steps, 1, speeds, window_ends(model.description))
        counts.append(len(calls))
    assert counts[0] == counts[1]


values = st.floats(-1e6, 1e6, allow_nan=False, allow_subnormal=False)


@given(values, values, st.integers(1, 50))
def test_positive_sum(first, last, count):
    """The sum of the positive part of an affine sequence, scalar and array alike."""
    last = last if count > 1 else first
    terms = [first + (last - first) * i / max(1, count - 1) for i in range(count)]
    expected = sum(max(0.0, term) for term in terms)
    scale = 1e-9 * (abs(first) + abs(last)) * count + 1e-12
    assert positive_sum(first, last, count) == pytest.approx(expected, abs=scale)
    arrays = (np.array([float(value)]) for value in (first, last, count))
    assert positive_sum(*arrays)[0] == pytest.approx(expected, abs=scale)


@pytest.mark.parametrize("turned", [False, True])
def test_a_step_takes_its_slower_line_and_a_gap_of_each_of_its_operators(turned):
    """1 to 5 s against 3 s always, with 0.5 s between: 3.5, 3.5, 3.5, 4.5 and 5.5, twice."""
    lines = (Line(1.0, 5.0, 5), Line(3.0, 3.0, 5))
    pace = Pace(2.0, *(lines[::-1] if turned else lines), 0.5, 5)
    assert [pace.at(step)[0] for step in range(5)] == [7.0, 7.0, 7.0, 9.0, 11.0]
    assert [pace.at(step)[1] for step in (0, 1, 3, 4)] == [0.0, 0.0, 2.0, 2.0]
    assert pace.total() == 41.0
    assert [pace.until(count).total() for count in (1, 3, 4)] == [7.0, 21.0, 30.0]
    assert pace.until(4).at(3) == pace.at(3)


def test_no_steps_take_no_time():
    """Nothing generated: only zero."""
    speeds = Rates(1.0, 1.0, 1.0, 1.0, 1.0, Efficiency(step_s=3.0))
    assert decode_s(lambda cached: [], 10, 0, 1, speeds, ()) == 0
    assert speeds.overhead_s(1) == 3.0
