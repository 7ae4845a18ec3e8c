"""The charts of the estimator page, as options of ECharts.

Text is coloured by our style sheet and lines by colours that stand out from white and from black,
so that nothing has to be drawn again when the theme changes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from math import ceil, floor, log10
from typing import Any

from thermoflop.base.units import digits

BLUE, ORANGE, GREEN, PINK, GREY = "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#808a99"
# Named, not inherited: ECharts measures text before it draws it.
_FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif'
_LINE = "path://M0 0h20v3h-20z"
_DASHES = "path://M0 0h8v3h-8zM12 0h8v3h-8z"
_AXIS = {"axisLine": {"lineStyle": {"color": GREY}}, "splitLine": {"lineStyle": {
    "color": GREY, "opacity": 0.3}}}  # fmt: skip


def draw(chart: Any, options: dict[str, Any]) -> None:
    """Give a chart its options where they are others."""
    if chart.options != options:
        chart.options.clear()
        chart.options.update(options)
        chart.update()


def _base() -> dict[str, Any]:
    return {
        "animation": False,
        "textStyle": {"fontFamily": _FONT},
        "legend": {"top": 0, "type": "plain", "itemWidth": 18, "itemGap": 12},
        "grid": {"left": 34, "right": 34, "top": 64, "bottom": 30, "containLabel": True},
        "tooltip": {"trigger": "item", "confine": True, "className": "tip"},
    }


def _axis(name: str, kind: str = "log", **more: Any) -> dict[str, Any]:
    label = {"hideOverlap": True}
    gap = {"nameLocation": "middle", "nameGap": 28}
    return {"type": kind, "name": name, "axisLabel": label, **gap, **_AXIS, **more}


def _series(name: str, kind: str, colour: str, data: Sequence[Any], **more: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, "color": colour, "data": data, **more}


def memory_options(data: Mapping[str, Any]) -> dict[str, Any]:
    """A stacked bar of the parts of memory, with the device's capacity as a line."""
    colours = (BLUE, ORANGE, GREEN, GREY)
    series: list[dict[str, Any]] = [
        {
            "name": name,
            "type": "bar",
            "stack": "memory",
            "barWidth": 34,
            "data": [_short(size)],
            "itemStyle": {"color": colour},
        }
        for (name, size), colour in zip(data["parts"], colours, strict=True)
    ]
    capacity = _short(data["capacity_gb"])
    series[0]["markLine"] = {
        "symbol": "none",
        "silent": True,
        "lineStyle": {"color": PINK, "width": 3, "type": "solid"},
        "label": {"show": False},
        "data": [{"xAxis": capacity}],
    }
    whole = sum(size for _, size in data["parts"])
    axis_name = f"GB; the line: what the GPU has, {digits(capacity)} GB"
    most = 1.08 * max(whole, data["capacity_gb"])
    return {
        **_base(),
        "grid": {"left": 8, "right": 14, "top": 32, "bottom": 26, "containLabel": True},
        "xAxis": _axis(axis_name, "value", min=0, max=_short(most))
        | {"axisLabel": {"hideOverlap": True, "showMaxLabel": False}},
        "yAxis": {"type": "category", "data": [""], "axisTick": {"show": False}},
        "series": series,
    }  # fmt: skip


def batch_options(data: Mapping[str, Any]) -> dict[str, Any]:
    """Time above and throughput below, each with its own axis, against the users at once."""
    rows, what = data["rows"], data["what"]
    users = [f"{row[0]:,}" for row in rows]

    def line(name: str, values: Sequence[float], colour: str, panel: int, **more: Any) -> Any:
        data = [_short(value) for value in values]
        return _series(name, "line", colour, data, symbolSize=7, xAxisIndex=panel,
                       yAxisIndex=panel, **more)  # fmt: skip

    def band(low: Sequence[float], high: Sequence[float], colour: str) -> list[Any]:
        """The interval: an unseen line, and the area from there up to the other end."""
        unseen = {"lineStyle": {"opacity": 0}, "symbol": "none", "silent": True, "stack": "band",
                  "tooltip": {"show": False}}  # fmt: skip
        widths = [upper - lower for lower, upper in zip(low, high, strict=True)]
        area = {"color": colour, "opacity": 0.22}
        return [
            line("", low, colour, 0, **unseen),
            line("80 % interval", widths, colour, 0, **unseen, areaStyle=area),
        ]

    bound, expected, low, high = ([row[place] for row in rows] for place in (4, 1, 2, 3))
    dashed = {"lineStyle": {"type": "dashed"}, "symbol": "none"}
    series = [
        line(f"{what}, ms", expected, BLUE, 0),
        *band(low, high, BLUE),
        line("bound, ms", bound, GREY, 0, **dashed),
        line("tokens/s of all", [row[5] for row in rows], ORANGE, 1),
    ]
    too_large = next((user for user, row in zip(users, rows, strict=True) if not row[6]), None)
    for place in (0, -1):
        series[place]["markArea"] = {
            "silent": True,
            "itemStyle": {"color": GREY, "opacity": 0.18},
            # by its right side, as a narrow area at the edge would cut its words
            "label": {"formatter": "does not fit", "position": "insideBottomRight"},
            # said where all fit, too: ECharts keeps what it is not told anew
            "data": [[{"xAxis": too_large}, {"xAxis": users[-1]}]] if too_large else [],
        }
    options = _base()
    options["tooltip"]["trigger"] = "axis"
    icons = {"80 % interval": "rect", "bound, ms": _DASHES}
    options["legend"]["data"] = [
        {"name": name, "icon": icons.get(name)} for each in series if (name := each["name"])
    ]
    sides = {"left": 34, "right": 14, "containLabel": True}
    both = {"link": [{"xAxisIndex": "all"}]}
    return {
        **options,
        "axisPointer": both,
        "grid": [
            {**sides, "top": 62, "bottom": "52%"}, {**sides, "top": "54%", "bottom": 30},
        ],
        "xAxis": [
            _axis("", "category", data=users, gridIndex=0),
            _axis("users at once", "category", data=users, gridIndex=1),
        ],
        "yAxis": [
            _upright(f"{what}, ms", [*low, *high], gridIndex=0),
            _upright("tokens/s of all", [row[5] for row in rows], gridIndex=1),
        ],
        "series": series,
    }  # fmt: skip


