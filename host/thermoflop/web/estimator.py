"""The estimator in the browser."""

from __future__ import annotations


def estimator_page() -> None:
    """Build the page at ``/``."""
    from nicegui import ui

    from thermoflop.web.frame import frame

    with frame("Estimator", active="/"):
        ui.label("The estimator comes here.")
