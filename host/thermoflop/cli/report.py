"""``thermoflop report RUN [RUN...]``: one page of one or more runs."""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.epilog = "The page is one file that opens offline. Exit code 3 when RUN is not a run."
    parser.add_argument("runs", nargs="+", metavar="RUN", help="folder, name, id, or last")
    parser.add_argument(
        "--out", type=Path, metavar="FILE",
        help="default: RUN/report.html; of several runs, compare.html in the first one's folder",
    )  # fmt: skip
    parser.add_argument(
        "--in", dest="where", type=Path, default=Path("runs"), metavar="DIR", help="where runs are"
    )
    parser.add_argument("--svg", type=Path, metavar="FILE", help="also a still picture of RUN")
    parser.add_argument("--png", type=Path, metavar="FILE", help="the same as PNG (extra: png)")
    parser.add_argument("--json", action="store_true", help="the analysis as JSON; no page")


def run(args: argparse.Namespace) -> int:
    """Write the page, or print the analysis."""
    from thermoflop.report.html.page import write_report
    from thermoflop.runs.folder.index import find

    folders = [find(word, args.where) for word in args.runs]
    if args.json:
        from thermoflop.runs.analysis.analyze import analyze

        found = [analyze(folder).to_json() for folder in folders]
        print(json.dumps(found if len(found) > 1 else found[0], allow_nan=False))
        return 0
    print(write_report(folders, args.out))
    if args.svg is not None:
        from thermoflop.report.pictures.panels_svg import write_still

        print(write_still(folders[0], args.svg))
    if args.png is not None:
        from thermoflop.report.pictures.panels_png import write_figure

        print(write_figure(folders[0], args.png))
    return 0
