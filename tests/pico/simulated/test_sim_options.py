"""The words of a URL and of the command line mean the same, and nonsense is named."""

from __future__ import annotations

import math

import pytest
from thermoflop.errors import UsageError
from thermoflop.pico.simulated.menu import MENU, Fault, parse_fault, parse_faults
from thermoflop.pico.simulated.options import Options, parse_options, parse_url


def test_no_words_are_the_defaults() -> None:
    assert parse_url("sim://") == ("", Options())


def test_a_url_says_all_words() -> None:
    name, options = parse_url(
        "sim://desk?seed=7&speed=max&ambient=20&heat=0+0W,+5+30W&watts=12&finger=5:10,30:2"
        "&fault=open@5:3&fault=corrupt=0.01,drop&uid=e66164084312abcd&vref=30&uptime=59"
    )
    assert name == "desk"
    assert options.seed == 7
    assert math.isinf(options.speed)
    assert options.heat == "0 0W, 5 30W"
    assert [f.end_s for f in options.fingers] == [15.0, 32.0]
    assert [f.kind for f in options.faults] == ["open", "corrupt", "drop"]
    assert options.uid_hex == "e66164084312abcd"
    assert (options.ambient_c, options.full_w, options.vref_mv, options.uptime_s) == (
        20,
        12,
        30,
        59,
    )


def test_each_seed_has_its_own_uid() -> None:
    uids = {Options(seed=seed).uid_hex for seed in range(200)}
    assert len(uids) == 200
    assert {len(uid) for uid in uids} == {16}


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("seed", "x"),
        ("seed", "-1"),
        ("seed", "1.5"),
        ("speed", "0"),
        ("speed", "nan"),
        ("speed", "inf"),
        ("ambient", "warm"),
        ("ambient", "1000"),
        ("watts", "-1"),
        ("finger", "soon"),
        ("finger", "5:"),
        ("finger", ""),
        ("uid", "xyz"),
        ("uid", "E66164084312ABCD"),
        ("vref", "1e9"),
        ("uptime", "-5"),
        ("sped", "1"),
    ],
)
def test_nonsense_is_refused_by_name(word: str, text: str) -> None:
    with pytest.raises(UsageError, match=word):
        parse_options([(word, text)])


@pytest.mark.parametrize("url", ["sim:///path", "sim://a/b", "sim://#x", "http://x"])
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(UsageError, match="sim://"):
        parse_url(url)


def test_every_kind_of_fault_can_be_written() -> None:
    for kind in MENU.values():
        text = f"{kind.name}@5" if kind.moment else f"{kind.name}@5:3"
        fault = parse_fault(text)
        assert fault.kind == kind.name
        assert fault.start_s == 5
        if not kind.moment:
            assert [fault.holds(t) for t in (4.9, 5.0, 7.9, 8.0)] == [False, True, True, False]


def test_a_fault_without_times_holds_always() -> None:
    fault = parse_fault("corrupt=0.5")
    assert fault == Fault("corrupt", -math.inf, math.inf, 0.5)
    assert fault.holds(-59.0)
    assert fault.holds(1e9)


def test_several_faults_in_one_text() -> None:
    assert [f.kind for f in parse_faults(["open@1:2, tear", "", "echo@3:4"])] == [
        "open",
        "tear",
        "echo",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "fire",
        "open@x",
        "open@5:3=1",
        "open@1.2.3",
        "corrupt=2",
        "corrupt=-1",
        "corrupt=nan",
        "corrupt=",
        "drift@1:2=hot",
        "reboot",
        "reboot@5:3",
        "reboot@5=kick",
        "unplug@5",
        "unplug",
        "stall@5",
        "unplug@5:2=wifi",
        "OPEN@5",
    ],
)
def test_a_fault_that_makes_no_sense_is_refused_with_its_text(text: str) -> None:
    with pytest.raises(UsageError, match=text.split("@", maxsplit=1)[0].split("=")[0]):
        parse_fault(text)
