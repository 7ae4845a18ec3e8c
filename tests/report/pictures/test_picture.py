"""The picture: well-formed, small, and honest about gaps, peaks and faults."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit.board_lines import introduction, sample_line
from thermoflop.pico.track import Item, Tracker
from thermoflop.report.pictures.run_picture import draw, draw_run, subtitle
from thermoflop.report.pictures.trace import MAX_POINTS, MAX_SPANS, Trace, Tracer
from thermoflop.report.summary import summarize
from thermoflop.runs.folder.store import RunStore


def heard(*lines: bytes) -> list[Item]:
    """The items of a board that said ``lines``, one every 0.2 s."""
    tracker = Tracker()
    tracker.opened()
    items: list[Item] = []
    for n, line in enumerate((introduction(), *lines)):
        items += tracker.feed(line, 0.2 * n, 1.75e9 + 0.2 * n)
    return items


def trace(items: list[Item]) -> Trace:
    """What the picture of these items needs."""
    tracer = Tracer()
    for item in items:
        tracer.add(item)
    return tracer.trace()


def drawn(items: list[Item]) -> ET.Element:
    """The picture of these items, parsed: it must be well-formed."""
    return ET.fromstring(draw(trace(items), "title <&> 1", "below"))  # noqa: S314 - our own text


def texts(picture: ET.Element) -> list[str]:
    """Every word in the picture."""
    return [e.text or "" for e in picture.iter("{http://www.w3.org/2000/svg}text")]


def paths(picture: ET.Element, color: str) -> list[str]:
    """The lines of measured data in one colour."""
    return [
        e.get("d", "")
        for e in picture.iter("{http://www.w3.org/2000/svg}path")
        if e.get("stroke") == color and e.get("stroke-linejoin")
    ]


def test_a_run_is_drawn_with_axes_units_thresholds_and_legend() -> None:
    """Everything a reader needs stands in the picture."""
    words = texts(drawn(heard(*(sample_line(n, temp_c=27 + n / 20, fan=n % 2) for n in range(60)))))
    for word in ("title <&> 1", "below", "°C", "seconds", "on 29.0 °C", "off 28.0 °C", "fan"):
        assert word in words
    assert "temperature" in words
    assert "no data" not in words


def test_a_gap_breaks_the_line_and_is_shown() -> None:
    """No line is drawn over samples that never came."""
    lines = [sample_line(n) for n in range(40) if not 10 <= n < 20]
    items = heard(*lines)
    assert len(trace(items).lines) == 2
    assert trace(items).gaps == [pytest.approx((1.8, 4.0))]
    picture = drawn(items)
    assert len(paths(picture, "#c2410c")) == 2
    assert "no data" in texts(picture)


def test_an_invalid_reading_is_no_point_and_its_fault_is_named() -> None:
    """Null is a hole with a name, never a zero."""
    lines = [
        sample_line(n, temp_c=None, flags=("open",)) if 10 <= n < 20 else sample_line(n)
        for n in range(40)
    ]
    items = heard(*lines)
    assert min(c for line in trace(items).lines for _, c in line) > 25
    assert trace(items).faults == {"open": [pytest.approx((2.0, 4.0))]}
    assert "sensor open" in texts(drawn(items))


def test_the_fans_spans_are_its_samples() -> None:
    """On from the sample that says so to the one that says otherwise."""
    items = heard(*(sample_line(n, fan=int(5 <= n < 15)) for n in range(30)))
    assert trace(items).fan == [pytest.approx((1.0, 3.0))]


def test_a_reboot_is_marked_and_time_goes_on() -> None:
    """The new boot's clock starts at zero, the picture's does not."""
    items = heard(
        *(sample_line(n, "aaaaaa") for n in range(20)),
        *(sample_line(n, "bbbbbb") for n in range(20)),
    )
    seen = trace(items)
    assert [name for _, name in seen.marks] == ["reboot"]
    assert seen.end_s == pytest.approx(7.8, abs=0.3)


def test_a_hundred_thousand_samples_stay_small_and_keep_their_peaks() -> None:
    """Each stretch keeps its lowest and highest reading."""
    peaks = {12_345: 61.5, 77_777: -3.25}
    tracker = Tracker()
    tracker.opened()
    items = tracker.feed(introduction(), 0.0, 0.0)
    for n in range(100_000):
        temp_c = peaks.get(n, 25 + (n % 7) / 100)
        items += tracker.feed(sample_line(n, temp_c=temp_c, fan=n // 50 % 2), 0.2 * n, 0.0)
    seen = trace(items)
    temps = [c for line in seen.lines for _, c in line]
    assert (min(temps), max(temps)) == (-3.25, 61.5)
    assert len(temps) <= MAX_POINTS + 2
    assert len(seen.fan) <= MAX_SPANS
    text = draw(seen, "long", "")
    assert len(text) < 100_000
    ys = [float(y) for y in re.findall(r",([\d.]+)", paths(ET.fromstring(text), "#c2410c")[0])]  # noqa: S314
    assert max(ys) - min(ys) > 200


SAMPLES = st.builds(
    sample_line,
    seq=st.integers(0, 30),
    boot=st.sampled_from(["aaaaaa", "bbbbbb"]),
    temp_c=st.none() | st.floats(-200, 1900).map(lambda c: round(c, 3)),
    fan=st.integers(0, 1),
    flags=st.lists(st.sampled_from(["open", "brandnew"]), unique=True).map(tuple),
    up_s=st.floats(0, 1e9).map(lambda s: round(s, 3)),
)


@settings(max_examples=60)
@given(st.lists(SAMPLES, max_size=30))
def test_whatever_a_board_says_can_be_drawn(lines: list[bytes]) -> None:
    """Clocks that jump, boots that alternate, readings off the scale."""
    items = heard(*lines)
    summary = summarize(items)
    picture = draw(trace(items), "any", subtitle(summary))
    assert "nan" not in picture
    assert "inf" not in picture
    assert ET.fromstring(picture) is not None  # noqa: S314
    assert json.dumps(summary.to_json(), allow_nan=False)


def test_a_run_without_one_valid_sample_still_has_a_picture() -> None:
    """Empty axes, not an error."""
    assert drawn([]) is not None
    assert drawn(heard(sample_line(0, temp_c=None, flags=("open",)))) is not None


def test_a_folder_is_drawn_even_when_its_recorder_was_killed(tmp_path: Path) -> None:
    """No run.json and a torn tail."""
    store = RunStore(tmp_path)
    for item in heard(*(sample_line(n) for n in range(9))):
        store.write(item)
    store.close()
    with (store.folder / "samples.jsonl").open("ab") as file:
        file.write(b'{"mono_s":1.0,"wall')
    path = draw_run(store.folder)
    assert path.name == "picture.svg"
    assert ET.fromstring(path.read_text()) is not None  # noqa: S314
