"""Which page is at which address."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from thermoflop.web.site import Site


def register(site: Site) -> None:
    """Put every page at its address."""
    from nicegui import ui

    from thermoflop.web.estimator import estimator_page
    from thermoflop.web.frame import frame

    ui.page("/", title="Estimator · thermoflop")(estimator_page)

    @ui.page("/live", title="Live · thermoflop")
    def live() -> None:
        with frame("Live", active="/live"):
            ui.label("The live page comes here.")

    @ui.page("/runs", title="Runs · thermoflop")
    def runs() -> None:
        with frame("Runs", active="/runs"):
            ui.label(f"The runs of {site.runs.name} come here.")
