"""Reports of recorded runs, each a document of its own in a sandbox.

A report is made of what a run brought along, and its file may have been changed by anybody since.
So it is served with a policy that gives it an origin of its own: its scripts draw its curves, and
cannot read the page's cookie, ask the page for anything, or load anything.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from thermoflop.errors import InputError, ThermoflopError
from thermoflop.runs.store import RUN, SAMPLES, is_being_written

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

MAX_COMPARED = 8
_AT_ONCE = 2  # analyses: each may take a processor for a while
POLICY = (
    "sandbox allow-scripts; default-src 'none'; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


def find_run(runs: Path, name: str) -> Path:
    """The run of that name in that folder and nowhere else; InputError."""
    folder = runs / name
    plain = name not in ("", ".", "..") and Path(name).name == name and "\0" not in name
    if not plain or folder.is_symlink() or not (folder / SAMPLES).is_file():
        raise InputError(f"there is no run {name[:100]!r}")
    return folder


class Reports:
    """The addresses under which reports are found."""

    def __init__(self, runs: Path) -> None:
        """``runs`` is the folder with the runs."""
        self._runs = runs
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def one(self, request: Request) -> Response:
        """The report of one run: the one that was written, or a new one where there is none."""
        return await self._answer([request.path_params["name"]])

    async def compare(self, request: Request) -> Response:
        """One report of several runs."""
        return await self._answer(request.query_params.getlist("run"))

    async def _answer(self, names: list[str]) -> Response:
        from starlette.responses import HTMLResponse, PlainTextResponse

        headers = {"content-security-policy": POLICY, "cache-control": "no-store"}
        try:
            async with self._turns:
                text = await asyncio.to_thread(self._text, names)
        except ThermoflopError as error:
            return PlainTextResponse(f"{error}\n", 404, headers)
        return HTMLResponse(text, headers=headers)

    def _text(self, names: list[str]) -> str:
        from thermoflop.report.page import REPORT, page
        from thermoflop.runs.analysis.analyze import analyze

        if not 1 <= len(names) <= MAX_COMPARED:
            raise InputError(f"choose from 1 to {MAX_COMPARED} runs to look at, not {len(names)}")
        folders = [find_run(self._runs, name) for name in names]
        if len(folders) == 1 and _is_fresh(folders[0] / REPORT):
            return (folders[0] / REPORT).read_text(encoding="utf-8", errors="replace")
        return page([analyze(folder) for folder in folders])


def _is_fresh(report: Path) -> bool:
    """Whether a report was written after everything that it reports."""
    try:
        at_s = report.stat().st_mtime
        newest_s = max((report.parent / name).stat().st_mtime for name in (SAMPLES, RUN))
    except OSError:
        return False
    return not report.is_symlink() and at_s >= newest_s and not is_being_written(report.parent)
