"""The input controls of the estimator page: text fields with sliders, and lists."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Collection
from typing import Any
from weakref import WeakMethod

from nicegui import ui

from thermoflop.report.words import meaning
from thermoflop.web.estimator.fields import FIELDS, UPLOAD, Field, FieldError, default_rates
from thermoflop.web.estimator.inputs import DEFAULTS, Inputs
from thermoflop.web.estimator.upload import LARGEST_BYTES, read_packed
from thermoflop.web.parts import button

# The question stands in one bar; what few people change is folded away below it.
_BAR = ("model", "device", "prompt", "output", "images", "image_width", "image_height", "audio_s",
        "users", "dtype", "measured", "gpu", "batch", "heads", "width", "layers", "start", "end",
        "overhead_ms", "efficiency")  # fmt: skip
_MORE = (
    ("Engine, cache and price", ("profile", "kv_dtype", "price")),
    ("Several GPUs", ("tp", "pp", "dp", "ep")),
    ("Attention what-ifs", ("attention", "groups", "rank")),
)
_FOLDED = [name for _, names in _MORE for name in names]
_SEARCHED = ("model", "device")
_TYPING_S = 0.15  # a pause in typing after which a number counts


class Choice(ui.select):
    """A list to choose from, whose options reach the browser once, and change by `set_options`.

    NiceGUI's own list makes its options anew, and watches each for changes, whenever anything of it
    changes: for some hundred models and GPUs that was two thirds of what building the page took.
    """

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


class InputPanel:
    """All input controls; ``change`` is called with the name and raw value of a changed input."""

    def __init__(
        self,
        change: Callable[[str, object], None],
        upload: Callable[[Any], Awaitable[None]],
        too_large: Callable[[object], None],
    ) -> None:
        self.change, self.upload, self.too_large = change, upload, too_large
        self.fields: dict[str, Any] = {}
        self.sliders: dict[str, Any] = {}
        self.boxes: dict[str, Any] = {}
        self.quiet = self.unfolded = False

    def build(self, inputs: Inputs) -> None:
        """Build the bar of the question, and the frame of the folded rest.

        A control is built when it is first needed: those of the other tab, and of groups that stay
        folded, would be most of what the browser has to build before anything is seen.
        """
        with ui.element("div").classes("est-bar"):
            for name in _BAR:
                self._place_field(name)
        with ui.element("details").classes("est-more") as self.more:
            with ui.element("summary"):
                ui.label("More: engine, price, several GPUs, config.json")
            with ui.element("div").classes("est-groups"):
                for title, names in _MORE:
                    self._build_group(title, names)
        self.more.on("toggle", self._unfold)
        if any(getattr(inputs, name) != getattr(DEFAULTS, name) for name in _FOLDED):
            self._open()
        self.follow(inputs, "")

    def _open(self) -> None:
        """Unfold what is folded away."""
        self.more.props["open"] = True
        self.unfolded = True

    def _unfold(self) -> None:
        """Build what was folded away, now that it is looked at."""
        if not self.unfolded:
            self.unfolded = True
            self.follow(self.inputs, "")

    def _build_group(self, title: str, names: tuple[str, ...]) -> None:
        with ui.element("fieldset"):
            with ui.element("legend"):
                ui.label(title)
            for name in names:
                self._place_field(name)
            if "price" in names:
                self._build_upload()

    def _place_field(self, name: str) -> None:
        """The place of a field that is not built yet."""
        self.boxes[name] = ui.element("div").classes(f"field f-{name}")
        self.boxes[name].set_visibility(False)

    def _build_field(self, field: Field, inputs: Inputs) -> None:
        label = field.label[0].upper() + field.label[1:]
        label += f" ({field.unit})" if field.unit else ""
        value = getattr(inputs, field.name)
        with self.boxes[field.name]:
            if field.choices is not None:
                known = field.listed()
                made: Any = Choice(
                    known if value in known else {**known, value: value}, label=label, value=value,
                    with_input=field.name in _SEARCHED,
                    on_change=lambda event: self._changed(field.name, event.value),
                )  # fmt: skip
            else:
                made = ui.input(
                    label, value=_written(value),
                    on_change=lambda event: self._changed(field.name, event.value),
                ).props(f"inputmode={_keys(field)} autocomplete=off "
                        f"debounce={int(1000 * _TYPING_S)}")  # fmt: skip
                if field.stops:
                    self._build_slider(field, label, value)
            if field.hint:
                made.props["hint"] = field.hint
            made.props("outlined dense").without_auto_validation()
            if text := meaning(field.label):
                made.props["title"] = text
            if field.name in _SEARCHED:
                self._search(field.name, made)
            self.fields[field.name] = made

    def _search(self, name: str, made: Any) -> None:
        """Let a name be typed: the best match comes first, and Enter takes what is typed."""
        made.props("input-debounce=0")  # a list that comes later opens over the answer
        for what, script in (
            ("focus", f"() => thermoflopSearch({made.id}, emit)"),
            ("keydown", f"(event) => thermoflopTyped(event, {made.id}, emit)"),
        ):
            made.on(what, lambda event: self._typed(name, event.args), js_handler=script)

    def _typed(self, name: str, raw: object) -> None:
        """Take a name that was typed, and show the one that it means; a refused one stays."""
        self._changed(name, raw)
        made = self.fields[name]
        shown = raw if made.error else made.options[made.value]
        ui.run_javascript(f"thermoflopShow({made.id}, {json.dumps(shown)})")

    def _build_slider(self, field: Field, label: str, value: float) -> None:
        slider = ui.slider(
            min=0, max=len(field.stops) - 1, step=1, value=_nearest(field, value),
            on_change=lambda event: self._slid(field, event.value),
        )  # fmt: skip
        slider.props["aria-label"] = f"{label}, slider"
        slider.props["aria-valuetext"] = _written(value)
        self.sliders[field.name] = slider

    def _build_upload(self) -> None:
        with ui.element("div").classes("field") as box:
            chooser = ui.upload(
                on_upload=_while_shown(self.upload), on_rejected=_while_shown(self.too_large),
                max_file_size=LARGEST_BYTES, auto_upload=True,
            ).props("accept=.json,application/json").classes("chooser")  # fmt: skip
            chooser.props["aria-label"] = "config.json"
            chooses = button("Upload a config.json", None).classes("est-wide")
            chooses.on("click", js_handler="() => thermoflopUploader().pickFiles()")
        self.boxes["upload"] = box

    def _slid(self, field: Field, index: float | None) -> None:
        if not self.quiet and index is not None and 0 <= index < len(field.stops):
            self._changed(field.name, field.stops[int(index)])

    def _changed(self, name: str, raw: object) -> None:
        if not self.quiet:
            self.change(name, raw)

    def refuse(self, name: str, message: str) -> None:
        """Show an error beside an input."""
        if name in _FOLDED:
            self._open()
            self.follow(self.inputs, "")
        field = self.fields.get(name) or self.fields.get("model")
        if field is not None:
            field.error = message

    def accept(self, name: str) -> None:
        """Clear the error of an input."""
        if name in self.fields:
            self.fields[name].error = None

    def follow(self, inputs: Inputs, typed: str, unread: Collection[str] = ()) -> None:
        """Show these inputs; the field ``typed`` is left alone while the user types in it, and
        those that are ``unread`` keep what was typed in them beside the reason."""
        self.quiet, self.inputs = True, inputs
        try:
            self._build_used(inputs)
            self._follow_model(inputs)
            self._follow_device(inputs)
            for name, made in self.fields.items():
                if name in unread:
                    continue
                value = getattr(inputs, name)
                slider = self.sliders.get(name)
                if slider is not None:
                    slider.value = _nearest(FIELDS[name], value)
                    slider.props["aria-valuetext"] = _written(value)
                if FIELDS[name].choices is not None:
                    _offer(made, value)
                    made.value = value
                elif name != typed or _differs(FIELDS[name], made.value, value):
                    made.value = _written(value)
            for name in self.fields:
                self.boxes[name].set_visibility(inputs.is_used(name))
            self.more.set_visibility(not inputs.original)
        finally:
            self.quiet = False

    def _build_used(self, inputs: Inputs) -> None:
        """Build the fields that these inputs use and that are not there yet."""
        folded = () if self.unfolded else _FOLDED
        for name in (*_BAR, *_FOLDED):
            if name not in (*self.fields, *folded) and inputs.is_used(name):
                self._build_field(FIELDS[name], inputs)

    def _follow_model(self, inputs: Inputs) -> None:
        """List the uploaded model under its name while there is one."""
        made = self.fields.get("model")
        if made is None:  # on the tab of the original page
            return
        options = FIELDS["model"].listed()
        if inputs.config:
            options[UPLOAD] = f"{read_packed(inputs.config).name[:60]} (uploaded)"
        else:
            del options[UPLOAD]
        if inputs.model not in options:
            options[inputs.model] = inputs.model
        if made.options != options:
            made.set_options(options)

    def _follow_device(self, inputs: Inputs) -> None:
        """Say of the engines' default what it is on the chosen device."""
        made = self.fields.get("profile")
        if made is not None and made.options["default"] != (said := default_rates(inputs.device)):
            made.set_options({**made.options, "default": said})


def _offer(made: Any, value: str) -> None:
    """List a name that is none of the catalogue's, such as that of a calibrated machine."""
    if value not in made.options:
        made.set_options({**made.options, value: value})


def _nearest(field: Field, value: float) -> int:
    """Index of the slider stop nearest to a value."""
    return min(range(len(field.stops)), key=lambda place: abs(field.stops[place] - value))


def _while_shown(method: Callable[..., Any]) -> Callable[[Any], Any]:
    """A callback that holds ``method`` weakly.

    NiceGUI gives each upload a route of its own, and FastAPI's caches keep the functions of routes
    that were removed, so that a page would stay in memory after it was closed.
    """
    reference = WeakMethod(method)

    def call(event: Any) -> Any:
        live_method = reference()
        return None if live_method is None else live_method(event)

    return call


def _keys(field: Field) -> str:
    """The keys that a phone shows."""
    if field.takes is not None:
        return "text"
    return "numeric" if field.whole else "decimal"


def _written(value: float | str) -> str:
    return str(value) if isinstance(value, int | str) else f"{value:g}"


def _differs(field: Field, typed: Any, value: float) -> bool:
    try:
        return bool(field.read(typed) != value)
    except FieldError:
        return True
