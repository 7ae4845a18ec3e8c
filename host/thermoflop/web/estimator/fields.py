"""The inputs of the estimator page: names, units, limits, and the stops of their sliders."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from thermoflop.base.messages import nearest
from thermoflop.base.messages import quote_value as shortened
from thermoflop.base.record import record
from thermoflop.base.written import read_number
from thermoflop.errors import ThermoflopError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_LATER, _PAGE = ("estimate",), ("original",)
_BOTH = _LATER + _PAGE
SHAPE, UPLOAD = "shape", "upload"
CUSTOM_RATES = "own"
POOLED = "pooled over all engines"
SAME = "same"
PUBLISHED = "published"
ATTENTION = {
    "own": "as the model has it", "mha": "MHA", "gqa": "GQA", "mqa": "MQA", "mla": "MLA",
}  # fmt: skip
CACHE_FORMATS = (SAME, "bf16", "fp8", "int8", "int4")


class FieldError(UsageError):
    """An invalid value of one input; ``field`` is the input's name."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@record
class Field:
    """One input. ``stops`` are the values of its slider; ``modes`` are those that have it;
    ``resolve`` is how a name that is typed is found, ``takes`` whether a text is kept as it is,
    and ``hint`` what is said below it."""

    name: str
    label: str
    unit: str
    least: float = 1
    most: float = 1
    stops: tuple[float, ...] = ()
    whole: bool = True
    modes: tuple[str, ...] = _LATER
    choices: Callable[[], dict[str, str]] | None = None
    resolve: Callable[[str], str] | None = None
    takes: Callable[[str], bool] | None = None
    hint: str = ""

    def listed(self) -> dict[str, str]:
        """What can be chosen, and what each is called; nothing of a number."""
        return {} if self.choices is None else self.choices()

    def read(self, raw: object) -> int | float | str:
        """Parse a raw value. Raises FieldError naming it when it makes no sense."""
        if self.choices is not None:
            return self._chosen(raw)
        if self.takes is not None:
            return self._taken(raw, self.takes)
        number = _number(raw, 1024 if self.unit == "tokens" else 1000)
        fits = number is not None and self.least <= number <= self.most
        if number is None or not fits or (self.whole and number != int(number)):
            kind = "a whole number" if self.whole else "a number"
            raise FieldError(
                self.name,
                f"{self.label} {quote_value(raw)} makes no sense: expected {kind} from "
                f"{self.least:,g} to {_plain(self.most)}",
            )
        return int(number) if self.whole else number

    def _taken(self, raw: object, takes: Callable[[str], bool]) -> str:
        text = "" if raw is None else str(raw).strip()
        if text and (len(text) > 30 or not takes(text)):
            raise FieldError(
                self.name,
                f"{self.label} {quote_value(raw)} makes no sense: expected tokens/s of all users "
                "such as 72.4, or the time of a token such as 13.9ms",
            )
        return text

    def _chosen(self, raw: object) -> str:
        known = self.listed()
        raw = raw.strip() if isinstance(raw, str) else raw
        if self.resolve is not None and isinstance(raw, str) and 0 < len(raw) <= 100:
            shown = {label: name for name, label in known.items()}
            return self._resolved(self.resolve, shown.get(raw, raw))
        if isinstance(raw, str) and raw in known:
            return raw
        if isinstance(raw, str) and len(raw) <= 100:
            low = {name.lower(): name for name in known}
            if raw.lower() in low:
                return low[raw.lower()]
        near = nearest(raw, known) if isinstance(raw, str) else None
        hint = f"; the nearest is {near}" if near else ""
        raise FieldError(self.name, f"{self.label} {quote_value(raw)} is not known{hint}")

    def _resolved(self, resolve: Callable[[str], str], raw: str) -> str:
        """The name that is meant, as the command line finds it."""
        try:
            return resolve(raw)
        except ThermoflopError as error:
            sentence = error.sentence
            known = () if "nearest" in sentence else self.listed()
            raise FieldError(self.name, f"{self.label} {sentence}{_with(raw, known)}") from None


def _with(raw: str, names: Iterable[str]) -> str:
    """Some of the names that have what was typed in them, the shortest first, as a clause."""
    typed = raw.strip().lower()
    having = sorted((name for name in names if typed in name.lower()), key=len)
    more = ", …" if having[4:] else ""
    return f"; those with it are {', '.join(having[:4])}{more}" if having else ""


