"""Reports of recorded runs, each a sandboxed document.

A report is made of what a run brought along, and its file may have been changed by anybody since.
So it is served with a policy that gives it an origin of its own: its scripts draw its curves, and
cannot read the page's cookie, ask the page for anything, or load anything.
"""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote, unquote_to_bytes

from thermoflop.base.files import read_bytes
from thermoflop.errors import InputError, ThermoflopError
from thermoflop.runs.analysis.side_by_side import MAX_RUNS
from thermoflop.runs.folder.index import is_run
from thermoflop.runs.folder.store import RUN, SAMPLES, is_being_written
from thermoflop.web.frame import THEME_COOKIE, plain_page

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

DARK = "@media screen and (prefers-color-scheme:dark){"  # as the report's style has it
_LARGEST_REPORT_BYTES = 256 << 20  # a report keeps curves of bounded length
_AT_ONCE = 2  # analyses: each may take a processor for a while
POLICY = (
    "sandbox allow-scripts; default-src 'none'; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


def address(name: str) -> str:
    """A run's name as a part of a URL, whatever bytes it has."""
    return quote(os.fsencode(name), safe="")


def sendable(name: str) -> str:
    """A name as valid text; bytes that are not UTF-8 become question marks."""
    return name.encode("utf-8", "replace").decode()


def find_run(runs: Path, name: str) -> Path:
    """The folder of a run, directly in ``runs``. Raises InputError when there is none."""
    folder = runs / name
    plain = name not in ("", ".", "..") and Path(name).name == name and "\0" not in name
    try:
        known = plain and not folder.is_symlink() and is_run(folder)
    except (OSError, ValueError):  # longer than a name can be, or not to be looked at by us
        known = False
    if not known:
        raise InputError(f"there is no run {name[:100]!r}")
    return folder


class Reports:
    """Register the routes of the reports."""

    def __init__(self, runs: Path, linked: bool = True) -> None:
        """``runs`` is the folder with the runs; ``linked``: a comparison leads to each report.

        A sandboxed page is a stranger to the server, so its links do not carry the cookie of a
        server that asks for one.
        """
        self._runs = runs
        self._linked = linked
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def one(self, request: Request) -> Response:
        """The report of one run: the file that was written, or a new one."""
        path = unquote_to_bytes(request.scope["raw_path"])
        return await self._answer(request, [os.fsdecode(path[len(b"/runs/") : -len(b"/report")])])

    async def compare(self, request: Request) -> Response:
        """Several runs side by side."""
        query = request.scope["query_string"].decode("latin-1")
        names = parse_qs(query, errors="surrogateescape").get("run", [])
        return await self._answer(request, list(dict.fromkeys(names)))

    async def _answer(self, request: Request, names: list[str]) -> Response:
        from starlette.responses import HTMLResponse

        theme = request.cookies.get(THEME_COOKIE, "")
        try:
            async with self._turns:
                text = await asyncio.to_thread(self._text, names)
        except ThermoflopError as error:
            text = plain_page("No report", f"{sendable(str(error))}.", theme)
            return HTMLResponse(text, 404, {"cache-control": "no-store"})
        headers = {"content-security-policy": POLICY, "cache-control": "no-store"}
        text = _in_colours(text, theme)
        return HTMLResponse(text.encode("utf-8", "replace"), headers=headers)

    def _text(self, names: list[str]) -> str:
        from thermoflop.report.html.page import REPORT, page
        from thermoflop.runs.analysis.analyze import analyze

        if not 1 <= len(names) <= MAX_RUNS:
            raise InputError(f"choose from 1 to {MAX_RUNS} runs to look at, not {len(names)}")
        folders = [find_run(self._runs, name) for name in names]
        if len(folders) == 1 and _is_fresh(folders[0] / REPORT):
            return _read_report(folders[0] / REPORT)
        links = [f"/runs/{address(name)}/report" if self._linked else "" for name in names]
        return page([analyze(folder) for folder in folders], links)


def _in_colours(text: str, theme: str) -> str:
    """A report follows the system's colours; where a theme was chosen on the page, that one."""
    screen = {"dark": "@media screen{", "light": "@media not all{"}.get(theme)
    return text if screen is None else text.replace(DARK, screen, 1)


def _read_report(report: Path) -> str:
    data = read_bytes(str(report), "a report", _LARGEST_REPORT_BYTES, links=False)
    return data.decode("utf-8", "replace")


def _is_fresh(report: Path) -> bool:
    """Whether a report is newer than everything that it reports."""
    try:
        written = report.lstat()
        newest_s = max((report.parent / name).lstat().st_mtime for name in (SAMPLES, RUN))
    except OSError:
        return False
    plain = stat.S_ISREG(written.st_mode)  # a pipe would hold up everybody's reports
    return plain and written.st_mtime >= newest_s and not is_being_written(report.parent)
