"""A list to choose from, whose options reach the browser once.

NiceGUI's own list makes its options anew, and watches each for changes, whenever anything of it
changes: for some hundred models and GPUs that was two thirds of what building the page took.
"""

from __future__ import annotations

from nicegui import ui


class Choice(ui.select):
    """NiceGUI's list, whose options change by `set_options` alone."""

    _sent: tuple[str, ...] = ()

    def _update_options(self) -> None:
        value, labels = self.value, tuple(self._labels)
        if labels != self._sent:
            self._sent = labels
            # a tuple: what is in a list would be watched
            self._props["options"] = tuple(
                {"value": place, "label": label} for place, label in enumerate(labels)
            )
        self._props[self.VALUE_PROP] = self._value_to_model_value(value)
        self.value = value if value in self._values else None
