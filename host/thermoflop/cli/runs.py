"""``thermoflop runs``: list, filter, show and export what was recorded."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from thermoflop.errors import UsageError

if TYPE_CHECKING:
    from thermoflop.runs.folder.index import Entry

_WHAT = ("list", "show", "export", "delete")
EPILOG = """\
examples:
  thermoflop runs                            all runs of the folder runs
  thermoflop runs --label gpu=h200 --failed
  thermoflop runs show last                  the figures of the newest run
  thermoflop runs export last --out last.csv
  thermoflop runs delete demo-a1b2c3         asks first; with --yes it does not
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add(
        "what",
        nargs="?",
        choices=_WHAT,
        default="list",
        help="(list)",
        metavar=f"{{{','.join(_WHAT)}}}",
    )
    add("which", nargs="?", metavar="RUN", help="folder, name, id, or last")
    add("--in", dest="where", type=Path, default=Path("runs"), metavar="DIR", help="(runs)")
    add("--name", metavar="TEXT", help="only runs whose folder's name has this in it")
    add("--label", action="append", default=[], metavar="KEY=VALUE", help="only runs with it")
    add("--failed", action="store_true", help="only runs that did not end with exit code 0")
    add(
        "--out",
        type=Path,
        metavar="FILE",
        help="of export: .csv or .parquet (RUN.csv, here)",
    )
    add("--yes", action="store_true", help="of delete: do not ask")
    add("--json", action="store_true", help="print as JSON")


def run(args: argparse.Namespace) -> int:
    """List, show or export."""
    if args.what == "list":
        return _list(args)
    from thermoflop.runs.folder.index import find

    if args.what == "delete" and args.which is None:
        raise UsageError("delete needs the name of a run: see `thermoflop runs`")
    folder = find(args.which or "last", args.where)
    if args.what == "delete":
        return _delete(folder, args)
    return _show(folder, args) if args.what == "show" else _export(folder, args)


def _list(args: argparse.Namespace) -> int:
    from thermoflop.runs.folder.index import choose, entries

    labels = [_label(text) for text in args.label]
    found = choose(entries(args.where), name=args.name, labels=labels, failed=args.failed)
    if args.json:
        print(json.dumps([entry.to_json() for entry in found]))
        return 0
    for entry in found:
        print(_line(entry))
    if not found:
        print("no run is like that", file=sys.stderr)
    return 0


def _show(folder: Path, args: argparse.Namespace) -> int:
    from thermoflop.report.terminal.terminal import lines
    from thermoflop.runs.analysis.analyze import analyze

    found = analyze(folder)
    if args.json:
        print(json.dumps(found.to_json(), allow_nan=False))
    else:
        print("\n".join(lines(found)))
    return 0


def _export(folder: Path, args: argparse.Namespace) -> int:
    from thermoflop.runs.folder.export import export

    path = args.out or Path(f"{folder.name}.csv")
    print(f"{export(folder, path)} records in {path}")
    return 0


def _delete(folder: Path, args: argparse.Namespace) -> int:
    from thermoflop.runs.folder.index import delete, size_bytes

    if not args.yes:
        if not sys.stdin.isatty():
            raise UsageError(f"nobody can be asked whether {folder.name} may go: say --yes")
        n_files, n_bytes = size_bytes(folder)
        print(f"delete {folder} ({n_files} files, {n_bytes / 1e6:.1f} MB)? [y/N] ", end="")
        sys.stdout.flush()
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            print("kept", file=sys.stderr)
            return 0
    delete(folder, args.where)
    print(f"deleted {folder}")
    return 0


def _line(entry: Entry) -> str:
    from thermoflop.report.messages import visible

    length = "" if entry.duration_s is None else f"{entry.duration_s:.1f} s"
    command = entry.run.get("command")
    words = " ".join(str(word) for word in command) if isinstance(command, list) else ""
    labels = " ".join(f"{key}={value}" for key, value in entry.labels.items())
    text = f"{entry.folder.name}  {length:>10}  {entry.state:<10}  {labels}  {words}"
    return _cut(visible(text[:200]).rstrip())


def _cut(text: str) -> str:
    """In a terminal, one line of it; whole where a program reads."""
    if not sys.stdout.isatty():
        return text
    width = max(40, shutil.get_terminal_size().columns)
    return text if len(text) <= width else text[: width - 1] + "…"


def _label(text: str) -> tuple[str, str]:
    key, sign, value = text.partition("=")
    if not key or not sign:
        raise UsageError(f"--label {text!r} is not of the form KEY=VALUE")
    return key, value