def roof_options(data: Mapping[str, Any]) -> dict[str, Any]:
    """Roofline: TFLOP/s reached against FLOP/byte."""
    corners = [[_short(x), _short(y)] for x, y in data["corners"]]
    series = [_series(data["name"], "line", GREY, corners, symbol="none", silent=True)]
    shapes = ("circle", "triangle", "diamond", "rect")
    for (title, dots), colour, shape in zip(
        data["steps"].items(), (BLUE, ORANGE, GREEN, PINK), shapes, strict=False
    ):
        drawn = [
            {
                "value": [_short(dot[0]), _short(dot[1]), *dot[2:5]],
                "label": {"position": dot[5]} if dot[5] else {"show": False},
            }
            for dot in dots
        ]
        series.append(_series(
            title, "scatter", colour, drawn, symbol=shape, symbolSize=11,
            label={"show": True, "fontSize": 11, "distance": 6, "formatter": "{@[4]}"},
            dimensions=["FLOP/byte", "TFLOP/s", "operators", "bound by", "label"],
            encode={"x": 0, "y": 1, "tooltip": [2, 0, 1, 3]},
            # on a phone the plot is narrower than labels were placed for: none on the axis
            **{":labelLayout": "(p) => p.labelRect.x < 66 ? {x: -9999} : {hideOverlap: true}"},
        ))  # fmt: skip
    base = _base()
    base["legend"]["data"] = [{"name": data["name"], "icon": _LINE}, *data["steps"]]
    return {
        **base,
        "xAxis": _axis("FLOP/byte"),
        "yAxis": _upright("TFLOP/s", [dot[1] for dots in data["steps"].values() for dot in dots]),
        "series": series,
    }


def frontier_options(data: Mapping[str, Any]) -> dict[str, Any]:
    """Tokens/s a GPU against tokens/s a user: the best of all layouts, its interval, and the
    question's own place."""
    points = [[_short(x), _short(y), label, _short(users)] for x, y, label, users in data["points"]]
    corners = [[_short(x), _short(y)] for x, y in data["band"]]
    here = [_short(each) for each in data["here"]]
    xs, ys = zip(*(each[:2] for each in (*points, *corners, here)), strict=True)
    columns = ["tokens/s a user", "tokens/s a GPU", "layout", "users"]
    # a shape of its own: ECharts fills the room under a line, not that between two
    drawn = (
        f"(params, api) => ({{type: 'polygon', shape: {{points: {json.dumps(corners)}"
        f".map((corner) => api.coord(corner))}}, style: {{fill: '{BLUE}', opacity: 0.22}}}})"
    )
    series = [
        _series("80 % interval", "custom", BLUE, [corners[0]], silent=True, clip=True, z=1,
                **{":renderItem": drawn}),
        _series("best of all layouts", "line", BLUE, points, symbolSize=7, dimensions=columns,
                encode={"x": 0, "y": 1, "tooltip": [2, 3, 0, 1]}),
        _series("this question", "scatter", ORANGE, [here], symbol="diamond", symbolSize=14,
                dimensions=columns[:2]),
    ]  # fmt: skip
    return {
        **_base(),
        "xAxis": _axis("tokens/s a user", min=_decade(min(xs)), max=_decade(max(xs), up=True)),
        "yAxis": _upright(
            "tokens/s a GPU", ys, min=_decade(min(ys)), max=_decade(max(ys), up=True)
        ),
        "series": series,
    }


def _upright(name: str, values: Sequence[float], **more: Any) -> dict[str, Any]:
    """A vertical axis whose name stands beside the widest of its labels, the powers of ten."""
    powers = (_decade(min(values)), _decade(max(values), up=True))
    widest = max(len(f"{power:,.10g}") for power in powers)
    return _axis(name, **more) | {"nameGap": 14 + 6.7 * widest}


def _decade(value: float, *, up: bool = False) -> float:
    """The power of ten below a value, or above it."""
    power = log10(value)
    return float(10.0 ** (ceil(power) if up else floor(power)))


def _short(value: float) -> float:
    """Round to the four significant digits of a tooltip."""
    return float(f"{value:.4g}")


# of each chart of an answer its title, and what makes its options of the data
CHARTS = {
    "memory": ("Memory of the fullest GPU", memory_options),
    "roof": ("Operators under the GPU's roofline", roof_options),
    "batches": ("With more users at once", batch_options),
}