def quote_value(raw: object) -> str:
    """Quote a raw value in an error: shortened, and without unprintable characters."""
    if raw is None or raw == "":
        return "(empty)"
    return "".join(letter if letter.isprintable() else "?" for letter in shortened(raw))


def _plain(value: float) -> str:
    return f"{int(value):,}" if value == int(value) else f"{value:g}"


def _number(raw: object, kilo: int) -> float | None:
    """A number as people write it; ``k`` is a thousand of ``kilo``."""
    if isinstance(raw, bool) or not isinstance(raw, int | float | str) or raw == "":
        return None
    if isinstance(raw, str) and len(raw) > 30:
        return None
    try:
        written = read_number(raw, kilo) if isinstance(raw, str) else None
        number = float(raw) if written is None else written
    except (ValueError, OverflowError):
        return None
    return number if abs(number) < 1e15 else None


def _doubled(first: int, last: int) -> tuple[float, ...]:
    values = [float(first)]
    while values[-1] * 2 <= last:
        values.append(values[-1] * 2)
    return tuple(values)


def _with_halves(first: int, last: int) -> tuple[float, ...]:
    """Powers of two and the values half way between them."""
    values = []
    for value in _doubled(first, last):
        values += [value, value * 1.5] if value >= 2 else [value]
    return tuple(value for value in values if value <= last)


def _is_measured(text: str) -> bool:
    from thermoflop.runs.measured import read_number as measured

    return measured(text) is not None


def _modes() -> dict[str, str]:
    return {"estimate": "Any model on any GPU", "original": "The MHA-against-MQA page"}


def _models() -> dict[str, str]:
    from thermoflop.model.config.catalogue import names

    known = {SHAPE: "a shape of my own", UPLOAD: "the uploaded config.json"}
    return {name: name for name in names()} | known


def _model_named(name: str) -> str:
    """A name of the catalogue, one that is counted by the sizes of another, or a Hugging Face id
    in the local cache; never a path."""
    from thermoflop.model.config.catalogue import canonical, names, sized_as
    from thermoflop.model.config.source import named_source

    if name in (SHAPE, UPLOAD):
        return name
    says_format = named_source(name).named_format is not None  # the catalogue's name would not
    if says_format or sized_as(name):
        return name
    return canonical(name) if canonical(name) in names() else name


def _gpus() -> dict[str, str]:
    from thermoflop.cost.mqa_page.page import DEVICES

    return {name: name for name in DEVICES}


def _devices() -> dict[str, str]:
    from thermoflop.cost.catalogue.sheets import device_names

    return {name: name for name in device_names()}


def _device_named(name: str) -> str:
    """A device of the catalogue or a calibrated machine; a file is never read."""
    import os

    from thermoflop.cost.catalogue.devices import catalogue, find_device

    if name.endswith(".toml") or os.sep in name:
        raise UsageError(f"{quote_value(name)} is a file, and the page reads none")
    device = find_device(name)
    return device.name if catalogue().get(device.name) == device else name


def _formats() -> dict[str, str]:
    from thermoflop.cost.hardware.precision import precision_names
    from thermoflop.model.config.published_forms import MLX_FORMS

    names = (*precision_names(), *MLX_FORMS)
    return {PUBLISHED: "as published"} | {name: name for name in names}


def _caches() -> dict[str, str]:
    return {name: "as published" if name == SAME else name for name in CACHE_FORMATS}


def _profile_named(name: str) -> str:
    """A profile by its name or one of its engine's; Ollama's, which has downloads of its own, is
    not llama.cpp's."""
    from thermoflop.cost.engines.engine import is_ollama
    from thermoflop.cost.engines.generation import profile_name

    known, low = _profiles(), name.strip().lower()
    listed = {each.lower(): each for each in known}
    if low not in listed and not is_ollama(low):
        low = profile_name(low)
    if low not in listed:
        near = nearest(low, known)
        hint = f"; the nearest is {near}" if near else ""
        raise UsageError(f"{quote_value(name)} is not known{hint}")
    return listed[low]


