"""``thermoflop report RUN [RUN...]``: one page of one or more runs."""

from __future__ import annotations

import argparse

from thermoflop.cli.arguments import add_shared, json_text, path
from thermoflop.cli.parser import svg_path
from thermoflop.cli.streams import reading
from thermoflop.errors import UsageError

EPILOG = "The page is one file that opens offline. Exit code 3 when RUN is not a run."


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add = parser.add_argument
    add("runs", nargs="+", metavar="RUN", help="folder, name, id, or last")
    add(
        "--out", type=path, metavar="FILE",
        help="default: RUN/report.html; of several runs, compare.html in the first one's folder",
    )  # fmt: skip
    add_shared(parser, "--in", help="where runs are")
    add_shared(
        parser, "--svg", type=lambda text: path(svg_path(text)), help="also a still picture of RUN"
    )
    add("--png", type=path, metavar="FILE", help="the same as PNG (extra: png)")
    add_shared(parser, "--json", help="the analysis as JSON; no page")
    add(
        "--markdown", action="store_true",
        help="a summary to paste: what it should have cost, what it cost, what heat took; no page",
    )  # fmt: skip


def run(args: argparse.Namespace) -> None:
    """Write the page, or print the analysis."""
    from thermoflop.report.html.page import write_report
    from thermoflop.runs.analysis.analyze import analyze
    from thermoflop.runs.folder.index import find

    if args.out is not None and args.out.is_dir():
        raise UsageError(
            f"--out {args.out} is a folder: name the page's file; --in says where runs are"
        )
    folders = [find(word, args.where) for word in args.runs]
    if args.json:
        analyses = [analyze(folder).to_json() for folder in folders]
        print(json_text(analyses if len(analyses) > 1 else analyses[0]))
        return
    if args.markdown:
        from thermoflop.report.markdown import markdown

        with reading(folders):
            texts = [markdown(analyze(folder)) for folder in folders]
        print("\n".join(texts), end="")
        return
    with reading(folders):
        page = write_report(folders, args.out)
    print(page)
    if args.svg is not None:
        from thermoflop.report.pictures.panels_svg import write_still

        print(write_still(folders[0], args.svg))
    if args.png is not None:
        from thermoflop.report.pictures.panels_png import write_figure

        print(write_figure(folders[0], args.png))
