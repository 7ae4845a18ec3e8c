"""``thermoflop runs``: list, filter, show and export what was recorded."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from thermoflop.cli.arguments import Offered, add_shared, path, print_result, read_label
from thermoflop.cli.streams import reading, tell
from thermoflop.errors import InputError, UsageError

if TYPE_CHECKING:
    from pathlib import Path


_ACTIONS = Offered(("list", "show", "compare", "note", "export", "delete"))
EPILOG = """\
examples:
  thermoflop runs                            all runs of the folder runs
  thermoflop runs --label gpu=h200 --failed
  thermoflop runs show last                  the figures of the newest run; `runs last` too
  thermoflop runs compare fp8 bf16           which was hotter, faster, and is that real?
  thermoflop runs note last "new paste"      keep a note in its folder; "" takes it away
  thermoflop runs export last --out last.csv
  thermoflop runs delete demo-a1b2c3         asks first; with --yes it does not
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add = parser.add_argument
    metavar = f"{{{','.join(_ACTIONS)}}}"
    add("action", nargs="?", choices=_ACTIONS, default="list", help="(list)", metavar=metavar)
    add("which", nargs="*", metavar="RUN", help="folder, name, id, or last")
    add_shared(parser, "--in")
    add("--name", metavar="TEXT", help="only runs whose folder's name has this in it")
    add_shared(parser, "--label", help="only runs with it")
    add("--failed", action="store_true", help="only runs that failed or were cut off")
    add("--out", type=path, metavar="FILE", help="of export: .csv or .parquet (RUN.csv, here)")
    add("--phase", metavar="NAME", help="of compare: that phase (the longest that all runs have)")
    add("--yes", action="store_true", help="of delete: do not ask")
    add_shared(parser, "--json", help="print as JSON")


def run(args: argparse.Namespace) -> None:
    """List, show, compare, export or delete."""
    if args.out is not None and args.action != "export":
        args.where = args.out  # as record calls the folder that runs are in
    from thermoflop.runs.folder.index import find

    if args.action not in tuple(_ACTIONS):
        _take_as_run(args)
    of_several = {"list": _list, "compare": _compare, "note": _note}
    if args.action in of_several:
        of_several[args.action](args)
        return
    if len(args.which) > 1:
        raise UsageError(f"{args.action} takes one run, not {len(args.which)}")
    if args.action == "delete" and not args.which:
        raise UsageError("delete needs the name of a run: see `thermoflop runs`")
    folder = find(args.which[0] if args.which else "last", args.where)
    of_one = {"show": _show, "export": _export, "delete": _delete}
    of_one[args.action](folder, args)


def _take_as_run(args: argparse.Namespace) -> None:
    """A run in the place of a word that says what to do means to show it. UsageError for none."""
    from thermoflop.base.messages import expected
    from thermoflop.runs.folder.index import find

    try:
        find(args.action, args.where)
    except InputError as error:
        if args.action == "last":
            raise
        asked = expected(args.action, _ACTIONS)
        raise UsageError(f"{args.action!r:.60} is no run in {args.where}: {asked}") from error
    args.action, args.which = "show", [args.action, *args.which]


def _compare(args: argparse.Namespace) -> None:
    from thermoflop.report.terminal.side_by_side import lines, to_json
    from thermoflop.runs.analysis.analyze import analyze
    from thermoflop.runs.analysis.side_by_side import MAX_RUNS
    from thermoflop.runs.folder.index import find

    folders = list(dict.fromkeys(find(word, args.where) for word in args.which))
    if not 2 <= len(folders) <= MAX_RUNS:
        raise UsageError(f"compare takes 2 to {MAX_RUNS} different runs, not {len(folders)}")
    with reading(folders):
        runs = [analyze(folder) for folder in folders]
    print_result(
        args, lambda: to_json(runs, args.phase), lambda: "\n".join(lines(runs, args.phase))
    )


def _list(args: argparse.Namespace) -> None:
    from dataclasses import asdict

    from thermoflop.base.progress import tracked
    from thermoflop.report.terminal.run_list import lines
    from thermoflop.runs.analysis.row import row_of
    from thermoflop.runs.folder.index import MAKE_ONE, choose, entries, without_samples
    from thermoflop.runs.folder.notes import read_note

    labels = [read_label(text) for text in args.label]
    is_new = str(args.where) == "runs" and not args.where.exists()  # nothing was recorded yet
    known = [] if is_new else entries(args.where)
    runs = choose(known, name=args.name, labels=labels, failed=args.failed)
    rows = [
        (entry, row_of(entry.folder), read_note(entry.folder))
        for entry in tracked(runs, "reading", lambda entry: entry.folder.name)
    ]
    print_result(
        args,
        lambda: [entry.to_json() | asdict(row) | {"note": note} for entry, row, note in rows],
        lambda: lines(rows),
    )
    if lost := [] if is_new else without_samples(args.where):
        tell(f"not listed, as they have no samples.jsonl: {', '.join(lost)}")
    if not (runs or args.json):
        asked = args.name or args.failed or labels
        tell("no run is like that" if asked else f"no run in {args.where} yet: {MAKE_ONE}")


def _note(args: argparse.Namespace) -> None:
    from thermoflop.runs.folder.index import find
    from thermoflop.runs.folder.notes import read_note, write_note

    if not 1 <= len(args.which) <= 2:
        raise UsageError(f"note takes a run and a text in quotes, not {len(args.which)} words")
    folder = find(args.which[0], args.where)
    print(write_note(folder, args.which[1]) if len(args.which) == 2 else read_note(folder))


def _show(folder: Path, args: argparse.Namespace) -> None:
    from thermoflop.report.terminal.terminal import lines
    from thermoflop.runs.analysis.analyze import analyze

    with reading([folder]):
        analysis = analyze(folder)
    print_result(args, analysis.to_json, lambda: "\n".join(lines(analysis)))


def _export(folder: Path, args: argparse.Namespace) -> None:
    from thermoflop.runs.folder.export import export

    target = args.out or path(f"{folder.name}.csv")
    print(f"{export(folder, target)} records in {target}")


def _delete(folder: Path, args: argparse.Namespace) -> None:
    from thermoflop.runs.folder.index import delete, size_bytes

    if not args.yes:
        if not sys.stdin.isatty():
            raise UsageError(f"nobody can be asked whether {folder.name} may go: say --yes")
        n_files, n_bytes = size_bytes(folder)
        print(f"delete {folder} ({n_files} files, {n_bytes / 1e6:.1f} MB)? [y/N] ", end="")
        sys.stdout.flush()
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            tell("kept")
            return
    delete(folder, args.where)
    print(f"deleted {folder}")