def _profiles() -> dict[str, str]:
    from thermoflop.cost.catalogue.machine import machine_profile_names
    from thermoflop.cost.catalogue.profiles import profiles

    named = {name: name for name in profiles() if name != "default"}
    kept = {name: f"{name} (measured here)" for name in machine_profile_names()}
    return (
        kept
        | {
            "default": POOLED,
            CUSTOM_RATES: "my own overhead and efficiency",
        }
        | named
    )


@lru_cache(maxsize=64)
def default_rates(device: str) -> str:
    """What the rates are on a device of the page where no engine is chosen."""
    from thermoflop.cost.catalogue.devices import find_device
    from thermoflop.cost.engines.abilities import engine_on

    found = find_device(device)
    engine = engine_on(found)
    if found.vendor == "Apple":
        return f"{engine}'s, or MLX's of its own formats"
    return (
        f"{POOLED}, llama.cpp's of GGUF files" if engine is None else f"{engine}'s, which runs it"
    )


_MOST_TOKENS = 10_000_000
MOST_ORIGINAL_TOKENS = 131_072

FIELDS: dict[str, Field] = {
    field.name: field
    for field in (
        Field("mode", "mode", "", choices=_modes, modes=_BOTH),
        Field("model", "model", "", choices=_models, resolve=_model_named),
        Field("device", "GPU", "", choices=_devices, resolve=_device_named),
        Field("prompt", "prompt", "tokens", 1, _MOST_TOKENS, _with_halves(1, 131_072)),
        Field("output", "output", "tokens", 0, _MOST_TOKENS, (0, *_with_halves(1, 131_072))),
        Field("users", "users", "at once", 1, 65_536, _with_halves(1, 4096)),
        Field("dtype", "format", "", choices=_formats),
        Field("measured", "measured", "", takes=_is_measured,
              hint="tokens/s, or 13.9ms"),
        Field("price", "price", "a GPU hour", 0, 10_000,
              (0, 0.2, 0.5, 1, 1.5, 2, 2.5, 3, 4, 5, 8, 12), whole=False),
        Field("kv_dtype", "cache", "", choices=_caches),
        Field("gpu", "GPU of the page", "", modes=_PAGE, choices=_gpus),
        Field("batch", "batch", "sequences", 1, 65_536, _with_halves(1, 4096), modes=_PAGE),
        Field("heads", "heads", "", 1, 1024, _with_halves(1, 256), modes=_BOTH),
        Field("width", "dimension", "", 8, 131_072, _with_halves(64, 16_384), modes=_BOTH),
        Field("layers", "layers", "", 1, 1000, tuple(float(n) for n in range(1, 129)), modes=_BOTH),
        Field("start", "start", "tokens", 1, _MOST_TOKENS, _with_halves(1, 131_072), modes=_PAGE),
        Field("end", "end", "tokens", 1, _MOST_TOKENS, _with_halves(2, 131_072), modes=_PAGE),
        Field("overhead_ms", "overhead", "ms a kernel", 0, 100,
              (0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1), whole=False, modes=_BOTH),
        Field("efficiency", "efficiency", "of the peak", 0.01, 1,
              tuple(n / 20 for n in range(1, 21)), whole=False, modes=_BOTH),
        Field("tp", "tensor parallel", "GPUs", 1, 1024, _doubled(1, 64)),
        Field("pp", "pipeline stages", "GPUs", 1, 1024, _doubled(1, 64)),
        Field("dp", "replicas", "", 1, 1024, _doubled(1, 64)),
        Field("ep", "expert parallel", "GPUs", 1, 1024, _doubled(1, 64)),
        Field("profile", "engine", "", choices=_profiles, resolve=_profile_named),
        Field("attention", "attention", "", choices=lambda: dict(ATTENTION)),
        Field("groups", "key heads of GQA", "0: own", 0, 1024, (0, *_doubled(1, 128))),
        Field("images", "images", "a prompt", 0, 1000, (0, *_doubled(1, 64))),
        Field("image_width", "image width", "pixels", 16, 16_384, _with_halves(128, 4096)),
        Field("image_height", "image height", "pixels", 16, 16_384, _with_halves(128, 4096)),
        Field("audio_s", "sound", "seconds a prompt", 0, 36_000,
              (0, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600), whole=False),
        Field("rank", "rank of MLA", "", 1, 65_536, _with_halves(64, 4096)),
    )
}  # fmt: skip
