"""The still picture as PNG, drawn by matplotlib: it needs no screen and brings its own letters.

For slides and chats that take no SVG. The panels, colours and bands are those of the SVG.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from thermoflop.base.chart import GRID, INK, SOFT
from thermoflop.base.files import write_file
from thermoflop.errors import MissingExtra
from thermoflop.report.html.series import run_series
from thermoflop.report.pictures.panels_svg import COLORS, FAN, HOT, phase_colors

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDTH_IN, _PANEL_IN, _DPI = 9.6, 1.7, 150


def write_figure(folder: Path, path: Path) -> Path:
    """Draw the run in ``folder`` into ``path``; MissingExtra without matplotlib."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
    except ImportError as error:
        raise MissingExtra(
            "a PNG needs matplotlib: pip install 'thermoflop[png]' (--svg needs nothing)"
        ) from error
    from thermoflop.runs.analysis.analyze import analyze

    canvas: Any = FigureCanvasAgg(_figure(run_series(analyze(folder))))
    write_file(str(path), canvas.print_png)
    return path


def _figure(run: dict[str, Any]) -> Any:
    from matplotlib.figure import Figure

    panels = run["panels"]
    height = 0.9 + _PANEL_IN * max(1, len(panels))
    figure = Figure(figsize=(_WIDTH_IN, height), dpi=_DPI, layout="constrained")
    figure.suptitle(_plain(run["name"]), x=0.01, ha="left", color=INK, fontsize=12)
    ratios = [0.16, *[1.0] * max(1, len(panels))]
    strip, *axes = figure.subplots(len(ratios), 1, sharex=True, height_ratios=ratios)
    _phases(strip, run)
    for one, panel in zip(axes, panels, strict=False):
        _panel(one, run, panel)
    start, end = min(run["start"], 0.0), max(run["end"], run["start"] + 1e-3)
    axes[-1].set_xlim(start, end)
    axes[-1].set_xlabel("seconds", color=SOFT, fontsize=9)
    return figure


def _phases(axes: Axes, run: dict[str, Any]) -> None:
    """A strip of the phases, each name once beside it."""
    axes.set_axis_off()
    colors = phase_colors(run)
    for phase in run["phases"]:
        width = max(phase["end"] - phase["start"], 1e-6)
        color = colors[phase["name"]]
        axes.barh(0, width, left=phase["start"], color=color, alpha=0.35, label=None)
    handles = [axes.barh(0, 0, color=color, alpha=0.35) for color in colors.values()]
    if handles:
        names = [_plain(name) for name in colors]
        axes.legend(handles, names, loc="lower left", bbox_to_anchor=(0, 1), ncols=6, frameon=False,
                    fontsize=8, labelcolor=SOFT, borderaxespad=0)  # fmt: skip


def _panel(axes: Axes, run: dict[str, Any], panel: dict[str, Any]) -> None:
    axes.set_title(f"{panel['title']}, {panel['unit']}", loc="left", color=INK, fontsize=9)
    for start, end in run["fan"]:
        axes.axvspan(start, end, color=FAN, alpha=0.09, linewidth=0)
    for span in run["throttle"]:
        axes.axvspan(span["start"], span["end"], color=HOT, alpha=0.09, linewidth=0)
    for curve in panel["curves"]:
        color = COLORS.get(curve["color"], INK)
        t_s = [point[0] for point in curve["points"]]
        values = [float("nan") if point[1] is None else point[1] for point in curve["points"]]
        known = [value for value in values if value == value]
        style = "--" if "dash" in curve else "-"
        axes.plot(t_s, values, color=color, linewidth=1.2, linestyle=style,
                  label=f"{curve['name']}: {min(known):.4g} to {max(known):.4g}")  # fmt: skip
    low, high = axes.get_ylim()
    near = high - low + 1
    for level in panel["levels"]:
        if low - near < level["value"] < high + near:
            axes.axhline(level["value"], color=SOFT, linewidth=0.8, linestyle="--",
                         label=f"{level['name']} {level['value']:g}")  # fmt: skip
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=6, frameon=False, fontsize=8,
                labelcolor=SOFT, borderaxespad=0, handlelength=1.4)  # fmt: skip
    axes.grid(axis="y", color=GRID, linewidth=0.6)
    axes.tick_params(labelsize=8, labelcolor=SOFT, color=SOFT)
    for side in ("top", "right", "left", "bottom"):
        axes.spines[side].set_visible(side == "bottom")
        axes.spines[side].set_color(GRID)


def _plain(text: str) -> str:
    """Text as it is: no formulas between dollars, and nothing that cannot be printed."""
    printable = "".join(c if c.isprintable() else "?" for c in text)
    return printable.replace("$", r"\$")
