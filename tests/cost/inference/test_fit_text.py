"""What a fit prints, every figure in its place; the figures are made up."""

from __future__ import annotations

import pytest
import thermoflop as tf
from kit.made_up import DEVICE, decoder
from thermoflop.base.record import replace
from thermoflop.base.sheet import figures_of
from thermoflop.cost.engines.footprint import Load
from thermoflop.cost.inference.capacity import _over_cards
from thermoflop.cost.inference.room import LARGEST, room_of
from thermoflop.cost.inference.unequal import Card, Split
from thermoflop.cost.inference.what_fits import (
    fit_json,
    fit_sheet,
    fit_text,
    missing_text,
)
from thermoflop.cost.memory import Memory
from thermoflop.cost.work.share import Layout

MEMORY = Memory(4e9, 2e9, 1e9, 0.5e9, 10e9)


@pytest.fixture(scope="module")
def fitted():
    made = tf.fit(decoder(), DEVICE, batch=3, prompt=300, generate=41)
    return replace(
        made, memory=MEMORY, largest_batch=1234, longest_context=56_789, fewest_devices=3,
        fewest_plan=Layout(1, 3), cache_copies=1.0,
    )  # fmt: skip


def lines(fit) -> list[str]:
    return [" ".join(line.split()) for line in fit_text(fit).splitlines()]


def test_every_figure_stands_beside_its_name(fitted):
    said = lines(fitted)
    assert said[0].endswith("on 1 x made-up (one device), bf16, batch 3, 300 + 41 tokens: it fits")
    for line in (
        "weights 4.00 GB",
        "cache 2.00 GB",
        "activations 1.00 GB",
        "reserve 0.5 GB",
        "largest batch at this context: 1,234",
        "longest context at this batch: 56,789",
        "fewest devices for this: 3 (pp=3)",
    ):
        assert line in said
    assert any("7.50 GB of 10.0 GB a device" in line for line in said)
    assert not any("copied" in line for line in said)
    copied = lines(replace(fitted, cache_copies=2.63687))
    assert any("keep the cache 2.64 times: what they cannot share" in line for line in copied)
    none = replace(fitted, fewest_devices=None, fewest_plan=None)
    assert "fewest devices for this: more than 1,024" in lines(none)
    any_length = replace(fitted, longest_context=LARGEST)
    assert "longest context at this batch: no limit" in lines(any_length)
    assert "longest context at this batch: 1,099,511,627,775" in lines(
        replace(fitted, longest_context=2**40 - 1)
    )
    unlimited = replace(fitted, largest_batch=LARGEST)
    assert any(line.startswith("largest batch at this context: no limit") for line in
               lines(unlimited))  # fmt: skip


def test_the_sheet_has_the_three_figures(fitted):
    found = {each.key: each for each in figures_of([fit_sheet(fitted)])}
    assert (found["fit.batch"].value, found["fit.batch"].text) == (1234, "1,234")
    assert (found["fit.context"].value, found["fit.context"].text) == (56_789, "56,789 tokens")
    assert (found["fit.devices"].value, found["fit.devices"].text) == (3, "3 (pp=3)")


def test_what_is_missing_is_that_of_the_fullest_device_or_of_all_cards(fitted):
    """14 and 3.5 GB on one of 10; beside 2 GB on another there is room for 0.5, not for layers."""
    full = replace(MEMORY, weight_bytes=14e9)
    short = replace(fitted, memory=full)
    assert missing_text(short) == "7.50 GB missing"
    assert ": no: 7.50 GB missing" in " ".join(lines(short))
    light = Memory(2e9, 0.0, 0.0, 0.0, 10e9)
    cards = (Card(DEVICE, 7, full, False), Card(replace(DEVICE, name="other"), 5, light, True))
    two = replace(short, cards=cards)
    assert missing_text(two) == "7.50 GB missing on made-up"
    heavy = replace(two, cards=(cards[0], replace(cards[1], memory=replace(light, kv_bytes=9e9))))
    assert missing_text(heavy) == "8.50 GB missing on all cards together"
    said = lines(two)
    assert "made-up: 7 layers, 17.5 GB of 10.0 GB" in said
    assert "other: 5 layers and the output, 2.00 GB of 10.0 GB" in said
    assert " on made-up + other, " in said[0]
    made = fit_json(two)
    assert made["fits"] is False
    assert [card["layers"] for card in made["cards"]] == [7, 5]
    assert made["cards"][1]["memory"]["total_bytes"] == 2e9


def test_over_cards_the_fullest_decides_and_more_than_fits_does_not():
    """Layers of 25.6 MB over cards of 3 and 1 GB."""
    model = decoder(num_hidden_layers=60, intermediate_size=16_384)
    cards = tuple(replace(DEVICE, name=f"{size} GB", memory_bytes=size * 1e9) for size in (3, 1))
    room = room_of(model, cards[1], None, None, None, "llama.cpp", None)
    split, load = Split(room, cards, room.share(Layout())), Load(2, 100, 120)
    found = _over_cards(split, load, (None, None, 1, 1, 1, 1))
    left = [card.memory.capacity_bytes - card.memory.total_bytes for card in found.cards]
    assert found.memory.capacity_bytes - found.memory.total_bytes == min(left)
    assert (found.batch, found.prompt, found.generate) == (2, 100, 20)
    assert (found.plan, found.fewest_devices) == (Layout(1, 2), 1)
    assert split.fits(replace(load, sequences=found.largest_batch))
    assert not split.fits(replace(load, sequences=found.largest_batch + 1))
    longest = found.longest_context
    assert split.fits(replace(load, context=longest)) and longest <= 100_000  # noqa: PT018
    assert longest == 100_000 or not split.fits(replace(load, context=longest + 1))
