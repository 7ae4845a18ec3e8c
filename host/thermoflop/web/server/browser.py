"""Open the page in the user's browser, without showing its token to other users of this machine."""

from __future__ import annotations

import html
import os
import tempfile
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def leading_to(url: str) -> str:
    """A document that goes on to ``url`` at once."""
    return f'<!doctype html><meta http-equiv="refresh" content="0;url={html.escape(url)}">\n'


@contextmanager
def open_page(url: str, private: bool) -> Iterator[None]:
    """Open ``url``; a private one through a file that is there, for its owner alone, meanwhile.

    Everybody on a machine may read the arguments of its processes, a browser's among them.
    """
    if not private:
        webbrowser.open(url)
        yield
        return
    descriptor, name = tempfile.mkstemp(suffix=".html", prefix="thermoflop-")  # with mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(leading_to(url))
        webbrowser.open(Path(name).as_uri())
        yield
    finally:
        with suppress(OSError):
            Path(name).unlink()
